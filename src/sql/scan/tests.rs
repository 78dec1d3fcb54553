//! What the scan cuts out, keeps and reports.

use super::*;
use crate::sql::mode::{Backslash, CharsetClass, DoubleQuote};

fn scan(text: &[u8]) -> Scan {
    scan_in(text, LexMode::default())
}

fn scan_in(text: &[u8], mode: LexMode) -> Scan {
    let mut scan = Scan::new();
    scan.run(text, mode).expect("readable text");
    scan
}

/// The skeleton with markers written as `{kind}`.
fn skeleton(text: &str) -> String {
    let scan = scan(text.as_bytes());
    let mut out = String::new();
    let mut bytes = scan.skeleton().iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 {
            let kind = *bytes.next().expect("a marker has two bytes");
            out.extend(['{', kind as char, '}']);
        } else {
            out.push(*byte as char);
        }
    }
    out
}

#[test]
fn literals_and_comments_leave_the_skeleton() {
    let cases = [
        ("SELECT * FROM t WHERE id = 5", "SELECT * FROM t WHERE id = {i}"),
        ("select -1, 'a', \"b\", 1.5, .5, 1e3, ?", "select -{i}, {s}, {s}, {d}, {d}, {f}, {?}"),
        ("select x'00', 0xff, b'1', 0b1, n'x'", "select {x}, {x}, {b}, {b}, {n}"),
        ("select _utf8mb4'a', _utf8 x'41', _foo", "select _utf8mb4{c}, _utf8 {c}, _foo"),
        ("select 1/* c */, 2 -- end", "select {i}{-}, {i} {-}"),
        ("select/*+ MAX_EXECUTION_TIME(1) */1", "select/*+ MAX_EXECUTION_TIME(1) */{i}"),
        ("select /*vt+ ALLOW_SCATTER */ 1", "select /*vt+ ALLOW_SCATTER */ {i}"),
        ("select 5-- 5\n- 5--5", "select {i}{-}- {i}--{i}"),
        ("select 1 # c\n+ 2", "select {i} {-}+ {i}"),
        ("select a1, t1.2a, 1a, `1`, @1, @@x.y", "select a1, t1.2a, 1a, `1`, @1, @@x.y"),
        ("select a from ks[40-80].t where b = 5", "select a from ks[40-80].t where b = {i}"),
        ("select t.*, 5", "select t.*, {i}"),
        ("select true, null", "select true, null"),
        ("select 'a' as 'x'", "select {s} as 'x'"),
        ("/*!40101 SET NAMES utf8 */", "/*!40101 SET NAMES utf8 */"),
    ];
    for (text, expected) in cases {
        assert_eq!(skeleton(text), expected, "{text}");
    }
}

#[test]
fn positions_in_order_by_and_group_by_stay() {
    let cases = [
        ("select a, 1 order by 2, 1 limit 3, 4", "select a, {i} order by 2, 1 limit {i}, {i}"),
        ("select 1 group by 1, a, 2 having 5", "select {i} group by 1, a, 2 having {i}"),
        ("select 1 order by f(1, 2), 3", "select {i} order by f({i}, {i}), 3"),
        (
            "select 1 order by (select 1 order by 1, 2), 3",
            "select {i} order by (select {i} order by 1, 2), 3",
        ),
        (
            "(select 1 order by 1) union select 2, 3",
            "(select {i} order by 1) union select {i}, {i}",
        ),
        ("select 1 order by a + 1, b", "select {i} order by a + {i}, b"),
    ];
    for (text, expected) in cases {
        assert_eq!(skeleton(text), expected, "{text}");
    }
}

