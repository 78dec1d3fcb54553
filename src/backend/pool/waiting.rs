//! Who waits for a connection of a pool, so that others can be asked to hurry.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Pool;
use crate::clock::{self, Instant};

/// Those who wait, by the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    line: Mutex<Line>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Line {
    since: BTreeMap<u64, Instant>,
    last: u64,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl Waiting {
    /// Notes one more.
    pub(super) fn enter(&self) -> Waiter<'_> {
        let mut line = self.line.lock();
        line.last += 1;
        let number = line.last;
        line.since.insert(number, clock::now());
        drop(line);
        self.news.notify_one();
        Waiter { waiting: self, number }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiting.line.lock().since.remove(&self.number);
    }
}

impl Pool {
    /// How many wait for a connection, and for how long the first of them has; `None` if nobody
    /// does.
    pub fn waiting(&self, now: Instant) -> Option<(usize, Duration)> {
        let line = self.waiting.line.lock();
        let first = *line.since.values().next()?;
        Some((line.since.len(), now.saturating_duration_since(first)))
    }

    /// Done when somebody waits for a connection. To be called by one task.
    pub async fn somebody_waits(&self) {
        while self.waiting.line.lock().since.is_empty() {
            self.waiting.news.notified().await;
        }
    }

    /// How long a statement may wait for a connection.
    pub fn wait_max(&self) -> Duration {
        self.wait
    }
}
