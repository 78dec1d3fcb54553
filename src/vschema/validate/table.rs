//! One entry of `tables`, as far as its keyspace alone can tell.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{column_vindex, split_name, text_of};
use crate::key::KeyspaceId;
use crate::vschema::column::{Column, Filling};
use crate::vschema::decode::Spot;
use crate::vschema::model::Keyspace;
use crate::vschema::problem::{Problems, nearest};
use crate::vschema::raw::{RawColumn, RawTable};
use crate::vschema::same_name::name_key;
use crate::vschema::table::{Home, Table, TableKind, TableName};

/// `None`: nothing that could be routed.
pub(super) fn build(
    keyspace: &Keyspace,
    written_vindexes: &BTreeSet<&str>,
    name: &Spot<String>,
    raw: &RawTable,
    problems: &mut Problems,
) -> Option<Table> {
    let table = &name.value;
    if table.is_empty() || table.contains(['.', '@']) {
        let what = format!("'{table}' cannot be the name of a table");
        problems.mistake(&name.place, what, "names with '.' or '@' cannot be routed");
        return None;
    }
    let kind = kind(keyspace, table, raw, problems)?;
    let pinned = match &raw.pinned {
        None => None,
        Some(pin) => Some(pinned(keyspace, pin, problems)?),
    };
    check_primary_vindex(keyspace, table, raw, &kind, problems)?;
    let columns = columns(table, &raw.columns, problems);
    let mut built = Table {
        name: TableName { keyspace: keyspace.name.clone(), name: table.clone() },
        home: if keyspace.sharded { Home::Sharded } else { Home::Unsharded },
        kind,
        column_vindexes: Vec::new(),
        by_cost: Vec::new(),
        auto_increment: None,
        pinned,
        columns,
        authoritative: raw.authoritative,
        referenced_by: BTreeMap::new(),
    };
    if raw.authoritative && raw.columns.is_empty() {
        let what = format!("column_list_authoritative without columns for table: {table}");
        problems.mistake(&raw.place, what, "list the columns, or remove column_list_authoritative");
    }
    column_vindex::add(keyspace, written_vindexes, raw, &mut built, problems)?;
    Some(built)
}

/// `source` is filled in once all keyspaces are known.
fn kind(
    keyspace: &Keyspace,
    table: &str,
    raw: &RawTable,
    problems: &mut Problems,
) -> Option<TableKind> {
    let written = text_of(raw.kind.as_ref());
    if let (Some(source), true) = (&raw.source, written != "reference") {
        let what = format!("source has no effect: table '{table}' is not of type reference");
        problems.mistake(&source.place, what, "add \"type\": \"reference\", or remove source");
    }
    match written {
        "" => Some(TableKind::Normal),
        "reference" => {
            if let Some(source) = raw.source.as_ref().filter(|source| !source.value.is_empty())
                && let Err(why) = split_name(&source.value)
            {
                let what = format!(
                    "invalid source \"{}\" for reference table: {table}; {why}",
                    source.value
                );
                problems.mistake(&source.place, what, "write keyspace.table");
                return None;
            }
            Some(TableKind::Reference { source: None })
        }
        "sequence" if keyspace.sharded && raw.pinned.is_none() => {
            let what = "sequence table has to be in an unsharded keyspace or must be pinned";
            let what = format!("{what}: {table}");
            let advice = "move it to an unsharded keyspace, or add \"pinned\"";
            problems.mistake(&raw.place, what, advice);
            None
        }
        "sequence" => Some(TableKind::Sequence),
        other => {
            let place = super::place_of(raw.kind.as_ref(), &raw.place);
            let near = nearest(other, ["sequence", "reference"]);
            let advice = match near {
                Some(near) => format!("did you mean '{near}'?"),
                None => "write \"sequence\" or \"reference\", or leave it out".to_owned(),
            };
            problems.mistake(place, format!("unidentified table type {other}"), advice);
            None
        }
    }
}

fn pinned(keyspace: &Keyspace, pin: &Spot<String>, problems: &mut Problems) -> Option<KeyspaceId> {
    if !keyspace.sharded {
        let what = format!("pinned has no effect: keyspace '{}' is not sharded", keyspace.name);
        problems.warning(&pin.place, what, "remove it");
    }
    let id = KeyspaceId::from_hex(&pin.value).filter(|id| !id.as_bytes().is_empty());
    if id.is_none() {
        let what = format!("could not decode the keyspace id for pin: '{}'", pin.value);
        problems.mistake(&pin.place, what, "write hexadecimal digits, two a byte, such as \"80\"");
    }
    id
}

fn check_primary_vindex(
    keyspace: &Keyspace,
    table: &str,
    raw: &RawTable,
    kind: &TableKind,
    problems: &mut Problems,
) -> Option<()> {
    let is_reference = matches!(kind, TableKind::Reference { .. });
    if !raw.column_vindexes.is_empty() {
        let why = if !keyspace.sharded {
            "its keyspace is not sharded"
        } else if is_reference {
            "a reference table is the same on every shard"
        } else if raw.pinned.is_some() {
            "the table is pinned"
        } else {
            return Some(());
        };
        let place = &raw.column_vindexes[0].place;
        let what = format!("column_vindexes of table '{table}' have no effect: {why}");
        problems.warning(place, what, "remove them");
        return Some(());
    }
    if keyspace.sharded && !is_reference && raw.pinned.is_none() {
        let what = format!("missing primary col vindex for table: {table}");
        let advice = "add column_vindexes: the first one decides on which shard a row lives";
        problems.mistake(&raw.place, what, advice);
        return None;
    }
    Some(())
}

fn columns(table: &str, raw: &[RawColumn], problems: &mut Problems) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(raw.len());
    let mut known = HashSet::with_capacity(raw.len());
    for column in raw {
        let name = text_of(column.name.as_ref());
        if name.is_empty() {
            problems.mistake(&column.place, "column without a name", "add \"name\"");
            continue;
        }
        if !known.insert(name_key(name)) {
            let what = format!("duplicate column name '{name}' for table: {table}");
            problems.mistake(&column.place, what, "remove one of the two; case does not count");
            continue;
        }
        columns.push(Column {
            name: name.to_owned(),
            sql_type: column.sql_type,
            collation: column.collation.clone().filter(|name| !name.is_empty()),
            default: column.default.clone().filter(|text| !text.is_empty()),
            nullable: column.nullable,
            invisible: column.invisible,
            size: column.size,
            scale: column.scale,
            values: column.values.clone(),
            filling: Filling::Unknown,
            touched: false,
        });
    }
    columns
}
