//! `numeric_static_map`: a table in the parameters says which number a number stands for; the
//! others go to a fallback vindex, or stand for themselves.

use std::collections::{BTreeMap, HashMap};

use super::value_bytes::u64_of;
use super::{ParamProblem, Params, Vindex, VindexError};
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// The table and the fallback.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericStaticMap {
    table: HashMap<u64, u64>,
    fallback: Option<Box<Vindex>>,
}

impl NumericStaticMap {
    pub(super) fn new(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        let advice = "give the table in 'json', or the path of a file in 'json_path'";
        let table = match (params.get("json_path"), params.get("json")) {
            (None, None) => {
                let what = "Could not find either json_path or json params in vschema";
                return Err(ParamProblem::new(None, what, advice));
            }
            (Some(_), Some(_)) => {
                let what = "Found both json and json_path params in vschema";
                return Err(ParamProblem::new("json_path", what, advice));
            }
            (Some(path), None) => parse_table("json_path", &params.file("json_path", path)?)?,
            (None, Some(text)) => parse_table("json", text)?,
        };
        let fallback = match params.get("fallback_type") {
            None | Some("") => None,
            Some(type_name) => Some(Box::new(fallback(type_name)?)),
        };
        Ok(Self { table, fallback })
    }

    pub(super) fn map(&self, value: &Value<'_>) -> Result<Option<KeyspaceId>, VindexError> {
        let Some(number) = u64_of(value) else { return Ok(None) };
        match (self.table.get(&number), &self.fallback) {
            (Some(target), _) => Ok(Some(KeyspaceId::from_u64(*target))),
            (None, Some(fallback)) => fallback.map_one(value),
            (None, None) => Ok(Some(KeyspaceId::from_u64(number))),
        }
    }
}

/// A fallback is made without parameters and must map one value by itself.
fn fallback(type_name: &str) -> Result<Vindex, ParamProblem> {
    let none = BTreeMap::new();
    let no_file = |_: &str| Err("a fallback vindex has no parameters".to_owned());
    let mut params = Params::new(type_name, &none, &no_file);
    match Vindex::create(type_name, &mut params)? {
        Some(vindex) if vindex.column_count() == 1 && !vindex.needs_lookup() => Ok(vindex),
        Some(_) => Err(ParamProblem::new(
            "fallback_type",
            format!("vindex type '{type_name}' cannot be a fallback"),
            "take one that maps one column by itself, such as xxhash",
        )),
        None => Err(ParamProblem::new(
            "fallback_type",
            format!("vindexType \"{type_name}\" not found"),
            "take one that maps one column by itself, such as xxhash",
        )),
    }
}

fn parse_table(param: &'static str, text: &str) -> Result<HashMap<u64, u64>, ParamProblem> {
    let advice = "write an object such as {\"1\": 2, \"3\": 4}";
    let written: HashMap<String, u64> = serde_json::from_str(text)
        .map_err(|cause| ParamProblem::new(param, format!("not a table: {cause}"), advice))?;
    let entries = written.into_iter().map(|(from, to)| match from.parse() {
        Ok(from) => Ok((from, to)),
        Err(_) => Err(ParamProblem::new(param, format!("'{from}' is not a number"), advice)),
    });
    entries.collect()
}
