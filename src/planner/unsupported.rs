//! Every refusal of the planner, in one list, each with the advice that is right for it.
//! `tests/golden/plans` has a case for each: `unsupported.plan`, and `shard_target_writes.plan` and
//! `reference_tables.plan` for theirs; those that need the servers' columns stand in the blackbox
//! tests.
//!
//! "USE keyspace:shard" is advice only where one shard gives the whole answer, or where the
//! statement is about each server: it is no way around a refusal of rows of several shards.

use crate::error::{SqlError, catalog};
use crate::sql::parse::ParseError;
use crate::sql::statement_kind::StatementKind;

/// Writes the enum and the words from one table, so that none is without advice.
macro_rules! refusals {
    ($($name:ident = $text:literal, $advice:literal;)*) => {
        /// What cannot be planned, and why it is not tried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the text says it")]
        pub(super) enum Refusal {
            $($name,)*
        }

        impl Refusal {
            /// The text of the refusal, and what to do instead.
            fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$name => ($text, $advice),)*
                }
            }
        }
    };
}

refusals! {
    AggregateExpression = "an expression over aggregates of several shards",
        "select the aggregates alone and compute the expression from them";
    AggregateFunction = "this aggregate function over several shards (COUNT, SUM, MIN, MAX and \
        AVG without DISTINCT are merged)",
        "select the rows, or DISTINCT values, and aggregate those";
    AggregateSubquery = "aggregates over several shards together with a subquery",
        "run the subquery as a statement of its own and put its value in";
    AssignVariable = "assigning user variables in a statement for several shards",
        "SET the variable in a statement of its own";
    CalcFoundRows = "SQL_CALC_FOUND_ROWS with LIMIT over several shards",
        "ask for the number with SELECT COUNT(*)";
    CopiesColumns = "a write to a table with copies that have other columns",
        "give source and copies the same columns, each by USE keyspace:shard";
    CopiesDatabase = "dropping a database that has tables with copies in other keyspaces, or copies of \
        theirs, or is not named plainly",
        "take the reference tables out of the VSchema first, and name the database without comments";
    CopiesDefinition = "this definition of a reference table with a source: other copies would not \
        follow",
        "DELETE its rows and INSERT others; or run it at the source and on every shard, each by \
         USE keyspace:shard";
    CopiesDiffer = "a write to a table with copies that may do something else to each of them",
        "write literals or parameters for every column that servers fill themselves, without \
         functions, PARTITION, LIMIT, IGNORE, RETURNING, or ON DUPLICATE KEY UPDATE";
    CopiesUnknown = "a write to a table with copies, whose columns are not known",
        "give Geogate's account the right to read the table, or list its columns in the VSchema \
         and in the statement";
    CopiesView = "a write to a view that may show rows of a table with copies, or to such a table by \
        another spelling of its name",
        "write the table itself, by its name in the VSchema";
    CopiesUnread = "this write to a table with copies, which cannot be read",
        "write with INSERT .. VALUES, UPDATE or DELETE";
    CrossKeyspace = "a statement over several keyspaces",
        "send one statement to each keyspace";
    CrossShardJoin = "a join of rows that live on different shards",
        "join on the sharding columns, or read one table first and put its values in";
    CrossShardSubquery = "a subquery over rows that live on other shards",
        "run the subquery as a statement of its own and put its values in";
    CrossShardTarget = "a statement over several explicit shard targets",
        "name the same shard in every qualifier, or none";
    DdlShards = "this definition statement in a sharded keyspace",
        "create a table and fill it in two steps; a view must give each shard's part of the answer";
    DerivedAcrossShards = "LIMIT, DISTINCT, aggregates or windows in a derived table over several \
        shards",
        "run the inner query as a statement of its own";
    DistinctAcrossShards = "this DISTINCT over several shards",
        "list plain columns behind DISTINCT";
    ForeignTypeWrite = "a write by a sharding column whose type at the servers is none that rows are \
        routed by, such as UUID",
        "make it a column of integers, of VARBINARY, or of text with a binary collation, and tell \
         so in the VSchema";
    GeneratedColumn = "a write that stores a sharding column which servers generate from others",
        "shard by a column that is not generated; under USE keyspace:shard \
         /*vt+ ALLOW_MISPLACED=1 */ does it unchecked";
    GroupExpression = "this GROUP BY over several shards",
        "group by plain columns of the select list";
    Having = "HAVING over aggregates of several shards",
        "leave HAVING out and choose among the groups that come";
    InsertColumns = "INSERT into a sharded table without a column list",
        "name the columns before VALUES";
    InsertLookup = "writes to a table with an owned lookup vindex",
        "write each shard's rows under USE keyspace:shard, and those of the lookup table yourself";
    InsertNoVindexColumn = "INSERT without a value for the sharding column",
        "give each row a value for it";
    InsertRange = "INSERT into several explicit shards",
        "USE the keyspace, which routes each row, or one of its shards";
    InsertSelect = "INSERT .. SELECT into or from a sharded table",
        "select the rows first, then insert them with VALUES";
    InsertValue = "INSERT with an expression, NULL or DEFAULT as the value of a sharding column",
        "give it as a literal or parameter";
    Into = "SELECT .. INTO over several shards",
        "select the rows without INTO";
    Lateral = "LATERAL and table functions over several shards",
        "run the inner query as a statement of its own";
    LimitWrite = "UPDATE or DELETE with LIMIT over several shards",
        "select the keys with LIMIT first, then write the rows that have them";
    LockAcrossShards = "a named lock together with sharded tables",
        "take the lock in a statement of its own";
    LockOwner = "IS_USED_LOCK() beside CONNECTION_ID(), which is no number of the servers",
        "ask IS_FREE_LOCK() whether somebody has it";
    MultiTableWrite = "UPDATE or DELETE of several tables over several shards",
        "select the keys first, then write the rows that have them";
    NaturalJoin = "NATURAL JOIN of sharded tables",
        "name the columns in JOIN .. USING";
    OnDuplicateVindex = "ON DUPLICATE KEY UPDATE of a vindex column",
        "leave that column out of ON DUPLICATE KEY UPDATE";
    OrderExpression = "this ORDER BY over several shards",
        "order by columns of the select list";
    PinnedJoin = "a join of a pinned table with a sharded one",
        "read one table first and put its values in";
    QualifierRole = "@primary, @replica or @rdonly in a table's qualifier",
        "USE keyspace@replica chooses the servers";
    ReferenceJoinWrite = "a write to a reference table that depends on other rows",
        "select those rows first, then write with literals or parameters";
    ReferenceWrite = "a write to a reference table whose source has another name or is sharded",
        "give the copies the name of the source; until then write source and copies, each by \
         USE keyspace:shard";
    Replace = "REPLACE into a sharded table",
        "write INSERT .. ON DUPLICATE KEY UPDATE, or DELETE and INSERT in one transaction";
    ReplicaWrite = "a write while the target is a replica",
        "USE the keyspace without the role, or with @primary";
    Returning = "RETURNING over several shards",
        "select the rows in a statement of its own";
    Rollup = "WITH ROLLUP over several shards",
        "leave WITH ROLLUP out and add the groups up";
    ShardsDiffer = "a write by a sharding column that the shards define differently",
        "give the column the same definition on every shard, each by USE keyspace:shard";
    ShardsDifferSort = "sorting or grouping rows of several shards by a column that they define \
        differently",
        "give the column the same definition on every shard, each by USE keyspace:shard";
    SecondVindex = "a write to the columns of a second vindex that is no lookup",
        "keep one such vindex of the table in the VSchema; until then write the rows that belong \
         to a shard by each of them under USE keyspace:shard";
    RoutedDefinition = "a definition under a name that routing rules lead to another table",
        "name the table itself, with its keyspace";
    RoutedQualifier = "a subquery beside columns that are qualified with a name that routing rules \
        lead to another table",
        "give the table an alias, or leave the qualifiers out";
    RoutedUnread = "this statement with a name that routing rules lead to another table",
        "name the table itself, with its keyspace";
    SequenceShape = "a sequence together with anything else",
        "ask with SELECT NEXT VALUE FROM sequence, and nothing beside it";
    TargetColumns = "INSERT into a shard target without a column list, into a table whose columns \
        are not known",
        "name the columns before VALUES";
    TargetCreateSelect = "CREATE TABLE with rows of a query under a shard target, which may belong \
        to other shards",
        "create the table first, then insert the rows with VALUES; \
         /*vt+ ALLOW_MISPLACED=1 */ does it unchecked";
    TargetInsertSelect = "INSERT .. SELECT under a shard target, whose rows may belong to other \
        shards",
        "select the rows first, then insert them with VALUES; \
         /*vt+ ALLOW_MISPLACED=1 */ does it unchecked";
    TargetKeyspace = "a table of another keyspace than the shard target's",
        "USE its keyspace first";
    TargetPortion = "DELETE FOR PORTION OF under a shard target, whose remaining rows may belong to \
        other shards",
        "DELETE the rows without it and INSERT what remains of them with VALUES; \
         /*vt+ ALLOW_MISPLACED=1 */ does it unchecked";
    TargetUnknownTable = "a write under a shard target to a name that is no table of the VSchema, \
        and perhaps a view",
        "write the table by its name in the VSchema; for a temporary table, or one that only this \
         shard has, /*vt+ ALLOW_MISPLACED=1 */ does it unchecked";
    TargetUnread = "this write under a shard target, which cannot be read: its rows may belong to \
        other shards",
        "write with INSERT .. VALUES, UPDATE or DELETE; /*vt+ ALLOW_MISPLACED=1 */ does it \
         unchecked";
    TargetUpdate = "UPDATE of sharding columns under a shard target without a literal or parameter \
        for each of them",
        "DELETE the row and INSERT it with the new values; /*vt+ ALLOW_MISPLACED=1 */ does it \
         unchecked";
    TemporaryTable = "temporary tables in a sharded keyspace",
        "make it in an unsharded keyspace";
    TouchedColumn = "changing a row whose sharding column has ON UPDATE CURRENT_TIMESTAMP",
        "DELETE the row and INSERT it with the new values, in one transaction";
    UnionAcrossShards = "this UNION over several shards",
        "run each SELECT as a statement of its own";
    UnknownParts = "a part of this statement that the parser does not understand",
        "write that part another way";
    UnknownTypeWrite = "a write by a sharding column whose type the VSchema does not give",
        "give the column's type in the VSchema";
    UpdateLookup = "changing a column of an owned lookup vindex",
        "change the row under USE keyspace:shard, and that of the lookup table yourself";
    UpdateVindex = "changing a sharding column",
        "DELETE the row and INSERT it with the new value, in one transaction";
    UserVariable = "user variables in a statement for several shards",
        "put the value in, or bind it as a parameter";
    VindexFunction = "querying a vindex as a table",
        "the command geogate vindex shows the shard of a value";
    Window = "window functions over several shards",
        "select the rows in order, without the window function";
}

/// The error for a statement that has to be read, and cannot be.
pub fn unread(error: &ParseError, kind: StatementKind) -> SqlError {
    match error {
        // A first word that no server knows either.
        ParseError::Unsupported { .. } if kind == StatementKind::Other => {
            catalog::SYNTAX.with(&[error])
        }
        ParseError::Unsupported { gap, .. } => catalog::UNSUPPORTED.advising(&[&gap.0], gap.1),
        ParseError::Lex(_) | ParseError::Syntax { .. } => catalog::SYNTAX.with(&[error]),
    }
}

impl Refusal {
    /// The error for a client.
    pub(super) fn error(self) -> SqlError {
        let (text, advice) = self.words();
        catalog::UNSUPPORTED.advising(&[&text], advice)
    }

    /// The same about something that only this statement has.
    pub(super) fn about(self, what: &str) -> SqlError {
        let (text, advice) = self.words();
        catalog::UNSUPPORTED.advising(&[&format!("{text}: {what}")], advice)
    }

    /// The same as a failed result.
    pub(super) fn refuse<T>(self) -> Result<T, SqlError> {
        Err(self.error())
    }
}
