//! From an accepted stream to a session: PROXY header, greeting, TLS, login, compression.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;

use super::places::{SessionPlace, SessionPlaces};
use super::proxy_protocol::Opening;
use super::reception::Said;
use crate::config::{Compression, Networks, TlsMode};
use crate::error::{SqlError, catalog};
use crate::executor::client::Client;
use crate::executor::registry::Newcomer;
use crate::net::{Algorithm, Codecs, Framed, Place, ReadError, Side, Stream};
use crate::session::accounts::{Account, AuthError, Claim, Occasion, Switching};
use crate::session::{Login, Services, Session};
use crate::wire::auth::Nonce;
use crate::wire::capability::Capabilities;
use crate::wire::err::ErrPacket;
use crate::wire::handshake::{Attributes, ClientHello, Greeting, HandshakeResponse};
use crate::wire::packet::build_packet;
use crate::wire::status::StatusFlags;

/// What a login needs to know beside the services.
#[derive(Debug)]
pub struct Policy {
    /// TLS, if it is offered.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether a client must use it.
    pub tls_mode: TlsMode,
    /// Whose PROXY protocol headers are believed.
    pub trusted_proxies: Networks,
    /// What clients may compress with.
    pub compression: Vec<Compression>,
    /// The collation of the greeting, by its low byte.
    pub collation: u8,
    /// Where compression states are kept.
    pub codecs: Arc<Codecs>,
}

/// A connection until somebody has logged in on it.
pub(super) struct Handshake<'a> {
    pub(super) services: &'a Arc<Services>,
    pub(super) policy: &'a Policy,
    pub(super) places: &'a Arc<SessionPlaces>,
    pub(super) said: &'a Said,
    /// The client's place until it has logged in.
    pub(super) login: &'a Place,
    /// Where the client is; `None`: on this machine, over the Unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) worker: usize,
}

