//! What a session holds at a server that cannot be put on another connection, and when it is over.
//!
//! Each [`Hold`] keeps the connection with the session. The servers are asked what is left after
//! every statement that may have ended one; the statements themselves are read by
//! [`crate::sql::effects`].

use crate::backend::Failure;
use crate::executor::relay::AnswerEnd;
use crate::sql::effects::{Effect, Name, effects, may_leave};
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::sequence_use::Sequence;
use crate::sql::statement_kind::StatementKind;
use crate::sql::system_variable::{PROFILES, TRACES};
use crate::sql::value::Value;
use crate::wire::scanner::Outcome;
use crate::wire::session_track::SessionChange;

use super::connections::Connections;
use super::diagnostics;
use super::last_values;
use super::routine_effects::with_routines;
use super::shard_connections::Attached;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_counts::StatementCounts;
use super::variables;

/// Something that only one connection has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// A temporary table, as `database`.`name` quoted.
    TemporaryTable(String),
    /// A lock of GET_LOCK(), by the literal of its name.
    NamedLock(String),
    /// Locks of GET_LOCK() whose names are not known.
    NamedLocks,
    /// LOCK TABLES.
    TableLocks,
    /// FLUSH TABLES WITH READ LOCK.
    ReadLock,
    /// An open HANDLER.
    Handler(String),
    /// A distributed transaction of the client.
    Xa,
    /// SET TRANSACTION by a routine, until a transaction has ended.
    NextTransaction,
    /// SET insert_id, until a row is inserted.
    InsertId,
    /// What cannot be followed; it is over when the session ends or is reset.
    Lasting(&'static str),
    /// What may outlive even a reset of the connection, which is therefore closed when the session
    /// is done with it: an active role, or whatever a statement does that is not known.
    Unwipeable(&'static str),
}

/// Bytes of a name that is kept, beside the name.
const NAME: usize = 32;

impl Hold {
    /// Bytes of the name that it has.
    fn bytes(&self) -> usize {
        match self {
            Self::TemporaryTable(name) | Self::NamedLock(name) | Self::Handler(name) => name.len(),
            _ => 0,
        }
    }

    /// A variable that keeps the connection for this reason.
    pub(super) fn of_variable(reason: &'static str) -> Self {
        match reason {
            PROFILES | TRACES => Self::Unwipeable(reason),
            _ => Self::Lasting(reason),
        }
    }

    /// Whether the server says for sure when it is over, so that nothing of it is left then.
    fn ends_cleanly(&self) -> bool {
        !matches!(
            self,
            Self::NamedLocks
                | Self::NextTransaction
                | Self::InsertId
                | Self::Lasting(_)
                | Self::Unwipeable(_)
        )
    }

    /// Why the connection is kept, for people.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::TemporaryTable(_) => "a temporary table",
            Self::NamedLock(_) | Self::NamedLocks => "GET_LOCK()",
            Self::TableLocks => "LOCK TABLES",
            Self::ReadLock => "FLUSH TABLES WITH READ LOCK",
            Self::Handler(_) => "an open HANDLER",
            Self::Xa => "an XA transaction",
            Self::NextTransaction => "the characteristics of the next transaction",
            Self::InsertId => "SET insert_id",
            Self::Lasting(what) | Self::Unwipeable(what) => what,
        }
    }
}

/// A statement that is about to run, as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) text: &'a [u8],
    /// How the text was split.
    pub(super) mode: LexMode,
    pub(super) scan: &'a Scan,
}

/// Whether a server said that its answer changed the state of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateChanged {
    Yes,
    No,
}

/// What SET and USE change is known, and SHOW WARNINGS may still tell of the statement before it.
fn says_itself(kind: StatementKind) -> bool {
    matches!(kind, StatementKind::Set | StatementKind::Use | StatementKind::Diagnostics)
}

