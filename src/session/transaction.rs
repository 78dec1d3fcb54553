//! BEGIN, COMMIT, ROLLBACK and savepoints.
//!
//! BEGIN opens no transaction anywhere: a server takes part from the first statement that goes to
//! it. A transaction on several servers is committed best effort, one after the other; if one
//! fails after another succeeded, the client gets a warning that names both.

use std::fmt::Write as _;

use crate::error::{SqlError, catalog};
use crate::geo;
use crate::observe::{Outcome, TransactionMode};
use crate::sql::control::set::Access;
use crate::sql::control::transaction::{self as control, Choice, Completion};
use crate::topology::Role;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran, Stop, Went};
use super::assignment::is_on;
use super::attached::Index;
use super::connections::Connections;
use super::hold::Hold;
use super::mirror::Mirror;
use super::request::Request;
use super::snapshot;
use super::state::State;
use super::tracking;
use crate::executor::client::Client;

/// The transaction of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    /// None was begun. `next` is what SET TRANSACTION asked for the next one.
    None {
        /// Statements to be sent before the next transaction or statement.
        next: Option<Vec<Vec<u8>>>,
    },
    /// BEGIN was said.
    Open(Open),
    /// A connection that took part was lost. Only ROLLBACK leads out of it.
    Broken {
        /// The shard whose connection broke.
        shard: String,
    },
}

/// An open transaction, as far as a server that joins later must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// SET TRANSACTION statements for it.
    characteristics: Vec<Vec<u8>>,
    /// BEGIN or START TRANSACTION READ ONLY.
    begin: Vec<u8>,
    /// Whether it may write, by whatever was said before or in BEGIN.
    access: Access,
    /// Savepoints in order, as they were written (quotes included).
    savepoints: Vec<Vec<u8>>,
}

impl Transaction {
    /// A transaction of Geogate's own around one statement.
    /// It has the characteristics that SET TRANSACTION asked for before.
    pub(super) fn begun(before: Self) -> Self {
        let characteristics = match before {
            Self::None { next } => next.unwrap_or_default(),
            Self::Open(_) | Self::Broken { .. } => Vec::new(),
        };
        Self::Open(Open {
            characteristics,
            begin: b"START TRANSACTION".to_vec(),
            access: Access::ReadWrite,
            savepoints: Vec::new(),
        })
    }

    /// The statements that would begin it, as session tracking tells them.
    pub(super) fn characteristics(&self) -> Vec<u8> {
        let statements = match self {
            Self::Open(open) => {
                [&open.characteristics[..], std::slice::from_ref(&open.begin)].concat()
            }
            Self::None { next } => next.clone().unwrap_or_default(),
            Self::Broken { .. } => Vec::new(),
        };
        let statements = statements.into_iter().map(|statement| [&statement[..], b";"].concat());
        statements.collect::<Vec<_>>().join(&b" "[..])
    }
}

impl Open {
    /// Whether it may not write.
    pub(super) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    /// What a server that joins must run first.
    pub(super) fn opening(&self) -> Vec<Vec<u8>> {
        let savepoint = |name: &Vec<u8>| [b"SAVEPOINT ".as_slice(), name].concat();
        let mut statements = self.characteristics.clone();
        statements.push(self.begin.clone());
        statements.extend(self.savepoints.iter().map(savepoint));
        statements
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|known| same_name(known, name))
    }
}

/// Savepoint names are compared without regard to case; `known` is quoted.
fn same_name(known: &[u8], name: &str) -> bool {
    quoted(name).eq_ignore_ascii_case(known)
}

/// A savepoint's name on the servers. One beyond ASCII has another there, which means the same
/// under every character set of the session.
fn quoted(name: &str) -> Vec<u8> {
    if name.is_ascii() {
        return format!("`{}`", name.replace('`', "``")).into_bytes();
    }
    let mut quoted = "`geogate savepoint ".to_owned();
    for byte in name.to_lowercase().bytes() {
        let _ = write!(quoted, "{byte:02x}");
    }
    quoted.push('`');
    quoted.into_bytes()
}

/// What a client is told of a COMMIT that did not succeed everywhere.
fn failed_commit(error: SqlError, committed: &[String], failed: &[String]) -> SqlError {
    if committed.is_empty() {
        return error;
    }
    let why = String::from_utf8_lossy(&error.message);
    catalog::PARTIAL_COMMIT.with(&[&committed.join(", "), &failed.join(", "), &why])
}

