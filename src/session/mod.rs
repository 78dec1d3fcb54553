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
mod attached;
mod builtin;
mod canary_statement;
mod consistency;
pub mod gauges;
mod inspect;
mod own_variables;
mod planned;
mod prepared;
mod query;
pub mod region;
mod reply;
mod run;
mod scatter;
mod sequence;
mod services;
mod show_topology;
mod show_vschema;
mod state;
mod stream;
mod tally;
mod target;
mod transaction;
mod variables;

use std::sync::Arc;

use crate::backend::{Names, Profile, Settings};
use crate::canary::HeldGeneration;
use crate::error::{SqlError, catalog};
use crate::executor::registry::Registered;
use crate::executor::relay::Client;
use crate::geo::{self, Placement};
use crate::sql::scan::Scan;
use crate::topology::Topology;
use crate::wire::auth::Nonce;

pub use run::names_of_collation;
pub use services::Services;

use attached::Attached;
use consistency::Reading;
use prepared::Prepared;
use reply::Rows;
use state::State;
use tally::Tally;
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
    state: State,
    prepared: Prepared,
    transaction: Transaction,
    attached: Vec<Attached>,
    /// Reused for every statement.
    scan: Scan,
    /// Sequence id of the next packet to the client.
    sequence: u8,
    /// Another answer to the same command follows.
    more_follows: bool,
    /// The last answer was an error.
    failed: bool,
    /// The form of rows that Geogate makes.
    rows: Rows,
    /// The statement that runs, for the metrics.
    tally: Tally,
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
    /// The character set that the client asked for.
    pub names: Names,
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

/// Why a session ends.
#[derive(Debug)]
enum End {
    /// The client said goodbye, or closed its side.
    Quit,
    /// The client cannot be trusted to be in step any more, or was interrupted; it has been told.
    Abort,
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
        let settings = Arc::new(Settings::new(login.names.clone()));
        let connection_id = registered.control().id;
        let statements_max = services.limits.client_statements_max;
        let region = services.geography.region_of(&login.host);
        let reading = Reading::new(region, u64::from(registered.control().id));
        Self {
            profile: Profile::of(client.capabilities),
            services,
            worker,
            client,
            registered,
            state: State::new(settings, login.database.clone(), reading),
            login,
            prepared: Prepared::new(statements_max),
            transaction: Transaction::None { next: None },
            attached: Vec::new(),
            scan: Scan::new(),
            sequence: 0,
            more_follows: false,
            failed: false,
            rows: Rows::Text,
            tally: Tally::new(),
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
