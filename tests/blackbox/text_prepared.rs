//! PREPARE, EXECUTE and DEALLOCATE as text, and what a prepared statement means after USE and SET:
//! compared with the server itself.

use crate::client::{Client, Error, Login, Parameter};
use crate::shop::{SHOP, scratch_table};
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

/// An answer as one line.
fn line(answer: Result<crate::client::Answer, Error>) -> String {
    match answer {
        Ok(answer) => {
            let names: Vec<_> = answer.columns.iter().map(|column| column.name.as_str()).collect();
            format!("{names:?} {:?} {} {}", answer.texts(), answer.affected, answer.info)
        }
        Err(error) => error.to_string(),
    }
}

/// Goal: the answers, column names and errors of the server.
#[test]
fn answers_are_the_servers() {
    let cluster = SINGLE.watched();
    let statements = [
        "DROP TABLE IF EXISTS named",
        "CREATE TABLE named (id INT PRIMARY KEY, v VARCHAR(20))",
        "REPLACE INTO named VALUES (1, 'one'), (2, 'two')",
        "SET @a = 1, @b = 'it''s', @c = NULL",
        "PREPARE s FROM 'SELECT ?, v FROM named WHERE id = ?'",
        "EXECUTE s USING @b, @a",
        "EXECUTE s USING @c, @a",
        "EXECUTE S USING @a",
        "EXECUTE s",
        "EXECUTE nowhere",
        "DEALLOCATE PREPARE nowhere",
        "PREPARE s FROM 'SELEC 1'",
        "EXECUTE s USING @b, @a",
        "PREPARE s FROM 'SELECT \"it\\'s\", \\'a\\\\\\\\b\\''",
        "EXECUTE s",
        "SET @sql = 'SELECT COUNT(*) FROM named WHERE id > ?'",
        "PREPARE counted FROM @sql",
        "EXECUTE counted USING @a",
        "EXECUTE counted USING 0",
        "USE app_a",
        "EXECUTE counted USING @a",
        "USE app",
        "PREPARE limited FROM 'SELECT id FROM named ORDER BY id LIMIT ?'",
        "EXECUTE limited USING @a",
        "PREPARE ins FROM 'INSERT INTO named VALUES (?, ?)'",
        "SET @i = 3",
        "EXECUTE ins USING @i, @b",
        "EXECUTE ins USING @i, @b",
        "SHOW WARNINGS",
        "PREPARE setter FROM 'SET @d = 7'",
        "EXECUTE setter",
        "SELECT @d",
        "PREPARE begins FROM 'COMMIT'",
        "EXECUTE begins",
        "PREPARE found FROM 'SELECT FOUND_ROWS()'",
        "SELECT * FROM named",
        "EXECUTE found",
        "SET sql_mode = 'ANSI_QUOTES'",
        "EXECUTE s",
        "SET sql_mode = DEFAULT",
        "EXECUTE IMMEDIATE 'SELECT ? + 1' USING @a",
        "DROP PREPARE s",
        "EXECUTE s",
        "DROP TABLE named",
    ];
    let mut all = Vec::new();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        all.push(statements.map(|statement| (statement, line(client.query(statement)))));
    }
    for (theirs, ours) in all[0].iter().zip(&all[1]) {
        assert_eq!(ours, theirs);
    }
}

/// Goal: a name pins no connection and is nobody else's.
#[test]
fn names_are_the_sessions() {
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 300\n";
    let cluster = single::start("text-prepared", limits);
    let cluster = cluster.watched();
    let mut one = cluster.proxy().client("app");
    let mut two = cluster.proxy().client("app_a");
    for (client, text) in [(&mut one, "SELECT DATABASE(), ?"), (&mut two, "SELECT ?, ?")] {
        client.query(format!("PREPARE s FROM '{text}'")).expect("ok");
    }
    // MySQL takes variables only.
    for client in [&mut one, &mut two] {
        client.query("SET @five = 5, @six = 6, @seven = 7").expect("ok");
    }
    for _ in 0..3 {
        let answer = one.query("EXECUTE s USING @five").expect("a row");
        assert_eq!(answer.texts(), [["app", "5"]]);
        let answer = two.query("EXECUTE s USING @six, @seven").expect("a row");
        assert_eq!(answer.texts(), [["6", "7"]]);
    }
    one.reset().expect("ok");
    assert_eq!(one.query("EXECUTE s USING @five").expect_err("it is forgotten").errno(), 1243);
    two.query("EXECUTE s USING @six, @seven").expect("a row");
}

