//! Commands to a server and its answers: the stream, the place in the answer, and whether an answer
//! counts.
//!
//! A command is sent only after the answer before it was read to its end. What the session at the
//! server is like is not known here: see [`super::Connection`].

use std::io;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::cutoff::{Cutoff, Patience};
use super::last_use::LastUse;
use super::term::{Entered, Outdated};
use crate::error::SqlError;
use crate::net::Framed;
use crate::wire::capability::Capabilities;
use crate::wire::cursor::Malformed;
use crate::wire::err::ErrPacket;
use crate::wire::ok::OkPacket;
use crate::wire::scanner::{Expect, Outcome, ResponseScanner, Scan};
use crate::wire::session_track::SessionChanges;
use crate::wire::status::StatusFlags;

mod ask;
mod counts;
mod send;

pub use ask::{Answered, AnsweredColumn, Packets};
use counts::Counts;
pub use counts::Stake;

/// Why a server did not do what it was asked. Except for [`Failure::Server`] the connection is of
/// no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error.
    #[error("{0}")]
    Server(SqlError),
    /// The stream failed or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server's bytes make no sense.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// What the server says does not count: see [`super::Term`].
    #[error("{0}")]
    Outdated(#[from] Outdated),
    /// It has not answered in the time that its statement has.
    #[error("it gave no answer in the time that statement_timeout_ms leaves")]
    Overdue,
}

/// The exchange of commands and answers with a server.
#[derive(Debug)]
pub struct Exchange {
    framed: Framed,
    scanner: ResponseScanner,
    capabilities: Capabilities,
    /// The answer to the last command has not been read to its end.
    answer_due: bool,
    counts: Counts,
    patience: Patience,
    /// Another server can do what is sent as well.
    expendable: bool,
    /// A KILL QUERY for what was sent last is under way.
    kill: Option<oneshot::Receiver<()>>,
    last_use: LastUse,
}

impl Exchange {
    /// Nothing was asked yet.
    pub(super) fn new(framed: Framed, capabilities: Capabilities, entered: Entered) -> Self {
        Self {
            framed,
            scanner: ResponseScanner::new(),
            capabilities,
            answer_due: false,
            counts: Counts::new(entered),
            patience: Patience::default(),
            expendable: false,
            kill: None,
            last_use: LastUse::fresh(),
        }
    }

    /// Capabilities agreed with the server.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Moves it to the runtime of the current thread.
    pub(super) fn adopt(self) -> io::Result<Self> {
        Ok(Self { framed: self.framed.adopt()?, ..self })
    }

    /// Whether the stream is open and the server has said nothing unasked. Does not wait.
    #[inline]
    pub(super) fn is_quiet(&mut self) -> bool {
        self.framed.buffered().is_empty() && self.framed.is_quiet()
    }

