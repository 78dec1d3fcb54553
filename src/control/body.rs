//! The VSchema in a request: a path on the proxy's machine, files, or one whole document.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::ControlState;
use super::answer::Failure;
use crate::canary::Weight;
use crate::vschema::{Reach, Shape, Sources};

/// The body of a request. It stands last among what a handler takes, so that nothing is read for
/// those who may not send it.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl FromRequest<Arc<ControlState>> for Text {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &Arc<ControlState>) -> Result<Self, Failure> {
        let limits = state.services.limits.load_full();
        let bytes_max = limits.control_body_bytes_max;
        let read = body::to_bytes(request.into_body(), bytes_max);
        let Ok(read) = tokio::time::timeout(limits.control_request(), read).await else {
            let ms = limits.control_request_ms;
            let what = format!("the body did not come within control_request_ms ({ms})");
            return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "late", what));
        };
        let bytes = read.map_err(|_| {
            let what = format!(
                "the body broke off, or is longer than control_body_bytes_max ({bytes_max})"
            );
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", what)
        })?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|_| Failure::bad_request("the body is not UTF-8"))
    }
}

/// A JSON object.
pub(super) fn object(body: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Failure::bad_request("the body must be a JSON object")),
        Err(error) => Err(Failure::bad_request(format!("the body is not valid JSON: {error}"))),
    }
}

/// Takes the VSchema out of a body: `{"path": ".."}`, `{"files": {"shop.json": ".."}}` for a
/// folder, `{"file": {"all.json": ".."}}` for one file, `{"document": {..}}`, or, if none of these
/// is there, the body itself as document. `named_files` beside files are those that vindex
/// parameters name. Others are read here, and like `path` only below the VSchema's own folder,
/// where relative paths begin.
pub(super) fn sources(
    body: &str,
    members: &mut Map<String, Value>,
    state: &ControlState,
) -> Result<Sources, Failure> {
    let folder = state.services.steward.folder();
    let bytes_max = state.services.limits.load().control_body_bytes_max as u64;
    let reach = Reach::below(folder, bytes_max);
    if let Some(path) = members.remove("path") {
        let Value::String(path) = path else {
            return Err(Failure::bad_request("path must be a text"));
        };
        let unreadable = |error| Failure::bad_request(format!("{error}"));
        return Sources::read_within(&folder.join(path), &reach).map_err(unreadable);
    }
    let named = match members.remove("named_files") {
        Some(files) => texts(files)?.into_iter().collect(),
        None => BTreeMap::new(),
    };
    for (member, shape) in [("files", Shape::Folder), ("file", Shape::Document)] {
        if let Some(files) = members.remove(member) {
            return Ok(Sources::from_texts(shape, folder, &texts(files)?, &named, &reach));
        }
    }
    let text = match members.remove("document") {
        Some(document) => format!("{document:#}"),
        None => {
            members.clear();
            body.to_owned()
        }
    };
    let file = ("vschema.json".to_owned(), text);
    Ok(Sources::from_texts(Shape::Document, folder, &[file], &named, &reach))
}

fn texts(files: Value) -> Result<Vec<(String, String)>, Failure> {
    let Value::Object(files) = files else {
        return Err(Failure::bad_request("files must be an object of names and texts"));
    };
    let text = |(name, text): (String, Value)| match text {
        Value::String(text) => Ok((name, text)),
        _ => Err(Failure::bad_request(format!("files: {name} must be a text"))),
    };
    let files = files.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    if files.is_empty() {
        return Err(Failure::bad_request("files: at least one is needed"));
    }
    Ok(files)
}

/// Takes a share out of a body: a number or text.
pub(super) fn percent(members: &mut Map<String, Value>) -> Result<Weight, Failure> {
    let text = match members.remove("percent") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text,
        _ => return Err(Failure::bad_request("percent is needed, as a number from 0 to 100")),
    };
    Weight::parse_percent(&text).map_err(|error| Failure::bad_request(error.to_string()))
}

/// Whatever is left in a body was not understood.
pub(super) fn nothing_left(members: &Map<String, Value>) -> Result<(), Failure> {
    match members.keys().next() {
        Some(name) => Err(Failure::bad_request(format!("'{name}' is not known here"))),
        None => Ok(()),
    }
}
