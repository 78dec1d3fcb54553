//! Sends to a client that may be slow, or not read at all.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::client::Client;
use super::registry::{Control, Interrupt};
use super::stalled::{Awaited, Servers};

/// What a client is to get.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// What stands in its output buffer.
    Buffer,
}

/// Whether bytes reached the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// They are on their way.
    Yes,
    /// It closed its side.
    ClientGone,
    /// The session was told to end before the client took them.
    Killed,
}

/// Sends to a client; only the end of the session interrupts it. `keeps` tells the servers whose
/// connections are kept meanwhile.
pub async fn deliver(
    client: &mut Client,
    control: &Control,
    outgoing: Outgoing<'_>,
    keeps: impl FnOnce() -> Servers,
) -> Delivered {
    let mut sent = 0;
    match poll_fn(|cx| Poll::Ready(poll_send(client, cx, outgoing, &mut sent))).await {
        Poll::Ready(Ok(())) => Delivered::Yes,
        Poll::Ready(Err(_)) => Delivered::ClientGone,
        Poll::Pending => {
            client.has_waited = true;
            control.stall(Awaited::Reader, keeps());
            Box::pin(wait_for_reader(client, control, outgoing, sent)).await
        }
    }
}

/// Sends what is left behind `sent` bytes as the client takes it.
#[cold]
async fn wait_for_reader(
    client: &mut Client,
    control: &Control,
    outgoing: Outgoing<'_>,
    mut sent: usize,
) -> Delivered {
    let mut told = sent;
    poll_fn(|cx| {
        let polled = poll_send(client, cx, outgoing, &mut sent);
        if sent > told {
            control.note_moved(sent - told);
            told = sent;
        }
        if let Poll::Ready(ended) = polled {
            control.pause_stall();
            let delivered = if ended.is_ok() { Delivered::Yes } else { Delivered::ClientGone };
            return Poll::Ready(delivered);
        }
        match control.poll_interrupt(cx) {
            Poll::Ready(interrupt) if interrupt > Interrupt::Query => {
                client.takes_nothing |= interrupt == Interrupt::Stalled;
                Poll::Ready(Delivered::Killed)
            }
            _ => Poll::Pending,
        }
    })
    .await
}

fn poll_send(
    client: &mut Client,
    cx: &mut Context<'_>,
    outgoing: Outgoing<'_>,
    sent: &mut usize,
) -> Poll<io::Result<()>> {
    match outgoing {
        Outgoing::Bytes(bytes) => client.framed.poll_write_all(cx, bytes, sent),
        Outgoing::Buffer => client.framed.poll_flush(cx, sent),
    }
}

/// A wait for more of a client's command.
#[derive(Debug)]
pub struct SenderWait<'a> {
    control: &'a Control,
    waits: bool,
}

impl<'a> SenderWait<'a> {
    /// It has not begun yet.
    pub fn new(control: &'a Control) -> Self {
        Self { control, waits: false }
    }

    /// Notes that the client has nothing to be read now.
    pub fn begin(&mut self, keeps: impl FnOnce() -> Servers) {
        if !self.waits {
            self.waits = true;
            self.control.stall(Awaited::Sender, keeps());
        }
    }

    /// Notes that so many bytes were read; tells whether they were waited for.
    pub fn end(self, bytes: usize) -> bool {
        if self.waits {
            self.control.note_moved(bytes);
            self.control.pause_stall();
        }
        self.waits
    }
}
