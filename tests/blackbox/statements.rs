//! The files of differential statements: blocks between blank lines.
//!
//! ```text
//! # Why the case exists.
//! -- session b
//! -- error 1062
//! INSERT INTO customer (id, name, country) VALUES (1, 'again', 'US')
//! ```
//! `-- session NAME` runs the block on a connection of that name (default `a`); `-- error N` says
//! which error the plain server gives; `-- refused GGnnnnn` says that Geogate refuses what a plain
//! server would do (the plain servers do not run it); `-- text only` leaves the prepared run of a
//! SELECT out; `-- prepared` sends a write as a prepared statement instead of text.

use std::fs;

use crate::client::Parameter;
use crate::shop::read;

/// One block of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// `FILE:LINE` for messages.
    pub(crate) place: String,
    /// Connection that runs it.
    pub(crate) session: String,
    /// What must happen.
    pub(crate) expectation: Expectation,
    /// Also run as a prepared statement?
    pub(crate) protocols: Protocols,
    /// The statement's text.
    pub(crate) sql: String,
}

/// What a statement must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// Succeed everywhere.
    Success,
    /// Fail everywhere with this error number.
    Error(u16),
    /// Be refused by Geogate with this catalogue id; plain servers are not asked.
    Refused(String),
}

/// Ways to send a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// Text, and prepared if it is a SELECT.
    Both,
    /// Prepared only, for statements that write.
    Prepared,
    /// Text only.
    Text,
}

impl Statement {
    /// Is it a SELECT that can run again as a prepared statement?
    pub(crate) fn can_be_prepared(&self) -> bool {
        let word = self.sql.trim_start_matches('(').get(..6).unwrap_or_default();
        self.protocols == Protocols::Both
            && word.eq_ignore_ascii_case("select")
            && self.expectation == Expectation::Success
    }

    /// Does the whole result have an ORDER BY, outside any parentheses?
    pub(crate) fn is_ordered(&self) -> bool {
        let mut outside = String::new();
        let mut depth = 0_i32;
        for (is_code, char) in code_chars(&self.sql) {
            depth += match char {
                '(' if is_code => 1,
                ')' if is_code => -1,
                _ => 0,
            };
            outside.push(if is_code && depth == 0 { char.to_ascii_uppercase() } else { ' ' });
        }
        outside.split_whitespace().collect::<Vec<_>>().join(" ").contains("ORDER BY")
    }

    /// The statement with literals after comparison operators and in IN lists as parameters.
    pub(crate) fn parameterised(&self) -> (String, Vec<Parameter>) {
        parameterised(&self.sql)
    }
}

