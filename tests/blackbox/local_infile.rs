//! LOAD DATA LOCAL INFILE: files from the client through the proxy to one server.

use std::fs;
use std::time::Duration;

use crate::client::{Client, LocalFile, Login, capability};
use crate::cluster::Watched;
use crate::recorded::Sides;
use crate::server::wait_until;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

fn login() -> Login {
    let capabilities =
        capability::LOCAL_FILES | capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF;
    Login { capabilities, ..Login::test("app") }
}

fn file(piece: &[u8], count: usize) -> LocalFile {
    LocalFile { piece: piece.to_vec(), count }
}

/// Goal: every answer around a local file is byte for byte the server's own, whatever comes of it.
#[test]
fn answers_are_the_servers() {
    let cluster = single::start("infile", "");
    let cluster = cluster.watched();
    let sides = Sides {
        direct: cluster.shards[0].primary.socket_address(),
        proxy: cluster.proxy().socket_address(),
    };
    let statements = [
        "CREATE TABLE loaded (id INT PRIMARY KEY, v VARCHAR(5))",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded",
        "SHOW WARNINGS",
        "SELECT COUNT(*), SUM(id) FROM loaded",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded",
        "LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE loaded",
        "LOAD DATA LOCAL INFILE 'f' IGNORE INTO TABLE loaded FIELDS TERMINATED BY ','",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE nowhere",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded (id, nothing)",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded (@a, v) SET id = NULL",
        "LOAD XML LOCAL INFILE 'f' INTO TABLE loaded ROWS IDENTIFIED BY '<row>'",
        "SELECT 1; LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE loaded; SELECT COUNT(*) FROM \
         loaded; LOAD DATA LOCAL INFILE 'g' IGNORE INTO TABLE loaded; SELECT 2",
        "SELECT 1; LOAD DATA LOCAL INFILE 'f' INTO TABLE nowhere; SELECT 2",
        "DELETE FROM loaded; BEGIN; LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded; ROLLBACK",
        "SELECT COUNT(*) FROM loaded",
        "SET NAMES latin1; LOAD DATA LOCAL INFILE 'f' CHARACTER SET utf8mb4 INTO TABLE loaded",
        "PREPARE p FROM 'LOAD DATA LOCAL INFILE ''f'' INTO TABLE loaded'",
        "DROP TABLE loaded",
    ];
    let files = [
        None,
        Some(file(b"", 0)),
        Some(file(b"1\tone\n2\ttwo\n", 1)),
        Some(file(b"1\tone\n2\tmuch too long\nthree\n", 1)),
        Some(file(b"<row><id>7</id><v>x</v></row>\n", 1)),
        Some(file(b"5\t", 1)),
    ];
    for file in &files {
        let wrong = sides.differences(&login(), file.as_ref(), &statements);
        assert!(wrong.is_empty(), "file {file:?}:\n{}", wrong.join("\n"));
    }
    // Without the capability, the server refuses.
    let statements = [statements[1], "LOAD DATA LOCAL INFILE 'f' INTO TABLE mysql.proc"];
    let login = Login { capabilities: capability::DEPRECATE_EOF, ..Login::test("app") };
    let wrong = sides.differences(&login, None, &statements[..2]);
    assert!(wrong.is_empty(), "without the capability:\n{}", wrong.join("\n"));
    if SOFTWARE.is_mysql() {
        println!("skipped in part: MySQL does not prepare LOAD DATA");
        return;
    }
    // MariaDB prepares it, and asks for the file when it is executed.
    let prepared = |address| {
        let mut client = Client::connect(address, &self::login()).expect("a login");
        client.query("CREATE TABLE prepared_file (id INT)").expect("ok");
        client.local_file = Some(file(b"1\n2\n", 2));
        let sql = "LOAD DATA LOCAL INFILE 'f' INTO TABLE prepared_file";
        let statement = client.prepare(sql).expect("a statement");
        let first = client.execute(&statement, &[]).map_err(|error| error.to_string());
        let second = client.execute(&statement, &[]).map_err(|error| error.to_string());
        client.query("DROP TABLE prepared_file").expect("in step");
        (first, second)
    };
    assert_eq!(prepared(sides.proxy), prepared(sides.direct));
}

