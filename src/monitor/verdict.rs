//! From the answers of a server to its [`Health`]: pure rules.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::topology::{Health, Identity, Lag, LagUnknown, Position, Reachability, Role, Source};

/// What a server answered at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// `read_only`, which `super_read_only` switches on too.
    pub(super) writable: Writable,
    /// What it follows.
    pub(super) replication: Replication,
    /// Threads_running.
    pub(super) load: Option<u32>,
    /// Time of the simplest question and its answer.
    pub(super) round_trip: Duration,
    /// Who it is.
    pub(super) identity: Option<Identity>,
    /// Which transactions it has.
    pub(super) position: Option<Position>,
}

/// Why a look at a server told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It allows no more connections: it is up, and busy.
    Full,
    /// It does not take Geogate's account, as this says: those who are connected may go on.
    Refused(String),
    /// It did not answer, for a reason that is fit for clients: it names no address.
    Failed(String),
}

/// Whether ordinary accounts may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writable {
    Yes,
    No,
}

/// What a server follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replication {
    /// Its channels; none if it never followed anyone.
    Channels(Vec<Channel>),
    /// Geogate's account may not ask.
    NotPermitted,
}

/// A replication channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// Whether either of its threads runs, or tries to connect.
    pub(super) state: ChannelState,
    /// Seconds_Behind_Source, which is NULL if a thread does not run.
    pub(super) behind: Option<Duration>,
    /// Whom it follows, while both threads run.
    pub(super) source: Option<Source>,
}

/// Whether a channel is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelState {
    /// A thread runs or tries to connect.
    Started,
    /// STOP REPLICA was said.
    Stopped,
}

/// The shortest wait for a look that is taken for silence, and that of the first look.
const SILENT_LEAST: Duration = Duration::from_millis(250);
const SILENT_FIRST: Duration = Duration::from_secs(1);

/// What is remembered of a server from one look to the next.
#[derive(Debug, Default)]
pub(super) struct History {
    failures: u32,
    latency: Option<Duration>,
    /// Moving average of the time that a look takes.
    look: Option<Duration>,
    /// The last lag that the server told, and when.
    known: Option<(Duration, Instant)>,
    /// Whom it followed at the last look.
    followed: Vec<Source>,
    last: Option<Health>,
}

impl History {
    /// The health of a server after a look at it.
    pub(super) fn note(&mut self, seen: Result<Answers, Unanswered>, now: Instant) -> Health {
        let health = match seen {
            Ok(answers) => self.answered(&answers, now),
            Err(Unanswered::Full) => self.full(now),
            Err(Unanswered::Refused(reason) | Unanswered::Failed(reason)) => self.failed(reason),
        };
        self.last = Some(health.clone());
        health
    }

    /// How long to wait for the next look: not long if this one failed for the first time.
    pub(super) fn pause(&self, interval: Duration) -> Duration {
        if self.failures > 0 && self.failures < FAILURES_UNTIL_DOWN {
            interval / 5
        } else {
            interval
        }
    }

    /// Notes how long a look has taken that was answered. Silence is no rule.
    pub(super) fn note_look(&mut self, took: Duration) {
        if took < self.silent_after() {
            self.look = Some(moving_average(self.look, took));
        }
    }

    /// After how long a look takes longer than it does as a rule.
    pub(super) fn silent_after(&self) -> Duration {
        self.look.map_or(SILENT_FIRST, |look| (look * 4).max(SILENT_LEAST))
    }

    fn answered(&mut self, answers: &Answers, now: Instant) -> Health {
        let known = self.last.as_ref().and_then(|last| last.identity.clone());
        if known.is_some() && answers.identity.is_some() && known != answers.identity {
            // Another server: what was seen of the one before does not hold.
            *self = Self::default();
        }
        self.failures = 0;
        self.latency = Some(moving_average(self.latency, answers.round_trip));
        let role = role(answers);
        let lag = match (role, lag(&answers.replication)) {
            (Role::Primary, _) => {
                self.known = None;
                Lag::Unknown(LagUnknown::NotAReplica)
            }
            (Role::Replica, Lag::Estimated(lag)) => {
                self.known = Some((lag, now));
                Lag::Estimated(lag)
            }
            // Rows get no older than by the time that passes, so a replica whose source is gone
            // can be read until the cap.
            (Role::Replica, unknown) => match self.known {
                Some((lag, at)) => Lag::Estimated(lag + now.saturating_duration_since(at)),
                None => unknown,
            },
        };
        Health {
            reachability: Reachability::Up,
            role: Some(role),
            lag,
            latency: self.latency,
            load: answers.load,
            identity: answers.identity.clone().or(known),
            position: answers.position.clone().map(Arc::new),
            sources: self.steady_sources(&answers.replication),
        }
    }

