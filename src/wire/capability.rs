//! Capability flags: what client and server agree on when they connect.
//!
//! The low 32 bits are MySQL's, the high 32 are MariaDB's extended ones.
//! Protocol pages: MySQL "Capabilities Flags" (`group__group__cs__capabilities__flags`), MariaDB
//! "Connection: capabilities".

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of capability flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    /// No flag.
    pub const EMPTY: Self = Self(0);

    /// The flags of these bits; unknown bits are kept.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// From MySQL's 32 bits and MariaDB's 32 extended bits.
    pub const fn from_halves(low: u32, extended: u32) -> Self {
        Self(low as u64 | (extended as u64) << 32)
    }

    /// All bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// MySQL's 32 bits.
    pub const fn low(self) -> u32 {
        self.0 as u32
    }

    /// MariaDB's extended 32 bits.
    pub const fn extended(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the flags of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Sets the flags of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the flags of `other`.
    pub const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl BitAnd for Capabilities {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Capabilities {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Capabilities {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Writes constants and their names from one table of bit numbers.
macro_rules! flags {
    ($($name:ident = $bit:literal, $doc:literal;)*) => {
        impl Capabilities {
            $(#[doc = $doc] pub const $name: Self = Self(1 << $bit);)*
            const NAMES: &[(u32, &str)] = &[$(($bit, stringify!($name))),*];
        }
    };
}

flags! {
    LONG_PASSWORD = 0, "CLIENT_LONG_PASSWORD. MariaDB calls it CLIENT_MYSQL: a peer without it speaks the extended flags.";
    FOUND_ROWS = 1, "CLIENT_FOUND_ROWS: affected rows are matched rows, not changed ones.";
    LONG_FLAG = 2, "CLIENT_LONG_FLAG: column flags have two bytes.";
    CONNECT_WITH_DB = 3, "CLIENT_CONNECT_WITH_DB: the response names a database.";
    NO_SCHEMA = 4, "CLIENT_NO_SCHEMA: `database.table.column` is not allowed.";
    COMPRESS = 5, "CLIENT_COMPRESS: zlib compression.";
    ODBC = 6, "CLIENT_ODBC.";
    LOCAL_FILES = 7, "CLIENT_LOCAL_FILES: LOAD DATA LOCAL is allowed.";
    IGNORE_SPACE = 8, "CLIENT_IGNORE_SPACE: spaces before `(` are ignored.";
    PROTOCOL_41 = 9, "CLIENT_PROTOCOL_41.";
    INTERACTIVE = 10, "CLIENT_INTERACTIVE: interactive_timeout holds.";
    SSL = 11, "CLIENT_SSL: TLS after this packet.";
    IGNORE_SIGPIPE = 12, "CLIENT_IGNORE_SIGPIPE.";
    TRANSACTIONS = 13, "CLIENT_TRANSACTIONS: packets carry status flags.";
    RESERVED = 14, "CLIENT_RESERVED: once protocol 4.1.";
    SECURE_CONNECTION = 15, "CLIENT_SECURE_CONNECTION: authentication data has a length byte.";
    MULTI_STATEMENTS = 16, "CLIENT_MULTI_STATEMENTS: a COM_QUERY may hold several statements.";
    MULTI_RESULTS = 17, "CLIENT_MULTI_RESULTS.";
    PS_MULTI_RESULTS = 18, "CLIENT_PS_MULTI_RESULTS: several results from a prepared statement.";
    PLUGIN_AUTH = 19, "CLIENT_PLUGIN_AUTH: authentication plugins are named.";
    CONNECT_ATTRS = 20, "CLIENT_CONNECT_ATTRS: the response carries attributes.";
    PLUGIN_AUTH_LENENC = 21, "CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA: authentication data has a lenenc length.";
    CAN_HANDLE_EXPIRED_PASSWORDS = 22, "CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS.";
    SESSION_TRACK = 23, "CLIENT_SESSION_TRACK: OK packets carry session state changes.";
    DEPRECATE_EOF = 24, "CLIENT_DEPRECATE_EOF: OK packets stand where EOF packets did.";
    OPTIONAL_RESULTSET_METADATA = 25, "CLIENT_OPTIONAL_RESULTSET_METADATA.";
    ZSTD_COMPRESSION = 26, "CLIENT_ZSTD_COMPRESSION_ALGORITHM.";
    QUERY_ATTRIBUTES = 27, "CLIENT_QUERY_ATTRIBUTES: COM_QUERY starts with parameters.";
    MULTI_FACTOR_AUTHENTICATION = 28, "MULTI_FACTOR_AUTHENTICATION.";
    CAPABILITY_EXTENSION = 29, "CLIENT_CAPABILITY_EXTENSION.";
    SSL_VERIFY_SERVER_CERT = 30, "CLIENT_SSL_VERIFY_SERVER_CERT (client side only).";
    REMEMBER_OPTIONS = 31, "CLIENT_REMEMBER_OPTIONS (client side only).";
    MARIADB_PROGRESS = 32, "MARIADB_CLIENT_PROGRESS: progress reports in ERR packets of errno 0xffff.";
    MARIADB_COM_MULTI = 33, "MARIADB_CLIENT_COM_MULTI (removed).";
    MARIADB_STMT_BULK_OPERATIONS = 34, "MARIADB_CLIENT_STMT_BULK_OPERATIONS: COM_STMT_BULK_EXECUTE.";
    MARIADB_EXTENDED_METADATA = 35, "MARIADB_CLIENT_EXTENDED_METADATA: column definitions carry type names.";
    MARIADB_CACHE_METADATA = 36, "MARIADB_CLIENT_CACHE_METADATA: the column count says whether metadata follows.";
    MARIADB_BULK_UNIT_RESULTS = 37, "MARIADB_CLIENT_BULK_UNIT_RESULTS.";
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Self::NAMES.iter().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        f.write_str("Capabilities")?;
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bits_have_known_names() {
        let flags = Capabilities::PROTOCOL_41 | Capabilities::MARIADB_CACHE_METADATA;
        assert_eq!(flags.low(), 0x200);
        assert_eq!(flags.extended(), 0x10);
        assert_eq!(
            format!("{flags:?}"),
            r#"Capabilities{"PROTOCOL_41", "MARIADB_CACHE_METADATA"}"#
        );
        assert_eq!(Capabilities::DEPRECATE_EOF.low(), 0x0100_0000);
        assert_eq!(Capabilities::from_halves(flags.low(), flags.extended()), flags);
    }
}
