//! What a statement says that matters for routing: its tables, which of their columns are equal to
//! each other or to values, and which parts need all rows in one place.
//!
//! One walk over the tree fills an [`Analysis`]; [`super::placement`] draws the conclusions. Names
//! are resolved only as far as they are certain: a column that may belong to another table is not
//! used for routing.

mod expr;
mod from;
mod predicate;
mod query;

use std::ops::Range;
use std::sync::Arc;

use crate::engine::routing::RoutingValue;
use crate::engine::template::{Replacement, Splice};
use crate::error::SqlError;
use crate::key::Destination;
use crate::sql::ast::{Cte, Ident, Span};
use crate::vschema::{Column, SqlType, Strictness, Table, name_key, same_name};

use super::input::PlanInput;
use super::live_columns::Differences;
use super::unsupported::Refusal;

pub(super) use expr::{contains_subquery, has_hole, is_aggregate};
pub(super) use from::{is_system_schema, quoted};
pub(super) use predicate::value_of;
pub(super) use query::item_expr;

pub(super) type TableId = usize;
pub(super) type BlockId = usize;

/// A column of a table of the statement. Names are compared without regard to case, so they are
/// kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ColumnOf {
    pub(super) table: TableId,
    pub(super) name: String,
}

/// Everything that the walk finds.
pub(super) struct Analysis<'a> {
    pub(super) input: PlanInput<'a>,
    pub(super) instances: Vec<Instance>,
    pub(super) blocks: Vec<Block>,
    pub(super) equalities: Vec<Equality>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) splices: Vec<(Span, Replacement)>,
    /// Parts that need all their rows on one shard, with the tables they read and the reason.
    pub(super) needs: Vec<Need>,
    pub(super) facts: Facts,
    pub(super) destination: Option<Destination>,
    /// The tables of every nested query; the statement itself is number 0.
    pub(super) queries: Vec<Range<TableId>>,
    current_query: usize,
    ctes: Vec<CteEntry<'a>>,
}

/// A base table in FROM.
pub(super) struct Instance {
    pub(super) home: Home,
    pub(super) block: BlockId,
    pub(super) strength: Strength,
    pub(super) use_vindex: Vec<String>,
    pub(super) ignore_vindex: Vec<String>,
    /// Where the name stands, and what the table is called in the rest of the statement.
    pub(super) name: Option<(Ident, Calling)>,
}

/// What a table is called after FROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calling {
    /// By its alias.
    Alias,
    /// By its name, which must then stay as an alias if the servers use another one.
    Name,
}

/// Where a table's rows are.
#[derive(Clone)]
pub(super) enum Home {
    /// A table of the VSchema.
    Table(Arc<Table>),
    /// information_schema and its kin.
    System,
}

/// Whether a table's rows carry the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Every row of the result comes from a row of this table.
    Result,
    /// Null-supplied by an outer join, or read by a subquery.
    Local,
}

/// The names of one SELECT.
pub(super) struct Block {
    pub(super) outer: Option<BlockId>,
    pub(super) sources: Vec<Source>,
}

/// A name in FROM.
pub(super) struct Source {
    pub(super) alias: String,
    pub(super) kind: SourceKind,
}

pub(super) enum SourceKind {
    Base(TableId),
    Derived(Outputs),
    /// Columns are not known at all.
    Unknown,
}

/// The columns of a derived table as far as they are plain columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs {
    /// Name and what it is; in order, if there is no wildcard.
    pub(super) columns: Vec<(String, Option<ColumnOf>)>,
    /// Tables whose columns `*` passes on.
    pub(super) wildcards: Vec<TableId>,
}

/// `a = b` in a place where rows that break it do not count.
pub(super) struct Equality {
    pub(super) left: ColumnOf,
    pub(super) right: ColumnOf,
}

/// A condition on a column, or on several at once, with values known at execution.
#[derive(Clone, Debug)]
pub(super) struct Constraint {
    pub(super) scope: Scope,
    pub(super) test: Test,
}

