//! A stream with a read buffer and an output buffer, and the four-byte packet header.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use super::{Algorithm, Codecs, Side, Stream};
use crate::clock;

/// Bytes of a packet header: three of length, one of sequence.
const HEADER: usize = 4;
/// The longest payload of one packet; a longer message goes on in the next packet.
const PAYLOAD_MAX: usize = 0xFF_FFFF;
/// What a buffer shrinks back to. One read of it takes a whole small result set.
const BUFFER: usize = 16 << 10;

/// A packet that stands complete in the read buffer; see [`Framed::payload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Sequence number of its (first) header.
    pub sequence: u8,
    /// Payload bytes.
    pub len: usize,
    /// Bytes it takes in the buffer, headers included.
    framed_len: usize,
}

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer closed the connection between packets.
    #[error("connection closed")]
    Closed,
    /// The stream failed, or ended inside a packet.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The packet is longer than allowed here.
    #[error("packet of more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A continuation packet has the wrong sequence number.
    #[error("packets out of order")]
    OutOfOrder,
}

/// A stream with buffers.
#[derive(Debug)]
pub struct Framed {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes to be sent by [`Framed::flush`].
    pub out: Vec<u8>,
    /// How long a peer is still served that has closed its side: see [`Framed::poll_left`].
    pub half_closed: Duration,
    /// When that ends.
    closed: Option<Pin<Box<Sleep>>>,
}

