//! LOCK TABLES and consistent snapshots over shards: of one moment, on all shards or on none.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cluster::{Cluster, Layout};
use crate::placement::{Vindex, covers, keyspace_id};
use crate::software::SOFTWARE;

const VSCHEMA: &str = r#"{ "sharded": true, "vindexes": { "hash": { "type": "hash" } },
  "tables": { "account": { "column_vindexes": [{ "column": "id", "name": "hash" }] } } }"#;

/// Accounts, and what each has at first.
const ACCOUNTS: i64 = 20;
const BALANCE: i64 = 100;

/// A bank on two shards.
fn bank(name: &str, limits: &str) -> Cluster {
    let layout = Layout::new(name, &["here"])
        .keyspace("bank", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[])
        .proxy("consistent_snapshot = \"locked\"")
        .config(limits);
    let cluster = Cluster::start(layout);
    let table = "CREATE TABLE account (id BIGINT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL)";
    cluster.on_primaries("bank", &[table.to_owned()]);
    let rows = (1..=ACCOUNTS).map(|id| format!("({id}, {BALANCE})")).collect::<Vec<_>>();
    let mut client = cluster.proxy().client("bank");
    let inserted = client.query(format!("INSERT INTO account VALUES {}", rows.join(", ")));
    assert_eq!(inserted.expect("the bank opens").affected, ACCOUNTS as u64);
    cluster
}

/// An id that lives on the shard with this range, beyond the accounts.
fn id_on(range: &str) -> i64 {
    let lives = |id: &i64| covers(range, &keyspace_id(Vindex::Hash, id.to_string().as_bytes()));
    (1000..2000).find(lives).expect("hash spreads")
}

fn errno(client: &mut Client, sql: &str) -> u16 {
    client.query(sql).map_or_else(|error| error.errno(), |_| 0)
}

/// Moves money between accounts, in whatever order, until told to stop; counts the transfers.
fn transfer(cluster: &Cluster, seed: i64, stop: &AtomicBool) -> usize {
    let mut client = cluster.proxy().client("bank");
    client.query("SET innodb_lock_wait_timeout = 1").expect("a setting");
    let (mut number, mut done) = (seed, 0);
    while !stop.load(Ordering::Relaxed) {
        number = number * 31 % 10_007;
        let (from, to) = (number % ACCOUNTS + 1, number / ACCOUNTS % ACCOUNTS + 1);
        let steps = [
            "BEGIN".to_owned(),
            format!("UPDATE account SET balance = balance - 1 WHERE id = {from}"),
            format!("UPDATE account SET balance = balance + 1 WHERE id = {to}"),
            "COMMIT".to_owned(),
        ];
        let moved = steps.iter().try_for_each(|step| client.query(step).map(drop));
        match moved {
            Ok(()) => done += 1,
            // A deadlock on one server, or over both.
            Err(_) => drop(client.query("ROLLBACK")),
        }
    }
    done
}

/// Tells the clients to stop, also when the test fails.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The sum of the balances in a dump.
fn dumped_total(port: u16, options: &[&str]) -> i64 {
    let mut command = Command::new("mariadb-dump");
    command.args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest"]).arg(format!("-P{port}"));
    let output = command.args(["--compact", "--no-create-info"]).args(options).arg("bank").output();
    let output = output.expect("mariadb-dump is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().filter_map(|line| line.strip_prefix('('));
    let balances = rows.map(|row| {
        let balance = row.trim_end_matches([')', ',', ';']).split(',').nth(1);
        balance.and_then(|balance| balance.parse::<i64>().ok()).expect("a row has two numbers")
    });
    balances.sum()
}

/// Goal: while money moves between shards, every dump has all of it: with table locks, which are
/// the default, and with the snapshots of --single-transaction.
#[test]
fn dumps_are_of_one_moment() {
    if SOFTWARE.is_mysql() {
        println!("skipped: mariadb-dump is MariaDB's");
        return;
    }
    let cluster = bank("dump-moment", "");
    let cluster = cluster.watched();
    let stop = AtomicBool::new(false);
    let port = cluster.proxy().port;
    let done: usize = thread::scope(|scope| {
        let clients: Vec<_> = (1..=4)
            .map(|seed| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || transfer(cluster, seed, stop))
            })
            .collect();
        let stopper = Stopper(&stop);
        for _ in 0..5 {
            for options in [&["--lock-tables"][..], &["--single-transaction"]] {
                let total = dumped_total(port, options);
                assert_eq!(total, ACCOUNTS * BALANCE, "{options:?}");
            }
        }
        drop(stopper);
        clients.into_iter().map(|client| client.join().expect("it does not panic")).sum()
    });
    assert!(done > 0, "money has moved");
}