/// Reads what a statement may leave behind. It is done before it runs, because its text is gone
/// afterwards. `database` is the session's; `None`: the statement cannot be read.
#[inline]
pub(super) fn note_pending(
    connections: &mut Connections,
    database: &[u8],
    kind: StatementKind,
    features: Features,
    read: Option<Read<'_>>,
) {
    connections.pending = None;
    let sets_beside = |read: Read<'_>| kind == StatementKind::Set && read.scan.has_own_settings();
    if read.is_none_or(sets_beside) || may_leave(kind, features) {
        let effects = read.map_or_else(
            || vec![Effect::Unknown("a statement that cannot be read")],
            |read| effects(read.text, read.mode, read.scan),
        );
        if !effects.is_empty() {
            connections.pending = Some(Box::new(Pending { effects, ..Pending::default() }));
        }
    }
    let Some(read) = read else { return };
    if features.contains(Features::SEQUENCE) {
        let taken = last_values::sequences(database, read).taken;
        connections.pending.get_or_insert_default().sequences = taken;
    }
    // What the triggers and views do whose tables it names.
    let stored = connections.services.stored_programs.programs();
    if !stored.is_empty() {
        let found = stored.effects_in(read.text);
        if !found.is_empty() {
            connections.pending.get_or_insert_default().effects.extend(found);
        }
    }
    if let Some(pending) = &mut connections.pending
        && pending.effects.iter().any(|effect| stored.sets_globals(effect))
    {
        pending.effects.push(Effect::GlobalVariable);
    }
}

impl Connections {
    /// When the client sees the end of the answer: if the statement that is about to run may set
    /// global variables, not before it is known with what sessions begin now.
    #[inline]
    pub(super) fn answer_end(&self) -> AnswerEnd {
        match &self.pending {
            Some(pending) if pending.effects.contains(&Effect::GlobalVariable) => AnswerEnd::Kept,
            _ => AnswerEnd::Forwarded,
        }
    }

    /// Keeps a connection for a reason.
    pub(super) fn hold(&mut self, index: ConnectionId, hold: Hold) {
        let attached = &mut self.attached[index];
        if !hold.ends_cleanly() {
            attached.lease.taint();
        }
        if matches!(hold, Hold::Unwipeable(_)) {
            attached.lease.retire();
        }
        if !attached.holds.contains(&hold) {
            attached.holds.push(hold);
        }
    }

    /// Ends reasons to keep a connection.
    pub(super) fn release(&mut self, index: ConnectionId, is_over: impl Fn(&Hold) -> bool) {
        self.attached[index].holds.retain(|hold| !is_over(hold));
    }

    /// Notes in the client's account what the session remembers of its state: settings and user
    /// variables, names of savepoints, temporary tables and locks.
    pub(super) fn note_held(&mut self) {
        let of = |attached: &Attached| {
            let holds: usize = attached.holds.iter().map(|hold| NAME + hold.bytes()).sum();
            holds + attached.live.iter().map(|name| NAME + name.len()).sum::<usize>()
        };
        let names: usize = self.attached.iter().map(of).sum();
        let savepoints = self.transaction.savepoints().map(|name| NAME + name.len());
        self.held.note(self.mirror.settings.bytes() + names + savepoints.sum::<usize>());
    }

    /// The reasons for which the session keeps connections, for the list of sessions.
    pub(super) fn publish_holds(&mut self) {
        self.note_held();
        let reason = self.attached.iter().find_map(|attached| attached.holds.first());
        self.control.set_pin(reason.map(Hold::reason));
    }
}

/// Notes what the statement that ran on a connection leaves behind.
#[cold]
pub(super) async fn leave_behind(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    kind: StatementKind,
    changed: StateChanged,
    outcome: &Outcome,
) {
    let writes = matches!(
        kind,
        StatementKind::Insert
            | StatementKind::Replace
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::LoadData
    );
    let failed = outcome.is_error();
    let pending = connections.pending.take();
    let calls = |e: &Effect| matches!(e, Effect::Function(_));
    let explained = pending.as_ref().is_some_and(|pending| {
        !writes || pending.explains_change || pending.effects.iter().any(calls)
    });
    if changed == StateChanged::Yes && !explained && !says_itself(kind) {
        connections.hold(index, Hold::Lasting("what a trigger has set"));
    }
    let inserts = writes && !matches!(kind, StatementKind::Update | StatementKind::Delete);
    if inserts && !failed {
        connections.release(index, |hold| *hold == Hold::InsertId);
    }
    if let Some(pending) = pending {
        let renames = matches!(kind, StatementKind::Alter | StatementKind::Rename);
        let before = connections.attached[index].holds.len();
        note_effects(connections, state, index, *pending, failed).await;
        if renames && connections.attached[index].holds.len() < before {
            // It is there under a name that is not known.
            connections.hold(index, Hold::Lasting("a temporary table that was renamed"));
        }
    }
    connections.publish_holds();
}

