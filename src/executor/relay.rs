//! From one server to the client, byte for byte.
//!
//! The hot path: what the server sends is forwarded chunk by chunk as it was read, while the
//! scanner follows it to find its end. Only the OK packets that end results are ever changed, and
//! only for clients that do not know session tracking, which Geogate asks of every server.
//!
//! While it waits for the server it also watches the client and the session's interrupt, without
//! a system call: a client that goes away has its statement killed on the server.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::client::{Client, StateMarks};
use super::local_file::{FileError, LocalFile};
use super::near;
use super::registry::{Control, Interrupt};
use crate::backend::{Connection, Failure, Outdated, Stake};
use crate::wire::capability::Capabilities;
use crate::wire::err::ErrPacket;
use crate::wire::ok::{OkHeader, OkPacket};
use crate::wire::packet::build_packet;
use crate::wire::scanner::{MoreResults, Outcome, Rewrite, Scan};
use crate::wire::session_track::SessionChange;
use crate::wire::status::StatusFlags;

/// Why an answer did not reach its end.
#[derive(Debug)]
pub enum RelayError {
    /// The server's stream failed. `forwarded` tells what the client has seen of the answer.
    Server {
        /// What went wrong.
        failure: Failure,
        /// How much of the answer was forwarded.
        forwarded: Forwarded,
    },
    /// The client went away; its statement may still run on the server.
    ClientGone,
    /// The session was told to end; its statement may still run on the server.
    Killed {
        /// How much of the answer was forwarded.
        forwarded: Forwarded,
    },
}

/// What a client has seen of an answer that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing: an ERR packet with this sequence id can take the answer's place.
    Nothing,
    /// A part: only closing the connection tells the client that the rest is missing.
    Part,
    /// The request for a file, which the client has sent: an ERR packet with this sequence id can
    /// follow it.
    File {
        /// Sequence id of the next packet to the client.
        next_sequence: u8,
    },
}

/// How an answer fits into what the client expects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit {
    /// Added to every sequence id: answers before this one to the same command.
    pub sequence_offset: u8,
    /// Another answer to the same command follows.
    pub more_follows: bool,
    /// When the client gets to see that the answer ended.
    pub end: AnswerEnd,
}

/// When a client gets the last packet of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerEnd {
    /// As soon as the server has sent it.
    #[default]
    Forwarded,
    /// When the session flushes its output buffer, where the packet is left: what the statement
    /// changed for other sessions must be known before anyone can say that it is done.
    Kept,
}

impl Fit {
    /// Whether the bytes can go as they are.
    fn is_verbatim(self) -> bool {
        self.sequence_offset == 0 && !self.more_follows
    }

    fn rewrite(self) -> Rewrite {
        let more_results =
            if self.more_follows { MoreResults::Follow } else { MoreResults::AsSent };
        Rewrite { sequence_offset: self.sequence_offset, more_results }
    }
}

/// Forwards one answer, whose command has been sent and whose scanner has been started.
/// `on_interrupt` stops the statement on its server.
pub async fn relay(
    client: &mut Client,
    connection: &mut Connection,
    control: &Control,
    fit: Fit,
    on_interrupt: impl Fn(&mut Connection),
) -> Result<Outcome, RelayError> {
    let forwarded = Forwarded::Nothing;
    let mut answer =
        Answer { client, connection, control, fit, forwarded, held: 0, interrupted: false };
    let relayed = answer.forward_all(&on_interrupt).await;
    match relayed {
        Ok(_) => connection.note_answered(),
        Err(RelayError::ClientGone) => {
            client.gone = true;
            on_interrupt(connection);
        }
        Err(RelayError::Killed { .. }) => on_interrupt(connection),
        Err(RelayError::Server { .. }) => {}
    }
    relayed
}

/// An answer on its way.
struct Answer<'a> {
    client: &'a mut Client,
    connection: &'a mut Connection,
    control: &'a Control,
    fit: Fit,
    forwarded: Forwarded,
    /// Bytes at the front of the read buffer that were scanned but are held back.
    held: usize,
    /// A KILL QUERY was passed on.
    interrupted: bool,
}

/// How far the scanner has come: bytes from the front of the read buffer.
enum Scanned {
    /// The answer goes on behind them.
    Part(usize),
    /// The answer ends with them.
    Whole(usize),
    /// They end with a packet that may have to be changed, and the answer goes on.
    Changes(usize),
    /// They end with a request for a file.
    FileRequest(usize),
}

