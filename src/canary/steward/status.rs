//! What people and the API see of the steward.

use std::path::Path;

use super::Steward;
use crate::canary::change::{Actor, ChangeError};
use crate::canary::history::{Digest, Version};
use crate::canary::state::State;

/// The files as they are now, which do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Their digest; `None` if they could not be read.
    pub digest: Option<Digest>,
    /// Since when, in seconds since 1970.
    pub at: u64,
    /// Why they do not serve.
    pub reason: DraftReason,
    /// The same with details, as text for people.
    pub report: String,
    /// Whether something else has changed that the reason depends on.
    pub(super) look_again: bool,
}

/// Why files do not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftReason {
    /// They cannot be read.
    Unreadable,
    /// They have mistakes.
    Invalid,
    /// They do not fit the configured keyspaces.
    Unfit,
    /// Rows would have to be in other places than they are.
    MovesRows,
    /// They were edited while a canary ran.
    EditedDuringCanary,
    /// They were not edited from the active version.
    Older,
    /// The state folder cannot be written.
    StateFolder,
}

impl Draft {
    pub(super) fn new(digest: Option<Digest>, error: &ChangeError, actor: &Actor) -> Self {
        let reason = match error {
            ChangeError::Unreadable(_) => DraftReason::Unreadable,
            ChangeError::Unfit(_) => DraftReason::Unfit,
            ChangeError::MovesRows(_) | ChangeError::Differs(_) => DraftReason::MovesRows,
            ChangeError::CanaryRuns(_) | ChangeError::EditedDuringCanary => {
                DraftReason::EditedDuringCanary
            }
            ChangeError::OlderFiles { .. } => DraftReason::Older,
            ChangeError::Store { .. } | ChangeError::Damaged { .. } => DraftReason::StateFolder,
            _ => DraftReason::Invalid,
        };
        Self { digest, at: actor.at, reason, report: error.to_string(), look_again: false }
    }

    /// Whether the same files do not serve for the same reason.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.digest, &self.report) == (&other.digest, &other.report)
    }
}

impl DraftReason {
    /// One word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Invalid => "invalid",
            Self::Unfit => "unfit",
            Self::MovesRows => "moves_rows",
            Self::EditedDuringCanary => "edited_during_canary",
            Self::Older => "older",
            Self::StateFolder => "state_folder",
        }
    }
}

/// A look at everything at once.
#[derive(Clone, Debug)]
pub struct Status {
    /// Active version and canary.
    pub state: State,
    /// The version that serves, with its files.
    pub active: Option<Version>,
    /// Files that do not serve; they stay here until they do or are as before.
    pub draft: Option<Draft>,
}

impl Steward {
    /// A look at everything at once.
    pub fn status(&self) -> Status {
        let inner = self.inner.lock();
        let active = inner.records.version(inner.state.active).ok().cloned();
        Status { state: inner.state.clone(), active, draft: inner.draft.clone() }
    }

    /// The files, if they do not serve.
    pub fn draft(&self) -> Option<Draft> {
        self.inner.lock().draft.clone()
    }

    /// The path of the files.
    pub fn path(&self) -> &Path {
        &self.settings.path
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
