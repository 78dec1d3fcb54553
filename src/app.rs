//! The composition root: the only file that knows all parts, builds them in order and drains them.
//!
//! Order: configuration, topology, pools, services, one listener and one runtime a worker. Draining
//! goes the other way: listeners close, idle sessions end, the rest get a deadline.

mod ceiling;
mod descriptors;
mod giving_way;
mod problems;
mod reload;
mod threads;

pub use problems::problems;
pub use reload::Reloaded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::{
    Dial, DialError, DialSettings, PassedAttributes, Pool, PoolLimits, Product, Profile, ServerKind,
};
use crate::canary::{Actor, Steward, StewardSettings};
use crate::config::{Config, Limits, Listen};
use crate::control::{ControlState, Phase};
use crate::executor::registry::Registry;
use crate::executor::sequence::Sequences;
use crate::frontend::{Frontend, Listener, Policy};
use crate::memory::Memory;
use crate::monitor::columns::ColumnLook;
use crate::monitor::reader::Reader;
use crate::monitor::stored_programs::StoredProgramReader;
use crate::monitor::{self, Monitor, MonitorSettings, Primaries};
use crate::net::Codecs;
use crate::observe::Metrics;
use crate::session::accounts::Accounts;
use crate::session::region::Geography;
use crate::session::{Collations, LongTexts, Routines, Services, gauges};
use crate::sql::STACK_BYTES;
use crate::topology::{self, ServerId, Topology};
use crate::vschema::store::StateFolder;
use crate::wire::auth::caching_sha2::RsaKey;
use crate::wire::capability::Capabilities;
use crate::wire::charset::{Collation, UTF8MB4_0900_COLLATION, UTF8MB4_COLLATION};
use crate::{clock, net};

use threads::{Control, Worker};

/// How long the start waits for servers to say what they can do; later ones are asked again.
const OFFERS_WAIT: Duration = Duration::from_secs(1);
/// How often a proxy that stops looks whether all have gone.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// How long the first client waits for the servers' columns and stored programs.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Why the proxy does not start: what an operator must mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// A running proxy.
#[derive(Debug)]
pub struct App {
    services: Arc<Services>,
    frontend: Arc<Frontend>,
    control: Arc<ControlState>,
    /// What was read at the start, except for what was reloaded since.
    config: Mutex<Config>,
    workers: Vec<JoinHandle<()>>,
    control_thread: JoinHandle<()>,
    phase: watch::Sender<Phase>,
    address: Option<SocketAddr>,
    control_address: Option<SocketAddr>,
    /// Runs the monitors of the servers, and what watches over clients.
    monitors: tokio::runtime::Runtime,
    /// Works on long texts.
    long_texts: tokio::runtime::Runtime,
}

