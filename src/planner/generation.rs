//! A generation: one VSchema with the servers' columns, its number, and the plans made from them.
//! Immutable but for its cache.
//!
//! Sessions hold an `Arc` of it from the first to the last statement of a transaction, so a swap
//! never changes what a running transaction sees, and a plan never outlives what it was made from.

use std::sync::Arc;

use crate::engine::plan::Plan;
use crate::vschema::VSchema;

use super::cache::PlanCache;
use super::live_columns::LiveColumns;

/// A VSchema in service with its plans.
#[derive(Debug)]
pub struct Generation {
    number: u64,
    origin: Box<str>,
    vschema: Arc<VSchema>,
    columns: Arc<LiveColumns>,
    plans_max: usize,
    plans: PlanCache<Plan>,
}

impl Generation {
    /// A generation without plans and live columns. `number` is the version of the VSchema,
    /// `origin` where that came from, `plans_max` what `limits.plan_cache_entries` says.
    pub fn new(number: u64, origin: &str, vschema: Arc<VSchema>, plans_max: usize) -> Self {
        Self {
            number,
            origin: origin.into(),
            vschema,
            columns: Arc::default(),
            plans_max,
            plans: PlanCache::new(plans_max),
        }
    }

    /// The same VSchema and number with other live columns, and without plans.
    #[must_use]
    pub fn with_columns(&self, columns: Arc<LiveColumns>) -> Self {
        Self {
            number: self.number,
            origin: self.origin.clone(),
            vschema: Arc::clone(&self.vschema),
            columns,
            plans_max: self.plans_max,
            plans: PlanCache::new(self.plans_max),
        }
    }

    /// The version of its VSchema: higher is newer, no two VSchemas of a proxy share one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where its VSchema came from: a path, or who sent it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its VSchema.
    pub fn vschema(&self) -> &Arc<VSchema> {
        &self.vschema
    }

    /// The columns of the servers that its plans are made with.
    pub fn columns(&self) -> &Arc<LiveColumns> {
        &self.columns
    }

    /// Its plans.
    pub fn plans(&self) -> &PlanCache<Plan> {
        &self.plans
    }
}
