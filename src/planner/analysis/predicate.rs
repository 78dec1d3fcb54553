//! Conditions: which columns they make equal to each other, and to which values.

use std::ops::Range;

use crate::engine::routing::RoutingValue;
use crate::error::SqlError;
use crate::sql::ast::{Comparison, Expr, ExprKind};

use super::{
    Analysis, BlockId, ColumnOf, Constraint, Equality, ListSpans, Scope, Strength, TableId, Test,
};

impl<'a> Analysis<'a> {
    /// A condition that rows must meet to count: WHERE, or ON. `right` are the null-supplied
    /// tables of an outer join, whose ON restricts only them.
    pub(in super::super) fn condition(
        &mut self,
        expr: &'a Expr,
        block: BlockId,
        strength: Strength,
        right: Option<Range<TableId>>,
    ) -> Result<(), SqlError> {
        match &expr.kind {
            ExprKind::And(a, b) => {
                self.condition(a, block, strength, right.clone())?;
                return self.condition(b, block, strength, right);
            }
            ExprKind::Nested(inner) => return self.condition(inner, block, strength, right),
            ExprKind::InSubquery { expr: left, query, negated: false } => {
                let facts = self.subquery(query, block)?;
                self.expr(left, block)?;
                if let Some(outputs) = facts.outputs.filter(|o| o.wildcards.is_empty()) {
                    let columns: Vec<_> = outputs.columns.into_iter().map(|(_, c)| c).collect();
                    if facts.whole.is_none() {
                        self.equal_lists(left, &columns, block);
                    }
                }
                return Ok(());
            }
            ExprKind::Compare { operator: Comparison::Equal, left, right: other } => {
                self.equal(left, other, block, right.as_ref());
            }
            _ => {}
        }
        for test in self.tests(expr, block) {
            self.constrain(test, strength, right.as_ref());
        }
        self.expr(expr, block)
    }

    fn constrain(&mut self, test: Test, strength: Strength, right: Option<&Range<TableId>>) {
        let tables = test.tables();
        let inside = |range: &Range<TableId>| tables.iter().all(|id| range.contains(id));
        if right.is_some_and(|range| !inside(range)) {
            return;
        }
        // IS NULL also holds for rows that an outer join made up.
        let made_up = |id: &TableId| self.instances[*id].strength == Strength::Local;
        if matches!(test, Test::IsNull(_)) && tables.iter().any(made_up) {
            return;
        }
        let scope = match (right, strength) {
            (Some(range), _) => Scope::Supplied(range.clone()),
            (None, Strength::Result) => Scope::Result,
            (None, Strength::Local) => Scope::Query(self.current_query),
        };
        self.constraints.push(Constraint { scope, test });
    }

    /// `left = right`: columns, or tuples of them.
    fn equal(
        &mut self,
        left: &Expr,
        right: &Expr,
        block: BlockId,
        supplied: Option<&Range<TableId>>,
    ) {
        if let (ExprKind::Tuple(left), ExprKind::Tuple(right)) = (&left.kind, &right.kind) {
            for (left, right) in left.iter().zip(right) {
                self.equal(left, right, block, supplied);
            }
            return;
        }
        let (Some(left), Some(right)) = (self.column_of(left, block), self.column_of(right, block))
        else {
            return;
        };
        let restricted = supplied
            .is_none_or(|range| range.contains(&left.table) || range.contains(&right.table));
        // Between tables of the queries around, it holds only where this query finds a row.
        let start = self.queries[self.current_query].start;
        if restricted && (left.table >= start || right.table >= start) {
            self.equalities.push(Equality { left, right });
        }
    }

    fn equal_lists(&mut self, left: &Expr, columns: &[Option<ColumnOf>], block: BlockId) {
        let parts: Vec<&Expr> = match &left.kind {
            ExprKind::Tuple(parts) => parts.iter().collect(),
            _ => vec![left],
        };
        for (part, column) in parts.into_iter().zip(columns) {
            if let (Some(left), Some(right)) = (self.column_of(part, block), column.clone()) {
                self.equalities.push(Equality { left, right });
            }
        }
    }

