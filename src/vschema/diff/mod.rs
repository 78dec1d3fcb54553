//! How two VSchemas differ, each difference with what it means for the rows that are there.
//!
//! A change may go live only if every row keeps its home, so whatever decides a home is compared,
//! and what is not known to leave homes alone counts as moving them: every field is named here, a
//! new one does not compile until it is judged. All differences are told at once. Which shards
//! exist is the configuration's affair and the same for both. Names are compared in `names`,
//! columns in `columns`.

mod class;
mod columns;
mod names;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;

use super::{
    Column, ColumnVindex, ForeignKeyMode, Keyspace, Names, Table, TableKind, TableName, VSchema,
    equality::VindexPairs, name_key,
};

pub use class::{Change, ChangeClass, Difference, render_differences};
pub use names::{NewNames, ReturnedName};

/// What the servers say of the columns that decide where rows live.
#[derive(Clone, Copy)]
pub enum ServerColumns<'a> {
    /// Their word goes before a VSchema's; a table that gives `None` was not read.
    Read(&'a dyn Fn(&TableName) -> Option<&'a [Column]>),
    /// They do not matter: nothing is routed, or both VSchemas were judged by them before.
    Immaterial,
}

/// Every difference between the VSchema that serves and one that shall.
pub fn diff(old: &VSchema, new: &VSchema, servers: ServerColumns<'_>) -> Vec<Difference> {
    let mut comparison = Comparison::new(servers);
    // What names mean without rules follows from the keyspaces.
    let VSchema { keyspaces: _, names: Names { rules, tables: _, vindexes: _ } } = old;
    comparison.keyspaces(old, new);
    comparison.names(old, new);
    if *rules != new.names.rules {
        let what = "the routing rules differ".to_owned();
        comparison.add(Change::RoutingRules, ChangeClass::ReadRoute, &"names", None, what);
    }
    if comparison.found.is_empty() && old != new {
        let what = "they differ in something that cannot be judged".to_owned();
        comparison.add(Change::Unknown, ChangeClass::Placement, &"the VSchema", None, what);
    }
    comparison.found
}

/// How two definitions of one table differ, which may be of two versions far apart.
pub fn diff_table(old: &Table, new: &Table, servers: ServerColumns<'_>) -> Vec<Difference> {
    let mut comparison = Comparison::new(servers);
    comparison.table(old, new);
    comparison.found
}

