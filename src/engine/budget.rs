//! How much a merge may keep in memory.

use crate::error::{SqlError, catalog};

/// Limits for rows that a stage has to keep.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// `limits.merge_rows_max`
    pub rows: usize,
    /// `limits.merge_bytes_max`
    pub bytes: usize,
}

impl Budget {
    /// Takes a row of so many bytes out of the budget; an error names the limit.
    pub fn take(&mut self, bytes: usize) -> Result<(), SqlError> {
        self.rows = self.rows.checked_sub(1).ok_or_else(|| exceeded("merge_rows_max"))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| exceeded("merge_bytes_max"))?;
        Ok(())
    }
}

fn exceeded(limit: &str) -> SqlError {
    catalog::LIMIT.with(&[&limit, &"merging the shards' rows needs more memory"])
}
