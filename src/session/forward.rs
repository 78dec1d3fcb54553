//! Runs a statement on the servers: the only one as it came, or where its plan leads.

use crate::backend::Several;
use crate::error::catalog;
use crate::executor::client::Client;
use crate::executor::relay::AnswerEnd;
use crate::geo;
use crate::observe::Route;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::topology::ShardId;
use crate::wire::capability::Capabilities;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::session_track::SessionChange;

use super::answer::{Answer, Ran};
use super::cached;
use super::cached::OneShard;
use super::connections::{Connections, Mode};
use super::consistency::Aim;
use super::diagnostics;
use super::exchange::Exchanged;
use super::fill_in::asks_session;
use super::hold::StateChanged;
use super::request::{Request, Source};
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement::Statement;
use super::{
    consistency, definition, exchange, fill_in, hold, last_values, planned, tally, use_database,
};

/// ER_OPTION_PREVENTS_STATEMENT (`read_only`) and ER_READ_ONLY_MODE.
const READ_ONLY_SERVER: &[u16] = &[1290, 1836];

/// Runs a statement on the servers.
pub(super) async fn run_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: Request,
) -> Ran {
    match connections.mode {
        Mode::Single(shard) => pass_through(client, connections, state, request, shard).await,
        Mode::Several => route(client, connections, state, request).await,
    }
}

/// Runs a statement on the only server.
pub(super) async fn pass_through(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    mut request: Request,
    shard: ShardId,
) -> Ran {
    if asks_session(request.features()) {
        let filled = fill_in::filled_request(client, connections, state, request);
        request = Box::pin(filled).await;
    }
    let (kind, features) = (request.kind(), request.features());
    state.tally.query.route = Route::PassThrough;
    let hints = consistency::hints(connections, state, request.text(client), features)?;
    let defines = definition::defines_stored(&connections.services, kind, features);
    let aim = Aim {
        shard,
        access: geo::access(kind, features),
        hints: hints.as_ref(),
        wants_insert_id: may_read_insert_id(kind, features),
        anywhere: false,
    };
    let (expect, end) =
        (Expect::Query, if defines { AnswerEnd::Kept } else { connections.answer_end() });
    let (index, outcome) = loop {
        let database = std::mem::take(&mut state.database);
        let attached =
            consistency::attach_placed(client, connections, state, &aim, &database).await;
        state.database = database;
        let index = attached?;
        if takes_several(client, connections, state, &request) {
            let lease = &mut connections.attached[index].lease;
            if let Err(failure) = Box::pin(lease.set_several(Several::Taken)).await {
                return Err(Box::pin(connections.fail(index, failure)).await.into());
            }
        }
        let source = request.source();
        match exchange::exchange_once(client, connections, index, source, expect, end).await? {
            Exchanged::Outcome(outcome) => break (index, outcome),
            Exchanged::Lost(lost) => {
                exchange::run_again(client, connections, state, &aim, lost).await?;
            }
        }
    };
    let kind = ran_as(kind, &outcome);
    after_statement(connections, state, index, kind, features, &outcome).await;
    Ok(client.answered())
}

/// Whether the server must find the end of a stored program and the statements after it: all other
/// commands have been taken apart.
fn takes_several(
    client: &Client,
    connections: &Connections,
    state: &State,
    request: &Request,
) -> bool {
    client.capabilities.contains(Capabilities::MULTI_STATEMENTS)
        && (state.scan.is_program() || connections.mirror.oracle_mode)
        && request.text(client).contains(&b';')
}

/// Runs a statement where there are several servers.
pub(super) async fn route(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    mut request: Request,
) -> Ran {
    if request.features().contains(Features::SYSTEM_VARIABLE) {
        let filled = fill_in::filled_request(client, connections, state, request);
        request = Box::pin(filled).await;
    }
    if let &Source::Packet(packet) = request.source()
        && let Some(OneShard { shard, access, anywhere, topology }) =
            cached::cached_route(client, connections, state, packet)
    {
        let database = topology.keyspace(shard.keyspace()).database.as_bytes();
        let wants_insert_id = may_read_insert_id(request.kind(), request.features());
        let aim = Aim { shard, access, hints: None, wants_insert_id, anywhere };
        let (expect, end) = (Expect::Query, AnswerEnd::Forwarded);
        loop {
            let index =
                consistency::attach_placed(client, connections, state, &aim, database).await?;
            let source = request.source();
            match exchange::exchange_once(client, connections, index, source, expect, end).await? {
                Exchanged::Outcome(outcome) => {
                    let (kind, features) = (request.kind(), request.features());
                    after_statement(connections, state, index, kind, features, &outcome).await;
                    return Ok(Answer::Sent);
                }
                Exchanged::Lost(lost) => {
                    exchange::run_again(client, connections, state, &aim, lost).await?;
                }
            }
        }
    }
    let text = request.text(client).to_vec();
    client.drop_command();
    let mut scan = std::mem::take(&mut state.scan);
    // Prepared statements come with a scan of their own; this one is of this text.
    if let Err(error) = scan.run(&text, connections.mirror.lex_mode) {
        return Err(catalog::SYNTAX.with(&[&error]).into());
    }
    let planned = planned::run_planned(client, connections, state, Statement::text(text, scan));
    Box::pin(planned).await
}