impl Connections {
    /// Ends LOCK TABLES where it is held.
    pub(super) async fn unlock_tables(&mut self) -> Result<(), SqlError> {
        for index in (0..self.attached.len()).rev() {
            if self.attached[index].holds.contains(&Hold::TableLocks) {
                if let Err(failure) = self.attached[index].lease.commit(b"UNLOCK TABLES").await {
                    return Err(self.fail(index, failure).await);
                }
                self.release(index, |hold| *hold == Hold::TableLocks);
                self.settle_quietly(index).await;
                self.publish_holds();
            }
        }
        Ok(())
    }

    /// COMMIT and ROLLBACK.
    async fn complete(&mut self, verb: &[u8], completion: Completion) -> Ran {
        let was_open = self.in_transaction();
        let was_begun = matches!(self.transaction, Transaction::Open(_));
        let chain = completion.chain == Some(Choice::Yes);
        let again = match &self.transaction {
            Transaction::Open(open) if chain => {
                Some(Open { savepoints: Vec::new(), ..open.clone() })
            }
            _ => None,
        };
        let result = if verb == b"COMMIT" {
            match self.transaction {
                Transaction::Broken { ref shard } => {
                    let error = catalog::TRANSACTION_LOST.with(&[shard]);
                    self.rollback_all().await;
                    Err(error)
                }
                _ => self.commit_all().await,
            }
        } else {
            Ok(self.rollback_all().await)
        };
        if let (Some(open), Ok(_)) = (again, &result) {
            self.transaction = Transaction::Open(open);
        }
        if was_begun {
            tracking::track_begun_transaction(self);
        } else if was_open {
            tracking::track_transaction(self);
        }
        let answer = Answer::completed(result?);
        match completion.release {
            Some(Choice::Yes) => Err(Stop::Left(Box::new(answer))),
            _ => Ok(answer),
        }
    }

    /// Commits on every server that takes part, one after the other, in the order they joined.
    /// Gives the number of warnings.
    pub(super) async fn commit_all(&mut self) -> Result<u16, SqlError> {
        if let Transaction::Broken { shard } = &self.transaction {
            return Err(catalog::TRANSACTION_LOST.with(&[shard]));
        }
        if let Err(error) = self.may_commit() {
            self.rollback_all().await;
            return Err(error);
        }
        let mut committed: Vec<String> = Vec::new();
        let mut failed: Vec<String> = Vec::new();
        let mut first_error = None;
        let mut warnings = 0u16;
        let mut index = 0;
        while index < self.attached.len() {
            let attached = &mut self.attached[index];
            if !attached.takes_part() {
                index += 1;
                continue;
            }
            let shard = self.services.topology().shard_name(attached.placement.shard());
            if first_error.is_some() && !committed.is_empty() {
                // Others have committed: go on, so that as much as possible is kept together.
                tracing::warn!(%shard, "committing after another shard failed");
            }
            let commits = first_error.is_none() || !committed.is_empty();
            let result = if commits {
                attached.lease.commit(b"COMMIT").await
            } else {
                attached.lease.execute(b"ROLLBACK").await
            };
            attached.enrolled = false;
            attached.in_transaction = false;
            attached.unfinished = false;
            match result {
                Ok(outcome) => {
                    warnings = warnings.saturating_add(outcome.warnings);
                    self.note_completion(index, &outcome);
                    if commits {
                        committed.push(shard);
                        tracking::collect_tracked(self, index);
                    } else {
                        failed.push(shard);
                    }
                }
                Err(failure) => {
                    failed.push(shard);
                    let before = self.attached.len();
                    let error = self.fail(index, failure).await;
                    first_error.get_or_insert(error);
                    if self.attached.len() < before {
                        continue;
                    }
                }
            }
            index += 1;
        }
        self.transaction = Transaction::None { next: None };
        self.let_go_of_unneeded().await;
        let outcome = match (&first_error, committed.is_empty()) {
            (None, _) => Outcome::Commit,
            (Some(_), true) => Outcome::Lost,
            (Some(_), false) => Outcome::Partial,
        };
        self.count_transaction(committed.len() + failed.len(), outcome);
        match first_error {
            None => Ok(warnings),
            Some(error) => Err(failed_commit(error, &committed, &failed)),
        }
    }

