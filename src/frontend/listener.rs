//! A bound socket, TCP or Unix, and what is accepted from it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::config::UnixSocket;
use crate::net::Stream;

/// Connections that the kernel keeps for us until they are accepted; it caps this by
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    bound: Bound,
}

#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// A client that has connected.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its stream, registered with the runtime that accepted it.
    pub(super) stream: Stream,
    /// Where it comes from; `None` for a Unix socket.
    pub(super) peer: Option<SocketAddr>,
}

impl Listener {
    /// Binds a TCP address.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        Ok(Self { bound: Bound::Tcp(socket.into()) })
    }

    /// Binds a Unix socket. A file that a dead process has left is removed; one on which somebody
    /// answers, or that is no socket, is an error.
    pub fn bind_unix(at: &UnixSocket) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        remove_stale(&at.path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&at.path)?)?;
        let file = SocketFile(at.path.clone());
        std::fs::set_permissions(&at.path, std::fs::Permissions::from_mode(at.mode))?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        Ok(Self { bound: Bound::Unix(socket.into(), file) })
    }

    /// The TCP address it is bound to.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp(socket) => socket.local_addr().ok(),
            Bound::Unix(..) => None,
        }
    }

    /// Registers it with the runtime of the current thread.
    pub(super) fn open(self) -> io::Result<Open> {
        Ok(match self.bound {
            Bound::Tcp(socket) => Open::Tcp(TcpListener::from_std(socket)?),
            Bound::Unix(socket, file) => Open::Unix(UnixListener::from_std(socket)?, file),
        })
    }
}

/// A listener that waits on a runtime.
#[derive(Debug)]
pub(super) enum Open {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for its Drop")] SocketFile),
}

impl Open {
    /// Waits for the next client.
    pub(super) async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Arrival { stream: Stream::Tcp(stream), peer: Some(peer) })
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Arrival { stream: Stream::Unix(stream), peer: None })
            }
        }
    }
}

/// Removes its file when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let error = "it exists and is no socket; remove it or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, error));
    }
    match UnixStream::connect(path) {
        // Nobody listens: its process died without removing it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => {
            let error = "another process listens on it";
            Err(io::Error::new(io::ErrorKind::AddrInUse, error))
        }
    }
}
