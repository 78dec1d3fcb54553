//! Sources of reference tables.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::split_name;
use crate::vschema::decode::Spot;
use crate::vschema::model::Keyspace;
use crate::vschema::problem::Problems;
use crate::vschema::raw::RawVSchema;
use crate::vschema::table::{TableKind, TableName};

type Keyspaces = BTreeMap<String, Keyspace>;

/// Links reference tables with their sources; a source that is no good is left out.
pub(super) fn link(raw: &RawVSchema, keyspaces: &mut Keyspaces, problems: &mut Problems) {
    let mut links: Vec<(TableName, TableName, &Spot<String>)> = Vec::new();
    for (keyspace, raw_keyspace) in &raw.keyspaces {
        for (table, raw_table) in &raw_keyspace.tables {
            let copy = TableName { keyspace: keyspace.value.clone(), name: table.value.clone() };
            let Some(source) = raw_table.source.as_ref().filter(|s| !s.value.is_empty()) else {
                continue;
            };
            let is_reference = find(keyspaces, &copy)
                .is_some_and(|table| matches!(table, TableKind::Reference { .. }));
            if is_reference && let Some(found) = source_of(&copy, source, keyspaces, problems) {
                links.push((copy, found, source));
            }
        }
    }
    let copies: HashSet<&TableName> = links.iter().map(|(copy, ..)| copy).collect();
    for (copy, source, written) in &links {
        if copies.contains(source) {
            let what = format!("reference chaining is not allowed {source}: {copy}");
            problems.mistake(&written.place, what, "name the source of that table itself");
            continue;
        }
        if let Some(other) = referenced_by(keyspaces, source, &copy.keyspace) {
            let what = format!(
                "source \"{source}\" may not be referenced more than once per keyspace: {other}, {}",
                copy.name
            );
            problems.mistake(&written.place, what, "keep one of the two");
            continue;
        }
        if let Some(table) = table_mut(keyspaces, source) {
            table.referenced_by.insert(copy.keyspace.clone(), copy.name.clone());
        }
        if let Some(table) = table_mut(keyspaces, copy) {
            table.kind = TableKind::Reference { source: Some(source.clone()) };
        }
    }
}

fn find<'k>(keyspaces: &'k Keyspaces, name: &TableName) -> Option<&'k TableKind> {
    Some(&keyspaces.get(&name.keyspace)?.table(&name.name)?.kind)
}

fn table_mut<'k>(
    keyspaces: &'k mut Keyspaces,
    name: &TableName,
) -> Option<&'k mut crate::vschema::Table> {
    Some(Arc::make_mut(keyspaces.get_mut(&name.keyspace)?.tables.get_mut(&name.name)?))
}

fn referenced_by(keyspaces: &Keyspaces, source: &TableName, keyspace: &str) -> Option<String> {
    let table = keyspaces.get(&source.keyspace)?.table(&source.name)?;
    table.reference_in(keyspace).map(str::to_owned)
}

fn source_of(
    copy: &TableName,
    written: &Spot<String>,
    keyspaces: &Keyspaces,
    problems: &mut Problems,
) -> Option<TableName> {
    let source = &written.value;
    let (keyspace, name) = split_name(source).ok()?;
    let Some(keyspace) = keyspace else {
        let what = format!("source \"{source}\" of table {copy} must be qualified");
        let found = only_other_home(copy, name, keyspaces);
        let advice = match &found {
            Some(found) => format!("write \"{found}\""),
            None => "write keyspace.table".to_owned(),
        };
        problems.mistake(&written.place, what, advice);
        return found;
    };
    if keyspace == copy.keyspace {
        let what = format!(
            "source \"{source}\" may not reference a table in the same keyspace as table: {}",
            copy.name
        );
        problems.mistake(&written.place, what, "name a table of another keyspace");
        return None;
    }
    let Some(home) = keyspaces.get(keyspace) else {
        let what = format!("source \"{source}\" references a non-existent keyspace \"{keyspace}\"");
        let near = problems.nearest(keyspace, keyspaces.keys().map(String::as_str));
        let advice = near.map(|near| format!("did you mean '{near}'?")).unwrap_or_default();
        problems.mistake(&written.place, what, advice);
        return None;
    };
    let Some(table) = home.table(name) else {
        let what = format!(
            "source \"{source}\" references a table \"{name}\" that is not present in the VSchema \
             of keyspace \"{keyspace}\""
        );
        problems.mistake(&written.place, what, format!("add it to keyspace '{keyspace}'"));
        return None;
    };
    if table.kind == TableKind::Sequence {
        let what = format!(
            "source \"{source}\" may not reference a table of type \"sequence\": {}",
            copy.name
        );
        problems.mistake(&written.place, what, "name an ordinary table");
        return None;
    }
    Some(table.name.clone())
}

/// The one other keyspace that has a table of this name which is no reference itself.
fn only_other_home(copy: &TableName, name: &str, keyspaces: &Keyspaces) -> Option<TableName> {
    let mut homes = keyspaces.values().filter(|keyspace| keyspace.name != copy.keyspace);
    let mut homes = std::iter::from_fn(|| {
        homes.find_map(|keyspace| keyspace.table(name).filter(|t| t.kind == TableKind::Normal))
    });
    match (homes.next(), homes.next()) {
        (Some(only), None) => Some(only.name.clone()),
        _ => None,
    }
}
