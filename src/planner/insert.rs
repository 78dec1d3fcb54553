//! Plans for INSERT: rows to their shards, numbers from sequences.

use std::sync::Arc;

use crate::engine::literal::Purpose;
use crate::engine::plan::{
    Access, Copies, Generate, GivenValue, Operation, Plan, Primitive, Route, StatementKind,
    TableUse,
};
use crate::engine::routing::{
    Opcode, Operands, Routing, RoutingValue, Stored, ValueRow, VindexFinder,
};
use crate::engine::template::{Item, QueryTemplate, Replacement, Splice};
use crate::error::SqlError;
use crate::key::Destination;
use crate::sql::ast::{Assignment, Expr, ExprKind, Insert, InsertSource, Span};
use crate::sql::position::SkeletonSpan;
use crate::vschema::{ColumnVindex, Table, TableKind, same_name};

use super::analysis::{Analysis, Calling, Home, Strength, quoted, value_of};
use super::bypass::check_write;
use super::copies;
use super::input::PlanInput;
use super::placement::{Narrowing, place};
use super::routed;
use super::server_set;
use super::shard_target::{
    self, Misplaced, TargetTable, add_instance, belongs_anywhere, misplaced, placing,
    stored_columns,
};
use super::staying::stays_on_duplicate;
use super::unsupported::Refusal;

/// An INSERT while it is planned.
struct Planner<'a, 'b> {
    analysis: &'a mut Analysis<'b>,
    insert: &'b Insert,
    table: Arc<Table>,
    columns: Option<Vec<String>>,
    /// Splices of each row, and where the row stands.
    rows: Vec<(Span, Vec<(Span, Replacement)>)>,
}

pub(super) fn plan(insert: &Insert, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    check_write(Access::Write, input)?;
    let mut analysis = Analysis::new(*input);
    let Some(Home::Table(table)) = analysis.table_named(&insert.table, Calling::Alias)? else {
        return Refusal::VindexFunction.refuse();
    };
    routed::rename_qualifiers(&mut analysis, &insert.table.name, table.name())?;
    let destination = analysis.destination.clone();
    let block = analysis.new_block(None);
    add_instance(&mut analysis, block, table.clone());
    for assignment in &insert.on_duplicate {
        analysis.expr(&assignment.value, block)?;
    }
    let table = if destination.is_some() { table } else { copies::source_of(input, &table)? };
    if destination.is_none() {
        copies::check_name(input, table.qualified_name())?;
    }
    let copied = destination.is_none() && copies::has_copies(input, &table);
    let allowed = misplaced(input, Some(table.keyspace()));
    let columns = column_names(&analysis, insert);
    let mut planner = Planner { analysis: &mut analysis, insert, table, columns, rows: Vec::new() };
    let generate = planner.walk(block)?;
    let routing = match (destination, allowed) {
        (Some(Destination::KeyRange(_)), _) => return Refusal::InsertRange.refuse(),
        (Some(destination), Misplaced::Allowed) => Routing::destination(destination),
        (Some(destination), Misplaced::Refused) => {
            planner.within(destination, generate.as_ref())?
        }
        (None, _) => planner.routing(generate.as_ref())?,
    };
    let copies = if copied { planner.copies()? } else { Copies::default() };
    planner.finish(routing, generate, copies)
}

/// What an INSERT stores on the shard that the session is aimed at.
pub(super) struct AtTarget {
    pub(super) routing: Routing,
    pub(super) generate: Option<Generate>,
    pub(super) splices: Vec<Splice>,
}

