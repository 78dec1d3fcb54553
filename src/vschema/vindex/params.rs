//! Parameters of a vindex: read by name, with every name that nobody asked for remembered.

use std::collections::{BTreeMap, BTreeSet};

/// Reads a file that a parameter names; the error is one sentence.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The parameters that name a file, whatever the vindex.
pub const FILE_PARAMS: &[&str] = &["json_path", "region_map"];

/// The parameters of one vindex while it is being made.
pub struct Params<'a> {
    vindex: &'a str,
    written: &'a BTreeMap<String, String>,
    known: BTreeSet<&'static str>,
    read_file: ReadFile<'a>,
}

/// A parameter is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamProblem {
    /// The parameter, if one is to blame.
    pub param: Option<String>,
    /// What is wrong, in Vitess' words where it has any.
    pub what: String,
    /// What to write instead.
    pub advice: String,
}

impl ParamProblem {
    pub(super) fn new(
        param: impl Into<Option<&'static str>>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let param = param.into().map(str::to_owned);
        Self { param, what: what.into(), advice: advice.into() }
    }
}

impl<'a> Params<'a> {
    /// The parameters as written for the vindex of this name.
    pub fn new(
        vindex: &'a str,
        written: &'a BTreeMap<String, String>,
        read_file: ReadFile<'a>,
    ) -> Self {
        Self { vindex, written, known: BTreeSet::new(), read_file }
    }

    /// Name of the vindex that is being made.
    pub(super) fn vindex(&self) -> &'a str {
        self.vindex
    }

    /// The value of a parameter, which is known from now on.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.insert(name);
        self.written.get(name).map(String::as_str)
    }

    /// A parameter that is `true` or `false`; absent is false.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, ParamProblem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ParamProblem::new(
                name,
                format!("{name} value must be 'true' or 'false': '{other}'"),
                "write \"true\" or \"false\" in quotes",
            )),
        }
    }

    /// Contents of the file that a parameter names.
    pub(super) fn file(&self, name: &'static str, path: &str) -> Result<String, ParamProblem> {
        debug_assert!(FILE_PARAMS.contains(&name), "{name} would be read, but not kept");
        (self.read_file)(path).map_err(|cause| {
            ParamProblem::new(
                name,
                format!("cannot read '{path}': {cause}"),
                "give a path relative to the VSchema",
            )
        })
    }

    /// Names that the vindex does not know, and those it does.
    pub fn unknown(&self) -> (Vec<&'a str>, Vec<&'static str>) {
        let unknown = self.written.keys().map(String::as_str);
        let unknown = unknown.filter(|name| !self.known.contains(name)).collect();
        (unknown, self.known.iter().copied().collect())
    }
}
