//! Sending commands: packets of our own, and those of clients as they came.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use super::{Exchange, Failure, Stake};
use crate::backend::term::Outdated;
use crate::wire::capability::Capabilities;
use crate::wire::command::code;
use crate::wire::packet::{build_packet, write_packet};
use crate::wire::query_attributes::{NO_ATTRIBUTES, QueryAttributes};

impl Exchange {
    /// Whether a text that is sent here follows query attributes.
    fn reads_attributes(&self) -> bool {
        self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES)
    }

    /// Sends one command packet of our own by its number. Gives the length of its payload.
    pub async fn send_command(&mut self, command: u8, argument: &[u8]) -> Result<usize, Failure> {
        if !self.may_send() {
            return Err(self.why_not());
        }
        self.patience.begin();
        if self.kill.is_some() {
            Box::pin(self.wait_for_kill()).await?;
        }
        if (command, argument) == (code::QUERY, b"SHOW WARNINGS") {
            self.last_use.diagnostic_question();
        } else if matches!(command, code::QUERY | code::INIT_DB | code::RESET_CONNECTION) {
            self.last_use.question();
        }
        let front =
            if command == code::QUERY && self.reads_attributes() { NO_ATTRIBUTES } else { &[] };
        self.counts.note_sent(Stake::Question);
        let mut sequence = 0;
        build_packet(&mut self.framed.out, &mut sequence, |out| {
            out.push(command);
            out.extend_from_slice(front);
            out.extend_from_slice(argument);
        });
        self.patience.unless_over(pin!(self.framed.flush())).await?;
        Ok(1 + front.len() + argument.len())
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
        self.begin_statement().await?;
        let (mut sequence, mut sent) = (0, 0);
        build_packet(&mut self.framed.out, &mut sequence, |out| {
            let start = out.len();
            out.push(code::QUERY);
            attributes.put_query(out);
            out.extend_from_slice(text);
            sent = out.len() - start;
        });
        self.patience.unless_over(pin!(self.framed.flush())).await?;
        Ok(sent)
    }

    /// Sends a command payload of any length as it is.
    pub async fn send_payload(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.begin_statement().await?;
        let mut sequence = 0;
        write_packet(&mut self.framed.out, &mut sequence, payload);
        self.patience.unless_over(pin!(self.framed.flush())).await
    }

    /// Sends framed bytes as they are.
    pub async fn send(&mut self, framed: &[u8]) -> Result<(), Failure> {
        self.begin_statement().await?;
        self.patience.unless_over(pin!(self.framed.write_all(framed))).await
    }

    /// Sends more bytes of a command that was begun.
    pub async fn send_on(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.patience.unless_over(pin!(self.framed.write_all(bytes))).await
    }

    /// Closes prepared statements on a connection at rest; there is no answer. Does not wait:
    /// whether all could be told to the server.
    pub(in crate::backend) fn close_at_rest(&mut self, ids: &[u32], cx: &mut Context<'_>) -> bool {
        for id in ids {
            let mut sequence = 0;
            build_packet(&mut self.framed.out, &mut sequence, |out| {
                out.push(code::STMT_CLOSE);
                out.extend_from_slice(&id.to_le_bytes());
            });
        }
        let mut flush = std::pin::pin!(self.framed.flush());
        matches!(flush.as_mut().poll(cx), Poll::Ready(Ok(())))
    }

    /// Notes that a statement of the client goes out now, if it may.
    #[inline]
    async fn begin_statement(&mut self) -> Result<(), Failure> {
        if !self.may_send() {
            return Err(self.why_not());
        }
        self.patience.begin();
        if self.kill.is_some() {
            Box::pin(self.wait_for_kill()).await?;
        }
        self.counts.note_statement_sent();
        self.last_use.statement();
        Ok(())
    }

    /// What is sent before a KILL QUERY has come may be hit by it in the place of the statement
    /// that it is meant for.
    #[cold]
    async fn wait_for_kill(&mut self) -> Result<(), Failure> {
        let Some(kill) = self.kill.take() else { return Ok(()) };
        let done = pin!(async {
            // An error means that it is done.
            let _ = kill.await;
            Ok(())
        });
        self.patience.unless_over(done).await
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
