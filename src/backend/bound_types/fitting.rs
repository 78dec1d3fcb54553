//! Which values a server takes for a parameter without preparing the statement again.

use super::kinds::{ValueKind, is_integer};
use crate::wire::binary_value::{BinaryType, Sign};
use crate::wire::column_type::ColumnType;

/// Whether MySQL takes a value for a parameter of a derived type without preparing again, by
/// `Prepared_statement::check_parameter_types`. What is not known to fit does not.
pub(super) fn fits(kind: ValueKind, derived: Option<BinaryType>) -> bool {
    use ColumnType as Of;
    use ValueKind as Kind;
    if kind == Kind::Null {
        return true;
    }
    let Some(derived) = derived else { return matches!(kind, Kind::Text | Kind::Bytes) };
    if kind.is_text() {
        return match derived.kind {
            // A text with a time makes a DATETIME of it.
            Of::Date => matches!(kind, Kind::Text | Kind::Bytes | Kind::DateText),
            of => !is_integer(of) || !kind.may_be_another_number(),
        };
    }
    match derived.kind {
        Of::Year => matches!(kind, Kind::Signed | Kind::Unsigned),
        integer if is_integer(integer) => match derived.sign {
            Sign::Signed => kind == Kind::Signed,
            Sign::Unsigned => kind == Kind::Unsigned,
        },
        Of::NewDecimal => matches!(kind, Kind::Signed | Kind::Unsigned | Kind::Decimal),
        Of::Float | Of::Double => kind.is_number(),
        // Numbers do too, but what they are compared as depends on the first one.
        Of::Date => kind == Kind::Date,
        Of::Time => matches!(kind, Kind::Time | Kind::DateTime),
        Of::DateTime | Of::Timestamp => matches!(kind, Kind::Date | Kind::Time | Kind::DateTime),
        _ => false,
    }
}

/// Whether a value leaves a statement as it is that was prepared again for `first`.
pub(super) fn covers(first: ValueKind, kind: ValueKind) -> bool {
    use ValueKind as Kind;
    match kind {
        Kind::Null => true,
        kind if kind.may_be_another_number() => matches!(first, Kind::Text | Kind::Bytes),
        kind if kind.is_number() => fits(kind, type_of_number(first)),
        kind => kind.is_text() || kind == first,
    }
}

/// The type of a parameter for which a statement was prepared again with a number.
fn type_of_number(kind: ValueKind) -> Option<BinaryType> {
    let of = |kind, sign| Some(BinaryType { kind, sign });
    match kind {
        ValueKind::Signed => of(ColumnType::LongLong, Sign::Signed),
        ValueKind::Unsigned => of(ColumnType::LongLong, Sign::Unsigned),
        ValueKind::Decimal => of(ColumnType::NewDecimal, Sign::Signed),
        ValueKind::Double => of(ColumnType::Double, Sign::Signed),
        _ => None,
    }
}
