//! In which order several servers are locked, and how long each may take.
//!
//! Servers cannot see a deadlock among themselves: a transaction that has written on one server may
//! want to write on another that is locked already. So only the first server is waited for with
//! patience, while nothing is locked yet; the others must answer soon. If one does not, all locks
//! are given up, and the next attempt begins with that server.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// How long a server may take while others are locked.
const SOON: Duration = Duration::from_millis(500);

/// The attempts to lock a number of servers.
#[derive(Debug)]
pub(super) struct LockTurns {
    first: usize,
    count: usize,
    end: Instant,
}

impl LockTurns {
    /// For so many servers; all attempts together may take `limit`.
    pub(super) fn new(count: usize, limit: Duration) -> Self {
        Self { first: 0, count, end: clock::now() + limit }
    }

    /// The servers of an attempt in order, by their numbers.
    pub(super) fn servers(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first, self.count);
        (0..count).map(move |number| (first + number) % count)
    }

    /// How long to wait for a server; `None` leaves that to the server, because it is the only one.
    pub(super) fn patience(&self, server: usize) -> Option<Duration> {
        let left = self.end.saturating_duration_since(clock::now());
        match self.count {
            1 => None,
            _ if server == self.first => Some(left),
            _ => Some(left.min(SOON)),
        }
    }

    /// After a server was late and all locks were given up: whether to try again.
    pub(super) fn again(&mut self, late: usize) -> bool {
        self.first = late;
        clock::now() < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_late_one_is_the_next_first() {
        let mut turns = LockTurns::new(3, Duration::from_secs(60));
        assert_eq!(turns.servers().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(turns.patience(0).is_some_and(|wait| wait > SOON));
        assert_eq!(turns.patience(2), Some(SOON));
        assert!(turns.again(2));
        assert_eq!(turns.servers().collect::<Vec<_>>(), [2, 0, 1]);
        assert!(turns.patience(2).is_some_and(|wait| wait > SOON));
        assert!(!LockTurns::new(3, Duration::ZERO).again(1));
        assert_eq!(LockTurns::new(1, Duration::ZERO).patience(0), None);
    }
}
