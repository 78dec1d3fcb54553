//! Frames made by hand and by random cuts, whole, broken and lying.

#![expect(clippy::disallowed_methods, reason = "the other end, which each test awaits")]

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Zlib, Algorithm::Zstd { level: 3 }];

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A compressed stream that writes frames at once, and the bare other end.
async fn stream(algorithm: Algorithm) -> (Compressed, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let codecs = Arc::new(Codecs::default());
    let mut stream =
        Compressed::new(Stream::Unix(ours), algorithm, codecs, Side::Server, Vec::new());
    stream.flush().await.unwrap();
    (stream, theirs)
}

fn frame(sequence: u8, body: &[u8], plain: usize) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_le_bytes()[..3].to_vec();
    frame.push(sequence);
    frame.extend_from_slice(&(plain as u32).to_le_bytes()[..3]);
    frame.extend_from_slice(body);
    frame
}

fn packed(algorithm: Algorithm, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Codecs::default().compress(algorithm, plain, &mut out).unwrap();
    out
}

/// What comes out of these bytes until the peer closes.
fn read_all(algorithm: Algorithm, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    run(async {
        let (mut stream, mut peer) = stream(algorithm).await;
        let writer = tokio::spawn(async move {
            let _ = peer.write_all(&bytes).await;
        });
        let mut out = Vec::new();
        let read = stream.read_to_end(&mut out).await;
        writer.await.unwrap();
        read.map(|_| out)
    })
}

#[test]
fn frames_and_packets_are_cut_independently() {
    let text: Vec<u8> = (0..1000).map(|i| (i / 7) as u8).collect();
    for algorithm in ALGORITHMS {
        let bytes = [
            frame(0, &text[..30], 0),
            frame(1, b"", 0),
            frame(2, &packed(algorithm, &text[30..600]), 570),
            // A command begins anew.
            frame(0, &packed(algorithm, &text[600..]), 400),
        ];
        assert_eq!(read_all(algorithm, bytes.concat()).unwrap(), text);
    }
}

#[test]
fn liars_are_found() {
    for algorithm in ALGORITHMS {
        let body = packed(algorithm, &[7; 500]);
        let mut damaged = body.clone();
        damaged[3] ^= 0x55;
        for (why, bytes) in [
            ("too long", frame(0, &body, 499)),
            ("too short", frame(0, &body, 501)),
            ("cut", frame(0, &body[..body.len() - 1], 500)),
            ("rest", frame(0, &[&body[..], b"x"].concat(), 500)),
            ("damaged", frame(0, &damaged, 500)),
            ("order", frame(3, &body, 500)),
            ("header", vec![1, 0, 0, 0, 0]),
            ("body", frame(0, b"12345", 0)[..9].to_vec()),
        ] {
            assert!(read_all(algorithm, bytes).is_err(), "{algorithm:?} {why}");
        }
    }
}

/// A small frame that says 16 MiB: read by 16 KiB, no more is ever held.
#[test]
fn a_bomb_takes_no_memory() {
    let plain = vec![0; 0xff_ffff];
    for algorithm in ALGORITHMS {
        let bytes = frame(0, &packed(algorithm, &plain), plain.len());
        assert!(bytes.len() < 100_000);
        run(async {
            let (mut stream, mut peer) = stream(algorithm).await;
            peer.write_all(&bytes).await.unwrap();
            drop(peer);
            let (mut chunk, mut total) = (vec![1; BUFFER], 0);
            while let count @ 1.. = stream.read(&mut chunk).await.unwrap() {
                assert!(chunk[..count].iter().all(|byte| *byte == 0));
                assert!(stream.raw.capacity() <= 4 * BUFFER);
                total += count;
            }
            assert_eq!(total, plain.len());
        });
    }
}

/// A packet whose payload is `len` bytes of `fill`.
fn packet(len: usize, fill: u8) -> Vec<u8> {
    let mut packet = (len as u32).to_le_bytes().to_vec();
    packet[3] = fill;
    packet.resize(4 + len, fill);
    packet
}

