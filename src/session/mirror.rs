//! What every connection of a session must agree with, and what follows from it for reading the
//! client's text. Values only: nothing here is sent anywhere.

use std::sync::Arc;

use crate::backend::Settings;
use crate::engine::capacity::Zero;
use crate::observe::TransactionMode;
use crate::sql::mode::{LexMode, Versions};

use super::assignment::is_on;
use super::character_sets::CharacterSets;

/// What every connection of a session must agree with.
#[derive(Debug)]
pub(super) struct Mirror {
    /// What was SET.
    pub(super) settings: Arc<Settings>,
    /// How the settings make text to be read.
    pub(super) lex_mode: LexMode,
    /// The character sets that they say.
    pub(super) character_sets: CharacterSets,
    /// sql_mode has ORACLE, in which `;` may stand inside of any statement.
    pub(super) oracle_mode: bool,
    /// What servers store for 0 in a column that they number, by `sql_mode`.
    pub(super) zero: Zero,
    /// Whether every statement is a transaction of its own.
    pub(super) autocommit: bool,
    /// `transaction_mode`.
    pub(super) transaction_mode: TransactionMode,
    /// LAST_INSERT_ID().
    pub(super) last_insert_id: u64,
}

impl Mirror {
    /// The state after login, at servers that read version comments so.
    pub(super) fn new(settings: Arc<Settings>, versions: Versions) -> Self {
        let mut mirror = Self {
            character_sets: CharacterSets::of(&settings),
            settings: Arc::clone(&settings),
            lex_mode: LexMode { versions, ..LexMode::default() },
            oracle_mode: false,
            zero: Zero::Numbered,
            autocommit: true,
            transaction_mode: TransactionMode::Multi,
            last_insert_id: 0,
        };
        mirror.enter_settings(settings);
        mirror
    }

    /// Takes settings over, with what follows from them.
    pub(super) fn enter_settings(&mut self, settings: Arc<Settings>) {
        self.character_sets = CharacterSets::of(&settings);
        let mode = settings.get("sql_mode").unwrap_or_default();
        self.lex_mode = self.lex_mode.with_sql_mode(mode);
        let has = |name: &[u8]| mode.windows(name.len()).any(|w| w.eq_ignore_ascii_case(name));
        self.oracle_mode = has(b"ORACLE");
        let kept = has(b"NO_AUTO_VALUE_ON_ZERO");
        self.zero = if kept { Zero::Kept } else { Zero::Numbered };
        self.lex_mode.charset = self.character_sets.lex_class();
        self.autocommit = settings.get("autocommit").is_none_or(is_on);
        self.settings = settings;
    }
}
