//! How clients reach the proxy: Unix socket, several addresses, PROXY protocol headers.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::client::{Client, Error, Login};
use crate::proxy::Proxy;
use crate::server::{free_port, owned_command, wait_until};
use crate::single::{self, SINGLE};

/// One value by the mariadb program over a Unix socket.
fn ask(socket: &std::path::Path, sql: &str) -> String {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "-utest", "-ptest", "-N", "-B", "-S"]).arg(socket);
    let output = command.args(["-e", sql]).output().expect("mariadb is installed");
    String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr })
        .trim()
        .to_owned()
}

/// Goal: the Unix socket serves beside several TCP addresses, has the mode of the configuration,
/// is removed at the end, replaced when its process died, and never taken from a live one.
#[test]
fn unix_socket_and_more_addresses() {
    let cluster = SINGLE.watched();
    let second = free_port();
    let folder = cluster.folder.join("unix");
    let socket = folder.join("s");
    let proxy = cluster.another_proxy("unix", "[listen]\nsocket = \"s\"\nsocket_mode = \"0640\"\n");
    assert_eq!(ask(&socket, "SELECT USER()"), "test@localhost");
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // A list of addresses; the file of a killed process is replaced.
    proxy.signal("KILL");
    thread::sleep(Duration::from_millis(300));
    assert!(fs::metadata(&socket).expect("it is left").file_type().is_socket());
    let file = folder.join("geogate.toml");
    let config = fs::read_to_string(&file).expect("it is there");
    let one = format!("mysql = \"127.0.0.1:{}\"", proxy.port);
    let two = format!("mysql = [\"127.0.0.1:{}\", \"127.0.0.1:{second}\"]", proxy.port);
    fs::write(&file, config.replace(&one, &two)).expect("writable");
    proxy.restart();
    assert_eq!(ask(&socket, "SELECT 7"), "7");
    let mut client = Client::connect(([127, 0, 0, 1], second).into(), &Login::test("app"));
    assert_eq!(client.as_mut().expect("a login").query("SELECT 8").expect("a row").scalar(), "8");
    drop(client);
    proxy.stop();
    assert!(!socket.exists());
    for (why, expected) in [("another listens", "another process"), ("no socket", "is no socket")] {
        let _ = fs::remove_file(&socket);
        let _listener = if why == "no socket" {
            fs::write(&socket, "precious").expect("writable");
            None
        } else {
            Some(UnixListener::bind(&socket).expect("the path is free"))
        };
        let mut command = owned_command(env!("CARGO_BIN_EXE_geogate"));
        let output = command.args(["serve", "--config"]).arg(&file).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(expected), "{why}: {text}");
        assert!(socket.exists());
    }
}

/// Two proxies must not share a port by mistake.
#[test]
fn a_taken_port_is_told() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("taken", "");
    let mut command = owned_command(env!("CARGO_BIN_EXE_geogate"));
    command.args(["serve", "--config"]).arg(proxy.folder.join("geogate.toml"));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("cannot listen on"), "{text}");
    drop(TcpListener::bind(("127.0.0.1", free_port())));
}

/// Logs in behind the pieces of a header, which are sent one by one.
fn behind(proxy: &Proxy, pieces: &[&[u8]]) -> Result<Client, Error> {
    let mut stream = TcpStream::connect(proxy.socket_address())?;
    stream.set_nodelay(true)?;
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            thread::sleep(Duration::from_millis(60));
        }
        stream.write_all(piece)?;
    }
    Client::over(stream, &Login::test("app"))
}

fn version2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &len, body].concat()
}

/// Goal: a trusted proxy's header gives the client's address, in USER(), in the list of sessions
/// and to limits by host; LOCAL, UNKNOWN and no header leave the proxy's own; broken ones are
/// refused; so are headers from elsewhere.
#[test]
fn proxy_protocol() {
    let users = "[[user]]\nname = \"near\"\npassword = \"near\"\nclients = [\"10.9.0.0/16\"]\n";
    let listen = "[listen]\nproxy_protocol = [\"127.0.0.0/8\"]\n";
    let cluster = single::start("proxy-protocol", users);
    let cluster = cluster.watched();
    let proxy = cluster.another_proxy("trusting", listen);
    let user = |pieces: &[&[u8]]| {
        let mut client = behind(&proxy, pieces)?;
        Ok::<_, Error>(client.query("SELECT USER()")?.scalar())
    };
    let v1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 3306\r\n";
    let v4 = [203, 0, 113, 7, 127, 0, 0, 1, 1, 2, 3, 4];
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[5], &[0; 20]].concat();
    let cases: &[(&[&[u8]], &str)] = &[
        (&[v1], "test@203.0.113.9"),
        (&[&v1[..1], &v1[1..8], &v1[8..30], &v1[30..]], "test@203.0.113.9"),
        (&[b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"], "test@2001:db8::1"),
        (&[b"PROXY UNKNOWN\r\n"], "test@127.0.0.1"),
        (&[&version2(0x21, 0x11, &v4)], "test@203.0.113.7"),
        (&[&version2(0x21, 0x11, &v4)[..20], &version2(0x21, 0x11, &v4)[20..]], "test@203.0.113.7"),
        (&[&version2(0x21, 0x21, &v6)], "test@2001:db8::5"),
        // An extension behind the addresses; LOCAL, as a health check sends it.
        (&[&version2(0x21, 0x11, &[&v4[..], &[4, 0, 2, 9, 9]].concat())], "test@203.0.113.7"),
        (&[&version2(0x20, 0, &[])], "test@127.0.0.1"),
        (&[], "test@127.0.0.1"),
    ];
    for (pieces, expected) in cases {
        assert_eq!(user(pieces).unwrap_or_else(|e| panic!("{expected}: {e}")), *expected);
    }
    let long = [b'x'; 120];
    for broken in [
        &b"PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n"[..],
        &[&b"PROXY TCP4 "[..], &long[..]].concat(),
        &version2(0x31, 0x11, &v4),
        &version2(0x21, 0x11, &v4[..8]),
    ] {
        assert_eq!(user(&[broken]).expect_err("refused").errno(), 1043);
    }
    let _kept = behind(&proxy, &[v1]).expect("a login");
    let listed = wait_until(Duration::from_secs(5), || {
        proxy.http("GET", "/api/v1/sessions", "").1.contains("203.0.113.9")
    });
    assert!(listed);
    // An account that may come from one network only.
    let near = Login { user: "near".into(), password: "near".into(), ..Login::test("app") };
    for (source, errno) in [("10.9.1.1", None), ("10.8.1.1", Some(1045))] {
        let mut stream = TcpStream::connect(proxy.socket_address()).expect("the proxy");
        write!(stream, "PROXY TCP4 {source} 127.0.0.1 1 2\r\n").expect("it reads");
        let login = Client::over(stream, &near);
        assert_eq!(login.err().map(|error| error.errno()), errno, "{source}");
    }
    let error = behind(cluster.proxy(), &[v1]).err().expect("not trusted");
    assert_eq!(error.errno(), 1130, "{error}");
    assert!(error.to_string().contains("listen.proxy_protocol"), "{error}");
}
