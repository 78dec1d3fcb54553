//! What MySQL makes of values, above all texts, that are bound to parameters of other types.
//!
//! A text for an integer has the statement prepared again if it is a number that is no integer of
//! that sign. And whenever a statement is prepared again, be it for another parameter, a text takes
//! the parameter's type if it can be converted, and stays a text if not (seen on 9.7; see
//! `Item_param::convert_value` in `sql/item.cc`); the same is true of numbers for dates. So what a
//! statement becomes depends on what its texts look like: [`text_kind`] says it, [`told_apart`]
//! drops what makes no difference.

use super::{ValueKind, is_integer};
use crate::wire::binary_value::BinaryType;
use crate::wire::column_type::ColumnType;

/// Digits that fit every integer type.
const SHORT: usize = 18;

/// What a text looks like.
pub(super) fn text_kind(text: &[u8]) -> ValueKind {
    let Some(first) = text.trim_ascii().first() else { return ValueKind::Text };
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return ValueKind::Text;
    }
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) && (1..=SHORT).contains(&digits.len()) {
        let is_zero = digits.iter().all(|digit| *digit == b'0');
        return match first {
            b'-' if is_zero => ValueKind::NumberText,
            b'-' => ValueKind::NegativeText,
            _ => ValueKind::WholeText,
        };
    }
    if let Some(kind) = temporal_kind(text) {
        return kind;
    }
    let text = text.trim_ascii();
    let in_number =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    // A number with something behind it is no number; so is one with a sign inside.
    if text.iter().all(in_number) && !has_sign_inside(text) {
        ValueKind::NumberText
    } else {
        ValueKind::MixedText
    }
}

/// What bytes look like.
pub(super) fn bytes_kind(bytes: &[u8]) -> ValueKind {
    if text_kind(bytes) == ValueKind::Text { ValueKind::Bytes } else { ValueKind::NumberBytes }
}

fn has_sign_inside(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'+' | b'-'))
}

/// A date, or a date and a time, that exists under every `sql_mode`, written as servers do.
fn temporal_kind(text: &[u8]) -> Option<ValueKind> {
    let number = |at: std::ops::Range<usize>, least: u32, most: u32| {
        let digits = text.get(at).filter(|part| part.iter().all(u8::is_ascii_digit))?;
        let value = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        (least..=most).contains(&value).then_some(())
    };
    let separator = |at: usize, byte: u8| (text.get(at) == Some(&byte)).then_some(());
    number(0..4, 1000, 9999)?;
    separator(4, b'-')?;
    number(5..7, 1, 12)?;
    separator(7, b'-')?;
    number(8..10, 1, 28)?;
    if text.len() == 10 {
        return Some(ValueKind::DateText);
    }
    separator(10, b' ')?;
    number(11..13, 0, 23)?;
    separator(13, b':')?;
    number(14..16, 0, 59)?;
    separator(16, b':')?;
    number(17..19, 0, 59)?;
    if text.len() > 19 {
        separator(19, b'.')?;
        number(20..text.len(), 0, 999_999).filter(|()| (21..=26).contains(&text.len()))?;
    }
    Some(ValueKind::DateTimeText)
}

/// The kind of a value as a server tells it apart that prepares a statement again in which the
/// parameter had this type.
pub(super) fn told_apart(kind: ValueKind, derived: Option<BinaryType>) -> ValueKind {
    use ColumnType as Of;
    use ValueKind as Kind;
    let is_temporal =
        |of: BinaryType| matches!(of.kind, Of::Date | Of::Time | Of::DateTime | Of::Timestamp);
    let of = match (kind.is_text(), derived) {
        (false, Some(derived)) if kind.is_number() && is_temporal(derived) => return odd(kind),
        (false, _) => return kind,
        (true, None) => return odd(kind),
        (true, Some(derived)) => derived.kind,
    };
    match (of, kind) {
        (_, Kind::Text | Kind::Bytes) if of != Of::Json => kind,
        (Of::VarChar | Of::VarString | Of::String, Kind::NumberBytes) => Kind::Bytes,
        (Of::TinyBlob | Of::MediumBlob | Of::LongBlob | Of::Blob, Kind::NumberBytes) => Kind::Bytes,
        (Of::VarChar | Of::VarString | Of::String, _) => Kind::Text,
        (Of::TinyBlob | Of::MediumBlob | Of::LongBlob | Of::Blob, _) => Kind::Text,
        (Of::Date | Of::DateTime | Of::Timestamp, Kind::DateText | Kind::DateTimeText) => kind,
        (Of::NewDecimal | Of::Float | Of::Double, Kind::NegativeText) => Kind::WholeText,
        (Of::NewDecimal | Of::Float | Of::Double, Kind::WholeText) => kind,
        (_, Kind::WholeText | Kind::NegativeText) if is_integer(of) => kind,
        (_, Kind::MixedText | Kind::DateText | Kind::DateTimeText)
            if is_integer(of) || matches!(of, Of::NewDecimal | Of::Float | Of::Double) =>
        {
            Kind::Text
        }
        _ => odd(kind),
    }
}

/// A value of which only the server knows what it makes of it.
fn odd(kind: ValueKind) -> ValueKind {
    match kind {
        ValueKind::Bytes | ValueKind::NumberBytes => ValueKind::NumberBytes,
        _ => ValueKind::NumberText,
    }
}
