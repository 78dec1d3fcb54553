//! Packets over a pair of sockets, cut anywhere.

#![expect(clippy::disallowed_methods, reason = "the other end, which each test awaits")]

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::*;

fn framed(payload: &[u8], mut sequence: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chunks = payload.chunks(PAYLOAD_MAX).collect::<Vec<_>>();
    if payload.len().is_multiple_of(PAYLOAD_MAX) {
        chunks.push(&[]);
    }
    for chunk in chunks {
        out.extend_from_slice(&(chunk.len() as u32).to_le_bytes()[..3]);
        out.push(sequence);
        sequence = sequence.wrapping_add(1);
        out.extend_from_slice(chunk);
    }
    out
}

async fn read_all(bytes: Vec<u8>, limit: usize) -> Vec<Result<Vec<u8>, String>> {
    let (mut near, far) = UnixStream::pair().unwrap();
    let writer = tokio::spawn(async move {
        let _ = near.write_all(&bytes).await;
    });
    let mut reader = Framed::new(Stream::Unix(far));
    let mut seen = Vec::new();
    loop {
        match reader.read_packet(limit).await {
            Ok(packet) => {
                seen.push(Ok(reader.payload(packet).to_vec()));
                reader.consume_packet(packet);
            }
            Err(ReadError::Closed) => break,
            Err(error) => {
                seen.push(Err(error.to_string()));
                break;
            }
        }
    }
    drop(reader);
    writer.await.unwrap();
    seen
}

#[tokio::test]
async fn packets_of_all_sizes_arrive_whole() {
    let sizes = [0, 1, 5, BUFFER - 4, BUFFER, BUFFER + 1, 100_000];
    let bytes: Vec<u8> = sizes.iter().flat_map(|n| framed(&vec![7; *n], 0)).collect();
    let seen = read_all(bytes, 1 << 20).await;
    let lengths: Vec<usize> = seen.iter().map(|p| p.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, sizes);
}

#[tokio::test]
async fn a_message_of_several_packets_is_joined() {
    for size in [PAYLOAD_MAX - 1, PAYLOAD_MAX, PAYLOAD_MAX + 1, 2 * PAYLOAD_MAX, 40_000_000] {
        let payload: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let mut bytes = framed(&payload, 255);
        bytes.extend(framed(b"next", 0));
        let seen = read_all(bytes, 64 << 20).await;
        assert!(seen[0].as_ref().unwrap() == &payload, "{size}");
        assert_eq!(seen[1].as_deref().unwrap(), b"next", "{size}");
    }
}

#[tokio::test]
async fn what_is_too_long_or_cut_off_is_an_error() {
    let seen = read_all(framed(&[1; 2000], 0), 1000).await;
    assert_eq!(seen, [Err("packet of more than 1000 bytes".to_owned())]);
    let mut cut = framed(b"hello", 0);
    cut.pop();
    assert!(read_all(cut, 1000).await[0].is_err());
}

#[tokio::test]
async fn continuations_must_count_on() {
    let mut bytes = framed(&vec![1; PAYLOAD_MAX + 10], 0);
    bytes[HEADER + PAYLOAD_MAX + 3] = 9;
    assert_eq!(read_all(bytes, 64 << 20).await, [Err("packets out of order".to_owned())]);
}

/// Polls once with a waker of its own, and says whether it has to wait.
async fn waits(reader: &mut Framed) -> bool {
    poll_fn(|cx| Poll::Ready(reader.poll_fill(cx).is_pending())).await
}

#[tokio::test]
async fn whoever_waits_last_is_woken() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut reader = Framed::new(Stream::Unix(far));
    // Each task waits twice, so that it relies on what it has asked before.
    for round in 0..3_u8 {
        assert!(waits(&mut reader).await && waits(&mut reader).await);
        let other = tokio::spawn(async move {
            assert!(waits(&mut reader).await && waits(&mut reader).await);
            assert_eq!(reader.fill().await.unwrap(), 1);
            reader
        });
        tokio::task::yield_now().await;
        near.write_all(&[round]).await.unwrap();
        reader = other.await.unwrap();
        assert_eq!(reader.buffered(), [round]);
        reader.consume(1);
        near.write_all(&[round]).await.unwrap();
        assert_eq!(reader.fill().await.unwrap(), 1);
        reader.consume(1);
    }
    drop(near);
    assert_eq!(reader.fill().await.unwrap(), 0);
}

#[tokio::test]
async fn a_task_without_budget_waits_its_turn() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut reader = Framed::new(Stream::Unix(far));
    while has_budget_remaining() {
        let mut spent = std::pin::pin!(tokio::task::coop::consume_budget());
        poll_fn(|cx| Poll::Ready(spent.as_mut().poll(cx).is_ready())).await;
    }
    assert!(waits(&mut reader).await);
    let writer = tokio::spawn(async move { near.write_all(b"x").await.map(|()| near) });
    assert_eq!(reader.fill().await.unwrap(), 1);
    drop(writer.await.unwrap());
}

#[tokio::test]
async fn a_stream_that_is_never_dry_lets_others_run() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut reader = Framed::new(Stream::Unix(far));
    let writer = tokio::spawn(async move {
        for _ in 0..2_000 {
            near.write_all(&[7; 4096]).await?;
        }
        Ok::<_, io::Error>(())
    });
    let mut reads = 0;
    loop {
        match reader.fill().await.unwrap() {
            0 => break,
            count => reader.consume(count),
        }
        reads += 1;
    }
    assert!(reads >= 8_192_000 / BUFFER, "{reads}");
    writer.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_waits_holds_no_buffer() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut reader = Framed::new(Stream::Unix(far));
    near.write_all(&framed(&vec![1; 100_000], 0)).await.unwrap();
    let packet = reader.read_packet(1 << 20).await.unwrap();
    assert!(reader.buffer.len() > BUFFER);
    reader.consume_packet(packet);
    assert!(waits(&mut reader).await);
    assert_eq!(reader.buffer.capacity(), 0);
    assert!(reader.is_quiet());
    near.write_all(b"x").await.unwrap();
    tokio::task::yield_now().await;
    assert!(!reader.is_quiet());
}
