//! How transactions end: what COMMIT and ROLLBACK begin anew, and what is told of a COMMIT over
//! several shards that does not succeed on all of them.

use crate::client::{Client, Login, capability};
use crate::cluster::{Cluster, Layout};
use crate::recorded::Sides;
use crate::single;
use crate::software::SOFTWARE;

/// Each is a session of its own; after it the table is read by another one.
const STORIES: &[&[&str]] = &[
    &["COMMIT AND CHAIN", "INSERT INTO ends VALUES (1)", "ROLLBACK"],
    // No server knows these: nothing ends.
    &["BEGIN", "INSERT INTO ends VALUES (1)", "COMMIT AND CHAIN RELEASE", "ROLLBACK"],
    &["BEGIN", "INSERT INTO ends VALUES (1)", "ROLLBACK AND CHAIN RELEASE", "COMMIT"],
    &["ROLLBACK AND CHAIN", "INSERT INTO ends VALUES (1)", "ROLLBACK"],
    &[
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT AND CHAIN",
        "INSERT INTO ends VALUES (2)",
        "ROLLBACK",
    ],
    &[
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "ROLLBACK AND CHAIN",
        "INSERT INTO ends VALUES (2)",
        "COMMIT",
    ],
    &[
        "SET completion_type = 1",
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT AND NO CHAIN",
        "INSERT INTO ends VALUES (2)",
    ],
    &[
        "SET completion_type = 'CHAIN'",
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT",
        "INSERT INTO ends VALUES (2)",
        "ROLLBACK AND NO CHAIN",
        "INSERT INTO ends VALUES (3)",
    ],
    &[
        "SET completion_type = CHAIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT",
        "INSERT INTO ends VALUES (2)",
    ],
    &[
        "SET completion_type = 2",
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT NO RELEASE",
        "INSERT INTO ends VALUES (2)",
        "COMMIT",
        "INSERT INTO ends VALUES (3)",
    ],
    &[
        "SET completion_type = 'RELEASE'",
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "ROLLBACK",
        "INSERT INTO ends VALUES (2)",
    ],
    &["BEGIN", "INSERT INTO ends VALUES (1)", "COMMIT RELEASE", "SELECT 1"],
    &["BEGIN", "INSERT INTO ends VALUES (1)", "ROLLBACK AND NO CHAIN RELEASE", "SELECT 1"],
    &["START TRANSACTION READ ONLY", "COMMIT AND CHAIN", "INSERT INTO ends VALUES (1)", "COMMIT"],
    &[
        "SET TRANSACTION READ ONLY",
        "COMMIT AND CHAIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT",
        "INSERT INTO ends VALUES (2)",
    ],
    &[
        "SET TRANSACTION READ ONLY",
        "BEGIN",
        "COMMIT AND CHAIN",
        "INSERT INTO ends VALUES (1)",
        "COMMIT",
        "INSERT INTO ends VALUES (2)",
    ],
    &[
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "COMMIT AND CHAIN",
        "INSERT INTO ends VALUES (1)",
        "ROLLBACK",
    ],
    &[
        "SET autocommit = 0",
        "INSERT INTO ends VALUES (1)",
        "COMMIT AND CHAIN",
        "SET autocommit = 1",
        "INSERT INTO ends VALUES (2)",
        "ROLLBACK",
    ],
    &[
        "SET autocommit = 0",
        "SELECT 1",
        "INSERT INTO ends VALUES (1)",
        "ROLLBACK",
        "INSERT INTO ends VALUES (2)",
        "SET autocommit = 1",
    ],
    &[
        "SET autocommit = 0",
        "SAVEPOINT a",
        "DO 0",
        "INSERT INTO ends VALUES (1)",
        "ROLLBACK TO a",
        "INSERT INTO ends VALUES (2)",
        "COMMIT",
    ],
    &[
        "SET autocommit = 0",
        "SAVEPOINT a",
        "ROLLBACK",
        "SAVEPOINT b",
        "RELEASE SAVEPOINT b",
        "ROLLBACK TO b",
        "COMMIT",
    ],
    &["SAVEPOINT a", "INSERT INTO ends VALUES (1)", "ROLLBACK TO a", "RELEASE SAVEPOINT a"],
    &[
        "BEGIN",
        "SAVEPOINT a",
        "INSERT INTO ends VALUES (1)",
        "SAVEPOINT A",
        "INSERT INTO ends VALUES (2)",
        "ROLLBACK TO a",
        "COMMIT",
    ],
    &["BEGIN", "INSERT INTO ends VALUES (1)", "BEGIN", "ROLLBACK"],
    &["BEGIN", "INSERT INTO ends VALUES (1)", "SET autocommit = 1", "ROLLBACK"],
    &["SET autocommit = 0", "INSERT INTO ends VALUES (1)", "SET autocommit = 1", "ROLLBACK"],
    &[
        "BEGIN",
        "INSERT INTO ends VALUES (1)",
        "CREATE TABLE more_ends (id INT)",
        "ROLLBACK",
        "DROP TABLE more_ends",
    ],
];

