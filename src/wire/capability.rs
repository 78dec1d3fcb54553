//! Capability flags: what client and server agree on when they connect.
//!
//! The low 32 bits are MySQL's, the high 32 are MariaDB's extended ones.
//! Protocol pages: MySQL "Capabilities Flags" (`group__group__cs__capabilities__flags`), MariaDB
//! "Connection: capabilities".

use bitflags::bitflags;

bitflags! {
    /// A set of capability flags. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Capabilities: u64 {
        /// CLIENT_LONG_PASSWORD. MariaDB calls it CLIENT_MYSQL: a peer without it speaks the
        /// extended flags.
        const LONG_PASSWORD = 1 << 0;
        /// CLIENT_FOUND_ROWS: affected rows are matched rows, not changed ones.
        const FOUND_ROWS = 1 << 1;
        /// CLIENT_LONG_FLAG: column flags have two bytes.
        const LONG_FLAG = 1 << 2;
        /// CLIENT_CONNECT_WITH_DB: the response names a database.
        const CONNECT_WITH_DB = 1 << 3;
        /// CLIENT_NO_SCHEMA: `database.table.column` is not allowed.
        const NO_SCHEMA = 1 << 4;
        /// CLIENT_COMPRESS: zlib compression.
        const COMPRESS = 1 << 5;
        /// CLIENT_ODBC.
        const ODBC = 1 << 6;
        /// CLIENT_LOCAL_FILES: LOAD DATA LOCAL is allowed.
        const LOCAL_FILES = 1 << 7;
        /// CLIENT_IGNORE_SPACE: spaces before `(` are ignored.
        const IGNORE_SPACE = 1 << 8;
        /// CLIENT_PROTOCOL_41.
        const PROTOCOL_41 = 1 << 9;
        /// CLIENT_INTERACTIVE: interactive_timeout holds.
        const INTERACTIVE = 1 << 10;
        /// CLIENT_SSL: TLS after this packet.
        const SSL = 1 << 11;
        /// CLIENT_IGNORE_SIGPIPE.
        const IGNORE_SIGPIPE = 1 << 12;
        /// CLIENT_TRANSACTIONS: packets carry status flags.
        const TRANSACTIONS = 1 << 13;
        /// CLIENT_RESERVED: once protocol 4.1.
        const RESERVED = 1 << 14;
        /// CLIENT_SECURE_CONNECTION: authentication data has a length byte.
        const SECURE_CONNECTION = 1 << 15;
        /// CLIENT_MULTI_STATEMENTS: a COM_QUERY may hold several statements.
        const MULTI_STATEMENTS = 1 << 16;
        /// CLIENT_MULTI_RESULTS.
        const MULTI_RESULTS = 1 << 17;
        /// CLIENT_PS_MULTI_RESULTS: several results from a prepared statement.
        const PS_MULTI_RESULTS = 1 << 18;
        /// CLIENT_PLUGIN_AUTH: authentication plugins are named.
        const PLUGIN_AUTH = 1 << 19;
        /// CLIENT_CONNECT_ATTRS: the response carries attributes.
        const CONNECT_ATTRS = 1 << 20;
        /// CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA: authentication data has a lenenc length.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS.
        const CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
        /// CLIENT_SESSION_TRACK: OK packets carry session state changes.
        const SESSION_TRACK = 1 << 23;
        /// CLIENT_DEPRECATE_EOF: OK packets stand where EOF packets did.
        const DEPRECATE_EOF = 1 << 24;
        /// CLIENT_OPTIONAL_RESULTSET_METADATA.
        const OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// CLIENT_ZSTD_COMPRESSION_ALGORITHM.
        const ZSTD_COMPRESSION = 1 << 26;
        /// CLIENT_QUERY_ATTRIBUTES: COM_QUERY starts with parameters.
        const QUERY_ATTRIBUTES = 1 << 27;
        /// MULTI_FACTOR_AUTHENTICATION.
        const MULTI_FACTOR_AUTHENTICATION = 1 << 28;
        /// CLIENT_CAPABILITY_EXTENSION.
        const CAPABILITY_EXTENSION = 1 << 29;
        /// CLIENT_SSL_VERIFY_SERVER_CERT (client side only).
        const SSL_VERIFY_SERVER_CERT = 1 << 30;
        /// CLIENT_REMEMBER_OPTIONS (client side only).
        const REMEMBER_OPTIONS = 1 << 31;
        /// MARIADB_CLIENT_PROGRESS: progress reports in ERR packets of errno 0xffff.
        const MARIADB_PROGRESS = 1 << 32;
        /// MARIADB_CLIENT_COM_MULTI (removed).
        const MARIADB_COM_MULTI = 1 << 33;
        /// MARIADB_CLIENT_STMT_BULK_OPERATIONS: COM_STMT_BULK_EXECUTE.
        const MARIADB_STMT_BULK_OPERATIONS = 1 << 34;
        /// MARIADB_CLIENT_EXTENDED_METADATA: column definitions carry type names.
        const MARIADB_EXTENDED_METADATA = 1 << 35;
        /// MARIADB_CLIENT_CACHE_METADATA: the column count says whether metadata follows.
        const MARIADB_CACHE_METADATA = 1 << 36;
        /// MARIADB_CLIENT_BULK_UNIT_RESULTS.
        const MARIADB_BULK_UNIT_RESULTS = 1 << 37;
        // Whatever else a peer says.
        const _ = !0;
    }
}

impl Capabilities {
    /// No flag.
    pub const EMPTY: Self = Self::empty();

    /// From MySQL's 32 bits and MariaDB's 32 extended bits.
    pub const fn from_halves(low: u32, extended: u32) -> Self {
        Self::from_bits_retain(low as u64 | (extended as u64) << 32)
    }

    /// MySQL's 32 bits.
    pub const fn low(self) -> u32 {
        self.bits() as u32
    }

    /// MariaDB's extended 32 bits.
    pub const fn extended(self) -> u32 {
        (self.bits() >> 32) as u32
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
        assert_eq!(format!("{flags:?}"), "Capabilities(PROTOCOL_41 | MARIADB_CACHE_METADATA)");
        assert_eq!(Capabilities::DEPRECATE_EOF.low(), 0x0100_0000);
        assert_eq!(Capabilities::from_halves(flags.low(), flags.extended()), flags);
        let unknown = Capabilities::from_halves(0, 1 << 31).union(Capabilities::SSL);
        assert_eq!(unknown.extended(), 1 << 31);
        assert_eq!(unknown.difference(Capabilities::SSL).extended(), 1 << 31);
        assert_eq!(format!("{unknown:?}"), "Capabilities(SSL | 0x8000000000000000)");
    }
}
