//! Reads that go to several shards: their rows are merged.

use std::sync::Arc;

use memchr::memmem;

use crate::backend::{Failure, Product, RESULTSET_METADATA};
use crate::engine::budget::Budget;
use crate::engine::plan::Primitive;
use crate::engine::row::RowFormat;
use crate::error::{SqlError, catalog};
use crate::executor::relay::Forwarded;
use crate::executor::scatter::{Kept, MergeError, MergeJob, Merged, Source, merge};
use crate::executor::stream::{ResultStream, StreamError, Watch};
use crate::geo::Placement;
use crate::topology::ServerId;
use crate::wire::column_count::Definitions;
use crate::wire::scanner::{Expect, Outcome};

use super::answer::{Answer, End, Ran, Stop};
use super::attached::DEADLOCK;
use super::connections::Connections;
use super::execute;
use super::hold;
use super::job::Job;
use super::merged_cursor;
use super::mirror::Mirror;
use super::piece;
use super::planned;
use super::planned::Piece;
use super::reply;
use super::shard_connections::{ConnectionId, ShardConnections};
use super::state::State;
use super::statement::Form;
use super::variables::SELECT_LIMIT;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_on_server;

/// How a read ended.
enum ReadEnd {
    /// The client has its answer.
    Answered,
    /// With this error, of which the client has seen nothing.
    Unseen(SqlError),
}

/// The variable that says whether each statement is a transaction.
const AUTOCOMMIT: &str = "autocommit";

impl Mirror {
    fn set_definitions(&mut self, definitions: Definitions) {
        self.settings = Arc::new(self.settings.with_definitions(definitions));
    }

    /// START TRANSACTION would end LOCK TABLES, so under it a transaction is made this way; the
    /// connections that take part are told when they are attached. Gives what it was set to.
    pub(super) fn autocommit_off(&mut self) -> Option<Vec<u8>> {
        let before = self.settings.get(AUTOCOMMIT).map(<[u8]>::to_vec);
        let mut settings = (*self.settings).clone();
        settings.set(AUTOCOMMIT, b"0".to_vec());
        self.settings = Arc::new(settings);
        self.autocommit = false;
        before
    }

    /// Ends such a transaction; what was learned of user variables in it stays.
    pub(super) fn autocommit_on(&mut self, before: Option<Vec<u8>>) {
        let mut settings = (*self.settings).clone();
        match before {
            Some(literal) => settings.set(AUTOCOMMIT, literal),
            None => settings.unset(AUTOCOMMIT),
        }
        self.settings = Arc::new(settings);
        self.autocommit = true;
    }
}

/// A read whose rows Geogate looks at, perhaps with a cursor for a statement of the client:
/// servers describe the columns, whatever the client wants to get of that.
pub(super) async fn run_described(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: Vec<Piece>,
    cursor: Option<u32>,
) -> Ran {
    if connections.services.product() == Product::MySql && sets_limit(&job.statement.text) {
        let what = "a hint SET_VAR(sql_select_limit) over several shards";
        let advice = "write LIMIT in the statement";
        return Err(catalog::UNSUPPORTED.advising(&[&what], advice).into());
    }
    let definitions = connections.mirror.settings.definitions();
    if definitions == Definitions::LeftOut {
        let name = RESULTSET_METADATA.as_bytes();
        let mut words = job.statement.text.windows(name.len());
        // A text has the value written into it.
        if job.statement.form == Form::Prepared && words.any(|word| word.eq_ignore_ascii_case(name))
        {
            let what = "@@resultset_metadata in a prepared statement over several shards";
            return Err(catalog::UNSUPPORTED
                .advising(&[&what], "send the statement as text")
                .into());
        }
        connections.mirror.set_definitions(Definitions::Sent);
    }
    let result = match cursor {
        Some(id) => {
            merged_cursor::open_merged(client, connections, state, job, &pieces, id, definitions)
                .await
        }
        None => run_read(client, connections, state, job, pieces, definitions).await,
    };
    if definitions == Definitions::LeftOut {
        connections.mirror.set_definitions(definitions);
    }
    result
}

