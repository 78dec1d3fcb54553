//! What a session sets, and the warnings that it makes, belong to it alone, whoever else uses the
//! connection: every packet is compared with that of a session of its own at the server.

use crate::shared_statements::{Bound, PROBED, Pair, fixed, proxy_with, text};
use crate::single::SINGLE;
use crate::software::SOFTWARE;

/// What a session may set that could decide how a statement is read, or what it gives.
const SETTINGS: &[&str] = &[
    "SET sql_mode = 'ANSI_QUOTES'",
    "SET sql_mode = 'PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
    "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE'",
    "SET sql_mode = 'IGNORE_SPACE,PAD_CHAR_TO_FULL_LENGTH'",
    "SET sql_mode = 'NO_ZERO_DATE,STRICT_ALL_TABLES'",
    "SET NAMES latin1",
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET collation_connection = utf8mb4_unicode_ci",
    "SET character_set_results = latin1",
    "SET character_set_results = NULL",
    "SET time_zone = '+05:30'",
    "SET timestamp = 1000000000",
    "SET div_precision_increment = 7",
    "SET group_concat_max_len = 5",
    "SET default_week_format = 3",
    "SET lc_time_names = 'de_DE'",
    "SET sql_select_limit = 1",
    "SET sql_auto_is_null = 0",
    "SET max_sort_length = 8",
    "SET optimizer_switch = 'derived_merge=off'",
    "SET optimizer_prune_level = 0",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "USE app_a",
];

/// Shows what they do.
const PROBE: &str = "SELECT id, \"v\", 'a\\n' 'b', 'x' || 'y', 5 - v, v / 3, NOT 1 BETWEEN -5 AND 5, \
     COLLATION('a'), CHARSET(CONCAT('a', ?)), HEX('\u{e4}'), c, LENGTH(c), \
     CAST(? AS UNSIGNED) - 1 < 0, FROM_UNIXTIME(86400), NOW() = FROM_UNIXTIME(1000000000), \
     WEEK('2024-12-31'), DATE_FORMAT('2024-03-01', '%M'), DATABASE(), \
     (SELECT GROUP_CONCAT(v ORDER BY v) FROM defined) FROM defined WHERE id <= ? ORDER BY c, id";

/// Goal: what one session sets decides nothing of another's statements, whatever is set later and
/// even when a definition has the server prepare them again, under the settings of whoever
/// executes them then.
#[test]
fn settings_of_others() {
    let _cluster = SINGLE.watched();
    let proxy = proxy_with("settings", 1);
    let mut owner = SINGLE.shards[0].primary.client("app");
    for database in ["app", "app_a"] {
        let table = format!(
            "CREATE TABLE {database}.defined (id INT PRIMARY KEY, v INT UNSIGNED, c CHAR(5))"
        );
        owner.query(table).expect("a table");
        let rows = format!(
            "INSERT INTO {database}.defined VALUES (1, 1{0}, 'b'), (2, 2{0}, 'a')",
            database.len()
        );
        owner.query(rows).expect("rows");
    }
    let number = fixed("BIGINT 2", 8, &2_i64.to_le_bytes());
    let unsigned = Bound { unsigned: true, ..fixed("UNSIGNED 0", 8, &0_i64.to_le_bytes()) };
    let word = text("text", 253, "w");
    let params = [&word, &unsigned, &number];
    for (round, setting) in SETTINGS.iter().enumerate() {
        let mut pairs = [Pair::new(&proxy), Pair::new(&proxy), Pair::new(&proxy)];
        let all = |pairs: &mut [Pair; 3], what: &str| {
            for who in [0, 1, 2, 1, 0] {
                let same = pairs[who].step(0, &params);
                assert_eq!(same, Ok(()), "{setting}, {what}, session {who}");
            }
        };
        let alter = |number: usize| {
            let sql = format!("ALTER TABLE defined ADD COLUMN c{round}_{number} INT");
            proxy.client("app").query(&sql).expect("ok");
            proxy.client("app_a").query(&sql).expect("ok");
        };
        // The first has other settings at PREPARE, the second from then on.
        pairs[0].set(setting);
        for pair in &mut pairs {
            pair.prepare(PROBED, PROBE);
        }
        all(&mut pairs, "prepared");
        pairs[1].set(setting);
        all(&mut pairs, "set since");
        alter(1);
        all(&mut pairs, "defined since");
        pairs[0].set("SET sql_mode = DEFAULT, time_zone = DEFAULT, div_precision_increment = 9");
        pairs[0].set("SET NAMES utf8mb4");
        all(&mut pairs, "set again");
        alter(2);
        all(&mut pairs, "defined again");
        for pair in &mut pairs {
            pair.statements.clear();
            pair.prepare(PROBED, PROBE);
        }
        all(&mut pairs, "prepared again");
    }
}

