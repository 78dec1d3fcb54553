//! The test library itself, proven on plain MariaDB: client, replication, faults.

use std::time::Duration;

use crate::client::{Client, Login, Parameter, SERVER_IN_TRANS, capability};
use crate::cluster::{Cluster, Layout};
use crate::server::{Server, wait_until};
use crate::shop::{SHOP, scratch_table};

/// Goal: the client reads what MariaDB sends, text and binary, with and without DEPRECATE_EOF.
#[test]
fn client_speaks_to_mariadb() {
    let server = Server::start("plain");
    server.wait_ready();
    for capabilities in [capability::DEPRECATE_EOF, 0] {
        let login = Login { capabilities, ..Login::test("") };
        let mut client = Client::connect(server.socket_address(), &login).expect("a login");
        let answer = client.query("SELECT 1 AS one, NULL, 'grün', 1.50, DATE '2024-02-29'");
        let answer = answer.expect("a row");
        assert_eq!(answer.texts(), [["1", "NULL", "grün", "1.50", "2024-02-29"]]);
        assert_eq!(answer.columns[0].name, "one");
        let statement = client.prepare("SELECT ? + 1, ?, TIME '-10:20:30.5', 1.5e0").expect("ok");
        assert_eq!(statement.parameters, 2);
        let answer =
            client.execute(&statement, &[Parameter::Int(41), Parameter::Null]).expect("a row");
        assert_eq!(answer.texts(), [["42", "NULL", "-10:20:30.500000", "1.5"]]);
        client.close(&statement).expect("no answer");
        let error = client.query("SELECT nonsense").expect_err("no such column");
        assert_eq!(error.errno(), 1054);
        client.query("BEGIN").expect("ok");
        let answer = client.query("DO 1").expect("ok");
        assert_eq!(answer.status & SERVER_IN_TRANS, SERVER_IN_TRANS);
        client.ping().expect("a pong");
        client.reset().expect("ok");
        client.use_database("mysql").expect("ok");
        let long = "x".repeat(17 << 20);
        let answer = client.query(format!("SELECT '{long}', LENGTH('{long}')")).expect("a row");
        assert_eq!(answer.rows[0][0].as_ref().map(Vec::len), Some(17 << 20));
    }
}

/// Goal: replicas follow, and a paused or killed server comes back.
#[test]
fn cluster_replicates_and_survives_faults() {
    let layout = Layout::new("faults", &["us-east", "eu-west"])
        .keyspace("only", r#"{"tables": {"t": {}}}"#)
        .shard("-", "us-east", &["eu-west"]);
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    cluster.on_primaries("only", &["CREATE TABLE t (id INT PRIMARY KEY)".into()]);
    let shard = &cluster.shards[0];
    shard.primary.sql("INSERT INTO only.t VALUES (1), (2)");
    let replica = &shard.replicas[0];
    replica.wait_for(&shard.primary);
    assert_eq!(replica.sql("SELECT COUNT(*) FROM only.t").scalar(), "2");
    replica.pause();
    shard.primary.sql("INSERT INTO only.t VALUES (3)");
    replica.resume();
    replica.wait_for(&shard.primary);
    shard.primary.restart();
    let caught_up = wait_until(Duration::from_secs(30), || {
        replica.sql("SELECT COUNT(*) FROM only.t").scalar() == "3"
    });
    assert!(caught_up);
}

/// Goal: the shared cluster comes up with its rows on their shards and copied to the replicas.
#[test]
fn shared_shop_is_loaded() {
    let shop = SHOP.watched();
    let count = |server: &Server, sql: &str| -> u64 {
        server.sql(sql).scalar().parse().expect("a count is a number")
    };
    let customers = "SELECT COUNT(*) FROM shop.customer";
    let counts: Vec<u64> =
        shop.keyspace("shop").map(|shard| count(&shard.primary, customers)).collect();
    assert_eq!(counts.iter().sum::<u64>(), 60);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    for shard in &shop.shards {
        for replica in &shard.replicas {
            let sql = format!("SELECT COUNT(*) FROM {}.countries", shard.keyspace);
            assert_eq!(count(replica, &sql), 6);
        }
    }
    let mut client = shop.shards[1].primary.client("shop");
    let table = scratch_table();
    client.query(format!("INSERT INTO {table} VALUES (1, 1, 'x')")).expect("a scratch table");
}
