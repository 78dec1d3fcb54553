//! `statement_timeout_ms`: whatever a statement waits for, it ends in time, with an error that says
//! what became of it, and the session goes on.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::client::{Client, Error, LocalFile, Login, Parameter, capability};
use crate::cluster::{Cluster, Layout, Watched};
use crate::server::wait_until;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;
use crate::transaction_ends::fate_of;

/// The number of the error.
const TIMEOUT: u16 = 3024;
/// MySQL's SLEEP gives 1 when it is stopped; with a row to come the statement fails as any other.
const SLOW: &str = "SELECT SLEEP(3) FROM (SELECT 1 AS a UNION SELECT 2) AS s";
/// What a statement may take longer than its limit, with what a busy machine adds.
const SLACK: Duration = Duration::from_millis(1500);

/// Runs `act`, which must take `least`, and not much more.
fn within<T>(what: &str, least: u64, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    let (took, least) = (begun.elapsed(), Duration::from_millis(least));
    // Timers are of whole milliseconds.
    let early = Duration::from_millis(2);
    assert!(took + early >= least && took < least + SLACK, "{what}: {took:?}");
    done
}

/// The statement ends at its limit with the error, which says `fate`.
fn ends(client: &mut Client, limit: u64, sql: &str, fate: &str) {
    let answer = within(sql, limit, || client.query(sql));
    assert_timeout(sql, &answer.expect_err(sql), fate);
}

fn assert_timeout(sql: &str, error: &Error, fate: &str) {
    let text = error.to_string();
    assert_eq!(error.errno(), TIMEOUT, "{sql}: {text}");
    assert!(text.contains("GG10006") && text.contains(fate), "{sql}: {text}");
}

/// No statement runs on a server that has `sign` in its text.
fn nothing_runs(server: &crate::server::Server, sign: &str) {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE '%{sign}%' AND \
         ID <> CONNECTION_ID()"
    );
    let quiet = wait_until(Duration::from_secs(5), || server.sql(&sql).scalar() == "0");
    assert!(quiet, "a statement with {sign} runs on");
}

/// Goal: the variable is set, read, lowered and reset as others are; a user's own limit is where
/// its sessions begin and the most that they may set; hints are for one statement.
#[test]
fn the_variable_and_its_ceiling() {
    let cluster = SINGLE.watched();
    let users = "[limits]\nstatement_timeout_ms = 7000\n[[user]]\nname = \"held\"\n\
                 password = \"held\"\nstatement_timeout_ms = 900\n[[user]]\nname = \"free\"\n\
                 password = \"free\"\nstatement_timeout_ms = 0\n";
    let proxy = cluster.another_proxy("timeout-users", users);
    let connect = |user: &str| {
        let login = Login { user: user.into(), password: user.into(), ..Login::test("app") };
        Client::connect(proxy.socket_address(), &login).expect("a login")
    };
    let value =
        |client: &mut Client| client.query("SELECT @@statement_timeout_ms").unwrap().scalar();
    let (mut test, mut held, mut free) = (connect("test"), connect("held"), connect("free"));
    for (client, first) in [(&mut test, "7000"), (&mut held, "900"), (&mut free, "0")] {
        assert_eq!(value(client), first);
        client.query("SET statement_timeout_ms = 300").expect("lower");
        assert_eq!(value(client), "300");
        let shown = client.query("SHOW VARIABLES LIKE 'statement_timeout_ms'").expect("a row");
        assert_eq!(shown.texts(), [["statement_timeout_ms", "300"]]);
        client.query("SET SESSION statement_timeout_ms = DEFAULT").expect("ok");
        assert_eq!(value(client), first);
        client.query("SET @@session.statement_timeout_ms = '200'").expect("ok");
        client.reset().expect("a reset");
        assert_eq!(value(client), first);
        for wrong in ["-1", "'soon'", "4294967296"] {
            let error = client.query(format!("SET statement_timeout_ms = {wrong}"));
            assert_eq!(error.expect_err(wrong).errno(), 1231, "{wrong}");
        }
        let error = client.query("SET GLOBAL statement_timeout_ms = 1").expect_err("no global");
        assert_eq!(error.errno(), 1235);
    }
    for more in ["0", "901"] {
        let error = held.query(format!("SET statement_timeout_ms = {more}")).expect_err("more");
        assert!(error.to_string().contains("1 to 900"), "{error}");
        let hinted = held.query(format!("SELECT /*vt+ STATEMENT_TIMEOUT_MS={more} */ 1"));
        assert!(hinted.expect_err("more").to_string().contains("1 to 900"));
    }
    for client in [&mut test, &mut free] {
        client.query("SET statement_timeout_ms = 0").expect("none");
        client.query("SELECT SLEEP(1.1)").expect("a row");
        client.query("SET statement_timeout_ms = 9000").expect("more");
    }
    ends(&mut held, 900, SLOW, "changed nothing");
    for hint in ["STATEMENT_TIMEOUT_MS=100", "query_timeout_ms=100"] {
        let sql = SLOW.replacen("SELECT", &format!("SELECT /*vt+ {hint} */"), 1);
        for client in [&mut test, &mut held, &mut free] {
            ends(client, 100, &sql, "changed nothing");
        }
        let prepared = held.prepare(&sql).expect("prepared");
        let error = within(&sql, 100, || held.execute(&prepared, &[]));
        assert_timeout(&sql, &error.expect_err("late"), "changed nothing");
    }
    held.query("SELECT SLEEP(0.2)").expect("the hint is over");
}

