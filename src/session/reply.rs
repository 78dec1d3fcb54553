//! Answers that Geogate writes itself.

use crate::error::SqlError;
use crate::wire::capability::Capabilities;
use crate::wire::column::ColumnDefinition;
use crate::wire::column_type::{ColumnFlags, ColumnType};
use crate::wire::encode::{put_lenenc_bytes, put_lenenc_int};
use crate::wire::err::ErrPacket;
use crate::wire::ok::{EofPacket, OkHeader, OkPacket};
use crate::wire::packet::build_packet;
use crate::wire::row_binary::put_binary_row;
use crate::wire::row_text::put_text_row;
use crate::wire::status::StatusFlags;

use super::state::Warnings;
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
    /// The definition that a server sends for such a column. `not_fixed` is what its product says
    /// for the decimals of text.
    fn definition(self, name: &[u8], not_fixed: u8) -> ColumnDefinition<'_> {
        let (kind, collation, length) = match self {
            Self::Integer | Self::Count => (ColumnType::LongLong, BINARY, 21),
            Self::Code => (ColumnType::Long, BINARY, 4),
            Self::Text(characters) | Self::Filled(characters) => {
                (ColumnType::VarString, UTF8MB4, characters * 4)
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

/// The form of the rows that Geogate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// For COM_QUERY.
    Text,
    /// For COM_STMT_EXECUTE.
    Binary,
}

/// The collation of numbers and binary strings.
const BINARY: u16 = 63;
/// utf8mb4_general_ci, for text.
const UTF8MB4: u16 = 45;

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
        self.flush().await
    }

    pub(super) fn write_ok(&mut self, ok: &OkPacket<'_>) {
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            ok.encode(out, OkHeader::Statement, capabilities);
        });
    }

    /// Answers with an error.
    pub(super) async fn reply_error(&mut self, error: SqlError) -> Result<(), End> {
        self.write_error(&error);
        self.count_error(&error);
        self.failed = true;
        self.state.row_count = -1;
        self.state.warnings = Warnings::Error(error);
        self.flush().await
    }

    /// Puts an error into the output buffer.
    pub(super) fn write_error(&mut self, error: &SqlError) {
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            ErrPacket::from(error).encode(out, capabilities);
        });
    }

    /// Answers with a result set of text.
    pub(super) async fn reply_rows(
        &mut self,
        columns: &[Column<'_>],
        rows: &[Vec<Option<String>>],
    ) -> Result<(), End> {
        let capabilities = self.client.capabilities;
        let end = OkPacket { status: self.status(), ..OkPacket::default() };
        let eof = EofPacket { warnings: 0, status: end.status };
        // "Not fixed" is another number for each product.
        let mariadb = self.services.server_version.contains("MariaDB");
        let not_fixed = if mariadb { 39 } else { 31 };
        let (out, sequence) = (&mut self.client.framed.out, &mut self.sequence);
        build_packet(out, sequence, |out| put_lenenc_int(out, columns.len() as u64));
        for column in columns {
            let name = column.name.as_bytes();
            let definition = column.kind.definition(name, not_fixed);
            build_packet(out, sequence, |out| definition.encode(out, capabilities));
        }
        if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            build_packet(out, sequence, |out| eof.encode(out));
        }
        for row in rows {
            build_packet(out, sequence, |out| match self.rows {
                Rows::Text => {
                    put_text_row(out, row.iter().map(|c| c.as_deref().map(str::as_bytes)));
                }
                Rows::Binary => put_binary(out, columns, row),
            });
        }
        build_packet(out, sequence, |out| end.encode_result_end(out, capabilities));
        self.state.found_rows = rows.len() as u64;
        self.state.row_count = -1;
        self.flush().await
    }

    /// Answers EOF, or the OK that replaces it.
    pub(super) async fn reply_end(&mut self) -> Result<(), End> {
        let end = OkPacket { status: self.status(), ..OkPacket::default() };
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            end.encode_result_end(out, capabilities);
        });
        self.flush().await
    }

    /// COM_STATISTICS: one line of text, in the form that servers give it.
    pub(super) async fn reply_statistics(&mut self) -> Result<(), End> {
        let registry = &self.services.registry;
        let line = format!("Uptime: {}  Threads: {}", registry.seconds(), registry.count());
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            out.extend_from_slice(line.as_bytes());
        });
        self.flush().await
    }

    /// Sends the output buffer.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.client.framed.flush().await.map_err(|_| End::Quit)
    }
}

fn put_binary(out: &mut Vec<u8>, columns: &[Column<'_>], row: &[Option<String>]) {
    let values = row.iter().zip(columns).map(|(cell, column)| {
        cell.as_ref().map(|text| {
            let number = || text.parse::<i64>().unwrap_or(0);
            match column.kind {
                Kind::Integer | Kind::Count => number().to_le_bytes().to_vec(),
                Kind::Code => (number() as i32).to_le_bytes().to_vec(),
                Kind::Text(_) | Kind::Filled(_) => {
                    let mut raw = Vec::new();
                    put_lenenc_bytes(&mut raw, text.as_bytes());
                    raw
                }
            }
        })
    });
    let raws: Vec<Option<Vec<u8>>> = values.collect();
    put_binary_row(out, raws.iter().map(Option::as_deref));
}
