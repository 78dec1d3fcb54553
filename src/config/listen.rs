//! `[listen]`: where clients connect, and what they are told and offered before they log in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use super::Cidr;

/// Where clients connect, and how they are received.
#[derive(Clone, Debug)]
pub struct Listen {
    /// TCP addresses.
    pub addresses: Vec<SocketAddr>,
    /// A Unix socket beside them.
    pub socket: Option<UnixSocket>,
    /// Whose PROXY protocol headers are believed.
    pub trusted_proxies: Networks,
    /// What a client may compress with.
    pub compression: Vec<Compression>,
    /// The server version told to clients; default that of the first server that answers.
    pub server_version: Option<String>,
    /// The collation named in the greeting; default that of the server's product.
    pub collation: Option<String>,
}

impl Listen {
    /// The address that people are told; there is at least one.
    pub fn first_address(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }
}

/// A Unix socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its path.
    pub path: PathBuf,
    /// Permission bits; connecting needs the right to write.
    pub mode: u32,
}

/// An algorithm of the compressed protocol, in the words of `protocol_compression_algorithms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// CLIENT_COMPRESS.
    Zlib,
    /// CLIENT_ZSTD_COMPRESSION_ALGORITHM.
    Zstd,
}

/// Where peers may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    networks: Vec<Cidr>,
    unix: bool,
}

impl Networks {
    /// Reads blocks of addresses; `unix` is whoever connects over the Unix socket. Gives the
    /// first entry that is neither.
    pub(super) fn parse(entries: &[String]) -> Result<Self, String> {
        let mut networks = Self::default();
        for entry in entries {
            match Cidr::parse(entry) {
                _ if entry == "unix" => networks.unix = true,
                Some(network) => networks.networks.push(network),
                None => return Err(entry.clone()),
            }
        }
        Ok(networks)
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer is in one of them; `None` is a peer on the Unix socket.
    pub fn contain(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        }
    }
}

/// Permission bits as people write them: octal digits.
pub(super) fn parse_mode(text: &str) -> Option<u32> {
    let octal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok())??;
    (mode <= 0o777).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_by_network() {
        let networks = Networks::parse(&["10.0.0.0/8".to_owned(), "unix".to_owned()]).unwrap();
        assert!(networks.contain(Some("10.1.2.3".parse().unwrap())));
        assert!(networks.contain(None));
        assert!(!networks.contain(Some("11.1.2.3".parse().unwrap())));
        assert!(!Networks::default().contain(None));
        assert_eq!(Networks::parse(&["*".to_owned()]), Err("*".to_owned()));
    }

    #[test]
    fn modes_are_octal() {
        let cases = [
            ("0777", Some(0o777)),
            ("660", Some(0o660)),
            ("1777", None),
            ("+7", None),
            ("8", None),
        ];
        for (text, mode) in cases {
            assert_eq!(parse_mode(text), mode, "{text}");
        }
    }
}
