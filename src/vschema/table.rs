//! A table as the planner sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::column::Column;
use super::same_name::same_name;
use super::vindex::Vindex;
use crate::key::KeyspaceId;

/// Keyspace and table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Keyspace.
    pub keyspace: String,
    /// Table, as the servers spell it.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.keyspace, self.name)
    }
}

/// A vindex of a keyspace.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedVindex {
    /// Name in the keyspace.
    pub name: String,
    /// Type as written.
    pub type_name: String,
    /// The function.
    pub vindex: Vindex,
    /// Parameters as written.
    pub params: BTreeMap<String, String>,
    /// The table whose rows fill a lookup vindex' table.
    pub owner: Option<String>,
}

/// A vindex on columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnVindex {
    /// Columns in the vindex' order, never empty; compared without regard to case.
    pub columns: Vec<String>,
    /// The vindex.
    pub vindex: Arc<NamedVindex>,
    /// Writes to this table maintain the lookup vindex' table.
    pub owned: bool,
    /// Only the first columns of a multi-column vindex: maps to ranges, is not unique.
    pub partial: bool,
    /// See [`Vindex::cost`]; one more for each column that is missing.
    pub cost: u32,
}

impl ColumnVindex {
    /// Whether values map to one keyspace id at most.
    pub fn is_unique(&self) -> bool {
        !self.partial && self.vindex.vindex.is_unique()
    }

    /// Whether the vindex is on this column, and as which of its columns.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|own| same_name(own, column))
    }
}

/// What a table is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Rows of the application.
    Normal,
    /// `select next value from ..` takes numbers from it.
    Sequence,
    /// The same rows on every shard.
    Reference {
        /// Where they are written; `None` if each shard is filled by other means.
        source: Option<TableName>,
    },
}

/// A column that takes its number from a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoIncrement {
    /// The column.
    pub column: String,
    /// The sequence, routing rules applied.
    pub sequence: TableName,
}

/// A table of a keyspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(super) name: TableName,
    pub(super) home: Home,
    pub(super) kind: TableKind,
    pub(super) column_vindexes: Vec<ColumnVindex>,
    pub(super) by_cost: Vec<ColumnVindex>,
    pub(super) auto_increment: Option<AutoIncrement>,
    pub(super) pinned: Option<KeyspaceId>,
    pub(super) columns: Vec<Column>,
    pub(super) authoritative: bool,
    pub(super) referenced_by: BTreeMap<String, String>,
}

/// How the VSchema came to know a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Sharded,
    Unsharded,
    /// Not in the VSchema; an unsharded keyspace takes any name.
    Assumed,
}

impl Table {
    /// A table that an unsharded keyspace is assumed to have.
    pub(super) fn assumed(keyspace: &str, name: &str) -> Self {
        Self {
            name: TableName { keyspace: keyspace.to_owned(), name: name.to_owned() },
            home: Home::Assumed,
            kind: TableKind::Normal,
            column_vindexes: Vec::new(),
            by_cost: Vec::new(),
            auto_increment: None,
            pinned: None,
            columns: Vec::new(),
            authoritative: false,
            referenced_by: BTreeMap::new(),
        }
    }

    /// Keyspace and name.
    pub fn qualified_name(&self) -> &TableName {
        &self.name
    }

    /// Name without keyspace. After a routing rule it is not the name that was asked for.
    pub fn name(&self) -> &str {
        &self.name.name
    }

    /// The keyspace that it is in.
    pub fn keyspace(&self) -> &str {
        &self.name.keyspace
    }

    /// Whether its keyspace is sharded.
    pub fn is_sharded(&self) -> bool {
        self.home == Home::Sharded
    }

    /// Whether the VSchema does not list it.
    pub fn is_assumed(&self) -> bool {
        self.home == Home::Assumed
    }

    /// What it is for.
    pub fn kind(&self) -> &TableKind {
        &self.kind
    }

    /// Vindexes as written: the first is the primary vindex.
    pub fn column_vindexes(&self) -> &[ColumnVindex] {
        &self.column_vindexes
    }

    /// The vindex that decides where a row lives. `None`: unsharded, reference or pinned.
    pub fn primary_vindex(&self) -> Option<&ColumnVindex> {
        self.column_vindexes.first()
    }

    /// Vindexes in the order of their cost, the partial ones of multi-column vindexes included.
    pub fn vindexes_by_cost(&self) -> &[ColumnVindex] {
        &self.by_cost
    }

    /// The lookup vindexes whose tables must be maintained by every write.
    pub fn owned_vindexes(&self) -> impl Iterator<Item = &ColumnVindex> {
        self.column_vindexes.iter().filter(|vindex| vindex.owned)
    }

    /// The column that is filled from a sequence.
    pub fn auto_increment(&self) -> Option<&AutoIncrement> {
        self.auto_increment.as_ref()
    }

    /// The keyspace id where the whole table lives.
    pub fn pinned(&self) -> Option<&KeyspaceId> {
        self.pinned.as_ref()
    }

    /// Columns as far as the VSchema lists them.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name, without regard to case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same_name(&column.name, name))
    }

    /// Whether [`Table::columns`] is complete and in order.
    pub fn is_authoritative(&self) -> bool {
        self.authoritative
    }

    /// The reference tables that have this one as their source: keyspace and name.
    pub fn copies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.referenced_by.iter().map(|(keyspace, name)| (keyspace.as_str(), name.as_str()))
    }

    /// Name of this table's reference copy in another keyspace.
    pub fn reference_in(&self, keyspace: &str) -> Option<&str> {
        self.referenced_by.get(keyspace).map(String::as_str)
    }
}
