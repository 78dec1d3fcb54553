//! Opens a cursor over several shards: one on each, whose rows are merged as they are fetched.
//!
//! All shards execute at once, each making its rows; shards on the same server one after the
//! other. What a server answers without a cursor is read into memory within the merge's budget.

use crate::backend::Exclusive;
use crate::engine::budget::Budget;
use crate::engine::merge_cursor::MergeCursor;
use crate::engine::pipeline::Pipeline;
use crate::engine::plan::{Primitive, SourceOrder};
use crate::engine::row::{Layout, RowFormat};
use crate::error::{SqlError, catalog};
use crate::executor::scatter::{parse_columns, same_types};
use crate::executor::stream::{Next, Opened as OpenedAs, ResultStream, StreamError, Watch};
use crate::geo::Placement;
use crate::topology::ServerId;
use crate::wire::column_count::{ColumnCount, Definitions};
use crate::wire::packet::build_packet;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::CURSOR_READ_ONLY;
use crate::wire::status::StatusFlags;

use super::answer::{Answer, End, Opened, Ran, Stop};
use super::connections::Connections;
use super::cursors;
use super::cursors::{Cursor, Merged, ServerCursor};
use super::execute;
use super::execute::Handle;
use super::job::Job;
use super::mirror::Mirror;
use super::piece;
use super::planned;
use super::planned::Piece;
use super::state::State;
use super::statement_timeout;
use super::transaction::Transaction;
use crate::executor::client::Client;

/// What a shard answered.
struct Answered {
    columns: Vec<Vec<u8>>,
    cursor: Option<ServerCursor>,
    /// The rows, if there is no cursor.
    rows: Vec<Vec<u8>>,
}

/// Runs the pieces of a read with a cursor for the client's statement `id`.
pub(super) async fn open_merged(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
    id: u32,
    definitions: Definitions,
) -> Ran {
    let (answered, failed) = execute_pieces(client, connections, state, job, pieces).await?;
    let merged = match failed {
        None => merge_of(connections.budget(), client, &connections.mirror, job, &answered),
        Some(error) => Err(error),
    };
    let mut columns = Vec::new();
    let mut servers = Vec::new();
    for shard in answered {
        if columns.is_empty() {
            columns = shard.columns;
        }
        servers.push(shard.cursor);
    }
    let merge = match merged {
        Ok(merge) => merge,
        Err(error) => {
            for cursor in servers.into_iter().flatten() {
                cursors::close_server_cursor(connections, None, cursor).await;
            }
            return Err(error.into());
        }
    };
    let cursor = Cursor::Merged(Box::new(Merged { merge, servers }));
    let hidden = match job.primitive {
        Primitive::Merge(merge) => merge.hidden,
        _ => 0,
    };
    let visible = &columns[..columns.len().saturating_sub(hidden)];
    let columns = visible.to_vec();
    Ok(Answer::Opened(Box::new(Opened { id, cursor, columns, definitions })))
}

/// Puts columns without rows, which come by COM_STMT_FETCH, into the output buffer.
pub(super) fn write_columns(
    client: &mut Client,
    connections: &Connections,
    columns: &[Vec<u8>],
    definitions: Definitions,
) {
    let capabilities = client.capabilities;
    let (out, sequence) = (&mut client.framed.out, &mut client.sequence);
    build_packet(out, sequence, |out| {
        ColumnCount::put(out, columns.len(), definitions, capabilities);
    });
    if definitions == Definitions::Sent {
        for column in columns {
            build_packet(out, sequence, |out| out.extend_from_slice(column));
        }
    }
    cursors::end_with(client, connections, StatusFlags::CURSOR_EXISTS);
}

