//! COM_STMT_BULK_EXECUTE of MariaDB's clients: passed on to the only server.
//!
//! It is offered in front of one server only, because the rows of a bulk may belong anywhere.

use crate::backend::{Failure, Lease, first_answer_sequence};
use crate::error::catalog;
use crate::net::Packet;
use crate::observe::Route;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::{BulkExecute, Param, TypesCarried, patch_statement_id};

use super::answer::{Answer, Ran, Stop};
use super::connections::Connections;
use super::cursors;
use super::exchange;
use super::execute;
use super::forward;
use super::prepared::Prepared;
use super::request::{self, Coming};
use super::run::{malformed, unknown_command};
use super::shard_connections::ConnectionId;
use super::state::State;
use super::tally;
use crate::executor::client::Client;

/// COM_STMT_BULK_EXECUTE.
pub(super) async fn bulk_execute(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    packet: Packet,
) -> Ran {
    let agreed = Capabilities::MARIADB_STMT_BULK_OPERATIONS;
    if !client.capabilities.contains(agreed) {
        return Err(unknown_command(code::STMT_BULK_EXECUTE));
    }
    let payload = client.framed.payload(packet);
    let Ok(id) = BulkExecute::statement_id(payload) else {
        return Err(malformed("COM_STMT_BULK_EXECUTE"));
    };
    let id = prepared.named_by(id);
    let Some(statement) = prepared.get_mut(id) else {
        let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_BULK_EXECUTE"]);
        return Err(error.into());
    };
    let Ok(bulk) = BulkExecute::parse(payload, statement.params, &mut statement.bound) else {
        let error = catalog::WRONG_PARAMETERS.with(&[&"COM_STMT_BULK_EXECUTE"]);
        return Err(error.into());
    };
    if connections.mode.is_several() {
        let what = "COM_STMT_BULK_EXECUTE over several servers";
        let advice = "execute the statement once for each row";
        return Err(catalog::UNSUPPORTED.advising(&[&what], advice).into());
    }
    cursors::close_cursor(connections, prepared, id).await;
    let coming = Coming::Prepared(id);
    let admitted = request::admit(client, connections, state, prepared, coming).await?;
    tally::begin_tally(state, admitted.kind());
    state.tally.query.route = Route::PassThrough;
    let ran = bulk_on_server(client, connections, state, prepared, id, packet, bulk).await;
    if let Ok((index, outcome)) = &ran {
        let (kind, features) = (admitted.kind(), admitted.features());
        forward::after_statement(connections, state, *index, kind, features, outcome).await;
    }
    tally::end_tally(connections, state);
    ran.map(|_| Answer::Sent)
}

async fn bulk_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    packet: Packet,
    bulk: BulkExecute,
) -> Result<(ConnectionId, Outcome), Stop> {
    let goal = execute::goal_of(connections, state, prepared, id, None)?;
    let (index, handle) =
        execute::attach_for_execute(client, connections, state, prepared, id, &goal, false).await?;
    let bound = prepared.get(id).map_or(&[][..], |statement| &statement.bound);
    let lease = &mut connections.attached[index].lease;
    match send_bulk(client, lease, bound, handle.id(), packet, bulk).await {
        Ok(first_sequence) => {
            Ok((index, exchange::relay_answer(client, connections, index, first_sequence).await?))
        }
        Err(failure) => Err(connections.lose(index, &failure).into()),
    }
}

async fn send_bulk(
    client: &mut Client,
    lease: &mut Lease,
    bound: &[Param],
    server_id: u32,
    packet: Packet,
    bulk: BulkExecute,
) -> Result<u8, Failure> {
    let payload = client.framed.payload_mut(packet);
    let mut sent = packet.len;
    if bulk.types() == TypesCarried::Yes && packet.len < MAX_PAYLOAD {
        patch_statement_id(payload, server_id)?;
        lease.send(client.framed.framed(packet)).await?;
    } else {
        let mut changed = Vec::with_capacity(payload.len() + 64);
        bulk.encode(&mut changed, server_id, payload, bound);
        lease.send_payload(&changed).await?;
        sent = changed.len();
    }
    let first_sequence = first_answer_sequence(sent);
    lease.expect(Expect::Query, first_sequence);
    client.drop_command();
    Ok(first_sequence)
}
