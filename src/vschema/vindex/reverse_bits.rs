//! `reverse_bits`: the keyspace id is the number with its bits in reverse, big-endian.

use super::VindexError;
use super::numeric::number_of;
use super::value_bytes::u64_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

pub(super) fn map(value: &Value<'_>) -> Option<KeyspaceId> {
    u64_of(value).map(|number| KeyspaceId::from_u64(number.reverse_bits()))
}

pub(super) fn reverse(id: &KeyspaceId) -> Result<Value<'static>, VindexError> {
    number_of(id).map(|number| Value::UInt(number.reverse_bits()))
}
