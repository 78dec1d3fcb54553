//! COM_QUERY: the steps of a statement.

use std::sync::Arc;

use crate::backend::{Connection, Failure, Need, Several};
use crate::error::{SqlError, catalog};
use crate::executor::registry;
use crate::executor::relay::{AnswerEnd, Client};
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

use super::Session;
use super::answer::{Answer, Instead, Ran, Way, Went};
use super::attached::Index;
use super::builtin;
use super::connections::Connections;
use super::consistency;
use super::databases;
use super::definition;
use super::diagnostics;
use super::exchange;
use super::exchange::Exchanged;
use super::fill_in;
use super::fill_in::asks_session;
use super::hold;
use super::hold::{Read, StateChanged};
use super::inspect;
use super::kill;
use super::last_values;
use super::mirror::Mirror;
use super::named_at_server;
use super::own_variables;
use super::planned;
use super::planned::{OneShard, Statement};
use super::several::{self, Split};
use super::state::State;
use super::table_locks;
use super::tally;
use super::text_prepared;
use super::transaction;
use super::use_database;
use super::variables;

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

impl Request {
    /// The text of the statement.
    pub(super) fn text<'a>(&'a self, client: &'a Client) -> &'a [u8] {
        match self {
            Self::Packet(packet) => client.text(*packet),
            Self::Payload(payload) => &payload[1..],
            Self::Execution(execution) => &execution.text,
        }
    }
}

