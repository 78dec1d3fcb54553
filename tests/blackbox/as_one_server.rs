//! Statements over shards whose answers are those of one server in all that an application looks
//! at: counts, insert ids, status, the text of the OK packet, rows. Each script runs through the
//! proxy, in front of two shards and an unsharded keyspace, and on a plain server.

use std::sync::{LazyLock, Mutex, PoisonError};

use crate::client::{Answer, Client, Error, Parameter, SERVER_IN_TRANS};
use crate::cluster::{Cluster, Layout};
use crate::server::Server;
use crate::software::SOFTWARE;

const SHOP: &str = r#"{ "sharded": true, "vindexes": { "xx": { "type": "xxhash" } }, "tables": {
    "t": { "column_vindexes": [ { "column": "id", "name": "xx" } ] },
    "old": { "column_vindexes": [ { "column": "id", "name": "xx" } ] },
    "big": { "column_vindexes": [ { "column": "id", "name": "xx" } ] },
    "numbered": { "column_vindexes": [ { "column": "id", "name": "xx" } ],
        "auto_increment": { "column": "id", "sequence": "main.numbered_seq" } } } }"#;
const MAIN: &str = r#"{ "sharded": false, "tables": { "numbered_seq": { "type": "sequence" },
    "plain": {} } }"#;
/// `shop.old` is a real table, too, which nobody meets any more.
const RULES: &str = r#"{ "routing_rules": { "rules": [
    { "from_table": "alias_t", "to_tables": ["shop.t"] },
    { "from_table": "shop.old", "to_tables": ["shop.t"] },
    { "from_table": "alias_plain", "to_tables": ["main.plain"] },
    { "from_table": "main.alias_main", "to_tables": ["main.plain"] },
    { "from_table": "shop.t", "to_tables": ["shop.t"] } ] } }"#;

const SHOP_TABLES: &[&str] = &[
    "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v INT, w VARCHAR(50))",
    "CREATE TABLE old (id BIGINT NOT NULL PRIMARY KEY, v INT, w VARCHAR(50))",
    "CREATE TABLE big (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, v INT)",
    "CREATE TABLE numbered (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50), \
     score INT)",
];
const MAIN_TABLES: &[&str] = &[
    "CREATE TABLE plain (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)",
    "CREATE TABLE numbered_seq (id BIGINT PRIMARY KEY, next_id BIGINT NOT NULL, cache BIGINT NOT \
     NULL) COMMENT 'vitess_sequence'",
    "INSERT INTO numbered_seq VALUES (0, 1, 100)",
];

static CLUSTER: LazyLock<(Cluster, Server)> = LazyLock::new(|| {
    let layout = Layout::new("as-one", &["us-east"])
        .keyspace("main", MAIN)
        .shard("-", "us-east", &[])
        .keyspace("shop", SHOP)
        .shard("-80", "us-east", &[])
        .shard("80-", "us-east", &[])
        .file("rules.json", RULES);
    let cluster = Cluster::start(layout);
    let plain = Server::start("as-one-plain");
    plain.wait_ready();
    let all = [("shop", SHOP_TABLES), ("main", MAIN_TABLES)];
    for (keyspace, tables) in all {
        let tables = tables.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        cluster.on_primaries(keyspace, &tables);
        plain.sql(&format!("CREATE DATABASE {keyspace}"));
        let mut client = plain.client(keyspace);
        for text in &tables {
            client.query(text).expect("a table");
        }
    }
    (cluster, plain)
});

/// The number of an error, or what an answer says.
fn seen(text: &str, answer: Result<Answer, Error>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return error.errno().to_string(),
    };
    let names = answer.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>();
    let mut rows = answer.texts();
    let level = names.first().is_some_and(|name| *name == "Level");
    for row in rows.iter_mut().filter(|_| level) {
        // Where in the statement that a shard has got the row was.
        let end = row[2].find(" at row ").unwrap_or(row[2].len());
        row[2].truncate(end);
    }
    if !text.contains("ORDER BY") {
        rows.sort();
    }
    // MySQL warns of the function itself, which no server gets to see.
    let warnings = if text.contains("FOUND_ROWS()") { 0 } else { answer.warnings };
    let counts = (answer.affected, answer.last_insert_id, warnings);
    let in_transaction = answer.status & SERVER_IN_TRANS;
    format!("{names:?} {rows:?} {counts:?} {in_transaction} {}", answer.info)
}

