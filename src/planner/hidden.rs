//! Columns appended to the select list, which the proxy needs and the client does not see.

use crate::engine::plan::{ColumnRef, Weight};
use crate::engine::template::{Item, Piece, Replacement, Splice};
use crate::error::SqlError;
use crate::sql::ast::{Expr, Span};

use super::analysis::Analysis;
use super::unsupported::Refusal;

/// What one weight is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A row, or a value that is the same for a whole group in every server's eyes.
    Row,
    /// A group of rows, by an expression. MySQL's ONLY_FULL_GROUP_BY does not see that what is made
    /// of a grouped expression is the same in the whole group, so any one of them is asked for.
    Group,
}

/// The hidden columns so far.
pub(super) struct HiddenColumns<'a, 'b> {
    analysis: &'a Analysis<'b>,
    columns: Vec<Vec<Piece>>,
}

impl<'a, 'b> HiddenColumns<'a, 'b> {
    pub(super) fn new(analysis: &'a Analysis<'b>) -> Self {
        Self { analysis, columns: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.columns.len()
    }

    /// A copy of a part of the statement, with the splices that lie in it.
    pub(super) fn copy(&self, span: Span) -> Result<Piece, SqlError> {
        let input = &self.analysis.input;
        let place = |span| input.place(span).ok_or_else(|| Refusal::UnknownParts.error());
        let mut splices = Vec::new();
        for (at, with) in &self.analysis.splices {
            if at.start >= span.start && at.end <= span.end {
                splices.push(Splice { span: place(*at)?, with: with.clone() });
            }
        }
        splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
        Ok(Piece::Copy(Item { span: place(span)?, splices }))
    }

    /// `before expression after`.
    pub(super) fn add(
        &mut self,
        before: &str,
        expr: &Expr,
        after: &str,
    ) -> Result<ColumnRef, SqlError> {
        let pieces = vec![text(before), self.copy(expr.span)?, text(after)];
        if let Some(same) = self.columns.iter().position(|own| *own == pieces) {
            return Ok(ColumnRef::Hidden(same));
        }
        self.columns.push(pieces);
        Ok(ColumnRef::Hidden(self.columns.len() - 1))
    }

    /// What makes text of this expression comparable: its weight string, and the weight of a space
    /// if its collation pads. The server knows the collation, so the server is asked: an empty
    /// piece of the value keeps it, and a space added to that is equal to nothing if it pads.
    pub(super) fn weight(&mut self, expr: &Expr, of: Of) -> Result<Weight, SqlError> {
        let (open, close) = match of {
            Of::Row => ("", ""),
            Of::Group => ("MIN(", ")"),
        };
        let string = self.add(&format!("{open}WEIGHT_STRING("), expr, &format!("){close}"))?;
        let copy = self.copy(expr.span)?;
        let mut pieces = vec![text(&format!("{open}IF(CONCAT(LEFT("))];
        for between in [", 0), ' ') = LEFT(", ", 0), WEIGHT_STRING(CONCAT(LEFT("] {
            pieces.extend([copy.clone(), text(between)]);
        }
        pieces.extend([copy, text(&format!(", 0), ' ')), NULL){close}"))]);
        let pad = match self.columns.iter().position(|own| *own == pieces) {
            Some(same) => same,
            None => {
                self.columns.push(pieces);
                self.columns.len() - 1
            }
        };
        Ok(Weight { string, pad: ColumnRef::Hidden(pad) })
    }

    /// The insertion at the end of the select list.
    pub(super) fn replacement(self) -> Replacement {
        let mut pieces = Vec::new();
        for (number, column) in self.columns.into_iter().enumerate() {
            pieces.push(text(", "));
            pieces.extend(column);
            pieces.push(text(&format!(" AS `_gg{number}`")));
        }
        Replacement::Pieces(pieces)
    }
}

pub(super) fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}
