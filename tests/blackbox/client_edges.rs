//! What clients do at the edges of the protocol, beside a plain server: commands over a limit,
//! sockets of which one half is closed, a plugin of their own choice, very wide rows.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Client, Error, Login, Parameter};
use crate::compression::{ZLIB, ZSTD, tunnelled};
use crate::proxy::Proxy;
use crate::shop::SHOP;
use crate::single::SINGLE;
use crate::software::SOFTWARE;

/// Small enough that kernels do not swallow what is longer.
const LIMIT: usize = 1 << 20;

fn limited(name: &str) -> Proxy {
    let limits =
        format!("[limits]\nstatement_bytes_max = {LIMIT}\nlong_data_bytes_max = {LIMIT}\n");
    SHOP.watched().another_proxy(name, &limits)
}

fn connect(address: SocketAddr, flag: u32, seed: u64) -> Client {
    match flag {
        0 => Client::connect(address, &Login::test("shop")).expect("a login"),
        flag => tunnelled(address, flag, seed),
    }
}

fn assert_named(error: &Error, name: &str) {
    let text = error.to_string();
    assert!(error.errno() == 1153 && text.contains(name), "{text}");
}

/// Goal: a command over a limit is answered with the limit's name, whatever command it is, however
/// many packets it has and whatever carries it; who sends it sends it to its end.
#[test]
fn a_limit_is_named_before_the_close() {
    let proxy = limited("over-limit");
    let address = proxy.socket_address();
    for (seed, flag) in [(1, 0), (2, ZLIB), (3, ZSTD)] {
        for len in [LIMIT + 1, 12 << 20, 0xff_ffff, 34 << 20] {
            let text = format!("SELECT '{}'", "x".repeat(len));
            // COM_QUERY, COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_INIT_DB.
            for code in [0x03, 0x16, 0x17, 0x02] {
                let mut client = connect(address, flag, seed);
                client.command(code, text.as_bytes()).expect("it is read to its end");
                let error = client.read_reply().expect_err("it is too long");
                assert_named(&error, "limits.statement_bytes_max");
                assert_eq!(client.ping().expect_err("closed").errno(), 0);
            }
        }
        let mut client = connect(address, flag, seed);
        let statement = client.prepare("SELECT LENGTH(?)").expect("a statement");
        for _ in 0..3 {
            let head = [&statement.id.to_le_bytes()[..], &[0, 0]].concat();
            client.command(0x18, &[head, vec![b'x'; LIMIT / 2]].concat()).expect("it is read");
        }
        let error = client.execute(&statement, &[Parameter::Text(b"".to_vec())]);
        assert_named(&error.expect_err("too much"), "long_data_bytes_max");
        assert_eq!(client.query("SELECT 1").expect("it goes on").scalar(), "1");
    }
}

/// Reads everything up to the end of the stream.
fn rest(client: &Client) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut stream = client.stream();
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid duration");
    stream.read_to_end(&mut rest).expect("it is closed when all is told");
    rest
}

fn packet(code: u8, text: &str) -> Vec<u8> {
    let mut packet = (text.len() as u32 + 1).to_le_bytes();
    packet[3] = 0;
    [&packet[..], &[code], text.as_bytes()].concat()
}

/// Goal: who closes its sending side gets the answers to all that it has sent, as from a server:
/// at once or after a while, one row or many, from one server or several, and then the end.
#[test]
fn half_a_socket_is_enough() {
    let cluster = SINGLE.watched();
    // Others expect that a statement ends with its client.
    let patient = cluster.another_proxy("half-closed", "[limits]\nclient_half_closed_ms = 5000\n");
    let shop = SHOP.watched();
    let several = shop.another_proxy("half-closed", "[limits]\nclient_half_closed_ms = 5000\n");
    let server = cluster.shards[0].primary.socket_address();
    let series = SOFTWARE.series(300_000);
    let many = format!("SELECT seq, REPEAT('x', 100) FROM {series} s ORDER BY seq");
    let conversations: [&[Vec<u8>]; 5] = [
        &[packet(3, "SELECT 1")],
        &[packet(3, "SELECT SLEEP(1), 2")],
        &[packet(3, "SELECT 1"), packet(0x0e, ""), packet(3, "SELECT SLEEP(0.2)")],
        &[packet(3, &many)],
        &[packet(3, "SELECT * FROM nothing"), packet(1, "")],
    ];
    for conversation in conversations {
        let answers = [server, patient.socket_address()].map(|address| {
            let mut client = Client::connect(address, &Login::test("app")).expect("a login");
            client.write_raw(&conversation.concat()).expect("it is read");
            client.stream().shutdown(Shutdown::Write).expect("it is open");
            rest(&client)
        });
        let [direct, through] = answers;
        // MySQL takes leave with an error of its own.
        let rest = direct.strip_prefix(&through[..]).map(String::from_utf8_lossy);
        let is_same = rest.is_some_and(|rest| rest.is_empty() || rest.contains("#08S01"));
        assert!(is_same, "{} bytes, not {}", through.len(), direct.len());
    }
    let text = "SELECT COUNT(*), MAX(SLEEP(0.02)) FROM customer";
    let whole = several.client("shop").query(text).expect("a row").texts();
    let mut client = several.client("shop");
    client.command(3, text.as_bytes()).expect("it is read");
    client.stream().shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(client.read_answer(false).expect("the answer").texts(), whole);
    assert!(rest(&client).is_empty());
}

