//! Whoever connects and goes no further: half logins, half requests, too many of either.
//!
//! Goal of all: they cost little, for a short time, and keep nobody out.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{Client, Login};
use crate::proxy::Proxy;
use crate::server::{owned_command, wait_until};
use crate::single::{self, SINGLE};

/// As many sockets as the tests may have, at most `wanted`.
pub(crate) fn descriptors(wanted: usize) -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard one");
    wanted.min(maximum.map_or(usize::MAX, |maximum| maximum as usize / 2))
}

/// Changes how many file descriptors a running process may have.
fn allow(pid: u32, descriptors: usize) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--nofile={descriptors}")]);
    assert!(command.status().expect("prlimit is installed").success());
}

fn metric(proxy: &Proxy, line: &str) -> u64 {
    let text = proxy.http("GET", "/metrics", "").1;
    let value = text.lines().find_map(|l| l.strip_prefix(line));
    value.unwrap_or_else(|| panic!("{line} in\n{text}")).trim().parse().expect("a number")
}

/// Goal: ten thousand half logins, which never end, keep no client out, although the proxy may
/// have but a third as many file descriptors. Method: every tenth sends the head of a packet.
#[test]
fn half_logins_keep_nobody_out() {
    let cluster = single::start("half-logins", "[limits]\nserver_connections_max = 64\n");
    let cluster = cluster.watched();
    let proxy = cluster.proxy();
    let mut old = proxy.client("app");
    allow(proxy.pid(), 3_000);
    let wanted = descriptors(10_000);
    let (mut half, mut longest) = (Vec::with_capacity(wanted), Duration::ZERO);
    while half.len() < wanted {
        for number in 0..500.min(wanted - half.len()) {
            let mut stream = TcpStream::connect(proxy.socket_address()).expect("the kernel");
            if number % 10 == 0 {
                let _ = stream.write_all(&[200, 0, 0, 1, 0x85]);
            }
            half.push(stream);
        }
        let started = Instant::now();
        let mut new = proxy.client("app");
        assert_eq!(new.query("SELECT 7").expect("a row").scalar(), "7");
        longest = longest.max(started.elapsed());
    }
    println!("{wanted} half logins; the longest login between them took {longest:?}");
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    assert_eq!(old.query("SELECT 8").expect("a row").scalar(), "8");
    let shown_out = metric(proxy, "geogate_logins_unfinished_total{reason=\"room\"}");
    assert!(shown_out as usize + 2_000 >= wanted, "{shown_out}");
    assert!(proxy.log_tail().contains("client_logins_max=2000"), "{}", proxy.log_tail());
}

