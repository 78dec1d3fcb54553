//! What the test suites of drivers and frameworks (tests/suites) and operators' tools found to
//! differ between the proxy and a server: savepoints, SET TRANSACTION, lists of sessions, KILL,
//! deadlocks over shards.

use std::thread;
use std::time::Duration;

use crate::client::{Answer, Client, Login, SERVER_MORE_RESULTS};
use crate::server::wait_until;
use crate::shop::{RANGES, SHOP, scratch_table};
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

/// Goal: without autocommit a savepoint counts even if nothing has run before it.
#[test]
fn a_savepoint_first() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    client.query("CREATE TABLE savepoint_first (a INT)").expect("a new table");
    client.query("SET autocommit = 0").expect("done");
    client.query("SAVEPOINT one").expect("done");
    client.query("INSERT INTO savepoint_first VALUES (1)").expect("a row");
    client.query("ROLLBACK TO SAVEPOINT one").expect("it is known");
    client.query("INSERT INTO savepoint_first VALUES (2)").expect("a row");
    client.query("RELEASE SAVEPOINT one").expect("it is known");
    client.query("COMMIT").expect("done");
    let rows = client.query("SELECT * FROM savepoint_first").expect("rows").texts();
    assert_eq!(rows, [["2"]]);
    client.query("INSERT INTO savepoint_first VALUES (3)").expect("a row");
    client.query("SAVEPOINT two").expect("done");
    client.query("ROLLBACK").expect("done");
    let gone = client.query("RELEASE SAVEPOINT two").expect_err("it ended with the transaction");
    assert_eq!(gone.errno(), 1305);
}

/// Goal: SET TRANSACTION is for the transaction that START TRANSACTION begins.
#[test]
fn isolation_of_the_next_transaction() {
    let cluster = SINGLE.watched();
    let mut writer = cluster.proxy().client("app");
    let mut reader = cluster.proxy().client("app");
    writer.query("CREATE TABLE next_isolation (a INT) ENGINE=InnoDB").expect("a new table");
    reader.query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").expect("done");
    reader.query("START TRANSACTION").expect("done");
    let mut count = || {
        let answer = reader.query("SELECT COUNT(*) FROM next_isolation").expect("a row");
        answer.scalar()
    };
    assert_eq!(count(), "0");
    writer.query("INSERT INTO next_isolation VALUES (1)").expect("a row");
    assert_eq!(count(), "1");
}

/// Goal: SHOW PROCESSLIST has the sessions of the proxy, with the ids that KILL takes.
#[test]
fn the_list_of_sessions() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    let mut busy = cluster.proxy().client("app");
    busy.command(0x03, b"SELECT SLEEP(30), 'the list of sessions'").expect("sent");
    let id = busy.connection_id.to_string();
    let find = |client: &mut Client, id: &str| {
        let rows = client.query("SHOW FULL PROCESSLIST").expect("rows").texts();
        rows.into_iter().find(|row| row[0] == id).unwrap_or_default()
    };
    let statement = "SELECT SLEEP(30), 'the list of sessions'";
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen = find(&mut client, &id);
        if seen.get(7).is_some_and(|info| info == statement) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!([&seen[1], &seen[3], &seen[4], &seen[7]], ["test", "app", "Query", statement]);
    let id_of_client = client.connection_id.to_string();
    let own = find(&mut client, &id_of_client);
    assert_eq!([&own[4], &own[7]], ["Query", "SHOW FULL PROCESSLIST"]);
    let address = client.stream().local_addr().expect("an address").to_string();
    assert_eq!(own[2], address, "the client's end with its port");
    client.command(0x0a, b"").expect("sent");
    let rows = client.read_answer(false).expect("rows").texts();
    assert!(rows.iter().any(|row| row[0] == id && row[7] == statement), "{rows:?}");
    client.query(format!("KILL {id}")).expect("it is ours");
    assert!(busy.read_answer(false).is_err());
    let idle = find(&mut client, &id);
    assert_eq!(idle, Vec::<String>::new());
}

/// Goal: a session without a database, which cannot leave the one of an idle connection and so
/// gets a new connection, is in the list with what it runs, and the server's id of it is known.
#[test]
fn the_list_of_sessions_without_a_database() {
    let cluster = single::start("list-without", "");
    let proxy = cluster.proxy();
    let mut others: Vec<_> = (0..8).map(|_| proxy.client("app")).collect();
    for other in &mut others {
        other.query("DO SLEEP(0)").expect("done");
    }
    let mut busy: Vec<_> = (0..4).map(|_| proxy.client("")).collect();
    for client in &mut busy {
        client.command(0x03, b"SELECT SLEEP(30), 'without'").expect("sent");
    }
    let mut client = proxy.client("app");
    let listed = wait_until(Duration::from_secs(10), || {
        let rows = client.query("SHOW FULL PROCESSLIST").expect("rows").texts();
        rows.iter().filter(|row| row[7] == "SELECT SLEEP(30), 'without'").count() == busy.len()
    });
    assert!(listed, "{:?}", client.query("SHOW FULL PROCESSLIST").expect("rows").texts());
    let threads = "SELECT id FROM information_schema.processlist WHERE info LIKE '%''without'''";
    for row in client.query(threads).expect("rows").texts() {
        client.query(format!("KILL {}", row[0])).expect("it is ours");
    }
    for client in &mut busy {
        assert!(client.read_answer(false).is_err());
    }
}

