//! Runs the stages of a merge over rows, one row at a time.
//!
//! The executor reads rows from shards in the order that [`SourceOrder`](super::plan::SourceOrder)
//! says and pushes each; finished rows come out as packet payloads without hidden columns.

use crate::engine::aggregate::{Aggregator, Completed};
use crate::engine::budget::Budget;
use crate::engine::distinct::Distinct;
use crate::engine::limit::{Limit, Verdict, limit_value};
use crate::engine::plan::{Bindings, Merge, Stage};
use crate::engine::row::{Cells, Layout};
use crate::engine::sort::Sort;
use crate::engine::truncate::truncate;
use crate::error::SqlError;

/// Whether more rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// No further row can change the answer: stop reading and discard what is left.
    Done,
}

/// The running stages of one execution.
#[derive(Debug)]
pub struct Pipeline {
    layout: Layout,
    stages: Vec<Running>,
}

#[derive(Debug)]
enum Running {
    Aggregate(Box<Aggregator>),
    Distinct(Box<Distinct>),
    Sort(Box<Sort>),
    Limit(Limit),
}

/// Takes finished rows: payloads of row packets as the client may see them.
pub type RowSink<'a> = dyn FnMut(&[u8]) + 'a;

impl Pipeline {
    /// Prepares the stages for rows of this layout. Refuses columns that cannot be compared
    /// outside a server.
    pub fn new<B: Bindings>(
        merge: &Merge,
        layout: Layout,
        bindings: &B,
        budget: &Budget,
    ) -> Result<Self, SqlError> {
        Self::with_stages(&merge.stages, layout, bindings, budget)
    }

    pub(super) fn with_stages<B: Bindings>(
        stages: &[Stage],
        layout: Layout,
        bindings: &B,
        budget: &Budget,
    ) -> Result<Self, SqlError> {
        let start = |stage: &Stage| -> Result<Running, SqlError> {
            Ok(match stage {
                Stage::Aggregate { keys, aggregates } => {
                    Running::Aggregate(Box::new(Aggregator::new(keys, aggregates, &layout)?))
                }
                Stage::Distinct(keys) => {
                    Running::Distinct(Box::new(Distinct::new(keys, &layout, budget.another())?))
                }
                Stage::Sort(keys) => {
                    Running::Sort(Box::new(Sort::new(keys, &layout, budget.another())?))
                }
                Stage::Limit { count, offset } => {
                    let value = |limit| limit_value(limit, bindings);
                    Running::Limit(Limit::new(
                        count.map(value).transpose()?,
                        offset.map(value).transpose()?,
                    ))
                }
            })
        };
        let stages: Result<_, _> = stages.iter().map(start).collect();
        Ok(Self { stages: stages?, layout })
    }

    /// The rows' layout, hidden columns included.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes the next row.
    pub fn push(&mut self, row: &[u8], out: &mut RowSink<'_>) -> Result<Flow, SqlError> {
        push(&mut self.stages, &self.layout, row, out)
    }

    /// Called once after the last row: gives what the stages still hold.
    pub fn finish(&mut self, out: &mut RowSink<'_>) -> Result<(), SqlError> {
        for index in 0..self.stages.len() {
            let (stage, rest) = self.stages[index..].split_first_mut().expect("index is in range");
            match stage {
                Running::Aggregate(aggregator) => {
                    let mut row = Vec::new();
                    if aggregator.finish(&self.layout, &mut row)? == Completed::Group {
                        push(rest, &self.layout, &row, out)?;
                    }
                }
                Running::Sort(sort) => {
                    for row in sort.finish(&self.layout) {
                        if push(rest, &self.layout, &row, out)? == Flow::Done {
                            break;
                        }
                    }
                }
                Running::Distinct(_) | Running::Limit(_) => {}
            }
        }
        Ok(())
    }
}

fn push(
    stages: &mut [Running],
    layout: &Layout,
    row: &[u8],
    out: &mut RowSink<'_>,
) -> Result<Flow, SqlError> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        emit(layout, row, out)?;
        return Ok(Flow::Continue);
    };
    match stage {
        Running::Limit(limit) => match limit.next() {
            Verdict::Skip => Ok(Flow::Continue),
            Verdict::Pass => push(rest, layout, row, out),
            Verdict::PassLast => push(rest, layout, row, out).map(|_| Flow::Done),
            Verdict::Stop => Ok(Flow::Done),
        },
        Running::Distinct(distinct) => {
            let cells = split(layout, row)?;
            if distinct.is_new(layout, row, &cells)? {
                return push(rest, layout, row, out);
            }
            Ok(Flow::Continue)
        }
        Running::Sort(sort) => {
            let cells = split(layout, row)?;
            sort.push(layout, row, &cells)?;
            Ok(Flow::Continue)
        }
        Running::Aggregate(aggregator) => {
            let cells = split(layout, row)?;
            let mut group = Vec::new();
            match aggregator.push(layout, row, &cells, &mut group)? {
                Completed::No => Ok(Flow::Continue),
                Completed::Group => push(rest, layout, &group, out),
            }
        }
    }
}

fn emit(layout: &Layout, row: &[u8], out: &mut RowSink<'_>) -> Result<(), SqlError> {
    if layout.hidden == 0 {
        out(row);
        return Ok(());
    }
    let cells = split(layout, row)?;
    let mut visible = Vec::with_capacity(row.len());
    truncate(layout, row, &cells, &mut visible);
    out(&visible);
    Ok(())
}

fn split(layout: &Layout, row: &[u8]) -> Result<Cells, SqlError> {
    let mut cells = Vec::with_capacity(layout.columns.len());
    layout.split(row, &mut cells)?;
    Ok(cells)
}

#[cfg(test)]
mod tests;
