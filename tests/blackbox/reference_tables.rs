//! Reference tables: what is written through the proxy is at the source and on every shard's copy,
//! or nowhere. The servers are read past the proxy.

use std::sync::LazyLock;

use crate::client::{Answer, Client, Error, Parameter};
use crate::cluster::{Cluster, Layout};
use crate::software::SOFTWARE;

const CATALOG: &str = r#"{ "tables": {
  "first": {}, "second": {}, "third": {}, "fourth": {},
  "stamped": {}, "counted": {}, "busy": {}, "around": {}, "plain": {}
} }"#;

/// A keyspace whose server might be that of `catalog`.
const OTHER: &str = r#"{ "tables": { "aside": {} } }"#;

const SHOP: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" } },
  "tables": {
    "customer": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "first": { "type": "reference", "source": "catalog.first" },
    "second": { "type": "reference", "source": "catalog.second" },
    "third": { "type": "reference", "source": "catalog.third" },
    "fourth": { "type": "reference", "source": "catalog.fourth" },
    "stamped": { "type": "reference", "source": "catalog.stamped" },
    "counted": { "type": "reference", "source": "catalog.counted" },
    "busy": { "type": "reference", "source": "catalog.busy" },
    "around": { "type": "reference", "source": "catalog.around" },
    "nation": { "type": "reference" }
  }
}"#;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let layout = Layout::new("references", &["here"])
        .keyspace("catalog", CATALOG)
        .shard("-", "here", &[])
        .keyspace("other", OTHER)
        .shard("-", "here", &[])
        .keyspace("shop", SHOP)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[]);
    let cluster = Cluster::start(layout);
    let mut tables: Vec<String> =
        ["first", "second", "third", "fourth", "busy", "around", "nation"]
            .map(|name| {
                format!(
                    "CREATE TABLE {name} (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(40), \
                 n INT NOT NULL DEFAULT 7)"
                )
            })
            .into();
    let others = [
        "CREATE TABLE stamped (code CHAR(2) PRIMARY KEY, name VARCHAR(40), \
         made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
        "CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40))",
        "CREATE TABLE customer (id BIGINT PRIMARY KEY, code CHAR(2))",
        "CREATE TABLE plain (code CHAR(2) PRIMARY KEY, name VARCHAR(40), n INT)",
    ];
    tables.extend(others.map(str::to_owned));
    cluster.on_primaries("catalog", &tables);
    cluster.on_primaries("shop", &tables);
    cluster
});

/// The rows at the source and on both shards, which must be the same.
fn rows(table: &str) -> Vec<Vec<String>> {
    let mut all = copies(table);
    let first = all.remove(0);
    for other in all {
        assert_eq!(other, first, "{table} differs");
    }
    first
}

fn copies(table: &str) -> Vec<Vec<Vec<String>>> {
    let holds = |shard: &&crate::cluster::Shard| {
        shard.keyspace == "shop" || shard.keyspace == "catalog" && table != "nation"
    };
    let shards = CLUSTER.shards.iter().filter(holds);
    let of_shard = |shard: &crate::cluster::Shard| {
        let mut client = shard.primary.client(&shard.keyspace);
        client.query(format!("SELECT * FROM {table} ORDER BY 1")).expect("it is there").texts()
    };
    shards.map(of_shard).collect()
}

