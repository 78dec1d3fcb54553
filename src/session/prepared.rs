//! Prepared statements of the binary protocol.
//!
//! The client's statement is a text with a number; servers prepare that text lazily, each
//! connection for itself, in a bounded cache. An execution is forwarded as it came with the
//! server's number put in. Parameter types that a client sends only once are remembered here and
//! sent again whenever they are missing, because another connection may get the execution.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::backend::Owner;
use crate::config::Limits;
use crate::error::{Origin, SqlError, catalog};
use crate::memory::Reservation;
use crate::net::Packet;
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::own_account::changes_own_account;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;
use crate::wire::statement::Param;

use super::answer::{Answer, Ran, Stop};
use super::connections::Connections;
use super::cursors;
use super::cursors::Cursor;
use super::hold::{self, Read};
use super::judged;
use super::judged::Judged;
use super::long_texts::{LONG, work_on_text};
use super::mirror::Mirror;
use super::named::Named;
use super::prepared_under::PreparedUnder;
use super::remembered::Remembered;
use super::reply;
use super::state::State;
use crate::executor::client::Client;

/// The statements that a client has prepared.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) by_id: BTreeMap<u32, Statement>,
    /// Those of PREPARE in text, by name in lower case.
    pub(super) by_name: HashMap<String, Arc<Named>>,
    last_id: u32,
    /// The statement of the last COM_STMT_PREPARE, unless that failed.
    last: Option<u32>,
    /// One of them has a long text.
    pub(super) has_long: bool,
    max: usize,
    long_data_bytes: usize,
}

/// A statement that a client has prepared.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: Arc<[u8]>,
    /// The scan of the text; `None` if it is no sequence of tokens.
    pub(super) scan: Option<Scan>,
    /// How it was scanned.
    mode: LexMode,
    pub(super) kind: StatementKind,
    pub(super) features: Features,
    pub(super) params: u16,
    /// The parameters of the last execution, whose types count until new ones come.
    pub(super) bound: Vec<Param>,
    pub(super) long_data: BTreeMap<u16, Vec<u8>>,
    /// Why a piece of long data was not taken; told at the next execution.
    pub(super) long_data_error: Option<SqlError>,
    /// Its open cursor.
    pub(super) cursor: Option<Cursor>,
    /// What it was prepared under.
    pub(super) under: PreparedUnder,
    /// What servers remember with it.
    pub(super) remembered: Remembered,
    /// For its text.
    _held: Reservation,
    /// For its long data.
    long_held: Reservation,
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
            has_long: false,
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
            statement.long_held.note(0);
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

    /// The text of a statement; empty if there is none.
    pub(super) fn text_of(&self, id: u32) -> &[u8] {
        self.get(id).map_or(&[], |statement| &statement.text)
    }

    /// What a statement is, and what it uses.
    pub(super) fn meaning(&self, id: u32) -> (StatementKind, Features) {
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
    pub(super) fn parameter_texts(&self, id: u32, payload: &[u8]) -> Vec<Option<Vec<u8>>> {
        let Some(statement) = self.by_id.get(&id) else { return Vec::new() };
        let values = statement.bound.iter().map(|param| param.value(payload, &[]).ok());
        hold::parameter_texts(values)
    }

    /// Forgets all statements.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.by_name.clear();
        self.last = None;
        self.has_long = false;
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

/// Bytes of a prepared statement beside its text and its scan.
const STATEMENT: usize = 1 << 10;

/// Reads a text that is to be kept, and reserves what that takes: for a long one also the work on
/// its executions, before anything of it is done.
pub(super) fn read_held(
    connections: &Connections,
    text: &[u8],
) -> Result<(Option<Scan>, Reservation), SqlError> {
    const WHAT: &str = "a prepared statement";
    let (account, mirror) = (&connections.control.account, &connections.mirror);
    let is_long = text.len() > LONG;
    let planned = connections.mode.is_several();
    let work = if is_long { work_on_text(text, mirror.lex_mode, planned) } else { text.len() };
    let mut held = account.reserve(STATEMENT + work, WHAT)?;
    let scan = mirror.scan_of(text);
    if !is_long {
        held.grow(scan.as_ref().map_or(0, Scan::bytes), WHAT)?;
    }
    Ok((scan, held))
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
    let (scan, held) = read_held(connections, &text)?;
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
    prepared.has_long |= text.len() > LONG;
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
        _held: held,
        long_held: connections.control.account.nothing(),
    };
    prepared.by_id.insert(id, statement);
    prepared.last = Some(id);
    Ok(Answer::Framed(answer))
}

/// COM_STMT_SEND_LONG_DATA, which is never answered.
pub(super) fn long_data(
    limits: &Limits,
    prepared: &mut Prepared,
    id: u32,
    param: u16,
    data: &[u8],
) {
    let id = prepared.named_by(id);
    let limit = limits.long_data_bytes_max;
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
    if let Err(error) = statement.long_held.grow(data.len(), "long data") {
        statement.long_data_error = Some(error);
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
    let id = prepared.named_by(id);
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
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
) {
    let id = prepared.named_by(id);
    state.statement_counts.close += u64::from(prepared.get(id).is_some());
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

/// What a statement is and uses, as far as it was read.
pub(super) fn kind_of(scan: Option<&Scan>) -> (StatementKind, Features) {
    scan.map_or((StatementKind::Other, Features::NONE), |scan| (scan.kind(), scan.features()))
}
