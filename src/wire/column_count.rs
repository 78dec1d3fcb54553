//! The first packet of a result set: how many columns it has, and whether they are described.
//!
//! Where OPTIONAL_RESULTSET_METADATA is agreed on, a session's `resultset_metadata` decides whether
//! column definitions follow, and a byte *behind* the count says so, as does the last byte of the
//! answer to COM_STMT_PREPARE. EOF packets behind definitions come all the same.
//!
//! Protocol page: MySQL "Text Resultset" (`page_protocol_com_query_response_text_resultset`), which
//! has the byte in front of the count; servers write it and client libraries read it behind.

use super::capability::Capabilities;
use super::cursor::{Cursor, Malformed};
use super::encode::put_lenenc_int;

/// Whether a result's columns are described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Definitions {
    /// A definition of each column comes with it.
    #[default]
    Sent,
    /// The client knows the columns already.
    LeftOut,
}

impl Definitions {
    /// Reads the byte, which stands only where it was agreed on.
    pub(super) fn take(
        cursor: &mut Cursor<'_>,
        capabilities: Capabilities,
    ) -> Result<Self, Malformed> {
        if !capabilities.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            return Ok(Self::Sent);
        }
        match cursor.u8()? {
            0 => Ok(Self::LeftOut),
            1 => Ok(Self::Sent),
            _ => Err(cursor.malformed("whether metadata follows")),
        }
    }

    /// Appends the byte where it was agreed on.
    pub(super) fn put(self, out: &mut Vec<u8>, capabilities: Capabilities) {
        if capabilities.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            out.push(u8::from(self == Self::Sent));
        }
    }
}

/// The first packet of a result set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnCount {
    /// Columns; at least one. A server that sends rows without a table of its own in between gives
    /// more than the 4096 that a table may have, and more than 16 bits hold.
    pub columns: u32,
    /// Whether that many definitions follow.
    pub definitions: Definitions,
}

impl ColumnCount {
    /// Reads the packet.
    pub fn parse(payload: &[u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let columns = u32::try_from(cursor.lenenc_int()?).ok().filter(|&columns| columns > 0);
        let columns = columns.ok_or(Malformed::new("a column count", 0))?;
        let definitions = Definitions::take(&mut cursor, capabilities)?;
        if !cursor.is_empty() {
            return Err(cursor.malformed("nothing after the column count"));
        }
        Ok(Self { columns, definitions })
    }

    /// How many definitions follow.
    pub fn described(self) -> u32 {
        match self.definitions {
            Definitions::Sent => self.columns,
            Definitions::LeftOut => 0,
        }
    }

    /// Appends the packet's payload for `columns` columns, of which there may be none in an answer
    /// that has no rows either.
    pub fn put(
        out: &mut Vec<u8>,
        columns: usize,
        definitions: Definitions,
        capabilities: Capabilities,
    ) {
        put_lenenc_int(out, columns as u64);
        definitions.put(out, capabilities);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONAL: Capabilities = Capabilities::OPTIONAL_RESULTSET_METADATA;

    /// As MySQL 9.7 writes them.
    #[test]
    fn the_byte_stands_behind_the_count() {
        let read = |payload: &[u8], capabilities| {
            ColumnCount::parse(payload, capabilities)
                .map(|count| (count.columns, count.described()))
        };
        assert_eq!(read(b"\x02", Capabilities::EMPTY), Ok((2, 2)));
        assert_eq!(read(b"\x02\x01", OPTIONAL), Ok((2, 2)));
        assert_eq!(read(b"\x02\0", OPTIONAL), Ok((2, 0)));
        assert_eq!(read(b"\xfc\x2c\x01\0", OPTIONAL), Ok((300, 0)));
        for wrong in [&b"\0\x01"[..], b"\x02", b"\x02\x02", b"\x02\x01\x01", b"\xfb\x01", b""] {
            assert!(read(wrong, OPTIONAL).is_err(), "{wrong:?}");
        }
        assert!(read(b"\x02\x01", Capabilities::EMPTY).is_err());
    }

    #[test]
    fn what_is_written_can_be_read() {
        for capabilities in [OPTIONAL, Capabilities::EMPTY] {
            for columns in [1, 250, 251, 4096, 65_535, 65_536, 16 << 20] {
                let mut out = Vec::new();
                ColumnCount::put(&mut out, columns, Definitions::Sent, capabilities);
                let count = ColumnCount::parse(&out, capabilities).unwrap();
                assert_eq!(count.described() as usize, columns);
            }
        }
        let mut out = Vec::new();
        ColumnCount::put(&mut out, 7, Definitions::LeftOut, OPTIONAL);
        assert_eq!(ColumnCount::parse(&out, OPTIONAL).unwrap().described(), 0);
    }
}
