//! Which keyspaces a statement asks information_schema about: the values that it compares with
//! columns such as TABLE_SCHEMA. Only servers of that keyspace have an answer.

use crate::sql::ast::{Comparison, Expr, ExprKind, HoleId, Query, TableFactor};
use crate::sql::visit::{Visitor, Walk, walk_query};

/// The literals and parameters that name schemas.
pub(super) fn named(query: &Query) -> Vec<HoleId> {
    let mut found = Named::default();
    walk_query(&mut found, query);
    // Dump tools ask for the tablespaces of all databases that they are told, of which there are
    // none outside of NDB.
    if found.files { Vec::new() } else { found.holes }
}

#[derive(Default)]
struct Named {
    holes: Vec<HoleId>,
    /// It reads information_schema.FILES.
    files: bool,
}

impl Named {
    fn note(&mut self, column: &Expr, values: &[Expr]) {
        if !is_schema(column) {
            return;
        }
        self.holes.extend(values.iter().filter_map(|value| match unnested(value).kind {
            ExprKind::Hole(hole) => Some(hole),
            _ => None,
        }));
    }
}

impl Visitor for Named {
    fn table(&mut self, table: &TableFactor) {
        self.files |= table.name.name.text.eq_ignore_ascii_case("FILES");
    }

    fn expr(&mut self, expr: &Expr) -> Walk {
        match &expr.kind {
            ExprKind::Compare {
                operator: Comparison::Equal | Comparison::NullSafeEqual,
                left,
                right,
            } => {
                self.note(left, std::slice::from_ref(right));
                self.note(right, std::slice::from_ref(left));
            }
            ExprKind::In { expr, list, negated: false, .. } => self.note(expr, list),
            // Drivers look for names by patterns, in which `_` stands for itself, too.
            ExprKind::Like { expr, pattern, negated: false, .. } => {
                self.note(expr, std::slice::from_ref(pattern));
            }
            _ => {}
        }
        Walk::Inside
    }
}

/// `TABLE_SCHEMA`, `ROUTINE_SCHEMA`, .. and `SCHEMA_NAME`.
fn is_schema(column: &Expr) -> bool {
    let ExprKind::Column { name, .. } = &unnested(column).kind else { return false };
    let name = name.text.to_ascii_lowercase();
    name.ends_with("_schema") || name == "schema_name"
}

fn unnested(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Nested(inner) => unnested(inner),
        _ => expr,
    }
}
