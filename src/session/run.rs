//! The life of a session: read a command, do it, until the client or the proxy ends it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::backend::{Names, Profile, Settings};
use crate::error::catalog;
use crate::executor::registry::Interrupt;
use crate::net::{Packet, ReadError};
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;
use crate::wire::charset::Collation;
use crate::wire::command::{Command, MultiStatements};
use crate::wire::handshake::ChangeUser;
use crate::wire::scanner::Expect;

use super::accounts::{AuthError, Claim};
use super::consistency::Reading;
use super::query::Request;
use super::state::{State, Warnings};
use super::stream::Front;
use super::{End, Judges, Session};

/// A command that can be begun.
enum Incoming {
    /// All of it stands in the read buffer.
    Whole(Packet),
    /// The beginning of a statement that is forwarded as it comes.
    Long { kind: StatementKind },
}

impl Session {
    /// Serves the client until it leaves or must leave.
    pub async fn run(mut self) {
        if !self.login.database.is_empty() {
            // The keyspace of the login is proven like one of USE; a wrong one ends the session.
            let name = std::mem::take(&mut self.state.database);
            self.sequence = self.login.sequence;
            self.failed = false;
            if self.enter_database(&name).await.is_err() || self.failed {
                return self.finish().await;
            }
        } else {
            self.sequence = self.login.sequence;
            if self.reply_ok(0).await.is_err() {
                return self.finish().await;
            }
        }
        loop {
            let control = self.registered.control();
            control.set_idle(self.services.registry.seconds());
            let Ok(incoming) = self.next_command().await else { break };
            let control = self.registered.control();
            control.set_busy();
            control.clear_query();
            let done = match incoming {
                Incoming::Whole(packet) => self.command(packet).await,
                Incoming::Long { kind } => self.stream_statement(kind).await,
            };
            if done.is_err() {
                break;
            }
            if !self.in_transaction() {
                self.generation.release();
            }
        }
        self.finish().await;
    }

    /// Gives everything back.
    async fn finish(mut self) {
        self.detach_all().await;
        self.client.framed.close().await;
    }

