//! Vindexes: from column values to a keyspace id, bit for bit as Vitess does it.
//!
//! One vindex, one file. The set is closed: a new one is a variant of [`Vindex`] and the compiler
//! shows every place that must know it. Nothing here does IO or knows how many shards there are;
//! a lookup vindex is only described, because its mapping lives in a table.
//!
//! Values are taken as Vitess takes them (`go/vt/vtgate/vindexes`): for the number vindexes the
//! decimal text of the value must parse as an unsigned integer, everything else (NULL, fractions,
//! other text) has no shard; for the byte vindexes a number is its decimal text and NULL is the
//! empty string. Whether a literal may be compared with a column at all (`k = 0x31` on an integer
//! column, say) is for the planner to decide first.

mod binary;
mod cfc;
mod create;
mod hash;
mod lookup;
mod md5;
mod multicol;
mod null;
mod numeric;
mod numeric_static_map;
mod params;
mod region_experimental;
mod region_json;
mod reverse_bits;
#[cfg(test)]
mod tests;
mod unicode_loose;
mod value_bytes;
pub mod vectors;
mod xxhash;

pub use cfc::{Cfc, find_prefix};
pub use create::TYPES;
pub use hash::Hash;
pub use lookup::{Lookup, LookupKind, ReadLock};
pub use multicol::MultiCol;
pub use numeric_static_map::NumericStaticMap;
pub use params::{FILE_PARAMS, ParamProblem, Params, ReadFile};
pub use region_experimental::RegionExperimental;
pub use region_json::RegionJson;

use crate::key::{Destination, KeyRange, KeyspaceId, ShardIndexes, ShardMap};
use crate::sql::value::Value;

/// A vindex function with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Vindex {
    /// The value's bytes.
    Binary,
    /// MD5 of the value's bytes.
    BinaryMd5,
    /// Component-wise hash of a binary string.
    Cfc(Cfc),
    /// DES of the number.
    Hash(Hash),
    /// A table says where the row is.
    Lookup(Lookup),
    /// Several columns, each with its own hash.
    MultiCol(MultiCol),
    /// The same shard for every value.
    Null,
    /// The number, big-endian.
    Numeric,
    /// A table of numbers in the parameters, with a fallback.
    NumericStaticMap(NumericStaticMap),
    /// (region, id): the region's low bytes, then the hash of the id.
    RegionExperimental(RegionExperimental),
    /// (id, country): the country's bytes from a map, then the hash of the id.
    RegionJson(RegionJson),
    /// The number's bits in reverse.
    ReverseBits,
    /// MD5 of the text's primary collation weights.
    UnicodeLooseMd5,
    /// XXH64 of the text's primary collation weights.
    UnicodeLooseXxHash,
    /// XXH64 of the value's bytes.
    XxHash,
}

/// Where values map to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// To no shard: no row can have these values.
    None,
    /// To one row home.
    KeyspaceId(KeyspaceId),
    /// To a range of them: only a prefix of the columns (or of the text) is known.
    KeyRange(KeyRange),
    /// To every shard.
    AllShards,
}

/// Why values could not be mapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VindexError {
    /// Text for a `unicode_loose` vindex is not UTF-8.
    #[error("cannot normalize string containing invalid UTF-8")]
    InvalidUtf8,
    /// A `cfc` key ends before its last component.
    #[error("insufficient size for cfc vindex {vindex}. need {need}, got {got}")]
    KeyTooShort {
        /// The vindex's name.
        vindex: String,
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        got: usize,
    },
    /// The mapping is in a table.
    #[error("a lookup vindex cannot map without reading its table {0}")]
    NeedsLookup(String),
    /// More or fewer values than the vindex has columns.
    #[error("wrong number of column values were passed: the vindex takes {takes}, got {got}")]
    ValueCount {
        /// Columns of the vindex.
        takes: usize,
        /// Values given.
        got: usize,
    },
    /// Not an id that this vindex makes.
    #[error("invalid keyspace id: {0}")]
    InvalidKeyspaceId(KeyspaceId),
    /// The function has no inverse.
    #[error("the vindex is not reversible")]
    NotReversible,
}

