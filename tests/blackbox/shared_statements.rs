//! What a server remembers with a prepared statement belongs to one session, whoever else uses the
//! connection: types of parameters and of user variables. Every packet is compared with that of a
//! session of its own at the server.

use std::thread;

use crate::client::{Client, Error, Login, Prepared};
use crate::packet::lenenc;
use crate::proxy::Proxy;
use crate::shop::{SHOP, scratch_table};
use crate::single::{Random, SINGLE};

/// A parameter: type, sign and bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) kind: u8,
    pub(crate) unsigned: bool,
    pub(crate) bytes: Option<Vec<u8>>,
}

pub(crate) fn fixed(name: &'static str, kind: u8, bytes: &[u8]) -> Bound {
    Bound { name, kind, unsigned: false, bytes: Some(bytes.to_vec()) }
}

pub(crate) fn text(name: &'static str, kind: u8, text: &str) -> Bound {
    let mut bytes = Vec::new();
    lenenc(&mut bytes, text.as_bytes());
    fixed(name, kind, &bytes)
}

/// Values of every kind that servers tell apart, and texts that look like them.
pub(crate) fn values() -> Vec<Bound> {
    vec![
        fixed("BIGINT 7", 8, &7_i64.to_le_bytes()),
        fixed("BIGINT -7", 8, &(-7_i64).to_le_bytes()),
        Bound { unsigned: true, ..fixed("BIGINT UNSIGNED 7", 8, &7_i64.to_le_bytes()) },
        fixed("INT 1234", 3, &1234_i32.to_le_bytes()),
        fixed("TINYINT 5", 1, &[5]),
        fixed("DOUBLE 1.5", 5, &1.5_f64.to_le_bytes()),
        fixed("FLOAT 1.5", 4, &1.5_f32.to_le_bytes()),
        text("DECIMAL 1.25", 246, "1.25"),
        fixed("DATE", 10, &[4, 0xe8, 7, 1, 2]),
        fixed("DATETIME", 12, &[7, 0xe8, 7, 1, 2, 3, 4, 5]),
        fixed("TIME", 11, &[8, 0, 0, 0, 0, 0, 1, 2, 3]),
        text("text 007", 253, "007"),
        text("text 1234", 253, "1234"),
        text("text -7", 253, "-7"),
        text("text 1.5", 253, "1.5"),
        text("text 99999999999999999999", 253, "99999999999999999999"),
        text("text 2024-01-02", 253, "2024-01-02"),
        text("text abc", 254, "abc"),
        text("bytes abc", 252, "abc"),
        text("bytes 7", 252, "7"),
        Bound { name: "NULL", kind: 253, unsigned: false, bytes: None },
        Bound { name: "NULL as NULL", kind: 6, unsigned: false, bytes: None },
        Bound { name: "NULL as BIGINT", kind: 8, unsigned: false, bytes: None },
    ]
}

pub(crate) fn execute(
    client: &mut Client,
    statement: &Prepared,
    params: &[&Bound],
) -> Result<(), Error> {
    let mut body = statement.id.to_le_bytes().to_vec();
    body.extend_from_slice(&[0, 1, 0, 0, 0]);
    let mut nulls = vec![0_u8; params.len().div_ceil(8)];
    for (at, _) in params.iter().enumerate().filter(|(_, param)| param.bytes.is_none()) {
        nulls[at / 8] |= 1 << (at % 8);
    }
    body.extend_from_slice(&nulls);
    body.push(1);
    for param in params {
        body.extend_from_slice(&[param.kind, if param.unsigned { 0x80 } else { 0 }]);
    }
    for param in params {
        body.extend_from_slice(param.bytes.as_deref().unwrap_or_default());
    }
    client.command(0x17, &body)
}

/// Executes a statement and gives every packet of the answer.
fn packets(client: &mut Client, statement: &Prepared, params: &[&Bound]) -> Vec<String> {
    execute(client, statement, params).expect("it is read");
    let answer = client.read_answer(true);
    if let Err(Error::Io(error)) = &answer {
        panic!("{error}");
    }
    let packets = std::mem::take(&mut client.recorded);
    packets.iter().map(|packet| packet.escape_ascii().to_string()).collect()
}