#[test]
fn statement_kinds() {
    use StatementKind as K;
    let cases = [
        ("", K::Empty),
        ("  -- nothing", K::Empty),
        ("select 1", K::Select),
        ("/* c */ SELECT 1", K::Select),
        ("((select 1))", K::ParenSelect),
        ("/*!40101 SET @x = 1 */", K::Set),
        ("start /* c */ transaction", K::StartTransaction),
        ("start replica", K::Admin),
        ("drop prepare x", K::Deallocate),
        ("analyze table t", K::Maintain),
        ("load data infile 'x' into table t", K::LoadData),
        ("desc t", K::Explain),
        ("vexplain plan select 1", K::VExplain),
        ("begin", K::Begin),
        ("begin /* c */ work;", K::Begin),
        ("BEGIN; select 1", K::Begin),
        ("begin not atomic select 1; end", K::Compound),
        ("begin select 1; end", K::Compound),
        ("declare a int; begin null; end", K::Compound),
        ("for i in 1..3 do select i; end for", K::Compound),
        ("if 1 then select 1; end if", K::Compound),
        ("a: loop leave a; end loop", K::Compound),
        ("`a`: loop leave a; end loop", K::Compound),
        ("<<a>> loop null; end loop", K::Compound),
        ("set statement max_statement_time = 1 for select 1", K::Select),
        ("set statement a = (select substr('b' from 1 for 1)), c = 2 for update t", K::Update),
        ("set statement_timeout = 1", K::Set),
        ("get diagnostics @a = number", K::Diagnostics),
        ("frobnicate", K::Other),
        ("'x'", K::Other),
    ];
    for (text, kind) in cases {
        assert_eq!(scan(text.as_bytes()).kind(), kind, "{text}");
    }
}

#[test]
fn features_are_found_by_words() {
    let cases = [
        ("select last_insert_id()", Features::LAST_INSERT_ID),
        ("select LAST_INSERT_ID /* c */ ()", Features::LAST_INSERT_ID),
        ("select last_insert_id from t", Features::FROM),
        ("select t.user from t", Features::FROM),
        ("select current_user", Features::USER),
        ("select get_lock('a', 1)", Features::NAMED_LOCK),
        ("select my_function(1)", Features::UNKNOWN_FUNCTION),
        ("select db.count(1)", Features::UNKNOWN_FUNCTION),
        ("select count(*), max(a) from t where a in (1) and (b)", Features::FROM),
        ("select 1 from t for update", Features::LOCKING_READ.with(Features::FROM)),
        ("select 1 from t lock in share mode", Features::LOCKING_READ.with(Features::FROM)),
        ("insert into t values (1) on duplicate key update a = 1", Features::NONE),
        ("select 1 into outfile 'x'", Features::INTO_FILE),
        ("select @a", Features::USER_VARIABLE),
        ("select 1 into @a", Features::USER_VARIABLE.with(Features::ASSIGNS_VARIABLE)),
        ("select @a := 1", Features::USER_VARIABLE.with(Features::ASSIGNS_VARIABLE)),
        ("select @@version", Features::SYSTEM_VARIABLE),
        ("select next 5 values from seq", Features::SEQUENCE.with(Features::FROM)),
        ("select next value for seq", Features::SEQUENCE),
        ("create or replace database d", Features::DATABASE_DEFINITION),
        ("drop schema if exists d", Features::DATABASE_DEFINITION),
        ("select lastval(seq)", Features::SEQUENCE.with(Features::LAST_VALUE)),
        ("select previous value for seq", Features::SEQUENCE.with(Features::LAST_VALUE)),
        ("create temporary table t (a int)", Features::TEMPORARY),
        ("select sql_calc_found_rows 1", Features::CALC_FOUND_ROWS),
        ("select /*!80000 1 */", Features::SERVER_SPECIFIC),
        ("select /*!40000 1 */", Features::NONE),
        ("select /*M! 1 */", Features::SERVER_SPECIFIC),
        ("/*M!999999\\- enable the sandbox mode */ select 1", Features::NONE),
        ("/*!999999 never */ select 1", Features::NONE),
        ("/*!999999 /* never */ */ select 1", Features::SERVER_SPECIFIC),
    ];
    for (text, features) in cases {
        let found = scan(text.as_bytes()).features();
        if text.starts_with("create") {
            assert!(found.contains(features), "{text}");
        } else {
            assert_eq!(found, features, "{text}");
        }
    }
}

