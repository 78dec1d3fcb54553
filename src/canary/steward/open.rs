//! How a proxy starts: with the files, or with what was in service when it stopped.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::records::Records;
use super::{Inner, Reloads, Steward, StewardSettings, check, generation};
use crate::canary::change::{Actor, ChangeError};
use crate::canary::compare::{compare, render_differences};
use crate::canary::history::{Digest, Origin, Version};
use crate::canary::serving::Serving;
use crate::canary::state::State;
use crate::planner::generation::Generation;
use crate::vschema::Sources;

impl Steward {
    /// Reads the files and the state folder. Files that have changed since the proxy last took
    /// them over win over what was active; if they are bad, the proxy must not start.
    pub fn open(settings: StewardSettings, actor: &Actor) -> Result<Self, ChangeError> {
        let mut records = Records::open(settings.state.clone())?;
        let sources = Sources::read(&settings.path)
            .map_err(|error| ChangeError::Unreadable(format!("error: {error}")))?;
        let digest = Digest::of(&sources);
        let remembered = records.state()?.filter(|state| state.files_digest == digest);
        let (state, serving) = match remembered {
            Some(state) => resume(&settings, &records, state)?,
            None => take_files(&settings, &mut records, &sources, digest, actor)?,
        };
        let serving = Arc::new(ArcSwap::from_pointee(serving));
        let inner = Mutex::new(Inner { records, state, columns: Arc::default(), refused: None });
        Ok(Self { settings, serving, inner, reloads: Reloads::default() })
    }
}

/// The active version and the canary as they were written down.
fn resume(
    settings: &StewardSettings,
    records: &Records,
    mut state: State,
) -> Result<(State, Serving), ChangeError> {
    let stable = load(settings, records, state.active)?;
    let Some(canary) = &state.canary else {
        return Ok((state, Serving::Stable(stable)));
    };
    let candidate = load(settings, records, canary.candidate);
    let resumed = candidate.and_then(|candidate| {
        let differences = compare(stable.vschema(), candidate.vschema());
        let split = canary.split().map_err(|error| damaged(settings, &error.to_string()))?;
        if differences.is_empty() {
            Ok((candidate, split))
        } else {
            Err(ChangeError::Differs(differences))
        }
    });
    match resumed {
        Ok((candidate, split)) => {
            tracing::info!(target: "audit", weight = %split.weight(), "the canary goes on");
            Ok((state, Serving::Canary { stable, candidate, split }))
        }
        Err(error) => {
            // Without its candidate everyone is served by the stable side, which is always right.
            tracing::error!(target: "audit", %error, "the canary cannot go on after the restart");
            state.canary = None;
            Ok((state, Serving::Stable(stable)))
        }
    }
}

fn load(
    settings: &StewardSettings,
    records: &Records,
    number: u64,
) -> Result<Arc<Generation>, ChangeError> {
    let version = records.version(number)?;
    let path = &settings.path;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let (vschema, _) = check(&version.sources(folder), &settings.topology)?;
    Ok(generation(settings, number, &version.origin, vschema))
}

fn damaged(settings: &StewardSettings, cause: &str) -> ChangeError {
    ChangeError::Damaged {
        document: State::DOCUMENT.to_owned(),
        folder: settings.state.path().display().to_string(),
        cause: cause.to_owned(),
    }
}

/// A first start, or files that were changed meanwhile. A canary does not survive that: it was
/// compared with something else.
fn take_files(
    settings: &StewardSettings,
    records: &mut Records,
    sources: &Sources,
    digest: Digest,
    actor: &Actor,
) -> Result<(State, Serving), ChangeError> {
    let (vschema, warnings) = check(sources, &settings.topology)?;
    for warning in warnings {
        tracing::warn!("VSchema: {warning}");
    }
    let old = records.state()?;
    let active = old.as_ref().and_then(|state| records.version(state.active).ok());
    if let Some(State { canary: Some(canary), .. }) = &old {
        let candidate = canary.candidate;
        tracing::warn!(target: "audit", candidate, "the canary ends: the files have changed");
    }
    if let Some(active) = active {
        tell_differences(settings, active, &vschema);
    }
    let origin = Origin::Files(settings.path.display().to_string());
    let version = match records.add(origin.clone(), actor, sources) {
        Ok(version) => version,
        Err(error) => {
            tracing::warn!(%error, "the VSchema serves, but its state will not survive a restart");
            let version = Version::new(records.next_number(), origin, actor, sources);
            records.add_unwritten(version.clone());
            version
        }
    };
    let state = State {
        active: version.number,
        previous: old.map(|state| state.active),
        files_digest: digest,
        canary: None,
        last_canary: None,
    };
    if let Err(error) = records.write_state(&state) {
        tracing::warn!(%error, "the state of the VSchema was not written");
    }
    let generation = generation(settings, version.number, &version.origin, vschema);
    Ok((state, Serving::Stable(generation)))
}

/// Rows may have to move when homes change: said loudly, once.
fn tell_differences(
    settings: &StewardSettings,
    active: &Version,
    vschema: &crate::vschema::VSchema,
) {
    let old = check(&active.sources(&settings.path), &settings.topology);
    let Ok((old, _)) = old else { return };
    let differences = compare(&old, vschema);
    if !differences.is_empty() {
        tracing::warn!(
            "the files differ from version {}:\n{}",
            active.number,
            render_differences(&differences)
        );
    }
}
