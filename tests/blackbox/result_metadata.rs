//! MySQL's results without metadata: a client that knows the columns asks the server to leave their
//! definitions out. On MariaDB these tests say that they are skipped, or that it is not offered.

use std::net::SocketAddr;
use std::thread;

use crate::client::{Client, Login, SERVER_MORE_RESULTS, capability};
use crate::mysql::is_mysql;
use crate::packet::lenenc;
use crate::shop::{SHOP, scratch_table};
use crate::single::{self, Random, SINGLE};

/// What a client sends.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// COM_QUERY.
    Query(&'static str),
    /// COM_STMT_PREPARE; the statement is executed by the steps after it.
    Prepare(&'static str),
    /// COM_STMT_EXECUTE with one number.
    Execute,
    /// The same with a cursor.
    Open,
    /// COM_STMT_FETCH of so many rows.
    Fetch(u32),
    /// COM_FIELD_LIST.
    FieldList(&'static str),
    /// COM_RESET_CONNECTION.
    Reset,
}

use Step::{Execute, Fetch, FieldList, Open, Prepare, Query, Reset};

const NONE: Step = Query("SET resultset_metadata = NONE");

/// Every way to get a result, with and without definitions.
const STEPS: &[Step] = &[
    Query("SELECT 1 AS a, 'x' AS b"),
    Prepare("SELECT id, v FROM undescribed WHERE id < ?"),
    Execute,
    NONE,
    Execute,
    Open,
    Fetch(1),
    Fetch(5),
    Query("SELECT 1 AS a, 'x' AS b UNION SELECT 3, NULL"),
    Query("SELECT * FROM undescribed WHERE FALSE"),
    Query("SELECT * FROM not_there"),
    Query("SHOW VARIABLES LIKE 'resultset%'"),
    Query("SELECT @@resultset_metadata, @@session.resultset_metadata"),
    Query("SHOW SESSION STATUS LIKE 'Ssl_cipher'"),
    Query("SELECT CONNECTION_ID() > 0, ROW_COUNT(), @@warning_count, DATABASE()"),
    Query("SELECT 1 / 0"),
    Query("SHOW WARNINGS"),
    Query("SHOW COUNT(*) WARNINGS"),
    Query("SELECT 1; SET @m = 2; SELECT 2, 3; SELECT * FROM not_there"),
    Query("SET @a = 1.50 + 1, @b = CONCAT('x', 'y'), @c = (SELECT MAX(id) FROM undescribed)"),
    Query("SELECT @a, @b, @c, @m"),
    Query("SELECT @c := 7 + 1"),
    Query("SELECT @c"),
    Query("BEGIN"),
    Query("SELECT * FROM undescribed"),
    Query("ROLLBACK"),
    Query("PREPARE s FROM 'SELECT id FROM undescribed WHERE id > ?'"),
    Query("EXECUTE s USING @d"),
    Query("EXPLAIN FORMAT=TRADITIONAL SELECT 1"),
    Query("SET resultset_metadata = FULL"),
    Query("CALL undescribed_rows()"),
    Query("CALL undescribed_rows()"),
    Query("SELECT @@resultset_metadata"),
    Prepare("SELECT id, v FROM undescribed WHERE id < ? ORDER BY id"),
    Execute,
    Open,
    Fetch(9),
    Query("SET resultset_metadata = DEFAULT"),
    Execute,
    Open,
    Fetch(9),
    Query("SET SESSION resultset_metadata = 'none'"),
    Prepare("CALL undescribed_out(?)"),
    Execute,
    Prepare("DO ?"),
    Execute,
    Prepare("SELECT @@resultset_metadata, CONNECTION_ID() > ?"),
    Execute,
    FieldList("undescribed"),
    FieldList("not_there"),
    Query("SET resultset_metadata = 1"),
    Query("SELECT 1"),
    Query("SET @@resultset_metadata = 0"),
    Query("SELECT 1"),
    Query("SET @v = 'full', resultset_metadata = @v"),
    Query("SELECT 1"),
    Query("SET resultset_metadata = @v"),
    Query("SELECT 1"),
    Query("SET resultset_metadata = 2"),
    Query("SET resultset_metadata = NULL"),
    Query("SET GLOBAL resultset_metadata = NONE"),
    Query("SELECT @@global.resultset_metadata"),
    Query("SELECT /*+ SET_VAR(resultset_metadata = NONE) */ 1"),
    Query("SHOW WARNINGS"),
    Query("SET resultset_metadata = NONE; SELECT 1; SET resultset_metadata = FULL; SELECT 2"),
    NONE,
    Reset,
    Query("SELECT @@resultset_metadata"),
];

const DEFINITIONS: &[&str] = &[
    "CREATE TABLE undescribed (id INT PRIMARY KEY, v VARCHAR(20))",
    "INSERT INTO undescribed VALUES (1, 'one'), (2, NULL), (3, 'three')",
    "CREATE PROCEDURE undescribed_rows() BEGIN SET resultset_metadata = NONE;
     SELECT id FROM undescribed; SET SESSION resultset_metadata = FULL; SELECT 2;
     SET resultset_metadata = NONE; END",
    "CREATE PROCEDURE undescribed_out(OUT n INT) BEGIN SELECT 1; SET n = 7; END",
];

fn client(address: SocketAddr, database: &str, more: u32) -> Client {
    let capabilities = capability::OPTIONAL_RESULTSET_METADATA
        | capability::MULTI_STATEMENTS
        | capability::PS_MULTI_RESULTS
        | more;
    Client::connect(address, &Login { capabilities, ..Login::test(database) }).expect("a login")
}

/// Takes a step, and gives every packet of the answer.
fn take(client: &mut Client, id: &mut u32, step: Step) -> Vec<String> {
    let execution = |flags: u8| {
        let parameter = 3_u64.to_le_bytes();
        [&id.to_le_bytes()[..], &[flags, 1, 0, 0, 0, 0, 1, 8, 0], &parameter].concat()
    };
    let sent = match step {
        Query(text) => client.command(0x03, text.as_bytes()),
        Execute => client.command(0x17, &execution(0)),
        Open => client.command(0x17, &execution(1)),
        Fetch(rows) => client.command(0x1c, &[id.to_le_bytes(), rows.to_le_bytes()].concat()),
        FieldList(table) => client.command(0x04, &[table.as_bytes(), b"\0"].concat()),
        Reset => client.command(0x1f, b""),
        Prepare(text) => {
            *id = client.prepare(text).expect("a statement").id;
            Ok(())
        }
    };
    sent.expect("it is read");
    match step {
        Prepare(_) => {
            // The number of the statement is the server's own affair.
            client.recorded[0][2..6].fill(0);
        }
        Query(_) | Execute => {
            let mut more = true;
            while more {
                let answer = client.read_answer(matches!(step, Execute));
                more = answer.is_ok_and(|answer| answer.status & SERVER_MORE_RESULTS != 0);
            }
        }
        Open | Fetch(_) | FieldList(_) => {
            while client.read_reply().is_ok_and(|packet| packet[0] != 0xfe) {}
        }
        Reset => drop(client.read_reply().expect("OK")),
    }
    client.recorded.iter().map(|packet| packet.escape_ascii().to_string()).collect()
}

/// Goal: with and without definitions every answer is the server's, byte for byte.
#[test]
fn results_without_metadata() {
    let cluster = SINGLE.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.proxy().socket_address();
    if !is_mysql("results without metadata") {
        // Nor is it offered: a client that sets the flag all the same gets plain results.
        let mut client = client(proxy, "app", capability::DEPRECATE_EOF);
        assert_eq!(client.query("SELECT 7").expect("a row").columns.len(), 1);
        assert_eq!(client.recorded[0], b"\x01\x01");
        return;
    }
    let mut setup = server.client("app");
    for definition in DEFINITIONS {
        setup.query(definition).unwrap_or_else(|error| panic!("{error}: {definition}"));
    }
    for more in [capability::DEPRECATE_EOF, 0] {
        let (mut direct, mut proxied) =
            (client(server.socket_address(), "app", more), client(proxy, "app", more));
        let (mut direct_id, mut proxied_id) = (0, 0);
        for (number, step) in STEPS.iter().enumerate() {
            let direct = take(&mut direct, &mut direct_id, *step);
            let proxied = take(&mut proxied, &mut proxied_id, *step);
            assert_eq!(proxied, direct, "step {number}: {step:?}");
        }
    }
    // Who has not asked for the capability cannot leave them out.
    let mut plain = cluster.proxy().client("app");
    assert_eq!(plain.query("SET resultset_metadata = NONE").expect_err("no flag").errno(), 3640);
    assert_eq!(plain.query("SELECT @@resultset_metadata").expect("a row").scalar(), "FULL");
}

/// Goal: sessions with and without definitions share connections, and each gets what it asked for;
/// what Geogate itself asks the servers is right on all of them.
#[test]
fn results_without_metadata_on_shared_connections() {
    if !is_mysql("results without metadata") {
        return;
    }
    let limits = "[limits]\nserver_connections_max = 4\nserver_connection_wait_ms = 60000\n";
    let cluster = single::start("metadata", limits);
    let cluster = cluster.watched();
    cluster.shards[0].primary.sql("CREATE TABLE app.shared_metadata (id INT PRIMARY KEY)");
    let proxy = cluster.proxy().socket_address();
    thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || one_of_many(proxy, number));
        }
    });
    let mut client = client(proxy, "app", capability::DEPRECATE_EOF);
    client.query("SET resultset_metadata = NONE").expect("done");
    // The list of sessions is written by Geogate, in the columns that the server describes.
    let rows = client.query("SHOW PROCESSLIST").expect("rows");
    let own = rows.texts().into_iter().find(|row| row[7] == "SHOW PROCESSLIST");
    assert_eq!(own.expect("it runs")[3], "app");
    assert!(rows.columns.is_empty());
}

