//! A merge that is read in steps: the rows of a cursor over several shards.
//!
//! It says which shard's rows are needed next and is fed with them; it reads nothing itself. What
//! it holds between two steps is bounded by a [`Budget`].

use std::collections::VecDeque;

use super::budget::Budget;
use super::merge_sort::MergeSort;
use super::pipeline::{Flow, Pipeline};
use super::plan::SourceOrder;
use super::row::Layout;
use crate::error::SqlError;

/// A merge between two fetches.
#[derive(Debug)]
pub struct MergeCursor {
    sources: Vec<Source>,
    order: Order,
    pipeline: Option<Pipeline>,
    ready: VecDeque<Vec<u8>>,
    budget: Budget,
    finished: bool,
}

/// The rows of one shard that were read ahead.
#[derive(Debug)]
struct Source {
    rows: VecDeque<Vec<u8>>,
    more: More,
}

/// Whether a shard has rows beyond those it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// It may have.
    Perhaps,
    /// It has given all.
    No,
}

#[derive(Debug)]
enum Order {
    /// One shard after the other; the number of the present one.
    Concatenate(usize),
    Sorted(Box<MergeSort>),
}

/// What a merge can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the rows that were asked for.
    Ready,
    /// Nothing before this shard's next rows are fed.
    Needs(usize),
    /// Give what is ready; there is no more.
    End,
}

impl MergeCursor {
    /// A merge of so many shards. Without a pipeline the rows are given as they are.
    pub fn new(
        order: &SourceOrder,
        pipeline: Option<Pipeline>,
        layout: &Layout,
        budget: Budget,
        shards: usize,
    ) -> Result<Self, SqlError> {
        let order = match order {
            SourceOrder::MergeSort(keys) => {
                Order::Sorted(Box::new(MergeSort::new(keys, layout, shards)?))
            }
            SourceOrder::Concatenate => Order::Concatenate(0),
        };
        let source = |_| Source { rows: VecDeque::new(), more: More::Perhaps };
        let sources = (0..shards).map(source).collect();
        Ok(Self { sources, order, pipeline, ready: VecDeque::new(), budget, finished: false })
    }

    /// Takes a shard's next row. Refused when more is held than the budget allows.
    pub fn feed(&mut self, shard: usize, row: Vec<u8>) -> Result<(), SqlError> {
        self.budget.take(row.len())?;
        self.sources[shard].rows.push_back(row);
        Ok(())
    }

    /// Notes that a shard has given all.
    pub fn end(&mut self, shard: usize) {
        self.sources[shard].more = More::No;
    }

    /// Works until `count` rows are ready.
    pub fn advance(&mut self, count: usize) -> Result<Step, SqlError> {
        loop {
            if self.ready.len() >= count {
                return Ok(Step::Ready);
            }
            if self.finished {
                return Ok(Step::End);
            }
            match self.next_row()? {
                NextRow::Of(row) => {
                    let ready = &mut self.ready;
                    let flow = match &mut self.pipeline {
                        Some(pipeline) => {
                            pipeline.push(&row, &mut |row| ready.push_back(row.to_vec()))?
                        }
                        None => {
                            ready.push_back(row);
                            Flow::Continue
                        }
                    };
                    if flow == Flow::Done {
                        self.finish()?;
                    }
                }
                NextRow::Needs(shard) => return Ok(Step::Needs(shard)),
                NextRow::None => self.finish()?,
            }
        }
    }