    /// Whether every answer was read to its end.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.answer_due
    }

    /// Whose statement ran last, and whether the server still remembers it.
    pub fn last_use(&self) -> LastUse {
        self.last_use
    }

    /// The same, to note what becomes of it.
    pub(super) fn last_use_mut(&mut self) -> &mut LastUse {
        &mut self.last_use
    }

    /// Gives up unanswered commands when this session cuts; `None`: never.
    pub fn follow(&mut self, cutoff: Option<Arc<Cutoff>>) {
        self.patience.follow(cutoff);
    }

    /// Says whether another server can do as well what is sent from now on: then it does not wait
    /// for this one when it falls silent.
    #[inline]
    pub fn set_expendable(&mut self, expendable: bool) {
        if std::mem::replace(&mut self.expendable, expendable) != expendable {
            self.counts.set_expendable(expendable);
        }
    }

    /// Whether its answer is given up if it is not here now.
    #[inline]
    pub fn is_overdue(&self) -> bool {
        self.patience.is_over()
    }

    /// The session that cuts, for another connection in the place of this one.
    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Waits as the session waits that had another connection.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Enters the term in which its next statements were placed, and says what hangs on them.
    #[inline]
    pub fn enter_term(&mut self, term: u64, next: Stake) {
        self.counts.enter(term, next);
    }

    /// Says what hangs on its next statements.
    #[inline]
    pub fn set_stake(&mut self, next: Stake) {
        self.counts.expect(next);
    }

    /// The term in which it works.
    pub fn term(&self) -> u64 {
        self.counts.term()
    }

    /// What hangs on its next statement.
    pub fn next_stake(&self) -> Stake {
        self.counts.next()
    }

    /// What hangs on the command that is not answered.
    pub fn stake(&self) -> Stake {
        self.counts.sent()
    }

    /// Whether its term goes on.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.counts.is_current()
    }

    /// Whether the answer that was just read counts. Asked before anything is made of it.
    #[inline]
    pub fn confirm(&self) -> Result<(), Outdated> {
        self.counts.confirm()
    }

    /// Notes that a KILL QUERY is under way until the result is dropped.
    pub(super) fn begin_kill(&mut self) -> oneshot::Sender<()> {
        let (under_way, kill) = oneshot::channel();
        self.kill = Some(kill);
        under_way
    }

    /// Makes the scanner wait for the answer to a command that was sent.
    pub fn expect(&mut self, expect: Expect, first_sequence: u8) {
        self.answer_due = true;
        self.scanner.start(expect, self.capabilities, first_sequence);
    }

    /// Reads the rest of the answer that the scanner follows.
    pub async fn collect(&mut self, mut into: Option<&mut Vec<u8>>) -> Result<Outcome, Failure> {
        loop {
            if self.framed.buffered().is_empty()
                && self.patience.unless_over(pin!(self.framed.fill())).await? == 0
            {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let chunk = self.framed.buffered();
            let (count, finished) = match self.scanner.feed(chunk)? {
                Scan::NeedMore => (chunk.len(), false),
                Scan::Changes { at } => (at, false),
                Scan::Finished { at } => (at, true),
                Scan::LocalInfile { .. } => {
                    return Err(io::Error::other("unexpected LOCAL INFILE request").into());
                }
            };
            if let Some(answer) = into.as_deref_mut() {
                answer.extend_from_slice(&chunk[..count]);
            }
            self.framed.consume(count);
            if finished {
                break;
            }
        }
        self.confirm()?;
        self.note_answered();
        let outcome = *self.scanner.outcome();
        if outcome.is_error() {
            return Err(Failure::Server(self.last_error()));
        }
        Ok(outcome)
    }

    /// Notes that the answer to the last command was read to its end.
    pub fn note_answered(&mut self) {
        self.answer_due = false;
        let outcome = self.scanner.outcome();
        // Of several results the last one tells.
        if outcome.warnings > 0 || outcome.is_error() || outcome.results > 1 {
            self.last_use.note_warnings();
        }
        self.counts.note_answered();
    }

    /// What the last answer said.
    pub fn outcome(&self) -> &Outcome {
        self.scanner.outcome()
    }

    /// Server status after the answer just read.
    pub fn status(&self) -> StatusFlags {
        self.scanner.outcome().status
    }

    /// The session state changes that the last answer told.
    pub fn session_changes(&self) -> SessionChanges<'_> {
        self.scanner.session_changes()
    }

    /// The text of the last answer's OK packet, such as `Rows matched: 1 ...`.
    pub fn last_info(&self) -> Vec<u8> {
        let ok = OkPacket::parse(self.scanner.last_payload(), self.capabilities);
        ok.map_or(Vec::new(), |ok| ok.info.to_vec())
    }

    /// The error that ended the answer just read.
    pub fn last_error(&self) -> SqlError {
        match ErrPacket::parse(self.scanner.last_payload()) {
            Ok(error) => SqlError::from_server(error.errno, error.sqlstate, error.message),
            Err(malformed) => {
                SqlError::from_server(1105, *b"HY000", malformed.to_string().into_bytes())
            }
        }
    }

    /// The sequence id after the last packet of the last answer.
    pub fn next_sequence(&self) -> u8 {
        self.scanner.next_seq()
    }

    /// The stream.
    pub fn framed(&self) -> &Framed {
        &self.framed
    }

    /// The stream, for reading an answer packet by packet.
    pub fn framed_mut(&mut self) -> &mut Framed {
        &mut self.framed
    }

    /// The stream and the scanner, for a relay.
    pub fn relay_parts(&mut self) -> (&mut Framed, &mut ResponseScanner) {
        (&mut self.framed, &mut self.scanner)
    }
}

/// The sequence id that the first packet of an answer has: one more than the last packet of the
/// command, which takes several packets from 16 MiB - 1 on.
pub fn first_answer_sequence(payload_len: usize) -> u8 {
    ((payload_len / crate::wire::packet::MAX_PAYLOAD + 1) & 0xff) as u8
}
