//! COM_STMT_BULK_EXECUTE of MariaDB's clients: passed on to the only server.
//!
//! It is offered in front of one server only, because the rows of a bulk may belong anywhere.

use crate::backend::{Failure, first_answer_sequence};
use crate::error::catalog;
use crate::net::Packet;
use crate::observe::Route;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::statement::{BulkExecute, TypesCarried, patch_statement_id};

use super::Session;
use super::answer::{Answer, Ran, Stop};
use super::attached::Index;
use super::hold::Text;
use super::run::{malformed, unknown_command};

impl Session {
    /// COM_STMT_BULK_EXECUTE.
    pub(super) async fn bulk_execute(&mut self, packet: Packet) -> Ran {
        let agreed = Capabilities::MARIADB_STMT_BULK_OPERATIONS;
        if !self.client.capabilities.contains(agreed) {
            return Err(unknown_command(code::STMT_BULK_EXECUTE));
        }
        let payload = self.client.framed.payload(packet);
        let Ok(id) = BulkExecute::statement_id(payload) else {
            return Err(malformed("COM_STMT_BULK_EXECUTE"));
        };
        let id = self.prepared.named_by(id);
        let Some(statement) = self.prepared.get_mut(id) else {
            let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_BULK_EXECUTE"]);
            return Err(error.into());
        };
        let Ok(bulk) = BulkExecute::parse(payload, statement.params, &mut statement.bound) else {
            let error = catalog::WRONG_PARAMETERS.with(&[&"COM_STMT_BULK_EXECUTE"]);
            return Err(error.into());
        };
        let (kind, features) = (statement.kind, statement.features);
        if self.services.topology().single_server().is_none() {
            let what = "COM_STMT_BULK_EXECUTE over several servers";
            return Err(catalog::UNSUPPORTED
                .advising(&[&what], "execute the statement once for each row")
                .into());
        }
        self.close_cursor(id).await;
        self.drop_held().await;
        self.note_pending(kind, features, Text::Prepared(id));
        self.begin_tally(kind);
        self.tally.query.route = Route::PassThrough;
        let ran = self.bulk_on_server(id, packet, bulk).await;
        if let Ok((index, outcome)) = &ran {
            self.after_statement(*index, kind, features, outcome).await;
        }
        self.end_tally();
        ran.map(|_| Answer::Sent)
    }

    async fn bulk_on_server(
        &mut self,
        id: u32,
        packet: Packet,
        bulk: BulkExecute,
    ) -> Result<(Index, Outcome), Stop> {
        let (index, handle) = self.attach_for_execute(id, None, false).await?;
        match self.send_bulk(index, id, handle.id(), packet, bulk).await {
            Ok(first_sequence) => Ok((index, self.relay_answer(index, first_sequence).await?)),
            Err(failure) => Err(self.lose(index, &failure).into()),
        }
    }

    async fn send_bulk(
        &mut self,
        index: Index,
        id: u32,
        server_id: u32,
        packet: Packet,
        bulk: BulkExecute,
    ) -> Result<u8, Failure> {
        let lease = &mut self.attached[index].lease;
        let payload = self.client.framed.payload_mut(packet);
        let mut sent = packet.len;
        if bulk.types() == TypesCarried::Yes && packet.len < MAX_PAYLOAD {
            patch_statement_id(payload, server_id)?;
            lease.send(self.client.framed.framed(packet)).await?;
        } else {
            let mut changed = Vec::with_capacity(payload.len() + 64);
            let bound = self.prepared.get(id).map_or(&[][..], |statement| &statement.bound);
            bulk.encode(&mut changed, server_id, payload, bound);
            lease.send_payload(&changed).await?;
            sent = changed.len();
        }
        let first_sequence = first_answer_sequence(sent);
        lease.expect(Expect::Query, first_sequence);
        self.client.drop_command();
        Ok(first_sequence)
    }
}
