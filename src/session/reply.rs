//! Answers that Geogate writes itself.

use std::borrow::Cow;

use crate::backend::Product;
use crate::error::SqlError;
use crate::wire::capability::Capabilities;
use crate::wire::charset::UTF8MB4_COLLATION;
use crate::wire::column::ColumnDefinition;
use crate::wire::column_count::{ColumnCount, Definitions};
use crate::wire::column_type::{ColumnFlags, ColumnType};
use crate::wire::encode::put_lenenc_bytes;
use crate::wire::err::ErrPacket;
use crate::wire::ok::{EofPacket, OkHeader, OkPacket};
use crate::wire::packet::build_packet;
use crate::wire::row_binary::put_binary_row;
use crate::wire::row_text::put_text_row;
use crate::wire::status::StatusFlags;

use super::Services;
use super::Session;
use super::answer::{Answer, Done, End, FoundRows, Leaves, Opened, Ran, Stop, Table};
use super::character_sets::CharacterSets;
use super::connections::Connections;
use super::cursors::{Cursor, KeptRows};
use super::merged_cursor;
use super::mirror::Mirror;
use super::prepared::Prepared;
use super::state::State;
use super::statement_timeout;
use super::tally;
use super::transaction::Transaction;
use crate::executor::client::{Client, Rows};
use crate::executor::deliver::{Delivered, Outgoing, deliver};

/// A column of an answer that Geogate makes.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: Cow<'static, str>,
    kind: Kind,
}

impl Column {
    pub(super) fn new(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The type of a [`Column`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// BIGINT(21).
    Integer,
    /// BIGINT(21) UNSIGNED, a count of warnings.
    Count,
    /// INT(4) UNSIGNED, the number of an error.
    Code,
    /// VARCHAR with room for so many characters.
    Text(u32),
    /// The same where NULL cannot stand.
    Filled(u32),
}

impl Kind {
    /// The definition that a server sends for such a column.
    fn definition<'a>(self, name: &'a [u8], text: &TextForm) -> ColumnDefinition<'a> {
        // "Not fixed" decimals of text, and how wide the number of an error is.
        let (not_fixed, code_length) = match text.product {
            Product::MariaDb => (39, 4),
            Product::MySql => (31, 5),
        };
        let (kind, collation, length) = match self {
            Self::Integer | Self::Count => (ColumnType::LongLong, BINARY, 21),
            Self::Code => (ColumnType::Long, BINARY, code_length),
            Self::Text(characters) | Self::Filled(characters) => {
                (ColumnType::VarString, text.collation, characters * text.width)
            }
        };
        let flags = match self {
            Self::Integer => ColumnFlags::NOT_NULL.union(ColumnFlags::BINARY),
            Self::Count => ColumnFlags::UNSIGNED.union(ColumnFlags::BINARY),
            Self::Code => {
                ColumnFlags::NOT_NULL.union(ColumnFlags::UNSIGNED).union(ColumnFlags::BINARY)
            }
            Self::Filled(_) => ColumnFlags::NOT_NULL,
            Self::Text(_) => ColumnFlags::empty(),
        };
        let decimals = if matches!(self, Self::Text(_) | Self::Filled(_)) { not_fixed } else { 0 };
        let definition = ColumnDefinition::computed(name, kind, collation, length);
        ColumnDefinition { flags, decimals, ..definition }
    }
}

/// How text columns are described.
struct TextForm {
    collation: u16,
    /// Bytes of the longest character.
    width: u32,
    product: Product,
}

/// A cell of an answer; `None` is NULL.
pub(super) type Cell = Option<CellText>;

/// The text of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CellText {
    /// To be written in the client's character set.
    Utf8(String),
    /// As it is sent.
    Encoded(Vec<u8>),
}

/// The collation of numbers and binary strings.
const BINARY: u16 = 63;
/// utf8mb4_0900_ai_ci, MySQL's default for utf8mb4.
const UTF8MB4_0900: u16 = 255;