impl Handshake<'_> {
    /// Greets a client and logs it in. `None`: it was refused and told so, or it went away.
    pub(super) async fn perform(mut self, stream: Stream) -> Option<(Session, SessionPlace)> {
        let connection_id = self.services.registry.next_id();
        let nonce = Nonce::generate().ok()?;
        let offered = with_servers(offered(self.policy), self.services.offered_by_servers());
        let mut framed = Framed::new(stream);
        let mut sequence = 0;
        let greeting = Greeting {
            server_version: self.services.server_version.as_bytes(),
            connection_id,
            nonce,
            capabilities: offered,
            collation: self.policy.collation,
            status: StatusFlags::AUTOCOMMIT,
            auth_plugin: self.services.accounts.load().greeted(),
        };
        build_packet(&mut framed.out, &mut sequence, |out| greeting.encode(out));
        framed.flush().await.ok()?;

        self.read_proxy_header(&mut framed).await?;
        let (mut framed, payload) = self.receive_response(framed, &mut sequence).await?;
        let response = match self.admit(&framed, &payload) {
            Ok(response) => response,
            Err(error) => return refuse(&mut framed, sequence, &error).await,
        };
        let claim = Claim {
            user: response.user,
            plugin: response.auth_plugin,
            answer: response.auth_data,
            address: self.ip(),
            switching: Switching::of(response.capabilities),
            occasion: Occasion::Login,
        };
        let accounts = self.services.accounts.load_full();
        let account = match accounts.authenticate(&mut framed, &mut sequence, nonce, claim).await {
            Ok(account) => account,
            Err(AuthError::Refused(error)) => {
                let advice = "accounts are the [[user]] entries of the configuration";
                if let Some(times) = self.said.refused.count() {
                    tracing::info!(host = %self.host(), %error, advice, times, "login refused");
                }
                self.services.metrics.record_auth_failure();
                return refuse(&mut framed, sequence, &error).await;
            }
            Err(AuthError::Lost) => return None,
        };
        let Some(place) = self.places.take() else {
            return refuse(&mut framed, sequence, &self.too_many()).await;
        };
        let agreed = response.capabilities.intersection(offered);
        if let Some(algorithm) = algorithm(agreed, response.zstd_level) {
            framed = framed.compress(algorithm, Arc::clone(&self.policy.codecs), Side::Server);
        }
        framed.half_closed = self.services.limits.load().client_half_closed();
        let client = Client::new(framed, agreed);
        let entry = Entry { connection_id, nonce, sequence };
        let session = self.enter(client, &account, &response, entry).await?;
        Some((session, place))
    }

    /// Makes the session of a client that has proven who it is.
    async fn enter(
        &self,
        mut client: Client,
        account: &Account,
        response: &HandshakeResponse<'_>,
        entry: Entry,
    ) -> Option<Session> {
        let host = self.host();
        let limits = self.services.limits.load_full();
        let registered = self.services.registry.register(Newcomer {
            id: entry.connection_id,
            user: &account.name,
            peer: &self.peer(),
            attributes: kept_attributes(
                response.attributes,
                limits.connection_attributes_bytes_max,
            ),
            memory: &self.services.memory,
            connections_max: account.connections_max,
            idle_seconds_max: limits.client_idle(client.manner()).as_secs(),
        });
        let registered = match registered {
            Ok(registered) => registered,
            Err(too_many) => {
                let error = catalog::USER_LIMIT.with(&[&account.name, &too_many.limit]);
                return refuse(&mut client.framed, entry.sequence, &error).await;
            }
        };
        let database = match (response.database, &account.keyspace) {
            (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
            (named, _) => named.to_vec(),
        };
        let login = Login {
            user: Arc::clone(&account.name),
            host: host.into(),
            database,
            collation: response.collation,
            nonce: entry.nonce,
            sequence: entry.sequence,
        };
        Some(Session::new(Arc::clone(self.services), self.worker, client, registered, login))
    }

    /// The client's host as people see it.
    fn host(&self) -> String {
        match self.ip() {
            Some(ip) if !(self.services.resolves_names && ip.is_loopback()) => ip.to_string(),
            // What a server that looks names up calls its own machine.
            _ => "localhost".to_owned(),
        }
    }

    /// The client's end as SHOW PROCESSLIST has it: with its port.
    fn peer(&self) -> String {
        let port = self.address.map(|address| format!(":{}", address.port()));
        self.host() + &port.unwrap_or_default()
    }

    fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip().to_canonical())
    }

    /// Looks for a PROXY header before the client's first packet. A trusted proxy may also connect
    /// without one, to see whether we live.
    async fn read_proxy_header(&mut self, framed: &mut Framed) -> Option<()> {
        loop {
            match Opening::of(framed.buffered()) {
                Ok(Opening::NoHeader) => return Some(()),
                Ok(Opening::Incomplete) => {
                    if framed.fill().await.ok()? == 0 {
                        return None;
                    }
                }
                Ok(_) | Err(_) if !self.policy.trusted_proxies.contain(self.ip()) => {
                    let host = self.host();
                    if let Some(times) = self.said.refused.count() {
                        let what = "a PROXY protocol header from a host that is not trusted";
                        tracing::warn!(%host, times, "{what}");
                    }
                    return refuse(framed, 1, &catalog::PROXY_NOT_TRUSTED.with(&[&host])).await;
                }
                Ok(Opening::Header { len, client }) => {
                    framed.consume(len);
                    self.address = client.or(self.address);
                    if let Some(ip) = self.ip() {
                        self.login.set_peer(ip);
                    }
                    return Some(());
                }
                Err(malformed) => {
                    if let Some(times) = self.said.refused.count() {
                        let what = "a broken PROXY protocol header";
                        tracing::warn!(host = %self.host(), %malformed, times, "{what}");
                    }
                    return refuse(framed, 1, &catalog::BAD_HANDSHAKE.with(&[&malformed])).await;
                }
            }
        }
    }

    /// The client's answer to the greeting, before which it may ask for TLS.
    async fn receive_response(
        &self,
        mut framed: Framed,
        sequence: &mut u8,
    ) -> Option<(Framed, Vec<u8>)> {
        let mut payload = self.receive(&mut framed, sequence).await?;
        let hello = ClientHello::parse(&payload);
        if let (Ok(ClientHello::SslRequest(_)), Some(tls)) = (hello, &self.policy.tls) {
            let tls = Arc::clone(tls);
            // What came along in the clear can only be the beginning of TLS: it is read as that.
            let upgraded = framed.replace_stream(|stream, ahead| async move {
                stream.accept_tls(tls, &ahead).await
            });
            framed = upgraded.await.ok()?;
            payload = self.receive(&mut framed, sequence).await?;
        }
        Some((framed, payload))
    }

    /// Reads a login that may be tried at all.
    fn admit<'p>(
        &self,
        framed: &Framed,
        payload: &'p [u8],
    ) -> Result<HandshakeResponse<'p>, SqlError> {
        let bad = |what: &(dyn std::fmt::Display + Sync)| catalog::BAD_HANDSHAKE.with(&[what]);
        let response = HandshakeResponse::parse(payload).map_err(|malformed| bad(&malformed))?;
        if response.capabilities.contains(Capabilities::ZSTD_COMPRESSION)
            && !(1..=22).contains(&response.zstd_level)
        {
            return Err(bad(&"zstd's compression level is 1 to 22"));
        }
        if self.policy.tls_mode == TlsMode::Required && !framed.stream().is_private() {
            return Err(catalog::INSECURE_AUTH.error());
        }
        // Before anybody is made to prove who they are in vain; it is decided afterwards.
        if self.places.are_full() {
            return Err(self.too_many());
        }
        Ok(response)
    }

    fn too_many(&self) -> SqlError {
        catalog::TOO_MANY_CONNECTIONS.with(&[&self.places.places_max()])
    }

    /// The next packet of the connection phase, which must be in sequence.
    async fn receive(&self, framed: &mut Framed, sequence: &mut u8) -> Option<Vec<u8>> {
        let bytes_max = self.services.limits.load().client_login_bytes_max;
        let packet = match framed.read_packet(bytes_max).await {
            Ok(packet) => packet,
            Err(ReadError::TooLong { limit }) => {
                let error = format!("limit client_login_bytes_max ({limit}) exceeded");
                let error = catalog::BAD_HANDSHAKE.with(&[&error]);
                return refuse(framed, sequence.wrapping_add(1), &error).await;
            }
            Err(_) => return None,
        };
        let next = packet.sequence.wrapping_add(1);
        if packet.sequence != *sequence {
            return refuse(framed, next, &catalog::OUT_OF_ORDER.error()).await;
        }
        *sequence = next;
        let payload = framed.payload(packet).to_vec();
        framed.consume_packet(packet);
        Some(payload)
    }
}

