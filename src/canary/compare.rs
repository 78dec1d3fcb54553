//! Whether two VSchemas may serve side by side: same home for every row, same upkeep on writes.
//!
//! A share of the sessions may use a candidate only if a row that one side writes is found by the
//! other. So whatever decides a row's home, or what a write must maintain, has to be equal; what
//! only helps reads (another functional vindex, column lists, types of columns that were unknown)
//! may differ. All differences are listed at once. Which shards exist is the configuration's
//! affair and the same for both.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use crate::vschema::{
    Column, ColumnVindex, Keyspace, RuleTarget, SqlType, Table, TableKind, TableName, TabletType,
    VSchema,
};

/// Something that keeps a candidate from being served beside the active VSchema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: a keyspace, a table, a name.
    pub subject: String,
    /// How the two differ.
    pub what: String,
    /// What would go wrong.
    pub why: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: {}\n   = note: {}", self.subject, self.what, self.why)
    }
}

/// All differences as text, with advice and a count at the end.
pub fn render_differences(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{difference}\n");
    }
    let _ = writeln!(
        text,
        "{} differences; such a change cannot be given to a share of the sessions: apply it to all \
         at once (geogate vschema apply) when no rows have to move",
        differences.len()
    );
    text
}

const HOME: &str = "the two sides would write rows of one key to different places";
const UPKEEP: &str = "rows written by one side would lack what the other side reads";
const ROUTE: &str = "a statement that works on one side would fail or use another table on the \
                     other";

/// Every difference between two VSchemas that forbids to serve them side by side.
pub fn compare(stable: &VSchema, candidate: &VSchema) -> Vec<Difference> {
    let mut comparison = Comparison { found: Vec::new() };
    comparison.keyspaces(stable, candidate);
    comparison.names(stable, candidate);
    comparison.found
}

/// What works under the one VSchema and is refused by name under the other, though no row would
/// go astray.
pub fn cautions(stable: &VSchema, candidate: &VSchema) -> Vec<String> {
    let second = |table: &Table| {
        let mut others = table.column_vindexes().iter().skip(1);
        others.any(|vindex| !vindex.vindex.vindex.needs_lookup())
    };
    let listed = |name: &TableName| stable.keyspace(&name.keyspace)?.table(&name.name);
    let added = candidate.tables().filter(|table| {
        second(table) && listed(table.qualified_name()).is_some_and(|old| !second(old))
    });
    let told = added.map(|table| {
        let name = table.qualified_name();
        format!("INSERT into {name} is refused while it has a second functional vindex")
    });
    told.collect()
}

struct Comparison {
    found: Vec<Difference>,
}

impl Comparison {
    fn add(&mut self, subject: &impl fmt::Display, what: String, why: &'static str) {
        self.found.push(Difference { subject: subject.to_string(), what, why });
    }

    fn differ(
        &mut self,
        subject: &impl fmt::Display,
        what: &str,
        (stable, candidate): (String, String),
        why: &'static str,
    ) {
        if stable != candidate {
            let what =
                format!("{what} is {stable} in the active VSchema, {candidate} in the candidate");
            self.add(subject, what, why);
        }
    }

    fn keyspaces(&mut self, stable: &VSchema, candidate: &VSchema) {
        for old in stable.keyspaces() {
            let subject = format!("keyspace {}", old.name());
            match candidate.keyspace(old.name()) {
                Some(new) => self.keyspace(&subject, old, new),
                None => self.add(&subject, "the candidate does not have it".to_owned(), ROUTE),
            }
        }
        for new in candidate.keyspaces() {
            if stable.keyspace(new.name()).is_none() {
                let subject = format!("keyspace {}", new.name());
                self.add(&subject, "only the candidate has it".to_owned(), ROUTE);
            }
        }
    }

    fn keyspace(&mut self, subject: &String, old: &Keyspace, new: &Keyspace) {
        let sharded = |k: &Keyspace| if k.is_sharded() { "sharded" } else { "unsharded" };
        self.differ(subject, "it", (sharded(old).to_owned(), sharded(new).to_owned()), HOME);
        let mode = |k: &Keyspace| format!("{:?}", k.foreign_key_mode()).to_lowercase();
        self.differ(subject, "foreign_key_mode", (mode(old), mode(new)), UPKEEP);
        for table in old.tables() {
            let subject = format!("table {}", table.qualified_name());
            match new.table(table.name()) {
                Some(other) => self.table(&subject, table, other),
                // An unsharded keyspace takes names that it does not list.
                None if !new.is_sharded() && *table.kind() == TableKind::Normal => {}
                None => self.add(&subject, "the candidate does not have it".to_owned(), ROUTE),
            }
        }
        for table in new.tables() {
            let listed = old.table(table.name()).is_some();
            if !listed && !old.is_sharded() && *table.kind() != TableKind::Normal {
                let subject = format!("table {}", table.qualified_name());
                let what = format!("only the candidate makes it {}", kind(table));
                self.add(&subject, what, UPKEEP);
            }
        }
    }

