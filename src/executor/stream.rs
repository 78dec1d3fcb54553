//! One shard's result set, packet by packet.
//!
//! Used where rows are looked at: merges over several shards. A stream is read to its end or its
//! connection is given up; nothing in between leaves a connection usable.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::client::Client;
use super::registry::{Control, Interrupt};
use crate::backend::{Connection, Failure, Outdated};
use crate::error::SqlError;
use crate::net::{Framed, Packet, ReadError};
use crate::topology::ServerId;
use crate::wire::capability::Capabilities;
use crate::wire::column_count::{ColumnCount, Definitions};
use crate::wire::cursor::Malformed;
use crate::wire::err::{ERR, ErrPacket};
use crate::wire::ok::{EOF, OK, OkPacket};
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::Outcome;
use crate::wire::status::StatusFlags;

/// A result set that a server is sending.
#[derive(Debug)]
pub struct ResultStream<'a> {
    connection: &'a mut Connection,
    phase: Phase,
    /// What the end of the answer told.
    outcome: Outcome,
    row_bytes_max: usize,
}

/// What comes next of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The number of columns.
    Count,
    /// So many column definitions.
    Definitions(u64),
    /// Rows, or the end.
    Rows,
    /// Nothing: the connection is at rest.
    Ended,
}

/// What an execution that asked for a cursor was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A cursor: the rows come by COM_STMT_FETCH.
    Cursor,
    /// The rows.
    Rows,
}

/// What a stream gives next.
#[derive(Debug)]
pub enum Next {
    /// A row, in the read buffer: see [`ResultStream::payload`].
    Row(Packet),
    /// The last row was given.
    End,
}

/// Why a stream gives nothing.
#[derive(Debug)]
pub enum StreamError {
    /// The server ended the answer with this error; the connection is at rest.
    Server(SqlError),
    /// The connection is of no use any more.
    Broken(Failure),
    /// The client went away.
    ClientGone,
    /// The session was interrupted from outside.
    Interrupted,
}

/// Watches the client and the session's interrupt while a server is waited for.
#[derive(Debug)]
pub struct Watch<'a> {
    /// The client.
    pub client: &'a mut Framed,
    /// The session.
    pub control: &'a Control,
}

impl<'a> ResultStream<'a> {
    /// The answer to a statement that was sent on `connection`.
    pub fn new(connection: &'a mut Connection, row_bytes_max: usize) -> Self {
        Self { connection, phase: Phase::Count, outcome: Outcome::default(), row_bytes_max }
    }

    /// The answer to a COM_STMT_FETCH that was sent on `connection`: rows only.
    pub fn of_fetch(connection: &'a mut Connection, row_bytes_max: usize) -> Self {
        Self { phase: Phase::Rows, ..Self::new(connection, row_bytes_max) }
    }

