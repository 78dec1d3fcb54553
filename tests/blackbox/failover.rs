//! Servers that die: who notices, what they are told, and when it goes on.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cluster::{Cluster, Layout};
use crate::server::wait_until;

/// A crash must be known to every session, and a promotion followed, within this time.
const NOTICED: Duration = Duration::from_secs(3);

fn cluster(name: &str) -> Cluster {
    let layout = Layout::new(name, &["us-east", "eu-west"])
        .keyspace("app", r#"{"tables": {"t": {}}}"#)
        .shard("-", "us-east", &["eu-west"]);
    let cluster = Cluster::start(layout);
    cluster.on_primaries(
        "app",
        &["CREATE TABLE t (id INT PRIMARY KEY)".into(), "INSERT INTO t VALUES (1)".into()],
    );
    cluster.shards[0].replicas[0].wait_for(&cluster.shards[0].primary);
    cluster
}

fn local(cluster: &Cluster, region: &str) -> Client {
    let mut client = cluster.proxy().client("app");
    let set = format!("SET read_consistency = 'local', client_region = '{region}'");
    client.query(set).expect("ok");
    client
}

fn count(client: &mut Client) -> Result<String, crate::client::Error> {
    client.query("SELECT COUNT(*) FROM t").map(|answer| answer.scalar())
}

fn wait_until_all_are_up(client: &mut Client) {
    let up = wait_until(Duration::from_secs(10), || {
        let servers = client.query("SHOW SERVERS").expect("a list").texts();
        servers.iter().all(|row| row[4] == "up") && servers.iter().any(|row| row[5] == "0 s")
    });
    assert!(up, "{:?}", client.query("SHOW SERVERS").expect("a list").texts());
}

/// Goal: when a replica is killed, eventual reads go on without an error, strong ones never notice,
/// and local ones are told by name; all is well when it is back.
#[test]
fn a_killed_replica() {
    let cluster = cluster("kill-replica");
    let cluster = cluster.watched();
    let replica = &cluster.shards[0].replicas[0];
    let mut strong = cluster.proxy().client("app");
    wait_until_all_are_up(&mut strong);
    let mut eventual = local(&cluster, "eu-west");
    eventual.query("SET read_consistency = 'eventual'").expect("ok");
    let mut near = local(&cluster, "eu-west");
    for client in [&mut strong, &mut eventual, &mut near] {
        assert_eq!(count(client).expect("a read"), "1");
    }
    replica.kill();
    let killed = Instant::now();
    while killed.elapsed() < Duration::from_secs(2) {
        assert_eq!(count(&mut strong).expect("the primary lives"), "1");
        assert_eq!(count(&mut eventual).expect("a read goes elsewhere"), "1");
    }
    let error = count(&mut near).expect_err("nobody in the region");
    assert!(error.to_string().contains("GG14040"), "{error}");
    replica.restart();
    assert!(wait_until(Duration::from_secs(20), || count(&mut near).is_ok()));
}

/// Goal: when the primary is killed, its sessions get a named error in time, local readers of the
/// other region see none, and a promoted replica takes the writes.
#[test]
fn a_killed_primary_and_a_promoted_replica() {
    let cluster = cluster("kill-primary");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let replica = &shard.replicas[0];
    let mut writer = cluster.proxy().client("app");
    wait_until_all_are_up(&mut writer);
    let mut in_transaction = cluster.proxy().client("app");
    in_transaction.query("BEGIN").expect("ok");
    in_transaction.query("INSERT INTO t VALUES (100)").expect("ok");
    let mut near = local(&cluster, "eu-west");
    assert_eq!(count(&mut near).expect("a read"), "1");

    shard.primary.kill();
    let killed = Instant::now();
    let error = writer.query("INSERT INTO t VALUES (2)").expect_err("the primary is dead");
    assert!(killed.elapsed() < NOTICED, "{:?}", killed.elapsed());
    assert!(error.to_string().contains("GG1400"), "{error}");
    let error = in_transaction.query("INSERT INTO t VALUES (101)").expect_err("it is lost");
    assert!(error.to_string().contains("GG15001"), "{error}");
    in_transaction.query("ROLLBACK").expect("the way out");
    while killed.elapsed() < NOTICED {
        assert_eq!(count(&mut near).expect("the replica lives"), "1");
    }
    let error = writer.query("INSERT INTO t VALUES (2)").expect_err("nobody was promoted");
    assert!(error.to_string().contains("GG14003"), "{error}");
    // Readers can still come in, and set up their sessions.
    let mut late = local(&cluster, "eu-west");
    late.query("SET NAMES utf8mb4, time_zone = '+00:00'").expect("ok");
    assert_eq!(count(&mut late).expect("the replica lives"), "1");

    replica.sql("STOP REPLICA");
    replica.sql("SET GLOBAL read_only = OFF");
    let promoted = Instant::now();
    let taken = wait_until(NOTICED, || writer.query("INSERT INTO t VALUES (3)").is_ok());
    assert!(taken, "no write after {:?}", promoted.elapsed());
    in_transaction.query("BEGIN").expect("ok");
    in_transaction.query("INSERT INTO t VALUES (4)").expect("the new primary takes it");
    in_transaction.query("COMMIT").expect("ok");
    assert_eq!(replica.sql("SELECT COUNT(*) FROM app.t").scalar(), "3");

    // The old primary comes back writable: it stays out of use, and nothing is written until one
    // of the two is read-only.
    shard.primary.restart();
    let rival = wait_until(Duration::from_secs(10), || {
        let servers = writer.query("SHOW SERVERS").expect("a list").texts();
        servers.iter().any(|row| row[4] == "rival")
    });
    assert!(rival);
    let error = writer.query("INSERT INTO t VALUES (5)").expect_err("two writable servers");
    assert!(error.to_string().contains("GG14012"), "{error}");
    assert_eq!(count(&mut writer).expect("reads go on"), "3");
    shard.primary.sql("SET GLOBAL read_only = ON");
    assert!(wait_until(NOTICED, || writer.query("INSERT INTO t VALUES (5)").is_ok()));
    assert_eq!(replica.sql("SELECT COUNT(*) FROM app.t").scalar(), "4");
    assert_eq!(shard.primary.sql("SELECT COUNT(*) FROM app.t WHERE id > 1").scalar(), "0");
}

/// Goal: a primary that is demoted in good order is not written to any more.
#[test]
fn a_switchover() {
    let cluster = cluster("switchover");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let replica = &shard.replicas[0];
    let mut writer = cluster.proxy().client("app");
    wait_until_all_are_up(&mut writer);
    let mut caught = cluster.proxy().client("app");
    caught.query("BEGIN").expect("ok");
    caught.query("INSERT INTO t VALUES (50)").expect("a write");
    caught.query("COMMIT").expect("ok");
    caught.query("BEGIN").expect("ok");
    assert_eq!(count(&mut caught).expect("a read"), "2");
    shard.primary.sql("SET GLOBAL read_only = ON");
    let refused = wait_until(NOTICED, || {
        writer.query("INSERT INTO t VALUES (2) ON DUPLICATE KEY UPDATE id = id").is_err()
    });
    assert!(refused, "a demoted primary is written to");
    replica.wait_for(&shard.primary);
    replica.sql("STOP REPLICA");
    replica.sql("SET GLOBAL read_only = OFF");
    assert!(wait_until(NOTICED, || writer.query("INSERT INTO t VALUES (9)").is_ok()));
    // A transaction that began on the old primary does not write there any more.
    let error = caught.query("INSERT INTO t VALUES (51)").expect_err("the primary has moved");
    assert!(error.to_string().contains("GG14042"), "{error}");
    caught.query("ROLLBACK").expect("ok");
    caught.query("INSERT INTO t VALUES (52)").expect("the new primary takes it");
    assert_eq!(replica.sql("SELECT COUNT(*) FROM app.t WHERE id = 52").scalar(), "1");
    assert_eq!(replica.sql("SELECT COUNT(*) FROM app.t WHERE id = 9").scalar(), "1");
    assert_eq!(shard.primary.sql("SELECT COUNT(*) FROM app.t WHERE id = 9").scalar(), "0");
}
