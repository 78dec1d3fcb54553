//! The control HTTP listener: health, metrics, and the API under `/api/v1`.
//!
//! One resource a file. It runs on a thread and runtime of its own and never on the query path:
//! what it changes, it changes through [`crate::canary::Steward`], and sessions see the new state
//! at their next transaction. Reads need a viewer's token, a canary an operator's, VSchema changes
//! an admin's; `/healthz`, `/readyz` and `/metrics` need none. Start reading at [`router`].

mod access;
mod answer;
mod body;
mod canary;
pub mod client;
mod health;
mod metrics;
mod regions;
mod serve;
mod servers;
mod sessions;
mod vschema;
pub mod watch;

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::watch::Receiver;

use crate::config::{Config, ReadyPolicy, Token};
use crate::region::Region;
use crate::session::Services;

use answer::Failure;

/// What the proxy does with clients; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// All are welcome.
    Serving,
    /// New ones are let in, but should be sent elsewhere.
    Leaving,
    /// None is let in; those who are there have some time.
    Draining,
    /// None is there any more.
    Ended,
}

/// The part of the configuration that is asked for with each request.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may do what.
    pub tokens: Vec<Token>,
    /// Without which primaries the proxy is not ready.
    pub unready_without: ReadyPolicy,
}

impl Rules {
    /// As the configuration has it.
    pub fn of(config: &Config) -> Self {
        Self { tokens: config.tokens.clone(), unready_without: config.unready_without.clone() }
    }
}

/// What the handlers share.
pub struct ControlState {
    /// Sessions, servers, and the steward of the VSchema.
    pub services: Arc<Services>,
    /// What a reload of the configuration replaces.
    pub rules: ArcSwap<Rules>,
    /// The region of this proxy.
    pub region: Option<Region>,
    /// All regions, in the order of the configuration.
    pub regions: Vec<Region>,
    /// Writes the metrics in the text format of Prometheus.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// How far the proxy is with stopping.
    pub phase: Receiver<Phase>,
}

impl fmt::Debug for ControlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlState").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Every path and what answers it.
pub fn router(state: Arc<ControlState>) -> Router {
    let api = Router::new()
        .route("/vschema", get(vschema::show).put(vschema::apply))
        .route("/vschema/history", get(vschema::history))
        .route("/vschema/rollback", post(vschema::rollback))
        .route("/vschema/reload", post(vschema::reload))
        .route(
            "/canary",
            get(canary::show).post(canary::start).patch(canary::set).delete(canary::abort),
        )
        .route("/canary/promote", post(canary::promote))
        .route("/sessions", get(sessions::list))
        .route("/servers", get(servers::list))
        .route("/servers/admit", post(servers::admit))
        .route("/regions", get(regions::list));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .nest("/api/v1", api)
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "not_found", "no such path") })
        .method_not_allowed_fallback(|| async {
            let what = "this path does not take this method";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", what)
        })
        .with_state(state)
}

/// Answers requests on a bound socket until the proxy stops.
pub async fn serve(socket: std::net::TcpListener, state: Arc<ControlState>) -> io::Result<()> {
    let mut phase = state.phase.clone();
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let limits = state.services.limits.load_full();
    let stop = async move {
        let _ = phase.wait_for(|phase| *phase >= Phase::Ended).await;
    };
    // Without waiting for open connections: a console that polls must not delay the end.
    tokio::select! {
        served = serve::accept_all(listener, router(state), limits) => served,
        () = stop => Ok(()),
    }
}
