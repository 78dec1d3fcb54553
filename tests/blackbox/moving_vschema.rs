//! A VSchema that looks for rows elsewhere than they are: refused by every way in, and shown.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::canary::geogate;
use crate::cluster::{Cluster, Layout};
use crate::hot_swap::api;
use crate::proxy::Proxy;
use crate::server::wait_until;

/// A sharded and an unsharded keyspace, with rows in `ks.t` and `ks.r`.
static SERVERS: LazyLock<Cluster> = LazyLock::new(|| {
    let layout = Layout::new("moves", &["us-east"])
        .keyspace("ks", KS)
        .shard("-80", "us-east", &[])
        .shard("80-", "us-east", &[])
        .keyspace("main", MAIN)
        .shard("-", "us-east", &[]);
    let cluster = Cluster::start(layout);
    let create = [
        "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v BIGINT NOT NULL)".to_owned(),
        "CREATE TABLE r (region BIGINT NOT NULL, id BIGINT NOT NULL, v BIGINT NOT NULL, \
         PRIMARY KEY (region, id))"
            .to_owned(),
        "CREATE TABLE c (id BIGINT NOT NULL, country VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, \
         v BIGINT NOT NULL, PRIMARY KEY (id, country))"
            .to_owned(),
    ];
    cluster.on_primaries("ks", &create);
    cluster.on_primaries("main", &create[..1]);
    let mut client = cluster.proxy().client("ks");
    for id in ROWS {
        for sql in [
            format!("INSERT INTO t (id, v) VALUES ({id}, {id})"),
            format!("INSERT INTO r (region, id, v) VALUES ({}, {id}, {id})", region(id)),
        ] {
            client.query(sql).expect("a row");
        }
    }
    cluster
});

const ROWS: std::ops::Range<u64> = 1..9;

/// Rows of `r` are on both shards, and would be on others by their ids.
fn region(id: u64) -> u64 {
    if id.is_multiple_of(2) { 1 } else { 200 }
}

const KS: &str = r#"{
  "sharded": true,
  "vindexes": {
    "hash": { "type": "hash" },
    "home": { "type": "region_experimental", "params": { "region_bytes": "1" } }
  },
  "tables": {
    "t": { "column_vindexes": [{ "column": "id", "name": "hash" }],
      "columns": [{ "name": "id", "type": "INT64" }] },
    "r": { "column_vindexes": [{ "columns": ["region", "id"], "name": "home" }] }
  }
}"#;
const MAIN: &str = r#"{ "tables": { "t": {} } }"#;

