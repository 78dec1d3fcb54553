//! What the scanner is told and what it tells: plain data.

use crate::wire::column_count::Definitions;
use crate::wire::statement::PrepareOk;
use crate::wire::status::StatusFlags;

/// The kind of answer that a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// OK, ERR, LOCAL INFILE or result sets: COM_QUERY and COM_STMT_EXECUTE.
    Query,
    /// The same from a COM_STMT_EXECUTE that asks for a cursor: if one was opened, no rows come.
    Cursor,
    /// COM_STMT_PREPARE.
    Prepare,
    /// COM_FIELD_LIST: columns without a count.
    FieldList,
    /// COM_STATISTICS: one packet of text.
    Statistics,
    /// One OK, EOF or ERR packet: COM_PING, COM_INIT_DB, COM_STMT_RESET, COM_SET_OPTION, ...
    OkOrErr,
    /// COM_STMT_FETCH: rows without columns.
    Fetch,
}

/// How far a chunk brought the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The whole chunk belongs to the answer, and more is to come.
    NeedMore,
    /// The answer ended before byte `at` of this chunk.
    Finished {
        /// First byte that does not belong to the answer.
        at: usize,
    },
    /// A result ended before byte `at` of this chunk with session state changes, which not every
    /// client may see; another result follows. Go on with what follows `at`.
    Changes {
        /// First byte after the packet that ended the result.
        at: usize,
    },
    /// The server asks for a file (LOAD DATA LOCAL); its request ended before byte `at`. When the
    /// file, or an empty packet, has been sent, go on with
    /// [`super::ResponseScanner::after_local_infile`].
    LocalInfile {
        /// First byte after the request.
        at: usize,
    },
}

/// What an answer said. Numbers are the last packet's, except for the counts of rows and results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Server status; not known (empty) after an error.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Affected rows.
    pub affected_rows: u64,
    /// Last insert id.
    pub last_insert_id: u64,
    /// The error number, if the answer ended with ERR.
    pub error: Option<u16>,
    /// Columns of the last result set; 0 for an OK.
    pub columns: u32,
    /// Whether the last result set came with their definitions.
    pub definitions: Definitions,
    /// Rows in all result sets.
    pub rows: u64,
    /// Results (OK packets and result sets) that ended.
    pub results: u32,
    /// The first packet of a successful COM_STMT_PREPARE.
    pub prepared: Option<PrepareOk>,
}

impl Outcome {
    /// Whether the answer ended with an ERR packet.
    pub const fn is_error(&self) -> bool {
        self.error.is_some()
    }
}
