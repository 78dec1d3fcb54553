//! From the name in a statement to a table: routing rules, then the keyspace, then global routing.
//!
//! The rules are Vitess' (`vindexes/vschema.go`, `FindRoutedTable` and `findTable`). Table names
//! are case-sensitive, as there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{Keyspace, VSchema};
use super::table::{NamedVindex, Table, TableKind, TableName};
use crate::error::{SqlError, catalog};

/// The kind of server that a statement is for; routing rules may differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TabletType {
    /// The server that takes writes.
    #[default]
    Primary,
    /// A replica that serves reads.
    Replica,
    /// A replica for batch reads.
    Rdonly,
}

impl TabletType {
    /// The suffix in rules and targets.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Primary => "@primary",
            Self::Replica => "@replica",
            Self::Rdonly => "@rdonly",
        }
    }
}

/// Where a routing rule leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTarget {
    /// To this table.
    Table(TableName),
    /// Nowhere: the table is out of service.
    Disabled,
    /// The rule is broken (loaded leniently): each use of it gets this text.
    Broken(String),
}

/// What an unqualified name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// One keyspace has it.
    In(String),
    /// Several do.
    Ambiguous,
}

/// Names that are not simply a keyspace's table.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Names {
    pub(super) rules: BTreeMap<String, RuleTarget>,
    pub(super) tables: BTreeMap<String, Global>,
    pub(super) vindexes: BTreeMap<String, Global>,
}

impl Names {
    /// Routing rules by what they route (`[keyspace.]table[@type]`), in the order of names.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&str, &RuleTarget)> {
        self.rules.iter().map(|(from, target)| (from.as_str(), target))
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// A table.
    Table(Arc<Table>),
    /// A vindex, which can be queried like a table.
    Vindex {
        /// Its keyspace.
        keyspace: String,
        /// The vindex.
        vindex: Arc<NamedVindex>,
    },
}

/// Why a name stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No such keyspace.
    #[error("unknown database '{0}' in vschema")]
    UnknownKeyspace(String),
    /// No such table.
    #[error("table {0} not found")]
    UnknownTable(String),
    /// Several keyspaces have it.
    #[error("ambiguous table reference: {0}")]
    AmbiguousTable(String),
    /// Several keyspaces have it.
    #[error("ambiguous vindex reference: {0}")]
    AmbiguousVindex(String),
    /// A routing rule without target.
    #[error("table {0} has been disabled")]
    Disabled(String),
    /// See [`RuleTarget::Broken`].
    #[error("{0}")]
    BrokenRule(String),
}

impl From<ResolveError> for SqlError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::UnknownKeyspace(name) => catalog::UNKNOWN_KEYSPACE.with(&[&name]),
            ResolveError::UnknownTable(name) => catalog::UNKNOWN_TABLE.with(&[&name]),
            ResolveError::AmbiguousTable(name) => catalog::AMBIGUOUS_TABLE.with(&[&name]),
            ResolveError::AmbiguousVindex(name) => catalog::AMBIGUOUS_VINDEX.with(&[&name]),
            ResolveError::Disabled(name) => catalog::TABLE_DISABLED.with(&[&name]),
            ResolveError::BrokenRule(text) => catalog::BROKEN_ROUTING_RULE.with(&[&text]),
        }
    }
}

impl VSchema {
    /// The table that `[keyspace.]name` means on servers of this type. `keyspace` is the
    /// qualifier or, without one, the session's keyspace, if it has one.
    pub fn find_table(
        &self,
        keyspace: Option<&str>,
        name: &str,
        tablet_type: TabletType,
    ) -> Result<Arc<Table>, ResolveError> {
        let written = written(keyspace, name);
        let typed = format!("{written}{}", tablet_type.suffix());
        let rule = self.names.rules.get(&typed).or_else(|| self.names.rules.get(&written));
        match rule {
            None => self.find_unrouted(keyspace, name),
            Some(RuleTarget::Table(to)) => self.find_unrouted(Some(&to.keyspace), &to.name),
            Some(RuleTarget::Disabled) => Err(ResolveError::Disabled(written)),
            Some(RuleTarget::Broken(text)) => Err(ResolveError::BrokenRule(text.clone())),
        }
    }

    /// The table to which a routing rule leads `[keyspace.]name`, if that is another one than the
    /// name says in a session whose keyspace is `default`.
    pub fn routed_elsewhere(
        &self,
        keyspace: Option<&str>,
        default: Option<&str>,
        name: &str,
        tablet_type: TabletType,
    ) -> Result<Option<TableName>, ResolveError> {
        let own = keyspace.or(default);
        let has_rule = |keyspace| {
            let written = written(keyspace, name);
            let typed = format!("{written}{}", tablet_type.suffix());
            self.names.rules.contains_key(&typed) || self.names.rules.contains_key(&written)
        };
        // A name without a keyspace is first one of the session's keyspace.
        let bare = keyspace.is_none() && has_rule(None);
        let known = || self.find_unrouted(own, name).is_ok();
        let found = if has_rule(own) {
            self.find_table(own, name, tablet_type)?
        } else if bare && (own.is_none() || !known()) {
            self.find_table(None, name, tablet_type)?
        } else {
            return Ok(None);
        };
        let stays = found.name() == name && own == Some(found.keyspace());
        Ok((!stays).then(|| TableName::clone(found.qualified_name())))
    }