/// Whether the text may have a hint that limits the rows of each shard.
fn sets_limit(text: &[u8]) -> bool {
    let name = SELECT_LIMIT.as_bytes();
    memmem::find(text, b"/*+").is_some()
        && text.windows(name.len()).any(|word| word.eq_ignore_ascii_case(name))
}

/// A read on several shards, or on one with stages behind it. One that is lost before the
/// client has seen anything of it is run again, once, if somebody else answers now.
async fn run_read(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: Vec<Piece>,
    definitions: Definitions,
) -> Ran {
    let placed = place_all(connections, state, job, &pieces)?;
    let may_run_again = connections.may_run_unbound();
    let error =
        match read_once(client, connections, state, job, &pieces, &placed, definitions).await? {
            ReadEnd::Answered => return Ok(Answer::Sent),
            ReadEnd::Unseen(error) => error,
        };
    let lost = [catalog::SERVER_GONE, catalog::NOT_SENT, catalog::SERVER_UNREACHABLE];
    if !may_run_again || !lost.iter().any(|entry| error.id == Some(entry.id)) {
        return Err(error.into());
    }
    let topology = connections.services.topology.load_full();
    let job = Job { topology: &topology, ..*job };
    match place_all(connections, state, &job, &pieces) {
        Ok(others) if others != placed => {
            match read_once(client, connections, state, &job, &pieces, &others, definitions).await?
            {
                ReadEnd::Answered => Ok(Answer::Sent),
                ReadEnd::Unseen(error) => Err(error.into()),
            }
        }
        _ => Err(error.into()),
    }
}

async fn read_once(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
    placed: &[Placement],
    definitions: Definitions,
) -> Result<ReadEnd, Stop> {
    let mut budget = connections.budget();
    // Shards on the same server share a connection: all but the last are read into memory.
    // A busy connection cannot be asked when the next one is to have the same.
    connections.learn_all_user_variables().await;
    let mut kept: Vec<Option<Kept>> = Vec::new();
    let mut live: Vec<Option<ServerId>> = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let placement = placed[number];
        let again = placed[number + 1..].iter().any(|p| p.server() == placement.server());
        if let Err(error) = send_piece(client, connections, job, placement, piece).await {
            quiet(connections, state, &live).await;
            connections.end_deadlocked(&error).await;
            return Ok(ReadEnd::Unseen(error));
        }
        if !again {
            kept.push(None);
            live.push(Some(placement.server()));
            continue;
        }
        match keep_rows(client, connections, state, placement.server(), &mut budget).await? {
            Ok(rows) => {
                kept.push(Some(rows));
                live.push(None);
            }
            Err(error) => {
                quiet(connections, state, &live).await;
                connections.end_deadlocked(&error).await;
                return Ok(ReadEnd::Unseen(error));
            }
        }
    }
    let begun = Begun { kept, live, budget };
    merge_sources(client, connections, state, job, begun, definitions).await
}

/// A read that has been sent to all its shards.
struct Begun {
    /// For each piece its rows, where they had to be read into memory.
    kept: Vec<Option<Kept>>,
    /// For each piece the server that is sending its rows.
    live: Vec<Option<ServerId>>,
    /// What is left of it.
    budget: Budget,
}

