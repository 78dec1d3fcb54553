//! No text makes the readers panic, and the properties that plans rest on hold for any text.

use proptest::prelude::*;

use super::*;
use crate::sql::mode::{Backslash, CharsetClass, DoubleQuote};
use crate::sql::scan::HoleKind;

fn mode() -> impl Strategy<Value = LexMode> {
    let quote = prop_oneof![Just(DoubleQuote::String), Just(DoubleQuote::Identifier)];
    let backslash = prop_oneof![Just(Backslash::Escape), Just(Backslash::Literal)];
    let charset = prop_oneof![
        Just(CharsetClass::AsciiSafe),
        Just(CharsetClass::Gbk),
        Just(CharsetClass::Sjis),
        Just(CharsetClass::Big5)
    ];
    (quote, backslash, charset).prop_map(|(double_quote, backslash, charset)| LexMode {
        double_quote,
        backslash,
        charset,
        ..LexMode::default()
    })
}

/// Reads `text` with everything that reads text.
fn read_all(text: &[u8], mode: LexMode) {
    let mut scan = Scan::new();
    if scan.run(text, mode).is_err() {
        return;
    }
    for hole in scan.holes() {
        let value = hole.literal(text, mode);
        assert!(value.is_none() || hole.kind != HoleKind::Placeholder);
    }
    for offset in 0..=scan.end() {
        if let Some(position) = scan.locate(offset) {
            assert_eq!(scan.resolve(position), offset);
        }
    }
    let _ = parse(text, mode, &scan);
    let _ = crate::sql::control::parse(text, mode, &scan);
    let _ = crate::sql::control::directive::directives(text, mode);
}

fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(FRAGMENTS)
}

#[rustfmt::skip]
const FRAGMENTS: &[&str] = &[
    "SELECT ", "(", ")", "'a", "'", "\"", "`", "/*", "*/", "/*!40101 ", "-- ", "\n", "#", "1",
    "0x", ".5", "e1", "?", "@a", "@@", ":=", ",", "*", ".", " FROM t", " WHERE ", " AND ", " OR ",
    " NOT ", " IN ", " BETWEEN ", " INTERVAL ", " DAY", " ORDER BY ", " GROUP BY ", " LIMIT ",
    " UNION ", " WITH ", " AS ", " JOIN ", " ON ", " USING ", "INSERT INTO t ", " VALUES ",
    " SET ", "UPDATE ", "DELETE ", " CASE ", " WHEN ", " END ", " EXISTS ", "-", "!", "=", "a",
    "SHOW ", "USE ", "EXPLAIN ", "COUNT(*)", " OVER ", "_utf8", "\\", "[", "]", "CREATE TABLE ",
    "\u{e4}", " COLLATE ", " LEFT ", " MATCH ", " AGAINST ", ";",
];

proptest! {
    #[test]
    fn random_bytes(text in prop::collection::vec(any::<u8>(), 0..200), mode in mode()) {
        read_all(&text, mode);
    }

    #[test]
    fn random_fragments(parts in prop::collection::vec(fragment(), 0..40), mode in mode()) {
        read_all(parts.concat().as_bytes(), mode);
    }

    #[test]
    fn mutated_statements(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..12,
        part in fragment(),
    ) {
        let corpus = corpus();
        let mut text = which.get(&corpus).clone().into_bytes();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, part.bytes());
        read_all(&text, LexMode::default());
    }

    /// Other literals of the same kinds: the same skeleton, the same tree, and every position of
    /// the one text is found at the same place of the other.
    #[test]
    fn literals_do_not_matter(
        which in any::<prop::sample::Index>(),
        numbers in prop::collection::vec(0u64..u64::MAX, 1..8),
        strings in prop::collection::vec("[a-z'\\\\ /*#-]{0,9}", 1..8),
    ) {
        let corpus = corpus();
        let made = which.get(&corpus).as_bytes();
        let mode = LexMode { backslash: Backslash::Literal, ..LexMode::default() };
        let mut made_scan = Scan::new();
        made_scan.run(made, mode).expect("a statement of the corpus");
        let mut used = Vec::new();
        let mut splicer = crate::sql::splice::Splicer::new(made, &mut used);
        for (number, hole) in made_scan.holes().iter().enumerate() {
            let text = match hole.kind {
                HoleKind::Int => numbers[number % numbers.len()].to_string(),
                HoleKind::String => {
                    format!("'{}'", strings[number % strings.len()].replace('\'', "''"))
                }
                _ => continue,
            };
            splicer.replace(Span { start: hole.cut.start, end: hole.cut.end }, text.as_bytes());
        }
        splicer.finish().expect("holes are in order");
        let mut used_scan = Scan::new();
        used_scan.run(&used, mode).expect("only literals differ");
        prop_assert_eq!(made_scan.skeleton(), used_scan.skeleton());
        prop_assert_eq!(made_scan.holes().len(), used_scan.holes().len());
        for offset in 0..=made_scan.end() {
            let Some(position) = made_scan.locate(offset) else { continue };
            let there = used_scan.resolve(position);
            prop_assert_eq!(used_scan.locate(there), Some(position));
            let at_hole = made_scan.holes().iter().any(|hole| hole.cut.start == offset);
            if !at_hole {
                prop_assert_eq!(made.get(offset as usize), used.get(there as usize));
            }
        }
        let made_tree = parse(made, mode, &made_scan).map(|tree| super::tree::statement(&tree));
        let used_tree = parse(&used, mode, &used_scan).map(|tree| super::tree::statement(&tree));
        prop_assert_eq!(made_tree.ok(), used_tree.ok());
    }
}

/// Text built to nest or to chain deeply is refused or read, on the stack of an ordinary thread.
#[test]
fn hostile_nesting() {
    let repeat = |text: &str| text.repeat(20_000);
    let texts = [
        format!("SELECT {}1{}", repeat("("), repeat(")")),
        format!("SELECT {}1", repeat("-")),
        format!("SELECT {}1", repeat("NOT ")),
        format!("SELECT {}1", repeat("!")),
        format!("SELECT 1{}", repeat(" OR a")),
        format!("SELECT 1{}", repeat(" + a")),
        format!("SELECT 1{}", repeat(" = a")),
        format!("SELECT 1{}", repeat(" UNION SELECT 1")),
        format!("SELECT 1{}", repeat(" COLLATE a")),
        format!("SELECT * FROM a{}", repeat(" JOIN a")),
        format!("SELECT * FROM a{}", repeat(" LEFT JOIN a")),
        format!("SELECT * FROM {}a", repeat("(")),
        format!("SELECT {}", repeat("(SELECT ")),
        format!("SELECT {}", repeat("f(")),
        format!("SELECT {}", repeat("CASE ")),
        format!("SELECT {}", repeat("INTERVAL(")),
        format!("SELECT a BETWEEN 1 AND {}", repeat("1 BETWEEN 1 AND ")),
        format!("SELECT {}1", repeat("@a := ")),
        format!("SELECT {}", repeat("((SELECT 1) UNION ")),
        repeat("("),
    ];
    for text in texts {
        let read = std::thread::Builder::new().stack_size(2 << 20);
        let thread = read.spawn(move || read_all_once(text.as_bytes())).expect("a thread");
        thread.join().expect("no overflow");
    }
}

fn read_all_once(text: &[u8]) {
    let mut scan = Scan::new();
    scan.run(text, LexMode::default()).expect("tokens");
    let _ = parse(text, LexMode::default(), &scan);
}
