//! Sharding columns that servers set by themselves: generated ones, and those with ON UPDATE
//! CURRENT_TIMESTAMP. What they will hold is not known before, so a statement that would set them
//! is refused: the row would stay, or come, where nothing looks for it.

use crate::sql::ast::Assignment;
use crate::vschema::{Column, ColumnVindex, Filling, name_key, same_name};

use super::analysis::{Analysis, BlockId, ColumnOf, SourceKind, TableId};
use super::unsupported::Refusal;

/// Whether an assignment changes a table of the block, as far as is known.
pub(super) fn may_assign(
    analysis: &Analysis<'_>,
    block: BlockId,
    id: TableId,
    assignment: &Assignment,
) -> bool {
    let Some(alias) = &assignment.table else {
        let column = analysis.resolve(block, None, &assignment.column.text);
        return column.is_none_or(|column| column.table == id);
    };
    analysis.blocks[block].sources.iter().any(|source| {
        matches!(source.kind, SourceKind::Base(own) if own == id)
            && same_name(&source.alias, &alias.text)
    })
}

/// Why a row that is stored may not belong where its values say.
pub(super) fn by_insert(
    analysis: &Analysis<'_>,
    id: TableId,
    vindex: &ColumnVindex,
) -> Option<Refusal> {
    let generated = columns(analysis, id, vindex).any(|c| c.filling == Filling::Generated);
    generated.then_some(Refusal::GeneratedColumn)
}

/// Why a row that these assignments change may belong elsewhere after it.
pub(super) fn by_update(
    analysis: &Analysis<'_>,
    id: TableId,
    vindex: &ColumnVindex,
    assignments: &[&Assignment],
) -> Option<Refusal> {
    if assignments.is_empty() {
        return None;
    }
    let is_set =
        |column: &Column| assignments.iter().any(|set| same_name(&set.column.text, &column.name));
    let touched = || columns(analysis, id, vindex).any(|c| c.touched && !is_set(c));
    by_insert(analysis, id, vindex).or_else(|| touched().then_some(Refusal::TouchedColumn))
}

/// The definitions of a vindex's columns, as far as they are known.
fn columns<'a>(
    analysis: &'a Analysis<'_>,
    id: TableId,
    vindex: &'a ColumnVindex,
) -> impl Iterator<Item = &'a Column> {
    vindex
        .columns
        .iter()
        .filter_map(move |name| analysis.definition(&ColumnOf { table: id, name: name_key(name) }))
}
