//! Another VSchema for a running proxy: by file, signal and API, under load, refused and undone.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::{Cluster, Layout};
use crate::proxy::Proxy;
use crate::server::wait_until;

/// Two shards with tables `swap` and `trial`: `id` is the sharding column, `k` is always equal to
/// it. Each test has a proxy of its own in front of them.
pub(crate) static PAIR: LazyLock<Cluster> = LazyLock::new(|| {
    let layout = Layout::new("pair", &["us-east"])
        .keyspace("ks", BY_ID)
        .shard("-80", "us-east", &[])
        .shard("80-", "us-east", &[]);
    let cluster = Cluster::start(layout);
    let create = |table| {
        format!(
            "CREATE TABLE {table} (id BIGINT NOT NULL PRIMARY KEY, k BIGINT NOT NULL UNIQUE, \
             v VARCHAR(40) NOT NULL)"
        )
    };
    cluster.on_primaries("ks", &["swap", "trial"].map(create));
    cluster
});

/// Only `id` leads to a shard; a search by `k` asks both.
pub(crate) const BY_ID: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" } },
  "tables": {
    "swap": { "column_vindexes": [{ "column": "id", "name": "hash" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] },
    "trial": { "column_vindexes": [{ "column": "id", "name": "hash" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] }
  }
}"#;

/// The same homes, but `k` leads to a shard too.
pub(crate) const BY_ID_AND_K: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" }, "hash_of_k": { "type": "hash" } },
  "tables": {
    "swap": {
      "column_vindexes": [{ "column": "id", "name": "hash" }, { "column": "k", "name": "hash_of_k" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] },
    "trial": {
      "column_vindexes": [{ "column": "id", "name": "hash" }, { "column": "k", "name": "hash_of_k" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] }
  }
}"#;

/// Another function: rows would have to move.
pub(crate) const MOVED: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "xxhash" } },
  "tables": {
    "swap": { "column_vindexes": [{ "column": "id", "name": "hash" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] },
    "trial": { "column_vindexes": [{ "column": "id", "name": "hash" }],
      "columns": [{ "name": "id", "type": "INT64" }, { "name": "k", "type": "INT64" }] }
  }
}"#;

/// A proxy in front of [`PAIR`], where user `op` may change the canary with SQL, and with a token
/// of each role.
pub(crate) fn proxy(name: &str) -> Proxy {
    let more = r#"
[[user]]
name = "op"
password = "op"
operator = true
[[control.token]]
token = "see"
role = "viewer"
[[control.token]]
token = "run"
role = "operator"
"#;
    PAIR.another_proxy(name, more)
}

