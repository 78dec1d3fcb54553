//! The compressed protocol: a stream of frames, each with its own header, around ordinary packets.
//!
//! Protocol pages: MySQL "Compressed Packet" (`page_protocol_basic_compression_packet`), MariaDB
//! "Compression". A frame's header has three bytes for the length that follows, one for a sequence
//! id of its own, three for the length before compression; zero there means not compressed.
//! Frames and packets know nothing of each other: a packet may span frames, a frame many packets.
//!
//! A frame is decompressed straight into the reader's buffer, as much as has room: whatever
//! length its header tells, no memory is taken for it. What is written is put into frames of whole
//! packets, because some clients lose their way when one spans more than two frames
//! (mysql-connector-python); servers never do that. It serves both sides: towards servers it also
//! follows where commands begin ([`commands`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::commands::{Commands, Continued};
use super::Stream;
use super::codec::{Algorithm, Codecs, Decoder};

/// Bytes of a frame's header.
const HEADER: usize = 7;
/// Shorter frames are not worth compressing; MySQL's `MIN_COMPRESS_LENGTH`.
const COMPRESS_MIN: usize = 50;
/// The longest frame that a header can tell.
const FRAME_MAX: usize = 0xff_ffff;
/// Whole packets of so many bytes go without waiting for more: beyond zlib's window nothing is
/// gained.
const FRAME_ENOUGH: usize = 64 << 10;
/// Bytes read from the stream at once.
const BUFFER: usize = 16 << 10;

mod commands;

/// Which side of a compressed stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer sends commands. The packet that ends its login is still without a frame.
    Server,
    /// The peer answers commands, and its login is over.
    Client,
}

/// A stream whose peer compresses.
#[derive(Debug)]
pub struct Compressed {
    inner: Stream,
    algorithm: Algorithm,
    codecs: Arc<Codecs>,
    /// Sequence id of the next frame, in either direction.
    sequence: u8,
    /// Bytes as they came.
    raw: Vec<u8>,
    start: usize,
    reading: Reading,
    writing: Writing,
    outgoing: Outgoing,
    peer: Peer,
    /// Frames on their way out.
    pending: Vec<u8>,
    sent: usize,
}

/// What is followed of the packets in the frames.
#[derive(Debug)]
enum Peer {
    /// It sends commands.
    Client(Continued),
    /// It answers them.
    Server(Commands),
}

/// Where in a frame the reader stands.
#[derive(Debug)]
enum Reading {
    /// Before its header.
    Header,
    /// In a frame that is not compressed.
    Plain { left: usize },
    /// In one that is.
    Packed(Box<Packed>),
}

/// A compressed frame that is being read.
#[derive(Debug)]
struct Packed {
    decoder: Decoder,
    /// Compressed bytes that were not decoded yet.
    compressed_left: usize,
    /// Bytes of packets that are still to come out.
    plain_left: usize,
    plain: usize,
}

/// Packets that wait for a frame.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// Bytes at the front that are whole packets.
    whole: usize,
    /// Where the packet ends that comes behind them, as far as its header is here.
    end: usize,
}

impl Outgoing {
    /// Takes as much as one frame has room for; gives its count.
    fn take(&mut self, bytes: &[u8], mut commands: Option<&mut Commands>) -> usize {
        let count = bytes.len().min(FRAME_MAX - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..count]);
        while self.bytes.len() >= self.end {
            self.whole = self.end;
            let Some(header) = self.bytes[self.end..].first_chunk::<4>() else { break };
            let [low, middle, high, sequence] = header;
            if let Some(commands) = &mut commands {
                commands.note_outgoing(*sequence, self.end);
            }
            self.end += 4 + u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
        }
        count
    }

    /// The bytes of the next frame. Only a packet that fills one by itself is cut.
    fn ready(&self) -> usize {
        if self.whole == 0 && self.bytes.len() == FRAME_MAX { FRAME_MAX } else { self.whole }
    }

    /// Forgets the bytes of a frame.
    fn drop_front(&mut self, count: usize) {
        self.bytes.drain(..count);
        // Nothing is whole in front of a packet that is cut.
        self.whole = self.whole.saturating_sub(count);
        self.end -= count;
        self.bytes.shrink_to(FRAME_ENOUGH);
    }
}

