//! Messages that somebody else could cause to be logged without end.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{self, Instant};

/// How often the messages begin to be logged again.
const EVERY: Duration = Duration::from_secs(10);

/// Counts a message, and tells when to log it: the first few of every ten seconds.
#[derive(Debug)]
pub struct Seldom {
    lines_max: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    unsaid: u64,
    said: u32,
    next: Option<Instant>,
}

impl Seldom {
    /// So many lines in ten seconds.
    pub fn new(lines_max: u32) -> Self {
        Self { lines_max, state: Mutex::default() }
    }

    /// Counts it once more. `Some`: it is time to log it, for so many.
    pub fn count(&self) -> Option<u64> {
        self.count_at(clock::now())
    }

    fn count_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        state.unsaid += 1;
        if state.next.is_none_or(|next| now >= next) {
            state.next = Some(now + EVERY);
            state.said = 0;
        }
        if state.said >= self.lines_max {
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_said_and_the_others_are_added_up() {
        let (seldom, start) = (Seldom::new(2), clock::now());
        let count = |later| seldom.count_at(start + later);
        assert_eq!(count(Duration::ZERO), Some(1));
        assert_eq!(count(EVERY / 2), Some(1));
        assert_eq!(count(EVERY / 2), None);
        assert_eq!(count(EVERY / 2), None);
        assert_eq!(count(EVERY), Some(3));
        assert_eq!(count(EVERY), Some(1));
        assert_eq!(count(EVERY), None);
    }
}
