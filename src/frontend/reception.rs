//! Who serves a client: accepted streams go to the worker that has the fewest.
//!
//! The kernel can spread connections over one listener a worker by itself (`SO_REUSEPORT`), but it
//! does so by a hash of the addresses: of two clients both often land on one worker, and stay
//! there. So one task accepts for all and hands over; a worker's client never changes hands again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::handshake::{Handshake, Policy};
use super::listener::{Arrival, Listener, Open};
use crate::clock;
use crate::session::Services;

/// Clients that may wait for a worker to begin with them; then nobody is accepted meanwhile.
const HANDED_OVER_MAX: usize = 1024;

/// What all workers share.
#[derive(Debug)]
pub struct Frontend {
    services: Arc<Services>,
    policy: Policy,
    desks: Vec<Desk>,
}

/// A worker as the others see it.
#[derive(Debug)]
struct Desk {
    /// Clients that it has or will get.
    clients: AtomicUsize,
    handed_over: mpsc::Sender<(Arrival, Seat)>,
}

/// Where a worker gets the clients that another one accepted for it.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<(Arrival, Seat)>);

/// A client's place at a worker, given up when it is dropped.
#[derive(Debug)]
struct Seat {
    frontend: Arc<Frontend>,
    worker: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.frontend.desks[self.worker].clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Frontend {
    /// A frontend for `workers` workers, with the inbox of each.
    pub fn new(services: Arc<Services>, policy: Policy, workers: usize) -> (Self, Vec<Inbox>) {
        let (desks, inboxes) = (0..workers)
            .map(|_| {
                let (handed_over, inbox) = mpsc::channel(HANDED_OVER_MAX);
                (Desk { clients: AtomicUsize::new(0), handed_over }, Inbox(inbox))
            })
            .unzip();
        (Self { services, policy, desks }, inboxes)
    }

    /// Serves as `worker` until `stop` is ready: its own clients, and new ones of `listeners` for
    /// all workers.
    pub async fn serve(
        self: Arc<Self>,
        listeners: Vec<Listener>,
        Inbox(mut inbox): Inbox,
        worker: usize,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        // Dropped at the end: no client is accepted any more.
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(Arc::clone(&self).accept_all(listener.open()?, worker));
        }
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some((Arrival { stream, peer }, seat)) = inbox.recv() => {
                    if let Ok(stream) = stream.adopt() {
                        seat.take(Arrival { stream, peer });
                    }
                }
            }
        }
    }

    async fn accept_all(self: Arc<Self>, listener: Open, here: usize) {
        loop {
            match listener.accept().await {
                Ok(arrival) => {
                    let seat = self.seat(here);
                    if seat.worker == here {
                        seat.take(arrival);
                    } else {
                        // A worker that is gone drains; so does this one in a moment.
                        let _ = self.desks[seat.worker].handed_over.send((arrival, seat)).await;
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: let some sessions end.
                    tracing::error!(%error, "cannot accept a client");
                    clock::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// A place at the worker with the fewest clients, of equal ones preferably `here`.
    fn seat(self: &Arc<Self>, here: usize) -> Seat {
        let clients = |worker: usize| self.desks[worker].clients.load(Ordering::Relaxed);
        let workers = 0..self.desks.len();
        let fewest = workers.min_by_key(|worker| (clients(*worker), *worker != here));
        let worker = fewest.unwrap_or(here);
        self.desks[worker].clients.fetch_add(1, Ordering::Relaxed);
        Seat { frontend: Arc::clone(self), worker }
    }

    async fn client(&self, Arrival { stream, peer }: Arrival, worker: usize) {
        let limits = &self.services.limits;
        if stream.set_options(limits.tcp_keepalive()).is_err() {
            return; // It has gone already.
        }
        let limit = limits.client_handshake();
        let (services, policy) = (&self.services, &self.policy);
        let handshake = Handshake { services, policy, address: peer, worker };
        let greeted = tokio::time::timeout(limit, handshake.perform(stream)).await;
        if let Ok(Some(session)) = greeted {
            Box::pin(session.run()).await;
        }
    }
}

impl Seat {
    /// Begins to serve a client here; to be called on the worker's own thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the worker's runtime owns it: the drain waits for the registry, then drops the rest"
    )]
    fn take(self, arrival: Arrival) {
        tokio::spawn(async move { self.frontend.client(arrival, self.worker).await });
    }
}
