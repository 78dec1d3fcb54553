//! `cfc`: a binary key of concatenated components; each component is hashed and cut to its own
//! length, so that a prefix of whole components is a prefix of the keyspace id.

use super::value_bytes::bytes_of;
use super::{Mapping, ParamProblem, Params, VindexError, md5, xxhash};
use crate::key::KeyspaceId;
use crate::sql::value::Value;

/// The hash and where components end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cfc {
    name: String,
    components: Components,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Components {
    /// The keyspace id is the key itself.
    AsWritten,
    /// Ends of the components, ascending; what follows the last end is one more.
    Hashed { hash: ComponentHash, ends: Vec<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComponentHash {
    Md5,
    XxHash64,
}

impl ComponentHash {
    fn hash(self, bytes: &[u8]) -> KeyspaceId {
        match self {
            Self::Md5 => md5::hash(bytes),
            Self::XxHash64 => xxhash::hash(bytes),
        }
    }
}

impl Cfc {
    pub(super) fn new(params: &mut Params<'_>) -> Result<Self, ParamProblem> {
        let name = params.vindex().to_owned();
        let ends = params.get("offsets").map(|text| parse_offsets(&name, text)).transpose()?;
        let hash = match params.get("hash") {
            None | Some("") => {
                return Ok(Self { name, components: Components::AsWritten });
            }
            Some("md5") => ComponentHash::Md5,
            Some("xxhash64") => ComponentHash::XxHash64,
            Some(other) => {
                return Err(ParamProblem::new(
                    "hash",
                    format!("invalid hash {other} to CFC vindex {name}"),
                    "write \"md5\" or \"xxhash64\"",
                ));
            }
        };
        match ends {
            Some(ends) => Ok(Self { name, components: Components::Hashed { hash, ends } }),
            None => Err(ParamProblem::new(
                None,
                "CFC vindex requires offsets when hash is defined",
                "add \"offsets\", such as \"[2,4]\"",
            )),
        }
    }

    pub(super) fn map(&self, value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
        let bytes = bytes_of(value);
        let key = bytes.as_slice();
        let (hash, ends) = match &self.components {
            Components::AsWritten => return Ok(KeyspaceId::new(key)),
            Components::Hashed { hash, ends } => (*hash, ends),
        };
        let need = ends.last().copied().unwrap_or(0);
        if key.len() < need {
            let vindex = self.name.clone();
            return Err(VindexError::KeyTooShort { vindex, need, got: key.len() });
        }
        Ok(hash_components(hash, ends, key))
    }

    /// The ids of the keys LIKE `pattern`, as Vitess has it (`prefixCFC`). A pattern that reaches
    /// into the key's last, open component is hashed as if it were the whole component: right
    /// only while no shard bound lies beyond the last offset.
    pub fn map_prefix(&self, pattern: &Value<'_>) -> Mapping {
        let bytes = bytes_of(pattern);
        let prefix = find_prefix(bytes.as_slice());
        let id = match &self.components {
            Components::AsWritten => KeyspaceId::new(&prefix),
            Components::Hashed { hash, ends } => hash_components(*hash, ends, &prefix),
        };
        Mapping::from_prefix(&id)
    }
}

/// Only whole components of a short key count.
fn hash_components(hash: ComponentHash, ends: &[usize], key: &[u8]) -> KeyspaceId {
    let mut id = KeyspaceId::default();
    let mut start = 0;
    let reaches_last = ends.last().is_some_and(|last| key.len() > *last);
    let whole = ends.iter().copied().take_while(|end| *end <= key.len());
    for end in whole.chain(reaches_last.then_some(key.len())) {
        let component = &key[start..end];
        let hashed = hash.hash(component);
        let bytes = hashed.as_bytes();
        id.extend(&bytes[..component.len().min(bytes.len())]);
        start = end;
    }
    id
}

/// What every text LIKE `pattern` starts with. Escapes are read as Vitess reads them.
pub fn find_prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' | b'_' => break,
            b'\\' => prefix.push(match bytes.next() {
                None => b'\\',
                Some(b'0') => 0,
                Some(b'b') => 8,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'Z') => 0x1a,
                Some(other) => other,
            }),
            _ => prefix.push(byte),
        }
    }
    prefix
}

fn parse_offsets(name: &str, text: &str) -> Result<Vec<usize>, ParamProblem> {
    let wrong = || {
        let expected = "expected sorted positive ints in brackets";
        ParamProblem::new(
            "offsets",
            format!("invalid offsets {text} to CFC vindex {name}. {expected}"),
            "write the ends of the components, such as \"[2,4]\"",
        )
    };
    let ends: Vec<usize> = serde_json::from_str(text).map_err(|_| wrong())?;
    let ascending = ends.windows(2).all(|pair| pair[0] < pair[1]);
    if ends.first().is_some_and(|first| *first > 0) && ascending { Ok(ends) } else { Err(wrong()) }
}
