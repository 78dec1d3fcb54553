//! SHOW SERVERS, REGIONS, KEYSPACES and VITESS_SHARDS: what the proxy knows of its servers, as
//! columns and rows. Pure: the topology is a snapshot.

use std::time::Duration;

use crate::region::Region;
use crate::sql::control::show::ShowKind;
use crate::topology::{Lag, Reachability, Role, Server, ServerId, Topology};

use super::region::Geography;
use super::reply::{Column, Kind};

/// A result set of text.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// The answer to a SHOW about the topology; `None` if it is about something else. `like` filters
/// by the first column.
pub(super) fn show_topology(
    kind: ShowKind,
    topology: &Topology,
    geography: &Geography,
    like: Option<&[u8]>,
) -> Option<Table> {
    let mut table = match kind {
        ShowKind::Servers => servers(topology),
        ShowKind::Regions => regions(topology, geography),
        ShowKind::Keyspaces => keyspaces(topology, "Keyspace"),
        ShowKind::Databases => keyspaces(topology, "Database"),
        ShowKind::VitessShards => shards(topology),
        _ => return None,
    };
    if let Some(pattern) = like {
        let first = |row: &Vec<Option<String>>| row.first().cloned().flatten().unwrap_or_default();
        table.rows.retain(|row| is_like(first(row).as_bytes(), pattern));
    }
    Some(table)
}

fn keyspaces(topology: &Topology, title: &'static str) -> Table {
    let rows = topology.keyspaces().map(|(_, keyspace)| vec![Some(keyspace.name.to_string())]);
    Table { columns: vec![Column::new(title, Kind::Text(64))], rows: rows.collect() }
}

fn shards(topology: &Topology) -> Table {
    let all = topology.keyspaces().flat_map(|(index, _)| topology.shards(index));
    let rows = all.map(|shard| {
        // vtgate writes keyspace/shard; USE takes that form too.
        vec![Some(topology.shard_name(shard).replacen(':', "/", 1))]
    });
    Table { columns: vec![Column::new("Shards", Kind::Text(128))], rows: rows.collect() }
}

/// One row for each shard that a server holds, because its role may differ.
fn servers(topology: &Topology) -> Table {
    let text = |name| Column::new(name, Kind::Text(64));
    let columns = vec![
        text("Server"),
        text("Shard"),
        text("Region"),
        text("Role"),
        text("State"),
        text("Lag"),
        text("Latency_ms"),
        Column::new("Load", Kind::Integer),
        Column::new("Epoch", Kind::Integer),
        Column::new("Service", Kind::Text(512)),
    ];
    let mut rows = Vec::new();
    for shard in topology.all_shards() {
        for id in topology.holders(shard) {
            let server = topology.server(*id);
            let is_primary = topology.primary(shard) == Some(*id);
            let rival = topology.rivals(shard).any(|rival| rival == *id);
            let role = if is_primary { Role::Primary } else { server.role() };
            rows.push(vec![
                Some(server.address.to_string()),
                Some(topology.shard_name(shard)),
                server.region.as_ref().map(Region::to_string),
                Some(role.name().to_owned()),
                Some(if rival { "rival".to_owned() } else { state(server) }),
                Some(lag(server)),
                server.health.latency.map(milliseconds),
                server.health.load.map(|load| load.to_string()),
                topology.record(shard).map(|record| record.epoch.to_string()),
                Some(topology.describe_standing(shard, *id)),
            ]);
        }
    }
    Table { columns, rows }
}

fn regions(topology: &Topology, geography: &Geography) -> Table {
    let columns = vec![
        Column::new("Region", Kind::Text(64)),
        Column::new("Local", Kind::Text(3)),
        Column::new("Servers", Kind::Integer),
        Column::new("Up", Kind::Integer),
        Column::new("Latency_ms", Kind::Text(64)),
    ];
    let mut names: Vec<&Region> = geography.regions.iter().collect();
    for (_, server) in topology.servers() {
        names.extend(server.region.as_ref().filter(|region| !names.contains(region)));
    }
    let rows = names.into_iter().map(|region| {
        let here = || servers_in(topology, region);
        let up = here().filter(|(_, server)| is_up(server)).count();
        let local = geography.local.as_ref() == Some(region);
        vec![
            Some(region.to_string()),
            Some(if local { "yes" } else { "no" }.to_owned()),
            Some(here().count().to_string()),
            Some(up.to_string()),
            latency_of(topology, region).map(milliseconds),
        ]
    });
    Table { columns, rows: rows.collect() }
}

/// The servers of a region.
fn servers_in<'a>(
    topology: &'a Topology,
    region: &'a Region,
) -> impl Iterator<Item = (ServerId, &'a Server)> {
    topology.servers().filter(move |(_, server)| server.region.as_ref() == Some(region))
}

