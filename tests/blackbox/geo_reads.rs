//! Reads in regions: which server answers at which level, and what a session can ask for.

use std::time::Duration;

use crate::client::{Client, Parameter};
use crate::cluster::{Cluster, Layout};
use crate::server::{Server, wait_until};

/// A primary in us-east, a replica in eu-west and one in ap-south, in front of them a proxy in
/// us-east.
fn cluster(name: &str) -> Cluster {
    let layout = Layout::new(name, &["us-east", "eu-west", "ap-south"])
        .keyspace("app", r#"{"tables": {"t": {}}}"#)
        .shard("-", "us-east", &["eu-west", "ap-south"]);
    let cluster = Cluster::start(layout);
    cluster.on_primaries(
        "app",
        &[
            "CREATE TABLE t (id INT PRIMARY KEY, v INT)".into(),
            "INSERT INTO t VALUES (1, 10)".into(),
            "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1".into(),
        ],
    );
    for replica in &cluster.shards[0].replicas {
        replica.wait_for(&cluster.shards[0].primary);
    }
    cluster
}

fn id(server: &Server) -> String {
    server.sql("SELECT @@server_id").scalar()
}

fn answered_by(client: &mut Client) -> String {
    client.query("SELECT @@server_id FROM t").expect("a read").scalar()
}

fn set(client: &mut Client, what: &str) {
    client.query(format!("SET {what}")).unwrap_or_else(|error| panic!("SET {what}: {error}"));
}

/// Waits until the monitor has told the lag of all replicas.
fn wait_for_monitor(client: &mut Client) {
    let known = wait_until(Duration::from_secs(10), || {
        let servers = client.query("SHOW SERVERS").expect("a list").texts();
        servers.iter().all(|row| row[4] == "up")
            && servers.iter().filter(|row| row[3] == "replica" && row[5] == "0 s").count() == 2
    });
    assert!(known, "{:?}", client.query("SHOW SERVERS").expect("a list").texts());
}

/// Goal: `local` reads are answered by the replica of the client's region, `strong` ones and
/// writes by the primary; the session can see who answered.
#[test]
fn levels_choose_the_server() {
    let cluster = cluster("geo-levels");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let (primary, eu, ap) = (id(&shard.primary), id(&shard.replicas[0]), id(&shard.replicas[1]));
    let mut client = cluster.proxy().client("app");
    wait_for_monitor(&mut client);

    assert_eq!(answered_by(&mut client), primary, "strong is the default");
    set(&mut client, "read_consistency = 'local'");
    assert_eq!(answered_by(&mut client), primary, "the primary is of this region");
    set(&mut client, "SESSION client_region = 'eu-west'");
    assert_eq!(answered_by(&mut client), eu);
    let served = client.query("SELECT @@served_from, @@served_region").expect("a row").texts();
    assert_eq!(served, [[shard.replicas[0].address(), "eu-west".to_owned()]]);
    set(&mut client, "@@client_region = 'ap-south', @@read_consistency = EVENTUAL");
    assert_eq!(answered_by(&mut client), ap);
    let hinted = "SELECT /*vt+ READ_CONSISTENCY=strong */ @@server_id FROM t";
    assert_eq!(client.query(hinted).expect("a read").scalar(), primary);
    let hinted = "SELECT /*vt+ READ_CONSISTENCY=local CLIENT_REGION=eu-west */ @@server_id";
    assert_eq!(client.query(hinted).expect("a read").scalar(), eu);

    // A prepared statement follows the level of the moment.
    let statement = client.prepare("SELECT @@server_id FROM t WHERE id = ?").expect("prepared");
    let one = [Parameter::Int(1)];
    assert_eq!(client.execute(&statement, &one).expect("a row").scalar(), ap);
    set(&mut client, "read_consistency = DEFAULT");
    assert_eq!(client.execute(&statement, &one).expect("a row").scalar(), primary);
    set(&mut client, "read_consistency = 'local'");

    // What might write, lock or remember goes to the primary, where it may bind the session.
    let mut bound = cluster.proxy().client("app");
    set(&mut bound, "read_consistency = 'local', client_region = 'ap-south'");
    for sql in [
        "SELECT @@server_id FROM t FOR UPDATE",
        "SELECT @@server_id, f() FROM t",
        "SELECT @@server_id, LAST_INSERT_ID() FROM t",
    ] {
        let answer = bound.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.texts()[0][0], primary, "{sql}");
    }
    client.query("UPDATE t SET v = v + 1").expect("a write");
    assert_eq!(shard.primary.sql("SELECT v FROM app.t").scalar(), "11");
    client.query("BEGIN").expect("ok");
    assert_eq!(answered_by(&mut client), primary, "a transaction stays on the primary");
    client.query("COMMIT").expect("ok");
    set(&mut client, "autocommit = 0");
    assert_eq!(answered_by(&mut client), primary, "so does one that autocommit=0 begins");
    client.query("COMMIT").expect("ok");
    set(&mut client, "autocommit = 1");
    assert_eq!(answered_by(&mut client), ap);
}

