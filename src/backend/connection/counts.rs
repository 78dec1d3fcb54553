//! Whether an answer counts, and what hangs on it: the one guard that every answer of a server
//! passes, however its statement came.

use super::Connection;
use crate::backend::term::{Entered, Outdated};

/// What hangs on the answer to a command. Later ones are more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stake {
    /// No command is unanswered.
    #[default]
    Nothing,
    /// A question or setting of Geogate's own.
    Question,
    /// A statement of the client that surely changes nothing.
    Read,
    /// A statement that changes rows, and is undone with its transaction.
    Write,
    /// COMMIT, or a statement that may commit, or of which nobody knows what it does.
    Commit,
}

/// The term in which a connection works, and what it waits for.
#[derive(Debug)]
pub(super) struct Counts {
    term: u64,
    /// Of the client's next statement.
    next: Stake,
    /// Of the command that is not answered.
    sent: Stake,
    _entered: Entered,
}

impl Counts {
    pub(super) fn new(term: u64, entered: Entered) -> Self {
        Self { term, next: Stake::Commit, sent: Stake::Nothing, _entered: entered }
    }

    #[inline]
    pub(super) fn note_answered(&mut self) {
        self.sent = Stake::Nothing;
    }
}

impl Connection {
    /// Enters the term in which its next statements were placed, and says what hangs on them.
    #[inline]
    pub fn enter_term(&mut self, term: u64, next: Stake) {
        self.counts.term = term;
        self.counts.next = next;
    }

    /// Says what hangs on its next statements.
    #[inline]
    pub fn set_stake(&mut self, next: Stake) {
        self.counts.next = next;
    }

    /// The term in which it works.
    pub fn term(&self) -> u64 {
        self.counts.term
    }

    /// What hangs on its next statement.
    pub fn next_stake(&self) -> Stake {
        self.counts.next
    }

    /// Whether its term goes on.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.dial.term().number() == self.counts.term
    }

    /// What hangs on the command that is not answered.
    pub fn stake(&self) -> Stake {
        self.counts.sent
    }

    /// Whether the answer that was just read counts. Asked before anything is made of it.
    #[inline]
    pub fn confirm(&self) -> Result<(), Outdated> {
        if !self.is_current() {
            return Err(Outdated::Ended);
        }
        if self.counts.sent >= Stake::Write { self.dial.term().is_heard() } else { Ok(()) }
    }

    /// Notes that a statement of the client is on its way.
    #[inline]
    pub(super) fn note_statement_sent(&mut self) {
        self.counts.sent = self.counts.next;
    }

    /// Notes that a command of Geogate's own is on its way.
    pub(super) fn note_sent(&mut self, stake: Stake) {
        self.counts.sent = stake;
    }
}
