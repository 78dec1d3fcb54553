//! Follows a server's answer through its bytes, in whatever pieces they come.
//!
//! [`ResponseScanner`] is told what kind of answer is due, is fed chunks of the server's stream,
//! and says where the answer ends and what its last packet said. Rows are never copied: it walks
//! from header to header and looks at first bytes. Only packets that decide something (OK, EOF,
//! ERR, column counts) are kept, in one buffer that is reused and bounded by [`KEPT_MAX`].
//!
//! It decodes no row and no column, and does no IO. Framing mistakes, packets out of order and
//! first bytes that cannot stand where they do are [`Malformed`]; the stream is then lost.
//!
//! Not understood, so never to be agreed on with a server: MARIADB_CACHE_METADATA,
//! MARIADB_BULK_UNIT_RESULTS. Compression is undone before the bytes come here.
//!
//! Protocol pages: MySQL "Text Resultset" (`page_protocol_com_query_response_text_resultset`),
//! "COM_STMT_PREPARE Response", "COM_FIELD_LIST Response"; MariaDB "Result Set Packets".

use super::capability::Capabilities;
use super::column_count::Definitions;
use super::cursor::Malformed;
use super::err::ERR;
use super::ok::EOF;
use super::packet::{HEADER_LEN, Header, MAX_PAYLOAD};
use super::session_track::SessionChanges;
use super::status::StatusFlags;
use chunk::{Chunk, Rewritten};
use meaning::{After, Phase};

mod chunk;
mod meaning;
mod outcome;
#[cfg(test)]
mod tests;

pub use chunk::{MoreResults, Rewrite};
pub use outcome::{Expect, Outcome, Scan};

/// Bytes kept of one deciding packet, and of all session state of one answer. Longer is malformed.
pub const KEPT_MAX: usize = 1 << 20;

/// First byte of a server's request for a file; the file's name follows.
pub const LOCAL_INFILE: u8 = 0xfb;

/// Capacity above which the kept bytes are given back before the next answer.
const KEPT_IDLE_MAX: usize = 1 << 16;

/// Follows one answer at a time; made once per connection and started for every command.
#[derive(Debug)]
pub struct ResponseScanner {
    capabilities: Capabilities,
    phase: Phase,
    framing: Framing,
    header: [u8; HEADER_LEN],
    header_len: usize,
    /// Payload bytes of the current physical packet that have not come yet.
    left: usize,
    /// The current physical packet is full, so the next one continues it.
    full: bool,
    next_seq: u8,
    /// The current packet did not carry the id that was due.
    out_of_order: bool,
    /// A cursor was asked for. MariaDB says that one exists, too, in results inside of a stored
    /// program that has one open, whose rows follow as ever.
    cursor_asked: bool,
    kept: Vec<u8>,
    session_state: Vec<u8>,
    outcome: Outcome,
}

/// Where in a packet the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Header,
    /// In the header of a packet that continues a full one.
    Continuation {
        keep: Keep,
    },
    First {
        len: usize,
    },
    Payload {
        keep: Keep,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Skip,
    Keep,
}

impl Default for ResponseScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseScanner {
    /// A scanner that expects nothing yet.
    pub const fn new() -> Self {
        Self {
            capabilities: Capabilities::EMPTY,
            phase: Phase::Done,
            framing: Framing::Header,
            header: [0; HEADER_LEN],
            header_len: 0,
            left: 0,
            full: false,
            next_seq: 0,
            out_of_order: false,
            cursor_asked: false,
            kept: Vec::new(),
            session_state: Vec::new(),
            outcome: Outcome {
                status: StatusFlags::EMPTY,
                warnings: 0,
                affected_rows: 0,
                last_insert_id: 0,
                error: None,
                columns: 0,
                definitions: Definitions::Sent,
                rows: 0,
                results: 0,
                prepared: None,
            },
        }
    }

    /// Begins a new answer on a connection with `capabilities`. `first_seq` is the sequence id that
    /// its first packet must carry: 1, unless the command took several packets.
    pub fn start(&mut self, expect: Expect, capabilities: Capabilities, first_seq: u8) {
        self.capabilities = capabilities;
        self.cursor_asked = expect == Expect::Cursor;
        self.phase = match expect {
            Expect::Cursor => Phase::Start(Expect::Query),
            Expect::Fetch => Phase::Rows(After::Nothing),
            Expect::FieldList => Phase::FieldList,
            _ => Phase::Start(expect),
        };
        self.framing = Framing::Header;
        self.header_len = 0;
        self.next_seq = first_seq;
        self.outcome = Outcome::default();
        for buffer in [&mut self.kept, &mut self.session_state] {
            buffer.clear();
            if buffer.capacity() > KEPT_IDLE_MAX {
                buffer.shrink_to(KEPT_IDLE_MAX);
            }
        }
    }

