//! Server status flags, as OK and EOF packets carry them.
//!
//! Protocol page: MySQL `SERVER_STATUS_flags_enum`, MariaDB "OK_Packet" (server status).

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of server status flags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusFlags(u16);

impl StatusFlags {
    /// No flag.
    pub const EMPTY: Self = Self(0);

    /// The flags of these bits; unknown bits are kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits as they stand in a packet.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
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

impl BitOr for StatusFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for StatusFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for StatusFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Writes constants and their names from one table.
macro_rules! flags {
    ($($name:ident = $bit:literal, $doc:literal;)*) => {
        impl StatusFlags {
            $(#[doc = $doc] pub const $name: Self = Self($bit);)*
            const NAMES: &[(u16, &str)] = &[$(($bit, stringify!($name))),*];
        }
    };
}

flags! {
    IN_TRANS = 0x0001, "A transaction is active.";
    AUTOCOMMIT = 0x0002, "Autocommit is on.";
    MORE_RESULTS = 0x0008, "Another result follows this one.";
    NO_GOOD_INDEX_USED = 0x0010, "The statement used no good index.";
    NO_INDEX_USED = 0x0020, "The statement used no index.";
    CURSOR_EXISTS = 0x0040, "A server-side cursor was opened; rows come by COM_STMT_FETCH.";
    LAST_ROW_SENT = 0x0080, "The cursor has no more rows.";
    DB_DROPPED = 0x0100, "The current database was dropped.";
    NO_BACKSLASH_ESCAPES = 0x0200, "The SQL mode has NO_BACKSLASH_ESCAPES: strings end elsewhere.";
    METADATA_CHANGED = 0x0400, "A reprepared statement has other columns than before.";
    QUERY_WAS_SLOW = 0x0800, "The statement was slow.";
    PS_OUT_PARAMS = 0x1000, "This result set carries OUT parameters.";
    IN_TRANS_READONLY = 0x2000, "The active transaction is read only.";
    SESSION_STATE_CHANGED = 0x4000, "The OK packet carries session state changes.";
    ANSI_QUOTES = 0x8000, "MariaDB: the SQL mode has ANSI_QUOTES.";
}

impl fmt::Debug for StatusFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| name);
        f.write_str("StatusFlags")?;
        f.debug_set().entries(names).finish()
    }
}
