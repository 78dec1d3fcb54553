//! The threads of the proxy: workers that serve clients, and the one of the control API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use super::{StartError, giving_way, learn_offers};
use crate::clock;
use crate::config::{Config, Limits};
use crate::control::{self, ControlState, Phase, Rules};
use crate::frontend::{Frontend, Inbox, Listener};
use crate::session::Services;
use crate::sql::STACK_BYTES;

/// How often servers that never were reached are asked, in seconds.
const OFFERS_EVERY: u64 = 5;

/// Starts a thread that reads statements, whose text may nest deeply.
fn start(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(run);
    thread.map_err(|error| StartError(format!("error: cannot start a thread: {error}")))
}

/// The threads for long texts, which are no worker's: they have no clients.
pub(super) fn for_long_texts(limits: &Limits) -> Result<Runtime, StartError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(limits.long_statement_threads).thread_name("long-texts");
    let runtime = runtime.thread_stack_size(STACK_BYTES).enable_all().build();
    runtime.map_err(|error| StartError(format!("error: cannot start a thread: {error}")))
}

/// A thread with a runtime of its own, its sessions and its idle connections.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) frontend: Arc<Frontend>,
    pub(super) services: Arc<Services>,
    pub(super) phase: Receiver<Phase>,
}

impl Worker {
    /// Starts it with the listeners whose clients it accepts for all workers.
    pub(super) fn start(
        self,
        listeners: Vec<Listener>,
        inbox: Inbox,
    ) -> Result<JoinHandle<()>, StartError> {
        start(format!("worker-{}", self.number), move || self.run(listeners, inbox))
    }

    fn run(self, listeners: Vec<Listener>, inbox: Inbox) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs only file descriptors, which the listeners got too");
        runtime.block_on(self.serve(listeners, inbox));
    }

    async fn serve(mut self, listeners: Vec<Listener>, inbox: Inbox) {
        // Dropped after the end, which ends it.
        let mut chores = JoinSet::new();
        chores.spawn(housekeeping(Arc::clone(&self.services), self.number));
        let mut phase = self.phase.clone();
        let stop = async move {
            let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
        };
        let frontend = Arc::clone(&self.frontend);
        let served = frontend.serve(listeners, inbox, self.number, stop).await;
        if let Err(error) = served {
            tracing::error!(%error, worker = self.number, "the listener failed");
        }
        // What still runs here is dropped with the runtime.
        let _ = self.phase.wait_for(|phase| *phase >= Phase::Ended).await;
    }
}

/// The thread for everything that is not a client's statement: control API, VSchema files.
pub(super) struct Control {
    state: Arc<ControlState>,
    socket: Option<std::net::TcpListener>,
    vschema: std::path::PathBuf,
}

impl Control {
    pub(super) fn new(
        config: &Config,
        services: &Arc<Services>,
        phase: Receiver<Phase>,
    ) -> Result<Self, StartError> {
        let bind = |address: SocketAddr| {
            let socket = std::net::TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = config.control.map(bind).transpose().map_err(|error: io::Error| {
            let address = config.control.map(|address| address.to_string()).unwrap_or_default();
            StartError(format!("error: cannot listen on control.address {address}: {error}"))
        })?;
        let counted = Arc::clone(services);
        let state = ControlState {
            services: Arc::clone(services),
            rules: ArcSwap::from_pointee(Rules::of(config)),
            region: config.region.clone(),
            regions: config.regions.clone(),
            metrics: Box::new(move || counted.metrics.render()),
            phase,
        };
        Ok(Self { state: Arc::new(state), socket, vschema: config.vschema.clone() })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// What its handlers share.
    pub(super) fn state(&self) -> Arc<ControlState> {
        Arc::clone(&self.state)
    }

    pub(super) fn start(self) -> Result<JoinHandle<()>, StartError> {
        start("control".to_owned(), move || self.run())
    }

    fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs only file descriptors, which the workers got too");
        runtime.block_on(async move {
            let mut phase = self.state.phase.clone();
            let steward = Arc::clone(&self.state.services.steward);
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { control::watch::run(steward, &self.vschema).await });
            if let Some(socket) = self.socket {
                tasks.spawn(async move {
                    if let Err(error) = control::serve(socket, self.state).await {
                        tracing::error!(%error, "the control API failed");
                    }
                });
            }
            // Ends with the proxy; what still runs here is dropped with the runtime.
            let _ = phase.wait_for(|phase| *phase >= Phase::Ended).await;
        });
    }
}

/// Once a second: expire idle connections of this worker, and idle clients of all.
async fn housekeeping(services: Arc<Services>, worker: usize) {
    let start = clock::now();
    let mut asking = JoinSet::new();
    loop {
        clock::sleep(Duration::from_secs(1)).await;
        while asking.try_join_next().is_some() {}
        for pool in &services.pools {
            pool.sweep(worker);
        }
        if worker == 0 {
            // Nobody is at home there.
            for pool in &services.pools {
                pool.sweep(services.long_texts.worker);
            }
            let seconds = clock::now().saturating_duration_since(start).as_secs();
            services.registry.tick(seconds);
            giving_way::end_silent(&services);
            if seconds.is_multiple_of(OFFERS_EVERY) {
                let services = Arc::clone(&services);
                asking.spawn(async move { learn_offers(&services.pools).await });
            }
        }
    }
}
