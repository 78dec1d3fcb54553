//! The choice of the server that answers.
//!
//! A write goes to the primary. A read goes where its consistency level allows: servers are
//! filtered (reachable, not too far behind, of the right role and region), ranked by nearness, and
//! of the two best of the best rank the less loaded one answers (M. Mitzenmacher, "The power of
//! two choices in randomized load balancing", 2001).

use std::time::Duration;

use super::access::Access;
use super::consistency::Consistency;
use super::placement::{Placement, primary, writable_primary};
use crate::error::{SqlError, catalog};
use crate::region::Region;
use crate::sql::control::use_target::TargetRole;
use crate::topology::{
    Lag, LagUnknown, Reachability, Role, Server, ServerId, ShardId, Standing, Topology,
};

/// What a statement asks of the server that answers it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it does.
    pub access: Access,
    /// What its result promises.
    pub level: Consistency,
    /// Where the client is; `None` if regions are not used.
    pub region: Option<&'a Region>,
    /// Whether an eventual read may leave the region.
    pub leaving: Leaving,
    /// The servers that the client chose by name (`USE keyspace@replica`).
    pub target: Option<TargetRole>,
    /// A replica that is further behind is not read.
    pub lag_max: Duration,
    /// The same while the shard has no primary; an eventual read takes any replica then.
    pub lag_no_primary_max: Duration,
    /// A server that has just failed to answer.
    pub except: Option<ServerId>,
    /// A number that differs from statement to statement, to spread them.
    pub salt: u64,
}

/// Whether a read may be answered outside the client's region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// It may, if nobody in the region can answer.
    #[default]
    Allowed,
    /// An error is better: `nearest_only`.
    Forbidden,
}

/// The server that answers a statement for a shard.
pub fn place(
    topology: &Topology,
    shard: ShardId,
    request: &Request<'_>,
) -> Result<Placement, SqlError> {
    let wants_replica = matches!(request.target, Some(TargetRole::Replica | TargetRole::ReadOnly));
    match (request.access, wants_replica) {
        (Access::Write, true) => {
            let role =
                if request.target == Some(TargetRole::Replica) { "replica" } else { "rdonly" };
            Err(catalog::REPLICA_TARGET.with(&[&role]))
        }
        (Access::Read | Access::Describe, true) => {
            let best = best(topology, shard, request, Candidates::Replicas);
            best.ok_or_else(|| {
                let reasons = reasons(topology, shard, request, Candidates::Replicas);
                catalog::NO_REPLICA.with(&[&topology.shard_name(shard), &reasons])
            })
        }
        (Access::Read, false) if request.target.is_none() => at_level(topology, shard, request),
        (Access::Write, false) => writable_primary(topology, shard),
        _ => primary(topology, shard),
    }
}

/// A read without a server chosen by name.
fn at_level(
    topology: &Topology,
    shard: ShardId,
    request: &Request<'_>,
) -> Result<Placement, SqlError> {
    let candidates = match (request.level, request.leaving) {
        (Consistency::Strong, _) => return primary(topology, shard),
        (Consistency::Local, _) | (Consistency::Eventual, Leaving::Forbidden) => Candidates::Region,
        (Consistency::Eventual, Leaving::Allowed) => Candidates::All,
    };
    let best = best(topology, shard, request, candidates);
    match (best, candidates) {
        (Some(placement), _) => Ok(placement),
        (None, Candidates::Region) => {
            let region = request.region.map_or("(none)", Region::as_str);
            let reasons = reasons(topology, shard, request, candidates);
            let shard = topology.shard_name(shard);
            Err(catalog::NO_LOCAL_SERVER.with(&[&region, &shard, &reasons]))
        }
        (None, _) if topology.holders(shard).len() == 1 => primary(topology, shard),
        (None, _) => {
            let reasons = reasons(topology, shard, request, candidates);
            Err(catalog::NO_SERVER.with(&[&topology.shard_name(shard), &reasons]))
        }
    }
}

/// Which holders of the shard are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidates {
    All,
    Region,
    Replicas,
}

/// How good a candidate is: a smaller rank is always better, the rest decides within a rank.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: ServerId,
    role: Role,
    rank: u8,
    latency: Duration,
    load: u32,
}

