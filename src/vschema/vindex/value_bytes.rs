//! How a value looks to a vindex: as bytes, or as an unsigned number.

use smallvec::SmallVec;

use crate::sql::value::Value;

/// Bytes of a value; numbers are written in place.
pub(super) enum ValueBytes<'a> {
    Borrowed(&'a [u8]),
    Written(SmallVec<[u8; 24]>),
}

impl ValueBytes<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            ValueBytes::Borrowed(bytes) => bytes,
            ValueBytes::Written(bytes) => bytes,
        }
    }
}

/// The bytes that the byte vindexes hash: text as it is, numbers as decimal text, NULL as nothing
/// (Vitess: `Value.ToBytes`).
pub(super) fn bytes_of<'a>(value: &'a Value<'_>) -> ValueBytes<'a> {
    match value {
        Value::Null => ValueBytes::Borrowed(b""),
        Value::Decimal(text) | Value::Text(text) | Value::Bytes(text) | Value::Temporal(text) => {
            ValueBytes::Borrowed(text)
        }
        Value::Int(number) => ValueBytes::Written(decimal(number.unsigned_abs(), *number < 0)),
        Value::UInt(number) => ValueBytes::Written(decimal(*number, false)),
        Value::Float(number) => {
            ValueBytes::Written(SmallVec::from_slice(number.to_string().as_bytes()))
        }
    }
}

/// Decimal text of a number without touching the heap.
fn decimal(mut number: u64, negative: bool) -> SmallVec<[u8; 24]> {
    let mut digits = SmallVec::new();
    loop {
        digits.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if negative {
        digits.push(b'-');
    }
    digits.reverse();
    digits
}

/// The number that the number vindexes hash (Vitess: `Value.ToCastUint64`): decimal text, spaces
/// around it allowed. Negative numbers, NULL, fractions and other text are no number.
pub(super) fn u64_of(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        Value::Decimal(text) | Value::Text(text) | Value::Bytes(text) => parse_u64(text),
        Value::Null | Value::Float(_) | Value::Temporal(_) => None,
    }
}

fn parse_u64(text: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let end = text.iter().rposition(|byte| !is_space(byte))? + 1;
    text[start..end].iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
