//! COM_CHANGE_USER: a login on a connection that exists.
//!
//! Protocol page: MySQL "COM_CHANGE_USER" (`page_protocol_com_change_user`), MariaDB page of the
//! same name. Answered like a handshake response, usually with an authentication switch.

use super::attributes::Attributes;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::{put_nul_bytes, put_u16};

/// Who the client wants to be now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// User name.
    pub user: &'a [u8],
    /// What the plugin made of password and the greeting's nonce.
    pub auth_data: &'a [u8],
    /// Database to begin with; empty for none.
    pub database: &'a [u8],
    /// Collation id; here the protocol has two bytes. `None` if not sent.
    pub collation: Option<u16>,
    /// The plugin that made `auth_data`; empty if not said.
    pub auth_plugin: &'a [u8],
    /// Connection attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> ChangeUser<'a> {
    /// Reads the command's payload, command byte included, from a client with `capabilities`.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != code::CHANGE_USER {
            return Err(Malformed::new("COM_CHANGE_USER", 0));
        }
        let user = cursor.nul_bytes()?;
        let auth_data = if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let len = usize::from(cursor.u8()?);
            cursor.bytes(len)?
        } else {
            cursor.nul_bytes()?
        };
        let database = cursor.nul_bytes_or_rest();
        let collation = if cursor.is_empty() { None } else { Some(cursor.u16()?) };
        let mut auth_plugin: &[u8] = &[];
        if capabilities.contains(Capabilities::PLUGIN_AUTH) && !cursor.is_empty() {
            auth_plugin = cursor.nul_bytes_or_rest();
        }
        let mut attributes = Attributes::default();
        if capabilities.contains(Capabilities::CONNECT_ATTRS) && !cursor.is_empty() {
            attributes = Attributes::read(&mut cursor)?;
        }
        Ok(Self { user, auth_data, database, collation, auth_plugin, attributes })
    }

    /// Appends the command's payload for a connection with `capabilities`, which must have
    /// SECURE_CONNECTION. Without a collation latin1's is written when more fields follow.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        let auth_data = self.auth_data.get(..255).unwrap_or(self.auth_data);
        out.push(code::CHANGE_USER);
        put_nul_bytes(out, self.user);
        out.push(auth_data.len() as u8);
        out.extend_from_slice(auth_data);
        put_nul_bytes(out, self.database);
        put_u16(out, self.collation.unwrap_or(DEFAULT_COLLATION));
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            put_nul_bytes(out, self.auth_plugin);
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            self.attributes.encode(out);
        }
    }
}

/// latin1_swedish_ci.
const DEFAULT_COLLATION: u16 = 8;
