//! What only Oracle MySQL has: query attributes, its own session variables; see also
//! `result_metadata`. On MariaDB these tests say that they are skipped, or that nothing of it is
//! offered.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use geogate::sql::system_variable;

use crate::client::{Client, Login, capability};
use crate::packet::lenenc;
use crate::server::Server;
use crate::shop::{SHOP, scratch_table};
use crate::single::SINGLE;
use crate::software::SOFTWARE;

const ATTRIBUTES: u32 = 1 << 27;
const N1: &str = "mysql_query_attribute_string('n1')";

/// Whether the servers are MySQL's; says so if not.
pub(crate) fn is_mysql(what: &str) -> bool {
    if !SOFTWARE.is_mysql() {
        println!("skipped: {what} is MySQL's");
    }
    SOFTWARE.is_mysql()
}

fn install(server: &Server) {
    // Another test may have done it.
    let _ = server.client("").query("INSTALL COMPONENT 'file://component_query_attributes'");
}

fn attributes_client(address: SocketAddr, database: &str) -> Client {
    let capabilities = ATTRIBUTES | capability::DEPRECATE_EOF | capability::MULTI_STATEMENTS;
    Client::connect(address, &Login { capabilities, ..Login::test(database) }).expect("a login")
}

/// Attributes of strings; in front of a text they are one set.
fn attributes(all: &[(&str, Option<&str>)]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut nulls = vec![0; all.len().div_ceil(8)];
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for (at, (name, value)) in all.iter().enumerate() {
        types.extend_from_slice(&[0xfe, 0]);
        lenenc(&mut types, name.as_bytes());
        match value {
            Some(value) => lenenc(&mut values, value.as_bytes()),
            None => nulls[at / 8] |= 1 << (at % 8),
        }
    }
    (nulls, types, values)
}

/// The body of a COM_QUERY.
fn query(all: &[(&str, Option<&str>)], text: &str) -> Vec<u8> {
    let mut body = vec![all.len() as u8, 1];
    if !all.is_empty() {
        let (nulls, types, values) = attributes(all);
        body.extend([&nulls[..], &[1], &types, &values].concat());
    }
    body.extend_from_slice(text.as_bytes());
    body
}

/// The body of a COM_STMT_EXECUTE with one parameter of text.
fn execution(id: u32, parameter: &str, all: &[(&str, Option<&str>)]) -> Vec<u8> {
    let (_, types, values) = attributes(all);
    let mut nulls = vec![0; (1 + all.len()).div_ceil(8)];
    for (at, _) in all.iter().enumerate().filter(|(_, (_, value))| value.is_none()) {
        nulls[(at + 1) / 8] |= 1 << ((at + 1) % 8);
    }
    let mut body = [&id.to_le_bytes()[..], &[8, 1, 0, 0, 0, 1 + all.len() as u8]].concat();
    body.extend([&nulls[..], &[1, 0xfd, 0, 0], &types].concat());
    lenenc(&mut body, parameter.as_bytes());
    body.extend(values);
    body
}

/// Sends commands and gives every packet of their answers.
pub(crate) fn packets(client: &mut Client, commands: &[(u8, Vec<u8>)]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (command, body) in commands {
        client.command(*command, body).expect("it is read");
        let mut more = true;
        while more {
            more = client.read_answer(*command == 0x17).is_ok_and(|answer| answer.status & 8 != 0);
        }
        all.push(client.recorded.iter().map(|packet| packet.escape_ascii().to_string()).collect());
    }
    all
}

/// Goal: attributes reach the server with every kind of statement, and malformed ones are answered
/// as the server does; the text is read from where it begins.
#[test]
fn query_attributes_reach_the_server() {
    let cluster = SINGLE.watched();
    if !is_mysql("query attributes") {
        // Nor is it offered: a client that sets the flag all the same sends plain texts.
        let mut client = attributes_client(cluster.proxy().socket_address(), "app");
        assert_eq!(client.query("SELECT 7").expect("a row").scalar(), "7");
        return;
    }
    install(&cluster.shards[0].primary);
    let one: &[(&str, Option<&str>)] = &[("n1", Some("v1"))];
    let long = "x".repeat(70_000);
    let two: &[(&str, Option<&str>)] = &[("n2", Some("v2")), ("n1", None), ("long", Some(&long))];
    let mut commands = vec![
        (0x03, query(&[], "CREATE TABLE attributed (id INT PRIMARY KEY, v VARCHAR(20))")),
        (0x03, b"SELECT 1".to_vec()),
        (0x03, b"\0".to_vec()),
        (0x03, b"\0\x02SELECT 1".to_vec()),
        (0x03, b"\x01\x01\0\0\xfe\0\x02n1\x02v1SELECT 1".to_vec()),
        (0x03, query(&[], "SELECT 1")),
    ];
    for all in [&[], one, two] {
        for text in [
            format!("SELECT {N1}"),
            format!("SELECT 1; SELECT {N1}; SET @a = {N1}; SELECT @a, LAST_INSERT_ID(), {N1}"),
            format!("REPLACE INTO attributed VALUES (1, {N1})"),
            "SELECT * FROM attributed; SELECT mysql_query_attribute_string('n2')".to_owned(),
            format!("PREPARE s FROM 'SELECT {}'", N1.replace('\'', "\"")),
            "EXECUTE s".to_owned(),
            "BEGIN".to_owned(),
            format!("SELECT CONNECTION_ID() > 0, {N1}, mysql_query_attribute_string('n2')"),
            "ROLLBACK".to_owned(),
            "SELECT LENGTH(mysql_query_attribute_string('long'))".to_owned(),
            "SET NAMES latin1; SET NAMES utf8mb4".to_owned(),
            "SELEC 1".to_owned(),
            "SHOW WARNINGS".to_owned(),
        ] {
            commands.push((0x03, query(all, &text)));
        }
    }
    let run = |address| {
        cluster.shards[0].primary.sql("DROP TABLE IF EXISTS app.attributed");
        let mut client = attributes_client(address, "app");
        let mut all = packets(&mut client, &commands);
        for text in [format!("SELECT ?, {N1}"), format!("SET @b = CONCAT(?, {N1})")] {
            let id = client.prepare(text).expect("a statement").id;
            let again = [&id.to_le_bytes()[..], b"\x08\x01\0\0\0\x01\0\0\x01q"].concat();
            let wrong = [&id.to_le_bytes()[..], b"\x08\x01\0\0\0\x02\0\0\x01q\x01w"].concat();
            let commands = [execution(id, "p", one), again, execution(id, "p", two), wrong];
            all.extend(packets(&mut client, &commands.map(|body| (0x17, body))));
        }
        all.extend(packets(&mut client, &[(0x03, query(one, "SELECT @b"))]));
        all
    };
    let direct = run(cluster.shards[0].primary.socket_address());
    let proxy = run(cluster.proxy().socket_address());
    for (number, (proxy, direct)) in proxy.iter().zip(&direct).enumerate() {
        assert_eq!(proxy, direct, "command {number}: {:?}", commands.get(number));
    }
}

