//! Every metric: name, type, labels, help. Names and units are fixed for dashboards.

use prometheus::Opts;

/// A metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name with prefix.
    pub name: &'static str,
    /// How it behaves.
    pub shape: Shape,
    /// Its labels in order.
    pub labels: &'static [&'static str],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It only rises.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Family {
    /// The same in the words of the crate, for its own types.
    pub(super) fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }
}

/// Writes the constants and the list [`ALL`] from one table.
macro_rules! families {
    ($($constant:ident = $shape:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family = Family {
                name: concat!("geogate_", $name),
                shape: Shape::$shape,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// Every family, in the order of the table.
        pub const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    QUERIES = Counter "queries_total" ["kind", "keyspace", "route", "generation"]
        "Statements that were answered.";
    QUERY_DURATION = Histogram "query_duration_seconds" []
        "Time from a statement's last byte in to its answer's last byte out.";
    QUERY_ERRORS = Counter "query_errors_total" ["errno", "origin", "generation"]
        "Statements that were answered with an error, by who caused it.";
    ROWS_RETURNED = Counter "rows_returned_total" [] "Rows sent to clients.";
    PLAN_CACHE_HITS = Counter "plan_cache_hits_total" [] "Statements whose plan was known.";
    PLAN_CACHE_MISSES = Counter "plan_cache_misses_total" [] "Statements that were planned.";
    PLAN_CACHE_EVICTIONS = Counter "plan_cache_evictions_total" []
        "Plans that made room for others.";
    PLAN_CACHE_ENTRIES = Gauge "plan_cache_entries" [] "Plans that are kept.";
    SCATTER_QUERIES = Counter "scatter_queries_total" []
        "Statements that were sent to more than one shard.";
    STATEMENT_TIMEOUTS = Counter "statement_timeouts_total" []
        "Statements that took longer than statement_timeout_ms.";
    STATEMENTS_GIVEN_UP = Counter "statements_given_up_total" []
        "Times that servers had not ended such a statement within statement_timeout_grace_ms.";
    CONNECTIONS = Gauge "connections" ["state"] "Client connections.";
    SESSIONS_PINNED = Gauge "sessions_pinned" ["reason"]
        "Sessions that keep a server connection to themselves, by what they hold there.";
    BACKEND_CONNECTIONS = Gauge "backend_connections" ["server", "state"]
        "Connections to servers.";
    BACKEND_WAIT = Histogram "backend_wait_seconds" []
        "Time a statement waited for a connection to a server.";
    SERVER_UP = Gauge "server_up" ["keyspace", "shard", "server", "role", "region"]
        "Whether a server answers its monitor.";
    SHARD_PRIMARY = Gauge "shard_primary" ["keyspace", "shard"]
        "Whether a shard has a primary in service that answers.";
    SPLIT_BRAIN = Gauge "split_brain" ["keyspace", "shard"]
        "Whether more than one server of a shard is writable.";
    REPLICATION_LAG = Gauge "replication_lag_seconds" ["keyspace", "shard", "server"]
        "Lag of a replica as it estimates it; absent while it is not known.";
    REGION_LATENCY = Gauge "region_latency_seconds" ["from", "to"]
        "Round trip to the nearest server of a region, moving average.";
    CONSISTENCY_FALLBACKS = Counter "consistency_fallbacks_total" ["level", "to"]
        "Reads that nobody in the client's region could answer.";
    VSCHEMA_VERSION = Gauge "vschema_version" [] "Number of the VSchema in service.";
    VSCHEMA_RELOADS = Counter "vschema_reloads_total" ["result"]
        "Changes of the VSchema in service that were asked for, by file, signal, API or canary.";
    VSCHEMA_DRAFT = Gauge "vschema_draft" []
        "Whether the VSchema files are other than what serves, because they were refused.";
    CANARY_WEIGHT = Gauge "canary_weight_ratio" []
        "Share of the traffic that the candidate VSchema gets.";
    TRANSACTIONS = Counter "transactions_total" ["mode", "outcome"]
        "Transactions that ended, on one shard or on several.";
    AUTH_FAILURES = Counter "auth_failures_total" [] "Logins that were refused.";
    CLIENTS_ENDED = Counter "clients_ended_total" ["limit"]
        "Clients that were ended for what they did to others, by the limit that they reached.";
    MEMORY_BYTES = Gauge "memory_bytes" ["of"]
        "Memory that clients make the process hold, all that is resident, and the limit of that.";
    MEMORY_REFUSED = Counter "memory_refused_total" []
        "How often a client was refused memory by a limit.";
    LOGINS_UNFINISHED = Counter "logins_unfinished_total" ["reason"]
        "Clients that were shown out before they had logged in: late, or to make room for others.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for family in ALL {
            let counter = family.shape == Shape::Counter;
            assert_eq!(family.name.ends_with("_total"), counter, "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }
}
