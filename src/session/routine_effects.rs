//! What the stored routines that a statement calls may leave behind: read from their definitions,
//! with those that they call in turn.

use std::sync::Arc;

use crate::backend::Failure;
use crate::executor::watch::unless_interrupted;
use crate::sql::effects::{Effect, effects_of_routine};
use crate::sql::mode::LexMode;
use crate::topology::Role;

use super::connections::Connections;
use super::diagnostics;
use super::routines::RoutineName;
use super::shard_connections::ConnectionId;
use super::state::State;
use super::statement_timeout;

/// Stored routines that are read for one statement; more are not followed.
const ROUTINES_MAX: usize = 32;
/// Or until they do so much together.
const EFFECTS_MAX: usize = 1024;
/// ER_SP_DOES_NOT_EXIST.
const NO_SUCH_ROUTINE: u16 = 1305;

/// Puts what the called stored routines may do in their place, and what those call.
pub(super) async fn with_routines(
    connections: &mut Connections,
    state: &State,
    index: ConnectionId,
    effects: Vec<Effect>,
) -> Vec<Effect> {
    let is_routine = |e: &Effect| matches!(e, Effect::Procedure(_) | Effect::Function(_));
    if !effects.iter().any(is_routine) {
        return effects;
    }
    let (mut all, mut at) = (effects, 0);
    let mut read = 0;
    while at < all.len() {
        if !is_routine(&all[at]) {
            at += 1;
            continue;
        }
        read += 1;
        if read > ROUTINES_MAX || all.len() > EFFECTS_MAX {
            all.push(Effect::Unknown("too many stored routines"));
            break;
        }
        let found = read_routine(connections, state, index, &all[at].clone()).await;
        for effect in found {
            if !all.contains(&effect) {
                all.push(effect);
            }
        }
        at += 1;
    }
    all
}

/// What a stored routine may do, from its definition at the server.
async fn read_routine(
    connections: &mut Connections,
    state: &State,
    index: ConnectionId,
    routine: &Effect,
) -> Vec<Effect> {
    let (kind, name) = match routine {
        Effect::Procedure(name) => ("PROCEDURE", name),
        Effect::Function(name) => ("FUNCTION", name),
        _ => return Vec::new(),
    };
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    // The connection that is asked may be in another database.
    let own = std::str::from_utf8(&state.database).ok().filter(|own| !own.is_empty());
    let database = name.database.as_deref().or(own);
    let database = database.map(|database| quoted(database) + ".").unwrap_or_default();
    let ask = format!("SHOW CREATE {kind} {database}{}", quoted(&name.name));
    let placement = connections.attached[index].placement;
    let services = Arc::clone(&connections.services);
    let revision = services.stored_programs.revision();
    // A replica may still get what its primary has.
    let named = (placement.role() == Role::Primary)
        .then(|| RoutineName { server: placement.server().index(), ask: ask.clone() });
    if let Some(effects) = named.as_ref().and_then(|name| services.routines.find(name, revision)) {
        return effects.to_vec();
    }
    let effects =
        ask_routine(connections, index, &ask, kind == "FUNCTION" && name.database.is_none());
    let (effects, is_known) = effects.await;
    if let Some(name) = named.filter(|_| is_known) {
        services.routines.keep(name, revision, effects.as_slice().into());
    }
    effects
}

/// What the definition of a routine says, and whether that is worth to be kept. `is_plain`: what is
/// no stored function is another one, which has no session.
async fn ask_routine(
    connections: &mut Connections,
    index: ConnectionId,
    ask: &str,
    is_plain: bool,
) -> (Vec<Effect>, bool) {
    let answer = ask_aside(connections, index, ask).await;
    let unread = vec![Effect::Unknown("a stored routine whose text the proxy may not see")];
    let rows = match answer {
        Ok(rows) => rows,
        Err(Failure::Server(error)) if error.errno == NO_SUCH_ROUTINE && is_plain => {
            return (Vec::new(), true);
        }
        Err(_) => return (unread, false),
    };
    let mut cells = rows.into_iter().next().unwrap_or_default().into_iter();
    match (cells.nth(1).flatten(), cells.next().flatten()) {
        (Some(sql_mode), Some(text)) => {
            let mode = LexMode::default().with_sql_mode(&sql_mode);
            let mut effects = effects_of_routine(&text, mode);
            effects.extend(connections.services.stored_programs.programs().effects_in(&text));
            (effects, true)
        }
        _ => (unread, false),
    }
}

/// Asks the server of a connection over another one as it is, if that takes no waiting: the
/// server then does not forget what it remembers of the session's last statement.
async fn ask_aside(
    connections: &mut Connections,
    index: ConnectionId,
    ask: &str,
) -> Result<Vec<Vec<Option<Vec<u8>>>>, Failure> {
    let pool = Arc::clone(connections.services.pool(connections.attached[index].placement));
    let spare = pool.spare(connections.worker, connections.profile);
    if let Some(Some(mut lease)) = unless_interrupted(&connections.control, spare).await {
        statement_timeout::limit(connections, &mut lease);
        let answer = lease.rows(ask.as_bytes()).await;
        if let Ok(_) | Err(Failure::Server(_)) = &answer {
            lease.release();
            return answer;
        }
    }
    diagnostics::learn_warnings(connections).await;
    connections.attached[index].lease.rows(ask.as_bytes()).await
}
