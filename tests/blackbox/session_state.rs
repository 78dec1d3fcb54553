//! State goes with its session, whatever the way in: two sessions take turns on one connection to
//! each server, and every answer is what a server of its own gives to two sessions of its own.
//!
//! `deploy/session-state.md` lists all that a session has, and which test shows it.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::client::{
    Answer, Client, Error, Login, SERVER_IN_TRANS, SERVER_MORE_RESULTS, capability,
};
use crate::cluster::{Cluster, Layout};
use crate::server::Server;
use crate::single;
use crate::software::SOFTWARE;

/// One connection to each server.
const LIMITS: &str = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 400\n";

/// Servers behind the proxy, and one that stands alone with the same tables.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    alone: Server,
    database: &'static str,
    turn: Mutex<()>,
}

const TABLES: &[&str] = &[
    "CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, s VARCHAR(50))",
    "CREATE TABLE u (id BIGINT PRIMARY KEY, a INT UNIQUE)",
];

/// One server.
pub(crate) static ONE: LazyLock<Stage> =
    LazyLock::new(|| Stage::new(single::start("state-one", LIMITS), "app"));

/// Two shards.
pub(crate) static SHARDS: LazyLock<Stage> = LazyLock::new(|| {
    let vschema = r#"{ "sharded": true, "vindexes": { "hash": { "type": "hash" } },
      "tables": { "t": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
      "u": { "column_vindexes": [{ "column": "id", "name": "hash" }] } } }"#;
    let layout = Layout::new("state-shards", &["here"])
        .keyspace("shop", vschema)
        .shard("-80", "here", &[])
        .shard("80-", "here", &[])
        .config(LIMITS);
    Stage::new(Cluster::start(layout), "shop")
});

impl Stage {
    fn new(cluster: Cluster, database: &'static str) -> Self {
        let alone = Server::start("alone");
        alone.wait_ready();
        alone.sql(&format!("CREATE DATABASE {database}"));
        let servers = cluster.shards.iter().map(|shard| &shard.primary).chain([&alone]);
        for server in servers {
            let mut client = server.client(database);
            for sql in TABLES {
                client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
        }
        Self { cluster, alone, database, turn: Mutex::new(()) }
    }

    pub(crate) fn database(&self) -> &'static str {
        self.database
    }

    pub(crate) fn is_sharded(&self) -> bool {
        self.cluster.shards.len() > 1
    }

    /// Runs definitions on both sides that have not been run there.
    pub(crate) fn define(&self, definitions: &[&str]) {
        let _turn = self.turn();
        for through in [true, false] {
            let [mut client, _] = self.pair(through);
            for sql in definitions {
                // It may be there.
                let _ = client.query(sql);
            }
        }
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        self.cluster.shards.iter().map(|shard| &shard.primary).chain([&self.alone])
    }

    /// One test at a time: there is one connection to a server, and generated ids are compared.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two sessions, through the proxy or straight to the other server.
    pub(crate) fn pair(&self, through: bool) -> [Client; 2] {
        let capabilities = capability::DEPRECATE_EOF | capability::MULTI_STATEMENTS;
        let login = Login { capabilities, ..Login::test(self.database) };
        let address = if through {
            self.cluster.proxy().socket_address()
        } else {
            self.alone.socket_address()
        };
        [0, 1].map(|_| {
            let mut client = Client::connect(address, &login).expect("a login");
            client.query("SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1").expect("ok");
            client
        })
    }
}

/// One line of a script on one side: `B: ` is the other session, `P: ` prepares and executes.
fn step(pair: &mut [Client; 2], line: &str) -> String {
    let (who, line) = line.strip_prefix("B: ").map_or((0, line), |rest| (1, rest));
    let client = &mut pair[who];
    if line == RESET {
        return client.reset().map_or_else(|error| error.to_string(), |()| RESET.to_owned());
    }
    let Some(sql) = line.strip_prefix("P: ") else {
        return match client.query_all(line) {
            Ok(all) => all.into_iter().map(|answer| shown(Ok(answer))).collect(),
            Err(error) => error.to_string(),
        };
    };
    let prepared = match client.prepare(sql) {
        Ok(prepared) => prepared,
        Err(error) => return error.to_string(),
    };
    let mut answer = client.execute(&prepared, &[]);
    let mut all = String::new();
    while answer.as_ref().is_ok_and(|answer| answer.status & SERVER_MORE_RESULTS != 0) {
        all += &shown(answer);
        answer = client.read_answer(true);
    }
    all + &shown(answer)
}

