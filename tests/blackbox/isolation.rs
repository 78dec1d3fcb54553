//! The leak checker: two hundred clients on sixteen server connections, each with settings,
//! database, variables, transactions, temporary tables and locks of its own.
//!
//! Goal: no session ever sees what another one set, wrote or was told. Method: whatever changes the
//! session is run through the proxy and on a *twin*, a connection straight to the server; what the
//! session then reads of itself must be equal. Rows are checked against a count that the client
//! keeps. Random but seeded: `GEOGATE_SEED=n` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use crate::client::{Answer, Client, Login, Parameter, Prepared, capability};
use crate::cluster::Cluster;
use crate::single::{self, Random};
use crate::software::SOFTWARE;

const CLIENTS: u64 = 200;
const LIMITS: &str = "[limits]\nserver_connections_max = 16\nserver_connection_wait_ms = 60000\n";

/// What a session can read of itself.
const SELF_PORTRAIT: &str = "SELECT DATABASE(), @@sql_mode, @@time_zone, @@character_set_client, \
     @@character_set_results, @@character_set_connection, @@collation_connection, @@tx_isolation, \
     @@tx_read_only, @@group_concat_max_len, @@innodb_lock_wait_timeout, @@autocommit, \
     @@foreign_key_checks, @@lc_time_names, @a, @b, @`odd name`";

/// Goal: nothing leaks between sessions in twenty seconds of everything at once.
#[test]
fn sessions_do_not_leak() {
    check(Duration::from_secs(20));
}

/// Goal: the same for minutes; for `tests/run.sh --long`.
#[test]
#[ignore = "takes minutes; tests/run.sh --long runs it"]
fn sessions_do_not_leak_for_long() {
    check(Duration::from_secs(240));
}

fn check(duration: Duration) {
    let seed = env::var("GEOGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("the clock is after 1970").as_millis() as u64
    });
    println!("GEOGATE_SEED={seed}");
    let cluster = single::start("isolation", LIMITS);
    let cluster = cluster.watched();
    for database in ["app", "app_a", "app_b"] {
        let mut client = cluster.shards[0].primary.client(database);
        client
            .query("CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, owner INT, KEY (owner))")
            .expect("a table");
        client.query("CREATE TABLE marker (name VARCHAR(20))").expect("a table");
        client.query(format!("INSERT INTO marker VALUES ('{database}')")).expect("a row");
    }
    for routine in [
        "CREATE PROCEDURE app.set_a(n INT) SET @a = n",
        "CREATE FUNCTION app.set_b(n INT) RETURNS INT NO SQL BEGIN SET @b = n; RETURN n; END",
    ] {
        cluster.shards[0].primary.sql(routine);
    }
    cluster.proxy();
    let end = Instant::now() + duration;
    let (steps, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (cluster, steps, failed) = (&cluster, &steps, &failed);
            scope.spawn(move || {
                let mut subject = Subject::new(cluster, number, seed);
                while Instant::now() < end && !failed.load(Ordering::Relaxed) {
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        subject.step();
                    }));
                    if let Err(panic) = result {
                        failed.store(true, Ordering::Relaxed);
                        eprintln!("client {number}, last statements: {:#?}", subject.history);
                        std::panic::resume_unwind(panic);
                    }
                    steps.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} steps", steps.load(Ordering::Relaxed));
    assert!(steps.load(Ordering::Relaxed) > CLIENTS * 5, "hardly anything was checked");
}

/// One client and its twin.
struct Subject {
    number: u64,
    random: Random,
    proxy: Client,
    twin: Client,
    /// Committed rows of this client, by database.
    rows: [u64; 3],
    database: usize,
    marker: Option<Prepared>,
    history: Vec<String>,
}

const DATABASES: [&str; 3] = ["app", "app_a", "app_b"];

