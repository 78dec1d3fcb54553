//! Prepared statements of the binary protocol, compared with the server itself.

use crate::client::{Client, Login, Parameter, Prepared, capability};
use crate::single::{self, Random, SINGLE};
use crate::software::SOFTWARE;

const TYPES: &str = "CREATE TABLE every_type (id INT PRIMARY KEY AUTO_INCREMENT, \
     t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, m MEDIUMINT, i INT, iu INT UNSIGNED, b BIGINT, \
     bu BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), bi BIT(17), y YEAR, da DATE, \
     dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(6), c CHAR(10), v VARCHAR(300), \
     vb VARBINARY(300), x TEXT, bl LONGBLOB, e ENUM('a', 'b'), se SET('x', 'y', 'z'), j JSON, \
     u UUID, p POINT)";

/// A parameter of any binary type, as its bytes.
struct Bound {
    kind: u8,
    unsigned: bool,
    bytes: Option<Vec<u8>>,
}

fn bound(kind: u8, bytes: &[u8]) -> Bound {
    Bound { kind, unsigned: false, bytes: Some(bytes.to_vec()) }
}

fn text(kind: u8, text: &str) -> Bound {
    let mut bytes = Vec::new();
    crate::packet::lenenc(&mut bytes, text.as_bytes());
    Bound { kind, unsigned: false, bytes: Some(bytes) }
}

/// Whether an execution brings the types of its parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Types {
    Sent,
    Left,
}

fn execute(client: &mut Client, statement: &Prepared, params: &[Bound], types: Types) -> Vec<u8> {
    let mut body = statement.id.to_le_bytes().to_vec();
    body.extend_from_slice(&[0, 1, 0, 0, 0]);
    let mut nulls = vec![0_u8; params.len().div_ceil(8)];
    for (at, param) in params.iter().enumerate() {
        if param.bytes.is_none() {
            nulls[at / 8] |= 1 << (at % 8);
        }
    }
    body.extend_from_slice(&nulls);
    body.push(u8::from(types == Types::Sent));
    if types == Types::Sent {
        for param in params {
            body.extend_from_slice(&[param.kind, if param.unsigned { 0x80 } else { 0 }]);
        }
    }
    for param in params {
        body.extend_from_slice(param.bytes.as_deref().unwrap_or_default());
    }
    client.command(0x17, &body).expect("it is read");
    body
}

