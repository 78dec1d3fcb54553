//! Golden files: `tests/golden/**` holds inputs with the outputs that they must give.
//!
//! A `.txt` file is a list of cases, each `comment lines`, input, `----`, output, and `====`
//! between two cases. `UPDATE_GOLDEN=1 cargo test --test golden` writes the outputs anew; the
//! difference is to be reviewed like code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use geogate::cli::explain::Explainer;
use geogate::engine::literal::{
    ColumnKind, Decision, Purpose, TextEquality, UnicodeTable, VindexInput, decide,
};
use geogate::engine::plan::ClientCharset;
use geogate::sql::value::Value;
use geogate::vschema::vindex::vectors;
use geogate::vschema::{Sources, Strictness, render_text};

/// One case: lines that start with `#`, then the input.
struct Case<'a> {
    comment: String,
    input: &'a str,
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the golden folder exists");
    let paths = entries.map(|entry| entry.expect("the golden folder is readable").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no .{extension} file in {}", folder.display());
    paths
}

/// Runs every case of a folder's `.txt` files and compares, or rewrites, the outputs.
fn check(folder: &str, run: impl Fn(&Case<'_>) -> String) {
    check_files(files(folder, "txt"), run);
}

fn check_files(paths: Vec<PathBuf>, run: impl Fn(&Case<'_>) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("the golden file is readable");
        let mut fresh = Vec::new();
        for block in text.split("\n====\n") {
            let (written, _) = block.split_once("\n----").unwrap_or((block.trim_end(), ""));
            let start = written.lines().take_while(|line| line.starts_with('#'));
            let length: usize = start.map(|line| line.len() + 1).sum();
            let (comment, input) = written.split_at(length);
            let output = run(&Case { comment: comment.to_owned(), input });
            let mut case = String::new();
            // Writing into memory cannot fail.
            let _ = write!(case, "{written}\n----\n{}", output.trim_end());
            fresh.push(case);
        }
        let fresh = format!("{}\n", fresh.join("\n====\n"));
        if update {
            std::fs::write(&path, fresh).expect("the golden file is writable");
        } else {
            let line = text.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count();
            assert!(
                text == fresh,
                "{} differs from line {}: now\n{}",
                path.display(),
                line + 1,
                fresh.lines().skip(line).take(12).collect::<Vec<_>>().join("\n")
            );
        }
    }
}

/// `vschema/*.txt`: a VSchema and the problems that are found; `# lenient` loads it leniently.
#[test]
fn vschema_problems() {
    check("vschema", |case| {
        let lenient = case.comment.lines().any(|line| line == "# lenient");
        let strictness = if lenient { Strictness::Lenient } else { Strictness::Strict };
        let sources = Sources::from_text("vschema.json", case.input);
        render_text(&sources.validate(strictness).problems)
    });
}

/// `vindex/*.jsonl`: our own vectors, in the form of `geogate vindex --vectors`.
#[test]
fn vindex_vectors() {
    for path in files("vindex", "jsonl") {
        let text = std::fs::read_to_string(&path).expect("the vectors are readable");
        let report = vectors::run(&text, &|_| Err("vectors stand alone".to_owned()));
        assert!(report.failures.is_empty(), "{}:\n{}", path.display(), report.failures.join("\n"));
        assert_eq!(report.passed, text.lines().count());
    }
}

/// `plans/*.plan`: statements and their plans under `plans/vschema.json`; `# use TARGET` aims the
/// session.
#[test]
fn plans() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans");
    let sources = Sources::read(&folder.join("vschema.json")).expect("the VSchema is readable");
    check_files(files("plans", "plan"), |case| {
        let target = case.comment.lines().find_map(|line| line.strip_prefix("# use "));
        let explainer = Explainer::with_sources(&sources, target, Strictness::Strict);
        explainer.expect("the VSchema has no mistakes").text(case.input)
    });
}

/// `literal_to_shard.txt`: which values may be routed by, for every kind of column and vindex.
#[test]
fn literal_to_shard() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/literal_to_shard.txt");
    let fresh = literal_table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, fresh).expect("the golden file is writable");
    } else {
        let text = std::fs::read_to_string(&path).expect("the golden file is readable");
        assert!(text == fresh, "{} differs; now\n{fresh}", path.display());
    }
}

