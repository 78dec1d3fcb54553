//! The ERR packet.
//!
//! Protocol pages: MySQL "ERR_Packet" (`page_protocol_basic_err_packet`), MariaDB "ERR_Packet".
//! Which error it is says `crate::error`; this file only reads and writes its bytes.

use super::capability::Capabilities;
use super::cursor::{Cursor, Malformed};
use super::encode::put_u16;
use crate::error::SqlError;

/// First byte of an ERR packet.
pub const ERR: u8 = 0xff;

/// The number of an ERR packet that is no error: MariaDB tells how far a long statement is, if
/// [`Capabilities::MARIADB_PROGRESS`] was agreed on.
pub const PROGRESS: u16 = 0xffff;

/// An ERR packet as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    /// MySQL error number, or [`PROGRESS`].
    pub errno: u16,
    /// SQLSTATE; `HY000` where the packet has none.
    pub sqlstate: [u8; 5],
    /// Message in the connection's result charset.
    pub message: &'a [u8],
}

impl<'a> ErrPacket<'a> {
    /// Reads an ERR packet, with SQLSTATE or without it (as servers send it before they know the
    /// client's capabilities).
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != ERR {
            return Err(Malformed::new("an ERR packet", 0));
        }
        let errno = cursor.u16()?;
        let mut sqlstate = *b"HY000";
        if cursor.peek() == Some(b'#') {
            let marked = cursor.bytes(6).map_err(|_| cursor.malformed("an SQLSTATE"))?;
            if let Some(state) = marked.last_chunk::<5>() {
                sqlstate = *state;
            }
        }
        Ok(Self { errno, sqlstate, message: cursor.rest() })
    }

    /// Appends the packet's payload; the SQLSTATE only where the client speaks protocol 4.1.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        out.push(ERR);
        put_u16(out, self.errno);
        if capabilities.contains(Capabilities::PROTOCOL_41) {
            out.push(b'#');
            out.extend_from_slice(&self.sqlstate);
        }
        out.extend_from_slice(self.message);
    }
}

impl From<ErrPacket<'_>> for SqlError {
    fn from(packet: ErrPacket<'_>) -> Self {
        SqlError::from_server(packet.errno, packet.sqlstate, packet.message)
    }
}

impl<'a> From<&'a SqlError> for ErrPacket<'a> {
    fn from(error: &'a SqlError) -> Self {
        Self { errno: error.errno, sqlstate: error.sqlstate, message: &error.message }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `SELECT * FROM nix` without a database, MariaDB 10.11.19.
    const NO_DATABASE: &[u8] = b"\xff\x16\x04#3D000No database selected";

    #[test]
    fn a_recorded_error_goes_in_and_out() {
        let packet = ErrPacket::parse(NO_DATABASE).unwrap();
        assert_eq!(packet.errno, 1046);
        let error = SqlError::from(packet);
        assert_eq!(error.to_string(), "ERROR 1046 (3D000): No database selected");
        let mut out = Vec::new();
        ErrPacket::from(&error).encode(&mut out, Capabilities::PROTOCOL_41);
        assert_eq!(out, NO_DATABASE);
    }

    #[test]
    fn before_the_handshake_there_is_no_sqlstate() {
        let mut out = Vec::new();
        let packet = ErrPacket { errno: 1040, sqlstate: *b"HY000", message: b"Too many" };
        packet.encode(&mut out, Capabilities::EMPTY);
        assert_eq!(out, b"\xff\x10\x04Too many");
        assert_eq!(ErrPacket::parse(&out), Ok(packet));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = ErrPacket::parse(&bytes);
        }

        #[test]
        fn every_cut_is_read_or_refused(end in 0..NO_DATABASE.len()) {
            prop_assert_eq!(ErrPacket::parse(&NO_DATABASE[..end]).is_ok(), end == 3 || end >= 9);
        }
    }
}
