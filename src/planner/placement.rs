//! Where a statement can be answered: by one shard, by every shard for its own rows, or not at all.
//!
//! The rule: rows that meet in a join or subquery must live on the same shard. Tables are put into
//! groups whose rows meet only on equal values of the same unique vindex. One group that carries
//! the result may be spread over shards; several groups must all lead to one shard.

use std::sync::Arc;

use crate::engine::literal::{Purpose, equal_values_meet};
use crate::engine::routing::{Opcode, Operands, Routing, RoutingValue};
use crate::error::SqlError;
use crate::key::Destination;
use crate::sql::ast::Span;
use crate::vschema::vindex::Vindex;
use crate::vschema::{Strictness, Table, TableKind, name_key, same_name};

use super::analysis::{Analysis, ColumnOf, Constraint, Home, Scope, Strength, TableId, Test};
use super::choose::{Choice, Choices, choose};
use super::kinds::vindex_column;
use super::unsupported::Refusal;

/// Where to send a statement.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) keyspace: Arc<str>,
    pub(super) routing: Routing,
    /// The items of an IN list that is cut per shard.
    pub(super) items: Option<Vec<Span>>,
    /// A condition on a vindex column of unknown type was not used.
    pub(super) unknown_type: bool,
}

/// Whether conditions may narrow the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowing {
    /// By vindexes.
    ByVindexes,
    /// Not at all: every shard.
    Never,
}

impl Placement {
    fn new(keyspace: &str, routing: Routing) -> Self {
        Self { keyspace: keyspace.into(), routing, items: None, unknown_type: false }
    }
}

/// Decides for a whole statement.
pub(super) fn place(
    analysis: &mut Analysis<'_>,
    narrowing: Narrowing,
) -> Result<Placement, SqlError> {
    let tables: Vec<TableId> = (0..analysis.instances.len()).collect();
    if analysis.facts.vindex_function {
        return Refusal::VindexFunction.refuse();
    }
    let system = tables.iter().filter(|id| analysis.table(**id).is_none()).count();
    if tables.is_empty() || system == tables.len() {
        return without_tables(analysis, system > 0);
    }
    if system > 0 {
        return Refusal::CrossKeyspace.refuse();
    }
    go_to_sources(analysis)?;
    let keyspace = one_keyspace(analysis, &tables)?;
    let spread: Vec<TableId> =
        tables.iter().copied().filter(|id| is_spread(analysis, *id)).collect();
    let sharded = analysis.input.vschema.keyspace(&keyspace).is_some_and(|k| k.is_sharded());
    if !sharded {
        return Ok(Placement::new(&keyspace, Routing::unsharded()));
    }
    check_parts(analysis)?;
    if spread.is_empty() {
        return Ok(Placement::new(&keyspace, Routing::reference()));
    }
    if let Some(pinned) = pinned(analysis, &spread)? {
        return Ok(Placement::new(&keyspace, pinned));
    }
    spread_tables(analysis, &keyspace, &spread, narrowing)
}

/// Statements that name no table of the VSchema go to the session's keyspace, or to any.
fn without_tables(analysis: &Analysis<'_>, system: bool) -> Result<Placement, SqlError> {
    let input = &analysis.input;
    let default = input.target.keyspace.as_deref();
    let default = default.filter(|name| input.vschema.keyspace(name).is_some());
    let unsharded = || input.vschema.keyspaces().find(|keyspace| !keyspace.is_sharded());
    let any = || unsharded().or_else(|| input.vschema.keyspaces().next());
    let keyspace = match default {
        Some(name) => name.to_owned(),
        None => any()
            .map(|keyspace| keyspace.name().to_owned())
            .ok_or_else(|| crate::error::catalog::NO_KEYSPACE.error())?,
    };
    let routing = if system { Routing::dba() } else { Routing::reference() };
    Ok(Placement::new(&keyspace, routing))
}

