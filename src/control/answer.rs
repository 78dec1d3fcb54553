//! Answers in JSON. An error is `{"error": {"code": .., "message": .., ...}}`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::HeaderValue};
use serde_json::{Value, json};

use crate::canary::{ChangeError, Changed, Rehearsal};
use crate::vschema::{Difference, Problem, render_json};

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<(&'static str, Value)>,
}

impl Failure {
    /// An error with a code for programs and a message for people.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new() }
    }

    /// A request that makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.details.push((name, value));
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        for (name, value) in self.details {
            error[name] = value;
        }
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let (status, code) = match &error {
            ChangeError::Unreadable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
            ChangeError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_vschema"),
            ChangeError::Unfit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unfit_vschema"),
            ChangeError::Differs(_) => (StatusCode::CONFLICT, "candidate_differs"),
            ChangeError::MovesRows(_) => (StatusCode::CONFLICT, "moves_rows"),
            ChangeError::OlderFiles { .. } => (StatusCode::CONFLICT, "older_files"),
            ChangeError::EditedDuringCanary => (StatusCode::CONFLICT, "edited_during_canary"),
            ChangeError::Same(_) => (StatusCode::CONFLICT, "nothing_to_try"),
            ChangeError::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "version_mismatch"),
            ChangeError::CanaryRuns(_) => (StatusCode::CONFLICT, "canary_runs"),
            ChangeError::NoCanary => (StatusCode::NOT_FOUND, "no_canary"),
            ChangeError::UnknownVersion(_) => (StatusCode::NOT_FOUND, "unknown_version"),
            ChangeError::NoEarlierVersion => (StatusCode::CONFLICT, "no_earlier_version"),
            ChangeError::Store { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "state_folder"),
            ChangeError::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "state_folder"),
        };
        let failure = Self::new(status, code, error.to_string());
        match &error {
            ChangeError::Invalid(found) => failure.with("problems", problems(found)),
            ChangeError::Unfit(found) => failure.with("problems", json!(found)),
            ChangeError::Differs(refusal) | ChangeError::MovesRows(refusal) => {
                failure.with("differences", differences(&refusal.differences))
            }
            ChangeError::Stale { active, .. } => failure.with("active", json!(active)),
            _ => failure,
        }
    }
}

/// A change as JSON.
pub(super) fn change(changed: &Changed, rehearsal: Rehearsal) -> Json<Value> {
    Json(json!({
        "version": changed.version,
        "previous": changed.previous,
        "changed": !changed.is_nothing() && rehearsal == Rehearsal::No,
        "dry_run": rehearsal == Rehearsal::DryRun,
        "warnings": problems(&changed.warnings),
        "cautions": changed.cautions,
        "differences": differences(&changed.differences),
    }))
}

fn problems(found: &[Problem]) -> Value {
    let document: Value = serde_json::from_str(&render_json(found)).unwrap_or_default();
    document.get("problems").cloned().unwrap_or_default()
}

fn differences(found: &[Difference]) -> Value {
    let each = found.iter().map(|difference| {
        json!({
            "class": difference.class,
            "change": difference.change,
            "subject": difference.subject,
            "tables": difference.tables.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "what": difference.what,
            "why": difference.why(),
        })
    });
    each.collect()
}