/// Runs the statements on both, in sessions of their own; the plain server knows tables by their
/// own names alone.
fn play(script: &[&str]) {
    // The tables are the same in all scripts.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (cluster, plain) = &*CLUSTER;
    let cluster = cluster.watched();
    let mut twins: [Client; 2] = [plain.client("shop"), cluster.proxy().client("shop")];
    for text in script {
        let own_names = text
            .replace("alias_t", "t")
            .replace("alias_plain", "main.plain")
            .replace("main.alias_main", "main.plain")
            .replace(" old", " t");
        let direct = seen(text, twins[0].query(&own_names));
        let through = seen(text, twins[1].query(text));
        assert_eq!(through, direct, "{text}");
    }
}

/// Goal: an INSERT with a number from a sequence answers with rows where it says RETURNING, and
/// LAST_INSERT_ID() is the session's.
#[test]
fn returned_rows_of_numbered_tables() {
    if SOFTWARE.is_mysql() {
        println!("skipped: RETURNING is MariaDB's");
        return;
    }
    play(&[
        "DELETE FROM numbered",
        "INSERT INTO numbered (id, name) VALUES (700, 'a') RETURNING id, name",
        "SELECT LAST_INSERT_ID()",
        "BEGIN",
        "INSERT INTO numbered (name) VALUES ('b') RETURNING name",
        "SELECT id = LAST_INSERT_ID() FROM numbered WHERE name = 'b'",
        "ROLLBACK",
        "INSERT INTO numbered (name) VALUES ('c') RETURNING name",
        "SELECT id = LAST_INSERT_ID() FROM numbered WHERE name = 'c'",
        "INSERT INTO numbered (id, name) VALUES (700, 'a') RETURNING id",
        "INSERT INTO numbered (id, name) VALUES (701, 'a') RETURNING id + 1 AS next",
        "SELECT name, COUNT(*) FROM numbered GROUP BY name ORDER BY name",
    ]);
}

/// Goal: 0 is a number like others under NO_AUTO_VALUE_ON_ZERO, which every dump sets, and asks for
/// one elsewhere; prepared, too.
#[test]
fn zero_is_a_number_where_the_mode_says_so() {
    play(&[
        "DELETE FROM numbered",
        "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        "INSERT INTO numbered (id, name) VALUES (0, 'zero')",
        "SELECT id FROM numbered WHERE name = 'zero'",
        "INSERT INTO numbered (id, name) VALUES ('0', 'again')",
        "DELETE FROM numbered",
        "PREPARE s FROM 'INSERT INTO numbered (id, name) VALUES (?, ?)'",
        "SET @id = 0, @name = 'prepared'",
        "EXECUTE s USING @id, @name",
        "SELECT id, name FROM numbered",
        "INSERT INTO numbered (id, name) VALUES (0, 'x'), (800, 'y')",
        "INSERT INTO numbered (id, name) VALUES (801, 'x'), (800, 'y')",
    ]);
    let (cluster, _) = &*CLUSTER;
    let mut client = cluster.proxy().client("shop");
    client.query("BEGIN").expect("ok");
    let number = client.query("INSERT INTO numbered (id, name) VALUES (0, 'other')").expect("ok");
    assert!(number.last_insert_id > 0);
    client.query("ROLLBACK").expect("ok");
}

/// Goal: numbers beyond 2^53 that come as texts, as drivers of PHP and JavaScript send them, are
/// exact in writes and reads.
#[test]
fn large_numbers_as_texts() {
    play(&[
        "DELETE FROM big",
        "DELETE FROM t",
        "INSERT INTO big (id, v) VALUES ('18446744073709551615', 1), ('9007199254740993', 2)",
        "INSERT INTO big (id, v) VALUES ('9007199254740992', 3), ('9007199254740991', 4)",
        "SELECT v FROM big WHERE id = '18446744073709551615'",
        "SELECT v FROM big WHERE id IN ('9007199254740993', '9007199254740991')",
        "UPDATE big SET v = 5 WHERE id = '9007199254740993'",
        "DELETE FROM big WHERE id = '9007199254740992'",
        "SELECT id, v FROM big ORDER BY id",
        "PREPARE s FROM 'SELECT v FROM big WHERE id = ?'",
        "SET @id = '9007199254740993'",
        "EXECUTE s USING @id",
        "INSERT INTO t (id, v) VALUES ('-9223372036854775808', 1)",
        "INSERT INTO t (id, v) VALUES ('9223372036854775807', 2)",
        "UPDATE t SET v = v + 10 WHERE id = '-9223372036854775808'",
        "SELECT id, v FROM t ORDER BY id",
    ]);
}

