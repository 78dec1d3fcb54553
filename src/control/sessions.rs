//! `sessions`: who is connected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ControlState;
use super::access::Viewer;

/// GET /api/v1/sessions
pub(super) async fn list(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let sessions = state.services.registry.list();
    let session = |id: u32, user: &str, peer: &str| json!({"id": id, "user": user, "peer": peer});
    let listed: Vec<Value> = sessions.iter().map(|s| session(s.id, &s.user, &s.peer)).collect();
    Json(json!({"sessions": listed}))
}
