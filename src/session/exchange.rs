//! A command to one server and its answer, which is relayed; and the reads that are run again where
//! the first server was lost before it said anything.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Stake, first_answer_sequence};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::executor::relay::{AnswerEnd, Fit, Forwarded, RelayError, relay};
use crate::executor::watch::{Watched, wait_watching};
use crate::geo::Placement;
use crate::topology::Reachability;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::{CURSOR_NONE, encode_execute};

use super::answer::{End, Stop};
use super::connections::Connections;
use super::consistency;
use super::consistency::Aim;
use super::execute;
use super::request::{Execution, Source};
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_timeout;
use super::transaction::Transaction;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_for;

/// How an exchange with a server ended.
#[derive(Debug)]
pub(super) enum Exchanged {
    /// The client has the answer.
    Outcome(Outcome),
    /// A read was lost with its connection. The client knows nothing of it, and the request is
    /// still there.
    Lost(Box<LostRead>),
}

/// A read that may be run again.
#[derive(Debug)]
pub(super) struct LostRead {
    /// What the client is told if it is not.
    pub(super) error: SqlError,
    /// Where it was lost.
    placement: Placement,
}

/// Whether a statement that was not sent is placed again: once.
#[derive(Debug, Default)]
pub(super) struct Tries(u8);

impl Tries {
    /// Whether this error is worth another try: nothing was sent, and another server may answer.
    pub(super) fn again(&mut self, error: &SqlError) -> bool {
        self.0 += 1;
        self.0 == 1 && error.id == Some(catalog::NOT_SENT.id)
    }
}

/// A command that is kept in the client's read buffer until it is answered, so that it can be run
/// again, is at most so long: there must be room to see the client leave.
pub(super) const KEPT_MAX: usize = 8 << 10;

/// The pause between two looks for a server that can take a lost read over.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

impl Connections {
    /// Whether what is sent next on a connection may be sent to another server if it is lost: a
    /// pure read that needs nothing of this connection, and was not lost before.
    pub(super) fn may_run_again(&self, index: ConnectionId) -> bool {
        self.stake == Stake::Read
            && self.lost_at.is_none()
            && !self.attached[index].is_kept()
            && matches!(self.transaction, Transaction::None { next: None })
    }

    /// The same for a statement on several servers.
    pub(super) fn may_run_unbound(&self) -> bool {
        self.stake == Stake::Read
            && self.lost_at.is_none()
            && !self.attached.iter().any(Attached::is_kept)
            && matches!(self.transaction, Transaction::None { next: None })
    }

    /// Drops the connection of a read.
    pub(super) fn lose_read(
        &mut self,
        index: ConnectionId,
        reason: &(dyn std::fmt::Display + Sync),
    ) -> Exchanged {
        let placement = self.attached[index].placement;
        Exchanged::Lost(Box::new(LostRead { error: self.lose(index, reason), placement }))
    }
}

/// Sends a command over a connection and relays its answer.
pub(super) async fn exchange(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    source: &Source,
    expect: Expect,
) -> Result<Outcome, Stop> {
    exchange_to(client, connections, index, source, expect, AnswerEnd::Forwarded).await
}

/// Exchanges a statement that was admitted: the client may see the end of its answer only at the
/// next flush.
pub(super) async fn exchange_statement(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    source: &Source,
) -> Result<Outcome, Stop> {
    let end = connections.answer_end();
    exchange_to(client, connections, index, source, Expect::Query, end).await
}

/// Exchanges a statement that changes something for other sessions too: the client sees the end
/// of its answer at the next flush.
pub(super) async fn exchange_keeping_end(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    source: &Source,
) -> Result<Outcome, Stop> {
    exchange_to(client, connections, index, source, Expect::Query, AnswerEnd::Kept).await
}

async fn exchange_to(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    source: &Source,
    expect: Expect,
    end: AnswerEnd,
) -> Result<Outcome, Stop> {
    match exchange_once(client, connections, index, source, expect, end).await? {
        Exchanged::Outcome(outcome) => Ok(outcome),
        Exchanged::Lost(lost) => Err(lost.error.into()),
    }
}

/// The same, but a read that was lost is left to the caller, and the end of the answer may be
/// kept until the next flush.
pub(super) async fn exchange_once(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    source: &Source,
    expect: Expect,
    end: AnswerEnd,
) -> Result<Exchanged, Stop> {
    let kept = match source {
        Source::Packet(packet) => packet.len <= KEPT_MAX && connections.may_run_again(index),
        Source::Payload(_) | Source::Execution(_) => connections.may_run_again(index),
    };
    let lease = &mut connections.attached[index].lease;
    let sent = match source {
        Source::Execution(Execution { text, need }) => {
            match Box::pin(lease.prepare(text, need, text)).await {
                Ok(statement) => {
                    let mut payload = Vec::new();
                    let attributes = client.sends_attributes().then_some(&client.attributes);
                    encode_execute(&mut payload, statement.id, CURSOR_NONE, &[], attributes);
                    Box::pin(lease.send_statement(&payload, &client.attributes)).await
                }
                Err(error) => {
                    let failed = execute::fail_prepare(connections, index, error);
                    return Err(Box::pin(failed).await.into());
                }
            }
        }
        Source::Packet(packet) if packet.len < MAX_PAYLOAD => {
            let framed = client.framed.framed(*packet);
            lease.send(framed).await.map(|()| packet.len)
        }
        Source::Packet(packet) => {
            let payload = client.framed.payload(*packet);
            Box::pin(lease.send_payload(payload)).await.map(|()| packet.len)
        }
        Source::Payload(payload) => {
            Box::pin(lease.send_statement(payload, &client.attributes)).await
        }
    };
    if !kept {
        client.drop_command();
    }
    let payload_len = match sent {
        Ok(payload_len) => payload_len,
        Err(failure) if kept => return Ok(connections.lose_read(index, &failure)),
        Err(failure) => return Err(connections.lose(index, &failure).into()),
    };
    let first_sequence = first_answer_sequence(payload_len);
    connections.attached[index].lease.expect(expect, first_sequence);
    let exchanged = relay_once(client, connections, index, first_sequence, kept, end).await?;
    if kept && !matches!(exchanged, Exchanged::Lost(_)) {
        client.drop_command();
    }
    Ok(exchanged)
}

