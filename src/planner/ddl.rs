//! Plans for data definition: every shard of the keyspace gets the statement.

use std::sync::Arc;

use crate::engine::plan::{Access, Copies, Operation, Plan, Primitive, Route, StatementKind};
use crate::engine::routing::Routing;
use crate::engine::template::{QueryTemplate, Replacement};
use crate::error::{SqlError, catalog};
use crate::sql::ast::{Ddl, DdlKind, ObjectName, Span};
use crate::vschema::{TableKind, TableName};

use super::analysis::{Analysis, Strength, quoted};
use super::bypass::check_write;
use super::copies;
use super::input::PlanInput;
use super::placement::{Narrowing, place};
use super::routed;
use super::select::WalkedQuery;
use super::unsupported::Refusal;

pub(super) fn plan(ddl: &Ddl, input: &PlanInput<'_>) -> Result<Plan, SqlError> {
    check_write(Access::Write, input)?;
    let mut analysis = Analysis::new(*input);
    let (keyspace, own_name) = match routed_table(ddl, input)? {
        Some(TableName { keyspace, name }) => (keyspace.into(), Some(name)),
        None => (one_keyspace(ddl, input)?, None),
    };
    for name in &ddl.tables {
        if let Some(own) = &own_name {
            analysis.splices.push((name.name.span, Replacement::Text(quoted(own).into())));
        }
        if name.keyspace.is_some() {
            let span = Span { start: name.span.start, end: name.name.span.start };
            analysis.splices.push((span, Replacement::Text("".into())));
        }
    }
    if own_name.is_none() {
        copies::check_definition(ddl, &keyspace, input)?;
    }
    let sharded = input.vschema.keyspace(&keyspace).is_some_and(|k| k.is_sharded());
    if sharded && ddl.temporary {
        return Refusal::TemporaryTable.refuse();
    }
    if let Some(query) = &ddl.query {
        if sharded {
            // Each shard's view shows its own rows, which is right only if the shards' answers
            // put together are the whole answer.
            let walked = WalkedQuery::walk(&mut analysis, query)?;
            let (primitive, placement) = walked.plan(&mut analysis, Narrowing::Never)?;
            if !matches!(primitive, Primitive::Route(_)) || *placement.keyspace != *keyspace {
                return Refusal::DdlShards.refuse();
            }
        } else {
            analysis.query(query, None, Strength::Result)?;
            if *place(&mut analysis, Narrowing::Never)?.keyspace != *keyspace
                && !analysis.instances.is_empty()
            {
                return Refusal::CrossKeyspace.refuse();
            }
        }
    }
    let routing = if sharded { Routing::scatter() } else { Routing::unsharded() };
    let names: Vec<&str> = ddl.tables.iter().map(|table| table.name.text.as_str()).collect();
    let route = Route {
        operation: Operation::Ddl,
        keyspace,
        table: names.join(", "),
        routing,
        query: QueryTemplate::new(analysis.placed_splices()?),
        generate: None,
        copies: Copies::default(),
    };
    let root = Primitive::Route(Box::new(route));
    Ok(super::finish(&analysis, StatementKind::Ddl, Access::Write, root))
}

/// Where a routing rule leads the name of a table that is to be emptied. Other definitions are made
/// under a table's own name.
fn routed_table(ddl: &Ddl, input: &PlanInput<'_>) -> Result<Option<TableName>, SqlError> {
    for name in &ddl.tables {
        let Some(to) = routed::elsewhere(name, input)? else { continue };
        let table = input.vschema.find_unrouted(Some(&to.keyspace), &to.name)?;
        let is_copied = matches!(table.kind(), TableKind::Reference { .. })
            || copies::has_copies(input, &table);
        if ddl.kind != DdlKind::TruncateTable || ddl.tables.len() != 1 || is_copied {
            return Refusal::RoutedDefinition.refuse();
        }
        return Ok(Some(to));
    }
    Ok(None)
}

/// The keyspace of all objects that the statement names.
fn one_keyspace(ddl: &Ddl, input: &PlanInput<'_>) -> Result<Arc<str>, SqlError> {
    let mut found: Option<Arc<str>> = None;
    for name in &ddl.tables {
        let keyspace = keyspace_of(name, input)?;
        match &found {
            Some(other) if **other != *keyspace => return Refusal::CrossKeyspace.refuse(),
            _ => found = Some(keyspace),
        }
    }
    match found {
        Some(keyspace) => Ok(keyspace),
        None => input.target.keyspace.clone().ok_or_else(|| catalog::NO_KEYSPACE.error()),
    }
}

fn keyspace_of(name: &ObjectName, input: &PlanInput<'_>) -> Result<Arc<str>, SqlError> {
    let written = name.keyspace.as_ref().map(|keyspace| keyspace.text.as_str());
    if let Some(keyspace) = written.or(input.target.keyspace.as_deref()) {
        if input.vschema.keyspace(keyspace).is_none() {
            return Err(catalog::UNKNOWN_KEYSPACE.with(&[&keyspace]));
        }
        return Ok(keyspace.into());
    }
    match input.vschema.find_table(None, &name.name.text, input.target.tablet_type) {
        Ok(table) => Ok(table.keyspace().into()),
        Err(_) => Err(catalog::NO_KEYSPACE.error()),
    }
}