/// Copies are read at their source, where every write is, unless they must be joined with rows of
/// the shards.
fn go_to_sources(analysis: &mut Analysis<'_>) -> Result<(), SqlError> {
    let source = |table: &Table| match table.kind() {
        TableKind::Reference { source } => source.clone(),
        _ => None,
    };
    let tables = || (0..analysis.instances.len()).filter_map(|id| Some((id, analysis.table(id)?)));
    let joined = tables().any(|(_, table)| table.is_sharded() && source(table).is_none());
    if joined || analysis.input.strictness == Strictness::Lenient {
        return Ok(());
    }
    let copies: Vec<_> = tables().filter_map(|(id, table)| Some((id, source(table)?))).collect();
    for (id, source) in copies {
        let vschema = analysis.input.vschema;
        let table = vschema.find_unrouted(Some(&source.keyspace), &source.name)?;
        analysis.stands_for(id, table);
    }
    Ok(())
}

/// The only keyspace of the tables. A reference table counts where its rows are copied to.
fn one_keyspace(analysis: &mut Analysis<'_>, tables: &[TableId]) -> Result<String, SqlError> {
    let name = |analysis: &Analysis<'_>, id: TableId| {
        analysis.table(id).map(|table| table.keyspace().to_owned()).unwrap_or_default()
    };
    let mut names: Vec<String> = tables.iter().map(|id| name(analysis, *id)).collect();
    names.sort();
    names.dedup();
    if let [only] = names.as_slice() {
        return Ok(only.clone());
    }
    let sharded = |name: &String| {
        !analysis.input.vschema.keyspace(name).is_some_and(|keyspace| keyspace.is_sharded())
    };
    names.sort_by_key(sharded);
    let found = names.iter().find_map(|name| Some((name, copies_in(analysis, tables, name)?)));
    let Some((keyspace, copies)) = found.filter(|_| analysis.facts.reads_only) else {
        return Refusal::CrossKeyspace.refuse();
    };
    for (id, table) in copies {
        analysis.stands_for(id, table);
    }
    Ok(keyspace.clone())
}

/// The copies that stand in a keyspace for all tables of others; `None` if one has none.
fn copies_in(
    analysis: &Analysis<'_>,
    tables: &[TableId],
    keyspace: &str,
) -> Option<Vec<(TableId, Arc<Table>)>> {
    let mut copies = Vec::new();
    for id in tables {
        let table = analysis.table(*id)?;
        if table.keyspace() == keyspace {
            continue;
        }
        let local = match (table.reference_in(keyspace), table.kind()) {
            (Some(name), _) => name,
            (None, TableKind::Reference { source: Some(source) })
                if source.keyspace == keyspace =>
            {
                source.name.as_str()
            }
            _ => return None,
        };
        copies.push((*id, analysis.input.vschema.find_unrouted(Some(keyspace), local).ok()?));
    }
    Some(copies)
}

/// Whether the table's rows are spread over shards.
fn is_spread(analysis: &Analysis<'_>, id: TableId) -> bool {
    analysis.table(id).is_some_and(|table| {
        table.is_sharded() && !matches!(table.kind(), TableKind::Reference { .. })
    })
}

/// Parts of the statement that only an unsharded keyspace may have.
fn check_parts(analysis: &Analysis<'_>) -> Result<(), SqlError> {
    let facts = &analysis.facts;
    let several = analysis.instances.len() > 1;
    let problem = [
        (facts.opaque, Refusal::UnknownParts),
        (facts.natural_join && several, Refusal::NaturalJoin),
        (facts.table_function, Refusal::Lateral),
        (facts.named_lock, Refusal::LockAcrossShards),
    ];
    match problem.into_iter().find(|(found, _)| *found) {
        Some((_, refusal)) => refusal.refuse(),
        None => Ok(()),
    }
}

