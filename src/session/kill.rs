//! KILL and COM_PROCESS_KILL, with the ids of the proxy's own sessions. In front of one server the
//! id of a session's connection there means the session, too: that is what a client reads from
//! `information_schema.processlist`.
//!
//! The answers are those of MariaDB: who is killed while it runs a statement or waits sees the
//! connection close, who kills itself is told.

use std::sync::Arc;

use crate::error::{Origin, SqlError};
use crate::executor::registry::{Control, Interrupt};
use crate::sql::control::kill::{Kill, KillId, KillTarget};
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

use super::Services;
use super::answer::{Answer, Ran, Stop, Way, Went};
use super::connections::Connections;
use super::consistency;
use super::hold;
use super::request::Request;
use super::state::State;
use crate::executor::client::Client;

/// KILL.
pub(super) async fn kill_statement(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    statement: Kill,
) -> Went {
    let id = match statement.id {
        KillId::Number(id) => id,
        KillId::Own => u64::from(connections.control.id),
        KillId::Expression(span) => {
            let text = request.text(client).to_vec();
            let expression = text.get(span.start as usize..span.end as usize);
            match work_out(client, connections, state, expression.unwrap_or_default()).await {
                Ok(id) => id,
                // The server has an error of its own for it.
                Err(error) if error.origin == Origin::Server && connections.mode.is_single() => {
                    return Ok(Way::Servers(StatementKind::Kill, Features::NONE));
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    client.drop_command();
    kill(connections, state, statement.target, id).await.map(Way::Answered)
}

/// The value of an expression without tables; 0 if it is no number.
async fn work_out(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    expression: &[u8],
) -> Result<u64, SqlError> {
    if state.scan.features().contains(Features::CONNECTION_ID) {
        let what = "KILL with an expression around CONNECTION_ID()";
        return Err(crate::error::catalog::UNSUPPORTED.advising(&[&what], "write the number"));
    }
    let question = [b"SELECT ", expression].concat();
    let (index, cell) =
        consistency::ask_any_for_cell(client, connections, state, &question).await?;
    hold::leave_behind_partly(connections, state, index, false).await;
    connections.settle_quietly(index).await;
    let text = String::from_utf8(cell.unwrap_or_default()).unwrap_or_default();
    Ok(text.parse().unwrap_or_default())
}

/// The session of an id: of the proxy, or of its connection to the only server.
fn victim(services: &Services, id: u32) -> Option<Arc<Control>> {
    let registry = &services.registry;
    registry.find(id).or_else(|| {
        let only = services.topology().servers().len() == 1;
        only.then(|| registry.find_by_thread(id)).flatten()
    })
}

/// Interrupts a session, or the statement that it runs.
pub(super) async fn kill(
    connections: &Connections,
    state: &State,
    target: KillTarget,
    id: u64,
) -> Ran {
    let found = u32::try_from(id).ok().and_then(|id| victim(&connections.services, id));
    let Some(victim) = found else {
        let error = SqlError::from_server(1094, *b"HY000", format!("Unknown thread id: {id}"));
        return Err(error.into());
    };
    // Everyone may end his own sessions.
    let operator = connections.services.accounts.load().is_operator(&state.login.user);
    if *victim.user() != *state.login.user && !operator {
        let text = format!("You are not owner of thread {id}");
        return Err(SqlError::from_server(1095, *b"HY000", text).into());
    }
    let own = victim.id == connections.control.id;
    match (target, own) {
        (KillTarget::Query, true) => {
            let text = "Query execution was interrupted";
            let error = SqlError::from_server(1317, *b"70100", text);
            return Err(error.into());
        }
        (KillTarget::Connection, true) => {
            let error = SqlError::from_server(1927, *b"70100", "Connection was killed");
            return Err(Stop::fatal(error));
        }
        (KillTarget::Query, false) => victim.kill_query().await,
        (KillTarget::Connection, false) => victim.raise(Interrupt::Connection),
    }
    Ok(Answer::ok(0))
}
