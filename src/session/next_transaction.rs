//! What SET TRANSACTION asks for the next transaction, until one has begun.
//!
//! A statement that uses no table of an engine with transactions begins none, so servers keep the
//! characteristics after it, and only they know which statements are such. With autocommit each
//! statement is sent behind them, on whatever connection, and its server is asked afterwards what
//! is left of them. Without autocommit the transaction is opened with the first statement, so that
//! every server that takes part is told of them, and the connections stay until it ends.

use crate::error::SqlError;
use crate::executor::client::{Client, StateMarks};
use crate::sql::control::set::{Access, Isolation};

use super::assignment::isolation_words;
use super::connections::Connections;
use super::diagnostics;
use super::shard_connections::ConnectionId;
use super::tracking;
use super::transaction::Transaction;

/// SET TRANSACTION without SESSION or GLOBAL.
pub(super) async fn set_next_transaction(
    connections: &mut Connections,
    isolation: Option<Isolation>,
    access: Option<Access>,
) -> Result<(), SqlError> {
    let mut next = Vec::new();
    if let Some(isolation) = isolation {
        let level = isolation_words(isolation);
        next.push(format!("SET TRANSACTION ISOLATION LEVEL {level}").into_bytes());
    }
    match access {
        Some(Access::ReadOnly) => next.push(b"SET TRANSACTION READ ONLY".to_vec()),
        Some(Access::ReadWrite) => next.push(b"SET TRANSACTION READ WRITE".to_vec()),
        None => {}
    }
    if is_unused(connections) {
        for statement in &next {
            connections.on_participants(statement).await?;
        }
    } else if connections.in_transaction() {
        return Err(SqlError::from_server(
            1568,
            *b"25001",
            "Transaction characteristics can't be changed while a transaction is in progress",
        ));
    }
    match &mut connections.transaction {
        Transaction::None { next: waiting } => waiting.get_or_insert_default().extend(next),
        Transaction::Open(open) => open.add_characteristics(next),
        Transaction::Broken { .. } => {}
    }
    Ok(())
}

/// Whether a transaction is open that only the characteristics of the next one have opened, and
/// no server has begun it.
pub(super) fn is_unused(connections: &Connections) -> bool {
    connections.transaction.opens_when_used()
        && !connections.attached.iter().any(|part| part.in_transaction || part.unfinished)
}

/// The characteristics of the next transaction, as long as none has begun with them.
pub(super) fn take_characteristics(connections: &mut Connections) -> Vec<Vec<u8>> {
    let unused = is_unused(connections);
    match &mut connections.transaction {
        Transaction::None { next } => next.take().unwrap_or_default(),
        Transaction::Open(open) if unused => open.characteristics().to_vec(),
        Transaction::Open(_) | Transaction::Broken { .. } => Vec::new(),
    }
}

/// The characteristics of the next transaction or of the present one: commits that are not
/// said leave them, those of SET autocommit everywhere and those of BEGIN at MySQL.
pub(super) fn carried_characteristics(connections: &mut Connections) -> Vec<Vec<u8>> {
    match &connections.transaction {
        Transaction::Open(open) => open.all_characteristics(),
        _ => take_characteristics(connections),
    }
}

/// A session variable was set, whose value counts for the next transaction too.
pub(super) fn override_characteristics(connections: &mut Connections, variable: &str) {
    let part: &[u8] = match variable {
        "transaction_isolation" => b"SET TRANSACTION ISOLATION",
        "transaction_read_only" => b"SET TRANSACTION READ",
        _ => return,
    };
    if is_unused(connections)
        && let Transaction::Open(open) = &mut connections.transaction
    {
        open.drop_characteristics(part);
    }
}

/// The characteristics wait for the next transaction again, or for the first time.
pub(super) fn await_transaction(connections: &mut Connections, characteristics: Vec<Vec<u8>>) {
    let next = (!characteristics.is_empty()).then_some(characteristics);
    connections.transaction = Transaction::None { next };
}

/// Tells a connection the characteristics before a statement.
#[cold]
pub(super) async fn announce_next(
    connections: &mut Connections,
    index: ConnectionId,
) -> Result<(), SqlError> {
    let statements = connections.transaction.asked_for().to_vec();
    let attached = &mut connections.attached[index];
    attached.one_shot = true;
    let mut announced = attached.lease.watch_next_transaction().await;
    for statement in statements {
        if announced.is_ok() {
            announced = connections.attached[index].lease.execute(&statement).await.map(drop);
        }
    }
    match announced {
        Ok(()) => Ok(()),
        Err(failure) => {
            connections.attached[index].lease.taint();
            Err(connections.fail(index, failure).await)
        }
    }
}

/// Asks a connection after a statement whether the characteristics still wait, and makes it
/// forget them.
#[cold]
pub(super) async fn note_next(connections: &mut Connections, index: ConnectionId) {
    diagnostics::learn_warnings_of(connections, index).await;
    let info = connections.mirror.settings.get("session_track_transaction_info");
    let info = info.unwrap_or(b"DEFAULT").to_vec();
    let attached = &mut connections.attached[index];
    connections.diagnosed.lose(attached.home());
    attached.one_shot = false;
    let left = if attached.in_transaction {
        // The transaction has them.
        Ok(Some(Vec::new()))
    } else {
        attached.lease.next_transaction().await
    };
    let ended = attached.lease.end_next_transaction(&info).await;
    match (left, ended) {
        (Ok(left), Ok(())) => {
            if let (Some(left), Transaction::None { next: Some(_) }) =
                (left, &connections.transaction)
            {
                await_transaction(connections, left);
            }
        }
        (Err(failure), _) | (_, Err(failure)) => drop(connections.lose(index, &failure)),
    }
}

/// After an error without autocommit: whether the server has begun a transaction that the
/// characteristics wait for. `None`: they do not, or the connection failed.
#[cold]
pub(super) async fn begun_despite_error(
    connections: &mut Connections,
    index: ConnectionId,
) -> Option<bool> {
    if !connections.transaction.opens_when_used() || connections.attached[index].in_transaction {
        return None;
    }
    diagnostics::learn_warnings_of(connections, index).await;
    let attached = &mut connections.attached[index];
    connections.diagnosed.lose(attached.home());
    attached.lease.is_in_transaction().await.ok()
}

/// A client that did not ask for it is not told of what Geogate asks servers.
pub(super) fn hide_from(client: &mut Client, connections: &Connections) {
    if !tracking::tracks_transactions(connections) {
        client.transaction_marks = StateMarks::Dropped;
    }
}
