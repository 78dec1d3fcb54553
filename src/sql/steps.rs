//! How much work it was to read texts, counted in builds with debug assertions, so that tests can
//! hold it against the length of the texts.

#[cfg(debug_assertions)]
mod counter {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// Counts a token that is read, looked at again, or a node that is visited.
    #[inline]
    pub(crate) fn step() {
        STEPS.set(STEPS.get() + 1);
    }

    /// The steps of this thread so far.
    pub fn steps() -> u64 {
        STEPS.get()
    }
}

#[cfg(not(debug_assertions))]
mod counter {
    /// Counts nothing.
    #[inline]
    pub(crate) fn step() {}

    /// Nothing is counted.
    pub fn steps() -> u64 {
        0
    }
}

pub(crate) use counter::step;
pub use counter::steps;
