//! Every refusal of the planner, in one list. `tests/golden/plans/unsupported.plan` has a case
//! for each.

use crate::error::{SqlError, catalog};

/// What cannot be planned, and why it is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text says it")]
pub(super) enum Refusal {
    AggregateExpression,
    AggregateFunction,
    AggregateSubquery,
    AssignVariable,
    CalcFoundRows,
    CrossKeyspace,
    CrossShardJoin,
    CrossShardSubquery,
    CrossShardTarget,
    DdlShards,
    DerivedAcrossShards,
    DistinctAcrossShards,
    GroupExpression,
    Having,
    InsertColumns,
    InsertLookup,
    InsertNoVindexColumn,
    InsertRange,
    InsertSelect,
    InsertValue,
    Into,
    Lateral,
    LimitWrite,
    LockAcrossShards,
    MultiTableWrite,
    NaturalJoin,
    OnDuplicateVindex,
    OrderExpression,
    PinnedJoin,
    QualifierRole,
    ReferenceJoinWrite,
    ReferenceWrite,
    Replace,
    ReplicaWrite,
    Returning,
    Rollup,
    SequenceShape,
    TemporaryTable,
    UnionAcrossShards,
    UnknownParts,
    UnknownTypeWrite,
    UpdateLookup,
    UpdateVindex,
    UserVariable,
    VindexFunction,
    Window,
}

impl Refusal {
    /// The text of the refusal.
    fn text(self) -> &'static str {
        match self {
            Self::AggregateExpression => "an expression over aggregates of several shards",
            Self::AggregateFunction => {
                "this aggregate function over several shards (COUNT, SUM, MIN, MAX and AVG without \
                 DISTINCT are merged)"
            }
            Self::AggregateSubquery => "aggregates over several shards together with a subquery",
            Self::AssignVariable => "assigning user variables in a statement for several shards",
            Self::CalcFoundRows => "SQL_CALC_FOUND_ROWS with LIMIT over several shards",
            Self::CrossKeyspace => "a statement over several keyspaces",
            Self::CrossShardJoin => "a join of rows that live on different shards",
            Self::CrossShardSubquery => "a subquery over rows that live on other shards",
            Self::CrossShardTarget => "a statement over several explicit shard targets",
            Self::DdlShards => "this definition statement in a sharded keyspace",
            Self::DerivedAcrossShards => {
                "LIMIT, DISTINCT, aggregates or windows in a derived table over several shards"
            }
            Self::DistinctAcrossShards => "this DISTINCT over several shards",
            Self::GroupExpression => "this GROUP BY over several shards",
            Self::Having => "HAVING over aggregates of several shards",
            Self::InsertColumns => "INSERT into a sharded table without a column list",
            Self::InsertLookup => "writes to a table with an owned lookup vindex",
            Self::InsertNoVindexColumn => "INSERT without a value for the sharding column",
            Self::InsertRange => "INSERT into several explicit shards",
            Self::InsertSelect => "INSERT .. SELECT into or from a sharded table",
            Self::InsertValue => {
                "INSERT with an expression, NULL or DEFAULT as the value of a sharding column"
            }
            Self::Into => "SELECT .. INTO over several shards",
            Self::Lateral => "LATERAL and table functions over several shards",
            Self::LimitWrite => "UPDATE or DELETE with LIMIT over several shards",
            Self::LockAcrossShards => "a named lock together with sharded tables",
            Self::MultiTableWrite => "UPDATE or DELETE of several tables over several shards",
            Self::NaturalJoin => "NATURAL JOIN of sharded tables",
            Self::OnDuplicateVindex => "ON DUPLICATE KEY UPDATE of a vindex column",
            Self::OrderExpression => "this ORDER BY over several shards",
            Self::PinnedJoin => "a join of a pinned table with a sharded one",
            Self::QualifierRole => "@primary, @replica or @rdonly in a table's qualifier",
            Self::ReferenceJoinWrite => {
                "a write to a reference table that depends on rows of sharded tables"
            }
            Self::ReferenceWrite => "a write to a reference table whose source has another name",
            Self::Replace => "REPLACE into a sharded table",
            Self::ReplicaWrite => "a write while the target is a replica",
            Self::Returning => "RETURNING over several shards",
            Self::Rollup => "WITH ROLLUP over several shards",
            Self::SequenceShape => "a sequence together with anything else",
            Self::TemporaryTable => "temporary tables in a sharded keyspace",
            Self::UnionAcrossShards => "this UNION over several shards",
            Self::UnknownParts => "a part of this statement that the parser does not understand",
            Self::UnknownTypeWrite => {
                "a write by a sharding column whose type the VSchema does not give"
            }
            Self::UpdateLookup => "changing a column of an owned lookup vindex",
            Self::UpdateVindex => "changing a sharding column",
            Self::UserVariable => "user variables in a statement for several shards",
            Self::VindexFunction => "querying a vindex as a table",
            Self::Window => "window functions over several shards",
        }
    }

    /// The error for a client.
    pub(super) fn error(self) -> SqlError {
        catalog::UNSUPPORTED.with(&[&self.text()])
    }

    /// The same as a failed result.
    pub(super) fn refuse<T>(self) -> Result<T, SqlError> {
        Err(self.error())
    }
}
