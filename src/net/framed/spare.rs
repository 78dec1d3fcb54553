//! Read buffers that nobody reads into: those who wait for bytes need none, so a few serve all
//! streams of a worker, and stay in its cache.

use std::cell::RefCell;

use super::BUFFER;

/// Buffers that a worker keeps, 4 MiB. A statement under way has its command in one, so that it can
/// be sent again.
const KEPT_MAX: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER`] bytes, which may hold what others have read.
#[inline]
pub(super) fn take() -> Vec<u8> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| vec![0; BUFFER])
}

/// Keeps a buffer for the next who reads. One that had to grow is given up.
#[inline]
pub(super) fn give_back(buffer: Vec<u8>) {
    if buffer.len() == BUFFER {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT_MAX {
                spare.push(buffer);
            }
        });
    }
}
