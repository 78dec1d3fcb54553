//! BEGIN, START TRANSACTION, COMMIT, ROLLBACK, SAVEPOINT.

use super::set::{Access, eat_access};
use super::{ControlError, expect_end, expected};
use crate::sql::ast::Ident;
use crate::sql::cursor::Cursor;

/// A transaction statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// READ ONLY or READ WRITE.
        access: Option<Access>,
        /// WITH CONSISTENT SNAPSHOT.
        consistent_snapshot: bool,
    },
    /// COMMIT.
    Commit(Completion),
    /// ROLLBACK.
    Rollback(Completion),
    /// SAVEPOINT.
    Savepoint(Ident),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(Ident),
    /// RELEASE SAVEPOINT.
    Release(Ident),
}

impl Transaction {
    /// The savepoint that it names.
    pub fn savepoint_mut(&mut self) -> Option<&mut Ident> {
        match self {
            Self::Savepoint(name) | Self::RollbackTo(name) | Self::Release(name) => Some(name),
            Self::Begin { .. } | Self::Commit(_) | Self::Rollback(_) => None,
        }
    }
}

/// What happens after COMMIT or ROLLBACK. `None` means that the session's completion_type decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// AND CHAIN, AND NO CHAIN.
    pub chain: Option<Choice>,
    /// RELEASE, NO RELEASE: the connection is closed.
    pub release: Option<Choice>,
}

/// A written yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The word alone.
    Yes,
    /// NO and the word.
    No,
}

/// Reads a transaction statement; the cursor is at its first word.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Transaction, ControlError> {
    let statement = if cursor.eat_word("BEGIN") {
        cursor.eat_word("WORK");
        Transaction::Begin { access: None, consistent_snapshot: false }
    } else if cursor.eat_words(&["START", "TRANSACTION"]) {
        start(cursor)?
    } else if cursor.eat_word("COMMIT") {
        Transaction::Commit(completion(cursor)?)
    } else if cursor.eat_word("ROLLBACK") {
        cursor.eat_word("WORK");
        if cursor.eat_word("TO") {
            cursor.eat_word("SAVEPOINT");
            Transaction::RollbackTo(name(cursor)?)
        } else {
            Transaction::Rollback(completion(cursor)?)
        }
    } else if cursor.eat_word("SAVEPOINT") {
        Transaction::Savepoint(name(cursor)?)
    } else if cursor.eat_words(&["RELEASE", "SAVEPOINT"]) {
        Transaction::Release(name(cursor)?)
    } else {
        return expected(cursor, "a transaction statement");
    };
    expect_end(cursor)?;
    Ok(statement)
}

fn name(cursor: &mut Cursor<'_>) -> Result<Ident, ControlError> {
    match cursor.eat_ident() {
        Some(ident) => Ok(ident),
        None => expected(cursor, "the name of a savepoint"),
    }
}

fn start(cursor: &mut Cursor<'_>) -> Result<Transaction, ControlError> {
    let mut access = None;
    let mut consistent_snapshot = false;
    while !cursor.at_end() {
        if cursor.eat_words(&["WITH", "CONSISTENT", "SNAPSHOT"]) {
            consistent_snapshot = true;
        } else if let (Some(found), true) = (eat_access(cursor), access.is_none()) {
            access = Some(found);
        } else {
            return expected(cursor, "READ ONLY, READ WRITE or WITH CONSISTENT SNAPSHOT");
        }
        if !cursor.at_end() && !cursor.eat_symbol(",") {
            return expected(cursor, "a comma");
        }
    }
    Ok(Transaction::Begin { access, consistent_snapshot })
}

fn completion(cursor: &mut Cursor<'_>) -> Result<Completion, ControlError> {
    cursor.eat_word("WORK");
    let mut completion = Completion::default();
    if cursor.eat_word("AND") {
        completion.chain = Some(choice(cursor, "CHAIN")?);
    }
    if !cursor.at_end() {
        completion.release = Some(choice(cursor, "RELEASE")?);
    }
    if completion.chain == Some(Choice::Yes) && completion.release == Some(Choice::Yes) {
        return expected(cursor, "AND CHAIN or RELEASE, not both");
    }
    Ok(completion)
}

fn choice(cursor: &mut Cursor<'_>, word: &'static str) -> Result<Choice, ControlError> {
    let choice = if cursor.eat_word("NO") { Choice::No } else { Choice::Yes };
    if cursor.eat_word(word) { Ok(choice) } else { expected(cursor, word) }
}
