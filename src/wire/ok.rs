//! OK and EOF packets: the end of a statement or of a result set.
//!
//! Protocol pages: MySQL "OK_Packet" and "EOF_Packet" (`page_protocol_basic_ok_packet`,
//! `page_protocol_basic_eof_packet`), MariaDB "OK_Packet", "EOF_Packet". With
//! [`Capabilities::DEPRECATE_EOF`] an OK packet whose first byte is 0xfe ends a result set.

use super::capability::Capabilities;
use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_lenenc_int, put_u16};
use super::session_track::SessionChanges;
use super::status::StatusFlags;

/// First byte of an OK packet.
pub const OK: u8 = 0x00;
/// First byte of an EOF packet, and of an OK packet that ends a result set.
pub const EOF: u8 = 0xfe;
/// An EOF packet is shorter than this; anything longer that starts with 0xfe is something else.
pub const EOF_LEN_MAX: usize = 8;

/// An OK packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OkPacket<'a> {
    /// Rows that the statement changed (or found, with FOUND_ROWS).
    pub affected_rows: u64,
    /// First AUTO_INCREMENT value that the statement made.
    pub last_insert_id: u64,
    /// Server status.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Human-readable text (`Rows matched: 1  Changed: 1 ...`).
    pub info: &'a [u8],
    /// Session state changes, as [`SessionChanges`] reads them.
    pub session_state: &'a [u8],
}

/// The first byte that an OK packet is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OkHeader {
    /// 0x00: the whole answer to a statement.
    Statement,
    /// 0xfe: the end of a result set (DEPRECATE_EOF only).
    ResultSet,
}

impl<'a> OkPacket<'a> {
    /// Reads an OK packet that came on a connection with `capabilities`, with either first byte.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if !matches!(cursor.u8()?, OK | EOF) {
            return Err(Malformed::new("an OK packet", 0));
        }
        let affected_rows = cursor.lenenc_int()?;
        let last_insert_id = cursor.lenenc_int()?;
        let status = StatusFlags::from_bits_retain(cursor.u16()?);
        let warnings = cursor.u16()?;
        let mut packet =
            Self { affected_rows, last_insert_id, status, warnings, info: &[], session_state: &[] };
        if !capabilities.contains(Capabilities::SESSION_TRACK) {
            // The protocol pages say that the info takes the rest of the packet; both servers
            // put its length before it.
            let rest = cursor.rest();
            let mut counted = Cursor::new(rest);
            packet.info = match counted.lenenc_bytes() {
                Ok(info) if counted.is_empty() => info,
                _ => rest,
            };
        } else if !cursor.is_empty() {
            // Both servers leave the info out when it is empty and no state follows.
            packet.info = cursor.lenenc_bytes()?;
            if status.contains(StatusFlags::SESSION_STATE_CHANGED) && !cursor.is_empty() {
                packet.session_state = cursor.lenenc_bytes()?;
            }
        }
        Ok(packet)
    }

    /// The session state changes, one by one.
    pub fn session_changes(&self) -> SessionChanges<'a> {
        SessionChanges::new(self.session_state)
    }

    /// Appends the packet as a client with `capabilities` expects it: session state only where it
    /// is tracked, and the status flag agrees with what is written.
    pub fn encode(&self, out: &mut Vec<u8>, header: OkHeader, capabilities: Capabilities) {
        let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
        let mut status = self.status;
        status.remove(StatusFlags::SESSION_STATE_CHANGED);
        if tracks && !self.session_state.is_empty() {
            status.insert(StatusFlags::SESSION_STATE_CHANGED);
        }
        out.push(match header {
            OkHeader::Statement => OK,
            OkHeader::ResultSet => EOF,
        });
        put_lenenc_int(out, self.affected_rows);
        put_lenenc_int(out, self.last_insert_id);
        put_u16(out, status.bits());
        put_u16(out, self.warnings);
        if !tracks {
            if !self.info.is_empty() {
                put_lenenc_bytes(out, self.info);
            }
        } else if !self.info.is_empty() || !self.session_state.is_empty() {
            put_lenenc_bytes(out, self.info);
            if !self.session_state.is_empty() {
                put_lenenc_bytes(out, self.session_state);
            }
        }
    }

    /// Appends the packet that ends a result set for a client with `capabilities`: an OK packet
    /// with header 0xfe, or an EOF packet.
    pub fn encode_result_end(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        if capabilities.contains(Capabilities::DEPRECATE_EOF) {
            self.encode(out, OkHeader::ResultSet, capabilities);
        } else {
            EofPacket { warnings: self.warnings, status: self.status }.encode(out);
        }
    }

    /// Reads the packet that ends a result set: OK with header 0xfe, or EOF.
    pub fn parse_result_end(
        payload: &'a [u8],
        capabilities: Capabilities,
    ) -> Result<Self, Malformed> {
        if payload.first() != Some(&EOF) {
            return Err(Malformed::new("the end of a result set", 0));
        }
        if capabilities.contains(Capabilities::DEPRECATE_EOF) {
            return Self::parse(payload, capabilities);
        }
        let EofPacket { warnings, status } = EofPacket::parse(payload)?;
        Ok(Self { status, warnings, ..Self::default() })
    }
}

