//! The permission to send a statement for a shard to a server.

use crate::error::{SqlError, catalog};
use crate::topology::{Absence, Reachability, Role, ServerId, Service, ShardId, Topology};

/// A server that may answer for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    server: ServerId,
    shard: ShardId,
    role: Role,
    term: u64,
}

impl Placement {
    /// Only the rules of this module may say so.
    pub(super) fn new(topology: &Topology, server: ServerId, shard: ShardId, role: Role) -> Self {
        Self { server, shard, role, term: topology.server(server).term }
    }

    /// The server.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The role in which the server answers.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The term of the server for which this holds.
    pub fn term(&self) -> u64 {
        self.term
    }
}

/// The primary of a shard, for reads that must see every write.
pub fn primary(topology: &Topology, shard: ShardId) -> Result<Placement, SqlError> {
    let unreachable = |reason: &str| {
        catalog::SERVER_UNREACHABLE.with(&[&"primary", &topology.shard_name(shard), &reason])
    };
    let server = match topology.service(shard) {
        Service::Primary(server) | Service::Split { primary: Some(server) } => *server,
        Service::Split { primary: None } => return Err(split(topology, shard)),
        Service::Absent(Absence::Unremembered) => {
            return Err(catalog::PRIMARY_UNREMEMBERED.with(&[&topology.shard_name(shard)]));
        }
        Service::Absent(absence) => return Err(unreachable(&absence.reason())),
    };
    match &topology.server(server).health.reachability {
        // The only server there is may have come back since somebody looked.
        Reachability::Down(reason) if topology.holders(shard).len() > 1 => Err(unreachable(reason)),
        _ => Ok(Placement::new(topology, server, shard, Role::Primary)),
    }
}

/// Whether a shard has a primary that was not seen down: for what any shard can answer.
pub fn answers(topology: &Topology, shard: ShardId) -> bool {
    let down =
        |server| matches!(topology.server(server).health.reachability, Reachability::Down(_));
    primary(topology, shard).is_ok_and(|placement| !down(placement.server()))
}

/// The primary of a shard, for writes.
pub fn writable_primary(topology: &Topology, shard: ShardId) -> Result<Placement, SqlError> {
    match topology.service(shard) {
        Service::Split { .. } => Err(split(topology, shard)),
        _ => primary(topology, shard),
    }
}

/// Writes are stopped because several servers would take them.
fn split(topology: &Topology, shard: ShardId) -> SqlError {
    let writable = topology.rivals(shard).count() + usize::from(topology.primary(shard).is_some());
    catalog::SPLIT_BRAIN.with(&[&topology.shard_name(shard), &writable])
}
