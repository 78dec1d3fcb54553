//! LOCK TABLES and UNLOCK TABLES.

use super::{ControlError, eat_literal, expect_end, expected};
use crate::sql::ast::Ident;
use crate::sql::cursor::Cursor;
use crate::sql::value::Value;

/// LOCK TABLES or UNLOCK TABLES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableLocks {
    /// LOCK TABLES.
    Lock {
        /// In the order of the text.
        tables: Vec<LockedTable>,
        /// MariaDB's WAIT n or NOWAIT, which is WAIT 0: seconds.
        wait: Option<u64>,
    },
    /// UNLOCK TABLES.
    Unlock,
}

/// A table in LOCK TABLES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedTable {
    /// Its database, if written.
    pub database: Option<Ident>,
    /// Its name.
    pub name: Ident,
    /// The name that statements use for it.
    pub alias: Option<Ident>,
    /// The words of the lock, as they are sent.
    pub lock: &'static str,
}

/// Reads LOCK TABLES or UNLOCK TABLES; the cursor is at the first word.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<TableLocks, ControlError> {
    let unlocks = cursor.at_word("UNLOCK");
    cursor.advance();
    if !cursor.eat_word("TABLES") && !cursor.eat_word("TABLE") {
        return expected(cursor, "TABLES");
    }
    if unlocks {
        expect_end(cursor)?;
        return Ok(TableLocks::Unlock);
    }
    let mut tables = vec![table(cursor)?];
    while cursor.eat_symbol(",") {
        tables.push(table(cursor)?);
    }
    let wait = wait(cursor)?;
    expect_end(cursor)?;
    Ok(TableLocks::Lock { tables, wait })
}

fn table(cursor: &mut Cursor<'_>) -> Result<LockedTable, ControlError> {
    let Some(mut name) = cursor.eat_ident() else { return expected(cursor, "a table") };
    let mut database = None;
    if cursor.eat_symbol(".") {
        let Some(second) = cursor.eat_ident() else { return expected(cursor, "a table") };
        database = Some(std::mem::replace(&mut name, second));
    }
    let is_lock = cursor.at_any_word(&["READ", "WRITE", "LOW_PRIORITY"]);
    let alias = if cursor.eat_word("AS") || !is_lock {
        match cursor.eat_ident() {
            Some(alias) => Some(alias),
            None => return expected(cursor, "READ or WRITE"),
        }
    } else {
        None
    };
    Ok(LockedTable { database, name, alias, lock: lock(cursor)? })
}

fn lock(cursor: &mut Cursor<'_>) -> Result<&'static str, ControlError> {
    if cursor.eat_word("READ") {
        return Ok(if cursor.eat_word("LOCAL") { "READ LOCAL" } else { "READ" });
    }
    let low_priority = cursor.eat_word("LOW_PRIORITY");
    if !cursor.eat_word("WRITE") {
        return expected(cursor, "READ or WRITE");
    }
    if low_priority {
        return Ok("LOW_PRIORITY WRITE");
    }
    Ok(if cursor.eat_word("CONCURRENT") { "WRITE CONCURRENT" } else { "WRITE" })
}

fn wait(cursor: &mut Cursor<'_>) -> Result<Option<u64>, ControlError> {
    if cursor.eat_word("NOWAIT") {
        return Ok(Some(0));
    }
    if !cursor.eat_word("WAIT") {
        return Ok(None);
    }
    match eat_literal(cursor) {
        Some(Value::Int(seconds)) if seconds >= 0 => Ok(Some(seconds as u64)),
        _ => expected(cursor, "a number of seconds"),
    }
}
