//! Long and deep statements: what Geogate does with a text before a server sees it takes time in
//! proportion to its length, and no stack that grows with it, whatever the text is made of.
//!
//! Every construct of the grammar is repeated and nested, alone and around others. What is measured
//! are steps (tokens that are read or looked at, nodes that are visited): a text of four times the
//! length must not take much more than four times as many. The stack is that of the proxy's
//! workers: a text that needs more ends the process, and so the test.

use std::path::Path;

use geogate::cli::explain::Explainer;
use geogate::sql::STACK_BYTES;
use geogate::sql::control;
use geogate::sql::effects::effects;
use geogate::sql::fill::fill;
use geogate::sql::mode::{LexMode, Versions};
use geogate::sql::null_places::null_places;
use geogate::sql::own_account::changes_own_account;
use geogate::sql::scan::Scan;
use geogate::sql::sequence_use::SequenceUse;
use geogate::sql::steps::steps;
use geogate::vschema::{Sources, Strictness};

/// A construct: what comes once before, the part that is repeated, and what comes once behind.
/// `#` in a part is its number.
struct Construct {
    before: &'static str,
    part: &'static str,
    behind: &'static str,
}

/// A repeated construct.
const fn repeated(before: &'static str, part: &'static str, behind: &'static str) -> Construct {
    Construct { before, part, behind }
}

