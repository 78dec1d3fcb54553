//! The protocol after login, byte for byte: every command, broken input, final packets in all forms
//! that clients ask for, text that is no UTF-8, statements and rows beyond 16 MiB.
//!
//! What a client reads through the proxy is compared with what the same client reads from the
//! server itself.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::client::{Client, Login, Parameter, capability};
use crate::cluster::Watched;
use crate::single::{self, Random, SINGLE};

/// Goal: a command that Geogate does not serve is answered with error 1047, and the connection
/// goes on.
#[test]
fn unknown_commands() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    let unknown = [0, 5, 6, 8, 11, 15, 16, 18, 19, 20, 21, 29, 30, 32, 100, 0xfa, 0xff];
    for code in unknown {
        client.command(code, b"whatever").expect("it is read");
        let error = client.read_reply().expect_err("no such command");
        assert_eq!(error.errno(), 1047, "command {code}: {error}");
    }
    // COM_REFRESH is FLUSH; the only server says what it thinks of it.
    let plain = cluster.shards[0].primary.client("app");
    let refresh = |mut client: Client| {
        const TABLES: &[u8] = &[4];
        client.command(7, TABLES).expect("it is read");
        client.read_reply().map_or_else(|error| error.errno(), |_| 0)
    };
    assert_eq!(refresh(cluster.proxy().client("app")), refresh(plain));
    client.ping().expect("a pong");
    assert_eq!(client.query("SELECT 1").expect("a row").scalar(), "1");
}

/// Goal: whatever the bytes are, before and after login, the answer is an error or a closed
/// connection, and the proxy serves others as before. Seeded.
#[test]
fn random_bytes_harm_nobody() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let seed = 20_260_801;
    let mut random = Random::new(seed);
    for round in 0..300 {
        let length = random.below(600) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let after_login = round % 2 == 1;
        if random.below(2) == 0 && bytes.len() > 4 {
            // A right header, so that the payload is looked at.
            let payload = bytes.len() - 4;
            bytes[..3].copy_from_slice(&(payload as u32).to_le_bytes()[..3]);
            bytes[3] = u8::from(!after_login);
            if after_login {
                bytes[4] =
                    *random.pick(&[0x02, 0x03, 0x04, 0x11, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b]);
            }
        }
        let mut stream;
        if after_login {
            let client = proxy.client("app");
            stream = client.stream().try_clone().expect("a socket can be copied");
        } else {
            stream = TcpStream::connect(proxy.socket_address()).expect("it listens");
        }
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid duration");
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let ended = stream.take(1 << 20).read_to_end(&mut rest);
        let in_time = ended.as_ref().err().is_none_or(|error| {
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        });
        assert!(in_time, "seed {seed}, round {round}: the connection stays open: {bytes:?}");
    }
    assert_eq!(proxy.client("app").query("SELECT 1").expect("a row").scalar(), "1");
}

/// Goal: packets out of sequence and packets that end early close the connection, the former with
/// error 1156.
#[test]
fn broken_framing() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    client.write_raw(b"\x09\0\0\x05\x03SELECT 1").expect("it is read");
    assert_eq!(client.read_reply().expect_err("out of sequence").errno(), 1156);
    assert_eq!(client.ping().expect_err("closed").errno(), 0);
    for bytes in
        [&b"\x40"[..], b"\x40\0\0\0", b"\x40\0\0\0\x03SELECT", b"\0\0\0\0", b"\x01\0\0\0\x17"]
    {
        let mut client = cluster.proxy().client("app");
        client.write_raw(bytes).expect("it is read");
        client.stream().shutdown(Shutdown::Write).expect("open until now");
        while client.read_packet().is_ok() {}
    }
    // The second packet of a long command has the wrong number.
    let mut client = cluster.proxy().client("app");
    let long = [&b"\xff\xff\xff\0\x16"[..], &vec![b' '; 0xff_fffe], b"\x01\0\0\x07x"].concat();
    let _ = client.write_raw(&long);
    assert_eq!(client.read_reply().expect_err("out of sequence").errno(), 1156);
}

