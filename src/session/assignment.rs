//! What one assignment of a SET changes in the session, and in which way of writing its value is
//! remembered. Pure: the statement is judged by a server, and carried out in `variables`.

use crate::backend::{Defaults, Names, RESULTSET_METADATA};
use crate::executor::client::StateMarks;
use crate::sql::control::set::{Access, Isolation, Scope, SetItem, SetValue};
use crate::sql::system_variable::{self, Keeping};
use crate::sql::value::Value;

use super::hold::Hold;

/// What a SET does to the session if the server accepts it.
#[derive(Debug)]
pub(super) enum Change {
    Names(Names),
    Set(String, Vec<u8>),
    Unset(String),
    /// The value of a system variable must be asked back.
    AskBack(String),
    /// A user variable has the value of an expression.
    UserVariable(String),
    /// session_track_state_change, which Geogate needs on for itself.
    StateMarks(StateMarks),
    /// LAST_INSERT_ID() has another value.
    LastInsertId,
    /// Nothing that this session has to remember: SET GLOBAL.
    Elsewhere,
    /// State at the server that cannot be mirrored.
    Hold(Hold),
}

/// SET PASSWORD, ROLE, DEFAULT ROLE, RESOURCE GROUP.
pub(super) fn other_change(text: &[u8]) -> Vec<Change> {
    let words: Vec<String> = text
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    vec![match words.as_slice() {
        ["PASSWORD" | "DEFAULT", ..] => Change::Elsewhere,
        ["ROLE", ..] => Change::Hold(Hold::Unwipeable("SET ROLE")),
        _ => Change::Hold(Hold::Unwipeable("a SET that is not known")),
    }]
}

/// SET SESSION TRANSACTION.
pub(super) fn session_transaction(
    isolation: Option<Isolation>,
    access: Option<Access>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(isolation) = isolation {
        let value = isolation_words(isolation).replace(' ', "-");
        changes.push(Change::Set(
            "transaction_isolation".to_owned(),
            format!("'{value}'").into_bytes(),
        ));
    }
    if let Some(access) = access {
        let on: &[u8] = if access == Access::ReadOnly { b"1" } else { b"0" };
        changes.push(Change::Set("transaction_read_only".to_owned(), on.to_vec()));
    }
    changes
}

