//! Clients that do not take their answers, or do not send what they began.
//!
//! Goal of all: they keep a connection to a server for a limited time, and a short one where others
//! wait for it; who goes on is never taken for one of them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Login, capability};
use crate::proxy::Proxy;
use crate::server::{Server, wait_until};
use crate::shop::SHOP;
use crate::single;

/// 64 rows of a megabyte: more than the kernel takes for a client that does not read.
pub(crate) const LARGE: &str = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 64) \
                     SELECT REPEAT('x', 1000000) FROM n";

/// A client whose kernel takes little of what it does not read.
pub(crate) fn with_small_window(address: SocketAddr, database: &str) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a size");
    socket.connect(&address.into()).expect("the proxy listens");
    Client::over(socket.into(), &Login::test(database)).expect("the proxy takes a login")
}

fn ended(proxy: &Proxy, limit: &str) -> u64 {
    let text = proxy.http("GET", "/metrics", "").1;
    let line = format!("geogate_clients_ended_total{{limit=\"{limit}\"}}");
    let value = text.lines().find_map(|l| l.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{line} in\n{text}")).trim().parse().expect("a number")
}

/// How many statements like this run on a server.
fn running(server: &Server, like: &str) -> usize {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND info \
         LIKE \"{like}\" AND info NOT LIKE '%processlist%'"
    );
    server.sql(&sql).scalar().parse().expect("a number")
}

/// Goal: three hundred clients that ask for much and read nothing take a pool of twenty from
/// nobody: clients that read go on without an error.
#[test]
fn non_readers_make_room() {
    // Servers and tests share two processors here: others may wait a little longer than usual.
    let limits = "[limits]\nserver_connections_max = 20\nserver_connection_wait_ms = 10000\n";
    let cluster = single::start("non-readers", limits);
    let cluster = cluster.watched();
    let (proxy, server) = (cluster.proxy(), &cluster.shards[0].primary);
    let address = proxy.socket_address();
    let good: Vec<Client> = (0..4).map(|_| proxy.client("app")).collect();
    let mut silent: Vec<Client> = (0..300).map(|_| with_small_window(address, "app")).collect();
    let started = Instant::now();
    for client in &mut silent {
        client.command(3, LARGE.as_bytes()).expect("it reads");
    }
    let go_on = |mut client: Client| {
        let (mut longest, mut count) = (Duration::ZERO, 0);
        while started.elapsed() < Duration::from_secs(12) {
            let asked = Instant::now();
            assert_eq!(client.query("SELECT 7").expect("a row").scalar(), "7");
            longest = longest.max(asked.elapsed());
            count += 1;
        }
        (longest, count)
    };
    let served: Vec<_> = thread::scope(|scope| {
        let spawn = |client| scope.spawn(move || go_on(client));
        let threads: Vec<_> = good.into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no error")).collect()
    });
    println!("longest wait and statements of each: {served:?}");
    assert!(served.iter().all(|(_, count)| *count > 100), "{served:?}");
    let gone = ended(proxy, "client_slow_ms");
    println!("{gone} clients were ended");
    assert!(gone >= 100, "{gone} were ended:\n{}", proxy.log_tail());
    assert!(proxy.log_tail().contains("client_slow_ms=2000"), "{}", proxy.log_tail());
    // Nobody waits for those that are left.
    let left = running(server, "%REPEAT%");
    assert!(left > 0, "clients were ended for nobody");
    drop(silent);
    assert!(wait_until(Duration::from_secs(10), || running(server, "%REPEAT%") == 0));
}

/// Goal: a client that takes nothing is ended after `client_write_timeout_ms`, whatever carries its
/// answer, and its statement with it; one that takes a little now and then is not.
#[test]
fn answers_that_are_not_taken() {
    let limits = "[limits]\nclient_write_timeout_ms = 1500\n";
    let cluster = single::start("not-taken", limits);
    let cluster = cluster.watched();
    let (proxy, server) = (cluster.proxy(), &cluster.shards[0].primary);
    let mut text = with_small_window(proxy.socket_address(), "app");
    text.command(3, LARGE.as_bytes()).expect("it reads");
    let mut prepared = with_small_window(proxy.socket_address(), "app");
    let statement = prepared.prepare(LARGE).expect("a statement");
    let execution = [&statement.id.to_le_bytes()[..], &[0, 1, 0, 0, 0]].concat();
    prepared.command(0x17, &execution).expect("it reads");
    let mut in_transaction = with_small_window(proxy.socket_address(), "app");
    in_transaction.query("BEGIN").expect("ok");
    in_transaction.command(3, LARGE.as_bytes()).expect("it reads");
    assert!(wait_until(Duration::from_secs(5), || running(server, "%REPEAT%") == 3));
    let mut slow = with_small_window(proxy.socket_address(), "app").into_stream();
    let request = [&[(LARGE.len() + 1) as u8, 0, 0, 0, 3], LARGE.as_bytes()].concat();
    slow.write_all(&request).expect("it reads");
    // It takes half a megabyte every 200 milliseconds.
    let (started, mut piece) = (Instant::now(), vec![0; 512 << 10]);
    while started.elapsed() < Duration::from_secs(4) {
        slow.read_exact(&mut piece).expect("the answer goes on");
        thread::sleep(Duration::from_millis(200));
    }
    let only_one = wait_until(Duration::from_secs(5), || running(server, "%REPEAT%") == 1);
    assert!(only_one, "{} are running\n{}", running(server, "%REPEAT%"), proxy.log_tail());
    assert_eq!(ended(proxy, "client_write_timeout_ms"), 3);
    assert!(proxy.log_tail().contains("client_write_timeout_ms=1500"), "{}", proxy.log_tail());
    for client in [&mut text, &mut prepared, &mut in_transaction] {
        let read = wait_until(Duration::from_secs(10), || client.read_packet().is_err());
        assert!(read, "its connection is still open");
    }
}