fn one_of_many(proxy: SocketAddr, number: u64) {
    let mut random = Random::new(number);
    let eof = if number.is_multiple_of(3) { 0 } else { capability::DEPRECATE_EOF };
    let has_flag = !number.is_multiple_of(4);
    let mut client = if has_flag {
        client(proxy, "app", eof)
    } else {
        let capabilities = capability::MULTI_STATEMENTS | eof;
        let login = Login { capabilities, ..Login::test("app") };
        Client::connect(proxy, &login).expect("a login")
    };
    let (mut described, mut value) = (1, 0);
    for round in 0..200 {
        if has_flag && random.below(4) == 0 {
            described = random.below(2) as usize;
            let word = ["'NONE'", "FULL"][described];
            client.query(format!("SET resultset_metadata = {word}")).expect("done");
        }
        let answer = match random.below(4) {
            0 => {
                value = round;
                client.query(format!("SET @v = {round} + 0, @t = CONCAT('é', {round})"))
            }
            1 => client.query("SELECT @v, @t"),
            2 => client.query("SELECT 1 AS a, 2 AS b FROM DUAL"),
            _ => {
                let id = number * 1000 + round;
                client.query(format!("REPLACE INTO shared_metadata VALUES ({id})")).expect("done");
                client.query(format!("SELECT id, @v + 0 FROM shared_metadata WHERE id = {id}"))
            }
        };
        let answer = answer.expect("an answer");
        if !answer.rows.is_empty() {
            assert_eq!(answer.columns.len(), 2 * described, "client {number}, round {round}");
        }
        if answer.rows.first().is_some_and(|row| row.len() == 2) && value > 0 {
            let row = &answer.texts()[0];
            let is_value = row[1] == value.to_string() || row[1] == format!("é{value}");
            assert!(is_value || row[..] == ["1", "2"], "client {number}, round {round}: {row:?}");
        }
    }
}

