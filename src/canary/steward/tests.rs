//! Changes, refusals and restarts, on folders of their own.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{config, topology};

/// A folder with a VSchema and a state folder, removed at the end.
struct Place {
    path: PathBuf,
}

const FIRST: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
  "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;
/// The same homes; `other` is found by its hash too.
const READS_MORE: &str = r#"{"sharded": true,
  "vindexes": {"hash": {"type": "hash"}, "xx": {"type": "xxhash"}},
  "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"},
                                       {"column": "other", "name": "xx"}]}}}"#;
/// Other homes.
const MOVED: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "xxhash"}},
  "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;
const BROKEN: &str = r#"{"sharded": true, "tables": {"t": {"column_vindexes": 5}}}"#;

impl Place {
    fn new(vschema: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("geogate-steward-{}-{number}", std::process::id());
        let place = Self { path: std::env::temp_dir().join(name) };
        let _ = std::fs::remove_dir_all(&place.path);
        std::fs::create_dir_all(place.path.join("vschema")).unwrap();
        place.write(vschema);
        place
    }

    fn write(&self, vschema: &str) {
        std::fs::write(self.path.join("vschema/ks.json"), vschema).unwrap();
    }

    fn open(&self) -> Result<Steward, ChangeError> {
        let text = "[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n[[keyspace]]\nname = \"ks\"\n\
                    [[keyspace.shard]]\nrange = \"-80\"\n[[keyspace.shard.server]]\naddress = \"a\"\n\
                    [[keyspace.shard]]\nrange = \"80-\"\n[[keyspace.shard.server]]\naddress = \"b\"\n";
        let config = config::parse(text, Path::new(".")).unwrap();
        let settings = StewardSettings {
            path: self.path.join("vschema"),
            state: StateFolder::new(self.path.join("state")),
            topology: Arc::new(topology::build(&config.keyspaces).unwrap()),
            plans_max: 10,
        };
        Steward::open(settings, &actor())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn actor() -> Actor {
    Actor { name: "tester".to_owned(), at: 1 }
}

fn sources(text: &str) -> Sources {
    Sources::from_text("ks.json", text)
}

/// Vindexes of the table in what a generation serves.
fn vindexes(steward: &Steward) -> usize {
    let serving = steward.serving().load();
    let vschema = serving.stable().vschema();
    vschema.keyspace("ks").unwrap().table("t").unwrap().column_vindexes().len()
}

fn weight(percent: &str) -> Weight {
    Weight::parse_percent(percent).unwrap()
}

#[test]
fn bad_files_leave_the_good_generation_in_service_and_stay_visible() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    assert!(!steward.files_changed());
    for bad in [BROKEN, "{", r#"{"sharded": false}"#] {
        place.write(bad);
        assert!(steward.files_changed());
        steward.reload(Reread::IfChanged, &actor()).unwrap_err();
        assert_eq!(steward.serving().load().stable().number(), 1);
        let refused = steward.status().refused.expect("the report stays");
        assert!(refused.report.contains("error: "), "{}", refused.report);
        // It is not tried again until something changes.
        assert!(!steward.files_changed());
    }
    std::fs::remove_file(place.path.join("vschema/ks.json")).unwrap();
    assert!(steward.files_changed());
    steward.reload(Reread::IfChanged, &actor()).unwrap_err();
    assert!(!steward.files_changed());
    place.write(READS_MORE);
    assert!(steward.files_changed());
    let changed = steward.reload(Reread::IfChanged, &actor()).unwrap();
    assert_eq!((changed.previous, changed.version, vindexes(&steward)), (1, 2, 2));
    assert!(steward.status().refused.is_none() && !steward.files_changed());
}

#[test]
fn a_proxy_does_not_start_with_a_bad_vschema() {
    for bad in [BROKEN, r#"{"sharded": false}"#] {
        let error = Place::new(bad).open().unwrap_err();
        assert!(error.to_string().contains("error: "), "{error}");
    }
}

#[test]
fn apply_compares_the_version_and_tells_what_moves() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let stale = steward.apply(&sources(READS_MORE), Some(7), Rehearsal::No, &actor());
    assert!(matches!(stale, Err(ChangeError::Stale { expected: 7, active: 1 })));
    let rehearsed = steward.apply(&sources(MOVED), Some(1), Rehearsal::DryRun, &actor()).unwrap();
    assert_eq!((rehearsed.version, rehearsed.differences.len()), (2, 1));
    assert_eq!((steward.active_version(), vindexes(&steward)), (1, 1));
    let changed = steward.apply(&sources(READS_MORE), Some(1), Rehearsal::No, &actor()).unwrap();
    assert_eq!((changed.version, vindexes(&steward)), (2, 2));
    let again = steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
    assert!(again.is_nothing());
    let back = steward.rollback(None, Some(2), &actor()).unwrap();
    assert_eq!((back.version, vindexes(&steward)), (3, 1));
    let forth = steward.rollback(Some(2), None, &actor()).unwrap();
    assert_eq!((forth.version, vindexes(&steward)), (4, 2));
    assert!(matches!(
        steward.rollback(Some(99), None, &actor()),
        Err(ChangeError::UnknownVersion(99))
    ));
    let numbers: Vec<u64> = steward.history().iter().map(|version| version.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
}

#[test]
fn a_canary_is_compared_weighed_and_ended() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let refused = steward.start_canary(&sources(MOVED), weight("1"), &actor());
    assert!(matches!(refused, Err(ChangeError::Differs(found)) if found.len() == 1));
    let same = steward.start_canary(&sources(FIRST), weight("1"), &actor());
    assert!(matches!(same, Err(ChangeError::Same(1))));
    assert!(matches!(steward.set_weight(Weight::ALL, &actor()), Err(ChangeError::NoCanary)));
    let started = steward.start_canary(&sources(READS_MORE), weight("10"), &actor()).unwrap();
    assert_eq!((started.version, started.previous), (2, 1));
    let rollout = steward.serving().load().split().unwrap().rollout();
    let again = steward.start_canary(&sources(READS_MORE), weight("1"), &actor());
    assert!(matches!(again, Err(ChangeError::CanaryRuns(2))));
    let applied = steward.apply(&sources(MOVED), None, Rehearsal::No, &actor());
    assert!(matches!(applied, Err(ChangeError::CanaryRuns(2))));
    steward.set_weight(weight("0.01"), &actor()).unwrap();
    let split = steward.serving().load().split().unwrap();
    assert_eq!((split.weight().basis_points(), split.rollout()), (1, rollout));
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    assert_eq!((steward.active_version(), vindexes(&steward)), (1, 1));
    steward.start_canary(&sources(READS_MORE), weight("50"), &actor()).unwrap();
    steward.end_canary(Outcome::Promoted, &actor()).unwrap();
    assert_eq!((steward.active_version(), vindexes(&steward)), (3, 2));
    assert_eq!(steward.rollback(None, None, &actor()).unwrap().version, 4);
    assert_eq!(vindexes(&steward), 1);
}

