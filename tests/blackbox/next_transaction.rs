//! SET TRANSACTION counts until a transaction has begun, whatever comes before it: as at a server.

use crate::session_state::{ONE, Other, RESET, SHARDS, Stage, play_beside};

/// What may come between SET TRANSACTION and the statement that it is meant for; `;;` is between
/// statements.
const BETWEEN: &[&str] = &[
    "SELECT 1",
    "SET @z = 1",
    "SET sql_mode = ''",
    "SELECT @@sql_mode",
    "SELECT NOW() FROM DUAL WHERE 1 = 0",
    "P: SELECT 1",
    "SHOW TABLES",
    "SHOW WARNINGS",
    "SHOW COLUMNS FROM t",
    "SHOW CREATE TABLE t",
    "USE $db",
    "SELECT COUNT(*) FROM u",
    "P: SELECT COUNT(*) FROM u",
    "SELECT * FROM u WHERE 1 = 0",
    "SELECT missing",
    "SELECT COUNT(*) >= 0 FROM information_schema.tables WHERE table_name = 'u'",
    "EXPLAIN SELECT * FROM u WHERE id = 1",
    "BEGIN",
    "BEGIN;;COMMIT",
    "BEGIN;;BEGIN",
    "BEGIN;;SELECT COUNT(*) FROM u;;BEGIN",
    "SELECT COUNT(*) FROM u;;BEGIN",
    "SELECT COUNT(*) FROM u;;START TRANSACTION READ WRITE;;BEGIN",
    "START TRANSACTION READ ONLY;;BEGIN",
    "START TRANSACTION READ ONLY;;SELECT COUNT(*) FROM u;;BEGIN;;BEGIN",
    "START TRANSACTION READ ONLY;;SELECT COUNT(*) FROM u;;START TRANSACTION READ WRITE;;BEGIN",
    "START TRANSACTION READ ONLY;;SELECT COUNT(*) FROM u;;COMMIT AND CHAIN",
    "SELECT COUNT(*) FROM u;;COMMIT AND CHAIN",
    "SELECT COUNT(*) FROM u;;SET autocommit = 1",
    "BEGIN;;SELECT COUNT(*) FROM u;;SET autocommit = 1",
    "START TRANSACTION READ ONLY;;SELECT COUNT(*) FROM u;;SET autocommit = 1",
    "SELECT COUNT(*) FROM u;;SET SESSION TRANSACTION READ WRITE;;BEGIN",
    "SELECT COUNT(*) FROM u;;COMMIT;;BEGIN",
    "BEGIN;;SELECT COUNT(*) FROM u;;ROLLBACK",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "START TRANSACTION READ WRITE",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "SAVEPOINT s;;BEGIN",
    "SELECT 1;;BEGIN",
    "SELECT 1;;COMMIT",
    "SELECT 1;;SET autocommit = 1",
    "UNLOCK TABLES",
    "PREPARE s FROM 'SELECT 1';;EXECUTE s",
    "PREPARE s FROM 'SELECT COUNT(*) FROM u';;EXECUTE s",
    "SET autocommit = 1",
    "SET autocommit = 0;;SET autocommit = 1",
    "SET autocommit = 0",
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET TRANSACTION READ WRITE",
    "SELECT 1;;SET TRANSACTION READ WRITE",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "INSERT INTO u (id) VALUES (1), (2), (3);;SET TRANSACTION READ WRITE",
    "INSERT INTO u (id) VALUES (1), (2), (3);;BEGIN",
    "UPDATE u SET a = 1 WHERE id < 0",
    "DELETE FROM u WHERE id = -5",
    "SELECT * FROM u WHERE id = 1 FOR UPDATE",
    "SELECT @y := 3",
    "SELECT 1 INTO @y",
    "SELECT LAST_INSERT_ID(3)",
    "(SELECT 1) UNION (SELECT 2)",
    "SELECT * FROM (SELECT 1) x",
    "SELECT SLEEP(0)",
    "SET NAMES utf8mb4",
    "SET TRANSACTION READ ONLY;;COM_RESET_CONNECTION",
];

/// The same where only one server is behind.
const ON_ONE: &[&str] = &[
    "SELECT COUNT(*) FROM missing;;BEGIN",
    "LOCK TABLES u READ;;UNLOCK TABLES",
    "no statement",
    "SELECT missing FROM u",
    "SELECT * FROM missing",
    "SHOW DATABASES LIKE 'mysql'",
    "SET @z = (SELECT MAX(id) FROM u)",
    "DO 1",
    "SELECT * FROM information_schema.innodb_trx",
    "SHOW TABLE STATUS LIKE 'missing'",
    "SHOW INDEX FROM u",
    "SHOW TRIGGERS",
    "SELECT next_no()",
    "SELECT next_of_u()",
    "DO next_of_u()",
    "CALL plain_one()",
    "CALL reads_u()",
    "P: CALL reads_u()",
    "CALL sets_next()",
    "SET @z = next_of_u()",
    "ANALYZE TABLE u",
    "CHECK TABLE u",
    "CREATE TABLE made (a INT);;DROP TABLE IF EXISTS made",
    "CREATE TABLE made (a INT);;BEGIN;;ROLLBACK;;DROP TABLE IF EXISTS made",
    "DROP TABLE IF EXISTS missing",
    "CREATE TEMPORARY TABLE tmp (a INT);;DROP TEMPORARY TABLE IF EXISTS tmp",
    "SELECT GET_LOCK('next', 0);;SELECT 1;;SELECT RELEASE_LOCK('next')",
    "SELECT GET_LOCK('next', 0);;SELECT COUNT(*) FROM u;;SELECT RELEASE_LOCK('next')",
    "SELECT SQL_CALC_FOUND_ROWS * FROM u LIMIT 1;;SELECT FOUND_ROWS()",
    "FLUSH TABLES",
    "HANDLER u OPEN;;HANDLER u READ FIRST;;HANDLER u CLOSE",
    "SIGNAL SQLSTATE '45000'",
    "XA RECOVER",
    "SELECT 1; SELECT 2",
    "SELECT 1; SELECT COUNT(*) FROM u",
    "SET TRANSACTION READ WRITE; SELECT 1",
];

