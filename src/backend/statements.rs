//! The prepared statements of one server connection: a bounded cache.

use std::collections::HashMap;
use std::sync::Arc;

/// A statement prepared on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatement {
    /// The server's id of it, valid on that connection only.
    pub id: u32,
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
    pub fn find(&mut self, text: &[u8]) -> Option<ServerStatement> {
        self.clock += 1;
        let entry = self.readings.get_mut(self.current?)?.by_text.get_mut(text)?;
        entry.used = self.clock;
        Some(entry.statement)
    }

    /// Enters a statement under the present reading, which must be known. Also gives the id that
    /// must be closed: that of the statement pushed out, or of an older one with the same text.
    pub fn insert(&mut self, text: &[u8], id: u32) -> (ServerStatement, Option<u32>) {
        self.clock += 1;
        let statement = ServerStatement { id };
        let entry = Entry { statement, used: self.clock };
        let reading = self.current.and_then(|place| self.readings.get_mut(place));
        let Some(reading) = reading else { return (statement, None) };
        if let Some(old) = reading.by_text.insert(text.into(), entry) {
            return (statement, Some(old.statement.id));
        }
        self.len += 1;
        let evicted = if self.len > self.capacity { self.evict() } else { None };
        (statement, evicted)
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
        let mut statements = Statements::new(2);
        statements.enter(b"db".to_vec());
        assert_eq!(statements.insert(b"a", 1).1, None);
        assert_eq!(statements.insert(b"b", 2).1, None);
        assert_eq!(statements.find(b"a"), Some(ServerStatement { id: 1 }));
        assert_eq!(statements.insert(b"c", 3).1, Some(2));
        assert_eq!(statements.find(b"b"), None);
        assert_eq!(statements.insert(b"c", 4).1, Some(3));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn a_text_is_another_statement_in_another_database() {
        let mut statements = Statements::new(2);
        statements.enter(b"a".to_vec());
        assert_eq!(statements.insert(b"t", 1).1, None);
        statements.leave();
        assert_eq!(statements.find(b"t"), None);
        statements.enter(b"b".to_vec());
        assert_eq!(statements.find(b"t"), None);
        assert_eq!(statements.insert(b"t", 2).1, None);
        statements.enter(b"a".to_vec());
        assert_eq!(statements.find(b"t"), Some(ServerStatement { id: 1 }));
        assert_eq!(statements.insert(b"u", 3).1, Some(2));
    }
}
