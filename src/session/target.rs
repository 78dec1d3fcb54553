//! What a session is aimed at: `keyspace:shard@type`, from the login, USE or COM_INIT_DB.

use std::sync::Arc;

use crate::error::{SqlError, catalog};
use crate::key::{Destination, KeyRange, KeyspaceId};
use crate::planner::input::Target;
use crate::sql::control::use_target::{self, TargetPlace, TargetRole};
use crate::topology::Topology;
use crate::vschema::TabletType;

/// Checks a target text against the topology. `current` gives the keyspace of `@replica` alone.
pub(super) fn parse(
    name: &[u8],
    current: &Target,
    topology: &Topology,
) -> Result<Target, SqlError> {
    let text = String::from_utf8_lossy(name);
    let unknown = |name: &str| catalog::UNKNOWN_KEYSPACE.with(&[&name]);
    let parsed: use_target::Target =
        text.parse().map_err(|error| catalog::BAD_TARGET.with(&[&text, &error]))?;
    let keyspace = match (&parsed.keyspace, &current.keyspace) {
        (Some(keyspace), _) => {
            let index = topology.find_keyspace(keyspace).ok_or_else(|| unknown(keyspace))?;
            Some(Arc::clone(&topology.keyspace(index).name))
        }
        (None, current) => current.clone(),
    };
    let destination = match parsed.place {
        TargetPlace::Routed => None,
        TargetPlace::Shard(shard) => {
            let index = keyspace.as_deref().and_then(|keyspace| topology.find_keyspace(keyspace));
            let known = index.and_then(|index| topology.keyspace(index).shard_map().find(&shard));
            if known.is_none() {
                return Err(unknown(&text));
            }
            Some(Destination::Shard(shard))
        }
        TargetPlace::Range { start, end } => {
            let id = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| KeyspaceId::new(&bytes));
            let range = KeyRange::new(id(start), id(end))
                .map_err(|error| catalog::BAD_TARGET.with(&[&text, &error]))?;
            Some(Destination::KeyRange(range))
        }
        TargetPlace::KeyspaceId(bytes) => Some(Destination::KeyspaceId(KeyspaceId::new(&bytes))),
    };
    let tablet_type = match parsed.role {
        Some(TargetRole::Replica) => TabletType::Replica,
        Some(TargetRole::ReadOnly) => TabletType::Rdonly,
        Some(TargetRole::Primary) | None => TabletType::Primary,
    };
    Ok(Target { keyspace, destination, tablet_type })
}

/// The role that a target text names.
pub(super) fn role(name: &[u8]) -> Option<TargetRole> {
    let target: use_target::Target = std::str::from_utf8(name).ok()?.parse().ok()?;
    target.role
}

/// A database and the role after `@`, for the only servers there are; a name that is no such
/// target stays as it is.
pub(super) fn split_role(name: &[u8]) -> (&[u8], Option<TargetRole>) {
    let at = name.iter().rposition(|byte| *byte == b'@');
    let target: Option<use_target::Target> =
        std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    match (at, target) {
        (Some(at), Some(target)) if target.role.is_some() => {
            if target.place == TargetPlace::Routed {
                (&name[..at], target.role)
            } else {
                (name, None)
            }
        }
        _ => (name, None),
    }
}
