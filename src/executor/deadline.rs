//! The time that a statement has (`statement_timeout_ms`), and what happens at its end.
//!
//! First the statement is interrupted as by KILL QUERY: servers end it, and say so. What no server
//! has answered when the grace is over too is given up with its connection
//! ([`crate::backend::Cutoff`]), and so again after each further grace, for what was sent
//! meanwhile. Without a limit there is no timer, only the question whether there is a limit.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::registry::{Control, Interrupt};
use crate::backend::{Cutoff, Stake};
use crate::clock::{self, Instant, Sleep};
use crate::error::{SqlError, catalog};

/// ER_QUERY_INTERRUPTED and ER_FILSORT_ABORT: what servers answer to a statement that is killed.
const INTERRUPTED: [u16; 2] = [1317, 1028];

/// The time of the statement that a session runs. Only the session itself changes it.
#[derive(Debug)]
pub struct Deadline {
    origin: Instant,
    /// Milliseconds; 0 for no limit.
    limit: AtomicU32,
    /// When the statement came, in microseconds from `origin`, if it has a limit.
    arrival: AtomicU64,
    /// When the next stage begins.
    due: AtomicU64,
    /// The time is over.
    late: AtomicBool,
    cutoff: Arc<Cutoff>,
}

/// What begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The time is over: servers are asked to end the statement.
    Late,
    /// The grace is over: what is not answered is given up.
    GivenUp,
}

/// What became of a statement whose time was over, as far as that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// Nothing was changed, or sent.
    Unchanged,
    /// What it had changed is undone, where tables have transactions.
    Undone,
    /// It was no single change: what it had finished remains.
    Ended,
    /// Its transaction was rolled back, before any COMMIT was sent.
    RolledBack,
    /// The connection to this shard was given up, and the transaction with it.
    TransactionLost(&'a str),
}

impl Deadline {
    /// None, as of `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            origin: now,
            limit: AtomicU32::new(0),
            arrival: AtomicU64::new(0),
            due: AtomicU64::new(0),
            late: AtomicBool::new(false),
            cutoff: Arc::default(),
        }
    }

    /// Whether the statement has a limit.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != 0
    }

    /// The cuts of the session, for its connections.
    pub fn cutoff(&self) -> &Arc<Cutoff> {
        &self.cutoff
    }

    /// Begins a statement that came at `arrival` and has so many milliseconds; 0 for no limit.
    pub fn begin(&self, arrival: Instant, limit_ms: u32) {
        self.late.store(false, Ordering::Relaxed);
        self.arrival.store(self.micros(arrival), Ordering::Relaxed);
        self.limit.store(limit_ms, Ordering::Relaxed);
        self.due_after(limit_ms);
    }

    /// Gives the statement another limit, counted from its arrival; one without limit has come
    /// `now`. Nothing changes if its time is over already.
    pub fn change(&self, now: Instant, limit_ms: u32) {
        if !self.is_set() {
            self.begin(now, limit_ms);
        } else if self.passed().is_none() {
            self.limit.store(limit_ms, Ordering::Relaxed);
            self.due_after(limit_ms);
        }
    }

    fn due_after(&self, limit_ms: u32) {
        let due = self.arrival.load(Ordering::Relaxed).saturating_add(u64::from(limit_ms) * 1000);
        self.due.store(due, Ordering::Relaxed);
    }

    /// The limit in milliseconds, if it is over.
    pub fn passed(&self) -> Option<u32> {
        self.late.load(Ordering::Relaxed).then(|| self.limit.load(Ordering::Relaxed))
    }

    /// A statement that is late has another grace for what is sent now.
    pub fn extend(&self, now: Instant, grace: Duration) {
        if self.passed().is_some() {
            self.due.store(self.micros(now + grace), Ordering::Relaxed);
        }
    }

    /// When the next stage begins.
    fn due(&self) -> Option<Instant> {
        let micros = || Duration::from_micros(self.due.load(Ordering::Relaxed));
        self.is_set().then(|| self.origin + micros())
    }

    fn micros(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.origin).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// Begins the next stage.
    fn advance(&self, now: Instant, grace: Duration) -> Stage {
        self.due.store(self.micros(now + grace), Ordering::Relaxed);
        if self.late.swap(true, Ordering::Relaxed) {
            self.cutoff.cut();
            Stage::GivenUp
        } else {
            Stage::Late
        }
    }
}

impl Fate<'_> {
    /// What is certain of a statement that a server has ended at our request, by what hung on it.
    pub fn of(stake: Stake) -> Self {
        match stake {
            Stake::Nothing | Stake::Question | Stake::Read => Self::Unchanged,
            Stake::Write => Self::Undone,
            Stake::Commit => Self::Ended,
        }
    }

    /// The error for a client whose statement has taken longer than so many milliseconds.
    pub fn error(self, limit_ms: u32) -> SqlError {
        let text = match self {
            Self::Unchanged => "it has changed nothing".to_owned(),
            Self::Undone => "what it had changed in tables with transactions is undone, and a \
                             transaction that was open goes on"
                .to_owned(),
            Self::Ended => "the server has ended it as KILL QUERY does, what it had finished \
                            remains, as of a procedure"
                .to_owned(),
            Self::RolledBack => "nothing was committed, the transaction is rolled back".to_owned(),
            Self::TransactionLost(shard) => format!(
                "the server did not end it, so the connection to shard {shard} was given up, and \
                 the transaction is lost"
            ),
        };
        catalog::STATEMENT_TIMEOUT.with(&[&limit_ms, &text])
    }
}

/// Whether an error says that a statement was killed.
pub fn is_interruption(errno: u16) -> bool {
    INTERRUPTED.contains(&errno)
}

