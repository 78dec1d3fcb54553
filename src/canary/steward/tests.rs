//! Changes, refusals and restarts, on folders of their own.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::canary::split::Weight;
use crate::canary::state::Outcome;
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
/// The same homes; statements that define foreign keys are refused.
const UPKEEP: &str = r#"{"sharded": true, "foreign_key_mode": "disallow",
  "vindexes": {"hash": {"type": "hash"}},
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

pub(super) fn actor() -> Actor {
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

pub(super) fn weight(percent: &str) -> Weight {
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
        let draft = steward.draft().expect("the report stays");
        assert!(draft.report.contains("error: "), "{}", draft.report);
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
    assert!(steward.draft().is_none() && !steward.files_changed());
}

/// Goal: policies that are not kept yet are never ignored.
#[test]
fn residency_policies_are_refused_by_name() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let policies = r#"{"policies": []}"#;
    std::fs::write(place.path.join("vschema/residency.json"), policies).unwrap();
    steward.reload(Reread::IfChanged, &actor()).unwrap_err();
    let draft = steward.draft().unwrap();
    assert_eq!(draft.reason, DraftReason::Invalid);
    assert!(draft.report.contains("residency.json is not implemented yet"), "{}", draft.report);
    let files = [("ks.json", FIRST), ("residency.json", policies)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let sources = Sources::from_files(crate::vschema::Shape::Folder, &place.path, &files);
    for tried in [
        steward.apply(&sources, None, Rehearsal::No, &actor()),
        steward.start_canary(&sources, weight("1"), &actor()),
    ] {
        assert!(matches!(tried, Err(ChangeError::Invalid(_))), "{tried:?}");
    }
    drop(steward);
    assert_eq!(place.open().unwrap().draft().unwrap().reason, DraftReason::Invalid);
}

#[test]
fn a_proxy_does_not_start_with_a_bad_vschema() {
    for bad in [BROKEN, r#"{"sharded": false}"#] {
        let error = Place::new(bad).open().unwrap_err();
        assert!(error.to_string().contains("error: "), "{error}");
    }
}

#[test]
fn apply_compares_the_version_and_can_be_tried() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let stale = steward.apply(&sources(READS_MORE), Some(7), Rehearsal::No, &actor());
    assert!(matches!(stale, Err(ChangeError::Stale { expected: 7, active: 1 })));
    let tried = steward.apply(&sources(UPKEEP), Some(1), Rehearsal::DryRun, &actor()).unwrap();
    assert_eq!((tried.version, tried.differences.len()), (2, 1));
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
    assert!(matches!(refused, Err(ChangeError::Differs(found)) if found.differences.len() == 1));
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

/// Goal: files that are edited while a canary runs never go live by themselves, also not after its
/// end or over a restart, until an operator asks for them or they are edited again.
#[test]
fn files_edited_during_a_canary_wait_for_an_operator() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    steward.start_canary(&sources(READS_MORE), weight("10"), &actor()).unwrap();
    place.write(UPKEEP);
    assert!(steward.files_changed());
    let waiting = steward.reload(Reread::IfChanged, &actor());
    assert!(matches!(waiting, Err(ChangeError::CanaryRuns(2))));
    assert!(!steward.files_changed());
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    assert!(steward.files_changed(), "the reason is another one now");
    let waiting = steward.reload(Reread::IfChanged, &actor());
    assert!(matches!(waiting, Err(ChangeError::EditedDuringCanary)));
    assert!(!steward.files_changed());
    drop(steward);
    let steward = place.open().unwrap();
    assert_eq!(steward.active_version(), 1);
    assert_eq!(steward.draft().unwrap().reason, DraftReason::EditedDuringCanary);
    assert_eq!(steward.reload(Reread::Always, &actor()).unwrap().version, 3);
    assert!(steward.draft().is_none() && !steward.files_changed());
    // From here on edits go live as before.
    place.write(FIRST);
    assert_eq!(steward.reload(Reread::IfChanged, &actor()).unwrap().version, 4);
}