fn best(
    topology: &Topology,
    shard: ShardId,
    request: &Request<'_>,
    candidates: Candidates,
) -> Option<Placement> {
    let mut first: Option<Candidate> = None;
    let mut second: Option<Candidate> = None;
    let holders = topology.holders(shard);
    // Begin somewhere else each time, so that equal servers are taken in turn.
    let start = request.salt as usize % holders.len().max(1);
    for id in holders[start..].iter().chain(&holders[..start]) {
        let Ok(candidate) = consider(topology, shard, *id, request, candidates) else { continue };
        let key = |c: &Candidate| (c.rank, c.latency);
        if first.as_ref().is_none_or(|first| key(&candidate) < key(first)) {
            second = first.replace(candidate);
        } else if second.as_ref().is_none_or(|second| key(&candidate) < key(second)) {
            second = Some(candidate);
        }
    }
    let first = first?;
    let chosen = match second {
        Some(second) if as_near(&first, &second) => {
            if (second.load, request.salt & 1) < (first.load, 1) { second } else { first }
        }
        _ => first,
    };
    Some(Placement::new(topology, chosen.id, shard, chosen.role))
}

/// Whether the second is near enough to share the load of the first.
fn as_near(first: &Candidate, second: &Candidate) -> bool {
    let slack = first.latency / 2 + Duration::from_millis(1);
    first.rank == second.rank && second.latency <= first.latency + slack
}

/// Whether a server may answer, and how good it is; else why not.
fn consider(
    topology: &Topology,
    shard: ShardId,
    id: ServerId,
    request: &Request<'_>,
    candidates: Candidates,
) -> Result<Candidate, &'static str> {
    let server = topology.server(id);
    let is_primary = topology.primary(shard) == Some(id);
    let is_local = server.region.as_ref() == request.region;
    if candidates == Candidates::Replicas && is_primary {
        return Err("is the primary");
    }
    if candidates == Candidates::Region && !is_local {
        return Err("is in another region");
    }
    if request.except == Some(id) {
        return Err("did not answer");
    }
    if matches!(server.health.reachability, Reachability::Down(_)) {
        return Err("is down");
    }
    match topology.standing(shard, id) {
        Standing::InService => {}
        Standing::Replica => is_fresh(server, lag_cap(topology, shard, request))?,
        Standing::Rival => return Err("is writable although it is not the primary"),
        Standing::Former { .. } => {
            return Err("was primary in an older epoch and does not follow the present one");
        }
    }
    let role = if is_primary { Role::Primary } else { Role::Replica };
    let rank = match (role, is_local) {
        (Role::Replica, true) => 0,
        (Role::Primary, true) => 1,
        (Role::Replica, false) => 2,
        (Role::Primary, false) => 3,
    };
    // A server of unknown latency is tried after those that are known to be near.
    let latency = server.health.latency.unwrap_or(Duration::from_secs(1));
    let load = server.health.load.unwrap_or(0);
    Ok(Candidate { id, role, rank, latency, load })
}

/// How far behind a replica may be.
#[derive(Clone, Copy, Debug)]
enum LagCap {
    /// As far as this limit says.
    Limit(Duration, &'static str),
    /// Its rows are the freshest that there are.
    None,
}

/// While there is a primary a replica must keep up with it. Without one, nothing is newer than what
/// the replicas have.
fn lag_cap(topology: &Topology, shard: ShardId, request: &Request<'_>) -> LagCap {
    if topology.live_primary(shard).is_some() {
        return LagCap::Limit(request.lag_max, "is behind by more than limits.replica_lag_max_ms");
    }
    if request.level == Consistency::Eventual && request.target.is_none() {
        return LagCap::None;
    }
    let limit = request.lag_max.max(request.lag_no_primary_max);
    LagCap::Limit(limit, "is behind by more than limits.replica_lag_no_primary_max_ms")
}

/// Whether a replica has rows that are fresh enough.
fn is_fresh(server: &Server, cap: LagCap) -> Result<(), &'static str> {
    let LagCap::Limit(limit, beyond) = cap else { return Ok(()) };
    match server.health.lag {
        Lag::Estimated(lag) if lag <= limit => Ok(()),
        Lag::Estimated(_) => Err(beyond),
        Lag::Unknown(LagUnknown::NotObserved) => Ok(()),
        Lag::Unknown(reason) => Err(reason.reason()),
    }
}

/// Why no server is fit, for the client: without addresses.
fn reasons(
    topology: &Topology,
    shard: ShardId,
    request: &Request<'_>,
    candidates: Candidates,
) -> String {
    let why = |id: &ServerId| {
        let reason = consider(topology, shard, *id, request, candidates).err()?;
        Some(match &topology.server(*id).region {
            Some(region) => format!("the one in {region} {reason}"),
            None => format!("one {reason}"),
        })
    };
    let list: Vec<String> = topology.holders(shard).iter().filter_map(why).collect();
    if list.is_empty() { "it has none".to_owned() } else { list.join("; ") }
}

#[cfg(test)]
mod tests;
