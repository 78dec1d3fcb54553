//! `sessions`: who is connected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ControlState;
use super::access::Viewer;
use crate::executor::registry::Control;

/// GET /api/v1/sessions
pub(super) async fn list(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let registry = &state.services.registry;
    let (mut sessions, now) = (registry.list(), registry.seconds());
    sessions.sort_unstable_by_key(|session| session.id);
    let listed: Vec<Value> = sessions.iter().map(|session| describe(session, now)).collect();
    Json(json!({"sessions": listed}))
}

fn describe(session: &Control, now: u64) -> Value {
    let attribute = |(name, value): &(Box<str>, Box<str>)| (name.to_string(), json!(value));
    let attributes: serde_json::Map<String, Value> =
        session.attributes.iter().map(attribute).collect();
    json!({
        "id": session.id,
        "user": &*session.user(),
        "peer": session.peer,
        "database": String::from_utf8_lossy(&session.database()),
        "idle_seconds": session.idle_seconds(now),
        "pinned": session.pin(),
        "attributes": attributes,
    })
}
