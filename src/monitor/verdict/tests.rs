//! Tables: what a server answers, and what becomes of it.

use super::*;
use crate::clock;

const STARTED: ChannelState = ChannelState::Started;
const STOPPED: ChannelState = ChannelState::Stopped;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answers(writable: Writable, channels: &[(ChannelState, Option<u64>)]) -> Answers {
    let channels = channels
        .iter()
        .map(|(state, behind)| Channel { state: *state, behind: behind.map(seconds), source: None })
        .collect();
    Answers {
        writable,
        replication: Replication::Channels(channels),
        load: Some(1),
        round_trip: Duration::from_millis(10),
        identity: None,
        position: None,
    }
}

#[test]
fn roles_and_lags() {
    use LagUnknown::{NotAReplica, ReplicationStopped};
    use Writable::{No, Yes};
    type Channels<'a> = &'a [(ChannelState, Option<u64>)];
    let cases: &[(Writable, Channels<'_>, Role, Lag)] = &[
        (Yes, &[], Role::Primary, Lag::Unknown(NotAReplica)),
        (No, &[], Role::Replica, Lag::Unknown(NotAReplica)),
        (No, &[(STARTED, Some(3))], Role::Replica, Lag::Estimated(seconds(3))),
        (No, &[(STARTED, Some(3)), (STARTED, Some(7))], Role::Replica, Lag::Estimated(seconds(7))),
        (No, &[(STARTED, None)], Role::Replica, Lag::Unknown(ReplicationStopped)),
        (No, &[(STOPPED, None)], Role::Replica, Lag::Unknown(ReplicationStopped)),
        (
            No,
            &[(STARTED, Some(0)), (STOPPED, None)],
            Role::Replica,
            Lag::Unknown(ReplicationStopped),
        ),
        // Writable by mistake, but it follows another.
        (Yes, &[(STARTED, Some(0))], Role::Replica, Lag::Estimated(seconds(0))),
        // Promoted: STOP SLAVE and read_only off.
        (Yes, &[(STOPPED, None)], Role::Primary, Lag::Unknown(NotAReplica)),
    ];
    for (writable, channels, role, lag) in cases {
        let health = History::default().note(Ok(answers(*writable, channels)), clock::now());
        assert_eq!((health.role, health.lag), (Some(*role), *lag), "{writable:?} {channels:?}");
    }
    let secret = Answers { replication: Replication::NotPermitted, ..answers(Writable::No, &[]) };
    let health = History::default().note(Ok(secret), clock::now());
    assert_eq!(health.lag, Lag::Unknown(LagUnknown::NotPermitted));
}

#[test]
fn two_failures_make_a_server_down_and_one_answer_up() {
    let now = clock::now();
    let interval = Duration::from_millis(500);
    let mut history = History::default();
    let up = answers(Writable::No, &[(STARTED, Some(0))]);
    let health = history.note(Ok(up.clone()), now);
    assert_eq!(health.reachability, Reachability::Up);
    assert_eq!(history.pause(interval), interval);
    assert_eq!(history.note(failed("a"), now), health);
    assert_eq!(history.pause(interval), interval / 5);
    let down = history.note(failed("b"), now);
    assert_eq!(down.reachability, Reachability::Down("b".into()));
    assert_eq!(down.role, Some(Role::Replica));
    assert_eq!(down.lag, Lag::Unknown(LagUnknown::Unreachable));
    assert_eq!(history.pause(interval), interval);
    assert_eq!(history.note(Ok(up), now).reachability, Reachability::Up);
    // One that never answered is untested after the first failure.
    let mut history = History::default();
    assert_eq!(history.note(failed("a"), now), Health::default());
    assert!(matches!(history.note(failed("a"), now).reachability, Reachability::Down(_)));
}

/// A server without room for the monitor is as it was.
#[test]
fn full_is_not_down() {
    let now = clock::now();
    let mut history = History::default();
    let health = history.note(Ok(answers(Writable::Yes, &[])), now);
    for _ in 0..5 {
        assert_eq!(history.note(Err(Unanswered::Full), now), health);
    }
    for _ in 0..2 {
        history.note(failed("a"), now);
    }
    let answered = history.note(Err(Unanswered::Full), now);
    assert_eq!(answered.reachability, Reachability::Up, "it has answered");
    let mut history = History::default();
    history.note(Ok(answers(Writable::No, &[(STARTED, Some(2))])), now);
    let later = history.note(Err(Unanswered::Full), now + Duration::from_secs(60));
    assert_eq!(later.lag, Lag::Estimated(Duration::from_secs(62)));
}

fn failed(reason: &str) -> Result<Answers, Unanswered> {
    Err(Unanswered::Failed(reason.into()))
}

#[test]
fn the_lag_of_a_cut_replica_grows_with_time() {
    let start = clock::now();
    let mut history = History::default();
    history.note(Ok(answers(Writable::No, &[(STARTED, Some(2))])), start);
    let cut = || Ok(answers(Writable::No, &[(STARTED, None)]));
    let health = history.note(cut(), start + seconds(5));
    assert_eq!(health.lag, Lag::Estimated(seconds(7)));
    let _ = history.note(failed("x"), start + seconds(6));
    let _ = history.note(failed("x"), start + seconds(7));
    let health = history.note(cut(), start + seconds(20));
    assert_eq!(health.lag, Lag::Estimated(seconds(22)));
    let health =
        history.note(Ok(answers(Writable::No, &[(STARTED, Some(0))])), start + seconds(21));
    assert_eq!(health.lag, Lag::Estimated(seconds(0)));
}

#[test]
fn latency_is_smoothed() {
    let ms = Duration::from_millis;
    assert_eq!(moving_average(None, ms(10)), ms(10));
    assert_eq!(moving_average(Some(ms(10)), ms(20)), ms(12));
    let steady = (0..50).fold(ms(100), |old, _| moving_average(Some(old), ms(20)));
    assert!(steady < ms(21), "{steady:?}");
}

#[test]
fn noise_is_not_news() {
    let base = Health {
        reachability: Reachability::Up,
        role: Some(Role::Replica),
        lag: Lag::Estimated(Duration::from_millis(100)),
        latency: Some(Duration::from_millis(10)),
        load: Some(4),
        ..Health::default()
    };
    let with = |change: fn(&mut Health)| {
        let mut health = base.clone();
        change(&mut health);
        differs(&base, &health)
    };
    assert!(!with(|_| {}));
    assert!(!with(|h| h.lag = Lag::Estimated(Duration::from_millis(900))));
    assert!(with(|h| h.lag = Lag::Estimated(seconds(1))));
    assert!(with(|h| h.lag = Lag::Unknown(LagUnknown::ReplicationStopped)));
    assert!(!with(|h| h.latency = Some(Duration::from_millis(12))));
    assert!(with(|h| h.latency = Some(Duration::from_millis(13))));
    assert!(!with(|h| h.load = Some(6)));
    assert!(with(|h| h.load = Some(7)));
    assert!(with(|h| h.role = Some(Role::Primary)));
    assert!(with(|h| h.reachability = Reachability::Down(String::new())));
}

#[test]
fn another_server_at_the_same_address_is_a_new_one() {
    let (now, interval) = (clock::now(), Duration::from_millis(500));
    let identity = |id| Some(Identity::MariaDb { server_id: id, gtid_domain_id: 0 });
    let mut history = History::default();
    let up = answers(Writable::No, &[(STARTED, Some(3))]);
    history.note(Ok(Answers { identity: identity(1), ..up }), now);
    let stopped = answers(Writable::No, &[(STOPPED, None)]);
    // Who does not say who it is this time is who it was.
    let same = history.note(Ok(stopped.clone()), now + interval);
    assert_eq!((same.identity, same.lag), (identity(1), Lag::Estimated(seconds(3) + interval)));
    let other = history.note(Ok(Answers { identity: identity(2), ..stopped }), now + interval);
    assert_eq!(other.identity, identity(2));
    assert_eq!(other.lag, Lag::Unknown(LagUnknown::ReplicationStopped));
}

#[test]
fn a_source_counts_when_it_is_followed_steadily() {
    let (now, source) = (clock::now(), Source::MySql { uuid: "u".to_owned() });
    let following = |source: Option<Source>| Answers {
        replication: Replication::Channels(vec![Channel {
            state: STARTED,
            behind: Some(seconds(0)),
            source,
        }]),
        ..answers(Writable::No, &[])
    };
    let mut history = History::default();
    let mut sources =
        |source: Option<Source>| history.note(Ok(following(source)), now).sources.len();
    let seen = [Some(source.clone()), None, Some(source.clone()), Some(source)].map(&mut sources);
    assert_eq!(seen, [0, 0, 0, 1]);
}
