//! Combines the shards' partial aggregates: counts and sums are added, minima and maxima compared,
//! averages divided from hidden sums and counts.
//!
//! Rows of a group arrive next to each other (the shards sort by the group's keys and the streams
//! are merged), so only one group is in memory.

use std::cmp::Ordering;

use super::column::{Class, Encoding};
use super::compare::{Datum, Key, compare, decode};
use super::decimal::Decimal;
use super::number_text::write_float;
use super::plan::{Aggregate, AggregateFunction, CompareKey, Weight};
use super::row::{Cells, Layout, RowFormat};
use crate::error::{SqlError, catalog};

/// GROUP BY and aggregate functions over merged rows.
#[derive(Debug)]
pub(super) struct Aggregator {
    keys: Vec<Key>,
    aggregates: Vec<Accumulator>,
    group: Option<Group>,
    seen: bool,
}

/// The first row of the group in work, and the cells that its other rows gave.
#[derive(Debug)]
struct Group {
    row: Vec<u8>,
    cells: Cells,
    /// Values that replace those of the first row.
    replaced: Vec<Option<Vec<u8>>>,
}

/// One aggregate function and what it has so far.
#[derive(Debug)]
struct Accumulator {
    column: usize,
    kind: Kind,
    state: State,
}

#[derive(Debug)]
enum Kind {
    Sum,
    Count,
    Extreme { key: Key, wanted: Ordering, weight: Option<(usize, usize)> },
    Average { sum: usize, count: usize },
}

#[derive(Debug, Default)]
struct State {
    sum: Option<Number>,
    count: i128,
    best: Option<(Vec<u8>, Cells)>,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Exact(Decimal),
    Approximate(f64),
}

impl Number {
    fn from_cell(layout: &Layout, column: usize, cell: &[u8]) -> Option<Self> {
        let definition = layout.columns[column];
        match decode(cell, definition.class(), definition.is_unsigned(), layout.format)? {
            Datum::Integer(value) => Decimal::parse(value.to_string().as_bytes()).map(Self::Exact),
            Datum::Decimal(value) => Some(Self::Exact(value)),
            Datum::Float(value) => Some(Self::Approximate(value)),
            _ => None,
        }
    }

    fn add(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => Self::Exact(a.add(b)?),
            (Self::Approximate(a), Self::Approximate(b)) => Self::Approximate(a + b),
            _ => return None,
        })
    }

    fn cell(self, layout: &Layout, column: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match (self, layout.columns[column].class(), layout.format) {
            (Self::Exact(value), Class::Decimal, _) => value.write(&mut out),
            (Self::Exact(value), Class::Integer, RowFormat::Text) => value.write(&mut out),
            (Self::Exact(value), Class::Integer, RowFormat::Binary) => {
                value.write(&mut out);
                let number: i128 = std::str::from_utf8(&out).ok()?.parse().ok()?;
                return integer_cell(number, layout, column);
            }
            (Self::Approximate(value), Class::Float, RowFormat::Text) => {
                write_float(value, layout.columns[column].decimals(), &mut out);
            }
            (Self::Approximate(value), Class::Float, RowFormat::Binary) => {
                match layout.columns[column].encoding() {
                    Encoding::Fixed(4) => out.extend_from_slice(&(value as f32).to_le_bytes()),
                    _ => out.extend_from_slice(&value.to_le_bytes()),
                }
            }
            _ => return None,
        }
        Some(out)
    }
}

fn integer_cell(number: i128, layout: &Layout, column: usize) -> Option<Vec<u8>> {
    match (layout.format, layout.columns[column].encoding()) {
        (RowFormat::Binary, Encoding::Fixed(width)) => {
            Some(number.to_le_bytes().get(..width)?.to_vec())
        }
        _ => Some(number.to_string().into_bytes()),
    }
}

