//! Statements that are forwarded while they come, without being held: long ones, where one server
//! takes every statement.
//!
//! What the statement is must be seen from its first bytes; only queries and row changes qualify.
//! Its tail is never read, so it may assign variables or take locks: the connection is pinned and
//! will be reset. A client that may send several statements in one command has its commands held
//! up to the limit, because they must be taken apart; beyond it the server says that it takes one.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use crate::config::Limits;
use crate::error::{SqlError, catalog};
use crate::executor::deliver::SenderWait;
use crate::executor::registry::Interrupt;
use crate::executor::watch::unless_interrupted;
use crate::geo;
use crate::observe::Route;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::packet::{HEADER_LEN, MAX_PAYLOAD};
use crate::wire::query_attributes::text_start;
use crate::wire::scanner::Expect;

use super::Services;
use super::answer::{Answer, End, Ran, Stop};
use super::attached;
use super::connections::Connections;
use super::consistency::{self, Aim};
use super::exchange;
use super::forward;
use super::hold::{ascii, first_cell};
use super::mirror::Mirror;
use super::prepared::Prepared;
use super::request::{self, Admitted, Coming};
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_timeout;
use super::tally;
use super::transaction::Transaction;
use crate::executor::client::Client;

/// Shorter commands are held, which costs one write instead of many.
const STREAM_FROM: usize = 1 << 20;
/// Bytes that must be here before a long command is judged: its kind may follow a comment.
const PREFIX: usize = 8 << 10;

/// What to do with the command whose beginning stands in the client's read buffer.
pub(super) enum Front {
    /// Too little is here to say.
    Wait,
    /// Hold it until it is complete.
    Buffer,
    /// Forward it as it comes.
    Stream {
        /// What it is.
        kind: StatementKind,
    },
}

/// Why a statement did not reach its server.
enum Lost {
    /// The client left or broke the protocol, or the session is to end.
    Client(Stop),
    /// The server's stream failed; the client has been read to the end of its statement.
    Server {
        /// What the client is told of it.
        error: SqlError,
        /// Bytes of the statement.
        len: usize,
    },
}

/// Where in a long command the next byte from the client stands.
struct Place {
    /// Bytes of the present packet, its header among them, that have not come.
    left: usize,
    /// Another packet follows.
    goes_on: bool,
    /// Sequence id of that packet, or of the answer.
    sequence: u8,
}

impl Default for Place {
    /// Before the first packet.
    fn default() -> Self {
        Self { left: 0, goes_on: true, sequence: 0 }
    }
}

/// ER_NET_PACKET_TOO_LARGE: the server read over the rest of the packet, or gave up.
const TOO_LARGE: u16 = 1153;

/// Judges a command by its header and its first bytes. `is_looked_at`: it was said already
/// that this one is held.
pub(super) fn look_at_front(
    services: &Services,
    limits: &Limits,
    client: &Client,
    mirror: &Mirror,
    state: &mut State,
    is_looked_at: bool,
) -> Front {
    let framed = &client.framed;
    let Some((len, 0)) = framed.announced().filter(|_| !is_looked_at) else {
        return Front::Buffer;
    };
    let limit = limits.statement_bytes_max;
    let several = client.capabilities.contains(Capabilities::MULTI_STATEMENTS);
    let from = if several { MAX_PAYLOAD } else { STREAM_FROM };
    if len < from.min(limit.saturating_add(1)) {
        return Front::Buffer;
    }
    let Some(text) = framed.buffered().get(HEADER_LEN..HEADER_LEN + len.min(PREFIX)) else {
        return Front::Wait;
    };
    if text.first() != Some(&code::QUERY) {
        return Front::Buffer;
    }
    let start = if client.sends_attributes() { text_start(text) } else { Ok(1) };
    // Attributes that are malformed are told, and so long ones are not worth a stream.
    let Some(text) = start.ok().and_then(|start| text.get(start..)) else {
        return Front::Buffer;
    };
    if services.topology().single_server().is_none() {
        return Front::Buffer;
    }
    // The text breaks off somewhere, which is an error to the scanner but comes after the kind.
    let _ = state.scan.run(text, mirror.lex_mode);
    match state.scan.kind() {
        kind @ (StatementKind::Select
        | StatementKind::Insert
        | StatementKind::Replace
        | StatementKind::Update
        | StatementKind::Delete) => Front::Stream { kind },
        _ => Front::Buffer,
    }
}

/// Forwards the statement whose beginning stands in the client's read buffer, and its answer.
pub(super) async fn stream_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    kind: StatementKind,
) -> Ran {
    tally::begin_tally(state, kind);
    state.tally.query.route = Route::PassThrough;
    let coming = Coming::Stream(kind);
    let result = match request::admit(client, connections, state, prepared, coming).await {
        Ok(admitted) => stream(client, connections, state, admitted).await,
        Err(stop) => Err(stop),
    };
    tally::end_tally(connections, state);
    result
}

