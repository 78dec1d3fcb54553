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
    let sessions = state.services.registry.list();
    let listed: Vec<Value> = sessions.iter().map(|session| describe(session)).collect();
    Json(json!({"sessions": listed}))
}

fn describe(session: &Control) -> Value {
    let attribute = |(name, value): &(Box<str>, Box<str>)| (name.to_string(), json!(value));
    let attributes: serde_json::Map<String, Value> =
        session.attributes.iter().map(attribute).collect();
    json!({
        "id": session.id,
        "user": &*session.user(),
        "peer": session.peer,
        "pinned": session.pin(),
        "attributes": attributes,
    })
}
