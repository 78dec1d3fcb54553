//! Commands to a server: packets of our own, and those of clients as they came.

use std::io;

use super::{Connection, Failure, Stake, first_answer_sequence};
use crate::backend::term::Outdated;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::packet::{build_packet, write_packet};
use crate::wire::query_attributes::{NO_ATTRIBUTES, QueryAttributes};
use crate::wire::scanner::{Expect, Outcome};

impl Connection {
    /// Whether a text that is sent here follows query attributes.
    fn reads_attributes(&self) -> bool {
        self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES)
    }

    /// Sends one command packet of our own by its number. Gives the length of its payload.
    pub async fn send_command(&mut self, command: u8, argument: &[u8]) -> Result<usize, Failure> {
        if !self.may_send() {
            return Err(self.why_not());
        }
        if (command, argument) == (code::QUERY, b"SHOW WARNINGS") {
            self.last_use.diagnostic_question();
        } else if matches!(command, code::QUERY | code::INIT_DB | code::RESET_CONNECTION) {
            self.last_use.question();
        }
        let front =
            if command == code::QUERY && self.reads_attributes() { NO_ATTRIBUTES } else { &[] };
        self.note_sent(Stake::Question);
        let mut sequence = 0;
        build_packet(&mut self.framed.out, &mut sequence, |out| {
            out.push(command);
            out.extend_from_slice(front);
            out.extend_from_slice(argument);
        });
        self.framed.flush().await?;
        Ok(1 + front.len() + argument.len())
    }

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

    /// Runs a statement on which a commit hangs; its rows do not matter.
    pub async fn commit(&mut self, sql: &[u8]) -> Result<Outcome, Failure> {
        let sent = self.send_command(code::QUERY, sql).await?;
        self.note_sent(Stake::Commit);
        self.expect(Expect::Query, first_answer_sequence(sent));
        self.collect(None).await
    }

    /// Sends a client's statement in words of our own: a COM_QUERY, whose payload is command byte
    /// and text, with the client's attributes; any other command as it is. Gives the length of the
    /// payload that was sent.
    pub async fn send_statement(
        &mut self,
        payload: &[u8],
        attributes: &QueryAttributes,
    ) -> Result<usize, Failure> {
        let [code::QUERY, text @ ..] = payload else {
            self.send_payload(payload).await?;
            return Ok(payload.len());
        };
        if !self.reads_attributes() {
            self.send_payload(payload).await?;
            return Ok(payload.len());
        }
        if !self.may_send() {
            return Err(self.why_not());
        }
        self.note_statement_sent();
        self.last_use.statement();
        let (mut sequence, mut sent) = (0, 0);
        build_packet(&mut self.framed.out, &mut sequence, |out| {
            let start = out.len();
            out.push(code::QUERY);
            attributes.put_query(out);
            out.extend_from_slice(text);
            sent = out.len() - start;
        });
        self.framed.flush().await?;
        Ok(sent)
    }

    /// Sends a command payload of any length as it is.
    pub async fn send_payload(&mut self, payload: &[u8]) -> Result<(), Failure> {
        if !self.may_send() {
            return Err(self.why_not());
        }
        self.note_statement_sent();
        self.last_use.statement();
        let mut sequence = 0;
        write_packet(&mut self.framed.out, &mut sequence, payload);
        Ok(self.framed.flush().await?)
    }

    /// Sends framed bytes as they are.
    pub async fn send(&mut self, framed: &[u8]) -> Result<(), Failure> {
        if !self.may_send() {
            return Err(self.why_not());
        }
        self.note_statement_sent();
        self.last_use.statement();
        Ok(self.framed.write_all(framed).await?)
    }

    /// Whether a command can be sent: a command behind an unread answer would take that answer for
    /// its own, and nothing is sent after the end of the term.
    fn may_send(&self) -> bool {
        !self.answer_due && self.is_current()
    }

    #[cold]
    fn why_not(&self) -> Failure {
        if self.answer_due {
            return io::Error::other("the answer before this command is unread").into();
        }
        Outdated::Ended.into()
    }
}
