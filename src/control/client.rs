//! The command line's side of the control API, on hyper: one request a connection, no TLS.
//!
//! hyper answers on the other side (under axum), so both ends share one reader of HTTP.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The control API of a proxy.
#[derive(Clone)]
pub struct Client {
    authority: String,
    token: Option<String>,
    answer_bytes_max: usize,
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
    /// Not a request that HTTP can carry.
    #[error("the request cannot be written: {0}")]
    Request(#[from] hyper::http::Error),
    /// The proxy cannot be reached.
    #[error("cannot reach {0}: {1}")]
    Io(String, io::Error),
    /// Something else answered.
    #[error("{0} does not speak HTTP")]
    Protocol(String),
    /// The connection ended within an answer.
    #[error("the answer of {0} is cut off: {1}")]
    Cut(String, String),
    /// The answer has no end in sight.
    #[error("{0} answers with more than {1} bytes")]
    TooLong(String, usize),
}

/// How long each step may take: to connect, to send and get the head of the answer, to get more.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the sessions of a full proxy, with all their attributes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

impl Client {
    /// A client for `http://HOST:PORT`.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let wrong = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        if !plain || url.contains('@') {
            return Err(wrong());
        }
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { authority, token, answer_bytes_max: ANSWER_BYTES_MAX })
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
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONNECTION, "close")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, header_value(value)?);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, header_value(&format!("Bearer {token}"))?);
        }
        let request = request.body(Full::from(body))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError::Io(self.authority.clone(), error))?;
        runtime.block_on(self.exchange(request))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, ClientError> {
        let unreachable = |error| ClientError::Io(self.authority.clone(), error);
        let connected = self.in_time(TcpStream::connect(&self.authority)).await?;
        let stream = TokioIo::new(connected.map_err(unreachable)?);
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| self.no_answer(&error))?;
        // It moves the bytes while the answer is awaited, and ends with it.
        let mut moving = JoinSet::new();
        moving.spawn(connection);
        let answer = self.in_time(sender.send_request(request)).await?;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let status = answer.status().as_u16();
        let body = self.read(answer.into_body()).await?;
        Ok(Response { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    async fn read(&self, body: Incoming) -> Result<Vec<u8>, ClientError> {
        let mut body = Limited::new(body, self.answer_bytes_max);
        let mut whole = Vec::new();
        while let Some(frame) = self.in_time(body.frame()).await? {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ClientError::TooLong(self.authority.clone(), self.answer_bytes_max)
                } else {
                    ClientError::Cut(self.authority.clone(), first_cause(&*error).to_string())
                }
            })?;
            whole.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Ok(whole)
    }

    /// Waits for one step, [`TIMEOUT`] at most.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, ClientError> {
        timeout(TIMEOUT, step).await.map_err(|_| {
            let silence = format!("no answer within {} s", TIMEOUT.as_secs());
            let silence = io::Error::new(io::ErrorKind::TimedOut, silence);
            ClientError::Io(self.authority.clone(), silence)
        })
    }

    fn no_answer(&self, error: &hyper::Error) -> ClientError {
        match first_cause(error).downcast_ref::<io::Error>() {
            // The error belongs to hyper, which lends it.
            Some(cause) => {
                let cause = io::Error::new(cause.kind(), cause.to_string());
                ClientError::Io(self.authority.clone(), cause)
            }
            None => ClientError::Protocol(self.authority.clone()),
        }
    }
}

fn first_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut first = error;
    while let Some(cause) = first.source() {
        first = cause;
    }
    first
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// A header's value; a token from a file may end in what no header can hold.
fn header_value(value: &str) -> Result<HeaderValue, hyper::http::Error> {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    Ok(HeaderValue::from_bytes(value.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::*;

    /// What a client makes of an answer, and the request that it sent.
    fn answered(answer: &'static [u8]) -> (Result<Response, ClientError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let mut client = Client::new(&url, Some("secret\r\n".into())).unwrap();
        client.answer_bytes_max = 8;
        let response = client.request("PUT", "/p?q=1", &[("If-Match", "\"1\"")], Some(&json!([1])));
        (response, server.join().unwrap())
    }

    #[test]
    fn answers_are_read_with_length_and_in_chunks() {
        let (plain, request) =
            answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
        let plain = plain.unwrap();
        assert_eq!((plain.status, plain.body["a"].as_u64()), (404, Some(1)));
        let request = request.to_lowercase();
        assert!(request.starts_with("put /p?q=1 http/1.1\r\n"), "{request}");
        for line in ["content-length: 3", "if-match: \"1\"", "authorization: bearer secret"] {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
        }
        let (chunked, _) = answered(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":2}\r\n0\r\n\r\n",
        );
        assert_eq!(chunked.unwrap().body["a"].as_u64(), Some(2));
        let (to_the_end, _) = answered(b"HTTP/1.0 200 OK\r\n\r\n{\"a\":3}");
        assert_eq!(to_the_end.unwrap().body["a"].as_u64(), Some(3));
        let (other, _) = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(other.unwrap().body, Value::Null);
        for wrong in [&b""[..], b"5.5.5-10.11\r\n\r\n", b"HTTP/1.1\r\n\r\n"] {
            let (response, _) = answered(wrong);
            assert!(matches!(response, Err(ClientError::Protocol(_))), "{response:?}");
        }
    }

    #[test]
    fn answers_are_whole_and_have_a_limit() {
        for short in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        ] {
            let (short, _) = answered(short);
            assert!(matches!(short, Err(ClientError::Cut(..))), "{short:?}");
        }
        for long in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
        ] {
            let error = answered(long).0.unwrap_err().to_string();
            assert!(error.ends_with("answers with more than 8 bytes"), "{error}");
        }
    }

    #[test]
    fn nobody_listening_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{closed}"), None).unwrap();
        let error = client.request("GET", "/", &[], None).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot reach {closed}: Connection refused")),
            "{error}"
        );
    }

    #[test]
    fn urls() {
        assert!(Client::new("http://127.0.0.1:15380/", None).is_ok());
        for wrong in
            ["https://h:1", "h:1", "http://", "http://h:1/path", "http://h?a", "http://u@h"]
        {
            assert!(Client::new(wrong, None).is_err(), "{wrong}");
        }
        let known = Client::new("http://h", Some("secret".into())).unwrap();
        assert!(!format!("{known:?}").contains("secret"));
        assert_eq!(known.authority, "h:80");
        assert_eq!(Client::new("http://[::1]:2", None).unwrap().authority, "[::1]:2");
    }
}
