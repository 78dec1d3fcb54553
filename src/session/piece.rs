//! The command that runs a shard's piece of a planned statement.

use crate::backend::PrepareError;
use crate::engine::plan::Bindings as _;
use crate::sql::value::Value;
use crate::wire::command::code;
use crate::wire::statement::{CURSOR_NONE, encode_execute};

use super::connections::Connections;
use super::execute;
use super::execute::{Handle, Wanted};
use super::mirror::Mirror;
use super::planned::Piece;
use super::shard_connections::ConnectionId;
use super::statement::{Form, Statement};
use crate::executor::client::Client;

/// The command that runs a piece on a connection, where it is prepared first if need be.
pub(super) async fn piece_payload(
    client: &mut Client,
    connections: &mut Connections,
    index: ConnectionId,
    piece: &Piece,
    statement: &Statement,
    database: &[u8],
) -> Result<Vec<u8>, PrepareError> {
    match statement.form {
        Form::Text => Ok([&[code::QUERY], &piece.text[..]].concat()),
        Form::Prepared => {
            let handle =
                piece_handle(connections, index, piece, statement, database, false).await?;
            Ok(piece_execution(
                client,
                &connections.mirror,
                handle.id(),
                CURSOR_NONE,
                piece,
                statement,
            ))
        }
    }
}

/// The server statement of a piece.
pub(super) async fn piece_handle(
    connections: &mut Connections,
    index: ConnectionId,
    piece: &Piece,
    statement: &Statement,
    database: &[u8],
    wants_cursor: bool,
) -> Result<Handle, PrepareError> {
    let parameters: Vec<usize> = {
        let bindings = connections.mirror.bindings(statement);
        piece.placeholders.iter().map(|hole| bindings.parameter_number(*hole)).collect()
    };
    let need = statement.wanted.need.of_parameters(&parameters);
    let wanted = Wanted { need, then: statement.wanted.then.clone() };
    let owner = &statement.owner;
    execute::server_statement(
        connections,
        index,
        &piece.text,
        owner,
        &wanted,
        database,
        wants_cursor,
    )
    .await
}

/// The execution of a piece that is prepared under this number.
pub(super) fn piece_execution(
    client: &Client,
    mirror: &Mirror,
    id: u32,
    flags: u8,
    piece: &Piece,
    statement: &Statement,
) -> Vec<u8> {
    let bindings = mirror.bindings(statement);
    let values: Vec<Value<'_>> =
        piece.placeholders.iter().map(|hole| bindings.value(*hole)).collect();
    let mut payload = Vec::new();
    let attributes = client.sends_attributes().then_some(&client.attributes);
    encode_execute(&mut payload, id, flags, &values, attributes);
    payload
}