/// Goal: a statement that is much larger than the server takes ends as it does there, whose
/// connection is closed in the middle of it: with error 1153 or without a word.
#[test]
fn more_than_the_server_takes() {
    let cluster = crate::single::start("too-large", "");
    let cluster = cluster.watched();
    cluster.shards[0].primary.sql("SET GLOBAL max_allowed_packet = 1 << 20");
    let mut sql = b"SELECT '".to_vec();
    sql.resize(20 << 20, b'a');
    sql.push(b'\'');
    let sql = String::from_utf8(sql).expect("letters");
    for (name, address) in [
        ("direct", cluster.shards[0].primary.socket_address()),
        ("through", cluster.proxy().socket_address()),
    ] {
        for _ in 0..3 {
            let mut client = Client::connect(address, &Login::test("app")).expect("a login");
            let errno = client.query(&sql).expect_err("it is too large").errno();
            assert!(errno == 1153 || errno == 0, "{name}: {errno}");
        }
    }
}

/// Goal: a command above `statement_bytes_max` that cannot be streamed is refused with error 1153.
#[test]
fn oversized_commands() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("small", "[limits]\nstatement_bytes_max = 100000\n");
    let mut client = proxy.client("app");
    let long = "x".repeat(200_000);
    let error = client.prepare(format!("SELECT '{long}'")).expect_err("too long");
    assert_eq!(error.errno(), 1153, "{error}");
    assert_eq!(client.ping().expect_err("closed").errno(), 0);
    let error = proxy.client("app").query(format!("SET @a = '{long}'")).expect_err("too long");
    assert_eq!(error.errno(), 1153, "{error}");
    let answer = proxy.client("app").query(format!("SELECT LENGTH('{long}')"));
    assert_eq!(answer.expect("a streamed statement").scalar(), "200000");
}

/// Goal: commands that come in one segment are answered one after the other.
#[test]
fn pipelined_commands() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    let statement = client.prepare("SELECT 5").expect("a statement");
    let close = [&b"\x05\0\0\0\x19"[..], &statement.id.to_le_bytes()].concat();
    let query = |sql: &str| {
        let mut packet = ((sql.len() + 1) as u32).to_le_bytes()[..3].to_vec();
        packet.extend_from_slice(&[0, 3]);
        packet.extend_from_slice(sql.as_bytes());
        packet
    };
    let all = [
        close,
        query("SELECT 1"),
        query("SELECT nonsense"),
        query("SELECT 2"),
        b"\x01\0\0\0\x0e".to_vec(),
    ];
    client.write_raw(&all.concat()).expect("it is read");
    assert_eq!(client.read_answer(false).expect("a row").scalar(), "1");
    assert_eq!(client.read_answer(false).expect_err("no column").errno(), 1054);
    assert_eq!(client.read_answer(false).expect("a row").scalar(), "2");
    client.read_reply().expect("a pong");
    let error = client.execute(&statement, &[]).expect_err("it is closed");
    assert_eq!(error.errno(), 1243);
}