/// Goal: SHOW STATUS tells the encryption of the client's connection, which has none here.
#[test]
fn encryption_in_show_status() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    let rows = client.query("SHOW STATUS LIKE 'Ssl_cipher'").expect("a row").texts();
    assert_eq!(rows, [["Ssl_cipher", ""]]);
    let rows = client.query("SHOW SESSION STATUS").expect("rows").texts();
    assert!(rows.len() > 100 && rows.contains(&vec!["Ssl_version".into(), String::new()]));
}

/// Goal: KILL takes expressions, and who kills itself is told as by a server.
#[test]
fn kill_by_expressions() {
    let cluster = SINGLE.watched();
    let proxy = cluster.proxy();
    let mut client = proxy.client("app");
    let error = client.query("KILL QUERY CONNECTION_ID()").expect_err("interrupted");
    assert_eq!(error.to_string(), "ERROR 1317 (70100): Query execution was interrupted");
    let mut victim = proxy.client("app");
    client.query(format!("SET @victim = {}", victim.connection_id)).expect("done");
    client.query("KILL @victim + 0").expect("it is ours");
    assert_eq!(victim.read_reply().expect_err("closed").errno(), 0);
    // The session is closed before it is struck off the list.
    let mut again = client.query("KILL @victim");
    while again.is_ok() {
        again = client.query("KILL @victim");
    }
    assert_eq!(again.expect_err("it is gone").errno(), 1094);
    let error = client.query("KILL CONNECTION_ID()").expect_err("killed");
    assert_eq!(error.to_string(), "ERROR 1927 (70100): Connection was killed");
    assert_eq!(client.ping().expect_err("closed").errno(), 0);
}

/// Goal: a wrong password is answered in a server's words.
#[test]
fn a_wrong_password() {
    let cluster = SINGLE.watched();
    let login = Login { password: "wrong".into(), ..Login::test("app") };
    let refused = Client::connect(cluster.proxy().socket_address(), &login).err();
    let text =
        "ERROR 1045 (28000): Access denied for user 'test'@'127.0.0.1' (using password: YES)";
    assert_eq!(refused.map(|error| error.to_string()).as_deref(), Some(text));
}

/// Goal: a procedure that reads through a cursor of its own answers with rows, in text and
/// prepared, to clients of the older form of result sets too.
#[test]
fn a_procedure_with_a_cursor() {
    let cluster = SINGLE.watched();
    let login = Login { capabilities: 0, ..Login::test("app") };
    let mut client = Client::connect(cluster.proxy().socket_address(), &login).expect("a login");
    client.query("CREATE TABLE read_by_cursor (a INT)").expect("a new table");
    client.query("INSERT INTO read_by_cursor VALUES (1), (2)").expect("rows");
    let procedure = "CREATE PROCEDURE reads_by_cursor() BEGIN DECLARE v INT; \
        DECLARE done INT DEFAULT FALSE; DECLARE c CURSOR FOR SELECT a FROM read_by_cursor; \
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE; OPEN c; \
        all_of_it: LOOP FETCH c INTO v; IF done THEN LEAVE all_of_it; END IF; SELECT v; END LOOP; \
        CLOSE c; END";
    client.query(procedure).expect("a new procedure");
    let values = |answers: Vec<Answer>| -> Vec<String> {
        answers.iter().filter(|answer| !answer.columns.is_empty()).map(Answer::scalar).collect()
    };
    let answers = client.query_all("CALL reads_by_cursor()").expect("rows");
    assert_eq!(values(answers), ["1", "2"]);
    let statement = client.prepare("CALL reads_by_cursor()").expect("prepared");
    let mut answers = vec![client.execute(&statement, &[]).expect("rows")];
    while answers.last().is_some_and(|last| last.status & SERVER_MORE_RESULTS != 0) {
        answers.push(client.read_answer(true).expect("rows"));
    }
    assert_eq!(values(answers), ["1", "2"]);
    assert_eq!(client.query("SELECT 3").expect("a row").scalar(), "3");
}

