//! One authenticated connection to a server: the exchange with it, and what is known of its session
//! there.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::Context;

use tokio::sync::oneshot;

use super::defaults::{Asked, Defaults};
use super::dial::Dial;
use super::exchange::{Exchange, Failure};
use super::mirror::{Aligned, Mirror};
use super::named::NamedStatements;
use super::presence::Present;
use super::profile::Profile;
use super::server_kind::{Product, ServerKind};
use super::settings::{Names, Settings};
use super::several::Several;
use super::statements::Statements;
use super::term::Entered;
use crate::clock::{self, Instant};
use crate::net::Framed;
use crate::topology::{Identity, ServerId};
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::scanner::Expect;

mod prepare;

pub use prepare::PrepareError;

/// A connection to a server. It dereferences to its [`Exchange`], through which commands go.
#[derive(Debug)]
pub struct Connection {
    exchange: Exchange,
    mirror: Mirror,
    profile: Profile,
    kind: ServerKind,
    thread_id: u32,
    server: ServerId,
    dial: Dial,
    /// It is closed when it is given back: a KILL QUERY is on its way, and may come after the
    /// statement it is meant for, or not even a reset makes the session fit for another client.
    retired: bool,
    /// Prepared statements of this connection.
    pub statements: Statements,
    /// Statements of PREPARE in SQL.
    pub named: NamedStatements,
    several: Several,
    idle_since: Instant,
    _present: Present,
}

/// What [`super::dial`] knows of a connection it has just made.
pub(super) struct Established {
    pub(super) framed: Framed,
    pub(super) capabilities: Capabilities,
    pub(super) profile: Profile,
    pub(super) kind: ServerKind,
    pub(super) thread_id: u32,
    pub(super) dial: Dial,
    pub(super) names: Names,
    pub(super) statements_max: usize,
    pub(super) entered: Entered,
}

impl Connection {
    pub(super) fn new(made: Established) -> Self {
        Self {
            exchange: Exchange::new(made.framed, made.capabilities, made.entered),
            mirror: Mirror::new(made.names),
            profile: made.profile,
            statements: Statements::new(made.kind.product, made.statements_max),
            kind: made.kind,
            thread_id: made.thread_id,
            server: made.dial.server(),
            _present: made.dial.presence().enter(made.thread_id),
            dial: made.dial,
            retired: false,
            named: NamedStatements::default(),
            several: Several::default(),
            idle_since: clock::now(),
        }
    }

    /// What it has in common with the clients it may serve.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// MySQL or MariaDB, and which version.
    pub fn kind(&self) -> &ServerKind {
        &self.kind
    }

    /// The server's id of this connection, for KILL.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// The server that it is to.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// How to reach the same server again.
    pub fn dialer(&self) -> &Dial {
        &self.dial
    }

    /// What the server remembers of the session.
    pub(super) fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Since when nobody has used it.
    pub fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Whether the server still has the warnings of the last statement of `session`, which used
    /// the connection last: MySQL forgets them with every other statement, MariaDB with one that
    /// uses a table, which questions of Geogate's own do not.
    pub fn has_warnings_of(&self, session: u32) -> bool {
        self.kind.product == Product::MariaDb || self.last_use().has_warnings_of(session)
    }

    /// Notes which session has the connection from now on.
    pub fn note_session(&mut self, session: u32) {
        self.last_use_mut().take(session);
    }

    /// Marks the start of idleness.
    pub(super) fn rest(&mut self) {
        debug_assert!(!self.is_tainted(), "a tainted connection is reset before it rests");
        self.follow(None);
        self.set_expendable(false);
        self.idle_since = clock::now();
    }

    /// Whether the server is about to close it, because a session has set a short `wait_timeout`.
    pub(super) fn is_expiring(&self) -> bool {
        let Some(seconds) = self.mirror.wait_timeout() else { return false };
        let idle = clock::now().saturating_duration_since(self.idle_since);
        idle.as_secs() + 2 > seconds
    }

    /// Moves it to the runtime of the current thread.
    pub(super) fn adopt(self) -> io::Result<Self> {
        Ok(Self { exchange: self.exchange.adopt()?, ..self })
    }

    /// Notes that the server now holds state that cannot be mirrored: it must be reset before
    /// another session uses this connection.
    pub fn taint(&mut self) {
        self.mirror.taint();
    }

    /// Whether it must be reset before another session uses it.
    pub fn is_tainted(&self) -> bool {
        self.mirror.is_tainted()
    }

    /// Notes that a KILL QUERY is sent for what runs here, until the result is dropped: before that
    /// nothing else is sent, which it might hit.
    pub fn begin_kill(&mut self) -> oneshot::Sender<()> {
        self.retired = true;
        self.exchange.begin_kill()
    }