impl Subject {
    fn new(cluster: &Cluster, number: u64, seed: u64) -> Self {
        let mut random = Random::new(seed ^ (number << 32));
        // A client in five names no database at login.
        let database = random.below(5) > 0;
        let capabilities = [
            capability::DEPRECATE_EOF,
            0,
            capability::DEPRECATE_EOF | capability::SESSION_TRACK,
            capability::DEPRECATE_EOF | capability::FOUND_ROWS,
        ];
        // Most share a form, so that connections change hands.
        let capabilities =
            if number.is_multiple_of(8) { *random.pick(&capabilities) } else { capabilities[0] };
        let login = Login { capabilities, ..Login::test(if database { "app" } else { "" }) };
        let connect = |address| {
            Client::connect(address, &login).unwrap_or_else(|error| panic!("login: {error}"))
        };
        let mut subject = Self {
            number,
            random,
            proxy: connect(cluster.proxy().socket_address()),
            twin: connect(cluster.shards[0].primary.socket_address()),
            rows: [0; 3],
            database: 0,
            marker: None,
            history: Vec::new(),
        };
        subject.compare_portraits();
        subject
    }

    fn note(&mut self, what: impl Into<String>) {
        self.history.push(what.into());
        if self.history.len() > 60 {
            self.history.remove(0);
        }
    }

    fn sql(&mut self, sql: &str) -> Answer {
        let sql = &*SOFTWARE.words(sql);
        self.note(sql);
        self.proxy
            .query(sql)
            .unwrap_or_else(|error| panic!("client {}: {error}: {sql}", self.number))
    }

    fn both(&mut self, sql: &str) {
        let sql = &*SOFTWARE.words(sql);
        let ours = self.sql(sql);
        let theirs = self.twin.query(sql).unwrap_or_else(|error| panic!("twin: {error}: {sql}"));
        assert_eq!(ours.texts(), theirs.texts(), "client {}: {sql}", self.number);
        assert_eq!(ours.warnings, theirs.warnings, "client {}: {sql}", self.number);
    }

    fn compare_portraits(&mut self) {
        self.both(SELF_PORTRAIT);
    }

    fn step(&mut self) {
        match self.random.below(15) {
            0..=2 => self.change_setting(),
            3 => self.change_database(),
            4 => self.insert_and_ask(),
            5 => self.warnings(),
            6 => self.transaction(),
            7 => self.temporary_table(),
            8 => self.lock(),
            9 => self.found_rows(),
            10 => self.prepared(),
            11 => self.errors(),
            13 => self.hidden_variable(),
            12 => self.expression_setting(),
            _ => {}
        }
        self.compare_portraits();
    }

    fn change_setting(&mut self) {
        let number = self.random.below(1000);
        let statement = match self.random.below(15) {
            0 => format!("SET @a = {number}"),
            1 => format!("SET @b = 'text {number}'"),
            2 => format!("SET @`odd name` = {number}.5"),
            3 => (*self.random.pick(&[
                "SET NAMES latin1",
                "SET NAMES utf8mb4",
                "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
                "SET NAMES gbk",
                "SET CHARACTER SET latin1",
                "SET character_set_results = NULL",
                "SET collation_connection = 'latin2_bin'",
                "SET character_set_client = sjis",
            ]))
            .to_owned(),
            4 => (*self.random.pick(&[
                "SET sql_mode = ''",
                "SET sql_mode = 'ANSI_QUOTES'",
                "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'",
                "SET sql_mode = DEFAULT",
            ]))
            .to_owned(),
            5 => format!("SET time_zone = '+{:02}:00'", number % 13),
            6 => (*self.random.pick(&[
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET SESSION tx_isolation = 'READ-UNCOMMITTED'",
            ]))
            .to_owned(),
            7 => format!("SET group_concat_max_len = {}", 1000 + number),
            8 => format!("SET @@session.innodb_lock_wait_timeout = {}", 5 + number % 20),
            9 => format!("SET @a = {number}, group_concat_max_len = {}, @b = NULL", 2000 + number),
            10 => format!("SET foreign_key_checks = {}", number % 2),
            11 => format!(
                "SET lc_time_names = '{}'",
                ["de_DE", "en_US", "fr_FR"][number as usize % 3]
            ),
            12 => "SET group_concat_max_len = DEFAULT".to_owned(),
            13 => "SET @a = NULL".to_owned(),
            _ => "SET SESSION TRANSACTION READ WRITE".to_owned(),
        };
        self.both(&statement);
    }

