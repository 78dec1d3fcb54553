//! All sessions of the proxy, and the way to interrupt one from outside: KILL, idle timeout,
//! shutdown.
//!
//! A session looks at its [`Control`] wherever it waits; asking costs one atomic load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

mod ending;

use super::deadline::Deadline;
use super::stalled::{Awaited, Servers, Stalled};
use crate::clock;
use crate::memory::{Account, Memory};

/// Why a session is interrupted. Later ones are more urgent; each is kept by itself, so that a
/// KILL QUERY that is done with does not take a shutdown with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Interrupt {
    /// End when idle and outside a transaction: the proxy shuts down.
    Drain = 1,
    /// Stop the running statement: KILL QUERY.
    Query = 2,
    /// End: the client does not take its answer, or does not send the rest of its command. Raised
    /// only while just that is waited for.
    Stalled = 4,
    /// End: the client was idle for too long.
    Idle = 8,
    /// End: the client holds the most memory, and others need it.
    Memory = 16,
    /// End: KILL CONNECTION.
    Connection = 32,
}

const BY_URGENCY: [Interrupt; 6] = [
    Interrupt::Connection,
    Interrupt::Memory,
    Interrupt::Idle,
    Interrupt::Stalled,
    Interrupt::Query,
    Interrupt::Drain,
];

/// How long a KILL QUERY waits for its effect.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// The outside handle of one session.
#[derive(Debug)]
pub struct Control {
    /// The connection id that the client knows.
    pub id: u32,
    /// Where the client is, for the session list.
    pub peer: Box<str>,
    /// What the client says of itself: names and values.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// What the client makes the process hold.
    pub account: Arc<Account>,
    user: Mutex<Arc<str>>,
    /// A bit for each [`Interrupt`] that was raised.
    interrupts: AtomicU8,
    /// Seconds of the registry's coarse clock when the session became idle; 0 while it runs.
    idle_since: AtomicU64,
    /// The server's id of the connection that the session used last; 0 for none.
    thread: AtomicU32,
    /// The session's database as the client named it; empty for none.
    database: Mutex<Vec<u8>>,
    /// Seconds that it may be idle.
    idle_max: AtomicU64,
    waker: Mutex<Option<Waker>>,
    /// The time of the statement that runs.
    pub deadline: Deadline,
    /// Told when a KILL QUERY has had its effect, or has come too late for one.
    query_killed: Notify,
    /// Why the session keeps a server connection to itself.
    pin: Mutex<Option<&'static str>>,
    /// How the client was waited for in the middle of the command that runs.
    stalled: Mutex<Option<Stalled>>,
}

impl Control {
    /// Who logged in.
    pub fn user(&self) -> Arc<str> {
        Arc::clone(&self.user.lock())
    }

    /// Notes why the session keeps a server connection, or that it keeps none.
    pub fn set_pin(&self, reason: Option<&'static str>) {
        *self.pin.lock() = reason;
    }

