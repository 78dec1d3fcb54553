//! What the proxy tells about itself: metrics.
//!
//! Recording on the way of a query is a few relaxed additions to counters of the worker that runs
//! it: no lock, no allocation, no label lookup. Labels are put together when somebody scrapes.
//! Observation never changes what is done.

mod counters;
mod exposition;
mod family;
mod histogram;
pub mod metrics;

pub use counters::{Kind, Outcome, Query, Route, Side, TransactionMode, Way};
pub use exposition::Samples;
pub use family::Family;
pub use metrics::Metrics;

/// Every metric by name; see [`Samples::set`].
pub mod families {
    pub use super::family::*;
}
