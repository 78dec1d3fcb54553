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

use super::cursors::Cursor;
use super::transaction::Transaction;
use super::{End, Session};

/// A column of an answer that Geogate makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
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

/// A cell of an answer as it is sent; `None` is NULL.
pub(super) type Cell<'a> = Option<Cow<'a, [u8]>>;

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

    /// Answers OK or the error.
    pub(super) async fn reply_result(&mut self, result: Result<(), SqlError>) -> Result<(), End> {
        match result {
            Ok(()) => self.reply_ok(0).await,
            Err(error) => self.reply_error(error).await,
        }
    }

    /// Answers OK.
    pub(super) async fn reply_ok(&mut self, affected_rows: u64) -> Result<(), End> {
        let ok = OkPacket { affected_rows, status: self.status(), ..OkPacket::default() };
        self.write_ok(&ok);
        self.state.row_count = affected_rows as i64;
        self.diagnosed.answer_here(self.services.product());
        self.flush().await
    }

    /// Answers OK to a command that is no statement and leaves the warnings of the last one there.
    pub(super) async fn reply_alive(&mut self) -> Result<(), End> {
        let ok = OkPacket {
            status: self.status(),
            warnings: self.shown_warnings(),
            ..OkPacket::default()
        };
        self.write_ok(&ok);
        self.state.row_count = 0;
        self.diagnosed.count_here();
        self.flush().await
    }

    /// The number of warnings in an answer to what is no statement: MySQL counts what is there.
    fn shown_warnings(&self) -> u16 {
        let count = match self.services.product() {
            Product::MySql => self.diagnosed.warnings.count(false, &self.state.character_sets),
            Product::MariaDb => 0,
        };
        count.min(usize::from(u16::MAX)) as u16
    }

    /// Answers COMMIT and ROLLBACK.
    pub(super) async fn reply_completed(&mut self, warnings: u16) -> Result<(), End> {
        let ok = OkPacket { warnings, status: self.status(), ..OkPacket::default() };
        self.write_ok(&ok);
        self.state.row_count = 0;
        self.diagnosed.count_here();
        self.flush().await
    }

    pub(super) fn write_ok(&mut self, ok: &OkPacket<'_>) {
        let capabilities = self.client.capabilities;
        let ok = OkPacket { session_state: &self.tracked, ..*ok };
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            ok.encode(out, OkHeader::Statement, capabilities);
        });
        self.tracked.clear();
    }

    /// Answers with an error.
    pub(super) async fn reply_error(&mut self, error: SqlError) -> Result<(), End> {
        self.write_error(&error);
        self.count_error(&error);
        self.failed = true;
        self.state.row_count = -1;
        self.diagnosed.fail(error);
        self.flush().await
    }

    /// Puts an error into the output buffer.
    pub(super) fn write_error(&mut self, error: &SqlError) {
        self.tracked.clear();
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            let message = &*self.state.character_sets.message(error);
            ErrPacket { message, ..ErrPacket::from(error) }.encode(out, capabilities);
        });
    }

    /// Answers with a result set of text.
    pub(super) async fn reply_rows(
        &mut self,
        columns: &[Column<'_>],
        rows: &[Vec<Option<String>>],
    ) -> Result<(), End> {
        let sets = &self.state.character_sets;
        let cell = |cell: &Option<String>| {
            cell.as_deref().map(|text| Cow::Owned(sets.answer(text).into_owned()))
        };
        let rows: Vec<Vec<Cell<'static>>> =
            rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        self.reply_cells(columns, &rows).await
    }

    /// Answers with a result set whose text is in the client's character set.
    pub(super) async fn reply_cells(
        &mut self,
        columns: &[Column<'_>],
        rows: &[Vec<Cell<'_>>],
    ) -> Result<(), End> {
        if let Rows::Cursor(id) = self.rows {
            return self.keep_rows_for(id, columns, rows).await;
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
        let described = if definitions == Definitions::Sent { columns } else { &[] };
        for column in described {
            let name = sets.answer(column.name);
            let definition = column.kind.definition(&name, &text);
            build_packet(out, sequence, |out| definition.encode(out, capabilities));
        }
        if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            build_packet(out, sequence, |out| eof.encode(out));
        }
        for row in rows {
            build_packet(out, sequence, |out| match self.rows {
                Rows::Text => {
                    put_text_row(out, row.iter().map(Option::as_deref));
                }
                Rows::Binary | Rows::Cursor(_) => put_binary(out, columns, row),
            });
        }
        build_packet(out, sequence, |out| end.encode_result_end(out, capabilities));
        self.state.found_rows = rows.len() as u64;
        self.state.row_count = -1;
        self.diagnosed.answer_here(self.services.product());
        self.flush().await
    }

    /// Keeps rows that Geogate made for the cursor of a statement, and answers with the columns.
    async fn keep_rows_for(
        &mut self,
        id: u32,
        columns: &[Column<'_>],
        rows: &[Vec<Cell<'_>>],
    ) -> Result<(), End> {
        let kept = rows.iter().map(|row| {
            let mut payload = Vec::new();
            put_binary(&mut payload, columns, row);
            payload
        });
        if let Some(statement) = self.prepared.get_mut(id) {
            statement.cursor = Some(Cursor::Kept(kept.collect()));
        }
        let text = self.text_form();
        let definitions = columns.iter().map(|column| {
            let mut payload = Vec::new();
            let name = self.state.character_sets.answer(column.name);
            let definition = column.kind.definition(&name, &text);
            definition.encode(&mut payload, self.client.capabilities);
            payload
        });
        let definitions: Vec<Vec<u8>> = definitions.collect();
        self.state.row_count = -1;
        self.reply_columns(&definitions, self.state.settings.definitions()).await
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

    /// Answers EOF, or the OK that replaces it.
    pub(super) async fn reply_end(&mut self) -> Result<(), End> {
        let warnings = self.shown_warnings();
        let end = OkPacket { status: self.status(), warnings, ..OkPacket::default() };
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            end.encode_result_end(out, capabilities);
        });
        self.flush().await
    }

    /// Sends the output buffer.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.client.framed.flush().await.map_err(|_| End::Quit)
    }
}

fn put_binary(out: &mut Vec<u8>, columns: &[Column<'_>], row: &[Cell<'_>]) {
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
