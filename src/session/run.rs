//! The life of a session: read a command, do it, until the client or the proxy ends it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::backend::Names;
use crate::error::catalog;
use crate::executor::registry::Interrupt;
use crate::executor::relay::StateMarks;
use crate::net::{Packet, ReadError};
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;
use crate::wire::command::{Command, MultiStatements, code};
use crate::wire::scanner::Expect;

use super::consistency::Reading;
use super::query::Request;
use super::state::State;
use super::statement_counts::StatementCounts;
use super::stream::Front;
use super::use_database::init_db;
use super::{End, Judges, Services, Session};

/// COM_PROCESS_INFO, which old clients send for SHOW PROCESSLIST.
const PROCESS_INFO: u8 = 0x0a;

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
        match self.names_of_collation(u16::from(self.login.collation)).await {
            Ok(names) => {
                self.enter_names(names);
                self.ignore_spaces();
            }
            Err(error) => {
                self.sequence = self.login.sequence;
                let _ = self.reply_error(error).await;
                return self.finish().await;
            }
        }
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
            self.note_patience();
            let control = self.registered.control();
            control.set_idle(self.services.registry.seconds());
            if self.attached.is_empty() {
                control.set_thread(0);
            }
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
        let session = self.registered.control().id;
        drop(self.registered);
        refresh_used(&self.services, self.worker, session).await;
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
            Interrupt::Idle => {
                tracing::info!(id = self.registered.control().id, "a client was idle for too long");
                match self.idle_error() {
                    Some(error) => error,
                    None => return End::Abort,
                }
            }
            // As servers do, which just close.
            Interrupt::Connection | Interrupt::Query => return End::Abort,
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
        self.attributes.clear();
        let command = match Command::parse(self.client.framed.payload(packet)) {
            Ok(command) => command,
            Err(malformed) => return self.malformed(packet, &malformed.to_string()).await,
        };
        self.statement_counts.command(&command);
        match command {
            Command::Query(_) => self.query(packet).await,
            Command::StmtExecute(_) => self.execute(packet).await,
            Command::StmtPrepare(_) => self.prepare(packet).await,
            Command::Quit => Err(End::Quit),
            Command::StmtClose(id) => {
                let id = self.prepared.named_by(id);
                self.client.framed.consume_packet(packet);
                self.statement_counts.close += u64::from(self.prepared.get(id).is_some());
                self.close_statement(id).await;
                Ok(())
            }
            Command::StmtSendLongData { id, param, data } => {
                let data = data.to_vec();
                self.client.framed.consume_packet(packet);
                let id = self.prepared.named_by(id);
                self.long_data(id, param, &data);
                Ok(())
            }
            Command::InitDb(name) => {
                let name = name.to_vec();
                self.client.framed.consume_packet(packet);
                self.use_database(&name, init_db(&name)).await
            }
            Command::ChangeUser(_) => self.change_user(packet).await,
            Command::FieldList { .. } => self.forward(packet, Expect::FieldList).await,
            Command::Ping => {
                self.client.framed.consume_packet(packet);
                self.reply_alive().await
            }
            Command::ResetConnection => self.reset_connection(packet).await,
            Command::SetOption(option) => self.set_option(packet, option).await,
            Command::Statistics => {
                self.client.framed.consume_packet(packet);
                self.reply_statistics().await
            }
            Command::StmtBulkExecute(_) => self.bulk_execute(packet).await,
            Command::StmtReset(id) => {
                let id = self.prepared.named_by(id);
                self.client.framed.consume_packet(packet);
                self.reset_statement(id).await
            }
            Command::ProcessKill(id) => {
                self.client.framed.consume_packet(packet);
                let target = crate::sql::control::kill::KillTarget::Connection;
                self.kill(target, u64::from(id)).await
            }
            Command::StmtFetch { id, rows } => {
                let id = self.prepared.named_by(id);
                self.fetch(packet, id, rows).await
            }
            Command::Debug => self.forward(packet, Expect::OkOrErr).await,
            Command::Unknown(code::REFRESH) => self.refresh_command(packet).await,
            Command::Unknown(PROCESS_INFO) => self.process_info(packet).await,
            Command::Unknown(code) => self.unknown_command(packet, code).await,
        }
    }

    async fn set_option(&mut self, packet: Packet, option: MultiStatements) -> Result<(), End> {
        let multi = Capabilities::MULTI_STATEMENTS;
        match option {
            MultiStatements::On => self.client.capabilities.insert(multi),
            MultiStatements::Off => self.client.capabilities.remove(multi),
        }
        self.client.framed.consume_packet(packet);
        self.reply_end().await
    }

    async fn process_info(&mut self, packet: Packet) -> Result<(), End> {
        self.client.framed.consume_packet(packet);
        let text = b"SHOW PROCESSLIST";
        let understood = self.scan.run(text, self.state.lex_mode).is_ok();
        let request = Request::Payload([b"\x03", &text[..]].concat());
        self.statement(request, understood).await
    }

    async fn reset_connection(&mut self, packet: Packet) -> Result<(), End> {
        self.reset_keeping_database().await;
        self.client.framed.consume_packet(packet);
        self.reply_ok(0).await
    }

    /// Puts the session into the state after login, but for the database: as servers do.
    pub(super) async fn reset_keeping_database(&mut self) {
        let database = std::mem::take(&mut self.state.database);
        let target = self.state.target.clone();
        self.reset_session(self.names.clone(), database).await;
        self.state.target = target;
    }

    pub(super) async fn unknown_command(&mut self, packet: Packet, code: u8) -> Result<(), End> {
        let error = catalog::UNKNOWN_COMMAND.with(&[&format!("0x{code:02x}")]);
        self.refuse(&Request::Packet(packet), error).await
    }

    /// A command whose fields make no sense: told, and the connection closed.
    pub(super) async fn malformed(&mut self, packet: Packet, what: &str) -> Result<(), End> {
        let error = catalog::MALFORMED_PACKET.with(&[&what]);
        let _ = self.refuse(&Request::Packet(packet), error).await;
        Err(End::Abort)
    }

    /// Forwards a command that is not a statement.
    async fn forward(&mut self, packet: Packet, expect: Expect) -> Result<(), End> {
        self.forward_to(packet, expect, Judges::Any).await
    }

    pub(super) async fn forward_to(
        &mut self,
        packet: Packet,
        expect: Expect,
        judges: Judges,
    ) -> Result<(), End> {
        let request = Request::Packet(packet);
        self.begin_stake();
        let topology = self.services.topology().clone();
        let (placement, database) = match self.any_server(&topology, judges) {
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

    /// Puts the session into the state after login.
    pub(super) async fn reset_session(&mut self, names: Names, database: Vec<u8>) {
        self.detach_all().await;
        if !self.prepared.by_name.is_empty() {
            let session = self.registered.control().id;
            refresh_used(&self.services, self.worker, session).await;
        }
        self.prepared.clear();
        self.statement_counts = StatementCounts::default();
        self.state_marks = StateMarks::Dropped;
        let attributes = &self.registered.control().attributes;
        self.profile = self.services.profile(self.client.capabilities, attributes);
        self.names = names.clone();
        let settings = Arc::new(self.services.first_settings(names));
        let region = self.services.geography.region_of(&self.login.host);
        let reading = Reading::new(region, u64::from(self.registered.control().id));
        self.state = State::new(settings, database, reading);
        self.state.lex_mode.versions = self.services.versions();
        self.ignore_spaces_again();
        self.diagnosed.clear();
        self.last_values.clear();
    }

    /// Begins with a character set.
    pub(super) fn enter_names(&mut self, names: Names) {
        self.names = names.clone();
        self.state.enter_settings(Arc::new(self.services.first_settings(names)));
        self.ignore_spaces_again();
    }

    pub(super) async fn enter_database(&mut self, name: &[u8]) -> Result<(), End> {
        self.use_database(name, init_db(name)).await
    }
}

/// Resets what a session has used, so that SHOW STATUS of the next one begins at zero as on a
/// server. Nobody waits for it.
async fn refresh_used(services: &Services, worker: usize, session: u32) {
    let topology = services.topology.load_full();
    let Some(shard) = topology.single_server() else { return };
    for server in topology.holders(shard) {
        let pool = &services.pools[server.index()];
        while let Some(mut lease) = pool.reclaim_worn(worker, session) {
            if lease.reset().await.is_ok() {
                lease.release();
            }
        }
    }
}
