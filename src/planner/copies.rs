//! Writes to tables that have copies: reference tables, and the tables that are their sources.
//!
//! Each copy runs the statement for itself, in one transaction with the others, so only a
//! statement that does the same everywhere is let through: its values are literals and
//! parameters, its rows are chosen by the table's own columns, and no column is filled by what a
//! server knows alone. What triggers and foreign keys add is not seen.

use std::sync::Arc;

use crate::config::ReferenceCopies;
use crate::error::SqlError;
use crate::sql::ast::{
    Assignment, Ddl, DdlKind, Delete, Expr, ExprKind, HoleId, Insert, TableRef, Update,
};
use crate::sql::cursor::Cursor;
use crate::sql::visit::{Visitor, Walk, walk_expr};
use crate::vschema::{
    Column, Filling, SqlType, Strictness, Table, TableKind, TableName, VSchema, same_name,
};

use super::analysis::Analysis;
use super::input::PlanInput;
use super::unsupported::Refusal;

pub(super) use self::around::{check_name, check_unparsed};

mod around;

/// Functions whose value depends on their arguments alone.
const PURE: &[&str] = &[
    "abs",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "floor",
    "greatest",
    "hex",
    "if",
    "ifnull",
    "lcase",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "mod",
    "nullif",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha1",
    "sha2",
    "substr",
    "substring",
    "trim",
    "ucase",
    "unhex",
    "upper",
    "values",
];

/// Whether a table has copies that Geogate keeps, or is one.
pub(super) fn has_copies(input: &PlanInput<'_>, table: &Table) -> bool {
    let kept = input.reference_copies == ReferenceCopies::Kept;
    match table.kind() {
        TableKind::Reference { source: None } if table.is_sharded() => true,
        TableKind::Reference { source: Some(_) } => kept,
        _ => kept && input.strictness == Strictness::Strict && table.copies().next().is_some(),
    }
}

fn is_kept(input: &PlanInput<'_>) -> bool {
    input.strictness == Strictness::Strict && input.reference_copies == ReferenceCopies::Kept
}

/// The source of a copy; any other table is its own.
pub(super) fn source_of(input: &PlanInput<'_>, table: &Arc<Table>) -> Result<Arc<Table>, SqlError> {
    let TableKind::Reference { source: Some(source) } = table.kind() else {
        return Ok(Arc::clone(table));
    };
    if source.name != table.name() {
        return Refusal::ReferenceWrite.refuse();
    }
    Ok(input.vschema.find_unrouted(Some(&source.keyspace), &source.name)?)
}

/// The keyspaces whose shards have copies of a source.
pub(super) fn keyspaces(input: &PlanInput<'_>, source: &Table) -> Result<Vec<Arc<str>>, SqlError> {
    let strict = input.strictness == Strictness::Strict;
    let differ = |table: &TableName| strict && input.columns.differences(table).is_some();
    if differ(source.qualified_name()) {
        return Refusal::CopiesColumns.refuse();
    }
    if !is_kept(input) {
        return Ok(Vec::new());
    }
    let live = |table: &TableName| input.columns.columns(table);
    let keyspaces = source.copies().map(|(keyspace, name)| {
        if name != source.name() || source.is_sharded() {
            return Refusal::ReferenceWrite.refuse();
        }
        let copy = TableName { keyspace: keyspace.to_owned(), name: name.to_owned() };
        if differ(&copy) || live(&copy) != live(source.qualified_name()) {
            return Refusal::CopiesColumns.refuse();
        }
        Ok(keyspace.into())
    });
    keyspaces.collect()
}

