//! Server-side cursors, MariaDB's bulk executions, and session tracking: the same packets as from
//! the server itself, and over shards the same rows.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Client, Error, Login, Parameter, Prepared, capability};
use crate::packet::{Column, Reader, lenenc};
use crate::server::wait_until;
use crate::shared_statements::{execute, fixed};
use crate::shop::{SHOP, scratch_table};
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

const CURSOR_EXISTS: u16 = 0x40;
const LAST_ROW_SENT: u16 = 0x80;

/// A client whose cursors are looked at packet by packet.
struct Looking {
    client: Client,
    deprecate_eof: bool,
}

impl Looking {
    fn new(address: SocketAddr, database: &str, capabilities: u32) -> Self {
        let login = Login { capabilities, ..Login::test(database) };
        let client = Client::connect(address, &login).expect("a login");
        Self { client, deprecate_eof: capabilities & capability::DEPRECATE_EOF != 0 }
    }

    fn status(end: &[u8]) -> u16 {
        assert_eq!(end[0], 0xfe, "{}", end.escape_ascii());
        u16::from_le_bytes([end[3], end[4]])
    }

    /// Executes with a read-only cursor: the columns and the status behind them.
    fn open(&mut self, statement: &Prepared) -> Result<(Vec<Column>, u16), Error> {
        self.open_with(statement, &[])
    }

    /// The same with what follows the head of the command.
    fn open_with(
        &mut self,
        statement: &Prepared,
        parameters: &[u8],
    ) -> Result<(Vec<Column>, u16), Error> {
        let body = [&statement.id.to_le_bytes()[..], &[1, 1, 0, 0, 0], parameters].concat();
        self.client.command(0x17, &body)?;
        let count = self.client.read_reply()?[0];
        let columns = (0..count).map(|_| Ok(Column::read(&self.client.read_packet()?)?));
        let columns = columns.collect::<Result<_, Error>>()?;
        let end = self.client.read_reply()?;
        Ok((columns, Self::status(&end)))
    }