/// An INSERT that goes as it is to the shard that the session is aimed at, but for the numbers
/// that it takes from a sequence.
pub(super) fn at_target(
    insert: &Insert,
    input: &PlanInput<'_>,
    destination: &Destination,
) -> Result<AtTarget, SqlError> {
    let table = match shard_target::table(input, &insert.table) {
        TargetTable::Known(table) => table,
        TargetTable::Unknown => return Refusal::TargetUnknownTable.refuse(),
        TargetTable::System => {
            let routing = Routing::destination(destination.clone());
            return Ok(AtTarget { routing, generate: None, splices: Vec::new() });
        }
    };
    let mut analysis = Analysis::new(*input);
    let block = analysis.new_block(None);
    add_instance(&mut analysis, block, table.clone());
    let columns = column_names(&analysis, insert);
    let mut planner = Planner { analysis: &mut analysis, insert, table, columns, rows: Vec::new() };
    let values = planner.given_rows();
    planner.rows = values.iter().map(|(span, _)| (*span, Vec::new())).collect();
    let generate = if values.is_empty() { None } else { planner.generate(&values)? };
    let routing = planner.within(destination.clone(), generate.as_ref())?;
    planner.write_columns(&routing, generate.as_ref());
    let rows = std::mem::take(&mut planner.rows);
    let mut splices = analysis.placed_splices()?;
    for (_, own) in rows {
        splices.extend(placed(input, own)?);
    }
    Ok(AtTarget { routing, generate, splices })
}

/// Splices in places of the skeleton, in text order.
fn placed(
    input: &PlanInput<'_>,
    splices: Vec<(Span, Replacement)>,
) -> Result<Vec<Splice>, SqlError> {
    let placed = splices.into_iter().map(|(span, with)| {
        let span = input.place(span).ok_or_else(|| Refusal::UnknownParts.error())?;
        Ok(Splice { span, with })
    });
    let mut splices = placed.collect::<Result<Vec<_>, SqlError>>()?;
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
    Ok(splices)
}

fn column_names(analysis: &Analysis<'_>, insert: &Insert) -> Option<Vec<String>> {
    match &insert.columns {
        Some(columns) => Some(columns.iter().map(|column| column.text.clone()).collect()),
        None => {
            let all = analysis.all_columns(0)?;
            let visible = all.iter().filter(|column| !column.invisible);
            Some(visible.map(|column| column.name.clone()).collect())
        }
    }
}