impl Session {
    /// Tells the client how its command ran, and notes what that means for the next one.
    pub(super) async fn tell(&mut self, ran: Ran) -> Result<(), End> {
        self.client.drop_command();
        match ran {
            Ok(Answer::Sent) => Ok(()),
            Ok(answer) => {
                write(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    &mut self.prepared,
                    answer,
                );
                send(&mut self.client, &self.connections).await
            }
            Err(stop) => self.tell_stop(stop).await,
        }
    }

    #[cold]
    async fn tell_stop(&mut self, stop: Stop) -> Result<(), End> {
        match statement_timeout::stopped_in_time(&self.connections, stop) {
            Stop::Refused(error) => {
                write_error(&mut self.client, &mut self.connections, &error);
                note_error(&mut self.client, &mut self.connections, &mut self.state, *error);
                send(&mut self.client, &self.connections).await
            }
            Stop::Noted(error) => {
                write_error(&mut self.client, &mut self.connections, &error);
                let diagnosed = std::mem::take(&mut self.connections.diagnosed);
                note_error(&mut self.client, &mut self.connections, &mut self.state, *error);
                self.connections.diagnosed = diagnosed;
                send(&mut self.client, &self.connections).await
            }
            Stop::Told(error) => {
                note_error(&mut self.client, &mut self.connections, &mut self.state, *error);
                Ok(())
            }
            Stop::Fatal(error) => {
                write_error(&mut self.client, &mut self.connections, &error);
                note_error(&mut self.client, &mut self.connections, &mut self.state, *error);
                let _ = send(&mut self.client, &self.connections).await;
                Err(End::Abort)
            }
            Stop::Left(answer) => {
                write(
                    &mut self.client,
                    &mut self.connections,
                    &mut self.state,
                    &mut self.prepared,
                    *answer,
                );
                send(&mut self.client, &self.connections).await?;
                Err(End::Quit)
            }
            Stop::End(end) => Err(end),
        }
    }
}

impl Client {
    /// Says where the end of a server's answer is: the client has it, or the output buffer.
    #[inline]
    pub(super) fn answered(&self) -> Answer {
        if self.framed.out.is_empty() { Answer::Sent } else { Answer::Buffered }
    }
}

/// Sends the output buffer.
pub(super) async fn send(client: &mut Client, connections: &Connections) -> Result<(), End> {
    let keeps = || connections.servers();
    match deliver(client, &connections.control, Outgoing::Buffer, keeps).await {
        Delivered::Yes => Ok(()),
        Delivered::ClientGone => Err(End::Quit),
        Delivered::Killed => Err(End::Abort),
    }
}

/// The status that the client must see.
pub(super) fn status(client: &Client, connections: &Connections) -> StatusFlags {
    let mut status = StatusFlags::EMPTY;
    if connections.mirror.autocommit {
        status.insert(StatusFlags::AUTOCOMMIT);
    }
    if connections.transaction.is_shown()
        || connections.attached.iter().any(|attached| attached.in_transaction)
    {
        status.insert(StatusFlags::IN_TRANS);
    }
    if matches!(&connections.transaction, Transaction::Open(open) if open.is_read_only()) {
        status.insert(StatusFlags::IN_TRANS_READONLY);
    }
    if client.more_follows {
        status.insert(StatusFlags::MORE_RESULTS);
    }
    if connections.mirror.lex_mode.backslash == crate::sql::mode::Backslash::Literal {
        status.insert(StatusFlags::NO_BACKSLASH_ESCAPES);
    }
    status
}

/// Notes an error that the client is told.
fn note_error(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    error: SqlError,
) {
    tally::count_error(&connections.services, state, &error);
    client.failed = true;
    state.row_count = -1;
    connections.diagnosed.fail(error);
}

