//! `sessions`: who is connected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ControlState;
use super::access::Viewer;
use crate::executor::registry::Control;

/// Why a session keeps a server connection that nothing else pins.
const OPEN: &str = "an open transaction or cursor";

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
    let (idle, thread) = (session.idle_seconds(now), session.thread());
    // Between two statements a connection is given back, unless something is open there.
    let keeps = idle.is_some() && thread != 0;
    let kept_by = session.pin().or(keeps.then_some(OPEN));
    json!({
        "id": session.id,
        "user": &*session.user(),
        "peer": session.peer,
        "database": String::from_utf8_lossy(&session.database()),
        "idle_seconds": idle,
        "server_thread": (thread != 0).then_some(thread),
        "pinned": session.pin(),
        "kept_by": kept_by,
        "attributes": attributes,
    })
}
