//! One client's session: commands in, answers out.
//!
//! Start at [`run`](Session::run), which reads one command after the other, then `query`. The
//! steps of a statement are: scan, answer it here if it is about the session itself, find its
//! plan, attach the connections, relay the answer, settle.
//!
//! Invariants: a command is answered exactly once; a connection goes back to its pool only in a
//! known state; nothing that one session has set is seen by another. The session never learns an
//! address and never reads a VSchema: it asks the planner.

pub mod accounts;
mod answer;
mod assignment;
mod attached;
mod builtin;
mod bulk;
mod canary_statement;
mod change_user;
mod character_sets;
mod consistency;
mod copies;
mod cursors;
mod databases;
mod definition;
mod diagnostics;
mod exchange;
mod execute;
mod fill_in;
pub mod gauges;
mod hold;
mod inspect;
mod job;
mod judged;
mod kill;
mod last_values;
mod lock_turns;
mod login_collation;
mod merged_cursor;
mod named_at_server;
mod own_variables;
mod patience;
mod piece;
mod planned;
mod prepared;
mod prepared_under;
mod query;
pub mod region;
mod remembered;
mod reply;
mod run;
mod scatter;
mod sequence;
mod server_commands;
mod services;
mod several;
mod show_rewritten;
mod show_topology;
mod show_vschema;
mod snapshot;
mod state;
mod statement_counts;
mod stream;
mod table_locks;
mod tally;
mod target;
mod text_prepared;
mod total;
mod tracking;
mod transaction;
mod use_database;
mod user_variables;
mod variables;

use std::sync::Arc;

use crate::backend::{Names, Profile, Settings, Stake};
use crate::canary::HeldGeneration;
use crate::error::{SqlError, catalog};
use crate::executor::registry::Registered;
use crate::executor::relay::{Client, StateMarks};
use crate::geo::{self, Placement};
use crate::sql::scan::Scan;
use crate::topology::{ServerId, Topology};
use crate::wire::auth::Nonce;
use crate::wire::query_attributes::QueryAttributes;

pub use services::{Collations, Services};

use attached::Attached;
use consistency::Reading;
use diagnostics::Diagnosed;
use hold::Pending;
use last_values::LastValues;
use prepared::Prepared;
use reply::Rows;
use state::State;
use statement_counts::StatementCounts;
use tally::Tally;
use tracking::Tracked;
use transaction::Transaction;

/// A session of an authenticated client.
#[derive(Debug)]
pub struct Session {
    services: Arc<Services>,
    worker: usize,
    client: Client,
    profile: Profile,
    registered: Registered,
    login: Login,
    /// The character set that the client asked for when it logged in.
    names: Names,
    state: State,
    /// What the client sent along with the command that runs.
    attributes: QueryAttributes,
    prepared: Prepared,
    transaction: Transaction,
    attached: Vec<Attached>,
    /// What hangs on the statement that runs.
    stake: Stake,
    /// The server where a read of this command was lost: it is run again elsewhere, once.
    lost_at: Option<ServerId>,
    /// The settings that the idle limit was last taken from.
    patience_of: Arc<Settings>,
    /// Prepared statements it has used, for SHOW STATUS.
    statement_counts: StatementCounts,
    /// How often COM_CHANGE_USER was refused.
    refused_changes: u8,
    /// Reused for every statement.
    scan: Scan,
    /// Sequence id of the next packet to the client.
    sequence: u8,
    /// Another answer to the same command follows.
    more_follows: bool,
    /// The beginning of what follows the statement in the client's command.
    rest: Vec<u8>,
    /// The last answer was an error.
    failed: bool,
    /// Session state changes that go with the next OK of Geogate's own.
    tracked: Tracked,
    /// Whether the client asked for the mark that some state has changed.
    state_marks: StateMarks,
    /// The form of rows that Geogate makes.
    rows: Rows,
    /// What the statements before left behind.
    diagnosed: Diagnosed,
    /// Who knows LASTVAL() of the sequences that numbers were taken from.
    last_values: LastValues,
    /// The statement that runs, for the metrics.
    tally: Tally,
    /// What the statement that runs may leave behind at the server.
    pending: Option<Box<Pending>>,
    /// The generation of the VSchema that the running transaction is on.
    generation: HeldGeneration,
}

/// Who logged in, and how.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account's name.
    pub user: Arc<str>,
    /// The client's host, without port.
    pub host: Arc<str>,
    /// The keyspace to start in; empty for none.
    pub database: Vec<u8>,
    /// The number of the collation that the client asked for.
    pub collation: u8,
    /// What the client's password was scrambled with, for COM_CHANGE_USER.
    pub nonce: Nonce,
    /// Sequence id of the packet that ends the login.
    pub sequence: u8,
}

/// Who may judge a statement about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judges {
    /// Any server; the primary if it answers.
    Any,
    /// Only a primary.
    Primary,
}

impl Session {
    /// A session for a client that has proven who it is; [`Session::run`] tells it so.
    pub fn new(
        services: Arc<Services>,
        worker: usize,
        client: Client,
        registered: Registered,
        login: Login,
    ) -> Self {
        let names = Names::utf8mb4();
        let tracked = Tracked::new(client.capabilities);
        let settings = Arc::new(services.first_settings(names.clone()));
        let connection_id = registered.control().id;
        let statements_max = services.limits.client_statements_max;
        let region = services.geography.region_of(&login.host);
        let reading = Reading::new(region, u64::from(registered.control().id));
        let mut state = State::new(settings.clone(), login.database.clone(), reading);
        state.lex_mode.versions = services.versions();
        Self {
            profile: services.profile(client.capabilities, &registered.control().attributes),
            services,
            worker,
            client,
            registered,
            patience_of: Arc::clone(&settings),
            state,
            login,
            names,
            attributes: QueryAttributes::default(),
            prepared: Prepared::new(statements_max),
            transaction: Transaction::None { next: None },
            attached: Vec::new(),
            stake: Stake::Commit,
            lost_at: None,
            statement_counts: StatementCounts::default(),
            refused_changes: 0,
            scan: Scan::new(),
            sequence: 0,
            more_follows: false,
            rest: Vec::new(),
            failed: false,
            tracked,
            state_marks: StateMarks::Dropped,
            rows: Rows::Text,
            diagnosed: Diagnosed::default(),
            last_values: LastValues::default(),
            tally: Tally::new(),
            pending: None,
            generation: HeldGeneration::new(connection_id),
        }
    }

    /// A server that may judge a statement which is about the session, and the schema to use there:
    /// one that is attached, else the primary of a shard of the session's keyspace.
    fn any_server(
        &mut self,
        topology: &Topology,
        judges: Judges,
    ) -> Result<(Placement, Vec<u8>), SqlError> {
        let placement = match self.attached.first() {
            Some(attached) => attached.placement,
            None => {
                let named = self.state.target.keyspace.as_deref();
                let keyspace = named.and_then(|name| topology.find_keyspace(name));
                let first = || topology.keyspaces().next().map(|(index, _)| index);
                let keyspace =
                    keyspace.or_else(first).ok_or_else(|| catalog::NO_KEYSPACE.error())?;
                let shard = topology.shard(keyspace, 0);
                match judges {
                    Judges::Any => self.place_anywhere(topology, shard)?,
                    Judges::Primary => geo::primary(topology, shard)?,
                }
            }
        };
        if topology.single_server().is_some() {
            return Ok((placement, self.state.database.clone()));
        }
        let keyspace = topology.keyspace(placement.shard().keyspace());
        Ok((placement, keyspace.database.as_bytes().to_vec()))
    }
}
