//! GTID sets as MySQL writes them: `uuid:1-5:7, uuid:tag:1-3` (tags since 8.3).

use std::collections::BTreeMap;
use std::fmt;

/// A GTID set. Intervals of a source are sorted, apart from each other, and inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MySqlGtids(BTreeMap<Source, Vec<(u64, u64)>>);

/// Whose transactions: server UUID and tag, both in lower case; the tag is mostly empty.
type Source = (String, String);

impl MySqlGtids {
    /// Reads a set; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut words = part.split(':').map(str::trim);
            let uuid = words.next()?.to_ascii_lowercase();
            let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
            if uuid.len() != 36 || !uuid.bytes().all(plain) {
                return None;
            }
            let mut tag = String::new();
            for word in words {
                if word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                    tag = word.to_ascii_lowercase();
                    continue;
                }
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                if first == 0 || last < first {
                    return None;
                }
                set.insert((uuid.clone(), tag.clone()), (first, last));
            }
        }
        Some(set)
    }

    /// Whether it has no transaction.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has a transaction of a source that `other` knows too.
    pub fn shares_source(&self, other: &Self) -> bool {
        self.0.keys().any(|(uuid, _)| other.0.keys().any(|(known, _)| known == uuid))
    }

    /// Its transactions that `other` has not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (source, intervals) in &self.0 {
            let known = other.0.get(source).map_or(&[][..], Vec::as_slice);
            for interval in intervals {
                for left in subtract(*interval, known) {
                    rest.insert(source.clone(), left);
                }
            }
        }
        rest
    }

    /// Its transactions of other servers than the one with this UUID.
    #[must_use]
    pub fn except(&self, uuid: &str) -> Self {
        let others = self.0.iter().filter(|((known, _), _)| !known.eq_ignore_ascii_case(uuid));
        Self(others.map(|(source, intervals)| (source.clone(), intervals.clone())).collect())
    }

    /// The transactions of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (source, intervals) in &other.0 {
            for interval in intervals {
                all.insert(source.clone(), *interval);
            }
        }
        all
    }

    /// Adds an interval, joining those that touch.
    fn insert(&mut self, source: Source, interval: (u64, u64)) {
        let intervals = self.0.entry(source).or_default();
        intervals.push(interval);
        intervals.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
        for &(first, last) in intervals.iter() {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        *intervals = joined;
    }
}

/// What is left of an interval without `known`, which is sorted.
fn subtract((mut first, last): (u64, u64), known: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    for &(from, to) in known {
        if to < first {
            continue;
        }
        if from > last {
            break;
        }
        if from > first {
            left.push((first, from - 1));
        }
        if to >= last {
            return left;
        }
        first = to + 1;
    }
    left.push((first, last));
    left
}

impl fmt::Display for MySqlGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ((uuid, tag), intervals)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            f.write_str(uuid)?;
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (first, last) in intervals {
                if first == last {
                    write!(f, ":{first}")?;
                } else {
                    write!(f, ":{first}-{last}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> MySqlGtids {
        let text = text.replace("A:", &format!("{A}:")).replace("B:", &format!("{B}:"));
        MySqlGtids::parse(&text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn sets_are_read_and_joined() {
        assert_eq!(set("A:1-3:5:4,\nB:7").to_string(), format!("{A}:1-5,{B}:7"));
        assert_eq!(set("A:tag_1:1-3:9").to_string(), format!("{A}:tag_1:1-3:9"));
        assert!(set("").is_empty());
        for wrong in ["x", "A", "3e11:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562:5-1"] {
            assert_eq!(MySqlGtids::parse(wrong).filter(|set| !set.is_empty()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_missing() {
        for (shown, known, missing) in [
            ("A:1-9", "A:1-9", ""),
            ("A:1-9", "A:1-20,B:3", ""),
            ("A:1-9", "A:1-5", "A:6-9"),
            ("A:1-9", "A:3-4:6-7", "A:1-2:5:8-9"),
            ("A:1-9,B:4", "A:1-9", "B:4"),
            ("A:1-9", "B:1-9", "A:1-9"),
            ("A:t:1-3", "A:1-3", "A:t:1-3"),
            ("", "A:1", ""),
        ] {
            assert_eq!(set(shown).without(&set(known)), set(missing), "{shown} from {known}");
        }
        assert_eq!(set("A:1-3,B:4").except(B), set("A:1-3"));
        assert_eq!(set("A:1-3").union(&set("A:4,B:1")), set("A:1-4,B:1"));
        assert!(set("A:1").shares_source(&set("A:9,B:1")));
        assert!(!set("A:1").shares_source(&set("B:1")));
    }
}
