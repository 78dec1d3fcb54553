//! What a session holds at a server that cannot be put on another connection, and when it is over.
//!
//! Each [`Hold`] keeps the connection with the session. The servers are asked what is left after
//! every statement that may have ended one; the statements themselves are read by
//! [`crate::sql::effects`].

use std::sync::Arc;

use crate::backend::Failure;
use crate::net::Packet;
use crate::sql::effects::{Effect, Name, effects, effects_of_routine, may_leave};
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::sequence_use::Sequence;
use crate::sql::statement_kind::StatementKind;
use crate::sql::stored_programs::StoredPrograms;
use crate::sql::system_variable::PROFILES;
use crate::sql::value::Value;
use crate::wire::scanner::Outcome;
use crate::wire::session_track::SessionChange;

use super::Session;
use super::attached::Index;
use super::statement_counts::StatementCounts;

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
    /// SET insert_id, until a row is inserted.
    InsertId,
    /// What cannot be followed; it is over when the session ends or is reset.
    Lasting(&'static str),
    /// What may outlive even a reset of the connection, which is therefore closed when the session
    /// is done with it: an active role, or whatever a statement does that is not known.
    Unwipeable(&'static str),
}

impl Hold {
    /// A variable that keeps the connection for this reason.
    pub(super) fn of_variable(reason: &'static str) -> Self {
        if reason == PROFILES { Self::Unwipeable(reason) } else { Self::Lasting(reason) }
    }

    /// Whether the server says for sure when it is over, so that nothing of it is left then.
    fn ends_cleanly(&self) -> bool {
        !matches!(self, Self::NamedLocks | Self::InsertId | Self::Lasting(_) | Self::Unwipeable(_))
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
            Self::InsertId => "SET insert_id",
            Self::Lasting(what) | Self::Unwipeable(what) => what,
        }
    }
}