/// Everything after the execution of a write, undone again.
fn write(client: &mut Client, statement: &Prepared, params: &[&Bound]) -> Vec<String> {
    client.query("BEGIN").expect("ok");
    let mut packets = packets(client, statement, params);
    let rows = client.query("SELECT k, n FROM bound ORDER BY id").expect("rows").texts();
    packets.extend(rows.iter().map(|row| row.join(" ")));
    client.query("ROLLBACK").expect("ok");
    packets
}

const READS: &[&str] = &[
    "SELECT ?",
    "SELECT CONCAT(?, 'x'), HEX(?)",
    "SELECT ? + 1, ROUND(?)",
    "SELECT COUNT(*) FROM bound WHERE k = ?",
    "SELECT id FROM bound WHERE n = ? ORDER BY id",
    "SELECT id FROM bound WHERE d <= ? ORDER BY id",
    "SELECT id, IFNULL(?, n), COALESCE(k, ?) FROM bound WHERE id = 1",
    "SELECT id FROM bound WHERE k IN (?, 'abc') ORDER BY id",
    "SELECT id FROM bound WHERE id > 0 ORDER BY id LIMIT ?",
    "SELECT DATE_ADD(?, INTERVAL 1 DAY), CAST(? AS SIGNED)",
];

/// The number that statements beside [`READS`] and [`WRITES`] go by.
pub(crate) const PROBED: usize = 0;

const WRITES: &[&str] = &[
    "DELETE FROM bound WHERE k = ?",
    "UPDATE bound SET n = n + 1 WHERE k = ?",
    "UPDATE bound SET k = ? WHERE n = 4",
    "INSERT IGNORE INTO bound (id, k, n) VALUES (100, ?, ?)",
    "UPDATE bound SET n = ? WHERE id = 2",
];

/// The table that all of these statements use, made once.
fn make_table() {
    static MADE: std::sync::Once = std::sync::Once::new();
    MADE.call_once(|| {
        let mut client = SINGLE.shards[0].primary.client("app");
        let table = "CREATE TABLE bound (id INT PRIMARY KEY AUTO_INCREMENT, \
             k VARCHAR(20) NOT NULL UNIQUE, n INT, d DECIMAL(10,2) DEFAULT 7)";
        client.query(table).expect("a table");
        let rows = "INSERT INTO bound (k, n) VALUES ('1234', 1), ('01234', 2), ('1234.0', 3), \
             ('+1234', 4), ('5', 5), ('abc', 7), ('7', 8), ('2024-01-02', 9)";
        client.query(rows).expect("rows");
    });
}

/// A session through the proxy beside one of its own at the server, with the same statements.
pub(crate) struct Pair {
    proxied: Client,
    direct: Client,
    pub(crate) statements: Vec<(usize, Prepared, Prepared)>,
}

impl Pair {
    pub(crate) fn new(proxy: &Proxy) -> Self {
        let server = SINGLE.shards[0].primary.socket_address();
        let direct = Client::connect(server, &Login::test("app")).expect("a login");
        Self { proxied: proxy.client("app"), direct, statements: Vec::new() }
    }

