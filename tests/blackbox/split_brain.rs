//! Primaries that come back: which server is believed over failovers, restarts of the proxy, and
//! servers that are replaced; what operators see of it and can do.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Client, Error, Login};
use crate::cluster::{Cluster, Layout};
use crate::server::{Server, wait_until};

/// What the monitor does within this time is seen by all.
pub(crate) const SEEN: Duration = Duration::from_secs(10);

const QUICK: &str = "monitor_interval_ms = 100\nmonitor_timeout_ms = 500";

/// A shard with a primary in us-east and replicas in eu-west and ap-south, table `t` with one row.
pub(crate) fn cluster(name: &str, proxy: &str, limits: &str) -> Cluster {
    let layout = Layout::new(name, &["us-east", "eu-west", "ap-south"])
        .keyspace("app", r#"{"tables": {"t": {}}}"#)
        .shard("-", "us-east", &["eu-west", "ap-south"])
        .proxy(proxy)
        .config(&format!("[limits]\n{QUICK}\n{limits}"));
    let cluster = Cluster::start(layout);
    cluster.on_primaries(
        "app",
        &["CREATE TABLE t (id INT PRIMARY KEY)".into(), "INSERT INTO t VALUES (1)".into()],
    );
    caught_up(&cluster);
    cluster
}

fn caught_up(cluster: &Cluster) {
    for replica in &cluster.shards[0].replicas {
        replica.wait_for(&cluster.shards[0].primary);
    }
}

/// The answer of the API about one server.
pub(crate) fn server(cluster: &Cluster, server: &Server) -> serde_json::Value {
    let (status, body) = cluster.proxy().http("GET", "/api/v1/servers", "");
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let list = body["servers"].as_array().expect("a list").clone();
    let found = list.into_iter().find(|one| one["address"] == server.address().as_str());
    found.expect("it is configured")["service"][0].clone()
}

pub(crate) fn standing(cluster: &Cluster, of: &Server) -> String {
    server(cluster, of)["standing"].as_str().expect("a word").to_owned()
}

pub(crate) fn wait_for_standing(cluster: &Cluster, of: &Server, wanted: &str) {
    let seen = wait_until(SEEN, || standing(cluster, of) == wanted);
    assert!(seen, "{wanted}: {}", server(cluster, of));
}

fn ready(cluster: &Cluster) -> (u16, String) {
    cluster.proxy().http("GET", "/readyz", "")
}

fn metric(cluster: &Cluster, line: &str) -> bool {
    cluster.proxy().http("GET", "/metrics", "").1.lines().any(|known| known == line)
}

fn count(client: &mut Client) -> Result<String, Error> {
    client.query("SELECT COUNT(*) FROM t").map(|answer| answer.scalar())
}

fn ids(server: &Server) -> Vec<i64> {
    let rows = server.sql("SELECT id FROM app.t ORDER BY id").texts();
    rows.iter().map(|row| row[0].parse().expect("a number")).collect()
}

/// Goal: a primary is paused for a while, and meanwhile a replica is promoted: what waited for it
/// is told as unknown, and every row that was acknowledged is on the new primary.
#[test]
fn a_paused_primary_comes_back() {
    let cluster = cluster("paused", "", "");
    let cluster = cluster.watched();
    let (old, new) = (&cluster.shards[0].primary, &cluster.shards[0].replicas[0]);
    let mut first = cluster.proxy().client("app");
    assert_eq!(count(&mut first).expect("a read"), "1");
    let (stop, hold) = (AtomicBool::new(false), AtomicBool::new(false));
    let held = AtomicBool::new(false);
    let (acknowledged, unknown) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = cluster.proxy().client("app");
            let (mut acknowledged, mut unknown) = (vec![1], Vec::new());
            for id in 10.. {
                held.store(hold.load(Ordering::Acquire), Ordering::Release);
                while hold.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
                match client.query(format!("INSERT INTO t VALUES ({id})")) {
                    Ok(_) => acknowledged.push(id),
                    Err(error) if error.to_string().contains("GG15006") => unknown.push(id),
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            (acknowledged, unknown)
        });
        thread::sleep(Duration::from_millis(500));
        // The replicas have everything: replication that lags is another story.
        hold.store(true, Ordering::Release);
        assert!(wait_until(SEEN, || held.load(Ordering::Acquire)));
        caught_up(&cluster);
        old.pause();
        hold.store(false, Ordering::Release);
        thread::sleep(Duration::from_secs(3));
        new.promote();
        thread::sleep(Duration::from_secs(4));
        old.resume();
        // It answers what it was sent before.
        thread::sleep(Duration::from_millis(500));
        old.sql("SET GLOBAL read_only = ON");
        let mut writer_again = cluster.proxy().client("app");
        assert!(wait_until(SEEN, || writer_again.query("INSERT INTO t VALUES (2)").is_ok()));
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer ends")
    });
    let present = ids(new);
    let lost: Vec<&i64> = acknowledged.iter().filter(|id| !present.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}; unknown: {unknown:?}");
    assert_eq!(unknown.len(), 1, "the one that waited: {unknown:?}");
    assert!(acknowledged.len() > 3, "{}", acknowledged.len());
    assert_eq!(
        (standing(&cluster, new), standing(&cluster, old)),
        ("in_service".into(), "former".into())
    );
}

