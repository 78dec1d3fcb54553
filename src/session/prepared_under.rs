//! What a statement was prepared under: it keeps the meaning that it had at PREPARE, whatever USE
//! and SET come after.

use std::sync::Arc;

use crate::backend::{Settings, reading_key};
use crate::planner::input::Target;
use crate::sql::features::Features;

use super::answer::Place;
use super::state::State;

/// What a statement uses that may tell the database in use.
const ASKS_DATABASE: Features =
    Features::DATABASE.with(Features::SYSTEM_VARIABLE).with(Features::UNKNOWN_FUNCTION);

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

    /// Where a statement runs that uses this: where it was prepared, as on servers. `now` is the
    /// database in use.
    pub(super) fn place(&self, now: &[u8], features: Features) -> Place {
        Place { database: self.database(now, features), target: self.target.clone() }
    }

    /// Its database.
    pub(super) fn database(&self, now: &[u8], features: Features) -> Vec<u8> {
        self.other_database(now, features).unwrap_or_else(|| now.to_vec())
    }

    /// The same, if it is not the one in use.
    pub(super) fn other_database(&self, now: &[u8], features: Features) -> Option<Vec<u8>> {
        // Without a database all names were qualified, but it may ask which one is in use.
        let counts = !self.database.is_empty() || features.intersects(ASKS_DATABASE);
        (counts && self.database != now).then(|| self.database.clone())
    }

    /// The settings to prepare the text under again.
    pub(super) fn settings(&self, now: &Settings) -> Arc<Settings> {
        Arc::new(self.settings.with_execution_of(now))
    }
}
