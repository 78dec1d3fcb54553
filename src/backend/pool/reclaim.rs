//! Connections that somebody comes back for: one that a session has used, or a certain one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Lease, Pool, Slot};
use crate::backend::connection::Connection;
use crate::backend::profile::Profile;

impl Pool {
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
    /// the server's counts begin anew for the next session. One that somebody else's statement has
    /// to come back to is left as it is. Does not wait.
    pub fn reclaim_worn(self: &Arc<Self>, worker: usize, session: u32) -> Option<Lease> {
        let worn = |c: &Connection| {
            let last = c.last_use();
            (last.is_worn_by(session) || last.is_of(session) && !c.named.is_empty())
                && !c.statements.hold_states()
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
        if !self.line.may_ask() || !self.reserve() {
            return None;
        }
        permit.forget();
        let pool = Arc::clone(self);
        let mut lease = Lease { connection: None, pool, worker, holds_permit: true };
        lease.connection = Some(self.dial(Slot(self), profile).await.ok()?);
        Some(lease)
    }

    /// The connection with this thread id, whoever has used it since; waits while somebody does.
    /// `None` if it is closed, or does not come back in time.
    pub async fn reclaim_thread(
        self: &Arc<Self>,
        worker: usize,
        profile: Profile,
        thread: u32,
    ) -> Option<Lease> {
        let presence = Arc::clone(self.dial.presence());
        let found = async {
            let permit = self.permits.acquire().await.ok()?;
            permit.forget();
            let pool = Arc::clone(self);
            let mut lease = Lease { connection: None, pool, worker, holds_permit: true };
            let take = || match self.find_idle(worker, |c| c.thread_id() == thread) {
                Some(connection) => Some(Some(connection)),
                None if presence.is_open(thread) => None,
                None => Some(None),
            };
            let connection = presence.wait_for(take).await?;
            lease.connection = Self::adopted(connection, profile);
            if lease.connection.is_none() {
                self.forget();
            }
            lease.connection.is_some().then_some(lease)
        };
        tokio::time::timeout(self.wait, found).await.ok().flatten()
    }

    fn take_if(
        self: &Arc<Self>,
        worker: usize,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<Lease> {
        let permit = self.permits.try_acquire().ok().filter(|_| self.line.is_empty())?;
        let connection = {
            let mut list = self.idle[worker].lock();
            let at = list.iter().rposition(|c| wanted(c))?;
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
}
