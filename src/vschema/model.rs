//! The checked VSchema. Only `validate` builds it, so what it says holds.
//!
//! Everything is kept in the order of names: two VSchemas can be compared part by part.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resolve::Names;
use super::table::{NamedVindex, Table};

/// All keyspaces and the rules between them.
#[derive(Clone, Debug)]
pub struct VSchema {
    pub(super) keyspaces: BTreeMap<String, Keyspace>,
    pub(super) names: Names,
}

/// What Vitess' `foreign_key_mode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForeignKeyMode {
    /// Foreign keys are the servers' affair and must stay in one shard.
    #[default]
    Unmanaged,
    /// Statements that define foreign keys are refused.
    Disallow,
    /// The proxy would cascade and verify. Not implemented; only loaded leniently.
    Managed,
}

/// What Vitess' `multi_tenant_spec` says; kept, not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiTenant {
    /// Column that holds the tenant.
    pub column: String,
    /// Its type, by Vitess' name.
    pub column_type: String,
}

/// One keyspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyspace {
    pub(super) name: String,
    pub(super) sharded: bool,
    pub(super) require_explicit_routing: bool,
    pub(super) foreign_key_mode: ForeignKeyMode,
    pub(super) multi_tenant: Option<MultiTenant>,
    pub(super) vindexes: BTreeMap<String, Arc<NamedVindex>>,
    pub(super) tables: BTreeMap<String, Arc<Table>>,
}

impl VSchema {
    /// The keyspace of this name.
    pub fn keyspace(&self, name: &str) -> Option<&Keyspace> {
        self.keyspaces.get(name)
    }

    /// Keyspaces in the order of their names.
    pub fn keyspaces(&self) -> impl ExactSizeIterator<Item = &Keyspace> {
        self.keyspaces.values()
    }

    /// Tables in the order of keyspace and name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.keyspaces.values().flat_map(Keyspace::tables)
    }

    /// How names outside of keyspaces are routed.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

impl Keyspace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its tables are spread over shards by vindexes.
    pub fn is_sharded(&self) -> bool {
        self.sharded
    }

    /// Whether its tables are found only with their keyspace.
    pub fn requires_explicit_routing(&self) -> bool {
        self.require_explicit_routing
    }

    /// Who looks after foreign keys.
    pub fn foreign_key_mode(&self) -> ForeignKeyMode {
        self.foreign_key_mode
    }

    /// The tenant column, if one is named.
    pub fn multi_tenant(&self) -> Option<&MultiTenant> {
        self.multi_tenant.as_ref()
    }

    /// The vindex of this name.
    pub fn vindex(&self, name: &str) -> Option<&Arc<NamedVindex>> {
        self.vindexes.get(name)
    }

    /// Vindexes in the order of their names.
    pub fn vindexes(&self) -> impl ExactSizeIterator<Item = &Arc<NamedVindex>> {
        self.vindexes.values()
    }

    /// The listed table of this name, routing rules aside.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// Listed tables in the order of their names.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Arc<Table>> {
        self.tables.values()
    }
}
