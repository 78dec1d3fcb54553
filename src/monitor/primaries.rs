//! The one place where topologies are made: takes observations, writes down who is primary before
//! anybody can see it, ends the terms of servers whose answers do not count any more, publishes.
//!
//! What follows from an observation is decided in [`crate::topology`]; here is what it takes to act
//! on it. Positions are refreshed in memory with each look and written every few seconds, because
//! an older one is only a weaker lower bound (see [`crate::topology::PrimaryRecord`]).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::backend::Pool;
use crate::clock::{self, Instant};
use crate::config::SplitBrain;
use crate::topology::{
    Admission, Health, Observed, OpenConnections, PrimaryRecord, PrimaryRecords, Reachability,
    ServerId, ShardId, Topology, parse_records, render_records,
};
use crate::vschema::store::StateFolder;

use super::announce;

/// The document in the state folder.
const DOCUMENT: &str = "primaries.json";

/// How often positions are written that have changed.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Why it is not known who was primary.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}/{DOCUMENT} cannot be read: {problem}; it tells which servers were primary: restore it, \
     or remove it after making sure that only the right servers are writable"
)]
pub struct Unreadable {
    path: String,
    problem: String,
}

/// Why a server was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Nobody has seen it.
    #[error("the server was not seen yet; it must be up to be admitted")]
    Unseen,
    /// There is nothing to admit.
    #[error("the server is not held off: there is nothing to admit")]
    Unneeded,
    /// It cannot be written down.
    #[error("the state folder cannot be written: {0}")]
    Store(String),
}

/// Who the primaries are.
#[derive(Debug)]
pub struct Primaries {
    topology: Arc<ArcSwap<Topology>>,
    pools: Vec<Arc<Pool>>,
    /// Ends the pause before the next look at each server.
    pub(super) soon: Vec<Arc<Notify>>,
    store: Arc<Store>,
    runtime: Handle,
    /// How long waits for a server go on after it was declared down.
    patience: Duration,
    written: Mutex<Written>,
}

/// What was given to be written.
#[derive(Debug)]
struct Written {
    /// Shards that are not configured any more too.
    records: PrimaryRecords,
    /// Counts the documents.
    version: u64,
    at: Instant,
    /// The last attempt has failed.
    fails: bool,
}

/// The document, which is never replaced by an older one.
#[derive(Debug)]
struct Store {
    folder: StateFolder,
    version: Mutex<u64>,
}

impl Store {
    fn write(&self, version: u64, records: &PrimaryRecords) -> io::Result<()> {
        let mut written = self.version.lock();
        if *written < version {
            self.folder.write(DOCUMENT, render_records(records).as_bytes())?;
            *written = version;
        }
        Ok(())
    }
}

/// Reads what is remembered of primaries and enters it into a topology.
pub fn remember(
    topology: Topology,
    folder: &StateFolder,
    split_brain: SplitBrain,
) -> Result<(Topology, PrimaryRecords), Unreadable> {
    let problem =
        |problem: String| Unreadable { path: folder.path().display().to_string(), problem };
    let text = folder.read(DOCUMENT).map_err(|error| problem(error.to_string()))?;
    let records = text.map_or(Ok(PrimaryRecords::new()), |text| parse_records(&text));
    let records = records.map_err(problem)?;
    Ok((topology.with_records(&records, split_brain), records))
}

impl Primaries {
    /// Takes over a topology that [`remember`] has made.
    pub fn new(
        topology: &Arc<ArcSwap<Topology>>,
        pools: &[Arc<Pool>],
        remembered: PrimaryRecords,
        folder: StateFolder,
        runtime: &Handle,
        patience: Duration,
    ) -> Self {
        for ((_, server), pool) in topology.load().servers().zip(pools) {
            pool.begin_term(server.term);
        }
        Self {
            topology: Arc::clone(topology),
            pools: pools.to_vec(),
            soon: pools.iter().map(|_| Arc::default()).collect(),
            store: Arc::new(Store { folder, version: Mutex::new(0) }),
            runtime: runtime.clone(),
            patience,
            written: Mutex::new(Written {
                records: remembered,
                version: 0,
                at: clock::now(),
                fails: false,
            }),
        }
    }

