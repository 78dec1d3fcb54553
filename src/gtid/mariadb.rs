//! Positions as MariaDB writes them: `domain-server-sequence, ..`.
//!
//! A position (`gtid_binlog_pos`, `gtid_slave_pos`) has one entry a domain, a state
//! (`gtid_binlog_state`) one a server in each domain. An entry stands for everything that this
//! server has written in the domain up to it, so entries of different servers are never compared
//! by their numbers.

use std::collections::BTreeMap;
use std::fmt;

/// The last sequence number of each server in each domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MariaDbGtids(BTreeMap<(u32, u32), u64>);

impl MariaDbGtids {
    /// Reads a list; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut list = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut numbers = entry.split('-');
            let (domain, server) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            let sequence = numbers.next()?.parse().ok()?;
            if numbers.next().is_some() {
                return None;
            }
            list.insert((domain, server), sequence);
        }
        Some(list)
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has a transaction of another server than `own` in a domain that `other` knows.
    pub fn has_others_in(&self, other: &Self, own: u32) -> bool {
        let known = |domain: u32| other.0.keys().any(|(theirs, _)| *theirs == domain);
        self.0.keys().any(|(domain, server)| *server != own && known(*domain))
    }

    /// Its entries that `other` has not reached.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let reached = |source, sequence| other.0.get(source).is_some_and(|seen| *seen >= sequence);
        let left = self.0.iter().filter(|(source, sequence)| !reached(source, **sequence));
        Self(left.map(|(source, sequence)| (*source, *sequence)).collect())
    }

    /// Its entries of one server.
    #[must_use]
    pub fn of(&self, server: u32) -> Self {
        let own = self.0.iter().filter(|((_, known), _)| *known == server);
        Self(own.map(|(source, sequence)| (*source, *sequence)).collect())
    }

    /// Its entries of other servers.
    #[must_use]
    pub fn except(&self, server: u32) -> Self {
        let others = self.0.iter().filter(|((_, known), _)| *known != server);
        Self(others.map(|(source, sequence)| (*source, *sequence)).collect())
    }

    /// The entries of a later position, and those of domains that it does not name.
    #[must_use]
    pub fn advanced_to(&self, later: &Self) -> Self {
        let named = |domain: u32| later.0.keys().any(|(known, _)| *known == domain);
        let mut all = later.clone();
        for ((domain, server), sequence) in &self.0 {
            if !named(*domain) {
                all.insert((*domain, *server), *sequence);
            }
        }
        all
    }

    /// The farther entries of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (source, sequence) in &other.0 {
            all.insert(*source, *sequence);
        }
        all
    }

    fn insert(&mut self, source: (u32, u32), sequence: u64) {
        let known = self.0.entry(source).or_default();
        *known = (*known).max(sequence);
    }
}

impl fmt::Display for MariaDbGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ((domain, server), sequence)) in self.0.iter().enumerate() {
            write!(f, "{}{domain}-{server}-{sequence}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> MariaDbGtids {
        MariaDbGtids::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(list("1-2-3, 0-1-9").to_string(), "0-1-9,1-2-3");
        assert_eq!(list("0-1-9,0-1-4").to_string(), "0-1-9");
        assert!(list(" ").is_empty());
        for wrong in ["1", "1-2", "1-2-x", "1-2-3-4"] {
            assert_eq!(MariaDbGtids::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_missing() {
        for (shown, state, missing) in [
            ("0-1-9", "0-1-9", ""),
            ("0-1-9", "0-1-12,0-2-13", ""),
            ("0-1-9", "0-1-7", "0-1-9"),
            // The other has gone on without it: its numbers are higher, the transaction is lost.
            ("0-1-9", "0-1-8,0-2-14", "0-1-9"),
            ("0-1-9,1-3-4", "0-1-9", "1-3-4"),
            ("", "0-1-1", ""),
        ] {
            assert_eq!(list(shown).beyond(&list(state)), list(missing), "{shown} from {state}");
        }
        assert_eq!(list("0-1-9,0-2-3,1-2-1").of(2), list("0-2-3,1-2-1"));
        assert_eq!(list("0-1-9,0-2-3,1-2-1").except(2), list("0-1-9"));
        assert_eq!(list("0-1-9").union(&list("0-1-4,1-1-1")), list("0-1-9,1-1-1"));
        assert_eq!(list("0-1-9,1-1-4").advanced_to(&list("0-2-12")), list("0-2-12,1-1-4"));
        assert!(list("0-1-9,0-2-3").has_others_in(&list("0-7-1"), 2));
        assert!(!list("0-2-9").has_others_in(&list("0-1-1"), 2));
        assert!(!list("3-1-9").has_others_in(&list("0-1-1"), 2));
    }
}
