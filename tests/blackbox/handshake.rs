//! The first packets of a connection, by hand: what old, odd and hostile clients send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::capability;
use crate::packet::{Reader, native_scramble};
use crate::single::SINGLE;

const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const SECURE: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const LENENC: u32 = 1 << 21;

/// A connection that has read the greeting.
struct Raw {
    stream: TcpStream,
    scramble: Vec<u8>,
}

impl Raw {
    fn new(address: std::net::SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("the proxy");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid duration");
        let greeting = read_packet(&mut stream).expect("a greeting").1;
        let mut reader = Reader::new(&greeting[1..]);
        reader.until_zero().expect("a version");
        reader.u32().expect("an id");
        let mut scramble = reader.take(8).expect("a nonce").to_vec();
        reader.take(19).expect("flags");
        scramble.extend_from_slice(reader.take(12).expect("its rest"));
        Self { stream, scramble }
    }

    fn send(&mut self, sequence: u8, payload: &[u8]) {
        let mut bytes = (payload.len() as u32).to_le_bytes();
        bytes[3] = sequence;
        let _ = self.stream.write_all(&[&bytes, payload].concat());
    }

    /// What is answered: the errno of an ERR, 0 for OK, 0xfe for a switch, `None` for a close.
    fn answer(&mut self) -> Option<u16> {
        let (_, payload) = read_packet(&mut self.stream)?;
        Some(match payload[0] {
            0xff => u16::from_le_bytes([payload[1], payload[2]]),
            first => u16::from(first),
        })
    }

    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok() && rest.is_empty()
    }
}

fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8];
    stream.read_exact(&mut payload).ok()?;
    Some((header[3], payload))
}

fn front(flags: u32) -> Vec<u8> {
    [&flags.to_le_bytes()[..], &(1_u32 << 24).to_le_bytes(), &[45], &[0; 23]].concat()
}

/// Goal: every form of the response that clients of the last twenty years send.
#[test]
fn forms_of_the_response() {
    let cluster = SINGLE.watched();
    let base = PROTOCOL_41 | 1;
    for (name, flags, tail) in [
        ("no plugin, a length byte", base | SECURE, &b""[..]),
        ("with a plugin", base | SECURE | PLUGIN_AUTH, b"mysql_native_password\0"),
        ("a lenenc length", base | SECURE | PLUGIN_AUTH | LENENC, b"mysql_native_password\0"),
        ("an empty database", base | SECURE | capability::CONNECT_WITH_DB, b"\0"),
        ("a database without its end", base | SECURE | capability::CONNECT_WITH_DB, b"app"),
        ("flags that promise more", base | SECURE | PLUGIN_AUTH | 1 << 20, b""),
    ] {
        let mut raw = Raw::new(cluster.proxy().socket_address());
        let answer = native_scramble("test", &raw.scramble);
        let payload = [&front(flags)[..], b"test\0", &[20], &answer, tail].concat();
        raw.send(1, &payload);
        assert_eq!(raw.answer(), Some(0), "{name}");
        raw.send(0, b"\x03DO 1");
        assert_eq!(raw.answer(), Some(0), "{name}");
    }
}

/// Goal: a plugin that we do not have leads to a switch, or to error 1251 for a client that
/// cannot switch; an empty answer is no password.
#[test]
fn other_plugins() {
    let cluster = SINGLE.watched();
    let base = PROTOCOL_41 | 1 | SECURE;
    for plugin in ["mysql_clear_password", "auth_gssapi_client", "dialog", "x"] {
        let mut raw = Raw::new(cluster.proxy().socket_address());
        let plugin = format!("{plugin}\0");
        let payload = [&front(base | PLUGIN_AUTH)[..], b"test\0\x04abcd", plugin.as_bytes()];
        raw.send(1, &payload.concat());
        let (sequence, switch) = read_packet(&mut raw.stream).expect("an answer");
        assert_eq!((sequence, switch[0]), (2, 0xfe));
        let mut reader = Reader::new(&switch[1..]);
        // The greeting's, which everybody knows here.
        assert_eq!(reader.until_zero().expect("a name"), b"mysql_native_password");
        let nonce = reader.take(20).expect("a nonce").to_vec();
        raw.send(3, &native_scramble("test", &nonce));
        assert_eq!(raw.answer(), Some(0), "{plugin}");
    }
    let mut raw = Raw::new(cluster.proxy().socket_address());
    raw.send(1, &[&front(base | PLUGIN_AUTH)[..], b"test\0\0mysql_native_password\0"].concat());
    assert_eq!(raw.answer(), Some(1045));
    assert!(raw.is_closed());
    // No native hash, and no way to ask for more.
    let users = "[[user]]\nname = \"new\"\nhash = { sha2 = \"\
                 5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\" }\n";
    let proxy = cluster.another_proxy("old-clients", users);
    let mut raw = Raw::new(proxy.socket_address());
    raw.send(1, &[&front(base)[..], b"new\0\x14", &[7; 20]].concat());
    assert_eq!(raw.answer(), Some(1251));
}