/// All statements of `tests/blackbox/differential`, file by file; `schema.sql` is not one of them.
pub(crate) fn all() -> Vec<Statement> {
    let folder = format!("{}/tests/blackbox/differential", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder of statements exists")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.split('.').next_back() == Some("sql") && name != "schema.sql")
        .collect();
    names.sort();
    names.iter().flat_map(|name| parse(name, &read(name))).collect()
}

fn parse(name: &str, text: &str) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    let mut current: Option<Statement> = None;
    for (at, line) in text.lines().chain([""]).enumerate() {
        if line.trim().is_empty() {
            found.extend(current.take().filter(|block| !block.sql.is_empty()));
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let block = current.get_or_insert_with(|| Statement {
            place: format!("{name}:{}", at + 1),
            session: "a".into(),
            expectation: Expectation::Success,
            protocols: Protocols::Both,
            sql: String::new(),
        });
        let Some(annotation) = line.strip_prefix("-- ") else {
            if !block.sql.is_empty() {
                block.sql.push('\n');
            }
            block.sql.push_str(line);
            continue;
        };
        match annotation.split_once(' ') {
            Some(("session", name)) => name.clone_into(&mut block.session),
            Some(("error", number)) => {
                let number = number.parse().expect("-- error takes a number");
                block.expectation = Expectation::Error(number);
            }
            Some(("refused", id)) => block.expectation = Expectation::Refused(id.to_owned()),
            Some(("text", "only")) => block.protocols = Protocols::Text,
            None if annotation == "prepared" => block.protocols = Protocols::Prepared,
            _ => panic!("{name}:{}: unknown annotation {annotation}", at + 1),
        }
    }
    found
}

/// The characters of a statement, each with whether it is code (not inside quotes).
fn code_chars(sql: &str) -> impl Iterator<Item = (bool, char)> {
    let mut quote = None;
    let mut escaped = false;
    sql.chars().map(move |char| match quote {
        None => {
            if matches!(char, '\'' | '"' | '`') {
                quote = Some(char);
                return (false, char);
            }
            (true, char)
        }
        Some(open) => {
            if escaped {
                escaped = false;
            } else if char == '\\' && open != '`' {
                escaped = true;
            } else if char == open {
                quote = None;
            }
            (false, char)
        }
    })
}

fn parameterised(sql: &str) -> (String, Vec<Parameter>) {
    let bytes = sql.as_bytes();
    let mut out = Vec::new();
    let mut values = Vec::new();
    let mut at = 0;
    let mut in_list = false;
    while at < bytes.len() {
        let before = String::from_utf8_lossy(&out).trim_end().to_ascii_uppercase();
        if before.ends_with(" IN (") {
            in_list = true;
        }
        let wanted = before.ends_with(['=', '<', '>'])
            || (in_list && before.ends_with(['(', ',']))
            || before.ends_with(" BETWEEN");
        match bytes[at] {
            b'\'' => {
                let end = end_of_string(bytes, at);
                let body = &sql[at + 1..end - 1];
                if wanted && !body.contains(['\\', '\'']) {
                    values.push(Parameter::Text(body.as_bytes().to_vec()));
                    out.push(b'?');
                } else {
                    out.extend_from_slice(&bytes[at..end]);
                }
                at = end;
            }
            byte if byte.is_ascii_digit() && wanted => {
                let digits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
                let end = at + bytes[at..].iter().take_while(|byte| digits(byte)).count();
                let number = &sql[at..end];
                if let Ok(number) = number.parse() {
                    values.push(Parameter::Int(number));
                    out.push(b'?');
                } else {
                    out.extend_from_slice(number.as_bytes());
                }
                at = end;
            }
            byte => {
                in_list = in_list && byte != b')';
                out.push(byte);
                at += 1;
            }
        }
    }
    (String::from_utf8_lossy(&out).into_owned(), values)
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[test]
fn blocks_and_annotations() {
    let text = "# why\n-- session b\n-- error 1062\nINSERT\n  x\n\n\nSELECT 1\n";
    let found = parse("f.sql", text);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].place.as_str(), found[0].session.as_str()), ("f.sql:2", "b"));
    assert_eq!(found[0].expectation, Expectation::Error(1062));
    assert_eq!(found[0].sql, "INSERT\n  x");
    assert!(found[1].can_be_prepared() && !found[1].is_ordered());
    let ordered = |sql: &str| Statement { sql: sql.into(), ..found[1].clone() }.is_ordered();
    assert!(ordered("SELECT a FROM t ORDER\n BY a"));
    assert!(!ordered("SELECT 'ORDER BY', (SELECT b FROM u ORDER BY b LIMIT 1) FROM t"));
}

#[test]
fn literals_become_parameters() {
    let (sql, values) =
        parameterised("SELECT 1, 'x' FROM t WHERE a = 5 AND b IN (1, 'two', 3) AND c > 1.5");
    assert_eq!(sql, "SELECT 1, 'x' FROM t WHERE a = ? AND b IN (?, ?, ?) AND c > 1.5");
    let (two, int) = (Parameter::Text(b"two".to_vec()), Parameter::Int);
    assert_eq!(values, [int(5), int(1), two, int(3)]);
}
