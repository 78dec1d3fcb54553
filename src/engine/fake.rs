//! Bindings for tests: a list of values and no text.

use crate::sql::ast::HoleId;
use crate::sql::position::SkeletonOffset;
use crate::sql::value::Value;

use super::capacity::Zero;
use super::plan::{Bindings, ClientCharset, SessionValue};

/// Holes with these values.
#[derive(Debug, Default)]
pub(crate) struct Values(pub(crate) Vec<Value<'static>>);

impl Bindings for Values {
    fn text(&self) -> &[u8] {
        b""
    }
    fn hole_count(&self) -> usize {
        self.0.len()
    }
    fn hole_span(&self, _: HoleId) -> std::ops::Range<usize> {
        0..0
    }
    fn is_placeholder(&self, _: HoleId) -> bool {
        false
    }
    fn value(&self, hole: HoleId) -> Value<'_> {
        self.0[hole as usize].clone()
    }
    fn offset(&self, _: SkeletonOffset) -> usize {
        0
    }
    fn charset(&self, _hole: HoleId) -> ClientCharset {
        ClientCharset::Utf8
    }
    fn zero(&self) -> Zero {
        Zero::Numbered
    }
    fn session_value(&self, _: SessionValue, _: &mut Vec<u8>) {}
}