/// Goal: a login that does not end is closed after `client_handshake_ms`, and what is too long is
/// refused by the limit's name; neither leaves a place taken.
#[test]
fn late_and_long_logins() {
    let limits = "[limits]\nclient_handshake_ms = 300\nclient_login_bytes_max = 1000\n\
                  client_logins_max = 2\nclient_connections_max = 2\n";
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("late", limits);
    for begun in [&b""[..], &[200, 0, 0, 1, 0x85]] {
        let started = Instant::now();
        assert!(is_closed(proxy.socket_address(), begun), "{begun:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    let late = "geogate_logins_unfinished_total{reason=\"late\"}";
    assert!(wait_until(Duration::from_secs(5), || metric(&proxy, late) == 2));
    let mut long = TcpStream::connect(proxy.socket_address()).expect("the proxy");
    long.write_all(&[0, 16, 0, 1]).expect("it reads");
    long.write_all(&[1; 4096]).expect("it reads");
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("client_login_bytes_max (1000)"), "{answer}");
    let _clients = [proxy.client("app"), proxy.client("app")];
    let third = Client::connect(proxy.socket_address(), &Login::test("app"));
    assert_eq!(third.err().expect("no place").errno(), 1040);
}

/// Whether a connection that sends `begun` and no more is closed within five seconds.
fn is_closed(address: SocketAddr, begun: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a valid duration");
    stream.write_all(begun).expect("it reads");
    let ended = stream.read_to_end(&mut Vec::new());
    ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
}

/// Goal: half requests and slow bodies at the control port are cut off in time, with an answer
/// where one can be given; many of them keep no request out.
#[test]
fn half_requests_keep_nobody_out() {
    let limits = "[limits]\ncontrol_request_ms = 400\ncontrol_connections_max = 8\n\
                  control_body_bytes_max = 1000\ncontrol_head_bytes_max = 8192\n\
                  control_connection_ms = 1000\n";
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("half-requests", limits);
    let control = SocketAddr::from(([127, 0, 0, 1], proxy.control_port));
    for begun in ["", "GET /rea", "GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
        assert!(is_closed(control, begun.as_bytes()), "{begun}");
    }
    let exchange = |request: &str| {
        let mut stream = TcpStream::connect(control).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a valid duration");
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        (ended.is_ok(), String::from_utf8_lossy(&answer).into_owned())
    };
    let put = |token: &str, length: usize, body: &str| {
        exchange(&format!(
            "PUT /api/v1/vschema HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    };
    for (answer, expected) in [
        (put("admin", 900, "{"), "control_request_ms (400)"),
        (put("admin", 2_000, &"x".repeat(2_000)), "control_body_bytes_max (1000)"),
        (put("wrong", 900, "{"), "401 Unauthorized"),
        (exchange(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000))), "HTTP/1.1 4"),
    ] {
        assert!(answer.0 && answer.1.contains(expected), "{expected}: {answer:?}");
    }
    // A connection that goes on asking is closed in its time too.
    let mut busy = TcpStream::connect(control).expect("it listens");
    let closed = wait_until(Duration::from_secs(5), || {
        let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        busy.write_all(request).is_err() || !matches!(busy.read(&mut [0; 4096]), Ok(1..))
    });
    assert!(closed, "control_connection_ms does not end it");
    let mut half = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(control).expect("it listens");
        stream.write_all(b"POST /api/v1/canary HTTP/1.1\r\n").expect("it reads");
        half.push(stream);
        assert_eq!(proxy.http("GET", "/healthz", "").0, 200);
    }
}

/// Goal: the soft limit of file descriptors is raised to the hard one; where that is too little,
/// the limits for clients are lowered and the figures told, or the start is refused with them.
#[test]
fn file_descriptors_are_counted_at_the_start() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("descriptors", "[limits]\nserver_connections_max = 20\n");
    let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.pid())).expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "soft and hard: {line}");
    proxy.stop();
    let serve = |descriptors: usize| {
        let mut command = owned_command("prlimit");
        command.arg(format!("--nofile={descriptors}")).arg(env!("CARGO_BIN_EXE_geogate"));
        command.args(["serve", "--config"]).arg(proxy.folder.join("geogate.toml"));
        command
    };
    let refused = serve(100).output().expect("it runs");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("client_connections_max 10000") && text.contains("100 may be open"));
    assert!(text.contains("LimitNOFILE"), "{text}");
    let log = fs::File::create(proxy.folder.join("low.log")).expect("writable");
    let mut low = serve(400).stderr(log).spawn().expect("it runs");
    let address = proxy.socket_address();
    let listens = wait_until(Duration::from_secs(20), || TcpStream::connect(address).is_ok());
    let clients: Vec<_> =
        (0..400).map_while(|_| Client::connect(address, &Login::test("app")).ok()).collect();
    let refusal = Client::connect(address, &Login::test("app")).err();
    let _ = low.kill();
    let _ = low.wait();
    let text = fs::read_to_string(proxy.folder.join("low.log")).expect("it was written");
    assert!(listens && text.contains("limits are lowered"), "{text}");
    assert!(refusal.is_some_and(|error| error.errno() == 1040), "{} clients", clients.len());
    assert!(text.contains(&format!("client_connections_max={}", clients.len())), "{text}");
}

/// Goal: the same while others connect all the time and as fast as they can.
#[test]
fn a_storm_of_half_logins_keeps_nobody_out() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("storm", "");
    let kept = descriptors(4_000) / 2;
    let (address, over) = (proxy.socket_address(), AtomicBool::new(false));
    let (connected, longest) = std::thread::scope(|scope| {
        let storm = || {
            let (mut half, mut count) = (VecDeque::new(), 0_u64);
            while !over.load(Ordering::Relaxed) {
                if let Ok(stream) = TcpStream::connect(address) {
                    half.push_back(stream);
                    count += 1;
                }
                if half.len() > kept {
                    half.pop_front();
                }
            }
            count
        };
        // One is enough to be ahead of the proxy, and leaves other tests their processor.
        let storm = scope.spawn(storm);
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let started = Instant::now();
            let answer = proxy.client("app").query("SELECT 7");
            assert_eq!(answer.expect("a row").scalar(), "7");
            longest = longest.max(started.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        (storm.join().expect("it ends"), longest)
    });
    println!("{connected} half logins; the longest login among them took {longest:?}");
    // Other tests run beside this one: it is about getting in at all.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}
