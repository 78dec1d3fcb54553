//! The server connections a session holds at this moment, and when it lets go of them.
//!
//! A session without transaction and without state at a server holds none: each statement
//! borrows a connection and gives it back. What keeps one attached: an open transaction in which
//! it takes part, or state that cannot be mirrored (a temporary table, a lock): see `hold`.

use std::sync::Arc;

use crate::backend::{
    AccountTrouble, Aligned, CheckoutError, Failure, Lease, Outdated, Settings, Several, Stake,
    Term,
};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::executor::deadline::Fate;
use crate::executor::interrupt::kill_on_server;
use crate::executor::watch::{Watched, wait_watching};
use crate::geo::Placement;
use crate::observe::TransactionMode;
use crate::wire::capability::Capabilities;
use crate::wire::scanner::Outcome;
use crate::wire::status::StatusFlags;

use super::connections::Connections;
use super::cursors;
use super::diagnostics::Warnings;
use super::insert_ids;
use super::insert_ids::own_insert_id;
use super::mirror::Mirror;
use super::next_transaction;
use super::prepared::Prepared;
use super::shard_connections::{Attached, ConnectionId};
use super::state::State;
use super::statement_timeout;
use super::transaction::Transaction;
use crate::executor::client::Client;

/// ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: said before anything is begun.
const READ_ONLY_TRANSACTION: u16 = 1792;
/// ER_LOCK_DEADLOCK: the whole transaction was rolled back.
pub(super) const DEADLOCK: u16 = 1213;

impl Connections {
    /// A connection to the server of `placement` that agrees with the session: settings, database,
    /// transaction. `database` is the schema on the server.
    pub(super) async fn attach(
        &mut self,
        client: &mut Client,
        placement: Placement,
        database: &[u8],
        wants_insert_id: bool,
    ) -> Result<ConnectionId, SqlError> {
        match self.attach_at_once(client, placement, database, wants_insert_id) {
            Some(index) => Ok(index),
            None => Box::pin(self.make_agree(client, placement, database, wants_insert_id)).await,
        }
    }

    /// The same if no server has to be asked or told anything for it.
    #[inline]
    pub(super) fn attach_at_once(
        &mut self,
        client: &Client,
        placement: Placement,
        database: &[u8],
        wants_insert_id: bool,
    ) -> Option<ConnectionId> {
        let begins_nothing = matches!(self.transaction, Transaction::None { next: None });
        let wants_insert_id = wants_insert_id || insert_ids::asks_insert_id(self);
        let found = self.attached.to(placement.server());
        let index = match found {
            _ if wants_insert_id => return None,
            Some(index) if begins_nothing || self.takes_part(index) => index,
            // What was wrong with the connection is found out again with a new one.
            None if begins_nothing && self.attached.is_empty() => self.resume(placement)?.ok()?,
            _ => return None,
        };
        if insert_ids::would_mistake_insert_id(self, index) {
            return None;
        }
        let attached = &mut self.attached[index];
        let wanted = Aligned { settings: &self.mirror.settings, database, last_insert_id: None };
        if !attached.lease.is_current() || !attached.lease.agrees(&wanted, several_of(client)) {
            return None;
        }
        if found.is_some() {
            attached.lease.set_stake(self.stake);
            attached.may_have_written |= self.stake >= Stake::Write;
        }
        attached.lease.set_expendable(self.expendable);
        self.control.set_thread(attached.lease.thread_id());
        Some(index)
    }

    /// Whether the session's transaction has begun there, and goes on.
    fn takes_part(&self, index: ConnectionId) -> bool {
        matches!(self.transaction, Transaction::Open(_)) && self.attached[index].enrolled
    }

    /// Takes the connection that the session has used last, if nobody else has since.
    fn resume(&mut self, placement: Placement) -> Option<Result<ConnectionId, SqlError>> {
        let pool = self.services.pool(placement);
        let lease = pool.reclaim_last(self.worker, self.profile, self.control.id)?;
        let attached = Attached { resumed: true, ..Attached::new(lease, placement) };
        Some(self.enter_term(attached))
    }