impl App {
    /// Builds all parts and starts to accept clients.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let topology = topology::build(&config.keyspaces).map_err(|problems| {
            StartError(
                problems.iter().map(|p| format!("error: {p}")).collect::<Vec<_>>().join("\n"),
            )
        })?;
        let monitors = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("monitor")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|e| StartError(format!("cannot start the monitors: {e}")))?;
        let limits = descriptors::provide(config, &topology)?;
        let long_texts = threads::for_long_texts(&limits)?;
        let elsewhere = LongTexts { threads: long_texts.handle().clone(), worker: config.workers };
        let services = Arc::new(services(config, &limits, topology, monitors.handle(), elsewhere)?);
        gauges::watch(&services);
        giving_way::watch(&services, monitors.handle());
        ceiling::watch(&services, monitors.handle());
        monitors.block_on(async {
            let columns = services.columns.ready(FIRST_LOOK);
            let stored_programs = services.stored_programs.reader().ready(FIRST_LOOK);
            tokio::join!(columns, stored_programs)
        });
        let policy = policy(config, &services.server_version)?;
        let (frontend, inboxes) = Frontend::new(Arc::clone(&services), policy, config.workers);
        let frontend = Arc::new(frontend);
        let listeners = listeners(&config.listen)?;
        let address = listeners.iter().find_map(Listener::local_address);
        // Each is served by one worker, which accepts for all.
        let mut shares: Vec<Vec<Listener>> = inboxes.iter().map(|_| Vec::new()).collect();
        for (number, listener) in listeners.into_iter().enumerate() {
            shares[number % config.workers].push(listener);
        }
        let (phase, phases) = watch::channel(Phase::Serving);
        // Before the first client is let in: who can connect can also ask the API.
        let control = Control::new(config, &services, phases.clone())?;
        let (control_address, control_state) = (control.address(), control.state());
        let mut workers = Vec::new();
        for (number, (listeners, inbox)) in shares.into_iter().zip(inboxes).enumerate() {
            let worker = Worker {
                number,
                frontend: Arc::clone(&frontend),
                services: Arc::clone(&services),
                phase: phases.clone(),
            };
            workers.push(worker.start(listeners, inbox)?);
        }
        Ok(Self {
            services,
            frontend,
            control: control_state,
            config: Mutex::new(config.clone()),
            workers,
            control_thread: control.start()?,
            phase,
            address,
            control_address,
            monitors,
            long_texts,
        })
    }

    /// Where clients connect; `None` if only on a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where the control API listens.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control_address
    }

    /// Says at `/readyz` that clients should be sent elsewhere, and goes on for `notice`, so that
    /// load balancers see it; then stops accepting, lets transactions end, and returns when all
    /// workers have ended. The control API answers to the last.
    #[expect(clippy::disallowed_methods, reason = "the main thread has no runtime to wait in")]
    pub fn drain(self, notice: Duration) {
        self.phase.send_replace(Phase::Leaving);
        std::thread::sleep(notice);
        self.services.registry.drain();
        self.phase.send_replace(Phase::Draining);
        let limits = self.services.limits.load_full();
        let deadline = Instant::now() + limits.drain();
        while self.services.registry.count() > 0 && Instant::now() < deadline {
            std::thread::sleep(DRAIN_POLL);
        }
        let sessions = self.services.registry.count();
        if sessions > 0 {
            let drain_ms = limits.drain_ms;
            tracing::warn!(sessions, drain_ms, "sessions did not end in time and are cut");
        }
        self.phase.send_replace(Phase::Ended);
        for thread in self.workers.into_iter().chain([self.control_thread]) {
            let _ = thread.join();
        }
        self.long_texts.shutdown_background();
        self.monitors.shutdown_background();
    }
}

/// How clients are received.
fn policy(config: &Config, server_version: &str) -> Result<Policy, StartError> {
    let tls = net::server_config(&config.tls).map_err(|e| StartError(e.to_string()))?;
    Ok(Policy {
        tls,
        tls_mode: config.tls.mode,
        trusted_proxies: config.listen.trusted_proxies.clone(),
        compression: config.listen.compression.clone(),
        collation: collation(&config.listen, server_version)?,
        codecs: Arc::default(),
    })
}

/// The collation of the greeting, by the low byte of its number. Clients that do not choose one
/// get it, so it is one that the servers know.
fn collation(listen: &Listen, server_version: &str) -> Result<u8, StartError> {
    let Some(name) = &listen.collation else {
        let kind = ServerKind::parse(server_version.as_bytes());
        let mysql8 = kind.product == Product::MySql && kind.version >= (8, 0, 0);
        return Ok(if mysql8 { UTF8MB4_0900_COLLATION } else { UTF8MB4_COLLATION });
    };
    let known = Collation::by_name(name.as_bytes()).and_then(|known| u8::try_from(known.id).ok());
    known.ok_or_else(|| {
        StartError(format!(
            "error: listen.collation: '{name}' is not a collation with a number below 256"
        ))
    })
}

/// Binds everything that clients may connect to.
fn listeners(listen: &Listen) -> Result<Vec<Listener>, StartError> {
    let cannot = |at: &dyn std::fmt::Display, error: std::io::Error| {
        StartError(format!("error: cannot listen on {at}: {error}"))
    };
    let tcp = listen
        .addresses
        .iter()
        .map(|address| Listener::bind(*address).map_err(|error| cannot(address, error)));
    let unix = listen.socket.iter().map(|socket| {
        Listener::bind_unix(socket).map_err(|error| cannot(&socket.path.display(), error))
    });
    tcp.chain(unix).collect()
}

