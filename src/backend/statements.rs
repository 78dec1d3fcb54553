//! The prepared statements of one server connection: a bounded cache.
//!
//! A statement lives as long as its *owner*, the text of a client's prepared statement: when the
//! client has closed it, or has gone, it is an orphan, which is closed once its connection rests.
//!
//! Clients share a statement by everything that the server remembers with it: the text, the
//! *reading* (database and settings at PREPARE), and what was bound to its parameters (see
//! [`super::bound_types`]).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::bound_types::{Need, Variant};
use super::server_kind::Product;

/// A statement prepared on a connection.
#[derive(Clone, Debug)]
pub struct ServerStatement {
    /// The server's id of it, valid on that connection only.
    pub id: u32,
    /// Whether it is in the state already that the execution leaves it in.
    pub arrival: Arrival,
    /// What keeps it while a client needs that state; `None` where any will do that is just
    /// prepared.
    pub keeper: Option<Keeper>,
}

/// How a server statement comes into the state that an execution leaves it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was in it before.
    There,
    /// The execution brings it into it, unless it fails.
    Moved,
    /// The same of one that was prepared for it.
    Fresh,
}

/// Keeps a server statement from being closed or pushed out while a client has it: another that is
/// just prepared could not read what the client binds.
#[derive(Clone, Debug, Default)]
pub struct Keeper(Arc<()>);

impl Keeper {
    /// For a statement in this state.
    fn of(variant: &Variant, product: Product) -> Option<Self> {
        let is_state = match variant {
            Variant::AsPrepared => false,
            Variant::Bound(_) => product == Product::MySql,
            Variant::Own(_) => true,
        };
        is_state.then(Self::default)
    }

    /// Whether a client has it too.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// The text of a client's prepared statement, for which a server was asked to prepare something.
pub type Owner = Arc<[u8]>;

/// A statement that was taken out of the cache, because a cursor is open on it: nobody else may
/// execute it, and it is not pushed out.
#[derive(Debug)]
pub struct Exclusive {
    /// The server's id of it.
    pub id: u32,
    /// Whether it is in the state already that the execution leaves it in.
    pub arrival: Arrival,
    /// What keeps it while a client needs that state.
    pub keeper: Option<Keeper>,
    text: Arc<[u8]>,
    reading: Vec<u8>,
    variant: Variant,
    first_run: Option<Run>,
}

/// How a statement is executed. Oracle MySQL answers a plain execution of one that was first
/// executed with a cursor as if it still had one, and leaves out the end of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The answer has all rows.
    Plain,
    /// A cursor is opened on them.
    Cursor,
}

/// Statements by their text and by what the server read it under, the least recently used one
/// leaves first.
///
/// A server resolves names when it prepares, so the same text is another statement in another
/// database or under another sql_mode. What it depends on is the *reading*, entered by
/// [`Statements::enter`].
#[derive(Debug)]
pub struct Statements {
    product: Product,
    readings: Vec<Reading>,
    /// Place of the reading that was entered last.
    current: Option<usize>,
    len: usize,
    capacity: usize,
    clock: u64,
}

/// The statements prepared under one database and one set of settings.
#[derive(Debug, Default)]
struct Reading {
    key: Vec<u8>,
    /// Those of a text are nearly always one. There are never more than the capacity, so that the
    /// hash need not withstand whoever chooses texts.
    by_text: HashMap<Arc<[u8]>, SmallVec<[Entry; 1]>, RandomState>,
}

#[derive(Debug)]
struct Entry {
    id: u32,
    variant: Variant,
    keeper: Option<Keeper>,
    used: u64,
    owner: Weak<[u8]>,
    /// `None` as long as it was only prepared.
    first_run: Option<Run>,
}

impl Exclusive {
    /// Whether a client has it open that cannot have it prepared anew.
    pub fn is_needed(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_held)
    }

    /// Notes that it is in another state than was expected.
    pub fn note_state(&mut self, variant: Variant) {
        (self.variant, self.keeper) = (variant, None);
    }
}

