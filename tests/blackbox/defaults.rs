//! Global settings of a server that change how statements are read or when they are committed: new
//! sessions begin with them, and Geogate reads their statements so.

use std::time::Duration;

use crate::client::{Client, Login, Parameter, SERVER_MORE_RESULTS, capability};
use crate::cluster::Cluster;
use crate::server::wait_until;
use crate::single;
use crate::software::SOFTWARE;

/// A string that ends elsewhere, and a name in double quotes, among several statements.
const TEXTS: &[&str] = &[
    r"SELECT 'a\', 'b'; SELECT 'c'",
    r#"SELECT "id" FROM "plain" ; SELECT ';'"#,
    r#"SELECT 1 AS "a\"; SELECT 2"#,
    "SELECT @@autocommit, @@sql_mode",
];

fn several(cluster: &Cluster, through: bool) -> Client {
    let login = Login {
        capabilities: Login::test("app").capabilities | capability::MULTI_STATEMENTS,
        ..Login::test("app")
    };
    let address = if through {
        cluster.proxy().socket_address()
    } else {
        cluster.shards[0].primary.socket_address()
    };
    Client::connect(address, &login).expect("a login")
}

fn told(client: &mut Client) -> Vec<String> {
    let tell = |text: &&str| match client.query_all(text) {
        Ok(answers) => {
            format!("{text}: {:?}", answers.iter().map(|a| a.texts()).collect::<Vec<_>>())
        }
        Err(error) => format!("{text}: error {}", error.errno()),
    };
    TEXTS.iter().map(tell).collect()
}

#[test]
fn sessions_begin_with_the_servers_settings() {
    let cluster = single::start("defaults", "[limits]\nmonitor_interval_ms = 100\n");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql("CREATE TABLE app.plain (id INT)");
    server.sql("INSERT INTO app.plain VALUES (7)");
    let mut before = several(&cluster, true);
    let plain = told(&mut before);
    assert_eq!(plain, told(&mut several(&cluster, false)));
    server.sql("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'");
    let seen = |wanted: &str| {
        let mut client = several(&cluster, true);
        client.query("SELECT @@sql_mode").expect("ok").scalar().contains(wanted)
    };
    assert!(wait_until(Duration::from_secs(20), || seen("ANSI_QUOTES")), "it is not seen");
    assert_eq!(told(&mut several(&cluster, true)), told(&mut several(&cluster, false)));
    let mut reset = several(&cluster, true);
    let mode = before.query("SELECT @@sql_mode").expect("ok").scalar();
    reset.query(format!("SET sql_mode = '{mode}'")).expect("ok");
    assert_eq!(told(&mut reset), plain);
    reset.reset().expect("ok");
    assert_eq!(told(&mut reset), told(&mut several(&cluster, false)));
    // Set through the proxy it is seen by whoever comes after the answer; who is there already
    // stays as it was.
    reset.query("SET GLOBAL sql_mode = DEFAULT").expect("ok");
    reset.query("SET GLOBAL autocommit = 0").expect("ok");
    let mut after = several(&cluster, true);
    assert_eq!(told(&mut after), told(&mut several(&cluster, false)));
    after.query("INSERT INTO app.plain VALUES (8)").expect("ok");
    let rows =
        |client: &mut Client| client.query("SELECT COUNT(*) FROM app.plain").expect("ok").scalar();
    assert_eq!(rows(&mut after), "2");
    assert_eq!(rows(&mut before), "1", "nothing was committed");
    after.query("ROLLBACK").expect("ok");
    assert_eq!(rows(&mut after), "1");
    drop(after);
    server.sql("SET GLOBAL autocommit = 1");
}

