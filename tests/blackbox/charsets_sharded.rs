//! Client character sets over several shards: values that rows are found by, texts that are taken
//! apart, and names. The answers are compared with those of one plain server that holds all rows.

use crate::client::{Client, Parameter};
use crate::compare::Outcome;
use crate::shop::{self, RowOrder, SHOP};
use crate::software::SOFTWARE;

/// ER_NOT_SUPPORTED_YET, with which the proxy refuses.
const REFUSED: u16 = 1235;

/// A character set, its bytes for `zürich`, and a character of it whose second byte is a delimiter.
const CHARSETS: [(&str, &[u8], &[u8]); 12] = [
    ("utf8mb4", b"z\xc3\xbcrich", b"\xc3\xa4"),
    ("utf8mb3", b"z\xc3\xbcrich", b"\xc3\xa4"),
    ("latin1", b"z\xfcrich", b"\xe4"),
    ("cp850", b"z\x81rich", b"\x84"),
    ("cp1251", b"zurich", b"\xbf"),
    ("ascii", b"zurich", b"x"),
    ("binary", b"z\xc3\xbcrich", b"\xff"),
    ("swe7", b"z~rich", b"["),
    ("gbk", b"z\xa8\xb9rich", b"\xbf\x5c"),
    ("big5", b"zurich", b"\xa4\x5c"),
    ("sjis", b"zurich", b"\x95\x5c"),
    ("cp932", b"zurich", b"\x83\x60"),
];

/// What differs between the sharded proxy and the plain server, in words.
#[derive(Default)]
struct Comparison {
    wrong: Vec<String>,
    refused: Vec<String>,
}

impl Comparison {
    /// Runs a statement on both; rows are compared as a multiset. A refusal changes nothing.
    fn run(&mut self, plain: &mut Client, proxy: &mut Client, context: &str, sql: &[u8]) {
        let theirs = Outcome::from(plain.query(sql));
        let ours = Outcome::from(proxy.query(sql));
        let text = || format!("[{context}] {}", sql.escape_ascii());
        match (&theirs, &ours) {
            (Outcome::Answer(theirs), Outcome::Answer(ours)) => {
                let sorted = |rows: &[Vec<Option<Vec<u8>>>]| {
                    let mut rows = rows.to_vec();
                    rows.sort();
                    rows
                };
                if (sorted(&theirs.rows), theirs.affected) != (sorted(&ours.rows), ours.affected) {
                    self.wrong.push(format!("{}\n  {theirs:?}\n  {ours:?}", text()));
                }
            }
            (Outcome::Error { errno: theirs, .. }, Outcome::Error { errno: ours, .. })
                if theirs == ours => {}
            (_, Outcome::Error { errno: REFUSED, .. }) => self.refused.push(text()),
            _ => self.wrong.push(format!("{}\n  {theirs:?}\n  {ours:?}", text())),
        }
    }
}

/// `@` stands for `zürich`, `#` for the character with a delimiter in it.
fn filled(template: &str, city: &[u8], character: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in template.bytes() {
        match byte {
            b'@' => out.extend_from_slice(city),
            b'#' => out.extend_from_slice(character),
            other => out.push(other),
        }
    }
    out
}

/// Statements on `visit`, which is sharded by a text.
const READS: [&str; 14] = [
    "SELECT COUNT(*) FROM visit WHERE token = 'tok-3'",
    "SELECT token, hits FROM visit WHERE token = '@-2'",
    "SELECT token, hits FROM visit WHERE token IN ('tok-3', '@-2', '@-5', 'x#', 'y')",
    "SELECT token FROM visit WHERE token = 'x#' OR token = '@-2'",
    "SELECT token, '#', HEX('#''') FROM visit WHERE hits > 2 ORDER BY token LIMIT 5",
    "SELECT COUNT(*), '#' FROM visit WHERE token <> '#' /* # */",
    "SELECT MIN(token), '#' FROM visit WHERE token > '#' OR token < 'u#'",
    "SELECT token FROM visit WHERE token = _latin1'z\\xfcrich-2'",
    "SELECT token FROM visit WHERE token = _ucs2 0x0074006F006B002D0033",
    "SELECT token FROM visit WHERE token = _utf16'\\0t\\0o\\0k\\0-\\03'",
    "SELECT token FROM visit WHERE token = _swe7'tok-3'",
    "SELECT token FROM visit WHERE token = N'tok-3'",
    "SELECT hits AS `#` FROM visit WHERE token = 'tok-3'",
    "SELECT hits AS '#' FROM visit WHERE token = 'tok-3'",
];

/// Statements on a table of numbers and texts.
const WRITES: [&str; 9] = [
    "DELETE FROM scratch",
    "INSERT INTO scratch (id, k, v) VALUES (1, 1, '#'), (2, 2, 'a#'''), (3, 3, '@'), (4, 4, '''')",
    "SELECT id, k, v, HEX(v) FROM scratch",
    "UPDATE scratch SET v = 'b#\\'' WHERE id IN (1, 3, 4)",
    "SELECT id, v FROM scratch WHERE v = 'b#''' OR v = '#'",
    "INSERT INTO scratch (id, v) VALUES (5, \"#\"), (6, '#') ON DUPLICATE KEY UPDATE v = '#'",
    "SELECT CONCAT(v, '#') FROM scratch WHERE id IN (5, 6, 1) -- '#",
    "DELETE FROM scratch WHERE v = '#'",
    "SELECT COUNT(*) FROM scratch",
];

