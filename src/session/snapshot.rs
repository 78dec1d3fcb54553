//! START TRANSACTION WITH CONSISTENT SNAPSHOT where there are several servers.
//!
//! A server's snapshot is of its own moment. One moment for all of them needs that nobody writes in
//! between: with `consistent_snapshot = 'locked'` all tables are locked for reading, by connections
//! of their own, while the snapshots are taken. Such a lock waits for the transactions that have
//! written the tables, so none of them is seen in part, whatever proxy it goes through.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::backend::{Aligned, Failure, Lease, Profile, Stake};
use crate::config::ConsistentSnapshot;
use crate::error::{SqlError, catalog};
use crate::executor::watch::{Watched, wait_watching};
use crate::geo::{self, Placement};
use crate::key::Destination;
use crate::topology::{KeyspaceIndex, Topology};
use crate::wire::capability::Capabilities;

use super::connections::Connections;
use super::diagnostics;
use super::diagnostics::Warnings;
use super::lock_turns::LockTurns;
use super::state::State;
use super::statement_timeout;
use super::table_locks;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_on_server;

/// A server that takes part, and the schemas on it.
struct Part {
    placement: Placement,
    keyspaces: Vec<KeyspaceIndex>,
}

/// What SHOW WARNINGS tells of snapshots that are each of another moment.
const NOTE: &str = "the snapshots of the servers are each of another moment \
                    (consistent_snapshot = 'per_server')";
/// ER_UNKNOWN_ERROR, which servers use for notes without a number of their own.
const NOTE_NUMBER: &str = "1105";

/// Opens the transaction that has just begun on every server, with a snapshot each; gives the
/// number of warnings.
pub(super) async fn take_snapshots(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
) -> Result<u16, SqlError> {
    let topology = connections.services.topology.load_full();
    let parts = snapshot_parts(state, &topology)?;
    let mode = match &parts[..] {
        [_] => ConsistentSnapshot::PerServer,
        _ => state.reading.snapshot.unwrap_or(connections.services.consistent_snapshot),
    };
    let locks = match mode {
        ConsistentSnapshot::Refuse => return Err(catalog::SNAPSHOT_REFUSED.error()),
        ConsistentSnapshot::PerServer => Vec::new(),
        ConsistentSnapshot::Locked => {
            lock_everything(client, connections, &topology, &parts).await?
        }
    };
    let mut taken = Ok(());
    for part in &parts {
        let database = Arc::clone(&topology.keyspace(part.keyspaces[0]).database);
        if let Err(error) =
            connections.attach(client, part.placement, database.as_bytes(), false).await
        {
            taken = Err(error);
            break;
        }
    }
    unlock(locks).await;
    taken?;
    if mode != ConsistentSnapshot::PerServer || parts.len() == 1 {
        return Ok(0);
    }
    let cell = |text: &str| Some(text.as_bytes().to_vec());
    diagnostics::forget_warnings(connections);
    let note = vec![cell("Note"), cell(NOTE_NUMBER), cell(NOTE)];
    connections.diagnosed.warnings = Warnings::Noted(vec![note]);
    Ok(1)
}

/// All primaries, or those of the shards that the session is aimed at, in the order of the
/// topology.
fn snapshot_parts(state: &State, topology: &Topology) -> Result<Vec<Part>, SqlError> {
    let target = &state.target;
    let mut parts: Vec<Part> = Vec::new();
    for (index, keyspace) in topology.keyspaces() {
        let shards = match &target.destination {
            None => &Destination::AllShards,
            Some(aimed) if target.keyspace.as_deref() == Some(&*keyspace.name) => aimed,
            Some(_) => continue,
        };
        let shards = shards.resolve(keyspace.shard_map());
        for shard in shards.map_err(|error| catalog::UNKNOWN_SHARD.with(&[&error.0]))? {
            let placement = geo::primary(topology, topology.shard(index, shard))?;
            let server = placement.server();
            match parts.iter_mut().find(|part| part.placement.server() == server) {
                Some(part) if part.keyspaces.contains(&index) => {}
                Some(part) => part.keyspaces.push(index),
                None => parts.push(Part { placement, keyspaces: vec![index] }),
            }
        }
    }
    Ok(parts)
}

