//! Client character sets over one server: every one that it has, with the bytes that could be
//! taken for quotes, backslashes and spaces, straight and through the proxy.

use std::collections::BTreeSet;

use crate::client::{Client, Login, Parameter, capability};
use crate::cluster::Watched;
use crate::recorded::Sides;
use crate::single::{self, SINGLE};
use crate::software::SOFTWARE;

fn sides(cluster: &Watched<'_>) -> Sides {
    Sides {
        direct: cluster.shards[0].primary.socket_address(),
        proxy: cluster.proxy().socket_address(),
    }
}

/// The character sets that a client of the server can have.
fn charsets(cluster: &Watched<'_>) -> Vec<String> {
    let answer = cluster.shards[0].primary.client("app").query("SHOW CHARACTER SET");
    let names = answer.expect("rows").texts().into_iter().map(|row| row[0].clone());
    names.filter(|name| !WIDE.contains(&&**name)).collect()
}

const WIDE: [&str; 4] = ["ucs2", "utf16", "utf16le", "utf32"];

/// Character sets with characters of several bytes, other than UTF-8.
const MULTI_BYTE: [&str; 9] =
    ["big5", "gbk", "gb18030", "sjis", "cp932", "euckr", "ujis", "gb2312", "eucjpms"];

/// Two bytes of which the second looks like a delimiter, in places where it matters. `##` stands
/// for the two bytes.
const TEMPLATES: [&str; 5] = [
    "SELECT '##', HEX('##') -- '",
    "SELECT '##\\'', '## /*' /* ## */, 1",
    "SELECT \"##\", HEX('a##b''') # '",
    "SELECT 1 AS `##`",
    "SELECT CONNECTION_ID() > 0 AS '##', 'x' ## 'y'",
];

/// Goal: whatever two bytes stand in a string, a comment or a name, under every character set and
/// mode that moves the end of a string, the proxy answers what the server answers, and both are
/// then in step.
#[test]
fn two_bytes_in_every_charset() {
    let cluster = single::start("two-bytes", "");
    let cluster = cluster.watched();
    let sides = sides(&cluster);
    let multi = capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF;
    let login = Login { capabilities: multi, ..Login::test("app") };
    let some: Vec<u8> = vec![0x80, 0x81, 0xa0, 0xa1, 0xbf, 0xe0, 0xfe, 0xff];
    let many: Vec<u8> = (0x80..=0xff).step_by(3).chain(some.iter().copied()).collect();
    let mut wrong = Vec::new();
    for charset in charsets(&cluster) {
        for mode in ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"] {
            let mut statements = vec![
                format!("SET sql_mode = '{mode}'").into_bytes(),
                format!("SET NAMES {charset}").into_bytes(),
            ];
            for lead in if MULTI_BYTE.contains(&&*charset) { &many } else { &some } {
                for trail in [0x27, 0x22, 0x5c, 0x60, 0xa0, 0xff] {
                    for template in TEMPLATES {
                        statements.push(filled(template, &[*lead, trail]));
                    }
                }
            }
            statements.push(b"SELECT 'in step'".to_vec());
            for difference in sides.differences(&login, None, &statements) {
                wrong.push(format!("[{charset}, mode '{mode}'] {difference}"));
            }
        }
    }
    wrong.truncate(40);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A template with its `##` replaced.
fn filled(template: &str, bytes: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = template.split("##").map(str::as_bytes).collect();
    parts.join(bytes)
}