    /// Whether every server where rows were written is still the one that takes its shard's
    /// writes. Asked before the first COMMIT, while all of it can be undone.
    fn may_commit(&self) -> Result<(), SqlError> {
        let topology = self.services.topology();
        for attached in self.attached.iter().filter(|attached| attached.takes_part()) {
            let shard = attached.placement.shard();
            let name = || topology.shard_name(shard);
            if !attached.lease.is_current() {
                return Err(catalog::TRANSACTION_LOST.with(&[&name()]));
            }
            let is_primary = attached.placement.role() == Role::Primary;
            if attached.may_have_written && is_primary && topology.holders(shard).len() > 1 {
                let why = match geo::writable_primary(&topology, shard) {
                    Ok(primary) if primary.server() == attached.placement.server() => continue,
                    Ok(_) => "another server is its primary now".to_owned(),
                    Err(_) => topology.primary_problem(shard).unwrap_or_default(),
                };
                return Err(catalog::COMMIT_REFUSED.with(&[&name(), &why]));
            }
        }
        Ok(())
    }

    /// Rolls back on every server that takes part. A connection that fails is closed, which rolls
    /// back too. Gives the number of warnings, which tell of tables that cannot roll back.
    pub(super) async fn rollback_all(&mut self) -> u16 {
        let (mut servers, mut warnings) = (0, 0u16);
        for index in (0..self.attached.len()).rev() {
            let attached = &mut self.attached[index];
            if !attached.takes_part() {
                continue;
            }
            servers += 1;
            attached.enrolled = false;
            attached.in_transaction = false;
            attached.unfinished = false;
            match attached.lease.execute(b"ROLLBACK").await {
                Ok(outcome) => {
                    warnings = warnings.saturating_add(outcome.warnings);
                    self.note_completion(index, &outcome);
                }
                Err(_) => {
                    self.attached.swap_remove(index);
                }
            }
        }
        self.transaction = Transaction::None { next: None };
        self.let_go_of_unneeded().await;
        self.count_transaction(servers, Outcome::Rollback);
        warnings
    }

    /// Counts a transaction in which so many servers took part.
    fn count_transaction(&self, servers: usize, outcome: Outcome) {
        let mode = match servers {
            0 => return,
            1 => TransactionMode::Single,
            _ => TransactionMode::Multi,
        };
        self.services.metrics.record_transaction(self.worker, mode, outcome);
    }

    async fn let_go_of_unneeded(&mut self) {
        // The same rule as after a statement: what is neither pinned nor held goes back.
        self.drop_held().await;
    }

    /// Without autocommit a savepoint belongs to the transaction that the next statement opens, so
    /// it opens one itself: a server that joins later is told about both.
    fn open_without_autocommit(&mut self) {
        if self.mirror.autocommit || !matches!(self.transaction, Transaction::None { .. }) {
            return;
        }
        let before = std::mem::replace(&mut self.transaction, Transaction::None { next: None });
        self.transaction = Transaction::begun(before);
        for attached in &mut self.attached {
            attached.enrolled |= attached.in_transaction;
        }
    }

