//! Writes that go to several shards: what they have done is added up.
//!
//! An autocommit write to several shards runs in a transaction on all of them and is committed
//! after all have succeeded. Inside the client's own transaction a savepoint makes the statement
//! all or nothing.

use std::future::poll_fn;
use std::task::Poll;

use crate::backend::Failure;
use crate::error::{SqlError, catalog};
use crate::executor::registry::Interrupt;
use crate::geo::Placement;
use crate::topology::ServerId;
use crate::wire::scanner::Outcome;

use super::answer::Ran;
use super::attached::DEADLOCK;
use super::connections::Connections;
use super::diagnostics;
use super::hold;
use super::job::{InsertId, Job};
use super::next_transaction;
use super::planned::Piece;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::table_locks;
use super::total::{Total, WrittenRows};
use super::transaction::Transaction;
use crate::executor::client::Client;
use crate::executor::interrupt::kill_on_server;

use super::scatter::{place_all, send_piece, settle_refused};

/// The savepoint that makes a statement on several shards all or nothing.
const SAVEPOINT: &str = "_geogate_statement";

impl Connections {
    /// The servers do not agree any more on what the transaction has done.
    pub(super) fn break_transaction(&mut self, placement: &Placement) {
        let topology = self.services.topology.load_full();
        let shard = topology.shard_name(placement.shard());
        self.transaction = Transaction::Broken { shard };
    }

    /// Waits for an answer without rows. An interrupt stops the statement on its server, whose
    /// error ends the wait.
    pub(super) async fn answer_of(&mut self, index: ConnectionId) -> Result<Outcome, Failure> {
        let lease = &mut self.attached[index].lease;
        let control = &self.control;
        let answered = {
            let mut answer = std::pin::pin!(lease.collect(None));
            poll_fn(|cx| {
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                match control.poll_interrupt(cx) {
                    Poll::Ready(interrupt) if interrupt >= Interrupt::Query => Poll::Ready(None),
                    _ => Poll::Pending,
                }
            })
            .await
        };
        match answered {
            Some(answer) => answer,
            None => {
                kill_on_server(lease);
                lease.collect(None).await
            }
        }
    }

    /// Who is told of a deadlock is told that the whole transaction is rolled back, and begins the
    /// next one: no other server may keep a part of it.
    pub(super) async fn end_deadlocked(&mut self, error: &SqlError) {
        if error.errno == DEADLOCK && matches!(self.transaction, Transaction::Broken { .. }) {
            self.rollback_all().await;
        }
    }

