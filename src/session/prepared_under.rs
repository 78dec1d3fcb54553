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
    pub(super) fn of(settings: &Arc<Settings>, state: &State) -> Self {
        Self {
            settings: Arc::clone(settings),
            database: state.database.clone(),
            target: state.target.clone(),
        }
    }

    /// Whether the session's settings read the text now as those of then did.
    pub(super) fn holds(&self, now: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, now)
            || reading_key(b"", &self.settings) == reading_key(b"", now)
    }

    /// The same; remembers equal settings, so that the next comparison is one of pointers.
    pub(super) fn still_holds(&mut self, now: &Arc<Settings>) -> bool {
        let holds = self.holds(now);
        if holds && !Arc::ptr_eq(&self.settings, now) {
            self.settings = Arc::clone(now);
        }
        holds
    }

    /// The database that a statement runs in: that of its PREPARE, as on servers.
    pub(super) fn database(&self, now: &[u8]) -> Vec<u8> {
        self.other_database(now).unwrap_or_else(|| now.to_vec())
    }

    /// The same, if it is not the one in use now.
    pub(super) fn other_database(&self, now: &[u8]) -> Option<Vec<u8>> {
        // Without a database all names were qualified.
        let other = !self.database.is_empty() && self.database != now;
        other.then(|| self.database.clone())
    }

    /// The settings to prepare the text under again.
    pub(super) fn settings(&self, now: &Settings) -> Arc<Settings> {
        Arc::new(self.settings.with_execution_of(now))
    }
}
