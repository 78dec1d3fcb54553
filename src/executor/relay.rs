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
use std::task::{Context, Poll};

use super::client::{Client, StateMarks};
use super::deadline::{Fate, is_interruption};
use super::deliver::{Delivered, Outgoing, deliver};
use super::local_file::{FileError, LocalFile};
use super::near;
use super::registry::{Control, Interrupt};
use super::stalled::Servers;
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
    /// Whole rows: an ERR packet with this sequence id can stand in the place of the next one.
    Rows {
        /// Sequence id of the next packet to the client.
        next_sequence: u8,
    },
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
    let client_takes_nothing = answer.client.takes_nothing;
    match relayed {
        Ok(_) => connection.note_answered(),
        Err(RelayError::ClientGone) => {
            client.gone = true;
            on_interrupt(connection);
        }
        // A server that is sending sees that its connection is closed.
        Err(RelayError::Killed { .. }) if client_takes_nothing => {}
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
            match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Done => return Ok(*self.connection.outcome()),
                Step::Scanned(scanned) => {
                    if let Some(outcome) = self.forward_read(scanned, on_interrupt).await? {
                        return Ok(outcome);
                    }
                }
                Step::Event(Event::Bytes) => {}
                Step::Event(Event::Interrupt(Interrupt::Query)) => on_interrupt(self.connection),
                // A server that hangs must not keep a session that has to end.
                Step::Event(Event::Interrupt(_)) => {
                    return Err(RelayError::Killed { forwarded: self.forwarded });
                }
                Step::Event(Event::ClientGone) => return Err(RelayError::ClientGone),
                Step::Event(Event::Failed(error)) => return Err(self.server_failed(error)),
            }
        }
    }

    /// Waits for bytes from the server and scans them. An answer that they end is forwarded in the
    /// same step, if it can go as it is and the client takes it at once.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match std::task::ready!(self.poll_wait(cx)) {
            Event::Bytes => {}
            event => return Poll::Ready(Step::Event(event)),
        }
        let scanned = match self.scan() {
            Ok(Scanned::Whole(end)) => match self.forward_at_once(end) {
                None => return Poll::Ready(Step::Done),
                Some(rest) => Ok(Scanned::Whole(rest)),
            },
            scanned => scanned,
        };
        Poll::Ready(Step::Scanned(scanned))
    }

    /// Forwards the first `end` bytes, which end the answer, as far as the client takes them
    /// without waiting; says how many are left.
    fn forward_at_once(&mut self, end: usize) -> Option<usize> {
        if self.fit.end == AnswerEnd::Kept || !self.goes_as_sent() || self.confirm().is_err() {
            return Some(end);
        }
        let (framed, _) = self.connection.relay_parts();
        let Ok(written) = self.client.framed.try_write(&framed.buffered()[..end]) else {
            return Some(end);
        };
        framed.consume(written);
        if written > 0 {
            self.forwarded = Forwarded::Part;
        }
        (written < end).then_some(end - written)
    }

    /// Whether the answer's last packet is for sure as this client must see it.
    fn goes_as_sent(&mut self) -> bool {
        let (_, scanner) = self.connection.relay_parts();
        if scanner.outcome().is_error() {
            self.client.rest.is_empty() && self.control.deadline.passed().is_none()
        } else {
            scanner.has_no_session_changes()
        }
    }

    /// Forwards what was scanned, and what follows it in the read buffer; gives the outcome if the
    /// answer ended.
    async fn forward_read(
        &mut self,
        mut scanned: Result<Scanned, RelayError>,
        on_interrupt: &impl Fn(&mut Connection),
    ) -> Result<Option<Outcome>, RelayError> {
        loop {
            match scanned? {
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
                Scanned::FileRequest(end) => self.forward_file(end, on_interrupt).await?,
            }
            scanned = self.scan();
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
    async fn forward_file(
        &mut self,
        end: usize,
        on_interrupt: &impl Fn(&mut Connection),
    ) -> Result<(), RelayError> {
        let keeps = keeping(self.connection);
        let (framed, scanner) = self.connection.relay_parts();
        let first_sequence = scanner.next_seq().wrapping_add(self.fit.sequence_offset);
        let bytes = Outgoing::Bytes(&framed.buffered()[..end]);
        let delivered = deliver(self.client, self.control, bytes, keeps).await;
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
            interrupted: &mut self.interrupted,
            on_interrupt,
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
        let keeps = keeping(self.connection);
        let (framed, scanner) = self.connection.relay_parts();
        self.held = scanner.pending().min(end);
        framed.reserve(self.held + 1);
        let count = end - self.held;
        if count == 0 {
            return Ok(());
        }
        self.forwarded = Forwarded::Part;
        let bytes = Outgoing::Bytes(&framed.buffered()[..count]);
        let delivered = deliver(self.client, self.control, bytes, keeps).await;
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
        let changed = changed_end(self.client, self.connection, self.control, self.fit);
        let keeps = keeping(self.connection);
        let (framed, _) = self.connection.relay_parts();
        let delivered = match (changed, answer_end) {
            (None, AnswerEnd::Forwarded) => {
                let bytes = Outgoing::Bytes(&framed.buffered()[..end]);
                deliver(self.client, self.control, bytes, keeps).await
            }
            (changed, answer_end) => {
                // A changed packet stands in the output buffer; what comes before it goes first.
                let head = end - changed.map_or(0, |changed| changed.original);
                self.client.framed.out.splice(0..0, framed.buffered()[..head].iter().copied());
                match answer_end {
                    AnswerEnd::Forwarded => {
                        deliver(self.client, self.control, Outgoing::Buffer, keeps).await
                    }
                    AnswerEnd::Kept => Delivered::Yes,
                }
            }
        };
        framed.consume(end);
        delivered
    }

    fn server_failed(&mut self, failure: Failure) -> RelayError {
        let (_, scanner) = self.connection.relay_parts();
        let forwarded = match (self.forwarded, scanner.at_row()) {
            (Forwarded::Part, Some(sequence)) => {
                let next_sequence = sequence.wrapping_add(self.fit.sequence_offset);
                Forwarded::Rows { next_sequence }
            }
            (forwarded, _) => forwarded,
        };
        RelayError::Server { failure, forwarded }
    }

    /// Waits for bytes from the server, and meanwhile for the client to leave and for an
    /// interrupt.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // A server that always has more to send must not hide an interrupt.
        if let Some(event) = self.due(self.control.interrupt()) {
            return Poll::Ready(event);
        }
        let (framed, _) = self.connection.relay_parts();
        match framed.poll_fill(cx) {
            Poll::Ready(Ok(0)) => {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Poll::Ready(Event::Failed(error.into()));
            }
            Poll::Ready(Ok(_)) => return Poll::Ready(Event::Bytes),
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Failed(error.into())),
            Poll::Pending if self.connection.is_overdue() => {
                return Poll::Ready(Event::Failed(Failure::Overdue));
            }
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

/// How far an answer came in one step.
enum Step {
    /// The client has all of it.
    Done,
    /// Bytes that have to be forwarded.
    Scanned(Result<Scanned, RelayError>),
    /// Something else ended the wait.
    Event(Event),
}

/// Whose connection is kept while the client takes its answer.
fn keeping(connection: &Connection) -> impl FnOnce() -> Servers + use<> {
    let server = connection.server();
    move || Servers::from_slice(&[server])
}

/// What ended a wait.
enum Event {
    Bytes,
    Interrupt(Interrupt),
    ClientGone,
    Failed(Failure),
}

/// The last packet was written anew into the client's output buffer.
struct Changed {
    /// Framed bytes of the packet that it replaces.
    original: usize,
}

/// Writes the last packet as this client must see it, if that differs from what the server sent.
fn changed_end(
    client: &mut Client,
    connection: &mut Connection,
    control: &Control,
    fit: Fit,
) -> Option<Changed> {
    let (server, product) = (connection.capabilities(), connection.kind().product);
    let stake = connection.stake();
    let (_, scanner) = connection.relay_parts();
    let payload = scanner.last_payload();
    if !scanner.outcome().is_error() && scanner.has_no_session_changes() {
        return None;
    }
    let sequence = scanner.next_seq().wrapping_sub(1).wrapping_add(fit.sequence_offset);
    let outcome = scanner.outcome();
    if outcome.is_error() {
        let error = ErrPacket::parse(payload).ok()?;
        let told;
        let message;
        let error = if let Some(limit) = control.deadline.passed()
            && is_interruption(error.errno)
        {
            told = Fate::of(stake).error(limit);
            ErrPacket::from(&told)
        } else {
            message = near::with_rest(&error, &client.rest, product)?;
            ErrPacket { message: &message, ..error }
        };
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
    } else if (client.state_marks, client.transaction_marks) != PASSED
        && let Some(rest) = without_marks(&ok, client)
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

/// What a client is to see that asked for the same as Geogate.
const PASSED: (StateMarks, StateMarks) = (StateMarks::Passed, StateMarks::Passed);

/// The session state changes without the mark that some state has changed, or what became of
/// transactions, if they are there: Geogate asks servers for it, the client did not.
fn without_marks(ok: &OkPacket<'_>, client: &Client) -> Option<Vec<u8>> {
    let is_mark = |change: &SessionChange<'_>| match change {
        SessionChange::State(_) => client.state_marks == StateMarks::Dropped,
        SessionChange::TransactionState(_) | SessionChange::TransactionCharacteristics(_) => {
            client.transaction_marks == StateMarks::Dropped
        }
        _ => false,
    };
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
        matches!(self, Self::Server { forwarded, .. } if *forwarded != Forwarded::Part)
    }
}
