//! The cheapest vindex that a table's conditions allow.
//!
//! Order as in Vitess: cost of the vindex, then uniqueness, then opcode. Lookup vindexes are not
//! read yet; their conditions narrow nothing.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::engine::literal::Purpose;
use crate::engine::routing::{Opcode, Operands, RoutingValue, VindexColumn, VindexFinder};
use crate::sql::ast::Span;
use crate::vschema::vindex::Vindex;
use crate::vschema::{ColumnVindex, name_key};

use super::analysis::{Analysis, ColumnOf, Constraint, TableId, Test};
use super::kinds::vindex_column;

/// A way to find a table's rows.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) opcode: Opcode,
    pub(super) cost: u32,
    pub(super) unique: bool,
    pub(super) finder: VindexFinder,
    /// The items of the IN list, if it is cut per shard.
    pub(super) items: Option<Vec<Span>>,
}

/// What was found for a table.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub(super) best: Option<Choice>,
    /// A condition on a vindex column was passed over because the column's type is not known.
    pub(super) unknown_type: bool,
}

impl Choices {
    fn offer(&mut self, choice: Choice) {
        let better = match &self.best {
            None => true,
            Some(best) => rank(&choice).cmp(&rank(best)) == Ordering::Less,
        };
        if better {
            self.best = Some(choice);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.unknown_type |= other.unknown_type;
        if let Some(choice) = other.best {
            self.offer(choice);
        }
    }
}

fn rank(choice: &Choice) -> (u32, bool, u8) {
    let opcode = match choice.opcode {
        Opcode::EqualUnique => 0,
        Opcode::Equal => 1,
        Opcode::In => 2,
        Opcode::Between => 3,
        Opcode::MultiEqual => 4,
        _ => 5,
    };
    (choice.cost, !choice.unique, opcode)
}

/// The best way to find the rows of a table by the constraints that `counts` lets through.
pub(super) fn choose(
    analysis: &Analysis<'_>,
    table: TableId,
    counts: impl Fn(&Constraint) -> bool,
) -> Choices {
    let mut choices = Choices::default();
    let Some(definition) = analysis.table(table) else { return choices };
    let instance = &analysis.instances[table];
    let tests: Vec<&Test> =
        analysis.constraints.iter().filter(|c| counts(c)).map(|c| &c.test).collect();
    for vindex in definition.vindexes_by_cost() {
        let name = &vindex.vindex.name;
        let hinted = |names: &[String]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
        if vindex.vindex.vindex.needs_lookup()
            || (!instance.use_vindex.is_empty() && !hinted(&instance.use_vindex))
            || hinted(&instance.ignore_vindex)
        {
            continue;
        }
        let chooser = Chooser { analysis, table, vindex };
        match chooser.columns() {
            Some(columns) => chooser.offer_all(&tests, &columns, &mut choices),
            None => choices.unknown_type |= tests.iter().any(|test| chooser.concerns(test)),
        }
    }
    choices
}

struct Chooser<'a, 'b> {
    analysis: &'a Analysis<'b>,
    table: TableId,
    vindex: &'a ColumnVindex,
}

type Columns = SmallVec<[VindexColumn; 2]>;

impl Chooser<'_, '_> {
    /// The vindex's columns; `None` if the type of one is not known and must be.
    fn columns(&self) -> Option<Columns> {
        let strictness = self.analysis.input.strictness;
        let vindex = &self.vindex.vindex.vindex;
        let columns = self.vindex.columns.iter().enumerate();
        columns
            .map(|(position, name)| {
                let column = ColumnOf { table: self.table, name: name_key(name) };
                vindex_column(self.analysis.definition(&column), vindex, position, strictness)
            })
            .collect()
    }

    fn position(&self, column: &ColumnOf) -> Option<usize> {
        if column.table != self.table {
            return None;
        }
        self.vindex.position(&column.name)
    }

    fn concerns(&self, test: &Test) -> bool {
        match test {
            Test::Equal(column, _) | Test::In(column, ..) | Test::Between(column, ..) => {
                self.position(column).is_some()
            }
            Test::Tuples(columns, _) => {
                columns.iter().flatten().any(|column| self.position(column).is_some())
            }
            Test::Prefix(..) | Test::IsNull(_) => false,
        }
    }

