//! What a session has SET, and what a connection must be told so that the next statement runs
//! under exactly that.
//!
//! Only variables that are known to be replayable stand here; any other SET pins the session's
//! connection (see `session`). A value is the SQL literal that a server accepted, so that
//! replaying it cannot fail on a server of the same kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::server_kind::ServerKind;
use crate::wire::column_count::Definitions;

/// The variable that says whether servers describe the columns of results.
pub const RESULTSET_METADATA: &str = "resultset_metadata";

/// The settings of a session, or those that a connection has. Shared: comparing two usually
/// compares pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    names: Names,
    variables: BTreeMap<Arc<str>, Vec<u8>>,
}

/// The character set of the connection, as SET NAMES sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Character set.
    pub charset: Arc<str>,
    /// Collation; `None` is the server's default for the character set.
    pub collation: Option<Arc<str>>,
}

impl Settings {
    /// Nothing set but the character set.
    pub fn new(names: Names) -> Self {
        Self { names, variables: BTreeMap::new() }
    }

    /// The character set.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// SET NAMES: also forgets `character_set_*` and `collation_connection` set one by one.
    pub fn set_names(&mut self, names: Names) {
        self.names = names;
        self.variables.retain(|name, _| !is_charset(name));
    }

    /// Remembers a variable with the SQL literal of its value.
    pub fn set(&mut self, name: &str, literal: Vec<u8>) {
        self.variables.insert(name.into(), literal);
    }

    /// Forgets a variable: SET x = DEFAULT.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// The literal a variable was set to.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name).map(Vec::as_slice)
    }

    /// Whether servers describe the columns of results.
    pub fn definitions(&self) -> Definitions {
        match self.get(RESULTSET_METADATA) {
            Some(b"'NONE'") => Definitions::LeftOut,
            _ => Definitions::Sent,
        }
    }

    /// These settings with columns described or not.
    #[must_use]
    pub fn with_definitions(&self, definitions: Definitions) -> Self {
        let mut changed = self.clone();
        match definitions {
            Definitions::Sent => changed.unset(RESULTSET_METADATA),
            Definitions::LeftOut => changed.set(RESULTSET_METADATA, b"'NONE'".to_vec()),
        }
        changed
    }

    /// These settings with all of others that does not decide how a statement is read.
    #[must_use]
    pub fn with_execution_of(&self, others: &Self) -> Self {
        let mut mixed = self.clone();
        mixed.variables.retain(|name, _| !is_of_execution(name));
        let theirs = others.variables.iter().filter(|(name, _)| is_of_execution(name));
        mixed.variables.extend(theirs.map(|(name, literal)| (Arc::clone(name), literal.clone())));
        mixed
    }

    /// Bytes of all names and literals.
    pub fn bytes(&self) -> usize {
        self.variables.iter().map(|(name, literal)| name.len() + literal.len()).sum()
    }

    /// The user variables' names, with `@`, and literals.
    pub fn user_variables(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let is_user = |(name, _): &(&Arc<str>, _)| name.starts_with('@');
        self.variables.iter().filter(is_user).map(|(name, literal)| (&**name, literal.as_slice()))
    }

    /// Whether a server with these settings reads names as UTF-8.
    pub fn reads_utf8(&self) -> bool {
        matches!(&*self.names.charset, "utf8mb4" | "utf8mb3" | "utf8")
            && !self.variables.contains_key("character_set_client")
    }

    /// Appends what of the settings may decide how a server reads a statement: all that is not
    /// known to be looked up when it runs.
    pub fn describe_reading(&self, out: &mut Vec<u8>) {
        let mut put = |text: &[u8]| {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        };
        put(self.names.charset.as_bytes());
        put(self.names.collation.as_deref().unwrap_or_default().as_bytes());
        for (name, literal) in self.variables.iter().filter(|(name, _)| !is_of_execution(name)) {
            put(name.as_bytes());
            put(literal);
        }
    }

    /// The statements that turn a connection with the settings `from` into one with `self`, in
    /// this order: character set, system variables, user variables. They are apart because a
    /// server reads the literals of a statement by what was set before it.
    pub fn statements_from(&self, from: &Self, kind: &ServerKind) -> Vec<Vec<u8>> {
        // SET NAMES writes over the character sets, so those are told again after it. It is also
        // the way back from one that was set by itself: DEFAULT would be the server's value, not
        // that of the connection.
        let left = |name: &&Arc<str>| is_charset(name) && !self.variables.contains_key(*name);
        let renames = self.names != from.names || from.variables.keys().any(|n| left(&n));
        let mut system = Vec::new();
        let mut user = Vec::new();
        for name in from.variables.keys().filter(|name| !self.variables.contains_key(*name)) {
            match name.strip_prefix('@') {
                Some(_) => user.push(user_assignment(name, NEVER_ASSIGNED)),
                None if is_charset(name) => {}
                None => system.push(undoing(kind.variable_name(name))),
            }
        }
        for (name, literal) in &self.variables {
            let again = renames && is_charset(name);
            if from.variables.get(name) == Some(literal) && !again {
                continue;
            }
            if name.starts_with('@') {
                user.push(user_assignment(name, literal));
            } else {
                system.push(assignment(kind.variable_name(name), literal));
            }
        }
        let names = if renames { vec![self.names.assignment()] } else { Vec::new() };
        [names, system, user]
            .into_iter()
            .filter(|parts| !parts.is_empty())
            .map(|parts| [b"SET ".to_vec(), parts.join(&b", "[..])].concat())
            .collect()
    }
}

