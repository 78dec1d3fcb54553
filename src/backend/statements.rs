//! The prepared statements of one server connection: a bounded cache.
//!
//! A statement lives as long as its *owner*, the text of a client's prepared statement: when the
//! client has closed it, or has gone, it is an orphan, which is closed once its connection rests.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// A statement prepared on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatement {
    /// The server's id of it, valid on that connection only.
    pub id: u32,
}

/// The text of a client's prepared statement, for which a server was asked to prepare something.
pub type Owner = Arc<[u8]>;

/// A statement that was taken out of the cache, because a cursor is open on it: nobody else may
/// execute it, and it is not pushed out.
#[derive(Debug, PartialEq, Eq)]
pub struct Exclusive {
    /// The server's id of it.
    pub id: u32,
    text: Arc<[u8]>,
    reading: Vec<u8>,
}

/// Statements by their text and by what the server read it under, the least recently used one
/// leaves first.
///
/// A server resolves names when it prepares, so the same text is another statement in another
/// database or under another sql_mode. What it depends on is the *reading*, entered by
/// [`Statements::enter`].
#[derive(Debug)]
pub struct Statements {
    readings: Vec<Reading>,
    /// Place of the reading that the connection is in; `None` after a change.
    current: Option<usize>,
    len: usize,
    capacity: usize,
    clock: u64,
}

/// The statements prepared under one database and one set of settings.
#[derive(Debug, Default)]
struct Reading {
    key: Vec<u8>,
    by_text: HashMap<Arc<[u8]>, Entry>,
}

#[derive(Debug)]
struct Entry {
    statement: ServerStatement,
    used: u64,
    owner: Weak<[u8]>,
}

impl Statements {
    /// A cache for `capacity` statements; 0 counts as 1, because executing needs one.
    pub fn new(capacity: usize) -> Self {
        Self { readings: Vec::new(), current: None, len: 0, capacity: capacity.max(1), clock: 0 }
    }

    /// Whether the reading must be entered anew.
    pub fn is_lost(&self) -> bool {
        self.current.is_none()
    }

    /// Notes that the connection's database or settings have changed.
    pub fn leave(&mut self) {
        self.current = None;
    }

    /// Enters the reading that `key` describes completely.
    pub fn enter(&mut self, key: Vec<u8>) {
        let known = self.readings.iter().position(|reading| reading.key == key);
        // A reading without statements is as good as a new one, so there are never many.
        let place =
            known.or_else(|| self.readings.iter().position(|reading| reading.by_text.is_empty()));
        let place = place.unwrap_or_else(|| {
            self.readings.push(Reading::default());
            self.readings.len() - 1
        });
        self.readings[place].key = key;
        self.current = Some(place);
    }

    /// The statement with this text, if it is prepared under the present reading.
    pub fn find(&mut self, text: &[u8], owner: &Owner) -> Option<ServerStatement> {
        self.find_at(self.current?, text, owner)
    }

    /// The same under another reading.
    pub fn find_under(
        &mut self,
        key: &[u8],
        text: &[u8],
        owner: &Owner,
    ) -> Option<ServerStatement> {
        let place = self.readings.iter().position(|reading| reading.key == key)?;
        self.find_at(place, text, owner)
    }

    fn find_at(&mut self, place: usize, text: &[u8], owner: &Owner) -> Option<ServerStatement> {
        self.clock += 1;
        let entry = self.readings.get_mut(place)?.by_text.get_mut(text)?;
        entry.used = self.clock;
        if entry.owner.strong_count() == 0 {
            entry.owner = Arc::downgrade(owner);
        }
        Some(entry.statement)
    }

    /// Enters a statement under the present reading, which must be known. Also gives the id that
    /// must be closed: that of the statement pushed out, or of an older one with the same text.
    pub fn insert(
        &mut self,
        text: &[u8],
        id: u32,
        owner: &Owner,
    ) -> (ServerStatement, Option<u32>) {
        self.clock += 1;
        let statement = ServerStatement { id };
        let entry = Entry { statement, used: self.clock, owner: Arc::downgrade(owner) };
        let reading = self.current.and_then(|place| self.readings.get_mut(place));
        let Some(reading) = reading else { return (statement, None) };
        if let Some(old) = reading.by_text.insert(text.into(), entry) {
            return (statement, Some(old.statement.id));
        }
        self.len += 1;
        let evicted = if self.len > self.capacity { self.evict() } else { None };
        (statement, evicted)
    }

    /// Takes the statement with this text out, if it is prepared under the present reading.
    pub fn take(&mut self, text: &[u8]) -> Option<Exclusive> {
        let reading = self.readings.get_mut(self.current?)?;
        let (text, entry) = reading.by_text.remove_entry(text)?;
        self.len -= 1;
        Some(Exclusive { id: entry.statement.id, text, reading: reading.key.clone() })
    }

