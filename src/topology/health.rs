//! What a monitor saw of a server. Absence carries its reason: an unknown lag is never zero.

use std::sync::Arc;
use std::time::Duration;

use super::identity::{Identity, Position, Source};

/// The last observation of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether it answers.
    pub reachability: Reachability,
    /// The role it was seen in; `None` before the first answer.
    pub role: Option<Role>,
    /// How far it is behind its source.
    pub lag: Lag,
    /// Moving average of the time a trivial query takes.
    pub latency: Option<Duration>,
    /// Threads that were running a statement.
    pub load: Option<u32>,
    /// Who it is; `None` before the first answer.
    pub identity: Option<Identity>,
    /// Which transactions it has, if it tells.
    pub position: Option<Arc<Position>>,
    /// Whom it follows.
    pub sources: Arc<[Source]>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            reachability: Reachability::Untested,
            role: None,
            lag: Lag::Unknown(LagUnknown::NotObserved),
            latency: None,
            load: None,
            identity: None,
            position: None,
            sources: Arc::default(),
        }
    }
}

/// Whether a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// Not asked yet: it is used as if it were up.
    Untested,
    /// It answered the last question.
    Up,
    /// It did not, for this reason.
    Down(String),
}

/// What a server does for its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows a primary.
    Replica,
}

impl Role {
    /// `primary` or `replica`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// How far a replica is behind. An estimate of the server itself, good to the second at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// It is this far behind, it says.
    Estimated(Duration),
    /// It cannot be told.
    Unknown(LagUnknown),
}

/// Why a lag is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagUnknown {
    /// Nobody has asked yet.
    NotObserved,
    /// The server does not replicate.
    NotAReplica,
    /// Its replication threads do not run.
    ReplicationStopped,
    /// Geogate's account there may not ask (it lacks REPLICATION CLIENT).
    NotPermitted,
    /// It does not answer.
    Unreachable,
}

impl LagUnknown {
    /// The reason in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotObserved => "not observed yet",
            Self::NotAReplica => "it does not replicate",
            Self::ReplicationStopped => "replication is stopped",
            Self::NotPermitted => "Geogate's account may not ask for the replica status",
            Self::Unreachable => "it does not answer",
        }
    }
}
