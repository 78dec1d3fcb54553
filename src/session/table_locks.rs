//! LOCK TABLES and UNLOCK TABLES where there are several servers.
//!
//! The tables are locked on one server after the other, and either on all or on none. A lock waits
//! for the transactions that have written the table, also for those on several shards: once all are
//! locked no transaction is half committed in these tables, and what the session then reads is of
//! one moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::backend::Failure;
use crate::config::Limits;
use crate::error::{SqlError, catalog};
use crate::executor::watch::{Watched, wait_watching};
use crate::geo::{self, Placement};
use crate::key::Destination;
use crate::sql::ast::Ident;
use crate::sql::control::table_locks::{LockedTable, TableLocks};
use crate::sql::statement_kind::StatementKind;
use crate::topology::{KeyspaceIndex, Topology};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Way, Went};
use super::connections::Connections;
use super::hold::Hold;
use super::inspect;
use super::lock_turns::LockTurns;
use super::request::Request;
use super::shard_connections::ConnectionId;
use super::state::State;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_on_server;

/// What one server is told to lock.
struct Order {
    placement: Placement,
    /// The schema that names without a qualifier are in.
    keyspace: KeyspaceIndex,
    text: Vec<u8>,
}

/// LOCK TABLES or UNLOCK TABLES.
pub(super) async fn table_locks(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    statement: TableLocks,
) -> Went {
    let topology = connections.services.topology.load_full();
    if connections.mode.is_single() {
        let kind = match statement {
            TableLocks::Lock { .. } => StatementKind::LockTables,
            TableLocks::Unlock => StatementKind::UnlockTables,
        };
        return Ok(Way::Servers(kind, state.scan.features()));
    }
    let text = request.text(client).to_vec();
    client.drop_command();
    match statement {
        TableLocks::Unlock => end_table_locks(connections).await?,
        TableLocks::Lock { tables, wait } => {
            check_names(connections, state, &tables)?;
            let orders = lock_orders(state, &topology, &text, &tables)?;
            lock_tables(client, connections, &topology, orders, wait).await?;
        }
    }
    Ok(Answer::ok(0).into())
}

/// Refuses names that routing rules lead to other tables: the statements under the lock call those
/// by their own names, and by these as aliases.
fn check_names(
    connections: &Connections,
    state: &mut State,
    tables: &[LockedTable],
) -> Result<(), SqlError> {
    for table in tables {
        let keyspace = table.database.as_ref().map(|ident| ident.text.as_str());
        if inspect::routed_elsewhere(connections, state, keyspace, &table.name.text)?.is_some() {
            let what = "LOCK TABLES of a name that routing rules lead to another table";
            let advice = "lock the table by its own name, and use that under the lock";
            return Err(catalog::UNSUPPORTED.advising(&[&what], advice));
        }
    }
    Ok(())
}

/// Whether LOCK TABLES is in force.
pub(super) fn holds_table_locks(connections: &Connections) -> bool {
    connections.attached.iter().any(|attached| attached.holds.contains(&Hold::TableLocks))
}

/// UNLOCK TABLES; what was written under the locks is committed first.
async fn end_table_locks(connections: &mut Connections) -> Result<(), SqlError> {
    if !holds_table_locks(connections) {
        return Ok(());
    }
    connections.commit_all().await?;
    connections.unlock_tables().await
}

/// What each server must lock, in the order of the topology.
fn lock_orders(
    state: &State,
    topology: &Topology,
    text: &[u8],
    tables: &[LockedTable],
) -> Result<Vec<Order>, SqlError> {
    let mut orders: Vec<Order> = Vec::new();
    let own = state.target.keyspace.as_deref();
    for (index, keyspace) in topology.keyspaces() {
        let shards = match &state.target.destination {
            Some(destination) if own == Some(&*keyspace.name) => destination,
            _ => &Destination::AllShards,
        };
        let shards = shards.resolve(keyspace.shard_map());
        let shards = shards.map_err(|error| catalog::UNKNOWN_SHARD.with(&[&error.0]))?;
        for table in tables {
            let name = table.database.as_ref().map(|ident| ident.text.as_str()).or(own);
            let name = name.ok_or_else(|| catalog::NO_KEYSPACE.error())?;
            let of = topology.find_keyspace(name);
            if of.ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&name]))? != index {
                continue;
            }
            for shard in &shards {
                let shard = topology.shard(index, *shard);
                let placement = geo::writable_primary(topology, shard)?;
                let server = placement.server();
                let at = orders.iter().position(|o| o.placement.server() == server);
                let at = at.unwrap_or_else(|| {
                    orders.push(Order { placement, keyspace: index, text: Vec::new() });
                    orders.len() - 1
                });
                let order = &mut orders[at];
                let other = (order.keyspace != index).then_some(&*keyspace.database);
                put_table(&mut order.text, text, table, other);
            }
        }
    }
    Ok(orders)
}

