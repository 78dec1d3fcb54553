//! `/healthz`: the process lives. `/readyz`: clients should be sent here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;

use super::ControlState;
use crate::topology::Reachability;

/// GET /healthz
pub(super) async fn alive() -> impl IntoResponse {
    Json(json!({"status": "ok"}))
}

/// GET /readyz: not while the proxy stops, nor when no server at all can be reached. A part of the
/// servers being down does not count: the other shards are served, and another proxy would not
/// reach them either.
pub(super) async fn ready(State(state): State<Arc<ControlState>>) -> impl IntoResponse {
    let topology = state.services.topology();
    let servers = topology.servers().len();
    let down = |reachability: &Reachability| matches!(reachability, Reachability::Down(_));
    let unreachable = topology.servers().filter(|(_, s)| down(&s.health.reachability)).count();
    let problem = if *state.stopped.borrow() {
        Some("the proxy is stopping")
    } else if unreachable == servers {
        Some("no server can be reached")
    } else {
        None
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
