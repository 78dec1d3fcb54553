//! A histogram of durations in fixed buckets, made of relaxed atomics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds; one more bucket has no bound.
pub(super) const BOUNDS: [u64; 18] = [
    50, 100, 200, 400, 800, 1_500, 3_000, 6_000, 12_000, 25_000, 50_000, 100_000, 200_000, 400_000,
    800_000, 2_000_000, 5_000_000, 15_000_000,
];

/// A histogram that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The sum of some histograms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Distribution {
    /// Per bucket, not cumulated.
    pub(super) counts: [u64; BOUNDS.len() + 1],
    /// All durations together.
    pub(super) sum: Duration,
}

impl Histogram {
    /// Counts a duration.
    pub(super) fn record(&self, duration: Duration) {
        let microseconds = duration.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|bound| *bound < microseconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Adds what was counted to `total`.
    pub(super) fn add_to(&self, total: &mut Distribution) {
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        total.sum += Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let histogram = Histogram::default();
        for microseconds in [1, 50, 51, 20_000_000] {
            histogram.record(Duration::from_micros(microseconds));
        }
        let mut total = Distribution::default();
        histogram.add_to(&mut total);
        histogram.add_to(&mut total);
        assert_eq!(total.counts[..2], [4, 2]);
        assert_eq!(total.counts[BOUNDS.len()], 2);
        assert_eq!(total.sum, Duration::from_micros(2 * 20_000_102));
    }
}