fn ok(client: &mut Client, sql: &str) -> Answer {
    client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn refused(result: Result<Answer, Error>, errno: u16, what: &str) {
    match result {
        Err(error) => assert_eq!(error.errno(), errno, "{what}: {error}"),
        Ok(answer) => panic!("{what} was done: {answer:?}"),
    }
}

/// Goal: a write by whatever name and protocol reaches the source and every copy, counts once, and
/// is seen by every read under `strong` after it.
#[test]
fn a_write_reaches_the_source_and_every_copy() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("catalog");
    let inserted = ok(&mut client, "INSERT INTO first VALUES ('DE', 'Germany', 1), ('FR', 'F', 2)");
    assert_eq!((inserted.affected, rows("first").len()), (2, 2));
    ok(&mut client, "USE shop");
    ok(&mut client, "INSERT INTO first (code, name) VALUES ('US', 'United States')");
    assert_eq!(ok(&mut client, "UPDATE first SET name = 'France' WHERE code = 'FR'").affected, 1);
    let changed = ok(&mut client, "UPDATE catalog.first SET n = n + 1, name = UPPER(name)");
    assert!(changed.info.starts_with("Rows matched: 3 "), "{}", changed.info);
    ok(&mut client, "REPLACE INTO first VALUES ('US', 'America', 9)");
    ok(&mut client, "INSERT IGNORE INTO first VALUES ('US', 'twice', 9)");
    let statement = client.prepare("INSERT INTO first VALUES (?, ?, 4)").expect("it is planned");
    let text = |text: &str| Parameter::Text(text.as_bytes().to_vec());
    for (code, name) in [("IN", "India"), ("JP", "Japan")] {
        client.execute(&statement, &[text(code), text(name)]).expect("it is executed");
    }
    ok(&mut client, "PREPARE d FROM 'DELETE FROM first WHERE code = ?'");
    ok(&mut client, "SET @code = 'JP'");
    assert_eq!(ok(&mut client, "EXECUTE d USING @code").affected, 1);
    let expected = [
        ["DE", "GERMANY", "2"],
        ["FR", "FRANCE", "3"],
        ["IN", "India", "4"],
        ["US", "America", "9"],
    ];
    assert_eq!(rows("first"), expected);
    // What a transaction has written it sees, by itself and joined; others see it after COMMIT.
    let mut other = cluster.proxy().client("shop");
    for id in 1..=20 {
        ok(&mut client, &format!("INSERT INTO customer (id, code) VALUES ({id}, 'DE')"));
    }
    let names = "SELECT DISTINCT f.name FROM customer c JOIN first f ON f.code = c.code";
    ok(&mut client, "BEGIN");
    ok(&mut client, "UPDATE first SET name = 'Deutschland' WHERE code = 'DE'");
    let own = "SELECT name FROM first WHERE code = 'DE'";
    assert_eq!(ok(&mut client, own).scalar(), "Deutschland");
    assert_eq!(ok(&mut client, names).texts(), [["Deutschland"]]);
    assert_eq!(ok(&mut other, own).scalar(), "GERMANY");
    assert_eq!(ok(&mut other, names).texts(), [["GERMANY"]]);
    ok(&mut client, "ROLLBACK");
    assert_eq!(rows("first"), expected);
    ok(&mut client, "UPDATE first SET name = 'Deutschland' WHERE code = 'DE'");
    assert_eq!(ok(&mut other, names).texts(), [["Deutschland"]]);
    // As a dump is restored.
    ok(&mut client, "USE catalog");
    ok(&mut client, "LOCK TABLES `first` WRITE");
    ok(&mut client, "/*!40000 ALTER TABLE `first` DISABLE KEYS */");
    ok(&mut client, "INSERT INTO `first` VALUES ('PL','Poland',1),('ES','Spain',2)");
    ok(&mut client, "/*!40000 ALTER TABLE `first` ENABLE KEYS */");
    ok(&mut client, "UNLOCK TABLES");
    assert_eq!(rows("first").len(), 6);
    ok(&mut client, "USE shop");
    // A table that only the shards have.
    ok(&mut client, "INSERT INTO nation (code, name) VALUES ('DE', 'Germany')");
    assert_eq!(ok(&mut client, "UPDATE nation SET n = 8 WHERE code = 'DE'").affected, 1);
    assert!(rows("nation").contains(&["DE", "Germany", "8"].map(str::to_owned).to_vec()));
}

/// Goal: a copy that cannot follow keeps the statement from happening anywhere, in a transaction
/// and without one.
#[test]
fn a_write_happens_everywhere_or_nowhere() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("shop");
    ok(&mut client, "INSERT INTO second VALUES ('DE', 'Germany', 1)");
    let shard = cluster.keyspace("shop").nth(1).expect("there are two");
    let mut direct = shard.primary.client("shop");
    ok(&mut direct, "INSERT INTO second VALUES ('XX', 'stray', 1)");
    let before = copies("second");
    refused(client.query("INSERT INTO second VALUES ('XX', 'new', 1)"), 1062, "a duplicate");
    refused(client.query("UPDATE second SET name = 'x'"), 1105, "copies that differ");
    refused(client.query("DELETE FROM second"), 1105, "copies that differ");
    refused(client.query("REPLACE INTO second VALUES ('XX', 'y', 1)"), 1105, "copies that differ");
    assert_eq!(copies("second"), before);
    ok(&mut client, "BEGIN");
    ok(&mut client, "INSERT INTO second VALUES ('FR', 'France', 1)");
    refused(client.query("INSERT INTO second VALUES ('XX', 'new', 1)"), 1062, "a duplicate");
    refused(client.query("DELETE FROM second"), 1105, "copies that differ");
    ok(&mut client, "COMMIT");
    ok(&mut direct, "DELETE FROM second WHERE code = 'XX'");
    assert_eq!(rows("second"), [["DE", "Germany", "1"], ["FR", "France", "1"]]);
    ok(&mut client, "SET transaction_mode = 'single'");
    assert!(client.query("DELETE FROM second").is_err(), "it is more than one shard");
    assert_eq!(rows("second").len(), 2);
}

