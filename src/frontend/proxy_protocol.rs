//! The header by which a proxy in front of us tells whom it speaks for.
//!
//! Source: HAProxy's "The PROXY protocol", versions 1 (text) and 2 (binary). Who is believed, and
//! what happens to others, is decided in `handshake`; extensions (TLVs) of version 2 are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::wire::cursor::Malformed;

/// The beginning of version 1.
const TEXT: &[u8] = b"PROXY ";
/// The longest header of version 1, with its line end.
const TEXT_MAX: usize = 107;
/// The beginning of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const BINARY_HEADER: usize = 16;
/// More extensions than any proxy sends.
const BINARY_MAX: usize = 4096;

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// No header; what stands there is the client's.
    NoHeader,
    /// Too little to tell.
    Incomplete,
    /// A header.
    Header {
        /// Its bytes.
        len: usize,
        /// The client; `None`: the proxy speaks for itself, or does not know.
        client: Option<SocketAddr>,
    },
}

impl Opening {
    /// Looks at the first bytes of a connection. No packet that a client may begin with looks
    /// like a header: it would be 800 KiB long.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Malformed> {
        let is_text = begins_like(bytes, TEXT);
        let is_binary = begins_like(bytes, SIGNATURE);
        match bytes.len() {
            _ if !is_text && !is_binary => Ok(Self::NoHeader),
            len if is_text && len >= TEXT.len() => text(bytes),
            len if is_binary && len >= BINARY_HEADER => binary(bytes),
            _ => Ok(Self::Incomplete),
        }
    }
}

/// Whether one is the beginning of the other.
fn begins_like(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.iter().zip(mark).all(|(byte, expected)| byte == expected)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 3306` and a line end.
fn text(bytes: &[u8]) -> Result<Opening, Malformed> {
    let head = bytes.get(..TEXT_MAX).unwrap_or(bytes);
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        let malformed = Malformed::new("a line end in the PROXY header", head.len());
        return if head.len() < TEXT_MAX { Ok(Opening::Incomplete) } else { Err(malformed) };
    };
    let malformed = || Malformed::new("PROXY, TCP4 or TCP6, two addresses, two ports", TEXT.len());
    let line = std::str::from_utf8(&head[..end]).map_err(|_| malformed())?;
    let fields: Vec<&str> = line.split(' ').collect();
    let client = match fields[..] {
        [_, "UNKNOWN", ..] => None,
        [_, family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let address = |text: &str| {
                let address: IpAddr = text.parse().ok()?;
                (address.is_ipv4() == (family == "TCP4")).then_some(address)
            };
            let known = to.parse::<u16>().is_ok() && address(destination).is_some();
            let client = address(source).zip(from.parse().ok()).filter(|_| known);
            Some(SocketAddr::from(client.ok_or_else(malformed)?))
        }
        _ => return Err(malformed()),
    };
    Ok(Opening::Header { len: end + 2, client })
}

/// Signature, then fixed fields, addresses and extensions.
fn binary(bytes: &[u8]) -> Result<Opening, Malformed> {
    let at = SIGNATURE.len();
    let (command, family) = (bytes[at], bytes[at + 1]);
    let rest = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    let len = BINARY_HEADER + rest;
    if !matches!(command, 0x20 | 0x21) {
        return Err(Malformed::new("version 2, LOCAL or PROXY", at));
    }
    if len > BINARY_MAX {
        return Err(Malformed::new("a PROXY header of at most 4096 bytes", at + 2));
    }
    let Some(body) = bytes.get(BINARY_HEADER..len) else { return Ok(Opening::Incomplete) };
    let is_local = command == 0x20;
    let short = || Malformed::new("addresses in the PROXY header", BINARY_HEADER);
    let port = |ends: &[u8], at: usize| u16::from_be_bytes([ends[at], ends[at + 1]]);
    // The high half is the address family, the low half stream or datagram.
    let client = match family >> 4 {
        _ if is_local => None,
        // Unspecified, and Unix sockets, which have no address to speak of.
        0 | 3 => None,
        1 => {
            let ends = body.get(..12).ok_or_else(short)?;
            let octets = ends.first_chunk::<4>().ok_or_else(short)?;
            Some(SocketAddr::from((Ipv4Addr::from(*octets), port(ends, 8))))
        }
        2 => {
            let ends = body.get(..36).ok_or_else(short)?;
            let octets = ends.first_chunk::<16>().ok_or_else(short)?;
            Some(SocketAddr::from((Ipv6Addr::from(*octets), port(ends, 32))))
        }
        _ => return Err(Malformed::new("a known address family", at + 1)),
    };
    Ok(Opening::Header { len, client })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &len, body].concat()
    }

    #[test]
    fn headers_are_read() {
        let v4 = [&[192, 0, 2, 1, 10, 0, 0, 1, 1, 2, 3, 4][..], &[0; 7]].concat();
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[9], &[0; 16], &[1, 2, 3, 4]].concat();
        let cases: [(Vec<u8>, Option<&str>); 8] = [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 258 772\r\n".to_vec(), Some("192.0.2.1:258")),
            (b"PROXY TCP6 2001:db8::9 ::1 1 65535\r\n".to_vec(), Some("[2001:db8::9]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN what ever 1 2\r\n".to_vec(), None),
            (version2(0x21, 0x11, &v4), Some("192.0.2.1:258")),
            (version2(0x21, 0x21, &v6), Some("[2001:db8::9]:258")),
            (version2(0x20, 0, b""), None),
            (version2(0x21, 0x31, &[0; 216]), None),
        ];
        for (bytes, client) in cases {
            let len = bytes.len();
            let header = Opening::Header { len, client: client.map(|c| c.parse().unwrap()) };
            let followed = [&bytes[..], b"\x01\0\0\x01x"].concat();
            assert_eq!(Opening::of(&followed), Ok(header));
            for cut in 0..len {
                assert_eq!(Opening::of(&bytes[..cut]), Ok(Opening::Incomplete), "{cut}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_header() {
        for bytes in [&b"\x20\0\0\x01"[..], b"PROXX ", b"PRO\0", b"\r\n\r\n\0\r\nQUIT\r"] {
            assert_eq!(Opening::of(bytes), Ok(Opening::NoHeader));
        }
    }

    #[test]
    fn broken_headers_are_refused() {
        let long = [TEXT, &[b'x'; 200]].concat();
        let cases: [Vec<u8>; 12] = [
            b"PROXY TCP4 192.0.2.1 10.0.0.1 258\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 258 70000\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::9 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY \r\n".to_vec(),
            b"PROXY TCP4 \xff 10.0.0.1 1 2\r\n".to_vec(),
            long,
            version2(0x11, 0x11, &[0; 12]),
            version2(0x22, 0x11, &[0; 12]),
            version2(0x21, 0x11, &[0; 11]),
            version2(0x21, 0x41, &[0; 36]),
        ];
        for bytes in cases {
            assert!(Opening::of(&bytes).is_err(), "{bytes:?}");
        }
        assert!(Opening::of(&version2(0x21, 0x11, &[0; 5000])).is_err());
    }
}