/// Files of a VSchema folder.
type Files = Vec<(&'static str, String)>;

fn base() -> Files {
    vec![("ks.json", KS.to_owned()), ("main.json", MAIN.to_owned())]
}

/// [`base`] with one piece of `ks.json` replaced.
fn changed(from: &str, to: &str) -> Files {
    let text = KS.replacen(from, to, 1);
    assert_ne!(text, KS, "{from}");
    vec![("ks.json", text), ("main.json", MAIN.to_owned())]
}

/// Kinds of changes that move rows, each with a table whose rows they move.
fn moves() -> Vec<(&'static str, Files)> {
    let rules = r#"{ "routing_rules": { "rules": [
        { "from_table": "ks.t", "to_tables": ["main.t"] } ] } }"#;
    let ruled = base().into_iter().chain([("rules.json", rules.to_owned())]).collect();
    let r = r#"{ "column_vindexes": [{ "columns": ["region", "id"], "name": "home" }] }"#;
    let mut elsewhere = changed(&format!(",\n    \"r\": {r}"), "");
    elsewhere[1].1 = MAIN.replace("{} }", "{}, \"r\": {} }");
    vec![
        ("ks.r", changed(r#"["region", "id"]"#, r#"["id", "region"]"#)),
        ("ks.t", changed(r#""type": "hash""#, r#""type": "reverse_bits""#)),
        ("ks.r", changed(r#""region_bytes": "1""#, r#""region_bytes": "2""#)),
        ("ks.t", changed(r#""type": "INT64""#, r#""type": "INT8""#)),
        ("ks.t", ruled),
        ("ks.r", elsewhere),
    ]
}

/// Replaces the files in the watched folder, or in another one.
fn save(folder: &std::path::Path, files: &Files) {
    fs::create_dir_all(folder).expect("the folder is writable");
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("the folder is writable");
    }
    if files.iter().all(|(name, _)| *name != "rules.json") {
        let _ = fs::remove_file(folder.join("rules.json"));
    }
}

fn body(files: &Files) -> Value {
    let files: serde_json::Map<String, Value> =
        files.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    json!({ "files": files })
}

fn draft(proxy: &Proxy) -> Value {
    api(proxy, "GET", "vschema", &Value::Null, 200)["draft"].clone()
}

fn version(proxy: &Proxy) -> Value {
    api(proxy, "GET", "vschema", &Value::Null, 200)["version"].clone()
}

/// Every row is found by its key alone, by plans that are made now.
fn all_rows_are_found(proxy: &Proxy, when: &str) {
    let mut client = proxy.client("ks");
    for id in ROWS {
        for sql in [
            format!("SELECT v FROM t WHERE id = {id}"),
            format!("SELECT v FROM r WHERE region = {} AND id = {id}", region(id)),
        ] {
            assert_eq!(client.query(&sql).expect("rows").scalar(), id.to_string(), "{when}: {sql}");
        }
    }
}

fn metric(proxy: &Proxy, line: &str) -> bool {
    let (status, metrics) = proxy.http("GET", "/metrics", "");
    status == 200 && metrics.lines().any(|own| own == line)
}

/// Goal: two vindex columns swapped, saved in the watched folder and applied: nothing of it serves,
/// everybody sees why, and the way on that the refusal names is one.
#[test]
fn swapped_columns_stay_a_draft() {
    let proxy = SERVERS.another_proxy("story", "");
    all_rows_are_found(&proxy, "at first");
    let swapped = changed(r#"["region", "id"]"#, r#"["id", "region"]"#);
    let watched = proxy.folder.join("vschema");
    save(&watched, &swapped);
    assert!(wait_until(Duration::from_secs(5), || draft(&proxy)["reason"] == "moves_rows"));
    all_rows_are_found(&proxy, "after the file was saved");
    let folder = watched.to_str().expect("UTF-8");
    let (code, out, error) = geogate(&proxy, &["vschema", "apply", folder]);
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    for part in [
        "error: the VSchema would move rows of ks.r and was refused\n",
        "error: table ks.r: its primary vindex is region_experimental(region, id) with \
         region_bytes=1 in the active VSchema, region_experimental(id, region) with \
         region_bytes=1 in the new one\n   = note: rows that are there would not be found",
        "\n1 difference; what serves goes on serving\n   = help: leave these tables as they are",
        "\n   = help: no rows are moved while a proxy serves; after they were moved by hand",
    ] {
        assert!(error.contains(part), "{part}\n---\n{error}");
    }
    all_rows_are_found(&proxy, "after apply");
    let mut client = proxy.client("ks");
    client.query("INSERT INTO r (region, id, v) VALUES (1, 99, 99)").expect("a row");
    let found = client.query("SELECT v FROM r WHERE region = 1 AND id = 99").expect("rows");
    assert_eq!(found.scalar(), "99");
    client.query("DELETE FROM r WHERE region = 1 AND id = 99").expect("ok");
    client.query("ALTER VSCHEMA DROP TABLE ks.r").expect_err("there is no such statement");
    // Everybody who asks sees the draft.
    let (status, ready) = proxy.http("GET", "/readyz", "");
    assert!(status == 200 && ready.contains(r#""vschema_draft":"moves_rows""#), "{ready}");
    assert!(metric(&proxy, "geogate_vschema_draft 1"));
    assert!(metric(&proxy, r#"geogate_vschema_reloads_total{result="refused"} 2"#));
    let history = client.query("SHOW VSCHEMA HISTORY").expect("rows").rows;
    assert_eq!((history.len(), history[0][1].as_deref()), (2, Some(&b"draft"[..])));
    let (_, shown, _) = geogate(&proxy, &["vschema", "show"]);
    assert!(shown.contains("a draft, which does not serve (moves_rows)"), "{shown}");
    let (_, listed, _) = geogate(&proxy, &["vschema", "history"]);
    assert!(listed.contains("draft") && listed.contains(": moves_rows"), "{listed}");
    let told = |proxy: &Proxy| {
        let log = fs::read_to_string(proxy.folder.join("proxy.log")).expect("a log");
        log.matches("the VSchema files do not serve").count()
    };
    assert_eq!(told(&proxy), 1, "once, not at every look");
    proxy.restart();
    assert_eq!(draft(&proxy)["reason"], "moves_rows");
    all_rows_are_found(&proxy, "after a restart");
    // The way on: as if the rows had been moved by hand meanwhile.
    proxy.stop();
    let state = proxy.folder.join("state");
    for entry in fs::read_dir(&state).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name == "state.json" || name.starts_with("vschema-") {
            fs::remove_file(path).expect("the folder is writable");
        }
    }
    proxy.start_again();
    assert_eq!((version(&proxy), draft(&proxy)), (json!(1), Value::Null));
    assert!(metric(&proxy, "geogate_vschema_draft 0"));
    let mut client = proxy.client("ks");
    let vindexes = client.query("SHOW VSCHEMA VINDEXES ON r").expect("rows").texts();
    assert_eq!(vindexes[0][0], "id, region");
}

/// A way to put files in service. What it answers must be a refusal.
type WayIn = fn(&Proxy, &Files);

/// The refusal of an API request.
fn refused(proxy: &Proxy, method: &str, path: &str, body: &Value, code: &str) {
    let answer = api(proxy, method, path, body, 409);
    assert_eq!(answer["error"]["code"], code, "{answer}");
}

fn command(proxy: &Proxy, files: &Files, more: &[&str]) {
    let folder = proxy.folder.join("new");
    save(&folder, files);
    let path = folder.to_str().expect("UTF-8");
    let (code, out, error) = geogate(proxy, &[&["vschema", "apply", path], more].concat());
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    assert!(error.starts_with("error: the VSchema would move rows of "), "{error}");
}

const WAYS: &[(&str, WayIn)] = &[
    ("apply", |proxy, files| command(proxy, files, &[])),
    ("dry run", |proxy, files| command(proxy, files, &["--dry-run"])),
    ("PUT", |proxy, files| refused(proxy, "PUT", "vschema", &body(files), "moves_rows")),
    ("canary", |proxy, files| {
        let mut candidate = body(files);
        candidate["percent"] = json!(100);
        refused(proxy, "POST", "canary", &candidate, "candidate_differs");
    }),
    ("a saved file", |proxy, files| {
        save(&proxy.folder.join("vschema"), files);
        assert!(wait_until(Duration::from_secs(5), || draft(proxy)["reason"] == "moves_rows"));
    }),
    ("reload", |proxy, files| {
        save(&proxy.folder.join("vschema"), files);
        refused(proxy, "POST", "vschema/reload", &Value::Null, "moves_rows");
    }),
    ("a signal", |proxy, files| {
        save(&proxy.folder.join("vschema"), files);
        proxy.signal("HUP");
        assert!(wait_until(Duration::from_secs(5), || draft(proxy)["reason"] == "moves_rows"));
    }),
    ("a restart", |proxy, files| {
        save(&proxy.folder.join("vschema"), files);
        proxy.restart();
        assert_eq!(draft(proxy)["reason"], "moves_rows");
    }),
    ("rollback", |proxy, files| {
        // Only a state folder of an earlier Geogate has a version that moves rows.
        let harmless = KS.replacen('{', r#"{ "foreign_key_mode": "disallow","#, 1);
        let harmless = vec![("ks.json", harmless), ("main.json", MAIN.to_owned())];
        let earlier = api(proxy, "PUT", "vschema", &body(&harmless), 200)["version"].clone();
        api(proxy, "PUT", "vschema", &body(&base()), 200);
        proxy.stop();
        let number = earlier.as_u64().expect("a number");
        let document = proxy.folder.join(format!("state/vschema-{number:08}.json"));
        let text = fs::read_to_string(&document).expect("a document");
        let mut kept: Value = serde_json::from_str(&text).expect("JSON");
        let files = files.iter().map(|(name, text)| json!({"name": name, "text": text}));
        kept["files"] = files.collect();
        fs::write(&document, kept.to_string()).expect("the folder is writable");
        proxy.start_again();
        let to = json!({ "version": earlier });
        refused(proxy, "POST", "vschema/rollback", &to, "moves_rows");
    }),
];

/// Goal: kind of change × way in: what is served does not change, and every row is found.
#[test]
fn no_way_in_activates_a_vschema_that_moves_rows() {
    let proxy = SERVERS.another_proxy("matrix", "");
    for (table, files) in moves() {
        for (way, act) in WAYS {
            let before = version(&proxy);
            act(&proxy, &files);
            let case = format!("{table} by {way}: {files:?}");
            if *way != "rollback" {
                assert_eq!(version(&proxy), before, "{case}");
            }
            all_rows_are_found(&proxy, &case);
            save(&proxy.folder.join("vschema"), &base());
            let gone = wait_until(Duration::from_secs(5), || draft(&proxy).is_null());
            assert!(gone, "{case}: {}", draft(&proxy));
        }
    }
}

/// Goal: a table that one shard still has keeps its home, whichever shard that is.
#[test]
fn a_table_that_one_shard_still_has_is_not_lacking() {
    let proxy = SERVERS.another_proxy("one-shard", "");
    let create = "CREATE TABLE u (id BIGINT NOT NULL PRIMARY KEY)".to_owned();
    let listed = |function: &str| {
        let u = format!(
            r#""u": {{ "column_vindexes": [{{ "column": "id", "name": "{function}" }}] }}, "t": {{"#
        );
        let other = r#""other": { "type": "reverse_bits" }, "hash": {"#;
        let text = KS.replacen(r#""t": {"#, &u, 1).replacen(r#""hash": {"#, other, 1);
        body(&vec![("ks.json", text), ("main.json", MAIN.to_owned())])
    };
    for range in ["-80", "80-"] {
        SERVERS.on_primaries("ks", &["DROP TABLE IF EXISTS u".to_owned(), create.clone()]);
        api(&proxy, "PUT", "vschema", &listed("hash"), 200);
        api(&proxy, "PUT", "vschema", &body(&base()), 200);
        let mut one = proxy.client(&format!("ks:{range}"));
        one.query("DROP TABLE u").expect("it is dropped");
        refused(&proxy, "PUT", "vschema", &listed("other"), "moves_rows");
        let other = if range == "-80" { "80-" } else { "-80" };
        proxy.client(&format!("ks:{other}")).query("DROP TABLE u").expect("it is dropped");
        api(&proxy, "PUT", "vschema", &listed("other"), 200);
        api(&proxy, "PUT", "vschema", &body(&base()), 200);
    }
}

/// Goal: the map that a parameter names is a part of the VSchema: `apply` sends it, another content
/// is refused, and a restart goes on with what it said when it went live.
#[test]
fn a_map_in_a_file_is_kept_with_its_version() {
    let proxy = SERVERS.another_proxy("maps", "");
    let folder = proxy.folder.join("new");
    let by_country = r#""home":"#;
    let with_vindex = KS.replacen(
        by_country,
        r#""by_country": { "type": "region_json",
            "params": { "region_map": "regions.map", "region_bytes": "1" } }, "home":"#,
        1,
    );
    let with_table = with_vindex.replacen(
        r#""t": {"#,
        r#""c": { "column_vindexes": [{ "columns": ["id", "country"], "name": "by_country" }] },
           "t": {"#,
        1,
    );
    save(&folder, &vec![("ks.json", with_table), ("main.json", MAIN.to_owned())]);
    let map = |folder: &std::path::Path, text: &str| {
        fs::write(folder.join("regions.map"), text).expect("the folder is writable");
    };
    map(&folder, r#"{ "DE": 1, "US": 200 }"#);
    let apply = || geogate(&proxy, &["vschema", "apply", folder.to_str().expect("UTF-8")]);
    let (code, out, error) = apply();
    assert!(code == 0 && out.contains("version 2 is active"), "{out}{error}");
    let mut client = proxy.client("ks");
    for (id, country) in [(1, "DE"), (2, "US")] {
        let sql = format!("INSERT INTO c (id, country, v) VALUES ({id}, '{country}', {id})");
        client.query(sql).expect("a row");
    }
    let found = |when: &str| {
        let mut client = proxy.client("ks");
        for (id, country) in [(1, "DE"), (2, "US")] {
            let sql = format!("SELECT v FROM c WHERE id = {id} AND country = '{country}'");
            assert_eq!(client.query(&sql).expect("a row").scalar(), id.to_string(), "{when}");
        }
    };
    found("at first");
    map(&folder, r#"{ "DE": 200, "US": 1 }"#);
    let (code, _, error) = apply();
    assert!(code == 1 && error.contains("the parameters of its primary vindex"), "{error}");
    map(&proxy.folder.join("vschema"), r#"{ "DE": 200, "US": 1 }"#);
    proxy.restart();
    found("after a restart");
}

/// Goal: a file that is edited while a canary runs does not go live when it ends, nor one that was
/// edited from an older version than a promoted one; an operator may take either.
#[test]
fn files_that_others_overtook_wait_for_an_operator() {
    let proxy = SERVERS.another_proxy("overtaken", "");
    let watched = proxy.folder.join("vschema");
    let with_rule = |name: &str| {
        let rules = format!(
            r#"{{ "routing_rules": {{ "rules": [
            {{ "from_table": "{name}", "to_tables": ["ks.t"] }} ] }} }}"#
        );
        base().into_iter().chain([("rules.json", rules)]).collect::<Files>()
    };
    let knows = |name: &str| {
        let mut client = proxy.client("ks");
        client.query(format!("SELECT v FROM {name} WHERE id = 1")).is_ok()
    };
    let reason =
        |expected: &str| wait_until(Duration::from_secs(5), || draft(&proxy)["reason"] == expected);
    let mut candidate = body(&with_rule("one"));
    candidate["percent"] = json!(0);
    for end in ["canary", "canary/promote"] {
        api(&proxy, "POST", "canary", &candidate, 201);
        save(&watched, &with_rule("two"));
        assert!(reason("edited_during_canary"), "{}", draft(&proxy));
        let method = if end == "canary" { "DELETE" } else { "POST" };
        api(&proxy, method, end, &Value::Null, 200);
        let waits =
            || draft(&proxy)["report"].as_str().is_some_and(|r| r.contains("by themselves"));
        assert!(wait_until(Duration::from_secs(5), waits), "{}", draft(&proxy));
        proxy.restart();
        assert!(!knows("two") && draft(&proxy)["reason"] == "edited_during_canary");
        save(&watched, &base());
        if end == "canary" {
            assert!(wait_until(Duration::from_secs(5), || draft(&proxy).is_null()));
        }
    }
    // The promoted version is not what the files were edited from.
    assert!(knows("one"));
    save(&watched, &with_rule("three"));
    assert!(reason("older"), "{}", draft(&proxy));
    assert!(knows("one") && !knows("three"));
    api(&proxy, "POST", "vschema/reload", &Value::Null, 200);
    assert!(knows("three") && draft(&proxy).is_null());
    // From here on the files are what is active.
    save(&watched, &with_rule("four"));
    assert!(wait_until(Duration::from_secs(5), || knows("four")));
}