/// Goal: a statement with attributes is routed by its text, and each shard gets the attributes.
#[test]
fn query_attributes_reach_the_shards() {
    let cluster = SHOP.watched();
    if !is_mysql("query attributes") {
        return;
    }
    for shard in &cluster.shards {
        install(&shard.primary);
        for replica in &shard.replicas {
            install(replica);
        }
    }
    let table = scratch_table();
    let mut client = attributes_client(cluster.proxy().socket_address(), "shop");
    let rows = (1..20).map(|id| format!("({id}, {id}, 'v{id}')")).collect::<Vec<_>>().join(", ");
    let insert = format!("INSERT INTO {table} (id, k, v) VALUES {rows}");
    let ask = |client: &mut Client, all: &[(&str, Option<&str>)], text: &str| {
        client.command(0x03, &query(all, text)).expect("it is read");
        client.read_answer(false).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    assert_eq!(ask(&mut client, &[], &insert).affected, 19);
    // An attribute's value that looks like a statement is none.
    let all = [("n1", Some("a; DELETE FROM t")), ("n2", None)];
    for _ in 0..3 {
        for id in [1, 7, 13] {
            let text = format!("SELECT id, {N1} FROM {table} WHERE id = {id}");
            let row = ask(&mut client, &all, &text).texts();
            assert_eq!(row, [[id.to_string(), "a; DELETE FROM t".to_owned()]]);
            let row = ask(&mut client, &[], &text).texts();
            assert_eq!(row, [[id.to_string(), "NULL".to_owned()]]);
        }
    }
    let text = format!("SELECT id, {N1} FROM {table} ORDER BY id");
    let rows = ask(&mut client, &all, &text).texts();
    assert_eq!(rows.len(), 19);
    assert!(rows.iter().all(|row| row[1] == "a; DELETE FROM t"), "{rows:?}");
    let statement = client
        .prepare(format!("SELECT id, {N1} FROM {table} WHERE v = ? OR id < 9 ORDER BY id"))
        .expect("a statement");
    let by_key = client.prepare(format!("SELECT id, {N1} FROM {table} WHERE id = ?"));
    for (id, parameter, rows) in
        [(statement.id, "v19", 9), (by_key.expect("a statement").id, "4", 1)]
    {
        for _ in 0..2 {
            client.command(0x17, &execution(id, parameter, &all)).expect("it is read");
            let found = client.read_answer(true).expect("rows").texts();
            assert_eq!(found.len(), rows);
            assert!(found.iter().all(|row| row[1] == "a; DELETE FROM t"), "{found:?}");
        }
    }
}

/// Goal: every variable that the server lets a session set has a class.
#[test]
fn session_variables_have_classes() {
    if !is_mysql("the list of these variables") {
        return;
    }
    let server = &SINGLE.watched().shards[0].primary;
    let names = server.sql("SHOW SESSION VARIABLES").texts();
    let mut unknown = BTreeSet::new();
    let mut client = server.client("");
    for name in names.into_iter().map(|row| row[0].to_lowercase()) {
        // ER_GLOBAL_VARIABLE: it has no value of a session.
        let set = client.query(format!("SET SESSION {name} = DEFAULT"));
        let is_global = match &set {
            Err(error) if error.errno() == 1229 => true,
            Err(error) if error.errno() == 1238 => {
                client.query(format!("SELECT @@session.{name}")).is_err()
            }
            _ => false,
        };
        if set.is_ok() {
            client = server.client("");
        }
        if !is_global && system_variable::keeping(system_variable::modern_name(&name)).is_none() {
            unknown.insert(name);
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}
