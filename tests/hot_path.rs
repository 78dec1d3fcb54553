//! Counts what the hot path asks of the allocator: nothing.
//!
//! Goal: after a warm-up, a thousand point selects, text and prepared, make no allocation on the
//! worker's thread. Method: the proxy runs in this process, in front of a scripted server that
//! answers every statement with the bytes that MariaDB 10.11 sent for a point select; the global
//! allocator counts what threads named `worker-*` ask for.

#![allow(unsafe_code, reason = "a global allocator cannot be written without it")]
#![allow(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::print_stdout, reason = "it tells what it has counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use geogate::app::App;
use geogate::config;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// Set `GEOGATE_TRACE_ALLOCATIONS=1` to panic at the first one, with a backtrace.
static TRACE: AtomicBool = AtomicBool::new(false);

struct Counting;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

// Safety: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(size: usize) {
    if !COUNTING.load(Ordering::Relaxed) || INSIDE.get() {
        return;
    }
    INSIDE.set(true);
    // The name is known without allocating; threads that are going away have none.
    let is_worker = thread::current().name().is_some_and(|name| name.starts_with("worker-"));
    if is_worker {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(size, Ordering::Relaxed);
        if TRACE.load(Ordering::Relaxed) {
            let backtrace = std::backtrace::Backtrace::force_capture().to_string();
            let ours = backtrace.lines().filter(|line| line.contains("geogate::"));
            eprintln!("{size} bytes: {:#?}", ours.take(6).collect::<Vec<_>>());
        }
    }
    INSIDE.set(false);
}

#[test]
fn point_selects_allocate_nothing() {
    TRACE.store(std::env::var_os("GEOGATE_TRACE_ALLOCATIONS").is_some(), Ordering::Relaxed);
    let unsharded = [("-", scripted_server())];
    let app = start("hot-path", r#"{"sharded": false}"#, &unsharded);
    let mut client = log_in(app.address().unwrap());

    let sql = b"SELECT c FROM sbtest1 WHERE id = 1234";
    let query = packet(0, &[&[3], &sql[..]].concat());
    let prepare = packet(0, b"\x16SELECT c FROM sbtest1 WHERE id = ?");
    let statement = prepared(&mut client, &prepare);
    let execute = execution(statement, 1234);

    allocates_nothing("text", &mut client, &[&query]);
    allocates_nothing("prepared", &mut client, &[&execute]);
    // The timer of a session is made once.
    client.write_all(&packet(0, b"\x03SET statement_timeout_ms = 60000")).unwrap();
    read_packet(&mut client);
    allocates_nothing("text with a time limit", &mut client, &[&query]);
    allocates_nothing("prepared with a time limit", &mut client, &[&execute]);
    // The counter does count: preparing another text takes memory.
    COUNTING.store(true, Ordering::Relaxed);
    client.write_all(&packet(0, b"\x16SELECT c FROM sbtest1 WHERE k = ?")).unwrap();
    for _ in 0..3 {
        read_packet(&mut client);
    }
    COUNTING.store(false, Ordering::Relaxed);
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "nothing is counted");
    app.drain(Duration::ZERO);

    // Over shards: the plan is in the cache, the values lead to both of them.
    let shards = [("-80", scripted_server()), ("80-", scripted_server())];
    let app = start("hot-path-sharded", SHARDED, &shards);
    let mut client = log_in(app.address().unwrap());
    let selects: Vec<Vec<u8>> = (1..9)
        .map(|id| packet(0, format!("\x03SELECT c FROM sbtest1 WHERE id = {id}").as_bytes()))
        .collect();
    let selects: Vec<&[u8]> = selects.iter().map(Vec::as_slice).collect();
    allocates_nothing("text over shards", &mut client, &selects);
    let statement = prepared(&mut client, &prepare);
    let executions: Vec<Vec<u8>> = (1..9).map(|id| execution(statement, id)).collect();
    let executions: Vec<&[u8]> = executions.iter().map(Vec::as_slice).collect();
    allocates_nothing("prepared over shards", &mut client, &executions);
    app.drain(Duration::ZERO);
}

/// Prepares a statement with one parameter and one column; gives its number.
fn prepared(client: &mut TcpStream, prepare: &[u8]) -> [u8; 4] {
    client.write_all(prepare).unwrap();
    // OK, a parameter, a column (DEPRECATE_EOF: no end packets).
    let ok = read_packet(client);
    read_packet(client);
    read_packet(client);
    ok[1..5].try_into().unwrap()
}

/// A COM_STMT_EXECUTE with one BIGINT.
fn execution(statement: [u8; 4], value: i64) -> Vec<u8> {
    let head: &[u8] = b"\0\x01\0\0\0\0\x01\x08\0";
    packet(0, &[&[0x17], &statement[..], head, &value.to_le_bytes()].concat())
}

