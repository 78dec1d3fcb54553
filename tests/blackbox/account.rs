//! Geogate's own account on a server is expired, locked or denied: what clients and the operator
//! are told, and that it ends without a restart.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::server::wait_until;
use crate::single;
use crate::software::SOFTWARE;

/// `geogate check --live`: whether all is well, and what it says.
fn check(proxy: &Proxy) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    command.args(["check", "--live", "--config"]).arg(proxy.folder.join("geogate.toml"));
    let output = command.output().expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A session that keeps a connection of the pool to itself, and the others that are idle.
fn hold(client: &mut Client) {
    client.query("BEGIN").expect("ok");
    client.query("SELECT 1").expect("a row");
}

/// Breaks the account while connections exist, looks at everything, mends it.
fn break_and_mend(cluster: &Cluster, trouble: &str, mend: &str, id: &str, errno: &str) {
    let proxy = cluster.proxy();
    let server = &cluster.shards[0].primary;
    let (mut holder, mut other) = (proxy.client("app"), proxy.client("app"));
    let mut clients: Vec<Client> = (0..6).map(|_| proxy.client("app")).collect();
    hold(&mut holder);
    server.sql(trouble);
    // What is connected goes on, through the reset of the session at the server too.
    holder.query("CREATE TEMPORARY TABLE kept (id INT)").expect("ok");
    holder.query("COMMIT").expect("ok");
    holder.query("DROP TEMPORARY TABLE kept").expect("ok");
    hold(&mut holder);
    // Idle connections serve until there are no more.
    let error = clients.iter_mut().find_map(|client| {
        client.query("BEGIN").expect("no connection is needed yet");
        client.query("SELECT 2").err()
    });
    let error = error.expect("no connection");
    let text = error.to_string();
    assert!(text.contains(id) && text.contains(errno), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
    let logged = proxy.log_tail();
    assert!(logged.contains("refuses Geogate's account"), "{logged}");
    let (fine, said) = check(proxy);
    assert!(!fine && said.contains("= help: ") && said.contains("127.0.0.1"), "{said}");
    // However many statements come, the server is asked about once a second.
    let connections = || {
        let status = server.sql("SHOW GLOBAL STATUS LIKE 'Connections'");
        status.texts()[0][1].parse::<u64>().expect("a number")
    };
    let (before, start) = (connections(), Instant::now());
    let mut failures = 0;
    while start.elapsed() < Duration::from_millis(1500) {
        other.query("SELECT 3").expect_err("no connection");
        failures += 1;
    }
    let made = connections() - before;
    assert!(failures > 100 && made < 10, "{made} connections for {failures} statements");
    server.sql(mend);
    let works = wait_until(Duration::from_secs(5), || other.query("SELECT 4").is_ok());
    assert!(works, "{}", proxy.log_tail());
    assert!(check(proxy).0);
}

/// Goal: as the module says, however the server treats expired passwords.
#[test]
fn an_expired_password() {
    let cluster = single::start("expired", "");
    let cluster = cluster.watched();
    let expire = "ALTER USER geogate@'%' PASSWORD EXPIRE";
    let renew = "ALTER USER geogate@'%' IDENTIFIED BY 'geogate'";
    if !SOFTWARE.is_mysql() {
        // A login succeeds, and every statement fails.
        break_and_mend(&cluster, expire, renew, "GG14008", "1820");
        cluster.shards[0].primary.sql("SET GLOBAL disconnect_on_expired_password = ON");
    }
    break_and_mend(&cluster, expire, renew, "GG14008", "1862");
}

/// Goal: the same for a locked account, and for one with another password.
#[test]
fn a_locked_account() {
    let cluster = single::start("locked", "");
    let cluster = cluster.watched();
    let lock = "ALTER USER geogate@'%' ACCOUNT LOCK";
    let unlock = "ALTER USER geogate@'%' ACCOUNT UNLOCK";
    let errno = if SOFTWARE.is_mysql() { "3118" } else { "4151" };
    break_and_mend(&cluster, lock, unlock, "GG14009", errno);
    let another = "ALTER USER geogate@'%' IDENTIFIED BY 'another'";
    let renew = "ALTER USER geogate@'%' IDENTIFIED BY 'geogate'";
    break_and_mend(&cluster, another, renew, "GG14010", "1045");
}
