//! Writes under `USE keyspace:shard`: no row is stored on a shard where it does not belong, and
//! each shard's own rows can be restored. The shards are read past the proxy.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::client::{Answer, Client, Error, Login, Parameter, capability};
use crate::cluster::{Cluster, Layout};
use crate::placement::{Vindex, covers, keyspace_id};
use crate::server::RUN;
use crate::software::SOFTWARE;

const VSCHEMA: &str = r#"{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" }, "xxhash": { "type": "xxhash" } },
  "tables": {
    "ways": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "unread": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "hinted": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "dumped": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "badge": { "column_vindexes": [{ "column": "token", "name": "xxhash" }] },
    "ticket": {
      "column_vindexes": [{ "column": "customer_id", "name": "hash" }],
      "auto_increment": { "column": "id", "sequence": "base.ticket_seq" }
    },
    "doubled": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "seen": { "column_vindexes": [{ "column": "at", "name": "xxhash" }] },
    "uneven": { "column_vindexes": [{ "column": "k", "name": "xxhash" }] },
    "numbered": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "nation": { "type": "reference" }
  }
}"#;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let base = r#"{ "tables": { "plain": {}, "ticket_seq": { "type": "sequence" } } }"#;
    let layout = Layout::new("targets", &["here"])
        .keyspace("base", base)
        .shard("-", "here", &[])
        .keyspace("shop", VSCHEMA)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[]);
    let cluster = Cluster::start(layout);
    let mut tables: Vec<String> = ["ways", "unread", "hinted", "dumped"]
        .map(|name| format!("CREATE TABLE {name} (id BIGINT PRIMARY KEY, v VARCHAR(20) UNIQUE)"))
        .into();
    let others = [
        "CREATE TABLE badge (token VARBINARY(20) PRIMARY KEY, v INT)",
        "CREATE TABLE ticket (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL)",
        "CREATE TABLE doubled (id BIGINT AS (base * 2) STORED, base BIGINT, v VARCHAR(20) UNIQUE)",
        "CREATE TABLE seen (at DATETIME NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP, \
         v VARCHAR(20) UNIQUE)",
        "CREATE TABLE uneven (k VARCHAR(10) COLLATE utf8mb4_bin NOT NULL, n INT)",
        "CREATE TABLE numbered (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
        "CREATE TABLE nation (code CHAR(2) PRIMARY KEY, name VARCHAR(20))",
        "CREATE VIEW unread_view AS SELECT id, v FROM unread",
        "CREATE PROCEDURE fill() INSERT INTO unread VALUES (1, 'call')",
        "CREATE FUNCTION filled() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN \
         INSERT INTO unread VALUES (1, 'function'); RETURN 1; END",
    ];
    tables.extend(others.map(str::to_owned));
    cluster.on_primaries("shop", &tables);
    let base = [
        "CREATE TABLE plain (id BIGINT PRIMARY KEY, v VARCHAR(20))",
        "CREATE TABLE ticket_seq (id BIGINT NOT NULL DEFAULT 0, next_id BIGINT NOT NULL, \
         cache BIGINT NOT NULL, PRIMARY KEY (id)) COMMENT 'vitess_sequence'",
        "INSERT INTO ticket_seq VALUES (0, 1000, 100)",
    ];
    cluster.on_primaries("base", &base.map(str::to_owned));
    cluster
});

/// The shard where the vindex `hash` puts a number.
fn home(id: i64) -> &'static str {
    let place = keyspace_id(Vindex::Hash, id.to_string().as_bytes());
    if covers("-80", &place) { "-80" } else { "80-" }
}

/// Numbers that belong to a shard.
fn ids_of(range: &str) -> impl Iterator<Item = i64> {
    (1..).filter(move |id| home(*id) == range)
}

/// The rows of each shard, and none on another shard than its own.
fn rows(table: &str) -> Vec<Vec<Vec<String>>> {
    let of_shard = |shard: &crate::cluster::Shard| {
        let mut client = shard.primary.client("shop");
        let rows = client.query(format!("SELECT * FROM {table} ORDER BY 1")).expect("it is there");
        for row in rows.texts() {
            let id = match table {
                "badge" | "seen" | "uneven" => keyspace_id(Vindex::XxHash, row[0].as_bytes()),
                "ticket" => keyspace_id(Vindex::Hash, row[1].as_bytes()),
                _ => keyspace_id(Vindex::Hash, row[0].as_bytes()),
            };
            assert!(covers(&shard.range, &id), "{row:?} of {table} is on shard {}", shard.range);
        }
        rows.texts()
    };
    CLUSTER.keyspace("shop").map(of_shard).collect()
}

