//! Rows that are stored on a shard that the client named, or changed where they are: each must
//! belong there.

use crate::error::{SqlError, catalog};
use crate::key::{Destination, KeyspaceId, ShardMap};

use crate::engine::plan::{Bindings, Resolution, ShardPart};

use super::{Failure, Mapper, Routing, VindexFinder, named_shards, no_shard};

/// See [`super::Routing::within`].
#[derive(Clone, Debug)]
pub(super) struct Within {
    pub(super) destination: Destination,
    pub(super) stored: Vec<Stored>,
}

/// See [`super::Routing::staying`].
#[derive(Clone, Debug)]
pub(super) struct Staying {
    /// Where the rows are.
    pub(super) rows: Routing,
    pub(super) stored: Vec<Stored>,
    pub(super) refusal: SqlError,
}

impl Staying {
    /// The shards of the rows, if nothing that is stored belongs to another one.
    pub(super) fn resolve<B: Bindings>(&self, bindings: &B, shards: &ShardMap) -> Resolution {
        let found = self.rows.resolve(bindings, shards, &[]);
        let stays = |shard: usize| {
            let mut stored = self.stored.iter();
            stored.try_for_each(|stored| match stored.find_stray(shard, bindings, shards, &[])? {
                None => Ok(()),
                Some(_) => Err(Failure::Unusable(self.refusal.clone())),
            })
        };
        let checked = match &found {
            Resolution::Shards(parts) => parts.iter().try_for_each(|part| stays(part.shard)),
            Resolution::AllShards => (0..shards.len()).try_for_each(stays),
            // No row is changed.
            Resolution::AnyShard | Resolution::Unusable(_) => Ok(()),
        };
        match checked {
            Ok(()) => found,
            Err(Failure::Unusable(error)) => Resolution::Unusable(error),
        }
    }
}

/// Where rows that a statement stores belong.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Each where a vindex maps it.
    ByVindex(VindexFinder),
    /// Rows that an UPDATE changes, where a vindex maps their new values.
    Changed(VindexFinder),
    /// All where their table is pinned.
    Pinned(KeyspaceId),
}

/// A row that belongs to another shard.
struct Stray {
    /// Its number in the statement, from 0.
    row: u32,
    belongs: usize,
}

impl Within {
    /// The shard that was named, if nothing that is stored belongs to another one.
    pub(super) fn resolve<B: Bindings>(
        &self,
        bindings: &B,
        shards: &ShardMap,
        generated: &[u64],
    ) -> Resolution {
        let named = named_shards(&self.destination, shards);
        let Resolution::Shards(parts) = &named else { return named };
        let [part] = parts.as_slice() else {
            let what = "storing rows on several explicit shards";
            let advice = "USE the keyspace, which routes each row, or one of its shards";
            return Resolution::Unusable(catalog::UNSUPPORTED.advising(&[&what], advice));
        };
        for stored in &self.stored {
            match stored.find_stray(part.shard, bindings, shards, generated) {
                Ok(None) => {}
                Ok(Some(Stray { row, belongs })) => {
                    let (belongs, target) = (shards.name(belongs), shards.name(part.shard));
                    return Resolution::Unusable(match stored {
                        Stored::Changed(_) => catalog::MOVED_AWAY.with(&[&belongs, &target]),
                        _ => catalog::MISPLACED.with(&[&(row + 1), &belongs, &target]),
                    });
                }
                Err(Failure::Unusable(error)) => return Resolution::Unusable(error),
            }
        }
        named
    }
}

impl Stored {
    /// The first row that belongs to another shard than `home`.
    fn find_stray<B: Bindings>(
        &self,
        home: usize,
        bindings: &B,
        shards: &ShardMap,
        generated: &[u64],
    ) -> Result<Option<Stray>, Failure> {
        let finder = match self {
            Self::Pinned(id) => {
                let belongs = shards.shard_of(id);
                return Ok((belongs != home).then_some(Stray { row: 0, belongs }));
            }
            Self::ByVindex(finder) | Self::Changed(finder) => finder,
        };
        let parts = Mapper { finder, bindings, shards, generated }.resolve()?;
        if parts.is_empty() {
            return Err(Failure::Unusable(no_shard()));
        }
        let first = |part: &ShardPart| part.items.as_ref().and_then(|rows| rows.first().copied());
        let stray = |part: &ShardPart| Stray { row: first(part).unwrap_or(0), belongs: part.shard };
        let strays = parts.iter().filter(|part| part.shard != home).map(stray);
        Ok(strays.min_by_key(|stray| stray.row))
    }
}
