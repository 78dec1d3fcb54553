//! `xxhash`: the keyspace id is the XXH64 (seed 0) of the value's bytes, written little-endian.

use xxhash_rust::xxh64::xxh64;

use super::value_bytes::bytes_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

pub(super) fn map(value: &Value<'_>) -> KeyspaceId {
    hash(bytes_of(value).as_slice())
}

/// XXH64, 8 bytes little-endian.
pub(super) fn hash(bytes: &[u8]) -> KeyspaceId {
    KeyspaceId::new(&xxh64(bytes, 0).to_le_bytes())
}
