//! Walking a tree: every table, query and expression in it, from the outside in.

use super::ast::{
    Expr, ExprKind, InsertSource, JoinConstraint, Limit, OrderItem, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, TableRef, With,
};

use super::steps::step;

/// What a walk calls. Each method returns whether the walk goes on inside.
pub trait Visitor {
    /// An expression.
    fn expr(&mut self, _expr: &Expr) -> Walk {
        Walk::Inside
    }

    /// A query: the statement itself, a CTE, a derived table or a subquery.
    fn query(&mut self, _query: &Query) -> Walk {
        Walk::Inside
    }

    /// One SELECT of a query.
    fn select(&mut self, _select: &Select) -> Walk {
        Walk::Inside
    }

    /// A table in FROM, or in UPDATE and DELETE. The target of INSERT and the objects of DDL are
    /// not visited.
    fn table(&mut self, _table: &TableFactor) {}
}

/// Whether a walk goes on inside a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Its parts are visited.
    Inside,
    /// They are not.
    Past,
}

/// Visits all of a statement.
pub fn walk_statement<V: Visitor>(visitor: &mut V, statement: &Statement) {
    match statement {
        Statement::Query(query) => walk_query(visitor, query),
        Statement::Insert(insert) => {
            match &insert.source {
                InsertSource::Values(rows) => {
                    walk_exprs(visitor, rows.iter().flat_map(|row| &row.values));
                }
                InsertSource::Set(values) => walk_exprs(visitor, values),
                InsertSource::Query(query) => walk_query(visitor, query),
            }
            walk_exprs(visitor, insert.on_duplicate.iter().map(|set| &set.value));
        }
        Statement::Update(update) => {
            walk_with(visitor, update.with.as_ref());
            update.tables.iter().for_each(|table| walk_table(visitor, table));
            walk_exprs(visitor, update.assignments.iter().map(|set| &set.value));
            walk_exprs(visitor, &update.filter);
            walk_tail(visitor, &update.order_by, update.limit.as_ref());
        }
        Statement::Delete(delete) => {
            walk_with(visitor, delete.with.as_ref());
            delete.from.iter().for_each(|table| walk_table(visitor, table));
            walk_exprs(visitor, &delete.filter);
            walk_tail(visitor, &delete.order_by, delete.limit.as_ref());
        }
        Statement::Ddl(ddl) => ddl.query.iter().for_each(|query| walk_query(visitor, query)),
    }
}

/// Visits a query and what is in it.
pub fn walk_query<V: Visitor>(visitor: &mut V, query: &Query) {
    if visitor.query(query) == Walk::Past {
        return;
    }
    walk_with(visitor, query.with.as_ref());
    walk_set_expr(visitor, &query.body);
    walk_tail(visitor, &query.order_by, query.limit.as_ref());
}

fn walk_with<V: Visitor>(visitor: &mut V, with: Option<&With>) {
    if let Some(with) = with {
        with.ctes.iter().for_each(|cte| walk_query(visitor, &cte.query));
    }
}

fn walk_tail<V: Visitor>(visitor: &mut V, order_by: &[OrderItem], limit: Option<&Limit>) {
    walk_exprs(visitor, order_by.iter().map(|item| &item.expr));
    if let Some(limit) = limit {
        walk_expr(visitor, &limit.count);
        walk_exprs(visitor, &limit.offset);
    }
}

fn walk_set_expr<V: Visitor>(visitor: &mut V, body: &SetExpr) {
    match body {
        SetExpr::Select(select) => walk_select(visitor, select),
        SetExpr::SetOperation(operation) => {
            walk_set_expr(visitor, &operation.left);
            walk_set_expr(visitor, &operation.right);
        }
        SetExpr::Query(query) => walk_query(visitor, query),
        SetExpr::Values(rows) => rows.iter().for_each(|row| walk_exprs(visitor, row)),
    }
}

/// Visits a SELECT and what is in it.
pub fn walk_select<V: Visitor>(visitor: &mut V, select: &Select) {
    if visitor.select(select) == Walk::Past {
        return;
    }
    for item in &select.items {
        if let SelectItem::Expr { expr, .. } = item {
            walk_expr(visitor, expr);
        }
    }
    select.from.iter().for_each(|table| walk_table(visitor, table));
    walk_exprs(visitor, &select.filter);
    walk_exprs(visitor, &select.group_by);
    walk_exprs(visitor, &select.having);
    walk_exprs(visitor, &select.window_clauses);
}

/// Visits a table reference and what is in it.
pub fn walk_table<V: Visitor>(visitor: &mut V, table: &TableRef) {
    match table {
        TableRef::Table(table) => visitor.table(table),
        TableRef::Derived { query, .. } => walk_query(visitor, query),
        TableRef::Join(join) => {
            walk_table(visitor, &join.left);
            walk_table(visitor, &join.right);
            if let JoinConstraint::On(condition) = &join.constraint {
                walk_expr(visitor, condition);
            }
        }
        TableRef::Nested(tables) => tables.iter().for_each(|table| walk_table(visitor, table)),
        TableRef::Function { .. } => {}
    }
}

fn walk_exprs<'a, V: Visitor>(visitor: &mut V, exprs: impl IntoIterator<Item = &'a Expr>) {
    exprs.into_iter().for_each(|expr| walk_expr(visitor, expr));
}

/// Visits an expression and what is in it, subqueries included.
pub fn walk_expr<V: Visitor>(visitor: &mut V, expr: &Expr) {
    step();
    if visitor.expr(expr) == Walk::Past {
        return;
    }
    match &expr.kind {
        ExprKind::Hole(_)
        | ExprKind::Ordinal(_)
        | ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Default
        | ExprKind::Column { .. }
        | ExprKind::Wildcard
        | ExprKind::UserVariable(_)
        | ExprKind::SystemVariable(_)
        | ExprKind::Opaque => {}
        ExprKind::Nested(inner)
        | ExprKind::Not(inner)
        | ExprKind::Negative(inner)
        | ExprKind::AssignVariable(inner)
        | ExprKind::IsNull { expr: inner, .. }
        | ExprKind::Collate { expr: inner, .. } => walk_expr(visitor, inner),
        ExprKind::And(left, right)
        | ExprKind::Or(left, right)
        | ExprKind::Compare { left, right, .. }
        | ExprKind::Like { expr: left, pattern: right, .. } => {
            walk_exprs(visitor, [&**left, right]);
        }
        ExprKind::Between { expr, low, high, .. } => walk_exprs(visitor, [&**expr, low, high]),
        ExprKind::In { expr, list, .. } => {
            walk_expr(visitor, expr);
            walk_exprs(visitor, list);
        }
        ExprKind::InSubquery { expr, query, .. } | ExprKind::Quantified { expr, query } => {
            walk_expr(visitor, expr);
            walk_query(visitor, query);
        }
        ExprKind::Subquery(query) | ExprKind::Exists { query, .. } => walk_query(visitor, query),
        ExprKind::Tuple(list) | ExprKind::Other(list) => walk_exprs(visitor, list),
        ExprKind::NextValues(count) => walk_exprs(visitor, count.as_deref()),
        ExprKind::Function(function) => {
            walk_exprs(visitor, &function.args);
            walk_exprs(visitor, &function.clauses);
        }
    }
}
