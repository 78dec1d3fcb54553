//! Whether what a server answers still counts.
//!
//! A server's term ends when it is declared down, turns out to be another server, or loses its
//! place as a primary to one of a later epoch ([`crate::topology::Server::term`]). The monitor ends
//! it here before any session can see the new topology. A connection works for the term that its
//! statement was placed in: it sends nothing after that term, and what arrives after it is no
//! answer. Asking costs one load.
//!
//! Whatever waits for a server whose term ended because it is down has its socket shut, which ends
//! every wait on it, a login's too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use socket2::Socket;
use tokio::sync::Notify;

use crate::clock::{self, Instant};
use crate::topology::Identity;

/// The term of one server.
#[derive(Debug)]
pub struct Term {
    number: AtomicU64,
    /// When the last answer to the monitor was asked for, in milliseconds from `origin`.
    heard: AtomicU64,
    /// For how many milliseconds after that answers count.
    silence_max: AtomicU64,
    origin: Instant,
    /// Who the server is.
    identity: ArcSwapOption<Identity>,
    /// A connection has met another server at the address.
    stranger: AtomicBool,
    /// The sockets of all connections, in the order in which they were made.
    sockets: Mutex<BTreeMap<u64, Arc<Wire>>>,
    /// The monitor waits for it longer than it does as a rule.
    silent: AtomicBool,
    /// Told when that begins.
    silence: Notify,
    made: AtomicU64,
    /// Told when waiting for the server is of no use any more.
    lost: Notify,
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outdated {
    /// The term has ended.
    #[error("its server was declared down or replaced by another primary meanwhile")]
    Ended,
    /// The monitor has not heard of the server for longer than it allows.
    #[error("its server was silent for longer than the monitor allows")]
    Silent,
}

impl Default for Term {
    fn default() -> Self {
        Self {
            number: AtomicU64::new(1),
            heard: AtomicU64::new(0),
            silence_max: AtomicU64::new(u64::MAX),
            origin: clock::now(),
            identity: ArcSwapOption::empty(),
            stranger: AtomicBool::new(false),
            sockets: Mutex::default(),
            made: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            silence: Notify::new(),
            lost: Notify::new(),
        }
    }
}

impl Term {
    /// Its number.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Begins a term.
    pub(super) fn begin(&self, number: u64) {
        self.number.store(number, Ordering::Release);
    }

    /// Whether the monitor has heard of the server lately enough.
    pub(super) fn is_heard(&self) -> Result<(), Outdated> {
        let silence_max = self.silence_max.load(Ordering::Relaxed);
        if silence_max == u64::MAX { Ok(()) } else { self.is_heard_at(clock::now(), silence_max) }
    }

    fn is_heard_at(&self, now: Instant, silence_max: u64) -> Result<(), Outdated> {
        let silence = self.millis(now).saturating_sub(self.heard.load(Ordering::Relaxed));
        if silence <= silence_max { Ok(()) } else { Err(Outdated::Silent) }
    }

    /// Notes that the server has answered a question that was asked at `asked`.
    pub fn note_heard(&self, asked: Instant) {
        self.heard.store(self.millis(asked), Ordering::Relaxed);
    }

    /// Limits the silence after which answers do not count.
    pub fn limit_silence(&self, limit: Duration) {
        self.heard.store(self.millis(clock::now()), Ordering::Relaxed);
        self.silence_max.store(limit.as_millis() as u64, Ordering::Relaxed);
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.origin).as_millis() as u64
    }

    /// Notes who the server is.
    pub fn note_identity(&self, identity: Option<&Identity>) {
        if self.identity.load().as_deref() != identity {
            self.identity.store(identity.cloned().map(Arc::new));
        }
    }

    /// Whether a connection was made to the server that is known here. Before the monitor has seen
    /// one, any is.
    pub(super) fn is_known(&self, met: Option<&Identity>) -> bool {
        let known = self.identity.load();
        let same = known.is_none() || met.is_none() || known.as_deref() == met;
        if !same {
            self.stranger.store(true, Ordering::Relaxed);
        }
        same
    }

    /// Whether a connection has met another server since this was asked last.
    pub fn take_stranger(&self) -> bool {
        self.stranger.swap(false, Ordering::Relaxed)
    }

    /// Enters the socket of a connection; it is taken out when the result is dropped.
    pub(super) fn enter(self: &Arc<Self>, socket: Socket) -> Entered {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let wire = Arc::new(Wire { socket, expendable: AtomicBool::new(false) });
        self.sockets.lock().insert(number, Arc::clone(&wire));
        Entered { term: Arc::clone(self), number, wire }
    }

