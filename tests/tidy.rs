//! The rules of the code base, as one fast test: import directions, sizes, names, purity.
//!
//! Each finding says what to do about it. The layer table is [`LAYERS`]: a module imports from
//! lower layers, not from its neighbours in the same one. It reads text, not syntax: paths that
//! begin with `crate::` (or `geogate::` in `main.rs`) count wherever they stand outside comments.
//! `src/ARCHITECTURE.md` is held to the same tables, and to what is defined where it says so.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom: a module imports only from lines above its own.
const LAYERS: &[&[&str]] = &[
    &["clock", "region", "error", "key", "gtid"],
    &["wire", "sql", "observe", "config", "memory"],
    &["vschema", "topology", "net"],
    &["geo", "engine"],
    &["planner", "backend"],
    &["canary", "executor", "monitor"],
    &["session"],
    &["frontend", "control"],
    &["app", "cli", "main"],
];

/// Imports inside one layer that are allowed nevertheless; none may become a circle.
const NEIGHBOURS: &[(&str, &str)] = &[
    // A value is what a literal and a parameter of a packet have in common.
    ("wire", "sql"),
    ("cli", "app"),
    ("main", "app"),
    ("main", "cli"),
];

/// What a module must not know although it is in a lower layer.
const NEVER: &[(&str, &[&str])] = &[
    ("planner", &["topology", "geo", "net"]),
    ("engine", &["topology", "net"]),
    ("backend", &["vschema", "engine"]),
    ("executor", &["vschema", "planner", "sql"]),
];

/// Modules that decide and do not act: no socket, clock or file.
const PURE: &[&str] = &["planner", "vschema", "engine", "geo", "canary", "wire", "sql"];

/// What a pure module must not name, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "take the values as arguments and let executor, backend or session do the IO"),
    ("std::net::TcpStream", "sockets belong to net, backend and frontend"),
    ("std::net::TcpListener", "sockets belong to net, backend and frontend"),
    ("std::net::UdpSocket", "sockets belong to net, backend and frontend"),
    ("tokio_rustls", "TLS belongs to net"),
    ("std::time::Instant", "take the time from the caller (clock::Clock)"),
    ("std::time::SystemTime", "take the time from the caller (clock::Clock)"),
    ("Instant::now", "take the time from the caller (clock::Clock)"),
    ("SystemTime::now", "take the time from the caller (clock::Clock)"),
    ("std::fs", "read files in vschema/load.rs, config or cli and pass the content"),
];

/// Pure modules' files that may read files.
const MAY_READ_FILES: &[&str] = &["src/vschema/load.rs", "src/vschema/store.rs"];

/// Names that say nothing about the concept in the file.
const FORBIDDEN_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "prelude", "types", "manager", "base",
];

/// What a newcomer reads first.
const PAGE: &str = "src/ARCHITECTURE.md";

