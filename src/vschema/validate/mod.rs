//! From what was written to a [`VSchema`]: every mistake is reported, and a faulty part is left
//! out or kept as Vitess would (which matters only when loading leniently).
//!
//! Messages are Vitess' where it has one (`vindexes/vschema.go`); the others are mistakes that
//! Vitess accepts.

mod column_vindex;
mod lookup;
mod reference;
mod rules;
mod sequence;
mod table;
mod vindex;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decode::Spot;
use super::model::{ForeignKeyMode, Keyspace, MultiTenant, VSchema};
use super::problem::{Place, Problems, nearest};
use super::raw::{RawKeyspace, RawVSchema};
use super::resolve::{Names, globals};
use super::vindex::ReadFile;

/// Builds the VSchema of what can be understood.
pub(super) fn build(raw: &RawVSchema, read_file: ReadFile<'_>, problems: &mut Problems) -> VSchema {
    let mut keyspaces = BTreeMap::new();
    for (name, keyspace) in &raw.keyspaces {
        check_keyspace_name(name, problems);
        let built = build_keyspace(&name.value, keyspace, read_file, problems);
        if keyspaces.insert(name.value.clone(), built).is_some() {
            let what = format!("keyspace '{}' is written twice", name.value);
            problems.fatal(&name.place, what, "remove one of the two");
        }
    }
    reference::link(raw, &mut keyspaces, problems);
    let (tables, vindexes) = globals(keyspaces.values());
    let names = Names { rules: BTreeMap::new(), tables, vindexes };
    let mut vschema = VSchema { keyspaces, names };
    rules::build(raw, &mut vschema, problems);
    sequence::link(raw, &mut vschema, problems);
    lookup::check(raw, &vschema, problems);
    vschema
}

/// Whether something can be the name of a keyspace.
pub fn is_keyspace_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || ".:/@[]`'\"".contains(c);
    !name.is_empty() && !name.contains(bad)
}

fn check_keyspace_name(name: &Spot<String>, problems: &mut Problems) {
    if !is_keyspace_name(&name.value) {
        let what = format!("'{}' cannot be the name of a keyspace", name.value);
        problems.fatal(&name.place, what, "use letters, digits, '_' and '-'");
    }
}

fn build_keyspace(
    name: &str,
    raw: &RawKeyspace,
    read_file: ReadFile<'_>,
    problems: &mut Problems,
) -> Keyspace {
    let mut keyspace = Keyspace {
        name: name.to_owned(),
        sharded: raw.sharded,
        require_explicit_routing: raw.require_explicit_routing,
        foreign_key_mode: foreign_key_mode(raw, problems),
        multi_tenant: raw.multi_tenant.as_ref().map(|spec| MultiTenant {
            column: text_of(spec.column.as_ref()).to_owned(),
            column_type: text_of(spec.column_type.as_ref()).to_owned(),
        }),
        vindexes: BTreeMap::new(),
        tables: BTreeMap::new(),
    };
    if !raw.sharded && !raw.vindexes.is_empty() {
        let what = format!("vindexes have no effect: keyspace '{name}' is not sharded");
        let place = &raw.vindexes[0].0.place;
        problems.warning(place, what, "add \"sharded\": true, or remove the vindexes");
    }
    for (vindex_name, vindex) in &raw.vindexes {
        if let Some(built) = vindex::build(&vindex_name.value, vindex, read_file, problems) {
            keyspace.vindexes.insert(vindex_name.value.clone(), Arc::new(built));
        }
    }
    let written: BTreeSet<&str> =
        raw.vindexes.iter().map(|(name, _)| name.value.as_str()).collect();
    for (table_name, table) in &raw.tables {
        if let Some(built) = table::build(&keyspace, &written, table_name, table, problems) {
            keyspace.tables.insert(table_name.value.clone(), Arc::new(built));
        }
    }
    keyspace
}

fn foreign_key_mode(raw: &RawKeyspace, problems: &mut Problems) -> ForeignKeyMode {
    let Some(mode) = &raw.foreign_key_mode else { return ForeignKeyMode::Unmanaged };
    match mode.value.as_str() {
        "unspecified" | "unmanaged" | "0" | "2" => ForeignKeyMode::Unmanaged,
        "disallow" | "1" => ForeignKeyMode::Disallow,
        "managed" | "3" => {
            let what = "foreign_key_mode 'managed' is not implemented yet";
            problems.mistake(
                &mode.place,
                what,
                "write 'unmanaged' and keep foreign keys inside one shard",
            );
            ForeignKeyMode::Managed
        }
        other => {
            let near = nearest(other, ["unspecified", "disallow", "unmanaged", "managed"]);
            let what = format!("unknown foreign_key_mode '{other}'");
            let advice = format!("write '{}'", near.unwrap_or("unmanaged"));
            problems.mistake(&mode.place, what, advice);
            ForeignKeyMode::Unmanaged
        }
    }
}

fn text_of(spot: Option<&Spot<String>>) -> &str {
    spot.map_or("", |spot| spot.value.as_str())
}

/// The place of a field, or of what it is missing from.
fn place_of<'a, T>(spot: Option<&'a Spot<T>>, parent: &'a Place) -> &'a Place {
    spot.map_or(parent, |spot| &spot.place)
}

/// Splits `[keyspace.]table`, either in backticks.
fn split_name(text: &str) -> Result<(Option<&str>, &str), String> {
    let wrong = || {
        format!(
            "invalid table name: '{text}', it must be of the unqualified form <table_name> or the \
             qualified form <keyspace_name>.<table_name> (dots are not allowed in either name)"
        )
    };
    let bare = |part: &'_ str| -> bool { !part.is_empty() && !part.contains(['.', '@']) };
    let unquote = |part: &'_ str| part.len() > 2 && part.starts_with('`') && part.ends_with('`');
    let strip = |part| if unquote(part) { &part[1..part.len() - 1] } else { part };
    let (keyspace, name) = match text.split_once('.') {
        Some((keyspace, name)) => (Some(strip(keyspace)), strip(name)),
        None => (None, strip(text)),
    };
    if bare(name) && keyspace.is_none_or(bare) { Ok((keyspace, name)) } else { Err(wrong()) }
}