async fn stream(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    admitted: Admitted,
) -> Ran {
    let attached = match place_for_stream(connections, state) {
        Ok(placement) => attached::attach_here(client, connections, state, placement, true)
            .await
            .map(|index| (placement, index)),
        Err(error) => Err(error),
    };
    let (placement, index) = match attached {
        Ok(found) => found,
        Err(error) => {
            read_over(client, connections).await.map_err(|_| End::Abort)?;
            return Err(error.into());
        }
    };
    match forward_statement(client, connections, index).await {
        Ok(()) => {}
        Err(Lost::Server { error, len }) => {
            if !is_too_large(connections, placement, len).await {
                return Err(error.into());
            }
            // As the server has done, which may close before its error arrives.
            connections.transaction = Transaction::None { next: None };
            let text = "Got a packet bigger than 'max_allowed_packet' bytes";
            return Err(Stop::fatal(SqlError::from_server(TOO_LARGE, *b"08S01", text)));
        }
        Err(Lost::Client(stop)) => {
            connections.attached.remove(index);
            return Err(stop);
        }
    }
    let first_sequence = client.sequence;
    connections.attached[index].lease.expect(Expect::Query, first_sequence);
    let outcome = exchange::relay_answer(client, connections, index, first_sequence).await?;
    let lease = &mut connections.attached[index].lease;
    if outcome.error == Some(TOO_LARGE)
        && lease.command(code::PING, &[], Expect::OkOrErr).await.is_err()
    {
        // The server has closed its connection, as it does to a client of its own.
        connections.attached.remove(index);
        return Err(End::Abort.into());
    }
    connections
        .hold(index, super::hold::Hold::Unwipeable("a statement that was not read to its end"));
    let (kind, features) = (admitted.kind(), admitted.features() | Features::LAST_INSERT_ID);
    forward::after_statement(connections, state, index, kind, features, &outcome).await;
    Ok(Answer::Sent)
}

/// What follows the beginning of the text is not known, so it goes where writes go.
fn place_for_stream(
    connections: &mut Connections,
    state: &mut State,
) -> Result<geo::Placement, SqlError> {
    let topology = connections.services.topology.load_full();
    let shard = connections.mode.only().ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    let access = geo::Access::Write;
    let aim = Aim { shard, access, hints: None, wants_insert_id: true, anywhere: false };
    consistency::place(connections, state, &topology, &aim)
}

/// Passes the packets of one command on. Afterwards the session's sequence id is that of the
/// answer.
async fn forward_statement(
    client: &mut Client,
    connections: &mut Connections,
    to: ConnectionId,
) -> Result<(), Lost> {
    let mut failed = None;
    let mut place = Place::default();
    let mut len = 0;
    while let Some(count) = place.advance(client, connections).await.map_err(Lost::Client)? {
        let chunk = &client.framed.buffered()[..count];
        if failed.is_none() {
            failed = connections.attached[to].lease.send(chunk).await.err();
        }
        client.framed.consume(count);
        len += count;
    }
    match failed {
        Some(failure) => Err(Lost::Server { error: connections.lose(to, &failure), len }),
        None => Ok(()),
    }
}

/// Reads a command that no server is to get, to its end.
pub(super) async fn read_over(client: &mut Client, connections: &Connections) -> Result<(), Stop> {
    let mut place = Place::default();
    while let Some(count) = place.advance(client, connections).await? {
        client.framed.consume(count);
    }
    Ok(())
}

/// Whether a server takes no statement of so many bytes.
async fn is_too_large(connections: &Connections, placement: geo::Placement, len: usize) -> bool {
    let pool = Arc::clone(connections.services.pool(placement));
    let spare = pool.spare(connections.worker, connections.profile);
    let Some(Some(mut lease)) = unless_interrupted(&connections.control, spare).await else {
        return false;
    };
    statement_timeout::limit(connections, &mut lease);
    let Ok(rows) = lease.rows(b"SELECT @@max_allowed_packet + 0").await else { return false };
    lease.release();
    let limit = first_cell(rows).and_then(|cell| ascii(&cell).parse::<usize>().ok());
    limit.is_some_and(|limit| len > limit)
}

impl Place {
    /// Waits for bytes of the command and says how many of those in the buffer belong to its
    /// present packet, whose header is read on the way; `None` at its end.
    async fn advance(
        &mut self,
        client: &mut Client,
        connections: &Connections,
    ) -> Result<Option<usize>, Stop> {
        let is_between = self.left == 0;
        if is_between && !self.goes_on {
            client.sequence = self.sequence;
            return Ok(None);
        }
        let needed = if is_between { HEADER_LEN } else { 1 };
        while client.framed.buffered().len() < needed {
            read_more(client, connections).await?;
        }
        let available = client.framed.buffered().len();
        if is_between {
            let (len, sequence) = client.framed.announced().unwrap_or_default();
            if sequence != self.sequence {
                client.sequence = sequence.wrapping_add(1);
                return Err(Stop::fatal(catalog::OUT_OF_ORDER.error()));
            }
            self.sequence = sequence.wrapping_add(1);
            self.left = HEADER_LEN + len;
            self.goes_on = len == MAX_PAYLOAD;
        }
        let count = available.min(self.left);
        self.left -= count;
        Ok(Some(count))
    }
}

/// Reads from the client, unless the session is to end.
async fn read_more(client: &mut Client, connections: &Connections) -> Result<(), End> {
    let (framed, control) = (&mut client.framed, &connections.control);
    let mut wait = SenderWait::new(control);
    let read: Option<io::Result<usize>> = poll_fn(|cx| {
        if let Poll::Ready(read) = framed.poll_fill(cx) {
            return Poll::Ready(Some(read));
        }
        wait.begin(|| connections.servers());
        match control.poll_interrupt(cx) {
            Poll::Ready(interrupt) if interrupt > Interrupt::Query => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await;
    client.has_waited |= wait.end(read.as_ref().map_or(0, |read| *read.as_ref().unwrap_or(&0)));
    match read {
        Some(Ok(count)) if count > 0 => Ok(()),
        Some(_) => Err(End::Quit),
        None => Err(End::Abort),
    }
}