impl Aggregator {
    pub(super) fn new(
        keys: &[CompareKey],
        aggregates: &[Aggregate],
        layout: &Layout,
    ) -> Result<Self, SqlError> {
        let keys: Result<_, _> = keys.iter().map(|key| Key::exact(key, layout)).collect();
        let aggregates: Result<_, _> =
            aggregates.iter().map(|aggregate| Accumulator::new(aggregate, layout)).collect();
        Ok(Self { keys: keys?, aggregates: aggregates?, group: None, seen: false })
    }

    /// Takes a row; when it begins a new group, the finished one is written to `out` and `true`
    /// is returned.
    pub(super) fn push(
        &mut self,
        layout: &Layout,
        row: &[u8],
        cells: &Cells,
        out: &mut Vec<u8>,
    ) -> Result<Completed, SqlError> {
        let mut completed = Completed::No;
        if let Some(group) = &self.group
            && !self.same_group(group, layout, row, cells)?
        {
            self.write_group(layout, out)?;
            completed = Completed::Group;
        }
        for key in &self.keys {
            key.check_length(layout, row, cells)?;
        }
        self.seen = true;
        match &mut self.group {
            None => {
                let replaced = vec![None; layout.columns.len()];
                self.group = Some(Group { row: row.to_vec(), cells: cells.clone(), replaced });
            }
            Some(group) => group.fill_nulls(row, cells),
        }
        for accumulator in &mut self.aggregates {
            accumulator.add(layout, row, cells)?;
        }
        Ok(completed)
    }

    /// Writes the last group; without GROUP BY also the row for no rows at all.
    pub(super) fn finish(
        &mut self,
        layout: &Layout,
        out: &mut Vec<u8>,
    ) -> Result<Completed, SqlError> {
        if self.group.is_none() {
            if self.seen || !self.keys.is_empty() {
                return Ok(Completed::No);
            }
            let columns = layout.columns.len();
            let (cells, replaced) = (vec![None; columns], vec![None; columns]);
            self.group = Some(Group { row: Vec::new(), cells, replaced });
        }
        self.write_group(layout, out)?;
        Ok(Completed::Group)
    }

