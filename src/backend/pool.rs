//! The connections to one server: a global cap, a fair queue with a deadline, and idle
//! connections that stay with the worker that used them.
//!
//! The cap counts connections in use, by a semaphore that serves waiters in order. Whoever holds
//! a permit is sure of a connection: an idle one of its own worker, or room to dial, or an idle
//! one of another worker. So no client waits while another worker's connections idle.
//!
//! A server may allow fewer connections than the cap. Who finds it full stands in a second line
//! (`full`), before those who wait for a permit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::dial::{Dial, DialError};
use super::exchange::{Failure, Stake};
use super::fitting::{Fit, Fitting};
use super::full::{First, Line};
use super::mirror::Aligned;
use super::profile::Profile;
use crate::clock::{self, Instant};

mod reclaim;
mod waiting;

use waiting::Waiting;

/// The connections to one server.
#[derive(Debug)]
pub struct Pool {
    dial: Dial,
    permits: Semaphore,
    capacity: usize,
    open: AtomicUsize,
    wait: Duration,
    idle_max: Duration,
    /// Idle connections, a list for each worker; the last one was used last. Boxed, as they move to
    /// a lease and back with every statement.
    #[allow(clippy::vec_box, reason = "so that moving them costs little")]
    idle: Box<[Mutex<Vec<Box<Connection>>>]>,
    /// Counts definition statements, any of which may have changed a database.
    databases_changed: AtomicU32,
    /// Who waits because the server allows no more connections.
    line: Line,
    /// Who waits, for whatever reason.
    waiting: Waiting,
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
    /// The server refused more than there are, and none of them came back in time.
    #[error("the server refused more connections (error {errno}); none came back within {wait:?}")]
    Full {
        /// The wait.
        wait: Duration,
        /// The number of the server's error.
        errno: u16,
    },
    /// A new one could not be made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server was declared down while one was waited for.
    #[error("it was declared down")]
    Down,
    /// The server keeps its monitor waiting, and another one will do.
    #[error("it does not answer its monitor in time")]
    Silent,
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
            line: Line::default(),
            waiting: Waiting::default(),
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
        let deadline = clock::now() + self.wait;
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiter = self.waiting.enter();
                let permit = tokio::time::timeout(self.wait, self.permits.acquire());
                let permit = self.unless_lost(permit).await?;
                permit.ok().and_then(Result::ok).ok_or(CheckoutError::Timeout(self.wait))?
            }
        };
        permit.forget();
        // From here on the lease gives the permit back, whatever happens.
        let mut lease =
            Lease { connection: None, pool: Arc::clone(self), worker, holds_permit: true };
        let mut connection = self.obtain(worker, profile, wanted, deadline).await?;
        connection.see_databases(self.databases_changed.load(Ordering::Relaxed));
        lease.connection = Some(connection);
        Ok(lease)
    }

    /// Notes that a definition statement ran.
    pub fn note_definition(&self) {
        self.databases_changed.fetch_add(1, Ordering::Relaxed);
    }

    /// Finds or makes a connection for the holder of a permit.
    async fn obtain(
        self: &Arc<Self>,
        worker: usize,
        profile: Profile,
        wanted: &Aligned<'_>,
        deadline: Instant,
    ) -> Result<Box<Connection>, CheckoutError> {
        if self.line.is_empty() {
            while let Some(connection) = self.take_idle(worker, profile, wanted) {
                match Self::alive(connection) {
                    Some(connection) => return Ok(connection),
                    None => self.forget(),
                }
            }
        }
        // A login is large, and rare.
        let made = Box::pin(self.make_or_wait(worker, Fitting::any(profile), deadline));
        self.unless_lost(made).await?
    }

    /// Waits for something, unless the server is given up meanwhile.
    async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> Result<T, CheckoutError> {
        tokio::select! {
            biased;
            () = self.dial.term().lost() => Err(CheckoutError::Down),
            done = work => Ok(done),
        }
    }

    /// Makes a connection, or waits for one where the server refuses more.
    async fn make_or_wait(
        self: &Arc<Self>,
        worker: usize,
        kind: Fitting,
        deadline: Instant,
    ) -> Result<Box<Connection>, CheckoutError> {
        if self.line.is_empty()
            && let Some(connection) = self.make(worker, kind).await?
        {
            return Ok(connection);
        }
        self.wait_for_room(worker, kind, deadline).await
    }

    /// Makes a connection, or takes one of another worker if there are as many as there may be.
    /// `None` if the server refuses more.
    async fn make(
        &self,
        worker: usize,
        kind: Fitting,
    ) -> Result<Option<Box<Connection>>, DialError> {
        if !self.line.may_ask() {
            return Ok(None);
        }
        if !self.reserve() {
            // All that may be open are open, and this permit has none of them: one is idle,
            // with another worker or with other capabilities.
            if let Some(connection) = self.any_idle(worker, kind) {
                if kind.is_of(&connection)
                    && let Some(connection) = Self::adopted(connection, kind.profile())
                {
                    return Ok(Some(connection));
                }
                // The slot of the connection just closed is used for a new one.
            } else {
                // It was given back and taken between the two looks; the cap is briefly exceeded by
                // the connections that are being closed at this moment.
                self.open.fetch_add(1, Ordering::Relaxed);
            }
        }
        match self.dial(Slot(self), kind.profile()).await {
            Ok(connection) => Ok(Some(connection)),
            Err(error) if error.server_is_full().is_some() => Ok(None),
            // The server works, so another worker's connection does too.
            Err(error) if error.account_trouble().is_some() => {
                self.take_fitting(worker, kind).map(Some).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// A connection to a server that refuses more: the next one that comes back, or a new one when
    /// there is room again.
    async fn wait_for_room(
        self: &Arc<Self>,
        worker: usize,
        kind: Fitting,
        deadline: Instant,
    ) -> Result<Box<Connection>, CheckoutError> {
        let _waiter = self.waiting.enter();
        let found = async {
            let mut first = self.line.stand().await;
            loop {
                if let Some(connection) = self.take_for(&mut first, worker, kind) {
                    return Ok(connection);
                }
                // None of ours can come back, and there will be no new one.
                if self.open.load(Ordering::Relaxed) == 0
                    && let Some(error) = self.line.failure(&first)
                {
                    return Err(CheckoutError::Dial(error));
                }
                if self.line.begin_asking() {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "one at a time, and it ends with the timeout of a login"
                    )]
                    tokio::spawn(Arc::clone(self).ask_again(worker, kind.profile()));
                }
                self.line.wait(&first).await;
            }
        };
        tokio::time::timeout_at(deadline, found).await.unwrap_or_else(|_| {
            Err(CheckoutError::Full { wait: self.wait, errno: self.line.errno() })
        })
    }

    /// Asks a full server for one connection more, for whoever is the first in line then. It is not
    /// given up when another one comes back meanwhile: the server may be far, and room that is
    /// never asked for is never found.
    async fn ask_again(self: Arc<Self>, worker: usize, profile: Profile) {
        let _asking = Asking(&self.line);
        self.open.fetch_add(1, Ordering::Relaxed);
        if let Ok(connection) = self.dial(Slot(&self), profile).await {
            self.idle[worker].lock().push(connection);
        }
    }

    /// An idle connection for the first in line. If there are only some of other kinds, one of them
    /// is closed to make room.
    fn take_for(
        &self,
        first: &mut First<'_>,
        worker: usize,
        kind: Fitting,
    ) -> Option<Box<Connection>> {
        let fitting = self.take_fitting(worker, kind);
        if fitting.is_some() {
            return fitting;
        }
        if first.may_close()
            && let Some(other) = self.find_idle(worker, |_| true)
        {
            drop(other);
            self.forget();
            self.line.note_made_room(first);
        }
        None
    }

    /// An idle connection of this kind, of any worker.
    fn take_fitting(&self, worker: usize, kind: Fitting) -> Option<Box<Connection>> {
        while let Some(connection) = self.find_idle(worker, |c| kind.is_of(c)) {
            match Self::adopted(connection, kind.profile()) {
                Some(connection) => return Some(connection),
                None => self.forget(),
            }
        }
        None
    }

    /// An idle connection of any worker, of this kind if there is one.
    fn any_idle(&self, worker: usize, kind: Fitting) -> Option<Box<Connection>> {
        let fitting = self.find_idle(worker, |connection| kind.is_of(connection));
        fitting.or_else(|| self.find_idle(worker, |_| true))
    }

    /// An idle connection that is as `wanted`, of this worker or another.
    fn find_idle(
        &self,
        worker: usize,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<Box<Connection>> {
        (0..self.idle.len()).find_map(|i| {
            let mut list = self.idle[(worker + i) % self.idle.len()].lock();
            let at = list.iter().rposition(|c| wanted(c))?;
            Some(list.remove(at))
        })
    }

    /// A connection that another worker may have used, if it is of this profile; else it is closed.
    fn adopted(connection: Box<Connection>, profile: Profile) -> Option<Box<Connection>> {
        if connection.profile() != profile {
            return None;
        }
        Self::alive(connection)?.adopt().ok().map(Box::new)
    }

    /// Dials on a reserved slot, which is free again if that fails or is given up.
    async fn dial(&self, slot: Slot<'_>, profile: Profile) -> Result<Box<Connection>, DialError> {
        match self.dial.connect(profile).await {
            Ok(connection) => {
                std::mem::forget(slot);
                self.line.note_made();
                Ok(Box::new(connection))
            }
            Err(error) => {
                self.line.note_failure(&error);
                Err(error)
            }
        }
    }

    /// The idle connection that has the least to be told, of equal ones that used last.
    fn take_idle(
        &self,
        worker: usize,
        profile: Profile,
        wanted: &Aligned<'_>,
    ) -> Option<Box<Connection>> {
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

    /// Notes that a connection was closed, or not made.
    fn forget(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// An idle connection that the server closed, or that has something to say, is of no use.
    fn alive(mut connection: Box<Connection>) -> Option<Box<Connection>> {
        (connection.is_quiet() && !connection.is_expiring()).then_some(connection)
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
                && connection.is_quiet()
                && connection.close_orphans(&mut cx)
        });
        self.open.fetch_sub(before - list.len(), Ordering::Relaxed);
    }

    /// Begins a term of the server: connections of the one before are not used any more.
    pub fn begin_term(&self, number: u64) {
        if self.dial.term().number() != number {
            self.dial.term().begin(number);
            self.close_idle();
        }
    }

    /// Closes all idle connections.
    fn close_idle(&self) {
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
        let in_use = in_use.saturating_sub(self.line.len());
        let idle = self.idle.iter().map(|list| list.lock().len()).sum();
        PoolUse { in_use, idle, capacity: self.capacity }
    }
}

/// The right to ask a full server.
struct Asking<'a>(&'a Line);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.end_asking();
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
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
    worker: usize,
    holds_permit: bool,
}

