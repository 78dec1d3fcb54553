//! The server connections a session holds at this moment, and when it lets go of them.
//!
//! A session without transaction and without state at a server holds none: each statement
//! borrows a connection and gives it back. What keeps one attached: an open transaction in which
//! it takes part, or state that cannot be mirrored (a temporary table, a lock): then it is
//! *pinned* until the session ends or is reset.

use crate::backend::{Aligned, Failure, Lease};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::geo::Placement;
use crate::observe::TransactionMode;
use crate::wire::scanner::Outcome;
use crate::wire::status::StatusFlags;

use super::Session;
use super::state::Warnings;
use super::transaction::Transaction;

/// A server connection in the hands of this session.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
pub(super) struct Attached {
    pub(super) lease: Lease,
    pub(super) placement: Placement,
    /// BEGIN was sent for the session's transaction.
    pub(super) enrolled: bool,
    /// The server said that a transaction is open.
    pub(super) in_transaction: bool,
    /// The session has state there that cannot be mirrored.
    pub(super) pinned: bool,
    /// FOUND_ROWS() of the last statement may be asked for by the next one.
    pub(super) held: bool,
    /// LAST_INSERT_ID() may have changed in a way that the answer did not tell.
    pub(super) insert_id_unknown: bool,
    /// The last answer had warnings, which the next statement of anybody would wipe out.
    pub(super) has_warnings: bool,
}

impl Attached {
    /// Whether the session still needs the connection.
    pub(super) fn is_kept(&self) -> bool {
        self.enrolled || self.in_transaction || self.pinned || self.held
    }
}

/// ER_LOCK_DEADLOCK: the whole transaction was rolled back.
pub(super) const DEADLOCK: u16 = 1213;

/// The place of a connection in [`Session::attached`].
pub(super) type Index = usize;

impl Session {
    /// A connection to the server of `placement` that agrees with the session: settings, database,
    /// transaction. `database` is the schema on the server.
    pub(super) async fn attach(
        &mut self,
        placement: Placement,
        database: &[u8],
        wants_insert_id: bool,
    ) -> Result<Index, SqlError> {
        if let Transaction::Broken { shard } = &self.transaction {
            return Err(catalog::TRANSACTION_LOST.with(&[shard]));
        }
        let server = placement.server();
        let found = self.attached.iter().position(|a| a.placement.server() == server);
        if found.is_none() {
            self.borrow(placement, database).await?;
        }
        if wants_insert_id {
            self.learn_insert_id().await;
        }
        let Some(index) = self.attached.iter().position(|a| a.placement.server() == server) else {
            let shard = self.services.topology().shard_name(placement.shard());
            return Err(catalog::TRANSACTION_LOST.with(&[&shard]));
        };
        let wanted = Aligned {
            settings: &self.state.settings,
            database,
            last_insert_id: wants_insert_id.then_some(self.state.last_insert_id),
        };
        let aligned = self.attached[index].lease.align(&wanted).await;
        if let Err(failure) = aligned {
            return Err(self.fail(index, failure).await);
        }
        self.enroll(index).await?;
        Ok(index)
    }

    /// The same in the session's own database, as the client named it.
    pub(super) async fn attach_here(
        &mut self,
        placement: Placement,
        wants_insert_id: bool,
    ) -> Result<Index, SqlError> {
        let database = std::mem::take(&mut self.state.database);
        let attached = self.attach(placement, &database, wants_insert_id).await;
        self.state.database = database;
        attached
    }

    /// Takes a connection from the pool.
    async fn borrow(&mut self, placement: Placement, database: &[u8]) -> Result<Index, SqlError> {
        let pool = self.services.pool(placement);
        let wanted = Aligned { settings: &self.state.settings, database, last_insert_id: None };
        let asked = clock::now();
        let lease = pool.checkout(self.worker, self.profile, &wanted).await.map_err(|error| {
            self.services.monitor.recheck(placement.server());
            self.services.checkout_error(placement, &error)
        })?;
        let waited = clock::now().saturating_duration_since(asked);
        self.services.metrics.record_wait(self.worker, waited);
        self.attached.push(Attached {
            lease,
            placement,
            enrolled: false,
            in_transaction: false,
            pinned: false,
            held: false,
            insert_id_unknown: false,
            has_warnings: false,
        });
        Ok(self.attached.len() - 1)
    }