    fn same_group(
        &self,
        group: &Group,
        layout: &Layout,
        row: &[u8],
        cells: &Cells,
    ) -> Result<bool, SqlError> {
        for key in &self.keys {
            let first = key.datum(layout, &group.row, &group.cells)?;
            if compare(&first, &key.datum(layout, row, cells)?) != Ordering::Equal {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_group(&mut self, layout: &Layout, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let Some(mut group) = self.group.take() else { return Ok(()) };
        for accumulator in &mut self.aggregates {
            // Its value is the accumulator's alone, never the first row's.
            group.cells[accumulator.column] = None;
            accumulator.finish(layout, &mut group)?;
            accumulator.state = State::default();
        }
        let cells: Vec<Option<&[u8]>> = group
            .replaced
            .iter()
            .zip(&group.cells)
            .map(|(replaced, cell)| {
                replaced.as_deref().or_else(|| cell.clone().map(|range| &group.row[range]))
            })
            .collect();
        layout.write(&cells, out);
        Ok(())
    }
}

/// Whether a finished group was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completed {
    No,
    Group,
}

impl Group {
    /// A column that is no aggregate has the value of any row of the group; a shard without rows
    /// gives NULL, which must not win over another shard's value.
    fn fill_nulls(&mut self, row: &[u8], cells: &Cells) {
        for (index, cell) in cells.iter().enumerate() {
            if self.cells[index].is_none() && self.replaced[index].is_none() {
                self.replaced[index] = cell.clone().map(|range| row[range].to_vec());
            }
        }
    }
}

impl Accumulator {
    fn new(aggregate: &Aggregate, layout: &Layout) -> Result<Self, SqlError> {
        let (width, hidden) = (layout.columns.len(), layout.hidden);
        let extreme = |wanted, weight: Option<Weight>| {
            let key = Key::new(&CompareKey { column: aggregate.column, weight }, layout)?;
            let weight =
                weight.map(|w| (w.string.index(width, hidden), w.pad.index(width, hidden)));
            Ok::<_, SqlError>(Kind::Extreme { key, wanted, weight })
        };
        let kind = match aggregate.function {
            AggregateFunction::Count => Kind::Count,
            AggregateFunction::Sum => Kind::Sum,
            AggregateFunction::Min { weight } => extreme(Ordering::Less, weight)?,
            AggregateFunction::Max { weight } => extreme(Ordering::Greater, weight)?,
            AggregateFunction::Avg { sum, count } => {
                Kind::Average { sum: sum.index(width, hidden), count: count.index(width, hidden) }
            }
        };
        let column = aggregate.column.index(width, hidden);
        Ok(Self { column, kind, state: State::default() })
    }

    fn add(&mut self, layout: &Layout, row: &[u8], cells: &Cells) -> Result<(), SqlError> {
        let cell = |index: usize| cells[index].clone().map(|range| &row[range]);
        match &self.kind {
            Kind::Count => self.state.count += count(layout, self.column, cell(self.column))?,
            Kind::Sum => self.state.add_number(layout, self.column, cell(self.column))?,
            Kind::Average { sum, count: counted } => {
                self.state.add_number(layout, *sum, cell(*sum))?;
                self.state.count += count(layout, *counted, cell(*counted))?;
            }
            Kind::Extreme { key, wanted, .. } => {
                let value = key.datum(layout, row, cells)?;
                if value == Datum::Null {
                    return Ok(());
                }
                let better = match &self.state.best {
                    None => true,
                    Some((row, cells)) => {
                        compare(&value, &key.datum(layout, row, cells)?) == *wanted
                    }
                };
                if better {
                    self.state.best = Some((row.to_vec(), cells.clone()));
                }
            }
        }
        Ok(())
    }

    fn finish(&self, layout: &Layout, group: &mut Group) -> Result<(), SqlError> {
        let result = match &self.kind {
            Kind::Count => integer_cell(self.state.count, layout, self.column),
            Kind::Sum => match self.state.sum {
                None => None,
                Some(sum) => Some(sum.cell(layout, self.column).ok_or_else(unreadable)?),
            },
            Kind::Average { .. } => match (self.state.sum, self.state.count) {
                (None, _) | (_, 0) => None,
                (Some(sum), count) => {
                    Some(average(sum, count, layout, self.column).ok_or_else(unreadable)?)
                }
            },
            Kind::Extreme { weight, .. } => {
                let Some((row, cells)) = &self.state.best else {
                    group.replaced[self.column] = None;
                    return Ok(());
                };
                let copy = |index: usize| cells[index].clone().map(|range| row[range].to_vec());
                if let Some((string, pad)) = *weight {
                    group.replaced[string] = copy(string);
                    group.replaced[pad] = copy(pad);
                }
                copy(self.column)
            }
        };
        group.replaced[self.column] = result;
        Ok(())
    }
}

impl State {
    fn add_number(
        &mut self,
        layout: &Layout,
        column: usize,
        cell: Option<&[u8]>,
    ) -> Result<(), SqlError> {
        let Some(cell) = cell else { return Ok(()) };
        let number = Number::from_cell(layout, column, cell).ok_or_else(unreadable)?;
        self.sum = Some(match self.sum {
            None => number,
            Some(sum) => sum.add(number).ok_or_else(unreadable)?,
        });
        Ok(())
    }
}

fn average(sum: Number, count: i128, layout: &Layout, column: usize) -> Option<Vec<u8>> {
    let result = match sum {
        Number::Exact(sum) => {
            let scale = u32::from(layout.columns[column].decimals());
            Number::Exact(sum.divide(u64::try_from(count).ok()?, scale)?)
        }
        Number::Approximate(sum) => Number::Approximate(sum / count as f64),
    };
    result.cell(layout, column)
}

fn count(layout: &Layout, column: usize, cell: Option<&[u8]>) -> Result<i128, SqlError> {
    let Some(cell) = cell else { return Ok(0) };
    let definition = layout.columns[column];
    match decode(cell, definition.class(), definition.is_unsigned(), layout.format) {
        Some(Datum::Integer(number)) => Ok(number),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> SqlError {
    catalog::INTERNAL.with(&[&"a partial aggregate from a server cannot be read"])
}
