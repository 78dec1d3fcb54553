//! Which server takes a shard's writes.
//!
//! Decided anew with every observation, from what the servers say of themselves and what is
//! remembered of the shard's primary ([`PrimaryRecord`]). A server that is writable and follows
//! nobody claims to be the primary. The remembered one stays while it claims; another one is
//! believed when the remembered one has stopped to claim and the other has all that it had shown,
//! or when it is gone. Then it must be remembered before it goes into service. Former primaries
//! are held off until they follow the one in service. The configuration's role counts only while
//! nothing is remembered. Nothing here promotes a server.

use super::{Identity, PrimaryRecord, Reachability, Role, Server, ServerId};
use crate::config::{RoleHint, SplitBrain};
use crate::gtid::Gtids;

/// Who answers for a shard as its primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// This server. It may be down: then nobody has taken its place yet.
    Primary(ServerId),
    /// Several servers are writable, so nothing is written. Reads go on where a primary was in
    /// service before.
    Split {
        /// The primary in service.
        primary: Option<ServerId>,
    },
    /// None.
    Absent(Absence),
}

/// Why a shard has no primary in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The servers were not all looked at yet.
    NotSeen,
    /// The server that the configuration names is down, for this reason.
    Down(String),
    /// No server is writable and follows no other.
    NoneWritable,
    /// The only writable server was primary before another one was.
    OnlyFormer,
    /// The only writable server lacks these transactions of the primary in service, which lives.
    Lacks(Gtids),
    /// The only writable server has no transaction of the remembered primary: it was set up by
    /// itself.
    Stranger,
    /// There is one, but it cannot be written down that it is.
    Unremembered,
}

impl Absence {
    /// The reason for clients and operators, after "the primary cannot be reached".
    pub fn reason(&self) -> String {
        match self {
            Self::NotSeen => "its servers were not all looked at yet".to_owned(),
            Self::Down(reason) => reason.clone(),
            Self::NoneWritable => {
                "none of its servers is writable and follows no other; promote one".to_owned()
            }
            Self::OnlyFormer => "its only writable server was primary in an older epoch; promote \
                                 another, or geogate servers admit it"
                .to_owned(),
            Self::Lacks(missing) => format!(
                "its only writable server lacks transactions of the primary before ({}), which is \
                 alive; let it catch up, or geogate servers admit it",
                shortened(missing)
            ),
            Self::Stranger => "its only writable server has none of the transactions of the \
                               primary before; geogate servers admit it if it is the right one"
                .to_owned(),
            Self::Unremembered => {
                "a new one cannot be written down in the state folder (control.state)".to_owned()
            }
        }
    }
}

/// GTIDs for a message, which may be many.
pub fn shortened(gtids: &Gtids) -> String {
    const CHARS_MAX: usize = 300;
    let text = gtids.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// What a server may do for one of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the primary in service.
    InService,
    /// It is no primary: its rows may be read if they are fresh.
    Replica,
    /// It is writable beside the primary, or instead of one: nothing is sent to it.
    Rival,
    /// It was primary in an older epoch and does not follow the one in service: nothing is sent
    /// to it.
    Former {
        /// Its epoch.
        epoch: u64,
        /// Its transactions that the primary in service has not.
        beyond: Option<Gtids>,
    },
}

/// What follows from the observations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// Who is the primary until `remember` is remembered.
    pub(super) service: Service,
    /// Of each holder.
    pub(super) standings: Vec<Standing>,
    /// What must be remembered before anything else follows.
    pub(super) remember: Option<PrimaryRecord>,
}

/// Decides about a shard that `holders` hold.
pub(super) fn decide(
    servers: &[Server],
    holders: &[ServerId],
    record: Option<&PrimaryRecord>,
    policy: SplitBrain,
) -> Decision {
    if let [only] = holders {
        // There is nothing to choose; what it refuses, it says itself.
        let standings = vec![Standing::InService];
        return Decision { service: Service::Primary(*only), standings, remember: None };
    }
    let election = Election { servers, holders, record, policy };
    let (service, successor) = match record {
        None => election.first(),
        Some(record) => election.next(record),
    };
    let in_service = match service {
        Service::Primary(id) => Some(id),
        Service::Split { primary } => primary,
        Service::Absent(_) => None,
    };
    let standing = |id: &ServerId| election.standing(*id, in_service);
    let standings = holders.iter().map(standing).collect();
    let remember = successor.or_else(|| election.returned(in_service));
    Decision { service, standings, remember }
}

struct Election<'a> {
    servers: &'a [Server],
    holders: &'a [ServerId],
    record: Option<&'a PrimaryRecord>,
    policy: SplitBrain,
}

