//! Connection packets: recorded, round trips, cuts and nonsense.

use proptest::prelude::*;

use super::*;
use crate::wire::auth::{NATIVE, Nonce};
use crate::wire::capability::Capabilities;
use crate::wire::recorded;
use crate::wire::status::StatusFlags;

const CAPABILITIES: Capabilities = Capabilities::PROTOCOL_41
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::MARIADB_EXTENDED_METADATA);

/// MySQL 8.0.36 as its manual and captures show it: no prefix, LONG_PASSWORD set, 6 + 4 zero bytes.
const MYSQL_GREETING: &[u8] = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\
    \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";

#[test]
fn mariadbs_greeting_comes_back() {
    let payload = &recorded::GREETING[4..];
    let greeting = Greeting::parse(payload).unwrap();
    assert_eq!(greeting.version(), b"10.11.19-MariaDB-0+deb12u1-log");
    assert!(greeting.is_mariadb());
    assert_eq!(greeting.connection_id, 6);
    assert_eq!(greeting.nonce.bytes(), b",($|flhGgP>#4|4.(}`H");
    assert_eq!(greeting.auth_plugin, NATIVE);
    assert_eq!(greeting.status, StatusFlags::AUTOCOMMIT);
    assert!(greeting.capabilities.contains(Capabilities::MARIADB_CACHE_METADATA));
    assert!(greeting.capabilities.contains(Capabilities::SESSION_TRACK));
    let mut out = Vec::new();
    greeting.encode(&mut out);
    assert_eq!(out, payload);
}

#[test]
fn mysqls_greeting_comes_back() {
    let greeting = Greeting::parse(MYSQL_GREETING).unwrap();
    assert!(!greeting.is_mariadb());
    assert_eq!(greeting.version(), b"8.0.36");
    assert_eq!(greeting.nonce.bytes(), b"abcdefghijklmnopqrst");
    assert_eq!(greeting.auth_plugin, b"caching_sha2_password");
    assert_eq!(greeting.capabilities.extended(), 0);
    let mut out = Vec::new();
    greeting.encode(&mut out);
    assert_eq!(out, MYSQL_GREETING);
}

#[test]
fn the_change_users_answer_is_a_switch() {
    let Ok(ServerAuth::Switch(switch)) = ServerAuth::parse(&recorded::CHANGE_USER[4..]) else {
        panic!("not a switch")
    };
    assert_eq!(switch.plugin, NATIVE);
    let mut out = Vec::new();
    AuthSwitchRequest::encode(&mut out, NATIVE, &switch.nonce().unwrap());
    assert_eq!(out, &recorded::CHANGE_USER[4..]);
    assert!(matches!(ServerAuth::parse(&recorded::OK[4..]), Ok(ServerAuth::Ok(_))));
    assert!(matches!(ServerAuth::parse(&recorded::ERR[4..]), Ok(ServerAuth::Err(_))));
    let more = ServerAuth::parse(&[AUTH_MORE_DATA, 3]);
    assert_eq!(more, Ok(ServerAuth::MoreData(AuthMoreData(&[3]))));
}

fn response(pairs: &[u8], capabilities: Capabilities) -> HandshakeResponse<'_> {
    HandshakeResponse {
        capabilities,
        max_packet: 1 << 24,
        collation: 45,
        user: b"demo",
        auth_data: &[7; 32],
        database: b"shop",
        auth_plugin: b"caching_sha2_password",
        attributes: Attributes::from_pairs(pairs).unwrap(),
        zstd_level: 0,
    }
}

#[test]
fn responses_and_tls_requests_come_back() {
    let mut pairs = Vec::new();
    Attributes::encode_pairs(&mut pairs, [(&b"program_name"[..], &b"geogate"[..])]);
    let hello = response(&pairs, CAPABILITIES);
    let mut out = Vec::new();
    hello.encode(&mut out);
    assert_eq!(HandshakeResponse::parse(&out), Ok(hello.clone()));
    assert_eq!(hello.attributes.find(b"program_name"), Some(&b"geogate"[..]));
    assert_eq!(ClientHello::parse(&out), Ok(ClientHello::Response(hello.clone())));
    let capabilities = CAPABILITIES.union(Capabilities::ZSTD_COMPRESSION);
    let zstd = HandshakeResponse { capabilities, zstd_level: 7, ..hello.clone() };
    let mut compressed = Vec::new();
    zstd.encode(&mut compressed);
    assert_eq!(HandshakeResponse::parse(&compressed), Ok(zstd));
    compressed.pop();
    assert_eq!(HandshakeResponse::parse(&compressed).unwrap().zstd_level, 3);
    let mut request = Vec::new();
    hello.ssl_request().encode(&mut request);
    assert_eq!(request.len(), 32);
    let expected = ClientHello::SslRequest(hello.ssl_request());
    assert_eq!(ClientHello::parse(&request), Ok(expected));
}