/// What a condition restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The rows of the result.
    Result,
    /// The rows of a query inside the statement, by its number in [`Analysis::queries`].
    Query(usize),
    /// The null-supplied tables of an outer join.
    Supplied(Range<TableId>),
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Equal(ColumnOf, RoutingValue),
    /// IN, or OR of equalities. The span of the list's items if it can be cut.
    In(ColumnOf, Vec<RoutingValue>, Option<ListSpans>),
    /// `(a, b) IN ((1, 2), ..)`; parts that are no plain column or value are `None`.
    Tuples(Vec<Option<ColumnOf>>, Vec<Vec<Option<RoutingValue>>>),
    Between(ColumnOf, RoutingValue, RoutingValue),
    Prefix(ColumnOf, RoutingValue),
    IsNull(ColumnOf),
}

/// Where the items of an IN list stand.
#[derive(Clone, Debug)]
pub(super) struct ListSpans {
    pub(super) items: Vec<Span>,
}

/// A part that is right on each shard alone only under conditions.
pub(super) struct Need {
    pub(super) tables: Range<TableId>,
    pub(super) refusal: Refusal,
}

/// What else is in the statement.
#[allow(clippy::struct_excessive_bools, reason = "independent findings of one walk")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) user_variable: bool,
    pub(super) assigns_variable: bool,
    pub(super) named_lock: bool,
    /// IS_USED_LOCK(), which tells a number of the server's.
    pub(super) lock_owner: bool,
    /// CONNECTION_ID(), which is Geogate's number.
    pub(super) connection_id: bool,
    pub(super) opaque: bool,
    pub(super) natural_join: bool,
    pub(super) table_function: bool,
    pub(super) vindex_function: bool,
    pub(super) next_values: bool,
    pub(super) subquery: bool,
    pub(super) window: bool,
    /// The statement only reads, so copies of reference tables may stand for their source.
    pub(super) reads_only: bool,
}

#[derive(Clone)]
struct CteEntry<'a> {
    name: String,
    kind: CteKind<'a>,
}

#[derive(Clone, Copy)]
enum CteKind<'a> {
    Query(&'a Cte, usize),
    /// The name inside its own recursive query.
    Recursion,
}

impl<'a> Analysis<'a> {
    pub(super) fn new(input: PlanInput<'a>) -> Self {
        Self {
            input,
            instances: Vec::new(),
            blocks: Vec::new(),
            equalities: Vec::new(),
            constraints: Vec::new(),
            splices: Vec::new(),
            needs: Vec::new(),
            facts: Facts::default(),
            destination: None,
            queries: std::iter::once(0..TableId::MAX).collect(),
            current_query: 0,
            ctes: Vec::new(),
        }
    }

    /// Whether a condition restricts all rows of these tables that matter.
    pub(super) fn restricts(&self, scope: &Scope, group: &[TableId]) -> bool {
        let carries = group.iter().any(|id| self.instances[*id].strength == Strength::Result);
        let inside = |range: &Range<TableId>| group.iter().all(|id| range.contains(id));
        match scope {
            Scope::Result => true,
            Scope::Query(query) => !carries && inside(&self.queries[*query]),
            Scope::Supplied(range) => !carries && inside(range),
        }
    }

    pub(super) fn new_block(&mut self, outer: Option<BlockId>) -> BlockId {
        self.blocks.push(Block { outer, sources: Vec::new() });
        self.blocks.len() - 1
    }

