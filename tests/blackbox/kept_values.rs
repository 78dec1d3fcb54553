//! Values that servers store as something else than what was sent, and names that they read as
//! those of sharding columns: what is routed by them is refused, so that no row lies where nothing
//! looks for it.

use std::sync::LazyLock;

use crate::client::{Answer, Client, Error};
use crate::cluster::{Cluster, Layout};
use crate::software::SOFTWARE;

const VSCHEMA: &str = r#"{
  "sharded": true,
  "vindexes": {
    "xxhash": { "type": "xxhash" },
    "hash": { "type": "hash" },
    "loose": { "type": "unicode_loose_xxhash" }
  },
  "tables": {
    "days": { "column_vindexes": [{ "column": "k", "name": "xxhash" }] },
    "bytes": { "column_vindexes": [{ "column": "k", "name": "xxhash" }] },
    "wide": { "column_vindexes": [{ "column": "k", "name": "xxhash" }] },
    "national": { "column_vindexes": [{ "column": "k", "name": "xxhash" }] },
    "folded": { "column_vindexes": [{ "column": "k", "name": "loose" }] },
    "roman": { "column_vindexes": [{ "column": "k", "name": "loose" }] },
    "numbers": { "column_vindexes": [{ "column": "k", "name": "hash" }] },
    "livre": { "column_vindexes": [{ "column": "clé", "name": "hash" }] },
    "named": { "column_vindexes": [{ "column": "k", "name": "xxhash" }],
      "columns": [{ "name": "k", "type": "VARCHAR", "collation_name": "utf8mb4_bin" }] }
  }
}"#;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let layout = Layout::new("kept_values", &["here"])
        .keyspace("shop", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[]);
    let cluster = Cluster::start(layout);
    let text = |charset: &str, collation: &str| {
        format!("VARCHAR(9) CHARACTER SET {charset} COLLATE {collation}")
    };
    let tables = [
        ("days", "DATE".to_owned()),
        ("bytes", "VARBINARY(9)".to_owned()),
        ("wide", text("utf16", "utf16_bin")),
        ("national", text("swe7", "swe7_bin")),
        ("folded", text("utf8mb4", "utf8mb4_unicode_ci")),
        ("roman", text("utf8mb4", "utf8mb4_roman_ci")),
        ("numbers", "BIGINT".to_owned()),
        ("named", if SOFTWARE.is_mysql() { "POINT".to_owned() } else { "UUID".to_owned() }),
    ];
    let mut definitions: Vec<String> = tables
        .iter()
        .map(|(name, kind)| format!("CREATE TABLE {name} (k {kind}, n INT)"))
        .collect();
    definitions.push("CREATE TABLE livre (`clé` BIGINT, n INT UNIQUE)".to_owned());
    cluster.on_primaries("shop", &definitions);
    cluster
});

fn refused(result: Result<Answer, Error>, errno: u16, what: &str) -> String {
    match result {
        Err(error) => {
            assert_eq!(error.errno(), errno, "{what}: {error}");
            error.to_string()
        }
        Ok(answer) => panic!("{what} was done: {answer:?}"),
    }
}

fn client(setting: &str) -> Client {
    let mut client = CLUSTER.proxy().client("shop");
    for statement in ["SET sql_mode = ''", setting] {
        client.query(statement).expect("a setting");
    }
    client
}