/// Pinned tables live whole on one shard.
fn pinned(analysis: &Analysis<'_>, spread: &[TableId]) -> Result<Option<Routing>, SqlError> {
    let homes: Vec<_> =
        spread.iter().map(|id| analysis.table(*id).and_then(|table| table.pinned())).collect();
    let Some(first) = homes.iter().flatten().next() else { return Ok(None) };
    if homes.iter().all(|home| *home == Some(*first)) {
        return Ok(Some(Routing::destination(Destination::KeyspaceId((*first).clone()))));
    }
    Refusal::PinnedJoin.refuse()
}

fn spread_tables(
    analysis: &Analysis<'_>,
    keyspace: &str,
    spread: &[TableId],
    narrowing: Narrowing,
) -> Result<Placement, SqlError> {
    if narrowing == Narrowing::ByVindexes && is_never_true(analysis) {
        return Ok(Placement::new(keyspace, Routing::none()));
    }
    let groups = groups(analysis, spread);
    let mut unknown_type = false;
    let mut choose_for = |group: &[TableId], counts: &dyn Fn(&Constraint) -> bool| {
        let mut choices = Choices::default();
        for table in group {
            if narrowing == Narrowing::ByVindexes {
                choices.merge(choose(analysis, *table, counts));
            }
        }
        unknown_type |= choices.unknown_type;
        choices.best
    };
    let carries = |group: &[TableId]| {
        group.iter().any(|id| analysis.instances[*id].strength == Strength::Result)
    };
    if let [only] = groups.as_slice()
        && carries(only)
    {
        let best = choose_for(only, &|constraint| constraint.scope == Scope::Result);
        let single = best.as_ref().is_some_and(|best| best.opcode == Opcode::EqualUnique);
        if !single {
            check_needs(analysis)?;
        }
        return Ok(Placement { unknown_type, ..chosen(keyspace, best) });
    }
    let mut agreed: Vec<Choice> = Vec::new();
    for group in &groups {
        let counts = |constraint: &Constraint| analysis.restricts(&constraint.scope, group);
        match choose_for(group, &counts) {
            Some(choice) if choice.opcode == Opcode::EqualUnique => agreed.push(choice),
            _ => return apart(analysis, spread),
        }
    }
    if !may_agree(analysis, &agreed) {
        return apart(analysis, spread);
    }
    let routing = match agreed.as_slice() {
        [only] => Routing::vindex(only.opcode, only.finder.clone()),
        _ => Routing::agreed(agreed.into_iter().map(|choice| choice.finder).collect()),
    };
    Ok(Placement { unknown_type, ..Placement::new(keyspace, routing) })
}

fn chosen(keyspace: &str, best: Option<Choice>) -> Placement {
    match best {
        None => Placement::new(keyspace, Routing::scatter()),
        Some(choice) => {
            let routing = Routing::vindex(choice.opcode, choice.finder);
            Placement { items: choice.items, ..Placement::new(keyspace, routing) }
        }
    }
}

/// Rows that would have to meet live apart.
fn apart(analysis: &Analysis<'_>, spread: &[TableId]) -> Result<Placement, SqlError> {
    let first = spread.first().map(|id| analysis.instances[*id].block);
    let one_block = spread.iter().all(|id| Some(analysis.instances[*id].block) == first);
    if one_block && !analysis.facts.subquery {
        Refusal::CrossShardJoin.refuse()
    } else {
        Refusal::CrossShardSubquery.refuse()
    }
}

/// Over several shards, nested parts must be right on each shard alone.
fn check_needs(analysis: &Analysis<'_>) -> Result<(), SqlError> {
    for need in &analysis.needs {
        if need.tables.clone().any(|id| is_spread(analysis, id)) {
            return need.refusal.refuse();
        }
    }
    Ok(())
}

/// `column = NULL` holds for no row.
fn is_never_true(analysis: &Analysis<'_>) -> bool {
    analysis.constraints.iter().any(|constraint| {
        let null = |value: &RoutingValue| *value == RoutingValue::Null;
        constraint.scope == Scope::Result
            && match &constraint.test {
                Test::Equal(_, value) => null(value),
                Test::In(_, values, _) => values.iter().all(null),
                _ => false,
            }
    })
}

