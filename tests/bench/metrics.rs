//! What counting a statement costs: the proxy's own counters, and the types of the crate
//! `prometheus` doing the same. `cargo bench --bench metrics` prints nanoseconds; nothing is
//! checked.

#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::print_stdout, reason = "its result goes there")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use geogate::observe::{Metrics, Query};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

const TIMES: u32 = 10_000_000;

fn main() {
    let metrics = Metrics::new(1, vec!["shop".to_owned()]);
    let bounds = vec![
        5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2, 2.5e-2, 5e-2, 0.1, 0.2, 0.4, 0.8,
        2.0, 5.0, 15.0,
    ];
    let histogram = Histogram::with_opts(HistogramOpts::new("a", "b").buckets(bounds));
    let histogram = histogram.expect("the options are valid");
    let counter = IntCounter::new("c", "d").expect("the name is valid");
    let labels = ["kind", "keyspace", "route", "generation"];
    let family = IntCounterVec::new(Opts::new("e", "f"), &labels).expect("the names are valid");
    let values = ["select", "shop", "EqualUnique", "stable"];
    measure("own: a wait (histogram)", |waited| metrics.record_wait(0, waited));
    measure("own: a statement (counter by labels, histogram)", |elapsed| {
        metrics.record_query(0, &Query { elapsed, ..Query::default() });
    });
    measure("own: a plan (counter)", |_| metrics.record_plan_hit(0));
    measure("prometheus: histogram", |elapsed| histogram.observe(elapsed.as_secs_f64()));
    measure("prometheus: counter", |_| counter.inc());
    measure("prometheus: counter by labels", |_| {
        family.with_label_values(black_box(&values)).inc();
    });
}

/// The best of three rounds: other work can only lengthen one.
fn measure(name: &str, mut work: impl FnMut(Duration)) {
    let mut round = || {
        let start = Instant::now();
        for at in 0..TIMES {
            work(black_box(Duration::from_nanos(u64::from(40_000 + at % 1024 * 391))));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    };
    let best = (0..3).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{name}: {best:.1} ns");
}
