//! What all sessions share: limits, accounts, pools, and the state of the servers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;

use crate::backend::{
    AccountTrouble, CheckoutError, Names, PassedAttributes, Pool, Product, Profile, Settings,
};
use crate::canary::{Serving, Steward};
use crate::config::{ConsistentSnapshot, Limits, ReferenceCopies};
use crate::error::{SqlError, catalog};
use crate::executor::registry::Registry;
use crate::executor::sequence::Sequences;
use crate::geo::{self, Placement};
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::monitor::reader::Reader;
use crate::monitor::stored_programs::StoredProgramReader;
use crate::observe::Metrics;
use crate::sql::mode::Versions;
use crate::topology::{ServerId, ShardId, Topology};
use crate::wire::capability::Capabilities;

use super::accounts::Accounts;
use super::long_texts::LongTexts;
use super::region::Geography;
use super::routines::Routines;

/// What all sessions share.
#[derive(Debug)]
pub struct Services {
    /// Every limit.
    pub limits: ArcSwap<Limits>,
    /// What clients may make the process hold.
    pub memory: Arc<Memory>,
    /// Where long texts are worked on.
    pub long_texts: LongTexts,
    /// Who may log in.
    pub accounts: ArcSwap<Accounts>,
    /// All sessions.
    pub registry: Arc<Registry>,
    /// Servers, shards and their state; replaced by the monitors.
    pub topology: Arc<ArcSwap<Topology>>,
    /// Asks the servers how they are.
    pub monitor: Monitor,
    /// Reads the servers' columns.
    pub columns: Reader,
    /// Reads what triggers and views leave behind in sessions.
    pub stored_programs: StoredProgramReader,
    /// What stored routines leave behind.
    pub routines: Routines,
    /// Regions, and whose clients are where.
    pub geography: Geography,
    /// What is counted.
    pub metrics: Metrics,
    /// The VSchema generations in service.
    pub serving: Arc<ArcSwap<Serving>>,
    /// Who changes that.
    pub steward: Arc<Steward>,
    /// Blocks of sequence values.
    pub sequences: Sequences,
    /// The pools, in the order of the topology's servers.
    pub pools: Vec<Arc<Pool>>,
    /// What START TRANSACTION WITH CONSISTENT SNAPSHOT over several servers does, unless a session
    /// has set it.
    pub consistent_snapshot: ConsistentSnapshot,
    /// Who keeps the copies of reference tables.
    pub reference_copies: ReferenceCopies,
    /// Attributes of clients that servers are told.
    pub passed: Arc<PassedAttributes>,
    /// Collations that servers were asked for.
    pub collations: Collations,
    /// How often a client has changed global variables, with which later sessions begin.
    pub globals_changed: AtomicU32,
    /// How many definition statements have come.
    pub definitions: AtomicU32,
    /// The version text in greetings.
    pub server_version: String,
    /// The path of the Unix socket that Geogate listens on; empty for none.
    pub socket: String,
    /// Whether servers look up the names of hosts (`skip_name_resolve` is off).
    pub resolves_names: bool,
}

/// The collations that only some servers know, by their numbers.
#[derive(Debug, Default)]
pub struct Collations(RwLock<BTreeMap<u16, Names>>);

impl Collations {
    /// The collation of a number, if a server was asked for it.
    pub(super) fn find(&self, id: u16) -> Option<Names> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Remembers an answer.
    pub(super) fn insert(&self, id: u16, names: Names) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, names);
    }
}

impl Services {
    /// The servers as they are now.
    pub fn topology(&self) -> arc_swap::Guard<Arc<Topology>> {
        self.topology.load()
    }

    /// What clients may ask for because all servers can do it, beyond what Geogate does itself.
    ///
    /// Never MARIADB_CACHE_METADATA: a server leaves definitions out that it has sent before, for
    /// that statement on that connection, which then was another client's. Nor
    /// MARIADB_BULK_UNIT_RESULTS (MariaDB 11.5), whose results [`crate::wire::scanner`] cannot
    /// follow.
    pub fn offered_by_servers(&self) -> Capabilities {
        let common = self.pools.iter().map(|pool| pool.dialer().offered());
        let common = common.reduce(|a, b| a & b).unwrap_or_default();
        let mut wanted = Capabilities::MARIADB_EXTENDED_METADATA
            .union(Capabilities::QUERY_ATTRIBUTES)
            .union(Capabilities::OPTIONAL_RESULTSET_METADATA);
        // A bulk execution goes to one server as it comes, and one server's progress comes back.
        if self.topology().single_server().is_some() {
            wanted.insert(Capabilities::MARIADB_STMT_BULK_OPERATIONS);
            wanted.insert(Capabilities::MARIADB_PROGRESS);
        }
        common & wanted
    }

