//! What the planner is told besides the statement's tree.

use std::sync::Arc;

use crate::config::ReferenceCopies;
use crate::key::Destination;
use crate::sql::ast::{HoleId, Span};
use crate::sql::mode::LexMode;
use crate::sql::position::SkeletonSpan;
use crate::sql::scan::{HoleKind, Scan};
use crate::vschema::{Column, Strictness, TableName, TabletType, VSchema};

use super::live_columns::Differences;

/// Everything a plan depends on but the tree.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The statement's bytes.
    pub text: &'a [u8],
    /// What the lexer found in them.
    pub scan: &'a Scan,
    /// How it read them.
    pub mode: LexMode,
    /// The VSchema.
    pub vschema: &'a VSchema,
    /// What the session is aimed at.
    pub target: &'a Target,
    /// Whether Vitess' silences are accepted.
    pub strictness: Strictness,
    /// Who keeps the copies of reference tables.
    pub reference_copies: ReferenceCopies,
    /// Columns as the servers have them; they go before the VSchema's.
    pub columns: &'a dyn ColumnSource,
}

/// What a session is aimed at: `USE keyspace:shard@type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The default keyspace.
    pub keyspace: Option<Arc<str>>,
    /// The shard or shards, if named: vindexes are then bypassed.
    pub destination: Option<Destination>,
    /// Which servers.
    pub tablet_type: TabletType,
}

/// Live column definitions, as far as they are known.
pub trait ColumnSource {
    /// All columns of a table, in order; `None` if the table has not been seen.
    /// Where the shards differ, what is known of all of them.
    fn columns(&self, table: &TableName) -> Option<&[Column]>;

    /// In what the shards of a keyspace define a table differently.
    fn differences(&self, _table: &TableName) -> Option<&Differences> {
        None
    }

    /// Whether a name is known to be that of a view.
    fn is_view(&self, _name: &TableName) -> bool {
        false
    }

    /// The views that may show rows of one of these tables, by whatever views between them.
    fn views_over(&self, _tables: &[TableName]) -> Vec<TableName> {
        Vec::new()
    }
}

/// No live definitions: only what the VSchema says.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoColumns;

impl ColumnSource for NoColumns {
    fn columns(&self, _: &TableName) -> Option<&[Column]> {
        None
    }
}

impl PlanInput<'_> {
    /// The text of a span.
    pub(super) fn text_of(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end as usize]
    }

    /// A span as a place in the skeleton. `None` would be a span that cuts a literal, which the
    /// tree never gives.
    pub(super) fn place(&self, span: Span) -> Option<SkeletonSpan> {
        self.scan.locate_span(span)
    }

    /// Whether two holes are the same literal, or may turn out to have the same value.
    pub(super) fn may_be_same(&self, a: HoleId, b: HoleId) -> bool {
        let holes = self.scan.holes();
        let (a, b) = (holes[a as usize], holes[b as usize]);
        if a.kind == HoleKind::Placeholder || b.kind == HoleKind::Placeholder {
            return true;
        }
        let text = |cut: crate::sql::scan::Cut| &self.text[cut.start as usize..cut.end as usize];
        text(a.cut) == text(b.cut)
    }
}
