//! What a plan is: the contract between the planner, which makes one, and the executor, which
//! runs it.
//!
//! A plan is made once per statement shape (skeleton) and VSchema generation. It never holds a
//! literal of the statement it was made for: literals and `?` are holes, read through
//! [`Bindings`] when the plan runs. A plan knows keyspaces and shard numbers, never servers.
//!
//! Most plans are one [`Route`] that resolves to one shard; its answer is relayed as bytes. Several
//! shards without [`Merge`] mean: concatenate their rows, or add up their affected rows.

use std::sync::Arc;

use crate::sql::ast::HoleId;
use crate::sql::position::SkeletonOffset;
use crate::sql::value::Value;

use super::capacity::Zero;
use super::routing::Routing;
use super::template::QueryTemplate;

/// A planned statement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the statement does, for transactions, metrics and the choice of server.
    pub kind: StatementKind,
    /// Whether a replica may answer.
    pub access: Access,
    /// The keyspaces and tables it names, for metrics and residency.
    pub tables: Vec<TableUse>,
    /// Whether copies that something else keeps are joined, which may be behind their source.
    pub joins_copies: bool,
    /// Where it asks information_schema: the values by which it names schemas. If one is another
    /// keyspace than the session's, its servers are asked.
    pub schemas: Vec<HoleId>,
    /// What to run.
    pub root: Primitive,
    /// What to run instead when [`Routing::resolve`] answers [`Resolution::Unusable`] for `root`:
    /// the same statement over every shard. `None`: return the error.
    pub otherwise: Option<Box<Primitive>>,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// SELECT, UNION, VALUES, TABLE.
    Select,
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CREATE, ALTER, DROP, TRUNCATE, RENAME: ends a transaction.
    Ddl,
    /// Passed to one shard without having been understood.
    Other,
}

/// What a statement needs from the server that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It only reads: a replica may answer.
    Read,
    /// It reads with locks (FOR UPDATE, FOR SHARE, a locking function): the primary answers.
    LockingRead,
    /// It changes rows or definitions: the primary.
    Write,
}

/// A table that a plan touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    /// Its keyspace.
    pub keyspace: Arc<str>,
    /// Its name, after routing rules.
    pub table: Arc<str>,
}

/// A node of a plan.
#[derive(Clone, Debug)]
pub enum Primitive {
    /// One statement to one or more shards of a keyspace.
    Route(Box<Route>),
    /// A read on several shards whose rows must be merged.
    Merge(Box<Merge>),
    /// `SELECT NEXT n VALUES FROM sequence`.
    NextValue(NextValue),
}

/// One statement to one or more shards of a keyspace.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operator, as vtgate names it.
    pub operation: Operation,
    /// Where to send it.
    pub keyspace: Arc<str>,
    /// The table names as vtgate lists them in EXPLAIN.
    pub table: String,
    /// Which shards.
    pub routing: Routing,
    /// What to send.
    pub query: QueryTemplate,
    /// Sequence values to be reserved before [`Routing::resolve`]; the first of them is the
    /// statement's LAST_INSERT_ID.
    pub generate: Option<Generate>,
    /// The same statement to other shards, in one transaction with this one.
    pub copies: Copies,
}

/// Where the copies are of the rows that a write changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Keyspaces whose every shard has one, beside the route's own.
    pub keyspaces: Vec<Arc<str>>,
    /// Values that may not be NULL or 0: each server would put its own next number there.
    pub numbered: Vec<HoleId>,
}

impl Copies {
    /// Whether there are none, and nothing to be checked for their sake.
    pub fn is_empty(&self) -> bool {
        self.keyspaces.is_empty() && self.numbered.is_empty()
    }
}

/// The operator of a [`Route`], in vtgate's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A read.
    Route,
    /// INSERT and REPLACE.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// A statement passed on as it is.
    Send,
    /// A data definition statement.
    Ddl,
}

/// Values that an INSERT takes from a sequence.
#[derive(Clone, Debug)]
pub struct Generate {
    /// The keyspace of the sequence table.
    pub keyspace: Arc<str>,
    /// The sequence table.
    pub sequence: Arc<str>,
    /// For each row what it gives for the column; a row gets a generated value if that is NULL,
    /// DEFAULT, 0 (unless `sql_mode` has `NO_AUTO_VALUE_ON_ZERO`) or missing.
    pub rows: Vec<GivenValue>,
    /// The answer is rows (RETURNING), not counts.
    pub returning: bool,
}