/// Goal: rows of several shards come without definitions too, in the order that their types give.
#[test]
fn merged_results_without_metadata() {
    let cluster = SHOP.watched();
    if !is_mysql("results without metadata") {
        return;
    }
    let table = scratch_table();
    for more in [capability::DEPRECATE_EOF, 0] {
        let mut client = client(cluster.proxy().socket_address(), "shop", more);
        let rows = (1..=20).map(|id| format!("({id}, {}, 'v{id}')", 40 - 2 * id));
        let rows = rows.collect::<Vec<_>>().join(", ");
        client.query(format!("DELETE FROM {table}")).expect("done");
        client.query(format!("INSERT INTO {table} (id, k, v) VALUES {rows}")).expect("done");
        let by_k = format!("SELECT id, v FROM {table} ORDER BY k LIMIT 3");
        let wanted = [["20", "v20"], ["19", "v19"], ["18", "v18"]];
        let full = client.query(&by_k).expect("rows");
        assert_eq!((full.columns.len(), full.texts()), (2, texts(&wanted)));
        let prepared = client.prepare(format!("SELECT id FROM {table} WHERE k < ? ORDER BY k"));
        let prepared = prepared.expect("a statement");
        for begin in ["SET @a = 1", "BEGIN"] {
            client.query("SET resultset_metadata = NONE").expect("done");
            client.query(begin).expect("done");
            let none = client.query(&by_k).expect("rows");
            assert_eq!((none.columns.len(), none.texts()), (0, texts(&wanted)));
            let sum = client.query(format!("SELECT SUM(k), COUNT(*) FROM {table}")).expect("a row");
            assert_eq!((sum.columns.len(), sum.texts()), (0, texts(&[["380", "20"]])));
            let one = client.query(format!("SELECT v FROM {table} WHERE id = 7")).expect("a row");
            assert_eq!((one.columns.len(), one.scalar().as_str()), (0, "v7"));
            let text = format!("SELECT @@resultset_metadata, MAX(id) FROM {table}");
            let named = client.query(text).expect("a row").texts();
            assert_eq!(named, [["NONE", "20"]]);
            let text = format!("SELECT @@resultset_metadata, MAX(id) FROM {table} WHERE k < 60");
            let asking = client.prepare(text).expect("a statement");
            assert_eq!(client.execute(&asking, &[]).expect_err("it is refused").errno(), 1235);
            let shown = client.query("SHOW VSCHEMA TABLES").expect("rows");
            assert!(shown.columns.is_empty() && !shown.rows.is_empty());
            // Binary rows: an offset for NULL bits, then the number.
            let first = |rows: Vec<Vec<u8>>| rows.iter().map(|row| row[2]).collect::<Vec<_>>();
            for flags in [0, 1] {
                let mut body = [&prepared.id.to_le_bytes()[..], &[flags, 1, 0, 0, 0]].concat();
                body.extend([0, 1, 0xfd, 0]);
                lenenc(&mut body, b"6");
                client.command(0x17, &body).expect("it is read");
                if flags == 1 {
                    assert_eq!(client.read_reply().expect("a count"), [1, 0]);
                    assert_eq!(client.read_reply().expect("their end")[0], 0xfe);
                    let fetch = [prepared.id.to_le_bytes(), [9, 0, 0, 0]].concat();
                    client.command(0x1c, &fetch).expect("it is read");
                    let mut rows = Vec::new();
                    loop {
                        let packet = client.read_reply().expect("a row");
                        if packet[0] == 0xfe {
                            break;
                        }
                        rows.push(packet);
                    }
                    assert_eq!(first(rows), [20, 19, 18]);
                } else {
                    let answer = client.read_answer(true).expect("rows");
                    let rows = answer.rows.into_iter().filter_map(|mut row| row.remove(0));
                    assert_eq!(first(rows.collect()), [20, 19, 18]);
                }
            }
            client.query("ROLLBACK").expect("done");
            client.query("SET resultset_metadata = DEFAULT").expect("done");
            let full = client.query(&by_k).expect("rows");
            assert_eq!((full.columns.len(), full.texts()), (2, texts(&wanted)));
        }
    }
}

fn texts(rows: &[[&str; 2]]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}
