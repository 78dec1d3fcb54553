//! What a server is, by what it says in its greeting. MySQL and MariaDB differ in ways that matter
//! (GTIDs, session tracking, replication status), so the question is asked once.

use std::fmt;

use crate::sql::mode::Versions;
use crate::topology::Identity;

use super::settings::Names;

/// A server product and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKind {
    /// Which product.
    pub product: Product,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// The version text as it was sent, without MariaDB's `5.5.5-` prefix.
    pub text: String,
}

/// A server product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// MySQL and those that call themselves so.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl ServerKind {
    /// Reads the version text of a greeting.
    pub fn parse(version: &[u8]) -> Self {
        let text = String::from_utf8_lossy(version);
        let (product, text) = if text.contains("MariaDB") {
            (Product::MariaDb, text.strip_prefix("5.5.5-").unwrap_or(&text))
        } else {
            (Product::MySql, &*text)
        };
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { product, version: (next(), next(), next()), text: text.to_owned() }
    }

    /// The version text for a greeting. MariaDB's clients look for its prefix.
    pub fn greeting_version(&self) -> String {
        match self.product {
            Product::MySql => self.text.clone(),
            Product::MariaDb => format!("5.5.5-{}", self.text),
        }
    }

    /// How this server reads version comments.
    pub fn versions(&self) -> Versions {
        let (major, minor, patch) = self.version;
        let number = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch);
        match self.product {
            Product::MariaDb => Versions::MariaDb(number),
            Product::MySql => Versions::MySql(number),
        }
    }

    /// What this server calls a session variable that MySQL 8 calls `name`.
    pub fn variable_name<'a>(&self, name: &'a str) -> &'a str {
        let old = self.product == Product::MariaDb && self.version < (11, 1, 1);
        match name {
            "transaction_isolation" if old => "tx_isolation",
            "transaction_read_only" if old => "tx_read_only",
            other => other,
        }
    }

    /// Asks who the server is and which transactions it has: two cells of identity
    /// ([`server_identity`]), what it has logged, and for MariaDB what it has applied and the state
    /// of its log.
    pub fn position_question(&self) -> &'static str {
        match self.product {
            Product::MySql => "SELECT @@server_uuid, NULL, @@global.gtid_executed, NULL, NULL",
            Product::MariaDb => {
                "SELECT @@global.server_id, @@global.gtid_domain_id, @@global.gtid_binlog_pos, \
                 @@global.gtid_slave_pos, @@global.gtid_binlog_state"
            }
        }
    }

    /// Asks only who the server is.
    pub fn identity_question(&self) -> String {
        format!("SELECT {}", self.identity_columns())
    }

    /// The two cells of identity, as part of a SELECT.
    pub(super) fn identity_columns(&self) -> &'static str {
        match self.product {
            Product::MySql => "@@server_uuid, NULL",
            Product::MariaDb => "@@global.server_id + 0, @@global.gtid_domain_id + 0",
        }
    }

    /// The statement that puts a fresh session at the server into the state that Geogate expects.
    pub fn session_setup(&self, names: &Names) -> String {
        let collation = names.collation.as_ref();
        let collate = collation.map(|c| format!(" COLLATE '{c}'")).unwrap_or_default();
        format!("SET NAMES '{}'{collate}, @@session.session_track_state_change = 1", names.charset)
    }
}

/// The identity in the first two cells of the answer to [`ServerKind::position_question`]: one of
/// MySQL has no second.
pub fn server_identity(first: &str, second: Option<&str>) -> Option<Identity> {
    match second {
        None => (!first.is_empty()).then(|| Identity::mysql(first)),
        Some(second) => Some(Identity::MariaDb {
            server_id: first.trim().parse().ok()?,
            gtid_domain_id: second.trim().parse().ok()?,
        }),
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let maria = ServerKind::parse(b"5.5.5-10.11.19-MariaDB-0+deb12u1-log");
        assert_eq!((maria.product, maria.version), (Product::MariaDb, (10, 11, 19)));
        let mysql = ServerKind::parse(b"8.4.6");
        assert_eq!((mysql.product, mysql.version), (Product::MySql, (8, 4, 6)));
        assert_eq!(ServerKind::parse(b"x").version, (0, 0, 0));
    }
}