impl Lease {
    /// Gives a connection back that has no open transaction. One that holds a session's
    /// state, an unread answer, or that a KILL may still hit, is closed: the next session would get
    /// what belongs to this one.
    pub fn release(mut self) {
        if let Some(mut connection) = self.connection.take_if(|c| c.is_reusable() && c.is_current())
        {
            connection.rest();
            self.pool.idle[self.worker].lock().push(connection);
            self.pool.line.note_idle();
            self.pool.dial.presence().note_idle();
        }
    }

    /// Makes the connection agree with the session: settings, database, last insert id.
    pub async fn align(&mut self, wanted: &Aligned<'_>) -> Result<(), Failure> {
        if wanted.database.is_empty() && !self.mirror().is_in(b"") {
            self.redial().await?;
        }
        Connection::align(self, wanted).await
    }

    /// Replaces the connection, which cannot leave its database, by one in none.
    async fn redial(&mut self) -> Result<(), Failure> {
        let (profile, deadline) = (self.profile(), clock::now() + self.pool.wait);
        let (session, term, next) = (self.last_use().session(), self.term(), self.next_stake());
        let patience = self.patience().clone();
        self.connection = None;
        self.pool.forget();
        let kind = Fitting::in_no_database(profile);
        let reason = |error: CheckoutError| match error {
            CheckoutError::Dial(error) => std::io::Error::other(error.without_address()),
            other => std::io::Error::other(other),
        };
        // A login is large, and rare.
        let mut made = Box::pin(async {
            self.pool.make_or_wait(self.worker, kind, deadline).await.map_err(reason)
        });
        let made = patience.unless_over(made.as_mut()).await?;
        let connection = self.connection.insert(made);
        connection.set_patience(patience);
        connection.note_session(session);
        connection.enter_term(term, next);
        Ok(())
    }

    /// What hangs on the command that is not answered; nothing if the connection is closed.
    pub fn stake(&self) -> Stake {
        self.connection.as_ref().map_or(Stake::Nothing, |connection| connection.stake())
    }

    /// Stops by `kill` what is not answered.
    pub fn kill(&mut self, kill: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connection.as_mut().filter(|open| !open.is_at_rest()) {
            kill(connection);
        }
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
            self.pool.line.note_closed();
        }
        if self.holds_permit {
            self.pool.permits.add_permits(1);
        }
    }
}
