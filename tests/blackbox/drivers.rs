//! What drivers of the world do and ours do not, found with their own test suites: the proxy
//! answers as the server.

use std::net::SocketAddr;

use crate::client::{Client, Login};
use crate::cluster::Cluster;
use crate::shop::{SHOP, scratch_table};
use crate::single::SINGLE;

/// CLIENT_IGNORE_SPACE.
const IGNORE_SPACE: u32 = 1 << 8;

fn both(cluster: &Cluster) -> [SocketAddr; 2] {
    [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()]
}

/// Goal: bytes behind the last parameter do not count: node's mysql2 leaves one for each NULL.
#[test]
fn bytes_behind_the_parameters() {
    let cluster = SINGLE.watched();
    for address in both(&cluster) {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let statement = client.prepare("SELECT ? IS NULL").expect("a statement");
        let id = statement.id.to_le_bytes();
        // No cursor, once; the first is NULL; types follow: NULL; rest.
        let body = [&id[..], &[0, 1, 0, 0, 0, 1, 1, 6, 0], &[0xaa, 0xbb]].concat();
        client.command(0x17, &body).expect("it is read");
        assert_eq!(client.read_answer(true).expect("a row").rows.len(), 1);
        client.ping().expect("in step");
    }
}

/// Goal: types may be left out as long as all values are NULL, as Connector/J does.
#[test]
fn nulls_without_types() {
    let cluster = SINGLE.watched();
    let mut told = Vec::new();
    for address in both(&cluster) {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let statement = client.prepare("SELECT ?, CONCAT(?, 'x')").expect("a statement");
        let id = statement.id.to_le_bytes();
        let mut lines = Vec::new();
        for rest in [
            &b"\x03\0"[..],           // both NULL
            &b"\x02\0\x07\0\0\0"[..], // an untyped value
            &b"\x03\0"[..],
            &b"\x02\x01\x03\0\x06\0\x07\0\0\0"[..], // 7, NULL
            &b"\x03\0"[..],
            &b"\x02\0\x08\0\0\0"[..], // 8, NULL
        ] {
            client.command(0x17, &[&id[..], &[0, 1, 0, 0, 0], rest].concat()).expect("it is read");
            lines.push(client.read_answer(true).map(|answer| answer.texts()).map_err(|_| ()));
        }
        assert!(lines[0].is_ok() && lines[1].is_err(), "{lines:?}");
        told.push(lines);
    }
    assert_eq!(told[0], told[1]);
}

