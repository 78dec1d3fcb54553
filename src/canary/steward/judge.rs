//! Whether a VSchema may replace the one that serves: only if every row keeps its home.
//!
//! The same judgement for every way in. A table that comes back is compared with what it was when
//! it was last listed: its rows are still where that version put them.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::records::Records;
use super::{Inner, Steward, StewardSettings};
use crate::canary::change::{ChangeError, Refusal};
use crate::canary::history::Version;
use crate::planner::input::ColumnSource as _;
use crate::planner::live_columns::{Differences, LiveColumns};
use crate::vschema::{
    Change, ChangeClass, Difference, NewNames, ReturnedName, ServerColumns, Strictness, Table,
    TableName, VSchema, diff, diff_table,
};

const SHARE: &str = "such a change cannot be given to a share of the sessions: apply it to all at \
                     once (geogate vschema apply)";

impl Steward {
    /// What an operator should know of a change for everyone; an error if it moves rows.
    pub(super) fn judge(
        &self,
        inner: &Inner,
        stable: &VSchema,
        new: &VSchema,
    ) -> Result<Vec<Difference>, ChangeError> {
        judge(&self.settings, &inner.records, &inner.columns, stable, new)
    }

    /// An error if the two cannot both serve, each a share of the sessions.
    pub(super) fn judge_share(
        &self,
        inner: &Inner,
        stable: &VSchema,
        candidate: &VSchema,
    ) -> Result<(), ChangeError> {
        let Inner { records, columns, .. } = inner;
        let found = differences(&self.settings, records, columns, stable, candidate);
        if found.is_empty() {
            return Ok(());
        }
        let moves = found.iter().any(|difference| difference.class.moves_rows());
        let advice = if moves { moves_advice(&self.settings) } else { SHARE.to_owned() };
        Err(ChangeError::Differs(Refusal { differences: found, advice }))
    }
}

/// What an operator should know of a change for everyone; an error if it moves rows.
pub(super) fn judge(
    settings: &StewardSettings,
    records: &Records,
    columns: &LiveColumns,
    stable: &VSchema,
    new: &VSchema,
) -> Result<Vec<Difference>, ChangeError> {
    let found = differences(settings, records, columns, stable, new);
    let (moving, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|difference| difference.class.moves_rows());
    if moving.is_empty() {
        return Ok(others);
    }
    let advice = moves_advice(settings);
    Err(ChangeError::MovesRows(Refusal { differences: moving, advice }))
}

/// Refuses files that are to serve at the start, in the place of a remembered version, if they move
/// rows; what else differs is said loudly, once.
pub(super) fn judge_start(
    settings: &StewardSettings,
    records: &Records,
    remembered: (u64, &VSchema),
    new: &VSchema,
) -> Result<(), ChangeError> {
    let (number, old) = remembered;
    let judged = judge(settings, records, &LiveColumns::default(), old, new);
    let differences = judged.map_err(|error| match error {
        ChangeError::MovesRows(Refusal { differences, .. }) => {
            let advice = format!(
                "version {number}, which served last, cannot serve now, so the proxy does not \
                 start\n   = help: leave these tables as they are in {}\n{}",
                settings.state.path().join(Version::document_name(number)).display(),
                moved_advice(settings)
            );
            ChangeError::MovesRows(Refusal { differences, advice })
        }
        other => other,
    })?;
    for Difference { subject, what, .. } in differences {
        tracing::warn!("the files differ from version {number}: {subject}: {what}");
    }
    Ok(())
}

/// Whether both can go on side by side after a restart. What the servers' columns decide was
/// judged when the canary was started.
pub(super) fn judge_resumed(stable: &VSchema, candidate: &VSchema) -> Result<(), ChangeError> {
    let mut differences = diff(stable, candidate, ServerColumns::Immaterial);
    differences.retain(|difference| !difference.class.may_be_shared());
    if differences.is_empty() {
        return Ok(());
    }
    Err(ChangeError::Differs(Refusal { differences, advice: SHARE.to_owned() }))
}

fn moves_advice(settings: &StewardSettings) -> String {
    format!(
        "what serves goes on serving\n   = help: leave these tables as they are in the active \
         version, which geogate vschema show prints\n{}",
        moved_advice(settings)
    )
}

/// The way on for rows that are somewhere else by now.
fn moved_advice(settings: &StewardSettings) -> String {
    let (path, state) = (settings.path.display(), settings.state.path().display());
    format!(
        "   = help: no rows are moved while a proxy serves; after they were moved by hand, with the \
         proxy stopped, remove state.json and vschema-*.json from {state} before it starts again: \
         without them it takes the files at {path} as they are"
    )
}

