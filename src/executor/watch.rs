//! Waiting for something other than a server's answer, while the client may leave and a KILL may
//! come.

use std::future::poll_fn;
use std::task::Poll;

use super::client::Client;
use super::registry::{Control, Interrupt};

/// How a wait ended.
#[derive(Debug)]
pub enum Watched<T> {
    /// With what was waited for.
    Done(T),
    /// By KILL, or because the session has to end.
    Interrupted,
    /// The client closed its side.
    ClientGone,
}

/// Waits for `work`, which is dropped if the session is interrupted.
pub async fn unless_interrupted<T>(control: &Control, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| match (work.as_mut().poll(cx), control.poll_interrupt(cx)) {
        (Poll::Ready(done), _) => Poll::Ready(Some(done)),
        (_, Poll::Ready(interrupt)) if interrupt >= Interrupt::Query => Poll::Ready(None),
        _ => Poll::Pending,
    })
    .await
}

/// Waits for `work`, which is dropped if the client leaves or the session is interrupted. A
/// shutdown does not interrupt it: the statement has begun.
pub async fn wait_watching<T>(
    client: &mut Client,
    control: &Control,
    work: impl Future<Output = T>,
) -> Watched<T> {
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Watched::Done(done));
        }
        if client.framed.poll_left(cx).is_ready() {
            client.gone = true;
            return Poll::Ready(Watched::ClientGone);
        }
        match control.poll_interrupt(cx) {
            Poll::Ready(interrupt) if interrupt >= Interrupt::Query => {
                Poll::Ready(Watched::Interrupted)
            }
            _ => Poll::Pending,
        }
    })
    .await
}