    pub(crate) fn prepare(&mut self, number: usize, sql: &str) {
        let proxied = self.proxied.prepare(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
        let direct = self.direct.prepare(sql).expect("a statement");
        let ours = std::mem::take(&mut self.proxied.recorded);
        let theirs = std::mem::take(&mut self.direct.recorded);
        let without_id = |all: &[Vec<u8>]| [&all[0][5..], &all[1..].concat()].concat();
        assert_eq!(without_id(&ours), without_id(&theirs), "{sql}");
        self.statements.push((number, proxied, direct));
    }

    /// Runs a statement on both sides.
    pub(crate) fn set(&mut self, sql: &str) {
        for client in [&mut self.proxied, &mut self.direct] {
            client.query(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            client.recorded.clear();
        }
    }

    /// One execution on both sides; says how they differ.
    pub(crate) fn step(&mut self, at: usize, params: &[&Bound]) -> Result<(), String> {
        let (number, proxied, direct) = self.statements[at].clone();
        let run = if number < READS.len() { packets } else { write };
        let theirs = run(&mut self.direct, &direct, params);
        let ours = run(&mut self.proxied, &proxied, params);
        if ours == theirs {
            return Ok(());
        }
        let names: Vec<&str> = params.iter().map(|param| param.name).collect();
        let sql = READS.iter().chain(WRITES).nth(number).expect("a statement");
        Err(format!("{sql} with {}:\n  {ours:?}\n  {theirs:?}", names.join(", ")))
    }
}

pub(crate) fn proxy_with(name: &str, connections: usize) -> Proxy {
    make_table();
    // A look at a busy server may take a while; one that fails would close its connections.
    let limits =
        format!("[limits]\nserver_connections_max = {connections}\nmonitor_timeout_ms = 20000\n");
    SINGLE.another_proxy(name, &limits)
}

/// Parameters for a statement; mostly of the kind that this session likes best.
fn choose<'a>(random: &mut Random, all: &'a [Bound], liked: usize, count: u16) -> Vec<&'a Bound> {
    let one = |random: &mut Random| {
        if random.below(3) > 0 { &all[liked] } else { random.pick(all) }
    };
    (0..count).map(|_| one(random)).collect()
}

/// Goal: sessions whose parameters have different types share one connection, and each gets and
/// writes what it would alone, to the byte.
#[test]
fn bound_types_of_others() {
    let _cluster = SINGLE.watched();
    let proxy = proxy_with("bound-types", 1);
    let all = values();
    for seed in 1..=4 {
        let mut random = Random::new(seed);
        let mut pairs: Vec<Pair> = (0..3).map(|_| Pair::new(&proxy)).collect();
        for pair in &mut pairs {
            for (number, sql) in READS.iter().chain(WRITES).enumerate() {
                pair.prepare(number, sql);
            }
        }
        let liked: Vec<usize> =
            pairs.iter().map(|_| random.below(all.len() as u64) as usize).collect();
        for step in 0..400 {
            let who = random.below(3) as usize;
            let pair = &mut pairs[who];
            let at = random.below(pair.statements.len() as u64) as usize;
            let count = pair.statements[at].1.parameters;
            let params = choose(&mut random, &all, liked[who], count);
            let same = pair.step(at, &params);
            let log = || proxy.log_tail();
            assert_eq!(same, Ok(()), "seed {seed}, step {step}, session {who}\n{}", log());
            if random.below(40) == 0 {
                // Prepared anew: what was bound is forgotten.
                let (number, proxied, direct) = pair.statements.swap_remove(at);
                pair.proxied.close(&proxied).expect("no answer");
                pair.direct.close(&direct).expect("no answer");
                let sql = READS.iter().chain(WRITES).nth(number).expect("a statement");
                pair.prepare(number, sql);
            }
        }
    }
}

/// Goal: where MariaDB keeps the scale of a value that was bound before, it is one's own. (Alone, a
/// session that binds a text first is shown an integer with 39 zeros behind the point.)
#[test]
fn scales_of_others() {
    let _cluster = SINGLE.watched();
    let proxy = proxy_with("scales", 1);
    let (mut one, mut two) = (Pair::new(&proxy), Pair::new(&proxy));
    for pair in [&mut one, &mut two] {
        pair.prepare(0, "SELECT -?, ABS(?), FLOOR(?)");
    }
    let (number, other) = (fixed("BIGINT -7", 8, &(-7_i64).to_le_bytes()), text("text", 253, "x"));
    for _ in 0..3 {
        assert_eq!(one.step(0, &[&other; 3]), Ok(()));
        assert_eq!(two.step(0, &[&number; 3]), Ok(()));
    }
}

/// Goal: the same while twelve sessions race for three connections.
#[test]
fn twelve_race_for_three() {
    let _cluster = SINGLE.watched();
    let proxy = proxy_with("race", 3);
    let all = values();
    thread::scope(|scope| {
        let racers: Vec<_> = (0..12_u64)
            .map(|who| {
                let (proxy, all) = (&proxy, &all);
                scope.spawn(move || {
                    let mut random = Random::new(100 + who);
                    let liked = random.below(all.len() as u64) as usize;
                    let mut pair = Pair::new(proxy);
                    for (number, sql) in READS.iter().enumerate() {
                        pair.prepare(number, sql);
                    }
                    for step in 0..120 {
                        let at = random.below(pair.statements.len() as u64) as usize;
                        let count = pair.statements[at].1.parameters;
                        let params = choose(&mut random, all, liked, count);
                        pair.step(at, &params).unwrap_or_else(|error| {
                            panic!("racer {who}, step {step}: {error}\n{}", proxy.log_tail())
                        });
                    }
                })
            })
            .collect();
        for racer in racers {
            racer.join().expect("no racer saw a difference");
        }
    });
}

