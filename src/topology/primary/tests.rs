//! Tables: what is remembered, what is seen, and who is in service.

use std::sync::Arc;

use super::*;
use crate::config::Address;
use crate::topology::{Former, Health, Position, Source};

fn identity(id: u32) -> Identity {
    Identity::MariaDb { server_id: id, gtid_domain_id: 0 }
}

fn gtids(text: &str) -> Gtids {
    Gtids::mariadb(text).unwrap()
}

/// A server written as hint and what is seen, and then words: `PP` up and writable, `PR` up and
/// read-only, `P!` down, `P?` untested; `#7` another identity than the number of its place,
/// `@0-1-5` its transactions, `<2` it follows the server with that number, `unseen` it has shown no
/// identity yet.
fn server(place: u32, text: &str) -> Server {
    let mut words = text.split(' ');
    let (hint, seen) = words.next().unwrap().split_at(1);
    let hint = if hint == "P" { RoleHint::Primary } else { RoleHint::Replica };
    let (reachability, role) = match seen {
        "?" => (Reachability::Untested, None),
        "P" => (Reachability::Up, Some(Role::Primary)),
        "R" => (Reachability::Up, Some(Role::Replica)),
        _ => (Reachability::Down("gone".into()), Some(Role::Primary)),
    };
    let mut health = Health {
        reachability,
        role,
        identity: (seen != "?").then(|| identity(place)),
        ..Health::default()
    };
    for word in words {
        match word.split_at(1) {
            ("#", id) => health.identity = Some(identity(id.parse().unwrap())),
            ("@", list) => {
                // A state has entries of several servers, the position is the last one.
                let last = list.rsplit('+').next().unwrap();
                let (shown, has) = (gtids(last), gtids(&list.replace('+', ",")));
                health.position = Some(Arc::new(Position { shown, has }));
            }
            ("<", id) => {
                let server = id.parse().unwrap();
                let source = Source::MariaDb { server, host: "h".into(), port: server as u16 };
                health.sources = Arc::new([source]);
            }
            _ => health.identity = None,
        }
    }
    let address = Address::Tcp("h".into(), place as u16);
    Server {
        address,
        region: None,
        hint,
        connections_max: None,
        compression: None,
        health,
        term: 1,
    }
}

/// What is remembered: `1` the server in service; then `former 2` and `admitted 3` and `@0-1-5`.
fn record(text: &str) -> Option<PrimaryRecord> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let id: u32 = words.next()?.parse().unwrap();
    let mut record = PrimaryRecord {
        epoch: 5,
        identity: identity(id),
        address: Address::Tcp("h".into(), id as u16),
        shown: None,
        lost: None,
        former: Vec::new(),
        admitted: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "former" => {
                let id: u32 = words.next().unwrap().parse().unwrap();
                let address = Address::Tcp("h".into(), id as u16);
                record.former.push(Former { epoch: 4, identity: identity(id), address });
            }
            "admitted" => record.admitted.push(identity(words.next().unwrap().parse().unwrap())),
            shown => record.shown = Some(gtids(shown.strip_prefix('@').unwrap())),
        }
    }
    Some(record)
}

/// What follows, in a word or two; servers are counted from 1.
fn outcome(seen: &[&str], remembered: &str, policy: SplitBrain) -> String {
    let servers: Vec<Server> =
        seen.iter().enumerate().map(|(at, text)| server(at as u32 + 1, text)).collect();
    let holders: Vec<ServerId> = (0..servers.len() as u32).map(ServerId).collect();
    let before = record(remembered);
    let decision = decide(&servers, &holders, before.as_ref(), policy);
    let service = match &decision.service {
        Service::Primary(id) => format!("{}", id.index() + 1),
        Service::Split { primary: Some(id) } => format!("split {}", id.index() + 1),
        Service::Split { primary: None } => "split".to_owned(),
        Service::Absent(Absence::NotSeen) => "not seen".to_owned(),
        Service::Absent(Absence::Down(_)) => "down".to_owned(),
        Service::Absent(Absence::NoneWritable) => "none".to_owned(),
        Service::Absent(Absence::OnlyFormer) => "only former".to_owned(),
        Service::Absent(Absence::Lacks(missing)) => format!("lacks {missing}"),
        Service::Absent(Absence::Stranger) => "stranger".to_owned(),
        Service::Absent(Absence::Unremembered) => String::new(),
    };
    let Some(next) = decision.remember else { return service };
    let epoch = before.as_ref().map_or(0, |record| record.epoch);
    if next.epoch == epoch {
        let back = before.unwrap().former.len() - next.former.len();
        return format!("{service} and {back} back");
    }
    assert_eq!(next.epoch, epoch + 1);
    let Identity::MariaDb { server_id, .. } = next.identity else { unreachable!() };
    let lost = next.lost.map_or_else(String::new, |lost| format!(" lost {lost}"));
    format!("{service}take {server_id}{lost}")
}

