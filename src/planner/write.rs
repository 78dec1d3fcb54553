//! Plans for UPDATE and DELETE.
//!
//! A predicate of any kind may choose the rows: a write over several shards is the same statement
//! on each of them. What would have to move a row or change another table is refused.

use crate::engine::plan::{Access, Copies, Operation, Plan, Primitive, Route, StatementKind};
use crate::engine::routing::{Opcode, Routing, Stored};
use crate::engine::template::{QueryTemplate, Replacement};
use crate::error::SqlError;
use crate::sql::ast::{
    Assignment, Delete, Expr, Limit, ObjectName, OrderItem, Span, TableRef, Update, With,
};
use crate::vschema::{Table, name_key, same_name};

use super::analysis::{Analysis, BlockId, ColumnOf, SourceKind, Strength, TableId};
use super::bypass::{check_write, plan_qualified};
use super::copies;
use super::input::PlanInput;
use super::placement::{Narrowing, place};
use super::routed;
use super::server_set::may_assign;
use super::shard_target::{Misplaced, misplaced, placing, stored_by_update, unknown_type};
use super::staying;
use super::unsupported::Refusal;

/// The parts that UPDATE and DELETE share.
struct Write<'a> {
    kind: StatementKind,
    operation: Operation,
    with: Option<&'a With>,
    tables: &'a [TableRef],
    filter: Option<&'a Expr>,
    order_by: &'a [OrderItem],
    limit: Option<&'a Limit>,
}

pub(super) fn plan_update(update: &Update, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    let write = Write {
        kind: StatementKind::Update,
        operation: Operation::Update,
        with: update.with.as_ref(),
        tables: &update.tables,
        filter: update.filter.as_ref(),
        order_by: &update.order_by,
        limit: update.limit.as_ref(),
    };
    let mut analysis = Analysis::new(*input);
    let block = write.walk(&mut analysis)?;
    for assignment in &update.assignments {
        analysis.expr(&assignment.value, block)?;
    }
    if let Some(destination) = analysis.destination.clone() {
        let stored = match misplaced(input, only_keyspace(&analysis)) {
            Misplaced::Allowed => Vec::new(),
            Misplaced::Refused => stored_by_update(&analysis, block, &update.assignments)?,
        };
        let routing = Routing::within(destination, stored);
        return plan_qualified(&analysis, write.kind, Access::Write, routing);
    }
    let mut stored = Vec::new();
    for id in own_tables(&analysis, block) {
        stored.extend(check_assignments(&analysis, id, block, &update.assignments)?);
    }
    let changed = |id: TableId| {
        update.assignments.iter().any(|assignment| {
            let alias = assignment.table.as_ref().map(|alias| alias.text.as_str());
            let column = analysis.resolve(block, alias, &assignment.column.text);
            column.is_none_or(|column| column.table == id)
        })
    };
    let copied = changes_copies(&analysis, own_tables(&analysis, block), changed)?;
    if copied {
        copies::check_update(&analysis, update)?;
    }
    write.finish(analysis, None, copied, stored)
}

pub(super) fn plan_delete(delete: &Delete, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    let write = Write {
        kind: StatementKind::Delete,
        operation: Operation::Delete,
        with: delete.with.as_ref(),
        tables: &delete.from,
        filter: delete.filter.as_ref(),
        order_by: &delete.order_by,
        limit: delete.limit.as_ref(),
    };
    let mut analysis = Analysis::new(*input);
    let block = write.walk(&mut analysis)?;
    if delete.targets.is_empty() {
        own_name_alone(&mut analysis)?;
    }
    for target in &delete.targets {
        strip_qualifier(&mut analysis, target);
    }
    if let Some(destination) = analysis.destination.clone() {
        let routing = Routing::destination(destination);
        return plan_qualified(&analysis, write.kind, Access::Write, routing);
    }
    let mut copied = false;
    for id in own_tables(&analysis, block) {
        let named = delete.targets.is_empty()
            || delete.targets.iter().any(|target| {
                analysis.blocks[block].sources.iter().any(|source| {
                    matches!(source.kind, SourceKind::Base(own) if own == id)
                        && same_name(&source.alias, &target.name.text)
                })
            });
        if named && changes_copies(&analysis, vec![id], |_| true)? {
            copies::check_delete(&analysis, delete)?;
            copied = true;
        }
        let owns = |table: &Table| table.is_sharded() && table.owned_vindexes().next().is_some();
        if named && analysis.table(id).is_some_and(|table| owns(table)) {
            return Refusal::InsertLookup.refuse();
        }
    }
    let returning = delete.returning.then_some(Refusal::Returning);
    write.finish(analysis, returning, copied, Vec::new())
}

/// DELETE from one table takes no alias on every server, so the table is called by its own name.
fn own_name_alone(analysis: &mut Analysis<'_>) -> Result<(), SqlError> {
    let Some(written) = analysis.call_by_own_name(0) else { return Ok(()) };
    let Some(table) = analysis.table(0).cloned() else { return Ok(()) };
    routed::rename_qualifiers(analysis, &written, table.name())
}

