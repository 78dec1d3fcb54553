//! Server-side cursors: an execution that answers with columns only, and COM_STMT_FETCH.
//!
//! Over one server the cursor is the server's, on a statement that nobody else executes, and the
//! connection stays with the session while it is open. Over several shards each of them has a
//! cursor and the rows are merged as they are fetched. Rows that Geogate made itself wait here.
//! As on servers a cursor outlives its transaction: the server has its rows already.

use std::collections::VecDeque;

use crate::backend::{Exclusive, Owner};
use crate::engine::merge_cursor::{MergeCursor, Step};
use crate::error::{SqlError, catalog};
use crate::executor::stream::{Next, ResultStream, StreamError, Watch};
use crate::memory::Reservation;
use crate::net::Packet;
use crate::topology::ServerId;
use crate::wire::command::code;
use crate::wire::ok::OkPacket;
use crate::wire::packet::build_packet;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::patch_statement_id;
use crate::wire::status::StatusFlags;

use super::answer::{Answer, End, Ran, Stop};
use super::connections::Connections;
use super::exchange;
use super::prepared::Prepared;
use super::reply;
use super::request::Source;
use super::run::malformed;
use super::scatter;
use super::shard_connections::ConnectionId;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_on_server;

/// The open cursor of a client's prepared statement.
#[derive(Debug)]
pub(super) enum Cursor {
    /// The server's own.
    Server(ServerCursor),
    /// Rows that Geogate made, as payloads.
    Kept(KeptRows),
    /// A cursor on each of several shards.
    Merged(Box<Merged>),
}

/// Rows of Geogate's own that are still to be fetched.
#[derive(Debug)]
pub(super) struct KeptRows {
    rows: VecDeque<Vec<u8>>,
    _held: Reservation,
}

impl KeptRows {
    /// These rows, under this reservation.
    pub(super) fn new(rows: VecDeque<Vec<u8>>, mut held: Reservation) -> Self {
        held.note(rows.iter().map(|row| row.len() + size_of::<Vec<u8>>()).sum());
        Self { rows, _held: held }
    }
}

/// A cursor on a connection of this session.
#[derive(Debug)]
pub(super) struct ServerCursor {
    pub(super) server: ServerId,
    /// Tells the connection from a later one to the same server.
    pub(super) thread_id: u32,
    pub(super) statement: Exclusive,
}

/// Cursors whose rows are merged.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) merge: MergeCursor,
    /// The shards' cursors; `None` where all rows were read.
    pub(super) servers: Vec<Option<ServerCursor>>,
}

/// Rows that are merged before they are written.
const STEP: usize = 256;
/// Output that is sent before the fetch ends.
const SEND_AT: usize = 32 << 10;

/// Puts a row into the output buffer, which is sent when it is full.
async fn put_row(client: &mut Client, connections: &Connections, row: &[u8]) -> Result<(), End> {
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        out.extend_from_slice(row);
    });
    if client.framed.out.len() < SEND_AT { Ok(()) } else { reply::send(client, connections).await }
}

/// COM_STMT_FETCH.
pub(super) async fn fetch(
    client: &mut Client,
    connections: &mut Connections,
    prepared: &mut Prepared,
    packet: Packet,
    id: u32,
    rows: u32,
) -> Ran {
    let id = prepared.named_by(id);
    let Some(statement) = prepared.get_mut(id) else {
        let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_FETCH"]);
        return Err(error.into());
    };
    match statement.cursor.take() {
        None => Err(catalog::NO_CURSOR.with(&[&id]).into()),
        Some(Cursor::Server(cursor)) => {
            fetch_from_server(client, connections, prepared, packet, id, cursor).await
        }
        Some(Cursor::Kept(kept)) => {
            client.drop_command();
            fetch_kept(client, connections, prepared, id, kept, rows).await
        }
        Some(Cursor::Merged(merged)) => {
            client.drop_command();
            fetch_merged(client, connections, prepared, id, merged, rows).await
        }
    }
}

async fn fetch_from_server(
    client: &mut Client,
    connections: &mut Connections,
    prepared: &mut Prepared,
    packet: Packet,
    id: u32,
    cursor: ServerCursor,
) -> Ran {
    let Some(index) = index_of_cursor(connections, &cursor) else {
        return Err(catalog::CURSOR_LOST.error().into());
    };
    let payload = client.framed.payload_mut(packet);
    if patch_statement_id(payload, cursor.statement.id).is_err() {
        return Err(malformed("COM_STMT_FETCH"));
    }
    let outcome =
        exchange::exchange(client, connections, index, &Source::Packet(packet), Expect::Fetch)
            .await?;
    let server = cursor.server;
    if outcome.status.contains(StatusFlags::LAST_ROW_SENT) {
        let owner = prepared.owner(id);
        end_server_cursor(connections, owner, cursor, Reuse::Yes).await;
    } else if outcome.is_error() {
        let owner = prepared.owner(id);
        end_server_cursor(connections, owner, cursor, Reuse::No).await;
    } else if let Some(statement) = prepared.get_mut(id) {
        statement.cursor = Some(Cursor::Server(cursor));
    }
    if let Some(index) = connections.index_of(server) {
        connections.settle(index, &outcome).await;
    }
    Ok(Answer::Sent)
}

