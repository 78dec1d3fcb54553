//! What the proxy tells about itself: metrics, and how often a message is worth a line.
//!
//! Recording on the way of a query is a few relaxed additions to counters of the worker that runs
//! it: no lock, no allocation, no label lookup. Labels are put together when somebody scrapes.
//! Observation never changes what is done.

mod counters;
mod exposition;
mod family;
mod histogram;
pub mod metrics;
mod seldom;

pub use counters::{Kind, Outcome, Query, Route, Side, TransactionMode, Way};
pub use exposition::Samples;
pub use family::Family;
pub use metrics::Metrics;
pub use seldom::Seldom;

/// Every metric by name; see [`Samples::set`].
pub mod families {
    pub use super::family::*;
}
