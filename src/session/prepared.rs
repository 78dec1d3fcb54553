//! Prepared statements of the binary protocol.
//!
//! The client's statement is a text with a number; servers prepare that text lazily, each
//! connection for itself, in a bounded cache. An execution is forwarded as it came with the
//! server's number put in. Parameter types that a client sends only once are remembered here and
//! sent again whenever they are missing, because another connection may get the execution.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::backend::{Need, Owner, ValueKind};
use crate::error::{Origin, SqlError, catalog};
use crate::executor::relay::Rows;
use crate::net::Packet;
use crate::observe::Route;
use crate::sql::control::{self, Control};
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::own_account::changes_own_account;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;
use crate::wire::command::code;
use crate::wire::cursor::Malformed;
use crate::wire::statement::{CURSOR_MASK, CURSOR_READ_ONLY, Execute, ExecuteHeader, Param};

use super::Services;
use super::answer::{Answer, Ran, Stop};
use super::builtin;
use super::connections::Connections;
use super::cursors;
use super::cursors::Cursor;
use super::diagnostics::is_diagnostic;
use super::exchange::{Exchanged, Tries};
use super::execute;
use super::execute::Handle;
use super::hold::{self, Read};
use super::judged;
use super::judged::Judged;
use super::last_values;
use super::mirror::Mirror;
use super::planned;
use super::planned::OneShard;
use super::prepared_under::PreparedUnder;
use super::query;
use super::query::{Execution, Request, asks_for_warnings, malformed_attributes};
use super::remembered::Remembered;
use super::reply;
use super::run::malformed;
use super::state::State;
use super::tally;
use super::text_prepared::Named;
use crate::executor::relay::Client;

/// The statements that a client has prepared.
#[derive(Debug)]
pub(super) struct Prepared {
    by_id: BTreeMap<u32, Statement>,
    /// Those of PREPARE in text, by name in lower case.
    pub(super) by_name: HashMap<String, Arc<Named>>,
    last_id: u32,
    /// The statement of the last COM_STMT_PREPARE, unless that failed.
    last: Option<u32>,
    max: usize,
    long_data_bytes: usize,
}

/// Why an execution is not begun.
#[derive(Debug)]
enum Unread {
    /// It is no execution.
    Malformed,
    /// It cannot be run.
    Refused(Box<SqlError>),
}

impl From<SqlError> for Unread {
    fn from(error: SqlError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// How an execution was done.
#[derive(Debug)]
pub(super) enum Executed {
    /// It is answered.
    Answered(Answer),
    /// It is about the session, so that it runs as a statement of text.
    AsText(Request),
}

/// A statement that a client has prepared.
#[derive(Debug)]
pub(super) struct Statement {
    text: Arc<[u8]>,
    /// The scan of the text; `None` if it is no sequence of tokens.
    scan: Option<Scan>,
    /// How it was scanned.
    mode: LexMode,
    pub(super) kind: StatementKind,
    pub(super) features: Features,
    pub(super) params: u16,
    /// The parameters of the last execution, whose types count until new ones come.
    pub(super) bound: Vec<Param>,
    pub(super) long_data: BTreeMap<u16, Vec<u8>>,
    /// Why a piece of long data was not taken; told at the next execution.
    long_data_error: Option<SqlError>,
    /// Its open cursor.
    pub(super) cursor: Option<Cursor>,
    /// What it was prepared under.
    pub(super) under: PreparedUnder,
    /// What servers remember with it.
    pub(super) remembered: Remembered,
}

impl Statement {
    /// The text; servers keep what is prepared for it while somebody holds it.
    pub(super) fn text(&self) -> Owner {
        Arc::clone(&self.text)
    }
}

impl Prepared {
    pub(super) fn new(max: usize) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_name: HashMap::new(),
            last_id: 0,
            last: None,
            max,
            long_data_bytes: 0,
        }
    }

    /// The statement that a client means: MariaDB's clients send an execution together with its
    /// COM_STMT_PREPARE, before they know the number, and mean the last one by the highest.
    pub(super) fn named_by(&self, id: u32) -> u32 {
        if id == u32::MAX { self.last.unwrap_or(id) } else { id }
    }

