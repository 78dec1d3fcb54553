//! LOAD DATA LOCAL: a file from the client to the server that asked for it, packet by packet.
//!
//! Nothing of it is held: what was read is sent on. Only the sequence ids may change, because the
//! client counts the answers before this one to the same command. If the server is lost on the
//! way, the client is read to the end of its file, so that it can be told.
//!
//! Protocol page: MySQL "LOCAL INFILE Request" (`page_protocol_com_query_response_local_infile_request`).

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::client::Client;
use super::deliver::SenderWait;
use super::registry::{Control, Interrupt};
use super::stalled::Servers;
use crate::backend::{Connection, Failure};
use crate::wire::packet::{HEADER_LEN, Header, MAX_PAYLOAD};

/// Why a file did not reach its server.
#[derive(Debug)]
pub(super) enum FileError {
    /// The server's stream failed; the client has been read to the end of its file.
    Server {
        /// What went wrong.
        failure: Failure,
        /// Sequence id of the next packet to the client.
        next_sequence: u8,
    },
    /// The client went away, or sent something that is no file.
    Client,
    /// The session was told to end.
    Killed,
}

/// A file on its way.
pub(super) struct LocalFile<'a, F> {
    pub(super) client: &'a mut Client,
    pub(super) connection: &'a mut Connection,
    pub(super) control: &'a Control,
    /// What the client's sequence ids are ahead of the server's.
    pub(super) sequence_offset: u8,
    /// A KILL QUERY was passed on: the server reads the rest of the file and says so.
    pub(super) interrupted: &'a mut bool,
    /// Stops the statement on its server.
    pub(super) on_interrupt: &'a F,
}

impl<F: Fn(&mut Connection)> LocalFile<'_, F> {
    /// Sends the file on; it ends with an empty packet. `first_sequence` is the id that the client
    /// must begin with. Gives the server's sequence id after it.
    pub(super) async fn forward(&mut self, first_sequence: u8) -> Result<u8, FileError> {
        let mut sequence = first_sequence;
        let mut continues = false;
        let mut failed = None;
        loop {
            self.wait(HEADER_LEN, &mut failed).await?;
            let (len, sent) = self.client.framed.announced().unwrap_or_default();
            if sent != sequence {
                return Err(FileError::Client);
            }
            sequence = sequence.wrapping_add(1);
            let seq = sent.wrapping_sub(self.sequence_offset);
            let header = Header { len, seq }.encode();
            self.client.framed.buffered_mut()[..HEADER_LEN].copy_from_slice(&header);
            let mut left = HEADER_LEN + len;
            while left > 0 {
                self.wait(1, &mut failed).await?;
                let count = left.min(self.client.framed.buffered().len());
                self.send(count, &mut failed).await;
                left -= count;
            }
            if len == 0 && !continues {
                break;
            }
            // A payload of the greatest length goes on in the next packet, which may be empty.
            continues = len == MAX_PAYLOAD;
        }
        match failed {
            None => Ok(sequence.wrapping_sub(self.sequence_offset)),
            Some(failure) => Err(FileError::Server { failure, next_sequence: sequence }),
        }
    }

    /// Sends bytes from the client's buffer on, or drops them if the server is lost.
    async fn send(&mut self, count: usize, failed: &mut Option<Failure>) {
        if failed.is_none() {
            let chunk = &self.client.framed.buffered()[..count];
            *failed = self.connection.send_on(chunk).await.err();
        }
        self.client.framed.consume(count);
    }

    /// Waits until so many bytes of the client are here, and watches whether the server is.
    async fn wait(&mut self, count: usize, failed: &mut Option<Failure>) -> Result<(), FileError> {
        while self.client.framed.buffered().len() < count {
            if self.control.interrupt() == Some(Interrupt::Query) && !*self.interrupted {
                *self.interrupted = true;
                (self.on_interrupt)(self.connection);
            }
            let (client, control) = (&mut self.client.framed, self.control);
            let keeps = self.connection.server();
            let known = *self.interrupted;
            let (server, _) = self.connection.relay_parts();
            let mut wait = SenderWait::new(control);
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = client.poll_fill(cx) {
                    return Poll::Ready(read.map(Some).map_err(|_| FileError::Client));
                }
                wait.begin(|| Servers::from_slice(&[keeps]));
                match control.poll_interrupt(cx) {
                    Poll::Ready(interrupt) if interrupt > Interrupt::Query => {
                        return Poll::Ready(Err(FileError::Killed));
                    }
                    Poll::Ready(Interrupt::Query) if !known => return Poll::Ready(Ok(None)),
                    _ => {}
                }
                while failed.is_none() {
                    match server.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => {
                            *failed = Some(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                        }
                        Poll::Ready(Err(error)) => *failed = Some(error.into()),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => break,
                    }
                }
                Poll::Pending
            });
            let read = read.await?;
            self.client.has_waited |= wait.end(read.unwrap_or(0));
            if read == Some(0) {
                return Err(FileError::Client);
            }
        }
        Ok(())
    }
}
