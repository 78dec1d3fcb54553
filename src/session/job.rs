//! One execution of a plan, as its steps see it.

use std::sync::Arc;

use crate::engine::plan::Primitive;
use crate::geo;
use crate::topology::{KeyspaceIndex, ShardId, Topology};

use super::consistency::Aim;
use super::statement::Statement;
use super::total::WrittenRows;

/// One execution of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) primitive: &'a Primitive,
    pub(super) statement: &'a Statement,
    pub(super) topology: &'a Arc<Topology>,
    pub(super) keyspace: KeyspaceIndex,
    /// Which servers may answer.
    pub(super) access: geo::Access,
    /// Where the insert id of the answer comes from.
    pub(super) insert_id: InsertId,
    /// How the rows that several shards have written are counted.
    pub(super) rows: WrittenRows,
    /// Whether any shard of the keyspace can answer it.
    pub(super) anywhere: bool,
}

impl<'a> Job<'a> {
    /// Where its piece for a shard is to run.
    pub(super) fn aim(&self, shard: ShardId) -> Aim<'a> {
        Aim {
            shard,
            access: self.access,
            hints: self.statement.hints.as_ref(),
            wants_insert_id: self.statement.wants_insert_id(),
            anywhere: self.anywhere,
        }
    }
}

/// Where the insert id in the answer to an INSERT comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InsertId {
    /// The server's AUTO_INCREMENT, if it has one.
    Server,
    /// The first value taken from a sequence, which LAST_INSERT_ID() gives too.
    Generated(u64),
    /// The value that the last row brought itself: told in the answer, but not by
    /// LAST_INSERT_ID().
    Given(u64),
}