impl<'b> Planner<'_, 'b> {
    /// Walks the rows' expressions and prepares the generated column.
    fn walk(&mut self, block: usize) -> Result<Option<Generate>, SqlError> {
        let insert = self.insert;
        if let InsertSource::Query(query) = &insert.source {
            return self.walk_query(query);
        }
        let values = self.given_rows();
        for (span, values) in &values {
            let before = self.analysis.splices.len();
            for value in *values {
                self.analysis.expr(value, block)?;
            }
            let own = self.analysis.splices.split_off(before);
            self.rows.push((*span, own));
        }
        self.generate(&values)
    }

    /// The rows that the statement gives, and where they stand; none if a query makes them.
    fn given_rows(&self) -> Vec<(Span, &'b [Expr])> {
        let insert = self.insert;
        match &insert.source {
            InsertSource::Values(rows) => {
                rows.iter().map(|row| (row.span, row.values.as_slice())).collect()
            }
            InsertSource::Set(values) => vec![(insert.span, values.as_slice())],
            InsertSource::Query(_) => Vec::new(),
        }
    }

    fn walk_query(
        &mut self,
        query: &'b crate::sql::ast::Query,
    ) -> Result<Option<Generate>, SqlError> {
        self.analysis.query(query, None, Strength::Result)?;
        let same_home = !self.table.is_sharded()
            && self.table.auto_increment().is_none()
            && *place(self.analysis, Narrowing::Never)?.keyspace == *self.table.keyspace();
        if same_home { Ok(None) } else { Refusal::InsertSelect.refuse() }
    }

    /// Finds what each row gives for the auto-increment column, and adds the column if missing.
    fn generate(&mut self, values: &[(Span, &'b [Expr])]) -> Result<Option<Generate>, SqlError> {
        let table = self.table.clone();
        let Some(auto) = table.auto_increment() else { return Ok(None) };
        let Some(columns) = self.columns.clone() else { return Refusal::InsertColumns.refuse() };
        let listed = columns.iter().position(|column| same_name(column, &auto.column));
        let mut rows = Vec::with_capacity(values.len());
        match listed {
            Some(place) => {
                for (number, (_, row)) in values.iter().enumerate() {
                    let Some(value) = row.get(place) else { return Refusal::InsertValue.refuse() };
                    let given = match &value.kind {
                        ExprKind::Hole(hole) => GivenValue::Hole(*hole),
                        ExprKind::Null | ExprKind::Default => GivenValue::Absent,
                        _ => GivenValue::Kept,
                    };
                    rows.push(given);
                    if given != GivenValue::Kept {
                        let row = number as u32;
                        let with = Replacement::Generated { row, prefix: "".into() };
                        self.rows[number].1.push((value.span, with));
                    }
                }
            }
            None => {
                rows = vec![GivenValue::Absent; values.len()];
                self.add_column(&auto.column, values, columns.is_empty())?;
                if let Some(columns) = &mut self.columns {
                    columns.push(auto.column.clone());
                }
            }
        }
        Ok(Some(Generate {
            keyspace: auto.sequence.keyspace.as_str().into(),
            sequence: auto.sequence.name.as_str().into(),
            rows,
            returning: self.insert.returning,
        }))
    }

    fn add_column(
        &mut self,
        column: &str,
        values: &[(Span, &'b [Expr])],
        empty: bool,
    ) -> Result<(), SqlError> {
        let separator = if empty { "" } else { ", " };
        if let InsertSource::Set(set) = &self.insert.source {
            let Some(last) = set.last() else { return Refusal::InsertColumns.refuse() };
            let prefix = format!(", {} = ", quoted(column));
            let with = Replacement::Generated { row: 0, prefix: prefix.into() };
            let at = Span { start: last.span.end, end: last.span.end };
            self.rows[0].1.push((at, with));
            return Ok(());
        }
        if self.insert.columns.is_none() {
            // The list is complete without the column, so it cannot be the table's list.
            return Refusal::InsertColumns.refuse();
        }
        let at = Span { start: self.insert.columns_end, end: self.insert.columns_end };
        let name = format!("{separator}{}", quoted(column));
        self.analysis.splices.push((at, Replacement::Text(name.into())));
        for (number, (span, _)) in values.iter().enumerate() {
            let at = Span { start: span.end - 1, end: span.end - 1 };
            let with = Replacement::Generated { row: number as u32, prefix: separator.into() };
            self.rows[number].1.push((at, with));
        }
        Ok(())
    }

    fn routing(&self, generate: Option<&Generate>) -> Result<Routing, SqlError> {
        if !self.table.is_sharded() {
            return Ok(Routing::unsharded());
        }
        if let Some(pinned) = self.table.pinned() {
            return Ok(Routing::destination(Destination::KeyspaceId(pinned.clone())));
        }
        if matches!(self.table.kind(), TableKind::Reference { .. }) {
            return Ok(Routing::scatter());
        }
        self.check_sharded()?;
        let Some(primary) = self.table.primary_vindex() else {
            return Refusal::InsertNoVindexColumn.refuse();
        };
        let finder = self.store_finder(primary, generate)?;
        Ok(Routing::vindex(Opcode::EqualUnique, finder))
    }

    /// Maps each row by the values that it gives for a vindex.
    fn store_finder(
        &self,
        vindex: &ColumnVindex,
        generate: Option<&Generate>,
    ) -> Result<VindexFinder, SqlError> {
        let columns = stored_columns(self.analysis, 0, vindex)?;
        let values = self.given_rows();
        let mut rows = Vec::with_capacity(values.len());
        for (number, (_, row)) in values.iter().enumerate() {
            rows.push(self.value_row(vindex, row, number, generate)?);
        }
        let operands = match <[ValueRow; 1]>::try_from(rows) {
            Ok([only]) => Operands::Equal(only),
            Err(rows) => Operands::Rows(rows),
        };
        let vindex = vindex.vindex.clone();
        Ok(VindexFinder { vindex, columns, purpose: Purpose::Store, operands })
    }

    /// The shard that the client named, if every row belongs there.
    fn within(
        &self,
        destination: Destination,
        generate: Option<&Generate>,
    ) -> Result<Routing, SqlError> {
        let table = &self.table;
        if belongs_anywhere(table) {
            return Ok(Routing::destination(destination));
        }
        if let Some(pinned) = table.pinned() {
            return Ok(Routing::within(destination, vec![Stored::Pinned(pinned.clone())]));
        }
        self.check_server_set()?;
        let places = |column: &str| placing(table).any(|v| v.position(column).is_some());
        let on_duplicate = &self.insert.on_duplicate;
        // Its numbers belong to any shard.
        let numbered = table.auto_increment().is_some_and(|auto| places(&auto.column))
            && generate.is_some_and(|generate| generate.rows.contains(&GivenValue::Absent));
        let problem = [
            (numbered, Refusal::InsertNoVindexColumn),
            (matches!(self.insert.source, InsertSource::Query(_)), Refusal::TargetInsertSelect),
            (self.columns.is_none(), Refusal::TargetColumns),
            (on_duplicate.iter().any(|a| places(&a.column.text)), Refusal::OnDuplicateVindex),
        ];
        if let Some((_, refusal)) = problem.into_iter().find(|(found, _)| *found) {
            return refusal.refuse();
        }
        let stored = placing(table).map(|vindex| {
            let finder = self.store_finder(vindex, generate)?;
            Ok(Stored::ByVindex(finder))
        });
        Ok(Routing::within(destination, stored.collect::<Result<_, SqlError>>()?))
    }

    /// Refuses rows whose sharding columns would not hold what the statement says.
    fn check_server_set(&self) -> Result<(), SqlError> {
        let changes: Vec<&Assignment> = self.insert.on_duplicate.iter().collect();
        let problem = placing(&self.table).find_map(|vindex| {
            server_set::by_insert(self.analysis, 0, vindex)
                .or_else(|| server_set::by_update(self.analysis, 0, vindex, &changes))
        });
        problem.map_or(Ok(()), Refusal::refuse)
    }

    fn check_sharded(&self) -> Result<(), SqlError> {
        self.check_server_set()?;
        let table = &self.table;
        let vindexes = table.column_vindexes();
        let moved = |(number, vindex): (usize, &ColumnVindex)| {
            let sets = |set: &Assignment| vindex.position(&set.column.text).is_some();
            // Only the first has led the row to its shard.
            let stays = number == 0 && stays_on_duplicate(self.insert, vindex);
            self.insert.on_duplicate.iter().any(sets) && !stays
        };
        let second_function = vindexes[1.min(vindexes.len())..]
            .iter()
            .any(|vindex| !vindex.vindex.vindex.needs_lookup());
        let problem = [
            (self.insert.replace, Refusal::Replace),
            (matches!(self.insert.source, InsertSource::Query(_)), Refusal::InsertSelect),
            (self.columns.is_none(), Refusal::InsertColumns),
            (table.owned_vindexes().next().is_some(), Refusal::InsertLookup),
            (second_function, Refusal::SecondVindex),
            (vindexes.iter().enumerate().any(moved), Refusal::OnDuplicateVindex),
            (self.analysis.facts.subquery, Refusal::CrossShardSubquery),
            (self.insert.returning && self.rows.len() > 1, Refusal::Returning),
            (self.analysis.facts.assigns_variable, Refusal::AssignVariable),
        ];
        match problem.into_iter().find(|(found, _)| *found) {
            Some((_, refusal)) => refusal.refuse(),
            None => Ok(()),
        }
    }

    /// The values of a row for a vindex.
    fn value_row(
        &self,
        vindex: &ColumnVindex,
        row: &[Expr],
        number: usize,
        generate: Option<&Generate>,
    ) -> Result<ValueRow, SqlError> {
        let names = self.columns.as_deref().unwrap_or_default();
        let auto = self.table.auto_increment().map(|auto| auto.column.as_str());
        let mut values = ValueRow::new();
        for column in &vindex.columns {
            let is_auto = auto.is_some_and(|auto| same_name(auto, column));
            if let (Some(generate), true) = (generate, is_auto) {
                let number_of_row = number as u32;
                match generate.rows[number] {
                    GivenValue::Hole(hole) => {
                        values.push(RoutingValue::Generated(number_of_row, Some(hole)));
                        continue;
                    }
                    GivenValue::Absent => {
                        values.push(RoutingValue::Generated(number_of_row, None));
                        continue;
                    }
                    GivenValue::Kept => {}
                }
            }
            let Some(place) = names.iter().position(|name| same_name(name, column)) else {
                return Refusal::InsertNoVindexColumn.refuse();
            };
            match row.get(place).and_then(value_of) {
                Some(RoutingValue::Null) | None => return Refusal::InsertValue.refuse(),
                Some(value) => values.push(value),
            }
        }
        Ok(values)
    }

    /// Names the columns of a list that the statement left out, so that the server puts each value
    /// where it was routed by, even if its columns have changed since they were read.
    fn write_columns(&mut self, routing: &Routing, generate: Option<&Generate>) {
        let left_out = self.insert.columns.is_none()
            && matches!(self.insert.source, InsertSource::Values(_))
            && (routing.finder().is_some() || !routing.checked().is_empty() || generate.is_some());
        let Some(columns) = self.columns.as_ref().filter(|_| left_out) else { return };
        let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let at = Span { start: self.insert.columns_end, end: self.insert.columns_end };
        let list = format!(" ({})", names.join(", "));
        self.analysis.splices.push((at, Replacement::Text(list.into())));
    }

    /// The copies that get the same rows.
    fn copies(&self) -> Result<Copies, SqlError> {
        let alone = self.analysis.instances.len() == 1;
        let given = self.given_rows();
        let rows: Vec<&[Expr]> = given.iter().map(|(_, row)| *row).filter(|_| alone).collect();
        let columns = self.columns.as_deref();
        let numbered = copies::check_insert(self.analysis, self.insert, columns, &rows)?;
        Ok(Copies { keyspaces: copies::keyspaces(&self.analysis.input, &self.table)?, numbered })
    }

    fn finish(
        mut self,
        routing: Routing,
        generate: Option<Generate>,
        copies: Copies,
    ) -> Result<Plan, SqlError> {
        self.write_columns(&routing, generate.as_ref());
        let input = self.analysis.input;
        let place = |span: Span| input.place(span).ok_or_else(|| Refusal::UnknownParts.error());
        let mut splices = self.analysis.placed_splices()?;
        let cut = matches!(self.insert.source, InsertSource::Values(_))
            && self.rows.len() > 1
            && routing.finder().is_some();
        if cut {
            let mut items = Vec::with_capacity(self.rows.len());
            for (span, own) in self.rows {
                items.push(Item { span: place(span)?, splices: placed(&input, own)? });
            }
            let ends = (items.first().map(|i| i.span.start), items.last().map(|i| i.span.end));
            if let (Some(start), Some(end)) = ends {
                let span = SkeletonSpan { start, end };
                splices.push(Splice { span, with: Replacement::Items(items) });
            }
        } else {
            for (_, own) in self.rows {
                splices.extend(placed(&input, own)?);
            }
        }
        let kind = if self.insert.replace { StatementKind::Replace } else { StatementKind::Insert };
        let (keyspace, name): (Arc<str>, Arc<str>) =
            (self.table.keyspace().into(), self.table.name().into());
        let route = Route {
            operation: Operation::Insert,
            keyspace: keyspace.clone(),
            table: name.to_string(),
            routing,
            query: QueryTemplate::new(splices),
            generate,
            copies,
        };
        Ok(Plan {
            kind,
            access: Access::Write,
            tables: vec![TableUse { keyspace, table: name }],
            joins_copies: false,
            schemas: Vec::new(),
            root: Primitive::Route(Box::new(route)),
            otherwise: None,
        })
    }
}