/// Goal: whoever begins anew after the answer to a SET GLOBAL begins with the new value. A reset
/// is the quickest way to begin anew.
#[test]
fn the_answer_comes_after_the_look() {
    let cluster = single::start("look", "");
    let cluster = cluster.watched();
    let mut setter = several(&cluster, true);
    let mut other = several(&cluster, true);
    for round in 0..40 {
        let value = (round % 2).to_string();
        setter.query(format!("SET GLOBAL autocommit = {value}")).expect("ok");
        other.reset().expect("ok");
        let seen = other.query("SELECT @@autocommit").expect("ok").scalar();
        assert_eq!(seen, value, "in round {round}");
    }
}

/// Goal: no session has what init_connect sets, if Geogate's account has the right not to be
/// subject to it; whatever becomes of its connection.
#[test]
fn init_connect_is_not_run_for_accounts_with_the_right() {
    let cluster = single::start("init-connect", "[limits]\nserver_connections_max = 1\n");
    let cluster = cluster.watched();
    cluster.shards[0].primary.sql("SET GLOBAL init_connect = 'SET @begun = 1'");
    let mut client = several(&cluster, true);
    for _ in 0..2 {
        assert_eq!(client.query("SELECT @begun").expect("a row").scalar(), "NULL");
        client.query("SELECT GET_LOCK('begun', 1)").expect("ok");
        client.reset().expect("ok");
    }
}

const SETTERS: &[&str] = &[
    "CREATE PROCEDURE app.sets(n INT) SET GLOBAL default_week_format = n",
    "CREATE PROCEDURE app.calls(n INT) CALL app.sets(n)",
    "CREATE FUNCTION app.sets_too(n INT) RETURNS INT DETERMINISTIC \
     BEGIN SET GLOBAL default_week_format = n; RETURN n; END",
    "CREATE TABLE app.watched (n INT)",
    "CREATE TRIGGER app.setter BEFORE INSERT ON app.watched FOR EACH ROW \
     SET GLOBAL default_week_format = NEW.n",
];

