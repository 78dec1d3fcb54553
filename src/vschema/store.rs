//! The state folder: small documents that must survive a restart, each written whole or not at all.
//!
//! A document is written beside its place, flushed, and renamed over it, so a crash leaves the old
//! one or the new one. What the documents mean is the caller's business.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A folder of documents. It is made when the first one is written.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a document durably; others see the old or the new one, never a part.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let unfinished = self.path.join(format!(".{name}.unfinished"));
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path.join(name))?;
        // The new name itself is durable only with the folder.
        fs::File::open(&self.path)?.sync_all()
    }

    /// Reads a document; `None` if there is none of this name.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names of the documents, sorted; none if the folder does not exist.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a document.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_replaced_whole() {
        let name = format!("geogate-store-{}", std::process::id());
        let folder = StateFolder::new(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(folder.path());
        assert_eq!(folder.read("a.json").unwrap(), None);
        assert_eq!(folder.names().unwrap(), Vec::<String>::new());
        folder.write("a.json", b"a long first text").unwrap();
        folder.write("a.json", b"second").unwrap();
        folder.write("b.json", b"b").unwrap();
        // What a crash leaves behind is no document.
        fs::write(folder.path().join(".c.json.unfinished"), "half").unwrap();
        assert_eq!(folder.read("a.json").unwrap().as_deref(), Some("second"));
        assert_eq!(folder.names().unwrap(), ["a.json", "b.json"]);
        folder.remove("b.json").unwrap();
        assert_eq!(folder.names().unwrap(), ["a.json"]);
        fs::remove_dir_all(folder.path()).unwrap();
    }
}