    /// The next row that is ready.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// Rows that are ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    fn finish(&mut self) -> Result<(), SqlError> {
        self.finished = true;
        let ready = &mut self.ready;
        match &mut self.pipeline {
            Some(pipeline) => pipeline.finish(&mut |row| ready.push_back(row.to_vec())),
            None => Ok(()),
        }
    }

    fn next_row(&mut self) -> Result<NextRow, SqlError> {
        match &mut self.order {
            Order::Concatenate(at) => {
                while let Some(source) = self.sources.get_mut(*at) {
                    match (source.pop(&mut self.budget), source.more) {
                        (Some(row), _) => return Ok(NextRow::Of(row)),
                        (None, More::Perhaps) => return Ok(NextRow::Needs(*at)),
                        (None, More::No) => *at += 1,
                    }
                }
                Ok(NextRow::None)
            }
            Order::Sorted(heads) => {
                for (shard, source) in self.sources.iter_mut().enumerate() {
                    if heads.has_head(shard) {
                        continue;
                    }
                    match (source.pop(&mut self.budget), source.more) {
                        (Some(row), _) => heads.put(shard, &row)?,
                        (None, More::Perhaps) => return Ok(NextRow::Needs(shard)),
                        (None, More::No) => {}
                    }
                }
                Ok(match heads.smallest()? {
                    Some(shard) => NextRow::Of(heads.take(shard).to_vec()),
                    None => NextRow::None,
                })
            }
        }
    }
}

impl Source {
    fn pop(&mut self, budget: &mut Budget) -> Option<Vec<u8>> {
        let row = self.rows.pop_front()?;
        budget.put_back(row.len());
        Some(row)
    }
}

enum NextRow {
    Of(Vec<u8>),
    Needs(usize),
    None,
}

#[cfg(test)]
mod tests {
    use super::super::column::Column;
    use super::super::fake::Values;
    use super::super::plan::{ColumnRef, CompareKey, Direction, LimitValue, SortKey, Stage};
    use super::super::row::RowFormat;
    use super::*;

    fn row(number: i64) -> Vec<u8> {
        [&[0, 0][..], &number.to_le_bytes()].concat()
    }

    fn numbers(cursor: &mut MergeCursor) -> Vec<u8> {
        std::iter::from_fn(|| cursor.take()).map(|row| row[2]).collect()
    }

    #[test]
    fn it_says_whose_rows_it_needs() {
        let columns = vec![Column::new(8, 0, 63, 0)];
        let layout = Layout { format: RowFormat::Binary, columns, hidden: 0 };
        let budget = Budget::new(3, 100);
        let mut cursor =
            MergeCursor::new(&SourceOrder::Concatenate, None, &layout, budget, 2).unwrap();
        assert_eq!(cursor.advance(2), Ok(Step::Needs(0)));
        cursor.feed(0, row(1)).unwrap();
        assert_eq!(cursor.advance(2), Ok(Step::Needs(0)));
        cursor.end(0);
        assert_eq!(cursor.advance(2), Ok(Step::Needs(1)));
        for number in 2..5 {
            cursor.feed(1, row(number)).unwrap();
        }
        assert!(cursor.feed(1, row(5)).is_err(), "three rows may be held");
        assert_eq!(cursor.advance(2), Ok(Step::Ready));
        assert_eq!(numbers(&mut cursor), [1, 2]);
        cursor.end(1);
        assert_eq!(cursor.advance(9), Ok(Step::End));
        assert_eq!(numbers(&mut cursor), [3, 4]);
    }

    #[test]
    fn sorted_rows_stay_sorted_and_a_limit_ends_them() {
        let columns = vec![Column::new(8, 0, 63, 0)];
        let layout = Layout { format: RowFormat::Binary, columns, hidden: 0 };
        let key = CompareKey { column: ColumnRef::Visible(0), weight: None };
        let order = SourceOrder::MergeSort(vec![SortKey { key, direction: Direction::Ascending }]);
        let stages = [Stage::Limit { count: Some(LimitValue::Constant(3)), offset: None }];
        let budget = Budget::new(9, 1000);
        let pipeline =
            Pipeline::with_stages(&stages, layout.clone(), &Values::default(), &budget).unwrap();
        let mut cursor = MergeCursor::new(&order, Some(pipeline), &layout, budget, 2).unwrap();
        for number in [1, 4] {
            cursor.feed(0, row(number)).unwrap();
        }
        assert_eq!(cursor.advance(9), Ok(Step::Needs(1)));
        for number in [2, 3, 5] {
            cursor.feed(1, row(number)).unwrap();
        }
        assert_eq!(cursor.advance(9), Ok(Step::End));
        assert_eq!(numbers(&mut cursor), [1, 2, 3]);
    }
}
