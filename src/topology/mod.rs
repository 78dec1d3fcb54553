//! Which servers hold which shards, and in what state they are: one immutable snapshot.
//!
//! A [`Topology`] is built from the configuration ([`build`]) and replaced as a whole when a
//! monitor learns something; nothing in it changes. Servers are known by [`ServerId`] inside one
//! topology and by address across two. Nothing here opens a connection or decides who may answer:
//! that is `geo`'s.

mod build;
mod health;
mod identity;
mod observe;
mod primary;
mod record;
mod words;

use std::sync::Arc;

use crate::config::{Address, RoleHint, ServerCompression, SplitBrain};
use crate::key::ShardMap;
use crate::region::Region;

pub use build::{TopologyError, build};
pub use health::{Health, Lag, LagUnknown, Reachability, Role};
pub use identity::{Identity, Position, Source};
pub use observe::{Admission, Observed, OpenConnections};
pub use primary::{Absence, Service, Standing, shortened};
pub use record::{Former, PrimaryRecord, PrimaryRecords, parse_records, render_records};

/// Servers, shards, roles and regions.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    servers: Vec<Server>,
    keyspaces: Arc<[Keyspace]>,
    /// Of each keyspace, of each shard.
    states: Vec<Vec<ShardState>>,
    single: Option<ShardId>,
    split_brain: SplitBrain,
}

/// Who serves a shard.
#[derive(Clone, Debug)]
struct ShardState {
    record: Option<Arc<PrimaryRecord>>,
    service: Service,
    /// Of each holder.
    standings: Vec<Standing>,
}

/// The number of a server in its topology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u32);

impl ServerId {
    /// The number.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A server process, however many shards it holds.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// Where it stands.
    pub region: Option<Region>,
    /// What the configuration says of its role.
    pub hint: RoleHint,
    /// Connections to it that may be open at once, if the configuration says so for it.
    pub connections_max: Option<usize>,
    /// How packets to and from it are compressed, if the configuration says so for it.
    pub compression: Option<ServerCompression>,
    /// What was last seen of it.
    pub health: Health,
    /// Counts the times that answers from it stopped to count: it was down, is another server, or
    /// lost its place as a primary. See [`crate::backend::Term`].
    pub term: u64,
}

/// The number of a keyspace in its topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyspaceIndex(u32);

impl KeyspaceIndex {
    /// The number.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A shard of a keyspace: numbers in one topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId {
    keyspace: KeyspaceIndex,
    shard: u32,
}

impl ShardId {
    /// The number of the shard in its keyspace's shard map.
    pub fn index(self) -> usize {
        self.shard as usize
    }

    /// Its keyspace.
    pub fn keyspace(self) -> KeyspaceIndex {
        self.keyspace
    }
}

/// A keyspace and who holds it.
#[derive(Clone, Debug)]
pub struct Keyspace {
    /// Its name for clients.
    pub name: Arc<str>,
    /// Its schema on the servers.
    pub database: Arc<str>,
    map: ShardMap,
    holders: Vec<Vec<ServerId>>,
}

impl Keyspace {
    /// Its shards' names and ranges.
    pub fn shard_map(&self) -> &ShardMap {
        &self.map
    }
}

