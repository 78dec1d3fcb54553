//! A load of short connections: connect, log in, perhaps one statement, quit.
//!
//! Bare blocking sockets and one thread a client, so that the client costs little beside what it
//! measures. `tests/bench/run.sh --connects` runs it beside HAProxy and a bare server; it prints
//! one line and checks no more than that every login ended as it was meant to.

#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::print_stdout, reason = "its result goes there")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use geogate::wire::auth::{CACHING_SHA2, NATIVE, Nonce, caching_sha2, native};
use geogate::wire::capability::Capabilities;
use geogate::wire::handshake::{Attributes, Greeting, HandshakeResponse, ServerAuth};
use geogate::wire::packet::build_packet;

/// What every client does.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Where to connect
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value = "bench")]
    user: String,
    #[arg(long, default_value = "bench")]
    password: String,
    /// Clients at once
    #[arg(long, default_value_t = 64)]
    threads: usize,
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// What is done on a connection
    #[arg(long, value_enum, default_value_t = Visit::Login)]
    visit: Visit,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is done on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Visit {
    /// Log in and quit.
    Login,
    /// Log in, SELECT 1, quit.
    Query,
    /// Log in with a wrong password, which must be refused.
    Wrong,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    let end = start + Duration::from_secs(arguments.seconds);
    thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    match visit(&arguments) {
                        Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            eprintln!("{error}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    let (done, failed) = (done.into_inner(), failed.into_inner());
    let seconds = start.elapsed().as_secs_f64();
    println!("connects {done} failed {failed} rate {:.0}", done as f64 / seconds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One connection from its beginning to its end.
fn visit(arguments: &Arguments) -> io::Result<()> {
    let stream = TcpStream::connect(arguments.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut connection = Connection { stream, input: Vec::with_capacity(512), sequence: 0 };
    let wrong = arguments.visit == Visit::Wrong;
    let password = if wrong { "wrong" } else { &arguments.password };
    if connection.log_in(&arguments.user, password)? == wrong {
        return Err(io::Error::other("the login ended as it was not meant to"));
    }
    match arguments.visit {
        Visit::Wrong => return Ok(()),
        Visit::Query => connection.select_one()?,
        Visit::Login => {}
    }
    connection.stream.write_all(&[1, 0, 0, 0, 1])
}

/// A connection with the bytes that were read ahead.
struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    sequence: u8,
}

impl Connection {
    /// Whether the server let us in.
    fn log_in(&mut self, user: &str, password: &str) -> io::Result<bool> {
        let payload = self.packet()?;
        let greeting = Greeting::parse(&payload).map_err(io::Error::other)?;
        let mut nonce = greeting.nonce;
        let plugin = if greeting.auth_plugin == CACHING_SHA2 { CACHING_SHA2 } else { NATIVE };
        let response = HandshakeResponse {
            capabilities: Capabilities::PROTOCOL_41
                .union(Capabilities::SECURE_CONNECTION)
                .union(Capabilities::PLUGIN_AUTH)
                .union(Capabilities::DEPRECATE_EOF),
            max_packet: 1 << 24,
            collation: 45,
            user: user.as_bytes(),
            auth_data: &scramble(plugin, password, &nonce),
            database: b"",
            auth_plugin: plugin,
            attributes: Attributes::default(),
            zstd_level: 0,
        };
        self.send(|out| response.encode(out))?;
        loop {
            let payload = self.packet()?;
            match ServerAuth::parse(&payload).map_err(io::Error::other)? {
                ServerAuth::Ok(_) => return Ok(true),
                ServerAuth::Err(_) => return Ok(false),
                ServerAuth::Switch(request) => {
                    nonce = request.nonce().map_err(io::Error::other)?;
                    let answer = scramble(request.plugin, password, &nonce);
                    self.send(|out| out.extend_from_slice(&answer))?;
                }
                ServerAuth::MoreData(_) => {}
            }
        }
    }

    /// Column count, definition, row and end.
    fn select_one(&mut self) -> io::Result<()> {
        self.sequence = 0;
        self.send(|out| out.extend_from_slice(b"\x03SELECT 1"))?;
        for _ in 0..4 {
            if self.packet()?.first() == Some(&0xff) {
                return Err(io::Error::other("SELECT 1 failed"));
            }
        }
        Ok(())
    }

    fn send(&mut self, build: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = Vec::with_capacity(128);
        build_packet(&mut out, &mut self.sequence, build);
        self.stream.write_all(&out)
    }

    fn packet(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let [low, middle, high, sequence, rest @ ..] = &self.input[..] {
                let len = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
                if rest.len() >= len {
                    let payload = rest[..len].to_vec();
                    self.sequence = sequence.wrapping_add(1);
                    self.input.drain(..4 + len);
                    return Ok(payload);
                }
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

fn scramble(plugin: &[u8], password: &str, nonce: &Nonce) -> Vec<u8> {
    if plugin == CACHING_SHA2 {
        caching_sha2::scramble(password.as_bytes(), nonce)
    } else {
        native::scramble(password.as_bytes(), nonce)
    }
}
