//! Merging the rows of one SELECT over several shards: which columns, orders and stages it takes.
//!
//! Grouping that keeps a full vindex key is done by each shard alone; all other grouping sorts the
//! shards' groups by their keys, merges them, and combines equal neighbours.

use crate::engine::plan::{
    ColumnRef, CompareKey, Direction, LimitValue, SortKey, SourceOrder, Stage,
};
use crate::engine::template::{Piece, Replacement, Splice};
use crate::error::SqlError;
use crate::sql::ast::{Expr, ExprKind, OrderItem, Query, Select, SelectItem, Span};
use crate::vschema::same_name;

use super::analysis::{Analysis, BlockId, contains_subquery, has_hole, is_aggregate, item_expr};
use super::group::{Grouping, combined};
use super::hidden::{HiddenColumns, Of, text};
use super::kinds::{Sorting, sorting};
use super::unsupported::Refusal;

/// What merging takes.
pub(super) struct MergeParts {
    pub(super) order: SourceOrder,
    pub(super) hidden: usize,
    pub(super) stages: Vec<Stage>,
}

/// Builds the merge of one SELECT.
pub(super) struct MergeBuilder<'a, 'b> {
    pub(super) analysis: &'a Analysis<'b>,
    pub(super) query: &'a Query,
    pub(super) select: &'a Select,
    pub(super) block: BlockId,
    pub(super) hidden: HiddenColumns<'a, 'b>,
    order: SourceOrder,
    stages: Vec<Stage>,
    edits: Vec<(Span, Replacement)>,
    shard_limit: ShardLimit,
}

/// What becomes of LIMIT in the shards' statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ShardLimit {
    /// Count and offset are added up.
    Raised,
    /// Shards send all rows.
    Removed,
}

/// An ORDER BY or GROUP BY term: the expression that it stands for, and the item if it is one.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) expr: &'a Expr,
    pub(super) item: Option<usize>,
}

impl<'a, 'b> MergeBuilder<'a, 'b> {
    pub(super) fn new(
        analysis: &'a Analysis<'b>,
        query: &'a Query,
        select: &'a Select,
        block: BlockId,
    ) -> Self {
        Self {
            analysis,
            query,
            select,
            block,
            hidden: HiddenColumns::new(analysis),
            order: SourceOrder::Concatenate,
            stages: Vec::new(),
            edits: Vec::new(),
            shard_limit: ShardLimit::Raised,
        }
    }

    pub(super) fn build(&mut self) -> Result<(), SqlError> {
        let select = self.select;
        let aggregates = select.items.iter().filter_map(item_expr).any(is_aggregate)
            || select.having.as_ref().is_some_and(is_aggregate)
            || self.query.order_by.iter().any(|item| is_aggregate(&item.expr));
        let grouped = !select.group_by.is_empty();
        if (grouped && !self.groups_stay_apart()?) || (aggregates && !grouped) {
            self.aggregate()?;
        } else if select.distinct && !self.rows_stay_apart() {
            self.distinct()?;
        } else {
            self.sorted_rows()?;
        }
        self.limit()
    }

    /// The parts of the merge; the text's edits are added to `splices`.
    pub(super) fn finish(self, splices: &mut Vec<Splice>) -> Result<MergeParts, SqlError> {
        let hidden = self.hidden.count();
        let mut edits = self.edits;
        if hidden > 0 {
            let at = self.select.items_end;
            edits.push((Span { start: at, end: at }, self.hidden.replacement()));
        }
        for (span, with) in edits {
            let Some(place) = self.analysis.input.place(span) else {
                return Refusal::UnknownParts.refuse();
            };
            // Splices inside a replaced part have nothing left to change.
            splices.retain(|other| {
                span.start == span.end
                    || other.span.start < place.start
                    || other.span.end > place.end
            });
            splices.push(Splice { span: place, with });
        }
        Ok(MergeParts { order: self.order, hidden, stages: self.stages })
    }

    /// Whether GROUP BY holds a full key of a unique vindex, so that no group has rows on two
    /// shards.
    fn groups_stay_apart(&self) -> Result<bool, SqlError> {
        let terms: Result<Vec<_>, _> =
            self.select.group_by.iter().map(|expr| self.group_term(expr)).collect();
        let columns: Vec<_> =
            terms?.iter().filter_map(|t| self.analysis.column_of(t.expr, self.block)).collect();
        Ok(self.carried(&columns))
    }

