//! A statement that is about to run: its text, what the lexer found, and bound parameters.

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::ast::HoleId;
use crate::sql::charset::agrees_with_ascii;
use crate::sql::literal::Literal;
use crate::sql::mode::LexMode;
use crate::sql::position::SkeletonOffset;
use crate::sql::scan::{HoleKind, Scan};
use crate::sql::value::Value;

use super::capacity::Zero;
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
    /// What its servers store for 0 in a column that they number.
    pub zero: Zero,
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
        match literal.value {
            Value::Text(text) if self.charset(hole) == ClientCharset::Introduced => {
                Value::Bytes(text)
            }
            value => value,
        }
    }

    fn offset(&self, place: SkeletonOffset) -> usize {
        self.scan.resolve(place) as usize
    }

    fn charset(&self, hole: HoleId) -> ClientCharset {
        let found = &self.scan.holes()[hole as usize];
        let literal = match found.kind {
            HoleKind::Introduced | HoleKind::NationalString => found.literal(self.text, self.mode),
            _ => return self.charset,
        };
        match literal {
            Some(Literal { value: Value::Bytes(_), .. }) => self.charset,
            // Not in the client's charset: only ASCII means the same.
            Some(Literal { value: Value::Text(text), introducer: Some(introducer) })
                if text.is_ascii() && agrees_with_ascii(introducer) =>
            {
                self.charset
            }
            _ => ClientCharset::Introduced,
        }
    }

    fn zero(&self) -> Zero {
        self.zero
    }

    fn session_value(&self, value: SessionValue, out: &mut Vec<u8>) {
        let literal = self.session.iter().find(|(name, _)| *name == value);
        out.extend_from_slice(literal.map_or(b"NULL".as_slice(), |(_, literal)| literal));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introducer_keeps_only_ascii_as_it_is() {
        for (literal, charset, value) in [
            ("'a'", ClientCharset::Utf8, Value::Text(b"a".into())),
            ("_latin1'a'", ClientCharset::Utf8, Value::Text(b"a".into())),
            ("_utf8mb4 x'61'", ClientCharset::Utf8, Value::Text(b"a".into())),
            ("N'a'", ClientCharset::Utf8, Value::Text(b"a".into())),
            ("_binary'\u{e9}'", ClientCharset::Utf8, Value::Bytes("\u{e9}".as_bytes().into())),
            ("x'61'", ClientCharset::Utf8, Value::Bytes(b"a".into())),
            (
                "_latin1'\u{e9}'",
                ClientCharset::Introduced,
                Value::Bytes("\u{e9}".as_bytes().into()),
            ),
            ("_utf8mb4 x'ff'", ClientCharset::Introduced, Value::Bytes(b"\xff".into())),
            ("_ucs2'a'", ClientCharset::Introduced, Value::Bytes(b"a".into())),
            ("_utf16 x'61'", ClientCharset::Introduced, Value::Bytes(b"a".into())),
            ("_utf16le'ab'", ClientCharset::Introduced, Value::Bytes(b"ab".into())),
            ("_utf32 0x61", ClientCharset::Introduced, Value::Bytes(b"a".into())),
            ("_swe7'a'", ClientCharset::Introduced, Value::Bytes(b"a".into())),
            ("_sjis'a'", ClientCharset::Introduced, Value::Bytes(b"a".into())),
        ] {
            let text = format!("SELECT {literal}");
            let mut scan = Scan::new();
            scan.run(text.as_bytes(), LexMode::default()).expect("a literal");
            let bound = BoundStatement {
                text: text.as_bytes(),
                scan: &scan,
                mode: LexMode::default(),
                charset: ClientCharset::Utf8,
                parameters: &[],
                zero: Zero::Numbered,
                session: &[],
            };
            assert_eq!((bound.charset(0), bound.value(0)), (charset, value), "{literal}");
        }
    }
}
