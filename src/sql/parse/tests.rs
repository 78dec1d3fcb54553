//! Trees, positions, precedences, and what is refused.

mod golden;
mod positions;
mod precedence;
mod random;
mod second_opinion;
mod tree;

use super::*;

fn read(text: &str) -> Result<Statement, ParseError> {
    let mut scan = Scan::new();
    scan.run(text.as_bytes(), LexMode::default())?;
    parse(text.as_bytes(), LexMode::default(), &scan)
}

/// The statements of the golden files that have a tree.
fn corpus() -> Vec<String> {
    let cases = golden::cases().into_iter().map(|case| case.sql);
    let cases: Vec<String> = cases.filter(|sql| read(sql).is_ok()).collect();
    assert!(cases.len() > 150, "{} statements", cases.len());
    cases
}
