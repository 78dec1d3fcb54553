//! Kind of change × way in: no way puts a VSchema in service that moves rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::tests::{actor, weight};
use super::super::{DraftReason, Rehearsal, Reread};
use super::*;
use crate::canary::change::Changed;
use crate::canary::history::{Digest, Origin};
use crate::canary::state::{Outcome, State};
use crate::planner::live_columns::ColumnRow;
use crate::vschema::store::StateFolder;
use crate::vschema::{Shape, Sources};
use crate::{config, topology};

/// Two keyspaces, of which only `ks` is sharded.
const BASE: &str = r#"{"keyspaces": {
  "main": {"tables": {"seq": {"type": "sequence"}, "countries": {}, "log": {}}},
  "ks": {"sharded": true,
    "vindexes": {
      "hash": {"type": "hash"}, "xx": {"type": "xxhash"},
      "md5": {"type": "binary_md5"},
      "home": {"type": "region_experimental", "params": {"region_bytes": "1"}},
      "by_country": {"type": "region_json",
        "params": {"region_map": "countries.map", "region_bytes": "1"}}},
    "tables": {
      "t": {"column_vindexes": [{"column": "id", "name": "hash"}, {"column": "k", "name": "xx"}],
        "columns": [{"name": "id", "type": "INT64"}, {"name": "k", "type": "VARCHAR"}]},
      "r": {"column_vindexes": [{"columns": ["region", "id"], "name": "home"}]},
      "c": {"column_vindexes": [{"columns": ["id", "country"], "name": "by_country"}]},
      "countries": {"type": "reference", "source": "main.countries"},
      "one": {"pinned": "80"}}}},
  "routing_rules": {"rules": [{"from_table": "alias", "to_tables": ["ks.t"]}]}
}"#;