/// Goal: a value is either stored as what it was routed by, or refused.
#[test]
fn a_value_is_stored_as_it_was_routed_or_refused() {
    let cluster = CLUSTER.watched();
    let utf8 = "SET NAMES utf8mb4";
    let connection = "SET character_set_connection = binary";
    for (setting, table, literal, stored) in [
        (utf8, "days", "'0000-02-29'", false),
        (utf8, "days", "'0999-01-01'", false),
        (utf8, "days", "'2024-02-29'", true),
        (utf8, "bytes", "_ucs2'a'", false),
        (utf8, "bytes", "_utf16 x'61'", false),
        (utf8, "bytes", "_utf32'a'", false),
        (utf8, "bytes", "_latin1'a'", true),
        (utf8, "bytes", "_binary'b'", true),
        (utf8, "wide", "'ab'", true),
        ("SET NAMES binary", "wide", "'cd'", false),
        ("SET character_set_client = binary", "wide", "'cd'", false),
        (connection, "wide", "'cd'", false),
        (connection, "folded", "'cd'", true),
        (utf8, "national", "'a[a'", false),
        (utf8, "folded", "'a\u{a0}'", false),
        (utf8, "folded", "'🐘'", false),
        (utf8, "folded", "'é'", true),
        (utf8, "roman", "'j'", false),
    ] {
        let mut client = client(setting);
        let insert = format!("INSERT INTO {table} (k, n) VALUES ({literal}, 1)");
        let select = format!("SELECT n FROM {table} WHERE k = {literal}");
        if stored {
            client.query(&insert).expect("it is stored as it is");
            assert_eq!(client.query(&select).expect("it is there").scalar(), "1", "{select}");
        } else {
            refused(client.query(&insert), 1235, &insert);
        }
    }
    drop(cluster);
}

/// Goal: parameters of types that some server stores as NULL are refused over several servers.
#[test]
fn parameters_have_types_that_servers_read() {
    let cluster = CLUSTER.watched();
    let mut client = client("SET NAMES utf8mb4");
    let insert = client.prepare("INSERT INTO numbers (k, n) VALUES (?, 1)").expect("a plan");
    for (kind, value) in
        [(13, &[5, 0][..]), (9, &[5, 0, 0, 0]), (16, &[1, 5]), (255, &[1, 5]), (247, &[1, b'5'])]
    {
        let head = insert.id.to_le_bytes();
        let body = [&head, &[0, 1, 0, 0, 0, 0, 1, kind, 0][..], value].concat();
        client.command(0x17, &body).expect("the proxy runs");
        refused(client.read_answer(true), 1210, &format!("a parameter of type {kind}"));
    }
    assert_eq!(client.query("SELECT COUNT(*) FROM numbers").expect("they are read").scalar(), "0");
    drop(cluster);
}

/// Goal: a sharding column is known by its name in upper case, whatever its letters.
#[test]
fn a_sharding_column_is_known_in_any_case() {
    let cluster = CLUSTER.watched();
    let mut routed = client("SET NAMES utf8mb4");
    routed
        .query("INSERT INTO livre (`CLÉ`, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
        .expect("routed");
    let mut aimed = client("USE `shop:-80`");
    let insert = "INSERT INTO livre (`clé`, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4)";
    for client in [&mut routed, &mut aimed] {
        refused(client.query("UPDATE livre SET `CLÉ` = n"), 1235, "an update");
        let insert = format!("{insert} ON DUPLICATE KEY UPDATE `CLÉ` = n");
        assert!(client.query(&insert).is_err(), "{insert} was done");
    }
    for id in 1..=4 {
        let select = format!("SELECT n FROM livre WHERE `CLÉ` = {id}");
        assert_eq!(routed.query(&select).expect("it is there").scalar(), id.to_string());
    }
    drop(cluster);
}

/// Goal: a type that nothing is routed by is not asked for in the VSchema, which has one.
#[test]
fn a_type_of_the_servers_is_named_as_such() {
    let cluster = CLUSTER.watched();
    let mut client = client("SET NAMES utf8mb4");
    let value = "'123e4567-e89b-12d3-a456-426655440000'";
    let message =
        refused(client.query(format!("INSERT INTO named VALUES ({value}, 1)")), 1235, value);
    let expected = if SOFTWARE.is_mysql() { "several texts" } else { "type at the servers" };
    assert!(message.contains(expected), "{message}");
    drop(cluster);
}