    /// Notes that not even a reset makes it fit for another session: it is closed when it is given
    /// back.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Whether another session may use it: the mirror is right, no answer is unread, and no kill
    /// can still hit it.
    pub(super) fn is_reusable(&self) -> bool {
        !self.is_tainted() && self.is_at_rest() && !self.retired
    }

    /// Chooses its database again at the next use, if it has not since so many changes.
    pub(super) fn see_databases(&mut self, changes: u32) {
        self.mirror.see_databases(changes);
    }

    /// Whether the session there is as wanted already, and takes as many statements in a command.
    #[inline]
    pub fn agrees(&self, wanted: &Aligned<'_>, several: Option<Several>) -> bool {
        several.is_none_or(|several| several == self.several)
            && self.mirror.agrees(&self.exchange, wanted)
    }

    /// Makes the connection's settings, database and last insert id equal to the session's, as
    /// [`Mirror::align`] says.
    pub(super) async fn align(&mut self, wanted: &Aligned<'_>) -> Result<(), Failure> {
        self.mirror.align(&mut self.exchange, &self.kind, wanted).await
    }

    /// Notes the settings after a SET that went through this connection.
    pub fn note_settings(&mut self, settings: &Arc<Settings>) {
        self.mirror.note_settings(settings);
    }

    /// Notes that some of what it has was changed by a statement, and now is known.
    pub fn change_settings(&mut self, change: impl FnOnce(&Settings) -> Arc<Settings>) {
        self.mirror.change_settings(change);
    }

    /// Notes the database after a USE that went through this connection.
    pub fn note_database(&mut self, database: &[u8]) {
        self.mirror.note_database(database);
    }

    /// LAST_INSERT_ID() as it was when it was last asked for or set.
    pub fn known_insert_id(&self) -> u64 {
        self.mirror.known_insert_id()
    }

    /// Notes what the server answered to `SELECT LAST_INSERT_ID()`.
    pub fn set_last_insert_id(&mut self, id: u64) {
        self.mirror.note_last_insert_id(id);
    }

    /// Tells the server to take one statement in a command or many, if it does not already.
    pub async fn set_several(&mut self, several: Several) -> Result<(), Failure> {
        self.several.change(several, &mut self.exchange).await
    }

    /// Makes the named statements the session's: those of another one are dropped.
    pub async fn own_names(&mut self, session: u32) -> Result<(), Failure> {
        self.named.give_to(session, &mut self.exchange).await
    }

    /// COM_RESET_CONNECTION: rolls back, drops temporary tables, locks, variables and prepared
    /// statements. Afterwards the session at the server is as after login.
    pub async fn reset(&mut self) -> Result<(), Failure> {
        self.command(code::RESET_CONNECTION, &[], Expect::OkOrErr).await?;
        self.mirror.note_reset();
        self.statements.clear();
        self.named = NamedStatements::default();
        // The reset puts variables back to the server's defaults, character set included.
        self.set_up().await?;
        let last_use = self.last_use_mut();
        *last_use = last_use.after_reset();
        Ok(())
    }

    /// Puts a session of the server that is new or reset into the state that Geogate expects, and
    /// learns what it has begun with. Gives the server's identity, if it tells it.
    pub(super) async fn set_up(&mut self) -> Result<Option<Identity>, Failure> {
        let setup = self.kind.session_setup(self.mirror.initial_names());
        let looks = self.dial.looks();
        self.execute(setup.as_bytes()).await?;
        let values = Defaults::columns(Asked::Session, &self.kind);
        let question = format!("SELECT {values}, {}", self.kind.identity_columns());
        let rows = self.rows(question.as_bytes()).await?;
        let defaults = Defaults::read(&rows);
        self.mirror.begin(defaults.as_ref());
        if let Some(defaults) = defaults {
            self.dial.note_defaults(defaults, looks);
        }
        Ok(Defaults::read_identity(&rows))
    }

    /// Looks what the server gives new sessions now.
    pub async fn look_at_defaults(&mut self) -> Result<(), Failure> {
        let question = format!("SELECT {}", Defaults::columns(Asked::Global, &self.kind));
        if let Some(defaults) = Defaults::read(&self.rows(question.as_bytes()).await?) {
            self.dial.note_look(defaults);
        }
        Ok(())
    }

    /// Closes the statements that no client has open any more, on a connection at rest. Does not
    /// wait: whether all could be told to the server.
    pub(super) fn close_orphans(&mut self, cx: &mut Context<'_>) -> bool {
        let orphans = self.statements.remove_orphans();
        orphans.is_empty() || self.exchange.close_at_rest(&orphans, cx)
    }
}

impl Deref for Connection {
    type Target = Exchange;

    #[inline]
    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}

impl DerefMut for Connection {
    #[inline]
    fn deref_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
}
