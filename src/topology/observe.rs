//! How a topology changes: another observation of a server, a primary that is remembered, a server
//! that an operator admits. Pure; the monitor writes down what must be remembered and publishes.

use std::sync::Arc;

use super::primary::decide;
use super::{
    Absence, Health, PrimaryRecord, PrimaryRecords, Reachability, ServerId, ShardId, ShardState,
    Standing, Topology,
};
use crate::config::SplitBrain;
use crate::gtid::Gtids;

/// A changed topology.
#[derive(Clone, Debug)]
pub struct Observed {
    /// It.
    pub topology: Topology,
    /// What must be remembered before more can follow, by shard.
    pub remember: Vec<(ShardId, PrimaryRecord)>,
}

/// What an observation means for connections that are open to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenConnections {
    /// They go on.
    Serve,
    /// What comes over them does not count any more.
    Lost,
}

/// Whether a server can be admitted by an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// These records say so.
    Records(Vec<(ShardId, PrimaryRecord)>),
    /// The server was not seen yet, so nobody knows who would be admitted.
    Unseen,
    /// It is held off for no shard.
    Unneeded,
}

impl Topology {
    /// The same with what is remembered, and what happens to a shard with two writable servers.
    #[must_use]
    pub fn with_records(mut self, records: &PrimaryRecords, split_brain: SplitBrain) -> Self {
        self.split_brain = split_brain;
        for shard in self.all_shards() {
            let record = records.get(&self.shard_name(shard));
            self.state_mut(shard).record = record.cloned().map(Arc::new);
        }
        self.decide_all();
        self
    }

    /// The same with another observation of one server.
    pub fn observe(&self, id: ServerId, health: Health, open: OpenConnections) -> Observed {
        let mut next = self.clone();
        let server = &mut next.servers[id.index()];
        let known = server.health.identity.as_ref();
        let replaced = known.is_some() && known != health.identity.as_ref();
        server.health = health;
        if replaced || open == OpenConnections::Lost && self.has_peers(id) {
            server.term += 1;
        }
        let held: Vec<ShardId> =
            next.all_shards().filter(|shard| next.holders(*shard).contains(&id)).collect();
        let remember = held.into_iter().filter_map(|shard| Some((shard, next.decide(shard)?)));
        let remember = remember.collect();
        Observed { topology: next, remember }
    }

    /// The same after a server was waited for that nobody can take the place of: what it answers to
    /// statements of before does not count any more. `None` if it is not down.
    pub fn given_up(&self, id: ServerId) -> Option<Self> {
        let down = matches!(self.server(id).health.reachability, Reachability::Down(_));
        let mut next = (down && !self.has_peers(id)).then(|| self.clone())?;
        next.servers[id.index()].term += 1;
        Some(next)
    }

    /// Whether a server shares a shard with another one.
    pub fn has_peers(&self, id: ServerId) -> bool {
        self.all_shards().any(|shard| {
            let holders = self.holders(shard);
            holders.len() > 1 && holders.contains(&id)
        })
    }

    /// The same after records were written.
    pub fn remembered(&self, records: Vec<(ShardId, PrimaryRecord)>) -> Observed {
        let mut next = self.clone();
        let mut remember = Vec::new();
        for (shard, record) in records {
            next.state_mut(shard).record = Some(Arc::new(record));
            remember.extend(next.decide(shard).map(|record| (shard, record)));
        }
        Observed { topology: next, remember }
    }

    /// Notes what the remembered primary of a shard has shown since, in service or demoted.
    fn note_shown(&mut self, shard: ShardId) {
        let state = self.state(shard);
        let Some(record) = &state.record else { return };
        let named = self.holders(shard).iter().map(|id| self.server(*id));
        let mut named = named.filter(|s| s.health.identity.is_some() && record.names(s));
        let Some(position) = named.find_map(|s| s.health.position.as_ref()) else { return };
        let shown = match &record.shown {
            Some(before) => before.advanced_to(&position.shown),
            None => position.shown.clone(),
        };
        if record.shown.as_ref() != Some(&shown) {
            let shown = Some(shown);
            let record = PrimaryRecord { shown, ..PrimaryRecord::clone(record) };
            self.state_mut(shard).record = Some(Arc::new(record));
        }
    }

