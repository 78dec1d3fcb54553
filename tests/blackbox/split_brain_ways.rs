//! Every way in which a statement comes in, while its primary is paused and another one goes into
//! service: no answer of the old one is ever success, waits end in time, reads are run again.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Error, Login, Parameter, Prepared};
use crate::cluster::{Cluster, Layout};
use crate::server::wait_until;
use crate::single;
use crate::software::SOFTWARE;
use crate::split_brain::{SEEN, cluster, standing, wait_for_standing};

type Work = Box<dyn FnOnce(&mut Client) -> Result<(), Error> + Send>;

/// A session that is ready to write in its way, and the write.
type Way = (&'static str, Client, Work);

fn query(sql: &'static str) -> Work {
    Box::new(move |client| client.query_all(sql).map(drop))
}

/// What each way writes is told by its id.
fn ways(cluster: &Cluster) -> Vec<Way> {
    let connect = || cluster.proxy().client("app");
    let begun = |statements: &[&str]| {
        let mut client = connect();
        for statement in statements {
            client.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        client
    };
    let mut prepared = connect();
    let statement = prepared.prepare("INSERT INTO t VALUES (?)").expect("prepared");
    let several = Login { capabilities: 1 << 16 | 1 << 17, ..Login::test("app") };
    let several = Client::connect(cluster.proxy().socket_address(), &several).expect("a login");
    let xa = ["XA START 'x'", "INSERT INTO t VALUES (105)", "XA END 'x'", "XA PREPARE 'x'"];
    let long = format!("INSERT INTO t VALUES (107) /* {} */", "x".repeat(2 << 20));
    let named = ["PREPARE s FROM 'INSERT INTO t VALUES (108)'"];
    let locked = ["DO GET_LOCK('mine', 1)"];
    let mut ways: Vec<Way> = vec![
        ("text", connect(), query("INSERT INTO t VALUES (101)")),
        (
            "prepared",
            prepared,
            Box::new(move |client| client.execute(&statement, &[Parameter::Int(102)]).map(drop)),
        ),
        (
            "several statements",
            several,
            query("INSERT INTO t VALUES (103); INSERT INTO t VALUES (1030)"),
        ),
        ("COMMIT", begun(&["BEGIN", "INSERT INTO t VALUES (104)"]), query("COMMIT")),
        (
            "COMMIT without autocommit",
            begun(&["SET autocommit = 0", "INSERT INTO t VALUES (1040)"]),
            query("COMMIT"),
        ),
        ("BEGIN commits", begun(&["BEGIN", "INSERT INTO t VALUES (1041)"]), query("BEGIN")),
        (
            "a definition commits",
            begun(&["BEGIN", "INSERT INTO t VALUES (1042)"]),
            query("CREATE TABLE made (id INT)"),
        ),
        ("XA COMMIT", begun(&xa), query("XA COMMIT 'x'")),
        ("CALL", connect(), query("CALL p(106)")),
        ("a function", connect(), query("SELECT f(1060)")),
        ("streamed", connect(), Box::new(move |client| client.query(long.as_bytes()).map(drop))),
        ("EXECUTE", begun(&named), query("EXECUTE s")),
        ("with a lock", begun(&locked), query("INSERT INTO t VALUES (109)")),
        ("unknown words", connect(), query("WITH c AS (SELECT 1) SELECT f(110) FROM c")),
    ];
    if !SOFTWARE.is_mysql() {
        let login = Login { extended: 1 << 2, ..Login::test("app") };
        let mut bulk = Client::connect(cluster.proxy().socket_address(), &login).expect("a login");
        let statement = bulk.prepare("INSERT INTO t VALUES (?)").expect("prepared");
        let write = move |client: &mut Client| {
            let rows = [111_i32, 1110].map(|id| [&[0][..], &id.to_le_bytes()].concat()).concat();
            let id = statement.id.to_le_bytes();
            let body = [&id[..], &128_u16.to_le_bytes(), &[3, 0], &rows].concat();
            client.command(0xfa, &body)?;
            client.read_answer(true).map(drop)
        };
        ways.push(("bulk", bulk, Box::new(write)));
    }
    ways
}

/// Gives every session a connection that waits in the pool for its next statement.
fn warm(ways: &mut [Way], others: &mut [&mut Client]) {
    let in_transaction = |name: &str| name.contains("OMMIT") || name.contains("commits");
    let idle = ways.iter_mut().filter(|(name, ..)| !in_transaction(name));
    let idle =
        idle.map(|(_, client, _)| client).chain(others.iter_mut().map(|client| &mut **client));
    let mut idle: Vec<&mut Client> = idle.collect();
    for statement in ["BEGIN", "SELECT COUNT(*) FROM t", "ROLLBACK"] {
        for client in &mut idle {
            client.query(statement).expect("ok");
        }
    }
    // Servers count a client's statements from 1, and so does Geogate.
    let first = Prepared { id: 1, parameters: 1 };
    for (name, client, _) in
        ways.iter_mut().filter(|(name, ..)| matches!(*name, "prepared" | "bulk"))
    {
        client.execute(&first, &[Parameter::Int(80 + name.len() as i64)]).expect("a row");
    }
}

fn prepare_table(cluster: &Cluster) {
    let mut client = cluster.shards[0].primary.client("app");
    for statement in [
        "CREATE PROCEDURE p(i INT) INSERT INTO t VALUES (i)",
        "CREATE FUNCTION f(i INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
         BEGIN INSERT INTO t VALUES (i); RETURN i; END",
    ] {
        client.query("SET GLOBAL log_bin_trust_function_creators = ON").expect("ok");
        client.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let shard = &cluster.shards[0];
    shard.replicas.iter().for_each(|replica| replica.wait_for(&shard.primary));
}

/// Runs all ways while the primary is paused, and `act` meanwhile; gives what each of them was
/// told, and when.
fn run(
    ways: Vec<Way>,
    act: impl FnOnce(),
) -> Vec<(&'static str, Client, Result<(), Error>, Duration)> {
    thread::scope(|scope| {
        let started = Instant::now();
        let threads: Vec<_> = ways
            .into_iter()
            .map(|(name, mut client, write)| {
                scope.spawn(move || {
                    let written = write(&mut client);
                    (name, client, written, started.elapsed())
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        act();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn check(told: Vec<(&'static str, Client, Result<(), Error>, Duration)>, within: Duration) {
    for (name, mut client, written, after) in told {
        let error = written.expect_err(name).to_string();
        // Perhaps it was not even prepared on that connection.
        let prepares = matches!(name, "prepared" | "EXECUTE" | "bulk");
        let not_run = prepares && error.contains("was not run");
        assert!(error.contains("GG15006") || not_run, "{name}: {error}");
        assert!(after < within, "{name}: {after:?}");
        // The session goes on; a transaction that it was in is over.
        let _ = client.query("ROLLBACK");
        let answer = client.query("SELECT COUNT(*) FROM t WHERE id = 1");
        assert_eq!(answer.unwrap_or_else(|error| panic!("{name}: {error}")).scalar(), "1");
    }
}

/// Goal: the old primary goes on after another one has gone into service, and answers: no answer of
/// its own is told as success, whatever way the statement came; a read is run again.
#[test]
fn answers_of_an_older_epoch_do_not_count() {
    // Nothing is cut, so that the answers do arrive.
    let cluster = cluster("late-answers", "", "server_down_ms = 600000");
    let cluster = cluster.watched();
    prepare_table(&cluster);
    let (old, new) = (&cluster.shards[0].primary, &cluster.shards[0].replicas[0]);
    let mut all = ways(&cluster);
    let mut reader = cluster.proxy().client("app");
    let mut prepared = cluster.proxy().client("app");
    let statement = prepared.prepare("SELECT @@server_id FROM t WHERE id = ?").expect("prepared");
    let new_id = new.sql("SELECT @@server_id").scalar();
    warm(&mut all, &mut [&mut reader, &mut prepared]);
    prepared.execute(&statement, &[Parameter::Int(1)]).expect("a row");
    old.pause();
    thread::scope(|scope| {
        let read = scope.spawn(|| reader.query("SELECT @@server_id FROM t WHERE id = 1"));
        let executed = scope.spawn(|| prepared.execute(&statement, &[Parameter::Int(1)]));
        let told = run(all, || {
            new.promote();
            wait_for_standing(&cluster, new, "in_service");
            old.resume();
        });
        let read = read.join().expect("no panic").expect("it is run again");
        assert_eq!(read.scalar(), new_id);
        let read = executed.join().expect("no panic").expect("it is run again");
        assert_eq!(read.scalar(), new_id);
        check(told, Duration::from_secs(25));
    });
    assert_eq!(new.sql("SELECT COUNT(*) FROM app.t WHERE id > 100").scalar(), "0");
}

/// Goal: whatever waits for a server that is declared down ends in time, though the server never
/// says anything: statements, COMMIT, logins, waits for a connection; the error says whether it may
/// have been done.
#[test]
fn waits_for_a_dead_server_end() {
    let cluster = cluster("dead-waits", "", "server_connections_max = 20");
    let cluster = cluster.watched();
    prepare_table(&cluster);
    let (old, new) = (&cluster.shards[0].primary, &cluster.shards[0].replicas[0]);
    let mut all = ways(&cluster);
    warm(&mut all, &mut []);
    // These need connections that are not there: some a login, some a place.
    let connect = || cluster.proxy().client("app");
    let late: Vec<Client> = (0..12).map(|_| connect()).collect();
    old.pause();
    // Interval, two timeouts and server_down_ms, and what a busy machine adds.
    let within = Duration::from_secs(5);
    thread::scope(|scope| {
        let late: Vec<_> = late
            .into_iter()
            .enumerate()
            .map(|(number, mut client)| {
                scope.spawn(move || {
                    // After the others have taken their connections.
                    thread::sleep(Duration::from_millis(100));
                    let started = Instant::now();
                    let sql = format!("INSERT INTO t VALUES ({})", 200 + number);
                    let error = client.query(sql).expect_err("nobody answers").to_string();
                    (error, started.elapsed())
                })
            })
            .collect();
        let told = run(all, || {
            assert!(wait_until(SEEN, || cluster.proxy().http("GET", "/readyz", "").0 == 503));
        });
        for thread in late {
            let (error, after) = thread.join().expect("no panic");
            assert!(["GG15006", "GG1400", "GG1401"].iter().any(|id| error.contains(id)), "{error}");
            assert!(error.contains("was not run") || error.contains("GG15006"), "{error}");
            assert!(after < within, "{after:?}: {error}");
        }
        new.promote();
        wait_for_standing(&cluster, new, "in_service");
        check(told, within);
    });
    old.resume();
    wait_for_standing(&cluster, old, "former");
    assert_eq!(standing(&cluster, new), "in_service");
}

/// Goal: a server that nobody can take the place of may come back within `server_down_ms`, and its
/// answers count; after that its statements end, and it is used again when it is back.
#[test]
fn a_server_without_others_is_waited_for() {
    let limits = "[limits]\nmonitor_interval_ms = 100\nmonitor_timeout_ms = 500\n\
                  server_down_ms = 3000";
    let cluster = single::start("alone", limits);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let mut client = cluster.proxy().client("app");
    client.query("CREATE TABLE alone (id INT PRIMARY KEY)").expect("ok");
    let down = || cluster.proxy().http("GET", "/readyz", "").0 == 503;
    server.pause();
    thread::scope(|scope| {
        let written = scope.spawn(|| client.query("INSERT INTO alone VALUES (1)").map(drop));
        assert!(wait_until(SEEN, down));
        thread::sleep(Duration::from_millis(500));
        server.resume();
        written.join().expect("no panic").expect("it came back in time");
    });
    server.pause();
    let started = Instant::now();
    let error = client.query("INSERT INTO alone VALUES (2)").expect_err("it does not answer");
    assert!(error.to_string().contains("GG15006"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    server.resume();
    assert!(wait_until(SEEN, || client.query("INSERT INTO alone VALUES (3)").is_ok()));
}

/// Goal: over several shards, of which one has its primary paused and replaced: no write is told as
/// success that the old one answers, a merged read is run again.
#[test]
fn answers_over_shards_do_not_count_either() {
    let vschema = r#"{"sharded": true,
        "vindexes": {"hash": {"type": "hash"}},
        "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}],
                         "columns": [{"name": "id", "type": "INT64"}]}}}"#;
    let layout = Layout::new("late-shards", &["us-east"])
        .keyspace("s", vschema)
        .shard("-80", "us-east", &["us-east"])
        .shard("80-", "us-east", &[])
        .config(
            "[limits]\nmonitor_interval_ms = 100\nmonitor_timeout_ms = 500\n\
             server_down_ms = 600000",
        );
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    cluster.on_primaries("s", &["CREATE TABLE t (id BIGINT PRIMARY KEY)".into()]);
    let connect = || cluster.proxy().client("s");
    let mut first = connect();
    for id in 1..=8 {
        first.query(format!("INSERT INTO t (id) VALUES ({id})")).expect("a write");
    }
    let shard = &cluster.shards[0];
    let (old, new) = (&shard.primary, &shard.replicas[0]);
    new.wait_for(old);
    let values = |from: i32| (from..from + 8).map(|id| format!("({id})")).collect::<Vec<_>>();
    let insert = |from: i32| format!("INSERT INTO t (id) VALUES {}", values(from).join(","));
    let mut committing = connect();
    committing.query("BEGIN").expect("ok");
    committing.query(insert(100)).expect("rows");
    let (mut writing, mut one, mut reading) = (connect(), connect(), connect());
    for statement in ["BEGIN", "SELECT COUNT(*) FROM t", "ROLLBACK"] {
        for client in [&mut writing, &mut one, &mut reading] {
            client.query(statement).expect("ok");
        }
    }
    // A number that is on -80.
    let near = (300..400).find(|id| {
        let sql = format!("INSERT INTO t (id) VALUES ({id})");
        first.query(sql).expect("a write");
        old.sql(&format!("SELECT COUNT(*) FROM s.t WHERE id = {id}")).scalar() == "1"
    });
    let near = near.expect("half of them are");
    new.wait_for(old);
    old.pause();
    let told = thread::scope(|scope| {
        let read = scope.spawn(|| reading.query("SELECT COUNT(*), MAX(id) FROM t"));
        let threads = [
            scope.spawn(|| committing.query("COMMIT").map(drop)),
            scope.spawn(|| writing.query(insert(200)).map(drop)),
            scope.spawn(|| one.query(format!("DELETE FROM t WHERE id = {near}")).map(drop)),
        ];
        thread::sleep(Duration::from_millis(200));
        new.promote();
        wait_for_standing(&cluster, new, "in_service");
        old.resume();
        let rows = read.join().expect("no panic").expect("it is run again").texts();
        let inserted = near - 300 + 1;
        assert_eq!(rows, [[(8 + inserted).to_string(), near.to_string()]]);
        threads.map(|thread| thread.join().expect("no panic"))
    });
    for (number, written) in told.into_iter().enumerate() {
        let error = written.expect_err("the old primary answered").to_string();
        let ids = ["GG15001", "GG15002", "GG15006", "GG14011"];
        let named = ids.iter().any(|id| error.contains(id));
        assert!(named, "{number}: {error}");
    }
    // What the other shard has got of them is whole, and nothing of it is on the new primary.
    assert_eq!(new.sql("SELECT COUNT(*) FROM s.t WHERE id BETWEEN 100 AND 299").scalar(), "0");
    assert_eq!(new.sql(&format!("SELECT COUNT(*) FROM s.t WHERE id = {near}")).scalar(), "1");
}
