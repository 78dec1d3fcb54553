//! COM_QUERY: the steps of a statement.

use std::sync::Arc;

use crate::backend::{Connection, Failure, Need, Several};
use crate::error::{SqlError, catalog};
use crate::executor::registry;
use crate::executor::relay::AnswerEnd;
use crate::geo;
use crate::net::Packet;
use crate::observe::Route;
use crate::sql::ast::Ident;
use crate::sql::control::{self, Control, use_target};
use crate::sql::features::Features;
use crate::sql::own_account::changes_own_account;
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::scanner::{Expect, Outcome};
use crate::wire::session_track::SessionChange;

use super::attached::Index;
use super::exchange::Exchanged;
use super::fill_in::asks_session;
use super::hold::{StateChanged, Text};
use super::planned::{OneShard, Statement};
use super::several::{self, Split};
use super::{End, Session};

/// Where the bytes of a command are.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// A packet in the client's read buffer, which can be forwarded as it is.
    Packet(Packet),
    /// A command payload of our own: command byte and argument.
    Payload(Vec<u8>),
    /// A statement without parameters that the client has prepared, to be executed as one.
    Execution(Execution),
}

/// An execution of a prepared statement without parameters.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    /// The statement.
    pub(super) text: Arc<[u8]>,
    /// The server statement that it needs.
    pub(super) need: Need,
}