/// Where the text of the statement is that is about to run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// In a COM_QUERY in the read buffer.
    Command(Packet),
    /// In a command of our own.
    Payload(&'a [u8]),
    /// As it is.
    Plain(&'a [u8]),
    /// It was prepared under this number.
    Prepared(u32),
    /// It was prepared under a name: the text, how it was split, and the tokens.
    Named(&'a [u8], LexMode, &'a Scan),
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

/// Stored routines that are read for one statement; more are not followed.
const ROUTINES_MAX: usize = 32;
/// Or until they do so much together.
const EFFECTS_MAX: usize = 1024;

impl Session {
    /// Reads what a statement may leave behind. It is done before it runs, because its text is gone
    /// afterwards.
    #[inline]
    pub(super) fn note_pending(&mut self, kind: StatementKind, features: Features, text: Text<'_>) {
        self.pending = None;
        if may_leave(kind, features) {
            self.read_pending(text);
        }
        if features.contains(Features::SEQUENCE) {
            self.read_sequences(text);
        }
        let stored = self.services.stored_programs.programs();
        if !stored.is_empty() {
            self.read_stored_programs(&stored, text);
        }
    }

    /// What the triggers and views do whose tables a statement names.
    #[cold]
    fn read_stored_programs(&mut self, stored: &StoredPrograms, text: Text<'_>) {
        let found = match text {
            Text::Command(packet) => stored.effects_in(self.client.text(packet)),
            Text::Payload(payload) => stored.effects_in(&payload[1..]),
            Text::Plain(text) | Text::Named(text, ..) => stored.effects_in(text),
            Text::Prepared(id) => {
                let statement = self.prepared.scanned(id, self.state.lex_mode);
                statement.map_or(Vec::new(), |(text, _)| stored.effects_in(text))
            }
        };
        if !found.is_empty() {
            self.pending.get_or_insert_default().effects.extend(found);
        }
    }

    #[cold]
    fn read_sequences(&mut self, text: Text<'_>) {
        let taken = match text {
            Text::Command(packet) => self.sequences(self.client.text(packet), &self.scan),
            Text::Payload(payload) => self.sequences(&payload[1..], &self.scan),
            Text::Plain(text) => self.sequences(text, &self.scan),
            Text::Named(text, _, scan) => self.sequences(text, scan),
            Text::Prepared(id) => match self.prepared.scanned(id, self.state.lex_mode) {
                Some((text, scan)) => self.sequences(text, scan),
                None => return,
            },
        };
        self.pending.get_or_insert_default().sequences = taken.taken;
    }

    #[cold]
    fn read_pending(&mut self, text: Text<'_>) {
        let mode = self.state.lex_mode;
        let effects = match text {
            Text::Command(packet) => effects(self.client.text(packet), mode, &self.scan),
            Text::Payload(payload) => effects(&payload[1..], mode, &self.scan),
            Text::Plain(text) => effects(text, mode, &self.scan),
            Text::Named(text, mode, scan) => effects(text, mode, scan),
            Text::Prepared(id) => match self.prepared.scanned(id, mode) {
                Some((text, scan)) => effects(text, mode, scan),
                None => vec![Effect::Unknown("a statement that cannot be read")],
            },
        };
        if !effects.is_empty() {
            self.pending = Some(Box::new(Pending { effects, ..Pending::default() }));
        }
    }

    /// Notes what the statement that ran on a connection leaves behind.
    #[cold]
    pub(super) async fn leave_behind(
        &mut self,
        index: Index,
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
        let pending = self.pending.take();
        let calls = |e: &Effect| matches!(e, Effect::Function(_));
        let explained = pending.as_ref().is_some_and(|pending| {
            !writes || pending.explains_change || pending.effects.iter().any(calls)
        });
        if changed == StateChanged::Yes && !explained && !says_itself(kind) {
            self.hold(index, Hold::Lasting("what a trigger has set"));
        }
        if writes && !failed {
            self.release(index, |hold| *hold == Hold::InsertId);
        }
        if let Some(pending) = pending {
            let renames = matches!(kind, StatementKind::Alter | StatementKind::Rename);
            let before = self.attached[index].holds.len();
            self.note_effects(index, *pending, failed).await;
            if renames && self.attached[index].holds.len() < before {
                // It is there under a name that is not known.
                self.hold(index, Hold::Lasting("a temporary table that was renamed"));
            }
        }
        self.publish_holds();
    }

    /// Notes what a part of a statement leaves behind: on one of several shards, or of KILL its
    /// expression.
    pub(super) async fn leave_behind_partly(&mut self, index: Index, failed: bool) {
        let mut changes = self.attached[index].lease.session_changes();
        if changes.any(|change| matches!(change, Ok(SessionChange::State(b"1")))) {
            self.hold(index, Hold::Lasting("what a trigger has set"));
        }
        if let Some(pending) = self.pending.clone() {
            self.note_effects(index, *pending, failed).await;
        }
        self.publish_holds();
    }

    /// `failed`: it ended with an error, so that a part of it may have been done.
    async fn note_effects(&mut self, index: Index, pending: Pending, failed: bool) {
        let Pending { effects, parameters, .. } = pending;
        let effects = self.with_routines(index, effects).await;
        let (mut looks_at_tables, mut looks_at_locks) = (false, false);
        let mut system = Vec::new();
        for effect in effects {
            match effect {
                Effect::UserVariable(name) => self.user_variable_may_change(index, name),
                Effect::SystemVariable(name) => system.push(name),
                Effect::LooksAtTables => looks_at_tables = true,
                Effect::TemporaryTable(name) => {
                    looks_at_tables = true;
                    let hold = self.temporary_table(name);
                    self.hold(index, hold);
                }
                Effect::NamedLock(name) => {
                    looks_at_locks = true;
                    let hold = self.named_lock(index, &name).await;
                    self.hold(index, hold);
                }
                Effect::NamedLockOfParameter(number) => {
                    looks_at_locks = true;
                    let name = parameters.get(number).and_then(Option::as_deref);
                    self.hold(index, name.map_or(Hold::NamedLocks, literal_lock));
                }
                Effect::ReleasesLock => looks_at_locks = true,
                Effect::ReleasesAllLocks => {
                    looks_at_locks = true;
                    self.release(index, |hold| *hold == Hold::NamedLocks);
                }
                done if !failed => self.note_done(index, done),
                _ => {}
            }
        }
        self.system_variables_may_change(index, system).await;
        if looks_at_tables {
            self.look_at_tables(index).await;
        }
        if looks_at_locks {
            self.look_at_locks(index).await;
        }
    }

    /// Notes what only a statement that succeeded has done.
    fn note_done(&mut self, index: Index, effect: Effect) {
        match effect {
            Effect::UnknownLocks => self.hold(index, Hold::NamedLocks),
            Effect::TableLocks => self.hold(index, Hold::TableLocks),
            Effect::ReadLock => self.hold(index, Hold::ReadLock),
            Effect::UnlocksTables => {
                self.release(index, |h| matches!(h, Hold::TableLocks | Hold::ReadLock));
            }
            Effect::HandlerOpened(name) => self.hold(index, Hold::Handler(name)),
            Effect::HandlerClosed(name) => {
                self.release(index, |hold| *hold == Hold::Handler(name.clone()));
            }
            Effect::CountersZeroed => {
                self.statement_counts = StatementCounts::default();
                self.hold(index, Hold::Lasting("FLUSH STATUS"));
            }
            Effect::Xa => self.hold(index, Hold::Xa),
            Effect::XaEnded => self.release(index, |hold| *hold == Hold::Xa),
            Effect::Unknown(what) => self.hold(index, Hold::Unwipeable(what)),
            _ => {}
        }
    }

    /// Keeps a connection for a reason.
    pub(super) fn hold(&mut self, index: Index, hold: Hold) {
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
    pub(super) fn release(&mut self, index: Index, is_over: impl Fn(&Hold) -> bool) {
        self.attached[index].holds.retain(|hold| !is_over(hold));
    }

    fn temporary_table(&self, table: Name) -> Hold {
        let own = || String::from_utf8_lossy(&self.state.database).into_owned();
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
    async fn named_lock(&mut self, index: Index, expression: &[u8]) -> Hold {
        self.learn_warnings().await;
        let lease = &mut self.attached[index].lease;
        let ask = [b"SELECT HEX(CONVERT(".as_slice(), expression, b" USING utf8mb4))"].concat();
        match lease.rows(&ask).await.ok().and_then(first_cell) {
            Some(hex) => Hold::NamedLock(format!("_utf8mb4 X'{}'", ascii(&hex))),
            None => Hold::NamedLocks,
        }
    }

    /// Asks which of the temporary tables are still there. A name may stand for an ordinary table
    /// after its temporary one is gone.
    async fn look_at_tables(&mut self, index: Index) {
        let is_table = |hold: &Hold| matches!(hold, Hold::TemporaryTable(_));
        if !self.attached[index].holds.iter().any(is_table) {
            return;
        }
        self.learn_warnings().await;
        let attached = &mut self.attached[index];
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
    async fn look_at_locks(&mut self, index: Index) {
        let is_lock = |hold: &Hold| matches!(hold, Hold::NamedLock(_));
        if !self.attached[index].holds.iter().any(is_lock) {
            return;
        }
        self.learn_warnings().await;
        let attached = &mut self.attached[index];
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

    /// Puts what the called stored routines may do in their place, and what those call.
    async fn with_routines(&mut self, index: Index, effects: Vec<Effect>) -> Vec<Effect> {
        let is_routine = |e: &Effect| matches!(e, Effect::Procedure(_) | Effect::Function(_));
        if !effects.iter().any(is_routine) {
            return effects;
        }
        let (mut all, mut at) = (effects, 0);
        let mut read = 0;
        while at < all.len() {
            if !is_routine(&all[at]) {
                at += 1;
                continue;
            }
            read += 1;
            if read > ROUTINES_MAX || all.len() > EFFECTS_MAX {
                all.push(Effect::Unknown("too many stored routines"));
                break;
            }
            let found = self.read_routine(index, &all[at].clone()).await;
            for effect in found {
                if !all.contains(&effect) {
                    all.push(effect);
                }
            }
            at += 1;
        }
        all
    }

    /// What a stored routine may do, from its definition at the server.
    async fn read_routine(&mut self, index: Index, routine: &Effect) -> Vec<Effect> {
        let (kind, name) = match routine {
            Effect::Procedure(name) => ("PROCEDURE", name),
            Effect::Function(name) => ("FUNCTION", name),
            _ => return Vec::new(),
        };
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        // The connection that is asked may be in another database.
        let own = std::str::from_utf8(&self.state.database).ok().filter(|own| !own.is_empty());
        let database = name.database.as_deref().or(own);
        let database = database.map(|database| quoted(database) + ".").unwrap_or_default();
        let ask = format!("SHOW CREATE {kind} {database}{}", quoted(&name.name));
        let answer = self.ask_aside(index, &ask).await;
        let unread = vec![Effect::Unknown("a stored routine whose text the proxy may not see")];
        let rows = match answer {
            Ok(rows) => rows,
            // What is no stored function is a new or loadable one, which has no session.
            Err(Failure::Server(error)) if error.errno == NO_SUCH_ROUTINE => {
                let plain = kind == "FUNCTION" && name.database.is_none();
                return if plain { Vec::new() } else { unread };
            }
            Err(_) => return unread,
        };
        let mut cells = rows.into_iter().next().unwrap_or_default().into_iter();
        match (cells.nth(1).flatten(), cells.next().flatten()) {
            (Some(sql_mode), Some(text)) => {
                let mode = LexMode::default().with_sql_mode(&sql_mode);
                let mut effects = effects_of_routine(&text, mode);
                effects.extend(self.services.stored_programs.programs().effects_in(&text));
                effects
            }
            _ => unread,
        }
    }

    /// Asks the server of a connection over another one as it is, if that takes no waiting: the
    /// server then does not forget what it remembers of the session's last statement.
    async fn ask_aside(
        &mut self,
        index: Index,
        ask: &str,
    ) -> Result<Vec<Vec<Option<Vec<u8>>>>, Failure> {
        let pool = Arc::clone(self.services.pool(self.attached[index].placement));
        if let Some(mut lease) = pool.spare(self.worker, self.profile).await {
            let answer = lease.rows(ask.as_bytes()).await;
            if let Ok(_) | Err(Failure::Server(_)) = &answer {
                lease.release();
                return answer;
            }
        }
        self.learn_warnings().await;
        self.attached[index].lease.rows(ask.as_bytes()).await
    }

    /// The reasons for which the session keeps connections, for the list of sessions.
    pub(super) fn publish_holds(&self) {
        let reason = self.attached.iter().find_map(|attached| attached.holds.first());
        self.registered.control().set_pin(reason.map(Hold::reason));
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
/// ER_SP_DOES_NOT_EXIST.
const NO_SUCH_ROUTINE: u16 = 1305;

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
