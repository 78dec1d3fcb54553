//! What a packet means at its place in an answer, and what place comes next.
//!
//! The framing in [`super`] calls this file at the first byte of a packet and at its end.

use super::chunk::Chunk;
use super::outcome::{Expect, Outcome};
use super::{Framing, KEPT_MAX, Keep, LOCAL_INFILE, ResponseScanner};
use crate::wire::capability::Capabilities;
use crate::wire::column_count::{ColumnCount, Definitions};
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::err::{ERR, ErrPacket, PROGRESS};
use crate::wire::ok::{EOF, EOF_LEN_MAX, EofPacket, OK, OkPacket};
use crate::wire::packet::MAX_PAYLOAD;
use crate::wire::statement::PrepareOk;
use crate::wire::status::StatusFlags;

/// Where in the answer the next packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Start(Expect),
    Columns {
        left: u32,
    },
    ColumnsEnd,
    Rows(After),
    /// Definitions of a prepared statement: parameters, then columns.
    Prepared {
        params: u32,
        columns: u32,
        ends: u8,
    },
    FieldList,
    /// Behind a result that is not the last and has said what has changed.
    Changes,
    Infile,
    Done,
}

impl Phase {
    /// What follows a result that is not the last.
    fn after(ok: &OkPacket<'_>) -> Self {
        if ok.session_state.is_empty() { Self::Start(Expect::Query) } else { Self::Changes }
    }
}

/// Whether MORE_RESULTS at the end of rows means that another result follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    MoreResults,
    /// It does, but MySQL says it only before these rows, if EOF packets are used.
    OutParams,
    Nothing,
}

impl ResponseScanner {
    /// Decides by place and first byte whether the packet must be kept. Consumes nothing.
    pub(super) fn read_first(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        len: usize,
    ) -> Result<(), Malformed> {
        let Some(&first) = chunk.bytes().get(at) else { return Ok(()) };
        // A server that gives up an idle connection says so with id 0, before it read our command.
        let farewell = matches!(self.phase, Phase::Start(_)) && first == ERR && self.next_seq == 1;
        if self.out_of_order && !farewell {
            return Err(Malformed::new("the next sequence id", at));
        }
        let keep = match self.phase {
            _ if first == ERR => Keep::Keep,
            Phase::Start(_) => Keep::Keep,
            Phase::Columns { .. } => Keep::Skip,
            Phase::Prepared { params, columns, ends } => {
                let ended = Self::definitions_ended(params, columns, ends);
                if ended { self.end_marker(first, len, at)? } else { Keep::Skip }
            }
            Phase::ColumnsEnd => self.end_marker(first, len, at)?,
            // A full packet that starts with 0xfe is a row whose first cell is 16 MiB or longer.
            Phase::Rows(_) if first == EOF && len < MAX_PAYLOAD => {
                self.end_marker(first, len, at)?
            }
            Phase::FieldList if first == EOF => self.end_marker(first, len, at)?,
            Phase::Rows(_) => {
                self.outcome.rows += 1;
                Keep::Skip
            }
            Phase::FieldList => {
                self.outcome.columns = self.outcome.columns.saturating_add(1);
                Keep::Skip
            }
            Phase::Changes | Phase::Infile | Phase::Done => {
                return Err(Malformed::new("nothing", at));
            }
        };
        if keep == Keep::Keep {
            self.kept.clear();
        }
        self.framing = Framing::Payload { keep };
        Ok(())
    }

    fn end_marker(&self, first: u8, len: usize, at: usize) -> Result<Keep, Malformed> {
        if first != EOF || !self.deprecates_eof() && len > EOF_LEN_MAX {
            return Err(Malformed::new("an EOF packet", at));
        }
        Ok(Keep::Keep)
    }

