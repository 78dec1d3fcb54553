//! SHOW, DESCRIBE and EXPLAIN where there are several servers.
//!
//! All shards of a keyspace have the same definitions, so what is asked of a keyspace is asked of
//! one of them. VEXPLAIN asks the proxy itself: it shows the plan and runs nothing.

use std::sync::Arc;

use crate::engine::describe::describe;
use crate::error::{SqlError, catalog};
use crate::executor::relay::AnswerEnd;
use crate::geo::Access;
use crate::sql::ast::{Ident, Span};
use crate::sql::control::explain::{Explain, VExplainKind};
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::splice::Splicer;
use crate::sql::statement_kind::StatementKind;
use crate::topology::{ShardId, Topology};
use crate::vschema::TableName;
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran, Way, Went};
use super::connections::Connections;
use super::consistency::{self, Aim};
use super::exchange;
use super::exchange::Exchanged;
use super::forward;
use super::mirror::Mirror;
use super::planned;
use super::reply::{Column, Kind};
use super::request::{Request, Source};
use super::state::State;
use super::statement::Statement;
use crate::executor::client::Client;

/// A SHOW that servers answer.
pub(super) async fn show_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    show: &Show,
) -> Went {
    let topology = connections.services.topology.load_full();
    if connections.mode.is_single() {
        return Ok(Way::Servers(StatementKind::Show, state.scan.features()));
    }
    if show.kind == ShowKind::CreateDatabase {
        let answer =
            show_create_database(client, connections, state, request, show, &topology).await?;
        return Ok(answer.into());
    }
    if !is_about_definitions(show.kind) {
        let what = "this SHOW over several servers, which would each answer for itself";
        return Err(catalog::UNSUPPORTED.advising(&[&what], "ask each server for itself").into());
    }
    let source = request.text(client).to_vec();
    let names_table = matches!(
        show.kind,
        ShowKind::Columns | ShowKind::Index | ShowKind::CreateTable | ShowKind::CreateView
    );
    let asked = Asked {
        table: show.object.as_ref().filter(|_| names_table),
        keyspace: show.database.as_ref(),
        // The keyspace may have another name on the server, where it is the current database.
        cut: show.database_span.filter(|_| show.database.is_some()),
    };
    let (keyspace, text) = asked.resolve(connections, state, &source)?;
    let keyspace = keyspace.as_deref();
    ask_keyspace(client, connections, state, keyspace, text, &topology).await.map(Way::Answered)
}

/// SHOW CREATE DATABASE, which names the database as the servers do.
async fn show_create_database(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    show: &Show,
    topology: &Arc<Topology>,
) -> Ran {
    let name = show.object.as_ref().map(|ident| ident.text.as_str());
    let keyspace = name.and_then(|name| topology.find_keyspace(name));
    let keyspace = keyspace.map(|index| topology.keyspace(index));
    if keyspace.is_some_and(|keyspace| *keyspace.name != *keyspace.database) {
        let what = "SHOW CREATE DATABASE of a keyspace whose database has another name";
        return Err(catalog::UNSUPPORTED.advising(&[&what], "ask its server").into());
    }
    let text = request.text(client).to_vec();
    ask_keyspace(client, connections, state, name, text, topology).await
}

