//! What a loaded VSchema says: names, vindexes, sequences, folders. Problems are golden files.

use std::path::Path;

use super::{
    NewNames, ResolveError, Resolved, ServerColumns, Sources, Strictness, TableKind, TabletType,
    VSchema, diff, render_text,
};

const SHOP: &str = r#"{
  "keyspaces": {
    "shop": {
      "sharded": true,
      "vindexes": {
        "region": {"type": "region_experimental", "params": {"region_bytes": "1"}},
        "by_email": {"type": "lookup_unique", "owner": "customer",
                     "params": {"table": "catalog.email_idx", "from": "email", "to": "keyspace_id"}}
      },
      "tables": {
        "customer": {
          "column_vindexes": [{"columns": ["region", "id"], "name": "region"},
                              {"column": "email", "name": "by_email"}],
          "auto_increment": {"column": "id", "sequence": "customer_seq"},
          "columns": [{"name": "Id", "type": "INT64"}, {"name": "email", "type": "VARCHAR"}]
        },
        "country": {"type": "reference", "source": "catalog.country"},
        "settings": {"pinned": "40"}
      }
    },
    "catalog": {
      "tables": {"country": {}, "customer_seq": {"type": "sequence"}, "twin": {}}
    },
    "other": {"tables": {"twin": {}}},
    "hidden": {"require_explicit_routing": true, "tables": {"secret": {}, "settings": {}}}
  },
  "routing_rules": {"rules": [
    {"from_table": "client", "to_tables": ["shop.customer"]},
    {"from_table": "catalog.old@replica", "to_tables": ["catalog.new"]},
    {"from_table": "off", "to_tables": []}
  ]}
}"#;

fn load(text: &str, strictness: Strictness) -> VSchema {
    let validated = Sources::from_text("vschema.json", text).validate(strictness);
    validated.vschema.unwrap_or_else(|| panic!("{}", render_text(&validated.problems)))
}

/// Where a name leads, as `keyspace.table`.
fn find(vschema: &VSchema, name: &str, tablet_type: TabletType) -> Result<String, ResolveError> {
    let (keyspace, name) = match name.split_once('.') {
        Some((keyspace, name)) => (Some(keyspace), name),
        None => (None, name),
    };
    let table = vschema.find_table(keyspace, name, tablet_type)?;
    Ok(table.qualified_name().to_string())
}

#[test]
fn names_resolve_as_in_vitess() {
    let vschema = load(SHOP, Strictness::Strict);
    let find = |name| find(&vschema, name, TabletType::Primary);
    for (name, table) in [
        ("customer", "shop.customer"),
        ("shop.customer", "shop.customer"),
        // The copy in shop does not make the name ambiguous.
        ("country", "catalog.country"),
        ("shop.country", "shop.country"),
        // What requires explicit routing is not found without its keyspace.
        ("settings", "shop.settings"),
        ("hidden.secret", "hidden.secret"),
        // An unsharded keyspace takes any name.
        ("catalog.unheard", "catalog.unheard"),
        ("client", "shop.customer"),
    ] {
        assert_eq!(find(name), Ok(table.to_owned()), "{name}");
    }
    for (name, error) in [
        ("twin", ResolveError::AmbiguousTable("twin".into())),
        ("secret", ResolveError::UnknownTable("secret".into())),
        ("Customer", ResolveError::UnknownTable("Customer".into())),
        ("shop.unheard", ResolveError::UnknownTable("shop.unheard".into())),
        ("gone.t", ResolveError::UnknownKeyspace("gone".into())),
        ("off", ResolveError::Disabled("off".into())),
    ] {
        assert_eq!(find(name), Err(error), "{name}");
    }
}

#[test]
fn rules_of_a_tablet_type_win() {
    let vschema = load(SHOP, Strictness::Strict);
    assert_eq!(find(&vschema, "catalog.old", TabletType::Replica), Ok("catalog.new".into()));
    assert_eq!(find(&vschema, "catalog.old", TabletType::Primary), Ok("catalog.old".into()));
}