    /// The VSchema's table of an instance.
    pub(super) fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        match &self.instances[id].home {
            Home::Table(table) => Some(table),
            Home::System => None,
        }
    }

    /// The definition of a column. The servers' word goes before the VSchema's: it decides which
    /// values they call equal, so a VSchema with another type would lead to the wrong shard.
    pub(super) fn definition(&self, column: &ColumnOf) -> Option<&Column> {
        let table = self.table(column.table)?;
        let live = self.input.columns.columns(table.qualified_name()).unwrap_or_default();
        let same = |live: &&Column| same_name(&live.name, &column.name);
        live.iter().find(same).or_else(|| table.column(&column.name))
    }

    /// What the shards have instead of one type of a column, if they define it differently.
    pub(super) fn difference(&self, column: &ColumnOf) -> Option<&str> {
        let table = self.table(column.table)?;
        self.input.columns.differences(table.qualified_name())?.of_column(&column.name)
    }

    /// Whether the servers' type of a column is one that nothing is routed by, whatever the VSchema
    /// says.
    pub(super) fn has_foreign_type(&self, id: TableId, name: &str) -> bool {
        let live = |table: &Arc<Table>| self.input.columns.columns(table.qualified_name());
        let live = self.table(id).and_then(live).unwrap_or_default();
        let own = live.iter().find(|live| same_name(&live.name, name));
        own.is_some_and(|own| own.sql_type == SqlType::Unknown)
    }

    /// All columns of a table in order, if they are known and the same on every shard.
    pub(super) fn all_columns(&self, id: TableId) -> Option<&[Column]> {
        let table = self.table(id)?;
        let name = table.qualified_name();
        if self.input.columns.differences(name).is_some_and(Differences::in_lists) {
            return None;
        }
        let live = self.input.columns.columns(name);
        live.or_else(|| table.is_authoritative().then(|| table.columns()))
    }

    /// Whether a table certainly has a column of this name.
    fn has_column(&self, id: TableId, name: &str) -> bool {
        let Some(table) = self.table(id) else { return false };
        table.column_vindexes().iter().any(|vindex| vindex.position(name).is_some())
            || self.definition(&ColumnOf { table: id, name: name.to_owned() }).is_some()
            || table.auto_increment().is_some_and(|auto| same_name(&auto.column, name))
    }

    /// Which column a name means, if that is certain. Inner blocks hide outer ones.
    pub(super) fn resolve(
        &self,
        block: BlockId,
        table: Option<&str>,
        name: &str,
    ) -> Option<ColumnOf> {
        let name = name_key(name);
        match table {
            Some(alias) => {
                let mut at = Some(block);
                while let Some(block) = at {
                    let found = self.blocks[block]
                        .sources
                        .iter()
                        .find(|source| same_name(&source.alias, alias));
                    if let Some(source) = found {
                        return Self::column_in(source, &name);
                    }
                    at = self.blocks[block].outer;
                }
                None
            }
            None => self.resolve_unqualified(block, &name),
        }
    }

    /// A name that exactly one table of the block is known to have means that table's column: if
    /// another table had it too, every server would refuse the name as ambiguous.
    fn resolve_unqualified(&self, block: BlockId, name: &str) -> Option<ColumnOf> {
        let sources = &self.blocks[block].sources;
        if let [only] = sources.as_slice()
            && self.blocks[block].outer.is_none()
        {
            return Self::column_in(only, name);
        }
        let mut known = sources.iter().filter(|source| self.is_known(source, name));
        match (known.next(), known.next()) {
            (Some(source), None) => Self::column_in(source, name),
            (Some(_), Some(_)) => None,
            (None, _) => {
                let outer = self.blocks[block].outer?;
                let complete = sources.iter().all(|source| self.is_complete(source));
                complete.then(|| self.resolve_unqualified(outer, name)).flatten()
            }
        }
    }

    fn is_known(&self, source: &Source, name: &str) -> bool {
        match &source.kind {
            SourceKind::Base(id) => self.has_column(*id, name),
            SourceKind::Derived(outputs) => {
                outputs.columns.iter().any(|(own, _)| own == name)
                    || outputs.wildcards.iter().any(|id| self.has_column(*id, name))
            }
            SourceKind::Unknown => false,
        }
    }

    /// Whether a table of the block may have a column of this name.
    pub(super) fn may_have_column(&self, block: BlockId, name: &str) -> bool {
        let name = name_key(name);
        let doubt = |source: &Source| {
            self.is_known(source, &name)
                || (self.input.strictness == Strictness::Strict && !self.is_complete(source))
        };
        self.blocks[block].sources.iter().any(doubt)
    }

    fn is_complete(&self, source: &Source) -> bool {
        match &source.kind {
            SourceKind::Base(id) => self.all_columns(*id).is_some(),
            SourceKind::Derived(outputs) => outputs.wildcards.is_empty(),
            SourceKind::Unknown => false,
        }
    }

    fn column_in(source: &Source, name: &str) -> Option<ColumnOf> {
        match &source.kind {
            SourceKind::Base(id) => Some(ColumnOf { table: *id, name: name.to_owned() }),
            SourceKind::Derived(outputs) => {
                let mut named = outputs.columns.iter().filter(|(own, _)| own == name);
                match (named.next(), named.next()) {
                    (Some((_, column)), None) => column.clone(),
                    (Some(_), Some(_)) => None,
                    (None, _) => match outputs.wildcards.as_slice() {
                        [only] => Some(ColumnOf { table: *only, name: name.to_owned() }),
                        _ => None,
                    },
                }
            }
            SourceKind::Unknown => None,
        }
    }

    /// Whether a column decides, alone and uniquely, where its table's rows live.
    pub(super) fn is_unique_vindex_column(&self, column: &ColumnOf) -> bool {
        let table = self.table(column.table).filter(|_| self.difference(column).is_none());
        table.is_some_and(|table| {
            table.column_vindexes().iter().any(|vindex| {
                vindex.is_unique()
                    && !vindex.vindex.vindex.needs_lookup()
                    && vindex.columns.len() == 1
                    && same_name(&vindex.columns[0], &column.name)
            })
        })
    }

    /// Whether these columns together hold a full key of a unique vindex of one table.
    pub(super) fn cover_unique_vindex(&self, columns: &[ColumnOf]) -> bool {
        if columns.iter().any(|column| self.difference(column).is_some()) {
            return false;
        }
        columns.iter().any(|column| {
            let Some(table) = self.table(column.table) else { return false };
            table.column_vindexes().iter().any(|vindex| {
                vindex.is_unique()
                    && !vindex.vindex.vindex.needs_lookup()
                    && vindex.columns.iter().all(|own| {
                        columns.iter().any(|c| c.table == column.table && same_name(&c.name, own))
                    })
            })
        })
    }

    /// Writes the table's name as its servers know it.
    pub(super) fn rename(&mut self, written: &Ident, table: &Table, calling: Calling) {
        self.splices.retain(|(other, _)| *other != written.span);
        if written.text == table.name() {
            return;
        }
        let mut text = quoted(table.name());
        if calling == Calling::Name {
            text.push_str(" AS ");
            text.push_str(&quoted(&written.text));
        }
        self.splice(written.span, Replacement::Text(text.into()));
    }

    /// Leaves out the alias that keeps a table's written name; gives that name.
    pub(super) fn call_by_own_name(&mut self, id: TableId) -> Option<Ident> {
        let table = self.table(id).cloned()?;
        let (written, calling) = self.instances[id].name.as_mut()?;
        if *calling == Calling::Alias {
            return None;
        }
        *calling = Calling::Alias;
        let written = written.clone();
        self.rename(&written, &table, Calling::Alias);
        Some(written)
    }

    /// Lets another table stand where the statement names one.
    pub(super) fn stands_for(&mut self, id: TableId, table: Arc<Table>) {
        if let Some((written, calling)) = self.instances[id].name.clone() {
            self.rename(&written, &table, calling);
        }
        self.instances[id].home = Home::Table(table);
    }

    fn splice(&mut self, span: Span, with: Replacement) {
        let splice = (span, with);
        // A CTE that is used twice is walked twice, but stands once in the text.
        if !self.splices.contains(&splice) {
            self.splices.push(splice);
        }
    }

    fn delete(&mut self, span: Span) {
        self.splice(span, Replacement::Text("".into()));
    }

    /// The splices of the walk, in places of the skeleton.
    pub(super) fn placed_splices(&self) -> Result<Vec<Splice>, SqlError> {
        self.splices
            .iter()
            .map(|(span, with)| {
                let span = self.input.place(*span).ok_or_else(|| Refusal::UnknownParts.error())?;
                Ok(Splice { span, with: with.clone() })
            })
            .collect()
    }
}