impl Topology {
    /// All servers.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (ServerId, &Server)> {
        self.servers.iter().enumerate().map(|(i, server)| (ServerId(i as u32), server))
    }

    /// One server.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.index()]
    }

    /// All keyspaces.
    pub fn keyspaces(&self) -> impl ExactSizeIterator<Item = (KeyspaceIndex, &Keyspace)> {
        self.keyspaces.iter().enumerate().map(|(i, k)| (KeyspaceIndex(i as u32), k))
    }

    /// One keyspace.
    pub fn keyspace(&self, index: KeyspaceIndex) -> &Keyspace {
        &self.keyspaces[index.0 as usize]
    }

    /// A keyspace by its name.
    pub fn find_keyspace(&self, name: &str) -> Option<KeyspaceIndex> {
        let at = self.keyspaces.iter().position(|keyspace| &*keyspace.name == name)?;
        Some(KeyspaceIndex(at as u32))
    }

    /// The shard with number `shard` of a keyspace.
    ///
    /// # Panics
    /// If the keyspace has no such shard: the number must come from its shard map.
    pub fn shard(&self, keyspace: KeyspaceIndex, shard: usize) -> ShardId {
        assert!(shard < self.keyspace(keyspace).map.len(), "shard {shard} out of range");
        ShardId { keyspace, shard: shard as u32 }
    }

    /// All shards of a keyspace.
    pub fn shards(&self, keyspace: KeyspaceIndex) -> impl ExactSizeIterator<Item = ShardId> {
        let count = self.keyspace(keyspace).map.len();
        (0..count).map(move |shard| ShardId { keyspace, shard: shard as u32 })
    }

    /// The servers that hold a shard.
    pub fn holders(&self, shard: ShardId) -> &[ServerId] {
        &self.keyspace(shard.keyspace).holders[shard.index()]
    }

    /// Who answers for a shard as its primary.
    pub fn service(&self, shard: ShardId) -> &Service {
        &self.state(shard).service
    }

    /// The server that answers for a shard as its primary, though it may take no writes at the
    /// moment. It may be down: then nobody has taken its place yet.
    pub fn primary(&self, shard: ShardId) -> Option<ServerId> {
        match self.service(shard) {
            Service::Primary(id) => Some(*id),
            Service::Split { primary } => *primary,
            Service::Absent(_) => None,
        }
    }

    /// The primary of a shard, if it answers.
    pub fn live_primary(&self, shard: ShardId) -> Option<ServerId> {
        let answers =
            |id: &ServerId| !matches!(self.server(*id).health.reachability, Reachability::Down(_));
        self.primary(shard).filter(answers)
    }

    /// What is remembered of a shard's primary. A shard that one server holds needs nothing.
    pub fn record(&self, shard: ShardId) -> Option<&PrimaryRecord> {
        self.state(shard).record.as_deref()
    }

    /// What a server may do for a shard that it holds.
    pub fn standing(&self, shard: ShardId, server: ServerId) -> &Standing {
        let at = self.holders(shard).iter().position(|holder| *holder == server);
        at.and_then(|at| self.state(shard).standings.get(at)).unwrap_or(&Standing::Rival)
    }

    /// Servers that are writable beside the primary of a shard, or though there is none. Their rows
    /// may differ from the primary's, so nothing is sent to them.
    pub fn rivals(&self, shard: ShardId) -> impl Iterator<Item = ServerId> {
        let primary = self.primary(shard);
        let holders = self.holders(shard).iter().copied();
        let split = matches!(self.service(shard), Service::Split { .. });
        holders.filter(move |id| {
            Some(*id) != primary
                && (primary.is_some() || split)
                && primary::claims(self.server(*id))
        })
    }

    fn state(&self, shard: ShardId) -> &ShardState {
        &self.states[shard.keyspace.0 as usize][shard.index()]
    }

    /// `keyspace:shard`, as clients and errors name it.
    pub fn shard_name(&self, shard: ShardId) -> String {
        let keyspace = self.keyspace(shard.keyspace);
        format!("{}:{}", keyspace.name, keyspace.map.name(shard.index()))
    }

    /// If all keyspaces are unsharded and held by the same servers, any shard of them: every
    /// statement can go there as it is, in any database.
    pub fn single_server(&self) -> Option<ShardId> {
        self.single
    }
}

impl Server {
    /// The role it was seen in, else the one it is expected to have.
    pub fn role(&self) -> Role {
        match (self.health.role, self.hint) {
            (Some(role), _) => role,
            (None, RoleHint::Primary) => Role::Primary,
            (None, RoleHint::Replica) => Role::Replica,
        }
    }
}