impl Statements {
    /// A cache for `capacity` statements on a server of this product; 0 counts as 1, because
    /// executing needs one.
    pub fn new(product: Product, capacity: usize) -> Self {
        let (readings, capacity) = (Vec::new(), capacity.max(1));
        Self { product, readings, current: None, len: 0, capacity, clock: 0 }
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

    /// The statement with this text that may run what is needed, if one is prepared under the
    /// present reading. It then counts as executed.
    pub fn find(&mut self, text: &[u8], need: &Need, owner: &Owner) -> Option<ServerStatement> {
        self.find_at(self.current?, text, need, owner)
    }

    /// The same under another reading.
    pub fn find_under(
        &mut self,
        key: &[u8],
        text: &[u8],
        need: &Need,
        owner: &Owner,
    ) -> Option<ServerStatement> {
        let place = self.readings.iter().position(|reading| reading.key == key)?;
        self.find_at(place, text, need, owner)
    }

    fn find_at(
        &mut self,
        place: usize,
        text: &[u8],
        need: &Need,
        owner: &Owner,
    ) -> Option<ServerStatement> {
        self.clock += 1;
        let entries = self.readings.get_mut(place)?.by_text.get_mut(text)?;
        let at = Self::position(entries, need, self.product, Run::Plain)?;
        let entry = &mut entries[at];
        entry.used = self.clock;
        entry.first_run.get_or_insert(Run::Plain);
        let arrival = if entry.variant == need.after { Arrival::There } else { Arrival::Moved };
        if arrival == Arrival::Moved {
            entry.first_run = Some(Run::Plain);
            entry.variant = entry.variant.after(need, self.product);
            entry.keeper = Keeper::of(&entry.variant, self.product);
        }
        // One's own must not go with whoever had it prepared.
        if entry.owner.strong_count() == 0 || matches!(entry.variant, Variant::Own(_)) {
            entry.owner = Arc::downgrade(owner);
        }
        Some(ServerStatement { id: entry.id, arrival, keeper: entry.keeper.clone() })
    }

    /// Notes that a plain execution of a statement has failed, perhaps before it ran, so that the
    /// next one may be the first; and that it is in another state than was expected.
    pub fn note_failed(&mut self, id: u32, other_state: Option<Variant>) {
        let mut entries = self.readings.iter_mut().flat_map(|r| r.by_text.values_mut().flatten());
        let Some(entry) = entries.find(|entry| entry.id == id) else { return };
        entry.first_run = None;
        if let Some(variant) = other_state {
            (entry.variant, entry.keeper) = (variant, None);
        }
    }

    /// One that is in the state that is needed afterwards is taken before one that is brought into
    /// it, which others may want as it is.
    fn position(entries: &[Entry], need: &Need, product: Product, run: Run) -> Option<usize> {
        let serves =
            |entry: &Entry| entry.variant.serves(need, product) && entry.answers(run, product);
        let is_there = |entry: &Entry| entry.variant == need.after;
        let there = entries.iter().position(|entry| is_there(entry) && serves(entry));
        there.or_else(|| entries.iter().position(serves))
    }

    /// Enters a statement in this state under the present reading, which must be known. Also gives
    /// the id that must be closed: that of the statement pushed out, or of an older one that is
    /// the same.
    pub fn insert(
        &mut self,
        text: &[u8],
        id: u32,
        variant: Variant,
        owner: &Owner,
        first_run: Option<Run>,
    ) -> (ServerStatement, Option<u32>) {
        let keeper = Keeper::of(&variant, self.product);
        self.insert_kept(text, id, (variant, keeper), owner, first_run)
    }

    fn insert_kept(
        &mut self,
        text: &[u8],
        id: u32,
        (variant, keeper): (Variant, Option<Keeper>),
        owner: &Owner,
        first_run: Option<Run>,
    ) -> (ServerStatement, Option<u32>) {
        self.clock += 1;
        let statement = ServerStatement { id, arrival: Arrival::Fresh, keeper: keeper.clone() };
        let owner = Arc::downgrade(owner);
        let entry = Entry { id, variant, keeper, used: self.clock, owner, first_run };
        let reading = self.current.and_then(|place| self.readings.get_mut(place));
        let Some(reading) = reading else { return (statement, None) };
        let entries = match reading.by_text.get_mut(text) {
            Some(entries) => entries,
            None => reading.by_text.entry(text.into()).or_default(),
        };
        let is_same = |known: &&mut Entry| {
            let for_cursors = |entry: &Entry| entry.first_run == Some(Run::Cursor);
            known.variant == entry.variant && for_cursors(known) == for_cursors(&entry)
        };
        if let Some(same) = entries.iter_mut().find(is_same) {
            let old = std::mem::replace(same, entry);
            if old.keeper.as_ref().is_some_and(Keeper::is_held) {
                // Whoever needs the old one is as well off with this one.
                same.keeper = old.keeper;
            }
            let statement = ServerStatement { keeper: same.keeper.clone(), ..statement };
            return (statement, Some(old.id));
        }
        entries.push(entry);
        self.len += 1;
        let evicted = if self.len > self.capacity { self.evict(id) } else { None };
        (statement, evicted)
    }

    /// Takes the statement with this text out that may run what is needed, if one is prepared under
    /// the present reading.
    pub fn take(&mut self, text: &[u8], need: &Need) -> Option<Exclusive> {
        let reading = self.readings.get_mut(self.current?)?;
        let entries = reading.by_text.get_mut(text)?;
        let at = Self::position(entries, need, self.product, Run::Cursor)?;
        let entry = entries.swap_remove(at);
        let text = reading.by_text.get_key_value(text).map(|(text, _)| Arc::clone(text))?;
        reading.by_text.retain(|_, entries| !entries.is_empty());
        self.len -= 1;
        let variant = entry.variant.after(need, self.product);
        let (arrival, keeper) = if entry.variant == need.after {
            (Arrival::There, entry.keeper)
        } else {
            (Arrival::Moved, Keeper::of(&variant, self.product))
        };
        let (id, reading) = (entry.id, reading.key.clone());
        let first_run = match entry.first_run {
            Some(run) if arrival == Arrival::There => Some(run),
            _ => Some(Run::Cursor),
        };
        Some(Exclusive { id, arrival, keeper, text, reading, variant, first_run })
    }

    /// A statement that was just prepared under the present reading and is not in the cache.
    pub fn exclusive(&self, text: &[u8], id: u32, variant: Variant) -> Exclusive {
        let reading = self.current.and_then(|place| self.readings.get(place));
        let reading = reading.map_or(Vec::new(), |reading| reading.key.clone());
        let (arrival, keeper) = (Arrival::Fresh, Keeper::of(&variant, self.product));
        let (text, first_run) = (text.into(), Some(Run::Cursor));
        Exclusive { id, arrival, keeper, text, reading, variant, first_run }
    }

    /// Puts a statement back. Gives the id that must be closed, as [`Statements::insert`] does.
    pub fn restore(&mut self, exclusive: Exclusive, owner: &Owner) -> Option<u32> {
        let current = self.current;
        let known = self.readings.iter().position(|reading| reading.key == exclusive.reading);
        self.current = Some(known.unwrap_or_else(|| {
            // An empty one is not taken over: it may be the present one.
            self.readings.push(Reading { key: exclusive.reading, by_text: HashMap::default() });
            self.readings.len() - 1
        }));
        let Exclusive { id, keeper, text, variant, first_run, .. } = exclusive;
        let (_, closed) = self.insert_kept(&text, id, (variant, keeper), owner, first_run);
        self.current = current;
        closed
    }

    /// Whether a client has a statement open of which only this connection knows how to read its
    /// parameters.
    pub fn hold_states(&self) -> bool {
        self.readings.iter().flat_map(|r| r.by_text.values().flatten()).any(Entry::is_needed)
    }

    /// Removes the statements whose owners are gone; gives their ids, which must be closed.
    pub fn remove_orphans(&mut self) -> Vec<u32> {
        let mut orphans = Vec::new();
        for reading in &mut self.readings {
            reading.remove_if(Entry::is_orphan, |entry| orphans.push(entry.id));
        }
        self.len -= orphans.len();
        orphans
    }

    /// Pushes one out, but not the one that has just come and is about to be executed.
    fn evict(&mut self, newest: u32) -> Option<u32> {
        let entries = self.readings.iter().flat_map(|reading| reading.by_text.values().flatten());
        let entries = entries.filter(|entry| entry.id != newest);
        // Last of all one that cannot be prepared anew.
        let loss = |entry: &&Entry| (entry.is_needed(), entry.used);
        let oldest = entries.min_by_key(loss)?.id;
        for reading in &mut self.readings {
            self.len -= reading.remove_if(|entry| entry.id == oldest, |_| {});
        }
        Some(oldest)
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

impl Entry {
    /// Whether it answers such an execution as one that was just prepared would. One that others
    /// execute too serves either cursors or plain executions: after a definition the server
    /// prepares it again, and then its first execution may be one with a cursor.
    fn answers(&self, run: Run, product: Product) -> bool {
        let is_own = matches!(self.variant, Variant::Own(_));
        match (self.first_run, run) {
            _ if product != Product::MySql => true,
            (None, _) | (Some(Run::Plain), Run::Plain) | (Some(Run::Cursor), Run::Cursor) => true,
            (Some(Run::Plain), Run::Cursor) => is_own,
            (Some(Run::Cursor), Run::Plain) => false,
        }
    }

    /// Whether a client has it open that cannot have it prepared anew.
    fn is_needed(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_held)
    }

    /// Whether no client has it open.
    fn is_orphan(&self) -> bool {
        self.owner.strong_count() == 0 && !self.is_needed()
    }
}

impl Reading {
    /// Removes entries; gives how many.
    fn remove_if(
        &mut self,
        is_removed: impl Fn(&Entry) -> bool,
        mut removed: impl FnMut(&Entry),
    ) -> usize {
        let mut count = 0;
        self.by_text.retain(|_, entries| {
            entries.retain(|entry| {
                let goes = is_removed(entry);
                if goes {
                    count += 1;
                    removed(entry);
                }
                !goes
            });
            !entries.is_empty()
        });
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::bound_types::{Fresh, ValueKind};

    fn id(found: Option<ServerStatement>) -> Option<u32> {
        found.map(|statement| statement.id)
    }

    #[test]
    fn the_least_recently_used_one_leaves() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(Product::MariaDb, 2);
        statements.enter(b"db".to_vec());
        assert_eq!(statements.insert(b"a", 1, Variant::AsPrepared, &owner, None).1, None);
        assert_eq!(statements.insert(b"b", 2, Variant::AsPrepared, &owner, None).1, None);
        assert_eq!(id(statements.find(b"a", &Need::AS_PREPARED, &owner)), Some(1));
        assert_eq!(statements.insert(b"c", 3, Variant::AsPrepared, &owner, None).1, Some(2));
        assert_eq!(id(statements.find(b"b", &Need::AS_PREPARED, &owner)), None);
        assert_eq!(statements.insert(b"c", 4, Variant::AsPrepared, &owner, None).1, Some(3));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn one_that_has_just_come_stays_among_those_that_clients_need() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(Product::MySql, 2);
        statements.enter(b"db".to_vec());
        let (_kept, evicted) = statements.insert(b"a", 1, Variant::Own(1), &owner, None);
        assert_eq!(evicted, None);
        let (_kept_too, evicted) = statements.insert(b"b", 2, Variant::Own(2), &owner, None);
        assert_eq!(evicted, None);
        assert_eq!(statements.insert(b"c", 3, Variant::AsPrepared, &owner, None).1, Some(1));
        assert_eq!(statements.insert(b"d", 4, Variant::AsPrepared, &owner, None).1, Some(3));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn a_shared_statement_serves_cursors_or_plain_executions() {
        let owner: Owner = b"text"[..].into();
        let need = &Need::AS_PREPARED;
        for (product, mixes) in [(Product::MySql, false), (Product::MariaDb, true)] {
            let mut statements = Statements::new(product, 9);
            statements.enter(b"db".to_vec());
            statements.insert(b"t", 1, Variant::AsPrepared, &owner, None);
            let taken = statements.take(b"t", need).unwrap();
            assert_eq!(statements.restore(taken, &owner), None);
            assert_eq!(statements.find(b"t", need, &owner).is_some(), mixes);
            assert!(statements.take(b"t", need).is_some());
            // The same for one that began without.
            statements.insert(b"t", 2, Variant::AsPrepared, &owner, Some(Run::Plain));
            assert_eq!(id(statements.find(b"t", need, &owner)), Some(2));
            assert_eq!(statements.take(b"t", need).is_some(), mixes);
            // Perhaps that execution has not begun.
            statements.note_failed(2, None);
            assert_eq!(statements.take(b"t", need).is_some(), !mixes);
        }
    }

    #[test]
    fn whoever_prepares_it_again_decides_how_it_answers() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(Product::MySql, 9);
        statements.enter(b"db".to_vec());
        let (before, after) = (Variant::Own(1), Variant::Own(2));
        let own = Need { before: before.clone(), after: before, fresh: Fresh::WillDo };
        let moves = Need { after, ..own.clone() };
        statements.insert(b"t", 1, Variant::Own(1), &owner, Some(Run::Plain));
        let taken = statements.take(b"t", &own).expect("a client's own serves both");
        assert_eq!(statements.restore(taken, &owner), None);
        assert!(statements.find(b"t", &own, &owner).is_some());
        let taken = statements.take(b"t", &moves).expect("it is moved");
        assert_eq!(statements.restore(taken, &owner), None);
        let there = Need { before: Variant::Own(2), ..moves };
        assert!(statements.find(b"t", &there, &owner).is_none());
    }

    #[test]
    fn a_text_is_another_statement_in_another_database() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(Product::MariaDb, 2);
        statements.enter(b"a".to_vec());
        assert_eq!(statements.insert(b"t", 1, Variant::AsPrepared, &owner, None).1, None);
        statements.enter(b"b".to_vec());
        assert_eq!(id(statements.find(b"t", &Need::AS_PREPARED, &owner)), None);
        assert_eq!(statements.insert(b"t", 2, Variant::AsPrepared, &owner, None).1, None);
        statements.enter(b"a".to_vec());
        assert_eq!(id(statements.find(b"t", &Need::AS_PREPARED, &owner)), Some(1));
        assert_eq!(statements.insert(b"u", 3, Variant::AsPrepared, &owner, None).1, Some(2));
    }

    #[test]
    fn a_statement_lives_as_long_as_its_owner() {
        let (one, two): (Owner, Owner) = (b"one"[..].into(), b"two"[..].into());
        let mut statements = Statements::new(Product::MariaDb, 9);
        statements.enter(b"a".to_vec());
        statements.insert(b"t", 1, Variant::AsPrepared, &one, None);
        statements.insert(b"u", 2, Variant::AsPrepared, &two, None);
        drop(one);
        // Whoever uses an orphan becomes its owner.
        assert!(statements.find(b"t", &Need::AS_PREPARED, &two).is_some());
        assert!(statements.remove_orphans().is_empty());
        drop(two);
        let mut orphans = statements.remove_orphans();
        orphans.sort_unstable();
        assert_eq!(orphans, [1, 2]);
        assert!(statements.is_empty());
    }

    #[test]
    fn a_statement_of_ones_own_stays_when_another_closes_its() {
        let (one, two): (Owner, Owner) = (b"one"[..].into(), b"two"[..].into());
        let mut statements = Statements::new(Product::MySql, 9);
        statements.enter(b"a".to_vec());
        statements.insert(b"t", 1, Variant::AsPrepared, &one, None);
        let after = Variant::Own(7);
        let need = Need { before: Variant::AsPrepared, after, fresh: Fresh::WillDo };
        let found = statements.find(b"t", &need, &two).unwrap();
        assert_eq!(found.id, 1);
        drop(one);
        assert!(statements.remove_orphans().is_empty() && statements.hold_states());
        assert_eq!(id(statements.find(b"t", &Need::AS_PREPARED, &two)), None);
    }

    #[test]
    fn a_state_stays_as_long_as_any_client_is_in_it() {
        let (one, two): (Owner, Owner) = (b"one"[..].into(), b"two"[..].into());
        let mut statements = Statements::new(Product::MySql, 1);
        statements.enter(b"a".to_vec());
        let after = Variant::Bound([ValueKind::Double].into_iter().collect());
        let need = Need { before: Variant::AsPrepared, after, fresh: Fresh::WillDo };
        statements.insert(b"t", 1, need.after.clone(), &one, Some(Run::Plain));
        let found = statements.find(b"t", &need, &two).unwrap();
        assert_eq!((found.id, found.arrival), (1, Arrival::There));
        drop(one);
        assert!(statements.remove_orphans().is_empty() && statements.hold_states());
        // It is the last to be pushed out.
        assert_eq!(statements.insert(b"u", 2, Variant::AsPrepared, &two, None).1, Some(1));
        drop(found);
        assert!(!statements.hold_states());
    }

    #[test]
    fn a_statement_with_a_cursor_is_nobody_elses() {
        let owner: Owner = b"text"[..].into();
        let mut statements = Statements::new(Product::MariaDb, 1);
        statements.enter(b"a".to_vec());
        statements.insert(b"t", 1, Variant::AsPrepared, &owner, None);
        let taken = statements.take(b"t", &Need::AS_PREPARED).unwrap();
        assert_eq!(id(statements.find(b"t", &Need::AS_PREPARED, &owner)), None);
        statements.enter(b"b".to_vec());
        assert_eq!(statements.restore(taken, &owner), None);
        assert_eq!(id(statements.find(b"t", &Need::AS_PREPARED, &owner)), None);
        let found = statements.find_under(b"a", b"t", &Need::AS_PREPARED, &owner);
        assert_eq!(id(found), Some(1));
    }
}
