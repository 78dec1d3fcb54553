//! Runs `tests/golden/sql/*.txt`: a statement, a line `----`, and its tree or the refusal. The
//! message of a failure has the answer that was found.

use super::{read, tree};

/// The files with their names.
const FILES: &[(&str, &str)] = &[
    ("select", include_str!("../../../../tests/golden/sql/select.txt")),
    ("write", include_str!("../../../../tests/golden/sql/write.txt")),
    ("ddl", include_str!("../../../../tests/golden/sql/ddl.txt")),
    ("refused", include_str!("../../../../tests/golden/sql/refused.txt")),
];

/// One statement of a golden file; lines that begin with `#` above it are comments.
pub(super) struct Case {
    pub(super) sql: String,
    answer: &'static str,
}

fn cases_of(content: &'static str) -> Vec<Case> {
    let blocks = content.split("\n\n").filter(|block| !block.trim().is_empty());
    let cases = blocks.map(|block| {
        let block = block.trim_matches('\n');
        let (question, answer) = block.split_once("\n----\n").unwrap_or((block, ""));
        let sql: Vec<&str> = question.lines().filter(|line| !line.starts_with("# ")).collect();
        Case { sql: sql.join("\n"), answer }
    });
    cases.collect()
}

/// All cases of all files.
pub(super) fn cases() -> Vec<Case> {
    FILES.iter().flat_map(|(_, content)| cases_of(content)).collect()
}

#[test]
fn statements_have_the_expected_trees() {
    let mut wrong = Vec::new();
    for (name, content) in FILES {
        for case in cases_of(content) {
            let found = match read(&case.sql) {
                Ok(statement) => tree::statement(&statement),
                Err(error) => format!("refused: {error}"),
            };
            if found != case.answer {
                wrong.push(format!("{name}: {}\n----\n{found}\n", case.sql));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
