//! The permission to send a statement for a shard to a server.

use crate::error::{SqlError, catalog};
use crate::topology::{Reachability, Role, ServerId, ShardId, Topology};

/// A server that may answer for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    server: ServerId,
    shard: ShardId,
    role: Role,
}

impl Placement {
    /// Only the rules of this module may say so.
    pub(super) fn new(server: ServerId, shard: ShardId, role: Role) -> Self {
        Self { server, shard, role }
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
}

/// The primary of a shard: for writes, and for reads that must see every write.
pub fn primary(topology: &Topology, shard: ShardId) -> Result<Placement, SqlError> {
    let unreachable = |reason: &str| {
        catalog::SERVER_UNREACHABLE.with(&[&"primary", &topology.shard_name(shard), &reason])
    };
    let server = topology.primary(shard).ok_or_else(|| {
        unreachable("none of its servers is writable and follows no other; promote one")
    })?;
    match &topology.server(server).health.reachability {
        // The only server there is may have come back since somebody looked.
        Reachability::Down(reason) if topology.holders(shard).len() > 1 => Err(unreachable(reason)),
        _ => Ok(Placement::new(server, shard, Role::Primary)),
    }
}
