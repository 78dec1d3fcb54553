//! GROUP BY and aggregate functions over several shards.

use crate::engine::plan::{Aggregate, AggregateFunction, ColumnRef, CompareKey};
use crate::error::SqlError;
use crate::sql::ast::{Expr, ExprKind, Function};

use super::analysis::{contains_subquery, is_aggregate, item_expr};
use super::hidden::Of;
use super::kinds::Sorting;
use super::merge::{MergeBuilder, Term};
use super::unsupported::Refusal;

/// The keys and aggregates of a grouping.
pub(super) struct Grouping<'a> {
    /// GROUP BY terms and how they compare.
    pub(super) keys: Vec<(Term<'a>, CompareKey)>,
    /// What is combined.
    pub(super) aggregates: Vec<Aggregate>,
}

impl<'a> Grouping<'a> {
    /// Refuses what cannot be combined from the shards' parts.
    pub(super) fn of(builder: &mut MergeBuilder<'a, '_>) -> Result<Self, SqlError> {
        if builder.select.having.is_some() {
            return Refusal::Having.refuse();
        }
        let select = builder.select;
        let mut keys = Vec::new();
        for expr in &select.group_by {
            let term = builder.group_term(expr)?;
            if is_aggregate(term.expr) || contains_subquery(term.expr) {
                return Refusal::GroupExpression.refuse();
            }
            let key = builder.compare_key(term.expr, term.item)?;
            keys.push((term, key));
        }
        let mut aggregates = Vec::new();
        for (index, item) in select.items.iter().enumerate() {
            let Some(expr) = item_expr(item) else { continue };
            if contains_subquery(expr) {
                return Refusal::AggregateSubquery.refuse();
            }
            if !is_aggregate(expr) || is_any_value(expr) {
                continue;
            }
            let Some(column) = builder.visible(index) else {
                return Refusal::AggregateExpression.refuse();
            };
            aggregates.push(aggregate(builder, expr, column)?);
        }
        let mut grouping = Self { keys, aggregates };
        grouping.hidden_aggregates(builder)?;
        Ok(grouping)
    }

    /// Aggregates that only ORDER BY names become hidden columns.
    fn hidden_aggregates(&mut self, builder: &mut MergeBuilder<'a, '_>) -> Result<(), SqlError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        for item in &builder.query.order_by {
            let Some(term) = builder.order_term(&item.expr)? else { continue };
            if term.item.is_none() && is_aggregate(term.expr) {
                let column = builder.hidden.add("", term.expr, "")?;
                let aggregate = aggregate(builder, term.expr, column)?;
                if !self.aggregates.contains(&aggregate) {
                    self.aggregates.push(aggregate);
                }
            }
        }
        Ok(())
    }
}

/// The key of an ORDER BY term over combined groups: a key, an aggregate, or an item.
pub(super) fn combined<'a>(
    builder: &mut MergeBuilder<'a, '_>,
    grouping: &Grouping<'a>,
    term: &Term<'a>,
) -> Result<CompareKey, SqlError> {
    if let Some((_, key)) = grouping.keys.iter().find(|(key, _)| builder.same_term(key, term)) {
        return Ok(*key);
    }
    if !is_aggregate(term.expr) {
        // Its value is that of any row of the group.
        return builder.compare_key(term.expr, term.item);
    }
    let column = match term.item.and_then(|item| builder.visible(item)) {
        Some(column) => column,
        None => builder.hidden.add("", term.expr, "")?,
    };
    let combined = grouping.aggregates.iter().find(|aggregate| aggregate.column == column);
    let weight = match combined.map(|aggregate| aggregate.function) {
        Some(AggregateFunction::Min { weight } | AggregateFunction::Max { weight }) => weight,
        Some(_) => None,
        None => return Refusal::OrderExpression.refuse(),
    };
    Ok(CompareKey { column, weight })
}

fn is_any_value(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Function(function)
        if function.name.text.eq_ignore_ascii_case("any_value"))
}

/// How the shards' results of one aggregate are combined into `column`.
fn aggregate(
    builder: &mut MergeBuilder<'_, '_>,
    expr: &Expr,
    column: ColumnRef,
) -> Result<Aggregate, SqlError> {
    let ExprKind::Function(function) = &expr.kind else {
        return Refusal::AggregateExpression.refuse();
    };
    if function.over || function.order_by || function.separator || function.args.len() != 1 {
        return Refusal::AggregateFunction.refuse();
    }
    let argument = &function.args[0];
    if is_aggregate(argument) {
        return Refusal::AggregateExpression.refuse();
    }
    let name = function.name.text.to_ascii_lowercase();
    let extreme = matches!(name.as_str(), "min" | "max");
    if function.distinct && !extreme && !is_apart(builder, function) {
        return Refusal::AggregateFunction.refuse();
    }
    if extreme {
        builder.check_same(argument)?;
    }
    let weight = |builder: &mut MergeBuilder<'_, '_>| match builder.sorting_of(expr) {
        Sorting::Value => Ok(None),
        _ => builder.hidden.weight(expr, Of::Row).map(Some),
    };
    let function = match name.as_str() {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "min" => AggregateFunction::Min { weight: weight(builder)? },
        "max" => AggregateFunction::Max { weight: weight(builder)? },
        "avg" => {
            let distinct = if function.distinct { "DISTINCT " } else { "" };
            AggregateFunction::Avg {
                sum: builder.hidden.add(&format!("SUM({distinct}"), argument, ")")?,
                count: builder.hidden.add(&format!("COUNT({distinct}"), argument, ")")?,
            }
        }
        _ => return Refusal::AggregateFunction.refuse(),
    };
    Ok(Aggregate { function, column })
}

/// Whether no value of a DISTINCT argument is on two shards: it is a sharding column.
fn is_apart(builder: &MergeBuilder<'_, '_>, function: &Function) -> bool {
    let column = builder.analysis.column_of(&function.args[0], builder.block);
    column.is_some_and(|column| builder.analysis.is_unique_vindex_column(&column))
}
