//! Reads the triggers, stored routines and views of the servers, because they may leave something
//! behind in a session that no statement tells ([`StoredPrograms`]).
//!
//! It asks the primary of every shard. What could not be read stays as it was.

use std::sync::Arc;
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

const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, SQL_MODE, ACTION_STATEMENT, EVENT_MANIPULATION \
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA <> 'sys'";
const ROUTINES: &str = "SELECT ROUTINE_NAME, SQL_MODE, ROUTINE_DEFINITION \
    FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA NOT IN ('mysql', 'sys')";
const VIEWS: &str = "SELECT TABLE_NAME, '', VIEW_DEFINITION \
    FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys')";

/// What the servers' stored programs leave behind, and the task that reads it.
#[derive(Debug)]
pub struct StoredProgramReader {
    programs: Arc<ArcSwap<StoredPrograms>>,
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
        let programs = Arc::default();
        let look = StoredProgramLook {
            backend: backend.clone(),
            topology: Arc::clone(topology),
            publish: Arc::clone(&programs),
            known: Vec::new(),
            published: Vec::new(),
        };
        Self { programs, reader: Reader::start(runtime, interval, look) }
    }

    /// What was read last.
    pub fn programs(&self) -> Guard<Arc<StoredPrograms>> {
        self.programs.load()
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
    /// The last texts of every primary.
    known: Vec<(Address, Vec<StoredText>)>,
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

    fn note(&mut self, address: Address, answer: Answer) {
        let before = self.known.len();
        self.known.retain(|(known, _)| *known != address);
        if !answer.sees_triggers && self.known.len() == before {
            tracing::warn!(
                server = %address,
                "Geogate's account may see no triggers (grant it TRIGGER): what they set in sessions \
                 and which locks they take is not followed"
            );
        }
        self.known.push((address, answer.texts));
    }

    fn publish(&mut self) {
        let mut texts: Vec<StoredText> =
            self.known.iter().flat_map(|(_, texts)| texts).cloned().collect();
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
        for address in self.primaries() {
            let asked = ask(&address, &self.backend);
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
    texts: Vec<StoredText>,
    sees_triggers: bool,
}

/// Reads over a connection of its own: a look is too rare to keep one.
async fn ask(address: &Address, backend: &Backend) -> Result<Answer, mysql_async::Error> {
    let mut connection = Conn::new(probe::opts(address, backend)).await?;
    let grants: Vec<String> = connection.query("SHOW GRANTS").await?;
    let sees_triggers = may_see_triggers(&grants);
    let mut texts = Vec::new();
    type Trigger = (String, String, String, String);
    let triggers: Vec<Trigger> = connection.query(TRIGGERS).await?;
    for (name, sql_mode, text, events) in triggers {
        for event in events.split(',').filter_map(|event| Event::by_name(event.trim())) {
            let (name, sql_mode, text) = (name.clone(), sql_mode.clone(), Some(text.clone()));
            texts.push(StoredText { owner: Owner::Table(event), name, sql_mode, text });
        }
    }
    for (owner, query) in [(Owner::Routine, ROUTINES), (Owner::View, VIEWS)] {
        let rows: Vec<(String, String, Option<String>)> = connection.query(query).await?;
        texts.extend(rows.into_iter().map(|(name, sql_mode, text)| StoredText {
            owner,
            name,
            sql_mode,
            // An empty text is one that may not be seen.
            text: text.filter(|text| !text.is_empty()),
        }));
    }
    // An answer is an answer, however the connection ends.
    let _ = connection.disconnect().await;
    Ok(Answer { texts, sees_triggers })
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
