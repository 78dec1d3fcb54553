//! The documents of the state folder.

use std::collections::BTreeMap;
use std::io;

use serde::de::DeserializeOwned;

use crate::canary::change::{Actor, ChangeError};
use crate::canary::history::{Origin, Version};
use crate::canary::state::State;
use crate::vschema::Sources;
use crate::vschema::store::StateFolder;

/// Versions that are kept; older ones are removed from the folder.
const VERSIONS_KEPT: usize = 100;

/// What the state folder holds, and what could not be written there yet.
#[derive(Debug)]
pub(super) struct Records {
    folder: StateFolder,
    versions: BTreeMap<u64, Version>,
}

impl Records {
    /// Reads everything.
    pub(super) fn open(folder: StateFolder) -> Result<Self, ChangeError> {
        let names = folder.names().map_err(|cause| store_error(&folder, cause))?;
        let mut records = Self { folder, versions: BTreeMap::new() };
        for name in &names {
            if Version::number_of_document(name).is_none() {
                continue;
            }
            if let Some(version) = records.read::<Version>(name)? {
                records.versions.insert(version.number, version);
            }
        }
        Ok(records)
    }

    /// The state as it was last written.
    pub(super) fn state(&self) -> Result<Option<State>, ChangeError> {
        self.read(State::DOCUMENT)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ChangeError> {
        let text = self.folder.read(name).map_err(|cause| store_error(&self.folder, cause))?;
        let Some(text) = text else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|cause| ChangeError::Damaged {
            document: name.to_owned(),
            folder: self.folder.path().display().to_string(),
            cause: cause.to_string(),
        })
    }

    /// The number that the next version gets.
    pub(super) fn next_number(&self) -> u64 {
        self.versions.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// Keeps the files as the next version.
    pub(super) fn add(
        &mut self,
        origin: Origin,
        actor: &Actor,
        sources: &Sources,
    ) -> Result<Version, ChangeError> {
        let version = Version::new(self.next_number(), origin, actor, sources);
        self.write(&Version::document_name(version.number), &version)?;
        self.versions.insert(version.number, version.clone());
        Ok(version)
    }

    /// Keeps a version in memory only: the first one of a proxy whose folder cannot be written.
    pub(super) fn add_unwritten(&mut self, version: Version) {
        self.versions.insert(version.number, version);
    }

    /// Writes the state, and forgets versions that are old and not in use.
    pub(super) fn write_state(&mut self, state: &State) -> Result<(), ChangeError> {
        self.write(State::DOCUMENT, state)?;
        let candidate = state.canary.as_ref().map(|canary| canary.candidate);
        let surplus = self.versions.len().saturating_sub(VERSIONS_KEPT);
        let in_use = |number: &u64| *number == state.active || Some(*number) == candidate;
        let old: Vec<u64> = self.versions.keys().copied().take(surplus).collect();
        for number in old.into_iter().filter(|number| !in_use(number)) {
            self.versions.remove(&number);
            if let Err(error) = self.folder.remove(&Version::document_name(number)) {
                tracing::warn!(%error, number, "cannot remove an old VSchema version");
            }
        }
        Ok(())
    }

    fn write<T: serde::Serialize>(&self, name: &str, document: &T) -> Result<(), ChangeError> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|error| store_error(&self.folder, io::Error::other(error)))?;
        let written = self.folder.write(name, text.as_bytes());
        written.map_err(|cause| store_error(&self.folder, cause))
    }

    /// All versions, the oldest first.
    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.values()
    }

    /// One version.
    pub(super) fn version(&self, number: u64) -> Result<&Version, ChangeError> {
        self.versions.get(&number).ok_or(ChangeError::UnknownVersion(number))
    }
}

fn store_error(folder: &StateFolder, cause: io::Error) -> ChangeError {
    ChangeError::Store { folder: folder.path().display().to_string(), cause }
}
