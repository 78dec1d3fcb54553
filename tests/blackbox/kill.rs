//! Ends of all kinds: KILL, clients that go away, servers that die, limits in time, shutdown.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Login, Parameter};
use crate::cluster::Cluster;
use crate::server::wait_until;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

/// A statement that runs until it is stopped; `mark` finds it in the process list.
fn endless(mark: &str) -> String {
    let series = SOFTWARE.series(99_999_999);
    format!("SELECT /* {mark} */ COUNT(*) FROM {series} a, {series} b")
}

/// More rows than anybody waits for.
fn rows(mark: &str) -> String {
    format!("SELECT /* {mark} */ * FROM {} s", SOFTWARE.series(999_999_999))
}

fn runs(cluster: &Cluster, mark: &str) -> bool {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%/* {mark} */%' \
         AND id <> CONNECTION_ID()"
    );
    cluster.shards[0].primary.sql(&sql).scalar() != "0"
}

fn wait_for_start(cluster: &Cluster, mark: &str) {
    assert!(wait_until(Duration::from_secs(10), || runs(cluster, mark)), "{mark} does not run");
}

fn assert_stops(cluster: &Cluster, mark: &str) {
    let stopped = wait_until(Duration::from_secs(2), || !runs(cluster, mark));
    assert!(stopped, "{mark} still runs on the server");
}

/// Goal: KILL QUERY by our id stops the statement with error 1317, the session goes on; by
/// statement and by COM_PROCESS_KILL, KILL CONNECTION ends the session. Foreign ids are unknown.
#[test]
fn kill_by_our_ids() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut killer = proxy.client("app");
    let mut victim = proxy.client("app");
    let id = victim.connection_id;
    thread::scope(|scope| {
        let running = scope.spawn(|| victim.query(endless("kill-query")));
        wait_for_start(&cluster, "kill-query");
        killer.query(format!("KILL QUERY {id}")).expect("ok");
        let error = running.join().expect("no panic").expect_err("killed");
        assert_eq!(error.errno(), 1317, "{error}");
    });
    assert_stops(&cluster, "kill-query");
    assert_eq!(victim.query("SELECT CONNECTION_ID()").expect("a row").scalar(), id.to_string());
    for (mark, by_command) in [("kill-connection", false), ("kill-process", true)] {
        let mut victim = proxy.client("app");
        let id = victim.connection_id;
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                let result = victim.query(endless(mark));
                (result, victim)
            });
            wait_for_start(&cluster, mark);
            if by_command {
                killer.command(0x0c, &id.to_le_bytes()).expect("it is read");
                killer.read_reply().expect("ok");
            } else {
                killer.query(format!("KILL {id}")).expect("ok");
            }
            let (result, mut victim) = running.join().expect("no panic");
            assert!(matches!(result.expect_err("killed").errno(), 1927 | 1317 | 0));
            assert_eq!(victim.ping().expect_err("closed").errno(), 0);
        });
        assert_stops(&cluster, mark);
    }
    // An idle one.
    let mut victim = proxy.client("app");
    killer.query(format!("KILL CONNECTION {}", victim.connection_id)).expect("ok");
    let ended = wait_until(Duration::from_secs(2), || victim.ping().is_err());
    assert!(ended, "an idle session survives KILL");
    assert_eq!(killer.query("KILL 99999999").expect_err("unknown").errno(), 1094);
    let sha2 = Login { user: "sha2".into(), password: "secret".into(), ..Login::test("app") };
    let mut other = Client::connect(proxy.socket_address(), &sha2).expect("a login");
    let error = other.query(format!("KILL {}", killer.connection_id)).expect_err("another user's");
    assert!(matches!(error.errno(), 1094 | 1095), "{error}");
    // A KILL QUERY for an idle session does not hit its next statement.
    killer.query(format!("KILL QUERY {}", other.connection_id)).expect_err("another user's");
    let mut idle = proxy.client("app");
    killer.query(format!("KILL QUERY {}", idle.connection_id)).expect("ok");
    assert_eq!(idle.query("SELECT 1").expect("a row").scalar(), "1");
}

/// Goal: KILL QUERY reaches a statement whose rows come faster than the client takes them.
#[test]
fn kill_in_the_middle_of_rows() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut victim = proxy.client("app");
    let id = victim.connection_id;
    thread::scope(|scope| {
        let running = scope.spawn(|| victim.query(rows("kill-rows")));
        wait_for_start(&cluster, "kill-rows");
        thread::sleep(Duration::from_millis(300));
        proxy.client("app").query(format!("KILL QUERY {id}")).expect("ok");
        let error = running.join().expect("no panic").expect_err("killed");
        assert_eq!(error.errno(), 1317, "{error}");
    });
    assert_stops(&cluster, "kill-rows");
    assert_eq!(victim.query("SELECT 1").expect("a row").scalar(), "1");
}

