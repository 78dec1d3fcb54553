//! An execution of a prepared statement on one server: the connection, the server's statement, and
//! the command.

use std::borrow::Cow;
use std::sync::Arc;

use crate::backend::{
    Aligned, Arrival, Exclusive, Failure, Fresh, Keeper, Lease, Need, Owner, PrepareError,
    ServerStatement, Settings, reading_key,
};
use crate::error::{SqlError, catalog};
use crate::geo;
use crate::net::Packet;
use crate::sql::features::Features;
use crate::topology::ShardId;
use crate::wire::command::code;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::{CURSOR_MASK, Execute, TypesCarried, patch_statement_id};

use super::Services;
use super::answer::Stop;
use super::cached::OneShard;
use super::connections::Connections;
use super::consistency;
use super::consistency::{Aim, ReadOptions};
use super::diagnostics;
use super::exchange;
use super::exchange::{Exchanged, KEPT_MAX};
use super::fill_in;
use super::forward;
use super::mirror::Mirror;
use super::prepared::Prepared;
use super::remembered::{Found, ReadingNow};
use super::shard_connections::ConnectionId;
use super::state::State;
use crate::executor::client::Client;

/// Errors that only rows can cause, so that the server has taken the parameters before: keys that
/// are there already, and foreign keys.
const OF_ROWS: [u16; 7] = [1022, 1062, 1216, 1217, 1451, 1452, 1586];

/// What the execution of a client's prepared statement needs of a server.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The server statement.
    pub(super) need: Need,
    /// The settings to prepare it under, if the session has others now.
    pub(super) then: Option<Arc<Settings>>,
}

impl Wanted {
    /// A statement without parameters that means the same under the present settings.
    pub(super) const PLAIN: Self = Self { need: Need::AS_PREPARED, then: None };
}

/// What the execution needs that was bound last.
pub(super) fn wanted(
    services: &Services,
    mirror: &Mirror,
    prepared: &mut Prepared,
    id: u32,
) -> Wanted {
    let (definitions, settings) = (services.definitions(), &mirror.settings);
    let Some(statement) = prepared.get_mut(id) else { return Wanted::PLAIN };
    let same = statement.under.still_holds(settings);
    let reading = if same { ReadingNow::Same } else { ReadingNow::Other };
    let found = Found { settings, definitions, reading };
    let need = statement.remembered.need(found);
    Wanted { need, then: (!same).then(|| statement.under.settings(settings)) }
}

/// The server statement that an execution under the present settings needs.
pub(super) fn need_of(
    services: &Services,
    mirror: &Mirror,
    prepared: &mut Prepared,
    id: u32,
) -> Option<Need> {
    let (definitions, settings) = (services.definitions(), &mirror.settings);
    let found = Found { settings, definitions, reading: ReadingNow::Same };
    Some(prepared.get_mut(id)?.remembered.need(found))
}

/// One execution of a client's prepared statement.
#[derive(Debug)]
pub(super) struct Executing {
    /// The statement's number.
    pub(super) id: u32,
    /// The command.
    pub(super) packet: Packet,
    pub(super) execute: Execute,
}

impl Executing {
    /// Whether the client wants a cursor.
    pub(super) fn wants_cursor(&self) -> bool {
        self.execute.header.flags & CURSOR_MASK != 0
    }
}

/// Where an execution runs.
#[derive(Debug)]
pub(super) struct Goal<'a> {
    shard: ShardId,
    access: geo::Access,
    anywhere: bool,
    hints: Option<ReadOptions>,
    wants_insert_id: bool,
    /// The schema on the server, if it is not the session's database.
    database: Option<Cow<'a, [u8]>>,
}

impl Goal<'_> {
    pub(super) fn aim(&self) -> Aim<'_> {
        Aim {
            shard: self.shard,
            access: self.access,
            hints: self.hints.as_ref(),
            wants_insert_id: self.wants_insert_id,
            anywhere: self.anywhere,
        }
    }
}

/// Where the execution of a statement runs: on the shard that was found, else on the only server.
pub(super) fn goal_of<'a>(
    connections: &Connections,
    state: &State,
    prepared: &Prepared,
    id: u32,
    found: Option<&'a OneShard>,
) -> Result<Goal<'a>, SqlError> {
    let Some(statement) = prepared.get(id) else {
        return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]));
    };
    let wants_insert_id = forward::may_read_insert_id(statement.kind, statement.features);
    if let Some(OneShard { shard, access, anywhere, topology }) = found {
        let database = topology.keyspace(shard.keyspace()).database.as_bytes();
        let (shard, access, anywhere) = (*shard, *access, *anywhere);
        let database = Some(Cow::Borrowed(database));
        return Ok(Goal { shard, access, anywhere, hints: None, wants_insert_id, database });
    }
    let only = connections.mode.only();
    let unserved = || catalog::UNSUPPORTED.with(&[&"prepared statements over several servers"]);
    Ok(Goal {
        shard: only.ok_or_else(unserved)?,
        access: geo::access(statement.kind, statement.features),
        anywhere: false,
        hints: consistency::hints(connections, state, &statement.text(), statement.features)?,
        wants_insert_id,
        database: statement
            .under
            .other_database(&state.database, statement.features)
            .map(Cow::Owned),
    })
}

