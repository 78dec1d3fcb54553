//! Packets that no driver sends, and commands that few do: nothing crashes, nobody else notices.
//!
//! Every check takes an address and runs on plain MariaDB too, which proves the check.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Error, Login, capability};
use crate::cluster::{Cluster, Layout};
use crate::server::{Server, wait_until};
use crate::shop::SHOP;
use crate::software::SOFTWARE;

#[test]
fn plain_server_takes_odd_packets() {
    let server = Server::start("odd-packets");
    server.wait_ready();
    server.sql("CREATE DATABASE catalog");
    all_checks(server.socket_address());
}

#[test]
fn unsharded_proxy_takes_odd_packets() {
    let layout = Layout::new("odd-packets", &["us-east"])
        .keyspace("catalog", r#"{ "sharded": false, "tables": {} }"#)
        .shard("-", "us-east", &[]);
    let cluster = Cluster::start(layout);
    all_checks(cluster.watched().proxy().socket_address());
}

#[test]
fn sharded_proxy_takes_odd_packets() {
    let shop = SHOP.watched();
    all_checks(shop.proxy().socket_address());
}

fn all_checks(address: SocketAddr) {
    for (name, check) in [
        ("garbage at login", garbage_at_login as fn(SocketAddr)),
        ("a truncated packet", truncated_packet),
        ("a wrong sequence number", wrong_sequence),
        ("two commands in one segment", two_commands_in_one_segment),
        ("an unknown command", unknown_command),
        ("an empty packet", empty_packet),
        ("large packets both ways", large_packets),
        ("several statements", several_statements),
        ("KILL QUERY", kill_query),
        ("KILL CONNECTION", kill_connection),
        ("leaving in the middle of a result", leave_in_a_result),
        ("a transaction that is left open", leave_in_a_transaction),
        ("commands that few drivers send", rare_commands),
    ] {
        println!("{name}");
        let bystander = &mut connect(address);
        check(address);
        bystander.ping().unwrap_or_else(|error| panic!("{name}: a bystander saw {error}"));
        connect(address);
    }
}

fn connect(address: SocketAddr) -> Client {
    Client::connect(address, &Login::test("catalog"))
        .unwrap_or_else(|error| panic!("a login: {error}"))
}

fn one(client: &mut Client, sql: &str) -> String {
    client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}")).scalar()
}

/// The peer must answer with an error or close; it must not go on as if nothing had happened.
fn expect_end(result: Result<Vec<u8>, Error>) {
    if let Ok(packet) = result {
        panic!("the peer answered {packet:?}");
    }
}

fn garbage_at_login(address: SocketAddr) {
    use std::io::{Read, Write};
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 3000], vec![0; 40]] {
        let mut stream = TcpStream::connect(address).expect("the port is open");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid duration");
        stream.write_all(&garbage).expect("the greeting comes first");
        // The peer may have hung up already.
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
}

fn truncated_packet(address: SocketAddr) {
    let mut client = connect(address);
    client.write_raw(&[100, 0, 0, 0, 3, b'S', b'E', b'L']).expect("the stream is open");
    client.stream().shutdown(Shutdown::Write).expect("the stream is open");
    expect_end(client.read_reply());
}

fn wrong_sequence(address: SocketAddr) {
    let mut client = connect(address);
    client.write_raw(&[9, 0, 0, 7, 3, b'S', b'E', b'L', b'E', b'C', b'T', b' ', b'1']).expect("ok");
    expect_end(client.read_reply());
}

fn two_commands_in_one_segment(address: SocketAddr) {
    let mut client = connect(address);
    let mut both = Vec::new();
    for number in 0..2_u8 {
        both.extend_from_slice(&[9, 0, 0, 0, 3]);
        both.extend_from_slice(b"SELECT ");
        both.push(b'1' + number);
    }
    client.write_raw(&both).expect("the stream is open");
    for number in ["1", "2"] {
        assert_eq!(client.read_answer(false).expect("a row").scalar(), number);
    }
}

fn unknown_command(address: SocketAddr) {
    let mut client = connect(address);
    client.command(0x50, b"what is this").expect("the stream is open");
    let error = client.read_reply().expect_err("an unknown command is refused");
    assert_eq!(error.errno(), 1047, "{error}");
    assert_eq!(one(&mut client, "SELECT 1"), "1");
}

fn empty_packet(address: SocketAddr) {
    let mut client = connect(address);
    client.write_raw(&[0, 0, 0, 0]).expect("the stream is open");
    expect_end(client.read_reply());
}

fn large_packets(address: SocketAddr) {
    let mut client = connect(address);
    for length in [0xff_ffff - 20, 0xff_ffff, 0xff_ffff + 1, 40 << 20] {
        let text = "x".repeat(length);
        let answer = client.query(format!("SELECT '{text}', 1")).expect("a large row");
        assert_eq!(answer.rows[0][0].as_ref().map(Vec::len), Some(length));
        assert_eq!(answer.texts()[0][1], "1");
    }
    assert_eq!(one(&mut client, "SELECT LENGTH(REPEAT('x', 1000))"), "1000");
}