    /// How many definition statements have come: servers then prepare statements again.
    pub(super) fn definitions(&self) -> u32 {
        self.definitions.load(Ordering::Relaxed)
    }

    /// Notes a statement that may have defined something.
    pub(super) fn note_definition(&self) {
        self.definitions.fetch_add(1, Ordering::Relaxed);
    }

    /// What clients take the servers for.
    pub fn product(&self) -> Product {
        let mariadb = self.server_version.contains("MariaDB");
        if mariadb { Product::MariaDb } else { Product::MySql }
    }

    /// The pool of the server that a placement allows.
    pub fn pool(&self, placement: Placement) -> &Arc<Pool> {
        &self.pools[placement.server().index()]
    }

    /// Whether a shard has a primary that answers now, as far as is known: for what any shard can
    /// answer.
    pub(super) fn answers(
        &self,
        topology: &Topology,
        shard: ShardId,
        except: Option<ServerId>,
    ) -> bool {
        let is_fit = |server| !self.is_silent(server) && except != Some(server);
        geo::answers(topology, shard) && topology.primary(shard).is_some_and(is_fit)
    }

    /// Whether a server keeps its monitor waiting.
    pub(super) fn is_silent(&self, server: ServerId) -> bool {
        self.pools[server.index()].dialer().term().is_silent()
    }

    /// How the servers read version comments. Where there is only one, it is left to it.
    pub(super) fn versions(&self) -> Versions {
        if self.topology().single_server().is_some() {
            return Versions::Unknown;
        }
        let kinds = self.pools.iter().map(|pool| pool.dialer().kind());
        let versions = kinds.map(|kind| kind.map_or(Versions::Unknown, |kind| kind.versions()));
        versions.reduce(Versions::and).unwrap_or_default()
    }

    /// The profile of a session that begins now, with the attributes of its client.
    pub(super) fn profile(
        &self,
        client: Capabilities,
        attributes: &[(Box<str>, Box<str>)],
    ) -> Profile {
        Profile::of(client)
            .after_changes(self.globals_changed.load(Ordering::Relaxed))
            .with_attributes(self.passed.enter(attributes))
    }

    /// The settings of a session that begins with a character set.
    pub(super) fn first_settings(&self, names: Names) -> Arc<Settings> {
        let topology = self.topology();
        let first = topology.keyspaces().next().map(|(keyspace, _)| topology.shard(keyspace, 0));
        match first.and_then(|shard| topology.primary(shard)) {
            Some(server) => self.pools[server.index()].dialer().first_settings(names),
            None => Arc::new(Settings::new(names)),
        }
    }

    /// Settings for statements of Geogate itself.
    pub fn plain_settings(&self) -> Arc<Settings> {
        self.first_settings(Names::utf8mb4())
    }

    /// The error for a client whose statement found no connection.
    pub fn checkout_error(&self, placement: Placement, error: &CheckoutError) -> SqlError {
        let role = placement.role().name();
        let shard = self.topology().shard_name(placement.shard());
        match error {
            CheckoutError::Timeout(wait) => {
                catalog::POOL_TIMEOUT.with(&[&role, &shard, &format!("{wait:?}")])
            }
            CheckoutError::Full { wait, errno } => {
                tracing::warn!(%shard, %role, %error, "no connection to server");
                catalog::SERVER_FULL.with(&[&role, &shard, errno, &format!("{wait:?}")])
            }
            CheckoutError::Down | CheckoutError::Silent => {
                catalog::SERVER_UNREACHABLE.with(&[&role, &shard, error])
            }
            CheckoutError::Dial(error) => match error.account_trouble() {
                // The dialler has told the operator.
                Some((trouble, errno)) => refused_account(trouble).with(&[&role, &shard, &errno]),
                None => {
                    tracing::warn!(%shard, %role, %error, "cannot connect to server");
                    catalog::SERVER_UNREACHABLE.with(&[&role, &shard, &error.without_address()])
                }
            },
        }
    }
}

fn refused_account(trouble: AccountTrouble) -> catalog::Entry {
    match trouble {
        AccountTrouble::Expired => catalog::ACCOUNT_EXPIRED,
        AccountTrouble::Locked => catalog::ACCOUNT_LOCKED,
        AccountTrouble::Denied => catalog::ACCOUNT_DENIED,
    }
}
