//! Servers that allow fewer connections than the pool: whoever needs one waits, and is told when
//! that takes too long.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Login, capability};
use crate::single;

/// How often a server has refused a connection because it had too many.
fn refusals(admin: &mut Client) -> u64 {
    let status = admin.query("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'");
    status.expect("rows").texts()[0][1].parse().expect("a number")
}

/// Transactions and slow questions of one client, all of which must be right.
fn work(mut client: Client, number: usize) {
    for round in 0..12 {
        let slow = format!("SELECT SLEEP(0.05), {number}, {round}");
        let answer = client.query(&slow).unwrap_or_else(|e| panic!("client {number}: {e}"));
        let expected = ["0".to_owned(), number.to_string(), round.to_string()];
        assert_eq!(answer.texts(), [expected]);
        for sql in [
            "BEGIN".to_owned(),
            format!("UPDATE app.counted SET n = n + 1 WHERE id = {number}"),
            format!("SELECT n = {} FROM app.counted WHERE id = {number}", round + 1),
            "COMMIT".to_owned(),
        ] {
            let answer = client.query(&sql).unwrap_or_else(|e| panic!("client {number}: {e}"));
            if sql.starts_with("SELECT") {
                assert_eq!(answer.scalar(), "1");
            }
        }
    }
}

/// Goal: many clients on a server with few connections: none fails, all answers are right, and the
/// server is not asked for connections all the time.
#[test]
fn a_full_server_serves_everyone() {
    let cluster = single::start("full-crowd", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql("CREATE TABLE app.counted (id INT PRIMARY KEY, n INT)");
    let rows: Vec<String> = (0..60).map(|id| format!("({id}, 0)")).collect();
    server.sql(&format!("INSERT INTO app.counted VALUES {}", rows.join(", ")));
    let mut admin = server.client("");
    admin.query("SET GLOBAL max_connections = 12").expect("ok");
    let address = cluster.proxy().socket_address();
    let start = Instant::now();
    thread::scope(|scope| {
        for number in 0..60 {
            // Two kinds of clients, which cannot share connections.
            let capabilities = if number % 5 == 0 { 0 } else { capability::DEPRECATE_EOF };
            // Some are in no database, which those that were in one cannot be again.
            let database = if number % 3 == 0 { "" } else { "app" };
            let login = Login { capabilities, ..Login::test(database) };
            let client = Client::connect(address, &login).expect("a login");
            scope.spawn(move || work(client, number));
        }
    });
    let took = start.elapsed();
    admin.query("SET GLOBAL max_connections = 700").expect("ok");
    let refused = refusals(&mut admin);
    assert!(refused > 0, "the server was never full");
    assert!(refused < 300, "{refused} refusals in {took:?}");
    let wrong = server.sql("SELECT COUNT(*) FROM app.counted WHERE n <> 12");
    assert_eq!(wrong.scalar(), "0");
}

/// Goal: when all connections are taken by others, a statement waits for its limit and gets a named
/// error; one that waits is served when they leave.
#[test]
fn a_server_full_of_others() {
    let limits = "[limits]\nserver_connection_wait_ms = 1500\nserver_connection_idle_ms = 10\n";
    let cluster = single::start("full-others", limits);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.proxy();
    let mut holder = proxy.client("app");
    let mut waiting = proxy.client("app");
    let mut clients: Vec<Client> = (0..4).map(|_| proxy.client("app")).collect();
    holder.query("BEGIN").expect("ok");
    holder.query("SELECT 1").expect("a row");
    server.sql("SET GLOBAL max_connections = 12");
    let mut others = Vec::new();
    while let Ok(client) = Client::connect(server.socket_address(), &Login::test("")) {
        others.push(client);
    }
    // Whatever the pool had idle is soon in use too.
    let error = clients.iter_mut().find_map(|client| {
        client.query("BEGIN").expect("no connection is needed yet");
        client.query("SELECT 1").err()
    });
    let error = error.expect("no connection");
    assert_eq!(error.errno(), 1203, "{error}");
    let text = error.to_string();
    assert!(text.contains("GG14007") && text.contains("1040"), "{error}");
    assert!(text.contains("max_connections"), "{error}");
    let start = Instant::now();
    assert_eq!(waiting.query("SELECT 2").expect_err("no connection").errno(), 1203);
    let waited = start.elapsed();
    assert!(waited > Duration::from_millis(1400) && waited < Duration::from_secs(4), "{waited:?}");
    // It is served when one of the proxy's own comes back ...
    waiting.command(0x03, b"SELECT 3").expect("it is read");
    thread::sleep(Duration::from_millis(300));
    holder.query("COMMIT").expect("ok");
    assert_eq!(waiting.read_answer(false).expect("a row").scalar(), "3");
    holder.query("BEGIN").expect("ok");
    holder.query("SELECT 1").expect("a row");
    // ... and when others leave.
    waiting.command(0x03, b"SELECT 4").expect("it is read");
    thread::sleep(Duration::from_millis(300));
    others.clear();
    assert_eq!(waiting.read_answer(false).expect("a row").scalar(), "4");
}

/// Goal: the limit of the proxy's own account (1226) is met in the same way, and the monitor does
/// not take the server for dead.
#[test]
fn an_account_with_few_connections() {
    let cluster = single::start("full-account", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql("CREATE TABLE app.counted (id INT PRIMARY KEY, n INT)");
    server.sql("INSERT INTO app.counted VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)");
    server.sql("ALTER USER geogate WITH MAX_USER_CONNECTIONS 3");
    let proxy = cluster.proxy();
    thread::scope(|scope| {
        for number in 0..6 {
            let client = proxy.client("app");
            scope.spawn(move || work(client, number));
        }
    });
    let metrics = proxy.http("GET", "/metrics", "").1;
    let up = metrics.lines().find(|line| line.starts_with("geogate_server_up"));
    assert!(up.is_some_and(|line| line.ends_with(" 1")), "{up:?}");
}

/// Goal: who waits for room at a server that dies is told at once what is the matter.
#[test]
fn a_full_server_that_dies() {
    let limits = "[limits]\nserver_connection_wait_ms = 20000\n";
    let cluster = single::start("full-dies", limits);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.proxy();
    let mut client = proxy.client("");
    // The monitor has the only one.
    server.sql("ALTER USER geogate WITH MAX_USER_CONNECTIONS 1");
    let mut others = server.client("");
    let open = "SELECT id FROM information_schema.processlist WHERE user = 'geogate'";
    for row in others.query(open).expect("rows").texts() {
        // It may have ended by itself.
        let _ = others.query(format!("KILL {}", row[0]));
    }
    let start = Instant::now();
    client.command(0x03, b"SELECT * FROM app.t").expect("it is read");
    thread::sleep(Duration::from_secs(1));
    server.kill();
    let error = client.read_answer(false).expect_err("no server");
    assert!(!error.to_string().contains("GG14007"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{error} after {:?}", start.elapsed());
}
