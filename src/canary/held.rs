//! The generation that a session is on: taken at the start of a transaction or of a statement
//! outside of one, kept to the end of it whatever is swapped meanwhile.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::serving::{Preference, Serving};
use crate::error::{SqlError, catalog};
use crate::planner::generation::Generation;

/// The generation that a session is on.
#[derive(Debug)]
pub struct HeldGeneration {
    key: [u8; 4],
    preference: Preference,
    held: Option<Arc<Generation>>,
}

impl HeldGeneration {
    /// For the session with this connection id, which is its key in the split.
    pub fn new(connection_id: u32) -> Self {
        Self { key: connection_id.to_le_bytes(), preference: Preference::Auto, held: None }
    }

    /// The generation for the next statement: the one that is held, else the one that serves this
    /// session now, which is then held until [`HeldGeneration::release`].
    pub fn hold(&mut self, serving: &ArcSwap<Serving>) -> Result<&Arc<Generation>, SqlError> {
        let generation = match self.held.take() {
            Some(held) => held,
            None => {
                let serving = serving.load();
                let chosen = serving.choose_preferred(self.preference, &self.key);
                Arc::clone(chosen.map_err(|_| catalog::NO_CANDIDATE.error())?)
            }
        };
        Ok(self.held.insert(generation))
    }

    /// The generation that is held.
    pub fn held(&self) -> Option<&Arc<Generation>> {
        self.held.as_ref()
    }

    /// A transaction, or a statement outside of one, has ended.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// What `vschema_generation` is set to.
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// Sets `vschema_generation`; it counts from the next transaction on.
    pub fn prefer(&mut self, preference: Preference) {
        self.preference = preference;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::split::{Split, Weight};
    use crate::vschema::{Sources, Strictness};

    fn generation(number: u64) -> Arc<Generation> {
        let sources = Sources::from_text("a.json", r#"{"sharded": false}"#);
        let vschema = sources.validate(Strictness::Strict).vschema.unwrap();
        Arc::new(Generation::new(number, "test", Arc::new(vschema), 10))
    }

    #[test]
    fn a_swap_waits_for_the_end_of_the_transaction() {
        let serving = ArcSwap::from_pointee(Serving::Stable(generation(1)));
        let mut session = HeldGeneration::new(1);
        assert_eq!(session.hold(&serving).unwrap().number(), 1);
        serving.store(Arc::new(Serving::Stable(generation(2))));
        assert_eq!(session.hold(&serving).unwrap().number(), 1);
        session.release();
        assert_eq!(session.hold(&serving).unwrap().number(), 2);
    }

    #[test]
    fn a_session_keeps_its_side_and_may_choose_one() {
        let split = Split::new(9, Weight::new(5000).unwrap());
        let canary = Serving::Canary { stable: generation(1), candidate: generation(2), split };
        let serving = ArcSwap::from_pointee(canary);
        let side = |id: u32| HeldGeneration::new(id).hold(&serving).unwrap().number();
        let first: Vec<u64> = (1..200).map(side).collect();
        assert_eq!(first, (1..200).map(side).collect::<Vec<_>>());
        assert!(first.contains(&1) && first.contains(&2));
        let mut session = HeldGeneration::new(1);
        session.prefer(Preference::parse("Candidate").unwrap());
        assert_eq!(session.hold(&serving).unwrap().number(), 2);
        serving.store(Arc::new(Serving::Stable(generation(1))));
        assert_eq!(session.hold(&serving).unwrap().number(), 2);
        session.release();
        let error = session.hold(&serving).unwrap_err();
        assert_eq!(error.id, Some("GG09011"));
        session.prefer(Preference::Stable);
        assert_eq!(session.hold(&serving).unwrap().number(), 1);
    }
}