/// Goal: the session's character sets come out the same whatever way they are set, and answers,
/// names and errors come in the one for results, also those that the proxy makes.
#[test]
fn settings_and_answers() {
    let cluster = single::start("charset-settings", "");
    let cluster = cluster.watched();
    let shown = "SELECT @@character_set_client, @@character_set_connection, \
                 @@character_set_results, @@collation_connection, 'x'";
    let table: &[&[u8]] = &[
        b"CREATE TABLE `t\xebst` (`sp\xe4lte` VARCHAR(9))",
        b"CREATE TABLE `t\xc3\xabst` (`sp\xc3\xa4lte` VARCHAR(9))",
        b"SELECT `sp\xe4lte` FROM `t\xebst`",
        b"SELECT `sp\xc3\xa4lte` FROM `t\xc3\xabst`",
        b"SELECT * FROM `nirg\xe9nds`",
        b"SHOW WARNINGS",
        b"SELECT 'nie\xe9' + 1, CAST('\xe9x' AS SIGNED) AS '\xe9'",
        b"SHOW WARNINGS",
        b"USE `nirg\xe9nds`",
        b"SHOW ERRORS",
        b"SELECT CONNECTION_ID() > 0 AS '\xe9'",
        b"SELECT _latin1'\xe4', _gbk'\xbf\x27', N'\xe4', _binary'\xff', _utf8mb4 0xc3a4",
        b"SELECT _sjis 0x955c, _ucs2 0x0041, X'e4', _koi8r b'11000001'",
        b"DROP TABLE IF EXISTS `t\xebst`",
        b"DROP TABLE IF EXISTS `t\xc3\xabst`",
    ];
    let mut statements: Vec<Vec<u8>> = Vec::new();
    for set in [
        "SET NAMES latin1",
        "SET NAMES 'GBK'",
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET NAMES utf8",
        "SET NAMES binary",
        "SET NAMES swe7",
        "SET NAMES ucs2",
        "SET NAMES utf16le",
        "SET NAMES no_such",
        "SET NAMES DEFAULT",
        "SET CHARACTER SET latin2",
        "SET CHARACTER SET DEFAULT",
        "SET character_set_client = cp1251",
        "SET character_set_client = 28",
        "SET character_set_client = utf32",
        "SET character_set_client = DEFAULT",
        "SET character_set_client = NULL",
        "SET character_set_results = NULL",
        "SET character_set_results = latin1",
        "SET character_set_results = 'koi8r'",
        "SET character_set_connection = ucs2",
        "SET collation_connection = latin1_german1_ci",
        "SET collation_connection = 8, character_set_results = sjis",
        "SET @@character_set_client = @@global.character_set_client",
        "SET NAMES utf8mb4",
    ] {
        statements.push(set.into());
        statements.push(shown.into());
        // USE goes to the server as COM_INIT_DB, whose error names another charset then.
        let skipped = |sql: &&&[u8]| set == "SET NAMES binary" && sql.starts_with(b"USE");
        statements.extend(table.iter().filter(|sql| !skipped(sql)).map(|sql| sql.to_vec()));
    }
    let multi = capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF;
    let login = Login { capabilities: multi, ..Login::test("app") };
    statements.push(
        b"SET NAMES gbk; SELECT HEX('\xbf\x5c'), '\xbf\x5c'; SET NAMES latin1; \
                      SELECT '\xbf\x5c''; SELECT 1"
            .to_vec(),
    );
    statements.push(b"SET NAMES sjis; SELECT '\x95\x5c'; SELECT \"\x95\x5c\" -- \x95\x5c".to_vec());
    let wrong = sides(&cluster).differences(&login, None, &statements);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Goal: the number of a collation in the handshake gives what the server gives for it: its
/// character set, the server's default if there is no such collation, or an error.
#[test]
fn collations_of_the_handshake() {
    let cluster = single::start("collations", "");
    let cluster = cluster.watched();
    let sides = sides(&cluster);
    for default in ["latin1", "utf8mb4", "gbk"] {
        let server = &cluster.shards[0].primary;
        server.sql(&format!(
            "SET GLOBAL character_set_client = {default}, GLOBAL character_set_results = \
             {default}, GLOBAL collation_connection = {default}_bin"
        ));
        let mut seen = BTreeSet::new();
        for collation in (0..=255).filter(|id| *id != 17) {
            let login = Login { collation, ..Login::test("app") };
            let asked = |address| {
                let mut client = Client::connect(address, &login).map_err(|e| e.to_string())?;
                let sql = "SELECT @@character_set_client, @@character_set_connection, \
                           @@character_set_results, @@collation_connection, HEX('\u{15f}')";
                Ok::<_, String>(client.query(sql).map_err(|e| e.to_string())?.texts())
            };
            let (direct, proxy) = (asked(sides.direct), asked(sides.proxy));
            // MySQL takes the default collation of its own character set for a wish for that
            // charset, with whatever collation it is told to have: known, and not done here.
            if SOFTWARE.is_mysql() && format!("{direct:?}").contains(&format!("{default}_bin")) {
                continue;
            }
            assert_eq!(proxy, direct, "collation {collation}, default {default}");
            seen.insert(format!("{direct:?}"));
        }
        assert!(seen.len() > 50, "{} different answers", seen.len());
    }
}

/// Goal: a session that begins with a multi-byte character set is lexed in it from its first
/// statement on, and after COM_RESET_CONNECTION.
#[test]
fn the_charset_of_the_login_counts() {
    let cluster = SINGLE.watched();
    let login = Login {
        collation: 28,
        capabilities: capability::MULTI_STATEMENTS | capability::DEPRECATE_EOF,
        ..Login::test("app")
    };
    let mut client = Client::connect(cluster.proxy().socket_address(), &login).expect("a login");
    // Read as latin1 the second one would hide in the string of the first.
    let sql = b"SELECT HEX('\xbf\x5c'); SELECT '; SELECT 3'";
    for _ in 0..2 {
        let answers = client.query_all(sql).expect("two results");
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[0].scalar(), "BF5C");
        client.reset().expect("ok");
    }
}

