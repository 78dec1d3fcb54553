//! Writes for a shard that the client named, by USE or by a qualifier: vindexes are bypassed, so
//! what a statement stores must be known to belong there.
//!
//! What cannot be read from the statement is refused, unless the statement says
//! `/*vt+ ALLOW_MISPLACED=1 */`. DELETE moves no row, and neither does an UPDATE that leaves the
//! sharding columns alone. The copies of a reference table belong to every shard. What triggers
//! and stored functions write is not seen.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::engine::capacity::Zero;
use crate::engine::literal::Purpose;
use crate::engine::routing::{
    Operands, Routing, RoutingValue, Stored, ValueRow, VindexColumn, VindexFinder,
};
use crate::error::SqlError;
use crate::key::Destination;
use crate::sql::ast::{Assignment, Ddl, DdlKind, ObjectName, TableFactor, TableRef, Update};
use crate::sql::control::directive::directives;
use crate::sql::cursor::Cursor;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind as Kind;
use crate::vschema::{ColumnVindex, Strictness, Table, TableKind, name_key, same_name};

use super::analysis::{
    Analysis, BlockId, ColumnOf, Home, Instance, Source, SourceKind, Strength, TableId,
    is_system_schema, value_of,
};
use super::input::PlanInput;
use super::kinds::vindex_column;
use super::server_set::{self, may_assign};
use super::unsupported::Refusal;

/// What a name means on a shard that the client named.
pub(super) enum TargetTable {
    /// A table of the VSchema.
    Known(Arc<Table>),
    /// A table about the server.
    System,
    /// A temporary table, a view, or what only the servers know.
    Unknown,
}

/// Whether rows may be stored where nothing looks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// The statement says so, or the keyspace has one shard only.
    Allowed,
    Refused,
}

/// What the statement's hints and the keyspace of the target say.
pub(super) fn misplaced(input: &PlanInput<'_>, keyspace: Option<&str>) -> Misplaced {
    let keyspace = keyspace.and_then(|name| input.vschema.keyspace(name));
    let unsharded = keyspace.is_some_and(|keyspace| !keyspace.is_sharded());
    // Vitess looks at nothing.
    if unsharded || input.strictness == Strictness::Lenient {
        return Misplaced::Allowed;
    }
    let hinted = input.scan.features().contains(Features::DIRECTIVE)
        && directives(input.text, input.mode).iter().any(|directive| {
            let on = ["1", "true", "on"].iter().any(|on| directive.value.eq_ignore_ascii_case(on));
            directive.key == "ALLOW_MISPLACED" && on
        });
    if hinted { Misplaced::Allowed } else { Misplaced::Refused }
}

/// The table of this name in the keyspace of the session's target. Routing rules do not count: the
/// text goes as it is.
pub(super) fn table(input: &PlanInput<'_>, name: &ObjectName) -> TargetTable {
    let own = input.target.keyspace.as_deref();
    let written = name.keyspace.as_ref().map(|keyspace| keyspace.text.as_str());
    if written.is_some_and(is_system_schema) {
        return TargetTable::System;
    }
    if written.is_some() && written != own {
        return TargetTable::Unknown;
    }
    match input.vschema.find_unrouted(own, &name.name.text) {
        Ok(table) => TargetTable::Known(table),
        Err(_) => TargetTable::Unknown,
    }
}

/// The vindexes by which a table's rows are found, lookups aside.
pub(super) fn placing(table: &Table) -> impl Iterator<Item = &ColumnVindex> {
    table.column_vindexes().iter().filter(|vindex| !vindex.vindex.vindex.needs_lookup())
}

/// The columns of a vindex with what their types allow to store.
pub(super) fn stored_columns(
    analysis: &Analysis<'_>,
    id: TableId,
    vindex: &ColumnVindex,
) -> Result<SmallVec<[VindexColumn; 2]>, SqlError> {
    let columns = vindex.columns.iter().enumerate();
    columns
        .map(|(position, name)| {
            let column = ColumnOf { table: id, name: name_key(name) };
            let strictness = analysis.input.strictness;
            let definition = analysis.definition(&column);
            vindex_column(definition, &vindex.vindex.vindex, position, strictness)
                .ok_or_else(|| unknown_type(analysis, &column))
        })
        .collect()
}

