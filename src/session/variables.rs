//! SET: which settings are mirrored and replayed, which keep the connection, which are refused.
//!
//! The server that the session uses at the moment judges the statement: only what it accepted is
//! remembered. A literal is remembered in one way of writing; the value of an expression is asked
//! back from the server and remembered as a literal. How each variable is kept is said by
//! [`crate::sql::system_variable`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::backend::{Failure, Names, Settings};
use crate::error::{SqlError, catalog};
use crate::executor::client::StateMarks;
use crate::geo::Placement;
use crate::sql::ast::Span;
use crate::sql::control::set::{Access, Isolation, Scope, Set, SetItem, SetValue};
use crate::sql::statement_kind::StatementKind;
use crate::sql::system_variable::{self, Keeping};

use super::Services;
use super::answer::{Answer, Ran, Way, Went};
use super::assignment::{
    Change, charset_variables, is_on, next_transaction, other_change, plain_literal, reads_tables,
    session_transaction, system_change, value_literal,
};
use super::canary_statement;
use super::canary_statement::GenerationSetting;
use super::connections::Connections;
use super::consistency;
use super::consistency::Judges;
use super::diagnostics;
use super::diagnostics::Warnings;
use super::exchange;
use super::forward;
use super::hold::{Hold, ascii};
use super::mirror::Mirror;
use super::next_transaction;
use super::own_variables;
use super::request::Request;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::tracking;
use crate::executor::client::Client;

/// ER_UNSUPPORTED_PS: no statement of this kind can be prepared.
const NOT_PREPARED: u16 = 1295;

/// How many rows a SELECT without LIMIT gives.
pub(super) const SELECT_LIMIT: &str = "sql_select_limit";

/// Its value for all rows.
const NO_LIMIT: &[u8] = b"18446744073709551615";

impl Mirror {
    /// SET autocommit = 1 ends an open transaction.
    fn sets_autocommit_on(&self, changes: &[Change]) -> bool {
        !self.autocommit
            && changes.iter().any(|change| {
                matches!(change, Change::Set(name, value) if name == "autocommit" && is_on(value))
            })
    }
}

/// SET.
pub(super) async fn set(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    set: &Set,
) -> Went {
    let text = request.text(client).to_vec();
    if let Some((isolation, access)) = for_next_transaction(set) {
        next_transaction::set_next_transaction(connections, isolation, access).await?;
        tracking::track_characteristics(connections);
        return Ok(Answer::ok(0).into());
    }
    if let Some(result) = set_here(connections, state, set) {
        result?;
        return Ok(Answer::ok(0).into());
    }
    let mut changes = Vec::new();
    for item in &set.items {
        changes.extend(changes_of(&connections.services, item, &text)?);
    }
    set_on_server(client, connections, state, request, &text, changes).await.map(Way::Answered)
}

/// What a SET wants for the next transaction alone.
fn for_next_transaction(set: &Set) -> Option<(Option<Isolation>, Option<Access>)> {
    match &set.items[..] {
        [SetItem::Transaction { scope: Scope::Unscoped, isolation, access }] => {
            Some((*isolation, *access))
        }
        items => next_transaction(items),
    }
}

/// A SET that no server has to judge.
fn set_here(
    connections: &mut Connections,
    state: &mut State,
    set: &Set,
) -> Option<Result<(), SqlError>> {
    match GenerationSetting::of(set) {
        Some(setting) => {
            Some(canary_statement::set_generation(&connections.services, state, setting))
        }
        None => own_variables::set_own_variables(
            &connections.services,
            &mut connections.mirror,
            state,
            set,
        ),
    }
}