async fn fetch_kept(
    client: &mut Client,
    connections: &Connections,
    prepared: &mut Prepared,
    id: u32,
    mut kept: KeptRows,
    rows: u32,
) -> Ran {
    let count = (rows as usize).min(kept.rows.len());
    for row in kept.rows.drain(..count) {
        put_row(client, connections, &row).await?;
    }
    let more = count == rows as usize;
    if more && let Some(statement) = prepared.get_mut(id) {
        statement.cursor = Some(Cursor::Kept(kept));
    }
    Ok(end_of_fetch(client, connections, more))
}

async fn fetch_merged(
    client: &mut Client,
    connections: &mut Connections,
    prepared: &mut Prepared,
    id: u32,
    mut merged: Box<Merged>,
    rows: u32,
) -> Ran {
    let mut left = rows as usize;
    let mut ended = false;
    while left > 0 && !ended {
        match merged.merge.advance(left.min(STEP)) {
            Ok(Step::Ready) => {}
            Ok(Step::End) => ended = true,
            Ok(Step::Needs(shard)) => {
                let owner = prepared.owner(id);
                match refill(client, connections, owner, &mut merged, shard, rows).await? {
                    Ok(()) => continue,
                    Err(error) => return fail_merged(connections, merged, error).await,
                }
            }
            Err(error) => return fail_merged(connections, merged, error).await,
        }
        while left > 0
            && let Some(row) = merged.merge.take()
        {
            put_row(client, connections, &row).await?;
            left -= 1;
        }
        ended &= merged.merge.ready() == 0;
    }
    // As on servers: the end is found by reading beyond it.
    let more = left == 0;
    if more {
        if let Some(statement) = prepared.get_mut(id) {
            statement.cursor = Some(Cursor::Merged(merged));
        }
    } else {
        close_merged(connections, *merged).await;
    }
    Ok(end_of_fetch(client, connections, more))
}

async fn fail_merged(connections: &mut Connections, merged: Box<Merged>, error: SqlError) -> Ran {
    close_merged(connections, *merged).await;
    Err(error.into())
}

/// Fetches a shard's next rows.
async fn refill(
    client: &mut Client,
    connections: &mut Connections,
    owner: Option<Owner>,
    merged: &mut Merged,
    shard: usize,
    rows: u32,
) -> Result<Result<(), SqlError>, Stop> {
    let cursor = merged.servers.get_mut(shard).and_then(Option::take);
    let Some(cursor) = cursor else {
        merged.merge.end(shard);
        return Ok(Ok(()));
    };
    let Some(index) = index_of_cursor(connections, &cursor) else {
        return Ok(Err(catalog::CURSOR_LOST.error()));
    };
    let server = cursor.server;
    let count = rows.clamp(1, STEP as u32);
    let argument = [cursor.statement.id.to_le_bytes(), count.to_le_bytes()].concat();
    let lease = &mut connections.attached[index].lease;
    if let Err(failure) = lease.send_command(code::STMT_FETCH, &argument).await {
        return Ok(Err(connections.lose(index, &failure)));
    }
    lease.expect(Expect::Fetch, 1);
    let limit = connections.limits.merge_bytes_max;
    let mut stream = ResultStream::of_fetch(lease, limit);
    let mut watch = Watch::new(client, &connections.control);
    let mut refused = None;
    let fetched = loop {
        match stream.next(&mut watch).await {
            Ok(Next::Row(packet)) => {
                let row = stream.payload(packet).to_vec();
                stream.consume(packet);
                if refused.is_none() {
                    refused = merged.merge.feed(shard, row).err();
                }
            }
            Ok(Next::End) => break Ok(*stream.outcome()),
            Err(error) => break Err(error),
        }
    };
    let fetched = match fetched {
        Err(StreamError::Interrupted) => {
            let stopped = stream.stop(&mut watch, kill_on_server).await;
            Err(stopped.map_or_else(|error| error, |()| scatter::killed()))
        }
        fetched => fetched,
    };
    match fetched {
        Ok(outcome) if outcome.status.contains(StatusFlags::LAST_ROW_SENT) => {
            merged.merge.end(shard);
            end_server_cursor(connections, owner, cursor, Reuse::Yes).await;
            if let Some(index) = connections.index_of(server) {
                connections.settle(index, &outcome).await;
            }
        }
        Ok(_) => merged.servers[shard] = Some(cursor),
        Err(error) => return refill_failed(connections, cursor, index, error).await,
    }
    Ok(refused.map_or(Ok(()), Err))
}

