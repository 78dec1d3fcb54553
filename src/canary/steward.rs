//! Keeps what is served: takes new VSchemas, starts and ends canaries, writes everything down
//! before it is acted on.
//!
//! Every change goes through here, wherever it comes from (files, HTTP, SQL), one at a time and
//! with a line in the audit log. What serves is replaced only by something that was validated
//! whole; a change that fails leaves it as it was. Sessions never wait for a change: they read
//! [`Serving`] without a lock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::change::{Actor, ChangeError, Changed, Effect};
use super::compare::{cautions, compare};
use super::fit::fit;
use super::history::{Digest, Origin};
use super::serving::Serving;
use super::split::{Split, Weight};
use super::state::{CanaryState, EndedCanary, Outcome, State};
use crate::planner::generation::Generation;
use crate::planner::live_columns::LiveColumns;
use crate::topology::Topology;
use crate::vschema::store::StateFolder;
use crate::vschema::{Problem, Sources, Strictness, VSchema};

mod open;
mod records;
mod status;
#[cfg(test)]
mod tests;

pub use status::{RefusedFiles, Status, Waits};

use records::Records;

/// What the steward needs to know once.
#[derive(Clone, Debug)]
pub struct StewardSettings {
    /// The VSchema's folder or file.
    pub path: PathBuf,
    /// Where versions and state are kept.
    pub state: StateFolder,
    /// The keyspaces that a VSchema must fit.
    pub topology: Arc<Topology>,
    /// `limits.plan_cache_entries`.
    pub plans_max: usize,
}

/// Keeps what is served.
#[derive(Debug)]
pub struct Steward {
    settings: StewardSettings,
    serving: Arc<ArcSwap<Serving>>,
    inner: Mutex<Inner>,
    reloads: Reloads,
}

/// How often the files were read again.
#[derive(Debug, Default)]
pub struct Reloads {
    /// And taken over, or found to be as before.
    pub accepted: AtomicU64,
    /// And refused.
    pub refused: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    records: Records,
    state: State,
    /// The servers' columns as last read, for every generation from now on.
    columns: Arc<LiveColumns>,
    /// The files as they are now, if they were refused.
    refused: Option<RefusedFiles>,
}

/// Whether a change is made or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// Make it.
    No,
    /// Find out whether it could be made.
    DryRun,
}

/// Whether files that were taken over before are taken over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reread {
    /// Only if they have changed since; what the watcher does.
    IfChanged,
    /// Also if the active version came from elsewhere; what an operator asks for.
    Always,
}

impl Steward {
    /// What is served; sessions keep a handle of their own.
    pub fn serving(&self) -> &Arc<ArcSwap<Serving>> {
        &self.serving
    }

    /// How often the files were read again.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// The folder that paths in vindex parameters are relative to.
    pub fn folder(&self) -> &Path {
        let path = &self.settings.path;
        if path.is_dir() { path } else { path.parent().unwrap_or(path) }
    }

    /// The servers' columns are other ones than before: what serves is replaced by the same
    /// generations without the plans that were made from the old ones.
    pub fn columns_changed(&self, columns: Arc<LiveColumns>) {
        let mut inner = self.inner.lock();
        let renewed =
            |generation: &Generation| Arc::new(generation.with_columns(Arc::clone(&columns)));
        let serving = match &*self.serving.load_full() {
            Serving::Stable(stable) => Serving::Stable(renewed(stable)),
            Serving::Canary { stable, candidate, split } => Serving::Canary {
                stable: renewed(stable),
                candidate: renewed(candidate),
                split: *split,
            },
        };
        self.serving.store(Arc::new(serving));
        inner.columns = columns;
    }

