//! KILL.

use super::{ControlError, eat_literal, expected, rest};
use crate::sql::ast::Span;
use crate::sql::cursor::Cursor;
use crate::sql::value::Value;

/// A KILL statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// What is stopped.
    pub target: KillTarget,
    /// The connection's number, as CONNECTION_ID() gives it.
    pub id: KillId,
}

/// How the number of a connection is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillId {
    /// As a number.
    Number(u64),
    /// CONNECTION_ID().
    Own,
    /// As any other expression, which a server must work out.
    Expression(Span),
}

/// What a [`Kill`] stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    /// The connection.
    Connection,
    /// The statement that it runs.
    Query,
}

/// Reads KILL; the cursor is at KILL. Of MariaDB's forms HARD is what it does anyway; SOFT, USER
/// and QUERY ID are not understood.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Kill, ControlError> {
    cursor.advance();
    cursor.eat_word("HARD");
    let target = if cursor.eat_word("QUERY") {
        KillTarget::Query
    } else {
        cursor.eat_word("CONNECTION");
        KillTarget::Connection
    };
    let mark = cursor.mark();
    let number = match eat_literal(cursor) {
        Some(Value::Int(id)) if id >= 0 => Some(id as u64),
        Some(Value::UInt(id)) => Some(id),
        _ => None,
    };
    if let Some(id) = number.filter(|_| cursor.at_end()) {
        return Ok(Kill { target, id: KillId::Number(id) });
    }
    cursor.reset(mark);
    if cursor.eat_word("CONNECTION_ID") {
        if cursor.eat_symbol("(") && cursor.eat_symbol(")") && cursor.at_end() {
            return Ok(Kill { target, id: KillId::Own });
        }
        cursor.reset(mark);
    }
    let unknown = ["SOFT", "USER", "ID"].into_iter().any(|word| cursor.eat_word(word));
    if unknown || cursor.at_end() {
        return expected(cursor, "the number of a connection");
    }
    Ok(Kill { target, id: KillId::Expression(rest(cursor)) })
}