/// Goal: the same bytes name different databases in different character sets, on every connection.
#[test]
fn databases_in_the_clients_charset() {
    let cluster = SINGLE.watched();
    let server = &cluster.shards[0].primary;
    let mut direct = server.client("");
    for name in ["t\u{eb}st", "t\u{c3}\u{ab}st"] {
        direct.query(format!("CREATE DATABASE `{name}`")).expect("ok");
        direct.query(format!("CREATE TABLE `{name}`.here (v VARCHAR(32))")).expect("ok");
        direct.query(format!("INSERT INTO `{name}`.here VALUES (HEX('{name}'))")).expect("ok");
    }
    let here = "SELECT HEX(CONVERT(DATABASE() USING utf8mb4)), v FROM here";
    let expected = |hex: &str| vec![vec![hex.to_owned(), hex.to_owned()]];
    let mut clients: Vec<(Client, &str)> = Vec::new();
    for (names, collation, bytes, hex) in [
        ("utf8mb4", 45, &b"t\xc3\xabst"[..], "74C3AB7374"),
        ("latin1", 8, b"t\xebst", "74C3AB7374"),
        ("latin1", 8, b"t\xc3\xabst", "74C383C2AB7374"),
        ("utf8mb4", 45, "t\u{c3}\u{ab}st".as_bytes(), "74C383C2AB7374"),
        ("cp850", 4, b"t\x89st", "74C3AB7374"),
    ] {
        let mut client = cluster.proxy().client("app");
        client.query(format!("SET NAMES {names}")).expect("ok");
        client.query([b"USE `", bytes, b"`"].concat()).expect("a database");
        assert_eq!(client.query(here).expect("a row").texts(), expected(hex), "{names}");
        clients.push((client, hex));
        let mut client = cluster.proxy().client("");
        client.query(format!("SET NAMES {names}")).expect("ok");
        client.command(0x02, bytes).expect("it is read");
        client.read_reply().expect("a database");
        assert_eq!(client.query(here).expect("a row").texts(), expected(hex), "{names}");
        clients.push((client, hex));
        let _ = collation;
    }
    // Connections change hands.
    for round in 0..3 {
        for (client, hex) in &mut clients {
            assert_eq!(client.query(here).expect("a row").texts(), expected(hex), "{round}");
        }
    }
    // One holds its connection, so the others get new ones.
    for (client, hex) in &mut clients {
        client.query("BEGIN").expect("ok");
        assert_eq!(client.query(here).expect("a row").texts(), expected(hex));
    }
}

/// Goal: names of savepoints and user variables beyond ASCII are the same thing on every connection
/// and in every character set.
#[test]
fn savepoints_and_variables() {
    let cluster = SINGLE.watched();
    let statements: &[&[u8]] = &[
        b"CREATE TABLE marked (id INT)",
        b"SET NAMES latin1",
        b"SET @\xe9 = 1, @`\xf8` = 2",
        b"BEGIN",
        b"INSERT INTO marked VALUES (1)",
        b"SAVEPOINT `\xe9`",
        b"INSERT INTO marked VALUES (2)",
        b"SAVEPOINT \xf8",
        b"INSERT INTO marked VALUES (3)",
        b"ROLLBACK TO `\xf8`",
        b"SELECT COUNT(*), @`\xe9`, @\xf8 FROM marked",
        b"SET NAMES utf8mb4",
        b"ROLLBACK TO SAVEPOINT `\xc3\xa9`",
        b"SELECT COUNT(*), @`\xc3\xa9`, @\xc3\xb8 FROM marked",
        b"ROLLBACK TO nowhere",
        b"RELEASE SAVEPOINT \xc3\xa9",
        b"ROLLBACK TO \xc3\xa9",
        b"COMMIT",
        b"DROP TABLE marked",
    ];
    let wrong = sides(&cluster).differences(&Login::test("app"), None, statements);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Goal: parameters and texts of prepared statements are in the client's character set.
#[test]
fn prepared_statements() {
    let cluster = SINGLE.watched();
    for (names, bytes) in [
        ("latin1", &b"\xe4\x5c\x27"[..]),
        ("gbk", b"\xbf\x5c\xbf\x60"),
        ("sjis", b"\x95\x5c\x83\x5c"),
        ("big5", b"\xa4\x5c"),
        ("utf8mb4", "\u{1f600}".as_bytes()),
        ("binary", b"\xff\0"),
    ] {
        let run = |mut client: Client| {
            client.query(format!("SET NAMES {names}")).expect("ok");
            let sql = [
                &b"SELECT ?, HEX(?), '"[..],
                bytes.trim_ascii(),
                b"x', HEX(CONVERT(? USING utf8mb4))",
            ];
            let statement = client.prepare(sql.concat().as_slice()).map_err(|e| e.to_string())?;
            let value = Parameter::Text(bytes.to_vec());
            let values = [value.clone(), value.clone(), value];
            let answer = client.execute(&statement, &values).map_err(|e| e.to_string())?;
            Ok::<_, String>((answer.columns, answer.rows))
        };
        let direct = run(cluster.shards[0].primary.client("app"));
        assert_eq!(run(cluster.proxy().client("app")), direct, "{names}");
    }
}