impl Answer<'_> {
    async fn forward_all(
        &mut self,
        on_interrupt: &impl Fn(&mut Connection),
    ) -> Result<Outcome, RelayError> {
        loop {
            match self.wait().await {
                Event::Bytes => {
                    if let Some(outcome) = self.forward_read().await? {
                        return Ok(outcome);
                    }
                }
                Event::Interrupt(Interrupt::Query) => on_interrupt(self.connection),
                // A server that hangs must not keep a session that has to end.
                Event::Interrupt(_) => {
                    return Err(RelayError::Killed { forwarded: self.forwarded });
                }
                Event::ClientGone => return Err(RelayError::ClientGone),
                Event::Failed(error) => return Err(self.server_failed(error.into())),
            }
        }
    }

    /// Forwards what was read; gives the outcome if the answer ended.
    async fn forward_read(&mut self) -> Result<Option<Outcome>, RelayError> {
        loop {
            match self.scan()? {
                Scanned::Part(end) => {
                    self.forward_part(end).await?;
                    return Ok(None);
                }
                Scanned::Whole(end) => {
                    if let Err(outdated) = self.confirm() {
                        return Err(self.server_failed(outdated.into()));
                    }
                    self.forward_end(end).await?;
                    return Ok(Some(*self.connection.outcome()));
                }
                Scanned::Changes(end) => {
                    if let Err(outdated) = self.confirm() {
                        return Err(self.server_failed(outdated.into()));
                    }
                    self.forward_changes(end).await?;
                }
                // After the file the server may have answered already.
                Scanned::FileRequest(end) => self.forward_file(end).await?,
            }
        }
    }

    /// Whether what the server says counts. The rest of a read that has begun is let through: what
    /// the client has seen of it was right.
    fn confirm(&self) -> Result<(), Outdated> {
        if self.forwarded == Forwarded::Part && self.connection.stake() == Stake::Read {
            return Ok(());
        }
        self.connection.confirm()
    }

    /// Forwards the server's request for a file, which ends the first `end` bytes, and then the
    /// client's file.
    async fn forward_file(&mut self, end: usize) -> Result<(), RelayError> {
        let (framed, scanner) = self.connection.relay_parts();
        let first_sequence = scanner.next_seq().wrapping_add(self.fit.sequence_offset);
        let write = self.client.framed.write_all(&framed.buffered()[..end]);
        let delivered = deliver(write, self.control).await;
        framed.consume(end);
        self.held = 0;
        self.forwarded = Forwarded::Part;
        match delivered {
            Delivered::Yes => {}
            Delivered::ClientGone => return Err(RelayError::ClientGone),
            Delivered::Killed => return Err(RelayError::Killed { forwarded: self.forwarded }),
        }
        let mut file = LocalFile {
            client: self.client,
            connection: self.connection,
            control: self.control,
            sequence_offset: self.fit.sequence_offset,
        };
        match file.forward(first_sequence).await {
            Ok(next_sequence) => {
                let (_, scanner) = self.connection.relay_parts();
                scanner.after_local_infile(next_sequence);
                let next_sequence = next_sequence.wrapping_add(self.fit.sequence_offset);
                self.forwarded = Forwarded::File { next_sequence };
                Ok(())
            }
            Err(FileError::Server { failure, next_sequence }) => {
                self.forwarded = Forwarded::File { next_sequence };
                Err(self.server_failed(failure))
            }
            Err(FileError::Client) => Err(RelayError::ClientGone),
            Err(FileError::Killed) => Err(RelayError::Killed { forwarded: self.forwarded }),
        }
    }

    /// Scans what was read last.
    fn scan(&mut self) -> Result<Scanned, RelayError> {
        let (framed, scanner) = self.connection.relay_parts();
        let chunk = &mut framed.buffered_mut()[self.held..];
        let len = chunk.len();
        let scanned = if self.fit.is_verbatim() {
            scanner.feed(chunk)
        } else {
            scanner.feed_rewriting(chunk, self.fit.rewrite())
        };
        match scanned {
            Ok(Scan::NeedMore) => Ok(Scanned::Part(self.held + len)),
            Ok(Scan::Finished { at }) => Ok(Scanned::Whole(self.held + at)),
            Ok(Scan::Changes { at }) => Ok(Scanned::Changes(self.held + at)),
            Ok(Scan::LocalInfile { at })
                if self.client.capabilities.contains(Capabilities::LOCAL_FILES) =>
            {
                Ok(Scanned::FileRequest(self.held + at))
            }
            Ok(Scan::LocalInfile { .. }) => {
                let refused = io::Error::other("the server asked for a local file");
                Err(self.server_failed(refused.into()))
            }
            Err(malformed) => Err(self.server_failed(malformed.into())),
        }
    }

    /// Forwards the first `end` bytes, but nothing of a packet that may have to be changed.
    async fn forward_part(&mut self, end: usize) -> Result<(), RelayError> {
        let (framed, scanner) = self.connection.relay_parts();
        self.held = scanner.pending().min(end);
        framed.reserve(self.held + 1);
        let count = end - self.held;
        if count == 0 {
            return Ok(());
        }
        self.forwarded = Forwarded::Part;
        let write = self.client.framed.write_all(&framed.buffered()[..count]);
        let delivered = deliver(write, self.control).await;
        framed.consume(count);
        match delivered {
            Delivered::Yes => Ok(()),
            Delivered::ClientGone => Err(RelayError::ClientGone),
            Delivered::Killed => Err(RelayError::Killed { forwarded: self.forwarded }),
        }
    }

    /// Forwards the first `end` bytes, which end a result that is not the last.
    async fn forward_changes(&mut self, end: usize) -> Result<(), RelayError> {
        self.forwarded = Forwarded::Part;
        let delivered = self.forward_changed(end, AnswerEnd::Forwarded).await;
        self.held = 0;
        match delivered {
            Delivered::Yes => Ok(()),
            Delivered::ClientGone => Err(RelayError::ClientGone),
            Delivered::Killed => Err(RelayError::Killed { forwarded: self.forwarded }),
        }
    }

    /// Forwards the first `end` bytes, which end the answer. A client that leaves now has had its
    /// statement done.
    async fn forward_end(&mut self, end: usize) -> Result<(), RelayError> {
        match self.forward_changed(end, self.fit.end).await {
            Delivered::Yes => Ok(()),
            Delivered::ClientGone => {
                self.client.gone = true;
                Ok(())
            }
            Delivered::Killed => Err(RelayError::Killed { forwarded: Forwarded::Part }),
        }
    }

    /// Forwards the first `end` bytes, the last packet of them as this client must see it.
    async fn forward_changed(&mut self, end: usize, answer_end: AnswerEnd) -> Delivered {
        let changed = changed_end(self.client, self.connection, self.fit);
        let (framed, _) = self.connection.relay_parts();
        let delivered = match (changed, answer_end) {
            (None, AnswerEnd::Forwarded) => {
                let write = self.client.framed.write_all(&framed.buffered()[..end]);
                deliver(write, self.control).await
            }
            (changed, answer_end) => {
                // A changed packet stands in the output buffer; what comes before it goes first.
                let head = end - changed.map_or(0, |changed| changed.original);
                self.client.framed.out.splice(0..0, framed.buffered()[..head].iter().copied());
                match answer_end {
                    AnswerEnd::Forwarded => deliver(self.client.framed.flush(), self.control).await,
                    AnswerEnd::Kept => Delivered::Yes,
                }
            }
        };
        framed.consume(end);
        delivered
    }

    fn server_failed(&self, failure: Failure) -> RelayError {
        RelayError::Server { failure, forwarded: self.forwarded }
    }

    /// Waits for bytes from the server, and meanwhile for the client to leave and for an
    /// interrupt.
    async fn wait(&mut self) -> Event {
        poll_fn(|cx| {
            // A server that always has more to send must not hide an interrupt.
            if let Some(event) = self.due(self.control.interrupt()) {
                return Poll::Ready(event);
            }
            let (framed, _) = self.connection.relay_parts();
            match framed.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Event::Failed(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Event::Bytes),
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Failed(error)),
                Poll::Pending => {}
            }
            if self.client.framed.poll_left(cx).is_ready() {
                return Poll::Ready(Event::ClientGone);
            }
            let interrupt = match self.control.poll_interrupt(cx) {
                Poll::Ready(interrupt) => Some(interrupt),
                Poll::Pending => None,
            };
            self.due(interrupt).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// What is to be done about an interrupt now: a KILL QUERY is passed on once, a KILL
    /// CONNECTION may follow it.
    fn due(&mut self, interrupt: Option<Interrupt>) -> Option<Event> {
        match interrupt? {
            Interrupt::Query if self.interrupted => None,
            Interrupt::Drain => None,
            interrupt => {
                self.interrupted |= interrupt == Interrupt::Query;
                Some(Event::Interrupt(interrupt))
            }
        }
    }
}

