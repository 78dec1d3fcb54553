//! A statement text made from the client's bytes and a few edits.

use super::ast::Span;

/// Copies a text piece by piece into a buffer, with edits in ascending order.
///
/// A mistake in the order of edits is remembered, and [`Splicer::finish`] reports it: the text
/// built so far must then not be sent.
#[derive(Debug)]
pub struct Splicer<'a> {
    text: &'a [u8],
    out: &'a mut Vec<u8>,
    copied: usize,
    fine: bool,
}

/// An edit lies before an earlier one, overlaps it, or is beyond the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("edits of a statement text overlap or are out of order")]
pub struct SpliceError;

impl<'a> Splicer<'a> {
    /// Starts; `out` is emptied.
    pub fn new(text: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        out.clear();
        Self { text, out, copied: 0, fine: true }
    }

    /// Leaves the bytes of `span` out and puts `bytes` in their place.
    pub fn replace(&mut self, span: Span, bytes: &[u8]) -> &mut Self {
        self.copy_until(span.start);
        let end = span.end as usize;
        if end < self.copied || end > self.text.len() {
            self.fine = false;
        }
        if self.fine {
            self.copied = end;
            self.out.extend_from_slice(bytes);
        }
        self
    }

    /// Puts `bytes` before the byte at `at`.
    pub fn insert(&mut self, at: u32, bytes: &[u8]) -> &mut Self {
        self.replace(Span { start: at, end: at }, bytes)
    }

    /// Leaves the bytes of `span` out.
    pub fn delete(&mut self, span: Span) -> &mut Self {
        self.replace(span, b"")
    }

    /// Copies the rest.
    pub fn finish(self) -> Result<(), SpliceError> {
        if !self.fine {
            return Err(SpliceError);
        }
        self.out.extend_from_slice(&self.text[self.copied..]);
        Ok(())
    }

    fn copy_until(&mut self, at: u32) {
        let at = at as usize;
        if !self.fine || at < self.copied || at > self.text.len() {
            self.fine = false;
            return;
        }
        self.out.extend_from_slice(&self.text[self.copied..at]);
        self.copied = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_order_and_disorder_is_refused() {
        let mut out = Vec::new();
        let mut splicer = Splicer::new(b"SELECT a FROM ks.t LIMIT 5", &mut out);
        splicer.insert(8, b", b").delete(Span { start: 14, end: 17 });
        splicer.replace(Span { start: 25, end: 26 }, b"15");
        assert_eq!(splicer.finish(), Ok(()));
        assert_eq!(out, b"SELECT a, b FROM t LIMIT 15");

        for bad in [(3, 2), (1, 4), (9, 9)] {
            let mut splicer = Splicer::new(b"abcdef", &mut out);
            splicer.delete(Span { start: 2, end: 4 });
            splicer.delete(Span { start: bad.0, end: bad.1 });
            assert_eq!(splicer.finish(), Err(SpliceError), "{bad:?}");
        }
    }
}