/// Goal: the same over several shards, whose pieces are prepared too.
#[test]
fn bound_types_of_others_over_shards() {
    let cluster = SHOP.watched();
    let proxy = cluster.another_proxy("types-shards", "[limits]\nserver_connections_max = 1\n");
    let table = scratch_table();
    let (mut one, mut two) = (proxy.client("shop"), proxy.client("shop"));
    let texts = ["1234", "01234", "1234.0", "+1234", "5", "abc"];
    let rows = (1..=24).map(|id| format!("({id}, {}, '{}')", id % 5, texts[id % texts.len()]));
    let rows = rows.collect::<Vec<_>>().join(", ");
    one.query(format!("INSERT INTO {table} (id, k, v) VALUES {rows}")).expect("rows");
    let [by_text, less, update, delete] = [
        format!("SELECT COUNT(*) FROM {table} WHERE v = ?"),
        format!("SELECT id FROM {table} WHERE v <> ? ORDER BY id"),
        format!("UPDATE {table} SET v = ? WHERE k = 4"),
        format!("DELETE FROM {table} WHERE v = ?"),
    ];
    let (number, text) = (fixed("BIGINT", 8, &1234_i64.to_le_bytes()), text("text", 253, "1234"));
    let run = |client: &mut Client, statement: &Prepared, param: &Bound| {
        execute(client, statement, &[param]).expect("it is read");
        client.read_answer(true)
    };
    let prepare = |client: &mut Client, sql: &str| client.prepare(sql).expect("a statement");
    let [ours, theirs] =
        [&by_text, &less].map(|sql| (prepare(&mut one, sql), prepare(&mut two, sql)));
    for _ in 0..3 {
        assert_eq!(run(&mut one, &ours.0, &number).expect("a row").scalar(), "16");
        assert_eq!(run(&mut two, &ours.1, &text).expect("a row").scalar(), "4");
        assert_eq!(run(&mut one, &theirs.0, &number).expect("rows").rows.len(), 8);
        assert_eq!(run(&mut two, &theirs.1, &text).expect("rows").rows.len(), 20);
    }
    for sql in [&update, &delete] {
        let (first, second) = (prepare(&mut one, sql), prepare(&mut two, sql));
        for client in [&mut one, &mut two] {
            client.query("BEGIN").expect("ok");
        }
        // Of numbers as texts a server in strict mode may refuse to compare those that are none.
        let _ = run(&mut one, &first, &number);
        one.query("ROLLBACK").expect("ok");
        let changed = run(&mut two, &second, &text).expect("ok").affected;
        // One of the five has that text already.
        assert_eq!(changed, 4, "{sql}");
        let left = format!("SELECT COUNT(*) FROM {table} WHERE k = 4 AND v = '1234'");
        let left = two.query(left).expect("a row").scalar();
        assert_eq!(left, if sql == &delete { "0" } else { "5" }, "{sql}");
        two.query("ROLLBACK").expect("ok");
    }
}

/// Goal: over several shards, too, a value may be NULL after another type was bound, wherever the
/// row is.
#[test]
fn nulls_after_other_types_over_shards() {
    let cluster = SHOP.watched();
    let proxy = cluster.another_proxy("nulls-shards", "");
    let table = scratch_table();
    let mut client = proxy.client("shop");
    let sql = format!("INSERT INTO {table} (id, k, v) VALUES (?, ?, ?)");
    let insert = client.prepare(sql).expect("a statement");
    let [double, null] = [values().swap_remove(5), values().swap_remove(21)];
    for id in 1..=24_i64 {
        let number = fixed("BIGINT", 8, &id.to_le_bytes());
        let k = if id % 3 == 0 { &null } else { &double };
        execute(&mut client, &insert, &[&number, k, &double]).expect("it is read");
        assert_eq!(client.read_answer(true).expect("ok").affected, 1, "id {id}");
    }
    let some = client.query(format!("SELECT COUNT(k), COUNT(*) FROM {table}")).expect("a row");
    assert_eq!(some.texts(), [["16", "24"]]);
}

