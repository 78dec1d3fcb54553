//! The life of a session: read a command, do it, until the client or the proxy ends it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::backend::Names;
use crate::error::catalog;
use crate::executor::client::StateMarks;
use crate::executor::deadline::{self, Timer};
use crate::executor::deliver::SenderWait;
use crate::executor::registry::Interrupt;
use crate::executor::stalled::Servers;
use crate::net::{Packet, ReadError};
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;
use crate::wire::command::{Command, MultiStatements, code};

use super::answer::{Answer, End, Ran, Stop};
use super::attached;
use super::bulk;
use super::connections::Connections;
use super::consistency::Reading;
use super::cursors;
use super::execution::{self, Executed};
use super::kill;
use super::login_collation;
use super::long_texts;
use super::mirror::Mirror;
use super::patience;
use super::prepared;
use super::reply;
use super::request::{Source, Understood};
use super::server_commands;
use super::state::State;
use super::statement_timeout;
use super::stream;
use super::stream::Front;
use super::tally;
use super::use_database;
use super::use_database::init_db;
use super::{Services, Session};
use crate::executor::client::Client;
use crate::sql::control::kill::KillTarget;

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
        self.client.sequence = self.state.login.sequence;
        self.client.failed = false;
        let ran = self.log_in().await;
        if self.tell(ran).await.is_err() || self.client.failed {
            return self.finish().await;
        }
        let control = Arc::clone(&self.connections.control);
        let (services, worker) = (Arc::clone(&self.connections.services), self.connections.worker);
        let grace = self.connections.limits.statement_timeout_grace();
        let mut timer = Timer::default();
        loop {
            patience::note_patience(&self.client, &mut self.connections, &mut self.state);
            control.set_idle(self.connections.services.registry.seconds());
            if self.connections.attached.is_empty() {
                control.set_thread(0);
            }
            let incoming = match self.next_command().await {
                Ok(incoming) => incoming,
                Err(stop) => {
                    let _ = self.tell(Err(stop)).await;
                    break;
                }
            };
            control.set_busy();
            control.clear_query();
            statement_timeout::begin_time(&mut self.connections, self.state.statement_timeout);
            let ran = match incoming {
                Incoming::Whole(packet) if self.is_for_others(packet) => {
                    match Box::pin(self.command_elsewhere(packet)).await {
                        Some((session, ran)) => {
                            self = session;
                            ran
                        }
                        None => return,
                    }
                }
                incoming => {
                    let note = |stage| statement_timeout::note_stage(&services, worker, stage);
                    let command = pin!(self.incoming(incoming));
                    deadline::keep(&control, &mut timer, grace, note, command).await
                }
            };
            if let Ok(Answer::Sent) = ran {
                self.client.drop_command();
            } else if self.tell(ran).await.is_err() {
                break;
            }
            if std::mem::take(&mut self.client.has_waited) {
                self.connections.control.end_stall();
            }
            if !self.connections.in_transaction() {
                self.state.generation.release();
                if std::mem::take(&mut self.connections.has_savepoints) {
                    self.connections.note_held();
                }
            }
        }
        self.finish().await;
    }

    /// Does one command, or one that comes piece by piece.
    async fn incoming(&mut self, incoming: Incoming) -> Ran {
        let kind = match incoming {
            Incoming::Whole(packet) => return self.command(packet).await,
            Incoming::Long { kind } => kind,
        };
        let Self { client, connections, state, prepared, .. } = self;
        stream::stream_statement(client, connections, state, prepared, kind).await
    }

    /// Answers the login: with what the client asked to begin with, a keyspace that is proven like
    /// one of USE; a wrong one ends the session.
    async fn log_in(&mut self) -> Ran {
        let names = login_collation::names_of_collation(
            &mut self.client,
            &mut self.connections,
            &self.state,
            u16::from(self.state.login.collation),
        )
        .await?;
        enter_names(
            &self.connections.services,
            &mut self.client,
            &mut self.connections.mirror,
            &mut self.state,
            names,
        );
        login_collation::ignore_spaces(&self.client, &mut self.connections.mirror);
        if self.state.login.database.is_empty() {
            return Ok(Answer::ok(0));
        }
        let name = self.state.login.database.clone();
        enter_database(&mut self.client, &mut self.connections, &mut self.state, &name).await
    }

    /// Gives everything back.
    async fn finish(mut self) {
        attached::detach_all(&mut self.connections, &mut self.prepared).await;
        let session = self.connections.control.id;
        // Who sees the connection closed finds the session gone.
        drop(self.registered);
        if self.client.takes_nothing {
            self.client.framed.abort();
        } else {
            self.client.framed.close().await;
        }
        refresh_used(&self.connections.services, self.connections.worker, session).await;
    }

    /// Waits for the next command, unless the session is interrupted first.
    async fn next_command(&mut self) -> Result<Incoming, Stop> {
        let limit = self.connections.limits.statement_bytes_max;
        let mut is_looked_at = false;
        loop {
            if let Some(interrupt) = self.due_interrupt() {
                return Err(self.show_out(interrupt));
            }
            match stream::look_at_front(
                &self.connections.services,
                &self.connections.limits,
                &self.client,
                &self.connections.mirror,
                &mut self.state,
                is_looked_at,
            ) {
                Front::Wait => {}
                Front::Stream { kind } => return Ok(Incoming::Long { kind }),
                Front::Buffer => {
                    is_looked_at = self.client.framed.announced().is_some();
                    match self.client.framed.buffered_packet(limit) {
                        Ok(Some(packet)) => {
                            return self.in_sequence(packet).map(Incoming::Whole);
                        }
                        Ok(None) => {}
                        Err(error) => return Err(self.unreadable(&error).await),
                    }
                }
            }
            let in_transaction = self.connections.in_transaction();
            let (framed, control) = (&mut self.client.framed, &self.connections.control);
            let mut wait = SenderWait::new(control);
            let has_begun = !framed.buffered().is_empty();
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = framed.poll_fill(cx) {
                    return Poll::Ready(Some(read));
                }
                if has_begun {
                    wait.begin(Servers::new);
                }
                match control.poll_interrupt(cx) {
                    // It stays raised until the transaction ends.
                    Poll::Ready(Interrupt::Drain) if in_transaction => Poll::Pending,
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            match read.await {
                Some(Ok(0) | Err(_)) => return Err(End::Quit.into()),
                Some(Ok(count)) => self.client.has_waited |= wait.end(count),
                None => {}
            }
        }
    }

    /// What a session between two commands has to end for.
    fn due_interrupt(&self) -> Option<Interrupt> {
        let control = &self.connections.control;
        control.interrupt()?;
        // A KILL QUERY for an idle session is forgotten.
        control.clear_query();
        match control.interrupt()? {
            Interrupt::Drain if self.connections.in_transaction() => None,
            interrupt => Some(interrupt),
        }
    }

    fn show_out(&mut self, interrupt: Interrupt) -> Stop {
        self.client.sequence = 0;
        let error = match interrupt {
            Interrupt::Drain => catalog::SHUTTING_DOWN.error(),
            Interrupt::Idle => {
                tracing::info!(id = self.connections.control.id, "a client was idle for too long");
                match patience::idle_error(&self.connections.services) {
                    Some(error) => error,
                    None => return End::Abort.into(),
                }
            }
            Interrupt::Stalled => {
                self.client.sequence = 1;
                let limit = self.connections.limits.client_read_timeout_ms;
                catalog::HALF_COMMAND.with(&[&format!("{limit}")])
            }
            Interrupt::Memory => {
                let limit = self.connections.services.memory.process_max();
                let held = self.connections.control.account.used();
                catalog::MEMORY_GIVEN_BACK.with(&[&limit, &held])
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
        self.client.sequence = packet.sequence.wrapping_add(1);
        Err(Stop::fatal(catalog::OUT_OF_ORDER.error()))
    }

    #[cold]
    async fn unreadable(&mut self, error: &ReadError) -> Stop {
        self.client.sequence = 1;
        let error = match error {
            ReadError::TooLong { limit } => {
                // Who is still sending does not read, and would lose the error with the connection.
                if let Err(stop) = stream::read_over(&mut self.client, &self.connections).await {
                    return stop;
                }
                catalog::PACKET_TOO_LARGE.with(&[&format!("{limit} bytes")])
            }
            ReadError::OutOfOrder => catalog::OUT_OF_ORDER.error(),
            ReadError::Refused(error) => (**error).clone(),
            ReadError::Closed | ReadError::Io(_) => return End::Quit.into(),
        };
        Stop::fatal(error)
    }

    /// Does one command.
    pub(super) async fn command(&mut self, packet: Packet) -> Ran {
        self.client.begin_command(packet);
        if packet.len > long_texts::LONG {
            return Box::pin(self.long_command(packet)).await;
        }
        self.short_command(packet).await
    }

    /// Does a command that is worth to be asked what it will take.
    #[cold]
    async fn long_command(&mut self, packet: Packet) -> Ran {
        let payload = self.client.framed.payload(packet);
        let (mode, is_several) =
            (self.connections.mirror.lex_mode, self.connections.mode.is_several());
        let work = long_texts::work(payload, mode, is_several);
        let _work = match self.connections.control.account.reserve(work, "work on a long command") {
            Ok(work) => work,
            Err(error) => return Err(error.into()),
        };
        let ran = self.short_command(packet).await;
        // What it needed is not kept for shorter ones.
        self.state.scan = Scan::new();
        ran
    }

    async fn short_command(&mut self, packet: Packet) -> Ran {
        match self.client.framed.payload(packet).first() {
            Some(&code::QUERY) => self.query(packet).await,
            Some(&code::STMT_EXECUTE) => self.execute(packet).await,
            _ => Box::pin(self.other_command(packet)).await,
        }
    }

    /// COM_STMT_EXECUTE.
    async fn execute(&mut self, packet: Packet) -> Ran {
        self.state.statement_counts.execution();
        let Self { client, connections, state, prepared, .. } = self;
        match execution::execute(client, connections, state, prepared, packet).await? {
            Executed::Answered(answer) => Ok(answer),
            Executed::AsText(instead) => {
                let ran = Box::pin(self.run_instead(instead)).await;
                tally::end_tally(&self.connections, &mut self.state);
                ran
            }
        }
    }

    async fn other_command(&mut self, packet: Packet) -> Ran {
        let command = Command::parse(self.client.framed.payload(packet))
            .map_err(|error| malformed(&error.to_string()))?;
        self.state.statement_counts.command(&command);
        let data = match command {
            Command::InitDb(data) | Command::StmtSendLongData { data, .. } => data.to_vec(),
            _ => Vec::new(),
        };
        let command = command.detached();
        let Self { client, connections, state, prepared, .. } = self;
        match command {
            Command::Query(_) => self.query(packet).await,
            Command::StmtExecute(_) => self.execute(packet).await,
            Command::StmtPrepare(_) => {
                prepared::prepare(client, connections, state, prepared, packet).await
            }
            Command::Quit => Err(End::Quit.into()),
            Command::InitDb(_) => {
                client.drop_command();
                use_database::use_database(client, connections, state, &data, init_db(&data)).await
            }
            Command::ChangeUser(_) => self.change_user(packet).await,
            Command::ResetConnection => {
                self.reset_keeping_database().await;
                Ok(Answer::ok(0))
            }
            Command::StmtBulkExecute(_) => {
                bulk::bulk_execute(client, connections, state, prepared, packet).await
            }
            Command::Unknown(PROCESS_INFO) => {
                client.drop_command();
                self.text_statement(Source::query(b"SHOW PROCESSLIST")).await
            }
            Command::StmtClose(id) => {
                prepared::close_statement(connections, state, prepared, id).await;
                Ok(Answer::Sent)
            }
            Command::StmtSendLongData { id, param, .. } => {
                prepared::long_data(&connections.limits, prepared, id, param, &data);
                Ok(Answer::Sent)
            }
            Command::StmtReset(id) => prepared::reset_statement(connections, prepared, id).await,
            Command::StmtFetch { id, rows } => {
                cursors::fetch(client, connections, prepared, packet, id, rows).await
            }
            Command::ProcessKill(id) => {
                kill::kill(connections, state, KillTarget::Connection, u64::from(id)).await
            }
            Command::Ping => Ok(reply::alive(connections)),
            Command::SetOption(option) => Ok(set_option(client, connections, option)),
            Command::Statistics => {
                Ok(server_commands::statistics(client, connections, state).await)
            }
            Command::FieldList { .. } => {
                server_commands::list_fields(client, connections, state, packet).await
            }
            Command::Debug => server_commands::debug(client, connections, state, packet).await,
            Command::Unknown(code::REFRESH) => {
                server_commands::refresh_command(client, connections, state, packet).await
            }
            Command::Unknown(code) => Err(unknown_command(code)),
        }
    }

    /// Runs a text that no COM_QUERY brought.
    async fn text_statement(&mut self, source: Source) -> Ran {
        let text = source.text(&self.client);
        let scanned = self.state.scan.run(text, self.connections.mirror.lex_mode);
        let understood = Understood::of(&scanned);
        self.statement(source, understood).await
    }

    /// Puts the session into the state after login, but for the database: as servers do.
    pub(super) async fn reset_keeping_database(&mut self) {
        let database = std::mem::take(&mut self.state.database);
        let target = self.state.target.clone();
        self.reset_session(self.state.names.clone(), database).await;
        self.state.target = target;
    }

    /// Puts the session into the state after login.
    pub(super) async fn reset_session(&mut self, names: Names, database: Vec<u8>) {
        attached::detach_all(&mut self.connections, &mut self.prepared).await;
        if !self.prepared.by_name.is_empty() {
            let session = self.connections.control.id;
            refresh_used(&self.connections.services, self.connections.worker, session).await;
        }
        self.prepared.clear();
        self.client.state_marks = StateMarks::Dropped;
        let (services, control) = (&self.connections.services, &self.connections.control);
        let region = services.geography.region_of(&self.state.login.host);
        let reading = Reading::new(region, u64::from(control.id));
        let settings = services.first_settings(names.clone());
        let mirror = Mirror::new(settings, services.versions());
        let profile = services.profile(self.client.capabilities, &control.attributes);
        (self.connections.profile, self.connections.mirror) = (profile, mirror);
        self.state.reset(names, database, reading);
        self.state.statement_timeout =
            statement_timeout::first(&self.connections.services, &self.state.login.user);
        login_collation::ignore_spaces_again(
            &self.connections.services,
            &mut self.client,
            &mut self.connections.mirror,
        );
        self.connections.diagnosed.clear();
        self.connections.last_values.clear();
    }
}

fn set_option(client: &mut Client, connections: &Connections, option: MultiStatements) -> Answer {
    let multi = Capabilities::MULTI_STATEMENTS;
    match option {
        MultiStatements::On => client.capabilities.insert(multi),
        MultiStatements::Off => client.capabilities.remove(multi),
    }
    reply::write_end(client, connections);
    Answer::Buffered
}

/// Begins with a character set.
pub(super) fn enter_names(
    services: &Services,
    client: &mut Client,
    mirror: &mut Mirror,
    state: &mut State,
    names: Names,
) {
    state.names = names.clone();
    mirror.enter_settings(services.first_settings(names));
    login_collation::ignore_spaces_again(services, client, mirror);
}

pub(super) async fn enter_database(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    name: &[u8],
) -> Ran {
    use_database::use_database(client, connections, state, name, init_db(name)).await
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