/// Goal: under every client charset, rows are found, written and answered as on one server; what
/// cannot be converted is refused, and that is a name beyond ASCII.
#[test]
fn rows_are_found_in_every_charset() {
    let cluster = SHOP.watched();
    let server = shop::plain_server(RowOrder::AsDeclared);
    let table = shop::scratch_table();
    let mut plain = server.client("shop");
    plain
        .query(format!(
            "CREATE TABLE {table} (id BIGINT NOT NULL PRIMARY KEY, k BIGINT, v VARCHAR(100))"
        ))
        .expect("ok");
    let mut proxy = cluster.proxy().client("shop");
    let mut found = Comparison::default();
    for (charset, city, character) in CHARSETS {
        for set in [
            format!("SET NAMES {charset}"),
            format!("SET character_set_client = {charset}"),
            format!("SET character_set_connection = {charset}"),
            format!("SET character_set_results = {charset}"),
        ] {
            for client in [&mut plain, &mut proxy] {
                client.query("SET NAMES utf8mb4").expect("ok");
                client.query(&set).expect("ok");
            }
            // MySQL itself refuses names that it cannot convert.
            let refused = |sql: &&str| SOFTWARE.is_mysql() && sql.contains(" AS ");
            let statements = READS.iter().chain(&WRITES).filter(|sql| !refused(sql));
            for template in statements {
                let sql = filled(&template.replace("scratch", &table), city, character);
                found.run(&mut plain, &mut proxy, &set, &sql);
            }
        }
    }
    let unexpected: Vec<_> = found.refused.iter().filter(|text| !text.contains(" AS ")).collect();
    assert!(unexpected.is_empty(), "refused: {unexpected:#?}");
    found.wrong.truncate(20);
    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n"));
}

/// Goal: a new row is put where its text in UTF-8 belongs, or refused, whatever the charset; a
/// prepared statement with the same value does the same.
#[test]
fn rows_are_put_where_they_belong() {
    let cluster = shop::own_shop("charset-writes");
    let cluster = cluster.watched();
    let mut reader = cluster.proxy().client("shop");
    let (mut written, mut refused) = (0, Vec::new());
    for (charset, city, character) in CHARSETS {
        let mut client = cluster.proxy().client("shop");
        client.query(format!("SET NAMES {charset}")).expect("ok");
        let insert = |token: &[u8]| {
            let head = b"INSERT INTO visit (token, seen, hits) VALUES ('";
            [&head[..], token, b"', '2024-01-01 00:00:00', 77)"].concat()
        };
        let tokens = [city.to_vec(), [b"n-", character].concat(), format!("t-{charset}").into()];
        for token in tokens {
            let token = [&token[..], b"-", charset.as_bytes()].concat();
            let text = client.query(insert(&token));
            match text {
                Ok(_) => written += 1,
                Err(error) => refused.push(format!("{charset}: {error}")),
            }
            let prepared = client
                .prepare("INSERT INTO visit (token, seen, hits) VALUES (?, '2024-01-01', 78)")
                .expect("a statement");
            let value = Parameter::Text([b"p", &token[..]].concat());
            if client.execute(&prepared, &[value]).is_ok() {
                written += 1;
            }
        }
    }
    // Each row that is there is found by its text, that is, on the shard where it is looked for.
    let all = reader.query("SELECT token FROM visit WHERE hits IN (77, 78)").expect("rows");
    assert_eq!(all.rows.len(), written);
    assert!(written > CHARSETS.len() * 2, "{written} written, refused: {refused:#?}");
    for row in &all.rows {
        let token = row[0].clone().expect("not NULL");
        let sql = [b"SELECT hits FROM visit WHERE token = '", &token[..], b"'"].concat();
        let found = reader.query(sql).expect("rows").rows.len();
        assert_eq!(found, 1, "{}", token.escape_ascii());
    }
}

/// Goal: names beyond ASCII are never taken for other names: what cannot be read is refused.
#[test]
fn names_are_not_mistaken() {
    let cluster = SHOP.watched();
    let mut client = cluster.proxy().client("shop");
    client.query("SET NAMES latin1").expect("ok");
    for sql in [
        &b"SELECT `h\xfcts` FROM visit WHERE token = 'tok-3'"[..],
        b"SELECT v FROM `t\xc3\xabst` WHERE id = 1",
        b"INSERT INTO scratch_01 (`id`, `\xe4`) VALUES (1, 2)",
    ] {
        let error = client.query(sql).expect_err("a refusal");
        assert_eq!(error.errno(), REFUSED, "{error}");
        assert!(error.to_string().contains("utf8mb4"), "{error}");
    }
    let error = client.query(b"USE `nirg\xe4nds`").expect_err("no such keyspace");
    let told = client.recorded.concat();
    assert!(
        told.windows(9).any(|name| name == b"nirg\xe4nds\x27" || &name[..8] == b"nirg\xe4nd"),
        "in the client's charset: {error}"
    );
    let shown = client.query("SHOW WARNINGS").expect("a row");
    assert!(shown.rows[0][2].as_ref().is_some_and(|text| text.contains(&0xe4)), "{shown:?}");
    assert_eq!(shown.columns[2].charset, 8);
}
