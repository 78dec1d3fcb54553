//! The keyspace id: the byte string that decides on which shard a row lives.

use std::cmp::Ordering;
use std::fmt;

use smallvec::SmallVec;

/// A keyspace id. Up to 16 bytes (every functional vindex but `binary` and `cfc`) live inline.
///
/// `Ord` is plain byte order; shard bounds compare by [`KeyspaceId::cmp_padded`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyspaceId(SmallVec<[u8; 16]>);

impl KeyspaceId {
    /// The id with these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The big-endian bytes of a number.
    pub fn from_u64(number: u64) -> Self {
        Self::new(&number.to_be_bytes())
    }

    /// Reads hexadecimal digits, two a byte.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        let mut bytes = SmallVec::with_capacity(digits.len() / 2);
        for pair in digits.chunks_exact(2) {
            bytes.push(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?);
        }
        Some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds bytes at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The smallest id above every id that starts with this one; `None` if there is none.
    pub fn next_prefix(&self) -> Option<Self> {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last < 0xff {
                bytes.push(last + 1);
                // Vitess keeps the length and lets the carry leave zeros behind.
                bytes.resize(self.0.len(), 0);
                return Some(Self(bytes));
            }
        }
        None
    }

    /// Compares as Vitess compares ids with shard bounds: as if padded with zeros, so that
    /// `80` and `8000` are the same bound (`key.Compare`).
    pub fn cmp_padded(&self, other: &Self) -> Ordering {
        trim_zeros(&self.0).cmp(trim_zeros(&other.0))
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

impl fmt::Display for KeyspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyspaceId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: &str) -> KeyspaceId {
        KeyspaceId::from_hex(hex).unwrap()
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(id("00ffA0").to_string(), "00ffa0");
        assert_eq!(KeyspaceId::from_hex("abc"), None);
        assert_eq!(KeyspaceId::from_hex("zz"), None);
        assert_eq!(KeyspaceId::from_u64(258).to_string(), "0000000000000102");
    }

    #[test]
    fn the_next_prefix_carries() {
        assert_eq!(id("01ff").next_prefix(), Some(id("0200")));
        assert_eq!(id("ffff").next_prefix(), None);
        assert_eq!(id("").next_prefix(), None);
    }

    #[test]
    fn bounds_compare_as_if_padded_with_zeros() {
        assert_eq!(id("80").cmp_padded(&id("8000")), Ordering::Equal);
        assert_eq!(id("8000").cmp_padded(&id("7f")), Ordering::Greater);
        assert_eq!(id("80").cmp_padded(&id("800001")), Ordering::Less);
    }
}
