//! A stream with a read buffer and an output buffer, and the four-byte packet header.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

use super::{Algorithm, Codecs, Side, Stream};
use crate::clock;
use crate::error::SqlError;
use crate::memory::Reservation;

/// Bytes of a packet header: three of length, one of sequence.
const HEADER: usize = 4;
/// The longest payload of one packet; a longer message goes on in the next packet.
const PAYLOAD_MAX: usize = 0xFF_FFFF;
/// What a buffer shrinks back to. One read of it takes a whole small result set.
pub(super) const BUFFER: usize = 16 << 10;
/// How long a peer has to take the end of the connection.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

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
    /// The memory for it is refused.
    #[error("{0}")]
    Refused(#[from] Box<SqlError>),
    /// A continuation packet has the wrong sequence number.
    #[error("packets out of order")]
    OutOfOrder,
}

/// A stream with buffers.
#[derive(Debug)]
pub struct Framed {
    stream: Stream,
    /// Empty while nothing has been read that is not consumed: then it is with the worker.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes to be sent by [`Framed::flush`].
    pub out: Vec<u8>,
    /// For the read buffer beyond [`BUFFER`], where somebody answers for it.
    held: Option<Reservation>,
    /// How long a peer is still served that has closed its side: see [`Framed::poll_left`].
    pub half_closed: Duration,
    /// When that ends.
    closed: Option<Pin<Box<Sleep>>>,
    watch: Watch,
}

/// What the reactor was asked about a plain stream.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// The task that is woken when there is something to read: it need not ask again before
    /// something was read. The reactor holds its waker as long, so that no other task has the
    /// same address.
    waking: Option<usize>,
    /// Reads since the last that had to wait.
    eager: u8,
}

/// Reads without waiting after which the runtime is asked whether it is somebody else's turn.
const EAGER_MAX: u8 = 32;

impl Watch {
    fn wakes(self, cx: &Context<'_>) -> bool {
        self.waking == Some(cx.waker().data().addr())
    }

    fn note_wait(&mut self, cx: &Context<'_>) {
        *self = Self { waking: Some(cx.waker().data().addr()), eager: 0 };
    }

    fn note_read(&mut self) {
        *self = Self { waking: None, eager: self.eager + 1 };
    }
}