/// An API request whose answer must have this status.
pub(crate) fn api(proxy: &Proxy, method: &str, path: &str, body: &Value, status: u16) -> Value {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let (found, answer) = proxy.http(method, &format!("/api/v1/{path}"), &text);
    assert_eq!(found, status, "{method} {path}: {answer}\n{}", proxy.log_tail());
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A VSchema as the API takes it.
pub(crate) fn files(vschema: &str) -> Value {
    json!({"files": {"ks.json": vschema}})
}

/// How many vindexes a new session sees on a table: 1 under [`BY_ID`], 2 under [`BY_ID_AND_K`].
pub(crate) fn vindexes(proxy: &Proxy) -> usize {
    let mut client = proxy.client("ks");
    client.query("SHOW VSCHEMA VINDEXES ON swap").expect("rows").rows.len()
}

/// Goal: a changed file is taken over without a restart; a bad one is refused whole, its problems
/// are visible, and the good VSchema stays. SIGHUP and the API read the files at once.
#[test]
fn files_are_watched_and_bad_ones_refused() {
    let proxy = proxy("watched");
    let file = proxy.folder.join("vschema/ks.json");
    assert_eq!(vindexes(&proxy), 1);
    fs::write(&file, BY_ID_AND_K).expect("the folder is writable");
    assert!(wait_until(Duration::from_secs(5), || vindexes(&proxy) == 2));
    fs::write(&file, r#"{ "sharded": true, "tables": { "swap": { "column_vindex": [] } } }"#)
        .expect("the folder is writable");
    let report = |proxy: &Proxy| {
        let shown = api(proxy, "GET", "vschema", &Value::Null, 200);
        shown["draft"]["report"].as_str().unwrap_or_default().to_owned()
    };
    assert!(wait_until(Duration::from_secs(5), || report(&proxy).contains("column_vindex")));
    assert_eq!(vindexes(&proxy), 2);
    let refused = api(&proxy, "POST", "vschema/reload", &Value::Null, 422);
    assert_eq!(refused["error"]["code"], "invalid_vschema");
    let problem = &refused["error"]["problems"][0];
    assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("ks.json")), "{refused}");
    assert_eq!(problem["line"], 1);
    fs::write(&file, BY_ID).expect("the folder is writable");
    proxy.signal("HUP");
    assert!(wait_until(Duration::from_secs(5), || vindexes(&proxy) == 1));
    assert_eq!(report(&proxy), "");
    // An unsharded keyspace on two shards is valid by itself but does not fit.
    fs::write(&file, r#"{ "sharded": false }"#).expect("the folder is writable");
    let refused = api(&proxy, "POST", "vschema/reload", &Value::Null, 422);
    assert_eq!(refused["error"]["code"], "unfit_vschema");
}

/// Goal: apply is compare-and-set, can be tried, is kept over a restart and undone by one command.
#[test]
fn versions_are_applied_kept_and_rolled_back() {
    let proxy = proxy("versions");
    let shown = api(&proxy, "GET", "vschema", &Value::Null, 200);
    assert_eq!((&shown["version"], &shown["active"]), (&json!(1), &json!(true)));
    let tried = api(&proxy, "PUT", "vschema?dry_run=1", &files(BY_ID_AND_K), 200);
    assert_eq!((&tried["changed"], &tried["version"]), (&json!(false), &json!(2)));
    assert_eq!(tried["differences"].as_array().map(Vec::len), Some(0), "{tried}");
    let tried = api(&proxy, "PUT", "vschema?dry_run=1", &files(MOVED), 409);
    assert_eq!(tried["error"]["code"], "moves_rows");
    let differences = tried["error"]["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 2, "{tried}");
    assert_eq!(
        (&differences[0]["class"], &differences[0]["change"], &differences[0]["tables"]),
        (&json!("placement"), &json!("primary_vindex"), &json!(["ks.swap"]))
    );
    let applied = api(&proxy, "PUT", "vschema", &files(BY_ID_AND_K), 200);
    assert_eq!((&applied["version"], vindexes(&proxy)), (&json!(2), 2));
    proxy.restart();
    assert_eq!(vindexes(&proxy), 2);
    let back = api(&proxy, "POST", "vschema/rollback", &Value::Null, 200);
    assert_eq!((&back["version"], vindexes(&proxy)), (&json!(3), 1));
    let history = api(&proxy, "GET", "vschema/history", &Value::Null, 200);
    let origins: Vec<&str> = history["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|version| version["origin"].as_str().expect("a text"))
        .collect();
    assert_eq!(origins[..2], ["rollback to 1", "API"]);
    api(&proxy, "POST", "vschema/rollback", &json!({"version": 77}), 404);
    for (body, code) in [(json!({"files": {}}), 400), (json!({"files": {"ks.json": "{"}}), 422)] {
        api(&proxy, "PUT", "vschema", &body, code);
    }
    assert_eq!(proxy.http("GET", "/api/v1/nothing", "").0, 404);
    assert_eq!(proxy.http("DELETE", "/api/v1/vschema", "").0, 405);
    assert_eq!(proxy.http("GET", "/healthz", "").0, 200);
    assert_eq!(proxy.http("GET", "/readyz", "").0, 200);
    let (status, metrics) = proxy.http("GET", "/metrics", "");
    assert!(status == 200 && metrics.contains("\ngeogate_vschema_version 3\n"), "{metrics}");
}

/// What the threads of a load have seen.
#[derive(Default)]
struct Load {
    /// No more statements.
    stop: AtomicBool,
    /// Statements that were answered rightly.
    right: AtomicU64,
}

/// Ends a load however the test ends: a failed test would wait for its threads otherwise.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Rows that one thread of a load has for itself.
const ROWS: u64 = 20;

/// The rows of four clients, written under [`BY_ID`].
fn load_rows(client: &mut Client, table: &str) {
    for id in 1..=4 * ROWS {
        let sql = format!("INSERT INTO {table} (id, k, v) VALUES ({id}, {id}, 'v0')");
        let answer = client.query(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        assert_eq!(answer.affected, 1, "{sql}");
    }
}

/// Checks every answer of one of four clients until told to stop.
fn checked_load(client: &mut Client, table: &str, number: u64, load: &Load) {
    let first = 1 + number * ROWS;
    let ids = first..first + ROWS;
    let mut round = 0_u64;
    while !load.stop.load(Ordering::Relaxed) {
        let id = first + round % ROWS;
        let (old, new) = (format!("v{}", round / ROWS), format!("v{}", round / ROWS + 1));
        let mut run = |sql: String| {
            let answer = client.query(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            load.right.fetch_add(1, Ordering::Relaxed);
            answer
        };
        let found = run(format!("SELECT id, v FROM {table} WHERE k = {id}"));
        assert_eq!(found.texts(), [[id.to_string(), old.clone()]], "by k");
        run("BEGIN".to_owned());
        let found = run(format!("SELECT v FROM {table} WHERE id = {id} FOR UPDATE"));
        assert_eq!(found.texts(), [[old]], "by id");
        let written = run(format!("UPDATE {table} SET v = '{new}' WHERE k = {id}"));
        assert_eq!(written.affected, 1, "update by k");
        let found = run(format!("SELECT v FROM {table} WHERE k = {id}"));
        assert_eq!(found.texts(), [[new.clone()]], "own write");
        run("COMMIT".to_owned());
        let found =
            run(format!("SELECT COUNT(*) FROM {table} WHERE k >= {first} AND k < {}", ids.end));
        assert_eq!(found.scalar(), ROWS.to_string(), "all rows");
        round += 1;
    }
}

/// Four clients, with rows of their own in `table`, check every answer while `change` runs. It gets
/// a function that waits until they have had so many right answers more. Gives how many there were.
pub(crate) fn under_load(proxy: &Proxy, table: &str, change: impl FnOnce(&dyn Fn(u64))) -> u64 {
    load_rows(&mut proxy.client("ks"), table);
    let load = Load::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let load = &load;
                scope.spawn(move || {
                    checked_load(&mut proxy.client("ks"), table, number, load);
                })
            })
            .collect();
        let has_failed = || clients.iter().any(|client| client.is_finished());
        let _stop = Stop(&load);
        change(&|statements| {
            let before = load.right.load(Ordering::Relaxed);
            let served = wait_until(Duration::from_secs(20), || {
                load.right.load(Ordering::Relaxed) >= before + statements || has_failed()
            });
            assert!(served && !has_failed());
        });
    });
    load.right.load(Ordering::Relaxed)
}

/// Goal: 200 swaps between two VSchemas that route differently, under load with every answer
/// checked: none fails, none is wrong. Method: four clients with rows of their own read by both
/// columns, write in transactions and count, while a fifth thread applies the VSchemas in turn.
#[test]
fn two_hundred_swaps_under_load() {
    let proxy = proxy("swaps");
    let right = under_load(&proxy, "swap", |work| {
        for round in 0..200 {
            let vschema = if round % 2 == 0 { BY_ID_AND_K } else { BY_ID };
            let applied = api(&proxy, "PUT", "vschema", &files(vschema), 200);
            assert_eq!(applied["version"], round + 2);
            // Every VSchema serves some statements.
            work(20);
        }
    });
    assert!(right > 4000);
}

/// Goal: the two VSchemas of these tests do route differently, and a plan never outlives its
/// VSchema: the same session gets another plan for the same text after each swap.
#[test]
fn the_two_vschemas_route_differently() {
    let proxy = proxy("routes");
    let mut client = proxy.client("ks");
    for (vschema, expected) in [
        (BY_ID, "Scatter"),
        (BY_ID_AND_K, "EqualUnique"),
        (BY_ID, "Scatter"),
        (BY_ID_AND_K, "EqualUnique"),
    ] {
        api(&proxy, "PUT", "vschema", &files(vschema), 200);
        client.query("SELECT v FROM swap WHERE k = 1000").expect("no row");
        let plan = client.query("VEXPLAIN PLAN SELECT v FROM swap WHERE k = 1000").expect("a plan");
        let plan = plan.texts().concat().join("\n");
        assert!(plan.contains(expected), "{plan}");
    }
}

/// Goal: whoever has a token reads files below the VSchema's folder and no others, however they
/// are named, and no pipe or device holds the API up.
#[test]
fn requests_read_only_files_below_the_folder() {
    let cluster = crate::single::SINGLE.watched();
    let proxy = cluster.another_proxy("paths", "[limits]\ncontrol_body_bytes_max = 5000\n");
    let folder = proxy.folder.join("vschema");
    fs::create_dir_all(folder.join("next")).expect("writable");
    let small = r#"{"sharded": false, "tables": {"t": {}}}"#;
    fs::write(folder.join("next/app.json"), small).expect("writable");
    fs::write(proxy.folder.join("app.json"), small).expect("writable");
    fs::write(folder.join("long.json"), " ".repeat(6_000)).expect("writable");
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name));
    link("../app.json", "out").expect("writable");
    link("/", "root").expect("writable");
    link("next", "inside").expect("writable");
    let pipe = Command::new("mkfifo").arg(folder.join("pipe")).status().expect("mkfifo");
    assert!(pipe.success());
    let ask = |body: Value| proxy.http("PUT", "/api/v1/vschema?dry_run=1", &body.to_string());
    let outside = folder.join("..").join("app.json");
    for (path, reason) in [
        ("out", "not below"),
        ("../app.json", "not below"),
        ("..", "not below"),
        ("root", "not below"),
        ("root/etc", "not below"),
        ("/dev/zero", "not below"),
        ("/proc/self/environ", "not below"),
        (outside.to_str().expect("plain"), "not below"),
        ("pipe", "no regular file"),
        ("long.json", "control_body_bytes_max"),
        ("none", "No such file"),
    ] {
        let (status, answer) = ask(json!({"path": path}));
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer.contains(reason), "{path}: {answer}");
    }
    for path in ["next", "inside", "next/app.json"] {
        let (status, answer) = ask(json!({"path": path}));
        assert_eq!(status, 200, "{path}: {answer}");
    }
    // Files that parameters of vindexes name are read here too.
    for map in ["/dev/zero", "pipe", "out", "../app.json"] {
        let vindex =
            json!({"type": "region_json", "params": {"region_map": map, "region_bytes": "1"}});
        let files =
            json!({"app.json": json!({"sharded": true, "vindexes": {"v": vindex}}).to_string()});
        let (status, answer) = ask(json!({"files": files}));
        assert_eq!(status, 422, "{map}: {answer}");
        assert!(answer.contains("not below") || answer.contains("no regular"), "{map}: {answer}");
    }
}
