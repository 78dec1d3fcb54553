//! What a change of the VSchema in service amounts to, and why one is refused.

use std::collections::BTreeSet;
use std::fmt;

use crate::vschema::{Difference, Problem, render_differences, render_text};

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
    /// What writes must maintain, or what is refused, other than before: an operator should know.
    pub differences: Vec<Difference>,
}

impl Changed {
    /// Whether what was asked for was so already.
    pub fn is_nothing(&self) -> bool {
        self.effect == Effect::Nothing
    }
}

/// Differences that do not allow a change, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The differences.
    pub differences: Vec<Difference>,
    /// What to do.
    pub advice: String,
}

impl Refusal {
    /// Whose rows are concerned, for a sentence.
    fn whose(&self) -> String {
        let tables: BTreeSet<String> =
            self.differences.iter().flat_map(|d| &d.tables).map(ToString::to_string).collect();
        if tables.is_empty() {
            let subjects: BTreeSet<&str> =
                self.differences.iter().map(|d| d.subject.as_str()).collect();
            return subjects.into_iter().collect::<Vec<_>>().join(", ");
        }
        tables.into_iter().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render_differences(&self.differences, &self.advice))
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
    #[error("the candidate cannot be served beside the active VSchema\n{0}")]
    Differs(Refusal),
    /// Rows would have to be in other places than they are.
    #[error("the VSchema would move rows of {whose} and was refused\n{0}", whose = .0.whose())]
    MovesRows(Refusal),
    /// The files do not go on from what is active.
    #[error(
        "the files were not edited from version {active}, which is active ({origin}), so they do \
         not go live by themselves\n   = help: bring them up to date with it (geogate vschema \
         show), or, if they shall replace it, run geogate vschema apply on them"
    )]
    OlderFiles {
        /// The active version.
        active: u64,
        /// Where that came from.
        origin: String,
    },
    /// The files were edited while a canary ran.
    #[error(
        "the files were edited while a canary ran, so they do not go live by themselves\n   = \
         help: compare them with what is active now (geogate vschema show); if they shall replace \
         it, run geogate vschema apply on them"
    )]
    EditedDuringCanary,
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
    /// A document in the state folder is missing or not what this program wrote.
    #[error(
        "{document} in the state folder {folder} is damaged: {cause}\n   = note: where rows live \
         is what the versions in this folder say, so nothing is guessed\n   = help: restore the \
         folder from a copy; if the VSchema files say where the rows are now, remove state.json \
         and vschema-*.json from it: without them the files are taken as they are"
    )]
    Damaged {
        /// The document.
        document: String,
        /// The folder.
        folder: String,
        /// What is wrong.
        cause: String,
    },
}
