//! Nothing of one session is ever seen in another: settings, database, user variables,
//! transactions.
//!
//! Method: many clients at once, each with its own values; every client reads them back between
//! writes of its own. The same checker runs on plain MariaDB, where it must pass.

use std::net::SocketAddr;
use std::thread;

use crate::client::{Client, Login};
use crate::cluster::{Cluster, Layout};
use crate::server::Server;
use crate::shop::{SHOP, scratch_table};

const CLIENTS: usize = 200;
const ROUNDS: usize = 10;

const TABLE: &str = "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, k BIGINT, v VARCHAR(100))";

#[test]
fn plain_server_keeps_sessions_apart() {
    let server = Server::start("sessions");
    server.wait_ready();
    server.sql("CREATE DATABASE shop");
    server.sql("CREATE DATABASE catalog");
    server.client("shop").query(TABLE).expect("a new table");
    let place = Place { databases: ["shop", "catalog"], table: "shop.t" };
    check(server.socket_address(), place);
}

#[test]
fn unsharded_proxy_keeps_sessions_apart() {
    let layout = Layout::new("sessions", &["us-east"])
        .keyspace("only", r#"{ "sharded": false, "tables": { "t": {} } }"#)
        .shard("-", "us-east", &[]);
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    cluster.on_primaries("only", &[TABLE.to_owned()]);
    let place = Place { databases: ["only", "only"], table: "only.t" };
    check(cluster.proxy().socket_address(), place);
}

#[test]
fn sharded_proxy_keeps_sessions_apart() {
    let shop = SHOP.watched();
    let table = format!("shop.{}", scratch_table());
    let place = Place { databases: ["shop", "catalog"], table: &table };
    check(shop.proxy().socket_address(), place);
}

/// Two databases that a client may be in, and the table that it writes to.
#[derive(Clone, Copy)]
struct Place<'a> {
    databases: [&'a str; 2],
    table: &'a str,
}

fn check(address: SocketAddr, place: Place<'_>) {
    let failures: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || one_client(address, place, number)))
            .collect();
        let results = clients.into_iter().map(|client| client.join().expect("it does not panic"));
        results.filter_map(Result::err).collect()
    });
    let shown = failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {CLIENTS} clients failed:\n{shown}", failures.len());
}

fn one_client(address: SocketAddr, place: Place<'_>, number: usize) -> Result<(), String> {
    let mut client = Client::connect(address, &Login::test(place.databases[0]))
        .map_err(|error| format!("client {number}: {error}"))?;
    let mut run =
        |sql: &str| client.query(sql).map_err(|error| format!("client {number}: {error}: {sql}"));
    let expect = |what: &str, wanted: &str, got: &str| {
        if wanted == got {
            return Ok(());
        }
        Err(format!("client {number}: {what} is {got}, but must be {wanted}"))
    };
    let zone = format!("+{:02}:{:02}", number % 12, number % 60);
    let mode = if number.is_multiple_of(2) { "ANSI_QUOTES" } else { "PIPES_AS_CONCAT" };
    let database = place.databases[usize::from(number.is_multiple_of(3))];
    let table = place.table;
    run(&format!("SET time_zone = '{zone}'"))?;
    run(&format!("SET SESSION sql_mode = '{mode}'"))?;
    // A third of the clients never sets a user variable, so that their connections are not pinned.
    let mine = if number.is_multiple_of(3) { "NULL".to_owned() } else { number.to_string() };
    if mine != "NULL" {
        run(&format!("SET @me = {number}"))?;
    }
    for round in 0..ROUNDS {
        run(&format!("USE {database}"))?;
        let seen = run("SELECT @@time_zone, @@sql_mode, DATABASE()")?.texts().concat().join(" ");
        expect("its setting", &format!("{zone} {mode} {database}"), &seen)?;
        expect("its variable", &mine, &run("SELECT @me")?.texts().concat().join(" "))?;
        let id = number * 1000 + round;
        run("BEGIN")?;
        run(&format!("INSERT INTO {table} (id, k, v) VALUES ({id}, {number}, 'x')"))?;
        let count = format!("SELECT COUNT(*) FROM {table} WHERE id = {id}");
        expect("its own row in the transaction", "1", &run(&count)?.scalar())?;
        let keep = round % 2 == 0;
        run(if keep { "COMMIT" } else { "ROLLBACK" })?;
        let wanted = if keep { "1" } else { "0" };
        expect("its own row afterwards", wanted, &run(&count)?.scalar())?;
    }
    Ok(())
}