/// Whether what is written is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// Not yet: the packet that ends a login is the last one without a frame.
    AfterFlush,
    Framed,
}

impl Compressed {
    /// Continues a stream on which both sides have agreed on compression: from the next read on,
    /// and for a server's writes after the next flush. `read_ahead` was read from it already.
    pub(super) fn new(
        inner: Stream,
        algorithm: Algorithm,
        codecs: Arc<Codecs>,
        side: Side,
        read_ahead: Vec<u8>,
    ) -> Self {
        let (writing, peer) = match side {
            Side::Server => (Writing::AfterFlush, Peer::Client(Continued::default())),
            Side::Client => (Writing::Framed, Peer::Server(Commands::default())),
        };
        Self {
            inner,
            algorithm,
            codecs,
            sequence: 0,
            raw: read_ahead,
            start: 0,
            reading: Reading::Header,
            writing,
            outgoing: Outgoing::default(),
            peer,
            pending: Vec::new(),
            sent: 0,
        }
    }

    /// What carries the frames.
    pub(super) fn inner(&self) -> &Stream {
        &self.inner
    }

    /// Moves it to the runtime of the current thread.
    pub(super) fn adopt(self) -> io::Result<Self> {
        Ok(Self { inner: self.inner.adopt()?, ..self })
    }

    /// Bytes that were read and not used.
    fn available(&self) -> usize {
        self.raw.len() - self.start
    }

    fn used(&mut self, count: usize) {
        self.start += count;
        if self.start == self.raw.len() {
            self.raw.clear();
            self.start = 0;
        }
    }