/// Goal: a large file in packets of all sizes passes with little memory, and nothing of it is lost.
#[test]
fn a_large_file_is_streamed() {
    let cluster = SINGLE.watched();
    let proxy = cluster.another_proxy("streaming", "");
    let mut client = Client::connect(proxy.socket_address(), &login()).expect("a login");
    client.query("CREATE TABLE streamed_file (id INT) ENGINE = MyISAM").expect("ok");
    let before = resident(&proxy.folder);
    let line = [&b"12345\t"[..], &[b'x'; 993], b"\n"].concat();
    for (lines, count) in [(10, 1000), (5000, 20)] {
        client.query("TRUNCATE streamed_file").expect("ok");
        client.local_file = Some(file(&line.repeat(lines), count));
        let loaded = client.query("LOAD DATA LOCAL INFILE 'f' INTO TABLE streamed_file (id, @x)");
        assert_eq!(loaded.expect("rows").affected, (lines * count) as u64);
    }
    let grown = resident(&proxy.folder).saturating_sub(before);
    assert!(grown < 16 << 10, "the proxy has grown by {grown} KiB");
    // A packet of the greatest length, whose continuation is empty, does not end the file.
    client.query("TRUNCATE streamed_file").expect("ok");
    client.local_file =
        Some(file(&b"7\txxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(1 << 19)[..0xff_ffff], 1));
    let loaded = client.query("LOAD DATA LOCAL INFILE 'f' INTO TABLE streamed_file (id, @x)");
    assert_eq!(loaded.expect("rows").affected, 1 << 19);
    client.query("DROP TABLE streamed_file").expect("in step");
}

/// Resident memory in KiB of the proxy that was started in a folder.
fn resident(folder: &std::path::Path) -> u64 {
    let config = folder.join("geogate.toml");
    let own = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(config.as_os_str().len())
            .any(|part| part == config.as_os_str().as_encoded_bytes())
    };
    let mut processes = fs::read_dir("/proc").expect("Linux").flatten().filter(own);
    let process = processes.next().expect("the proxy runs");
    let status = fs::read_to_string(process.path().join("status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Goal: a client that leaves in the middle of its file leaves nothing behind; a server that is
/// lost in the middle is told to the client once it has sent its file.
#[test]
fn files_that_break_off() {
    let cluster = single::start("broken-file", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let mut control = server.client("app");
    control.query("CREATE TABLE broken (id INT) ENGINE = InnoDB").expect("ok");
    let sql = b"LOAD DATA LOCAL INFILE 'f' INTO TABLE broken";
    let mut leaving = begun(&cluster, sql);
    leaving.write_packet(b"1\n2\n").expect("open");
    drop(leaving);
    let gone = wait_until(Duration::from_secs(10), || {
        let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'LOAD%'";
        control.query(sql).expect("a row").scalar() == "0"
    });
    assert!(gone, "the statement goes on without its client");
    assert_eq!(control.query("SELECT COUNT(*) FROM broken").expect("a row").scalar(), "0");

    let mut client = begun(&cluster, sql);
    client.write_packet(b"1\n2\n").expect("open");
    let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'LOAD%'";
    let id = control.query(sql).expect("a row").scalar();
    control.query(format!("KILL CONNECTION {id}")).expect("ok");
    for _ in 0..20 {
        client.write_packet(b"3\n").expect("it is read");
        std::thread::sleep(Duration::from_millis(10));
    }
    client.write_packet(b"").expect("it is read");
    let error = client.read_answer(false).expect_err("the server is gone");
    assert_ne!(error.errno(), 0, "{error}");
    assert_eq!(client.query("SELECT 3").expect("in step").scalar(), "3");
}

/// A client that has been asked for its file.
fn begun(cluster: &Watched<'_>, sql: &[u8]) -> Client {
    let mut client = Client::connect(cluster.proxy().socket_address(), &login()).expect("a login");
    client.command(0x03, sql).expect("it is read");
    assert_eq!(client.read_packet().expect("a request"), b"\xfbf");
    client
}
