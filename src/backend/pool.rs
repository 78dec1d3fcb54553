//! The connections to one server: a global cap, a fair queue with a deadline, and idle
//! connections that stay with the worker that used them.
//!
//! The cap counts connections in use, by a semaphore that serves waiters in order. Whoever holds
//! a permit is sure of a connection: an idle one of its own worker, or room to dial, or an idle
//! one of another worker. So no client waits while another worker's connections idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::connection::{Aligned, Connection, Failure, Profile};
use super::dial::{Dial, DialError};
use crate::clock;

/// A server takes a moment to see that a connection was closed.
const ROOM_IS_MADE: Duration = Duration::from_millis(5);

/// The connections to one server.
#[derive(Debug)]
pub struct Pool {
    dial: Dial,
    permits: Semaphore,
    capacity: usize,
    open: AtomicUsize,
    wait: Duration,
    idle_max: Duration,
    /// Idle connections, a list for each worker; the last one was used last.
    idle: Box<[Mutex<Vec<Connection>>]>,
    /// Counts definition statements, any of which may have changed a database.
    databases_changed: AtomicU32,
}

/// The size and patience of a [`Pool`].
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Connections that may be open at once.
    pub connections_max: usize,
    /// How long a statement waits for one.
    pub wait: Duration,
    /// How long an unused one is kept.
    pub idle: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// None became free in time.
    #[error("no connection became free within {0:?}")]
    Timeout(Duration),
    /// A new one could not be made.
    #[error(transparent)]
    Dial(#[from] DialError),
}

/// How many connections a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// In the hands of sessions.
    pub in_use: usize,
    /// Waiting for one.
    pub idle: usize,
    /// The cap.
    pub capacity: usize,
}

impl Pool {
    /// A pool without connections for `workers` workers.
    pub fn new(dial: Dial, limits: PoolLimits, workers: usize) -> Self {
        Self {
            dial,
            permits: Semaphore::new(limits.connections_max),
            capacity: limits.connections_max,
            open: AtomicUsize::new(0),
            wait: limits.wait,
            idle_max: limits.idle,
            idle: (0..workers).map(|_| Mutex::new(Vec::new())).collect(),
            databases_changed: AtomicU32::new(0),
        }
    }

