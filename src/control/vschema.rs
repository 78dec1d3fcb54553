//! `vschema`: what serves, its versions, and changing it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ControlState;
use super::access::{Admin, Viewer};
use super::answer::{self, Failure};
use super::body::{self, Text};
use crate::canary::{Draft, Origin, Rehearsal, Reread, Version};
use crate::clock;

/// `?version=N`
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    version: Option<u64>,
}

/// `?dry_run=1`
#[derive(Debug, Deserialize)]
pub(super) struct How {
    dry_run: Option<String>,
}

/// GET /api/v1/vschema: a version with its files; its number is the ETag.
pub(super) async fn show(
    _: Viewer,
    State(state): State<Arc<ControlState>>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, Failure> {
    let steward = &state.services.steward;
    let status = steward.status();
    let number = which.version.unwrap_or(status.state.active);
    let version = steward.version(number)?;
    let files: serde_json::Map<String, Value> =
        version.files.iter().map(|file| (file.name.clone(), json!(file.text))).collect();
    let mut document = describe(&version, status.state.active);
    document["files"] = Value::Object(files);
    document["draft"] = describe_draft(status.draft.as_ref());
    Ok(([(header::ETAG, format!("\"{number}\""))], Json(document)))
}

/// PUT /api/v1/vschema: puts one in service for everyone.
pub(super) async fn apply(
    Admin(actor): Admin,
    State(state): State<Arc<ControlState>>,
    Query(how): Query<How>,
    headers: HeaderMap,
    Text(text): Text,
) -> Result<Json<Value>, Failure> {
    let expected = expected_version(&headers)?;
    let rehearsal = match how.dry_run.as_deref() {
        None | Some("0" | "false") => Rehearsal::No,
        Some("" | "1" | "true") => Rehearsal::DryRun,
        Some(other) => {
            return Err(Failure::bad_request(format!("dry_run={other}: write 1 or 0")));
        }
    };
    let steward = &state.services.steward;
    let mut members = body::object(&text)?;
    let sources = body::sources(&text, &mut members, &state)?;
    body::nothing_left(&members)?;
    let changed = steward.apply(&sources, expected, rehearsal, &actor)?;
    Ok(answer::change(&changed, rehearsal))
}

/// GET /api/v1/vschema/history: the newest first, without files.
pub(super) async fn history(_: Viewer, State(state): State<Arc<ControlState>>) -> Json<Value> {
    let steward = &state.services.steward;
    let active = steward.active_version();
    let versions: Vec<Value> =
        steward.history().iter().map(|version| describe(version, active)).collect();
    let mut draft = describe_draft(steward.draft().as_ref());
    if !draft.is_null() {
        draft["origin"] = json!(Origin::Files(steward.path().display().to_string()).describe());
    }
    Json(json!({"active": active, "draft": draft, "versions": versions}))
}

/// POST /api/v1/vschema/rollback `{"version": N}`; without a number the version before.
pub(super) async fn rollback(
    Admin(actor): Admin,
    State(state): State<Arc<ControlState>>,
    headers: HeaderMap,
    Text(text): Text,
) -> Result<Json<Value>, Failure> {
    let mut members =
        if text.trim().is_empty() { serde_json::Map::new() } else { body::object(&text)? };
    let to = match members.remove("version") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_u64() {
            Some(number) => Some(number),
            None => return Err(Failure::bad_request("version must be a number")),
        },
    };
    body::nothing_left(&members)?;
    let expected = expected_version(&headers)?;
    let changed = state.services.steward.rollback(to, expected, &actor)?;
    Ok(answer::change(&changed, Rehearsal::No))
}

/// POST /api/v1/vschema/reload: takes the files at the configured path.
pub(super) async fn reload(
    Admin(actor): Admin,
    State(state): State<Arc<ControlState>>,
) -> Result<Json<Value>, Failure> {
    let changed = state.services.steward.reload(Reread::Always, &actor)?;
    Ok(answer::change(&changed, Rehearsal::No))
}

/// `If-Match: "3"`; missing or `*` matches whatever is active.
fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    match text.trim_matches('"').parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Failure::bad_request("If-Match must be the number of a version, or *")),
    }
}

/// Files that do not serve, and why; null if they do.
fn describe_draft(draft: Option<&Draft>) -> Value {
    let describe = |draft: &Draft| {
        json!({
            "at": clock::utc_text(draft.at),
            "reason": draft.reason.name(),
            "report": draft.report,
            "digest": draft.digest,
        })
    };
    draft.map(describe).unwrap_or_default()
}

fn describe(version: &Version, active: u64) -> Value {
    json!({
        "version": version.number,
        "active": version.number == active,
        "origin": version.origin.describe(),
        "by": version.by,
        "at": clock::utc_text(version.at),
        "digest": version.digest,
    })
}
