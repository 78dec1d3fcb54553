//! How many connections there may be, who waits for one and how long, and who may end whom.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Login};
use crate::server::wait_until;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

fn login(user: &str) -> Login {
    Login { user: user.into(), password: user.into(), ..Login::test("app") }
}

/// Goal: a user has `connections_max` connections and no more, named error 1226; other users and
/// freed places are not touched; a change of user counts.
#[test]
fn connections_of_a_user() {
    let cluster = SINGLE.watched();
    let users = "[[user]]\nname = \"two\"\npassword = \"two\"\nconnections_max = 2\n";
    let proxy = cluster.another_proxy("user-limit", users);
    let connect = |user: &str| Client::connect(proxy.socket_address(), &login(user));
    let first = connect("two").expect("a place");
    let mut second = connect("two").expect("a place");
    let error = connect("two").err().expect("no place");
    assert_eq!(error.errno(), 1226, "{error}");
    assert!(error.to_string().contains("connections_max"), "{error}");
    let mut other = connect("test").expect("another user");
    let change = |client: &mut Client, user: &str| {
        let body = [user.as_bytes(), b"\0\0app\0\x2d\0mysql_native_password\0"].concat();
        client.command(0x11, &body)?;
        client.finish_log_in(&login(user))
    };
    assert_eq!(change(&mut other, "two").expect_err("no place").errno(), 1226);
    drop(first);
    let free = wait_until(Duration::from_secs(5), || connect("two").is_ok());
    assert!(free, "the place of a client that left is not free");
    change(&mut second, "test").expect("to another user");
    let _third = connect("two").expect("a place");
    let _fourth = connect("two").expect("the place of the one that changed");
}

