//! Packets between the response and the OK that ends the connection phase.
//!
//! Protocol pages: MySQL "Protocol::AuthSwitchRequest", "Protocol::AuthMoreData", MariaDB
//! "Connection: authentication switch request". The client's answers are bare bytes.

use crate::wire::auth::Nonce;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::put_nul_bytes;
use crate::wire::err::{ERR, ErrPacket};
use crate::wire::ok::OK;

/// First byte of an AuthSwitchRequest.
pub const AUTH_SWITCH: u8 = 0xfe;
/// First byte of an AuthMoreData.
pub const AUTH_MORE_DATA: u8 = 0x01;

/// The server asks for another plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSwitchRequest<'a> {
    /// Plugin name; empty is the request of protocol 4.0 for an old password hash.
    pub plugin: &'a [u8],
    /// The plugin's data as sent: a nonce and a NUL for the plugins that this proxy knows.
    pub data: &'a [u8],
}

impl<'a> AuthSwitchRequest<'a> {
    /// Reads the packet.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != AUTH_SWITCH {
            return Err(Malformed::new("an authentication switch request", 0));
        }
        let plugin = if cursor.is_empty() { &[][..] } else { cursor.nul_bytes()? };
        Ok(Self { plugin, data: cursor.rest() })
    }

    /// The nonce in the plugin's data.
    pub fn nonce(&self) -> Result<Nonce, Malformed> {
        Nonce::from_parts(self.data, &[])
            .ok_or(Malformed::new("a nonce of 20 bytes", self.plugin.len() + 2))
    }

    /// Appends the payload of a request for `plugin` with a nonce.
    pub fn encode(out: &mut Vec<u8>, plugin: &[u8], nonce: &Nonce) {
        out.push(AUTH_SWITCH);
        put_nul_bytes(out, plugin);
        out.extend_from_slice(nonce.bytes());
        out.push(0);
    }
}

/// More data for the plugin, such as caching_sha2_password's verdict or public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthMoreData<'a>(pub &'a [u8]);

impl<'a> AuthMoreData<'a> {
    /// Reads the packet.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != AUTH_MORE_DATA {
            return Err(Malformed::new("more authentication data", 0));
        }
        Ok(Self(cursor.rest()))
    }

    /// Appends the packet's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(AUTH_MORE_DATA);
        out.extend_from_slice(self.0);
    }
}

/// What a server may answer while a client logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAuth<'a> {
    /// Logged in; the payload of the OK packet.
    Ok(&'a [u8]),
    /// Refused.
    Err(ErrPacket<'a>),
    /// Another plugin is asked for.
    Switch(AuthSwitchRequest<'a>),
    /// More data for the present plugin.
    MoreData(AuthMoreData<'a>),
}

impl<'a> ServerAuth<'a> {
    /// Reads a server's packet in the connection phase, or after COM_CHANGE_USER.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        match payload.first() {
            Some(&OK) => Ok(Self::Ok(payload)),
            Some(&ERR) => ErrPacket::parse(payload).map(Self::Err),
            Some(&AUTH_SWITCH) => AuthSwitchRequest::parse(payload).map(Self::Switch),
            Some(&AUTH_MORE_DATA) => AuthMoreData::parse(payload).map(Self::MoreData),
            _ => Err(Malformed::new("an authentication packet", 0)),
        }
    }
}