/// Goal: over shards the statements are routed by their parameters.
#[test]
fn over_shards() {
    let cluster = SHOP.watched();
    let table = scratch_table();
    let mut client = cluster.proxy().client("shop");
    let mut run = |sql: &str| client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    run(&format!("PREPARE ins FROM 'INSERT INTO {table} (id, v) VALUES (?, ?)'"));
    for id in 1..30 {
        run(&format!("SET @id = {id}, @v = 'v{id}'"));
        assert_eq!(run("EXECUTE ins USING @id, @v").affected, 1);
    }
    run(&format!("PREPARE one FROM 'SELECT v FROM {table} WHERE id = ?'"));
    run("SET @id = 17");
    assert_eq!(run("EXECUTE one USING @id").scalar(), "v17");
    run(&format!("PREPARE counted FROM 'SELECT COUNT(*) FROM {table} WHERE id < ?'"));
    assert_eq!(run("EXECUTE counted USING @id").scalar(), "16");
    run("PREPARE begins FROM 'ROLLBACK'");
    run("BEGIN");
    run(&format!("DELETE FROM {table}"));
    run("EXECUTE begins");
    run("SET @id = 1000");
    assert_eq!(run("EXECUTE counted USING @id").scalar(), "29");
    run("DEALLOCATE PREPARE one");
    assert_eq!(client.query("EXECUTE one USING @id").expect_err("gone").errno(), 1243);
}

/// Goal: a statement of the binary protocol means what it meant at PREPARE, whatever USE and SET
/// came since.
#[test]
fn statements_keep_their_meaning() {
    let cluster = SINGLE.watched();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        for database in ["app", "app_a"] {
            client.query(format!("DROP TABLE IF EXISTS {database}.meaning")).expect("ok");
            client.query(format!("CREATE TABLE {database}.meaning (v INT)")).expect("ok");
            client
                .query(format!("INSERT INTO {database}.meaning VALUES ({})", database.len()))
                .expect("ok");
        }
        let here = client.prepare("SELECT v, DATABASE(), \"v\", ? FROM meaning").expect("prepared");
        let ask = |client: &mut Client| {
            let answer = client.execute(&here, &[Parameter::Int(1)]);
            answer.expect("a row").texts().swap_remove(0).join(" ")
        };
        assert_eq!(ask(&mut client), "3 app v 1");
        client.use_database("app_a").expect("ok");
        for _ in 0..3 {
            assert_eq!(ask(&mut client), "3 app v 1");
        }
        client.query("SET sql_mode = 'ANSI_QUOTES'").expect("ok");
        assert_eq!(ask(&mut client), "3 app v 1");
        let there = client.prepare("SELECT v FROM meaning").expect("prepared");
        assert_eq!(client.execute(&there, &[]).expect("a row").scalar(), "5");
        client.query("BEGIN").expect("ok");
        assert_eq!(ask(&mut client), "3 app v 1");
        client.query("ROLLBACK").expect("ok");
    }
}

/// What names a table, or asks for the database or for what only the session knows.
const OF_THEIR_DATABASE: &[&str] = &[
    "INSERT INTO homes VALUES (DATABASE())",
    "INSERT INTO homes VALUES (@@collation_database)",
    "INSERT INTO homes SELECT IF(CONNECTION_ID() > 0, 'mine', '')",
    "INSERT INTO homes SELECT IF(USER() IS NULL, '', 'user')",
    "INSERT INTO homes SELECT IF(ROW_COUNT() IS NULL, '', 'rows')",
    "INSERT INTO homes SELECT IF(FOUND_ROWS() IS NULL, '', 'found')",
    "INSERT INTO homes SELECT IF(@@autocommit, 'auto', '')",
    "UPDATE homes SET v = CONCAT(v, '+') WHERE CONNECTION_ID() > 0",
    "DELETE FROM homes WHERE v LIKE '%+' AND USER() LIKE '%' AND ROW_COUNT() < 0",
    "SELECT COUNT(*), DATABASE() FROM homes WHERE CONNECTION_ID() > 0",
    "SELECT DATABASE()",
    "SELECT SCHEMA(), COUNT(*) FROM homes",
    "SELECT v FROM homes ORDER BY v",
    "SHOW TABLES LIKE 'only%'",
    "SHOW COLUMNS FROM homes",
    "SHOW CREATE TABLE homes",
    "SET @homes = (SELECT COUNT(*) FROM homes)",
    "DO (SELECT COUNT(*) FROM homes)",
    "TRUNCATE homes",
    "CREATE TABLE made (id INT PRIMARY KEY)",
];