/// Goal: `USE keyspace@replica` reads from replicas and refuses writes by name.
#[test]
fn sessions_can_target_replicas() {
    let cluster = cluster("geo-target");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let primary = id(&shard.primary);
    let mut client = cluster.proxy().client("app@replica");
    wait_for_monitor(&mut client);
    assert_ne!(answered_by(&mut client), primary);
    for sql in ["INSERT INTO t VALUES (2, 2)", "SELECT v FROM t FOR UPDATE", "SELECT f()"] {
        let error = client.query(sql).expect_err("a replica takes no writes");
        assert_eq!(error.errno(), 1290, "{sql}");
        assert!(error.to_string().contains("GG09040"), "{error}");
    }
    // A transaction keeps its server.
    client.query("BEGIN").expect("ok");
    let first = answered_by(&mut client);
    for _ in 0..6 {
        assert_eq!(answered_by(&mut client), first);
    }
    assert_ne!(first, primary);
    client.query("COMMIT").expect("ok");
    client.query("USE app").expect("ok");
    assert_eq!(answered_by(&mut client), primary);
    client.query("USE `app@replica`").expect("ok");
    assert_ne!(answered_by(&mut client), primary);
    client.query("USE app@primary").expect("ok");
    client.query("INSERT INTO t VALUES (2, 2)").expect("a write");
}

/// Goal: own variables are set, shown and refused by name; the lists about servers are right; a
/// stopped replica is not read locally beyond the cap.
#[test]
fn settings_and_lists() {
    let cluster = cluster("geo-settings");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let mut client = cluster.proxy().client("app");
    wait_for_monitor(&mut client);
    let show = |client: &mut Client, name: &str| {
        let sql = format!("SHOW VARIABLES LIKE '{name}'");
        client.query(sql).expect("a row").texts()[0][1].clone()
    };
    assert_eq!(show(&mut client, "read_consistency"), "strong");
    assert_eq!(show(&mut client, "client_region"), "us-east");
    assert_eq!(client.query("SELECT @@transaction_mode").expect("a row").scalar(), "multi");
    for (statement, errno) in [
        ("SET read_consistency = 'bounded'", 1235),
        ("SET read_consistency = 'session'", 1235),
        ("SET read_consistency = 'weak'", 1231),
        ("SET max_staleness = '2s'", 1235),
        ("SET transaction_mode = 'twopc'", 1235),
        ("SET write_ack = 'quorum'", 1235),
        ("SET client_region = 'mars'", 1231),
        ("SET served_from = 'x'", 1238),
        ("SET GLOBAL read_consistency = 'local'", 1235),
        ("SELECT /*vt+ READ_CONSISTENCY=bounded */ 1", 1235),
    ] {
        let error = client.query(statement).expect_err(statement);
        assert_eq!(error.errno(), errno, "{statement}");
    }
    for statement in ["SET workload = 'olap'", "SET transaction_mode = single, write_ack = async"] {
        client.query(statement).expect(statement);
    }
    assert_eq!(show(&mut client, "transaction_mode"), "single");
    client.reset().expect("ok");
    assert_eq!(show(&mut client, "transaction_mode"), "multi");

    let servers = client.query("SHOW SERVERS").expect("a list").texts();
    let roles: Vec<&str> = servers.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(roles, ["primary", "replica", "replica"]);
    let regions = client.query("SHOW REGIONS").expect("a list").texts();
    assert_eq!(regions.len(), 3);
    assert_eq!(regions[0][..2], ["us-east", "yes"]);
    let shards = client.query("SHOW VITESS_SHARDS").expect("a list").texts();
    assert_eq!(shards, [["app/-"]]);

    // Replication stops: the lag grows from what was known, it is not zero.
    shard.replicas[0].sql("STOP REPLICA");
    let grows = wait_until(Duration::from_secs(10), || {
        let lag = &client.query("SHOW SERVERS").expect("a list").texts()[1][5];
        lag != "0 s" && lag.ends_with(" s")
    });
    assert!(grows);
}