    fn offer_all(&self, tests: &[&Test], columns: &Columns, choices: &mut Choices) {
        for test in tests {
            if let Some(choice) = self.by_one_test(test, columns) {
                choices.offer(choice);
            }
        }
        if (columns.len() > 1 || self.vindex.partial)
            && let Some(choice) = self.by_all_columns(tests, columns)
        {
            choices.offer(choice);
        }
    }

    fn choice(&self, opcode: Opcode, columns: &Columns, operands: Operands) -> Choice {
        let unique = self.vindex.is_unique();
        let finder = VindexFinder {
            vindex: self.vindex.vindex.clone(),
            columns: columns.clone(),
            purpose: Purpose::Compare,
            operands,
        };
        Choice { opcode, cost: self.vindex.cost, unique, finder, items: None }
    }

    /// A vindex on one column, or tuples that hold all of its columns.
    fn by_one_test(&self, test: &Test, columns: &Columns) -> Option<Choice> {
        let only = |column: &ColumnOf| {
            (columns.len() == 1 && !self.vindex.partial).then(|| self.position(column)).flatten()
        };
        match test {
            Test::Equal(column, value) => {
                only(column)?;
                let row = SmallVec::from_iter([value.clone()]);
                Some(self.choice(Opcode::EqualUnique, columns, Operands::Equal(row)))
            }
            Test::In(column, values, spans) => {
                only(column)?;
                let list = Operands::List(values.clone());
                let mut choice = self.choice(Opcode::In, columns, list);
                choice.items = spans.as_ref().map(|spans| spans.items.clone());
                Some(choice)
            }
            Test::Between(column, low, high) => {
                only(column)?;
                let operands = Operands::Between(low.clone(), high.clone());
                let fits = self.vindex.vindex.vindex.maps_between();
                fits.then(|| self.choice(Opcode::Between, columns, operands))
            }
            Test::Prefix(column, pattern) => {
                only(column)?;
                let fits = matches!(self.vindex.vindex.vindex, Vindex::Cfc(_));
                let operands = Operands::Prefix(pattern.clone());
                fits.then(|| self.choice(Opcode::Equal, columns, operands))
            }
            Test::Tuples(names, rows) => self.by_tuples(names, rows, columns),
            Test::IsNull(_) => None,
        }
    }

    fn by_tuples(
        &self,
        names: &[Option<ColumnOf>],
        rows: &[Vec<Option<RoutingValue>>],
        columns: &Columns,
    ) -> Option<Choice> {
        if self.vindex.partial {
            return None;
        }
        let place = |wanted: usize| {
            names
                .iter()
                .position(|name| name.as_ref().and_then(|name| self.position(name)) == Some(wanted))
        };
        let places: Option<Vec<usize>> = (0..columns.len()).map(place).collect();
        let places = places?;
        let rows: Option<Vec<SmallVec<[RoutingValue; 2]>>> = rows
            .iter()
            .map(|row| places.iter().map(|place| row.get(*place).cloned().flatten()).collect())
            .collect();
        Some(self.choice(Opcode::MultiEqual, columns, Operands::Rows(rows?)))
    }

    /// Every column of a multi-column vindex, or of its prefix, has values.
    fn by_all_columns(&self, tests: &[&Test], columns: &Columns) -> Option<Choice> {
        let values: Option<Vec<Vec<RoutingValue>>> =
            (0..columns.len()).map(|position| self.values_at(tests, position)).collect();
        let values = values?;
        if values.iter().all(|values| values.len() == 1) {
            let row = values.into_iter().flatten().collect();
            let opcode = if self.vindex.partial { Opcode::SubShard } else { Opcode::EqualUnique };
            return Some(self.choice(opcode, columns, Operands::Equal(row)));
        }
        let opcode = if self.vindex.partial { Opcode::SubShard } else { Opcode::In };
        Some(self.choice(opcode, columns, Operands::Product(values)))
    }

    /// The fewest values that a test gives for a column.
    fn values_at(&self, tests: &[&Test], position: usize) -> Option<Vec<RoutingValue>> {
        let mut best: Option<Vec<RoutingValue>> = None;
        for test in tests {
            let (column, values) = match test {
                Test::Equal(column, value) => (column, vec![value.clone()]),
                Test::In(column, values, _) => (column, values.clone()),
                _ => continue,
            };
            let shorter = best.as_ref().is_none_or(|best| values.len() < best.len());
            if self.position(column) == Some(position) && shorter {
                best = Some(values);
            }
        }
        best
    }
}
