//! What statements and routines leave behind, as tables. Carrying it out is not tested here.

use super::*;

fn found(sql: &str) -> Vec<String> {
    let mut scan = Scan::new();
    scan.run(sql.as_bytes(), LexMode::default()).expect("tokens");
    if !may_leave(scan.kind(), scan.features()) {
        return Vec::new();
    }
    effects(sql.as_bytes(), LexMode::default(), &scan).iter().map(short).collect()
}

fn short(effect: &Effect) -> String {
    let name = |name: &Name| match &name.database {
        Some(database) => format!("{database}.{}", name.name),
        None => name.name.clone(),
    };
    match effect {
        Effect::UserVariable(name) => format!("@{name}"),
        Effect::SystemVariable(name) => format!("@@{name}"),
        Effect::TemporaryTable(table) => format!("temporary {}", name(table)),
        Effect::NamedLock(text) => format!("lock {}", String::from_utf8_lossy(text)),
        Effect::Procedure(routine) => format!("procedure {}", name(routine)),
        Effect::Function(routine) => format!("function {}", name(routine)),
        Effect::Unknown(what) => format!("? {what}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn statements_leave_what_their_words_say() {
    let cases: &[(&str, &[&str])] = &[
        ("SELECT 1", &[]),
        ("SELECT @a", &[]),
        ("INSERT INTO t (a, b) VALUES (1, NOW())", &[]),
        ("INSERT INTO `db`.`t` (a) SELECT @x", &[]),
        ("SELECT @a := 1, @`B c`", &["@a", "@b c"]),
        ("SELECT 1, 2 INTO @a, @b", &["@a", "@b"]),
        ("LOAD DATA INFILE 'x' INTO TABLE t (@a, b)", &["@a"]),
        ("CALL db.p(@x, 1)", &["procedure db.p", "@x"]),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS `a``b` (n INT)", &["temporary a`b"]),
        ("CREATE OR REPLACE TEMPORARY TABLE d.t AS SELECT 1", &["temporary d.t"]),
        ("DROP TABLE a, b", &["LooksAtTables"]),
        ("SELECT GET_LOCK('a', 1)", &["lock 'a'"]),
        ("SELECT GET_LOCK(CONCAT(DATABASE(), '.', @n), 1)", &["lock CONCAT(DATABASE(), '.', @n)"]),
        ("SELECT 1 + ?, get_lock(?, ?)", &["NamedLockOfParameter(1)"]),
        ("SELECT GET_LOCK(name, 1) FROM t", &["UnknownLocks"]),
        ("DO RELEASE_LOCK('a')", &["ReleasesLock"]),
        ("SELECT RELEASE_ALL_LOCKS()", &["ReleasesAllLocks"]),
        ("SELECT f(1), d.g(2), `h`(3), abs(1)", &["function f", "function d.g", "function h"]),
        ("LOCK TABLES a READ", &["TableLocks"]),
        ("UNLOCK TABLES", &["UnlocksTables"]),
        ("FLUSH TABLES WITH READ LOCK", &["ReadLock"]),
        ("FLUSH PRIVILEGES", &[]),
        ("HANDLER d.t OPEN AS H", &["HandlerOpened(\"h\")"]),
        ("HANDLER t READ FIRST", &[]),
        ("SET STATEMENT a = (1), b = 2 FOR HANDLER t OPEN", &["HandlerOpened(\"t\")"]),
        ("SET STATEMENT a = 1 FOR XA COMMIT 'x'", &["XaEnded"]),
        ("SET STATEMENT a = 1 FOR CREATE TEMPORARY TABLE t (n INT)", &["temporary t"]),
        ("HANDLER h CLOSE", &["HandlerClosed(\"h\")"]),
        ("SET @a = ?, sql_mode = ?, GLOBAL x = ?", &["@a", "@@sql_mode", "GlobalVariable"]),
        ("BEGIN NOT ATOMIC SET GLOBAL x = 1; END", &["GlobalVariable"]),
        ("IF 1 THEN SET TRANSACTION READ ONLY; END IF", &["NextTransaction"]),
        ("BEGIN NOT ATOMIC SET @@transaction_read_only = 1; END", &["NextTransaction"]),
        ("CREATE PROCEDURE d.p(n INT) SET GLOBAL x = n", &[]),
        ("GET DIAGNOSTICS @n = NUMBER", &["@n"]),
        ("SET @r = f(@out, (@in)), @s = @t", &["@out", "@in", "function f"]),
        ("BEGIN NOT ATOMIC SELECT 1 INTO @a; CALL p(); END", &["@a", "procedure p"]),
        ("XA START 'x'", &["Xa"]),
        ("XA ROLLBACK 'x'", &["XaEnded"]),
        ("XA RECOVER", &[]),
        ("LOCK INSTANCE FOR BACKUP", &["? LOCK INSTANCE"]),
        ("BACKUP STAGE START", &["? a statement that is not known"]),
    ];
    for (sql, wanted) in cases {
        assert_eq!(&found(sql), wanted, "{sql}");
    }
}

#[test]
fn routines_leave_what_their_bodies_say() {
    let of = |text: &str| -> Vec<String> {
        effects_of_routine(text.as_bytes(), LexMode::default()).iter().map(short).collect()
    };
    assert!(of("CREATE FUNCTION f(n INT) RETURNS INT NO SQL RETURN n + ABS(1)").is_empty());
    assert_eq!(of("CREATE PROCEDURE p(n INT) SET @a = n"), ["@a"]);
    assert_eq!(
        of("CREATE PROCEDURE p() BEGIN DECLARE x INT; SET x = 1, @b = f(x); \
            SET SESSION sql_mode = ''; UPDATE t SET timestamp = 1; END"),
        ["@b", "function f", "@@sql_mode"]
    );
    assert_eq!(
        of("CREATE PROCEDURE p() BEGIN CREATE TEMPORARY TABLE t1 (a INT); CALL q(); \
            SELECT GET_LOCK('a', 1); DECLARE EXIT HANDLER FOR 1146 BEGIN END; END"),
        ["temporary t1", "procedure q", "UnknownLocks"]
    );
    assert_eq!(of("CREATE PROCEDURE p() SET NAMES latin1").len(), 3);
    assert_eq!(
        of("CREATE PROCEDURE p() BEGIN PREPARE s FROM @q; EXECUTE s; END"),
        ["? statements that a stored routine makes up"]
    );
}

#[test]
fn bodies_leave_the_variables_that_they_assign() {
    let of = |text: &str| -> Vec<String> {
        effects_of_body(text.as_bytes(), LexMode::default()).iter().map(short).collect()
    };
    let cases: &[(&str, &[&str])] = &[
        ("IF @quiet = 1 THEN INSERT INTO d.log VALUES (@user, NEW.a); END IF", &[]),
        ("SET NEW.a = @a", &[]),
        ("SET @a = @b", &["@a"]),
        ("BEGIN SELECT a, b INTO x, @y FROM t WHERE c = @z; END", &["@y"]),
        ("BEGIN FETCH c INTO x, @y; END", &["@y"]),
        ("INSERT INTO t SELECT @n := @n + 1", &["@n"]),
        ("BEGIN NOT ATOMIC SET @a = 1; END", &["@a"]),
        ("BEGIN GET DIAGNOSTICS CONDITION 1 @e = MYSQL_ERRNO; END", &["@e"]),
        ("CALL d.p(@in, @out)", &["procedure d.p", "@in", "@out"]),
        ("SET @r = f(@out), s = 2", &["@r", "@out", "function f"]),
        ("UPDATE t SET a = @a WHERE b = f(1)", &["function f"]),
        ("CREATE TEMPORARY TABLE x SELECT 1", &["temporary x"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(&of(text), wanted, "{text}");
    }
}