/// A piece of [`BASE`], and what it becomes.
const MOVES: &[(&str, &str, &str)] = &[
    (
        "two vindexes swapped",
        r#"[{"column": "id", "name": "hash"}, {"column": "k", "name": "xx"}]"#,
        r#"[{"column": "k", "name": "xx"}, {"column": "id", "name": "hash"}]"#,
    ),
    ("two columns swapped", r#"["region", "id"]"#, r#"["id", "region"]"#),
    ("another column", r#"{"column": "id", "name": "hash"}"#, r#"{"column": "n", "name": "hash"}"#),
    ("another function", r#""hash": {"type": "hash"}"#, r#""hash": {"type": "reverse_bits"}"#),
    (
        "another parameter",
        r#""params": {"region_bytes": "1"}"#,
        r#""params": {"region_bytes": "2"}"#,
    ),
    ("another map", r#""countries.map""#, r#""other.map""#),
    ("another pin", r#""pinned": "80""#, r#""pinned": "40""#),
    ("a pin no more", r#"{"pinned": "80"}"#, r#"{"type": "reference"}"#),
    ("another type", r#""id", "type": "INT64""#, r#""id", "type": "UINT64""#),
    (
        "a copy without source",
        r#""type": "reference", "source": "main.countries""#,
        r#""type": "reference""#,
    ),
    ("another table of a name", r#"["ks.t"]"#, r#"["ks.r"]"#),
    (
        "another table of replicas",
        r#""rules": ["#,
        r#""rules": [{"from_table": "ks.t@replica", "to_tables": ["ks.r"]}, "#,
    ),
    (
        "a table in another keyspace",
        r#""r": {"column_vindexes": [{"columns": ["region", "id"], "name": "home"}]},"#,
        "",
    ),
    ("not sharded any more", r#""sharded": true"#, r#""sharded": false"#),
];

/// [`BASE`] and a state folder.
struct Pair {
    path: PathBuf,
}

impl Pair {
    fn new(vschema: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("geogate-moves-{}-{number}", std::process::id());
        let pair = Self { path: std::env::temp_dir().join(name) };
        let _ = std::fs::remove_dir_all(&pair.path);
        std::fs::create_dir_all(&pair.path).unwrap();
        for (map, number) in [("countries.map", 1), ("other.map", 2)] {
            std::fs::write(pair.path.join(map), format!(r#"{{"DE": {number}}}"#)).unwrap();
        }
        pair.write(vschema);
        pair
    }

    fn file(&self) -> PathBuf {
        self.path.join("all.json")
    }

    fn write(&self, vschema: &str) {
        std::fs::write(self.file(), vschema).unwrap();
    }

    fn sources(&self, vschema: &str) -> Sources {
        let file = ("all.json".to_owned(), vschema.to_owned());
        Sources::from_files(Shape::Document, &self.path, &[file])
    }

    fn settings(&self, more: &str) -> StewardSettings {
        // One shard of `ks` would make an unsharded keyspace fit.
        let text = format!(
            "[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n[[keyspace]]\nname = \"ks\"\n\
             [[keyspace.shard]]\n[[keyspace.shard.server]]\naddress = \"a\"\n\
             [[keyspace]]\nname = \"main\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
             address = \"c\"\n{more}"
        );
        let config = config::parse(&text, Path::new(".")).unwrap();
        StewardSettings {
            path: self.file(),
            state: StateFolder::new(self.path.join("state")),
            topology: Arc::new(topology::build(&config.keyspaces).unwrap()),
            plans_max: 10,
        }
    }

    fn open(&self) -> Steward {
        Steward::open(self.settings(""), &actor()).unwrap()
    }

    /// A state folder where version 1 is `old`, as if it had served long ago, and [`BASE`] serves.
    fn remember(&self, old: &str) {
        let mut records = Records::open(StateFolder::new(self.path.join("state"))).unwrap();
        records.add(Origin::Api, &actor(), &self.sources(old)).unwrap();
        let base = self.sources(BASE);
        let active = records.add(Origin::Api, &actor(), &base).unwrap();
        let state = State {
            active: active.number,
            previous: Some(1),
            files_digest: Digest::of(&base),
            set_aside: None,
            canary: None,
            last_canary: None,
        };
        records.write_state(&state).unwrap();
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn moved(from: &str, to: &str) -> String {
    let text = BASE.replacen(from, to, 1);
    assert_ne!(text, BASE, "{from}");
    if to.is_empty() { text.replace(r#""log": {}"#, r#""log": {}, "r": {}"#) } else { text }
}

/// A way in: tries to put a VSchema in service over [`BASE`].
type WayIn = fn(&Pair, &Steward, &str) -> Result<Changed, ChangeError>;

const WAYS: &[(&str, WayIn)] = &[
    ("apply", |pair, steward, new| {
        steward.apply(&pair.sources(new), None, Rehearsal::No, &actor())
    }),
    ("dry run", |pair, steward, new| {
        steward.apply(&pair.sources(new), None, Rehearsal::DryRun, &actor())
    }),
    ("watched file", |pair, steward, new| {
        pair.write(new);
        steward.reload(Reread::IfChanged, &actor())
    }),
    ("signal", |pair, steward, new| {
        pair.write(new);
        steward.reload(Reread::OnSignal, &actor())
    }),
    ("file by API reload", |pair, steward, new| {
        pair.write(new);
        steward.reload(Reread::Always, &actor())
    }),
    ("canary", |pair, steward, new| {
        steward.start_canary(&pair.sources(new), weight("1"), &actor())
    }),
    ("rollback", |_, steward, _| steward.rollback(Some(1), None, &actor())),
];

#[test]
fn no_way_in_activates_a_vschema_that_moves_rows() {
    for (kind, from, to) in MOVES {
        let new = moved(from, to);
        for (way, act) in WAYS {
            let pair = Pair::new(BASE);
            pair.remember(&new);
            let steward = pair.open();
            let served = Arc::clone(steward.serving().load().stable().vschema());
            let refused = act(&pair, &steward, &new).expect_err(&format!("{kind} by {way}"));
            let (ChangeError::MovesRows(refusal) | ChangeError::Differs(refusal)) = &refused else {
                panic!("{kind} by {way}: {refused}");
            };
            assert!(refusal.differences.iter().any(|d| d.class.moves_rows()), "{kind} by {way}");
            let text = refused.to_string();
            assert!(text.contains("no rows are moved while a proxy serves"), "{text}");
            let serving = steward.serving().load();
            assert_eq!((steward.active_version(), serving.stable().number()), (2, 2));
            assert!(serving.candidate().is_none() && **serving.stable().vschema() == *served);
            let is_file = way.contains("file") || way.contains("signal");
            assert_eq!(steward.draft().is_some(), is_file, "{kind} by {way}");
        }
    }
}

#[test]
fn no_restart_activates_a_vschema_that_moves_rows() {
    for (kind, from, to) in MOVES {
        let pair = Pair::new(BASE);
        drop(pair.open());
        pair.write(&moved(from, to));
        let steward = pair.open();
        assert_eq!(steward.active_version(), 1, "{kind}");
        assert_eq!(steward.draft().unwrap().reason, DraftReason::MovesRows, "{kind}");
        drop(steward);
        // Files as before: no draft any more.
        pair.write(BASE);
        assert!(pair.open().draft().is_none(), "{kind}");
    }
}

/// Goal: with another keyspace in the configuration only the files can serve; they are taken if no
/// row moves, and keep the proxy from starting if one does.
#[test]
fn another_keyspace_in_the_configuration_moves_no_rows_either() {
    let more = "[[keyspace]]\nname = \"new\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
                address = \"d\"\n";
    for (kind, from, to) in MOVES {
        let pair = Pair::new(BASE);
        drop(pair.open());
        let with_new = |text: &str| text.replacen(r#""main": {"#, r#""new": {}, "main": {"#, 1);
        pair.write(&with_new(&moved(from, to)));
        let error = Steward::open(pair.settings(more), &actor()).expect_err(kind);
        assert!(matches!(error, ChangeError::MovesRows(_)), "{kind}: {error}");
        assert!(error.to_string().contains("the proxy does not start\n"), "{error}");
        pair.write(&with_new(BASE));
        let steward = Steward::open(pair.settings(more), &actor()).unwrap();
        assert_eq!((steward.active_version(), steward.draft()), (2, None), "{kind}");
    }
}

/// Goal: the map in a file is a part of the version: another content is seen like another text, and
/// a restart or a rollback does not take what the file says by then.
#[test]
fn a_map_that_a_parameter_names_is_kept_with_its_version() {
    let pair = Pair::new(BASE);
    let steward = pair.open();
    let served = Arc::clone(steward.serving().load().stable().vschema());
    std::fs::write(pair.path.join("countries.map"), r#"{"DE": 7}"#).unwrap();
    assert!(steward.files_changed());
    let refused = steward.reload(Reread::IfChanged, &actor());
    assert!(matches!(refused, Err(ChangeError::MovesRows(_))), "{refused:?}");
    drop(steward);
    let steward = pair.open();
    assert_eq!(steward.active_version(), 1);
    assert!(**steward.serving().load().stable().vschema() == *served);
    assert_eq!(steward.draft().unwrap().reason, DraftReason::MovesRows);
    // A version of an older Geogate has no maps; they are read from the folder once more.
    let path = pair.path.join("state").join(Version::document_name(1));
    let mut version: Version =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    version.named_files.clear();
    std::fs::write(&path, serde_json::to_string(&version).unwrap()).unwrap();
    drop(steward);
    assert_eq!(pair.open().active_version(), 1);
}

/// Goal: a table that was taken out and is listed again with another home is a moved one, unless it
/// is not on the servers any more.
#[test]
fn a_table_that_returns_returns_to_its_home() {
    let one = r#",
      "one": {"pinned": "80"}"#;
    let without = BASE.replacen(one, "", 1);
    let elsewhere = BASE.replacen(r#""pinned": "80""#, r#""pinned": "40""#, 1);
    let pair = Pair::new(BASE);
    let steward = pair.open();
    let apply = |text: &str| steward.apply(&pair.sources(text), None, Rehearsal::No, &actor());
    let removed = apply(&without).unwrap();
    assert_eq!(removed.differences[0].class, ChangeClass::Removal);
    let refused = apply(&elsewhere).unwrap_err().to_string();
    assert!(refused.contains("version 1 put its rows elsewhere: its pin is 80 there"), "{refused}");
    apply(BASE).unwrap();
    apply(&without).unwrap();
    let row = |table: &str| ColumnRow { table: table.to_owned(), ..ColumnRow::default() };
    let columns = |rows| Arc::new(LiveColumns::default().with_keyspace("ks", rows));
    steward.columns_changed(columns(vec![row("t"), row("one")]));
    apply(&elsewhere).unwrap_err();
    steward.columns_changed(columns(vec![row("t")]));
    apply(&elsewhere).unwrap();
}

/// Goal: a name that was refused meanwhile does not mean another table, however it is written,
/// unless what it meant is not on the servers any more.
#[test]
fn a_name_that_returns_means_the_table_that_it_meant() {
    let rule = r#"{"from_table": "alias", "to_tables": ["ks.t"]}"#;
    let one = r#",
      "one": {"pinned": "80"}"#;
    let without = BASE.replacen(rule, "", 1).replacen(one, "", 1);
    let other_rule = without.replacen(r#""rules": []"#, &format!(r#""rules": [{rule}]"#), 1);
    let other_rule = other_rule.replacen(r#"["ks.t"]"#, r#"["ks.r"]"#, 1);
    let log = r#""log": {}"#;
    let other_keyspace = without.replacen(log, r#""log": {}, "one": {}"#, 1);
    let rule_for_table =
        without.replacen(r#""rules": []"#, &format!(r#""rules": [{rule}]"#), 1).replacen(
            r#""from_table": "alias", "to_tables": ["ks.t"]"#,
            r#""from_table": "one", "to_tables": ["ks.t"]"#,
            1,
        );
    for (what, text, before) in [
        ("a rule", other_rule, "name alias: version 1 understood it as ks.t"),
        ("a table", other_keyspace, "name one: version 1 understood it as ks.one"),
        ("a rule for a table", rule_for_table, "name one: version 1 understood it as ks.one"),
    ] {
        let pair = Pair::new(BASE);
        let steward = pair.open();
        let apply = |text: &str| steward.apply(&pair.sources(text), None, Rehearsal::No, &actor());
        apply(&without).unwrap_or_else(|error| panic!("{what}: {error}"));
        let refused = apply(&text).unwrap_err().to_string();
        assert!(refused.contains(before), "{what}: {refused}");
        let rows = vec![ColumnRow { table: "r".to_owned(), ..ColumnRow::default() }];
        steward.columns_changed(Arc::new(LiveColumns::default().with_keyspace("ks", rows)));
        apply(&text).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// Goal: files whose types only the servers can confirm go live when these have been read.
#[test]
fn a_draft_is_looked_at_again_when_the_servers_columns_are_known() {
    let untyped = BASE.replacen(r#""id", "type": "INT64""#, r#""id""#, 1);
    let pair = Pair::new(&untyped);
    drop(pair.open());
    pair.write(BASE);
    let steward = pair.open();
    let report = steward.draft().unwrap().report;
    assert!(report.contains("the servers' columns are not known now"), "{report}");
    let column = |data_type: &str| ColumnRow {
        table: "t".to_owned(),
        name: "id".to_owned(),
        data_type: data_type.to_owned(),
        ..ColumnRow::default()
    };
    for (data_type, version) in [("varchar", 1), ("bigint", 2)] {
        assert!(!steward.files_changed());
        let rows = vec![column(data_type)];
        steward.columns_changed(Arc::new(LiveColumns::default().with_keyspace("ks", rows)));
        assert!(steward.files_changed());
        let _ = steward.reload(Reread::IfChanged, &actor());
        assert_eq!((steward.active_version(), steward.draft().is_none()), (version, version == 2));
    }
}

/// Goal: a candidate that no row moved for when it was started is not promoted when the servers
/// say otherwise by then.
#[test]
fn a_candidate_is_judged_again_before_it_is_promoted() {
    let untyped = BASE.replacen(r#""id", "type": "INT64""#, r#""id""#, 1);
    let pair = Pair::new(&untyped);
    let steward = pair.open();
    let columns = |data_type: &str| {
        let row = ColumnRow {
            table: "t".to_owned(),
            name: "id".to_owned(),
            data_type: data_type.to_owned(),
            ..ColumnRow::default()
        };
        Arc::new(LiveColumns::default().with_keyspace("ks", vec![row]))
    };
    steward.columns_changed(columns("bigint"));
    steward.start_canary(&pair.sources(BASE), weight("1"), &actor()).unwrap();
    steward.columns_changed(columns("varchar"));
    let refused = steward.end_canary(Outcome::Promoted, &actor()).unwrap_err();
    assert!(matches!(refused, ChangeError::MovesRows(_)), "{refused}");
    assert!(steward.serving().load().candidate().is_some());
    drop(steward);
    assert!(pair.open().serving().load().candidate().is_some(), "it goes on after a restart");
}
