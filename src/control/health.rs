//! `/healthz`: the process lives. `/readyz`: clients should be sent here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;

use super::{ControlState, Phase};
use crate::config::ReadyPolicy;
use crate::topology::{Reachability, ShardId, Topology};

/// GET /healthz
pub(super) async fn alive() -> impl IntoResponse {
    Json(json!({"status": "ok"}))
}

/// GET /readyz: not while the proxy stops, nor when no server at all can be reached, nor when a
/// shard that must be served has no primary: by default any, because a proxy that answers with
/// errors for a part of the rows should not look healthy. Where the other shards are worth more,
/// `control.unready_without_primary` says so.
pub(super) async fn ready(State(state): State<Arc<ControlState>>) -> impl IntoResponse {
    let topology = state.services.topology();
    let servers = topology.servers().len();
    let down = |reachability: &Reachability| matches!(reachability, Reachability::Down(_));
    let unreachable = topology.servers().filter(|(_, s)| down(&s.health.reachability)).count();
    let problem = if *state.phase.borrow() > Phase::Serving {
        Some("the proxy is stopping".to_owned())
    } else if unreachable == servers {
        Some("no server can be reached".to_owned())
    } else {
        without_primary(&topology, &state.rules.load().unready_without)
    };
    let status = if problem.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // The active version serves whatever the files say.
    let draft = state.services.steward.draft().map(|draft| draft.reason.name());
    let document = json!({
        "ready": problem.is_none(),
        "problem": problem,
        "servers": servers,
        "servers_unreachable": unreachable,
        "vschema_version": state.services.serving.load().stable().number(),
        "vschema_draft": draft,
    });
    (status, Json(document))
}

/// Why the shards that must be served are not, by their policy.
fn without_primary(topology: &Topology, policy: &ReadyPolicy) -> Option<String> {
    let must = |shard: &ShardId| match policy {
        ReadyPolicy::AnyShard | ReadyPolicy::AllShards => true,
        ReadyPolicy::Keyspaces(names) => {
            names.iter().any(|name| **name == *topology.keyspace(shard.keyspace()).name)
        }
    };
    let shards: Vec<ShardId> = topology.all_shards().filter(must).collect();
    let problem = |shard: &ShardId| topology.primary_problem(*shard);
    let problems: Vec<String> = shards.iter().filter_map(problem).collect();
    let enough = match policy {
        ReadyPolicy::AllShards => problems.len() == shards.len(),
        ReadyPolicy::AnyShard | ReadyPolicy::Keyspaces(_) => true,
    };
    (enough && !problems.is_empty()).then(|| problems.join("; "))
}
