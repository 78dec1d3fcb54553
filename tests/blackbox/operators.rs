//! What operators see and do: the log, signals, the end of the process, output that nobody reads.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Login};
use crate::proxy::Proxy;
use crate::server::{RUN, free_port, owned_command, send_signal, spawn_owned, wait_until};
use crate::single::SINGLE;

/// The proxy of a folder again, with other settings in its environment.
fn serve(proxy: &Proxy, log: &str, environment: &[(&str, &str)]) -> Child {
    let log = File::create(proxy.folder.join(log)).expect("writable");
    let mut command = owned_command(env!("CARGO_BIN_EXE_geogate"));
    command.args(["serve", "--config"]).arg(proxy.folder.join("geogate.toml"));
    command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(log);
    spawn_owned(command).expect("setpriv is installed")
}

fn logged(proxy: &Proxy) -> String {
    fs::read_to_string(proxy.folder.join("proxy.log")).expect("a log")
}

fn ready(proxy: &Proxy) -> u16 {
    proxy.http("GET", "/readyz", "").0
}

/// Goal: nobody writes lines of their own into the log or fills it, and what collectors read is
/// JSON to the last line. Method: logins and a PROXY header by names that forge lines.
#[test]
fn the_log_is_not_for_strangers() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("log", "");
    let forged = "eve\n2030-01-01T00:00:00Z ERROR geogate: all is lost\r\x1b[2J\u{202e}";
    let attack = || {
        for user in [forged.to_owned(), "long".repeat(10_000)] {
            let login = Login { user, ..Login::test("") };
            assert!(Client::connect(proxy.socket_address(), &login).is_err());
        }
    };
    attack();
    let text = logged(&proxy);
    let refused = text.lines().filter(|line| line.contains("login refused")).count();
    assert_eq!(refused, 2, "{text}");
    assert!(text.lines().all(|line| !line.starts_with("2030") && line.len() < 6_000), "{text}");
    assert!(!text.contains(['\x1b', '\r', '\u{202e}']), "{text}");
    assert!(text.contains("eve\\n2030-01-01T00:00:00Z ERROR"), "{text}");
    assert!(text.contains("bytes more)"), "{text}");
    proxy.stop();
    let mut json = serve(&proxy, "json.log", &[("GEOGATE_LOG_FORMAT", "json")]);
    proxy.wait_ready();
    attack();
    let mut second = serve(&proxy, "second.log", &[("GEOGATE_LOG_FORMAT", "json")]);
    assert_eq!(second.wait().expect("it ends").code(), Some(1));
    let _ = json.kill();
    let _ = json.wait();
    for (log, expected) in [("json.log", "login refused"), ("second.log", "cannot listen on")] {
        let text = fs::read_to_string(proxy.folder.join(log)).expect("a log");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        let message = |line: &Value| line["fields"]["message"].as_str().map(str::to_owned);
        let messages: Vec<String> = lines.iter().filter_map(message).collect();
        assert!(messages.iter().any(|message| message.contains(expected)), "{messages:?}");
    }
}