    /// Fetches: the first column of the rows, and the status behind them.
    fn fetch(
        &mut self,
        statement: &Prepared,
        columns: &[Column],
        rows: u32,
    ) -> Result<(Vec<String>, u16), Error> {
        let body = [statement.id.to_le_bytes(), rows.to_le_bytes()].concat();
        self.client.command(0x1c, &body)?;
        let mut found = Vec::new();
        loop {
            let packet = self.client.read_reply()?;
            if packet[0] == 0xfe {
                let status = Self::status(&packet);
                assert!(self.deprecate_eof || packet.len() == 5);
                return Ok((found, status & (CURSOR_EXISTS | LAST_ROW_SENT)));
            }
            let row = Reader::new(&packet).binary_row(columns)?;
            found.push(String::from_utf8_lossy(row[0].as_deref().unwrap_or(b"NULL")).into());
        }
    }
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A table of 300 rows, 1 to 300, at each of: the server, the proxy in front of it, a sharded
/// proxy. `k` counts down.
fn places() -> [(SocketAddr, &'static str, String); 3] {
    let single = SINGLE.watched();
    let shop = SHOP.watched();
    let proxy = single.proxy().socket_address();
    let mut client = single.proxy().client("app");
    let mine = format!("cursor_{}", scratch_table());
    client.query(format!("CREATE TABLE {mine} (id BIGINT PRIMARY KEY, k BIGINT)")).expect("ok");
    let scratch = scratch_table();
    let rows: Vec<String> = (1..=300).map(|id| format!("({id}, {})", 300 - id)).collect();
    client.query(format!("INSERT INTO {mine} (id, k) VALUES {}", rows.join(", "))).expect("ok");
    let mut sharded = shop.proxy().client("shop");
    sharded.query(format!("INSERT INTO {scratch} (id, k) VALUES {}", rows.join(", "))).expect("ok");
    [
        (single.shards[0].primary.socket_address(), "app", mine.clone()),
        (proxy, "app", mine),
        (shop.proxy().socket_address(), "shop", scratch),
    ]
}

/// Goal: rows come in the portions asked for, sorted over shards too, and the status tells when
/// there are no more; statements between two fetches do not matter.
#[test]
fn rows_come_in_portions() {
    for (address, database, table) in places() {
        for capabilities in [capability::DEPRECATE_EOF, 0] {
            let mut looking = Looking::new(address, database, capabilities);
            let up = format!("SELECT id, k FROM {table} ORDER BY id");
            let one = looking.client.prepare(&up).expect("a statement");
            let two = looking.client.prepare(&up).expect("a statement");
            let (columns, status) = looking.open(&one).expect("a cursor");
            assert_eq!((columns.len(), status & CURSOR_EXISTS), (2, CURSOR_EXISTS));
            let fetched = looking.fetch(&one, &columns, 7).expect("rows");
            assert_eq!(fetched, (numbers(1..=7), CURSOR_EXISTS));
            // The same text with a cursor of its own, and without one.
            looking.open(&two).expect("a cursor");
            let fetched = looking.fetch(&two, &columns, 3).expect("rows");
            assert_eq!(fetched, (numbers(1..=3), CURSOR_EXISTS));
            let third = looking.client.prepare(&up).expect("a statement");
            assert_eq!(looking.client.execute(&third, &[]).expect("rows").rows.len(), 300);
            looking.client.query(format!("UPDATE {table} SET k = k + 1 WHERE id = 9")).expect("ok");
            let fetched = looking.fetch(&one, &columns, 293).expect("rows");
            assert_eq!(fetched, (numbers(8..=300), CURSOR_EXISTS), "exactly all");
            assert_eq!(looking.fetch(&one, &columns, 5).expect("none"), (vec![], LAST_ROW_SENT));
            let fetched = looking.fetch(&two, &columns, 1000).expect("rows");
            assert_eq!(fetched, (numbers(4..=300), LAST_ROW_SENT));
            assert_eq!(looking.fetch(&two, &columns, 1).expect_err("it is closed").errno(), 1421);
            // Nothing to fetch is a cursor, too.
            let none = format!("SELECT id FROM {table} WHERE id < 0 ORDER BY k");
            let none = looking.client.prepare(none).expect("a statement");
            let (columns, status) = looking.open(&none).expect("a cursor");
            assert_eq!(status & CURSOR_EXISTS, CURSOR_EXISTS);
            assert_eq!(looking.fetch(&none, &columns, 1).expect("none"), (vec![], LAST_ROW_SENT));
        }
    }
}

/// Goal: groups, limits and single shards over cursors too.
#[test]
fn merged_in_steps() {
    for (address, database, table) in places() {
        let mut looking = Looking::new(address, database, capability::DEPRECATE_EOF);
        let mut ask = |sql: &str, rows: u32| {
            let statement = looking.client.prepare(sql).expect("a statement");
            let (columns, _) = looking.open(&statement).unwrap_or_else(|e| panic!("{sql}: {e}"));
            let mut all = Vec::new();
            loop {
                let (found, status) = looking.fetch(&statement, &columns, rows).expect("rows");
                all.extend(found);
                if status == LAST_ROW_SENT {
                    looking.client.close(&statement).expect("no answer");
                    return all;
                }
            }
        };
        for rows in [1, 10, 1000] {
            let found = ask(&format!("SELECT COUNT(*) FROM {table}"), rows);
            assert_eq!(found, ["300"]);
            let found = ask(&format!("SELECT id FROM {table} ORDER BY id LIMIT 12"), rows);
            assert_eq!(found, numbers(1..=12));
            let groups = format!("SELECT k MOD 3 AS g FROM {table} GROUP BY g ORDER BY g");
            assert_eq!(ask(&groups, rows), ["0", "1", "2"]);
            assert_eq!(ask(&format!("SELECT id FROM {table} WHERE id = 17"), rows), ["17"]);
        }
    }
}

/// Goal: a cursor keeps its connection, and everything that closes it gives the connection back.
#[test]
fn what_closes_a_cursor() {
    let cluster = single::start(
        "cursors",
        "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 300\n",
    );
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let mut other = proxy.client("app");
    for way in 0..6 {
        let mut looking = Looking::new(proxy.socket_address(), "app", capability::DEPRECATE_EOF);
        let rows = format!("SELECT seq FROM {} s", SOFTWARE.series(9));
        let statement = looking.client.prepare(rows).expect("a statement");
        let (columns, _) = looking.open(&statement).expect("a cursor");
        looking.fetch(&statement, &columns, 2).expect("rows");
        assert!(other.query("SELECT 1 + 1").is_err(), "the only connection is taken");
        match way {
            0 => drop(looking.fetch(&statement, &columns, 100).expect("rows")),
            1 => {
                looking.client.command(0x1a, &statement.id.to_le_bytes()).expect("it is read");
                looking.client.read_reply().expect("ok");
            }
            2 => {
                looking.client.close(&statement).expect("no answer");
                looking.client.ping().expect("ok");
            }
            3 => drop(looking.client.execute(&statement, &[]).expect("rows")),
            4 => looking.client.reset().expect("ok"),
            _ => drop(looking),
        }
        let free = wait_until(Duration::from_secs(5), || other.query("SELECT 1 + 1").is_ok());
        assert!(free, "way {way}");
    }
    let left =
        wait_until(Duration::from_secs(10), || statements_on(&cluster.shards[0].primary) == 0);
    assert!(left, "{} statements are left", statements_on(&cluster.shards[0].primary));
}

/// Goal: a statement that one session has executed with a cursor answers another one that wants
/// none. (Alone, a MySQL session that executes one both ways is answered without an end of the
/// columns.)
#[test]
fn cursors_of_others() {
    let _cluster = SINGLE.watched();
    let limits = "[limits]\nserver_connections_max = 1\n";
    let proxy = SINGLE.another_proxy("cursors-of-others", limits);
    let sql = format!("SELECT seq FROM {} s", SOFTWARE.series(3));
    for capabilities in [capability::DEPRECATE_EOF, 0] {
        let new = || Looking::new(proxy.socket_address(), "app", capabilities);
        let [mut one, mut two] = [new(), new()];
        let [first, second] =
            [&mut one, &mut two].map(|of| of.client.prepare(&sql).expect("a statement"));
        for _ in 0..3 {
            let (columns, _) = one.open(&first).expect("a cursor");
            let fetched = one.fetch(&first, &columns, 9).expect("rows");
            assert_eq!(fetched, (numbers(1..=3), LAST_ROW_SENT));
            let rows = two.client.execute(&second, &[]).expect("rows").texts();
            assert_eq!(rows.concat(), numbers(1..=3));
        }
    }
}

/// Goal: who executes with a cursor does not change how others are answered, whatever has the
/// server prepare the statement again: other types, or a definition.
#[test]
fn cursors_and_plain_executions_share_nothing() {
    let _cluster = SINGLE.watched();
    let mut owner = SINGLE.shards[0].primary.client("app");
    owner.query("CREATE TABLE mixed (n INT PRIMARY KEY)").expect("a table");
    owner.query("INSERT INTO mixed VALUES (1), (2), (3)").expect("rows");
    let limits = "[limits]\nserver_connections_max = 1\n";
    let proxy = SINGLE.another_proxy("cursors-plain", limits);
    let new = || Looking::new(proxy.socket_address(), "app", 0);
    let [mut one, mut two] = [new(), new()];
    let sql = "SELECT n FROM mixed WHERE n < ? ORDER BY n";
    let [first, second] =
        [&mut one, &mut two].map(|of| of.client.prepare(sql).expect("a statement"));
    let nine = fixed("DOUBLE", 5, &9.0_f64.to_le_bytes());
    // No NULL, types follow, a DOUBLE.
    let double = [&[0, 1, 5, 0][..], &9.0_f64.to_le_bytes()].concat();
    let with_cursor = |of: &mut Looking, statement: &Prepared| {
        let (columns, _) = of.open_with(statement, &double).expect("a cursor");
        let fetched = of.fetch(statement, &columns, 9).expect("rows");
        assert_eq!(fetched, (numbers(1..=3), LAST_ROW_SENT));
    };
    let plain = |of: &mut Looking, statement: &Prepared| {
        execute(&mut of.client, statement, &[&nine]).expect("it is read");
        assert_eq!(of.client.read_answer(true).expect("rows").rows.len(), 3);
    };
    plain(&mut one, &first);
    for round in 0..2 {
        for _ in 0..20 {
            with_cursor(&mut two, &second);
        }
        for _ in 0..20 {
            plain(&mut one, &first);
        }
        let alter = format!("ALTER TABLE mixed ADD COLUMN c{round} INT");
        proxy.client("app").query(alter).expect("ok");
        with_cursor(&mut two, &second);
        plain(&mut one, &first);
        owner.query("RENAME TABLE mixed TO mixed_away").expect("ok");
        execute(&mut one.client, &first, &[&nine]).expect("it is read");
        one.client.read_answer(true).expect_err("no table");
        owner.query("RENAME TABLE mixed_away TO mixed").expect("ok");
        with_cursor(&mut two, &second);
        plain(&mut one, &first);
    }
}

/// How many prepared statements a server has.
fn statements_on(server: &crate::server::Server) -> u64 {
    let answer = server.client("").query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
    answer.expect("a row").texts()[0][1].parse().expect("a number")
}

/// Goal: statements that clients have closed, or whose clients have gone, leave the server within
/// moments; those that are open may stay prepared. `GEOGATE_STATEMENTS=100000` takes longer.
#[test]
fn closed_statements_leave_the_server() {
    let count = std::env::var("GEOGATE_STATEMENTS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(2000);
    let cluster = single::start("closed-statements", "");
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let server = &cluster.shards[0].primary;
    let mut clients: Vec<Client> = (0..10).map(|_| proxy.client("app")).collect();
    for number in 0..count {
        let client = &mut clients[number % 10 * usize::from(number % 2 == 0)];
        let statement = client.prepare(format!("SELECT {} + ?", number % 700)).expect("prepared");
        let sum = client.execute(&statement, &[Parameter::Int(1)]).expect("a row").scalar();
        assert_eq!(sum, (number % 700 + 1).to_string());
        // Every hundredth is left to the end of its client.
        if number % 100 != 0 {
            client.close(&statement).expect("no answer");
        }
    }
    clients[0].query("PREPARE named FROM 'SELECT ? * 2'").expect("ok");
    clients[0].query("SET @n = 21").expect("ok");
    let doubled = clients[0].query("EXECUTE named USING @n").expect("a row");
    assert_eq!(doubled.scalar(), "42");
    drop(clients);
    let gone = wait_until(Duration::from_secs(10), || statements_on(server) == 0);
    assert!(gone, "{} statements are left", statements_on(server));
}

/// Goal: bulk executions give the server's own answers, types are remembered, and the highest
/// number means the statement prepared last.
#[test]
fn bulk_executions() {
    if SOFTWARE.is_mysql() {
        println!("skipped: bulk executions are MariaDB's");
        return;
    }
    let cluster = SINGLE.watched();
    let mut recorded = Vec::new();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let login = Login { extended: 1 << 2 | 1 << 3, ..Login::test("app") };
        let mut client = Client::connect(address, &login).expect("a login");
        client.query("DROP TABLE IF EXISTS bulk").expect("ok");
        client.query("CREATE TABLE bulk (id INT PRIMARY KEY, v VARCHAR(20), j JSON)").expect("ok");
        client.command(0x16, b"INSERT INTO bulk VALUES (?, ?, '{}')").expect("it is read");
        let types: &[u8] = &[3, 0, 0xfd, 0];
        let row = |id: i32, text: Option<&str>| {
            let mut row = vec![0];
            row.extend_from_slice(&id.to_le_bytes());
            row.push(u8::from(text.is_none()));
            if let Some(text) = text {
                lenenc(&mut row, text.as_bytes());
            }
            row
        };
        // Sent together with the preparation, before its number is known.
        let rows = [row(1, Some("one")), row(2, None), row(3, Some("three"))].concat();
        let last = u32::MAX.to_le_bytes();
        let mut body = [&[0xfa][..], &last, &128_u16.to_le_bytes(), types, &rows].concat();
        let mut framed = (body.len() as u32).to_le_bytes()[..3].to_vec();
        framed.push(0);
        framed.append(&mut body);
        client.write_raw(&framed).expect("it is read");
        // The answer to the preparation: OK and two parameters.
        let prepared = client.read_reply().expect("prepared");
        client.read_packet().expect("a parameter");
        client.read_packet().expect("a parameter");
        let all = client.read_answer(true).expect("three rows");
        assert_eq!(
            (all.affected, all.info.as_str()),
            (3, "Records: 3  Duplicates: 0  Warnings: 0")
        );
        // Without types, on whatever connection.
        let body = [&prepared[1..5], &[0, 0], &row(4, Some("four"))].concat();
        client.command(0xfa, &body).expect("it is read");
        assert_eq!(client.read_answer(true).expect("a row").affected, 1);
        let body = [&prepared[1..5], &[0, 0], &row(4, Some("again"))].concat();
        client.command(0xfa, &body).expect("it is read");
        assert_eq!(client.read_answer(true).expect_err("a duplicate").errno(), 1062);
        client.command(0x03, b"SELECT v, j FROM bulk ORDER BY id").expect("it is read");
        while client.read_packet().expect("a packet")[0] != 0xfe {}
        recorded.push(std::mem::take(&mut client.recorded));
    }
    // JSON is told in the extended metadata.
    assert_eq!(recorded[0], recorded[1]);
    assert!(recorded[1].iter().any(|packet| packet.windows(4).any(|part| part == b"json")));
}

/// Goal: whoever tracks session state is told what the server would tell, also by answers that
/// Geogate writes itself.
#[test]
fn session_state_is_tracked() {
    let cluster = SINGLE.watched();
    let statements = [
        "USE app",
        "CREATE TABLE tracked (id INT)",
        "SET NAMES latin1",
        "SET time_zone = '+01:00'",
        "SET autocommit = 0",
        "SET autocommit = 1",
        "BEGIN",
        "COMMIT",
        "SET session_track_transaction_info = 'STATE'",
        "BEGIN",
        "SELECT COUNT(*) FROM tracked",
        "INSERT INTO tracked VALUES (1)",
        "ROLLBACK",
        "COMMIT",
        "SET session_track_transaction_info = 'CHARACTERISTICS'",
        "START TRANSACTION READ ONLY",
        "COMMIT",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "BEGIN",
        "SELECT COUNT(*) FROM tracked",
        "COMMIT",
        "SET session_track_transaction_info = OFF",
        "BEGIN",
        "COMMIT",
        "SET sql_mode = ''",
        "SET session_track_schema = 0",
        "USE app_a",
        "SET session_track_schema = 1",
        "USE app",
        "SET session_track_state_change = 1",
        "SET session_track_state_change = 0",
        "USE app_a",
    ];
    let mut recorded = Vec::new();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let capabilities = capability::SESSION_TRACK | capability::DEPRECATE_EOF;
        let login = Login { capabilities, ..Login::test("app") };
        let mut client = Client::connect(address, &login).expect("a login");
        cluster.shards[0].primary.sql("DROP TABLE IF EXISTS app.tracked");
        let mut told = Vec::new();
        for statement in statements {
            client.query(statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
            told.push((statement, client.recorded.last().map(|p| p.escape_ascii().to_string())));
        }
        recorded.push(told);
    }
    for (mut theirs, ours) in recorded.swap_remove(0).into_iter().zip(&recorded[0]) {
        // MySQL says here that something has changed, and nothing of what.
        let empty = theirs.0.contains("TRANSACTION") || theirs.0.contains("_info");
        if SOFTWARE.is_mysql() && empty {
            theirs.1 = theirs
                .1
                .map(|told| told.replace("\\x02@\\x00\\x00\\x00\\x00", "\\x02\\x00\\x00\\x00"));
        }
        assert_eq!(*ours, theirs);
    }
}