/// Goal: a date that is bound as a date is compared as one on the shards too, not as a text.
#[test]
fn dates_of_shards_are_dates() {
    let cluster = SHOP.watched();
    let table = scratch_table();
    let mut client = cluster.proxy().client("shop");
    let rows = "(1, 1, '2024-01-02'), (2, 2, '2024-1-2'), (3, 3, '2024-01-03'), (4, 4, '2024-1-2')";
    client.query(format!("INSERT INTO {table} VALUES {rows}")).expect("rows");
    let text = format!("SELECT id FROM {table} WHERE v = ? ORDER BY id");
    let statement = client.prepare(text).expect("a statement");
    let id = statement.id.to_le_bytes();
    for (kind, value) in [
        (10, &[4, 0xe8, 7, 1, 2][..]),
        (12, &[7, 0xe8, 7, 1, 2, 0, 0, 0]),
        (12, &[11, 0xe8, 7, 1, 2, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let body = [&id[..], &[0, 1, 0, 0, 0, 0, 1, kind, 0], value].concat();
        client.command(0x17, &body).expect("it is read");
        let rows = client.read_answer(true).expect("rows").texts();
        assert_eq!(rows, [["1"], ["2"], ["4"]], "type {kind}");
    }
}

/// Goal: a client that logs in with CLIENT_IGNORE_SPACE has that in its sql_mode, whoever had the
/// server's connection before, until it resets its session.
#[test]
fn spaces_before_parentheses() {
    let cluster = SINGLE.watched();
    let mut told = Vec::new();
    for address in both(&cluster) {
        let plain = Login::test("app");
        let login = Login { capabilities: plain.capabilities | IGNORE_SPACE, ..Login::test("app") };
        let mut lines = Vec::new();
        for login in [&login, &plain, &login] {
            let mut client = Client::connect(address, login).expect("a login");
            let mut note = |client: &mut Client| {
                let counted = client.query("SELECT COUNT (*) FROM app.none_such");
                let errno = counted.expect_err("no such table").errno();
                lines.push((client.query("SELECT @@sql_mode").expect("a row").scalar(), errno));
            };
            note(&mut client);
            client.query("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')").expect("ok");
            note(&mut client);
            client.reset().expect("ok");
            note(&mut client);
        }
        told.push(lines);
    }
    assert_eq!(told[0], told[1]);
}

/// Goal: nobody is led around the proxy by the server's own socket, to which some drivers move as
/// soon as they have read its path.
#[test]
fn the_servers_socket_is_not_told() {
    let cluster = SINGLE.watched();
    let path = cluster.shards[0].primary.sql("SELECT @@socket").scalar();
    assert!(!path.is_empty());
    let mut client = cluster.proxy().client("app");
    let answer = client.query("SELECT @@max_allowed_packet, @@socket").expect("a row");
    assert_eq!(answer.columns[1].name, "@@socket");
    assert_eq!(answer.texts()[0][1], "");
    assert_eq!(client.query("SELECT @@global.socket AS s").expect("a row").scalar(), "");
    for list in ["LIKE 'socket'", "WHERE Variable_name = 'socket'"] {
        let row = client.query(format!("SHOW VARIABLES {list}")).expect("a row").texts().concat();
        assert_eq!(row, ["socket", ""], "{list}");
    }
    let shop = SHOP.watched();
    let mut client = shop.proxy().client("shop");
    if let Ok(answer) = client.query("SELECT @@socket") {
        assert_eq!(answer.scalar(), "");
    }
}

/// Goal: a session counts its own prepared statements, whatever the server keeps prepared.
#[test]
fn prepared_statements_are_counted() {
    let cluster = SINGLE.watched();
    let counts = |address| {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        for _ in 0..2 {
            let statement = client.prepare("SELECT 1 + ?").expect("a statement");
            for _ in 0..3 {
                let one = crate::client::Parameter::Int(1);
                client.execute(&statement, &[one]).expect("a row");
            }
            client.close(&statement).expect("sent");
        }
        for sql in ["PREPARE p FROM 'SELECT 1'", "EXECUTE p", "PREPARE p FROM 'SELECT 2'"] {
            client.query(sql).expect("ok");
        }
        client.query("DEALLOCATE PREPARE p").expect("ok");
        let rows = client.query("SHOW SESSION STATUS LIKE 'Com\\_stmt\\_%'").expect("rows").texts();
        let asked = ["Com_stmt_prepare", "Com_stmt_execute", "Com_stmt_close"];
        rows.into_iter().filter(|row| asked.contains(&&*row[0])).collect::<Vec<_>>()
    };
    let [direct, proxy] = both(&cluster);
    assert_eq!(counts(direct), counts(proxy));
}

/// Goal: sessions that begin after a SET GLOBAL have the new value, those before keep theirs.
#[test]
fn new_sessions_have_new_globals() {
    let cluster = crate::single::start("globals", "");
    let cluster = cluster.watched();
    let value = |client: &mut Client| {
        client.query("SELECT @@session.wait_timeout").expect("a row").scalar()
    };
    let mut told = Vec::new();
    for address in both(&cluster) {
        let mut before = Client::connect(address, &Login::test("app")).expect("a login");
        let mut setter = Client::connect(address, &Login::test("app")).expect("a login");
        value(&mut before);
        setter.query("SET GLOBAL wait_timeout = 4321").expect("ok");
        let mut after = Client::connect(address, &Login::test("app")).expect("a login");
        let mut lines = [&mut before, &mut setter, &mut after].map(value);
        before.reset().expect("ok");
        lines[0] += &value(&mut before);
        told.push(lines);
        setter.query("SET GLOBAL wait_timeout = DEFAULT").expect("ok");
    }
    assert_eq!(told[0], told[1]);
}

/// Goal: USE is read as servers read it: comments around the name, quotes of ANSI_QUOTES.
#[test]
fn use_with_comments_and_quotes() {
    let cluster = SINGLE.watched();
    let mut told = Vec::new();
    for address in both(&cluster) {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let mut lines = Vec::new();
        for sql in [
            "/* driver */ USE app_a",
            "USE/*to*/`app_b` ;",
            "USE app -- back",
            "SET sql_mode = 'ANSI_QUOTES'",
            "USE \"app_a\"",
            "USE \"none\"\"such\"",
            "USE DATABASE app_b",
            "USE app_b app_a",
            "USE",
        ] {
            let errno = client.query(sql).map_or_else(|error| error.errno(), |_| 0);
            lines.push((errno, client.query("SELECT DATABASE()").expect("a row").scalar()));
        }
        told.push(lines);
    }
    assert_eq!(told[0], told[1]);
}
