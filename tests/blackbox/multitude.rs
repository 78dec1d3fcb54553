//! Thousands of clients on 64 server connections, each with settings, variables, a database and
//! transactions of its own.
//!
//! Goal: no statement ever runs with another session's settings, user variables, database,
//! isolation level, transaction, temporary table or lock, and no client starves. Method: each
//! client keeps a model of what it has done; after every action it reads all of it in one statement
//! and compares. Random but seeded: `GEOGATE_SEED=n` repeats the clients' choices.
//!
//! The clients need a file descriptor each, in the test and in the proxy: `ulimit -n`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use crate::crowd::{Refusal, Rows, Visitor};
use crate::single::{self, Random};
use crate::software::SOFTWARE;

/// Server connections that all share.
const CONNECTIONS: usize = 64;
/// Databases, each with tables `t` and `marker`.
const DATABASES: [&str; 3] = ["app", "app_a", "app_b"];
/// What a client reads of itself.
const PORTRAIT: &str = "SELECT DATABASE(), @@sql_mode, @@time_zone, @@character_set_client, \
     @@collation_connection, @@tx_isolation, @@sql_select_limit, @@autocommit, \
     @@group_concat_max_len, @@foreign_key_checks, @a, @b, @c, CHARSET(@b), @@in_transaction";

/// Goal: a thousand clients, sixty thousand statements, nothing leaks.
#[test]
fn a_thousand_clients_stay_apart() {
    check(1_000, 60_000);
}

/// Goal: the same for ten thousand clients and a million statements.
#[test]
#[ignore = "takes minutes and 10,000 file descriptors; tests/run.sh --long runs it"]
fn ten_thousand_clients_stay_apart() {
    check(10_000, 1_000_000);
}

/// What all clients share.
struct Run {
    statements: AtomicU64,
    /// Statements after which the clients stop.
    end: u64,
    waits: Vec<AtomicU64>,
}

/// Buckets of waiting times, in milliseconds.
const WAITS_MS: [u64; 9] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

fn check(clients: usize, statements: u64) {
    if SOFTWARE.is_mysql() {
        println!("skipped: the clients ask for variables that only MariaDB has");
        return;
    }
    let seed = env::var("GEOGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("the clock is after 1970").as_millis() as u64
    });
    println!("GEOGATE_SEED={seed}");
    let limits = format!(
        "[limits]\nclient_connections_max = {}\nserver_connections_max = {CONNECTIONS}\n\
         server_connection_wait_ms = 300000\n",
        clients + 100
    );
    let cluster = single::start("multitude", &limits);
    let cluster = cluster.watched();
    prepare(&cluster.shards[0].primary, clients);
    let proxy = cluster.proxy();
    let idle_kib = resident_kib(proxy.pid());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let started = Instant::now();
    let address = proxy.socket_address();
    let subjects = runtime.block_on(connect_all(address, clients, seed));
    let connected_in = started.elapsed();
    let connected_kib = resident_kib(proxy.pid());
    let run = Arc::new(Run {
        statements: AtomicU64::new(0),
        end: statements,
        waits: (0..=WAITS_MS.len()).map(|_| AtomicU64::new(0)).collect(),
    });
    let started = Instant::now();
    let results = runtime.block_on(async {
        let tasks: Vec<_> =
            subjects.into_iter().map(|s| tokio::spawn(s.live(Arc::clone(&run)))).collect();
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            results.push(task.await.expect("no client panics"));
        }
        results
    });
    let took = started.elapsed();
    let failures: Vec<&String> = results.iter().filter_map(|r| r.as_ref().err()).collect();
    let shown: Vec<&str> = failures.iter().take(3).map(|failure| failure.as_str()).collect();
    assert!(failures.is_empty(), "{} clients failed:\n{}", failures.len(), shown.join("\n"));
    let done = run.statements.load(Ordering::Relaxed);
    let lives: Vec<Life> = results.into_iter().filter_map(Result::ok).collect();
    report(&lives, &run, done, took);
    let grown = |kib: u64| (kib.saturating_sub(idle_kib) * 1024) / clients as u64;
    println!(
        "{clients} clients in {connected_in:.1?}; the proxy holds {} bytes for each when idle, {} \
         after the run",
        grown(connected_kib),
        grown(resident_kib(proxy.pid())),
    );
    assert!(lives.iter().all(|life| life.statements > 0), "a client starved");
    let open = cluster.shards[0].primary.sql(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info IS NULL OR info NOT LIKE \
         '%processlist%'",
    );
    let open: usize = open.scalar().parse().expect("a number");
    assert!(open <= CONNECTIONS + 16, "{open} server connections are open");
}

