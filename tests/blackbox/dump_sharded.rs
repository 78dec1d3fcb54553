//! Dump and restore through the proxy over shards, with the server's own tools: every row comes
//! back once, on the shard that its vindex says, and a dump of many shards is that of one server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Client;
use crate::cluster::{Cluster, Layout};
use crate::placement::{Vindex, covers, keyspace_id};
use crate::server::{RUN, Server};
use crate::software::SOFTWARE;

/// What is said to `mariadb-dump` beside its defaults; each must give the dump of one server.
const VARIANTS: &[&[&str]] = &[
    &["store"],
    &["--skip-extended-insert", "store"],
    &["--hex-blob", "store"],
    &["--complete-insert", "--order-by-primary", "store"],
    &["--insert-ignore", "--skip-lock-tables", "store"],
    &["--replace", "store"],
    &["--no-create-info", "store"],
    &["--no-data", "--routines", "--triggers", "--events", "store"],
    &["--where=id > 5", "store", "everything", "ticket"],
    &["--skip-opt", "--quick", "store"],
    &["--no-autocommit", "--net-buffer-length=16M", "--max-allowed-packet=64M", "store"],
    &["--tz-utc=0", "--compact", "store"],
    &["--single-transaction", "store"],
    &["--databases", "store"],
];

/// Those that are restored as well.
const RESTORED: &[usize] = &[1, 2, 4, 10, 13];

