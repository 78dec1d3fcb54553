//! CREATE, ALTER and DROP DATABASE where there are several servers: on every shard of the keyspace,
//! one after the other.
//!
//! Which keyspaces there are is in the configuration, so a database that is none is not made.

use crate::error::{SqlError, catalog};
use crate::sql::control::database::{Database, DatabaseVerb};
use crate::sql::splice::Splicer;
use crate::sql::statement_kind::StatementKind;
use crate::topology::{KeyspaceIndex, ServerId, Topology};
use crate::wire::scanner::Outcome;
use crate::{geo, sql};

use super::answer::{Answer, Way, Went};
use super::connections::Connections;
use super::copies;
use super::definition;
use super::request::Request;
use super::state::State;
use crate::executor::client::Client;

/// ER_DB_DROP_EXISTS.
const NO_SUCH_DATABASE: u16 = 1008;

/// CREATE, ALTER or DROP DATABASE.
pub(super) async fn database_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    statement: Database,
) -> Went {
    let topology = connections.services.topology.load_full();
    let kind = match statement.verb {
        DatabaseVerb::Create => StatementKind::Create,
        DatabaseVerb::Alter => StatementKind::Alter,
        DatabaseVerb::Drop => StatementKind::Drop,
    };
    if connections.mode.is_single() {
        return Ok(Way::Servers(kind, state.scan.features()));
    }
    let text = request.text(client).to_vec();
    client.drop_command();
    let Some(keyspace) = keyspace_of(state, &topology, &statement)? else {
        return Ok(Answer::ok(0).into());
    };
    if statement.verb == DatabaseVerb::Drop || statement.replaces {
        copies::check_drop(&connections.services, state, &topology.keyspace(keyspace).name)?;
    }
    connections.commit_all().await?;
    let result =
        on_databases(client, connections, &topology, keyspace, &text, statement.place).await;
    definition::columns_may_have_changed(connections, state, kind).await;
    Ok(Answer::ok(result?).into())
}

/// The keyspace that a statement is about; `None` if there is nothing to be done.
fn keyspace_of(
    state: &State,
    topology: &Topology,
    statement: &Database,
) -> Result<Option<KeyspaceIndex>, SqlError> {
    let own = state.target.keyspace.as_deref();
    let name = statement.name.as_ref().map(|name| name.text.as_str()).or(own);
    let name = name.ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    match (topology.find_keyspace(name), statement.verb) {
        (Some(keyspace), _) => Ok(Some(keyspace)),
        (None, DatabaseVerb::Create) => Err(catalog::NEW_KEYSPACE.with(&[&name])),
        (None, DatabaseVerb::Drop) if statement.conditional => Ok(None),
        (None, DatabaseVerb::Drop) => {
            let text = format!("Can't drop database '{name}'; database doesn't exist");
            Err(SqlError::from_server(NO_SUCH_DATABASE, *b"HY000", text))
        }
        (None, DatabaseVerb::Alter) => Err(catalog::UNKNOWN_KEYSPACE.with(&[&name])),
    }
}

/// Runs the statement with the name that the database has on the servers.
async fn on_databases(
    client: &mut Client,
    connections: &mut Connections,
    topology: &Topology,
    keyspace: KeyspaceIndex,
    text: &[u8],
    place: sql::ast::Span,
) -> Result<u64, SqlError> {
    let database = &*topology.keyspace(keyspace).database;
    let mut named = Vec::new();
    let mut splicer = Splicer::new(text, &mut named);
    splicer.replace(place, format!("`{}` ", database.replace('`', "``")).as_bytes());
    splicer.finish().map_err(|error| catalog::INTERNAL.with(&[&error]))?;
    let (mut done, mut servers): (Vec<String>, Vec<ServerId>) = (Vec::new(), Vec::new());
    let mut affected_rows = 0;
    for shard in topology.shards(keyspace) {
        let placement = geo::writable_primary(topology, shard)?;
        if servers.contains(&placement.server()) {
            continue;
        }
        servers.push(placement.server());
        let name = topology.shard_name(shard);
        match on_database(client, connections, placement, &named).await {
            // The same on each of them.
            Ok(outcome) => affected_rows = outcome.affected_rows,
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => {
                let text = String::from_utf8_lossy(&error.message).into_owned();
                return Err(catalog::PARTIAL_DDL.with(&[&name, &text, &done.join(", ")]));
            }
        }
        done.push(name);
    }
    Ok(affected_rows)
}

async fn on_database(
    client: &mut Client,
    connections: &mut Connections,
    placement: geo::Placement,
    text: &[u8],
) -> Result<Outcome, SqlError> {
    // In no database: this one may not exist yet.
    let index = connections.attach(client, placement, b"", false).await?;
    let result = connections.attached[index].lease.commit(text).await;
    connections.services.pool(placement).note_definition();
    match result {
        Ok(outcome) => {
            connections.settle(index, &outcome).await;
            Ok(outcome)
        }
        Err(failure) => Err(connections.fail(index, failure).await),
    }
}
