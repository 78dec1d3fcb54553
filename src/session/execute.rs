//! An execution of a prepared statement on one server: the connection, the server's statement, and
//! the command.

use crate::backend::{Aligned, Exclusive, Failure, Owner, reading_key};
use crate::error::{SqlError, catalog};
use crate::geo;
use crate::net::Packet;
use crate::sql::features::Features;
use crate::wire::command::code;
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::scanner::Expect;
use crate::wire::statement::{CURSOR_MASK, Execute, TypesCarried, patch_statement_id};

use super::Session;
use super::attached::Index;
use super::planned::OneShard;

impl Session {
    /// A connection on which the statement is prepared, and its number there.
    pub(super) async fn attach_for_execute(
        &mut self,
        id: u32,
        found: Option<OneShard>,
        wants_cursor: bool,
    ) -> Result<(Index, Handle), SqlError> {
        let Some(statement) = self.prepared.get(id) else {
            return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]));
        };
        let text = statement.text();
        let (kind, features) = (statement.kind, statement.features);
        let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
        let mut moved = false;
        let text = self.filled_text(&text, features).await.unwrap_or(text);
        let attached = if let Some(OneShard { shard, access, topology }) = found {
            let database = topology.keyspace(shard.keyspace()).database.as_bytes();
            self.attach_placed(shard, access, None, database, wants_insert_id).await
        } else {
            let shard = self.services.topology().single_server().ok_or_else(|| {
                catalog::UNSUPPORTED.with(&[&"prepared statements over several servers"])
            })?;
            let mut then = None;
            if let Some(statement) = self.prepared.get_mut(id) {
                moved = !statement.under.still_holds(&self.state);
                then = statement.under.other_database(&self.state);
            }
            let hints = self.hints(&text, features)?;
            let access = geo::access(kind, features);
            let hints = hints.as_ref();
            if let Some(database) = then {
                self.attach_placed(shard, access, hints, &database, wants_insert_id).await
            } else {
                let database = std::mem::take(&mut self.state.database);
                let attached =
                    self.attach_placed(shard, access, hints, &database, wants_insert_id).await;
                self.state.database = database;
                attached
            }
        };
        let index = attached?;
        let prepared = if moved {
            self.prepare_as_before(index, id, &text, wants_cursor).await
        } else {
            let lease = &mut self.attached[index].lease;
            if wants_cursor {
                lease.prepare_exclusive(&text).await.map(Handle::Exclusive)
            } else {
                lease.prepare(&text, &text).await.map(|server| Handle::Shared(server.id))
            }
        };
        match prepared {
            Ok(handle) => Ok((index, handle)),
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    /// Prepares a statement under what it was prepared under by the client: a USE or SET since then
    /// changes nothing in what it means.
    async fn prepare_as_before(
        &mut self,
        index: Index,
        id: u32,
        text: &Owner,
        wants_cursor: bool,
    ) -> Result<Handle, Failure> {
        let Some(statement) = self.prepared.get(id) else {
            return Err(std::io::Error::other("a statement that is not there").into());
        };
        let lease = &mut self.attached[index].lease;
        let database = statement.under.database(&self.state);
        let (then, now) = (statement.under.settings(&self.state), &self.state.settings);
        if !wants_cursor {
            let key = reading_key(&database, &then);
            if let Some(known) = lease.statements.find_under(&key, text, text) {
                return Ok(Handle::Shared(known.id));
            }
        }
        let aligned = |settings| Aligned { settings, database: &database, last_insert_id: None };
        lease.align(&aligned(&then)).await?;
        let handle = if wants_cursor {
            lease.prepare_exclusive(text).await.map(Handle::Exclusive)
        } else {
            lease.prepare(text, text).await.map(|server| Handle::Shared(server.id))
        };
        lease.align(&aligned(now)).await?;
        handle
    }

    /// Sends pending long data and the execution, and drops the command from the client's buffer.
    /// Gives the sequence id that the answer begins with.
    pub(super) async fn send_execute(
        &mut self,
        index: Index,
        id: u32,
        server_id: u32,
        packet: Packet,
        execute: &Execute,
    ) -> Result<u8, Failure> {
        let lease = &mut self.attached[index].lease;
        let Some(statement) = self.prepared.get(id) else { return Ok(1) };
        for (param, data) in &statement.long_data {
            let mut argument = server_id.to_le_bytes().to_vec();
            argument.extend_from_slice(&param.to_le_bytes());
            argument.extend_from_slice(data);
            lease.send_command(code::STMT_SEND_LONG_DATA, &argument).await?;
        }
        let attributes = self.client.sends_attributes().then_some(&self.attributes);
        let payload = self.client.framed.payload_mut(packet);
        let mut sent = packet.len;
        if execute.types == TypesCarried::Yes {
            patch_statement_id(payload, server_id)?;
            if packet.len < MAX_PAYLOAD {
                lease.send(self.client.framed.framed(packet)).await?;
            } else {
                lease.send_payload(payload).await?;
            }
        } else {
            let mut changed = Vec::with_capacity(payload.len() + 4 * statement.bound.len());
            execute.encode(&mut changed, server_id, payload, &statement.bound, attributes);
            lease.send_payload(&changed).await?;
            sent = changed.len();
        }
        let first_sequence = crate::backend::first_answer_sequence(sent);
        let wants_cursor = execute.header.flags & CURSOR_MASK != 0;
        let expect = if wants_cursor { Expect::Cursor } else { Expect::Query };
        lease.expect(expect, first_sequence);
        self.client.framed.consume_packet(packet);
        Ok(first_sequence)
    }
}

/// A statement prepared on a connection.
#[derive(Debug)]
pub(super) enum Handle {
    /// By its number; others may execute it too.
    Shared(u32),
    /// For one cursor.
    Exclusive(Exclusive),
}

impl Handle {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Shared(id) => *id,
            Self::Exclusive(statement) => statement.id,
        }
    }
}
