//! A column as the VSchema describes it.

/// Type of a column, by Vitess' names (`query.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "the names are MySQL's")]
pub enum SqlType {
    /// Not given.
    #[default]
    Unknown,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int24,
    UInt24,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Float32,
    Float64,
    Timestamp,
    Date,
    Time,
    DateTime,
    Year,
    Decimal,
    Text,
    Blob,
    VarChar,
    VarBinary,
    Char,
    Binary,
    Bit,
    Enum,
    Set,
    Geometry,
    Json,
    Vector,
}

/// Name and protobuf number of each type.
const NAMES: &[(&str, u32, SqlType)] = &[
    ("NULL_TYPE", 0, SqlType::Unknown),
    ("INT8", 257, SqlType::Int8),
    ("UINT8", 770, SqlType::UInt8),
    ("INT16", 259, SqlType::Int16),
    ("UINT16", 772, SqlType::UInt16),
    ("INT24", 261, SqlType::Int24),
    ("UINT24", 774, SqlType::UInt24),
    ("INT32", 263, SqlType::Int32),
    ("UINT32", 776, SqlType::UInt32),
    ("INT64", 265, SqlType::Int64),
    ("UINT64", 778, SqlType::UInt64),
    ("FLOAT32", 1035, SqlType::Float32),
    ("FLOAT64", 1036, SqlType::Float64),
    ("TIMESTAMP", 2061, SqlType::Timestamp),
    ("DATE", 2062, SqlType::Date),
    ("TIME", 2063, SqlType::Time),
    ("DATETIME", 2064, SqlType::DateTime),
    ("YEAR", 785, SqlType::Year),
    ("DECIMAL", 18, SqlType::Decimal),
    ("TEXT", 6163, SqlType::Text),
    ("BLOB", 10260, SqlType::Blob),
    ("VARCHAR", 6165, SqlType::VarChar),
    ("VARBINARY", 10262, SqlType::VarBinary),
    ("CHAR", 6167, SqlType::Char),
    ("BINARY", 10264, SqlType::Binary),
    ("BIT", 2073, SqlType::Bit),
    ("ENUM", 2074, SqlType::Enum),
    ("SET", 2075, SqlType::Set),
    ("GEOMETRY", 2077, SqlType::Geometry),
    ("JSON", 2078, SqlType::Json),
    ("VECTOR", 2083, SqlType::Vector),
];

impl SqlType {
    /// Reads a name or, as protojson allows, a number.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.parse::<u32>().ok();
        let same = |(name, known, _): &&(&str, u32, Self)| *name == text || Some(*known) == number;
        NAMES.iter().find(same).map(|(_, _, sql_type)| *sql_type)
    }

    /// Vitess' name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, _, known)| *known == self).map_or("", |(name, _, _)| name)
    }

    /// Every name, for advice.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _, _)| *name)
    }

    /// Whether the type is an integer.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::UInt8
                | Self::Int16
                | Self::UInt16
                | Self::Int24
                | Self::UInt24
                | Self::Int32
                | Self::UInt32
                | Self::Int64
                | Self::UInt64
                | Self::Year
        )
    }

    /// Whether the type is character data, compared by a collation.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::VarChar | Self::Char | Self::Enum | Self::Set)
    }

    /// Whether the type is a byte string.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Blob | Self::VarBinary | Self::Binary)
    }
}

/// One entry of a table's `columns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As written; compared without regard to case.
    pub name: String,
    /// Type, if given.
    pub sql_type: SqlType,
    /// Collation, if given.
    pub collation: Option<String>,
    /// Text of the default's expression, if given.
    pub default: Option<String>,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Whether `*` leaves it out.
    pub invisible: bool,
    /// Length or precision; 0 if not given.
    pub size: i32,
    /// Digits after the point; 0 if not given.
    pub scale: i32,
    /// Members of an ENUM or SET.
    pub values: Vec<String>,
    /// What servers put into it themselves.
    pub filling: Filling,
    /// Whether every UPDATE of a row sets it to the present time.
    pub touched: bool,
}

/// What a server puts into a column that a statement gives no value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Filling {
    /// That is not known.
    #[default]
    Unknown,
    /// The same on every server.
    Constant,
    /// Its own next number: AUTO_INCREMENT.
    Number,
    /// What it computes then: the time, a UUID.
    Computed,
    /// What it computes from the row's other columns, whatever the statement says.
    Generated,
}
