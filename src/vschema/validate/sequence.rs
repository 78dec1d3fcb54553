//! `auto_increment` of tables: the column and its sequence.

use std::sync::Arc;

use super::{place_of, split_name, text_of};
use crate::vschema::model::VSchema;
use crate::vschema::problem::Problems;
use crate::vschema::raw::{RawAutoIncrement, RawVSchema};
use crate::vschema::resolve::TabletType;
use crate::vschema::table::{AutoIncrement, Table, TableKind};

/// Fills in `auto_increment`. As in Vitess a table whose sequence is not found is taken out.
pub(super) fn link(raw: &RawVSchema, vschema: &mut VSchema, problems: &mut Problems) {
    for (keyspace, raw_keyspace) in &raw.keyspaces {
        for (table, raw_table) in &raw_keyspace.tables {
            let Some(auto) = &raw_table.auto_increment else { continue };
            let home = vschema.keyspace(&keyspace.value);
            let Some(built) = home.and_then(|home| home.table(&table.value)) else { continue };
            let found = resolve(built, auto, vschema, problems);
            let Some(home) = vschema.keyspaces.get_mut(&keyspace.value) else { continue };
            match found {
                Some(found) => {
                    if let Some(built) = home.tables.get_mut(&table.value) {
                        Arc::make_mut(built).auto_increment = Some(found);
                    }
                }
                None if is_empty(auto) => {}
                None => {
                    home.tables.remove(&table.value);
                    vschema.names.tables.remove(&table.value);
                }
            }
        }
    }
}

/// Vitess reads `"auto_increment": {}` as none.
fn is_empty(auto: &RawAutoIncrement) -> bool {
    text_of(auto.sequence.as_ref()).is_empty()
}

fn resolve(
    table: &Table,
    auto: &RawAutoIncrement,
    vschema: &VSchema,
    problems: &mut Problems,
) -> Option<AutoIncrement> {
    let (column, sequence) = (text_of(auto.column.as_ref()), text_of(auto.sequence.as_ref()));
    if column.is_empty() || sequence.is_empty() {
        let what = format!("auto_increment of table {} needs column and sequence", table.name());
        problems.mistake(&auto.place, what, "add both, or remove auto_increment");
        if sequence.is_empty() {
            return None;
        }
    } else if table.authoritative && table.column(column).is_none() {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let near = problems.nearest(column, names);
        let what = format!("column '{column}' is not among the columns of the table");
        let advice = near.map(|near| format!("did you mean '{near}'?")).unwrap_or_default();
        problems.mistake(place_of(auto.column.as_ref(), &auto.place), what, advice);
    }
    let place = place_of(auto.sequence.as_ref(), &auto.place);
    let found = split_name(sequence).and_then(|(keyspace, name)| {
        let found = vschema.find_table(keyspace, name, TabletType::Primary);
        found.map_err(|error| error.to_string())
    });
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            let what = format!("cannot resolve sequence {sequence}: {why}");
            problems.mistake(place, what, "name a table of type sequence");
            return None;
        }
    };
    if found.kind != TableKind::Sequence {
        let what = format!("{} is not a sequence", found.qualified_name());
        let advice = "list it in its unsharded keyspace with \"type\": \"sequence\"";
        problems.mistake(place, what, advice);
    }
    Some(AutoIncrement { column: column.to_owned(), sequence: found.name.clone() })
}
