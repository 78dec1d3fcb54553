//! How a proxy starts: with what was in service when it stopped, or with the files if nothing is
//! remembered.
//!
//! Rows are where the remembered version says. Files that differ from it are looked at as if they
//! had been changed while the proxy ran.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::judge::{judge_resumed, judge_start};
use super::records::Records;
use super::{Inner, Reloads, Reread, Steward, StewardSettings, check, generation};
use crate::canary::change::{Actor, ChangeError};
use crate::canary::fit::fit;
use crate::canary::history::{Digest, Origin, Version};
use crate::canary::serving::Serving;
use crate::canary::state::State;
use crate::planner::generation::Generation;
use crate::vschema::{Sources, Strictness, VSchema, render_text};

impl Steward {
    /// Reads the state folder and the files. Without a remembered version the files serve, and if
    /// they are bad, the proxy must not start.
    pub fn open(settings: StewardSettings, actor: &Actor) -> Result<Self, ChangeError> {
        let mut records = Records::open(settings.state.clone())?;
        let (state, serving) = match records.state()? {
            None => start_with_files(&settings, &mut records, None, actor)?,
            Some(state) => {
                let active = remembered(&settings, &records, state.active)?;
                if fit(&active, &settings.topology).is_empty() {
                    resume(&settings, &records, state, active)?
                } else {
                    // The configuration has other keyspaces now; only the files can serve them.
                    start_with_files(&settings, &mut records, Some((state, active)), actor)?
                }
            }
        };
        let serving = Arc::new(ArcSwap::from_pointee(serving));
        let inner = Mutex::new(Inner { records, state, columns: Arc::default(), draft: None });
        let steward = Self { settings, serving, inner, reloads: Reloads::default() };
        if steward.files_changed() {
            // What comes of it is in the log and in the status.
            let _ = steward.reload(Reread::IfChanged, actor);
        }
        Ok(steward)
    }
}

/// The active version and the canary as they were written down.
fn resume(
    settings: &StewardSettings,
    records: &Records,
    mut state: State,
    active: VSchema,
) -> Result<(State, Serving), ChangeError> {
    let origin = &records.version(state.active)?.origin;
    let stable = generation(settings, state.active, origin, active);
    let Some(canary) = &state.canary else {
        return Ok((state, Serving::Stable(stable)));
    };
    let resumed = load(settings, records, canary.candidate).and_then(|candidate| {
        let split = canary
            .split()
            .map_err(|error| damaged(settings, State::DOCUMENT.to_owned(), error.to_string()))?;
        judge_resumed(stable.vschema(), candidate.vschema())?;
        Ok((candidate, split))
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
    let (vschema, _) = check(&version.sources(settings.folder()), &settings.topology)?;
    Ok(generation(settings, number, &version.origin, vschema))
}

/// The VSchema of a version that says where rows are. Without it nothing can be judged.
fn remembered(
    settings: &StewardSettings,
    records: &Records,
    number: u64,
) -> Result<VSchema, ChangeError> {
    let document = Version::document_name(number);
    let Ok(version) = records.version(number) else {
        return Err(damaged(settings, document, "it is missing".to_owned()));
    };
    let validated = version.sources(settings.folder()).validate(Strictness::Strict);
    validated.vschema.ok_or_else(|| {
        damaged(settings, document, format!("not valid\n{}", render_text(&validated.problems)))
    })
}

fn damaged(settings: &StewardSettings, document: String, cause: String) -> ChangeError {
    let folder = settings.state.path().display().to_string();
    ChangeError::Damaged { document, folder, cause }
}

/// A first start, or one with other keyspaces than the remembered version can serve. A canary does
/// not survive that: it was compared with something else.
fn start_with_files(
    settings: &StewardSettings,
    records: &mut Records,
    old: Option<(State, VSchema)>,
    actor: &Actor,
) -> Result<(State, Serving), ChangeError> {
    let sources = Sources::read(&settings.path)
        .map_err(|error| ChangeError::Unreadable(format!("error: {error}")))?;
    let (vschema, warnings) = check(&sources, &settings.topology)?;
    for warning in warnings {
        tracing::warn!("VSchema: {warning}");
    }
    let old = match old {
        Some((state, active)) => {
            judge_start(settings, records, (state.active, &active), &vschema)?;
            Some(state)
        }
        None => {
            // A crash may have left a version before the state was written.
            if let Some(last) = records.versions().next_back().map(|version| version.number) {
                let active = remembered(settings, records, last)?;
                judge_start(settings, records, (last, &active), &vschema)?;
            }
            None
        }
    };
    if let Some(State { canary: Some(canary), .. }) = &old {
        let candidate = canary.candidate;
        tracing::warn!(target: "audit", candidate, "the canary ends: the keyspaces have changed");
    }
    let origin = Origin::Files(settings.path.display().to_string());
    let version = match records.add(origin.clone(), actor, &sources) {
        Ok(version) => version,
        Err(error) => {
            tracing::warn!(%error, "the VSchema serves, but its state will not survive a restart");
            let version = Version::new(records.next_number(), origin, actor, &sources);
            records.add_unwritten(version.clone());
            version
        }
    };
    let state = State {
        active: version.number,
        previous: old.map(|state| state.active),
        files_digest: Digest::of(&sources),
        set_aside: None,
        canary: None,
        last_canary: None,
    };
    if let Err(error) = records.write_state(&state) {
        tracing::warn!(%error, "the state of the VSchema was not written");
    }
    let generation = generation(settings, version.number, &version.origin, vschema);
    Ok((state, Serving::Stable(generation)))
}
