//! Who serves a client: accepted streams go to the worker that has the fewest.
//!
//! The kernel can spread connections over one listener a worker by itself (`SO_REUSEPORT`), but it
//! does so by a hash of the addresses: of two clients both often land on one worker, and stay
//! there. So one task accepts for all and hands over; a worker's client never changes hands again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::handshake::{Handshake, Policy};
use super::listener::{Arrival, Listener, Open};
use super::places::SessionPlaces;
use crate::clock;
use crate::net::{Admission, Place};
use crate::observe::Seldom;
use crate::session::Services;

/// How long nobody is accepted after that was not possible.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Whatever others want, a client has this time to log in.
const GRACE_MIN: Duration = Duration::from_millis(100);

/// Refused logins that are logged in ten seconds; the others are counted.
const REFUSALS_LOGGED: u32 = 100;

/// Clients that may wait for a worker to begin with them; then nobody is accepted meanwhile.
const HANDED_OVER_MAX: usize = 1024;

/// What all workers share.
#[derive(Debug)]
pub struct Frontend {
    services: Arc<Services>,
    policy: ArcSwap<Policy>,
    desks: Vec<Desk>,
    /// Places of clients that have not logged in yet.
    logins: Arc<Admission>,
    /// Places of those that have.
    sessions: Arc<SessionPlaces>,
    said: Said,
}

/// What strangers can make us say again and again.
#[derive(Debug)]
pub(super) struct Said {
    cannot_accept: Seldom,
    gave_up: Seldom,
    /// Each is worth a line, up to a number that nobody can read.
    pub(super) refused: Seldom,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            cannot_accept: Seldom::new(1),
            gave_up: Seldom::new(1),
            refused: Seldom::new(REFUSALS_LOGGED),
        }
    }
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
    /// Until the client has logged in.
    login: Option<Place>,
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
        let limits = services.limits.load_full();
        let grace_max = (limits.client_handshake() / 10).max(GRACE_MIN);
        let logins = Arc::new(Admission::new(limits.client_logins_max, GRACE_MIN..=grace_max));
        let sessions = Arc::new(SessionPlaces::new(limits.client_connections_max));
        let said = Said::default();
        let policy = ArcSwap::from_pointee(policy);
        (Self { services, policy, desks, logins, sessions, said }, inboxes)
    }

    /// Receives the next clients in another way.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
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
                    let peer = arrival.peer.map(|address| address.ip());
                    let login = self.logins.enter(peer).await;
                    let seat = self.seat(here, login);
                    if seat.worker == here {
                        seat.take(arrival);
                    } else {
                        // A worker that is gone drains; so does this one in a moment.
                        let _ = self.desks[seat.worker].handed_over.send((arrival, seat)).await;
                    }
                }
                // It went away before it was its turn, which is nobody else's trouble.
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: let somebody go.
                    self.logins.make_room();
                    if let Some(times) = self.said.cannot_accept.count() {
                        tracing::error!(%error, times, "cannot accept a client");
                    }
                    clock::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A place at the worker with the fewest clients, of equal ones preferably `here`.
    fn seat(self: &Arc<Self>, here: usize, login: Place) -> Seat {
        let clients = |worker: usize| self.desks[worker].clients.load(Ordering::Relaxed);
        let workers = 0..self.desks.len();
        let fewest = workers.min_by_key(|worker| (clients(*worker), *worker != here));
        let worker = fewest.unwrap_or(here);
        self.desks[worker].clients.fetch_add(1, Ordering::Relaxed);
        Seat { frontend: Arc::clone(self), worker, login: Some(login) }
    }

    /// Logs a client in and serves it. `login` is its place until then.
    async fn client(&self, Arrival { stream, peer }: Arrival, worker: usize, login: Place) {
        let limits = self.services.limits.load_full();
        let options = stream.set_options(limits.tcp_keepalive());
        if options.and_then(|()| stream.bound_unsent()).is_err() {
            return; // It has gone already.
        }
        let policy = &*self.policy.load_full();
        let (services, places, said) = (&self.services, &self.sessions, &self.said);
        let handshake =
            Handshake { services, policy, places, said, login: &login, address: peer, worker };
        let greeted = tokio::select! {
            greeted = handshake.perform(stream) => greeted,
            () = clock::sleep(limits.client_handshake()) => {
                services.metrics.record_late_login();
                None
            }
            () = login.given_up() => {
                services.metrics.record_login_given_up();
                if let Some(clients) = self.said.gave_up.count() {
                    let limit = limits.client_logins_max;
                    let what = "clients that had not logged in made room for others";
                    tracing::warn!(clients, client_logins_max = limit, "{what}");
                }
                None
            }
        };
        if let Some((session, _place)) = greeted {
            login.got_through();
            Box::pin(session.run()).await;
        }
    }
}

/// Whether a connection could not be accepted because of its peer (`accept(2)`).
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}

impl Seat {
    /// Begins to serve a client here; to be called on the worker's own thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the worker's runtime owns it: the drain waits for the registry, then drops the rest"
    )]
    fn take(mut self, arrival: Arrival) {
        let Some(login) = self.login.take() else { return };
        tokio::spawn(async move { self.frontend.client(arrival, self.worker, login).await });
    }
}