/// Goal: a value may be NULL after another type was bound, on whatever connection a transaction
/// runs.
#[test]
fn nulls_after_other_types_in_transactions() {
    let _cluster = SINGLE.watched();
    let mut client = SINGLE.shards[0].primary.client("app");
    let table = "CREATE TABLE nulls (k VARCHAR(20) NOT NULL UNIQUE, n INT, d DECIMAL(10,2))";
    client.query(table).expect("a table");
    client.query("INSERT INTO nulls VALUES ('1234', 1, 7)").expect("ok");
    let proxy = proxy_with("nulls-transaction", 2);
    let (mut one, mut two) = (proxy.client("app"), proxy.client("app"));
    let sql = "INSERT INTO nulls (k, n, d) VALUES (?, ?, ?)";
    let insert = one.prepare(sql).expect("a statement");
    let update = one.prepare("UPDATE nulls SET d = ? WHERE k = ?").expect("a statement");
    let [double, null] = [values().swap_remove(5), values().swap_remove(21)];
    let keys = ["in-1", "in-2", "in-3", "in-4"].map(|key| text("VARCHAR", 253, key));
    execute(&mut one, &insert, &[&keys[0], &double, &double]).expect("it is read");
    one.read_answer(true).expect("ok");
    execute(&mut one, &update, &[&double, &keys[0]]).expect("it is read");
    one.read_answer(true).expect("ok");
    for (at, key) in keys.iter().enumerate().skip(1) {
        // The connection of the last execution is taken for two, so that one gets the other.
        two.query("BEGIN").expect("ok");
        two.query("SELECT k FROM nulls WHERE k = '1234' FOR UPDATE").expect("a row");
        one.query("BEGIN").expect("ok");
        one.query("SELECT 1").expect("a row");
        execute(&mut one, &insert, &[key, &double, &null]).expect("it is read");
        assert_eq!(one.read_answer(true).expect("ok").affected, 1, "key {at}");
        execute(&mut one, &update, &[&null, &keys[0]]).expect("it is read");
        one.read_answer(true).expect("ok");
        one.query("ROLLBACK").expect("ok");
        two.query("ROLLBACK").expect("ok");
    }
}

/// Goal: MySQL finds values of earlier executions again, which others have bound: a date in IN (..)
/// where NULL follows, and whether a number was a date.
#[test]
fn values_of_others() {
    let _cluster = SINGLE.watched();
    let mut client = SINGLE.shards[0].primary.client("app");
    let table = "CREATE TABLE dated (id INT PRIMARY KEY, k VARCHAR(20), n INT, day DATE)";
    client.query(table).expect("a table");
    let rows = "INSERT INTO dated VALUES (1, '2024-01-02', 1, '2024-01-02'), \
         (2, '2024-01-03', 2, NULL), (3, 'abc', 1234, '2025-01-02')";
    client.query(rows).expect("rows");
    let proxy = proxy_with("values", 1);
    let date = |day: u8| fixed("DATE", 10, &[4, 0xe8, 7, 1, day]);
    let number = |number: i64| fixed("BIGINT", 8, &number.to_le_bytes());
    let null = values().swap_remove(21);
    for (sql, of_one, of_two) in [
        (
            "SELECT id FROM dated WHERE k IN (?, ?, 'abc') ORDER BY id",
            vec![date(2), date(3)],
            vec![null.clone(), date(3)],
        ),
        (
            "SELECT id FROM dated WHERE day IN (?, ?, '2025-01-02') ORDER BY id",
            vec![date(2), date(3)],
            vec![null.clone(), date(3)],
        ),
        (
            "DELETE FROM dated WHERE n = ? OR day < ?",
            vec![number(1234), date(3)],
            vec![number(1234), number(1)],
        ),
    ] {
        let (mut one, mut two) = (proxy.client("app"), proxy.client("app"));
        let ours = one.prepare(sql).expect("a statement");
        let theirs = two.prepare(sql).expect("a statement");
        let mut direct = SINGLE.shards[0].primary.client("app");
        let alone = direct.prepare(sql).expect("a statement");
        let run = |client: &mut Client, statement: &Prepared, params: &[Bound]| {
            client.query("BEGIN").expect("ok");
            client.recorded.clear();
            let found = packets(client, statement, &params.iter().collect::<Vec<_>>());
            client.query("ROLLBACK").expect("ok");
            found
        };
        run(&mut one, &ours, &of_one);
        let found = run(&mut two, &theirs, &of_two);
        assert_eq!(found, run(&mut direct, &alone, &of_two), "{sql}");
    }
}