/// Values of each binary type for the columns of `every_type` but the first.
fn values(null_every: usize) -> Vec<Bound> {
    let mut unsigned = bound(8, &u64::MAX.to_le_bytes());
    unsigned.unsigned = true;
    let mut all = vec![
        bound(1, &[0x80]),
        Bound { kind: 1, unsigned: true, bytes: Some(vec![0xff]) },
        bound(2, &(-32768_i16).to_le_bytes()),
        bound(3, &(-8_388_608_i32).to_le_bytes()),
        bound(3, &i32::MIN.to_le_bytes()),
        Bound { kind: 3, unsigned: true, bytes: Some(vec![0xff; 4]) },
        bound(8, &i64::MIN.to_le_bytes()),
        unsigned,
        bound(4, &1.5_f32.to_le_bytes()),
        bound(5, &(-2.5e300_f64).to_le_bytes()),
        text(246, "12345678901234567890.0123456789"),
        text(254, "\u{1}\u{2}\u{3}"),
        bound(2, &2024_i16.to_le_bytes()),
        bound(10, &[4, 0xe8, 7, 2, 29]),
        bound(12, &[11, 0xe8, 7, 2, 29, 23, 59, 58, 0x40, 0xe2, 1, 0]),
        bound(7, &[7, 0xe8, 7, 2, 29, 1, 2, 3]),
        bound(11, &[12, 1, 1, 0, 0, 0, 2, 3, 4, 1, 0, 0, 0]),
        text(254, "zürich"),
        text(253, &"v".repeat(260)),
        text(252, "\0\u{1}'\\"),
        text(252, &"t".repeat(70_000)[..60_000]),
        text(251, "blob"),
        text(253, "b"),
        text(15, "x,z"),
        text(253, r#"{"a": [1, null]}"#),
        text(253, "123e4567-e89b-12d3-a456-426655440000"),
        Bound { kind: 6, unsigned: false, bytes: None },
    ];
    if null_every > 0 {
        for at in (0..all.len()).step_by(null_every) {
            all[at].bytes = None;
        }
    }
    all
}

/// Goal: parameters and results of every type arrive as with the server itself, NULLs included,
/// with and without types in the execution.
#[test]
fn every_type_goes_round() {
    let cluster = SINGLE.watched();
    let server = cluster.shards[0].primary.socket_address();
    let proxy = cluster.proxy().socket_address();
    for capabilities in [capability::DEPRECATE_EOF, 0] {
        let mut recorded = Vec::new();
        for address in [server, proxy] {
            let login = Login { capabilities, ..Login::test("app") };
            let mut client = Client::connect(address, &login).expect("a login");
            client.query("DROP TABLE IF EXISTS every_type").expect("ok");
            client.query(SOFTWARE.words(TYPES)).expect("a table");
            let mut all = Vec::new();
            let marks = vec!["?"; 27].join(", ");
            let insert = client.prepare(format!("INSERT INTO every_type VALUES (NULL, {marks})"));
            let insert = insert.expect("a statement");
            all.extend(
                client.recorded.iter().map(|packet| packet.get(10..).unwrap_or(packet).to_vec()),
            );
            for (nulls, types) in
                [(0, Types::Sent), (2, Types::Left), (3, Types::Sent), (1, Types::Left)]
            {
                execute(&mut client, &insert, &values(nulls), types);
                client.read_answer(true).unwrap_or_else(|error| panic!("{nulls}: {error}"));
                all.append(&mut client.recorded);
            }
            let select = client.prepare("SELECT * FROM every_type WHERE id > ? ORDER BY id");
            let select = select.expect("a statement");
            for least in [0, 2, 100] {
                client.execute(&select, &[Parameter::Int(least)]).expect("rows");
                all.append(&mut client.recorded);
            }
            recorded.push(all);
        }
        assert_eq!(recorded[0].len(), recorded[1].len());
        for (at, (theirs, ours)) in recorded[0].iter().zip(&recorded[1]).enumerate() {
            assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{at}");
        }
    }
}

/// Goal: new types of a later execution count, and old ones are remembered per statement.
#[test]
fn types_change_between_executions() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    let one = client.prepare("SELECT ?, 'one'").expect("a statement");
    let two = client.prepare("SELECT ?, 'two'").expect("a statement");
    let mut run = |statement: &Prepared, param: Bound, types| {
        execute(&mut client, statement, &[param], types);
        client.read_answer(true).expect("a row").scalar()
    };
    assert_eq!(run(&one, bound(8, &5_i64.to_le_bytes()), Types::Sent), "5");
    assert_eq!(run(&two, text(253, "text"), Types::Sent), "text");
    assert_eq!(run(&one, bound(8, &6_i64.to_le_bytes()), Types::Left), "6");
    assert_eq!(run(&two, text(253, "more"), Types::Left), "more");
    if !SOFTWARE.is_mysql() {
        // MySQL keeps the type that it gave the statement first, and converts.
        assert_eq!(run(&one, text(253, "now text"), Types::Sent), "now text");
        assert_eq!(run(&one, text(253, "again"), Types::Left), "again");
    }
    let third = client.prepare("SELECT ?").expect("a statement");
    execute(&mut client, &third, &[bound(8, &[1; 8])], Types::Left);
    assert_eq!(client.read_answer(true).expect_err("no types yet").errno(), 1210);
    client.ping().expect("the connection goes on");
}