    /// Where the kept packet has its status, if it has one and all before it is known.
    pub(super) fn status_offset(&self) -> Option<usize> {
        let first = *self.kept.first()?;
        match self.phase {
            Phase::Start(Expect::Query) if first == OK => {}
            Phase::ColumnsEnd | Phase::Rows(_) if first == EOF => {
                if !self.deprecates_eof() {
                    return Some(3);
                }
            }
            _ => return None,
        }
        let mut cursor = Cursor::new(&self.kept);
        cursor.u8().ok()?;
        cursor.lenenc_int().ok()?;
        cursor.lenenc_int().ok()?;
        Some(cursor.position())
    }

    fn deprecates_eof(&self) -> bool {
        self.capabilities.contains(Capabilities::DEPRECATE_EOF)
    }

    pub(super) fn end_packet(&mut self, keep: Keep, at: usize) -> Result<(), Malformed> {
        let framed = |error: Malformed| Malformed::new(error.expected, at);
        if keep == Keep::Keep && self.kept.first() == Some(&ERR) {
            return self.end_with_error().map_err(framed);
        }
        match self.phase {
            Phase::Start(expect) => self.end_first_packet(expect).map_err(framed),
            Phase::Columns { left: 1 } if self.deprecates_eof() => {
                self.phase = Phase::Rows(After::MoreResults);
                Ok(())
            }
            Phase::Columns { left: 1 } => {
                self.phase = Phase::ColumnsEnd;
                Ok(())
            }
            Phase::Columns { left } => {
                self.phase = Phase::Columns { left: left.saturating_sub(1) };
                Ok(())
            }
            Phase::ColumnsEnd => self.end_columns().map_err(framed),
            Phase::Rows(after) if keep == Keep::Keep => self.end_result(after).map_err(framed),
            Phase::FieldList if keep == Keep::Keep => {
                self.end_result(After::Nothing).map_err(framed)
            }
            Phase::Prepared { params, columns, ends } => {
                self.end_definition(keep, params, columns, ends).map_err(framed)
            }
            Phase::Rows(_) | Phase::FieldList | Phase::Changes | Phase::Infile | Phase::Done => {
                Ok(())
            }
        }
    }

    /// The answer ends, unless the packet only tells how far the statement is.
    fn end_with_error(&mut self) -> Result<(), Malformed> {
        let errno = ErrPacket::parse(&self.kept)?.errno;
        if errno == PROGRESS && self.capabilities.contains(Capabilities::MARIADB_PROGRESS) {
            return Ok(());
        }
        self.outcome.error = Some(errno);
        self.outcome.status = StatusFlags::EMPTY;
        self.phase = Phase::Done;
        Ok(())
    }

    fn end_first_packet(&mut self, expect: Expect) -> Result<(), Malformed> {
        let first = self.kept.first().copied().unwrap_or_default();
        match expect {
            Expect::Statistics => {
                self.phase = Phase::Done;
                Ok(())
            }
            Expect::OkOrErr if first == EOF => self.end_result(After::Nothing),
            Expect::OkOrErr if first == OK => self.end_ok(After::Nothing),
            Expect::Prepare if first == OK => self.begin_definitions(),
            Expect::Query if first == OK => self.end_ok(After::MoreResults),
            Expect::Query if first == LOCAL_INFILE => {
                self.phase = Phase::Infile;
                Ok(())
            }
            Expect::Query => {
                let count = ColumnCount::parse(&self.kept, self.capabilities)?;
                self.outcome.columns = count.columns;
                self.outcome.definitions = count.definitions;
                self.phase = match count.described() {
                    0 if self.deprecates_eof() => Phase::Rows(After::MoreResults),
                    0 => Phase::ColumnsEnd,
                    left => Phase::Columns { left },
                };
                Ok(())
            }
            _ => Err(Malformed::new("an OK or ERR packet", 0)),
        }
    }

