//! What a statement was prepared under: it keeps the meaning that it had at PREPARE, whatever USE
//! and SET come after.

use std::sync::Arc;

use crate::backend::{Settings, reading_key};
use crate::planner::input::Target;

use super::state::State;

/// What decides how the text of a prepared statement is read.
#[derive(Debug)]
pub(super) struct PreparedUnder {
    settings: Arc<Settings>,
    database: Vec<u8>,
    pub(super) target: Target,
}

impl PreparedUnder {
    /// What the session has now.
    pub(super) fn of(state: &State) -> Self {
        Self {
            settings: Arc::clone(&state.settings),
            database: state.database.clone(),
            target: state.target.clone(),
        }
    }

    /// Whether the session's settings read the text now as those of then did.
    pub(super) fn holds(&self, state: &State) -> bool {
        Arc::ptr_eq(&self.settings, &state.settings)
            || reading_key(b"", &self.settings) == reading_key(b"", &state.settings)
    }

    /// The same; remembers equal settings, so that the next comparison is one of pointers.
    pub(super) fn still_holds(&mut self, state: &State) -> bool {
        let holds = self.holds(state);
        if holds && !Arc::ptr_eq(&self.settings, &state.settings) {
            self.settings = Arc::clone(&state.settings);
        }
        holds
    }

    /// The database that a statement runs in: that of its PREPARE, as on servers.
    pub(super) fn database(&self, state: &State) -> Vec<u8> {
        self.other_database(state).unwrap_or_else(|| state.database.clone())
    }

    /// The same, if it is not the one in use now.
    pub(super) fn other_database(&self, state: &State) -> Option<Vec<u8>> {
        // Without a database all names were qualified.
        let other = !self.database.is_empty() && self.database != state.database;
        other.then(|| self.database.clone())
    }

    /// The settings to prepare the text under again.
    pub(super) fn settings(&self, state: &State) -> Arc<Settings> {
        Arc::new(self.settings.with_execution_of(&state.settings))
    }
}
