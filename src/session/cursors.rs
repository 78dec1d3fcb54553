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
use crate::net::Packet;
use crate::topology::ServerId;
use crate::wire::command::code;
use crate::wire::ok::OkPacket;
use crate::wire::packet::build_packet;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::patch_statement_id;
use crate::wire::status::StatusFlags;

use super::Session;
use super::answer::{Answer, End, Ran, Stop};
use super::attached::Index;
use super::query::{Request, kill_on_server};
use super::run::malformed;

/// The open cursor of a client's prepared statement.
#[derive(Debug)]
pub(super) enum Cursor {
    /// The server's own.
    Server(ServerCursor),
    /// Rows that Geogate made, as payloads.
    Kept(VecDeque<Vec<u8>>),
    /// A cursor on each of several shards.
    Merged(Box<Merged>),
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

impl Session {
    /// COM_STMT_FETCH.
    pub(super) async fn fetch(&mut self, packet: Packet, id: u32, rows: u32) -> Ran {
        let Some(statement) = self.prepared.get_mut(id) else {
            let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_FETCH"]);
            return Err(error.into());
        };
        match statement.cursor.take() {
            None => Err(catalog::NO_CURSOR.with(&[&id]).into()),
            Some(Cursor::Server(cursor)) => self.fetch_from_server(packet, id, cursor).await,
            Some(Cursor::Kept(kept)) => {
                self.client.drop_command();
                self.fetch_kept(id, kept, rows).await
            }
            Some(Cursor::Merged(merged)) => {
                self.client.drop_command();
                self.fetch_merged(id, merged, rows).await
            }
        }
    }

    async fn fetch_from_server(&mut self, packet: Packet, id: u32, cursor: ServerCursor) -> Ran {
        let Some(index) = self.index_of_cursor(&cursor) else {
            return Err(catalog::CURSOR_LOST.error().into());
        };
        let payload = self.client.framed.payload_mut(packet);
        if patch_statement_id(payload, cursor.statement.id).is_err() {
            return Err(malformed("COM_STMT_FETCH"));
        }
        let outcome = self.exchange(index, &Request::Packet(packet), Expect::Fetch).await?;
        let server = cursor.server;
        if outcome.status.contains(StatusFlags::LAST_ROW_SENT) {
            let owner = self.prepared.owner(id);
            self.end_server_cursor(owner, cursor, Reuse::Yes).await;
        } else if outcome.is_error() {
            let owner = self.prepared.owner(id);
            self.end_server_cursor(owner, cursor, Reuse::No).await;
        } else if let Some(statement) = self.prepared.get_mut(id) {
            statement.cursor = Some(Cursor::Server(cursor));
        }
        if let Some(index) = self.index_of(server) {
            self.settle(index, &outcome).await;
        }
        Ok(Answer::Sent)
    }

    async fn fetch_kept(&mut self, id: u32, mut kept: VecDeque<Vec<u8>>, rows: u32) -> Ran {
        let count = (rows as usize).min(kept.len());
        for row in kept.drain(..count) {
            self.put_row(&row).await?;
        }
        let more = count == rows as usize;
        if more && let Some(statement) = self.prepared.get_mut(id) {
            statement.cursor = Some(Cursor::Kept(kept));
        }
        Ok(self.end_of_fetch(more))
    }

    async fn fetch_merged(&mut self, id: u32, mut merged: Box<Merged>, rows: u32) -> Ran {
        let mut left = rows as usize;
        let mut ended = false;
        while left > 0 && !ended {
            match merged.merge.advance(left.min(STEP)) {
                Ok(Step::Ready) => {}
                Ok(Step::End) => ended = true,
                Ok(Step::Needs(shard)) => {
                    let owner = self.prepared.owner(id);
                    match self.refill(owner, &mut merged, shard, rows).await? {
                        Ok(()) => continue,
                        Err(error) => return self.fail_merged(merged, error).await,
                    }
                }
                Err(error) => return self.fail_merged(merged, error).await,
            }
            while left > 0
                && let Some(row) = merged.merge.take()
            {
                self.put_row(&row).await?;
                left -= 1;
            }
            ended &= merged.merge.ready() == 0;
        }
        // As on servers: the end is found by reading beyond it.
        let more = left == 0;
        if more {
            if let Some(statement) = self.prepared.get_mut(id) {
                statement.cursor = Some(Cursor::Merged(merged));
            }
        } else {
            self.close_merged(*merged).await;
        }
        Ok(self.end_of_fetch(more))
    }

    async fn fail_merged(&mut self, merged: Box<Merged>, error: SqlError) -> Ran {
        self.close_merged(*merged).await;
        Err(error.into())
    }

    /// Fetches a shard's next rows.
    async fn refill(
        &mut self,
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
        let Some(index) = self.index_of_cursor(&cursor) else {
            return Ok(Err(catalog::CURSOR_LOST.error()));
        };
        let server = cursor.server;
        let count = rows.clamp(1, STEP as u32);
        let argument = [cursor.statement.id.to_le_bytes(), count.to_le_bytes()].concat();
        let lease = &mut self.attached[index].lease;
        if let Err(failure) = lease.send_command(code::STMT_FETCH, &argument).await {
            return Ok(Err(self.lose(index, &failure)));
        }
        lease.expect(Expect::Fetch, 1);
        let limit = self.services.limits.merge_bytes_max;
        let mut stream = ResultStream::of_fetch(lease, limit);
        let mut watch = Watch::new(&mut self.client, self.registered.control());
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
        match fetched {
            Ok(outcome) if outcome.status.contains(StatusFlags::LAST_ROW_SENT) => {
                merged.merge.end(shard);
                self.end_server_cursor(owner, cursor, Reuse::Yes).await;
                if let Some(index) = self.index_of(server) {
                    self.settle(index, &outcome).await;
                }
            }
            Ok(_) => merged.servers[shard] = Some(cursor),
            Err(error) => return self.refill_failed(cursor, index, error).await,
        }
        Ok(refused.map_or(Ok(()), Err))
    }

