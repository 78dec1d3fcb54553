//! Which shards a statement goes to: a vindex and values, decided anew for every execution.
//!
//! The way is fixed by the plan ([`Opcode`], in vtgate's words: Vitess
//! `go/vt/vtgate/engine/routing.go`), the values come from the statement. Whether a value may be
//! routed by is [`super::literal`]'s decision.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{SqlError, catalog};
use crate::key::{Destination, KeyspaceId, ShardMap};
use crate::sql::ast::HoleId;
use crate::sql::value::Value;
use crate::vschema::NamedVindex;
use crate::vschema::vindex::{Mapping, Vindex};

use crate::engine::capacity::Capacity;
use crate::engine::literal::{ColumnKind, Decision, Purpose, Unroutable, VindexInput, decide};
use crate::engine::plan::{Bindings, ClientCharset, Resolution, ShardPart};

mod within;

use within::{Staying, Within};

pub use within::Stored;

/// How a route finds its shards.
#[derive(Clone, Debug)]
pub struct Routing {
    opcode: Opcode,
    finder: Finder,
}

/// vtgate's names for the ways to find shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The keyspace has one shard.
    Unsharded,
    /// One value of a unique vindex.
    EqualUnique,
    /// One value of a vindex that may map to several shards.
    Equal,
    /// A list of values.
    In,
    /// A list of tuples, or several values for a multi-column vindex.
    MultiEqual,
    /// A range of a vindex that keeps order.
    Between,
    /// The first columns of a multi-column vindex.
    SubShard,
    /// All shards.
    Scatter,
    /// Any shard.
    Reference,
    /// No row can match.
    None,
    /// The client named the shard, or the table is pinned to one.
    ByDestination,
    /// The next value of a sequence.
    Next,
    /// information_schema and the like.
    Dba,
}

impl Opcode {
    /// vtgate's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsharded => "Unsharded",
            Self::EqualUnique => "EqualUnique",
            Self::Equal => "Equal",
            Self::In => "IN",
            Self::MultiEqual => "MultiEqual",
            Self::Between => "Between",
            Self::SubShard => "SubShard",
            Self::Scatter => "Scatter",
            Self::Reference => "Reference",
            Self::None => "None",
            Self::ByDestination => "ByDestination",
            Self::Next => "Next",
            Self::Dba => "DBA",
        }
    }
}

#[derive(Clone, Debug)]
enum Finder {
    Any,
    All,
    Destination(Destination),
    /// The shard that the client named, if all rows that are stored belong there.
    Within(Box<Within>),
    /// Those of the rows, if what they will hold belongs there.
    Staying(Box<Staying>),
    Vindex(Box<VindexFinder>),
    /// Several equalities that must lead to the same shard.
    Agreed(Vec<VindexFinder>),
}

/// A vindex and the values to map.
#[derive(Clone, Debug)]
pub struct VindexFinder {
    /// The vindex.
    pub vindex: Arc<NamedVindex>,
    /// Its columns, as many of them as have values.
    pub columns: SmallVec<[VindexColumn; 2]>,
    /// Whether values are compared or stored.
    pub purpose: Purpose,
    /// The values.
    pub operands: Operands,
}

/// A column of a vindex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VindexColumn {
    /// What its type allows.
    pub kind: ColumnKind,
    /// What the vindex makes of it.
    pub input: VindexInput,
    /// What it stores as it is given.
    pub capacity: Capacity,
}

/// One value for each column.
pub type ValueRow = SmallVec<[RoutingValue; 2]>;

/// The values to map.
#[derive(Clone, Debug)]
pub enum Operands {
    /// `column = value` for each column.
    Equal(ValueRow),
    /// `column IN (list)`: the list is cut per shard.
    List(Vec<RoutingValue>),
    /// `(a, b) IN ((1, 2), ..)`, or the rows of an INSERT, which are cut per shard.
    Rows(Vec<ValueRow>),
    /// Every combination of the columns' values.
    Product(Vec<Vec<RoutingValue>>),
    /// `column BETWEEN low AND high`.
    Between(RoutingValue, RoutingValue),
    /// `column LIKE pattern`.
    Prefix(RoutingValue),
}

