//! What operators read in the log about primaries: who is in service, who is held off, and what is
//! lost.

use crate::topology::{ServerId, Service, ShardId, Standing, Topology, shortened};

/// Logs what has changed between two topologies. Gives the servers of shards that have just become
/// split, which are worth another look.
pub(super) fn changes(before: &Topology, after: &Topology) -> Vec<ServerId> {
    let mut split = Vec::new();
    for shard in after.all_shards() {
        service(before, after, shard);
        standings(before, after, shard);
        let is_split = |topology: &Topology| topology.rivals(shard).next().is_some();
        if is_split(after) && !is_split(before) {
            split.extend(after.holders(shard));
        }
    }
    split
}

fn service(before: &Topology, after: &Topology, shard: ShardId) {
    let (old, new) = (before.service(shard), after.service(shard));
    if std::mem::discriminant(old) == std::mem::discriminant(new)
        && before.primary(shard) == after.primary(shard)
        && before.record(shard).map(|record| record.epoch)
            == after.record(shard).map(|record| record.epoch)
        && !matches!(new, Service::Absent(_) if old != new)
    {
        return;
    }
    let name = after.shard_name(shard);
    match new {
        Service::Primary(id) => {
            let server = &after.server(*id).address;
            let epoch = after.record(shard).map_or(0, |record| record.epoch);
            tracing::warn!(shard = %name, %server, epoch, "the primary in service");
            let moved = before.record(shard).map(|record| record.epoch) != Some(epoch);
            if moved && let Some(lost) = after.record(shard).and_then(|r| r.lost.as_ref()) {
                tracing::error!(
                    shard = %name, %server, gtids = %lost,
                    "the primary in service lacks transactions of the one before: they are lost"
                );
            }
        }
        Service::Split { .. } => {
            let rivals = after.rivals(shard).chain(after.primary(shard));
            let servers: Vec<String> =
                rivals.map(|id| after.server(id).address.to_string()).collect();
            tracing::error!(
                shard = %name, servers = servers.join(", "),
                "split brain: several servers are writable, so writes are stopped; make all but \
                 one read-only"
            );
        }
        Service::Absent(absence) => {
            tracing::warn!(shard = %name, reason = %absence.reason(), "no primary is in service");
        }
    }
}

fn standings(before: &Topology, after: &Topology, shard: ShardId) {
    for id in after.holders(shard) {
        let (old, new) = (before.standing(shard, *id), after.standing(shard, *id));
        if old == new {
            continue;
        }
        let (name, server) = (after.shard_name(shard), &after.server(*id).address);
        match (old, new) {
            (Standing::Former { beyond: None, .. }, Standing::Former { beyond: None, .. }) => {}
            (_, Standing::Former { beyond: Some(beyond), .. }) => tracing::error!(
                shard = %name, %server, gtids = %shortened(beyond),
                "a former primary has transactions that the one in service has not: they are lost"
            ),
            (_, Standing::Former { epoch, .. }) => tracing::warn!(
                shard = %name, %server, epoch,
                "a former primary is held off until it follows the one in service"
            ),
            (Standing::Former { .. }, Standing::Replica) => tracing::info!(
                shard = %name, %server, "a former primary follows the one in service"
            ),
            (_, Standing::Rival) => tracing::error!(
                shard = %name, %server, "a server is writable although it is not the primary"
            ),
            _ => {}
        }
    }
}
