//! Column definitions: what a result set says about each of its columns.
//!
//! Protocol pages: MySQL "Column Definition"
//! (`page_protocol_com_query_response_text_resultset_column_definition`), MariaDB "Result Set
//! Packets: column definition packet".

use super::capability::Capabilities;
use super::column_type::{ColumnFlags, ColumnType};
use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_u16, put_u32};

/// `Protocol::ColumnDefinition41`. Names are in the connection's result charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition<'a> {
    /// Database of the table.
    pub schema: &'a [u8],
    /// Table's alias.
    pub table: &'a [u8],
    /// Table's own name.
    pub org_table: &'a [u8],
    /// Column's alias: the name that a client sees.
    pub name: &'a [u8],
    /// Column's own name.
    pub org_name: &'a [u8],
    /// MariaDB's extended metadata, as sent; empty without MARIADB_EXTENDED_METADATA.
    pub extended: &'a [u8],
    /// Collation id; 63 is binary.
    pub collation: u16,
    /// Display width in bytes.
    pub length: u32,
    /// Type.
    pub kind: ColumnType,
    /// Flags.
    pub flags: ColumnFlags,
    /// Digits after the point; 0x1f where it does not matter.
    pub decimals: u8,
}

/// The only catalog there is.
const CATALOG: &[u8] = b"def";
/// Length of the fixed fields, as it stands before them.
const FIXED_LEN: u64 = 0x0c;

impl<'a> ColumnDefinition<'a> {
    /// A column that belongs to no table.
    pub const fn computed(name: &'a [u8], kind: ColumnType, collation: u16, length: u32) -> Self {
        Self {
            schema: &[],
            table: &[],
            org_table: &[],
            name,
            org_name: &[],
            extended: &[],
            collation,
            length,
            kind,
            flags: ColumnFlags::empty(),
            decimals: 0,
        }
    }

    /// Reads a column definition. Whatever follows the fixed fields (the default value in an answer
    /// to COM_FIELD_LIST) is ignored.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        cursor.lenenc_bytes()?;
        let schema = cursor.lenenc_bytes()?;
        let table = cursor.lenenc_bytes()?;
        let org_table = cursor.lenenc_bytes()?;
        let name = cursor.lenenc_bytes()?;
        let org_name = cursor.lenenc_bytes()?;
        let extended = if capabilities.contains(Capabilities::MARIADB_EXTENDED_METADATA) {
            cursor.lenenc_bytes()?
        } else {
            &[]
        };
        if cursor.lenenc_int()? < FIXED_LEN {
            return Err(cursor.malformed("twelve bytes of fixed fields"));
        }
        let collation = cursor.u16()?;
        let length = cursor.u32()?;
        let kind = ColumnType::from_code(cursor.u8()?);
        let flags = ColumnFlags::from_bits_retain(cursor.u16()?);
        let decimals = cursor.u8()?;
        cursor.bytes(2)?;
        Ok(Self {
            schema,
            table,
            org_table,
            name,
            org_name,
            extended,
            collation,
            length,
            kind,
            flags,
            decimals,
        })
    }

    /// Appends the definition's payload.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        put_lenenc_bytes(out, CATALOG);
        for text in [self.schema, self.table, self.org_table, self.name, self.org_name] {
            put_lenenc_bytes(out, text);
        }
        if capabilities.contains(Capabilities::MARIADB_EXTENDED_METADATA) {
            put_lenenc_bytes(out, self.extended);
        }
        out.push(FIXED_LEN as u8);
        put_u16(out, self.collation);
        put_u32(out, self.length);
        out.push(self.kind.code());
        put_u16(out, self.flags.bits());
        out.push(self.decimals);
        put_u16(out, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::recorded;

    #[test]
    fn recorded_columns_come_back() {
        // The second packet of each answer is the definition of column `id`.
        let cases = [
            (&recorded::SELECT_EOF[9..38], Capabilities::EMPTY),
            (&recorded::SELECT_DEPRECATE[9..39], Capabilities::MARIADB_EXTENDED_METADATA),
        ];
        for (payload, capabilities) in cases {
            let column = ColumnDefinition::parse(payload, capabilities).unwrap();
            assert_eq!(
                (column.schema, column.table, column.name),
                (&b"w"[..], &b"t"[..], &b"id"[..])
            );
            assert_eq!((column.kind, column.collation), (ColumnType::Long, 63));
            let key = ColumnFlags::PRIMARY_KEY.union(ColumnFlags::UNSIGNED);
            assert!(column.flags.contains(key.union(ColumnFlags::NOT_NULL)));
            let mut out = Vec::new();
            column.encode(&mut out, capabilities);
            assert_eq!(out, payload);
            for end in 0..payload.len() {
                assert!(ColumnDefinition::parse(&payload[..end], capabilities).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, bits: u64) {
            let _ = ColumnDefinition::parse(&bytes, Capabilities::from_bits_retain(bits));
        }
    }
}
