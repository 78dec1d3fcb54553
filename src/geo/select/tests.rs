//! Tables: servers as they were seen, a request, and who answers.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config;
use crate::topology::{self, Health, Identity};

/// Name, region, what was seen, latency in milliseconds, running threads.
type Seen<'a> = (&'a str, &'a str, &'a str, u64, u32);

/// Three regions; the primary is in us. Each line: name, region, what was seen. `up`, `down`,
/// `new` (untested), `lag 40`, `stopped`, `rival`; then latency in ms and running threads.
fn topology(servers: &[Seen<'_>]) -> Topology {
    let mut text = String::from(
        "[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n[[keyspace]]\nname = \"k\"\n\
         [[keyspace.shard]]\nrange = \"-\"\n",
    );
    for (at, (name, region, ..)) in servers.iter().enumerate() {
        let role = if at == 0 { "primary" } else { "replica" };
        let _ = writeln!(
            text,
            "[[keyspace.shard.server]]\naddress = \"{name}:1\"\nregion = \"{region}\"\n\
             role = \"{role}\""
        );
    }
    let config = config::parse(&text, Path::new(".")).unwrap();
    let mut topology = topology::build(&config.keyspaces).unwrap();
    let ids: Vec<ServerId> = topology.servers().map(|(id, _)| id).collect();
    for (id, (name, _, seen, latency, load)) in ids.into_iter().zip(servers) {
        let role = match (id.index(), *seen) {
            (0, _) | (_, "rival") => Role::Primary,
            _ => Role::Replica,
        };
        let lag = match *seen {
            "stopped" => Lag::Unknown(LagUnknown::ReplicationStopped),
            "lag 40" => Lag::Estimated(Duration::from_secs(40)),
            "lag 70" => Lag::Estimated(Duration::from_secs(70)),
            _ => Lag::Estimated(Duration::ZERO),
        };
        let reachability =
            if *seen == "down" { Reachability::Down("x".into()) } else { Reachability::Up };
        let health = match *seen {
            "new" => Health::default(),
            _ => Health {
                reachability,
                role: Some(role),
                lag,
                latency: Some(Duration::from_millis(*latency)),
                load: Some(*load),
                identity: Some(Identity::mysql(name)),
                ..Health::default()
            },
        };
        topology = topology.with_health(id, health);
    }
    topology
}

fn request(level: Consistency, region: Option<&Region>) -> Request<'_> {
    Request {
        access: Access::Read,
        level,
        region,
        leaving: Leaving::Allowed,
        target: None,
        lag_max: Duration::from_secs(30),
        lag_no_primary_max: Duration::from_secs(60),
        except: None,
        salt: 0,
    }
}

/// The name of the server that answers, or the id of the error.
fn answer(topology: &Topology, request: &Request<'_>) -> String {
    let keyspace = topology.find_keyspace("k").unwrap();
    match place(topology, topology.shard(keyspace, 0), request) {
        Ok(placement) => {
            let address = topology.server(placement.server()).address.to_string();
            address.trim_end_matches(":1").to_owned()
        }
        Err(error) => error.id.unwrap_or_default().to_owned(),
    }
}

const FAR: u64 = 80;

#[test]
fn levels_choose_their_servers() {
    use Consistency::{Eventual, Local, Strong};
    let cases: &[(&[Seen<'_>], Consistency, &str, &str)] = &[
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Strong, "eu", "p"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "up", FAR, 0)], Strong, "eu", "GG14003"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Local, "eu", "r"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Local, "us", "p"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Local, "ap", "GG14040"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "down", FAR, 0)], Local, "eu", "GG14040"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "lag 40", FAR, 0)], Local, "eu", "GG14040"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "stopped", FAR, 0)], Local, "eu", "GG14040"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "rival", FAR, 0)], Local, "eu", "GG14040"),
        // Without a primary nothing is newer than what the replicas have.
        (&[("p", "us", "down", 1, 0), ("r", "eu", "lag 40", FAR, 0)], Local, "eu", "r"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "lag 70", FAR, 0)], Local, "eu", "GG14040"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "stopped", FAR, 0)], Local, "eu", "GG14040"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "lag 70", FAR, 0)], Eventual, "us", "r"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "stopped", FAR, 0)], Eventual, "us", "r"),
        (&[("p", "us", "new", 0, 0), ("r", "eu", "new", 0, 0)], Local, "eu", "r"),
        // A replica of the region spares the primary.
        (&[("p", "us", "up", 1, 0), ("r", "us", "up", 1, 9)], Local, "us", "r"),
        // The primary is down and the region's replica is fresh: reads go on.
        (&[("p", "us", "down", 1, 0), ("r", "us", "up", 1, 0)], Local, "us", "r"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Eventual, "eu", "r"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)], Eventual, "us", "p"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "down", FAR, 0)], Eventual, "eu", "p"),
        (&[("p", "us", "up", 1, 0), ("r", "eu", "lag 40", FAR, 0)], Eventual, "eu", "p"),
        (&[("p", "us", "down", 1, 0), ("r", "eu", "down", FAR, 0)], Eventual, "eu", "GG14014"),
        // Nobody in the region: the nearest.
        (
            &[("p", "us", "up", 1, 0), ("a", "eu", "up", FAR, 0), ("b", "sa", "up", 20, 0)],
            Eventual,
            "ap",
            "b",
        ),
    ];
    for (servers, level, region, expected) in cases {
        let topology = topology(servers);
        let region = Region::new(region).unwrap();
        let answer = answer(&topology, &request(*level, Some(&region)));
        assert_eq!(answer, *expected, "{level:?} from {region}: {servers:?}");
    }
}

