//! Runs test vectors, one JSON object a line: `type`, `params`, `op`, `in`, `out`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Mapping, Params, ReadFile, Vindex, VindexError, find_prefix};
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// Outcome of a file of vectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Vectors that came out as written.
    pub passed: usize,
    /// One line for each of the others.
    pub failures: Vec<String>,
}

/// Runs every vector of `text`. A wanted error passes with any error: the words are not compared.
pub fn run(text: &str, read_file: ReadFile<'_>) -> Report {
    let mut report = Report::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match run_line(line, read_file) {
            Ok(()) => report.passed += 1,
            Err(why) => report.failures.push(format!("line {}: {why}", index + 1)),
        }
    }
    report
}

fn run_line(line: &str, read_file: ReadFile<'_>) -> Result<(), String> {
    let vector: Json = serde_json::from_str(line).map_err(|cause| cause.to_string())?;
    let wanted = &vector["out"];
    let got = outcome(&vector, read_file);
    let same = match (&got, wanted.get("error")) {
        (Err(_), Some(_)) => true,
        (Ok(got), None) => got == wanted,
        _ => false,
    };
    if same {
        return Ok(());
    }
    let got = got.unwrap_or_else(|error| serde_json::json!({ "error": error }));
    Err(format!("{} {} wanted {wanted}, got {got}", vector["type"], vector["op"]))
}

/// What the vindex does, in the form of a vector's `out`.
fn outcome(vector: &Json, read_file: ReadFile<'_>) -> Result<Json, String> {
    let vindex = vindex_of(vector, read_file)?;
    let inputs = vector["in"].as_array().ok_or("'in' is not a list")?;
    let values = inputs.iter().map(value_of).collect::<Result<Vec<_>, _>>()?;
    let first = values.first().ok_or("'in' is empty")?;
    let mapping = |mapping: Mapping| match mapping {
        Mapping::None => serde_json::json!({ "none": true }),
        Mapping::KeyspaceId(id) => serde_json::json!({ "ksid": id.to_string() }),
        Mapping::AllShards => serde_json::json!({ "all_shards": true }),
        Mapping::KeyRange(range) => {
            let bound = |id: Option<&KeyspaceId>| id.map(ToString::to_string).unwrap_or_default();
            serde_json::json!({ "range": [bound(range.start()), bound(range.end())] })
        }
    };
    match vector["op"].as_str().unwrap_or_default() {
        "map" => match vindex.map(&values) {
            // Vitess says "no shard"; here it is the caller's mistake.
            Err(VindexError::ValueCount { .. }) => Ok(mapping(Mapping::None)),
            Ok(mapped) => Ok(mapping(mapped)),
            Err(error) => Err(error.to_string()),
        },
        "map_prefix" => match &vindex {
            Vindex::Cfc(cfc) => Ok(mapping(cfc.map_prefix(first))),
            _ => Err("the vindex maps no prefix".to_owned()),
        },
        "find_prefix" => {
            let prefix = find_prefix(super::value_bytes::bytes_of(first).as_slice());
            Ok(serde_json::json!({ "hex": KeyspaceId::new(&prefix).to_string() }))
        }
        "range_map" => {
            let [low, high] = values.as_slice() else { return Err("two values wanted".into()) };
            let (low, high) = vindex.map_between(low, high).ok_or("the vindex maps no range")?;
            Ok(serde_json::json!({ "range": [low.to_string(), high.to_string()] }))
        }
        "reverse_map" => match vindex.reverse(&id_of(first)) {
            Ok(Value::UInt(number)) => Ok(serde_json::json!({ "uint": number })),
            Ok(value) => Ok(serde_json::json!({ "hex": id_of(&value).to_string() })),
            Err(error) => Err(error.to_string()),
        },
        "verify" => {
            let (id, values) = values.split_last().ok_or("'in' is empty")?;
            let verified = vindex.verify(values, &id_of(id)).map_err(|error| error.to_string())?;
            Ok(serde_json::json!({ "bool": verified }))
        }
        other => Err(format!("unknown op '{other}'")),
    }
}

fn id_of(value: &Value<'_>) -> KeyspaceId {
    KeyspaceId::new(super::value_bytes::bytes_of(value).as_slice())
}

fn vindex_of(vector: &Json, read_file: ReadFile<'_>) -> Result<Vindex, String> {
    let type_name = vector["type"].as_str().unwrap_or_default();
    let params: BTreeMap<String, String> = match vector.get("params") {
        None | Some(Json::Null) => BTreeMap::new(),
        Some(params) => serde_json::from_value(params.clone()).map_err(|e| e.to_string())?,
    };
    let mut params = Params::new(type_name, &params, read_file);
    match Vindex::create(type_name, &mut params) {
        Ok(Some(vindex)) => Ok(vindex),
        Ok(None) => Err(format!("vindexType \"{type_name}\" not found")),
        Err(problem) => Err(problem.what),
    }
}

fn value_of(input: &Json) -> Result<Value<'static>, String> {
    let kind = input["t"].as_str().unwrap_or_default();
    let value = &input["v"];
    let bytes = || match input["hex"].as_str().map(KeyspaceId::from_hex) {
        Some(Some(bytes)) => Ok(Cow::Owned(bytes.as_bytes().to_vec())),
        Some(None) => Err("'hex' is not hexadecimal".to_owned()),
        None => Ok(Cow::Owned(value.as_str().unwrap_or_default().as_bytes().to_vec())),
    };
    let number = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wrong = |_| format!("{value} is not of type {kind}");
    Ok(match kind {
        "null" => Value::Null,
        "int" => match number().parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Value::UInt(number().parse().map_err(wrong)?),
        },
        "uint" => Value::UInt(number().parse().map_err(wrong)?),
        "float" => Value::Float(value.as_f64().ok_or("not a float")?),
        "decimal" => Value::Decimal(Cow::Owned(number().into_bytes())),
        "text" | "char" | "varchar" => Value::Text(bytes()?),
        "bytes" | "hexnum" | "hexval" | "binary" | "varbinary" | "blob" => Value::Bytes(bytes()?),
        other => return Err(format!("unknown type of value '{other}'")),
    })
}