/// Goal: the watcher may look only after the end.
#[test]
fn files_edited_during_a_canary_wait_though_nobody_looked() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    steward.start_canary(&sources(READS_MORE), weight("10"), &actor()).unwrap();
    place.write(UPKEEP);
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    let waiting = steward.reload(Reread::IfChanged, &actor());
    assert!(matches!(waiting, Err(ChangeError::EditedDuringCanary)), "{waiting:?}");
}

/// Goal: files go live by themselves only if they were edited from what is active, wherever that
/// came from.
#[test]
fn files_older_than_the_active_version_are_a_draft() {
    type Act = fn(&Steward);
    let promoted: Act = |steward| {
        steward.start_canary(&sources(READS_MORE), weight("50"), &actor()).unwrap();
        steward.end_canary(Outcome::Promoted, &actor()).unwrap();
    };
    let applied: Act = |steward| {
        steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
    };
    let rolled_back: Act = |steward| {
        steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
        steward.apply(&sources(FIRST), None, Rehearsal::No, &actor()).unwrap();
        steward.rollback(Some(2), None, &actor()).unwrap();
    };
    for act in [promoted, applied, rolled_back] {
        let place = Place::new(FIRST);
        let steward = place.open().unwrap();
        act(&steward);
        let active = steward.active_version();
        // Not even files that nobody has touched are taken back by a signal.
        assert!(steward.reload(Reread::OnSignal, &actor()).unwrap().is_nothing());
        place.write(UPKEEP);
        assert!(steward.files_changed());
        let refused = steward.reload(Reread::IfChanged, &actor());
        assert!(matches!(refused, Err(ChangeError::OlderFiles { .. })), "{refused:?}");
        assert!(!steward.files_changed());
        let refused = steward.reload(Reread::OnSignal, &actor());
        assert!(matches!(refused, Err(ChangeError::OlderFiles { .. })), "{refused:?}");
        drop(steward);
        let steward = place.open().unwrap();
        assert_eq!((steward.active_version(), vindexes(&steward)), (active, 2));
        assert_eq!(steward.draft().unwrap().reason, DraftReason::Older);
        // Brought up to date, they are what is active, and the next edit goes live.
        place.write(READS_MORE);
        assert!(steward.reload(Reread::IfChanged, &actor()).unwrap().is_nothing());
        assert!(steward.draft().is_none());
        place.write(FIRST);
        assert_eq!(steward.reload(Reread::IfChanged, &actor()).unwrap().version, active + 1);
    }
}

#[test]
fn a_draft_that_is_applied_is_none_any_more() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
    place.write(UPKEEP);
    steward.reload(Reread::IfChanged, &actor()).unwrap_err();
    steward.apply(&sources(UPKEEP), None, Rehearsal::No, &actor()).unwrap();
    assert!(steward.draft().is_none() && !steward.files_changed());
    place.write(FIRST);
    assert_eq!(steward.reload(Reread::IfChanged, &actor()).unwrap().version, 4);
}