const ROUTINES: &[&str] = &[
    "CREATE FUNCTION next_no() RETURNS INT DETERMINISTIC RETURN 3",
    "CREATE FUNCTION next_of_u() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM u)",
    "CREATE PROCEDURE plain_one() SELECT 1",
    "CREATE PROCEDURE reads_u() SELECT COUNT(*) FROM u",
    "CREATE PROCEDURE sets_next() SET TRANSACTION READ WRITE",
];

/// Some of them.
const FEW: &[&str] = &[
    "SELECT 1",
    "SET @z = 1",
    "P: SELECT 1",
    "SELECT COUNT(*) FROM u",
    "SHOW TABLES",
    "SELECT 1;;BEGIN",
    "START TRANSACTION READ ONLY;;BEGIN",
    "SET SESSION TRANSACTION READ WRITE",
    "SELECT COUNT(*) FROM u;;SET autocommit = 1",
];

/// A script for one statement between.
fn script(stage: &Stage, between: &str, autocommit: &[&str]) -> Vec<String> {
    let insert = "INSERT INTO t (id, a) VALUES (NULL, 7), (NULL, 8), (NULL, 9)";
    let insert = if stage.is_sharded() {
        "INSERT INTO t (id, a) VALUES ($n1, 7), ($n2, 8), ($n3, 9), ($n4, 10)"
    } else {
        insert
    };
    let between = between.replace("$db", stage.database());
    let mut lines = Vec::new();
    for autocommit in autocommit {
        for (session, next) in [
            ("SET SESSION TRANSACTION READ WRITE", "READ ONLY"),
            ("SET SESSION TRANSACTION READ ONLY", "READ WRITE"),
            ("SET SESSION binlog_format = 'STATEMENT'", "ISOLATION LEVEL READ COMMITTED"),
            (
                "SET SESSION binlog_format = 'STATEMENT'",
                "ISOLATION LEVEL READ COMMITTED, READ ONLY",
            ),
        ] {
            lines.push(format!("SET autocommit = {autocommit}"));
            lines.push(session.to_owned());
            lines.push(format!("SET TRANSACTION {next}"));
            lines.extend(between.split(";;").map(str::to_owned));
            for one in 0..2 {
                let number = lines.len() * 10;
                let mut insert = insert.to_owned();
                for n in 1..5 {
                    insert = insert.replace(&format!("$n{n}"), &(number + n).to_string());
                }
                let single = format!("INSERT INTO u (id, a) VALUES ({}, NULL)", number + one);
                lines.push(if one == 0 { single } else { insert });
            }
            lines.push("ROLLBACK".to_owned());
            lines.push("UNLOCK TABLES".to_owned());
            lines.push(RESET.to_owned());
            lines.push("B: SELECT COUNT(*) FROM t".to_owned());
            lines.push(format!("B: INSERT INTO u (id) VALUES ({})", lines.len() * 10));
        }
    }
    lines
}

fn play_between(stage: &Stage, between: &[&str], autocommit: &[&str], other: Other) {
    let scripts = between.iter().map(|one| script(stage, one, autocommit));
    let scripts: Vec<Vec<String>> = scripts.collect();
    let scripts: Vec<Vec<&str>> =
        scripts.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
    let scripts: Vec<&[&str]> = scripts.iter().map(Vec::as_slice).collect();
    play_beside(stage, &scripts, other);
}

/// Goal: the characteristics of the next transaction are kept as long as a server keeps them.
#[test]
fn statements_before_the_next_transaction() {
    ONE.define(ROUTINES);
    play_between(&ONE, FEW, &["0", "1"], Other::Waits);
    play_between(&ONE, &["CALL sets_next()"], &["0", "1"], Other::Waits);
    play_between(&ONE, &["SELECT 1"], &["1"], Other::Disturbs);
    let insert = "INSERT INTO u (id) VALUES (1)";
    let snapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    let steps = ["SET TRANSACTION READ ONLY", "SELECT 1", snapshot, insert, "COMMIT", insert];
    play_beside(&ONE, &[&steps], Other::Waits);
}

/// Goal: the same over shards.
#[test]
fn statements_before_the_next_transaction_over_shards() {
    play_between(&SHARDS, FEW, &["0", "1"], Other::Waits);
    play_between(&SHARDS, &["SELECT 1"], &["1"], Other::Disturbs);
}

/// Goal: the same with all that may come between.
#[test]
#[ignore = "long"]
fn all_statements_before_the_next_transaction() {
    ONE.define(ROUTINES);
    play_between(&ONE, BETWEEN, &["0", "1"], Other::Waits);
    play_between(&ONE, ON_ONE, &["0", "1"], Other::Waits);
    play_between(&SHARDS, BETWEEN, &["0", "1"], Other::Waits);
}
