//! LAST_INSERT_ID() of the session: what its statements have made it, on connections whose servers
//! remember that of another session too.

use crate::backend::{Failure, Stake};
use crate::sql::effects::Effect;

use super::connections::Connections;
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;

/// Whether a stored program that the statement runs, as a trigger, asks for LAST_INSERT_ID(), or
/// may because the statement was not read.
#[inline]
pub(super) fn asks_insert_id(connections: &Connections) -> bool {
    let asks = |effect: &Effect| matches!(effect, Effect::AsksInsertId | Effect::Unknown(_));
    connections.pending.as_ref().is_some_and(|pending| pending.effects.iter().any(asks))
}

/// Whether a write there might give the very id that another session has left, which would be
/// taken for a generated one.
#[inline]
pub(super) fn would_mistake_insert_id(connections: &Connections, index: ConnectionId) -> bool {
    let known = connections.attached[index].lease.known_insert_id();
    known != 0 && connections.stake >= Stake::Write && known != connections.mirror.last_insert_id
}

/// Asks attached connections for a LAST_INSERT_ID() that their answers did not tell: an answer
/// to an INSERT tells an explicit id too, the function does not.
pub(super) async fn learn_insert_id(connections: &mut Connections) {
    for index in connections.attached.ids() {
        let attached = &mut connections.attached[index];
        if !std::mem::take(&mut attached.insert_id_unknown) {
            continue;
        }
        match own_insert_id(attached).await {
            Ok(own) => {
                connections.mirror.last_insert_id =
                    own.unwrap_or(connections.mirror.last_insert_id);
            }
            Err(failure) => {
                let _ = connections.lose(index, &failure);
            }
        }
    }
}

/// LAST_INSERT_ID() of a connection, if the session's statements have made it that. What was there
/// before may be another session's: statements that read it are told the session's first, others
/// are not.
pub(super) async fn own_insert_id(attached: &mut Attached) -> Result<Option<u64>, Failure> {
    // Nothing is left for others that their writes might be mistaken for.
    let (question, left): (&[u8], Option<u64>) = if attached.is_kept() {
        (b"SELECT LAST_INSERT_ID()", None)
    } else {
        (b"SELECT LAST_INSERT_ID(), LAST_INSERT_ID(0)", Some(0))
    };
    let rows = attached.lease.rows(question).await?;
    let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_ref);
    let id = cell.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0);
    let is_generated = id != 0 && id == attached.told_insert_id;
    let is_own = is_generated || id != attached.lease.known_insert_id();
    attached.lease.set_last_insert_id(left.unwrap_or(id));
    Ok(is_own.then_some(id))
}