    /// Takes the files at the configured path over, if they are good and no canary runs.
    pub fn reload(&self, reread: Reread, actor: &Actor) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.reload_locked(&mut inner, reread, actor);
        match &result {
            Ok(_) => {
                self.reloads.accepted.fetch_add(1, Ordering::Relaxed);
                inner.refused = None;
            }
            Err((digest, error)) => {
                self.reloads.refused.fetch_add(1, Ordering::Relaxed);
                let digest = digest.clone();
                let report = error.to_string();
                let waits = match error {
                    ChangeError::CanaryRuns(_) => Waits::ForCanary,
                    _ => Waits::ForCorrection,
                };
                inner.refused = Some(RefusedFiles { digest, at: actor.at, report, waits });
            }
        }
        let result = result.map_err(|(_, error)| error);
        if let Err(error) = &result {
            // Nobody waits for this answer, so the log has it whole.
            tracing::error!("the VSchema files were refused: {error}");
        }
        audit(actor, "reload the VSchema files", &result);
        result
    }

    fn reload_locked(
        &self,
        inner: &mut Inner,
        reread: Reread,
        actor: &Actor,
    ) -> Result<Changed, (Option<Digest>, ChangeError)> {
        let path = &self.settings.path;
        let sources = Sources::read(path)
            .map_err(|error| (None, ChangeError::Unreadable(format!("error: {error}"))))?;
        let digest = Digest::of(&sources);
        if reread == Reread::IfChanged && digest == inner.state.files_digest {
            return Ok(unchanged(inner.state.active));
        }
        let at = Some(digest.clone());
        let origin = Origin::Files(path.display().to_string());
        let mut next = inner.state.clone();
        next.files_digest = digest;
        self.adopt(inner, next, &sources, origin, Rehearsal::No, actor).map_err(|e| (at, e))
    }

    /// Whether the files are other than those last taken over or refused.
    pub fn files_changed(&self) -> bool {
        let Ok(sources) = Sources::read(&self.settings.path) else {
            // Reported once; the report stays until the files can be read again.
            return !matches!(&self.inner.lock().refused, Some(RefusedFiles { digest: None, .. }));
        };
        let now = Digest::of(&sources);
        let inner = self.inner.lock();
        match &inner.refused {
            // They waited for a canary to end, perhaps.
            Some(refused) if refused.digest.as_ref() == Some(&now) => {
                inner.state.canary.is_none() && refused.waits == Waits::ForCanary
            }
            Some(_) => true,
            None => now != inner.state.files_digest,
        }
    }

    /// Puts a VSchema in service for everyone. `expected`: only if this version is active.
    pub fn apply(
        &self,
        sources: &Sources,
        expected: Option<u64>,
        rehearsal: Rehearsal,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = expect_version(&inner.state, expected).and_then(|()| {
            let next = inner.state.clone();
            self.adopt(&mut inner, next, sources, Origin::Api, rehearsal, actor)
        });
        if rehearsal == Rehearsal::No {
            audit(actor, "apply a VSchema", &result);
        }
        result
    }

    /// Puts an earlier version back in service: `to`, or the one before the active one.
    pub fn rollback(
        &self,
        to: Option<u64>,
        expected: Option<u64>,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.rollback_locked(&mut inner, to, expected, actor);
        audit(actor, "roll the VSchema back", &result);
        result
    }

    fn rollback_locked(
        &self,
        inner: &mut Inner,
        to: Option<u64>,
        expected: Option<u64>,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        expect_version(&inner.state, expected)?;
        let to = match to {
            Some(number) => number,
            None => inner.state.previous.ok_or(ChangeError::NoEarlierVersion)?,
        };
        let version = inner.records.version(to)?;
        let sources = version.sources(self.folder());
        let next = inner.state.clone();
        self.adopt(inner, next, &sources, Origin::Rollback(to), Rehearsal::No, actor)
    }

    /// Starts a canary.
    pub fn start_canary(
        &self,
        sources: &Sources,
        weight: Weight,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.start_locked(&mut inner, sources, weight, actor);
        audit(actor, &format!("start a canary at {weight}"), &result);
        result
    }

    fn start_locked(
        &self,
        inner: &mut Inner,
        sources: &Sources,
        weight: Weight,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        if let Some(canary) = &inner.state.canary {
            return Err(ChangeError::CanaryRuns(canary.candidate));
        }
        let (vschema, warnings) = self.check(sources)?;
        let serving = self.serving.load_full();
        let stable = serving.stable();
        if **stable.vschema() == vschema {
            return Err(ChangeError::Same(inner.state.active));
        }
        let differences = compare(stable.vschema(), &vschema);
        let cautions = cautions(stable.vschema(), &vschema);
        if !differences.is_empty() {
            return Err(ChangeError::Differs(differences));
        }
        let previous = inner.state.active;
        let version = inner.records.add(Origin::Candidate, actor, sources)?;
        let rollout = version.digest.rollout();
        let mut next = inner.state.clone();
        next.canary = Some(CanaryState {
            rollout,
            candidate: version.number,
            weight_basis_points: weight.basis_points(),
            started_by: actor.name.clone(),
            started_at: actor.at,
        });
        inner.records.write_state(&next)?;
        inner.state = next;
        let candidate = generation(&self.settings, version.number, &version.origin, vschema);
        let candidate = Arc::new(candidate.with_columns(Arc::clone(&inner.columns)));
        let split = Split::new(rollout, weight);
        let stable = Arc::clone(stable);
        self.serving.store(Arc::new(Serving::Canary { stable, candidate, split }));
        let (effect, version) = (Effect::Changed, version.number);
        Ok(Changed { effect, version, previous, warnings, cautions, differences })
    }

    /// Changes the share of the canary that runs.
    pub fn set_weight(&self, weight: Weight, actor: &Actor) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.set_weight_locked(&mut inner, weight);
        audit(actor, &format!("set the canary to {weight}"), &result);
        result
    }

    fn set_weight_locked(&self, inner: &mut Inner, weight: Weight) -> Result<Changed, ChangeError> {
        let mut next = inner.state.clone();
        let serving = self.serving.load_full();
        let (Some(canary), Serving::Canary { stable, candidate, split }) =
            (&mut next.canary, &*serving)
        else {
            return Err(ChangeError::NoCanary);
        };
        canary.weight_basis_points = weight.basis_points();
        inner.records.write_state(&next)?;
        inner.state = next;
        let split = Split::new(split.rollout(), weight);
        let (stable, candidate) = (Arc::clone(stable), Arc::clone(candidate));
        let version = candidate.number();
        self.serving.store(Arc::new(Serving::Canary { stable, candidate, split }));
        let effect = Effect::Changed;
        Ok(Changed { effect, previous: inner.state.active, ..unchanged(version) })
    }

    /// Ends the canary that runs: the candidate serves everyone or nobody.
    pub fn end_canary(&self, outcome: Outcome, actor: &Actor) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.end_locked(&mut inner, outcome, actor);
        let what = match outcome {
            Outcome::Promoted => "promote the canary",
            Outcome::Aborted => "abort the canary",
        };
        audit(actor, what, &result);
        result
    }

    fn end_locked(
        &self,
        inner: &mut Inner,
        outcome: Outcome,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let mut next = inner.state.clone();
        let serving = self.serving.load_full();
        let (Some(canary), Serving::Canary { stable, candidate, .. }) =
            (next.canary.take(), &*serving)
        else {
            return Err(ChangeError::NoCanary);
        };
        next.last_canary = Some(EndedCanary {
            candidate: canary.candidate,
            outcome,
            by: actor.name.clone(),
            at: actor.at,
        });
        let winner = match outcome {
            Outcome::Promoted => candidate,
            Outcome::Aborted => stable,
        };
        next.serve(winner.number());
        inner.records.write_state(&next)?;
        let previous = inner.state.active;
        inner.state = next;
        self.serving.store(Arc::new(Serving::Stable(Arc::clone(winner))));
        Ok(Changed { effect: Effect::Changed, previous, ..unchanged(winner.number()) })
    }

    /// Validates a VSchema and puts it in service for everyone, in a state that is otherwise
    /// `next`.
    fn adopt(
        &self,
        inner: &mut Inner,
        mut next: State,
        sources: &Sources,
        origin: Origin,
        rehearsal: Rehearsal,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        if let Some(canary) = &inner.state.canary {
            return Err(ChangeError::CanaryRuns(canary.candidate));
        }
        let (vschema, warnings) = self.check(sources)?;
        let previous = inner.state.active;
        let serving = self.serving.load_full();
        let stable = serving.stable();
        if **stable.vschema() == vschema {
            if rehearsal == Rehearsal::No && next != inner.state {
                inner.records.write_state(&next)?;
                inner.state = next;
            }
            return Ok(Changed { warnings, ..unchanged(previous) });
        }
        let differences = compare(stable.vschema(), &vschema);
        let cautions = cautions(stable.vschema(), &vschema);
        if rehearsal == Rehearsal::DryRun {
            let version = inner.records.next_number();
            let effect = Effect::Changed;
            return Ok(Changed { effect, version, previous, warnings, cautions, differences });
        }
        let version = inner.records.add(origin, actor, sources)?;
        next.serve(version.number);
        inner.records.write_state(&next)?;
        inner.state = next;
        let generation = generation(&self.settings, version.number, &version.origin, vschema);
        let generation = Arc::new(generation.with_columns(Arc::clone(&inner.columns)));
        self.serving.store(Arc::new(Serving::Stable(generation)));
        let (effect, version) = (Effect::Changed, version.number);
        Ok(Changed { effect, version, previous, warnings, cautions, differences })
    }

    /// Everything that a VSchema must be by itself.
    fn check(&self, sources: &Sources) -> Result<(VSchema, Vec<Problem>), ChangeError> {
        check(sources, &self.settings.topology)
    }
}