impl<'a> Write<'a> {
    fn walk(&self, analysis: &mut Analysis<'a>) -> Result<BlockId, SqlError> {
        if let Some(with) = self.with {
            analysis.with(with, None)?;
        }
        let block = analysis.new_block(None);
        analysis.tables_of(self.tables, block)?;
        if let Some(filter) = self.filter {
            analysis.condition(filter, block, Strength::Result, None)?;
        }
        for item in self.order_by {
            analysis.expr(&item.expr, block)?;
        }
        Ok(block)
    }

    fn finish(
        &self,
        mut analysis: Analysis<'a>,
        over_shards: Option<Refusal>,
        copied: bool,
        stored: Vec<Stored>,
    ) -> Result<Plan, SqlError> {
        check_write(Access::Write, &analysis.input)?;
        let mut copies = Copies::default();
        if copied && let Some(table) = analysis.table(0).cloned() {
            let source = copies::source_of(&analysis.input, &table)?;
            copies.keyspaces = copies::keyspaces(&analysis.input, &source)?;
            analysis.stands_for(0, source);
        }
        let mut placement = place(&mut analysis, Narrowing::ByVindexes)?;
        if !placement.routing.is_single_shard() {
            if placement.unknown_type && placement.routing.opcode() == Opcode::Scatter {
                return Err(untyped(&analysis));
            }
            let facts = &analysis.facts;
            let problem = [
                (self.limit.is_some(), Refusal::LimitWrite),
                (self.with.is_some(), Refusal::MultiTableWrite),
                (facts.user_variable, Refusal::UserVariable),
                (facts.assigns_variable, Refusal::AssignVariable),
            ];
            let problem = problem.into_iter().find(|(found, _)| *found).map(|(_, r)| r);
            if let Some(refusal) = problem.or(over_shards) {
                return refusal.refuse();
            }
        }
        if placement.routing.opcode() == Opcode::Reference {
            // Every copy of the rows must change.
            placement.routing = Routing::scatter();
        }
        placement.routing = placement.routing.staying(stored, Refusal::UpdateVindex.error());
        let mut splices = analysis.placed_splices()?;
        splices.extend(super::list_splice(&analysis, &placement)?);
        let template = QueryTemplate::new(splices);
        let route = super::route(&analysis, self.operation, &placement, template);
        let route = Route { copies, ..route };
        let root = Primitive::Route(Box::new(route));
        Ok(super::finish(&analysis, self.kind, Access::Write, root))
    }
}

/// The keyspace of the first table; several are refused later.
fn only_keyspace<'a>(analysis: &'a Analysis<'_>) -> Option<&'a str> {
    (0..analysis.instances.len()).find_map(|id| Some(analysis.table(id)?.keyspace()))
}

/// Why the rows of a write are not found by a sharding column.
fn untyped(analysis: &Analysis<'_>) -> SqlError {
    let tables = (0..analysis.instances.len()).filter_map(|id| Some((id, analysis.table(id)?)));
    let mut columns = tables.flat_map(|(id, table)| {
        let names = placing(table).flat_map(|vindex| &vindex.columns);
        names.map(move |name| ColumnOf { table: id, name: name_key(name) })
    });
    let is_known_why = |column: &ColumnOf| {
        analysis.difference(column).is_some()
            || analysis.has_foreign_type(column.table, &column.name)
    };
    match columns.find(is_known_why) {
        Some(column) => unknown_type(analysis, &column),
        None => Refusal::UnknownTypeWrite.error(),
    }
}

/// The tables of the statement's own FROM.
fn own_tables(analysis: &Analysis<'_>, block: BlockId) -> Vec<TableId> {
    let own = |id: &TableId| analysis.instances[*id].block == block;
    (0..analysis.instances.len()).filter(own).collect()
}

/// Changing a vindex column would move the row, or its entry in a lookup table: what the rows will
/// hold must belong where they are.
fn check_assignments(
    analysis: &Analysis<'_>,
    id: TableId,
    block: BlockId,
    assignments: &[Assignment],
) -> Result<Vec<Stored>, SqlError> {
    if !analysis.table(id).is_some_and(|table| table.is_sharded()) {
        return Ok(Vec::new());
    }
    let own: Vec<&Assignment> =
        assignments.iter().filter(|set| may_assign(analysis, block, id, set)).collect();
    staying::stored_by_update(analysis, id, block, &own)
}

/// Whether the statement changes a table that has copies. Each is changed for itself, so it must
/// not change by what other tables hold: a shard knows only its own rows.
fn changes_copies(
    analysis: &Analysis<'_>,
    tables: Vec<TableId>,
    changed: impl Fn(TableId) -> bool,
) -> Result<bool, SqlError> {
    let copied = |id: TableId| {
        analysis.table(id).is_some_and(|table| copies::has_copies(&analysis.input, table))
    };
    let written: Vec<TableId> = tables.into_iter().filter(|id| changed(*id)).collect();
    for table in written.iter().filter_map(|id| analysis.table(*id)) {
        copies::check_name(&analysis.input, table.qualified_name())?;
    }
    if !written.into_iter().any(copied) {
        return Ok(false);
    }
    if analysis.instances.len() != 1 {
        return Refusal::ReferenceJoinWrite.refuse();
    }
    Ok(true)
}

/// `DELETE ks.t FROM ..`
fn strip_qualifier(analysis: &mut Analysis<'_>, name: &ObjectName) {
    if name.keyspace.is_some() {
        let span = Span { start: name.span.start, end: name.name.span.start };
        analysis.splices.push((span, Replacement::Text("".into())));
    }
}
