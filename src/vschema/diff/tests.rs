//! Kind of change by kind of change: its class, and what is said.

use super::*;
use crate::vschema::{Filling, Sources, SqlType, Strictness};

fn vschema(text: &str) -> VSchema {
    let validated = Sources::from_text("all.json", text).validate(Strictness::Strict);
    let problems = crate::vschema::render_text(&validated.problems);
    validated.vschema.unwrap_or_else(|| panic!("{problems}\n{text}"))
}

const BASE: &str = r#"{"keyspaces": {
  "catalog": {"sharded": false, "tables": {
    "seq": {"type": "sequence"}, "countries": {"type": "reference"}, "log": {}}},
  "shop": {"sharded": true,
    "vindexes": {
      "hash": {"type": "hash"}, "xx": {"type": "xxhash"},
      "by_mail": {"type": "consistent_lookup_unique", "owner": "customer",
        "params": {"table": "shop.mails", "from": "mail", "to": "keyspace_id"}}},
    "tables": {
      "customer": {"column_vindexes": [{"column": "id", "name": "hash"},
                                       {"column": "mail", "name": "by_mail"}],
        "auto_increment": {"column": "id", "sequence": "catalog.seq"},
        "columns": [{"name": "id", "type": "INT64"}]},
      "mails": {"column_vindexes": [{"column": "mail", "name": "xx"}]},
      "orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]},
      "settings": {"pinned": "80"},
      "countries": {"type": "reference", "source": "catalog.countries"}}}},
  "routing_rules": {"rules": [{"from_table": "clients", "to_tables": ["shop.customer"]}]}
}"#;

/// What the servers say of `shop.orders` in these tests; nothing of other tables.
fn orders(sql_type: SqlType, collation: Option<&str>) -> Vec<Column> {
    let column = |name: &str, sql_type, collation: Option<&str>| Column {
        name: name.to_owned(),
        sql_type,
        collation: collation.map(str::to_owned),
        default: None,
        nullable: false,
        invisible: false,
        size: 0,
        scale: 0,
        values: Vec::new(),
        filling: Filling::default(),
        touched: false,
    };
    vec![column("id", SqlType::Int64, None), column("customer_id", sql_type, collation)]
}

fn compare(old: &str, new: &str, live: Option<&[Column]>) -> Vec<Difference> {
    let read = |table: &TableName| live.filter(|_| table.name == "orders");
    diff(&vschema(old), &vschema(new), ServerColumns::Read(&read))
}

fn with(from: &str, to: &str) -> String {
    let text = BASE.replacen(from, to, 1);
    assert_ne!(text, BASE, "{from} is not in the VSchema");
    text
}

/// The differences of BASE with one piece replaced.
fn changed(from: &str, to: &str) -> Vec<Difference> {
    compare(BASE, &with(from, to), None)
}

/// Those that are not only about reads.
fn noted(from: &str, to: &str) -> Vec<String> {
    let found = changed(from, to).into_iter().filter(|d| !d.class.may_be_shared());
    found.map(|d| format!("{}: {}", d.subject, d.what)).collect()
}

const ORDERS: &str = r#""orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]"#;

