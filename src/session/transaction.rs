//! BEGIN, COMMIT, ROLLBACK and savepoints.
//!
//! BEGIN opens no transaction anywhere: a server takes part from the first statement that goes to
//! it. How a transaction ends on several of them is told in `commit`.

use std::fmt::Write as _;

use crate::backend::Product;
use crate::error::{SqlError, catalog};
use crate::sql::control::set::Access;
use crate::sql::control::transaction::{self as control};

use super::answer::{Answer, Went};
use super::assignment::is_on;
use super::commit::Verb;
use super::connections::Connections;
use super::hold::Hold;
use super::mirror::Mirror;
use super::next_transaction;
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
    /// Whether the client is told that it is open.
    shown: Shown,
}

/// Whether a client is told that a transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Yes,
    /// A savepoint or SET TRANSACTION without autocommit has opened it: servers tell of it with the
    /// first statement that does something.
    WhenUsed,
}

impl Transaction {
    /// The names of its savepoints.
    pub(super) fn savepoints(&self) -> impl Iterator<Item = &[u8]> {
        let known = match self {
            Self::Open(open) => &open.savepoints[..],
            Self::None { .. } | Self::Broken { .. } => &[],
        };
        known.iter().map(Vec::as_slice)
    }

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
            shown: Shown::Yes,
        })
    }

    /// The transaction that follows on this one, which ends now. `access`: what it may do, if this
    /// one was not begun.
    pub(super) fn chained(&self, access: Access) -> Self {
        match self {
            Self::Open(open) => {
                let begin = match open.access {
                    Access::ReadOnly => b"START TRANSACTION READ ONLY".to_vec(),
                    Access::ReadWrite => b"START TRANSACTION".to_vec(),
                };
                let (savepoints, shown) = (Vec::new(), Shown::Yes);
                Self::Open(Open { begin, savepoints, shown, ..open.clone() })
            }
            other => match Self::begun(other.clone()) {
                Self::Open(open) => Self::Open(Open { access, ..open }),
                other => other,
            },
        }
    }

    /// What SET TRANSACTION asked for the next one.
    pub(super) fn asked_for(&self) -> &[Vec<u8>] {
        match self {
            Self::None { next: Some(next) } => next,
            _ => &[],
        }
    }

    /// Whether one was begun, or begins with the next statement that does something.
    fn is_open(&self, autocommit: bool) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Open(open) => open.shown == Shown::Yes || !autocommit,
            Self::Broken { .. } => true,
        }
    }

    /// Whether the client is told that it is open, although no server says so.
    pub(super) fn is_shown(&self) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Open(open) => open.shown == Shown::Yes,
            Self::Broken { .. } => true,
        }
    }

    /// Whether the first statement that does something begins it.
    pub(super) fn opens_when_used(&self) -> bool {
        matches!(self, Self::Open(open) if open.shown == Shown::WhenUsed)
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
    /// SET TRANSACTION statements for it.
    pub(super) fn characteristics(&self) -> &[Vec<u8>] {
        &self.characteristics
    }

    /// The same, with what BEGIN said.
    pub(super) fn all_characteristics(&self) -> Vec<Vec<u8>> {
        let words = [&b"READ ONLY"[..], b"READ WRITE"];
        let said = words.into_iter().find(|words| self.begin.ends_with(words));
        let said = said.map(|words| [b"SET TRANSACTION ", words].concat());
        self.characteristics.iter().cloned().chain(said).collect()
    }

    /// More of them.
    pub(super) fn add_characteristics(&mut self, more: Vec<Vec<u8>>) {
        self.characteristics.extend(more);
    }

    /// Whether it may not write.
    pub(super) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    /// What a server that joins must run first.
    pub(super) fn opening(&self) -> Vec<Vec<u8>> {
        let savepoint = |name: &Vec<u8>| [b"SAVEPOINT ".as_slice(), name].concat();
        let mut statements = self.characteristics.clone();
        // Without autocommit the next statement that does something begins it.
        if self.shown == Shown::Yes {
            statements.push(self.begin.clone());
        }
        statements.extend(self.savepoints.iter().map(savepoint));
        statements
    }

    /// Drops those that begin so.
    pub(super) fn drop_characteristics(&mut self, part: &[u8]) {
        self.characteristics.retain(|statement| !statement.starts_with(part));
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

impl Connections {
    /// Ends LOCK TABLES where it is held.
    pub(super) async fn unlock_tables(&mut self) -> Result<(), SqlError> {
        for index in self.attached.ids() {
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

    /// Without autocommit a savepoint and what SET TRANSACTION has asked for belong to the
    /// transaction that the next statement opens, so they open one themselves: a server that joins
    /// later is told about both.
    pub(super) fn open_without_autocommit(&mut self) {
        if self.mirror.autocommit || !matches!(self.transaction, Transaction::None { .. }) {
            return;
        }
        let before = std::mem::replace(&mut self.transaction, Transaction::None { next: None });
        let mut begun = Transaction::begun(before);
        if let Transaction::Open(open) = &mut begun {
            open.shown = Shown::WhenUsed;
        }
        self.transaction = begun;
        for attached in self.attached.iter_mut() {
            attached.enrolled |= attached.in_transaction;
        }
    }

    /// Ends such a transaction after autocommit was set in a way that was not read before.
    pub(super) fn end_unopened(&mut self) {
        if !self.mirror.autocommit
            || !matches!(&self.transaction, Transaction::Open(o) if o.shown == Shown::WhenUsed)
        {
            return;
        }
        let waiting = next_transaction::take_characteristics(self);
        for attached in self.attached.iter_mut().filter(|attached| attached.enrolled) {
            attached.enrolled = false;
            // What it was told of the next transaction may be there.
            attached.lease.taint();
        }
        next_transaction::await_transaction(self, waiting);
    }

    async fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        self.open_without_autocommit();
        let Some(name) = self.in_transaction().then(|| quoted(name)) else { return Ok(()) };
        drop(self.control.account.reserve(name.len(), "a savepoint")?);
        self.on_participants(&[b"SAVEPOINT ".as_slice(), &name].concat()).await?;
        if let Transaction::Open(open) = &mut self.transaction {
            open.savepoints.retain(|known| !known.eq_ignore_ascii_case(&name));
            open.savepoints.push(name);
        }
        self.has_savepoints = true;
        self.note_held();
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

    /// Whether the client has a transaction open.
    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_open(self.mirror.autocommit)
            || self.attached.iter().any(|attached| attached.in_transaction)
    }
}

impl Mirror {
    /// Whether a transaction may write that BEGIN says nothing about.
    pub(super) fn access_by_default(&self, characteristics: &[Vec<u8>]) -> Access {
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
        Statement::Commit(completion) => connections.complete(Verb::Commit, completion).await?,
        Statement::Rollback(completion) => connections.complete(Verb::Rollback, completion).await?,
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
    let characteristics = match connections.services.product() {
        Product::MySql => next_transaction::carried_characteristics(connections),
        Product::MariaDb => next_transaction::take_characteristics(connections),
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
    let open = Open {
        characteristics,
        begin,
        access: effective,
        savepoints: Vec::new(),
        shown: Shown::Yes,
    };
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