/// A value that a statement gives.
#[derive(Clone, Debug, PartialEq)]
pub enum RoutingValue {
    /// A literal or parameter.
    Hole(HoleId),
    /// The same with a minus before it.
    Negative(HoleId),
    /// NULL.
    Null,
    /// TRUE and FALSE.
    Constant(i64),
    /// The generated value of a row, or this if the row keeps its own.
    Generated(u32, Option<HoleId>),
}

/// Why no shards were found.
enum Failure {
    Unusable(SqlError),
}

impl Routing {
    /// An unsharded keyspace.
    pub fn unsharded() -> Self {
        Self { opcode: Opcode::Unsharded, finder: Finder::Any }
    }

    /// Any shard will do: reference tables, statements without tables.
    pub fn reference() -> Self {
        Self { opcode: Opcode::Reference, finder: Finder::Any }
    }

    /// No row can match; any shard says so.
    pub fn none() -> Self {
        Self { opcode: Opcode::None, finder: Finder::Any }
    }

    /// information_schema: any shard of the keyspace.
    pub fn dba() -> Self {
        Self { opcode: Opcode::Dba, finder: Finder::Any }
    }

    /// All shards.
    pub fn scatter() -> Self {
        Self { opcode: Opcode::Scatter, finder: Finder::All }
    }

    /// The shards that the client named, or where a table is pinned.
    pub fn destination(destination: Destination) -> Self {
        Self { opcode: Opcode::ByDestination, finder: Finder::Destination(destination) }
    }

    /// The shard that the client named, for a statement that stores rows: each execution finds
    /// where they belong, and one that would put a row elsewhere is refused.
    pub fn within(destination: Destination, stored: Vec<Stored>) -> Self {
        if stored.is_empty() {
            return Self::destination(destination);
        }
        let within = Within { destination, stored };
        Self { opcode: Opcode::ByDestination, finder: Finder::Within(Box::new(within)) }
    }

    /// By a vindex.
    pub fn vindex(opcode: Opcode, finder: VindexFinder) -> Self {
        Self { opcode, finder: Finder::Vindex(Box::new(finder)) }
    }

    /// By several equalities, as in `a.id = 5 AND b.id = 5`. Whether their values lead to the
    /// same shard is known only when the statement runs; if not, it is refused.
    pub fn agreed(finders: Vec<VindexFinder>) -> Self {
        Self { opcode: Opcode::EqualUnique, finder: Finder::Agreed(finders) }
    }

    /// The same shards for an UPDATE, if all that it stores belongs where the rows are; else each
    /// execution is refused with this error.
    #[must_use]
    pub fn staying(self, stored: Vec<Stored>, refusal: SqlError) -> Self {
        if stored.is_empty() {
            return self;
        }
        let opcode = self.opcode;
        let staying = Staying { rows: self, stored, refusal };
        Self { opcode, finder: Finder::Staying(Box::new(staying)) }
    }

    /// How shards are found.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The vindex by which they are found.
    pub fn finder(&self) -> Option<&VindexFinder> {
        match &self.finder {
            Finder::Vindex(finder) => Some(finder),
            Finder::Agreed(finders) => finders.first(),
            Finder::Staying(staying) => staying.rows.finder(),
            _ => None,
        }
    }

    /// What is stored, if each execution checks that it belongs to the shard that was named.
    pub fn checked(&self) -> &[Stored] {
        match &self.finder {
            Finder::Within(within) => &within.stored,
            _ => &[],
        }
    }