/// Goal: each kind of change has its class, and only those that leave every home alone are none of
/// placement. Method: one piece of BASE replaced; the worst class found, and its kind.
#[test]
fn every_kind_of_change_has_its_class() {
    use Change as C;
    use ChangeClass::{Metadata, Placement, ReadRoute, Removal, WriteUpkeep};
    let log = r#""log": {}"#;
    let hash = r#""hash": {"type": "hash"}"#;
    let sharded = r#""sharded": true"#;
    let more = |from: &str, more: &str| format!("{from}, {more}");
    let orders = |more: &str| format!("{ORDERS}, {more}");
    let columns = |list: &str| orders(&format!(r#""columns": [{list}]"#));
    let rules = r#""rules": ["#;
    let rule = |from: &str, to: &str| {
        format!(r#"{rules}{{"from_table": "{from}", "to_tables": ["{to}"]}}, "#)
    };
    let tenant =
        r#""multi_tenant_spec": {"tenant_id_column_name": "t", "tenant_id_column_type": "INT64"}"#;
    let explicit = r#"{"require_explicit_routing": true, "tables""#;
    let second = ORDERS.replace(']', r#", {"column": "id2", "name": "xx"}]"#);
    let whole = r#""columns": [{"name": "customer_id"}], "column_list_authoritative": true"#;
    let auto = r#""auto_increment": {"column": "id", "sequence": "catalog.seq"},"#;
    let by_hash = r#"{"column_vindexes": [{"column": "id", "name": "hash"}]}"#;
    let copy = r#""type": "reference", "source": "catalog.countries""#;
    let pinned = r#"{"pinned": "80"}"#;
    let cases: Vec<(&str, String, Change, ChangeClass)> = vec![
        (hash, more(hash, r#""more": {"type": "hash"}"#), C::Vindexes, Metadata),
        (sharded, more(sharded, tenant), C::MultiTenant, Metadata),
        (r#""customer_id", "name""#, r#""CUSTOMER_ID", "name""#.into(), C::Vindexes, Metadata),
        (log, more(log, r#""more": {}"#), C::TableAdded, ReadRoute),
        (
            r#""settings":"#,
            r#""news": {"pinned": "00"}, "settings":"#.into(),
            C::TableAdded,
            ReadRoute,
        ),
        (ORDERS, second, C::SecondaryVindexes, ReadRoute),
        (ORDERS, columns(r#"{"name": "total", "type": "DECIMAL"}"#), C::Columns, ReadRoute),
        (r#", "type": "INT64""#, String::new(), C::ShardingColumnType, ReadRoute),
        (rules, rule("buyers", "shop.customer"), C::RoutingRules, ReadRoute),
        (r#""catalog": {"#, r#""extra": {}, "catalog": {"#.into(), C::KeyspaceAdded, ReadRoute),
        (r#""clients""#, r#""buyers""#.into(), C::NameRemoved, Removal),
        (r#"{"sharded": false, "tables""#, explicit.into(), C::ExplicitRouting, Placement),
        // The copies of its reference tables are found instead.
        (r#"{"sharded": false, "tables""#, explicit.into(), C::NameTarget, Placement),
        (ORDERS, ORDERS.replace("orders", "bills"), C::TableRemoved, Removal),
        (log, more(log, r#""orders": {}"#), C::NameRemoved, Removal),
        (r#", "log": {}"#, String::new(), C::NameRemoved, Removal),
        (
            sharded,
            more(sharded, r#""foreign_key_mode": "disallow""#),
            C::ForeignKeyMode,
            WriteUpkeep,
        ),
        (auto, String::new(), C::AutoIncrement, WriteUpkeep),
        (log, r#""log": {"type": "sequence"}"#.into(), C::Kind, WriteUpkeep),
        (log, more(log, r#""seq2": {"type": "sequence"}"#), C::Kind, WriteUpkeep),
        (r#""customer_id", "name""#, r#""id", "name""#.into(), C::PrimaryVindex, Placement),
        (
            r#"customer_id", "name": "hash""#,
            r#"customer_id", "name": "xx""#.into(),
            C::PrimaryVindex,
            Placement,
        ),
        (hash, r#""hash": {"type": "numeric"}"#.into(), C::PrimaryVindex, Placement),
        (r#""pinned": "80""#, r#""pinned": "40""#.into(), C::Pin, Placement),
        (pinned, by_hash.into(), C::PrimaryVindex, Placement),
        (pinned, r#"{"type": "reference"}"#.into(), C::Kind, Placement),
        (copy, r#""type": "reference""#.into(), C::Kind, Placement),
        (r#""INT64""#, r#""UINT64""#.into(), C::ShardingColumnType, Placement),
        (
            ORDERS,
            columns(r#"{"name": "customer_id", "type": "INT64"}"#),
            C::ShardingColumnType,
            Placement,
        ),
        (ORDERS, orders(whole), C::ShardingColumnPosition, Placement),
        (r#"["shop.customer"]"#, r#"["shop.orders"]"#.into(), C::NameTarget, Placement),
        (rules, rule("orders", "catalog.orders"), C::NameTarget, Placement),
        (rules, rule("shop.orders@replica", "catalog.orders"), C::NameTarget, Placement),
    ];
    for (from, to, change, class) in cases {
        let found = changed(from, &to);
        let worst = found.iter().map(|difference| difference.class).max();
        assert_eq!(worst, Some(class), "{to}: {found:#?}");
        let of_kind = found.iter().any(|d| d.change == change);
        assert!(of_kind, "{to}: {found:#?}");
    }
}

#[test]
fn a_lookup_that_writes_must_maintain() {
    let without = BASE
        .replace(r#"{"column": "mail", "name": "by_mail"}"#, "")
        .replace(
            r#""name": "hash"},
                                       ]"#,
            r#""name": "hash"}]"#,
        )
        .replace(r#""owner": "customer","#, "");
    let found = compare(BASE, &without, None);
    let of_lookup = found.iter().find(|d| d.change == Change::OwnedVindexes);
    assert_eq!(of_lookup.map(|d| d.class), Some(ChangeClass::WriteUpkeep), "{found:#?}");
    assert!(found.iter().all(|d| !d.class.moves_rows()), "{found:#?}");
}

/// Goal: whole keyspaces that change, which BASE cannot show by one piece.
#[test]
fn keyspaces_that_change_or_go() {
    let pair = |a: &str, b: &str| format!(r#"{{"keyspaces": {{"a": {a}, "b": {b}}}}}"#);
    let sharded = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
        "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;
    let hidden = r#"{"require_explicit_routing": true, "tables": {"t": {}}}"#;
    let (empty, lists) = ("{}", r#"{"tables": {"t": {}}}"#);
    let lone = |name: &str| format!(r#"{{"keyspaces": {{"{name}": {{}}}}}}"#);
    let kind = |old: &str, new: &str| {
        let found = compare(old, new, None);
        let worst = found.iter().max_by_key(|difference| difference.class).expect("a difference");
        (worst.class, found.iter().map(|difference| difference.change).collect::<Vec<_>>())
    };
    let moves = |old: &str, new: &str, change: Change| {
        let (class, changes) = kind(old, new);
        assert_eq!(class, ChangeClass::Placement, "{changes:?}");
        assert!(changes.contains(&change), "{changes:?}");
    };
    moves(&pair(sharded, empty), &pair(lists, empty), Change::Sharding);
    moves(&pair(lists, empty), &pair(sharded, empty), Change::Sharding);
    moves(&pair(empty, empty), &pair(sharded, empty), Change::PrimaryVindex);
    moves(&pair(lists, empty), &pair(empty, lists), Change::NameTarget);
    moves(&pair(sharded, empty), &pair(empty, lists), Change::TableMoved);
    moves(&pair(hidden, empty), &pair(empty, hidden), Change::TableMoved);
    moves(&pair(lists, hidden), &pair(hidden, lists), Change::NameTarget);
    moves(&lone("a"), &lone("b"), Change::NameTarget);
    let a = format!(r#"{{"keyspaces": {{"a": {empty}}}}}"#);
    assert_eq!(kind(&pair(empty, sharded), &a).0, ChangeClass::Placement, "t is a name of a now");
    let (class, changes) =
        kind(&pair(sharded, empty), &format!(r#"{{"keyspaces": {{"a": {sharded}}}}}"#));
    assert_eq!((class, &changes[..]), (ChangeClass::Removal, &[Change::KeyspaceRemoved][..]));
}

/// Goal: what the servers say of a sharding column decides whether another type in the VSchema is
/// the truth or sends rows elsewhere.
#[test]
fn the_servers_decide_whether_a_type_moves_rows() {
    let by_xx = ORDERS.replace("hash", "xx");
    let base = with(ORDERS, &by_xx);
    let typed = |list: &str| with(ORDERS, &format!(r#"{by_xx}, "columns": [{list}]"#));
    let class = |new: &str, live: Option<&[Column]>| {
        let found = compare(&base, new, live);
        let of_types = found.iter().filter(|d| d.change == Change::ShardingColumnType);
        of_types.map(|difference| difference.class).max()
    };
    let int = typed(r#"{"name": "customer_id", "type": "INT64"}"#);
    let text = typed(r#"{"name": "customer_id", "type": "VARCHAR"}"#);
    let binary =
        typed(r#"{"name": "customer_id", "type": "VARCHAR", "collation_name": "utf8mb4_bin"}"#);
    let small = typed(r#"{"name": "customer_id", "type": "INT8"}"#);
    let live = orders(SqlType::Int32, None);
    assert_eq!(class(&int, Some(&live)), Some(ChangeClass::Metadata));
    for other in [&text, &binary, &small] {
        assert_eq!(class(other, Some(&live)), Some(ChangeClass::Placement));
        assert_eq!(class(other, None), Some(ChangeClass::Placement));
    }
    let live = orders(SqlType::VarChar, Some("utf8mb4_BIN"));
    assert_eq!(class(&text, Some(&live)), Some(ChangeClass::Metadata));
    assert_eq!(class(&binary, Some(&live)), Some(ChangeClass::Metadata));
    assert_eq!(class(&int, Some(&live)), Some(ChangeClass::Placement));
    let live = orders(SqlType::VarChar, Some("utf8mb4_general_ci"));
    assert_eq!(class(&binary, Some(&live)), Some(ChangeClass::Placement));
    for unknown in [orders(SqlType::Unknown, None), orders(SqlType::Int32, None)[..1].to_vec()] {
        assert_eq!(class(&int, Some(&unknown)), Some(ChangeClass::Placement));
    }
    // One type for another, though it is the true one: the servers' word went before it.
    let found = compare(&text, &int, Some(&orders(SqlType::Int32, None)));
    assert!(found.iter().all(|difference| difference.class.may_be_shared()), "{found:#?}");
    let whole = r#""columns": [{"name": "id"}, {"name": "customer_id", "type": "INT64"}],
        "column_list_authoritative": true"#;
    let whole = with(ORDERS, &format!("{by_xx}, {whole}"));
    let live = orders(SqlType::Int32, None);
    let found = compare(&base, &whole, Some(&live));
    assert!(found.iter().all(|difference| difference.class.may_be_shared()), "{found:#?}");
    let swapped = vec![live[1].clone(), live[0].clone()];
    let found = compare(&base, &whole, Some(&swapped));
    assert!(found.iter().any(|d| d.change == Change::ShardingColumnPosition), "{found:#?}");
}

/// Goal: a file that a parameter names is a part of the VSchema: other content moves rows, another
/// name with the same content does not.
#[test]
fn a_map_in_a_file_is_compared_by_what_it_says() {
    let of = |param: &str, map: &str| {
        let text = format!(
            r#"{{"sharded": true, "vindexes": {{"r": {{"type": "region_json",
            "params": {{"region_map": "{param}", "region_bytes": "1"}}}}}},
            "tables": {{"t": {{"column_vindexes": [{{"columns": ["id", "c"], "name": "r"}}]}}}}}}"#
        );
        let named = [(param.to_owned(), map.to_owned())].into();
        let files = [("ks.json".to_owned(), text)];
        let shape = crate::vschema::Shape::Folder;
        let sources = Sources::from_kept(shape, std::path::Path::new(""), &files, &named);
        sources.validate(Strictness::Strict).vschema.expect("a VSchema")
    };
    let read = |_: &TableName| None;
    let classes = |new: &VSchema| {
        let found = diff(&of("a.json", r#"{"DE": 1}"#), new, ServerColumns::Read(&read));
        found.iter().map(|d| (d.change, d.class)).max()
    };
    let moved = Some((Change::PrimaryVindex, ChangeClass::Placement));
    assert_eq!(classes(&of("a.json", r#"{"DE": 2}"#)), moved);
    let renamed = Some((Change::PrimaryVindex, ChangeClass::Metadata));
    assert_eq!(classes(&of("b.json", r#"{"DE": 1}"#)), renamed);
    assert_eq!(classes(&of("a.json", r#"{"DE": 1}"#)), None);
}

#[test]
fn differences_say_both_sides() {
    let cases = [
        (
            r#"{"column": "customer_id", "name": "hash"}"#,
            r#"{"column": "id", "name": "hash"}"#,
            "table shop.orders: its primary vindex is hash(customer_id) in the active VSchema, \
             hash(id) in the new one",
        ),
        (
            r#""pinned": "80""#,
            r#""pinned": "40""#,
            "table shop.settings: its pin is 80 in the active VSchema, 40 in the new one",
        ),
        (
            r#""type": "INT64""#,
            r#""type": "UINT64""#,
            "table shop.customer: the type of sharding column id is INT64 in the active VSchema, \
             UINT64 (the servers' columns are not known now) in the new one",
        ),
        (
            r#""auto_increment": {"column": "id", "sequence": "catalog.seq"},"#,
            "",
            "table shop.customer: auto_increment is id from catalog.seq in the active VSchema, \
             none in the new one",
        ),
        (
            r#""to_tables": ["shop.customer"]"#,
            r#""to_tables": ["shop.orders"]"#,
            "name clients: it means shop.customer in the active VSchema, shop.orders in the new \
             one",
        ),
        (
            r#", "log": {}"#,
            "",
            "name log: it means catalog.log in the active VSchema; in the new one: table log not \
             found",
        ),
        (
            r#""log": {}"#,
            r#""log": {}, "orders": {}"#,
            "name orders: it means shop.orders in the active VSchema; in the new one: ambiguous \
             table reference: orders",
        ),
        (
            r#""orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]},"#,
            "",
            "table shop.orders: the new VSchema does not have it",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(noted(from, to), [expected]);
    }
}

#[test]
fn all_differences_are_rendered_at_once() {
    let text = with(r#""pinned": "80""#, r#""pinned": "40""#);
    let text = text.replacen(
        r#"{"column": "customer_id", "name": "hash"}"#,
        r#"{"column": "customer_id", "name": "xx"}"#,
        1,
    );
    let rendered = render_differences(&compare(BASE, &text, None), "think again");
    assert!(rendered.starts_with("error: table shop.orders: its primary vindex is"), "{rendered}");
    assert!(rendered.contains("\n   = note: rows that are there would not be found"), "{rendered}");
    assert!(rendered.ends_with("\n2 differences; think again\n"), "{rendered}");
}
