//! A statement that is about to run: its text, what the lexer found, and bound parameters.

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::ast::HoleId;
use crate::sql::mode::LexMode;
use crate::sql::position::SkeletonOffset;
use crate::sql::scan::{HoleKind, Scan};
use crate::sql::value::Value;

use super::plan::{Bindings, ClientCharset, SessionValue};

/// The bindings of one execution.
#[derive(Clone, Copy, Debug)]
pub struct BoundStatement<'a> {
    /// The text that was scanned.
    pub text: &'a [u8],
    /// What the lexer found in it.
    pub scan: &'a Scan,
    /// How it was read.
    pub mode: LexMode,
    /// In which character set.
    pub charset: ClientCharset,
    /// Values of the `?`, in order.
    pub parameters: &'a [Value<'a>],
    /// SQL literals of session values; those not given are left to the server as NULL.
    pub session: &'a [(SessionValue, Vec<u8>)],
}

impl BoundStatement<'_> {
    /// The number of the parameter that a `?` stands for.
    pub fn parameter_number(&self, hole: HoleId) -> usize {
        let before = &self.scan.holes()[..hole as usize];
        before.iter().filter(|hole| hole.kind == HoleKind::Placeholder).count()
    }
}

impl Bindings for BoundStatement<'_> {
    fn text(&self) -> &[u8] {
        &self.text[..self.scan.end() as usize]
    }

    fn hole_count(&self) -> usize {
        self.scan.holes().len()
    }

    fn hole_span(&self, hole: HoleId) -> Range<usize> {
        let cut = self.scan.holes()[hole as usize].cut;
        cut.start as usize..cut.end as usize
    }

    fn is_placeholder(&self, hole: HoleId) -> bool {
        self.scan.holes()[hole as usize].kind == HoleKind::Placeholder
    }

    fn value(&self, hole: HoleId) -> Value<'_> {
        let holes = self.scan.holes();
        let found = &holes[hole as usize];
        if found.kind == HoleKind::Placeholder {
            let number = self.parameter_number(hole);
            return self.parameters.get(number).map_or(Value::Null, borrow);
        }
        let Some(literal) = found.literal(self.text, self.mode) else {
            // A number that no column can hold; as text it is routed by nothing.
            return Value::Bytes(Cow::Borrowed(b""));
        };
        match (literal.value, literal.introducer) {
            // In the introducer's charset, not the client's: only ASCII means the same.
            (Value::Text(text), Some(introducer))
                if !text.is_ascii() || !agrees_with_ascii(introducer) =>
            {
                Value::Bytes(text)
            }
            (value, _) => value,
        }
    }

    fn offset(&self, place: SkeletonOffset) -> usize {
        self.scan.resolve(place) as usize
    }

    fn charset(&self) -> ClientCharset {
        self.charset
    }

    fn session_value(&self, value: SessionValue, out: &mut Vec<u8>) {
        let literal = self.session.iter().find(|(name, _)| *name == value);
        out.extend_from_slice(literal.map_or(b"NULL".as_slice(), |(_, literal)| literal));
    }
}

/// Whether ASCII bytes are ASCII in the charset of an introducer.
fn agrees_with_ascii(charset: &[u8]) -> bool {
    const OTHERS: [&[u8]; 5] = [b"swe7", b"ucs2", b"utf16", b"utf16le", b"utf32"];
    !OTHERS.iter().any(|other| charset.eq_ignore_ascii_case(other))
}

fn borrow<'a>(value: &'a Value<'_>) -> Value<'a> {
    match value {
        Value::Null => Value::Null,
        Value::Int(v) => Value::Int(*v),
        Value::UInt(v) => Value::UInt(*v),
        Value::Float(v) => Value::Float(*v),
        Value::Decimal(v) => Value::Decimal(Cow::Borrowed(v)),
        Value::Text(v) => Value::Text(Cow::Borrowed(v)),
        Value::Bytes(v) => Value::Bytes(Cow::Borrowed(v)),
        Value::Temporal(v) => Value::Temporal(Cow::Borrowed(v)),
    }
}
