//! The session variables that are Geogate's own: SET, SELECT @@, SHOW VARIABLES LIKE.
//!
//! They look like system variables of a server, but none of them is sent to one.

use crate::config::ConsistentSnapshot;
use crate::error::{SqlError, catalog};
use crate::geo::Leaving;
use crate::observe::TransactionMode;
use crate::region::Region;
use crate::sql::control::set::{Scope, Set, SetItem, SetValue};
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::sql::value::Value;

use super::Services;
use super::answer::{Answer, Leaves};
use super::connections::Connections;
use super::consistency::Reading;
use super::mirror::Mirror;
use super::reply::{Column, Kind};
use super::state::State;
use super::statement_timeout;

/// Their names.
const NAMES: &[&str] = &[
    "read_consistency",
    "max_staleness",
    "nearest_only",
    "client_region",
    "workload",
    "transaction_mode",
    "consistent_snapshot",
    "write_ack",
    statement_timeout::NAME,
    "served_from",
    "served_region",
];

/// SET of own variables; `None` if the statement has none of them.
pub(super) fn set_own_variables(
    services: &Services,
    mirror: &mut Mirror,
    state: &mut State,
    set: &Set,
) -> Option<Result<(), SqlError>> {
    let own = |item: &&SetItem| matches!(item, SetItem::System { name, .. } if is_own(name));
    let count = set.items.iter().filter(own).count();
    if count == 0 {
        return None;
    }
    if count < set.items.len() {
        let what = "SET of Geogate's variables and a server's in one statement";
        return Some(Err(catalog::UNSUPPORTED.advising(&[&what], "send two statements")));
    }
    // All or nothing.
    let mut changed = Changes::of(state, mirror.transaction_mode);
    for item in &set.items {
        if let SetItem::System { scope, name, value, .. } = item
            && let Err(error) = set_own(services, state, &mut changed, *scope, name, value)
        {
            return Some(Err(error));
        }
    }
    mirror.transaction_mode = changed.transaction_mode;
    changed.apply(state);
    Some(Ok(()))
}

fn set_own(
    services: &Services,
    state: &State,
    changes: &mut Changes,
    scope: Scope,
    name: &str,
    value: &SetValue,
) -> Result<(), SqlError> {
    if !matches!(scope, Scope::Session | Scope::Unscoped) {
        return Err(catalog::UNSUPPORTED
            .advising(&[&format!("SET GLOBAL {name}")], "SET it for the session"));
    }
    if matches!(name, "served_from" | "served_region") {
        return Err(catalog::READ_ONLY_VARIABLE.with(&[&name]));
    }
    let geography = &services.geography;
    let value = match value {
        SetValue::Default | SetValue::Null => {
            let region = geography.region_of(&state.login.host);
            changes.reset(name, &Reading::new(region, 0));
            if name == statement_timeout::NAME {
                let user = &state.login.user;
                changes.statement_timeout = statement_timeout::first(services, user);
            }
            return Ok(());
        }
        SetValue::Word(word) => word.clone(),
        SetValue::Literal(value) => literal(value)
            .ok_or_else(|| catalog::WRONG_VALUE.with(&[&name, &"a binary literal"]))?,
        SetValue::Expression => {
            return Err(catalog::UNSUPPORTED
                .advising(&[&format!("SET {name} to an expression")], "SET it to a literal"));
        }
    };
    if name == statement_timeout::NAME {
        let user = &state.login.user;
        changes.statement_timeout = statement_timeout::parse(services, user, &value)?;
        return Ok(());
    }
    changes.set(name, &value, |options, value| options.set(name, value, geography))
}

/// The answer to `SELECT @@own [AS alias], ..`, if all of it are own variables.
pub(super) fn select_own_variables(
    connections: &Connections,
    state: &State,
    text: &[u8],
    features: Features,
) -> Option<Answer> {
    if !features.contains(Features::SYSTEM_VARIABLE) || state.scan.kind() != StatementKind::Select {
        return None;
    }
    if !connections.mirror.character_sets.names_are_utf8() && !text.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim().trim_end_matches(';').trim_end();
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for (title, name) in selected(text.get(6..)?)? {
        columns.push(Column::new(title, Kind::Text(64)));
        values.push(own_variable(&connections.services, &connections.mirror, state, &name));
    }
    Some(Answer::text(columns, vec![values]).leaving(Leaves::Nothing))
}

/// `SHOW VARIABLES LIKE 'own'`, if the pattern is the name of an own variable.
pub(super) fn show_own_variable(
    services: &Services,
    mirror: &Mirror,
    state: &State,
    show: &Show,
) -> Option<Answer> {
    if show.kind != ShowKind::Variables {
        return None;
    }
    let pattern = String::from_utf8_lossy(show.like.as_deref()?).to_ascii_lowercase();
    let name = pattern.replace("\\_", "_");
    if !is_own(&name) {
        return None;
    }
    let value = own_variable(services, mirror, state, &name).unwrap_or_default();
    let columns =
        vec![Column::new("Variable_name", Kind::Text(64)), Column::new("Value", Kind::Text(2048))];
    Some(Answer::text(columns, vec![vec![Some(name), Some(value)]]))
}

