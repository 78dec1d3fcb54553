//! Does the proxy answer as one plain server does? Decided here, without any IO.
//!
//! One server itself does not determine everything: ties under ORDER BY, LIMIT without order, sums
//! of floats. The rule for what is left out is checked, not declared: two plain servers hold the
//! same rows in opposite physical order, and a statement is compared only in what both agree on.
//!
//! - Error number, SQLSTATE, column definitions, counts and the number of rows: always. Only the
//!   flags of a column that say how the server has read it are left out ([`ACCESS_FLAGS`]).
//! - Rows as a multiset: if both plain servers give the same multiset.
//! - Order: if the statement has a top-level ORDER BY. Each column whose sequence of values is the
//!   same on both plain servers must have that sequence; all of them if nothing is tied.

use std::fmt::Write as _;

use crate::client::{Answer, Error, Value};
use crate::packet::Column;

/// What a server answered: a result, or error number and SQLSTATE (0 for a broken connection).
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A result.
    Answer(Answer),
    /// An error packet.
    Error { errno: u16, sqlstate: String, message: String },
}

impl From<Result<Answer, Error>> for Outcome {
    fn from(result: Result<Answer, Error>) -> Self {
        match result {
            Ok(answer) => Self::Answer(answer),
            Err(Error::Server { errno, sqlstate, message }) => {
                Self::Error { errno, sqlstate, message }
            }
            Err(error @ Error::Io(_)) => {
                Self::Error { errno: 0, sqlstate: String::new(), message: error.to_string() }
            }
        }
    }
}

/// How much of a statement's result one server determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Determined {
    /// All of it.
    Fully,
    /// The rows, but not their order under ORDER BY: ties.
    ExceptOrder,
    /// Not even the rows: LIMIT without order, float sums.
    ExceptRows,
}

/// What two plain servers with different physical row order have in common. An error is a mistake
/// in the test files: they must agree on success and counts.
pub(crate) fn determined(
    plain: &Outcome,
    reversed: &Outcome,
    ordered: bool,
) -> Result<Determined, String> {
    let (Outcome::Answer(plain), Outcome::Answer(reversed)) = (plain, reversed) else {
        return match (plain, reversed) {
            (Outcome::Error { errno: one, .. }, Outcome::Error { errno: two, .. })
                if one == two =>
            {
                Ok(Determined::Fully)
            }
            _ => Err(format!("plain servers disagree: {plain:?} and {reversed:?}")),
        };
    };
    if (plain.rows.len(), plain.affected) != (reversed.rows.len(), reversed.affected) {
        return Err("plain servers disagree in the number of rows".into());
    }
    Ok(if sorted(&plain.rows) != sorted(&reversed.rows) {
        Determined::ExceptRows
    } else if ordered && plain.rows != reversed.rows {
        Determined::ExceptOrder
    } else {
        Determined::Fully
    })
}

/// Differences of the proxy's answer from the plain server's, in words; empty if it agrees.
pub(crate) fn differences(
    plain: &Outcome,
    reversed: &Outcome,
    proxy: &Outcome,
    ordered: bool,
) -> String {
    let mut text = String::new();
    match (plain, reversed, proxy) {
        (Outcome::Answer(plain), Outcome::Answer(reversed), Outcome::Answer(proxy)) => {
            compare_columns(&plain.columns, &proxy.columns, &mut text);
            compare_counts(plain, proxy, &mut text);
            if sorted(&plain.rows) == sorted(&reversed.rows) {
                compare_rows(&plain.rows, &proxy.rows, &mut text);
            }
            if ordered && text.is_empty() {
                compare_order(plain, reversed, proxy, &mut text);
            }
        }
        (
            Outcome::Error { errno, sqlstate, .. },
            _,
            Outcome::Error { errno: their_errno, sqlstate: their_state, message },
        ) => {
            if (errno, sqlstate) != (their_errno, their_state) {
                let _ = writeln!(
                    text,
                    "  error {errno} ({sqlstate}), but {their_errno} ({their_state}): {message}"
                );
            }
        }
        (_, _, Outcome::Error { errno, message, .. }) => {
            let _ = writeln!(text, "  success, but error {errno}: {message}");
        }
        (Outcome::Error { errno, .. }, _, Outcome::Answer(_)) => {
            let _ = writeln!(text, "  error {errno}, but success");
        }
        (Outcome::Answer(_), Outcome::Error { .. }, Outcome::Answer(_)) => {}
    }
    text
}

/// Flags that one server gives or does not give to the same column, depending on the way it goes to
/// the rows (through an index or a temporary table), and so on the number of rows it finds: part of
/// a primary, unique, multiple or composite key, and BINARY of a number. The test
/// `access_flags_depend_on_the_way` shows it on one plain server.
pub(crate) const ACCESS_FLAGS: u16 = 2 | 4 | 8 | 128 | 16384;

/// The column without what one server does not determine.
pub(crate) fn without_access_flags(column: &Column) -> Column {
    Column { flags: column.flags & !ACCESS_FLAGS, ..column.clone() }
}

