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

use super::cautions::cautions;
use super::change::{Actor, ChangeError, Changed, Effect};
use super::fit::fit;
use super::history::{Digest, Origin};
use super::serving::Serving;
use super::state::State;
use crate::planner::generation::Generation;
use crate::planner::live_columns::LiveColumns;
use crate::topology::Topology;
use crate::vschema::store::StateFolder;
use crate::vschema::{Difference, Problem, Sources, Strictness, VSchema};

mod canary;
mod files;
mod judge;
mod open;
mod records;
mod status;
#[cfg(test)]
mod tests;

pub use files::Reread;
pub use status::{Draft, DraftReason, Status};

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

impl StewardSettings {
    /// The folder that paths in vindex parameters are relative to.
    fn folder(&self) -> &Path {
        let path = &self.path;
        if path.is_dir() { path } else { path.parent().unwrap_or(path) }
    }
}

/// How often somebody wanted to change what serves, by whatever way: files, signal, API, canary.
#[derive(Debug, Default)]
pub struct Reloads {
    /// And it was done, or was so already.
    pub accepted: AtomicU64,
    /// And it was refused.
    pub refused: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    records: Records,
    state: State,
    /// The servers' columns as last read, for every generation from now on.
    columns: Arc<LiveColumns>,
    /// The files as they are now, if they do not serve.
    draft: Option<Draft>,
}

impl Inner {
    /// The files are what is active: they are no draft any more.
    fn forget_served_draft(&mut self) {
        let served = |draft: &mut Draft| draft.digest.as_ref() == Some(&self.state.files_digest);
        self.draft.take_if(served);
    }
}

/// A VSchema that may be put in service.
enum Prepared {
    /// It is what serves.
    Same(Vec<Problem>),
    /// It is another one.
    New(Box<Candidate>),
}

/// A VSchema with what was found out about it.
struct Candidate {
    vschema: VSchema,
    warnings: Vec<Problem>,
    cautions: Vec<String>,
    differences: Vec<Difference>,
}

/// Whether a change is made or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// Make it.
    No,
    /// Find out whether it could be made.
    DryRun,
}

impl Steward {
    /// What is served; sessions keep a handle of their own.
    pub fn serving(&self) -> &Arc<ArcSwap<Serving>> {
        &self.serving
    }

    /// How often somebody wanted to change what serves.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// The folder that paths in vindex parameters are relative to.
    pub fn folder(&self) -> &Path {
        self.settings.folder()
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
        // They may tell now that no row moves.
        if let Some(draft) = &mut inner.draft {
            draft.look_again |= draft.reason == DraftReason::MovesRows;
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
        let inner = &mut *self.inner.lock();
        let prepared =
            expect_version(&inner.state, expected).and_then(|()| self.prepare(inner, sources));
        if rehearsal == Rehearsal::DryRun {
            return prepared.map(|prepared| tried(inner, prepared));
        }
        let result = prepared.and_then(|prepared| {
            let next = with_draft_taken(inner, sources);
            self.put_in_service(inner, next, prepared, (sources, Origin::Api), actor)
        });
        self.note(actor, "apply a VSchema", &result);
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
        self.note(actor, "roll the VSchema back", &result);
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
        let prepared = self.prepare(inner, &sources)?;
        let next = with_draft_taken(inner, &sources);
        self.put_in_service(inner, next, prepared, (&sources, Origin::Rollback(to)), actor)
    }

    /// Validates a VSchema and finds out whether it may replace the one that serves.
    fn prepare(&self, inner: &Inner, sources: &Sources) -> Result<Prepared, ChangeError> {
        if let Some(canary) = &inner.state.canary {
            return Err(ChangeError::CanaryRuns(canary.candidate));
        }
        let (vschema, warnings) = self.check(sources)?;
        let serving = self.serving.load_full();
        let stable = serving.stable().vschema();
        if **stable == vschema {
            return Ok(Prepared::Same(warnings));
        }
        let differences = self.judge(inner, stable, &vschema)?;
        let cautions = cautions(stable, &vschema);
        Ok(Prepared::New(Box::new(Candidate { vschema, warnings, cautions, differences })))
    }

    /// Puts what was prepared in service for everyone, in a state that is otherwise `next`.
    fn put_in_service(
        &self,
        inner: &mut Inner,
        mut next: State,
        prepared: Prepared,
        (sources, origin): (&Sources, Origin),
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let previous = inner.state.active;
        let candidate = match prepared {
            Prepared::New(candidate) => *candidate,
            Prepared::Same(warnings) => {
                if next != inner.state {
                    inner.records.write_state(&next)?;
                    inner.state = next;
                }
                inner.forget_served_draft();
                return Ok(Changed { warnings, ..unchanged(previous) });
            }
        };
        let version = inner.records.add(origin, actor, sources)?;
        next.serve(version.number);
        inner.records.write_state(&next)?;
        inner.state = next;
        let Candidate { vschema, warnings, cautions, differences } = candidate;
        let generation = generation(&self.settings, version.number, &version.origin, vschema);
        let generation = Arc::new(generation.with_columns(Arc::clone(&inner.columns)));
        self.serving.store(Arc::new(Serving::Stable(generation)));
        inner.forget_served_draft();
        let (effect, version) = (Effect::Changed, version.number);
        Ok(Changed { effect, version, previous, warnings, cautions, differences })
    }

    /// Counts a change that was made or refused, and writes a line for it.
    fn note(&self, actor: &Actor, what: &str, result: &Result<Changed, ChangeError>) {
        let counter = match result {
            Ok(_) => &self.reloads.accepted,
            Err(_) => &self.reloads.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        audit(actor, what, result);
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

/// What a dry run has found out.
fn tried(inner: &Inner, prepared: Prepared) -> Changed {
    let previous = inner.state.active;
    match prepared {
        Prepared::Same(warnings) => Changed { warnings, ..unchanged(previous) },
        Prepared::New(candidate) => {
            let Candidate { vschema: _, warnings, cautions, differences } = *candidate;
            let (effect, version) = (Effect::Changed, inner.records.next_number());
            Changed { effect, version, previous, warnings, cautions, differences }
        }
    }
}

/// The state in which these sources serve: if they are the draft, the files are what is active.
fn with_draft_taken(inner: &Inner, sources: &Sources) -> State {
    let mut next = inner.state.clone();
    let digest = Digest::of(sources);
    if inner.draft.as_ref().is_some_and(|draft| draft.digest.as_ref() == Some(&digest)) {
        (next.files_digest, next.set_aside) = (digest, None);
    }
    next
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
