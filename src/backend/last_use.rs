//! Whose statement ran last on a connection, and what the server still remembers of it.
//!
//! A server keeps some facts about the last statement only: its warnings, ROW_COUNT(),
//! FOUND_ROWS(). A session that gave its connection back may ask for them there as long as nothing
//! else ran on it. A server also counts what was done since the login or the last reset, for SHOW
//! STATUS; those counts belong to whoever the connection was fresh for.

use std::time::Duration;

use crate::clock::{self, Instant};

/// The last use of a connection.
#[derive(Clone, Copy, Debug)]
pub struct LastUse {
    /// 0: nobody since the connection was fresh.
    session: u32,
    fresh_at: Instant,
    /// A statement of Geogate's own came after the session's.
    is_covered: bool,
    /// One that did not ask for warnings.
    is_wiped: bool,
    /// What the server may still show of the warnings and errors that were made there.
    warnings: WarningsLeft,
}

/// Whose warnings and errors a server may still remember on a connection. MariaDB forgets them only
/// with a statement that uses a table; SHOW WARNINGS and GET DIAGNOSTICS, also in a stored program,
/// show them to whoever has the connection then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WarningsLeft {
    /// Nobody's.
    None,
    /// Those of the session that used the connection last.
    Own,
    /// Those of a session before it.
    Foreign,
}

/// A statement after which servers remember no warnings.
pub const FORGET_WARNINGS: &[u8] = b"SELECT 1 FROM (SELECT 1) AS t";

/// A connection is made fresh again at most this often.
const REFRESH_EVERY: Duration = Duration::from_millis(50);

impl LastUse {
    /// A connection just made or reset.
    pub(super) fn fresh() -> Self {
        let warnings = WarningsLeft::None;
        Self { session: 0, fresh_at: clock::now(), is_covered: true, is_wiped: true, warnings }
    }

    /// The same connection after a reset, which leaves warnings there.
    pub(super) fn after_reset(self) -> Self {
        let mut fresh = Self { warnings: self.warnings, ..Self::fresh() };
        if fresh.warnings == WarningsLeft::Own {
            fresh.warnings = WarningsLeft::Foreign;
        }
        fresh
    }

    /// A session takes the connection.
    pub(super) fn take(&mut self, session: u32) {
        if self.session != session {
            let warnings = match self.warnings {
                WarningsLeft::None => WarningsLeft::None,
                WarningsLeft::Own | WarningsLeft::Foreign => WarningsLeft::Foreign,
            };
            *self = Self { session, is_covered: true, is_wiped: true, warnings, ..*self };
        }
    }

    /// An answer had warnings, or was an error.
    pub(super) fn note_warnings(&mut self) {
        if self.warnings == WarningsLeft::None {
            self.warnings = WarningsLeft::Own;
        }
    }

    /// The server was made to forget all warnings.
    pub(super) fn note_forgotten(&mut self) {
        self.warnings = WarningsLeft::None;
    }

    /// Whether the server may show the present session what another one has left behind.
    pub(super) fn has_foreign_warnings(self) -> bool {
        self.warnings == WarningsLeft::Foreign
    }

    /// The session that used the connection last; 0 if none has.
    pub(super) fn session(self) -> u32 {
        self.session
    }

    /// A statement of the session's client is sent.
    pub(super) fn statement(&mut self) {
        self.is_covered = false;
        self.is_wiped = false;
    }

    /// A statement of Geogate's own is sent.
    pub(super) fn question(&mut self) {
        self.is_covered = true;
        self.is_wiped = true;
    }

    /// The same that asks for the warnings of the statement before, which leaves them there.
    pub(super) fn diagnostic_question(&mut self) {
        self.is_covered = true;
    }

    /// Whether this session used the connection last, and it may be made fresh for the next one.
    pub(super) fn is_worn_by(&self, session: u32) -> bool {
        let age = clock::now().saturating_duration_since(self.fresh_at);
        self.session == session && age >= REFRESH_EVERY
    }

    /// Whether this session used the connection last.
    pub fn is_of(&self, session: u32) -> bool {
        self.session == session
    }

    /// Whether nothing but questions for its warnings came after this session's last statement.
    pub(super) fn has_warnings_of(&self, session: u32) -> bool {
        self.session == session && !self.is_wiped
    }

    /// Whether the last statement was one of this session's client.
    pub fn is_statement_of(&self, session: u32) -> bool {
        self.session == session && !self.is_covered
    }
}
