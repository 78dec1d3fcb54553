//! Files of a VSchema: a folder with one file a keyspace, or one file with everything.
//!
//! This is the only part of `vschema` that reads files.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use super::decode::{Document, Item};
use super::json::{self, Json, Node};
use super::model::VSchema;
use super::problem::{Problem, Problems, Severity, Strictness};
use super::raw::{RawReader, RawVSchema, is_keyspace};
use super::validate;
use super::vindex::FILE_PARAMS;

/// The files, read but not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    files: Vec<SourceFile>,
    /// Files that vindex parameters name, by their path as written, or why one cannot be read.
    named_files: BTreeMap<String, Result<String, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SourceFile {
    /// As the user knows it.
    name: String,
    content: Content,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// A SrvVSchema, or one keyspace of the name given here.
    Whole {
        keyspace: String,
    },
    Keyspace(String),
    Rules,
    /// Geogate's own settings of this file name, which it does not read yet.
    Reserved(&'static str),
}

/// How the files belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One file a keyspace, and `rules.json`.
    Folder,
    /// One file with everything, or with the only keyspace.
    Document,
}

/// A path that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {cause}")]
pub struct LoadError {
    /// The path.
    pub path: String,
    /// What the system says.
    pub cause: io::Error,
}

/// Which files may be read.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    below: Option<&'a Path>,
    bytes_left: Cell<u64>,
}

impl<'a> Reach<'a> {
    /// Whatever the operator of this machine has named.
    pub fn anywhere() -> Self {
        Self { below: None, bytes_left: Cell::new(u64::MAX) }
    }

    /// Regular files below a folder, `bytes_max` bytes of all together: for paths that come from
    /// elsewhere, which must neither show other files nor read a device without end.
    pub fn below(folder: &'a Path, bytes_max: u64) -> Self {
        Self { below: Some(folder), bytes_left: Cell::new(bytes_max) }
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        let Some(folder) = self.below else { return Ok(()) };
        // Links are followed first: where they lead is what counts.
        let (found, folder) = (path.canonicalize()?, folder.canonicalize()?);
        if !found.starts_with(&folder) {
            let what = format!("it is not below the VSchema's folder {}", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        if self.below.is_none() {
            return std::fs::read_to_string(path);
        }
        self.check(path)?;
        // Asked before, because opening a pipe would wait for its other end.
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let left = self.bytes_left.get();
        let mut text = String::new();
        std::fs::File::open(path)?.take(left.saturating_add(1)).read_to_string(&mut text)?;
        let Some(left) = left.checked_sub(text.len() as u64) else {
            let what = "the files are longer than control_body_bytes_max together";
            return Err(io::Error::other(what));
        };
        self.bytes_left.set(left);
        Ok(text)
    }
}

/// What the files amount to.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The VSchema; `None` if any problem is an error.
    pub vschema: Option<VSchema>,
    /// Every problem, in the order of files and lines.
    pub problems: Vec<Problem>,
}

impl Sources {
    /// Reads a folder (`KEYSPACE.json`, `rules.json`; subfolders are left alone) or one file.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        Self::read_within(path, &Reach::anywhere())
    }