fn literal_table() -> String {
    let integer = ColumnKind::Integer { min: -128, max: 127 };
    let bigint = ColumnKind::Integer { min: i64::MIN.into(), max: i64::MAX.into() };
    let unsigned = ColumnKind::Integer { min: 0, max: u64::MAX.into() };
    let uca1400 = ColumnKind::Text(TextEquality::Unicode(UnicodeTable::Later));
    let wide = ColumnKind::WideText(TextEquality::ExactUnpadded);
    let columns = [
        ("TINYINT", integer, VindexInput::Number),
        ("TINYINT", integer, VindexInput::Bytes),
        ("BIGINT", bigint, VindexInput::Number),
        ("BIGINT UNSIGNED", unsigned, VindexInput::Number),
        ("VARCHAR binary NO PAD", ColumnKind::Text(TextEquality::Exact), VindexInput::Bytes),
        ("CHAR binary NO PAD", ColumnKind::Text(TextEquality::ExactUnpadded), VindexInput::Bytes),
        (
            "VARCHAR unicode_ci",
            ColumnKind::Text(TextEquality::Unicode(UnicodeTable::First)),
            VindexInput::Bytes,
        ),
        (
            "VARCHAR unicode_ci",
            ColumnKind::Text(TextEquality::Unicode(UnicodeTable::First)),
            VindexInput::Weights,
        ),
        ("VARCHAR general_ci", ColumnKind::Text(TextEquality::Other), VindexInput::Weights),
        ("VARCHAR general_ci", ColumnKind::Text(TextEquality::Other), VindexInput::Name),
        ("VARCHAR general_ci", ColumnKind::Text(TextEquality::Other), VindexInput::Number),
        ("VARCHAR roman_ci", ColumnKind::Text(TextEquality::Unknown), VindexInput::Weights),
        ("VARCHAR uca1400", uca1400, VindexInput::Weights),
        ("VARCHAR utf16_bin", wide, VindexInput::Bytes),
        ("VARCHAR swe7_bin", ColumnKind::OtherText, VindexInput::Bytes),
        ("VARBINARY", ColumnKind::Binary, VindexInput::Bytes),
        ("BINARY(2)", ColumnKind::FixedBinary { length: Some(2) }, VindexInput::Bytes),
        ("BINARY(?)", ColumnKind::FixedBinary { length: None }, VindexInput::Bytes),
        ("DATE", ColumnKind::Date, VindexInput::Bytes),
        ("DATETIME", ColumnKind::DateTime, VindexInput::Bytes),
        ("DECIMAL", ColumnKind::Inexact, VindexInput::Bytes),
        ("any (lenient)", ColumnKind::AsVitess, VindexInput::Bytes),
    ];
    let mut out = String::from("column | vindex takes | value | compared | stored\n");
    for (name, kind, input) in columns {
        for (written, value) in sample_values() {
            let decision =
                |purpose| match decide(kind, input, purpose, ClientCharset::Utf8, value.clone()) {
                    Decision::Use(value) => format!("use {}", shown(&value)),
                    Decision::NoRow => "no row".to_owned(),
                    Decision::Unusable(unroutable) => unroutable.why.to_owned(),
                };
            let (compared, stored) = (decision(Purpose::Compare), decision(Purpose::Store));
            let stored = if stored == compared { "the same".to_owned() } else { stored };
            // Writing into memory cannot fail.
            let _ = writeln!(out, "{name} | {input:?} | {written} | {compared} | {stored}");
        }
    }
    out
}

fn sample_values() -> Vec<(&'static str, Value<'static>)> {
    let text = |text: &'static str| Value::Text(text.as_bytes().into());
    let decimal = |text: &'static str| Value::Decimal(text.as_bytes().into());
    vec![
        ("NULL", Value::Null),
        ("12", Value::Int(12)),
        ("-12", Value::Int(-12)),
        ("300", Value::Int(300)),
        ("18446744073709551615", Value::UInt(u64::MAX)),
        ("1.0", decimal("1.0")),
        ("1.5", decimal("1.5")),
        ("1e2", Value::Float(100.0)),
        ("'12'", text("12")),
        ("'9007199254740993'", text("9007199254740993")),
        ("9007199254740993.0", decimal("9007199254740993.0")),
        ("'18446744073709551615'", text("18446744073709551615")),
        ("'18446744073709551616'", text("18446744073709551616")),
        ("'012'", text("012")),
        ("'12abc'", text("12abc")),
        ("'-0'", text("-0")),
        ("'a'", text("a")),
        ("'a '", text("a ")),
        ("'é'", text("é")),
        ("'a' and U+00A0", text("a\u{a0}")),
        ("'🐘'", text("🐘")),
        ("'їжак'", text("їжак")),
        ("''", text("")),
        ("x'6162'", Value::Bytes(b"ab".as_slice().into())),
        ("x'ff'", Value::Bytes(b"\xff".as_slice().into())),
        ("'2024-02-29'", text("2024-02-29")),
        ("'2023-02-29'", text("2023-02-29")),
        ("'0000-02-29'", text("0000-02-29")),
        ("'0999-12-31'", text("0999-12-31")),
        ("'1000-01-01'", text("1000-01-01")),
        ("'0000-00-00'", text("0000-00-00")),
        ("'2024-2-29'", text("2024-2-29")),
        ("'2024-02-29 10:00:00'", text("2024-02-29 10:00:00")),
        ("a bound DATE", Value::Temporal(b"2024-02-29".as_slice().into())),
    ]
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Null => "NULL".to_owned(),
        Value::Text(text) | Value::Decimal(text) | Value::Temporal(text) => {
            format!("'{}'", String::from_utf8_lossy(text))
        }
        Value::Bytes(bytes) => format!("bytes {bytes:02x?}"),
    }
}