fn compare_columns(plain: &[Column], proxy: &[Column], text: &mut String) {
    if plain.len() != proxy.len() {
        let _ = writeln!(text, "  {} columns, but {}", plain.len(), proxy.len());
        return;
    }
    for (ours, theirs) in plain.iter().zip(proxy) {
        if without_access_flags(ours) != without_access_flags(theirs) {
            let _ = writeln!(text, "  column {ours:?}\n  but    {theirs:?}");
        }
    }
}

fn compare_counts(plain: &Answer, proxy: &Answer, text: &mut String) {
    let counts = |answer: &Answer| (answer.rows.len(), answer.affected, answer.last_insert_id);
    if counts(plain) != counts(proxy) {
        let _ = writeln!(
            text,
            "  rows, affected, last insert id: {:?}, but {:?}",
            counts(plain),
            counts(proxy)
        );
    }
}

fn compare_rows(plain: &[Vec<Value>], proxy: &[Vec<Value>], text: &mut String) {
    let (plain, proxy) = (sorted(plain), sorted(proxy));
    if plain == proxy {
        return;
    }
    let only = |here: &[Vec<Value>], there: &[Vec<Value>]| {
        let mut rest = there.to_vec();
        let missing = here.iter().filter(|row| match rest.iter().position(|other| other == *row) {
            Some(at) => {
                rest.swap_remove(at);
                false
            }
            None => true,
        });
        missing.take(5).map(|row| shown(row)).collect::<Vec<_>>().join(" ")
    };
    let _ = writeln!(text, "  rows missing: {}", only(&plain, &proxy));
    let _ = writeln!(text, "  rows too many: {}", only(&proxy, &plain));
}

fn compare_order(plain: &Answer, reversed: &Answer, proxy: &Answer, text: &mut String) {
    for (at, definition) in plain.columns.iter().enumerate() {
        let column = |answer: &Answer| -> Vec<Value> {
            answer.rows.iter().map(|row| row[at].clone()).collect()
        };
        let expected = column(plain);
        if expected == column(reversed) && expected != column(proxy) {
            let _ = writeln!(
                text,
                "  order of {}: {}\n  but {}",
                definition.name,
                shown(&expected),
                shown(&column(proxy))
            );
            return;
        }
    }
}

fn sorted(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

fn shown(values: &[Value]) -> String {
    let texts = values.iter().take(40).map(|value| match value {
        None => "NULL".into(),
        Some(bytes) => String::from_utf8_lossy(bytes),
    });
    format!("({})", texts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[&[&str]]) -> Outcome {
        let column = Column {
            name: "c".into(),
            table: String::new(),
            kind: 3,
            flags: 0,
            decimals: 0,
            charset: 63,
            length: 11,
        };
        let value = |text: &&str| Some(text.as_bytes().to_vec());
        Outcome::Answer(Answer {
            columns: vec![column; rows.first().map_or(1, |row| row.len())],
            rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
            ..Answer::default()
        })
    }

    #[test]
    fn rows_are_a_multiset_without_order() {
        let plain = answer(&[&["1"], &["2"], &["2"]]);
        let proxy = answer(&[&["2"], &["1"], &["2"]]);
        assert_eq!(differences(&plain, &plain, &proxy, false), "");
        assert!(differences(&plain, &plain, &proxy, true).contains("order of c"));
        let wrong = answer(&[&["2"], &["1"], &["1"]]);
        assert!(differences(&plain, &plain, &wrong, false).contains("rows missing: (2)"));
    }

    /// Ties: the first column decides the order, the second is free where the first is tied.
    #[test]
    fn ties_leave_only_the_agreed_columns() {
        let plain = answer(&[&["1", "a"], &["1", "b"], &["2", "c"]]);
        let reversed = answer(&[&["1", "b"], &["1", "a"], &["2", "c"]]);
        assert_eq!(determined(&plain, &reversed, true), Ok(Determined::ExceptOrder));
        assert_eq!(differences(&plain, &reversed, &reversed, true), "");
        let wrong = answer(&[&["2", "c"], &["1", "a"], &["1", "b"]]);
        assert!(differences(&plain, &reversed, &wrong, true).contains("order"));
    }

    #[test]
    fn free_rows_leave_the_count() {
        let (plain, reversed) = (answer(&[&["1"]]), answer(&[&["9"]]));
        assert_eq!(determined(&plain, &reversed, false), Ok(Determined::ExceptRows));
        assert_eq!(differences(&plain, &reversed, &answer(&[&["5"]]), false), "");
        assert_ne!(differences(&plain, &reversed, &answer(&[&["5"], &["6"]]), false), "");
    }

    #[test]
    fn errors_compare_by_number_and_state() {
        let error = |errno, sqlstate: &str| Outcome::Error {
            errno,
            sqlstate: sqlstate.into(),
            message: String::new(),
        };
        let plain = error(1062, "23000");
        assert_eq!(differences(&plain, &plain, &error(1062, "23000"), false), "");
        assert_ne!(differences(&plain, &plain, &error(1064, "42000"), false), "");
        assert_ne!(differences(&plain, &plain, &answer(&[]), false), "");
        assert_ne!(differences(&answer(&[]), &answer(&[]), &plain, false), "");
    }
}
