//! The connections that a session holds, in the order in which it took them. Their ids stay valid
//! while others come and go.

use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

use crate::topology::ServerId;

use super::attached::Attached;

/// A connection of a session. It has at most one to each server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionId(ServerId);

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