/// Goal: a statement that may do something else to each copy is refused and changes nothing.
#[test]
fn what_would_make_copies_differ_is_refused() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("catalog");
    ok(&mut client, "INSERT INTO third VALUES ('DE', 'Germany', 1), ('FR', 'France', 2)");
    ok(&mut client, "INSERT INTO plain VALUES ('US', 'America', 3)");
    let times = "'2024-01-01 00:00:00', '2024-01-01 00:00:00'";
    ok(&mut client, &format!("INSERT INTO stamped VALUES ('DE', 'Germany', {times})"));
    ok(&mut client, "INSERT INTO counted VALUES (5, 'five')");
    ok(&mut client, "INSERT INTO shop.nation VALUES ('ZZ', 'nowhere', 1)");
    let tables = ["third", "stamped", "counted"];
    let before = tables.map(rows);
    for sql in [
        "UPDATE third SET name = NOW()",
        "UPDATE third SET name = CURRENT_TIMESTAMP",
        "UPDATE third SET name = UUID()",
        "UPDATE third SET n = RAND() * 100",
        "UPDATE third SET name = @a",
        "UPDATE third SET name = @@hostname",
        "UPDATE third SET n = CONNECTION_ID()",
        "UPDATE third SET n = (SELECT MAX(n) FROM plain)",
        "UPDATE third SET n = 5 LIMIT 1",
        "UPDATE IGNORE third SET n = 5",
        "UPDATE third t JOIN plain p SET t.n = p.n",
        "DELETE FROM third ORDER BY n LIMIT 1",
        "DELETE FROM third WHERE code IN (SELECT code FROM plain)",
        "DELETE t FROM third t JOIN plain p",
        "INSERT INTO third SELECT code, name, n FROM plain",
        "INSERT INTO third VALUES ('US', UUID(), 1)",
        "INSERT INTO third VALUES ('DE', 'x', 1) ON DUPLICATE KEY UPDATE name = 'y'",
        "INSERT INTO stamped (code, name) VALUES ('FR', 'France')",
        "INSERT INTO stamped VALUES ('FR', 'France', DEFAULT, DEFAULT)",
        "UPDATE stamped SET name = 'x'",
        "INSERT INTO counted (name) VALUES ('next')",
        "INSERT INTO counted VALUES (NULL, 'next')",
        "INSERT INTO counted VALUES (0, 'next')",
        "INSERT INTO counted VALUES (7, 'seven'), (0, 'next')",
        "TRUNCATE TABLE third",
        "TRUNCATE TABLE shop.third",
        "DROP TABLE third",
        "RENAME TABLE third TO fifth",
        "ALTER TABLE third RENAME TO fifth",
        "CREATE OR REPLACE TABLE third (code CHAR(2) PRIMARY KEY)",
        "ALTER TABLE third TRUNCATE PARTITION p0",
        "ALTER TABLE shop.third DROP PARTITION p0",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE third",
        "UPDATE shop.nation SET name = UUID()",
        "DELETE FROM shop.nation LIMIT 1",
    ] {
        refused(client.query(sql), 1235, sql);
        assert_eq!(tables.map(rows), before, "{sql}");
    }
    assert_eq!(rows("nation").iter().filter(|row| row[1] == "nowhere").count(), 1);
    let statement = client.prepare("INSERT INTO counted VALUES (?, 'p')").expect("it is planned");
    refused(client.execute(&statement, &[Parameter::Null]), 1235, "NULL for a number");
    client.execute(&statement, &[Parameter::Int(9)]).expect("the number is given");
    ok(&mut client, &format!("UPDATE stamped SET name = 'x', changed = {}", &times[..21]));
    assert_eq!(rows("counted").len(), 2);
    assert_eq!(rows("stamped")[0][1], "x");
}

