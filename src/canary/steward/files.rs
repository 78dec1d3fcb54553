//! The files at the configured path: taken over when they go on from what is active and leave every
//! row where it is, and otherwise a draft, which is shown and does not serve.

use super::{Inner, Prepared, Steward, unchanged};
use crate::canary::change::{Actor, ChangeError, Changed};
use crate::canary::history::{Digest, Origin};
use crate::canary::state::State;
use crate::canary::steward::status::Draft;
use crate::vschema::Sources;

/// Who has the files read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reread {
    /// The watcher: files that have changed since go live by themselves, if they may.
    IfChanged,
    /// A signal, which may come from a program that rotates logs: as the watcher, but at once and
    /// with a word about the outcome in any case.
    OnSignal,
    /// An operator: the files are wanted as they are, also if the active version came from
    /// elsewhere.
    Always,
}

/// Whether a look at the files has told something that was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Any,
    Nothing,
}

impl Steward {
    /// Takes the files at the configured path over, if they are good, leave every row where it is,
    /// and no canary runs; otherwise they are a draft.
    pub fn reload(&self, reread: Reread, actor: &Actor) -> Result<Changed, ChangeError> {
        let mut inner = self.inner.lock();
        let result = self.reload_locked(&mut inner, reread, actor);
        let news = match &result {
            Ok(_) => {
                inner.draft = None;
                News::Any
            }
            Err((digest, error)) => keep_draft(&mut inner, digest.as_ref(), error, actor),
        };
        let result = result.map_err(|(_, error)| error);
        if news == News::Any || reread != Reread::IfChanged {
            if let Err(error) = &result {
                // Nobody waits for this answer, so the log has it whole.
                tracing::error!("the VSchema files do not serve: {error}");
            }
            self.note(actor, "reload the VSchema files", &result);
        }
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
        let by_itself = reread != Reread::Always;
        if by_itself && digest == inner.state.files_digest {
            return Ok(unchanged(inner.state.active));
        }
        let origin = Origin::Files(path.display().to_string());
        let taken = self.prepare(inner, &sources).and_then(|prepared| {
            if by_itself && matches!(prepared, Prepared::New(_)) {
                self.goes_live_by_itself(inner, &digest)?;
            }
            let mut next = inner.state.clone();
            (next.files_digest, next.set_aside) = (digest.clone(), None);
            self.put_in_service(inner, next, prepared, (&sources, origin), actor)
        });
        taken.map_err(|error| (Some(digest), error))
    }

    /// Only what was made from the active version, and not while something else was on trial.
    fn goes_live_by_itself(&self, inner: &Inner, digest: &Digest) -> Result<(), ChangeError> {
        let state = &inner.state;
        if state.set_aside.as_ref() == Some(digest) {
            return Err(ChangeError::EditedDuringCanary);
        }
        let active = inner.records.version(state.active)?;
        if Digest::of(&active.sources(self.folder())) == state.files_digest {
            return Ok(());
        }
        let origin = active.origin.describe();
        Err(ChangeError::OlderFiles { active: active.number, origin })
    }

    /// Whether the files are other than those last taken over or refused.
    pub fn files_changed(&self) -> bool {
        let now = Sources::read(&self.settings.path).ok().map(|sources| Digest::of(&sources));
        let inner = self.inner.lock();
        match &inner.draft {
            // Reported once; the report stays until something changes.
            Some(draft) if draft.digest == now => draft.look_again,
            Some(_) => true,
            None => now.as_ref() != Some(&inner.state.files_digest),
        }
    }
}

/// Remembers that the files do not serve, and why. Those that were edited while a canary ran wait
/// for an operator, also over a restart.
fn keep_draft(
    inner: &mut Inner,
    digest: Option<&Digest>,
    error: &ChangeError,
    actor: &Actor,
) -> News {
    if digest == Some(&inner.state.files_digest) {
        // Nobody has edited them.
        inner.draft = None;
        return News::Any;
    }
    let draft = Draft::new(digest.cloned(), error, actor);
    if let Some(known) = inner.draft.as_mut().filter(|known| known.is_same(&draft)) {
        known.look_again = false;
        return News::Nothing;
    }
    inner.draft = Some(draft);
    if matches!(error, ChangeError::CanaryRuns(_)) {
        let next = State { set_aside: digest.cloned(), ..inner.state.clone() };
        match inner.records.write_state(&next) {
            Ok(()) => inner.state = next,
            Err(error) => tracing::warn!(%error, "a draft will be forgotten by a restart"),
        }
    }
    News::Any
}