fn report(lives: &[Life], run: &Run, done: u64, took: Duration) {
    let checks: u64 = lives.iter().map(|life| life.portraits).sum();
    println!(
        "{done} statements, {checks} of them comparisons of everything, in {took:.1?}: {:.0} a \
         second",
        done as f64 / took.as_secs_f64()
    );
    let counts = || lives.iter().map(|life| life.statements);
    println!(
        "statements a client: {} to {}; the longest wait for an answer was {:?}",
        counts().min().unwrap_or_default(),
        counts().max().unwrap_or_default(),
        lives.iter().map(|life| life.longest).max().unwrap_or_default(),
    );
    for (bucket, count) in run.waits.iter().enumerate() {
        let limit = WAITS_MS.get(bucket).map_or("more".to_owned(), |ms| format!("{ms} ms"));
        print!("{limit}: {}, ", count.load(Ordering::Relaxed));
    }
    println!();
}

/// Memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// Tables with two border rows for each client, so that no client's locks reach another's rows.
fn prepare(server: &crate::server::Server, clients: usize) {
    for database in DATABASES {
        let mut client = server.client(database);
        for statement in [
            "CREATE TABLE t (owner INT, n INT, PRIMARY KEY (owner, n))".to_owned(),
            format!("INSERT INTO t SELECT seq, 0 FROM seq_0_to_{clients}"),
            format!("INSERT INTO t SELECT seq, 1000000 FROM seq_0_to_{clients}"),
            "CREATE TABLE marker (name VARCHAR(20))".to_owned(),
            format!("INSERT INTO marker VALUES ('{database}')"),
        ] {
            client.query(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
        }
    }
    for statement in [
        "CREATE TABLE app.noted (id INT PRIMARY KEY AUTO_INCREMENT, n INT)",
        "CREATE TRIGGER app.noting BEFORE INSERT ON app.noted FOR EACH ROW SELECT NEW.n INTO @a",
    ] {
        server.sql(statement);
    }
}

async fn connect_all(address: SocketAddr, clients: usize, seed: u64) -> Vec<Subject> {
    let threads = 8.min(clients);
    let tasks: Vec<_> = (0..threads)
        .map(|thread| {
            tokio::task::spawn_blocking(move || {
                let numbers = (thread..clients).step_by(threads);
                numbers.map(|number| Subject::new(address, number, seed)).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut subjects = Vec::with_capacity(clients);
    for task in tasks {
        subjects.extend(task.await.expect("all log in"));
    }
    subjects
}

/// What a client did in its time.
#[derive(Default)]
struct Life {
    statements: u64,
    portraits: u64,
    longest: Duration,
}

/// One client and its model.
struct Subject {
    number: usize,
    random: Random,
    visitor: Visitor,
    model: Model,
    life: Life,
    /// The last statements, for a failure's report.
    history: Vec<String>,
}

/// What the client has set.
#[derive(Clone)]
struct Model {
    database: usize,
    sql_mode: &'static str,
    time_zone: String,
    charset: &'static str,
    collation: &'static str,
    isolation: &'static str,
    select_limit: String,
    autocommit: bool,
    group_concat: u64,
    foreign_keys: bool,
    a: Option<i64>,
    b: Option<String>,
    b_charset: &'static str,
    c: Option<String>,
    in_transaction: bool,
    /// Own rows, by database, border rows not counted.
    rows: [u64; 3],
}

impl Subject {
    fn new(address: SocketAddr, number: usize, seed: u64) -> Self {
        let visitor = Visitor::connect(address, DATABASES[number % 3]);
        let model = Model {
            database: number % 3,
            sql_mode: "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,\
                       NO_ENGINE_SUBSTITUTION",
            time_zone: "SYSTEM".to_owned(),
            charset: "utf8mb4",
            collation: "utf8mb4_general_ci",
            isolation: "REPEATABLE-READ",
            select_limit: u64::MAX.to_string(),
            autocommit: true,
            group_concat: 1 << 20,
            foreign_keys: true,
            a: None,
            b: None,
            b_charset: "binary",
            c: None,
            in_transaction: false,
            rows: [0; 3],
        };
        let random = Random::new(seed ^ ((number as u64) << 20));
        Self { number, random, visitor, model, life: Life::default(), history: Vec::new() }
    }

    async fn live(mut self, run: Arc<Run>) -> Result<Life, String> {
        // The first round is everybody's.
        while self.life.portraits == 0 || run.statements.load(Ordering::Relaxed) < run.end {
            // A transaction keeps one of the few connections, so it is not kept for long.
            let ends = self.model.in_transaction && self.random.below(2) == 0;
            let step = if ends { self.end(&run).await } else { self.step(&run).await };
            let checked = match step {
                Ok(()) => self.compare(&run).await,
                Err(error) => Err(error),
            };
            if let Err(error) = checked {
                run.statements.store(run.end, Ordering::Relaxed);
                return Err(format!("client {}: {error}\n{:#?}", self.number, self.history));
            }
        }
        Ok(self.life)
    }

    async fn sql(&mut self, run: &Run, sql: impl Into<String>) -> Result<Rows, String> {
        let sql = sql.into();
        self.try_sql(run, &sql).await.map_err(|(errno, text)| format!("{errno} {text}: {sql}"))
    }

    async fn try_sql(&mut self, run: &Run, sql: &str) -> Result<Rows, Refusal> {
        if self.history.len() > 30 {
            self.history.remove(0);
        }
        self.history.push(if sql == PORTRAIT { "(portrait)".to_owned() } else { sql.to_owned() });
        let asked = Instant::now();
        let answer = self.visitor.query(sql).await;
        let waited = asked.elapsed();
        self.life.longest = self.life.longest.max(waited);
        self.life.statements += 1;
        run.statements.fetch_add(1, Ordering::Relaxed);
        let bucket = WAITS_MS.iter().position(|ms| waited.as_millis() as u64 <= *ms);
        run.waits[bucket.unwrap_or(WAITS_MS.len())].fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn compare(&mut self, run: &Run) -> Result<(), String> {
        let seen = self.sql(run, PORTRAIT).await?.rows.swap_remove(0);
        self.life.portraits += 1;
        if !self.model.autocommit {
            // A SELECT without a table begins no transaction there.
            self.model.in_transaction &= seen.last() != Some(&Some("0".to_owned()));
        }
        let wanted = self.model.portrait();
        if seen == wanted {
            return Ok(());
        }
        Err(format!("it sees\n{seen:?}\nbut has\n{wanted:?}"))
    }

    async fn step(&mut self, run: &Run) -> Result<(), String> {
        match self.random.below(100) {
            0..=39 => self.set(run).await,
            40..=54 => self.set_user_variable(run).await,
            55..=64 => self.use_database(run).await,
            65..=69 => self.transaction(run).await,
            70 => self.temporary_table(run).await,
            71 => self.lock(run).await,
            72..=79 => self.own_rows(run).await,
            _ => self.marker(run).await,
        }
    }

    /// Ends what autocommit = 0 began.
    async fn end(&mut self, run: &Run) -> Result<(), String> {
        let statement = *self.random.pick(&["COMMIT", "ROLLBACK"]);
        self.model.in_transaction = false;
        self.sql(run, statement).await.map(|_| ())
    }

    /// A setting, in one of the ways to write it.
    async fn set(&mut self, run: &Run) -> Result<(), String> {
        let number = self.random.below(1_000);
        let model = &mut self.model;
        let statement = match self.random.below(11) {
            0 => {
                model.sql_mode = *self.random.pick(&[
                    "",
                    "ANSI_QUOTES",
                    "STRICT_ALL_TABLES",
                    "NO_BACKSLASH_ESCAPES",
                    "PIPES_AS_CONCAT",
                ]);
                format!("SET sql_mode = '{}'", model.sql_mode)
            }
            1 => {
                // MariaDB takes some offsets for others, such as +07:40 for +05:24: it compares
                // their bytes as letters. Whole hours are safe.
                model.time_zone = format!("+{:02}:00", number % 13);
                format!("SET @@session.time_zone = '{}'", model.time_zone)
            }
            2 => {
                (model.charset, model.collation) = *self.random.pick(&[
                    ("utf8mb4", "utf8mb4_bin"),
                    ("latin1", "latin1_swedish_ci"),
                    ("latin1", "latin1_bin"),
                    ("utf8mb4", "utf8mb4_unicode_ci"),
                ]);
                format!("SET NAMES {} COLLATE {}", model.charset, model.collation)
            }
            3 => {
                model.isolation = *self.random.pick(&[
                    "READ-UNCOMMITTED",
                    "READ-COMMITTED",
                    "REPEATABLE-READ",
                    "SERIALIZABLE",
                ]);
                let words = model.isolation.replace('-', " ");
                format!("SET SESSION TRANSACTION ISOLATION LEVEL {words}")
            }
            4 => {
                model.select_limit = (1_000 + number).to_string();
                format!("SET sql_select_limit = {}", model.select_limit)
            }
            5 => {
                model.group_concat = 4_000 + number;
                format!("SET SESSION group_concat_max_len := {}", model.group_concat)
            }
            6 => {
                model.group_concat += 1;
                "SET group_concat_max_len = @@group_concat_max_len + 1".to_owned()
            }
            7 => {
                model.foreign_keys = number.is_multiple_of(2);
                let word = if model.foreign_keys { "ON" } else { "off" };
                format!("SET LOCAL foreign_key_checks = {word}")
            }
            8 => {
                model.select_limit = u64::MAX.to_string();
                model.group_concat = 5_000 + number;
                let many = "SET sql_select_limit = DEFAULT, group_concat_max_len =";
                format!("{many} {}", model.group_concat)
            }
            _ => {
                model.autocommit = !model.autocommit;
                model.in_transaction = false;
                format!("SET autocommit = {}", u8::from(model.autocommit))
            }
        };
        self.sql(run, statement).await.map(|_| ())
    }

    async fn set_user_variable(&mut self, run: &Run) -> Result<(), String> {
        let number = self.random.below(1_000_000) as i64;
        let model = &mut self.model;
        let statement = match self.random.below(9) {
            0 => {
                model.a = Some(-number);
                format!("SET @a = -{number}")
            }
            1 if model.a.is_some() => {
                model.a = model.a.map(|a| a + 7);
                "SET @a := @a + 7".to_owned()
            }
            2 => {
                model.a = Some(number);
                format!("SELECT @a := {number}")
            }
            3 => {
                model.a = Some(number);
                model.c = Some(format!("{number}.50"));
                format!("SELECT {number}, {number}.50 INTO @a, @c")
            }
            4 => {
                (model.b, model.b_charset) = (Some(format!("text {number}")), model.charset);
                format!("SET @b = 'text {number}'")
            }
            5 => {
                (model.b, model.b_charset) = (Some(format!("x{number}")), "latin1");
                format!("SET @b = CONCAT(_latin1'x', '{number}') COLLATE latin1_bin")
                    .replace(&format!("'{number}'"), &format!("_latin1'{number}'"))
            }
            6 => {
                model.c = Some(format!("{number}"));
                format!("SET @c = CAST({number} AS UNSIGNED)")
            }
            7 => {
                // By the trigger of that table.
                model.a = Some(number);
                model.in_transaction |= !model.autocommit;
                format!("INSERT INTO app.noted (n) VALUES ({number})")
            }
            _ => {
                (model.a, model.c) = (None, None);
                "SET @a = NULL, @c = NULL".to_owned()
            }
        };
        self.sql(run, statement).await.map(|_| ())
    }

    async fn use_database(&mut self, run: &Run) -> Result<(), String> {
        self.model.database = self.random.below(3) as usize;
        self.sql(run, format!("USE {}", DATABASES[self.model.database])).await.map(|_| ())
    }

    /// The table that an unqualified name means.
    async fn marker(&mut self, run: &Run) -> Result<(), String> {
        let seen = self.sql(run, "SELECT name FROM marker").await?.rows;
        self.model.in_transaction = !self.model.autocommit;
        let wanted = DATABASES[self.model.database];
        if seen == [[Some(wanted.to_owned())]] {
            return Ok(());
        }
        Err(format!("in {wanted} the marker is {seen:?}"))
    }

    async fn own_rows(&mut self, run: &Run) -> Result<(), String> {
        let sql = format!("SELECT COUNT(*) - 2 FROM t WHERE owner = {}", self.number);
        let seen = self.sql(run, sql).await?.rows;
        self.model.in_transaction |= !self.model.autocommit;
        let wanted = self.model.rows[self.model.database].to_string();
        if seen == [[Some(wanted.clone())]] {
            return Ok(());
        }
        Err(format!("it sees {seen:?} own rows but wrote {wanted}"))
    }

    async fn transaction(&mut self, run: &Run) -> Result<(), String> {
        self.sql(run, "BEGIN").await?;
        self.model.in_transaction = true;
        let before = self.model.rows[self.model.database];
        for _ in 0..=self.random.below(2) {
            let (database, number) = (self.model.database, self.number);
            let n = self.model.rows[database] + 1;
            let inserted = self.sql(run, format!("INSERT INTO t VALUES ({number}, {n})")).await?;
            if inserted.affected != 1 {
                return Err(format!("{} rows were inserted", inserted.affected));
            }
            self.model.rows[database] = n;
        }
        self.own_rows(run).await?;
        if self.random.below(2) == 0 {
            // Settings in the midst of a transaction go to its connection.
            self.model.group_concat = 7_000 + self.random.below(1_000);
            let statement = format!("SET group_concat_max_len = {}", self.model.group_concat);
            self.sql(run, statement).await?;
        }
        self.compare(run).await?;
        if self.random.below(2) == 0 {
            self.sql(run, "COMMIT").await?;
        } else {
            self.model.rows[self.model.database] = before;
            self.sql(run, "ROLLBACK").await?;
        }
        self.model.in_transaction = false;
        self.own_rows(run).await
    }

    async fn temporary_table(&mut self, run: &Run) -> Result<(), String> {
        let number = self.number;
        self.sql(run, "CREATE TEMPORARY TABLE scratch (owner INT)").await?;
        self.sql(run, format!("INSERT INTO scratch VALUES ({number})")).await?;
        let seen = self.sql(run, "SELECT owner FROM scratch").await?.rows;
        if seen != [[Some(number.to_string())]] {
            return Err(format!("its temporary table has {seen:?}"));
        }
        self.sql(run, "DROP TEMPORARY TABLE scratch").await?;
        self.model.in_transaction = !self.model.autocommit;
        match self.try_sql(run, "SELECT owner FROM scratch").await {
            Err((1146, _)) => Ok(()),
            other => Err(format!("after its temporary table there is {other:?}")),
        }
    }

    async fn lock(&mut self, run: &Run) -> Result<(), String> {
        let name = format!("lock_{}", self.random.below(16));
        let got = self.sql(run, format!("SELECT GET_LOCK('{name}', 0)")).await?.rows;
        if got == [[Some("1".to_owned())]] {
            self.compare(run).await?;
            let sql = format!("SELECT RELEASE_LOCK('{name}')");
            let released = self.sql(run, sql).await?.rows;
            if released != [[Some("1".to_owned())]] {
                return Err(format!("its lock {name} was released with {released:?}"));
            }
        }
        Ok(())
    }
}

impl Model {
    fn portrait(&self) -> Vec<Option<String>> {
        let text = |text: &str| Some(text.to_owned());
        let flag = |on: bool| Some(u8::from(on).to_string());
        vec![
            text(DATABASES[self.database]),
            text(self.sql_mode),
            text(&self.time_zone),
            text(self.charset),
            text(self.collation),
            text(self.isolation),
            text(&self.select_limit),
            flag(self.autocommit),
            Some(self.group_concat.to_string()),
            flag(self.foreign_keys),
            self.a.map(|a| a.to_string()),
            self.b.clone(),
            self.c.clone(),
            text(self.b_charset),
            flag(self.in_transaction),
        ]
    }
}