struct Comparison<'a> {
    servers: ServerColumns<'a>,
    vindexes: VindexPairs,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn new(servers: ServerColumns<'a>) -> Self {
        Self { servers, vindexes: VindexPairs::default(), found: Vec::new() }
    }

    fn add(
        &mut self,
        change: Change,
        class: ChangeClass,
        subject: &impl fmt::Display,
        tables: impl IntoIterator<Item = TableName>,
        what: String,
    ) {
        let tables = tables.into_iter().collect();
        self.found.push(Difference { change, class, subject: subject.to_string(), tables, what });
    }

    fn keyspaces(&mut self, old: &VSchema, new: &VSchema) {
        let arrivals = arrivals(old, new);
        for keyspace in old.keyspaces() {
            let subject = format!("keyspace {}", keyspace.name());
            if let Some(other) = new.keyspace(keyspace.name()) {
                self.keyspace(&subject, keyspace, other);
            } else {
                let what = "the new VSchema does not have it".to_owned();
                let class = ChangeClass::Removal;
                self.add(Change::KeyspaceRemoved, class, &subject, listed(keyspace), what);
            }
            for table in keyspace.tables() {
                self.moved_table(table, new, &arrivals);
            }
        }
        for keyspace in new.keyspaces() {
            if old.keyspace(keyspace.name()).is_none() {
                let subject = format!("keyspace {}", keyspace.name());
                let what = "only the new VSchema has it".to_owned();
                let class = ChangeClass::ReadRoute;
                self.add(Change::KeyspaceAdded, class, &subject, None, what);
            }
        }
    }

    /// A table that its keyspace does not list any more, and that another one lists from now on.
    fn moved_table(&mut self, table: &Table, new: &VSchema, arrivals: &Arrivals<'_>) {
        if lists(new, table.keyspace(), table.name()) {
            return;
        }
        for to in arrivals.get(table.name()).into_iter().flatten() {
            let what = format!("it is in keyspace {to} in the new VSchema");
            let name = table.qualified_name();
            let subject = format!("table {name}");
            let class = ChangeClass::Placement;
            self.add(Change::TableMoved, class, &subject, [name.clone()], what);
        }
    }

    fn keyspace(&mut self, subject: &String, old: &Keyspace, new: &Keyspace) {
        let Keyspace {
            name: _,
            sharded,
            require_explicit_routing,
            foreign_key_mode,
            multi_tenant,
            vindexes,
            tables,
        } = old;
        let differs = |what: &str, (a, b): (String, String)| {
            (a != b).then(|| format!("{what} is {a} in the active VSchema, {b} in the new one"))
        };
        let word = |sharded: bool| if sharded { "sharded" } else { "unsharded" }.to_owned();
        if let Some(what) = differs("it", (word(*sharded), word(new.sharded))) {
            self.add(Change::Sharding, ChangeClass::Placement, subject, listed(old), what);
        }
        let mode = |mode: ForeignKeyMode| format!("{mode:?}").to_lowercase();
        let modes = (mode(*foreign_key_mode), mode(new.foreign_key_mode));
        if let Some(what) = differs("foreign_key_mode", modes) {
            self.add(Change::ForeignKeyMode, ChangeClass::WriteUpkeep, subject, None, what);
        }
        // Kept, not used.
        if *multi_tenant != new.multi_tenant {
            let what = "multi_tenant_spec differs".to_owned();
            self.add(Change::MultiTenant, ChangeClass::Metadata, subject, None, what);
        }
        if *require_explicit_routing != new.require_explicit_routing {
            let what = "require_explicit_routing differs".to_owned();
            self.add(Change::ExplicitRouting, ChangeClass::ReadRoute, subject, None, what);
        }
        if *vindexes != new.vindexes {
            let what = "the definitions of its vindexes differ".to_owned();
            self.add(Change::Vindexes, ChangeClass::Metadata, subject, None, what);
        }
        for table in tables.values() {
            self.listed_table(table, new);
        }
        for table in new.tables().filter(|table| old.table(table.name()).is_none()) {
            self.new_table(table, *sharded);
        }
    }

    fn listed_table(&mut self, table: &Table, new: &Keyspace) {
        let name = table.qualified_name();
        let subject = format!("table {name}");
        if let Some(other) = new.table(table.name()) {
            self.table(table, other);
        } else if new.is_sharded() {
            let what = "the new VSchema does not have it".to_owned();
            let class = ChangeClass::Removal;
            self.add(Change::TableRemoved, class, &subject, [name.clone()], what);
        } else {
            let what = "the new VSchema does not list it".to_owned();
            let class = ChangeClass::Metadata;
            self.add(Change::TableRemoved, class, &subject, [name.clone()], what);
            // An unsharded keyspace takes names that it does not list.
            self.table(table, &Table::assumed(&name.keyspace, &name.name));
        }
    }

    fn new_table(&mut self, table: &Table, was_sharded: bool) {
        let name = table.qualified_name();
        let what = "only the new VSchema lists it".to_owned();
        let class = ChangeClass::ReadRoute;
        self.add(Change::TableAdded, class, &format!("table {name}"), [name.clone()], what);
        if !was_sharded {
            self.table(&Table::assumed(&name.keyspace, &name.name), table);
        }
    }

    /// Of one table under the same name in both.
    fn table(&mut self, old: &Table, new: &Table) {
        let Table {
            name,
            // Told with the keyspace.
            home: _,
            kind,
            column_vindexes,
            // Follows from the vindexes.
            by_cost: _,
            auto_increment,
            pinned,
            columns: _,
            authoritative: _,
            // Follows from the kinds of other tables.
            referenced_by: _,
        } = old;
        if *kind != new.kind {
            let texts = (describe_kind(kind), describe_kind(&new.kind));
            self.table_differs(Change::Kind, kind_class(old, new), name, "it", texts);
        }
        let pin = |table: &Table| match table.pinned() {
            Some(id) => id.to_string(),
            None => "none".to_owned(),
        };
        if *pinned != new.pinned {
            let class = ChangeClass::Placement;
            self.table_differs(Change::Pin, class, name, "its pin", (pin(old), pin(new)));
        }
        if !self.vindexes.same_on(column_vindexes, &new.column_vindexes) {
            self.column_vindexes(old, new);
        }
        if *auto_increment != new.auto_increment {
            let sequence = |table: &Table| match table.auto_increment() {
                Some(auto) => format!("{} from {}", auto.column, auto.sequence),
                None => "none".to_owned(),
            };
            let texts = (sequence(old), sequence(new));
            let class = ChangeClass::WriteUpkeep;
            self.table_differs(Change::AutoIncrement, class, name, "auto_increment", texts);
        }
        self.columns(old, new);
    }

    fn column_vindexes(&mut self, old: &Table, new: &Table) {
        let name = old.qualified_name();
        let known = self.found.len();
        self.primary_vindex(name, (old.primary_vindex(), new.primary_vindex()));
        self.secondary_vindexes(name, old, new);
        let owned = |table: &Table| list(table.owned_vindexes().map(describe).collect());
        let texts = (owned(old), owned(new));
        if texts.0 != texts.1 {
            let (change, class) = (Change::OwnedVindexes, ChangeClass::WriteUpkeep);
            self.table_differs(change, class, name, "its owned lookup vindexes", texts);
        }
        if self.found.len() == known {
            // Letter case, or the name of a vindex.
            let what = "its vindexes are written in another way".to_owned();
            let subject = format!("table {name}");
            self.add(Change::Vindexes, ChangeClass::Metadata, &subject, [name.clone()], what);
        }
    }

    fn table_differs(
        &mut self,
        change: Change,
        class: ChangeClass,
        table: &TableName,
        what: &str,
        (old, new): (String, String),
    ) {
        let what = format!("{what} is {old} in the active VSchema, {new} in the new one");
        self.add(change, class, &format!("table {table}"), [table.clone()], what);
    }

    fn primary_vindex(
        &mut self,
        table: &TableName,
        (old, new): (Option<&ColumnVindex>, Option<&ColumnVindex>),
    ) {
        let text =
            |vindex: Option<&ColumnVindex>| vindex.map_or_else(|| "none".to_owned(), describe);
        let (a, b) = (text(old), text(new));
        let same_home = match (old, new) {
            (None, None) => true,
            (Some(old), Some(new)) => {
                self.vindexes.same_function(&old.vindex, &new.vindex)
                    && lower(&old.columns) == lower(&new.columns)
            }
            _ => false,
        };
        let change = Change::PrimaryVindex;
        if same_home && a != b {
            // The same function, written in another way.
            self.table_differs(change, ChangeClass::Metadata, table, "its primary vindex", (a, b));
        } else if !same_home && a == b {
            let what = format!("the parameters of its primary vindex {a} mean something else");
            let subject = format!("table {table}");
            self.add(change, ChangeClass::Placement, &subject, [table.clone()], what);
        } else if !same_home {
            self.table_differs(change, ChangeClass::Placement, table, "its primary vindex", (a, b));
        }
    }

    /// A function of other columns that is said to lead to the row's home, too: where it changes,
    /// one of the two is wrong.
    fn secondary_vindexes(&mut self, name: &TableName, old: &Table, new: &Table) {
        fn secondary(table: &Table) -> impl Iterator<Item = &ColumnVindex> {
            table.column_vindexes().iter().skip(1).filter(|vindex| !vindex.owned)
        }
        let text = |table: &Table| list(secondary(table).map(describe).collect());
        let contradicts = |old: &ColumnVindex| {
            let functional = |on: &ColumnVindex| !on.vindex.vindex.needs_lookup();
            functional(old)
                && secondary(new).any(|new| {
                    functional(new)
                        && lower(&old.columns) == lower(&new.columns)
                        && !self.vindexes.same_function(&old.vindex, &new.vindex)
                })
        };
        let moves = secondary(old).any(contradicts);
        let class = if moves { ChangeClass::Placement } else { ChangeClass::ReadRoute };
        let (a, b) = (text(old), text(new));
        let what = "the list of its other vindexes";
        if a != b {
            self.table_differs(Change::SecondaryVindexes, class, name, what, (a, b));
        } else if moves {
            let what = format!("the parameters of its vindexes {a} mean something else");
            let subject = format!("table {name}");
            self.add(Change::SecondaryVindexes, class, &subject, [name.clone()], what);
        }
    }
}

