//! CREATE, ALTER, DROP and RENAME: on every shard, one after the other, and answered when others
//! plan with what was defined.

use std::time::Duration;

use crate::error::{SqlError, catalog};
use crate::executor::watch::unless_interrupted;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::Services;
use super::answer::Ran;
use super::connections::Connections;
use super::job::Job;
use super::planned;
use super::planned::Piece;
use super::scatter;
use super::scatter_write;
use super::state::State;
use super::statement_timeout;
use super::total::Total;
use crate::executor::client::Client;

/// How long a definition statement waits until what it defined is known, unless it is interrupted.
const DEFINITION_WAIT: Duration = Duration::from_secs(3);

/// A definition statement on every shard, one after the other. It ends a transaction.
pub(super) async fn run_ddl(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: Vec<Piece>,
) -> Ran {
    connections.commit_all().await?;
    let result = run_ddl_pieces(client, connections, state, job, &pieces).await;
    let (kind, features) = (job.statement.kind, job.statement.features);
    columns_may_have_changed(connections, state, kind).await;
    if defines_stored(&connections.services, kind, features) {
        stored_programs_changed(connections).await;
    }
    Ok(result?.answer(connections))
}

async fn run_ddl_pieces(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
) -> Result<Total, SqlError> {
    // Each shard is told the same, and says the same.
    let mut total = Total::copies();
    let mut done: Vec<String> = Vec::new();
    for piece in pieces {
        let shard = job.topology.shard_name(piece.shard);
        match run_ddl_piece(client, connections, state, job, piece, &mut total).await {
            Ok(()) => done.push(shard),
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => {
                let error = statement_timeout::timed_out(connections, error);
                let text = String::from_utf8_lossy(&error.message).into_owned();
                return Err(catalog::PARTIAL_DDL.with(&[&shard, &text, &done.join(", ")]));
            }
        }
    }
    Ok(total)
}

/// Whether a statement may change what tables and views do to sessions. Triggers move with
/// their tables.
pub(super) fn defines_stored(services: &Services, kind: StatementKind, features: Features) -> bool {
    let moves = matches!(kind, StatementKind::Rename | StatementKind::Alter);
    features.contains(Features::STORED_DEFINITION)
        || moves && !services.stored_programs.programs().is_empty()
}

/// After a statement that may have changed them.
pub(super) async fn stored_programs_changed(connections: &Connections) {
    connections.services.stored_programs.note_definition();
    let refreshed = connections.services.stored_programs.reader().refresh(DEFINITION_WAIT);
    unless_interrupted(&connections.control, refreshed).await;
}

/// After a definition statement: the next statement is to see the new columns.
pub(super) async fn columns_may_have_changed(
    connections: &Connections,
    state: &mut State,
    kind: StatementKind,
) {
    if may_define(kind) {
        connections.services.note_definition();
    }
    if defines(kind) {
        let refreshed = connections.services.columns.refresh(DEFINITION_WAIT);
        unless_interrupted(&connections.control, refreshed).await;
        if !connections.in_transaction() {
            state.generation.release();
        }
    }
}

async fn run_ddl_piece(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    piece: &Piece,
    total: &mut Total,
) -> Result<(), SqlError> {
    let placement = planned::place_piece(connections, state, job, piece.shard)?;
    scatter::send_piece(client, connections, job, placement, piece).await?;
    let mut first_error = None;
    scatter_write::collect(
        connections,
        state,
        &mut vec![],
        placement.server(),
        total,
        &mut first_error,
    )
    .await;
    first_error.map_or(Ok(()), Err)
}

/// Whether servers may prepare statements again after one of this kind: all but those that are
/// known to define nothing.
pub(super) fn may_define(kind: StatementKind) -> bool {
    use StatementKind as Kind;
    !matches!(
        kind,
        Kind::Empty
            | Kind::Select
            | Kind::With
            | Kind::Values
            | Kind::Table
            | Kind::ParenSelect
            | Kind::Insert
            | Kind::Replace
            | Kind::Update
            | Kind::Delete
            | Kind::LoadData
            | Kind::Set
            | Kind::Show
            | Kind::Use
            | Kind::Begin
            | Kind::StartTransaction
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::Release
            | Kind::LockTables
            | Kind::UnlockTables
            | Kind::Kill
            | Kind::Explain
            | Kind::Do
            | Kind::Prepare
            | Kind::Deallocate
            | Kind::Diagnostics
    )
}

/// Whether statements of this kind change which columns there are.
pub(super) fn defines(kind: StatementKind) -> bool {
    use StatementKind::{Alter, Create, Drop, Rename};
    matches!(kind, Create | Alter | Drop | Rename)
}