/// Checks an INSERT; `columns` are those that it gives values for. Gives the values that may not
/// turn out to ask the server for a number.
pub(super) fn check_insert(
    analysis: &Analysis<'_>,
    insert: &Insert,
    columns: Option<&[String]>,
    rows: &[&[Expr]],
) -> Result<Vec<HoleId>, SqlError> {
    if analysis.input.strictness == Strictness::Lenient {
        return Ok(Vec::new());
    }
    let odd = !insert.on_duplicate.is_empty() || insert.returning || insert.partition;
    if odd || rows.is_empty() {
        return Refusal::CopiesDiffer.refuse();
    }
    let (Some(all), Some(columns)) = (analysis.all_columns(0), columns) else {
        return Refusal::CopiesUnknown.refuse();
    };
    let sequence = analysis.table(0).and_then(|table| table.auto_increment());
    let sequenced = |name: &str| sequence.is_some_and(|auto| same_name(&auto.column, name));
    let mut numbered = Vec::new();
    for column in all {
        let place = columns.iter().position(|own| same_name(own, &column.name));
        for row in rows {
            let given = place.and_then(|place| row.get(place)).map(|value| &value.kind);
            match (given, column.filling) {
                _ if sequenced(&column.name) => {}
                (Some(ExprKind::Hole(hole)), Filling::Number) => numbered.push(*hole),
                (Some(_), Filling::Number) => return Refusal::CopiesDiffer.refuse(),
                (None | Some(ExprKind::Default), Filling::Number | Filling::Computed) => {
                    return Refusal::CopiesDiffer.refuse();
                }
                (None | Some(ExprKind::Default), Filling::Unknown) => {
                    return Refusal::CopiesUnknown.refuse();
                }
                (None | Some(_), _) => {}
            }
        }
    }
    rows.iter().flat_map(|row| row.iter()).try_for_each(check_expr)?;
    Ok(numbered)
}

/// Checks an UPDATE of the only table of a statement.
pub(super) fn check_update(analysis: &Analysis<'_>, update: &Update) -> Result<(), SqlError> {
    if analysis.input.strictness == Strictness::Lenient {
        return Ok(());
    }
    let odd = update.ignore || update.limit.is_some() || update.with.is_some();
    if odd || names_partitions(&update.tables) {
        return Refusal::CopiesDiffer.refuse();
    }
    let Some(all) = analysis.all_columns(0) else { return Refusal::CopiesUnknown.refuse() };
    let is_set = |column: &Column| {
        let own = |set: &Assignment| same_name(&set.column.text, &column.name);
        update.assignments.iter().any(own)
    };
    for column in all.iter().filter(|column| !is_set(column)) {
        match column.filling {
            _ if column.touched => return Refusal::CopiesDiffer.refuse(),
            Filling::Unknown
                if matches!(column.sql_type, SqlType::Timestamp | SqlType::DateTime) =>
            {
                return Refusal::CopiesUnknown.refuse();
            }
            _ => {}
        }
    }
    let defaults = |set: &Assignment| matches!(set.value.kind, ExprKind::Default);
    if update.assignments.iter().any(defaults) {
        return Refusal::CopiesDiffer.refuse();
    }
    let values = update.assignments.iter().map(|set| &set.value);
    values.chain(&update.filter).try_for_each(check_expr)
}

/// Checks a DELETE from the only table of a statement.
pub(super) fn check_delete(analysis: &Analysis<'_>, delete: &Delete) -> Result<(), SqlError> {
    if analysis.input.strictness == Strictness::Lenient {
        return Ok(());
    }
    let odd = delete.ignore || delete.limit.is_some() || delete.with.is_some();
    if odd || delete.returning || names_partitions(&delete.from) {
        return Refusal::CopiesDiffer.refuse();
    }
    delete.filter.iter().try_for_each(check_expr)
}

/// Whether rows are chosen by partitions, which each server may have of its own.
fn names_partitions(tables: &[TableRef]) -> bool {
    tables.iter().any(|reference| match reference {
        TableRef::Table(table) => table.partition,
        TableRef::Nested(inner) => names_partitions(inner),
        // Other tables are refused.
        TableRef::Join(_) | TableRef::Derived { .. } | TableRef::Function { .. } => false,
    })
}

/// Whether every server computes the same.
fn check_expr(expr: &Expr) -> Result<(), SqlError> {
    let mut found = Doubts(false);
    walk_expr(&mut found, expr);
    if found.0 { Refusal::CopiesDiffer.refuse() } else { Ok(()) }
}

struct Doubts(bool);

