//! Positions that hold in every text with the same skeleton.
//!
//! A plan is made from one text and serves all texts with its skeleton, whose literals and
//! comments have other lengths. A splice is therefore stored as an offset in the skeleton, and
//! turned into an offset of the text at hand when the statement is sent.

use super::ast::Span;
use super::scan::{Cut, MARKER, Scan};

/// An offset in a skeleton, never inside a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkeletonOffset(u32);

/// A range of a skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SkeletonSpan {
    /// Its start.
    pub start: SkeletonOffset,
    /// Its end.
    pub end: SkeletonOffset,
}

impl Scan {
    /// The skeleton offset of a byte offset of the scanned text; `None` inside a literal or
    /// comment and beyond the end.
    pub fn locate(&self, offset: u32) -> Option<SkeletonOffset> {
        if offset > self.end() {
            return None;
        }
        let cut = self.last_cut(|cut| cut.start < offset);
        let Some(cut) = cut else { return Some(SkeletonOffset(offset)) };
        (offset >= cut.end).then(|| SkeletonOffset(cut.marker + MARKER + (offset - cut.end)))
    }

    /// The skeleton range of a span of the scanned text.
    pub fn locate_span(&self, span: Span) -> Option<SkeletonSpan> {
        Some(SkeletonSpan { start: self.locate(span.start)?, end: self.locate(span.end)? })
    }

    /// The byte offset, in the scanned text, of an offset of its skeleton.
    pub fn resolve(&self, offset: SkeletonOffset) -> u32 {
        match self.last_cut(|cut| cut.marker + MARKER <= offset.0) {
            None => offset.0,
            Some(cut) => cut.end + (offset.0 - cut.marker - MARKER),
        }
    }

    /// The span, in the scanned text, of a range of its skeleton.
    pub fn resolve_span(&self, span: SkeletonSpan) -> Span {
        Span { start: self.resolve(span.start), end: self.resolve(span.end) }
    }

    /// The last hole or comment for which `before` holds; it must hold for a prefix of them.
    fn last_cut(&self, before: impl Fn(&Cut) -> bool) -> Option<Cut> {
        let hole = self.holes.partition_point(|hole| before(&hole.cut));
        let comment = self.comments.partition_point(&before);
        let hole = hole.checked_sub(1).map(|at| self.holes[at].cut);
        let comment = comment.checked_sub(1).map(|at| self.comments[at]);
        match (hole, comment) {
            (Some(a), Some(b)) => Some(if a.start > b.start { a } else { b }),
            (a, b) => a.or(b),
        }
    }
}