    /// The servers as they were seen last.
    pub(super) fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// Takes an observation of a server.
    pub(super) fn observe(self: &Arc<Self>, id: ServerId, health: Health, open: OpenConnections) {
        let mut written = self.written.lock();
        let before = self.topology.load_full();
        let identity = health.identity.clone();
        let observed = before.observe(id, health, open);
        self.pools[id.index()].dialer().term().note_identity(identity.as_ref());
        self.settle(&mut written, &before, observed);
        if open == OpenConnections::Lost {
            self.give_up_soon(id);
        }
    }

    /// Admits a server that is held off, or that lacks something, at an operator's word.
    pub fn admit(&self, id: ServerId) -> Result<(), AdmitError> {
        let mut written = self.written.lock();
        let before = self.topology.load_full();
        let records = match before.admission(id) {
            Admission::Records(records) => records,
            Admission::Unseen => return Err(AdmitError::Unseen),
            Admission::Unneeded => return Err(AdmitError::Unneeded),
        };
        self.write(&mut written, &before, &records)
            .map_err(|error| AdmitError::Store(error.to_string()))?;
        let observed = before.remembered(records);
        self.settle(&mut written, &before, observed);
        self.soon.iter().for_each(|soon| soon.notify_one());
        Ok(())
    }

    /// Writes what must be remembered, and publishes what follows from it.
    fn settle(&self, written: &mut Written, before: &Topology, mut observed: Observed) {
        while !observed.remember.is_empty() {
            match self.write(written, &observed.topology, &observed.remember) {
                Ok(()) => observed = observed.topology.remembered(observed.remember),
                Err(error) => {
                    if !std::mem::replace(&mut written.fails, true) {
                        let folder = self.store.folder.path().display();
                        tracing::error!(
                            %error, %folder,
                            "the state folder cannot be written: no new primary goes into service"
                        );
                    }
                    break;
                }
            }
        }
        let next = observed.topology;
        // Before anybody can place a statement by the new topology, those by the old one end.
        for ((_, server), pool) in next.servers().zip(&self.pools) {
            pool.begin_term(server.term);
        }
        let split = announce::changes(before, &next);
        self.refresh(written, &next);
        self.topology.store(Arc::new(next));
        // The other one may have been demoted since it was looked at.
        for id in split {
            self.soon[id.index()].notify_one();
        }
    }

    fn write(
        &self,
        written: &mut Written,
        topology: &Topology,
        records: &[(ShardId, PrimaryRecord)],
    ) -> io::Result<()> {
        let mut all = written.records.clone();
        all.extend(topology.records());
        all.extend(records.iter().map(|(shard, r)| (topology.shard_name(*shard), r.clone())));
        let version = written.version + 1;
        self.store.write(version, &all)?;
        *written = Written { records: all, version, at: clock::now(), fails: false };
        Ok(())
    }

    /// Writes positions that have changed, now and then.
    fn refresh(&self, written: &mut Written, topology: &Topology) {
        let now = clock::now();
        if now.saturating_duration_since(written.at) < WRITE_EVERY {
            return;
        }
        written.at = now;
        let known = topology.records();
        if known.iter().all(|(name, record)| written.records.get(name) == Some(record)) {
            return;
        }
        written.records.extend(known);
        written.version += 1;
        let (store, version) = (Arc::clone(&self.store), written.version);
        let records = written.records.clone();
        // A slow disk must not hold up the looks at the servers.
        self.runtime.spawn_blocking(move || {
            if let Err(error) = store.write(version, &records) {
                tracing::warn!(%error, "the positions of the primaries cannot be written");
            }
        });
    }

    /// Ends all waits for a server that was declared down, after a while. One that nobody can take
    /// the place of may come back until then, and its answers count.
    fn give_up_soon(self: &Arc<Self>, id: ServerId) {
        let (this, patience) = (Arc::clone(self), self.patience);
        let made = self.pools[id.index()].dialer().term().made();
        self.runtime.spawn(async move {
            clock::sleep(patience).await;
            this.give_up(id, made);
        });
    }

    fn give_up(&self, id: ServerId, made: u64) {
        let mut written = self.written.lock();
        let before = self.topology.load_full();
        match before.given_up(id) {
            Some(topology) => {
                self.settle(&mut written, &before, Observed { topology, remember: Vec::new() });
            }
            // It is back, and none of its answers was missed.
            None if !before.has_peers(id) => return,
            None => {}
        }
        let term = self.pools[id.index()].dialer().term();
        let down = matches!(before.server(id).health.reachability, Reachability::Down(_));
        // Connections that were begun since wait just as long.
        term.cut(if down { term.made() } else { made });
    }
}