fn services(
    config: &Config,
    limits: &Limits,
    topology: Topology,
    monitors: &tokio::runtime::Handle,
    long_texts: LongTexts,
) -> Result<Services, StartError> {
    let rsa = RsaKey::generate().map_err(|e| StartError(format!("error: {e}")))?;
    let accounts =
        Accounts::new(&config.users, rsa).map_err(|problems| StartError(problems.join("\n")))?;
    let tls = net::client_config(config.backend.tls, config.backend.ca.as_deref())
        .map_err(|e| StartError(e.to_string()))?;
    let passed = &config.pass_attributes;
    let passed = PassedAttributes::new(passed.clone(), limits.passed_attribute_sets_max);
    let shared = DialShared { passed: Arc::new(passed), ..DialShared::default() };
    let pool = |(id, server): (ServerId, &topology::Server)| {
        let dial = Dial::new(dial_settings(config, id, server, tls.as_ref(), &shared));
        let size = PoolLimits {
            connections_max: server.connections_max.unwrap_or(limits.server_connections_max),
            wait: limits.server_connection_wait(),
            idle: limits.server_connection_idle(),
        };
        Arc::new(Pool::new(dial, size, config.workers + 1))
    };
    let pools: Vec<Arc<Pool>> = topology.servers().map(pool).collect();
    let facts = ask_server(&pools);
    let server_version = config.listen.server_version.clone().unwrap_or(facts.version);
    let socket = config.listen.socket.as_ref().map(|socket| socket.path.display().to_string());
    let socket = socket.unwrap_or_default();
    let keyspaces = topology.keyspaces().map(|(_, keyspace)| keyspace.name.to_string()).collect();
    let steward = Arc::new(steward(config, &topology)?);
    let (topology, monitor) = monitor(config, topology, &pools, monitors)?;
    let columns = column_reader(config, monitors, &topology, &steward);
    let refresh = limits.schema_refresh();
    let stored_programs = StoredProgramReader::start(monitors, &config.backend, refresh, &topology);
    Ok(Services {
        collations: Collations::default(),
        long_texts,
        passed: shared.passed,
        memory: Arc::new(Memory::new(limits.client_memory_bytes_max, ceiling::process_max(limits))),
        limits: ArcSwap::from_pointee(limits.clone()),
        consistent_snapshot: config.consistent_snapshot,
        reference_copies: config.reference_copies,
        accounts: ArcSwap::from_pointee(accounts),
        registry: Arc::new(Registry::default()),
        topology,
        monitor,
        columns,
        stored_programs,
        routines: Routines::default(),
        geography: Geography::new(config),
        metrics: Metrics::new(config.workers + 1, keyspaces),
        serving: Arc::clone(steward.serving()),
        steward,
        sequences: Sequences::default(),
        pools,
        globals_changed: AtomicU32::new(0),
        definitions: AtomicU32::new(0),
        server_version,
        socket,
        resolves_names: facts.resolves_names,
    })
}

/// Remembers who the primaries were, and begins to watch the servers.
fn monitor(
    config: &Config,
    topology: Topology,
    pools: &[Arc<Pool>],
    runtime: &tokio::runtime::Handle,
) -> Result<(Arc<ArcSwap<Topology>>, Monitor), StartError> {
    let limits = &config.limits;
    let folder = StateFolder::new(&config.state);
    let (topology, remembered) = monitor::remember(topology, &folder, config.split_brain)
        .map_err(|error| StartError(format!("error: {error}")))?;
    let topology = Arc::new(ArcSwap::from_pointee(topology));
    let patience = limits.server_down();
    let primaries = Primaries::new(&topology, pools, remembered, folder, runtime, patience);
    let settings = MonitorSettings {
        backend: config.backend.clone(),
        interval: limits.monitor_interval(),
        timeout: limits.monitor_timeout(),
        silence: limits.server_silence(),
    };
    let monitor = Monitor::start(runtime, &settings, &Arc::new(primaries), pools);
    Ok((topology, monitor))
}

/// What the dials of all servers share.
#[derive(Default)]
struct DialShared {
    codecs: Arc<Codecs>,
    passed: Arc<PassedAttributes>,
}

