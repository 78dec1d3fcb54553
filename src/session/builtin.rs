//! Statements that the session answers itself, because only it knows the answer: a server would
//! tell its own connection id, its own warnings, its own row counts.
//!
//! Only whole statements of a known form are answered here; the same functions inside other
//! statements are the planner's business.

use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::Services;
use super::answer::{Answer, Way, Went};
use super::canary_statement;
use super::connections::Connections;
use super::diagnostics;
use super::diagnostics::is_diagnostic;
use super::fill_in;
use super::inspect;
use super::own_variables;
use super::reply::{Column, Kind};
use super::request::Request;
use super::show_rewritten;
use super::show_rewritten::is_about_sessions;
use super::show_topology::{Table, show_topology};
use super::state::State;
use crate::executor::client::Client;

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

/// The answer to `SELECT function() [AS alias]`, if the session must give it.
pub(super) fn builtin(
    connections: &Connections,
    state: &State,
    text: &[u8],
    features: Features,
) -> Option<Builtin> {
    if !features.intersects(OF_SESSION) || state.scan.kind() != StatementKind::Select {
        return None;
    }
    if !connections.mirror.character_sets.names_are_utf8() && !text.is_ascii() {
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
    let held = connections.counts_are_there(features, &state.database);
    match plain.to_ascii_uppercase().as_str() {
        "FOUND_ROWS()" if !held => Some(number(state.found_rows.to_string())),
        "ROW_COUNT()" if !held => Some(number(state.row_count.to_string())),
        "CONNECTION_ID()" => Some(number(connections.control.id.to_string())),
        // One server knows its database by itself, and how to show it.
        "DATABASE()" | "SCHEMA()" if connections.mode.is_several() => {
            let value = state.target.keyspace.as_deref().map(str::to_owned);
            Some(Builtin { name, kind: Kind::Text(64), value })
        }
        "USER()" | "SESSION_USER()" | "SYSTEM_USER()"
            if fill_in::is_as_server_knows_it(&connections.services, state) =>
        {
            None
        }
        "USER()" | "SESSION_USER()" | "SYSTEM_USER()" => Some(Builtin {
            name,
            kind: Kind::Text(288),
            value: Some(format!("{}@{}", state.login.user, state.login.host)),
        }),
        _ => None,
    }
}

/// SHOW: warnings are the session's, the rest is the servers'.
pub(super) async fn show(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    show: &Show,
) -> Went {
    if is_diagnostic(show.kind) {
        return diagnostics::show_diagnostics(client, connections, state, request, show).await;
    }
    if let Some(listing) = canary_statement::listing(&connections.services, state, show)? {
        return Ok(listing.answer().into());
    }
    if let Some(answer) =
        own_variables::show_own_variable(&connections.services, &connections.mirror, state, show)
    {
        return Ok(answer.into());
    }
    if let Some(table) = topology_table(&connections.services, show) {
        return Ok(Answer::text(table.columns, table.rows).into());
    }
    let single = connections.mode.is_single();
    if is_about_sessions(show, request.text(client))
        && (single || show.kind == ShowKind::Processlist)
    {
        return show_rewritten::show_sessions(client, connections, state, request, show)
            .await
            .map(Way::Answered);
    }
    inspect::show_on_server(client, connections, state, request, show).await
}

/// The answer to a SHOW about keyspaces, shards, servers or regions. The databases of the only
/// servers are told by them.
fn topology_table(services: &Services, show: &Show) -> Option<Table> {
    if show.filter.is_some() {
        return None;
    }
    let topology = services.topology();
    if show.kind == ShowKind::Databases && topology.single_server().is_some() {
        return None;
    }
    let like = show.like.as_deref();
    show_topology(show.kind, &topology, &services.geography, like)
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
