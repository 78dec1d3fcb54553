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

use super::Session;
use super::answer::{Answer, Done, End, FoundRows, Leaves, Opened, Ran, Stop, Table};
use super::character_sets::CharacterSets;
use super::cursors::Cursor;
use super::transaction::Transaction;

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
            Self::Text(_) => ColumnFlags::from_bits(0),
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

/// The form of the rows that Geogate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// For COM_QUERY.
    Text,
    /// For COM_STMT_EXECUTE.
    Binary,
    /// For the cursor of this statement of the client.
    Cursor(u32),
}

/// The collation of numbers and binary strings.
const BINARY: u16 = 63;
/// utf8mb4_0900_ai_ci, MySQL's default for utf8mb4.
const UTF8MB4_0900: u16 = 255;

impl Session {
    /// The status that the client must see.
    pub(super) fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::EMPTY;
        if self.state.autocommit {
            status.insert(StatusFlags::AUTOCOMMIT);
        }
        if self.in_transaction() {
            status.insert(StatusFlags::IN_TRANS);
        }
        if matches!(&self.transaction, Transaction::Open(open) if open.is_read_only()) {
            status.insert(StatusFlags::IN_TRANS_READONLY);
        }
        if self.more_follows {
            status.insert(StatusFlags::MORE_RESULTS);
        }
        if self.state.lex_mode.backslash == crate::sql::mode::Backslash::Literal {
            status.insert(StatusFlags::NO_BACKSLASH_ESCAPES);
        }
        status
    }

    /// Tells the client how its command ran, and notes what that means for the next one.
    pub(super) async fn tell(&mut self, ran: Ran) -> Result<(), End> {
        self.client.drop_command();
        match ran {
            Ok(Answer::Sent) => Ok(()),
            Ok(answer) => {
                self.write(answer);
                self.flush().await
            }
            Err(stop) => self.tell_stop(stop).await,
        }
    }

    #[cold]
    async fn tell_stop(&mut self, stop: Stop) -> Result<(), End> {
        match stop {
            Stop::Refused(error) => {
                self.write_error(&error);
                self.note_error(*error);
                self.flush().await
            }
            Stop::Noted(error) => {
                self.write_error(&error);
                let diagnosed = std::mem::take(&mut self.diagnosed);
                self.note_error(*error);
                self.diagnosed = diagnosed;
                self.flush().await
            }
            Stop::Told(error) => {
                self.note_error(*error);
                Ok(())
            }
            Stop::Fatal(error) => {
                self.write_error(&error);
                self.note_error(*error);
                let _ = self.flush().await;
                Err(End::Abort)
            }
            Stop::Left(answer) => {
                self.write(*answer);
                self.flush().await?;
                Err(End::Quit)
            }
            Stop::End(end) => Err(end),
        }
    }

    /// Notes an error that the client is told.
    fn note_error(&mut self, error: SqlError) {
        self.count_error(&error);
        self.failed = true;
        self.state.row_count = -1;
        self.diagnosed.fail(error);
    }

    /// Puts an answer into the output buffer.
    fn write(&mut self, answer: Answer) {
        match answer {
            Answer::Sent | Answer::Buffered => {}
            Answer::Done(done) => {
                let (affected_rows, last_insert_id) = (done.affected_rows, done.last_insert_id);
                let (warnings, info, status) = (done.warnings, &done.info[..], self.status());
                let ok = OkPacket {
                    affected_rows,
                    last_insert_id,
                    status,
                    warnings,
                    info,
                    ..OkPacket::default()
                };
                self.write_ok(&ok);
                self.state.row_count = affected_rows as i64;
                self.leave_diagnostics(done.leaves);
            }
            Answer::Rows(table) => self.write_table(*table),
            Answer::Opened(opened) => {
                self.diagnosed.clear();
                self.write_opened(*opened);
            }
            Answer::Framed(packets) => self.client.framed.out.extend_from_slice(&packets),
        }
    }

    fn leave_diagnostics(&mut self, leaves: Leaves) {
        match leaves {
            Leaves::AsServers => self.diagnosed.answer_here(self.services.product()),
            Leaves::Warnings => self.diagnosed.count_here(),
            Leaves::Nothing => self.diagnosed.clear(),
            Leaves::All => {}
        }
    }

    /// The answer to a command that is no statement and leaves the warnings of the last one there.
    pub(super) fn alive(&self) -> Answer {
        let (warnings, leaves) = (self.shown_warnings(), Leaves::Warnings);
        Answer::Done(Done { warnings, leaves, ..Done::default() })
    }

    /// The number of warnings in an answer to what is no statement: MySQL counts what is there.
    fn shown_warnings(&self) -> u16 {
        let count = match self.services.product() {
            Product::MySql => self.diagnosed.warnings.count(false, &self.state.character_sets),
            Product::MariaDb => 0,
        };
        count.min(usize::from(u16::MAX)) as u16
    }

    fn write_ok(&mut self, ok: &OkPacket<'_>) {
        let capabilities = self.client.capabilities;
        let ok = OkPacket { session_state: &self.tracked.entries, ..*ok };
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            ok.encode(out, OkHeader::Statement, capabilities);
        });
        self.tracked.entries.clear();
    }

    /// Puts an error into the output buffer.
    fn write_error(&mut self, error: &SqlError) {
        self.tracked.entries.clear();
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            let message = &*self.state.character_sets.message(error);
            ErrPacket { message, ..ErrPacket::from(error) }.encode(out, capabilities);
        });
    }

    /// Puts rows of Geogate's own into the output buffer, or keeps them for a cursor.
    fn write_table(&mut self, table: Table) {
        let Table { columns, rows, leaves, found_rows } = table;
        if let Rows::Cursor(id) = self.rows {
            return self.keep_rows_for(id, &columns, &rows);
        }
        let capabilities = self.client.capabilities;
        let end = OkPacket { status: self.status(), ..OkPacket::default() };
        let eof = EofPacket { warnings: 0, status: end.status };
        let text = self.text_form();
        let definitions = self.state.settings.definitions();
        let sets = &self.state.character_sets;
        let (out, sequence) = (&mut self.client.framed.out, &mut self.sequence);
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
            build_packet(out, sequence, |out| match self.rows {
                Rows::Text => {
                    put_text_row(out, cells.iter().map(Option::as_deref));
                }
                Rows::Binary | Rows::Cursor(_) => put_binary(out, &columns, &cells),
            });
        }
        build_packet(out, sequence, |out| end.encode_result_end(out, capabilities));
        if found_rows == FoundRows::Counted {
            self.state.found_rows = rows.len() as u64;
        }
        self.state.row_count = -1;
        self.leave_diagnostics(leaves);
    }

    /// Keeps rows that Geogate made for the cursor of a statement, and answers with the columns.
    fn keep_rows_for(&mut self, id: u32, columns: &[Column], rows: &[Vec<Cell>]) {
        let sets = &self.state.character_sets;
        let kept = rows.iter().map(|row| {
            let mut payload = Vec::new();
            let cells: Vec<_> = row.iter().map(|cell| shown(cell, sets)).collect();
            put_binary(&mut payload, columns, &cells);
            payload
        });
        let kept = kept.collect();
        let text = self.text_form();
        let definitions = columns.iter().map(|column| {
            let mut payload = Vec::new();
            let name = sets.answer(&column.name);
            let definition = column.kind.definition(&name, &text);
            definition.encode(&mut payload, self.client.capabilities);
            payload
        });
        let opened = Opened {
            id,
            cursor: Cursor::Kept(kept),
            columns: definitions.collect(),
            definitions: self.state.settings.definitions(),
        };
        self.write_opened(opened);
    }

    /// Keeps a cursor for its statement, and puts its columns into the output buffer.
    fn write_opened(&mut self, opened: Opened) {
        let Opened { id, cursor, columns, definitions } = opened;
        if let Some(statement) = self.prepared.get_mut(id) {
            statement.cursor = Some(cursor);
        }
        self.state.row_count = -1;
        self.write_columns(&columns, definitions);
    }

    /// How text columns of this session's answers are described.
    fn text_form(&self) -> TextForm {
        let sets = &self.state.character_sets;
        let product = self.services.product();
        let of_utf8mb4 = match product {
            Product::MySql => UTF8MB4_0900,
            Product::MariaDb => u16::from(UTF8MB4_COLLATION),
        };
        TextForm {
            collation: sets.answer_collation(of_utf8mb4),
            width: sets.answer_width(),
            product,
        }
    }

    /// Puts EOF, or the OK that replaces it, into the output buffer.
    pub(super) fn write_end(&mut self) {
        let warnings = self.shown_warnings();
        let end = OkPacket { status: self.status(), warnings, ..OkPacket::default() };
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            end.encode_result_end(out, capabilities);
        });
    }

    /// Sends the output buffer.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.client.framed.flush().await.map_err(|_| End::Quit)
    }
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
