//! All sessions of the proxy, and the way to interrupt one from outside: KILL, idle timeout,
//! shutdown.
//!
//! A session looks at its [`Control`] wherever it waits; asking costs one atomic load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Why a session is interrupted. Later ones are more urgent; each is kept by itself, so that a
/// KILL QUERY that is done with does not take a shutdown with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Interrupt {
    /// End when idle and outside a transaction: the proxy shuts down.
    Drain = 1,
    /// Stop the running statement: KILL QUERY.
    Query = 2,
    /// End: the client was idle for too long.
    Idle = 4,
    /// End: KILL CONNECTION.
    Connection = 8,
}

/// The outside handle of one session.
#[derive(Debug)]
pub struct Control {
    /// The connection id that the client knows.
    pub id: u32,
    /// Who logged in.
    pub user: Box<str>,
    /// Where the client is, for the session list.
    pub peer: Box<str>,
    /// A bit for each [`Interrupt`] that was raised.
    interrupts: AtomicU8,
    /// Seconds of the registry's coarse clock when the session became idle; 0 while it runs.
    idle_since: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Control {
    /// Ready as soon as the session shall be interrupted. The interrupt stays until
    /// [`Control::clear_query`].
    pub fn poll_interrupt(&self, cx: &Context<'_>) -> Poll<Interrupt> {
        if let Some(interrupt) = self.interrupt() {
            return Poll::Ready(interrupt);
        }
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        // It may have come between the look and the entry of the waker.
        self.interrupt().map_or(Poll::Pending, Poll::Ready)
    }

    /// The most urgent pending interrupt.
    pub fn interrupt(&self) -> Option<Interrupt> {
        let raised = self.interrupts.load(Ordering::Acquire);
        [Interrupt::Connection, Interrupt::Idle, Interrupt::Query, Interrupt::Drain]
            .into_iter()
            .find(|interrupt| raised & *interrupt as u8 != 0)
    }

    /// Asks the session to stop.
    pub fn raise(&self, interrupt: Interrupt) {
        self.interrupts.fetch_or(interrupt as u8, Ordering::AcqRel);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Forgets a KILL QUERY at the start of a command: it was meant for the one before.
    pub fn clear_query(&self) {
        let query = Interrupt::Query as u8;
        if self.interrupts.load(Ordering::Relaxed) & query != 0 {
            self.interrupts.fetch_and(!query, Ordering::AcqRel);
        }
    }

    /// Notes that the session waits for its client since `seconds` of the coarse clock.
    pub fn set_idle(&self, seconds: u64) {
        self.idle_since.store(seconds.max(1), Ordering::Relaxed);
    }

    /// Notes that the session runs a command.
    pub fn set_busy(&self) {
        self.idle_since.store(0, Ordering::Relaxed);
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<Control>>>,
    last_id: AtomicU32,
    /// Seconds since start, advanced by [`Registry::tick`].
    seconds: AtomicU64,
    /// Sessions that come now are told at once that the proxy shuts down.
    draining: AtomicBool,
}

/// A session's place in the registry; dropping it takes the session out.
#[derive(Debug)]
pub struct Registered {
    registry: Arc<Registry>,
    control: Arc<Control>,
}

impl Registry {
    /// A connection id that no open session has.
    pub fn next_id(&self) -> u32 {
        loop {
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if id != 0 && !self.sessions.lock().contains_key(&id) {
                return id;
            }
        }
    }

    /// Enters a session.
    pub fn register(self: &Arc<Self>, id: u32, user: &str, peer: &str) -> Registered {
        let control = Arc::new(Control {
            id,
            user: user.into(),
            peer: peer.into(),
            interrupts: AtomicU8::new(0),
            idle_since: AtomicU64::new(0),
            waker: Mutex::new(None),
        });
        let mut sessions = self.sessions.lock();
        sessions.insert(id, Arc::clone(&control));
        if self.draining.load(Ordering::Relaxed) {
            control.raise(Interrupt::Drain);
        }
        drop(sessions);
        Registered { registry: Arc::clone(self), control }
    }

    /// A session by its id.
    pub fn find(&self, id: u32) -> Option<Arc<Control>> {
        self.sessions.lock().get(&id).cloned()
    }

    /// All sessions, in order of their ids.
    pub fn list(&self) -> Vec<Arc<Control>> {
        let mut all: Vec<_> = self.sessions.lock().values().cloned().collect();
        all.sort_by_key(|control| control.id);
        all
    }

    /// How many sessions are open.
    pub fn count(&self) -> usize {
        self.sessions.lock().len()
    }

    /// How many sessions wait for their client.
    pub fn count_idle(&self) -> usize {
        let sessions = self.sessions.lock();
        let idle = |control: &&Arc<Control>| control.idle_since.load(Ordering::Relaxed) != 0;
        sessions.values().filter(idle).count()
    }

    /// Tells every session, also those that are still logging in, that the proxy shuts down.
    pub fn drain(&self) {
        let sessions = self.sessions.lock();
        self.draining.store(true, Ordering::Relaxed);
        for control in sessions.values() {
            control.raise(Interrupt::Drain);
        }
    }

    /// Advances the coarse clock to `seconds` since start and interrupts sessions that have been
    /// idle for `idle_seconds_max` or longer.
    pub fn tick(&self, seconds: u64, idle_seconds_max: u64) {
        self.seconds.store(seconds, Ordering::Relaxed);
        for control in self.sessions.lock().values() {
            let since = control.idle_since.load(Ordering::Relaxed);
            if since != 0 && seconds.saturating_sub(since) >= idle_seconds_max {
                control.raise(Interrupt::Idle);
            }
        }
    }

    /// Seconds since start, as of the last tick.
    pub fn seconds(&self) -> u64 {
        self.seconds.load(Ordering::Relaxed)
    }
}

impl Registered {
    /// The session's handle.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.control.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_wakes_and_stays() {
        let registry = Arc::new(Registry::default());
        let registered = registry.register(registry.next_id(), "u", "p");
        let cx = Context::from_waker(Waker::noop());
        let control = registered.control();
        assert!(control.poll_interrupt(&cx).is_pending());
        registry.find(control.id).unwrap().raise(Interrupt::Query);
        assert_eq!(control.poll_interrupt(&cx), Poll::Ready(Interrupt::Query));
        control.clear_query();
        assert!(control.poll_interrupt(&cx).is_pending());
        control.raise(Interrupt::Connection);
        control.raise(Interrupt::Query);
        control.clear_query();
        assert_eq!(control.interrupt(), Some(Interrupt::Connection));
    }

    #[test]
    fn a_kill_does_not_hide_a_shutdown() {
        let registry = Arc::new(Registry::default());
        let early = registry.register(1, "u", "p");
        registry.drain();
        early.control().raise(Interrupt::Query);
        early.control().clear_query();
        assert_eq!(early.control().interrupt(), Some(Interrupt::Drain));
        let late = registry.register(2, "u", "p");
        assert_eq!(late.control().interrupt(), Some(Interrupt::Drain));
    }

    #[test]
    fn idle_sessions_are_found() {
        let registry = Arc::new(Registry::default());
        let registered = registry.register(1, "u", "p");
        registered.control().set_idle(10);
        registry.tick(19, 10);
        assert_eq!(registered.control().interrupt(), None);
        registry.tick(20, 10);
        assert_eq!(registered.control().interrupt(), Some(Interrupt::Idle));
        drop(registered);
        assert_eq!(registry.count(), 0);
    }
}