    /// A connection with the capabilities of `profile`, preferably one that agrees with `wanted`
    /// already. The caller is `worker`.
    pub async fn checkout(
        self: &Arc<Self>,
        worker: usize,
        profile: Profile,
        wanted: &Aligned<'_>,
    ) -> Result<Lease, CheckoutError> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(self.wait, self.permits.acquire())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(CheckoutError::Timeout(self.wait))?,
        };
        permit.forget();
        // From here on the lease gives the permit back, whatever happens.
        let mut lease =
            Lease { connection: None, pool: Arc::clone(self), worker, holds_permit: true };
        let mut connection = self.obtain(worker, profile, wanted).await?;
        connection.see_databases(self.databases_changed.load(Ordering::Relaxed));
        lease.connection = Some(connection);
        Ok(lease)
    }

    /// Notes that a definition statement ran.
    pub fn note_definition(&self) {
        self.databases_changed.fetch_add(1, Ordering::Relaxed);
    }

    /// The idle connection with this thread id, if nobody but `session` has used it since and it
    /// is as `wanted`. Does not wait.
    pub fn reclaim(
        self: &Arc<Self>,
        worker: usize,
        thread: u32,
        session: u32,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<Lease> {
        let mine = |c: &Connection| c.thread_id() == thread && c.last_use().is_of(session);
        self.take_if(worker, |c| mine(c) && wanted(c))
    }

    /// The idle connection that `session` was the last to use: it agrees with the session already,
    /// and the server's counts for SHOW STATUS go on. Does not wait.
    pub fn reclaim_last(
        self: &Arc<Self>,
        worker: usize,
        profile: Profile,
        session: u32,
    ) -> Option<Lease> {
        let mine = |c: &Connection| c.last_use().is_of(session) && c.profile() == profile;
        let mut lease = self.take_if(worker, mine)?;
        lease.see_databases(self.databases_changed.load(Ordering::Relaxed));
        Some(lease)
    }

    /// An idle connection that `session` was the last to use and that is due for a reset, so that
    /// the server's counts begin anew for the next session. Does not wait.
    pub fn reclaim_worn(self: &Arc<Self>, worker: usize, session: u32) -> Option<Lease> {
        let worn = |c: &Connection| {
            let last = c.last_use();
            last.is_worn_by(session) || last.is_of(session) && !c.named.is_empty()
        };
        self.take_if(worker, worn)
    }

    /// A connection for a question of Geogate's own, whichever is idle, or a new one. `None` if
    /// that would take waiting.
    pub async fn spare(self: &Arc<Self>, worker: usize, profile: Profile) -> Option<Lease> {
        if let Some(mut lease) = self.take_if(worker, |c| c.profile() == profile) {
            // Nobody's last statement is remembered here any more.
            lease.note_session(0);
            return Some(lease);
        }
        let permit = self.permits.try_acquire().ok()?;
        if !self.reserve() {
            return None;
        }
        permit.forget();
        let pool = Arc::clone(self);
        let mut lease = Lease { connection: None, pool, worker, holds_permit: true };
        lease.connection = Some(self.dial(worker, profile).await.ok()?);
        Some(lease)
    }

    fn take_if(
        self: &Arc<Self>,
        worker: usize,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<Lease> {
        let permit = self.permits.try_acquire().ok()?;
        let connection = {
            let mut list = self.idle[worker].lock();
            let at = list.iter().rposition(wanted)?;
            list.swap_remove(at)
        };
        let Some(connection) = Self::alive(connection) else {
            self.forget();
            return None;
        };
        permit.forget();
        let pool = Arc::clone(self);
        Some(Lease { connection: Some(connection), pool, worker, holds_permit: true })
    }

    /// Finds or makes a connection for the holder of a permit.
    async fn obtain(
        &self,
        worker: usize,
        profile: Profile,
        wanted: &Aligned<'_>,
    ) -> Result<Connection, DialError> {
        while let Some(connection) = self.take_idle(worker, profile, wanted) {
            match Self::alive(connection) {
                Some(connection) => return Ok(connection),
                None => self.forget(),
            }
        }
        if !self.reserve() {
            // All that may be open are open, and this permit has none of them: one is idle,
            // with another worker or with other capabilities.
            if let Some(connection) = self.any_idle(worker, profile) {
                return match Self::adopted(connection, profile) {
                    Some(connection) => Ok(connection),
                    // The slot of the connection just closed is used for a new one.
                    None => self.dial(worker, profile).await,
                };
            }
            // It was given back and taken between the two looks; the cap is briefly exceeded by
            // the connections that are being closed at this moment.
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        self.dial(worker, profile).await
    }

    /// An idle connection of any worker, of this profile if there is one.
    fn any_idle(&self, worker: usize, profile: Profile) -> Option<Connection> {
        (0..self.idle.len()).find_map(|i| {
            let mut list = self.idle[(worker + i) % self.idle.len()].lock();
            match list.iter().rposition(|c| c.profile() == profile) {
                Some(at) => Some(list.remove(at)),
                None => list.pop(),
            }
        })
    }

    /// A connection that another worker may have used, if it is of this profile; else it is closed.
    fn adopted(connection: Connection, profile: Profile) -> Option<Connection> {
        if connection.profile() != profile {
            return None;
        }
        Self::alive(connection)?.adopt().ok()
    }

    /// Dials on a reserved slot, which is free again if that fails or is given up. A server may
    /// allow fewer connections than the pool: idle ones make room then.
    async fn dial(&self, worker: usize, profile: Profile) -> Result<Connection, DialError> {
        let slot = Slot(self);
        loop {
            let error = match self.dial.connect(profile).await {
                Ok(connection) => {
                    std::mem::forget(slot);
                    return Ok(connection);
                }
                Err(error) => error,
            };
            let idle = if error.is_server_full() { self.any_idle(worker, profile) } else { None };
            let Some(idle) = idle else { return Err(error) };
            if let Some(connection) = Self::adopted(idle, profile) {
                return Ok(connection);
            }
            self.forget();
            clock::sleep(ROOM_IS_MADE).await;
        }
    }

    /// The idle connection that has the least to be told, of equal ones that used last.
    fn take_idle(
        &self,
        worker: usize,
        profile: Profile,
        wanted: &Aligned<'_>,
    ) -> Option<Connection> {
        let mut list = self.idle[worker].lock();
        let mut best: Option<(Fit, usize)> = None;
        for (at, connection) in list.iter().enumerate().rev() {
            if connection.profile() != profile {
                continue;
            }
            let fit = Fit::of(connection, wanted);
            if best.is_none_or(|(known, _)| fit < known) {
                best = Some((fit, at));
            }
            if fit == Fit::Equal {
                break;
            }
        }
        best.map(|(_, at)| list.swap_remove(at))
    }

    /// Takes a slot for a new connection, if one is left.
    fn reserve(&self) -> bool {
        let more = |open| (open < self.capacity).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn forget(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// An idle connection that the server closed, or that has something to say, is of no use.
    fn alive(mut connection: Connection) -> Option<Connection> {
        let quiet = connection.is_quiet(&mut Context::from_waker(Waker::noop()));
        (quiet && !connection.is_expiring()).then_some(connection)
    }

    /// Closes idle connections that were unused for too long, or that the server closed, and on the
    /// others the statements that no client has open any more. To be called by each worker from
    /// time to time for its own list.
    pub fn sweep(&self, worker: usize) {
        let now = clock::now();
        let mut list = self.idle[worker].lock();
        let before = list.len();
        let mut cx = Context::from_waker(Waker::noop());
        list.retain_mut(|connection| {
            now.saturating_duration_since(connection.idle_since()) < self.idle_max
                && connection.is_quiet(&mut cx)
                && connection.close_orphans(&mut cx)
        });
        self.open.fetch_sub(before - list.len(), Ordering::Relaxed);
    }

    /// Closes all idle connections, for a server that left.
    pub fn close_idle(&self) {
        for list in &self.idle {
            let closed = std::mem::take(&mut *list.lock());
            self.open.fetch_sub(closed.len(), Ordering::Relaxed);
        }
    }

    /// How connections are made.
    pub fn dialer(&self) -> &Dial {
        &self.dial
    }

    /// How many connections there are.
    pub fn usage(&self) -> PoolUse {
        let in_use = self.capacity.saturating_sub(self.permits.available_permits());
        let idle = self.idle.iter().map(|list| list.lock().len()).sum();
        PoolUse { in_use, idle, capacity: self.capacity }
    }
}

/// How much an idle connection must be told, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Nothing.
    Equal,
    /// Another database.
    Database,
    /// Settings.
    Settings,
    /// It must be replaced, because no database is wanted and it is in one.
    Replace,
}

impl Fit {
    fn of(connection: &Connection, wanted: &Aligned<'_>) -> Self {
        let in_database = connection.is_in(wanted.database);
        if !in_database && wanted.database.is_empty() {
            Self::Replace
        } else if !connection.has_settings(wanted.settings) {
            Self::Settings
        } else if in_database {
            Self::Equal
        } else {
            Self::Database
        }
    }
}

/// Room for one open connection.
struct Slot<'a>(&'a Pool);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// A connection in the hands of one session. Dropping it closes the connection: only
/// [`Lease::release`] gives it back, so that one in an unknown state is never used again.
#[derive(Debug)]
pub struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    worker: usize,
    holds_permit: bool,
}

impl Lease {
    /// Gives a connection back that has no open transaction. One that holds a session's
    /// state, an unread answer, or that a KILL may still hit, is closed: the next session would get
    /// what belongs to this one.
    pub fn release(mut self) {
        if let Some(mut connection) = self.connection.take_if(|c| c.is_reusable()) {
            connection.rest();
            self.pool.idle[self.worker].lock().push(connection);
        }
    }

    /// Makes the connection agree with the session: settings, database, last insert id.
    pub async fn align(&mut self, wanted: &Aligned<'_>) -> Result<(), Failure> {
        if wanted.database.is_empty() && !self.is_in(b"") {
            self.redial().await?;
        }
        Connection::align(self, wanted).await
    }

    /// Replaces the connection by a new one.
    async fn redial(&mut self) -> Result<(), Failure> {
        let profile = self.profile();
        self.connection = None;
        let dialled = self.pool.dial(self.worker, profile).await;
        let reason = |error: DialError| std::io::Error::other(error.without_address());
        self.connection = Some(dialled.map_err(reason)?);
        Ok(())
    }

    /// The pool it came from.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl std::ops::Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has a connection until it is released")
    }
}

impl std::ops::DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease has a connection until it is released")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.connection.take().is_some() {
            self.pool.forget();
        }
        if self.holds_permit {
            self.pool.permits.add_permits(1);
        }
    }
}
