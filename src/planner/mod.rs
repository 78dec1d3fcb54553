//! From a parsed statement to a plan.
//!
//! [`plan`] walks the tree once ([`analysis`]), decides where the rows are ([`placement`]) and
//! writes down what each shard must be sent (`select`, `insert`, `write`, `ddl`). A plan never
//! depends on the value of a literal, because it serves every statement of the same shape.
//!
//! What cannot be planned with certainty is refused by name: the list is [`unsupported`]. The
//! planner never learns an address, opens nothing and reads no clock.

mod analysis;
mod bypass;
pub mod cache;
mod choose;
mod copies;
mod ddl;
pub mod generation;
mod group;
mod hidden;
pub mod input;
mod insert;
mod kinds;
pub mod live_columns;
mod merge;
mod placement;
mod routed;
mod schemas;
mod select;
mod server_set;
mod shard_target;
mod staying;
mod union;
mod unsupported;
mod write;

use std::sync::Arc;

use crate::config::ReferenceCopies;
use crate::engine::plan::{
    Access, Copies, NextValue, Operation, Plan, Primitive, Route, StatementKind, TableUse,
};
use crate::engine::routing::{Opcode, Routing};
use crate::engine::template::{Item, QueryTemplate, Replacement, Splice};
use crate::error::SqlError;
use crate::sql::ast::{ExprKind, Lock, Query, SelectItem, SetExpr, Span, Statement};
use crate::vschema::{Strictness, Table, TableKind};

use analysis::Analysis;
use input::PlanInput;
use placement::{Narrowing, Placement};
use select::WalkedQuery;
use unsupported::Refusal;

pub use bypass::{Unplanned, plan_unparsed};
pub use copies::check_drop;
pub use unsupported::unread;

/// Plans a statement.
pub fn plan(statement: &Statement, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    if let Some(destination) = &input.target.destination {
        return bypass::plan(statement, input, destination);
    }
    match statement {
        Statement::Query(query) => plan_query(query, input),
        Statement::Insert(insert) => insert::plan(insert, input),
        Statement::Update(update) => write::plan_update(update, input),
        Statement::Delete(delete) => write::plan_delete(delete, input),
        Statement::Ddl(ddl) => ddl::plan(ddl, input),
    }
}

fn plan_query(query: &Query, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    let mut analysis = Analysis::new(*input);
    // A lock belongs to the rows that writes meet: those of the source.
    analysis.facts.reads_only = query.lock == Lock::None;
    let walked = WalkedQuery::walk(&mut analysis, query)?;
    if analysis.facts.lock_owner && analysis.facts.connection_id {
        return Refusal::LockOwner.refuse();
    }
    let access = if query.lock != Lock::None || analysis.facts.named_lock {
        Access::LockingRead
    } else {
        Access::Read
    };
    if analysis.facts.next_values {
        let root = Primitive::NextValue(next_value(&analysis, query)?);
        return Ok(finish(&analysis, StatementKind::Select, Access::Write, root));
    }
    if let Some(destination) = analysis.destination.clone() {
        let routing = Routing::destination(destination);
        return bypass::plan_qualified(&analysis, StatementKind::Select, access, routing);
    }
    let (root, placement) = walked.plan(&mut analysis, Narrowing::ByVindexes)?;
    // In strict mode a value may turn out to be unusable; the read then asks every shard.
    let otherwise = match placement.routing.finder() {
        Some(_) if input.strictness == Strictness::Strict => {
            walked.plan(&mut analysis, Narrowing::Never).ok().map(|(root, _)| Box::new(root))
        }
        _ => None,
    };
    let schemas = match placement.routing.opcode() {
        Opcode::Dba => schemas::named(query),
        _ => Vec::new(),
    };
    Ok(Plan { schemas, otherwise, ..finish(&analysis, StatementKind::Select, access, root) })
}

/// `SELECT NEXT n VALUES FROM sequence`, and nothing else beside it.
fn next_value(analysis: &Analysis<'_>, query: &Query) -> Result<NextValue, SqlError> {
    let SetExpr::Select(select) = &query.body else { return Refusal::SequenceShape.refuse() };
    let [SelectItem::Expr { expr, .. }] = select.items.as_slice() else {
        return Refusal::SequenceShape.refuse();
    };
    let ExprKind::NextValues(count) = &expr.kind else { return Refusal::SequenceShape.refuse() };
    let table = match analysis.instances.as_slice() {
        [_] => analysis.table(0).filter(|table| *table.kind() == TableKind::Sequence),
        _ => None,
    };
    let Some(table) = table else { return Refusal::SequenceShape.refuse() };
    let count = match count.as_deref().map(|count| &count.kind) {
        None => None,
        Some(ExprKind::Hole(hole)) => Some(*hole),
        Some(_) => return Refusal::SequenceShape.refuse(),
    };
    Ok(NextValue { keyspace: table.keyspace().into(), sequence: table.name().into(), count })
}

/// A plan with the tables that the walk found.
fn finish(analysis: &Analysis<'_>, kind: StatementKind, access: Access, root: Primitive) -> Plan {
    let mut tables: Vec<TableUse> = Vec::new();
    for id in 0..analysis.instances.len() {
        if let Some(table) = analysis.table(id) {
            let used = TableUse { keyspace: table.keyspace().into(), table: table.name().into() };
            if !tables.contains(&used) {
                tables.push(used);
            }
        }
    }
    let joins_copies = analysis.destination.is_none() && joins_copies(analysis);
    Plan { kind, access, tables, joins_copies, schemas: Vec::new(), root, otherwise: None }
}

/// Whether copies that something else keeps stand beside rows of the shards.
fn joins_copies(analysis: &Analysis<'_>) -> bool {
    let is_copy = |table: &Table| matches!(table.kind(), TableKind::Reference { source: Some(_) });
    analysis.input.reference_copies == ReferenceCopies::External
        && (0..analysis.instances.len())
            .any(|id| analysis.table(id).is_some_and(|table| is_copy(table)))
}

fn route(
    analysis: &Analysis<'_>,
    operation: Operation,
    placement: &Placement,
    query: QueryTemplate,
) -> Route {
    let mut names: Vec<&str> = Vec::new();
    for id in 0..analysis.instances.len() {
        if let Some(table) = analysis.table(id)
            && !names.contains(&table.name())
        {
            names.push(table.name());
        }
    }
    Route {
        operation,
        keyspace: Arc::clone(&placement.keyspace),
        table: names.join(", "),
        routing: placement.routing.clone(),
        query,
        generate: None,
        copies: Copies::default(),
    }
}

/// The splice that cuts an IN list per shard.
fn list_splice(analysis: &Analysis<'_>, placement: &Placement) -> Result<Option<Splice>, SqlError> {
    let Some(items) = &placement.items else { return Ok(None) };
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(None) };
    let place =
        |span: Span| analysis.input.place(span).ok_or_else(|| Refusal::UnknownParts.error());
    let span = place(Span { start: first.start, end: last.end })?;
    let items: Result<Vec<Item>, SqlError> =
        items.iter().map(|item| Ok(Item { span: place(*item)?, splices: Vec::new() })).collect();
    Ok(Some(Splice { span, with: Replacement::Items(items?) }))
}
