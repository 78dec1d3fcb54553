//! What a statement is aimed at, before shards are known.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::{KeyRange, KeyspaceId, ShardMap};

/// Shards of one statement as indexes of a [`ShardMap`], ascending, each once.
pub type ShardIndexes = SmallVec<[usize; 4]>;

/// The shards that a statement wants, in the words of the client or of a vindex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// No shard: no row can match.
    None,
    /// One shard, whichever: every shard has the same answer.
    AnyShard,
    /// Every shard.
    AllShards,
    /// The shard of this name (`USE keyspace:-80`).
    Shard(String),
    /// The shards of these names.
    Shards(Vec<String>),
    /// The shards that have ids of this range.
    KeyRange(KeyRange),
    /// The shard that has this id.
    KeyspaceId(KeyspaceId),
    /// The shards that have these ids.
    KeyspaceIds(Vec<KeyspaceId>),
}

/// A destination names a shard that the keyspace does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard '{0}' does not exist")]
pub struct DestinationError(pub String);

impl Destination {
    /// The shards of `map` that this destination means.
    pub fn resolve(&self, map: &ShardMap) -> Result<ShardIndexes, DestinationError> {
        let find = |name: &String| map.find(name).ok_or_else(|| DestinationError(name.clone()));
        Ok(match self {
            Destination::None => ShardIndexes::new(),
            Destination::AnyShard => ShardIndexes::from_slice(&[0]),
            Destination::AllShards => (0..map.len()).collect(),
            Destination::Shard(name) => ShardIndexes::from_slice(&[find(name)?]),
            Destination::Shards(names) => {
                let found: Result<BTreeSet<usize>, _> = names.iter().map(find).collect();
                found?.into_iter().collect()
            }
            Destination::KeyRange(range) => map.shards_in(range).collect(),
            Destination::KeyspaceId(id) => ShardIndexes::from_slice(&[map.shard_of(id)]),
            Destination::KeyspaceIds(ids) => {
                let found: BTreeSet<usize> = ids.iter().map(|id| map.shard_of(id)).collect();
                found.into_iter().collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_resolve_to_shards_once_and_in_order() {
        let map = ShardMap::new(&["-40", "40-80", "80-"]).unwrap();
        let shards = |destination: Destination| destination.resolve(&map).map(|s| s.to_vec());
        assert_eq!(shards(Destination::None), Ok(vec![]));
        assert_eq!(shards(Destination::AllShards), Ok(vec![0, 1, 2]));
        assert_eq!(shards(Destination::Shard("40-80".into())), Ok(vec![1]));
        assert_eq!(
            shards(Destination::Shard("50-".into())),
            Err(DestinationError("50-".to_owned()))
        );
        let ids = ["90", "00", "81"].map(|hex| KeyspaceId::from_hex(hex).unwrap()).to_vec();
        assert_eq!(shards(Destination::KeyspaceIds(ids)), Ok(vec![0, 2]));
        let range = KeyRange::parse("-50").unwrap();
        assert_eq!(shards(Destination::KeyRange(range)), Ok(vec![0, 1]));
    }
}
