//! `binary`: the keyspace id is the value's bytes.

use std::borrow::Cow;

use super::value_bytes::bytes_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

pub(super) fn map(value: &Value<'_>) -> KeyspaceId {
    KeyspaceId::new(bytes_of(value).as_slice())
}

pub(super) fn reverse(id: &KeyspaceId) -> Value<'static> {
    Value::Bytes(Cow::Owned(id.as_bytes().to_vec()))
}
