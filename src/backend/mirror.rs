//! What the server remembers of a session between two statements, as far as it is the same for all
//! sessions: settings, database, last insert id.
//!
//! A statement is sent only after the mirror agrees with what the client's session has asked for.
//! What a server remembers besides taints the mirror; only a reset makes it true again.

use std::io;
use std::sync::Arc;

use super::defaults::Defaults;
use super::exchange::{Exchange, Failure};
use super::last_use::FORGET_WARNINGS;
use super::server_kind::ServerKind;
use super::settings::{Names, Settings};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

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

/// The state of a session at a server.
#[derive(Debug)]
pub(super) struct Mirror {
    initial: Arc<Settings>,
    settings: Arc<Settings>,
    /// `wait_timeout` of these settings in seconds.
    wait_timeout: Option<u64>,
    database: Database,
    last_insert_id: u64,
    /// The server may hold state that is mirrored nowhere.
    tainted: bool,
    /// Settings or database have changed since [`Mirror::take_reading`].
    is_reading_new: bool,
    /// Which change of databases its own was chosen after; see [`super::Pool`].
    databases_seen: u32,
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

impl Mirror {
    /// A session after the login, in which these names were told.
    pub(super) fn new(names: Names) -> Self {
        let initial = Arc::new(Settings::new(names));
        Self {
            settings: Arc::clone(&initial),
            initial,
            wait_timeout: None,
            database: Database::None,
            last_insert_id: 0,
            tainted: false,
            is_reading_new: true,
            databases_seen: 0,
        }
    }

    /// The character set that sessions begin with.
    pub(super) fn initial_names(&self) -> &Names {
        self.initial.names()
    }

    /// Notes a COM_RESET_CONNECTION. The session is not fit for use before it is set up again.
    pub(super) fn note_reset(&mut self) {
        if self.database != Database::None {
            self.database = Database::Unknown;
        }
        self.last_insert_id = 0;
        self.tainted = true;
        self.is_reading_new = true;
    }

    /// Notes that the session begins, and what the server has given it.
    pub(super) fn begin(&mut self, defaults: Option<&Defaults>) {
        let mut initial = Settings::new(self.initial.names().clone());
        if let Some(defaults) = defaults {
            defaults.enter(&mut initial);
        }
        if *self.initial != initial {
            self.initial = Arc::new(initial);
        }
        self.enter(Arc::clone(&self.initial));
        self.tainted = false;
    }

    /// Notes that the server now holds state that is mirrored nowhere.
    pub(super) fn taint(&mut self) {
        self.tainted = true;
    }

    /// Whether it may hold such state.
    pub(super) fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Whether the session has exactly these settings.
    pub(super) fn has_settings(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings) || *self.settings == **settings
    }

    /// After how many idle seconds the server closes the connection, if the session has set it.
    #[inline]
    pub(super) fn wait_timeout(&self) -> Option<u64> {
        self.wait_timeout
    }

    fn enter(&mut self, settings: Arc<Settings>) {
        let literal = settings.get("wait_timeout").and_then(|text| str::from_utf8(text).ok());
        self.wait_timeout = literal.and_then(|text| text.trim().parse().ok());
        self.settings = settings;
        self.is_reading_new = true;
    }

