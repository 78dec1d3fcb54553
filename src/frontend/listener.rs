//! The accept loop of a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::handshake::{Policy, handshake};
use crate::config::TlsMode;
use crate::net::Stream;
use crate::session::Services;

/// What all workers' listeners share.
#[derive(Debug)]
pub struct Frontend {
    services: Arc<Services>,
    policy: Policy,
}

/// A bound socket on which one worker accepts.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
}

impl Listener {
    /// Binds `address`. Each worker binds the same address for itself; the kernel spreads new
    /// connections over them.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        Ok(Self { socket: socket.into() })
    }

    /// The address it is bound to.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second socket on the same address.
    pub fn again(&self) -> io::Result<Self> {
        Self::bind(self.local_address()?)
    }
}

impl Frontend {
    /// A frontend with TLS as given.
    pub fn new(
        services: Arc<Services>,
        tls: Option<Arc<rustls::ServerConfig>>,
        tls_mode: TlsMode,
    ) -> Self {
        Self { services, policy: Policy { tls, tls_mode } }
    }

    /// Accepts clients until `stop` is ready.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        worker: usize,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(listener.socket)?;
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let frontend = Arc::clone(&self);
                    tokio::spawn(async move { frontend.client(stream, peer, worker).await });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: let some sessions end.
                    tracing::error!(%error, "cannot accept a client");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn client(&self, stream: TcpStream, peer: SocketAddr, worker: usize) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let keepalive = socket2::TcpKeepalive::new().with_time(std::time::Duration::from_secs(60));
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        let host = peer.ip().to_string();
        let limit = self.services.limits.client_handshake();
        let greeted = handshake(&self.services, &self.policy, Stream::Tcp(stream), &host, worker);
        if let Ok(Some(session)) = tokio::time::timeout(limit, greeted).await {
            Box::pin(session.run()).await;
        }
    }
}