/// Puts an answer into the output buffer.
fn write(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    answer: Answer,
) {
    match answer {
        Answer::Sent | Answer::Buffered => {}
        Answer::Done(done) => {
            let (affected_rows, last_insert_id) = (done.affected_rows, done.last_insert_id);
            let (warnings, info, status) =
                (done.warnings, &done.info[..], status(client, connections));
            let ok = OkPacket {
                affected_rows,
                last_insert_id,
                status,
                warnings,
                info,
                ..OkPacket::default()
            };
            write_ok(client, connections, &ok);
            state.row_count = affected_rows as i64;
            leave_diagnostics(connections, done.leaves);
        }
        Answer::Rows(table) => write_table(client, connections, state, prepared, *table),
        Answer::Opened(opened) => {
            connections.diagnosed.clear();
            write_opened(client, connections, state, prepared, *opened);
        }
        Answer::Framed(packets) => client.framed.out.extend_from_slice(&packets),
    }
}

fn leave_diagnostics(connections: &mut Connections, leaves: Leaves) {
    match leaves {
        Leaves::AsServers => connections.diagnosed.answer_here(connections.services.product()),
        Leaves::Warnings => connections.diagnosed.count_here(),
        Leaves::Nothing => connections.diagnosed.clear(),
        Leaves::All => {}
    }
}

/// The answer to a command that is no statement and leaves the warnings of the last one there.
pub(super) fn alive(connections: &Connections) -> Answer {
    let (warnings, leaves) = (shown_warnings(connections), Leaves::Warnings);
    Answer::Done(Box::new(Done { warnings, leaves, ..Done::default() }))
}

/// The number of warnings in an answer to what is no statement: MySQL counts what is there.
fn shown_warnings(connections: &Connections) -> u16 {
    let count = match connections.services.product() {
        Product::MySql => {
            connections.diagnosed.warnings.count(false, &connections.mirror.character_sets)
        }
        Product::MariaDb => 0,
    };
    count.min(usize::from(u16::MAX)) as u16
}

fn write_ok(client: &mut Client, connections: &mut Connections, ok: &OkPacket<'_>) {
    let capabilities = client.capabilities;
    let ok = OkPacket { session_state: &connections.tracked.entries, ..*ok };
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        ok.encode(out, OkHeader::Statement, capabilities);
    });
    connections.tracked.entries.clear();
}

/// Puts an error into the output buffer.
fn write_error(client: &mut Client, connections: &mut Connections, error: &SqlError) {
    connections.tracked.entries.clear();
    let capabilities = client.capabilities;
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        let message = &*connections.mirror.character_sets.message(error);
        ErrPacket { message, ..ErrPacket::from(error) }.encode(out, capabilities);
    });
}

/// Puts rows of Geogate's own into the output buffer, or keeps them for a cursor.
fn write_table(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    table: Table,
) {
    let Table { columns, rows, leaves, found_rows } = table;
    if let Rows::Cursor(id) = client.rows {
        return keep_rows_for(client, connections, state, prepared, id, &columns, &rows);
    }
    let capabilities = client.capabilities;
    let end = OkPacket { status: status(client, connections), ..OkPacket::default() };
    let eof = EofPacket { warnings: 0, status: end.status };
    let text = text_form(&connections.services, &connections.mirror);
    let definitions = connections.mirror.settings.definitions();
    let sets = &connections.mirror.character_sets;
    let (out, sequence) = (&mut client.framed.out, &mut client.sequence);
    build_packet(out, sequence, |out| {
        ColumnCount::put(out, columns.len(), definitions, capabilities);
    });
    let described = if definitions == Definitions::Sent { &columns[..] } else { &[] };
    for column in described {
        let name = sets.answer(&column.name);
        let definition = column.kind.definition(&name, &text);
        build_packet(out, sequence, |out| definition.encode(out, capabilities));
    }
    if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
        build_packet(out, sequence, |out| eof.encode(out));
    }
    for row in &rows {
        let cells: Vec<_> = row.iter().map(|cell| shown(cell, sets)).collect();
        build_packet(out, sequence, |out| match client.rows {
            Rows::Text => {
                put_text_row(out, cells.iter().map(Option::as_deref));
            }
            Rows::Binary | Rows::Cursor(_) => put_binary(out, &columns, &cells),
        });
    }
    build_packet(out, sequence, |out| end.encode_result_end(out, capabilities));
    if found_rows == FoundRows::Counted {
        state.found_rows = rows.len() as u64;
    }
    state.row_count = -1;
    leave_diagnostics(connections, leaves);
}

