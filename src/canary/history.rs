//! Versions of the VSchema: what was in service when, by whom, and the files themselves.

use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::change::Actor;
use crate::vschema::{Shape, Sources};

/// A version that was put in service or on trial. Its number is never used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// From 1, rising.
    pub number: u64,
    /// Where it came from.
    pub origin: Origin,
    /// Who brought it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Of names and texts.
    pub digest: Digest,
    /// How the files belong together.
    pub shape: Shape,
    /// The files.
    pub files: Vec<StoredFile>,
    /// The files that vindex parameters name, by their path as written. They decide where rows
    /// live, so what they say later, or on another machine, does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_files: Vec<StoredFile>,
}

/// Where a version came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The files at the configured path.
    Files(String),
    /// The control API.
    Api,
    /// A candidate of a canary.
    Candidate,
    /// A copy of this earlier version.
    Rollback(u64),
}

/// A file without its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// `shop.json`
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Tells contents apart: the hash of names and texts, 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(String);

impl Version {
    /// A version of these files.
    pub fn new(number: u64, origin: Origin, actor: &Actor, sources: &Sources) -> Self {
        let file = |(name, text): (&str, &str)| {
            let name = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned());
            StoredFile { name: name.unwrap_or_default(), text: text.to_owned() }
        };
        let files: Vec<StoredFile> = sources.files().map(file).collect();
        let named =
            |(name, text): (&str, &str)| StoredFile { name: name.into(), text: text.into() };
        let named_files: Vec<StoredFile> = sources.named_files().map(named).collect();
        let digest = Digest::of_files(files.iter().chain(&named_files));
        let (by, at) = (actor.name.clone(), actor.at);
        Self { number, origin, by, at, digest, shape: sources.shape(), files, named_files }
    }

    /// Its files, to be validated; what vindex parameters name and was not kept, as versions of old
    /// did not, is read from `folder`.
    pub fn sources(&self, folder: &Path) -> Sources {
        let files: Vec<(String, String)> =
            self.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
        let named = self.named_files.iter().map(|file| (file.name.clone(), file.text.clone()));
        Sources::from_kept(self.shape, folder, &files, &named.collect())
    }

    /// The name of its document in the state folder.
    pub fn document_name(number: u64) -> String {
        format!("vschema-{number:08}.json")
    }

    /// The number in the name of a document, if it is a version's.
    pub fn number_of_document(name: &str) -> Option<u64> {
        name.strip_prefix("vschema-")?.strip_suffix(".json")?.parse().ok()
    }
}

impl Origin {
    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::Files(path) => format!("files at {path}"),
            Self::Api => "API".to_owned(),
            Self::Candidate => "canary".to_owned(),
            Self::Rollback(number) => format!("rollback to {number}"),
        }
    }
}

impl Digest {
    /// Of files as they were read.
    pub fn of(sources: &Sources) -> Self {
        let actor = Actor { name: String::new(), at: 0 };
        Version::new(0, Origin::Api, &actor, sources).digest
    }

    fn of_files<'a>(files: impl IntoIterator<Item = &'a StoredFile>) -> Self {
        let mut bytes = Vec::new();
        for file in files {
            for part in [&file.name, &file.text] {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        Self(format!("{:032x}", xxh3_128(&bytes)))
    }

    /// The same number on every proxy that has the same files.
    pub fn rollout(&self) -> u64 {
        u64::from_str_radix(self.0.get(..16).unwrap_or_default(), 16).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_the_way_through_its_document() {
        let actor = Actor { name: "tester".to_owned(), at: 7 };
        let files = [("dir/a.json".to_owned(), "{}".to_owned())];
        let sources = Sources::from_files(Shape::Folder, Path::new("dir"), &files);
        let version = Version::new(3, Origin::Rollback(1), &actor, &sources);
        let text = serde_json::to_string(&version).unwrap();
        let read: Version = serde_json::from_str(&text).unwrap();
        assert_eq!(read, version);
        assert_eq!(Digest::of(&read.sources(Path::new("elsewhere"))), version.digest);
        let name = Version::document_name(3);
        assert_eq!(name, "vschema-00000003.json");
        assert_eq!(Version::number_of_document(&name), Some(3));
        assert_eq!(Version::number_of_document("state.json"), None);
    }

    #[test]
    fn another_cut_of_the_same_text_is_another_digest() {
        let digest = |name: &str, text: &str| {
            let file = StoredFile { name: name.to_owned(), text: text.to_owned() };
            Digest::of_files([&file])
        };
        assert_ne!(digest("a", "bc"), digest("ab", "c"));
        assert_ne!(digest("a", "b").rollout(), digest("a", "c").rollout());
    }
}
