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

mod announce;
pub mod columns;
mod primaries;
mod probe;
pub mod reader;
pub mod stored_programs;
mod verdict;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::backend::{Pool, Term};
use crate::clock;
use crate::config::Backend;
use crate::topology::{Health, OpenConnections, Reachability, ServerId};

pub use primaries::{AdmitError, Primaries, Unreadable, remember};

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
    /// For how long a server may be silent and its answers still count.
    pub silence: Duration,
}

/// The tasks that watch the servers.
#[derive(Debug)]
pub struct Monitor {
    primaries: Arc<Primaries>,
}

impl Monitor {
    /// Starts to watch all servers on `runtime`. `pools` are in the order of the topology's
    /// servers.
    ///
    /// Returns when every server was looked at, so that it is known who the primaries are, but at
    /// the latest after the timeout of a look.
    pub fn start(
        runtime: &Handle,
        settings: &MonitorSettings,
        primaries: &Arc<Primaries>,
        pools: &[Arc<Pool>],
    ) -> Self {
        let first = primaries.topology();
        let (looked, looks) = mpsc::sync_channel(pools.len());
        for ((id, server), pool) in first.servers().zip(pools) {
            let peers = first.has_peers(id);
            if peers {
                pool.dialer().term().limit_silence(settings.silence);
            }
            let watch = Watch {
                id,
                name: server.address.to_string(),
                probe: Probe::new(&server.address, &settings.backend),
                grants: if peers { Grants::Unchecked } else { Grants::Irrelevant },
                looked: Some(looked.clone()),
                interval: settings.interval,
                timeout: settings.timeout,
                primaries: Arc::clone(primaries),
                pool: Arc::clone(pool),
                soon: Arc::clone(&primaries.soon[id.index()]),
                lost: false,
            };
            runtime.spawn(watch.run());
        }
        let deadline = clock::now() + settings.timeout;
        for _ in first.servers() {
            let rest = deadline.saturating_duration_since(clock::now());
            if looks.recv_timeout(rest).is_err() {
                break;
            }
        }
        Self { primaries: Arc::clone(primaries) }
    }

    /// Asks a server at once: it failed, or refused a write because it is read-only.
    pub fn recheck(&self, server: ServerId) {
        if let Some(soon) = self.primaries.soon.get(server.index()) {
            soon.notify_one();
        }
    }

    /// Asks every server at once: the primary that is needed is not known.
    pub fn recheck_all(&self) {
        self.primaries.soon.iter().for_each(|soon| soon.notify_one());
    }

    /// Who the primaries are.
    pub fn primaries(&self) -> &Primaries {
        &self.primaries
    }
}

/// Watches one server.
struct Watch {
    id: ServerId,
    name: String,
    probe: Probe,
    grants: Grants,
    /// Told once, after the first look.
    looked: Option<mpsc::SyncSender<()>>,
    interval: Duration,
    timeout: Duration,
    primaries: Arc<Primaries>,
    pool: Arc<Pool>,
    soon: Arc<Notify>,
    /// It is down, and nothing comes over its connections any more.
    lost: bool,
}

impl Watch {
    async fn run(mut self) {
        let mut history = History::default();
        loop {
            if self.pool.dialer().term().take_stranger() {
                // The connection of the probe may lead to a server that left this address.
                self.probe.hang_up();
            }
            let asked = clock::now();
            let term = Arc::clone(self.pool.dialer().term());
            let (silent_after, look) = (history.silent_after(), self.probe.look());
            let look = noting_silence(look, silent_after, &term);
            let seen = match tokio::time::timeout(self.timeout, look).await {
                Ok(seen) => seen,
                Err(_) => Err(Unanswered::Failed(format!("no answer within {:?}", self.timeout))),
            };
            if seen.is_err() {
                self.probe.hang_up();
            }
            let answered = seen.is_ok();
            // Those who are connected to a server that refuses more may go on.
            let failed = matches!(seen, Err(Unanswered::Failed(_)));
            let heard = if failed { Heard::No } else { Heard::Yes };
            term.note_silent(failed);
            if !failed {
                term.note_heard(asked);
                history.note_look(clock::now().saturating_duration_since(asked));
            }
            if let Some(kind) = self.probe.kind() {
                self.pool.dialer().note_kind(kind);
            }
            let health = history.note(seen, clock::now());
            self.publish(health, heard);
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

    /// Hands an observation on if it tells something new. A server that is down and was not
    /// `heard` has lost its connections.
    fn publish(&mut self, health: Health, heard: Heard) {
        let before = self.primaries.topology();
        let old = &before.server(self.id).health;
        let is_down = |health: &Health| matches!(health.reachability, Reachability::Down(_));
        let lost = is_down(&health) && heard == Heard::No;
        let newly_lost = lost && !std::mem::replace(&mut self.lost, lost);
        self.lost = lost;
        if !verdict::differs(old, &health) && !newly_lost {
            return;
        }
        match (&health.reachability, is_down(old)) {
            (Reachability::Down(reason), false) => {
                tracing::warn!(server = %self.name, %reason, "server is down");
            }
            (Reachability::Up, true) => tracing::info!(server = %self.name, "server is up again"),
            _ => {}
        }
        let open = if newly_lost { OpenConnections::Lost } else { OpenConnections::Serve };
        self.primaries.observe(self.id, health, open);
    }
}

/// Waits for a look, and notes when it takes longer than it does as a rule.
async fn noting_silence<T>(look: impl Future<Output = T>, after: Duration, term: &Term) -> T {
    let mut look = std::pin::pin!(look);
    match tokio::time::timeout(after, look.as_mut()).await {
        Ok(seen) => seen,
        Err(_) => {
            term.note_silent(true);
            look.await
        }
    }
}

/// Whether a look was answered, with a refusal at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

/// Whether the privileges of Geogate's account were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grants {
    /// The server's shards have no other server, so it is never demoted.
    Irrelevant,
    Unchecked,
    Checked,
}
