//! Goal: every stage alone and in the orders that plans use, over rows of both protocols. Method:
//! rows as lists of text cells, encoded as a server would, through one pipeline.

use super::*;
use crate::engine::column::Column;
use crate::engine::fake::Values;
use crate::engine::plan::{
    Aggregate, AggregateFunction, ColumnRef, CompareKey, Direction, LimitValue, SortKey, Weight,
};
use crate::engine::row::RowFormat;
use crate::sql::value::Value;

const BIGINT: (u8, u16) = (8, 63);
const DECIMAL: (u8, u16) = (246, 63);
const DOUBLE: (u8, u16) = (5, 63);
const TEXT: (u8, u16) = (253, 45);
const BYTES: (u8, u16) = (253, 63);

type Row = Vec<Option<&'static str>>;

fn layout(format: RowFormat, columns: &[(u8, u16)], hidden: usize) -> Layout {
    let columns = columns
        .iter()
        .map(|(code, charset)| Column::new(*code, 0, *charset, if *code == 5 { 31 } else { 4 }));
    Layout { format, columns: columns.collect(), hidden }
}

/// A text cell in the encoding of a column.
fn encode(layout: &Layout, index: usize, cell: &str) -> Vec<u8> {
    if layout.format == RowFormat::Text {
        return cell.as_bytes().to_vec();
    }
    let column = layout.columns[index];
    if column == Column::new(BIGINT.0, 0, BIGINT.1, 4) {
        cell.parse::<i64>().expect("an integer").to_le_bytes().to_vec()
    } else if column == Column::new(DOUBLE.0, 0, DOUBLE.1, 31) {
        cell.parse::<f64>().expect("a number").to_le_bytes().to_vec()
    } else {
        cell.as_bytes().to_vec()
    }
}

fn payload(layout: &Layout, row: &Row) -> Vec<u8> {
    let cells: Vec<_> =
        row.iter().enumerate().map(|(i, cell)| cell.map(|cell| encode(layout, i, cell))).collect();
    let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
    let mut out = Vec::new();
    layout.write(&cells, &mut out);
    out
}

fn visible(layout: &Layout) -> Layout {
    let columns = layout.columns[..layout.visible()].to_vec();
    Layout { columns, hidden: 0, ..layout.clone() }
}

/// Runs the stages over the rows in both protocols and compares with the expected rows.
fn check(columns: &[(u8, u16)], hidden: usize, stages: &[Stage], rows: &[Row], expected: &[Row]) {
    for format in [RowFormat::Text, RowFormat::Binary] {
        let layout = layout(format, columns, hidden);
        let values = Values(vec![Value::Int(2), Value::UInt(1)]);
        let budget = Budget::new(100, 10_000);
        let mut pipeline =
            Pipeline::with_stages(stages, layout.clone(), &values, &budget).expect("comparable");
        let mut out: Vec<Vec<u8>> = Vec::new();
        for row in rows {
            let flow = pipeline
                .push(&payload(&layout, row), &mut |row| out.push(row.to_vec()))
                .expect("well formed");
            if flow == Flow::Done {
                break;
            }
        }
        pipeline.finish(&mut |row| out.push(row.to_vec())).expect("fits");
        let visible = visible(&layout);
        let expected: Vec<_> = expected.iter().map(|row| payload(&visible, row)).collect();
        assert_eq!(out, expected, "{format:?}");
    }
}

fn number(index: usize) -> CompareKey {
    CompareKey { column: ColumnRef::Visible(index), weight: None }
}

fn text(index: usize, string: usize, pad: usize) -> CompareKey {
    let weight = Weight { string: ColumnRef::Hidden(string), pad: ColumnRef::Hidden(pad) };
    CompareKey { column: ColumnRef::Visible(index), weight: Some(weight) }
}

#[test]
fn limit_reads_its_numbers_from_the_statement() {
    let stages =
        [Stage::Limit { count: Some(LimitValue::Hole(0)), offset: Some(LimitValue::Hole(1)) }];
    let rows: Vec<Row> = ["1", "2", "3", "4"].map(|n| vec![Some(n)]).to_vec();
    check(&[BIGINT], 0, &stages, &rows, &rows[1..3]);
}