/// Goal: the sharding column may be written with what it holds, as mappers do that name every
/// column; what a row gets instead is told as the insert id.
#[test]
fn keys_that_stay() {
    play(&[
        "DELETE FROM t",
        "DELETE FROM numbered",
        "INSERT INTO t (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
        "INSERT INTO t (id, v) VALUES (1, 9) ON DUPLICATE KEY UPDATE id = VALUES(id), v = VALUES(v)",
        "INSERT INTO t (id, v) VALUES (1, 7), (2, 7), (5, 7) ON DUPLICATE KEY UPDATE \
         id = VALUES(id), v = v + VALUES(v)",
        "UPDATE t SET id = 1, v = 2 WHERE id = 1",
        "UPDATE t SET id = id, v = v + 1",
        "UPDATE t AS x SET x.id = x.id, x.v = 8 WHERE x.id IN (3, 4)",
        "SELECT id, v FROM t ORDER BY id",
        "INSERT INTO numbered (id, name) VALUES (5, 'five')",
        "INSERT INTO numbered (id, name) VALUES (5, 'x') \
         ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), score = 1",
        "SELECT LAST_INSERT_ID()",
        "INSERT INTO numbered (id, name) VALUES (6, 'x') \
         ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), score = 1",
        "SELECT LAST_INSERT_ID()",
        "INSERT INTO numbered (id, name) VALUES (6, 'x') ON DUPLICATE KEY UPDATE id = id",
        "SELECT id, name, score FROM numbered ORDER BY id",
    ]);
    let (cluster, _) = &*CLUSTER;
    let mut client = cluster.proxy().client("shop");
    let moved = (5_000..5_060).filter(|id| {
        let moved = client.query(format!("UPDATE t SET id = {} WHERE id = {id}", id + 1000));
        moved.is_err_and(|error| error.to_string().contains("changing a sharding column"))
    });
    assert!(moved.count() > 10, "values of another shard are refused");
}

/// Goal: without autocommit the first read over shards says that it has begun a transaction; the
/// text of an OK packet counts the rows of every shard.
#[test]
fn what_ok_packets_say() {
    play(&[
        "DELETE FROM t",
        "SET autocommit = 0",
        "SELECT COUNT(*) FROM t",
        "SELECT COUNT(*) FROM t",
        "COMMIT",
        "SELECT id FROM t ORDER BY id",
        "ROLLBACK",
        "SET autocommit = 1",
        "SELECT COUNT(*) FROM t",
        "INSERT INTO t (id, v) VALUES (1, 1), (2, 2), (3, 3)",
        "INSERT INTO t (id, v) VALUES (1, 1), (4, 4) ON DUPLICATE KEY UPDATE v = t.v + 1",
        "INSERT IGNORE INTO t (id, v) VALUES (1, 1), (2, 1), (5, 1), (6, 1)",
        "INSERT IGNORE INTO t (id, v) VALUES (1, 1), (2, 1)",
        "UPDATE t SET v = 7 WHERE id < 4",
        "DELETE FROM t WHERE id < 4",
    ]);
}

/// Goal: a name that routing rules lead to another table is that table in every statement that may
/// name one.
#[test]
fn names_that_rules_lead_elsewhere() {
    play(&[
        "DELETE FROM t",
        "DELETE FROM main.plain",
        "INSERT INTO alias_t (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)",
        "INSERT INTO alias_t (alias_t.id, v) VALUES (1, 1) \
         ON DUPLICATE KEY UPDATE alias_t.v = alias_t.v + VALUES(alias_t.v)",
        "INSERT INTO old SET id = 7, v = 7",
        "UPDATE alias_t SET alias_t.v = 10 WHERE alias_t.id = 2",
        "DELETE FROM alias_t WHERE id = 3",
        "DELETE FROM alias_t WHERE alias_t.v = 4",
        "DELETE FROM old WHERE old.id = 5 ORDER BY old.id LIMIT 1",
        "DELETE alias_t FROM alias_t WHERE alias_t.id = 6",
        "DELETE x FROM old AS x WHERE x.id = 600",
        "SELECT alias_t.id, v FROM alias_t ORDER BY alias_t.id",
        "SELECT old.id, v FROM old ORDER BY old.id",
        "INSERT INTO alias_plain (id, v) VALUES (1, 1), (2, 2)",
        "INSERT INTO alias_plain (id, v) VALUES (1, 4) ON DUPLICATE KEY UPDATE v = VALUES(v)",
        "REPLACE INTO main.alias_main (id, v) VALUES (2, 5)",
        "DELETE FROM main.alias_main WHERE v = 4",
        "SELECT id, v FROM alias_plain ORDER BY id",
        "PREPARE s FROM 'DELETE FROM alias_t WHERE id = ?'",
        "SET @id = 1",
        "EXECUTE s USING @id",
        "SHOW COLUMNS FROM alias_t",
        "SHOW FULL COLUMNS FROM old LIKE 'v'",
        "SHOW INDEX FROM alias_t WHERE Key_name = 'none'",
        "SHOW CREATE TABLE alias_t",
        "DESCRIBE alias_t",
        "DESC old id",
        "DESCRIBE alias_plain",
        "SHOW COLUMNS FROM main.alias_main",
        "PREPARE s FROM 'SHOW COLUMNS FROM alias_t'",
        "EXECUTE s",
        "TRUNCATE TABLE old",
        "SELECT COUNT(*) FROM t",
        "TRUNCATE main.alias_main",
        "SELECT COUNT(*) FROM main.plain",
    ]);
}

