//! Several statements in one command, and procedures with several results: packet by packet what
//! the server itself answers.

use crate::client::{Client, Login, Parameter, SERVER_MORE_RESULTS, capability};
use crate::recorded::Sides;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

const STATEMENTS: &[&str] = &[
    "CREATE TABLE several (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(99) UNIQUE)",
    "CREATE PROCEDURE three() BEGIN SELECT 1 AS one; INSERT INTO several (v) VALUES (RAND()); \
     SELECT id > 0 FROM several LIMIT 2; END",
    "CREATE PROCEDURE fails() BEGIN SELECT 1; SELECT * FROM nowhere; SELECT 2; END",
    "CREATE PROCEDURE outs(IN a INT, OUT b INT, INOUT c INT) BEGIN SET b = a + 1, c = c * 2; \
     SELECT a; END",
    "CREATE PROCEDURE quiet() UPDATE several SET v = CONCAT(v, 'x') WHERE id < 2",
    "SELECT 1; SELECT 2",
    "SELECT 1; SELECT 2;",
    "SELECT 1; SELECT 2;;",
    "SELECT 1;; SELECT 2",
    "SELECT 1; ; SELECT 2",
    ";SELECT 1",
    ";",
    ";;",
    "SELECT 1;   ",
    "SELECT 1; -- the end",
    "SELECT 1; /* the end */",
    "SELECT 1; # the end",
    "SELECT 1 -- a comment; not a statement\n; SELECT 2",
    "SELECT 1; /* a */ SELECT 2; /* b */ -- c",
    "/* only */; SELECT 2",
    "-- only\n; SELECT 2",
    "/*! SELECT 1 */; /*! SELECT 2 */",
    "SELECT ';', \";\", `v` FROM several LIMIT 0; SELECT 'a;b' AS `c;d`",
    "SELECT 1; SELECT nonsense; SELECT 3",
    // Errors of syntax quote the rest of the command.
    "SELECT 1; SELEC 2; SELECT 3",
    "SELECT 1 +; SELECT 2",
    "SELECT FROM \n ;  SELECT '1234567890 1234567890 1234567890 1234567890 1234567890 1234567890'",
    "SELECT 0; CREATE PROCEDURE p1() BEGIN SELEC 1; END; SELECT 2",
    "SELECT 1; SELECT 'never closed",
    "SELECT 1; SELECT 2 /* never closed",
    "INSERT INTO several (v) VALUES ('a'), ('b'); INSERT INTO several (v) VALUES ('c'); \
     UPDATE several SET v = 'd' WHERE v = 'c'; SELECT LAST_INSERT_ID() > 0; SELECT ROW_COUNT()",
    "INSERT INTO several (v) VALUES ('e'); INSERT INTO several (v) VALUES ('e'); SELECT 1",
    "SHOW WARNINGS; SELECT 1",
    "SELECT CAST('1x' AS SIGNED); SHOW WARNINGS; SELECT @@warning_count",
    "SELECT CAST('1x' AS SIGNED); SHOW COUNT(*) WARNINGS",
    "INSERT IGNORE INTO several (v) VALUES ('e'); SHOW WARNINGS; SELECT 2",
    "BEGIN; INSERT INTO several (v) VALUES ('t'); SELECT COUNT(*) FROM several WHERE v = 't'; \
     ROLLBACK; SELECT COUNT(*) FROM several WHERE v = 't'",
    "START TRANSACTION; SELECT 1",
    "SELECT 2; COMMIT; SELECT 3",
    "SET autocommit = 0; SELECT 1 FROM several LIMIT 0; COMMIT; SET autocommit = 1",
    "SET @a = 1; SELECT @a; SET @a = @a + 1; SELECT @a",
    "SET sql_mode = 'ANSI_QUOTES'; SELECT \"v\" FROM several LIMIT 0; SET sql_mode = DEFAULT; \
     SELECT \"v\"",
    "SET NAMES latin1; SELECT 'x'; SET NAMES utf8mb4; SELECT 'x'",
    "USE app_a; SELECT DATABASE(); USE app; SELECT DATABASE()",
    "SET sql_mode = 'ANSI_QUOTES'; USE \"app_a\"; SELECT DATABASE(); USE `app`; SET sql_mode = DEFAULT; \
     SELECT DATABASE()",
    "USE nowhere; SELECT 1",
    "DO 1; DO 2; SELECT 3",
    "CALL three()",
    "CALL three(); SELECT 5",
    "SELECT 4; CALL three(); CALL quiet(); SELECT 5",
    "CALL fails()",
    "CALL fails(); SELECT 5",
    "CALL quiet()",
    "CALL nowhere()",
    "SET @c = 3; CALL outs(1, @b, @c); SELECT @b, @c",
    "CALL outs(1, 2, 3)",
    "CREATE PROCEDURE p1() BEGIN SELECT 1; SELECT 2; END; SELECT 3; DROP PROCEDURE p1; SELECT 4",
    "CREATE PROCEDURE p1() SELECT 1; CALL p1(); DROP PROCEDURE p1",
    "CREATE PROCEDURE p1(n INT) COMMENT 'begin; end' BEGIN DECLARE i INT DEFAULT 0; DECLARE EXIT \
     HANDLER FOR SQLEXCEPTION BEGIN SELECT 'failed'; END; l: WHILE i < n DO SET i = i + 1; \
     IF i = 2 THEN ITERATE l; ELSEIF (i = 4) THEN LEAVE l; END IF; CASE WHEN i = 1 THEN SELECT \
     IF(i = 1, 'a', 'b'); ELSE SELECT CASE i WHEN 3 THEN 'c' ELSE 'd' END; END CASE; END WHILE l; \
     REPEAT SET i = i - 1; UNTIL i < 1 END REPEAT; SELECT REPEAT('x', 2); BEGIN END; END; \
     CALL p1(3); DROP PROCEDURE p1",
    "CREATE FUNCTION f1(a INT) RETURNS INT DETERMINISTIC RETURN IF(a > 1, a, 1); SELECT f1(3); \
     DROP FUNCTION f1",
    "CREATE FUNCTION f1(a INT) RETURNS INT DETERMINISTIC BEGIN IF a > 1 THEN RETURN 2; END IF; \
     RETURN 3; END; SELECT f1(3); DROP FUNCTION IF EXISTS f1; SELECT 1",
    "CREATE TRIGGER several_t BEFORE INSERT ON several FOR EACH ROW BEGIN SET NEW.v = 'u'; END; \
     DROP TRIGGER several_t; SELECT 1",
    "CREATE TRIGGER several_t BEFORE INSERT ON several FOR EACH ROW SET NEW.v = 'u'; \
     DROP TRIGGER several_t; SELECT 1",
    "CREATE OR REPLACE VIEW several_v AS SELECT 1; DROP VIEW several_v; SELECT 1",
    "CREATE PROCEDURE p1() BEGIN SELECT 1; SELECT 2",
    "CREATE PROCEDURE IF NOT EXISTS p1() BEGIN DROP TABLE IF EXISTS none_such; SELECT 1; END; \
     DROP PROCEDURE IF EXISTS p1; SELECT 6",
    "CREATE EVENT several_e ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT 1; SELECT 2; END; \
     DROP EVENT several_e; SELECT 7",
    "LOCK TABLES several READ; SELECT COUNT(*) >= 0 FROM several; UNLOCK TABLES; SELECT 1",
    "PREPARE p FROM 'SELECT ? + 1'; SET @n = 4; EXECUTE p USING @n; DEALLOCATE PREPARE p; SELECT 2",
    "SELECT SQL_CALC_FOUND_ROWS 1 FROM several LIMIT 0; SELECT FOUND_ROWS() >= 0; SELECT 1",
    "SELECT GET_LOCK('several', 0); SELECT RELEASE_LOCK('several')",
    "SELECT 1; SELECT SLEEP(0); SELECT REPEAT('y', 70000); SELECT 2",
    "SELECT 1;\0",
    "SELECT 1; \0",
    "SELECT 1; SELECT 2 FROM DUAL WHERE 1 = 0; SELECT 3 FROM nowhere",
    "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
    "IF 1 THEN SELECT 1; SELECT 2; END IF; SELECT 3",
    "DROP TABLE several",
    "DROP PROCEDURE three",
    "DROP PROCEDURE fails",
    "DROP PROCEDURE outs",
    "DROP PROCEDURE quiet",
];

