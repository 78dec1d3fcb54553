//! What clients and connections must have in common.

use super::passed::AttributeSet;
use crate::wire::capability::Capabilities;

/// What must be the same of a client and of the connections that its statements run on: the
/// capabilities that change how a server frames its answers, counts rows or what it allows, so that
/// answers can be relayed as they are; the global variables that both have begun with; and the
/// attributes that are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    capabilities: Capabilities,
    globals: u32,
    attributes: AttributeSet,
}

impl Profile {
    /// The capabilities that must be equal on both sides.
    const MIRRORED: Capabilities = Capabilities::DEPRECATE_EOF
        .union(Capabilities::FOUND_ROWS)
        .union(Capabilities::LOCAL_FILES)
        .union(Capabilities::MULTI_RESULTS)
        .union(Capabilities::PS_MULTI_RESULTS)
        .union(Capabilities::QUERY_ATTRIBUTES)
        .union(Capabilities::OPTIONAL_RESULTSET_METADATA)
        .union(Capabilities::MARIADB_EXTENDED_METADATA)
        .union(Capabilities::MARIADB_PROGRESS);

    /// What matters of a client's capabilities.
    pub fn of(client: Capabilities) -> Self {
        let capabilities = client.intersection(Self::MIRRORED);
        Self { capabilities, globals: 0, attributes: AttributeSet::default() }
    }

    /// The same for a session that begins after so many changes of global variables.
    #[must_use]
    pub fn after_changes(self, globals: u32) -> Self {
        Self { globals, ..self }
    }

    /// The same for a client whose attributes are passed on.
    #[must_use]
    pub fn with_attributes(self, attributes: AttributeSet) -> Self {
        Self { attributes, ..self }
    }

    /// The attributes to tell a server.
    pub(super) fn attributes(self) -> AttributeSet {
        self.attributes
    }

    /// The capabilities to ask a server for.
    pub fn capabilities(self) -> Capabilities {
        self.capabilities
    }
}
