//! Which connections to a server are open, for those who can use only one of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The open connections to a server, by the server's ids of them.
#[derive(Debug, Default)]
pub(super) struct Presence {
    threads: Mutex<HashSet<u32>>,
    waiting: AtomicUsize,
    news: Notify,
}

impl Presence {
    /// Notes a connection that was made; it is open until what this gives is dropped.
    pub(super) fn enter(self: &Arc<Self>, thread: u32) -> Present {
        self.threads.lock().insert(thread);
        Present { presence: Arc::clone(self), thread }
    }

    /// Whether a connection is open.
    pub(super) fn is_open(&self, thread: u32) -> bool {
        self.threads.lock().contains(&thread)
    }

    /// Notes that a connection came back to its pool.
    pub(super) fn note_idle(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.news.notify_waiters();
        }
    }

    /// Looks until `found` finds something, again whenever a connection came back or was closed.
    pub(super) async fn wait_for<T>(&self, mut found: impl FnMut() -> Option<T>) -> T {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // What comes back after the look is news.
            news.as_mut().enable();
            if let Some(found) = found() {
                return found;
            }
            news.await;
        }
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Present {
    presence: Arc<Presence>,
    thread: u32,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.presence.threads.lock().remove(&self.thread);
        self.presence.note_idle();
    }
}

/// Somebody who waits for news.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
