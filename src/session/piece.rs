//! The command that runs a shard's piece of a planned statement.

use crate::backend::Failure;
use crate::engine::plan::Bindings as _;
use crate::sql::value::Value;
use crate::wire::command::code;
use crate::wire::statement::{CURSOR_NONE, encode_execute};

use super::Session;
use super::planned::{Form, Piece, Statement};

impl Session {
    /// The command that runs a piece on a connection, where it is prepared first if need be.
    pub(super) async fn piece_payload(
        &mut self,
        index: usize,
        piece: &Piece,
        statement: &Statement,
    ) -> Result<Vec<u8>, Failure> {
        match statement.form {
            Form::Text => Ok([&[code::QUERY], &piece.text[..]].concat()),
            Form::Prepared => {
                let lease = &mut self.attached[index].lease;
                let server = lease.prepare(&piece.text, &statement.owner).await?;
                Ok(self.piece_execution(server.id, CURSOR_NONE, piece, statement))
            }
        }
    }

    /// The execution of a piece that is prepared under this number.
    pub(super) fn piece_execution(
        &self,
        id: u32,
        flags: u8,
        piece: &Piece,
        statement: &Statement,
    ) -> Vec<u8> {
        let bindings = self.bindings(statement);
        let values: Vec<Value<'_>> =
            piece.placeholders.iter().map(|hole| bindings.value(*hole)).collect();
        let mut payload = Vec::new();
        let attributes = self.client.sends_attributes().then_some(&self.attributes);
        encode_execute(&mut payload, id, flags, &values, attributes);
        payload
    }
}
