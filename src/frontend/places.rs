//! How many clients may be logged in at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places.
#[derive(Debug)]
pub(super) struct SessionPlaces {
    taken: AtomicUsize,
    places_max: usize,
}

/// A client's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct SessionPlace(Arc<SessionPlaces>);

impl SessionPlaces {
    pub(super) fn new(places_max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), places_max }
    }

    /// The limit.
    pub(super) fn places_max(&self) -> usize {
        self.places_max
    }

    /// Whether there is none at the moment.
    pub(super) fn are_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.places_max
    }

    /// Takes one, if there is any.
    pub(super) fn take(self: &Arc<Self>) -> Option<SessionPlace> {
        let next = |taken| (taken < self.places_max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(SessionPlace(Arc::clone(self)))
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many() {
        let places = Arc::new(SessionPlaces::new(2));
        let one = places.take().unwrap();
        let _two = places.take().unwrap();
        assert!(places.are_full() && places.take().is_none());
        drop(one);
        assert!(!places.are_full() && places.take().is_some());
    }
}