#[test]
fn a_lone_unsharded_keyspace_takes_every_name() {
    let vschema = load(r#"{"keyspaces": {"main": {}}}"#, Strictness::Strict);
    let table = vschema.find_table(None, "anything", TabletType::Primary).unwrap();
    assert_eq!(table.qualified_name().to_string(), "main.anything");
    assert!(table.is_assumed() && !table.is_sharded());
}

#[test]
fn vindexes_are_found_where_no_table_is() {
    let vschema = load(SHOP, Strictness::Strict);
    let find = |keyspace, name| vschema.find_table_or_vindex(keyspace, name, TabletType::Primary);
    for keyspace in [None, Some("shop")] {
        assert!(matches!(
            find(keyspace, "region"),
            Ok(Resolved::Vindex { keyspace, .. }) if keyspace == "shop"
        ));
    }
    assert_eq!(find(None, "nothing"), Err(ResolveError::UnknownTable("nothing".into())));
}

#[test]
fn tables_know_their_vindexes_sequence_and_sources() {
    let vschema = load(SHOP, Strictness::Strict);
    let shop = vschema.keyspace("shop").unwrap();
    let customer = shop.table("customer").unwrap();
    let described: Vec<_> = customer
        .vindexes_by_cost()
        .iter()
        .map(|v| (v.vindex.name.as_str(), v.columns.len(), v.cost, v.is_unique(), v.owned))
        .collect();
    assert_eq!(
        described,
        [
            ("region", 2, 1, true, false),
            ("region", 1, 2, false, false),
            ("by_email", 1, 10, true, true)
        ]
    );
    assert_eq!(customer.column_vindexes().len(), 2);
    assert_eq!(customer.primary_vindex().unwrap().position("ID"), Some(1));
    assert_eq!(customer.column("iD").unwrap().name, "Id");
    let auto = customer.auto_increment().unwrap();
    assert_eq!(auto.sequence.to_string(), "catalog.customer_seq");
    let catalog = vschema.keyspace("catalog").unwrap();
    let source = catalog.table("country").unwrap();
    assert_eq!(source.reference_in("shop"), Some("country"));
    let TableKind::Reference { source: Some(found) } = shop.table("country").unwrap().kind() else {
        panic!()
    };
    assert_eq!(found, source.qualified_name());
    assert_eq!(shop.table("settings").unwrap().pinned().unwrap().to_string(), "40");
}

#[test]
fn the_same_text_makes_equal_vschemas_and_a_parameter_makes_them_differ() {
    let vschema = load(SHOP, Strictness::Strict);
    assert_eq!(vschema, load(SHOP, Strictness::Strict));
    let other = SHOP.replace("\"region_bytes\": \"1\"", "\"region_bytes\": \"2\"");
    let other = load(&other, Strictness::Strict);
    let differing: Vec<_> = vschema
        .tables()
        .zip(other.tables())
        .filter(|(old, new)| old != new)
        .map(|(old, _)| old.name())
        .collect();
    assert_eq!(differing, ["customer"]);
}

#[test]
fn loaded_leniently_a_broken_rule_fails_when_it_is_used() {
    let text = r#"{"keyspaces": {"main": {}, "s": {"sharded": true, "vindexes": {"h": {"type": "hash"}},
        "tables": {"t": {"column_vindexes": [{"column": "id", "name": "h"}],
                         "auto_increment": {"column": "id", "sequence": "s.none"}}}}},
        "routing_rules": {"rules": [{"from_table": "bad", "to_tables": ["gone.t"]}]}}"#;
    let vschema = load(text, Strictness::Lenient);
    let error = find(&vschema, "bad", TabletType::Primary).unwrap_err();
    assert_eq!(error.to_string(), "unknown database 'gone' in vschema");
    // A table without its sequence is taken out, as in Vitess.
    assert!(vschema.keyspace("s").unwrap().table("t").is_none());
}

#[test]
fn a_folder_has_a_file_for_each_keyspace() {
    let folder = std::env::temp_dir().join(format!("geogate-vschema-{}", std::process::id()));
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    std::fs::create_dir_all(folder.join("maps")).unwrap();
    write("maps/regions.json", r#"{"US": 1}"#);
    write(
        "shop.json",
        r#"{"sharded": true, "vindexes": {"r": {"type": "region_json",
            "params": {"region_map": "maps/regions.json", "region_bytes": "1"}}}}"#,
    );
    write("catalog.json", "{}");
    write("tables.json", "{}");
    write(
        "rules.json",
        r#"{"routing_rules": {"rules": [{"from_table": "t", "to_tables": ["catalog.t"]}]}}"#,
    );
    let validate = |folder: &Path| Sources::read(folder).unwrap().validate(Strictness::Strict);
    let validated = validate(&folder);
    let vschema = validated.vschema.unwrap_or_else(|| panic!("{:?}", validated.problems));
    let names: Vec<_> = vschema.keyspaces().map(|keyspace| keyspace.name()).collect();
    assert_eq!(names, ["catalog", "shop"]);
    assert_eq!(find(&vschema, "t", TabletType::Primary), Ok("catalog.t".into()));
    write("residency.json", r#"{"policies": []}"#);
    let refused = validate(&folder);
    assert!(refused.vschema.is_none());
    assert_eq!(refused.problems[0].what, "residency.json is not implemented yet");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(Sources::read(&folder).is_err());
}

