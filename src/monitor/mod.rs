//! Asks every server how it is, and publishes what it learns as a new topology.
//!
//! One task a server, on the control runtime: it asks for version, `read_only`, replica status and
//! load (`probe`), makes a [`Health`] of the answers (`verdict`, which is pure), and replaces the
//! topology when something changed that matters. Which server is the primary then is the
//! topology's rule. The monitor never promotes, demotes or configures a server.
//!
//! A server is down after two failures in a row, the second look coming soon after the first. So
//! a crash is seen after at most one interval and a fifth of one, a hanging server after two
//! timeouts more. Whoever meets a failure earlier calls [`Monitor::recheck`].

pub mod columns;
mod probe;
pub mod reader;
pub mod stored_programs;
mod verdict;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::backend::Pool;
use crate::clock;
use crate::config::Backend;
use crate::topology::{Health, Reachability, ServerId, ShardId, Topology};

use probe::Probe;
use verdict::{History, Unanswered};

/// What a monitor needs to know.
#[derive(Clone, Debug)]
pub struct MonitorSettings {
    /// Geogate's account on the servers, and TLS.
    pub backend: Backend,
    /// Time between two questions.
    pub interval: Duration,
    /// Time for all answers to one look.
    pub timeout: Duration,
}

/// The tasks that watch the servers.
#[derive(Debug)]
pub struct Monitor {
    soon: Vec<Arc<Notify>>,
}

impl Monitor {
    /// Starts to watch all servers of `topology` on `runtime`. `pools` are in the order of its
    /// servers; the idle connections of a server that is down are closed.
    ///
    /// Returns when every server was looked at, so that no write goes to a server that only the
    /// configuration takes for a primary, but at the latest after the timeout of a look.
    pub fn start(
        runtime: &Handle,
        settings: &MonitorSettings,
        topology: &Arc<ArcSwap<Topology>>,
        pools: &[Arc<Pool>],
    ) -> Self {
        let mut soon = Vec::new();
        let (looked, looks) = mpsc::channel();
        let first = topology.load_full();
        for ((id, server), pool) in first.servers().zip(pools) {
            let notify = Arc::new(Notify::new());
            let watch = Watch {
                id,
                name: server.address.to_string(),
                probe: Probe::new(&server.address, &settings.backend),
                grants: if has_peers(&first, id) { Grants::Unchecked } else { Grants::Irrelevant },
                looked: Some(looked.clone()),
                interval: settings.interval,
                timeout: settings.timeout,
                topology: Arc::clone(topology),
                pool: Arc::clone(pool),
                soon: Arc::clone(&notify),
            };
            runtime.spawn(watch.run());
            soon.push(notify);
        }
        let deadline = clock::now() + settings.timeout;
        for _ in &soon {
            let rest = deadline.saturating_duration_since(clock::now());
            if looks.recv_timeout(rest).is_err() {
                break;
            }
        }
        Self { soon }
    }

    /// Asks a server at once: it failed, or refused a write because it is read-only.
    pub fn recheck(&self, server: ServerId) {
        if let Some(soon) = self.soon.get(server.index()) {
            soon.notify_one();
        }
    }

    /// Asks every server at once: the primary that is needed is not known.
    pub fn recheck_all(&self) {
        self.soon.iter().for_each(|soon| soon.notify_one());
    }
}

/// Watches one server.
struct Watch {
    id: ServerId,
    name: String,
    probe: Probe,
    grants: Grants,
    /// Told once, after the first look.
    looked: Option<mpsc::Sender<()>>,
    interval: Duration,
    timeout: Duration,
    topology: Arc<ArcSwap<Topology>>,
    pool: Arc<Pool>,
    soon: Arc<Notify>,
}