    async fn make_agree(
        &mut self,
        client: &mut Client,
        placement: Placement,
        database: &[u8],
        wants_insert_id: bool,
    ) -> Result<ConnectionId, SqlError> {
        if let Transaction::Broken { shard } = &self.transaction {
            return Err(catalog::TRANSACTION_LOST.with(&[shard]));
        }
        let server = placement.server();
        let found = self.attached.to(server);
        let mut index = match found {
            Some(index) if !self.attached[index].lease.is_current() => {
                return Err(self.lose(index, &Outdated::Ended));
            }
            Some(index) => {
                let attached = &mut self.attached[index];
                attached.lease.set_stake(self.stake);
                attached.may_have_written |= self.stake >= Stake::Write;
                index
            }
            None => self.borrow(client, placement, database).await?,
        };
        let wants_insert_id = wants_insert_id
            || insert_ids::asks_insert_id(self)
            || insert_ids::would_mistake_insert_id(self, index);
        let own = self.mirror.last_insert_id;
        // The only connection of the session knows it by itself, if it has known it before.
        let knows = |only: &Attached| {
            only.insert_id_unknown && found.is_some() && only.lease.known_insert_id() == own
        };
        let wants_insert_id = wants_insert_id && !self.attached.only().is_some_and(knows);
        if wants_insert_id {
            insert_ids::learn_insert_id(self).await;
            let left = self.attached.to(server);
            index = left.ok_or_else(|| {
                let shard = self.services.topology().shard_name(placement.shard());
                catalog::TRANSACTION_LOST.with(&[&shard])
            })?;
        }
        let wanted = Aligned {
            settings: &self.mirror.settings,
            database,
            last_insert_id: wants_insert_id.then_some(self.mirror.last_insert_id),
        };
        let lease = &mut self.attached[index].lease;
        lease.set_expendable(self.expendable);
        let mut aligned = lease.align(&wanted).await;
        if aligned.is_ok()
            && let Some(several) = several_of(client)
        {
            aligned = lease.set_several(several).await;
        }
        if let Err(failure) = aligned {
            return Err(self.fail(index, failure).await);
        }
        // A connection that could not be made to agree was replaced.
        self.control.set_thread(lease.thread_id());
        self.enroll(index).await?;
        if self.attached[index].one_shot {
            next_transaction::hide_from(client, self);
        }
        Ok(index)
    }

    /// Takes a connection from the pool.
    async fn borrow(
        &mut self,
        client: &mut Client,
        placement: Placement,
        database: &[u8],
    ) -> Result<ConnectionId, SqlError> {
        // The new connection must have them too.
        if !self.attached.is_empty() {
            self.learn_all_user_variables().await;
        }
        if let Some(resumed) = self.resume(placement) {
            return resumed;
        }
        let pool = self.services.pool(placement);
        let session = self.control.id;
        let wanted = Aligned { settings: &self.mirror.settings, database, last_insert_id: None };
        let asked = clock::now();
        let checkout = pool.checkout(self.worker, self.profile, &wanted);
        let checkout = if self.expendable {
            let quick = Box::pin(unless_silent(pool.dialer().term(), checkout));
            wait_watching(client, &self.control, quick).await
        } else {
            wait_watching(client, &self.control, checkout).await
        };
        let mut lease = match checkout {
            Watched::Done(Ok(lease)) => lease,
            Watched::Done(Err(error)) => {
                self.services.monitor.recheck(placement.server());
                return Err(self.services.checkout_error(placement, &error));
            }
            // Whoever left or is to leave is shown out before the next command.
            Watched::Interrupted | Watched::ClientGone => {
                return Err(statement_timeout::interruption(self));
            }
        };
        lease.note_session(session);
        self.mirror.learn_defaults(&lease);
        let waited = clock::now().saturating_duration_since(asked);
        self.services.metrics.record_wait(self.worker, waited);
        self.control.set_thread(lease.thread_id());
        let attached = Attached::new(lease, placement);
        self.last_values.lose(attached.home());
        self.diagnosed.lose(attached.home());
        self.enter_term(attached)
    }

    /// Takes a connection for the term in which its statement was placed, if that goes on.
    fn enter_term(&mut self, mut attached: Attached) -> Result<ConnectionId, SqlError> {
        attached.lease.enter_term(attached.placement.term(), self.stake);
        attached.may_have_written = self.stake >= Stake::Write;
        if attached.lease.is_current() {
            return Ok(statement_timeout::enter(self, attached));
        }
        let (role, shard) = (attached.placement.role().name(), attached.placement.shard());
        let shard = self.services.topology().shard_name(shard);
        Err(catalog::NOT_SENT.with(&[&role, &shard, &Outdated::Ended]))
    }

    /// Begins the session's transaction on a connection that does not take part yet.
    async fn enroll(&mut self, index: ConnectionId) -> Result<(), SqlError> {
        if let Transaction::None { next: Some(_) } = &self.transaction {
            if self.mirror.autocommit {
                return Box::pin(next_transaction::announce_next(self, index)).await;
            }
            self.open_without_autocommit();
        }
        let attached = &mut self.attached[index];
        let begin = match &self.transaction {
            Transaction::None { .. } | Transaction::Broken { .. } => return Ok(()),
            Transaction::Open(_) if attached.enrolled => return Ok(()),
            Transaction::Open(_)
                if self.mirror.transaction_mode == TransactionMode::Single
                    && self.attached.iter().any(|other| other.enrolled) =>
            {
                let placement = self.attached[index].placement;
                let shard = self.services.topology().shard_name(placement.shard());
                if !self.keeps(index) {
                    self.let_go(index).await;
                }
                return Err(catalog::SINGLE_SHARD_ONLY.with(&[&shard]));
            }
            Transaction::Open(open) => open.opening(),
        };
        for statement in begin {
            if let Err(failure) = self.attached[index].lease.execute(&statement).await {
                // A statement before this one may have opened the transaction.
                self.attached[index].lease.taint();
                return Err(self.fail(index, failure).await);
            }
        }
        self.attached[index].enrolled = true;
        Ok(())
    }

