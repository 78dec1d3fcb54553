//! SHOW STATUS, SHOW PROCESSLIST and the variable `socket`: what a server tells is about its
//! connections with Geogate; the client is shown its own. Definitions, and rows that are not about
//! sessions, are the server's.

use crate::error::SqlError;
use crate::sql::control::set::Scope;
use crate::sql::control::show::{Show, ShowKind};
use crate::wire::capability::Capabilities;
use crate::wire::column_count::Definitions;
use crate::wire::ok::OkPacket;
use crate::wire::packet::build_packet;
use crate::wire::row_text::{TextRow, put_text_row};

use super::Services;
use super::answer::{Answer, Ran};
use super::connections::Connections;
use super::consistency;
use super::diagnostics;
use super::hold;
use super::reply;
use super::request::Request;
use super::state::State;
use crate::executor::client::Client;

/// A row of text; `None` is NULL.
type Row = Vec<Option<Vec<u8>>>;

/// A server's answer as it was framed.
#[derive(Debug)]
struct ServerRows {
    packets: Vec<u8>,
    columns: usize,
    definitions: Definitions,
    rows: usize,
    capabilities: Capabilities,
}

/// Whether the rows of a SHOW with this text are about sessions, so that the client must be shown
/// others.
pub(super) fn is_about_sessions(show: &Show, text: &[u8]) -> bool {
    match show.kind {
        ShowKind::Processlist => true,
        ShowKind::Status => {
            let first = show.like.as_deref().and_then(<[u8]>::first);
            // Ssl_.., Compression, Threads_connected.
            first.is_none_or(|first| b"sScCtT%_\\".contains(first))
        }
        // Lists of all variables are the server's.
        ShowKind::Variables if show.like.is_some() || show.filter.is_some() => {
            text.windows(SOCKET.len()).any(|word| word.eq_ignore_ascii_case(SOCKET))
        }
        _ => false,
    }
}

/// The variable that would lead clients around Geogate.
const SOCKET: &[u8] = b"socket";

/// SHOW STATUS, SHOW PROCESSLIST or SHOW VARIABLES.
pub(super) async fn show_sessions(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    request: &Request,
    show: &Show,
) -> Ran {
    let text = request.text(client).to_vec();
    client.drop_command();
    let answer = ask_any(client, connections, state, &text).await?;
    let rows = match show.kind {
        // Threads of other servers may have the same numbers.
        ShowKind::Processlist if connections.mode.is_several() => {
            process_rows(connections, state, &[], show, &text)
        }
        ShowKind::Processlist => process_rows(connections, state, &answer.all_rows(), show, &text),
        _ => status_rows(&connections.services, client, state, answer.all_rows(), show),
    };
    diagnostics::forget_warnings(connections);
    state.found_rows = rows.len() as u64;
    state.row_count = -1;
    write_answer(client, connections, &answer, &rows);
    Ok(Answer::Buffered)
}

/// Asks the server that is attached, or any.
async fn ask_any(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    text: &[u8],
) -> Result<ServerRows, SqlError> {
    let (index, packets) = consistency::ask_any(client, connections, state, text).await?;
    let lease = &connections.attached[index].lease;
    let (outcome, capabilities) = (*lease.outcome(), lease.capabilities());
    hold::leave_behind_partly(connections, state, index, false).await;
    connections.settle_quietly(index).await;
    Ok(ServerRows {
        packets,
        columns: outcome.columns as usize,
        definitions: outcome.definitions,
        rows: outcome.rows as usize,
        capabilities,
    })
}

/// The rows of SHOW STATUS with what is about the client's own connection, and how many there
/// are.
fn status_rows(
    services: &Services,
    client: &Client,
    state: &State,
    mut rows: Vec<Row>,
    show: &Show,
) -> Vec<Row> {
    let tls = client.framed.stream().tls_names();
    let of_session = show.scope != Some(Scope::Global);
    let compressing = Capabilities::COMPRESS.union(Capabilities::ZSTD_COMPRESSION);
    let compressed = client.capabilities.bits() & compressing.bits() != 0;
    for row in &mut rows {
        let own = match row.first().and_then(Option::as_deref).unwrap_or_default() {
            b"Ssl_cipher" if of_session => tls.as_ref().map_or("", |tls| &tls.cipher).to_owned(),
            b"Ssl_version" if of_session => tls.as_ref().map_or("", |tls| tls.version).to_owned(),
            b"Compression" if of_session => if compressed { "ON" } else { "OFF" }.to_owned(),
            SOCKET if show.kind == ShowKind::Variables => services.socket.clone(),
            b"Threads_connected" => services.registry.count().to_string(),
            name if of_session && name.starts_with(b"Com_stmt_") => {
                match state.statement_counts.named(name) {
                    Some(count) => count.to_string(),
                    None => continue,
                }
            }
            _ => continue,
        };
        if let Some(cell) = row.get_mut(1) {
            *cell = Some(own.into_bytes());
        }
    }
    rows
}