    /// Whether every execution goes to one shard only.
    pub fn is_single_shard(&self) -> bool {
        match &self.finder {
            Finder::Any => true,
            Finder::All => false,
            Finder::Destination(destination) => is_single(destination),
            Finder::Within(within) => is_single(&within.destination),
            Finder::Staying(staying) => staying.rows.is_single_shard(),
            Finder::Vindex(_) | Finder::Agreed(_) => self.opcode == Opcode::EqualUnique,
        }
    }

    /// The shards for one execution. Allocates nothing when it is one shard by an equality.
    /// `generated` are the sequence values of the statement's rows (empty without
    /// [`super::plan::Generate`]).
    pub fn resolve<B: Bindings>(
        &self,
        bindings: &B,
        shards: &ShardMap,
        generated: &[u64],
    ) -> Resolution {
        let finder = match &self.finder {
            Finder::Any => return Resolution::AnyShard,
            Finder::All => return Resolution::AllShards,
            Finder::Destination(destination) => return named_shards(destination, shards),
            Finder::Within(within) => return within.resolve(bindings, shards, generated),
            Finder::Staying(staying) => return staying.resolve(bindings, shards),
            Finder::Vindex(finder) => finder,
            Finder::Agreed(finders) => return agree(finders, bindings, shards),
        };
        let mapper = Mapper { finder, bindings, shards, generated };
        match mapper.resolve() {
            Ok(parts) if parts.is_empty() => match finder.purpose {
                // The predicate holds nowhere, so every shard gives the same empty answer.
                Purpose::Compare | Purpose::CompareConverted => Resolution::AnyShard,
                Purpose::Store => Resolution::Unusable(no_shard()),
            },
            Ok(parts) => Resolution::Shards(parts),
            Err(Failure::Unusable(error)) => Resolution::Unusable(error),
        }
    }
}

fn is_single(destination: &Destination) -> bool {
    matches!(
        destination,
        Destination::Shard(_) | Destination::KeyspaceId(_) | Destination::AnyShard
    )
}

fn named_shards(destination: &Destination, shards: &ShardMap) -> Resolution {
    match destination.resolve(shards) {
        Ok(found) if found.is_empty() => Resolution::AnyShard,
        Ok(found) => Resolution::Shards(found.into_iter().map(ShardPart::whole).collect()),
        Err(missing) => Resolution::Unusable(catalog::UNKNOWN_SHARD.with(&[&missing.0])),
    }
}

fn agree<B: Bindings>(finders: &[VindexFinder], bindings: &B, shards: &ShardMap) -> Resolution {
    let mut agreed: Option<usize> = None;
    for finder in finders {
        let mapper = Mapper { finder, bindings, shards, generated: &[] };
        let parts = match mapper.resolve() {
            Ok(parts) => parts,
            Err(Failure::Unusable(error)) => return Resolution::Unusable(error),
        };
        // No shard: this table has no row, so it does not matter where the others are looked for.
        let Some(part) = parts.first() else { continue };
        if agreed.is_some_and(|shard| shard != part.shard) {
            let what = "a join of rows that live on different shards";
            let advice = "read one table first and put its values in";
            return Resolution::Unusable(catalog::UNSUPPORTED.advising(&[&what], advice));
        }
        agreed = Some(part.shard);
    }
    match agreed {
        Some(shard) => Resolution::Shards(smallvec::smallvec![ShardPart::whole(shard)]),
        None => Resolution::AnyShard,
    }
}

/// More combinations of values than this are not mapped one by one: every shard is asked.
const COMBINATIONS_MAX: usize = 4096;

fn no_shard() -> SqlError {
    catalog::UNROUTABLE_VALUE.with(&[&"the vindex maps it to no shard"])
}

/// One execution of a [`VindexFinder`].
struct Mapper<'a, B> {
    finder: &'a VindexFinder,
    bindings: &'a B,
    shards: &'a ShardMap,
    generated: &'a [u64],
}

type Parts = SmallVec<[ShardPart; 1]>;
type Values<'a> = SmallVec<[Value<'a>; 2]>;

