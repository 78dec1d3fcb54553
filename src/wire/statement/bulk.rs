//! COM_STMT_BULK_EXECUTE: a prepared statement with many rows of parameters.
//!
//! The rows are not read here. As in an execution the types may be left out when they are those of
//! the execution before.
//!
//! Protocol page: MariaDB "COM_STMT_BULK_EXECUTE".

use super::{Param, ParamPlace, Sign, TypesCarried, UNSIGNED};
use crate::wire::binary_value::BinaryType;
use crate::wire::column_type::ColumnType;
use crate::wire::command::code;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::{put_u16, put_u32};

/// `flags`: the types of the parameters follow.
const SEND_TYPES: u16 = 128;

/// The front of a bulk execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkExecute {
    /// Statement id; 0xffffffff is the last one prepared.
    pub statement_id: u32,
    flags: u16,
    /// Where the rows begin in the payload.
    rows_at: usize,
}

impl BulkExecute {
    /// Reads the statement's id, which is enough to find it.
    pub fn statement_id(payload: &[u8]) -> Result<u32, Malformed> {
        let mut cursor = Cursor::new(payload);
        cursor.u8()?;
        cursor.u32()
    }

    /// Reads the front of a payload for a statement of `count` parameters. Their types go into
    /// `params`, which on entry holds those of the execution before.
    pub fn parse(payload: &[u8], count: u16, params: &mut Vec<Param>) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != code::STMT_BULK_EXECUTE {
            return Err(Malformed::new("COM_STMT_BULK_EXECUTE", 0));
        }
        let statement_id = cursor.u32()?;
        let flags = cursor.u16()?;
        if flags & SEND_TYPES != 0 {
            params.clear();
            for _ in 0..count {
                let kind = ColumnType::from_code(cursor.u8()?);
                let unsigned = cursor.u8()? & UNSIGNED != 0;
                let sign = if unsigned { Sign::Unsigned } else { Sign::Signed };
                params.push(Param { of: BinaryType { kind, sign }, place: ParamPlace::Null });
            }
        } else if params.len() != usize::from(count) {
            return Err(cursor.malformed("parameter types, which no execution brought yet"));
        }
        Ok(Self { statement_id, flags, rows_at: cursor.position() })
    }

    /// Whether the payload itself carries the types.
    pub const fn types(&self) -> TypesCarried {
        if self.flags & SEND_TYPES != 0 { TypesCarried::Yes } else { TypesCarried::Remembered }
    }

    /// Appends the same execution for another statement id, with types.
    pub fn encode(&self, out: &mut Vec<u8>, statement_id: u32, payload: &[u8], params: &[Param]) {
        out.push(code::STMT_BULK_EXECUTE);
        put_u32(out, statement_id);
        put_u16(out, self.flags | SEND_TYPES);
        for param in params {
            out.push(param.of.kind.code());
            out.push(if param.of.sign == Sign::Unsigned { UNSIGNED } else { 0 });
        }
        out.extend_from_slice(payload.get(self.rows_at..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_put_in_where_they_are_missing() {
        let first = b"\xfa\x01\0\0\0\x80\0\x03\x80\xfd\0rows";
        let mut params = Vec::new();
        let bulk = BulkExecute::parse(first, 2, &mut params).unwrap();
        assert_eq!((bulk.types(), params.len()), (TypesCarried::Yes, 2));
        let again = b"\xfa\x01\0\0\0\0\0more";
        assert!(BulkExecute::parse(again, 2, &mut Vec::new()).is_err());
        let bulk = BulkExecute::parse(again, 2, &mut params).unwrap();
        assert_eq!(bulk.types(), TypesCarried::Remembered);
        let mut out = Vec::new();
        bulk.encode(&mut out, 9, again, &params);
        assert_eq!(out, b"\xfa\x09\0\0\0\x80\0\x03\x80\xfd\0more");
    }
}
