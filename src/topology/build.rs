//! The topology that a configuration describes.

use super::{
    Absence, Health, Keyspace, KeyspaceIndex, Server, ServerId, Service, ShardId, ShardState,
    Topology,
};
use crate::config::{self, SplitBrain};
use crate::key::ShardMap;

/// What keeps a configuration from being a topology.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// The shards do not cover the keyspace exactly once.
    #[error("[[keyspace]] '{keyspace}': {reason}")]
    Shards {
        /// The keyspace.
        keyspace: String,
        /// What is wrong with the ranges.
        reason: String,
    },
    /// One server is described in two ways.
    #[error("server {address} stands in the file with different regions, roles or compression")]
    Contradiction {
        /// Its address.
        address: String,
    },
    /// A shard has no server that could take writes.
    #[error(
        "[[keyspace]] '{keyspace}' shard '{shard}' has {count} servers with role = \"primary\"; \
         give exactly one that role"
    )]
    Primaries {
        /// The keyspace.
        keyspace: String,
        /// The shard.
        shard: String,
        /// How many primaries it has.
        count: usize,
    },
}

/// Builds the topology, with every server untested.
pub fn build(keyspaces: &[config::Keyspace]) -> Result<Topology, Vec<TopologyError>> {
    let mut servers: Vec<Server> = Vec::new();
    let mut built = Vec::new();
    let mut problems = Vec::new();
    for keyspace in keyspaces {
        let names: Vec<&str> = keyspace.shards.iter().map(|s| s.range.as_str()).collect();
        let map = match ShardMap::new(&names) {
            Ok(map) => map,
            Err(error) => {
                problems.push(TopologyError::Shards {
                    keyspace: keyspace.name.clone(),
                    reason: error.to_string(),
                });
                continue;
            }
        };
        // The map orders shards by range; the file may have them in any order.
        let mut holders = vec![Vec::new(); map.len()];
        for shard in &keyspace.shards {
            let ids: Vec<ServerId> = shard
                .servers
                .iter()
                .filter_map(|server| match place(&mut servers, server) {
                    Ok(id) => Some(id),
                    Err(problem) => {
                        problems.push(problem);
                        None
                    }
                })
                .collect();
            let primaries =
                shard.servers.iter().filter(|s| s.role == config::RoleHint::Primary).count();
            if primaries != 1 {
                problems.push(TopologyError::Primaries {
                    keyspace: keyspace.name.clone(),
                    shard: shard.range.clone(),
                    count: primaries,
                });
            }
            if let Some(index) = map.find(&shard.range) {
                holders[index] = ids;
            }
        }
        built.push(Keyspace {
            name: keyspace.name.as_str().into(),
            database: keyspace.database.as_str().into(),
            map,
            holders,
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let untold = ShardState {
        record: None,
        service: Service::Absent(Absence::NotSeen),
        standings: Vec::new(),
    };
    let states = built.iter().map(|keyspace| vec![untold.clone(); keyspace.map.len()]).collect();
    let single = single(&built);
    let split_brain = SplitBrain::default();
    let mut topology = Topology { servers, keyspaces: built.into(), states, single, split_brain };
    topology.decide_all();
    Ok(topology)
}

/// The shard that stands for all, if every statement can go to its servers unchanged.
fn single(keyspaces: &[Keyspace]) -> Option<ShardId> {
    let holders = |keyspace: &Keyspace| {
        let mut ids = keyspace.holders[0].clone();
        ids.sort_unstable();
        ids
    };
    let first = holders(keyspaces.first()?);
    let same = keyspaces.iter().all(|keyspace| {
        keyspace.map.len() == 1 && keyspace.database == keyspace.name && holders(keyspace) == first
    });
    same.then_some(ShardId { keyspace: KeyspaceIndex(0), shard: 0 })
}

/// The number of a server, which is entered when it is met for the first time.
fn place(servers: &mut Vec<Server>, server: &config::Server) -> Result<ServerId, TopologyError> {
    if let Some(at) = servers.iter().position(|known| known.address == server.address) {
        let known = &servers[at];
        if known.region != server.region
            || known.hint != server.role
            || known.compression != server.compression
        {
            return Err(TopologyError::Contradiction { address: server.address.to_string() });
        }
        // Named several times with different limits, the lowest holds.
        let lowest = [known.connections_max, server.connections_max].into_iter().flatten().min();
        servers[at].connections_max = lowest;
        return Ok(ServerId(at as u32));
    }
    servers.push(Server {
        address: server.address.clone(),
        region: server.region.clone(),
        hint: server.role,
        connections_max: server.connections_max,
        compression: server.compression,
        health: Health::default(),
        term: 1,
    });
    Ok(ServerId((servers.len() - 1) as u32))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn topology(keyspaces: &str) -> Result<Topology, Vec<TopologyError>> {
        let text = format!("[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n{keyspaces}");
        build(&config::parse(&text, Path::new(".")).unwrap().keyspaces)
    }

    fn keyspace(name: &str, shards: &[(&str, &str)]) -> String {
        let mut text = format!("[[keyspace]]\nname = \"{name}\"\n");
        for (range, address) in shards {
            text += "[[keyspace.shard]]\nrange = \"";
            text += range;
            text += "\"\n[[keyspace.shard.server]]\naddress = \"";
            text += address;
            text += "\"\n";
        }
        text
    }

    #[test]
    fn unsharded_keyspaces_on_one_server_are_one_server() {
        let text = keyspace("a", &[("-", "h:1")]) + &keyspace("b", &[("0", "h:1")]);
        assert!(topology(&text).unwrap().single_server().is_some());
        let text = keyspace("a", &[("-", "h:1")]) + &keyspace("b", &[("-", "h:2")]);
        assert!(topology(&text).unwrap().single_server().is_none());
    }

    #[test]
    fn shards_keep_their_servers_whatever_their_order() {
        let topology = topology(&keyspace("s", &[("80-", "h:2"), ("-80", "h:1")])).unwrap();
        let keyspace = topology.find_keyspace("s").unwrap();
        let addresses: Vec<String> = topology
            .shards(keyspace)
            .map(|s| topology.server(topology.primary(s).unwrap()).address.to_string())
            .collect();
        assert_eq!(addresses, ["h:1", "h:2"]);
        assert_eq!(topology.shard_name(topology.shard(keyspace, 1)), "s:80-");
    }

    #[test]
    fn gaps_and_contradictions_are_refused() {
        assert!(topology(&keyspace("s", &[("-40", "h:1"), ("80-", "h:2")])).is_err());
        let mut text = keyspace("a", &[("-", "h:1")]) + &keyspace("b", &[("-", "h:1")]);
        text += "role = \"replica\"\n";
        assert_eq!(topology(&text).unwrap_err().len(), 2);
    }
}
