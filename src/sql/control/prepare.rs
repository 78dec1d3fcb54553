//! Prepared statements in text: PREPARE, EXECUTE, DEALLOCATE PREPARE.

use super::set::user_variable_name;
use super::{ControlError, expect_end, expected, literal_at};
use crate::sql::cursor::Cursor;
use crate::sql::token::TokenKind;
use crate::sql::value::Value;

/// A statement about a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// PREPARE name FROM ..
    Prepare {
        /// Its name.
        name: String,
        /// Its text.
        source: Source,
    },
    /// EXECUTE name USING @a, @b.
    Execute {
        /// Its name.
        name: String,
        /// The user variables that hold the parameters, lower case, without `@`.
        using: Vec<String>,
    },
    /// DEALLOCATE PREPARE or DROP PREPARE.
    Deallocate(String),
}

/// Where the text of a prepared statement comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A string.
    Text(Vec<u8>),
    /// A user variable: lower case, without `@`.
    Variable(String),
}

/// Reads PREPARE, EXECUTE or DEALLOCATE; the cursor is at its first word.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Prepared, ControlError> {
    let statement = if cursor.eat_word("PREPARE") {
        let name = name(cursor)?;
        if !cursor.eat_word("FROM") {
            return expected(cursor, "FROM");
        }
        Prepared::Prepare { name, source: source(cursor)? }
    } else if cursor.eat_word("EXECUTE") {
        let name = name(cursor)?;
        let mut using = Vec::new();
        if cursor.eat_word("USING") {
            using.push(variable(cursor)?);
            while cursor.eat_symbol(",") {
                using.push(variable(cursor)?);
            }
        }
        Prepared::Execute { name, using }
    } else {
        cursor.advance();
        if !cursor.eat_word("PREPARE") {
            return expected(cursor, "PREPARE");
        }
        Prepared::Deallocate(name(cursor)?)
    };
    expect_end(cursor)?;
    Ok(statement)
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, ControlError> {
    match cursor.eat_ident() {
        Some(ident) => Ok(ident.text),
        None => expected(cursor, "the name of a prepared statement"),
    }
}

fn variable(cursor: &mut Cursor<'_>) -> Result<String, ControlError> {
    if cursor.peek().kind != TokenKind::UserVariable {
        return expected(cursor, "a user variable");
    }
    let token = cursor.advance();
    Ok(user_variable_name(cursor.bytes(token)))
}

fn source(cursor: &mut Cursor<'_>) -> Result<Source, ControlError> {
    if cursor.peek().kind == TokenKind::UserVariable {
        return variable(cursor).map(Source::Variable);
    }
    match literal_at(cursor) {
        Some(Value::Text(text)) => {
            cursor.advance();
            Ok(Source::Text(text.into_owned()))
        }
        _ => expected(cursor, "a string or a user variable"),
    }
}