/// Goal: who has the answer to a KILL QUERY can rely on it: a lock that is given up right after
/// it does not let the killed statement through.
#[test]
fn a_kill_is_done_when_it_is_answered() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut holder = proxy.client("app");
    holder.query("CREATE TABLE kill_lock (id INT PRIMARY KEY)").expect("a table");
    holder.query("INSERT INTO kill_lock VALUES (1)").expect("a row");
    let mut victim = proxy.client("app");
    let id = victim.connection_id;
    for _ in 0..5 {
        holder.query("BEGIN").expect("ok");
        holder.query("SELECT id FROM kill_lock FOR UPDATE").expect("a row");
        thread::scope(|scope| {
            let running =
                scope.spawn(|| victim.query("SELECT /* kill-lock */ id FROM kill_lock FOR UPDATE"));
            wait_for_start(&cluster, "kill-lock");
            holder.query(format!("KILL QUERY {id}")).expect("ok");
            holder.query("COMMIT").expect("ok");
            let error = running.join().expect("no panic").expect_err("killed");
            assert_eq!(error.errno(), 1317, "{error}");
        });
    }
    holder.query("DROP TABLE kill_lock").expect("ok");
}

/// Goal: who reads an id from the server's process list can kill that session with it.
#[test]
fn kill_by_the_servers_ids() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut killer = proxy.client("app");
    let mut victim = proxy.client("app");
    thread::scope(|scope| {
        let running = scope.spawn(|| victim.query(endless("kill-listed")));
        wait_for_start(&cluster, "kill-listed");
        let list = "SELECT id FROM information_schema.processlist \
                    WHERE info LIKE '%/* kill-listed */%' AND id <> CONNECTION_ID()";
        let id = killer.query(list).expect("a row").scalar();
        killer.query(format!("KILL QUERY {id}")).expect("ok");
        let error = running.join().expect("no panic").expect_err("killed");
        assert_eq!(error.errno(), 1317, "{error}");
    });
    assert_stops(&cluster, "kill-listed");
}

/// Goal: the statement of a client that goes away is stopped on the server within two seconds,
/// before its first row and in the middle of its rows.
#[test]
fn a_client_vanishes() {
    let cluster = SINGLE.watched();
    // Which is not said by a client whose sending side alone is closed.
    let limits = "[limits]\nclient_half_closed_ms = 200\n";
    let proxy = cluster.another_proxy("vanish", limits);
    let mut client = proxy.client("app");
    client.command(0x03, endless("vanish").as_bytes()).expect("it is read");
    wait_for_start(&cluster, "vanish");
    drop(client);
    assert_stops(&cluster, "vanish");
    let mut client = proxy.client("app");
    client.command(0x03, rows("vanish-rows").as_bytes()).expect("ok");
    wait_for_start(&cluster, "vanish-rows");
    for _ in 0..100 {
        client.read_packet().expect("a row");
    }
    drop(client);
    assert_stops(&cluster, "vanish-rows");
    // A reader that stops reading holds its rows up, and KILL ends it.
    let mut slow = proxy.client("app");
    slow.command(0x03, rows("slow").as_bytes()).expect("ok");
    wait_for_start(&cluster, "slow");
    thread::sleep(Duration::from_millis(300));
    let mut killer = proxy.client("app");
    killer.query(format!("KILL {}", slow.connection_id)).expect("ok");
    assert_stops(&cluster, "slow");
}

