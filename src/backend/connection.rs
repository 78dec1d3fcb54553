//! One authenticated connection to a server, and what is known of its session there.
//!
//! What the server remembers between two statements is mirrored here: settings, database, last
//! insert id, prepared statements. The rule is that a statement is sent only after the mirror
//! agrees with what the client's session has asked for.

use std::io;
use std::sync::Arc;
use std::task::Context;

use super::defaults::Defaults;
use super::dial::Dial;
use super::last_use::{FORGET_WARNINGS, LastUse};
use super::named::NamedStatements;
use super::presence::Present;
use super::profile::Profile;
use super::server_kind::{Product, ServerKind};
use super::settings::Settings;
use super::several::Several;
use super::statements::Statements;
use super::term::{Entered, Outdated};
use crate::clock::{self, Instant};
use crate::error::SqlError;
use crate::net::Framed;
use crate::topology::Identity;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::cursor::Malformed;
use crate::wire::err::ErrPacket;
use crate::wire::ok::OkPacket;
use crate::wire::scanner::{Expect, Outcome, ResponseScanner, Scan};
use crate::wire::session_track::SessionChanges;
use crate::wire::status::StatusFlags;

mod counts;
mod prepare;
mod send;

use counts::Counts;
pub use counts::Stake;
pub use prepare::{PrepareError, reading_key};

/// Why a connection did not do what it was asked. Except for [`Failure::Server`] the connection is
/// of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error.
    #[error("{0}")]
    Server(SqlError),
    /// The stream failed or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server's bytes make no sense.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// What the server says does not count: see [`super::Term`].
    #[error("{0}")]
    Outdated(#[from] Outdated),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    pub(super) framed: Framed,
    pub(super) scanner: ResponseScanner,
    capabilities: Capabilities,
    profile: Profile,
    kind: ServerKind,
    thread_id: u32,
    dial: Dial,
    initial: Arc<Settings>,
    settings: Arc<Settings>,
    database: Database,
    last_insert_id: u64,
    /// The server may hold state that is mirrored nowhere.
    tainted: bool,
    /// The answer to the last command has not been read to its end.
    answer_due: bool,
    /// A KILL QUERY is on its way, and may come after the statement it is meant for.
    killed: bool,
    /// Prepared statements of this connection.
    pub statements: Statements,
    last_use: LastUse,
    /// Statements of PREPARE in SQL.
    pub named: NamedStatements,
    pub(super) several: Several,
    /// Which change of databases it has chosen its own after; see [`super::Pool`].
    databases_seen: u32,
    idle_since: Instant,
    _present: Present,
    counts: Counts,
}

/// The current database of a session at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Database {
    /// None was chosen since the login.
    None,
    /// This one.
    Named(Vec<u8>),
    /// One that was chosen before a reset: MariaDB and MySQL keep it, not every version says so.
    Unknown,
}

/// What [`super::dial`] knows of a connection it has just made.
pub(super) struct Established {
    pub(super) framed: Framed,
    pub(super) capabilities: Capabilities,
    pub(super) profile: Profile,
    pub(super) kind: ServerKind,
    pub(super) thread_id: u32,
    pub(super) dial: Dial,
    pub(super) settings: Arc<Settings>,
    pub(super) statements_max: usize,
    pub(super) entered: Entered,
}

impl Connection {
    pub(super) fn new(made: Established) -> Self {
        let present = made.dial.presence().enter(made.thread_id);
        Self {
            framed: made.framed,
            scanner: ResponseScanner::new(),
            capabilities: made.capabilities,
            profile: made.profile,
            thread_id: made.thread_id,
            counts: Counts::new(made.dial.term().number(), made.entered),
            dial: made.dial,
            initial: Arc::clone(&made.settings),
            settings: made.settings,
            database: Database::None,
            last_insert_id: 0,
            tainted: false,
            answer_due: false,
            killed: false,
            statements: Statements::new(made.kind.product, made.statements_max),
            kind: made.kind,
            last_use: LastUse::fresh(),
            named: NamedStatements::default(),
            several: Several::default(),
            databases_seen: 0,
            idle_since: clock::now(),
            _present: present,
        }
    }

    /// What it has in common with the clients it may serve.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Capabilities agreed with the server.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// MySQL or MariaDB, and which version.
    pub fn kind(&self) -> &ServerKind {
        &self.kind
    }

