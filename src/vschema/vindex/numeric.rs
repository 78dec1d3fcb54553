//! `numeric`: the keyspace id is the number, big-endian.

use super::VindexError;
use super::value_bytes::u64_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

pub(super) fn map(value: &Value<'_>) -> Option<KeyspaceId> {
    u64_of(value).map(KeyspaceId::from_u64)
}

pub(super) fn reverse(id: &KeyspaceId) -> Result<Value<'static>, VindexError> {
    number_of(id).map(Value::UInt)
}

/// The number of an id of eight bytes.
pub(super) fn number_of(id: &KeyspaceId) -> Result<u64, VindexError> {
    let bytes = <[u8; 8]>::try_from(id.as_bytes());
    bytes.map(u64::from_be_bytes).map_err(|_| VindexError::InvalidKeyspaceId(id.clone()))
}
