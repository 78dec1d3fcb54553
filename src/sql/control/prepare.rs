//! Prepared statements in text: PREPARE, EXECUTE, EXECUTE IMMEDIATE, DEALLOCATE PREPARE.

use super::{ControlError, expect_end, expected, literal_at};
use crate::sql::ast::Span;
use crate::sql::cursor::Cursor;
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
        /// The parameters.
        using: Using,
    },
    /// MariaDB's EXECUTE IMMEDIATE 'text' USING @a, @b.
    Immediate {
        /// The text.
        source: Source,
        /// The parameters.
        using: Using,
    },
    /// DEALLOCATE PREPARE or DROP PREPARE.
    Deallocate(String),
}

/// Where the text of a prepared statement comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A string.
    Text(Vec<u8>),
    /// A user variable, or on MariaDB any expression.
    Expression(Span),
}

/// The parameters of an execution: user variables, or on MariaDB any expressions.
pub type Using = Vec<Span>;

/// Reads PREPARE, EXECUTE or DEALLOCATE; the cursor is at its first word.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Prepared, ControlError> {
    let statement = if cursor.eat_word("PREPARE") {
        let name = name(cursor)?;
        if !cursor.eat_word("FROM") {
            return expected(cursor, "FROM");
        }
        Prepared::Prepare { name, source: source(cursor)? }
    } else if cursor.eat_words(&["EXECUTE", "IMMEDIATE"]) {
        Prepared::Immediate { source: source(cursor)?, using: using(cursor)? }
    } else if cursor.eat_word("EXECUTE") {
        Prepared::Execute { name: name(cursor)?, using: using(cursor)? }
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

fn using(cursor: &mut Cursor<'_>) -> Result<Using, ControlError> {
    let mut using = Vec::new();
    if cursor.eat_word("USING") {
        using.push(expression(cursor)?);
        while cursor.eat_symbol(",") {
            using.push(expression(cursor)?);
        }
    }
    Ok(using)
}

/// Moves to the comma, USING or end behind an expression.
fn expression(cursor: &mut Cursor<'_>) -> Result<Span, ControlError> {
    let start = cursor.start();
    let mark = cursor.mark();
    while !cursor.at_end() && !cursor.at_symbol(",") && !cursor.at_word("USING") {
        cursor.skip_parentheses();
    }
    if cursor.mark() == mark {
        return expected(cursor, "an expression");
    }
    Ok(cursor.span_from(start))
}

fn source(cursor: &mut Cursor<'_>) -> Result<Source, ControlError> {
    if let Some(Value::Text(text)) = literal_at(cursor) {
        let mark = cursor.mark();
        cursor.advance();
        if cursor.at_end() || cursor.at_word("USING") {
            return Ok(Source::Text(text.into_owned()));
        }
        cursor.reset(mark);
    }
    expression(cursor).map(Source::Expression)
}
