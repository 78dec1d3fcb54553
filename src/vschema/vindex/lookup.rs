//! Lookup vindexes: a table holds the keyspace id (or a number that hashes to it) of each value.
//!
//! Only their description is here. Reading and keeping the table is for the planner and executor.

use super::{Mapping, ParamProblem, Params, VindexError};

/// Which lookup vindex, by its type name in Vitess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKind {
    /// `lookup`
    Lookup,
    /// `lookup_unique`
    LookupUnique,
    /// `lookup_cost`: a `lookup` whose cost is a parameter (Vitess' tests)
    LookupCost,
    /// `lookup_hash`: the table holds a number, whose hash is the keyspace id
    LookupHash,
    /// `lookup_hash_unique`
    LookupHashUnique,
    /// `lookup_unicodeloosemd5_hash`: values are replaced by a hash of their text first
    LookupUnicodeLooseMd5Hash,
    /// `lookup_unicodeloosemd5_hash_unique`
    LookupUnicodeLooseMd5HashUnique,
    /// `consistent_lookup`: the table is kept in step without a distributed transaction
    ConsistentLookup,
    /// `consistent_lookup_unique`
    ConsistentLookupUnique,
}

/// Lock that reading the table takes inside a transaction that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadLock {
    /// FOR UPDATE
    #[default]
    Exclusive,
    /// LOCK IN SHARE MODE
    Shared,
    /// No lock
    None,
}

/// A lookup vindex with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    kind: LookupKind,
    table: String,
    from: Vec<String>,
    to: String,
    read_lock: ReadLock,
    cost: u32,
    flags: Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Flags(u8);

const IGNORE_NULLS: u8 = 1;
const BATCH_LOOKUP: u8 = 2;
const AUTOCOMMIT: u8 = 4;
const MULTI_SHARD_AUTOCOMMIT: u8 = 8;
const WRITE_ONLY: u8 = 16;
const NO_VERIFY: u8 = 32;

impl LookupKind {
    pub(super) fn parse(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "consistent_lookup" => Self::ConsistentLookup,
            "consistent_lookup_unique" => Self::ConsistentLookupUnique,
            "lookup" => Self::Lookup,
            "lookup_cost" => Self::LookupCost,
            "lookup_hash" => Self::LookupHash,
            "lookup_hash_unique" => Self::LookupHashUnique,
            "lookup_unicodeloosemd5_hash" => Self::LookupUnicodeLooseMd5Hash,
            "lookup_unicodeloosemd5_hash_unique" => Self::LookupUnicodeLooseMd5HashUnique,
            "lookup_unique" => Self::LookupUnique,
            _ => return None,
        })
    }

    /// Whether a value has one keyspace id at most.
    pub fn is_unique(self) -> bool {
        matches!(
            self,
            Self::LookupUnique
                | Self::LookupHashUnique
                | Self::LookupUnicodeLooseMd5HashUnique
                | Self::ConsistentLookupUnique
        )
    }

    /// Whether it is one of the consistent lookups.
    pub fn is_consistent(self) -> bool {
        matches!(self, Self::ConsistentLookup | Self::ConsistentLookupUnique)
    }
}

impl Lookup {
    pub(super) fn new(kind: LookupKind, params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        let mut flags = Flags::default();
        let mut names = vec![
            ("ignore_nulls", IGNORE_NULLS),
            ("batch_lookup", BATCH_LOOKUP),
            ("write_only", WRITE_ONLY),
            ("no_verify", NO_VERIFY),
        ];
        if !kind.is_consistent() {
            names.push(("autocommit", AUTOCOMMIT));
            names.push(("multi_shard_autocommit", MULTI_SHARD_AUTOCOMMIT));
        }
        for (name, flag) in names {
            if params.flag(name)? {
                flags.0 |= flag;
            }
        }
        let read_lock = match params.get("read_lock") {
            None | Some("exclusive") => ReadLock::Exclusive,
            Some("shared") => ReadLock::Shared,
            Some("none") => ReadLock::None,
            Some(other) => {
                return Err(ParamProblem::new(
                    "read_lock",
                    format!("invalid read_lock value: {other}"),
                    "write \"exclusive\", \"shared\" or \"none\"",
                ));
            }
        };
        let from = params.get("from").unwrap_or_default().split(',').map(str::trim);
        let from = from.filter(|column| !column.is_empty()).map(str::to_owned).collect();
        Ok(Self {
            kind,
            from,
            read_lock,
            flags,
            table: params.get("table").unwrap_or_default().trim().to_owned(),
            to: params.get("to").unwrap_or_default().trim().to_owned(),
            cost: cost(kind, params)?,
        })
    }

    /// Which lookup it is.
    pub fn kind(&self) -> LookupKind {
        self.kind
    }

    /// The table as written, `[keyspace.]table`; empty if missing.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Columns of the table that hold the values; the first one maps.
    pub fn from(&self) -> &[String] {
        &self.from
    }

    /// Column of the table that holds the keyspace id.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// See [`super::Vindex::cost`].
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether a value has one keyspace id at most.
    pub fn is_unique(&self) -> bool {
        self.kind.is_unique()
    }

    /// Lock to take when reading for a write.
    pub fn read_lock(&self) -> ReadLock {
        self.read_lock
    }

    /// Rows with NULL are not entered instead of refused.
    pub fn ignores_nulls(&self) -> bool {
        self.flags.0 & IGNORE_NULLS != 0
    }

    /// Several values are read with one query whatever their type.
    pub fn reads_in_batches(&self) -> bool {
        self.flags.0 & BATCH_LOOKUP != 0
    }

    /// Rows are entered outside of the transaction.
    pub fn autocommits(&self) -> bool {
        self.flags.0 & AUTOCOMMIT != 0
    }

    /// Rows on several shards are entered with autocommit.
    pub fn multi_shard_autocommits(&self) -> bool {
        self.flags.0 & MULTI_SHARD_AUTOCOMMIT != 0
    }

    /// The table is being filled: it is kept up to date but not yet read.
    pub fn is_write_only(&self) -> bool {
        self.flags.0 & WRITE_ONLY != 0
    }

    /// Values of an unowned vindex are not looked up before a row is inserted.
    pub fn skips_verify(&self) -> bool {
        self.flags.0 & NO_VERIFY != 0
    }

    /// Without its table a lookup vindex knows only that a write-only one means every shard.
    pub(super) fn map(&self) -> Result<Mapping, VindexError> {
        if self.is_write_only() {
            Ok(Mapping::AllShards)
        } else {
            Err(VindexError::NeedsLookup(self.table.clone()))
        }
    }
}

fn cost(kind: LookupKind, params: &mut Params<'_>) -> Result<u32, ParamProblem> {
    match kind {
        LookupKind::LookupCost => match params.get("cost") {
            None => Ok(5),
            Some(text) => text.parse().map_err(|_| {
                let what = format!("'{text}' is not a cost");
                ParamProblem::new("cost", what, "write a number such as \"5\"")
            }),
        },
        _ if kind.is_unique() => Ok(10),
        _ => Ok(20),
    }
}
