//! The connection phase: greeting, response, TLS request, authentication packets.
//!
//! Both directions of every packet, because the proxy is a server to its clients and a client to
//! its servers. Which plugin is asked for and whether a password is right is not decided here; see
//! [`super::auth`].
//!
//! Protocol page: MySQL "Connection Phase" (`page_protocol_connection_phase`), MariaDB "Connection".

mod attributes;
mod auth_packets;
mod change_user;
mod greeting;
mod response;
#[cfg(test)]
mod tests;

pub use attributes::{ATTRIBUTES_LEN_MAX, Attributes};
pub use auth_packets::{AUTH_MORE_DATA, AUTH_SWITCH, AuthMoreData, AuthSwitchRequest, ServerAuth};
pub use change_user::ChangeUser;
pub use greeting::{Greeting, MARIADB_VERSION_PREFIX};
pub use response::{ClientHello, HandshakeResponse, SslRequest};