/// The service, and the record of a primary that has to be remembered first.
type Outcome = (Service, Option<PrimaryRecord>);

impl Election<'_> {
    fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.index()]
    }

    fn all(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.holders.iter().map(|id| (*id, self.server(*id)))
    }

    /// Servers that claim to be the primary and were not primary before.
    fn candidates(&self) -> Vec<(ServerId, &Server, &Identity)> {
        let known = |server: &Server| {
            self.record
                .is_some_and(|record| record.names(server) || record.former(server).is_some())
        };
        let claims = self.all().filter(|(_, server)| claims(server) && !known(server));
        claims.filter_map(|(id, s)| s.health.identity.as_ref().map(|who| (id, s, who))).collect()
    }

    /// Nothing is remembered: a claim is enough, and the configuration decides between two if that
    /// is wanted.
    fn first(&self) -> Outcome {
        let hinted = self.all().find(|(_, server)| server.hint == RoleHint::Primary);
        let is_hinted = |id: ServerId| hinted.is_some_and(|(hinted, _)| hinted == id);
        let candidates = self.candidates();
        let chosen = match &candidates[..] {
            [only] => *only,
            [] => return (Service::Absent(nobody(hinted.map(|(_, server)| server))), None),
            _ if self.policy == SplitBrain::Refuse => {
                return (Service::Split { primary: None }, None);
            }
            several => match several.iter().find(|(id, ..)| is_hinted(*id)) {
                Some(hinted) => *hinted,
                None => return (Service::Split { primary: None }, None),
            },
        };
        let untested = |server: &Server| server.health.reachability == Reachability::Untested;
        if !is_hinted(chosen.0) && hinted.is_some_and(|(_, server)| untested(server)) {
            return (Service::Absent(Absence::NotSeen), None);
        }
        let record = PrimaryRecord::next(None, chosen.1, chosen.2, None);
        (Service::Absent(Absence::Unremembered), Some(record))
    }

    /// A primary is remembered.
    fn next(&self, record: &PrimaryRecord) -> Outcome {
        let named = || self.all().filter(|(_, server)| record.names(server));
        let there = |server: &Server| server.address == record.address;
        // It may have another address now; the one that answers is it.
        let rank = |server: &Server| (is_down(server), !there(server));
        let present = named().min_by_key(|(_, server)| rank(server));
        match present {
            Some((_, server)) if server.health.reachability == Reachability::Untested => {
                (Service::Absent(Absence::NotSeen), None)
            }
            Some((id, server)) if claims(server) => {
                let rivals = self.all().any(|(other, server)| other != id && claims(server));
                if rivals && self.policy == SplitBrain::Refuse {
                    (Service::Split { primary: Some(id) }, None)
                } else {
                    (Service::Primary(id), None)
                }
            }
            Some((id, server)) if is_down(server) => self.succeed(record, Gone::Yes(Some(id))),
            Some((_, server)) => self.succeed(record, Gone::No(server)),
            None => self.succeed(record, Gone::Yes(None)),
        }
    }

    /// The remembered primary does not claim to be it any more: who takes its place.
    fn succeed(&self, record: &PrimaryRecord, gone: Gone<'_>) -> Outcome {
        let mut shown = record.shown.clone();
        if let Gone::No(Server { health, .. }) = gone
            && let Some(position) = &health.position
        {
            shown =
                Some(shown.map_or_else(|| position.shown.clone(), |s| s.union(&position.shown)));
        }
        let candidates = self.candidates();
        let chosen = match &candidates[..] {
            [] => return (self.vacant(&gone), None),
            [only] => Some(only),
            several => self.preferred(record, several, shown.as_ref()),
        };
        let Some((_, server, identity)) = chosen else {
            return (Service::Split { primary: None }, None);
        };
        let has = server.health.position.as_ref().map(|position| &position.has);
        let missing = missing(shown.as_ref(), server);
        let admitted = record.admitted.contains(identity);
        let absence = match (&missing, &shown, has) {
            _ if admitted => None,
            (Some(missing), ..) if matches!(gone, Gone::No(_)) => {
                Some(Absence::Lacks(missing.clone()))
            }
            (Some(_), Some(shown), Some(has)) if !identity.has_history_of(has, shown) => {
                Some(Absence::Stranger)
            }
            _ => None,
        };
        if let Some(absence) = absence {
            return (Service::Absent(absence), None);
        }
        let record = PrimaryRecord::next(Some(record), server, identity, missing);
        (Service::Absent(Absence::Unremembered), Some(record))
    }

    /// The one of several candidates that is taken: whom an operator has admitted, or, where the
    /// operator wants that it goes on, the first that lacks nothing.
    fn preferred<'c, 's>(
        &self,
        record: &PrimaryRecord,
        several: &'c [(ServerId, &'s Server, &'s Identity)],
        shown: Option<&Gtids>,
    ) -> Option<&'c (ServerId, &'s Server, &'s Identity)> {
        let mut admitted = several.iter().filter(|(.., who)| record.admitted.contains(who));
        match (admitted.next(), admitted.next(), self.policy) {
            (Some(only), None, _) => Some(only),
            (None, _, SplitBrain::Keep) => {
                several.iter().find(|(_, server, _)| missing(shown, server).is_none())
            }
            _ => None,
        }
    }

    /// Nobody claims the place of the remembered primary.
    fn vacant(&self, gone: &Gone<'_>) -> Service {
        match gone {
            // Reads wait for it, and errors say why it does not answer.
            Gone::Yes(Some(id)) => Service::Primary(*id),
            _ if self.all().any(|(_, server)| claims(server)) => {
                Service::Absent(Absence::OnlyFormer)
            }
            _ => Service::Absent(Absence::NoneWritable),
        }
    }

    fn standing(&self, id: ServerId, in_service: Option<ServerId>) -> Standing {
        let server = self.server(id);
        if in_service == Some(id) {
            return Standing::InService;
        }
        match self.record.and_then(|record| record.former(server)) {
            Some(epoch) => {
                let beyond = in_service.and_then(|id| beyond(server, self.server(id)));
                Standing::Former { epoch, beyond }
            }
            None if claims(server) => Standing::Rival,
            None => Standing::Replica,
        }
    }

    /// The record without a former primary that follows the one in service now, if there is one.
    /// One that has rows of its own besides stays off until somebody says otherwise.
    fn returned(&self, in_service: Option<ServerId>) -> Option<PrimaryRecord> {
        let (record, primary) = (self.record?, self.server(in_service?));
        let back = self.all().find_map(|(_, server)| {
            let identity = server.health.identity.as_ref()?;
            record.former(server)?;
            let follows = self.follows(server, primary, self.holders.len());
            (follows && beyond(server, primary).is_none()).then_some(identity)
        })?;
        Some(record.without_former(back))
    }

    /// Whether a server follows the primary, by way of at most `steps` others that may be read.
    fn follows(&self, server: &Server, primary: &Server, steps: usize) -> bool {
        let up = server.health.reachability == Reachability::Up;
        up && steps > 0
            && server.health.sources.iter().any(|source| {
                let is = |at: &Server| {
                    let identity = at.health.identity.as_ref();
                    identity.is_some_and(|identity| identity.is_source(&at.address, source))
                };
                let held_off = |at: &Server| self.record.is_some_and(|r| r.former(at).is_some());
                let between =
                    |at: &Server| is(at) && !held_off(at) && self.follows(at, primary, steps - 1);
                is(primary) || self.all().any(|(_, at)| between(at))
            })
    }
}