/// Merges what is kept and what the servers are sending.
async fn merge_sources(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    begun: Begun,
    definitions: Definitions,
) -> Result<ReadEnd, Stop> {
    let Begun { kept, live, budget } = begun;
    let bindings = connections.mirror.bindings(job.statement);
    let merge_job = MergeJob {
        merge: match job.primitive {
            Primitive::Merge(merge) => Some(&**merge),
            _ => None,
        },
        format: match job.statement.form {
            Form::Text => RowFormat::Text,
            Form::Prepared => RowFormat::Binary,
        },
        definitions,
        bindings: &bindings,
        budget,
        status: reply::status(client, connections),
        may_begin: !connections.mirror.autocommit,
    };
    let limit = connections.limits.merge_bytes_max;
    let mut sources = sources(&mut connections.attached, kept, &live, limit);
    let merged = merge(client, &connections.control, &mut sources, merge_job, kill_on_server).await;
    let outcomes: Vec<Outcome> = sources.iter().map(Source::outcome).collect();
    drop(sources);
    after_merge(client, connections, state, merged, &live, &outcomes).await
}

/// What the end of a merge means for the session and its connections.
async fn after_merge(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    merged: Result<Merged, MergeError>,
    live: &[Option<ServerId>],
    outcomes: &[Outcome],
) -> Result<ReadEnd, Stop> {
    match merged {
        Ok(merged) => {
            state.found_rows = merged.rows;
            state.tally.query.rows = merged.rows;
            state.row_count = -1;
            connections.diagnosed.clear();
            settle_all(connections, state, live, outcomes).await;
            Ok(ReadEnd::Answered)
        }
        Err(MergeError::Told(error)) => {
            settle_all(connections, state, live, outcomes).await;
            Err(Stop::Told(Box::new(error)))
        }
        Err(MergeError::Broken { source, failure, forwarded: Forwarded::Nothing }) => {
            Ok(ReadEnd::Unseen(lose_all(connections, live, source, &failure)))
        }
        Err(MergeError::Broken { source, failure, .. }) => {
            Err(lose_all(connections, live, source, &failure).into())
        }
        Err(MergeError::ClientGone) => {
            client.gone = true;
            for server in live.iter().flatten() {
                if let Some(index) = connections.index_of(*server) {
                    connections.attached.remove(index);
                }
            }
            Err(End::Quit.into())
        }
    }
}

/// Drops the connections of a merge of which one has failed; gives the error for that one.
fn lose_all(
    connections: &mut Connections,
    live: &[Option<ServerId>],
    source: usize,
    failure: &Failure,
) -> SqlError {
    let mut error = catalog::INTERNAL.with(&[&"a broken merge without source"]);
    for (number, server) in live.iter().enumerate() {
        let Some(index) = server.and_then(|server| connections.index_of(server)) else { continue };
        let lost = connections.lose(index, failure);
        if number == source {
            error = lost;
        }
    }
    error
}

/// Reads a whole result into memory, because its connection is needed again.
async fn keep_rows(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    server: ServerId,
    budget: &mut Budget,
) -> Result<Result<Kept, SqlError>, Stop> {
    let Some(index) = connections.index_of(server) else {
        return Ok(Err(catalog::INTERNAL.with(&[&"a shard without connection"])));
    };
    let limit = connections.limits.merge_bytes_max;
    let control = connections.control.clone();
    let mut stream = ResultStream::new(&mut connections.attached[index].lease, limit);
    let mut watch = Watch::new(client, &control);
    let mut collected = Kept::collect(&mut stream, &mut watch, budget).await;
    if let Err(StreamError::Interrupted) = collected {
        let stopped = stream.stop(&mut watch, kill_on_server).await;
        collected = Err(stopped.map_or_else(|error| error, |()| killed()));
    }
    match collected {
        Ok(kept) => Ok(Ok(kept)),
        Err(StreamError::Server(error)) => {
            settle_refused(connections, state, index, &error).await;
            Ok(Err(error))
        }
        Err(StreamError::Broken(failure)) => Ok(Err(connections.lose(index, &failure))),
        // Interrupted twice: the session has to end.
        Err(StreamError::Interrupted) => Err(End::Abort.into()),
        Err(StreamError::ClientGone) => Err(End::Quit.into()),
    }
}