/// What a row of an INSERT gives for its auto-increment column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenValue {
    /// A literal or parameter; NULL or 0 in it asks for a generated value.
    Hole(HoleId),
    /// Nothing, NULL or DEFAULT.
    Absent,
    /// An expression: it is kept as it is.
    Kept,
}

impl Generate {
    /// For each row, in order, whether it takes a generated value.
    pub fn wanted<'a, B: Bindings>(&'a self, bindings: &'a B) -> impl Iterator<Item = bool> + 'a {
        self.rows.iter().map(|row| match row {
            GivenValue::Absent => true,
            GivenValue::Kept => false,
            GivenValue::Hole(hole) => match bindings.value(*hole) {
                Value::Null => true,
                _ if bindings.zero() == Zero::Kept => false,
                Value::Int(0) | Value::UInt(0) => true,
                Value::Text(text) => text.as_ref() == b"0",
                _ => false,
            },
        })
    }

    /// How many values must be reserved.
    pub fn count<B: Bindings>(&self, bindings: &B) -> u64 {
        self.wanted(bindings).filter(|wanted| *wanted).count() as u64
    }
}

/// `SELECT NEXT n VALUES FROM sequence`.
#[derive(Clone, Debug)]
pub struct NextValue {
    /// The keyspace of the sequence table.
    pub keyspace: Arc<str>,
    /// The sequence table.
    pub sequence: Arc<str>,
    /// How many values; `None` is one.
    pub count: Option<HoleId>,
}

/// A read on several shards whose rows must be merged. If the route resolves to one shard the
/// stages run all the same: the rows have hidden columns and a raised LIMIT.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Where the rows come from.
    pub route: Route,
    /// In which order the shards' rows are taken.
    pub order: SourceOrder,
    /// Columns appended to the select list, which the client must not see. They are the last ones
    /// of every row until the truncation at the end of the stages.
    pub hidden: usize,
    /// What happens to the rows, in order. Truncation to the visible columns is implied at the end.
    pub stages: Vec<Stage>,
}

/// In which order the rows of several shards are taken.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceOrder {
    /// Any order.
    Concatenate,
    /// Every shard sends sorted rows; the smallest head is next.
    MergeSort(Vec<SortKey>),
}

/// A column of the rows inside a [`Merge`]. Both forms are needed because `*` has an unknown number
/// of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnRef {
    /// Counted from the first column.
    Visible(usize),
    /// Counted from the first hidden column.
    Hidden(usize),
}

impl ColumnRef {
    /// The column's number in a row of `width` columns, of which the last `hidden` are hidden.
    pub fn index(self, width: usize, hidden: usize) -> usize {
        match self {
            Self::Visible(index) => index,
            Self::Hidden(index) => width - hidden + index,
        }
    }
}

/// A column by which rows are compared, with what text needs: its weight string and the weight of
/// a space in its collation, both computed by the server. Columns that turn out not to be text at
/// run time are compared by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareKey {
    /// The column.
    pub column: ColumnRef,
    /// Its weight string and pad weight; `None` if the column is known not to be text.
    pub weight: Option<Weight>,
}

/// The hidden columns that make text comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// `WEIGHT_STRING(column)`.
    pub string: ColumnRef,
    /// The weight of one space if the collation is PAD SPACE, NULL if it is NO PAD.
    pub pad: ColumnRef,
}

/// A term of a sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// What is compared.
    pub key: CompareKey,
    /// Direction.
    pub direction: Direction,
}

/// The direction of a [`SortKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// NULL first.
    Ascending,
    /// NULL last.
    Descending,
}

/// A step over merged rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Groups of adjacent rows with equal keys become one row. Without keys all rows are one
    /// group, and there is exactly one result row even if there was none.
    Aggregate {
        /// GROUP BY.
        keys: Vec<CompareKey>,
        /// What is computed; columns not named keep the value of the group's first row.
        aggregates: Vec<Aggregate>,
    },
    /// Rows equal in all keys are kept once.
    Distinct(Vec<CompareKey>),
    /// Sort in memory.
    Sort(Vec<SortKey>),
    /// LIMIT and OFFSET.
    Limit {
        /// Rows to return; `None`: all after the offset.
        count: Option<LimitValue>,
        /// Rows to skip.
        offset: Option<LimitValue>,
    },
}

