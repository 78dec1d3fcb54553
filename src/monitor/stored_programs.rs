//! Reads the triggers, stored routines and views of the servers, because they may leave something
//! behind in a session that no statement tells ([`StoredPrograms`]).
//!
//! It asks the primary of every shard. What could not be read stays as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::runtime::Handle;

use crate::config::{Address, Backend};
use crate::sql::stored_programs::{Event, Owner, StoredPrograms, StoredText};
use crate::topology::Topology;

use super::probe;
use super::reader::{Look, Reader, Unread};

/// Time for one server's answer; a large schema takes a while.
const LOOK: Duration = Duration::from_secs(10);

/// Views are read at every so many looks, and after a definition statement: MariaDB opens each of
/// them, with its tables, to tell anything of it.
const VIEWS_EVERY: u32 = 10;

/// What is read of a server, a list each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Triggers,
    Routines,
    Views,
}

const LISTS: [List; 3] = [List::Triggers, List::Routines, List::Views];

impl List {
    /// Where it stands, and the columns of a text: name, sql_mode, text, what runs it.
    fn query(self) -> (&'static str, [&'static str; 4]) {
        match self {
            Self::Triggers => (
                "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA <> 'sys'",
                ["EVENT_OBJECT_TABLE", "SQL_MODE", "ACTION_STATEMENT", "EVENT_MANIPULATION"],
            ),
            Self::Routines => (
                "information_schema.ROUTINES WHERE ROUTINE_SCHEMA NOT IN ('mysql', 'sys')",
                ["ROUTINE_NAME", "SQL_MODE", "ROUTINE_DEFINITION", "''"],
            ),
            Self::Views => (
                "information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys')",
                ["TABLE_NAME", "''", "VIEW_DEFINITION", "''"],
            ),
        }
    }

    /// The texts.
    fn texts(self) -> String {
        let (from, columns) = self.query();
        format!("SELECT {} FROM {from}", columns.join(", "))
    }

    /// Their number and a sum that another text changes.
    fn fingerprint(self) -> String {
        let (from, columns) = self.query();
        let columns = columns.join(", ");
        format!(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS('/', {columns}))), 0) AS UNSIGNED) \
             FROM {from}"
        )
    }
}

/// A list of a server, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    fingerprint: Option<(u64, u64)>,
    texts: Vec<StoredText>,
}

/// What the servers' stored programs leave behind, and the task that reads it.
#[derive(Debug)]
pub struct StoredProgramReader {
    programs: Arc<ArcSwap<StoredPrograms>>,
    revision: Arc<AtomicU64>,
    reader: Reader,
}

impl StoredProgramReader {
    /// Starts to read on `runtime`, at once and then every `interval`.
    pub fn start(
        runtime: &Handle,
        backend: &Backend,
        interval: Duration,
        topology: &Arc<ArcSwap<Topology>>,
    ) -> Self {
        let (programs, revision) = (Arc::default(), Arc::new(AtomicU64::new(1)));
        let look = StoredProgramLook {
            backend: backend.clone(),
            topology: Arc::clone(topology),
            publish: Arc::clone(&programs),
            revision: Arc::clone(&revision),
            known: Vec::new(),
            since_views: VIEWS_EVERY,
            looked_at: 0,
            published: Vec::new(),
        };
        Self { programs, revision, reader: Reader::start(runtime, interval, look) }
    }

    /// What was read last.
    pub fn programs(&self) -> Guard<Arc<StoredPrograms>> {
        self.programs.load()
    }

    /// A number that grows whenever a definition has changed, or may have.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Notes a statement that may have changed definitions.
    pub fn note_definition(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// The task.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

struct StoredProgramLook {
    backend: Backend,
    topology: Arc<ArcSwap<Topology>>,
    publish: Arc<ArcSwap<StoredPrograms>>,
    revision: Arc<AtomicU64>,
    /// The last texts of every primary.
    known: Vec<(Address, [Known; 3])>,
    /// Looks since views were read, and the revision then.
    since_views: u32,
    looked_at: u64,
    /// Those that were handed on.
    published: Vec<StoredText>,
}

impl StoredProgramLook {
    /// The primaries of all shards.
    fn primaries(&self) -> Vec<Address> {
        let topology = self.topology.load();
        let shards = topology.keyspaces().flat_map(|(keyspace, _)| topology.shards(keyspace));
        let servers = shards.filter_map(|shard| topology.primary(shard));
        let mut found: Vec<Address> = Vec::new();
        for address in servers.map(|id| &topology.server(id).address) {
            if !found.contains(address) {
                found.push(address.clone());
            }
        }
        found
    }

    /// The lists that are looked at this time.
    fn due(&mut self) -> &'static [List] {
        let revision = self.revision.load(Ordering::Acquire);
        self.since_views += 1;
        if std::mem::replace(&mut self.looked_at, revision) == revision
            && self.since_views < VIEWS_EVERY
        {
            return &LISTS[..2];
        }
        self.since_views = 0;
        &LISTS
    }

    fn note(&mut self, address: Address, answer: Answer) {
        let place = self.known.iter().position(|(known, _)| *known == address);
        if !answer.sees_triggers && place.is_none() {
            tracing::warn!(
                server = %address,
                "Geogate's account may see no triggers (grant it TRIGGER): what they set in sessions \
                 and which locks they take is not followed"
            );
        }
        match place {
            Some(place) if self.known[place].1 == answer.lists => return,
            Some(place) => self.known[place].1 = answer.lists,
            None => self.known.push((address, answer.lists)),
        }
        // What was read for this is no reason to read again.
        self.revision.fetch_add(1, Ordering::AcqRel);
        self.looked_at += 1;
    }

    fn publish(&mut self) {
        let mut texts: Vec<StoredText> = self
            .known
            .iter()
            .flat_map(|(_, lists)| lists)
            .flat_map(|list| &list.texts)
            .cloned()
            .collect();
        texts.sort();
        texts.dedup();
        if texts == self.published {
            return;
        }
        let programs = StoredPrograms::of(&texts);
        self.published = texts;
        if programs != **self.publish.load() {
            self.publish.store(Arc::new(programs));
        }
    }
}

impl Look for StoredProgramLook {
    const WHAT: &'static str = "the triggers, routines and views of a server";

