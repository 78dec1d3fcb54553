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

use super::answer::{Answer, End, Ran, Stop};
use super::consistency::Reading;
use super::prepared::Executed;
use super::query::Request;
use super::reply::Rows;
use super::state::State;
use super::statement_counts::StatementCounts;
use super::stream::Front;
use super::use_database::init_db;
use super::{Judges, Services, Session};

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
        self.sequence = self.login.sequence;
        self.failed = false;
        let ran = self.log_in().await;
        if self.tell(ran).await.is_err() || self.failed {
            return self.finish().await;
        }
        loop {
            self.note_patience();
            let control = self.registered.control();
            control.set_idle(self.services.registry.seconds());
            if self.attached.is_empty() {
                control.set_thread(0);
            }
            let incoming = match self.next_command().await {
                Ok(incoming) => incoming,
                Err(stop) => {
                    let _ = self.tell(Err(stop)).await;
                    break;
                }
            };
            let control = self.registered.control();
            control.set_busy();
            control.clear_query();
            let ran = match incoming {
                Incoming::Whole(packet) => self.command(packet).await,
                Incoming::Long { kind } => self.stream_statement(kind).await,
            };
            if self.tell(ran).await.is_err() {
                break;
            }
            if !self.in_transaction() {
                self.generation.release();
            }
        }
        self.finish().await;
    }

    /// Answers the login: with what the client asked to begin with, a keyspace that is proven like
    /// one of USE; a wrong one ends the session.
    async fn log_in(&mut self) -> Ran {
        let names = self.names_of_collation(u16::from(self.login.collation)).await?;
        self.enter_names(names);
        self.ignore_spaces();
        if self.login.database.is_empty() {
            return Ok(Answer::ok(0));
        }
        let name = std::mem::take(&mut self.state.database);
        self.enter_database(&name).await
    }

    /// Gives everything back.
    async fn finish(mut self) {
        self.detach_all().await;
        let session = self.registered.control().id;
        // Who sees the connection closed finds the session gone.
        drop(self.registered);
        self.client.framed.close().await;
        refresh_used(&self.services, self.worker, session).await;
    }

    /// Waits for the next command, unless the session is interrupted first.
    async fn next_command(&mut self) -> Result<Incoming, Stop> {
        let limit = self.services.limits.statement_bytes_max;
        let mut is_looked_at = false;
        loop {
            if let Some(interrupt) = self.due_interrupt() {
                return Err(self.show_out(interrupt));
            }
            match self.look_at_front(is_looked_at) {
                Front::Wait => {}
                Front::Stream { kind } => return Ok(Incoming::Long { kind }),
                Front::Buffer => {
                    is_looked_at = self.client.framed.announced().is_some();
                    match self.client.framed.buffered_packet(limit) {
                        Ok(Some(packet)) => {
                            return self.in_sequence(packet).map(Incoming::Whole);
                        }
                        Ok(None) => {}
                        Err(error) => return Err(self.unreadable(&error)),
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
                return Err(End::Quit.into());
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

    fn show_out(&mut self, interrupt: Interrupt) -> Stop {
        self.sequence = 0;
        let error = match interrupt {
            Interrupt::Drain => catalog::SHUTTING_DOWN.error(),
            Interrupt::Idle => {
                tracing::info!(id = self.registered.control().id, "a client was idle for too long");
                match self.idle_error() {
                    Some(error) => error,
                    None => return End::Abort.into(),
                }
            }
            // As servers do, which just close.
            Interrupt::Connection | Interrupt::Query => return End::Abort.into(),
        };
        Stop::fatal(error)
    }

    /// Every command begins a new sequence.
    fn in_sequence(&mut self, packet: Packet) -> Result<Packet, Stop> {
        if packet.sequence == 0 {
            return Ok(packet);
        }
        self.sequence = packet.sequence.wrapping_add(1);
        Err(Stop::fatal(catalog::OUT_OF_ORDER.error()))
    }

    fn unreadable(&mut self, error: &ReadError) -> Stop {
        self.sequence = 1;
        let error = match error {
            ReadError::TooLong { limit } => {
                catalog::PACKET_TOO_LARGE.with(&[&format!("{limit} bytes")])
            }
            ReadError::OutOfOrder => catalog::OUT_OF_ORDER.error(),
            ReadError::Closed | ReadError::Io(_) => return End::Quit.into(),
        };
        Stop::fatal(error)
    }

    /// Does one command.
    async fn command(&mut self, packet: Packet) -> Ran {
        self.client.command = Some(packet);
        self.sequence = crate::backend::first_answer_sequence(packet.len);
        self.rows = Rows::Text;
        self.attributes.clear();
        let command = match Command::parse(self.client.framed.payload(packet)) {
            Ok(command) => command,
            Err(error) => return Err(malformed(&error.to_string())),
        };
        self.statement_counts.command(&command);
        match command {
            Command::Query(_) => self.query(packet).await,
            Command::StmtExecute(_) => match self.execute(packet).await? {
                Executed::Answered(answer) => Ok(answer),
                Executed::AsText(request) => self.text_statement(request).await,
            },
            Command::StmtPrepare(_) => self.prepare(packet).await,
            Command::Quit => Err(End::Quit.into()),
            Command::StmtClose(id) => {
                let id = self.prepared.named_by(id);
                self.client.drop_command();
                self.statement_counts.close += u64::from(self.prepared.get(id).is_some());
                self.close_statement(id).await;
                Ok(Answer::Sent)
            }
            Command::StmtSendLongData { id, param, data } => {
                let data = data.to_vec();
                self.client.drop_command();
                let id = self.prepared.named_by(id);
                self.long_data(id, param, &data);
                Ok(Answer::Sent)
            }
            Command::InitDb(name) => {
                let name = name.to_vec();
                self.client.drop_command();
                self.use_database(&name, init_db(&name)).await
            }
            Command::ChangeUser(_) => self.change_user(packet).await,
            Command::FieldList { .. } => self.forward(packet, Expect::FieldList).await,
            Command::Ping => Ok(self.alive()),
            Command::ResetConnection => {
                self.reset_keeping_database().await;
                Ok(Answer::ok(0))
            }
            Command::SetOption(option) => Ok(self.set_option(option)),
            Command::Statistics => Ok(self.statistics().await),
            Command::StmtBulkExecute(_) => self.bulk_execute(packet).await,
            Command::StmtReset(id) => {
                let id = self.prepared.named_by(id);
                self.client.drop_command();
                self.reset_statement(id).await
            }
            Command::ProcessKill(id) => {
                self.client.drop_command();
                let target = crate::sql::control::kill::KillTarget::Connection;
                self.kill(target, u64::from(id)).await
            }
            Command::StmtFetch { id, rows } => {
                let id = self.prepared.named_by(id);
                self.fetch(packet, id, rows).await
            }
            Command::Debug => self.forward(packet, Expect::OkOrErr).await,
            Command::Unknown(code::REFRESH) => self.refresh_command(packet).await,
            Command::Unknown(PROCESS_INFO) => {
                self.client.drop_command();
                let text = [b"\x03".as_slice(), b"SHOW PROCESSLIST"].concat();
                self.text_statement(Request::Payload(text)).await
            }
            Command::Unknown(code) => Err(unknown_command(code)),
        }
    }

    fn set_option(&mut self, option: MultiStatements) -> Answer {
        let multi = Capabilities::MULTI_STATEMENTS;
        match option {
            MultiStatements::On => self.client.capabilities.insert(multi),
            MultiStatements::Off => self.client.capabilities.remove(multi),
        }
        self.write_end();
        Answer::Buffered
    }

    /// Runs a statement of Geogate's own text.
    async fn text_statement(&mut self, request: Request) -> Ran {
        let mut scan = std::mem::take(&mut self.scan);
        let understood = scan.run(request.text(&self.client), self.state.lex_mode).is_ok();
        self.scan = scan;
        self.statement(request, understood).await
    }

    /// Puts the session into the state after login, but for the database: as servers do.
    pub(super) async fn reset_keeping_database(&mut self) {
        let database = std::mem::take(&mut self.state.database);
        let target = self.state.target.clone();
        self.reset_session(self.names.clone(), database).await;
        self.state.target = target;
    }

    /// Forwards a command that is not a statement.
    async fn forward(&mut self, packet: Packet, expect: Expect) -> Ran {
        self.forward_to(packet, expect, Judges::Any).await
    }

    pub(super) async fn forward_to(
        &mut self,
        packet: Packet,
        expect: Expect,
        judges: Judges,
    ) -> Ran {
        let request = Request::Packet(packet);
        self.begin_stake();
        let topology = self.services.topology().clone();
        let (placement, database) = self.any_server(&topology, judges)?;
        let index = self.attach(placement, &database, false).await?;
        let outcome = self.exchange(index, &request, expect).await?;
        self.settle(index, &outcome).await;
        Ok(Answer::Sent)
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

    pub(super) async fn enter_database(&mut self, name: &[u8]) -> Ran {
        self.use_database(name, init_db(name)).await
    }
}

/// Why a command that is not known is not done.
pub(super) fn unknown_command(code: u8) -> Stop {
    catalog::UNKNOWN_COMMAND.with(&[&format!("0x{code:02x}")]).into()
}

/// A command whose fields make no sense: told, and the connection closed.
pub(super) fn malformed(what: &str) -> Stop {
    Stop::fatal(catalog::MALFORMED_PACKET.with(&[&what]))
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