    /// How many connections were made: those of a term that ends now.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Ends all waits for the server: shuts the first `made` connections, and sends away whoever
    /// waits for one.
    pub fn cut(&self, made: u64) {
        // First: whoever waits must not get the place of a connection that is shut now.
        self.lost.notify_waiters();
        for (_, wire) in self.sockets.lock().range(..made) {
            wire.shut();
        }
    }

    /// Notes whether the server keeps the monitor waiting. What others can do as well does not wait
    /// with it: those connections are shut.
    pub fn note_silent(&self, silent: bool) {
        if self.silent.swap(silent, Ordering::AcqRel) || !silent {
            return;
        }
        self.silence.notify_waiters();
        for wire in self.sockets.lock().values() {
            if wire.expendable.load(Ordering::Acquire) {
                wire.shut();
            }
        }
    }

    /// Whether the server keeps the monitor waiting.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire)
    }

    /// Ready when it does.
    pub async fn silence(&self) {
        let mut silence = std::pin::pin!(self.silence.notified());
        silence.as_mut().enable();
        if !self.is_silent() {
            silence.await;
        }
    }

    /// Ready when waiting is of no use any more.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

/// The place of a connection's socket in its server's list.
#[derive(Debug)]
pub(super) struct Entered {
    term: Arc<Term>,
    number: u64,
    wire: Arc<Wire>,
}

/// A connection's socket.
#[derive(Debug)]
struct Wire {
    socket: Socket,
    /// What it waits for another server can do as well.
    expendable: AtomicBool,
}

impl Wire {
    fn shut(&self) {
        // It may have been closed by the server meanwhile.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Entered {
    /// The term of its server.
    #[inline]
    pub(super) fn term(&self) -> &Term {
        &self.term
    }
}

impl Entered {
    /// Says whether what is sent from now on another server can do as well, so that it does not
    /// wait for one that falls silent.
    pub(super) fn set_expendable(&self, expendable: bool) {
        self.wire.expendable.store(expendable, Ordering::Release);
        if expendable && self.term.is_silent() {
            self.wire.shut();
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.term.sockets.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn answers_count_within_their_term_while_the_server_is_heard() {
        let term = Term::default();
        assert_eq!(term.number(), 1);
        term.begin(2);
        assert_eq!(term.number(), 2);
        assert_eq!(term.is_heard(), Ok(()));
        term.limit_silence(Duration::from_secs(60));
        assert_eq!(term.is_heard(), Ok(()));
        let (asked, second) = (clock::now() + Duration::from_secs(60), Duration::from_secs(1));
        term.note_heard(asked);
        assert_eq!(term.is_heard_at(asked + second, 1000), Ok(()));
        assert_eq!(term.is_heard_at(asked + second, 999), Err(Outdated::Silent));
        term.note_heard(asked + second);
        assert_eq!(term.is_heard_at(asked + second, 0), Ok(()));
    }

    #[test]
    fn another_server_is_met_once() {
        let (term, one, two) = (Term::default(), Identity::mysql("1"), Identity::mysql("2"));
        assert!(term.is_known(Some(&two)));
        term.note_identity(Some(&one));
        assert!(term.is_known(Some(&one)) && term.is_known(None) && !term.take_stranger());
        assert!(!term.is_known(Some(&two)));
        assert!(term.take_stranger() && !term.take_stranger());
    }

    #[test]
    fn a_cut_ends_waits_on_the_connections_before_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = |stream: &TcpStream| Socket::from(stream.try_clone().unwrap());
        let term = Arc::new(Term::default());
        let (mut old, new) = (connect(), connect());
        let _old = term.enter(socket(&old));
        let made = term.made();
        let kept = term.enter(socket(&new));
        let waiting = std::thread::spawn(move || old.read(&mut [0]).unwrap());
        term.cut(made);
        assert_eq!(waiting.join().unwrap(), 0);
        new.set_nonblocking(true).unwrap();
        assert!((&new).read(&mut [0]).is_err(), "it is open, and nothing has come");
        drop(kept);
        assert_eq!(term.sockets.lock().len(), 1);
    }

    #[test]
    fn silence_ends_waits_that_others_can_take_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = |stream: &TcpStream| Socket::from(stream.try_clone().unwrap());
        let term = Arc::new(Term::default());
        let [mut early, mut late, other] = [connect(), connect(), connect()];
        let [early_in, late_in, _other_in] = [&early, &late, &other].map(|s| term.enter(socket(s)));
        early_in.set_expendable(true);
        term.note_silent(true);
        assert_eq!(early.read(&mut [0]).unwrap(), 0);
        // One that is placed before the silence and waits only then.
        late_in.set_expendable(true);
        assert_eq!(late.read(&mut [0]).unwrap(), 0);
        other.set_nonblocking(true).unwrap();
        assert!((&other).read(&mut [0]).is_err(), "it is open, and nothing has come");
        term.note_silent(false);
        assert!(!term.is_silent());
    }
}
