//! The value of a literal, as MySQL reads it.

use std::borrow::Cow;

use memchr::memchr2;

use super::mode::{Backslash, LexMode};
use super::scan::{Hole, HoleKind};
use super::value::Value;

/// A literal's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal<'a> {
    /// The value. Text is in the client's charset unless there is an introducer.
    pub value: Value<'a>,
    /// The charset that an introducer names, as written without `_`; `utf8` for `N'..'`.
    pub introducer: Option<&'a [u8]>,
}

impl Hole {
    /// The literal in `text`, the text in which this hole was found. `None` for a placeholder, and
    /// for what MySQL would not accept (a number beyond a double's range).
    pub fn literal<'a>(&self, text: &'a [u8], mode: LexMode) -> Option<Literal<'a>> {
        let bytes = text.get(self.cut.start as usize..self.cut.end as usize)?;
        let value = match self.kind {
            HoleKind::Placeholder => return None,
            HoleKind::Int => integer(bytes),
            HoleKind::Decimal => Value::Decimal(Cow::Borrowed(bytes)),
            HoleKind::Float => float(bytes)?,
            HoleKind::String => Value::Text(string(bytes, mode)),
            HoleKind::NationalString => {
                let value = Value::Text(string(&bytes[1..], mode));
                return Some(Literal { value, introducer: Some(b"utf8") });
            }
            HoleKind::Hex => Value::Bytes(Cow::Owned(hex(bytes)?)),
            HoleKind::Bit => Value::Bytes(Cow::Owned(bits(bytes)?)),
            HoleKind::Introduced => return self.introduced(text, bytes, mode),
        };
        Some(Literal { value, introducer: None })
    }

    fn introduced<'a>(
        &self,
        text: &'a [u8],
        bytes: &'a [u8],
        mode: LexMode,
    ) -> Option<Literal<'a>> {
        let before = text[..self.cut.start as usize].trim_ascii_end();
        let name = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count();
        let start = before.len() - name;
        if start == 0 || before[start - 1] != b'_' {
            return None;
        }
        let introducer = &before[start..];
        let content = match bytes.first()? {
            b'\'' | b'"' => string(bytes, mode),
            b'x' | b'X' => Cow::Owned(hex(bytes)?),
            b'b' | b'B' => Cow::Owned(bits(bytes)?),
            _ if bytes.get(1) == Some(&b'x') => Cow::Owned(hex(bytes)?),
            _ => Cow::Owned(bits(bytes)?),
        };
        let value = if introducer.eq_ignore_ascii_case(b"binary") {
            Value::Bytes(content)
        } else {
            Value::Text(content)
        };
        Some(Literal { value, introducer: Some(introducer) })
    }
}

/// Digits: signed if they fit, else unsigned, else decimal.
fn integer(digits: &[u8]) -> Value<'_> {
    let mut number: u64 = 0;
    for digit in digits {
        let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
        match next {
            Some(next) => number = next,
            None => return Value::Decimal(Cow::Borrowed(digits)),
        }
    }
    i64::try_from(number).map_or(Value::UInt(number), Value::Int)
}

fn float(bytes: &[u8]) -> Option<Value<'static>> {
    let number: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    number.is_finite().then_some(Value::Float(number))
}