    /// Whether the session is in this database (empty: in none), as far as is known.
    #[inline]
    pub(super) fn is_in(&self, database: &[u8]) -> bool {
        match &self.database {
            Database::None => database.is_empty(),
            Database::Named(name) => name == database,
            Database::Unknown => false,
        }
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

    /// Whether there is nothing to tell the server before a statement of the session.
    #[inline]
    pub(super) fn agrees(&self, exchange: &Exchange, wanted: &Aligned<'_>) -> bool {
        Arc::ptr_eq(&self.settings, wanted.settings)
            && wanted.last_insert_id.is_none_or(|id| id == self.last_insert_id)
            && !exchange.last_use().has_foreign_warnings()
            && self.is_in(wanted.database)
    }

    /// Makes settings, database and last insert id at the server equal to what is wanted. There is
    /// no command to leave a database: [`super::Lease::align`] takes another connection then.
    pub(super) async fn align(
        &mut self,
        exchange: &mut Exchange,
        kind: &ServerKind,
        wanted: &Aligned<'_>,
    ) -> Result<(), Failure> {
        let aligned = self.tell_differences(exchange, kind, wanted).await;
        if aligned.is_err() {
            // Some of several statements may have had their effect, which the mirror does not show.
            self.taint();
        }
        aligned
    }

    async fn tell_differences(
        &mut self,
        exchange: &mut Exchange,
        kind: &ServerKind,
        wanted: &Aligned<'_>,
    ) -> Result<(), Failure> {
        if exchange.last_use().has_foreign_warnings() {
            exchange.execute(FORGET_WARNINGS).await?;
            exchange.last_use_mut().note_forgotten();
        }
        // The name of a database is UTF-8, and the server reads it in the client's character set.
        let name_first = !wanted.database.is_ascii()
            && !self.is_in(wanted.database)
            && !wanted.settings.reads_utf8();
        if name_first {
            let initial = Arc::clone(&self.initial);
            self.tell_settings(exchange, kind, &initial).await?;
        } else {
            self.tell_settings(exchange, kind, wanted.settings).await?;
        }
        if !self.is_in(wanted.database) {
            if wanted.database.is_empty() {
                return Err(io::Error::other("a connection cannot leave its database").into());
            }
            exchange.command(code::INIT_DB, wanted.database, Expect::OkOrErr).await?;
            self.note_database(wanted.database);
        }
        if name_first {
            self.tell_settings(exchange, kind, wanted.settings).await?;
        }
        if let Some(id) = wanted.last_insert_id
            && id != self.last_insert_id
        {
            exchange.execute(format!("SET @@session.last_insert_id = {id}").as_bytes()).await?;
            self.last_insert_id = id;
        }
        Ok(())
    }

    async fn tell_settings(
        &mut self,
        exchange: &mut Exchange,
        kind: &ServerKind,
        wanted: &Arc<Settings>,
    ) -> Result<(), Failure> {
        if Arc::ptr_eq(&self.settings, wanted) {
            return Ok(());
        }
        if self.settings != *wanted {
            for statement in wanted.statements_from(&self.settings, kind) {
                exchange.execute(&statement).await?;
            }
        }
        self.note_settings(wanted);
        Ok(())
    }

    /// Notes the settings after a SET.
    pub(super) fn note_settings(&mut self, settings: &Arc<Settings>) {
        self.enter(Arc::clone(settings));
    }

    /// Notes that some of the settings were changed by a statement, and now are known.
    pub(super) fn change_settings(&mut self, change: impl FnOnce(&Settings) -> Arc<Settings>) {
        self.enter(change(&self.settings));
    }

    /// Notes the database after a USE.
    pub(super) fn note_database(&mut self, database: &[u8]) {
        self.is_reading_new = true;
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

    /// LAST_INSERT_ID() as far as it is known.
    pub(super) fn known_insert_id(&self) -> u64 {
        self.last_insert_id
    }

    /// Notes the value of LAST_INSERT_ID().
    pub(super) fn note_last_insert_id(&mut self, id: u64) {
        self.last_insert_id = id;
    }

    /// What the server reads statements under, if it has changed since this was asked last.
    pub(super) fn take_reading(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.is_reading_new) {
            return None;
        }
        let database = match &self.database {
            Database::Named(name) => &name[..],
            Database::None | Database::Unknown => b"",
        };
        Some(reading_key(database, &self.settings))
    }
}

/// Describes completely what a server reads a statement under.
pub fn reading_key(database: &[u8], settings: &Settings) -> Vec<u8> {
    let mut key = [database, b"\0"].concat();
    settings.describe_reading(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror() -> Mirror {
        let mut mirror = Mirror::new(Names::utf8mb4());
        mirror.begin(None);
        mirror
    }

    #[test]
    fn the_reading_is_told_after_each_change() {
        let mut mirror = mirror();
        let first = mirror.take_reading().expect("of a new session");
        assert_eq!(mirror.take_reading(), None);
        mirror.note_database(b"shop");
        let in_shop = mirror.take_reading().expect("of another database");
        assert_ne!(in_shop, first);
        mirror.change_settings(|settings| {
            let mut changed = settings.clone();
            changed.set("sql_mode", b"'ANSI_QUOTES'".to_vec());
            Arc::new(changed)
        });
        assert_ne!(mirror.take_reading().expect("of other settings"), in_shop);
        mirror.note_settings(&Arc::new(Settings::new(Names::utf8mb4())));
        assert_eq!(mirror.take_reading(), Some(in_shop));
        mirror.note_last_insert_id(7);
        assert_eq!(mirror.take_reading(), None);
    }

    #[test]
    fn after_a_reset_nothing_is_taken_for_known_before_the_session_begins() {
        let mut mirror = mirror();
        assert!(mirror.is_in(b"") && !mirror.is_tainted());
        mirror.note_database(b"shop");
        mirror.taint();
        mirror.note_reset();
        assert!(mirror.is_tainted());
        assert!(!mirror.is_in(b"shop") && !mirror.is_in(b""), "it is in one of them");
        mirror.begin(None);
        assert!(!mirror.is_tainted() && mirror.take_reading().is_some());
    }

    #[test]
    fn a_database_that_may_have_changed_is_chosen_again() {
        let mut mirror = mirror();
        mirror.see_databases(1);
        assert!(mirror.is_in(b""));
        mirror.note_database(b"shop");
        mirror.see_databases(1);
        assert!(mirror.is_in(b"shop"));
        mirror.see_databases(2);
        assert!(!mirror.is_in(b"shop"));
    }
}
