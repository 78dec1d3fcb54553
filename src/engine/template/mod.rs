//! The text that goes to a shard: the client's own bytes with splices.
//!
//! A statement is never printed from a tree, because printing changes column names, drops comments
//! and breaks literals. Splices are given as places of the skeleton, so one template serves all
//! statements of that shape.

use std::ops::Range;

use crate::error::SqlError;
use crate::sql::ast::HoleId;
use crate::sql::position::{SkeletonOffset, SkeletonSpan};

use crate::engine::limit::limit_value;
use crate::engine::plan::{Bindings, LimitValue, SessionValue, ShardPart};

/// How a statement's text becomes a shard's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryTemplate {
    splices: Vec<Splice>,
}

/// One change of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Splice {
    /// What is replaced; empty for an insertion.
    pub span: SkeletonSpan,
    /// What stands there instead.
    pub with: Replacement,
}

/// What a [`Splice`] writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Replacement {
    /// Fixed text; empty to delete.
    Text(Box<str>),
    /// The shard's part of a list, its items joined by a comma: an IN list or the rows of VALUES.
    Items(Vec<Item>),
    /// Fixed text and copies of other parts of the statement: hidden columns.
    Pieces(Vec<Piece>),
    /// `LIMIT` and the sum of both numbers.
    LimitSum(LimitValue, LimitValue),
    /// The generated value of a row, or what stood there if the row keeps its own.
    Generated {
        /// Number of the row.
        row: u32,
        /// Written before it.
        prefix: Box<str>,
    },
    /// What only the session knows.
    Session(SessionValue),
    /// ` AS ` and a part of the statement as a name: what servers call a column whose expression
    /// it is.
    NameOf(SkeletonSpan),
}

/// The longest name that servers give a column.
const NAME_MAX: usize = 255;

/// A part of [`Replacement::Pieces`].
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Fixed text.
    Text(Box<str>),
    /// A copy of a part of the statement, its literals as they are in the text at hand.
    Copy(Item),
}

/// A part of the text that is copied: an element of a list that is cut per shard, or a
/// [`Piece::Copy`].
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it is.
    pub span: SkeletonSpan,
    /// Changes inside it, in text order.
    pub splices: Vec<Splice>,
}

/// Text for one shard. Meant to be reused.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The statement.
    pub text: Vec<u8>,
    /// The holes of the `?` that are left in it, in text order.
    pub placeholders: Vec<HoleId>,
}

impl QueryTemplate {
    /// A template that leaves the text as it is.
    pub fn verbatim() -> Self {
        Self::default()
    }

    /// A template with splices, which are put into text order; splices at the same place stay in
    /// the order given.
    pub fn new(mut splices: Vec<Splice>) -> Self {
        splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
        Self { splices }
    }

    /// Whether the shard gets the client's bytes unchanged, whatever the shard.
    pub fn is_verbatim(&self) -> bool {
        self.splices.is_empty()
    }

    /// Whether the text differs between executions of the same literals, so that a prepared
    /// statement on a server cannot be used again.
    pub fn depends_on_session(&self) -> bool {
        self.splices.iter().any(|splice| {
            matches!(splice.with, Replacement::Session(_) | Replacement::LimitSum(..))
        })
    }

    /// Whether every shard gets the same text.
    pub fn is_same_for_all(&self) -> bool {
        !self.splices.iter().any(|splice| matches!(splice.with, Replacement::Items(_)))
    }

    /// Writes the text for one shard into `out`, which is emptied first. `generated` are the
    /// sequence values of the statement's rows, 0 where a row keeps its own.
    pub fn render<B: Bindings>(
        &self,
        bindings: &B,
        part: &ShardPart,
        generated: &[u64],
        out: &mut Rendered,
    ) -> Result<(), SqlError> {
        out.text.clear();
        out.placeholders.clear();
        let mut writer = Writer { bindings, part, generated, out };
        let end = bindings.text().len();
        writer.range(0..end, &self.splices)
    }
}

struct Writer<'a, B> {
    bindings: &'a B,
    part: &'a ShardPart,
    generated: &'a [u64],
    out: &'a mut Rendered,
}

impl<B: Bindings> Writer<'_, B> {
    fn span(&self, span: SkeletonSpan) -> Range<usize> {
        let offset = |place: SkeletonOffset| self.bindings.offset(place);
        offset(span.start)..offset(span.end)
    }

    /// Copies a range of the text with its splices.
    fn range(&mut self, range: Range<usize>, splices: &[Splice]) -> Result<(), SqlError> {
        let mut at = range.start;
        for splice in splices {
            let span = self.span(splice.span);
            self.copy(at..span.start);
            at = span.end;
            self.splice(splice, span)?;
        }
        self.copy(at..range.end);
        Ok(())
    }

    fn splice(&mut self, splice: &Splice, span: Range<usize>) -> Result<(), SqlError> {
        match &splice.with {
            Replacement::Text(text) => self.out.text.extend_from_slice(text.as_bytes()),
            Replacement::Session(value) => {
                self.bindings.session_value(*value, &mut self.out.text);
            }
            Replacement::NameOf(span) => {
                let written = String::from_utf8_lossy(&self.bindings.text()[self.span(*span)]);
                if written.chars().count() <= NAME_MAX {
                    let name = format!(" AS `{}`", written.replace('`', "``"));
                    self.out.text.extend_from_slice(name.as_bytes());
                }
            }
            Replacement::Pieces(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => self.out.text.extend_from_slice(text.as_bytes()),
                        Piece::Copy(item) => self.range(self.span(item.span), &item.splices)?,
                    }
                }
            }
            Replacement::LimitSum(count, offset) => {
                let count = limit_value(*count, self.bindings)?;
                let offset = limit_value(*offset, self.bindings)?;
                self.out.text.extend_from_slice(b"LIMIT ");
                self.number(count.saturating_add(offset));
            }
            Replacement::Generated { row, prefix } => match self.generated.get(*row as usize) {
                Some(&value) if value != 0 => {
                    self.out.text.extend_from_slice(prefix.as_bytes());
                    self.number(value);
                }
                _ => self.copy(span),
            },
            Replacement::Items(items) => self.items(items)?,
        }
        Ok(())
    }

    fn items(&mut self, items: &[Item]) -> Result<(), SqlError> {
        let wanted = self.part.items.as_deref();
        let mut first = true;
        for (number, item) in items.iter().enumerate() {
            if wanted.is_some_and(|wanted| wanted.binary_search(&(number as u32)).is_err()) {
                continue;
            }
            if !first {
                self.out.text.extend_from_slice(b", ");
            }
            first = false;
            self.range(self.span(item.span), &item.splices)?;
        }
        Ok(())
    }

    fn copy(&mut self, range: Range<usize>) {
        self.out.text.extend_from_slice(&self.bindings.text()[range.clone()]);
        let mut low = 0;
        let mut high = self.bindings.hole_count();
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.bindings.hole_span(middle as HoleId).start < range.start {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for hole in low as HoleId..self.bindings.hole_count() as HoleId {
            if self.bindings.hole_span(hole).start >= range.end {
                break;
            }
            if self.bindings.is_placeholder(hole) {
                self.out.placeholders.push(hole);
            }
        }
    }

    fn number(&mut self, number: u64) {
        self.out.text.extend_from_slice(number.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests;