impl Vindex {
    /// What choosing this vindex costs, as Vitess rates it; the planner takes the cheapest.
    pub fn cost(&self) -> u32 {
        match self {
            Vindex::Binary | Vindex::Numeric => 0,
            Vindex::BinaryMd5
            | Vindex::Cfc(_)
            | Vindex::Hash(_)
            | Vindex::NumericStaticMap(_)
            | Vindex::RegionExperimental(_)
            | Vindex::RegionJson(_)
            | Vindex::ReverseBits
            | Vindex::UnicodeLooseMd5
            | Vindex::UnicodeLooseXxHash
            | Vindex::XxHash => 1,
            Vindex::Null => 100,
            Vindex::MultiCol(multicol) => multicol.cost(),
            Vindex::Lookup(lookup) => lookup.cost(),
        }
    }

    /// Whether values map to one keyspace id at most.
    pub fn is_unique(&self) -> bool {
        match self {
            Vindex::Lookup(lookup) => lookup.is_unique(),
            _ => true,
        }
    }

    /// The description of the table behind it, if it is a lookup vindex.
    pub fn lookup(&self) -> Option<&Lookup> {
        match self {
            Vindex::Lookup(lookup) => Some(lookup),
            _ => None,
        }
    }

    /// Whether mapping needs a query first (Vitess: `NeedsVCursor`).
    pub fn needs_lookup(&self) -> bool {
        self.lookup().is_some()
    }

    /// Whether the vindex takes several columns at once (Vitess: `MultiColumn`).
    pub fn is_multi_column(&self) -> bool {
        self.column_count() > 1 || matches!(self, Vindex::MultiCol(_))
    }

    /// Columns of a full key. A lookup vindex maps by its first column only and says 1 here.
    pub fn column_count(&self) -> usize {
        match self {
            Vindex::MultiCol(multicol) => multicol.column_count(),
            Vindex::RegionExperimental(_) | Vindex::RegionJson(_) => 2,
            _ => 1,
        }
    }

    /// Whether the first columns alone narrow a statement to a range of shards.
    pub fn maps_prefix_of_columns(&self) -> bool {
        matches!(self, Vindex::MultiCol(_) | Vindex::RegionExperimental(_))
    }

    /// Whether BETWEEN on the column narrows a statement to a range of shards.
    pub fn maps_between(&self) -> bool {
        matches!(self, Vindex::Binary | Vindex::Numeric)
    }

    /// Whether the value of a column (by its place in the vindex) must be an integer to have a
    /// shard: its decimal text is parsed.
    pub fn takes_number(&self, column: usize) -> bool {
        match self {
            Vindex::Hash(_)
            | Vindex::Numeric
            | Vindex::NumericStaticMap(_)
            | Vindex::RegionExperimental(_)
            | Vindex::ReverseBits => true,
            Vindex::RegionJson(_) => column == 0,
            Vindex::MultiCol(multicol) => {
                multicol.vindex_of(column).is_some_and(|vindex| vindex.takes_number(0))
            }
            _ => false,
        }
    }

    /// Whether texts that a collation calls equal may map to different shards, because their
    /// bytes count.
    pub fn takes_bytes(&self, column: usize) -> bool {
        match self {
            Vindex::Binary | Vindex::BinaryMd5 | Vindex::Cfc(_) | Vindex::XxHash => true,
            Vindex::RegionJson(_) => column == 1,
            Vindex::MultiCol(multicol) => {
                multicol.vindex_of(column).is_some_and(|vindex| vindex.takes_bytes(0))
            }
            _ => false,
        }
    }