    /// What a failed command means for the session. The server's own error leaves the connection
    /// usable; after any other failure it is gone, and with it a transaction it took part in.
    pub(super) async fn fail(&mut self, index: ConnectionId, failure: Failure) -> SqlError {
        match failure {
            Failure::Server(error) => {
                if !self.keeps(index) {
                    self.let_go(index).await;
                }
                error
            }
            other => self.lose(index, &other),
        }
    }

    /// Drops a connection that is of no use any more.
    pub(super) fn lose(
        &mut self,
        index: ConnectionId,
        reason: &(dyn std::fmt::Display + Sync),
    ) -> SqlError {
        let Some(mut attached) = self.attached.remove(index) else {
            return catalog::INTERNAL.with(&[&"a connection that is lost twice"]);
        };
        let shard = self.services.topology().shard_name(attached.placement.shard());
        tracing::warn!(%shard, %reason, "a server connection was lost");
        self.services.monitor.recheck(attached.placement.server());
        let role = attached.placement.role().name();
        let in_transaction = attached.enrolled || attached.in_transaction;
        let pinned = in_transaction || !attached.holds.is_empty();
        let late = self.control.deadline.passed();
        if late.is_some() && attached.lease.stake() < Stake::Commit {
            // The server does not see that nobody waits any more.
            attached.lease.kill(kill_on_server);
        }
        let error = match attached.lease.stake() {
            Stake::Commit => catalog::UNKNOWN_OUTCOME.with(&[&shard, reason]),
            Stake::Write if !in_transaction => catalog::UNKNOWN_OUTCOME.with(&[&shard, reason]),
            _ if pinned => match late {
                Some(limit) => Fate::TransactionLost(&shard).error(limit),
                None => catalog::TRANSACTION_LOST.with(&[&shard]),
            },
            Stake::Nothing | Stake::Question | Stake::Read if late.is_some() => {
                Fate::Unchanged.error(late.unwrap_or_default())
            }
            Stake::Nothing | Stake::Question => catalog::NOT_SENT.with(&[&role, &shard, reason]),
            Stake::Read | Stake::Write => catalog::SERVER_GONE.with(&[&role, &shard, reason]),
        };
        if pinned {
            self.transaction = Transaction::Broken { shard };
        }
        error
    }

    /// Notes an answer, and gives the connection back unless the session still needs it.
    pub(super) async fn settle(&mut self, index: ConnectionId, outcome: &Outcome) {
        let attached = &mut self.attached[index];
        if outcome.last_insert_id != 0 {
            attached.insert_id_unknown = true;
            attached.told_insert_id = outcome.last_insert_id;
        }
        if outcome.error.and_then(AccountTrouble::of) == Some(AccountTrouble::Expired) {
            // The server answers nothing else there until the password is renewed.
            attached.lease.retire();
        }
        if outcome.is_error() {
            // An error packet has no status: whether a transaction is open is as before, and
            // without autocommit the statement may have opened one.
            if !self.mirror.autocommit {
                self.note_failed(index, outcome.error).await;
            }
            let attached = &self.attached[index];
            if outcome.error == Some(DEADLOCK) && (attached.enrolled || attached.in_transaction) {
                // This server has rolled back; the others must not keep half a transaction.
                Box::pin(self.rollback_all()).await;
                return;
            }
        } else {
            let was_in_transaction = attached.in_transaction;
            attached.in_transaction = outcome.status.contains(StatusFlags::IN_TRANS);
            attached.unfinished |= !self.mirror.autocommit && outcome.affected_rows > 0;
            let may_end = was_in_transaction || self.transaction.is_shown();
            if attached.enrolled && !attached.in_transaction && may_end {
                // An implicit commit ended the transaction.
                attached.enrolled = false;
                self.transaction = Transaction::None { next: None };
            }
        }
        self.settle_quietly(index).await;
    }

    /// After an error without autocommit.
    pub(super) async fn note_failed(&mut self, index: ConnectionId, errno: Option<u16>) {
        if errno == Some(READ_ONLY_TRANSACTION) {
            return;
        }
        let begun = Box::pin(next_transaction::begun_despite_error(self, index)).await;
        self.attached[index].in_transaction |= begun.unwrap_or(true);
    }

