//! Rows of the binary protocol, as COM_STMT_EXECUTE and COM_STMT_FETCH answer them.
//!
//! Protocol page: MySQL "Binary Protocol Resultset Row" (`page_protocol_binary_resultset`), MariaDB
//! "Result Set Packets: binary row".

use std::ops::Range;

use super::binary_value::{BinaryType, decode, take_raw};
use super::column_type::ColumnType;
use super::cursor::{Cursor, Malformed};
use crate::sql::value::Value;

/// First byte of a binary row.
pub const BINARY_ROW: u8 = 0x00;

/// The NULL bitmap of a row leaves its first two bits unused.
const NULL_OFFSET: usize = 2;

/// Where the values of a row are: one raw byte range a column, `None` for NULL.
///
/// `cells` is cleared first and reused, so that a result set needs one allocation.
pub fn locate_cells(
    payload: &[u8],
    kinds: impl ExactSizeIterator<Item = ColumnType>,
    cells: &mut Vec<Option<Range<usize>>>,
) -> Result<(), Malformed> {
    cells.clear();
    let mut cursor = Cursor::new(payload);
    if cursor.u8()? != BINARY_ROW {
        return Err(Malformed::new("a binary row", 0));
    }
    let bitmap = cursor.bytes((kinds.len() + NULL_OFFSET).div_ceil(8))?;
    for (column, kind) in kinds.enumerate() {
        if bit(bitmap, column + NULL_OFFSET) {
            cells.push(None);
            continue;
        }
        let start = cursor.position();
        take_raw(&mut cursor, kind)?;
        cells.push(Some(start..cursor.position()));
    }
    if !cursor.is_empty() {
        return Err(cursor.malformed("the end of the row"));
    }
    Ok(())
}

/// The value of a cell that [`locate_cells`] found in `payload`.
pub fn cell_value<'a>(
    payload: &'a [u8],
    of: BinaryType,
    cell: Option<&Range<usize>>,
) -> Result<Value<'a>, Malformed> {
    match cell {
        None => Ok(Value::Null),
        Some(range) => {
            let raw = payload.get(range.clone()).ok_or(Malformed::new("a cell", range.start))?;
            decode(of, raw)
        }
    }
}

/// Appends a row's payload from raw values, `None` for NULL.
pub fn put_binary_row<'a>(
    out: &mut Vec<u8>,
    cells: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) {
    out.push(BINARY_ROW);
    let bitmap = out.len();
    out.resize(bitmap + (cells.len() + NULL_OFFSET).div_ceil(8), 0);
    for (column, cell) in cells.enumerate() {
        match cell {
            Some(raw) => out.extend_from_slice(raw),
            None => set_bit(out, bitmap, column + NULL_OFFSET),
        }
    }
}

/// Whether bit `index` of a bitmap is set; bits beyond its end are not.
pub(super) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Sets bit `index` of the bitmap that starts at byte `start` of `out`.
pub(super) fn set_bit(out: &mut [u8], start: usize, index: usize) {
    if let Some(byte) = out.get_mut(start + index / 8) {
        *byte |= 1 << (index % 8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::encode::put_lenenc_bytes;

    proptest! {
        #[test]
        fn rows_come_back(texts: Vec<Option<Vec<u8>>>) {
            let raws: Vec<_> = texts.iter().map(|text| text.as_ref().map(|text| {
                let mut raw = Vec::new();
                put_lenenc_bytes(&mut raw, text);
                raw
            })).collect();
            let mut out = Vec::new();
            put_binary_row(&mut out, raws.iter().map(Option::as_deref));
            let kinds = || vec![ColumnType::VarString; texts.len()].into_iter();
            let mut cells = Vec::new();
            locate_cells(&out, kinds(), &mut cells).unwrap();
            let of = BinaryType::signed(ColumnType::VarString);
            for (cell, text) in cells.iter().zip(&texts) {
                let value = cell_value(&out, of, cell.as_ref()).unwrap();
                match text {
                    Some(text) => prop_assert_eq!(value, Value::Text(text.as_slice().into())),
                    None => prop_assert_eq!(value, Value::Null),
                }
            }
            for end in 0..out.len() {
                prop_assert!(locate_cells(&out[..end], kinds(), &mut cells).is_err());
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, codes: Vec<u8>) {
            let kinds: Vec<_> = codes.into_iter().map(ColumnType::from_code).collect();
            let _ = locate_cells(&bytes, kinds.into_iter(), &mut Vec::new());
        }
    }
}
