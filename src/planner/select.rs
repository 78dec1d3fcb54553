//! Plans for queries: one route, or shards' rows merged.

use crate::engine::plan::{Merge, Operation, Primitive, SourceOrder};
use crate::engine::template::QueryTemplate;
use crate::error::SqlError;
use crate::sql::ast::{Query, Select, SetExpr};

use super::analysis::{Analysis, BlockId};
use super::merge::MergeBuilder;
use super::placement::{Narrowing, Placement, place};
use super::route;
use super::union::union_all;
use super::unsupported::Refusal;

/// A query whose walk is done.
pub(super) struct WalkedQuery<'a> {
    pub(super) query: &'a Query,
    /// Its only SELECT, if it is one.
    pub(super) select: Option<(&'a Select, BlockId)>,
}

impl<'a> WalkedQuery<'a> {
    pub(super) fn walk(analysis: &mut Analysis<'a>, query: &'a Query) -> Result<Self, SqlError> {
        let facts = analysis.query(query, None, super::analysis::Strength::Result)?;
        let select = match (&query.body, facts.block) {
            (SetExpr::Select(select), Some(block)) => Some((select.as_ref(), block)),
            _ => None,
        };
        Ok(Self { query, select })
    }

    /// The plan, narrowed by vindexes or over every shard.
    pub(super) fn plan(
        &self,
        analysis: &mut Analysis<'a>,
        narrowing: Narrowing,
    ) -> Result<(Primitive, Placement), SqlError> {
        let placement = match place(analysis, narrowing) {
            Ok(placement) if self.select.is_some() || placement.routing.is_single_shard() => {
                placement
            }
            Err(error) if self.select.is_some() => return Err(error),
            // Not on one shard: perhaps each side of a UNION ALL on every shard.
            _ => return union_all(analysis, self.query),
        };
        let primitive = if placement.routing.is_single_shard() {
            let template = QueryTemplate::new(analysis.placed_splices()?);
            Primitive::Route(Box::new(route(analysis, Operation::Route, &placement, template)))
        } else {
            self.over_shards(analysis, &placement)?
        };
        Ok((primitive, placement))
    }

    fn over_shards(
        &self,
        analysis: &Analysis<'a>,
        placement: &Placement,
    ) -> Result<Primitive, SqlError> {
        let Some((select, block)) = self.select else {
            return Refusal::UnionAcrossShards.refuse();
        };
        let facts = &analysis.facts;
        let problem = [
            (self.query.into, Refusal::Into),
            (facts.assigns_variable, Refusal::AssignVariable),
            (facts.user_variable, Refusal::UserVariable),
            (facts.window, Refusal::Window),
            (select.rollup, Refusal::Rollup),
            (select.calc_found_rows && self.query.limit.is_some(), Refusal::CalcFoundRows),
        ];
        if let Some((_, refusal)) = problem.into_iter().find(|(found, _)| *found) {
            return refusal.refuse();
        }
        let mut builder = MergeBuilder::new(analysis, self.query, select, block);
        builder.build()?;
        let mut splices = analysis.placed_splices()?;
        splices.extend(super::list_splice(analysis, placement)?);
        let parts = builder.finish(&mut splices)?;
        let route = route(analysis, Operation::Route, placement, QueryTemplate::new(splices));
        if parts.hidden == 0 && parts.stages.is_empty() && parts.order == SourceOrder::Concatenate {
            return Ok(Primitive::Route(Box::new(route)));
        }
        Ok(Primitive::Merge(Box::new(Merge {
            route,
            order: parts.order,
            hidden: parts.hidden,
            stages: parts.stages,
        })))
    }
}
