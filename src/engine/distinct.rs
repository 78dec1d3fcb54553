//! DISTINCT over merged rows: keeps the first of equal rows.

use std::collections::HashSet;

use super::budget::Budget;
use super::compare::{Key, write_identity};
use super::plan::CompareKey;
use super::row::{Cells, Layout};
use crate::error::SqlError;

/// The rows seen so far, as bytes that are equal exactly for equal rows.
#[derive(Debug)]
pub(super) struct Distinct {
    keys: Vec<Key>,
    seen: HashSet<Vec<u8>>,
    budget: Budget,
}

impl Distinct {
    pub(super) fn new(
        keys: &[CompareKey],
        layout: &Layout,
        budget: Budget,
    ) -> Result<Self, SqlError> {
        let keys: Result<_, _> = keys.iter().map(|key| Key::exact(key, layout)).collect();
        Ok(Self { keys: keys?, seen: HashSet::new(), budget })
    }

    /// Whether the row is the first of its kind.
    pub(super) fn is_new(
        &mut self,
        layout: &Layout,
        row: &[u8],
        cells: &Cells,
    ) -> Result<bool, SqlError> {
        let mut identity = Vec::new();
        for key in &self.keys {
            write_identity(&key.datum(layout, row, cells)?, &mut identity);
        }
        let size = identity.len();
        if !self.seen.insert(identity) {
            return Ok(false);
        }
        self.budget.take(size)?;
        Ok(true)
    }
}