/// Notes what a part of a statement leaves behind: on one of several shards, or of KILL its
/// expression.
pub(super) async fn leave_behind_partly(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    failed: bool,
) {
    let mut changes = connections.attached[index].lease.session_changes();
    if changes.any(|change| matches!(change, Ok(SessionChange::State(b"1")))) {
        connections.hold(index, Hold::Lasting("what a trigger has set"));
    }
    if let Some(pending) = connections.pending.clone() {
        note_effects(connections, state, index, *pending, failed).await;
    }
    connections.publish_holds();
}

/// `failed`: it ended with an error, so that a part of it may have been done.
async fn note_effects(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    pending: Pending,
    failed: bool,
) {
    let Pending { effects, parameters, .. } = pending;
    let effects = with_routines(connections, state, index, effects).await;
    let (mut looks_at_tables, mut looks_at_locks, mut looks_at_globals) = (false, false, false);
    let mut system = Vec::new();
    for effect in effects {
        match effect {
            Effect::UserVariable(name) => connections.user_variable_may_change(index, name),
            Effect::SystemVariable(name) => system.push(name),
            Effect::GlobalVariable => looks_at_globals = true,
            Effect::NextTransaction => connections.hold(index, Hold::NextTransaction),
            Effect::LooksAtTables => looks_at_tables = true,
            Effect::TemporaryTable(name) => {
                looks_at_tables = true;
                let hold = temporary_table(state, name);
                connections.hold(index, hold);
            }
            Effect::NamedLock(name) => {
                looks_at_locks = true;
                let hold = named_lock(connections, index, &name).await;
                connections.hold(index, hold);
            }
            Effect::NamedLockOfParameter(number) => {
                looks_at_locks = true;
                let name = parameters.get(number).and_then(Option::as_deref);
                connections.hold(index, name.map_or(Hold::NamedLocks, literal_lock));
            }
            Effect::ReleasesLock => looks_at_locks = true,
            Effect::ReleasesAllLocks => {
                looks_at_locks = true;
                connections.release(index, |hold| *hold == Hold::NamedLocks);
            }
            done if !failed => note_done(connections, state, index, done),
            _ => {}
        }
    }
    variables::system_variables_may_change(connections, index, system).await;
    if looks_at_globals {
        variables::globals_changed(connections, index).await;
    }
    if looks_at_tables {
        look_at_tables(connections, index).await;
    }
    if looks_at_locks {
        look_at_locks(connections, index).await;
    }
}

/// Notes what only a statement that succeeded has done.
fn note_done(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    effect: Effect,
) {
    match effect {
        Effect::UnknownLocks => connections.hold(index, Hold::NamedLocks),
        Effect::TableLocks => connections.hold(index, Hold::TableLocks),
        Effect::ReadLock => connections.hold(index, Hold::ReadLock),
        Effect::UnlocksTables => {
            connections.release(index, |h| matches!(h, Hold::TableLocks | Hold::ReadLock));
        }
        Effect::HandlerOpened(name) => connections.hold(index, Hold::Handler(name)),
        Effect::HandlerClosed(name) => {
            connections.release(index, |hold| *hold == Hold::Handler(name.clone()));
        }
        Effect::CountersZeroed => {
            state.statement_counts = StatementCounts::default();
            connections.hold(index, Hold::Lasting("FLUSH STATUS"));
        }
        Effect::Xa => connections.hold(index, Hold::Xa),
        Effect::XaEnded => connections.release(index, |hold| *hold == Hold::Xa),
        Effect::Unknown(what) => connections.hold(index, Hold::Unwipeable(what)),
        _ => {}
    }
}

fn temporary_table(state: &State, table: Name) -> Hold {
    let own = || String::from_utf8_lossy(&state.database).into_owned();
    let database = table.database.unwrap_or_else(own);
    let name = table.name;
    if !(database.is_ascii() && name.is_ascii()) || database.is_empty() {
        return Hold::Lasting("a temporary table");
    }
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    Hold::TemporaryTable(format!("{}.{}", quoted(&database), quoted(&name)))
}

