//! SET (MySQL manual, "SET Syntax for Variable Assignment", "SET NAMES", "SET TRANSACTION").

use super::{ControlError, eat_literal, eat_name, expected};
use crate::sql::ast::Span;
use crate::sql::cursor::Cursor;
use crate::sql::token::TokenKind;
use crate::sql::value::Value;

/// A SET statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Its assignments in order.
    pub items: Vec<SetItem>,
}

/// One assignment.
#[derive(Clone, Debug, PartialEq)]
pub enum SetItem {
    /// A system variable.
    System {
        /// Where it is set.
        scope: Scope,
        /// Its name in lower case, dots included.
        name: String,
        /// The value.
        value: SetValue,
        /// The bytes of the value.
        value_span: Span,
        /// The whole assignment.
        span: Span,
    },
    /// A user variable.
    User {
        /// Its name in lower case, without `@` and quotes.
        name: String,
        /// The value.
        value: SetValue,
        /// The bytes of the value.
        value_span: Span,
        /// The whole assignment.
        span: Span,
    },
    /// SET NAMES; `None` for DEFAULT.
    Names {
        /// The charset in lower case.
        charset: Option<String>,
        /// The collation in lower case.
        collation: Option<String>,
    },
    /// SET CHARACTER SET; `None` for DEFAULT.
    CharacterSet(Option<String>),
    /// SET TRANSACTION.
    Transaction {
        /// SESSION or GLOBAL; [`Scope::Unscoped`] means the next transaction only.
        scope: Scope,
        /// ISOLATION LEVEL.
        isolation: Option<Isolation>,
        /// READ ONLY or READ WRITE.
        access: Option<Access>,
    },
    /// SET CANARY PERCENT.
    CanaryPercent(SetValue),
    /// SET PASSWORD, ROLE, DEFAULT ROLE, RESOURCE GROUP, STATEMENT .. FOR: from here to the end.
    Other(Span),
}

/// Where a variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `name`, SESSION, LOCAL.
    Session,
    /// GLOBAL.
    Global,
    /// PERSIST.
    Persist,
    /// PERSIST_ONLY.
    PersistOnly,
    /// `@@name`: the session, but for transaction_isolation and transaction_read_only only the
    /// next transaction.
    Unscoped,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// The access mode of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// READ ONLY.
    ReadOnly,
    /// READ WRITE.
    ReadWrite,
}

/// A value to be set.
#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    /// A literal.
    Literal(Value<'static>),
    /// A bare word: ON, OFF, utf8mb4, ...; as written.
    Word(String),
    /// DEFAULT.
    Default,
    /// NULL.
    Null,
    /// Anything else; a server must compute it.
    Expression,
}

/// Reads SET; the cursor is at SET.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Set, ControlError> {
    cursor.advance();
    let mut items = Vec::new();
    // MySQL keeps the last GLOBAL or SESSION for the names that follow without one.
    let mut sticky = Scope::Session;
    loop {
        items.push(item(cursor, &mut sticky, items.is_empty())?);
        if cursor.at_end() {
            return Ok(Set { items });
        }
        if !cursor.eat_symbol(",") {
            return expected(cursor, "a comma");
        }
    }
}

