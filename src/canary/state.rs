//! What must be known after a restart: the active version and the canary.

use serde::{Deserialize, Serialize};

use super::history::Digest;
use super::split::{InvalidWeight, Split, Weight};

/// The document `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version that serves.
    pub active: u64,
    /// The version that served before it.
    pub previous: Option<u64>,
    /// The files at the configured path when they were last taken over, or found to be what is
    /// active. While they do not change the active version stays, wherever it came from.
    pub files_digest: Digest,
    /// Files that were edited while a canary ran: they wait for an operator's word.
    #[serde(default)]
    pub set_aside: Option<Digest>,
    /// The canary that runs.
    pub canary: Option<CanaryState>,
    /// How the last one ended.
    #[serde(default)]
    pub last_canary: Option<EndedCanary>,
}

/// A canary that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryState {
    /// Key of the hash that splits.
    pub rollout: u64,
    /// The version on trial.
    pub candidate: u64,
    /// Its share.
    pub weight_basis_points: u16,
    /// Who started it.
    pub started_by: String,
    /// When, in seconds since 1970.
    pub started_at: u64,
}

/// A canary that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedCanary {
    /// The version that was on trial.
    pub candidate: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Who ended it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// How a canary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The candidate serves everyone.
    Promoted,
    /// The candidate serves nobody.
    Aborted,
}

impl State {
    /// The name of the document.
    pub const DOCUMENT: &'static str = "state.json";

    /// Makes `number` the active version.
    pub fn serve(&mut self, number: u64) {
        if number != self.active {
            self.previous = Some(std::mem::replace(&mut self.active, number));
        }
    }
}

impl CanaryState {
    /// The split it describes.
    pub fn split(&self) -> Result<Split, InvalidWeight> {
        let weight = Weight::new(u32::from(self.weight_basis_points))?;
        Ok(Split::new(self.rollout, weight))
    }
}