/// Goal: long data comes in pieces, is forgotten after an execution and by COM_STMT_RESET, and is
/// refused above its limit at the execution.
#[test]
fn long_data() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("long-data", "[limits]\nlong_data_bytes_max = 300000\n");
    for address in [cluster.shards[0].primary.socket_address(), proxy.socket_address()] {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let statement = client.prepare("SELECT LENGTH(?), ?, ?").expect("a statement");
        let piece = |client: &mut Client, param: u16, data: &[u8]| {
            let id = statement.id.to_le_bytes();
            let body = [&id[..], &param.to_le_bytes(), data].concat();
            client.command(0x18, &body).expect("it is read");
        };
        let run = |client: &mut Client, params: &[Bound]| {
            execute(client, &statement, params, Types::Sent);
            client.read_answer(true).map(|answer| answer.texts()[0].clone())
        };
        let gap = || Bound { kind: 252, unsigned: false, bytes: Some(Vec::new()) };
        piece(&mut client, 0, &vec![b'a'; 100_000]);
        piece(&mut client, 0, &vec![b'b'; 100_000]);
        piece(&mut client, 2, b"");
        let row = run(&mut client, &[gap(), text(253, "middle"), gap()]).expect("a row");
        assert_eq!(row, ["200000", "middle", ""]);
        let row = run(&mut client, &[text(253, "abc"), text(253, "x"), text(253, "y")]);
        assert_eq!(row.expect("a row"), ["3", "x", "y"]);
        piece(&mut client, 1, b"forgotten");
        client.command(0x1a, &statement.id.to_le_bytes()).expect("it is read");
        client.read_reply().expect("ok");
        let row = run(&mut client, &[text(253, "abc"), text(253, "x"), text(253, "y")]);
        assert_eq!(row.expect("a row"), ["3", "x", "y"]);
    }
    let mut client = proxy.client("app");
    let statement = client.prepare("SELECT LENGTH(?)").expect("a statement");
    for _ in 0..4 {
        let body = [&statement.id.to_le_bytes()[..], &[0, 0], &vec![b'a'; 100_000]].concat();
        client.command(0x18, &body).expect("it is read");
    }
    let error = client.execute(&statement, &[Parameter::Null]).expect_err("too much");
    assert!(error.to_string().contains("long_data_bytes_max"), "{error}");
    let answer = client.execute(&statement, &[Parameter::Text(b"abc".to_vec())]).expect("a row");
    assert_eq!(answer.scalar(), "3");
}

/// Goal: any number of statements works while each server connection keeps a bounded number.
#[test]
fn many_statements() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nserver_statements_max = 5\nserver_connections_max = 2\n";
    let proxy = cluster.another_proxy("many", limits);
    let mut monitor = cluster.shards[0].primary.client("");
    let mut count = || -> u64 {
        let answer = monitor.query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").expect("a row");
        answer.texts()[0][1].parse().expect("a number")
    };
    let mut random = Random::new(7);
    let mut clients = [proxy.client("app"), proxy.client("app_a")];
    let mut statements: Vec<Vec<Prepared>> = Vec::new();
    for client in &mut clients {
        let all = (0..40).map(|number| client.prepare(format!("SELECT {number} + ?, DATABASE()")));
        statements.push(all.collect::<Result<_, _>>().expect("statements"));
    }
    for _ in 0..400 {
        let (who, which) = (random.below(2) as usize, random.below(40) as usize);
        let answer = clients[who].execute(&statements[who][which], &[Parameter::Int(1000)]);
        let number = (1000 + which).to_string();
        assert_eq!(answer.expect("a row").texts(), [[number.as_str(), ["app", "app_a"][who]]]);
    }
    // Other tests prepare on this server too, but not hundreds.
    assert!(count() < 100, "{} statements on the server", count());
    for statement in &statements[0] {
        clients[0].close(statement).expect("no answer");
    }
    assert_eq!(clients[0].execute(&statements[0][0], &[]).expect_err("closed").errno(), 1243);
    clients[1].execute(&statements[1][0], &[Parameter::Int(1)]).expect("not closed");
}

/// Goal: a session whose own database is dropped by a prepared statement is in none, as on a
/// server, and can go into another.
#[test]
fn the_sessions_database_is_dropped() {
    let cluster = SINGLE.watched();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        client.query("CREATE DATABASE doomed").expect("ok");
        client.query("USE doomed").expect("ok");
        let drop = client.prepare("DROP DATABASE doomed").expect("a statement");
        client.execute(&drop, &[]).expect("ok");
        assert_eq!(client.query("SELECT DATABASE()").expect("a row").texts(), [["NULL"]]);
        if SOFTWARE.is_mysql() {
            println!("skipped: MySQL prepares no USE");
            client.query("USE app").expect("ok");
        } else {
            let enter = client.prepare("USE app").expect("a statement");
            client.execute(&enter, &[]).expect("ok");
        }
        assert_eq!(client.query("SELECT DATABASE()").expect("a row").texts(), [["app"]]);
    }
}