    /// Where the row with these values lives; for a multi-column vindex a prefix of its columns
    /// will do. Allocates nothing for numbers under `hash`, `numeric`, `xxhash`, `reverse_bits`
    /// and `binary`.
    pub fn map(&self, values: &[Value<'_>]) -> Result<Mapping, VindexError> {
        match self {
            Vindex::MultiCol(vindex) => vindex.map(values),
            Vindex::RegionExperimental(vindex) => vindex.map(values),
            Vindex::RegionJson(vindex) => vindex.map(values),
            Vindex::Lookup(lookup) => lookup.map(),
            _ => match values {
                [value] => Ok(match self.map_one(value)? {
                    Some(id) => Mapping::KeyspaceId(id),
                    None => Mapping::None,
                }),
                _ => Err(VindexError::ValueCount { takes: 1, got: values.len() }),
            },
        }
    }

    /// The single-column functions; `None` is "no shard".
    fn map_one(&self, value: &Value<'_>) -> Result<Option<KeyspaceId>, VindexError> {
        Ok(match self {
            Vindex::Binary => Some(binary::map(value)),
            Vindex::BinaryMd5 => Some(md5::map(value)),
            Vindex::Cfc(cfc) => Some(cfc.map(value)?),
            Vindex::Hash(hash) => hash.map(value),
            Vindex::Null => Some(null::map()),
            Vindex::Numeric => numeric::map(value),
            Vindex::NumericStaticMap(vindex) => return vindex.map(value),
            Vindex::ReverseBits => reverse_bits::map(value),
            Vindex::UnicodeLooseMd5 => Some(md5::hash(&unicode_loose::weights_of(value)?)),
            Vindex::UnicodeLooseXxHash => Some(xxhash::hash(&unicode_loose::weights_of(value)?)),
            Vindex::XxHash => Some(xxhash::map(value)),
            Vindex::Lookup(lookup) => {
                return Err(VindexError::NeedsLookup(lookup.table().to_owned()));
            }
            Vindex::MultiCol(_) | Vindex::RegionExperimental(_) | Vindex::RegionJson(_) => {
                return Err(VindexError::ValueCount { takes: self.column_count(), got: 1 });
            }
        })
    }

    /// Lowest and highest keyspace id (both included) of the rows whose column is BETWEEN the two
    /// values; `None` if the vindex keeps no order or a bound has no id.
    pub fn map_between(
        &self,
        low: &Value<'_>,
        high: &Value<'_>,
    ) -> Option<(KeyspaceId, KeyspaceId)> {
        if !self.maps_between() {
            return None;
        }
        Some((self.map_one(low).ok()??, self.map_one(high).ok()??))
    }

    /// Whether the row with these values lives at `id`.
    pub fn verify(&self, values: &[Value<'_>], id: &KeyspaceId) -> Result<bool, VindexError> {
        Ok(matches!(self.map(values)?, Mapping::KeyspaceId(mapped) if mapped == *id))
    }

    /// The value that maps to `id`, for the vindexes that lose nothing.
    pub fn reverse(&self, id: &KeyspaceId) -> Result<Value<'static>, VindexError> {
        match self {
            Vindex::Binary => Ok(binary::reverse(id)),
            Vindex::Hash(hash) => hash.reverse(id),
            Vindex::Numeric => numeric::reverse(id),
            Vindex::ReverseBits => reverse_bits::reverse(id),
            _ => Err(VindexError::NotReversible),
        }
    }
}

impl Mapping {
    /// The range of the ids that start with `prefix`.
    fn from_prefix(prefix: &KeyspaceId) -> Self {
        if prefix.as_bytes().is_empty() {
            Mapping::AllShards
        } else {
            Mapping::KeyRange(KeyRange::from_prefix(prefix))
        }
    }

    /// The shards of `map` that are meant.
    pub fn shards(&self, map: &ShardMap) -> ShardIndexes {
        match self {
            Mapping::None => ShardIndexes::new(),
            Mapping::KeyspaceId(id) => ShardIndexes::from_slice(&[map.shard_of(id)]),
            Mapping::KeyRange(range) => map.shards_in(range).collect(),
            Mapping::AllShards => (0..map.len()).collect(),
        }
    }
}

impl From<Mapping> for Destination {
    fn from(mapping: Mapping) -> Self {
        match mapping {
            Mapping::None => Destination::None,
            Mapping::KeyspaceId(id) => Destination::KeyspaceId(id),
            Mapping::KeyRange(range) => Destination::KeyRange(range),
            Mapping::AllShards => Destination::AllShards,
        }
    }
}