/// The value of an own variable, if it has one.
fn own_variable(services: &Services, mirror: &Mirror, state: &State, name: &str) -> Option<String> {
    let reading = &state.reading;
    let served = || {
        let topology = services.topology();
        reading.served.map(|placement| topology.server(placement.server()).clone())
    };
    match name {
        "read_consistency" => Some(reading.options.level.name().to_owned()),
        "nearest_only" => {
            let on = reading.options.leaving == Leaving::Forbidden;
            Some(if on { "1" } else { "0" }.to_owned())
        }
        "client_region" => reading.options.region.as_ref().map(Region::to_string),
        "workload" => Some(reading.workload.to_owned()),
        "transaction_mode" => Some(mirror.transaction_mode.label().to_owned()),
        "consistent_snapshot" => {
            let set = reading.snapshot.unwrap_or(services.consistent_snapshot);
            Some(set.name().to_owned())
        }
        "write_ack" => Some("async".to_owned()),
        statement_timeout::NAME => Some(state.statement_timeout.to_string()),
        "served_from" => served().map(|server| server.address.to_string()),
        "served_region" => served().and_then(|server| Some(server.region?.to_string())),
        _ => None,
    }
}

/// The variables as they will be.
#[derive(Debug)]
struct Changes {
    options: super::consistency::ReadOptions,
    workload: &'static str,
    transaction_mode: TransactionMode,
    snapshot: Option<ConsistentSnapshot>,
    statement_timeout: u32,
}

impl Changes {
    fn of(state: &State, transaction_mode: TransactionMode) -> Self {
        let reading = &state.reading;
        Self {
            options: reading.options.clone(),
            workload: reading.workload,
            transaction_mode,
            snapshot: reading.snapshot,
            statement_timeout: state.statement_timeout,
        }
    }

    fn apply(self, state: &mut State) {
        state.statement_timeout = self.statement_timeout;
        let reading = &mut state.reading;
        reading.options = self.options;
        reading.workload = self.workload;
        reading.snapshot = self.snapshot;
    }

    fn reset(&mut self, name: &str, defaults: &Reading) {
        match name {
            "read_consistency" => self.options.level = defaults.options.level,
            "nearest_only" => self.options.leaving = defaults.options.leaving,
            "client_region" => self.options.region.clone_from(&defaults.options.region),
            "workload" => self.workload = defaults.workload,
            "transaction_mode" => self.transaction_mode = TransactionMode::Multi,
            "consistent_snapshot" => self.snapshot = defaults.snapshot,
            _ => {}
        }
    }

    fn set(
        &mut self,
        name: &str,
        value: &str,
        set_option: impl FnOnce(&mut super::consistency::ReadOptions, &str) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let wrong = || catalog::WRONG_VALUE.with(&[&name, &value]);
        let refused =
            |served: &'static str| catalog::UNSUPPORTED_VALUE.with(&[&name, &value, &served]);
        let lower = value.to_ascii_lowercase();
        match name {
            "workload" => {
                let known = ["unspecified", "oltp", "olap", "dba"];
                self.workload =
                    known.into_iter().find(|known| *known == lower).ok_or_else(wrong)?;
            }
            "transaction_mode" => {
                self.transaction_mode = match lower.as_str() {
                    "single" => TransactionMode::Single,
                    "multi" => TransactionMode::Multi,
                    "twopc" => return Err(refused("single and multi")),
                    _ => return Err(wrong()),
                };
            }
            "consistent_snapshot" => {
                let known = ConsistentSnapshot::ALL.into_iter().find(|k| k.name() == lower);
                self.snapshot = Some(known.ok_or_else(wrong)?);
            }
            "write_ack" => match lower.as_str() {
                "async" => {}
                "semi_sync" | "sync" | "quorum" => return Err(refused("async")),
                _ => return Err(wrong()),
            },
            _ => set_option(&mut self.options, value)?,
        }
        Ok(())
    }
}

fn is_own(name: &str) -> bool {
    NAMES.contains(&name)
}

fn literal(value: &Value<'static>) -> Option<String> {
    match value {
        Value::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The variables of a select list: title and name of each. `None` if anything else is in it.
fn selected(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .map(|item| {
            let item = item.trim();
            let (variable, rest) = item.split_once(char::is_whitespace).unwrap_or((item, ""));
            let name = variable.strip_prefix("@@")?.replace('`', "").to_ascii_lowercase();
            let name = name
                .strip_prefix("session.")
                .or_else(|| name.strip_prefix("local."))
                .unwrap_or(&name);
            let rest = rest.trim();
            let alias = match rest.get(..3) {
                Some(word) if word.eq_ignore_ascii_case("as ") => rest[3..].trim(),
                _ => rest,
            };
            let alias = alias.trim_matches(['`', '\'', '"']);
            let plain = alias.chars().all(|c| c.is_alphanumeric() || c == '_');
            let title = if alias.is_empty() { variable } else { alias };
            (is_own(name) && plain).then(|| (title.to_owned(), name.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_lists_of_own_variables_are_read() {
        let read = |list: &str| {
            let pairs = selected(list)?;
            Some(pairs.iter().map(|(t, n)| format!("{t}={n}")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            read(" @@read_consistency, @@SESSION.served_from AS f").as_deref(),
            Some("@@read_consistency=read_consistency f=served_from")
        );
        assert_eq!(read("@@`workload`").as_deref(), Some("@@`workload`=workload"));
        for other in ["@@version", "@@served_from, 1", "@@served_from + 1", "@@served_from FROM t"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
