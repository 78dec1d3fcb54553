//! `regions`: where the proxy and the servers stand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ControlState;
use super::access::Viewer;
use crate::region::Region;
use crate::topology::{Reachability, Role};

/// GET /api/v1/regions
pub(super) async fn list(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let topology = state.services.topology();
    let describe = |region: &Region| {
        let here = topology.servers().filter(|(_, server)| server.region.as_ref() == Some(region));
        let servers: Vec<_> = here.map(|(_, server)| server).collect();
        let count = |role| servers.iter().filter(|server| server.role() == role).count();
        let down = |server: &&&crate::topology::Server| {
            matches!(server.health.reachability, Reachability::Down(_))
        };
        json!({
            "name": region.as_str(),
            "local": state.region.as_ref() == Some(region),
            "primaries": count(Role::Primary),
            "replicas": count(Role::Replica),
            "unreachable": servers.iter().filter(down).count(),
        })
    };
    let regions: Vec<Value> = state.regions.iter().map(describe).collect();
    let local = state.region.as_ref().map(|region| region.as_str());
    Json(json!({"local": local, "regions": regions}))
}
