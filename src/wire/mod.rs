//! The MySQL client/server protocol without IO.
//!
//! Bytes in, values and bytes out. The proxy is a server to its clients and a client to its
//! servers, so most packets are both read and written here.
//!
//! Where to start: [`packet`] frames payloads, [`handshake`] and [`auth`] connect, [`command`]
//! reads what a client wants, [`scanner`] follows a server's answer without copying it.
//!
//! Invariants:
//! - Nothing here reads a socket, a clock or a file.
//! - No input makes it panic: all reads are checked, and indexing is linted against.
//! - No input makes it hold unbounded memory: what is kept has a limit with a name.
//! - Text is bytes in the connection's charset, never `str`.
//!
//! It must not know what a statement means, which server it goes to, or who may log in.
//!
//! Why an own implementation: the proxy relays packets it has not decoded, needs both directions of
//! every packet, status flags and session state, and must survive hostile peers; no published crate
//! does all of it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod auth;
pub mod binary_value;
pub mod capability;
pub mod charset;
pub mod column;
pub mod column_count;
pub mod column_type;
pub mod command;
pub mod cursor;
pub mod encode;
pub mod err;
pub mod handshake;
pub mod ok;
pub mod packet;
pub mod query_attributes;
#[cfg(test)]
mod recorded;
pub mod row_binary;
pub mod row_text;
pub mod scanner;
pub mod session_track;
pub mod statement;
pub mod status;

pub use capability::Capabilities;
pub use cursor::{Cursor, Malformed};
pub use status::StatusFlags;