    /// The server's id of this connection, for KILL.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// Whether it has exactly these settings.
    pub fn has_settings(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings) || *self.settings == **settings
    }

    /// How to reach the same server again.
    pub fn dialer(&self) -> &Dial {
        &self.dial
    }

    /// Since when nobody has used it.
    pub fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Whose statement ran last, and whether the server still remembers it.
    pub fn last_use(&self) -> LastUse {
        self.last_use
    }

    /// Whether the server still has the warnings of the last statement of `session`, which used
    /// the connection last: MySQL forgets them with every other statement, MariaDB with one that
    /// uses a table, which questions of Geogate's own do not.
    pub fn has_warnings_of(&self, session: u32) -> bool {
        self.kind.product == Product::MariaDb || self.last_use.has_warnings_of(session)
    }

    /// Notes which session has the connection from now on.
    pub fn note_session(&mut self, session: u32) {
        self.last_use.take(session);
    }

    /// Marks the start of idleness.
    pub(super) fn rest(&mut self) {
        debug_assert!(!self.tainted, "a tainted connection is reset before it rests");
        self.idle_since = clock::now();
    }

    /// Whether the stream is open and the server has said nothing unasked. Does not wait.
    pub(super) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.framed.buffered().is_empty() && self.framed.poll_fill(cx).is_pending()
    }

    /// Whether the server is about to close it, because a session has set a short `wait_timeout`.
    pub(super) fn is_expiring(&self) -> bool {
        let seconds = self.settings.get("wait_timeout").and_then(|s| str::from_utf8(s).ok());
        let Some(Ok(seconds)) = seconds.map(|s| s.trim().parse::<u64>()) else { return false };
        let idle = clock::now().saturating_duration_since(self.idle_since);
        idle.as_secs() + 2 > seconds
    }

    /// Moves it to the runtime of the current thread.
    pub(super) fn adopt(self) -> io::Result<Self> {
        Ok(Self { framed: self.framed.adopt()?, ..self })
    }

    /// Notes that the server now holds state that cannot be mirrored: it must be reset before
    /// another session uses this connection.
    pub fn taint(&mut self) {
        self.tainted = true;
    }

    /// Whether it must be reset before another session uses it.
    pub fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Notes that a KILL QUERY was sent for what runs here.
    pub fn note_kill(&mut self) {
        self.killed = true;
    }

    /// Notes that not even a reset makes it fit for another session: it is closed when it is given
    /// back.
    pub fn retire(&mut self) {
        self.killed = true;
    }

    /// Notes that the answer to the last command was read to its end.
    pub fn note_answered(&mut self) {
        self.answer_due = false;
        let outcome = self.scanner.outcome();
        // Of several results the last one tells.
        if outcome.warnings > 0 || outcome.is_error() || outcome.results > 1 {
            self.last_use.note_warnings();
        }
        self.counts.note_answered();
    }

    /// A database that was altered or made anew keeps its old default character set for those who
    /// are in it already, so it is chosen again after such a change.
    pub(super) fn see_databases(&mut self, changes: u32) {
        if self.databases_seen != changes {
            self.databases_seen = changes;
            if matches!(self.database, Database::Named(_)) {
                self.database = Database::Unknown;
            }
        }
    }

    /// Whether another session may use it: the mirror is right, no answer is unread, and no kill
    /// can still hit it.
    pub(super) fn is_reusable(&self) -> bool {
        !self.tainted && !self.answer_due && !self.killed
    }

    /// Whether the session at the server is in this database (empty: in none), as far as is known.
    pub(super) fn is_in(&self, database: &[u8]) -> bool {
        match &self.database {
            Database::None => database.is_empty(),
            Database::Named(name) => name == database,
            Database::Unknown => false,
        }
    }

    /// Makes the connection's settings, database and last insert id equal to the session's. There
    /// is no command to leave a database: [`super::Lease::align`] takes another connection then.
    pub(super) async fn align(&mut self, wanted: &Aligned<'_>) -> Result<(), Failure> {
        let aligned = self.tell_differences(wanted).await;
        if aligned.is_err() {
            // Some of several statements may have had their effect, which the mirror does not show.
            self.taint();
        }
        aligned
    }

    async fn tell_differences(&mut self, wanted: &Aligned<'_>) -> Result<(), Failure> {
        if self.last_use.has_foreign_warnings() {
            self.execute(FORGET_WARNINGS).await?;
            self.last_use.note_forgotten();
        }
        // The name of a database is UTF-8, and the server reads it in the client's character set.
        let name_first = !wanted.database.is_ascii()
            && !self.is_in(wanted.database)
            && !wanted.settings.reads_utf8();
        if name_first {
            let initial = Arc::clone(&self.initial);
            self.tell_settings(&initial).await?;
        } else {
            self.tell_settings(wanted.settings).await?;
        }
        if !self.is_in(wanted.database) {
            if wanted.database.is_empty() {
                return Err(io::Error::other("a connection cannot leave its database").into());
            }
            self.command(code::INIT_DB, wanted.database, Expect::OkOrErr).await?;
            self.note_database(wanted.database);
        }
        if name_first {
            self.tell_settings(wanted.settings).await?;
        }
        if let Some(id) = wanted.last_insert_id
            && id != self.last_insert_id
        {
            self.execute(format!("SET @@session.last_insert_id = {id}").as_bytes()).await?;
            self.last_insert_id = id;
        }
        Ok(())
    }

    async fn tell_settings(&mut self, wanted: &Arc<Settings>) -> Result<(), Failure> {
        if Arc::ptr_eq(&self.settings, wanted) {
            return Ok(());
        }
        if self.settings != *wanted {
            for statement in wanted.statements_from(&Arc::clone(&self.settings), &self.kind) {
                self.execute(&statement).await?;
            }
        }
        self.settings = Arc::clone(wanted);
        self.statements.leave();
        Ok(())
    }

    /// Notes the settings after a SET that went through this connection.
    pub fn note_settings(&mut self, settings: &Arc<Settings>) {
        self.settings = Arc::clone(settings);
        self.statements.leave();
    }

    /// Notes that some of what it has was changed by a statement, and now is known.
    pub fn change_settings(&mut self, change: impl FnOnce(&Settings) -> Arc<Settings>) {
        self.settings = change(&self.settings);
        self.statements.leave();
    }

    /// Notes the database after a USE that went through this connection.
    pub fn note_database(&mut self, database: &[u8]) {
        self.statements.leave();
        match (&mut self.database, database) {
            // The server dropped the database that the session was in.
            (known, b"") => *known = Database::None,
            (Database::Named(name), _) => {
                name.clear();
                name.extend_from_slice(database);
            }
            (known, _) => *known = Database::Named(database.to_vec()),
        }
    }

    /// Forgets a SET TRANSACTION that no transaction has used.
    pub async fn end_one_shot(&mut self) -> Result<(), Failure> {
        let [isolation, access] = ["transaction_isolation", "transaction_read_only"]
            .map(|name| self.kind.variable_name(name))
            .map(|name| format!("@@session.{name} = @@session.{name}"));
        self.execute(format!("SET {isolation}, {access}").as_bytes()).await?;
        Ok(())
    }

    /// Notes what the server answered to `SELECT LAST_INSERT_ID()`.
    pub fn set_last_insert_id(&mut self, id: u64) {
        self.last_insert_id = id;
    }

    /// COM_RESET_CONNECTION: rolls back, drops temporary tables, locks, variables and prepared
    /// statements. Afterwards the session at the server is as after login.
    pub async fn reset(&mut self) -> Result<(), Failure> {
        self.command(code::RESET_CONNECTION, &[], Expect::OkOrErr).await?;
        self.statements.clear();
        if self.database != Database::None {
            self.database = Database::Unknown;
        }
        self.last_insert_id = 0;
        self.tainted = false;
        self.named = NamedStatements::default();
        // The reset puts variables back to the server's defaults, character set included.
        self.set_up().await?;
        self.last_use = self.last_use.after_reset();
        Ok(())
    }

    /// Puts a session of the server that is new or reset into the state that Geogate expects, and
    /// learns what it has begun with. Gives the server's identity, if it tells it.
    pub(super) async fn set_up(&mut self) -> Result<Option<Identity>, Failure> {
        let setup = self.kind.session_setup(self.initial.names());
        let looks = self.dial.looks();
        self.execute(setup.as_bytes()).await?;
        let mut initial = Settings::new(self.initial.names().clone());
        let question = format!("{}, {}", Defaults::OF_SESSION, self.kind.identity_columns());
        let rows = self.rows(question.as_bytes()).await?;
        if let Some(defaults) = Defaults::read(&rows) {
            defaults.enter(&mut initial);
            self.dial.note_defaults(defaults, looks);
        }
        if *self.initial != initial {
            self.initial = Arc::new(initial);
        }
        self.settings = Arc::clone(&self.initial);
        Ok(Defaults::read_identity(&rows))
    }

    /// Looks what the server gives new sessions now.
    pub async fn look_at_defaults(&mut self) -> Result<(), Failure> {
        if let Some(defaults) = Defaults::read(&self.rows(Defaults::OF_SERVER).await?) {
            self.dial.note_look(defaults);
        }
        Ok(())
    }

    /// Runs a statement whose rows do not matter.
    pub async fn execute(&mut self, sql: &[u8]) -> Result<Outcome, Failure> {
        self.command(code::QUERY, sql, Expect::Query).await
    }

    /// Sends a command and keeps its whole answer as the server framed it. For answers that are
    /// small by their nature.
    pub async fn answer(
        &mut self,
        command: u8,
        argument: &[u8],
        expect: Expect,
    ) -> Result<Vec<u8>, Failure> {
        let mut answer = Vec::new();
        let sent = self.send_command(command, argument).await?;
        self.expect(expect, first_answer_sequence(sent));
        self.collect(Some(&mut answer)).await?;
        Ok(answer)
    }

    /// Makes the scanner wait for the answer to a command that was sent.
    pub fn expect(&mut self, expect: Expect, first_sequence: u8) {
        self.answer_due = true;
        self.scanner.start(expect, self.capabilities, first_sequence);
    }

    /// What the last answer said.
    pub fn outcome(&self) -> &Outcome {
        self.scanner.outcome()
    }

    /// The session state changes that the last answer told.
    pub fn session_changes(&self) -> SessionChanges<'_> {
        self.scanner.session_changes()
    }

    /// The text of the last answer's OK packet, such as `Rows matched: 1 ...`.
    pub fn last_info(&self) -> Vec<u8> {
        let ok = OkPacket::parse(self.scanner.last_payload(), self.capabilities);
        ok.map_or(Vec::new(), |ok| ok.info.to_vec())
    }

    /// The sequence id after the last packet of the last answer.
    pub fn next_sequence(&self) -> u8 {
        self.scanner.next_seq()
    }

    /// Reads the rest of the answer that the scanner follows.
    pub async fn collect(&mut self, mut into: Option<&mut Vec<u8>>) -> Result<Outcome, Failure> {
        loop {
            if self.framed.buffered().is_empty() && self.framed.fill().await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let chunk = self.framed.buffered();
            let (count, finished) = match self.scanner.feed(chunk)? {
                Scan::NeedMore => (chunk.len(), false),
                Scan::Changes { at } => (at, false),
                Scan::Finished { at } => (at, true),
                Scan::LocalInfile { .. } => {
                    return Err(io::Error::other("unexpected LOCAL INFILE request").into());
                }
            };
            if let Some(answer) = into.as_deref_mut() {
                answer.extend_from_slice(&chunk[..count]);
            }
            self.framed.consume(count);
            if finished {
                break;
            }
        }
        self.confirm()?;
        self.note_answered();
        let outcome = *self.scanner.outcome();
        if outcome.is_error() {
            return Err(Failure::Server(self.last_error()));
        }
        Ok(outcome)
    }

    /// The error that ended the answer just read.
    pub fn last_error(&self) -> SqlError {
        match ErrPacket::parse(self.scanner.last_payload()) {
            Ok(error) => SqlError::from_server(error.errno, error.sqlstate, error.message),
            Err(malformed) => {
                SqlError::from_server(1105, *b"HY000", malformed.to_string().into_bytes())
            }
        }
    }

    /// Server status after the answer just read.
    pub fn status(&self) -> StatusFlags {
        self.scanner.outcome().status
    }

    /// The stream.
    pub fn framed(&self) -> &Framed {
        &self.framed
    }

    /// The stream, for reading an answer packet by packet.
    pub fn framed_mut(&mut self) -> &mut Framed {
        &mut self.framed
    }

    /// The stream and the scanner, for a relay.
    pub fn relay_parts(&mut self) -> (&mut Framed, &mut ResponseScanner) {
        (&mut self.framed, &mut self.scanner)
    }
}

/// What a session wants to find on a connection.
#[derive(Clone, Copy, Debug)]
pub struct Aligned<'a> {
    /// Settings.
    pub settings: &'a Arc<Settings>,
    /// Schema on the server; empty for none.
    pub database: &'a [u8],
    /// The value of LAST_INSERT_ID(), if the statement asks for it.
    pub last_insert_id: Option<u64>,
}

/// The sequence id that the first packet of an answer has: one more than the last packet of the
/// command, which takes several packets from 16 MiB - 1 on.
pub fn first_answer_sequence(payload_len: usize) -> u8 {
    ((payload_len / crate::wire::packet::MAX_PAYLOAD + 1) & 0xff) as u8
}