    /// Whether the client may prepare one more: `limits.client_statements_max`.
    pub(super) fn has_room(&self) -> Result<(), SqlError> {
        if self.by_id.len() + self.by_name.len() < self.max {
            return Ok(());
        }
        Err(SqlError::from_server(
            1461,
            *b"42000",
            format!(
                "Can't create more than max_prepared_stmt_count statements (current value: {})",
                self.max
            ),
        ))
    }

    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            // MariaDB's clients mean "the last one" by the highest number.
            if self.last_id != 0
                && self.last_id != u32::MAX
                && !self.by_id.contains_key(&self.last_id)
            {
                return self.last_id;
            }
        }
    }

    pub(super) fn clear_long_data(&mut self, id: u32) {
        if let Some(statement) = self.by_id.get_mut(&id) {
            let freed: usize = statement.long_data.values().map(Vec::len).sum();
            statement.long_data.clear();
            statement.long_data_error = None;
            self.long_data_bytes -= freed;
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Statement> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Statement> {
        self.by_id.get_mut(&id)
    }

    /// The text of a statement, which keeps what servers have prepared for it.
    pub(super) fn owner(&self, id: u32) -> Option<Owner> {
        self.get(id).map(Statement::text)
    }

    /// What a statement is, and what it uses.
    fn meaning(&self, id: u32) -> (StatementKind, Features) {
        let meaning = |statement: &Statement| (statement.kind, statement.features);
        self.get(id).map_or((StatementKind::Other, Features::NONE), meaning)
    }

    /// The statements with an open cursor.
    pub(super) fn with_cursor(&self) -> Vec<u32> {
        let open = self.by_id.iter().filter(|(_, statement)| statement.cursor.is_some());
        open.map(|(id, _)| *id).collect()
    }

    /// A statement's text and its scan, if that is how the session reads text now.
    pub(super) fn scanned(&self, id: u32, mode: LexMode) -> Option<(&[u8], &Scan)> {
        let statement = self.by_id.get(&id).filter(|statement| statement.mode == mode)?;
        Some((&statement.text, statement.scan.as_ref()?))
    }

    /// The same, as a statement that is about to run.
    pub(super) fn read(&self, id: u32, mode: LexMode) -> Option<Read<'_>> {
        self.scanned(id, mode).map(|(text, scan)| Read { text, mode, scan })
    }

    /// The parameters of the execution in `payload`, which has been parsed; none of them came as
    /// long data.
    pub(super) fn parameters<'a>(
        &self,
        id: u32,
        payload: &'a [u8],
    ) -> Option<SmallVec<[Value<'a>; 8]>> {
        let statement = self.by_id.get(&id).filter(|statement| statement.long_data.is_empty())?;
        statement.bound.iter().map(|param| param.value(payload, &[]).ok()).collect()
    }

    /// The same as text, where they are text or whole numbers.
    fn parameter_texts(&self, id: u32, payload: &[u8]) -> Vec<Option<Vec<u8>>> {
        let Some(statement) = self.by_id.get(&id) else { return Vec::new() };
        let values = statement.bound.iter().map(|param| param.value(payload, &[]).ok());
        hold::parameter_texts(values)
    }

    /// Forgets all statements.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.by_name.clear();
        self.last = None;
        self.long_data_bytes = 0;
    }
}

impl Mirror {
    /// The scan of a text that is to be prepared; `None` if only a server can read it.
    pub(super) fn scan_of(&self, text: &[u8]) -> Option<Scan> {
        let mut scan = Scan::new();
        scan.run(text, self.lex_mode).is_ok().then_some(scan)
    }
}

impl Client {
    /// Why an execution cannot be read, which whoever sends attributes is told as MySQL does.
    fn wrong_execution(&self) -> SqlError {
        if self.sends_attributes() {
            malformed_attributes()
        } else {
            catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"])
        }
    }
}

/// COM_STMT_PREPARE.
pub(super) async fn prepare(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    packet: Packet,
) -> Ran {
    let text: Arc<[u8]> = client.framed.payload(packet)[1..].into();
    client.drop_command();
    prepared.last = None;
    prepared.has_room()?;
    let scan = connections.mirror.scan_of(&text);
    let (kind, features) = kind_of(scan.as_ref());
    if let Some(scan) = &scan
        && changes_own_account(&text, connections.mirror.lex_mode, scan)
    {
        return Err(catalog::OWN_ACCOUNT.error().into());
    }
    let under = PreparedUnder::of(&connections.mirror.settings, state);
    let judged = judged::prepare_on_server(client, connections, state, &text, kind, features).await;
    let Judged { mut answer, params, remembered } = judged.map_err(|error| match error.origin {
        Origin::Server => Stop::Noted(Box::new(error)),
        _ => error.into(),
    })?;
    let id = prepared.next_id();
    // The id stands after the header and the OK byte.
    answer[5..9].copy_from_slice(&id.to_le_bytes());
    let statement = Statement {
        text,
        scan,
        mode: connections.mirror.lex_mode,
        kind,
        features,
        params,
        bound: Vec::new(),
        long_data: BTreeMap::new(),
        long_data_error: None,
        cursor: None,
        under,
        remembered,
    };
    prepared.by_id.insert(id, statement);
    prepared.last = Some(id);
    Ok(Answer::Framed(answer))
}