    /// Whether DISTINCT rows hold a full key of a unique vindex.
    fn rows_stay_apart(&self) -> bool {
        let exprs = self.select.items.iter().filter_map(item_expr);
        let columns: Vec<_> =
            exprs.filter_map(|expr| self.analysis.column_of(expr, self.block)).collect();
        self.carried(&columns)
    }

    /// A key of a table that an outer join may leave out does not tell shards apart: its NULL
    /// comes from all of them.
    fn carried(&self, columns: &[super::analysis::ColumnOf]) -> bool {
        let own: Vec<_> = columns
            .iter()
            .filter(|column| {
                self.analysis.instances[column.table].strength == super::analysis::Strength::Result
            })
            .cloned()
            .collect();
        self.analysis.cover_unique_vindex(&own)
    }

    /// Rows as they are, in the order of ORDER BY.
    fn sorted_rows(&mut self) -> Result<(), SqlError> {
        let keys = self.sort_keys(None)?;
        if !keys.is_empty() {
            self.order = SourceOrder::MergeSort(keys);
        }
        Ok(())
    }

    fn distinct(&mut self) -> Result<(), SqlError> {
        let mut keys = Vec::new();
        for (index, item) in self.select.items.iter().enumerate() {
            let Some(expr) = item_expr(item) else {
                return Refusal::DistinctAcrossShards.refuse();
            };
            if contains_subquery(expr) {
                return Refusal::DistinctAcrossShards.refuse();
            }
            keys.push(self.compare_key(expr, Some(index))?);
        }
        for item in &self.query.order_by {
            let term = self.order_term(&item.expr)?;
            if term.is_some_and(|term| term.item.is_none()) {
                return Refusal::DistinctAcrossShards.refuse();
            }
        }
        self.sorted_rows()?;
        self.stages.push(Stage::Distinct(keys));
        Ok(())
    }

    fn aggregate(&mut self) -> Result<(), SqlError> {
        let grouping = Grouping::of(self)?;
        self.stages.push(Stage::Aggregate {
            keys: grouping.keys.iter().map(|(_, key)| *key).collect(),
            aggregates: grouping.aggregates.clone(),
        });
        self.shard_limit = ShardLimit::Removed;
        if grouping.keys.is_empty() {
            // One row: its order does not matter, and the shards' one row each neither.
            self.replace_order_by(vec![]);
            return Ok(());
        }
        self.sort_groups(&grouping)?;
        if self.select.distinct {
            return Refusal::DistinctAcrossShards.refuse();
        }
        Ok(())
    }

    /// Shards sort by the group keys, in the order that the client wants if that is only about
    /// keys; otherwise the groups are sorted again.
    fn sort_groups(&mut self, grouping: &Grouping<'a>) -> Result<(), SqlError> {
        let mut wanted = Vec::new();
        for item in &self.query.order_by {
            if let Some(term) = self.order_term(&item.expr)? {
                wanted.push((term, direction(item)));
            }
        }
        let key_of =
            |term: &Term<'_>| grouping.keys.iter().position(|(key, _)| self.same_term(key, term));
        let places: Vec<Option<usize>> = wanted.iter().map(|(term, _)| key_of(term)).collect();
        let mut order: Vec<(usize, Direction)> = Vec::new();
        if places.iter().all(Option::is_some) {
            let pairs = places.iter().flatten().zip(&wanted);
            order.extend(pairs.map(|(place, (_, direction))| (*place, *direction)));
        } else {
            let keys = self.sort_keys(Some(grouping))?;
            self.stages.push(Stage::Sort(keys));
        }
        for place in 0..grouping.keys.len() {
            if !order.iter().any(|(known, _)| *known == place) {
                order.push((place, Direction::Ascending));
            }
        }
        let sort_key = |(place, direction): &(usize, Direction)| SortKey {
            key: grouping.keys[*place].1,
            direction: *direction,
        };
        self.order = SourceOrder::MergeSort(order.iter().map(sort_key).collect());
        let mut pieces = Vec::new();
        for (place, direction) in &order {
            pieces.push(text(if pieces.is_empty() { "ORDER BY " } else { ", " }));
            pieces.push(self.hidden.copy(grouping.keys[*place].0.expr.span)?);
            if *direction == Direction::Descending {
                pieces.push(text(" DESC"));
            }
        }
        self.replace_order_by(pieces);
        Ok(())
    }