impl Watch {
    async fn run(mut self) {
        let mut history = History::default();
        loop {
            let seen = match tokio::time::timeout(self.timeout, self.probe.look()).await {
                Ok(seen) => seen,
                Err(_) => Err(Unanswered::Failed(format!("no answer within {:?}", self.timeout))),
            };
            if seen.is_err() {
                self.probe.hang_up();
            }
            let answered = seen.is_ok();
            let refused = matches!(seen, Err(Unanswered::Refused(_)));
            if let Some(kind) = self.probe.kind() {
                self.pool.dialer().note_kind(kind);
            }
            let health = history.note(seen, clock::now());
            if self.publish(health) == Turn::Down && !refused {
                self.pool.close_idle();
            }
            if let Some(looked) = self.looked.take() {
                let _ = looked.send(());
            }
            if answered && self.grants == Grants::Unchecked {
                self.check_grants().await;
            }
            let pause = history.pause(self.interval);
            // At most once in a short while, however many sessions ask for it.
            let _ = tokio::time::timeout(pause, self.soon.notified()).await;
            clock::sleep(self.interval / 20).await;
        }
    }

    /// Warns of an account that may write to a read-only server: what it writes to a primary that
    /// is being demoted is lost.
    async fn check_grants(&mut self) {
        self.grants = Grants::Checked;
        match tokio::time::timeout(self.timeout, self.probe.writes_when_read_only()).await {
            Ok(Ok(Some(privilege))) => tracing::warn!(
                server = %self.name,
                %privilege,
                "Geogate's account may write to a read-only server; take this privilege from it, \
                 so that a demoted primary refuses its writes"
            ),
            Ok(Ok(None)) => {}
            Ok(Err(_)) | Err(_) => self.probe.hang_up(),
        }
    }

    /// Replaces the topology if the observation tells something new.
    fn publish(&self, health: Health) -> Turn {
        let before = self.topology.load_full();
        let old = &before.server(self.id).health;
        if !verdict::differs(old, &health) {
            return Turn::None;
        }
        let mut turn = Turn::None;
        let was_down = matches!(old.reachability, Reachability::Down(_));
        match (&health.reachability, was_down) {
            (Reachability::Down(reason), false) => {
                tracing::warn!(server = %self.name, %reason, "server is down");
                turn = Turn::Down;
            }
            (Reachability::Up, true) => tracing::info!(server = %self.name, "server is up again"),
            _ => {}
        }
        self.topology.rcu(|current| current.with_health(self.id, health.clone()));
        log_primaries(&before, &self.topology.load());
        turn
    }
}

/// What an observation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    None,
    /// The server is down since this moment.
    Down,
}

/// Whether the privileges of Geogate's account were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grants {
    /// The server's shards have no other server, so it is never demoted.
    Irrelevant,
    Unchecked,
    Checked,
}

fn has_peers(topology: &Topology, id: ServerId) -> bool {
    let mut shards = topology.keyspaces().flat_map(|(index, _)| topology.shards(index));
    shards.any(|shard| topology.holders(shard).contains(&id) && topology.holders(shard).len() > 1)
}

/// Says which shards have another primary now, and which have rivals.
fn log_primaries(before: &Topology, after: &Topology) {
    for shard in after.keyspaces().flat_map(|(index, _)| after.shards(index)) {
        let name = || after.shard_name(shard);
        let (old, new) = (before.primary(shard), after.primary(shard));
        if old != new {
            match new {
                Some(id) => {
                    let server = &after.server(id).address;
                    tracing::warn!(shard = %name(), %server, "the primary is another server");
                }
                None => tracing::warn!(shard = %name(), "no server takes writes"),
            }
        }
        let rivals = |topology: &Topology, shard: ShardId| topology.rivals(shard).count();
        if rivals(after, shard) > rivals(before, shard) {
            let servers: Vec<String> =
                after.rivals(shard).map(|id| after.server(id).address.to_string()).collect();
            tracing::error!(
                shard = %name(),
                servers = servers.join(", "),
                "more than one server takes writes; these are not used"
            );
        }
    }
}
