//! The places of a statement's parameters, as far as it matters there what was bound before a NULL.
//!
//! A whitelist. Everywhere else the type of an earlier value may be seen, for example in the type
//! of COALESCE, or even the value itself: MySQL 9.7 finds it again with NULL in `k IN (?, 'abc')`.

use smallvec::SmallVec;

use super::ast::{Comparison, Expr, ExprKind, InsertSource, SetExpr, Statement};
use super::mode::LexMode;
use super::parse::parse;
use super::scan::{HoleKind, Scan};

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullPlace {
    /// It is the whole value of a column: NULL is stored, whatever its type.
    Assigned,
    /// It is compared with a column in WHERE: nothing is left of an earlier value, but warnings
    /// about the column's values tell its type.
    Compared,
    /// Elsewhere.
    Other,
}

/// The places of all parameters of a text; none if it is not understood.
pub fn null_places(text: &[u8], mode: LexMode, scan: &Scan) -> SmallVec<[NullPlace; 8]> {
    let Ok(statement) = parse(text, mode, scan) else { return SmallVec::new() };
    let mut places = Places(scan.holes().iter().map(|_| NullPlace::Other).collect());
    match &statement {
        Statement::Insert(insert) => {
            match &insert.source {
                InsertSource::Values(rows) => places.assigned(rows.iter().flat_map(|r| &r.values)),
                InsertSource::Set(values) => places.assigned(values),
                InsertSource::Query(_) => {}
            }
            places.assigned(insert.on_duplicate.iter().map(|assignment| &assignment.value));
        }
        Statement::Update(update) => {
            places.assigned(update.assignments.iter().map(|assignment| &assignment.value));
            places.compared(update.filter.as_ref());
        }
        Statement::Delete(delete) => places.compared(delete.filter.as_ref()),
        Statement::Query(query) => {
            if let SetExpr::Select(select) = &query.body {
                places.compared(select.filter.as_ref());
            }
        }
        Statement::Ddl(_) => {}
    }
    let holes = scan.holes().iter().zip(places.0);
    holes.filter(|(hole, _)| hole.kind == HoleKind::Placeholder).map(|(_, place)| place).collect()
}

/// The places of all holes.
struct Places(SmallVec<[NullPlace; 8]>);

impl Places {
    fn note(&mut self, expr: &Expr, place: NullPlace) {
        if let ExprKind::Hole(hole) = expr.kind
            && let Some(noted) = self.0.get_mut(hole as usize)
        {
            *noted = place;
        }
    }

    fn assigned<'a>(&mut self, values: impl IntoIterator<Item = &'a Expr>) {
        for value in values {
            self.note(value, NullPlace::Assigned);
        }
    }

    fn compared(&mut self, filter: Option<&Expr>) {
        let Some(expr) = filter else { return };
        match &expr.kind {
            ExprKind::Nested(inner) => self.compared(Some(inner)),
            ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                self.compared(Some(left));
                self.compared(Some(right));
            }
            ExprKind::Compare { operator, left, right }
                if *operator != Comparison::NullSafeEqual
                    && matches!(left.kind, ExprKind::Column { .. }) =>
            {
                self.note(right, NullPlace::Compared);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_places_take_any_null() {
        let of = |text: &str| {
            let mut scan = Scan::new();
            scan.run(text.as_bytes(), LexMode::default()).unwrap();
            let places = null_places(text.as_bytes(), LexMode::default(), &scan);
            let letter = |place: &NullPlace| match place {
                NullPlace::Assigned => 'a',
                NullPlace::Compared => 'c',
                NullPlace::Other => '-',
            };
            places.iter().map(letter).collect::<String>()
        };
        for (text, places) in [
            ("INSERT INTO t (a, b) VALUES (?, 1), (?, ? + 1)", "aa-"),
            ("INSERT INTO t SET a = ?, b = COALESCE(?, 1)", "a-"),
            ("INSERT INTO t SELECT ?", "-"),
            ("REPLACE INTO t VALUES (?, (?))", "a-"),
            ("INSERT INTO t VALUES (?) ON DUPLICATE KEY UPDATE a = ?, b = -?", "aa-"),
            ("UPDATE t SET a = ?, b = b + ? WHERE c = ? AND (d < ? OR e <=> ?)", "a-cc-"),
            ("UPDATE t, u SET t.a = ? WHERE t.b = u.b AND u.c = ?", "ac"),
            ("DELETE FROM t WHERE a = ? OR NOT b = ? OR c IN (?)", "c--"),
            ("DELETE FROM t WHERE a + 1 = ? AND ? = b AND c = ? COLLATE utf8mb4_bin", "---"),
            ("SELECT a, ? FROM t WHERE b >= ? LIMIT ?", "-c-"),
            ("SELECT 1 FROM t WHERE a = ? UNION SELECT ?", "--"),
            ("SELECT 1 FROM t WHERE a = (SELECT b FROM u WHERE c = ?)", "-"),
        ] {
            assert_eq!(of(text), places, "{text}");
        }
    }
}
