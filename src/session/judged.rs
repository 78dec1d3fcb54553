//! A server judges a text that a client prepares: whether it can be prepared, what parameters it
//! has and of which types.

use crate::backend::{BoundTypes, Failure, Owner, Packets, Product, VariableKinds};
use crate::error::{SqlError, catalog};
use crate::sql::features::Features;
use crate::sql::null_places::null_places;
use crate::sql::statement_kind::StatementKind;
use crate::wire::binary_value::{BinaryType, Sign};
use crate::wire::capability::Capabilities;
use crate::wire::column::ColumnDefinition;
use crate::wire::column_count::Definitions;
use crate::wire::column_type::ColumnFlags;
use crate::wire::command::code;
use crate::wire::scanner::Expect;
use crate::wire::statement::PrepareOk;

use super::connections::Connections;
use super::consistency;
use super::consistency::Judges;
use super::diagnostics;
use super::planned;
use super::prepared::is_about_transactions;
use super::remembered::Remembered;
use super::several;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement::Statement;
use crate::executor::client::Client;

/// What a server made of a text that a client prepares.
#[derive(Debug)]
pub(super) struct Judged {
    /// The framed answer.
    pub(super) answer: Vec<u8>,
    /// The number of parameters.
    pub(super) params: u16,
    /// What servers remember with the statement.
    pub(super) remembered: Remembered,
}

/// Prepares a text on a server that can run it. Where there are several servers the plan is
/// made too, so that a statement that is refused is refused here.
pub(super) async fn prepare_on_server(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    owner: &Owner,
    kind: StatementKind,
    features: Features,
) -> Result<Judged, SqlError> {
    if features.contains(Features::USER_VARIABLE) {
        // Their types are remembered with the statement.
        connections.learn_all_user_variables().await;
    }
    let text = &owner[..];
    let topology = connections.services.topology.load_full();
    let (placement, database, text) = match connections.mode.only() {
        Some(shard) => {
            let placement = consistency::place_anywhere(connections, state, &topology, shard)?;
            (placement, state.database.clone(), text.to_vec())
        }
        None if is_about_transactions(kind) => {
            let (placement, database) =
                consistency::any_server(connections, state, &topology, Judges::Any)?;
            (placement, database, text.to_vec())
        }
        None => {
            let mut scan = std::mem::take(&mut state.scan);
            scan.run(text, connections.mirror.lex_mode)
                .map_err(|error| catalog::SYNTAX.with(&[&error]))?;
            several::only_one(text, &scan)?;
            let statement = Statement::prepared(owner, scan, Vec::new());
            let sample = planned::sample_piece(connections, state, &statement, &topology);
            state.scan = statement.into_scan();
            let (shard, text) = sample?;
            let database = &topology.keyspace(shard.keyspace()).database;
            (
                consistency::place_anywhere(connections, state, &topology, shard)?,
                database.as_bytes().to_vec(),
                text,
            )
        }
    };
    connections.any_will_do(placement);
    let index = match connections.attach(client, placement, &database, false).await {
        Ok(index) => index,
        Err(_) if connections.goes_elsewhere(placement) => {
            let again = prepare_on_server(client, connections, state, owner, kind, features);
            return Box::pin(again).await;
        }
        Err(error) => return Err(error),
    };
    let judged = prepare_answer(connections, state, index, &text, owner).await;
    let outcome = *connections.attached[index].lease.outcome();
    diagnostics::note_preparation(connections, index, kind, features, &outcome);
    match judged {
        Ok(judged) => {
            connections.attached[index].lease.set_expendable(false);
            connections.expendable = false;
            connections.settle_quietly(index).await;
            Ok(judged)
        }
        Err(failure) => {
            let error = connections.fail(index, failure).await;
            if !connections.goes_elsewhere(placement) {
                return Err(error);
            }
            let again = prepare_on_server(client, connections, state, owner, kind, features);
            Box::pin(again).await
        }
    }
}

async fn prepare_answer(
    connections: &mut Connections,
    state: &mut State,
    index: ConnectionId,
    text: &[u8],
    owner: &Owner,
) -> Result<Judged, Failure> {
    let home = connections.attached[index].home();
    let definitions = connections.services.definitions();
    let lease = &mut connections.attached[index].lease;
    let answer = lease.answer(code::STMT_PREPARE, text, Expect::Prepare).await?;
    let told = lease.outcome().prepared;
    let Some(told) = told.filter(|_| answer.len() >= 9) else {
        return Err(std::io::Error::other("the server prepared nothing").into());
    };
    let derived = derived_types(&answer, &told, lease.capabilities());
    let mut types = BoundTypes::new(lease.kind(), derived);
    if connections.mode.is_several() {
        types = types.over_several();
    }
    if told.params > 0
        && lease.kind().product == Product::MySql
        && let mode = connections.mirror.lex_mode
        && state.scan.run(owner, mode).is_ok()
    {
        types = types.with_places(null_places(owner, mode, &state.scan));
    }
    let variables = match lease.kind().product {
        Product::MySql => {
            VariableKinds::of_text(owner, connections.mirror.lex_mode, &connections.mirror.settings)
        }
        Product::MariaDb => None,
    };
    let mut remembered = Remembered::new(types, variables, definitions, Some(home));
    let variant = remembered.prepared_as();
    let statement = lease.note_prepared(text, told.statement_id, variant, owner).await?;
    remembered.keep(statement.keeper);
    Ok(Judged { answer, params: told.params, remembered })
}

/// The types that the server derived for the parameters, if its answer describes them.
fn derived_types(
    answer: &[u8],
    prepared: &PrepareOk,
    capabilities: Capabilities,
) -> Option<Box<[BinaryType]>> {
    if prepared.definitions != Definitions::Sent {
        return None;
    }
    let definitions = Packets::new(answer).skip(1).take(usize::from(prepared.params));
    let types = definitions.map(|packet| {
        let column = ColumnDefinition::parse(packet, capabilities).ok()?;
        let unsigned = column.flags.contains(ColumnFlags::UNSIGNED);
        let sign = if unsigned { Sign::Unsigned } else { Sign::Signed };
        Some(BinaryType { kind: column.kind, sign })
    });
    types.collect()
}