#[test]
fn a_statement_ends_at_its_semicolon() {
    let cases = [
        ("select 1", 8),
        ("select 1;", 8),
        ("select 1; -- end", 8),
        ("select ';'; 'oops", 10),
        ("create procedure p() begin select 1; end", 40),
        ("create procedure p() for i in 1..2 do set @x = 5; end for; x", 57),
        ("create trigger g after insert on t for each row set @x = 5; x", 58),
        ("alter event e do begin select 1; end", 36),
        ("begin not atomic select 1; end; select 2", 30),
        ("begin; select 1", 5),
        ("set statement a = 1 for select 1; select 2", 32),
        ("set statement a = 1 for create procedure p() begin end; x", 54),
    ];
    for (text, end) in cases {
        let scan = scan(text.as_bytes());
        assert_eq!(scan.end(), end, "{text}");
    }
}

#[test]
fn modes_move_string_boundaries() {
    let mode = LexMode::default();
    let ansi = LexMode { double_quote: DoubleQuote::Identifier, ..mode };
    assert_eq!(scan_in(b"select \"a\", 'b'", ansi).holes().len(), 1);
    let literal = LexMode { backslash: Backslash::Literal, ..mode };
    assert_eq!(scan_in(br"select 'a\', 'b'", literal).holes().len(), 2);
    assert!(Scan::new().run(br"select 'a\', 'b'", mode).is_err(), "the second string is open");
    let gbk = LexMode { charset: CharsetClass::Gbk, ..mode };
    assert_eq!(scan_in(b"select '\xbf\x5c', 'b'", gbk).holes().len(), 2);
}

#[test]
fn unreadable_text_is_an_error_with_its_place() {
    let cases = [
        ("select 'abc", "unterminated string at byte 7"),
        ("select `abc", "unterminated quoted identifier at byte 7"),
        ("select 1 /* abc", "unterminated comment at byte 9"),
        ("select /*!40000 1", "unterminated comment at byte 17"),
        ("select x'1'", "malformed hexadecimal or bit literal at byte 7"),
        ("select \x01", "illegal byte at byte 7"),
    ];
    for (text, message) in cases {
        let error = Scan::new().run(text.as_bytes(), LexMode::default()).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
    }
}

#[test]
fn positions_survive_other_literals() {
    let made = "select a, 'x' /* c */ from t where b = 5 and c = 'y' limit 1";
    let used = "select a, 'longer' /**/ from t where b = 12345 and c = '' limit 100";
    let (made_scan, used_scan) = (scan(made.as_bytes()), scan(used.as_bytes()));
    assert_eq!(made_scan.skeleton(), used_scan.skeleton());
    for word in ["from", "where", "and", "limit", ", '", " /*", " limit"] {
        let at = made.find(word).expect(word) as u32;
        let position = made_scan.locate(at).expect(word);
        assert_eq!(used_scan.resolve(position), used.find(word).expect(word) as u32, "{word}");
    }
    assert_eq!(made_scan.locate(12), None, "inside a literal");
    let end = made_scan.locate(made.len() as u32).expect("the end");
    assert_eq!(used_scan.resolve(end), used.len() as u32);
}

#[test]
fn version_comments_hide_no_kind() {
    for (text, kind) in [
        ("SET /*!*/ STATEMENT a = 1 FOR UPDATE t SET a = 1", StatementKind::Update),
        ("/*! SET */ STATEMENT a = 1 FOR DELETE FROM t", StatementKind::Delete),
        ("/*!50000 SET STATEMENT */ a = 1 FOR INSERT INTO t VALUES (1)", StatementKind::Insert),
        ("BEGIN /*! */", StatementKind::Begin),
        ("BEGIN /*! NOT */ ATOMIC SELECT 1; END", StatementKind::Compound),
        ("/*! START */ TRANSACTION", StatementKind::StartTransaction),
        ("LOAD /*!*/ DATA INFILE 'a' INTO TABLE t", StatementKind::LoadData),
        ("ANALYZE /*! TABLE */ t", StatementKind::Maintain),
    ] {
        assert_eq!(scan(text.as_bytes()).kind(), kind, "{text}");
    }
}

#[test]
fn a_scan_that_failed_says_nothing_of_the_text_before() {
    let mode = LexMode::default();
    let mut scan = Scan::new();
    scan.run(b"select 'a long statement that could be read'", mode).expect("tokens");
    let short = b"set @a = 'x";
    assert!(scan.run(short, mode).is_err());
    assert!(crate::sql::control::parse(short, mode, &scan).is_err());
    assert!(!crate::sql::effects::effects(short, mode, &scan).is_empty());
}
