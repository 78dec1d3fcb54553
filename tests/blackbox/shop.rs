//! The test shop: tables, generated rows and the clusters that hold them.
//!
//! Rows are made by a small generator with a fixed seed, so that every run has the same ones. They
//! are loaded straight into the shards where `placement` says that they live, and into plain
//! servers; a proxy that places rows wrongly is then found by its answers.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cluster::{Cluster, Layout};
use crate::placement::{Vindex, covers, keyspace_id};
use crate::server::Server;
use crate::software::SOFTWARE;

/// The four shards of keyspace `shop`.
pub(crate) const RANGES: [&str; 4] = ["-40", "40-80", "80-c0", "c0-"];

/// Sharded tables with their sharding column and vindex.
pub(crate) const SHARDED: [(&str, &str, Vindex); 5] = [
    ("customer", "id", Vindex::Hash),
    ("orders", "customer_id", Vindex::Hash),
    ("order_item", "customer_id", Vindex::Hash),
    ("visit", "token", Vindex::XxHash),
    ("ticket", "customer_id", Vindex::Hash),
];

/// Number of `scratch_NN` tables on the shared cluster.
const SCRATCH_TABLES: u32 = 40;

/// The shared cluster of a test run: `catalog` unsharded with a replica in each other region,
/// `shop` on four shards, the first two with a replica in another region. Tests only read the shop
/// tables here, and write to tables from [`scratch_table`].
pub(crate) static SHOP: LazyLock<Cluster> = LazyLock::new(|| {
    let layout = Layout::new("shop", &["us-east", "eu-west", "ap-south"])
        .keyspace("catalog", &read("catalog.json"))
        .shard("-", "us-east", &["eu-west", "ap-south"])
        .keyspace("shop", &with_scratch_tables(&read("shop.json")))
        .shard(RANGES[0], "us-east", &["eu-west"])
        .shard(RANGES[1], "eu-west", &["us-east"])
        .shard(RANGES[2], "ap-south", &[])
        .shard(RANGES[3], "us-east", &[]);
    let cluster = Cluster::start(layout);
    load_cluster(&cluster);
    let scratch = (1..=SCRATCH_TABLES).map(|number| {
        format!(
            "CREATE TABLE scratch_{number:02} (id BIGINT NOT NULL PRIMARY KEY, k BIGINT, \
             v VARCHAR(100))"
        )
    });
    cluster.on_primaries("shop", &scratch.collect::<Vec<_>>());
    for shard in &cluster.shards {
        for replica in &shard.replicas {
            replica.wait_for(&shard.primary);
        }
    }
    cluster
});

/// An empty table of keyspace `shop` on [`SHOP`] that no other test has: `id BIGINT` primary key
/// (sharded by `hash`), `k BIGINT`, `v VARCHAR(100)`.
pub(crate) fn scratch_table() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number <= SCRATCH_TABLES, "raise SCRATCH_TABLES in tests/blackbox/shop.rs");
    format!("scratch_{number:02}")
}

/// A small cluster with the shop's tables and rows, for a test that changes them.
pub(crate) fn own_shop(name: &str) -> Cluster {
    let mut layout = Layout::new(name, &["us-east"])
        .keyspace("catalog", &read("catalog.json"))
        .shard("-", "us-east", &[])
        .keyspace("shop", &read("shop.json"));
    for range in RANGES {
        layout = layout.shard(range, "us-east", &[]);
    }
    let cluster = Cluster::start(layout);
    load_cluster(&cluster);
    cluster
}

/// The physical order of a plain server's rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// Primary keys ascend, as declared.
    AsDeclared,
    /// Primary keys are declared descending, there are no others, and rows are inserted backwards:
    /// the same tables, read in another order wherever the server is free to choose.
    Reversed,
}