/// What ended a wait.
enum Event {
    Bytes,
    Interrupt(Interrupt),
    ClientGone,
    Failed(io::Error),
}

/// The last packet was written anew into the client's output buffer.
struct Changed {
    /// Framed bytes of the packet that it replaces.
    original: usize,
}

/// Writes the last packet as this client must see it, if that differs from what the server sent.
fn changed_end(client: &mut Client, connection: &mut Connection, fit: Fit) -> Option<Changed> {
    let (server, product) = (connection.capabilities(), connection.kind().product);
    let (_, scanner) = connection.relay_parts();
    let payload = scanner.last_payload();
    let sequence = scanner.next_seq().wrapping_sub(1).wrapping_add(fit.sequence_offset);
    let outcome = scanner.outcome();
    if outcome.is_error() {
        let error = ErrPacket::parse(payload).ok()?;
        let message = near::with_rest(&error, &client.rest, product)?;
        let error = ErrPacket { message: &message, ..error };
        let mut sequence = sequence;
        build_packet(&mut client.framed.out, &mut sequence, |out| {
            error.encode(out, client.capabilities);
        });
        return Some(Changed { original: 4 + payload.len() });
    }
    let rows = payload.first() == Some(&0xfe);
    let mut ok = if rows {
        OkPacket::parse_result_end(payload, server).ok()?
    } else {
        OkPacket::parse(payload, server).ok()?
    };
    let told;
    let as_sent = if !client.capabilities.contains(Capabilities::SESSION_TRACK) {
        ok.session_state.is_empty()
    } else if client.state_marks == StateMarks::Dropped
        && let Some(rest) = without_state_marks(&ok)
    {
        told = rest;
        ok.session_state = &told;
        false
    } else {
        true
    };
    if as_sent {
        return None;
    }
    if fit.more_follows {
        ok.status.insert(StatusFlags::MORE_RESULTS);
    }
    let mut sequence = sequence;
    build_packet(&mut client.framed.out, &mut sequence, |out| {
        if rows {
            ok.encode_result_end(out, client.capabilities);
        } else {
            ok.encode(out, OkHeader::Statement, client.capabilities);
        }
    });
    Some(Changed { original: 4 + payload.len() })
}