/// What a server has run: what came after a stored program in the same command is not known.
#[inline]
pub(super) fn ran_as(kind: StatementKind, outcome: &Outcome) -> StatementKind {
    let ran_more = outcome.results > 1 && kind != StatementKind::Call;
    if ran_more { StatementKind::Other } else { kind }
}

/// What an answer means for the session.
pub(super) async fn after_statement(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    kind: StatementKind,
    features: Features,
    outcome: &Outcome,
) {
    if outcome.is_error() {
        state.row_count = -1;
    } else if outcome.columns > 0 {
        state.row_count = -1;
        state.found_rows = outcome.rows;
        state.tally.query.rows = outcome.rows;
    } else {
        state.row_count = outcome.affected_rows as i64;
    }
    diagnostics::note_diagnostics(connections, index, kind, features, outcome);
    last_values::note_last_values(connections, index, kind, features);
    let attached = &mut connections.attached[index];
    let mut state_changed = StateChanged::No;
    let mut schema = None;
    for change in attached.lease.session_changes() {
        match change {
            Ok(SessionChange::Schema(name)) => schema = Some(name.to_vec()),
            Ok(SessionChange::State(b"1")) => state_changed = StateChanged::Yes,
            _ => {}
        }
    }
    if let Some(schema) = schema {
        attached.lease.note_database(&schema);
        connections.control.set_database(&schema);
        state.database = schema;
    }
    attached.held = features.contains(Features::CALC_FOUND_ROWS);
    if attached.held && connections.mode.is_several() && !outcome.is_error() {
        Box::pin(learn_found_rows(connections, state, index)).await;
    }
    let attached = &mut connections.attached[index];
    attached.insert_id_unknown |= may_hide_insert_id(kind, features, outcome);
    let keeps_state = !attached.holds.is_empty();
    if outcome.is_error() {
        let error = connections.attached[index].lease.last_error();
        tally::count_error(&connections.services, state, &error);
        if READ_ONLY_SERVER.contains(&error.errno) {
            // It was demoted since the monitor has looked.
            connections.services.monitor.recheck_all();
        }
    }
    if features.contains(Features::DATABASE_DEFINITION) && !outcome.is_error() {
        Box::pin(use_database::databases_changed(connections, state, index, kind)).await;
    }
    if connections.pending.is_some() || state_changed == StateChanged::Yes || keeps_state {
        let left = hold::leave_behind(connections, state, index, kind, state_changed, outcome);
        Box::pin(left).await;
    }
    connections.settle(index, outcome).await;
    if !outcome.is_error() && definition::defines_stored(&connections.services, kind, features) {
        Box::pin(definition::stored_programs_changed(connections)).await;
    }
    if definition::may_define(kind) {
        Box::pin(definition::columns_may_have_changed(connections, state, kind)).await;
    }
}

/// Asks for what a statement has counted beyond the rows that it gave: over several servers
/// FOUND_ROWS() is the session's.
async fn learn_found_rows(connections: &mut Connections, state: &mut State, index: ConnectionId) {
    let lease = &mut connections.attached[index].lease;
    // A connection that fails here fails the next statement, which then tells why.
    let Ok(rows) = lease.rows(b"SELECT FOUND_ROWS()").await else { return };
    if let Some(found) = hold::first_cell(rows).and_then(|cell| hold::ascii(&cell).parse().ok()) {
        state.found_rows = found;
    }
}

/// Whether a statement may ask for LAST_INSERT_ID(), itself or in what it calls.
#[inline]
pub(super) fn may_read_insert_id(kind: StatementKind, features: Features) -> bool {
    use StatementKind as Of;
    features.intersects(Features::LAST_INSERT_ID.with(Features::UNKNOWN_FUNCTION))
        || matches!(kind, Of::Call | Of::Execute | Of::Compound | Of::Show | Of::Other)
}

/// Whether a statement may have changed LAST_INSERT_ID() without its answer telling so.
fn may_hide_insert_id(kind: StatementKind, features: Features, outcome: &Outcome) -> bool {
    let writes = matches!(kind, StatementKind::Insert | StatementKind::Replace);
    features.contains(Features::LAST_INSERT_ID)
        || matches!(
            kind,
            StatementKind::Call
                | StatementKind::Execute
                | StatementKind::Compound
                | StatementKind::Other
        )
        || writes && (outcome.is_error() || outcome.columns != 0)
}