#[test]
fn nothing_is_remembered() {
    let cases: &[(&[&str], &str)] = &[
        (&["P?", "R?"], "not seen"),
        (&["PP", "R?"], "take 1"),
        (&["PP", "RR"], "take 1"),
        (&["P!", "RR"], "down"),
        (&["PR", "RR"], "none"),
        // A failover before the first start.
        (&["P!", "RP"], "take 2"),
        (&["PR", "RP"], "take 2"),
        // The one that the configuration names was not looked at yet.
        (&["P?", "RP"], "not seen"),
        (&["PP", "RP"], "split"),
        // Who does not say who it is cannot be remembered.
        (&["PP unseen", "RR"], "none"),
        // A server without others is asked whatever it is.
        (&["PR"], "1"),
        (&["P!"], "1"),
    ];
    for (seen, expected) in cases {
        assert_eq!(outcome(seen, "", SplitBrain::Refuse), *expected, "{seen:?}");
    }
    assert_eq!(outcome(&["RP", "PP"], "", SplitBrain::Keep), "take 2");
}

#[test]
fn a_primary_is_remembered() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["PP", "RR"], "1", "1"),
        // The configuration's role does not count any more.
        (&["PR", "RP"], "2", "2"),
        (&["P?", "RP"], "1", "not seen"),
        // It is down: it stays until another has taken its place.
        (&["P!", "RR"], "1", "1"),
        (&["P! unseen", "RR"], "1", "1"),
        (&["P!", "RP @0-1-9+0-2-12"], "1 @0-1-9", "take 2"),
        (&["P!", "RP"], "1", "take 2"),
        (&["P!", "RP @0-1-9"], "1", "take 2"),
        // What is missing is lost with it.
        (&["P!", "RP @0-1-7"], "1 @0-1-9", "take 2 lost 0-1-9"),
        (&["P!", "RP @0-1-7+0-2-30"], "1 @0-1-9", "take 2 lost 0-1-9"),
        // One that was set up by itself.
        (&["P!", "RP @0-2-30"], "1 @0-1-9", "stranger"),
        (&["P!", "RP @0-2-30"], "1 @0-1-9 admitted 2", "take 2 lost 0-1-9"),
        // It lives and is demoted.
        (&["PR @0-1-9", "RR"], "1", "none"),
        (&["PR @0-1-9", "RP @0-1-9"], "1 @0-1-8", "take 2"),
        (&["PR @0-1-9", "RP @0-1-8"], "1 @0-1-8", "lacks 0-1-9"),
        (&["PR @0-1-9", "RP @0-1-8"], "1 @0-1-8 admitted 2", "take 2 lost 0-1-9"),
        (&["PR", "RP @0-1-8"], "1 @0-1-9", "lacks 0-1-9"),
        // Another server answers at its address.
        (&["PP #9 @0-9-3", "RR"], "1 @0-1-9", "stranger"),
        (&["PP #9 @0-1-9", "RR"], "1 @0-1-9", "take 9"),
        (&["PR #9", "RP @0-1-9"], "1 @0-1-9", "take 2"),
        // It has another address now.
        (&["PP #2 @0-2-9", "RP #1"], "1 former 2", "split 2"),
        (&["PR #2 @0-2-9", "RP #1"], "1 former 2", "2"),
        // It answers at another address, and not at its old one.
        (&["P!", "RP #1"], "1", "2"),
        // Two have been promoted.
        (&["P!", "RP @0-1-9", "RP @0-1-9"], "1 @0-1-9", "split"),
        (&["PR", "RP @0-1-9", "RP @0-1-9"], "1 @0-1-9", "split"),
        (&["PR", "RP @0-1-9", "RP @0-1-9"], "1 @0-1-9 admitted 3", "take 3"),
    ];
    for (seen, remembered, expected) in cases {
        let outcome = outcome(seen, remembered, SplitBrain::Refuse);
        assert_eq!(outcome, *expected, "{seen:?} after {remembered}");
    }
}