impl Framed {
    /// Wraps a stream.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            out: Vec::with_capacity(256),
            half_closed: Duration::ZERO,
            closed: None,
        }
    }

    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Replaces the stream, for TLS or another worker. `change` gets the old stream and the bytes
    /// that were read from it but not consumed.
    pub async fn replace_stream<F, E>(
        self,
        change: impl FnOnce(Stream, Vec<u8>) -> F,
    ) -> Result<Self, E>
    where
        F: Future<Output = Result<Stream, E>>,
    {
        let ahead = self.buffer[self.start..self.end].to_vec();
        let stream = change(self.stream, ahead).await?;
        let (start, end) = (0, 0);
        Ok(Self { stream, start, end, ..self })
    }

    /// Continues with the compressed protocol; see [`Stream::compress`].
    #[must_use]
    pub fn compress(self, algorithm: Algorithm, codecs: Arc<Codecs>, side: Side) -> Self {
        let ahead = self.buffer[self.start..self.end].to_vec();
        let stream = self.stream.compress(algorithm, codecs, side, ahead);
        Self { stream, start: 0, end: 0, ..self }
    }

    /// Moves the stream to the runtime of the current thread.
    pub fn adopt(self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.adopt()?, ..self })
    }

    /// Length and sequence number in the header at the front of the buffer, if it is here.
    pub fn announced(&self) -> Option<(usize, u8)> {
        self.header(0)
    }

    /// What was read and not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The same, to be changed in place.
    pub fn buffered_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Drops `count` bytes from the front of the buffer.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > BUFFER {
                self.buffer.truncate(BUFFER);
                self.buffer.shrink_to(BUFFER);
            }
        }
    }

    /// Reads once into the free part of the buffer; 0 means that the peer closed. A full buffer
    /// is pending: the caller has to consume first.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Poll::Pending;
        }
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut free))?;
        let count = free.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// Reads what the peer sends ahead, which stays in the buffer, until it has left: its stream
    /// has failed, or it has closed its side and is not served any longer. One that has closed may
    /// have done so with its sending side alone, which looks the same.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed.is_none() {
            loop {
                match std::task::ready!(self.poll_fill(cx)) {
                    Ok(0) => break,
                    Ok(_) => {}
                    // TLS that was not ended, too.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                    Err(_) => return Poll::Ready(()),
                }
            }
        }
        let end = self.closed.get_or_insert_with(|| clock::end_of(self.half_closed));
        end.as_mut().poll(cx)
    }

    /// Reads once; 0 means that the peer closed.
    pub async fn fill(&mut self) -> io::Result<usize> {
        if self.end - self.start == self.buffer.len() {
            return Err(io::Error::other("read buffer is full"));
        }
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Waits for the next packet. A message of several packets is joined: its payload stands
    /// contiguous. Messages longer than `limit` are refused, before memory is taken for them.
    pub async fn read_packet(&mut self, limit: usize) -> Result<Packet, ReadError> {
        loop {
            match self.buffered_packet(limit)? {
                Some(packet) => return Ok(packet),
                None if self.fill().await? == 0 => {
                    if self.start == self.end {
                        return Err(ReadError::Closed);
                    }
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                None => {}
            }
        }
    }

    /// The next packet if it stands complete in the buffer; else room is made for its rest.
    pub fn buffered_packet(&mut self, limit: usize) -> Result<Option<Packet>, ReadError> {
        let Some((len, sequence)) = self.header(0) else {
            self.reserve(HEADER);
            return Ok(None);
        };
        if len > limit {
            return Err(ReadError::TooLong { limit });
        }
        let available = self.end - self.start;
        if available < HEADER + len {
            self.reserve(HEADER + len);
            return Ok(None);
        }
        if len < PAYLOAD_MAX {
            return Ok(Some(Packet { sequence, len, framed_len: HEADER + len }));
        }
        self.join_continuations(sequence, limit)
    }

    /// Takes the headers out of a message of several packets once all of it is here.
    fn join_continuations(
        &mut self,
        sequence: u8,
        limit: usize,
    ) -> Result<Option<Packet>, ReadError> {
        let mut at = 0;
        let mut total = 0;
        let mut expected = sequence;
        loop {
            let Some((len, found)) = self.header(at) else {
                self.reserve(at + HEADER);
                return Ok(None);
            };
            if found != expected {
                return Err(ReadError::OutOfOrder);
            }
            total += len;
            if total > limit {
                return Err(ReadError::TooLong { limit });
            }
            if self.end - self.start < at + HEADER + len {
                self.reserve(at + HEADER + len);
                return Ok(None);
            }
            at += HEADER + len;
            expected = expected.wrapping_add(1);
            if len < PAYLOAD_MAX {
                break;
            }
        }
        // Close the gaps from the back to the front of the message, payload by payload.
        let base = self.start + HEADER;
        let mut from = base + PAYLOAD_MAX;
        let mut to = from;
        while to < base + total {
            let len = (base + total - to).min(PAYLOAD_MAX);
            self.buffer.copy_within(from + HEADER..from + HEADER + len, to);
            from += HEADER + len;
            to += len;
        }
        let framed_len = at;
        // The bytes behind the message stay where they are; only the message itself moved.
        Ok(Some(Packet { sequence, len: total, framed_len }))
    }

    fn header(&self, at: usize) -> Option<(usize, u8)> {
        let bytes = self.buffered().get(at..at + HEADER)?;
        let len = usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16;
        Some((len, bytes[3]))
    }

    /// Makes sure that a message of `count` framed bytes fits into the buffer from `start`.
    pub fn reserve(&mut self, count: usize) {
        if self.buffer.len() - self.start >= count {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            // Grow with what has arrived, not with what a header announces.
            let step = (self.end * 2).max(BUFFER);
            self.buffer.resize(count.min(step.max(self.buffer.len())).max(self.end + BUFFER), 0);
        }
    }

    /// The payload of a packet that [`Framed::read_packet`] gave.
    pub fn payload(&self, packet: Packet) -> &[u8] {
        &self.buffer[self.start + HEADER..self.start + HEADER + packet.len]
    }

    /// The payload, to be changed in place.
    pub fn payload_mut(&mut self, packet: Packet) -> &mut [u8] {
        &mut self.buffer[self.start + HEADER..self.start + HEADER + packet.len]
    }

    /// The packet as it came, header included. Only for packets below 16 MiB: the headers inside
    /// a longer message are gone.
    pub fn framed(&self, packet: Packet) -> &[u8] {
        debug_assert!(packet.len < PAYLOAD_MAX);
        &self.buffer[self.start..self.start + packet.framed_len]
    }

    /// Drops a packet from the buffer.
    pub fn consume_packet(&mut self, packet: Packet) {
        self.consume(packet.framed_len);
    }

    /// Sends bytes at once, without the output buffer.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        if self.stream.needs_flush() { self.stream.flush().await } else { Ok(()) }
    }

    /// Sends what stands in `out`.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        self.out.shrink_to(BUFFER);
        if self.stream.needs_flush() { self.stream.flush().await } else { Ok(()) }
    }

    /// Says goodbye at the transport level; errors do not matter any more.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
