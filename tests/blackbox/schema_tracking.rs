//! A VSchema that tells no column types: the servers' own definitions are found and followed.

use std::time::Duration;

use crate::client::Client;
use crate::cluster::{Cluster, Layout};
use crate::server::wait_until;
use crate::software::SOFTWARE;

const VSCHEMA: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" }, "bytes": { "type": "xxhash" } },
  "tables": {
    "early": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "item": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "late": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "token": { "column_vindexes": [{ "column": "id", "name": "bytes" }] }
  }
}"#;

fn cluster(name: &str) -> Cluster {
    let layout = Layout::new(name, &["us-east"])
        .keyspace("ks", VSCHEMA)
        .shard("-80", "us-east", &[])
        .shard("80-", "us-east", &[])
        .config("[limits]\nschema_refresh_ms = 300");
    let cluster = Cluster::start(layout);
    let early = "CREATE TABLE early (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20))";
    cluster.on_primaries("ks", &[early.to_owned()]);
    cluster
}

fn goes_to_one_shard(client: &mut Client, select: &str) -> bool {
    let plan = client.query(format!("VEXPLAIN PLAN {select}")).expect("a plan");
    plan.texts().concat().join("\n").contains("EqualUnique")
}

/// How many rows each shard has.
fn counts(cluster: &Cluster, table: &str) -> Vec<u64> {
    let count = |shard: &crate::cluster::Shard| {
        let sql = format!("SELECT COUNT(*) FROM ks.{table}");
        shard.primary.sql(&sql).scalar().parse().expect("a number")
    };
    cluster.keyspace("ks").map(count).collect()
}

/// Goal: the first statement of the first client is routed by types that only the servers know;
/// definition statements through the proxy count for the next statement of the same session.
#[test]
fn servers_types_route_without_types_in_the_vschema() {
    let cluster = cluster("columns");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("ks");
    assert!(goes_to_one_shard(&mut client, "SELECT v FROM early WHERE id = 5"));
    for id in 1..=20 {
        client.query(format!("INSERT INTO early (id, v) VALUES ({id}, 'v{id}')")).expect("a row");
    }
    let found = counts(&cluster, "early");
    assert!(found.iter().all(|count| *count > 0) && found.iter().sum::<u64>() == 20, "{found:?}");

    client.query("CREATE TABLE item (id INT PRIMARY KEY, v INT)").expect("a table");
    let rows: Vec<String> = (1..=20).map(|id| format!("({id}, {})", id * 10)).collect();
    // Without a list of columns: their order is known too.
    let insert = format!("INSERT INTO item VALUES {}", rows.join(", "));
    assert_eq!(client.query(&insert).expect("rows").affected, 20);
    let found = counts(&cluster, "item");
    assert!(found.iter().all(|count| *count > 0) && found.iter().sum::<u64>() == 20, "{found:?}");
    for id in 1..=20 {
        let select = format!("SELECT v FROM item WHERE id = {id}");
        assert_eq!(client.query(&select).expect("a row").scalar(), (id * 10).to_string());
    }
    assert_eq!(client.query("UPDATE item SET v = 1 WHERE id = 7").expect("a row").affected, 1);
    assert_eq!(client.query("DELETE FROM item WHERE id = 8").expect("a row").affected, 1);
    let join = "SELECT early.v FROM item JOIN early ON item.id = early.id WHERE item.id = 7";
    assert_eq!(client.query(join).expect("a row").scalar(), "v7");
    let all = "SELECT COUNT(*) FROM item JOIN early ON item.id = early.id";
    assert_eq!(client.query(all).expect("a number").scalar(), "19");
}

/// Goal: a column that is added is known at once, also in front of the sharding column, and a
/// statement that was planned before is planned anew.
#[test]
fn added_columns_are_seen_at_once() {
    let cluster = cluster("added");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("ks");
    client.query("CREATE TABLE item (id BIGINT PRIMARY KEY, v INT)").expect("a table");
    client.query("INSERT INTO item VALUES (1, 10)").expect("a row");
    client.query("ALTER TABLE item ADD COLUMN first INT FIRST").expect("a column");
    let rows: Vec<String> = (2..=20).map(|id| format!("(1, {id}, {})", id * 10)).collect();
    client.query(format!("INSERT INTO item VALUES {}", rows.join(", "))).expect("rows");
    let found = counts(&cluster, "item");
    assert!(found.iter().all(|count| *count > 1), "{found:?}");
    for id in 1..=20 {
        let select = format!("SELECT v FROM item WHERE id = {id}");
        assert!(goes_to_one_shard(&mut client, &select));
        assert_eq!(client.query(&select).expect("a row").scalar(), (id * 10).to_string());
    }
    client.query("ALTER TABLE item ADD COLUMN last INT").expect("a column");
    client.query("UPDATE item SET last = v + 1 WHERE id = 5").expect("a row");
    let last = "SELECT last FROM item WHERE id = 5";
    assert_eq!(client.query(last).expect("a row").scalar(), "51");
}

/// Goal: types that make equal values of several texts are not routed by; a change of type is
/// noticed, through the proxy at once and past it soon.
#[test]
fn changed_types_are_noticed() {
    let cluster = cluster("changed");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("ks");
    let create = "CREATE TABLE token (id VARBINARY(20) PRIMARY KEY, v INT)";
    client.query(create).expect("a table");
    let select = "SELECT v FROM token WHERE id = 'abc'";
    client.query("INSERT INTO token VALUES ('abc', 1)").expect("a row");
    assert!(goes_to_one_shard(&mut client, select));
    assert_eq!(client.query(select).expect("a row").scalar(), "1");
    let insensitive = "ALTER TABLE token MODIFY id VARCHAR(20) CHARACTER SET utf8mb4 \
                       COLLATE utf8mb4_general_ci NOT NULL";
    client.query(insensitive).expect("another type");
    // Now 'ABC' is the same value, and lives elsewhere by its bytes.
    for text in ["abc", "ABC", "Abc", "aBC"] {
        let select = format!("SELECT v FROM token WHERE id = '{text}'");
        assert_eq!(client.query(&select).expect("a row").scalar(), "1", "{text}");
    }
    // Past the proxy; first a table that it has never seen.
    let integer = "CREATE TABLE late (id BIGINT NOT NULL PRIMARY KEY, v INT)";
    cluster.on_primaries("ks", &[integer.to_owned()]);
    let by_key = "SELECT v FROM late WHERE id = 1";
    let soon = Duration::from_secs(10);
    assert!(wait_until(soon, || goes_to_one_shard(&mut client, by_key)));
    if SOFTWARE.is_mysql() {
        return; // Every type that it has is known.
    }
    let uuid = ["DROP TABLE late", "CREATE TABLE late (id UUID NOT NULL PRIMARY KEY, v INT)"];
    cluster.on_primaries("ks", &uuid.map(str::to_owned));
    assert!(wait_until(soon, || !goes_to_one_shard(&mut client, by_key)));
    let insert = "INSERT INTO late VALUES ('123e4567-e89b-12d3-a456-426655440000', 1)";
    assert!(client.query(insert).is_err(), "a type that is not known must not place rows");
}
