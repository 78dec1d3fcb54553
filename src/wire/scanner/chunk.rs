//! The two ways to hold the bytes that the scanner walks over: to read them only, or to adjust
//! sequence ids and the MORE_RESULTS flag on the way.

use crate::wire::status::StatusFlags;

/// Bytes of a server's stream.
pub(super) trait Chunk {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// Whether what stands in it is changed.
    fn is_rewritten(&self) -> bool;
    /// The sequence id stands at `at`.
    fn sequence_id(&mut self, at: usize);
    /// The low byte of a status stands at `at`.
    fn status(&mut self, at: usize);
}

impl Chunk for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn is_rewritten(&self) -> bool {
        false
    }
    fn sequence_id(&mut self, _at: usize) {}
    fn status(&mut self, _at: usize) {}
}

/// What is written while a stream is scanned, so that several answers read as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Added to every sequence id; the answer before this one used that many packets more.
    pub sequence_offset: u8,
    /// What to do with MORE_RESULTS.
    pub more_results: MoreResults,
}

/// What a rewritten answer says about results that follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoreResults {
    /// What the server said.
    #[default]
    AsSent,
    /// Another result follows: this answer is not the client's last.
    Follow,
}

/// A chunk that is rewritten in place.
pub(super) struct Rewritten<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) rewrite: Rewrite,
}

impl Chunk for Rewritten<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    fn sequence_id(&mut self, at: usize) {
        if let Some(seq) = self.bytes.get_mut(at) {
            *seq = seq.wrapping_add(self.rewrite.sequence_offset);
        }
    }

    fn status(&mut self, at: usize) {
        if self.rewrite.more_results == MoreResults::Follow
            && let Some(status) = self.bytes.get_mut(at)
        {
            *status |= StatusFlags::MORE_RESULTS.bits() as u8;
        }
    }
}
