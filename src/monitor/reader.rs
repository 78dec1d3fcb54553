//! A task that reads something from the servers: at the start, in an interval, and when someone
//! asks for it because it has changed. What could not be read is tried again soon.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Pause before a failed look is repeated; it doubles up to [`RETRY_MAX`] or the interval.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The shortest interval.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What is read, and who is told.
pub(super) trait Look: Send + 'static {
    /// What it is, for the log: "cannot read ..".
    const WHAT: &'static str;

    /// Reads everything; what was read counts even if something else could not be.
    fn look(&mut self) -> impl Future<Output = Result<(), Unread>> + Send;
}

/// Something that could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// What.
    pub(super) what: String,
    /// Why.
    pub(super) cause: String,
    /// Whether enough was read all the same: whoever waits need not wait for more.
    pub(super) counts: bool,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

/// The task, if there is anything to read.
#[derive(Debug)]
pub struct Reader {
    tickets: Option<Tickets>,
}

/// Each wish for a look has a number; a look that begins later fulfils it.
#[derive(Debug)]
struct Tickets {
    wanted: watch::Sender<u64>,
    done: watch::Receiver<u64>,
}

impl Reader {
    /// Reads nothing.
    pub fn none() -> Self {
        Self { tickets: None }
    }

    pub(super) fn start<L: Look>(runtime: &Handle, interval: Duration, look: L) -> Self {
        let (wanted, wishes) = watch::channel(1);
        let (finished, done) = watch::channel(0);
        runtime.spawn(run(look, interval.max(INTERVAL_MIN), wishes, finished));
        Self { tickets: Some(Tickets { wanted, done }) }
    }

    /// Waits until the first look has succeeded, at most so long.
    pub async fn ready(&self, limit: Duration) {
        if let Some(tickets) = &self.tickets {
            tickets.wait(1, limit).await;
        }
    }

    /// Asks for a look, because something has changed, and waits until it has succeeded, at most so
    /// long.
    pub async fn refresh(&self, limit: Duration) {
        let Some(tickets) = &self.tickets else { return };
        let mut own = 0;
        tickets.wanted.send_modify(|last| {
            *last += 1;
            own = *last;
        });
        tickets.wait(own, limit).await;
    }
}

impl Tickets {
    async fn wait(&self, ticket: u64, limit: Duration) {
        let mut done = self.done.clone();
        let reached = done.wait_for(|done| *done >= ticket);
        // Whoever waited too long goes on with what was read before.
        let _ = tokio::time::timeout(limit, reached).await;
    }
}

/// About so long: proxies that began together do not ask together for good.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    interval.mul_f64(0.9 + random as f64 / 5000.0)
}

async fn run<L: Look>(
    mut look: L,
    interval: Duration,
    mut wishes: watch::Receiver<u64>,
    finished: watch::Sender<u64>,
) {
    let retry_max = RETRY_MAX.min(interval);
    let mut retry = RETRY;
    loop {
        let ticket = *wishes.borrow_and_update();
        let pause = match look.look().await {
            Ok(()) => {
                retry = RETRY;
                finished.send_replace(ticket);
                jittered(interval)
            }
            Err(error) => {
                if error.counts {
                    finished.send_replace(ticket);
                }
                if retry == RETRY {
                    tracing::warn!(%error, "cannot read {}", L::WHAT);
                }
                let pause = retry.min(retry_max);
                retry = (retry * 2).min(retry_max);
                pause
            }
        };
        if let Ok(Err(_)) = tokio::time::timeout(pause, wishes.changed()).await {
            // Nobody can ask any more: the proxy ends.
            return;
        }
    }
}