fn refused(result: Result<Answer, Error>, errno: u16, what: &str) {
    match result {
        Err(error) => assert_eq!(error.errno(), errno, "{what}: {error}"),
        Ok(answer) => panic!("{what} was done: {answer:?}"),
    }
}

/// A client that is aimed at a shard in one of the ways that there are.
fn aimed(way: &str, range: &str) -> Client {
    let proxy = CLUSTER.proxy();
    match way {
        "login" => {
            let login = Login::test(&format!("shop:{range}"));
            Client::connect(proxy.socket_address(), &login).expect("the proxy runs")
        }
        "init" => {
            let mut client = proxy.client("");
            client.use_database(&format!("shop/{range}")).expect("the shard exists");
            client
        }
        _ => {
            let mut client = proxy.client("shop");
            client.query(format!("USE `shop:{range}`")).expect("the shard exists");
            client
        }
    }
}

/// Sends a write of row (id, v) in one of the forms that there are.
fn send(client: &mut Client, form: &str, verb: &str, id: i64) -> Result<Answer, Error> {
    let sql = match verb {
        "UPDATE" => "UPDATE ways SET id = ? WHERE v = 'own'",
        "REPLACE" => "REPLACE INTO ways (id, v) VALUES (?, 'new')",
        "SET" => "INSERT INTO shop.ways SET v = 'new', id = ?",
        "DUPLICATE" => {
            "INSERT INTO ways (id, v) VALUES (?, 'new') ON DUPLICATE KEY UPDATE v = 'newer'"
        }
        _ => "INSERT INTO ways VALUES (?, 'new')",
    };
    match form {
        "prepared" => {
            let statement = client.prepare(sql)?;
            client.execute(&statement, &[Parameter::Int(id)])
        }
        "bound as text" => {
            let statement = client.prepare(sql)?;
            client.execute(&statement, &[Parameter::Text(id.to_string().into_bytes())])
        }
        "named" => {
            client.query(format!("PREPARE w FROM '{}'", sql.replace('\'', "''")))?;
            client.query(format!("SET @id = {id}"))?;
            client.query("EXECUTE w USING @id")
        }
        "comments" => {
            let sql = sql.replace('?', &format!("/* a */ {id}"));
            client.query(format!("/* app */ {sql} -- end"))
        }
        "version comment" => {
            client.query(format!("/*!40000 {} */", sql.replace('?', &id.to_string())))
        }
        _ => client.query(sql.replace('?', &id.to_string())),
    }
}

