//! Which server takes a shard's writes.
//!
//! The choice is made anew with every observation, from what the servers say of themselves: one
//! that is writable and follows nobody claims to be the primary. The primary of before stays as
//! long as it claims to be: an old primary that comes back writable after a failover would have
//! other rows than the new one. Nothing here promotes a server.

use super::{Reachability, Role, Server, ServerId};
use crate::config::RoleHint;

/// Whether a server says, or is expected to say, that it takes writes.
pub(super) fn claims(server: &Server) -> bool {
    server.role() == Role::Primary && !is_down(server)
}

/// The primary among `holders`, where `incumbent` is that of before.
///
/// The incumbent stays while it claims to be the primary. Else the server that claims it; of
/// several the one that the configuration names, else the first. If there is none, an incumbent
/// that does not answer stays, because nobody has taken its place; one that was demoted does not.
pub(super) fn elect(
    servers: &[Server],
    holders: &[ServerId],
    incumbent: Option<ServerId>,
) -> Option<ServerId> {
    let server = |id: ServerId| &servers[id.index()];
    if let [only] = holders {
        // There is nothing to choose; what it refuses, it says itself.
        return Some(*only);
    }
    if incumbent.is_some_and(|id| claims(server(id))) {
        return incumbent;
    }
    let claimants = || holders.iter().copied().filter(|id| claims(server(*id)));
    claimants()
        .find(|id| server(*id).hint == RoleHint::Primary)
        .or_else(|| claimants().next())
        .or_else(|| incumbent.filter(|id| is_down(server(*id))))
        .or_else(|| {
            let expected = |id: &ServerId| {
                server(*id).health.role != Some(Role::Replica) && is_down(server(*id))
            };
            let mut expected = holders.iter().copied().filter(expected);
            expected.find(|id| server(*id).hint == RoleHint::Primary)
        })
}

fn is_down(server: &Server) -> bool {
    matches!(server.health.reachability, Reachability::Down(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::topology::Health;

    /// A server written as hint and what was seen: `P?` untested, `PP` up as primary, `PR` up as
    /// replica, `P!` down and last seen as primary, `R!` down and last seen as replica.
    fn server(text: &str) -> Server {
        let (hint, seen) = text.split_at(1);
        let hint = if hint == "P" { RoleHint::Primary } else { RoleHint::Replica };
        let (reachability, role) = match seen {
            "?" => (Reachability::Untested, None),
            "P" => (Reachability::Up, Some(Role::Primary)),
            "R" => (Reachability::Up, Some(Role::Replica)),
            "!" if hint == RoleHint::Primary => {
                (Reachability::Down(String::new()), Some(Role::Primary))
            }
            _ => (Reachability::Down(String::new()), Some(Role::Replica)),
        };
        let address = Address::Tcp("h".into(), 1);
        let health = Health { reachability, role, ..Health::default() };
        Server { address, region: None, hint, connections_max: None, compression: None, health }
    }

    #[test]
    fn the_primary_follows_the_claims() {
        let cases: &[(&[&str], Option<u32>, Option<u32>)] = &[
            (&["P?", "R?"], None, Some(0)),
            (&["PP", "RR"], None, Some(0)),
            // Failover: the old one is down, then another takes writes.
            (&["P!", "RR"], Some(0), Some(0)),
            (&["P!", "RP"], Some(0), Some(1)),
            // The old one comes back writable: the new one stays.
            (&["PP", "RP"], Some(1), Some(1)),
            // Nobody was primary before: the configuration decides between two.
            (&["RP", "PP"], None, Some(1)),
            // A demoted primary takes no writes, whatever the configuration says.
            (&["PR", "RR"], Some(0), None),
            (&["PR", "RP"], Some(0), Some(1)),
            (&["PR", "RR"], None, None),
            (&["P!", "RR"], None, Some(0)),
            // A server without others is asked whatever it is.
            (&["PR"], None, Some(0)),
        ];
        for (texts, incumbent, expected) in cases {
            let servers: Vec<Server> = texts.iter().map(|text| server(text)).collect();
            let holders: Vec<ServerId> = (0..servers.len() as u32).map(ServerId).collect();
            let chosen = elect(&servers, &holders, incumbent.map(ServerId));
            assert_eq!(chosen, expected.map(ServerId), "{texts:?} after {incumbent:?}");
        }
    }
}
