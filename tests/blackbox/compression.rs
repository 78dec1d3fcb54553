//! The compressed protocol, by a tunnel that speaks it to the proxy and plain packets to the test's
//! own client: whatever a plain client can do is then done compressed, and every frame is checked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::client::{Client, Login, Parameter};
use crate::single::{Random, SINGLE};
use crate::software::SOFTWARE;

/// CLIENT_COMPRESS and CLIENT_ZSTD_COMPRESSION_ALGORITHM.
pub(crate) const ZLIB: u32 = 1 << 5;
pub(crate) const ZSTD: u32 = 1 << 26;

/// A plain client whose connection to `address` is compressed.
pub(crate) fn tunnelled(address: SocketAddr, flag: u32, seed: u64) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (plain, _) = listener.accept().expect("the test's client");
        let upstream = TcpStream::connect(address).expect("the proxy");
        // How it ends shows in the client.
        let _ = log_in(&plain, &upstream, flag).and_then(|()| relay(plain, upstream, flag, seed));
    });
    Client::connect(here, &Login::test("")).expect("a login through the tunnel")
}

/// Passes the login, with the flag and what belongs to it added, up to the OK.
fn log_in(mut plain: &TcpStream, mut upstream: &TcpStream, flag: u32) -> io::Result<()> {
    let greeting = packet(upstream)?;
    plain.write_all(&greeting)?;
    let mut response = packet(plain)?;
    response[4 + flag.trailing_zeros() as usize / 8] |= 1 << (flag.trailing_zeros() % 8);
    if flag == ZSTD {
        response.push(5);
        response[0] += 1;
    }
    upstream.write_all(&response)?;
    loop {
        let answer = packet(upstream)?;
        plain.write_all(&answer)?;
        if answer[4] == 0 {
            return Ok(());
        }
        upstream.write_all(&packet(plain)?)?;
    }
}

/// One packet with its header.
fn packet(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes)?;
    let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
    bytes.resize(4 + len, 0);
    stream.read_exact(&mut bytes[4..])?;
    Ok(bytes)
}

/// A command up, cut into frames anyhow; frames down until the client sends the next.
fn relay(mut plain: TcpStream, upstream: TcpStream, flag: u32, seed: u64) -> io::Result<()> {
    let (from, mut to) = (upstream.try_clone()?, plain.try_clone()?);
    let (told, sequences) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut expected = 0;
        while let Ok((sequence, bytes)) = frame(&from, flag) {
            // The answer goes on where the command ended.
            expected = sequences.try_iter().last().unwrap_or(expected);
            assert_eq!(sequence, expected, "frames of an answer");
            expected = expected.wrapping_add(1);
            to.write_all(&bytes)?;
        }
        to.shutdown(std::net::Shutdown::Both)
    });
    let mut random = Random::new(seed);
    loop {
        let mut command = packet(&plain).inspect_err(|_| {
            let _ = upstream.shutdown(std::net::Shutdown::Both);
        })?;
        while command.len() % (4 + 0xff_ffff) == 0 {
            command.extend(packet(&plain)?);
        }
        if random.below(2) == 0 {
            // As MariaDB's client library does: servers look at the ids of frames.
            let headers = (0..command.len()).step_by(4 + 0xff_ffff);
            headers.for_each(|at| command[at + 3] = 0);
        }
        let (mut sequence, mut rest, mut frames) = (0_u8, &command[..], Vec::new());
        while !rest.is_empty() {
            let most = if random.below(2) == 0 { 100 } else { 1 << 20 };
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(most) as usize));
            frames.extend(pack(piece, sequence, flag, random.below(3) > 0));
            (rest, sequence) = (behind, sequence.wrapping_add(1));
        }
        let _ = told.send(sequence);
        (&upstream).write_all(&frames)?;
        let _ = plain.flush();
    }
}

fn pack(piece: &[u8], sequence: u8, flag: u32, compress: bool) -> Vec<u8> {
    let (body, plain) = match compress {
        false => (piece.to_vec(), 0),
        true if flag == ZSTD => (zstd::bulk::compress(piece, 3).expect("memory"), piece.len()),
        true => {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(piece).expect("memory");
            (encoder.finish().expect("memory"), piece.len())
        }
    };
    let mut frame = (body.len() as u32).to_le_bytes()[..3].to_vec();
    frame.push(sequence);
    frame.extend_from_slice(&(plain as u32).to_le_bytes()[..3]);
    frame.extend(body);
    frame
}