fn several_statements(address: SocketAddr) {
    let mut login = Login::test("catalog");
    login.capabilities |= capability::MULTI_STATEMENTS;
    let mut client = Client::connect(address, &login).expect("a login");
    let answers = client.query_all("SELECT 1; DO 2; SELECT 3, 4").expect("three results");
    let columns: Vec<usize> = answers.iter().map(|answer| answer.columns.len()).collect();
    assert_eq!(columns, [1, 0, 2]);
    client.command(3, b"SELECT 1; SELEC 2; SELECT 3").expect("the stream is open");
    assert_eq!(client.read_answer(false).expect("the first result").scalar(), "1");
    assert_eq!(client.read_answer(false).expect_err("the second statement").errno(), 1064);
    assert_eq!(one(&mut client, "SELECT 5"), "5");
}

fn kill_query(address: SocketAddr) {
    let mut client = connect(address);
    let id = client.connection_id;
    let killer = thread::spawn(move || {
        let mut killer = connect(address);
        thread::sleep(Duration::from_millis(500));
        killer.query(format!("KILL QUERY {id}")).map(drop)
    });
    let series = SOFTWARE.series(99_999_999);
    let endless = format!("SELECT COUNT(*) FROM {series} a, {series} b");
    let started = Instant::now();
    let error = client.query(endless).expect_err("the query is killed");
    assert_eq!(error.errno(), 1317, "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    killer.join().expect("the killer does not panic").expect("KILL QUERY succeeds");
    assert_eq!(one(&mut client, "SELECT 1"), "1");
}

fn kill_connection(address: SocketAddr) {
    let mut client = connect(address);
    let mut killer = connect(address);
    killer.query(format!("KILL {}", client.connection_id)).expect("KILL succeeds");
    let dead = wait_until(Duration::from_secs(10), || client.query("SELECT 1").is_err());
    assert!(dead, "the killed connection lives on");
}

fn leave_in_a_result(address: SocketAddr) {
    for _ in 0..5 {
        let mut client = connect(address);
        let many = "SELECT REPEAT('x', 100000) FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) a, \
            (SELECT 1 UNION SELECT 2 UNION SELECT 3) b, \
            (SELECT 1 UNION SELECT 2 UNION SELECT 3) c, \
            (SELECT 1 UNION SELECT 2 UNION SELECT 3) d, \
            (SELECT 1 UNION SELECT 2 UNION SELECT 3) e";
        client.command(3, many.as_bytes()).expect("the stream is open");
        client.read_packet().expect("the column count");
        client.stream().shutdown(Shutdown::Both).expect("the stream is open");
    }
}

fn leave_in_a_transaction(address: SocketAddr) {
    let mut setup = connect(address);
    setup.query("DROP TABLE IF EXISTS left_open").expect("ok");
    setup.query("CREATE TABLE left_open (id INT PRIMARY KEY, v INT)").expect("ok");
    setup.query("INSERT INTO left_open VALUES (1, 0)").expect("ok");
    {
        let mut client = connect(address);
        client.query("BEGIN").expect("ok");
        client.query("UPDATE left_open SET v = 1").expect("ok");
    }
    setup.query("UPDATE left_open SET v = v + 10").expect("the lock is gone with its owner");
    assert_eq!(one(&mut setup, "SELECT v FROM left_open"), "10");
    setup.query("DROP TABLE left_open").expect("ok");
}

fn rare_commands(address: SocketAddr) {
    let mut client = connect(address);
    // COM_STATISTICS answers with bare text.
    client.command(0x09, b"").expect("the stream is open");
    let text = client.read_packet().expect("statistics");
    assert!(String::from_utf8_lossy(&text).contains("Uptime"), "{text:?}");
    // COM_SET_OPTION: several statements on, answered with EOF or OK.
    client.command(0x1b, &[0, 0]).expect("the stream is open");
    client.read_reply().expect("COM_SET_OPTION");
    assert_eq!(client.query_all("SELECT 1; SELECT 2").expect("two results").len(), 2);
    client.query("SET @mine = 1").expect("ok");
    client.reset().expect("COM_RESET_CONNECTION");
    assert_eq!(client.query("SELECT @mine").expect("a row").texts(), [["NULL"]]);
    // COM_STMT_RESET, COM_STMT_CLOSE and a statement that does not exist.
    let statement = client.prepare("SELECT ?").expect("a statement");
    client.command(0x1a, &statement.id.to_le_bytes()).expect("the stream is open");
    client.read_reply().expect("COM_STMT_RESET");
    client.close(&statement).expect("the stream is open");
    let error = client.execute(&statement, &[]).expect_err("it is closed");
    assert_eq!(error.errno(), 1243, "{error}");
    client.command(0x01, b"").expect("the stream is open");
    assert!(client.read_packet().is_err(), "COM_QUIT closes the connection");
}