/// Whether bytes reached the client.
pub(super) enum Delivered {
    /// They are on their way.
    Yes,
    /// It closed its side.
    ClientGone,
    /// The session was told to end before the client took them.
    Killed,
}

/// Writes to a client that may be slow; only the end of the session interrupts it.
pub(super) async fn deliver(
    write: impl Future<Output = io::Result<()>>,
    control: &Control,
) -> Delivered {
    let mut write = std::pin::pin!(write);
    poll_fn(|cx| {
        if let Poll::Ready(sent) = write.as_mut().poll(cx) {
            return Poll::Ready(if sent.is_ok() { Delivered::Yes } else { Delivered::ClientGone });
        }
        match control.poll_interrupt(cx) {
            Poll::Ready(interrupt) if interrupt > Interrupt::Query => {
                Poll::Ready(Delivered::Killed)
            }
            _ => Poll::Pending,
        }
    })
    .await
}

/// The session state changes without the mark that some state has changed, if it is there: Geogate
/// asks servers for it, clients did not.
fn without_state_marks(ok: &OkPacket<'_>) -> Option<Vec<u8>> {
    let is_mark = |change: &SessionChange<'_>| matches!(change, SessionChange::State(_));
    if ok.session_state.is_empty() || !ok.session_changes().flatten().any(|c| is_mark(&c)) {
        return None;
    }
    let mut rest = Vec::new();
    for change in ok.session_changes().flatten().filter(|change| !is_mark(change)) {
        change.encode(&mut rest);
    }
    Some(rest)
}

impl RelayError {
    /// Whether the client can still be told.
    pub fn client_can_be_told(&self) -> bool {
        matches!(self, Self::Server { forwarded: Forwarded::Nothing | Forwarded::File { .. }, .. })
    }
}
