//! EXPLAIN, DESCRIBE, DESC, and VEXPLAIN, which asks the proxy itself.

use super::{ControlError, expected};
use crate::sql::ast::{Ident, Span};
use crate::sql::cursor::Cursor;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explain {
    /// DESCRIBE table [column].
    Table {
        /// `ks` of `ks.t`.
        keyspace: Option<Ident>,
        /// The table.
        table: Ident,
        /// The bytes of its name, qualifier included.
        span: Span,
    },
    /// EXPLAIN statement.
    Statement {
        /// Between EXPLAIN and the statement: EXTENDED, ANALYZE, FORMAT = ..
        options: Span,
        /// EXPLAIN ANALYZE runs the statement.
        analyze: bool,
        /// The statement.
        statement: Span,
    },
    /// EXPLAIN FOR CONNECTION.
    Connection,
    /// VEXPLAIN.
    Proxy {
        /// What is asked.
        kind: VExplainKind,
        /// The statement.
        statement: Span,
    },
}

/// What VEXPLAIN asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VExplainKind {
    /// PLAN: the plan.
    Plan,
    /// QUERIES: runs it and lists the statements sent.
    Queries,
    /// ALL: runs it and lists the servers' EXPLAIN of the statements sent.
    All,
    /// TRACE: runs it and shows the plan with row counts.
    Trace,
    /// KEYS: the columns that would serve as keys.
    Keys,
}

/// Reads EXPLAIN; the cursor is at its first word.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Explain, ControlError> {
    cursor.advance();
    let start = cursor.start();
    let mut analyze = false;
    loop {
        if cursor.at_word("ANALYZE") {
            analyze = true;
            cursor.advance();
        } else if cursor.at_any_word(&["EXTENDED", "PARTITIONS"]) && !cursor.peek_is_last() {
            cursor.advance();
        } else if cursor.at_word("FORMAT") && cursor.symbol_at(1, "=") {
            cursor.advance();
            cursor.advance();
            cursor.advance();
        } else {
            break;
        }
    }
    let options = Span { start, end: cursor.previous_end().max(start) };
    if cursor.at_words(&["FOR", "CONNECTION"]) {
        super::rest(cursor);
        return Ok(Explain::Connection);
    }
    if cursor.at_symbol("(") || cursor.at_any_word(STATEMENTS) {
        return Ok(Explain::Statement { options, analyze, statement: super::rest(cursor) });
    }
    table(cursor)
}

const STATEMENTS: &[&str] =
    &["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "TABLE", "VALUES"];

fn table(cursor: &mut Cursor<'_>) -> Result<Explain, ControlError> {
    let Some(first) = cursor.eat_ident() else { return expected(cursor, "a table") };
    let (mut keyspace, mut table) = (None, first);
    if cursor.eat_symbol(".") {
        match cursor.eat_ident() {
            Some(name) => keyspace = Some(std::mem::replace(&mut table, name)),
            None => return expected(cursor, "a table"),
        }
    }
    let start = keyspace.as_ref().unwrap_or(&table).span.start;
    let span = Span { start, end: table.span.end };
    super::rest(cursor);
    Ok(Explain::Table { keyspace, table, span })
}

/// Reads VEXPLAIN; the cursor is at VEXPLAIN. Without a word for what is asked, it is the plan.
pub(crate) fn parse_vexplain(cursor: &mut Cursor<'_>) -> Result<Explain, ControlError> {
    cursor.advance();
    let kinds = [
        ("PLAN", VExplainKind::Plan),
        ("QUERIES", VExplainKind::Queries),
        ("ALL", VExplainKind::All),
        ("TRACE", VExplainKind::Trace),
        ("KEYS", VExplainKind::Keys),
    ];
    let kind = kinds.into_iter().find(|(word, _)| cursor.eat_word(word));
    if cursor.at_end() {
        return expected(cursor, "a statement");
    }
    let statement = super::rest(cursor);
    Ok(Explain::Proxy { kind: kind.map_or(VExplainKind::Plan, |(_, kind)| kind), statement })
}