/// Goal: transactions are begun and ended by prepared statements over several shards, too.
#[test]
fn prepared_transactions_over_shards() {
    if SOFTWARE.is_mysql() {
        println!("skipped: MySQL prepares no BEGIN");
        return;
    }
    let shop = SHOP.watched();
    let table = scratch_table();
    let mut client = shop.proxy().client("shop");
    let [begin, rollback, commit, start] =
        ["BEGIN", "ROLLBACK", "COMMIT", "START TRANSACTION READ WRITE"]
            .map(|sql| client.prepare(sql).expect("a statement"));
    for (first, last, rows) in [(&begin, &rollback, "0"), (&start, &commit, "4")] {
        client.execute(first, &[]).expect("begun");
        let insert = format!("INSERT INTO {table} (id, k) VALUES (1, 1), (2, 2), (3, 3), (4, 4)");
        client.query(insert).expect("rows");
        client.execute(last, &[]).expect("ended");
        let count = client.query(format!("SELECT COUNT(*) FROM {table}")).expect("a row");
        assert_eq!(count.scalar(), rows);
    }
}

/// Goal: after a deadlock on one of several shards nothing of the transaction is left, as its error
/// says: the client may begin the next one at once.
#[test]
fn a_deadlock_ends_the_whole_transaction() {
    let shop = SHOP.watched();
    let table = scratch_table();
    let mut client = shop.proxy().client("shop");
    let rows: Vec<String> = (1..=40).map(|id| format!("({id}, 0)")).collect();
    client.query(format!("INSERT INTO {table} (id, k) VALUES {}", rows.join(", "))).expect("rows");
    let [near, far] = [RANGES[0], RANGES[2]].map(|range| {
        let mut client = shop.proxy().client(&format!("shop:{range}"));
        let rows = client.query(format!("SELECT id FROM {table} ORDER BY id LIMIT 2"));
        rows.expect("two rows").texts().concat()
    });
    let mut both: Vec<_> = (0..2).map(|_| shop.proxy().client("shop")).collect();
    for (client, id) in both.iter_mut().zip(&near) {
        client.query("BEGIN").expect("begun");
        client.query(format!("UPDATE {table} SET k = k + 1 WHERE id = {id}")).expect("a row");
    }
    let deadlocks = thread::scope(|scope| {
        let running = both.iter_mut().zip(&far).map(|(client, own)| {
            let ids = format!("{}, {}, {own}", near[0], near[1]);
            let update = format!("UPDATE {table} SET k = k + 1 WHERE id IN ({ids})");
            scope.spawn(move || match client.query(update) {
                Ok(_) => client.query("COMMIT").map(|_| 0).expect("committed"),
                Err(error) => {
                    assert_eq!(error.errno(), 1213, "{error}");
                    client.query("BEGIN").expect("nothing of the transaction is left");
                    client.query("COMMIT").map(|_| 1).expect("committed")
                }
            })
        });
        let running: Vec<_> = running.collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).sum::<u32>()
    });
    assert_eq!(deadlocks, 1);
    let sum = client.query(format!("SELECT SUM(k) FROM {table}")).expect("a row");
    assert_eq!(sum.scalar(), "4", "one transaction of two statements, and it is whole");
}

/// Goal: no client changes Geogate's own account at the server, however it says so.
#[test]
fn ones_own_account_is_geogates() {
    let cluster = SINGLE.watched();
    let mut client = cluster.proxy().client("app");
    // MySQL's own words for it, where it has others.
    let mysql = SOFTWARE.is_mysql();
    let [own, named, granted] = if mysql {
        [
            "SET PASSWORD = 'x'",
            "SET PASSWORD FOR CURRENT_USER() = 'x'",
            "GRANT USAGE ON *.* TO CURRENT_USER()",
        ]
    } else {
        [
            "SET PASSWORD = PASSWORD('x')",
            "SET PASSWORD FOR CURRENT_USER() = PASSWORD('x')",
            "GRANT USAGE ON *.* TO CURRENT_USER() IDENTIFIED BY 'x'",
        ]
    };
    for sql in [
        own,
        named,
        "ALTER USER CURRENT_USER() IDENTIFIED BY 'x'",
        "DROP USER CURRENT_USER",
        granted,
        "/* by the way */ SET @a = 1; SET DEFAULT ROLE NONE",
    ] {
        let quoted = format!("'{}'", sql.replace('\'', "''"));
        let mut texts = vec![sql.to_owned(), format!("PREPARE own FROM {quoted}; EXECUTE own")];
        if !mysql {
            texts.push(format!("EXECUTE IMMEDIATE {quoted}"));
        }
        let mut refused: Vec<String> = Vec::new();
        for text in &texts {
            let ran = text.split("; ").map(|sql| client.query(sql)).find_map(Result::err);
            refused.extend(ran.map(|error| error.to_string()));
        }
        if !sql.contains(';') {
            refused.extend(client.prepare(sql).err().map(|error| error.to_string()));
        }
        // What is no single statement cannot be prepared at all.
        let wanted = if sql.contains(';') { 1 } else { 1 + texts.len() };
        let told = refused.iter().filter(|error| error.contains("GG12006")).count();
        assert!(told >= wanted, "{sql}: {refused:?}");
    }
    client.query("SET PASSWORD FOR nobody = PASSWORD('x')").expect_err("there is no such account");
}