    /// Settings whose value only the server knows.
    fn expression_setting(&mut self) {
        let statement = *self.random.pick(&[
            "SET sql_mode = CONCAT(@@sql_mode, ',NO_ZERO_DATE')",
            "SET group_concat_max_len = @@group_concat_max_len + 1",
            "SET time_zone = CONCAT('+0', '3:00')",
        ]);
        self.both(statement);
    }

    fn change_database(&mut self) {
        self.database = self.random.below(3) as usize;
        let name = DATABASES[self.database];
        if self.random.below(2) == 0 {
            self.both(&format!("USE {name}"));
        } else {
            self.note(format!("COM_INIT_DB {name}"));
            self.proxy.use_database(name).expect("it exists");
            self.twin.use_database(name).expect("it exists");
        }
    }

    fn insert_and_ask(&mut self) {
        let (owner, name) = (self.number, DATABASES[self.database]);
        let answer = self.sql(&format!("INSERT INTO {name}.t (owner) VALUES ({owner}), ({owner})"));
        assert_eq!(answer.affected, 2);
        self.rows[self.database] += 2;
        let id = answer.last_insert_id;
        let asked = self.sql("SELECT ROW_COUNT()").scalar();
        assert_eq!(asked, "2", "ROW_COUNT() of client {owner}");
        assert_eq!(self.sql("SELECT LAST_INSERT_ID()").scalar(), id.to_string());
        let mine = self.sql(&format!("SELECT owner FROM {name}.t WHERE id = LAST_INSERT_ID()"));
        assert_eq!(mine.scalar(), owner.to_string());
        if self.random.below(3) == 0 {
            let set = 1_000_000 + owner;
            self.sql(&format!("SELECT LAST_INSERT_ID({set})"));
            assert_eq!(self.sql("SELECT LAST_INSERT_ID()").scalar(), set.to_string());
        }
        let updated = self.sql(&format!("UPDATE {name}.t SET owner = owner WHERE owner = {owner}"));
        let counted = self.sql("SELECT ROW_COUNT()").scalar();
        assert_eq!(counted, updated.affected.to_string(), "ROW_COUNT() of client {owner}");
        self.count_rows();
    }

    fn count_rows(&mut self) {
        let (owner, name) = (self.number, DATABASES[self.database]);
        let count = self.sql(&format!("SELECT COUNT(*) FROM {name}.t WHERE owner = {owner}"));
        assert_eq!(count.scalar(), self.rows[self.database].to_string(), "rows of client {owner}");
    }

    fn warnings(&mut self) {
        let text = format!("{}x{}", self.number, self.random.below(1000));
        let answer = self.sql(&format!("SELECT CAST('{text}' AS SIGNED)"));
        assert_eq!(answer.warnings, 1);
        let warnings = self.sql("SHOW WARNINGS");
        assert_eq!(warnings.rows.len(), 1, "client {}: {:?}", self.number, warnings.texts());
        assert!(warnings.texts()[0][2].contains(&text), "{:?}", warnings.texts());
        assert_eq!(self.sql("SHOW COUNT(*) WARNINGS").scalar(), "1");
        // MariaDB keeps them until a statement uses a table.
        self.sql("SELECT COUNT(*) FROM app.marker");
        assert!(self.sql("SHOW WARNINGS").rows.is_empty());
    }

    fn errors(&mut self) {
        let name = format!("no_such_{}", self.number);
        let sql = format!("SELECT * FROM app.{name}");
        self.note(&sql);
        let error = self.proxy.query(&sql).expect_err("no such table");
        assert_eq!(error.errno(), 1146);
        assert!(error.to_string().contains(&name), "{error}");
        let shown = self.sql("SHOW WARNINGS").texts();
        assert!(shown.len() == 1 && shown[0][2].contains(&name), "{shown:?}");
    }

    fn transaction(&mut self) {
        let (owner, name) = (self.number, DATABASES[self.database]);
        let begin = *self.random.pick(&["BEGIN", "START TRANSACTION", "SET autocommit = 0"]);
        self.both(begin);
        let mut pending = 0;
        for _ in 0..=self.random.below(3) {
            self.sql(&format!("INSERT INTO {name}.t (owner) VALUES ({owner})"));
            pending += 1;
        }
        self.compare_portraits();
        if self.random.below(3) == 0 {
            self.change_setting();
        }
        self.rows[self.database] += pending;
        self.count_rows();
        if self.random.below(2) == 0 {
            self.rows[self.database] -= pending;
            self.both("ROLLBACK");
        } else {
            self.both("COMMIT");
        }
        if begin.starts_with("SET") {
            self.both("SET autocommit = 1");
        }
        self.count_rows();
    }

