//! A small HTTP/1.1 client for the command line: one request a connection, no TLS.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The control API of a proxy.
#[derive(Clone)]
pub struct Client {
    authority: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL that this client can use.
    #[error("--server {0}: write http://HOST:PORT (https is not supported)")]
    Url(String),
    /// The proxy cannot be reached.
    #[error("cannot reach {0}: {1}")]
    Io(String, io::Error),
    /// Something else answered.
    #[error("{0} does not speak HTTP")]
    Protocol(String),
}

const TIMEOUT: Duration = Duration::from_secs(30);

impl Client {
    /// A client for `http://HOST:PORT`.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let rest = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains(['/', '?', ' ']) => {
                let port = rest.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
                let authority = if port { rest.to_owned() } else { format!("{rest}:80") };
                Ok(Self { authority, token })
            }
            _ => Err(ClientError::Url(url.to_owned())),
        }
    }

    /// Sends a request and reads the whole answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, ClientError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\
             \r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.authority,
            body.len()
        );
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let token = token.as_deref().map(|token| ("Authorization", token));
        for (name, value) in headers.iter().copied().chain(token) {
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            for part in [name, ": ", &value, "\r\n"] {
                text += part;
            }
        }
        text += "\r\n";
        text += &body;
        let answer = self.exchange(text.as_bytes());
        let answer = answer.map_err(|error| ClientError::Io(self.authority.clone(), error))?;
        parse(&answer).ok_or_else(|| ClientError::Protocol(self.authority.clone()))
    }

    fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// An answer that was read to the end of the connection (RFC 9112).
fn parse(answer: &[u8]) -> Option<Response> {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..split]).ok()?;
    let mut lines = head.split("\r\n");
    let mut status_line = lines.next()?.split(' ');
    status_line.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = status_line.next()?.parse().ok()?;
    let chunked = lines.any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked"
        })
    });
    let body = &answer[split + 4..];
    let body = if chunked { join_chunks(body)? } else { body.to_vec() };
    Some(Response { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn join_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        let start = end + 2;
        whole.extend_from_slice(body.get(start..start.checked_add(size)?)?);
        body = body.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_length_and_in_chunks() {
        let plain = b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        let response = parse(plain).unwrap();
        assert_eq!((response.status, response.body["a"].as_u64()), (404, Some(1)));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":2}\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().body["a"].as_u64(), Some(2));
        for wrong in [&b""[..], b"5.5.5-10.11\r\n\r\n", b"HTTP/1.1\r\n\r\n"] {
            assert!(parse(wrong).is_none());
        }
        assert!(join_chunks(b"ffffffffffffffff\r\nx").is_none());
    }

    #[test]
    fn urls() {
        assert!(Client::new("http://127.0.0.1:15380/", None).is_ok());
        for wrong in ["https://h:1", "h:1", "http://", "http://h:1/path"] {
            assert!(Client::new(wrong, None).is_err(), "{wrong}");
        }
        let known = Client::new("http://h", Some("secret".into())).unwrap();
        assert!(!format!("{known:?}").contains("secret"));
        assert_eq!(known.authority, "h:80");
    }
}
