//! Statements for shards that the client named: vindexes are bypassed and the text goes as it is,
//! without keyspace qualifiers.

use crate::engine::plan::{Access, Operation, Plan, Primitive, Route, StatementKind};
use crate::engine::routing::Routing;
use crate::engine::template::{QueryTemplate, Replacement, Splice};
use crate::error::{SqlError, catalog};
use crate::key::Destination;
use crate::sql::ast::{Expr, ExprKind, InsertSource, Lock, Span, Statement, TableFactor};
use crate::sql::visit::{Visitor, Walk, walk_statement};
use crate::vschema::{TabletType, VSchema};

use super::analysis::Analysis;
use super::input::PlanInput;
use super::placement::Placement;
use super::unsupported::Refusal;

/// A statement while the session is aimed at shards.
pub(super) fn plan(
    statement: &Statement,
    input: &PlanInput<'_>,
    destination: &Destination,
) -> Result<Plan, SqlError> {
    let (kind, access) = nature(statement);
    check_write(access, input)?;
    let several = matches!(destination, Destination::KeyRange(_) | Destination::AllShards);
    if kind == StatementKind::Insert && several {
        return Refusal::InsertRange.refuse();
    }
    let mut finder = Qualifiers { vschema: input.vschema, spans: Vec::new() };
    walk_statement(&mut finder, statement);
    match statement {
        Statement::Insert(insert) => finder.object(&insert.table),
        Statement::Delete(delete) => delete.targets.iter().for_each(|t| finder.object(t)),
        Statement::Ddl(ddl) => ddl.tables.iter().for_each(|t| finder.object(t)),
        Statement::Query(_) | Statement::Update(_) => {}
    }
    let splices: Option<Vec<Splice>> = finder
        .spans
        .into_iter()
        .map(|span| {
            let span = input.place(span)?;
            Some(Splice { span, with: Replacement::Text("".into()) })
        })
        .collect();
    let splices = splices.ok_or_else(|| Refusal::UnknownParts.error())?;
    to_shards(input, kind, access, QueryTemplate::new(splices))
}

/// A statement that the parser cannot read. It goes as it is to an unsharded keyspace or to the
/// shards that the session is aimed at, and is refused elsewhere.
pub fn plan_unparsed(input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    if input.target.destination.is_some() {
        return to_shards(input, StatementKind::Other, Access::Write, QueryTemplate::verbatim());
    }
    let name = input.target.keyspace.as_deref().ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    let keyspace =
        input.vschema.keyspace(name).ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&name]))?;
    if keyspace.is_sharded() {
        return Refusal::UnknownParts.refuse();
    }
    let route = send(name, Routing::unsharded(), QueryTemplate::verbatim());
    Ok(passed(StatementKind::Other, Access::Write, route))
}

/// A statement whose qualifiers name the shards (`keyspace[-80].table`).
pub(super) fn plan_qualified(
    analysis: &Analysis<'_>,
    kind: StatementKind,
    access: Access,
    destination: Destination,
) -> Result<Plan, SqlError> {
    check_write(access, &analysis.input)?;
    let mut keyspaces: Vec<&str> = (0..analysis.instances.len())
        .filter_map(|id| analysis.table(id).map(|table| table.keyspace()))
        .collect();
    keyspaces.sort_unstable();
    keyspaces.dedup();
    let [keyspace] = keyspaces.as_slice() else { return Refusal::CrossShardTarget.refuse() };
    let placement = Placement {
        keyspace: (*keyspace).into(),
        routing: Routing::destination(destination),
        items: None,
        unknown_type: false,
    };
    let operation = match kind {
        StatementKind::Update => Operation::Update,
        StatementKind::Delete => Operation::Delete,
        _ => Operation::Route,
    };
    let template = QueryTemplate::new(analysis.placed_splices()?);
    let route = super::route(analysis, operation, &placement, template);
    Ok(super::finish(analysis, kind, access, Primitive::Route(Box::new(route))))
}

fn to_shards(
    input: &PlanInput<'_>,
    kind: StatementKind,
    access: Access,
    template: QueryTemplate,
) -> Result<Plan, SqlError> {
    let keyspace = input.target.keyspace.as_deref().ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    let destination = input.target.destination.clone().unwrap_or(Destination::AnyShard);
    let route = send(keyspace, Routing::destination(destination), template);
    Ok(passed(kind, access, route))
}

fn send(keyspace: &str, routing: Routing, query: QueryTemplate) -> Route {
    Route {
        operation: Operation::Send,
        keyspace: keyspace.into(),
        table: String::new(),
        routing,
        query,
        generate: None,
    }
}

fn passed(kind: StatementKind, access: Access, route: Route) -> Plan {
    let root = Primitive::Route(Box::new(route));
    Plan { kind, access, tables: Vec::new(), root, otherwise: None }
}

/// A replica takes no writes.
pub(super) fn check_write(access: Access, input: &PlanInput<'_>) -> Result<(), SqlError> {
    if access == Access::Write && input.target.tablet_type != TabletType::Primary {
        return Refusal::ReplicaWrite.refuse();
    }
    Ok(())
}

fn nature(statement: &Statement) -> (StatementKind, Access) {
    match statement {
        Statement::Query(query) if query.lock == Lock::None => {
            (StatementKind::Select, Access::Read)
        }
        Statement::Query(_) => (StatementKind::Select, Access::LockingRead),
        Statement::Insert(insert) if insert.replace => (StatementKind::Replace, Access::Write),
        Statement::Insert(insert) => match insert.source {
            InsertSource::Values(_) | InsertSource::Set(_) | InsertSource::Query(_) => {
                (StatementKind::Insert, Access::Write)
            }
        },
        Statement::Update(_) => (StatementKind::Update, Access::Write),
        Statement::Delete(_) => (StatementKind::Delete, Access::Write),
        Statement::Ddl(_) => (StatementKind::Ddl, Access::Write),
    }
}

/// Qualifiers that are keyspaces, not schemas that only the servers know.
struct Qualifiers<'a> {
    vschema: &'a VSchema,
    spans: Vec<Span>,
}

impl Qualifiers<'_> {
    fn object(&mut self, name: &crate::sql::ast::ObjectName) {
        if let Some(keyspace) = &name.keyspace
            && self.vschema.keyspace(&keyspace.text).is_some()
        {
            self.spans.push(Span { start: name.span.start, end: name.name.span.start });
        }
    }
}

impl Visitor for Qualifiers<'_> {
    fn table(&mut self, table: &TableFactor) {
        self.object(&table.name);
    }

    fn expr(&mut self, expr: &Expr) -> Walk {
        if let ExprKind::Column { keyspace: Some(keyspace), table: Some(table), .. } = &expr.kind
            && self.vschema.keyspace(&keyspace.text).is_some()
        {
            self.spans.push(Span { start: expr.span.start, end: table.span.start });
        }
        Walk::Inside
    }
}
