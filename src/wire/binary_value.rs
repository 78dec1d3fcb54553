//! Single values of the binary protocol: parameters and cells of binary rows.
//!
//! A value's *raw* bytes are what stands in the packet, length prefix included, so that it can be
//! copied without being understood.
//!
//! Protocol page: MySQL "Binary Protocol Value" (`page_protocol_binary_resultset`), MariaDB "Result
//! Set Packets: binary row".

use std::borrow::Cow;

use super::column_type::{BinaryLayout, ColumnType};
use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_u16, put_u32, put_u64};
use crate::sql::value::Value;

/// Type and sign of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryType {
    /// Type.
    pub kind: ColumnType,
    /// Whether an integer is to be read as signed or unsigned.
    pub sign: Sign,
}

/// How an integer's highest bit is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// As a sign.
    Signed,
    /// As a value.
    Unsigned,
}

impl BinaryType {
    /// A signed value of this type.
    pub const fn signed(kind: ColumnType) -> Self {
        Self { kind, sign: Sign::Signed }
    }

    /// An unsigned value of this type.
    pub const fn unsigned(kind: ColumnType) -> Self {
        Self { kind, sign: Sign::Unsigned }
    }
}

/// Takes the raw bytes of one value of type `kind`.
pub fn take_raw<'a>(cursor: &mut Cursor<'a>, kind: ColumnType) -> Result<&'a [u8], Malformed> {
    let layout = kind.binary_layout().ok_or(cursor.malformed("a value of a known type"))?;
    match layout {
        BinaryLayout::Nothing => Ok(&[]),
        BinaryLayout::Fixed(len) => cursor.bytes(len),
        BinaryLayout::Temporal => {
            let len = cursor.peek().ok_or(cursor.malformed("the length of a date or time"))?;
            cursor.bytes(usize::from(len) + 1)
        }
        BinaryLayout::LengthEncoded => {
            // A copy looks ahead, so that prefix and content are taken as one piece.
            let mut ahead = *cursor;
            ahead.lenenc_bytes()?;
            cursor.bytes(ahead.position() - cursor.position())
        }
    }
}

/// The content of a raw value, without its length prefix.
pub fn content(kind: ColumnType, raw: &[u8]) -> Result<&[u8], Malformed> {
    let mut cursor = Cursor::new(raw);
    match kind.binary_layout() {
        Some(BinaryLayout::LengthEncoded) => cursor.lenenc_bytes(),
        Some(BinaryLayout::Temporal) => {
            cursor.u8()?;
            Ok(cursor.rest())
        }
        _ => Ok(raw),
    }
}

/// The value of raw bytes that [`take_raw`] took.
pub fn decode(of: BinaryType, raw: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut cursor = Cursor::new(raw);
    let signed = of.sign == Sign::Signed;
    Ok(match of.kind {
        ColumnType::Null => Value::Null,
        ColumnType::Tiny | ColumnType::Bool if signed => Value::Int(cursor.u8()? as i8 as i64),
        ColumnType::Tiny | ColumnType::Bool => Value::UInt(cursor.u8()? as u64),
        ColumnType::Short if signed => Value::Int(cursor.u16()? as i16 as i64),
        ColumnType::Short | ColumnType::Year => Value::UInt(cursor.u16()? as u64),
        ColumnType::Long | ColumnType::Int24 if signed => Value::Int(cursor.u32()? as i32 as i64),
        ColumnType::Long | ColumnType::Int24 => Value::UInt(cursor.u32()? as u64),
        ColumnType::LongLong if signed => Value::Int(cursor.u64()? as i64),
        ColumnType::LongLong => Value::UInt(cursor.u64()?),
        ColumnType::Float => Value::Float(f32::from_bits(cursor.u32()?) as f64),
        ColumnType::Double => Value::Float(f64::from_bits(cursor.u64()?)),
        ColumnType::Date => temporal(of.kind, raw, date_text)?,
        ColumnType::DateTime | ColumnType::Timestamp => temporal(of.kind, raw, datetime_text)?,
        ColumnType::Time => temporal(of.kind, raw, time_text)?,
        ColumnType::Decimal | ColumnType::NewDecimal => {
            Value::Decimal(Cow::Borrowed(cursor.lenenc_bytes()?))
        }
        ColumnType::VarChar
        | ColumnType::VarString
        | ColumnType::String
        | ColumnType::Enum
        | ColumnType::Set
        | ColumnType::Json => Value::Text(Cow::Borrowed(cursor.lenenc_bytes()?)),
        ColumnType::TinyBlob
        | ColumnType::MediumBlob
        | ColumnType::LongBlob
        | ColumnType::Blob
        | ColumnType::Bit
        | ColumnType::Vector
        | ColumnType::Geometry => Value::Bytes(Cow::Borrowed(cursor.lenenc_bytes()?)),
        _ => return Err(Malformed::new("a value of a known type", 0)),
    })
}