/// A connection on which the statement is prepared, and its number there, if no server has to be
/// asked or told anything for it.
pub(super) fn attach_at_once(
    client: &Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    goal: &Goal<'_>,
) -> Option<(ConnectionId, Handle)> {
    let features = prepared.get(id)?.features;
    if features.contains(Features::USER_VARIABLE) || fill_in::asks_session(features) {
        return None;
    }
    let wanted = wanted(&connections.services, &connections.mirror, prepared, id);
    if wanted.need.fresh != Fresh::WillDo || wanted.then.is_some() {
        return None;
    }
    let placement = {
        let topology = connections.services.topology();
        consistency::place(connections, state, &topology, &goal.aim()).ok()?
    };
    let database = goal.database.as_deref().unwrap_or(&state.database);
    let index = connections.attach_at_once(client, placement, database, goal.wants_insert_id)?;
    let text = &prepared.get(id)?.text;
    let known = connections.attached[index].lease.known(text, &wanted.need, text)?;
    Some((index, Handle::Shared(known)))
}

/// The same, whatever it takes.
pub(super) async fn attach_for_execute(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    goal: &Goal<'_>,
    wants_cursor: bool,
) -> Result<(ConnectionId, Handle), SqlError> {
    let Some(statement) = prepared.get(id) else {
        return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]));
    };
    let (text, features) = (statement.text(), statement.features);
    if features.contains(Features::USER_VARIABLE) {
        Box::pin(connections.learn_all_user_variables()).await;
    }
    let wanted = wanted(&connections.services, &connections.mirror, prepared, id);
    if wanted.need.fresh != Fresh::WillDo {
        Box::pin(go_to_remembered(client, connections, prepared, id)).await;
    }
    let filled = if fill_in::asks_session(features) {
        let database = goal.database.as_deref().unwrap_or(&state.database);
        Box::pin(fill_in::filled_text(connections, state, &text, features, database)).await
    } else {
        None
    };
    let text = filled.unwrap_or(text);
    let attached = match &goal.database {
        Some(database) => {
            consistency::attach_placed(client, connections, state, &goal.aim(), database).await
        }
        None => {
            let own = std::mem::take(&mut state.database);
            let attached =
                consistency::attach_placed(client, connections, state, &goal.aim(), &own).await;
            state.database = own;
            attached
        }
    };
    let index = attached?;
    if wanted.then.is_none()
        && !wants_cursor
        && let Some(known) = connections.attached[index].lease.known(&text, &wanted.need, &text)
    {
        return Ok((index, Handle::Shared(known)));
    }
    let database = goal.database.as_deref().unwrap_or(&state.database);
    let found = server_statement(connections, index, &text, &text, &wanted, database, wants_cursor);
    match Box::pin(found).await {
        Ok(handle) => Ok((index, handle)),
        Err(error) => Err(Box::pin(fail_prepare(connections, index, error)).await),
    }
}

/// The server statement for a text on a connection, prepared under what it was prepared under
/// by the client: a USE or SET since then changes nothing in what it means. `database` is that
/// of the connection, which counts if `wanted` has other settings.
pub(super) async fn server_statement(
    connections: &mut Connections,
    index: ConnectionId,
    text: &[u8],
    owner: &Owner,
    wanted: &Wanted,
    database: &[u8],
    wants_cursor: bool,
) -> Result<Handle, PrepareError> {
    let lease = &mut connections.attached[index].lease;
    let Some(then) = &wanted.then else {
        return prepared(lease, text, owner, &wanted.need, wants_cursor).await;
    };
    let key = reading_key(database, then);
    if !wants_cursor
        && let Some(known) = lease.statements.find_under(&key, text, &wanted.need, owner)
    {
        return Ok(Handle::Shared(known));
    }
    if wanted.need.fresh == Fresh::WillNotDo {
        return Err(PrepareError::TypesLost);
    }
    let aligned = |settings| Aligned { settings, database, last_insert_id: None };
    lease.align(&aligned(then)).await?;
    let handle = prepared(lease, text, owner, &wanted.need, wants_cursor).await;
    lease.align(&aligned(&connections.mirror.settings)).await?;
    handle
}

/// What it means for the session that there is no server statement.
pub(super) async fn fail_prepare(
    connections: &mut Connections,
    index: ConnectionId,
    error: PrepareError,
) -> SqlError {
    match error {
        PrepareError::Failed(failure) => connections.fail(index, failure).await,
        PrepareError::TypesLost => {
            // It was kept for an execution that does not come.
            connections.attached[index].held = false;
            connections.settle_quietly(index).await;
            catalog::STATEMENT_LOST.error()
        }
    }
}

/// Goes to the connection that has the server statement which knows best how to read the
/// parameters. Where that is not possible the execution finds nothing there, and is refused if
/// no other will do.
async fn go_to_remembered(
    client: &mut Client,
    connections: &mut Connections,
    prepared: &Prepared,
    id: u32,
) {
    let home = prepared.get(id).and_then(|statement| statement.remembered.home());
    if let Some(home) = home {
        diagnostics::wait_for_home(client, connections, home).await;
    }
}

