//! What clients can make the proxy hold.
//!
//! Goal of all: so much and no more, for each client and for the process; what is too much is
//! refused by the limit's name and hurts nobody else; what is given back is the system's again.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use crate::client::{Client, Parameter};
use crate::proxy::Proxy;
use crate::server::wait_until;
use crate::shop::SHOP;
use crate::single::SINGLE;

const MIB: usize = 1 << 20;

/// Bytes of a process that are resident.
pub(crate) fn resident(proxy: &Proxy) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let number = line.split_whitespace().next().and_then(|number| number.parse::<usize>().ok());
    number.expect("a number") * 1024
}

fn metric(proxy: &Proxy, line: &str) -> f64 {
    let text = proxy.http("GET", "/metrics", "").1;
    let value = text.lines().find_map(|l| l.strip_prefix(line));
    value.unwrap_or_else(|| panic!("{line} in\n{text}")).trim().parse().expect("a number")
}

fn held(proxy: &Proxy) -> usize {
    metric(proxy, "geogate_memory_bytes{of=\"clients\"}") as usize
}

/// An error that names the limit of a client.
fn is_refusal(error: &crate::client::Error) {
    assert_eq!(error.errno(), 1041, "{error}");
    assert!(error.to_string().contains("limit client_memory_bytes_max (8388608)"), "{error}");
}

/// Goal: whatever a client holds counts, in front of one server and over several, and is free
/// again when it is closed. Method: each way until it is refused.
#[test]
fn a_client_holds_so_much() {
    let limits = "[limits]\nclient_memory_bytes_max = 8388608\n";
    let (single, shop) = (SINGLE.watched(), SHOP.watched());
    let proxies = [
        (single.another_proxy("client-memory", limits), "app"),
        (shop.another_proxy("client-memory-shop", limits), "shop"),
    ];
    for (proxy, database) in &proxies {
        let mut other = proxy.client(database);
        let mut client = proxy.client(database);
        let text = |number: usize| format!("SELECT '{}', {number}", "x".repeat(MIB));
        // Binary and text statements, which can be closed.
        let mut statements = Vec::new();
        let error = loop {
            match client.prepare(text(statements.len())) {
                Ok(statement) => statements.push(statement),
                Err(error) => break error,
            }
        };
        is_refusal(&error);
        assert!((1..8).contains(&statements.len()), "{}", statements.len());
        for statement in statements {
            client.close(&statement).expect("it is sent");
        }
        client.query("SELECT 1").expect("it goes on");
        let named = |number| format!("PREPARE p{number} FROM \"{}\"", text(number));
        let refused = (0..8).find_map(|number| client.query(named(number)).err());
        // The only server has prepared it then, and its connection stays with the session.
        assert_eq!(refused.is_some(), *database == "shop");
        refused.iter().for_each(is_refusal);
        assert!(held(proxy) < 9 * MIB, "{} bytes are held", held(proxy));
        for number in 0..8 {
            let _ = client.query(format!("DEALLOCATE PREPARE p{number}"));
        }
        client.query("SELECT 1").expect("it goes on");
        // Long data, whose refusal is told by the execution.
        let statement = client.prepare("SELECT LENGTH(?)").expect("a statement");
        let piece = [&statement.id.to_le_bytes()[..], &[0, 0], &vec![b'x'; MIB]].concat();
        for _ in 0..9 {
            client.command(0x18, &piece).expect("it reads");
        }
        let error = client.execute(&statement, &[Parameter::Text(Vec::new())]);
        is_refusal(&error.expect_err("too much"));
        let answer = client.execute(&statement, &[Parameter::Text(b"abc".to_vec())]);
        assert_eq!(answer.expect("it was given back").scalar(), "3");
        client.close(&statement).expect("it is sent");
        // One long command, whose rest cannot be read any more.
        let mut long = proxy.client(database);
        let answer = long.query(format!("SELECT LENGTH('{}')", "x".repeat(9 * MIB)));
        match answer {
            // It is forwarded as it comes.
            Ok(answer) => assert_eq!((*database, &*answer.scalar()), ("app", "9437184")),
            Err(error) => assert!([0, 1041].contains(&error.errno()), "{error}"),
        }
        assert_eq!(other.query("SELECT 7").expect("others go on").scalar(), "7");
        assert!(metric(proxy, "geogate_memory_refused_total") >= 4.0);
        drop(client);
        drop(long);
        let free = wait_until(Duration::from_secs(5), || held(proxy) < 100_000);
        assert!(free, "{} bytes are held", held(proxy));
    }
}

