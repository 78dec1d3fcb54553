//! A session that waits for its client in the middle of a command: for it to take its answer, or to
//! send the rest of what it began.
//!
//! Meanwhile it keeps connections to servers that others may want. A client that does nothing for
//! long is ended ([`Registry::end_silent`]), and a slow one sooner, if others wait for a
//! connection that it keeps ([`Registry::give_way`]): the later it gets for them, the sooner.
//!
//! [`Registry::end_silent`]: super::registry::Registry::end_silent
//! [`Registry::give_way`]: super::registry::Registry::give_way

use std::time::Duration;

use smallvec::SmallVec;

use crate::clock::Instant;
use crate::topology::ServerId;

/// Servers whose connections a session keeps while it waits.
pub type Servers = SmallVec<[ServerId; 2]>;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Its client is to take what was sent.
    Reader,
    /// Its client is to send the rest of its command.
    Sender,
}

/// So many bytes make up for the time that they took: who moves as many is not slow.
const ENOUGH: usize = 128 << 10;

/// With less patience than this a busy client would be taken for a slow one.
const PATIENCE_MIN: Duration = Duration::from_millis(50);

/// The waits of one command.
#[derive(Debug)]
pub(super) struct Stalled {
    pub(super) awaited: Awaited,
    keeps: Servers,
    /// Since when nothing was moved; `None` while it is not the client that is waited for.
    since: Option<Instant>,
    /// Time that was waited for the last bytes, before `since`.
    waited: Duration,
    /// Bytes that were moved in that time.
    moved: usize,
    /// The session was told to end.
    pub(super) ended: bool,
}

impl Stalled {
    /// A session that begins to wait now.
    pub(super) fn new(awaited: Awaited, keeps: Servers, now: Instant) -> Self {
        let since = Some(now);
        Self { awaited, keeps, since, waited: Duration::ZERO, moved: 0, ended: false }
    }

    /// Begins another wait of the same command.
    pub(super) fn again(&mut self, awaited: Awaited, keeps: Servers, now: Instant) {
        self.awaited = awaited;
        self.keeps = keeps;
        self.since = Some(now);
    }

    /// Notes bytes that were moved.
    pub(super) fn note_moved(&mut self, bytes: usize, now: Instant) {
        self.waited = self.slow_for(now);
        self.moved += bytes;
        if self.moved >= ENOUGH {
            (self.waited, self.moved) = (Duration::ZERO, 0);
        }
        self.since = Some(now);
        self.ended = false;
    }

    /// Notes that the client is not waited for any more.
    pub(super) fn pause(&mut self) {
        self.since = None;
    }

    /// For how long the client has done nothing.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// For how long it was waited for since it has moved [`ENOUGH`].
    fn slow_for(&self, now: Instant) -> Duration {
        self.waited + self.silent_for(now)
    }

    /// For how long it is slow, if others could use the connection to `server` that it keeps.
    pub(super) fn slow_with(&self, server: ServerId, now: Instant) -> Option<Duration> {
        (self.since.is_some() && self.keeps.contains(&server)).then(|| self.slow_for(now))
    }
}

/// Who waits for a connection to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// How many.
    pub count: usize,
    /// How long the first of them has waited.
    pub waited: Duration,
    /// How long each of them may wait.
    pub wait_max: Duration,
}

/// For how long a client may be slow while others wait for its connection: for `patience`, and less
/// the nearer those are to a quarter of their own time; in the rest of it many must get a place.
pub(super) fn patience(patience: Duration, crowd: &Crowd) -> Duration {
    let quarter = crowd.wait_max / 4;
    let left = quarter.saturating_sub(crowd.waited).as_secs_f64();
    let share = if quarter.is_zero() { 0.0 } else { left / quarter.as_secs_f64() };
    patience.mul_f64(share).max(PATIENCE_MIN.min(patience))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn patience_ends_with_the_time_of_those_who_wait() {
        let left = |waited: u64| {
            let waited = Duration::from_millis(waited);
            patience(2 * SECOND, &Crowd { count: 1, waited, wait_max: 8 * SECOND })
        };
        assert_eq!(left(0), 2 * SECOND);
        assert_eq!(left(1_000), SECOND);
        assert_eq!(left(2_000), PATIENCE_MIN);
        assert_eq!(left(9_000), PATIENCE_MIN);
        let none = Crowd { count: 1, waited: SECOND, wait_max: Duration::ZERO };
        assert_eq!(patience(2 * SECOND, &none), PATIENCE_MIN);
        assert_eq!(patience(Duration::ZERO, &none), Duration::ZERO);
    }

    #[test]
    fn who_moves_enough_is_not_slow() {
        let start = clock::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let server = ServerId::default();
        let mut stalled = Stalled::new(Awaited::Reader, Servers::from_slice(&[server]), start);
        assert_eq!(stalled.slow_with(server, at(3)), Some(3 * SECOND));
        // A little now and then is progress, and slow.
        stalled.note_moved(10, at(3));
        assert_eq!(stalled.silent_for(at(4)), SECOND);
        assert_eq!(stalled.slow_with(server, at(4)), Some(4 * SECOND));
        // What the server takes does not count.
        stalled.note_moved(10, at(4));
        stalled.pause();
        assert_eq!(stalled.silent_for(at(100)), Duration::ZERO);
        assert_eq!(stalled.slow_with(server, at(100)), None);
        stalled.again(Awaited::Reader, Servers::from_slice(&[server]), at(100));
        assert_eq!(stalled.slow_with(server, at(101)), Some(5 * SECOND));
        stalled.note_moved(ENOUGH, at(102));
        assert_eq!(stalled.slow_with(server, at(103)), Some(SECOND));
        stalled.again(Awaited::Reader, Servers::new(), at(103));
        assert_eq!(stalled.slow_with(server, at(104)), None);
    }
}
