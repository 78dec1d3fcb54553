//! USE and COM_INIT_DB: the session's database.

use std::sync::Arc;

use crate::backend::Product;
use crate::planner::input::Target;
use crate::sql::control::use_target;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::topology::{KeyspaceIndex, ShardId};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran, Stop, Way, Went};
use super::attached;
use super::connections::{Connections, Mode};
use super::consistency;
use super::diagnostics;
use super::exchange;
use super::forward;
use super::hold::{ascii, first_cell};
use super::request::{Request, Source};
use super::shard_connections::ConnectionId;
use super::state::State;
use super::target;
use super::tracking;
use crate::executor::client::Client;

/// A statement on a connection has defined databases or dropped some. Servers do not tell in
/// every case that the session's own is gone.
#[cold]
pub(super) async fn databases_changed(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    kind: StatementKind,
) {
    connections.services.pool(connections.attached[index].placement).note_definition();
    let single = connections.mode.is_single();
    if kind != StatementKind::Drop || !single || state.database.is_empty() {
        return;
    }
    diagnostics::learn_warnings(connections).await;
    let lease = &mut connections.attached[index].lease;
    if let Ok(rows) = lease.rows(b"SELECT DATABASE() IS NULL").await
        && first_cell(rows).is_some_and(|is_null| ascii(&is_null) == "1")
    {
        lease.note_database(b"");
        connections.control.set_database(b"");
        state.database.clear();
    }
}

/// USE.
pub(super) async fn statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
) -> Went {
    let text = request.text(client).to_vec();
    client.drop_command();
    let name = use_target::argument(&text, connections.mirror.lex_mode, &state.scan);
    let command = [&[code::QUERY], &text[..]].concat();
    use_database(client, connections, state, &name, command).await.map(Way::Answered)
}

/// USE and COM_INIT_DB; `command` is the packet as it came. `name` may end in a role:
/// `keyspace@replica`.
pub(super) async fn use_database(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    name: &[u8],
    command: Vec<u8>,
) -> Ran {
    match connections.mode {
        Mode::Single(shard) => {
            use_at_server(client, connections, state, shard, name, command).await
        }
        Mode::Several => use_keyspace(connections, state, name).map(|()| Answer::ok(0)),
    }
}

/// USE of a keyspace. Which there are is known here; no server has to be asked.
fn use_keyspace(connections: &mut Connections, state: &mut State, name: &[u8]) -> Result<(), Stop> {
    let topology = connections.services.topology.load_full();
    let name = match connections.mirror.character_sets.name(name) {
        Some(name) => name.into_owned().into_bytes(),
        None => name.to_vec(),
    };
    let target = target::parse(&name, &state.target, &topology)?;
    let keyspace = target.keyspace.as_deref();
    let keyspace = keyspace.and_then(|name| topology.find_keyspace(name));
    state.keyspace = keyspace.map(KeyspaceIndex::index);
    state.reading.target = target::role(&name);
    state.target = target;
    connections.control.set_database(&name);
    tracking::track_schema(connections, &name);
    state.database = name;
    Ok(())
}

/// USE of a database of the only server.
async fn use_at_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    shard: ShardId,
    name: &[u8],
    command: Vec<u8>,
) -> Ran {
    let topology = connections.services.topology.load_full();
    let (name, role) = target::split_role(name);
    if name.is_empty() && role.is_some() {
        state.reading.target = role;
        return Ok(Answer::ok(0));
    }
    let placement = consistency::place_anywhere(connections, state, &topology, shard)?;
    // The server is asked by the connection's own change of database: the present one need not
    // exist any more. Here names are UTF-8; one that cannot be converted is told by the server.
    let known =
        connections.mirror.character_sets.name(name).map(|name| name.into_owned().into_bytes());
    let mut attached = match &known {
        Some(known) if known.is_ascii() => {
            connections.attach(client, placement, known, false).await
        }
        _ => attached::attach_here(client, connections, state, placement, false).await,
    };
    if let (Err(_), Some(known)) = (&attached, &known) {
        attached = connections.attach(client, placement, known, false).await;
    }
    let index = attached?;
    let command = if role.is_some() { init_db(name) } else { command };
    let name = known.as_deref().unwrap_or(name);
    // MySQL keeps the warnings of the statement before a COM_INIT_DB.
    let keeps =
        command.first() == Some(&code::INIT_DB) && connections.services.product() == Product::MySql;
    let kind = if keeps { StatementKind::Diagnostics } else { StatementKind::Use };
    let outcome =
        exchange::exchange(client, connections, index, &Source::Payload(command), Expect::OkOrErr)
            .await?;
    if !outcome.is_error() {
        connections.attached[index].lease.note_database(name);
        connections.control.set_database(name);
        state.database = name.to_vec();
        state.reading.target = role;
        let known = std::str::from_utf8(name).ok();
        let keyspace = known.and_then(|name| topology.find_keyspace(name));
        state.keyspace = keyspace.map(KeyspaceIndex::index);
        state.target = Target {
            keyspace: keyspace.map(|index| Arc::clone(&topology.keyspace(index).name)),
            ..Target::default()
        };
    }
    forward::after_statement(connections, state, index, kind, Features::NONE, &outcome).await;
    Ok(Answer::Sent)
}

/// COM_INIT_DB.
pub(super) fn init_db(name: &[u8]) -> Vec<u8> {
    [&[code::INIT_DB], name].concat()
}
