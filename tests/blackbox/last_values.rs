//! LASTVAL() and GET DIAGNOSTICS, which only one server connection can answer, where sessions share
//! connections: the right answer or a refusal by name, never another session's.

use crate::client::Client;
use crate::single;
use crate::software::SOFTWARE;

fn one(client: &mut Client, sql: &str) -> Result<String, u16> {
    match client.query(sql) {
        Ok(answer) => Ok(answer.texts().concat().join(" ")),
        Err(error) => Err(error.errno()),
    }
}

/// ER_NOT_SUPPORTED_YET, as our own refusals have it.
const REFUSED: u16 = 1235;

#[test]
fn another_sessions_answer_is_never_given() {
    if SOFTWARE.is_mysql() {
        println!("skipped: sequences are MariaDB's");
        return;
    }
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 1000\n";
    let cluster = single::start("last-values", limits);
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    for statement in [
        "CREATE SEQUENCE app.s START 10 CACHE 1000",
        "CREATE SEQUENCE app.other START 500",
        "CREATE TABLE app.counted (id BIGINT NOT NULL DEFAULT NEXTVAL(app.s), v INT)",
    ] {
        server.sql(statement);
    }
    let mut a = cluster.proxy().client("app");
    let mut b = cluster.proxy().client("app");
    let null = Ok("NULL".to_owned());
    let number = |n: u32| Ok(n.to_string());
    // Nobody has taken a number; then one has, and the other still has not.
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), null);
    assert_eq!(one(&mut a, "SELECT NEXT VALUE FOR s"), number(10));
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), number(10));
    assert_eq!(one(&mut b, "SELECT LASTVAL(s)"), null);
    // The reset for B has wiped A's.
    assert_eq!(one(&mut a, "SELECT PREVIOUS VALUE FOR s"), Err(REFUSED));
    // A default of a column counts, too.
    a.query("INSERT INTO counted (v) VALUES (1)").expect("ok");
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), Err(REFUSED), "numbers were taken elsewhere");
    assert_eq!(one(&mut a, "SELECT NEXTVAL(`app`.s)"), number(12));
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), number(12));
    assert_eq!(one(&mut a, "SELECT LASTVAL(other)"), Err(REFUSED));
    b.query("SELECT NEXTVAL(s)").expect("ok");
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), Err(REFUSED));
    assert_eq!(one(&mut b, "SELECT LASTVAL(s)"), number(13));
    // In a transaction the connection is the session's.
    a.query("BEGIN").expect("ok");
    assert_eq!(one(&mut a, "SELECT NEXTVAL(s)"), number(14));
    assert_eq!(one(&mut a, "SELECT LASTVAL(s)"), number(14));
    a.query("COMMIT").expect("ok");
    let select = a.prepare("SELECT LASTVAL(s)").expect("ok");
    let answer = a.execute(&select, &[]).expect("nobody came between");
    assert_eq!(answer.texts(), [["14"]]);
    b.query("SELECT 1 FROM counted").expect("ok");
    assert_eq!(a.execute(&select, &[]).expect_err("somebody did").errno(), REFUSED);
}

#[test]
fn diagnostics_are_the_sessions() {
    let limits = "[limits]\nserver_connections_max = 1\nserver_connection_wait_ms = 1000\n";
    let cluster = single::start("diagnostics", limits);
    let cluster = cluster.watched();
    let mut a = cluster.proxy().client("app");
    let mut b = cluster.proxy().client("app");
    let fails = "SELECT * FROM app.no_such_table";
    let reads = "GET DIAGNOSTICS CONDITION 1 @errno = MYSQL_ERRNO";
    a.query(fails).expect_err("no such table");
    a.query(reads).expect("its own condition");
    assert_eq!(one(&mut a, "SELECT @errno"), Ok("1146".into()));
    a.query(fails).expect_err("no such table");
    b.query("SELECT CAST('1x' AS SIGNED) FROM app.t").ok();
    assert_eq!(a.query(reads).map(drop).expect_err("B's warnings are there").errno(), REFUSED);
    // One who has none sees none, whatever the connection's last user left.
    b.query(fails).expect_err("no such table");
    let mut c = cluster.proxy().client("app");
    c.query("GET DIAGNOSTICS @n = NUMBER").expect("ok");
    assert_eq!(one(&mut c, "SELECT @n"), Ok("0".into()));
}