    /// What a condition says of columns and values.
    fn tests(&self, expr: &Expr, block: BlockId) -> Vec<Test> {
        match &expr.kind {
            ExprKind::Nested(inner) => self.tests(inner, block),
            ExprKind::And(a, b) => {
                let mut tests = self.tests(a, block);
                tests.extend(self.tests(b, block));
                tests
            }
            ExprKind::Or(a, b) => either(&self.tests(a, block), &self.tests(b, block)),
            ExprKind::Compare { operator: Comparison::Equal, left, right } => {
                self.equal_tests(left, right, block)
            }
            ExprKind::In { expr, list, negated: false, .. } => {
                self.in_test(expr, list, block).into_iter().collect()
            }
            ExprKind::Between { expr, low, high, negated: false } => {
                match (self.column_of(expr, block), value_of(low), value_of(high)) {
                    (Some(column), Some(low), Some(high)) => {
                        vec![Test::Between(column, low, high)]
                    }
                    _ => vec![],
                }
            }
            ExprKind::Like { expr, pattern, negated: false, escape: false } => {
                match (self.column_of(expr, block), value_of(pattern)) {
                    (Some(column), Some(pattern)) => vec![Test::Prefix(column, pattern)],
                    _ => vec![],
                }
            }
            ExprKind::IsNull { expr, negated: false } => {
                self.column_of(expr, block).map(Test::IsNull).into_iter().collect()
            }
            _ => vec![],
        }
    }

    fn equal_tests(&self, left: &Expr, right: &Expr, block: BlockId) -> Vec<Test> {
        match (&left.kind, &right.kind) {
            (ExprKind::Nested(left), _) => return self.equal_tests(left, right, block),
            (_, ExprKind::Nested(right)) => return self.equal_tests(left, right, block),
            (ExprKind::Tuple(left), ExprKind::Tuple(right)) => {
                let pairs = left.iter().zip(right);
                return pairs.flat_map(|(l, r)| self.equal_tests(l, r, block)).collect();
            }
            _ => {}
        }
        let one_way = |column: &Expr, value: &Expr| {
            Some(Test::Equal(self.column_of(column, block)?, value_of(value)?))
        };
        one_way(left, right).or_else(|| one_way(right, left)).into_iter().collect()
    }

    fn in_test(&self, expr: &Expr, list: &[Expr], block: BlockId) -> Option<Test> {
        let expr = unnested(expr);
        if let ExprKind::Tuple(parts) = &expr.kind {
            let columns: Vec<_> = parts.iter().map(|part| self.column_of(part, block)).collect();
            let mut rows = Vec::with_capacity(list.len());
            for row in list {
                let ExprKind::Tuple(values) = &unnested(row).kind else { return None };
                rows.push(values.iter().map(value_of).collect());
            }
            return Some(Test::Tuples(columns, rows));
        }
        let column = self.column_of(expr, block)?;
        let values: Option<Vec<_>> = list.iter().map(value_of).collect();
        let items = list.iter().map(|item| item.span).collect();
        Some(Test::In(column, values?, Some(ListSpans { items })))
    }
}

impl Test {
    fn tables(&self) -> Vec<TableId> {
        match self {
            Self::Equal(column, _)
            | Self::In(column, ..)
            | Self::Between(column, ..)
            | Self::Prefix(column, _)
            | Self::IsNull(column) => vec![column.table],
            Self::Tuples(columns, _) => columns.iter().flatten().map(|c| c.table).collect(),
        }
    }

    /// The values of a column that the test allows.
    fn values(&self) -> Option<(&ColumnOf, &[RoutingValue])> {
        match self {
            Self::Equal(column, value) => Some((column, std::slice::from_ref(value))),
            Self::In(column, values, _) => Some((column, values)),
            _ => None,
        }
    }
}

/// What holds if either side holds: a column that both sides restrict to values has one of these
/// values.
fn either(left: &[Test], right: &[Test]) -> Vec<Test> {
    let mut tests = Vec::new();
    for (column, values) in left.iter().filter_map(Test::values) {
        let other = right.iter().filter_map(Test::values).find(|(other, _)| *other == column);
        if let Some((_, more)) = other {
            let all = values.iter().chain(more).cloned().collect();
            tests.push(Test::In(column.clone(), all, None));
        }
    }
    tests
}

fn unnested(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Nested(inner) => unnested(inner),
        _ => expr,
    }
}

/// A value that is known when the statement runs.
pub(in super::super) fn value_of(expr: &Expr) -> Option<RoutingValue> {
    match &expr.kind {
        ExprKind::Hole(hole) => Some(RoutingValue::Hole(*hole)),
        ExprKind::Null => Some(RoutingValue::Null),
        ExprKind::Bool(value) => Some(RoutingValue::Constant(i64::from(*value))),
        ExprKind::Nested(inner) => value_of(inner),
        ExprKind::Negative(inner) => match value_of(inner)? {
            RoutingValue::Hole(hole) => Some(RoutingValue::Negative(hole)),
            RoutingValue::Null => Some(RoutingValue::Null),
            _ => None,
        },
        _ => None,
    }
}
