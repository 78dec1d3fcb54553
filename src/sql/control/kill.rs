//! KILL.

use super::{ControlError, eat_literal, expect_end, expected};
use crate::sql::cursor::Cursor;
use crate::sql::value::Value;

/// A KILL statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// What is stopped.
    pub target: KillTarget,
    /// The connection's number, as CONNECTION_ID() gives it.
    pub id: u64,
}

/// What a [`Kill`] stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    /// The connection.
    Connection,
    /// The statement that it runs.
    Query,
}

/// Reads KILL; the cursor is at KILL. MariaDB's HARD, SOFT and USER forms are not understood.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Kill, ControlError> {
    cursor.advance();
    let target = if cursor.eat_word("QUERY") {
        KillTarget::Query
    } else {
        cursor.eat_word("CONNECTION");
        KillTarget::Connection
    };
    let id = match eat_literal(cursor) {
        Some(Value::Int(id)) if id >= 0 => id as u64,
        Some(Value::UInt(id)) => id,
        _ => return expected(cursor, "the number of a connection"),
    };
    expect_end(cursor)?;
    Ok(Kill { target, id })
}
