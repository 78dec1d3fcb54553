//! SHOW, DESCRIBE and EXPLAIN where there are several servers.
//!
//! All shards of a keyspace have the same definitions, so what is asked of a keyspace is asked of
//! one of them. VEXPLAIN asks the proxy itself: it shows the plan and runs nothing.

use std::sync::Arc;

use crate::engine::describe::describe;
use crate::error::{SqlError, catalog};
use crate::geo::Access;
use crate::sql::ast::Span;
use crate::sql::control::explain::{Explain, VExplainKind};
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::splice::Splicer;
use crate::sql::statement_kind::StatementKind;
use crate::topology::{ShardId, Topology};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::Session;
use super::answer::{Answer, Ran, Way, Went};
use super::planned::Statement;
use super::query::Request;
use super::reply::{Column, Kind};

impl Session {
    /// A SHOW that servers answer.
    pub(super) async fn show_on_server(&mut self, request: &Request, show: &Show) -> Went {
        let topology = self.services.topology.load_full();
        if topology.single_server().is_some() {
            return Ok(Way::Servers(StatementKind::Show, self.scan.features()));
        }
        if show.kind == ShowKind::CreateDatabase {
            let answer = self.show_create_database(request, show, &topology).await?;
            return Ok(answer.into());
        }
        if !is_about_definitions(show.kind) {
            let what = "this SHOW over several servers, which would each answer for itself";
            return Err(catalog::UNSUPPORTED
                .advising(&[&what], "ask each server for itself")
                .into());
        }
        let mut text = Vec::new();
        let source = request.text(&self.client).to_vec();
        // The keyspace may have another name on the server, where it is the current database.
        let cut = show.database_span.filter(|_| show.database.is_some());
        cut_span(&source, cut, &mut text)?;
        let keyspace = show.database.as_ref().map(|ident| ident.text.as_str());
        self.ask_keyspace(keyspace, text, &topology).await.map(Way::Answered)
    }

    /// SHOW CREATE DATABASE, which names the database as the servers do.
    async fn show_create_database(
        &mut self,
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
        let text = request.text(&self.client).to_vec();
        self.ask_keyspace(name, text, topology).await
    }

    /// EXPLAIN, DESCRIBE, VEXPLAIN.
    pub(super) async fn explain(&mut self, request: &Request, explain: Explain) -> Went {
        let topology = self.services.topology.load_full();
        let single = topology.single_server().is_some();
        match explain {
            Explain::Proxy { kind: VExplainKind::Plan, statement } => {
                self.explain_plan(request, statement).map(Way::Answered)
            }
            Explain::Proxy { .. } => {
                let what = "VEXPLAIN other than VEXPLAIN PLAN";
                Err(catalog::UNSUPPORTED.advising(&[&what], "write VEXPLAIN PLAN").into())
            }
            _ if single => Ok(Way::Servers(StatementKind::Explain, Features::NONE)),
            Explain::Table { keyspace, table, span } => {
                let source = request.text(&self.client).to_vec();
                let qualifier =
                    keyspace.as_ref().map(|_| Span { start: span.start, end: table.span.start });
                let mut text = Vec::new();
                cut_span(&source, qualifier, &mut text)?;
                let keyspace = keyspace.as_ref().map(|ident| ident.text.as_str());
                self.ask_keyspace(keyspace, text, &topology).await.map(Way::Answered)
            }
            Explain::Statement { analyze: true, .. } | Explain::Connection => {
                let what = "EXPLAIN ANALYZE and EXPLAIN FOR CONNECTION over several servers";
                Err(catalog::UNSUPPORTED.advising(&[&what], "write EXPLAIN without ANALYZE").into())
            }
            Explain::Statement { statement, .. } => {
                self.explain_on_shard(request, statement, &topology).await.map(Way::Answered)
            }
        }
    }

    /// EXPLAIN of what one of the shards would get.
    async fn explain_on_shard(
        &mut self,
        request: &Request,
        span: Span,
        topology: &Arc<Topology>,
    ) -> Ran {
        let source = request.text(&self.client).to_vec();
        self.client.drop_command();
        let statement = self.inner_statement(&source, span)?;
        let sample = self.sample_piece(&statement, topology);
        self.scan = statement.into_scan();
        let (shard, text) = sample?;
        let text = [&source[..span.start as usize], &text].concat();
        self.ask_shard(shard, text, topology).await
    }

    /// VEXPLAIN PLAN: one row with the plan as text.
    fn explain_plan(&mut self, request: &Request, span: Span) -> Ran {
        let source = request.text(&self.client).to_vec();
        let described = self.inner_statement(&source, span).and_then(|statement| {
            let plan = self.plan(&statement);
            let text = plan.map(|plan| describe(&plan, &self.bindings(&statement)).to_text());
            self.scan = statement.into_scan();
            text
        });
        let column = Column::new("PLAN", Kind::Text(65_535));
        Ok(Answer::text(vec![column], vec![vec![Some(described?)]]))
    }

    /// The statement inside an EXPLAIN.
    fn inner_statement(&mut self, source: &[u8], span: Span) -> Result<Statement, SqlError> {
        let text = source[span.start as usize..span.end as usize].to_vec();
        let mut scan: Scan = std::mem::take(&mut self.scan);
        match scan.run(&text, self.state.lex_mode) {
            Ok(()) => Ok(Statement::text(text, scan)),
            Err(error) => Err(catalog::SYNTAX.with(&[&error])),
        }
    }

    /// Asks one shard of a keyspace; `None` is the session's.
    async fn ask_keyspace(
        &mut self,
        keyspace: Option<&str>,
        text: Vec<u8>,
        topology: &Arc<Topology>,
    ) -> Ran {
        let known = keyspace.and_then(|name| topology.find_keyspace(name));
        if let (Some(name), None) = (keyspace, known) {
            return Err(catalog::UNKNOWN_KEYSPACE.with(&[&name]).into());
        }
        let own = self.state.target.keyspace.as_deref();
        let own = own.and_then(|name| topology.find_keyspace(name));
        let first = || topology.keyspaces().next().map(|(index, _)| index);
        self.client.drop_command();
        match known.or(own).or_else(first) {
            Some(keyspace) => self.ask_shard(topology.shard(keyspace, 0), text, topology).await,
            None => Err(catalog::NO_KEYSPACE.error().into()),
        }
    }

    /// Relays the answer of a shard's server to a statement of its own.
    async fn ask_shard(&mut self, shard: ShardId, text: Vec<u8>, topology: &Arc<Topology>) -> Ran {
        let database = Arc::clone(&topology.keyspace(shard.keyspace()).database);
        let access = Access::Describe;
        let attached = self.attach_placed(shard, access, None, database.as_bytes(), false).await;
        let index = attached?;
        let payload = [&[code::QUERY], &text[..]].concat();
        let outcome = self.exchange(index, &Request::Payload(payload), Expect::Query).await?;
        self.after_statement(index, StatementKind::Show, Features::NONE, &outcome).await;
        Ok(Answer::Sent)
    }
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

fn cut_span(source: &[u8], cut: Option<Span>, out: &mut Vec<u8>) -> Result<(), SqlError> {
    let mut splicer = Splicer::new(source, out);
    if let Some(span) = cut {
        splicer.delete(span);
    }
    splicer.finish().map_err(|error| catalog::INTERNAL.with(&[&format!("{error:?}")]))
}
