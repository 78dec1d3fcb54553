//! Reads the columns of every keyspace's tables from its servers, and hands them on when they
//! differ from those before.
//!
//! It asks the primary of one shard of each keyspace, because all shards of a keyspace have the
//! same tables (a definition statement that failed on some of them is reported to whoever ran it).
//! What could not be read stays as it was.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};
use tokio::runtime::Handle;

use crate::config::{Address, Backend};
use crate::planner::live_columns::{ColumnRow, LiveColumns};
use crate::topology::{KeyspaceIndex, Topology};

use super::probe;
use super::reader::{Look, Reader, Unread};

/// Time for one server's answer; a large schema takes a while.
const LOOK: Duration = Duration::from_secs(10);

const QUERY: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, \
    COLLATION_NAME, IS_NULLABLE, EXTRA, CHARACTER_MAXIMUM_LENGTH, NUMERIC_SCALE, COLUMN_DEFAULT \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?";

/// Whoever wants to know of other columns.
type Publish = Box<dyn Fn(Arc<LiveColumns>) + Send + Sync>;

/// Reads columns.
pub struct ColumnLook {
    backend: Backend,
    topology: Arc<ArcSwap<Topology>>,
    publish: Publish,
    known: Arc<LiveColumns>,
}

impl ColumnLook {
    /// Starts to read on `runtime`, at once and then every `interval`. `publish` gets the columns
    /// of all keyspaces whenever they differ from those before.
    pub fn start(
        runtime: &Handle,
        backend: &Backend,
        interval: Duration,
        topology: &Arc<ArcSwap<Topology>>,
        publish: Publish,
    ) -> Reader {
        let (backend, topology) = (backend.clone(), Arc::clone(topology));
        Reader::start(runtime, interval, Self { backend, topology, publish, known: Arc::default() })
    }
}

impl Look for ColumnLook {
    const WHAT: &'static str = "the columns of a keyspace";
    const PARTS_COUNT: bool = false;

    /// Reads all keyspaces; one that fails does not keep the others from being read.
    async fn look(&mut self) -> Result<(), Unread> {
        let topology = self.topology.load_full();
        let mut columns = LiveColumns::clone(&self.known);
        let mut problem = None;
        for (index, keyspace) in topology.keyspaces() {
            match self.read(&topology, index).await {
                Ok(rows) => columns = columns.with_keyspace(&keyspace.name, rows),
                Err(cause) => {
                    let what = format!("keyspace {}", keyspace.name);
                    problem = Some(Unread { what, cause });
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
}

impl ColumnLook {
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
    Option<String>,
);

fn column(row: Row) -> Result<ColumnRow, String> {
    let cells: Cells = from_row_opt(row).map_err(|error| error.to_string())?;
    let (table, name, position, data_type, column_type, collation, nullable, extra, ..) = cells;
    let (.., length, scale, default) = cells;
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
        default,
    })
}
