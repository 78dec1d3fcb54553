//! What a statement uses that matters to sessions, replicas or result handling.

use bitflags::bitflags;

bitflags! {
    /// A set of features, found by words and not by grammar: a column named like a function is not
    /// counted unless a parenthesis follows, so a feature may be reported that is not there, but
    /// none that is there is missed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// LAST_INSERT_ID().
        const LAST_INSERT_ID = 1 << 0;
        /// FOUND_ROWS().
        const FOUND_ROWS = 1 << 1;
        /// ROW_COUNT().
        const ROW_COUNT = 1 << 2;
        /// CONNECTION_ID().
        const CONNECTION_ID = 1 << 3;
        /// DATABASE(), SCHEMA().
        const DATABASE = 1 << 4;
        /// USER(), CURRENT_USER, SESSION_USER(), SYSTEM_USER(), CURRENT_ROLE().
        const USER = 1 << 5;
        /// GET_LOCK(), RELEASE_LOCK(), RELEASE_ALL_LOCKS(), IS_FREE_LOCK(), IS_USED_LOCK().
        const NAMED_LOCK = 1 << 6;
        /// SQL_CALC_FOUND_ROWS.
        const CALC_FOUND_ROWS = 1 << 7;
        /// `@name`.
        const USER_VARIABLE = 1 << 8;
        /// `@name :=` or INTO @name.
        const ASSIGNS_VARIABLE = 1 << 9;
        /// `@@name`.
        const SYSTEM_VARIABLE = 1 << 10;
        /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
        const LOCKING_READ = 1 << 11;
        /// INTO OUTFILE, INTO DUMPFILE.
        const INTO_FILE = 1 << 12;
        /// NEXTVAL(), NEXT VALUE FOR, NEXT n VALUES.
        const SEQUENCE = 1 << 13;
        /// TEMPORARY.
        const TEMPORARY = 1 << 14;
        /// SLEEP().
        const SLEEP = 1 << 15;
        /// A function that is not on the list of built-in functions: stored or loadable, so it may
        /// write.
        const UNKNOWN_FUNCTION = 1 << 16;
        /// A `/*!` comment that some servers run and others skip.
        const SERVER_SPECIFIC = 1 << 17;
        /// A `/*vt+ .. */` comment.
        const DIRECTIVE = 1 << 18;
        /// A `/*+ .. */` comment.
        const OPTIMIZER_HINT = 1 << 19;
        /// `?` or `:name`.
        const PLACEHOLDER = 1 << 20;
        /// FROM: it may read a table.
        const FROM = 1 << 21;
        /// LASTVAL(), PREVIOUS VALUE FOR; SEQUENCE is there, too.
        const LAST_VALUE = 1 << 22;
        /// DATABASE or SCHEMA in a CREATE, ALTER or DROP: it defines one.
        const DATABASE_DEFINITION = 1 << 23;
        /// VIEW, TRIGGER, PROCEDURE, FUNCTION, PACKAGE or EVENT in a CREATE or ALTER: it defines
        /// one.
        const STORED_DEFINITION = 1 << 24;
    }
}

impl Features {
    /// Nothing.
    pub const NONE: Self = Self::empty();

    /// The union; usable in constants.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        self.union(other)
    }
}