/// Goal: on one server every kind of statement ends at its limit with what became of it, as the
/// server does it: a lock that is waited for, a transaction that goes on, several statements each
/// with its own time, a procedure, a prepared one, a place in the pool.
#[test]
fn statements_of_one_server() {
    let cluster = SINGLE.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.another_proxy("timeout-one", "");
    let login = Login {
        capabilities: capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF,
        ..Login::test("app")
    };
    let mut client = Client::connect(proxy.socket_address(), &login).expect("a login");
    for sql in [
        "CREATE TABLE timed (id INT PRIMARY KEY, v INT)",
        "INSERT INTO timed VALUES (1, 10), (2, 20)",
        "CREATE PROCEDURE timed_twice() BEGIN INSERT INTO timed VALUES (50, 1); \
         UPDATE timed SET v = 0 WHERE id = 1; END",
    ] {
        client.query(sql).expect(sql);
    }
    let mut holder = server.client("app");
    holder.query("BEGIN").expect("ok");
    holder.query("UPDATE timed SET v = 11 WHERE id = 1").expect("ok");
    client.query("SET statement_timeout_ms = 500").expect("ok");
    let values = |client: &mut Client| {
        client.query("SELECT GROUP_CONCAT(v ORDER BY id) FROM timed").expect("a row").scalar()
    };
    // Outside of a transaction.
    ends(&mut client, 500, SLOW, "changed nothing");
    ends(&mut client, 500, "UPDATE timed SET v = v + 1 WHERE id IN (1, 2)", "undone");
    assert_eq!(values(&mut client), "10,20");
    ends(&mut client, 500, "CALL timed_twice()", "KILL QUERY");
    assert_eq!(values(&mut client), "10,20,1", "what the procedure had done remains");
    // Within: it goes on.
    client.query("BEGIN").expect("ok");
    client.query("INSERT INTO timed VALUES (60, 2)").expect("ok");
    ends(&mut client, 500, "UPDATE timed SET v = 0 WHERE id IN (1, 2)", "undone");
    ends(&mut client, 500, "SELECT v FROM timed WHERE id = 1 FOR UPDATE", "undone");
    for _ in 0..20 {
        // No late KILL hits what follows.
        client.query("SELECT 1").expect("a row");
    }
    client.query("COMMIT").expect("ok");
    assert_eq!(values(&mut client), "10,20,1,2");
    // Prepared.
    let update = client.prepare("UPDATE timed SET v = ? WHERE id < 3").expect("prepared");
    let error = within("prepared", 500, || client.execute(&update, &[Parameter::Int(5)]));
    assert_timeout("prepared", &error.expect_err("locked"), "undone");
    // Each has its own time, and an error ends the chain.
    let several = "SELECT SLEEP(0.3); SELECT SLEEP(0.3); UPDATE timed SET v = 0 WHERE id = 1; \
                   DELETE FROM timed";
    let error = within(several, 1100, || client.query_all(several)).expect_err("locked");
    assert_timeout(several, &error, "undone");
    // A definition waits for the transaction.
    ends(&mut client, 500, "ALTER TABLE timed ADD COLUMN w INT", "KILL QUERY");
    holder.query("ROLLBACK").expect("ok");
    assert_eq!(values(&mut client), "10,20,1,2");
    let columns = client.query("SHOW COLUMNS FROM timed").expect("rows").texts();
    assert_eq!(columns.len(), 2);
    nothing_runs(server, "timed SET");
    let (status, metrics) = proxy.http("GET", "/metrics", "");
    assert_eq!(status, 200);
    let counted = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).trim().to_owned()
    };
    assert_eq!(counted("geogate_statement_timeouts_total"), "8");
    assert_eq!(counted("geogate_statements_given_up_total"), "0");
}

