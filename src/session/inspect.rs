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

use super::planned::Statement;
use super::query::Request;
use super::reply::{Column, Kind};
use super::{End, Session};

impl Session {
    /// A SHOW that servers answer.
    pub(super) async fn show_on_server(
        &mut self,
        request: Request,
        show: &Show,
    ) -> Result<(), End> {
        let topology = self.services.topology.load_full();
        if topology.single_server().is_some() {
            let features = self.scan.features();
            return self.run_statement(request, StatementKind::Show, features).await;
        }
        if show.kind == ShowKind::CreateDatabase {
            return self.show_create_database(request, show, &topology).await;
        }
        if !is_about_definitions(show.kind) {
            let what = "this SHOW over several servers, which would each answer for itself";
            return self
                .refuse(
                    &request,
                    catalog::UNSUPPORTED.advising(&[&what], "ask each server for itself"),
                )
                .await;
        }
        let mut text = Vec::new();
        let source = self.text(&request).to_vec();
        // The keyspace may have another name on the server, where it is the current database.
        let cut = show.database_span.filter(|_| show.database.is_some());
        if let Err(error) = cut_span(&source, cut, &mut text) {
            return self.refuse(&request, error).await;
        }
        let keyspace = show.database.as_ref().map(|ident| ident.text.as_str());
        self.ask_keyspace(request, keyspace, text, &topology).await
    }

    /// SHOW CREATE DATABASE, which names the database as the servers do.
    async fn show_create_database(
        &mut self,
        request: Request,
        show: &Show,
        topology: &Arc<Topology>,
    ) -> Result<(), End> {
        let name = show.object.as_ref().map(|ident| ident.text.as_str());
        let keyspace = name.and_then(|name| topology.find_keyspace(name));
        let keyspace = keyspace.map(|index| topology.keyspace(index));
        if keyspace.is_some_and(|keyspace| *keyspace.name != *keyspace.database) {
            let what = "SHOW CREATE DATABASE of a keyspace whose database has another name";
            return self
                .refuse(&request, catalog::UNSUPPORTED.advising(&[&what], "ask its server"))
                .await;
        }
        let text = self.text(&request).to_vec();
        self.ask_keyspace(request, name, text, topology).await
    }

    /// EXPLAIN, DESCRIBE, VEXPLAIN.
    pub(super) async fn explain(&mut self, request: Request, explain: Explain) -> Result<(), End> {
        let topology = self.services.topology.load_full();
        let single = topology.single_server().is_some();
        match explain {
            Explain::Proxy { kind: VExplainKind::Plan, statement } => {
                self.explain_plan(request, statement).await
            }
            Explain::Proxy { .. } => {
                let what = "VEXPLAIN other than VEXPLAIN PLAN";
                self.refuse(
                    &request,
                    catalog::UNSUPPORTED.advising(&[&what], "write VEXPLAIN PLAN"),
                )
                .await
            }
            _ if single => {
                self.run_statement(request, StatementKind::Explain, Features::NONE).await
            }
            Explain::Table { keyspace, table, span } => {
                let source = self.text(&request).to_vec();
                let qualifier =
                    keyspace.as_ref().map(|_| Span { start: span.start, end: table.span.start });
                let mut text = Vec::new();
                if let Err(error) = cut_span(&source, qualifier, &mut text) {
                    return self.refuse(&request, error).await;
                }
                let keyspace = keyspace.as_ref().map(|ident| ident.text.as_str());
                self.ask_keyspace(request, keyspace, text, &topology).await
            }
            Explain::Statement { analyze: true, .. } | Explain::Connection => {
                let what = "EXPLAIN ANALYZE and EXPLAIN FOR CONNECTION over several servers";
                self.refuse(
                    &request,
                    catalog::UNSUPPORTED.advising(&[&what], "write EXPLAIN without ANALYZE"),
                )
                .await
            }
            Explain::Statement { statement, .. } => {
                self.explain_on_shard(request, statement, &topology).await
            }
        }
    }

    /// EXPLAIN of what one of the shards would get.
    async fn explain_on_shard(
        &mut self,
        request: Request,
        span: Span,
        topology: &Arc<Topology>,
    ) -> Result<(), End> {
        let source = self.text(&request).to_vec();
        self.consume(&request);
        let statement = match self.inner_statement(&source, span) {
            Ok(statement) => statement,
            Err(error) => return self.reply_error(error).await,
        };
        let sample = self.sample_piece(&statement, topology);
        self.scan = statement.into_scan();
        match sample {
            Ok((shard, text)) => {
                let text = [&source[..span.start as usize], &text].concat();
                self.ask_shard(shard, text, topology).await
            }
            Err(error) => self.reply_error(error).await,
        }
    }

    /// VEXPLAIN PLAN: one row with the plan as text.
    async fn explain_plan(&mut self, request: Request, span: Span) -> Result<(), End> {
        let source = self.text(&request).to_vec();
        self.consume(&request);
        let described = self.inner_statement(&source, span).and_then(|statement| {
            let plan = self.plan(&statement);
            let text = plan.map(|plan| describe(&plan, &self.bindings(&statement)).to_text());
            self.scan = statement.into_scan();
            text
        });
        match described {
            Ok(text) => {
                let column = Column { name: "PLAN", kind: Kind::Text(65_535) };
                self.reply_rows(&[column], &[vec![Some(text)]]).await
            }
            Err(error) => self.reply_error(error).await,
        }
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
        request: Request,
        keyspace: Option<&str>,
        text: Vec<u8>,
        topology: &Arc<Topology>,
    ) -> Result<(), End> {
        let known = keyspace.and_then(|name| topology.find_keyspace(name));
        if let (Some(name), None) = (keyspace, known) {
            return self.refuse(&request, catalog::UNKNOWN_KEYSPACE.with(&[&name])).await;
        }
        let own = self.state.target.keyspace.as_deref();
        let own = own.and_then(|name| topology.find_keyspace(name));
        let first = || topology.keyspaces().next().map(|(index, _)| index);
        self.consume(&request);
        match known.or(own).or_else(first) {
            Some(keyspace) => self.ask_shard(topology.shard(keyspace, 0), text, topology).await,
            None => self.reply_error(catalog::NO_KEYSPACE.error()).await,
        }
    }

    /// Relays the answer of a shard's server to a statement of its own.
    async fn ask_shard(
        &mut self,
        shard: ShardId,
        text: Vec<u8>,
        topology: &Arc<Topology>,
    ) -> Result<(), End> {
        let database = Arc::clone(&topology.keyspace(shard.keyspace()).database);
        let access = Access::Describe;
        let attached = self.attach_placed(shard, access, None, database.as_bytes(), false).await;
        let index = match attached {
            Ok(index) => index,
            Err(error) => return self.reply_error(error).await,
        };
        let payload = [&[code::QUERY], &text[..]].concat();
        let outcome = self.exchange(index, Request::Payload(payload), Expect::Query).await?;
        if let Some(outcome) = outcome {
            self.after_statement(index, StatementKind::Show, Features::NONE, &outcome).await;
        }
        Ok(())
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
