//! How many file descriptors the limits of the configuration add up to, and whether the system
//! gives them. Who runs out of them while serving can neither accept clients nor reach servers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::StartError;
use crate::config::{Config, Limits};
use crate::topology::Topology;

/// The socket, and the handle with which it is shut.
const OF_A_SERVER_CONNECTION: u64 = 2;
/// Beside the pool: monitor, readers of columns and of stored programs, KILL.
const BESIDE_A_POOL: u64 = 8;
/// Poll, wake-up and signals of a worker's runtime.
const OF_A_WORKER: u64 = 8;
/// Standard streams, listeners, VSchema and state files, other threads.
const OF_THE_PROCESS: u64 = 64;
/// With fewer clients a proxy is of no use.
const CLIENTS_MIN: u64 = 16;

/// What all limits together need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    clients: u64,
    logins: u64,
    servers: u64,
    others: u64,
}

impl Need {
    fn of(config: &Config, topology: &Topology) -> Self {
        let limits = &config.limits;
        let servers = topology.servers().map(|(_, server)| {
            let connections = server.connections_max.unwrap_or(limits.server_connections_max);
            (connections as u64)
                .saturating_mul(OF_A_SERVER_CONNECTION)
                .saturating_add(BESIDE_A_POOL)
        });
        let control = config.control.map_or(0, |_| limits.control_connections_max as u64);
        Self {
            clients: limits.client_connections_max as u64,
            logins: limits.client_logins_max as u64,
            servers: servers.fold(0, u64::saturating_add),
            others: control + config.workers as u64 * OF_A_WORKER + OF_THE_PROCESS,
        }
    }

    fn sum(&self) -> u64 {
        let all = [self.clients, self.logins, self.servers, self.others];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// The clients and logins for which there is room among `allowed` descriptors.
    fn fit(&self, allowed: u64) -> Option<(u64, u64)> {
        if self.sum() <= allowed {
            return Some((self.clients, self.logins));
        }
        let room = allowed.saturating_sub(self.servers).saturating_sub(self.others);
        let logins = self.logins.min(room / 4);
        let clients = self.clients.min(room - logins);
        (clients >= CLIENTS_MIN.min(self.clients) && logins > 0).then_some((clients, logins))
    }
}

/// Raises the soft limit to the hard one. Where even that is too little, the limits for clients
/// are lowered with a warning: the servers' connections come first, because clients wait for them.
pub(super) fn provide(config: &Config, topology: &Topology) -> Result<Limits, StartError> {
    let need = Need::of(config, topology);
    let allowed = raise();
    let mut limits = config.limits.clone();
    let (sum, Need { clients, logins, servers, others }) = (need.sum(), need);
    let figures = format!(
        "{sum} file descriptors are needed (client_connections_max {clients}, client_logins_max \
         {logins}, servers {servers}, others {others}) and {allowed} may be open"
    );
    let help = "raise the hard limit (LimitNOFILE= of systemd, --ulimit nofile= of docker, ulimit \
                -Hn), or lower these limits";
    let Some((clients, logins)) = need.fit(allowed) else {
        return Err(StartError(format!("error: {figures}\n   = help: {help}")));
    };
    if (clients, logins) != (need.clients, need.logins) {
        limits.client_connections_max = clients as usize;
        limits.client_logins_max = logins as usize;
        tracing::warn!(
            client_connections_max = clients,
            client_logins_max = logins,
            help,
            "limits are lowered: {figures}"
        );
    }
    Ok(limits)
}

/// How many may be open after all that may be done about it.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // No limit is written as none.
    let now = if raised.is_ok() { maximum } else { current };
    now.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_come_first() {
        let need = Need { clients: 10_000, logins: 1_000, servers: 520, others: 150 };
        let cases = [
            (20_000, Some((10_000, 1_000))),
            (11_670, Some((10_000, 1_000))),
            (11_669, Some((9_999, 1_000))),
            (1_024, Some((266, 88))),
            (700, Some((23, 7))),
            (680, None),
            (256, None),
        ];
        for (allowed, fits) in cases {
            assert_eq!(need.fit(allowed), fits, "{allowed}");
        }
        let few = Need { clients: 3, ..need };
        assert_eq!(few.fit(700), Some((3, 7)));
    }
}
