//! Regions: where clients, proxies and servers stand.

use std::fmt;
use std::sync::Arc;

/// The name of a region, such as `us-east`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

/// Why a text is not the name of a region.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a region name: use 1 to 63 lower-case letters, digits and '-'")]
pub struct InvalidRegion(String);

impl Region {
    /// Checks a name: 1 to 63 of `a-z`, `0-9` and `-`.
    pub fn new(name: &str) -> Result<Self, InvalidRegion> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(InvalidRegion(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
