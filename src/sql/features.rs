//! What a statement uses that matters to sessions, replicas or result handling.

use std::ops::{BitOr, BitOrAssign};

/// A set of features, found by words and not by grammar: a column named like a function is not
/// counted unless a parenthesis follows, so a feature may be reported that is not there, but
/// none that is there is missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u32);

impl Features {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// LAST_INSERT_ID().
    pub const LAST_INSERT_ID: Self = Self(1);
    /// FOUND_ROWS().
    pub const FOUND_ROWS: Self = Self(1 << 1);
    /// ROW_COUNT().
    pub const ROW_COUNT: Self = Self(1 << 2);
    /// CONNECTION_ID().
    pub const CONNECTION_ID: Self = Self(1 << 3);
    /// DATABASE(), SCHEMA().
    pub const DATABASE: Self = Self(1 << 4);
    /// USER(), CURRENT_USER, SESSION_USER(), SYSTEM_USER(), CURRENT_ROLE().
    pub const USER: Self = Self(1 << 5);
    /// GET_LOCK(), RELEASE_LOCK(), RELEASE_ALL_LOCKS(), IS_FREE_LOCK(), IS_USED_LOCK().
    pub const NAMED_LOCK: Self = Self(1 << 6);
    /// SQL_CALC_FOUND_ROWS.
    pub const CALC_FOUND_ROWS: Self = Self(1 << 7);
    /// `@name`.
    pub const USER_VARIABLE: Self = Self(1 << 8);
    /// `@name :=` or INTO @name.
    pub const ASSIGNS_VARIABLE: Self = Self(1 << 9);
    /// `@@name`.
    pub const SYSTEM_VARIABLE: Self = Self(1 << 10);
    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
    pub const LOCKING_READ: Self = Self(1 << 11);
    /// INTO OUTFILE, INTO DUMPFILE.
    pub const INTO_FILE: Self = Self(1 << 12);
    /// NEXTVAL(), NEXT VALUE FOR, NEXT n VALUES.
    pub const SEQUENCE: Self = Self(1 << 13);
    /// TEMPORARY.
    pub const TEMPORARY: Self = Self(1 << 14);
    /// SLEEP().
    pub const SLEEP: Self = Self(1 << 15);
    /// A function that is not on the list of built-in functions: stored or loadable, so it may
    /// write.
    pub const UNKNOWN_FUNCTION: Self = Self(1 << 16);
    /// A `/*!` comment that some servers run and others skip.
    pub const SERVER_SPECIFIC: Self = Self(1 << 17);
    /// A `/*vt+ .. */` comment.
    pub const DIRECTIVE: Self = Self(1 << 18);
    /// A `/*+ .. */` comment.
    pub const OPTIMIZER_HINT: Self = Self(1 << 19);
    /// `?` or `:name`.
    pub const PLACEHOLDER: Self = Self(1 << 20);

    /// FROM: it may read a table.
    pub const FROM: Self = Self(1 << 21);
    /// DATABASE or SCHEMA in a CREATE, ALTER or DROP: it defines one.
    pub const DATABASE_DEFINITION: Self = Self(1 << 23);
    /// VIEW, TRIGGER, PROCEDURE, FUNCTION, PACKAGE or EVENT in a CREATE or ALTER: it defines one.
    pub const STORED_DEFINITION: Self = Self(1 << 24);
    /// LASTVAL(), PREVIOUS VALUE FOR; SEQUENCE is there, too.
    pub const LAST_VALUE: Self = Self(1 << 22);

    /// Whether all features of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any feature of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The union; usable in constants.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Features {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