/// ER_OPTION_PREVENTS_STATEMENT (`read_only`) and ER_READ_ONLY_MODE.
const READ_ONLY_SERVER: &[u16] = &[1290, 1836];

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self, packet: Packet) -> Result<(), End> {
        if self.client.sends_attributes()
            && self.attributes.read_query(self.client.framed.payload(packet)).is_err()
        {
            return self.refuse(&Request::Packet(packet), malformed_attributes()).await;
        }
        let text = self.client.text(packet);
        let scanned = self.scan.run(text, self.state.lex_mode);
        if scanned.is_ok() && (self.scan.end() as usize) < text.len() {
            let several = several::split(text, &self.scan);
            if several != Split::Only {
                return self.several_statements(packet, several).await;
            }
        }
        let understood = scanned.is_ok();
        self.statement(Request::Packet(packet), understood).await
    }

    /// One statement, which has been scanned.
    pub(super) async fn statement(
        &mut self,
        request: Request,
        understood: bool,
    ) -> Result<(), End> {
        let (kind, features) = if understood {
            (self.scan.kind(), self.scan.features())
        } else {
            (StatementKind::Other, Features::NONE)
        };
        self.begin_tally(kind);
        let result = self.answer_statement(request, kind, features).await;
        self.end_tally();
        result
    }

    pub(super) async fn answer_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        if !features.contains(Features::FOUND_ROWS) && !self.attached.is_empty() {
            self.drop_held().await;
        }
        self.go_to_counts(features);
        self.go_to_names(kind);
        if features.contains(Features::LAST_VALUE) {
            let text = self.text(&request).to_vec();
            if let Err(error) = self.go_to_last_values(&text).await {
                return self.refuse(&request, error).await;
            }
        }
        if changes_own_account(self.text(&request), self.state.lex_mode, &self.scan) {
            return self.refuse(&request, catalog::OWN_ACCOUNT.error()).await;
        }
        let source = match &request {
            Request::Packet(packet) => Text::Command(*packet),
            Request::Payload(payload) => Text::Payload(payload),
            Request::Execution(execution) => Text::Plain(&execution.text),
        };
        self.note_pending(kind, features, source);
        if self.scan.has_own_settings() {
            self.pending.get_or_insert_default().explains_change = true;
        }
        let text = match &request {
            Request::Packet(packet) => self.client.text(*packet),
            Request::Payload(payload) => &payload[1..],
            Request::Execution(execution) => &execution.text,
        };
        if kind == StatementKind::Kill || kind == StatementKind::Set {
            let text = text.to_vec();
            if let Some(filled) = self.filled(&text, features).await {
                self.consume(&request);
                if self.scan.run(&filled, self.state.lex_mode).is_ok() {
                    let request = Request::Payload([&[code::QUERY], &filled[..]].concat());
                    return Box::pin(self.answer_scanned(request, kind, features)).await;
                }
            }
        }
        self.answer_scanned(request, kind, features).await
    }

    /// The same after what only the session knows was written into it.
    async fn answer_scanned(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        let text = match &request {
            Request::Packet(packet) => self.client.text(*packet),
            Request::Payload(payload) => &payload[1..],
            Request::Execution(execution) => &execution.text,
        };
        let asks = features.contains(Features::SYSTEM_VARIABLE) && asks_for_warnings(text);
        let control = control::parse(text, self.state.lex_mode, &self.scan);
        if let Ok(Some(control)) = control {
            return self.control_statement(request, control).await;
        }
        if let Some(answer) = self.builtin(text, features) {
            self.consume(&request);
            return self.reply_builtin(answer).await;
        }
        if let Some(own) = self.select_own_variables(text, features) {
            self.consume(&request);
            return self.reply_own_variables(own).await;
        }
        if asks {
            self.go_to_warnings();
        }
        if kind == StatementKind::Diagnostics
            && let Err(error) = self.go_to_diagnostics().await
        {
            return self.refuse(&request, error).await;
        }
        self.run_statement(request, kind, features).await
    }

    /// A statement about the session rather than about rows.
    async fn control_statement(&mut self, request: Request, control: Control) -> Result<(), End> {
        match control {
            Control::Transaction(mut statement) => {
                if let Some(savepoint) = statement.savepoint_mut()
                    && let Err(error) = self.read_savepoint(savepoint, self.text(&request))
                {
                    return self.refuse(&request, error).await;
                }
                self.consume(&request);
                self.transaction_statement(statement).await
            }
            Control::Set(set) => self.set(request, &set).await,
            Control::Use(_) => {
                let text = self.text(&request).to_vec();
                self.consume(&request);
                let name = use_target::argument(&text, self.state.lex_mode, &self.scan);
                let command = [&[code::QUERY], &text[..]].concat();
                self.use_database(&name, command).await
            }
            Control::Kill(kill) => self.kill_statement(request, kill).await,
            Control::Show(show) => self.show(request, &show).await,
            Control::Prepared(statement) => self.text_prepared(request, statement).await,
            Control::Explain(explain) => self.explain(request, explain).await,
            Control::Database(statement) => self.database_statement(request, statement).await,
            Control::TableLocks(statement) => self.table_locks(request, statement).await,
        }
    }

    /// Runs a statement on the servers.
    pub(super) async fn run_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        let single = self.services.topology().single_server();
        let fills = match single {
            Some(_) => asks_session(features),
            None => features.contains(Features::SYSTEM_VARIABLE),
        };
        let request = if fills { self.filled_request(request, features).await } else { request };
        let Some(shard) = single else {
            return self.route_statement(request, kind, features).await;
        };
        self.tally.query.route = Route::PassThrough;
        let hints = match self.hints(self.text(&request), features) {
            Ok(hints) => hints,
            Err(error) => return self.refuse(&request, error).await,
        };
        let access = geo::access(kind, features);
        let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
        let (index, outcome) = loop {
            let database = std::mem::take(&mut self.state.database);
            let attached =
                self.attach_placed(shard, access, hints.as_ref(), &database, wants_insert_id).await;
            self.state.database = database;
            let index = match attached {
                Ok(index) => index,
                Err(error) => return self.refuse(&request, error).await,
            };
            if let Err(failure) = self.allow_several(index, &request).await {
                let error = self.fail(index, failure).await;
                return self.refuse(&request, error).await;
            }
            let defines = self.defines_stored(kind, features);
            let end = if defines { AnswerEnd::Kept } else { AnswerEnd::Forwarded };
            match self.exchange_once(index, &request, Expect::Query, end).await? {
                Exchanged::Outcome(outcome) => break (index, outcome),
                Exchanged::Told => return Ok(()),
                Exchanged::Lost(lost) if self.runs_again(shard, access, hints.as_ref(), &lost) => {}
                Exchanged::Lost(lost) => return self.refuse(&request, lost.error).await,
            }
        };
        // What came after a stored program in the same command is not known.
        let ran_more = outcome.results > 1 && kind != StatementKind::Call;
        let kind = if ran_more { StatementKind::Other } else { kind };
        self.after_statement(index, kind, features, &outcome).await;
        self.flush().await
    }

    /// Lets the server find the end of a stored program and the statements after it, if the client
    /// may send several.
    async fn allow_several(&mut self, index: Index, request: &Request) -> Result<(), Failure> {
        if !self.client.capabilities.contains(Capabilities::MULTI_STATEMENTS)
            || !(self.scan.is_program() || self.state.oracle_mode)
            || !self.text(request).contains(&b';')
        {
            // All other commands have been taken apart.
            return Ok(());
        }
        self.attached[index].lease.set_several(Several::Taken).await
    }

    /// Runs a statement where there are several servers.
    async fn route_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Result<(), End> {
        if let Request::Packet(packet) = request
            && let Some(OneShard { shard, access, topology }) = self.cached_route(packet)
        {
            let database = topology.keyspace(shard.keyspace()).database.as_bytes();
            let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
            loop {
                let attached =
                    self.attach_placed(shard, access, None, database, wants_insert_id).await;
                let index = match attached {
                    Ok(index) => index,
                    Err(error) => return self.refuse(&request, error).await,
                };
                let end = AnswerEnd::Forwarded;
                match self.exchange_once(index, &request, Expect::Query, end).await? {
                    Exchanged::Outcome(outcome) => {
                        self.after_statement(index, kind, features, &outcome).await;
                        return Ok(());
                    }
                    Exchanged::Told => return Ok(()),
                    Exchanged::Lost(lost) if self.runs_again(shard, access, None, &lost) => {}
                    Exchanged::Lost(lost) => return self.refuse(&request, lost.error).await,
                }
            }
        }
        let text = self.text(&request).to_vec();
        self.consume(&request);
        let mut scan = std::mem::take(&mut self.scan);
        // Prepared statements come with a scan of their own; this one is of this text.
        if let Err(error) = scan.run(&text, self.state.lex_mode) {
            return self.reply_error(catalog::SYNTAX.with(&[&error])).await;
        }
        self.run_planned(Statement::text(text, scan)).await
    }

    /// What an answer means for the session.
    pub(super) async fn after_statement(
        &mut self,
        index: Index,
        kind: StatementKind,
        features: Features,
        outcome: &Outcome,
    ) {
        if outcome.is_error() {
            self.state.row_count = -1;
        } else if outcome.columns > 0 {
            self.state.row_count = -1;
            self.state.found_rows = outcome.rows;
            self.tally.query.rows = outcome.rows;
        } else {
            self.state.row_count = outcome.affected_rows as i64;
        }
        self.note_diagnostics(index, kind, features, outcome);
        self.note_last_values(index, kind, features);
        let attached = &mut self.attached[index];
        let mut state_changed = StateChanged::No;
        let mut schema = None;
        for change in attached.lease.session_changes() {
            match change {
                Ok(SessionChange::Schema(name)) => schema = Some(name.to_vec()),
                Ok(SessionChange::State(b"1")) => state_changed = StateChanged::Yes,
                _ => {}
            }
        }
        if let Some(schema) = schema {
            attached.lease.note_database(&schema);
            self.registered.control().set_database(&schema);
            self.state.database = schema;
        }
        attached.held = features.contains(Features::CALC_FOUND_ROWS);
        attached.insert_id_unknown |= may_hide_insert_id(kind, features, outcome);
        let keeps_state = !attached.holds.is_empty();
        if outcome.is_error() {
            let error = self.attached[index].lease.last_error();
            self.count_error(&error);
            if READ_ONLY_SERVER.contains(&error.errno) {
                // It was demoted since the monitor has looked.
                self.services.monitor.recheck_all();
            }
        }
        if features.contains(Features::DATABASE_DEFINITION) && !outcome.is_error() {
            self.databases_changed(index, kind).await;
        }
        if self.pending.is_some() || state_changed == StateChanged::Yes || keeps_state {
            self.leave_behind(index, kind, state_changed, outcome).await;
        }
        self.settle(index, outcome).await;
        if !outcome.is_error() && self.defines_stored(kind, features) {
            self.stored_programs_changed().await;
        }
        self.columns_may_have_changed(kind).await;
    }

    /// The text of a COM_QUERY.
    pub(super) fn text<'a>(&'a self, request: &'a Request) -> &'a [u8] {
        match request {
            Request::Packet(packet) => self.client.text(*packet),
            Request::Payload(payload) => &payload[1..],
            Request::Execution(execution) => &execution.text,
        }
    }

    /// Drops a request that has been read.
    pub(super) fn consume(&mut self, request: &Request) {
        if let Request::Packet(packet) = request {
            self.client.framed.consume_packet(*packet);
        }
    }

    /// Reads the name of a savepoint, which servers compare in UTF-8, in the client's charset.
    fn read_savepoint(&self, name: &mut Ident, text: &[u8]) -> Result<(), SqlError> {
        let written = text.get(name.span.start as usize..name.span.end as usize);
        let written = written.unwrap_or_default();
        if written.is_ascii() {
            return Ok(());
        }
        let sets = &self.state.character_sets;
        if let Some(read) = sets.name(written) {
            name.text = match read.chars().next() {
                Some(quote @ ('`' | '"')) => {
                    let inner = &read[1..read.len() - 1];
                    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
                }
                _ => read.into_owned(),
            };
            return Ok(());
        }
        let what =
            format!("a savepoint's name that cannot be read in character set {}", sets.client());
        Err(catalog::UNSUPPORTED.advising(&[&what], "write the name in ASCII"))
    }

    /// An error of our own as an answer to a statement, with the request dropped.
    pub(super) async fn refuse(&mut self, request: &Request, error: SqlError) -> Result<(), End> {
        self.consume(request);
        self.reply_error(error).await
    }
}