fn read(name: &str) -> String {
    let path = format!("{}/tests/blackbox/dump_sharded/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A cluster with keyspace `base` and an empty keyspace `store` on these shards.
fn cluster(name: &str, ranges: &[&str], limits: &str) -> Cluster {
    let mut layout = Layout::new(name, &["here"])
        .keyspace("base", &read("base.json"))
        .shard("-", "here", &[])
        .keyspace("store", &read("store.json"))
        .proxy("consistent_snapshot = \"locked\"")
        .config(limits);
    for range in ranges {
        layout = layout.shard(range, "here", &[]);
    }
    let cluster = Cluster::start(layout);
    let statements = [
        "CREATE TABLE ticket_seq (id BIGINT NOT NULL DEFAULT 0, next_id BIGINT NOT NULL, \
         cache BIGINT NOT NULL, PRIMARY KEY (id)) COMMENT 'vitess_sequence'",
        "INSERT INTO ticket_seq VALUES (0, 1000, 100)",
    ];
    cluster.on_primaries("base", &statements.map(str::to_owned));
    cluster
}

/// A tool of the server's, logged in as `test`.
fn tool(program: &str, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest"]).arg(format!("-P{port}"));
    command
}

/// A dump in a file of the run's folder.
fn dump(port: u16, options: &[&str], to: &str) -> PathBuf {
    let path = RUN.path.join(to);
    let file = File::create(&path).expect("the run's folder is writable");
    let mut command = tool("mariadb-dump", port);
    command.arg("--skip-dump-date").args(options).stdout(file);
    let output = command.output().expect("mariadb-dump is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {said}");
    path
}

/// Runs a dump; what the client said if it failed.
fn restore(port: u16, from: &Path) -> Result<(), String> {
    let file = File::open(from).expect("it was dumped");
    let output = tool("mariadb", port).arg("store").stdin(file).output();
    let output = output.expect("mariadb is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// The lines of a dump in an order of their own. Where the statements of long tables are cut
/// depends on the order of the rows.
fn lines(dump: &Path) -> Vec<Vec<u8>> {
    let text = fs::read(dump).expect("it was dumped");
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| {
        let header = line.starts_with(b"INSERT") && line.ends_with(b"VALUES");
        !header && !line.starts_with(b"-- Host")
    });
    let trimmed = lines.map(|line| match line {
        [rest @ .., b',' | b';'] => rest.to_vec(),
        whole => whole.to_vec(),
    });
    let mut lines: Vec<_> = trimmed.collect();
    lines.sort_unstable();
    lines
}

fn assert_same(a: &Path, b: &Path) {
    assert!(lines(a) == lines(b), "the dumps differ: {} and {}", a.display(), b.display());
}

/// The keyspace ids of the rows of a table by the shard that has them.
fn ids(client: &mut Client, table: &str) -> Vec<[u8; 8]> {
    let hash = |text: &String| keyspace_id(Vindex::Hash, text.as_bytes());
    let ask = |client: &mut Client, sql: &str| client.query(sql).expect("the table is there");
    match table {
        "everything" => {
            ask(client, "SELECT id FROM everything").texts().iter().map(|r| hash(&r[0])).collect()
        }
        "ticket" => {
            let rows = ask(client, "SELECT customer_id FROM ticket").texts();
            rows.iter().map(|row| hash(&row[0])).collect()
        }
        "badge" => {
            let rows = ask(client, "SELECT token FROM badge").texts();
            rows.iter().map(|row| keyspace_id(Vindex::XxHash, row[0].as_bytes())).collect()
        }
        _ => {
            let rows = ask(client, "SELECT tenant, number FROM pair").texts();
            let both = |row: &Vec<String>| {
                let (tenant, number) = (hash(&row[0]), hash(&row[1]));
                let mut id = [0; 8];
                id[..2].copy_from_slice(&tenant[..2]);
                id[2..].copy_from_slice(&number[..6]);
                id
            };
            rows.iter().map(both).collect()
        }
    }
}

/// Every row stands on the shard of its keyspace id, and there are so many as there should be.
fn check_placement(cluster: &Cluster) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for shard in cluster.keyspace("store") {
        let mut client = shard.primary.client("store");
        for table in ["everything", "pair", "badge", "ticket"] {
            let ids = ids(&mut client, table);
            let strays = ids.iter().filter(|id| !covers(&shard.range, *id)).count();
            assert_eq!(strays, 0, "rows of {table} on shard {}", shard.range);
            assert!(!ids.is_empty(), "{table} on shard {}", shard.range);
            *counts.entry(table).or_default() += ids.len();
        }
        let nations = client.query("SELECT COUNT(*) FROM nation").expect("it is there");
        assert_eq!(nations.scalar(), "3", "each shard has its copy");
    }
    let expected = [("badge", 800), ("everything", 3000), ("pair", 1500), ("ticket", 900)];
    assert_eq!(counts, BTreeMap::from(expected));
}

/// Goal: from one server into shards, from shards into a different number of shards, and back.
#[test]
fn a_dump_goes_round_over_shards() {
    if SOFTWARE.is_mysql() {
        println!("skipped: mariadb-dump and these tables are MariaDB's");
        return;
    }
    let plain = Server::start("dump-plain");
    plain.wait_ready();
    plain.sql("CREATE DATABASE store");
    for name in ["schema.sql", "rows.sql"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blackbox/dump_sharded");
        restore(plain.port, &path.join(name)).expect("the server takes its own SQL");
    }
    let four = cluster("dump-four", &["-40", "40-80", "80-c0", "c0-"], "");
    let two = cluster("dump-two", &["-80", "80-"], "");
    let (four, two) = (four.watched(), two.watched());
    let direct = dump(plain.port, &["store"], "direct.sql");
    restore(four.proxy().port, &direct).expect("a dump of one server goes into shards");
    check_placement(&four);
    for (number, options) in VARIANTS.iter().enumerate() {
        let of_one = dump(plain.port, options, &format!("one-{number}.sql"));
        let of_four = dump(four.proxy().port, options, &format!("four-{number}.sql"));
        assert_same(&of_one, &of_four);
        if !RESTORED.contains(&number) {
            continue;
        }
        restore(two.proxy().port, &of_four).unwrap_or_else(|said| panic!("{options:?}: {said}"));
        check_placement(&two);
        let of_two = dump(two.proxy().port, &["store"], &format!("two-{number}.sql"));
        assert_same(&direct, &of_two);
        two.on_primaries("store", &["DROP TABLE everything, pair, badge, ticket".to_owned()]);
    }
    // What Oracle's mysqldump says first is a comment for MariaDB.
    let mut client = four.proxy().client("store");
    let comment = "/*!80000 SET SESSION information_schema_stats_expiry=0 */";
    client.query(comment).expect("a comment is a statement");
    // Back again, and sequences go on behind what was kept.
    plain.sql("DROP DATABASE store");
    let of_four = dump(four.proxy().port, &["--databases", "store"], "four-back.sql");
    plain.sql("CREATE DATABASE store");
    restore(plain.port, &of_four).expect("a dump of shards goes into one server");
    assert_same(&direct, &dump(plain.port, &["store"], "back.sql"));
    let inserted = client.query("INSERT INTO ticket (customer_id, subject) VALUES (1, 'new')");
    assert_eq!(inserted.expect("it has a sequence").last_insert_id, 1000);
}