/// The statements whose answers are compared, in one session.
const STATEMENTS: &[&str] = &[
    "DROP TABLE IF EXISTS facts",
    "CREATE TABLE facts (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, v VARCHAR(20))",
    "DROP PROCEDURE IF EXISTS two_results",
    "CREATE PROCEDURE two_results() BEGIN SELECT 1 AS one; SELECT id, v FROM facts; \
     UPDATE facts SET v = 'z' WHERE id = 1; END",
    "INSERT INTO facts (k, v) VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO facts (k, v) VALUES (3, 'c')",
    "INSERT IGNORE INTO facts (k, v) VALUES (1, 'again'), (4, 'd')",
    "SHOW WARNINGS",
    "INSERT INTO facts (k) VALUES (1) ON DUPLICATE KEY UPDATE v = 'dup'",
    "INSERT INTO facts (k) VALUES (1)",
    "SHOW WARNINGS",
    "REPLACE INTO facts (id, k, v) VALUES (1, 1, 'r')",
    "UPDATE facts SET v = 'u' WHERE k < 3",
    "UPDATE facts SET v = 'u' WHERE k < 3",
    "DELETE FROM facts WHERE k = 3",
    "SELECT * FROM facts ORDER BY id",
    "SELECT * FROM facts WHERE 1 = 0",
    "SELECT v FROM facts WHERE v = 'u'",
    "SELECT CAST('1x' AS SIGNED), 1/0",
    "SHOW WARNINGS",
    "SHOW COUNT(*) WARNINGS",
    "SELECT @@warning_count",
    "SELECT nonsense",
    "SHOW ERRORS",
    "SELEC 1",
    "",
    ";",
    "-- nothing",
    "CALL two_results()",
    "DO 1",
    "BEGIN",
    "SELECT 1",
    "INSERT INTO facts (k) VALUES (10)",
    "SAVEPOINT s",
    "INSERT INTO facts (k) VALUES (11)",
    "ROLLBACK TO s",
    "RELEASE SAVEPOINT s",
    "RELEASE SAVEPOINT s",
    "COMMIT",
    "START TRANSACTION READ ONLY",
    "SELECT 1",
    "INSERT INTO facts (k) VALUES (12)",
    "ROLLBACK",
    "START TRANSACTION",
    "DELETE FROM facts WHERE k = 10",
    "CREATE TABLE facts_ddl (id INT)",
    "SELECT 1",
    "DROP TABLE facts_ddl",
    "SET autocommit = 0",
    "SELECT COUNT(*) FROM facts",
    "COMMIT",
    "SELECT 1",
    "SET autocommit = 1",
    "SELECT 1",
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "SELECT '\\'",
    "SET sql_mode = DEFAULT",
    "SELECT 1 AS `a b`, NULL, 'x' COLLATE utf8mb4_bin, 1.50, 2e0, DATE '2024-02-29', X'00ff'",
    "SHOW TABLES LIKE 'facts%'",
    "DESCRIBE facts",
    "EXPLAIN SELECT * FROM facts WHERE id = 1",
    "SELECT SQL_CALC_FOUND_ROWS id FROM facts LIMIT 1",
    "SELECT FOUND_ROWS()",
    "SELECT ROW_COUNT()",
    "SELECT DATABASE()",
    "USE app_a",
    "USE nowhere",
    "USE app",
    "SELECT DATABASE(), SCHEMA()",
    "SET NAMES latin1",
    "SELECT 'x'",
    "SET NAMES utf8mb4",
    "SET no_such_variable = 1",
    "LOAD DATA LOCAL INFILE '/nothing' INTO TABLE facts",
    "LOCK TABLES facts READ",
    "SELECT COUNT(*) FROM facts",
    "UNLOCK TABLES",
    "PREPARE p FROM 'SELECT ?'",
    "SET @x = 4",
    "EXECUTE p USING @x",
    "DEALLOCATE PREPARE p",
    "CREATE TEMPORARY TABLE facts_temporary (id INT)",
    "INSERT INTO facts_temporary VALUES (1), (2)",
    "SELECT * FROM facts_temporary",
    "SELECT 1; SELECT 2",
    "DROP TABLE facts, facts_temporary",
    "DROP PROCEDURE two_results",
];

/// Goal: columns, rows, status, warnings, info, ids and more-results of every kind of statement are
/// byte for byte the server's own, in each form that a client can ask for.
#[test]
fn final_packets_are_the_servers() {
    let cluster = single::start("facts", "");
    let cluster = cluster.watched();
    for capabilities in [
        0,
        capability::DEPRECATE_EOF,
        capability::SESSION_TRACK,
        capability::DEPRECATE_EOF | capability::SESSION_TRACK,
    ] {
        for multi in [0, capability::MULTI_STATEMENTS, capability::FOUND_ROWS] {
            let login = Login { capabilities: capabilities | multi, ..Login::test("app") };
            compare_session(&cluster, &login);
        }
    }
}

