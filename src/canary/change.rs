//! What a change of the VSchema in service amounts to, and why one is refused.

use super::compare::{Difference, render_differences};
use crate::vschema::{Problem, render_text};

/// Who asks for a change, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `user 'admin'`, `token 1 (admin)`, `files`.
    pub name: String,
    /// Seconds since 1970.
    pub at: u64,
}

/// Whether something became different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It did, or would.
    Changed,
    /// What was asked for was so already.
    Nothing,
}

/// A change that was made, or would be made by a dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Whether there was anything to do.
    pub effect: Effect,
    /// The version that serves, or is on trial, now.
    pub version: u64,
    /// The version that served before.
    pub previous: u64,
    /// Warnings of the validation.
    pub warnings: Vec<Problem>,
    /// What will be refused under the new VSchema, by name.
    pub cautions: Vec<String>,
    /// How homes and upkeep of rows differ from before: an operator should know.
    pub differences: Vec<Difference>,
}

impl Changed {
    /// Whether what was asked for was so already.
    pub fn is_nothing(&self) -> bool {
        self.effect == Effect::Nothing
    }
}

/// Why a change was refused. What served goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The path cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The VSchema has errors.
    #[error("the VSchema has errors\n{}", render_text(.0))]
    Invalid(Vec<Problem>),
    /// It does not fit the configured keyspaces.
    #[error("the VSchema does not fit the configuration\nerror: {}", .0.join("\nerror: "))]
    Unfit(Vec<String>),
    /// It cannot be served beside the active one.
    #[error("the candidate cannot be served beside the active VSchema\n{}", render_differences(.0))]
    Differs(Vec<Difference>),
    /// It is the active one.
    #[error("the candidate is equal to active version {0}; there is nothing to try")]
    Same(u64),
    /// Somebody else was faster.
    #[error("version {active} is active, not {expected}; look at the newer one and try again")]
    Stale {
        /// What the caller has seen.
        expected: u64,
        /// What is active.
        active: u64,
    },
    /// A canary stands in the way.
    #[error("a canary of version {0} is running; promote or abort it first")]
    CanaryRuns(u64),
    /// There is none.
    #[error("no canary is running; start one first")]
    NoCanary,
    /// No such version.
    #[error("version {0} is not in the history")]
    UnknownVersion(u64),
    /// There is nothing before the first version.
    #[error("there is no earlier version to go back to")]
    NoEarlierVersion,
    /// It could not be written down, so it was not done.
    #[error("cannot write to the state folder {folder}: {cause}; nothing was changed")]
    Store {
        /// The folder.
        folder: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A document in the state folder is not what this program wrote.
    #[error("{document} in the state folder {folder} is damaged: {cause}")]
    Damaged {
        /// The document.
        document: String,
        /// The folder.
        folder: String,
        /// What is wrong.
        cause: String,
    },
}
