//! What a session remembers between two statements and no connection has to agree with: values, no
//! IO.

use std::sync::Arc;

use crate::backend::{Names, Settings};
use crate::canary::HeldGeneration;
use crate::planner::input::Target;
use crate::sql::scan::Scan;

use super::Login;
use super::answer::Place;
use super::consistency::Reading;
use super::statement_counts::StatementCounts;
use super::tally::Tally;

/// The state of a session that no server connection has to hold.
#[derive(Debug)]
pub(super) struct State {
    /// Who logged in.
    pub(super) login: Login,
    /// The character set that the client asked for when it logged in.
    pub(super) names: Names,
    /// The database as the client named it: a keyspace, perhaps with shard and tablet type.
    pub(super) database: Vec<u8>,
    /// The same, checked; only where there are several servers.
    pub(super) target: Target,
    /// The number of that keyspace in the topology, for the metrics.
    pub(super) keyspace: Option<usize>,
    /// Where reads may go.
    pub(super) reading: Reading,
    /// `statement_timeout_ms`; 0 for none.
    pub(super) statement_timeout: u32,
    /// ROW_COUNT().
    pub(super) row_count: i64,
    /// FOUND_ROWS().
    pub(super) found_rows: u64,
    /// Prepared statements it has used, for SHOW STATUS.
    pub(super) statement_counts: StatementCounts,
    /// How often COM_CHANGE_USER was refused.
    pub(super) refused_changes: u8,
    /// The settings that the idle limit was last taken from.
    pub(super) patience_of: Option<Arc<Settings>>,
    /// The generation of the VSchema that the running transaction is on.
    pub(super) generation: HeldGeneration,
    /// The tokens of the statement that runs.
    pub(super) scan: Scan,
    /// The statement that runs, for the metrics.
    pub(super) tally: Tally,
}

impl State {
    /// The state at login; `id` is the session's.
    pub(super) fn new(
        login: Login,
        names: Names,
        reading: Reading,
        id: u32,
        statement_timeout: u32,
    ) -> Self {
        Self {
            login,
            names,
            database: Vec::new(),
            target: Target::default(),
            keyspace: None,
            reading,
            statement_timeout,
            row_count: -1,
            found_rows: 0,
            statement_counts: StatementCounts::default(),
            refused_changes: 0,
            patience_of: None,
            generation: HeldGeneration::new(id),
            scan: Scan::new(),
            tally: Tally::new(),
        }
    }

    /// Where names are looked up.
    pub(super) fn place(&self) -> Place {
        Place { database: self.database.clone(), target: self.target.clone() }
    }

    /// Looks names up elsewhere; gives where they were before.
    pub(super) fn move_to(&mut self, place: Place) -> Place {
        Place {
            database: std::mem::replace(&mut self.database, place.database),
            target: std::mem::replace(&mut self.target, place.target),
        }
    }

    /// Puts it into the state after login. The scan, the generation and who logged in stay.
    pub(super) fn reset(&mut self, names: Names, database: Vec<u8>, reading: Reading) {
        self.names = names;
        self.database = database;
        self.target = Target::default();
        self.keyspace = None;
        self.reading = reading;
        self.row_count = -1;
        self.found_rows = 0;
        self.statement_counts = StatementCounts::default();
    }
}