/// A SET that a server judges.
async fn set_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    text: &[u8],
    changes: Vec<Change>,
) -> Ran {
    let topology = connections.services.topology().clone();
    // A session without its primary can still read elsewhere, so it must be able to SET.
    let stays = |change: &Change| matches!(change, Change::Hold(_) | Change::Elsewhere);
    let judges = if changes.iter().any(stays) { Judges::Primary } else { Judges::Any };
    let (placement, database) = consistency::any_server(connections, state, &topology, judges)?;
    let several = connections.mode.is_several();
    if several && let Some(error) = refused_over_several(&changes) {
        return Err(error.into());
    }
    let cannot_follow = |change: &Change| match change {
        Change::Hold(_) => true,
        // One server would compute it from its part of the rows.
        Change::UserVariable(_) | Change::AskBack(_) => reads_tables(text),
        _ => false,
    };
    if several && changes.iter().any(cannot_follow) {
        client.drop_command();
        return Err(cannot_mirror(client, connections, placement, &database, text).await.into());
    }
    let turns_on = connections.mirror.sets_autocommit_on(&changes);
    let waiting =
        if turns_on { next_transaction::carried_characteristics(connections) } else { Vec::new() };
    if turns_on {
        connections.commit_all().await?;
    }
    let ran = run_set(client, connections, state, request, placement, &database, changes).await;
    if !waiting.is_empty() {
        next_transaction::await_transaction(connections, waiting);
    }
    ran
}

/// Runs a SET on its server and remembers what that accepted.
async fn run_set(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    placement: Placement,
    database: &[u8],
    changes: Vec<Change>,
) -> Ran {
    let features = state.scan.features();
    let wants_insert_id = forward::may_read_insert_id(StatementKind::Set, features);
    let index = connections.attach(client, placement, database, wants_insert_id).await?;
    // The answer to the SET itself is marked too.
    let marks_before = client.state_marks;
    client.state_marks = state_marks(&changes).unwrap_or(marks_before);
    // Sessions that begin after the answer to a SET GLOBAL have the new value.
    let exchanged =
        exchange::exchange_keeping_end(client, connections, index, request.source()).await;
    if !exchanged.as_ref().is_ok_and(|outcome| !outcome.is_error()) {
        client.state_marks = marks_before;
    }
    let outcome = exchanged?;
    if !outcome.is_error() {
        if outcome.warnings > 0 {
            diagnostics::forget_warnings(connections);
            connections.attached[index].has_warnings = true;
        }
        apply(client, connections, index, changes).await;
    }
    // Questions about the new values have taken the server's own list of warnings away.
    let asked = outcome.warnings > 0 && !connections.attached[index].has_warnings;
    let learned = asked.then(|| std::mem::take(&mut connections.diagnosed.warnings));
    let features = state.scan.features();
    forward::after_statement(connections, state, index, StatementKind::Set, features, &outcome)
        .await;
    if let Some(Warnings::Noted(rows)) = learned {
        diagnostics::forget_warnings(connections);
        connections.diagnosed.warnings = Warnings::Noted(rows);
    }
    Ok(Answer::Buffered)
}

/// The error of a SET that no server needs to see to refuse it over several of them.
fn refused_over_several(changes: &[Change]) -> Option<SqlError> {
    let refused = |change: &Change| match change {
        Change::Elsewhere => Some(("SET GLOBAL over several servers", "set it on each of them")),
        // Each server would count the rows by itself.
        Change::Set(name, literal) if name == SELECT_LIMIT && literal != NO_LIMIT => Some(LIMITED),
        Change::AskBack(name) if name == SELECT_LIMIT => Some(LIMITED),
        _ => None,
    };
    let (what, advice) = changes.iter().find_map(refused)?;
    Some(catalog::UNSUPPORTED.advising(&[&what], advice))
}

/// What is refused of the limit, and what to do instead.
const LIMITED: (&str, &str) =
    ("SET sql_select_limit over several servers", "write LIMIT in the statements");

/// Why a SET that cannot be mirrored is refused: a server's own error if it has one, so that a
/// wrong name is called wrong; else that several servers cannot be kept equal.
async fn cannot_mirror(
    client: &mut Client,
    connections: &mut Connections,
    placement: Placement,
    database: &[u8],
    text: &[u8],
) -> SqlError {
    let index = match connections.attach(client, placement, database, false).await {
        Ok(index) => index,
        Err(error) => return error,
    };
    // It is not run: what it computes might change rows.
    let checked = connections.attached[index].lease.check(text).await;
    match checked {
        // It cannot be read without being run.
        Err(Failure::Server(error)) if error.errno == NOT_PREPARED => {}
        Err(failure) => return connections.fail(index, failure).await,
        Ok(()) => {}
    }
    connections.settle_quietly(index).await;
    let what = "SET of a variable that cannot be kept equal on several servers";
    catalog::UNSUPPORTED.advising(&[&what], "set it in the configuration of the servers")
}

