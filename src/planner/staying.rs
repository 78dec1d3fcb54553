//! Assignments to sharding columns that leave rows where they are: as mappers of objects and tools
//! that copy rows write them, which name every column.
//!
//! `id = id` and `id = LAST_INSERT_ID(id)` keep the value. In ON DUPLICATE KEY UPDATE
//! `id = VALUES(id)` gives the row that was there the value by which the new one came to this
//! shard.
//! Another value in an UPDATE may stay only if it belongs to the shard of the rows, which is known
//! when the statement runs.

use crate::engine::routing::Stored;
use crate::error::SqlError;
use crate::sql::ast::{Assignment, Expr, ExprKind, Function, Insert};
use crate::vschema::{ColumnVindex, same_name};

use super::analysis::{Analysis, BlockId, TableId};
use super::server_set;
use super::shard_target::stored_in_table;
use super::unsupported::Refusal;

/// Whether the value of an assignment to this column of a table is what the column has already.
fn keeps_value(
    analysis: &Analysis<'_>,
    id: TableId,
    block: BlockId,
    column: &str,
    value: &Expr,
) -> bool {
    match &value.kind {
        ExprKind::Nested(inner) => keeps_value(analysis, id, block, column, inner),
        ExprKind::Column { table, name, .. } => {
            let alias = table.as_ref().map(|table| table.text.as_str());
            same_name(&name.text, column)
                && analysis.resolve(block, alias, &name.text).is_some_and(|found| found.table == id)
        }
        ExprKind::Function(call) => {
            given_back(call).is_some_and(|inner| keeps_value(analysis, id, block, column, inner))
        }
        _ => false,
    }
}

/// `e` of `LAST_INSERT_ID(e)`.
fn given_back(call: &Function) -> Option<&Expr> {
    let is_it = call.qualifier.is_none() && same_name(&call.name.text, "LAST_INSERT_ID");
    call.args.first().filter(|_| is_it && call.args.len() == 1)
}

/// Whether ON DUPLICATE KEY UPDATE leaves every row on the shard to which the vindex has led.
pub(super) fn stays_on_duplicate(insert: &Insert, vindex: &ColumnVindex) -> bool {
    // Of several columns each would need its new value.
    let alone = vindex.columns.len() == 1;
    insert.on_duplicate.iter().all(|set| {
        let Some(at) = vindex.position(&set.column.text) else { return true };
        match of_row(insert, &vindex.columns[at], &set.value) {
            Some(Of::OldRow) => true,
            Some(Of::NewRow) => alone,
            None => false,
        }
    })
}

/// Whose value of a column an expression of ON DUPLICATE KEY UPDATE is.
enum Of {
    /// That of the row that was there.
    OldRow,
    /// That of the row that was not inserted.
    NewRow,
}

/// `c`, `VALUES(c)`, `VALUE(c)`, or `new.c` where the row has the alias `new`.
fn of_row(insert: &Insert, column: &str, value: &Expr) -> Option<Of> {
    let is_column = |expr: &Expr| match &expr.kind {
        ExprKind::Column { name, .. } => same_name(&name.text, column),
        _ => false,
    };
    match &value.kind {
        ExprKind::Nested(inner) => of_row(insert, column, inner),
        // With names of their own for its columns any name may be one of those.
        ExprKind::Column { table, .. } if is_column(value) && insert.row_columns.is_empty() => {
            let alias = insert.row_alias.as_ref().zip(table.as_ref());
            let new = alias.is_some_and(|(alias, table)| same_name(&alias.text, &table.text));
            Some(if new { Of::NewRow } else { Of::OldRow })
        }
        ExprKind::Function(call) => {
            let named = |name| same_name(&call.name.text, name) && call.qualifier.is_none();
            match call.args.as_slice() {
                [only] if named("VALUES") || named("VALUE") => {
                    is_column(only).then_some(Of::NewRow)
                }
                _ => given_back(call).and_then(|inner| of_row(insert, column, inner)),
            }
        }
        _ => None,
    }
}

/// What the rows of an UPDATE will hold in the columns that place them, to be checked by each
/// execution; a refusal if that is not known, or if other servers would have to know it.
pub(super) fn stored_by_update(
    analysis: &Analysis<'_>,
    id: TableId,
    block: BlockId,
    own: &[&Assignment],
) -> Result<Vec<Stored>, SqlError> {
    let Some(table) = analysis.table(id) else { return Ok(Vec::new()) };
    let mut moving = false;
    for (number, vindex) in table.column_vindexes().iter().enumerate() {
        let is_lookup = number > 0 && vindex.vindex.vindex.needs_lookup();
        match server_set::by_update(analysis, id, vindex, own) {
            Some(_) if is_lookup => return Refusal::UpdateLookup.refuse(),
            Some(refusal) => return refusal.refuse(),
            None => {}
        }
        let sets = |set: &&&Assignment| vindex.position(&set.column.text).is_some();
        let kept =
            |set: &&Assignment| keeps_value(analysis, id, block, &set.column.text, &set.value);
        if own.iter().filter(sets).all(kept) {
            continue;
        }
        if is_lookup {
            return Refusal::UpdateLookup.refuse();
        }
        if number > 0 {
            return Refusal::SecondVindex.refuse();
        }
        moving = true;
    }
    if !moving {
        return Ok(Vec::new());
    }
    // Lookup tables say where its rows are.
    let alone = table.column_vindexes().len() == 1 && analysis.instances.len() == 1;
    let mut stored = Vec::new();
    let found = stored_in_table(analysis, id, own, &mut stored);
    if alone && found.is_ok() { Ok(stored) } else { Refusal::UpdateVindex.refuse() }
}