/// Different literals for the same vindex would lead to different shards.
fn may_agree(analysis: &Analysis<'_>, choices: &[Choice]) -> bool {
    let row = |choice: &Choice| match &choice.finder.operands {
        Operands::Equal(row) => row.clone(),
        _ => smallvec::SmallVec::new(),
    };
    debug_assert!(choices.iter().all(|choice| choice.finder.purpose == Purpose::Compare));
    let Some(first) = choices.first() else { return false };
    let values = row(first);
    choices.iter().all(|choice| {
        let same_vindex = Arc::ptr_eq(&choice.finder.vindex, &first.finder.vindex);
        !same_vindex
            || row(choice).iter().zip(&values).all(|pair| match pair {
                (RoutingValue::Hole(a), RoutingValue::Hole(b)) => {
                    analysis.input.may_be_same(*a, *b)
                }
                (a, b) => a == b,
            })
    })
}

/// Tables whose rows meet only on the same shard.
fn groups(analysis: &Analysis<'_>, spread: &[TableId]) -> Vec<Vec<TableId>> {
    let mut parent: Vec<TableId> = (0..analysis.instances.len()).collect();
    for equality in &analysis.equalities {
        let (left, right) = (&equality.left, &equality.right);
        if left.table != right.table && meet(analysis, left.table, right.table) {
            let (a, b) = (root(&parent, left.table), root(&parent, right.table));
            parent[a] = b;
        }
    }
    let mut groups: Vec<(TableId, Vec<TableId>)> = Vec::new();
    for table in spread {
        let root = root(&parent, *table);
        match groups.iter_mut().find(|(known, _)| *known == root) {
            Some((_, members)) => members.push(*table),
            None => groups.push((root, vec![*table])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn root(parent: &[TableId], table: TableId) -> TableId {
    let mut at = table;
    while parent[at] != at {
        at = parent[at];
    }
    at
}

/// Whether the equalities between two tables hold all columns of a unique vindex that both have.
fn meet(analysis: &Analysis<'_>, a: TableId, b: TableId) -> bool {
    let (Home::Table(left), Home::Table(right)) =
        (&analysis.instances[a].home, &analysis.instances[b].home)
    else {
        return false;
    };
    let equal = |own: &str, other: &str| {
        analysis.equalities.iter().any(|equality| {
            let is = |column: &ColumnOf, table: TableId, name: &str| {
                column.table == table && same_name(&column.name, name)
            };
            (is(&equality.left, a, own) && is(&equality.right, b, other))
                || (is(&equality.left, b, other) && is(&equality.right, a, own))
        })
    };
    left.column_vindexes().iter().any(|own| {
        own.is_unique()
            && !own.vindex.vindex.needs_lookup()
            && right.column_vindexes().iter().any(|other| {
                Arc::ptr_eq(&own.vindex, &other.vindex)
                    && own.columns.len() == other.columns.len()
                    && own.columns.iter().zip(&other.columns).all(|(x, y)| equal(x, y))
                    && same_kinds(
                        analysis,
                        &own.vindex.vindex,
                        (a, &own.columns),
                        (b, &other.columns),
                    )
            })
    })
}

/// Equal values have the same shard only if both columns turn them into the same bytes.
fn same_kinds(
    analysis: &Analysis<'_>,
    vindex: &Vindex,
    left: (TableId, &[String]),
    right: (TableId, &[String]),
) -> bool {
    let kind = |table: TableId, name: &String, position: usize| {
        let column = ColumnOf { table, name: name_key(name) };
        let strictness = analysis.input.strictness;
        vindex_column(analysis.definition(&column), vindex, position, strictness)
    };
    left.1.iter().zip(right.1).enumerate().all(|(position, (x, y))| {
        match (kind(left.0, x, position), kind(right.0, y, position)) {
            (Some(x), Some(y)) => equal_values_meet(x.kind, y.kind, x.input),
            _ => false,
        }
    })
}
