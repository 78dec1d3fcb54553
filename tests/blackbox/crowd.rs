//! A client for tests with thousands of them: asynchronous, text statements and one result each,
//! few bytes of memory. Logging in is done by [`crate::client`].

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Login, capability};

/// A logged-in connection with DEPRECATE_EOF.
pub(crate) struct Visitor {
    stream: TcpStream,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// The answer to a statement.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Cells as text; `None` is NULL.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// Affected rows of an OK.
    pub(crate) affected: u64,
}

/// A server's error: number and text.
pub(crate) type Refusal = (u16, String);

impl Visitor {
    /// Logs in. To be called inside of a runtime, on a thread that may block.
    pub(crate) fn connect(address: SocketAddr, database: &str) -> Self {
        let capabilities = capability::DEPRECATE_EOF;
        let login = Login { capabilities, ..Login::test(database) };
        let client = Client::connect(address, &login).expect("the proxy takes a login");
        let stream = client.into_stream();
        stream.set_nonblocking(true).expect("a socket");
        let stream = TcpStream::from_std(stream).expect("inside of a runtime");
        Self { stream, buffer: Vec::new() }
    }

    /// Runs a statement.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, Refusal> {
        let len = (sql.len() + 1) as u32;
        let mut packet = Vec::with_capacity(sql.len() + 5);
        packet.extend_from_slice(&len.to_le_bytes()[..3]);
        packet.extend_from_slice(&[0, 3]);
        packet.extend_from_slice(sql.as_bytes());
        self.stream.write_all(&packet).await.map_err(broken)?;
        let answer = self.answer().await;
        self.buffer.shrink_to(256);
        answer
    }

    async fn answer(&mut self) -> Result<Rows, Refusal> {
        let first = self.packet().await?;
        match first[0] {
            0 => {
                let (affected, _) = number(&first[1..]);
                return Ok(Rows { rows: Vec::new(), affected });
            }
            0xff => return Err(refusal(&first)),
            _ => {}
        }
        let columns = number(&first).0;
        for _ in 0..columns {
            self.packet().await?;
        }
        let mut rows = Vec::new();
        loop {
            let packet = self.packet().await?;
            match packet[0] {
                0xff => return Err(refusal(&packet)),
                0xfe => return Ok(Rows { rows, affected: 0 }),
                _ => rows.push(cells(&packet)),
            }
        }
    }

    async fn packet(&mut self) -> Result<Vec<u8>, Refusal> {
        self.fill(4).await?;
        let len = u32::from_le_bytes([self.buffer[0], self.buffer[1], self.buffer[2], 0]) as usize;
        self.fill(4 + len).await?;
        let rest = self.buffer.split_off(4 + len);
        let mut packet = std::mem::replace(&mut self.buffer, rest);
        packet.drain(..4);
        Ok(packet)
    }

    async fn fill(&mut self, len: usize) -> Result<(), Refusal> {
        while self.buffer.len() < len {
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err((0, "the connection was closed".to_owned()));
            }
        }
        Ok(())
    }
}

fn broken(error: std::io::Error) -> Refusal {
    (0, error.to_string())
}

fn refusal(packet: &[u8]) -> Refusal {
    let errno = u16::from_le_bytes([packet[1], packet[2]]);
    (errno, String::from_utf8_lossy(&packet[3..]).into_owned())
}

/// A length-encoded number and how many bytes it takes.
fn number(bytes: &[u8]) -> (u64, usize) {
    let wide = |n: usize| {
        let mut raw = [0; 8];
        raw[..n].copy_from_slice(&bytes[1..=n]);
        (u64::from_le_bytes(raw), n + 1)
    };
    match bytes[0] {
        0xfc => wide(2),
        0xfd => wide(3),
        0xfe => wide(8),
        small => (u64::from(small), 1),
    }
}

fn cells(mut row: &[u8]) -> Vec<Option<String>> {
    let mut cells = Vec::new();
    while !row.is_empty() {
        if row[0] == 0xfb {
            cells.push(None);
            row = &row[1..];
            continue;
        }
        let (len, skip) = number(row);
        let (cell, rest) = row[skip..].split_at(len as usize);
        cells.push(Some(String::from_utf8_lossy(cell).into_owned()));
        row = rest;
    }
    cells
}
