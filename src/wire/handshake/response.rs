//! The client's first packet: its response to the greeting, or a request for TLS.
//!
//! Protocol pages: MySQL "Protocol::HandshakeResponse41", "Protocol::SSLRequest", MariaDB
//! "Connection: handshake response packet". Protocol 3.20 clients are refused.

use super::attributes::Attributes;
use crate::wire::capability::Capabilities;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::{put_lenenc_bytes, put_nul_bytes, put_u32};

/// Bytes of filler that MySQL leaves unused; MariaDB has four more for extended capabilities.
const FILLER: usize = 19;
/// MySQL's `zstd_compression_level` where a client does not say.
const ZSTD_LEVEL: u8 = 3;

/// The front of a client's first packet, the same for both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SslRequest {
    /// What the client wants and can do.
    pub capabilities: Capabilities,
    /// The longest packet that the client will send; informative.
    pub max_packet: u32,
    /// Collation id. The protocol has one byte for it; a higher id must be set by SET NAMES.
    pub collation: u8,
}

impl SslRequest {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let low = Capabilities::from_halves(cursor.u32()?, 0);
        if !low.contains(Capabilities::PROTOCOL_41) {
            return Err(Malformed::new("a client of protocol 4.1", 0));
        }
        let max_packet = cursor.u32()?;
        let collation = cursor.u8()?;
        cursor.bytes(FILLER)?;
        let extended = cursor.u32()?;
        let capabilities = if low.contains(Capabilities::LONG_PASSWORD) {
            low
        } else {
            Capabilities::from_halves(low.low(), extended)
        };
        Ok(Self { capabilities, max_packet, collation })
    }

    /// Appends the packet's payload; [`Capabilities::SSL`] must be among the capabilities.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.capabilities.low());
        put_u32(out, self.max_packet);
        out.push(self.collation);
        out.extend_from_slice(&[0; FILLER]);
        let mysql = self.capabilities.contains(Capabilities::LONG_PASSWORD);
        put_u32(out, if mysql { 0 } else { self.capabilities.extended() });
    }
}

/// The two packets that a client may begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientHello<'a> {
    /// TLS first; the response follows inside it.
    SslRequest(SslRequest),
    /// The response.
    Response(HandshakeResponse<'a>),
}

impl<'a> ClientHello<'a> {
    /// Reads a client's first packet.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let front = SslRequest::read(&mut cursor)?;
        if front.capabilities.contains(Capabilities::SSL) && cursor.is_empty() {
            return Ok(Self::SslRequest(front));
        }
        HandshakeResponse::read(front, &mut cursor).map(Self::Response)
    }
}

/// Who a client is and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeResponse<'a> {
    /// What the client wants and can do.
    pub capabilities: Capabilities,
    /// The longest packet that the client will send; informative.
    pub max_packet: u32,
    /// Collation id. The protocol has one byte for it; a higher id must be set by SET NAMES.
    pub collation: u8,
    /// User name.
    pub user: &'a [u8],
    /// What the plugin made of password and nonce; empty without a password.
    pub auth_data: &'a [u8],
    /// Database to begin with; empty for none.
    pub database: &'a [u8],
    /// The plugin that made `auth_data`; empty if not said.
    pub auth_plugin: &'a [u8],
    /// Connection attributes.
    pub attributes: Attributes<'a>,
    /// The level of zstd compression that the client asks for; 0 if it does not.
    pub zstd_level: u8,
}

impl<'a> HandshakeResponse<'a> {
    /// Reads the response; inside TLS it is the whole packet once more.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let front = SslRequest::read(&mut cursor)?;
        Self::read(front, &mut cursor)
    }

    fn read(front: SslRequest, cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let SslRequest { capabilities, max_packet, collation } = front;
        let user = cursor.nul_bytes()?;
        let auth_data = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            cursor.lenenc_bytes()?
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let len = usize::from(cursor.u8()?);
            cursor.bytes(len)?
        } else {
            cursor.nul_bytes_or_rest()
        };
        // Some clients end the packet early although the flags promise more.
        let mut database: &[u8] = &[];
        if capabilities.contains(Capabilities::CONNECT_WITH_DB) && !cursor.is_empty() {
            database = cursor.nul_bytes_or_rest();
        }
        let mut auth_plugin: &[u8] = &[];
        if capabilities.contains(Capabilities::PLUGIN_AUTH) && !cursor.is_empty() {
            auth_plugin = cursor.nul_bytes_or_rest();
        }
        let mut attributes = Attributes::default();
        if capabilities.contains(Capabilities::CONNECT_ATTRS) && !cursor.is_empty() {
            attributes = Attributes::read(cursor)?;
        }
        let mut zstd_level = 0;
        if capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            zstd_level = if cursor.is_empty() { ZSTD_LEVEL } else { cursor.u8()? };
        }
        Ok(Self {
            capabilities,
            max_packet,
            collation,
            user,
            auth_data,
            database,
            auth_plugin,
            attributes,
            zstd_level,
        })
    }

    /// The TLS request that comes before this response.
    pub const fn ssl_request(&self) -> SslRequest {
        SslRequest {
            capabilities: self.capabilities.union(Capabilities::SSL),
            max_packet: self.max_packet,
            collation: self.collation,
        }
    }

    /// Appends the packet's payload; each field only where the capabilities announce it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { capabilities, max_packet, collation, .. } = *self;
        SslRequest { capabilities, max_packet, collation }.encode(out);
        put_nul_bytes(out, self.user);
        put_auth_data(out, self.auth_data, capabilities);
        if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
            put_nul_bytes(out, self.database);
        }
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            put_nul_bytes(out, self.auth_plugin);
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            self.attributes.encode(out);
        }
        if capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            out.push(self.zstd_level);
        }
    }
}

/// Appends authentication data the way `capabilities` say. Without a lenenc length it has at most
/// 255 bytes, which all plugins here keep to.
fn put_auth_data(out: &mut Vec<u8>, data: &[u8], capabilities: Capabilities) {
    if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        put_lenenc_bytes(out, data);
    } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let data = data.get(..255).unwrap_or(data);
        out.push(data.len() as u8);
        out.extend_from_slice(data);
    } else {
        put_nul_bytes(out, data);
    }
}