const PAGE_LINES_MAX: usize = 250;
const FILE_LINES_MAX: usize = 600;
const LINE_COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn code_follows_the_rules() {
    let mut findings = Vec::new();
    for file in rust_files("src").iter().chain(&rust_files("tests")) {
        let text = fs::read_to_string(file).expect("source files are UTF-8");
        let file = file.to_str().expect("source paths are UTF-8").to_owned();
        let source = Source { file: &file, text: &text };
        source.check_form(&mut findings);
        if file.starts_with("src/") {
            source.check_imports(&mut findings);
            source.check_purity(&mut findings);
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let text = fs::read_to_string("src/lib.rs").expect("src/lib.rs exists");
    let known: BTreeSet<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    for line in text.lines() {
        let module = line.strip_prefix("pub mod ").or(line.strip_prefix("mod "));
        let Some(module) = module.and_then(|rest| rest.strip_suffix(';')) else { continue };
        assert!(known.contains(module), "module {module}: add it to LAYERS in tests/tidy.rs");
    }
}

/// The page for newcomers says what is true, and no more than a newcomer reads.
#[test]
fn architecture_page_is_true() {
    let text = fs::read_to_string(PAGE).expect("the page is UTF-8");
    let findings = page_findings(&text, &words(&code()));
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Links from page to page lead to files.
#[test]
fn links_lead_somewhere() {
    for page in ["src", "tests", "deploy"].into_iter().flat_map(|folder| files(folder, &["md"])) {
        check_links(&page);
    }
    check_links(Path::new("README.md"));
}

#[test]
fn every_limit_is_documented() {
    let page = "deploy/operating.md";
    let text = fs::read_to_string(page).expect("the page is UTF-8");
    let mut missing = Vec::new();
    for file in rust_files("src/config") {
        let code = fs::read_to_string(&file).expect("source files are UTF-8");
        missing.extend(limit_names(&code).into_iter().filter(|name| !text.contains(name)));
    }
    assert!(missing.is_empty(), "{page} does not name these limits: {}", missing.join(", "));
}

/// The annotated example loads, has every limit, and shows the defaults.
#[test]
fn example_configuration_is_complete() {
    let path = Path::new("deploy/geogate.example.toml");
    let config = geogate::config::load(path).expect("the example is a valid configuration");
    assert_eq!(config.limits, geogate::config::Limits::default());
    let text = fs::read_to_string(path).expect("the example is UTF-8");
    for file in rust_files("src/config") {
        let code = fs::read_to_string(&file).expect("source files are UTF-8");
        for name in limit_names(&code) {
            assert!(text.contains(&format!("\n{name} = ")), "{}: add {name}", path.display());
        }
    }
}

#[test]
fn sample_files_are_used() {
    let mut code = String::new();
    for folder in ["src", "tests", "deploy"] {
        for file in files(folder, &["rs", "sh", "toml", "yaml"]) {
            code.push_str(&fs::read_to_string(file).unwrap_or_default());
        }
    }
    for entry in fs::read_dir("vschema").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("vschema/{name}");
        assert!(code.contains(&path), "{path} is used by no test or script: use or remove it");
    }
}

/// The list of what sessions have names tests that exist, and says for each row what becomes of it.
#[test]
fn session_state_is_tested() {
    let path = "deploy/session-state.md";
    let text = fs::read_to_string(path).expect("the list is UTF-8");
    let mut findings = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, _, one, several, tests] = cells[..] else {
            findings.push(format!("{path}: this row has not five cells: {row}"));
            continue;
        };
        let judged = |cell: &&str| STATE_WORDS.iter().any(|word| cell.starts_with(word));
        if ![one, several].iter().all(judged) {
            findings.push(format!("{path}: {what}: begin with one of {}", STATE_WORDS.join(", ")));
        }
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            findings.push(format!("{path}: {what}: name the test that shows it"));
        }
        findings.extend(
            named.iter().filter(|name| !is_test(name)).map(|name| {
                format!("{path}: {what}: there is no test {name}; write file::function")
            }),
        );
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// What a row of the list of session state may say.
const STATE_WORDS: &[&str] = &["followed", "pinned", "refused", "shared", "as it is", "fault"];

/// Whether there is a test of this name: `state::name` in `tests/blackbox/state.rs`, or the path
/// of any other file instead.
fn is_test(name: &str) -> bool {
    let Some((file, function)) = name.rsplit_once("::") else { return false };
    let path =
        if file.contains('/') { file.to_owned() } else { format!("tests/blackbox/{file}.rs") };
    let text = fs::read_to_string(path).unwrap_or_default();
    let head = format!("fn {function}(");
    text.split("#[test]\n").skip(1).any(|rest| {
        let first = rest.lines().find(|line| !line.trim_start().starts_with("#["));
        first.is_some_and(|line| line.contains(&head))
    })
}

/// The rules must be able to fail: each is broken once here.
#[test]
fn rules_find_what_they_should() {
    let findings = |file: &str, text: &str| {
        let mut findings = Vec::new();
        let source = Source { file, text };
        source.check_form(&mut findings);
        source.check_imports(&mut findings);
        source.check_purity(&mut findings);
        findings
    };
    assert_eq!(findings("src/planner/a.rs", "//! A.\nuse crate::engine::Plan;\n").len(), 0);
    assert_eq!(findings("src/planner/a.rs", "//! A.\nuse crate::session::Run;\n").len(), 1);
    assert_eq!(findings("src/planner/a.rs", "//! A.\nuse crate::{sql, session};\n").len(), 1);
    assert_eq!(findings("src/planner/a.rs", "//! A.\nuse crate::backend::Pool;\n").len(), 1);
    assert_eq!(findings("src/wire/a.rs", "//! A.\nuse tokio::net::TcpStream;\n").len(), 1);
    assert_eq!(findings("src/net/a.rs", "//! A.\nuse tokio::net::TcpStream;\n").len(), 0);
    assert_eq!(findings("src/wire/a.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(findings("src/wire/utils.rs", "//! A.\n").len(), 1);
    assert_eq!(findings("src/wire/a.rs", &format!("//! A.\n{}", "\n".repeat(600))).len(), 1);
    assert_eq!(findings("src/wire/a.rs", &format!("//! {}\n", "x".repeat(100))).len(), 1);
    assert_eq!(
        findings("src/wire/a.rs", &format!("//! A.\n// {}\n", "FIX".to_owned() + "ME")).len(),
        1
    );
    let long = format!("//! A.\nfn long() {{\n{}}}\n", "    x();\n".repeat(71));
    assert_eq!(findings("src/wire/a.rs", &long).len(), 1);
    let engine = "//! A.\nuse crate::topology::Topology;\n";
    assert_eq!(findings("src/engine/a.rs", engine).len(), 1, "a lower module, but never");
    let limits =
        "pub struct Limits {\n    /// Doc.\n    pub rows_max: usize,\n    pub wait: Duration,\n}";
    assert_eq!(limit_names(limits), ["rows_max", "wait"]);
    assert!(is_test("tests/tidy.rs::rules_find_what_they_should"));
    assert!(!is_test("tests/tidy.rs::is_test") && !is_test("state::no_such_test"));
}

/// The page's rules must be able to fail, too: each changes one thing in it.
#[test]
fn page_rules_find_what_they_should() {
    let page = fs::read_to_string(PAGE).expect("the page is UTF-8");
    let code = code();
    let known = words(&code);
    for (from, to) in [
        ("session/request.rs::admit", "session/request.rs::admits"),
        ("session/request.rs", "session/requests.rs"),
        ("`Sent`", concat!("`No", "Such`")),
        ("| 6 | `session` |", "| 5 | `session` |"),
        ("- `engine` imports neither", "- `geo` imports neither"),
        ("- `cli` also imports", "- `cli` imports"),
    ] {
        assert!(page.contains(from), "{from} does not stand there");
        let changed = page.replacen(from, to, 1);
        assert!(!page_findings(&changed, &known).is_empty(), "{to} is not found");
    }
    let long = format!("{page}{}", "\n".repeat(PAGE_LINES_MAX));
    assert!(!page_findings(&long, &known).is_empty());
}

/// What [`PAGE`] says and the code, whose words are `known`, does not.
fn page_findings(page: &str, known: &HashSet<&str>) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = page.lines().count();
    if lines > PAGE_LINES_MAX {
        findings.push(format!("{PAGE}: {lines} lines; say less (at most {PAGE_LINES_MAX})"));
    }
    // From the top of the program down, as it is read.
    let layers = LAYERS.iter().enumerate().rev();
    let layers = layers.flat_map(|(number, layer)| layer.iter().map(move |name| (number, *name)));
    let rows = page.lines().filter_map(module_row);
    let (layers, rows): (Vec<_>, Vec<_>) = (layers.collect(), rows.collect());
    if layers != rows {
        findings.push(format!("{PAGE}: the modules are {rows:?}, those of LAYERS {layers:?}"));
    }
    let says = |start: String, names: &[&str]| {
        let mut lines = page.lines().filter(|line| line.starts_with(&start));
        lines.any(|line| names.iter().all(|name| line.contains(&format!("`{name}`"))))
    };
    for (module, names) in NEVER {
        if !says(format!("- `{module}` imports neither "), names) {
            findings.push(format!("{PAGE}: does not say that {module} never imports {names:?}"));
        }
    }
    for (module, name) in NEIGHBOURS {
        if !says(format!("- `{module}` also imports "), &[name]) {
            findings.push(format!("{PAGE}: does not say that {module} also imports {name}"));
        }
    }
    for name in page.split(|c: char| c.is_whitespace() || "`()[],;|".contains(c)) {
        findings.extend(missing_place(name.trim_end_matches(['.', ':'])));
    }
    for quoted in page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
        if quoted.chars().all(|c| is_of_name(c) || c == ':') {
            let unknown = quoted.split("::").find(|name| !known.contains(name));
            findings.extend(unknown.map(|name| format!("{PAGE}: {name} is nowhere in the code")));
        }
    }
    findings
}

fn code() -> String {
    let files = ["src", "tests"].into_iter().flat_map(rust_files);
    files.map(|file| fs::read_to_string(file).expect("source files are UTF-8")).collect()
}

fn words(code: &str) -> HashSet<&str> {
    code.split(|c: char| !is_of_name(c)).collect()
}

/// The layer and the name in a row of the module table.
fn module_row(line: &str) -> Option<(usize, &str)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let layer = cells.next()?.parse().ok()?;
    Some((layer, cells.next()?.trim_matches('`')))
}