/// Goal: no write reaches a source without its copies: not by a view, not from a session in another
/// keyspace, not by a statement that cannot be read, and not by dropping the database.
#[test]
fn nothing_goes_around_the_copies() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("catalog");
    ok(&mut client, "INSERT INTO around VALUES ('DE', 'Germany', 1)");
    ok(&mut client, "CREATE VIEW around_v AS SELECT code, name, n FROM around");
    ok(&mut client, "CREATE VIEW around_w AS SELECT code, name FROM around_v");
    ok(&mut client, "CREATE VIEW plain_v AS SELECT code, name, n FROM plain");
    ok(&mut client, "INSERT INTO plain_v VALUES ('DE', 'Germany', 1)");
    ok(&mut client, "DELETE FROM plain_v");
    assert_eq!(ok(&mut client, "SELECT name FROM around_w").scalar(), "Germany");
    let writes = [
        ("catalog", "UPDATE around_v SET n = 31"),
        ("catalog", "UPDATE around_w SET name = 'x'"),
        ("other", "UPDATE catalog.around_v SET n = 31"),
        ("shop", "INSERT INTO catalog.around_v VALUES ('FR', 'France', 1)"),
        ("catalog", "REPLACE INTO around_w VALUES ('FR', 'France')"),
        ("catalog", "DELETE FROM around_v"),
        ("catalog", "UPDATE AROUND SET n = 31"),
        ("catalog", "LOAD DATA INFILE '/x' INTO TABLE around_v"),
        ("other", "LOAD DATA INFILE '/x' INTO TABLE catalog.around"),
        ("other", "LOAD DATA INFILE '/x' INTO TABLE `catalog`.`around_w`"),
        ("catalog", "DROP DATABASE catalog"),
        ("other", "DROP DATABASE catalog"),
        ("other", "DROP SCHEMA IF EXISTS `shop`"),
        ("other", "DROP /*!50000 DATABASE */ catalog"),
    ];
    let of_mariadb = [
        ("catalog", "ANALYZE UPDATE around_v SET n = 66"),
        ("other", "ANALYZE UPDATE catalog.around SET n = 66"),
        ("other", "SET STATEMENT max_statement_time = 5 FOR UPDATE catalog.around SET n = 5"),
        ("other", "BEGIN NOT ATOMIC UPDATE catalog.around SET n = 5; END"),
        (
            "other",
            "BEGIN NOT ATOMIC EXECUTE IMMEDIATE CONCAT('UPDATE catalog.ar', 'ound SET n = 5'); END",
        ),
        ("other", "IF 1 THEN UPDATE catalog.around SET n = 5; END IF"),
        ("other", "CREATE OR REPLACE DATABASE catalog"),
    ];
    let of_mariadb = of_mariadb.iter().filter(|_| !SOFTWARE.is_mysql());
    for (keyspace, sql) in writes.iter().chain(of_mariadb) {
        ok(&mut client, &format!("USE {keyspace}"));
        refused(client.query(sql), 1235, &format!("{keyspace}: {sql}"));
        assert_eq!(rows("around"), [["DE", "Germany", "1"]], "{keyspace}: {sql}");
    }
    // What has nothing to do with them.
    ok(&mut client, "USE other");
    for sql in ["CREATE TABLE aside (n INT)", "INSERT INTO aside VALUES (1)", "DROP TABLE aside"] {
        ok(&mut client, sql);
    }
    // Once it does not show the source any more.
    ok(&mut client, "USE catalog");
    ok(&mut client, "CREATE OR REPLACE VIEW around_v AS SELECT code, name, n FROM plain");
    ok(&mut client, "INSERT INTO around_v VALUES ('FR', 'France', 1)");
    // Copies on two shards that would fill in other values.
    ok(&mut client, "USE `shop:80-`");
    ok(&mut client, "ALTER TABLE around ALTER COLUMN n SET DEFAULT 8");
    ok(&mut client, "USE shop");
    refused(client.query("INSERT INTO around (code) VALUES ('US')"), 1235, "another default");
}

/// Goal: writers of the same row wait for each other, and never in a circle over servers.
#[test]
fn writers_take_turns() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("shop");
    ok(&mut client, "INSERT INTO busy VALUES ('DE', 'Germany', 0)");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = cluster.proxy().client("shop");
                ok(&mut client, "SET innodb_lock_wait_timeout = 10");
                for _ in 0..25 {
                    ok(&mut client, "UPDATE busy SET n = n + 1 WHERE code = 'DE'");
                }
            });
        }
    });
    assert_eq!(rows("busy"), [["DE", "Germany", "100"]]);
}

