//! The `column_vindexes` of a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{place_of, text_of};
use crate::vschema::model::Keyspace;
use crate::vschema::problem::Problems;
use crate::vschema::raw::{RawColumnVindex, RawTable};
use crate::vschema::table::{ColumnVindex, NamedVindex, Table, TableKind};

/// `None`: the table cannot be routed.
pub(super) fn add(
    keyspace: &Keyspace,
    written_vindexes: &BTreeSet<&str>,
    raw: &RawTable,
    table: &mut Table,
    problems: &mut Problems,
) -> Option<()> {
    for (index, written) in raw.column_vindexes.iter().enumerate() {
        let name = text_of(written.name.as_ref());
        let Some(vindex) = keyspace.vindexes.get(name) else {
            if !written_vindexes.contains(name) {
                let near = problems.nearest(name, written_vindexes.iter().copied());
                let what = format!("vindex {name} not found for table {}", table.name.name);
                let advice = match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("add it to the vindexes of keyspace '{}'", keyspace.name),
                };
                problems.mistake(place_of(written.name.as_ref(), &written.place), what, advice);
            }
            return None;
        };
        let columns = columns(written, name, &table.name.name, problems)?;
        let column_vindex = ColumnVindex {
            owned: vindex.vindex.needs_lookup() && vindex.owner.as_ref() == Some(&table.name.name),
            cost: vindex.vindex.cost(),
            vindex: vindex.clone(),
            columns,
            partial: false,
        };
        let column_vindex = check(index, written, column_vindex, table, problems)?;
        table.column_vindexes.push(column_vindex);
    }
    if matches!(table.kind, TableKind::Reference { .. }) || table.pinned.is_some() {
        // The rows live where kind or pin say; a vindex must not narrow that.
        table.column_vindexes.clear();
    }
    table.by_cost = by_cost(&table.column_vindexes);
    Some(())
}

fn columns(
    written: &RawColumnVindex,
    vindex: &str,
    table: &str,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let one = written.column.as_ref().filter(|column| !column.value.is_empty());
    let many = written.columns.as_ref().filter(|columns| !columns.value.is_empty());
    match (one, many) {
        (Some(column), None) => Some(vec![column.value.clone()]),
        (None, Some(columns)) => {
            Some(columns.value.iter().map(|column| column.value.clone()).collect())
        }
        (Some(_), Some(columns)) => {
            let what = "can't use column and columns at the same time in vindex";
            let what = format!("{what} ({vindex}) and table ({table})");
            problems.mistake(&columns.place, what, "keep one of the two");
            None
        }
        (None, None) => {
            let what = "must specify at least one column for vindex";
            let what = format!("{what} ({vindex}) and table ({table})");
            problems.mistake(&written.place, what, "add \"column\" or \"columns\"");
            None
        }
    }
}

fn check(
    index: usize,
    written: &RawColumnVindex,
    mut column_vindex: ColumnVindex,
    table: &Table,
    problems: &mut Problems,
) -> Option<ColumnVindex> {
    let named = column_vindex.vindex.clone();
    let (name, table_name) = (&named.name, &table.name.name);
    let place = &written.place;
    if index == 0 && !named.vindex.is_unique() {
        let what = format!("primary vindex {name} is not Unique for table {table_name}");
        problems.mistake(place, what, "the first vindex must be unique, such as xxhash");
        return None;
    }
    if index == 0 && column_vindex.owned {
        let what = format!("primary vindex {name} cannot be owned for table {table_name}");
        problems.mistake(place, what, "remove the owner, or put a functional vindex first");
        return None;
    }
    if index > 0 && named.vindex.is_multi_column() {
        let what = "multi-column vindex";
        let what = format!("{what} {name} should be a primary vindex for table {table_name}");
        problems.mistake(place, what, "put it first");
        return None;
    }
    if table.column_vindexes.iter().any(|other| Arc::ptr_eq(&other.vindex, &named)) {
        let what = format!("vindex {name} is used twice by table {table_name}");
        problems.mistake(place, what, "remove one of the two");
    }
    check_column_count(written, &mut column_vindex, table_name, problems);
    check_columns(written, &column_vindex, table, problems);
    Some(column_vindex)
}