impl Visitor for Doubts {
    fn expr(&mut self, expr: &Expr) -> Walk {
        self.0 |= match &expr.kind {
            ExprKind::Function(function) => {
                let name = function.name.text.to_ascii_lowercase();
                function.qualifier.is_some() || function.over || !PURE.contains(&name.as_str())
            }
            ExprKind::Hole(_)
            | ExprKind::Ordinal(_)
            | ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Default
            | ExprKind::Column { .. }
            | ExprKind::Nested(_)
            | ExprKind::Not(_)
            | ExprKind::Negative(_)
            | ExprKind::And(..)
            | ExprKind::Or(..)
            | ExprKind::Compare { .. }
            | ExprKind::In { .. }
            | ExprKind::Between { .. }
            | ExprKind::Like { .. }
            | ExprKind::IsNull { .. }
            | ExprKind::Tuple(_)
            | ExprKind::Collate { .. }
            | ExprKind::Other(_) => false,
            _ => true,
        };
        Walk::Inside
    }
}

/// Whether a table is a source that has copies elsewhere, or such a copy.
fn is_linked(table: &Table) -> bool {
    matches!(table.kind(), TableKind::Reference { source: Some(_) })
        || table.copies().next().is_some()
}

/// Refuses to drop a keyspace with tables whose copies, or whose sources, are in others.
pub fn check_drop(
    vschema: &VSchema,
    copies: ReferenceCopies,
    keyspace: &str,
) -> Result<(), SqlError> {
    let mut tables = vschema.keyspace(keyspace).into_iter().flat_map(|found| found.tables());
    if copies == ReferenceCopies::Kept && tables.any(|table| is_linked(table)) {
        return Refusal::CopiesDatabase.refuse();
    }
    Ok(())
}

/// Refuses a definition that would change the rows of a source and not those of its copies.
pub(super) fn check_definition(
    ddl: &Ddl,
    keyspace: &str,
    input: &PlanInput<'_>,
) -> Result<(), SqlError> {
    use DdlKind::{AlterTable, CreateTable, DropTable, RenameTable, TruncateTable};
    if !is_kept(input) {
        return Ok(());
    }
    let writes = match ddl.kind {
        DropTable | TruncateTable | RenameTable => true,
        CreateTable => ddl.query.is_some() || contains(input, replaces_table),
        AlterTable => contains(input, alters_rows),
        _ => false,
    };
    if !writes {
        return Ok(());
    }
    // Some servers know a name in any case.
    let named = |table: &Table| {
        ddl.tables.iter().any(|name| name.name.text.eq_ignore_ascii_case(table.name()))
    };
    let mut tables = input.vschema.keyspace(keyspace).into_iter().flat_map(|own| own.tables());
    let found = tables.any(|table| is_linked(table) && named(table));
    if found { Refusal::CopiesDefinition.refuse() } else { Ok(()) }
}

/// Whether something stands anywhere in the statement; true if that cannot be read.
pub(super) fn contains(input: &PlanInput<'_>, is: impl Fn(&Cursor<'_>) -> bool) -> bool {
    let Ok(mut cursor) = Cursor::new(input.text, input.mode, input.scan) else { return true };
    while !cursor.at_end() {
        if is(&cursor) {
            return true;
        }
        cursor.advance();
    }
    false
}

fn replaces_table(cursor: &Cursor<'_>) -> bool {
    cursor.at_words(&["OR", "REPLACE"])
}

/// What takes rows away, brings others, or takes the name away. Other columns are noticed when
/// somebody writes.
fn alters_rows(cursor: &Cursor<'_>) -> bool {
    let renamed = cursor.at_word("RENAME")
        && !["COLUMN", "INDEX", "KEY"].iter().any(|what| cursor.word_at(1, what));
    let partition = ["TRUNCATE", "DROP", "EXCHANGE", "CONVERT", "DISCARD", "IMPORT"]
        .iter()
        .any(|verb| cursor.at_words(&[verb, "PARTITION"]));
    let tablespace = cursor.word_at(1, "TABLESPACE") && cursor.at_any_word(&["DISCARD", "IMPORT"]);
    let duplicates = cursor.at_words(&["ALTER", "IGNORE"]);
    renamed || partition || tablespace || duplicates || cursor.at_words(&["CONVERT", "TABLE"])
}
