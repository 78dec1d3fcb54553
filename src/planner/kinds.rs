//! From a column's definition to what its values may be routed and sorted by.

use crate::engine::capacity::{Capacity, Characters, Length, Zero};
use crate::engine::literal::{ColumnKind, TextEquality, VindexInput};
use crate::engine::routing::VindexColumn;
use crate::vschema::vindex::Vindex;
use crate::vschema::{Column, Filling, SqlType, Strictness};

/// A column of a vindex with what its type allows; `None` if the type is not known and must be.
pub(super) fn vindex_column(
    column: Option<&Column>,
    vindex: &Vindex,
    position: usize,
    strictness: Strictness,
) -> Option<VindexColumn> {
    let kind = match strictness {
        Strictness::Lenient => ColumnKind::AsVitess,
        Strictness::Strict => column_kind(column?)?,
    };
    let capacity = match strictness {
        Strictness::Lenient => Capacity::default(),
        Strictness::Strict => column.map(capacity).unwrap_or_default(),
    };
    Some(VindexColumn { kind, input: vindex_input(vindex, position), capacity })
}

fn vindex_input(vindex: &Vindex, position: usize) -> VindexInput {
    match vindex {
        Vindex::Hash(_)
        | Vindex::Numeric
        | Vindex::NumericStaticMap(_)
        | Vindex::ReverseBits
        | Vindex::RegionExperimental(_) => VindexInput::Number,
        Vindex::RegionJson(_) if position == 0 => VindexInput::Number,
        Vindex::RegionJson(_) => VindexInput::Name,
        Vindex::MultiCol(columns) => {
            columns.column(position).map_or(VindexInput::Bytes, |own| vindex_input(own, 0))
        }
        Vindex::UnicodeLooseMd5 | Vindex::UnicodeLooseXxHash => VindexInput::Weights,
        Vindex::Null => VindexInput::Nothing,
        Vindex::Binary
        | Vindex::BinaryMd5
        | Vindex::XxHash
        | Vindex::Cfc(_)
        | Vindex::Lookup(_) => VindexInput::Bytes,
    }
}

fn column_kind(column: &Column) -> Option<ColumnKind> {
    let integer = |bits: u32, signed: bool| {
        let (min, max) = if signed {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };
        ColumnKind::Integer { min, max }
    };
    Some(match column.sql_type {
        SqlType::Unknown => return None,
        SqlType::Int8 => integer(8, true),
        SqlType::UInt8 => integer(8, false),
        SqlType::Int16 => integer(16, true),
        SqlType::UInt16 => integer(16, false),
        SqlType::Int24 => integer(24, true),
        SqlType::UInt24 => integer(24, false),
        SqlType::Int32 => integer(32, true),
        SqlType::UInt32 => integer(32, false),
        SqlType::Int64 => integer(64, true),
        SqlType::UInt64 => integer(64, false),
        SqlType::Char | SqlType::VarChar | SqlType::Text => ColumnKind::Text(text_equality(column)),
        SqlType::VarBinary | SqlType::Blob => ColumnKind::Binary,
        SqlType::Binary => {
            let length = u32::try_from(column.size).ok().filter(|size| *size > 0);
            ColumnKind::FixedBinary { length }
        }
        SqlType::Date => ColumnKind::Date,
        SqlType::DateTime => ColumnKind::DateTime,
        SqlType::Float32
        | SqlType::Float64
        | SqlType::Timestamp
        | SqlType::Time
        | SqlType::Year
        | SqlType::Decimal
        | SqlType::Bit
        | SqlType::Enum
        | SqlType::Set
        | SqlType::Geometry
        | SqlType::Json
        | SqlType::Vector => ColumnKind::Inexact,
    })
}

/// What a column stores as it is given, as far as its definition tells.
fn capacity(column: &Column) -> Capacity {
    let charset = column.collation.as_deref().unwrap_or_default().to_ascii_lowercase();
    let charset = charset.split('_').next().unwrap_or_default();
    let length = match (column.sql_type, usize::try_from(column.size)) {
        (_, Err(_) | Ok(0)) => Length::Any,
        (SqlType::Char | SqlType::VarChar, Ok(size)) => Length::Characters(size),
        (SqlType::VarBinary | SqlType::Blob, Ok(size)) => Length::Bytes(size),
        // Told in bytes; in these character sets ASCII has up to four a character.
        (SqlType::Text, Ok(size)) => match charset {
            "ucs2" | "utf16" | "utf16le" | "utf32" => Length::Bytes(size / 4),
            _ => Length::Bytes(size),
        },
        _ => Length::Any,
    };
    let is_text = matches!(column.sql_type, SqlType::Char | SqlType::VarChar | SqlType::Text);
    let characters = match charset {
        _ if !is_text => Characters::All,
        // A collation that is not known says nothing.
        "" | "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" | "uca1400" => Characters::All,
        "utf8" | "utf8mb3" | "ucs2" => Characters::ThreeBytes,
        "latin1" => Characters::Latin1,
        _ => Characters::Ascii,
    };
    let zero = if column.filling == Filling::Number { Zero::Numbered } else { Zero::Kept };
    Capacity { length, characters, zero }
}

/// By the names that MySQL and MariaDB give their collations.
fn text_equality(column: &Column) -> TextEquality {
    let Some(collation) = column.collation.as_deref() else { return TextEquality::Other };
    let name = collation.to_ascii_lowercase();
    let no_pad = name.contains("nopad") || name == "utf8mb4_0900_bin";
    if name.ends_with("_bin") {
        // With padding 'a' and 'a ' are equal, as they are in every CHAR.
        return match column.sql_type {
            SqlType::Char => TextEquality::ExactUnpadded,
            _ if no_pad => TextEquality::Exact,
            _ => TextEquality::ExactUnpadded,
        };
    }
    let by_unicode = name.contains("_0900_")
        || name.contains("_uca1400_")
        || name.contains("unicode_ci")
        || name.contains("unicode_520_");
    if by_unicode { TextEquality::Unicode } else { TextEquality::Other }
}

/// How a column must be treated in a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sorting {
    /// By value: numbers, dates, bytes.
    Value,
    /// By the number of an ENUM or SET, which a hidden `column + 0` gives.
    Number,
    /// By weight strings, or by value if it turns out not to be text.
    Weight,
}

pub(super) fn sorting(column: Option<&Column>) -> Sorting {
    match column.map_or(SqlType::Unknown, |column| column.sql_type) {
        SqlType::Unknown | SqlType::Text | SqlType::VarChar | SqlType::Char => Sorting::Weight,
        SqlType::Enum | SqlType::Set => Sorting::Number,
        _ => Sorting::Value,
    }
}