/// Goal: SIGHUP takes over tokens, TLS and certificates, names what needs a restart, and leaves
/// all as it is for a mistake; SIGUSR1 and SIGUSR2 end nothing.
#[test]
fn signals_reload_and_do_not_kill() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("signals", "");
    let file = proxy.folder.join("geogate.toml");
    let config = fs::read_to_string(&file).expect("it is there");
    for signal in ["USR1", "USR2"] {
        proxy.signal(signal);
    }
    let noticed = || logged(&proxy).matches("SIGUSR1 and SIGUSR2 mean nothing").count() == 2;
    assert!(wait_until(Duration::from_secs(5), noticed), "{}", proxy.log_tail());
    let mut before = proxy.client("app");
    let reload = |text: &str, expected: &str| {
        fs::write(&file, text).expect("writable");
        proxy.signal("HUP");
        let said = wait_until(Duration::from_secs(5), || logged(&proxy).contains(expected));
        assert!(said, "{expected}:\n{}", proxy.log_tail());
    };
    let broken = config.replace("\"preferred\"", "\"sometimes\"");
    reload(&broken, "nothing of the configuration was reloaded");
    assert_eq!(proxy.http("GET", "/api/v1/sessions", "").0, 200);
    let lost = config.replace("\"preferred\"", "\"required\"\ncertificate = \"a\"\nkey = \"b\"");
    reload(&lost, "SIGHUP: the configuration does not work");
    let changed = config
        .replace("\"preferred\"", "\"required\"")
        .replace("token = \"admin\"", "token = \"other\"")
        .replace("password = \"secret\"", "password = \"changed\"");
    let changed = changed.replace("us-east", "elsewhere");
    reload(&changed, "changed=\"control.token, tls, user\"");
    let named = || logged(&proxy).contains("keys=\"proxy.region, region, keyspace\"");
    assert!(wait_until(Duration::from_secs(5), named), "{}", proxy.log_tail());
    assert_eq!(proxy.http("GET", "/api/v1/sessions", "").0, 401);
    let plain = Client::connect(proxy.socket_address(), &Login::test("app"));
    assert_eq!(plain.err().expect("TLS is demanded").errno(), 3159);
    assert_eq!(before.query("SELECT 1").expect("a row").scalar(), "1");
    reload(&config, "changed=\"control.token, tls, user\"");
    let again = || Client::connect(proxy.socket_address(), &Login::test("app")).is_ok();
    assert!(wait_until(Duration::from_secs(5), again));
}

/// Goal: SIGHUP takes over users and limits for those who log in from then on; whoever is there
/// goes on as he began, and a mistake changes nothing.
#[test]
fn users_and_limits_are_reloaded() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("users", "[limits]\nstatement_bytes_max = 3000\n");
    let file = proxy.folder.join("geogate.toml");
    let config = fs::read_to_string(&file).expect("it is there");
    let reload = |text: &str, expected: &str| {
        let before = logged(&proxy).matches(expected).count();
        fs::write(&file, text).expect("writable");
        proxy.signal("HUP");
        let said = || logged(&proxy).matches(expected).count() > before;
        assert!(wait_until(Duration::from_secs(5), said), "{expected}:\n{}", proxy.log_tail());
    };
    let log_in = |user: &str, password: &str| {
        let login = Login { user: user.into(), password: password.into(), ..Login::test("app") };
        Client::connect(proxy.socket_address(), &login)
    };
    let long = format!("DO '{}'", "x".repeat(5000));
    let mut before = log_in("test", "test").expect("a login");
    let mut gone = log_in("sha2", "secret").expect("a login");
    let wrong = config.replace("password = \"secret\"", "hash = { native = \"*1\" }");
    let wrong = wrong.replace("password = \"test\"", "password = \"other\"");
    reload(&wrong, "nothing of the configuration was reloaded");
    drop(log_in("test", "test").expect("as before"));
    let new = config
        .replace("password = \"test\"", "password = \"other\"\nconnections_max = 1")
        .replace("name = \"sha2\"\npassword = \"secret\"", "name = \"new\"\npassword = \"new\"")
        .replace(
            "statement_bytes_max = 3000",
            "statement_bytes_max = 30000\nschema_refresh_ms = 5",
        );
    reload(&new, "changed=\"user, limits.statement_bytes_max\"");
    assert!(logged(&proxy).contains("keys=limits.schema_refresh_ms"), "{}", proxy.log_tail());
    assert_eq!(log_in("test", "test").err().expect("the old password").errno(), 1045);
    assert_eq!(log_in("sha2", "secret").err().expect("no such user").errno(), 1045);
    // The session that was there counts.
    assert_eq!(log_in("test", "other").err().expect("one is there").errno(), 1226);
    let mut after = log_in("new", "new").expect("a new user");
    after.query(&long).expect("the new limit");
    assert_eq!(gone.query("SELECT 1").expect("it goes on").scalar(), "1");
    assert_eq!(before.query(&long).expect_err("the old limit").errno(), 1153);
    drop(before);
    let free = || log_in("test", "other").is_ok();
    assert!(wait_until(Duration::from_secs(5), free));
}