/// Goal: a server that dies between two rows of a result gives a named error in the place of the
/// next one; within a row it closes the client's connection (it cannot be told); one that dies
/// between statements gives a named error; all within seconds; after a restart every session works
/// again.
#[test]
fn a_server_dies() {
    let cluster = single::start("dies", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let proxy = cluster.proxy();
    let mut idle = proxy.client("app");
    idle.query("SELECT 1").expect("a row");
    let mut in_transaction = proxy.client("app");
    in_transaction.query("BEGIN").expect("ok");
    in_transaction.query("SELECT 1").expect("a row");
    let mut reading = proxy.client("app");
    reading.command(0x03, rows("reading").as_bytes()).expect("ok");
    for _ in 0..100 {
        reading.read_packet().expect("a row");
    }
    let mut waiting = proxy.client("app");
    waiting.command(0x03, endless("dies").as_bytes()).expect("ok");
    wait_for_start(&cluster, "dies");
    server.kill();
    let start = Instant::now();
    let error = waiting.read_reply().expect_err("the server is gone");
    assert!(error.to_string().contains("GG14004"), "{error}");
    let ended = loop {
        match reading.read_packet() {
            Ok(packet) if packet.first() == Some(&0xff) => break packet,
            Ok(_) => {}
            Err(_) => break b"closed".to_vec(),
        }
    };
    let ended = String::from_utf8_lossy(&ended);
    assert!(ended == "closed" || ended.contains("GG14004"), "{ended}");
    let error = idle.query("SELECT 1").expect_err("no server");
    assert!(error.to_string().contains("GG14003"), "{error}");
    let error = in_transaction.query("SELECT 1").expect_err("no server");
    assert!(error.to_string().contains("GG15001"), "{error}");
    let error = in_transaction.query("SELECT 1").expect_err("still lost");
    assert!(error.to_string().contains("GG15001"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    server.restart();
    in_transaction.query("ROLLBACK").expect("the way out");
    // The monitor looks again every second or so.
    let works = |client: &mut Client| {
        let limit = Duration::from_secs(5);
        let works = wait_until(limit, || client.query("SELECT 2").is_ok_and(|a| a.scalar() == "2"));
        assert!(works, "a session does not work after the server came back");
    };
    for client in [&mut idle, &mut waiting, &mut in_transaction] {
        works(client);
    }
    // Once more, with nothing said to the proxy in between.
    server.restart();
    works(&mut idle);
}

/// Goal: a server that hangs does not keep a session that is to end.
#[test]
fn a_server_hangs() {
    let cluster = single::start("hangs", "");
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let mut victim = proxy.client("app");
    let mut killer = proxy.client("");
    victim.query("SELECT 1").expect("a row");
    cluster.shards[0].primary.pause();
    // Its threads stop one after the other.
    thread::sleep(Duration::from_millis(100));
    victim.command(0x03, b"SELECT 2").expect("ok");
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    killer.query(format!("KILL {}", victim.connection_id)).expect("ok");
    let error = victim.read_reply().expect_err("killed");
    assert_eq!(error.errno(), 0, "closed: {error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    cluster.shards[0].primary.resume();
    assert_eq!(killer.query("SELECT 3").expect("a row").scalar(), "3");
}

/// Goal: when all connections are taken a statement waits for its limit and gets a named error, and
/// works again when one is free; SET, USE and ordinary statements take none between statements.
#[test]
fn the_pool_is_exhausted() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 500\n";
    let proxy = cluster.another_proxy("exhausted", limits);
    let mut one = proxy.client("app");
    let mut two = proxy.client("app_a");
    for sql in
        ["SET @a = 1", "SET sql_mode = 'ANSI_QUOTES'", "USE app_b", "SELECT @a", "SET NAMES latin1"]
    {
        one.query(sql).expect("ok");
        assert_eq!(
            two.query("SELECT @a").unwrap_or_else(|e| panic!("{sql} pins: {e}")).scalar(),
            "NULL"
        );
    }
    let statement = one.prepare("SELECT ?").expect("a statement");
    one.execute(&statement, &[Parameter::Int(1)]).expect("a row");
    two.query("SELECT 1").unwrap_or_else(|error| panic!("an execution pins: {error}"));
    one.query("BEGIN").expect("ok");
    one.query("SELECT 1").expect("a row");
    let start = Instant::now();
    let error = two.query("SELECT 1").expect_err("no connection");
    assert_eq!(error.errno(), 1203, "{error}");
    assert!(error.to_string().contains("GG14002"), "{error}");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(450) && waited < Duration::from_secs(2), "{waited:?}");
    one.query("COMMIT").expect("ok");
    assert_eq!(two.query("SELECT 1").expect("a row").scalar(), "1");
    // Released by whoever vanishes, too.
    one.query("SELECT GET_LOCK('exhausted', 0)").expect("pinned");
    assert_eq!(two.query("SELECT 1").expect_err("no connection").errno(), 1203);
    drop(one);
    let free = wait_until(Duration::from_secs(2), || two.query("SELECT 1").is_ok());
    assert!(free, "the connection of a client that left is not given back");
}

/// Goal: a client that says nothing for `client_idle_ms` is closed; a busy one is not.
#[test]
fn idle_clients_are_closed() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("idle", "[limits]\nclient_idle_ms = 2000\n");
    let mut idle = proxy.client("app");
    let mut busy = proxy.client("app");
    busy.query("SELECT SLEEP(4)").expect("longer than the limit, but not idle");
    // MySQL tells why.
    let errno = if SOFTWARE.is_mysql() { 4031 } else { 0 };
    assert_eq!(idle.read_reply().expect_err("closed").errno(), errno);
    busy.query("SELECT 1").expect("a row");
}

/// Goal: on SIGTERM idle sessions end at once, a transaction may end first, new clients are not
/// served, and then the process is gone.
#[test]
fn shutdown_lets_transactions_end() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("drain", "");
    let mut setup = proxy.client("app");
    setup.query("CREATE TABLE drained (id INT PRIMARY KEY)").expect("ok");
    let mut idle = proxy.client("app");
    let mut killed = proxy.client("app");
    setup.query(format!("KILL QUERY {}", killed.connection_id)).expect("ok");
    let mut open = proxy.client("app");
    open.query("BEGIN").expect("ok");
    open.query("INSERT INTO drained VALUES (1)").expect("ok");
    let start = Instant::now();
    proxy.signal("TERM");
    assert_eq!(idle.read_reply().expect_err("told").errno(), 1053);
    assert_eq!(killed.read_reply().expect_err("told").errno(), 1053);
    open.query("INSERT INTO drained VALUES (2)").expect("the transaction goes on");
    open.query("COMMIT").expect("and ends");
    let error = open.query("SELECT 1").expect_err("now it is over");
    assert!(matches!(error.errno(), 1053 | 0), "{error}");
    proxy.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let count = cluster.shards[0].primary.sql("SELECT COUNT(*) FROM app.drained");
    assert_eq!(count.scalar(), "2");
    let _ = open.stream().shutdown(Shutdown::Both);
}