#[test]
fn short_and_random_bytes_go_as_they_are() {
    run(async {
        let (mut stream, mut peer) = stream(Algorithm::Zlib).await;
        let random: Vec<u8> = (0..60u8).map(|i| i.wrapping_mul(i) ^ (i << 3)).collect();
        let random = [&[60, 0, 0, 1], &random[..]].concat();
        let (short, long) = (packet(45, 9), packet(46, 9));
        for bytes in [&short, &random, &long] {
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut bytes = vec![0; 4096];
        let count = peer.read(&mut bytes).await.unwrap();
        let expected = [frame(0, &short, 0), frame(1, &random, 0)].concat();
        assert_eq!(bytes[..expected.len()], expected);
        let last = &bytes[expected.len()..count];
        assert_eq!((last[3], &last[4..7]), (2, &[50, 0, 0][..]));
        assert!(last.len() < 50);
    });
}

/// Commands that are written at once go in frames of their own, all of them with one flush, also
/// behind one that was left.
#[test]
fn commands_go_in_frames_of_their_own() {
    run(async {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let (codecs, inner) = (Arc::new(Codecs::default()), Stream::Unix(ours));
        let mut stream = Compressed::new(inner, Algorithm::Zlib, codecs, Side::Client, Vec::new());
        let command = |fill: u8| [&[3, 0, 0, 0][..], &[fill; 3]].concat();
        let commands = [1, 2, 3, 4].map(command);
        for several in [&commands[..], &commands[..1], &commands[..2]] {
            stream.write_all(&several.concat()).await.unwrap();
            stream.flush().await.unwrap();
            let expected: Vec<u8> =
                several.iter().flat_map(|command| frame(0, command, 0)).collect();
            let mut got = vec![0; expected.len()];
            peer.read_exact(&mut got).await.unwrap();
            assert_eq!(got, expected);
        }
        // The answer to a command of several packets counts on from them.
        let long = [packet(0xff_ffff, 0), vec![0, 0, 0, 1]].concat();
        let sent = tokio::spawn(async move {
            stream.write_all(&long).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = [0; 11];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        });
        let mut sequences = Vec::new();
        let mut plain_left = 4 + 0xff_ffff + 4;
        while plain_left > 0 {
            let mut header = [0; 7];
            peer.read_exact(&mut header).await.unwrap();
            let number = |at: usize| {
                u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) as usize
            };
            let mut body = vec![0; number(0)];
            peer.read_exact(&mut body).await.unwrap();
            plain_left -= if number(4) == 0 { number(0) } else { number(4) };
            sequences.push(header[3]);
        }
        assert!(sequences.iter().enumerate().all(|(at, id)| at == usize::from(*id)));
        let answer = [&[3, 0, 0, 77][..], &[9; 3], &[0, 0, 0, 78]].concat();
        peer.write_all(&frame(sequences.len() as u8, &answer, 0)).await.unwrap();
        assert_eq!(sent.await.unwrap(), [3, 0, 0, 2, 9, 9, 9, 0, 0, 0, 3]);
    });
}

/// However packets are written, frames hold whole ones; only a packet that is longer than a frame
/// is cut, once.
#[test]
fn frames_hold_whole_packets() {
    let packets = [packet(1, 1), packet(0, 2), packet(300_000, 3), packet(0xff_ffff, 4)];
    let bytes = [&packets.concat()[..], &packet(5, 5)].concat();
    for piece in [1_000, 16_384, bytes.len()] {
        let bytes = bytes.clone();
        let frames = run(async move {
            let (mut stream, mut peer) = stream(Algorithm::Zstd { level: 1 }).await;
            let writer = tokio::spawn(async move {
                for piece in bytes.chunks(piece) {
                    stream.write_all(piece).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
            let mut frames = Vec::new();
            peer.read_to_end(&mut frames).await.unwrap();
            writer.await.unwrap();
            frames
        });
        let (mut rest, mut ends, mut total) = (&frames[..], Vec::new(), 0);
        while let [a, b, c, _, x, y, z, behind @ ..] = rest {
            let number = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) as usize;
            let (len, plain) = (number(*a, *b, *c), number(*x, *y, *z));
            total += if plain == 0 { len } else { plain };
            ends.push(total);
            rest = &behind[len..];
        }
        let mut whole = vec![0];
        whole.extend(packets.iter().scan(0, |at, packet| {
            *at += packet.len();
            Some(*at)
        }));
        let cut: Vec<_> = ends.iter().filter(|end| !whole.contains(end)).collect();
        // One in the longest packet, one behind the last.
        assert_eq!((cut.len(), total), (2, whole[4] + 9), "{ends:?}");
    }
}

proptest! {
    /// Packets that are written in any pieces come out the same in any pieces.
    #[test]
    fn what_goes_in_comes_out(
        packets in prop::collection::vec((0..90_000usize, any::<u8>()), 1..8),
        piece in 1..70_000usize,
        room in 1..40_000usize,
        zstd: bool,
    ) {
        let algorithm = ALGORITHMS[usize::from(zstd)];
        run(async {
            let (mut ours, theirs) = stream(algorithm).await;
            let codecs = Arc::clone(&ours.codecs);
            let theirs = Stream::Unix(theirs);
            let mut other = Compressed::new(theirs, algorithm, codecs, Side::Server, Vec::new());
            let sent = packets.iter().map(|(len, fill)| packet(*len, *fill)).collect::<Vec<_>>();
            let expected = sent.concat();
            let bytes = expected.clone();
            let writer = tokio::spawn(async move {
                for piece in bytes.chunks(piece) {
                    ours.write_all(piece).await.unwrap();
                    ours.flush().await.unwrap();
                }
            });
            let (mut chunk, mut got) = (vec![0; room], Vec::new());
            while let count @ 1.. = other.read(&mut chunk).await.unwrap() {
                got.extend_from_slice(&chunk[..count]);
            }
            writer.await.unwrap();
            assert!(got == expected);
        });
    }
}