fn compare_session(cluster: &Watched<'_>, login: &Login) {
    let record = |address| {
        let mut client = Client::connect(address, login).expect("a login");
        let mut all = Vec::new();
        for sql in STATEMENTS {
            let _ = client.query_all(sql);
            all.push(std::mem::take(&mut client.recorded));
        }
        all
    };
    let theirs = record(cluster.shards[0].primary.socket_address());
    let ours = record(cluster.proxy().socket_address());
    let mut wrong = Vec::new();
    for ((sql, ours), theirs) in STATEMENTS.iter().zip(&ours).zip(&theirs) {
        if ours != theirs {
            let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
            let at = at.unwrap_or(ours.len().min(theirs.len()));
            let show = |packets: &Vec<Vec<u8>>| {
                packets.get(at).map(|packet| packet.escape_ascii().to_string())
            };
            wrong.push(format!(
                "{sql}\n  packet {at}, ours  {:?}\n  packet {at}, theirs {:?}",
                show(ours),
                show(theirs)
            ));
        }
    }
    let capabilities = login.capabilities;
    assert!(wrong.is_empty(), "capabilities {capabilities:#x}:\n{}", wrong.join("\n"));
}

/// Goal: text is bytes: no UTF-8, and character sets whose second bytes look like quotes.
#[test]
fn text_is_bytes() {
    let cluster = SINGLE.watched();
    let mut proxy = cluster.proxy().client("app");
    let mut direct = cluster.shards[0].primary.client("app");
    for sql in [
        &b"SELECT '\xff\xfe\x80', HEX('\xff')"[..],
        b"SET NAMES latin1",
        b"SELECT '\xff\xe4\xf6', HEX('\xe4'), LENGTH('\xc3\xa4') AS '\xe4'",
        b"SET NAMES binary",
        b"SELECT '\xff\0\x01', HEX('\x80')",
        b"SET NAMES gbk",
        b"SELECT HEX('\xbf\x5c'), 'after'",
        b"SET @a = '\xbf\x5c'",
        b"SELECT HEX(@a)",
        b"SET NAMES sjis",
        b"SELECT HEX('\x95\x5c'), 'after'; ",
        b"SET NAMES utf8mb4",
        b"SELECT _latin1'\xe4', _binary'\xff'",
    ] {
        let ours = proxy.query(sql).map_err(|error| error.errno());
        let theirs = direct.query(sql).map_err(|error| error.errno());
        assert_eq!(ours, theirs, "{}", sql.escape_ascii());
        assert_eq!(proxy.recorded, direct.recorded, "{}", sql.escape_ascii());
    }
}

/// Goal: statements, executions and rows of 16 MiB - 1, 16 MiB and 20 MiB go both ways, and the
/// connection is in step afterwards.
#[test]
fn packets_of_sixteen_mebibytes() {
    let cluster = SINGLE.watched();
    for capabilities in [capability::DEPRECATE_EOF, 0] {
        let login = Login { capabilities, ..Login::test("app") };
        let mut client =
            Client::connect(cluster.proxy().socket_address(), &login).expect("a login");
        let around = "SELECT LENGTH('')".len() + 1;
        for payload in [0xff_fffe, 0xff_ffff, 0x100_0000, 20 << 20] {
            let sql = format!("SELECT LENGTH('{}')", "x".repeat(payload - around));
            assert_eq!(sql.len() + 1, payload);
            let answer = client.query(&sql).unwrap_or_else(|error| panic!("{payload}: {error}"));
            assert_eq!(answer.scalar(), (payload - around).to_string());
            // The length before a value of this size takes four bytes.
            let answer = client.query(format!("SELECT REPEAT('y', {})", payload - 4));
            let answer = answer.unwrap_or_else(|error| panic!("row of {payload}: {error}"));
            let value = answer.rows[0][0].as_ref().expect("not NULL");
            assert!(value.len() == payload - 4 && value.iter().all(|byte| *byte == b'y'));
            let answer = client.query(format!("SELECT '{}', 1", "z".repeat(payload)));
            let answer = answer.unwrap_or_else(|error| panic!("both of {payload}: {error}"));
            assert_eq!(answer.rows[0][0].as_ref().map(Vec::len), Some(payload));
            let statement = client.prepare("SELECT LENGTH(?)").expect("a statement");
            // Thirteen bytes and the types stand before the value.
            let parameter = Parameter::Text(vec![b'p'; payload - 23]);
            let answer = client.execute(&statement, &[parameter]);
            let answer = answer.unwrap_or_else(|error| panic!("execution: {error}"));
            assert_eq!(answer.scalar(), (payload - 23).to_string());
            assert_eq!(client.query("SELECT 3").expect("in step").scalar(), "3");
        }
    }
}