impl Names {
    /// utf8mb4 with the collation that every server knows.
    pub fn utf8mb4() -> Self {
        Self { charset: "utf8mb4".into(), collation: Some("utf8mb4_general_ci".into()) }
    }

    fn assignment(&self) -> Vec<u8> {
        let mut text = format!("NAMES '{}'", self.charset);
        if let Some(collation) = &self.collation {
            text = format!("{text} COLLATE '{collation}'");
        }
        text.into_bytes()
    }
}

/// NULL of the type that a variable has which was never assigned; a plain NULL would keep the type
/// of the last value.
const NEVER_ASSIGNED: &[u8] = b"CAST(NULL AS BINARY)";

/// Whether a variable is looked up when a statement runs, not when it is prepared: a user variable,
/// or one of a list. Some of these could not even be set in the middle of a transaction.
fn is_of_execution(name: &str) -> bool {
    name.starts_with('@') || OF_EXECUTION.contains(&name)
}

const OF_EXECUTION: &[&str] = &[
    "autocommit",
    "binlog_format",
    "binlog_row_image",
    "completion_type",
    "gtid_domain_id",
    "idle_readonly_transaction_timeout",
    "idle_transaction_timeout",
    "idle_write_transaction_timeout",
    "innodb_lock_wait_timeout",
    "interactive_timeout",
    "lock_wait_timeout",
    "long_query_time",
    "net_read_timeout",
    "net_retry_count",
    "net_write_timeout",
    RESULTSET_METADATA,
    "server_id",
    "session_track_gtids",
    "session_track_schema",
    "session_track_system_variables",
    "session_track_transaction_info",
    "slow_query_log",
    "sql_log_bin",
    "sql_log_off",
    "timestamp",
    "transaction_isolation",
    "transaction_read_only",
    "wait_timeout",
];

/// The variables that SET NAMES sets.
fn is_charset(name: &str) -> bool {
    matches!(
        name,
        "character_set_client"
            | "character_set_connection"
            | "character_set_results"
            | "collation_connection"
    )
}

/// Gives a variable the value that it has after login.
fn undoing(name: &str) -> Vec<u8> {
    match name {
        // MySQL's DEFAULT of these is 0, whatever the global value is.
        "foreign_key_checks" | "unique_checks" => {
            assignment(name, format!("@@global.{name}").as_bytes())
        }
        _ => assignment(name, b"DEFAULT"),
    }
}

fn assignment(name: &str, literal: &[u8]) -> Vec<u8> {
    let mut text = format!("@@session.{name} = ").into_bytes();
    text.extend_from_slice(literal);
    text
}

/// `name` begins with `@`; quoted, because it may have any characters.
fn user_assignment(name: &str, literal: &[u8]) -> Vec<u8> {
    let mut text = format!("@`{}` = ", name[1..].replace('`', "``")).into_bytes();
    text.extend_from_slice(literal);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(charset: &str) -> Names {
        Names { charset: charset.into(), collation: None }
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new(names("utf8mb4"));
        for (name, value) in pairs {
            settings.set(name, value.as_bytes().to_vec());
        }
        settings
    }

    fn change(from: &Settings, to: &Settings) -> String {
        let kind = ServerKind::parse(b"10.11.6-MariaDB");
        let statements = to.statements_from(from, &kind);
        statements.iter().map(|s| String::from_utf8_lossy(s)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn equal_settings_need_no_statement() {
        assert_eq!(change(&settings(&[("a", "1")]), &settings(&[("a", "1")])), "");
    }

    #[test]
    fn what_the_other_session_set_is_undone() {
        let from = settings(&[("sql_mode", "''"), ("time_zone", "'+01:00'")]);
        let to = settings(&[("time_zone", "'+02:00'")]);
        assert_eq!(
            change(&from, &to),
            "SET @@session.sql_mode = DEFAULT, @@session.time_zone = '+02:00'"
        );
    }

    #[test]
    fn user_variables_of_another_session_are_wiped() {
        let from = settings(&[("@a`b", "1"), ("transaction_isolation", "'SERIALIZABLE'")]);
        let to = settings(&[("@c", "'x'")]);
        assert_eq!(
            change(&from, &to),
            "SET @@session.tx_isolation = DEFAULT; \
             SET @`a``b` = CAST(NULL AS BINARY), @`c` = 'x'"
        );
    }

    #[test]
    fn set_names_comes_first_and_single_character_sets_are_told_again() {
        let from = settings(&[]);
        let mut to = settings(&[]);
        to.set_names(names("latin1"));
        to.set("character_set_results", b"NULL".to_vec());
        assert_eq!(
            change(&from, &to),
            "SET NAMES 'latin1'; SET @@session.character_set_results = NULL"
        );
        assert_eq!(change(&to, &from), "SET NAMES 'utf8mb4'");
    }
}