    /// Gives a connection back after a command that is no statement.
    pub(super) async fn settle_quietly(&mut self, index: ConnectionId) {
        if !self.keeps(index) {
            if !self.let_go_at_once(index) {
                Box::pin(self.let_go(index)).await;
            }
        } else {
            self.attached[index].lease.set_expendable(false);
            if self.attached[index].one_shot {
                Box::pin(next_transaction::note_next(self, index)).await;
            }
        }
    }

    /// Whether the session still needs a connection.
    fn keeps(&self, index: ConnectionId) -> bool {
        self.attached[index].is_kept()
    }

    /// Gives a connection back if it has nothing that has to be asked for or ended.
    #[inline]
    fn let_go_at_once(&mut self, index: ConnectionId) -> bool {
        let attached = &self.attached[index];
        let knows_nothing =
            !attached.has_warnings && attached.live.is_empty() && !attached.insert_id_unknown;
        let is_over = !attached.one_shot && !attached.prepared_once && !attached.lease.is_tainted();
        if knows_nothing
            && is_over
            && let Some(attached) = self.attached.remove(index)
        {
            attached.lease.release();
            return true;
        }
        false
    }

    /// Gives a connection back after asking it what only it knows.
    pub(super) async fn let_go(&mut self, index: ConnectionId) {
        if self.attached[index].one_shot {
            Box::pin(next_transaction::note_next(self, index)).await;
            if self.attached.get(index).is_none() {
                return;
            }
        }
        let attached = &mut self.attached[index];
        if std::mem::take(&mut attached.has_warnings) {
            match attached.lease.rows(b"SHOW WARNINGS").await {
                Ok(rows) => self.diagnosed.warnings = Warnings::Noted(rows),
                Err(_) => return drop(self.attached.remove(index)),
            }
        }
        if !attached.live.is_empty() {
            self.learn_user_variables(index).await;
            if self.keeps(index) {
                return;
            }
        }
        let Some(mut attached) = self.attached.remove(index) else { return };
        if attached.insert_id_unknown {
            let Ok(own) = own_insert_id(&mut attached).await else { return };
            self.mirror.last_insert_id = own.unwrap_or(self.mirror.last_insert_id);
        }
        if attached.prepared_once
            && attached.lease.execute(b"DEALLOCATE PREPARE `_geogate`").await.is_err()
        {
            return;
        }
        // Dropped if it cannot be reset.
        if !attached.lease.is_tainted() || attached.lease.reset().await.is_ok() {
            attached.lease.release();
        }
    }

    /// Gives back connections that were held for one more statement only.
    pub(super) async fn drop_held(&mut self) {
        for index in self.attached.ids() {
            self.attached[index].held = false;
            if !self.keeps(index) {
                self.let_go(index).await;
            }
        }
    }
}

impl Mirror {
    /// A session that began before any server was reached begins with what this one gives.
    fn learn_defaults(&mut self, lease: &Lease) {
        if self.settings.get("sql_mode").is_none()
            && let Some(defaults) = lease.dialer().defaults()
        {
            let mut settings = Settings::clone(&self.settings);
            defaults.enter(&mut settings);
            self.enter_settings(Arc::new(settings));
        }
    }
}

/// The same in the session's own database, as the client named it.
pub(super) async fn attach_here(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    placement: Placement,
    wants_insert_id: bool,
) -> Result<ConnectionId, SqlError> {
    let database = std::mem::take(&mut state.database);
    let attached = connections.attach(client, placement, &database, wants_insert_id).await;
    state.database = database;
    attached
}

/// Waits for a connection to a server, unless that keeps its monitor waiting: another one will do.
async fn unless_silent(
    term: &Term,
    checkout: impl Future<Output = Result<Lease, CheckoutError>>,
) -> Result<Lease, CheckoutError> {
    tokio::select! {
        biased;
        made = checkout => made,
        () = term.silence() => Err(CheckoutError::Silent),
    }
}

/// Gives all connections back, their transactions rolled back and their state wiped.
pub(super) async fn detach_all(connections: &mut Connections, prepared: &mut Prepared) {
    connections.transaction = Transaction::None { next: None };
    cursors::close_cursors(connections, prepared).await;
    let had_holds = connections.attached.iter().any(|attached| !attached.holds.is_empty());
    while let Some(mut attached) = connections.attached.pop() {
        if !attached.is_dirty() || attached.lease.reset().await.is_ok() {
            attached.lease.release();
        }
    }
    if had_holds {
        connections.publish_holds();
    }
}

/// What a client's connections must do about several statements in one command, if it matters.
fn several_of(client: &Client) -> Option<Several> {
    let sends_several = client.capabilities.contains(Capabilities::MULTI_STATEMENTS);
    (!sends_several).then_some(Several::Refused)
}