    /// The table of this name, routing rules aside.
    pub fn find_unrouted(
        &self,
        keyspace: Option<&str>,
        name: &str,
    ) -> Result<Arc<Table>, ResolveError> {
        let keyspace = match keyspace {
            Some(keyspace) => keyspace,
            None => self.global_keyspace(name)?,
        };
        let Some(found) = self.keyspace(keyspace) else {
            return Err(ResolveError::UnknownKeyspace(keyspace.to_owned()));
        };
        match found.table(name) {
            Some(table) => Ok(table.clone()),
            None if found.is_sharded() => {
                Err(ResolveError::UnknownTable(written(Some(keyspace), name)))
            }
            None => Ok(Arc::new(Table::assumed(keyspace, name))),
        }
    }

    /// Like [`VSchema::find_table`], but a vindex will do too.
    pub fn find_table_or_vindex(
        &self,
        keyspace: Option<&str>,
        name: &str,
        tablet_type: TabletType,
    ) -> Result<Resolved, ResolveError> {
        match self.find_table(keyspace, name, tablet_type) {
            Ok(table) => Ok(Resolved::Table(table)),
            Err(missing @ ResolveError::UnknownTable(_)) => {
                self.find_vindex(keyspace, name)?.ok_or(missing)
            }
            Err(error) => Err(error),
        }
    }

    fn find_vindex(
        &self,
        keyspace: Option<&str>,
        name: &str,
    ) -> Result<Option<Resolved>, ResolveError> {
        let keyspace = match (keyspace, self.names.vindexes.get(name)) {
            (Some(keyspace), _) => keyspace.to_owned(),
            (None, Some(Global::In(keyspace))) => keyspace.clone(),
            (None, Some(Global::Ambiguous)) => {
                return Err(ResolveError::AmbiguousVindex(name.to_owned()));
            }
            (None, None) => return Ok(None),
        };
        let vindex = self.keyspace(&keyspace).and_then(|found| found.vindex(name)).cloned();
        Ok(vindex.map(|vindex| Resolved::Vindex { keyspace, vindex }))
    }

    /// The keyspace of an unqualified table. A lone keyspace has every table.
    fn global_keyspace(&self, name: &str) -> Result<&str, ResolveError> {
        if let (Some(only), 1) = (self.keyspaces.keys().next(), self.keyspaces.len()) {
            return Ok(only);
        }
        match self.names.tables.get(name) {
            Some(Global::In(keyspace)) => Ok(keyspace),
            Some(Global::Ambiguous) => Err(ResolveError::AmbiguousTable(name.to_owned())),
            None => Err(ResolveError::UnknownTable(name.to_owned())),
        }
    }
}

fn written(keyspace: Option<&str>, name: &str) -> String {
    keyspace.map_or_else(|| name.to_owned(), |keyspace| format!("{keyspace}.{name}"))
}

/// What unqualified names mean over all keyspaces that do not require explicit routing.
pub(super) fn globals<'a>(
    keyspaces: impl Iterator<Item = &'a Keyspace> + Clone,
) -> (BTreeMap<String, Global>, BTreeMap<String, Global>) {
    let open = keyspaces.filter(|keyspace| !keyspace.require_explicit_routing);
    let mut homes: BTreeMap<&str, Vec<&Table>> = BTreeMap::new();
    let mut vindexes = BTreeMap::new();
    for keyspace in open {
        for table in keyspace.tables() {
            homes.entry(table.name()).or_default().push(table);
        }
        for vindex in keyspace.vindexes() {
            let home = Global::In(keyspace.name.clone());
            let entry = vindexes.entry(vindex.name.clone());
            entry.and_modify(|known| *known = Global::Ambiguous).or_insert(home);
        }
    }
    let tables = homes.into_iter().map(|(name, homes)| (name.to_owned(), global_table(&homes)));
    (tables.collect(), vindexes)
}

/// Copies of a source that is listed itself do not make its name ambiguous. All `homes` have one
/// name, and are in the order of their keyspaces.
fn global_table(homes: &[&Table]) -> Global {
    let is_copy = |table: &Table| match &table.kind {
        TableKind::Reference { source: Some(source) } => {
            homes.binary_search_by(|other| other.name.cmp(source)).is_ok()
        }
        _ => false,
    };
    let mut originals = homes.iter().filter(|table| !is_copy(table));
    match (originals.next(), originals.next()) {
        (Some(only), None) => Global::In(only.keyspace().to_owned()),
        _ => Global::Ambiguous,
    }
}