/// Appends the raw bytes of a value and says which type they have.
pub fn encode(out: &mut Vec<u8>, value: &Value<'_>) -> BinaryType {
    match value {
        Value::Null => BinaryType::signed(ColumnType::Null),
        Value::Int(int) => {
            put_u64(out, *int as u64);
            BinaryType::signed(ColumnType::LongLong)
        }
        Value::UInt(int) => {
            put_u64(out, *int);
            BinaryType::unsigned(ColumnType::LongLong)
        }
        Value::Float(float) => {
            put_u64(out, float.to_bits());
            BinaryType::signed(ColumnType::Double)
        }
        Value::Decimal(text) => {
            put_lenenc_bytes(out, text);
            BinaryType::signed(ColumnType::NewDecimal)
        }
        Value::Temporal(text) if put_temporal(out, text).is_some() => {
            BinaryType::signed(temporal_type(text))
        }
        Value::Text(text) | Value::Temporal(text) => {
            put_lenenc_bytes(out, text);
            BinaryType::signed(ColumnType::VarString)
        }
        Value::Bytes(bytes) => {
            put_lenenc_bytes(out, bytes);
            BinaryType::signed(ColumnType::Blob)
        }
    }
}

fn temporal<'a>(
    kind: ColumnType,
    raw: &[u8],
    text: fn(&mut Cursor<'_>) -> Result<String, Malformed>,
) -> Result<Value<'a>, Malformed> {
    let content = content(kind, raw)?;
    // As servers do (`set_param_time` in `sql/sql_prepare.cc`): of a length in between the shorter
    // form counts. Go's mymysql leaves zeros out.
    let lengths: &[usize] = if kind == ColumnType::Time { &[12, 8] } else { &[11, 7, 4] };
    let len = lengths.iter().find(|len| **len <= content.len()).copied().unwrap_or_default();
    let text = text(&mut Cursor::new(content.get(..len).unwrap_or_default()))?;
    Ok(Value::Temporal(Cow::Owned(text.into_bytes())))
}

/// The type of a temporal value, by its text.
pub fn temporal_type(text: &[u8]) -> ColumnType {
    match text {
        [_, _, _, _, b'-', _, _, b'-', _, _] => ColumnType::Date,
        [_, _, _, _, b'-', ..] => ColumnType::DateTime,
        _ => ColumnType::Time,
    }
}

/// Appends a temporal value's text as it was bound: what [`decode`] makes, the other way round.
/// `None` appends nothing.
fn put_temporal(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(text).ok()?;
    let mut raw = Vec::with_capacity(12);
    let clock = if temporal_type(text.as_bytes()) == ColumnType::Time {
        raw.push(u8::from(text.starts_with('-')));
        let (hours, rest) = text.trim_start_matches('-').split_once(':')?;
        let hours: u32 = hours.parse().ok()?;
        put_u32(&mut raw, hours / 24);
        raw.push((hours % 24) as u8);
        Some(rest)
    } else {
        put_u16(&mut raw, text.get(..4)?.parse().ok()?);
        raw.push(text.get(5..7)?.parse().ok()?);
        raw.push(text.get(8..10)?.parse().ok()?);
        let clock = text.get(10..).filter(|clock| !clock.is_empty());
        if let Some(clock) = clock {
            raw.push(clock.get(1..3)?.parse().ok()?);
        }
        clock.and_then(|clock| clock.get(4..))
    };
    if let Some(clock) = clock {
        raw.push(clock.get(..2)?.parse().ok()?);
        raw.push(clock.get(3..5)?.parse().ok()?);
        if let Some(micros) = clock.get(6..) {
            put_u32(&mut raw, micros.parse().ok()?);
        }
    }
    out.push(raw.len() as u8);
    out.extend_from_slice(&raw);
    Some(())
}

/// DATE text from year, month, day.
fn date_text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    let (mut year, mut month, mut day) = (0, 0, 0);
    if !cursor.is_empty() {
        (year, month, day) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// DATETIME text from a date, hour, minute, second, microseconds.
fn datetime_text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    let date = date_text(cursor)?;
    let (mut hour, mut minute, mut second) = (0, 0, 0);
    if !cursor.is_empty() {
        (hour, minute, second) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    }
    let fraction = fraction_text(cursor)?;
    Ok(format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}"))
}