/// Executes every piece; what was opened before a failure is given with it.
async fn execute_pieces(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
) -> Result<(Vec<Answered>, Option<SqlError>), Stop> {
    let mut answered: Vec<Option<Answered>> = pieces.iter().map(|_| None).collect();
    let mut waiting: Vec<(usize, ServerId, Exclusive)> = Vec::new();
    let mut failed = None;
    for (number, piece) in pieces.iter().enumerate() {
        let placement = match planned::place_piece(connections, state, job, piece.shard) {
            Ok(placement) => placement,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if let Some(at) = waiting.iter().position(|(_, s, _)| *s == placement.server()) {
            let (earlier, server, statement) = waiting.remove(at);
            match collect_opened(client, connections, server, statement).await? {
                Ok(shard) => answered[earlier] = Some(shard),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        match send_with_cursor(client, connections, job, placement, piece).await {
            Ok(statement) => waiting.push((number, placement.server(), statement)),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    for (number, server, statement) in waiting {
        match collect_opened(client, connections, server, statement).await? {
            Ok(shard) => answered[number] = Some(shard),
            Err(error) => failed = Some(failed.unwrap_or(error)),
        }
    }
    Ok((answered.into_iter().flatten().collect(), failed))
}

async fn send_with_cursor(
    client: &mut Client,
    connections: &mut Connections,
    job: &Job<'_>,
    placement: Placement,
    piece: &Piece,
) -> Result<Exclusive, SqlError> {
    let database = job.topology.keyspace(job.keyspace).database.clone();
    let wants_insert_id = job.statement.wants_insert_id();
    let index = connections.attach(client, placement, database.as_bytes(), wants_insert_id).await?;
    let handle =
        piece::piece_handle(connections, index, piece, job.statement, database.as_bytes(), true)
            .await;
    let statement = match handle {
        Ok(Handle::Exclusive(statement)) => statement,
        Ok(Handle::Shared(_)) => {
            return Err(catalog::INTERNAL.with(&[&"a cursor on a shared statement"]));
        }
        Err(error) => return Err(execute::fail_prepare(connections, index, error).await),
    };
    let payload = piece::piece_execution(
        client,
        &connections.mirror,
        statement.id,
        CURSOR_READ_ONLY,
        piece,
        job.statement,
    );
    let lease = &mut connections.attached[index].lease;
    if let Err(failure) = lease.send_payload(&payload).await {
        return Err(connections.lose(index, &failure));
    }
    lease.expect(Expect::Query, crate::backend::first_answer_sequence(payload.len()));
    Ok(statement)
}

/// Reads the answer of a shard.
async fn collect_opened(
    client: &mut Client,
    connections: &mut Connections,
    server: ServerId,
    statement: Exclusive,
) -> Result<Result<Answered, SqlError>, Stop> {
    let Some(index) = connections.index_of(server) else {
        return Ok(Err(catalog::INTERNAL.with(&[&"a shard without connection"])));
    };
    let limits = &connections.limits;
    let mut budget = connections.budget();
    let mut stream =
        ResultStream::new(&mut connections.attached[index].lease, limits.merge_bytes_max);
    let mut watch = Watch::new(client, &connections.control);
    let read = read_opened(&mut stream, &mut watch, &mut budget).await;
    let outcome = *stream.outcome();
    let cursor = cursors::open_server_cursor(connections, index, statement);
    Ok(match read {
        Ok((columns, OpenedAs::Cursor, rows)) => {
            connections.settle(index, &outcome).await;
            Ok(Answered { columns, cursor: Some(cursor), rows })
        }
        Ok((columns, OpenedAs::Rows, rows)) => {
            close_opened(connections, cursor, &outcome).await;
            Ok(Answered { columns, cursor: None, rows })
        }
        Err(StreamError::Server(error)) => {
            close_opened(connections, cursor, &outcome).await;
            Err(error)
        }
        Err(StreamError::Broken(failure)) => Err(connections.lose(index, &failure)),
        Err(StreamError::Interrupted) => {
            crate::executor::interrupt::kill_on_server(&mut connections.attached[index].lease);
            let lost = connections.lose(index, &"interrupted");
            connections.control.clear_query();
            let in_transaction = matches!(connections.transaction, Transaction::Broken { .. });
            Err(if in_transaction { lost } else { statement_timeout::interruption(connections) })
        }
        Err(StreamError::ClientGone) => return Err(End::Quit.into()),
    })
}

async fn close_opened(connections: &mut Connections, cursor: ServerCursor, outcome: &Outcome) {
    let server = cursor.server;
    if let Some(index) = connections.index_of(server) {
        connections.settle(index, outcome).await;
    }
    cursors::close_server_cursor(connections, None, cursor).await;
}

fn merge_of(
    budget: Budget,
    client: &Client,
    mirror: &Mirror,
    job: &Job<'_>,
    answered: &[Answered],
) -> Result<MergeCursor, SqlError> {
    let capabilities = client.capabilities;
    let mut columns = None;
    for shard in answered {
        let found = parse_columns(&shard.columns, capabilities)?;
        match &columns {
            None => columns = Some(found),
            Some(known) if same_types(known, &found) => {}
            Some(_) => {
                let what = "a result whose columns have different types on different shards";
                return Err(catalog::UNSUPPORTED.advising(&[&what], "CAST the columns to one type"));
            }
        }
    }
    let merge = match job.primitive {
        Primitive::Merge(merge) => Some(&**merge),
        _ => None,
    };
    let layout = Layout {
        format: RowFormat::Binary,
        columns: columns.unwrap_or_default(),
        hidden: merge.map_or(0, |merge| merge.hidden),
    };
    let bindings = mirror.bindings(job.statement);
    let pipeline =
        merge.map(|merge| Pipeline::new(merge, layout.clone(), &bindings, &budget)).transpose()?;
    let order = merge.map_or(&SourceOrder::Concatenate, |merge| &merge.order);
    let mut cursor = MergeCursor::new(order, pipeline, &layout, budget, answered.len())?;
    for (number, shard) in answered.iter().enumerate() {
        for row in &shard.rows {
            cursor.feed(number, row.clone())?;
        }
    }
    Ok(cursor)
}

async fn read_opened(
    stream: &mut ResultStream<'_>,
    watch: &mut Watch<'_>,
    budget: &mut Budget,
) -> Result<(Vec<Vec<u8>>, OpenedAs, Vec<Vec<u8>>), StreamError> {
    let (columns, opened) = stream.cursor(watch).await?;
    let mut rows = Vec::new();
    while opened == OpenedAs::Rows
        && let Next::Row(packet) = stream.next(watch).await?
    {
        let row = stream.payload(packet).to_vec();
        stream.consume(packet);
        if let Err(error) = budget.take(row.len()) {
            stream.drain(watch).await?;
            return Err(StreamError::Server(error));
        }
        rows.push(row);
    }
    Ok((columns, opened, rows))
}