/// Goal: a global variable counts for whoever begins after the answer, whatever statement has set
/// it, and no connection is kept for it.
#[test]
fn globals_are_seen_whatever_sets_them() {
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 400\n";
    let cluster = single::start("setters", limits);
    let cluster = cluster.watched();
    let mut setter = several(&cluster, true);
    for sql in SETTERS {
        setter.query(sql).expect(sql);
    }
    let mut ways = vec![
        "SET GLOBAL default_week_format = $n",
        "CALL app.sets($n)",
        "CALL app.calls($n)",
        "P: CALL app.sets($n)",
        "P: SET GLOBAL default_week_format = $n",
        "?: SET GLOBAL default_week_format = ?",
        "?: CALL app.sets(?)",
        "PREPARE s FROM 'SET GLOBAL default_week_format = $n'; EXECUTE s",
        "PREPARE s FROM 'SET GLOBAL default_week_format = ?'; SET @n = $n; EXECUTE s USING @n",
        "PREPARE s FROM 'CALL app.sets(?)'; SET @n = $n; EXECUTE s USING @n",
        "SELECT app.sets_too($n)",
        "P: SELECT app.sets_too($n)",
        "INSERT INTO app.watched VALUES ($n)",
        "P: INSERT INTO app.watched VALUES ($n)",
    ];
    if !SOFTWARE.is_mysql() {
        ways.extend([
            "BEGIN NOT ATOMIC SET GLOBAL default_week_format = $n; END",
            "IF 1 THEN SET GLOBAL default_week_format = $n; END IF",
            "SET STATEMENT max_statement_time = 9 FOR SET GLOBAL default_week_format = $n",
            "EXECUTE IMMEDIATE 'SET GLOBAL default_week_format = $n'",
            "EXECUTE IMMEDIATE 'SET GLOBAL default_week_format = ?' USING $n",
            "EXECUTE IMMEDIATE 'CALL app.sets(?)' USING $n",
        ]);
    }
    let mut other = several(&cluster, true);
    let mut wrong = Vec::new();
    for way in ways {
        for value in ["1", "2", "3", "4", "1", "2", "3", "4"] {
            let sql = way.replace("$n", value);
            if let Some((form, text)) = sql.split_once(": ") {
                let mut client = several(&cluster, true);
                let statement = client.prepare(text).unwrap_or_else(|e| panic!("{e}: {sql}"));
                let number = Parameter::Int(value.parse().expect("a number"));
                let values = if form == "?" { &[number][..] } else { &[] };
                let mut answer = client.execute(&statement, values);
                while answer.as_ref().is_ok_and(|a| a.status & SERVER_MORE_RESULTS != 0) {
                    answer = client.read_answer(true);
                }
                answer.unwrap_or_else(|error| panic!("{error}: {sql}"));
            } else {
                setter.query_all(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
            let question = "SELECT @@default_week_format, @@global.default_week_format";
            other.reset().expect("ok");
            match other.query(question) {
                Ok(seen) if seen.texts() == [[value, value]] => {}
                seen => wrong.push(format!("{sql}: {:?}", seen.map(|seen| seen.texts()))),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Variables that change answers, and another value of each.
const CHANGES: &[(&str, &str)] = &[
    ("default_week_format", "3"),
    ("div_precision_increment", "7"),
    ("foreign_key_checks", "0"),
    ("group_concat_max_len", "20"),
    ("lc_time_names", "'de_DE'"),
    ("max_error_count", "3"),
    ("max_sort_length", "100"),
    ("time_zone", "'+05:00'"),
    ("unique_checks", "0"),
];

/// The variables of a session, and what they do.
fn looked(client: &mut Client) -> String {
    let isolation = if SOFTWARE.is_mysql() { "transaction_isolation" } else { "tx_isolation" };
    let names: Vec<String> = CHANGES
        .iter()
        .map(|(name, _)| *name)
        .chain([isolation])
        .map(|n| format!("@@{n}"))
        .collect();
    let sql = format!(
        "SELECT {}, FROM_UNIXTIME(0), 1 / 3, WEEK('2008-02-20'), MONTHNAME('2020-03-01'), \
         (SELECT GROUP_CONCAT(id * 1000) FROM app.plain)",
        names.join(", ")
    );
    format!("{:?}", client.query(sql).expect("a row").texts())
}

/// Goal: a session keeps what it began with, whatever becomes of global variables and of the
/// connection that it had; SET .. = DEFAULT is the global value of that moment.
#[test]
fn sessions_keep_what_they_began_with() {
    let limits = "[limits]\nserver_connections_max = 1\n";
    let cluster = single::start("began", limits);
    let cluster = cluster.watched();
    cluster.shards[0].primary.sql("CREATE TABLE app.plain (id INT)");
    cluster.shards[0].primary.sql("INSERT INTO app.plain VALUES (1), (2), (3), (4), (5), (6), (7)");
    let [direct, proxy] = [false, true].map(|through| {
        let mut told = Vec::new();
        let mut setter = several(&cluster, through);
        // A session for which its connection is wiped.
        let wipe = || {
            let mut wiper = several(&cluster, through);
            wiper.query("SELECT GET_LOCK('began', 1)").expect("ok");
            wiper.reset().expect("ok");
        };
        let mut old = several(&cluster, through);
        told.push(looked(&mut old));
        for (name, value) in CHANGES {
            setter.query(format!("SET GLOBAL {name} = {value}")).expect("ok");
        }
        setter.query("SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE").expect("ok");
        wipe();
        told.push(looked(&mut old));
        let mut new = several(&cluster, through);
        told.push(looked(&mut new));
        for (name, _) in CHANGES {
            old.query(format!("SET {name} = DEFAULT")).expect("ok");
            told.push(looked(&mut old));
        }
        for (name, _) in CHANGES {
            setter.query(format!("SET GLOBAL {name} = DEFAULT")).expect("ok");
        }
        setter.query("SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ").expect("ok");
        wipe();
        told.extend([looked(&mut old), looked(&mut new)]);
        old.reset().expect("ok");
        told.push(looked(&mut old));
        told
    });
    assert_eq!(direct, proxy);
}