/// ER_OPTION_PREVENTS_STATEMENT (`read_only`) and ER_READ_ONLY_MODE.
const READ_ONLY_SERVER: &[u16] = &[1290, 1836];

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self, packet: Packet) -> Ran {
        if self.client.sends_attributes()
            && self.client.attributes.read_query(self.client.framed.payload(packet)).is_err()
        {
            return Err(malformed_attributes().into());
        }
        let text = self.client.text(packet);
        let scanned = self.state.scan.run(text, self.connections.mirror.lex_mode);
        if scanned.is_ok() && (self.state.scan.end() as usize) < text.len() {
            let several = several::split(text, &self.state.scan);
            if several != Split::Only {
                return self.several_statements(packet, several).await;
            }
        }
        let understood = scanned.is_ok();
        self.statement(Request::Packet(packet), understood).await
    }

    /// One statement, which has been scanned.
    pub(super) async fn statement(&mut self, request: Request, understood: bool) -> Ran {
        let (kind, features) = if understood {
            (self.state.scan.kind(), self.state.scan.features())
        } else {
            (StatementKind::Other, Features::NONE)
        };
        tally::begin_tally(&mut self.connections, &mut self.state, kind);
        let result = self.answer_statement(request, kind, features).await;
        tally::end_tally(&self.connections, &mut self.state);
        result
    }

    pub(super) async fn answer_statement(
        &mut self,
        request: Request,
        kind: StatementKind,
        features: Features,
    ) -> Ran {
        if !features.contains(Features::FOUND_ROWS) && !self.connections.attached.is_empty() {
            self.connections.drop_held().await;
        }
        self.connections.go_to_counts(features);
        named_at_server::go_to_names(&mut self.connections, &self.prepared, kind);
        if features.contains(Features::LAST_VALUE) {
            let text = request.text(&self.client).to_vec();
            last_values::go_to_last_values(
                &mut self.client,
                &mut self.connections,
                &mut self.state,
                &text,
            )
            .await?;
        }
        if changes_own_account(
            request.text(&self.client),
            self.connections.mirror.lex_mode,
            &self.state.scan,
        ) {
            return Err(catalog::OWN_ACCOUNT.error().into());
        }
        let (text, mode) = (request.text(&self.client), self.connections.mirror.lex_mode);
        let read = Some(Read { text, mode, scan: &self.state.scan });
        hold::note_pending(&mut self.connections, &self.state.database, kind, features, read);
        if self.state.scan.has_own_settings() {
            self.connections.pending.get_or_insert_default().explains_change = true;
        }
        if kind == StatementKind::Kill || kind == StatementKind::Set {
            let text = request.text(&self.client).to_vec();
            if let Some(filled) =
                fill_in::filled(&mut self.connections, &self.state, &text, features).await
            {
                self.client.drop_command();
                if self.state.scan.run(&filled, self.connections.mirror.lex_mode).is_ok() {
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
    ) -> Ran {
        let text = request.text(&self.client);
        let asks = features.contains(Features::SYSTEM_VARIABLE) && asks_for_warnings(text);
        let about_session =
            control::parse(text, self.connections.mirror.lex_mode, &self.state.scan);
        if let Ok(Some(control)) = about_session {
            return match self.control_statement(&request, control).await? {
                Way::Answered(answer) => Ok(answer),
                Way::Servers(kind, features) => {
                    run_statement(
                        &mut self.client,
                        &mut self.connections,
                        &mut self.state,
                        request,
                        kind,
                        features,
                    )
                    .await
                }
                Way::Instead(text) => Box::pin(self.run_instead(text)).await,
            };
        }
        if let Some(builtin) = builtin::builtin(&self.connections, &self.state, text, features) {
            self.connections.forget_warnings();
            return Ok(builtin.answer());
        }
        if let Some(answer) = own_variables::select_own_variables(
            &self.connections.services,
            &self.connections.mirror,
            &self.state,
            text,
            features,
        ) {
            return Ok(answer);
        }
        if asks {
            self.connections.go_to_warnings();
        }
        if kind == StatementKind::Diagnostics {
            diagnostics::go_to_diagnostics(
                &mut self.client,
                &mut self.connections,
                &mut self.state,
            )
            .await?;
        }
        run_statement(
            &mut self.client,
            &mut self.connections,
            &mut self.state,
            request,
            kind,
            features,
        )
        .await
    }

    /// A statement about the session rather than about rows.
    async fn control_statement(&mut self, request: &Request, control: Control) -> Went {
        match control {
            Control::Transaction(mut statement) => {
                if let Some(savepoint) = statement.savepoint_mut() {
                    self.connections
                        .mirror
                        .read_savepoint(savepoint, request.text(&self.client))?;
                }
                self.client.drop_command();
                transaction::transaction_statement(
                    &mut self.client,
                    &mut self.connections,
                    &self.state,
                    statement,
                )
                .await
                .map(Way::Answered)
            }
            Control::Set(set) => variables::set(
                &mut self.client,
                &mut self.connections,
                &mut self.state,
                request,
                &set,
            )
            .await
            .map(Way::Answered),
            Control::Use(_) => {
                let text = request.text(&self.client).to_vec();
                self.client.drop_command();
                let name =
                    use_target::argument(&text, self.connections.mirror.lex_mode, &self.state.scan);
                let command = [&[code::QUERY], &text[..]].concat();
                use_database::use_database(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    &name,
                    command,
                )
                .await
                .map(Way::Answered)
            }
            Control::Kill(kill) => {
                kill::kill_statement(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    request,
                    kill,
                )
                .await
            }
            Control::Show(show) => {
                builtin::show(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    request,
                    &show,
                )
                .await
            }
            Control::Prepared(statement) => {
                text_prepared::text_prepared(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    &mut self.prepared,
                    request,
                    statement,
                )
                .await
            }
            Control::Explain(explain) => {
                inspect::explain(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    request,
                    explain,
                )
                .await
            }
            Control::Database(statement) => {
                databases::database_statement(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    request,
                    statement,
                )
                .await
            }
            Control::TableLocks(statement) => {
                table_locks::table_locks(
                    &mut self.client,
                    &mut self.connections,
                    &self.state,
                    request,
                    statement,
                )
                .await
            }
        }
    }

    /// Runs a text in the place of the client's statement: its tables are found where they were
    /// when it was prepared.
    async fn run_instead(&mut self, Instead { text, target }: Instead) -> Ran {
        let now = std::mem::replace(&mut self.state.target, target.clone());
        let understood = self.state.scan.run(&text, self.connections.mirror.lex_mode).is_ok();
        let (kind, features) = if understood {
            (self.state.scan.kind(), self.state.scan.features())
        } else {
            (StatementKind::Other, Features::NONE)
        };
        let payload = [&[code::QUERY], &text[..]].concat();
        let ran = self.answer_statement(Request::Payload(payload), kind, features).await;
        // Only USE moves the target, and no statement that can be prepared is one.
        if self.state.target == target {
            self.state.target = now;
        }
        ran
    }
}

impl Mirror {
    /// Reads the name of a savepoint, which servers compare in UTF-8, in the client's charset.
    fn read_savepoint(&self, name: &mut Ident, text: &[u8]) -> Result<(), SqlError> {
        let written = text.get(name.span.start as usize..name.span.end as usize);
        let written = written.unwrap_or_default();
        if written.is_ascii() {
            return Ok(());
        }
        let sets = &self.character_sets;
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
}

/// Runs a statement on the servers.
pub(super) async fn run_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: Request,
    kind: StatementKind,
    features: Features,
) -> Ran {
    let single = connections.mode.only();
    let fills = match single {
        Some(_) => asks_session(features),
        None => features.contains(Features::SYSTEM_VARIABLE),
    };
    let request = if fills {
        fill_in::filled_request(client, connections, state, request, features).await
    } else {
        request
    };
    let Some(shard) = single else {
        return route_statement(client, connections, state, request, kind, features).await;
    };
    state.tally.query.route = Route::PassThrough;
    let hints = consistency::hints(
        &connections.services,
        &connections.mirror,
        state,
        request.text(client),
        features,
    )?;
    let access = geo::access(kind, features);
    let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
    let (index, outcome) = loop {
        let database = std::mem::take(&mut state.database);
        let attached = consistency::attach_placed(
            client,
            connections,
            state,
            shard,
            access,
            hints.as_ref(),
            &database,
            wants_insert_id,
        )
        .await;
        state.database = database;
        let index = attached?;
        if let Err(failure) = allow_several(client, connections, state, index, &request).await {
            let error = connections.fail(index, failure).await;
            return Err(error.into());
        }
        let defines = definition::defines_stored(&connections.services, kind, features);
        let end = if defines { AnswerEnd::Kept } else { AnswerEnd::Forwarded };
        match exchange::exchange_once(client, connections, index, &request, Expect::Query, end)
            .await?
        {
            Exchanged::Outcome(outcome) => break (index, outcome),
            Exchanged::Lost(lost)
                if exchange::runs_again(
                    connections,
                    state,
                    shard,
                    access,
                    hints.as_ref(),
                    &lost,
                ) => {}
            Exchanged::Lost(lost) => return Err(lost.error.into()),
        }
    };
    // What came after a stored program in the same command is not known.
    let ran_more = outcome.results > 1 && kind != StatementKind::Call;
    let kind = if ran_more { StatementKind::Other } else { kind };
    after_statement(connections, state, index, kind, features, &outcome).await;
    Ok(Answer::Buffered)
}

/// Lets the server find the end of a stored program and the statements after it, if the client
/// may send several.
async fn allow_several(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    index: Index,
    request: &Request,
) -> Result<(), Failure> {
    if !client.capabilities.contains(Capabilities::MULTI_STATEMENTS)
        || !(state.scan.is_program() || connections.mirror.oracle_mode)
        || !request.text(client).contains(&b';')
    {
        // All other commands have been taken apart.
        return Ok(());
    }
    connections.attached[index].lease.set_several(Several::Taken).await
}

/// Runs a statement where there are several servers.
async fn route_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: Request,
    kind: StatementKind,
    features: Features,
) -> Ran {
    if let Request::Packet(packet) = request
        && let Some(OneShard { shard, access, topology }) =
            planned::cached_route(client, connections, state, packet)
    {
        let database = topology.keyspace(shard.keyspace()).database.as_bytes();
        let wants_insert_id = features.contains(Features::LAST_INSERT_ID);
        loop {
            let attached = consistency::attach_placed(
                client,
                connections,
                state,
                shard,
                access,
                None,
                database,
                wants_insert_id,
            )
            .await;
            let index = attached?;
            let end = AnswerEnd::Forwarded;
            match exchange::exchange_once(client, connections, index, &request, Expect::Query, end)
                .await?
            {
                Exchanged::Outcome(outcome) => {
                    after_statement(connections, state, index, kind, features, &outcome).await;
                    return Ok(Answer::Sent);
                }
                Exchanged::Lost(lost)
                    if exchange::runs_again(connections, state, shard, access, None, &lost) => {}
                Exchanged::Lost(lost) => return Err(lost.error.into()),
            }
        }
    }
    let text = request.text(client).to_vec();
    client.drop_command();
    let mut scan = std::mem::take(&mut state.scan);
    // Prepared statements come with a scan of their own; this one is of this text.
    if let Err(error) = scan.run(&text, connections.mirror.lex_mode) {
        return Err(catalog::SYNTAX.with(&[&error]).into());
    }
    planned::run_planned(client, connections, state, Statement::text(text, scan)).await
}

/// What an answer means for the session.
pub(super) async fn after_statement(
    connections: &mut Connections,
    state: &mut State,
    index: Index,
    kind: StatementKind,
    features: Features,
    outcome: &Outcome,
) {
    if outcome.is_error() {
        state.row_count = -1;
    } else if outcome.columns > 0 {
        state.row_count = -1;
        state.found_rows = outcome.rows;
        state.tally.query.rows = outcome.rows;
    } else {
        state.row_count = outcome.affected_rows as i64;
    }
    connections.note_diagnostics(index, kind, features, outcome);
    last_values::note_last_values(connections, index, kind, features);
    let attached = &mut connections.attached[index];
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
        connections.control.set_database(&schema);
        state.database = schema;
    }
    attached.held = features.contains(Features::CALC_FOUND_ROWS);
    attached.insert_id_unknown |= may_hide_insert_id(kind, features, outcome);
    let keeps_state = !attached.holds.is_empty();
    if outcome.is_error() {
        let error = connections.attached[index].lease.last_error();
        tally::count_error(&connections.services, state, &error);
        if READ_ONLY_SERVER.contains(&error.errno) {
            // It was demoted since the monitor has looked.
            connections.services.monitor.recheck_all();
        }
    }
    if features.contains(Features::DATABASE_DEFINITION) && !outcome.is_error() {
        use_database::databases_changed(connections, state, index, kind).await;
    }
    if connections.pending.is_some() || state_changed == StateChanged::Yes || keeps_state {
        hold::leave_behind(connections, state, index, kind, state_changed, outcome).await;
    }
    connections.settle(index, outcome).await;
    if !outcome.is_error() && definition::defines_stored(&connections.services, kind, features) {
        definition::stored_programs_changed(&connections.services).await;
    }
    definition::columns_may_have_changed(connections, state, kind).await;
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