    async fn refill_failed(
        &mut self,
        cursor: ServerCursor,
        index: Index,
        error: StreamError,
    ) -> Result<Result<(), SqlError>, Stop> {
        Ok(Err(match error {
            StreamError::Server(error) => {
                self.close_server_cursor(None, cursor).await;
                error
            }
            StreamError::Broken(failure) => self.lose(index, &failure),
            StreamError::Interrupted => {
                // What is left unread makes the connection useless.
                kill_on_server(&mut self.attached[index].lease);
                let _ = self.lose(index, &"interrupted");
                self.registered.control().clear_query();
                catalog::KILLED.error()
            }
            StreamError::ClientGone => return Err(End::Quit.into()),
        }))
    }

    /// Puts a row into the output buffer, which is sent when it is full.
    async fn put_row(&mut self, row: &[u8]) -> Result<(), End> {
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            out.extend_from_slice(row);
        });
        if self.client.framed.out.len() < SEND_AT { Ok(()) } else { self.flush().await }
    }

    fn end_of_fetch(&mut self, more: bool) -> Answer {
        let flag = if more { StatusFlags::CURSOR_EXISTS } else { StatusFlags::LAST_ROW_SENT };
        self.end_with(flag);
        Answer::Buffered
    }

    /// Ends a result set with one more status flag.
    pub(super) fn end_with(&mut self, flag: StatusFlags) {
        let end = OkPacket { status: self.status() | flag, ..OkPacket::default() };
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            end.encode_result_end(out, capabilities);
        });
    }

    /// Notes the cursor that an execution opened on a connection.
    pub(super) fn open_server_cursor(
        &mut self,
        index: Index,
        statement: Exclusive,
    ) -> ServerCursor {
        let attached = &mut self.attached[index];
        attached.cursors += 1;
        let thread_id = attached.lease.thread_id();
        ServerCursor { server: attached.placement.server(), thread_id, statement }
    }

    /// Keeps the cursor that an answer says is open; else the statement is as any other.
    pub(super) async fn keep_cursor(&mut self, id: u32, cursor: ServerCursor, outcome: &Outcome) {
        if !outcome.is_error() && outcome.status.contains(StatusFlags::CURSOR_EXISTS) {
            if let Some(statement) = self.prepared.get_mut(id) {
                statement.cursor = Some(Cursor::Server(cursor));
            }
        } else {
            let owner = self.prepared.owner(id);
            self.end_server_cursor(owner, cursor, Reuse::Yes).await;
        }
    }

    fn index_of_cursor(&self, cursor: &ServerCursor) -> Option<Index> {
        let index = self.index_of(cursor.server)?;
        (self.attached[index].lease.thread_id() == cursor.thread_id).then_some(index)
    }

    /// Closes the cursor of a prepared statement, if one is open.
    pub(super) async fn close_cursor(&mut self, id: u32) {
        let cursor = self.prepared.get_mut(id).and_then(|statement| statement.cursor.take());
        match cursor {
            None | Some(Cursor::Kept(_)) => {}
            Some(Cursor::Server(cursor)) => {
                let owner = self.prepared.owner(id);
                self.close_server_cursor(owner, cursor).await;
            }
            Some(Cursor::Merged(merged)) => self.close_merged(*merged).await,
        }
    }

    /// Closes all cursors, before the session gives its connections back.
    pub(super) async fn close_cursors(&mut self) {
        for id in self.prepared.with_cursor() {
            self.close_cursor(id).await;
        }
    }

    pub(super) async fn close_merged(&mut self, merged: Merged) {
        for cursor in merged.servers.into_iter().flatten() {
            self.close_server_cursor(None, cursor).await;
        }
    }

    pub(super) async fn close_server_cursor(&mut self, owner: Option<Owner>, cursor: ServerCursor) {
        let server = cursor.server;
        self.end_server_cursor(owner, cursor, Reuse::No).await;
        if let Some(index) = self.index_of(server) {
            self.settle_quietly(index).await;
        }
    }

    /// Forgets a cursor of a connection. A statement whose cursor the server has closed can be
    /// executed again; closing the statement is the cheapest way to close an open one, unless none
    /// that is prepared anew would do.
    async fn end_server_cursor(
        &mut self,
        owner: Option<Owner>,
        cursor: ServerCursor,
        reuse: Reuse,
    ) {
        let Some(index) = self.index_of_cursor(&cursor) else { return };
        let attached = &mut self.attached[index];
        attached.cursors = attached.cursors.saturating_sub(1);
        let told = match (reuse, owner) {
            (Reuse::Yes, Some(owner)) => attached.lease.give_back(cursor.statement, &owner).await,
            (Reuse::No, Some(owner)) if cursor.statement.is_needed() => {
                attached.lease.give_back_open(cursor.statement, &owner).await
            }
            _ => attached.lease.close_statement(cursor.statement.id).await,
        };
        if let Err(failure) = told {
            let _ = self.lose(index, &failure);
        }
    }
}

/// Whether a statement whose cursor ends may be executed by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reuse {
    Yes,
    No,
}
