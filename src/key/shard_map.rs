//! The shards of one keyspace, proven to cover every keyspace id exactly once.

use std::cmp::Ordering;
use std::ops::Range;

use super::{KeyRange, KeyRangeError, KeyspaceId};

/// Shards ordered by their ranges, without gap or overlap. A shard is known by its index here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMap {
    shards: Vec<Shard>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shard {
    name: String,
    range: KeyRange,
}

/// Why shard names do not make a shard map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardMapError {
    /// There is no shard.
    #[error("a keyspace needs at least one shard")]
    NoShard,
    /// A name is not a key range.
    #[error("shard '{name}': {cause}")]
    Name {
        /// The shard's name.
        name: String,
        /// What is wrong with it.
        cause: KeyRangeError,
    },
    /// Ids that no shard has.
    #[error("no shard covers the keyspace ids {0}")]
    Gap(KeyRange),
    /// Ids that two shards have.
    #[error("shards '{0}' and '{1}' overlap")]
    Overlap(String, String),
}

impl ShardMap {
    /// The map of the shards with these names, in any order.
    pub fn new<N: AsRef<str>>(names: &[N]) -> Result<Self, ShardMapError> {
        let mut shards = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref().to_owned();
            match KeyRange::parse(&name) {
                Ok(range) => shards.push(Shard { name, range }),
                Err(cause) => return Err(ShardMapError::Name { name, cause }),
            }
        }
        let origin = KeyspaceId::default();
        shards.sort_by(|a, b| {
            let (a, b) = (a.range.start(), b.range.start());
            a.unwrap_or(&origin).cmp_padded(b.unwrap_or(&origin))
        });
        check_cover(&shards)?;
        Ok(Self { shards })
    }

    /// The map of an unsharded keyspace: one shard, named `0`.
    pub fn unsharded() -> Self {
        Self { shards: vec![Shard { name: "0".to_owned(), range: KeyRange::full() }] }
    }

    /// Number of shards, never zero.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// Names in the order of their indexes.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.shards.iter().map(|shard| shard.name.as_str())
    }

    /// Name of the shard with this index. Panics beyond [`ShardMap::len`].
    pub fn name(&self, index: usize) -> &str {
        &self.shards[index].name
    }

    /// Range of the shard with this index. Panics beyond [`ShardMap::len`].
    pub fn range(&self, index: usize) -> &KeyRange {
        &self.shards[index].range
    }

    /// Index of the shard with this name; names that mean the same range match too.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.shards.iter().position(|shard| shard.name == name).or_else(|| {
            let wanted = KeyRange::parse(name).ok()?;
            self.shards.iter().position(|shard| shard.range == wanted)
        })
    }

    /// Index of the shard that has `id`.
    pub fn shard_of(&self, id: &KeyspaceId) -> usize {
        self.shards.partition_point(|shard| !shard.range.starts_after(id)).saturating_sub(1)
    }

    /// Indexes of the shards that have ids of `range`.
    pub fn shards_in(&self, range: &KeyRange) -> Range<usize> {
        let first = range.start().map_or(0, |start| self.shard_of(start));
        let after = match range.end() {
            None => self.shards.len(),
            Some(end) => self.shards.partition_point(|shard| match shard.range.start() {
                None => true,
                Some(start) => start.cmp_padded(end) == Ordering::Less,
            }),
        };
        first..after
    }

    /// Indexes of the shards that have ids from `low` to `high`, both included (BETWEEN).
    pub fn shards_between(&self, low: &KeyspaceId, high: &KeyspaceId) -> Range<usize> {
        if low.cmp_padded(high) == Ordering::Greater {
            return 0..0;
        }
        self.shard_of(low)..self.shard_of(high) + 1
    }
}

/// Neighbours must touch, the first must start and the last must end openly.
fn check_cover(shards: &[Shard]) -> Result<(), ShardMapError> {
    let (Some(first), Some(last)) = (shards.first(), shards.last()) else {
        return Err(ShardMapError::NoShard);
    };
    let gap = |start: Option<&KeyspaceId>, end: Option<&KeyspaceId>| match KeyRange::new(
        start.cloned(),
        end.cloned(),
    ) {
        Ok(range) => Err(ShardMapError::Gap(range)),
        // An explicit zero bound (`00-80`) starts where the open one does.
        Err(_) => Ok(()),
    };
    if first.range.start().is_some() {
        gap(None, first.range.start())?;
    }
    for pair in shards.windows(2) {
        let (end, start) = (pair[0].range.end(), pair[1].range.start());
        let order = match (end, start) {
            (Some(end), Some(start)) => end.cmp_padded(start),
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Equal => {}
            Ordering::Less => gap(end, start)?,
            Ordering::Greater => {
                let names = (pair[0].name.clone(), pair[1].name.clone());
                return Err(ShardMapError::Overlap(names.0, names.1));
            }
        }
    }
    if last.range.end().is_some() { gap(last.range.end(), None) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: &str) -> KeyspaceId {
        KeyspaceId::from_hex(hex).unwrap()
    }

    #[test]
    fn every_id_has_one_shard() {
        let map = ShardMap::new(&["80-", "-40", "40-80"]).unwrap();
        assert_eq!(map.names().collect::<Vec<_>>(), ["-40", "40-80", "80-"]);
        for (hex, shard) in [("", 0), ("3fff", 0), ("40", 1), ("4000", 1), ("80", 2), ("ff", 2)] {
            assert_eq!(map.shard_of(&id(hex)), shard, "{hex}");
            assert!(map.range(shard).contains(&id(hex)), "{hex}");
        }
        assert_eq!(ShardMap::unsharded().shard_of(&id("ff")), 0);
    }

    #[test]
    fn ranges_select_neighbours() {
        let map = ShardMap::new(&["-40", "40-80", "80-"]).unwrap();
        let shards = |text| map.shards_in(&KeyRange::parse(text).unwrap());
        assert_eq!(shards("-"), 0..3);
        assert_eq!(shards("-40"), 0..1);
        assert_eq!(shards("3f-41"), 0..2);
        assert_eq!(shards("40-80"), 1..2);
        assert_eq!(shards("80-"), 2..3);
        assert_eq!(map.shards_between(&id("40"), &id("80")), 1..3);
        assert_eq!(map.shards_between(&id("80"), &id("40")), 0..0);
    }

    #[test]
    fn gaps_and_overlaps_are_named() {
        let error = |names: &[&str]| ShardMap::new(names).unwrap_err().to_string();
        assert_eq!(error(&[]), "a keyspace needs at least one shard");
        assert_eq!(error(&["-40", "80-"]), "no shard covers the keyspace ids 40-80");
        assert_eq!(error(&["-40"]), "no shard covers the keyspace ids 40-");
        assert_eq!(error(&["40-"]), "no shard covers the keyspace ids -40");
        assert_eq!(error(&["-80", "40-"]), "shards '-80' and '40-' overlap");
        assert_eq!(error(&["-80", "80-", "80-"]), "shards '80-' and '80-' overlap");
        assert!(ShardMap::new(&["00-80", "8000-"]).is_ok());
    }
}
