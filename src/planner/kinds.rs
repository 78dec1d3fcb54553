//! From a column's definition to what its values may be routed and sorted by.

use crate::engine::capacity::{Capacity, Characters, Length, Zero};
use crate::engine::literal::{ColumnKind, TextEquality, UnicodeTable, VindexInput};
use crate::engine::routing::VindexColumn;
use crate::sql::charset::agrees_with_ascii;
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
        SqlType::Char | SqlType::VarChar | SqlType::Text => text_kind(column),
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
    let charset = charset(column);
    let length = match (column.sql_type, usize::try_from(column.size)) {
        (_, Err(_) | Ok(0)) => Length::Any,
        (SqlType::Char | SqlType::VarChar, Ok(size)) => Length::Characters(size),
        (SqlType::VarBinary | SqlType::Blob, Ok(size)) => Length::Bytes(size),
        // Told in bytes; in these character sets one may have up to four where it has one in UTF-8.
        (SqlType::Text, Ok(size)) => match &*charset {
            "ucs2" | "utf16" | "utf16le" | "utf32" | "gb18030" => Length::Bytes(size / 4),
            _ => Length::Bytes(size),
        },
        _ => Length::Any,
    };
    let is_text = matches!(column.sql_type, SqlType::Char | SqlType::VarChar | SqlType::Text);
    let characters = match &*charset {
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

/// The character set of a column by the name of its collation; empty if none is told.
fn charset(column: &Column) -> String {
    let collation = column.collation.as_deref().unwrap_or_default().to_ascii_lowercase();
    match collation.split('_').next().unwrap_or_default() {
        // MariaDB's short names are of any character set.
        "uca1400" => String::new(),
        charset => charset.to_owned(),
    }
}

fn text_kind(column: &Column) -> ColumnKind {
    let equality = text_equality(column);
    match &*charset(column) {
        "ucs2" | "utf16" | "utf16le" | "utf32" => ColumnKind::WideText(equality),
        charset if charset.is_empty() || agrees_with_ascii(charset.as_bytes()) => {
            ColumnKind::Text(equality)
        }
        _ => ColumnKind::OtherText,
    }
}

/// By the names that MySQL and MariaDB give their collations. What is not listed may call texts
/// equal that vindexes tell apart, as those do that follow one language.
fn text_equality(column: &Column) -> TextEquality {
    let Some(collation) = column.collation.as_deref() else { return TextEquality::Other };
    let name = collation.to_ascii_lowercase();
    let no_pad = name.ends_with("_nopad_bin") || name == "utf8mb4_0900_bin";
    if name.ends_with("_bin") {
        // With padding 'a' and 'a ' are equal, as they are in every CHAR.
        return match column.sql_type {
            SqlType::Char => TextEquality::ExactUnpadded,
            _ if no_pad => TextEquality::Exact,
            _ => TextEquality::ExactUnpadded,
        };
    }
    if let Some(equality) = by_unicode(&name) {
        equality
    } else if SIMPLE.contains(&&*name.replace("_nopad_", "_")) {
        TextEquality::Other
    } else {
        TextEquality::Unknown
    }
}

/// Collations under which ASCII texts are equal if they differ in case only, each asked of MariaDB
/// 10.11. Not so gbk_chinese_ci (`~` is `y`), macce_general_ci (`m` is `n`) and others.
const SIMPLE: &[&str] = &[
    "armscii8_general_ci",
    "ascii_general_ci",
    "cp1250_general_ci",
    "cp1251_general_ci",
    "cp1251_general_cs",
    "cp1256_general_ci",
    "cp1257_general_ci",
    "cp850_general_ci",
    "cp852_general_ci",
    "cp866_general_ci",
    "cp932_japanese_ci",
    "dec8_swedish_ci",
    "eucjpms_japanese_ci",
    "euckr_korean_ci",
    "greek_general_ci",
    "hebrew_general_ci",
    "hp8_english_ci",
    "keybcs2_general_ci",
    "koi8r_general_ci",
    "latin1_general_ci",
    "latin1_general_cs",
    "latin1_german1_ci",
    "latin1_swedish_ci",
    "latin2_general_ci",
    "latin7_general_ci",
    "latin7_general_cs",
    "macroman_general_ci",
    "ucs2_general_ci",
    "ucs2_general_mysql500_ci",
    "ujis_japanese_ci",
    "utf16_general_ci",
    "utf16le_general_ci",
    "utf32_general_ci",
    "utf8_general_ci",
    "utf8mb3_general_ci",
    "utf8mb3_general_mysql500_ci",
    "utf8mb4_general_ci",
];

/// What the Unicode Collation Algorithm without changes for a language calls equal.
fn by_unicode(collation: &str) -> Option<TextEquality> {
    const CHARSETS: [&str; 6] = ["utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf32"];
    let own = match collation.split_once('_') {
        Some((charset, own)) if CHARSETS.contains(&charset) => own,
        _ if collation.starts_with("uca1400_") => collation,
        _ => return None,
    };
    let strength = match own {
        "unicode_ci" | "unicode_nopad_ci" => {
            return Some(TextEquality::Unicode(UnicodeTable::First));
        }
        "unicode_520_ci" | "unicode_520_nopad_ci" => {
            return Some(TextEquality::Unicode(UnicodeTable::Near));
        }
        _ => match (own.strip_prefix("uca1400_"), collation.strip_prefix("utf8mb4_0900_")) {
            (Some(rest), _) => rest.strip_prefix("nopad_").unwrap_or(rest),
            (None, Some(rest)) => rest,
            (None, None) => return None,
        },
    };
    matches!(strength, "ai_ci" | "ai_cs" | "as_ci" | "as_cs")
        .then_some(TextEquality::Unicode(UnicodeTable::Later))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(collation: &str) -> Column {
        Column {
            name: "k".to_owned(),
            sql_type: SqlType::VarChar,
            collation: Some(collation.to_owned()).filter(|name| !name.is_empty()),
            default: None,
            nullable: true,
            invisible: false,
            size: 0,
            scale: 0,
            values: Vec::new(),
            filling: Filling::Unknown,
            touched: false,
        }
    }

    fn text(collation: &str) -> ColumnKind {
        column_kind(&of(collation)).expect("the type is known")
    }

    #[test]
    fn only_known_collations_are_followed() {
        use TextEquality::{Exact, ExactUnpadded, Other, Unicode, Unknown};
        use UnicodeTable::{First, Later, Near};
        for (collation, expected) in [
            ("utf8mb4_bin", ExactUnpadded),
            ("utf8mb4_nopad_bin", Exact),
            ("utf8mb4_0900_bin", Exact),
            ("latin1_bin", ExactUnpadded),
            ("utf8mb4_unicode_ci", Unicode(First)),
            ("utf8_unicode_ci", Unicode(First)),
            ("utf8mb4_unicode_520_nopad_ci", Unicode(Near)),
            ("utf8mb4_uca1400_ai_ci", Unicode(Later)),
            ("UTF8MB3_UCA1400_NOPAD_AS_CS", Unicode(Later)),
            ("uca1400_ai_ci", Unicode(Later)),
            ("utf8mb4_0900_ai_ci", Unicode(Later)),
            ("utf8mb4_0900_as_cs", Unicode(Later)),
            ("utf8mb4_general_ci", Other),
            ("latin1_swedish_nopad_ci", Other),
            ("", Other),
            ("utf8mb4_de_pb_0900_ai_ci", Unknown),
            ("utf8mb4_uca1400_german2_ai_ci", Unknown),
            ("uca1400_lithuanian_ai_ci", Unknown),
            ("utf8mb4_roman_ci", Unknown),
            ("utf8mb4_german2_ci", Unknown),
            ("latin1_german2_ci", Unknown),
            ("gbk_chinese_ci", Unknown),
            ("macce_general_ci", Unknown),
            ("koi8u_general_ci", Unknown),
            ("utf8mb4_new_ci", Unknown),
        ] {
            assert_eq!(text(collation), ColumnKind::Text(expected), "{collation}");
        }
    }

    #[test]
    fn text_is_cut_where_its_characters_are_longer_than_in_utf8() {
        for (collation, expected) in
            [("utf8mb4_bin", 200), ("latin1_bin", 200), ("utf16_bin", 50), ("gb18030_bin", 50)]
        {
            let column = Column { sql_type: SqlType::Text, size: 200, ..of(collation) };
            assert_eq!(capacity(&column).length, Length::Bytes(expected), "{collation}");
        }
    }

    #[test]
    fn only_character_sets_with_ascii_are_written() {
        for (collation, expected) in [
            ("utf16_bin", ColumnKind::WideText(TextEquality::ExactUnpadded)),
            ("utf16le_general_ci", ColumnKind::WideText(TextEquality::Other)),
            (
                "ucs2_uca1400_ai_ci",
                ColumnKind::WideText(TextEquality::Unicode(UnicodeTable::Later)),
            ),
            ("utf32_unicode_ci", ColumnKind::WideText(TextEquality::Unicode(UnicodeTable::First))),
            ("swe7_bin", ColumnKind::OtherText),
            ("swe7_swedish_ci", ColumnKind::OtherText),
            ("sjis_bin", ColumnKind::OtherText),
            ("new_bin", ColumnKind::OtherText),
        ] {
            assert_eq!(text(collation), expected, "{collation}");
        }
    }
}