/// Relays the answer that a connection's scanner waits for.
pub(super) async fn relay_answer(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    first_sequence: u8,
) -> Result<Outcome, Stop> {
    match relay_once(client, connections, index, first_sequence, false, AnswerEnd::Forwarded)
        .await?
    {
        Exchanged::Outcome(outcome) => Ok(outcome),
        Exchanged::Lost(lost) => Err(lost.error.into()),
    }
}

/// The same; a read whose request is `kept` can be run again.
pub(super) async fn relay_once(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    first_sequence: u8,
    kept: bool,
    end: AnswerEnd,
) -> Result<Exchanged, Stop> {
    let fit = Fit {
        sequence_offset: client.sequence.wrapping_sub(first_sequence),
        more_follows: client.more_follows,
        end,
    };
    let attached = &mut connections.attached[index];
    let relayed = relay(client, &mut attached.lease, &connections.control, fit, |connection| {
        kill_for(connection, Some(&connections.control));
    })
    .await;
    match relayed {
        Ok(outcome) => {
            let next = attached.lease.next_sequence();
            client.sequence = next.wrapping_add(fit.sequence_offset);
            client.failed = outcome.is_error();
            Ok(Exchanged::Outcome(outcome))
        }
        Err(RelayError::ClientGone) => {
            connections.attached.remove(index);
            Err(End::Quit.into())
        }
        Err(RelayError::Killed { .. }) => {
            // As servers do, which just close.
            connections.attached.remove(index);
            Err(End::Abort.into())
        }
        Err(RelayError::Server { failure, forwarded: Forwarded::Nothing }) if kept => {
            Ok(connections.lose_read(index, &failure))
        }
        Err(RelayError::Server { failure, forwarded }) => {
            let error = connections.lose(index, &failure);
            match forwarded {
                Forwarded::Nothing => {}
                Forwarded::File { next_sequence } | Forwarded::Rows { next_sequence } => {
                    client.sequence = next_sequence;
                }
                // The client waits inside a packet; only the end of the stream is understood.
                Forwarded::Part => return Err(End::Abort.into()),
            }
            Err(error.into())
        }
    }
}

/// Says that a lost read is run again, if somebody else answers for the shard now, or soon: a shard
/// of several servers may be about to get a new primary. Else its error.
pub(super) async fn run_again(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    aim: &Aim<'_>,
    lost: Box<LostRead>,
) -> Result<(), SqlError> {
    let gave_up = connections.gave_up(lost.placement);
    connections.lost_at = Some(lost.placement.server());
    if statement_timeout::is_late(connections) {
        return Err(lost.error);
    }
    if is_elsewhere(connections, state, aim, &lost) {
        return Ok(());
    }
    if gave_up {
        // Another server was to do it, and as there is none this one is waited for after all.
        connections.lost_at = None;
        return Ok(());
    }
    let waited = wait_for_another(client, connections, state, aim, &lost);
    match Box::pin(waited).await {
        Waited::Found => Ok(()),
        Waited::InVain => Err(lost.error),
        Waited::Interrupted => Err(statement_timeout::interruption(connections)),
    }
}

/// How the wait for another server ended.
enum Waited {
    Found,
    InVain,
    Interrupted,
}

/// Whether somebody else answers for the shard now than where a read was lost.
fn is_elsewhere(
    connections: &mut Connections,
    state: &mut State,
    aim: &Aim<'_>,
    lost: &LostRead,
) -> bool {
    let topology = connections.services.topology.load_full();
    let other = consistency::place(connections, state, &topology, aim);
    let is_down = |server| {
        let health = &topology.server(server).health;
        matches!(health.reachability, Reachability::Down(_))
    };
    other.is_ok_and(|other| {
        (other.server(), other.term()) != (lost.placement.server(), lost.placement.term())
            && !is_down(other.server())
    })
}

/// Waits until that is so, within `lost_read_wait_ms`.
async fn wait_for_another(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    aim: &Aim<'_>,
    lost: &LostRead,
) -> Waited {
    if connections.services.topology().holders(aim.shard).len() < 2 {
        return Waited::InVain;
    }
    let end = clock::now() + connections.limits.lost_read_wait();
    while clock::now() < end {
        let pause = clock::sleep(LOOK_PAUSE);
        let control = Arc::clone(&connections.control);
        let Watched::Done(()) = wait_watching(client, &control, pause).await else {
            return Waited::Interrupted;
        };
        if is_elsewhere(connections, state, aim, lost) {
            return Waited::Found;
        }
    }
    Waited::InVain
}
