//! What a session has at a server: every form of SET, user variables of every type, temporary
//! tables, locks, and the functions that only the session can answer.
//!
//! Method: each script runs through the proxy and on a twin, a connection straight to the server;
//! rows, names, types, warnings and errors must be equal. Between two statements another client
//! takes the same server connection and leaves other values on it. In the end the list of sessions
//! says whether the script still keeps a connection, and why.

use std::sync::LazyLock;
use std::time::Duration;

use crate::client::{Answer, Client, Error, Login, Parameter, capability};
use crate::cluster::Cluster;
use crate::server::wait_until;
use crate::single;
use crate::software::SOFTWARE;

/// Few connections, so that they change hands.
static NARROW: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = single::start("state", "[limits]\nserver_connections_max = 3\n");
    let server = &cluster.shards[0].primary;
    for statement in [
        "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, s VARCHAR(50))",
        "INSERT INTO app.t (a, s) VALUES (1, 'one'), (2, 'two'), (3, 'three')",
        "CREATE FUNCTION app.plain(n INT) RETURNS INT NO SQL RETURN n + 1",
        "CREATE FUNCTION app.sets(n INT) RETURNS INT NO SQL BEGIN SET @f = n; RETURN n; END",
        "CREATE FUNCTION app.reads() RETURNS INT NO SQL RETURN @f",
        "CREATE FUNCTION app.locks(n INT) RETURNS INT NO SQL RETURN GET_LOCK('inner', n)",
        "CREATE FUNCTION app.hides(n INT) RETURNS INT NO SQL BEGIN SELECT n INTO @hidden; RETURN n; END",
        "CREATE PROCEDURE app.gives(IN n INT, OUT m INT) SET m = n * 2",
        "CREATE PROCEDURE app.scratches() BEGIN CREATE TEMPORARY TABLE scratch (n INT); \
         INSERT INTO scratch VALUES (7); SELECT n FROM scratch; END",
        "CREATE PROCEDURE app.tidies() BEGIN CREATE TEMPORARY TABLE gone (n INT); \
         DROP TEMPORARY TABLE gone; SELECT 1; END",
        "CREATE PROCEDURE app.limits() SET SESSION group_concat_max_len = 4321",
        "CREATE TABLE app.audited (a INT)",
        "CREATE TRIGGER app.audit BEFORE INSERT ON app.audited FOR EACH ROW SET NEW.a = @who",
    ] {
        server.sql(statement);
    }
    cluster
});

/// Statements, and why a connection is kept after them.
struct Script {
    statements: &'static [&'static str],
    pinned: Option<&'static str>,
}

const fn free(statements: &'static [&'static str]) -> Script {
    Script { statements, pinned: None }
}