/// Notes what a server remembers of an execution.
pub(super) fn note_remembered(
    connections: &mut Connections,
    prepared: &mut Prepared,
    index: ConnectionId,
    id: u32,
    handle: &mut Handle,
    outcome: &Outcome,
) {
    let home = connections.attached[index].home();
    let Some(statement) = prepared.get_mut(id) else { return };
    if outcome.error.is_none_or(|number| OF_ROWS.contains(&number)) {
        return statement.remembered.note_executed(home, handle.keeper());
    }
    let (arrival, keeper) = (handle.arrival(), handle.keeper());
    let state = statement.remembered.note_failed(home, arrival, keeper);
    match (handle, state) {
        (Handle::Shared(statement), state) => {
            connections.attached[index].lease.statements.note_failed(statement.id, state);
        }
        (Handle::Exclusive(statement), Some(state)) => statement.note_state(state),
        (Handle::Exclusive(_), None) => {}
    }
}

/// Executes a statement and relays the answer. The command is dropped from the client's buffer
/// unless it is a read that was lost.
pub(super) async fn exchange_execute(
    client: &mut Client,
    connections: &mut Connections,
    prepared: &mut Prepared,
    index: ConnectionId,
    executing: &Executing,
    server_id: u32,
) -> Result<Exchanged, Stop> {
    let kept = executing.packet.len <= KEPT_MAX && connections.may_run_again(index);
    let lease = &mut connections.attached[index].lease;
    let sent = send_execute(client, lease, prepared, executing, server_id).await;
    if !kept {
        prepared.clear_long_data(executing.id);
        client.drop_command();
    }
    let first_sequence = match sent {
        Ok(first_sequence) => first_sequence,
        Err(failure) if kept => return Ok(connections.lose_read(index, &failure)),
        Err(failure) => return Err(connections.lose(index, &failure).into()),
    };
    let end = connections.answer_end();
    let exchanged =
        exchange::relay_once(client, connections, index, first_sequence, kept, end).await?;
    if kept && !matches!(exchanged, Exchanged::Lost(_)) {
        prepared.clear_long_data(executing.id);
        client.drop_command();
    }
    Ok(exchanged)
}

/// Sends pending long data and the execution. Gives the sequence id that the answer begins
/// with.
async fn send_execute(
    client: &mut Client,
    lease: &mut Lease,
    prepared: &Prepared,
    executing: &Executing,
    server_id: u32,
) -> Result<u8, Failure> {
    let Executing { id, packet, execute } = executing;
    let Some(statement) = prepared.get(*id) else { return Ok(1) };
    for (param, data) in &statement.long_data {
        let mut argument = server_id.to_le_bytes().to_vec();
        argument.extend_from_slice(&param.to_le_bytes());
        argument.extend_from_slice(data);
        Box::pin(lease.send_command(code::STMT_SEND_LONG_DATA, &argument)).await?;
    }
    let attributes = client.sends_attributes().then_some(&client.attributes);
    let payload = client.framed.payload_mut(*packet);
    let mut sent = packet.len;
    if execute.types == TypesCarried::Yes {
        patch_statement_id(payload, server_id)?;
        if packet.len < MAX_PAYLOAD {
            lease.send(client.framed.framed(*packet)).await?;
        } else {
            Box::pin(lease.send_payload(payload)).await?;
        }
    } else {
        let mut changed = Vec::with_capacity(payload.len() + 4 * statement.bound.len());
        execute.encode(&mut changed, server_id, payload, &statement.bound, attributes);
        lease.send_payload(&changed).await?;
        sent = changed.len();
    }
    let first_sequence = crate::backend::first_answer_sequence(sent);
    let expect = if executing.wants_cursor() { Expect::Cursor } else { Expect::Query };
    lease.expect(expect, first_sequence);
    Ok(first_sequence)
}

/// The server statement for a text under the settings that a connection has now.
async fn prepared(
    lease: &mut Lease,
    text: &[u8],
    owner: &Owner,
    need: &Need,
    wants_cursor: bool,
) -> Result<Handle, PrepareError> {
    Ok(if wants_cursor {
        Handle::Exclusive(lease.prepare_exclusive(text, need).await?)
    } else {
        Handle::Shared(lease.prepare(text, need, owner).await?)
    })
}

/// A statement prepared on a connection.
#[derive(Debug)]
pub(super) enum Handle {
    /// Others may execute it too.
    Shared(ServerStatement),
    /// For one cursor.
    Exclusive(Exclusive),
}

impl Handle {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Shared(statement) => statement.id,
            Self::Exclusive(statement) => statement.id,
        }
    }

    fn arrival(&self) -> Arrival {
        match self {
            Self::Shared(statement) => statement.arrival,
            Self::Exclusive(statement) => statement.arrival,
        }
    }

    fn keeper(&self) -> Option<&Keeper> {
        match self {
            Self::Shared(statement) => statement.keeper.as_ref(),
            Self::Exclusive(statement) => statement.keeper.as_ref(),
        }
    }
}