#[test]
fn attributes_are_bounded_and_whole() {
    assert!(Attributes::from_pairs(&vec![0; ATTRIBUTES_LEN_MAX + 1]).is_err());
    assert!(Attributes::from_pairs(b"\x01a").is_err());
    assert_eq!(Attributes::from_pairs(b"\x01a\x01b").unwrap().iter().count(), 1);
}

#[test]
fn old_clients_are_refused() {
    assert!(ClientHello::parse(b"\x85\xa6\x03\0\0\x01root\0").is_err());
}

#[test]
fn change_user_comes_back() {
    let change = ChangeUser {
        user: b"demo",
        auth_data: &[1; 20],
        database: b"shop",
        collation: Some(309),
        auth_plugin: NATIVE,
        attributes: Attributes::default(),
    };
    let mut out = Vec::new();
    change.encode(&mut out, CAPABILITIES);
    assert_eq!(ChangeUser::parse(&out, CAPABILITIES), Ok(change));
}

proptest! {
    #[test]
    fn cut_packets_are_refused_or_shorter(end in 0_usize..150) {
        let hello = response(b"\x01a\x01b", CAPABILITIES);
        let mut out = Vec::new();
        hello.encode(&mut out);
        let end = end % out.len();
        if let Ok(cut) = HandshakeResponse::parse(&out[..end]) {
            prop_assert_eq!(cut.user, hello.user);
            prop_assert_ne!(cut, hello);
        }
        let payload = &recorded::GREETING[4..];
        let end = end % payload.len();
        if let Ok(cut) = Greeting::parse(&payload[..end]) {
            prop_assert!(cut.auth_plugin.len() <= NATIVE.len());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, bits: u64) {
        let capabilities = Capabilities::from_bits_retain(bits);
        let _ = Greeting::parse(&bytes);
        let _ = ClientHello::parse(&bytes);
        let _ = HandshakeResponse::parse(&bytes);
        let _ = ChangeUser::parse(&bytes, capabilities);
        let _ = Attributes::from_pairs(&bytes);
        if let Ok(ServerAuth::Switch(switch)) = ServerAuth::parse(&bytes) {
            let _ = switch.nonce();
        }
    }

    /// Random flags behind a valid front reach the fields that random bytes seldom do.
    #[test]
    fn random_fields_never_panic(bits: u64, rest: Vec<u8>) {
        let capabilities = Capabilities::from_bits_retain(bits) | Capabilities::PROTOCOL_41;
        let mut packet = Vec::new();
        SslRequest { capabilities, max_packet: 0, collation: 45 }.encode(&mut packet);
        packet.extend_from_slice(&rest);
        let _ = ClientHello::parse(&packet);
        let mut change = vec![0x11];
        change.extend_from_slice(&rest);
        let _ = ChangeUser::parse(&change, capabilities);
        let mut greeting = b"\x0a8.0\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf".to_vec();
        greeting.extend_from_slice(&rest);
        let _ = Greeting::parse(&greeting);
    }

    #[test]
    fn nonces_survive_a_greeting(nonce in prop::array::uniform20(1_u8..128), id: u32) {
        let greeting = Greeting {
            server_version: b"8.4.0-geogate",
            connection_id: id,
            nonce: Nonce::from_bytes(nonce),
            capabilities: CAPABILITIES,
            collation: 45,
            status: StatusFlags::AUTOCOMMIT,
            auth_plugin: NATIVE,
        };
        let mut out = Vec::new();
        greeting.encode(&mut out);
        prop_assert_eq!(Greeting::parse(&out), Ok(greeting));
    }
}