/// Why nobody claims to be the primary where the configuration expects this one.
fn nobody(expected: Option<&Server>) -> Absence {
    match expected.map(|server| (&server.health.reachability, server.health.role)) {
        Some((Reachability::Untested, _)) => Absence::NotSeen,
        Some((Reachability::Down(reason), None | Some(Role::Primary))) => {
            Absence::Down(reason.clone())
        }
        _ => Absence::NoneWritable,
    }
}

/// What a server lacks of what a primary has shown. What is not known cannot be compared.
fn missing(shown: Option<&Gtids>, server: &Server) -> Option<Gtids> {
    let has = &server.health.position.as_ref()?.has;
    Some(shown?.missing_from(has)).filter(|missing| !missing.is_empty())
}

/// Transactions that a server has and the primary has not, as far as is known.
fn beyond(server: &Server, primary: &Server) -> Option<Gtids> {
    let (own, its) = (server.health.position.as_ref()?, primary.health.position.as_ref()?);
    let (server, primary) = (&server.health.identity, &primary.health.identity);
    own.beyond(server.as_ref()?, its, primary.as_ref()?)
}

/// What became of the remembered primary.
#[derive(Clone, Copy)]
enum Gone<'a> {
    /// It does not answer, or none of the servers is it.
    Yes(Option<ServerId>),
    /// It lives, and takes no writes.
    No(&'a Server),
}

/// Whether a server says, or is expected to say, that it takes writes.
pub(super) fn claims(server: &Server) -> bool {
    server.health.role == Some(Role::Primary) && !is_down(server)
}

fn is_down(server: &Server) -> bool {
    matches!(server.health.reachability, Reachability::Down(_))
}

#[cfg(test)]
mod tests;