/// One plain server that holds both keyspaces as databases: the oracle.
pub(crate) fn plain_server(order: RowOrder) -> Server {
    let server =
        Server::start(if order == RowOrder::Reversed { "plain-reversed" } else { "plain" });
    server.wait_ready();
    for (keyspace, statements) in schema() {
        server.sql(&format!("CREATE DATABASE {keyspace}"));
        let mut client = server.client(&keyspace);
        for statement in &statements {
            let mut statement = statement.replace("/*plain ", "").replace("*/", "");
            if order == RowOrder::Reversed {
                statement = with_descending_keys(&statement);
            }
            client.query(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
        }
        let mut rows = rows();
        if order == RowOrder::Reversed {
            rows.reverse();
        }
        for row in rows.iter().filter(|row| row.keyspace == keyspace) {
            client.query(row.insert()).unwrap_or_else(|error| panic!("{error}: {}", row.insert()));
        }
    }
    server
}

fn load_cluster(cluster: &Cluster) {
    let rows = rows();
    for (keyspace, statements) in schema() {
        cluster.on_primaries(&keyspace, &statements);
        for shard in cluster.keyspace(&keyspace) {
            let mut client = shard.primary.client(&keyspace);
            for row in rows.iter().filter(|row| row.keyspace == keyspace) {
                if row.id.is_none_or(|id| covers(&shard.range, &id)) {
                    client.query(row.insert()).unwrap_or_else(|error| panic!("{error}"));
                }
            }
        }
    }
}

/// One generated row; `id` is its keyspace id if its table is sharded.
struct Row {
    keyspace: &'static str,
    table: &'static str,
    values: String,
    id: Option<[u8; 8]>,
}

impl Row {
    fn insert(&self) -> String {
        format!("INSERT INTO {} VALUES ({})", self.table, self.values)
    }
}

/// Numbers from a linear congruential generator: the same in every run.
struct Generator(u64);

impl Generator {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const NAMES: [&str; 16] = [
    "Ada", "ada", "Émile", "Emile", "Zoë", "zoe", "Ærin", "Straße", "STRASSE", "Ö", "o", "Ana ",
    "Ana", "李雷", "Ñandú", "Nandu",
];
const CITIES: [&str; 8] =
    ["Paris", "paris", "München", "Munchen", "New York", "Delhi", "Łódź", "Lodz"];
const COUNTRIES: [(&str, &str, &str); 6] = [
    ("US", "United States", "us-east"),
    ("CA", "Canada", "us-east"),
    ("DE", "Germany", "eu-west"),
    ("FR", "France", "eu-west"),
    ("IN", "India", "ap-south"),
    ("SG", "Singapore", "ap-south"),
];

fn rows() -> Vec<Row> {
    let mut generator = Generator(42);
    let mut rows = Vec::new();
    for keyspace in ["shop", "catalog"] {
        for (code, name, region) in COUNTRIES {
            let values = format!("'{code}', '{name}', '{region}'");
            rows.push(Row { keyspace, table: "countries", values, id: None });
        }
    }
    for id in 1..=20 {
        let values =
            format!("{id}, 'product {id:02}', {}.{:02}, {}", id * 3, id * 7 % 100, id * id % 37);
        rows.push(Row { keyspace: "catalog", table: "products", values, id: None });
    }
    let values = "0, 1, 100".to_owned();
    rows.push(Row { keyspace: "catalog", table: "ticket_seq", values, id: None });
    let mut order = 1000;
    for id in 1..=60_u64 {
        let place = Some(keyspace_id(Vindex::Hash, id.to_string().as_bytes()));
        rows.push(customer(&mut generator, id, place));
        for _ in 0..generator.below(5) {
            order += 1;
            orders(&mut generator, id, order, place, &mut rows);
        }
    }
    for number in 1..=40 {
        rows.push(visit(&mut generator, number));
    }
    rows
}

fn customer(generator: &mut Generator, id: u64, place: Option<[u8; 8]>) -> Row {
    let nullable = |generator: &mut Generator, text: String| {
        if generator.below(5) == 0 { "NULL".to_owned() } else { text }
    };
    let name = generator.pick(&NAMES);
    let email =
        nullable(generator, format!("'{}{id}@example.org'", ["a", "B", "c"][id as usize % 3]));
    let city = generator.pick(&CITIES).to_owned();
    let city = nullable(generator, format!("'{city}'"));
    let country = COUNTRIES[generator.below(6) as usize].0;
    let code = generator.pick(&["x", "x ", "x  ", "X", "x\\t", "", " ", "yy"]).to_owned();
    let code = nullable(generator, format!("'{code}'"));
    let balance = format!(
        "{}{}.{:02}",
        if id.is_multiple_of(7) { "-" } else { "" },
        id * 13 % 50,
        id * 37 % 100
    );
    let score = format!("{}.{}e{}", id % 10, generator.below(100), id % 4);
    let score = nullable(generator, score);
    let born = format!("'19{:02}-{:02}-{:02}'", 40 + id % 60, 1 + id % 12, 1 + id % 28);
    let born = nullable(generator, born);
    let joined = format!("'2023-{:02}-{:02} {:02}:30:00'", 1 + id % 12, 1 + id * 5 % 28, id % 24);
    let level = (id % 9) as i64 - 3;
    let points = id * 71_582_788 % 4_294_967_296;
    let tier = generator.pick(&["new", "gold", "old"]);
    let note = generator.pick(&["it''s", "50% off", "a_b", "back\\\\slash", "two\\nlines", ""]);
    let note = note.to_owned();
    let note = nullable(generator, format!("'{note}'"));
    let values = format!(
        "{id}, '{name}', {email}, {city}, '{country}', {code}, {balance}, {score}, {born}, \
         {joined}, {level}, {points}, '{tier}', {note}"
    );
    Row { keyspace: "shop", table: "customer", values, id: place }
}

fn orders(
    generator: &mut Generator,
    customer: u64,
    order: u64,
    place: Option<[u8; 8]>,
    rows: &mut Vec<Row>,
) {
    let day = 1 + generator.below(28);
    let status = generator.pick(&["open", "paid", "sent", "Paid"]);
    let total = match generator.below(8) {
        0 => "NULL".to_owned(),
        _ => format!("{}.{:02}", generator.below(500), generator.below(100)),
    };
    let values = format!(
        "{order}, {customer}, '2024-{:02}-{day:02} 10:{:02}:00.{:03}', '{status}', {total}",
        1 + order % 12,
        order % 60,
        order % 1000
    );
    rows.push(Row { keyspace: "shop", table: "orders", values, id: place });
    for line in 1..=1 + generator.below(3) {
        let values = format!(
            "{customer}, {order}, {line}, {}, {}, {}.{:02}",
            1 + generator.below(20),
            1 + generator.below(5),
            generator.below(90),
            generator.below(100)
        );
        rows.push(Row { keyspace: "shop", table: "order_item", values, id: place });
    }
}

fn visit(generator: &mut Generator, number: u64) -> Row {
    let token = format!("{}-{number}", generator.pick(&["tok", "TOK", "zürich"]));
    let seen = format!("'2024-05-{:02} 08:00:{:02}'", 1 + number % 28, number);
    let hits = generator.below(10) as i64 - 2;
    let spent = match number % 4 {
        0 => "NULL".to_owned(),
        1 => format!("'-01:{number:02}:00'"),
        _ => format!("'{number}:00:07'"),
    };
    let payload =
        if number.is_multiple_of(6) { "NULL".to_owned() } else { format!("x'00ff{number:02}'") };
    let id = Some(keyspace_id(Vindex::XxHash, token.as_bytes()));
    let values = format!("'{token}', {seen}, {hits}, {spent}, {payload}");
    Row { keyspace: "shop", table: "visit", values, id }
}

/// The CREATE statements of `schema.sql`, by keyspace.
fn schema() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut keyspace = String::new();
    let mut statement = String::new();
    for line in read("schema.sql").lines() {
        if let Some(name) = line.strip_prefix("-- keyspace ") {
            name.clone_into(&mut keyspace);
        } else if !line.starts_with("--") {
            statement.push_str(line);
            statement.push('\n');
            if let Some(whole) = statement.trim().strip_suffix(';') {
                found.entry(keyspace.clone()).or_default().push(whole.to_owned());
                statement.clear();
            }
        }
    }
    found
}

/// `PRIMARY KEY (a, b)` becomes `PRIMARY KEY (a DESC, b DESC)`; secondary keys are left out, so
/// that the server cannot read them backwards and get the declared order again.
fn with_descending_keys(statement: &str) -> String {
    let descending = |line: &str| {
        let open = line.find('(').filter(|_| line.trim_start().contains("KEY "))?;
        let close = line.rfind(')')?;
        let columns = line[open + 1..close].replace(", ", " DESC, ");
        Some(format!("{}({columns} DESC){}", &line[..open], &line[close + 1..]))
    };
    let lines = statement.lines().filter(|line| !line.starts_with("  KEY "));
    let lines = lines.map(|line| descending(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n").replace(",\n)", "\n)")
}

fn with_scratch_tables(vschema: &str) -> String {
    let tables = (1..=SCRATCH_TABLES).map(|number| {
        format!(
            r#""scratch_{number:02}": {{
      "column_vindexes": [{{ "column": "id", "name": "hash" }}],
      "columns": [
        {{ "name": "id", "type": "INT64", "nullable": false }},
        {{ "name": "k", "type": "INT64" }},
        {{ "name": "v", "type": "VARCHAR", "size": 100, "collation_name": "utf8mb4_general_ci" }}
      ],
      "column_list_authoritative": true
    }}, "#
        )
    });
    let tables: String = tables.collect::<Vec<_>>().concat();
    vschema.replacen(r#""tables": {"#, &format!(r#""tables": {{ {tables}"#), 1)
}

/// A file of `tests/blackbox/differential`.
pub(crate) fn read(name: &str) -> String {
    let path = format!("{}/tests/blackbox/differential/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    SOFTWARE.words(&text)
}