/// Round trip to the nearest server of a region that answers.
pub(super) fn latency_of(topology: &Topology, region: &Region) -> Option<Duration> {
    let up = servers_in(topology, region).filter(|(_, server)| is_up(server));
    up.filter_map(|(_, server)| server.health.latency).min()
}

/// Whether a server answers its monitor.
pub(super) fn is_up(server: &Server) -> bool {
    server.health.reachability == Reachability::Up
}

fn state(server: &Server) -> String {
    match &server.health.reachability {
        Reachability::Untested => "untested".to_owned(),
        Reachability::Up => "up".to_owned(),
        Reachability::Down(reason) => format!("down: {reason}"),
    }
}

/// Whole seconds, as servers tell it, or why it is not known.
fn lag(server: &Server) -> String {
    match server.health.lag {
        Lag::Estimated(lag) => format!("{} s", lag.as_secs()),
        Lag::Unknown(reason) => format!("unknown: {}", reason.reason()),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

/// LIKE on ASCII without regard to case: `%` any bytes, `_` one byte, `\` takes the next as it is.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'%', rest @ ..] => (0..=text.len()).any(|start| is_like(&text[start..], rest)),
        [b'_', rest @ ..] => !text.is_empty() && is_like(&text[1..], rest),
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => match text {
            [first, tail @ ..] => first.eq_ignore_ascii_case(byte) && is_like(tail, rest),
            [] => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::topology::{self, Health, Identity, LagUnknown};

    const CONFIG: &str = r#"
        [proxy]
        region = "us"
        [vschema]
        path = "v"
        [backend]
        user = "u"
        [[region]]
        name = "us"
        [[region]]
        name = "eu"
        [[keyspace]]
        name = "shop"
        [[keyspace.shard]]
        range = "-80"
        [[keyspace.shard.server]]
        address = "a:1"
        region = "us"
        [[keyspace.shard.server]]
        address = "b:1"
        region = "eu"
        role = "replica"
        [[keyspace.shard]]
        range = "80-"
        [[keyspace.shard.server]]
        address = "c:1"
        region = "us"
        [[keyspace]]
        name = "catalog"
        [[keyspace.shard]]
        [[keyspace.shard.server]]
        address = "d:1"
        region = "us"
    "#;

    fn rows(kind: ShowKind, like: Option<&[u8]>) -> Vec<String> {
        let config = config::parse(CONFIG, std::path::Path::new(".")).unwrap();
        let topology = topology::build(&config.keyspaces).unwrap();
        let health = |role, lag, latency| Health {
            reachability: Reachability::Up,
            role: Some(role),
            identity: Some(Identity::mysql(role.name())),
            lag,
            latency: Some(Duration::from_micros(latency)),
            load: Some(3),
            ..Health::default()
        };
        let ids: Vec<ServerId> = topology.servers().map(|(id, _)| id).collect();
        let stopped = Lag::Unknown(LagUnknown::NotAReplica);
        let behind = Lag::Estimated(Duration::from_secs(2));
        let topology = topology
            .with_health(ids[0], health(Role::Primary, stopped, 400))
            .with_health(ids[1], health(Role::Replica, behind, 80_000));
        let table = show_topology(kind, &topology, &Geography::new(&config), like)
            .expect("a topology list");
        let cell = |cell: &Option<String>| cell.clone().unwrap_or("NULL".into());
        let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join("|");
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        table.rows.iter().map(row).collect()
    }

    #[test]
    fn lists_have_a_row_for_everything() {
        assert_eq!(
            rows(ShowKind::Servers, None),
            [
                "a:1|shop:-80|us|primary|up|unknown: it does not replicate|0.4|3|1|in service",
                "b:1|shop:-80|eu|replica|up|2 s|80.0|3|1|replica",
                "c:1|shop:80-|us|primary|untested|unknown: not observed yet|NULL|NULL|NULL|\
                 in service",
                "d:1|catalog:-|us|primary|untested|unknown: not observed yet|NULL|NULL|NULL|\
                 in service",
            ]
        );
        assert_eq!(rows(ShowKind::Regions, None), ["us|yes|3|1|0.4", "eu|no|1|1|80.0"]);
        assert_eq!(rows(ShowKind::Keyspaces, None), ["shop", "catalog"]);
        assert_eq!(rows(ShowKind::Databases, Some(b"SH%")), ["shop"]);
        assert_eq!(rows(ShowKind::VitessShards, None), ["shop/-80", "shop/80-", "catalog/-"]);
    }

    #[test]
    fn like_patterns() {
        for (text, pattern, expected) in [
            ("shop", "shop", true),
            ("shop", "s%", true),
            ("shop", "_hop", true),
            ("shop", "%o_", true),
            ("shop", "", false),
            ("sXhop", "s\\_hop", false),
            ("s_hop", "s\\_hop", true),
        ] {
            assert_eq!(is_like(text.as_bytes(), pattern.as_bytes()), expected, "{text} {pattern}");
        }
    }
}
