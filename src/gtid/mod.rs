//! Which transactions a server has: global transaction identifiers of MySQL and of MariaDB.
//!
//! Pure values. Whether one server has everything that another one has shown is asked with
//! [`Gtids::missing_from`]; where positions come from and what follows is for others to say.

mod mariadb;
mod mysql;

use std::fmt;

pub use mariadb::MariaDbGtids;
pub use mysql::MySqlGtids;

/// A set of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gtids {
    /// Exact sets by source.
    MySql(MySqlGtids),
    /// The last transaction of each server in each domain.
    MariaDb(MariaDbGtids),
}

impl Gtids {
    /// Reads `gtid_executed`.
    pub fn mysql(text: &str) -> Option<Self> {
        MySqlGtids::parse(text).map(Self::MySql)
    }

    /// Reads `gtid_binlog_pos`, `gtid_slave_pos` or `gtid_binlog_state`.
    pub fn mariadb(text: &str) -> Option<Self> {
        MariaDbGtids::parse(text).map(Self::MariaDb)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(list) => list.is_empty(),
        }
    }

    /// Those of `self` that `other` has not.
    #[must_use]
    pub fn missing_from(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::MySql(mine), Self::MySql(theirs)) => Self::MySql(mine.without(theirs)),
            (Self::MariaDb(mine), Self::MariaDb(theirs)) => Self::MariaDb(mine.beyond(theirs)),
            // A server of the other product has none of them.
            _ => self.clone(),
        }
    }

    /// What a server has shown that had shown `self` before and shows `later` now.
    #[must_use]
    pub fn advanced_to(&self, later: &Self) -> Self {
        match (self, later) {
            (Self::MySql(before), Self::MySql(later)) => Self::MySql(before.union(later)),
            (Self::MariaDb(before), Self::MariaDb(later)) => {
                Self::MariaDb(before.advanced_to(later))
            }
            _ => later.clone(),
        }
    }

    /// All of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::MySql(mine), Self::MySql(theirs)) => Self::MySql(mine.union(theirs)),
            (Self::MariaDb(mine), Self::MariaDb(theirs)) => Self::MariaDb(mine.union(theirs)),
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(list) => list.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_have_nothing_in_common() {
        let maria = Gtids::mariadb("0-1-5").unwrap();
        let mysql = Gtids::mysql("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5").unwrap();
        assert_eq!(maria.missing_from(&mysql), maria);
        assert!(Gtids::mysql("").unwrap().missing_from(&maria).is_empty());
    }
}
