//! May a value be routed by? The one table from column type, vindex and value to a decision.
//!
//! MySQL compares `k = 123` on a VARCHAR with '123', '0123' and '123abc', and `id = '12abc'` on an
//! integer with 12. A vindex hashes exact bytes or numbers, so a value routes only where
//! everything that MySQL calls equal to it lives on the same shard. When in doubt the answer is
//! [`Decision::Unusable`]: a read then asks every shard, a write is refused. A wrong decision here
//! is a wrong row. `tests/golden/literal_to_shard.txt` prints the table.

use crate::error::{SqlError, catalog};
use crate::sql::value::Value;

use super::plan::ClientCharset;
use super::weighed::weighs_alike;

/// What is known of a column's type, as far as comparing and storing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// An integer type with its range.
    Integer {
        /// Smallest value.
        min: i128,
        /// Greatest value.
        max: i128,
    },
    /// CHAR, VARCHAR, TEXT.
    Text(TextEquality),
    /// The same in ucs2, utf16, utf16le or utf32, where ASCII has other bytes.
    WideText(TextEquality),
    /// The same in a character set that is not known to have all of ASCII, such as swe7.
    OtherText,
    /// VARBINARY, BLOB.
    Binary,
    /// BINARY(n): stored values are padded with zero bytes.
    FixedBinary {
        /// n, if known.
        length: Option<u32>,
    },
    /// DATE.
    Date,
    /// DATETIME without fraction.
    DateTime,
    /// A type whose equal values have several texts: DECIMAL, FLOAT, TIMESTAMP, ENUM, JSON, …
    Inexact,
    /// The VSchema takes what Vitess takes (`--lenient`): no checks.
    AsVitess,
}

/// Which different texts a text column calls equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEquality {
    /// None: a binary NO PAD collation, VARCHAR or TEXT.
    Exact,
    /// None but for trailing spaces, which CHAR drops and PAD SPACE ignores. Values that end in
    /// spaces are neither stored nor looked for, so equal ones never get two shards.
    ExactUnpadded,
    /// By the Unicode Collation Algorithm: texts equal here have equal primary weights.
    Unicode(UnicodeTable),
    /// An older collation (general_ci, swedish_ci): of ASCII, letters that differ in case are equal
    /// and nothing else is; beyond ASCII it has its own idea of letters.
    Other,
    /// A collation that may call even different ASCII letters equal: `i` and `j` under roman_ci.
    Unknown,
}

/// The weights of a Unicode collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnicodeTable {
    /// unicode_ci.
    First,
    /// unicode_520_ci, nearest to the vindexes.
    Near,
    /// 0900, uca1400.
    Later,
}

/// What a vindex makes of a column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VindexInput {
    /// The number: hash, numeric, reverse_bits, numeric_static_map.
    Number,
    /// The bytes: xxhash, binary_md5, binary, cfc.
    Bytes,
    /// The primary weights of text without trailing spaces: unicode_loose_*.
    Weights,
    /// A name that must be in a map: region_json's country.
    Name,
    /// Nothing: null.
    Nothing,
}

/// Why a value is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// `column = value`, `column IN (value, ..)`: servers make the value one of the column's type.
    Compare,
    /// Any other comparison: servers may make both something else, as MySQL does with the parts of
    /// `(a, b) IN ((1, 2))`.
    CompareConverted,
    /// INSERT: the value will be the column's.
    Store,
}

/// What to do with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<'a> {
    /// Map this value.
    Use(Value<'a>),
    /// No row can have it (`= NULL`).
    NoRow,
    /// It cannot be routed by, and why.
    Unusable(Unroutable),
}

use Decision::{NoRow, Unusable, Use};

/// Why a value cannot be routed by, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unroutable {
    /// Why.
    pub why: &'static str,
    advice: &'static str,
}

