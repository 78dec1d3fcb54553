//! Writes the protocol's basic data types at the end of a byte vector.
//!
//! The counterpart of [`super::cursor`]. Knows nothing of packets.

use super::cursor::NULL_CELL;

/// `int<2>`.
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `int<3>`; the top byte of `value` is dropped.
pub fn put_u24(out: &mut Vec<u8>, value: u32) {
    let [a, b, c, _] = value.to_le_bytes();
    out.extend_from_slice(&[a, b, c]);
}

/// `int<4>`.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `int<8>`.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `int<lenenc>`, in its shortest form.
pub fn put_lenenc_int(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0xfa => out.push(value as u8),
        0xfb..=0xffff => {
            out.push(0xfc);
            put_u16(out, value as u16);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            put_u24(out, value as u32);
        }
        _ => {
            out.push(0xfe);
            put_u64(out, value);
        }
    }
}

/// `string<lenenc>`.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cell of a text row: NULL or `string<lenenc>`.
pub fn put_lenenc_cell(out: &mut Vec<u8>, cell: Option<&[u8]>) {
    match cell {
        Some(bytes) => put_lenenc_bytes(out, bytes),
        None => out.push(NULL_CELL),
    }
}

/// `string<NUL>`. The text ends at its first NUL, so that it cannot end the field early.
pub fn put_nul_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    out.extend_from_slice(bytes.get(..end).unwrap_or_default());
    out.push(0);
}
