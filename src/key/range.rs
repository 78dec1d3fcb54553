//! A range of keyspace ids, with Vitess' notation (`-40`, `40-80`, `80-`, `-`, `0`).

use std::cmp::Ordering;
use std::fmt;

use super::KeyspaceId;

/// The ids from `start` (included) up to `end` (excluded); an end may be open. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Option<KeyspaceId>,
    end: Option<KeyspaceId>,
}

/// Why a text or a pair of bounds is not a key range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRangeError {
    /// Neither `START-END` nor `0`.
    #[error("'{0}' is not a key range; write START-END in hexadecimal, such as -80 or 40-80")]
    Notation(String),
    /// The start is not below the end.
    #[error("key range {start}-{end} is empty; its start must be below its end")]
    Empty {
        /// First id.
        start: KeyspaceId,
        /// First id after the range.
        end: KeyspaceId,
    },
}

impl KeyRange {
    /// The range with these bounds; `None` and zero bytes are open bounds.
    pub fn new(start: Option<KeyspaceId>, end: Option<KeyspaceId>) -> Result<Self, KeyRangeError> {
        let start = start.filter(|id| !id.as_bytes().is_empty());
        let end = end.filter(|id| !id.as_bytes().is_empty());
        if let Some(end) = &end {
            let start = start.clone().unwrap_or_default();
            if start.cmp_padded(end) != Ordering::Less {
                return Err(KeyRangeError::Empty { start, end: end.clone() });
            }
        }
        Ok(Self { start, end })
    }

    /// Every id.
    pub fn full() -> Self {
        Self { start: None, end: None }
    }

    /// Every id that starts with `prefix`.
    pub fn from_prefix(prefix: &KeyspaceId) -> Self {
        if prefix.as_bytes().is_empty() {
            return Self::full();
        }
        Self { start: Some(prefix.clone()), end: prefix.next_prefix() }
    }

    /// Reads Vitess' notation. `0` is the name of an unsharded keyspace's only shard.
    pub fn parse(text: &str) -> Result<Self, KeyRangeError> {
        if text == "0" {
            return Ok(Self::full());
        }
        let wrong = || KeyRangeError::Notation(text.to_owned());
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        let start = KeyspaceId::from_hex(start).ok_or_else(wrong)?;
        let end = KeyspaceId::from_hex(end).ok_or_else(wrong)?;
        Self::new(Some(start), Some(end))
    }

    /// First id, `None` if open.
    pub fn start(&self) -> Option<&KeyspaceId> {
        self.start.as_ref()
    }

    /// First id after the range, `None` if open.
    pub fn end(&self) -> Option<&KeyspaceId> {
        self.end.as_ref()
    }

    /// Whether the range holds every id.
    pub fn is_full(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    /// Whether `id` is in the range.
    pub fn contains(&self, id: &KeyspaceId) -> bool {
        !self.starts_after(id) && !self.ends_at_or_before(id)
    }

    /// Whether all ids of the range are above `id`.
    pub(super) fn starts_after(&self, id: &KeyspaceId) -> bool {
        self.start.as_ref().is_some_and(|start| start.cmp_padded(id) == Ordering::Greater)
    }

    /// Whether all ids of the range are below `id`.
    pub(super) fn ends_at_or_before(&self, id: &KeyspaceId) -> bool {
        self.end.as_ref().is_some_and(|end| end.cmp_padded(id) != Ordering::Greater)
    }

    /// Whether the two ranges share an id.
    pub fn intersects(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| match (&a.end, &b.start) {
            (Some(end), Some(start)) => end.cmp_padded(start) != Ordering::Greater,
            _ => false,
        };
        !before(self, other) && !before(other, self)
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(start) = &self.start {
            write!(f, "{start}")?;
        }
        f.write_str("-")?;
        match &self.end {
            Some(end) => write!(f, "{end}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> KeyRange {
        KeyRange::parse(text).unwrap()
    }

    #[test]
    fn notation_goes_both_ways() {
        for text in ["-40", "40-80", "80-", "-", "4000-80"] {
            assert_eq!(range(text).to_string(), text);
        }
        assert!(range("0").is_full());
        for wrong in ["", "80", "4-8", "80-40", "80-80", "80-8000", "40-80-c0", "x-y"] {
            assert!(KeyRange::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_are_half_open_and_padded() {
        let id = |hex| KeyspaceId::from_hex(hex).unwrap();
        assert!(range("40-80").contains(&id("40")));
        assert!(range("40-80").contains(&id("7fffff")));
        assert!(!range("40-80").contains(&id("8000")));
        assert!(range("4000-80").contains(&id("40")));
        assert!(range("-80").intersects(&range("7f-")));
        assert!(!range("-80").intersects(&range("8000-")));
    }
}
