//! What a session remembers between two statements.

use std::sync::Arc;

use crate::backend::Settings;
use crate::observe::TransactionMode;
use crate::planner::input::Target;
use crate::sql::mode::LexMode;

use super::assignment::is_on;
use super::character_sets::CharacterSets;
use super::consistency::Reading;

/// The state of a session that no server connection has to hold.
#[derive(Debug)]
pub(super) struct State {
    /// What was SET.
    pub(super) settings: Arc<Settings>,
    /// How the settings make text to be read.
    pub(super) lex_mode: LexMode,
    /// The character sets that they say.
    pub(super) character_sets: CharacterSets,
    /// sql_mode has ORACLE, in which `;` may stand inside of any statement.
    pub(super) oracle_mode: bool,
    /// Whether every statement is a transaction of its own.
    pub(super) autocommit: bool,
    /// The database as the client named it: a keyspace, perhaps with shard and tablet type.
    pub(super) database: Vec<u8>,
    /// The same, checked; only where there are several servers.
    pub(super) target: Target,
    /// `transaction_mode`.
    pub(super) transaction_mode: TransactionMode,
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
}

impl State {
    /// The state after login.
    pub(super) fn new(settings: Arc<Settings>, database: Vec<u8>, reading: Reading) -> Self {
        let mut state = Self {
            character_sets: CharacterSets::of(&settings),
            settings: Arc::clone(&settings),
            lex_mode: LexMode::default(),
            oracle_mode: false,
            autocommit: true,
            database,
            target: Target::default(),
            transaction_mode: TransactionMode::Multi,
            last_insert_id: 0,
            row_count: -1,
            found_rows: 0,
            keyspace: None,
            reading,
        };
        state.enter_settings(settings);
        state
    }

    /// Takes settings over, with what follows from them.
    pub(super) fn enter_settings(&mut self, settings: Arc<Settings>) {
        self.character_sets = CharacterSets::of(&settings);
        let mode = settings.get("sql_mode").unwrap_or_default();
        self.lex_mode = self.lex_mode.with_sql_mode(mode);
        self.oracle_mode = mode.to_ascii_uppercase().windows(6).any(|word| word == b"ORACLE");
        self.lex_mode.charset = self.character_sets.lex_class();
        self.autocommit = settings.get("autocommit").is_none_or(is_on);
        self.settings = settings;
    }
}