    /// Why the session keeps a server connection.
    pub fn pin(&self) -> Option<&'static str> {
        *self.pin.lock()
    }

    /// Ready as soon as the session shall be interrupted. The interrupt stays until
    /// [`Control::clear_query`]; a more urgent one that follows wakes again.
    pub fn poll_interrupt(&self, cx: &Context<'_>) -> Poll<Interrupt> {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        // It may have come between the look and the entry of the waker.
        self.interrupt().map_or(Poll::Pending, Poll::Ready)
    }

    /// The most urgent pending interrupt.
    #[inline]
    pub fn interrupt(&self) -> Option<Interrupt> {
        let raised = self.interrupts.load(Ordering::Acquire);
        if raised == 0 {
            return None;
        }
        BY_URGENCY.into_iter().find(|interrupt| raised & *interrupt as u8 != 0)
    }

    /// Asks the session to stop.
    pub fn raise(&self, interrupt: Interrupt) {
        self.interrupts.fetch_or(interrupt as u8, Ordering::AcqRel);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Asks the session to stop its statement, and waits until the server was told so: as servers
    /// do, whoever gets the answer to a KILL QUERY can rely on it.
    pub async fn kill_query(&self) {
        let mut killed = std::pin::pin!(self.query_killed.notified());
        killed.as_mut().enable();
        self.raise(Interrupt::Query);
        if self.idle_since.load(Ordering::Relaxed) == 0 {
            // A server that hangs must not make its victims' killers hang.
            let _ = tokio::time::timeout(KILL_WAIT, killed).await;
        }
    }

    /// Notes that the server has been told to stop the statement.
    pub fn note_query_killed(&self) {
        self.query_killed.notify_waiters();
    }

    /// Forgets a KILL QUERY at the start of a command: it was meant for the one before.
    pub fn clear_query(&self) {
        let query = Interrupt::Query as u8;
        if self.interrupts.load(Ordering::Relaxed) & query != 0 {
            self.interrupts.fetch_and(!query, Ordering::AcqRel);
            self.note_query_killed();
        }
    }

    /// Notes that the session waits for its client since `seconds` of the coarse clock.
    pub fn set_idle(&self, seconds: u64) {
        self.idle_since.store(seconds.max(1), Ordering::Relaxed);
        if self.interrupts.load(Ordering::Relaxed) & Interrupt::Query as u8 != 0 {
            self.note_query_killed();
        }
    }

    /// For how many seconds the session has waited for its client at `now`; `None` while it runs.
    pub fn idle_seconds(&self, now: u64) -> Option<u64> {
        let since = self.idle_since.load(Ordering::Relaxed);
        (since != 0).then(|| now.saturating_sub(since))
    }

    /// Notes the server's id of the connection that the session has now; 0 for none.
    pub fn set_thread(&self, id: u32) {
        self.thread.store(id, Ordering::Relaxed);
    }

    /// The server's id of the connection that the session had last.
    pub fn thread(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// Notes the session's database.
    pub fn set_database(&self, name: &[u8]) {
        let mut database = self.database.lock();
        database.clear();
        database.extend_from_slice(name);
    }

    /// The session's database; empty for none.
    pub fn database(&self) -> Vec<u8> {
        self.database.lock().clone()
    }

    /// Sets how many seconds the session may wait for its client.
    pub fn set_idle_max(&self, seconds: u64) {
        self.idle_max.store(seconds.max(1), Ordering::Relaxed);
    }

    /// Notes that the session waits for its client in the middle of a command, and which servers'
    /// connections it keeps meanwhile.
    pub fn stall(&self, awaited: Awaited, keeps: Servers) {
        let (mut stalled, now) = (self.stalled.lock(), clock::now());
        match &mut *stalled {
            Some(stalled) => stalled.again(awaited, keeps, now),
            none => *none = Some(Stalled::new(awaited, keeps, now)),
        }
    }

    /// Notes bytes that the client has taken or sent.
    pub fn note_moved(&self, bytes: usize) {
        if let Some(stalled) = &mut *self.stalled.lock() {
            stalled.note_moved(bytes, clock::now());
            self.clear_stalled();
        }
    }

    /// Notes that the client is not waited for now.
    pub fn pause_stall(&self) {
        if let Some(stalled) = &mut *self.stalled.lock() {
            stalled.pause();
            self.clear_stalled();
        }
    }

    /// Forgets the waits of a command that is done.
    pub fn end_stall(&self) {
        *self.stalled.lock() = None;
        self.clear_stalled();
    }

    fn clear_stalled(&self) {
        self.interrupts.fetch_and(!(Interrupt::Stalled as u8), Ordering::AcqRel);
    }

    /// Notes that the session runs a command.
    pub fn set_busy(&self) {
        self.idle_since.store(0, Ordering::Relaxed);
    }
}

/// Ids of sessions are above this, and servers' are hardly ever: where a client has read an id from
/// a server's tables (`information_schema.processlist`), it is known for one.
const IDS_ABOVE: u32 = 1 << 30;

/// All sessions.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<Control>>>,
    /// How many sessions each user has; locked after `sessions` where both are.
    users: Mutex<HashMap<Arc<str>, usize>>,
    last_id: AtomicU32,
    /// Seconds since start, advanced by [`Registry::tick`].
    seconds: AtomicU64,
    /// Sessions that come now are told at once that the proxy shuts down.
    draining: AtomicBool,
}

/// A session that is about to be entered.
#[derive(Debug)]
pub struct Newcomer<'a> {
    /// The connection id that the client was told.
    pub id: u32,
    /// Who logged in.
    pub user: &'a Arc<str>,
    /// Where the client is.
    pub peer: &'a str,
    /// What the client says of itself.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// What its account is part of.
    pub memory: &'a Arc<Memory>,
    /// Sessions that the user may have.
    pub connections_max: Option<usize>,
    /// Seconds that the session may be idle.
    pub idle_seconds_max: u64,
}

