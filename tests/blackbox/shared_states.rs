//! States of prepared statements that sessions share: they save work, and change nothing.

use std::sync::Barrier;
use std::thread;

use crate::client::Client;
use crate::shared_statements::{PROBED, Pair, execute, fixed, proxy_with, text};
use crate::single::{self, SINGLE};

/// Goal: sessions that bind the same types have nothing prepared for each of them alone, also where
/// the types are not those of the columns, and where an execution fails.
#[test]
fn sessions_that_bind_alike_share() {
    const CLIENTS: usize = 16;
    const CONNECTIONS: u32 = 4;
    // The server counts what is prepared by whoever it is.
    let config =
        format!("[limits]\nserver_connections_max = {CONNECTIONS}\nmonitor_timeout_ms = 20000\n");
    let cluster = single::start("alike", &config);
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let mut direct = cluster.shards[0].primary.client("app");
    let table = "CREATE TABLE alike (id INT PRIMARY KEY, k VARCHAR(20), d DECIMAL(10,2))";
    direct.query(table).expect("a table");
    direct.query("INSERT INTO alike VALUES (7, '7', 7)").expect("a row");
    let double = |value: f64| fixed("DOUBLE", 5, &value.to_le_bytes());
    let (seven, number) = (double(7.0), fixed("BIGINT", 8, &7_i64.to_le_bytes()));
    for (sql, params) in [
        ("SELECT id FROM alike WHERE id = ?", vec![&seven]),
        ("SELECT id FROM alike WHERE k = ? AND d = ?", vec![&number, &seven]),
        ("INSERT INTO alike (id, k, d) VALUES (?, ?, ?)", vec![&seven, &number, &seven]),
    ] {
        let prepared = |direct: &mut Client| -> u32 {
            let status = "SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'";
            direct.query(status).expect("a row").texts()[0][1].parse().expect("a number")
        };
        let (warm, counted) = (Barrier::new(CLIENTS + 1), Barrier::new(CLIENTS + 1));
        let before = thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = proxy.client("app");
                    let statement = client.prepare(sql).expect("a statement");
                    for step in 0..60 {
                        if step == 20 {
                            warm.wait();
                            counted.wait();
                        }
                        execute(&mut client, &statement, &params).expect("it is read");
                        match client.read_answer(true) {
                            Ok(answer) => assert_eq!(answer.scalar(), "7", "{sql}"),
                            Err(error) => assert!(error.to_string().contains("1062"), "{error}"),
                        }
                    }
                });
            }
            warm.wait();
            let before = prepared(&mut direct);
            counted.wait();
            before
        });
        let more = prepared(&mut direct) - before;
        assert!(more <= 2 * CONNECTIONS, "{more} were prepared: {sql}");
    }
}

/// Goal: a text with a time makes a DATETIME of a DATE parameter, for whoever binds it alone; and
/// the types of columns are those that they have when it is bound.
#[test]
fn dates_and_definitions_under_statements_of_others() {
    let _cluster = SINGLE.watched();
    let mut owner = SINGLE.shards[0].primary.client("app");
    let table = "CREATE TABLE texts (id INT PRIMARY KEY, day DATE, n INT)";
    owner.query(table).expect("a table");
    let rows = "INSERT INTO texts VALUES (1, '2024-01-02', 7), (2, NULL, 0), (3, '2025-01-02', 8)";
    owner.query(rows).expect("rows");
    let proxy = proxy_with("texts", 1);
    let (date, number) =
        (fixed("DATE", 10, &[4, 0xe8, 7, 1, 2]), fixed("7", 8, &7_i64.to_le_bytes()));
    let word = text("abc", 253, "abc");
    let times = ["2024-01-02 03:04:05", "2024-01-02T03:04:05", "20240102030405", "2024-01-02"];
    for time in times.map(|time| text("a text with a time", 253, time)) {
        for sql in [
            "SELECT COALESCE(?, day) FROM texts ORDER BY id",
            "SELECT id FROM texts WHERE day <> ? ORDER BY id",
            "SELECT day = ? FROM texts ORDER BY id",
        ] {
            let mut pairs = [Pair::new(&proxy), Pair::new(&proxy)];
            for pair in &mut pairs {
                pair.prepare(PROBED, sql);
            }
            for (who, value) in [(0, &time), (1, &date), (0, &number), (1, &number)] {
                assert_eq!(pairs[who].step(0, &[value]), Ok(()), "{sql}");
            }
        }
    }
    let mut pairs = [Pair::new(&proxy), Pair::new(&proxy)];
    for (round, to) in ["VARCHAR(20)", "INT", "DOUBLE"].into_iter().enumerate() {
        for pair in &mut pairs {
            pair.prepare(PROBED, "SELECT id FROM texts WHERE n = ? ORDER BY id");
        }
        for pair in &mut pairs {
            assert_eq!(pair.step(round, &[&number]), Ok(()));
        }
        proxy.client("app").query(format!("ALTER TABLE texts MODIFY n {to}")).expect("ok");
        for (who, value) in [(0, &word), (1, &number), (0, &word), (1, &number)] {
            let same = pairs[who].step(round, &[value]);
            assert_eq!(same, Ok(()), "{to}, {}", value.name);
        }
    }
}
