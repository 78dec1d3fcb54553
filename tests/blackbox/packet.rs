//! Reading and writing the pieces of MySQL packets for the test client.
//!
//! Written from the protocol pages, apart from the proxy's own `wire` module. It checks lengths and
//! gives an error where a packet is short; it is not meant to be fast.

use std::fmt::Write as _;
use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::client::Value;

/// A column definition, without the names of catalog and schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Name as the client sees it.
    pub(crate) name: String,
    /// Table alias.
    pub(crate) table: String,
    /// Protocol type number.
    pub(crate) kind: u8,
    /// Column flags (NOT NULL 1, PRI_KEY 2, UNIQUE 4, UNSIGNED 32, BINARY 128, ...).
    pub(crate) flags: u16,
    /// Digits after the point.
    pub(crate) decimals: u8,
    /// Collation number.
    pub(crate) charset: u16,
    /// Display length.
    pub(crate) length: u32,
}

impl Column {
    /// Reads a column definition packet.
    pub(crate) fn read(packet: &[u8]) -> io::Result<Self> {
        let mut reader = Reader::new(packet);
        reader.lenenc_bytes()?;
        reader.lenenc_bytes()?;
        let table = String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned();
        reader.lenenc_bytes()?;
        let name = String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned();
        reader.lenenc_bytes()?;
        reader.lenenc_int()?;
        let charset = reader.u16()?;
        let length = reader.u32()?;
        let kind = reader.u8()?;
        let flags = reader.u16()?;
        let decimals = reader.u8()?;
        Ok(Self { name, table, kind, flags, decimals, charset, length })
    }

    fn is_unsigned(&self) -> bool {
        self.flags & 32 != 0
    }
}

/// A cursor over one packet.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        if self.rest.len() < count {
            return Err(short());
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| short())
    }

    pub(crate) fn u8(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> io::Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Bytes up to a zero byte, which is dropped.
    pub(crate) fn until_zero(&mut self) -> io::Result<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Ok(bytes)
    }

    /// A length-encoded integer.
    pub(crate) fn lenenc_int(&mut self) -> io::Result<u64> {
        Ok(match self.u8()? {
            0xfc => u64::from(self.u16()?),
            0xfd => {
                let bytes = self.array::<3>()?;
                u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
            }
            0xfe => self.u64()?,
            small => u64::from(small),
        })
    }

    /// A length-encoded string.
    pub(crate) fn lenenc_bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.lenenc_int()?;
        self.take(usize::try_from(length).map_err(|_| short())?)
    }

    /// A row of the text protocol.
    pub(crate) fn text_row(&mut self, columns: usize) -> io::Result<Vec<Value>> {
        let mut row = Vec::with_capacity(columns);
        for _ in 0..columns {
            if self.rest.first() == Some(&0xfb) {
                self.take(1)?;
                row.push(None);
            } else {
                row.push(Some(self.lenenc_bytes()?.to_vec()));
            }
        }
        if self.rest.is_empty() { Ok(row) } else { Err(invalid("bytes left after a row")) }
    }

    /// A row of the binary protocol, each value turned into text.
    pub(crate) fn binary_row(&mut self, columns: &[Column]) -> io::Result<Vec<Value>> {
        if self.u8()? != 0 {
            return Err(invalid("a binary row that does not start with 0"));
        }
        let nulls = self.take((columns.len() + 9) / 8)?;
        let mut row = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let is_null = nulls[(at + 2) / 8] & (1 << ((at + 2) % 8)) != 0;
            row.push(if is_null { None } else { Some(self.binary_value(column)?) });
        }
        if self.rest.is_empty() { Ok(row) } else { Err(invalid("bytes left after a row")) }
    }

    fn binary_value(&mut self, column: &Column) -> io::Result<Vec<u8>> {
        let unsigned = column.is_unsigned();
        let text = match column.kind {
            1 => {
                let byte = self.u8()?;
                if unsigned { byte.to_string() } else { (byte as i8).to_string() }
            }
            2 | 13 => {
                let short = self.u16()?;
                if unsigned { short.to_string() } else { (short as i16).to_string() }
            }
            3 | 9 => {
                let long = self.u32()?;
                if unsigned { long.to_string() } else { (long as i32).to_string() }
            }
            8 => {
                let long = self.u64()?;
                if unsigned { long.to_string() } else { (long as i64).to_string() }
            }
            4 => f32::from_le_bytes(self.array()?).to_string(),
            5 => f64::from_le_bytes(self.array()?).to_string(),
            7 | 10 | 12 => self.binary_date()?,
            11 => self.binary_time()?,
            _ => return Ok(self.lenenc_bytes()?.to_vec()),
        };
        Ok(text.into_bytes())
    }

    fn binary_date(&mut self) -> io::Result<String> {
        let length = self.u8()?;
        let mut text = String::from("0000-00-00");
        if length >= 4 {
            text = format!("{:04}-{:02}-{:02}", self.u16()?, self.u8()?, self.u8()?);
        }
        if length >= 7 {
            let _ = write!(text, " {:02}:{:02}:{:02}", self.u8()?, self.u8()?, self.u8()?);
        }
        if length >= 11 {
            let _ = write!(text, ".{:06}", self.u32()?);
        }
        Ok(text)
    }

    fn binary_time(&mut self) -> io::Result<String> {
        let length = self.u8()?;
        if length == 0 {
            return Ok("00:00:00".into());
        }
        let sign = if self.u8()? == 1 { "-" } else { "" };
        let hours = self.u32()? * 24 + u32::from(self.u8()?);
        let mut text = format!("{sign}{hours:02}:{:02}:{:02}", self.u8()?, self.u8()?);
        if length >= 12 {
            let _ = write!(text, ".{:06}", self.u32()?);
        }
        Ok(text)
    }
}

/// Appends a length-encoded string.
pub(crate) fn lenenc(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=250 => out.push(length as u8),
        length @ 251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(length as u16).to_le_bytes());
        }
        length => {
            out.push(0xfe);
            out.extend_from_slice(&(length as u64).to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// `mysql_native_password`: SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))).
pub(crate) fn native_scramble(password: &str, scramble: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let algorithm = &SHA1_FOR_LEGACY_USE_ONLY;
    let once = digest(algorithm, password.as_bytes());
    let twice = digest(algorithm, once.as_ref());
    let mix = digest(algorithm, &[scramble, twice.as_ref()].concat());
    once.as_ref().iter().zip(mix.as_ref()).map(|(left, right)| left ^ right).collect()
}

/// `caching_sha2_password`: SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble).
pub(crate) fn sha2_scramble(password: &str, scramble: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = digest(&SHA256, password.as_bytes());
    let twice = digest(&SHA256, once.as_ref());
    let mix = digest(&SHA256, &[twice.as_ref(), scramble].concat());
    once.as_ref().iter().zip(mix.as_ref()).map(|(left, right)| left ^ right).collect()
}

fn short() -> io::Error {
    invalid("a packet that is too short")
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