/// Goal: a statement whose client says nothing more is stopped after `client_half_closed_ms`.
#[test]
fn half_a_socket_does_not_last() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nclient_half_closed_ms = 300\n";
    let proxy = cluster.another_proxy("half-closed-short", limits);
    let mut client = proxy.client("app");
    client.command(3, b"SELECT SLEEP(20)").expect("it is read");
    client.stream().shutdown(Shutdown::Write).expect("it is open");
    let start = Instant::now();
    let mut found = Vec::new();
    let _ = client.stream().read_to_end(&mut found);
    assert!(found.is_empty() && start.elapsed() < Duration::from_secs(5), "{found:?}");
}

/// Goal: a client library that begins with a plugin of its own choice, without an answer, is asked;
/// a wrong password and none are refused as by a server.
#[test]
fn a_plugin_that_was_not_greeted_with() {
    let cluster = SINGLE.watched();
    // One that greets with caching_sha2_password, because an account has nothing else.
    let users = "[[user]]\nname = \"new\"\nhash = { sha2 = \"\
                 5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\" }\n";
    let greets_sha2 = cluster.another_proxy("greets-sha2", users);
    let newer = greets_sha2.socket_address();
    let older = cluster.proxy().socket_address();
    for (address, plugin) in [
        (older, "caching_sha2_password"),
        (newer, "mysql_native_password"),
        (older, "client_ed25519"),
        (newer, "client_ed25519"),
    ] {
        let login = Login { default_auth: Some(plugin), ..Login::test("app") };
        let mut client = Client::connect(address, &login).expect("the right password");
        assert_eq!(client.query("SELECT 1").expect("a row").scalar(), "1", "{plugin}");
        for (password, told) in [("wrong", "YES"), ("", "NO")] {
            let login = Login { password: password.into(), ..login.clone() };
            let error = Client::connect(address, &login).err().expect("the wrong password");
            assert_eq!(error.errno(), 1045, "{plugin}: {error}");
            assert!(error.to_string().contains(&format!("(using password: {told})")), "{error}");
        }
    }
}

/// Goal: the same with MariaDB's own client, with and without TLS, and its compressed statements
/// of 16 MiB and more.
#[test]
fn the_client_of_mariadb() {
    if SOFTWARE.is_mysql() {
        println!("skipped: the client is MariaDB's");
        return;
    }
    let port = SINGLE.watched().proxy().port;
    let run = |options: &[&str], input: &str| {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest", "-N", "app"]);
        command.arg(format!("-P{port}")).arg("--max-allowed-packet=120M").args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the client is installed");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for tls in ["--ssl", "--skip-ssl"] {
        for plugin in ["caching_sha2_password", "mysql_native_password"] {
            let plugin = format!("--default-auth={plugin}");
            assert_eq!(run(&[tls, &plugin], "SELECT 1;"), b"1\n", "{tls} {plugin}");
        }
        for len in [(16 << 20) - 30, 16 << 20, 40 << 20] {
            let text = "y".repeat(len);
            let counted = run(&[tls, "--compress"], &format!("SELECT LENGTH('{text}');"));
            assert_eq!(counted, format!("{len}\n").as_bytes(), "{tls}");
            let back = run(&[tls, "--compress"], &format!("SELECT REPEAT('z', {len});"));
            assert_eq!(back.len(), len + 1, "{tls}");
        }
    }
}

/// Goal: rows as wide as a server sends them, which is wider than a table: more columns than 16
/// bits count, or the server's own error, and in a prepared statement the same.
#[test]
fn rows_of_more_columns_than_16_bits_count() {
    let cluster = SINGLE.watched();
    let mut twins = [cluster.shards[0].primary.client("app"), cluster.proxy().client("app")];
    let mut shop = SHOP.watched().proxy().client("shop");
    for columns in [4096, 4097, 65_535, 65_536, 70_000] {
        let text = format!("SELECT {}", vec!["7"; columns].join(","));
        let [direct, through] = twins.each_mut().map(|client| client.query(&text));
        match (direct, through, shop.query(&text)) {
            (Ok(direct), Ok(through), Ok(shop)) => {
                assert_eq!((direct.columns.len(), &direct.rows), (columns, &through.rows));
                assert!(direct.columns == through.columns && direct.rows == shop.rows);
            }
            (Err(direct), Err(through), Err(shop)) => {
                assert_eq!(
                    [through.to_string(), shop.to_string()],
                    [(); 2].map(|()| direct.to_string())
                );
            }
            _ => panic!("{columns} columns: not as the server"),
        }
    }
    for columns in [4096, 4097, 65_535] {
        let text = format!("SELECT {}", vec!["7"; columns].join(","));
        let found = twins.each_mut().map(|client| {
            let statement = client.prepare(&text).map_err(|error| error.to_string())?;
            let answer = client.execute(&statement, &[]).map_err(|error| error.to_string())?;
            Ok::<_, String>((answer.columns.len(), answer.rows))
        });
        assert_eq!(found[0], found[1], "{columns}");
    }
}