#[test]
fn former_primaries_are_held_off() {
    use SplitBrain::{Keep, Refuse};
    let cases: &[(&[&str], &str, SplitBrain, &str)] = &[
        // It comes back writable.
        (&["PP", "RP"], "2 former 1", Refuse, "split 2"),
        (&["PP", "RP"], "2 former 1", Keep, "2"),
        (&["PR", "RP"], "2 former 1", Refuse, "2"),
        // It follows the one in service, or one that does.
        (&["PR <2", "RP"], "2 former 1", Refuse, "2 and 1 back"),
        (&["PR <3", "RP", "RR <2"], "2 former 1", Refuse, "2 and 1 back"),
        (&["PR <3", "RP", "RR"], "2 former 1", Refuse, "2"),
        // It has what the one in service has not.
        (&["PR <2 @0-1-9", "RP @0-1-9+0-2-12"], "2 former 1", Refuse, "2 and 1 back"),
        (&["PR <2 @0-1-9+0-2-14", "RP @0-1-9+0-2-12"], "2 former 1", Refuse, "2 and 1 back"),
        (&["PR <2 @0-1-10+0-2-14", "RP @0-1-9+0-2-12"], "2 former 1", Refuse, "2"),
        (&["PR <3", "RP", "RR <1"], "2 former 1", Refuse, "2"),
        // Two former ones that follow each other.
        (&["PR <3", "RP", "RR <1"], "2 former 1 former 3", Refuse, "2"),
        // It is no candidate, whatever happens to the one in service.
        (&["PP", "R!"], "2 former 1", Refuse, "2"),
        (&["PP", "RR"], "2 former 1", Refuse, "only former"),
        (&["PP", "RR"], "2 admitted 1", Refuse, "take 1"),
        // One that was not seen yet is known by its address.
        (&["P! unseen", "R!"], "2 former 1", Refuse, "2"),
        // Another server at its address is another server.
        (&["PP #9 @0-2-5", "R!"], "2 former 1", Refuse, "take 9"),
        // Nobody is in service and two would be: the one that lacks nothing.
        (&["P!", "RP @0-1-8", "RP @0-1-9"], "1 @0-1-9", Keep, "take 3"),
        (&["P!", "RP @0-1-8", "RP @0-1-8"], "1 @0-1-9", Keep, "split"),
        // A rival that never was in service.
        (&["PP", "RP"], "1", Refuse, "split 1"),
        (&["PP", "RP"], "1", Keep, "1"),
    ];
    for (seen, remembered, policy, expected) in cases {
        let outcome = outcome(seen, remembered, *policy);
        assert_eq!(outcome, *expected, "{seen:?} after {remembered}");
    }
}

#[test]
fn standings_say_who_may_be_read() {
    let standings = |seen: &[&str], remembered: &str| {
        let servers: Vec<Server> =
            seen.iter().enumerate().map(|(at, text)| server(at as u32 + 1, text)).collect();
        let holders: Vec<ServerId> = (0..servers.len() as u32).map(ServerId).collect();
        decide(&servers, &holders, record(remembered).as_ref(), SplitBrain::Refuse).standings
    };
    let seen = standings(&["PR @0-1-9", "RP @0-1-7+0-2-8", "RP", "RR"], "2 former 1");
    let beyond = Some(gtids("0-1-9"));
    let expected = [
        Standing::Former { epoch: 4, beyond },
        Standing::InService,
        Standing::Rival,
        Standing::Replica,
    ];
    assert_eq!(seen, expected);
    // Before it was looked at.
    assert_eq!(
        standings(&["P?", "RP"], "2 former 1")[0],
        Standing::Former { epoch: 4, beyond: None }
    );
}
