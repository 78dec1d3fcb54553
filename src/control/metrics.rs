//! `/metrics`, in the text format of Prometheus. What is counted is not decided here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::ControlState;

/// GET /metrics
pub(super) async fn show(State(state): State<Arc<ControlState>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.metrics)())
}
