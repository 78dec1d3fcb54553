//! Checked reads over the bytes of one packet payload.
//!
//! Every read names what it wanted and where, and no read can panic or allocate. Knows the basic
//! data types of the protocol and nothing of packets.
//!
//! Protocol pages: MySQL "Integer Types" and "String Types" (`page_protocol_basic_dt_integers`,
//! `page_protocol_basic_dt_strings`), MariaDB "Protocol Data Types".

use std::fmt;

/// A packet that does not say what its place in the protocol demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What should have stood there.
    pub expected: &'static str,
    /// Byte offset in the payload (in the stream's chunk for the scanner).
    pub at: usize,
}

impl Malformed {
    /// Says that `expected` was not found at byte `at`.
    pub const fn new(expected: &'static str, at: usize) -> Self {
        Self { expected, at }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl std::error::Error for Malformed {}

/// The first byte that stands for NULL where a length-encoded string of a text row would begin.
pub const NULL_CELL: u8 = 0xfb;

/// A position in a payload; reads move it forward, failed reads leave it where it was.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next byte, not consumed.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// An error at the present position.
    pub const fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed::new(expected, self.at)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        self.take(count, "more bytes")
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    /// `int<1>`.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>("a 1-byte integer").map(|[byte]| byte)
    }

    /// `int<2>`.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array("a 2-byte integer").map(u16::from_le_bytes)
    }

    /// `int<3>`.
    pub fn u24(&mut self) -> Result<u32, Malformed> {
        self.array("a 3-byte integer").map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// `int<4>`.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array("a 4-byte integer").map(u32::from_le_bytes)
    }

    /// `int<8>`.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array("an 8-byte integer").map(u64::from_le_bytes)
    }

    /// `int<lenenc>`. 0xfb (NULL) and 0xff (ERR) are errors here.
    pub fn lenenc_int(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let read = match self.u8()? {
            byte @ 0..=0xfa => Ok(byte as u64),
            0xfc => self.u16().map(u64::from),
            0xfd => self.u24().map(u64::from),
            0xfe => self.u64(),
            _ => Err(Malformed::new("a length-encoded integer", start)),
        };
        read.inspect_err(|_| self.at = start)
    }

    /// `string<lenenc>`.
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let len = self.lenenc_int()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.take(len, "as many bytes as the length says").inspect_err(|_| self.at = start)
    }

    /// A cell of a text row: NULL or `string<lenenc>`.
    pub fn lenenc_cell(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.peek() == Some(NULL_CELL) {
            self.at += 1;
            return Ok(None);
        }
        self.lenenc_bytes().map(Some)
    }

    /// `string<NUL>`, without its NUL.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = memchr::memchr(0, rest).ok_or(self.malformed("a NUL-terminated string"))?;
        self.at += len + 1;
        Ok(rest.get(..len).unwrap_or_default())
    }

    /// `string<NUL>` as the last field, where some clients leave the NUL out.
    pub fn nul_bytes_or_rest(&mut self) -> &'a [u8] {
        match self.nul_bytes() {
            Ok(bytes) => bytes,
            Err(_) => self.rest(),
        }
    }

    fn take(&mut self, count: usize, expected: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(self.malformed(expected))?;
        let taken = self.bytes.get(self.at..end).ok_or(self.malformed(expected))?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk::<N>().ok_or(self.malformed(expected))?;
        self.at += N;
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::encode::{put_lenenc_bytes, put_lenenc_int};

    #[test]
    fn reads_say_what_was_missing_and_where() {
        let mut cursor = Cursor::new(&[1, 2, 0]);
        assert_eq!(cursor.u16(), Ok(0x0201));
        assert_eq!(cursor.u32(), Err(Malformed::new("a 4-byte integer", 2)));
        assert_eq!(cursor.u8(), Ok(0), "a failed read leaves the position alone");
        assert_eq!(Cursor::new(&[0xfb]).lenenc_cell(), Ok(None));
        assert!(Cursor::new(&[0xfb]).lenenc_int().is_err());
        assert!(Cursor::new(&[0xff]).lenenc_int().is_err());
        assert_eq!(Cursor::new(b"ab").nul_bytes_or_rest(), b"ab");
    }

    proptest! {
        #[test]
        fn integers_and_strings_come_back(value: u64, text: Vec<u8>) {
            let mut out = Vec::new();
            put_lenenc_int(&mut out, value);
            put_lenenc_bytes(&mut out, &text);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.lenenc_int(), Ok(value));
            prop_assert_eq!(cursor.lenenc_bytes(), Ok(&text[..]));
            prop_assert!(cursor.is_empty());
            for end in 0..out.len() {
                let mut cut = Cursor::new(&out[..end]);
                prop_assert!(cut.lenenc_int().and_then(|_| cut.lenenc_bytes()).is_err());
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while !cursor.is_empty() {
                if cursor.lenenc_cell().is_err() && cursor.nul_bytes().is_err() {
                    break;
                }
            }
        }
    }
}
