//! `hash`: the keyspace id is the number under DES with an all-zero key.
//!
//! Single DES, one block, no mode. The key is weak: decrypting is encrypting.

use std::fmt;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};

use super::VindexError;
use super::numeric::number_of;
use super::value_bytes::u64_of;
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// The function with its key schedule, which costs more than a block.
#[derive(Clone)]
pub struct Hash {
    des: Des,
}

impl Hash {
    /// The only hash there is.
    pub fn new() -> Self {
        Self { des: Des::new(&[0u8; 8].into()) }
    }

    /// Signed numbers wrap, so that a BIGINT column may hold negative ids.
    pub(super) fn map(&self, value: &Value<'_>) -> Option<KeyspaceId> {
        let number = match value {
            Value::Int(number) => *number as u64,
            _ => u64_of(value)?,
        };
        Some(KeyspaceId::from_u64(self.number(number)))
    }

    pub(super) fn number(&self, number: u64) -> u64 {
        let mut block = number.to_be_bytes().into();
        self.des.encrypt_block(&mut block);
        u64::from_be_bytes(block.into())
    }

    pub(super) fn reverse(&self, id: &KeyspaceId) -> Result<Value<'static>, VindexError> {
        number_of(id).map(|number| Value::UInt(self.number(number)))
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

/// All hashes are the same function.
impl PartialEq for Hash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}
