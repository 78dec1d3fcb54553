//! The hot path: a plain statement for the only server, on a connection that needs to be told
//! nothing. It does what [`query`](super::query) and [`forward`] do, where all that they look for
//! is known to be absent; whatever is not known to be plain goes their way.

use crate::geo;
use crate::net::Packet;
use crate::observe::Route;
use crate::sql::features::Features;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::topology::ShardId;
use crate::wire::scanner::Expect;

use super::answer::{Ran, Stop};
use super::connections::Connections;
use super::consistency::{self, Aim};
use super::exchange::{self, Exchanged};
use super::forward;
use super::prepared::Prepared;
use super::request::{self, Admitted, Source, Understood};
use super::shard_connections::ConnectionId;
use super::state::State;
use super::tally;
use crate::executor::client::Client;

/// A statement that was admitted, and the connection that it goes to.
#[derive(Debug)]
pub(super) struct Hot {
    admitted: Admitted,
    aim: Aim<'static>,
    index: ConnectionId,
}

/// Whether nothing but the rows of tables is asked for or changed. What a statement names may still
/// have triggers and views behind it: what those leave is noted when it is admitted.
fn is_plain(scan: &Scan) -> bool {
    use StatementKind as Of;
    const PLAIN: Features = Features::FROM;
    matches!(scan.kind(), Of::Select | Of::Insert | Of::Update | Of::Delete | Of::Replace)
        && PLAIN.contains(scan.features())
        && !scan.is_program()
        && !scan.has_own_settings()
}

/// Admits the statement of a COM_QUERY that is all of the command, whose tokens are the session's
/// scan, and finds its connection; `None` if it has to go the general way, which has not begun.
pub(super) fn begin(
    client: &Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    packet: Packet,
) -> Option<Result<Hot, Stop>> {
    let shard = connections.mode.only()?;
    if !is_plain(&state.scan) || connections.mirror.oracle_mode {
        return None;
    }
    tally::begin_tally(state, state.scan.kind());
    let source = Source::Packet(packet);
    let coming = Understood::Yes.coming(&source);
    let admitted = match request::admit_at_once(client, connections, state, prepared, coming)? {
        Ok(admitted) => admitted,
        Err(stop) => return Some(Err(stop)),
    };
    let (aim, index) = attach(client, connections, state, shard, admitted)?;
    state.tally.query.route = Route::PassThrough;
    Some(Ok(Hot { admitted, aim, index }))
}

fn attach(
    client: &Client,
    connections: &mut Connections,
    state: &mut State,
    shard: ShardId,
    admitted: Admitted,
) -> Option<(Aim<'static>, ConnectionId)> {
    let access = geo::access(admitted.kind(), admitted.features());
    let aim = Aim { shard, access, hints: None, wants_insert_id: false, anywhere: false };
    let placement = {
        let topology = connections.services.topology();
        consistency::place(connections, state, &topology, &aim).ok()?
    };
    let index = connections.attach_at_once(client, placement, &state.database, false)?;
    Some((aim, index))
}

/// Runs it and relays the answer.
pub(super) async fn finish(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    packet: Packet,
    hot: Hot,
) -> Ran {
    let Hot { admitted, aim, index } = hot;
    let (source, expect) = (Source::Packet(packet), Expect::Query);
    let end = connections.answer_end();
    match exchange::exchange_once(client, connections, index, &source, expect, end).await? {
        Exchanged::Outcome(outcome) => {
            let (kind, features) = (admitted.kind(), admitted.features());
            let kind = forward::ran_as(kind, &outcome);
            forward::after_statement(connections, state, index, kind, features, &outcome).await;
            Ok(client.answered())
        }
        Exchanged::Lost(lost) => {
            Box::pin(async {
                exchange::run_again(client, connections, state, &aim, lost).await?;
                let request = admitted.with(source);
                forward::pass_through(client, connections, state, request, aim.shard).await
            })
            .await
        }
    }
}
