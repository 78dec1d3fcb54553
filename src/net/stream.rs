//! One byte stream, whatever carries it.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::TlsNames;
use super::codec::{Algorithm, Codecs};
use super::compressed::{Compressed, Side};

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP in the clear.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over either.
    Tls(Box<TlsStream<Prefixed>>),
    /// The compressed protocol over any of these.
    Compressed(Box<Compressed>),
}

/// Between two questions of the kernel whether a silent peer is there, and how many of them.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 3;
/// Bytes that the kernel keeps of what a peer has no room for.
const UNSENT_MAX: u32 = 128 << 10;

impl Stream {
    /// Sets the options that all TCP connections have: small packets go at once, and a peer that
    /// was silent for `keepalive` is asked whether it is still there.
    pub fn set_options(&self, keepalive: Duration) -> io::Result<()> {
        let Self::Tcp(stream) = self else { return Ok(()) };
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(keepalive)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_COUNT);
        SockRef::from(stream).set_tcp_keepalive(&keepalive)
    }

    /// Lets the kernel take no more than this beyond what the peer makes room for: what a client
    /// does not read costs little then, and how much it reads is soon seen.
    pub fn bound_unsent(&self) -> io::Result<()> {
        let Self::Tcp(stream) = self else { return Ok(()) };
        SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX)
    }

    /// A second handle of the socket below a stream without TLS and compression, with which it can
    /// be shut from elsewhere.
    pub fn socket(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).try_clone(),
            Self::Unix(stream) => SockRef::from(stream).try_clone(),
            Self::Tls(_) | Self::Compressed(_) => Err(io::Error::other("not a plain stream")),
        }
    }

    /// Closes it at once, with what is still to be sent.
    pub fn abort(self) {
        self.forget_unsent();
    }

    /// Lets the kernel throw away what the peer has not taken when the stream is closed.
    fn forget_unsent(&self) {
        match self {
            Self::Tcp(stream) => forget_unsent(stream),
            Self::Unix(_) => {}
            Self::Tls(stream) => match &stream.get_ref().0.stream {
                Plain::Tcp(stream) => forget_unsent(stream),
                Plain::Unix(_) => {}
            },
            Self::Compressed(stream) => stream.inner().forget_unsent(),
        }
    }

    /// Continues as a TLS server. `read_ahead` is what was already read behind the request for
    /// TLS: some clients send their first TLS record in the same segment.
    pub async fn accept_tls(
        self,
        config: Arc<ServerConfig>,
        read_ahead: &[u8],
    ) -> io::Result<Self> {
        let prefixed = Prefixed { prefix: read_ahead.to_vec(), stream: self.plain()? };
        let stream = TlsAcceptor::from(config).accept(prefixed).await?;
        Ok(Self::Tls(Box::new(TlsStream::Server(stream))))
    }

    /// Continues as a TLS client.
    pub async fn connect_tls(
        self,
        config: Arc<ClientConfig>,
        host: ServerName<'static>,
    ) -> io::Result<Self> {
        let prefixed = Prefixed { prefix: Vec::new(), stream: self.plain()? };
        let stream = TlsConnector::from(config).connect(host, prefixed).await?;
        Ok(Self::Tls(Box::new(TlsStream::Client(stream))))
    }

    /// Continues with the compressed protocol, which begins with the next read, and for a server's
    /// writes after the next flush. `read_ahead` was read already.
    #[must_use]
    pub fn compress(
        self,
        algorithm: Algorithm,
        codecs: Arc<Codecs>,
        side: Side,
        read_ahead: Vec<u8>,
    ) -> Self {
        Self::Compressed(Box::new(Compressed::new(self, algorithm, codecs, side, read_ahead)))
    }

    /// Whether what was written may wait for a flush.
    pub fn needs_flush(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Compressed(_))
    }

    /// Whether the bytes are encrypted on their way.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Compressed(compressed) => compressed.inner().is_tls(),
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }

    /// What TLS has agreed on; `None` in the clear.
    pub fn tls_names(&self) -> Option<TlsNames> {
        match self {
            Self::Tls(stream) => TlsNames::of(stream.get_ref().1),
            Self::Compressed(compressed) => compressed.inner().tls_names(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// Whether nobody outside this machine can read along.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Unix(_) => true,
            Self::Compressed(compressed) => compressed.inner().is_private(),
            Self::Tcp(_) => false,
        }
    }

    /// The same stream registered with the runtime of the current thread, so that a connection
    /// can be lent to another worker.
    pub fn adopt(self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
            // A TLS stream stays with its reactor: waking across threads costs little beside TLS.
            tls @ Self::Tls(_) => tls,
            Self::Compressed(stream) => Self::Compressed(Box::new(stream.adopt()?)),
        })
    }

    /// Reads what is there, without a waker: for a stream whose bytes are those of its socket.
    /// `None` if nothing is there, or if only polling can tell.
    pub(super) fn try_read(&self, free: &mut [u8]) -> Option<io::Result<usize>> {
        let mut short = None;
        let mut read = |socket: SockRef<'_>| match (&*socket).read(free) {
            // It has emptied the socket, as the reactor's edge-triggered polling may be told: that
            // spares the read that finds nothing.
            Ok(count) if 0 < count && count < free.len() => {
                short = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            read => read,
        };
        let tried = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || read(stream.into())),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || read(stream.into())),
            Self::Tls(_) | Self::Compressed(_) => return None,
        };
        match (short, tried) {
            (Some(count), _) => Some(Ok(count)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            (None, tried) => Some(tried),
        }
    }

    /// Writes what the socket takes at once; nothing where only polling can tell.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Tls(_) | Self::Compressed(_) => Ok(0),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Whether a plain stream may have something to read, as far as the reactor knows.
    pub(super) fn is_readable(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Self::Tls(_) | Self::Compressed(_) => true,
        }
    }

    /// Waits until the reactor says that a plain stream may have something to read.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(_) | Self::Compressed(_) => Poll::Ready(Ok(())),
        }
    }

    /// Whether [`Stream::try_read`] tells all that polling would.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    fn plain(self) -> io::Result<Plain> {
        match self {
            Self::Tcp(stream) => Ok(Plain::Tcp(stream)),
            Self::Unix(stream) => Ok(Plain::Unix(stream)),
            Self::Tls(_) => Err(io::Error::other("TLS inside TLS")),
            Self::Compressed(_) => Err(io::Error::other("TLS inside compression")),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Compressed(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Compressed(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Compressed(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Compressed(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

fn forget_unsent(stream: &TcpStream) {
    // Without the option it is closed all the same, only later.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// A stream without TLS.
#[derive(Debug)]
enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A plain stream whose first bytes were read before TLS took over.
#[derive(Debug)]
pub struct Prefixed {
    prefix: Vec<u8>,
    stream: Plain,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.prefix.is_empty() {
            let count = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix[..count]);
            this.prefix.drain(..count);
            return Poll::Ready(Ok(()));
        }
        match &mut this.stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Plain::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Plain::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Plain::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
