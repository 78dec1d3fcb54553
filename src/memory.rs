//! What clients make the process hold: one account for each client, one sum over all.
//!
//! Whatever a client can make larger than a few kilobytes is held under a [`Reservation`], which
//! is given back when it is dropped: half and whole commands, prepared statements, long data, rows
//! of merges and cursors, the work on long texts. A reservation that would go beyond a limit is
//! refused by the limit's name, before the memory is taken.
//!
//! The limit of the process is one of its resident memory: what is resident beyond all accounts
//! (code, idle clients, plans, what the allocator keeps) is measured, and takes away from what
//! clients may hold. Where it gets tight, large holdings are refused first, and who holds the most
//! is to be ended ([`Memory::wait_for_need`]), so that the others can go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::error::{SqlError, catalog};

/// A client that holds no more than this does not make it tight for others.
pub const SMALL: usize = 256 << 10;
/// The share of the limit that is left for small holdings.
const RESERVE: usize = 8;

/// The memory of all clients.
#[derive(Debug)]
pub struct Memory {
    client_max: usize,
    process_max: usize,
    used: AtomicUsize,
    /// Resident beyond all accounts, as it was measured last.
    other: AtomicUsize,
    refused: AtomicU64,
    need: Notify,
}

/// What one client holds.
#[derive(Debug)]
pub struct Account {
    memory: Arc<Memory>,
    used: AtomicUsize,
}

/// A part of an account, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    bytes: usize,
}

impl Memory {
    /// Nothing is held. `client_max` bounds each account, `process_max` the resident memory.
    pub fn new(client_max: usize, process_max: usize) -> Self {
        Self {
            client_max,
            process_max,
            used: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            need: Notify::new(),
        }
    }

    /// The limit of the process.
    pub fn process_max(&self) -> usize {
        self.process_max
    }

    /// Bytes in all accounts.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How often something was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Notes how much of the process is resident.
    pub fn note_resident(&self, resident: usize) {
        self.other.store(resident.saturating_sub(self.used()), Ordering::Relaxed);
        if self.is_tight() {
            self.need.notify_one();
        }
    }

    /// Whether little more can be held.
    pub fn is_tight(&self) -> bool {
        self.total() > self.process_max - self.process_max / RESERVE
    }

    /// Done when small holdings need memory that large ones have. To be called by one task.
    pub async fn wait_for_need(&self) {
        self.need.notified().await;
    }

    /// Bytes of the process, by what was measured last and what was reserved since.
    pub fn total(&self) -> usize {
        self.used().saturating_add(self.other.load(Ordering::Relaxed))
    }
}

impl Account {
    /// A client that holds nothing.
    pub fn new(memory: Arc<Memory>) -> Self {
        Self { memory, used: AtomicUsize::new(0) }
    }

    /// The memory that it is part of.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Bytes that the client holds.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A reservation of nothing, which can grow.
    pub fn nothing(self: &Arc<Self>) -> Reservation {
        Reservation { account: Arc::clone(self), bytes: 0 }
    }

    /// Reserves bytes for `what`.
    pub fn reserve(self: &Arc<Self>, bytes: usize, what: &str) -> Result<Reservation, SqlError> {
        let mut reservation = self.nothing();
        reservation.resize(bytes, what)?;
        Ok(reservation)
    }

    fn admit(&self, more: usize, what: &str) -> Result<(), SqlError> {
        let memory = &*self.memory;
        let held = self.used().saturating_add(more);
        if held > memory.client_max {
            memory.refused.fetch_add(1, Ordering::Relaxed);
            let (limit, held) = (memory.client_max, self.used());
            return Err(catalog::CLIENT_MEMORY.with(&[&limit, &what, &more, &held]));
        }
        let total = memory.total().saturating_add(more);
        if total <= memory.process_max - memory.process_max / RESERVE {
            return Ok(());
        }
        if held <= SMALL {
            memory.need.notify_one();
        }
        if held > SMALL || total > memory.process_max {
            memory.refused.fetch_add(1, Ordering::Relaxed);
            return Err(catalog::PROCESS_MEMORY.with(&[&memory.process_max, &what, &more]));
        }
        Ok(())
    }
}

impl Reservation {
    /// What it is part of.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Bytes that are reserved.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it so large, for `what`. A smaller one is never refused.
    pub fn resize(&mut self, bytes: usize, what: &str) -> Result<(), SqlError> {
        if bytes > self.bytes {
            self.account.admit(bytes - self.bytes, what)?;
        }
        self.note(bytes);
        Ok(())
    }

    /// Makes it larger by so many bytes, for `what`.
    pub fn grow(&mut self, bytes: usize, what: &str) -> Result<(), SqlError> {
        self.resize(self.bytes.saturating_add(bytes), what)
    }

    /// Makes it so large, for what is held already and cannot be refused any more.
    pub fn note(&mut self, bytes: usize) {
        let (account, memory) = (&self.account.used, &self.account.memory.used);
        if bytes >= self.bytes {
            account.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            memory.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            account.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            memory.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.note(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn account(memory: &Arc<Memory>) -> Arc<Account> {
        Arc::new(Account::new(Arc::clone(memory)))
    }

    #[test]
    fn accounts_add_up_and_are_given_back() {
        let memory = Arc::new(Memory::new(10, 1000 * MIB));
        let (one, two) = (account(&memory), account(&memory));
        let mut first = one.reserve(7, "a text").unwrap();
        let _second = two.reserve(10, "a text").unwrap();
        assert_eq!((one.used(), two.used(), memory.used()), (7, 10, 17));
        let error = one.reserve(4, "a text").unwrap_err();
        let message = String::from_utf8(error.message).unwrap();
        assert!(message.contains("client_memory_bytes_max (10)"), "{message}");
        first.resize(3, "a text").unwrap();
        first.grow(7, "a text").unwrap();
        assert!(first.grow(1, "a text").is_err());
        assert_eq!((first.bytes(), memory.refused()), (10, 2));
        first.note(12);
        assert_eq!(one.used(), 12);
        drop(first);
        assert_eq!((one.used(), memory.used()), (0, 10));
    }

    #[test]
    fn large_holdings_are_refused_before_small_ones() {
        let memory = Arc::new(Memory::new(1000 * MIB, 80 * MIB));
        let (large, small) = (account(&memory), account(&memory));
        let held = large.reserve(60 * MIB, "rows").unwrap();
        // What nobody answers for counts too.
        memory.note_resident(70 * MIB);
        assert!(!memory.is_tight());
        let error = large.reserve(MIB, "rows").unwrap_err();
        assert!(String::from_utf8(error.message).unwrap().contains("memory_bytes_max"));
        let _little = small.reserve(SMALL, "a text").unwrap();
        memory.note_resident(81 * MIB);
        assert!(memory.is_tight());
        assert!(account(&memory).reserve(SMALL, "a text").is_err());
        drop(held);
        memory.note_resident(20 * MIB);
        assert!(account(&memory).reserve(30 * MIB, "rows").is_ok());
    }
}
