//! Expressions: qualifiers to splice, session functions, subqueries and what else must be known.

use crate::engine::plan::SessionValue;
use crate::engine::template::Replacement;
use crate::error::SqlError;
use crate::sql::ast::{Expr, ExprKind, Function, Span};

use super::{Analysis, BlockId, ColumnOf};

impl<'a> Analysis<'a> {
    /// Walks an expression whose value is only computed, not tested.
    pub(in super::super) fn expr(
        &mut self,
        expr: &'a Expr,
        block: BlockId,
    ) -> Result<(), SqlError> {
        match &expr.kind {
            ExprKind::Column { keyspace: Some(_), table: Some(table), .. } => {
                self.delete(Span { start: expr.span.start, end: table.span.start });
            }
            ExprKind::Function(function) => self.function(function, expr.span),
            ExprKind::UserVariable(_) => self.facts.user_variable = true,
            ExprKind::AssignVariable(_) => self.facts.assigns_variable = true,
            ExprKind::NextValues(_) => self.facts.next_values = true,
            ExprKind::Opaque => self.facts.opaque = true,
            ExprKind::Subquery(query)
            | ExprKind::Exists { query, .. }
            | ExprKind::InSubquery { query, .. }
            | ExprKind::Quantified { query, .. } => {
                self.subquery(query, block)?;
            }
            _ => {}
        }
        for child in children(expr) {
            self.expr(child, block)?;
        }
        Ok(())
    }

    fn function(&mut self, function: &Function, span: Span) {
        if function.qualifier.is_some() || function.name.span.start != span.start {
            return;
        }
        let name = function.name.text.to_ascii_lowercase();
        let value = match name.as_str() {
            "get_lock" | "release_lock" | "release_all_locks" | "is_free_lock" | "is_used_lock" => {
                self.facts.named_lock = true;
                self.facts.lock_owner |= name == "is_used_lock";
                return;
            }
            "found_rows" => SessionValue::FoundRows,
            "row_count" => SessionValue::RowCount,
            "database" | "schema" => SessionValue::Database,
            "connection_id" => {
                self.facts.connection_id = true;
                SessionValue::ConnectionId
            }
            "user" | "session_user" | "system_user" => SessionValue::User,
            _ => return,
        };
        if function.args.is_empty() && !function.over {
            self.splice(span, Replacement::Session(value));
        }
    }

    /// The column that an expression is, if it is nothing else.
    pub(in super::super) fn column_of(&self, expr: &Expr, block: BlockId) -> Option<ColumnOf> {
        match &expr.kind {
            ExprKind::Nested(inner) => self.column_of(inner, block),
            ExprKind::Column { table, name, .. } => {
                self.resolve(block, table.as_ref().map(|table| table.text.as_str()), &name.text)
            }
            _ => None,
        }
    }
}

/// The direct parts of an expression, subqueries left out.
pub(in super::super) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Nested(inner)
        | ExprKind::Not(inner)
        | ExprKind::Negative(inner)
        | ExprKind::AssignVariable(inner) => vec![inner],
        ExprKind::And(left, right) | ExprKind::Or(left, right) => vec![left, right],
        ExprKind::Compare { left, right, .. } => vec![left, right],
        ExprKind::In { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
        ExprKind::InSubquery { expr, .. } | ExprKind::Quantified { expr, .. } => vec![expr],
        ExprKind::Between { expr, low, high, .. } => vec![expr, low, high],
        ExprKind::Like { expr, pattern, .. } => vec![expr, pattern],
        ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => vec![expr],
        ExprKind::Tuple(parts) | ExprKind::Other(parts) => parts.iter().collect(),
        ExprKind::Function(function) => function.args.iter().chain(&function.clauses).collect(),
        ExprKind::NextValues(Some(count)) => vec![count],
        ExprKind::Hole(_)
        | ExprKind::Ordinal(_)
        | ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Default
        | ExprKind::Column { .. }
        | ExprKind::Wildcard
        | ExprKind::Subquery(_)
        | ExprKind::Exists { .. }
        | ExprKind::UserVariable(_)
        | ExprKind::SystemVariable(_)
        | ExprKind::NextValues(None)
        | ExprKind::Opaque => vec![],
    }
}

/// Whether an aggregate function of this very query is in the expression.
pub(in super::super) fn is_aggregate(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Function(function) => {
            !function.over && function.qualifier.is_none() && is_aggregate_name(&function.name.text)
        }
        _ => false,
    };
    own || children(expr).into_iter().any(is_aggregate)
}

/// Whether a literal or placeholder is in the expression.
pub(in super::super) fn has_hole(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Hole(_)) || children(expr).into_iter().any(has_hole)
}

/// Whether there is a query inside the expression.
pub(in super::super) fn contains_subquery(expr: &Expr) -> bool {
    let own = matches!(
        expr.kind,
        ExprKind::Subquery(_)
            | ExprKind::Exists { .. }
            | ExprKind::InSubquery { .. }
            | ExprKind::Quantified { .. }
    );
    own || children(expr).into_iter().any(contains_subquery)
}

fn is_aggregate_name(name: &str) -> bool {
    const NAMES: [&str; 21] = [
        "any_value",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "count",
        "group_concat",
        "json_arrayagg",
        "json_objectagg",
        "max",
        "median",
        "min",
        "percentile_cont",
        "percentile_disc",
        "std",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var_pop",
        "var_samp",
    ];
    let lower = name.to_ascii_lowercase();
    NAMES.binary_search(&lower.as_str()).is_ok() || lower == "variance" || lower == "st_collect"
}
