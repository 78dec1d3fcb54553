//! Whether an answer counts, and what hangs on it: the one guard that every answer of a server
//! passes, however its statement came.

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
    entered: Entered,
}

impl Counts {
    /// Works in the server's present term.
    pub(super) fn new(entered: Entered) -> Self {
        let term = entered.term().number();
        Self { term, next: Stake::Commit, sent: Stake::Nothing, entered }
    }

    /// Enters a term, and says what hangs on the next statements.
    #[inline]
    pub(super) fn enter(&mut self, term: u64, next: Stake) {
        self.term = term;
        self.next = next;
    }

    /// Says what hangs on the next statements.
    #[inline]
    pub(super) fn expect(&mut self, next: Stake) {
        self.next = next;
    }

    /// The term that was entered.
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// What hangs on the next statement.
    pub(super) fn next(&self) -> Stake {
        self.next
    }

    /// What hangs on the command that is not answered.
    pub(super) fn sent(&self) -> Stake {
        self.sent
    }

    /// Says whether another server can do as well what is sent from now on.
    pub(super) fn set_expendable(&self, expendable: bool) {
        self.entered.set_expendable(expendable);
    }

    /// Whether the term goes on.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.entered.term().number() == self.term
    }

    /// Whether the answer that was just read counts.
    #[inline]
    pub(super) fn confirm(&self) -> Result<(), Outdated> {
        if !self.is_current() {
            return Err(Outdated::Ended);
        }
        if self.sent >= Stake::Write { self.entered.term().is_heard() } else { Ok(()) }
    }

    /// Notes that a statement of the client is on its way.
    #[inline]
    pub(super) fn note_statement_sent(&mut self) {
        self.sent = self.next;
    }

    /// Notes that a command of Geogate's own is on its way.
    pub(super) fn note_sent(&mut self, stake: Stake) {
        self.sent = stake;
    }

    /// Notes that no command is unanswered.
    #[inline]
    pub(super) fn note_answered(&mut self) {
        self.sent = Stake::Nothing;
    }
}
