//! The errors that a client can see.
//!
//! One row of [`catalog`] gives number, SQLSTATE, text and advice; [`SqlError`] is one occurrence.
//! Who is to blame ([`Origin`]) is a field, never a search in the text. A server's own error passes
//! unchanged: number, SQLSTATE and message are what the server sent.
//!
//! The text for a client never names a server address, an account or another shard's SQL.

pub mod catalog;

use std::fmt;

pub use catalog::Entry;

/// An error as it will be written into an ERR packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Our catalogue id (`GG12001`); `None` for an error that a server sent.
    pub id: Option<&'static str>,
    /// MySQL error number.
    pub errno: u16,
    /// Five characters of SQLSTATE.
    pub sqlstate: [u8; 5],
    /// The text, without number and SQLSTATE. Bytes, because servers may send any charset.
    pub message: Vec<u8>,
    /// Who caused it.
    pub origin: Origin,
}

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client: a statement we refuse, a protocol mistake.
    Client,
    /// Geogate itself: a limit, a state it cannot leave.
    Proxy,
    /// A server answered with this error.
    Server,
    /// A server could not be reached, or went away.
    Network,
}

impl SqlError {
    /// An error that a server sent, to be passed on unchanged.
    pub fn from_server(errno: u16, sqlstate: [u8; 5], message: impl Into<Vec<u8>>) -> Self {
        Self { id: None, errno, sqlstate, message: message.into(), origin: Origin::Server }
    }

    /// The error that a server gives for a savepoint that does not exist.
    pub fn unknown_savepoint(name: &str) -> Self {
        Self::from_server(1305, *b"42000", format!("SAVEPOINT {name} does not exist"))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = String::from_utf8_lossy(&self.sqlstate);
        let message = String::from_utf8_lossy(&self.message);
        write!(f, "ERROR {} ({state}): {message}", self.errno)
    }
}

impl std::error::Error for SqlError {}
