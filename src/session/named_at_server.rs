//! PREPARE, EXECUTE and DEALLOCATE PREPARE in SQL over one server: sent there as they are, so that
//! a statement is executed again rather than prepared again, and warnings come when they are due.
//!
//! The connection is not kept. If somebody else has used it when EXECUTE comes, `text_prepared`
//! runs the text that was remembered.

use std::sync::Arc;

use crate::backend::Owner;
use crate::error::SqlError;
use crate::sql::control::prepare::{Source as TextSource, Using};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::answer::{Answer, Ran};
use super::attached;
use super::connections::Connections;
use super::consistency;
use super::consistency::Judges;
use super::diagnostics;
use super::exchange;
use super::forward;
use super::hold::Hold;
use super::named::{self, Named, bytes};
use super::prepared::Prepared;
use super::request::Source;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::text_prepared;
use crate::executor::client::Client;

/// What PREPARE and DEALLOCATE PREPARE are for the session: they change what it knows of.
const KNOWN: StatementKind = StatementKind::Use;

/// PREPARE.
pub(super) async fn prepare_at_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    command: Vec<u8>,
    name: String,
    source: TextSource,
) -> Ran {
    prepared.has_room()?;
    let index = attach_for_names(client, connections, state).await?;
    diagnostics::forget_warnings(connections);
    let request = Source::query(&command);
    let outcome = exchange::exchange_statement(client, connections, index, &request).await?;
    if outcome.is_error() {
        connections.attached[index].lease.named.drop(&name);
    } else {
        connections.attached[index].lease.named.note(&name);
        let named = learn_named(client, connections, state, index, &command, source).await;
        if let Some(named) = named {
            prepared.by_name.insert(name, Arc::new(named));
        }
    }
    forward::after_statement(connections, state, index, KNOWN, Features::NONE, &outcome).await;
    Ok(client.answered())
}

/// What was prepared; `None` if it cannot be read, so that only its connection knows.
async fn learn_named(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    index: ConnectionId,
    command: &[u8],
    source: TextSource,
) -> Option<Named> {
    let home = connections.attached[index].home();
    let text: Owner = match source {
        TextSource::Text(text) => text.into(),
        TextSource::Expression(span) => {
            // It has warnings of its own to be asked for later.
            connections.attached[index].held = true;
            match text_prepared::value_of(client, connections, state, bytes(command, span)).await {
                Ok(text) => text.into(),
                Err(_) => {
                    hold_home(connections, home, "PREPARE");
                    return None;
                }
            }
        }
    };
    let at_home = connections.attached.iter().find(|attached| attached.home() == home);
    let kind = at_home.map(|attached| attached.lease.kind().clone());
    let Ok(mut named) = named::read_named(connections, state, text, kind.as_ref()) else {
        hold_home(connections, home, "PREPARE");
        return None;
    };
    named.home = Some(home);
    Some(named)
}

/// Keeps the connection, if it is there, because only it has what was prepared.
fn hold_home(connections: &mut Connections, home: super::diagnostics::Home, reason: &'static str) {
    if let Some(index) = connections.attached.find(|attached| attached.home() == home) {
        connections.hold(index, Hold::Lasting(reason));
    }
}

/// A connection for names, with those of other sessions dropped.
async fn attach_for_names(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
) -> Result<ConnectionId, SqlError> {
    let topology = connections.services.topology().clone();
    let (placement, database) =
        consistency::any_server(connections, state, &topology, Judges::Primary)?;
    let index = connections.attach(client, placement, &database, false).await?;
    let session = connections.control.id;
    match connections.attached[index].lease.own_names(session).await {
        Ok(()) => Ok(index),
        Err(failure) => Err(connections.fail(index, failure).await),
    }
}

/// The connection that has a statement under its name.
pub(super) fn name_at_server(
    connections: &mut Connections,
    state: &State,
    name: &str,
    named: &Named,
) -> Option<ConnectionId> {
    if named.is_about_session() || connections.asks_for_own(named.features, &state.database) {
        return None;
    }
    let index = diagnostics::go_home(connections, named.home?)?;
    let attached = &mut connections.attached[index];
    let has = attached.lease.named.has(connections.control.id, name);
    if has {
        attached.held = true;
    }
    has.then_some(index)
}