    /// Goes on after a [`Scan::LocalInfile`]; `next_seq` follows the last packet sent for the file.
    pub fn after_local_infile(&mut self, next_seq: u8) {
        if self.phase == Phase::Infile {
            self.phase = Phase::Start(Expect::Query);
            self.next_seq = next_seq;
        }
    }

    /// Whether no answer is under way.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Done
    }

    /// What the answer said so far; complete after [`Scan::Finished`].
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The payload of the packet that decided last: after [`Scan::Finished`] and [`Scan::Changes`]
    /// the last packet, after [`Scan::LocalInfile`] the request. As the server sent it, never
    /// rewritten.
    pub fn last_payload(&self) -> &[u8] {
        &self.kept
    }

    /// The session state changes of all OK packets of the answer.
    pub fn session_changes(&self) -> SessionChanges<'_> {
        SessionChanges::new(&self.session_state)
    }

    /// Whether no OK packet of the answer tells of a change.
    pub fn has_no_session_changes(&self) -> bool {
        self.session_state.is_empty()
    }

    /// The sequence id that would follow the last packet of the answer, before rewriting.
    pub const fn next_seq(&self) -> u8 {
        self.next_seq
    }

    /// The sequence id of the packet that is due in the place of the next row, if the answer is
    /// at its rows and all bytes but those of [`Self::pending`] are whole packets.
    pub fn at_row(&self) -> Option<u8> {
        match (self.phase, self.framing) {
            (Phase::Rows(_), Framing::Header) => Some(self.next_seq),
            (Phase::Rows(_), Framing::First { .. } | Framing::Payload { keep: Keep::Keep }) => {
                Some(self.next_seq.wrapping_sub(1))
            }
            _ => None,
        }
    }

    /// Bytes received, header included, of a packet that is not complete and may decide something;
    /// 0 inside a row. A relay that wants to write the last packet in its own words holds these
    /// bytes back after a [`Scan::NeedMore`].
    pub fn pending(&self) -> usize {
        match self.framing {
            Framing::Header => self.header_len,
            Framing::First { .. } => HEADER_LEN,
            Framing::Payload { keep: Keep::Keep } => HEADER_LEN + self.kept.len(),
            Framing::Payload { keep: Keep::Skip } | Framing::Continuation { .. } => 0,
        }
    }

    /// Length of the packet of [`Self::last_payload`], header included: after [`Scan::Finished`]
    /// the last packet begins that many bytes before the answer's end. Except for
    /// [`Expect::Prepare`], whose answer may end with a definition.
    pub fn last_packet_len(&self) -> usize {
        HEADER_LEN + self.kept.len()
    }

    /// Walks over the next bytes of the server's stream.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Scan, Malformed> {
        self.scan(chunk)
    }

    /// Walks over the next bytes and rewrites them in place. Facts and kept bytes stay the
    /// server's.
    pub fn feed_rewriting(
        &mut self,
        chunk: &mut [u8],
        rewrite: Rewrite,
    ) -> Result<Scan, Malformed> {
        self.scan(Rewritten { bytes: chunk, rewrite })
    }

    fn scan(&mut self, mut chunk: impl Chunk) -> Result<Scan, Malformed> {
        let mut at = 0;
        loop {
            match (self.phase, self.framing) {
                (Phase::Done, _) => return Ok(Scan::Finished { at }),
                (Phase::Infile, _) => return Ok(Scan::LocalInfile { at }),
                (Phase::Changes, _) => {
                    self.phase = Phase::Start(Expect::Query);
                    return Ok(Scan::Changes { at });
                }
                (phase, Framing::Header) if self.header_len == 0 => {
                    match phase {
                        Phase::Rows(_) => at = self.skip_rows(&mut chunk, at),
                        Phase::Columns { left } => at = self.skip_columns(&mut chunk, at, left),
                        _ => {}
                    }
                    if let Some(end) = self.whole_packet(&mut chunk, at)? {
                        at = end;
                        continue;
                    }
                }
                _ => {}
            }
            // The empty packet that closes a 16 MiB payload ends without a byte of its own.
            let ended = matches!(self.framing, Framing::Payload { .. }) && self.left == 0;
            if at >= chunk.bytes().len() && !ended {
                return Ok(Scan::NeedMore);
            }
            match self.framing {
                Framing::Header => at = self.read_header(&mut chunk, at, None)?,
                Framing::Continuation { keep } => {
                    at = self.read_header(&mut chunk, at, Some(keep))?;
                }
                Framing::First { len } => self.read_first(&chunk, at, len)?,
                Framing::Payload { keep } => at = self.read_payload(&mut chunk, at, keep)?,
            }
        }
    }

    /// Whole definitions of columns in one chunk but for the last one, which leads to the rows.
    #[inline]
    fn skip_columns(&mut self, chunk: &mut impl Chunk, start: usize, columns: u32) -> usize {
        let (mut at, mut left) = (start, columns);
        while left > 1 {
            let bytes = chunk.bytes();
            let Some(&[a, b, c, id, first]) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            let len = u32::from_le_bytes([a, b, c, 0]) as usize;
            let end = at + HEADER_LEN + len;
            let is_whole = len > 0 && len < MAX_PAYLOAD && end <= bytes.len();
            if first == ERR || id != self.next_seq || !is_whole {
                break;
            }
            chunk.sequence_id(at + 3);
            self.next_seq = id.wrapping_add(1);
            (at, left) = (end, left - 1);
        }
        self.phase = Phase::Columns { left };
        at
    }

    /// The hot loop: whole, ordinary rows in one chunk. Leaves everything else to the caller.
    fn skip_rows(&mut self, chunk: &mut impl Chunk, start: usize) -> usize {
        let mut at = start;
        let mut seq = self.next_seq;
        let mut rows = 0;
        loop {
            let bytes = chunk.bytes();
            let Some(&[a, b, c, id, first]) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            let len = u32::from_le_bytes([a, b, c, 0]) as usize;
            let end = at + HEADER_LEN + len;
            if first >= EOF || id != seq || len == 0 || len == MAX_PAYLOAD || end > bytes.len() {
                break;
            }
            chunk.sequence_id(at + 3);
            seq = seq.wrapping_add(1);
            rows += 1;
            at = end;
        }
        self.next_seq = seq;
        self.outcome.rows += rows;
        at
    }

    /// The end of the packet at `at`, which was read, if all of it is here.
    #[inline]
    fn whole_packet(
        &mut self,
        chunk: &mut impl Chunk,
        at: usize,
    ) -> Result<Option<usize>, Malformed> {
        let bytes = chunk.bytes();
        let Some(&[a, b, c, seq]) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let len = u32::from_le_bytes([a, b, c, 0]) as usize;
        let first = at + HEADER_LEN;
        if len == 0 || len == MAX_PAYLOAD || bytes.len() - first < len {
            return Ok(None);
        }
        chunk.sequence_id(at + 3);
        (self.left, self.full) = (len, false);
        self.out_of_order = seq != self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        self.read_first(chunk, first, len)?;
        if self.framing == (Framing::Payload { keep: Keep::Keep }) {
            return self.read_payload(chunk, first, Keep::Keep).map(Some);
        }
        (self.left, self.framing) = (0, Framing::Header);
        self.end_packet(Keep::Skip, first + len)?;
        Ok(Some(first + len))
    }

    fn read_header(
        &mut self,
        chunk: &mut impl Chunk,
        mut at: usize,
        continues: Option<Keep>,
    ) -> Result<usize, Malformed> {
        while self.header_len < HEADER_LEN {
            let Some(&byte) = chunk.bytes().get(at) else { return Ok(at) };
            if let Some(slot) = self.header.get_mut(self.header_len) {
                *slot = byte;
            }
            self.header_len += 1;
            at += 1;
        }
        // The sequence id is the header's last byte, so it is in this chunk.
        chunk.sequence_id(at - 1);
        let Header { len, seq } = Header::parse(self.header);
        self.header_len = 0;
        self.left = len;
        self.full = len == MAX_PAYLOAD;
        self.out_of_order = seq != self.next_seq;
        match continues {
            Some(_) if self.out_of_order => {
                return Err(Malformed::new("the next sequence id", at - 1));
            }
            Some(keep) => self.framing = Framing::Payload { keep },
            None if len == 0 => return Err(Malformed::new("a packet that is not empty", at - 1)),
            None => self.framing = Framing::First { len },
        }
        self.next_seq = seq.wrapping_add(1);
        Ok(at)
    }

    fn read_payload(
        &mut self,
        chunk: &mut impl Chunk,
        at: usize,
        keep: Keep,
    ) -> Result<usize, Malformed> {
        let available = chunk.bytes().len().saturating_sub(at);
        let count = self.left.min(available);
        let end = at + count;
        if keep == Keep::Keep {
            let before = self.kept.len();
            if before + count > KEPT_MAX {
                return Err(Malformed::new("a shorter packet", at));
            }
            self.kept.extend_from_slice(chunk.bytes().get(at..end).unwrap_or_default());
            // Once all fields before it are here the status byte's place is known, so it is found
            // in the chunk that brings it, wherever the packet is cut.
            if chunk.is_rewritten()
                && let Some(offset) = self.status_offset()
                && (before..self.kept.len()).contains(&offset)
            {
                chunk.status(at + offset - before);
            }
        }
        self.left -= count;
        if self.left == 0 {
            if self.full {
                self.framing = Framing::Continuation { keep };
            } else {
                self.framing = Framing::Header;
                self.end_packet(keep, end)?;
            }
        }
        Ok(end)
    }
}
