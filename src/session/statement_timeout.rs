//! `statement_timeout_ms`: how long a statement of this session may take, from its arrival on and
//! whatever it waits for, and what the client is told when it took longer.
//!
//! COMMIT is not interrupted, only given up after the grace: a COMMIT that was sent is to be done,
//! and stopping it could only make one that is done on some shards out of one that is done on all.

use std::sync::Arc;

use crate::backend::Lease;
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::executor::deadline::{Fate, Stage, is_interruption};
use crate::sql::control::directive::directives;

use super::Services;
use super::answer::Stop;
use super::connections::Connections;
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;
use super::state::State;

/// The name of the variable, and of the hint.
pub(super) const NAME: &str = "statement_timeout_ms";
/// The hint in Vitess' words.
const VITESS_HINT: &str = "query_timeout_ms";

/// What a user's sessions begin with; 0 for no limit.
pub(super) fn first(services: &Services, user: &str) -> u32 {
    let own = services.accounts.load().statement_timeout(user);
    own.unwrap_or_else(|| services.limits.load().statement_timeout_ms)
}

/// A value for a session of this user, which may not have more than its account.
pub(super) fn parse(services: &Services, user: &str, value: &str) -> Result<u32, SqlError> {
    let wrong = |_| catalog::WRONG_VALUE.with(&[&NAME, &value]);
    let milliseconds: u32 = value.trim().parse().map_err(wrong)?;
    match services.accounts.load().statement_timeout(user) {
        Some(most) if most != 0 && !(1..=most).contains(&milliseconds) => {
            let served = format!("1 to {most}, which the [[user]] has");
            Err(catalog::UNSUPPORTED_VALUE.with(&[&NAME, &value, &served]))
        }
        _ => Ok(milliseconds),
    }
}

/// Counts that the time of a statement, or its grace, is over.
pub(super) fn note_stage(services: &Services, worker: usize, stage: Stage) {
    services.metrics.record_statement_timeout(worker, stage == Stage::GivenUp);
}

/// Begins a statement that comes now.
#[inline]
pub(super) fn begin_time(connections: &mut Connections, limit_ms: u32) {
    if limit_ms != 0 || connections.control.deadline.is_set() {
        if is_late(connections) {
            // It was for the statement before.
            connections.control.clear_query();
        }
        connections.control.deadline.begin(clock::now(), limit_ms);
        follow_cuts(connections);
    }
}

/// Has a connection given up with the statement that runs, if that has a limit.
#[inline]
pub(super) fn limit(connections: &Connections, lease: &mut Lease) {
    let deadline = &connections.control.deadline;
    if deadline.is_set() {
        lease.follow(Some(Arc::clone(deadline.cutoff())));
    }
}

/// The same for one that the session has from now on.
pub(super) fn enter(connections: &mut Connections, mut attached: Attached) -> ConnectionId {
    limit(connections, &mut attached.lease);
    connections.attached.push(attached)
}

/// The same for those that it has.
fn follow_cuts(connections: &mut Connections) {
    let deadline = &connections.control.deadline;
    for attached in connections.attached.iter_mut() {
        attached.lease.follow(Some(Arc::clone(deadline.cutoff())));
    }
}

/// Whether the time of the statement is over.
pub(super) fn is_late(connections: &Connections) -> bool {
    connections.control.deadline.passed().is_some()
}

/// The error for a statement whose time is over, in the place of what it failed with.
pub(super) fn timed_out(connections: &Connections, error: SqlError) -> SqlError {
    let Some(limit) = connections.control.deadline.passed() else { return error };
    if error.id == Some(catalog::KILLED.id) {
        Fate::Unchanged.error(limit)
    } else if error.id.is_none() && is_interruption(error.errno) {
        Fate::of(connections.stake).error(limit)
    } else {
        error
    }
}

/// The same of how a command ended.
pub(super) fn stopped_in_time(connections: &Connections, stop: Stop) -> Stop {
    let timed_out = |error: Box<SqlError>| Box::new(timed_out(connections, *error));
    match stop {
        Stop::Refused(error) => Stop::Refused(timed_out(error)),
        Stop::Noted(error) => Stop::Noted(timed_out(error)),
        other => other,
    }
}

/// What an interrupted wait fails with.
pub(super) fn interruption(connections: &Connections) -> SqlError {
    timed_out(connections, catalog::KILLED.error())
}

/// Limits the time of a statement by its hint.
#[cold]
pub(super) fn note_hint(
    connections: &mut Connections,
    state: &State,
    text: &[u8],
) -> Result<(), SqlError> {
    for directive in directives(text, connections.mirror.lex_mode) {
        let is = |name: &str| directive.key.eq_ignore_ascii_case(name);
        if is(NAME) || is(VITESS_HINT) {
            let (services, user) = (&connections.services, &state.login.user);
            let limit = parse(services, user, &directive.value)?;
            connections.control.deadline.change(clock::now(), limit);
            follow_cuts(connections);
        }
    }
    Ok(())
}