/// Goal: a lock that one shard does not give is given up on the others too, in time.
#[test]
fn tables_are_locked_on_all_shards_or_on_none() {
    let cluster = bank("lock-all", "[limits]\ntable_lock_wait_ms = 700\n");
    let cluster = cluster.watched();
    let shards: Vec<_> = cluster.keyspace("bank").collect();
    for blocked in 0..2 {
        let mut holder = shards[blocked].primary.client("bank");
        holder.query("LOCK TABLES account WRITE").expect("nobody else has it");
        let mut client = cluster.proxy().client("bank");
        for sql in [
            "LOCK TABLES account READ",
            "LOCK TABLES account AS a WRITE",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        ] {
            let begun = Instant::now();
            assert_eq!(errno(&mut client, sql), 1205, "{sql}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{sql}");
            let mut other = shards[1 - blocked].primary.client("bank");
            other.query("SET lock_wait_timeout = 1").expect("a setting");
            other.query("LOCK TABLES account WRITE").expect("nothing is locked here");
        }
        holder.query("UNLOCK TABLES").expect("it has a lock");
        client.query("LOCK TABLES account READ").expect("all are free");
        assert_eq!(errno(&mut client, "UPDATE account SET balance = 0"), 1099);
        client.query("UNLOCK TABLES").expect("it has a lock");
    }
}

/// Goal: under LOCK TABLES a statement over shards is all or nothing, and the locks stay.
#[test]
fn writes_under_locks_are_atomic() {
    let cluster = bank("lock-writes", "");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("bank");
    let mut other = cluster.proxy().client("bank");
    other.query("SET lock_wait_timeout = 1").expect("a setting");
    let (low, high) = (id_on("-80"), id_on("80-"));
    let count = format!("SELECT COUNT(*) FROM account WHERE id IN ({low}, {high})");
    client.query("LOCK TABLES `account` WRITE").expect("nobody else has it");
    // One shard fails, whichever: the other keeps nothing.
    for (fine, taken) in [(low, id_taken("80-")), (high, id_taken("-80"))] {
        let sql = format!("INSERT INTO account VALUES ({fine}, 1), ({taken}, 1)");
        assert_eq!(errno(&mut client, &sql), 1062);
        assert_eq!(client.query(&count).expect("it is locked by us").scalar(), "0");
    }
    let insert = format!("INSERT INTO account VALUES ({low}, 1), ({high}, 1)");
    assert_eq!(client.query(&insert).expect("both are free").affected, 2);
    assert_eq!(client.query("SELECT @@autocommit").expect("a variable").scalar(), "1");
    assert_eq!(errno(&mut other, &format!("DELETE FROM account WHERE id = {low}")), 1205);
    assert_eq!(errno(&mut other, &format!("DELETE FROM account WHERE id = {high}")), 1205);
    client.query("UNLOCK TABLES").expect("it has a lock");
    assert_eq!(other.query(&count).expect("nothing is locked").scalar(), "2");
    // BEGIN ends the locks, as servers do.
    client.query("LOCK TABLES account READ").expect("all are free");
    client.query("BEGIN").expect("it ends the locks");
    other.query(format!("DELETE FROM account WHERE id IN ({low}, {high})")).expect("unlocked");
}

/// An account that lives on the shard with this range.
fn id_taken(range: &str) -> i64 {
    let lives = |id: &i64| covers(range, &keyspace_id(Vindex::Hash, id.to_string().as_bytes()));
    (1..=ACCOUNTS).find(lives).expect("hash spreads")
}

/// Goal: snapshots of different moments are refused unless asked for, and then told.
#[test]
fn snapshots_say_what_they_are() {
    let cluster = bank("snapshots", "");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("bank");
    let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    client.query("SET consistent_snapshot = 'refuse'").expect("a mode");
    assert_eq!(errno(&mut client, begin), 1235);
    client.query("SET consistent_snapshot = 'per_server'").expect("a mode");
    assert_eq!(client.query(begin).expect("it is asked for").warnings, 1);
    let warnings = client.query("SHOW WARNINGS").expect("there is one").texts();
    assert!(warnings[0][2].contains("another moment"), "{warnings:?}");
    let mut other = cluster.proxy().client("bank");
    other.query("UPDATE account SET balance = 0").expect("nothing is locked");
    let sum = "SELECT SUM(balance) FROM account";
    let expected = (ACCOUNTS * BALANCE).to_string();
    assert_eq!(client.query(sum).expect("a snapshot").scalar(), expected);
    client.query("SET consistent_snapshot = DEFAULT").expect("a mode");
    assert_eq!(client.query(begin).expect("it is configured").warnings, 0);
    other.query("UPDATE account SET balance = 5").expect("the locks are gone");
    assert_eq!(client.query(sum).expect("a snapshot").scalar(), "0");
    assert_eq!(errno(&mut client, "SET consistent_snapshot = 'soon'"), 1231);
}