/// Goal: a replica that is too far behind is not read: `local` says so, `eventual` goes elsewhere.
#[test]
fn lagging_replicas_are_not_read() {
    let layout = Layout::new("geo-lag", &["us-east", "eu-west"])
        .keyspace("app", r#"{"tables": {"t": {}}}"#)
        .shard("-", "us-east", &["eu-west"])
        .config("[limits]\nreplica_lag_max_ms = 1500");
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    cluster.on_primaries("app", &["CREATE TABLE t (id INT)".into(), "INSERT t VALUES (1)".into()]);
    let shard = &cluster.shards[0];
    shard.replicas[0].wait_for(&shard.primary);
    let mut client = cluster.proxy().client("app");
    let replica = id(&shard.replicas[0]);
    set(&mut client, "read_consistency = 'local', client_region = 'eu-west'");
    assert!(wait_until(Duration::from_secs(10), || answered_by(&mut client) == replica));
    shard.replicas[0].sql("STOP REPLICA");
    let mut refused = None;
    let stops = wait_until(Duration::from_secs(10), || {
        refused = client.query("SELECT 1 FROM t").err();
        refused.is_some()
    });
    assert!(stops, "a replica that stands still is read");
    let error = refused.expect("an error");
    assert!(error.to_string().contains("GG14040"), "{error}");
    assert!(error.to_string().contains("replica_lag_max_ms"), "{error}");
    set(&mut client, "read_consistency = 'eventual'");
    assert_eq!(answered_by(&mut client), id(&shard.primary));
    shard.replicas[0].sql("START REPLICA");
    set(&mut client, "read_consistency = 'local'");
    assert!(wait_until(Duration::from_secs(10), || client.query("SELECT 1 FROM t").is_ok()));
}

/// Two shards whose primaries are in different regions, each with a replica in the other, and an
/// unsharded keyspace with a copy of the rows that every shard needs.
fn sharded() -> Cluster {
    let vschema = r#"{"sharded": true,
        "vindexes": {"hash": {"type": "hash"}},
        "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}],
                         "columns": [{"name": "id", "type": "INT64"}]}}}"#;
    let layout = Layout::new("geo-sharded", &["us-east", "eu-west"])
        .keyspace("s", vschema)
        .shard("-80", "us-east", &["eu-west"])
        .shard("80-", "eu-west", &["us-east"]);
    let cluster = Cluster::start(layout);
    cluster.on_primaries("s", &["CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)".into()]);
    cluster
}

