//! Logging in, on both sides of the proxy: every way of proving a password, TLS, what is refused,
//! and what a session is after COM_CHANGE_USER and COM_RESET_CONNECTION.
//!
//! `mysql_async` is the client where TLS or the RSA exchange is needed, the bare client elsewhere.

use std::fs;
use std::sync::LazyLock;

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Error, OptsBuilder, SslOpts};

use crate::client::{Client, Login, SERVER_IN_TRANS};
use crate::cluster::Cluster;
use crate::packet::native_scramble;
use crate::proxy::Proxy;
use crate::scripted::{Script, ScriptedServer};
use crate::server::{RUN, Server};
use crate::single;
use crate::software::SOFTWARE;

const USERS: &str = r#"
[[user]]
name = "native"
hash = { native = "*C142FB215B6E05B7C134B1A653AD4B455157FD79" }
[[user]]
name = "stored"
hash = { sha2 = "STORED" }
[[user]]
name = "locked"
password = "locked"
require_tls = true
[[user]]
name = "home"
password = "home"
keyspace = "app"
"#;

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| single::start("connect", &USERS.replace("STORED", &stored_form())));

/// MySQL's own stored form of the password `hashcat` (hashcat's published example, mode 7401).
fn stored_form() -> String {
    let salt = b"\xF9\xCC\x98\xCE\x08\x89\x29\x24\xF5\x0A\x21\x3B\x6B\xC5\x71\xA2\xC1\x17\x78\xC5";
    let digest = b"bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/";
    let bytes = [&b"$A$005$"[..], salt, digest].concat();
    bytes.iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02X}"))
}

/// Whether a connection is to be encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Yes,
    No,
}

fn options(port: u16, user: &str, password: &str, tls: Tls) -> OptsBuilder {
    let ssl = SslOpts::default().with_danger_accept_invalid_certs(true);
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(user))
        .pass((!password.is_empty()).then_some(password))
        .prefer_socket(false)
        .ssl_opts((tls == Tls::Yes).then_some(ssl))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

async fn log_in(port: u16, user: &str, password: &str, tls: Tls) -> Result<Conn, Error> {
    let mut conn = Conn::new(options(port, user, password, tls)).await?;
    let one: Option<u8> = conn.query_first("SELECT 1").await?;
    assert_eq!(one, Some(1));
    Ok(conn)
}

fn errno(error: &Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        other => panic!("not an error of the server: {other}"),
    }
}

/// Goal: each kind of account logs in with and without TLS, with every plugin that it can be
/// checked with; a wrong password never does.
#[test]
fn every_kind_of_password() {
    let cluster = CLUSTER.watched();
    let port = cluster.proxy().port;
    run(async {
        for tls in [Tls::No, Tls::Yes] {
            for (user, password) in
                [("test", "test"), ("native", "demo"), ("sha2", "secret"), ("home", "home")]
            {
                let conn = log_in(port, user, password, tls).await;
                conn.unwrap_or_else(|error| panic!("{user}: {error}"));
                for wrong in ["wrong", ""] {
                    let error = log_in(port, user, wrong, tls).await.expect_err("a wrong password");
                    assert_eq!(errno(&error), 1045, "{user}: {error}");
                }
            }
        }
        let error = log_in(port, "nobody", "x", Tls::No).await.expect_err("no such user");
        assert_eq!(errno(&error), 1045);
    });
}