/// Tables of the same names with other rows in two databases.
fn make_homes(admin: &mut Client) {
    for database in ["app", "app_a"] {
        for table in ["homes", "made", "only_app", "only_app_a"] {
            admin.query(format!("DROP TABLE IF EXISTS {database}.{table}")).expect("ok");
        }
        for create in [
            format!("CREATE TABLE {database}.homes (v VARCHAR(64))"),
            format!("CREATE TABLE {database}.only_{database} (id INT PRIMARY KEY)"),
            format!("INSERT INTO {database}.homes VALUES ('{database}')"),
        ] {
            admin.query(&create).expect("ok");
        }
    }
}

/// What stands in both databases.
fn homes(admin: &mut Client) -> String {
    let rows = ["app.homes", "app_a.homes"]
        .map(|table| line(admin.query(format!("SELECT v FROM {table} ORDER BY v"))));
    let made =
        ["app.made", "app_a.made"].map(|table| admin.query(format!("DROP TABLE {table}")).is_ok());
    format!("{rows:?} {made:?}")
}

/// Prepares a statement in one database, by name and in the binary protocol, and executes it in
/// another.
fn run_elsewhere(
    admin: &mut Client,
    client: &mut Client,
    sql: &str,
    uses: [&str; 2],
) -> Vec<String> {
    let mut log = Vec::new();
    client.query(uses[0]).expect("ok");
    let named = format!("PREPARE s FROM '{}'", sql.replace('\'', "''"));
    log.push(line(client.query(&named)));
    let binary = client.prepare(sql);
    for round in 0..2 {
        client.query(uses[1]).expect("ok");
        if round > 0 {
            // A ROW_COUNT() of its own: -1.
            client.query("SELECT 1 FROM homes").expect("rows");
        }
        log.push(format!("by name {}", line(client.query("EXECUTE s"))));
        log.push(format!("in use {}", line(client.query("SELECT DATABASE()"))));
        log.push(homes(admin));
        if let Ok(statement) = &binary {
            log.push(format!("binary {}", line(client.execute(statement, &[]))));
            log.push(line(client.query("SELECT @homes")));
            log.push(homes(admin));
        }
        log.push(format!("in use {}", line(client.query("SELECT DATABASE()"))));
    }
    log
}

/// Goal: a statement runs in the database that it was prepared in, whichever is in use now, also if
/// it asks for what only the session knows and therefore runs as text; so its rows are never
/// written into the table of the same name in another database.
#[test]
fn statements_run_in_the_database_of_their_prepare() {
    let cluster = SINGLE.watched();
    // MySQL warns of FOUND_ROWS() when it reads a text, which is read anew at each EXECUTE here,
    // and a binary execution that changes rows finds no ROW_COUNT() there.
    let counts = |sql: &str| sql.contains("FOUND_ROWS") || sql.contains("ROW_COUNT");
    let mut all = Vec::new();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let mut admin = Client::connect(address, &Login::test("app")).expect("a login");
        make_homes(&mut admin);
        let mut log = Vec::new();
        for sql in OF_THEIR_DATABASE.iter().filter(|sql| !SOFTWARE.is_mysql() || !counts(sql)) {
            for uses in [["USE app", "USE app_a"], ["USE app_a", "USE app"]] {
                let mut client = Client::connect(address, &Login::test("app")).expect("a login");
                let ran = run_elsewhere(&mut admin, &mut client, sql, uses);
                log.extend(ran.into_iter().map(|line| format!("{sql}: {line}")));
            }
        }
        all.push(log);
    }
    for (theirs, ours) in all[0].iter().zip(&all[1]) {
        assert_eq!(ours, theirs);
    }
}

/// Goal: a trigger has the session's LAST_INSERT_ID() also where a statement runs that was read
/// under another sql_mode.
#[test]
fn triggers_of_statements_of_another_mode() {
    let cluster = SINGLE.watched();
    let mut all = Vec::new();
    for address in [cluster.shards[0].primary.socket_address(), cluster.proxy().socket_address()] {
        let mut client = Client::connect(address, &Login::test("app")).expect("a login");
        let mut run =
            |sql: &str| client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        run("DROP TABLE IF EXISTS asked");
        run("CREATE TABLE asked (id INT AUTO_INCREMENT PRIMARY KEY, x BIGINT)");
        run("CREATE TRIGGER asks BEFORE INSERT ON asked FOR EACH ROW SET NEW.x = LAST_INSERT_ID()");
        run("SELECT LAST_INSERT_ID(55)");
        run("SELECT COUNT(*) FROM asked");
        let insert = client.prepare("INSERT INTO asked (x) VALUES (1)").expect("prepared");
        client.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'").expect("ok");
        client.execute(&insert, &[]).expect("a row");
        let rows = client.query("SELECT x FROM asked").expect("rows").texts();
        client.query("DROP TABLE asked").expect("ok");
        all.push(rows);
    }
    assert_eq!(all[0], all[1]);
}