fn item(cursor: &mut Cursor<'_>, sticky: &mut Scope, first: bool) -> Result<SetItem, ControlError> {
    let start = cursor.start();
    match cursor.peek().kind {
        TokenKind::UserVariable => return user_variable(cursor),
        TokenKind::SystemVariable => return system_variable(cursor),
        _ => {}
    }
    if cursor.at_word("NAMES") && !is_assignment(cursor, 1) {
        cursor.advance();
        return names(cursor);
    }
    if cursor.eat_word("CHARSET") || cursor.eat_words(&["CHARACTER", "SET"]) {
        return charset_or_default(cursor).map(SetItem::CharacterSet);
    }
    if first && cursor.eat_words(&["CANARY", "PERCENT"]) {
        if !cursor.eat_symbol("=") {
            return expected(cursor, "=");
        }
        return Ok(SetItem::CanaryPercent(value(cursor)?.0));
    }
    let other = ["PASSWORD", "ROLE", "DEFAULT", "RESOURCE", "STATEMENT"];
    if first && cursor.at_any_word(&other) && !is_assignment(cursor, 1) {
        return Ok(SetItem::Other(super::rest(cursor)));
    }
    let scope = if is_assignment(cursor, 1) { None } else { eat_scope(cursor) };
    if cursor.at_word("TRANSACTION") && !is_assignment(cursor, 1) {
        cursor.advance();
        return transaction(cursor, scope.unwrap_or(Scope::Unscoped));
    }
    if let Some(scope) = scope {
        *sticky = scope;
    }
    let Some(ident) = cursor.eat_ident() else { return expected(cursor, "a variable") };
    let mut name = ident.text.to_ascii_lowercase();
    while cursor.eat_symbol(".") {
        let Some(part) = cursor.eat_ident() else { return expected(cursor, "a variable") };
        name.push('.');
        name.push_str(&part.text.to_ascii_lowercase());
    }
    let (value, value_span) = assigned(cursor)?;
    let span = cursor.span_from(start);
    Ok(SetItem::System { scope: *sticky, name, value, value_span, span })
}

fn is_assignment(cursor: &Cursor<'_>, ahead: usize) -> bool {
    cursor.symbol_at(ahead, "=") || cursor.symbol_at(ahead, ":=") || cursor.symbol_at(ahead, ".")
}

fn eat_scope(cursor: &mut Cursor<'_>) -> Option<Scope> {
    let scope = scope_of(cursor.bytes(cursor.peek()))?;
    cursor.advance();
    Some(scope)
}

fn scope_of(word: &[u8]) -> Option<Scope> {
    Some(match word.to_ascii_lowercase().as_slice() {
        b"session" | b"local" => Scope::Session,
        b"global" => Scope::Global,
        b"persist" => Scope::Persist,
        b"persist_only" => Scope::PersistOnly,
        _ => return None,
    })
}

fn user_variable(cursor: &mut Cursor<'_>) -> Result<SetItem, ControlError> {
    let token = cursor.advance();
    let name = user_variable_name(cursor.bytes(token));
    let (value, value_span) = assigned(cursor)?;
    Ok(SetItem::User { name, value, value_span, span: cursor.span_from(token.start) })
}

/// The name in `@name`, lower case, quotes taken off.
pub(crate) fn user_variable_name(token: &[u8]) -> String {
    let name = String::from_utf8_lossy(token.get(1..).unwrap_or_default()).to_lowercase();
    match name.as_bytes() {
        [open @ (b'`' | b'\'' | b'"'), .., close] if open == close => {
            name[1..name.len() - 1].to_owned()
        }
        _ => name,
    }
}

fn system_variable(cursor: &mut Cursor<'_>) -> Result<SetItem, ControlError> {
    let token = cursor.advance();
    let (scope, name) = scope_and_name(cursor.bytes(token));
    if name.is_empty() {
        return expected(cursor, "a variable");
    }
    let (value, value_span) = assigned(cursor)?;
    let span = cursor.span_from(token.start);
    Ok(SetItem::System { scope, name, value, value_span, span })
}

/// Scope and lower-case name of `@@scope.name`.
pub fn scope_and_name(token: &[u8]) -> (Scope, String) {
    let name = token.strip_prefix(b"@@").unwrap_or(token);
    let name = String::from_utf8_lossy(name).replace('`', "").to_ascii_lowercase();
    if let Some((first, rest)) = name.split_once('.')
        && let Some(scope) = scope_of(first.as_bytes())
    {
        return (scope, rest.to_owned());
    }
    (Scope::Unscoped, name)
}

fn assigned(cursor: &mut Cursor<'_>) -> Result<(SetValue, Span), ControlError> {
    if !cursor.eat_symbol("=") && !cursor.eat_symbol(":=") {
        return expected(cursor, "=");
    }
    value(cursor)
}