/// What a read fails with that was stopped on a connection, which is at rest.
pub(super) fn killed() -> StreamError {
    StreamError::Server(catalog::KILLED.error())
}

/// A server has answered with an error. Others may be busy with the same statement, so nothing
/// is rolled back here.
pub(super) async fn settle_refused(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    error: &SqlError,
) {
    hold::leave_behind_partly(connections, state, index, true).await;
    if !connections.mirror.autocommit {
        connections.note_failed(index, Some(error.errno)).await;
    }
    let attached = &connections.attached[index];
    if error.errno == DEADLOCK && (attached.enrolled || attached.in_transaction) {
        let placement = attached.placement;
        connections.break_transaction(&placement);
    }
    connections.settle_quietly(index).await;
}

/// Attaches a shard's server and sends it its piece.
pub(super) async fn send_piece(
    client: &mut Client,
    connections: &mut Connections,
    job: &Job<'_>,
    placement: Placement,
    piece: &Piece,
) -> Result<(), SqlError> {
    let database = job.topology.keyspace(piece.shard.keyspace()).database.clone();
    let wants_insert_id = job.statement.wants_insert_id();
    let index = connections.attach(client, placement, database.as_bytes(), wants_insert_id).await?;
    let payload =
        piece::piece_payload(client, connections, index, piece, job.statement, database.as_bytes())
            .await;
    let payload = match payload {
        Ok(payload) => payload,
        Err(error) => return Err(execute::fail_prepare(connections, index, error).await),
    };
    let lease = &mut connections.attached[index].lease;
    match lease.send_statement(&payload, &client.attributes).await {
        Ok(sent) => lease.expect(Expect::Query, crate::backend::first_answer_sequence(sent)),
        Err(failure) => return Err(connections.lose(index, &failure)),
    }
    Ok(())
}

pub(super) fn place_all(
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
) -> Result<Vec<Placement>, SqlError> {
    pieces.iter().map(|piece| planned::place_piece(connections, state, job, piece.shard)).collect()
}

/// After a read: each connection is at rest.
async fn settle_all(
    connections: &mut Connections,
    state: &mut State,
    live: &[Option<ServerId>],
    outcomes: &[Outcome],
) {
    for (server, outcome) in live.iter().zip(outcomes) {
        if let Some(index) = server.and_then(|server| connections.index_of(server)) {
            hold::leave_behind_partly(connections, state, index, outcome.is_error()).await;
            connections.settle(index, outcome).await;
        }
    }
}

/// Brings connections to rest whose answers nobody will read.
async fn quiet(connections: &mut Connections, state: &mut State, live: &[Option<ServerId>]) {
    for server in live.iter().flatten() {
        let Some(index) = connections.index_of(*server) else { continue };
        match connections.answer_of(index).await {
            Ok(outcome) => connections.settle(index, &outcome).await,
            Err(Failure::Server(error)) => settle_refused(connections, state, index, &error).await,
            Err(failure) => {
                let _ = connections.lose(index, &failure);
            }
        }
    }
}

/// The rows of each shard: those in memory, and those that its connection is sending.
fn sources<'a>(
    attached: &'a mut ShardConnections,
    mut kept: Vec<Option<Kept>>,
    live: &[Option<ServerId>],
    row_bytes_max: usize,
) -> Vec<Source<'a>> {
    let mut connections: Vec<_> = attached
        .iter_mut()
        .map(|attached| (attached.placement.server(), Some(&mut *attached.lease)))
        .collect();
    let mut source = |(number, server): (usize, &Option<ServerId>)| {
        let connection = server.and_then(|server| {
            let found = connections.iter_mut().find(|(id, _)| *id == server);
            found.and_then(|(_, connection)| connection.take())
        });
        match connection {
            Some(connection) => Source::Live(ResultStream::new(connection, row_bytes_max)),
            None => Source::Kept(kept[number].take().unwrap_or_default()),
        }
    };
    live.iter().enumerate().map(&mut source).collect()
}
