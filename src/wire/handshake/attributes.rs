//! Connection attributes: names and values by which a client says what it is.
//!
//! Protocol page: MySQL "Connection Attributes", part of "HandshakeResponse41".

use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::encode::{put_lenenc_bytes, put_lenenc_int};

/// Bytes of attributes that are accepted, as in MySQL (65,535).
pub const ATTRIBUTES_LEN_MAX: usize = 65_535;

/// Connection attributes as they came, checked to be well-formed pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes of pairs already encoded by [`Self::encode_pairs`].
    pub fn from_pairs(pairs: &'a [u8]) -> Result<Self, Malformed> {
        if pairs.len() > ATTRIBUTES_LEN_MAX {
            return Err(Malformed::new("at most 65535 bytes of connection attributes", 0));
        }
        let mut cursor = Cursor::new(pairs);
        while !cursor.is_empty() {
            cursor.lenenc_bytes()?;
            cursor.lenenc_bytes()?;
        }
        Ok(Self(pairs))
    }

    /// Reads the attributes with the length before them.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let at = cursor.position();
        let pairs = cursor.lenenc_bytes()?;
        Self::from_pairs(pairs).map_err(|error| Malformed::new(error.expected, at + error.at))
    }

    /// Appends `pairs` in the form of [`Self::from_pairs`].
    pub fn encode_pairs<'p>(
        out: &mut Vec<u8>,
        pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
    ) {
        for (name, value) in pairs {
            put_lenenc_bytes(out, name);
            put_lenenc_bytes(out, value);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_lenenc_int(out, self.0.len() as u64);
        out.extend_from_slice(self.0);
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut cursor = Cursor::new(self.0);
        std::iter::from_fn(move || Some((cursor.lenenc_bytes().ok()?, cursor.lenenc_bytes().ok()?)))
    }

    /// The value of attribute `name`.
    pub fn find(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
