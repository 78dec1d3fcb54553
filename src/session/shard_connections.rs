//! The connections that a session holds, in the order in which it took them. Their ids stay valid
//! while others come and go.

use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

use crate::backend::Lease;
use crate::geo::Placement;
use crate::topology::ServerId;

use super::hold::Hold;

/// A connection of a session. It has at most one to each server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionId(ServerId);

/// A server connection in the hands of this session.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
pub(super) struct Attached {
    pub(super) lease: Lease,
    pub(super) placement: Placement,
    /// BEGIN was sent for the session's transaction.
    pub(super) enrolled: bool,
    /// The server said that a transaction is open.
    pub(super) in_transaction: bool,
    /// Rows were written without autocommit, perhaps in tables without transactions: COMMIT and
    /// ROLLBACK have something to say about them.
    pub(super) unfinished: bool,
    /// What the session has there that cannot be mirrored.
    pub(super) holds: Vec<Hold>,
    /// User variables whose value is there only.
    pub(super) live: Vec<String>,
    /// SET TRANSACTION was sent for the statement that runs, which may begin no transaction.
    pub(super) one_shot: bool,
    /// What the server remembers of the last statement may be asked for by the next one.
    pub(super) held: bool,
    /// LAST_INSERT_ID() may have changed in a way that the answer did not tell.
    pub(super) insert_id_unknown: bool,
    /// The insert id of the last answer that had one: one that was generated, or given.
    pub(super) told_insert_id: u64,
    /// A statement is prepared there under a name, for one execution.
    pub(super) prepared_once: bool,
    /// Cursors that are open there.
    pub(super) cursors: usize,
    /// Nobody else has used it since the session did.
    pub(super) resumed: bool,
    /// A statement that may change rows was sent there since the session has it.
    pub(super) may_have_written: bool,
    /// The last answer had warnings, which the next statement of anybody would wipe out.
    pub(super) has_warnings: bool,
}

impl Attached {
    /// A connection just taken from its pool.
    pub(super) fn new(lease: Lease, placement: Placement) -> Self {
        Self {
            lease,
            placement,
            enrolled: false,
            in_transaction: false,
            unfinished: false,
            holds: Vec::new(),
            live: Vec::new(),
            one_shot: false,
            held: false,
            insert_id_unknown: false,
            told_insert_id: 0,
            prepared_once: false,
            cursors: 0,
            resumed: false,
            may_have_written: false,
            has_warnings: false,
        }
    }

    /// Whether COMMIT and ROLLBACK go there.
    pub(super) fn takes_part(&self) -> bool {
        self.enrolled
            || self.in_transaction
            || self.unfinished
            || self.holds.contains(&Hold::NextTransaction)
    }

    /// Its part of the transaction is over.
    pub(super) fn end_transaction(&mut self) {
        self.enrolled = false;
        self.in_transaction = false;
        self.unfinished = false;
        self.holds.retain(|hold| *hold != Hold::NextTransaction);
    }

    /// Whether there is anything that only the present session may see.
    pub(super) fn is_dirty(&self) -> bool {
        self.takes_part()
            || self.one_shot
            || self.prepared_once
            || self.insert_id_unknown
            || !self.live.is_empty()
            || !self.holds.is_empty()
            || self.lease.is_tainted()
    }

    /// Whether the session still needs the connection.
    pub(super) fn is_kept(&self) -> bool {
        self.takes_part() || self.held || self.cursors > 0 || !self.holds.is_empty()
    }
}

/// The connections that a session holds.
#[derive(Debug, Default)]
pub(super) struct ShardConnections(Vec<Attached>);

impl ShardConnections {
    /// Enters a connection to a server to which there was none.
    pub(super) fn push(&mut self, connection: Attached) -> ConnectionId {
        let id = ConnectionId(connection.placement.server());
        debug_assert!(self.get(id).is_none(), "one connection to each server");
        self.0.push(connection);
        id
    }

    /// The connection to a server.
    pub(super) fn to(&self, server: ServerId) -> Option<ConnectionId> {
        let id = ConnectionId(server);
        self.get(id).map(|_| id)
    }

    /// The first connection of this kind.
    pub(super) fn find(&self, wanted: impl Fn(&Attached) -> bool) -> Option<ConnectionId> {
        self.0.iter().find(|connection| wanted(connection)).map(id_of)
    }

    /// The only connection, if there is just one.
    pub(super) fn only(&self) -> Option<&Attached> {
        match &self.0[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Attached> {
        self.0.iter().find(|connection| id_of(connection) == id)
    }

    /// Takes a connection out; dropping it closes it.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Attached> {
        let at = self.place(id);
        (at < self.0.len()).then(|| self.0.remove(at))
    }

    pub(super) fn pop(&mut self) -> Option<Attached> {
        self.0.pop()
    }

    /// The ids of all connections that are held now.
    pub(super) fn ids(&self) -> SmallVec<[ConnectionId; 4]> {
        self.0.iter().map(id_of).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any was kept for one more statement only.
    pub(super) fn have_held(&self) -> bool {
        self.0.iter().any(|connection| connection.held || !connection.is_kept())
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Attached> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Attached> {
        self.0.iter_mut()
    }

    /// Where the connection stands; beyond the end if it is gone.
    #[inline]
    fn place(&self, id: ConnectionId) -> usize {
        let place = self.0.iter().position(|connection| id_of(connection) == id);
        place.unwrap_or(self.0.len())
    }
}

#[inline]
fn id_of(connection: &Attached) -> ConnectionId {
    ConnectionId(connection.placement.server())
}

/// Panics if the connection is gone: whoever takes one out forgets its id.
impl Index<ConnectionId> for ShardConnections {
    type Output = Attached;

    #[inline]
    fn index(&self, id: ConnectionId) -> &Attached {
        &self.0[self.place(id)]
    }
}

impl IndexMut<ConnectionId> for ShardConnections {
    #[inline]
    fn index_mut(&mut self, id: ConnectionId) -> &mut Attached {
        let place = self.place(id);
        &mut self.0[place]
    }
}