/// What is wrong with a name such as `session/run.rs`, `wire/` or `session/run.rs::command`; names
/// of other sorts are not looked at.
fn missing_place(name: &str) -> Option<String> {
    let (path, item) = name.split_once("::").unwrap_or((name, ""));
    if !path.contains(['/', '.']) {
        return None;
    }
    let paths = [format!("src/{path}"), path.to_owned()];
    let Some(found) = paths.iter().find(|path| Path::new(path).exists()) else {
        return Some(format!("{PAGE}: there is no {path}"));
    };
    if item.is_empty() {
        return None;
    }
    let text = fs::read_to_string(found).unwrap_or_default();
    let words = ["fn", "struct", "enum", "trait", "const", "type", "macro_rules!"];
    let is_defined = words.iter().any(|word| {
        let start = format!("{word} {item}");
        text.match_indices(&start).any(|(at, _)| !text[at + start.len()..].starts_with(is_of_name))
    });
    (!is_defined).then(|| format!("{PAGE}: {path} defines no {item}"))
}

fn check_links(page: &Path) {
    let text = fs::read_to_string(page).expect("pages are UTF-8");
    let folder = page.parent().unwrap_or(Path::new(""));
    for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
        let leads = link.starts_with("https://") || link.is_empty() || folder.join(link).exists();
        assert!(leads, "{}: there is no {link}", page.display());
    }
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn check_form(&self, findings: &mut Vec<String>) {
        let file = self.file;
        let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = Path::new(file).parent().and_then(Path::file_name).unwrap_or_default();
        for name in FORBIDDEN_NAMES {
            if stem == *name || folder == *name {
                findings.push(format!("{file}: the name {name} says nothing; name the concept"));
            }
        }
        if !self.text.starts_with("//!") {
            findings.push(format!("{file}: begin with //! and say what it is for and is not for"));
        }
        let count = self.text.lines().count();
        if count > FILE_LINES_MAX {
            findings.push(format!("{file}: {count} lines; split it by concept (at most 600)"));
        }
        for (at, line) in self.text.lines().enumerate() {
            let at = at + 1;
            if line.chars().count() > LINE_COLUMNS_MAX && !line.contains('"') {
                findings.push(format!("{file}:{at}: longer than 100 columns; break the line"));
            }
            for mark in
                ["FIX", "XX"].map(|mark| mark.to_owned() + if mark == "XX" { "X" } else { "ME" })
            {
                if line.contains(&mark) {
                    findings.push(format!("{file}:{at}: {mark}; do it or open an issue"));
                }
            }
            if line.contains(&("todo".to_owned() + "!(")) {
                findings.push(format!("{file}:{at}: refuse by name instead of an open end"));
            }
        }
        // Tests are often one long table of cases.
        if stem != "tests" {
            self.check_functions(findings);
        }
    }

    /// Counts the lines of each function by the indentation of its closing brace, which rustfmt
    /// guarantees.
    fn check_functions(&self, findings: &mut Vec<String>) {
        let lines: Vec<&str> = self.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let words = ["pub ", "pub(crate) ", "pub(super) ", "async ", "const "];
            let mut rest = code;
            while let Some(next) = words.iter().find_map(|word| rest.strip_prefix(word)) {
                rest = next;
            }
            let Some(name) = rest.strip_prefix("fn ") else { continue };
            let indent = &line[..line.len() - code.len()];
            let closing = format!("{indent}}}");
            let Some(length) = lines[start..].iter().position(|line| *line == closing) else {
                continue;
            };
            if length + 1 > FUNCTION_LINES_MAX {
                let name = name.split(['(', '<']).next().unwrap_or_default();
                findings.push(format!(
                    "{}:{}: {name} has {} lines; split it (at most {FUNCTION_LINES_MAX})",
                    self.file,
                    start + 1,
                    length + 1
                ));
            }
        }
    }

    fn check_imports(&self, findings: &mut Vec<String>) {
        let module = module_of(self.file);
        if module == "lib" {
            return;
        }
        let Some(own) = layer_of(module) else {
            findings.push(format!("{}: add {module} to LAYERS in tests/tidy.rs", self.file));
            return;
        };
        let never = NEVER.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, of)| of);
        for target in self.imported_modules() {
            if never.contains(&target.as_str()) {
                findings.push(format!("{}: {module} must not know {target}", self.file));
            }
            let Some(theirs) = layer_of(&target) else { continue };
            let neighbour = NEIGHBOURS.contains(&(module, target.as_str()));
            if target != module && theirs >= own && !neighbour {
                findings.push(format!(
                    "{}: {module} (layer {own}) imports {target} (layer {theirs}); move the shared \
                     type down, or pass the value from above",
                    self.file
                ));
            }
        }
    }

    fn imported_modules(&self) -> BTreeSet<String> {
        let code = self.code_lines().collect::<Vec<_>>().join("\n");
        let mut found = BTreeSet::new();
        for root in ["crate::", "geogate::"] {
            for (at, _) in code.match_indices(root) {
                let rest = &code[at + root.len()..];
                if let Some(group) = rest.strip_prefix('{') {
                    found.extend(group_heads(group));
                } else {
                    found.insert(identifier(rest));
                }
            }
        }
        found
    }

    fn check_purity(&self, findings: &mut Vec<String>) {
        if !PURE.contains(&module_of(self.file)) || MAY_READ_FILES.contains(&self.file) {
            return;
        }
        if self.file.ends_with("/tests.rs") {
            return;
        }
        for line in self.code_lines().take_while(|line| line.trim() != "#[cfg(test)]") {
            if let Some((name, advice)) = IMPURE.iter().find(|(name, _)| line.contains(name)) {
                findings.push(format!("{}: names {name}; {advice}", self.file));
            }
        }
    }

    fn code_lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

/// `src/planner/scope.rs` belongs to `planner`, `src/clock.rs` to `clock`.
fn module_of(file: &str) -> &str {
    let path = file.trim_start_matches("src/");
    path.split(['/', '.']).next().unwrap_or_default()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|char| is_of_name(*char)).collect()
}

/// The first path segments inside `{a::b, c::{d, e}}`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut at_head = true;
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            char if at_head && !char.is_whitespace() => {
                heads.push(identifier(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

/// Field names of `struct Limits`.
fn limit_names(text: &str) -> Vec<String> {
    let Some(start) = text.find("struct Limits {") else { return Vec::new() };
    let body = &text[start..];
    let body = &body[..body.find("\n}").unwrap_or(body.len())];
    body.lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let line =
                line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
            let name = identifier(line);
            (line.starts_with(&format!("{name}:")) && !name.is_empty()).then_some(name)
        })
        .collect()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if extensions.iter().any(|wanted| path.extension().is_some_and(|e| e == *wanted))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