    async fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        self.open_without_autocommit();
        let Some(name) = self.in_transaction().then(|| quoted(name)) else { return Ok(()) };
        self.on_participants(&[b"SAVEPOINT ".as_slice(), &name].concat()).await?;
        if let Transaction::Open(open) = &mut self.transaction {
            open.savepoints.retain(|known| !known.eq_ignore_ascii_case(&name));
            open.savepoints.push(name);
        }
        Ok(())
    }

    async fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        let unknown = || SqlError::unknown_savepoint(name);
        let open_elsewhere = self.in_transaction();
        match &mut self.transaction {
            Transaction::Open(open) => {
                let at = open.position(name).ok_or_else(unknown)?;
                open.savepoints.truncate(at + 1);
            }
            Transaction::Broken { shard } => return Err(catalog::TRANSACTION_LOST.with(&[shard])),
            Transaction::None { .. } if open_elsewhere => {}
            Transaction::None { .. } => return Err(unknown()),
        }
        self.on_participants(&[b"ROLLBACK TO SAVEPOINT ".as_slice(), &quoted(name)].concat()).await
    }

    async fn release_savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let unknown = || SqlError::unknown_savepoint(name);
        let open_elsewhere = self.in_transaction();
        match &mut self.transaction {
            Transaction::Open(open) => {
                let at = open.position(name).ok_or_else(unknown)?;
                open.savepoints.truncate(at);
            }
            Transaction::Broken { shard } => return Err(catalog::TRANSACTION_LOST.with(&[shard])),
            Transaction::None { .. } if open_elsewhere => {}
            Transaction::None { .. } => return Err(unknown()),
        }
        self.on_participants(&[b"RELEASE SAVEPOINT ".as_slice(), &quoted(name)].concat()).await
    }

    /// Runs a statement on every server that takes part in the transaction.
    async fn on_participants(&mut self, statement: &[u8]) -> Result<(), SqlError> {
        let mut index: Index = 0;
        let mut first_error = None;
        while index < self.attached.len() {
            let attached = &mut self.attached[index];
            if attached.enrolled || attached.in_transaction {
                let result = attached.lease.command(0x03, statement, Expect::Query).await;
                if let Err(failure) = result {
                    let before = self.attached.len();
                    let error = self.fail(index, failure).await;
                    first_error.get_or_insert(error);
                    if self.attached.len() < before {
                        continue;
                    }
                }
            }
            index += 1;
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Whether the client has a transaction open.
    pub(super) fn in_transaction(&self) -> bool {
        !matches!(self.transaction, Transaction::None { .. })
            || self.attached.iter().any(|attached| attached.in_transaction)
    }
}

impl Mirror {
    /// Whether a transaction may write that BEGIN says nothing about.
    fn access_by_default(&self, characteristics: &[Vec<u8>]) -> Access {
        for statement in characteristics.iter().rev() {
            if statement.ends_with(b"READ ONLY") {
                return Access::ReadOnly;
            }
            if statement.ends_with(b"READ WRITE") {
                return Access::ReadWrite;
            }
        }
        let setting = self.settings.get("transaction_read_only");
        if setting.is_some_and(is_on) { Access::ReadOnly } else { Access::ReadWrite }
    }
}

/// Runs a transaction statement.
pub(super) async fn transaction_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    request: &Request,
    mut statement: control::Transaction,
) -> Went {
    use control::Transaction as Statement;
    if let Some(savepoint) = statement.savepoint_mut() {
        connections.mirror.character_sets.read_savepoint(savepoint, request.text(client))?;
    }
    client.drop_command();
    let answer = match statement {
        Statement::Begin { access, consistent_snapshot } => {
            let begun = begin(client, connections, state, access, consistent_snapshot).await;
            tracking::track_begun_transaction(connections);
            Answer::completed(begun?)
        }
        Statement::Commit(completion) => connections.complete(b"COMMIT", completion).await?,
        Statement::Rollback(completion) => connections.complete(b"ROLLBACK", completion).await?,
        Statement::Savepoint(name) => {
            connections.savepoint(&name.text).await?;
            Answer::ok(0)
        }
        Statement::RollbackTo(name) => {
            connections.rollback_to(&name.text).await?;
            Answer::ok(0)
        }
        Statement::Release(name) => {
            connections.release_savepoint(&name.text).await?;
            Answer::ok(0)
        }
    };
    Ok(answer.into())
}

/// BEGIN; gives the number of warnings.
async fn begin(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    access: Option<Access>,
    consistent_snapshot: bool,
) -> Result<u16, SqlError> {
    // Taken before the commit, which forgets what SET TRANSACTION asked for.
    let characteristics = match &mut connections.transaction {
        Transaction::None { next } => next.take().unwrap_or_default(),
        Transaction::Open(_) | Transaction::Broken { .. } => Vec::new(),
    };
    // BEGIN commits what is open and unlocks tables, as every server does.
    connections.commit_all().await?;
    connections.unlock_tables().await?;
    let mut begin = b"START TRANSACTION".to_vec();
    let effective =
        access.unwrap_or_else(|| connections.mirror.access_by_default(&characteristics));
    let access = match access {
        Some(Access::ReadOnly) => "READ ONLY",
        Some(Access::ReadWrite) => "READ WRITE",
        None => "",
    };
    let snapshot = if consistent_snapshot { "WITH CONSISTENT SNAPSHOT" } else { "" };
    let parts: Vec<&str> = [snapshot, access].into_iter().filter(|p| !p.is_empty()).collect();
    if !parts.is_empty() {
        begin.push(b' ');
        begin.extend(parts.join(", ").as_bytes());
    }
    let open = Open { characteristics, begin, access: effective, savepoints: Vec::new() };
    connections.transaction = Transaction::Open(open);
    if consistent_snapshot {
        // The snapshot is taken now, so the servers must take part now.
        let Some(shard) = connections.mode.only() else {
            let taken = snapshot::take_snapshots(client, connections, state).await;
            if taken.is_err() {
                connections.rollback_all().await;
            }
            return taken;
        };
        let placement = crate::geo::primary(&connections.services.topology(), shard)?;
        let database = state.database.clone();
        connections.attach(client, placement, &database, false).await?;
    }
    Ok(0)
}
