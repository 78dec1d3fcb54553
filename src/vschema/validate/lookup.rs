//! Lookup vindexes: their tables and owners. Vitess looks at neither.

use std::collections::HashSet;

use super::{place_of, split_name};
use crate::vschema::decode::Spot;
use crate::vschema::model::{Keyspace, VSchema};
use crate::vschema::problem::Problems;
use crate::vschema::raw::{RawVSchema, RawVindex};
use crate::vschema::resolve::TabletType;
use crate::vschema::table::NamedVindex;
use crate::vschema::vindex::Lookup;

pub(super) fn check(raw: &RawVSchema, vschema: &VSchema, problems: &mut Problems) {
    for (keyspace, raw_keyspace) in &raw.keyspaces {
        let Some(home) = vschema.keyspace(&keyspace.value) else { continue };
        let tables = raw_keyspace.tables.iter();
        let written: HashSet<&str> = tables.map(|(table, _)| table.value.as_str()).collect();
        for (name, raw_vindex) in &raw_keyspace.vindexes {
            let Some(vindex) = home.vindex(&name.value) else { continue };
            if let Some(lookup) = vindex.vindex.lookup() {
                check_params(name, raw_vindex, lookup, problems);
                check_table(raw_vindex, lookup, vschema, problems);
                // A table that could not be built has its own problem.
                let lost = raw_vindex.owner.as_ref().is_some_and(|owner| {
                    written.contains(owner.value.as_str()) && home.table(&owner.value).is_none()
                });
                if !lost {
                    check_owner(raw_vindex, vindex, home, problems);
                }
            }
        }
    }
}

fn check_params(name: &Spot<String>, raw: &RawVindex, lookup: &Lookup, problems: &mut Problems) {
    let missing = [
        ("table", lookup.table().is_empty()),
        ("from", lookup.from().is_empty()),
        ("to", lookup.to().is_empty()),
    ];
    let missing: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(p, _)| *p).collect();
    if !missing.is_empty() {
        let what = format!("lookup vindex {} misses {}", name.value, missing.join(", "));
        let advice = "give table, from (columns of the values) and to (column of the keyspace id)";
        problems.mistake(&raw.place, what, advice);
    }
}

fn check_table(raw: &RawVindex, lookup: &Lookup, vschema: &VSchema, problems: &mut Problems) {
    if lookup.table().is_empty() {
        return;
    }
    let written = raw.params.iter().find(|(param, _)| param.value == "table");
    let place = written.map_or(&raw.place, |(param, _)| &param.place);
    let found = split_name(lookup.table()).and_then(|(keyspace, name)| {
        let found = vschema.find_table(keyspace, name, TabletType::Primary);
        found.map_err(|error| error.to_string())
    });
    let table = match found {
        Ok(table) => table,
        Err(why) => {
            let what = format!("the lookup table cannot be resolved: {why}");
            problems.mistake(place, what, "name a table of the VSchema");
            return;
        }
    };
    let wanted = lookup.from().iter().map(String::as_str).chain([lookup.to()]);
    for column in wanted.filter(|column| !column.is_empty()) {
        if table.authoritative && table.column(column).is_none() {
            let names = table.columns.iter().map(|column| column.name.as_str());
            let near = problems.nearest(column, names);
            let what = format!("lookup table {} has no column '{column}'", table.qualified_name());
            let advice = near.map(|near| format!("did you mean '{near}'?")).unwrap_or_default();
            problems.mistake(place, what, advice);
        }
    }
}

fn check_owner(raw: &RawVindex, vindex: &NamedVindex, home: &Keyspace, problems: &mut Problems) {
    let Some(owner) = vindex.owner.as_deref().filter(|owner| !owner.is_empty()) else { return };
    let place = place_of(raw.owner.as_ref(), &raw.place);
    let Some(table) = home.table(owner) else {
        let near = problems.nearest(owner, home.tables().map(|table| table.name()));
        let what = format!(
            "owner '{owner}' of vindex {} is not a table of keyspace '{}': its rows would never \
             be written",
            vindex.name, home.name
        );
        let advice = match near {
            Some(near) => format!("did you mean '{near}'?"),
            None => "name the table whose rows fill the lookup table".to_owned(),
        };
        problems.mistake(place, what, advice);
        return;
    };
    if !table.column_vindexes.iter().any(|used| used.vindex.name == vindex.name) {
        let what = format!(
            "owner '{owner}' does not use vindex {}: its rows would never be written",
            vindex.name
        );
        let advice = format!("add {} to the column_vindexes of '{owner}'", vindex.name);
        problems.mistake(place, what, advice);
    }
}