/// The lock whose name an expression gives. It is computed now: later the database or a
/// variable in it may be another.
async fn named_lock(connections: &mut Connections, index: ConnectionId, expression: &[u8]) -> Hold {
    diagnostics::learn_warnings(connections).await;
    let lease = &mut connections.attached[index].lease;
    let ask = [b"SELECT HEX(CONVERT(".as_slice(), expression, b" USING utf8mb4))"].concat();
    match lease.rows(&ask).await.ok().and_then(first_cell) {
        Some(hex) => Hold::NamedLock(format!("_utf8mb4 X'{}'", ascii(&hex))),
        None => Hold::NamedLocks,
    }
}

/// Asks which of the temporary tables are still there. A name may stand for an ordinary table
/// after its temporary one is gone.
async fn look_at_tables(connections: &mut Connections, index: ConnectionId) {
    let is_table = |hold: &Hold| matches!(hold, Hold::TemporaryTable(_));
    if !connections.attached[index].holds.iter().any(is_table) {
        return;
    }
    diagnostics::learn_warnings(connections).await;
    let attached = &mut connections.attached[index];
    let mut at = 0;
    while at < attached.holds.len() {
        let Hold::TemporaryTable(name) = &attached.holds[at] else {
            at += 1;
            continue;
        };
        let ask = format!("SHOW CREATE TABLE {name}");
        let gone = match attached.lease.rows(ask.as_bytes()).await {
            Ok(rows) => !rows.iter().flatten().flatten().any(|cell| is_temporary(cell)),
            Err(Failure::Server(error)) => error.errno == NO_SUCH_TABLE,
            Err(_) => false,
        };
        if gone {
            attached.holds.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Asks which of the named locks are still held.
async fn look_at_locks(connections: &mut Connections, index: ConnectionId) {
    let is_lock = |hold: &Hold| matches!(hold, Hold::NamedLock(_));
    if !connections.attached[index].holds.iter().any(is_lock) {
        return;
    }
    diagnostics::learn_warnings(connections).await;
    let attached = &mut connections.attached[index];
    let mut at = 0;
    while at < attached.holds.len() {
        let Hold::NamedLock(name) = &attached.holds[at] else {
            at += 1;
            continue;
        };
        let ask = format!("SELECT IS_USED_LOCK({name}) <=> CONNECTION_ID()");
        let rows = attached.lease.rows(ask.as_bytes()).await;
        if rows.ok().and_then(first_cell).is_some_and(|held| held == b"0") {
            attached.holds.remove(at);
        } else {
            at += 1;
        }
    }
}

/// The lock of a name that came as a parameter.
fn literal_lock(name: &[u8]) -> Hold {
    if !name.is_ascii() {
        return Hold::NamedLocks;
    }
    use std::fmt::Write;
    let mut hex = String::new();
    for byte in name {
        let _ = write!(hex, "{byte:02X}");
    }
    Hold::NamedLock(format!("_utf8mb4 X'{hex}'"))
}

/// The parameters of an execution as text, where they are text or whole numbers.
pub(super) fn parameter_texts<'a>(
    values: impl Iterator<Item = Option<Value<'a>>>,
) -> Vec<Option<Vec<u8>>> {
    values
        .map(|value| match value? {
            Value::Text(text) => Some(text.to_vec()),
            Value::Int(number) => Some(number.to_string().into_bytes()),
            Value::UInt(number) => Some(number.to_string().into_bytes()),
            _ => None,
        })
        .collect()
}

/// ER_NO_SUCH_TABLE.
const NO_SUCH_TABLE: u16 = 1146;

fn is_temporary(cell: &[u8]) -> bool {
    cell.starts_with(b"CREATE TEMPORARY")
}

pub(super) fn first_cell(rows: Vec<Vec<Option<Vec<u8>>>>) -> Option<Vec<u8>> {
    rows.into_iter().next()?.into_iter().next()?
}

/// Hexadecimal digits, whatever character set the results are in.
pub(super) fn ascii(cell: &[u8]) -> String {
    cell.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

/// What a statement that runs leaves behind, kept until it has run.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) effects: Vec<Effect>,
    /// It changes variables of the server for itself alone.
    pub(super) explains_change: bool,
    /// Its parameters, where a lock's name is one.
    pub(super) parameters: Vec<Option<Vec<u8>>>,
    /// The sequences that it takes numbers from.
    pub(super) sequences: Vec<Sequence>,
}
