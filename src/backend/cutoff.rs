//! The end of a session's patience with servers that owe it answers: whatever was sent before a
//! cut and is not answered then is given up, wherever it is waited for. What is sent afterwards
//! waits anew, until the next cut.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use super::exchange::Failure;

/// The cuts of one session. Who cuts has to poll afterwards whatever waits: nobody is woken.
#[derive(Debug, Default)]
pub struct Cutoff(AtomicU32);

impl Cutoff {
    /// Gives up what was sent until now.
    pub fn cut(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection's part in that: the session that may cut, and when the last command was sent.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    cutoff: Option<Arc<Cutoff>>,
    /// Cuts before the last command.
    before: u32,
}

impl Patience {
    /// Waits for nobody's cuts any more, or for those of a session.
    pub fn follow(&mut self, cutoff: Option<Arc<Cutoff>>) {
        self.cutoff = cutoff;
        self.begin();
    }

    /// A command is sent now.
    #[inline]
    pub fn begin(&mut self) {
        if let Some(cutoff) = &self.cutoff {
            self.before = cutoff.count();
        }
    }

    /// Whether what was sent last is given up if it is not answered now.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.cutoff.as_ref().is_some_and(|cutoff| cutoff.count() != self.before)
    }

    /// Waits for something of a server's, unless it is given up.
    pub fn unless_over<T>(
        &self,
        mut work: Pin<&mut impl Future<Output = io::Result<T>>>,
    ) -> impl Future<Output = Result<T, Failure>> {
        poll_fn(move |cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done.map_err(Failure::Io)),
            Poll::Pending if self.is_over() => Poll::Ready(Err(Failure::Overdue)),
            Poll::Pending => Poll::Pending,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_cut_ends_what_was_sent_before_it() {
        let cutoff = Arc::new(Cutoff::default());
        let (mut old, mut new) = (Patience::default(), Patience::default());
        old.follow(Some(Arc::clone(&cutoff)));
        new.follow(Some(Arc::clone(&cutoff)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = |patience: &Patience| {
            let work = pin!(pending::<io::Result<()>>());
            pin!(patience.unless_over(work)).poll(&mut cx)
        };
        assert!(poll(&old).is_pending());
        cutoff.cut();
        assert!(matches!(poll(&old), Poll::Ready(Err(Failure::Overdue))));
        new.begin();
        assert!(poll(&new).is_pending());
        cutoff.cut();
        assert!(matches!(poll(&new), Poll::Ready(Err(Failure::Overdue))));
        assert!(poll(&Patience::default()).is_pending());
        let work = pin!(ready(Ok(1)));
        let answered = pin!(old.unless_over(work)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(answered, Poll::Ready(Ok(1))));
    }
}
