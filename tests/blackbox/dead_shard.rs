//! A shard whose only server is dead: what needs no row of it goes on.

use std::time::Duration;

use crate::cluster::{Cluster, Layout};
use crate::server::wait_until;

pub(crate) const VSCHEMA: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
    "tables": {"things": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;

/// What any server can answer, or the proxy itself.
pub(crate) const ANYWHERE: &[&str] = &[
    "SELECT 1",
    "SELECT 1 + 1, NOW() IS NOT NULL, @@version IS NOT NULL",
    "SELECT @@sql_mode IS NOT NULL",
    "SET @a = 1 + 1",
    "SET sql_mode = CONCAT(@@sql_mode, '')",
    "SET NAMES utf8mb4",
    "SELECT CONNECTION_ID() > 0",
    "SELECT DATABASE()",
    "SHOW WARNINGS",
    "SHOW TABLES",
    "SHOW COLUMNS FROM things",
    "DESCRIBE things",
    "SHOW CREATE TABLE things",
    "SHOW VARIABLES LIKE 'version'",
    "SHOW PROCESSLIST",
    "SHOW KEYSPACES",
    "EXPLAIN SELECT * FROM things WHERE id = 1",
    "PREPARE p FROM 'SELECT 1'",
    "EXECUTE p",
    "BEGIN",
    "SELECT 2",
    "COMMIT",
    "USE shop",
];

/// Goal: with the server of the first (or of another) shard dead, whatever needs no row of that
/// shard is answered, by sessions of before and by new ones; what needs one is refused by name.
#[test]
fn what_needs_no_row_of_it_goes_on() {
    for dead in 0..2 {
        let layout = Layout::new(&format!("dead-{dead}"), &["here"])
            .keyspace("shop", VSCHEMA)
            .shard("-80", "here", &[])
            .shard("80-", "here", &[]);
        let cluster = Cluster::start(layout);
        let table = "CREATE TABLE things (id BIGINT PRIMARY KEY)".to_owned();
        cluster.on_primaries("shop", &[table]);
        let cluster = cluster.watched();
        let mut before = cluster.proxy().client("shop");
        before.query("SELECT COUNT(*) FROM things").expect("a count");
        let shards: Vec<_> = cluster.keyspace("shop").collect();
        shards[dead].primary.kill();
        let seen = wait_until(Duration::from_secs(20), || {
            let servers = before.query("SHOW SERVERS").expect("rows").texts();
            servers.iter().any(|row| row[4].starts_with("down"))
        });
        assert!(seen, "{:?}", before.query("SHOW SERVERS").expect("rows").texts());
        let mut after = cluster.proxy().client("shop");
        for client in [&mut before, &mut after] {
            for sql in ANYWHERE {
                if let Err(error) = client.query(sql) {
                    panic!("shard {dead} is dead, {sql}: {error}");
                }
            }
            let prepared = client.prepare("SELECT ? + 1").expect("prepared");
            let five = crate::client::Parameter::Int(4);
            client.execute(&prepared, &[five]).expect("executed");
            client.ping().expect("alive");
            client.reset().expect("reset");
            client.use_database("shop").expect("used");
            let alive = &shards[1 - dead].range;
            client.query(format!("USE `shop:{alive}`")).expect("a target");
            client.query("SELECT COUNT(*) FROM things").expect("its rows");
            client.query("USE shop").expect("back");
            let error = client.query("SELECT COUNT(*) FROM things").expect_err("a part is missing");
            assert!(error.to_string().contains(&shards[dead].range), "{error}");
        }
    }
}