/// `SET @@transaction_isolation = ..` and `@@transaction_read_only`, which without a scope are for
/// the next transaction only.
pub(super) fn next_transaction(items: &[SetItem]) -> Option<(Option<Isolation>, Option<Access>)> {
    let (mut isolation, mut access) = (None, None);
    for item in items {
        let SetItem::System { scope: Scope::Unscoped, name, value, .. } = item else {
            return None;
        };
        let text = match value {
            SetValue::Literal(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            SetValue::Literal(Value::Int(number)) => number.to_string(),
            SetValue::Word(word) => word.clone(),
            _ => return None,
        };
        match system_variable::modern_name(name) {
            "transaction_isolation" => isolation = Some(isolation_of(&text)?),
            "transaction_read_only" if is_on(text.as_bytes()) => access = Some(Access::ReadOnly),
            "transaction_read_only" if is_off(&text) => access = Some(Access::ReadWrite),
            _ => return None,
        }
    }
    Some((isolation, access))
}

pub(super) fn system_change(
    scope: Scope,
    name: &str,
    value: &SetValue,
    literal: &[u8],
) -> Vec<Change> {
    let name = system_variable::modern_name(name);
    match scope {
        Scope::Global | Scope::Persist | Scope::PersistOnly => return vec![Change::Elsewhere],
        Scope::Unscoped if matches!(name, "transaction_isolation" | "transaction_read_only") => {
            return vec![Change::Hold(Hold::NextTransaction)];
        }
        Scope::Session | Scope::Unscoped => {}
    }
    if name == "session_track_state_change" && !matches!(value, SetValue::Expression) {
        let on = !matches!(value, SetValue::Default) && is_on(literal);
        let marks = if on { StateMarks::Passed } else { StateMarks::Dropped };
        return vec![Change::StateMarks(marks)];
    }
    let ask = || Change::AskBack(name.to_owned());
    vec![match system_variable::keeping(name) {
        None => Change::Hold(Hold::Lasting("a variable that is not known")),
        Some(Keeping::ReadOnly | Keeping::LastInsertId) => Change::LastInsertId,
        Some(Keeping::NextInsert) => Change::Hold(Hold::InsertId),
        Some(Keeping::Pins(reason)) => Change::Hold(Hold::of_variable(reason)),
        Some(Keeping::Charset) => ask(),
        // These decide how later statements are read or answered, and what the server made of
        // the value counts.
        Some(Keeping::ByValue) if name == "sql_mode" => ask(),
        Some(Keeping::ByValue) => match value {
            SetValue::Default if is_switch(name) || Defaults::hold(name) => ask(),
            SetValue::Default => Change::Unset(name.to_owned()),
            _ if name == RESULTSET_METADATA => ask(),
            _ => match normal_literal(name, value, literal) {
                Some(literal) => Change::Set(name.to_owned(), literal),
                None => ask(),
            },
        },
    }]
}

/// Variables that are on or off, and by which sessions are told apart most.
fn is_switch(name: &str) -> bool {
    matches!(
        name,
        "autocommit"
            | "big_tables"
            | "foreign_key_checks"
            | "innodb_strict_mode"
            | "low_priority_updates"
            | "sql_auto_is_null"
            | "sql_big_selects"
            | "sql_buffer_result"
            | "sql_log_bin"
            | "sql_notes"
            | "sql_quote_show_create"
            | "sql_safe_updates"
            | "sql_warnings"
            | "transaction_read_only"
            | "unique_checks"
    )
}

/// One way of writing for all literals that mean the same, so that equal sessions are known to be
/// equal. `None`: only the server knows what it means.
fn normal_literal(name: &str, value: &SetValue, literal: &[u8]) -> Option<Vec<u8>> {
    let text = match value {
        SetValue::Literal(Value::Text(text)) => String::from_utf8(text.to_vec()).ok()?,
        SetValue::Literal(Value::Int(number)) => number.to_string(),
        SetValue::Literal(Value::UInt(number)) => number.to_string(),
        SetValue::Word(word) => word.clone(),
        SetValue::Null => return Some(b"NULL".to_vec()),
        SetValue::Literal(_) => return plain_literal(literal).then(|| literal.to_vec()),
        SetValue::Expression | SetValue::Default => return None,
    };
    if is_switch(name) {
        return match (is_on(text.as_bytes()), is_off(&text)) {
            (true, _) => Some(b"1".to_vec()),
            (_, true) => Some(b"0".to_vec()),
            _ => None,
        };
    }
    if name == "transaction_isolation" {
        let words = isolation_words(isolation_of(&text)?).replace(' ', "-");
        return Some(format!("'{words}'").into_bytes());
    }
    match value {
        SetValue::Literal(Value::Int(_) | Value::UInt(_)) => Some(text.into_bytes()),
        SetValue::Word(word) if is_on(word.as_bytes()) || is_off(word) => Some(text.into_bytes()),
        _ => quoted(&text),
    }
}

/// Whether a literal means the same under every sql_mode and character set.
pub(super) fn plain_literal(literal: &[u8]) -> bool {
    let printable = |b: &u8| (0x20..0x7f).contains(b) && *b != b'\\';
    literal.first() != Some(&b'"') && literal.iter().all(printable)
}

/// A string literal that means the same under every sql_mode and character set.
fn quoted(text: &str) -> Option<Vec<u8>> {
    let plain = plain_literal(text.as_bytes()) || text.starts_with('"');
    (plain && !text.contains('\\')).then(|| format!("'{}'", text.replace('\'', "''")).into_bytes())
}

/// The literal of a value that a server told in hexadecimal digits. `None` if they are none.
pub(super) fn value_literal(hex: Option<&str>, is_number: bool) -> Option<Vec<u8>> {
    let Some(hex) = hex else { return Some(b"NULL".to_vec()) };
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(digits).collect();
    let text = String::from_utf8(bytes?).ok()?;
    if is_number {
        return Some(text.into_bytes());
    }
    Some(quoted(&text).unwrap_or_else(|| format!("_utf8mb4 X'{hex}'").into_bytes()))
}

/// Whether an expression looks at tables.
pub(super) fn reads_tables(text: &[u8]) -> bool {
    text.windows(6).any(|word| word.eq_ignore_ascii_case(b"select"))
}

/// SET CHARACTER SET takes the collation from the database, so all three are asked back.
pub(super) fn charset_variables() -> Vec<Change> {
    ["character_set_client", "character_set_results", "collation_connection"]
        .map(|name| Change::AskBack(name.to_owned()))
        .into()
}

pub(super) fn isolation_words(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "READ UNCOMMITTED",
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE READ",
        Isolation::Serializable => "SERIALIZABLE",
    }
}

fn isolation_of(text: &str) -> Option<Isolation> {
    use Isolation::{ReadCommitted, ReadUncommitted, RepeatableRead, Serializable};
    [ReadUncommitted, ReadCommitted, RepeatableRead, Serializable]
        .into_iter()
        .find(|level| isolation_words(*level).replace(' ', "-").eq_ignore_ascii_case(text))
}

/// Whether a literal switches a variable on.
pub(super) fn is_on(literal: &[u8]) -> bool {
    let text = literal.trim_ascii();
    [b"1".as_slice(), b"on", b"true", b"'on'", b"'1'"]
        .iter()
        .any(|on| text.eq_ignore_ascii_case(on))
}

/// Whether a value switches a variable off.
fn is_off(text: &str) -> bool {
    ["0", "off", "false"].iter().any(|off| text.eq_ignore_ascii_case(off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_other_kinds_are_known_or_keep_the_connection() {
        let held = |text: &str| match &other_change(text.as_bytes())[..] {
            [Change::Hold(Hold::Unwipeable(reason))] => Some(*reason),
            _ => None,
        };
        assert_eq!(held("ROLE reader"), Some("SET ROLE"));
        assert_eq!(held("RESOURCE GROUP slow"), Some("a SET that is not known"));
        assert_eq!(held("DEFAULT ROLE NONE TO somebody"), None);
    }
}
