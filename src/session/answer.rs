//! What running a command comes to: an answer, or why there is none. It is written in one place,
//! when the command is done with, so that a command is answered exactly once.

use crate::error::SqlError;
use crate::planner::input::Target;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;
use crate::wire::column_count::Definitions;

use super::cursors::Cursor;
use super::reply::{Cell, CellText, Column};
use super::request::Source;

/// The answer to a command.
#[derive(Debug)]
pub(super) enum Answer {
    /// The client has it, or none is due.
    Sent,
    /// It stands in the output buffer.
    Buffered,
    /// An OK packet.
    Done(Box<Done>),
    /// Rows that Geogate made.
    Rows(Box<Table>),
    /// The columns of a cursor, whose rows come by COM_STMT_FETCH.
    Opened(Box<Opened>),
    /// A framed answer of a server's.
    Framed(Vec<u8>),
}

/// What a statement without rows has done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) affected_rows: u64,
    pub(super) last_insert_id: u64,
    /// How many warnings the packet tells of.
    pub(super) warnings: u16,
    pub(super) info: Vec<u8>,
    /// What is left of the warnings of the statement before.
    pub(super) leaves: Leaves,
}

/// What an answer of Geogate's own leaves of the diagnostics of the statement before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leaves {
    /// The warnings at MariaDB, nothing at MySQL.
    #[default]
    AsServers,
    /// The warnings; the counts are the session's.
    Warnings,
    /// Nothing.
    Nothing,
    /// All of it.
    All,
}

/// Rows that Geogate made.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) leaves: Leaves,
    /// What FOUND_ROWS() tells afterwards.
    pub(super) found_rows: FoundRows,
}

/// A cursor that Geogate keeps for a prepared statement.
#[derive(Debug)]
pub(super) struct Opened {
    /// The client's statement.
    pub(super) id: u32,
    pub(super) cursor: Cursor,
    /// Definitions of the columns.
    pub(super) columns: Vec<Vec<u8>>,
    pub(super) definitions: Definitions,
}

/// What FOUND_ROWS() tells after an answer of Geogate's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundRows {
    /// The number of its rows.
    Counted,
    /// What it told before.
    AsBefore,
}

/// Why a command has no answer that it could be left at.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is to be told this.
    Refused(Box<SqlError>),
    /// The same, and what the statement left behind at its server has been noted.
    Noted(Box<SqlError>),
    /// The client has been told this in the place of the rows that were due.
    Told(Box<SqlError>),
    /// The client is to be told this, and the session ends.
    Fatal(Box<SqlError>),
    /// The client has asked to be answered this and then left.
    Left(Box<Answer>),
    /// The session ends.
    End(End),
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client said goodbye, or closed its side.
    Quit,
    /// The client cannot be trusted to be in step any more, or was interrupted; it has been told.
    Abort,
}

/// How a command ran.
pub(super) type Ran = Result<Answer, Stop>;

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl Stop {
    /// The client is told this, and the session ends.
    pub(super) fn fatal(error: SqlError) -> Self {
        Self::Fatal(Box::new(error))
    }
}

impl Answer {
    /// OK, as to a statement that has changed so many rows.
    pub(super) fn ok(affected_rows: u64) -> Self {
        Self::Done(Box::new(Done { affected_rows, ..Done::default() }))
    }

    /// OK, as to COMMIT and ROLLBACK.
    pub(super) fn completed(warnings: u16) -> Self {
        Self::Done(Box::new(Done { warnings, leaves: Leaves::Warnings, ..Done::default() }))
    }

    /// OK to a PREPARE in text.
    pub(super) fn prepared() -> Self {
        let info = b"Statement prepared".to_vec();
        Self::Done(Box::new(Done { info, leaves: Leaves::All, ..Done::default() }))
    }

    /// Rows of cells.
    pub(super) fn rows(columns: Vec<Column>, rows: Vec<Vec<Cell>>) -> Self {
        let (leaves, found_rows) = (Leaves::AsServers, FoundRows::Counted);
        Self::Rows(Box::new(Table { columns, rows, leaves, found_rows }))
    }

    /// The same with another effect on the diagnostics of the statement before.
    pub(super) fn leaving(mut self, left: Leaves) -> Self {
        match &mut self {
            Self::Done(done) => done.leaves = left,
            Self::Rows(table) => table.leaves = left,
            Self::Sent | Self::Buffered | Self::Opened(_) | Self::Framed(_) => {}
        }
        self
    }

    /// Rows of text in UTF-8.
    pub(super) fn text(columns: Vec<Column>, rows: Vec<Vec<Option<String>>>) -> Self {
        let cell = |text: Option<String>| text.map(CellText::Utf8);
        let rows = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
        Self::rows(columns, rows)
    }
}

/// What becomes of a statement about the session.
#[derive(Debug)]
pub(super) enum Way {
    /// It is answered.
    Answered(Answer),
    /// Servers run it, as a statement of this kind.
    Servers(StatementKind, Features),
    /// Another text runs in its place.
    Instead(Instead),
}

/// Which way a statement went.
pub(super) type Went = Result<Way, Stop>;

/// The text of a prepared statement, to be run in the place of its EXECUTE.
#[derive(Debug)]
pub(super) struct Instead {
    pub(super) source: Source,
    /// Where the session was when it was prepared; `None` for what names nothing.
    pub(super) place: Option<Place>,
}

/// What a session is aimed at: where the names in its statements are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) database: Vec<u8>,
    pub(super) target: Target,
}

impl From<Answer> for Way {
    fn from(answer: Answer) -> Self {
        Self::Answered(answer)
    }
}