/// An EOF packet, for peers without DEPRECATE_EOF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EofPacket {
    /// Number of warnings.
    pub warnings: u16,
    /// Server status.
    pub status: StatusFlags,
}

impl EofPacket {
    /// Reads an EOF packet.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != EOF || payload.len() > EOF_LEN_MAX {
            return Err(Malformed::new("an EOF packet", 0));
        }
        let warnings = cursor.u16()?;
        let status = StatusFlags::from_bits_retain(cursor.u16()?);
        Ok(Self { warnings, status })
    }

    /// Appends the packet's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(EOF);
        put_u16(out, self.warnings);
        // An EOF packet has no room for session state.
        let mut status = self.status;
        status.remove(StatusFlags::SESSION_STATE_CHANGED);
        put_u16(out, status.bits());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::packet::HEADER_LEN;
    use crate::wire::recorded;
    use crate::wire::session_track::SessionChange;

    /// An autocommit INSERT with `last_gtid` tracked.
    const INSERT: &[u8] = recorded::INSERT_TRACK.split_at(HEADER_LEN).1;

    #[test]
    fn a_recorded_insert_tells_its_gtid() {
        let ok = OkPacket::parse(INSERT, Capabilities::SESSION_TRACK).unwrap();
        assert_eq!(ok.affected_rows, 1);
        assert!(ok.status.contains(StatusFlags::AUTOCOMMIT | StatusFlags::SESSION_STATE_CHANGED));
        let gtid = SessionChange::SystemVariable { name: b"last_gtid", value: b"0-1-7" };
        assert_eq!(ok.session_changes().collect::<Vec<_>>(), [Ok(gtid)]);
        let mut out = Vec::new();
        ok.encode(&mut out, OkHeader::Statement, Capabilities::SESSION_TRACK);
        assert_eq!(out, INSERT);
    }

    #[test]
    fn recorded_packets_come_back() {
        let recorded = [
            (recorded::OK_TRACK, 1),
            (recorded::BEGIN, 2),
            (recorded::UPDATE, 1),
            (recorded::COMMIT, 3),
        ];
        for (bytes, changes) in recorded {
            let payload = &bytes[HEADER_LEN..];
            let ok = OkPacket::parse(payload, Capabilities::SESSION_TRACK).unwrap();
            assert_eq!(ok.session_changes().flatten().count(), changes);
            let mut out = Vec::new();
            ok.encode(&mut out, OkHeader::Statement, Capabilities::SESSION_TRACK);
            assert_eq!(out, payload);
        }
    }

    #[test]
    fn a_client_that_does_not_track_gets_no_state() {
        let ok = OkPacket::parse(INSERT, Capabilities::SESSION_TRACK).unwrap();
        let mut out = Vec::new();
        ok.encode(&mut out, OkHeader::Statement, Capabilities::EMPTY);
        assert_eq!(out, b"\x00\x01\x03\x02\x00\x00\x00");
    }

    #[test]
    fn result_ends_in_both_forms() {
        let ok = OkPacket { warnings: 3, status: StatusFlags::IN_TRANS, ..OkPacket::default() };
        for capabilities in [Capabilities::DEPRECATE_EOF, Capabilities::EMPTY] {
            let mut out = Vec::new();
            ok.encode_result_end(&mut out, capabilities);
            assert_eq!(out.first(), Some(&EOF));
            assert_eq!(OkPacket::parse_result_end(&out, capabilities), Ok(ok));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, bits: u64) {
            let capabilities = Capabilities::from_bits_retain(bits);
            if let Ok(ok) = OkPacket::parse(&bytes, capabilities) {
                let _ = ok.session_changes().count();
            }
            let _ = OkPacket::parse_result_end(&bytes, capabilities);
            let _ = EofPacket::parse(&bytes);
        }

        #[test]
        fn packets_come_back(
            affected_rows: u64, last_insert_id: u64, warnings: u16, info: Vec<u8>, tracks: bool,
        ) {
            let capabilities =
                if tracks { Capabilities::SESSION_TRACK } else { Capabilities::EMPTY };
            let ok = OkPacket {
                affected_rows, last_insert_id, warnings, info: &info, ..OkPacket::default()
            };
            let mut out = Vec::new();
            ok.encode(&mut out, OkHeader::Statement, capabilities);
            prop_assert_eq!(OkPacket::parse(&out, capabilities), Ok(ok));
        }
    }
}