async fn refill_failed(
    connections: &mut Connections,
    cursor: ServerCursor,
    index: ConnectionId,
    error: StreamError,
) -> Result<Result<(), SqlError>, Stop> {
    Ok(Err(match error {
        StreamError::Server(error) => {
            close_server_cursor(connections, None, cursor).await;
            error
        }
        StreamError::Broken(failure) => connections.lose(index, &failure),
        // Interrupted twice: the session has to end.
        StreamError::Interrupted => return Err(End::Abort.into()),
        StreamError::ClientGone => return Err(End::Quit.into()),
    }))
}

fn end_of_fetch(client: &mut Client, connections: &Connections, more: bool) -> Answer {
    let flag = if more { StatusFlags::CURSOR_EXISTS } else { StatusFlags::LAST_ROW_SENT };
    end_with(client, connections, flag);
    Answer::Buffered
}

/// Ends a result set with one more status flag.
pub(super) fn end_with(client: &mut Client, connections: &Connections, flag: StatusFlags) {
    let end = OkPacket { status: reply::status(client, connections) | flag, ..OkPacket::default() };
    let capabilities = client.capabilities;
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        end.encode_result_end(out, capabilities);
    });
}

/// Notes the cursor that an execution opened on a connection.
pub(super) fn open_server_cursor(
    connections: &mut Connections,
    index: ConnectionId,
    statement: Exclusive,
) -> ServerCursor {
    let attached = &mut connections.attached[index];
    attached.cursors += 1;
    let thread_id = attached.lease.thread_id();
    ServerCursor { server: attached.placement.server(), thread_id, statement }
}

/// Keeps the cursor that an answer says is open; else the statement is as any other.
pub(super) async fn keep_cursor(
    connections: &mut Connections,
    prepared: &mut Prepared,
    id: u32,
    cursor: ServerCursor,
    outcome: &Outcome,
) {
    if !outcome.is_error() && outcome.status.contains(StatusFlags::CURSOR_EXISTS) {
        if let Some(statement) = prepared.get_mut(id) {
            statement.cursor = Some(Cursor::Server(cursor));
        }
    } else {
        let owner = prepared.owner(id);
        end_server_cursor(connections, owner, cursor, Reuse::Yes).await;
    }
}

fn index_of_cursor(connections: &Connections, cursor: &ServerCursor) -> Option<ConnectionId> {
    let index = connections.index_of(cursor.server)?;
    (connections.attached[index].lease.thread_id() == cursor.thread_id).then_some(index)
}

/// Closes the cursor of a prepared statement, if one is open.
pub(super) async fn close_cursor(connections: &mut Connections, prepared: &mut Prepared, id: u32) {
    let cursor = prepared.get_mut(id).and_then(|statement| statement.cursor.take());
    match cursor {
        None | Some(Cursor::Kept(_)) => {}
        Some(Cursor::Server(cursor)) => {
            let owner = prepared.owner(id);
            close_server_cursor(connections, owner, cursor).await;
        }
        Some(Cursor::Merged(merged)) => close_merged(connections, *merged).await,
    }
}

/// Closes all cursors, before the session gives its connections back.
pub(super) async fn close_cursors(connections: &mut Connections, prepared: &mut Prepared) {
    for id in prepared.with_cursor() {
        close_cursor(connections, prepared, id).await;
    }
}

pub(super) async fn close_merged(connections: &mut Connections, merged: Merged) {
    for cursor in merged.servers.into_iter().flatten() {
        close_server_cursor(connections, None, cursor).await;
    }
}

pub(super) async fn close_server_cursor(
    connections: &mut Connections,
    owner: Option<Owner>,
    cursor: ServerCursor,
) {
    let server = cursor.server;
    end_server_cursor(connections, owner, cursor, Reuse::No).await;
    if let Some(index) = connections.index_of(server) {
        connections.settle_quietly(index).await;
    }
}

/// Forgets a cursor of a connection. A statement whose cursor the server has closed can be
/// executed again; closing the statement is the cheapest way to close an open one, unless none
/// that is prepared anew would do.
async fn end_server_cursor(
    connections: &mut Connections,
    owner: Option<Owner>,
    cursor: ServerCursor,
    reuse: Reuse,
) {
    let Some(index) = index_of_cursor(connections, &cursor) else { return };
    let attached = &mut connections.attached[index];
    attached.cursors = attached.cursors.saturating_sub(1);
    let told = match (reuse, owner) {
        (Reuse::Yes, Some(owner)) => attached.lease.give_back(cursor.statement, &owner).await,
        (Reuse::No, Some(owner)) if cursor.statement.is_needed() => {
            attached.lease.give_back_open(cursor.statement, &owner).await
        }
        _ => attached.lease.close_statement(cursor.statement.id).await,
    };
    if let Err(failure) = told {
        let _ = connections.lose(index, &failure);
    }
}

/// Whether a statement whose cursor ends may be executed by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reuse {
    Yes,
    No,
}
