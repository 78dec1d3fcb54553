//! UNION ALL over shards: if every side alone is the shards' rows put together, so is the union.

use crate::engine::plan::{LimitValue, Merge, Operation, Primitive, SourceOrder, Stage};
use crate::engine::routing::Opcode;
use crate::engine::template::{QueryTemplate, Replacement, Splice};
use crate::error::SqlError;
use crate::sql::ast::{ExprKind, Lock, Query, SetExpr, SetOperator};

use super::analysis::Analysis;
use super::placement::{Narrowing, Placement};
use super::route;
use super::select::WalkedQuery;
use super::unsupported::Refusal;

/// Plans a query whose sides are all over every shard of one keyspace. `analysis` is the walk of
/// the whole query.
pub(super) fn union_all(
    analysis: &Analysis<'_>,
    query: &Query,
) -> Result<(Primitive, Placement), SqlError> {
    let mut sides = Vec::new();
    if query.with.is_some() || query.into || !collect(&query.body, query, &mut sides) {
        return Refusal::UnionAcrossShards.refuse();
    }
    let mut common: Option<Placement> = None;
    for side in &sides {
        let mut own = Analysis::new(analysis.input);
        let walked = WalkedQuery::walk(&mut own, side)?;
        let (primitive, placement) = walked.plan(&mut own, Narrowing::Never)?;
        let plain = matches!(primitive, Primitive::Route(_))
            && placement.routing.opcode() == Opcode::Scatter
            && common.as_ref().is_none_or(|known| known.keyspace == placement.keyspace);
        if !plain {
            return Refusal::UnionAcrossShards.refuse();
        }
        common = Some(placement);
    }
    // An order would need the weights of both sides.
    let sorted = query.order_by.iter().any(|item| !matches!(item.expr.kind, ExprKind::Null));
    let Some(placement) = common.filter(|_| !sorted) else {
        return Refusal::UnionAcrossShards.refuse();
    };
    let mut splices = analysis.placed_splices()?;
    let stages = limit(analysis, query, &mut splices)?;
    let route = route(analysis, Operation::Route, &placement, QueryTemplate::new(splices));
    let primitive = if stages.is_empty() {
        Primitive::Route(Box::new(route))
    } else {
        let order = SourceOrder::Concatenate;
        Primitive::Merge(Box::new(Merge { route, order, hidden: 0, stages }))
    };
    Ok((primitive, placement))
}

/// The SELECTs of a tree of UNION ALL, each as a query of its own; false for anything else.
fn collect(body: &SetExpr, around: &Query, sides: &mut Vec<Query>) -> bool {
    match body {
        SetExpr::Select(select) => {
            sides.push(Query {
                with: None,
                body: SetExpr::Select(select.clone()),
                order_by: Vec::new(),
                limit: None,
                lock: Lock::None,
                into: false,
                order_by_position: around.order_by_position,
                limit_position: around.limit_position,
                span: select.span,
            });
            true
        }
        SetExpr::SetOperation(operation) => {
            operation.all
                && operation.operator == SetOperator::Union
                && collect(&operation.left, around, sides)
                && collect(&operation.right, around, sides)
        }
        SetExpr::Query(query) => {
            query.with.is_none()
                && query.order_by.is_empty()
                && query.limit.is_none()
                && collect(&query.body, query, sides)
        }
        SetExpr::Values(_) => false,
    }
}

fn limit(
    analysis: &Analysis<'_>,
    query: &Query,
    splices: &mut Vec<Splice>,
) -> Result<Vec<Stage>, SqlError> {
    let Some(limit) = &query.limit else { return Ok(Vec::new()) };
    let value = |expr: &crate::sql::ast::Expr| match expr.kind {
        ExprKind::Hole(hole) => Ok(LimitValue::Hole(hole)),
        _ => Refusal::UnknownParts.refuse(),
    };
    let count = value(&limit.count)?;
    let offset = limit.offset.as_ref().map(value).transpose()?;
    if let Some(offset) = offset {
        let span = analysis.input.place(limit.span).ok_or_else(|| Refusal::UnknownParts.error())?;
        splices.push(Splice { span, with: Replacement::LimitSum(count, offset) });
    }
    Ok(vec![Stage::Limit { count: Some(count), offset }])
}
