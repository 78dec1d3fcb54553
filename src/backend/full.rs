//! A server that refuses connections though its pool may still open some: who stands in line for
//! room there, and when the server is asked again.
//!
//! Other programs have connections too, so only trying tells whether there is room. One asks for
//! all, with growing pauses; meanwhile the connections that come back go to the first in line.
//! This file decides and waits; what a connection is, is the pool's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify};

use super::dial::DialError;
use crate::clock::{self, Instant};

/// A server takes a moment to see that a connection was closed.
const ROOM_IS_MADE: Duration = Duration::from_millis(5);
/// The first pause after a refusal; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Those who wait for room at one server.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: AtomicUsize,
    /// Whoever holds it is the first in line; it is given to those who wait in order.
    first: tokio::sync::Mutex<()>,
    /// Told to the first in line: a connection came back, was closed, or was made.
    news: Notify,
    asked: Mutex<Asked>,
}

/// What the server said.
#[derive(Debug, Default)]
struct Asked {
    /// Not before this is it asked again; `None` if it has refused nobody of late.
    again_at: Option<Instant>,
    pause: Duration,
    /// Somebody asks at this moment.
    asking: bool,
    /// The number of its last error.
    errno: u16,
    /// Why it could not even be asked, and when that was.
    failure: Option<(Instant, DialError)>,
}

impl Line {
    /// Whether nobody stands in line, so that nobody is overtaken.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// How many stand in line.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the server was not asked in vain just now.
    pub(super) fn may_ask(&self) -> bool {
        self.asked.lock().again_at.is_none_or(|at| at <= clock::now())
    }

    /// Takes the right to ask the server again, for one at a time.
    pub(super) fn begin_asking(&self) -> bool {
        let mut asked = self.asked.lock();
        let begins = !asked.asking && asked.again_at.is_none_or(|at| at <= clock::now());
        asked.asking |= begins;
        begins
    }

    /// Gives that right back.
    pub(super) fn end_asking(&self) {
        self.asked.lock().asking = false;
        self.news.notify_one();
    }

    /// Notes that the server has given a connection.
    pub(super) fn note_made(&self) {
        let mut asked = self.asked.lock();
        (asked.again_at, asked.pause) = (None, Duration::ZERO);
    }

    /// Notes why it has not.
    pub(super) fn note_failure(&self, error: &DialError) {
        let (mut asked, now) = (self.asked.lock(), clock::now());
        match error.server_is_full() {
            Some(errno) => asked.errno = errno,
            // Whoever comes first is told by its own try; those who wait try one at a time.
            None if self.is_empty() => return,
            None => asked.failure = Some((now, error.clone())),
        }
        asked.pause = (asked.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
        asked.again_at = Some(now + asked.pause);
    }

    /// Notes that a connection came back.
    pub(super) fn note_idle(&self) {
        if !self.is_empty() {
            self.news.notify_one();
        }
    }

    /// Notes that a connection was closed: there should be room in a moment.
    pub(super) fn note_closed(&self) {
        if !self.is_empty() {
            self.expect_room();
            self.news.notify_one();
        }
    }

    /// Lets the server be asked in a moment, because a connection was closed.
    fn expect_room(&self) {
        let mut asked = self.asked.lock();
        let soon = clock::now() + ROOM_IS_MADE;
        if asked.again_at.is_some_and(|at| at > soon) {
            asked.again_at = Some(soon);
            asked.pause = Duration::ZERO;
        }
    }

    /// Joins the line; done when nobody stands before the caller any more.
    pub(super) async fn stand(&self) -> First<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (place, since) = (Place(self), clock::now());
        First { _first: self.first.lock().await, _place: place, since, closes_from: since }
    }

    /// Notes that the first in line has closed a connection.
    pub(super) fn note_made_room(&self, first: &mut First<'_>) {
        first.closes_from = clock::now() + PAUSE_FIRST;
        self.expect_room();
    }

    /// Why the server could not be asked while the caller stood in line.
    pub(super) fn failure(&self, first: &First<'_>) -> Option<DialError> {
        let asked = self.asked.lock();
        let recent = asked.failure.as_ref().filter(|(at, _)| *at >= first.since);
        recent.map(|(_, error)| error.clone())
    }

    /// Waits for news, or until it is time to ask the server.
    pub(super) async fn wait(&self, _: &First<'_>) {
        let again_at = {
            let asked = self.asked.lock();
            // Whoever asks will tell.
            if asked.asking { None } else { Some(asked.again_at.unwrap_or_else(clock::now)) }
        };
        let pause = again_at.map_or(PAUSE_MAX, |at| at.saturating_duration_since(clock::now()));
        let _ = tokio::time::timeout(pause, self.news.notified()).await;
    }

    /// The number of the server's last refusal.
    pub(super) fn errno(&self) -> u16 {
        self.asked.lock().errno
    }
}

/// The first place in the line.
#[derive(Debug)]
pub(super) struct First<'a> {
    _first: MutexGuard<'a, ()>,
    _place: Place<'a>,
    since: Instant,
    /// Not before this it closes a connection to make room.
    closes_from: Instant,
}

impl First<'_> {
    /// Whether it may close a connection of ours that is of no use to it: one at a time, because
    /// the room that it makes shows only when the server is asked.
    pub(super) fn may_close(&self) -> bool {
        self.closes_from <= clock::now()
    }
}

/// A place in the line.
#[derive(Debug)]
struct Place<'a>(&'a Line);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
