//! `multicol`: every column has its vindex and its bytes in the keyspace id.

use super::{Mapping, ParamProblem, Params, Vindex, VindexError};
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// Bytes of a keyspace id that the columns share.
const KEYSPACE_ID_BYTES: usize = 8;

/// The columns, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiCol {
    columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    vindex: Vindex,
    bytes: usize,
}

impl MultiCol {
    pub(super) fn new(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        let count = column_count(params)?;
        let bytes = column_bytes(params, count)?;
        let vindexes = column_vindexes(params, count)?;
        let columns = vindexes.into_iter().zip(bytes);
        Ok(Self { columns: columns.map(|(vindex, bytes)| Column { vindex, bytes }).collect() })
    }

    pub(super) fn cost(&self) -> u32 {
        self.columns.iter().map(|column| column.vindex.cost()).sum()
    }

    pub(super) fn vindex_of(&self, column: usize) -> Option<&Vindex> {
        self.columns.get(column).map(|column| &column.vindex)
    }

    pub(super) fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// The vindex of a column.
    pub fn column(&self, position: usize) -> Option<&Vindex> {
        self.columns.get(position).map(|column| &column.vindex)
    }

    /// A column's hash is cut to its bytes; a shorter one is padded once another column follows.
    pub(super) fn map(&self, values: &[Value<'_>]) -> Result<Mapping, VindexError> {
        let takes = self.columns.len();
        if values.is_empty() || values.len() > takes {
            return Err(VindexError::ValueCount { takes, got: values.len() });
        }
        let mut id = KeyspaceId::default();
        let mut used = 0;
        for (column, value) in self.columns.iter().zip(values) {
            // As in Vitess a value that a column's function refuses has no shard.
            let Ok(Some(hash)) = column.vindex.map_one(value) else { return Ok(Mapping::None) };
            id.extend(&[0; KEYSPACE_ID_BYTES][..used - id.as_bytes().len()]);
            let hash = hash.as_bytes();
            id.extend(&hash[..column.bytes.min(hash.len())]);
            used += column.bytes;
        }
        Ok(if values.len() < takes { Mapping::from_prefix(&id) } else { Mapping::KeyspaceId(id) })
    }
}

fn column_count(params: &mut Params<'_>) -> Result<usize, ParamProblem> {
    let advice = "write a number from 1 to 8 in quotes";
    let Some(text) = params.get("column_count") else {
        let what = "number of columns not provided in the parameter 'column_count'";
        return Err(ParamProblem::new(None, what, advice));
    };
    match text.parse() {
        Ok(count @ 1..=8) => Ok(count),
        _ => {
            let what = "number of columns should be between 1 and 8 in the parameter";
            Err(ParamProblem::new("column_count", format!("{what} 'column_count'"), advice))
        }
    }
}

/// Entries of a comma list; an empty entry means "not given".
fn entries(text: Option<&str>) -> Vec<&str> {
    text.map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default()
}

fn column_bytes(params: &mut Params<'_>, count: usize) -> Result<Vec<usize>, ParamProblem> {
    let problem = |what: &str| {
        let advice = "write how many of the 8 bytes each column gets, such as \"1,7\"";
        Err(ParamProblem::new(
            "column_bytes",
            format!("{what} in the parameter 'column_bytes'"),
            advice,
        ))
    };
    let entries = entries(params.get("column_bytes"));
    if entries.len() > count {
        return problem("number of column bytes provided are more than column count");
    }
    let mut bytes = vec![None; count];
    for (slot, entry) in bytes.iter_mut().zip(&entries).filter(|(_, entry)| !entry.is_empty()) {
        match entry.parse::<usize>() {
            Ok(given @ 1..=KEYSPACE_ID_BYTES) => *slot = Some(given),
            _ => return problem(&format!("'{entry}' is not a number of bytes")),
        }
    }
    let used: usize = bytes.iter().flatten().sum();
    let mut pending = bytes.iter().filter(|slot| slot.is_none()).count();
    if used + pending > KEYSPACE_ID_BYTES {
        let what = "column bytes count exceeds the keyspace id length";
        return problem(&format!("{what} (total bytes count cannot exceed 8 bytes)"));
    }
    let mut left = KEYSPACE_ID_BYTES - used;
    let filled = bytes.into_iter().map(|slot| {
        slot.unwrap_or_else(|| {
            let share = left.div_ceil(pending);
            left -= share;
            pending -= 1;
            share
        })
    });
    Ok(filled.collect())
}

fn column_vindexes(params: &mut Params<'_>, count: usize) -> Result<Vec<Vindex>, ParamProblem> {
    let problem = |what: String| {
        let advice = "write unique, functional vindex types such as \"hash,xxhash\"";
        Err(ParamProblem::new("column_vindex", what, advice))
    };
    let entries = entries(params.get("column_vindex"));
    if entries.len() > count {
        let what = "number of vindex function provided are more than column count";
        return problem(format!("{what} in the parameter 'column_vindex'"));
    }
    let mut vindexes = Vec::with_capacity(count);
    for column in 0..count {
        let type_name = entries.get(column).filter(|name| !name.is_empty()).unwrap_or(&"hash");
        // Nested multi-column types would read `column_count` again and never end.
        let vindex = match *type_name {
            "multicol" => None,
            name => Vindex::create(name, params)?,
        };
        match vindex {
            Some(vindex) if exports_hash(&vindex) => vindexes.push(vindex),
            _ => {
                let what = "multicol vindex supports vindexes that exports hashing function, are \
                    unique and are non-lookup vindex, passed vindex";
                return problem(format!("{what} '{type_name}' is invalid"));
            }
        }
    }
    Ok(vindexes)
}

fn exports_hash(vindex: &Vindex) -> bool {
    !vindex.needs_lookup()
        && vindex.column_count() == 1
        && !matches!(vindex, Vindex::Cfc(_) | Vindex::Null)
}
