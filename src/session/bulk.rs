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

use super::attached::Index;
use super::hold::Text;
use super::query::Request;
use super::{End, Session};

impl Session {
    /// COM_STMT_BULK_EXECUTE.
    pub(super) async fn bulk_execute(&mut self, packet: Packet) -> Result<(), End> {
        let request = Request::Packet(packet);
        let agreed = Capabilities::MARIADB_STMT_BULK_OPERATIONS;
        if !self.client.capabilities.contains(agreed) {
            return self.unknown_command(packet, code::STMT_BULK_EXECUTE).await;
        }
        let payload = self.client.framed.payload(packet);
        let Ok(id) = BulkExecute::statement_id(payload) else {
            return self.malformed(packet, "COM_STMT_BULK_EXECUTE").await;
        };
        let id = self.prepared.named_by(id);
        let Some(statement) = self.prepared.get_mut(id) else {
            let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_BULK_EXECUTE"]);
            return self.refuse(&request, error).await;
        };
        let Ok(bulk) = BulkExecute::parse(payload, statement.params, &mut statement.bound) else {
            let error = catalog::WRONG_PARAMETERS.with(&[&"COM_STMT_BULK_EXECUTE"]);
            return self.refuse(&request, error).await;
        };
        let (kind, features) = (statement.kind, statement.features);
        if self.services.topology().single_server().is_none() {
            let what = "COM_STMT_BULK_EXECUTE over several servers";
            return self
                .refuse(
                    &request,
                    catalog::UNSUPPORTED
                        .advising(&[&what], "execute the statement once for each row"),
                )
                .await;
        }
        self.close_cursor(id).await;
        self.drop_held().await;
        self.note_pending(kind, features, Text::Prepared(id));
        self.begin_tally(kind);
        self.tally.query.route = Route::PassThrough;
        let result = self.bulk_on_server(id, packet, bulk).await;
        if let Ok(Some((index, outcome))) = &result {
            self.after_statement(*index, kind, features, outcome).await;
        }
        self.end_tally();
        result.map(drop)
    }

    async fn bulk_on_server(
        &mut self,
        id: u32,
        packet: Packet,
        bulk: BulkExecute,
    ) -> Result<Option<(Index, Outcome)>, End> {
        let (index, handle) = match self.attach_for_execute(id, None, false).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.refuse(&Request::Packet(packet), error).await?;
                return Ok(None);
            }
        };
        match self.send_bulk(index, id, handle.id(), packet, bulk).await {
            Ok(first_sequence) => {
                let outcome = self.relay_answer(index, first_sequence).await?;
                Ok(outcome.map(|outcome| (index, outcome)))
            }
            Err(failure) => {
                let error = self.lose(index, &failure);
                self.reply_error(error).await?;
                Ok(None)
            }
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
        self.client.framed.consume_packet(packet);
        Ok(first_sequence)
    }
}
