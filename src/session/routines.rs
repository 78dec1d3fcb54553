//! What stored routines leave behind in a session, as their definitions said when they were read.
//!
//! A definition is read once for each server, until a statement through Geogate may have changed
//! one or the monitor has found another text: the revision of `monitor/stored_programs.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::sql::effects::Effect;

/// Definitions that are kept; with more, all are read again.
const ROUTINES_MAX: usize = 4096;

/// A routine of a server, by the statement that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoutineName {
    /// The number of the server.
    pub(super) server: usize,
    /// SHOW CREATE .., with the database.
    pub(super) ask: String,
}

/// The effects of routines.
#[derive(Debug, Default)]
pub struct Routines {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When they were read.
    revision: u64,
    effects: HashMap<RoutineName, Arc<[Effect]>>,
}

impl Routines {
    /// What is known of a routine at this revision.
    pub(super) fn find(&self, name: &RoutineName, revision: u64) -> Option<Arc<[Effect]>> {
        let known = self.known.lock();
        known.effects.get(name).filter(|_| known.revision == revision).cloned()
    }

    /// Keeps what was read after this revision.
    pub(super) fn keep(&self, name: RoutineName, revision: u64, effects: Arc<[Effect]>) {
        let mut known = self.known.lock();
        if known.revision > revision {
            // It may be older than what others have read since.
            return;
        }
        if known.revision < revision || known.effects.len() >= ROUTINES_MAX {
            known.effects.clear();
            known.revision = revision;
        }
        known.effects.insert(name, effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(ask: &str) -> RoutineName {
        RoutineName { server: 0, ask: ask.into() }
    }

    #[test]
    fn a_new_revision_forgets_everything() {
        let routines = Routines::default();
        let effects: Arc<[Effect]> = vec![Effect::UnknownLocks].into();
        routines.keep(name("p"), 1, Arc::clone(&effects));
        assert_eq!(routines.find(&name("p"), 1), Some(Arc::clone(&effects)));
        assert_eq!(routines.find(&name("q"), 1), None);
        assert_eq!(routines.find(&name("p"), 2), None);
        routines.keep(name("q"), 2, Arc::clone(&effects));
        assert_eq!(routines.find(&name("p"), 2), None);
        // Who was slow brings nothing back.
        routines.keep(name("p"), 1, effects);
        assert_eq!(routines.find(&name("p"), 2), None);
        assert_eq!(routines.find(&name("p"), 1), None);
    }
}
