//! What people and the API see of the steward.

use super::Steward;
use crate::canary::change::ChangeError;
use crate::canary::history::{Digest, Version};
use crate::canary::state::State;

/// The files as they are now, which were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedFiles {
    /// Their digest; `None` if they could not be read.
    pub digest: Option<Digest>,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why, as text for people.
    pub report: String,
    /// Whether they only wait for a canary to end.
    pub waits: Waits,
}

/// What would make refused files acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// They must be corrected.
    ForCorrection,
    /// The end of the canary.
    ForCanary,
}

/// A look at everything at once.
#[derive(Clone, Debug)]
pub struct Status {
    /// Active version and canary.
    pub state: State,
    /// The version that serves, with its files.
    pub active: Option<Version>,
    /// Refused files; they stay here until they are good or as before.
    pub refused: Option<RefusedFiles>,
}

impl Steward {
    /// A look at everything at once.
    pub fn status(&self) -> Status {
        let inner = self.inner.lock();
        let active = inner.records.version(inner.state.active).ok().cloned();
        Status { state: inner.state.clone(), active, refused: inner.refused.clone() }
    }

    /// The number of the active version.
    pub fn active_version(&self) -> u64 {
        self.inner.lock().state.active
    }

    /// Every version that is kept, the newest first.
    pub fn history(&self) -> Vec<Version> {
        self.inner.lock().records.versions().rev().cloned().collect()
    }

    /// One version with its files.
    pub fn version(&self, number: u64) -> Result<Version, ChangeError> {
        self.inner.lock().records.version(number).cloned()
    }
}
