//! Servers that die, hang and come back: who does not use them sees nothing, who does gets a named
//! error within a stated time and can go on afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cluster::{Cluster, Layout, Watched};
use crate::server::wait_until;

/// The longest time after which a statement to a dead or hanging server must have its error.
const ERROR_WITHIN: Duration = Duration::from_secs(15);

const TABLE: &str = "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20))";

/// Two unsharded keyspaces, so that one can die while the other lives.
fn cluster(name: &str) -> Cluster {
    let vschema = r#"{ "sharded": false, "tables": { "t": {} } }"#;
    let layout = Layout::new(name, &["us-east", "eu-west"])
        .keyspace("mortal", vschema)
        .shard("-", "us-east", &["eu-west"])
        .keyspace("other", vschema)
        .shard("-", "us-east", &[]);
    let cluster = Cluster::start(layout);
    for keyspace in ["mortal", "other"] {
        let insert = "INSERT INTO t VALUES (1, 'one'), (2, 'two')".to_owned();
        cluster.on_primaries(keyspace, &[TABLE.to_owned(), insert]);
    }
    cluster
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `act` while a session reads from keyspace `other` without a pause; that session must see no
/// error and no wrong row.
fn while_others_read(cluster: &Watched<'_>, act: impl FnOnce()) {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = cluster.proxy().client("other");
            while !stop.load(Ordering::Relaxed) {
                let answer = client.query("SELECT v FROM t WHERE id = 2");
                assert_eq!(answer.expect("nothing is wrong with this server").scalar(), "two");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        {
            // The reader ends also when `act` fails.
            let _stop = StopAtEnd(&stop);
            act();
        }
        reader.join().expect("the reader saw an error");
    });
    assert!(count.load(Ordering::Relaxed) > 10, "the reader was held up");
}

/// The statement fails with an error that has a number, in time.
fn expect_named_error(client: &mut Client, sql: &str) {
    let started = Instant::now();
    let error = client.query(sql).expect_err("its server is gone");
    assert!(error.errno() != 0, "not a named error: {error}");
    assert!(started.elapsed() < ERROR_WITHIN, "only after {:?}", started.elapsed());
}

/// The session reads the old row again within 20 seconds.
fn expect_recovery(who: &str, client: &mut Client) {
    let mut last = String::new();
    let back = wait_until(Duration::from_secs(20), || {
        let answer = client.query("SELECT v FROM t WHERE id = 1");
        last = match &answer {
            Ok(answer) => answer.scalar(),
            Err(error) => error.to_string(),
        };
        last == "one"
    });
    assert!(back, "{who} cannot go on: {last}");
}

/// Goal: a dead primary gives named errors to its sessions only; they go on when it is back.
#[test]
fn primary_dies_and_comes_back() {
    let cluster = cluster("dead-primary");
    let cluster = cluster.watched();
    let primary = &cluster.shards[0].primary;
    let mut open = cluster.proxy().client("mortal");
    let mut idle = cluster.proxy().client("mortal");
    idle.query("SELECT v FROM t WHERE id = 1").expect("a row");
    while_others_read(&cluster, || {
        open.query("BEGIN").expect("ok");
        open.query("UPDATE t SET v = 'lost' WHERE id = 1").expect("ok");
        primary.kill();
        expect_named_error(&mut open, "SELECT v FROM t WHERE id = 1");
        expect_named_error(&mut idle, "SELECT v FROM t WHERE id = 1");
        primary.restart();
        // The transaction is lost; its session says so before it goes on.
        open.query("ROLLBACK").expect("a lost transaction can be given up");
        expect_recovery("the session in a transaction", &mut open);
        expect_recovery("the idle session", &mut idle);
    });
}

/// Goal: a dead replica is nobody's error while reads are strong.
#[test]
fn replica_dies() {
    let cluster = cluster("dead-replica");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("mortal");
    while_others_read(&cluster, || {
        cluster.shards[0].replicas[0].kill();
        for number in 0..200 {
            let sql = format!("UPDATE t SET v = 'n{number}' WHERE id = 1");
            client.query(sql).expect("the primary lives");
            let answer = client.query("SELECT v FROM t WHERE id = 1").expect("the primary lives");
            assert_eq!(answer.scalar(), format!("n{number}"));
        }
    });
}

/// Goal: a server that hangs does not hold up sessions that do not use it.
#[test]
fn primary_hangs() {
    let cluster = cluster("hanging-primary");
    let cluster = cluster.watched();
    let primary = &cluster.shards[0].primary;
    let mut client = cluster.proxy().client("mortal");
    client.query("SELECT 1 FROM t WHERE id = 1").expect("a row");
    while_others_read(&cluster, || {
        primary.pause();
        thread::sleep(Duration::from_secs(2));
        let newcomer =
            Client::connect(cluster.proxy().socket_address(), &crate::client::Login::test("other"));
        let answer = newcomer.expect("a login").query("SELECT v FROM t WHERE id = 1");
        primary.resume();
        assert_eq!(answer.expect("the other server answers").scalar(), "one");
    });
    expect_recovery("the session that waited", &mut client);
}