const REPEATED: &[Construct] = &[
    repeated("SELECT 1", ", 1", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " AND name = 'a'", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " OR id = #", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " || id = #", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " XOR id = #", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " = 1", ""),
    repeated("SELECT id FROM customer WHERE id = 1", " IS NULL", ""),
    repeated("SELECT id FROM customer WHERE id", " + 1", " = 1"),
    repeated("SELECT id FROM customer WHERE ", "NOT ", "id = 1"),
    repeated("SELECT id FROM customer WHERE ", "! ", "id = 1"),
    repeated("SELECT ", "- ", "1"),
    repeated("SELECT ", "BINARY ", "1"),
    repeated("SELECT 'a'", " COLLATE utf8mb4_bin", ""),
    repeated("SELECT 'a'", " 'a'", ""),
    repeated("SELECT id FROM customer WHERE id IN (1", ", #", ")"),
    repeated("SELECT id FROM customer WHERE id BETWEEN 1 AND 2", " BETWEEN 1 AND 2", ""),
    repeated("SELECT id FROM customer WHERE name LIKE 'a'", " LIKE 'a'", ""),
    repeated("SELECT CASE id", " WHEN # THEN 1", " END FROM customer"),
    repeated("SELECT CONCAT('a'", ", 'a'", ")"),
    repeated("SELECT /*! 1", " */ /*! , 1", " */"),
    repeated("SELECT 1", " /*! */", ""),
    repeated("SELECT 1 ", "/*! ", ""),
    repeated("SELECT 1 ", "/*!99999 ", ""),
    repeated("SELECT 1 ", "/*M!100000 ", ""),
    repeated("SELECT 1", " /* a */", ""),
    repeated("SELECT 1", " -- a\n", ""),
    repeated("SELECT 1", " # a\n", ""),
    repeated("SELECT ", "/*+ MAX_EXECUTION_TIME(1) */ ", "1"),
    repeated("SELECT ", "/*vt+ ALLOW_SCATTER */ ", "1"),
    repeated("SELECT @a0", ", @a#", ""),
    repeated("SELECT @a0 := 1", ", @a# := 1", ""),
    repeated("SET @a = 1", ", @a# = #", ""),
    repeated("SET @a = 1", ", sql_mode = ''", ""),
    repeated("SET @a = ", "(", ""),
    repeated("SELECT @@sql_mode", ", @@sql_mode", ""),
    repeated("SELECT FOUND_ROWS()", ", FOUND_ROWS()", ""),
    repeated("SELECT LAST_INSERT_ID()", ", LAST_INSERT_ID(#)", ""),
    repeated("SELECT USER()", ", CONNECTION_ID()", ""),
    repeated("SELECT NEXTVAL(s)", ", NEXTVAL(s#)", ""),
    repeated("SELECT LASTVAL(s)", ", PREVIOUS VALUE FOR s#", ""),
    repeated("SELECT f(1)", ", f#(1)", ""),
    repeated("SELECT ?", ", ?", ""),
    repeated("SELECT id FROM customer WHERE id = ?", " AND id = ?", ""),
    repeated("INSERT INTO customer (id, name) VALUES (1, 'a')", ", (#, 'a')", ""),
    repeated("INSERT INTO customer (id, name) VALUES (?, ?)", ", (?, ?)", ""),
    repeated("INSERT INTO customer (id", ", c#", ") VALUES (1)"),
    repeated(
        "INSERT INTO customer (id) VALUES (1) ON DUPLICATE KEY UPDATE name = 'a'",
        ", name = 'a'",
        "",
    ),
    repeated("INSERT INTO customer SET id = 1", ", c# = 1", ""),
    repeated("UPDATE customer SET name = 'a'", ", name = 'a'", " WHERE id = 1"),
    repeated("DELETE FROM customer WHERE id = 1", " AND name = 'a'", ""),
    repeated("DELETE customer", ", customer", " FROM customer WHERE id = 1"),
    repeated("SELECT id FROM customer", ", customer AS c#", " WHERE 1"),
    repeated("SELECT 1 FROM customer", " JOIN customer AS c# ON c#.id = 1", ""),
    repeated("SELECT 1 FROM customer", " NATURAL JOIN customer AS c#", ""),
    repeated("SELECT 1 FROM customer", " JOIN customer AS c# USING (id)", ""),
    repeated("SELECT 1 FROM customer", " PARTITION (p#)", ""),
    repeated("SELECT 1 FROM customer USE INDEX (a)", " USE INDEX (a#)", ""),
    repeated("SELECT 1 FROM ", "(", "customer"),
    repeated("SELECT 1", " UNION SELECT #", ""),
    repeated("SELECT 1", " UNION ALL SELECT #", ""),
    repeated("(SELECT 1)", " UNION ALL (SELECT #)", ""),
    repeated("WITH a AS (SELECT 1)", ", a# AS (SELECT 1)", " SELECT 1"),
    repeated("WITH a (b", ", b", ") AS (SELECT 1) SELECT 1"),
    repeated("SELECT id FROM customer ORDER BY id", ", id", ""),
    repeated("SELECT id FROM customer GROUP BY id", ", id", ""),
    repeated(
        "SELECT SUM(id) OVER w FROM customer WINDOW w AS (ORDER BY id)",
        ", w# AS (ORDER BY id)",
        "",
    ),
    repeated("SELECT COUNT(*)", ", COUNT(*)", " FROM customer"),
    repeated("SELECT GROUP_CONCAT(id ORDER BY id", ", id", ") FROM customer"),
    repeated("SELECT a", ".a", ""),
    repeated("SELECT `a", "a", "`"),
    repeated("SELECT 'a", "a", "'"),
    repeated("SELECT 'a", "''", "'"),
    repeated("SELECT 'a", "\\\\'", "'"),
    repeated("SELECT 1", "1", ""),
    repeated("SELECT 1.", "1", ""),
    repeated("SELECT 0x1", "1", ""),
    repeated("SELECT ", "a", ""),
    repeated("SELECT 1", ";", ""),
    repeated("SELECT 1", "; SELECT #", ""),
    repeated("SELECT ", "_utf8mb4 ", "'a'"),
    repeated("SELECT ", "{d ", "'2024-01-01'"),
    repeated("SELECT 1 INTO @a", ", @a#", ""),
    repeated("SELECT 1 LIMIT 1", ", 1", ""),
    repeated("SELECT JSON_EXTRACT(a, '$')", "->'$'", " FROM customer"),
    repeated("SELECT INTERVAL ", "INTERVAL 1 DAY + ", "1 DAY"),
    repeated("CREATE TABLE t (a INT", ", a# INT", ")"),
    repeated("CREATE TABLE t (a ENUM('a'", ", 'a#'", "))"),
    repeated("CREATE TABLE t (a INT) ENGINE=InnoDB", " ENGINE=InnoDB", ""),
    repeated("CREATE TABLE t (a INT", " DEFAULT 1", ")"),
    repeated("CREATE VIEW v AS SELECT 1", " UNION SELECT #", ""),
    repeated("ALTER TABLE customer ADD a INT", ", ADD a# INT", ""),
    repeated("DROP TABLE a", ", a#", ""),
    repeated("RENAME TABLE a TO b", ", a# TO b#", ""),
    repeated("CREATE PROCEDURE p() BEGIN ", "SET @a# = 1; ", "END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "IF 1 THEN ", "SELECT 1; END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "IF 1 THEN SELECT 1; END IF; ", "END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "BEGIN ", "END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "CASE 1 WHEN 1 THEN ", "END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "l#: LOOP ", "END"),
    repeated("CREATE PROCEDURE p() BEGIN ", "DECLARE a# INT; ", "END"),
    repeated(
        "CREATE PROCEDURE p() BEGIN ",
        "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION ",
        "SELECT 1; END",
    ),
    repeated("CREATE PROCEDURE p() BEGIN SELECT ", "CASE WHEN 1 THEN ", "1; END"),
    repeated("CREATE PROCEDURE p(a INT", ", a# INT", ") SELECT 1"),
    repeated(
        "CREATE TRIGGER t BEFORE INSERT ON customer FOR EACH ROW BEGIN ",
        "SET NEW.a = 1; ",
        "END",
    ),
    repeated("BEGIN NOT ATOMIC ", "SET @a# = 1; ", "END"),
    repeated("BEGIN NOT ATOMIC ", "IF 1 THEN ", "SELECT 1; END"),
    repeated("BEGIN NOT ATOMIC ", "BEGIN NOT ATOMIC ", "END"),
    repeated("BEGIN NOT ATOMIC ", "SELECT 1 INTO @a#; ", "END"),
    repeated("BEGIN NOT ATOMIC ", "PREPARE s# FROM 'SELECT 1'; ", "END"),
    repeated("BEGIN NOT ATOMIC ", "CREATE TEMPORARY TABLE t# (a INT); ", "END"),
    repeated("BEGIN NOT ATOMIC ", "EXECUTE IMMEDIATE 'SET @a# = 1'; ", "END"),
    repeated("BEGIN NOT ATOMIC EXECUTE IMMEDIATE ", "'EXECUTE IMMEDIATE ' ", "; END"),
    repeated("BEGIN NOT ATOMIC ", "DO SET ", "@a = 1; END"),
    repeated("BEGIN NOT ATOMIC ", "DO SET PASSWORD FOR ", "a = 'a'; END"),
    repeated("IF 1 THEN ", "SELECT 1; ", "END IF"),
    repeated("IF 1 THEN ", "IF 1 THEN ", "END IF"),
    repeated("SET STATEMENT max_statement_time = 1", ", sql_mode = ''", " FOR SELECT 1"),
    repeated("", "SET STATEMENT max_statement_time = 1 FOR ", "SELECT 1"),
    repeated("", "EXPLAIN ", "SELECT 1"),
    repeated("", "ANALYZE ", "SELECT 1"),
    repeated("EXPLAIN FORMAT=JSON ", "EXPLAIN FORMAT=JSON ", "SELECT 1"),
    repeated("PREPARE a FROM 'a", "a", "'"),
    repeated("EXECUTE a USING @a", ", @a#", ""),
    repeated("EXECUTE IMMEDIATE CONCAT('a'", ", 'a'", ")"),
    repeated("CALL p(1", ", #", ")"),
    repeated("CALL p(@a", ", @a#", ")"),
    repeated("LOCK TABLES a READ", ", a# WRITE", ""),
    repeated("SHOW WARNINGS LIMIT 1", "1", ""),
    repeated("SHOW TABLES LIKE 'a", "a", "'"),
    repeated("KILL ", "(", "1"),
    repeated("KILL 1", " + 1", ""),
    repeated("GRANT SELECT ON a.* TO a", ", a#", ""),
    repeated("SET PASSWORD FOR a = ", "CONCAT(", "'a'"),
    repeated("ALTER USER a IDENTIFIED BY 'a'", ", a# IDENTIFIED BY 'a'", ""),
    repeated("GET DIAGNOSTICS @a = NUMBER", ", @a# = NUMBER", ""),
    repeated("SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'a'", ", MYSQL_ERRNO = 1", ""),
    repeated("LOAD DATA INFILE 'a' INTO TABLE customer (a", ", a#", ")"),
    repeated("VALUES (1)", ", (#)", ""),
    repeated("VALUES ROW(1)", ", ROW(#)", ""),
    repeated("DO 1", ", SLEEP(0)", ""),
    repeated(
        "SELECT 1 FROM JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$'",
        ", a# INT PATH '$'",
        ")) t",
    ),
    repeated(
        "SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (",
        "NESTED PATH '$' COLUMNS (",
        "a INT PATH '$')) t",
    ),
    repeated("XA START 'a", "a", "'"),
    repeated("", "BEGIN; ", ""),
    repeated("", "(", "SELECT 1"),
    repeated("", ")", ""),
    repeated("", "a ", ""),
    repeated("", "' ", ""),
    repeated("", "` ", ""),
    repeated("", "/* ", ""),
    repeated("", "\\", ""),
    repeated("", "@", ""),
    repeated("", "@@", ""),
    repeated("", "?", ""),
    repeated("", "{", ""),
    repeated("", ".", ""),
    repeated("", "DELIMITER ", ""),
];

/// A construct that is nested: what comes before the inner one, and what behind.
struct Nesting {
    open: &'static str,
    close: &'static str,
}

const fn nesting(open: &'static str, close: &'static str) -> Nesting {
    Nesting { open, close }
}

/// Around an expression.
const NESTED: &[Nesting] = &[
    nesting("(", ")"),
    nesting("NOT (", ")"),
    nesting("-(", ")"),
    nesting("(1 + ", ")"),
    nesting("(", " = 1)"),
    nesting("(", " AND 1)"),
    nesting("(", " OR 1)"),
    nesting("(", " COLLATE utf8mb4_bin)"),
    nesting("CONCAT(", ", 1)"),
    nesting("IF(1, ", ", 1)"),
    nesting("CASE WHEN 1 THEN ", " END"),
    nesting("CASE 1 WHEN ", " THEN 1 END"),
    nesting("CAST(", " AS CHAR)"),
    nesting("CONVERT(", " USING utf8mb4)"),
    nesting("EXISTS (SELECT ", ")"),
    nesting("(SELECT ", ")"),
    nesting("(SELECT 1 FROM customer WHERE id = ", ")"),
    nesting("(SELECT 1 FROM (SELECT ", ") AS t)"),
    nesting("1 IN (", ")"),
    nesting("1 IN (SELECT ", ")"),
    nesting("1 BETWEEN 1 AND (", ")"),
    nesting("1 LIKE (", ")"),
    nesting("ROW(1, ", ")"),
    nesting("(1, ", ")"),
    nesting("DATE_ADD(1, INTERVAL ", " DAY)"),
    nesting("EXTRACT(DAY FROM ", ")"),
    nesting("SUBSTRING(", " FROM 1)"),
    nesting("TRIM(BOTH 'a' FROM ", ")"),
    nesting("GROUP_CONCAT(", " ORDER BY 1)"),
    nesting("SUM(", ") OVER (PARTITION BY 1)"),
    nesting("(WITH a AS (SELECT ", ") SELECT 1)"),
    nesting("(SELECT 1 UNION SELECT ", ")"),
    nesting("(@a := ", ")"),
    nesting("{d ", "}"),
    nesting("JSON_VALUE(", ", '$')"),
    nesting("/*! ", " */"),
    nesting("MATCH (a) AGAINST (", ")"),
    nesting("VALUES(", ")"),
    nesting("DEFAULT(", ")"),
];

/// Statements with an expression in them.
const STATEMENTS: &[(&str, &str)] = &[
    ("SELECT ", ""),
    ("SELECT id FROM customer WHERE id = ", ""),
    ("SELECT id FROM customer ORDER BY ", ""),
    ("SELECT id FROM customer JOIN customer AS b ON ", ""),
    ("INSERT INTO customer (id) VALUES (", ")"),
    ("UPDATE customer SET name = ", " WHERE id = 1"),
    ("DELETE FROM customer WHERE id = ", ""),
    ("SET @a = ", ""),
    ("SET sql_mode = ", ""),
    ("DO ", ""),
    ("CALL p(", ")"),
    ("KILL ", ""),
    ("CREATE VIEW v AS SELECT ", ""),
    ("CREATE PROCEDURE p() SELECT ", ""),
    ("BEGIN NOT ATOMIC SET @a = ", "; END"),
    ("BEGIN NOT ATOMIC IF ", " THEN SELECT 1; END IF; END"),
    ("EXPLAIN SELECT ", ""),
    ("SET STATEMENT sql_mode = '' FOR SELECT ", ""),
    ("PREPARE a FROM ", ""),
    ("EXECUTE IMMEDIATE ", ""),
];

impl Construct {
    /// A text of about so many bytes.
    fn text(&self, bytes: usize) -> String {
        let mut text = self.before.to_owned();
        let mut number = 0;
        while text.len() < bytes {
            number += 1;
            if self.part.contains('#') && !self.part.starts_with(" #") {
                text.push_str(&self.part.replace('#', &number.to_string()));
            } else {
                text.push_str(self.part);
            }
        }
        text.push_str(self.behind);
        text
    }
}

fn nested(kinds: &[&Nesting], (before, behind): (&str, &str), bytes: usize) -> String {
    let (mut open, mut close) = (String::new(), Vec::new());
    for kind in kinds.iter().cycle() {
        open.push_str(kind.open);
        close.push(kind.close);
        if open.len() >= bytes / 2 {
            break;
        }
    }
    close.reverse();
    format!("{before}{open}1{}{behind}", close.concat())
}

/// Everything that is done with a text, over several servers and in front of one.
fn work(explainer: &Explainer, text: &str) {
    for versions in [Versions::Unknown, Versions::MariaDb(101_119)] {
        let mode = LexMode { versions, ..LexMode::default() };
        let mut scan = Scan::new();
        if scan.run(text.as_bytes(), mode).is_err() {
            continue;
        }
        let bytes = text.as_bytes();
        let _ = control::parse(bytes, mode, &scan);
        let _ = effects(bytes, mode, &scan);
        let _ = null_places(bytes, mode, &scan);
        let _ = changes_own_account(bytes, mode, &scan);
        let _ = SequenceUse::of(bytes, mode, &scan);
        let _ = fill(bytes, mode, &scan, |_| Some(b"1".to_vec()));
    }
    let _ = explainer.text(text);
}

/// The steps that a text takes.
fn cost(explainer: &Explainer, text: &str) -> u64 {
    let before = steps();
    work(explainer, text);
    steps() - before
}

/// A text that is four times as long may take this many times as many steps.
const LINEAR: u64 = 5;

/// Steps for each byte, whatever the text.
const STEPS_PER_BYTE: u64 = 250;

/// Says what is wrong with texts of a kind, which are made for a length.
fn judge(explainer: &Explainer, name: &str, text: impl Fn(usize) -> String) -> Option<String> {
    let [small, large] = [1 << 10, 4 << 10].map(|bytes| cost(explainer, &text(bytes)));
    let limit = STEPS_PER_BYTE * (4 << 10);
    let fine = large <= (small + 500) * LINEAR && large <= limit;
    (!fine).then(|| format!("{name}: {small} steps for 1 KiB, {large} for 4 KiB"))
}

fn explainer() -> Explainer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans");
    let sources = Sources::read(&folder.join("vschema.json")).expect("the VSchema is readable");
    let explainer = Explainer::with_sources(&sources, None, Strictness::Strict);
    explainer.expect("the VSchema has no mistakes")
}