/// COM_STMT_EXECUTE.
pub(super) async fn execute(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    packet: Packet,
) -> Result<Executed, Stop> {
    let (id, execute) = match read_execution(client, prepared, packet) {
        Ok(read) => read,
        Err(Unread::Malformed) => return Err(malformed("COM_STMT_EXECUTE")),
        Err(Unread::Refused(error)) => return Err(Stop::Refused(error)),
    };
    let (kind, features) = prepared.meaning(id);
    // As servers do: an execution closes the cursor of the one before.
    if prepared.get(id).is_some_and(|statement| statement.cursor.is_some()) {
        cursors::close_cursor(connections, prepared, id).await;
    }
    if !features.contains(Features::FOUND_ROWS) && !connections.attached.is_empty() {
        connections.drop_held().await;
    }
    connections.go_to_counts(features);
    if features.contains(Features::LAST_VALUE)
        && let Some(text) = prepared.get(id).map(Statement::text)
        && let Err(error) = last_values::go_to_last_values(client, connections, state, &text).await
    {
        prepared.clear_long_data(id);
        return Err(error.into());
    }
    let asks = features.contains(Features::SYSTEM_VARIABLE)
        && prepared.get(id).is_some_and(|s| asks_for_warnings(&s.text));
    if asks || kind == StatementKind::Diagnostics {
        connections.go_to_warnings();
    }
    if answers_itself(connections, state, prepared, id) {
        return Ok(Executed::AsText(as_text(
            &connections.services,
            client,
            &connections.mirror,
            prepared,
            id,
            &execute,
        )));
    }
    let read = prepared.read(id, connections.mirror.lex_mode);
    hold::note_pending(connections, &state.database, kind, features, read);
    if let Some(pending) = &mut connections.pending {
        let payload = client.framed.payload(packet);
        pending.parameters = prepared.parameter_texts(id, payload);
    }
    tally::begin_tally(connections, state, kind);
    let several = connections.mode.is_several();
    if several {
        swap_target(state, prepared, id);
    }
    let found = if several {
        planned::cached_execution(client, connections, state, prepared, id, packet)
    } else {
        None
    };
    let result = if found.is_none() && several {
        execute_planned(client, connections, state, prepared, id, packet, &execute).await
    } else {
        execute_on_server(client, connections, state, prepared, id, packet, &execute, found).await
    };
    if several {
        swap_target(state, prepared, id);
    }
    tally::end_tally(connections, state);
    result.map(Executed::Answered)
}

/// The statement that a client means, and its execution, whose parameters are bound then.
fn read_execution(
    client: &mut Client,
    prepared: &mut Prepared,
    packet: Packet,
) -> Result<(u32, Execute), Unread> {
    let payload = client.framed.payload(packet);
    let header = ExecuteHeader::parse(payload).map_err(|_| Unread::Malformed)?;
    let id = prepared.named_by(header.statement_id);
    let Some(statement) = prepared.by_id.get_mut(&id) else {
        return Err(catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"EXECUTE"]).into());
    };
    if let Some(error) = statement.long_data_error.take() {
        prepared.clear_long_data(id);
        return Err(error.into());
    }
    let long_data = &statement.long_data;
    let attributes = client.sends_attributes().then_some(&mut client.attributes);
    let bound = &mut statement.bound;
    let parsed = Execute::parse(payload, statement.params, bound, attributes, |param| {
        long_data.contains_key(&(param as u16))
    });
    let Ok(execute) = parsed else { return Err(client.wrong_execution().into()) };
    statement.remembered.bind(&statement.bound, payload, |at| {
        long_data.get(&(at as u16)).map_or(&[][..], Vec::as_slice)
    });
    Ok((id, execute))
}

