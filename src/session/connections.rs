//! A session's connections to servers: what they agree on, the transaction over them, and what they
//! remember of the session's statements.

use std::sync::Arc;

use crate::backend::{Profile, Stake};
use crate::config::Limits;
use crate::engine::budget::Budget;
use crate::executor::registry::Control;
use crate::executor::stalled::Servers;
use crate::memory::Reservation;
use crate::topology::{ServerId, ShardId, Topology};

use super::Services;
use super::diagnostics::Diagnosed;
use super::hold::Pending;
use super::last_values::LastValues;
use super::mirror::Mirror;
use super::shard_connections::ShardConnections;
use super::tracking::Tracked;
use super::transaction::Transaction;

/// Whether statements have to be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All keyspaces are unsharded and held by the same servers: every statement can go to any
    /// shard of them as it is.
    Single(ShardId),
    /// There are several servers.
    Several,
}

impl Mode {
    /// The mode of sessions in front of these servers.
    pub(super) fn of(topology: &Topology) -> Self {
        topology.single_server().map_or(Self::Several, Self::Single)
    }

    /// The shard that every statement can go to.
    pub(super) fn only(self) -> Option<ShardId> {
        match self {
            Self::Single(shard) => Some(shard),
            Self::Several => None,
        }
    }

    pub(super) fn is_single(self) -> bool {
        self != Self::Several
    }

    pub(super) fn is_several(self) -> bool {
        self == Self::Several
    }
}

/// The connections of a session.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) services: Arc<Services>,
    /// The limits that held when the session began.
    pub(super) limits: Arc<Limits>,
    pub(super) control: Arc<Control>,
    pub(super) worker: usize,
    pub(super) mode: Mode,
    pub(super) profile: Profile,
    /// What they agree on.
    pub(super) mirror: Mirror,
    pub(super) transaction: Transaction,
    pub(super) attached: ShardConnections,
    /// What hangs on the statement that runs.
    pub(super) stake: Stake,
    /// The server where a read of this command was lost: it is run again elsewhere, once.
    pub(super) lost_at: Option<ServerId>,
    /// Another server can do what is placed now as well, so it does not wait for one that falls
    /// silent.
    pub(super) expendable: bool,
    /// What the statement that runs may leave behind at the server.
    pub(super) pending: Option<Box<Pending>>,
    /// What the statements before left behind.
    pub(super) diagnosed: Diagnosed,
    /// Who knows LASTVAL() of the sequences that numbers were taken from.
    pub(super) last_values: LastValues,
    /// Savepoints were counted in `held`.
    pub(super) has_savepoints: bool,
    /// For what it remembers of the session's state.
    pub(super) held: Reservation,
    /// Session state changes that go with the next OK of Geogate's own.
    pub(super) tracked: Tracked,
}

impl Connections {
    /// What a merge for the client may keep in memory.
    pub(super) fn budget(&self) -> Budget {
        let limits = &self.limits;
        Budget::of(limits.merge_rows_max, limits.merge_bytes_max, &self.control.account)
    }

    /// The servers to which there is one.
    pub(super) fn servers(&self) -> Servers {
        self.attached.iter().map(|attached| attached.placement.server()).collect()
    }

    /// None yet, for a session with this control handle on a worker.
    pub(super) fn new(
        services: Arc<Services>,
        control: Arc<Control>,
        worker: usize,
        profile: Profile,
        mirror: Mirror,
        tracked: Tracked,
    ) -> Self {
        Self {
            held: control.account.nothing(),
            has_savepoints: false,
            mode: Mode::of(&services.topology()),
            limits: services.limits.load_full(),
            services,
            control,
            worker,
            profile,
            mirror,
            transaction: Transaction::None { next: None },
            attached: ShardConnections::default(),
            stake: Stake::Commit,
            lost_at: None,
            expendable: false,
            pending: None,
            diagnosed: Diagnosed::default(),
            last_values: LastValues::default(),
            tracked,
        }
    }

    /// Begins a command: what is not known of it is that it may commit.
    pub(super) fn begin_stake(&mut self) {
        self.stake = Stake::Commit;
        self.lost_at = None;
        self.expendable = false;
    }
}