/// Goal: an account known only by MySQL's salted form logs in by the RSA exchange without TLS,
/// in clear inside TLS, and fast afterwards. Each proxy is new, so that nothing is remembered.
#[test]
fn full_authentication() {
    let cluster = CLUSTER.watched();
    for (name, tls) in [("rsa", Tls::No), ("clear", Tls::Yes)] {
        let proxy = cluster.another_proxy(name, "");
        run(async {
            for _ in 0..2 {
                let error = log_in(proxy.port, "stored", "wrong", tls).await.expect_err("wrong");
                assert_eq!(errno(&error), 1045, "{error}");
            }
            for _ in 0..2 {
                let conn = log_in(proxy.port, "stored", "hashcat", tls).await;
                conn.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            // Remembered now: a wrong password is denied by the fast path.
            let error = log_in(proxy.port, "stored", "wrong", tls).await.expect_err("wrong");
            assert_eq!(errno(&error), 1045, "{error}");
        });
    }
}

/// Goal: a client that begins with the plugin that the account does not have is switched.
#[test]
fn authentication_switch() {
    let cluster = CLUSTER.watched();
    // The bare client begins with native; the account has only a sha2 form, remembered after one
    // full login.
    let proxy = cluster.another_proxy("switch", "");
    run(async { log_in(proxy.port, "stored", "hashcat", Tls::No).await }).expect("full login");
    let login = |user: &str, password: &str| Login {
        user: user.into(),
        password: password.into(),
        database: None,
        ..Login::test("")
    };
    let client = Client::connect(proxy.socket_address(), &login("stored", "hashcat"));
    let mut client = client.unwrap_or_else(|error| panic!("native to sha2: {error}"));
    assert_eq!(client.query("SELECT 2").expect("a row").scalar(), "2");
    let error = Client::connect(proxy.socket_address(), &login("stored", "wrong"));
    assert_eq!(error.err().map(|error| error.errno()), Some(1045));
    // mysql_async begins with what the greeting names, sha2 here because not every account can be
    // checked with native; the account has only a native form.
    run(async { log_in(proxy.port, "native", "demo", Tls::No).await }).expect("sha2 to native");
}

/// Goal: an account or a proxy that demands TLS is not served without it.
#[test]
fn demanded_tls() {
    let cluster = CLUSTER.watched();
    let port = cluster.proxy().port;
    run(async {
        let error = log_in(port, "locked", "locked", Tls::No).await.expect_err("no TLS");
        assert_eq!(errno(&error), 3159, "{error}");
        log_in(port, "locked", "locked", Tls::Yes).await.expect("TLS");
    });
    let folder = RUN.path.join("connect-required");
    let server = cluster.shards[0].primary.address();
    let config = format!(
        "[tls]\nmode = \"required\"\n[[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n\
         range = \"-\"\n[[keyspace.shard.server]]\naddress = \"{server}\"\nrole = \"primary\"\n"
    );
    let vschema = [("app.json".to_owned(), r#"{"sharded": false}"#.to_owned())];
    let proxy = Proxy::start_unready(&folder, &config, &vschema);
    run(async {
        let error = log_in(proxy.port, "test", "test", Tls::No).await.expect_err("no TLS");
        assert_eq!(errno(&error), 3159, "{error}");
        log_in(proxy.port, "test", "test", Tls::Yes).await.expect("TLS");
    });
}

/// Goal: the database of a login is the client's, else the account's, and an unknown one ends the
/// login with error 1049 and a closed connection.
#[test]
fn database_of_a_login() {
    let cluster = CLUSTER.watched();
    let address = cluster.proxy().socket_address();
    let database = |user: &str, database: Option<&str>| {
        let login = Login {
            user: user.into(),
            password: user.into(),
            database: database.map(Into::into),
            capabilities: 0,
            ..Login::test("")
        };
        let mut client = Client::connect(address, &login)?;
        Ok::<_, crate::client::Error>(client.query("SELECT DATABASE()")?.scalar())
    };
    assert_eq!(database("test", None).expect("a login"), "NULL");
    assert_eq!(database("test", Some("app_a")).expect("a login"), "app_a");
    assert_eq!(database("home", None).expect("a login"), "app");
    assert_eq!(database("home", Some("app_b")).expect("a login"), "app_b");
    let error = database("test", Some("nowhere")).expect_err("no such database");
    assert_eq!(error.errno(), 1049, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

fn change_user(
    client: &mut Client,
    scramble: &[u8],
    user: &str,
    password: &str,
    database: &str,
) -> Result<(), crate::client::Error> {
    let answer = native_scramble(password, scramble);
    let mut body = [user.as_bytes(), &[0, answer.len() as u8], &answer].concat();
    body.extend_from_slice(
        &[database.as_bytes(), &[0, 45, 0], b"mysql_native_password\0"].concat(),
    );
    client.command(0x11, &body)?;
    let login =
        Login { user: user.into(), password: password.into(), database: None, ..Login::test("") };
    client.finish_log_in(&login)
}

/// State of every kind on a session; gives the number of a prepared statement.
fn fill(client: &mut Client, table: &str) -> crate::client::Prepared {
    for statement in [
        "SET @mine = 5".to_owned(),
        "SET sql_mode = 'ANSI_QUOTES'".to_owned(),
        "SET group_concat_max_len = 4321".to_owned(),
        "CREATE TEMPORARY TABLE app.temporary_one (id INT)".to_owned(),
        format!("CREATE TABLE IF NOT EXISTS app.{table} (id INT PRIMARY KEY)"),
        format!("DELETE FROM app.{table}"),
    ] {
        client.query(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    let statement = client.prepare("SELECT 7").expect("a statement");
    client.query("BEGIN").expect("ok");
    client.query(format!("INSERT INTO app.{table} VALUES (1)")).expect("a row");
    statement
}

fn assert_empty(client: &mut Client, table: &str, statement: &crate::client::Prepared) {
    let answer = client.query(
        "SELECT @mine, @@sql_mode LIKE '%ANSI_QUOTES%', \
         @@group_concat_max_len = @@global.group_concat_max_len",
    );
    assert_eq!(answer.expect("a row").texts(), [["NULL", "0", "1"]]);
    let error = client.query("SELECT * FROM app.temporary_one").expect_err("it is gone");
    assert_eq!(error.errno(), 1146);
    let count = client.query(format!("SELECT COUNT(*) FROM app.{table}")).expect("a row");
    assert_eq!(count.scalar(), "0", "the transaction was rolled back");
    let error = client.execute(statement, &[]).expect_err("it is gone");
    assert_eq!(error.errno(), 1243);
    assert_eq!(client.query("DO 1").expect("ok").status & SERVER_IN_TRANS, 0);
}

/// Goal: COM_RESET_CONNECTION wipes all state and keeps the database, as the server does.
#[test]
fn reset_connection_wipes_the_session() {
    let cluster = CLUSTER.watched();
    for mut client in [cluster.proxy().client("app_a"), cluster.shards[0].primary.client("app_a")] {
        let statement = fill(&mut client, "reset_rows");
        client.query("USE app_b").expect("ok");
        client.reset().expect("ok");
        assert_eq!(client.query("SELECT DATABASE()").expect("a row").scalar(), "app_b");
        assert_empty(&mut client, "reset_rows", &statement);
    }
}

/// Goal: COM_CHANGE_USER logs in anew: other account, other database, nothing left; a wrong
/// password has error 1045 and ends what the server would end.
#[test]
fn change_user_logs_in_anew() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("app_a");
    let statement = fill(&mut client, "change_rows");
    // The scramble of the greeting is not known here: whoever checks must ask with a new one.
    change_user(&mut client, &[1; 20], "home", "home", "").expect("a login");
    assert_eq!(client.query("SELECT DATABASE()").expect("a row").scalar(), "app");
    assert!(client.query("SELECT USER()").expect("a row").scalar().starts_with("home@"));
    assert_empty(&mut client, "change_rows", &statement);
    change_user(&mut client, &[1; 20], "test", "test", "app_b").expect("a login");
    assert_eq!(client.query("SELECT DATABASE()").expect("a row").scalar(), "app_b");
    let error = change_user(&mut client, &[1; 20], "test", "wrong", "").expect_err("wrong");
    assert_eq!(error.errno(), 1045, "{error}");
    if SOFTWARE.is_mysql() {
        assert_eq!(client.ping().expect_err("closed").errno(), 0);
    } else {
        // MariaDB lets it stay who it was, in a new session, and try three times.
        let told = client.query("SELECT USER(), DATABASE()").expect("a row").texts();
        assert!(told[0][0].starts_with("test@") && told[0][1] == "app_b", "{told:?}");
        for errno in [1045, 1045, 1047] {
            let error = change_user(&mut client, &[1; 20], "test", "wrong", "");
            assert_eq!(error.expect_err("refused").errno(), errno);
        }
        client.ping().expect("in step");
    }
    run(async {
        let mut conn = log_in(cluster.proxy().port, "sha2", "secret", Tls::Yes).await?;
        let opts = ChangeUserOpts::new().with_user(Some("native".into()));
        conn.change_user(opts.with_pass(Some("demo".into()))).await?;
        let user: Option<String> = conn.query_first("SELECT USER()").await?;
        assert!(user.is_some_and(|user| user.starts_with("native@")));
        let opts = ChangeUserOpts::new().with_user(Some("sha2".into()));
        conn.change_user(opts.with_pass(Some("secret".into()))).await?;
        conn.reset().await?;
        conn.disconnect().await
    })
    .expect("a driver changes users");
}

/// Goal: Geogate logs in to servers with caching_sha2_password, fast and with their RSA key, and
/// follows a switch of plugin either way. MariaDB has no such accounts, so the server is scripted.
#[test]
fn sha2_towards_servers() {
    for (script, how) in [
        (Script::Fast, "fast"),
        (Script::Rsa, "rsa"),
        (Script::SwitchToSha2, "rsa"),
        (Script::SwitchToNative, "native"),
    ] {
        let server = ScriptedServer::start(script);
        let proxy = proxy_before(&format!("scripted-{script:?}"), server.port, "");
        let mut client = proxy.client("");
        client.query("DO 1").unwrap_or_else(|error| panic!("{script:?}: {error}"));
        let logins = server.logins.lock().expect("no panic while it is held").clone();
        assert!(!logins.is_empty() && logins.iter().all(|login| login == how), "{logins:?}");
    }
}

/// Goal: a server that refuses Geogate's account gives the client a named error without secrets.
#[test]
fn a_refused_service_account_is_named() {
    let server = ScriptedServer::start(Script::Refuse);
    let proxy = proxy_before("scripted-refuse", server.port, "");
    let error = proxy.client("").query("DO 1").expect_err("no server");
    assert_eq!(error.errno(), 1105);
    let text = error.to_string();
    assert!(text.contains("GG14010") && text.contains("1045"), "{text}");
    assert!(!text.contains(&server.port.to_string()), "{text}");
}

/// A proxy in front of one server on `port`.
fn proxy_before(name: &str, port: u16, backend: &str) -> Proxy {
    let config = format!(
        "[backend]\nuser = \"geogate\"\npassword = \"geogate\"\n{backend}\n[[keyspace]]\n\
         name = \"app\"\n[[keyspace.shard]]\nrange = \"-\"\n[[keyspace.shard.server]]\n\
         address = \"127.0.0.1:{port}\"\nrole = \"primary\"\n"
    );
    let vschema = [("app.json".to_owned(), r#"{"sharded": false}"#.to_owned())];
    Proxy::start(&RUN.path.join(name), &config, &vschema)
}

/// Goal: TLS towards servers, with and without checking their certificate.
#[test]
fn tls_towards_servers() {
    let folder = RUN.path.join("server-tls");
    fs::create_dir_all(&folder).expect("the run's folder is writable");
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let identity = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, identity.cert.pem()).expect("writable");
    fs::write(&key, identity.signing_key.serialize_pem()).expect("writable");
    let server = Server::start_with(
        "tls",
        &[
            SOFTWARE.option("ssl-cert", &certificate),
            SOFTWARE.option("ssl-key", &key),
            "--require-secure-transport=OFF".to_owned(),
        ],
    );
    server.wait_ready();
    server.sql("CREATE DATABASE app");
    let cipher = |proxy: &Proxy| {
        // SHOW STATUS tells of the client's own connection. MariaDB and MySQL have other tables.
        let question = |schema: &str| {
            let of = format!("FROM {schema}.session_status WHERE variable_name = 'Ssl_cipher'");
            proxy.client("app").query(format!("SELECT variable_value {of}"))
        };
        let told = question("information_schema").or_else(|_| question("performance_schema"));
        told.expect("a row").scalar()
    };
    assert_eq!(cipher(&proxy_before("tls-off", server.port, "")), "");
    assert_ne!(cipher(&proxy_before("tls-on", server.port, "tls = \"required\"")), "");
    let ca =
        |path: &std::path::Path| format!("tls = \"verify_identity\"\nca = \"{}\"", path.display());
    assert_ne!(cipher(&proxy_before("tls-verified", server.port, &ca(&certificate))), "");
    let other =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let wrong = folder.join("other.pem");
    fs::write(&wrong, other.cert.pem()).expect("writable");
    let proxy = proxy_before("tls-wrong", server.port, &ca(&wrong));
    let error = proxy.client("").query("DO 1").expect_err("an unknown authority");
    assert!(error.to_string().contains("GG14003"), "{error}");
}
