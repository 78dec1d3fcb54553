//! Statements that the session answers itself, because only it knows the answer: a server would
//! tell its own connection id, its own warnings, its own row counts.
//!
//! Only whole statements of a known form are answered here; the same functions inside other
//! statements are the planner's business.

use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::Session;
use super::answer::{Answer, Way, Went};
use super::diagnostics::is_diagnostic;
use super::query::Request;
use super::reply::{Column, Kind};
use super::show_rewritten::is_about_sessions;
use super::show_topology::{Table, show_topology};

/// A one-row answer.
#[derive(Debug)]
pub(super) struct Builtin {
    name: String,
    kind: Kind,
    value: Option<String>,
}

impl Builtin {
    pub(super) fn answer(self) -> Answer {
        Answer::text(vec![Column::new(self.name, self.kind)], vec![vec![self.value]])
    }
}

/// Features of functions that a pooled connection would answer wrongly.
pub(super) const OF_SESSION: Features = Features::FOUND_ROWS
    .with(Features::ROW_COUNT)
    .with(Features::CONNECTION_ID)
    .with(Features::DATABASE)
    .with(Features::USER);

impl Session {
    /// The answer to `SELECT function() [AS alias]`, if the session must give it.
    pub(super) fn builtin(&self, text: &[u8], features: Features) -> Option<Builtin> {
        if !features.intersects(OF_SESSION) || self.scan.kind() != StatementKind::Select {
            return None;
        }
        if !self.state.character_sets.names_are_utf8() && !text.is_ascii() {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.trim().trim_end_matches(';').trim_end();
        let body = text.get(6..)?.trim_start();
        let (call, alias) = split_alias(body);
        let plain: String = call.chars().filter(|c| !c.is_whitespace()).collect();
        let name = alias.unwrap_or(call).to_owned();
        let number =
            |value: String| Builtin { name: name.clone(), kind: Kind::Integer, value: Some(value) };
        // While a connection is held for it, the server knows better.
        let held = self.attached.iter().any(|attached| attached.held);
        match plain.to_ascii_uppercase().as_str() {
            "FOUND_ROWS()" if !held => Some(number(self.state.found_rows.to_string())),
            "ROW_COUNT()" if !held => Some(number(self.state.row_count.to_string())),
            "CONNECTION_ID()" => Some(number(self.registered.control().id.to_string())),
            // One server knows its database by itself, and how to show it.
            "DATABASE()" | "SCHEMA()" if self.services.topology().single_server().is_none() => {
                let value = self.state.target.keyspace.as_deref().map(str::to_owned);
                Some(Builtin { name, kind: Kind::Text(64), value })
            }
            "USER()" | "SESSION_USER()" | "SYSTEM_USER()" if self.is_as_server_knows_it() => None,
            "USER()" | "SESSION_USER()" | "SYSTEM_USER()" => Some(Builtin {
                name,
                kind: Kind::Text(288),
                value: Some(format!("{}@{}", self.login.user, self.login.host)),
            }),
            _ => None,
        }
    }

    /// SHOW: warnings are the session's, the rest is the servers'.
    pub(super) async fn show(&mut self, request: &Request, show: &Show) -> Went {
        if is_diagnostic(show.kind) {
            return self.show_diagnostics(request, show).await;
        }
        if let Some(listing) = self.listing(show)? {
            return Ok(listing.answer().into());
        }
        if let Some(answer) = self.show_own_variable(show) {
            return Ok(answer.into());
        }
        if let Some(table) = self.topology_table(show) {
            return Ok(Answer::text(table.columns, table.rows).into());
        }
        let single = self.services.topology().single_server().is_some();
        if is_about_sessions(show, request.text(&self.client))
            && (single || show.kind == ShowKind::Processlist)
        {
            return self.show_sessions(request, show).await.map(Way::Answered);
        }
        self.show_on_server(request, show).await
    }

    /// The answer to a SHOW about keyspaces, shards, servers or regions. The databases of the only
    /// servers are told by them.
    fn topology_table(&self, show: &Show) -> Option<Table> {
        if show.filter.is_some() {
            return None;
        }
        let topology = self.services.topology();
        if show.kind == ShowKind::Databases && topology.single_server().is_some() {
            return None;
        }
        let like = show.like.as_deref();
        show_topology(show.kind, &topology, &self.services.geography, like)
    }
}

/// `call AS alias` or `call alias`.
fn split_alias(body: &str) -> (&str, Option<&str>) {
    let Some(close) = body.find(')') else { return (body, None) };
    let (call, rest) = body.split_at(close + 1);
    let rest = rest.trim();
    if rest.is_empty() {
        return (call, None);
    }
    let rest = match rest.get(..3) {
        Some(word) if word.eq_ignore_ascii_case("as ") => rest[3..].trim(),
        _ => rest,
    };
    let rest = rest.trim_matches('`').trim_matches('\'').trim_matches('"');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if rest.chars().all(word) { (call, Some(rest)) } else { (body, None) }
}