/// Goal: however a session is aimed at a shard and a write is sent, a row of another shard is
/// refused and one of this shard is stored.
#[test]
fn a_row_is_stored_only_where_it_belongs() {
    let cluster = CLUSTER.watched();
    let forms = ["text", "prepared", "bound as text", "named", "comments", "version comment"];
    for (range, other) in [("-80", "80-"), ("80-", "-80")] {
        let own = ids_of(range).next().expect("there is one");
        let moved = ids_of(range).nth(1).expect("there is another");
        let stray = ids_of(other).next().expect("there is one");
        for way in ["use", "login", "init"] {
            let mut client = aimed(way, range);
            for form in forms {
                for verb in ["INSERT", "REPLACE", "SET", "DUPLICATE", "UPDATE"] {
                    let what = format!("{verb} as {form} under {way} {range}");
                    client.query("DELETE FROM ways").expect("deleting moves nothing");
                    let first = format!("INSERT INTO ways (id, v) VALUES ({own}, 'own')");
                    client.query(&first).expect("the row belongs here");
                    let before = rows("ways");
                    refused(send(&mut client, form, verb, stray), 1748, &what);
                    assert_eq!(rows("ways"), before, "{what}");
                    send(&mut client, form, verb, moved).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_ne!(rows("ways"), before, "{what}");
                }
            }
            client.query("DELETE FROM ways").expect("deleting moves nothing");
        }
    }
    // One stray row keeps all rows out, and several statements of one command are seen each.
    let login = Login { capabilities: capability::MULTI_STATEMENTS, ..Login::test("shop:-80") };
    let mut client =
        Client::connect(cluster.proxy().socket_address(), &login).expect("the proxy runs");
    let own: Vec<i64> = ids_of("-80").take(3).collect();
    let stray = ids_of("80-").next().expect("there is one");
    let many = format!("INSERT INTO ways VALUES ({}, 'a'), ({stray}, 'b')", own[0]);
    refused(client.query(many), 1748, "several rows");
    let several = format!(
        "INSERT INTO ways VALUES ({}, 'a'); INSERT INTO ways VALUES ({stray}, 'b'); \
         INSERT INTO ways VALUES ({}, 'c')",
        own[1], own[2]
    );
    assert_eq!(client.query_all(several).expect_err("the second is refused").errno(), 1748);
    assert_eq!(rows("ways")[0].len(), 1);
    // A statement prepared under a target keeps it.
    let statement = client.prepare("INSERT INTO ways VALUES (?, 'p')").expect("it is planned");
    client.query("USE shop").expect("it exists");
    refused(client.execute(&statement, &[Parameter::Int(stray)]), 1748, "prepared before USE");
    // By the qualifier, too.
    let id = if home(1) == "-80" { "00" } else { "ff" };
    let other = if home(1) == "-80" { "ff" } else { "00" };
    let insert = |id: &str| format!("INSERT INTO `shop[{id}]`.ways (id, v) VALUES (1, 'q')");
    refused(client.query(insert(other)), 1748, "a qualifier");
    client.query(insert(id)).expect("the row belongs there");
    let update = format!("UPDATE `shop:{}`.ways SET id = 1 WHERE v = 'a'", home(stray));
    let result = client.query(update);
    if home(stray) == home(1) {
        result.expect("the value belongs there");
    } else {
        refused(result, 1748, "UPDATE by a qualifier");
    }
    rows("ways");
}