/// Goal: definitions and locks under such a name are refused by name, also where a table of that
/// name is there.
#[test]
fn definitions_keep_to_their_own_names() {
    let (cluster, _) = &*CLUSTER;
    let mut client = cluster.proxy().client("shop");
    for text in [
        "ALTER TABLE old ADD x INT",
        "DROP TABLE old",
        "DROP TABLE IF EXISTS alias_t",
        "RENAME TABLE old TO older",
        "CREATE INDEX i ON alias_t (v)",
        "CREATE TABLE copy LIKE alias_t",
        "CREATE TABLE old (id INT)",
        "LOCK TABLES old READ",
        "LOCK TABLES t READ, alias_t AS x WRITE",
        "DELETE FROM alias_t WHERE alias_t.id IN (SELECT 1)",
    ] {
        let error = client.query(text).expect_err(text).to_string();
        assert!(error.contains("unsupported") || error.contains("GG03"), "{text}: {error}");
    }
    let error = client.command(0x04, b"old\0").and_then(|()| client.read_reply());
    assert!(error.expect_err("COM_FIELD_LIST").to_string().contains("routing rules"));
    client.use_database("main").expect("ok");
    for text in ["CHECK TABLE alias_main", "ANALYZE TABLE alias_main"] {
        let error = client.query(text).expect_err(text).to_string();
        assert!(error.contains("GG12001"), "{text}: {error}");
    }
    // What the parser does not read goes to the unsharded keyspace as it is.
    let error = client.query("TABLE alias_main").expect_err("it is led elsewhere").to_string();
    assert!(error.contains("routing rules"), "{error}");
    for shard in cluster.keyspace("shop") {
        let there = shard.primary.sql("SHOW TABLES FROM shop LIKE 'old'");
        assert_eq!(there.rows.len(), 1, "the real table is as it was");
    }
}

/// Goal: FOUND_ROWS() after SQL_CALC_FOUND_ROWS is what the one server that ran the statement has
/// counted, and columns are called by what was written, literals and all.
#[test]
fn rows_that_were_found() {
    play(&[
        "DELETE FROM t",
        "DELETE FROM main.plain",
        "INSERT INTO t (id, v) VALUES (1, 1)",
        "INSERT INTO main.plain (id, v) VALUES (1, 1), (2, 2), (3, 3)",
        "SELECT SQL_CALC_FOUND_ROWS id FROM main.plain ORDER BY id LIMIT 1",
        "SELECT FOUND_ROWS()+0",
        "SELECT SQL_CALC_FOUND_ROWS id FROM t WHERE id = 1 ORDER BY id LIMIT 0",
        "SELECT FOUND_ROWS() + 5 FROM t WHERE id = 1",
        "SELECT id FROM t ORDER BY id",
        "SELECT 'it''s' = USER(), CONNECTION_ID() > 7, 3 * FOUND_ROWS()",
        "SELECT FOUND_ROWS() * 2, COUNT(*) FROM t",
    ]);
}

/// Goal: the warnings of a write over shards, and of a definition, can be asked for.
#[test]
fn warnings_of_all_shards() {
    play(&[
        "DELETE FROM t",
        "INSERT INTO t (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)",
        "INSERT IGNORE INTO t (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (9, 9)",
        "SHOW WARNINGS",
        "SHOW COUNT(*) WARNINGS",
        "SET sql_mode = ''",
        "UPDATE t SET v = '12abc' WHERE id < 5",
        "SHOW COUNT(*) WARNINGS",
        "UPDATE t SET v = '13abc' WHERE id < 5",
        "SELECT @@warning_count + 0",
        "SELECT COUNT(*) FROM t",
        "SHOW WARNINGS",
        "UPDATE t SET v = 5",
        "SHOW WARNINGS",
        "CREATE TABLE IF NOT EXISTS t (id INT)",
        "SHOW WARNINGS",
        "DROP TABLE IF EXISTS nothing, more",
        "SHOW COUNT(*) WARNINGS",
    ]);
}