/// Goal: with several shards each one is read in the client's region: one-shard reads, scatters,
/// prepared ones and hints; writes go to the primaries wherever they are; `single` transactions
/// stay on one shard.
#[test]
fn every_shard_is_read_in_the_region() {
    let cluster = sharded();
    let cluster = cluster.watched();
    let shards: Vec<&crate::cluster::Shard> = cluster.keyspace("s").collect();
    let mut client = cluster.proxy().client("s");
    for id in 1..=8 {
        client.query(format!("INSERT INTO t (id, v) VALUES ({id}, 0)")).expect("a write");
    }
    for shard in &shards {
        shard.replicas[0].wait_for(&shard.primary);
    }
    let primaries = [id(&shards[0].primary), id(&shards[1].primary)];
    let in_eu = [id(&shards[0].replicas[0]), primaries[1].clone()];
    let ids = |client: &mut Client, sql: &str| {
        let answer = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut ids: Vec<String> = answer.texts().into_iter().map(|row| row[0].clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let all = "SELECT @@server_id, id FROM t";
    assert_eq!(ids(&mut client, all), sorted(primaries.to_vec()));
    set(&mut client, "read_consistency = 'local', client_region = 'eu-west'");
    let known = wait_until(Duration::from_secs(10), || {
        ids(&mut client, "SELECT /*vt+ READ_CONSISTENCY=local */ @@server_id, id FROM t")
            == sorted(in_eu.to_vec())
    });
    assert!(known);
    assert_eq!(ids(&mut client, all), sorted(in_eu.to_vec()));
    // One shard: 1 is on -80.
    for _ in 0..3 {
        assert_eq!(ids(&mut client, "SELECT @@server_id FROM t WHERE id = 1"), [in_eu[0].clone()]);
    }
    let one = "SELECT /*vt+ READ_CONSISTENCY=strong */ @@server_id FROM t WHERE id = 1";
    assert_eq!(ids(&mut client, one), [primaries[0].clone()]);
    let statement = client.prepare("SELECT @@server_id FROM t WHERE id = ?").expect("prepared");
    let answer = client.execute(&statement, &[Parameter::Int(1)]).expect("a row");
    assert_eq!(answer.scalar(), in_eu[0]);
    client.query("UPDATE t SET v = 1 WHERE id = 1").expect("a write");
    assert_eq!(shards[0].primary.sql("SELECT v FROM s.t WHERE id = 1").scalar(), "1");

    client.query("USE `s@replica`").expect("ok");
    let replicas = [id(&shards[0].replicas[0]), id(&shards[1].replicas[0])];
    assert_eq!(ids(&mut client, all), sorted(replicas.to_vec()));
    client.query("DELETE FROM t").expect_err("no writes");
    let error = client.query("SELECT id FROM t WHERE id = 1 FOR UPDATE").expect_err("no locks");
    assert_eq!(error.errno(), 1290, "{error}");
    client.query("USE s").expect("ok");
    single_transactions(&mut client);
    metrics_tell_it(&cluster);
}

fn single_transactions(client: &mut Client) {
    set(client, "transaction_mode = 'single'");
    client.query("BEGIN").expect("ok");
    client.query("UPDATE t SET v = 2 WHERE id = 1").expect("a write");
    let error = client.query("UPDATE t SET v = 2 WHERE id = 4").expect_err("another shard");
    assert!(error.to_string().contains("GG09041"), "{error}");
    client.query("ROLLBACK").expect("ok");
}

fn metrics_tell_it(cluster: &Cluster) {
    let (status, metrics) = cluster.proxy().http("GET", "/metrics", "");
    assert_eq!(status, 200);
    for part in [
        "geogate_queries_total{kind=\"select\",keyspace=\"s\",route=\"EqualUnique\"",
        "geogate_queries_total{kind=\"select\",keyspace=\"s\",route=\"Scatter\"",
        "geogate_replication_lag_seconds{keyspace=\"s\",shard=\"-80\",server=",
        "geogate_shard_primary{keyspace=\"s\",shard=\"80-\"} 1",
        "geogate_split_brain{keyspace=\"s\",shard=\"80-\"} 0",
        "geogate_region_latency_seconds{from=\"us-east\",to=\"eu-west\"}",
        "geogate_transactions_total{mode=\"single\",outcome=\"rollback\"} 1",
        "geogate_query_errors_total{errno=\"1290\",generation=\"stable\",origin=\"client\"",
        "geogate_vschema_version 1",
        "geogate_connections{state=\"active\"} ",
    ] {
        assert!(metrics.contains(part), "{part} is missing in\n{metrics}");
    }
}