#[test]
fn two_are_the_same_only_in_everything() {
    let shop = load(SHOP, Strictness::Lenient);
    assert_eq!(shop, load(SHOP, Strictness::Lenient));
    for (from, to) in [
        (r#""region_bytes": "1""#, r#""region_bytes": "2""#),
        (r#""from": "email""#, r#""from": "mail""#),
        (r#""owner": "customer""#, r#""owner": "settings""#),
        (r#"["region", "id"]"#, r#"["region", "no"]"#),
        (r#""column": "id""#, r#""column": "no""#),
        (r#""pinned": "40""#, r#""pinned": "80""#),
        (r#""VARCHAR""#, r#""TEXT""#),
        (r#""source": "catalog.country""#, r#""source": """#),
        (r#""other": {"#, r#""another": {"#),
        (r#""twin": {}"#, r#""triplet": {}"#),
        (r#""require_explicit_routing": true"#, r#""require_explicit_routing": false"#),
        (r#"["catalog.new"]"#, r#"["catalog.newer"]"#),
    ] {
        let text = SHOP.replacen(from, to, 1);
        assert_ne!(text, SHOP, "{from}");
        assert_ne!(load(&text, Strictness::Lenient), shop, "{from}");
    }
}

/// A VSchema with `count` times five tables, as many of each kind that is linked with others: with
/// a sequence, a lookup vindex of its own and a routing rule; copied by reference; alone in a
/// keyspace. One map of as many numbers is the vindex of all.
fn many_tables(count: usize, variant: &str) -> String {
    let mut parts: [Vec<String>; 6] = Default::default();
    let [sharded, vindexes, unsharded, small, rules, map] = &mut parts;
    for at in 0..count {
        sharded.push(format!(
            r#""t{at}": {{"column_vindexes": [{{"column": "id", "name": "map"}},
                {{"column": "mail", "name": "lookup{at}"}}],
              "auto_increment": {{"column": "id", "sequence": "catalog.u{at}"}},
              "columns": [{{"name": "id"}}, {{"name": "mail", "type": "{variant}"}}]}},
              "source{at}": {{"type": "reference", "source": "catalog.source{at}"}}"#
        ));
        vindexes.push(format!(
            r#""lookup{at}": {{"type": "lookup_unique", "owner": "t{at}", "params":
               {{"table": "catalog.u{at}", "from": "mail", "to": "id"}}}}"#
        ));
        unsharded.push(format!(r#""u{at}": {{"type": "sequence"}}, "source{at}": {{}}"#));
        small.push(format!(r#""{variant}{at}": {{"tables": {{"own{at}": {{}}}}}}"#));
        rules.push(format!(r#"{{"from_table": "r{at}", "to_tables": ["shop.t{at}"]}}"#));
        map.push(format!(r#"\"{at}\": {at}"#));
    }
    let [sharded, vindexes, unsharded, small, rules, map] = parts.map(|part| part.join(", "));
    format!(
        r#"{{"keyspaces": {{
          "shop": {{"sharded": true, "vindexes": {{
            "map": {{"type": "numeric_static_map", "params": {{"json": "{{{map}}}"}}}}, {vindexes}}},
            "tables": {{{sharded}}}}},
          "catalog": {{"tables": {{{unsharded}}}}}, {small}}},
        "routing_rules": {{"rules": [{rules}]}}}}"#
    )
}

/// The processor time that some work of this thread takes; what else runs does not lengthen it.
fn time(work: impl FnOnce()) -> u64 {
    let spent = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
        text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).expect("a number")
    };
    let start = spent();
    work();
    spent() - start
}

/// Goal: the time to load and compare VSchemas, good and bad, grows with their size (4 times the
/// tables take 4.0 to 4.7 times as long) and not with its square (up to 16 times).
#[test]
fn time_grows_with_the_number_of_tables() {
    let lenient = |text: &str| Sources::from_text("all.json", text).validate(Strictness::Lenient);
    let good = |count| {
        let text = many_tables(count, "TEXT");
        time(|| assert_eq!(lenient(&text).problems, []))
    };
    let bad = |count| {
        let text = many_tables(count, "TEXT")
            .replace("\"name\": \"lookup", "\"name\": \"lokup")
            .replace("\"owner\": \"t", "\"owner\": \"s")
            .replace("\"source\": \"catalog.", "\"source\": \"");
        time(|| assert!(lenient(&text).problems.len() > 2 * count))
    };
    let compared = |count| {
        let load = |variant| lenient(&many_tables(count, variant)).vschema.expect("lenient");
        let (old, new) = (load("TEXT"), load("VARCHAR"));
        time(|| {
            assert!(diff(&old, &new, ServerColumns::Immaterial).len() > 2 * count);
            assert!(NewNames::between(&old, &new).settle(&old).is_empty());
        })
    };
    let works: [(&str, &dyn Fn(usize) -> u64); 3] =
        [("a good one", &good), ("a bad one", &bad), ("two compared", &compared)];
    for (name, work) in works {
        // What else runs on the machine can only spoil an attempt.
        let linear = (0..3).any(|_| work(4_000) as f64 / work(1_000) as f64 <= 5.0);
        assert!(linear, "{name}: 4 times the tables take more than 5 times as long");
    }
}
