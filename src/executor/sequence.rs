//! Values from sequence tables, taken in blocks.
//!
//! A sequence table has one row (`id` 0, `next_id`, `cache`), as in Vitess: a block of `cache`
//! values is reserved by moving `next_id` in a transaction of its own, and handed out from
//! memory. Values of a block that are not handed out before a restart are lost; none is ever
//! given twice.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backend::{Connection, Failure};
use crate::error::{SqlError, catalog};

/// Keyspace and table.
type Name = (Arc<str>, Arc<str>);

/// The blocks in memory, by keyspace and table.
#[derive(Debug, Default)]
pub struct Sequences {
    blocks: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<Block>>>>,
}

/// Reserved values that were not given out yet.
#[derive(Debug, Default)]
pub struct Block {
    next: u64,
    /// One past the last.
    end: u64,
}

impl Block {
    /// The first of `count` consecutive values, if they are in memory.
    pub fn take(&mut self, count: u64) -> Option<u64> {
        if self.end - self.next < count {
            return None;
        }
        let first = self.next;
        self.next += count;
        Some(first)
    }

    /// Reserves a new block of at least `count` values on the sequence's primary.
    pub async fn refill(
        &mut self,
        connection: &mut Connection,
        table: &str,
        count: u64,
    ) -> Result<(), Failure> {
        let quoted = format!("`{}`", table.replace('`', "``"));
        connection.execute(b"START TRANSACTION").await?;
        let reserved = reserve(connection, &quoted, table, count).await;
        let end: &[u8] = if reserved.is_ok() { b"COMMIT" } else { b"ROLLBACK" };
        connection.execute(end).await?;
        let (first, size) = reserved?;
        // Only after the commit do the values belong to this proxy.
        self.next = first;
        self.end = first + size;
        Ok(())
    }
}

impl Sequences {
    /// The block of a sequence. Its lock is held while a new block is reserved, so that many
    /// statements wait for one reservation.
    pub fn block(&self, keyspace: &Arc<str>, table: &Arc<str>) -> Arc<tokio::sync::Mutex<Block>> {
        let key = (Arc::clone(keyspace), Arc::clone(table));
        Arc::clone(self.blocks.lock().entry(key).or_default())
    }
}

async fn reserve(
    connection: &mut Connection,
    quoted: &str,
    table: &str,
    count: u64,
) -> Result<(u64, u64), Failure> {
    let question = format!("SELECT next_id, cache FROM {quoted} WHERE id = 0 FOR UPDATE");
    let rows = connection.rows(question.as_bytes()).await?;
    let number = |cell: &Option<Vec<u8>>| -> Option<u64> {
        std::str::from_utf8(cell.as_deref()?).ok()?.parse().ok()
    };
    let values = match rows.as_slice() {
        [row] => row.iter().map(number).collect::<Option<Vec<u64>>>(),
        _ => None,
    };
    let Some(&[next, cache]) = values.as_deref() else {
        return Err(Failure::Server(not_a_sequence(table)));
    };
    // A fresh table may say 0; values begin with 1.
    let first = next.max(1);
    let size = cache.max(1).max(count);
    let Some(end) = first.checked_add(size) else {
        return Err(Failure::Server(catalog::SEQUENCE_EXHAUSTED.with(&[&table])));
    };
    let update = format!("UPDATE {quoted} SET next_id = {end} WHERE id = 0");
    connection.execute(update.as_bytes()).await?;
    Ok((first, size))
}

fn not_a_sequence(table: &str) -> SqlError {
    catalog::NOT_A_SEQUENCE.with(&[&table])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_each_value_once() {
        let mut block = Block { next: 5, end: 8 };
        assert_eq!(block.take(2), Some(5));
        assert_eq!(block.take(2), None);
        assert_eq!(block.take(1), Some(7));
        assert_eq!(block.take(1), None);
    }
}