/// The sessions of the client's account, or all for an operator, in the columns Id, User,
/// Host, db, Command, Time, State, Info. What a running statement is doing is told by the row
/// of the server's connection that it runs on.
fn process_rows(
    connections: &Connections,
    state: &State,
    told: &[Row],
    show: &Show,
    text: &[u8],
) -> Vec<Row> {
    let registry = &connections.services.registry;
    let all = connections.services.accounts.load().is_operator(&state.login.user);
    let own = connections.control.id;
    let mut rows = Vec::new();
    for session in registry.list() {
        if !all && *session.user() != *state.login.user {
            continue;
        }
        let is_own = session.id == own;
        let thread = session.thread().to_string().into_bytes();
        let by_server = told.iter().find(|row| row.first() == Some(&Some(thread.clone())));
        let told = |column: usize| by_server.and_then(|row| row.get(column)?.clone());
        let idle = session.idle_seconds(registry.seconds());
        let mut row = vec![
            Some(session.id.to_string().into_bytes()),
            Some(session.user().as_bytes().to_vec()),
            Some(session.peer.as_bytes().to_vec()),
            Some(session.database()).filter(|name| !name.is_empty()),
        ];
        match idle.filter(|_| !is_own) {
            Some(seconds) => row.extend([
                Some(b"Sleep".to_vec()),
                Some(seconds.to_string().into_bytes()),
                Some(Vec::new()),
                None,
            ]),
            None => row.extend([
                Some(told(4).unwrap_or_else(|| b"Query".to_vec())),
                Some(told(5).unwrap_or_else(|| b"0".to_vec())),
                Some(told(6).unwrap_or_else(|| b"starting".to_vec())),
                if is_own { Some(shown(text, show)) } else { told(7) },
            ]),
        }
        if let Some(row_of_server) = told_width(by_server, &row) {
            row.extend_from_slice(row_of_server);
        }
        rows.push(row);
    }
    rows
}

/// Writes other rows between a server's definitions and its end.
fn write_answer(client: &mut Client, connections: &Connections, answer: &ServerRows, rows: &[Row]) {
    let status = reply::status(client, connections);
    let capabilities = client.capabilities;
    let (out, sequence) = (&mut client.framed.out, &mut client.sequence);
    let mut packets = crate::backend::Packets::new(&answer.packets);
    for packet in packets.by_ref().take(answer.first_row()) {
        build_packet(out, sequence, |out| out.extend_from_slice(packet));
    }
    for row in rows {
        // The server may have columns that the row does not: they are 0 for idle sessions.
        let missing = answer.columns.saturating_sub(row.len());
        let zeroes = std::iter::repeat_n(Some(b"0.000".as_slice()), missing);
        let cells: Vec<_> = row.iter().map(Option::as_deref).chain(zeroes).collect();
        build_packet(out, sequence, |out| put_text_row(out, cells));
    }
    let last = packets.nth(answer.rows).unwrap_or_default();
    let mut end = OkPacket::parse_result_end(last, answer.capabilities).unwrap_or_default();
    (end.status, end.session_state) = (status, b"");
    build_packet(out, sequence, |out| end.encode_result_end(out, capabilities));
}

impl ServerRows {
    /// How many packets come before the rows.
    fn first_row(&self) -> usize {
        let eof = usize::from(!self.capabilities.contains(Capabilities::DEPRECATE_EOF));
        let described = if self.definitions == Definitions::Sent { self.columns } else { 0 };
        1 + described + eof
    }

    fn all_rows(&self) -> Vec<Row> {
        crate::backend::Packets::new(&self.packets)
            .skip(self.first_row())
            .take(self.rows)
            .filter_map(|packet| TextRow::parse(packet, self.columns).ok())
            .map(|row| row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect())
            .collect()
    }
}

/// The cells that a server's row has behind ours: MariaDB's Progress.
fn told_width<'a>(by_server: Option<&'a Row>, row: &Row) -> Option<&'a [Option<Vec<u8>>]> {
    by_server?.get(row.len()..)
}

/// A statement as the list shows it: 100 bytes of it without FULL.
fn shown(text: &[u8], show: &Show) -> Vec<u8> {
    let end = if show.full { text.len() } else { text.len().min(100) };
    text[..end].to_vec()
}
