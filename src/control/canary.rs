//! `canary`: a candidate VSchema for a share of the sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::ControlState;
use super::access::{Operator, Viewer};
use super::answer::{self, Failure};
use super::body::{self, Text};
use crate::canary::{Outcome, Rehearsal, Weight};
use crate::clock;

/// What other resources' stages are called, which are not built yet.
const NOT_YET: [&str; 4] = ["steps", "hold", "stage", "sticky"];

/// GET /api/v1/canary
pub(super) async fn show(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let status = state.services.steward.status();
    let serving = state.services.serving.load();
    let plans = |generation: &Arc<crate::planner::generation::Generation>| {
        let counts = generation.plans().counts();
        json!({
            "version": generation.number(),
            "plan_cache": {
                "entries": counts.entries, "hits": counts.hits, "misses": counts.misses,
                "evictions": counts.evictions,
            },
        })
    };
    let running = status.state.canary.as_ref().map(|canary| {
        let weight = Weight::new(u32::from(canary.weight_basis_points)).unwrap_or(Weight::NONE);
        json!({
            "candidate": canary.candidate,
            "percent": weight.percent(),
            "weight_basis_points": weight.basis_points(),
            "rollout": format!("{:016x}", canary.rollout),
            "started_by": canary.started_by,
            "started_at": clock::utc_text(canary.started_at),
        })
    });
    let last = status.state.last_canary.as_ref().map(|last| {
        json!({
            "candidate": last.candidate,
            "outcome": last.outcome,
            "by": last.by,
            "at": clock::utc_text(last.at),
        })
    });
    Json(json!({
        "stable": status.state.active,
        "canary": running,
        "last_canary": last,
        "generations": serving.generations().map(plans).collect::<Vec<_>>(),
    }))
}

/// POST /api/v1/canary: the VSchema as in `PUT vschema`, and `percent`.
pub(super) async fn start(
    Operator(actor): Operator,
    State(state): State<Arc<ControlState>>,
    Text(text): Text,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut members = body::object(&text)?;
    if let Some(name) = NOT_YET.iter().find(|name| members.contains_key(**name)) {
        let what = format!("'{name}' is not implemented yet; set the percentage yourself");
        return Err(Failure::bad_request(what));
    }
    let weight = body::percent(&mut members)?;
    if !["path", "files", "file", "document"].iter().any(|name| members.contains_key(*name)) {
        let what = "give the candidate as path, files or document";
        return Err(Failure::bad_request(what));
    }
    let steward = &state.services.steward;
    let sources = body::sources(&text, &mut members, &state)?;
    body::nothing_left(&members)?;
    let changed = steward.start_canary(&sources, weight, &actor)?;
    Ok((StatusCode::CREATED, answer::change(&changed, Rehearsal::No)))
}

/// PATCH /api/v1/canary `{"percent": 5}`
pub(super) async fn set(
    Operator(actor): Operator,
    State(state): State<Arc<ControlState>>,
    Text(text): Text,
) -> Result<Json<Value>, Failure> {
    let mut members = body::object(&text)?;
    let weight = body::percent(&mut members)?;
    body::nothing_left(&members)?;
    let changed = state.services.steward.set_weight(weight, &actor)?;
    Ok(answer::change(&changed, Rehearsal::No))
}

/// DELETE /api/v1/canary: everyone back to the stable side.
pub(super) async fn abort(
    Operator(actor): Operator,
    State(state): State<Arc<ControlState>>,
) -> Result<Json<Value>, Failure> {
    let changed = state.services.steward.end_canary(Outcome::Aborted, &actor)?;
    Ok(answer::change(&changed, Rehearsal::No))
}

/// POST /api/v1/canary/promote: everyone to the candidate.
pub(super) async fn promote(
    Operator(actor): Operator,
    State(state): State<Arc<ControlState>>,
) -> Result<Json<Value>, Failure> {
    let changed = state.services.steward.end_canary(Outcome::Promoted, &actor)?;
    Ok(answer::change(&changed, Rehearsal::No))
}
