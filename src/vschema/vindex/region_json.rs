//! `region_json`: (id, country) → bytes of the country from a map, then the hash of the id.
//!
//! The columns stand the other way round than in `region_experimental`, and the id alone narrows
//! nothing.

use std::collections::HashMap;

use super::region_experimental::RegionBytes;
use super::value_bytes::{bytes_of, u64_of};
use super::{Hash, Mapping, ParamProblem, Params, VindexError};
use crate::sql::value::Value;

/// The map and how many bytes of its numbers count.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionJson {
    regions: HashMap<Vec<u8>, u64>,
    region_bytes: RegionBytes,
    hash: Hash,
}

impl RegionJson {
    pub(super) fn new(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        let region_bytes = RegionBytes::parse(params)?;
        let advice = "name a JSON file such as {\"US\": 1, \"DE\": 2}";
        let Some(path) = params.get("region_map") else {
            let what = "region_json misses the region_map param";
            return Err(ParamProblem::new(None, what, advice));
        };
        let text = params.file("region_map", path)?;
        let regions: HashMap<String, u64> = serde_json::from_str(&text).map_err(|cause| {
            ParamProblem::new("region_map", format!("'{path}' is not a map: {cause}"), advice)
        })?;
        let regions = regions.into_iter().map(|(name, number)| (name.into_bytes(), number));
        Ok(Self { regions: regions.collect(), region_bytes, hash: Hash::new() })
    }

    pub(super) fn map(&self, values: &[Value<'_>]) -> Result<Mapping, VindexError> {
        let [id, country] = values else {
            return Err(VindexError::ValueCount { takes: 2, got: values.len() });
        };
        let Some(id) = u64_of(id) else { return Ok(Mapping::None) };
        let Some(region) = self.regions.get(bytes_of(country).as_slice()) else {
            return Ok(Mapping::None);
        };
        let mut keyspace_id = self.region_bytes.prefix(*region);
        keyspace_id.extend(&self.hash.number(id).to_be_bytes());
        Ok(Mapping::KeyspaceId(keyspace_id))
    }
}
