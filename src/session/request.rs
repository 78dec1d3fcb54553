//! A statement that may run. Whatever way it comes in, it is built by [`admit`], which does what
//! stands before every statement; nothing that runs statements takes anything else.

use std::sync::Arc;

use crate::backend::Need;
use crate::error::{SqlError, catalog};
use crate::executor::client::Client;
use crate::net::Packet;
use crate::sql::features::Features;
use crate::sql::mode::LexMode;
use crate::sql::own_account::{changes_own_account, may_change_own_account};
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::wire::command::code;

use super::answer::Stop;
use super::connections::Connections;
use super::diagnostics;
use super::hold::{self, Read};
use super::prepared::Prepared;
use super::state::State;
use super::{last_values, named_at_server, statement_timeout};

/// A statement of text that may run.
#[derive(Debug)]
pub(super) struct Request {
    source: Source,
    kind: StatementKind,
    features: Features,
}

/// What [`admit`] gives: a statement of this kind may run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    kind: StatementKind,
    features: Features,
}

/// Where the bytes of a command are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A packet in the client's read buffer, which can be forwarded as it is.
    Packet(Packet),
    /// A command payload of our own: command byte and argument.
    Payload(Vec<u8>),
    /// A statement without parameters that the client has prepared, to be executed as one.
    Execution(Execution),
}

/// An execution of a prepared statement without parameters.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    /// The statement.
    pub(super) text: Arc<[u8]>,
    /// The server statement that it needs.
    pub(super) need: Need,
}

/// How a statement comes in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coming<'a> {
    /// As text, whose tokens are the session's scan.
    Text(&'a Source),
    /// As text that is no sequence of tokens, or several statements that only a server takes
    /// apart.
    Unread(&'a Source),
    /// As an execution of the client's statement of this number.
    Prepared(u32),
    /// Piece by piece, after a beginning that the session's scan is of.
    Stream(StatementKind),
}

/// Whether the session's scan is that of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Understood {
    Yes,
    /// It is no sequence of tokens.
    No,
}

impl Understood {
    pub(super) fn of<E>(scanned: &Result<(), E>) -> Self {
        if scanned.is_ok() { Self::Yes } else { Self::No }
    }

    pub(super) fn coming(self, source: &Source) -> Coming<'_> {
        match self {
            Self::Yes => Coming::Text(source),
            Self::No => Coming::Unread(source),
        }
    }
}

impl Source {
    /// A text of our own as COM_QUERY.
    pub(super) fn query(text: &[u8]) -> Self {
        Self::Payload([&[code::QUERY], text].concat())
    }

    /// The text of the statement.
    pub(super) fn text<'a>(&'a self, client: &'a Client) -> &'a [u8] {
        match self {
            Self::Packet(packet) => client.text(*packet),
            Self::Payload(payload) => &payload[1..],
            Self::Execution(execution) => &execution.text,
        }
    }
}

impl Admitted {
    pub(super) fn kind(self) -> StatementKind {
        self.kind
    }

    pub(super) fn features(self) -> Features {
        self.features
    }

    /// The statement with its text.
    pub(super) fn with(self, source: Source) -> Request {
        Request { source, kind: self.kind, features: self.features }
    }
}

impl Request {
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn kind(&self) -> StatementKind {
        self.kind
    }

    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// The text of the statement.
    pub(super) fn text<'a>(&'a self, client: &'a Client) -> &'a [u8] {
        self.source.text(client)
    }

    /// The same statement as another kind.
    pub(super) fn of(self, kind: StatementKind, features: Features) -> Self {
        Self { kind, features, ..self }
    }

    /// The same statement with another text, in which something was filled in.
    pub(super) fn with_text(self, text: &[u8]) -> Self {
        Self { source: Source::query(text), ..self }
    }
}

/// Lets a statement in: gives back what was kept for the statement before, goes to the connections
/// that know what it asks for, refuses what nobody may do through Geogate, and reads what it may
/// leave behind.
pub(super) async fn admit(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    coming: Coming<'_>,
) -> Result<Admitted, Stop> {
    if waits(connections, coming, &state.scan, prepared) {
        Box::pin(make_ready(client, connections, state, prepared, coming)).await?;
    }
    admit_ready(client, connections, state, prepared, coming)
}