/// The commands in turn, 1000 in all, each answered by four packets.
fn allocates_nothing(name: &str, client: &mut TcpStream, commands: &[&[u8]]) {
    for counting in [false, true] {
        ALLOCATIONS.store(0, Ordering::Relaxed);
        BYTES.store(0, Ordering::Relaxed);
        let rounds = if counting { 1000 } else { 200 };
        COUNTING.store(counting, Ordering::Relaxed);
        for command in commands.iter().cycle().take(rounds) {
            client.write_all(command).unwrap();
            for _ in 0..4 {
                read_packet(client);
            }
        }
        COUNTING.store(false, Ordering::Relaxed);
    }
    let (count, bytes) = (ALLOCATIONS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    println!("{name}: {count} allocations, {bytes} bytes in 1000 point selects");
    assert_eq!(count, 0, "{name}: {bytes} bytes");
}

const SHARDED: &str = r#"{
    "sharded": true,
    "vindexes": { "hash": { "type": "hash" } },
    "tables": { "sbtest1": {
        "column_vindexes": [{ "column": "id", "name": "hash" }],
        "columns": [{ "name": "id", "type": "INT64" }, { "name": "c", "type": "CHAR", "size": 120 }]
    } }
}"#;

/// The proxy with one worker in front of shards of keyspace `app`, each a range and a port.
fn start(name: &str, keyspace: &str, shards: &[(&str, u16)]) -> App {
    use std::fmt::Write as _;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("vschema")).unwrap();
    std::fs::write(folder.join("vschema/app.json"), keyspace).unwrap();
    let mut text = "[proxy]\nworkers = 1\n[listen]\nmysql = \"127.0.0.1:0\"\n[vschema]\n\
        path = \"vschema\"\n[backend]\nuser = \"x\"\npassword = \"x\"\n[[user]]\n\
        name = \"u\"\npassword = \"\"\n[[keyspace]]\nname = \"app\"\n"
        .to_owned();
    for (range, port) in shards {
        write!(
            text,
            "[[keyspace.shard]]\nrange = \"{range}\"\n[[keyspace.shard.server]]\n\
             address = \"127.0.0.1:{port}\"\nrole = \"primary\"\n"
        )
        .unwrap();
    }
    let file = folder.join("geogate.toml");
    std::fs::write(&file, text).unwrap();
    App::start(&config::load(&file).unwrap()).unwrap()
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(sequence);
    bytes.extend_from_slice(payload);
    bytes
}

fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    assert_ne!(payload.first(), Some(&0xff), "{}", payload.escape_ascii());
    payload
}

/// LONG_PASSWORD FOUND_ROWS LONG_FLAG CONNECT_WITH_DB IGNORE_SPACE PROTOCOL_41 TRANSACTIONS
/// SECURE_CONNECTION MULTI_RESULTS PS_MULTI_RESULTS PLUGIN_AUTH LENENC SESSION_TRACK DEPRECATE_EOF
const SERVER_CAPABILITIES: u32 =
    0x10f | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 21 | 1 << 23 | 1 << 24;
/// As the ordinary `mysql` client: without session tracking, with a database.
const CLIENT_CAPABILITIES: u32 =
    1 | 4 | 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19 | 1 << 24;

fn log_in(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    read_packet(&mut stream);
    let mut response = CLIENT_CAPABILITIES.to_le_bytes().to_vec();
    response.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    response.push(45);
    response.extend_from_slice(&[0; 23]);
    response.extend_from_slice(b"u\0\0app\0mysql_native_password\0");
    stream.write_all(&packet(1, &response)).unwrap();
    while read_packet(&mut stream)[0] != 0 {
        stream.write_all(&packet(3, b"")).unwrap();
    }
    stream
}

/// A server that lets everybody in and answers by the kind of command; gives its port.
fn scripted_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut greeting = b"\x0a5.5.5-10.11.19-MariaDB\0\x07\0\0\0abcdefgh\0".to_vec();
    greeting.extend_from_slice(&SERVER_CAPABILITIES.to_le_bytes()[..2]);
    greeting.extend_from_slice(&[45, 2, 0]);
    greeting.extend_from_slice(&SERVER_CAPABILITIES.to_le_bytes()[2..]);
    greeting.push(21);
    greeting.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0");
    stream.write_all(&packet(0, &greeting)).unwrap();
    read_packet(&mut stream);
    let ok = b"\0\0\0\x02\0\0\0";
    stream.write_all(&packet(2, ok)).unwrap();
    let column =
        b"\x03def\x03app\x07sbtest1\x07sbtest1\x01c\x01c\x0c-\0\xe0\x01\0\0\xfe\x01\0\0\0\0";
    let definition = packet(2, column);
    let end = packet(4, b"\xfe\0\0\x02\0\0\0");
    let value = [&[120][..], &[b'v'; 120]].concat();
    let text_row = packet(3, &value);
    let binary_row = packet(3, &[b"\0\0", &value[..]].concat());
    loop {
        let mut header = [0; 4];
        if stream.read_exact(&mut header).is_err() {
            return;
        }
        let mut payload =
            vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
        stream.read_exact(&mut payload).unwrap();
        let answer = match payload[0] {
            3 if payload[1..].starts_with(b"SELECT") => {
                [&packet(1, &[1]), &definition, &text_row, &end].map(|p| &p[..]).concat()
            }
            0x16 => {
                let ok = packet(1, b"\0\x05\0\0\0\x01\0\x01\0\0\0\0");
                [&ok, &definition, &packet(3, column)].map(|p| &p[..]).concat()
            }
            0x17 => [&packet(1, &[1]), &definition, &binary_row, &end].map(|p| &p[..]).concat(),
            _ => packet(1, ok),
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}
