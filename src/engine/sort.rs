//! ORDER BY in memory, for rows that the shards could not send in order.

use std::cmp::Ordering;

use super::budget::Budget;
use super::compare::Order;
use super::plan::SortKey;
use super::row::{Cells, Layout};
use crate::error::SqlError;

/// Rows waiting to be sorted.
#[derive(Debug)]
pub(super) struct Sort {
    order: Order,
    rows: Vec<(Vec<u8>, Cells)>,
    budget: Budget,
}

impl Sort {
    pub(super) fn new(keys: &[SortKey], layout: &Layout, budget: Budget) -> Result<Self, SqlError> {
        Ok(Self { order: Order::new(keys, layout)?, rows: Vec::new(), budget })
    }

    pub(super) fn push(
        &mut self,
        layout: &Layout,
        row: &[u8],
        cells: &Cells,
    ) -> Result<(), SqlError> {
        // A row whose keys cannot be read is found here, so that sorting cannot fail.
        self.order.compare(layout, (row, cells), (row, cells))?;
        self.budget.take(row.len() + std::mem::size_of_val(cells.as_slice()))?;
        self.rows.push((row.to_vec(), cells.clone()));
        Ok(())
    }

    /// The rows in order; equal ones as they came.
    pub(super) fn finish(&mut self, layout: &Layout) -> Vec<Vec<u8>> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|a, b| {
            let order = self.order.compare(layout, (&a.0, &a.1), (&b.0, &b.1));
            order.unwrap_or(Ordering::Equal)
        });
        rows.into_iter().map(|(row, _)| row).collect()
    }
}
