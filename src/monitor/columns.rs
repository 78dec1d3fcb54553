//! Reads the columns of every keyspace's tables from its servers, and hands them on when they
//! differ from those before.
//!
//! It asks the primary of every shard: a definition statement may have been run on some of them
//! only. A shard that does not answer keeps what it said last; one that never did is taken to be
//! like the others. Of a table that shards define differently only what is true on each of them is
//! known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{Address, Backend};
use crate::planner::live_columns::{ColumnRow, LiveColumns, SeenTables, ShardTables, ViewRow};
use crate::topology::{KeyspaceIndex, ShardId, Topology};

use super::probe;
use super::reader::{Look, Reader, Unread};

/// Time for one server's answer; a large schema takes a while.
const LOOK: Duration = Duration::from_secs(10);

const QUERY: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, \
    COLLATION_NAME, IS_NULLABLE, EXTRA, CHARACTER_MAXIMUM_LENGTH, NUMERIC_SCALE, COLUMN_DEFAULT \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?";

const VIEWS: &str = "SELECT TABLE_NAME, VIEW_DEFINITION \
    FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?";

/// How many servers are asked at once.
const AT_ONCE: usize = 16;

/// Whoever wants to know of other columns.
type Publish = Box<dyn Fn(Arc<LiveColumns>) + Send + Sync>;

/// Reads columns.
pub struct ColumnLook {
    backend: Backend,
    topology: Arc<ArcSwap<Topology>>,
    publish: Publish,
    known: Arc<LiveColumns>,
    /// The last answer of every shard.
    seen: HashMap<ShardId, Arc<SeenTables>>,
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
        let (known, seen) = (Arc::default(), HashMap::new());
        Reader::start(runtime, interval, Self { backend, topology, publish, known, seen })
    }
}

impl Look for ColumnLook {
    const WHAT: &'static str = "the columns of a keyspace";

    /// Reads all keyspaces; a shard that fails does not keep the others from being read.
    async fn look(&mut self) -> Result<(), Unread> {
        let topology = self.topology.load_full();
        let problem = self.ask_all(&topology).await;
        let mut columns = LiveColumns::clone(&self.known);
        for (index, keyspace) in topology.keyspaces() {
            let shards = self.share(&topology, index);
            if shards.iter().any(|shard| shard.seen.is_some()) {
                columns = columns.with_shards(&keyspace.name, &keyspace.database, &shards);
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
    /// Asks every shard, several at once, and gives a problem of one.
    async fn ask_all(&mut self, topology: &Topology) -> Option<Unread> {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut asked = JoinSet::new();
        let mut answered = HashSet::new();
        let mut problems = Vec::new();
        for (index, keyspace) in topology.keyspaces() {
            for shard in topology.shards(index) {
                let Some(primary) = topology.primary(shard) else {
                    problems.push((shard, "no server takes writes".to_owned()));
                    continue;
                };
                let address = topology.server(primary).address.clone();
                let (backend, database) = (self.backend.clone(), keyspace.database.to_string());
                let turns = Arc::clone(&turns);
                asked.spawn(async move {
                    let _turn = turns.acquire().await;
                    let asking = ask(&address, &backend, &database);
                    let answer = tokio::time::timeout(LOOK, asking).await;
                    (shard, answer.unwrap_or_else(|_| Err(format!("no answer within {LOOK:?}"))))
                });
            }
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((shard, Ok(seen))) => {
                    answered.insert(shard.keyspace());
                    self.seen.insert(shard, Arc::new(seen));
                }
                Ok((shard, Err(cause))) => problems.push((shard, cause)),
                Err(_) => {}
            }
        }
        // One that leaves a whole keyspace unread goes before others.
        problems.sort_by_key(|(shard, _)| answered.contains(&shard.keyspace()));
        problems.into_iter().next().map(|(shard, cause)| Unread {
            what: topology.shard_name(shard),
            cause,
            counts: answered.contains(&shard.keyspace()),
        })
    }

    /// What the shards of a keyspace have, each answer once.
    fn share(&mut self, topology: &Topology, keyspace: KeyspaceIndex) -> Vec<ShardTables> {
        let mut distinct: Vec<Arc<SeenTables>> = Vec::new();
        let shards = topology.shards(keyspace).map(|shard| {
            let seen = self.seen.get_mut(&shard).map(|seen| {
                match distinct.iter().find(|other| *other == seen) {
                    Some(other) => *seen = Arc::clone(other),
                    None => distinct.push(Arc::clone(seen)),
                }
                Arc::clone(seen)
            });
            ShardTables { shard: topology.shard_name(shard), seen }
        });
        shards.collect()
    }
}

/// Reads over a connection of its own: a look is too rare to keep one.
async fn ask(address: &Address, backend: &Backend, database: &str) -> Result<SeenTables, String> {
    let text = |error: mysql_async::Error| error.to_string();
    let mut connection = Conn::new(probe::opts(address, backend)).await.map_err(text)?;
    let rows: Vec<Row> = connection.exec(QUERY, (database,)).await.map_err(text)?;
    type View = (String, Option<String>);
    let views: Vec<View> = connection.exec(VIEWS, (database,)).await.map_err(text)?;
    // An answer is an answer, however the connection ends.
    let _ = connection.disconnect().await;
    let mut views: Vec<ViewRow> = views.into_iter().map(view).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(SeenTables::new(rows.into_iter().map(column).collect::<Result<_, _>>()?, views))
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

fn view((name, definition): (String, Option<String>)) -> ViewRow {
    ViewRow { name, definition: definition.unwrap_or_default() }
}