/// Goal: a statement survives DDL on its table and a change of the server connection below it.
#[test]
fn statements_outlive_what_is_below() {
    // A server of its own, because all of Geogate's connections to it are killed.
    let cluster = single::start("below", "[limits]\nserver_connections_max = 1\n");
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let mut client = proxy.client("app");
    client.query("CREATE TABLE altered (id INT PRIMARY KEY, v INT)").expect("ok");
    client.query("INSERT INTO altered VALUES (1, 10)").expect("ok");
    let all = client.prepare("SELECT * FROM altered WHERE id = ?").expect("a statement");
    let one = [Parameter::Int(1)];
    assert_eq!(client.execute(&all, &one).expect("a row").texts(), [["1", "10"]]);
    proxy.client("app").query("ALTER TABLE altered ADD COLUMN w INT DEFAULT 5").expect("ok");
    assert_eq!(client.execute(&all, &one).expect("a row").texts(), [["1", "10", "5"]]);
    // The only connection is closed below the session.
    let mut monitor = cluster.shards[0].primary.client("");
    let ids = monitor.query("SELECT id FROM information_schema.processlist WHERE user = 'geogate'");
    for row in ids.expect("rows").texts() {
        let _ = monitor.query(format!("KILL {}", row[0]));
    }
    assert_eq!(client.execute(&all, &one).expect("a row").texts(), [["1", "10", "5"]]);
    // Another session changes everything on it.
    let mut other = proxy.client("app_b");
    other.query("SET sql_mode = 'ANSI_QUOTES', NAMES latin1").expect("ok");
    other.query("SELECT GET_LOCK('below', 0)").expect("ok");
    drop(other);
    assert_eq!(client.execute(&all, &one).expect("a row").texts(), [["1", "10", "5"]]);
    client.query("DROP TABLE altered").expect("ok");
    assert_eq!(client.execute(&all, &one).expect_err("no table").errno(), 1146);
}

/// Goal: what only the session knows is right in prepared statements too.
#[test]
fn functions_of_the_session() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut others: Vec<Client> = (0..4).map(|_| proxy.client("app")).collect();
    let mut client = proxy.client("app");
    client.query("CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, v INT)").expect("ok");
    let mut ask = |client: &mut Client, sql: &str| {
        let statement = client.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        for other in &mut others {
            other.query(format!("SELECT * FROM {} s", SOFTWARE.series(9))).expect("rows");
        }
        let answer =
            client.execute(&statement, &[]).unwrap_or_else(|error| panic!("{error}: {sql}"));
        answer.scalar()
    };
    let id = client.connection_id.to_string();
    assert_eq!(ask(&mut client, "SELECT CONNECTION_ID()"), id);
    client.query("INSERT INTO counted (v) VALUES (1), (2), (3)").expect("ok");
    assert_eq!(ask(&mut client, "SELECT LAST_INSERT_ID()"), "1");
    client.query("UPDATE counted SET v = 9 WHERE id < 3").expect("ok");
    assert_eq!(ask(&mut client, "SELECT ROW_COUNT()"), "2");
    client.query("SELECT * FROM counted").expect("rows");
    assert_eq!(ask(&mut client, "SELECT FOUND_ROWS()"), "3");
    assert!(ask(&mut client, "SELECT USER()").starts_with("test@"));
    let set = client.prepare("SET @p = ?").expect("a statement");
    client.execute(&set, &[Parameter::Int(42)]).expect("ok");
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "SELECT @p"), "42");
    }
    for sql in ["BEGIN", "INSERT INTO counted (v) VALUES (4)", "ROLLBACK"] {
        // MySQL prepares no BEGIN.
        if SOFTWARE.is_mysql() {
            client.query(sql).expect("ok");
        } else {
            ask(&mut client, sql);
        }
    }
    assert_eq!(ask(&mut client, "SELECT COUNT(*) FROM counted"), "3");
    client.query("SELECT CAST('1x' AS SIGNED)").expect("a warning");
    if !SOFTWARE.is_mysql() {
        assert_eq!(ask(&mut client, "SHOW WARNINGS"), "Warning");
    }
    client.query("DROP TABLE counted").expect("ok");
    for other in &mut others {
        assert_eq!(other.query("SELECT @p").expect("a row").scalar(), "NULL");
    }
}
