//! Attributes of clients that are passed on to servers, where the configuration names some.
//!
//! A server learns them at the login, so connections are shared only among clients with the same
//! values. There may be only so many sets of values; a client with a further one is served on the
//! connections without any.

use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sets of attributes that clients have come with.
#[derive(Debug, Default)]
pub struct PassedAttributes {
    names: Vec<String>,
    sets_max: usize,
    sets: RwLock<Vec<Set>>,
    /// That there are too many was said.
    told: AtomicBool,
}

/// Names and values.
type Set = Box<[(Box<str>, Box<str>)]>;

/// The number of a set: 0 is none, which all have who bring none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttributeSet(u16);

impl PassedAttributes {
    /// Passes the attributes of these names on, in so many different sets at most.
    pub fn new(names: Vec<String>, sets_max: usize) -> Self {
        let sets_max = sets_max.min(usize::from(u16::MAX));
        Self { names, sets_max, ..Self::default() }
    }

    /// The set of a client's attributes that are passed on.
    pub fn enter(&self, attributes: &[(Box<str>, Box<str>)]) -> AttributeSet {
        if self.names.is_empty() {
            return AttributeSet::default();
        }
        let value = |name: &String| attributes.iter().find(|(key, _)| **key == **name);
        let set: Set = self.names.iter().filter_map(value).cloned().collect();
        if set.is_empty() {
            return AttributeSet::default();
        }
        let find = |sets: &[Set]| sets.iter().position(|known| *known == set);
        let known = find(&self.sets.read().unwrap_or_else(PoisonError::into_inner));
        let at = known.or_else(|| {
            let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
            let room = sets.len() < self.sets_max;
            find(&sets).or_else(|| {
                room.then(|| {
                    sets.push(set.clone());
                    sets.len() - 1
                })
            })
        });
        if at.is_none() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                limit = self.sets_max,
                "clients come with more different attributes than limits.passed_attribute_sets_max; \
                 those of further ones are not passed on"
            );
        }
        at.map_or(AttributeSet::default(), |at| AttributeSet(at as u16 + 1))
    }

    /// The names and values of a set.
    pub fn get(&self, set: AttributeSet) -> Set {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let at = usize::from(set.0).checked_sub(1);
        at.and_then(|at| sets.get(at)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Set {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn equal_values_are_one_set_and_sets_are_few() {
        let passed = PassedAttributes::new(vec!["program_name".into(), "team".into()], 2);
        let enter = |attributes: &[(&str, &str)]| passed.enter(&pairs(attributes));
        assert_eq!(enter(&[("_pid", "7")]), AttributeSet(0));
        let billing = enter(&[("_pid", "7"), ("team", "b"), ("program_name", "billing")]);
        assert_eq!(billing, AttributeSet(1));
        assert_eq!(enter(&[("program_name", "billing"), ("team", "b"), ("_pid", "8")]), billing);
        assert_eq!(*passed.get(billing), *pairs(&[("program_name", "billing"), ("team", "b")]));
        assert_eq!(enter(&[("program_name", "billing")]), AttributeSet(2));
        assert_eq!(enter(&[("program_name", "other")]), AttributeSet(0));
        assert_eq!(enter(&[("team", "b"), ("program_name", "billing")]), billing);
        assert!(passed.get(AttributeSet(0)).is_empty());
    }
}