/// A user has as many sessions as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// The limit.
    pub limit: usize,
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
            let count = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let id = IDS_ABOVE | count & (IDS_ABOVE - 1);
            if id != IDS_ABOVE && !self.sessions.lock().contains_key(&id) {
                return id;
            }
        }
    }

    /// Enters a session, unless its user has as many as it may have.
    pub fn register(self: &Arc<Self>, newcomer: Newcomer<'_>) -> Result<Registered, TooMany> {
        self.seat(newcomer.user, newcomer.connections_max)?;
        let control = Arc::new(Control {
            id: newcomer.id,
            peer: newcomer.peer.into(),
            attributes: newcomer.attributes,
            account: Arc::new(Account::new(Arc::clone(newcomer.memory))),
            user: Mutex::new(Arc::clone(newcomer.user)),
            interrupts: AtomicU8::new(0),
            idle_since: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            database: Mutex::new(Vec::new()),
            idle_max: AtomicU64::new(newcomer.idle_seconds_max.max(1)),
            waker: Mutex::new(None),
            deadline: Deadline::new(clock::now()),
            query_killed: Notify::new(),
            pin: Mutex::new(None),
            stalled: Mutex::new(None),
        });
        let mut sessions = self.sessions.lock();
        sessions.insert(newcomer.id, Arc::clone(&control));
        if self.draining.load(Ordering::Relaxed) {
            control.raise(Interrupt::Drain);
        }
        drop(sessions);
        Ok(Registered { registry: Arc::clone(self), control })
    }

    /// Counts one more session of a user.
    fn seat(&self, user: &Arc<str>, limit: Option<usize>) -> Result<(), TooMany> {
        let mut users = self.users.lock();
        let count = users.entry(Arc::clone(user)).or_default();
        match limit {
            Some(limit) if *count >= limit => Err(TooMany { limit }),
            _ => {
                *count += 1;
                Ok(())
            }
        }
    }

    fn unseat(&self, user: &str) {
        let mut users = self.users.lock();
        if let Some(count) = users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                users.remove(user);
            }
        }
    }

    /// A session by its id.
    pub fn find(&self, id: u32) -> Option<Arc<Control>> {
        self.sessions.lock().get(&id).cloned()
    }

    /// The session that has the connection of this id to the only server.
    pub fn find_by_thread(&self, thread: u32) -> Option<Arc<Control>> {
        let sessions = self.sessions.lock();
        let mut found = sessions.values().filter(|control| control.thread() == thread);
        // One that has just given it back may still be noted with it.
        let only = found.next().filter(|_| thread != 0)?;
        found.next().is_none().then(|| Arc::clone(only))
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
    /// idle for as long as they may be.
    pub fn tick(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::Relaxed);
        for control in self.sessions.lock().values() {
            let since = control.idle_since.load(Ordering::Relaxed);
            let idle_max = control.idle_max.load(Ordering::Relaxed);
            if since != 0 && seconds.saturating_sub(since) >= idle_max {
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

    /// Makes it a session of another user, unless that one has as many as it may have.
    pub fn change_user(
        &self,
        user: &Arc<str>,
        connections_max: Option<usize>,
    ) -> Result<(), TooMany> {
        let mut known = self.control.user.lock();
        if *known != *user {
            self.registry.seat(user, connections_max)?;
            self.registry.unseat(&known);
            known.clone_from(user);
        }
        Ok(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.control.id);
        self.registry.unseat(&self.control.user.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(registry: &Arc<Registry>, id: u32, user: &str) -> Result<Registered, TooMany> {
        registry.register(Newcomer {
            id,
            user: &user.into(),
            peer: "p",
            attributes: Box::default(),
            memory: &Arc::new(Memory::new(1, 1)),
            connections_max: Some(2),
            idle_seconds_max: 10,
        })
    }

    #[test]
    fn an_interrupt_wakes_and_stays() {
        let registry = Arc::new(Registry::default());
        let registered = register(&registry, registry.next_id(), "u").unwrap();
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
        let early = register(&registry, 1, "u").unwrap();
        registry.drain();
        early.control().raise(Interrupt::Query);
        early.control().clear_query();
        assert_eq!(early.control().interrupt(), Some(Interrupt::Drain));
        let late = register(&registry, 2, "u").unwrap();
        assert_eq!(late.control().interrupt(), Some(Interrupt::Drain));
    }

    #[test]
    fn a_session_is_found_by_its_connection_only_while_it_alone_has_it() {
        let registry = Arc::new(Registry::default());
        let (first, second) = (registry.next_id(), registry.next_id());
        assert!(first > IDS_ABOVE && second > first);
        let first = register(&registry, first, "u").unwrap();
        let second = register(&registry, second, "u").unwrap();
        let found = |thread| registry.find_by_thread(thread).map(|control| control.id);
        assert_eq!(found(0), None);
        first.control().set_thread(7);
        assert_eq!(found(7), Some(first.control().id));
        second.control().set_thread(7);
        assert_eq!(found(7), None);
        first.control().set_thread(0);
        assert_eq!(found(7), Some(second.control().id));
    }

    #[test]
    fn idle_sessions_are_found() {
        let registry = Arc::new(Registry::default());
        let registered = register(&registry, 1, "u").unwrap();
        registered.control().set_idle(10);
        registry.tick(19);
        assert_eq!(registered.control().interrupt(), None);
        registered.control().set_idle_max(11);
        registry.tick(20);
        assert_eq!(registered.control().interrupt(), None);
        registry.tick(21);
        assert_eq!(registered.control().interrupt(), Some(Interrupt::Idle));
        drop(registered);
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn a_user_has_so_many_sessions() {
        let registry = Arc::new(Registry::default());
        let first = register(&registry, 1, "a").unwrap();
        let _second = register(&registry, 2, "a").unwrap();
        assert_eq!(register(&registry, 3, "a").unwrap_err(), TooMany { limit: 2 });
        let other = register(&registry, 4, "b").unwrap();
        let change = |to: &str| other.change_user(&to.into(), Some(2));
        assert_eq!(change("a"), Err(TooMany { limit: 2 }));
        drop(first);
        assert_eq!(change("a"), Ok(()));
        assert_eq!(&*other.control().user(), "a");
        assert!(register(&registry, 5, "a").is_err());
        drop(other);
        assert!(register(&registry, 6, "a").is_ok());
        assert_eq!(registry.users.lock().len(), 1);
    }
}
