//! What a session has over several servers: followed for all of them, or refused by name.

use crate::session_state::{ONE, SHARDS, play};
use crate::software::SOFTWARE;

/// Goal: over shards what was found or written is counted for the session.
#[test]
fn counts_over_shards() {
    play(
        &SHARDS,
        &[&[
            "INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)",
            "SELECT ROW_COUNT()",
            "UPDATE t SET s = 'x' WHERE id < 4",
            "SELECT ROW_COUNT()",
            "SELECT CAST('1x' AS SIGNED) FROM t WHERE id = 3",
            "SELECT @@warning_count, @@error_count",
        ]],
    );
}

/// Goal: FOUND_ROWS() counts what all shards have given together.
#[test]
fn found_rows_over_shards() {
    let _watched = SHARDS.cluster.watched();
    let _turn = SHARDS.turn();
    let [mut client, _] = SHARDS.pair(true);
    // In a transaction: other tests clear the table.
    client.query("BEGIN").expect("a transaction");
    let rows = "INSERT INTO u (id, a) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)";
    client.query(rows).expect("rows");
    for (sql, found) in [
        ("SELECT id FROM u WHERE id = 3", "1"),
        ("SELECT id FROM u WHERE id > 0", "6"),
        ("SELECT id FROM u WHERE id > 0 ORDER BY id LIMIT 2", "2"),
        ("SELECT SQL_CALC_FOUND_ROWS id FROM u WHERE id = 3 LIMIT 1", "1"),
    ] {
        client.query(sql).expect("rows");
        let counted = client.query("SELECT FOUND_ROWS(), 1").expect("a row").texts();
        assert_eq!(counted, [[found, "1"]], "{sql}");
    }
    client.query("ROLLBACK").expect("it ends");
}

/// Goal: user variables that shards have set are the session's, under LOCK TABLES too.
#[test]
fn user_variables_of_shards() {
    let steps = [
        "INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)",
        "LOCK TABLES t WRITE",
        "SELECT a INTO @v FROM t WHERE id = 4",
        "INSERT INTO t (id, a) VALUES (11, @v), (12, @v), (13, @v), (14, @v), (15, @v)",
        "SELECT @v",
        "UPDATE t SET s = 'x'",
        "SELECT @v",
        "UNLOCK TABLES",
        "SELECT @v, SUM(a), COUNT(s) FROM t WHERE id = 13",
        "SELECT @w := a FROM t WHERE id = 6",
        "UPDATE t SET a = (@z := a + 1) WHERE id = 6",
        "SELECT @w, @z, @@autocommit",
        "BEGIN",
        "SELECT a INTO @v FROM t WHERE id = 5",
        "ROLLBACK",
        "SELECT @v",
    ];
    play(&SHARDS, &[&steps]);
}

/// Goal: over several servers what cannot be kept is refused by name, and nothing of it is done.
#[test]
fn what_several_servers_cannot_keep_is_refused() {
    let _watched = SHARDS.cluster.watched();
    let _turn = SHARDS.turn();
    let [mut client, _] = SHARDS.pair(true);
    for sql in [
        "SET sql_select_limit = 2",
        "SET sql_auto_is_null = 1",
        "SET rand_seed1 = 1, rand_seed2 = 2",
        "SET insert_id = 3",
        "SET pseudo_thread_id = 5",
        "SET profiling = 1",
        "SET @q = (SELECT COUNT(*) FROM t)",
        "SET GLOBAL max_connections = 100",
        "CREATE TEMPORARY TABLE tmp (n INT)",
        "FLUSH TABLES WITH READ LOCK",
        "HANDLER t OPEN",
        "XA START 'x'",
        "CALL anything()",
        "DO 1",
        "SELECT COUNT(*) INTO @v FROM t",
        "UPDATE t SET a = (@y := 4)",
        "SELECT IS_USED_LOCK('a') = CONNECTION_ID()",
        "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 2",
    ] {
        let error = client.query(sql).map(drop).expect_err(sql);
        assert!(error.to_string().contains("GG12001"), "{sql}: {error}");
    }
    for sql in ["SET sql_select_limit = DEFAULT", "SET sql_auto_is_null = 0", "SELECT 1 FROM t"] {
        client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
    let _turn = ONE.turn();
    let [mut one, _] = ONE.pair(true);
    let error = one.query("SET sql_auto_is_null = 1").map(drop).expect_err("it is refused");
    assert!(error.to_string().contains("GG12001"), "{error}");
    let hint = "SELECT /*+ SET_VAR(sql_select_limit = 2) */ id FROM t WHERE id > 0";
    match client.query(hint) {
        Err(error) => assert!(error.to_string().contains("SET_VAR"), "{error}"),
        Ok(_) => assert!(!SOFTWARE.is_mysql(), "it is no comment there"),
    }
    if !SOFTWARE.is_mysql() {
        let sql = "SET STATEMENT max_statement_time = 4 FOR SELECT id FROM t WHERE id = 3";
        let error = client.query(sql).map(drop).expect_err("it is refused");
        assert!(error.to_string().contains("SET STATEMENT"), "{error}");
    }
}

/// Goal: characteristics of the next transaction count for a statement that goes to several.
#[test]
fn the_next_transaction_over_shards() {
    let insert = "INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)";
    play(
        &SHARDS,
        &[
            &["SET TRANSACTION READ ONLY", insert, "SELECT COUNT(*) FROM t", insert],
            &["SET SESSION TRANSACTION READ ONLY", insert, "SELECT COUNT(*) FROM t"],
            &["SET @@session.transaction_read_only = 1", insert, "SELECT COUNT(*) FROM t"],
            &[
                "SET autocommit = 0",
                "SET TRANSACTION READ ONLY",
                insert,
                "ROLLBACK",
                insert,
                "COMMIT",
            ],
            &["START TRANSACTION READ ONLY", insert, "COMMIT", "SELECT COUNT(*) FROM t"],
            &[
                "SET TRANSACTION READ ONLY",
                "SELECT COUNT(*) FROM t",
                insert,
                "SELECT COUNT(*) FROM t",
            ],
            &[insert, "SET TRANSACTION READ ONLY", "UPDATE t SET a = 7", "SELECT SUM(a) FROM t"],
            &[
                insert,
                "SET TRANSACTION READ ONLY",
                "DELETE FROM t WHERE id IN (1, 2, 3)",
                "SELECT SUM(a) FROM t",
            ],
        ],
    );
}