/// Goal: requests for TLS that end, are too short, come where there is none, or bring plain bytes
/// along, which must never count as said inside TLS.
#[test]
fn requests_for_tls() {
    let cluster = SINGLE.watched();
    let flags = PROTOCOL_41 | 1 | SECURE | SSL;
    let off = cluster.another_proxy("without-tls", "[tls]\nmode = \"off\"\n");
    let on = cluster.proxy();
    let mut raw = Raw::new(on.socket_address());
    raw.send(1, &front(flags));
    raw.stream.shutdown(Shutdown::Both).expect("open");
    let mut raw = Raw::new(off.socket_address());
    raw.send(1, &front(flags));
    assert_eq!(raw.answer(), Some(1043));
    for proxy in [on, &off] {
        for len in [0, 1, 4, 5, 9, 31] {
            let mut raw = Raw::new(proxy.socket_address());
            raw.send(1, &front(flags)[..len]);
            assert_eq!(raw.answer(), Some(1043), "{len} bytes");
            assert!(raw.is_closed());
        }
    }
    // A login in the clear behind the request.
    let mut raw = Raw::new(on.socket_address());
    let answer = native_scramble("test", &raw.scramble);
    let login = [&front(flags)[..], b"test\0\x14", &answer].concat();
    let mut bytes = [&[32, 0, 0, 1][..], &front(flags)].concat();
    bytes.extend([&[login.len() as u8, 0, 0, 2][..], &login, b"\x05\0\0\0\x03DO 1"].concat());
    raw.stream.write_all(&bytes).expect("it is read");
    let mut rest = Vec::new();
    let _ = raw.stream.read_to_end(&mut rest);
    // A TLS alert at most.
    assert!(rest.is_empty() || rest[0] == 0x15, "{rest:?}");
    assert_eq!(on.client("app").query("SELECT 1").expect("a row").scalar(), "1");
}

/// Goal: whoever does not log in is shown out after `client_handshake_ms`, in every phase; the
/// greeting tells the version and the collation of the configuration.
#[test]
fn time_and_text_of_the_greeting() {
    let cluster = SINGLE.watched();
    let extra = "[limits]\nclient_handshake_ms = 700\n[listen]\nserver_version = \"9.1.0-mine\"\n\
                 collation = \"latin1_swedish_ci\"\nproxy_protocol = [\"127.0.0.1\"]\n";
    let proxy = cluster.another_proxy("greeting", extra);
    let start = Instant::now();
    let silent: Vec<Raw> = [&b""[..], b"\x20\0", b"\x20\0\0\x01\0", b"PROXY TCP4 10."]
        .iter()
        .map(|bytes| {
            let mut raw = Raw::new(proxy.socket_address());
            raw.stream.write_all(bytes).expect("it is read");
            raw
        })
        .collect();
    for mut raw in silent {
        assert!(raw.is_closed());
    }
    assert!(start.elapsed() > Duration::from_millis(600) && start.elapsed().as_secs() < 5);
    let mut stream = TcpStream::connect(proxy.socket_address()).expect("the proxy");
    let greeting = read_packet(&mut stream).expect("a greeting").1;
    assert!(greeting.starts_with(b"\x0a9.1.0-mine\0"));
    // Behind the version: id, nonce, filler, flags.
    assert_eq!(greeting[12 + 4 + 8 + 1 + 2], 8);
}

/// Goal: a session begins with the connection attributes of its client, as far as they have room,
/// and the list of sessions shows them.
#[test]
fn attributes_are_shown() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("attributes", "");
    let mut raw = Raw::new(proxy.socket_address());
    let answer = native_scramble("test", &raw.scramble);
    let long = [&[0xfc, 0x88, 0x13][..], &[b'z'; 5000]].concat();
    let pairs =
        [&b"\x0cprogram_name\x06orders\x04_pid\x0242\x05large"[..], &long, b"\x01a\x01b"].concat();
    let length = [&[0xfc][..], &(pairs.len() as u16).to_le_bytes()].concat();
    let flags = PROTOCOL_41 | 1 | SECURE | PLUGIN_AUTH | 1 << 20;
    let tail = [&b"mysql_native_password\0"[..], &length, &pairs].concat();
    raw.send(1, &[&front(flags)[..], b"test\0\x14", &answer, &tail].concat());
    assert_eq!(raw.answer(), Some(0));
    let (_, body) = proxy.http("GET", "/api/v1/sessions", "");
    assert!(
        body.contains(r#""program_name":"orders""#) && body.contains(r#""_pid":"42""#),
        "{body}"
    );
    assert!(!body.contains("zzz") && !body.contains(r#""a":"b""#), "{body}");
    let listed = Command::new(env!("CARGO_BIN_EXE_geogate"))
        .args(["sessions", "--token", "admin", "--server"])
        .arg(format!("http://127.0.0.1:{}", proxy.control_port))
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&listed.stdout);
    let line = text.lines().find(|line| line.contains("orders")).unwrap_or_default();
    assert!(line.contains("test") && line.contains("127.0.0.1"), "{text}");
}