/// Goal: the same for rows of several shards, whose connections it keeps all.
#[test]
fn merged_answers_that_are_not_taken() {
    let cluster = SHOP.watched();
    let proxy = cluster.another_proxy("merged", "[limits]\nclient_write_timeout_ms = 1000\n");
    let mut client = with_small_window(proxy.socket_address(), "shop");
    let sql = "SELECT id, REPEAT('merged', 200000) FROM customer ORDER BY id";
    client.command(3, sql.as_bytes()).expect("it reads");
    let shards = || cluster.keyspace("shop").map(|shard| running(&shard.primary, "%'merged'%"));
    assert!(wait_until(Duration::from_secs(5), || shards().sum::<usize>() > 0));
    assert!(wait_until(Duration::from_secs(10), || shards().sum::<usize>() == 0));
    assert_eq!(ended(&proxy, "client_write_timeout_ms"), 1);
    let read = wait_until(Duration::from_secs(10), || client.read_packet().is_err());
    assert!(read, "its connection is still open");
}

/// Goal: what is begun and not gone on with keeps nothing after `client_read_timeout_ms`: half a
/// command, half a statement that is forwarded as it comes, half a file.
#[test]
fn commands_that_are_not_ended() {
    let limits = "[limits]\nclient_read_timeout_ms = 1000\n";
    let cluster = single::start("not-ended", limits);
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let server = &cluster.shards[0].primary;
    server.sql("CREATE TABLE app.half (v LONGTEXT)");
    let mut idle = proxy.client("app");
    let mut begun = half_commands(proxy.socket_address());
    for (name, stream) in &mut begun {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(*name != "command" || answer.contains("client_read_timeout_ms (1000)"), "{answer}");
    }
    assert_eq!(ended(proxy, "client_read_timeout_ms"), 3);
    assert_eq!(server.sql("SELECT COUNT(*) FROM app.half").scalar(), "0");
    assert_eq!(idle.query("SELECT 7").expect("it has begun nothing").scalar(), "7");
}

/// Goal: while others wait for their connections, they make room.
#[test]
fn half_commands_make_room() {
    let limits = "[limits]\nserver_connections_max = 2\nclient_slow_ms = 500\n";
    let cluster = single::start("half-commands", limits);
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    cluster.shards[0].primary.sql("CREATE TABLE app.half (v LONGTEXT)");
    let begun = half_commands(proxy.socket_address());
    let mut good = proxy.client("app");
    assert_eq!(good.query("SELECT 7").expect("a row").scalar(), "7");
    assert_eq!(ended(proxy, "client_slow_ms"), 1, "one made room for one");
    drop(begun);
}

/// Half a command, half a long statement and half a file.
fn half_commands(address: SocketAddr) -> Vec<(&'static str, TcpStream)> {
    let login = Login {
        capabilities: capability::LOCAL_FILES | capability::DEPRECATE_EOF,
        ..Login::test("app")
    };
    let connect = || {
        let client = Client::connect(address, &login).expect("the proxy takes a login");
        client.into_stream()
    };
    let (mut command, mut long, mut file) = (connect(), connect(), connect());
    command.write_all(&[200, 0, 0, 0, 3, b'S']).expect("it reads");
    // Two MiB are announced.
    long.write_all(&[0, 0, 32, 0, 3]).expect("it reads");
    long.write_all(b"INSERT INTO half VALUES ('").expect("it reads");
    long.write_all(&[b'x'; 10_000]).expect("it reads");
    let load = b"LOAD DATA LOCAL INFILE 'f' INTO TABLE half";
    file.write_all(&[&[load.len() as u8 + 1, 0, 0, 0, 3], &load[..]].concat()).expect("it reads");
    let mut request = [0; 6];
    file.read_exact(&mut request).expect("a request for the file");
    assert_eq!(request[4], 0xfb);
    file.write_all(&[100, 0, 0, 2, b'a']).expect("it reads");
    vec![("command", command), ("long", long), ("file", file)]
}