/// Sequence id and packet bytes of one frame.
fn frame(mut stream: &TcpStream, flag: u32) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 7];
    stream.read_exact(&mut header)?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]);
    let mut body = vec![0; number(0) as usize];
    stream.read_exact(&mut body)?;
    let plain = number(4) as usize;
    let out = match plain {
        0 => body,
        _ if flag == ZSTD => zstd::bulk::decompress(&body, plain)?,
        _ => {
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut out)?;
            out
        }
    };
    assert!(plain == 0 || (plain == out.len() && plain >= 50 && body_is_shorter(header)));
    Ok((header[3], out))
}

fn body_is_shorter(header: [u8; 7]) -> bool {
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]);
    number(0) < number(4)
}

/// Statements short and long, long results, prepared statements, errors, a reset.
pub(crate) fn exercise(client: &mut Client) {
    assert_eq!(client.query("SELECT 1").expect("a row").scalar(), "1");
    let rows = client
        .query(format!("SELECT seq, REPEAT('x', seq % 500) FROM {} s", SOFTWARE.series(20_000)));
    let rows = rows.expect("rows").texts();
    assert_eq!(rows.len(), 20_000);
    assert!(rows.iter().all(|row| row[1].len() == row[0].parse::<usize>().expect("n") % 500));
    for len in [40_usize, 49, 50, 51, 3_000, 70_000, 17 << 20, 17 << 20, 33 << 20] {
        let text: String =
            (0..len).map(|i| char::from(b'a' + (i % 1_000 * (i % 1_000) % 23) as u8)).collect();
        let answer = client.query(format!("SELECT SHA2('{text}', 256), '{}'", &text[..40]));
        let answer = answer.unwrap_or_else(|error| panic!("{len}: {error}"));
        assert_eq!(answer.texts()[0][1], text[..40], "{len}");
    }
    for sql in ["SELECT REPEAT('0123456789abcdef', 20000)", "SELECT REPEAT('ab', 16 << 20)"] {
        let long = client.query(sql).expect("a row").scalar();
        assert!(long.len() == 320_000 || long.len() == 32 << 20, "{}", long.len());
    }
    let statement = client.prepare("SELECT ?, ?").expect("a statement");
    let text = Parameter::Text(vec![b'q'; 5_000]);
    let row = client.execute(&statement, &[Parameter::Int(-7), text]).expect("a row").texts();
    assert_eq!((row[0][0].as_str(), row[0][1].len()), ("-7", 5_000));
    assert_eq!(client.query("SELECT * FROM nothing").expect_err("no table").errno(), 1146);
    client.reset().expect("ok");
    client.ping().expect("ok");
}

/// Goal: everything works through zlib and zstd: short and long statements, long results, prepared
/// statements, errors, a change of user, a reset.
#[test]
fn all_of_it_compressed() {
    let cluster = SINGLE.watched();
    for (seed, flag) in [(1, ZLIB), (2, ZSTD)] {
        let mut client = tunnelled(cluster.proxy().socket_address(), flag, seed);
        client.use_database("app").expect("a keyspace");
        exercise(&mut client);
    }
}

/// Goal: bytes that are no frame end the connection and nothing else.
#[test]
fn broken_frames_end_the_connection() {
    let cluster = SINGLE.watched();
    let login = Login { capabilities: ZLIB, ..Login::test("app") };
    let lie = pack(&[b'x'; 300], 0, ZLIB, true);
    for bytes in [
        // A plain packet; a frame of another order; one that says 16 MiB; a damaged one.
        b"\x09\0\0\0\x03SELECT 1".to_vec(),
        pack(b"\x01\0\0\0\x0e", 7, ZLIB, false),
        [&lie[..4], &[0xff, 0xff, 0xff], &lie[7..]].concat(),
        [&lie[..7], &lie[20..], &lie[..13]].concat(),
    ] {
        let stream = TcpStream::connect(cluster.proxy().socket_address()).expect("the proxy");
        let mut client = Client::over(stream, &login).expect("a login");
        client.write_raw(&bytes).expect("it is read");
        client.stream().shutdown(std::net::Shutdown::Write).expect("open");
        let mut rest = Vec::new();
        let _ = client.stream().read_to_end(&mut rest);
        assert!(rest.len() < 200, "{rest:?}");
    }
    assert_eq!(cluster.proxy().client("app").query("SELECT 1").expect("a row").scalar(), "1");
}