/// Goal: what cannot be read from the statement is refused before anything is sent, and done only
/// when the statement says that it may.
#[test]
fn what_cannot_be_read_is_refused() {
    let cluster = CLUSTER.watched();
    let mut client = aimed("use", "-80");
    let own = ids_of("-80").next().expect("there is one");
    client.query(format!("INSERT INTO unread VALUES ({own}, 'own')")).expect("it belongs here");
    let before = rows("unread");
    let mut statements = vec![
        "INSERT INTO unread SELECT id + 1, 'x' FROM unread",
        "REPLACE INTO unread SELECT id + 1, 'x' FROM unread",
        "INSERT INTO unread (id, v) VALUES (1 + 1, 'x')",
        "INSERT INTO unread (id, v) VALUES (LAST_INSERT_ID(), 'x')",
        "INSERT INTO unread (id, v) VALUES (NULL, 'x')",
        "INSERT INTO unread (id, v) VALUES (DEFAULT, 'x')",
        "INSERT INTO unread (v) VALUES ('x')",
        "INSERT INTO unread VALUES ('1x', 'x')",
        "INSERT INTO unread_view VALUES (1, 'x')",
        "UPDATE unread_view SET v = 'x'",
        "UPDATE unread SET id = id + 1",
        "UPDATE unread SET id = 1, id = 2",
        "UPDATE unread u JOIN unread w ON u.id = w.id SET u.id = w.id + 1",
        "INSERT INTO unread VALUES (1, 'own') ON DUPLICATE KEY UPDATE id = id + 1",
        "CALL fill()",
        "SET @x = (SELECT filled())",
        "SET timestamp = (SELECT filled())",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE unread",
        "CREATE TABLE unread2 AS SELECT * FROM unread",
        "INSERT INTO base.plain VALUES (1, 'x')",
        "SELECT * FROM base.plain",
    ];
    if !SOFTWARE.is_mysql() {
        statements.extend([
            "SET STATEMENT max_statement_time = 5 FOR INSERT INTO unread VALUES (1, 'x')",
            "SET /*!*/ STATEMENT max_statement_time = 5 FOR INSERT INTO unread VALUES (1, 'x')",
            "/*! SET */ STATEMENT max_statement_time = 5 FOR UPDATE unread SET id = 1",
            "ANALYZE UPDATE unread SET id = 1",
            "BEGIN NOT ATOMIC INSERT INTO unread VALUES (1, 'x'); END",
        ]);
    }
    for sql in &statements {
        refused(client.query(sql), 1235, sql);
        assert_eq!(rows("unread"), before, "{sql}");
    }
    client.query("USE `shop[-]`").expect("a range is a target");
    refused(client.query("REPLACE INTO unread VALUES (1, 'x')"), 1235, "several shards");
    refused(client.query("UPDATE unread SET id = 1"), 1235, "several shards");
    assert_eq!(rows("unread"), before);
    // Reads, definitions and writes that move nothing go on as they did.
    client.query("USE `shop:-80`").expect("it exists");
    for sql in [
        "SELECT COUNT(*) FROM unread WHERE v = 'own'",
        "UPDATE unread SET v = 'mine' WHERE v = 'own' LIMIT 1",
        "UPDATE unread SET v = CONCAT(v, '!')",
        "ALTER TABLE unread COMMENT = 'c'",
        "CHECK TABLE unread",
        "DO SLEEP(0)",
        "DELETE FROM unread WHERE v LIKE 'mine%' ORDER BY id LIMIT 5",
    ] {
        client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert_eq!(rows("unread"), [vec![], vec![]] as [Vec<Vec<String>>; 2]);
    // An unsharded keyspace has one shard.
    client.query("USE `base:0`").expect("it exists");
    client.query("INSERT INTO plain SELECT 1, 'x'").expect("there is no other shard");
    assert_eq!(client.query("SELECT COUNT(*) FROM plain").expect("rows").scalar(), "1");
    drop(cluster);
}

/// Goal: `ALLOW_MISPLACED` is the way to store a row elsewhere, and only when it says so.
#[test]
fn a_hint_stores_rows_elsewhere() {
    let cluster = CLUSTER.watched();
    let mut client = aimed("use", "-80");
    let strays: Vec<i64> = ids_of("80-").take(3).collect();
    let insert = |hint: &str, id: i64| {
        format!("INSERT /*vt+ {hint} */ INTO hinted (id, v) VALUES ({id}, '{id}')")
    };
    for hint in ["ALLOW_MISPLACED=0", "ALLOW_MISPLACED=no", "OTHER=1"] {
        refused(client.query(insert(hint, strays[0])), 1748, hint);
    }
    client.query(insert("ALLOW_MISPLACED=1", strays[0])).expect("it is asked for");
    client.query(insert("ALLOW_MISPLACED", strays[1])).expect("it is asked for");
    let select =
        format!("INSERT /*vt+ ALLOW_MISPLACED=1 */ INTO hinted SELECT {}, 'selected'", strays[2]);
    client.query(select).expect("it is asked for");
    let shard = cluster.keyspace("shop").next().expect("there are two");
    let mut direct = shard.primary.client("shop");
    assert_eq!(direct.query("SELECT COUNT(*) FROM hinted").expect("rows").scalar(), "3");
    client.query("DELETE FROM hinted").expect("deleting moves nothing");
}

/// Goal: pinned to the sequence, unread types of columns, and copies of reference tables.
#[test]
fn other_tables_under_a_target() {
    let cluster = CLUSTER.watched();
    let mut client = aimed("use", "80-");
    let own = ids_of("80-").next().expect("there is one");
    let inserted = client.query(format!("INSERT INTO ticket (customer_id) VALUES ({own})"));
    assert_eq!(inserted.expect("it has a sequence").last_insert_id, 1000);
    let stray = ids_of("-80").next().expect("there is one");
    let insert = format!("INSERT INTO ticket (customer_id) VALUES ({own}), ({stray})");
    refused(client.query(insert), 1748, "a row of another shard");
    assert_eq!(rows("ticket")[1], [["1000".to_owned(), own.to_string()]]);
    // By the bytes of the value.
    for token in ["a", "b", "c", "d"] {
        let belongs = covers("80-", &keyspace_id(Vindex::XxHash, token.as_bytes()));
        let result = client.query(format!("INSERT INTO badge VALUES ('{token}', 1)"));
        if belongs {
            result.expect("it belongs here");
        } else {
            refused(result, 1748, token);
        }
    }
    rows("badge");
    // What servers would cut off belongs to another place than what is left of it.
    client.query("SET sql_mode = ''").expect("it is a mode");
    let mut routed = cluster.proxy().client("shop");
    for letter in "abcdefgh".chars() {
        let token = letter.to_string().repeat(21);
        for verb in ["INSERT", "INSERT IGNORE", "REPLACE"] {
            let insert = format!("{verb} INTO badge (token, v) VALUES ('{token}', 2)");
            refused(client.query(&insert), 1235, "a long value under a target");
            if verb != "REPLACE" {
                refused(routed.query(&insert), 1235, "a long value that is routed");
            }
        }
        let update = format!("UPDATE badge SET token = '{token}' LIMIT 1");
        refused(client.query(update), 1235, "a long value of an UPDATE");
    }
    client.query("SET sql_mode = DEFAULT").expect("it is a mode");
    rows("badge");
    // Each shard has a copy of its own.
    client.query("INSERT INTO nation VALUES ('DE', 'Germany')").expect("a copy is loaded");
    client.query("USE `shop:-80`").expect("it exists");
    client.query("INSERT INTO nation SELECT 'DE', 'Germany'").expect("a copy is loaded");
    client.query("USE shop").expect("it exists");
    assert_eq!(client.query("SELECT name FROM nation").expect("rows").scalar(), "Germany");
    drop(cluster);
}

/// Goal: no row leaves its place because servers set its sharding column by themselves, whether
/// the statement is routed or sent to a shard.
#[test]
fn sharding_columns_that_servers_set_move_no_row() {
    let cluster = CLUSTER.watched();
    let mut aimed = aimed("use", "-80");
    let mut routed = cluster.proxy().client("shop");
    let base = (1..99).find(|base| home(base * 2) == "-80").expect("there is one");
    let stray = (1..99).find(|base| home(base * 2) == "80-").expect("there is one");
    let insert = |hint: &str, base: i64, v: &str| {
        format!("INSERT {hint} INTO doubled (base, v) VALUES ({base}, '{v}')")
    };
    aimed.query(insert("/*vt+ ALLOW_MISPLACED=1 */", base, "own")).expect("it is asked for");
    let join = "doubled d JOIN ways w ON w.id = d.id";
    let generated = [
        format!("UPDATE doubled SET base = {stray}"),
        format!("UPDATE doubled SET base = {stray} WHERE id = {}", base * 2),
        format!("UPDATE doubled d SET d.base = d.base + {}", stray - base),
        format!("UPDATE IGNORE doubled SET id = {}, base = {stray}", base * 2),
        format!("UPDATE {join} SET d.base = {stray}"),
        format!("UPDATE {join} SET base = {stray}, w.v = 'w'"),
        insert("", stray, "a"),
        format!("INSERT IGNORE INTO doubled (base, id, v) VALUES ({stray}, {}, 'b')", base * 2),
        format!("INSERT INTO doubled (base, id, v) VALUES ({base}, DEFAULT, 'c')"),
        format!("INSERT INTO doubled SET base = {stray}, v = 'd'"),
        format!("REPLACE INTO doubled VALUES (DEFAULT, {stray}, 'e')"),
        format!("{} ON DUPLICATE KEY UPDATE base = {stray}", insert("", base, "own")),
    ];
    let row = vec![(base * 2).to_string(), base.to_string(), "own".to_owned()];
    for sql in &generated {
        for client in [&mut aimed, &mut routed] {
            let error = client.query(sql).expect_err(sql);
            let text = error.to_string();
            assert!(text.contains("shard by a column that is not generated"), "{sql}: {text}");
        }
        assert_eq!(rows("doubled"), [vec![row.clone()], vec![]], "{sql}");
    }
    let write = |at: &str| format!("INSERT INTO seen (at, v) VALUES ('{at}', '{at}')");
    let times: Vec<String> = (1..=8).map(|day| format!("2001-01-0{day} 00:00:00")).collect();
    for at in &times {
        routed.query(write(at)).expect("it is routed");
    }
    let before = rows("seen");
    let touching = [
        "UPDATE seen SET v = CONCAT(v, '!')",
        "UPDATE seen SET v = 'a' WHERE at = '2001-01-01 00:00:00'",
        "UPDATE seen s JOIN ways w ON w.v = s.v SET s.v = 'b'",
        "INSERT INTO seen (at, v) VALUES ('2001-01-01 00:00:00', '2001-01-01 00:00:00') \
         ON DUPLICATE KEY UPDATE v = 'c'",
    ];
    for sql in touching {
        for client in [&mut aimed, &mut routed] {
            let error = client.query(sql).expect_err(sql);
            assert!(
                error.to_string().contains("has ON UPDATE CURRENT_TIMESTAMP"),
                "{sql}: {error}"
            );
        }
        assert_eq!(rows("seen"), before, "{sql}");
    }
    // What sets none of them is done.
    let at = times.iter().find(|at| covers("-80", &keyspace_id(Vindex::XxHash, at.as_bytes())));
    let at = at.expect("there is one");
    aimed.query(format!("UPDATE seen SET at = '{at}', v = 'd' WHERE at = '{at}'")).expect("own");
    for client in [&mut aimed, &mut routed] {
        client.query(format!("UPDATE {join} SET w.v = 'x' WHERE d.v = 'own'")).expect("another's");
        client.query("DELETE FROM seen WHERE v = 'd'").expect("deleting moves nothing");
    }
    let others: usize = rows("seen").iter().map(Vec::len).sum();
    assert_eq!(others, times.len() - 1);
    routed.query("DELETE FROM doubled").expect("deleting moves nothing");
    drop(cluster);
}

/// Goal: no server puts a number of its own in the place of a 0 by which a row was routed.
#[test]
fn a_zero_is_not_routed_to_a_column_that_numbers_rows() {
    let cluster = CLUSTER.watched();
    let mut at_home = aimed("use", home(0));
    let mut aimed = aimed("use", "-80");
    let mut routed = cluster.proxy().client("shop");
    for client in [&mut aimed, &mut routed] {
        for zero in ["0", "'0'", "-0", "FALSE"] {
            let insert = format!("INSERT IGNORE INTO numbered (id, v) VALUES ({zero}, 'a')");
            refused(client.query(&insert), 1235, &insert);
        }
        let statement = client.prepare("INSERT INTO numbered VALUES (?, 'p')").expect("a plan");
        refused(client.execute(&statement, &[Parameter::Int(0)]), 1235, "0 as a parameter");
        let own = ids_of("-80").nth(rows("numbered")[0].len()).expect("there is one");
        client.execute(&statement, &[Parameter::Int(own)]).expect("the number is given");
    }
    assert_eq!(rows("numbered")[0].len(), 2);
    // A row that is there is not numbered.
    let own = ids_of(home(0)).nth(5).expect("there is one");
    at_home.query(format!("INSERT INTO numbered VALUES ({own}, 'u')")).expect("it belongs here");
    at_home.query("UPDATE numbered SET id = 0 WHERE v = 'u'").expect("0 belongs here");
    let zero = rows("numbered").into_iter().flatten().filter(|row| row[0] == "0").count();
    assert_eq!(zero, 1);
    drop(cluster);
}

/// Goal: while shards define a sharding column differently, no row goes by the definition of
/// another shard than its own, and every row is found.
#[test]
fn a_column_that_shards_define_differently_misleads_no_row() {
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("shop");
    client.query("SET sql_mode = ''").expect("ok");
    let words: Vec<String> = ('a'..='j').map(|letter| letter.to_string().repeat(3)).collect();
    let column = "COLLATE utf8mb4_bin NOT NULL";
    for range in ["80-", "-80"] {
        let mut one = aimed("use", range);
        one.query("DELETE FROM uneven").expect("ok");
        client.query("DELETE FROM uneven").expect("ok");
        let alter = |to: &str| format!("ALTER TABLE uneven MODIFY k {to}");
        one.query(alter(&format!("VARCHAR(3) {column}"))).expect("it is changed");
        for (n, word) in words.iter().enumerate() {
            let insert = |k: &str| format!("INSERT INTO uneven (k, n) VALUES ('{k}', {n})");
            client.query(insert(&format!("{word}xyz"))).expect_err("too long for one shard");
            client.query(insert(word)).expect("it fits everywhere");
        }
        assert_eq!(rows("uneven").concat().len(), words.len(), "{range}");
        one.query(alter("VARBINARY(10) NOT NULL")).expect("it is changed");
        for sql in [
            "INSERT INTO uneven (k, n) VALUES ('abc', 1)",
            "UPDATE uneven SET n = 1 WHERE k = 'abc'",
            "DELETE FROM uneven WHERE k = 'abc'",
        ] {
            let error = client.query(sql).expect_err("it has no type");
            let text = error.to_string();
            for part in ["shop.uneven.k is ", "varbinary(10) on shop:", "varchar(10) utf8mb4_bin"] {
                assert!(text.contains(part) && error.errno() == 1235, "{sql}: {text}");
            }
        }
        refused(client.query("SELECT n FROM uneven ORDER BY k"), 1235, "ORDER BY");
        for word in &words {
            let found = client.query(format!("SELECT n FROM uneven WHERE k = '{word}'"));
            assert_eq!(found.expect("all shards are asked").rows.len(), 1, "{word}");
        }
        one.query("ALTER TABLE uneven ADD COLUMN first INT FIRST").expect("it is changed");
        one.query(alter(&format!("VARCHAR(10) {column}"))).expect("it is changed");
        refused(client.query("INSERT INTO uneven VALUES ('abc', 1)"), 1235, "no list of columns");
        refused(one.query("INSERT INTO uneven VALUES (1, 'abc', 1)"), 1235, "no list of columns");
        one.query("ALTER TABLE uneven DROP COLUMN first").expect("it is changed");
        client.query("INSERT INTO uneven VALUES ('abc', 1)").expect("the shards agree again");
    }
    rows("uneven");
}

/// Goal: the dump of one shard goes back through its target with the server's own tools.
#[test]
fn a_shards_own_dump_is_restored_through_its_target() {
    if SOFTWARE.is_mysql() {
        println!("skipped: mariadb-dump is MariaDB's");
        return;
    }
    let cluster = CLUSTER.watched();
    let mut client = cluster.proxy().client("shop");
    let values: Vec<String> = (1..=3000).map(|id| format!("({id}, 'row {id}')")).collect();
    for part in values.chunks(500) {
        client.query(format!("INSERT INTO dumped VALUES {}", part.join(", "))).expect("routed");
    }
    let before = rows("dumped");
    assert!(before.iter().all(|rows| rows.len() > 1000));
    let tool = |program: &str, port: u16| {
        let mut command = Command::new(program);
        command.args(["--no-defaults", "-h127.0.0.1", "-utest", "-ptest"]);
        command.arg(format!("-P{port}"));
        command
    };
    let variants: [&[&str]; 5] = [
        &[],
        &["--replace", "--no-create-info"],
        &["--insert-ignore", "--complete-insert"],
        &["--skip-extended-insert", "--skip-opt", "--no-create-info"],
        &["--no-create-info", "--skip-lock-tables", "--order-by-primary"],
    ];
    for (number, shard) in cluster.keyspace("shop").enumerate() {
        let target = format!("shop:{}", shard.range);
        for options in variants {
            let path = RUN.path.join(format!("target-{number}.sql"));
            let file = std::fs::File::create(&path).expect("the run's folder is writable");
            let mut dump = tool("mariadb-dump", shard.primary.port);
            let status = dump.args(options).args(["shop", "dumped"]).stdout(file).status();
            assert!(status.expect("mariadb-dump is installed").success());
            let mut client = cluster.proxy().client(&target);
            client.query("DELETE FROM dumped").expect("deleting moves nothing");
            assert_eq!(rows("dumped")[number].len(), 0);
            let file = std::fs::File::open(&path).expect("it was dumped");
            let mut restore = tool("mariadb", cluster.proxy().port);
            let restore = restore.arg(&target).stdin(file).stderr(Stdio::piped());
            let output = restore.output().expect("mariadb is installed");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{options:?} of {target}: {said}");
            assert_eq!(rows("dumped"), before, "{options:?} of {target}");
        }
    }
    // The other shard's dump is not taken.
    let file = std::fs::File::open(RUN.path.join("target-1.sql")).expect("it was dumped");
    let output = tool("mariadb", cluster.proxy().port).arg("shop:-80").stdin(file).output();
    let output = output.expect("mariadb is installed");
    assert!(String::from_utf8_lossy(&output.stderr).contains("GG09050"));
    assert_eq!(rows("dumped"), before);
}