    /// A statement that was just prepared under the present reading and is not in the cache.
    pub fn exclusive(&self, text: &[u8], id: u32) -> Exclusive {
        let reading = self.current.and_then(|place| self.readings.get(place));
        let reading = reading.map_or(Vec::new(), |reading| reading.key.clone());
        Exclusive { id, text: text.into(), reading }
    }

    /// Puts a statement back. Gives the id that must be closed, as [`Statements::insert`] does.
    pub fn restore(&mut self, exclusive: Exclusive, owner: &Owner) -> Option<u32> {
        let current = self.current;
        let known = self.readings.iter().position(|reading| reading.key == exclusive.reading);
        self.current = Some(known.unwrap_or_else(|| {
            // An empty one is not taken over: it may be the present one.
            self.readings.push(Reading { key: exclusive.reading, by_text: HashMap::new() });
            self.readings.len() - 1
        }));
        let (_, closed) = self.insert(&exclusive.text, exclusive.id, owner);
        self.current = current;
        closed
    }

    /// Removes the statements whose owners are gone; gives their ids, which must be closed.
    pub fn remove_orphans(&mut self) -> Vec<u32> {
        let mut orphans = Vec::new();
        for reading in &mut self.readings {
            reading.by_text.retain(|_, entry| {
                let owned = entry.owner.strong_count() > 0;
                if !owned {
                    orphans.push(entry.statement.id);
                }
                owned
            });
        }
        self.len -= orphans.len();
        orphans
    }

    fn evict(&mut self) -> Option<u32> {
        let entries = self.readings.iter().enumerate().flat_map(|(place, reading)| {
            reading.by_text.iter().map(move |(text, entry)| (entry.used, place, text))
        });
        let (_, place, text) = entries.min_by_key(|(used, ..)| *used)?;
        let text = Arc::clone(text);
        let entry = self.readings[place].by_text.remove(&text)?;
        self.len -= 1;
        Some(entry.statement.id)
    }

    /// Forgets all, after the server has dropped them.
    pub fn clear(&mut self) {
        self.readings.clear();
        self.current = None;
        self.len = 0;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_one_leaves() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(2);
        statements.enter(b"db".to_vec());
        assert_eq!(statements.insert(b"a", 1, &owner).1, None);
        assert_eq!(statements.insert(b"b", 2, &owner).1, None);
        assert_eq!(statements.find(b"a", &owner), Some(ServerStatement { id: 1 }));
        assert_eq!(statements.insert(b"c", 3, &owner).1, Some(2));
        assert_eq!(statements.find(b"b", &owner), None);
        assert_eq!(statements.insert(b"c", 4, &owner).1, Some(3));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn a_text_is_another_statement_in_another_database() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(2);
        statements.enter(b"a".to_vec());
        assert_eq!(statements.insert(b"t", 1, &owner).1, None);
        statements.leave();
        assert_eq!(statements.find(b"t", &owner), None);
        statements.enter(b"b".to_vec());
        assert_eq!(statements.find(b"t", &owner), None);
        assert_eq!(statements.insert(b"t", 2, &owner).1, None);
        statements.enter(b"a".to_vec());
        assert_eq!(statements.find(b"t", &owner), Some(ServerStatement { id: 1 }));
        assert_eq!(statements.insert(b"u", 3, &owner).1, Some(2));
    }

    #[test]
    fn a_statement_lives_as_long_as_its_owner() {
        let (one, two): (Owner, Owner) = (b"one"[..].into(), b"two"[..].into());
        let mut statements = Statements::new(9);
        statements.enter(b"a".to_vec());
        statements.insert(b"t", 1, &one);
        statements.insert(b"u", 2, &two);
        drop(one);
        // Whoever uses an orphan becomes its owner.
        assert!(statements.find(b"t", &two).is_some());
        assert!(statements.remove_orphans().is_empty());
        drop(two);
        let mut orphans = statements.remove_orphans();
        orphans.sort_unstable();
        assert_eq!(orphans, [1, 2]);
        assert!(statements.is_empty());
    }

    #[test]
    fn a_statement_with_a_cursor_is_nobody_elses() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(1);
        statements.enter(b"a".to_vec());
        statements.insert(b"t", 1, &owner);
        let taken = statements.take(b"t").unwrap();
        assert_eq!(statements.find(b"t", &owner), None);
        statements.enter(b"b".to_vec());
        assert_eq!(statements.restore(taken, &owner), None);
        assert_eq!(statements.find(b"t", &owner), None);
        let found = statements.find_under(b"a", b"t", &owner);
        assert_eq!(found, Some(ServerStatement { id: 1 }));
    }
}