#[test]
fn writes_and_described_servers_stay_on_the_primary() {
    let topology = topology(&[("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0)]);
    let eu = Region::new("eu").unwrap();
    for level in [Consistency::Strong, Consistency::Local, Consistency::Eventual] {
        for access in [Access::Write, Access::Describe] {
            let request = Request { access, ..request(level, Some(&eu)) };
            assert_eq!(answer(&topology, &request), "p");
        }
    }
}

#[test]
fn named_replicas_answer_reads_only() {
    let servers = [("p", "us", "up", 1, 0), ("r", "eu", "up", FAR, 0), ("s", "ap", "up", 200, 0)];
    let healthy = topology(&servers);
    let us = Region::new("us").unwrap();
    let ap = Region::new("ap").unwrap();
    let replica = |region| Request {
        target: Some(TargetRole::Replica),
        ..request(Consistency::Strong, Some(region))
    };
    assert_eq!(answer(&healthy, &replica(&us)), "r");
    assert_eq!(answer(&healthy, &replica(&ap)), "s");
    let describe = Request { access: Access::Describe, ..replica(&us) };
    assert_eq!(answer(&healthy, &describe), "r");
    let write = Request { access: Access::Write, ..replica(&us) };
    assert_eq!(answer(&healthy, &write), "GG09040");
    let primary =
        Request { target: Some(TargetRole::Primary), ..request(Consistency::Local, Some(&ap)) };
    assert_eq!(answer(&healthy, &primary), "p");
    let r = healthy.servers().nth(1).unwrap().0;
    assert_eq!(answer(&healthy, &Request { except: Some(r), ..replica(&us) }), "s");
    let none = topology(&[("p", "us", "up", 1, 0), ("r", "eu", "stopped", FAR, 0)]);
    assert_eq!(answer(&none, &replica(&us)), "GG14041");
}

#[test]
fn nearest_only_does_not_leave_the_region() {
    let topology = topology(&[("p", "us", "up", 1, 0), ("r", "eu", "down", FAR, 0)]);
    let eu = Region::new("eu").unwrap();
    let stay = Request { leaving: Leaving::Forbidden, ..request(Consistency::Eventual, Some(&eu)) };
    assert_eq!(answer(&topology, &stay), "GG14040");
}

#[test]
fn equal_servers_share_and_loaded_ones_rest() {
    let us = Region::new("us").unwrap();
    let counts = |servers: &[Seen<'_>]| {
        let topology = topology(servers);
        let mut counts = [0; 3];
        for salt in 0..1000 {
            let request = Request { salt, ..request(Consistency::Eventual, Some(&us)) };
            let name = answer(&topology, &request);
            counts[servers.iter().position(|s| s.0 == name).unwrap()] += 1;
        }
        counts
    };
    let equal = [("p", "us", "up", 1, 0), ("r", "us", "up", 1, 4), ("s", "us", "up", 1, 4)];
    let [none, a, b] = counts(&equal);
    assert!(none == 0 && a > 200 && b > 200, "{a} {b}");
    let loaded = [("p", "us", "up", 1, 0), ("r", "us", "up", 1, 40), ("s", "us", "up", 1, 4)];
    assert_eq!(counts(&loaded), [0, 0, 1000]);
}

#[test]
fn without_regions_every_server_is_local() {
    let text = "[vschema]\npath = \"v\"\n[backend]\nuser = \"u\"\n[[keyspace]]\nname = \"k\"\n\
                [[keyspace.shard]]\n[[keyspace.shard.server]]\naddress = \"p:1\"\n";
    let config = config::parse(text, Path::new(".")).unwrap();
    let topology = topology::build(&config.keyspaces).unwrap();
    assert_eq!(answer(&topology, &request(Consistency::Local, None)), "p");
}

/// Goal: an error says of each server where it is and why it does not answer, and names no address.
#[test]
fn errors_say_why_of_each_server() {
    let topology = topology(&[
        ("p", "us", "down", 1, 0),
        ("r", "eu", "lag 70", FAR, 0),
        ("s", "ap", "down", FAR, 0),
    ]);
    let keyspace = topology.find_keyspace("k").unwrap();
    let shard = topology.shard(keyspace, 0);
    let text = |level, region: &Region| {
        let error = place(&topology, shard, &request(level, Some(region))).unwrap_err();
        String::from_utf8(error.message).unwrap()
    };
    let local = text(Consistency::Local, &Region::new("eu").unwrap());
    assert!(
        local.contains(
            "no server in region eu can answer for shard k:-: the one in us is in another region; \
             the one in eu is behind by more than limits.replica_lag_no_primary_max_ms; the one in \
             ap is in another region"
        ),
        "{local}"
    );
    assert!(!local.contains(":1"), "{local}");
}