fn check_column_count(
    written: &RawColumnVindex,
    column_vindex: &mut ColumnVindex,
    table: &str,
    problems: &mut Problems,
) {
    let named: &NamedVindex = &column_vindex.vindex;
    let given = column_vindex.columns.len();
    let place = place_of(written.columns.as_ref(), &written.place);
    if let Some(lookup) = named.vindex.lookup() {
        let from = lookup.from().len();
        if column_vindex.owned && from > 0 && from != given {
            let what = format!(
                "column count does not match value count with the row for vindex '{}': \
                 table {table} gives {given}, 'from' has {from}",
                named.name
            );
            problems.mistake(place, what, "name as many columns as the vindex' 'from'");
        }
        return;
    }
    let takes = named.vindex.column_count();
    if given != takes {
        let what = format!(
            "vindex {} of type '{}' takes {takes} column{}, table {table} gives {given}",
            named.name,
            named.type_name,
            if takes == 1 { "" } else { "s" }
        );
        problems.mistake(place, what, "name as many columns as the vindex takes");
        // Vitess looks at the first columns only.
        column_vindex.columns.truncate(takes);
    }
}

fn check_columns(
    written: &RawColumnVindex,
    column_vindex: &ColumnVindex,
    table: &Table,
    problems: &mut Problems,
) {
    let named: &NamedVindex = &column_vindex.vindex;
    for (position, name) in column_vindex.columns.iter().enumerate() {
        let many = written.columns.as_ref().and_then(|columns| columns.value.get(position));
        let place = place_of(many.or(written.column.as_ref()), &written.place);
        let Some(column) = table.column(name) else {
            if table.authoritative {
                let names = table.columns.iter().map(|column| column.name.as_str());
                let near = problems.nearest(name, names);
                let what = format!("column '{name}' is not among the columns of the table");
                let advice = match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => "add it to columns, or name another".to_owned(),
                };
                problems.mistake(place, what, advice);
            }
            continue;
        };
        let type_name = column.sql_type.name();
        let is_number = column.sql_type.is_integer() || type_name == "NULL_TYPE";
        if named.vindex.takes_number(position) && !is_number {
            let what = format!(
                "column '{name}' is {type_name}, but vindex {} of type '{}' maps integers only",
                named.name, named.type_name
            );
            problems.mistake(place, what, "take xxhash or unicode_loose_xxhash");
        }
        let folds = column.collation.as_deref().is_some_and(ignores_case);
        if named.vindex.takes_bytes(position) && column.sql_type.is_text() && folds {
            let what = format!(
                "equal values of column '{name}' may live on different shards: its collation \
                 ignores case, vindex {} of type '{}' does not",
                named.name, named.type_name
            );
            problems.mistake(place, what, "take unicode_loose_xxhash");
        }
    }
}

/// MySQL and MariaDB put `_ci` and `_ai` into the names of collations that fold case or accents.
fn ignores_case(collation: &str) -> bool {
    let mut parts = collation.split('_');
    parts.any(|part| part.eq_ignore_ascii_case("ci") || part.eq_ignore_ascii_case("ai"))
}

/// As Vitess orders them: stable by cost, the prefixes of multi-column vindexes included.
fn by_cost(written: &[ColumnVindex]) -> Vec<ColumnVindex> {
    let mut ordered = Vec::with_capacity(written.len());
    for full in written {
        ordered.push(full.clone());
        if !full.vindex.vindex.maps_prefix_of_columns() {
            continue;
        }
        for length in (1..full.columns.len()).rev() {
            let missing = (full.columns.len() - length) as u32;
            ordered.push(ColumnVindex {
                columns: full.columns[..length].to_vec(),
                partial: true,
                cost: full.cost + missing,
                ..full.clone()
            });
        }
    }
    ordered.sort_by_key(|vindex| vindex.cost);
    ordered
}
