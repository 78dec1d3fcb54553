//! Values that only the session knows, written into statements for one server: a pooled connection
//! would answer with its own.

use std::net::IpAddr;
use std::sync::Arc;

use crate::backend::{Aligned, Product, RESULTSET_METADATA};
use crate::sql::features::Features;
use crate::sql::fill::{Filled, fill};
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::wire::column_count::Definitions;

use super::Services;
use super::connections::Connections;
use super::diagnostics;
use super::insert_ids;
use super::request::Request;
use super::state::State;
use crate::executor::client::Client;

/// Features of statements in which something may have to be filled in.
const OF_SESSION: Features = Features::FOUND_ROWS
    .with(Features::ROW_COUNT)
    .with(Features::CONNECTION_ID)
    .with(Features::USER)
    .with(Features::SYSTEM_VARIABLE);

/// Tables and functions that know connections by the server's numbers, so that CONNECTION_ID()
/// beside them must be the server's, too.
const BY_SERVER_ID: &[&[u8]] = &[
    b"processlist",
    b"performance_schema",
    b"innodb_trx",
    b"innodb_lock",
    b"metadata_lock",
    b"is_used_lock",
];

/// Whether a statement asks for what only the session knows.
#[inline]
pub(super) fn asks_session(features: Features) -> bool {
    features.intersects(OF_SESSION)
}

impl Connections {
    /// Whether a statement in this database asks for counts or the id that its connection would not
    /// give rightly.
    pub(super) fn asks_for_own(&self, features: Features, database: &[u8]) -> bool {
        let counts = Features::FOUND_ROWS.with(Features::ROW_COUNT);
        let there = self.counts_are_there(features, database);
        features.contains(Features::CONNECTION_ID) || !there && features.intersects(counts)
    }

    /// Whether the connection that remembers the counts is in the session's hands, and will still
    /// remember them when a statement with these features in this database comes there: what it has
    /// to be told or asked first would be the last statement.
    pub(super) fn counts_are_there(&self, features: Features, database: &[u8]) -> bool {
        if features.contains(Features::LAST_INSERT_ID) {
            return false;
        }
        let settings = &self.mirror.settings;
        let wanted = Aligned { settings, database, last_insert_id: None };
        self.attached.iter().any(|attached| attached.held && attached.lease.agrees(&wanted, None))
    }
}

/// Whether USER() of the server is the client's, too: the same account from the same machine.
/// Only the server knows whether it calls that localhost.
pub(super) fn is_as_server_knows_it(services: &Services, state: &State) -> bool {
    let host = &*state.login.host;
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let topology = services.topology();
    is_here
        && topology.single_server().and_then(|shard| topology.primary(shard)).is_some_and(
            |server| *services.pools[server.index()].dialer().user() == *state.login.user,
        )
}

/// A statement with the session's values in it, if it asks for any.
pub(super) async fn filled_request(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    request: Request,
) -> Request {
    let text = request.text(client).to_vec();
    match filled(connections, state, &text, request.features()).await {
        Some(text) => {
            client.drop_command();
            request.with_text(&text)
        }
        None => request,
    }
}

/// Whether something may have to be filled in before it is known what the statement does.
#[inline]
pub(super) fn fills_head(request: &Request) -> bool {
    matches!(request.kind(), StatementKind::Kill | StatementKind::Set)
        && asks_session(request.features())
}

/// KILL and SET with the session's values in them: they are not passed on as they are.
pub(super) async fn filled_head(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: Request,
) -> Request {
    let text = request.text(client).to_vec();
    let Some(filled) = filled(connections, state, &text, request.features()).await else {
        return request;
    };
    client.drop_command();
    match state.scan.run(&filled, connections.mirror.lex_mode) {
        Ok(()) => request.with_text(&filled),
        Err(_) => request.with_text(&text),
    }
}

/// The text of a prepared statement with the session's values in it, if it asks for any.
pub(super) async fn filled_text(
    connections: &mut Connections,
    state: &State,
    text: &Arc<[u8]>,
    features: Features,
    database: &[u8],
) -> Option<Arc<[u8]>> {
    filled_in(connections, state, text, features, database).await.map(Into::into)
}

/// The text with the session's values in it; `None` if it asks for none.
pub(super) async fn filled(
    connections: &mut Connections,
    state: &State,
    text: &[u8],
    features: Features,
) -> Option<Vec<u8>> {
    filled_in(connections, state, text, features, &state.database).await
}

