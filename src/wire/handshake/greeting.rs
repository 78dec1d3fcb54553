//! The greeting: the server's first packet.
//!
//! Protocol pages: MySQL "Protocol::HandshakeV10"
//! (`page_protocol_connection_phase_packets_protocol_handshake_v10`), MariaDB "Connection: initial
//! handshake packet".

use crate::wire::auth::{NONCE_LEN, Nonce};
use crate::wire::capability::Capabilities;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::{put_nul_bytes, put_u16, put_u32};
use crate::wire::status::StatusFlags;

/// MariaDB puts this before its version, so that old replicas take it for a MySQL 5.5.
pub const MARIADB_VERSION_PREFIX: &[u8] = b"5.5.5-";

const PROTOCOL_VERSION: u8 = 10;
/// The first part of the nonce, which has a place of its own for the sake of older clients.
const NONCE_FRONT: usize = 8;
/// The second part is at least this long, its closing NUL included.
const NONCE_BACK_MIN: usize = 13;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting<'a> {
    /// Version text as sent, prefix included; see [`Self::version`].
    pub server_version: &'a [u8],
    /// The server's id for this connection.
    pub connection_id: u32,
    /// Random bytes that the password is scrambled with.
    pub nonce: Nonce,
    /// What the server can do.
    pub capabilities: Capabilities,
    /// Low byte of the server's default collation id.
    pub collation: u8,
    /// Server status.
    pub status: StatusFlags,
    /// The authentication plugin that the nonce is for.
    pub auth_plugin: &'a [u8],
}

impl<'a> Greeting<'a> {
    /// Reads a greeting. A server that refuses at once sends an ERR packet instead; the caller
    /// looks at the first byte.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != PROTOCOL_VERSION {
            return Err(Malformed::new("protocol version 10", 0));
        }
        let server_version = cursor.nul_bytes()?;
        let connection_id = cursor.u32()?;
        let front = cursor.bytes(NONCE_FRONT)?;
        cursor.u8()?;
        let low = cursor.u16()?;
        let collation = cursor.u8()?;
        let status = StatusFlags::from_bits_retain(cursor.u16()?);
        let high = cursor.u16()?;
        let mysql = Capabilities::from_halves(u32::from(low) | u32::from(high) << 16, 0);
        let nonce_len = usize::from(cursor.u8()?);
        cursor.bytes(6)?;
        let extended = cursor.u32()?;
        // Only a server that does not claim to be MySQL's uses these bytes.
        let capabilities = if mysql.contains(Capabilities::LONG_PASSWORD) {
            mysql
        } else {
            Capabilities::from_halves(mysql.low(), extended)
        };
        let back = cursor.bytes(nonce_len.saturating_sub(NONCE_FRONT).max(NONCE_BACK_MIN))?;
        let nonce =
            Nonce::from_parts(front, back).ok_or(cursor.malformed("a nonce of 20 bytes"))?;
        let auth_plugin = if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            cursor.nul_bytes_or_rest()
        } else {
            &[]
        };
        Ok(Self {
            server_version,
            connection_id,
            nonce,
            capabilities,
            collation,
            status,
            auth_plugin,
        })
    }

    /// Appends the greeting's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (front, back) = self.nonce.bytes().split_at(NONCE_FRONT);
        let low = self.capabilities.low();
        out.push(PROTOCOL_VERSION);
        put_nul_bytes(out, self.server_version);
        put_u32(out, self.connection_id);
        out.extend_from_slice(front);
        out.push(0);
        put_u16(out, low as u16);
        out.push(self.collation);
        put_u16(out, self.status.bits());
        put_u16(out, (low >> 16) as u16);
        out.push(NONCE_LEN as u8 + 1);
        out.extend_from_slice(&[0; 6]);
        let mysql = self.capabilities.contains(Capabilities::LONG_PASSWORD);
        put_u32(out, if mysql { 0 } else { self.capabilities.extended() });
        out.extend_from_slice(back);
        out.push(0);
        if self.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            put_nul_bytes(out, self.auth_plugin);
        }
    }

    /// The version without MariaDB's prefix.
    pub fn version(&self) -> &'a [u8] {
        self.server_version.strip_prefix(MARIADB_VERSION_PREFIX).unwrap_or(self.server_version)
    }

    /// Whether the server calls itself MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.server_version.windows(7).any(|part| part.eq_ignore_ascii_case(b"mariadb"))
    }
}