impl Unroutable {
    const NULL_HAS_NO_SHARD: Self =
        Self::new("NULL has no shard", "give the sharding column a value");
    const WEIGHED_OTHERWISE: Self = Self::new(
        "the text has characters that the column's collation may ignore or call equal to others than the vindex does",
        "write it without controls, spaces other than the usual one, and rare letters, or give the column a binary collation",
    );
    const SEVERAL_SHARDS: Self = Self::new(
        "texts that the column's collation calls equal have several shards",
        "shard by a vindex of the column's collation, such as unicode_loose_xxhash, or give the column a binary collation",
    );
    const NOT_FULL_LENGTH: Self = Self::new(
        "a BINARY value must be given in full length",
        "write all bytes of the column, the zeros at its end too",
    );
    const LENGTH_UNKNOWN: Self = Self::new(
        "the length of the BINARY column is not known",
        "give the column's type with its length in the VSchema",
    );
    const INEXACT: Self = Self::new(
        "equal values of the column's type have several texts",
        "make it a column of integers, of DATETIME or VARBINARY, or of text with a binary collation, and tell so in the VSchema",
    );
    const OTHER_TEXT: Self = Self::new(
        "the column's character set is not known to have all of ASCII",
        "give the column utf8mb4",
    );
    const WIDE_COLUMN: Self = Self::new(
        "the client sends bytes, of which the column's character set takes several for a character",
        "SET NAMES utf8mb4 and send the value in UTF-8, or give the column utf8mb4",
    );
    const INTRODUCED: Self = Self::new(
        "servers fit the value to the character set in front of it",
        "write the value without a character set in front of it, under SET NAMES utf8mb4",
    );
    const OTHER_TYPE: Self = Self::new(
        "the vindex does not fit the column's type",
        "choose a vindex in the VSchema that takes the column's type",
    );
    const NUMBER_TOO_LARGE: Self = Self::new(
        "the number is out of the column's range or too large to be exact",
        "write an integer that the column can hold",
    );
    const NOT_AN_INTEGER: Self = Self::new(
        "the value is not an integer in its plain form",
        "write the value as a whole number, without spaces, a plus, or zeros before it",
    );
    const NOT_A_TEXT: Self = Self::new(
        "a value that is not text is compared with text by conversion",
        "write the value in quotes, or bind it as a text",
    );
    const NOT_UTF8: Self =
        Self::new("the text is not valid UTF-8", "SET NAMES utf8mb4 and send the value in UTF-8");
    const EQUAL_TO_OTHERS: Self = Self::new(
        "the column's collation may call other texts equal to this one",
        "give the column a collation that the vindex follows: a binary one, or for the unicode_loose vindexes utf8mb4_unicode_520_ci, utf8mb4_uca1400_ai_ci or utf8mb4_0900_ai_ci",
    );
    const NOT_BYTES: Self = Self::new(
        "a value that is not text is compared with bytes by conversion",
        "write the value in quotes, or bind it as bytes",
    );
    const FOUR_BYTES: Self = Self::new(
        "the client's character set has no characters of four bytes",
        "SET NAMES utf8mb4",
    );
    const CLIENT_NOT_UTF8: Self = Self::new(
        "the client's character set is not UTF-8",
        "SET NAMES utf8mb4 and send the value in UTF-8",
    );
    const CLIENT_NOT_ASCII: Self = Self::new(
        "the client's character set does not agree with ASCII",
        "SET NAMES utf8mb4 and send the value in UTF-8",
    );
    const NOT_A_PLAIN_DATE: Self = Self::new(
        "the date is not in its plain form",
        "write a date that exists, of the years 1000 to 9999, as '2024-01-31', with its time as '2024-01-31 23:59:59'",
    );
    /// A minus before something that is no small number.
    pub const NEGATED: Self =
        Self::new("a minus before text or a large number", "write the negative number itself");
    /// A text is longer than its column, which would store less or nothing.
    pub const TOO_LONG: Self =
        Self::new("the value is longer than its column", "write a value that the column can hold");
    /// A text has characters that its column may not have.
    pub const CHARACTERS: Self = Self::new(
        "the column's character set may not have all characters of the value",
        "write characters of the column's character set, or give the column utf8mb4",
    );

    const fn new(why: &'static str, advice: &'static str) -> Self {
        Self { why, advice }
    }

    /// The refusal of a statement for it.
    pub fn error(self) -> SqlError {
        catalog::UNROUTABLE_VALUE.advising(&[&self.why], self.advice)
    }
}

