//! Reads whose server is killed before it has said anything: they are run again, once, where that
//! is safe, and nothing else is.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Error};
use crate::cluster::{Cluster, Layout, Watched};
use crate::server::wait_until;

const LIMITS: &str = "[limits]\nmonitor_interval_ms = 100\nmonitor_timeout_ms = 500\n\
                      lost_read_wait_ms = 8000\n";

/// One shard with a replica, and a table of one row.
fn cluster(name: &str) -> Cluster {
    let layout = Layout::new(name, &["here"])
        .keyspace("app", r#"{"sharded": false, "tables": {"t": {}}}"#)
        .shard("-", "here", &["here"])
        .keyspace("more", r#"{"sharded": false, "tables": {"m": {}}}"#)
        .shard("-", "here", &[])
        .config(LIMITS);
    let cluster = Cluster::start(layout);
    let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)".to_owned();
    let row = "INSERT INTO t VALUES (1, 7)".to_owned();
    cluster.on_primaries("app", &[table, row]);
    let shard = &cluster.shards[0];
    shard.replicas[0].wait_for(&shard.primary);
    cluster
}

/// Runs statements, each in a session of its own, and meanwhile kills the primary and promotes the
/// replica; gives what came of them.
fn run_while_the_primary_dies(
    cluster: &Watched<'_>,
    statements: &[(&str, &str)],
) -> Vec<Result<String, Error>> {
    let shard = &cluster.shards[0];
    let sessions: Vec<(Client, &str)> = statements
        .iter()
        .map(|(before, sql)| {
            let mut client = cluster.proxy().client("app");
            for sql in before.split(';').filter(|sql| !sql.is_empty()) {
                client.query(sql).expect(sql);
            }
            (client, *sql)
        })
        .collect();
    thread::scope(|scope| {
        let running: Vec<_> = sessions
            .into_iter()
            .map(|(mut client, sql)| {
                scope.spawn(move || client.query(sql).map(|answer| answer.scalar()))
            })
            .collect();
        let sign = "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE '%SLEEP(%' \
                    AND ID <> CONNECTION_ID()";
        // MySQL shows what a function runs in the place of who calls it.
        let run = || shard.primary.sql(sign).scalar().parse::<usize>().expect("a number");
        let most = statements.len() - 1;
        let run = wait_until(Duration::from_secs(4), || run() >= most);
        assert!(run, "not all statements run at the primary");
        shard.primary.kill();
        thread::sleep(Duration::from_millis(700));
        shard.replicas[0].promote();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Goal: a read outside of a transaction that is lost with the primary is answered by the new one;
/// what may have changed something, or belongs to a transaction or to state of the session, is not
/// run again.
#[test]
fn reads_go_on_at_the_new_primary() {
    let cluster = cluster("lost-reads");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("app");
    client
        .query("CREATE FUNCTION slow(n INT) RETURNS INT READS SQL DATA RETURN SLEEP(n) + 7")
        .expect("ok");
    let shard = &cluster.shards[0];
    shard.replicas[0].wait_for(&shard.primary);
    let statements = [
        ("", "SELECT v + SLEEP(4) FROM t WHERE id = 1"),
        ("", "SELECT SLEEP(4) + 7"),
        (
            "SET read_consistency = 'eventual', nearest_only = 0;SET read_consistency = 'strong'",
            "SELECT SUM(v) + SLEEP(4) FROM t",
        ),
        // It would have begun the transaction.
        ("SET autocommit = 0", "SELECT v + SLEEP(4) FROM t WHERE id = 1"),
        ("BEGIN;SELECT 1", "SELECT v + SLEEP(4) FROM t WHERE id = 1"),
        ("SET autocommit = 0;SELECT v FROM t", "SELECT v + SLEEP(4) FROM t WHERE id = 1"),
        ("CREATE TEMPORARY TABLE own (id INT)", "SELECT v + SLEEP(4) FROM t WHERE id = 1"),
        ("", "SELECT v + SLEEP(4) FROM t WHERE id = 1 FOR UPDATE"),
        ("", "SELECT slow(4 /* SLEEP( */) FROM t"),
        ("", "SELECT GET_LOCK('lost', 1) + 6 + SLEEP(4) FROM t"),
        ("", "UPDATE t SET v = 7 + SLEEP(4)"),
        ("", "SELECT v + SLEEP(4) FROM t INTO @lost"),
    ];
    let begun = Instant::now();
    let ended = run_while_the_primary_dies(&cluster, &statements);
    for (number, ((before, sql), ended)) in statements.iter().zip(ended).enumerate() {
        let again = number < 4;
        match (&ended, again) {
            (Ok(value), true) => assert_eq!(value, "7", "{sql}"),
            (Err(error), false) => assert!(error.errno() != 0, "{before} {sql}: {error}"),
            _ => panic!("{before} {sql}: {ended:?}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

/// Goal: without a new primary the read fails when its time for that is over; a statement timeout
/// ends the wait earlier.
#[test]
fn the_wait_for_a_new_primary_ends() {
    let cluster = cluster("lost-for-good");
    let cluster = cluster.watched();
    let mut patient = cluster.proxy().client("app");
    let mut hurried = cluster.proxy().client("app");
    hurried.query("SET statement_timeout_ms = 3000").expect("ok");
    let shard = &cluster.shards[0];
    for client in [&mut patient, &mut hurried] {
        client.command(0x03, b"SELECT v + SLEEP(2) FROM t WHERE id = 1").expect("it is read");
    }
    thread::sleep(Duration::from_millis(700));
    shard.primary.kill();
    let begun = Instant::now();
    let error = hurried.read_answer(false).expect_err("nobody answers");
    assert_eq!(error.errno(), 3024, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let error = patient.read_answer(false).expect_err("nobody answers");
    assert!(error.to_string().contains("GG14004"), "{error}");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(7) && waited < Duration::from_secs(12), "{waited:?}");
}