/// Goal: after a failover the old primary returns writable, and the proxy is restarted: the new
/// primary stays in service with all its rows, nothing is written while both are writable, and
/// everybody is told.
#[test]
fn a_restart_remembers_the_failover() {
    let cluster = cluster("restart", "", "");
    let cluster = cluster.watched();
    let (old, new) = (&cluster.shards[0].primary, &cluster.shards[0].replicas[0]);
    let mut writer = cluster.proxy().client("app");
    for id in 2..=52 {
        writer.query(format!("INSERT INTO t VALUES ({id})")).expect("a write");
    }
    caught_up(&cluster);
    old.kill();
    new.promote();
    assert!(wait_until(SEEN, || writer.query("INSERT INTO t VALUES (53)").is_ok()));
    for first in (54..2202).step_by(100) {
        let rows = (first..(first + 100).min(2202)).map(|id| format!("({id})"));
        let rows = rows.collect::<Vec<_>>().join(",");
        writer.query(format!("INSERT INTO t VALUES {rows}")).expect("a write");
    }
    old.restart();
    cluster.proxy().restart();
    for _ in 0..10 {
        let mut client = cluster.proxy().client("app");
        assert_eq!(count(&mut client).expect("reads go on"), "2201", "after a restart");
        thread::sleep(Duration::from_millis(100));
    }
    for round in 0..2 {
        let mut client = cluster.proxy().client("app");
        assert_eq!(count(&mut client).expect("reads go on"), "2201", "round {round}");
        let split = wait_until(SEEN, || ready(&cluster).1.contains("split brain"));
        assert!(split, "round {round}: {}", ready(&cluster).1);
        assert_eq!(standing(&cluster, old), "former");
        assert_eq!(count(&mut client).expect("reads go on"), "2201", "round {round}");
        let error = client.query("INSERT INTO t VALUES (3000)").expect_err("two are writable");
        assert!(error.to_string().contains("GG14012"), "{error}");
        // A replica's place is not for it either.
        client.query("SET read_consistency = 'local', client_region = 'us-east'").expect("ok");
        let error = count(&mut client).expect_err("nobody else is there");
        assert!(error.to_string().contains("older epoch"), "{error}");
        assert!(!error.to_string().contains(&old.address()), "{error}");
        let (status, body) = ready(&cluster);
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("split brain in shard app:-"), "{body}");
        assert!(metric(&cluster, "geogate_split_brain{keyspace=\"app\",shard=\"-\"} 1"));
        let rows = client.query("SHOW SERVERS").expect("a list").texts();
        let of = |server: &Server| {
            rows.iter().find(|row| row[0] == server.address()).expect("a row").clone()
        };
        assert_eq!((of(old)[4].as_str(), of(new)[8].as_str()), ("rival", "2"), "{rows:?}");
        assert!(of(old)[9].contains("primary of epoch 1"), "{rows:?}");
        if round == 0 {
            cluster.proxy().restart();
        }
    }
    // Nothing reached the old one.
    assert_eq!(ids(old).len(), 52);
    old.sql("SET GLOBAL read_only = ON");
    let mut client = cluster.proxy().client("app");
    assert!(wait_until(SEEN, || client.query("INSERT INTO t VALUES (3000)").is_ok()));
    assert!(wait_until(SEEN, || ready(&cluster).0 == 200));
    assert_eq!(standing(&cluster, old), "former");
    old.follow(new);
    wait_for_standing(&cluster, old, "replica");
    client.query("SET read_consistency = 'local', client_region = 'us-east'").expect("ok");
    old.wait_for(new);
    assert_eq!(count(&mut client).expect("a replica"), "2202");
}