/// The table.
pub fn decide(
    kind: ColumnKind,
    input: VindexInput,
    purpose: Purpose,
    charset: ClientCharset,
    value: Value<'_>,
) -> Decision<'_> {
    if value == Value::Null {
        return match purpose {
            Purpose::Compare | Purpose::CompareConverted => NoRow,
            Purpose::Store if kind == ColumnKind::AsVitess => Use(value),
            Purpose::Store => Unusable(Unroutable::NULL_HAS_NO_SHARD),
        };
    }
    if input == VindexInput::Nothing || kind == ColumnKind::AsVitess {
        return Use(value);
    }
    if charset == ClientCharset::Introduced {
        return Unusable(Unroutable::INTRODUCED);
    }
    let kind = match kind {
        ColumnKind::WideText(_) if charset == ClientCharset::Binary => {
            return Unusable(Unroutable::WIDE_COLUMN);
        }
        ColumnKind::WideText(equality) => ColumnKind::Text(equality),
        other => other,
    };
    match (kind, input) {
        (ColumnKind::Integer { min, max }, VindexInput::Number | VindexInput::Bytes) => {
            integer(value, purpose, min, max)
        }
        (ColumnKind::Text(equality), VindexInput::Bytes) => match equality {
            TextEquality::Exact => text(value, charset, ascii_too),
            TextEquality::ExactUnpadded => text(value, charset, |text| !text.ends_with(b" ")),
            TextEquality::Unicode(_) | TextEquality::Other | TextEquality::Unknown => {
                Unusable(Unroutable::SEVERAL_SHARDS)
            }
        },
        (ColumnKind::Text(TextEquality::Unknown), VindexInput::Weights) => {
            Unusable(Unroutable::EQUAL_TO_OTHERS)
        }
        (ColumnKind::Text(TextEquality::Other), VindexInput::Weights) => {
            text(value, charset, |text| text.is_ascii())
        }
        (ColumnKind::Text(TextEquality::Unicode(table)), VindexInput::Weights) => {
            by_weights(value, charset, table)
        }
        (ColumnKind::Text(_), VindexInput::Weights | VindexInput::Name) => {
            text(value, charset, ascii_too)
        }
        (ColumnKind::Binary, VindexInput::Bytes | VindexInput::Name) => binary(value, charset),
        (ColumnKind::FixedBinary { length: Some(length) }, VindexInput::Bytes) => {
            match binary(value, charset) {
                Use(Value::Bytes(bytes)) if bytes.len() == length as usize => {
                    Use(Value::Bytes(bytes))
                }
                Use(_) => Unusable(Unroutable::NOT_FULL_LENGTH),
                other => other,
            }
        }
        (ColumnKind::FixedBinary { length: None }, _) => Unusable(Unroutable::LENGTH_UNKNOWN),
        (ColumnKind::Date, VindexInput::Bytes) => canonical_temporal(value, is_date),
        (ColumnKind::DateTime, VindexInput::Bytes) => canonical_temporal(value, is_datetime),
        (ColumnKind::Inexact, _) => Unusable(Unroutable::INEXACT),
        (ColumnKind::OtherText, _) => Unusable(Unroutable::OTHER_TEXT),
        _ => Unusable(Unroutable::OTHER_TYPE),
    }
}

/// Whether values that two columns call equal in a join always have the same shard. Both columns
/// are under the same vindex.
pub fn equal_values_meet(left: ColumnKind, right: ColumnKind, input: VindexInput) -> bool {
    if input == VindexInput::Nothing {
        return true;
    }
    let narrow = |kind| match kind {
        ColumnKind::WideText(equality) => ColumnKind::Text(equality),
        other => other,
    };
    match (narrow(left), narrow(right), input) {
        (ColumnKind::AsVitess, ColumnKind::AsVitess, _) => true,
        (
            ColumnKind::Integer { .. },
            ColumnKind::Integer { .. },
            VindexInput::Number | VindexInput::Bytes,
        ) => true,
        (ColumnKind::Text(left), ColumnKind::Text(right), VindexInput::Weights) => {
            let weighed = |equality| match equality {
                TextEquality::Exact | TextEquality::ExactUnpadded | TextEquality::Unicode(_) => {
                    true
                }
                TextEquality::Other | TextEquality::Unknown => false,
            };
            weighed(left) && weighed(right)
        }
        (
            ColumnKind::Text(TextEquality::Exact),
            ColumnKind::Text(TextEquality::Exact),
            VindexInput::Bytes,
        ) => true,
        // Only the names in the map have rows at all.
        (ColumnKind::Text(_), ColumnKind::Text(_), VindexInput::Name) => true,
        (ColumnKind::Binary, ColumnKind::Binary, VindexInput::Bytes | VindexInput::Name)
        | (ColumnKind::Date, ColumnKind::Date, VindexInput::Bytes)
        | (ColumnKind::DateTime, ColumnKind::DateTime, VindexInput::Bytes) => true,
        (
            ColumnKind::FixedBinary { length: Some(left) },
            ColumnKind::FixedBinary { length: Some(right) },
            VindexInput::Bytes,
        ) => left == right,
        _ => false,
    }
}

/// Integers, and what MySQL converts to one integer without loss and compares with no other: up
/// to 2^53 where numbers may be compared as doubles.
fn integer(value: Value<'_>, purpose: Purpose, min: i128, max: i128) -> Decision<'static> {
    const EXACT: i128 = 1 << 53;
    let exact_text = if purpose == Purpose::CompareConverted { EXACT } else { i128::MAX };
    let (number, limit) = match &value {
        Value::Int(number) => (Some(i128::from(*number)), i128::MAX),
        Value::UInt(number) => (Some(i128::from(*number)), i128::MAX),
        Value::Text(text) => (canonical_integer(text), exact_text),
        Value::Decimal(text) => (integral_decimal(text), EXACT),
        Value::Float(number) if number.fract() == 0.0 => (Some(*number as i128), EXACT),
        _ => (None, 0),
    };
    match number {
        Some(number) if number.abs() >= limit || number < min || number > max => {
            Unusable(Unroutable::NUMBER_TOO_LARGE)
        }
        Some(number) => match i64::try_from(number) {
            Ok(number) => Use(Value::Int(number)),
            Err(_) => Use(Value::UInt(number as u64)),
        },
        None => Unusable(Unroutable::NOT_AN_INTEGER),
    }
}

/// `12`, `-3`, but not `012`, `+1`, `-0`, ` 1` or `1abc`.
fn canonical_integer(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [first, ..] => {
            *first != b'0' && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit)
        }
    };
    if plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// `1.0`, `1.`, `007.00`: digits with nothing but zeros after the point.