/// The keyspaces that list a table only in the new VSchema, in order, by its name.
type Arrivals<'a> = HashMap<&'a str, Vec<&'a str>>;

fn arrivals<'a>(old: &VSchema, new: &'a VSchema) -> Arrivals<'a> {
    let mut arrivals = Arrivals::new();
    for table in new.tables().filter(|table| !lists(old, table.keyspace(), table.name())) {
        arrivals.entry(table.name()).or_default().push(table.keyspace());
    }
    arrivals
}

fn lists(vschema: &VSchema, keyspace: &str, table: &str) -> bool {
    vschema.keyspace(keyspace).is_some_and(|found| found.table(table).is_some())
}

fn listed(keyspace: &Keyspace) -> Vec<TableName> {
    keyspace.tables().map(|table| table.qualified_name().clone()).collect()
}

fn list(mut texts: Vec<String>) -> String {
    texts.sort();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

fn lower(columns: &[String]) -> Vec<String> {
    columns.iter().map(|column| name_key(column)).collect()
}

/// All tables of an unsharded keyspace are on its one shard, whatever they are for; only a copy
/// is written elsewhere.
fn kind_class(old: &Table, new: &Table) -> ChangeClass {
    let stays = |table: &Table| {
        let copy = matches!(table.kind(), TableKind::Reference { source: Some(_) });
        !table.is_sharded() && !copy
    };
    if stays(old) && stays(new) { ChangeClass::WriteUpkeep } else { ChangeClass::Placement }
}

fn describe_kind(kind: &TableKind) -> String {
    match kind {
        TableKind::Normal => "an ordinary table".to_owned(),
        TableKind::Sequence => "a sequence".to_owned(),
        TableKind::Reference { source: Some(source) } => {
            format!("a reference table with source {source}")
        }
        TableKind::Reference { source: None } => "a reference table without source".to_owned(),
    }
}

/// `xxhash(a, b)`, with parameters if there are any. The vindex' name is left out: renaming it
/// moves no row.
fn describe(on: &ColumnVindex) -> String {
    let mut text = format!("{}({})", on.vindex.type_name, lower(&on.columns).join(", "));
    if !on.vindex.params.is_empty() {
        let params: Vec<String> =
            on.vindex.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(text, " with {}", params.join(" "));
    }
    text
}
