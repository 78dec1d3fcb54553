//! What a session remembers between two statements.

use std::sync::Arc;

use crate::backend::Settings;
use crate::error::SqlError;
use crate::planner::input::Target;
use crate::sql::mode::LexMode;

use super::consistency::Reading;

/// The state of a session that no server connection has to hold.
#[derive(Debug)]
pub(super) struct State {
    /// What was SET.
    pub(super) settings: Arc<Settings>,
    /// How the settings make text to be read.
    pub(super) lex_mode: LexMode,
    /// Whether every statement is a transaction of its own.
    pub(super) autocommit: bool,
    /// The database as the client named it: a keyspace, perhaps with shard and tablet type.
    pub(super) database: Vec<u8>,
    /// The same, checked; only where there are several servers.
    pub(super) target: Target,
    /// LAST_INSERT_ID().
    pub(super) last_insert_id: u64,
    /// ROW_COUNT().
    pub(super) row_count: i64,
    /// FOUND_ROWS().
    pub(super) found_rows: u64,
    /// The number of that keyspace in the topology, for the metrics.
    pub(super) keyspace: Option<usize>,
    /// Where reads may go.
    pub(super) reading: Reading,
    /// What SHOW WARNINGS answers.
    pub(super) warnings: Warnings,
}

/// The warnings of the last statement that was not diagnostic itself.
#[derive(Debug, Default)]
pub(super) enum Warnings {
    /// None.
    #[default]
    None,
    /// The statement failed with this error.
    Error(SqlError),
    /// Rows of SHOW WARNINGS: level, number, text.
    Noted(Vec<Vec<Option<String>>>),
}

impl State {
    /// The state after login.
    pub(super) fn new(settings: Arc<Settings>, database: Vec<u8>, reading: Reading) -> Self {
        Self {
            settings,
            lex_mode: LexMode::default(),
            autocommit: true,
            database,
            target: Target::default(),
            last_insert_id: 0,
            row_count: -1,
            found_rows: 0,
            keyspace: None,
            reading,
            warnings: Warnings::None,
        }
    }
}