/// EXPLAIN, DESCRIBE, VEXPLAIN.
pub(super) async fn explain(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    explain: Explain,
) -> Went {
    let topology = connections.services.topology.load_full();
    let single = connections.mode.is_single();
    match explain {
        Explain::Proxy { kind: VExplainKind::Plan, statement } => {
            explain_plan(client, connections, state, request, statement).map(Way::Answered)
        }
        Explain::Proxy { .. } => {
            let what = "VEXPLAIN other than VEXPLAIN PLAN";
            Err(catalog::UNSUPPORTED.advising(&[&what], "write VEXPLAIN PLAN").into())
        }
        _ if single => Ok(Way::Servers(StatementKind::Explain, Features::NONE)),
        Explain::Table { keyspace, table, span } => {
            let source = request.text(client).to_vec();
            let qualifier =
                keyspace.as_ref().map(|_| Span { start: span.start, end: table.span.start });
            let asked = Asked { table: Some(&table), keyspace: keyspace.as_ref(), cut: qualifier };
            let (keyspace, text) = asked.resolve(connections, state, &source)?;
            ask_keyspace(client, connections, state, keyspace.as_deref(), text, &topology)
                .await
                .map(Way::Answered)
        }
        Explain::Statement { analyze: true, .. } | Explain::Connection => {
            let what = "EXPLAIN ANALYZE and EXPLAIN FOR CONNECTION over several servers";
            Err(catalog::UNSUPPORTED.advising(&[&what], "write EXPLAIN without ANALYZE").into())
        }
        Explain::Statement { statement, .. } => {
            explain_on_shard(client, connections, state, request, statement, &topology)
                .await
                .map(Way::Answered)
        }
    }
}

/// EXPLAIN of what one of the shards would get.
async fn explain_on_shard(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    span: Span,
    topology: &Arc<Topology>,
) -> Ran {
    let source = request.text(client).to_vec();
    client.drop_command();
    let statement = inner_statement(&connections.mirror, state, &source, span)?;
    let sample = planned::sample_piece(connections, state, &statement, topology);
    state.scan = statement.into_scan();
    let (shard, text) = sample?;
    let text = [&source[..span.start as usize], &text].concat();
    ask_shard(client, connections, state, shard, text, topology).await
}

/// VEXPLAIN PLAN: one row with the plan as text.
fn explain_plan(
    client: &mut Client,
    connections: &Connections,
    state: &mut State,
    request: &Request,
    span: Span,
) -> Ran {
    let source = request.text(client).to_vec();
    let described =
        inner_statement(&connections.mirror, state, &source, span).and_then(|statement| {
            let plan = planned::plan(connections, state, &statement);
            let text = plan
                .map(|plan| describe(&plan, &connections.mirror.bindings(&statement)).to_text());
            state.scan = statement.into_scan();
            text
        });
    let column = Column::new("PLAN", Kind::Text(65_535));
    Ok(Answer::text(vec![column], vec![vec![Some(described?)]]))
}

/// The statement inside an EXPLAIN.
fn inner_statement(
    mirror: &Mirror,
    state: &mut State,
    source: &[u8],
    span: Span,
) -> Result<Statement, SqlError> {
    let text = source[span.start as usize..span.end as usize].to_vec();
    let mut scan: Scan = std::mem::take(&mut state.scan);
    match scan.run(&text, mirror.lex_mode) {
        Ok(()) => Ok(Statement::text(text, scan)),
        Err(error) => Err(catalog::SYNTAX.with(&[&error])),
    }
}

/// Asks one shard of a keyspace; `None` is the session's.
async fn ask_keyspace(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    keyspace: Option<&str>,
    text: Vec<u8>,
    topology: &Arc<Topology>,
) -> Ran {
    let known = keyspace.and_then(|name| topology.find_keyspace(name));
    if let (Some(name), None) = (keyspace, known) {
        return Err(catalog::UNKNOWN_KEYSPACE.with(&[&name]).into());
    }
    let own = state.target.keyspace.as_deref();
    let own = own.and_then(|name| topology.find_keyspace(name));
    let first = || topology.keyspaces().next().map(|(index, _)| index);
    client.drop_command();
    match known.or(own).or_else(first) {
        Some(keyspace) => {
            let shard = planned::any_shard(connections, state, topology, keyspace, None);
            let shard = topology.shard(keyspace, shard);
            ask_shard(client, connections, state, shard, text, topology).await
        }
        None => Err(catalog::NO_KEYSPACE.error().into()),
    }
}

