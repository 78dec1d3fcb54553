//! Values of sequences, for INSERT and for `SELECT NEXT VALUE`.

use std::sync::Arc;

use crate::backend::{Aligned, Failure, Profile, Stake};
use crate::engine::limit_value;
use crate::engine::plan::{Generate, LimitValue, NextValue};
use crate::error::{SqlError, catalog};
use crate::executor::watch::unless_interrupted;
use crate::geo;
use crate::wire::capability::Capabilities;

use super::answer::{Answer, Ran};
use super::connections::Connections;
use super::reply::{Column, Kind};
use super::statement::Statement;
use super::statement_timeout;

/// Values for the rows of an INSERT that want one: for each row its value, or 0 if it keeps
/// its own; and the first value, which becomes LAST_INSERT_ID().
pub(super) async fn generate(
    connections: &Connections,
    generate: &Generate,
    wanted: &[bool],
) -> Result<(Vec<u64>, Option<u64>), SqlError> {
    let count = wanted.iter().filter(|wanted| **wanted).count() as u64;
    if count == 0 {
        return Ok((vec![0; wanted.len()], None));
    }
    let first =
        reserve_watching(connections, &generate.keyspace, &generate.sequence, count).await?;
    let mut next = first;
    let values = wanted
        .iter()
        .map(|wanted| {
            if !wanted {
                return 0;
            }
            next += 1;
            next - 1
        })
        .collect();
    Ok((values, Some(first)))
}

/// `SELECT NEXT n VALUES FROM sequence`: the first of them.
pub(super) async fn next_value(
    connections: &Connections,
    next: &NextValue,
    statement: &Statement,
) -> Ran {
    let count = match next.count {
        None => Ok(1),
        Some(hole) => limit_value(LimitValue::Hole(hole), &connections.mirror.bindings(statement)),
    };
    let first = match count {
        Ok(count) => {
            reserve_watching(connections, &next.keyspace, &next.sequence, count.max(1)).await
        }
        Err(error) => Err(error),
    };
    let column = Column::new("nextval", Kind::Integer);
    Ok(Answer::text(vec![column], vec![vec![Some(first?.to_string())]]))
}

/// The first of `count` consecutive values, unless the session is interrupted: numbers that are on
/// their way then are left out.
async fn reserve_watching(
    connections: &Connections,
    keyspace: &Arc<str>,
    sequence: &Arc<str>,
    count: u64,
) -> Result<u64, SqlError> {
    let reserved = reserve(connections, keyspace, sequence, count);
    let reserved = unless_interrupted(&connections.control, reserved).await;
    reserved.unwrap_or_else(|| Err(statement_timeout::interruption(connections)))
}

/// The first of `count` consecutive values. They come from memory or, in a transaction of its
/// own on a connection of its own, from the sequence table.
async fn reserve(
    connections: &Connections,
    keyspace: &Arc<str>,
    sequence: &Arc<str>,
    count: u64,
) -> Result<u64, SqlError> {
    let services = Arc::clone(&connections.services);
    let block = services.sequences.block(keyspace, sequence);
    let mut block = block.lock().await;
    if let Some(first) = block.take(count) {
        return Ok(first);
    }
    let topology = services.topology.load_full();
    let index = topology
        .find_keyspace(keyspace)
        .ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[keyspace]))?;
    let shard = topology.shard(index, 0);
    let placement = geo::writable_primary(&topology, shard)?;
    let name = topology.shard_name(shard);
    let settings = connections.services.plain_settings();
    let profile = Profile::of(Capabilities::DEPRECATE_EOF);
    let database = topology.keyspace(index).database.as_bytes();
    let aligned = Aligned { settings: &settings, database, last_insert_id: None };
    let mut lease = services
        .pool(placement)
        .checkout(connections.worker, profile, &aligned)
        .await
        .map_err(|error| services.checkout_error(placement, &error))?;
    lease.enter_term(placement.term(), Stake::Commit);
    statement_timeout::limit(connections, &mut lease);
    let filled = match lease.align(&aligned).await {
        Ok(()) => block.refill(&mut lease, sequence, count).await,
        Err(failure) => Err(failure),
    };
    match filled {
        Ok(()) => {}
        Err(Failure::Server(error)) => {
            lease.release();
            return Err(error);
        }
        Err(failure) => return Err(catalog::NOT_SENT.with(&[&"primary", &name, &failure])),
    }
    lease.release();
    block.take(count).ok_or_else(|| catalog::INTERNAL.with(&[&"an empty sequence block"]))
}