/// Why nothing can be written by a column that has no type to route by.
pub(super) fn unknown_type(analysis: &Analysis<'_>, column: &ColumnOf) -> SqlError {
    let Some(difference) = analysis.difference(column) else {
        let is_foreign = analysis.has_foreign_type(column.table, &column.name);
        let refusal =
            if is_foreign { Refusal::ForeignTypeWrite } else { Refusal::UnknownTypeWrite };
        return refusal.error();
    };
    let table = analysis.table(column.table).map(|table| table.qualified_name().to_string());
    let name = format!("{}.{}", table.unwrap_or_default(), column.name);
    Refusal::ShardsDiffer.about(&format!("{name} is {difference}"))
}

/// A statement that the parser cannot read, for a shard that the session is aimed at.
pub(super) fn check_unparsed(input: &PlanInput<'_>) -> Result<(), SqlError> {
    let keyspace = input.target.keyspace.as_deref();
    if misplaced(input, keyspace) == Misplaced::Allowed || stores_no_rows(input) {
        return Ok(());
    }
    match input.scan.kind() {
        Kind::Delete => Refusal::TargetPortion.refuse(),
        _ => Refusal::TargetUnread.refuse(),
    }
}

/// Whether it is known to store no rows: reads, definitions, and what is about the session or the
/// server.
pub(super) fn stores_no_rows(input: &PlanInput<'_>) -> bool {
    if input.scan.features().contains(Features::SERVER_SPECIFIC) && !begins_plainly(input) {
        return false;
    }
    match input.scan.kind() {
        Kind::Empty
        | Kind::Select
        | Kind::Values
        | Kind::Table
        | Kind::ParenSelect
        | Kind::Set
        | Kind::Show
        | Kind::Use
        | Kind::Begin
        | Kind::StartTransaction
        | Kind::Commit
        | Kind::Rollback
        | Kind::Savepoint
        | Kind::Release
        | Kind::LockTables
        | Kind::UnlockTables
        | Kind::Kill
        | Kind::Do
        | Kind::Deallocate
        | Kind::Alter
        | Kind::Drop
        | Kind::Truncate
        | Kind::Rename
        | Kind::Flush
        | Kind::Maintain
        | Kind::Xa
        | Kind::Handler
        | Kind::Diagnostics
        | Kind::VExplain => true,
        Kind::Create => !head(input, |cursor| {
            cursor.advance();
            cursor.eat_words(&["OR", "REPLACE"]);
            cursor.eat_word("TEMPORARY");
            cursor.at_word("TABLE")
        }),
        // What of a row's period stays is stored as other rows.
        Kind::Delete => !deletes_portions(input),
        // BINLOG writes the rows of an event.
        Kind::Admin => !head(input, |cursor| cursor.at_word("BINLOG")),
        Kind::With
        | Kind::Insert
        | Kind::Replace
        | Kind::Update
        | Kind::Explain
        | Kind::Call
        | Kind::Prepare
        | Kind::Execute
        | Kind::LoadData
        | Kind::Compound
        | Kind::SetStatement
        | Kind::Other => false,
    }
}

/// Whether it may be MariaDB's DELETE FOR PORTION OF.
fn deletes_portions(input: &PlanInput<'_>) -> bool {
    let Ok(mut cursor) = Cursor::new(input.text, input.mode, input.scan) else { return true };
    while !cursor.at_end() {
        if cursor.at_word("PORTION") {
            return true;
        }
        cursor.advance();
    }
    input.scan.features().contains(Features::SERVER_SPECIFIC)
}

/// Whether its first word does not stand in a comment that only some servers read.
fn begins_plainly(input: &PlanInput<'_>) -> bool {
    let text = input.text.trim_ascii_start();
    text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'(')
}

/// What `is` says of the first words; true if they cannot be read.
fn head(input: &PlanInput<'_>, is: impl Fn(&mut Cursor<'_>) -> bool) -> bool {
    Cursor::new(input.text, input.mode, input.scan).map_or(true, |mut cursor| is(&mut cursor))
}

/// A definition for a shard that the session is aimed at.
pub(super) fn check_definition(ddl: &Ddl) -> Result<(), SqlError> {
    if ddl.kind == DdlKind::CreateTable && ddl.query.is_some() && !ddl.temporary {
        return Refusal::TargetCreateSelect.refuse();
    }
    Ok(())
}

/// Where an UPDATE of the session's target goes.
pub(super) fn update_routing(
    update: &Update,
    input: &PlanInput<'_>,
    destination: Destination,
) -> Result<Routing, SqlError> {
    let mut analysis = Analysis::new(*input);
    let block = analysis.new_block(None);
    for reference in &update.tables {
        add_tables(&mut analysis, block, reference);
    }
    Ok(Routing::within(destination, stored_by_update(&analysis, block, &update.assignments)?))
}