#[test]
fn scalar_aggregates_add_compare_and_divide() {
    let aggregate = |function, column| Aggregate { function, column: ColumnRef::Visible(column) };
    let avg = AggregateFunction::Avg { sum: ColumnRef::Hidden(0), count: ColumnRef::Hidden(1) };
    let stages = [Stage::Aggregate {
        keys: vec![],
        aggregates: vec![
            aggregate(AggregateFunction::Count, 0),
            aggregate(AggregateFunction::Sum, 1),
            aggregate(AggregateFunction::Min { weight: None }, 2),
            aggregate(AggregateFunction::Max { weight: None }, 3),
            aggregate(avg, 4),
        ],
    }];
    let columns = [BIGINT, DECIMAL, BIGINT, DOUBLE, DECIMAL, DECIMAL, BIGINT];
    let rows = [
        vec![Some("0"), None, None, None, None, None, Some("0")],
        vec![Some("2"), Some("0.3"), Some("-9"), Some("1.5"), Some("9"), Some("5"), Some("2")],
        vec![Some("3"), Some("-1.0"), Some("-10"), Some("1"), Some("9"), Some("5"), Some("1")],
    ];
    let expected = vec![Some("5"), Some("-0.7"), Some("-10"), Some("1.5"), Some("3.3333")];
    check(&columns, 2, &stages, &rows, &[expected]);
    let nothing = vec![Some("0"), None, None, None, None];
    check(&columns, 2, &stages, &rows[..1], std::slice::from_ref(&nothing));
    check(&columns, 2, &stages, &[], &[nothing]);
}

#[test]
fn groups_of_padded_text_are_one_group() {
    let stages = [
        Stage::Aggregate {
            keys: vec![text(0, 0, 1)],
            aggregates: vec![Aggregate {
                function: AggregateFunction::Count,
                column: ColumnRef::Visible(1),
            }],
        },
        Stage::Sort(vec![SortKey { key: number(1), direction: Direction::Descending }]),
    ];
    let columns = [TEXT, BIGINT, BYTES, BYTES];
    let rows = [
        vec![None, Some("1"), None, None],
        vec![Some("a"), Some("1"), Some("A"), Some(" ")],
        vec![Some("A "), Some("2"), Some("A "), Some(" ")],
        vec![Some("b"), Some("4"), Some("B"), Some(" ")],
    ];
    let expected = [vec![Some("b"), Some("4")], vec![Some("a"), Some("3")], vec![None, Some("1")]];
    check(&columns, 2, &stages, &rows, &expected);
}

#[test]
fn the_greatest_text_brings_its_weight_along() {
    let weight = Weight { string: ColumnRef::Hidden(0), pad: ColumnRef::Hidden(1) };
    let stages = [Stage::Aggregate {
        keys: vec![],
        aggregates: vec![Aggregate {
            function: AggregateFunction::Max { weight: Some(weight) },
            column: ColumnRef::Visible(0),
        }],
    }];
    let rows = [
        vec![Some("a"), Some("9"), Some(" ")],
        vec![Some("Z"), Some("1"), Some(" ")],
        vec![None, None, None],
    ];
    check(&[TEXT, BYTES, BYTES], 2, &stages, &rows, &[vec![Some("a")]]);
}

#[test]
fn distinct_knows_null_and_padding() {
    let stages = [Stage::Distinct(vec![text(0, 0, 1), number(1)])];
    let columns = [TEXT, DECIMAL, BYTES, BYTES];
    let rows = [
        vec![Some("a"), Some("1.0"), Some("A"), Some(" ")],
        vec![Some("A "), Some("1.00"), Some("A "), Some(" ")],
        vec![None, None, None, None],
        vec![None, None, None, None],
        vec![None, Some("1"), None, None],
    ];
    let expected = [vec![Some("a"), Some("1.0")], vec![None, None], vec![None, Some("1")]];
    check(&columns, 2, &stages, &rows, &expected);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let values = Values::default();
    let budget = Budget::new(2, 1000);
    let sort = [Stage::Sort(vec![SortKey { key: number(0), direction: Direction::Ascending }])];
    let start = |code, flags, charset| {
        let columns = vec![Column::new(code, flags, charset, 0)];
        let layout = Layout { format: RowFormat::Text, columns, hidden: 0 };
        Pipeline::with_stages(&sort, layout, &values, &budget)
    };
    assert!(start(253, 0, 45).is_err(), "text without weights");
    assert!(start(254, 0x100, 45).is_err(), "ENUM");
    assert!(start(245, 0, 63).is_err(), "JSON");
    let mut pipeline = start(8, 0, 63).expect("integers compare");
    let mut ignore = |_: &[u8]| {};
    assert!(pipeline.push(b"\x011", &mut ignore).is_ok());
    assert!(pipeline.push(b"\x011", &mut ignore).is_ok());
    let error = pipeline.push(b"\x011", &mut ignore).expect_err("over the budget");
    assert!(error.to_string().contains("merge_rows_max"), "{error}");
}