/// Goal: a copy that was made stale past the proxy is not read where the source can be.
#[test]
fn a_copy_is_read_only_where_it_must_be_joined() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("shop");
    ok(&mut client, "INSERT INTO fourth VALUES ('DE', 'Germany', 1)");
    cluster.on_primaries("shop", &["UPDATE fourth SET name = 'stale'".to_owned()]);
    for sql in [
        "SELECT name FROM fourth",
        "SELECT name FROM shop.fourth WHERE code = 'DE' FOR UPDATE",
        "SELECT f.name FROM fourth f LEFT JOIN third t ON t.code = 'none'",
        "SELECT shop.fourth.name FROM shop.fourth",
    ] {
        assert_eq!(ok(&mut client, sql).scalar(), "Germany", "{sql}");
    }
    let statement = client.prepare("SELECT name FROM fourth WHERE n = ?").expect("it is planned");
    let found = client.execute(&statement, &[Parameter::Int(1)]).expect("it is executed");
    assert_eq!(found.scalar(), "Germany");
    // By hand, as operators mend it.
    for range in ["-80", "80-"] {
        ok(&mut client, &format!("USE `shop:{range}`"));
        ok(&mut client, "UPDATE fourth SET name = 'Germany'");
    }
    rows("fourth");
    // Columns that differ are told before copies do.
    ok(&mut client, "USE `catalog:0`");
    ok(&mut client, "ALTER TABLE fourth ADD COLUMN more INT");
    ok(&mut client, "USE shop");
    refused(client.query("UPDATE fourth SET n = 2"), 1235, "other columns");
}

/// Goal: where something else keeps the copies, Geogate writes the source alone and joins them
/// under weaker levels only.
#[test]
fn copies_that_something_else_keeps_are_no_strong_read() {
    let layout = Layout::new("external", &["here"])
        .proxy("reference_copies = \"external\"")
        .keyspace("catalog", r#"{ "tables": { "unit": {} } }"#)
        .shard("-", "here", &[])
        .keyspace(
            "shop",
            r#"{ "sharded": true, "vindexes": { "hash": { "type": "hash" } }, "tables": {
              "customer": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
              "unit": { "type": "reference", "source": "catalog.unit" } } }"#,
        )
        .shard("-80", "here", &[])
        .shard("80-", "here", &[]);
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    let unit = "CREATE TABLE unit (code CHAR(2) PRIMARY KEY, name VARCHAR(40))".to_owned();
    let customer = "CREATE TABLE customer (id BIGINT PRIMARY KEY, code CHAR(2))".to_owned();
    let old = "INSERT INTO unit VALUES ('m', 'old')".to_owned();
    cluster.on_primaries("catalog", &[unit.clone(), old.clone()]);
    cluster.on_primaries("shop", &[unit, customer, old]);
    let mut client = cluster.proxy().client("shop");
    ok(&mut client, "INSERT INTO customer VALUES (1, 'm'), (2, 'm'), (3, 'm'), (4, 'm')");
    ok(&mut client, "UPDATE unit SET name = CONCAT('at ', LEFT(NOW(), 2)) WHERE code = 'm'");
    assert_eq!(ok(&mut client, "SELECT name FROM unit").scalar(), "at 20");
    let join = "SELECT u.name FROM customer c JOIN unit u ON u.code = c.code WHERE c.id = 3";
    let update = "UPDATE customer c JOIN unit u ON u.code = c.code SET c.code = u.name";
    refused(client.query(join), 1235, "a strong join");
    ok(&mut client, "SET read_consistency = 'eventual'");
    assert_eq!(ok(&mut client, join).scalar(), "old");
    assert_eq!(ok(&mut client, join).scalar(), "old");
    refused(client.query(update), 1235, "a write by copies");
    ok(&mut client, "BEGIN");
    refused(client.query(join), 1235, "a join in a transaction");
    ok(&mut client, "ROLLBACK");
    ok(&mut client, "SET read_consistency = 'strong'");
    refused(client.query(join), 1235, "a strong join");
    let hinted = join.replacen("SELECT", "SELECT /*vt+ READ_CONSISTENCY=eventual */", 1);
    assert_eq!(ok(&mut client, &hinted).scalar(), "old");
    let statement = client.prepare(join).expect("it is planned");
    refused(client.execute(&statement, &[]), 1235, "a strong join");
}
