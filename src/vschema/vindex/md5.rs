//! `binary_md5`: the keyspace id is the MD5 of the value's bytes.

use md5::{Digest, Md5};

use super::value_bytes::bytes_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

pub(super) fn map(value: &Value<'_>) -> KeyspaceId {
    hash(bytes_of(value).as_slice())
}

/// MD5, 16 bytes.
pub(super) fn hash(bytes: &[u8]) -> KeyspaceId {
    KeyspaceId::new(Md5::digest(bytes).as_slice())
}