/// Keeps rows that Geogate made for the cursor of a statement, and answers with the columns.
fn keep_rows_for(
    client: &mut Client,
    connections: &Connections,
    state: &mut State,
    prepared: &mut Prepared,
    id: u32,
    columns: &[Column],
    rows: &[Vec<Cell>],
) {
    let sets = &connections.mirror.character_sets;
    let kept = rows.iter().map(|row| {
        let mut payload = Vec::new();
        let cells: Vec<_> = row.iter().map(|cell| shown(cell, sets)).collect();
        put_binary(&mut payload, columns, &cells);
        payload
    });
    let kept = KeptRows::new(kept.collect(), connections.control.account.nothing());
    let text = text_form(&connections.services, &connections.mirror);
    let definitions = columns.iter().map(|column| {
        let mut payload = Vec::new();
        let name = sets.answer(&column.name);
        let definition = column.kind.definition(&name, &text);
        definition.encode(&mut payload, client.capabilities);
        payload
    });
    let opened = Opened {
        id,
        cursor: Cursor::Kept(kept),
        columns: definitions.collect(),
        definitions: connections.mirror.settings.definitions(),
    };
    write_opened(client, connections, state, prepared, opened);
}

/// Keeps a cursor for its statement, and puts its columns into the output buffer.
fn write_opened(
    client: &mut Client,
    connections: &Connections,
    state: &mut State,
    prepared: &mut Prepared,
    opened: Opened,
) {
    let Opened { id, cursor, columns, definitions } = opened;
    if let Some(statement) = prepared.get_mut(id) {
        statement.cursor = Some(cursor);
    }
    state.row_count = -1;
    merged_cursor::write_columns(client, connections, &columns, definitions);
}

/// How text columns of this session's answers are described.
fn text_form(services: &Services, mirror: &Mirror) -> TextForm {
    let sets = &mirror.character_sets;
    let product = services.product();
    let of_utf8mb4 = match product {
        Product::MySql => UTF8MB4_0900,
        Product::MariaDb => u16::from(UTF8MB4_COLLATION),
    };
    TextForm { collation: sets.answer_collation(of_utf8mb4), width: sets.answer_width(), product }
}

/// Puts EOF, or the OK that replaces it, into the output buffer.
pub(super) fn write_end(client: &mut Client, connections: &Connections) {
    let warnings = shown_warnings(connections);
    let end = OkPacket { status: status(client, connections), warnings, ..OkPacket::default() };
    let capabilities = client.capabilities;
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        end.encode_result_end(out, capabilities);
    });
}

/// A cell as the client wants to read it.
fn shown<'a>(cell: &'a Cell, sets: &CharacterSets) -> Option<Cow<'a, [u8]>> {
    cell.as_ref().map(|cell| match cell {
        CellText::Utf8(text) => sets.answer(text),
        CellText::Encoded(bytes) => Cow::Borrowed(&bytes[..]),
    })
}

fn put_binary(out: &mut Vec<u8>, columns: &[Column], row: &[Option<Cow<'_, [u8]>>]) {
    let values = row.iter().zip(columns).map(|(cell, column)| {
        cell.as_ref().map(|text| {
            let digits = || std::str::from_utf8(text).ok();
            let number = || digits().and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
            match column.kind {
                Kind::Integer | Kind::Count => number().to_le_bytes().to_vec(),
                Kind::Code => (number() as i32).to_le_bytes().to_vec(),
                Kind::Text(_) | Kind::Filled(_) => {
                    let mut raw = Vec::new();
                    put_lenenc_bytes(&mut raw, text);
                    raw
                }
            }
        })
    });
    let raws: Vec<Option<Vec<u8>>> = values.collect();
    put_binary_row(out, raws.iter().map(Option::as_deref));
}