async fn lock_tables(
    client: &mut Client,
    connections: &mut Connections,
    topology: &Topology,
    mut orders: Vec<Order>,
    wait: Option<u64>,
) -> Result<(), SqlError> {
    // As every server does.
    connections.commit_all().await?;
    connections.unlock_tables().await?;
    if let Some(seconds) = wait {
        let suffix = format!(" WAIT {seconds}");
        for order in &mut orders {
            order.text.extend_from_slice(suffix.as_bytes());
        }
    }
    let mut turns = LockTurns::new(orders.len(), connections.limits.table_lock_wait());
    'attempt: loop {
        for number in turns.servers() {
            let order = &orders[number];
            let locked =
                lock_on(client, connections, topology, order, turns.patience(number)).await;
            if let Ok(LockAnswer::Locked) = locked {
                continue;
            }
            connections.unlock_tables().await?;
            locked?;
            if turns.again(number) {
                continue 'attempt;
            }
            return Err(late_lock(&connections.limits, topology, order.placement));
        }
        connections.publish_holds();
        return Ok(());
    }
}

/// The error of a lock that was waited for in vain.
pub(super) fn late_lock(limits: &Limits, topology: &Topology, placement: Placement) -> SqlError {
    let limit = format!("{:?}", limits.table_lock_wait());
    catalog::TABLE_LOCK_WAIT.with(&[&topology.shard_name(placement.shard()), &limit])
}

/// Locks the tables of one server, or none of them.
async fn lock_on(
    client: &mut Client,
    connections: &mut Connections,
    topology: &Topology,
    order: &Order,
    patience: Option<Duration>,
) -> Result<LockAnswer, SqlError> {
    let database = Arc::clone(&topology.keyspace(order.keyspace).database);
    let index = connections.attach(client, order.placement, database.as_bytes(), false).await?;
    let answer =
        match connections.attached[index].lease.send_command(code::QUERY, &order.text).await {
            Ok(sent) => {
                let first = crate::backend::first_answer_sequence(sent);
                connections.attached[index].lease.expect(Expect::Query, first);
                lock_answer(client, connections, index, patience.unwrap_or(Duration::MAX)).await
            }
            Err(failure) => Err(failure),
        };
    match answer {
        Ok(LockAnswer::Locked) => {
            connections.hold(index, Hold::TableLocks);
            Ok(LockAnswer::Locked)
        }
        Ok(LockAnswer::Late) => {
            connections.settle_quietly(index).await;
            Ok(LockAnswer::Late)
        }
        Err(failure) => Err(connections.fail(index, failure).await),
    }
}

async fn lock_answer(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    patience: Duration,
) -> Result<LockAnswer, Failure> {
    let lease = &mut connections.attached[index].lease;
    let answer = lease.collect(None);
    let watched = wait_watching(client, &connections.control, answer);
    let late = match timeout(patience, watched).await {
        Ok(Watched::Done(answer)) => return answer.map(|_| LockAnswer::Locked),
        Ok(Watched::Interrupted | Watched::ClientGone) => false,
        Err(_) => true,
    };
    kill_on_server(lease);
    match lease.collect(None).await {
        // It was locked while it was being stopped.
        Ok(_) => Ok(LockAnswer::Locked),
        Err(Failure::Server(_)) if late => Ok(LockAnswer::Late),
        Err(failure) => Err(failure),
    }
}

/// How a server answered to LOCK TABLES, if not with an error.
enum LockAnswer {
    Locked,
    /// Not in time.
    Late,
}

/// Appends a table to the text for a server; `schema` is written before its name.
fn put_table(out: &mut Vec<u8>, text: &[u8], table: &LockedTable, schema: Option<&str>) {
    let written = |ident: &Ident| {
        let bytes = text.get(ident.span.start as usize..ident.span.end as usize);
        bytes.unwrap_or_default().to_vec()
    };
    let start: &[u8] = if out.is_empty() { b"LOCK TABLES " } else { b", " };
    out.extend_from_slice(start);
    if let Some(schema) = schema {
        out.extend_from_slice(format!("`{}`.", schema.replace('`', "``")).as_bytes());
    }
    out.extend_from_slice(&written(&table.name));
    if let Some(alias) = &table.alias {
        out.extend_from_slice(b" AS ");
        out.extend_from_slice(&written(alias));
    }
    out.push(b' ');
    out.extend_from_slice(table.lock.as_bytes());
}