/// Goal: with `split_brain = "keep"` the one in service goes on, and the other gets nothing.
#[test]
fn the_one_in_service_may_be_kept() {
    let cluster = cluster("keep", "split_brain = \"keep\"", "");
    let cluster = cluster.watched();
    let (old, new) = (&cluster.shards[0].primary, &cluster.shards[0].replicas[0]);
    let mut writer = cluster.proxy().client("app");
    new.promote();
    wait_for_standing(&cluster, new, "rival");
    writer.query("INSERT INTO t VALUES (2)").expect("the primary in service goes on");
    assert_eq!((ids(old).len(), ids(new).len()), (2, 1));
    assert!(metric(&cluster, "geogate_split_brain{keyspace=\"app\",shard=\"-\"} 1"));
    assert_eq!(ready(&cluster).0, 200);
}

/// Goal: a server whose GTIDs lack what the primary had shown is not believed while that one lives,
/// and is taken with a report when it is gone; an operator may say otherwise.
#[test]
fn what_is_missing_is_reported() {
    let cluster = cluster("missing", "", "");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let (old, new) = (&shard.primary, &shard.replicas[0]);
    let mut writer = cluster.proxy().client("app");
    new.sql("STOP REPLICA");
    writer.query("INSERT INTO t VALUES (2)").expect("a write");
    // Until the monitor has seen it.
    thread::sleep(Duration::from_millis(500));
    old.sql("SET GLOBAL read_only = ON");
    new.promote();
    let refused = wait_until(SEEN, || {
        let error = writer.query("INSERT INTO t VALUES (3)").err();
        error.is_some_and(|error| error.to_string().contains("lacks transactions"))
    });
    assert!(refused, "{}", server(&cluster, new));
    let (status, body) = ready(&cluster);
    assert!(status == 503 && body.contains("lacks transactions"), "{body}");
    assert!(metric(&cluster, "geogate_shard_primary{keyspace=\"app\",shard=\"-\"} 0"));
    old.kill();
    assert!(wait_until(SEEN, || writer.query("INSERT INTO t VALUES (3)").is_ok()));
    let lost = server(&cluster, new)["lost"].as_str().unwrap_or_default().to_owned();
    assert!(!lost.is_empty(), "{}", server(&cluster, new));
    assert!(cluster.proxy().log_tail().contains("they are lost"));
    // The report outlives a restart.
    cluster.proxy().restart();
    assert!(wait_until(SEEN, || server(&cluster, new)["lost"] == lost.as_str()));
    assert_eq!(ids(new), [1, 3]);
}

/// Goal: an operator admits a server that lacks something, and one that was primary before.
#[test]
fn an_operator_admits_a_server() {
    let cluster = cluster("admit", "", "");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let (old, new) = (&shard.primary, &shard.replicas[0]);
    let mut writer = cluster.proxy().client("app");
    let admit = |server: &Server| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
        command.args(["servers", "admit", &server.address(), "--token", "admin"]);
        let url = format!("http://127.0.0.1:{}", cluster.proxy().control_port);
        let output = command.args(["--server", &url]).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = admit(old);
    assert!(code == Some(1) && said.contains("nothing to admit"), "{said}");
    new.sql("STOP REPLICA");
    writer.query("INSERT INTO t VALUES (2)").expect("a write");
    thread::sleep(Duration::from_millis(500));
    old.sql("SET GLOBAL read_only = ON");
    new.promote();
    let lacks = wait_until(SEEN, || ready(&cluster).1.contains("lacks transactions"));
    assert!(lacks, "{}", ready(&cluster).1);
    let (code, said) = admit(new);
    assert_eq!(code, Some(0), "{said}");
    assert!(wait_until(SEEN, || writer.query("INSERT INTO t VALUES (3)").is_ok()));
    assert_eq!(standing(&cluster, old), "former");
    assert!(cluster.proxy().log_tail().contains("admit a server: done"));
    // Both are writable now; admitting the old one does not make two primaries.
    old.sql("SET GLOBAL read_only = OFF");
    let split = wait_until(SEEN, || ready(&cluster).1.contains("split brain"));
    assert!(split, "{}", ready(&cluster).1);
    let (code, said) = admit(old);
    assert_eq!(code, Some(0), "{said}");
    let error = writer.query("INSERT INTO t VALUES (4)").expect_err("two are writable");
    assert!(error.to_string().contains("GG14012"), "{error}");
    assert_eq!(standing(&cluster, new), "in_service");
    // It may be the next one, whatever it lacks.
    new.sql("SET GLOBAL read_only = ON");
    wait_for_standing(&cluster, old, "in_service");
    assert!(wait_until(SEEN, || writer.query("INSERT INTO t VALUES (5)").is_ok()));
    assert_eq!((ids(old), ids(new)), (vec![1, 2, 5], vec![1, 3]));
    let unknown = cluster.proxy().http("POST", "/api/v1/servers/admit", "{\"server\": \"x:1\"}");
    assert_eq!(unknown.0, 404, "{}", unknown.1);
}

