//! Chooses among the shards' next rows, so that sorted streams become one sorted stream.
//!
//! The caller reads: it hands over the next row of a shard whenever that shard's head was taken.

use std::cmp::Ordering;

use super::compare::Order;
use super::plan::SortKey;
use super::row::{Cells, Layout};
use crate::error::SqlError;

/// The heads of the shards' streams.
#[derive(Debug)]
pub struct MergeSort {
    layout: Layout,
    order: Order,
    heads: Vec<Head>,
}

#[derive(Debug, Default)]
struct Head {
    row: Vec<u8>,
    cells: Cells,
    present: bool,
}

impl MergeSort {
    /// For so many shards. Refuses sort keys that cannot be compared outside a server.
    pub fn new(keys: &[SortKey], layout: &Layout, shards: usize) -> Result<Self, SqlError> {
        let order = Order::new(keys, layout)?;
        let heads = (0..shards).map(|_| Head::default()).collect();
        Ok(Self { layout: layout.clone(), order, heads })
    }

    /// Takes the next row of a shard. Every shard whose stream has not ended must have a head
    /// before [`MergeSort::smallest`] is asked.
    pub fn put(&mut self, shard: usize, row: &[u8]) -> Result<(), SqlError> {
        let head = &mut self.heads[shard];
        head.row.clear();
        head.row.extend_from_slice(row);
        self.layout.split(&head.row, &mut head.cells)?;
        head.present = true;
        Ok(())
    }

    /// Whether a shard has a head.
    pub fn has_head(&self, shard: usize) -> bool {
        self.heads.get(shard).is_some_and(|head| head.present)
    }

    /// The shard with the smallest head, the first of them when several are equal; `None` when no
    /// heads are left.
    pub fn smallest(&self) -> Result<Option<usize>, SqlError> {
        let mut best: Option<usize> = None;
        for (shard, head) in self.heads.iter().enumerate().filter(|(_, head)| head.present) {
            let Some(other) = best.map(|best| &self.heads[best]) else {
                best = Some(shard);
                continue;
            };
            let (a, b) = ((&*head.row, &head.cells), (&*other.row, &other.cells));
            if self.order.compare(&self.layout, a, b)? == Ordering::Less {
                best = Some(shard);
            }
        }
        Ok(best)
    }

    /// Takes the head of a shard away and gives its row.
    pub fn take(&mut self, shard: usize) -> &[u8] {
        let head = &mut self.heads[shard];
        head.present = false;
        &head.row
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::Column;
    use super::super::plan::{ColumnRef, CompareKey, Direction};
    use super::super::row::RowFormat;
    use super::*;

    #[test]
    fn sorted_streams_become_one() {
        let layout =
            Layout { format: RowFormat::Text, columns: vec![Column::new(8, 0, 63, 0)], hidden: 0 };
        let key = CompareKey { column: ColumnRef::Visible(0), weight: None };
        let keys = [SortKey { key, direction: Direction::Descending }];
        let mut streams = [vec![Some("10"), Some("2"), None], vec![], vec![Some("9"), Some("-1")]];
        let mut merge = MergeSort::new(&keys, &layout, streams.len()).expect("comparable");
        let mut refill = |merge: &mut MergeSort, shard: usize| {
            if !streams[shard].is_empty() {
                let mut row = Vec::new();
                layout.write(&[streams[shard].remove(0).map(str::as_bytes)], &mut row);
                merge.put(shard, &row).expect("well formed");
            }
        };
        (0..3).for_each(|shard| refill(&mut merge, shard));
        let mut taken = Vec::new();
        while let Some(shard) = merge.smallest().expect("comparable") {
            taken.push(String::from_utf8_lossy(&merge.take(shard)[1..]).into_owned());
            refill(&mut merge, shard);
        }
        assert_eq!(taken, ["10", "9", "2", "-1", ""]);
    }
}
