//! Messages that somebody else could cause to be logged without end.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{self, Instant};

/// How often such a message is worth a line.
const EVERY: Duration = Duration::from_secs(10);

/// Counts a message, and tells when to log it.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unsaid: u64,
    next: Option<Instant>,
}

impl Seldom {
    /// Counts it once more. `Some`: it is time to log it, for so many.
    pub fn count(&self) -> Option<u64> {
        self.count_at(clock::now())
    }

    fn count_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        state.unsaid += 1;
        if state.next.is_some_and(|next| now < next) {
            return None;
        }
        state.next = Some(now + EVERY);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_others_are_added_up() {
        let (seldom, start) = (Seldom::default(), clock::now());
        assert_eq!(seldom.count_at(start), Some(1));
        assert_eq!(seldom.count_at(start + EVERY / 2), None);
        assert_eq!(seldom.count_at(start + EVERY / 2), None);
        assert_eq!(seldom.count_at(start + EVERY), Some(3));
    }
}
