//! Places for peers who have not shown yet that they are worth one: they are given up for newer
//! ones, so that whoever connects and goes no further keeps nobody out.
//!
//! The one who has waited longest goes, of the address that has the most places: many from one
//! address make room for each other, not at the expense of another address. Nobody goes before
//! twice the time that it takes others to get through: when very many come who all mean it, they
//! wait for each other in the kernel's queue instead of driving each other out.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::{self, Instant};

/// So many places.
#[derive(Debug)]
pub struct Admission {
    places_max: usize,
    /// The bounds of the time that everybody has.
    grace: RangeInclusive<Duration>,
    taken: Mutex<Taken>,
    /// Told when a place becomes free.
    left: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    /// All who are there.
    count: usize,
    /// Those of them who were asked to leave.
    leaving: usize,
    last_number: u64,
    /// How long it took those to get through who did, a moving average.
    usual: Duration,
    /// Who may still stay, by origin and in order of arrival.
    waiting: HashMap<Origin, BTreeMap<u64, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    given_up: Arc<Notify>,
}

/// What became of the wish for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Somebody is leaving.
    Soon,
    /// Everybody's time has only begun; this is when to ask again.
    Later(Duration),
}

/// Peers that count as one: an IPv4 address, an IPv6 network of 64 bits (a host may take any
/// address in it), or the Unix socket.
type Origin = Option<IpAddr>;

/// A peer's place, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    origin: Mutex<Origin>,
    number: u64,
    since: Instant,
    given_up: Arc<Notify>,
}

impl Admission {
    /// `places_max` places, at least one. Everybody has one for twice the usual time, or what of
    /// `grace` is nearest to that.
    pub fn new(places_max: usize, grace: RangeInclusive<Duration>) -> Self {
        let (taken, left) = (Mutex::default(), Notify::new());
        Self { places_max: places_max.max(1), grace, taken, left }
    }

    /// Takes a place. Where none is free somebody else's is given up, and this waits until that
    /// one has gone.
    pub async fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Place {
        let mut waited = false;
        loop {
            let left = self.left.notified();
            let room = {
                let (now, mut taken) = (clock::now(), self.taken.lock());
                if taken.count < self.places_max {
                    if waited {
                        // Others who wait see whether there is more, or have more room made.
                        self.left.notify_one();
                    }
                    return taken.enter(self, peer, now);
                }
                let grace = self.grace(taken.usual);
                taken.make_room(now, grace)
            };
            match room {
                Room::Soon => left.await,
                Room::Later(wait) => drop(tokio::time::timeout(wait, left).await),
            }
            waited = true;
        }
    }

    /// Asks the one to leave who has waited longest where most wait, unless somebody is leaving.
    pub fn make_room(&self) {
        self.taken.lock().make_room(clock::now(), *self.grace.start());
    }

    fn grace(&self, usual: Duration) -> Duration {
        (usual * 2).clamp(*self.grace.start(), *self.grace.end())
    }
}

impl Taken {
    fn enter(&mut self, admission: &Arc<Admission>, peer: Option<IpAddr>, now: Instant) -> Place {
        let origin = peer.map(network);
        let given_up = Arc::new(Notify::new());
        self.count += 1;
        self.last_number += 1;
        let number = self.last_number;
        let waiting = Waiting { since: now, given_up: Arc::clone(&given_up) };
        self.waiting.entry(origin).or_default().insert(number, waiting);
        let (admission, origin) = (Arc::clone(admission), Mutex::new(origin));
        Place { admission, origin, number, since: now, given_up }
    }

    fn make_room(&mut self, now: Instant, grace: Duration) -> Room {
        if self.leaving > 0 {
            return Room::Soon;
        }
        let first = |peers: &BTreeMap<u64, Waiting>| peers.keys().next().copied();
        let most = self.waiting.iter().max_by_key(|(_, peers)| {
            (peers.len(), std::cmp::Reverse(first(peers).unwrap_or(u64::MAX)))
        });
        let oldest = most.and_then(|(origin, peers)| {
            let (number, waiting) = peers.first_key_value()?;
            Some((*origin, *number, waiting.since))
        });
        let Some((origin, number, since)) = oldest else { return Room::Soon };
        let left = (since + grace).saturating_duration_since(now);
        if !left.is_zero() {
            return Room::Later(left);
        }
        if let Some(waiting) = self.remove(origin, number) {
            self.leaving += 1;
            waiting.given_up.notify_one();
        }
        Room::Soon
    }

    fn remove(&mut self, origin: Origin, number: u64) -> Option<Waiting> {
        let peers = self.waiting.get_mut(&origin)?;
        let found = peers.remove(&number);
        if peers.is_empty() {
            self.waiting.remove(&origin);
        }
        found
    }
}

