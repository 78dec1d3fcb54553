//! Who a server is, whatever address it has: `server_uuid` of MySQL, `server_id` and
//! `gtid_domain_id` of MariaDB.
//!
//! A server that answers at an address with another identity than before is another server:
//! nothing that was known of the one before holds for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Address;
use crate::gtid::Gtids;

/// The identity of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Identity {
    /// MySQL.
    MySql {
        /// `@@server_uuid`, in lower case.
        server_uuid: String,
    },
    /// MariaDB.
    MariaDb {
        /// `@@server_id`.
        server_id: u32,
        /// `@@global.gtid_domain_id`.
        gtid_domain_id: u32,
    },
}

impl Identity {
    /// A MySQL server.
    pub fn mysql(uuid: &str) -> Self {
        Self::MySql { server_uuid: uuid.to_ascii_lowercase() }
    }

    /// Whether a replication source is this server, which listens at `address`.
    pub fn is_source(&self, address: &Address, source: &Source) -> bool {
        match (self, source) {
            (Self::MySql { server_uuid }, Source::MySql { uuid }) => {
                server_uuid.eq_ignore_ascii_case(uuid)
            }
            (Self::MariaDb { server_id, .. }, Source::MariaDb { server, host, port }) => {
                // Servers that do not share a log may have the same number.
                let elsewhere = matches!(
                    address,
                    Address::Tcp(own_host, own_port) if own_host == host && own_port != port
                );
                server_id == server && !elsewhere
            }
            _ => false,
        }
    }

    /// Whether transactions show that a server with this identity has ever followed one that had
    /// `shown`. One that has only its own was set up by itself.
    pub fn has_history_of(&self, has: &Gtids, shown: &Gtids) -> bool {
        match (self, has, shown) {
            (_, Gtids::MySql(has), Gtids::MySql(shown)) => has.shares_source(shown),
            (Self::MariaDb { server_id, .. }, Gtids::MariaDb(has), Gtids::MariaDb(shown)) => {
                has.has_others_in(shown, *server_id) || !shown.of(*server_id).is_empty()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { server_uuid } => write!(f, "server_uuid {server_uuid}"),
            Self::MariaDb { server_id, gtid_domain_id } => {
                write!(f, "server_id {server_id} with gtid_domain_id {gtid_domain_id}")
            }
        }
    }
}

/// Whom a replication channel follows, both of its threads running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// MySQL's `Source_UUID`.
    MySql {
        /// The UUID.
        uuid: String,
    },
    /// MariaDB's `Master_Server_Id`, `Master_Host` and `Master_Port`.
    MariaDb {
        /// Its number.
        server: u32,
        /// Where the replica reaches it.
        host: String,
        /// The port there.
        port: u16,
    },
}

/// Which transactions a server was seen with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The farthest that it has shown: what its replicas must have.
    pub shown: Gtids,
    /// All that it is known to have.
    pub has: Gtids,
}

impl Position {
    /// Transactions of a server that a primary has not and that did not come from it, as far as is
    /// known; `None` if there are none. What the primary itself has written since it was looked at
    /// does not count.
    pub fn beyond(&self, own: &Identity, primary: &Self, its: &Identity) -> Option<Gtids> {
        let mine = match (&self.shown, &self.has, own, its) {
            (Gtids::MySql(shown), _, _, Identity::MySql { server_uuid }) => {
                Gtids::MySql(shown.except(server_uuid))
            }
            (
                Gtids::MariaDb(shown),
                Gtids::MariaDb(has),
                Identity::MariaDb { server_id: own, .. },
                Identity::MariaDb { server_id: its, .. },
            ) => Gtids::MariaDb(shown.union(&has.of(*own)).except(*its)),
            _ => self.shown.clone(),
        };
        Some(mine.missing_from(&primary.has)).filter(|beyond| !beyond.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recognised() {
        let maria = Identity::MariaDb { server_id: 1, gtid_domain_id: 0 };
        let source = |server, host: &str, port| Source::MariaDb { server, host: host.into(), port };
        let here = Address::Tcp("10.0.0.1".into(), 3306);
        assert!(maria.is_source(&here, &source(1, "10.0.0.1", 3306)));
        // The replica may know it by another name.
        assert!(maria.is_source(&here, &source(1, "db1", 3307)));
        assert!(!maria.is_source(&here, &source(1, "10.0.0.1", 3307)));
        assert!(!maria.is_source(&here, &source(2, "10.0.0.1", 3306)));
        let mysql = Identity::mysql("ABC");
        assert!(mysql.is_source(&here, &Source::MySql { uuid: "abc".into() }));
        assert!(!mysql.is_source(&here, &source(1, "10.0.0.1", 3306)));
    }

    #[test]
    fn a_server_of_its_own_has_no_history() {
        let maria = |id| Identity::MariaDb { server_id: id, gtid_domain_id: 0 };
        let gtids = |text| Gtids::mariadb(text).unwrap();
        let shown = gtids("0-1-40");
        assert!(maria(2).has_history_of(&gtids("0-1-30"), &shown));
        assert!(maria(2).has_history_of(&gtids("0-3-12,0-2-50"), &shown));
        assert!(!maria(2).has_history_of(&gtids("0-2-50"), &shown));
        assert!(!maria(2).has_history_of(&gtids(""), &shown));
        // The remembered one itself, set back to an older state.
        assert!(maria(1).has_history_of(&gtids("0-1-30"), &shown));
    }

    #[test]
    fn what_a_server_has_beyond_its_primary() {
        let maria = |id| Identity::MariaDb { server_id: id, gtid_domain_id: 0 };
        let position = |shown: &str, has: &str| Position {
            shown: Gtids::mariadb(shown).unwrap(),
            has: Gtids::mariadb(has).unwrap(),
        };
        let primary = position("0-2-20", "0-1-9,0-2-20");
        for (shown, has, beyond) in [
            ("0-1-9", "0-1-9", None),
            ("0-1-11", "0-1-11", Some("0-1-11")),
            // It has got more from the primary than was seen there.
            ("0-2-25", "0-1-9,0-2-25", None),
            ("0-2-25", "0-1-11,0-2-25", Some("0-1-11")),
        ] {
            let found = position(shown, has).beyond(&maria(1), &primary, &maria(2));
            assert_eq!(found.map(|gtids| gtids.to_string()).as_deref(), beyond, "{shown} {has}");
        }
    }

    #[test]
    fn identities_are_written_by_their_variables() {
        let maria = Identity::MariaDb { server_id: 7, gtid_domain_id: 2 };
        let text = serde_json::to_string(&maria).unwrap();
        assert_eq!(text, r#"{"server_id":7,"gtid_domain_id":2}"#);
        assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), maria);
        let text = serde_json::to_string(&Identity::mysql("Ab")).unwrap();
        assert_eq!(text, r#"{"server_uuid":"ab"}"#);
        assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), Identity::mysql("ab"));
    }
}
