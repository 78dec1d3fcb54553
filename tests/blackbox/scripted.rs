//! A scripted server that logs in with caching_sha2_password, which the MariaDB of the tests
//! cannot: fast, or in full with its RSA key, or after a switch. Then it answers OK to everything.
//!
//! It shares no code with the proxy's wire layer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};

use crate::packet::{Reader, native_scramble, sha2_scramble};

/// How the scripted server wants to be logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// It knows the digest of the password.
    Fast,
    /// It wants the password, encrypted with its key.
    Rsa,
    /// It greets with native and switches to caching_sha2_password, then as `Rsa`.
    SwitchToSha2,
    /// It greets with caching_sha2_password and switches to native.
    SwitchToNative,
    /// It refuses whatever comes.
    Refuse,
}

/// A listening scripted server; its threads end with the test process.
pub(crate) struct ScriptedServer {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    /// A word for every login: how it went.
    pub(crate) logins: Arc<Mutex<Vec<String>>>,
}

const PASSWORD: &str = "geogate";
const SCRAMBLE: &[u8; 20] = b"0123456789abcdefghij";
const SWITCH_SCRAMBLE: &[u8; 20] = b"jihgfedcba9876543210";

impl ScriptedServer {
    /// Starts one.
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let logins = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&logins);
        let key = Arc::new(PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, key) = (Arc::clone(&noted), Arc::clone(&key));
                thread::spawn(move || {
                    let mut peer = Peer { stream, sequence: 0 };
                    let login = log_in(&mut peer, script, &key);
                    let word = login.as_ref().map_or_else(ToString::to_string, |how| (*how).into());
                    noted.lock().expect("no panic while it is held").push(word);
                    if login.is_ok() {
                        let _ = serve(&mut peer);
                    }
                });
            }
        });
        Self { port, logins }
    }
}

struct Peer {
    stream: TcpStream,
    sequence: u8,
}

impl Peer {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        self.sequence = header[3].wrapping_add(1);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut out = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        out.push(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        out.extend_from_slice(payload);
        self.stream.write_all(&out)
    }

    fn ok(&mut self) -> io::Result<()> {
        self.write(&[0, 0, 0, 2, 0, 0, 0])
    }
}

fn log_in(peer: &mut Peer, script: Script, key: &PrivateDecryptingKey) -> io::Result<&'static str> {
    peer.write(&greeting(script))?;
    let response = peer.read()?;
    let mut reader = Reader::new(&response);
    reader.take(32)?;
    reader.until_zero()?;
    let mut answer = reader.lenenc_bytes()?.to_vec();
    let mut scramble = SCRAMBLE;
    let switch = match script {
        Script::SwitchToSha2 => Some("caching_sha2_password"),
        Script::SwitchToNative => Some("mysql_native_password"),
        _ => None,
    };
    if let Some(plugin) = switch {
        scramble = SWITCH_SCRAMBLE;
        let parts: [&[u8]; 5] = [b"\xfe", plugin.as_bytes(), b"\0", scramble, b"\0"];
        peer.write(&parts.concat())?;
        answer = peer.read()?;
    }
    let wrong = || io::Error::other("wrong password");
    match script {
        Script::Refuse => {
            peer.write(b"\xff\x15\x04#28000Access denied for user 'geogate'")?;
            return Err(io::Error::other("refused"));
        }
        Script::SwitchToNative => {
            if answer != native_scramble(PASSWORD, scramble) {
                return Err(wrong());
            }
            peer.ok()?;
            return Ok("native");
        }
        _ if answer != sha2_scramble(PASSWORD, scramble) => return Err(wrong()),
        Script::Fast => {
            peer.write(&[1, 3])?;
            peer.ok()?;
            return Ok("fast");
        }
        Script::Rsa | Script::SwitchToSha2 => {}
    }
    peer.write(&[1, 4])?;
    if peer.read()? != [2] {
        return Err(io::Error::other("the key was not asked for"));
    }
    peer.write(&[&[1][..], public_pem(key).as_bytes()].concat())?;
    let encrypted = peer.read()?;
    let key = OaepPrivateDecryptingKey::new(key.clone()).map_err(io::Error::other)?;
    let mut clear = vec![0; key.min_output_size()];
    let clear =
        key.decrypt(&OAEP_SHA1_MGF1SHA1, &encrypted, &mut clear, None).map_err(io::Error::other)?;
    for (byte, mask) in clear.iter_mut().zip(scramble.iter().cycle()) {
        *byte ^= mask;
    }
    if clear != b"geogate\0" {
        return Err(wrong());
    }
    peer.ok()?;
    Ok("rsa")
}

fn greeting(script: Script) -> Vec<u8> {
    let native = script == Script::SwitchToSha2;
    let plugin = if native { "mysql_native_password" } else { "caching_sha2_password" };
    // LONG_PASSWORD FOUND_ROWS LONG_FLAG CONNECT_WITH_DB IGNORE_SPACE PROTOCOL_41 TRANSACTIONS
    // SECURE_CONNECTION MULTI_RESULTS PS_MULTI_RESULTS PLUGIN_AUTH LENENC SESSION_TRACK
    // DEPRECATE_EOF
    let capabilities: u32 = [0, 1, 2, 3, 8, 9, 13, 15, 17, 18, 19, 21, 23, 24]
        .iter()
        .fold(0, |bits, bit| bits | 1 << bit);
    let mut greeting = b"\x0a8.4.6-scripted\0".to_vec();
    greeting.extend_from_slice(&7_u32.to_le_bytes());
    greeting.extend_from_slice(&SCRAMBLE[..8]);
    greeting.push(0);
    greeting.extend_from_slice(&capabilities.to_le_bytes()[..2]);
    greeting.extend_from_slice(&[45, 2, 0]);
    greeting.extend_from_slice(&capabilities.to_le_bytes()[2..]);
    greeting.push(21);
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(&SCRAMBLE[8..]);
    greeting.push(0);
    greeting.extend_from_slice(plugin.as_bytes());
    greeting.push(0);
    greeting
}

/// OK to every command.
fn serve(peer: &mut Peer) -> io::Result<()> {
    loop {
        if peer.read()?.first() == Some(&1) {
            return Ok(());
        }
        peer.ok()?;
    }
}

fn public_pem(key: &PrivateDecryptingKey) -> String {
    let key: PublicEncryptingKey = key.public_key();
    let der: PublicKeyX509Der<'_> = key.as_der().expect("a key has a form");
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (at, bytes) in der.as_ref().chunks(3).enumerate() {
        let number = bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - bytes.len()));
        for place in 0..4 {
            let digit = digits[(number >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= bytes.len() { digit } else { '=' });
        }
        if at % 16 == 15 {
            text.push('\n');
        }
    }
    text.push_str("\n-----END PUBLIC KEY-----\n");
    text
}
