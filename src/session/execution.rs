//! COM_STMT_EXECUTE: on the only server, where its plan leads, or as text.

use std::sync::Arc;

use crate::backend::{Need, ValueKind};
use crate::error::{SqlError, catalog};
use crate::executor::client::{Client, Rows};
use crate::net::Packet;
use crate::observe::Route;
use crate::sql::control::{self, Control};
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;
use crate::wire::cursor::Malformed;
use crate::wire::scanner::Outcome;
use crate::wire::statement::{CURSOR_READ_ONLY, Execute, ExecuteHeader};

use super::answer::{Answer, Instead, Ran, Stop};
use super::cached;
use super::cached::OneShard;
use super::connections::{Connections, Mode};
use super::diagnostics::is_diagnostic;
use super::exchange::{Exchanged, Tries};
use super::execute::{Executing, Handle};
use super::prepared::{self, Prepared, is_about_transactions};
use super::request::{self, Coming, Execution, Source, malformed_attributes};
use super::run::malformed;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement::Statement;
use super::{builtin, cursors, diagnostics, exchange, execute, forward, planned, tally};

/// Why an execution is not begun.
#[derive(Debug)]
enum Unread {
    /// It is no execution.
    Malformed,
    /// It cannot be run.
    Refused(Box<SqlError>),
}

impl From<SqlError> for Unread {
    fn from(error: SqlError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// How an execution was done.
#[derive(Debug)]
pub(super) enum Executed {
    /// It is answered.
    Answered(Answer),
    /// It is about the session, so that it runs as a statement of text.
    AsText(Instead),
}

/// COM_STMT_EXECUTE.
pub(super) async fn execute(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    packet: Packet,
) -> Result<Executed, Stop> {
    let (id, execute) = match read_execution(client, prepared, packet) {
        Ok(read) => read,
        Err(Unread::Malformed) => return Err(malformed("COM_STMT_EXECUTE")),
        Err(Unread::Refused(error)) => return Err(Stop::Refused(error)),
    };
    // As servers do: an execution closes the cursor of the one before.
    if prepared.get(id).is_some_and(|statement| statement.cursor.is_some()) {
        Box::pin(cursors::close_cursor(connections, prepared, id)).await;
    }
    let coming = Coming::Prepared(id);
    let admitted = match request::admit_at_once(client, connections, state, prepared, coming) {
        Some(admitted) => admitted,
        None => Box::pin(request::admit(client, connections, state, prepared, coming)).await,
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(stop) => {
            prepared.clear_long_data(id);
            return Err(stop);
        }
    };
    diagnostics::recall(connections, admitted.kind(), admitted.features(), prepared.text_of(id));
    if answers_itself(connections, state, prepared, id) {
        tally::begin_tally(state, admitted.kind());
        let instead = as_text(client, connections, state, prepared, id, &execute)?;
        return Ok(Executed::AsText(instead));
    }
    if let Some(pending) = &mut connections.pending {
        let payload = client.framed.payload(packet);
        pending.parameters = prepared.parameter_texts(id, payload);
    }
    tally::begin_tally(state, admitted.kind());
    let executing = Executing { id, packet, execute };
    let ran = match connections.mode {
        Mode::Single(_) => {
            state.tally.query.route = Route::PassThrough;
            execute_on_server(client, connections, state, prepared, &executing, None).await
        }
        Mode::Several => {
            swap_target(state, prepared, id);
            let ran = execute_routed(client, connections, state, prepared, &executing).await;
            swap_target(state, prepared, id);
            ran
        }
    };
    tally::end_tally(connections, state);
    ran.map(Executed::Answered)
}

/// The statement that a client means, and its execution, whose parameters are bound then.
fn read_execution(
    client: &mut Client,
    prepared: &mut Prepared,
    packet: Packet,
) -> Result<(u32, Execute), Unread> {
    let payload = client.framed.payload(packet);
    let header = ExecuteHeader::parse(payload).map_err(|_| Unread::Malformed)?;
    let id = prepared.named_by(header.statement_id);
    let Some(statement) = prepared.by_id.get_mut(&id) else {
        return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]).into());
    };
    if let Some(error) = statement.long_data_error.take() {
        prepared.clear_long_data(id);
        return Err(error.into());
    }
    let long_data = &statement.long_data;
    let attributes = client.sends_attributes().then_some(&mut client.attributes);
    let bound = &mut statement.bound;
    let parsed = Execute::parse(payload, statement.params, bound, attributes, |param| {
        long_data.contains_key(&(param as u16))
    });
    let Ok(execute) = parsed else { return Err(wrong_execution(client).into()) };
    statement.remembered.bind(&statement.bound, payload, |at| {
        long_data.get(&(at as u16)).map_or(&[][..], Vec::as_slice)
    });
    Ok((id, execute))
}