/// The timer of a session, which is made when a statement with a limit first has to wait. It is not
/// set anew for each statement: one that was set for an earlier one is early, and then corrected.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(clock::sleep_until(due)));
        loop {
            if sleep.deadline() > due {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() == due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

/// Runs a command; at the end of its time it is interrupted, and what then waits for servers longer
/// than `grace` is given up. `note` hears of both.
pub async fn keep<T>(
    control: &Control,
    timer: &mut Timer,
    grace: Duration,
    note: impl Fn(Stage),
    mut command: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = command.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let Some(due) = control.deadline.due() else { return Poll::Pending };
            if timer.poll_until(due, cx).is_pending() {
                return Poll::Pending;
            }
            let stage = control.deadline.advance(clock::now(), grace);
            note(stage);
            if stage == Stage::Late {
                control.raise(Interrupt::Query);
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::pin::pin;

    use super::super::registry::{Newcomer, Registered, Registry};
    use super::*;

    const GRACE: Duration = Duration::from_millis(300);

    fn session() -> Registered {
        let newcomer = Newcomer {
            id: 1,
            user: &"u".into(),
            peer: "p",
            attributes: Box::default(),
            connections_max: None,
            idle_seconds_max: 10,
            memory: &Arc::new(crate::memory::Memory::new(1, 1)),
        };
        Arc::new(Registry::default()).register(newcomer).unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    }

    /// Runs a command that ends when `ends` says so of the number of stages; gives the times of
    /// the stages in milliseconds.
    async fn stages(control: &Control, timer: &mut Timer, last: usize) -> Vec<(Stage, u128)> {
        let begun = clock::now();
        let stages = RefCell::new(Vec::new());
        let note = |stage| stages.borrow_mut().push((stage, begun.elapsed().as_millis()));
        let command = pin!(poll_fn(|_| {
            let ended = stages.borrow().len() == last;
            if ended { Poll::Ready(()) } else { Poll::Pending }
        }));
        keep(control, timer, GRACE, note, command).await;
        stages.into_inner()
    }

    #[test]
    fn a_late_statement_is_interrupted_and_then_given_up_again_and_again() {
        runtime().block_on(async {
            let registered = session();
            let (control, mut timer) = (registered.control(), Timer::default());
            control.deadline.begin(clock::now(), 1000);
            let seen = stages(control, &mut timer, 3).await;
            let expected = [(Stage::Late, 1000), (Stage::GivenUp, 1300), (Stage::GivenUp, 1600)];
            assert_eq!(seen, expected);
            assert_eq!(control.interrupt(), Some(Interrupt::Query));
            assert_eq!(control.deadline.passed(), Some(1000));
            // The next one has its own time, shorter or longer.
            for limit in [200, 2000] {
                control.deadline.begin(clock::now(), limit);
                assert_eq!(control.deadline.passed(), None);
                let seen = stages(control, &mut timer, 1).await;
                assert_eq!(seen, [(Stage::Late, u128::from(limit))]);
            }
        });
    }

    #[test]
    fn time_counts_from_the_arrival() {
        runtime().block_on(async {
            let registered = session();
            let (control, mut timer) = (registered.control(), Timer::default());
            control.deadline.begin(clock::now(), 5000);
            clock::sleep(Duration::from_millis(400)).await;
            control.deadline.change(clock::now(), 1000);
            assert_eq!(stages(control, &mut timer, 1).await, [(Stage::Late, 600)]);
            // A late one stays late, and has another grace for what is sent now.
            control.deadline.change(clock::now(), 9000);
            clock::sleep(Duration::from_millis(200)).await;
            control.deadline.extend(clock::now(), GRACE);
            assert_eq!(stages(control, &mut timer, 1).await, [(Stage::GivenUp, 300)]);
        });
    }

    #[test]
    fn without_a_limit_or_a_wait_there_is_no_timer() {
        runtime().block_on(async {
            let registered = session();
            let (control, mut timer) = (registered.control(), Timer::default());
            let ignore = |_| panic!("no stage is due");
            control.deadline.begin(clock::now(), 0);
            let waits = pin!(clock::sleep(Duration::from_secs(3600)));
            keep(control, &mut timer, GRACE, ignore, waits).await;
            control.deadline.begin(clock::now(), 1000);
            keep(control, &mut timer, GRACE, ignore, pin!(std::future::ready(()))).await;
            assert!(timer.0.is_none());
            // One that was set for an earlier statement is early for a later one.
            let count = Cell::new(0);
            for _ in 0..4 {
                control.deadline.begin(clock::now(), 1000);
                let waits = pin!(clock::sleep(Duration::from_millis(900)));
                let note = |_| count.set(count.get() + 1);
                keep(control, &mut timer, GRACE, note, waits).await;
            }
            assert_eq!(count.get(), 0);
        });
    }

    #[test]
    fn a_cut_is_seen_by_what_waits() {
        runtime().block_on(async {
            let registered = session();
            let (control, mut timer) = (registered.control(), Timer::default());
            control.deadline.begin(clock::now(), 1000);
            let mut patience = crate::backend::Patience::default();
            patience.follow(Some(Arc::clone(control.deadline.cutoff())));
            patience.begin();
            let begun = clock::now();
            let work = pin!(std::future::pending::<std::io::Result<()>>());
            let waits = pin!(patience.unless_over(work));
            let ended = keep(control, &mut timer, GRACE, |_| {}, waits).await;
            assert!(matches!(ended, Err(crate::backend::Failure::Overdue)));
            assert_eq!(begun.elapsed().as_millis(), 1300);
        });
    }
}