    /// Puts another ORDER BY in the place of the client's.
    fn replace_order_by(&mut self, mut pieces: Vec<Piece>) {
        let order_by = &self.query.order_by;
        let (Some(first), Some(last)) = (order_by.first(), order_by.last()) else {
            if !pieces.is_empty() {
                pieces.insert(0, text(" "));
                pieces.push(text(" "));
                let at = self.query.order_by_position;
                self.edits.push((Span { start: at, end: at }, Replacement::Pieces(pieces)));
            }
            return;
        };
        let terms = Span { start: first.span.start, end: last.span.end };
        // The words ORDER BY stay; only what follows them is exchanged.
        if pieces.is_empty() {
            self.edits.push((terms, Replacement::Text("NULL".into())));
        } else {
            pieces[0] = text("");
            self.edits.push((terms, Replacement::Pieces(pieces)));
        }
    }

    /// Sort keys of the client's ORDER BY. With a grouping, terms may be aggregates.
    fn sort_keys(&mut self, grouping: Option<&Grouping<'a>>) -> Result<Vec<SortKey>, SqlError> {
        let mut keys = Vec::new();
        for item in &self.query.order_by {
            let Some(term) = self.order_term(&item.expr)? else { continue };
            if contains_subquery(term.expr) {
                return Refusal::OrderExpression.refuse();
            }
            let key = match grouping {
                None => self.compare_key(term.expr, term.item)?,
                Some(grouping) => combined(self, grouping, &term)?,
            };
            keys.push(SortKey { key, direction: direction(item) });
        }
        Ok(keys)
    }

    fn limit(&mut self) -> Result<(), SqlError> {
        let Some(limit) = &self.query.limit else { return Ok(()) };
        let value = |expr: &Expr| match expr.kind {
            ExprKind::Hole(hole) => Ok(LimitValue::Hole(hole)),
            _ => Refusal::UnknownParts.refuse(),
        };
        let count = value(&limit.count)?;
        let offset = limit.offset.as_ref().map(value).transpose()?;
        self.stages.push(Stage::Limit { count: Some(count), offset });
        match (self.shard_limit, offset) {
            (ShardLimit::Removed, _) => {
                self.edits.push((limit.span, Replacement::Text("".into())));
            }
            (ShardLimit::Raised, Some(offset)) => {
                self.edits.push((limit.span, Replacement::LimitSum(count, offset)));
            }
            (ShardLimit::Raised, None) => {}
        }
        Ok(())
    }

    /// How values of an expression compare; `item` is its place in the select list.
    pub(super) fn compare_key(
        &mut self,
        expr: &Expr,
        item: Option<usize>,
    ) -> Result<CompareKey, SqlError> {
        let expr = unnested(expr);
        self.check_same(expr)?;
        let sorting = self.sorting_of(expr);
        let visible = item.and_then(|item| self.visible(item));
        Ok(match sorting {
            Sorting::Number => {
                CompareKey { column: self.hidden.add("(", expr, ") + 0")?, weight: None }
            }
            Sorting::Value => {
                let column = match visible {
                    Some(column) => column,
                    None => self.hidden.add("", expr, "")?,
                };
                CompareKey { column, weight: None }
            }
            Sorting::Weight => {
                let column = match visible {
                    Some(column) => column,
                    None => self.hidden.add("", expr, "")?,
                };
                let of = self.weight_of(expr);
                CompareKey { column, weight: Some(self.hidden.weight(expr, of)?) }
            }
        })
    }

    fn weight_of(&self, expr: &Expr) -> Of {
        let is_column = matches!(expr.kind, ExprKind::Column { .. });
        let made = !is_column && !is_aggregate(expr) && !contains_subquery(expr);
        if made && !self.select.group_by.is_empty() { Of::Group } else { Of::Row }
    }

    /// Refuses to compare what shards sort by different rules.
    pub(super) fn check_same(&self, expr: &Expr) -> Result<(), SqlError> {
        let column = self.analysis.column_of(expr, self.block);
        match column.and_then(|column| self.analysis.difference(&column).map(str::to_owned)) {
            Some(difference) => Err(Refusal::ShardsDifferSort.about(&difference)),
            None => Ok(()),
        }
    }

    /// How an expression's values sort, as far as its type is known.
    pub(super) fn sorting_of(&self, expr: &Expr) -> Sorting {
        match &expr.kind {
            ExprKind::Nested(inner) => self.sorting_of(inner),
            ExprKind::Column { .. } => {
                let column = self.analysis.column_of(expr, self.block);
                sorting(column.and_then(|column| self.analysis.definition(&column)))
            }
            ExprKind::Function(function) => {
                match function.name.text.to_ascii_lowercase().as_str() {
                    "count" | "sum" | "avg" => Sorting::Value,
                    "min" | "max" => match function.args.as_slice() {
                        // The greatest ENUM is the greatest text, so it compares as text.
                        [only] if self.sorting_of(only) == Sorting::Value => Sorting::Value,
                        _ => Sorting::Weight,
                    },
                    _ => Sorting::Weight,
                }
            }
            // Each is 0, 1 or NULL.
            ExprKind::IsNull { .. }
            | ExprKind::Like { .. }
            | ExprKind::Between { .. }
            | ExprKind::In { .. }
            | ExprKind::InSubquery { .. }
            | ExprKind::Exists { .. } => Sorting::Value,
            _ => Sorting::Weight,
        }
    }