/// Goal: nobody sees what another session's statement was warned of.
#[test]
fn warnings_of_others() {
    let cluster = SINGLE.watched();
    let proxy = proxy_with("warnings", 1);
    let mut owner = cluster.shards[0].primary.client("app");
    let reads = "CREATE PROCEDURE reads_diagnostics() BEGIN \
         GET DIAGNOSTICS @n = NUMBER; \
         GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT; SELECT @n, @m; END";
    owner.query(reads).expect("a procedure");
    let (mut one, mut two) = (proxy.client("app"), proxy.client("app"));
    let secrets = [
        "SELECT CAST('s3cret-literal' AS SIGNED)",
        "SELECT CAST('s3cret-literal' AS DECIMAL(5,1)) FROM bound LIMIT 1",
        "SELECT * FROM `s3cret-literal`",
        "SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 's3cret-literal'",
        "CALL `s3cret-literal`()",
    ];
    let looks: [&[&str]; 8] = [
        &["SELECT 1", "SHOW WARNINGS"],
        &["SELECT 1", "SHOW ERRORS"],
        &["DO 1", "SHOW COUNT(*) WARNINGS", "SHOW WARNINGS LIMIT 5"],
        &["SET @a = 1", "SHOW WARNINGS"],
        &["GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT", "SELECT @m"],
        &["CALL reads_diagnostics()"],
        &["SELECT @@warning_count, @@error_count"],
        &["BEGIN", "SHOW WARNINGS", "SHOW ERRORS", "ROLLBACK"],
    ];
    for own in [None, Some("SELECT CAST('own' AS SIGNED)")] {
        for secret in secrets {
            for look in looks {
                if let Some(own) = own {
                    two.query(own).expect("a warning");
                }
                let _ = one.query_all(secret);
                for sql in look {
                    let seen = match two.query_all(*sql) {
                        Ok(answers) => {
                            format!("{:?}", answers.iter().map(|a| a.texts()).collect::<Vec<_>>())
                        }
                        Err(error) => error.to_string(),
                    };
                    assert!(!seen.contains("s3cret"), "{secret}, then {sql}: {seen}");
                    if own.is_none() && sql.starts_with("SELECT @@warning") {
                        assert!(seen.contains("\"0\", \"0\""), "{secret}, then {sql}: {seen}");
                    }
                }
                let clean = two.query("SELECT COUNT(*) FROM bound").expect("a row");
                assert_eq!(clean.warnings, 0);
            }
        }
    }
    // One's own stay, where the server keeps them too.
    two.query("SELECT CAST('own' AS SIGNED)").expect("a warning");
    one.query("SELECT CAST('s3cret' AS SIGNED)").expect("a warning");
    let shown = two.query("SHOW WARNINGS").expect("rows").texts();
    assert!(shown[0][2].contains("own"), "{shown:?}");
    if !SOFTWARE.is_mysql() {
        two.query("SELECT 1").expect("a row");
        one.query("SELECT CAST('s3cret' AS SIGNED)").expect("a warning");
        let shown = two.query("SHOW WARNINGS").expect("rows").texts();
        assert!(shown[0][2].contains("own"), "{shown:?}");
    }
}