/// Goal: rows that were sent already are followed by the error, in text, prepared and from a
/// cursor; a file that a client sends for too long does not go in.
#[test]
fn streams_end_too() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let capabilities = capability::LOCAL_FILES | capability::DEPRECATE_EOF;
    let login = Login { capabilities, ..Login::test("app") };
    let mut client = Client::connect(proxy.socket_address(), &login).expect("a login");
    client.query("CREATE TABLE streamed (id INT PRIMARY KEY)").expect("ok");
    let values: Vec<String> = (1..=40).map(|id| format!("({id})")).collect();
    client.query(format!("INSERT INTO streamed VALUES {}", values.join(","))).expect("ok");
    client.query("SET statement_timeout_ms = 800").expect("ok");
    let slow = "SELECT REPEAT('x', 60000), SLEEP(0.1) FROM streamed";
    ends(&mut client, 800, slow, "changed nothing");
    let prepared = client.prepare(slow).expect("prepared");
    let error = within(slow, 800, || client.execute(&prepared, &[])).expect_err("late");
    assert_timeout(slow, &error, "changed nothing");
    let body = [&prepared.id.to_le_bytes()[..], &[1, 1, 0, 0, 0]].concat();
    let error = within("cursor", 800, || {
        client.command(0x17, &body)?;
        client.read_answer(true)
    });
    assert_timeout("cursor", &error.expect_err("late"), "changed nothing");
    client.query("SELECT 1").expect("the session goes on");
    // The server reads a file while it waits for nobody; the lines are too many for the time.
    client.query("SET GLOBAL local_infile = 1").expect("ok");
    client.query("CREATE TABLE file_of (id INT, v VARCHAR(200))").expect("ok");
    let piece = format!("1\t{}\n", "x".repeat(150)).repeat(2000).into_bytes();
    client.local_file = Some(LocalFile { piece, count: 400 });
    client.query("SET statement_timeout_ms = 100").expect("ok");
    let load = "LOAD DATA LOCAL INFILE 'f' INTO TABLE file_of";
    let error = client.query(load).expect_err("late");
    assert_timeout(load, &error, "undone");
    assert_eq!(client.query("SELECT COUNT(*) FROM file_of").expect("a row").scalar(), "0");
}

/// Goal: the wait for a place in the pool counts.
#[test]
fn a_place_in_the_pool() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 20000\n";
    let proxy = cluster.another_proxy("timeout-pool", limits);
    let (mut holder, mut client) = (proxy.client("app"), proxy.client("app"));
    holder.query("BEGIN").expect("ok");
    holder.query("SELECT 1").expect("a row");
    client.query("SET statement_timeout_ms = 300").expect("ok");
    client.query("CREATE TABLE IF NOT EXISTS pool_place (id INT)").expect_err("no place");
    ends(&mut client, 300, "INSERT INTO pool_place VALUES (1)", "changed nothing");
    ends(&mut client, 300, "SELECT 1", "changed nothing");
    holder.query("COMMIT").expect("ok");
    client.query("SELECT 1").expect("a row");
}