/// Goal: information_schema is asked about the keyspace that is named, whichever the session uses;
/// about several that no one server has together it is refused by name.
#[test]
fn schemas_of_other_keyspaces() {
    play(&[
        "SELECT table_name AS n FROM information_schema.tables WHERE table_schema = 'main' ORDER BY n",
        "SELECT table_name AS n, column_name AS c FROM information_schema.columns \
         WHERE 'main' = table_schema AND table_name = 'plain' ORDER BY ordinal_position",
        "SELECT table_schema AS s, COUNT(*) FROM information_schema.tables \
         WHERE table_schema IN ('main') GROUP BY table_schema",
        "SELECT table_name AS n FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY n",
        "SELECT table_name AS n FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = 'main' ORDER BY n",
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema LIKE 'main'",
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'nothing'",
        "SELECT COUNT(*) FROM information_schema.files WHERE engine = 'ndbcluster' AND \
         tablespace_name IN (SELECT tablespace_name FROM information_schema.partitions \
         WHERE table_schema IN ('main', 'shop'))",
        "PREPARE s FROM 'SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?'",
        "SET @name = 'main'",
        "EXECUTE s USING @name",
        "SET @name = 'shop'",
        "EXECUTE s USING @name",
        "USE main",
        "SELECT table_name AS n FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY n",
        "SELECT DATABASE() AS d, COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop'",
    ]);
    let (cluster, _) = &*CLUSTER;
    let mut client = cluster.proxy().client("shop");
    let statement =
        client.prepare("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?");
    let statement = statement.expect("a statement");
    for (name, tables) in [("main", "2"), ("shop", "4"), ("main", "2")] {
        let name = Parameter::Text(name.into());
        assert_eq!(client.execute(&statement, &[name]).expect("a row").scalar(), tables);
    }
    let both =
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema IN ('shop', 'main')";
    let error = client.query(both).expect_err("no server has both").to_string();
    assert!(error.contains("several keyspaces"), "{error}");
}

/// Goal: text under a collation of several levels is sorted as by one server, or refused by name
/// where padding would have to be known for each level.
#[test]
fn collations_of_several_levels() {
    if SOFTWARE.is_mysql() {
        println!("skipped: MySQL's collations of several levels do not pad");
        return;
    }
    play(&[
        "DELETE FROM t",
        "INSERT INTO t (id, w) VALUES (1, 'a'), (2, 'A'), (3, 'á'), (4, 'ab'), (5, 'Ab'), (6, 'b'), \
         (7, 'áb'), (8, 'aB'), (9, 'a '), (10, 'b')",
        "SELECT w FROM t ORDER BY w COLLATE utf8mb4_uca1400_nopad_as_cs, id",
        "SELECT w FROM t ORDER BY w COLLATE utf8mb4_uca1400_nopad_as_ci, id",
        "SELECT w FROM t ORDER BY w COLLATE utf8mb4_uca1400_ai_ci, id",
        "SELECT w FROM t ORDER BY w COLLATE utf8mb4_unicode_ci DESC, id LIMIT 4",
        "SELECT w FROM t ORDER BY w COLLATE utf8mb4_bin, id",
    ]);
    let mut client = CLUSTER.0.proxy().client("shop");
    // Other scripts have the table meanwhile.
    client.query("BEGIN").expect("ok");
    let rows = (9_001..9_021).map(|id| format!("({id}, 'a')")).collect::<Vec<_>>().join(", ");
    client.query(format!("INSERT INTO t (id, w) VALUES {rows}")).expect("ok");
    for collation in ["utf8mb4_uca1400_as_ci", "utf8mb4_uca1400_as_cs", "utf8mb4_thai_520_w2"] {
        let order = format!("w COLLATE {collation}, id");
        let text = format!("SELECT w FROM t WHERE id > 9000 ORDER BY {order}");
        let error = client.query(&text).expect_err("it pads each level").to_string();
        assert!(error.contains("several levels"), "{error}");
    }
    client.query("ROLLBACK").expect("ok");
}