/// Goal: another server at the address of the primary is not the primary, whatever it says.
#[test]
fn a_replaced_server_is_another_one() {
    let cluster = cluster("replaced", "", "");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let (old, new) = (&shard.primary, &shard.replicas[0]);
    let mut client = cluster.proxy().client("app");
    assert_eq!(count(&mut client).expect("a read"), "1");
    old.replace();
    old.sql("CREATE DATABASE app");
    old.sql("CREATE TABLE app.t (id INT PRIMARY KEY)");
    let refused = wait_until(SEEN, || {
        let error = client.query("INSERT INTO t VALUES (2)").err();
        error.is_some_and(|error| error.to_string().contains("none of the transactions"))
    });
    assert!(refused, "{}", ready(&cluster).1);
    assert_eq!(ids(old).len(), 0);
    // A replica that has all goes into service beside it, as soon as it alone is writable.
    old.sql("SET GLOBAL read_only = ON");
    new.promote();
    assert!(wait_until(SEEN, || client.query("INSERT INTO t VALUES (3)").is_ok()));
    assert_eq!(ids(new), [1, 3]);
    assert_eq!(server(&cluster, new)["lost"], serde_json::Value::Null);
}

/// Goal: when it cannot be written down, no new primary goes into service, and it is said why.
#[test]
fn a_primary_that_cannot_be_remembered_is_not_used() {
    let cluster = cluster("unwritable", "", "");
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let mut client = cluster.proxy().client("app");
    let state = cluster.folder.join("state");
    let text = std::fs::read_to_string(state.join("primaries.json")).expect("it is remembered");
    assert!(text.contains("\"epoch\": 1") && text.contains("app:-"), "{text}");
    std::fs::rename(&state, cluster.folder.join("away")).expect("the folder is ours");
    std::fs::write(&state, "no folder").expect("the folder is ours");
    shard.primary.kill();
    shard.replicas[0].promote();
    let refused = wait_until(SEEN, || {
        let error = client.query("INSERT INTO t VALUES (2)").err();
        error.is_some_and(|error| error.to_string().contains("GG14013"))
    });
    assert!(refused, "{}", ready(&cluster).1);
    assert!(ready(&cluster).1.contains("state folder"));
    assert!(cluster.proxy().log_tail().contains("the state folder cannot be written"));
    std::fs::remove_file(&state).expect("the folder is ours");
    std::fs::rename(cluster.folder.join("away"), &state).expect("the folder is ours");
    assert!(wait_until(SEEN, || client.query("INSERT INTO t VALUES (2)").is_ok()));
    // What cannot be read keeps the proxy from starting: nobody knows who was primary.
    std::fs::write(state.join("primaries.json"), "{").expect("the folder is ours");
    cluster.proxy().stop();
    let config = cluster.proxy().folder.join("geogate.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    let output = command.args(["serve", "--config"]).arg(config).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("primaries.json"), "{said}");
}

/// Goal: reads outlive their primary: `eventual` ones on any replica that is up, `local` ones up to
/// a limit of their own; errors say what was looked for and why each server was refused.
#[test]
fn reads_outlive_their_primary() {
    // Servers tell their lag in whole seconds, now and then one too many: the limits allow for one.
    let limits = "replica_lag_max_ms = 1900\nreplica_lag_no_primary_max_ms = 6000";
    let cluster = cluster("outlived", "", limits);
    let cluster = cluster.watched();
    let shard = &cluster.shards[0];
    let mut eventual = cluster.proxy().client("app");
    let known = wait_until(SEEN, || {
        let servers = eventual.query("SHOW SERVERS").expect("a list").texts();
        servers.iter().filter(|row| row[5] == "0 s").count() == 2
    });
    assert!(known);
    eventual.query("SET read_consistency = 'eventual', client_region = 'eu-west'").expect("ok");
    let mut local = cluster.proxy().client("app");
    local.query("SET read_consistency = 'local', client_region = 'eu-west'").expect("ok");
    shard.primary.kill();
    let killed = std::time::Instant::now();
    // Beyond the cap of ordinary times.
    while killed.elapsed() < Duration::from_secs(3) {
        assert_eq!(count(&mut eventual).expect("a replica is up"), "1");
        assert_eq!(count(&mut local).expect("the replica here is up"), "1");
    }
    let mut error = None;
    assert!(wait_until(SEEN, || {
        error = count(&mut local).err();
        error.is_some()
    }));
    let text = error.take().expect("an error").to_string();
    assert!(text.contains("replica_lag_no_primary_max_ms"), "{text}");
    assert!(text.contains("the one in ap-south is in another region"), "{text}");
    assert_eq!(count(&mut eventual).expect("any replica will do"), "1");
    shard.replicas[0].kill();
    shard.replicas[1].kill();
    assert!(wait_until(SEEN, || {
        error = count(&mut eventual).err();
        error.as_ref().is_some_and(|error| error.to_string().contains("GG14014"))
    }));
    let text = error.expect("an error").to_string();
    assert!(text.contains("the one in us-east is down; the one in eu-west is down"), "{text}");
    // A restarted proxy knows no lag.
    shard.replicas[1].restart();
    cluster.proxy().restart();
    let read = || {
        let login = Login::test("app");
        let mut client = Client::connect(cluster.proxy().socket_address(), &login)?;
        client.query("SET read_consistency = 'eventual', client_region = 'eu-west'")?;
        count(&mut client)
    };
    assert!(wait_until(SEEN, || read().is_ok_and(|count| count == "1")));
}

/// Goal: which shards must have a primary for the proxy to be ready is the operator's choice.
#[test]
fn readiness_follows_the_policy() {
    let vschema = r#"{"tables": {"t": {}}}"#;
    let layout = Layout::new("ready", &["us-east"])
        .keyspace("one", vschema)
        .shard("-", "us-east", &[])
        .keyspace("two", vschema)
        .shard("-", "us-east", &["us-east"])
        .config(&format!("[limits]\n{QUICK}"));
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    assert!(wait_until(SEEN, || ready(&cluster).0 == 200));
    cluster.shards[1].primary.kill();
    assert!(wait_until(SEEN, || ready(&cluster).0 == 503));
    assert!(ready(&cluster).1.contains("shard two:- has no primary"), "{}", ready(&cluster).1);
    assert!(metric(&cluster, "geogate_shard_primary{keyspace=\"one\",shard=\"-\"} 1"));
    assert!(metric(&cluster, "geogate_shard_primary{keyspace=\"two\",shard=\"-\"} 0"));
    let path = cluster.proxy().folder.join("geogate.toml");
    let config = std::fs::read_to_string(&path).expect("a file");
    for (policy, status) in [("\"all\"", 200), ("[\"one\"]", 200), ("[\"two\"]", 503)] {
        let policy = format!("[control]\nunready_without_primary = {policy}");
        std::fs::write(&path, config.replace("[control]", &policy)).expect("it is writable");
        cluster.proxy().restart();
        let seen = wait_until(SEEN, || {
            let (_, metrics) = cluster.proxy().http("GET", "/metrics", "");
            metrics.contains("geogate_shard_primary{keyspace=\"two\",shard=\"-\"} 0")
                && ready(&cluster).0 == status
        });
        assert!(seen, "{policy}: {}", ready(&cluster).1);
    }
}