/// Relays the answer of a shard's server, whichever it is, to a statement of its own.
async fn ask_shard(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    shard: ShardId,
    text: Vec<u8>,
    topology: &Arc<Topology>,
) -> Ran {
    let database = Arc::clone(&topology.keyspace(shard.keyspace()).database);
    let access = Access::Describe;
    let aim = Aim { shard, access, hints: None, wants_insert_id: false, anywhere: true };
    let database = database.as_bytes();
    let source = Source::Payload([&[code::QUERY], &text[..]].concat());
    let (expect, end) = (Expect::Query, AnswerEnd::Forwarded);
    let (index, outcome) = loop {
        let index = consistency::attach_placed(client, connections, state, &aim, database).await?;
        match exchange::exchange_once(client, connections, index, &source, expect, end).await? {
            Exchanged::Outcome(outcome) => break (index, outcome),
            Exchanged::Lost(lost) => {
                exchange::run_again(client, connections, state, &aim, lost).await?;
            }
        }
    };
    forward::after_statement(
        connections,
        state,
        index,
        StatementKind::Show,
        Features::NONE,
        &outcome,
    )
    .await;
    Ok(Answer::Sent)
}

/// Lists that are the same on every shard, or are about the server software.
fn is_about_definitions(kind: ShowKind) -> bool {
    matches!(
        kind,
        ShowKind::Tables
            | ShowKind::Columns
            | ShowKind::Index
            | ShowKind::Triggers
            | ShowKind::Events
            | ShowKind::ProcedureStatus
            | ShowKind::FunctionStatus
            | ShowKind::CreateTable
            | ShowKind::CreateView
            | ShowKind::CreateOther
            | ShowKind::TableStatus
            | ShowKind::Variables
            | ShowKind::Status
            | ShowKind::Engines
            | ShowKind::CharacterSet
            | ShowKind::Collation
            | ShowKind::Grants
            | ShowKind::Privileges
            | ShowKind::Plugins
    )
}

/// What SHOW or DESCRIBE names.
struct Asked<'a> {
    table: Option<&'a Ident>,
    keyspace: Option<&'a Ident>,
    /// What names the keyspace, to be cut.
    cut: Option<Span>,
}

impl Asked<'_> {
    /// The keyspace to ask, and the text for its servers: about the table to which routing rules
    /// lead the name, without the keyspace.
    fn resolve(
        &self,
        connections: &Connections,
        state: &mut State,
        source: &[u8],
    ) -> Result<(Option<String>, Vec<u8>), SqlError> {
        let keyspace = self.keyspace.map(|ident| ident.text.as_str());
        let routed = match self.table {
            Some(table) => routed_elsewhere(connections, state, keyspace, &table.text)?,
            None => None,
        };
        let mut edits: Vec<(Span, Vec<u8>)> =
            self.cut.map(|cut| (cut, Vec::new())).into_iter().collect();
        if let (Some(routed), Some(table)) = (&routed, self.table) {
            let name = format!("`{}`", routed.name.replace('`', "``"));
            edits.push((table.span, name.into_bytes()));
        }
        edits.sort_by_key(|(span, _)| span.start);
        let mut text = Vec::new();
        let mut splicer = Splicer::new(source, &mut text);
        for (span, with) in &edits {
            splicer.replace(*span, with);
        }
        splicer.finish().map_err(|error| catalog::INTERNAL.with(&[&format!("{error:?}")]))?;
        let keyspace = routed.map(|routed| routed.keyspace).or(keyspace.map(str::to_owned));
        Ok((keyspace, text))
    }
}

/// The table to which a routing rule leads a name, if that is another one.
pub(super) fn routed_elsewhere(
    connections: &Connections,
    state: &mut State,
    keyspace: Option<&str>,
    table: &str,
) -> Result<Option<TableName>, SqlError> {
    let generation = state.generation.hold(&connections.services.serving)?;
    let vschema = generation.vschema();
    let (default, tablet_type) = (state.target.keyspace.as_deref(), state.target.tablet_type);
    // A shard target bypasses the rules.
    if state.target.destination.is_some() && keyspace.is_none_or(|own| Some(own) == default) {
        return Ok(None);
    }
    Ok(vschema.routed_elsewhere(keyspace, default, table, tablet_type)?)
}
