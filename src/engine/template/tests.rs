//! Goal: texts for shards, with the right `?` left over, for a text with the template's skeleton
//! but other literals and comments. Method: places found in one text, rendered for another.

use super::*;
use crate::engine::bindings::BoundStatement;
use crate::engine::capacity::Zero;
use crate::engine::plan::ClientCharset;
use crate::sql::ast::Span;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::value::Value;

fn scan(text: &str) -> Scan {
    let mut scan = Scan::new();
    scan.run(text.as_bytes(), LexMode::default()).expect("readable");
    scan
}

/// The span of the first `part` in `text` as a skeleton span.
fn find(text: &str, part: &str) -> SkeletonSpan {
    let start = text.find(part).expect("part of the text") as u32;
    let span = Span { start, end: start + part.len() as u32 };
    scan(text).locate_span(span).expect("outside literals")
}

fn render(
    template: &QueryTemplate,
    text: &str,
    items: Option<Vec<u32>>,
    generated: &[u64],
) -> (String, Vec<HoleId>) {
    let scan = scan(text);
    let parameters = [Value::Int(7), Value::Int(8), Value::Int(9)];
    let bindings = BoundStatement {
        text: text.as_bytes(),
        scan: &scan,
        mode: LexMode::default(),
        charset: ClientCharset::Utf8,
        parameters: &parameters,
        zero: Zero::Numbered,
        session: &[(SessionValue::LastInsertId, b"42".to_vec())],
    };
    let mut out = Rendered::default();
    template.render(&bindings, &ShardPart { shard: 0, items }, generated, &mut out).expect("fine");
    (String::from_utf8(out.text).expect("text"), out.placeholders)
}

fn text(text: &str) -> Replacement {
    Replacement::Text(text.into())
}

#[test]
fn places_move_with_literals_and_comments() {
    let made_for = "SELECT /* a */ x, 'abc' FROM ks.t WHERE y = 1; SELECT 2";
    let template = QueryTemplate::new(vec![
        Splice { span: find(made_for, "ks."), with: text("") },
        Splice { span: find(made_for, "x, "), with: text("z, ") },
    ]);
    let other = "SELECT /* longer */ x, '' FROM ks.t WHERE y = 12345; SELECT 2";
    let (rendered, _) = render(&template, other, None, &[]);
    assert_eq!(rendered, "SELECT /* longer */ z, '' FROM t WHERE y = 12345");
}

#[test]
fn lists_are_cut_and_placeholders_follow() {
    let made_for = "SELECT a FROM t WHERE b = ? AND id IN (?, 5, ?)";
    let list = find(made_for, "?, 5, ?");
    let [one, two, three] = [", 5", "5", "?)"].map(|part| find(made_for, part));
    let items = vec![
        Item { span: SkeletonSpan { start: list.start, end: one.start }, splices: vec![] },
        Item { span: two, splices: vec![] },
        Item { span: SkeletonSpan { start: three.start, end: list.end }, splices: vec![] },
    ];
    let template = QueryTemplate::new(vec![Splice { span: list, with: Replacement::Items(items) }]);
    assert!(!template.is_same_for_all());
    let cut = render(&template, made_for, Some(vec![1, 2]), &[]);
    assert_eq!(cut, ("SELECT a FROM t WHERE b = ? AND id IN (5, ?)".to_owned(), vec![0, 3]));
    let all = render(&template, made_for, None, &[]);
    assert_eq!(all, (made_for.to_owned(), vec![0, 1, 3]));
}

#[test]
fn a_raised_limit_is_written_as_a_number() {
    let made_for = "SELECT a FROM t LIMIT ?, ?";
    let span = find(made_for, "LIMIT ?, ?");
    let sum = Replacement::LimitSum(LimitValue::Hole(1), LimitValue::Hole(0));
    let template = QueryTemplate::new(vec![Splice { span, with: sum }]);
    assert_eq!(render(&template, made_for, None, &[]), ("SELECT a FROM t LIMIT 15".into(), vec![]));
}

#[test]
fn hidden_columns_copy_what_they_need() {
    let made_for = "SELECT a FROM t ORDER BY ks.b + ?";
    let sum = find(made_for, "ks.b + ?");
    let qualifier = Splice { span: find(made_for, "ks."), with: text("") };
    let copy = Piece::Copy(Item { span: sum, splices: vec![qualifier.clone()] });
    let pieces = vec![Piece::Text(", ".into()), copy, Piece::Text(" AS `x`".into())];
    let end = find(made_for, "a").end;
    let span = SkeletonSpan { start: end, end };
    let hidden = Splice { span, with: Replacement::Pieces(pieces) };
    let template = QueryTemplate::new(vec![qualifier, hidden]);
    let expected = "SELECT a, b + ? AS `x` FROM t ORDER BY b + ?";
    assert_eq!(render(&template, made_for, None, &[]), (expected.to_owned(), vec![0, 0]));
}

#[test]
fn rows_take_generated_values_or_keep_theirs() {
    let made_for = "INSERT INTO t (id, a) VALUES (NULL, 1), (5, 2)";
    let value = |part, row| Splice {
        span: find(made_for, part),
        with: Replacement::Generated { row, prefix: "".into() },
    };
    let rows = vec![
        Item { span: find(made_for, "(NULL, 1)"), splices: vec![value("NULL", 0)] },
        Item { span: find(made_for, "(5, 2)"), splices: vec![value("5", 1)] },
    ];
    let span = find(made_for, "(NULL, 1), (5, 2)");
    let template = QueryTemplate::new(vec![Splice { span, with: Replacement::Items(rows) }]);
    let (all, _) = render(&template, made_for, None, &[100, 0]);
    assert_eq!(all, "INSERT INTO t (id, a) VALUES (100, 1), (5, 2)");
    let (second, _) = render(&template, made_for, Some(vec![1]), &[100, 0]);
    assert_eq!(second, "INSERT INTO t (id, a) VALUES (5, 2)");
}

#[test]
fn the_session_answers_for_itself() {
    let made_for = "SELECT LAST_INSERT_ID()";
    let span = find(made_for, "LAST_INSERT_ID()");
    let with = Replacement::Session(SessionValue::LastInsertId);
    let template = QueryTemplate::new(vec![Splice { span, with }]);
    assert_eq!(render(&template, made_for, None, &[]).0, "SELECT 42");
}