    fn table(&mut self, subject: &String, old: &Table, new: &Table) {
        self.differ(subject, "it", (kind(old), kind(new)), HOME);
        let pin = |table: &Table| match table.pinned() {
            Some(id) => id.to_string(),
            None => "none".to_owned(),
        };
        self.differ(subject, "its pin", (pin(old), pin(new)), HOME);
        self.primary_vindex(subject, old, new);
        let owned = |table: &Table| {
            let mut all: Vec<String> = table.owned_vindexes().map(describe).collect();
            all.sort();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        self.differ(subject, "its owned lookup vindexes", (owned(old), owned(new)), UPKEEP);
        let sequence = |table: &Table| match table.auto_increment() {
            Some(auto) => format!("{} from {}", auto.column, auto.sequence),
            None => "none".to_owned(),
        };
        self.differ(subject, "auto_increment", (sequence(old), sequence(new)), UPKEEP);
    }

    fn primary_vindex(&mut self, subject: &String, old: &Table, new: &Table) {
        let (old_vindex, new_vindex) = (old.primary_vindex(), new.primary_vindex());
        let text = |vindex: Option<&ColumnVindex>| match vindex {
            Some(vindex) => describe(vindex),
            None => "none".to_owned(),
        };
        let (a, b) = (text(old_vindex), text(new_vindex));
        let same_function = match (old_vindex, new_vindex) {
            (Some(a), Some(b)) => a.vindex.vindex == b.vindex.vindex,
            _ => true,
        };
        if a == b && !same_function {
            let what = format!("the parameters of its primary vindex {a} mean something else");
            self.add(subject, what, HOME);
        }
        self.differ(subject, "its primary vindex", (a, b), HOME);
        for name in old_vindex.iter().flat_map(|vindex| &vindex.columns) {
            if let (Some(a), Some(b)) = (old.column(name), new.column(name)) {
                // Values for columns of unknown type are not written, so nothing can contradict.
                if a.sql_type != SqlType::Unknown && b.sql_type != SqlType::Unknown {
                    let what = format!("the type of sharding column {name}");
                    self.differ(subject, &what, (column_type(a), column_type(b)), HOME);
                }
            }
        }
    }

    /// Every name that either side knows must mean the same table on both, if it means one.
    fn names(&mut self, stable: &VSchema, candidate: &VSchema) {
        let mut names = known_names(stable);
        names.extend(known_names(candidate));
        for name in &names {
            let mut told = BTreeSet::new();
            for tablet_type in [TabletType::Primary, TabletType::Replica, TabletType::Rdonly] {
                let find = |vschema: &VSchema| {
                    vschema.find_table(name.keyspace.as_deref(), &name.table, tablet_type)
                };
                let Ok(old) = find(stable) else { continue };
                let what = match find(candidate) {
                    Ok(new) if new.qualified_name() == old.qualified_name() => continue,
                    Ok(new) => format!(
                        "it means {} in the active VSchema, {} in the candidate",
                        old.qualified_name(),
                        new.qualified_name()
                    ),
                    // Told with its keyspace already.
                    Err(_) if lost(candidate, old.qualified_name()) => continue,
                    Err(error) => format!(
                        "it means {} in the active VSchema; in the candidate: {error}",
                        old.qualified_name()
                    ),
                };
                told.insert(what);
            }
            for what in told {
                self.add(&format!("name {name}"), what, ROUTE);
            }
        }
    }
}

/// Whether a table is missing from a VSchema altogether.
fn lost(vschema: &VSchema, name: &TableName) -> bool {
    match vschema.keyspace(&name.keyspace) {
        Some(keyspace) => keyspace.is_sharded() && keyspace.table(&name.name).is_none(),
        None => true,
    }
}

/// `[keyspace.]table` as a statement may say it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    keyspace: Option<String>,
    table: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keyspace {
            Some(keyspace) => write!(f, "{keyspace}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// Each listed table with and without its keyspace, and whatever a routing rule is for.
fn known_names(vschema: &VSchema) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for table in vschema.tables() {
        names.insert(Name { keyspace: None, table: table.name().to_owned() });
        let keyspace = Some(table.keyspace().to_owned());
        names.insert(Name { keyspace, table: table.name().to_owned() });
    }
    for (from, target) in vschema.names().rules() {
        let from = from.split('@').next().unwrap_or(from);
        let (keyspace, table) = match from.split_once('.') {
            Some((keyspace, table)) => (Some(keyspace.to_owned()), table),
            None => (None, from),
        };
        names.insert(Name { keyspace, table: table.to_owned() });
        if let RuleTarget::Table(to) = target {
            names.insert(Name { keyspace: Some(to.keyspace.clone()), table: to.name.clone() });
        }
    }
    names
}

fn kind(table: &Table) -> String {
    match table.kind() {
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
    let columns: Vec<String> = on.columns.iter().map(|c| c.to_ascii_lowercase()).collect();
    let mut text = format!("{}({})", on.vindex.type_name, columns.join(", "));
    if !on.vindex.params.is_empty() {
        let params: Vec<String> =
            on.vindex.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(text, " with {}", params.join(" "));
    }
    text
}

fn column_type(column: &Column) -> String {
    let mut text = column.sql_type.name().to_owned();
    if let Some(collation) = &column.collation {
        let _ = write!(text, " {collation}");
    }
    if !column.values.is_empty() {
        let _ = write!(text, " ({})", column.values.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
