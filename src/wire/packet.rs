//! The frame around a payload: four bytes of header, split at 16 MiB.
//!
//! Protocol page: MySQL "MySQL Packets" (`page_protocol_basic_packets`), MariaDB "0-Packet".
//! Writes packets, and takes one payload out of a buffer. Does not read or write a stream.

use std::borrow::Cow;

use super::cursor::Malformed;

/// Length of the header: three bytes of payload length, one of sequence id.
pub const HEADER_LEN: usize = 4;

/// The longest payload of one packet; a packet of this length is continued in the next one.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// The header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes in this packet, at most [`MAX_PAYLOAD`].
    pub len: usize,
    /// Sequence id; counts up from the command's 0 and wraps.
    pub seq: u8,
}

impl Header {
    /// Reads a header.
    pub const fn parse(bytes: [u8; HEADER_LEN]) -> Self {
        let [a, b, c, seq] = bytes;
        Self { len: u32::from_le_bytes([a, b, c, 0]) as usize, seq }
    }

    /// The header at the front of `bytes`, if four bytes are there.
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk::<HEADER_LEN>().copied().map(Self::parse)
    }

    /// The header's bytes.
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c, _] = (self.len as u32).to_le_bytes();
        [a, b, c, self.seq]
    }
}

/// Appends `payload` as one packet, or as several when it is 16 MiB or longer, and moves `seq`
/// past the last of them.
pub fn write_packet(out: &mut Vec<u8>, seq: &mut u8, payload: &[u8]) {
    let mut rest = payload;
    loop {
        let (now, later) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        out.reserve(HEADER_LEN + now.len());
        out.extend_from_slice(&Header { len: now.len(), seq: *seq }.encode());
        out.extend_from_slice(now);
        *seq = seq.wrapping_add(1);
        // A full packet announces another one, so an exact multiple ends with an empty packet.
        if now.len() < MAX_PAYLOAD {
            return;
        }
        rest = later;
    }
}

/// The place in a buffer where a packet is being built.
#[derive(Debug)]
#[must_use = "the header is written by finish_packet"]
pub struct PacketStart(usize);

/// Leaves room for a header; the payload is then appended to `out`.
pub fn start_packet(out: &mut Vec<u8>) -> PacketStart {
    let start = PacketStart(out.len());
    out.extend_from_slice(&[0; HEADER_LEN]);
    start
}

/// Writes the header for all that was appended since [`start_packet`], splitting when needed.
pub fn finish_packet(out: &mut Vec<u8>, seq: &mut u8, start: PacketStart) {
    let PacketStart(start) = start;
    let body = start + HEADER_LEN;
    let len = out.len().saturating_sub(body);
    if len >= MAX_PAYLOAD {
        let payload = out.split_off(body);
        out.truncate(start);
        write_packet(out, seq, &payload);
        return;
    }
    if let Some(header) = out.get_mut(start..body) {
        header.copy_from_slice(&Header { len, seq: *seq }.encode());
        *seq = seq.wrapping_add(1);
    }
}

/// Builds one packet in place: `build` appends the payload.
pub fn build_packet(out: &mut Vec<u8>, seq: &mut u8, build: impl FnOnce(&mut Vec<u8>)) {
    let start = start_packet(out);
    build(out);
    finish_packet(out, seq, start);
}

/// One whole payload taken from the front of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<'a> {
    /// The payload; copied only when it came in several packets.
    pub payload: Cow<'a, [u8]>,
    /// Bytes of the buffer that it used, headers included.
    pub consumed: usize,
    /// The sequence id that the next packet must carry.
    pub next_seq: u8,
}

/// Why no payload could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A packet came out of order; the stream cannot be trusted any more.
    #[error("packet out of order: expected sequence id {expected}, got {got}")]
    OutOfOrder {
        /// The id that was due.
        expected: u8,
        /// The id that came.
        got: u8,
    },
    /// The payload is longer than the caller allows.
    #[error("packet of more than {limit} bytes")]
    TooLong {
        /// The caller's limit in bytes.
        limit: usize,
    },
}

impl From<FrameError> for Malformed {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::OutOfOrder { .. } => Malformed::new("the next sequence id", 3),
            FrameError::TooLong { .. } => Malformed::new("a shorter packet", 0),
        }
    }
}

/// Takes one payload from the front of `buffer`; `None` while it is not complete.
///
/// Fails as soon as a header shows that the payload will exceed `limit` bytes, before anybody
/// has to hold that much.
pub fn take_payload(buffer: &[u8], seq: u8, limit: usize) -> Result<Option<Taken<'_>>, FrameError> {
    let mut consumed = 0;
    let mut total = 0;
    let mut next_seq = seq;
    let mut complete = true;
    // First walk the headers only, so that a payload in many packets is copied once, at its end.
    loop {
        let rest = buffer.get(consumed..).unwrap_or_default();
        let Some(header) = Header::peek(rest) else { return Ok(None) };
        if header.seq != next_seq {
            return Err(FrameError::OutOfOrder { expected: next_seq, got: header.seq });
        }
        total += header.len;
        if total > limit {
            return Err(FrameError::TooLong { limit });
        }
        consumed += HEADER_LEN + header.len;
        if consumed > buffer.len() {
            complete = false;
        }
        next_seq = next_seq.wrapping_add(1);
        if header.len < MAX_PAYLOAD || !complete {
            break;
        }
    }
    if !complete {
        return Ok(None);
    }
    let framed = buffer.get(..consumed).unwrap_or_default();
    let payload = if total < MAX_PAYLOAD {
        Cow::Borrowed(framed.get(HEADER_LEN..).unwrap_or_default())
    } else {
        let mut joined = Vec::with_capacity(total);
        for packet in framed.chunks(HEADER_LEN + MAX_PAYLOAD) {
            joined.extend_from_slice(packet.get(HEADER_LEN..).unwrap_or_default());
        }
        Cow::Owned(joined)
    };
    Ok(Some(Taken { payload, consumed, next_seq }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let header = Header { len: 0x01_0203, seq: 9 };
        assert_eq!(header.encode(), [3, 2, 1, 9]);
        assert_eq!(Header::parse(header.encode()), header);
    }

    #[test]
    fn long_payloads_are_split_and_joined() {
        for len in [0, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD] {
            let payload = vec![7; len];
            let (mut out, mut seq) = (Vec::new(), 255);
            write_packet(&mut out, &mut seq, &payload);
            assert_eq!(usize::from(seq), len / MAX_PAYLOAD, "sequence id wraps");
            let (mut built, mut built_seq) = (Vec::new(), 255);
            build_packet(&mut built, &mut built_seq, |out| out.extend_from_slice(&payload));
            assert!(built == out && built_seq == seq);
            out.extend_from_slice(b"next");
            let taken = take_payload(&out, 255, usize::MAX).unwrap().unwrap();
            assert!(taken.payload == payload);
            assert_eq!((taken.consumed, taken.next_seq), (out.len() - 4, seq));
            assert_eq!(take_payload(&out[..taken.consumed - 1], 255, usize::MAX), Ok(None));
        }
    }

    #[test]
    fn limits_and_order_are_held_at_the_header() {
        assert_eq!(take_payload(&[9, 0, 0, 0], 0, 8), Err(FrameError::TooLong { limit: 8 }));
        let wrong = FrameError::OutOfOrder { expected: 1, got: 2 };
        assert_eq!(take_payload(&[0, 0, 0, 2], 1, 8), Err(wrong));
        assert_eq!(take_payload(&[0, 0, 0], 1, 8), Ok(None));
    }
}