    /// Whom it follows at two looks in a row: a thread may run for a moment before it finds that it
    /// cannot go on.
    fn steady_sources(&mut self, replication: &Replication) -> Arc<[Source]> {
        let now = sources(replication);
        let before = std::mem::replace(&mut self.followed, now.clone());
        now.into_iter().filter(|source| before.contains(source)).collect()
    }

    /// A server that refuses the monitor for want of room works; the rest is as it was, but older.
    fn full(&mut self, now: Instant) -> Health {
        let last = self.last.clone().unwrap_or_default();
        let reachability = match last.reachability {
            Reachability::Down(_) => Reachability::Up,
            known => known,
        };
        let lag = match (last.role, self.known) {
            (Some(Role::Replica), Some((lag, at))) => {
                Lag::Estimated(lag + now.saturating_duration_since(at))
            }
            _ => last.lag,
        };
        Health { reachability, lag, ..last }
    }

    fn failed(&mut self, reason: String) -> Health {
        self.failures += 1;
        let last = self.last.clone().unwrap_or_default();
        if self.failures < FAILURES_UNTIL_DOWN {
            return last;
        }
        Health {
            reachability: Reachability::Down(reason),
            lag: Lag::Unknown(LagUnknown::Unreachable),
            load: None,
            ..last
        }
    }
}

/// A server that takes writes and follows nobody is a primary. A stopped channel does not count:
/// promoting a replica leaves it behind.
fn role(answers: &Answers) -> Role {
    let follows = match &answers.replication {
        Replication::Channels(channels) => {
            channels.iter().any(|channel| channel.state == ChannelState::Started)
        }
        Replication::NotPermitted => false,
    };
    if answers.writable == Writable::Yes && !follows { Role::Primary } else { Role::Replica }
}

/// Whom it follows.
fn sources(replication: &Replication) -> Vec<Source> {
    match replication {
        Replication::Channels(channels) => {
            channels.iter().filter_map(|channel| channel.source.clone()).collect()
        }
        Replication::NotPermitted => Vec::new(),
    }
}

/// The lag of the channel that is furthest behind.
fn lag(replication: &Replication) -> Lag {
    let channels = match replication {
        Replication::NotPermitted => return Lag::Unknown(LagUnknown::NotPermitted),
        Replication::Channels(channels) if channels.is_empty() => {
            return Lag::Unknown(LagUnknown::NotAReplica);
        }
        Replication::Channels(channels) => channels,
    };
    let mut worst = Duration::ZERO;
    for channel in channels {
        match channel.behind {
            Some(behind) => worst = worst.max(behind),
            None => return Lag::Unknown(LagUnknown::ReplicationStopped),
        }
    }
    Lag::Estimated(worst)
}

/// An exponential moving average with weight 1/5.
fn moving_average(old: Option<Duration>, sample: Duration) -> Duration {
    match old {
        Some(old) => (old * 4 + sample) / 5,
        None => sample,
    }
}

/// Whether a new observation tells more than noise.
pub(super) fn differs(old: &Health, new: &Health) -> bool {
    let lag = |health: &Health| match health.lag {
        Lag::Estimated(lag) => Ok(lag.as_secs()),
        Lag::Unknown(reason) => Err(reason),
    };
    old.role != new.role
        || old.identity != new.identity
        || old.position != new.position
        || old.sources != new.sources
        || std::mem::discriminant(&old.reachability) != std::mem::discriminant(&new.reachability)
        || lag(old) != lag(new)
        || match (old.latency, new.latency) {
            (Some(old), Some(new)) => old.abs_diff(new) > (old / 4).max(Duration::from_micros(300)),
            (old, new) => old != new,
        }
        || match (old.load, new.load) {
            (Some(old), Some(new)) => old.abs_diff(new) > (old / 2).max(2),
            (old, new) => old != new,
        }
}

/// So many looks in a row must fail.
const FAILURES_UNTIL_DOWN: u32 = 2;

#[cfg(test)]
mod tests;