/// Locks every table on every server for reading; gives the connections that hold the locks.
async fn lock_everything(
    client: &mut Client,
    connections: &Connections,
    topology: &Topology,
    parts: &[Part],
) -> Result<Vec<Lease>, SqlError> {
    let mut turns = LockTurns::new(parts.len(), connections.limits.table_lock_wait());
    'attempt: loop {
        let mut locks = Vec::new();
        for number in turns.servers() {
            let part = &parts[number];
            let patience = turns.patience(number).unwrap_or(Duration::MAX);
            match lock_part(client, connections, topology, part, patience).await? {
                Some(lock) => locks.push(lock),
                None => {
                    unlock(locks).await;
                    if turns.again(number) {
                        continue 'attempt;
                    }
                    return Err(table_locks::late_lock(
                        &connections.limits,
                        topology,
                        part.placement,
                    ));
                }
            }
        }
        return Ok(locks);
    }
}

/// Locks all tables of one server; `None` if that took too long. A connection that failed is
/// closed.
async fn lock_part(
    client: &mut Client,
    connections: &Connections,
    topology: &Topology,
    part: &Part,
    patience: Duration,
) -> Result<Option<Lease>, SqlError> {
    let settings = connections.services.plain_settings();
    let aligned = Aligned { settings: &settings, database: b"", last_insert_id: None };
    let profile = Profile::of(Capabilities::DEPRECATE_EOF);
    let pool = Arc::clone(connections.services.pool(part.placement));
    let checkout = pool.checkout(connections.worker, profile, &aligned);
    let checkout = match wait_watching(client, &connections.control, checkout).await {
        Watched::Done(checkout) => checkout,
        Watched::Interrupted | Watched::ClientGone => {
            return Err(statement_timeout::interruption(connections));
        }
    };
    let mut lock =
        checkout.map_err(|error| connections.services.checkout_error(part.placement, &error))?;
    lock.enter_term(part.placement.term(), Stake::Commit);
    statement_timeout::limit(connections, &mut lock);
    let schemas = part.keyspaces.iter().map(|index| &*topology.keyspace(*index).database);
    let schemas: Vec<&str> = schemas.collect();
    let work = timeout(patience, lock_tables_of(&mut lock, &schemas));
    let watched = wait_watching(client, &connections.control, work).await;
    let answer = match watched {
        Watched::Done(Ok(Ok(()))) => return Ok(Some(lock)),
        Watched::Done(Ok(Err(Failure::Server(error)))) => return Err(error),
        Watched::Done(Ok(Err(failure))) => {
            let shard = topology.shard_name(part.placement.shard());
            return Err(catalog::NOT_SENT.with(&[&"primary", &shard, &failure]));
        }
        Watched::Done(Err(_)) => Ok(None),
        Watched::Interrupted | Watched::ClientGone => {
            Err(statement_timeout::interruption(connections))
        }
    };
    kill_on_server(&mut lock);
    answer
}

async fn unlock(locks: Vec<Lease>) {
    for mut lock in locks {
        if lock.execute(b"UNLOCK TABLES").await.is_ok() {
            lock.release();
        }
    }
}

async fn lock_tables_of(lock: &mut Lease, schemas: &[&str]) -> Result<(), Failure> {
    let literal = |name: &&str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
    let names: Vec<String> = schemas.iter().map(literal).collect();
    let ask = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({}) \
         AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1, 2",
        names.join(", ")
    );
    let quoted = |name: Vec<u8>| format!("`{}`", String::from_utf8_lossy(&name).replace('`', "``"));
    let mut tables = Vec::new();
    for row in lock.rows(ask.as_bytes()).await? {
        let names: Vec<String> = row.into_iter().flatten().map(quoted).collect();
        tables.push(format!("{} READ", names.join(".")));
    }
    if tables.is_empty() {
        return Ok(());
    }
    lock.execute(format!("LOCK TABLES {}", tables.join(", ")).as_bytes()).await?;
    Ok(())
}