    /// Reads the column definitions of the answer to an execution that asked for a cursor, and
    /// their end. The server may have sent the rows all the same.
    pub async fn cursor(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<(Vec<Vec<u8>>, Opened), StreamError> {
        let mut columns = Vec::new();
        for _ in 0..self.count(watch).await? {
            let packet = self.packet(watch).await?;
            columns.push(self.payload(packet).to_vec());
            self.connection.framed_mut().consume_packet(packet);
        }
        self.phase = Phase::Rows;
        let deprecate_eof = self.connection.capabilities().contains(Capabilities::DEPRECATE_EOF);
        let packet = self.packet(watch).await?;
        if self.payload(packet).first() != Some(&EOF) || packet.len == MAX_PAYLOAD {
            return if deprecate_eof {
                Ok((columns, Opened::Rows))
            } else {
                Err(Self::unexpected("the server sent no end of the columns"))
            };
        }
        let outcome = self.result_end(packet)?;
        let opened = outcome.status.contains(StatusFlags::CURSOR_EXISTS);
        self.connection.confirm().map_err(outdated)?;
        if opened || deprecate_eof {
            self.end(packet, outcome);
        } else {
            self.consume(packet);
        }
        Ok((columns, if opened { Opened::Cursor } else { Opened::Rows }))
    }

    /// What the packet says that ends a result set.
    fn result_end(&self, packet: Packet) -> Result<Outcome, StreamError> {
        let capabilities = self.connection.capabilities();
        let ok = OkPacket::parse_result_end(self.payload(packet), capabilities).map_err(broken)?;
        Ok(Outcome { status: ok.status, warnings: ok.warnings, ..Outcome::default() })
    }

    /// Reads the column definitions: their payloads as the server sent them.
    pub async fn columns(&mut self, watch: &mut Watch<'_>) -> Result<Vec<Vec<u8>>, StreamError> {
        let mut columns = Vec::new();
        loop {
            match self.phase {
                Phase::Count => self.phase = Phase::Definitions(self.count(watch).await?),
                Phase::Definitions(0) => {
                    if !self.connection.capabilities().contains(Capabilities::DEPRECATE_EOF) {
                        let packet = self.packet(watch).await?;
                        self.connection.framed_mut().consume_packet(packet);
                    }
                    self.phase = Phase::Rows;
                }
                Phase::Definitions(left) => {
                    let packet = self.packet(watch).await?;
                    columns.push(self.payload(packet).to_vec());
                    self.connection.framed_mut().consume_packet(packet);
                    self.phase = Phase::Definitions(left - 1);
                }
                Phase::Rows | Phase::Ended => return Ok(columns),
            }
        }
    }

    async fn count(&mut self, watch: &mut Watch<'_>) -> Result<u64, StreamError> {
        let packet = self.packet(watch).await?;
        let payload = self.payload(packet);
        match payload.first() {
            Some(&ERR) => return Err(self.server_error(packet)),
            Some(&OK) => {
                return Err(Self::unexpected("the server sent no rows where rows were due"));
            }
            _ => {}
        }
        let capabilities = self.connection.capabilities();
        let count = ColumnCount::parse(payload, capabilities).map_err(broken)?;
        if count.definitions == Definitions::LeftOut {
            return Err(Self::unexpected("the server described no columns"));
        }
        self.connection.framed_mut().consume_packet(packet);
        Ok(u64::from(count.columns))
    }

    /// The next row; it must be consumed before the one after it.
    pub async fn next(&mut self, watch: &mut Watch<'_>) -> Result<Next, StreamError> {
        if self.phase == Phase::Ended {
            return Ok(Next::End);
        }
        let packet = self.packet(watch).await?;
        let payload = self.payload(packet);
        match payload.first() {
            Some(&ERR) => Err(self.server_error(packet)),
            Some(&EOF) if packet.len < MAX_PAYLOAD => {
                let outcome = self.result_end(packet)?;
                self.connection.confirm().map_err(outdated)?;
                self.end(packet, outcome);
                Ok(Next::End)
            }
            _ => Ok(Next::Row(packet)),
        }
    }

    /// The payload of a packet that is not consumed yet.
    pub fn payload(&self, packet: Packet) -> &[u8] {
        self.connection.framed().payload(packet)
    }

    /// Drops a row.
    pub fn consume(&mut self, packet: Packet) {
        self.connection.framed_mut().consume_packet(packet);
    }

    /// Stops the statement, and brings the connection to rest.
    pub async fn stop(
        &mut self,
        watch: &mut Watch<'_>,
        kill: impl FnOnce(&mut Connection),
    ) -> Result<(), StreamError> {
        kill(self.connection);
        watch.control.clear_query();
        self.drain(watch).await
    }

    /// Reads what is left and forgets it, so that the connection comes to rest.
    pub async fn drain(&mut self, watch: &mut Watch<'_>) -> Result<(), StreamError> {
        // Definitions must not be taken for rows: a classic EOF packet stands behind both.
        match self.columns(watch).await {
            Ok(_) => {}
            Err(StreamError::Server(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        loop {
            match self.next(watch).await {
                Ok(Next::Row(packet)) => self.consume(packet),
                Ok(Next::End) | Err(StreamError::Server(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the connection is at rest.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What the end of the answer told; nothing before it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The server it comes from.
    pub fn server(&self) -> ServerId {
        self.connection.server()
    }

    /// The connection it comes from.
    pub fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// Takes the packet that ends the answer.
    fn end(&mut self, packet: Packet, outcome: Outcome) {
        self.connection.framed_mut().consume_packet(packet);
        self.connection.note_answered();
        self.outcome = outcome;
        self.phase = Phase::Ended;
    }

    fn server_error(&mut self, packet: Packet) -> StreamError {
        if let Err(reason) = self.connection.confirm() {
            return outdated(reason);
        }
        let error = match ErrPacket::parse(self.payload(packet)) {
            Ok(error) => SqlError::from_server(error.errno, error.sqlstate, error.message),
            Err(malformed) => return broken(malformed),
        };
        self.end(packet, Outcome { error: Some(error.errno), ..Outcome::default() });
        StreamError::Server(error)
    }

    fn unexpected(reason: &str) -> StreamError {
        StreamError::Broken(io::Error::other(reason.to_owned()).into())
    }

    async fn packet(&mut self, watch: &mut Watch<'_>) -> Result<Packet, StreamError> {
        loop {
            match self.connection.framed_mut().buffered_packet(self.row_bytes_max) {
                Ok(Some(packet)) => return Ok(packet),
                Ok(None) => watch.fill(self.connection).await?,
                Err(ReadError::TooLong { limit }) => {
                    let limit = format!("a row of more than {limit} bytes");
                    return Err(StreamError::Broken(io::Error::other(limit).into()));
                }
                Err(error) => {
                    let error = io::Error::other(error.to_string());
                    return Err(StreamError::Broken(error.into()));
                }
            }
        }
    }
}

impl<'a> Watch<'a> {
    /// Watches the client of a session.
    pub fn new(client: &'a mut Client, control: &'a Control) -> Self {
        Self { client: &mut client.framed, control }
    }

    /// Reads once from a server, unless the client leaves or the session is interrupted.
    pub async fn fill(&mut self, server: &mut Connection) -> Result<(), StreamError> {
        let interrupted = |interrupt: Interrupt| interrupt >= Interrupt::Query;
        poll_fn(|cx| {
            // A server that always has more to send must not hide it.
            if self.control.interrupt().is_some_and(interrupted) {
                return Poll::Ready(Err(StreamError::Interrupted));
            }
            match server.framed_mut().poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Err(StreamError::Broken(error.into())));
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(StreamError::Broken(error.into())));
                }
                Poll::Pending if server.is_overdue() => {
                    return Poll::Ready(Err(StreamError::Broken(Failure::Overdue)));
                }
                Poll::Pending => {}
            }
            if self.client.poll_left(cx).is_ready() {
                return Poll::Ready(Err(StreamError::ClientGone));
            }
            match self.control.poll_interrupt(cx) {
                Poll::Ready(interrupt) if interrupted(interrupt) => {
                    Poll::Ready(Err(StreamError::Interrupted))
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

fn outdated(reason: Outdated) -> StreamError {
    StreamError::Broken(reason.into())
}

fn broken(malformed: Malformed) -> StreamError {
    StreamError::Broken(malformed.into())
}