/// The content of a quoted string, which stands in `bytes` with its quotes.
pub(super) fn string(bytes: &[u8], mode: LexMode) -> Cow<'_, [u8]> {
    let quote = bytes[0];
    let body = &bytes[1..bytes.len() - 1];
    let Some(first) = memchr2(quote, b'\\', body) else { return Cow::Borrowed(body) };
    let escapes = mode.backslash == Backslash::Escape;
    if !escapes && memchr::memchr(quote, body).is_none() {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::with_capacity(body.len());
    // In charsets where a second byte may be a backslash, the first find may be one.
    let mut at = if mode.charset.is_pair(0xa1, b'\\') || mode.charset.is_pair(0x81, b'\\') {
        0
    } else {
        out.extend_from_slice(&body[..first]);
        first
    };
    while let Some(&byte) = body.get(at) {
        let next = body.get(at + 1).copied();
        match next {
            Some(next) if mode.charset.is_pair(byte, next) => {
                out.extend_from_slice(&[byte, next]);
                at += 2;
            }
            Some(next) if byte == b'\\' && escapes => {
                push_escape(&mut out, next);
                at += 2;
            }
            Some(next) if byte == quote && next == quote => {
                out.push(quote);
                at += 2;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// What `\` and `byte` mean (MySQL manual, String Literals).
fn push_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'0' => out.push(0),
        b'b' => out.push(8),
        b'n' => out.push(b'\n'),
        b'r' => out.push(b'\r'),
        b't' => out.push(b'\t'),
        b'Z' => out.push(0x1a),
        b'%' | b'_' => out.extend_from_slice(&[b'\\', byte]),
        other => out.push(other),
    }
}

/// The digits of `x'..'` or `0x..`.
fn digits(bytes: &[u8]) -> &[u8] {
    if bytes[0] == b'0' { &bytes[2..] } else { &bytes[2..bytes.len() - 1] }
}

fn hex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = digits(bytes);
    let mut out = Vec::with_capacity(digits.len().div_ceil(2));
    let (odd, even) = digits.split_at(digits.len() % 2);
    if let [digit] = odd {
        out.push(nibble(*digit)?);
    }
    for pair in even.chunks_exact(2) {
        out.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|digit| digit as u8)
}

fn bits(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = digits(bytes);
    let mut out = vec![0; digits.len().div_ceil(8)];
    for (index, digit) in digits.iter().rev().enumerate() {
        if *digit == b'1' {
            let at = out.len().checked_sub(1 + index / 8)?;
            out[at] |= 1 << (index % 8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mode::CharsetClass;
    use crate::sql::scan::Scan;

    fn only(text: &[u8], mode: LexMode) -> (Value<'static>, Option<Vec<u8>>) {
        let mut scan = Scan::new();
        scan.run(text, mode).expect("a literal");
        assert_eq!(scan.holes().len(), 1, "{}", String::from_utf8_lossy(text));
        let literal = scan.holes()[0].literal(text, mode).expect("a value");
        (literal.value.into_owned(), literal.introducer.map(<[u8]>::to_vec))
    }

    fn text(bytes: &[u8]) -> Value<'static> {
        Value::Text(Cow::Owned(bytes.to_vec()))
    }

    fn bytes(bytes: &[u8]) -> Value<'static> {
        Value::Bytes(Cow::Owned(bytes.to_vec()))
    }

    #[test]
    fn numbers() {
        let value = |text: &str| only(text.as_bytes(), LexMode::default()).0;
        assert_eq!(value("SELECT 9223372036854775807"), Value::Int(i64::MAX));
        assert_eq!(value("SELECT 9223372036854775808"), Value::UInt(1 << 63));
        let large = "SELECT 18446744073709551616";
        assert_eq!(value(large), Value::Decimal(Cow::Borrowed(b"18446744073709551616")));
        assert_eq!(value("SELECT .5"), Value::Decimal(Cow::Borrowed(b".5")));
        assert_eq!(value("SELECT 1e3"), Value::Float(1000.0));
        assert_eq!(value("SELECT 0xABC"), bytes(&[0x0a, 0xbc]));
        assert_eq!(value("SELECT x'4D7953'"), bytes(b"MyS"));
        assert_eq!(value("SELECT b'100000001'"), bytes(&[1, 1]));
        assert_eq!(value("SELECT 0b101"), bytes(&[5]));
    }

    #[test]
    fn strings() {
        let mode = LexMode::default();
        assert_eq!(only(br"SELECT 'it''s'", mode).0, text(b"it's"));
        assert_eq!(only(br#"SELECT "it's \"ok\"""#, mode).0, text(b"it's \"ok\""));
        assert_eq!(
            only(br"SELECT 'a\0\b\n\r\t\Z\\\%\_\x'", mode).0,
            text(b"a\0\x08\n\r\t\x1a\\\\%\\_x")
        );
        let literal = LexMode { backslash: Backslash::Literal, ..mode };
        assert_eq!(only(br"SELECT 'a\'", literal).0, text(br"a\"));
        let gbk = LexMode { charset: CharsetClass::Gbk, ..mode };
        assert_eq!(only(b"SELECT '\xbf\x5c'", gbk).0, text(b"\xbf\x5c"));
        assert_eq!(only(b"SELECT N'x'", mode), (text(b"x"), Some(b"utf8".to_vec())));
        assert_eq!(only(b"SELECT _latin1 'x'", mode), (text(b"x"), Some(b"latin1".to_vec())));
        assert_eq!(only(b"SELECT _binary'x'", mode), (bytes(b"x"), Some(b"binary".to_vec())));
        assert_eq!(only(b"SELECT _utf8mb4 0x41", mode), (text(b"A"), Some(b"utf8mb4".to_vec())));
    }
}