    /// A temporary table keeps a connection, so the session is reset soon.
    fn temporary_table(&mut self) {
        self.sql("CREATE TEMPORARY TABLE app.scratch (owner INT)");
        self.sql(&format!("INSERT INTO app.scratch VALUES ({})", self.number));
        self.compare_portraits();
        assert_eq!(self.sql("SELECT owner FROM app.scratch").texts(), [[self.number.to_string()]]);
        self.reset();
        let error = self.proxy.query("SELECT * FROM app.scratch").expect_err("it is gone");
        assert_eq!(error.errno(), 1146);
    }

    fn lock(&mut self) {
        let lock = format!("lock_{}", self.random.below(4));
        let got = self.sql(&format!("SELECT GET_LOCK('{lock}', 0)")).scalar();
        if got == "1" {
            let held = self.sql(&format!("SELECT IS_FREE_LOCK('{lock}')")).scalar();
            assert_eq!(held, "0", "{lock} of client {}", self.number);
            if self.random.below(2) == 0 {
                assert_eq!(self.sql(&format!("SELECT RELEASE_LOCK('{lock}')")).scalar(), "1");
            }
        }
        self.reset();
        // Nobody's lock is ours now.
        let released = self.sql(&format!("SELECT RELEASE_LOCK('{lock}')")).scalar();
        assert_ne!(released, "1", "{lock} of client {}", self.number);
        self.reset();
    }

    /// Variables that are set where only the server sees it, or where a parameter hides the value.
    fn hidden_variable(&mut self) {
        let number = self.random.below(1000) as i64;
        match self.random.below(4) {
            0 => self.both(&format!("CALL app.set_a({number})")),
            1 => self.both(&format!("SELECT app.set_b({number})")),
            2 => self.both(&format!("SELECT @a := {number}")),
            _ => {
                self.note(format!("SET @a = ?, executed with {number}"));
                for client in [&mut self.proxy, &mut self.twin] {
                    let set = client.prepare("SET @a = ?").expect("a statement");
                    client.execute(&set, &[Parameter::Int(number)]).expect("ok");
                }
            }
        }
        self.compare_portraits();
        self.reset();
    }

    fn reset(&mut self) {
        self.note("COM_RESET_CONNECTION");
        self.proxy.reset().expect("a reset");
        self.twin.reset().expect("a reset");
        self.marker = None;
        self.compare_portraits();
    }

    fn found_rows(&mut self) {
        let wanted = 3 + self.random.below(5);
        // A client may have no database yet, and even a made-up table needs one.
        self.both(&format!("USE {}", DATABASES[self.database]));
        let series = SOFTWARE.series(wanted);
        let from = if SOFTWARE.is_mysql() { series } else { format!("app.{series}") };
        let series = format!("SELECT seq FROM {from} s");
        self.sql(&format!("SELECT SQL_CALC_FOUND_ROWS seq FROM {from} s LIMIT 1"));
        assert_eq!(self.sql("SELECT FOUND_ROWS()").scalar(), wanted.to_string());
        self.sql(&series);
        assert_eq!(self.sql("SELECT FOUND_ROWS()").scalar(), wanted.to_string());
    }

    /// The same text means another table in another database.
    fn prepared(&mut self) {
        self.both(&format!("USE {}", DATABASES[self.database]));
        let name = DATABASES[self.database];
        self.note("prepare and execute SELECT name FROM marker");
        let statement = self.proxy.prepare("SELECT name, ? FROM marker").expect("a statement");
        for _ in 0..2 {
            let answer = self.proxy.execute(&statement, &[Parameter::Int(self.number as i64)]);
            let answer = answer.unwrap_or_else(|error| panic!("{error}"));
            let number = self.number.to_string();
            assert_eq!(answer.texts(), [[name, number.as_str()]], "client {}", self.number);
        }
        if let Some(old) = self.marker.replace(statement) {
            self.proxy.close(&old).expect("no answer");
        }
    }
}
