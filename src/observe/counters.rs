//! The counters of one worker.
//!
//! Only the worker's own thread writes them, so that additions do not contend; a scrape reads the
//! counters of all workers and adds them up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::Histogram;

/// An enum whose values are labels: number and name.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$value_doc:meta])* $value:ident = $label:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl $name {
            /// All values, in order.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// The value of the label.
            pub fn label(self) -> &'static str {
                match self { $(Self::$value => $label,)* }
            }

            pub(super) fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// What a statement is.
    Kind {
        /// SELECT, VALUES, TABLE, WITH.
        Select = "select",
        /// INSERT.
        Insert = "insert",
        /// REPLACE.
        Replace = "replace",
        /// UPDATE.
        Update = "update",
        /// DELETE.
        Delete = "delete",
        /// BEGIN, COMMIT, ROLLBACK, savepoints.
        Transaction = "transaction",
        /// SET.
        Set = "set",
        /// USE.
        Use = "use",
        /// SHOW, EXPLAIN.
        Show = "show",
        /// CREATE, ALTER, DROP, TRUNCATE, RENAME.
        Ddl = "ddl",
        /// CALL, DO.
        Call = "call",
        #[default]
        /// Anything else.
        Other = "other",
    }
}

labels! {
    /// Why a client was ended, by the limit that it reached.
    Ended {
        #[default]
        /// It did not take its answer.
        WriteTimeout = "client_write_timeout_ms",
        /// It did not send the rest of a command.
        ReadTimeout = "client_read_timeout_ms",
        /// It was slow, and others waited for its connection.
        Slow = "client_slow_ms",
        /// It held the most memory, and others needed some.
        Memory = "memory_bytes_max",
    }
}

labels! {
    /// How a statement was routed, in vtgate's words where it has one.
    Route {
        /// The proxy answered it itself.
        Proxy = "Proxy",
        #[default]
        /// Sent as it was to the only servers there are.
        PassThrough = "PassThrough",
        /// To an unsharded keyspace.
        Unsharded = "Unsharded",
        /// To the one shard of a unique vindex's value.
        EqualUnique = "EqualUnique",
        /// To the shards of a vindex's value.
        Equal = "Equal",
        /// To the shards of a list of values.
        In = "IN",
        /// To the shards of a list of tuples.
        MultiEqual = "MultiEqual",
        /// To the shards of a prefix of a multi-column vindex.
        SubShard = "SubShard",
        /// To the shards of a range of values.
        Between = "Between",
        /// To every shard.
        Scatter = "Scatter",
        /// To any shard, for a reference table.
        Reference = "Reference",
        /// Nowhere: the predicate cannot be true.
        None = "None",
        /// To the shard that the client named.
        ByDestination = "ByDestination",
        /// The next value of a sequence.
        Next = "Next",
        /// To any shard, for information_schema and the like.
        Dba = "DBA",
    }
}

labels! {
    /// The VSchema that a statement was planned with.
    Side {
        #[default]
        /// The one in service.
        Stable = "stable",
        /// The one on trial.
        Candidate = "candidate",
    }
}

labels! {
    /// How many shards took part in a transaction.
    TransactionMode {
        #[default]
        /// One.
        Single = "single",
        /// Several, without atomicity over them.
        Multi = "multi",
    }
}

labels! {
    /// How a transaction ended.
    Outcome {
        #[default]
        /// Committed everywhere.
        Commit = "commit",
        /// Rolled back.
        Rollback = "rollback",
        /// Committed on some shards and not on others.
        Partial = "partial",
        /// A connection broke.
        Lost = "lost",
    }
}

labels! {
    /// Where a read went that its level would rather have answered nearby.
    Way {
        #[default]
        /// An eventual read to a replica of another region.
        EventualToRegion = "region",
        /// An eventual read to the primary in another region.
        EventualToPrimary = "primary",
    }
}

/// A statement that was answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query {
    /// What it is.
    pub kind: Kind,
    /// The number of its keyspace in the list given to [`super::Metrics::new`]; `None` if it has
    /// none or several.
    pub keyspace: Option<usize>,
    /// How it was routed.
    pub route: Route,
    /// Which VSchema planned it.
    pub side: Side,
    /// How long it took.
    pub elapsed: Duration,
    /// Rows sent to the client.
    pub rows: u64,
}

/// The counters of a worker, on cache lines that no other worker writes (processors fetch them in
/// pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters {
    keyspaces: usize,
    queries: Box<[AtomicU64]>,
    pub(super) durations: Histogram,
    pub(super) waits: Histogram,
    pub(super) rows: AtomicU64,
    pub(super) scatters: AtomicU64,
    pub(super) plan_hits: AtomicU64,
    pub(super) plan_misses: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) given_up: AtomicU64,
    transactions: [[AtomicU64; Outcome::ALL.len()]; TransactionMode::ALL.len()],
    fallbacks: [AtomicU64; Way::ALL.len()],
}

impl Counters {
    /// Counters for so many keyspaces, and one more label for statements without one.
    pub(super) fn new(keyspaces: usize) -> Self {
        let count = Kind::ALL.len() * (keyspaces + 1) * Route::ALL.len() * Side::ALL.len();
        Self {
            keyspaces,
            queries: (0..count).map(|_| AtomicU64::new(0)).collect(),
            durations: Histogram::default(),
            waits: Histogram::default(),
            rows: AtomicU64::new(0),
            scatters: AtomicU64::new(0),
            plan_hits: AtomicU64::new(0),
            plan_misses: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            transactions: Default::default(),
            fallbacks: Default::default(),
        }
    }

    pub(super) fn query(&self, query: &Query) {
        let keyspace = query.keyspace.unwrap_or(self.keyspaces).min(self.keyspaces);
        let at = self.place(query.kind, keyspace, query.route, query.side);
        add(&self.queries[at], 1);
        self.durations.record(query.elapsed);
        if query.rows > 0 {
            add(&self.rows, query.rows);
        }
    }

    pub(super) fn transaction(&self, mode: TransactionMode, outcome: Outcome) {
        add(&self.transactions[mode.index()][outcome.index()], 1);
    }

    pub(super) fn fallback(&self, way: Way) {
        add(&self.fallbacks[way.index()], 1);
    }

    pub(super) fn queries(&self, kind: Kind, keyspace: usize, route: Route, side: Side) -> u64 {
        read(&self.queries[self.place(kind, keyspace, route, side)])
    }

    pub(super) fn transactions(&self, mode: TransactionMode, outcome: Outcome) -> u64 {
        read(&self.transactions[mode.index()][outcome.index()])
    }

    pub(super) fn fallbacks(&self, way: Way) -> u64 {
        read(&self.fallbacks[way.index()])
    }

    fn place(&self, kind: Kind, keyspace: usize, route: Route, side: Side) -> usize {
        let row = kind.index() * (self.keyspaces + 1) + keyspace;
        (row * Route::ALL.len() + route.index()) * Side::ALL.len() + side.index()
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Reads a counter.
pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