impl<'a, B: Bindings> Mapper<'a, B> {
    fn resolve(&self) -> Result<Parts, Failure> {
        let mut parts = Parts::new();
        match &self.finder.operands {
            Operands::Equal(row) => {
                if let Some(mapping) = self.row(row)? {
                    self.collect(&mapping, &mut parts);
                }
            }
            Operands::List(values) => {
                for (number, value) in values.iter().enumerate() {
                    if let Some(mapping) = self.row(std::slice::from_ref(value))? {
                        self.collect_item(&mapping, number as u32, &mut parts);
                    }
                }
            }
            Operands::Rows(rows) => {
                for (number, row) in rows.iter().enumerate() {
                    match (self.row(row)?, self.finder.purpose) {
                        (Some(mapping), Purpose::Store) => {
                            self.collect_item(&mapping, number as u32, &mut parts);
                        }
                        (Some(mapping), _) => self.collect(&mapping, &mut parts),
                        (None, Purpose::Store) => return Err(Failure::Unusable(no_shard())),
                        (None, _) => {}
                    }
                }
            }
            Operands::Product(columns) => self.product(columns, &mut parts)?,
            Operands::Between(low, high) => self.between(low, high, &mut parts)?,
            Operands::Prefix(pattern) => {
                let column = self.finder.columns[0];
                let Some(pattern) = self.value(pattern, column)? else { return Ok(parts) };
                if let Vindex::Cfc(cfc) = &self.finder.vindex.vindex {
                    self.collect(&cfc.map_prefix(&pattern), &mut parts);
                }
            }
        }
        if parts.len() > 1 {
            parts.sort_by_key(|part| part.shard);
        }
        Ok(parts)
    }

    /// Maps one value for each column; `None` if no row can have them.
    fn row(&self, row: &[RoutingValue]) -> Result<Option<Mapping>, Failure> {
        let mut values = Values::new();
        for (value, column) in row.iter().zip(&self.finder.columns) {
            match self.value(value, *column)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        self.map(&values)
    }

    fn map(&self, values: &[Value<'_>]) -> Result<Option<Mapping>, Failure> {
        match self.finder.vindex.vindex.map(values) {
            Ok(Mapping::None) if self.is_lenient() => Ok(None),
            // A value of the right type without a shard: there may be rows of an older time.
            Ok(Mapping::None) => Err(Failure::Unusable(no_shard())),
            Ok(mapping) => Ok(Some(mapping)),
            Err(error) => {
                Err(Failure::Unusable(catalog::UNROUTABLE_VALUE.with(&[&error.to_string()])))
            }
        }
    }

    fn is_lenient(&self) -> bool {
        self.finder.columns.iter().all(|column| column.kind == ColumnKind::AsVitess)
    }

    /// The value as the vindex may see it; `None` if no row can have it.
    fn value(
        &self,
        value: &RoutingValue,
        column: VindexColumn,
    ) -> Result<Option<Value<'a>>, Failure> {
        let hole = match value {
            RoutingValue::Hole(hole)
            | RoutingValue::Negative(hole)
            | RoutingValue::Generated(_, Some(hole)) => Some(*hole),
            _ => None,
        };
        let charset = hole.map_or(ClientCharset::Utf8, |hole| self.bindings.charset(hole));
        let value = match value {
            RoutingValue::Hole(hole) => self.bindings.value(*hole),
            RoutingValue::Negative(hole) => negated(self.bindings.value(*hole))?,
            RoutingValue::Null => Value::Null,
            RoutingValue::Constant(number) => Value::Int(*number),
            RoutingValue::Generated(row, kept) => match (self.generated.get(*row as usize), kept) {
                (Some(&number), _) if number != 0 => Value::UInt(number),
                (_, Some(hole)) => self.bindings.value(*hole),
                _ => Value::Null,
            },
        };
        let purpose = match (self.finder.purpose, &self.finder.operands) {
            (Purpose::Compare, Operands::Equal(_) | Operands::List(_) | Operands::Product(_)) => {
                Purpose::Compare
            }
            (Purpose::Compare, _) => Purpose::CompareConverted,
            (purpose, _) => purpose,
        };
        match decide(column.kind, column.input, purpose, charset, value) {
            Decision::Use(value) => match self.altered(column, &value) {
                None => Ok(Some(value)),
                Some(error) => Err(Failure::Unusable(error)),
            },
            Decision::NoRow => Ok(None),
            Decision::Unusable(why) => Err(Failure::Unusable(why.error())),
        }
    }

    /// Why the column would store something else.
    fn altered(&self, column: VindexColumn, value: &Value<'_>) -> Option<SqlError> {
        let stored = self.finder.purpose == Purpose::Store;
        if stored { column.capacity.refuse(value, self.bindings.zero()) } else { None }
    }

    fn product(&self, columns: &[Vec<RoutingValue>], parts: &mut Parts) -> Result<(), Failure> {
        let count = columns.iter().map(Vec::len).try_fold(1usize, usize::checked_mul);
        if count.is_none_or(|count| count > COMBINATIONS_MAX) {
            self.collect(&Mapping::AllShards, parts);
            return Ok(());
        }
        let mut rows: Vec<Values<'a>> = vec![Values::new()];
        for (candidates, column) in columns.iter().zip(&self.finder.columns) {
            let mut values = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                values.extend(self.value(candidate, *column)?);
            }
            rows = rows
                .iter()
                .flat_map(|row| {
                    values.iter().map(move |value| {
                        let mut longer = row.clone();
                        longer.push(value.clone());
                        longer
                    })
                })
                .collect();
        }
        for row in &rows {
            if let Some(mapping) = self.map(row)? {
                self.collect(&mapping, parts);
            }
        }
        Ok(())
    }