fn add_tables(analysis: &mut Analysis<'_>, block: BlockId, reference: &TableRef) {
    match reference {
        TableRef::Table(factor) => add_table(analysis, block, factor),
        TableRef::Nested(inner) => {
            for reference in inner {
                add_tables(analysis, block, reference);
            }
        }
        TableRef::Join(join) => {
            add_tables(analysis, block, &join.left);
            add_tables(analysis, block, &join.right);
        }
        // Servers do not write into these.
        TableRef::Function { .. } | TableRef::Derived { .. } => {}
    }
}

fn add_table(analysis: &mut Analysis<'_>, block: BlockId, factor: &TableFactor) {
    let alias = factor.alias.as_ref().unwrap_or(&factor.name.name).text.clone();
    let kind = match table(&analysis.input, &factor.name) {
        TargetTable::System => return,
        TargetTable::Unknown => SourceKind::Unknown,
        TargetTable::Known(table) => SourceKind::Base(add_instance(analysis, block, table)),
    };
    analysis.blocks[block].sources.push(Source { alias, kind });
}

/// Adds a table so that its columns can be asked for.
pub(super) fn add_instance(
    analysis: &mut Analysis<'_>,
    block: BlockId,
    table: Arc<Table>,
) -> TableId {
    analysis.instances.push(Instance {
        home: Home::Table(table),
        block,
        strength: Strength::Result,
        use_vindex: Vec::new(),
        ignore_vindex: Vec::new(),
        name: None,
    });
    analysis.instances.len() - 1
}

/// What the assignments of an UPDATE store into sharding columns.
pub(super) fn stored_by_update(
    analysis: &Analysis<'_>,
    block: BlockId,
    assignments: &[Assignment],
) -> Result<Vec<Stored>, SqlError> {
    let mut stored = Vec::new();
    for source in &analysis.blocks[block].sources {
        let named = |assignment: &Assignment| {
            let table = assignment.table.as_ref();
            table.is_none_or(|table| same_name(&table.text, &source.alias))
        };
        match source.kind {
            SourceKind::Base(id) => {
                let own = assignments.iter().filter(|set| may_assign(analysis, block, id, set));
                stored_in_table(analysis, id, &own.collect::<Vec<_>>(), &mut stored)?;
            }
            SourceKind::Unknown if assignments.iter().any(named) => {
                return Refusal::TargetUnknownTable.refuse();
            }
            SourceKind::Unknown | SourceKind::Derived(_) => {}
        }
    }
    Ok(stored)
}

pub(super) fn stored_in_table(
    analysis: &Analysis<'_>,
    id: TableId,
    assignments: &[&Assignment],
    stored: &mut Vec<Stored>,
) -> Result<(), SqlError> {
    let Some(table) = analysis.table(id) else { return Ok(()) };
    for vindex in placing(table) {
        if let Some(refusal) = server_set::by_update(analysis, id, vindex, assignments) {
            return refusal.refuse();
        }
        if !assignments.iter().any(|set| vindex.position(&set.column.text).is_some()) {
            continue;
        }
        let value_of_column = |column: &String| {
            let mut sets = assignments.iter().filter(|set| same_name(&set.column.text, column));
            match (sets.next(), sets.next()) {
                (Some(only), None) => {
                    value_of(&only.value).filter(|value| *value != RoutingValue::Null)
                }
                _ => None,
            }
        };
        let values: Option<ValueRow> = vindex.columns.iter().map(value_of_column).collect();
        let Some(values) = values else { return Refusal::TargetUpdate.refuse() };
        stored.push(Stored::Changed(VindexFinder {
            vindex: vindex.vindex.clone(),
            columns: changed_columns(analysis, id, vindex)?,
            purpose: Purpose::Store,
            operands: Operands::Equal(values),
        }));
    }
    Ok(())
}

/// The same for rows that are there: only new ones are numbered by servers.
fn changed_columns(
    analysis: &Analysis<'_>,
    id: TableId,
    vindex: &ColumnVindex,
) -> Result<SmallVec<[VindexColumn; 2]>, SqlError> {
    let mut columns = stored_columns(analysis, id, vindex)?;
    for column in &mut columns {
        column.capacity.zero = Zero::Kept;
    }
    Ok(columns)
}

/// Whether a table's rows belong to every shard that has them.
pub(super) fn belongs_anywhere(table: &Table) -> bool {
    !table.is_sharded() || matches!(table.kind(), TableKind::Reference { .. })
}
