//! The places of a statement's parameters, as far as it matters there of which type a NULL is.
//!
//! A whitelist: everywhere else the type of a NULL may be seen, for example in the type of
//! COALESCE, and in a comparison by the warnings about what it is compared with.

use smallvec::SmallVec;

use super::ast::{Expr, ExprKind, InsertSource, Statement};
use super::mode::LexMode;
use super::parse::parse;
use super::scan::{HoleKind, Scan};

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullPlace {
    /// It is the whole value of a column: NULL is stored, whatever its type.
    Assigned,
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
        }
        Statement::Delete(_) | Statement::Query(_) | Statement::Ddl(_) => {}
    }
    let holes = scan.holes().iter().zip(places.0);
    holes.filter(|(hole, _)| hole.kind == HoleKind::Placeholder).map(|(_, place)| place).collect()
}

/// The places of all holes.
struct Places(SmallVec<[NullPlace; 8]>);

impl Places {
    fn assigned<'a>(&mut self, values: impl IntoIterator<Item = &'a Expr>) {
        for value in values {
            if let ExprKind::Hole(hole) = value.kind
                && let Some(place) = self.0.get_mut(hole as usize)
            {
                *place = NullPlace::Assigned;
            }
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
            ("UPDATE t SET a = ?, b = b + ? WHERE c = ?", "a--"),
            ("UPDATE t, u SET t.a = ? WHERE t.b = u.b AND u.c = ?", "a-"),
            ("DELETE FROM t WHERE a = ?", "-"),
            ("SELECT a, ? FROM t WHERE b >= ?", "--"),
        ] {
            assert_eq!(of(text), places, "{text}");
        }
    }
}
