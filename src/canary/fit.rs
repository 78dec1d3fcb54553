//! Whether a VSchema and the configured keyspaces fit together.
//!
//! Pins and the bytes that region vindexes make always have a shard: a shard map covers every
//! keyspace id by construction.

use crate::topology::Topology;
use crate::vschema::VSchema;

/// What does not fit, one text a problem; none if all does.
pub fn fit(vschema: &VSchema, topology: &Topology) -> Vec<String> {
    let mut problems = Vec::new();
    let configured: Vec<&str> = topology.keyspaces().map(|(_, k)| &*k.name).collect();
    for keyspace in vschema.keyspaces() {
        let name = keyspace.name();
        let Some(index) = topology.find_keyspace(name) else {
            problems.push(format!(
                "keyspace '{name}' of the VSchema has no servers\n   = help: add a [[keyspace]] \
                 with name = \"{name}\" to the configuration, which has: {}",
                configured.join(", ")
            ));
            continue;
        };
        let shards = topology.keyspace(index).shard_map().len();
        if !keyspace.is_sharded() && shards > 1 {
            problems.push(format!(
                "keyspace '{name}' is unsharded in the VSchema but has {shards} shards in the \
                 configuration\n   = help: write \"sharded\": true with vindexes, or give it one \
                 shard"
            ));
        }
    }
    for name in configured {
        if vschema.keyspace(name).is_none() {
            problems.push(format!(
                "keyspace '{name}' of the configuration is not in the VSchema\n   = help: add \
                 {name}.json to the VSchema folder; {{\"sharded\": false}} takes every table"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::vschema::{Sources, Strictness};
    use crate::{config, topology};

    #[test]
    fn every_misfit_is_told() {
        let text = r#"
            [vschema]
            path = "v"
            [backend]
            user = "u"
            [[keyspace]]
            name = "a"
            [[keyspace.shard]]
            range = "-80"
            [[keyspace.shard.server]]
            address = "h:1"
            [[keyspace.shard]]
            range = "80-"
            [[keyspace.shard.server]]
            address = "h:2"
            [[keyspace]]
            name = "b"
            [[keyspace.shard]]
            [[keyspace.shard.server]]
            address = "h:3"
        "#;
        let config = config::parse(text, Path::new(".")).unwrap();
        let topology = topology::build(&config.keyspaces).unwrap();
        let fits = |text: &str| {
            let sources = Sources::from_text("all.json", text);
            fit(&sources.validate(Strictness::Strict).vschema.unwrap(), &topology)
        };
        let good = r#"{"keyspaces": {"a": {"sharded": true}, "b": {"sharded": true}}}"#;
        assert_eq!(fits(good), Vec::<String>::new());
        let bad = r#"{"keyspaces": {"a": {"sharded": false}, "c": {"sharded": false}}}"#;
        let problems = fits(bad);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("keyspace 'a' is unsharded"), "{problems:?}");
        assert!(problems[1].starts_with("keyspace 'c' of the VSchema has no servers"));
        assert!(problems[2].starts_with("keyspace 'b' of the configuration"));
    }
}