/// Goal: whatever ends a transaction, the session's answers (status flags included) and the rows
/// that are left are those of the server alone.
#[test]
fn ends_are_the_servers() {
    let cluster = single::start("ends", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    let sides = Sides { direct: server.socket_address(), proxy: cluster.proxy().socket_address() };
    server.client("app").query("CREATE TABLE ends (id INT PRIMARY KEY)").expect("a table");
    let mut wrong = Vec::new();
    // What MySQL tracks of a chained transaction is told in entries of another form.
    let tracked = if SOFTWARE.is_mysql() { 0 } else { capability::SESSION_TRACK };
    for capabilities in [0, tracked | capability::DEPRECATE_EOF] {
        let login = Login { capabilities, ..Login::test("app") };
        for story in STORIES {
            let told = |address| {
                let mut client = Client::connect(address, &login).expect("a login");
                let mut all = Vec::new();
                for sql in *story {
                    let _ = client.query_all(sql);
                    let packets = std::mem::take(&mut client.recorded);
                    all.extend(
                        packets.iter().map(|packet| format!("{sql}: {}", packet.escape_ascii())),
                    );
                }
                drop(client);
                // What the session left open must not be there any more.
                let mut other = server.client("app");
                other.query("SET innodb_lock_wait_timeout = 5").expect("ok");
                let left = other.query("SELECT id FROM ends ORDER BY id FOR UPDATE").expect("rows");
                all.push(format!("left {:?}", left.texts()));
                other.query("DELETE FROM ends").expect("ok");
                all
            };
            let (direct, proxy) = (told(sides.direct), told(sides.proxy));
            for (direct, proxy) in direct.iter().zip(&proxy).filter(|(a, b)| a != b) {
                wrong.push(format!("{story:?}\n  direct {direct}\n  proxy  {proxy}"));
            }
            if direct.len() != proxy.len() {
                wrong.push(format!("{story:?}: {} packets, {}", direct.len(), proxy.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

const VSCHEMA: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
    "tables": {"parts": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;

fn sharded() -> Cluster {
    let layout = Layout::new("fates", &["here"])
        .keyspace("shop", VSCHEMA)
        .shard("-40", "here", &[])
        .shard("40-80", "here", &[])
        .shard("80-", "here", &[]);
    let cluster = Cluster::start(layout);
    cluster.on_primaries("shop", &["CREATE TABLE parts (id BIGINT PRIMARY KEY, v INT)".to_owned()]);
    cluster
}

/// Goal: after a COMMIT over three shards of which one lost its connection, the error names every
/// shard with what became of it, and that is true.
#[test]
fn a_broken_commit_names_every_shard() {
    let cluster = sharded();
    let cluster = cluster.watched();
    let shards: Vec<_> = cluster.keyspace("shop").collect();
    let rows_of = |shard: usize, id: u64| {
        let mut client = shards[shard].primary.client("shop");
        let sql = format!("SELECT COUNT(*) FROM parts WHERE id = {id}");
        client.query(sql).expect("a count").scalar() == "1"
    };
    // An id on each shard, found by asking.
    let mut setup = cluster.proxy().client("shop");
    let mut ids = [0u64; 3];
    for id in 1..100 {
        setup.query(format!("INSERT INTO parts VALUES ({id}, 0)")).expect("stored");
        for (shard, found) in ids.iter_mut().enumerate() {
            if *found == 0 && rows_of(shard, id) {
                *found = id;
            }
        }
    }
    setup.query("DELETE FROM parts").expect("ok");
    for broken in 0..3 {
        let mut client = cluster.proxy().client("shop");
        client.query("BEGIN").expect("ok");
        for id in ids {
            client.query(format!("INSERT INTO parts VALUES ({id}, {broken})")).expect("stored");
        }
        let mut root = shards[broken].primary.client("shop");
        let threads = root
            .query("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX")
            .expect("threads")
            .texts();
        for thread in threads {
            root.query(format!("KILL {}", thread[0])).expect("killed");
        }
        let error = client.query("COMMIT").expect_err("not on all").to_string();
        let names = |shard: usize| shards[shard].range.clone();
        let kept: Vec<bool> = (0..3).map(|shard| rows_of(shard, ids[shard])).collect();
        for (shard, kept) in kept.iter().enumerate() {
            let told = fate_of(&error, &names(shard));
            let fits = match told {
                Some("committed") => *kept,
                Some("not committed") => !kept,
                Some("not known") => true,
                _ => broken == shard && !error.contains("committed on"),
            };
            assert!(fits, "shard {} was {kept}: {error}", names(shard));
        }
        // The first is committed alone: if that fails nothing else is.
        let expected = [0, 1, 2].map(|shard| broken != 0 && shard != broken);
        assert_eq!(kept, expected, "{error}");
        client.query("SELECT COUNT(*) FROM parts").expect("the session goes on");
        setup.query("DELETE FROM parts").expect("ok");
    }
}

/// What an error says of a shard.
pub(crate) fn fate_of(error: &str, range: &str) -> Option<&'static str> {
    let lists = error.split_once("was committed on ")?.1;
    let (committed, rest) = lists.split_once("; not committed on ")?;
    let (not_committed, rest) = rest.split_once("; not known on ")?;
    let unknown = rest.split_once(": ").map_or(rest, |(before, _)| before);
    let has = |list: &str| list.split(", ").any(|shard| shard.ends_with(&format!(":{range}")));
    [(committed, "committed"), (not_committed, "not committed"), (unknown, "not known")]
        .into_iter()
        .find_map(|(list, fate)| has(list).then_some(fate))
}