/// Goal: every change that was asked for is counted, whatever the way, and no dry run is.
#[test]
fn changes_are_counted() {
    let place = Place::new(FIRST);
    let steward = place.open().unwrap();
    let counts = || {
        let Reloads { accepted, refused } = steward.reloads();
        (accepted.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
    };
    assert_eq!(counts(), (0, 0));
    steward.apply(&sources(READS_MORE), None, Rehearsal::No, &actor()).unwrap();
    steward.apply(&sources(MOVED), None, Rehearsal::No, &actor()).unwrap_err();
    steward.apply(&sources(MOVED), None, Rehearsal::DryRun, &actor()).unwrap_err();
    steward.rollback(None, None, &actor()).unwrap();
    assert_eq!(counts(), (2, 1));
    steward.start_canary(&sources(READS_MORE), weight("1"), &actor()).unwrap();
    steward.start_canary(&sources(READS_MORE), weight("1"), &actor()).unwrap_err();
    steward.end_canary(Outcome::Promoted, &actor()).unwrap();
    steward.reload(Reread::Always, &actor()).unwrap();
    place.write(BROKEN);
    steward.reload(Reread::IfChanged, &actor()).unwrap_err();
    assert_eq!(counts(), (5, 3));
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
    // Files that were changed meanwhile are a draft: they were not edited from what is active.
    place.write(UPKEEP);
    let steward = place.open().unwrap();
    assert_eq!((steward.active_version(), steward.status().state.previous), (2, Some(1)));
    assert_eq!(steward.serving().load().split(), Some(before));
    assert_eq!(steward.draft().unwrap().reason, DraftReason::EditedDuringCanary);
    steward.end_canary(Outcome::Aborted, &actor()).unwrap();
    steward.reload(Reread::IfChanged, &actor()).unwrap_err();
    assert_eq!(steward.active_version(), 2);
}

#[test]
fn files_edited_while_the_proxy_was_stopped_go_live_as_if_it_ran() {
    let place = Place::new(FIRST);
    drop(place.open().unwrap());
    place.write(READS_MORE);
    let steward = place.open().unwrap();
    assert_eq!((steward.active_version(), vindexes(&steward)), (2, 2));
    drop(steward);
    for (text, reason) in [(MOVED, DraftReason::MovesRows), (BROKEN, DraftReason::Invalid)] {
        place.write(text);
        let steward = place.open().unwrap();
        assert_eq!((steward.active_version(), vindexes(&steward)), (2, 2));
        assert_eq!(steward.draft().unwrap().reason, reason);
    }
    std::fs::remove_dir_all(place.path.join("vschema")).unwrap();
    let steward = place.open().unwrap();
    assert_eq!(steward.draft().unwrap().reason, DraftReason::Unreadable);
    assert_eq!((steward.active_version(), vindexes(&steward)), (2, 2));
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

/// Goal: where rows live must be known: without the active version the proxy does not start, and
/// the advice that it gives then works.
#[test]
fn files_are_not_taken_while_the_active_version_is_lost() {
    let lost = "vschema-00000001.json";
    for broken in [None, Some("{"), Some("{}")] {
        let place = Place::new(FIRST);
        drop(place.open().unwrap());
        let document = place.path.join("state").join(lost);
        match broken {
            None => std::fs::remove_file(&document).unwrap(),
            Some(text) => std::fs::write(&document, text).unwrap(),
        }
        for files in [FIRST, MOVED] {
            place.write(files);
            let error = place.open().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{lost} in the state folder")), "{error}");
            assert!(error.contains("remove state.json and vschema-*.json"), "{error}");
        }
        std::fs::remove_file(place.path.join("state/state.json")).unwrap();
        let _ = std::fs::remove_file(&document);
        assert_eq!(place.open().unwrap().active_version(), 1);
    }
}

/// Goal: a crash between the first version and the state does not keep the proxy from starting,
/// nor let files move what may be there.
#[test]
fn a_version_without_state_says_where_rows_are() {
    let place = Place::new(FIRST);
    drop(place.open().unwrap());
    let state = place.path.join("state/state.json");
    std::fs::remove_file(&state).unwrap();
    place.write(MOVED);
    let error = place.open().unwrap_err();
    assert!(matches!(error, ChangeError::MovesRows(_)), "{error}");
    place.write(FIRST);
    assert_eq!(place.open().unwrap().active_version(), 2);
}

#[test]
fn a_state_of_an_older_geogate_is_read() {
    let place = Place::new(FIRST);
    drop(place.open().unwrap());
    let path = place.path.join("state/state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(state.as_object_mut().unwrap().remove("set_aside").is_some());
    std::fs::write(&path, state.to_string()).unwrap();
    assert_eq!(place.open().unwrap().active_version(), 1);
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
    steward.apply(&sources, None, Rehearsal::No, &actor()).unwrap();
    assert!(Arc::ptr_eq(steward.serving().load().stable().columns(), &columns));
}