/// Runs on the stack that the workers of the proxy have.
fn on_a_worker(run: impl FnOnce(&Explainer) + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(|| run(&explainer()));
    thread.expect("a thread").join().expect("no panic");
}

/// Goal: the work for a text grows no faster than the text, for each construct repeated.
#[test]
fn repeated_constructs_take_linear_time() {
    on_a_worker(|explainer| {
        let wrong = REPEATED.iter().filter_map(|construct| {
            let name = format!("{} [{}] {}", construct.before, construct.part, construct.behind);
            judge(explainer, &name, |bytes| construct.text(bytes))
        });
        let wrong: Vec<String> = wrong.collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Goal: the same for each construct nested in itself, in every statement that takes it.
#[test]
fn nested_constructs_take_linear_time() {
    on_a_worker(|explainer| {
        let mut wrong = Vec::new();
        for (number, nesting) in NESTED.iter().enumerate() {
            // A query, and others in turn; `--ignored` has all.
            for statement in [&STATEMENTS[1], &STATEMENTS[number % STATEMENTS.len()]] {
                let name = format!("{}..{} in {}", nesting.open, nesting.close, statement.0);
                wrong
                    .extend(judge(explainer, &name, |bytes| nested(&[nesting], *statement, bytes)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Goal: the same in all statements, and with two constructs inside of each other.
#[test]
#[ignore = "long"]
fn all_nestings_take_linear_time() {
    on_a_worker(|explainer| {
        let mut wrong = Vec::new();
        for (number, nesting) in NESTED.iter().enumerate() {
            for statement in STATEMENTS {
                let name = format!("{}..{} in {}", nesting.open, nesting.close, statement.0);
                wrong
                    .extend(judge(explainer, &name, |bytes| nested(&[nesting], *statement, bytes)));
            }
            for (other, inner) in NESTED.iter().enumerate() {
                let statement = STATEMENTS[(number + other) % STATEMENTS.len()];
                let name = format!("{} {} in {}", nesting.open, inner.open, statement.0);
                let text = |bytes| nested(&[nesting, inner], statement, bytes);
                wrong.extend(judge(explainer, &name, text));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// A xorshift generator: the same seed gives the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A text of at most so many bytes, as often a short one as a long one: constructs repeated or
    /// nested in others, and at times a piece taken out or put elsewhere.
    fn text(&mut self, bytes_max: usize) -> String {
        let doublings = (bytes_max >> 10).ilog2() as usize;
        let bytes = (1 << (10 + self.below(doublings))) + self.below(1 << 10);
        let mut text = if self.below(2) == 0 {
            self.pick(REPEATED).text(bytes)
        } else {
            let kinds: Vec<&Nesting> = (0..=self.below(4)).map(|_| self.pick(NESTED)).collect();
            nested(&kinds, *self.pick(STATEMENTS), bytes)
        };
        if self.below(3) == 0 {
            let (from, count) = (self.below(text.len()), self.below(40));
            let from = (0..=from).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let to = (from + count..=text.len()).find(|at| text.is_char_boundary(*at));
            let piece: String = text.drain(from..to.unwrap_or(text.len())).collect();
            let at = self.below(text.len() + 1);
            if self.below(2) == 0 && text.is_char_boundary(at) {
                text.insert_str(at, &piece);
            }
        }
        text
    }
}

/// Goal: generated texts, most up to 64 KiB and some up to 4 MiB, take steps in proportion to their
/// length and no more stack than there is. Method: seeds are divided among threads like workers.
#[test]
#[ignore = "long"]
fn generated_texts_take_linear_time() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let run = move || {
                let explainer = explainer();
                for seed in (first..10_000).step_by(threads as usize) {
                    let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    let text = random.text(if seed % 50 == 0 { 4 << 20 } else { 64 << 10 });
                    let steps = cost(&explainer, &text);
                    let limit = STEPS_PER_BYTE * text.len() as u64;
                    assert!(steps <= limit, "seed {seed}: {steps} steps for {} bytes", text.len());
                }
            };
            thread.spawn_scoped(scope, run).expect("a thread");
        }
    });
}

/// Goal: no long text needs more stack than there is.
#[test]
#[ignore = "long"]
fn long_texts_fit_the_stack() {
    on_a_worker(|explainer| {
        for construct in REPEATED {
            work(explainer, &construct.text(64 << 10));
        }
        for (number, nesting) in NESTED.iter().enumerate() {
            work(explainer, &nested(&[nesting], STATEMENTS[number % STATEMENTS.len()], 64 << 10));
        }
    });
}
