//! Writes to tables that have copies: the statement also goes to the shards that hold them.

use crate::engine::plan::{Access, Bindings as _, Plan, Route};
use crate::error::{SqlError, catalog};
use crate::geo::Consistency;
use crate::planner;
use crate::sql::value::Value;
use crate::topology::Topology;

use super::Services;
use super::connections::Connections;
use super::consistency;
use super::consistency::ReadOptions;
use super::mirror::Mirror;
use super::planned::Piece;
use super::state::State;
use super::statement::Statement;

impl Mirror {
    /// The pieces of a route, and the same for every copy.
    pub(super) fn with_copies(
        &self,
        route: &Route,
        statement: &Statement,
        topology: &Topology,
        mut pieces: Vec<Piece>,
    ) -> Result<Vec<Piece>, SqlError> {
        let bindings = self.bindings(statement);
        for hole in &route.copies.numbered {
            if !is_own_number(&bindings.value(*hole)) {
                return Err(catalog::NUMBERED_APART.error());
            }
        }
        for name in &route.copies.keyspaces {
            let keyspace = topology
                .find_keyspace(name)
                .ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[name]))?;
            let Some(own) = pieces.first().cloned() else { continue };
            let copies = topology.shards(keyspace).map(|shard| Piece { shard, ..own.clone() });
            pieces.extend(copies);
        }
        Ok(pieces)
    }
}

/// Refuses a strong read, or a write, by copies that something else keeps.
pub(super) fn check_copies(
    connections: &Connections,
    state: &State,
    plan: &Plan,
    hints: Option<&ReadOptions>,
) -> Result<(), SqlError> {
    let weak = plan.access == Access::Read
        && consistency::read_level(connections, state, hints) != Consistency::Strong;
    if plan.joins_copies && !weak {
        return Err(catalog::COPIES_BEHIND.error());
    }
    Ok(())
}

/// Refuses to drop a keyspace that has tables with copies elsewhere, or copies.
pub(super) fn check_drop(
    services: &Services,
    state: &mut State,
    keyspace: &str,
) -> Result<(), SqlError> {
    let generation = state.generation.hold(&services.serving)?;
    planner::check_drop(generation.vschema(), services.reference_copies, keyspace)
}

/// Whether an AUTO_INCREMENT column takes the value as it is, under every sql_mode.
fn is_own_number(value: &Value<'_>) -> bool {
    match value {
        Value::Int(number) => *number != 0,
        Value::UInt(number) => *number != 0,
        Value::Text(text) => {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
            number.is_some_and(|number| number != 0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_servers_keep_are_given() {
        let text = |text: &'static str| Value::Text(text.as_bytes().into());
        for value in [Value::Int(7), Value::Int(-1), Value::UInt(u64::MAX), text("12")] {
            assert!(is_own_number(&value), "{value:?}");
        }
        for value in [Value::Null, Value::Int(0), text("0"), text(""), text("1x"), text("0.0")] {
            assert!(!is_own_number(&value), "{value:?}");
        }
    }
}
