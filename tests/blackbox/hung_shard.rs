//! A shard whose server hangs (it is stopped, not dead): what needs no row of it goes on, from the
//! first moment, before anybody can know that it hangs.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Parameter};
use crate::cluster::{Cluster, Layout, Watched};
use crate::dead_shard::{ANYWHERE, VSCHEMA};
use crate::server::{Server, wait_until};

/// How long a statement takes at most that another server can answer: what it takes to see that the
/// first one is silent, and what a busy machine adds.
const SOON: Duration = Duration::from_millis(2200);

/// A monitor that is quick to see silence and slow to call it a death.
const LIMITS: &str = "[limits]\nmonitor_timeout_ms = 20000\n";

fn cluster(name: &str) -> Cluster {
    let layout = Layout::new(name, &["here"])
        .keyspace("shop", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[])
        .keyspace("other", r#"{"sharded": false, "tables": {"t": {}}}"#)
        .shard("-", "here", &[])
        .config(LIMITS);
    let cluster = Cluster::start(layout);
    cluster.on_primaries("shop", &["CREATE TABLE things (id BIGINT PRIMARY KEY)".to_owned()]);
    cluster.on_primaries("other", &["CREATE TABLE t (id BIGINT PRIMARY KEY)".to_owned()]);
    cluster
}

/// Runs `act`, which must end soon.
fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    let took = begun.elapsed();
    println!("{what}: {took:?}");
    assert!(took < SOON, "{what}: {took:?}");
    done
}

/// The server is stopped now; nobody can know that yet.
fn stop_again(cluster: &Watched<'_>, server: &Server) {
    server.resume();
    thread::sleep(Duration::from_millis(800));
    let mut client = cluster.proxy().client("shop");
    assert!(wait_until(Duration::from_secs(5), || client
        .query("SELECT COUNT(*) FROM things")
        .is_ok()));
    server.pause();
}

/// Goal: whatever needs no row of the shard is answered soon by another server, also if its own has
/// just stopped; only a SET that a server judges waits, until the silence is seen.
#[test]
fn what_needs_no_row_of_it_goes_on() {
    let cluster = cluster("hung");
    let cluster = cluster.watched();
    let hung = &cluster.keyspace("shop").next().expect("a shard").primary;
    let mut client = cluster.proxy().client("shop");
    client.query("SELECT COUNT(*) FROM things").expect("a count");
    let run = |client: &mut Client, sql: &str| {
        if let Err(error) = soon(sql, || client.query(sql)) {
            panic!("{sql}: {error}");
        }
    };
    for sql in ANYWHERE.iter().filter(|sql| !sql.starts_with("SET ")) {
        stop_again(&cluster, hung);
        run(&mut client, sql);
    }
    stop_again(&cluster, hung);
    let prepared = soon("prepare", || client.prepare("SELECT ? + 1").expect("prepared"));
    let five = soon("execute", || client.execute(&prepared, &[Parameter::Int(4)]).expect("a row"));
    assert_eq!(five.scalar(), "5");
    stop_again(&cluster, hung);
    thread::sleep(SOON);
    for sql in ANYWHERE {
        run(&mut client, sql);
    }
    let mut newcomer = soon("login", || cluster.proxy().client("shop"));
    run(&mut newcomer, "SELECT 1");
    hung.resume();
}

/// Goal: other keyspaces and shards, logins, the control API, the metrics and the monitors of other
/// servers do not notice, however many sessions wait for the server that hangs.
#[test]
fn nobody_else_is_held_up() {
    let cluster = cluster("hung-others");
    let cluster = cluster.watched();
    let shards: Vec<_> = cluster.keyspace("shop").collect();
    let (hung, proxy) = (&shards[0].primary, cluster.proxy());
    let mut waiting: Vec<Client> = (0..60).map(|_| proxy.client("shop")).collect();
    let [mut shop, mut other] = ["shop", "other"].map(|keyspace| proxy.client(keyspace));
    shop.query("INSERT INTO things VALUES (1), (4)").expect("ok");
    hung.pause();
    for client in &mut waiting {
        client.command(0x03, b"SELECT * FROM things WHERE id = 1").expect("it is read");
    }
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_secs(4) {
        let row = soon("another shard", || shop.query("SELECT id FROM things WHERE id = 4"));
        assert_eq!(row.expect("a row").scalar(), "4");
        soon("another keyspace", || other.query("INSERT INTO t VALUES (NULL)")).expect_err("NULL");
        soon("a login", || proxy.client("other").query("SELECT COUNT(*) FROM t").expect("a row"));
        for path in ["/healthz", "/metrics", "/api/v1/servers", "/api/v1/sessions"] {
            assert_eq!(soon(path, || proxy.http("GET", path, "")).0, 200, "{path}");
        }
        let shown = soon("SHOW SERVERS", || other.query("SHOW SERVERS")).expect("rows").texts();
        assert_eq!(shown.len(), 3);
        rounds += 1;
    }
    assert!(rounds > 10, "only {rounds} rounds");
    // A definition elsewhere waits for the columns of all servers, but not for long.
    let defined = Instant::now();
    other.query("CREATE TABLE t2 (id INT)").expect("ok");
    assert!(defined.elapsed() < Duration::from_secs(5), "{:?}", defined.elapsed());
    other.query("INSERT INTO t2 VALUES (1)").expect("ok");
    hung.resume();
    for client in &mut waiting {
        // Who had no connection yet is told that none could be made.
        match client.read_answer(false) {
            Ok(answer) => assert_eq!(answer.scalar(), "1"),
            Err(error) => assert!(error.to_string().contains("GG1400"), "{error}"),
        }
    }
}