/// A value up to the next comma outside parentheses.
fn value(cursor: &mut Cursor<'_>) -> Result<(SetValue, Span), ControlError> {
    let start = cursor.start();
    if let Some(value) = simple_value(cursor) {
        return Ok((value, cursor.span_from(start)));
    }
    let mark = cursor.mark();
    while !cursor.at_end() && !cursor.at_symbol(",") {
        if cursor.at_symbol("(") {
            if !cursor.skip_parentheses() {
                return expected(cursor, "a closing parenthesis");
            }
        } else {
            cursor.advance();
        }
    }
    if cursor.mark() == mark {
        return expected(cursor, "a value");
    }
    Ok((SetValue::Expression, cursor.span_from(start)))
}

/// A value of one word or literal, with nothing behind it.
fn simple_value(cursor: &mut Cursor<'_>) -> Option<SetValue> {
    let mark = cursor.mark();
    let value = if let Some(value) = eat_literal(cursor) {
        SetValue::Literal(value)
    } else if let Some(ident) = cursor.eat_ident() {
        let quoted = ident.span.end - ident.span.start != ident.text.len() as u32;
        if !quoted && ident.text.eq_ignore_ascii_case("DEFAULT") {
            SetValue::Default
        } else if !quoted && ident.text.eq_ignore_ascii_case("NULL") {
            SetValue::Null
        } else {
            SetValue::Word(ident.text)
        }
    } else {
        return None;
    };
    if cursor.at_end() || cursor.at_symbol(",") {
        return Some(value);
    }
    cursor.reset(mark);
    None
}

fn names(cursor: &mut Cursor<'_>) -> Result<SetItem, ControlError> {
    let charset = charset_or_default(cursor)?;
    let mut collation = None;
    if cursor.eat_word("COLLATE") && !cursor.eat_word("DEFAULT") {
        match eat_name(cursor) {
            Some(name) => collation = Some(name.to_ascii_lowercase()),
            None => return expected(cursor, "a collation"),
        }
    }
    Ok(SetItem::Names { charset, collation })
}

fn charset_or_default(cursor: &mut Cursor<'_>) -> Result<Option<String>, ControlError> {
    if cursor.eat_word("DEFAULT") {
        return Ok(None);
    }
    match eat_name(cursor) {
        Some(name) => Ok(Some(name.to_ascii_lowercase())),
        None => expected(cursor, "a character set"),
    }
}

/// The characteristics after SET TRANSACTION.
fn transaction(cursor: &mut Cursor<'_>, scope: Scope) -> Result<SetItem, ControlError> {
    let (mut isolation, mut access) = (None, None);
    loop {
        if cursor.eat_words(&["ISOLATION", "LEVEL"]) && isolation.is_none() {
            isolation = Some(isolation_level(cursor)?);
        } else if let (Some(found), true) = (eat_access(cursor), access.is_none()) {
            access = Some(found);
        } else {
            return expected(cursor, "ISOLATION LEVEL, READ ONLY or READ WRITE");
        }
        if cursor.at_end() {
            return Ok(SetItem::Transaction { scope, isolation, access });
        }
        if !cursor.eat_symbol(",") {
            return expected(cursor, "a comma");
        }
    }
}

fn isolation_level(cursor: &mut Cursor<'_>) -> Result<Isolation, ControlError> {
    let levels: [(&[&str], Isolation); 4] = [
        (&["READ", "UNCOMMITTED"], Isolation::ReadUncommitted),
        (&["READ", "COMMITTED"], Isolation::ReadCommitted),
        (&["REPEATABLE", "READ"], Isolation::RepeatableRead),
        (&["SERIALIZABLE"], Isolation::Serializable),
    ];
    for (words, level) in levels {
        if cursor.eat_words(words) {
            return Ok(level);
        }
    }
    expected(cursor, "an isolation level")
}

/// READ ONLY or READ WRITE.
pub(super) fn eat_access(cursor: &mut Cursor<'_>) -> Option<Access> {
    if cursor.eat_words(&["READ", "ONLY"]) {
        Some(Access::ReadOnly)
    } else if cursor.eat_words(&["READ", "WRITE"]) {
        Some(Access::ReadWrite)
    } else {
        None
    }
}
