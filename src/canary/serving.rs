//! What serves statements now: one generation, or two with a split.

use std::sync::Arc;

use super::split::{Side, Split};
use crate::planner::generation::Generation;

/// What serves statements now.
#[derive(Clone, Debug)]
pub enum Serving {
    /// One generation for everyone.
    Stable(Arc<Generation>),
    /// A candidate on trial beside it.
    Canary {
        /// For most.
        stable: Arc<Generation>,
        /// For the share of the split.
        candidate: Arc<Generation>,
        /// The share.
        split: Split,
    },
}

/// What a session asks for with `vschema_generation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// The side that the split gives it.
    #[default]
    Auto,
    /// The stable side.
    Stable,
    /// The candidate.
    Candidate,
}

/// A session asked for the candidate, and there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCandidate;

impl Serving {
    /// The generation for whoever has this key.
    pub fn choose(&self, key: &[u8]) -> &Arc<Generation> {
        match self {
            Self::Stable(generation) => generation,
            Self::Canary { stable, candidate, split } => match split.side(key) {
                Side::Stable => stable,
                Side::Candidate => candidate,
            },
        }
    }

    /// The generation for a session that may have asked for a side.
    pub fn choose_preferred(
        &self,
        preference: Preference,
        key: &[u8],
    ) -> Result<&Arc<Generation>, NoCandidate> {
        match preference {
            Preference::Auto => Ok(self.choose(key)),
            Preference::Stable => Ok(self.stable()),
            Preference::Candidate => self.candidate().ok_or(NoCandidate),
        }
    }

    /// The generation that serves when no canary runs.
    pub fn stable(&self) -> &Arc<Generation> {
        match self {
            Self::Stable(stable) | Self::Canary { stable, .. } => stable,
        }
    }

    /// The generation on trial.
    pub fn candidate(&self) -> Option<&Arc<Generation>> {
        match self {
            Self::Stable(_) => None,
            Self::Canary { candidate, .. } => Some(candidate),
        }
    }

    /// The split between the two.
    pub fn split(&self) -> Option<Split> {
        match self {
            Self::Stable(_) => None,
            Self::Canary { split, .. } => Some(*split),
        }
    }

    /// The generations in service, the stable one first.
    pub fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(self.stable()).chain(self.candidate())
    }

    /// Which side of the split a generation is on; anything but the candidate counts as stable.
    pub fn side_of(&self, generation: &Generation) -> Side {
        match self.candidate() {
            Some(candidate) if candidate.number() == generation.number() => Side::Candidate,
            _ => Side::Stable,
        }
    }
}

impl Preference {
    /// Reads a value of `vschema_generation`, any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Auto, Self::Stable, Self::Candidate];
        all.into_iter().find(|preference| preference.name().eq_ignore_ascii_case(text))
    }

    /// `auto`, `stable` or `candidate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        }
    }
}
