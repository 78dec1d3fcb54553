//! `region_experimental`: (region, id) → low bytes of the region, then the hash of the id.
//!
//! As in Vitess a region beyond `region_bytes` keeps its low bytes only, and a negative id has no
//! shard (unlike under `hash`).

use super::value_bytes::u64_of;
use super::{Hash, Mapping, ParamProblem, Params, VindexError};
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// How many bytes the region takes.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionExperimental {
    region_bytes: RegionBytes,
    hash: Hash,
}

/// Length of the region's part of the keyspace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegionBytes {
    One,
    Two,
}

impl RegionBytes {
    pub(super) fn parse(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        match params.get("region_bytes") {
            Some("1") => Ok(Self::One),
            Some("2") => Ok(Self::Two),
            Some(other) => Err(ParamProblem::new(
                "region_bytes",
                format!("region_bytes must be 1 or 2: {other}"),
                "write \"1\" (up to 256 regions) or \"2\"",
            )),
            None => Err(ParamProblem::new(
                None,
                "region vindex misses the region_bytes param",
                "add \"region_bytes\": \"1\" (up to 256 regions) or \"2\"",
            )),
        }
    }

    pub(super) fn prefix(self, region: u64) -> KeyspaceId {
        let bytes = (region as u16).to_be_bytes();
        match self {
            Self::One => KeyspaceId::new(&bytes[1..]),
            Self::Two => KeyspaceId::new(&bytes),
        }
    }
}

impl RegionExperimental {
    pub(super) fn new(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        Ok(Self { region_bytes: RegionBytes::parse(params)?, hash: Hash::new() })
    }

    pub(super) fn map(&self, values: &[Value<'_>]) -> Result<Mapping, VindexError> {
        let (region, id) = match values {
            [region] => (region, None),
            [region, id] => (region, Some(id)),
            _ => return Err(VindexError::ValueCount { takes: 2, got: values.len() }),
        };
        let Some(region) = u64_of(region) else { return Ok(Mapping::None) };
        let mut keyspace_id = self.region_bytes.prefix(region);
        let Some(id) = id else { return Ok(Mapping::from_prefix(&keyspace_id)) };
        let Some(id) = u64_of(id) else { return Ok(Mapping::None) };
        keyspace_id.extend(&self.hash.number(id).to_be_bytes());
        Ok(Mapping::KeyspaceId(keyspace_id))
    }
}
