//! The hot path where there are several servers: a statement whose plan is in the cache, leaves the
//! text as it is and leads to one shard. Nothing is copied or allocated to find that out.

use std::sync::Arc;

use crate::engine::bindings::BoundStatement;
use crate::engine::plan::{Plan, Primitive, Resolution, StatementKind as PlanKind};
use crate::executor::client::Client;
use crate::geo;
use crate::net::Packet;
use crate::planner::cache::PlanKeyRef;
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::value::Value;
use crate::topology::{ShardId, Topology};
use crate::vschema::Strictness;

use super::connections::Connections;
use super::mirror::Mirror;
use super::planned::{any_shard, geo_access};
use super::prepared::Prepared;
use super::state::State;
use super::tally;

/// Where a statement of the hot path goes.
#[derive(Debug)]
pub(super) struct OneShard {
    pub(super) shard: ShardId,
    pub(super) access: geo::Access,
    /// Whether any shard of the keyspace can answer.
    pub(super) anywhere: bool,
    pub(super) topology: Arc<Topology>,
}

/// The hot path: a statement in the client's buffer whose plan is in the cache, leaves the text
/// as it is and leads to one shard. Nothing is copied or allocated to find that out.
pub(super) fn cached_route(
    client: &mut Client,
    connections: &Connections,
    state: &mut State,
    packet: Packet,
) -> Option<OneShard> {
    state.generation.hold(&connections.services.serving).ok()?;
    let plan = cached_plan(&connections.mirror, state, &state.scan)?;
    let text = client.text(packet);
    let found = one_shard(connections, state, &plan, text, &state.scan, &[])?;
    note_route(connections, state, &plan, &found);
    Some(found)
}

/// The same for an execution of a prepared statement with these parameters.
pub(super) fn cached_execution(
    client: &Client,
    connections: &Connections,
    state: &mut State,
    prepared: &Prepared,
    id: u32,
    packet: Packet,
) -> Option<OneShard> {
    state.generation.hold(&connections.services.serving).ok()?;
    let (text, scan) = prepared.scanned(id, connections.mirror.lex_mode)?;
    let plan = cached_plan(&connections.mirror, state, scan)?;
    let payload = client.framed.payload(packet);
    let parameters = prepared.parameters(id, payload)?;
    let found = one_shard(connections, state, &plan, text, scan, &parameters);
    drop(parameters);
    let found = found?;
    note_route(connections, state, &plan, &found);
    Some(found)
}

/// The plan of a scanned statement, if the generation that is held has it.
fn cached_plan(mirror: &Mirror, state: &State, scan: &Scan) -> Option<Arc<Plan>> {
    if !mirror.can_read_names(scan) {
        return None;
    }
    let key = PlanKeyRef {
        skeleton: scan.skeleton(),
        target: &state.target,
        lex_mode: mirror.lex_mode,
        strictness: Strictness::Strict,
    };
    state.generation.held()?.plans().find(&key)
}

/// The one shard of a plan whose text is the client's own.
fn one_shard(
    connections: &Connections,
    state: &State,
    plan: &Plan,
    text: &[u8],
    scan: &Scan,
    parameters: &[Value<'_>],
) -> Option<OneShard> {
    let Primitive::Route(route) = &plan.root else { return None };
    if !route.query.is_verbatim()
        || route.generate.is_some()
        || plan.kind == PlanKind::Ddl
        || !route.copies.is_empty()
        || plan.joins_copies
        || !plan.schemas.is_empty()
        || scan.features().contains(Features::DIRECTIVE)
    {
        return None;
    }
    let topology = connections.services.topology.load_full();
    let keyspace = topology.find_keyspace(&route.keyspace)?;
    let bindings = BoundStatement {
        text,
        scan,
        mode: connections.mirror.lex_mode,
        charset: connections.mirror.character_sets.literals(),
        parameters,
        zero: connections.mirror.zero,
        session: &[],
    };
    let map = topology.keyspace(keyspace).shard_map();
    let (shard, anywhere) = match route.routing.resolve(&bindings, map, &[]) {
        Resolution::Shards(parts) if parts.len() == 1 => (parts[0].shard, false),
        Resolution::AnyShard => (any_shard(connections, state, &topology, keyspace, None), true),
        Resolution::AllShards if map.len() == 1 => (0, false),
        _ => return None,
    };
    let access = geo_access(plan, scan.kind(), scan.features());
    Some(OneShard { shard: topology.shard(keyspace, shard), access, anywhere, topology })
}

/// Counts a statement that took the hot path.
fn note_route(connections: &Connections, state: &mut State, plan: &Plan, found: &OneShard) {
    let Primitive::Route(route) = &plan.root else { return };
    let side =
        state.generation.held().map(|generation| tally::side_of(&connections.services, generation));
    state.tally.query.side = side.unwrap_or_default();
    tally::tally_route(state, route.routing.opcode(), found.shard.keyspace());
    connections.services.metrics.record_plan_hit(connections.worker);
}