const fn kept(pinned: &'static str, statements: &'static [&'static str]) -> Script {
    Script { statements, pinned: Some(pinned) }
}

#[test]
fn set_in_every_form_keeps_no_connection() {
    play(&[
        free(&[
            "SET sql_mode = 'ANSI_QUOTES', @a = 1, SESSION time_zone = '+01:00'",
            "SELECT @@sql_mode, @a, @@time_zone, 'x' \"alias\"",
            "SET @@sql_mode = CONCAT(@@sql_mode, ',NO_ZERO_DATE')",
            "SELECT @@sql_mode",
            "SET LOCAL sql_mode = DEFAULT, @@local.group_concat_max_len = 2000",
            "SELECT @@sql_mode, @@group_concat_max_len",
            "SET group_concat_max_len = @@net_read_timeout + 1000",
            "SELECT @@group_concat_max_len",
            "SET group_concat_max_len = (SELECT COUNT(*) FROM app.t) * 1000",
            "SELECT @@group_concat_max_len",
        ]),
        free(&[
            "SET NAMES latin1",
            "SELECT @@character_set_client, @@character_set_results, @@collation_connection",
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin', @x = 'y'",
            "SELECT @@collation_connection, COLLATION(@x)",
            "SET CHARACTER SET latin1",
            "SELECT @@character_set_client, @@character_set_results, @@collation_connection",
            "SET NAMES DEFAULT",
            "SELECT @@character_set_client, @@character_set_results, @@collation_connection",
            "SET character_set_results = NULL",
            "SELECT @@character_set_results, COLLATION(@x)",
            "SET character_set_client = DEFAULT",
            "SELECT @@character_set_client",
        ]),
        free(&[
            "SET foreign_key_checks = OFF, unique_checks = false, sql_notes = 0",
            "SELECT @@foreign_key_checks, @@unique_checks, @@sql_notes",
            "SET foreign_key_checks = DEFAULT, unique_checks = ON",
            "SELECT @@foreign_key_checks, @@unique_checks, @@sql_notes",
            "SET timestamp = 1000000000",
            "SELECT NOW()",
            "SET timestamp = DEFAULT",
            "SET lc_time_names = 'de_DE', default_week_format = 3, div_precision_increment = 9",
            "SELECT DAYNAME('2026-01-01'), WEEK('2026-01-01'), 1 / 3",
            "SET sql_log_bin = 0, gtid_domain_id = 5, binlog_row_image = 'MINIMAL'",
            "SELECT @@sql_log_bin, @@gtid_domain_id, @@binlog_row_image",
            "SET max_statement_time = 2.5, optimizer_switch = 'index_merge=off'",
            "SELECT @@max_statement_time, @@optimizer_switch",
        ]),
    ]);
}

#[test]
fn what_a_variable_does_decides_how_it_is_kept() {
    play(&[
        free(&[
            "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SELECT @@tx_isolation",
            "SET tx_isolation = 'READ-COMMITTED', tx_read_only = 0",
            "SELECT @@tx_isolation, @@tx_read_only",
            "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY",
            "SELECT @@tx_isolation",
            "SET @@tx_isolation = 'SERIALIZABLE'",
            "SELECT @@tx_isolation",
            "SET SESSION TRANSACTION READ ONLY",
            "INSERT INTO app.t (a) VALUES (1)",
            "SET SESSION TRANSACTION READ WRITE",
        ]),
        free(&[
            "SET STATEMENT max_statement_time = 5, group_concat_max_len = 1234 FOR \
             SELECT @@group_concat_max_len",
            "SELECT @@group_concat_max_len",
            "SET no_such_variable = 1",
            "SET PERSIST max_connections = 100",
            "SET @@session.max_connections = 1",
            "SET sql_mode = 'NO_SUCH_MODE'",
            "SET SESSION wait_timeout = 'text'",
            "SELECT @@sql_mode, @@wait_timeout",
            "SET sql_mode = CONCAT('ANSI', ''), group_concat_max_len = 1",
            "SHOW WARNINGS",
        ]),
        kept("a sequence of RAND() that was seeded", &["SET rand_seed1 = 1, rand_seed2 = 2"]),
        kept("SET insert_id", &["SET insert_id = 700"]),
        free(&[
            "SET insert_id = 800",
            "INSERT INTO app.t (a) VALUES (8)",
            "SELECT LAST_INSERT_ID(), MAX(id) FROM app.t",
            "DELETE FROM app.t WHERE a = 8",
        ]),
    ]);
}

#[test]
fn user_variables_keep_value_and_type() {
    play(&[
        free(&[
            "SET @i = 5, @n = -9223372036854775808, @d = 1.50, @f = 1e0 / 3, @s = 'text'",
            "SELECT @i, @n, @d, @f, @s, CHARSET(@s), COLLATION(@s)",
            "SET @u = CAST(5 AS UNSIGNED), @w = CAST(7 AS DECIMAL(10,0)), @g = 1e100",
            "SELECT @u, @w, @g",
            "SET @l = _latin1 X'41E9' COLLATE latin1_bin, @b = X'00FF27', @z = NULL, @e = ''",
            "SELECT HEX(@l), CHARSET(@l), COLLATION(@l), @b, CHARSET(@b), @z, @e, CHARSET(@e)",
            "SET @`odd name` := @i + 1, @'q' = @s, @\"w\" = DATE'2020-01-02', @t = TRUE",
            "SELECT @`odd name`, @q, @w, @t, @UnSet",
            "SET @s2 = CONCAT(@s, '!'), @c = (SELECT MAX(a) FROM app.t)",
            "SELECT @s2, @c",
            "SET NAMES latin1",
            "SELECT CHARSET(@s), COLLATION(@s), @s",
        ]),
        free(&[
            "SELECT @a := a FROM app.t WHERE a < 4 ORDER BY a",
            "SELECT @a",
            "SELECT COUNT(*), 'x' INTO @n, @x FROM app.t",
            "SELECT @n, @x",
            "UPDATE app.t SET s = (@last := s) WHERE a = 2",
            "SELECT @last",
            "SET @rank = 0",
            "SELECT a, (@rank := @rank + 1) AS r FROM app.t WHERE a < 4 ORDER BY a",
            "SELECT @rank",
            "DO @z := 9",
            "SELECT @z",
            "BEGIN",
            "SELECT @in := 4",
            "COMMIT",
            "SELECT @in",
        ]),
        free(&[
            "SELECT app.sets(31)",
            "SELECT @f, app.reads()",
            "CALL app.gives(21, @out)",
            "SELECT @out",
            "SELECT app.hides(3) + app.plain(1)",
            "SELECT @hidden",
            "CALL app.limits()",
            "SELECT @@group_concat_max_len",
            "SET @who = 44",
            "INSERT INTO app.audited VALUES (1)",
            "SELECT COUNT(*) > 0 FROM app.audited WHERE a = 44",
        ]),
    ]);
}

#[test]
fn connections_are_free_again_when_all_is_over() {
    play(&[
        kept("a temporary table", &["CREATE TEMPORARY TABLE k (n INT)", "SELECT * FROM k"]),
        free(&[
            "CREATE TEMPORARY TABLE t (n INT)",
            "INSERT INTO t VALUES (1)",
            "SELECT * FROM t",
            "DROP TABLE t",
            "SELECT COUNT(*) > 0 FROM t",
            "CREATE TEMPORARY TABLE IF NOT EXISTS app_a.x AS SELECT 1 AS n",
            "CREATE TEMPORARY TABLE `y` (n INT)",
            "DROP TEMPORARY TABLE y, app_a.x",
            "SELECT * FROM app_a.x",
        ]),
        free(&["CALL app.tidies()", "SELECT 1"]),
        kept("a temporary table", &["CALL app.scratches()", "SELECT * FROM scratch"]),
        free(&["CALL app.scratches()", "DROP TABLE scratch"]),
        kept("GET_LOCK()", &["SELECT GET_LOCK('a', 0)", "SELECT GET_LOCK('b', 0)"]),
        free(&[
            "SELECT GET_LOCK('c', 0)",
            "SELECT GET_LOCK(CONCAT('c', DATABASE()), 0)",
            "SELECT RELEASE_LOCK('c')",
            "DO RELEASE_LOCK('capp')",
            "SELECT RELEASE_LOCK('c'), IS_FREE_LOCK('c')",
        ]),
        free(&["SELECT GET_LOCK(s, 0) FROM app.t WHERE a = 1", "SELECT RELEASE_ALL_LOCKS()"]),
        kept("GET_LOCK()", &["SELECT app.locks(0)"]),
        kept("LOCK TABLES", &["LOCK TABLES t READ", "SELECT COUNT(*) > 0 FROM t"]),
        free(&["LOCK TABLES t WRITE", "UNLOCK TABLES"]),
        free(&["LOCK TABLES t READ", "START TRANSACTION", "COMMIT"]),
        free(&["FLUSH TABLES t WITH READ LOCK", "UNLOCK TABLES"]),
        // The counters that SHOW STATUS shows from then on are those of one connection.
        kept("FLUSH STATUS", &["FLUSH STATUS"]),
        kept("an open HANDLER", &["HANDLER t OPEN AS h", "HANDLER h READ FIRST"]),
        free(&["HANDLER app.t OPEN", "HANDLER t READ FIRST", "HANDLER t CLOSE"]),
        free(&["XA START 'state'", "XA END 'state'", "XA ROLLBACK 'state'"]),
    ]);
}

#[test]
fn functions_of_the_session_answer_as_one_server_would() {
    if on_mysql() {
        return;
    }
    play(&[
        free(&[
            "INSERT INTO app.t (a, s) VALUES (50, 'x'), (50, 'y')",
            "SELECT ROW_COUNT() + 1, ROW_COUNT() AS n",
            "UPDATE app.t SET s = 'z' WHERE a = 50",
            "SELECT IF(ROW_COUNT() = 2, 'two', 'other')",
            "DELETE FROM app.t WHERE a = 50",
            "SET @rows = ROW_COUNT()",
            "SELECT @rows",
            "SELECT a FROM app.t WHERE a < 4",
            "SELECT FOUND_ROWS() * 2, 5 five",
            "SELECT SQL_CALC_FOUND_ROWS a FROM app.t WHERE a < 4 LIMIT 1",
            "SELECT FOUND_ROWS() = 3, (SELECT FOUND_ROWS())",
            "SELECT CAST('1x' AS SIGNED)",
            "SELECT @@warning_count",
            "SELECT CAST('1x' AS SIGNED), CAST('2x' AS SIGNED)",
            "SELECT @@warning_count + @@error_count AS total",
            "SHOW WARNINGS LIMIT 1",
            "SHOW WARNINGS LIMIT 1, 5",
            "SELECT * FROM app.nothing",
            "SHOW COUNT(*) ERRORS",
        ]),
        free(&[
            "SELECT LAST_INSERT_ID(77)",
            "SELECT LAST_INSERT_ID() + 1, @@last_insert_id, @@identity",
            "SET last_insert_id = 99",
            "SELECT LAST_INSERT_ID()",
            "SELECT CONNECTION_ID() = CONNECTION_ID() + 0, CONNECTION_ID() > 0 AS more",
            "SELECT USER() = SESSION_USER(), LENGTH(USER()) > 3",
        ]),
    ]);
    let mut client = narrow_client("app");
    let id = client.connection_id;
    assert_eq!(client.query("SELECT CONNECTION_ID() + 0").expect("rows").scalar(), id.to_string());
    let prepared = client.prepare("SELECT CONNECTION_ID() + ?").expect("a statement");
    let rows = client.execute(&prepared, &[Parameter::Int(0)]).expect("rows").texts();
    assert_eq!(rows, [[id.to_string()]]);
    let gone = client.query("KILL CONNECTION CONNECTION_ID()").is_err()
        || client.query("SELECT 1").is_err();
    assert!(gone, "a client can end itself");
}

#[test]
fn parameters_set_variables_and_name_locks() {
    if on_mysql() {
        return;
    }
    let mut client = narrow_client("app");
    let set = client.prepare("SET @a = ?, group_concat_max_len = ?").expect("a statement");
    client.execute(&set, &[Parameter::Int(5), Parameter::Int(2222)]).expect("ok");
    disturb();
    let seen = client.query("SELECT @a, @@group_concat_max_len").expect("rows").texts();
    assert_eq!(seen, [["5", "2222"]]);
    let lock = client.prepare("SELECT GET_LOCK(?, 0)").expect("a statement");
    let name = Parameter::Text(b"parameter".to_vec());
    assert_eq!(client.execute(&lock, std::slice::from_ref(&name)).expect("rows").scalar(), "1");
    assert!(is_pinned_for(&client, Some("GET_LOCK()")));
    let release = client.prepare("SELECT RELEASE_LOCK(?)").expect("a statement");
    assert_eq!(client.execute(&release, &[name]).expect("rows").scalar(), "1");
    assert!(is_pinned_for(&client, None));
}

/// Every session variable that the server has is one that the proxy knows how to keep.
#[test]
fn no_variable_of_the_server_is_unknown() {
    if on_mysql() {
        return;
    }
    let server = &NARROW.shards[0].primary;
    let rows = server.sql(
        "SELECT LOWER(variable_name) FROM information_schema.system_variables \
         WHERE variable_scope LIKE 'SESSION%'",
    );
    let names = rows.texts().concat();
    assert!(names.len() > 150, "{} variables", names.len());
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| geogate::sql::system_variable::keeping(modern(name)).is_none())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // What is kept by value can be set to its own value and back, through the proxy.
    let mut client = narrow_client("app");
    for name in &names {
        use geogate::sql::system_variable::Keeping;
        let keeping = geogate::sql::system_variable::keeping(modern(name));
        if keeping != Some(Keeping::ByValue) || name == "system_versioning_asof" {
            continue;
        }
        for value in [&format!("@@session.{name}"), "DEFAULT"] {
            let sql = format!("SET SESSION {name} = {value}");
            let answer = client.query(&sql);
            assert!(answer.is_ok(), "{sql}: {:?}", answer.err().map(|error| error.to_string()));
        }
    }
    assert!(is_pinned_for(&client, None));
}

