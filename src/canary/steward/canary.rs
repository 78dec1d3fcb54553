//! The canary: started, weighed, ended.

use std::sync::Arc;

use super::{Inner, Steward, audit, generation, unchanged};
use crate::canary::cautions::cautions;
use crate::canary::change::{Actor, ChangeError, Changed, Effect};
use crate::canary::history::{Digest, Origin};
use crate::canary::serving::Serving;
use crate::canary::split::{Split, Weight};
use crate::canary::state::{CanaryState, EndedCanary, Outcome};
use crate::vschema::Sources;

impl Steward {
    /// Starts a canary.
    pub fn start_canary(
        &self,
        sources: &Sources,
        weight: Weight,
        actor: &Actor,
    ) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.start_locked(&mut inner, sources, weight, actor);
        self.note(actor, &format!("start a canary at {weight}"), &result);
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
        self.judge_share(inner, stable.vschema(), &vschema)?;
        let cautions = cautions(stable.vschema(), &vschema);
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
        let effect = Effect::Changed;
        Ok(Changed { effect, previous, warnings, cautions, ..unchanged(version.number) })
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
        self.note(actor, what, &result);
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
            Outcome::Promoted => {
                // The servers' columns may have changed since the start.
                self.judge(inner, stable.vschema(), candidate.vschema())?;
                candidate
            }
            Outcome::Aborted => stable,
        };
        next.serve(winner.number());
        // Edited while it ran, though the watcher may not have seen it yet.
        if let Ok(files) = Sources::read(&self.settings.path) {
            let digest = Digest::of(&files);
            if digest != next.files_digest {
                next.set_aside = Some(digest);
            }
        }
        inner.records.write_state(&next)?;
        let previous = inner.state.active;
        inner.state = next;
        if let Some(draft) = &mut inner.draft {
            // It waits for something else from now on.
            draft.look_again = true;
        }
        self.serving.store(Arc::new(Serving::Stable(Arc::clone(winner))));
        Ok(Changed { effect: Effect::Changed, previous, ..unchanged(winner.number()) })
    }
}