/// Exchanges the session's target with that of a statement: its tables are found where they
/// were at PREPARE, whatever keyspace is in use now.
fn swap_target(state: &mut State, prepared: &mut Prepared, id: u32) {
    if let Some(statement) = prepared.by_id.get_mut(&id)
        && statement.under.target != state.target
    {
        std::mem::swap(&mut statement.under.target, &mut state.target);
    }
}

/// An execution where there are several servers.
async fn execute_routed(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    executing: &Executing,
) -> Ran {
    let Executing { id, packet, execute } = executing;
    match cached::cached_execution(client, connections, state, prepared, *id, *packet) {
        Some(found) => {
            let found = Some(&found);
            execute_on_server(client, connections, state, prepared, executing, found).await
        }
        None => {
            let planned =
                execute_planned(client, connections, state, prepared, *id, *packet, execute);
            Box::pin(planned).await
        }
    }
}

async fn execute_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    executing: &Executing,
    found: Option<&OneShard>,
) -> Ran {
    let id = executing.id;
    let ran = exchange_on_server(client, connections, state, prepared, executing, found).await;
    let (index, mut handle, outcome) = match ran {
        Ok(ran) => ran,
        Err(stop) => {
            prepared.clear_long_data(id);
            return Err(stop);
        }
    };
    execute::note_remembered(connections, prepared, index, id, &mut handle, &outcome);
    if let Handle::Exclusive(statement) = handle {
        let cursor = cursors::open_server_cursor(connections, index, statement);
        Box::pin(cursors::keep_cursor(connections, prepared, id, cursor, &outcome)).await;
    }
    let (kind, features) = prepared.meaning(id);
    forward::after_statement(connections, state, index, kind, features, &outcome).await;
    Ok(client.answered())
}