impl Framed {
    /// Wraps a stream.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            out: Vec::with_capacity(256),
            half_closed: Duration::ZERO,
            closed: None,
            watch: Watch::default(),
            held: None,
        }
    }

    /// Holds what it reads under this reservation.
    pub fn hold_under(&mut self, held: Reservation) {
        self.held = Some(held);
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
        let (start, end, watch) = (0, 0, Watch::default());
        Ok(Self { stream, start, end, watch, ..self })
    }

    /// Continues with the compressed protocol; see [`Stream::compress`].
    #[must_use]
    pub fn compress(self, algorithm: Algorithm, codecs: Arc<Codecs>, side: Side) -> Self {
        let ahead = self.buffer[self.start..self.end].to_vec();
        let stream = self.stream.compress(algorithm, codecs, side, ahead);
        Self { stream, start: 0, end: 0, watch: Watch::default(), ..self }
    }

    /// Moves the stream to the runtime of the current thread.
    pub fn adopt(self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.adopt()?, watch: Watch::default(), ..self })
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
    #[inline]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.give_buffer_back();
        }
    }

    #[inline]
    fn give_buffer_back(&mut self) {
        if self.buffer.len() > BUFFER
            && let Some(held) = &mut self.held
        {
            held.note(0);
        }
        spare::give_back(std::mem::take(&mut self.buffer));
    }

    /// Reads once into the free part of the buffer; 0 means that the peer closed. A full buffer
    /// is pending: the caller has to consume first.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            std::task::ready!(self.poll_readable(cx))?;
            self.buffer = spare::take();
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Poll::Pending;
        }
        let read = self.poll_read(cx);
        if self.start == self.end {
            self.give_buffer_back();
        }
        read
    }

    /// Waits for something to read, for which no buffer is needed; ready at once where only reading
    /// can tell.
    #[inline]
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.stream.is_plain() || self.stream.is_readable() {
            return Poll::Ready(Ok(()));
        }
        if self.watch.wakes(cx) {
            return Poll::Pending;
        }
        // Without a budget the runtime makes the task wait its turn, and asks the reactor nothing.
        let asks = has_budget_remaining();
        let ready = self.stream.poll_readable(cx);
        if ready.is_pending() && asks {
            self.watch.note_wait(cx);
        }
        ready
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.watch.eager < EAGER_MAX
            && let Some(read) = self.stream.try_read(&mut self.buffer[self.end..])
        {
            self.watch.note_read();
            let count = read?;
            self.end += count;
            return Poll::Ready(Ok(count));
        }
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        self.watch = Watch { waking: None, ..self.watch };
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut free);
        if read.is_pending() {
            self.watch.eager = 0;
        }
        std::task::ready!(read)?;
        let count = free.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// Whether there is nothing to read now, not even the end of the stream. Nobody is woken.
    pub fn is_quiet(&mut self) -> bool {
        if !self.stream.is_plain() {
            let mut cx = Context::from_waker(Waker::noop());
            return self.poll_fill(&mut cx).is_pending();
        }
        let mut byte = [0];
        self.stream.try_read(&mut byte).is_none()
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
        if !self.buffer.is_empty() && self.end - self.start == self.buffer.len() {
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
            self.make_room(HEADER)?;
            return Ok(None);
        };
        if len > limit {
            return Err(ReadError::TooLong { limit });
        }
        let available = self.end - self.start;
        if available < HEADER + len {
            self.make_room(HEADER + len)?;
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
                self.make_room(at + HEADER)?;
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
                self.make_room(at + HEADER + len)?;
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

    /// The same as [`Framed::reserve`], if the memory may be taken.
    fn make_room(&mut self, count: usize) -> Result<(), ReadError> {
        if self.buffer.len() - self.start < count
            && let Some(held) = &mut self.held
        {
            let len = grown(self.buffer.len(), self.end - self.start, count);
            if len > BUFFER {
                held.resize(len, "a command").map_err(Box::new)?;
            }
        }
        self.reserve(count);
        Ok(())
    }

    /// Makes sure that a message of `count` framed bytes fits into the buffer from `start`.
    pub fn reserve(&mut self, count: usize) {
        let is_spare = self.buffer.is_empty() && count <= BUFFER;
        if is_spare || self.buffer.len() - self.start >= count {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(grown(self.buffer.len(), self.end, count), 0);
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

    /// Sends as much as can be sent without waiting; nothing over TLS or compression.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    /// Sends bytes at once, without the output buffer.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.stream.try_write(bytes)?;
        if written < bytes.len() {
            self.stream.write_all(&bytes[written..]).await?;
        }
        if self.stream.needs_flush() { self.stream.flush().await } else { Ok(()) }
    }

    /// Sends what stands in `out`.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = self.stream.try_write(&self.out)?;
        if written < self.out.len() {
            self.stream.write_all(&self.out[written..]).await?;
        }
        self.out.clear();
        self.out.shrink_to(BUFFER);
        if self.stream.needs_flush() { self.stream.flush().await } else { Ok(()) }
    }

    /// Sends bytes from `sent` on as far as the peer takes them, and counts them there.
    pub fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        poll_write_all(&mut self.stream, cx, bytes, sent)
    }

    /// The same for what stands in `out`, which is empty afterwards.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>, sent: &mut usize) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(poll_write_all(&mut self.stream, cx, &self.out, sent))?;
        self.out.clear();
        self.out.shrink_to(BUFFER);
        Poll::Ready(Ok(()))
    }

    /// Says goodbye at the transport level; errors do not matter any more, nor does a peer that
    /// does not take even that.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(GOODBYE_MAX, self.stream.shutdown()).await;
    }

    /// Closes the connection at once: what the peer has not taken is thrown away.
    pub fn abort(self) {
        self.stream.abort();
    }
}

/// The length of a buffer with so many bytes in it that is to have room for `count`: it grows with
/// what has arrived, not with what a header announces.
fn grown(len: usize, arrived: usize, count: usize) -> usize {
    if len >= count {
        return len;
    }
    let step = (arrived * 2).max(BUFFER);
    count.min(step.max(len)).max(arrived + BUFFER)
}

fn poll_write_all(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    bytes: &[u8],
    sent: &mut usize,
) -> Poll<io::Result<()>> {
    *sent += stream.try_write(&bytes[*sent..])?;
    while *sent < bytes.len() {
        match std::task::ready!(Pin::new(&mut *stream).poll_write(cx, &bytes[*sent..]))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => *sent += count,
        }
    }
    if stream.needs_flush() { Pin::new(stream).poll_flush(cx) } else { Poll::Ready(Ok(())) }
}

mod spare;
#[cfg(test)]
mod tests;
