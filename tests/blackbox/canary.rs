//! A candidate VSchema for a share of the sessions: what is refused, who gets it, under load.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Client, Login};
use crate::hot_swap::{BY_ID, BY_ID_AND_K, MOVED, api, files, proxy, under_load, vindexes};
use crate::proxy::Proxy;

fn candidate(vschema: &str, percent: &Value) -> Value {
    let mut body = files(vschema);
    body["percent"] = percent.clone();
    body
}

/// Goal: a candidate that would scatter writes is refused with all differences, and so is
/// everything that makes no sense, by name.
#[test]
fn candidates_that_move_rows_are_refused() {
    let proxy = proxy("refused");
    let refused = api(&proxy, "POST", "canary", &candidate(MOVED, &json!(10)), 409);
    assert_eq!(refused["error"]["code"], "candidate_differs");
    let differences = refused["error"]["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 2, "{refused}");
    let what = differences[0]["what"].as_str().expect("a text");
    assert!(what.contains("hash(id)") && what.contains("xxhash(id)"), "{what}");
    let same = api(&proxy, "POST", "canary", &candidate(BY_ID, &json!(10)), 409);
    assert_eq!(same["error"]["code"], "nothing_to_try");
    for percent in [json!(101), json!(-1), json!(0.001), json!("many"), Value::Null] {
        api(&proxy, "POST", "canary", &candidate(BY_ID_AND_K, &percent), 400);
    }
    api(&proxy, "POST", "canary", &json!({"percent": 5}), 400);
    let mut steps = candidate(BY_ID_AND_K, &json!(1));
    steps["steps"] = json!([1, 5]);
    api(&proxy, "POST", "canary", &steps, 400);
    for (method, body) in [("PATCH", json!({"percent": 5})), ("DELETE", Value::Null)] {
        let refused = api(&proxy, method, "canary", &body, 404);
        assert_eq!(refused["error"]["code"], "no_canary");
    }
}

/// How many of these sessions see the candidate.
fn on_candidate(clients: &mut [Client]) -> usize {
    let mut on = |client: &mut Client| {
        client.query("SHOW VSCHEMA VINDEXES ON trial").expect("rows").rows.len() == 2
    };
    clients.iter_mut().map(&mut on).filter(|on| *on).count()
}

/// Goal: the share of sessions follows the weight one way, sessions choose a side by variable, a
/// transaction keeps its side, and the canary survives a restart.
#[test]
fn a_share_of_the_sessions_gets_the_candidate() {
    let proxy = proxy("share");
    let mut clients: Vec<Client> = (0..60).map(|_| proxy.client("ks")).collect();
    assert_eq!(on_candidate(&mut clients), 0);
    api(&proxy, "POST", "canary", &candidate(BY_ID_AND_K, &json!(0)), 201);
    assert_eq!(on_candidate(&mut clients), 0);
    let mut last = 0;
    for percent in [json!(0.01), json!(25), json!(50.5), json!(75), json!(100)] {
        api(&proxy, "PATCH", "canary", &json!({"percent": percent}), 200);
        let now = on_candidate(&mut clients);
        assert!(now >= last, "{percent}: {now} after {last}");
        assert_eq!(now, on_candidate(&mut clients), "sessions keep their side");
        last = now;
    }
    assert_eq!(last, clients.len());
    api(&proxy, "PATCH", "canary", &json!({"percent": 50}), 200);
    let half = on_candidate(&mut clients);
    assert!((10..=50).contains(&half), "{half} of 60");
    let one = &mut clients[..1];
    for (preference, expected) in [("'stable'", 0), ("candidate", 1)] {
        one[0].query(format!("SET vschema_generation = {preference}")).expect("ok");
        assert_eq!(on_candidate(one), expected);
    }
    let error = one[0].query("SET vschema_generation = 'newest'").expect_err("no such side");
    assert_eq!(error.errno(), 1235);
    proxy.restart();
    let status = api(&proxy, "GET", "canary", &Value::Null, 200);
    assert_eq!(status["canary"]["weight_basis_points"], 5000);
    let mut client = proxy.client("ks");
    client.query("SET SESSION vschema_generation = 'candidate'").expect("ok");
    client.query("BEGIN").expect("ok");
    assert_eq!(on_candidate(std::slice::from_mut(&mut client)), 1);
    api(&proxy, "DELETE", "canary", &Value::Null, 200);
    assert_eq!(on_candidate(std::slice::from_mut(&mut client)), 1, "the transaction goes on");
    client.query("COMMIT").expect("ok");
    let error = client.query("SHOW VSCHEMA KEYSPACES").expect_err("no candidate any more");
    assert_eq!(error.errno(), 1105);
}

/// Goal: operators see and set the canary with SQL, others only see it.
#[test]
fn operators_use_sql() {
    let proxy = proxy("sql");
    let login = Login { user: "op".into(), password: "op".into(), ..Login::test("ks") };
    let mut operator = Client::connect(proxy.socket_address(), &login).expect("a login");
    let error = operator.query("SET CANARY PERCENT = 5").expect_err("there is none");
    assert!(error.to_string().contains("no canary is running"), "{error}");
    api(&proxy, "POST", "canary", &candidate(BY_ID_AND_K, &json!("1")), 201);
    operator.query("SET CANARY PERCENT = 12.5").expect("ok");
    let shown = operator.query("SHOW CANARY").expect("rows").texts();
    let row = |row: &[String]| (row[0].clone(), row[1].clone(), row[2].clone());
    assert_eq!(row(&shown[1]), ("candidate".into(), "2".into(), "12.5".into()));
    let error = operator.query("SET CANARY PERCENT = 200").expect_err("too much");
    assert_eq!(error.errno(), 1231);
    let mut client = proxy.client("ks");
    let error = client.query("SET CANARY PERCENT = 5").expect_err("not an operator");
    assert_eq!(error.errno(), 1227);
    assert_eq!(client.query("SHOW CANARY").expect("rows").rows.len(), 2);
    assert_eq!(client.query("SHOW VSCHEMA TABLES").expect("rows").texts(), [["swap"], ["trial"]]);
    let history = client.query("SHOW VSCHEMA HISTORY").expect("rows").texts();
    assert_eq!((history[0][4].as_str(), history[1][1].as_str()), ("canary", "active"));
}

/// Goal: weight changes, promotion and rollback under load: no answer fails, none is wrong.
#[test]
fn weights_change_under_load() {
    let proxy = proxy("weights");
    under_load(&proxy, "trial", |work| {
        for round in 0..10 {
            let start = candidate(if round % 2 == 0 { BY_ID_AND_K } else { BY_ID }, &json!(1));
            api(&proxy, "POST", "canary", &start, 201);
            for percent in [5, 25, 50, 90, 10, 75, 0, 100] {
                api(&proxy, "PATCH", "canary", &json!({"percent": percent}), 200);
                work(20);
            }
            api(&proxy, "POST", "canary/promote", &Value::Null, 200);
            work(20);
        }
    });
}

/// Runs the command line against a proxy: exit code and both outputs.
pub(crate) fn geogate(proxy: &Proxy, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_geogate"))
        .args(arguments)
        .env("GEOGATE_SERVER", format!("http://127.0.0.1:{}", proxy.control_port))
        .env("GEOGATE_TOKEN", "admin")
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Goal: the whole life of a canary and of a VSchema from the command line.
#[test]
fn the_command_line_does_all_of_it() {
    let proxy = proxy("command-line");
    let folder = |name: &str, vschema: &str| {
        let path = proxy.folder.join(name);
        std::fs::create_dir_all(&path).expect("the folder is writable");
        std::fs::write(path.join("ks.json"), vschema).expect("the folder is writable");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (better, moved) = (folder("better", BY_ID_AND_K), folder("moved", MOVED));
    let ok = |arguments: &[&str], expected: &str| {
        let (code, out, error) = geogate(&proxy, arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        assert!(out.contains(expected), "{arguments:?}: {out}");
    };
    ok(&["canary", "status"], "no canary is running; version 1 serves everyone");
    let (code, _, error) = geogate(&proxy, &["canary", "start", &moved]);
    assert_eq!(code, 1);
    assert!(error.contains("error: table ks.swap: its primary vindex is hash(id)"), "{error}");
    assert!(error.contains("2 differences"), "{error}");
    ok(
        &["canary", "start", &better, "--percent", "0.25"],
        "canary started: version 2 serves 0.25 % of the sessions, version 1 the others",
    );
    ok(&["canary", "status"], "version 2 serves 0.25 % of the sessions");
    ok(&["canary", "set", "100"], "version 2 serves 100 % of the sessions");
    ok(&["canary", "promote"], "canary promoted: version 2 serves everyone");
    assert_eq!(vindexes(&proxy), 2);
    ok(&["vschema", "rollback"], "version 3 is active; before it was version 2");
    ok(&["vschema", "apply", &better, "--dry-run"], "version 4 would replace version 3");
    let (code, _, error) = geogate(&proxy, &["vschema", "apply", &better, "--if-version", "1"]);
    assert_eq!((code, error.contains("version 3 is active, not 1")), (1, true), "{error}");
    ok(&["vschema", "apply", &better, "--if-version", "3"], "version 4 is active");
    ok(&["vschema", "history"], "rollback to 1");
    ok(&["vschema", "show", "4"], "hash_of_k");
    ok(&["canary", "start", &folder("plain", BY_ID)], "serves 1 % of the sessions");
    ok(&["canary", "abort"], "canary aborted: version 4 serves everyone");
    let (code, _, error) = geogate(&proxy, &["canary", "abort", "--token", "wrong"]);
    assert_eq!((code, error.contains("unknown token")), (1, true), "{error}");
    let refused = |arguments: &[&str], expected: &str| {
        let (code, _, error) = geogate(&proxy, arguments);
        assert!(code == 1 && error.contains(expected), "{arguments:?}: {error}");
    };
    refused(
        &["canary", "set", "5", "--token", "see"],
        "needs a token of role operator, not viewer",
    );
    refused(
        &["vschema", "rollback", "--token", "run"],
        "needs a token of role admin, not operator",
    );
    ok(&["vschema", "history", "--token", "see"], "active");
    let log = proxy.log_tail();
    assert!(log.contains("audit") && log.contains("abort the canary: done"), "{log}");
    let (code, ..) = geogate(&proxy, &["canary", "status", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code, 2);
    let (code, ..) = geogate(&proxy, &["canary", "set", "101"]);
    assert_eq!(code, 2);
}
