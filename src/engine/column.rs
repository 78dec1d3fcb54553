//! What merging needs to know of a result column: how its values are encoded and compared.
//!
//! Made from the column definitions that the servers send, because only they know a result's
//! types for sure. Protocol page: "Column Definition" and "field types" of the MySQL manual.

/// A result column, as far as merging is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Protocol type code.
    type_code: u8,
    /// How values compare.
    class: Class,
    /// Digits after the point of DECIMAL; 31 when not fixed.
    decimals: u8,
    /// Whether integers are unsigned.
    unsigned: bool,
}

/// How the values of a column compare with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Signed and unsigned integers, YEAR.
    Integer,
    /// DECIMAL.
    Decimal,
    /// FLOAT and DOUBLE.
    Float,
    /// DATE, DATETIME, TIMESTAMP.
    DateTime,
    /// TIME.
    Time,
    /// Character data: only the server's weight strings compare it.
    Text,
    /// Bytes, and BIT.
    Binary,
    /// ENUM and SET: a server sorts them by number, but sends their text.
    Enumerated,
    /// JSON and GEOMETRY: not comparable here.
    Opaque,
    /// Always NULL.
    Null,
}

/// How a value lies in a binary protocol row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// So many bytes, little-endian.
    Fixed(usize),
    /// One length byte, then fields.
    Temporal,
    /// Length-encoded bytes.
    Bytes,
}

const UNSIGNED: u16 = 0x20;
const ENUM: u16 = 0x100;
const SET: u16 = 0x800;
const BINARY_CHARSET: u16 = 63;

impl Column {
    /// From the fields of a column definition packet: type code, flags, character set (collation
    /// id), decimals.
    pub fn new(type_code: u8, flags: u16, charset: u16, decimals: u8) -> Self {
        let class = match type_code {
            _ if flags & (ENUM | SET) != 0 => Class::Enumerated,
            1 | 2 | 3 | 8 | 9 | 13 => Class::Integer,
            0 | 246 => Class::Decimal,
            4 | 5 => Class::Float,
            6 => Class::Null,
            7 | 10 | 12 | 14 => Class::DateTime,
            11 => Class::Time,
            16 => Class::Binary,
            247 | 248 => Class::Enumerated,
            245 | 255 => Class::Opaque,
            _ if charset == BINARY_CHARSET => Class::Binary,
            _ => Class::Text,
        };
        let unsigned = class == Class::Integer && flags & UNSIGNED != 0;
        Self { type_code, class, decimals, unsigned }
    }

    /// How its values compare.
    pub fn class(self) -> Class {
        self.class
    }

    /// Digits after the point.
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// Whether integers are unsigned.
    pub fn is_unsigned(self) -> bool {
        self.unsigned
    }

    /// Whether rows of both columns are read and compared alike.
    pub fn encodes_like(self, other: Self) -> bool {
        self.class == other.class
            && self.unsigned == other.unsigned
            && self.encoding() == other.encoding()
    }

    /// Whether text rows show fewer digits than the value has.
    pub(super) fn is_rounded_in_text(self) -> bool {
        self.type_code == 4
    }

    pub(super) fn encoding(self) -> Encoding {
        match self.type_code {
            1 => Encoding::Fixed(1),
            2 | 13 => Encoding::Fixed(2),
            3 | 9 | 4 => Encoding::Fixed(4),
            8 | 5 => Encoding::Fixed(8),
            6 => Encoding::Fixed(0),
            7 | 10 | 11 | 12 | 14 => Encoding::Temporal,
            _ => Encoding::Bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_text_binary_or_enumerated_by_charset_and_flags() {
        assert_eq!(Column::new(253, 0, 45, 0).class(), Class::Text);
        assert_eq!(Column::new(252, 0, 63, 0).class(), Class::Binary);
        assert_eq!(Column::new(254, ENUM, 45, 0).class(), Class::Enumerated);
        assert_eq!(Column::new(245, 0, 63, 0).class(), Class::Opaque);
    }

    #[test]
    fn unsigned_concerns_integers_only() {
        assert!(Column::new(8, UNSIGNED, 63, 0).is_unsigned());
        let decimal = Column::new(246, UNSIGNED, 63, 4);
        assert!(!decimal.is_unsigned());
        assert_eq!(decimal.decimals(), 4);
    }
}
