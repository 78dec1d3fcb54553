//! Which sequences of MariaDB a statement takes numbers from, and of which it asks for the last.
//!
//! NEXTVAL(s), NEXT VALUE FOR s, LASTVAL(s), PREVIOUS VALUE FOR s
//! (<https://mariadb.com/kb/en/sequence-functions/>). What is inside of routines, triggers and
//! column defaults is not seen.

use super::ast::Ident;
use super::cursor::Cursor;
use super::mode::LexMode;
use super::scan::Scan;

/// The sequences that a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceUse {
    /// Those it takes numbers from.
    pub taken: Vec<Sequence>,
    /// Those whose last number it asks for.
    pub asked: Vec<Sequence>,
}

/// A sequence as a statement names it. Servers may not tell cases apart; here two are never taken
/// for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The database, if written.
    pub database: Option<String>,
    /// The name.
    pub name: String,
}

impl SequenceUse {
    /// Reads the statement that `scan` found in `text`.
    pub fn of(text: &[u8], mode: LexMode, scan: &Scan) -> Self {
        let mut found = Self::default();
        let Ok(mut cursor) = Cursor::new(text, mode, scan) else { return found };
        while !cursor.at_end() {
            let is_call = !cursor.follows_dot() && cursor.symbol_at(1, "(");
            let (list, words) = if is_call && cursor.at_word("NEXTVAL") {
                (&mut found.taken, 2)
            } else if is_call && cursor.at_word("LASTVAL") {
                (&mut found.asked, 2)
            } else if cursor.at_words(&["NEXT", "VALUE", "FOR"]) {
                (&mut found.taken, 3)
            } else if cursor.at_words(&["PREVIOUS", "VALUE", "FOR"]) {
                (&mut found.asked, 3)
            } else {
                cursor.advance();
                continue;
            };
            for _ in 0..words {
                cursor.advance();
            }
            list.extend(eat_sequence(&mut cursor));
        }
        found
    }
}

fn eat_sequence(cursor: &mut Cursor<'_>) -> Option<Sequence> {
    let text = |ident: Ident| ident.text;
    let first = text(cursor.eat_ident()?);
    if !cursor.eat_symbol(".") {
        return Some(Sequence { database: None, name: first });
    }
    let name = text(cursor.eat_ident()?);
    Some(Sequence { database: Some(first), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[Sequence]) -> Vec<String> {
        let name = |s: &Sequence| match &s.database {
            Some(database) => format!("{database}.{}", s.name),
            None => s.name.clone(),
        };
        list.iter().map(name).collect()
    }

    /// Goal: all four forms are found wherever they stand, and nothing else.
    #[test]
    fn sequences_are_found_by_every_form() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("SELECT NEXTVAL(s)", &["s"], &[]),
            (
                "INSERT INTO t VALUES (NEXT VALUE FOR `D b`.S, nextval( d.s2 ))",
                &["D b.S", "d.s2"],
                &[],
            ),
            ("SELECT LASTVAL(s), PREVIOUS VALUE FOR d.s", &[], &["s", "d.s"]),
            ("SELECT 'NEXTVAL(s)', t.lastval, x.nextval(1) FROM t", &[], &[]),
        ];
        for (text, taken, asked) in cases {
            let mut scan = Scan::new();
            scan.run(text.as_bytes(), LexMode::default()).expect("it can be read");
            let found = SequenceUse::of(text.as_bytes(), LexMode::default(), &scan);
            assert_eq!(names(&found.taken), *taken, "{text}");
            assert_eq!(names(&found.asked), *asked, "{text}");
        }
    }
}
