//! Names: what `[keyspace.]table` in a statement means under the one and the other VSchema.

use std::collections::BTreeSet;
use std::fmt;

use super::{Change, ChangeClass, Comparison};
use crate::vschema::{RuleTarget, TableName, TabletType, VSchema};

const TABLET_TYPES: [TabletType; 3] =
    [TabletType::Primary, TabletType::Replica, TabletType::Rdonly];

impl Comparison<'_> {
    /// Every name that either side knows must mean the same table on both, if it means one.
    pub(super) fn names(&mut self, old: &VSchema, new: &VSchema) {
        let mut names = known_names(old);
        names.extend(known_names(new));
        for name in &names {
            let mut told = BTreeSet::new();
            for tablet_type in TABLET_TYPES {
                let find = |vschema: &VSchema| {
                    vschema.find_table(name.keyspace.as_deref(), &name.table, tablet_type)
                };
                let Ok(before) = find(old) else { continue };
                let before = before.qualified_name();
                match find(new) {
                    Ok(after) if after.qualified_name() == before => {}
                    Ok(after) => {
                        let after = after.qualified_name().to_string();
                        told.insert((Change::NameTarget, before.clone(), after));
                    }
                    // Told with its keyspace already.
                    Err(_) if is_lost(new, before) => {}
                    Err(error) => {
                        told.insert((Change::NameRemoved, before.clone(), error.to_string()));
                    }
                }
            }
            for (change, before, after) in told {
                self.name(name, change, before, &after);
            }
        }
        self.unlisted_names(old, new);
    }

    fn name(&mut self, name: &Name, change: Change, before: TableName, after: &str) {
        let (class, what) = match change {
            Change::NameTarget => (
                ChangeClass::Placement,
                format!("it means {before} in the active VSchema, {after} in the new one"),
            ),
            _ => (
                ChangeClass::Removal,
                format!("it means {before} in the active VSchema; in the new one: {after}"),
            ),
        };
        self.add(change, class, &format!("name {name}"), [before], what);
    }

    /// A lone unsharded keyspace takes every name.
    fn unlisted_names(&mut self, old: &VSchema, new: &VSchema) {
        if let (Some(before), Some(after)) = (lone(old), lone(new))
            && before != after
        {
            let what = format!(
                "they mean tables of {before} in the active VSchema, of {after} in the new one"
            );
            let subject = "names without keyspace that are not listed";
            self.add(Change::NameTarget, ChangeClass::Placement, &subject, None, what);
        }
    }
}

/// Names that mean a table in a VSchema, and meant none in the one before.
pub struct NewNames<'a> {
    new: &'a VSchema,
    names: BTreeSet<(Name, TabletType)>,
}

/// A name that meant another table once.
pub struct ReturnedName {
    /// As a statement may say it.
    pub name: String,
    /// What it meant.
    pub before: TableName,
    /// What it is to mean.
    pub after: TableName,
}

impl<'a> NewNames<'a> {
    /// The names that only `new` understands.
    pub fn between(old: &VSchema, new: &'a VSchema) -> Self {
        let mut names = BTreeSet::new();
        for name in known_names(new) {
            for tablet_type in TABLET_TYPES {
                if name.means(old, tablet_type).is_none() && name.means(new, tablet_type).is_some()
                {
                    names.insert((name.clone(), tablet_type));
                }
            }
        }
        Self { new, names }
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What files may call them.
    pub fn written(&self) -> impl Iterator<Item = String> {
        self.names.iter().flat_map(|(name, _)| {
            let plain = [name.table.clone(), name.to_string()];
            let typed = ["replica", "rdonly", "primary"].map(|kind| format!("{name}@{kind}"));
            plain.into_iter().chain(typed)
        })
    }

    /// Takes those out that an earlier VSchema understands; gives those that meant another table
    /// there.
    pub fn settle(&mut self, earlier: &VSchema) -> Vec<ReturnedName> {
        let new = self.new;
        let mut returned = Vec::new();
        self.names.retain(|(name, tablet_type)| {
            let Some(before) = name.means(earlier, *tablet_type) else { return true };
            let after = name.means(new, *tablet_type).filter(|after| *after != before);
            returned.extend(after.map(|after| ReturnedName {
                name: name.to_string(),
                before,
                after,
            }));
            false
        });
        returned.dedup_by(|a, b| (&a.name, &a.before, &a.after) == (&b.name, &b.before, &b.after));
        returned
    }
}

fn lone(vschema: &VSchema) -> Option<&str> {
    let mut keyspaces = vschema.keyspaces();
    match (keyspaces.next(), keyspaces.next()) {
        (Some(only), None) if !only.is_sharded() => Some(only.name()),
        _ => None,
    }
}

/// Whether a table is missing from a VSchema altogether.
fn is_lost(vschema: &VSchema, name: &TableName) -> bool {
    match vschema.keyspace(&name.keyspace) {
        Some(keyspace) => keyspace.is_sharded() && keyspace.table(&name.name).is_none(),
        None => true,
    }
}

/// `[keyspace.]table` as a statement may say it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    keyspace: Option<String>,
    table: String,
}

impl Name {
    fn means(&self, vschema: &VSchema, tablet_type: TabletType) -> Option<TableName> {
        let found = vschema.find_table(self.keyspace.as_deref(), &self.table, tablet_type);
        found.ok().map(|table| table.qualified_name().clone())
    }
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
