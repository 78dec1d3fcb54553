//! Columns: the types of the sharding ones, and where they are in a row.
//!
//! The servers' word goes before a VSchema's, but a VSchema that contradicts it would decide while
//! the servers cannot be asked. So another type is taken only if the servers confirm it.

use super::{Change, ChangeClass, Comparison, ServerColumns};
use crate::vschema::{Column, SqlType, Table, TableName, same_name};

/// What the servers say of a table.
enum Live<'a> {
    Read(&'a [Column]),
    Unread,
    Immaterial,
}

impl Comparison<'_> {
    fn live(&self, table: &TableName) -> Live<'_> {
        match self.servers {
            ServerColumns::Immaterial => Live::Immaterial,
            ServerColumns::Read(columns) => columns(table).map_or(Live::Unread, Live::Read),
        }
    }

    /// Differences of the lists of columns.
    pub(super) fn columns(&mut self, old: &Table, new: &Table) {
        if old.columns() == new.columns() && old.is_authoritative() == new.is_authoritative() {
            return;
        }
        let sharding: Vec<String> =
            new.primary_vindex().map(|vindex| vindex.columns.clone()).unwrap_or_default();
        for name in &sharding {
            self.sharding_type(old, new, name);
        }
        if new.is_authoritative() && !sharding.is_empty() {
            self.sharding_positions(old, new, &sharding);
        }
        let (name, what) = (old.qualified_name(), "its list of columns differs".to_owned());
        let subject = format!("table {name}");
        self.add(Change::Columns, ChangeClass::ReadRoute, &subject, [name.clone()], what);
    }

    fn sharding_type(&mut self, old: &Table, new: &Table, name: &str) {
        let known = |column: Option<&Column>| {
            column.filter(|column| column.sql_type != SqlType::Unknown).cloned()
        };
        let text = |column: &Option<Column>| {
            column.as_ref().map_or_else(|| "unknown".to_owned(), column_type)
        };
        let (before, after) = (known(old.column(name)), known(new.column(name)));
        let texts = (text(&before), text(&after));
        if texts.0 == texts.1 {
            return;
        }
        let table = old.qualified_name().clone();
        let (class, note) = match after {
            // Nothing is routed by a column of unknown type.
            None => (ChangeClass::ReadRoute, String::new()),
            Some(after) => self.confirmed(&table, name, &after),
        };
        let texts = (texts.0, format!("{}{note}", texts.1));
        let what = format!("the type of sharding column {name}");
        self.table_differs(Change::ShardingColumnType, class, &table, &what, texts);
    }

    /// Whether the servers confirm what a VSchema says of a column, and what they say otherwise.
    fn confirmed(&self, table: &TableName, name: &str, said: &Column) -> (ChangeClass, String) {
        let columns = match self.live(table) {
            Live::Immaterial => return (ChangeClass::Metadata, String::new()),
            Live::Unread => {
                let note = " (the servers' columns are not known now)";
                return (ChangeClass::Placement, note.to_owned());
            }
            Live::Read(columns) => columns,
        };
        let live = columns.iter().find(|column| same_name(&column.name, name));
        match live {
            Some(live) if agrees(said, live) => (ChangeClass::Metadata, String::new()),
            Some(live) => {
                (ChangeClass::Placement, format!(" (the servers have {})", column_type(live)))
            }
            None => (ChangeClass::Placement, " (the servers have no such column)".to_owned()),
        }
    }

    /// An INSERT without a list of columns takes its values by their places.
    fn sharding_positions(&mut self, old: &Table, new: &Table, sharding: &[String]) {
        let table = old.qualified_name().clone();
        let before = old.is_authoritative().then(|| positions(old.columns(), sharding));
        let after = positions(new.columns(), sharding);
        let confirmed = match self.live(&table) {
            Live::Immaterial => true,
            Live::Unread => false,
            Live::Read(columns) => positions(columns, sharding) == after,
        };
        if confirmed || before.as_ref() == Some(&after) {
            return;
        }
        let text = |found: &[Option<usize>]| {
            let texts = found.iter().map(|found| match found {
                Some(place) => (place + 1).to_string(),
                None => "missing".to_owned(),
            });
            texts.collect::<Vec<_>>().join(", ")
        };
        let texts = (before.as_deref().map_or("unknown".to_owned(), text), text(&after));
        let what = format!("the place of sharding column {} in a row", sharding.join(", "));
        let class = ChangeClass::Placement;
        self.table_differs(Change::ShardingColumnPosition, class, &table, &what, texts);
    }
}

/// Where columns are among those that `*` shows.
fn positions(columns: &[Column], wanted: &[String]) -> Vec<Option<usize>> {
    let visible = || columns.iter().filter(|column| !column.invisible);
    let place = |name: &String| visible().position(|own| same_name(&own.name, name));
    wanted.iter().map(place).collect()
}

/// Whether routing by what a VSchema says of a column gives what routing by the servers' word
/// gives, or nothing.
fn agrees(said: &Column, live: &Column) -> bool {
    if let (Some(said), Some(live)) = (integer_range(said.sql_type), integer_range(live.sql_type)) {
        return said.0 <= live.0 && live.1 <= said.1;
    }
    let collation = match (&said.collation, &live.collation) {
        // Without one, texts are not called equal.
        (None, _) => true,
        (Some(said), Some(live)) => said.eq_ignore_ascii_case(live),
        (Some(_), None) => false,
    };
    let size = said.sql_type != SqlType::Binary || said.size == 0 || said.size == live.size;
    said.sql_type == live.sql_type && collation && size
}

fn integer_range(sql_type: SqlType) -> Option<(i128, i128)> {
    let signed = |bits: u32| Some((-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1));
    let unsigned = |bits: u32| Some((0, (1_i128 << bits) - 1));
    match sql_type {
        SqlType::Int8 => signed(8),
        SqlType::Int16 => signed(16),
        SqlType::Int24 => signed(24),
        SqlType::Int32 => signed(32),
        SqlType::Int64 => signed(64),
        SqlType::UInt8 => unsigned(8),
        SqlType::UInt16 => unsigned(16),
        SqlType::UInt24 => unsigned(24),
        SqlType::UInt32 => unsigned(32),
        SqlType::UInt64 => unsigned(64),
        _ => None,
    }
}

fn column_type(column: &Column) -> String {
    let mut text = match column.sql_type {
        SqlType::Unknown => "a type that is not routed by".to_owned(),
        known => known.name().to_owned(),
    };
    if let Some(collation) = &column.collation {
        text = format!("{text} {collation}");
    }
    if !column.values.is_empty() {
        text = format!("{text} ({})", column.values.join(", "));
    }
    if column.sql_type == SqlType::Binary && column.size > 0 {
        text = format!("{text} of {} bytes", column.size);
    }
    text
}