/// Remembers what a server accepted.
async fn apply(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    changes: Vec<Change>,
) {
    let mut settings = Settings::clone(&connections.mirror.settings);
    let (mut asked, mut live) = (Vec::new(), Vec::new());
    let (mut renamed, mut global) = (false, false);
    for change in changes {
        match change {
            Change::Names(names) => {
                settings.set_names(names);
                renamed = true;
            }
            Change::Set(name, literal) => {
                next_transaction::override_characteristics(connections, &name);
                settings.set(&name, literal);
            }
            Change::Unset(name) => settings.unset(&name),
            Change::Elsewhere => global = true,
            Change::StateMarks(marks) => {
                client.state_marks = marks;
                let on = b"SET @@session.session_track_state_change = 1";
                if connections.attached[index].lease.execute(on).await.is_err() {
                    connections.hold(index, Hold::Lasting("SET session_track_state_change"));
                }
            }
            Change::UserVariable(name) => live.push(name),
            Change::LastInsertId => connections.attached[index].insert_id_unknown = true,
            Change::Hold(hold) => connections.hold(index, hold),
            Change::AskBack(name) => asked.push(name),
        }
    }
    let is_charset = |name: &String| system_variable::keeping(name) == Some(Keeping::Charset);
    if renamed || asked.iter().any(is_charset) {
        // Strings that were written in the character set before are read in the new one.
        let is_text = |literal: &[u8]| matches!(literal.first(), Some(b'\'' | b'N' | b'n'));
        let texts = settings.user_variables().filter(|(_, literal)| is_text(literal));
        live.extend(texts.map(|(name, _)| name[1..].to_owned()));
    }
    let carried: usize = settings.user_variables().map(|(_, literal)| literal.len()).sum();
    if carried > connections.limits.user_variables_bytes_max {
        connections.hold(index, Hold::Lasting("user variables that are too long to carry"));
    }
    let values = ask_back(connections, index, &asked).await;
    for (name, literal) in asked.into_iter().zip(values) {
        settings.set(&name, literal);
    }
    if global {
        globals_changed(connections, index).await;
    }
    take_settings(connections, index, settings);
    for name in live {
        connections.user_variable_may_change(index, name);
    }
    connections.publish_holds();
}

/// Asks what new sessions get after a SET GLOBAL.
pub(super) async fn globals_changed(connections: &mut Connections, index: ConnectionId) {
    connections.services.globals_changed.fetch_add(1, Ordering::Relaxed);
    diagnostics::learn_warnings(connections).await;
    if let Err(error) = connections.attached[index].lease.look_at_defaults().await {
        tracing::warn!(%error, "cannot see what the server gives new sessions");
    }
}

/// Makes settings the session's, which the connection has already.
fn take_settings(connections: &mut Connections, index: ConnectionId, settings: Settings) {
    let settings = Arc::new(settings);
    connections.attached[index].lease.note_settings(&settings);
    connections.mirror.enter_settings(settings);
    connections.end_unopened();
}

/// Asks for system variables that a stored routine may have set.
pub(super) async fn system_variables_may_change(
    connections: &mut Connections,
    index: ConnectionId,
    names: Vec<String>,
) {
    let mut settings = Settings::clone(&connections.mirror.settings);
    let mut asked = Vec::new();
    for name in names {
        match system_variable::keeping(&name) {
            Some(Keeping::ByValue | Keeping::Charset) => asked.push(name),
            Some(Keeping::LastInsertId) => connections.attached[index].insert_id_unknown = true,
            Some(Keeping::NextInsert) => connections.hold(index, Hold::InsertId),
            Some(Keeping::Pins(reason)) => connections.hold(index, Hold::of_variable(reason)),
            Some(Keeping::ReadOnly) | None => {}
        }
    }
    if asked.is_empty() {
        return;
    }
    let values = ask_back(connections, index, &asked).await;
    for (name, literal) in asked.into_iter().zip(values) {
        settings.set(&name, literal);
    }
    take_settings(connections, index, settings);
}