#[test]
fn files_wait_for_the_end_of_a_canary() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    steward.start_canary(&sources(READS_MORE), weight("10"), &actor()).unwrap();
    place.write(MOVED);
    assert!(steward.files_changed());
    let waiting = steward.reload(Reread::IfChanged, &actor());
    assert!(matches!(waiting, Err(ChangeError::CanaryRuns(2))));
    assert!(!steward.files_changed());
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    assert!(steward.files_changed());
    assert_eq!(steward.reload(Reread::IfChanged, &actor()).unwrap().version, 3);
}

/// Goal: what was in service is in service again after a restart, a canary with its side hash.
#[test]
fn a_restart_goes_on_where_it_stopped() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
    steward.start_canary(&sources(FIRST), weight("12.34"), &actor()).unwrap();
    let before = steward.serving().load().split().unwrap();
    drop(steward);
    let steward = place.open().unwrap();
    assert_eq!(steward.serving().load().split(), Some(before));
    assert_eq!((steward.active_version(), vindexes(&steward)), (2, 2));
    assert_eq!(steward.serving().load().candidate().unwrap().number(), 3);
    drop(steward);
    // Files that were changed meanwhile win, and end the canary.
    place.write(MOVED);
    let steward = place.open().unwrap();
    assert_eq!((steward.active_version(), steward.status().state.previous), (4, Some(2)));
    assert!(steward.serving().load().candidate().is_none());
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    // A file where the folder was: nothing can be written, even by root.
    std::fs::remove_dir_all(place.path.join("state")).unwrap();
    std::fs::write(place.path.join("state"), "in the way").unwrap();
    let refused = steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor());
    assert!(matches!(refused, Err(ChangeError::Store { .. })));
    let refused = steward.start_canary(&sources(READS_MORE), weight("1"), &actor());
    assert!(matches!(refused, Err(ChangeError::Store { .. })));
    assert_eq!((steward.active_version(), vindexes(&steward)), (1, 1));
}

#[test]
fn a_damaged_state_folder_is_named() {
    let place = Place::new(FIRST);
    drop(place.open().unwrap());
    std::fs::write(place.path.join("state/state.json"), "{").unwrap();
    let error = place.open().unwrap_err();
    assert!(error.to_string().starts_with("state.json in the state folder"), "{error}");
}

#[test]
fn old_versions_are_forgotten_but_not_those_in_use() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    for round in 0..130 {
        let text = if round % 2 == 0 { READS_MORE } else { FIRST };
        steward.apply(&sources(text), None, Rehearsal::No, &actor()).unwrap();
    }
    let history = steward.history();
    assert_eq!((history.len(), history[0].number), (100, 131));
    drop(steward);
    assert_eq!(place.open().unwrap().active_version(), 131);
}

#[test]
fn other_columns_renew_both_sides_and_stay_for_later_ones() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let sources = Sources::from_text("ks.json", READS_MORE);
    steward.start_canary(&sources, Weight::new(5000).unwrap(), &actor()).unwrap();
    let before = steward.serving().load_full();
    let row = crate::planner::live_columns::ColumnRow {
        table: "t".to_owned(),
        name: "id".to_owned(),
        data_type: "bigint".to_owned(),
        ..Default::default()
    };
    let columns = Arc::new(LiveColumns::default().with_keyspace("ks", vec![row]));
    steward.columns_changed(Arc::clone(&columns));
    let after = steward.serving().load_full();
    assert_eq!(after.split(), before.split());
    for (old, new) in before.generations().zip(after.generations()) {
        assert_eq!(old.number(), new.number());
        assert!(Arc::ptr_eq(old.vschema(), new.vschema()) && !Arc::ptr_eq(old, new));
        assert!(old.columns().is_empty() && Arc::ptr_eq(new.columns(), &columns));
    }
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    steward.apply(&Sources::from_text("ks.json", MOVED), None, Rehearsal::No, &actor()).unwrap();
    assert!(Arc::ptr_eq(steward.serving().load().stable().columns(), &columns));
}
