//! What each control statement is read as.

use super::explain::{Explain, VExplainKind};
use super::kill::{Kill, KillId, KillTarget};
use super::prepare::{Prepared, Source};
use super::set::{Access, Isolation, Scope, SetItem, SetValue};
use super::show::ShowKind;
use super::transaction::{Choice, Completion, Transaction};
use super::use_target::{Target, TargetPlace, TargetRole};
use super::*;
use crate::sql::ast::Ident;

fn read(text: &str) -> Control {
    try_read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn try_read(text: &str) -> Result<Control, ControlError> {
    let mut scan = Scan::new();
    scan.run(text.as_bytes(), LexMode::default())?;
    let control = parse(text.as_bytes(), LexMode::default(), &scan)?;
    Ok(control.unwrap_or_else(|| panic!("{text}: no control statement")))
}

fn set(text: &str) -> Vec<SetItem> {
    match read(text) {
        Control::Set(set) => set.items,
        other => panic!("{text}: {other:?}"),
    }
}

/// The items as short text.
fn set_summary(text: &str) -> String {
    let value = |value: &SetValue| match value {
        SetValue::Literal(Value::Text(bytes)) => format!("'{}'", String::from_utf8_lossy(bytes)),
        SetValue::Literal(Value::Int(number)) => number.to_string(),
        SetValue::Literal(other) => format!("{other:?}"),
        SetValue::Word(word) => word.clone(),
        SetValue::Default => "default".to_owned(),
        SetValue::Null => "null".to_owned(),
        SetValue::Expression => "<expression>".to_owned(),
    };
    let items = set(text);
    let items = items.iter().map(|item| match item {
        SetItem::System { scope, name, value: set, .. } => {
            format!("{scope:?} {name} = {}", value(set))
        }
        SetItem::User { name, value: set, .. } => format!("@{name} = {}", value(set)),
        SetItem::Names { charset, collation } => format!("names {charset:?} {collation:?}"),
        SetItem::CharacterSet(charset) => format!("charset {charset:?}"),
        SetItem::Transaction { scope, isolation, access } => {
            format!("transaction {scope:?} {isolation:?} {access:?}")
        }
        SetItem::CanaryPercent(set) => format!("canary {}", value(set)),
        SetItem::Other(_) => "other".to_owned(),
    });
    items.collect::<Vec<_>>().join("; ")
}

#[test]
fn set_statements() {
    let cases = [
        ("SET autocommit=0", "Session autocommit = 0"),
        ("SET AUTOCOMMIT = ON;", "Session autocommit = ON"),
        (
            "SET @@session.sql_mode = 'A,B', time_zone = '+00:00'",
            "Session sql_mode = 'A,B'; Session time_zone = '+00:00'",
        ),
        ("SET @@autocommit := 1", "Unscoped autocommit = 1"),
        (
            "SET GLOBAL a = 1, b = 2, SESSION c = 3, d = -4",
            "Global a = 1; Global b = 2; Session c = 3; Session d = -4",
        ),
        ("SET GLOBAL a = 1, @@b = 2", "Global a = 1; Unscoped b = 2"),
        (
            "SET PERSIST a = DEFAULT, @@persist_only.b = NULL",
            "Persist a = default; PersistOnly b = null",
        ),
        ("SET NAMES utf8mb4", "names Some(\"utf8mb4\") None"),
        (
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
            "names Some(\"utf8mb4\") Some(\"utf8mb4_bin\")",
        ),
        ("SET NAMES DEFAULT", "names None None"),
        ("SET CHARACTER SET latin1", "charset Some(\"latin1\")"),
        ("set charset 'utf8'", "charset Some(\"utf8\")"),
        (
            "SET NAMES utf8mb4, @@SESSION.sql_mode = CONCAT(@@sql_mode, ',X'), @@SESSION.wait_timeout = 2147483",
            "names Some(\"utf8mb4\") None; Session sql_mode = <expression>; Session wait_timeout = 2147483",
        ),
        (
            "SET @a = 1, @`B c` := 'x', @'d' = (SELECT 1, 2)",
            "@a = 1; @b c = 'x'; @d = <expression>",
        ),
        ("SET @a = 'x' 'y'", "@a = <expression>"),
        (
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
            "transaction Session Some(ReadCommitted) Some(ReadOnly)",
        ),
        ("SET TRANSACTION READ WRITE", "transaction Unscoped None Some(ReadWrite)"),
        (
            "SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "transaction Global Some(Serializable) None",
        ),
        ("SET PASSWORD FOR 'a'@'b' = 'x'", "other"),
        ("SET ROLE admin", "other"),
        ("SET DEFAULT ROLE admin TO a", "other"),
        ("SET CANARY PERCENT = 10", "canary 10"),
        (
            "SET read_consistency = 'local', max_staleness = '2s'",
            "Session read_consistency = 'local'; Session max_staleness = '2s'",
        ),
        ("SET a.b = 2", "Session a.b = 2"),
        (
            "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */",
            "@old_sql_mode = <expression>; Session sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(set_summary(text), expected, "{text}");
    }
}

#[test]
fn set_refusals_and_spans() {
    for bad in [
        "SET",
        "SET a",
        "SET a =",
        "SET a = 1,",
        "SET NAMES",
        "SET @a = (1",
        "SET @@ = 1",
        "SET TRANSACTION",
        "SET SESSION TRANSACTION ISOLATION LEVEL SOMETIMES",
        "SET /*!80000 a = 1, */ b = 2",
    ] {
        assert!(try_read(bad).is_err(), "{bad}");
    }
    let items = set("SET @@session.x = 1, @a = now()");
    let spans = items.iter().map(|item| match item {
        SetItem::System { span, value_span, .. } | SetItem::User { span, value_span, .. } => {
            (span.start, span.end, value_span.start, value_span.end)
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(spans.collect::<Vec<_>>(), [(4, 19, 18, 19), (21, 31, 26, 31)]);
    assert_eq!(
        (Isolation::Serializable, Access::ReadOnly),
        (Isolation::Serializable, Access::ReadOnly)
    );
    assert_eq!(set::scope_and_name(b"@@GLOBAL.`Sql_Mode`"), (Scope::Global, "sql_mode".to_owned()));
}

#[test]
fn transaction_statements() {
    let plain = Completion::default();
    let begin = |access, consistent_snapshot| Transaction::Begin { access, consistent_snapshot };
    let cases = [
        ("BEGIN", begin(None, false)),
        ("begin work", begin(None, false)),
        ("START TRANSACTION", begin(None, false)),
        (
            "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",
            begin(Some(Access::ReadOnly), true),
        ),
        ("COMMIT", Transaction::Commit(plain)),
        (
            "COMMIT WORK AND NO CHAIN RELEASE",
            Transaction::Commit(Completion { chain: Some(Choice::No), release: Some(Choice::Yes) }),
        ),
        (
            "ROLLBACK AND CHAIN NO RELEASE",
            Transaction::Rollback(Completion {
                chain: Some(Choice::Yes),
                release: Some(Choice::No),
            }),
        ),
        ("ROLLBACK WORK", Transaction::Rollback(plain)),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), Control::Transaction(expected), "{text}");
    }
    for text in [
        "SAVEPOINT `a b`",
        "ROLLBACK TO `a b`",
        "ROLLBACK WORK TO SAVEPOINT `a b`",
        "RELEASE SAVEPOINT `a b`",
    ] {
        let Control::Transaction(
            Transaction::Savepoint(name)
            | Transaction::RollbackTo(name)
            | Transaction::Release(name),
        ) = read(text)
        else {
            panic!("{text}")
        };
        assert_eq!(name.text, "a b");
    }
    for bad in ["BEGIN WORK x", "COMMIT CHAIN", "START TRANSACTION READ", "SAVEPOINT", "COMMIT x"] {
        assert!(try_read(bad).is_err(), "{bad}");
    }
}

#[test]
fn targets() {
    let target = |keyspace: &str, place, role| Target {
        keyspace: (!keyspace.is_empty()).then(|| keyspace.to_owned()),
        place,
        role,
    };
    let shard = |name: &str| TargetPlace::Shard(name.to_owned());
    let cases = [
        ("ks", target("ks", TargetPlace::Routed, None)),
        ("`ks`", target("ks", TargetPlace::Routed, None)),
        ("ks@replica", target("ks", TargetPlace::Routed, Some(TargetRole::Replica))),
        ("@rdonly", target("", TargetPlace::Routed, Some(TargetRole::ReadOnly))),
        ("ks:-80", target("ks", shard("-80"), None)),
        ("ks:c0-@primary", target("ks", shard("c0-"), Some(TargetRole::Primary))),
        ("`ks/40-80@PRIMARY`", target("ks", shard("40-80"), Some(TargetRole::Primary))),
        ("ks[40-]", target("ks", TargetPlace::Range { start: vec![0x40], end: vec![] }, None)),
        ("ks[d1fe]", target("ks", TargetPlace::KeyspaceId(vec![0xd1, 0xfe]), None)),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&format!("USE {text}")), Control::Use(expected), "{text}");
    }
    for bad in ["", "ks@nowhere", "ks:", ":-80", "ks[4-]", "ks[]", "ks[xy-]"] {
        assert!(try_read(&format!("USE {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn show_statements() {
    let cases = [
        ("SHOW DATABASES", ShowKind::Databases, "", "", ""),
        ("SHOW SCHEMAS LIKE 'a%'", ShowKind::Databases, "", "", "a%"),
        ("SHOW FULL TABLES FROM `ks` LIKE 'x'", ShowKind::Tables, "", "ks", "x"),
        ("SHOW TABLE STATUS IN ks WHERE Name = 'x'", ShowKind::TableStatus, "", "ks", ""),
        ("SHOW COLUMNS FROM t", ShowKind::Columns, "t", "", ""),
        ("SHOW FULL FIELDS FROM `t` FROM `ks` LIKE '%'", ShowKind::Columns, "t", "ks", "%"),
        ("SHOW KEYS FROM ks.t", ShowKind::Index, "t", "ks", ""),
        ("SHOW CREATE TABLE ks.`t`", ShowKind::CreateTable, "t", "ks", ""),
        ("SHOW SESSION VARIABLES LIKE 'sql_mode'", ShowKind::Variables, "", "", "sql_mode"),
        ("SHOW GLOBAL STATUS", ShowKind::Status, "", "", ""),
        ("SHOW WARNINGS LIMIT 5", ShowKind::Warnings, "", "", ""),
        ("SHOW COUNT(*) WARNINGS", ShowKind::WarningCount, "", "", ""),
        ("SHOW COUNT(*) ERRORS", ShowKind::ErrorCount, "", "", ""),
        ("SHOW FULL PROCESSLIST", ShowKind::Processlist, "", "", ""),
        ("SHOW COLLATION WHERE a = 1", ShowKind::Collation, "", "", ""),
        ("SHOW VSCHEMA TABLES", ShowKind::VschemaTables, "", "", ""),
        ("SHOW VSCHEMA VINDEXES FROM t", ShowKind::VschemaVindexes, "t", "", ""),
        ("SHOW VITESS_SHARDS LIKE 'ks/%'", ShowKind::VitessShards, "", "", "ks/%"),
        ("SHOW REGIONS", ShowKind::Regions, "", "", ""),
        ("SHOW SERVERS", ShowKind::Servers, "", "", ""),
        ("SHOW CANARY", ShowKind::Canary, "", "", ""),
        ("SHOW UNRESOLVED TRANSACTIONS", ShowKind::UnresolvedTransactions, "", "", ""),
        ("SHOW SLAVE STATUS", ShowKind::ReplicaStatus, "", "", ""),
        ("SHOW something else", ShowKind::Other, "", "", ""),
    ];
    let name = |ident: &Option<crate::sql::ast::Ident>| {
        ident.as_ref().map_or(String::new(), |ident| ident.text.clone())
    };
    for (text, kind, object, database, like) in cases {
        let Control::Show(show) = read(text) else { panic!("{text}") };
        assert_eq!(show.kind, kind, "{text}");
        assert_eq!(
            (name(&show.object).as_str(), name(&show.database).as_str()),
            (object, database),
            "{text}"
        );
        assert_eq!(show.like.unwrap_or_default(), like.as_bytes(), "{text}");
        assert_eq!(show.filter.is_some(), text.contains("WHERE"), "{text}");
        assert_eq!(show.rest.is_some(), text.contains("LIMIT") || text.contains("else"), "{text}");
        assert_eq!(show.full, text.contains("FULL"), "{text}");
    }
    assert!(try_read("SHOW").is_err() && try_read("SHOW COLUMNS").is_err());
}

#[test]
fn other_control_statements() {
    let kill = |target, id| Control::Kill(Kill { target, id: KillId::Number(id) });
    assert_eq!(read("KILL 5"), kill(KillTarget::Connection, 5));
    assert_eq!(read("kill query 5"), kill(KillTarget::Query, 5));
    let own = Kill { target: KillTarget::Connection, id: KillId::Own };
    assert_eq!(read("KILL HARD connection_id ( )"), Control::Kill(own));
    let id = KillId::Expression(Span { start: 11, end: 17 });
    assert_eq!(read("KILL QUERY @a + 1"), Control::Kill(Kill { target: KillTarget::Query, id }));
    assert!(try_read("KILL USER x").is_err() && try_read("KILL").is_err());

    let span = |start, end| Span { start, end };
    assert_eq!(
        read("EXPLAIN FORMAT=JSON SELECT 1"),
        Control::Explain(Explain::Statement {
            options: span(8, 19),
            analyze: false,
            statement: span(20, 28)
        })
    );
    assert_eq!(
        read("EXPLAIN SELECT 1 ;"),
        Control::Explain(Explain::Statement {
            options: span(8, 8),
            analyze: false,
            statement: span(8, 16)
        })
    );
    let Control::Explain(Explain::Table { keyspace, table, .. }) = read("DESC ks.t") else {
        panic!()
    };
    assert_eq!((keyspace.expect("ks").text, table.text), ("ks".to_owned(), "t".to_owned()));
    assert_eq!(
        read("VEXPLAIN QUERIES SELECT 1"),
        Control::Explain(Explain::Proxy { kind: VExplainKind::Queries, statement: span(17, 25) })
    );

    let prepare = |source| Control::Prepared(Prepared::Prepare { name: "p".to_owned(), source });
    assert_eq!(read("PREPARE p FROM 'SELECT ?'"), prepare(Source::Text(b"SELECT ?".to_vec())));
    assert_eq!(read("PREPARE p FROM @A"), prepare(Source::Expression(span(15, 17))));
    let concat = "PREPARE p FROM CONCAT('a', 'b')";
    assert_eq!(read(concat), prepare(Source::Expression(span(15, 31))));
    assert_eq!(
        read("EXECUTE p USING @a, @b"),
        Control::Prepared(Prepared::Execute {
            name: "p".to_owned(),
            using: vec![span(16, 18), span(20, 22)]
        })
    );
    assert_eq!(
        read("EXECUTE IMMEDIATE 'SELECT ?' USING f(1, 2)"),
        Control::Prepared(Prepared::Immediate {
            source: Source::Text(b"SELECT ?".to_vec()),
            using: vec![span(35, 42)]
        })
    );
    assert_eq!(read("DROP PREPARE p"), Control::Prepared(Prepared::Deallocate("p".to_owned())));

    let text = b"SELECT /*vt+ ALLOW_SCATTER query_timeout_ms=100 X='y' */ 1; /*vt+ Z */";
    let found = directive::directives(text, LexMode::default());
    let found: Vec<_> = found.iter().map(|d| format!("{}={}", d.key, d.value)).collect();
    assert_eq!(found, ["ALLOW_SCATTER=true", "QUERY_TIMEOUT_MS=100", "X=y"]);
}

#[test]
fn table_locks() {
    use super::table_locks::TableLocks;
    let summary = |text: &str| match read(text) {
        Control::TableLocks(TableLocks::Unlock) => "unlock".to_owned(),
        Control::TableLocks(TableLocks::Lock { tables, wait }) => {
            let name = |ident: &Option<Ident>| ident.as_ref().map_or("", |i| &i.text).to_owned();
            let one = |table: &super::table_locks::LockedTable| {
                let (database, alias) = (name(&table.database), name(&table.alias));
                format!("{database}.{} {alias} {}", table.name.text, table.lock)
            };
            let tables = tables.iter().map(one).collect::<Vec<_>>().join(", ");
            format!("{tables} {wait:?}")
        }
        other => panic!("{text}: {other:?}"),
    };
    for (text, expected) in [
        ("UNLOCK TABLES", "unlock"),
        (
            "LOCK TABLES `a b` READ /*!32311 LOCAL */,s.t as x WRITE",
            ".a b  READ LOCAL, s.t x WRITE None",
        ),
        ("lock table t alias low_priority write nowait", ".t alias LOW_PRIORITY WRITE Some(0)"),
        ("LOCK TABLES t WRITE CONCURRENT WAIT 5", ".t  WRITE CONCURRENT Some(5)"),
    ] {
        assert_eq!(summary(text), expected, "{text}");
    }
    for text in ["LOCK TABLES t", "LOCK INSTANCE FOR BACKUP", "LOCK TABLES t READ, ", "UNLOCK"] {
        assert!(try_read(text).is_err(), "{text}");
    }
}

#[test]
fn databases() {
    let summary = |text: &str| match read(text) {
        Control::Database(database) => {
            let name = database.name.map_or(String::new(), |name| name.text);
            let place = &text[database.place.start as usize..database.place.end as usize];
            format!("{:?} {name} {place} {}", database.verb, database.conditional)
        }
        other => panic!("{text}: {other:?}"),
    };
    for (text, expected) in [
        (
            "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!80016 DEFAULT ENCRYPTION='N' */",
            "Create a `a` true",
        ),
        ("drop schema if exists b", "Drop b b true"),
        ("ALTER DATABASE c COMMENT 'x'", "Alter c c false"),
        ("ALTER DATABASE CHARACTER SET utf8mb4", "Alter   false"),
    ] {
        assert_eq!(summary(text), expected, "{text}");
    }
}
