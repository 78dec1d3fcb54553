//! What operators are told of shards and their servers, in words.

use super::{Reachability, ServerId, Service, ShardId, Standing, Topology, shortened};

impl Standing {
    /// Its name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InService => "in_service",
            Self::Replica => "replica",
            Self::Rival => "rival",
            Self::Former { .. } => "former",
        }
    }
}

impl Topology {
    /// What a server may do for a shard, and why no more.
    pub fn describe_standing(&self, shard: ShardId, id: ServerId) -> String {
        let split = matches!(self.service(shard), Service::Split { .. });
        match self.standing(shard, id) {
            Standing::InService if split => {
                "in service for reads; writes are stopped: another server is writable".to_owned()
            }
            Standing::InService => "in service".to_owned(),
            Standing::Replica => "replica".to_owned(),
            Standing::Rival => "held off: it is writable although it is not the primary".to_owned(),
            Standing::Former { epoch, beyond } => {
                let beyond = beyond.as_ref().map_or_else(String::new, |beyond| {
                    let gtids = shortened(beyond);
                    format!(", and has transactions that the present one has not: {gtids}")
                });
                format!(
                    "held off: it was the primary of epoch {epoch} and does not follow the present \
                     one{beyond}"
                )
            }
        }
    }

    /// Why writes to a shard cannot be answered; `None` if they can.
    pub fn primary_problem(&self, shard: ShardId) -> Option<String> {
        let name = self.shard_name(shard);
        match self.service(shard) {
            Service::Primary(id) => match &self.server(*id).health.reachability {
                Reachability::Down(reason) => {
                    Some(format!("shard {name} has no primary: it is down ({reason})"))
                }
                Reachability::Untested | Reachability::Up => None,
            },
            Service::Split { .. } => Some(format!(
                "split brain in shard {name}: several of its servers are writable, so writes are \
                 stopped"
            )),
            Service::Absent(absence) => {
                Some(format!("shard {name} has no primary: {}", absence.reason()))
            }
        }
    }
}