/// Whether a text with system variables may have one about the last statement's warnings.
pub(super) fn asks_for_warnings(text: &[u8]) -> bool {
    let is = |name: &'static [u8]| move |part: &[u8]| part.eq_ignore_ascii_case(name);
    text.windows(13).any(is(b"warning_count")) || text.windows(11).any(is(b"error_count"))
}

/// Whether a statement may have changed LAST_INSERT_ID() without its answer telling so.
fn may_hide_insert_id(kind: StatementKind, features: Features, outcome: &Outcome) -> bool {
    let writes = matches!(kind, StatementKind::Insert | StatementKind::Replace);
    features.contains(Features::LAST_INSERT_ID)
        || matches!(
            kind,
            StatementKind::Call
                | StatementKind::Execute
                | StatementKind::Compound
                | StatementKind::Other
        )
        || writes && outcome.is_error()
}

/// Stops the statement that runs on a connection, over another one.
pub(super) fn kill_on_server(connection: &mut Connection) {
    kill_for(connection, None);
}

/// The same, and tells who waits for it at a session.
#[expect(
    clippy::disallowed_methods,
    reason = "it outlives the session, and ends with the server's answer or with its patience"
)]
pub(super) fn kill_for(connection: &mut Connection, session: Option<&Arc<registry::Control>>) {
    connection.note_kill();
    let session = session.cloned();
    let (dialer, thread_id) = (connection.dialer().clone(), connection.thread_id());
    tokio::spawn(async move {
        if let Err(error) = dialer.kill_query(thread_id).await {
            tracing::warn!(%error, "cannot kill a statement");
        }
        if let Some(session) = session {
            session.note_query_killed();
        }
    });
}

/// As MySQL says it, which goes on with the next packet.
pub(super) fn malformed_attributes() -> SqlError {
    SqlError::from_server(1835, *b"HY000", "Malformed communication packet.")
}
