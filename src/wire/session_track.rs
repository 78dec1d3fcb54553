//! Session state changes at the end of an OK packet.
//!
//! Protocol pages: MySQL "OK_Packet: session state information"
//! (`page_protocol_basic_ok_packet_sessinfo`), MariaDB "OK_Packet: session state info". MySQL sends
//! GTIDs as entry 3, MariaDB as the system variable `last_gtid`.

use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_lenenc_int};

/// One change of the session's state on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange<'a> {
    /// SESSION_TRACK_SYSTEM_VARIABLES: a variable has a new value.
    SystemVariable {
        /// Variable name.
        name: &'a [u8],
        /// Its value as text.
        value: &'a [u8],
    },
    /// SESSION_TRACK_SCHEMA: the current database.
    Schema(&'a [u8]),
    /// SESSION_TRACK_STATE_CHANGE: `1` when some state changed.
    State(&'a [u8]),
    /// SESSION_TRACK_GTIDS: MySQL's GTID set of this statement or transaction.
    Gtids(&'a [u8]),
    /// SESSION_TRACK_TRANSACTION_CHARACTERISTICS: SQL that starts the same transaction.
    TransactionCharacteristics(&'a [u8]),
    /// SESSION_TRACK_TRANSACTION_STATE: eight letters.
    TransactionState(&'a [u8]),
    /// An entry of a kind that this proxy does not know.
    Unknown {
        /// Entry type.
        kind: u8,
        /// Its data.
        data: &'a [u8],
    },
}

/// Reads the entries one after the other; ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct SessionChanges<'a> {
    entries: Cursor<'a>,
    /// Name and value pairs of a system variable entry; MariaDB may put several into one.
    variables: Cursor<'a>,
}

impl<'a> SessionChanges<'a> {
    /// The entries of `session_state` (without the length before the first).
    pub const fn new(session_state: &'a [u8]) -> Self {
        Self { entries: Cursor::new(session_state), variables: Cursor::new(&[]) }
    }

    fn read(&mut self) -> Result<SessionChange<'a>, Malformed> {
        if self.variables.is_empty() {
            let kind = self.entries.u8()?;
            let data = self.entries.lenenc_bytes()?;
            let mut cursor = Cursor::new(data);
            return Ok(match kind {
                0 => {
                    self.variables = cursor;
                    return self.variable();
                }
                1 => SessionChange::Schema(cursor.lenenc_bytes()?),
                // MySQL puts a length before the one character, MariaDB does not.
                2 => match cursor.lenenc_bytes() {
                    Ok(state) if cursor.is_empty() => SessionChange::State(state),
                    _ => SessionChange::State(data),
                },
                3 => {
                    // The first byte names the encoding; 0, a set as text, is the only one.
                    if cursor.u8()? != 0 {
                        return Ok(SessionChange::Unknown { kind, data });
                    }
                    SessionChange::Gtids(cursor.lenenc_bytes()?)
                }
                4 => SessionChange::TransactionCharacteristics(cursor.lenenc_bytes()?),
                5 => SessionChange::TransactionState(cursor.lenenc_bytes()?),
                _ => SessionChange::Unknown { kind, data },
            });
        }
        self.variable()
    }

    fn variable(&mut self) -> Result<SessionChange<'a>, Malformed> {
        let name = self.variables.lenenc_bytes()?;
        let value = self.variables.lenenc_bytes()?;
        Ok(SessionChange::SystemVariable { name, value })
    }
}

impl<'a> Iterator for SessionChanges<'a> {
    type Item = Result<SessionChange<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.entries.is_empty() && self.variables.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            *self = Self::new(&[]);
        }
        Some(read)
    }
}

impl SessionChange<'_> {
    /// Appends the entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let kind = match *self {
            Self::SystemVariable { name, value } => {
                put_lenenc_bytes(&mut data, name);
                put_lenenc_bytes(&mut data, value);
                0
            }
            Self::Schema(text) => text_entry(&mut data, 1, text),
            Self::State(text) => text_entry(&mut data, 2, text),
            Self::Gtids(text) => {
                data.push(0);
                text_entry(&mut data, 3, text)
            }
            Self::TransactionCharacteristics(text) => text_entry(&mut data, 4, text),
            Self::TransactionState(text) => text_entry(&mut data, 5, text),
            Self::Unknown { kind, data: unknown } => {
                data.extend_from_slice(unknown);
                kind
            }
        };
        put_lenenc_int(out, kind as u64);
        put_lenenc_bytes(out, &data);
    }
}

fn text_entry(data: &mut Vec<u8>, kind: u8, text: &[u8]) -> u8 {
    put_lenenc_bytes(data, text);
    kind
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_come_back() {
        let changes = [
            SessionChange::SystemVariable { name: b"last_gtid", value: b"1-1-23" },
            SessionChange::Schema(b"shop"),
            SessionChange::State(b"1"),
            SessionChange::Gtids(b"3E11FA47-71CA-11E1-9E33-C80AA9429562:1"),
            SessionChange::TransactionCharacteristics(b"START TRANSACTION;"),
            SessionChange::TransactionState(b"T_______"),
            SessionChange::Unknown { kind: 9, data: b"?" },
        ];
        let mut out = Vec::new();
        for change in changes {
            change.encode(&mut out);
        }
        let read: Result<Vec<_>, _> = SessionChanges::new(&out).collect();
        assert_eq!(read.unwrap(), changes);
    }

    #[test]
    fn several_variables_may_share_an_entry() {
        let changes: Vec<_> = SessionChanges::new(b"\x00\x08\x01a\x01b\x01c\x01d").collect();
        assert_eq!(changes.len(), 2);
        assert!(changes.iter().all(Result::is_ok));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_end(bytes: Vec<u8>) {
            prop_assert!(SessionChanges::new(&bytes).count() <= bytes.len());
        }
    }
}
