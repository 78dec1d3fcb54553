//! When two VSchemas are the same. Many tables use one vindex, which may hold a large map, so each
//! pair of vindexes is compared once and not for every table.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::model::{Keyspace, VSchema};
use super::table::{ColumnVindex, NamedVindex, Table};

/// Compares vindexes of two VSchemas, which must outlive it.
#[derive(Debug, Default)]
pub(super) struct VindexPairs {
    known: RefCell<HashMap<(*const NamedVindex, *const NamedVindex), Same>>,
}

#[derive(Clone, Copy, Debug)]
struct Same {
    function: bool,
    whole: bool,
}

impl PartialEq for VSchema {
    fn eq(&self, other: &Self) -> bool {
        let Self { keyspaces, names } = self;
        let pairs = VindexPairs::default();
        *names == other.names
            && all_same(keyspaces, &other.keyspaces, |a, b| pairs.same_keyspaces(a, b))
    }
}

fn all_same<T>(
    a: &BTreeMap<String, T>,
    b: &BTreeMap<String, T>,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
}

impl VindexPairs {
    /// Whether both map the same values to the same keyspace ids.
    pub(super) fn same_function(&self, a: &Arc<NamedVindex>, b: &Arc<NamedVindex>) -> bool {
        self.same(a, b).function
    }

    /// Whether tables have the same vindexes on the same columns.
    pub(super) fn same_on(&self, a: &[ColumnVindex], b: &[ColumnVindex]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_column_vindexes(a, b))
    }

    fn same_column_vindexes(&self, a: &ColumnVindex, b: &ColumnVindex) -> bool {
        let ColumnVindex { columns, vindex, owned, partial, cost } = a;
        (columns, owned, partial, cost) == (&b.columns, &b.owned, &b.partial, &b.cost)
            && self.same_vindexes(vindex, &b.vindex)
    }

    fn same_vindexes(&self, a: &Arc<NamedVindex>, b: &Arc<NamedVindex>) -> bool {
        self.same(a, b).whole
    }

    fn same(&self, a: &Arc<NamedVindex>, b: &Arc<NamedVindex>) -> Same {
        let compare = || {
            let NamedVindex { name, type_name, vindex, params, owner } = &**a;
            let function = *vindex == b.vindex;
            let written = (name, type_name, params, owner);
            let same = written == (&b.name, &b.type_name, &b.params, &b.owner);
            Same { function, whole: function && same }
        };
        let pair = (Arc::as_ptr(a), Arc::as_ptr(b));
        *self.known.borrow_mut().entry(pair).or_insert_with(compare)
    }

    fn same_keyspaces(&self, a: &Keyspace, b: &Keyspace) -> bool {
        let Keyspace {
            name,
            sharded,
            require_explicit_routing,
            foreign_key_mode,
            multi_tenant,
            vindexes,
            tables,
        } = a;
        (name, sharded, require_explicit_routing)
            == (&b.name, &b.sharded, &b.require_explicit_routing)
            && (foreign_key_mode, multi_tenant) == (&b.foreign_key_mode, &b.multi_tenant)
            && all_same(vindexes, &b.vindexes, |a, b| self.same_vindexes(a, b))
            && all_same(tables, &b.tables, |a, b| self.same_tables(a, b))
    }

    fn same_tables(&self, a: &Table, b: &Table) -> bool {
        let Table {
            name,
            home,
            kind,
            column_vindexes,
            by_cost,
            auto_increment,
            pinned,
            columns,
            authoritative,
            referenced_by,
        } = a;
        (name, home, kind, auto_increment) == (&b.name, &b.home, &b.kind, &b.auto_increment)
            && (pinned, columns, authoritative) == (&b.pinned, &b.columns, &b.authoritative)
            && *referenced_by == b.referenced_by
            && self.same_on(column_vindexes, &b.column_vindexes)
            && self.same_on(by_cost, &b.by_cost)
    }
}