/// Exchanges the session's target with that of a statement: its tables are found where they
/// were at PREPARE, whatever keyspace is in use now.
fn swap_target(state: &mut State, prepared: &mut Prepared, id: u32) {
    if let Some(statement) = prepared.by_id.get_mut(&id)
        && statement.under.target != state.target
    {
        std::mem::swap(&mut statement.under.target, &mut state.target);
    }
}

async fn execute_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    packet: Packet,
    execute: &Execute,
    found: Option<OneShard>,
) -> Ran {
    if found.is_none() {
        state.tally.query.route = Route::PassThrough;
    }
    let wants_cursor = execute.header.flags & CURSOR_MASK != 0;
    let mut tries = Tries::default();
    let (index, mut handle, outcome) = loop {
        let attached = execute::attach_for_execute(
            client,
            connections,
            state,
            prepared,
            id,
            found.as_ref(),
            wants_cursor,
        )
        .await;
        let (index, handle) = match attached {
            Ok(prepared) => prepared,
            Err(error) if tries.again(&error) => continue,
            Err(error) => {
                prepared.clear_long_data(id);
                return Err(error.into());
            }
        };
        match execute::exchange_execute(
            client,
            connections,
            prepared,
            index,
            id,
            handle.id(),
            packet,
            execute,
        )
        .await?
        {
            Exchanged::Outcome(outcome) => break (index, handle, outcome),
            Exchanged::Lost(lost)
                if execute::execution_runs_again(
                    connections,
                    state,
                    prepared,
                    id,
                    found.as_ref(),
                    &lost,
                ) => {}
            Exchanged::Lost(lost) => {
                prepared.clear_long_data(id);
                return Err(lost.error.into());
            }
        }
    };
    execute::note_remembered(connections, prepared, index, id, &mut handle, &outcome);
    if let Handle::Exclusive(statement) = handle {
        let cursor = cursors::open_server_cursor(connections, index, statement);
        cursors::keep_cursor(connections, prepared, id, cursor, &outcome).await;
    }
    let (kind, features) = prepared.meaning(id);
    query::after_statement(connections, state, index, kind, features, &outcome).await;
    Ok(Answer::Sent)
}

/// Whether a statement is about the session, so that the text path must answer it.
fn answers_itself(
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    id: u32,
) -> bool {
    use StatementKind as Kind;
    let Some(statement) = prepared.by_id.get(&id) else { return false };
    if statement.scan.as_ref().is_some_and(Scan::has_own_settings) {
        return false;
    }
    if statement.kind == Kind::Select
        && statement.params == 0
        && statement.features.intersects(super::builtin::OF_SESSION)
    {
        let (text, features) = (Arc::clone(&statement.text), statement.features);
        let understood = state.scan.run(&text, connections.mirror.lex_mode).is_ok();
        return understood && builtin::builtin(connections, state, &text, features).is_some();
    }
    if statement.kind == Kind::Show {
        let text = Arc::clone(&statement.text);
        return state.scan.run(&text, connections.mirror.lex_mode).is_ok()
            && matches!(
                control::parse(&text, connections.mirror.lex_mode, &state.scan),
                Ok(Some(Control::Show(show))) if is_diagnostic(show.kind)
            )
            // A server that remembers answers in the right form by itself.
            && connections.go_to_warnings().is_none();
    }
    is_about_transactions(statement.kind)
        || matches!(statement.kind, Kind::Use | Kind::Kill)
        || (statement.kind == Kind::Set && statement.params == 0)
}

/// A prepared statement without parameters, for the text path. Its OK is the same in both
/// protocols; rows that Geogate makes are written in the binary form.
fn as_text(
    services: &Services,
    client: &mut Client,
    mirror: &Mirror,
    prepared: &mut Prepared,
    id: u32,
    execute: &Execute,
) -> Request {
    client.drop_command();
    let text = prepared.get(id).map(Statement::text).unwrap_or_default();
    client.rows = match wanted_cursor(id, execute) {
        Some(id) => Rows::Cursor(id),
        None => Rows::Binary,
    };
    if services.topology().single_server().is_some() {
        let need = execute::need_of(services, mirror, prepared, id).unwrap_or(Need::AS_PREPARED);
        Request::Execution(Execution { text, need })
    } else {
        Request::Payload([&[code::QUERY], &text[..]].concat())
    }
}

