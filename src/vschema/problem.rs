//! Problems of a VSchema: where, what, and what to write instead.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

/// Whether what Vitess lets through is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Every mistake is an error.
    #[default]
    Strict,
    /// Mistakes are warnings, and the faulty part behaves as in Vitess.
    Lenient,
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// File as the user named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// JSON pointer (RFC 6901), with the names as written.
    pub pointer: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The VSchema is refused.
    Error,
    /// The VSchema is taken.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub advice: String,
}

/// Collects problems and weighs them.
pub(super) struct Problems {
    strictness: Strictness,
    found: Vec<Problem>,
    /// Names that may still be compared for advice.
    comparisons_left: usize,
}

/// Where names are wrong everywhere, looking for the nearest of all others takes longer than
/// everything else; then the advice is general from here on.
const COMPARISONS_MAX: usize = 200_000;

impl Problems {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, found: Vec::new(), comparisons_left: COMPARISONS_MAX }
    }

    /// A mistake that Vitess refuses, lives with or does not see: a warning when lenient.
    pub(super) fn mistake(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let severity = match self.strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        };
        self.add(severity, place, what.into(), advice.into());
    }

    /// Nothing can be made of this, however lenient one is.
    pub(super) fn fatal(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Severity::Error, place, what.into(), advice.into());
    }

    /// Suspicious, but harmless.
    pub(super) fn warning(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Severity::Warning, place, what.into(), advice.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, what: String, advice: String) {
        self.found.push(Problem { severity, place: place.clone(), what, advice });
    }

    /// Like [`nearest`], among names of which a VSchema may have any number.
    pub(super) fn nearest<'a>(
        &mut self,
        name: &str,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        self.comparisons_left = self.comparisons_left.checked_sub(names.len())?;
        nearest(name, names)
    }

    /// All problems in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by(|a, b| a.place.cmp(&b.place).then(a.severity.cmp(&b.severity)));
        self.found.dedup();
        self.found
    }
}

/// The entry of `names` that is most like `name`, if it is like it at all.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|known| (distance(name, known), known));
    let near = distances.filter(|(distance, known)| *distance <= 1 + known.len() / 3);
    near.min().map(|(_, known)| known)
}

/// Edits (Levenshtein) between two names, case aside.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.to_ascii_lowercase().replace('_', "").into_bytes();
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, pointer } = &self.place;
        write!(f, "{}: {}\n  --> {file}:{line}", self.severity, self.what)?;
        if !pointer.is_empty() {
            write!(f, " ({pointer})")?;
        }
        if !self.advice.is_empty() {
            write!(f, "\n   = help: {}", self.advice)?;
        }
        writeln!(f)
    }
}

/// The problems as people read them, with a count at the end.
pub fn render_text(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{problem}");
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural = |count, noun| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(text, "{}, {}", plural(errors, "error"), plural(warnings, "warning"));
    text
}

/// The problems as one JSON document: `{"problems": [...], "errors": n, "warnings": n}`.
pub fn render_json(problems: &[Problem]) -> String {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let listed = problems.iter().map(|problem| {
        serde_json::json!({
            "severity": problem.severity,
            "file": &*problem.place.file,
            "line": problem.place.line,
            "pointer": problem.place.pointer,
            "what": problem.what,
            "help": problem.advice,
        })
    });
    let document = serde_json::json!({
        "problems": listed.collect::<Vec<_>>(),
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
    });
    format!("{document:#}\n")
}