    fn begin_definitions(&mut self) -> Result<(), Malformed> {
        let prepared = PrepareOk::parse(&self.kept, self.capabilities)?;
        let (params, columns) = (u32::from(prepared.params), u32::from(prepared.columns));
        self.outcome.prepared = Some(prepared);
        self.outcome.columns = columns;
        self.outcome.warnings = prepared.warnings;
        let groups = u8::from(params > 0) + u8::from(columns > 0);
        let ends = if self.deprecates_eof() { 0 } else { groups };
        match prepared.definitions {
            Definitions::Sent => self.continue_definitions(params, columns, ends),
            Definitions::LeftOut => self.continue_definitions(0, 0, ends),
        }
        Ok(())
    }

    /// Whether an EOF packet is due: all definitions of a group have come, its end has not.
    fn definitions_ended(params: u32, columns: u32, ends: u8) -> bool {
        let groups_left = u8::from(params > 0) + u8::from(columns > 0);
        ends > 0 && params == 0 && ends > groups_left
    }

    fn end_definition(
        &mut self,
        keep: Keep,
        params: u32,
        columns: u32,
        ends: u8,
    ) -> Result<(), Malformed> {
        if keep == Keep::Keep {
            let eof = EofPacket::parse(&self.kept)?;
            self.outcome.status = eof.status;
            self.continue_definitions(params, columns, ends - 1);
        } else if params > 0 {
            self.continue_definitions(params - 1, columns, ends);
        } else {
            self.continue_definitions(params, columns.saturating_sub(1), ends);
        }
        Ok(())
    }

    fn continue_definitions(&mut self, params: u32, columns: u32, ends: u8) {
        self.phase = if params == 0 && columns == 0 && ends == 0 {
            self.outcome.results += 1;
            Phase::Done
        } else {
            Phase::Prepared { params, columns, ends }
        };
    }

    fn end_columns(&mut self) -> Result<(), Malformed> {
        let eof = EofPacket::parse(&self.kept)?;
        // With a cursor this is the end: the rows come by COM_STMT_FETCH. The results of a CALL
        // have the flag too while the procedure has a cursor of its own open.
        if self.cursor_asked && eof.status.contains(StatusFlags::CURSOR_EXISTS) {
            return self.end_result(After::MoreResults);
        }
        let are_outs = eof.status.contains(StatusFlags::PS_OUT_PARAMS)
            && eof.status.contains(StatusFlags::MORE_RESULTS);
        self.phase = Phase::Rows(if are_outs { After::OutParams } else { After::MoreResults });
        Ok(())
    }

    fn end_ok(&mut self, after: After) -> Result<(), Malformed> {
        self.outcome.columns = 0;
        let ok = OkPacket::parse(&self.kept, self.capabilities)?;
        let next = Phase::after(&ok);
        Self::record(&mut self.outcome, &mut self.session_state, &ok)?;
        self.next_result(after, next);
        Ok(())
    }

    fn end_result(&mut self, after: After) -> Result<(), Malformed> {
        let ok = OkPacket::parse_result_end(&self.kept, self.capabilities)?;
        let next = Phase::after(&ok);
        Self::record(&mut self.outcome, &mut self.session_state, &ok)?;
        if after == After::OutParams {
            self.outcome.status.insert(StatusFlags::MORE_RESULTS);
        }
        self.next_result(after, next);
        Ok(())
    }

    fn record(
        outcome: &mut Outcome,
        session_state: &mut Vec<u8>,
        ok: &OkPacket<'_>,
    ) -> Result<(), Malformed> {
        outcome.status = ok.status;
        outcome.warnings = ok.warnings;
        outcome.affected_rows = ok.affected_rows;
        outcome.last_insert_id = ok.last_insert_id;
        outcome.results = outcome.results.saturating_add(1);
        if session_state.len() + ok.session_state.len() > KEPT_MAX {
            return Err(Malformed::new("less session state", 0));
        }
        session_state.extend_from_slice(ok.session_state);
        Ok(())
    }

    fn next_result(&mut self, after: After, next: Phase) {
        let more = self.outcome.status.contains(StatusFlags::MORE_RESULTS);
        self.phase = match after {
            After::MoreResults | After::OutParams if more => next,
            _ => Phase::Done,
        };
    }
}
