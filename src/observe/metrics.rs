//! All metrics of the proxy.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, Registry, TextEncoder};

use super::counters::{
    Counters, Ended, Kind, Outcome, Query, Route, Side, TransactionMode, Way, add, read,
};
use super::exposition::Samples;
use super::family;
use super::histogram::Distribution;

/// Something that tells values only when it is asked: pools, servers.
pub type Source = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// All metrics. Recording takes no lock and allocates nothing, except for errors.
#[derive(Debug)]
pub struct Metrics {
    recorded: Arc<Recorded>,
    /// By errno, origin and side.
    errors: IntCounterVec,
    auth_failures: IntCounter,
    registry: Registry,
}

/// What was recorded.
struct Recorded {
    keyspaces: Vec<String>,
    workers: Box<[Counters]>,
    logins_late: AtomicU64,
    logins_given_up: AtomicU64,
    /// By the place of an [`Ended`] among all.
    ended: [AtomicU64; Ended::ALL.len()],
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    /// Metrics for so many workers. A [`Query`] tells its keyspace by its place in `keyspaces`.
    pub fn new(workers: usize, keyspaces: Vec<String>) -> Self {
        let counters = || Counters::new(keyspaces.len());
        let recorded = Arc::new(Recorded {
            workers: (0..workers).map(|_| counters()).collect(),
            keyspaces,
            logins_late: AtomicU64::new(0),
            logins_given_up: AtomicU64::new(0),
            ended: Default::default(),
            sources: Mutex::default(),
        });
        const VALID: &str = "the names of the table are valid and differ";
        let errors = IntCounterVec::new(family::QUERY_ERRORS.opts(), family::QUERY_ERRORS.labels);
        let errors = errors.expect(VALID);
        let auth_failures = IntCounter::with_opts(family::AUTH_FAILURES.opts()).expect(VALID);
        let registry = Registry::new();
        let collectors: [Box<dyn Collector>; 3] = [
            Box::new(Scrape(Arc::clone(&recorded))),
            Box::new(errors.clone()),
            Box::new(auth_failures.clone()),
        ];
        for collector in collectors {
            registry.register(collector).expect(VALID);
        }
        Self { recorded, errors, auth_failures, registry }
    }

    /// Asks `source` at every scrape.
    pub fn add_source(&self, source: Source) {
        self.recorded.sources.lock().push(source);
    }

    /// Counts a statement that `worker` has answered.
    pub fn record_query(&self, worker: usize, query: &Query) {
        self.recorded.workers[worker].query(query);
    }

    /// Counts a statement that was answered with an error. `origin` is who caused it.
    pub fn record_error(&self, errno: u16, origin: &'static str, side: Side) {
        self.errors.with_label_values(&[&*errno.to_string(), origin, side.label()]).inc();
    }

    /// Counts the wait for a connection to a server.
    pub fn record_wait(&self, worker: usize, waited: Duration) {
        self.recorded.workers[worker].waits.record(waited);
    }

    /// Counts a statement that went to several shards.
    pub fn record_scatter(&self, worker: usize) {
        add(&self.recorded.workers[worker].scatters, 1);
    }

    /// Counts a statement whose time was over, or whose servers had not ended it after the grace.
    pub fn record_statement_timeout(&self, worker: usize, given_up: bool) {
        let counters = &self.recorded.workers[worker];
        add(if given_up { &counters.given_up } else { &counters.timeouts }, 1);
    }

    /// Counts a plan that was found in the cache.
    pub fn record_plan_hit(&self, worker: usize) {
        add(&self.recorded.workers[worker].plan_hits, 1);
    }

    /// Counts a statement that had to be planned.
    pub fn record_plan_miss(&self, worker: usize) {
        add(&self.recorded.workers[worker].plan_misses, 1);
    }

    /// Counts a transaction that ended.
    pub fn record_transaction(&self, worker: usize, mode: TransactionMode, outcome: Outcome) {
        self.recorded.workers[worker].transaction(mode, outcome);
    }

    /// Counts a read that had to leave the client's region.
    pub fn record_fallback(&self, worker: usize, way: Way) {
        self.recorded.workers[worker].fallback(way);
    }

    /// Counts a login that was refused.
    pub fn record_auth_failure(&self) {
        self.auth_failures.inc();
    }

    /// Counts a client that took too long to log in.
    pub fn record_late_login(&self) {
        add(&self.recorded.logins_late, 1);
    }

    /// Counts a client that had not logged in yet and had to make room for others.
    pub fn record_login_given_up(&self) {
        add(&self.recorded.logins_given_up, 1);
    }

    /// Counts clients that were ended.
    pub fn record_ended(&self, why: Ended, clients: usize) {
        add(&self.recorded.ended[why.index()], clients as u64);
    }

    /// The text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot write metrics");
            String::new()
        })
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("keyspaces", &self.keyspaces).finish_non_exhaustive()
    }
}

/// Adds up what the workers have counted.
struct Scrape(Arc<Recorded>);

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::default();
        self.0.totals(&mut samples);
        self.0.queries(&mut samples);
        for source in self.0.sources.lock().iter() {
            source(&mut samples);
        }
        samples.into_families()
    }
}