/// The same after whoever has used it since; waits while somebody does.
pub(super) async fn wait_for_name(
    client: &mut Client,
    connections: &mut Connections,
    name: &str,
    named: &Named,
) -> Option<ConnectionId> {
    let home = named.home?;
    diagnostics::wait_for_home(client, connections, home).await;
    let session = connections.control.id;
    let index = connections.attached.find(|attached| attached.home() == home)?;
    connections.attached[index].lease.named.has(session, name).then_some(index)
}

/// EXECUTE where the statement was prepared.
pub(super) async fn execute_at_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    command: Vec<u8>,
    named: &Named,
    using: &Using,
) -> Ran {
    if using.len() != named.params {
        return run_at_server(client, connections, state, command, StatementKind::Execute).await;
    }
    let parameters: Vec<&[u8]> = using.iter().map(|span| bytes(&command, *span)).collect();
    named::note_named(connections, state, named, &parameters);
    let placement = connections.attached[index].placement;
    let wants_insert_id = forward::may_read_insert_id(named.kind, named.features);
    let index =
        attached::attach_here(client, connections, state, placement, wants_insert_id).await?;
    let home = connections.attached[index].home();
    let request = Source::query(&command);
    let outcome = exchange::exchange_statement(client, connections, index, &request).await?;
    named.note_executed(home, &outcome);
    // A SET with parameters has not been read: whatever it set stays with this session.
    let kind = if named.kind == StatementKind::Set { StatementKind::Other } else { named.kind };
    forward::after_statement(connections, state, index, kind, named.features, &outcome).await;
    Ok(client.answered())
}

/// DEALLOCATE PREPARE of what is `known`, or was prepared by a stored procedure.
pub(super) async fn deallocate_at_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: Vec<u8>,
    name: &str,
    known: Option<&Named>,
) -> Ran {
    let Some(known) = known else {
        return run_at_server(client, connections, state, command, StatementKind::Deallocate).await;
    };
    let session = connections.control.id;
    let at_home = known.home.and_then(|home| diagnostics::go_home(connections, home));
    let index = at_home.filter(|at| connections.attached[*at].lease.named.has(session, name));
    let Some(index) = index else { return Ok(Answer::ok(0)) };
    let request = Source::query(&command);
    connections.attached[index].lease.named.drop(name);
    let outcome = exchange::exchange_statement(client, connections, index, &request).await?;
    forward::after_statement(connections, state, index, KNOWN, Features::NONE, &outcome).await;
    Ok(client.answered())
}

/// A statement about a name that the session does not know.
pub(super) async fn run_at_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: Vec<u8>,
    kind: StatementKind,
) -> Ran {
    let index = attach_for_names(client, connections, state).await?;
    let request = Source::query(&command);
    let outcome = exchange::exchange_statement(client, connections, index, &request).await?;
    if kind == StatementKind::Execute && !outcome.is_error() {
        connections.hold(index, Hold::Unwipeable("EXECUTE of what a procedure has prepared"));
    }
    forward::after_statement(connections, state, index, kind, Features::NONE, &outcome).await;
    Ok(client.answered())
}

/// Goes to the connection that has the session's names, for a statement that may use them.
pub(super) fn go_to_names(connections: &mut Connections, prepared: &Prepared, kind: StatementKind) {
    use StatementKind as Of;
    let uses = matches!(kind, Of::Prepare | Of::Execute | Of::Deallocate | Of::Call | Of::Compound);
    if !uses || prepared.by_name.is_empty() {
        return;
    }
    let homes: Vec<_> = prepared.by_name.values().filter_map(|named| named.home).collect();
    for home in homes {
        if let Some(index) = diagnostics::go_home(connections, home) {
            connections.attached[index].held = true;
            return;
        }
    }
}
