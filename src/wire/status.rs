//! Server status flags, as OK and EOF packets carry them.
//!
//! Protocol page: MySQL `SERVER_STATUS_flags_enum`, MariaDB "OK_Packet" (server status).

use bitflags::bitflags;

bitflags! {
    /// A set of server status flags. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StatusFlags: u16 {
        /// A transaction is active.
        const IN_TRANS = 0x0001;
        /// Autocommit is on.
        const AUTOCOMMIT = 0x0002;
        /// Another result follows this one.
        const MORE_RESULTS = 0x0008;
        /// The statement used no good index.
        const NO_GOOD_INDEX_USED = 0x0010;
        /// The statement used no index.
        const NO_INDEX_USED = 0x0020;
        /// A server-side cursor was opened; rows come by COM_STMT_FETCH.
        const CURSOR_EXISTS = 0x0040;
        /// The cursor has no more rows.
        const LAST_ROW_SENT = 0x0080;
        /// The current database was dropped.
        const DB_DROPPED = 0x0100;
        /// The SQL mode has NO_BACKSLASH_ESCAPES: strings end elsewhere.
        const NO_BACKSLASH_ESCAPES = 0x0200;
        /// A reprepared statement has other columns than before.
        const METADATA_CHANGED = 0x0400;
        /// The statement was slow.
        const QUERY_WAS_SLOW = 0x0800;
        /// This result set carries OUT parameters.
        const PS_OUT_PARAMS = 0x1000;
        /// The active transaction is read only.
        const IN_TRANS_READONLY = 0x2000;
        /// The OK packet carries session state changes.
        const SESSION_STATE_CHANGED = 0x4000;
        /// MariaDB: the SQL mode has ANSI_QUOTES.
        const ANSI_QUOTES = 0x8000;
        // Whatever else a server says.
        const _ = !0;
    }
}

impl StatusFlags {
    /// No flag.
    pub const EMPTY: Self = Self::empty();
}
