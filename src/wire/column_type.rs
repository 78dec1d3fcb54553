//! Column types and column flags, and how many bytes a value has in the binary protocol.
//!
//! Protocol pages: MySQL `enum_field_types` (`field__types_8h`), "Binary Protocol Resultset",
//! "Column Definition Flags"; MariaDB "Result Set Packets: field types".

use bitflags::bitflags;

/// Writes the enum and both conversions from one table.
macro_rules! column_types {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        /// The type of a column or parameter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ColumnType {
            $(#[doc = $doc] $name,)*
            /// A type that this proxy does not know.
            Unknown(u8),
        }

        impl ColumnType {
            /// The type of this code.
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    _ => Self::Unknown(code),
                }
            }

            /// The code as it stands in a packet.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(code) => code,
                }
            }
        }
    };
}

column_types! {
    Decimal = 0x00, "DECIMAL before MySQL 5.0.";
    Tiny = 0x01, "TINYINT.";
    Short = 0x02, "SMALLINT.";
    Long = 0x03, "INT.";
    Float = 0x04, "FLOAT.";
    Double = 0x05, "DOUBLE.";
    Null = 0x06, "NULL.";
    Timestamp = 0x07, "TIMESTAMP.";
    LongLong = 0x08, "BIGINT.";
    Int24 = 0x09, "MEDIUMINT.";
    Date = 0x0a, "DATE.";
    Time = 0x0b, "TIME.";
    DateTime = 0x0c, "DATETIME.";
    Year = 0x0d, "YEAR.";
    NewDate = 0x0e, "DATE as the server stores it; never sent.";
    VarChar = 0x0f, "VARCHAR as the server stores it.";
    Bit = 0x10, "BIT.";
    Timestamp2 = 0x11, "TIMESTAMP as the server stores it; never sent.";
    DateTime2 = 0x12, "DATETIME as the server stores it; never sent.";
    Time2 = 0x13, "TIME as the server stores it; never sent.";
    TypedArray = 0x14, "Array for multi-valued indexes; never sent.";
    Vector = 0xf2, "VECTOR (MySQL 9).";
    Invalid = 0xf3, "No type.";
    Bool = 0xf4, "BOOL; a placeholder in MySQL.";
    Json = 0xf5, "JSON (MySQL).";
    NewDecimal = 0xf6, "DECIMAL.";
    Enum = 0xf7, "ENUM; results say STRING with a flag.";
    Set = 0xf8, "SET; results say STRING with a flag.";
    TinyBlob = 0xf9, "TINYBLOB or TINYTEXT.";
    MediumBlob = 0xfa, "MEDIUMBLOB or MEDIUMTEXT.";
    LongBlob = 0xfb, "LONGBLOB or LONGTEXT.";
    Blob = 0xfc, "BLOB or TEXT.";
    VarString = 0xfd, "VARCHAR or VARBINARY.";
    String = 0xfe, "CHAR, BINARY, ENUM or SET.";
    Geometry = 0xff, "A geometry.";
}

/// How a value of a type is laid out in the binary protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryLayout {
    /// No bytes at all.
    Nothing,
    /// This many bytes, little-endian.
    Fixed(usize),
    /// One byte of length, then that many bytes of date and time.
    Temporal,
    /// A length-encoded string.
    LengthEncoded,
}

impl ColumnType {
    /// Whether its values are numbers, so that their text is a literal of SQL.
    pub const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Tiny
                | Self::Short
                | Self::Int24
                | Self::Long
                | Self::LongLong
                | Self::Float
                | Self::Double
                | Self::Decimal
                | Self::NewDecimal
                | Self::Year
        )
    }

    /// Whether MySQL and MariaDB take a parameter of this type for the value that it seems to be.
    /// MariaDB stores NULL for those of YEAR and MEDIUMINT.
    pub const fn is_parameter(self) -> bool {
        matches!(
            self,
            Self::Null
                | Self::Tiny
                | Self::Short
                | Self::Long
                | Self::LongLong
                | Self::Float
                | Self::Double
                | Self::Decimal
                | Self::NewDecimal
                | Self::Date
                | Self::Time
                | Self::DateTime
                | Self::Timestamp
        ) || self.is_parameter_in_parts()
    }

    /// The same for parameters that come by COM_STMT_SEND_LONG_DATA.
    pub const fn is_parameter_in_parts(self) -> bool {
        matches!(
            self,
            Self::VarChar
                | Self::VarString
                | Self::String
                | Self::Json
                | Self::TinyBlob
                | Self::MediumBlob
                | Self::LongBlob
                | Self::Blob
        )
    }

    /// The layout of a value; `None` for a type that must not occur on the wire.
    pub const fn binary_layout(self) -> Option<BinaryLayout> {
        Some(match self {
            Self::Null => BinaryLayout::Nothing,
            Self::Tiny | Self::Bool => BinaryLayout::Fixed(1),
            Self::Short | Self::Year => BinaryLayout::Fixed(2),
            Self::Long | Self::Int24 | Self::Float => BinaryLayout::Fixed(4),
            Self::LongLong | Self::Double => BinaryLayout::Fixed(8),
            Self::Date | Self::Time | Self::DateTime | Self::Timestamp => BinaryLayout::Temporal,
            Self::Decimal
            | Self::NewDecimal
            | Self::VarChar
            | Self::VarString
            | Self::String
            | Self::Bit
            | Self::Enum
            | Self::Set
            | Self::Json
            | Self::Vector
            | Self::TinyBlob
            | Self::MediumBlob
            | Self::LongBlob
            | Self::Blob
            | Self::Geometry => BinaryLayout::LengthEncoded,
            Self::NewDate
            | Self::Timestamp2
            | Self::DateTime2
            | Self::Time2
            | Self::TypedArray
            | Self::Invalid
            | Self::Unknown(_) => return None,
        })
    }
}

bitflags! {
    /// Flags of a column. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ColumnFlags: u16 {
        /// NOT NULL.
        const NOT_NULL = 0x0001;
        /// Part of the primary key.
        const PRIMARY_KEY = 0x0002;
        /// Part of a unique key.
        const UNIQUE_KEY = 0x0004;
        /// Part of a key that is not unique.
        const MULTIPLE_KEY = 0x0008;
        /// A BLOB or TEXT.
        const BLOB = 0x0010;
        /// UNSIGNED.
        const UNSIGNED = 0x0020;
        /// ZEROFILL.
        const ZEROFILL = 0x0040;
        /// A binary collation.
        const BINARY = 0x0080;
        /// ENUM.
        const ENUM = 0x0100;
        /// AUTO_INCREMENT.
        const AUTO_INCREMENT = 0x0200;
        /// A TIMESTAMP.
        const TIMESTAMP = 0x0400;
        /// SET.
        const SET = 0x0800;
        /// No default value.
        const NO_DEFAULT_VALUE = 0x1000;
        /// Set to now on UPDATE.
        const ON_UPDATE_NOW = 0x2000;
        /// A number.
        const NUM = 0x8000;
        // Whatever else a server says.
        const _ = !0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back() {
        for code in 0..=255 {
            assert_eq!(ColumnType::from_code(code).code(), code);
        }
        assert_eq!(ColumnType::from_code(0x80), ColumnType::Unknown(0x80));
    }
}