fn integral_decimal(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let fine = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && fraction.bytes().all(|b| b == b'0');
    if fine && digits.len() <= 30 { whole.parse().ok() } else { None }
}

fn ascii_too(_: &[u8]) -> bool {
    true
}

/// Text in UTF-8 for which `fits` holds. A number compared with a text column is compared as a
/// number: '1', '01' and '1abc' are all equal to it.
fn text(value: Value<'_>, charset: ClientCharset, fits: impl Fn(&[u8]) -> bool) -> Decision<'_> {
    let Value::Text(text) = value else {
        return Unusable(Unroutable::NOT_A_TEXT);
    };
    if let Err(reason) = keeps(charset, &text) {
        return Unusable(reason);
    }
    if std::str::from_utf8(&text).is_err() {
        return Unusable(Unroutable::NOT_UTF8);
    }
    if fits(&text) { Use(Value::Text(text)) } else { Unusable(Unroutable::EQUAL_TO_OTHERS) }
}

/// Text for a vindex of primary weights, in a column that compares by such weights.
fn by_weights(value: Value<'_>, charset: ClientCharset, table: UnicodeTable) -> Decision<'_> {
    match text(value, charset, ascii_too) {
        Use(Value::Text(text)) => match std::str::from_utf8(&text) {
            Ok(known) if weighs_alike(known, table) => Use(Value::Text(text)),
            _ => Unusable(Unroutable::WEIGHED_OTHERWISE),
        },
        other => other,
    }
}

fn binary(value: Value<'_>, charset: ClientCharset) -> Decision<'_> {
    match value {
        Value::Bytes(bytes) => Use(Value::Bytes(bytes)),
        Value::Text(text) => match keeps(charset, &text) {
            Ok(()) => Use(Value::Bytes(text)),
            Err(reason) => Unusable(reason),
        },
        _ => Unusable(Unroutable::NOT_BYTES),
    }
}

/// Whether a text from the client is that text in UTF-8 to a server, too.
fn keeps(charset: ClientCharset, text: &[u8]) -> Result<(), Unroutable> {
    match charset {
        ClientCharset::Utf8 => Ok(()),
        ClientCharset::Utf8ThreeBytes if text.iter().all(|byte| *byte < 0xf0) => Ok(()),
        ClientCharset::Utf8ThreeBytes => Err(Unroutable::FOUR_BYTES),
        ClientCharset::Ascii | ClientCharset::Binary if text.is_ascii() => Ok(()),
        ClientCharset::Ascii | ClientCharset::Binary => Err(Unroutable::CLIENT_NOT_UTF8),
        ClientCharset::Unknown => Err(Unroutable::CLIENT_NOT_ASCII),
        ClientCharset::Introduced => Err(Unroutable::INTRODUCED),
    }
}

fn canonical_temporal(value: Value<'_>, is_plain: impl Fn(&[u8]) -> bool) -> Decision<'_> {
    match value {
        Value::Text(text) | Value::Temporal(text) if is_plain(&text) => Use(Value::Text(text)),
        _ => Unusable(Unroutable::NOT_A_PLAIN_DATE),
    }
}

/// A day of the calendar in the years that servers promise to hold, which is stored as it is: in
/// the place of another they may put zeros, and the year 0 has leap days in one server only. All
/// zeros stay.
fn is_date(text: &[u8]) -> bool {
    if !matches_shape(text, b"0000-00-00") {
        return false;
    }
    let number = |at: std::ops::Range<usize>| {
        text[at].iter().fold(0u32, |number, digit| number * 10 + u32::from(*digit - b'0'))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (year >= 1000 && (1..=days).contains(&day)) || text == b"0000-00-00"
}

fn is_datetime(text: &[u8]) -> bool {
    let two_digits = |at: usize, most: u8| (text[at] - b'0') * 10 + text[at + 1] - b'0' <= most;
    matches_shape(text, b"0000-00-00 00:00:00")
        && is_date(&text[..10])
        && two_digits(11, 23)
        && two_digits(14, 59)
        && two_digits(17, 59)
}

/// Digits where the shape has digits, the shape's own bytes elsewhere.
fn matches_shape(text: &[u8], shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}