/// An execution where there are several servers.
async fn execute_planned(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    packet: Packet,
    execute: &Execute,
) -> Ran {
    let Some(statement) = prepared.by_id.get(&id) else { return Ok(Answer::Sent) };
    let payload = client.framed.payload(packet);
    let no_data = Vec::new();
    let values = statement.bound.iter().enumerate().map(|(number, param)| {
        let long = statement.long_data.get(&(number as u16)).unwrap_or(&no_data);
        Ok(param.value(payload, long)?.into_owned())
    });
    let values: Result<Vec<Value<'static>>, Malformed> = values.collect();
    let text = Arc::clone(&statement.text);
    prepared.clear_long_data(id);
    let Ok(values) = values else {
        let error = catalog::WRONG_PARAMETERS.with(&[&"EXECUTE"]);
        return Err(error.into());
    };
    if let Some(statement) = prepared.by_id.get_mut(&id) {
        let kinds = values.iter().map(ValueKind::of_value).collect();
        statement.remembered.bind_kinds(kinds);
    }
    let wanted = execute::wanted(&connections.services, &connections.mirror, prepared, id);
    client.drop_command();
    let mut scan = std::mem::take(&mut state.scan);
    if let Err(error) = scan.run(&text, connections.mirror.lex_mode) {
        return Err(catalog::SYNTAX.with(&[&error]).into());
    }
    let mut planned = planned::Statement::prepared(&text, scan, values);
    planned.cursor = wanted_cursor(id, execute);
    planned.wanted = wanted;
    client.rows = planned.cursor.map_or(Rows::Binary, Rows::Cursor);
    let result = planned::run_planned(client, connections, state, planned).await;
    if let Some(statement) = prepared.by_id.get_mut(&id) {
        statement.remembered.note_executed_on_shards();
    }
    result
}

/// COM_STMT_SEND_LONG_DATA, which is never answered.
pub(super) fn long_data(
    services: &Services,
    prepared: &mut Prepared,
    id: u32,
    param: u16,
    data: &[u8],
) {
    let limit = services.limits.long_data_bytes_max;
    let used = prepared.long_data_bytes;
    let Some(statement) = prepared.by_id.get_mut(&id) else { return };
    if param >= statement.params {
        statement.long_data_error =
            Some(catalog::WRONG_PARAMETERS.with(&[&"COM_STMT_SEND_LONG_DATA"]));
        return;
    }
    if used + data.len() > limit {
        let reason = format!("{} bytes of long data", used + data.len());
        statement.long_data_error = Some(catalog::LIMIT.with(&[&"long_data_bytes_max", &reason]));
        return;
    }
    statement.long_data.entry(param).or_default().extend_from_slice(data);
    prepared.long_data_bytes += data.len();
}

/// COM_STMT_RESET.
pub(super) async fn reset_statement(
    connections: &mut Connections,
    prepared: &mut Prepared,
    id: u32,
) -> Ran {
    if !prepared.by_id.contains_key(&id) {
        let error = catalog::UNKNOWN_STATEMENT_ID.with(&[&id, &"COM_STMT_RESET"]);
        return Err(error.into());
    }
    prepared.clear_long_data(id);
    cursors::close_cursor(connections, prepared, id).await;
    Ok(reply::alive(connections))
}

/// COM_STMT_CLOSE, which is never answered.
pub(super) async fn close_statement(
    connections: &mut Connections,
    prepared: &mut Prepared,
    id: u32,
) {
    prepared.clear_long_data(id);
    cursors::close_cursor(connections, prepared, id).await;
    prepared.by_id.remove(&id);
}

/// Whether a statement only begins or ends a transaction or a part of it; over several servers,
/// too, the text path runs it.
pub(super) fn is_about_transactions(kind: StatementKind) -> bool {
    use StatementKind as Kind;
    matches!(
        kind,
        Kind::Begin
            | Kind::StartTransaction
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::Release
    )
}

/// The client's statement, if its execution asks for a cursor that Geogate has to keep. Servers
/// look at this flag only, too.
fn wanted_cursor(id: u32, execute: &Execute) -> Option<u32> {
    (execute.header.flags & CURSOR_READ_ONLY != 0).then_some(id)
}

/// What a statement is and uses, as far as it was read.
pub(super) fn kind_of(scan: Option<&Scan>) -> (StatementKind, Features) {
    scan.map_or((StatementKind::Other, Features::NONE), |scan| (scan.kind(), scan.features()))
}
