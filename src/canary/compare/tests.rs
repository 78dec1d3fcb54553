//! Which changes may carry a weight.

use super::*;
use crate::vschema::{Sources, Strictness};

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

/// The differences of BASE with one piece replaced.
fn changed(from: &str, to: &str) -> Vec<String> {
    let text = BASE.replacen(from, to, 1);
    assert_ne!(text, BASE, "{from} is not in the VSchema");
    let found = compare(&vschema(BASE), &vschema(&text));
    found.iter().map(|d| format!("{}: {}", d.subject, d.what)).collect()
}

#[test]
fn what_only_helps_reads_may_differ() {
    assert_eq!(compare(&vschema(BASE), &vschema(BASE)), []);
    let allowed = [
        // A vindex under another name is the same function.
        (
            r#""orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]}"#,
            r#""orders": {"column_vindexes": [{"column": "CUSTOMER_ID", "name": "hash"}],
            "columns": [{"name": "customer_id", "type": "INT64"}],
            "column_list_authoritative": true}"#,
        ),
        // Another functional vindex.
        (
            r#"[{"column": "customer_id", "name": "hash"}]"#,
            r#"[{"column": "customer_id", "name": "hash"}, {"column": "id2", "name": "xx"}]"#,
        ),
        // A new table.
        (r#""settings":"#, r#""news": {"pinned": "00"}, "settings":"#),
    ];
    for (from, to) in allowed {
        assert_eq!(changed(from, to), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn whatever_moves_a_row_is_refused() {
    let cases = [
        (
            r#"{"column": "customer_id", "name": "hash"}"#,
            r#"{"column": "id", "name": "hash"}"#,
            "table shop.orders: its primary vindex is hash(customer_id) in the active VSchema, \
          hash(id) in the candidate",
        ),
        (
            r#"{"column": "customer_id", "name": "hash"}"#,
            r#"{"column": "customer_id", "name": "xx"}"#,
            "table shop.orders: its primary vindex is hash(customer_id) in the active VSchema, \
          xxhash(customer_id) in the candidate",
        ),
        (
            r#""pinned": "80""#,
            r#""pinned": "40""#,
            "table shop.settings: its pin is 80 in the active VSchema, 40 in the candidate",
        ),
        (
            r#""type": "INT64""#,
            r#""type": "UINT64""#,
            "table shop.customer: the type of sharding column id is INT64 in the active VSchema, \
          UINT64 in the candidate",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(changed(from, to), [expected]);
    }
}

#[test]
fn whatever_writes_must_maintain_is_refused() {
    let lookup = r#",
                                       {"column": "mail", "name": "by_mail"}"#;
    let found = {
        let text = BASE.replacen(lookup, "", 1).replacen(r#""owner": "customer","#, "", 1);
        compare(&vschema(BASE), &vschema(&text))
    };
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].what.starts_with("its owned lookup vindexes"), "{found:?}");
    let sequence = r#""auto_increment": {"column": "id", "sequence": "catalog.seq"},"#;
    let found = changed(sequence, "");
    assert_eq!(
        found,
        ["table shop.customer: auto_increment is id from catalog.seq in the active VSchema, none \
          in the candidate"]
    );
    let found =
        changed(r#""type": "reference", "source": "catalog.countries""#, r#""type": "reference""#);
    assert!(found[0].contains("a reference table without source in the candidate"), "{found:?}");
}

#[test]
fn names_that_would_break_or_move_are_refused() {
    let found = changed(
        r#""orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]},"#,
        "",
    );
    assert_eq!(found, ["table shop.orders: the candidate does not have it"]);
    let found = changed(r#""to_tables": ["shop.customer"]"#, r#""to_tables": ["shop.orders"]"#);
    assert_eq!(
        found,
        [
            "name clients: it means shop.customer in the active VSchema, shop.orders in the candidate"
        ]
    );
    // An unsharded keyspace takes the table still, but only by its keyspace.
    let found = changed(r#", "log": {}"#, "");
    assert_eq!(
        found,
        ["name log: it means catalog.log in the active VSchema; in the candidate: table log not \
          found"]
    );
    // Listing the name in a second keyspace makes it ambiguous.
    let found = changed(r#""log": {}"#, r#""log": {}, "orders": {}"#);
    assert_eq!(
        found,
        ["name orders: it means shop.orders in the active VSchema; in the candidate: ambiguous \
          table reference: orders"]
    );
    let found = changed(
        r#""catalog": {"sharded": false"#,
        r#""extra": {"sharded": false}, "catalog": {"sharded": false"#,
    );
    assert_eq!(found, ["keyspace extra: only the candidate has it"]);
}

/// The planner cannot yet prove that two functional vindexes of a new row agree.
#[test]
fn a_second_functional_vindex_stops_inserts() {
    let text = BASE.replacen(
        r#"[{"column": "customer_id", "name": "hash"}]"#,
        r#"[{"column": "customer_id", "name": "hash"}, {"column": "id2", "name": "xx"}]"#,
        1,
    );
    let (old, new) = (vschema(BASE), vschema(&text));
    assert_eq!(
        cautions(&old, &new),
        ["INSERT into shop.orders is refused while it has a second functional vindex"]
    );
    assert_eq!(cautions(&new, &old), Vec::<String>::new());
}

#[test]
fn all_differences_are_rendered_at_once() {
    let text = BASE.replacen(r#""pinned": "80""#, r#""pinned": "40""#, 1);
    let text = text.replacen(
        r#"{"column": "customer_id", "name": "hash"}"#,
        r#"{"column": "customer_id", "name": "xx"}"#,
        1,
    );
    let rendered = render_differences(&compare(&vschema(BASE), &vschema(&text)));
    assert!(rendered.starts_with("error: table shop.orders: its primary vindex is"), "{rendered}");
    assert!(rendered.contains("\n   = note: the two sides would write rows"), "{rendered}");
    assert!(rendered.contains("\n2 differences; "), "{rendered}");
}
