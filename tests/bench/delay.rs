//! Distance on one machine: holds bytes back between ports and servers, for demonstrations and
//! measurements where no network emulation is to be had. An example, so that it is not shipped.
//!
//! Every chunk leaves half a round trip after it came, in order; nothing else is changed.
//!
//! `printf '127.0.0.1:3400 127.0.0.1:3306 80\n' >links; cargo run --example delay -- --links links`

#![expect(clippy::disallowed_methods, reason = "it holds back in real time")]

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Hold bytes back between ports and servers, as distance would.
#[derive(Debug, Parser)]
struct Arguments {
    /// A file with a line for each link: LISTEN SERVER ROUND_TRIP_MS
    #[arg(long, value_name = "FILE")]
    links: PathBuf,
}

/// Chunks under way in one direction of a connection; a full line makes the sender wait.
const UNDER_WAY_MAX: usize = 256;
/// Bytes of a chunk.
const CHUNK: usize = 16 << 10;

/// A port that leads to a server at a distance.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    listen: SocketAddr,
    server: SocketAddr,
    one_way: Duration,
}

/// Relays until it is ended.
fn main() -> ExitCode {
    match relay_links(&Arguments::parse().links) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn relay_links(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let links = text.lines().map(Link::parse).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| runtime.block_on(relay_all(links)));
    ended.map_err(|error| error.to_string())
}

impl Link {
    fn parse(line: &str) -> Result<Self, String> {
        let wrong = || format!("'{line}': write LISTEN SERVER ROUND_TRIP_MS");
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or_else(wrong);
        let listen = next()?.parse().map_err(|_| wrong())?;
        let server = next()?.parse().map_err(|_| wrong())?;
        let round_trip: u64 = next()?.parse().map_err(|_| wrong())?;
        Ok(Self { listen, server, one_way: Duration::from_micros(round_trip * 500) })
    }
}

async fn relay_all(links: Vec<Link>) -> io::Result<()> {
    let mut relays = JoinSet::new();
    for link in links {
        let listener = TcpListener::bind(link.listen).await?;
        relays.spawn(relay(listener, link));
    }
    while let Some(ended) = relays.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn relay(listener: TcpListener, link: Link) -> io::Result<()> {
    let mut pairs = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await?;
        while pairs.try_join_next().is_some() {}
        let (server, one_way) = (link.server, link.one_way);
        pairs.spawn(async move {
            if let Ok(far) = TcpStream::connect(server).await {
                let _ = near.set_nodelay(true);
                let _ = far.set_nodelay(true);
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::join!(
                    hold_back(near_read, far_write, one_way),
                    hold_back(far_read, near_write, one_way)
                );
            }
        });
    }
}

/// Moves bytes from one stream to the other, each `one_way` after it came.
async fn hold_back(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    one_way: Duration,
) {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY_MAX);
    let coming = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            let due = Instant::now() + one_way;
            if sender.send((due, chunk[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let going = async move {
        while let Some((due, chunk)) = under_way.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(coming, going);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        let link = Link::parse("127.0.0.1:1 127.0.0.1:2 80").unwrap();
        assert_eq!(link.one_way, Duration::from_millis(40));
        assert!(Link::parse("127.0.0.1:1 127.0.0.1:2").is_err());
    }

    #[tokio::test]
    async fn a_question_and_its_answer_take_a_round_trip() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut question = [0; 4];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(b"pong").await
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let one_way = Duration::from_millis(30);
        tasks.spawn(relay(listener, Link { listen: near, server: address, one_way }));
        let mut client = TcpStream::connect(near).await.unwrap();
        let start = Instant::now();
        client.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"pong");
        assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    }
}
