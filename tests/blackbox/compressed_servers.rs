//! Compression towards the servers: clients must not notice, and fewer bytes must go.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::client::{Client, LocalFile, Login, Parameter, capability};
use crate::cluster::{Cluster, Layout};
use crate::compression::exercise;
use crate::proxy::Proxy;
use crate::recorded::Sides;
use crate::server::{RUN, Server};
use crate::software::SOFTWARE;

/// A server with a certificate, and proxies in front of it that differ in `[backend]`.
struct Lab {
    server: Server,
    folder: std::path::PathBuf,
}

impl Lab {
    fn start(name: &str) -> Self {
        let folder = RUN.path.join(format!("{name}-lab"));
        fs::create_dir_all(&folder).expect("the run's folder is writable");
        // MySQL makes a certificate of its own.
        let options = if SOFTWARE.is_mysql() { Vec::new() } else { certificate(&folder) };
        let server = Server::start_with(name, &options);
        server.wait_ready();
        server.sql("SET GLOBAL max_allowed_packet = 256 << 20");
        server.sql("CREATE DATABASE app");
        Self { server, folder }
    }

    fn proxy(&self, name: &str, backend: &str, own: &str) -> Proxy {
        let config = format!(
            "[backend]\nuser = \"geogate\"\npassword = \"geogate\"\n{backend}\n\
             [[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\nrange = \"-\"\n\
             [[keyspace.shard.server]]\naddress = \"{}\"\nrole = \"primary\"\n{own}\n",
            self.server.address()
        );
        let vschema = [("app.json".to_owned(), r#"{"sharded": false}"#.to_owned())];
        Proxy::start(&self.folder.join(name), &config, &vschema)
    }

    /// Bytes that the server sends while something is done.
    fn sent_during(&self, work: impl FnOnce()) -> u64 {
        let sent = || {
            let status = self.server.sql("SHOW GLOBAL STATUS LIKE 'Bytes_sent'");
            status.texts()[0][1].parse::<u64>().expect("a number")
        };
        let before = sent();
        work();
        sent() - before
    }
}

/// Options of a server with a new self-signed certificate.
fn certificate(folder: &Path) -> Vec<String> {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let identity = identity.expect("a certificate");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&cert, identity.cert.pem()).expect("the folder is writable");
    fs::write(&key, identity.signing_key.serialize_pem()).expect("the folder is writable");
    vec![format!("--ssl-cert={}", cert.display()), format!("--ssl-key={}", key.display())]
}

fn login() -> Login {
    let capabilities =
        capability::LOCAL_FILES | capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF;
    Login { capabilities, ..Login::test("app") }
}

/// The algorithms that the servers have.
fn algorithms() -> &'static [&'static str] {
    if SOFTWARE.is_mysql() { &["zlib", "zstd"] } else { &["zlib"] }
}

/// Answers of every kind, with every number of packets around the end of the sequence ids.
fn statements() -> Vec<String> {
    let mut statements: Vec<String> = [
        "CREATE TABLE packed (id INT PRIMARY KEY, v VARCHAR(200))",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE packed",
        "SELECT COUNT(*), SUM(id), MAX(v) FROM packed",
        "SELECT 1; LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE packed; SELECT COUNT(*) FROM \
         packed; SELECT 2",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE nowhere",
        "SELECT * FROM nowhere",
        "SELECT 1; SELECT nonsense; SELECT 2",
        "UPDATE packed SET v = 'other' WHERE id < 10",
        "SELECT * FROM packed WHERE id < 10 ORDER BY id",
        "DROP TABLE packed",
    ]
    .map(str::to_owned)
    .into();
    for rows in [0, 1, 5, 249, 250, 251, 252, 253, 254, 255, 256, 257, 600] {
        statements.push(format!("SELECT seq, REPEAT('x', 150) FROM {} s", SOFTWARE.series(rows)));
        statements.push("SELECT 'behind'".to_owned());
    }
    statements.push(["SELECT 'many'"; 130].join("; "));
    statements.push("SELECT 'behind'".to_owned());
    statements
}

/// Goal: with one server, answers are byte for byte those of the server itself, whatever they are;
/// with TLS too.
#[test]
fn one_server() {
    let lab = Lab::start("packed");
    for algorithm in algorithms() {
        for tls in ["disabled", "required"] {
            let backend = format!("tls = \"{tls}\"\ncompression = \"{algorithm}\"");
            let proxy = lab.proxy(&format!("{algorithm}-{tls}"), &backend, "");
            let sides =
                Sides { direct: lab.server.socket_address(), proxy: proxy.socket_address() };
            let rows: Vec<u8> =
                (0..3).flat_map(|id| format!("{id}\tsome text\n").into_bytes()).collect();
            let file = LocalFile { piece: rows, count: 1 };
            let statements = statements();
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            let wrong = sides.differences(&login(), Some(&file), &statements);
            assert!(wrong.is_empty(), "{backend}:\n{}", wrong.join("\n"));
            let mut client = Client::connect(proxy.socket_address(), &login()).expect("a login");
            exercise(&mut client);
            long_files_and_parameters(&mut client);
            println!("{backend}: fine");
        }
    }
}

