//! The kinds of values that are bound to parameters.

use smallvec::SmallVec;

use super::texts::{bytes_kind, text_kind};
use crate::backend::variable_kinds::{self, VariableKind};
use crate::sql::value::Value;
use crate::wire::binary_value::{BinaryType, Sign, temporal_type};
use crate::wire::column_type::ColumnType;

/// The kind of a bound value, as far as servers tell kinds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// NULL, which fits every type.
    Null,
    /// An integer with a sign.
    Signed,
    /// One without.
    Unsigned,
    /// DECIMAL.
    Decimal,
    /// FLOAT or DOUBLE.
    Double,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// DATETIME or TIMESTAMP.
    DateTime,
    /// A text that is neither a number nor a date or time.
    Text,
    /// A text that begins like a number or a date and is no number.
    MixedText,
    /// A date as text.
    DateText,
    /// A date and a time as text.
    DateTimeText,
    /// A short whole number as text.
    WholeText,
    /// A negative one, with which MySQL prepares an integer parameter again.
    NegativeText,
    /// A text of which only the server knows which number it is.
    NumberText,
    /// Bytes of which the same is true as of [`ValueKind::Text`].
    Bytes,
    /// Bytes of which only the server knows what they are.
    NumberBytes,
    /// A type that is not known here.
    Other(u8),
}

/// The kinds of all values of an execution.
pub type ValueKinds = SmallVec<[ValueKind; 8]>;

/// Whether a parameter of this type is computed as an integer.
pub(super) fn is_integer(kind: ColumnType) -> bool {
    use ColumnType as Of;
    matches!(
        kind,
        Of::Tiny | Of::Short | Of::Int24 | Of::Long | Of::LongLong | Of::Bool | Of::Bit | Of::Year
    )
}

/// The kind of values of a type.
pub(super) fn kind_of(of: BinaryType) -> ValueKind {
    use ColumnType as Of;
    match of.kind {
        Of::Tiny | Of::Short | Of::Int24 | Of::Long | Of::LongLong => match of.sign {
            Sign::Signed => ValueKind::Signed,
            Sign::Unsigned => ValueKind::Unsigned,
        },
        Of::Decimal | Of::NewDecimal => ValueKind::Decimal,
        Of::Float | Of::Double => ValueKind::Double,
        Of::Date => ValueKind::Date,
        Of::Time => ValueKind::Time,
        Of::DateTime | Of::Timestamp => ValueKind::DateTime,
        Of::VarChar | Of::VarString | Of::String | Of::Enum | Of::Set | Of::Json => ValueKind::Text,
        Of::TinyBlob | Of::MediumBlob | Of::LongBlob | Of::Blob => ValueKind::Bytes,
        Of::Null => ValueKind::Null,
        other => ValueKind::Other(other.code()),
    }
}

/// A kind of values of which only the server knows what a parameter becomes with them.
pub(super) const ODD: ValueKind = ValueKind::NumberText;

/// Whether only the server knows what an integer parameter becomes with such a value.
pub(super) fn is_odd(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::NumberText | ValueKind::NumberBytes)
}

impl ValueKind {
    /// Whether it is a text or bytes.
    pub(super) fn is_text(self) -> bool {
        self.as_type() == Self::Text || self.as_type() == Self::Bytes
    }

    /// Whether it is a number.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Signed | Self::Unsigned | Self::Decimal | Self::Double)
    }

    /// Whether MySQL may find a number in it that does not fit an integer parameter.
    pub(super) fn may_be_another_number(self) -> bool {
        matches!(self, Self::NegativeText | Self::NumberText | Self::NumberBytes)
    }

    /// The kind of all values that are bound with the same type.
    pub(super) fn as_type(self) -> Self {
        match self {
            Self::MixedText | Self::DateText | Self::DateTimeText => Self::Text,
            Self::WholeText | Self::NegativeText | Self::NumberText => Self::Text,
            Self::NumberBytes => Self::Bytes,
            kind => kind,
        }
    }

    /// The kind of a value in the form in which it is sent to one of several shards.
    pub fn of_value(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(_) => Self::Signed,
            Value::UInt(_) => Self::Unsigned,
            Value::Float(_) => Self::Double,
            Value::Decimal(_) => Self::Decimal,
            Value::Text(text) => text_kind(text),
            Value::Temporal(text) => kind_of(BinaryType::signed(temporal_type(text))),
            Value::Bytes(bytes) => bytes_kind(bytes),
        }
    }

    /// The kind of a parameter that is a user variable with this literal; `None` if it was never
    /// assigned.
    pub fn of_literal(literal: Option<&[u8]>) -> Self {
        match VariableKind::of(literal) {
            VariableKind::Null => Self::Null,
            VariableKind::Signed => Self::Signed,
            VariableKind::Unsigned => Self::Unsigned,
            VariableKind::Decimal => Self::Decimal,
            VariableKind::Double => Self::Double,
            VariableKind::Text(_) => {
                let text = literal.and_then(variable_kinds::text_of);
                text.map_or(Self::NumberText, |text| text_kind(&text))
            }
            VariableKind::Other => Self::NumberText,
        }
    }
}