    /// What to write if an operator admits a server to the shards that it holds.
    pub fn admission(&self, id: ServerId) -> Admission {
        let Some(identity) = &self.server(id).health.identity else { return Admission::Unseen };
        let records: Vec<_> = self
            .all_shards()
            .filter(|shard| self.holders(*shard).contains(&id))
            .filter_map(|shard| {
                let record = self.record(shard)?;
                let candidate = *self.standing(shard, id) == Standing::Rival;
                let needed = record.former(self.server(id)).is_some()
                    || candidate && !record.admitted.contains(identity);
                needed.then(|| (shard, record.with_admitted(identity)))
            })
            .collect();
        if records.is_empty() { Admission::Unneeded } else { Admission::Records(records) }
    }

    /// Everything that is remembered.
    pub fn records(&self) -> PrimaryRecords {
        let records = self
            .all_shards()
            .filter_map(|shard| Some((self.shard_name(shard), self.record(shard)?.clone())));
        records.collect()
    }

    /// Transactions that are known to be lost with the change to the present primary of a shard.
    pub fn lost(&self, shard: ShardId) -> Option<Gtids> {
        let state = self.state(shard);
        let told = state.record.as_ref().and_then(|record| record.lost.clone());
        let seen = state.standings.iter().filter_map(|standing| match standing {
            Standing::Former { beyond, .. } => beyond.clone(),
            _ => None,
        });
        told.into_iter().chain(seen).reduce(|all, more| all.union(&more))
    }

    /// The same topology with another observation of one server, as if what must be remembered was
    /// remembered at once.
    #[must_use]
    pub fn with_health(&self, id: ServerId, health: Health) -> Self {
        let mut observed = self.observe(id, health, OpenConnections::Serve);
        while !observed.remember.is_empty() {
            observed = observed.topology.remembered(observed.remember);
        }
        observed.topology
    }

    /// All shards of all keyspaces.
    pub fn all_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let counts: Vec<(super::KeyspaceIndex, usize)> =
            self.keyspaces().map(|(index, keyspace)| (index, keyspace.map.len())).collect();
        counts.into_iter().flat_map(|(keyspace, count)| {
            (0..count).map(move |shard| ShardId { keyspace, shard: shard as u32 })
        })
    }

    pub(super) fn decide_all(&mut self) {
        for shard in self.all_shards() {
            // What must be remembered follows from the first observation too.
            let _ = self.decide(shard);
        }
    }

    /// Decides who serves a shard; gives what must be remembered first.
    fn decide(&mut self, shard: ShardId) -> Option<PrimaryRecord> {
        self.note_shown(shard);
        let holders = self.holders(shard).to_vec();
        let record = self.state(shard).record.clone();
        let decision = decide(&self.servers, &holders, record.as_deref(), self.split_brain);
        let before = std::mem::replace(&mut self.state_mut(shard).standings, decision.standings);
        self.state_mut(shard).service = decision.service;
        for (at, id) in holders.iter().enumerate() {
            let held_off =
                |standing: Option<&Standing>| matches!(standing, Some(Standing::Former { .. }));
            let now = held_off(self.state(shard).standings.get(at));
            if now && !held_off(before.get(at)) {
                self.servers[id.index()].term += 1;
            }
        }
        decision.remember
    }

    fn state_mut(&mut self, shard: ShardId) -> &mut ShardState {
        &mut self.states[shard.keyspace.0 as usize][shard.index()]
    }
}

impl Absence {
    /// Whether a primary waits for being written down.
    pub fn is_unremembered(&self) -> bool {
        *self == Self::Unremembered
    }
}