/// TIME text from sign, days, hour, minute, second, microseconds.
fn time_text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    if cursor.is_empty() {
        return Ok("00:00:00".to_owned());
    }
    let sign = if cursor.u8()? == 0 { "" } else { "-" };
    let hours = u64::from(cursor.u32()?) * 24 + u64::from(cursor.u8()?);
    let (minute, second) = (cursor.u8()?, cursor.u8()?);
    let fraction = fraction_text(cursor)?;
    Ok(format!("{sign}{hours:02}:{minute:02}:{second:02}{fraction}"))
}

/// Microseconds, when the value has them.
fn fraction_text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    if cursor.is_empty() {
        return Ok(String::new());
    }
    match cursor.u32()? {
        micros @ 0..=999_999 => Ok(format!(".{micros:06}")),
        _ => Err(cursor.malformed("at most 999999 microseconds")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(of: ColumnType, raw: &[u8]) -> String {
        let mut cursor = Cursor::new(raw);
        assert_eq!(take_raw(&mut cursor, of), Ok(raw));
        match decode(BinaryType::signed(of), raw).unwrap() {
            Value::Temporal(text) => String::from_utf8(text.into_owned()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn values_read_as_mysql_reads_them() {
        assert_eq!(text(ColumnType::Tiny, &[0xff]), "Int(-1)");
        assert_eq!(text(ColumnType::Short, &[0xff, 0xff]), "Int(-1)");
        assert_eq!(text(ColumnType::Long, &[0xfe, 0xff, 0xff, 0xff]), "Int(-2)");
        assert_eq!(text(ColumnType::Float, &1.5f32.to_le_bytes()), "Float(1.5)");
        assert_eq!(text(ColumnType::Date, &[4, 0xea, 7, 11, 21]), "2026-11-21");
        assert_eq!(text(ColumnType::Date, &[0]), "0000-00-00");
        assert_eq!(text(ColumnType::DateTime, &[4, 0xea, 7, 1, 2]), "2026-01-02 00:00:00");
        let micros = [11, 0xea, 7, 1, 2, 3, 4, 5, 1, 0, 0, 0];
        assert_eq!(text(ColumnType::Timestamp, &micros), "2026-01-02 03:04:05.000001");
        assert_eq!(text(ColumnType::Time, &[8, 1, 34, 0, 0, 0, 22, 59, 59]), "-838:59:59");
        assert_eq!(text(ColumnType::Time, &[0]), "00:00:00");
        // As MariaDB 10.11 reads a sign alone, and a sign with days.
        assert_eq!(text(ColumnType::Time, &[1, 0]), "00:00:00");
        assert_eq!(text(ColumnType::Time, &[5, 0, 3, 0, 0, 0]), "00:00:00");
        assert_eq!(text(ColumnType::DateTime, &[5, 0xea, 7, 1, 2, 9]), "2026-01-02 00:00:00");
        let unsigned = decode(BinaryType::unsigned(ColumnType::LongLong), &[0xff; 8]);
        assert_eq!(unsigned, Ok(Value::UInt(u64::MAX)));
    }

    #[test]
    fn encoded_values_come_back() {
        let values = [
            Value::Null,
            Value::Int(-5),
            Value::UInt(u64::MAX),
            Value::Float(2.5),
            Value::Decimal(Cow::Borrowed(b"1.10")),
            Value::Text(Cow::Borrowed("ä".as_bytes())),
            Value::Bytes(Cow::Borrowed(&[0, 255])),
            Value::Temporal(Cow::Borrowed(b"2026-01-02")),
            Value::Temporal(Cow::Borrowed(b"0000-00-00")),
            Value::Temporal(Cow::Borrowed(b"2026-01-02 03:04:05")),
            Value::Temporal(Cow::Borrowed(b"2026-01-02 03:04:05.000700")),
            Value::Temporal(Cow::Borrowed(b"00:00:00")),
            Value::Temporal(Cow::Borrowed(b"-838:59:59")),
            Value::Temporal(Cow::Borrowed(b"100:00:01.123456")),
        ];
        for value in values {
            let mut raw = Vec::new();
            let of = encode(&mut raw, &value);
            assert_eq!(take_raw(&mut Cursor::new(&raw), of.kind), Ok(&raw[..]));
            assert_eq!(decode(of, &raw), Ok(value));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(code: u8, bytes: Vec<u8>, unsigned: bool) {
            let kind = ColumnType::from_code(code);
            let sign = if unsigned { Sign::Unsigned } else { Sign::Signed };
            let _ = decode(BinaryType { kind, sign }, &bytes);
            let _ = content(kind, &bytes);
            if let Ok(raw) = take_raw(&mut Cursor::new(&bytes), kind) {
                prop_assert!(content(kind, raw).is_ok());
            }
        }
    }
}
