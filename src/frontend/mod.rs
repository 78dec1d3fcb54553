//! The side that clients see: listener, greeting, TLS, login.
//!
//! A connection is counted before it is served, has a deadline to log in, and then becomes a
//! `session`. What is refused is told in the protocol's own words.

mod handshake;
mod listener;
mod places;
mod proxy_protocol;
mod reception;

pub use handshake::Policy;
pub use listener::Listener;
pub use reception::{Frontend, Inbox};