const VSCHEMA: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}}, "tables": {
    "things": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;

/// Ids on the first and on the second shard.
const FIRST: [u64; 2] = [1, 2];
const SECOND: [u64; 2] = [4, 6];

/// Two shards; the monitor is too slow to find a server that hangs.
fn shards(name: &str, more: &str) -> Cluster {
    let mut limits = "[limits]\nmonitor_timeout_ms = 30000\nstatement_timeout_grace_ms = 600\n\
                      server_connect_ms = 1500\n"
        .to_owned();
    let _ = writeln!(limits, "{more}");
    let layout = Layout::new(name, &["here"])
        .keyspace("shop", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[])
        .config(&limits);
    let cluster = Cluster::start(layout);
    let table = "CREATE TABLE things (id BIGINT PRIMARY KEY, v INT)".to_owned();
    cluster.on_primaries("shop", &[table]);
    let mut client = cluster.proxy().client("shop");
    for id in FIRST.into_iter().chain(SECOND) {
        client.query(format!("INSERT INTO things VALUES ({id}, 0)")).expect("ok");
    }
    for (at, ids) in [FIRST, SECOND].iter().enumerate() {
        let found =
            cluster.shards[at].primary.sql("SELECT id FROM shop.things ORDER BY id").texts();
        assert_eq!(found.concat(), ids.map(|id| id.to_string()));
    }
    cluster
}

fn value(cluster: &Watched<'_>, shard: usize, id: u64) -> String {
    let sql = format!("SELECT v FROM shop.things WHERE id = {id}");
    cluster.shards[shard].primary.sql(&sql).scalar()
}

/// Goal: over shards, statements that wait for a lock on one of them end at their limit: reads,
/// writes of their own and in a transaction, which goes on.
#[test]
fn statements_over_shards() {
    let cluster = shards("timeout-shards", "");
    let cluster = cluster.watched();
    let mut client = cluster.proxy().client("shop");
    let mut holder = cluster.shards[1].primary.client("shop");
    holder.query("BEGIN").expect("ok");
    holder.query("UPDATE things SET v = 1 WHERE id = 4").expect("ok");
    client.query("SET statement_timeout_ms = 400").expect("ok");
    let read = "SELECT COUNT(*), SUM(v) FROM things WHERE SLEEP(2) = 0";
    ends(&mut client, 400, read, "changed nothing");
    ends(
        &mut client,
        400,
        "SELECT id, SLEEP(2), SLEEP(2) FROM things ORDER BY id",
        "changed nothing",
    );
    let write = "UPDATE things SET v = 5";
    ends(&mut client, 400, write, "undone");
    assert_eq!(value(&cluster, 0, 1), "0", "it is one transaction over the shards");
    client.query("BEGIN").expect("ok");
    client.query("UPDATE things SET v = 7 WHERE id = 2").expect("ok");
    ends(&mut client, 400, write, "undone");
    ends(&mut client, 400, "SELECT v FROM things FOR UPDATE", "changed nothing");
    client.query("UPDATE things SET v = 7 WHERE id = 6").expect("ok");
    client.query("COMMIT").expect("the transaction has gone on");
    let seen: Vec<String> = [(0, 1), (0, 2), (1, 4), (1, 6)]
        .into_iter()
        .map(|(shard, id)| value(&cluster, shard, id))
        .collect();
    assert_eq!(seen, ["0", "7", "0", "7"]);
    // A definition: done on the first shard, not on the second, and told.
    let error = within("DDL", 400, || client.query("ALTER TABLE things ADD COLUMN w INT"));
    let text = error.expect_err("locked").to_string();
    assert!(text.contains("GG12003") && text.contains("statement_timeout_ms"), "{text}");
    assert!(text.contains("done on shop:-80"), "{text}");
    holder.query("ROLLBACK").expect("ok");
    for shard in &cluster.shards {
        nothing_runs(&shard.primary, "things");
    }
}

/// Clients with a time limit that have each left a connection to each server in the pool.
fn clients<const COUNT: usize>(cluster: &Watched<'_>) -> [Client; COUNT] {
    let mut clients = [(); COUNT].map(|()| cluster.proxy().client("shop"));
    for sql in ["SET statement_timeout_ms = 400", "BEGIN", "SELECT COUNT(*) FROM things", "COMMIT"]
    {
        for client in &mut clients {
            client.query(sql).expect(sql);
        }
    }
    clients
}

/// What a statement takes at most at a server that hangs.
const LATE: u64 = 400 + 600;

/// All sessions read from both shards again.
fn go_on(clients: &mut [&mut Client]) {
    for client in clients {
        let back = wait_until(Duration::from_secs(10), || {
            client.query("SELECT COUNT(*) FROM things").is_ok_and(|answer| answer.scalar() == "4")
        });
        assert!(back, "a session does not go on");
    }
}

/// Goal: a server that hangs keeps no reader longer than the limit and the grace, whatever way it
/// reads; the other shard goes on meanwhile, and the sessions do afterwards.
#[test]
fn reads_at_a_server_that_hangs() {
    let cluster = shards("timeout-hung", "");
    let cluster = cluster.watched();
    let [mut reader, mut scatters, mut newcomer, mut fetching] = clients(&cluster);
    let prepared = newcomer.prepare("SELECT v FROM things WHERE id = ?").expect("prepared");
    let all = fetching.prepare("SELECT id FROM things ORDER BY id").expect("prepared");
    let cursor = [&all.id.to_le_bytes()[..], &[1, 1, 0, 0, 0]].concat();
    fetching.command(0x17, &cursor).expect("it is read");
    for _ in 0..3 {
        // The number of columns, the column, and their end.
        fetching.read_reply().expect("a cursor");
    }
    let hung = &cluster.shards[1].primary;
    hung.pause();
    let nothing = "changed nothing";
    let fetch = [all.id.to_le_bytes(), 4_u32.to_le_bytes()].concat();
    let fetched: Result<(), Error> = within("fetch", LATE, || {
        fetching.command(0x1c, &fetch)?;
        loop {
            fetching.read_reply()?;
        }
    });
    assert_timeout("fetch", &fetched.expect_err("it hangs"), nothing);
    ends(&mut reader, LATE, "SELECT v FROM things WHERE id = 4", nothing);
    ends(&mut scatters, LATE, "SELECT SUM(v) FROM things", nothing);
    let answer = within("prepared", LATE, || newcomer.execute(&prepared, &[Parameter::Int(4)]));
    assert_timeout("prepared", &answer.expect_err("it hangs"), nothing);
    // A connection that cannot be made either.
    ends(&mut reader, 400, "SELECT v FROM things WHERE id = 4", nothing);
    let mut all = [&mut reader, &mut scatters, &mut newcomer, &mut fetching];
    for client in &mut all {
        assert_eq!(client.query("SELECT v FROM things WHERE id = 2").expect("a row").scalar(), "0");
    }
    hung.resume();
    go_on(&mut all);
}

/// Goal: the same of writes. Who writes is told that it is not known whether that was done, who is
/// in a transaction that it is lost.
#[test]
fn writes_at_a_server_that_hangs() {
    let cluster = shards("timeout-hung-writes", "");
    let cluster = cluster.watched();
    let [mut writer, mut in_transaction, mut single] = clients(&cluster);
    in_transaction.query("BEGIN").expect("ok");
    for id in [1, 4] {
        let sql = format!("UPDATE things SET v = 3 WHERE id = {id}");
        in_transaction.query(sql).expect("ok");
    }
    single.query("BEGIN").expect("ok");
    single.query("UPDATE things SET v = 4 WHERE id = 6").expect("ok");
    let hung = &cluster.shards[1].primary;
    hung.pause();
    let answer = within("write", LATE, || writer.query("UPDATE things SET v = 9 WHERE id = 4"));
    let text = answer.expect_err("it hangs").to_string();
    assert!(text.contains("GG15006") && text.contains("statement_timeout_ms"), "{text}");
    let sql = "UPDATE things SET v = 5 WHERE id = 4";
    ends(&mut in_transaction, LATE, sql, "transaction is lost");
    let error = in_transaction.query("SELECT v FROM things WHERE id = 1").expect_err("lost");
    assert!(error.to_string().contains("GG15001"), "{error}");
    in_transaction.query("ROLLBACK").expect("it can be given up");
    let answer = within("COMMIT", LATE, || single.query("COMMIT"));
    let text = answer.expect_err("it hangs").to_string();
    assert!(text.contains("GG15006") && text.contains("statement_timeout_ms"), "{text}");
    let mut all = [&mut writer, &mut in_transaction, &mut single];
    for client in &mut all {
        assert_eq!(client.query("SELECT v FROM things WHERE id = 2").expect("a row").scalar(), "0");
    }
    hung.resume();
    go_on(&mut all);
    assert_eq!(value(&cluster, 0, 1), "0", "the lost transaction is rolled back");
}

/// Goal: a COMMIT over shards of which one hangs ends in time, and each shard is told as it is: of
/// the one that hangs nothing is known, one that comes after it is not committed, one before it is.
#[test]
fn a_commit_over_shards_of_which_one_hangs() {
    for hangs in [0, 1] {
        let cluster = shards(&format!("timeout-commit-{hangs}"), "");
        let cluster = cluster.watched();
        let mut client = cluster.proxy().client("shop");
        client.query("SET statement_timeout_ms = 400").expect("ok");
        client.query("BEGIN").expect("ok");
        for id in [FIRST[0], SECOND[0]] {
            client.query(format!("UPDATE things SET v = 8 WHERE id = {id}")).expect("ok");
        }
        cluster.shards[hangs].primary.pause();
        let answer = within("COMMIT", 1000, || client.query("COMMIT"));
        let text = answer.expect_err("one hangs").to_string();
        cluster.shards[hangs].primary.resume();
        assert!(text.contains("GG15002") && text.contains("statement_timeout_ms"), "{text}");
        let fate = |shard| fate_of(&text, shard).unwrap_or("not told");
        let expected = [["not known", "not committed"], ["committed", "not known"]][hangs];
        assert_eq!(["-80", "80-"].map(fate), expected, "{text}");
        let other = 1 - hangs;
        let seen = value(&cluster, other, [FIRST, SECOND][other][0]);
        assert_eq!(seen, if hangs == 0 { "0" } else { "8" });
        client.query("SELECT 1").expect("the session goes on");
    }
}

/// Goal: rows that a server had sent before it hung are followed by an error, and the session goes
/// on.
#[test]
fn a_server_that_hangs_in_the_middle() {
    let limits = "[limits]\nmonitor_timeout_ms = 30000\nstatement_timeout_grace_ms = 600\n";
    let cluster = single::start("timeout-middle", limits);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let mut client = cluster.proxy().client("app");
    client
        .query(format!("CREATE TABLE numbers AS SELECT * FROM {} s", SOFTWARE.series(40)))
        .expect("ok");
    client.query("SET statement_timeout_ms = 2000").expect("ok");
    client.command(0x03, b"SELECT REPEAT('x', 40), SLEEP(0.3) FROM numbers").expect("it is read");
    // The columns and their number come with the first row at the latest.
    std::thread::sleep(Duration::from_millis(700));
    server.pause();
    let ended = client.read_answer(false);
    server.resume();
    let error = ended.expect_err("it hangs");
    assert_timeout("rows", &error, "changed nothing");
    client.query("SELECT 1").expect("the session goes on");
}