/// Goal: several statements and CALL are answered byte for byte as the server does, sequence ids,
/// status, counts and info included, in each form that a client can ask for.
#[test]
fn answers_are_the_servers() {
    let cluster = single::start("several", "");
    let cluster = cluster.watched();
    let sides = Sides {
        direct: cluster.shards[0].primary.socket_address(),
        proxy: cluster.proxy().socket_address(),
    };
    let multi = capability::MULTI_STATEMENTS;
    let mut wrong = Vec::new();
    for (capabilities, without) in [
        (multi | capability::DEPRECATE_EOF | capability::PS_MULTI_RESULTS, 0),
        (multi, 0),
        (multi | capability::SESSION_TRACK | capability::DEPRECATE_EOF, 0),
        (multi, capability::MULTI_RESULTS),
        (0, 0),
        (0, capability::MULTI_RESULTS),
    ] {
        let login = Login { capabilities, without, ..Login::test("app") };
        // Programs without a name are MariaDB's; MySQL's error quotes the text to its end.
        let is_program =
            |sql: &&str| sql.starts_with("BEGIN NOT ATOMIC") || sql.starts_with("IF 1");
        let known = |sql: &&str| !(SOFTWARE.is_mysql() && is_program(sql));
        let statements: Vec<&str> = STATEMENTS.iter().copied().filter(known).collect();
        for difference in sides.differences(&login, None, &statements) {
            wrong.push(format!("[{capabilities:#x} without {without:#x}] {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Goal: COM_SET_OPTION switches several statements on and off, and its answer is the server's.
#[test]
fn several_statements_can_be_switched() {
    let cluster = SINGLE.watched();
    let record = |address| {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let mut all = Vec::new();
        for option in [None, Some(0_u16), Some(1), Some(0)] {
            if let Some(option) = option {
                client.command(0x1b, &option.to_le_bytes()).expect("it is read");
                let _ = client.read_reply();
                all.push(std::mem::take(&mut client.recorded));
            }
            let _ = client.query_all("SELECT 1; SELECT 2");
            all.push(std::mem::take(&mut client.recorded));
        }
        all.concat().iter().map(|packet| packet.escape_ascii().to_string()).collect::<Vec<_>>()
    };
    let direct = record(cluster.shards[0].primary.socket_address());
    assert_eq!(record(cluster.proxy().socket_address()).join("\n"), direct.join("\n"));
    let mut client = cluster.proxy().client("app");
    client.command(0x1b, &[7, 0]).expect("it is read");
    assert_eq!(client.read_reply().expect_err("no such option").errno(), 1047);
    client.ping().expect("in step");
}

/// Goal: results and OUT parameters of a prepared CALL come with the server's own flags.
#[test]
fn prepared_calls() {
    let cluster = SINGLE.watched();
    cluster.shards[0].primary.client("app").query(
        "CREATE PROCEDURE prepared_outs(IN a INT, OUT b INT, INOUT c VARCHAR(9)) BEGIN SET b = a \
         + 1, c = CONCAT(c, a); SELECT a; SELECT a, b; END",
    )
    .expect("ok");
    let calls = [
        "CALL prepared_outs(?, ?, ?)",
        "CALL prepared_outs(1, @b, @c)",
        "CALL prepared_outs(?, ?, 'x')",
        "CALL nowhere(?)",
    ];
    let both = capability::PS_MULTI_RESULTS | capability::DEPRECATE_EOF;
    for capabilities in [0, capability::PS_MULTI_RESULTS, both] {
        let login = Login { capabilities, ..Login::test("app") };
        let record = |address| {
            let mut client = Client::connect(address, &login).expect("a login");
            let mut all = Vec::new();
            for sql in calls {
                let prepared = client.prepare(sql);
                let mut packets = std::mem::take(&mut client.recorded);
                let Ok(prepared) = prepared else {
                    all.push(packets);
                    continue;
                };
                // The number of the statement is the peer's.
                packets[0].drain(2..6);
                all.push(packets);
                let text = |text: &str| Parameter::Text(text.into());
                let values = [Parameter::Int(4), Parameter::Null, text("c")];
                let mut answer = client.execute(&prepared, &values[..prepared.parameters.into()]);
                while answer.is_ok_and(|answer| answer.status & SERVER_MORE_RESULTS != 0) {
                    answer = client.read_answer(true);
                }
                all.push(std::mem::take(&mut client.recorded));
                let _ = client.query("SELECT @b, @c");
                all.push(std::mem::take(&mut client.recorded));
            }
            all
        };
        let direct = record(cluster.shards[0].primary.socket_address());
        let proxy = record(cluster.proxy().socket_address());
        assert_eq!(proxy, direct, "capabilities {capabilities:#x}");
    }
}

/// Goal: what a procedure changes between its results is told as by the server, to those who asked.
#[test]
fn changes_between_results() {
    let cluster = SINGLE.watched();
    let server = &cluster.shards[0].primary;
    let mut setup = server.client("app");
    let body = "BEGIN SELECT 1; SET time_zone = '+03:00', sql_select_limit = 9; SELECT 2; \
                SET @changed = 1; SELECT 3; SET time_zone = '+04:00'; END";
    setup.query(format!("CREATE PROCEDURE changing() {body}")).expect("a new procedure");
    let base = capability::MULTI_STATEMENTS;
    for more in [
        0,
        capability::DEPRECATE_EOF,
        capability::SESSION_TRACK,
        capability::DEPRECATE_EOF | capability::SESSION_TRACK,
    ] {
        let answers = [server.socket_address(), cluster.proxy().socket_address()].map(|address| {
            let login = Login { capabilities: base | more, ..Login::test("app") };
            let mut client = Client::connect(address, &login).expect("a login");
            let mut packets = Vec::new();
            for text in
                ["CALL changing()", "SELECT 0; CALL changing(); SELECT 4", "CALL changing()"]
            {
                client.query_all(text).expect("results");
                packets.extend(client.recorded.iter().map(|p| p.escape_ascii().to_string()));
            }
            packets
        });
        assert_eq!(answers[1], answers[0], "capabilities {more:#x}");
    }
}