    /// The column of a select item, if no `*` before it hides its number.
    pub(super) fn visible(&self, item: usize) -> Option<ColumnRef> {
        let plain = self.select.items[..item].iter().all(|item| item_expr(item).is_some());
        plain.then_some(ColumnRef::Visible(item))
    }

    /// What an ORDER BY term means: the number of an item, an alias, or an expression. `None` for
    /// a constant, which sorts nothing.
    pub(super) fn order_term(&self, expr: &'a Expr) -> Result<Option<Term<'a>>, SqlError> {
        match &expr.kind {
            ExprKind::Null | ExprKind::Hole(_) => return Ok(None),
            ExprKind::Ordinal(number) => return self.item_numbered(*number).map(Some),
            ExprKind::Column { table: None, name, .. } => {
                let aliased = self.select.items.iter().position(|item| {
                    matches!(item, SelectItem::Expr { alias: Some(alias), .. }
                        if same_name(&alias.text, &name.text))
                });
                if let Some(item) = aliased {
                    return Ok(self.term_of_item(item));
                }
            }
            _ => {}
        }
        Ok(Some(self.term(expr)))
    }

    /// What a GROUP BY term means. Unlike in ORDER BY, a column of a table goes before an alias.
    pub(super) fn group_term(&self, expr: &'a Expr) -> Result<Term<'a>, SqlError> {
        match &expr.kind {
            ExprKind::Ordinal(number) => return self.item_numbered(*number),
            ExprKind::Column { table: None, name, .. } => {
                let aliased = self.select.items.iter().position(|item| {
                    matches!(item, SelectItem::Expr { alias: Some(alias), expr, .. }
                        if same_name(&alias.text, &name.text)
                            && !is_column(expr, &name.text))
                });
                if let Some(item) = aliased {
                    // The name may be a column that the VSchema does not list.
                    if self.analysis.may_have_column(self.block, &name.text) {
                        return Refusal::GroupExpression.refuse();
                    }
                    return self.term_of_item(item).ok_or_else(|| Refusal::GroupExpression.error());
                }
            }
            _ => {}
        }
        Ok(self.term(expr))
    }

    fn term(&self, expr: &'a Expr) -> Term<'a> {
        let own = Term { expr, item: None };
        let item = self.select.items.iter().position(|item| {
            item_expr(item).is_some_and(|expr| self.same_term(&own, &Term { expr, item: None }))
        });
        Term { expr, item }
    }

    fn term_of_item(&self, item: usize) -> Option<Term<'a>> {
        let expr = item_expr(&self.select.items[item])?;
        Some(Term { expr, item: Some(item) })
    }

    fn item_numbered(&self, number: u64) -> Result<Term<'a>, SqlError> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let item = index
            .filter(|index| *index < self.select.items.len() && self.visible(*index).is_some());
        item.and_then(|item| self.term_of_item(item))
            .ok_or_else(|| Refusal::OrderExpression.error())
    }

    /// Whether two terms are certainly the same: the same column, or the same text without
    /// literals (which may differ in the next statement that uses this plan).
    pub(super) fn same_term(&self, a: &Term<'_>, b: &Term<'_>) -> bool {
        if a.item.is_some() && a.item == b.item {
            return true;
        }
        let column = |term: &Term<'_>| self.analysis.column_of(term.expr, self.block);
        if let (Some(a), Some(b)) = (column(a), column(b)) {
            return a == b;
        }
        let text = |term: &Term<'_>| self.analysis.input.text_of(term.expr.span);
        text(a).eq_ignore_ascii_case(text(b)) && !has_hole(a.expr) && !has_hole(b.expr)
    }
}

fn unnested(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Nested(inner) => unnested(inner),
        _ => expr,
    }
}

fn is_column(expr: &Expr, wanted: &str) -> bool {
    matches!(&expr.kind, ExprKind::Column { name, .. } if same_name(&name.text, wanted))
}

fn direction(item: &OrderItem) -> Direction {
    if item.descending { Direction::Descending } else { Direction::Ascending }
}
