//! `servers`: every server with what the monitors last saw of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ControlState;
use super::access::Viewer;
use crate::topology::{Lag, Reachability, Server, ServerId, Topology};

/// GET /api/v1/servers
pub(super) async fn list(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let topology = state.services.topology();
    let servers: Vec<Value> =
        topology.servers().map(|(id, s)| describe(&topology, id, s)).collect();
    Json(json!({"servers": servers}))
}

/// One server as JSON.
fn describe(topology: &Topology, id: ServerId, server: &Server) -> Value {
    let (state, reason) = match &server.health.reachability {
        Reachability::Untested => ("untested", None),
        Reachability::Up => ("up", None),
        Reachability::Down(reason) => ("down", Some(reason)),
    };
    let (lag, lag_unknown) = match server.health.lag {
        Lag::Estimated(lag) => (Some(lag.as_secs_f64()), None),
        Lag::Unknown(reason) => (None, Some(format!("{reason:?}"))),
    };
    let shards = topology.keyspaces().flat_map(|(keyspace, _)| topology.shards(keyspace));
    let held = shards.filter(|shard| topology.holders(*shard).contains(&id));
    json!({
        "address": server.address.to_string(),
        "region": server.region.as_ref().map(|region| region.as_str()),
        "role": server.role().name(),
        "state": state,
        "reason": reason,
        "lag_seconds": lag,
        "lag_unknown": lag_unknown,
        "latency_seconds": server.health.latency.map(|latency| latency.as_secs_f64()),
        "shards": held.map(|shard| topology.shard_name(shard)).collect::<Vec<_>>(),
    })
}
