//! What triggers, and the functions of views, do to a session though no statement tells: user
//! variables, locks, temporary tables. Sessions share connections; each must see its own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Client, Login};
use crate::cluster::{Cluster, Layout};
use crate::server::wait_until;
use crate::single;
use crate::software::SOFTWARE;

/// Which session, and what it says.
type Step<'a> = (usize, &'a str);

/// What each step is answered, by sessions that are logged in there.
fn played(address: SocketAddr, keyspace: &str, steps: &[Step<'_>]) -> Vec<String> {
    let login = || Login { database: Some(keyspace.to_owned()), ..Login::test("app") };
    let mut sessions: Vec<Client> =
        (0..3).map(|_| Client::connect(address, &login()).expect("a login")).collect();
    let answer = |(session, sql): &Step| match sessions[*session].query(sql) {
        Ok(answer) => format!("{session} {sql}: {:?}", answer.texts()),
        Err(error) => format!("{session} {sql}: error {}", error.errno()),
    };
    steps.iter().map(answer).collect()
}

/// The same on the server and through the proxy, from the same state.
fn the_same(cluster: &Cluster, steps: &[Step<'_>]) {
    let direct = cluster.shards[0].primary.socket_address();
    let direct = played(direct, "app", steps);
    assert_eq!(direct, played(cluster.proxy().socket_address(), "app", steps));
}

/// So few server connections that three sessions have to share them.
fn narrow(name: &str, connections: usize) -> Cluster {
    let limits =
        format!("[limits]\nserver_connections_max = {connections}\nschema_refresh_ms = 300\n");
    let cluster = single::start(name, &limits);
    let server = &cluster.shards[0].primary;
    for table in ["noted", "plain", "copied", "locked", "staged"] {
        server.sql(&format!("CREATE TABLE app.{table} (id INT PRIMARY KEY AUTO_INCREMENT, v INT)"));
    }
    cluster
}

#[test]
fn variables_of_triggers_are_the_sessions() {
    let cluster = narrow("trigger-variables", 2);
    let cluster = cluster.watched();
    // The first run of the steps is on the server, whose triggers the proxy has to find by itself
    // when it is its turn.
    let mut steps: Vec<Step> = vec![
        (
            0,
            "CREATE OR REPLACE TRIGGER noting AFTER INSERT ON noted FOR EACH ROW \
             SELECT NEW.v INTO @noted",
        ),
        (
            0,
            "CREATE OR REPLACE TRIGGER copying AFTER INSERT ON copied FOR EACH ROW \
             INSERT INTO noted (v) VALUES (NEW.v)",
        ),
        (0, "CREATE OR REPLACE PROCEDURE notes(n INT) INSERT INTO noted (v) VALUES (n)"),
        (0, "CREATE OR REPLACE VIEW copies AS SELECT * FROM copied"),
    ];
    let uses: &[Step] = &[
        (1, "INSERT INTO noted (v) VALUES (11)"),
        (2, "SELECT @noted"),
        (0, "SELECT @noted"),
        (1, "SELECT @noted"),
        (2, "INSERT INTO `copied` (v) VALUES (22)"),
        (0, "SELECT @noted"),
        (1, "SELECT @noted"),
        (2, "SELECT @noted"),
        (0, "CALL notes(33)"),
        (1, "SELECT @noted"),
        (2, "SELECT @noted"),
        (0, "SELECT @noted"),
        (1, "INSERT INTO copies (v) VALUES (44)"),
        (0, "SELECT @noted"),
        (2, "SELECT @noted"),
        (1, "SELECT @noted"),
        (1, "INSERT INTO plain (v) VALUES (@noted + 1)"),
        (0, "SELECT v FROM plain ORDER BY id DESC LIMIT 1"),
        // Row by row, and the second is refused.
        (2, "INSERT INTO noted (id, v) VALUES (1000, 55), (1000, 66)"),
        (0, "SELECT @noted"),
        (2, "SELECT @noted"),
        (2, "DELETE FROM noted WHERE id = 1000"),
        // Triggers move with their tables.
        (0, "RENAME TABLE noted TO moved"),
        (1, "INSERT INTO moved (v) VALUES (77)"),
        (0, "SELECT @noted"),
        (2, "SELECT @noted"),
        (1, "SELECT @noted"),
        (0, "ALTER TABLE moved RENAME TO noted"),
        (2, "INSERT INTO noted (v) VALUES (88)"),
        (0, "SELECT @noted"),
        (1, "SELECT @noted"),
        (2, "SELECT @noted"),
        (0, "PREPARE p FROM 'INSERT INTO noted (v) VALUES (?)'"),
        (0, "SET @seven = 7"),
        (0, "EXECUTE p USING @seven"),
        (1, "SELECT @noted"),
        (2, "SELECT @noted"),
        (0, "SELECT @noted"),
    ];
    steps.extend(uses);
    the_same(&cluster, &steps);
}

#[test]
fn prepared_writes_run_triggers_too() {
    let cluster = narrow("trigger-prepared", 2);
    let cluster = cluster.watched();
    let trigger = "CREATE TRIGGER noting BEFORE UPDATE ON noted FOR EACH ROW \
         SELECT NEW.v INTO @noted";
    let mut sessions: Vec<Client> = (0..3).map(|_| cluster.proxy().client("app")).collect();
    let update = sessions[0].prepare("UPDATE noted SET v = v + 1").expect("a statement");
    sessions[1].query(trigger).expect("a trigger");
    sessions[1].query("INSERT INTO noted (v) VALUES (1)").expect("a row");
    for round in 2..6 {
        sessions[0].execute(&update, &[]).expect("an update");
        let mut seen =
            |session: usize| sessions[session].query("SELECT @noted").expect("a row").scalar();
        assert_eq!([seen(2), seen(1), seen(0)], ["NULL", "NULL", &round.to_string()]);
    }
}

#[test]
fn locks_of_triggers_and_views_are_the_sessions() {
    let cluster = narrow("trigger-locks", 3);
    let cluster = cluster.watched();
    let steps: &[Step<'_>] = &[
        (
            0,
            "CREATE OR REPLACE TRIGGER locking AFTER INSERT ON locked FOR EACH ROW \
             SET @got = GET_LOCK(CONCAT('l', NEW.v), 0)",
        ),
        (
            0,
            "CREATE OR REPLACE FUNCTION locks(n INT) RETURNS INT NO SQL \
             RETURN GET_LOCK(CONCAT('f', n), 0)",
        ),
        (0, "CREATE OR REPLACE VIEW locked_by_reading AS SELECT locks(1) AS got"),
        (1, "INSERT INTO locked (v) VALUES (1)"),
        (0, "SELECT IS_FREE_LOCK('l1')"),
        (2, "SELECT GET_LOCK('l1', 0)"),
        (1, "SELECT GET_LOCK('l1', 0), @got"),
        (1, "SELECT RELEASE_ALL_LOCKS()"),
        (2, "SELECT GET_LOCK('l1', 0), RELEASE_LOCK('l1')"),
        (2, "SELECT * FROM locked_by_reading"),
        (0, "SELECT GET_LOCK('f1', 0)"),
        (1, "SELECT GET_LOCK('f1', 0)"),
        (2, "SELECT RELEASE_LOCK('f1'), RELEASE_ALL_LOCKS()"),
        (0, "SELECT GET_LOCK('f1', 0), RELEASE_LOCK('f1')"),
    ];
    the_same(&cluster, steps);
}

#[test]
fn temporary_tables_of_triggers_are_the_sessions() {
    let cluster = narrow("trigger-tables", 2);
    let cluster = cluster.watched();
    let steps: &[Step<'_>] = &[
        (
            0,
            "CREATE OR REPLACE TRIGGER staging AFTER INSERT ON staged FOR EACH ROW BEGIN \
             CREATE TEMPORARY TABLE IF NOT EXISTS stage (v INT); \
             INSERT INTO stage VALUES (NEW.v); END",
        ),
        (1, "INSERT INTO staged (v) VALUES (5)"),
        (0, "SELECT * FROM stage"),
        (2, "SELECT * FROM stage"),
        (1, "SELECT * FROM stage"),
        (1, "DROP TEMPORARY TABLE stage"),
        (1, "SELECT * FROM stage"),
    ];
    the_same(&cluster, steps);
}

/// Goal: whatever way a variable gets its value in, it is the session's, on a single connection.
#[test]
fn variables_are_the_sessions_however_they_are_set() {
    if SOFTWARE.is_mysql() {
        println!("skipped: MariaDB's ways to set variables");
        return;
    }
    let cluster = narrow("ways-to-set", 1);
    let cluster = cluster.watched();
    let sets = [
        ("a", "SET @r = giving(@a)"),
        ("b", "SET @r = 5, @s = giving(@b)"),
        ("c", "CALL calling()"),
        ("d", "BEGIN NOT ATOMIC SELECT 9 INTO @d; END"),
        ("e", "EXECUTE IMMEDIATE CONCAT('SELECT 5 INTO ', '@e')"),
        ("f", "INSERT INTO plain (v) VALUES (1) RETURNING @f := v"),
        ("g", "ANALYZE SELECT @g := 3"),
        ("h", "SELECT 1 FROM (SELECT @h := 4) x"),
        ("i", "DO @i := 6"),
        ("j", "SHOW TABLES WHERE @j := 1"),
        ("q", "SHOW STATUS WHERE Variable_name = 'Ssl_cipher' AND (@q := 1)"),
        ("k", "SELECT 1 LIMIT 1 INTO @k"),
        ("l", "SET STATEMENT sql_mode = '' FOR SELECT @l := 2"),
        ("p", "KILL QUERY (@p := 0)"),
        ("m", "IF 1 THEN SELECT 1, 2 INTO @n, @m; END IF"),
    ];
    let mut steps: Vec<(usize, String)> = [
        "CREATE OR REPLACE FUNCTION giving(OUT o INT) RETURNS INT NO SQL \
         BEGIN SET o = 42; RETURN 1; END",
        "CREATE OR REPLACE PROCEDURE calling() BEGIN DECLARE x INT; SET x = giving(@c); END",
    ]
    .map(|sql| (0, sql.to_owned()))
    .into();
    for (name, sql) in sets {
        steps.push((0, sql.to_owned()));
        steps.extend([1, 0, 2, 0].map(|session| (session, format!("SELECT @{name}"))));
    }
    let steps: Vec<Step> = steps.iter().map(|(session, sql)| (*session, sql.as_str())).collect();
    the_same(&cluster, &steps);
}

/// Goal: bulk executions run triggers as well.
#[test]
fn bulk_executions_run_triggers() {
    if SOFTWARE.is_mysql() {
        println!("skipped: bulk executions are MariaDB's");
        return;
    }
    let cluster = narrow("trigger-bulk", 1);
    let cluster = cluster.watched();
    // MARIADB_CLIENT_STMT_BULK_OPERATIONS, shifted down by 32.
    let login = Login { extended: 1 << 2, ..Login::test("app") };
    let address = cluster.proxy().socket_address();
    let mut sessions: Vec<Client> =
        (0..3).map(|_| Client::connect(address, &login).expect("a login")).collect();
    let trigger = "CREATE TRIGGER noting AFTER INSERT ON noted FOR EACH ROW \
         SELECT NEW.v INTO @noted";
    sessions[0].query(trigger).expect("a trigger");
    let insert = sessions[1].prepare("INSERT INTO noted (v) VALUES (?)").expect("a statement");
    // Types follow; two rows, each without NULL.
    let rows = [&128_u16.to_le_bytes()[..], &[3, 0], &[0, 5, 0, 0, 0], &[0, 6, 0, 0, 0]].concat();
    let body = [&insert.id.to_le_bytes()[..], &rows].concat();
    sessions[1].command(0xfa, &body).expect("it is read");
    sessions[1].read_answer(true).expect("two rows");
    let mut seen =
        |session: usize| sessions[session].query("SELECT @noted").expect("a row").scalar();
    assert_eq!([seen(2), seen(0), seen(1)], ["NULL", "NULL", "6"]);
}

/// Goal: a trigger that was made past the proxy is noticed within the time of the configuration.
#[test]
fn triggers_made_past_the_proxy_are_noticed() {
    let cluster = narrow("trigger-aside", 2);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql(
        "CREATE TRIGGER app.noting AFTER INSERT ON app.noted FOR EACH ROW SELECT NEW.v INTO @noted",
    );
    std::thread::sleep(Duration::from_secs(2));
    let steps: &[Step<'_>] = &[
        (1, "INSERT INTO noted (v) VALUES (11)"),
        (2, "SELECT @noted"),
        (0, "SELECT @noted"),
        (1, "SELECT @noted"),
    ];
    the_same(&cluster, steps);
}

const VSCHEMA: &str = r#"{ "sharded": true, "vindexes": { "hash": { "type": "hash" } },
  "tables": { "noted": { "column_vindexes": [{ "column": "id", "name": "hash" }] } } }"#;

/// Goal: over shards no session sees what triggers have set for another, and the locks that they
/// take are given back with the session.
#[test]
fn triggers_of_shards_set_nothing_for_others() {
    let layout = Layout::new("trigger-shards", &["here"])
        .keyspace("notes", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[])
        .config("[limits]\nserver_connections_max = 2\nschema_refresh_ms = 300\n");
    let cluster = Cluster::start(layout);
    let statements = [
        "CREATE TABLE noted (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)",
        "CREATE TRIGGER noting BEFORE UPDATE ON noted FOR EACH ROW SELECT NEW.v INTO @noted",
        "CREATE TRIGGER locking BEFORE DELETE ON noted FOR EACH ROW \
            SELECT GET_LOCK('deleting', 0) INTO @locked",
    ];
    cluster.on_primaries("notes", &statements.map(str::to_owned));
    let cluster = cluster.watched();
    std::thread::sleep(Duration::from_secs(2));
    let mut sessions: Vec<Client> = (0..3).map(|_| cluster.proxy().client("notes")).collect();
    let rows: Vec<String> = (1..20).map(|id| format!("({id}, {id})")).collect();
    sessions[0].query(format!("INSERT INTO noted VALUES {}", rows.join(", "))).expect("rows");
    // A variable that one shard knows is learnt before the others are busy.
    sessions[0].query("BEGIN").expect("ok");
    sessions[0].query("SELECT v + 100 INTO @x FROM noted WHERE id = 1").expect("a value");
    sessions[0].query("SELECT COUNT(*) FROM noted").expect("all shards");
    for id in 1..20 {
        let seen = sessions[0].query(format!("SELECT @x FROM noted WHERE id = {id}"));
        assert_eq!(seen.expect("a row").scalar(), "101", "{id}");
    }
    sessions[0].query("COMMIT").expect("ok");
    sessions[1].query("UPDATE noted SET v = 77").expect("all shards");
    for session in [2, 0, 2, 0] {
        let seen = sessions[session].query("SELECT @noted").expect("a row").scalar();
        assert_eq!(seen, "NULL");
        let seen = "SELECT COUNT(*) FROM noted WHERE id = 1 AND @noted IS NOT NULL";
        assert_eq!(sessions[session].query(seen).expect("a row").scalar(), "0");
    }
    let is_free = |shard: usize| {
        let server = cluster.shards[shard].primary.socket_address();
        let login = Login { database: None, ..Login::test("app") };
        let mut direct = Client::connect(server, &login).expect("a login");
        direct.query("SELECT IS_FREE_LOCK('deleting')").expect("a row").scalar() == "1"
    };
    sessions[1].query("DELETE FROM noted WHERE id > 1").expect("all shards");
    assert!(!is_free(0) && !is_free(1), "the session has the locks");
    drop(sessions.remove(1));
    let freed = || is_free(0) && is_free(1);
    assert!(wait_until(Duration::from_secs(5), freed), "the session is gone, its locks are not");
}

/// Goal: what a routine does is known from its present definition, though it is not read at each
/// CALL: when it was changed through the proxy at once, past it within the monitor's interval.
#[test]
fn routines_are_read_again_when_they_change() {
    let cluster = narrow("routines-change", 2);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.proxy();
    let (mut caller, mut other, mut definer) =
        (proxy.client("app"), proxy.client("app"), proxy.client("app"));
    let mut sees = |caller: &mut Client| {
        caller.query("CALL told()").expect("it is defined");
        // Whoever else comes takes the connection, unless it is kept.
        for _ in 0..3 {
            let foreign = other.query("SELECT @told").expect("a row").scalar();
            assert_eq!(foreign, "NULL");
            proxy.client("app").query("SET @told = 'other'").expect("ok");
        }
        caller.query("SELECT @told").expect("a row").scalar()
    };
    definer.query("CREATE PROCEDURE told() BEGIN DO 1; END").expect("ok");
    assert_eq!(sees(&mut caller), "NULL");
    assert_eq!(sees(&mut caller), "NULL");
    definer.query("DROP PROCEDURE told").expect("ok");
    definer.query("CREATE PROCEDURE told() BEGIN SET @told = 'mine'; END").expect("ok");
    assert_eq!(sees(&mut caller), "mine");
    let mut caller = proxy.client("app");
    assert_eq!(sees(&mut caller), "mine");
    server.sql("DROP PROCEDURE app.told");
    server.sql("CREATE PROCEDURE app.told() BEGIN DO 2; END");
    caller.query("SET @told = NULL").expect("ok");
    assert_eq!(sees(&mut caller), "NULL");
    server.sql("DROP PROCEDURE app.told");
    server.sql("CREATE PROCEDURE app.told() BEGIN SET @told = 'past'; END");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(sees(&mut caller), "past");
}

/// Goal: the definition of a long routine is not asked for at each CALL.
#[test]
fn a_routine_is_read_once() {
    let cluster = single::start("routine-once", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let lines = (0..600).map(|n| format!("IF n = {n} THEN SET x = x + {n}; END IF;"));
    let body = lines.collect::<Vec<_>>().join("\n");
    server.sql(&format!(
        "CREATE PROCEDURE app.long_one(n INT) BEGIN DECLARE x INT DEFAULT 0; {body} SELECT x; END"
    ));
    server.sql("CREATE FUNCTION app.short_one() RETURNS INT DETERMINISTIC RETURN 1");
    let shown = || {
        let names = "('Com_show_create_proc', 'Com_show_create_func')";
        let status = server.sql(&format!("SHOW GLOBAL STATUS WHERE Variable_name IN {names}"));
        status.texts().iter().map(|row| row[1].parse::<u64>().expect("a number")).sum::<u64>()
    };
    let mut client = cluster.proxy().client("app");
    let before = shown();
    for _ in 0..20 {
        assert_eq!(client.query("CALL long_one(7)").expect("ok").scalar(), "7");
        assert_eq!(client.query("SELECT short_one()").expect("ok").scalar(), "1");
    }
    assert_eq!(shown() - before, 2);
}