/// A file whose packets have all sequence ids several times, and parameters sent in pieces.
fn long_files_and_parameters(client: &mut Client) {
    client.query("CREATE TABLE long_file (v VARCHAR(100))").expect("ok");
    for count in [254, 255, 256, 257, 1_000] {
        client.local_file = Some(LocalFile { piece: b"a line of text\n".to_vec(), count });
        let loaded = client.query("LOAD DATA LOCAL INFILE 'f' INTO TABLE long_file");
        let loaded = loaded.unwrap_or_else(|error| panic!("{count}: {error}"));
        assert_eq!(loaded.affected, count as u64);
        assert_eq!(client.query("SELECT 'behind'").expect("a row").scalar(), "behind");
    }
    let count = client.query("SELECT COUNT(*) FROM long_file").expect("a row").scalar();
    assert_eq!(count, "2022");
    client.query("DROP TABLE long_file").expect("ok");
    // Statements that nobody has open any more are closed at the server without an answer, several
    // at once.
    for number in 0..20 {
        let sql = format!("SELECT ? + {number}");
        let statement = client.prepare(&sql).expect("a statement");
        let row = client.execute(&statement, &[Parameter::Int(1)]).expect("a row");
        assert_eq!(row.scalar(), (number + 1).to_string());
        client.close(&statement).expect("no answer");
    }
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(client.query("SELECT 'behind'").expect("a row").scalar(), "behind");
}

/// Goal: fewer bytes go, where the server or all servers are configured so.
#[test]
fn fewer_bytes() {
    let lab = Lab::start("fewer");
    let ask = |proxy: &Proxy| {
        let mut client = proxy.client("app");
        let answer = client.query("SELECT REPEAT('ab', 4 << 20)").expect("a row");
        assert_eq!(answer.scalar().len(), 8 << 20);
    };
    let plain = lab.proxy("plain", "", "");
    assert!(lab.sent_during(|| ask(&plain)) > 8 << 20);
    for algorithm in algorithms() {
        let key = format!("compression = \"{algorithm}\"");
        for (name, backend, own) in [("all", &*key, ""), ("own", "", &*key)] {
            let proxy = lab.proxy(&format!("{name}-{algorithm}"), backend, own);
            let sent = lab.sent_during(|| ask(&proxy));
            println!("{algorithm}: {sent} bytes for 8388608");
            assert!(sent < 1 << 20, "{name} {algorithm}: {sent}");
        }
        let off = lab.proxy(&format!("off-{algorithm}"), &key, "compression = \"none\"");
        assert!(lab.sent_during(|| ask(&off)) > 8 << 20);
    }
}

/// Goal: a server that cannot compress in the way that is configured is not used, and that is said.
#[test]
fn what_a_server_does_not_offer() {
    if SOFTWARE.is_mysql() {
        println!("skipped: MySQL has both");
        return;
    }
    let lab = Lab::start("unoffered");
    let proxy = lab.proxy("zstd", "compression = \"zstd\"", "");
    let mut client = proxy.client("");
    let error = client.query("SELECT * FROM app.t").expect_err("no connection").to_string();
    assert!(error.contains("compression = \"zstd\"") && error.contains("zlib only"), "{error}");
    assert!(proxy.log_tail().contains("zlib only"), "{}", proxy.log_tail());
}

/// Goal: rows of several shards are merged, written and read as ever.
#[test]
fn several_servers() {
    let backend = "[backend]\nuser = \"geogate\"\npassword = \"geogate\"\ncompression = \"zlib\"\n";
    let vschema = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
        "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;
    let layout = Layout::new("packed-shards", &["us-east"])
        .keyspace("sharded", vschema)
        .shard("-80", "us-east", &[])
        .shard("80-", "us-east", &[])
        .config(backend);
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    cluster.on_primaries(
        "sharded",
        &["CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR(400))".to_owned()],
    );
    let mut client = cluster.proxy().client("sharded");
    for block in 0..10 {
        let rows: Vec<String> = (0..200)
            .map(|n| block * 200 + n)
            .map(|id| format!("({id}, REPEAT('{}', 300))", id % 10))
            .collect();
        let inserted = client.query(format!("INSERT INTO t VALUES {}", rows.join(", ")));
        assert_eq!(inserted.expect("ok").affected, 200);
    }
    let rows = client.query("SELECT id, v FROM t ORDER BY id").expect("rows").texts();
    assert_eq!(rows.len(), 2_000);
    for (id, row) in rows.iter().enumerate() {
        assert_eq!(
            (row[0].as_str(), &row[1]),
            (&*id.to_string(), &(id % 10).to_string().repeat(300))
        );
    }
    let sum = client.query("SELECT COUNT(*), SUM(id) FROM t").expect("a row").texts();
    assert_eq!(sum, [["2000", "1999000"]]);
    client.query("BEGIN").expect("ok");
    assert_eq!(client.query("UPDATE t SET v = 'new' WHERE id < 1000").expect("ok").affected, 1_000);
    client.query("COMMIT").expect("ok");
    let statement = client.prepare("SELECT v FROM t WHERE id = ?").expect("a statement");
    for (id, wanted) in [(7, "new".to_owned()), (1_007, "7".repeat(300))] {
        let row = client.execute(&statement, &[Parameter::Int(id)]).expect("a row");
        assert_eq!(row.scalar(), wanted);
    }
}