/// The same for a text that runs in this database.
async fn filled_in(
    connections: &mut Connections,
    state: &State,
    text: &[u8],
    features: Features,
    database: &[u8],
) -> Option<Vec<u8>> {
    if !asks_session(features) {
        return None;
    }
    let has = |word: &[u8]| contains(text, word);
    // Over several servers the planner knows the others.
    let several = connections.mode.is_several();
    if several
        && !has(b"socket")
        && !has(b"warning_count")
        && !has(b"error_count")
        && !has(RESULTSET_METADATA.as_bytes())
    {
        return None;
    }
    let mode = connections.mirror.lex_mode;
    let mut scan = Scan::new();
    scan.run(text, mode).ok()?;
    // What the server remembers itself, with the session's connection in our hands.
    let held = connections.counts_are_there(features, database);
    if (several || !held) && has(b"_count") {
        diagnostics::learn_warnings(connections).await;
    }
    if has(b"@@") && (has(b"insert_id") || has(b"identity")) {
        insert_ids::learn_insert_id(connections).await;
    }
    let statement = Statement {
        held,
        several,
        by_server_id: BY_SERVER_ID.iter().any(|name| has(name)),
        kill: scan.kind() == StatementKind::Kill,
    };
    fill(text, mode, &scan, |what| value(connections, state, &statement, what))
}

/// What decides how a statement is filled in.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
struct Statement {
    /// The connection that remembers the counts is in the session's hands.
    held: bool,
    several: bool,
    /// It has tables that know connections by the server's numbers.
    by_server_id: bool,
    kill: bool,
}

/// What is written for something that only the session knows; `None` leaves it to the server.
fn value(
    connections: &Connections,
    state: &State,
    statement: &Statement,
    what: Filled,
) -> Option<Vec<u8>> {
    let product = connections.services.product();
    // To MySQL a signed and an unsigned number together are a decimal one.
    let unsigned = |number: &str| match product {
        Product::MySql => format!("CAST({number} AS UNSIGNED)"),
        Product::MariaDb => number.to_owned(),
    };
    // MySQL warns of its old name for the character set of names.
    let charset = match product {
        Product::MySql => "utf8mb4",
        Product::MariaDb => "utf8",
    };
    let warnings = |errors_only: bool| {
        let sets = &connections.mirror.character_sets;
        connections.diagnosed.warnings.count(errors_only, sets).to_string()
    };
    match what {
        Filled::Socket => {
            let path = Some(&connections.services.socket).filter(|path| is_plain(path));
            let path = path.map_or("", String::as_str);
            Some(typed(&format!("CONVERT('{path}' USING {charset})"), "@@socket"))
        }
        Filled::ResultsetMetadata => {
            metadata_if(statement.several, connections.mirror.settings.definitions())
        }
        Filled::WarningCount if statement.several => {
            Some(typed(&unsigned(&warnings(false)), "@@warning_count"))
        }
        Filled::ErrorCount if statement.several => {
            Some(typed(&unsigned(&warnings(true)), "@@error_count"))
        }
        _ if statement.several => None,
        Filled::ConnectionId if statement.by_server_id => None,
        Filled::ConnectionId if statement.kill => Some(connections.control.id.to_string().into()),
        Filled::FoundRows | Filled::RowCount | Filled::WarningCount | Filled::ErrorCount
            if statement.held =>
        {
            None
        }
        Filled::ConnectionId => {
            let id = connections.control.id;
            Some(typed(&format!("CAST({id} AS UNSIGNED)"), "CONNECTION_ID()"))
        }
        Filled::FoundRows => Some(typed(&state.found_rows.to_string(), "FOUND_ROWS()")),
        Filled::RowCount => Some(typed(&state.row_count.to_string(), "ROW_COUNT()")),
        Filled::WarningCount => Some(typed(&unsigned(&warnings(false)), "@@warning_count")),
        Filled::ErrorCount => Some(typed(&unsigned(&warnings(true)), "@@error_count")),
        Filled::InsertId => {
            let id = format!("CAST({} AS UNSIGNED)", connections.mirror.last_insert_id);
            Some(typed(&id, "@@session.last_insert_id"))
        }
        Filled::User if is_as_server_knows_it(&connections.services, state) => None,
        Filled::User => {
            let user = format!("{}@{}", state.login.user, state.login.host);
            let literal = format!("CONVERT('{user}' USING {charset})");
            is_plain(&user).then(|| typed(&literal, "USER()"))
        }
    }
}

/// Whether a text can stand between quotes as it is, whatever the session's settings.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '\\' | '\''))
}

/// `@@resultset_metadata` over several servers, which describe rows that are to be merged whatever
/// the session has said.
fn metadata_if(several: bool, definitions: Definitions) -> Option<Vec<u8>> {
    let undescribed = several && definitions == Definitions::LeftOut;
    undescribed.then(|| typed("'NONE'", "@@resultset_metadata"))
}

/// Whether a text has a word, in whatever case.
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// A value with the type of what it stands for, which a column that is made of it takes.
fn typed(value: &str, of: &str) -> Vec<u8> {
    format!("IF(1,{value},{of})").into_bytes()
}