/// Goal: a streamed statement takes part in the session: transaction, settings, ids, errors.
#[test]
fn streamed_statements_belong_to_the_session() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    client
        .query("CREATE TABLE streamed (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT)")
        .expect("ok");
    let long = "x".repeat(3 << 20);
    client.query("BEGIN").expect("ok");
    let answer = client.query(format!("INSERT INTO streamed (v) VALUES ('{long}'), ('y')"));
    let answer = answer.expect("two rows");
    assert_eq!((answer.affected, answer.last_insert_id), (2, 1));
    assert_eq!(client.query("SELECT COUNT(*) FROM streamed").expect("a row").scalar(), "2");
    client.query("ROLLBACK").expect("ok");
    assert_eq!(client.query("SELECT COUNT(*) FROM streamed").expect("a row").scalar(), "0");
    let error = client.query(format!("INSERT INTO nowhere_at_all VALUES ('{long}')"));
    assert_eq!(error.expect_err("no such table").errno(), 1146);
    client.query("SET sql_mode = 'ANSI_QUOTES'").expect("ok");
    let answer = client.query(format!("SELECT LENGTH('{long}') AS \"a b\", @@sql_mode"));
    let answer = answer.expect("a row");
    assert_eq!(answer.columns[0].name, "a b");
    assert_eq!(answer.texts()[0][1], "ANSI_QUOTES");
    // What the end of a long statement set is not seen by the next session.
    client.query(format!("SELECT LENGTH('{long}'), @late := 77")).expect("a row");
    drop(client);
    let mut next = cluster.proxy().client("app");
    for _ in 0..4 {
        assert_eq!(next.query("SELECT @late").expect("a row").scalar(), "NULL");
    }
    next.query("DROP TABLE streamed").expect("ok");
}

/// Goal: COM_FIELD_LIST, COM_SET_OPTION and COM_STATISTICS answer as the server does.
#[test]
fn rare_commands() {
    let cluster = SINGLE.watched();
    let server = &cluster.shards[0].primary;
    server
        .client("app")
        .query("CREATE TABLE listed (id INT PRIMARY KEY, v VARCHAR(9))")
        .expect("ok");
    for capabilities in [0, capability::DEPRECATE_EOF] {
        let login = Login { capabilities, ..Login::test("app") };
        let mut recorded = Vec::new();
        for address in [server.socket_address(), cluster.proxy().socket_address()] {
            let mut client = Client::connect(address, &login).expect("a login");
            let mut all = Vec::new();
            client.command(0x04, b"listed\0%").expect("it is read");
            while client.read_packet().expect("a packet").first() != Some(&0xfe) {}
            all.append(&mut client.recorded);
            client.command(0x04, b"not_listed\0").expect("it is read");
            assert_eq!(client.read_reply().expect_err("no such table").errno(), 1146);
            assert_eq!(client.query("SELECT 1; SELECT 2").expect_err("one only").errno(), 1064);
            // MySQL counts the error above in the answer to the next command.
            client.query("DO 1").expect("ok");
            client.recorded.clear();
            client.command(0x1b, b"\0\0").expect("it is read");
            client.read_reply().expect("an end");
            all.append(&mut client.recorded);
            let answers = client.query_all("SELECT 1; SELECT 2; DO 3").expect("three results");
            assert_eq!(answers.len(), 3);
            client.command(0x1b, b"\x01\0").expect("it is read");
            client.read_reply().expect("an end");
            assert_eq!(client.query("SELECT 1; SELECT 2").expect_err("one only").errno(), 1064);
            client.command(0x09, b"").expect("it is read");
            let line = client.read_packet().expect("a packet");
            assert!(line.starts_with(b"Uptime: "), "{}", line.escape_ascii());
            recorded.push(all);
        }
        assert_eq!(recorded[0], recorded[1]);
    }
}