/// Goal: clients with more statements of their own than a connection keeps leave room for those of
/// others.
#[test]
fn statements_of_others_fill_a_connection() {
    let _cluster = SINGLE.watched();
    make_table();
    let limits = "[limits]\nserver_connections_max = 1\nserver_statements_max = 2\n";
    let proxy = SINGLE.another_proxy("statements-full", limits);
    let (mut one, mut two) = (proxy.client("app"), proxy.client("app"));
    let double = values().swap_remove(5);
    for number in 0..3 {
        let sql = format!("SELECT {number}, k FROM bound WHERE n = ?");
        let statement = one.prepare(sql).expect("a statement");
        execute(&mut one, &statement, &[&double]).expect("it is read");
        one.read_answer(true).expect("rows");
        let other = two.prepare("SELECT k FROM bound WHERE id = 1").expect("a statement");
        for _ in 0..2 {
            execute(&mut two, &other, &[]).expect("it is read");
            assert_eq!(two.read_answer(true).expect("a row").scalar(), "1234");
        }
    }
}

/// Goal: a statement keeps the type that a user variable of its own session had at PREPARE.
#[test]
fn types_of_user_variables() {
    let _cluster = SINGLE.watched();
    let proxy = proxy_with("variable-types", 1);
    let mut one = Pair::new(&proxy);
    let mut two = Pair::new(&proxy);
    let sql = "SELECT k FROM bound WHERE k = @v ORDER BY id";
    let set = |pair: &mut Pair, sql: &str| pair.set(sql);
    set(&mut one, "SET @v = 0");
    set(&mut two, "SET @v = 'abc'");
    one.prepare(3, sql);
    two.prepare(3, sql);
    for (first, second) in [("0", "'abc'"), ("5", "'5'"), ("'x'", "7"), ("1.5", "NULL")] {
        set(&mut one, &format!("SET @v = {first}"));
        set(&mut two, &format!("SET @v = {second}"));
        for _ in 0..2 {
            assert_eq!(one.step(0, &[]), Ok(()), "{first}");
            assert_eq!(two.step(0, &[]), Ok(()), "{second}");
        }
        // Assigned where only the server knows of it.
        set(&mut two, "SELECT k INTO @v FROM bound WHERE id = 6");
        assert_eq!(two.step(0, &[]), Ok(()), "assigned");
    }
    // The same by name.
    for pair in [&mut one, &mut two] {
        set(pair, "SET @w = 7");
    }
    set(&mut one, "SET @v = 0");
    set(&mut two, "SET @v = 'abc'");
    let named = "PREPARE s FROM 'SELECT k, @v FROM bound WHERE k = @v OR n = ? ORDER BY id'";
    for pair in [&mut one, &mut two] {
        pair.proxied.query(named).expect("ok");
        pair.direct.query(named).expect("ok");
    }
    for (first, second) in [("7", "'def'"), ("8", "'ghi'")] {
        set(&mut one, &format!("SET @v = {first}"));
        set(&mut two, &format!("SET @v = {second}"));
        for pair in [&mut one, &mut two] {
            let theirs = pair.direct.query("EXECUTE s USING @w").expect("rows").texts();
            match pair.proxied.query("EXECUTE s USING @w") {
                Ok(answer) => assert_eq!(answer.texts(), theirs),
                // The other session's statement of that name has taken its place.
                Err(error) => assert!(error.to_string().contains("GG15010"), "{error}"),
            }
        }
    }
}
