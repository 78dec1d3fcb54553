//! How much a merge may keep in memory.

use std::sync::Arc;

use crate::error::{SqlError, catalog};
use crate::memory::{Account, Reservation};

/// Bytes of a row that is kept beside its own.
const ROW: usize = 48;
/// The account is asked for so many bytes at once.
const STEP: usize = 256 << 10;

/// Limits for rows that a stage has to keep.
#[derive(Debug)]
pub struct Budget {
    rows: usize,
    bytes: usize,
    /// What is kept, with what it takes beside.
    kept: usize,
    held: Option<Reservation>,
}

impl Budget {
    /// `limits.merge_rows_max` and `limits.merge_bytes_max`.
    pub fn new(rows: usize, bytes: usize) -> Self {
        Self { rows, bytes, kept: 0, held: None }
    }

    /// The same, for a client.
    pub fn of(rows: usize, bytes: usize, account: &Arc<Account>) -> Self {
        Self { held: Some(account.nothing()), ..Self::new(rows, bytes) }
    }

    /// What is left, for another stage.
    #[must_use]
    pub fn another(&self) -> Self {
        let held = self.held.as_ref().map(|held| held.account().nothing());
        Self { rows: self.rows, bytes: self.bytes, kept: 0, held }
    }

    /// Takes a row of so many bytes out of the budget; an error names the limit.
    pub fn take(&mut self, bytes: usize) -> Result<(), SqlError> {
        self.rows = self.rows.checked_sub(1).ok_or_else(|| exceeded("merge_rows_max"))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| exceeded("merge_bytes_max"))?;
        self.kept += bytes + ROW;
        match &mut self.held {
            Some(held) if self.kept > held.bytes() => {
                held.resize(self.kept.next_multiple_of(STEP), "merging the shards' rows")
            }
            _ => Ok(()),
        }
    }

    /// Puts a row of so many bytes back.
    pub fn put_back(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        self.kept = self.kept.saturating_sub(bytes + ROW);
        if let Some(held) = &mut self.held
            && self.kept + 2 * STEP < held.bytes()
        {
            held.note(self.kept.next_multiple_of(STEP));
        }
    }
}

fn exceeded(limit: &str) -> SqlError {
    catalog::LIMIT.with(&[&limit, &"merging the shards' rows needs more memory"])
}
