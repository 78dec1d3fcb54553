//! Commands of the proxy's own to a server whose answers are read whole.

use super::{Exchange, Failure, Stake, first_answer_sequence};
use crate::wire::capability::Capabilities;
use crate::wire::column::ColumnDefinition;
use crate::wire::column_count::Definitions;
use crate::wire::column_type::{ColumnFlags, ColumnType};
use crate::wire::command::code;
use crate::wire::cursor::Malformed;
use crate::wire::row_text::TextCells;
use crate::wire::scanner::{Expect, Outcome};

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The types of its columns.
    pub columns: Vec<AnsweredColumn>,
    /// Its rows as text.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

/// The type of a column of an [`Answered`].
#[derive(Clone, Copy, Debug)]
pub struct AnsweredColumn {
    /// Type.
    pub kind: ColumnType,
    /// Flags, of which the sign matters.
    pub flags: ColumnFlags,
}

impl Exchange {
    /// Sends a command and reads its whole answer, of which only the outcome is kept.
    pub async fn command(
        &mut self,
        command: u8,
        argument: &[u8],
        expect: Expect,
    ) -> Result<Outcome, Failure> {
        let sent = self.send_command(command, argument).await?;
        self.expect(expect, first_answer_sequence(sent));
        self.collect(None).await
    }

    /// Runs a statement whose rows do not matter.
    pub async fn execute(&mut self, sql: &[u8]) -> Result<Outcome, Failure> {
        self.command(code::QUERY, sql, Expect::Query).await
    }

    /// The same of one on which a commit hangs.
    pub async fn commit(&mut self, sql: &[u8]) -> Result<Outcome, Failure> {
        let sent = self.send_command(code::QUERY, sql).await?;
        self.counts.note_sent(Stake::Commit);
        self.expect(Expect::Query, first_answer_sequence(sent));
        self.collect(None).await
    }

    /// Sends a command and keeps its whole answer as the server framed it. For answers that are
    /// small by their nature.
    pub async fn answer(
        &mut self,
        command: u8,
        argument: &[u8],
        expect: Expect,
    ) -> Result<Vec<u8>, Failure> {
        let mut answer = Vec::new();
        let sent = self.send_command(command, argument).await?;
        self.expect(expect, first_answer_sequence(sent));
        self.collect(Some(&mut answer)).await?;
        Ok(answer)
    }

    /// Runs a statement and collects its rows; for small results of our own questions.
    pub async fn rows(&mut self, sql: &[u8]) -> Result<Vec<Vec<Option<Vec<u8>>>>, Failure> {
        Ok(self.question(sql).await?.rows)
    }

    /// The same with the types of the columns. Where the session has asked the server to leave them
    /// out the rows are those of the first answer, which is what the session would see.
    pub async fn ask(&mut self, sql: &[u8]) -> Result<Answered, Failure> {
        let answered = self.question(sql).await?;
        if self.outcome().definitions == Definitions::Sent {
            return Ok(answered);
        }
        self.execute(b"SET @@session.resultset_metadata = FULL").await?;
        let described = self.question(sql).await;
        self.execute(b"SET @@session.resultset_metadata = NONE").await?;
        Ok(Answered { columns: described?.columns, rows: answered.rows })
    }

    async fn question(&mut self, sql: &[u8]) -> Result<Answered, Failure> {
        let answer = self.answer(code::QUERY, sql, Expect::Query).await?;
        Ok(self.read_answer(&answer)?)
    }

    /// The rows of the answer that was just read, as the server framed it.
    pub fn rows_of(&self, answer: &[u8]) -> Result<Vec<Vec<Option<Vec<u8>>>>, Malformed> {
        Ok(self.read_answer(answer)?.rows)
    }

    fn read_answer(&self, answer: &[u8]) -> Result<Answered, Malformed> {
        let outcome = *self.outcome();
        let capabilities = self.capabilities();
        let count = outcome.columns as usize;
        // The first packet is the number of columns.
        let mut packets = Packets(answer);
        packets.next();
        let mut columns = Vec::with_capacity(count);
        let described = if outcome.definitions == Definitions::Sent { count } else { 0 };
        for packet in packets.by_ref().take(described) {
            let column = ColumnDefinition::parse(packet, capabilities)?;
            columns.push(AnsweredColumn { kind: column.kind, flags: column.flags });
        }
        let eof = usize::from(!capabilities.contains(Capabilities::DEPRECATE_EOF));
        let mut rows = Vec::new();
        for packet in packets.skip(eof).take(outcome.rows as usize) {
            let mut row = Vec::with_capacity(count);
            for cell in TextCells::new(packet).take(count) {
                row.push(cell?.map(<[u8]>::to_vec));
            }
            rows.push(row);
        }
        Ok(Answered { columns, rows })
    }
}

/// The payloads of the packets in a buffer that holds whole small ones.
#[derive(Clone, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Packets<'a> {
    /// The packets in `bytes`, each below 16 MiB.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, rest) = self.0.split_at_checked(4)?;
        let len = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        let (payload, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(payload)
    }
}
