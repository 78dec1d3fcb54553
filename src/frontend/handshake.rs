//! From an accepted stream to a session: greeting, TLS, login.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::TlsMode;
use crate::error::{SqlError, catalog};
use crate::executor::relay::Client;
use crate::net::{Framed, Stream};
use crate::session::accounts::{AuthError, Claim};
use crate::session::{Login, Services, Session, names_of_collation};
use crate::wire::auth::{CACHING_SHA2, NATIVE, Nonce};
use crate::wire::capability::Capabilities;
use crate::wire::charset::UTF8MB4_COLLATION;
use crate::wire::err::ErrPacket;
use crate::wire::handshake::{ClientHello, Greeting, HandshakeResponse};
use crate::wire::packet::build_packet;
use crate::wire::status::StatusFlags;

/// A packet of the connection phase is never longer.
const PACKET_MAX: usize = 256 << 10;

/// What a login needs to know beside the services.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) tls_mode: TlsMode,
}

/// Greets a client and logs it in. `None`: it was refused and told so, or it went away.
pub(super) async fn handshake(
    services: &Arc<Services>,
    policy: &Policy,
    stream: Stream,
    host: &str,
    worker: usize,
) -> Option<Session> {
    let connection_id = services.registry.next_id();
    let nonce = Nonce::generate().ok()?;
    let offered = offered(policy);
    let mut framed = Framed::new(stream);
    let mut sequence = 0;
    let greeting = Greeting {
        server_version: services.server_version.as_bytes(),
        connection_id,
        nonce,
        capabilities: offered,
        collation: UTF8MB4_COLLATION,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: if services.accounts.prefers_native() { NATIVE } else { CACHING_SHA2 },
    };
    build_packet(&mut framed.out, &mut sequence, |out| greeting.encode(out));
    framed.flush().await.ok()?;

    let (mut framed, payload) = receive_response(framed, policy, &mut sequence).await?;
    let response = match admit(services, policy, &framed, &payload) {
        Ok(response) => response,
        Err(error) => {
            refuse(&mut framed, sequence, &error).await;
            return None;
        }
    };
    let claim =
        Claim { user: response.user, plugin: response.auth_plugin, answer: response.auth_data };
    let account = match services
        .accounts
        .authenticate(&mut framed, &mut sequence, Some(nonce), claim)
        .await
    {
        Ok(account) => account,
        Err(AuthError::Refused(error)) => {
            tracing::info!(%host, %error, "login refused");
            services.metrics.record_auth_failure();
            refuse(&mut framed, sequence, &error).await;
            return None;
        }
        Err(AuthError::Lost) => return None,
    };
    let database = match (response.database, &account.keyspace) {
        (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
        (named, _) => named.to_vec(),
    };
    let agreed = Capabilities::from_bits(response.capabilities.bits() & offered.bits());
    let registered = services.registry.register(connection_id, &account.name, host);
    let login = Login {
        user: Arc::clone(&account.name),
        host: host.into(),
        database,
        names: names_of_collation(u16::from(response.collation)),
        nonce,
        sequence,
    };
    let client = Client { framed, capabilities: agreed, gone: false };
    Some(Session::new(Arc::clone(services), worker, client, registered, login))
}

/// The client's answer to the greeting, before which it may ask for TLS.
async fn receive_response(
    mut framed: Framed,
    policy: &Policy,
    sequence: &mut u8,
) -> Option<(Framed, Vec<u8>)> {
    let mut payload = receive(&mut framed, sequence).await?;
    if let (Ok(ClientHello::SslRequest(_)), Some(tls)) = (ClientHello::parse(&payload), &policy.tls)
    {
        let tls = Arc::clone(tls);
        let upgraded = framed
            .replace_stream(|stream, ahead| async move { stream.accept_tls(tls, &ahead).await });
        framed = upgraded.await.ok()?;
        payload = receive(&mut framed, sequence).await?;
    }
    Some((framed, payload))
}

/// The next packet of the connection phase, which must be in sequence.
async fn receive(framed: &mut Framed, sequence: &mut u8) -> Option<Vec<u8>> {
    let packet = framed.read_packet(PACKET_MAX).await.ok()?;
    let next = packet.sequence.wrapping_add(1);
    if packet.sequence != *sequence {
        refuse(framed, next, &catalog::OUT_OF_ORDER.error()).await;
        return None;
    }
    *sequence = next;
    let payload = framed.payload(packet).to_vec();
    framed.consume_packet(packet);
    Some(payload)
}

/// Reads a login that may be tried at all.
fn admit<'a>(
    services: &Services,
    policy: &Policy,
    framed: &Framed,
    payload: &'a [u8],
) -> Result<HandshakeResponse<'a>, SqlError> {
    let response = HandshakeResponse::parse(payload)
        .map_err(|malformed| catalog::MALFORMED_PACKET.with(&[&malformed]))?;
    if policy.tls_mode == TlsMode::Required && !framed.stream().is_private() {
        return Err(catalog::INSECURE_AUTH.error());
    }
    let limit = services.limits.client_connections_max;
    if services.registry.count() >= limit {
        return Err(catalog::TOO_MANY_CONNECTIONS.with(&[&limit]));
    }
    Ok(response)
}

/// What Geogate can do for a client. TLS is added where there is a certificate.
fn offered(policy: &Policy) -> Capabilities {
    let tls = if policy.tls.is_some() { Capabilities::SSL } else { Capabilities::EMPTY };
    [
        tls,
        Capabilities::LONG_PASSWORD,
        Capabilities::FOUND_ROWS,
        Capabilities::LONG_FLAG,
        Capabilities::CONNECT_WITH_DB,
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
    .fold(Capabilities::EMPTY, Capabilities::union)
}

async fn refuse(framed: &mut Framed, mut sequence: u8, error: &SqlError) {
    build_packet(&mut framed.out, &mut sequence, |out| {
        ErrPacket::from(error).encode(out, Capabilities::PROTOCOL_41);
    });
    let _ = framed.flush().await;
}