    async fn look(&mut self) -> Result<(), Unread> {
        let mut problem = None;
        let due = self.due();
        for address in self.primaries() {
            let known = self.known.iter().find(|(known, _)| *known == address);
            let known = known.map(|(_, lists)| lists.clone()).unwrap_or_default();
            let asked = ask(&address, &self.backend, due, known);
            let cause = match tokio::time::timeout(LOOK, asked).await {
                Ok(Ok(answer)) => {
                    self.note(address, answer);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {LOOK:?}"),
            };
            // A server that has just been defined at answers; others may be down for long.
            problem = Some(Unread { what: address.to_string(), cause, counts: true });
        }
        if problem.is_some() {
            // What was due is due again.
            self.since_views = VIEWS_EVERY;
        }
        self.publish();
        problem.map_or(Ok(()), Err)
    }
}

/// Whether an account with these grants may see any trigger. What a role may is not looked at.
fn may_see_triggers(grants: &[String]) -> bool {
    let shows = |grant: &String| {
        let (privileges, object) = grant.split_once(" ON ").unwrap_or((grant, ""));
        object.is_empty() || ["ALL", "TRIGGER"].iter().any(|name| privileges.contains(name))
    };
    grants.iter().filter(|grant| !grant.ends_with(" TO PUBLIC")).any(shows)
}

/// What a server answered.
struct Answer {
    lists: [Known; 3],
    sees_triggers: bool,
}

/// Reads what has changed, over a connection of its own: a look is too rare to keep one.
async fn ask(
    address: &Address,
    backend: &Backend,
    due: &[List],
    mut lists: [Known; 3],
) -> Result<Answer, mysql_async::Error> {
    let mut connection = Conn::new(probe::opts(address, backend)).await?;
    let grants: Vec<String> = connection.query("SHOW GRANTS").await?;
    let sees_triggers = may_see_triggers(&grants);
    for (list, known) in LISTS.into_iter().zip(&mut lists) {
        // A server that is new is asked everything.
        if known.fingerprint.is_some() && !due.contains(&list) {
            continue;
        }
        let fingerprint = connection.query_first(list.fingerprint()).await?;
        if fingerprint != known.fingerprint {
            let texts = read(&mut connection, list).await?;
            *known = Known { fingerprint, texts };
        }
    }
    // An answer is an answer, however the connection ends.
    let _ = connection.disconnect().await;
    Ok(Answer { lists, sees_triggers })
}

async fn read(connection: &mut Conn, list: List) -> Result<Vec<StoredText>, mysql_async::Error> {
    type Row = (String, String, Option<String>, String);
    let rows: Vec<Row> = connection.query(list.texts()).await?;
    let mut texts = Vec::new();
    for (name, sql_mode, text, events) in rows {
        // An empty text is one that may not be seen.
        let text = text.filter(|text| !text.is_empty());
        let owners: Vec<Owner> = match list {
            List::Triggers => {
                let events = events.split(',').filter_map(|event| Event::by_name(event.trim()));
                events.map(Owner::Table).collect()
            }
            List::Routines => vec![Owner::Routine],
            List::Views => vec![Owner::View],
        };
        texts.extend(owners.into_iter().map(|owner| {
            let (name, sql_mode, text) = (name.clone(), sql_mode.clone(), text.clone());
            StoredText { owner, name, sql_mode, text }
        }));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::may_see_triggers;

    #[test]
    fn grants_tell_whether_triggers_are_seen() {
        let may = |grants: &[&str]| {
            may_see_triggers(&grants.iter().map(|grant| (*grant).to_owned()).collect::<Vec<_>>())
        };
        assert!(may(&["GRANT ALL PRIVILEGES ON *.* TO `a`@`%`"]));
        assert!(may(&["GRANT USAGE ON *.* TO `a`", "GRANT SELECT, TRIGGER ON `b`.* TO `a`"]));
        assert!(may(&["GRANT USAGE ON *.* TO `a`", "GRANT `role` TO `a`@`%`"]));
        assert!(!may(&["GRANT USAGE ON *.* TO `a`", "GRANT SELECT, INSERT ON `trigger`.* TO `a`"]));
        assert!(!may(&["GRANT SELECT ON *.* TO `a`", "GRANT TRIGGER ON `test`.* TO PUBLIC"]));
    }
}