/// A number in LIMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitValue {
    /// A literal or parameter.
    Hole(HoleId),
    /// A number fixed by the plan.
    Constant(u64),
}

/// An aggregate over partial results of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// The column with the partial result, and where the result goes.
    pub column: ColumnRef,
}

/// How partial results of the shards are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// The sum of the shards' counts; 0 for no row.
    Count,
    /// The sum of the shards' sums; NULL if all are NULL.
    Sum,
    /// The smallest value.
    Min {
        /// What makes text comparable: the weight of the shard's own minimum.
        weight: Option<Weight>,
    },
    /// The greatest value.
    Max {
        /// What makes text comparable: the weight of the shard's own maximum.
        weight: Option<Weight>,
    },
    /// Sum divided by count, both in hidden columns; NULL if the count is 0.
    Avg {
        /// SUM of the same argument.
        sum: ColumnRef,
        /// COUNT of the same argument.
        count: ColumnRef,
    },
}

/// What a plan reads of the statement it runs for. The executor implements it over the text as it
/// came, the lexer's holes and the bound parameters.
pub trait Bindings {
    /// The statement's bytes, up to its `;` if there is one.
    fn text(&self) -> &[u8];
    /// How many holes there are.
    fn hole_count(&self) -> usize;
    /// The bytes of a hole in the text.
    fn hole_span(&self, hole: HoleId) -> std::ops::Range<usize>;
    /// Whether the hole is a `?` whose value travels apart from the text.
    fn is_placeholder(&self, hole: HoleId) -> bool;
    /// The value of a literal or of a bound parameter.
    fn value(&self, hole: HoleId) -> Value<'_>;
    /// Where a place of the skeleton is in this text.
    fn offset(&self, place: SkeletonOffset) -> usize;
    /// The character set of the value of a literal or of a bound parameter.
    fn charset(&self, hole: HoleId) -> ClientCharset;
    /// What the session's servers store for 0 in a column that they number.
    fn zero(&self) -> Zero;
    /// The SQL literal that stands for a value of the session.
    fn session_value(&self, value: SessionValue, out: &mut Vec<u8>);
}

/// The character sets that a client's text goes through before it is a value, as far as vindexes
/// care: they hash UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCharset {
    /// utf8mb4.
    Utf8,
    /// utf8mb3, which loses characters of four bytes.
    Utf8ThreeBytes,
    /// Others that agree with ASCII: other characters cannot be routed by.
    Ascii,
    /// Bytes that are no characters yet: they are ASCII to columns that agree with ASCII, while
    /// those in utf16 take two of them for a character.
    Binary,
    /// Not even ASCII bytes are certain to mean ASCII: swe7, or a connection in utf16.
    Unknown,
    /// That of an introducer in front of the literal, to which servers fit the bytes.
    Introduced,
}

/// Something that only the session knows, and that a server on a pooled connection would answer
/// wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionValue {
    /// LAST_INSERT_ID()
    LastInsertId,
    /// FOUND_ROWS()
    FoundRows,
    /// ROW_COUNT()
    RowCount,
    /// DATABASE(), SCHEMA(): the keyspace.
    Database,
    /// CONNECTION_ID()
    ConnectionId,
    /// USER(), SESSION_USER(), SYSTEM_USER()
    User,
}

/// Shards that a route goes to, decided for one execution.
#[derive(Debug)]
pub enum Resolution {
    /// These shards; for most statements one. Never empty.
    Shards(smallvec::SmallVec<[ShardPart; 1]>),
    /// Any one shard of the keyspace gives the right answer: prefer one whose connection is open.
    AnyShard,
    /// Every shard of the keyspace.
    AllShards,
    /// A value cannot be turned into a shard without risk of a wrong answer: run
    /// [`Plan::otherwise`], or return the error if there is none.
    Unusable(crate::error::SqlError),
}

/// A shard and the part of the statement's list or rows that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPart {
    /// Number of the shard in its keyspace's shard map.
    pub shard: usize,
    /// Which items of the IN list, or which rows of VALUES; `None`: all.
    pub items: Option<Vec<u32>>,
}