/// Whatever an operator should know; what changes only reads is left out.
fn differences(
    settings: &StewardSettings,
    records: &Records,
    columns: &LiveColumns,
    stable: &VSchema,
    new: &VSchema,
) -> Vec<Difference> {
    // Where the shards have other lists, nothing is at one place.
    let read = |table: &TableName| {
        let listed = !columns.differences(table).is_some_and(Differences::in_lists);
        columns.columns(table).filter(|_| listed)
    };
    let servers = match settings.topology.single_server() {
        Some(_) => ServerColumns::Immaterial,
        None => ServerColumns::Read(&read),
    };
    let mut found = diff(stable, new, servers);
    let folder = settings.folder();
    found.extend(returned_tables(records, folder, (stable, new), columns, servers));
    found.extend(returned_names(records, folder, (stable, new), columns));
    found.retain(|difference| !difference.class.may_be_shared());
    found
}

/// Tables that are listed again, with other homes than the last version gave them that did.
fn returned_tables(
    records: &Records,
    folder: &Path,
    (stable, new): (&VSchema, &VSchema),
    columns: &LiveColumns,
    servers: ServerColumns<'_>,
) -> Vec<Difference> {
    let lists = |vschema: &VSchema, name: &TableName| {
        vschema.keyspace(&name.keyspace).is_some_and(|found| found.table(&name.name).is_some())
    };
    let mut added: BTreeSet<&TableName> =
        new.tables().map(|table| table.qualified_name()).collect();
    added.retain(|name| !lists(stable, name));
    let names: HashSet<&str> = added.iter().map(|name| name.name.as_str()).collect();
    let mut found = Vec::new();
    for version in records.versions().rev() {
        if added.is_empty() {
            break;
        }
        if !version.files.iter().any(|file| may_name(&file.text, &names)) {
            continue;
        }
        let validated = version.sources(folder).validate(Strictness::Strict);
        let Some(earlier) = validated.vschema else { continue };
        added.retain(|name| {
            let table = |vschema: &VSchema| {
                vschema.keyspace(&name.keyspace).and_then(|found| found.table(&name.name)).cloned()
            };
            let (Some(old), Some(new)) = (table(&earlier), table(new)) else { return true };
            // What is not on the servers has no rows.
            if !columns.lacks(name) {
                found.extend(returned(version.number, &old, &new, servers));
            }
            false
        });
    }
    found
}

/// Names that mean a table again, and another one than when they last did: a statement that was
/// refused meanwhile would find other rows than before.
fn returned_names(
    records: &Records,
    folder: &Path,
    (stable, new): (&VSchema, &VSchema),
    columns: &LiveColumns,
) -> Vec<Difference> {
    let mut names = NewNames::between(stable, new);
    let written: Vec<String> = names.written().collect();
    let written: HashSet<&str> = written.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for version in records.versions().rev() {
        if names.is_empty() {
            break;
        }
        if !version.files.iter().any(|file| may_name(&file.text, &written)) {
            continue;
        }
        let validated = version.sources(folder).validate(Strictness::Strict);
        let Some(earlier) = validated.vschema else { continue };
        // What is not on the servers has no rows.
        let returned = names.settle(&earlier).into_iter().filter(|own| !columns.lacks(&own.before));
        let number = version.number;
        found.extend(returned.map(|ReturnedName { name, before, after }| Difference {
            change: Change::NameTarget,
            class: ChangeClass::Placement,
            subject: format!("name {name}"),
            tables: vec![before.clone()],
            what: format!("version {number} understood it as {before}, the new one as {after}"),
        }));
    }
    found
}

/// Whether a text has any of these names in quotes: far cheaper than to understand it.
fn may_name(text: &str, names: &HashSet<&str>) -> bool {
    text.contains('\\') || text.split('"').any(|piece| names.contains(piece))
}

fn returned(
    version: u64,
    old: &Table,
    new: &Table,
    servers: ServerColumns<'_>,
) -> Option<Difference> {
    let moving = diff_table(old, new, servers);
    let what = moving.into_iter().find(|difference| difference.class.moves_rows())?.what;
    let name = new.qualified_name();
    Some(Difference {
        change: Change::TableReturned,
        class: ChangeClass::Placement,
        subject: format!("table {name}"),
        tables: vec![name.clone()],
        what: format!(
            "version {version} put its rows elsewhere: {}",
            what.replace("in the active VSchema", "there")
        ),
    })
}

#[cfg(test)]
mod tests;