/// Goal: a server's own `connections_max` holds, with a named error at the end of the wait.
#[test]
fn connections_to_a_server() {
    let cluster = SINGLE.watched();
    let address = cluster.shards[0].primary.address();
    let config = format!(
        "[limits]\nserver_connection_wait_ms = 300\n[[keyspace]]\nname = \"app\"\n\
         [[keyspace.shard]]\nrange = \"-\"\n[[keyspace.shard.server]]\naddress = \"{address}\"\n\
         role = \"primary\"\nconnections_max = 1\n"
    );
    let vschema = [("app.json".to_owned(), r#"{"sharded": false}"#.to_owned())];
    let proxy = crate::proxy::Proxy::start(&cluster.folder.join("own-limit"), &config, &vschema);
    let (mut one, mut two) = (proxy.client("app"), proxy.client("app"));
    one.query("BEGIN").expect("ok");
    one.query("SELECT 1").expect("a row");
    assert_eq!(two.query("SELECT 1").expect_err("no connection").errno(), 1203);
    one.query("COMMIT").expect("ok");
    two.query("SELECT 1").expect("a row");
}

/// Goal: a server that allows fewer connections than the pool is not full of idle ones that nobody
/// can use any more.
#[test]
fn idle_connections_make_room() {
    let cluster = single::start("full", "");
    let cluster = cluster.watched();
    let mut admin = cluster.proxy().client("app");
    admin.query("SET GLOBAL max_connections = 12").expect("ok");
    for number in 1..40 {
        // Later sessions do not take connections that were made before.
        admin.query(format!("SET GLOBAL net_retry_count = {number}")).expect("ok");
        let answer = cluster.proxy().client("app").query("SELECT @@net_retry_count");
        assert_eq!(answer.expect("there is room").scalar(), number.to_string());
    }
}

/// Goal: who waits longer is served first, whichever worker it is on.
#[test]
fn the_queue_is_fair() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 20000\n";
    let proxy = cluster.another_proxy("fair", limits);
    let mut holder = proxy.client("app");
    let clients: Vec<Client> = (0..16).map(|_| proxy.client("app")).collect();
    holder.query("BEGIN").expect("ok");
    holder.query("SELECT 1").expect("a row");
    // The server tells in which order they came.
    let server = &cluster.shards[0].primary;
    server.sql("CREATE TABLE app.served (id INT AUTO_INCREMENT PRIMARY KEY, client INT)");
    thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                let insert = format!("INSERT INTO served (client) VALUES ({number})");
                client.query(insert).expect("a row");
            });
            thread::sleep(Duration::from_millis(150));
        }
        holder.query("COMMIT").expect("ok");
    });
    let order = server.sql("SELECT client FROM app.served ORDER BY id").texts().concat();
    assert_eq!(order, (0..16).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// Goal: KILL reaches a statement that waits for a connection, a client that leaves gives its
/// place in the queue up, and both long before the deadline.
#[test]
fn waiting_is_interrupted() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 20000\n";
    let proxy = cluster.another_proxy("waiting", limits);
    let mut holder = proxy.client("app");
    let mut victims = [proxy.client("app"), proxy.client("app"), proxy.client("app")];
    // KILL is answered by the proxy, so it needs no connection.
    let mut killer = proxy.client("");
    holder.query("BEGIN").expect("ok");
    holder.query("SELECT 1").expect("a row");
    let start = Instant::now();
    for victim in &mut victims {
        victim.command(0x03, b"SELECT 5").expect("it is read");
    }
    thread::sleep(Duration::from_millis(200));
    let [mut query, mut connection, gone] = victims;
    killer.query(format!("KILL QUERY {}", query.connection_id)).expect("ok");
    assert_eq!(query.read_reply().expect_err("killed").errno(), 1317);
    killer.query(format!("KILL {}", connection.connection_id)).expect("ok");
    assert!(matches!(connection.read_reply().expect_err("killed").errno(), 1317 | 1927));
    let closed = wait_until(Duration::from_secs(2), || connection.ping().is_err());
    assert!(closed, "KILL CONNECTION left it open");
    drop(gone);
    query.command(0x03, b"SELECT 6").expect("it goes on");
    thread::sleep(Duration::from_millis(100));
    holder.query("COMMIT").expect("ok");
    assert_eq!(query.read_answer(false).expect("a row").scalar(), "6");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Goal: the proxy keeps `wait_timeout` itself, for sessions that hold no server connection; an
/// interactive client has a limit of its own; MySQL's clients are told why, MariaDB's are not.
#[test]
fn idle_clients() {
    let cluster = SINGLE.watched();
    let limits = "[limits]\nclient_interactive_idle_ms = 2000\n";
    let quiet = cluster.another_proxy("idle-quiet", limits);
    let version = format!("{limits}[listen]\nserver_version = \"8.4.6\"\n");
    let telling = cluster.another_proxy("idle-telling", &version);
    let quiet_errno = if SOFTWARE.is_mysql() { 4031 } else { 0 };
    for (proxy, errno) in [(&quiet, quiet_errno), (&telling, 4031)] {
        let mut short = proxy.client("app");
        short.query("SET SESSION wait_timeout = 2").expect("ok");
        assert_eq!(short.query("SELECT @@wait_timeout").expect("a row").scalar(), "2");
        let interactive = Login { capabilities: 1 << 10, ..Login::test("app") };
        let mut person = Client::connect(proxy.socket_address(), &interactive).expect("a login");
        let mut patient = Client::connect(proxy.socket_address(), &interactive).expect("a login");
        patient.query("SET wait_timeout = 100, interactive_timeout = 1").expect("ok");
        let mut other = proxy.client("app");
        let start = Instant::now();
        for client in [&mut short, &mut person] {
            assert_eq!(client.read_reply().expect_err("idle").errno(), errno);
        }
        let waited = start.elapsed();
        assert!(
            waited > Duration::from_millis(900) && waited < Duration::from_secs(5),
            "{waited:?}"
        );
        // The connection that had a short wait_timeout harms nobody.
        for client in [&mut patient, &mut other] {
            let row = client.query("SELECT @@wait_timeout").expect("a row");
            assert_ne!(row.scalar(), "2");
        }
        short = proxy.client("app");
        short.query("SET wait_timeout = 2").expect("ok");
        short.query("SET wait_timeout = DEFAULT").expect("ok");
        thread::sleep(Duration::from_millis(3500));
        short.query("SELECT 1").expect("it may be idle for hours again");
    }
}

/// Goal: an operator may end other users' sessions, others get error 1095; an unknown id is 1094;
/// after COM_CHANGE_USER a session belongs to its new user.
#[test]
fn who_may_kill() {
    let operator = "[[user]]\nname = \"boss\"\npassword = \"boss\"\noperator = true\n";
    let cluster = single::start("who-may-kill", operator);
    let cluster = cluster.watched();
    let address = cluster.proxy().socket_address();
    let connect = |user: &str| Client::connect(address, &login(user)).expect("a login");
    let (mut boss, mut victim) = (connect("boss"), connect("test"));
    let sha2 = Login { user: "sha2".into(), password: "secret".into(), ..Login::test("app") };
    let mut other = Client::connect(address, &sha2).expect("a login");
    for kill in ["KILL", "KILL QUERY", "KILL CONNECTION"] {
        let error = other.query(format!("{kill} {}", victim.connection_id)).expect_err("not his");
        assert_eq!(error.errno(), 1095, "{error}");
    }
    assert_eq!(other.query("KILL 4000000000").expect_err("unknown").errno(), 1094);
    let id = victim.connection_id;
    other.command(0x0c, &id.to_le_bytes()).expect("it is read");
    assert_eq!(other.read_reply().expect_err("not his").errno(), 1095);
    victim.ping().expect("alive");
    let body = b"sha2\0\0app\0\x2d\0mysql_native_password\0";
    victim.command(0x11, body).expect("it is read");
    victim.finish_log_in(&sha2).expect("another user");
    other.query(format!("KILL {id}")).expect("his own now");
    assert!(wait_until(Duration::from_secs(2), || victim.ping().is_err()));
    let mut victim = connect("test");
    boss.query(format!("KILL {}", victim.connection_id)).expect("ok");
    assert!(wait_until(Duration::from_secs(2), || victim.ping().is_err()));
}