/// Goal: after SIGTERM `/readyz` says no while clients are still let in, and says so to the end;
/// idle sessions are told, transactions have `drain_ms`; a second signal ends all at once.
#[test]
fn leaving_is_announced() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\ndrain_notice_ms = 1500\ndrain_ms = 1500\n";
    let proxy = cluster.another_proxy("leaving", limits);
    let (mut idle, mut busy) = (proxy.client("app"), proxy.client("app"));
    busy.query("BEGIN").expect("ok");
    busy.query("SELECT 1").expect("a row");
    assert_eq!(ready(&proxy), 200);
    let started = Instant::now();
    proxy.signal("TERM");
    assert!(wait_until(Duration::from_secs(1), || ready(&proxy) == 503));
    let mut late = proxy.client("app");
    assert_eq!(late.query("SELECT 2").expect("a row").scalar(), "2");
    assert!(started.elapsed() < Duration::from_millis(1400), "the machine is too slow");
    for client in [&mut idle, &mut late] {
        assert_eq!(client.read_reply().expect_err("told").errno(), 1053);
    }
    assert!(started.elapsed() >= Duration::from_millis(1400));
    assert!(Client::connect(proxy.socket_address(), &Login::test("app")).is_err());
    assert_eq!(ready(&proxy), 503);
    assert_eq!(busy.query("SELECT 3").expect("still in a transaction").scalar(), "3");
    let cut = || {
        logged(&proxy).contains("sessions did not end in time and are cut drain_ms=1500 sessions=1")
    };
    assert!(wait_until(Duration::from_secs(5), cut), "{}", proxy.log_tail());
    assert!(started.elapsed() < Duration::from_secs(6));
    // Again, by a person who does not want to wait.
    proxy.start_again();
    let mut busy = proxy.client("app");
    busy.query("BEGIN").expect("ok");
    busy.query("SELECT 1").expect("a row");
    let started = Instant::now();
    proxy.signal("INT");
    assert!(wait_until(Duration::from_secs(5), || logged(&proxy).contains("notice_ms=0")));
    proxy.stop();
    assert!(started.elapsed() < Duration::from_millis(1400), "{:?}", started.elapsed());
}

/// Goal: output that nobody reads any more ends a command quietly, with its own exit code.
#[test]
fn broken_pipes_are_quiet() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("pipes", "");
    let config = proxy.folder.join("geogate.toml");
    let vschema = proxy.folder.join("vschema");
    let (config, vschema) = (config.to_str().expect("plain"), vschema.to_str().expect("plain"));
    let url = format!("http://127.0.0.1:{}", proxy.control_port);
    let server = ["--server", &url, "--token", "admin"];
    let commands: [(&[&str], i32); 7] = [
        (&["--help"], 0),
        (&["check", "--config", config], 0),
        (&["vschema", "validate", vschema], 0),
        (&["explain", "--vschema", vschema, "--database", "app", "SELECT 1 FROM t"], 0),
        (&["vindex", "--vschema", "vschema/demo", "shop.home", "1,2"], 0),
        (&[&["sessions", "--json"][..], &server].concat(), 0),
        (&[&["vschema", "show"][..], &server].concat(), 0),
    ];
    for (arguments, code) in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*error), (Some(code), ""), "{arguments:?}");
    }
    // A proxy whose log nobody reads goes on.
    proxy.stop();
    let mut command = owned_command(env!("CARGO_BIN_EXE_geogate"));
    command.args(["serve", "--config", config]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut unread = spawn_owned(command).expect("setpriv is installed");
    drop(unread.stderr.take());
    proxy.wait_ready();
    let login = Login { user: "nobody".into(), ..Login::test("app") };
    assert!(Client::connect(proxy.socket_address(), &login).is_err());
    assert_eq!(proxy.client("app").query("SELECT 1").expect("a row").scalar(), "1");
    let _ = unread.kill();
    let _ = unread.wait();
}