    /// Reads once from the stream; 0 means that the peer closed.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.raw.drain(..self.start);
        self.start = 0;
        let len = self.raw.len();
        self.raw.resize(len + BUFFER, 0);
        let mut free = ReadBuf::new(&mut self.raw[len..]);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut free);
        let count = free.filled().len();
        self.raw.truncate(len + count);
        if self.raw.is_empty() {
            // An idle connection holds no buffer.
            self.raw = Vec::new();
        }
        ready!(read)?;
        Poll::Ready(Ok(count))
    }

    /// Enters the frame whose header stands at the front.
    fn enter_frame(&mut self) -> io::Result<()> {
        let header = &self.raw[self.start..self.start + HEADER];
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) as usize
        };
        let (len, sequence, plain) = (number(0), header[3], number(4));
        // Every command begins anew.
        if sequence != self.sequence && sequence != 0 {
            return Err(invalid("compressed frames out of order"));
        }
        self.sequence = sequence.wrapping_add(1);
        self.used(HEADER);
        self.reading = if plain == 0 {
            Reading::Plain { left: len }
        } else {
            let decoder = self.codecs.decoder(self.algorithm)?;
            let packed = Packed { decoder, compressed_left: len, plain_left: plain, plain };
            Reading::Packed(Box::new(packed))
        };
        Ok(())
    }

    /// Copies what is here of a frame that is not compressed.
    fn copy(&mut self, left: usize, buf: &mut ReadBuf<'_>) {
        let count = left.min(self.available()).min(buf.remaining());
        buf.put_slice(&self.raw[self.start..self.start + count]);
        self.used(count);
        self.reading =
            if left == count { Reading::Header } else { Reading::Plain { left: left - count } };
    }

    /// Decompresses what is here and has room. A frame must give exactly what its header told.
    fn unpack(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let Reading::Packed(packed) = &mut self.reading else { return Ok(()) };
        let input = &self.raw[self.start..];
        let input = &input[..input.len().min(packed.compressed_left)];
        let mut beyond = [0];
        let wanted = packed.plain_left.min(buf.remaining());
        // After the last byte there is a checksum; nothing more may come out.
        let output = if packed.plain_left == 0 {
            &mut beyond[..]
        } else {
            buf.initialize_unfilled_to(wanted)
        };
        let step = packed.decoder.step(input, output)?;
        if packed.plain_left < step.produced {
            return Err(invalid("a compressed frame is longer than it says"));
        }
        let is_stuck = step.consumed == 0 && step.produced == 0 && !step.finished;
        packed.compressed_left -= step.consumed;
        packed.plain_left -= step.produced;
        let is_short = step.finished && packed.plain_left > 0;
        let has_rest = step.finished && packed.compressed_left > 0;
        if is_stuck || is_short || has_rest {
            return Err(invalid("a compressed frame is not as long as it says"));
        }
        if step.produced > 0 {
            buf.advance(step.produced);
        }
        self.used(step.consumed);
        if step.finished
            && let Reading::Packed(packed) = std::mem::replace(&mut self.reading, Reading::Header)
        {
            self.codecs.give_back(packed.decoder, packed.plain);
        }
        Ok(())
    }

    /// The bytes of the next frame.
    fn ready(&self) -> usize {
        let ready = self.outgoing.ready();
        match &self.peer {
            Peer::Client(_) => ready,
            Peer::Server(commands) => commands.of_one(ready),
        }
    }

    /// Puts the packets that are whole into a frame behind those on their way.
    fn pack(&mut self) -> io::Result<()> {
        let count = self.ready();
        if count == 0 {
            return Ok(());
        }
        if let Peer::Server(commands) = &mut self.peer
            && commands.begins(count)
        {
            self.sequence = 0;
        }
        let plain = &self.outgoing.bytes[..count];
        let header = self.pending.len();
        self.pending.extend_from_slice(&[0; HEADER]);
        let body = header + HEADER;
        let mut told = 0;
        if plain.len() >= COMPRESS_MIN {
            self.codecs.compress(self.algorithm, plain, &mut self.pending)?;
            told = plain.len();
        }
        if told == 0 || self.pending.len() - body >= plain.len() {
            self.pending.truncate(body);
            self.pending.extend_from_slice(plain);
            told = 0;
        }
        let len = (self.pending.len() - body) as u32;
        self.pending[header..header + 3].copy_from_slice(&len.to_le_bytes()[..3]);
        self.pending[header + 3] = self.sequence;
        self.pending[header + 4..body].copy_from_slice(&(told as u32).to_le_bytes()[..3]);
        self.sequence = self.sequence.wrapping_add(1);
        self.outgoing.drop_front(count);
        Ok(())
    }

    /// Writes the frames on their way.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.pending.len() {
            let rest = &self.pending[self.sent..];
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        self.pending.clear();
        self.pending.shrink_to(BUFFER);
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Compressed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        while buf.remaining() > 0 && buf.filled().len() == before {
            let (needed, is_between) = match &this.reading {
                Reading::Header => (HEADER, true),
                // A frame may be empty.
                Reading::Plain { left: 0 } => (0, false),
                Reading::Packed(packed) if packed.compressed_left == 0 => (0, false),
                Reading::Plain { .. } | Reading::Packed(_) => (1, false),
            };
            if this.available() < needed {
                if ready!(this.poll_fill(cx))? == 0 {
                    let at_end = is_between && this.available() == 0;
                    let cut = Err(io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(if at_end { Ok(()) } else { cut });
                }
                continue;
            }
            match this.reading {
                Reading::Header => this.enter_frame()?,
                Reading::Plain { left } => this.copy(left, buf),
                Reading::Packed(_) => this.unpack(buf)?,
            }
        }
        let read = &mut buf.filled_mut()[before..];
        match &mut this.peer {
            Peer::Client(continued) => continued.renumber(read),
            Peer::Server(commands) => commands.renumber(read),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Compressed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.writing == Writing::AfterFlush {
            return Pin::new(&mut this.inner).poll_write(cx, buf);
        }
        ready!(this.poll_drain(cx))?;
        let commands = match &mut this.peer {
            Peer::Client(_) => None,
            Peer::Server(commands) => Some(commands),
        };
        let count = this.outgoing.take(buf, commands);
        if this.outgoing.ready() >= FRAME_ENOUGH || count < buf.len() {
            this.pack()?;
            // What does not go now goes with the next write or flush.
            if let Poll::Ready(sent) = this.poll_drain(cx) {
                sent?;
            }
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        while this.ready() > 0 {
            this.pack()?;
            ready!(this.poll_drain(cx))?;
        }
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        this.writing = Writing::Framed;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