    /// Begins the session's transaction on a connection that does not take part yet.
    async fn enroll(&mut self, index: Index) -> Result<(), SqlError> {
        let attached = &mut self.attached[index];
        let begin = match &self.transaction {
            Transaction::None { next: None } => return Ok(()),
            Transaction::None { next: Some(characteristics) } => characteristics.clone(),
            Transaction::Broken { .. } => return Ok(()),
            Transaction::Open(_) if attached.enrolled => return Ok(()),
            Transaction::Open(_)
                if self.state.reading.transaction_mode == TransactionMode::Single
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
        match &mut self.transaction {
            Transaction::Open(_) => self.attached[index].enrolled = true,
            none => *none = Transaction::None { next: None },
        }
        Ok(())
    }

    /// What a failed command means for the session. The server's own error leaves the connection
    /// usable; after any other failure it is gone, and with it a transaction it took part in.
    pub(super) async fn fail(&mut self, index: Index, failure: Failure) -> SqlError {
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
        index: Index,
        reason: &(dyn std::fmt::Display + Sync),
    ) -> SqlError {
        let attached = self.attached.swap_remove(index);
        let shard = self.services.topology().shard_name(attached.placement.shard());
        tracing::warn!(%shard, %reason, "a server connection was lost");
        self.services.monitor.recheck(attached.placement.server());
        let in_transaction = attached.enrolled || attached.in_transaction;
        if in_transaction || attached.pinned {
            let error = catalog::TRANSACTION_LOST.with(&[&shard]);
            self.transaction = Transaction::Broken { shard };
            return error;
        }
        catalog::SERVER_GONE.with(&[&attached.placement.role().name(), &shard, reason])
    }

    /// Notes an answer, and gives the connection back unless the session still needs it.
    pub(super) async fn settle(&mut self, index: Index, outcome: &Outcome) {
        let attached = &mut self.attached[index];
        attached.insert_id_unknown |= outcome.last_insert_id != 0;
        attached.has_warnings = outcome.warnings > 0;
        if outcome.is_error() {
            // An error packet has no status: whether a transaction is open is as before, and
            // without autocommit the statement may have opened one.
            attached.in_transaction |= !self.state.autocommit;
            if outcome.error == Some(DEADLOCK) && (attached.enrolled || attached.in_transaction) {
                // This server has rolled back; the others must not keep half a transaction.
                return self.rollback_all().await;
            }
        } else {
            attached.in_transaction = outcome.status.contains(StatusFlags::IN_TRANS);
            if attached.enrolled && !attached.in_transaction {
                // An implicit commit ended the transaction.
                attached.enrolled = false;
                self.transaction = Transaction::None { next: None };
            }
        }
        if !self.keeps(index) {
            self.let_go(index).await;
        }
    }

    /// Gives a connection back after a command that is no statement.
    pub(super) async fn settle_quietly(&mut self, index: Index) {
        if !self.keeps(index) {
            self.let_go(index).await;
        }
    }

    /// Whether the session still needs a connection.
    fn keeps(&self, index: Index) -> bool {
        self.attached[index].is_kept()
    }

    /// Gives a connection back after asking it what only it knows.
    pub(super) async fn let_go(&mut self, index: Index) {
        let mut attached = self.attached.swap_remove(index);
        if attached.lease.is_tainted() {
            // Dropped if it cannot be reset.
            if attached.lease.reset().await.is_ok() {
                attached.lease.release();
            }
            return;
        }
        if attached.has_warnings {
            match attached.lease.rows(b"SHOW WARNINGS").await {
                Ok(rows) => self.state.warnings = Warnings::Noted(text_rows(rows)),
                Err(_) => return,
            }
        }
        if attached.insert_id_unknown {
            let Ok(id) = insert_id(&mut attached.lease).await else { return };
            self.state.last_insert_id = id;
            attached.lease.set_last_insert_id(id);
        }
        attached.lease.release();
    }

    /// Asks attached connections for a LAST_INSERT_ID() that their answers did not tell: an answer
    /// to an INSERT tells an explicit id too, the function does not.
    async fn learn_insert_id(&mut self) {
        let mut index = 0;
        while index < self.attached.len() {
            let attached = &mut self.attached[index];
            if !std::mem::take(&mut attached.insert_id_unknown) {
                index += 1;
                continue;
            }
            match insert_id(&mut attached.lease).await {
                Ok(id) => {
                    self.state.last_insert_id = id;
                    attached.lease.set_last_insert_id(id);
                    index += 1;
                }
                Err(failure) => {
                    let _ = self.lose(index, &failure);
                }
            }
        }
    }

    /// Forgets the warnings of the statement before.
    pub(super) fn forget_warnings(&mut self) {
        self.state.warnings = Warnings::None;
        for attached in &mut self.attached {
            attached.has_warnings = false;
        }
    }

    /// Asks a connection that the session keeps for the warnings of its last statement.
    pub(super) async fn learn_warnings(&mut self) {
        let Some(attached) = self.attached.iter_mut().find(|attached| attached.has_warnings) else {
            return;
        };
        attached.has_warnings = false;
        // A connection that fails here fails the next statement, which then tells why.
        if let Ok(rows) = attached.lease.rows(b"SHOW WARNINGS").await {
            self.state.warnings = Warnings::Noted(text_rows(rows));
        }
    }

    /// Gives back connections that were held for one more statement only.
    pub(super) async fn drop_held(&mut self) {
        for index in (0..self.attached.len()).rev() {
            self.attached[index].held = false;
            if !self.keeps(index) {
                self.let_go(index).await;
            }
        }
    }

    /// Pins a connection: the server holds state of this session that cannot be mirrored.
    pub(super) fn pin(&mut self, index: Index) {
        self.attached[index].pinned = true;
        self.attached[index].lease.taint();
    }

    /// Gives all connections back, their transactions rolled back and their state wiped.
    pub(super) async fn detach_all(&mut self) {
        self.transaction = Transaction::None { next: None };
        while let Some(mut attached) = self.attached.pop() {
            let dirty = attached.enrolled || attached.in_transaction || attached.lease.is_tainted();
            if !dirty || attached.lease.reset().await.is_ok() {
                attached.lease.release();
            }
        }
    }
}

/// LAST_INSERT_ID() of a connection.
async fn insert_id(lease: &mut Lease) -> Result<u64, Failure> {
    let rows = lease.rows(b"SELECT LAST_INSERT_ID()").await?;
    let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_ref);
    Ok(cell.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0))
}

/// Cells as text; a server's messages are in the character set of the session.
fn text_rows(rows: Vec<Vec<Option<Vec<u8>>>>) -> Vec<Vec<Option<String>>> {
    let text = |cell: Option<Vec<u8>>| cell.map(|c| String::from_utf8_lossy(&c).into_owned());
    rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}