/// How to reach a server with Geogate's own account.
fn dial_settings(
    config: &Config,
    id: ServerId,
    server: &topology::Server,
    tls: Option<&Arc<ClientConfig>>,
    shared: &DialShared,
) -> DialSettings {
    DialSettings {
        server: id,
        address: server.address.clone(),
        user: config.backend.user.clone(),
        password: config.backend.password.clone(),
        tls: tls.cloned(),
        timeout: config.limits.server_connect(),
        keepalive: config.limits.tcp_keepalive(),
        compression: server.compression.unwrap_or(config.backend.compression),
        codecs: Arc::clone(&shared.codecs),
        passed: Arc::clone(&shared.passed),
        statements_max: config.limits.server_statements_max,
    }
}

/// Logs in to every server as the proxy would; what it says of itself, or why that does not work.
pub fn greet_servers(config: &Config, topology: &Topology) -> Result<Vec<Greeted>, StartError> {
    let tls = net::client_config(config.backend.tls, config.backend.ca.as_deref())
        .map_err(|e| StartError(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| StartError(format!("cannot start a runtime: {e}")))?;
    Ok(runtime.block_on(async {
        let (mut greeted, shared) = (Vec::new(), DialShared::default());
        for (id, server) in topology.servers() {
            let dial = Dial::new(dial_settings(config, id, server, tls.as_ref(), &shared));
            let made = dial.connect(Profile::of(Capabilities::EMPTY)).await;
            greeted.push(made.map(|connection| connection.kind().greeting_version()));
        }
        greeted
    }))
}

/// The version of a server, or why it does not let Geogate in.
pub type Greeted = Result<String, DialError>;

/// Plans need the servers' columns; with a single server there are no plans.
fn column_reader(
    config: &Config,
    runtime: &tokio::runtime::Handle,
    topology: &Arc<ArcSwap<Topology>>,
    steward: &Arc<Steward>,
) -> Reader {
    if topology.load().single_server().is_some() {
        return Reader::none();
    }
    let steward = Arc::clone(steward);
    let publish = Box::new(move |columns| steward.columns_changed(columns));
    let interval = config.limits.schema_refresh();
    ColumnLook::start(runtime, &config.backend, interval, topology, publish)
}

/// Reads and checks the VSchema; its problems keep the proxy from starting.
fn steward(config: &Config, topology: &Topology) -> Result<Steward, StartError> {
    let settings = StewardSettings {
        path: config.vschema.clone(),
        state: StateFolder::new(&config.state),
        topology: Arc::new(topology.clone()),
        plans_max: config.limits.plan_cache_entries,
    };
    let actor = Actor { name: "start".to_owned(), at: clock::unix_seconds() };
    Steward::open(settings, &actor).map_err(|error| StartError(error.to_string()))
}

/// What clients are to see as on a server.
struct ServerFacts {
    version: String,
    resolves_names: bool,
}

/// Asks the first server that answers. Clients choose their SQL by the version.
fn ask_server(pools: &[Arc<Pool>]) -> ServerFacts {
    let unknown = || ServerFacts { version: "8.0.30-Geogate".to_owned(), resolves_names: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return unknown() };
    runtime.block_on(async {
        let mut facts = None;
        for pool in pools {
            match pool.dialer().connect(Profile::of(Capabilities::EMPTY)).await {
                Ok(mut connection) => {
                    let version = connection.kind().greeting_version();
                    let answer = connection.rows(b"SELECT @@skip_name_resolve + 0").await;
                    let off = vec![vec![Some(b"0".to_vec())]];
                    let resolves_names = answer.is_ok_and(|rows| rows == off);
                    facts = Some(ServerFacts { version, resolves_names });
                    break;
                }
                Err(error) => tracing::warn!(%error, "cannot ask a server for its version"),
            }
        }
        if facts.is_some() {
            let _ = tokio::time::timeout(OFFERS_WAIT, learn_offers(pools)).await;
        }
        facts.unwrap_or_else(unknown)
    })
}

/// Asks the servers that were not reached yet what they can do: clients are offered what all can.
async fn learn_offers(pools: &[Arc<Pool>]) {
    let mut asked = JoinSet::new();
    for pool in pools.iter().filter(|pool| pool.dialer().offered() == Capabilities::EMPTY) {
        let pool = Arc::clone(pool);
        asked.spawn(async move {
            // Who is unreachable is the monitor's to tell.
            let _ = pool.dialer().connect(Profile::of(Capabilities::EMPTY)).await;
        });
    }
    asked.join_all().await;
}
