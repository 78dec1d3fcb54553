//! What the golden vectors (`tests/golden/vindex`) cannot say: costs, parameters, equalities.

use std::collections::BTreeMap;

use super::{Mapping, ParamProblem, Params, Vindex, VindexError};
use crate::key::ShardMap;
use crate::sql::value::Value;

fn create(type_name: &str, params: &[(&str, &str)]) -> Result<Option<Vindex>, ParamProblem> {
    let params: BTreeMap<String, String> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |path: &str| match path {
        "regions.json" => Ok("{\"US\": 1, \"DE\": 258}".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    Vindex::create(type_name, &mut Params::new("v", &params, &read_file))
}

fn vindex(type_name: &str, params: &[(&str, &str)]) -> Vindex {
    create(type_name, params).unwrap().unwrap()
}

fn problem(type_name: &str, params: &[(&str, &str)]) -> String {
    create(type_name, params).unwrap_err().what
}

fn text(value: &str) -> Value<'_> {
    Value::Text(value.as_bytes().into())
}

fn id(vindex: &Vindex, values: &[Value<'_>]) -> String {
    match vindex.map(values).unwrap() {
        Mapping::KeyspaceId(id) => id.to_string(),
        Mapping::KeyRange(range) => format!("[{range}]"),
        Mapping::AllShards => "all".to_owned(),
        Mapping::None => "none".to_owned(),
    }
}

#[test]
fn costs_and_uniqueness_are_vitess() {
    for (type_name, cost, unique) in [
        ("binary", 0, true),
        ("numeric", 0, true),
        ("hash", 1, true),
        ("xxhash", 1, true),
        ("null", 100, true),
        ("lookup", 20, false),
        ("lookup_unique", 10, true),
        ("consistent_lookup", 20, false),
        ("lookup_hash_unique", 10, true),
        ("lookup_cost", 5, false),
    ] {
        let vindex = vindex(type_name, &[]);
        assert_eq!((vindex.cost(), vindex.is_unique()), (cost, unique), "{type_name}");
    }
    let multicol = [("column_count", "3"), ("column_vindex", "numeric,,xxhash")];
    assert_eq!(vindex("multicol", &multicol).cost(), 2);
    assert!(create("hush", &[]).unwrap().is_none());
    assert!(super::TYPES.is_sorted());
}

#[test]
fn texts_that_differ_in_case_accents_and_trailing_spaces_are_equal() {
    let loose = vindex("unicode_loose_xxhash", &[]);
    let of = |value: &str| id(&loose, &[text(value)]);
    for (a, b) in [
        ("Test", "tEST  "),
        ("Tést", "Te\u{301}st"),
        ("ｆｕｌｌ", "full"),
        ("ß", "ss"),
        // A syllable and its letters.
        ("\u{ac01}", "\u{1100}\u{1161}\u{11a8}"),
    ] {
        assert_eq!(of(a), of(b), "{a} {b}");
    }
    for (a, b) in [(" Test", "Test"), ("Test\t", "Test"), ("一", "丁"), ("が", "な")] {
        assert_ne!(of(a), of(b), "{a} {b}");
    }
    let invalid = Value::Bytes(vec![0xff].into());
    assert_eq!(loose.map(&[invalid]), Err(VindexError::InvalidUtf8));
}

#[test]
fn primary_weights_are_those_of_the_root_table() {
    let weights = |value: &str| super::unicode_loose::weights_of(&text(value)).unwrap().to_vec();
    // Implicit weights have three bytes: the code point plus 0x10000, 0x20000 or 0x50000.
    assert_eq!(weights("一"), [0x81, 0x4e, 0x00]);
    assert_eq!(weights("㐀"), [0x82, 0x34, 0x00]);
    assert_eq!(weights("\u{e000}"), [0x85, 0xe0, 0x00]);
    // Tabs weigh, control characters and combining accents do not.
    assert_eq!(weights("\t"), [0x01, 0x00]);
    assert!(weights("\u{0}\u{301}").is_empty());
    // Three characters that weigh as one, then two, then one.
    assert_eq!(weights("\u{fb2}\u{f71}\u{f80}"), [0x25, 0x93]);
    assert_eq!(weights("\u{fb2}\u{f80}"), [0x25, 0x92]);
    assert_eq!(weights("\u{fb2}"), [0x25, 0x75]);
}

#[test]
fn prefixes_of_columns_map_to_ranges() {
    let region = vindex("region_experimental", &[("region_bytes", "1")]);
    assert_eq!(id(&region, &[Value::Int(2)]), "[02-03]");
    assert_eq!(id(&region, &[Value::Int(255)]), "[ff-]");
    assert_eq!(id(&region, &[Value::Int(2), Value::Int(-1)]), "none");
    let multicol = vindex(
        "multicol",
        &[("column_count", "2"), ("column_vindex", "binary"), ("column_bytes", "3")],
    );
    assert_eq!(id(&multicol, &[text("a")]), "[61-62]");
    assert_eq!(id(&multicol, &[text("a"), Value::Int(1)]), "610000166b40b44a");
    assert_eq!(id(&multicol, &[text("abcde"), Value::Int(1)]), "616263166b40b44a");
    let three = [Value::Int(1), Value::Int(1), Value::Int(1)];
    assert_eq!(multicol.map(&three), Err(VindexError::ValueCount { takes: 2, got: 3 }));
}

#[test]
fn region_json_takes_the_id_first() {
    let params = [("region_map", "regions.json"), ("region_bytes", "2")];
    let region = vindex("region_json", &params);
    assert_eq!(id(&region, &[Value::Int(1), text("DE")]), "0102166b40b44aba4bd6");
    assert_eq!(id(&region, &[Value::Int(1), text("FR")]), "none");
    let missing = [("region_map", "none.json"), ("region_bytes", "2")];
    assert_eq!(problem("region_json", &missing), "cannot read 'none.json': no such file");
}

#[test]
fn between_keeps_both_bounds() {
    let map = ShardMap::new(&["-80", "80-"]).unwrap();
    let numeric = vindex("numeric", &[]);
    let (low, high) = numeric.map_between(&Value::Int(1), &Value::UInt(1 << 63)).unwrap();
    assert_eq!(map.shards_between(&low, &high), 0..2);
    assert_eq!(numeric.map_between(&Value::Null, &Value::Int(1)), None);
    assert_eq!(vindex("hash", &[]).map_between(&Value::Int(1), &Value::Int(2)), None);
}

#[test]
fn reversible_vindexes_undo_themselves() {
    for type_name in ["hash", "numeric", "reverse_bits"] {
        let vindex = vindex(type_name, &[]);
        for number in [0, 1, 255, u64::MAX] {
            let Mapping::KeyspaceId(id) = vindex.map(&[Value::UInt(number)]).unwrap() else {
                panic!()
            };
            assert_eq!(vindex.reverse(&id), Ok(Value::UInt(number)), "{type_name}");
            assert_eq!(vindex.verify(&[Value::UInt(number)], &id), Ok(true));
        }
    }
    let id = crate::key::KeyspaceId::new(b"x");
    assert_eq!(vindex("xxhash", &[]).reverse(&id), Err(VindexError::NotReversible));
}

#[test]
fn wrong_parameters_are_refused_in_vitess_words() {
    let expected = "expected sorted positive ints in brackets";
    for (type_name, params, what) in [
        ("cfc", &[("hash", "md5")][..], "CFC vindex requires offsets when hash is defined".into()),
        ("cfc", &[("hash", "crc"), ("offsets", "[2]")], "invalid hash crc to CFC vindex v".into()),
        (
            "cfc",
            &[("offsets", "[4,2]")],
            format!("invalid offsets [4,2] to CFC vindex v. {expected}"),
        ),
        ("cfc", &[("offsets", "[0]")], format!("invalid offsets [0] to CFC vindex v. {expected}")),
        (
            "multicol",
            &[("column_count", "9")],
            "number of columns should be between 1 and 8 in the parameter 'column_count'".into(),
        ),
        (
            "multicol",
            &[("column_count", "2"), ("column_bytes", "8")],
            "column bytes count exceeds the keyspace id length (total bytes count cannot exceed \
             8 bytes) in the parameter 'column_bytes'"
                .into(),
        ),
        ("region_experimental", &[("region_bytes", "3")], "region_bytes must be 1 or 2: 3".into()),
        (
            "numeric_static_map",
            &[("json", "{}"), ("json_path", "x")],
            "Found both json and json_path params in vschema".into(),
        ),
        (
            "lookup",
            &[("autocommit", "yes")],
            "autocommit value must be 'true' or 'false': 'yes'".into(),
        ),
        ("lookup", &[("read_lock", "all")], "invalid read_lock value: all".into()),
    ] {
        assert_eq!(problem(type_name, params), what, "{type_name}");
    }
}

#[test]
fn a_lookup_needs_its_table_unless_it_is_only_written() {
    let lookup = vindex("lookup", &[("table", "t")]);
    assert_eq!(lookup.map(&[Value::Int(1)]), Err(VindexError::NeedsLookup("t".to_owned())));
    let filling = vindex("lookup", &[("table", "t"), ("write_only", "true")]);
    assert_eq!(filling.map(&[Value::Int(1)]), Ok(Mapping::AllShards));
}
