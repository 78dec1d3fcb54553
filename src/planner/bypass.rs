//! Statements for shards that the client named: vindexes are bypassed and the text goes as it is,
//! without keyspace qualifiers. What such a statement may store there is `shard_target`'s.

use crate::engine::plan::{Access, Copies, Operation, Plan, Primitive, Route, StatementKind};
use crate::engine::routing::Routing;
use crate::engine::template::{QueryTemplate, Replacement, Splice};
use crate::error::{SqlError, catalog};
use crate::key::Destination;
use crate::sql::ast::{
    Expr, ExprKind, Ident, InsertSource, Lock, ObjectName, Span, Statement, TableFactor,
};
use crate::sql::visit::{Visitor, Walk, walk_statement};
use crate::vschema::{Strictness, TabletType};

use super::analysis::Analysis;
use super::copies;
use super::input::PlanInput;
use super::insert;
use super::placement::Placement;
use super::routed;
use super::shard_target::{self, Misplaced, misplaced};
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
    if matches!(kind, StatementKind::Insert | StatementKind::Replace) && several {
        return Refusal::InsertRange.refuse();
    }
    let mut splices = unqualified(statement, input)?;
    let mut generate = None;
    let routing = match (statement, misplaced(input, input.target.keyspace.as_deref())) {
        (Statement::Insert(insert), Misplaced::Refused) => {
            let stored = insert::at_target(insert, input, destination)?;
            splices.extend(stored.splices);
            generate = stored.generate;
            stored.routing
        }
        (Statement::Update(update), Misplaced::Refused) => {
            shard_target::update_routing(update, input, destination.clone())?
        }
        (Statement::Ddl(ddl), Misplaced::Refused) => {
            shard_target::check_definition(ddl)?;
            Routing::destination(destination.clone())
        }
        _ => Routing::destination(destination.clone()),
    };
    let keyspace = input.target.keyspace.as_deref().ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    let route = Route { generate, ..send(keyspace, routing, QueryTemplate::new(splices)) };
    Ok(passed(kind, access, route))
}

/// The splices that take the keyspace's own name out of the text.
fn unqualified(statement: &Statement, input: &PlanInput<'_>) -> Result<Vec<Splice>, SqlError> {
    let mut finder = Qualifiers { input, spans: Vec::new(), elsewhere: false };
    walk_statement(&mut finder, statement);
    match statement {
        Statement::Insert(insert) => finder.object(&insert.table),
        Statement::Delete(delete) => delete.targets.iter().for_each(|t| finder.object(t)),
        Statement::Ddl(ddl) => ddl.tables.iter().for_each(|t| finder.object(t)),
        Statement::Query(_) | Statement::Update(_) => {}
    }
    if finder.elsewhere && input.strictness == Strictness::Strict {
        return Refusal::TargetKeyspace.refuse();
    }
    let splices = finder.spans.into_iter().map(|span| {
        let span = input.place(span)?;
        Some(Splice { span, with: Replacement::Text("".into()) })
    });
    splices.collect::<Option<_>>().ok_or_else(|| Refusal::UnknownParts.error())
}

/// Why a statement that the parser cannot read is not passed on.
#[derive(Debug)]
pub enum Unplanned {
    /// Only a parser could find its shards.
    Unread,
    /// It may not go where the session is aimed.
    Refused(SqlError),
}

impl Unplanned {
    /// Its own error, or that of the parser.
    pub fn or_else(self, parser: impl FnOnce() -> SqlError) -> SqlError {
        match self {
            Self::Unread => parser(),
            Self::Refused(error) => error,
        }
    }
}

/// A statement that the parser cannot read. It goes as it is to an unsharded keyspace or to the
/// shards that the session is aimed at, and is refused elsewhere.
pub fn plan_unparsed(input: &PlanInput<'_>) -> Result<Plan, Unplanned> {
    let name = input.target.keyspace.as_deref().ok_or(Unplanned::Unread)?;
    let routing = match &input.target.destination {
        Some(destination) => {
            shard_target::check_unparsed(input).map_err(Unplanned::Refused)?;
            copies::check_unparsed(input).map_err(Unplanned::Refused)?;
            Routing::destination(destination.clone())
        }
        None => {
            let keyspace = input.vschema.keyspace(name).ok_or(Unplanned::Unread)?;
            if keyspace.is_sharded() {
                return Err(Unplanned::Unread);
            }
            copies::check_unparsed(input).map_err(Unplanned::Refused)?;
            routed::check_unparsed(input).map_err(Unplanned::Refused)?;
            Routing::unsharded()
        }
    };
    let route = send(name, routing, QueryTemplate::verbatim());
    Ok(passed(StatementKind::Other, Access::Write, route))
}

/// A statement whose qualifiers name the shards (`keyspace[-80].table`).
pub(super) fn plan_qualified(
    analysis: &Analysis<'_>,
    kind: StatementKind,
    access: Access,
    routing: Routing,
) -> Result<Plan, SqlError> {
    check_write(access, &analysis.input)?;
    let mut keyspaces: Vec<&str> = (0..analysis.instances.len())
        .filter_map(|id| analysis.table(id).map(|table| table.keyspace()))
        .collect();
    keyspaces.sort_unstable();
    keyspaces.dedup();
    let [keyspace] = keyspaces.as_slice() else { return Refusal::CrossShardTarget.refuse() };
    let placement =
        Placement { keyspace: (*keyspace).into(), routing, items: None, unknown_type: false };
    let operation = match kind {
        StatementKind::Update => Operation::Update,
        StatementKind::Delete => Operation::Delete,
        _ => Operation::Route,
    };
    let template = QueryTemplate::new(analysis.placed_splices()?);
    let route = super::route(analysis, operation, &placement, template);
    Ok(super::finish(analysis, kind, access, Primitive::Route(Box::new(route))))
}

fn send(keyspace: &str, routing: Routing, query: QueryTemplate) -> Route {
    Route {
        operation: Operation::Send,
        keyspace: keyspace.into(),
        table: String::new(),
        routing,
        query,
        generate: None,
        copies: Copies::default(),
    }
}

fn passed(kind: StatementKind, access: Access, route: Route) -> Plan {
    let root = Primitive::Route(Box::new(route));
    Plan {
        kind,
        access,
        tables: Vec::new(),
        joins_copies: false,
        schemas: Vec::new(),
        root,
        otherwise: None,
    }
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
    input: &'a PlanInput<'a>,
    spans: Vec<Span>,
    /// One is another keyspace than that of the target.
    elsewhere: bool,
}

impl Qualifiers<'_> {
    fn object(&mut self, name: &ObjectName) {
        if let Some(keyspace) = &name.keyspace {
            self.qualifier(keyspace, Span { start: name.span.start, end: name.name.span.start });
        }
    }

    fn qualifier(&mut self, keyspace: &Ident, span: Span) {
        if self.input.vschema.keyspace(&keyspace.text).is_some() {
            self.elsewhere |= self.input.target.keyspace.as_deref() != Some(&*keyspace.text);
            self.spans.push(span);
        }
    }
}

impl Visitor for Qualifiers<'_> {
    fn table(&mut self, table: &TableFactor) {
        self.object(&table.name);
    }

    fn expr(&mut self, expr: &Expr) -> Walk {
        if let ExprKind::Column { keyspace: Some(keyspace), table: Some(table), .. } = &expr.kind {
            self.qualifier(keyspace, Span { start: expr.span.start, end: table.span.start });
        }
        Walk::Inside
    }
}
