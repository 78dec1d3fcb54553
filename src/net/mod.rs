//! Byte streams (TCP, Unix, TLS, compressed) with reused buffers and MySQL packet framing.
//!
//! Both sides of the proxy stand on [`Framed`]: `frontend` and `session` for clients, `backend`
//! for servers. The rules that keep the hot path at an L4 proxy's price are kept here: one read
//! takes all that the socket has, a write is tried before it is waited for, buffers are reused
//! and never grow beyond what one packet needs, and no task or channel stands between two sockets.
//!
//! This module knows the four bytes of a packet header and nothing else of the protocol.

mod admission;
mod codec;
mod compressed;
mod framed;
mod stream;
mod tls;
mod tls_names;

pub use admission::{Admission, Place};
pub use codec::{Algorithm, Codecs};
pub use compressed::Side;
pub use framed::{Framed, Packet, ReadError};
pub use stream::Stream;
pub use tls::{TlsError, client_config, server_config};
pub use tls_names::TlsNames;