/// Goal: the list of sessions tells who keeps a server connection between statements, which, and
/// why. Method: the ids are compared with those of the server.
#[test]
fn sessions_tell_what_is_open() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("kept", "");
    let mut clients = [(); 4].map(|()| proxy.client("app"));
    for (client, statements) in clients.iter_mut().zip([
        &["SELECT 1"][..],
        &["BEGIN", "SELECT 1"],
        &["CREATE TEMPORARY TABLE kept (id INT)"],
        &["BEGIN", "SELECT 1", "COMMIT"],
    ]) {
        for statement in statements {
            client.query(statement).expect(statement);
        }
    }
    let mut text = String::new();
    let idle = wait_until(Duration::from_secs(5), || {
        text = proxy.http("GET", "/api/v1/sessions", "").1;
        !text.contains("\"idle_seconds\":null")
    });
    assert!(idle, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let found: Vec<(&Value, Option<u64>)> = clients
        .iter()
        .map(|client| {
            let listed = answer["sessions"].as_array().expect("a list");
            let session = listed.iter().find(|s| s["id"] == client.connection_id);
            let session = session.unwrap_or_else(|| panic!("{} in {text}", client.connection_id));
            (&session["kept_by"], session["server_thread"].as_u64())
        })
        .collect();
    assert_eq!(*found[1].0, "an open transaction or cursor");
    assert_eq!(*found[2].0, "a temporary table");
    for free in [0, 3] {
        assert!(found[free].0.is_null() && found[free].1.is_none(), "{:?}", found[free]);
    }
    let at_server = |client: &mut Client| {
        let sql = "SELECT id FROM information_schema.processlist WHERE info LIKE '%processlist%'";
        client.query(sql).expect("rows").scalar().parse::<u64>().ok()
    };
    for kept in [1, 2] {
        assert_eq!(found[kept].1, at_server(&mut clients[kept]));
    }
}

/// Goal: a proxy that still waits for its servers ends at once when it is told so, and one whose
/// configuration cannot be read says so in JSON where JSON is asked for. Method: servers that take
/// connections and say nothing.
#[test]
fn a_start_can_be_stopped() {
    let silent = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let folder = RUN.path.join("silent");
    fs::create_dir_all(folder.join("vschema")).expect("writable");
    fs::write(folder.join("vschema/app.json"), r#"{"sharded": false}"#).expect("writable");
    let mut config = format!(
        "[listen]\nmysql = \"127.0.0.1:{}\"\n[vschema]\npath = \"vschema\"\n[backend]\nuser = \
         \"u\"\n[[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n",
        free_port()
    );
    for (at, server) in silent.iter().enumerate() {
        let address = server.local_addr().expect("bound");
        let role = if at == 0 { "primary" } else { "replica" };
        let _ = writeln!(config, "[[keyspace.shard.server]]\naddress = \"{address}\"");
        let _ = writeln!(config, "role = \"{role}\"");
    }
    let file = folder.join("geogate.toml");
    fs::write(&file, &config).expect("writable");
    for signal in ["TERM", "INT"] {
        let mut command = owned_command(env!("CARGO_BIN_EXE_geogate"));
        command.args(["serve", "--config"]).arg(&file).stderr(Stdio::null());
        let mut child = spawn_owned(command).expect("setpriv is installed");
        let asked = wait_until(Duration::from_secs(10), || {
            silent[0].set_nonblocking(true).expect("a socket");
            silent[0].accept().is_ok()
        });
        assert!(asked);
        send_signal(signal, child.id());
        let ended = || matches!(child.try_wait(), Ok(Some(_)));
        let at_once = wait_until(Duration::from_secs(2), ended);
        let _ = child.kill();
        let _ = child.wait();
        assert!(at_once, "SIG{signal}");
    }
    fs::write(&file, config + "[limit]\n").expect("writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    command.args(["serve", "--log-format", "json", "--config"]).arg(&file);
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let line: Value = serde_json::from_slice(&output.stderr).expect("one object");
    assert!(line["fields"]["message"].as_str().is_some_and(|m| m.contains("`limit`")), "{line}");
}