/// Facts of a login that end up in the session.
struct Entry {
    connection_id: u32,
    nonce: Nonce,
    sequence: u8,
}

/// What Geogate can do for a client. TLS is added where there is a certificate.
fn offered(policy: &Policy) -> Capabilities {
    let tls = if policy.tls.is_some() { Capabilities::SSL } else { Capabilities::EMPTY };
    let compression = policy.compression.iter().map(|algorithm| match algorithm {
        Compression::Zlib => Capabilities::COMPRESS,
        Compression::Zstd => Capabilities::ZSTD_COMPRESSION,
    });
    [
        tls,
        Capabilities::LONG_PASSWORD,
        Capabilities::FOUND_ROWS,
        Capabilities::LONG_FLAG,
        Capabilities::CONNECT_WITH_DB,
        Capabilities::LOCAL_FILES,
        Capabilities::ODBC,
        Capabilities::IGNORE_SPACE,
        Capabilities::PROTOCOL_41,
        Capabilities::INTERACTIVE,
        Capabilities::TRANSACTIONS,
        Capabilities::SECURE_CONNECTION,
        Capabilities::MULTI_STATEMENTS,
        Capabilities::MULTI_RESULTS,
        Capabilities::PS_MULTI_RESULTS,
        Capabilities::PLUGIN_AUTH,
        Capabilities::CONNECT_ATTRS,
        Capabilities::PLUGIN_AUTH_LENENC,
        Capabilities::SESSION_TRACK,
        Capabilities::DEPRECATE_EOF,
    ]
    .into_iter()
    .chain(compression)
    .fold(Capabilities::EMPTY, Capabilities::union)
}

/// How the packets after the login are compressed. With both on offer servers take zlib.
fn algorithm(agreed: Capabilities, zstd_level: u8) -> Option<Algorithm> {
    if agreed.contains(Capabilities::COMPRESS) {
        Some(Algorithm::Zlib)
    } else if agreed.contains(Capabilities::ZSTD_COMPRESSION) {
        Some(Algorithm::Zstd { level: zstd_level })
    } else {
        None
    }
}

/// The first attributes of a client, as many as fit into `bytes_max`.
fn kept_attributes(attributes: Attributes<'_>, bytes_max: usize) -> Box<[(Box<str>, Box<str>)]> {
    let mut bytes = 0;
    attributes
        .iter()
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= bytes_max
        })
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// Adds what the servers can do. MariaDB's flags are seen only without MySQL's first one.
fn with_servers(offered: Capabilities, by_servers: Capabilities) -> Capabilities {
    if by_servers.extended() == 0 {
        return offered.union(by_servers);
    }
    offered.difference(Capabilities::LONG_PASSWORD).union(by_servers)
}

/// Tells a client why it is not served.
pub(super) async fn refuse<T>(
    framed: &mut Framed,
    mut sequence: u8,
    error: &SqlError,
) -> Option<T> {
    build_packet(&mut framed.out, &mut sequence, |out| {
        ErrPacket::from(error).encode(out, Capabilities::PROTOCOL_41);
    });
    let _ = framed.flush().await;
    None
}