/// The scripts are written for MariaDB.
fn on_mysql() -> bool {
    if SOFTWARE.is_mysql() {
        println!("skipped: the scripts use what only MariaDB has");
    }
    SOFTWARE.is_mysql()
}

fn modern(name: &str) -> &str {
    geogate::sql::system_variable::modern_name(name)
}

fn narrow_client(database: &str) -> Client {
    let login = Login { capabilities: capability::DEPRECATE_EOF, ..Login::test(database) };
    Client::connect(NARROW.proxy().socket_address(), &login).expect("a login")
}

/// Another client on the same server connections, with other values of everything.
fn disturb() {
    let mut other = narrow_client("app_b");
    for statement in [
        "SET @a = 'other', @f = 'other', @who = 1, @i = 'o', @s = 'o', @unset = 'o', @last = 1",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+09:00', @out = 'o'",
        "SET NAMES latin1 COLLATE latin1_bin, group_concat_max_len = 1111",
        "SELECT CAST('9x' AS SIGNED), LAST_INSERT_ID(4444)",
    ] {
        other.query(statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

/// Whether a connection is kept for this reason, by the list of sessions. It may lag behind the
/// answer, because what is left is looked up after it.
fn is_pinned_for(client: &Client, wanted: Option<&str>) -> bool {
    wait_until(Duration::from_secs(5), || {
        let (status, body) = NARROW.proxy().http("GET", "/api/v1/sessions", "");
        assert_eq!(status, 200, "{body}");
        let list: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let sessions = list["sessions"].as_array().expect("a list");
        let own = sessions.iter().find(|s| s["id"] == client.connection_id).expect("it is listed");
        own["pinned"].as_str() == wanted
    })
}

fn play(scripts: &[Script]) {
    if on_mysql() {
        return;
    }
    let watched = NARROW.watched();
    let mut wrong = Vec::new();
    for script in scripts {
        let mut client = narrow_client("app");
        let mut answers = Vec::new();
        for statement in script.statements {
            answers.push(shown(client.query(statement)));
            disturb();
        }
        if !is_pinned_for(&client, script.pinned) {
            let wanted = script.pinned;
            wrong.push(format!("not kept for {wanted:?} after {:#?}", script.statements));
        }
        client.reset().expect("a reset");
        assert!(is_pinned_for(&client, None), "after a reset");
        // Only now: both would want the same locks.
        let login = Login { capabilities: capability::DEPRECATE_EOF, ..Login::test("app") };
        let address = watched.shards[0].primary.socket_address();
        let mut twin = Client::connect(address, &login).expect("a login");
        for (statement, ours) in script.statements.iter().zip(answers) {
            let theirs = shown(twin.query(statement));
            if ours != theirs {
                wrong.push(format!("{statement}\n  proxy  {ours}\n  server {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What of an answer must be equal.
fn shown(answer: Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => {
            let names: Vec<&String> = answer.columns.iter().map(|column| &column.name).collect();
            format!("{names:?} {:?} {} {}", answer.texts(), answer.affected, answer.warnings)
        }
        Err(error) => error.to_string(),
    }
}

/// Goal: a role that a session activates ends with it. COM_RESET_CONNECTION of neither product
/// takes it back.
#[test]
fn a_role_is_nobody_elses() {
    let cluster = single::start("roles", "[limits]\nserver_connections_max = 1\n");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql("CREATE ROLE reader");
    server.sql("GRANT reader TO geogate@'%'");
    let role = |client: &mut Client| {
        client.query("SELECT CURRENT_ROLE()").expect("a row").scalar().to_uppercase()
    };
    let mut first = cluster.proxy().client("app");
    let none = role(&mut first);
    first.query("SET ROLE reader").expect("it is granted");
    assert!(role(&mut first).contains("READER"));
    first.reset().expect("ok");
    assert_eq!(role(&mut first), none, "a reset ends it");
    first.query("SET ROLE reader").expect("it is granted");
    drop(first);
    assert_eq!(role(&mut cluster.proxy().client("app")), none, "the end of the session ends it");
}