impl Recorded {
    /// What has no labels, or few.
    fn totals(&self, samples: &mut Samples) {
        let sum = |counter: fn(&Counters) -> &AtomicU64| {
            self.workers.iter().map(|worker| read(counter(worker))).sum::<u64>() as f64
        };
        samples.set(&family::ROWS_RETURNED, &[], sum(|w| &w.rows));
        samples.set(&family::SCATTER_QUERIES, &[], sum(|w| &w.scatters));
        samples.set(&family::PLAN_CACHE_HITS, &[], sum(|w| &w.plan_hits));
        samples.set(&family::PLAN_CACHE_MISSES, &[], sum(|w| &w.plan_misses));
        samples.set(&family::STATEMENT_TIMEOUTS, &[], sum(|w| &w.timeouts));
        samples.set(&family::STATEMENTS_GIVEN_UP, &[], sum(|w| &w.given_up));
        for (reason, count) in [("late", &self.logins_late), ("room", &self.logins_given_up)] {
            samples.set(&family::LOGINS_UNFINISHED, &[reason], read(count) as f64);
        }
        for why in Ended::ALL {
            let count = read(&self.ended[why.index()]);
            samples.set(&family::CLIENTS_ENDED, &[why.label()], count as f64);
        }
        let (mut durations, mut waits) = (Distribution::default(), Distribution::default());
        for worker in &self.workers {
            worker.durations.add_to(&mut durations);
            worker.waits.add_to(&mut waits);
        }
        samples.distribution(&family::QUERY_DURATION, &durations);
        samples.distribution(&family::BACKEND_WAIT, &waits);
    }

    /// What is counted by several labels: only what happened.
    fn queries(&self, samples: &mut Samples) {
        let mut queries: HashMap<[&str; 4], u64> = HashMap::new();
        let workers = || self.workers.iter();
        for (kind, route) in pairs(Kind::ALL, Route::ALL) {
            for keyspace in 0..=self.keyspaces.len() {
                for side in Side::ALL {
                    let counts = workers().map(|w| w.queries(kind, keyspace, route, *side));
                    let name = self.keyspaces.get(keyspace).map_or("", String::as_str);
                    let labels = [kind.label(), name, route.label(), side.label()];
                    *queries.entry(labels).or_default() += counts.sum::<u64>();
                }
            }
        }
        for (labels, count) in queries.into_iter().filter(|(_, count)| *count > 0) {
            samples.set(&family::QUERIES, &labels, count as f64);
        }
        for (mode, outcome) in pairs(TransactionMode::ALL, Outcome::ALL) {
            let count: u64 = workers().map(|worker| worker.transactions(mode, outcome)).sum();
            let labels = [mode.label(), outcome.label()];
            samples.set(&family::TRANSACTIONS, &labels, count as f64);
        }
        for way in Way::ALL {
            let count: u64 = workers().map(|worker| worker.fallbacks(*way)).sum();
            samples.set(&family::CONSISTENCY_FALLBACKS, &["eventual", way.label()], count as f64);
        }
    }
}

fn pairs<'a, A: Copy, B: Copy>(a: &'a [A], b: &'a [B]) -> impl Iterator<Item = (A, B)> + 'a {
    a.iter().flat_map(|a| b.iter().map(|b| (*a, *b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered() {
        let metrics = Metrics::new(2, vec!["shop".into()]);
        let query = Query {
            kind: Kind::Select,
            keyspace: Some(0),
            route: Route::EqualUnique,
            elapsed: Duration::from_micros(70),
            rows: 3,
            ..Query::default()
        };
        metrics.record_query(0, &query);
        metrics.record_query(1, &query);
        metrics.record_query(1, &Query { side: Side::Candidate, keyspace: None, ..query });
        metrics.record_error(1062, "server", Side::Stable);
        metrics.record_wait(0, Duration::from_millis(2));
        metrics.record_transaction(0, TransactionMode::Multi, Outcome::Partial);
        metrics.record_fallback(1, Way::EventualToPrimary);
        metrics.add_source(Box::new(|samples| {
            samples.set(&family::SERVER_UP, &["k", "-", "h:1", "primary", "us\"east"], 1.0);
        }));
        let text = metrics.render();
        for line in [
            "# HELP geogate_queries_total Statements that were answered.",
            "# TYPE geogate_queries_total counter",
            "geogate_queries_total{kind=\"select\",keyspace=\"shop\",route=\"EqualUnique\",\
             generation=\"stable\"} 2",
            "geogate_queries_total{kind=\"select\",keyspace=\"\",route=\"EqualUnique\",\
             generation=\"candidate\"} 1",
            "# TYPE geogate_query_duration_seconds histogram",
            "geogate_query_duration_seconds_bucket{le=\"0.00005\"} 0",
            "geogate_query_duration_seconds_bucket{le=\"0.0001\"} 3",
            "geogate_query_duration_seconds_bucket{le=\"+Inf\"} 3",
            "geogate_query_duration_seconds_count 3",
            "geogate_query_errors_total{errno=\"1062\",generation=\"stable\",origin=\"server\"} 1",
            "geogate_rows_returned_total 9",
            "geogate_transactions_total{mode=\"multi\",outcome=\"partial\"} 1",
            "geogate_consistency_fallbacks_total{level=\"eventual\",to=\"primary\"} 1",
            "geogate_server_up{keyspace=\"k\",shard=\"-\",server=\"h:1\",role=\"primary\",region=\"us\\\"east\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        promtool_agrees(&text);
    }

    /// `promtool check metrics` where it is installed.
    fn promtool_agrees(text: &str) {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut command = Command::new("promtool");
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else { return };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
