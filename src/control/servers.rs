//! `servers`: every server with what the monitors last saw of it, and what it may do for the shards
//! that it holds.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::ControlState;
use super::access::{Operator, Viewer};
use super::answer::Failure;
use super::body::{self, Text};
use crate::config::Address;
use crate::monitor::AdmitError;
use crate::topology::{Lag, Reachability, Server, ServerId, ShardId, Topology};

/// GET /api/v1/servers
pub(super) async fn list(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let topology = state.services.topology();
    let servers: Vec<Value> =
        topology.servers().map(|(id, s)| describe(&topology, id, s)).collect();
    Json(json!({"servers": servers}))
}

/// POST /api/v1/servers/admit: lets a server in that is held off, at the operator's word.
pub(super) async fn admit(
    Operator(actor): Operator,
    State(state): State<Arc<ControlState>>,
    Text(text): Text,
) -> Result<Json<Value>, Failure> {
    let members = body::object(&text)?;
    let named = members.get("server").and_then(Value::as_str);
    let named = named.ok_or_else(|| Failure::bad_request("give the server's address: 'server'"))?;
    let address = Address::parse(named)
        .ok_or_else(|| Failure::bad_request(format!("'{named}' is no address; write host:port")))?;
    let topology = state.services.topology().clone();
    let found = topology.servers().find(|(_, server)| server.address == address);
    let Some((id, _)) = found else {
        let what = format!("no server with address {address}; GET servers lists them");
        return Err(Failure::new(StatusCode::NOT_FOUND, "unknown_server", what));
    };
    let (by, server) = (&actor.name, &address);
    match state.services.monitor.primaries().admit(id) {
        Ok(()) => {
            tracing::warn!(target: "audit", by, %server, "admit a server: done");
            let topology = state.services.topology().clone();
            Ok(Json(describe(&topology, id, topology.server(id))))
        }
        Err(error) => {
            tracing::warn!(target: "audit", by, %server, %error, "admit a server: refused");
            let (status, code) = match error {
                AdmitError::Unseen => (StatusCode::CONFLICT, "server_unseen"),
                AdmitError::Unneeded => (StatusCode::CONFLICT, "nothing_to_admit"),
                AdmitError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "state_folder"),
            };
            Err(Failure::new(status, code, error.to_string()))
        }
    }
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
    let held = topology.all_shards().filter(|shard| topology.holders(*shard).contains(&id));
    let held: Vec<ShardId> = held.collect();
    let service = |shard: &ShardId| {
        json!({
            "shard": topology.shard_name(*shard),
            "epoch": topology.record(*shard).map(|record| record.epoch),
            "standing": topology.standing(*shard, id).name(),
            "why": topology.describe_standing(*shard, id),
            "lost": topology.lost(*shard).map(|gtids| gtids.to_string()),
        })
    };
    json!({
        "address": server.address.to_string(),
        "region": server.region.as_ref().map(|region| region.as_str()),
        "role": server.role().name(),
        "state": state,
        "reason": reason,
        "lag_seconds": lag,
        "lag_unknown": lag_unknown,
        "latency_seconds": server.health.latency.map(|latency| latency.as_secs_f64()),
        "identity": server.health.identity.as_ref().map(ToString::to_string),
        "gtids": server.health.position.as_ref().map(|position| position.shown.to_string()),
        "shards": held.iter().map(|shard| topology.shard_name(*shard)).collect::<Vec<_>>(),
        "service": held.iter().map(service).collect::<Vec<_>>(),
    })
}
