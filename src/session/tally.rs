//! What a statement was, for the metrics: filled in while it runs, counted when it ends.

use crate::canary;
use crate::clock::{self, Instant};
use crate::engine::routing::Opcode;
use crate::error::{Origin, SqlError};
use crate::observe::{Kind, Query, Route, Side};
use crate::planner::generation::Generation;
use crate::sql::statement_kind::StatementKind;
use crate::topology::KeyspaceIndex;

use super::Services;
use super::connections::Connections;
use super::state::State;

/// The statement that runs.
#[derive(Debug)]
pub(super) struct Tally {
    /// What is known of it so far.
    pub(super) query: Query,
    begun: Instant,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { query: Query::default(), begun: clock::now() }
    }
}

/// Begins a statement. Until somebody says more it counts as answered by the proxy.
pub(super) fn begin_tally(state: &mut State, kind: StatementKind) {
    let keyspace = state.keyspace;
    let (kind, route) = (counted_as(kind), Route::Proxy);
    state.tally.query = Query { kind, keyspace, route, ..Query::default() };
    state.tally.begun = clock::now();
}

/// Notes how a statement is routed.
pub(super) fn tally_route(state: &mut State, opcode: Opcode, keyspace: KeyspaceIndex) {
    state.tally.query.route = counted_route(opcode);
    state.tally.query.keyspace = Some(keyspace.index());
}

/// The side of the canary that a generation is on.
pub(super) fn side_of(services: &Services, generation: &Generation) -> Side {
    match services.serving.load().side_of(generation) {
        canary::Side::Stable => Side::Stable,
        canary::Side::Candidate => Side::Candidate,
    }
}

/// Counts the statement, which has been answered.
pub(super) fn end_tally(connections: &Connections, state: &mut State) {
    state.tally.query.elapsed = clock::now().saturating_duration_since(state.tally.begun);
    connections.services.metrics.record_query(connections.worker, &state.tally.query);
}

/// Counts an error that the client is told.
pub(super) fn count_error(services: &Services, state: &State, error: &SqlError) {
    let origin = match error.origin {
        Origin::Client => "client",
        Origin::Proxy => "proxy",
        Origin::Server => "server",
        Origin::Network => "network",
    };
    services.metrics.record_error(error.errno, origin, side(state));
}

fn side(state: &State) -> Side {
    state.tally.query.side
}

fn counted_route(opcode: Opcode) -> Route {
    match opcode {
        Opcode::Unsharded => Route::Unsharded,
        Opcode::EqualUnique => Route::EqualUnique,
        Opcode::Equal => Route::Equal,
        Opcode::In => Route::In,
        Opcode::MultiEqual => Route::MultiEqual,
        Opcode::Between => Route::Between,
        Opcode::SubShard => Route::SubShard,
        Opcode::Scatter => Route::Scatter,
        Opcode::Reference => Route::Reference,
        Opcode::None => Route::None,
        Opcode::ByDestination => Route::ByDestination,
        Opcode::Next => Route::Next,
        Opcode::Dba => Route::Dba,
    }
}

fn counted_as(kind: StatementKind) -> Kind {
    use StatementKind as From;
    match kind {
        From::Select | From::With | From::Values | From::Table | From::ParenSelect => Kind::Select,
        From::Insert | From::LoadData => Kind::Insert,
        From::Replace => Kind::Replace,
        From::Update => Kind::Update,
        From::Delete => Kind::Delete,
        From::Begin
        | From::StartTransaction
        | From::Commit
        | From::Rollback
        | From::Savepoint
        | From::Release
        | From::Xa => Kind::Transaction,
        From::Set => Kind::Set,
        From::Use => Kind::Use,
        From::Show | From::Explain | From::VExplain => Kind::Show,
        From::Create | From::Alter | From::Drop | From::Truncate | From::Rename => Kind::Ddl,
        From::Call | From::Do => Kind::Call,
        _ => Kind::Other,
    }
}
