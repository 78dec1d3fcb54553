//! Reads the columns of every keyspace's tables from its servers, and hands them on when they
//! differ from those before.
//!
//! One task for all keyspaces: it asks the primary of one shard of each, because all shards of a
//! keyspace have the same tables (a definition statement that failed on some of them is reported
//! to whoever ran it). It asks at the start, in an interval, and when someone asks for it. What
//! could not be read stays as it was, and is tried again soon.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::{Address, Backend};
use crate::planner::live_columns::{ColumnRow, LiveColumns};
use crate::topology::{KeyspaceIndex, Topology};

use super::probe;

/// Time for one server's answer; a large schema takes a while.
const LOOK: Duration = Duration::from_secs(10);

/// Pause before a failed look is repeated; it doubles up to the interval.
const RETRY: Duration = Duration::from_millis(100);

/// The shortest interval.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

const QUERY: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, \
    COLLATION_NAME, IS_NULLABLE, EXTRA, CHARACTER_MAXIMUM_LENGTH, NUMERIC_SCALE \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?";

/// Whoever wants to know of other columns.
type Publish = Box<dyn Fn(Arc<LiveColumns>) + Send + Sync>;

/// The task that reads columns, if there is one.
#[derive(Debug)]
pub struct ColumnReader {
    tickets: Option<Tickets>,
}

/// Each wish for a look has a number; a look that begins later fulfils it.
#[derive(Debug)]
struct Tickets {
    wanted: watch::Sender<u64>,
    done: watch::Receiver<u64>,
}

impl ColumnReader {
    /// Reads nothing: with a single server no plan is made.
    pub fn none() -> Self {
        Self { tickets: None }
    }

    /// Starts to read on `runtime`, at once and then every `interval`. `publish` gets the columns
    /// of all keyspaces whenever they differ from those before.
    pub fn start(
        runtime: &Handle,
        backend: &Backend,
        interval: Duration,
        topology: &Arc<ArcSwap<Topology>>,
        publish: Publish,
    ) -> Self {
        let (wanted, wishes) = watch::channel(1);
        let (finished, done) = watch::channel(0);
        let task = Task {
            backend: backend.clone(),
            interval: interval.max(INTERVAL_MIN),
            topology: Arc::clone(topology),
            publish,
            known: Arc::default(),
            wishes,
            finished,
        };
        runtime.spawn(task.run());
        Self { tickets: Some(Tickets { wanted, done }) }
    }

    /// Waits until the first look at all keyspaces has succeeded, at most so long.
    pub async fn ready(&self, limit: Duration) {
        if let Some(tickets) = &self.tickets {
            tickets.wait(1, limit).await;
        }
    }

    /// Asks for a look, because the tables have changed, and waits until it has succeeded, at most
    /// so long.
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
        // Whoever waited too long goes on with the columns as they were.
        let _ = tokio::time::timeout(limit, reached).await;
    }
}

struct Task {
    backend: Backend,
    interval: Duration,
    topology: Arc<ArcSwap<Topology>>,
    publish: Publish,
    known: Arc<LiveColumns>,
    wishes: watch::Receiver<u64>,
    finished: watch::Sender<u64>,
}

impl Task {
    async fn run(mut self) {
        let mut retry = RETRY;
        loop {
            let ticket = *self.wishes.borrow_and_update();
            let pause = match self.look().await {
                Ok(()) => {
                    retry = RETRY;
                    self.finished.send_replace(ticket);
                    self.interval
                }
                Err(error) => {
                    if retry == RETRY {
                        tracing::warn!(%error, "cannot read the columns of a keyspace");
                    }
                    let pause = retry.min(self.interval);
                    retry = (retry * 2).min(self.interval);
                    pause
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(pause, self.wishes.changed()).await {
                // Nobody can ask any more: the proxy ends.
                return;
            }
        }
    }

    /// Reads all keyspaces; one that fails does not keep the others from being read.
    async fn look(&mut self) -> Result<(), Problem> {
        let topology = self.topology.load_full();
        let mut columns = LiveColumns::clone(&self.known);
        let mut problem = None;
        for (index, keyspace) in topology.keyspaces() {
            match self.read(&topology, index).await {
                Ok(rows) => columns = columns.with_keyspace(&keyspace.name, rows),
                Err(cause) => {
                    let keyspace = keyspace.name.to_string();
                    problem = Some(Problem { keyspace, cause });
                }
            }
        }
        if columns != *self.known {
            tracing::info!(tables = columns.len(), "the servers' columns are read");
            self.known = Arc::new(columns);
            (self.publish)(Arc::clone(&self.known));
        }
        problem.map_or(Ok(()), Err)
    }

    /// The rows of the first shard that answers.
    async fn read(
        &self,
        topology: &Topology,
        keyspace: KeyspaceIndex,
    ) -> Result<Vec<ColumnRow>, String> {
        let database = &topology.keyspace(keyspace).database;
        let mut cause = "no server takes writes".to_owned();
        for shard in topology.shards(keyspace) {
            let Some(primary) = topology.primary(shard) else { continue };
            let asked = ask(&topology.server(primary).address, &self.backend, database);
            match tokio::time::timeout(LOOK, asked).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) => cause = error,
                Err(_) => cause = format!("no answer within {LOOK:?}"),
            }
        }
        Err(cause)
    }
}

/// Which keyspace could not be read.
#[derive(Debug)]
struct Problem {
    keyspace: String,
    cause: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keyspace {}: {}", self.keyspace, self.cause)
    }
}

/// Reads over a connection of its own: a look is too rare to keep one.
async fn ask(
    address: &Address,
    backend: &Backend,
    database: &str,
) -> Result<Vec<ColumnRow>, String> {
    let text = |error: mysql_async::Error| error.to_string();
    let mut connection = Conn::new(probe::opts(address, backend)).await.map_err(text)?;
    let rows: Vec<Row> = connection.exec(QUERY, (database,)).await.map_err(text)?;
    // An answer is an answer, however the connection ends.
    let _ = connection.disconnect().await;
    rows.into_iter().map(column).collect()
}

/// What MySQL and MariaDB have in the columns of [`QUERY`].
type Cells = (
    String,
    String,
    u64,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<u64>,
    Option<u64>,
);

fn column(row: Row) -> Result<ColumnRow, String> {
    let cells: Cells = from_row_opt(row).map_err(|error| error.to_string())?;
    let (table, name, position, data_type, column_type, collation, nullable, extra, length, scale) =
        cells;
    Ok(ColumnRow {
        table,
        name,
        position,
        data_type,
        column_type,
        collation,
        nullable,
        extra: extra.unwrap_or_default(),
        length,
        scale,
    })
}