/// Runs it, and once more if it was not sent, or was a read that was lost.
async fn exchange_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    executing: &Executing,
    found: Option<&OneShard>,
) -> Result<(ConnectionId, Handle, Outcome), Stop> {
    let (id, wants_cursor) = (executing.id, executing.wants_cursor());
    let goal = execute::goal_of(connections, state, prepared, id, found)?;
    let mut tries = Tries::default();
    loop {
        let at_once = if wants_cursor {
            None
        } else {
            execute::attach_at_once(client, connections, state, prepared, id, &goal)
        };
        let (index, handle) = match at_once {
            Some(attached) => attached,
            None => {
                let attached = execute::attach_for_execute(
                    client,
                    connections,
                    state,
                    prepared,
                    id,
                    &goal,
                    wants_cursor,
                );
                match Box::pin(attached).await {
                    Ok(attached) => attached,
                    Err(error) if tries.again(&error) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let server_id = handle.id();
        let exchanged =
            execute::exchange_execute(client, connections, prepared, index, executing, server_id);
        match exchanged.await? {
            Exchanged::Outcome(outcome) => return Ok((index, handle, outcome)),
            Exchanged::Lost(lost) => {
                exchange::run_again(client, connections, state, &goal.aim(), lost).await?;
            }
        }
    }
}

/// Whether a statement is about the session, so that the text path must answer it.
fn answers_itself(
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    id: u32,
) -> bool {
    use StatementKind as Kind;
    let Some(statement) = prepared.by_id.get(&id) else { return false };
    if statement.scan.as_ref().is_some_and(Scan::has_own_settings) {
        return false;
    }
    if statement.kind == Kind::Select
        && statement.params == 0
        && statement.features.intersects(super::builtin::OF_SESSION)
    {
        let (text, features) = (Arc::clone(&statement.text), statement.features);
        let understood = state.scan.run(&text, connections.mirror.lex_mode).is_ok();
        return understood && builtin::builtin(connections, state, &text, features).is_some();
    }
    if statement.kind == Kind::Show {
        let text = Arc::clone(&statement.text);
        return state.scan.run(&text, connections.mirror.lex_mode).is_ok()
            && matches!(
                control::parse(&text, connections.mirror.lex_mode, &state.scan),
                Ok(Some(Control::Show(show))) if is_diagnostic(show.kind)
            )
            // A server that remembers answers in the right form by itself.
            && diagnostics::go_to_warnings(connections).is_none();
    }
    is_about_transactions(statement.kind)
        || matches!(statement.kind, Kind::Use | Kind::Kill)
        || (statement.kind == Kind::Set && statement.params == 0)
}

/// A prepared statement without parameters, for the text path. Its OK is the same in both
/// protocols; rows that Geogate makes are written in the binary form.
fn as_text(
    client: &mut Client,
    connections: &Connections,
    state: &State,
    prepared: &mut Prepared,
    id: u32,
    execute: &Execute,
) -> Result<Instead, SqlError> {
    client.drop_command();
    let (kind, features) = prepared.meaning(id);
    let mode = connections.mirror.lex_mode;
    if kind == StatementKind::Set && prepared.scanned(id, mode).is_none() {
        let what = "SET that was prepared under another sql_mode";
        return Err(catalog::UNSUPPORTED.advising(&[&what], "prepare it again under this one"));
    }
    let text = prepared.get(id).map(prepared::Statement::text).unwrap_or_default();
    let names_nothing = matches!(kind, StatementKind::Use | StatementKind::Kill);
    let place = prepared.get(id).filter(|_| !names_nothing);
    let place = place.map(|statement| statement.under.place(&state.database, features));
    client.rows = match wanted_cursor(id, execute) {
        Some(id) => Rows::Cursor(id),
        None => Rows::Binary,
    };
    let (services, mirror) = (&connections.services, &connections.mirror);
    let source = match connections.mode {
        Mode::Single(_) => {
            let need =
                execute::need_of(services, mirror, prepared, id).unwrap_or(Need::AS_PREPARED);
            Source::Execution(Execution { text, need })
        }
        Mode::Several => Source::query(&text),
    };
    Ok(Instead { source, place })
}

/// An execution where there are several servers.
async fn execute_planned(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    packet: Packet,
    execute: &Execute,
) -> Ran {
    let Some(statement) = prepared.by_id.get(&id) else { return Ok(Answer::Sent) };
    let payload = client.framed.payload(packet);
    let no_data = Vec::new();
    let values = statement.bound.iter().enumerate().map(|(number, param)| {
        let long = statement.long_data.get(&(number as u16)).unwrap_or(&no_data);
        Ok(param.value(payload, long)?.into_owned())
    });
    let values: Result<Vec<Value<'static>>, Malformed> = values.collect();
    let text = Arc::clone(&statement.text);
    prepared.clear_long_data(id);
    let Ok(values) = values else {
        let error = catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"]);
        return Err(error.into());
    };
    if let Some(statement) = prepared.by_id.get_mut(&id) {
        let kinds = values.iter().map(ValueKind::of_value).collect();
        statement.remembered.bind_kinds(kinds);
    }
    let wanted = execute::wanted(&connections.services, &connections.mirror, prepared, id);
    client.drop_command();
    let mut scan = std::mem::take(&mut state.scan);
    if let Err(error) = scan.run(&text, connections.mirror.lex_mode) {
        return Err(catalog::SYNTAX.with(&[&error]).into());
    }
    let mut planned = Statement::prepared(&text, scan, values);
    planned.cursor = wanted_cursor(id, execute);
    planned.wanted = wanted;
    client.rows = planned.cursor.map_or(Rows::Binary, Rows::Cursor);
    let result = planned::run_planned(client, connections, state, planned).await;
    if let Some(statement) = prepared.by_id.get_mut(&id) {
        statement.remembered.note_executed_on_shards();
    }
    result
}

/// The client's statement, if its execution asks for a cursor that Geogate has to keep. Servers
/// look at this flag only, too.
fn wanted_cursor(id: u32, execute: &Execute) -> Option<u32> {
    (execute.header.flags & CURSOR_READ_ONLY != 0).then_some(id)
}

/// Why an execution cannot be read, which whoever sends attributes is told as MySQL does.
fn wrong_execution(client: &Client) -> SqlError {
    if client.sends_attributes() {
        malformed_attributes()
    } else {
        catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"])
    }
}