    /// Waits for the next command, unless the session is interrupted first.
    async fn next_command(&mut self) -> Result<Incoming, End> {
        let limit = self.services.limits.statement_bytes_max;
        let mut is_looked_at = false;
        loop {
            if let Some(interrupt) = self.due_interrupt() {
                return Err(self.show_out(interrupt).await);
            }
            match self.look_at_front(is_looked_at) {
                Front::Wait => {}
                Front::Stream { kind } => return Ok(Incoming::Long { kind }),
                Front::Buffer => {
                    is_looked_at = self.client.framed.announced().is_some();
                    match self.client.framed.buffered_packet(limit) {
                        Ok(Some(packet)) => {
                            return self.in_sequence(packet).await.map(Incoming::Whole);
                        }
                        Ok(None) => {}
                        Err(error) => return Err(self.unreadable(&error).await),
                    }
                }
            }
            let in_transaction = self.in_transaction();
            let (framed, control) = (&mut self.client.framed, self.registered.control());
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = framed.poll_fill(cx) {
                    return Poll::Ready(Some(read));
                }
                match control.poll_interrupt(cx) {
                    // It stays raised until the transaction ends.
                    Poll::Ready(Interrupt::Drain) if in_transaction => Poll::Pending,
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(Ok(0) | Err(_)) = read.await {
                return Err(End::Quit);
            }
        }
    }

    /// What a session between two commands has to end for.
    fn due_interrupt(&self) -> Option<Interrupt> {
        let control = self.registered.control();
        control.interrupt()?;
        // A KILL QUERY for an idle session is forgotten.
        control.clear_query();
        match control.interrupt()? {
            Interrupt::Drain if self.in_transaction() => None,
            interrupt => Some(interrupt),
        }
    }

    async fn show_out(&mut self, interrupt: Interrupt) -> End {
        self.sequence = 0;
        let error = match interrupt {
            Interrupt::Drain => catalog::SHUTTING_DOWN.error(),
            _ => catalog::CONNECTION_KILLED.error(),
        };
        let _ = self.reply_error(error).await;
        End::Abort
    }

    /// Every command begins a new sequence.
    async fn in_sequence(&mut self, packet: Packet) -> Result<Packet, End> {
        if packet.sequence == 0 {
            return Ok(packet);
        }
        self.sequence = packet.sequence.wrapping_add(1);
        let _ = self.reply_error(catalog::OUT_OF_ORDER.error()).await;
        Err(End::Abort)
    }

    async fn unreadable(&mut self, error: &ReadError) -> End {
        self.sequence = 1;
        let error = match error {
            ReadError::TooLong { limit } => {
                catalog::PACKET_TOO_LARGE.with(&[&format!("{limit} bytes")])
            }
            ReadError::OutOfOrder => catalog::OUT_OF_ORDER.error(),
            ReadError::Closed | ReadError::Io(_) => return End::Quit,
        };
        let _ = self.reply_error(error).await;
        End::Abort
    }

    /// Does one command.
    async fn command(&mut self, packet: Packet) -> Result<(), End> {
        self.sequence = crate::backend::first_answer_sequence(packet.len);
        let command = match Command::parse(self.client.framed.payload(packet)) {
            Ok(command) => command,
            Err(malformed) => return self.malformed(packet, &malformed.to_string()).await,
        };
        match command {
            Command::Query(_) => self.query(packet).await,
            Command::StmtExecute(_) => self.execute(packet).await,
            Command::StmtPrepare(_) => self.prepare(packet).await,
            Command::Quit => Err(End::Quit),
            Command::StmtClose(id) => {
                self.client.framed.consume_packet(packet);
                self.close_statement(id);
                Ok(())
            }
            Command::StmtSendLongData { id, param, data } => {
                let data = data.to_vec();
                self.client.framed.consume_packet(packet);
                self.long_data(id, param, &data);
                Ok(())
            }
            Command::InitDb(name) => {
                let name = name.to_vec();
                self.client.framed.consume_packet(packet);
                self.use_database(&name).await
            }
            Command::ChangeUser(_) => self.change_user(packet).await,
            Command::FieldList { .. } => self.forward(packet, Expect::FieldList).await,
            Command::Ping => self.answer_ok(packet).await,
            Command::ResetConnection => {
                // As servers do: a reset keeps the database.
                let database = std::mem::take(&mut self.state.database);
                let target = self.state.target.clone();
                self.reset_session(self.login.names.clone(), database).await;
                self.state.target = target;
                self.answer_ok(packet).await
            }
            Command::SetOption(option) => {
                let multi = Capabilities::MULTI_STATEMENTS;
                match option {
                    MultiStatements::On => self.client.capabilities.insert(multi),
                    MultiStatements::Off => self.client.capabilities.remove(multi),
                }
                self.client.framed.consume_packet(packet);
                self.reply_end().await
            }
            Command::Statistics => {
                self.client.framed.consume_packet(packet);
                self.reply_statistics().await
            }
            Command::StmtReset(id) => {
                self.client.framed.consume_packet(packet);
                self.reset_statement(id).await
            }
            Command::ProcessKill(id) => {
                self.client.framed.consume_packet(packet);
                let target = crate::sql::control::kill::KillTarget::Connection;
                self.kill(crate::sql::control::kill::Kill { target, id: u64::from(id) }).await
            }
            Command::StmtFetch { id, .. } => {
                let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_FETCH"]);
                self.refuse(&Request::Packet(packet), error).await
            }
            Command::Debug => self.unknown_command(packet, 0x0d).await,
            Command::Unknown(code) => self.unknown_command(packet, code).await,
        }
    }

    async fn unknown_command(&mut self, packet: Packet, code: u8) -> Result<(), End> {
        let error = catalog::UNKNOWN_COMMAND.with(&[&format!("0x{code:02x}")]);
        self.refuse(&Request::Packet(packet), error).await
    }

    async fn answer_ok(&mut self, packet: Packet) -> Result<(), End> {
        self.client.framed.consume_packet(packet);
        self.reply_ok(0).await
    }

    /// A command whose fields make no sense: told, and the connection closed.
    pub(super) async fn malformed(&mut self, packet: Packet, what: &str) -> Result<(), End> {
        let error = catalog::MALFORMED_PACKET.with(&[&what]);
        let _ = self.refuse(&Request::Packet(packet), error).await;
        Err(End::Abort)
    }

    /// Forwards a command that is not a statement.
    async fn forward(&mut self, packet: Packet, expect: Expect) -> Result<(), End> {
        let request = Request::Packet(packet);
        let topology = self.services.topology().clone();
        let (placement, database) = match self.any_server(&topology, Judges::Any) {
            Ok(found) => found,
            Err(error) => return self.refuse(&request, error).await,
        };
        let index = match self.attach(placement, &database, false).await {
            Ok(index) => index,
            Err(error) => return self.refuse(&request, error).await,
        };
        if let Some(outcome) = self.exchange(index, request, expect).await? {
            self.settle(index, &outcome).await;
        }
        Ok(())
    }

    /// COM_CHANGE_USER: log in anew on the same connection.
    async fn change_user(&mut self, packet: Packet) -> Result<(), End> {
        let payload = self.client.framed.payload(packet).to_vec();
        let Ok(change) = ChangeUser::parse(&payload, self.client.capabilities) else {
            return self.malformed(packet, "COM_CHANGE_USER").await;
        };
        self.client.framed.consume_packet(packet);
        let claim =
            Claim { user: change.user, plugin: change.auth_plugin, answer: change.auth_data };
        let services = Arc::clone(&self.services);
        let framed = &mut self.client.framed;
        // Clients differ in which nonce they scramble with when there was a switch at login, so
        // all that can are asked anew, as servers do.
        let switches = self.client.capabilities.contains(Capabilities::PLUGIN_AUTH);
        let nonce = (!switches).then_some(self.login.nonce);
        let account =
            match services.accounts.authenticate(framed, &mut self.sequence, nonce, claim).await {
                Ok(account) => account,
                Err(AuthError::Refused(error)) => {
                    // As servers do: who fails to change user is shown out.
                    let _ = self.reply_error(error).await;
                    return Err(End::Abort);
                }
                Err(AuthError::Lost) => return Err(End::Quit),
            };
        self.login.user = Arc::clone(&account.name);
        let database = match (change.database, &account.keyspace) {
            (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
            (named, _) => named.to_vec(),
        };
        let names = change.collation.map_or_else(|| self.login.names.clone(), names_of_collation);
        self.reset_session(names, Vec::new()).await;
        self.login.database.clone_from(&database);
        if database.is_empty() {
            self.reply_ok(0).await
        } else {
            self.enter_database(&database).await
        }
    }

    /// Puts the session into the state after login.
    async fn reset_session(&mut self, names: Names, database: Vec<u8>) {
        self.detach_all().await;
        self.prepared.clear();
        self.profile = Profile::of(self.client.capabilities);
        self.login.names = names.clone();
        let settings = Arc::new(Settings::new(names));
        let region = self.services.geography.region_of(&self.login.host);
        let reading = Reading::new(region, u64::from(self.registered.control().id));
        self.state = State::new(settings, database, reading);
        self.state.warnings = Warnings::None;
    }

    async fn enter_database(&mut self, name: &[u8]) -> Result<(), End> {
        self.use_database(name).await
    }
}

/// The character set that a client asks for by the number of a collation.
pub fn names_of_collation(id: u16) -> Names {
    match Collation::by_id(id) {
        Some(collation) => Names {
            charset: collation.charset.name.into(),
            // Collations of MySQL 8 are unknown to MariaDB; the default of the same character set
            // is what it falls back to.
            collation: (!collation.name.contains("0900")).then(|| collation.name.into()),
        },
        None => Names { charset: "utf8mb4".into(), collation: None },
    }
}