/// What of an answer must be equal.
fn shown(answer: Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => {
            let names: Vec<&String> = answer.columns.iter().map(|column| &column.name).collect();
            let (affected, in_transaction) = (answer.affected, answer.status & SERVER_IN_TRANS);
            format!(
                "{names:?} {:?} {affected} {} {in_transaction};",
                answer.texts(),
                answer.warnings
            )
        }
        Err(error) => error.to_string(),
    }
}

pub(crate) const RESET: &str = "COM_RESET_CONNECTION";

/// The other session gets no connection, because this one keeps it.
const KEPT: &str = "kept";

/// Runs scripts on both sides and compares each answer. After each line of the first session the
/// second one uses the same connections, if it can get them.
pub(crate) fn play(stage: &Stage, scripts: &[&[&str]]) {
    play_beside(stage, scripts, Other::Disturbs);
}

/// What the second session does between the lines of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// It uses the connections, if it can get them.
    Disturbs,
    /// What the script says.
    Waits,
}

/// The same, with more or less to do for the second session.
pub(crate) fn play_beside(stage: &Stage, scripts: &[&[&str]], other: Other) {
    let turn = stage.turn();
    let _watched = stage.cluster.watched();
    let mut wrong = Vec::new();
    for script in scripts {
        for server in stage.servers() {
            let mut client = server.client(stage.database);
            for sql in ["TRUNCATE t", "TRUNCATE u"] {
                client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
        }
        let (mut ours, mut theirs) = (stage.pair(true), stage.pair(false));
        for (at, line) in script.iter().enumerate() {
            if *line == KEPT {
                let taken = ours[1].query("SELECT 1 FROM t");
                if !taken.is_err_and(|error| error.errno() == 1203) {
                    wrong.push(format!("not kept in {script:?}"));
                }
                continue;
            }
            let (here, there) = (step(&mut ours, line), step(&mut theirs, line));
            if here != there {
                let before = &script[..at].join("; ");
                wrong.push(format!("{before}\n{line}\n  proxy  {here}\n  server {there}"));
            }
            if other == Other::Disturbs && !line.starts_with("B: ") {
                disturb(&mut ours[1]);
                disturb(&mut theirs[1]);
            }
        }
    }
    drop(turn);
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The other session uses the connections, and leaves something of its own there.
fn disturb(other: &mut Client) {
    for sql in [
        "SET @a = 'other', @v = 'other', time_zone = '+09:00'",
        "SELECT CAST('9x' AS SIGNED), LAST_INSERT_ID(4444)",
        "SELECT id FROM t WHERE id IN (1, 2, 3)",
    ] {
        // It gets no connection, or a lock is in its way.
        let _ = other.query(sql);
    }
}

pub(crate) fn on_mysql() -> bool {
    if SOFTWARE.is_mysql() {
        println!("skipped: it is about what only MariaDB has");
    }
    SOFTWARE.is_mysql()
}

/// Goal: what a routine EXECUTEs is the statement that the session has given the name to, also
/// for a prepared CALL after another session has used the connection.
#[test]
fn routines_execute_the_sessions_statements() {
    play(
        &ONE,
        &[
            &["PREPARE mine FROM 'SELECT 42'", "CALL runs_mine()", "P: CALL runs_mine()"],
            &["PREPARE mine FROM 'SELECT 42'", "P: CALL runs_mine()"],
            &["P: CALL runs_mine()", "B: CALL runs_mine()"],
            &["PREPARE mine FROM 'SELECT 42'", RESET, "B: CALL runs_mine()", "CALL runs_mine()"],
            &["CALL prepares()", "EXECUTE inner_one", RESET, "B: EXECUTE inner_one"],
        ],
    );
}

/// Goal: a text of several statements is none that can be prepared.
#[test]
fn several_statements_are_not_prepared() {
    let texts: &[&str] = &[
        "PREPARE s FROM 'SELECT 1;'",
        "EXECUTE s",
        "PREPARE s FROM 'SELECT 1; SELECT 2'",
        "EXECUTE s",
        "P: SELECT 1; SELECT 2",
    ];
    play(&ONE, &[texts]);
    let _turn = SHARDS.turn();
    let mut client = SHARDS.pair(true).into_iter().next().expect("a client");
    for sql in [
        "PREPARE s FROM 'SELECT 1; SELECT 2'",
        "PREPARE s FROM 'SET @a = 1; SELECT 2'",
        "PREPARE s FROM 'SELECT id FROM t WHERE id = 1; SELECT 2'",
    ] {
        assert_eq!(client.query(sql).map(drop).expect_err(sql).errno(), 1064, "{sql}");
    }
    let error = client.prepare("SELECT 1; SELECT 2").map(drop).expect_err("two statements");
    assert_eq!(error.errno(), 1064);
    client.query("PREPARE s FROM 'SELECT 1;'").expect("one statement");
    assert_eq!(client.query("EXECUTE s").expect("a row").scalar(), "1");
}

/// Goal: in a mode in which Geogate does not take the statements of a command apart, what they
/// leave behind stays with the session, and none changes Geogate's account.
#[test]
fn commands_that_only_a_server_takes_apart() {
    if on_mysql() {
        return;
    }
    play(
        &ONE,
        &[
            &[
                "SET sql_mode = 'ORACLE'",
                "SELECT 1; SELECT GET_LOCK('oracle', 0)",
                KEPT,
                "SELECT IS_FREE_LOCK('oracle')",
                RESET,
                "B: SELECT GET_LOCK('oracle', 0)",
                "B: SELECT RELEASE_LOCK('oracle')",
            ],
            &[
                "SET sql_mode = 'ORACLE'",
                "SELECT 1; CREATE TEMPORARY TABLE tmp (n INT)",
                KEPT,
                "SELECT * FROM tmp",
                RESET,
                "B: SELECT * FROM tmp",
                "SELECT * FROM tmp",
            ],
        ],
    );
    let _turn = ONE.turn();
    let [mut client, _] = ONE.pair(true);
    client.query("SET sql_mode = 'ORACLE'").expect("a mode");
    for sql in ["SET PASSWORD = PASSWORD('x')", "ALTER USER CURRENT_USER IDENTIFIED BY 'x'"] {
        let error = client.query_all(format!("SELECT 1; {sql}")).map(drop).expect_err(sql);
        assert!(error.to_string().contains("GG12006"), "{error}");
    }
}

/// Goal: locks end where a server ends them, and bar nobody afterwards.
#[test]
fn locks_end_with_their_session() {
    play(
        &ONE,
        &[
            &[
                "FLUSH TABLES WITH READ LOCK",
                KEPT,
                "INSERT INTO t (a) VALUES (1)",
                "UNLOCK TABLES",
                "B: INSERT INTO t (a) VALUES (1)",
                "FLUSH TABLES t WITH READ LOCK",
                "UNLOCK TABLES",
                "B: INSERT INTO t (a) VALUES (1)",
                "FLUSH TABLES WITH READ LOCK",
                RESET,
                "B: INSERT INTO t (a) VALUES (1)",
            ],
            &[
                "LOCK TABLES t WRITE",
                KEPT,
                "SELECT COUNT(*) FROM u",
                "UNLOCK TABLES",
                "B: INSERT INTO t (a) VALUES (1)",
                "LOCK TABLES t READ",
                "INSERT INTO t (a) VALUES (2)",
                RESET,
                "B: INSERT INTO t (a) VALUES (1)",
            ],
            &[
                "HANDLER t OPEN",
                KEPT,
                "HANDLER t READ FIRST",
                "HANDLER t CLOSE",
                "B: HANDLER t READ FIRST",
                "HANDLER t OPEN AS h",
                RESET,
                "HANDLER h READ FIRST",
                "B: HANDLER h READ FIRST",
            ],
            &[
                "XA START 'x'",
                "INSERT INTO t (a) VALUES (77)",
                KEPT,
                "XA END 'x'",
                "XA PREPARE 'x'",
                "XA COMMIT 'x'",
                "B: SELECT COUNT(*) FROM t WHERE a = 77",
                "XA START 'y'",
                RESET,
                "B: XA START 'y'",
                "B: XA END 'y'",
                "B: XA ROLLBACK 'y'",
            ],
        ],
    );
}

/// Goal: locks of GET_LOCK() are the session's until they are released, whatever the way in.
#[test]
fn named_locks_whatever_the_way_in() {
    play(
        &ONE,
        &[&[
            "P: SELECT GET_LOCK('pp', 0)",
            KEPT,
            "SELECT IS_USED_LOCK('pp') = CONNECTION_ID()",
            "SELECT RELEASE_ALL_LOCKS()",
            "B: SELECT GET_LOCK('pp', 0)",
            "B: SELECT RELEASE_LOCK('pp')",
            "SET @g = GET_LOCK('ss', 0)",
            KEPT,
            RESET,
            "INSERT INTO t (a) VALUES (GET_LOCK('ii', 0))",
            KEPT,
            RESET,
            "B: SELECT GET_LOCK('ii', 0)",
            "B: SELECT RELEASE_LOCK('ii')",
        ]],
    );
}

/// Goal: temporary tables stay with their session, whatever the way in, and end with it.
#[test]
fn temporary_tables_whatever_the_way_in() {
    let made = |create: &'static str| {
        [create, KEPT, "SELECT * FROM tmp", RESET, "B: SELECT * FROM tmp", "SELECT * FROM tmp"]
    };
    let text = made("CREATE TEMPORARY TABLE tmp (n INT)");
    let prepared = made("P: CREATE TEMPORARY TABLE tmp (n INT)");
    let renamed: &[&str] = &[
        "CREATE TEMPORARY TABLE tmp (n INT)",
        "ALTER TABLE tmp RENAME TO tmp2",
        KEPT,
        "SELECT * FROM tmp2",
        RESET,
        "B: SELECT * FROM tmp2",
    ];
    let named: &[&str] = &[
        "PREPARE s FROM 'CREATE TEMPORARY TABLE tmp (n INT)'",
        "EXECUTE s",
        KEPT,
        "DROP TEMPORARY TABLE tmp",
        "B: SELECT * FROM tmp",
    ];
    play(&ONE, &[&text, &prepared, renamed, named]);
}

/// Goal: variables that do more than have a value keep the connection, and are over with a reset.
#[test]
fn variables_that_do_something() {
    play(
        &ONE,
        &[
            &[
                "SET rand_seed1 = 10, rand_seed2 = 20",
                KEPT,
                "SELECT RAND()",
                "SELECT RAND()",
                RESET,
                "SET pseudo_thread_id = 99",
                KEPT,
                "SELECT @@pseudo_thread_id",
                RESET,
                "SELECT @@pseudo_thread_id = 99",
                "SET timestamp = 1234567890",
                "SELECT UNIX_TIMESTAMP()",
                "SET sql_log_bin = 0",
                "SELECT @@sql_log_bin",
                "B: SELECT @@sql_log_bin",
                "SET insert_id = 4000",
                KEPT,
                "INSERT INTO t (a) VALUES (3)",
                "SELECT LAST_INSERT_ID()",
                "B: INSERT INTO t (a) VALUES (3)",
            ],
            &[
                "SET optimizer_trace = 'enabled=on'",
                "SELECT a FROM t WHERE a = 987654",
                "SELECT COUNT(*) FROM information_schema.optimizer_trace",
                RESET,
                "B: SELECT COUNT(*) FROM information_schema.optimizer_trace",
            ],
            &["SET profiling = 1", "SELECT 11", KEPT, RESET, "B: SHOW PROFILES"],
        ],
    );
}

/// Goal: MariaDB's SET STATEMENT sets for one statement only.
#[test]
fn settings_of_one_statement() {
    if on_mysql() {
        return;
    }
    play(
        &ONE,
        &[&[
            "SET group_concat_max_len = (SELECT 5000 + COUNT(*) FROM u)",
            "SELECT @@group_concat_max_len",
            "SET STATEMENT group_concat_max_len = 4000 FOR SELECT @@group_concat_max_len",
            "SELECT @@group_concat_max_len",
            "SET STATEMENT time_zone = '+03:00' FOR SET @w = @@time_zone",
            "SELECT @w, @@time_zone",
            "SET STATEMENT insert_id = 9000 FOR INSERT INTO t (a) VALUES (5)",
            "SELECT LAST_INSERT_ID()",
            "SET STATEMENT timestamp = 1000000000 FOR SELECT UNIX_TIMESTAMP()",
            "SELECT UNIX_TIMESTAMP() > 1000000000",
            "SET STATEMENT profiling = 1 FOR SELECT 12",
            "B: SHOW PROFILES",
            "SET STATEMENT lock_wait_timeout = 5 FOR HANDLER t OPEN",
            KEPT,
            "HANDLER t READ FIRST",
            RESET,
            "B: HANDLER t READ FIRST",
            "SET STATEMENT lock_wait_timeout = 5 FOR CREATE TEMPORARY TABLE tmp (n INT)",
            KEPT,
            RESET,
            "SET STATEMENT lock_wait_timeout = 5 FOR SELECT GET_LOCK('st', 0)",
            KEPT,
            RESET,
            "SET STATEMENT lock_wait_timeout = 5 FOR CALL inserts(4)",
            "SELECT LAST_INSERT_ID()",
        ]],
    );
}

/// Goal: USER() is who has logged in to Geogate, in whatever company.
#[test]
fn users_are_the_clients() {
    let looks: &[&str] = &[
        "SELECT USER(), 1",
        "SELECT SUBSTRING_INDEX(USER(), '@', 1) AS u, 2 AS two",
        "SELECT SESSION_USER() = USER(), SYSTEM_USER() = USER()",
        "SELECT CURRENT_USER() = CURRENT_USER",
        "SELECT id, USER() FROM t WHERE id = 3",
        "P: SELECT USER(), 1",
        "SELECT CONNECTION_ID() = CONNECTION_ID(), DATABASE()",
    ];
    play(&ONE, &[looks]);
    play(&SHARDS, &[looks]);
}
