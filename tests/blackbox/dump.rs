//! `geogate init` in front of a server, and that server's own tools through it: a dump is the same
//! as a direct one, and what is restored through the proxy is what was dumped.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::proxy::serve_folder;
use crate::server::{RUN, Server, free_port, wait_until};
use crate::software::SOFTWARE;

const OBJECTS: &[&str] = &[
    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100), b BLOB, d DATETIME(6), \
     j JSON)",
    "INSERT INTO t (v, b, d, j) SELECT CONCAT('it''s \\\\ \"', seq, 'ü'), REPEAT(CHAR(seq), 150), \
     '2024-02-29 01:02:03.456', '{\"a\":1}' FROM seq_1_to_20000",
    "CREATE VIEW vv AS SELECT id, v FROM t",
    "CREATE PROCEDURE p(n INT) BEGIN SELECT n; SET @x = n; END",
    "CREATE FUNCTION f(n INT) RETURNS INT DETERMINISTIC RETURN n + 1",
    "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = COALESCE(NEW.v, 'none')",
    "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id < 0",
    "CREATE SEQUENCE sq",
];

fn dump(port: u16, to: &Path) -> String {
    let mut command = Command::new("mariadb-dump");
    command.args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest", "--routines", "--events"]);
    command.args(["--triggers", "--single-transaction", "--skip-dump-date", "--hex-blob"]);
    command.args(["--databases", "kept"]).arg(format!("-P{port}"));
    let output = command.output().expect("mariadb-dump is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(to, &output.stdout).expect("the run's folder is writable");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| !line.starts_with("-- Host")).collect::<Vec<_>>().join("\n")
}

/// Goal: as the module says, with every kind of object a database can have.
#[test]
fn a_dump_goes_round() {
    if SOFTWARE.is_mysql() {
        println!("skipped: mariadb-dump and these objects are MariaDB's");
        return;
    }
    let server = Server::start("dump");
    server.wait_ready();
    server.sql("CREATE DATABASE kept");
    let mut client = server.client("kept");
    for object in OBJECTS {
        client.query(object).unwrap_or_else(|error| panic!("{error}: {object}"));
    }
    let folder = RUN.path.join("dump-proxy");
    let port = free_port();
    let mut init = Command::new(env!("CARGO_BIN_EXE_geogate"));
    init.arg("init").arg(format!("--from=mysql://test:test@127.0.0.1:{}", server.port));
    init.arg("--out").arg(&folder).arg(format!("--listen=127.0.0.1:{port}"));
    init.arg(format!("--control=127.0.0.1:{}", free_port()));
    let output = init.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut proxy = serve_folder(&folder);
    let login = || {
        let status = Command::new("mariadb")
            .args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest", "-e", "SELECT 1"])
            .arg(format!("-P{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    assert!(wait_until(std::time::Duration::from_secs(20), login), "the proxy takes no login");
    let direct = dump(server.port, &folder.join("direct.sql"));
    let through = dump(port, &folder.join("through.sql"));
    assert!(direct == through, "the dumps differ; see {}", folder.display());
    server.sql("DROP DATABASE kept");
    let restored = Command::new("mariadb")
        .args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest"])
        .arg(format!("-P{port}"))
        .stdin(fs::File::open(folder.join("through.sql")).expect("it was written"))
        .output()
        .expect("the client is installed");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let again = dump(server.port, &folder.join("again.sql"));
    assert!(direct == again, "what was restored differs; see {}", folder.display());
    let _ = proxy.kill();
    let _ = proxy.wait();
}