    /// The same for what may be read.
    pub fn read_within(path: &Path, reach: &Reach<'_>) -> Result<Self, LoadError> {
        let fail = |path: &Path, cause| LoadError { path: path.display().to_string(), cause };
        let read = |path: &Path| reach.read(path).map_err(|cause| fail(path, cause));
        if !path.is_dir() {
            let file = (path.display().to_string(), read(path)?);
            let folder = path.parent().unwrap_or(Path::new(""));
            let files = [file];
            return Ok(Self::from_texts(Shape::Document, folder, &files, &BTreeMap::new(), reach));
        }
        reach.check(path).map_err(|cause| fail(path, cause))?;
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|cause| fail(path, cause))? {
            let file = entry.map_err(|cause| fail(path, cause))?.path();
            if file.is_file() && file.extension().is_some_and(|extension| extension == "json") {
                paths.push(file);
            }
        }
        paths.sort();
        let files = paths.iter().map(|file| {
            let content = content_of_file(file);
            Ok(SourceFile { name: file.display().to_string(), content, text: read(file)? })
        });
        let files = files.collect::<Result<Vec<_>, LoadError>>()?;
        if files.is_empty() {
            let cause = io::Error::other("no KEYSPACE.json in this folder");
            return Err(fail(path, cause));
        }
        Ok(Self::with_named_files(files, path, &BTreeMap::new(), reach))
    }

    /// One document: a SrvVSchema, or a single keyspace named after the file.
    pub fn from_text(name: &str, text: &str) -> Self {
        let file = (name.to_owned(), text.to_owned());
        Self::from_files(Shape::Document, Path::new(""), &[file])
    }

    /// Files that were sent: names and texts. Paths in vindex parameters are relative to `folder`.
    /// Of a document there is one file; further ones are ignored.
    pub fn from_files(shape: Shape, folder: &Path, files: &[(String, String)]) -> Self {
        Self::from_kept(shape, folder, files, &BTreeMap::new())
    }

    /// Files that were kept, with what the files that vindex parameters name said then. Only what
    /// was not kept of those is read now.
    pub fn from_kept(
        shape: Shape,
        folder: &Path,
        files: &[(String, String)],
        named_files: &BTreeMap<String, String>,
    ) -> Self {
        Self::from_texts(shape, folder, files, named_files, &Reach::anywhere())
    }

    /// The same for what may be read.
    pub fn from_texts(
        shape: Shape,
        folder: &Path,
        files: &[(String, String)],
        named_files: &BTreeMap<String, String>,
        reach: &Reach<'_>,
    ) -> Self {
        let files = files.iter().map(|(name, text)| {
            let content = match shape {
                Shape::Folder => content_of_file(Path::new(name)),
                Shape::Document => Content::Whole { keyspace: stem(Path::new(name)) },
            };
            SourceFile { name: name.clone(), content, text: text.clone() }
        });
        let count = if shape == Shape::Document { 1 } else { files.len() };
        Self::with_named_files(files.take(count).collect(), folder, named_files, reach)
    }

    fn with_named_files(
        files: Vec<SourceFile>,
        folder: &Path,
        kept: &BTreeMap<String, String>,
        reach: &Reach<'_>,
    ) -> Self {
        let mut paths = Vec::new();
        for file in &files {
            // Parsed only where it can matter: the watcher comes here every second.
            if FILE_PARAMS.iter().any(|param| file.text.contains(param))
                && let Ok(root) = json::parse(&file.text)
            {
                named_in(&root, &mut paths);
            }
        }
        let content = |path: String| {
            let content = match kept.get(&path) {
                Some(text) => Ok(text.clone()),
                None => reach.read(&folder.join(&path)).map_err(|error| error.to_string()),
            };
            (path, content)
        };
        Self { named_files: paths.into_iter().map(content).collect(), files }
    }

    /// How the files belong together.
    pub fn shape(&self) -> Shape {
        match self.files.first().map(|file| &file.content) {
            Some(Content::Whole { .. }) => Shape::Document,
            _ => Shape::Folder,
        }
    }

    /// Names and texts of the files, for keeping versions.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.files.iter().map(|file| (file.name.as_str(), file.text.as_str()))
    }

    /// Paths and texts of the files that vindex parameters name: a part of what the VSchema means.
    pub fn named_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named_files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref().ok()?)))
    }

    /// Finds every problem; without errors there is a VSchema.
    pub fn validate(&self, strictness: Strictness) -> Validated {
        let mut problems = Problems::new(strictness);
        let mut raw = RawVSchema::default();
        for file in &self.files {
            read_document(file, &mut raw, &mut problems);
        }
        let read_file = |path: &str| match self.named_files.get(path) {
            Some(content) => content.clone(),
            None => Err("it was not read with the VSchema".to_owned()),
        };
        let vschema = validate::build(&raw, &read_file, &mut problems);
        let problems = problems.finish();
        let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
        Validated { vschema: (!refused).then_some(vschema), problems }
    }
}

/// The paths in `params` objects, wherever they are.
fn named_in(node: &Node, paths: &mut Vec<String>) {
    match &node.value {
        Json::Array(items) => items.iter().for_each(|item| named_in(item, paths)),
        Json::Object(members) => {
            for member in members {
                named_in(&member.node, paths);
                let Json::Object(params) = &member.node.value else { continue };
                let files = params.iter().filter(|param| {
                    member.name == "params" && FILE_PARAMS.contains(&param.name.as_str())
                });
                paths.extend(files.filter_map(|file| match &file.node.value {
                    Json::String(path) => Some(path.clone()),
                    _ => None,
                }));
            }
        }
        _ => {}
    }
}

/// Whether a keyspace of this name can have a file in a folder, where some names mean more.
pub fn can_be_in_folder(keyspace: &str) -> bool {
    matches!(content_of_file(Path::new(&format!("{keyspace}.json"))), Content::Keyspace(_))
}

/// What a file of a folder holds, by its name.
fn content_of_file(file: &Path) -> Content {
    match stem(file).as_str() {
        "rules" => Content::Rules,
        "residency" => Content::Reserved("residency"),
        "tables" => Content::Reserved("tables"),
        keyspace => Content::Keyspace(keyspace.to_owned()),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_document(file: &SourceFile, raw: &mut RawVSchema, problems: &mut Problems) {
    let document = Document::new(&file.name, &file.text);
    let root = match json::parse(&file.text) {
        Ok(root) => root,
        Err(error) => {
            let place = document.place(error.at, String::new());
            problems.fatal(&place, format!("not valid JSON: {}", error.what), "correct the file");
            return;
        }
    };
    let place = document.place(root.at, String::new());
    let item = Item { node: &root, place: place.clone() };
    let mut reader = RawReader { document, problems };
    match &file.content {
        Content::Whole { keyspace } if is_keyspace(&root.value) => {
            let read = reader.keyspace(&item);
            raw.add_keyspace(keyspace, place, read);
        }
        Content::Whole { .. } => reader.srv_vschema(&item, raw),
        Content::Keyspace(name) => {
            let read = reader.keyspace(&item);
            raw.add_keyspace(name, place, read);
        }
        Content::Rules => reader.rules(&item, raw),
        Content::Reserved(name) => {
            if !matches!(&root.value, Json::Object(members) if members.is_empty()) {
                let what = format!("{name}.json is not implemented yet");
                problems.fatal(&place, what, "remove the file, or leave it as {}");
            }
        }
    }
}
