//! One client's session: commands in, answers out.
//!
//! A session is four values: the client, the connections to servers, the state, and the statements
//! that the client has prepared. What a step of a statement may touch is what it is given of them.
//! Start at [`run`](Session::run), which reads one command after the other, then `query`: admit,
//! classify, run. What comes of it is an `Answer` or a `Stop`, which is told in one place.
//!
//! Invariants: a command is answered exactly once; a statement runs only if it was admitted,
//! whatever way it came in; a connection goes back to its pool only in a known state; nothing that
//! one session has set is seen by another. The session never reads a VSchema: it asks the planner.

pub mod accounts;
mod answer;
mod assignment;
mod attached;
mod builtin;
mod bulk;
mod cached;
mod canary_statement;
mod change_user;
mod character_sets;
mod commit;
mod connections;
mod consistency;
mod copies;
mod cursors;
mod databases;
mod definition;
mod diagnostics;
mod exchange;
mod execute;
mod execution;
mod fill_in;
mod forward;
pub mod gauges;
mod hold;
mod hot;
mod insert_ids;
mod inspect;
mod job;
mod judged;
mod kill;
mod last_values;
mod lock_turns;
mod login_collation;
mod long_texts;
mod merged_cursor;
mod mirror;
mod named;
mod named_at_server;
mod next_transaction;
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
mod request;
mod routine_effects;
mod routines;
mod run;
mod scatter;
mod scatter_write;
mod sequence;
mod server_commands;
mod services;
mod several;
mod shard_connections;
mod show_rewritten;
mod show_topology;
mod show_vschema;
mod snapshot;
mod state;
mod statement;
mod statement_counts;
mod statement_timeout;
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

use crate::backend::Names;
use crate::executor::client::Client;
use crate::executor::registry::Registered;
use crate::wire::auth::Nonce;

pub use long_texts::LongTexts;
pub use routines::Routines;
pub use services::{Collations, Services};

use connections::Connections;
use consistency::Reading;
use mirror::Mirror;
use prepared::Prepared;
use state::State;
use tracking::Tracked;

/// A session of an authenticated client.
#[derive(Debug)]
pub struct Session {
    client: Client,
    connections: Connections,
    state: State,
    prepared: Prepared,
    registered: Registered,
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

impl Session {
    /// A session for a client that has proven who it is; [`Session::run`] tells it so.
    pub fn new(
        services: Arc<Services>,
        worker: usize,
        mut client: Client,
        registered: Registered,
        login: Login,
    ) -> Self {
        let names = Names::utf8mb4();
        let settings = services.first_settings(names.clone());
        let control = Arc::clone(registered.control());
        client.framed.hold_under(control.account.nothing());
        let profile = services.profile(client.capabilities, &control.attributes);
        let reading =
            Reading::new(services.geography.region_of(&login.host), u64::from(control.id));
        let mirror = Mirror::new(settings, services.versions());
        let tracked = Tracked::new(client.capabilities);
        let timeout = statement_timeout::first(&services, &login.user);
        let state = State::new(login, names, reading, control.id, timeout);
        let connections = Connections::new(services, control, worker, profile, mirror, tracked);
        let prepared = Prepared::new(connections.limits.client_statements_max);
        Self { client, connections, state, prepared, registered }
    }
}