fn check(sources: &Sources, topology: &Topology) -> Result<(VSchema, Vec<Problem>), ChangeError> {
    let validated = sources.validate(Strictness::Strict);
    let Some(vschema) = validated.vschema else {
        return Err(ChangeError::Invalid(validated.problems));
    };
    let misfits = fit(&vschema, topology);
    if misfits.is_empty() {
        Ok((vschema, validated.problems))
    } else {
        Err(ChangeError::Unfit(misfits))
    }
}

fn generation(
    settings: &StewardSettings,
    number: u64,
    origin: &Origin,
    vschema: VSchema,
) -> Arc<Generation> {
    let origin = origin.describe();
    Arc::new(Generation::new(number, &origin, Arc::new(vschema), settings.plans_max))
}

fn expect_version(state: &State, expected: Option<u64>) -> Result<(), ChangeError> {
    match expected {
        Some(expected) if expected != state.active => {
            Err(ChangeError::Stale { expected, active: state.active })
        }
        _ => Ok(()),
    }
}

fn unchanged(version: u64) -> Changed {
    let (warnings, cautions, differences) = (Vec::new(), Vec::new(), Vec::new());
    let effect = Effect::Nothing;
    Changed { effect, version, previous: version, warnings, cautions, differences }
}

/// One line for every change that was made or refused.
fn audit(actor: &Actor, what: &str, result: &Result<Changed, ChangeError>) {
    let by = &actor.name;
    match result {
        Ok(changed) if changed.is_nothing() => {
            tracing::info!(target: "audit", by, version = changed.version, "{what}: no change");
        }
        Ok(Changed { version, previous, differences, .. }) => {
            let differences = differences.len();
            tracing::info!(target: "audit", by, version, previous, differences, "{what}: done");
        }
        Err(error) => {
            // The rest would be many lines; the one who asked has them.
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            tracing::warn!(target: "audit", by, error, "{what}: refused");
        }
    }
}
