//! Statements that the session answers itself, because only it knows the answer: a server would
//! tell its own connection id, its own warnings, its own row counts.
//!
//! Only whole statements of a known form are answered here; the same functions inside other
//! statements are the planner's business.

use crate::sql::control::kill::{Kill, KillTarget};
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use crate::error::SqlError;
use crate::executor::registry::Interrupt;

use super::query::Request;
use super::reply::{Column, Kind};
use super::show_topology::{Table, show_topology};
use super::state::Warnings;
use super::{End, Session};

/// A one-row answer.
#[derive(Debug)]
pub(super) struct Builtin {
    name: String,
    kind: Kind,
    value: Option<String>,
}

/// Features of functions that a pooled connection would answer wrongly.
pub(super) const OF_SESSION: Features = Features::FOUND_ROWS
    .with(Features::ROW_COUNT)
    .with(Features::CONNECTION_ID)
    .with(Features::DATABASE)
    .with(Features::USER);

/// Whether a SHOW is answered from what the session remembers.
pub(super) fn is_of_session(show: ShowKind) -> bool {
    use ShowKind as Of;
    matches!(show, Of::Warnings | Of::Errors | Of::WarningCount | Of::ErrorCount)
}

impl Session {
    /// The answer to `SELECT function() [AS alias]`, if the session must give it.
    pub(super) fn builtin(&self, text: &[u8], features: Features) -> Option<Builtin> {
        if !features.intersects(OF_SESSION) || self.scan.kind() != StatementKind::Select {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.trim().trim_end_matches(';').trim_end();
        let body = text.get(6..)?.trim_start();
        let (call, alias) = split_alias(body);
        let plain: String = call.chars().filter(|c| !c.is_whitespace()).collect();
        let name = alias.unwrap_or(call).to_owned();
        let number =
            |value: String| Builtin { name: name.clone(), kind: Kind::Integer, value: Some(value) };
        // While a connection is held for it, the server knows better.
        let held = self.attached.iter().any(|attached| attached.held);
        match plain.to_ascii_uppercase().as_str() {
            "FOUND_ROWS()" if !held => Some(number(self.state.found_rows.to_string())),
            "ROW_COUNT()" => Some(number(self.state.row_count.to_string())),
            "CONNECTION_ID()" => Some(number(self.registered.control().id.to_string())),
            // One server knows its database by itself, and how to show it.
            "DATABASE()" | "SCHEMA()" if self.services.topology().single_server().is_none() => {
                let value = self.state.target.keyspace.as_deref().map(str::to_owned);
                Some(Builtin { name, kind: Kind::Text(64), value })
            }
            "USER()" | "SESSION_USER()" | "SYSTEM_USER()" => Some(Builtin {
                name,
                kind: Kind::Text(288),
                value: Some(format!("{}@{}", self.login.user, self.login.host)),
            }),
            _ => None,
        }
    }

    pub(super) async fn reply_builtin(&mut self, answer: Builtin) -> Result<(), End> {
        let column = Column { name: &answer.name, kind: answer.kind };
        self.forget_warnings();
        self.reply_rows(&[column], &[vec![answer.value]]).await
    }

    /// SHOW: warnings are the session's, the rest is the servers'.
    pub(super) async fn show(&mut self, request: Request, show: &Show) -> Result<(), End> {
        if is_of_session(show.kind) {
            self.learn_warnings().await;
        }
        match self.listing(show) {
            Ok(None) => {}
            Ok(Some(listing)) => {
                self.consume(&request);
                return self.reply_listing(listing).await;
            }
            Err(error) => return self.refuse(&request, error).await,
        }
        let errors_only = match show.kind {
            ShowKind::Warnings => false,
            ShowKind::Errors => true,
            ShowKind::WarningCount | ShowKind::ErrorCount => {
                let errors_only = show.kind == ShowKind::ErrorCount;
                let count = self.state.warnings.count(errors_only);
                self.consume(&request);
                let name =
                    if errors_only { "@@session.error_count" } else { "@@session.warning_count" };
                let column = Column { name, kind: Kind::Count };
                return self.reply_rows(&[column], &[vec![Some(count.to_string())]]).await;
            }
            _ => {
                if let Some(row) = self.show_own_variable(show) {
                    return self.reply_own_variable(&request, row).await;
                }
                if let Some(table) = self.topology_table(show) {
                    self.consume(&request);
                    return self.reply_rows(&table.columns, &table.rows).await;
                }
                return self.show_on_server(request, show).await;
            }
        };
        self.consume(&request);
        let columns = [
            Column { name: "Level", kind: Kind::Filled(7) },
            Column { name: "Code", kind: Kind::Code },
            Column { name: "Message", kind: Kind::Filled(512) },
        ];
        let rows = self.state.warnings.rows(errors_only);
        self.reply_rows(&columns, &rows).await
    }

    /// The answer to a SHOW about keyspaces, shards, servers or regions. The databases of the only
    /// servers are told by them.
    fn topology_table(&self, show: &Show) -> Option<Table> {
        if show.filter.is_some() {
            return None;
        }
        let topology = self.services.topology();
        if show.kind == ShowKind::Databases && topology.single_server().is_some() {
            return None;
        }
        let like = show.like.as_deref();
        show_topology(show.kind, &topology, &self.services.geography, like)
    }

    /// KILL.
    pub(super) async fn kill(&mut self, kill: Kill) -> Result<(), End> {
        let found = u32::try_from(kill.id).ok().and_then(|id| self.services.registry.find(id));
        // Everyone may end his own sessions.
        let Some(victim) = found.filter(|victim| *victim.user == *self.login.user) else {
            let error =
                SqlError::from_server(1094, *b"HY000", format!("Unknown thread id: {}", kill.id));
            return self.reply_error(error).await;
        };
        let own = victim.id == self.registered.control().id;
        match (kill.target, own) {
            (KillTarget::Query, true) => {
                let error = crate::error::catalog::KILLED.error();
                return self.reply_error(error).await;
            }
            (KillTarget::Query, false) => victim.raise(Interrupt::Query),
            (KillTarget::Connection, _) => victim.raise(Interrupt::Connection),
        }
        self.reply_ok(0).await
    }
}

impl Warnings {
    /// How many there are, or how many errors.
    fn count(&self, errors_only: bool) -> usize {
        self.rows(errors_only).len()
    }

    /// The rows of SHOW WARNINGS, or of SHOW ERRORS.
    fn rows(&self, errors_only: bool) -> Vec<Vec<Option<String>>> {
        match self {
            Self::None => Vec::new(),
            Self::Error(error) => vec![vec![
                Some("Error".to_owned()),
                Some(error.errno.to_string()),
                Some(String::from_utf8_lossy(&error.message).into_owned()),
            ]],
            Self::Noted(rows) => {
                let wanted = |row: &&Vec<Option<String>>| {
                    !errors_only || row.first().is_some_and(|l| l.as_deref() == Some("Error"))
                };
                rows.iter().filter(wanted).cloned().collect()
            }
        }
    }
}

/// `call AS alias` or `call alias`.
fn split_alias(body: &str) -> (&str, Option<&str>) {
    let Some(close) = body.find(')') else { return (body, None) };
    let (call, rest) = body.split_at(close + 1);
    let rest = rest.trim();
    if rest.is_empty() {
        return (call, None);
    }
    let rest = match rest.get(..3) {
        Some(word) if word.eq_ignore_ascii_case("as ") => rest[3..].trim(),
        _ => rest,
    };
    let rest = rest.trim_matches('`').trim_matches('\'').trim_matches('"');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if rest.chars().all(word) { (call, Some(rest)) } else { (body, None) }
}