/// The literals of session variables' present values at a server. Those that cannot be asked
/// for keep the connection.
async fn ask_back(
    connections: &mut Connections,
    index: ConnectionId,
    names: &[String],
) -> Vec<Vec<u8>> {
    if names.is_empty() {
        return Vec::new();
    }
    diagnostics::learn_warnings(connections).await;
    let lease = &mut connections.attached[index].lease;
    let columns: Vec<String> = names
        .iter()
        .map(|name| format!("@@session.{}", lease.kind().variable_name(name)))
        .map(|name| format!("{name}, HEX(CONVERT({name} USING utf8mb4))"))
        .collect();
    let question = format!("SELECT {}", columns.join(", "));
    let answer = lease.ask(question.as_bytes()).await;
    let found = answer.ok().and_then(|answer| {
        let cells = answer.rows.first()?.chunks(2).zip(answer.columns.chunks(2));
        let literals = cells.map(|(cells, columns)| {
            let text = cells[1].as_ref().map(|hex| ascii(hex));
            value_literal(text.as_deref(), columns[0].kind.is_number())
        });
        literals.collect::<Option<Vec<_>>>()
    });
    found.unwrap_or_else(|| {
        connections.hold(index, Hold::Lasting("a variable that cannot be read"));
        Vec::new()
    })
}

/// What one assignment changes.
fn changes_of(services: &Services, item: &SetItem, text: &[u8]) -> Result<Vec<Change>, SqlError> {
    let bytes = |span: &Span| text.get(span.start as usize..span.end as usize).unwrap_or_default();
    Ok(vec![match item {
        SetItem::Names { charset: Some(charset), collation } => {
            let collation = collation.as_deref().map(Into::into);
            Change::Names(Names { charset: charset.as_str().into(), collation })
        }
        SetItem::Names { charset: None, .. } | SetItem::CharacterSet(_) => {
            return Ok(charset_variables());
        }
        SetItem::User { name, value, value_span, .. } => match value {
            SetValue::Literal(_) if name.is_ascii() && plain_literal(bytes(value_span)) => {
                Change::Set(format!("@{name}"), bytes(value_span).to_vec())
            }
            SetValue::Null if name.is_ascii() => Change::Unset(format!("@{name}")),
            _ => Change::UserVariable(name.clone()),
        },
        SetItem::Transaction { scope: Scope::Session, isolation, access } => {
            return Ok(session_transaction(*isolation, *access));
        }
        SetItem::Transaction { .. } => Change::Elsewhere,
        SetItem::System { scope, name, value, value_span, .. } => {
            let persists = matches!(scope, Scope::Persist | Scope::PersistOnly);
            // MariaDB knows no such word, and says so itself.
            if persists && !services.server_version.contains("MariaDB") {
                let what = "SET PERSIST, which would change a server's own configuration";
                return Err(catalog::UNSUPPORTED.advising(&[&what], "SET it for the session"));
            }
            let change = system_change(*scope, name, value, bytes(value_span));
            if let [Change::Set(name, on)] = &change[..]
                && name == "sql_auto_is_null"
                && on == b"1"
            {
                // The row is that of an INSERT just before it on the same connection.
                let what = "SET sql_auto_is_null = 1";
                return Err(catalog::UNSUPPORTED.advising(&[&what], "ask for LAST_INSERT_ID()"));
            }
            return Ok(change);
        }
        SetItem::CanaryPercent(_) => Change::Hold(Hold::Lasting("SET CANARY")),
        SetItem::Other(span) => return Ok(other_change(bytes(span))),
    }])
}

/// Whether a SET asks for the mark that some state has changed.
fn state_marks(changes: &[Change]) -> Option<StateMarks> {
    changes.iter().rev().find_map(|change| match change {
        Change::StateMarks(marks) => Some(*marks),
        _ => None,
    })
}