    /// Runs a small statement of our own on an attached connection.
    async fn command_on(&mut self, index: ConnectionId, sql: &str) -> Result<(), SqlError> {
        match self.attached[index].lease.execute(sql.as_bytes()).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    pub(super) fn index_of(&self, server: ServerId) -> Option<ConnectionId> {
        self.attached.to(server)
    }
}

/// Errors after which a server has begun no transaction: one that is read only, a table that is not
/// there or may not be used, a binary log that cannot take the rows.
const BEFORE_TRANSACTIONS: [u16; 7] = [1142, 1143, 1146, 1290, 1665, 1792, 1836];

/// A write on several shards, or on one with generated values.
pub(super) async fn run_write(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: Vec<Piece>,
) -> Ran {
    let several = pieces.len() > 1;
    let own = several && !connections.in_transaction() && connections.mirror.autocommit;
    let under_locks = own && table_locks::holds_table_locks(connections);
    let before_locked = under_locks.then(|| connections.mirror.autocommit_off());
    let mut waiting = Vec::new();
    if own && !under_locks {
        let before =
            std::mem::replace(&mut connections.transaction, Transaction::None { next: None });
        waiting = before.asked_for().to_vec();
        connections.transaction = Transaction::begun(before);
    }
    let guarded = several && !own;
    let result = write_pieces(client, connections, state, job, &pieces, guarded).await;
    let result = match (result, own) {
        (Ok(total), true) => connections.commit_all().await.map(|_| total),
        (Err(error), true) => {
            connections.rollback_all().await;
            if !waiting.is_empty() && BEFORE_TRANSACTIONS.contains(&error.errno) {
                next_transaction::await_transaction(connections, waiting);
            }
            Err(error)
        }
        (result, false) => result,
    };
    if let Some(literal) = before_locked {
        connections.mirror.autocommit_on(literal);
    }
    match result {
        Ok(mut total) => {
            match job.insert_id {
                InsertId::Server => {}
                // A row that was there has given its own by LAST_INSERT_ID(id).
                InsertId::Given(_) | InsertId::Generated(_) if total.has_updated(job) => {
                    connections.mirror.last_insert_id = total.last_insert_id;
                }
                InsertId::Given(_) if total.affected_rows == 0 => {}
                InsertId::Given(id) => total.last_insert_id = id,
                InsertId::Generated(first) => {
                    total.last_insert_id = first;
                    connections.mirror.last_insert_id = first;
                }
            }
            Ok(total.answer(connections))
        }
        Err(error) => Err(error.into()),
    }
}

async fn write_pieces(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    job: &Job<'_>,
    pieces: &[Piece],
    guarded: bool,
) -> Result<Total, SqlError> {
    let placed = place_all(connections, state, job, pieces)?;
    if guarded {
        for (placement, piece) in placed.iter().zip(pieces) {
            let database = job.topology.keyspace(piece.shard.keyspace()).database.clone();
            let index = connections.attach(client, *placement, database.as_bytes(), false).await?;
            let savepoint = format!("SAVEPOINT {SAVEPOINT}");
            connections.command_on(index, &savepoint).await?;
        }
    }
    connections.learn_all_user_variables().await;
    let mut total = Total::of(job, pieces.len());
    let mut waiting: Vec<ServerId> = Vec::new();
    let mut first_error: Option<SqlError> = None;
    for (number, (piece, placement)) in pieces.iter().zip(&placed).enumerate() {
        let server = placement.server();
        let before = if number == 1 && job.rows == WrittenRows::Copies {
            // Whoever writes copies takes the locks of the first one first, so that two such
            // writers never wait for each other on different servers.
            waiting.first().copied()
        } else {
            // The connection is still busy with another shard of the same server.
            waiting.contains(&server).then_some(server)
        };
        if let Some(before) = before {
            collect(connections, state, &mut waiting, before, &mut total, &mut first_error).await;
        }
        if first_error.is_some() {
            break;
        }
        match send_piece(client, connections, job, *placement, piece).await {
            Ok(()) => waiting.push(placement.server()),
            Err(error) => first_error = Some(error),
        }
    }
    while let Some(server) = waiting.last().copied() {
        collect(connections, state, &mut waiting, server, &mut total, &mut first_error).await;
    }
    if total.differs() {
        first_error.get_or_insert_with(|| catalog::COPIES_DIFFER.error());
    }
    if let Some(error) = first_error.take_if(|error| error.errno == DEADLOCK) {
        connections.end_deadlocked(&error).await;
        return Err(error);
    }
    if guarded {
        let verb = if first_error.is_some() { "ROLLBACK TO" } else { "RELEASE" };
        for placement in &placed {
            let Some(index) = connections.index_of(placement.server()) else { continue };
            let ended =
                connections.command_on(index, &format!("{verb} SAVEPOINT {SAVEPOINT}")).await;
            // After a deadlock the server has rolled back more than the savepoint.
            if ended.is_err() && first_error.is_some() {
                connections.break_transaction(placement);
            }
        }
    }
    match first_error {
        Some(error) => Err(error),
        None => Ok(total),
    }
}

/// Reads the answer of one server to a write.
pub(super) async fn collect(
    connections: &mut Connections,
    state: &mut State,
    waiting: &mut Vec<ServerId>,
    server: ServerId,
    total: &mut Total,
    first_error: &mut Option<SqlError>,
) {
    waiting.retain(|waits| *waits != server);
    let Some(index) = connections.index_of(server) else { return };
    match connections.answer_of(index).await {
        Ok(outcome) => {
            total.add(&outcome, &connections.attached[index].lease.last_info());
            if outcome.warnings > 0 {
                let most = diagnostics::warnings_max(connections);
                let lease = &mut connections.attached[index].lease;
                // A connection that fails here fails the next statement, which then tells why.
                total.add_notes(lease.rows(b"SHOW WARNINGS").await.unwrap_or_default(), most);
            }
            hold::leave_behind_partly(connections, state, index, false).await;
            connections.settle(index, &outcome).await;
        }
        Err(Failure::Server(error)) => {
            settle_refused(connections, state, index, &error).await;
            first_error.get_or_insert(error);
        }
        Err(failure) => {
            let error = connections.lose(index, &failure);
            first_error.get_or_insert(error);
        }
    }
}