/// Goal: names of savepoints over shards count, until the transaction ends.
#[test]
fn savepoints_are_counted() {
    let cluster = SHOP.watched();
    let proxy = cluster.another_proxy("savepoint-memory", "");
    let mut client = proxy.client("shop");
    client.query("BEGIN").expect("ok");
    let before = held(&proxy);
    for number in 0..100 {
        client.query(format!("SAVEPOINT s{number}")).expect("ok");
    }
    assert!(held(&proxy) > before + 3_000);
    client.query("COMMIT").expect("ok");
    client.query("SELECT 1").expect("a row");
    assert!(held(&proxy) <= before + 100, "{} and {before}", held(&proxy));
}

/// Goal: the user variables that a session carries are bounded together, not one by one.
#[test]
fn user_variables_are_counted_together() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("variables", "[limits]\nuser_variables_bytes_max = 100000\n");
    let mut client = proxy.client("app");
    for number in 0..20 {
        client.query(format!("SELECT @a{number} := REPEAT('x', 30000)")).expect("a row");
        client.query("SELECT 1").expect("a row");
    }
    let answer = client.query("SELECT LENGTH(@a0), LENGTH(@a19)").expect("a row");
    assert_eq!(answer.texts(), [["30000", "30000"]]);
    assert!(held(&proxy) < 300_000, "{} bytes are held", held(&proxy));
}

/// Goal: the process stays below its limit whatever many clients ask for; clients that need little
/// are served all the while, and what was held is given back.
#[test]
fn the_process_holds_so_much() {
    let limit = 256 * MIB;
    let limits =
        format!("[limits]\nmemory_bytes_max = {limit}\nclient_memory_bytes_max = {limit}\n");
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("process-memory", &limits);
    let mut good = proxy.client("app");
    let before = resident(&proxy);
    let (mut holders, mut refused, mut highest) = (Vec::new(), 0, 0);
    for number in 0..60 {
        // Half a command of sixteen megabytes, and statements of a few.
        let mut stream = proxy.client("app").into_stream();
        stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a valid duration");
        stream.write_all(&[0xff, 0xff, 0xff, 0, 0x16]).expect("it reads");
        let _ = stream.write_all(&vec![b'x'; 12 * MIB]);
        let mut client = proxy.client("app");
        for part in 0..10 {
            let text = format!("SELECT '{}', {number}, {part}", "y".repeat(MIB / 2));
            match client.prepare(text) {
                Ok(_) => {}
                Err(error) => {
                    let text = error.to_string();
                    assert!(error.errno() == 0 || text.contains("memory_bytes_max ("), "{text}");
                    refused += 1;
                }
            }
        }
        holders.push((stream, client));
        highest = highest.max(resident(&proxy));
        assert_eq!(good.query("SELECT 7").expect("it needs little").scalar(), "7");
        let mut new = proxy.client("app");
        let small = new.prepare(format!("SELECT '{}'", "z".repeat(1000))).expect("little");
        new.execute(&small, &[]).expect("a row");
    }
    println!("resident: {} MiB before, {} MiB at most", before / MIB, highest / MIB);
    assert!(refused > 0 && highest < limit, "{refused} refused, {highest} bytes");
    drop(holders);
    assert!(wait_until(Duration::from_secs(5), || held(&proxy) < 100_000));
    let back = wait_until(Duration::from_secs(10), || resident(&proxy) < before + 24 * MIB);
    println!("resident: {} MiB after", resident(&proxy) / MIB);
    assert!(back, "{} MiB of {}", resident(&proxy) / MIB, before / MIB);
}

/// Goal: rows that are kept for a merge count for the client, too.
#[test]
fn merged_rows_are_counted() {
    let cluster = SHOP.watched();
    let limits = "[limits]\nclient_memory_bytes_max = 8388608\n";
    let proxy = cluster.another_proxy("merge-memory", limits);
    let mut client: Client = proxy.client("shop");
    let sql = "SELECT DISTINCT REPEAT(CONCAT(name, id), 30000) FROM customer";
    match client.query(sql) {
        Ok(answer) => panic!("{} rows are not more than eight megabytes", answer.rows.len()),
        Err(error) => is_refusal(&error),
    }
    assert_eq!(client.query("SELECT 7").expect("it goes on").scalar(), "7");
    assert!(held(&proxy) < 100_000, "{} bytes are held", held(&proxy));
}
