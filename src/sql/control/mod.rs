//! Statements about the session and not about rows: SET, SHOW, USE, transactions, KILL, EXPLAIN,
//! prepared statements in text, table locks, definitions of databases,
//! directives.
//!
//! Only their syntax is read here; what they mean is the session's business. A statement that is
//! not understood is an error value, and the caller passes it through or refuses it.

pub mod database;
pub mod directive;
pub mod explain;
pub mod kill;
pub mod prepare;
pub mod set;
pub mod show;
pub mod table_locks;
pub mod transaction;
pub mod use_target;

use super::ast::Span;
use super::cursor::Cursor;
use super::features::Features;
use super::literal::Literal;
use super::mode::LexMode;
use super::scan::{HoleKind, Scan};
use super::statement_kind::StatementKind;
use super::token::{LexError, TokenKind};
use super::value::Value;

/// A control statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// SET.
    Set(set::Set),
    /// SHOW.
    Show(show::Show),
    /// BEGIN, COMMIT, SAVEPOINT and their kin.
    Transaction(transaction::Transaction),
    /// USE.
    Use(use_target::Target),
    /// KILL.
    Kill(kill::Kill),
    /// EXPLAIN, DESCRIBE, VEXPLAIN.
    Explain(explain::Explain),
    /// PREPARE, EXECUTE, DEALLOCATE PREPARE.
    Prepared(prepare::Prepared),
    /// CREATE, ALTER, DROP DATABASE.
    Database(database::Database),
    /// LOCK TABLES, UNLOCK TABLES.
    TableLocks(table_locks::TableLocks),
}

/// Why a control statement is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Its text is not a sequence of tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// Another word was expected.
    #[error("expected {expected} at byte {offset}")]
    Expected {
        /// What was expected.
        expected: &'static str,
        /// Where.
        offset: u32,
    },
    /// Parts of it are code on some servers only.
    #[error("a version comment that not all servers read alike")]
    ServerSpecific,
}

/// Reads a control statement; `None` if `scan`, the scan of `text`, found another kind, or one with
/// settings of its own (SET STATEMENT), which a server must put around it.
pub fn parse(text: &[u8], mode: LexMode, scan: &Scan) -> Result<Option<Control>, ControlError> {
    use StatementKind as Kind;
    if scan.has_own_settings() {
        return Ok(None);
    }
    if matches!(scan.kind(), Kind::Create | Kind::Alter | Kind::Drop) {
        let database = database::parse(&mut Cursor::new(text, mode, scan)?)?;
        return Ok(database.map(Control::Database));
    }
    if !matches!(
        scan.kind(),
        Kind::Set
            | Kind::Show
            | Kind::Use
            | Kind::Begin
            | Kind::StartTransaction
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::Release
            | Kind::Kill
            | Kind::Explain
            | Kind::VExplain
            | Kind::Prepare
            | Kind::Execute
            | Kind::Deallocate
            | Kind::LockTables
            | Kind::UnlockTables
    ) {
        return Ok(None);
    }
    if scan.features().contains(Features::SERVER_SPECIFIC) {
        return Err(ControlError::ServerSpecific);
    }
    let mut cursor = Cursor::new(text, mode, scan)?;
    let cursor = &mut cursor;
    let control = match scan.kind() {
        Kind::Set => Control::Set(set::parse(cursor)?),
        Kind::Show => Control::Show(show::parse(cursor)?),
        Kind::Use => Control::Use(use_target::parse(cursor)?),
        Kind::Kill => Control::Kill(kill::parse(cursor)?),
        Kind::Explain => Control::Explain(explain::parse(cursor)?),
        Kind::VExplain => Control::Explain(explain::parse_vexplain(cursor)?),
        Kind::Prepare | Kind::Execute | Kind::Deallocate => {
            Control::Prepared(prepare::parse(cursor)?)
        }
        Kind::LockTables | Kind::UnlockTables => Control::TableLocks(table_locks::parse(cursor)?),
        _ => Control::Transaction(transaction::parse(cursor)?),
    };
    Ok(Some(control))
}

/// The error for the current token.
fn expected<T>(cursor: &Cursor<'_>, expected: &'static str) -> Result<T, ControlError> {
    Err(ControlError::Expected { expected, offset: cursor.start() })
}

fn expect_end(cursor: &Cursor<'_>) -> Result<(), ControlError> {
    if cursor.at_end() { Ok(()) } else { expected(cursor, "the end of the statement") }
}

/// From the current token to the end of the statement's last token; moves to the end.
fn rest(cursor: &mut Cursor<'_>) -> Span {
    let start = cursor.start();
    while !cursor.at_end() {
        cursor.advance();
    }
    cursor.span_from(start)
}

/// Moves over a literal, with a minus sign if there is one.
fn eat_literal(cursor: &mut Cursor<'_>) -> Option<Value<'static>> {
    let mark = cursor.mark();
    let negative = cursor.eat_symbol("-");
    let value =
        literal_at(cursor).and_then(|value| if negative { negate(value) } else { Some(value) });
    match value {
        Some(value) => {
            cursor.advance();
            Some(value)
        }
        None => {
            cursor.reset(mark);
            None
        }
    }
}

/// The literal that the current token is, without introducer.
fn literal_at(cursor: &Cursor<'_>) -> Option<Value<'static>> {
    let token = cursor.peek();
    let Some(number) = cursor.peek_hole() else {
        // A string after AS or COLLATE, or a number after BY, is no hole.
        let quoted = token.kind == TokenKind::String;
        return quoted.then(|| {
            Value::Text(super::literal::string(cursor.bytes(token), cursor.mode)).into_owned()
        });
    };
    let hole = cursor.hole(number);
    if hole.kind == HoleKind::Introduced {
        return None;
    }
    let Literal { value, .. } = hole.literal(cursor.text, cursor.mode)?;
    Some(value.into_owned())
}

fn negate(value: Value<'static>) -> Option<Value<'static>> {
    Some(match value {
        Value::Int(number) => Value::Int(-number),
        Value::UInt(number) if number == 1 << 63 => Value::Int(i64::MIN),
        Value::UInt(number) => Value::Decimal(format!("-{number}").into_bytes().into()),
        Value::Float(number) => Value::Float(-number),
        Value::Decimal(digits) => Value::Decimal([b"-", digits.as_ref()].concat().into()),
        _ => return None,
    })
}

/// Moves over a name or a string and gives its text.
fn eat_name(cursor: &mut Cursor<'_>) -> Option<String> {
    if let Some(ident) = cursor.eat_ident() {
        return Some(ident.text);
    }
    if cursor.peek().kind != TokenKind::String {
        return None;
    }
    let value = literal_at(cursor)?;
    cursor.advance();
    match value {
        Value::Text(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