impl Place {
    /// Gives it back because the peer got through.
    pub fn got_through(self) {
        let mut taken = self.admission.taken.lock();
        let took = clock::now().saturating_duration_since(self.since);
        taken.usual = (taken.usual * 7 + took) / 8;
        drop(taken);
    }

    /// The peer turns out to be another one, for which a proxy has connected.
    pub fn set_peer(&self, peer: IpAddr) {
        let mut taken = self.admission.taken.lock();
        let mut origin = self.origin.lock();
        // Whoever was asked to leave waits no more.
        if let Some(waiting) = taken.remove(*origin, self.number) {
            *origin = Some(network(peer));
            taken.waiting.entry(*origin).or_default().insert(self.number, waiting);
        }
    }

    /// Ready when the place is wanted for somebody else.
    pub async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.admission.taken.lock();
        taken.count -= 1;
        if taken.remove(*self.origin.lock(), self.number).is_none() {
            taken.leaving -= 1;
        }
        drop(taken);
        self.admission.left.notify_one();
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Places that are given up as soon as others want them.
    fn at_once(places_max: usize) -> Arc<Admission> {
        Arc::new(Admission::new(places_max, Duration::ZERO..=Duration::ZERO))
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn enter(admission: &Arc<Admission>, from: Option<IpAddr>) -> Option<Place> {
        match poll(std::pin::pin!(admission.enter(from))) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    fn is_given_up(place: &Place) -> bool {
        poll(std::pin::pin!(place.given_up())).is_ready()
    }

    #[test]
    fn the_oldest_of_the_most_makes_room() {
        let admission = at_once(4);
        let one = enter(&admission, Some(peer("10.0.0.1"))).unwrap();
        let many = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:9::"];
        let many = many.map(|address| enter(&admission, Some(peer(address))).unwrap());
        let mut entering = std::pin::pin!(admission.enter(Some(peer("10.0.0.2"))));
        assert!(poll(entering.as_mut()).is_pending());
        assert!(is_given_up(&many[0]));
        assert!(!is_given_up(&one) && !is_given_up(&many[1]) && !is_given_up(&many[2]));
        // Asked once, however often it looks.
        assert!(poll(entering.as_mut()).is_pending());
        assert!(!is_given_up(&many[1]));
        let [first, second, third] = many;
        drop(first);
        let Poll::Ready(_new) = poll(entering.as_mut()) else { panic!("a place is free") };
        drop((second, third));
        // Of equal ones the oldest.
        let _more = [None, Some(peer("10.0.0.3"))].map(|from| enter(&admission, from).unwrap());
        assert!(enter(&admission, None).is_none());
        assert!(is_given_up(&one));
    }

    #[test]
    fn everybody_has_the_usual_time() {
        let ms = Duration::from_millis;
        let admission = Arc::new(Admission::new(1, ms(10)..=ms(2_000)));
        for (usual, grace) in [(0, 10), (4, 10), (300, 600), (5_000, 2_000)] {
            assert_eq!(admission.grace(ms(usual)), ms(grace));
        }
        let now = clock::now();
        let place = admission.taken.lock().enter(&admission, None, now);
        let ask = |after| admission.taken.lock().make_room(now + ms(after), ms(600));
        assert_eq!(ask(0), Room::Later(ms(600)));
        assert_eq!(ask(599), Room::Later(ms(1)));
        assert!(!is_given_up(&place));
        assert_eq!(ask(600), Room::Soon);
        assert!(is_given_up(&place));
        place.got_through();
        let taken = admission.taken.lock();
        assert!(taken.usual < ms(1_000) && taken.count == 0);
    }

    #[test]
    fn peers_behind_a_proxy_are_told_apart() {
        let admission = at_once(3);
        let proxy = Some(peer("10.0.0.9"));
        let places = [(); 3].map(|()| enter(&admission, proxy).unwrap());
        let [good, bad, worse] = &places;
        good.set_peer(peer("192.0.2.1"));
        bad.set_peer(peer("192.0.2.2"));
        worse.set_peer(peer("192.0.2.2"));
        assert!(enter(&admission, proxy).is_none());
        assert!(is_given_up(bad) && !is_given_up(good) && !is_given_up(worse));
        bad.set_peer(peer("192.0.2.3"));
        drop(places);
        let taken = admission.taken.lock();
        assert_eq!((taken.count, taken.leaving, taken.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn places_are_free_again() {
        let admission = at_once(0);
        for _ in 0..3 {
            drop(enter(&admission, None).expect("one is always there"));
        }
        let taken = admission.taken.lock();
        assert_eq!((taken.count, taken.leaving, taken.waiting.len()), (0, 0, 0));
    }
}