    fn between(
        &self,
        low: &RoutingValue,
        high: &RoutingValue,
        parts: &mut Parts,
    ) -> Result<(), Failure> {
        let column = self.finder.columns[0];
        let (Some(low), Some(high)) = (self.value(low, column)?, self.value(high, column)?) else {
            return Ok(());
        };
        let ids: Option<(KeyspaceId, KeyspaceId)> =
            self.finder.vindex.vindex.map_between(&low, &high);
        let Some((low, high)) = ids else { return Err(Failure::Unusable(no_shard())) };
        parts.extend(self.shards.shards_between(&low, &high).map(ShardPart::whole));
        Ok(())
    }

    /// Adds the shards of a mapping, each once.
    fn collect(&self, mapping: &Mapping, parts: &mut Parts) {
        for shard in mapping.shards(self.shards) {
            if !parts.iter().any(|part| part.shard == shard) {
                parts.push(ShardPart::whole(shard));
            }
        }
    }

    /// Adds an item of a list to the shards of its mapping.
    fn collect_item(&self, mapping: &Mapping, item: u32, parts: &mut Parts) {
        for shard in mapping.shards(self.shards) {
            match parts.iter_mut().find(|part| part.shard == shard) {
                Some(part) => part.items.get_or_insert_default().push(item),
                None => parts.push(ShardPart { shard, items: Some(vec![item]) }),
            }
        }
    }
}

impl ShardPart {
    /// The whole statement.
    pub fn whole(shard: usize) -> Self {
        Self { shard, items: None }
    }
}

fn negated(value: Value<'_>) -> Result<Value<'static>, Failure> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int(number) => match number.checked_neg() {
            Some(number) => Value::Int(number),
            None => Value::UInt(number.unsigned_abs()),
        },
        Value::UInt(number) if number == i64::MIN.unsigned_abs() => Value::Int(i64::MIN),
        Value::Float(number) => Value::Float(-number),
        _ => return Err(Failure::Unusable(Unroutable::NEGATED.error())),
    })
}

#[cfg(test)]
mod tests;
