//! Samples on their way into the text format.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::family::{Family, Shape};
use super::histogram::{BOUNDS, Distribution};

/// What a scrape has collected so far.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<&'static str, MetricFamily>);

impl Samples {
    /// Enters a value of a counter or gauge; `labels` are the values of the family's labels in
    /// order.
    pub fn set(&mut self, family: &Family, labels: &[&str], value: f64) {
        let mut metric = labelled(family, labels);
        if family.shape == Shape::Counter {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.enter(family, metric);
    }

    /// Enters a distribution of durations.
    pub(super) fn distribution(&mut self, family: &Family, distribution: &Distribution) {
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, count) in BOUNDS.iter().zip(distribution.counts) {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64 / 1e6);
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(distribution.counts.iter().sum());
        histogram.set_sample_sum(distribution.sum.as_secs_f64());
        let mut metric = labelled(family, &[]);
        metric.set_histogram(histogram);
        self.enter(family, metric);
    }

    /// The families in the order of their names.
    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_values().collect()
    }

    fn enter(&mut self, family: &Family, metric: Metric) {
        let entry = self.0.entry(family.name).or_insert_with(|| {
            let mut made = MetricFamily::default();
            made.set_name(family.name.to_owned());
            made.set_help(family.help.to_owned());
            made.set_field_type(match family.shape {
                Shape::Counter => MetricType::COUNTER,
                Shape::Gauge => MetricType::GAUGE,
                Shape::Histogram => MetricType::HISTOGRAM,
            });
            made
        });
        entry.mut_metric().push(metric);
    }
}

fn labelled(family: &Family, values: &[&str]) -> Metric {
    debug_assert_eq!(family.labels.len(), values.len(), "labels of {}", family.name);
    let pairs = family.labels.iter().zip(values).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}