/// The same for a statement that nothing has to be waited for; `None` if something has.
#[inline]
pub(super) fn admit_at_once(
    client: &Client,
    connections: &mut Connections,
    state: &State,
    prepared: &Prepared,
    coming: Coming<'_>,
) -> Option<Result<Admitted, Stop>> {
    let waits = waits(connections, coming, &state.scan, prepared);
    (!waits).then(|| admit_ready(client, connections, state, prepared, coming))
}

/// Whether servers may have to be asked before a statement can be let in.
#[inline]
fn waits(connections: &Connections, coming: Coming<'_>, scan: &Scan, prepared: &Prepared) -> bool {
    let (_, features) = meaning(coming, scan, prepared);
    features.contains(Features::LAST_VALUE)
        || !features.contains(Features::FOUND_ROWS) && connections.attached.have_held()
}

async fn make_ready(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    coming: Coming<'_>,
) -> Result<(), Stop> {
    let (_, features) = meaning(coming, &state.scan, prepared);
    connections.begin_stake();
    if !features.contains(Features::FOUND_ROWS) {
        connections.drop_held().await;
    }
    if features.contains(Features::LAST_VALUE) {
        let mode = connections.mirror.lex_mode;
        let read = read_of(coming, client, &state.scan, prepared, mode);
        let text = read.map_or(Vec::new(), |read| read.text.to_vec());
        last_values::go_to_last_values(client, connections, state, &text).await?;
    }
    Ok(())
}

#[inline]
fn admit_ready(
    client: &Client,
    connections: &mut Connections,
    state: &State,
    prepared: &Prepared,
    coming: Coming<'_>,
) -> Result<Admitted, Stop> {
    let (kind, features) = meaning(coming, &state.scan, prepared);
    connections.begin_stake();
    diagnostics::go_to_counts(connections, features);
    if !prepared.by_name.is_empty() {
        named_at_server::go_to_names(connections, prepared, kind);
    }
    let mode = connections.mirror.lex_mode;
    let read = read_of(coming, client, &state.scan, prepared, mode);
    if alters_own_account(coming, read, client, mode) {
        return Err(catalog::OWN_ACCOUNT.error().into());
    }
    if let Some(read) = read
        && features.contains(Features::DIRECTIVE)
    {
        statement_timeout::note_hint(connections, state, read.text)?;
    }
    hold::note_pending(connections, &state.database, kind, features, read);
    if read.is_some_and(|read| read.scan.has_own_settings()) {
        connections.pending.get_or_insert_default().explains_change = true;
    }
    Ok(Admitted { kind, features })
}

#[inline]
fn meaning(coming: Coming<'_>, scan: &Scan, prepared: &Prepared) -> (StatementKind, Features) {
    match coming {
        Coming::Text(_) => (scan.kind(), scan.features()),
        Coming::Unread(_) => (StatementKind::Other, Features::NONE),
        Coming::Prepared(id) => prepared.meaning(id),
        Coming::Stream(kind) => (kind, scan.features()),
    }
}

/// What was read of a statement; `None`: it cannot be read, or not to its end.
fn read_of<'a>(
    coming: Coming<'a>,
    client: &'a Client,
    scan: &'a Scan,
    prepared: &'a Prepared,
    mode: LexMode,
) -> Option<Read<'a>> {
    match coming {
        Coming::Text(source) => Some(Read { text: source.text(client), mode, scan }),
        Coming::Prepared(id) => prepared.read(id, mode),
        Coming::Unread(_) | Coming::Stream(_) => None,
    }
}

fn alters_own_account(
    coming: Coming<'_>,
    read: Option<Read<'_>>,
    client: &Client,
    mode: LexMode,
) -> bool {
    match (read, coming) {
        (Some(read), _) => changes_own_account(read.text, read.mode, read.scan),
        (None, Coming::Unread(source)) => may_change_own_account(source.text(client), mode),
        // Judged at PREPARE, or of a kind that changes none.
        (None, _) => false,
    }
}

/// As MySQL says it, which goes on with the next packet.
pub(super) fn malformed_attributes() -> SqlError {
    SqlError::from_server(1835, *b"HY000", "Malformed communication packet.")
}
