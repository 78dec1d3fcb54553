//! A SQL value as it is known before any server has seen it: a literal, a bound parameter, or
//! the result of an expression that the proxy computed.

use std::borrow::Cow;

/// A value with the distinctions that routing needs. Text is bytes in the client's charset.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A number with fraction or exponent, or too large for 64 bits, as its decimal text.
    Decimal(Cow<'a, [u8]>),
    /// An approximate number (`1e3`, a bound DOUBLE).
    Float(f64),
    /// Character data.
    Text(Cow<'a, [u8]>),
    /// Binary data: `x'..'`, `0x..`, `b'..'`, `_binary '..'`, a bound BLOB.
    Bytes(Cow<'a, [u8]>),
    /// DATE, DATETIME, TIMESTAMP or TIME in MySQL's text form (bound parameters only).
    Temporal(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Int(v) => Value::Int(v),
            Value::UInt(v) => Value::UInt(v),
            Value::Float(v) => Value::Float(v),
            Value::Decimal(v) => Value::Decimal(Cow::Owned(v.into_owned())),
            Value::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Value::Bytes(v) => Value::Bytes(Cow::Owned(v.into_owned())),
            Value::Temporal(v) => Value::Temporal(Cow::Owned(v.into_owned())),
        }
    }
}
