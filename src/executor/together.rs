//! Waits for several pieces of work at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// What all of them gave, in their order. They make progress side by side, on this task.
pub async fn all<F: Future>(work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut work: Vec<Pin<Box<F>>> = work.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = work.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (work, done) in work.iter_mut().zip(&mut done) {
            if done.is_some() {
                continue;
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(output) => *done = Some(output),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn they_wait_side_by_side() {
        let turn = Cell::new(0);
        let work = [3, 1, 2].map(|turns| {
            let turn = &turn;
            poll_fn(move |_| if turn.get() < turns { Poll::Pending } else { Poll::Ready(turns) })
        });
        let mut all = std::pin::pin!(all(work));
        let mut cx = Context::from_waker(Waker::noop());
        while turn.get() < 3 {
            assert!(all.as_mut().poll(&mut cx).is_pending());
            turn.set(turn.get() + 1);
        }
        assert_eq!(all.as_mut().poll(&mut cx), Poll::Ready(vec![3, 1, 2]));
    }
}
