//! The HTTP/1.1 listener: who may connect, for how long, and how much may be sent.
//!
//! A load balancer asks `/readyz` here, so nobody may keep others out: connections that were there
//! first make room for new ones (see [`Admission`]), and what begins and does not end is cut off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::clock;
use crate::config::Limits;
use crate::net::{Admission, Place};
use crate::observe::Seldom;

/// How long nobody is accepted after that was not possible.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Accepts connections until the task is dropped.
pub(super) async fn accept_all(
    listener: TcpListener,
    router: Router,
    limits: Arc<Limits>,
) -> io::Result<()> {
    let places =
        Arc::new(Admission::new(limits.control_connections_max, Duration::ZERO..=Duration::ZERO));
    let cannot_accept = Seldom::new(1);
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let place = places.enter(Some(peer.ip())).await;
                let (router, limits) = (router.clone(), Arc::clone(&limits));
                open.spawn(async move { connection(stream, router, &limits, place).await });
            }
            Err(error) => {
                places.make_room();
                if let Some(times) = cannot_accept.count() {
                    tracing::error!(%error, times, "cannot accept a connection to the control API");
                }
                clock::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection, whose time is limited in all.
async fn connection(stream: TcpStream, router: Router, limits: &Limits, place: Place) {
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(limits.control_request());
    http.max_buf_size(limits.control_head_bytes_max);
    let service = TowerToHyperService::new(router);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What went wrong is the peer's to know.
        _ = served.as_mut() => return,
        () = place.given_up() => return,
        () = clock::sleep(limits.control_connection()) => {}
    }
    served.as_mut().graceful_shutdown();
    tokio::select! {
        _ = served => {}
        () = place.given_up() => {}
        () = clock::sleep(limits.control_request()) => {}
    }
}
