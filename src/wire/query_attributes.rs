//! Query attributes: named values that a client sends along with a statement.
//!
//! Where QUERY_ATTRIBUTES is agreed on, a COM_QUERY has them in front of its text, and a
//! COM_STMT_EXECUTE behind the statement's own parameters ([`super::statement`]). Values are kept
//! as they came; nothing here decodes one.
//!
//! Where a text begins must be no matter of opinion between the proxy that routes it and the server
//! that runs it. Lengths are therefore read as MySQL reads them (`parse_query_bind_params` and
//! `get_ps_param_len` in `sql/protocol_classic.cc`), and what MySQL would make fit, such as a value
//! that is longer than the packet, is malformed here.
//!
//! Protocol pages: MySQL "COM_QUERY" (`page_protocol_com_query`), "COM_STMT_EXECUTE".

use std::ops::Range;

use super::command::code;
use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_lenenc_int, put_u16};
use super::row_binary::{bit, set_bit};

/// What stands between command byte and text where there are no attributes: none, in one set.
pub const NO_ATTRIBUTES: &[u8] = &[0, 1];

/// More are malformed, as in MySQL.
pub(super) const COUNT_MAX: u64 = 0xffff;

/// Memory above which it is given back before the next command.
const IDLE_MAX: usize = 1 << 16;

/// The attributes of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryAttributes {
    bytes: Vec<u8>,
    all: Vec<Attribute>,
}

/// Where an attribute stands in [`QueryAttributes::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    kind: u16,
    name: Range<usize>,
    /// Raw bytes, the length in front included; `None` for NULL.
    value: Option<Range<usize>>,
}

impl QueryAttributes {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.all.clear();
        if self.bytes.capacity() > IDLE_MAX || self.all.capacity() > IDLE_MAX / 64 {
            *self = Self::default();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Reads those of a COM_QUERY's payload in place of what was here. After an error there are
    /// none.
    pub fn read_query(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.clear();
        let mut cursor = Cursor::new(payload);
        let read = walk(&mut cursor, |name, kind, value| self.push(name, kind, value));
        if read.is_err() {
            self.clear();
        }
        read
    }

    /// Adds one.
    pub(super) fn push(&mut self, name: &[u8], kind: u16, value: Option<&[u8]>) {
        let mut put = |bytes: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        };
        let (name, value) = (put(name), value.map(put));
        self.all.push(Attribute { kind, name, value });
    }

    /// Appends what stands in a COM_QUERY between command byte and text.
    pub fn put_query(&self, out: &mut Vec<u8>) {
        put_lenenc_int(out, self.len() as u64);
        out.push(1);
        if self.is_empty() {
            return;
        }
        let bitmap = out.len();
        out.resize(bitmap + self.len().div_ceil(8), 0);
        out.push(1);
        self.put_nulls(out, bitmap, 0);
        self.put_types(out);
        self.put_values(out);
    }

    /// Sets the bits of those that are NULL in the bitmap at `bitmap`; the first has bit `first`.
    pub(super) fn put_nulls(&self, out: &mut [u8], bitmap: usize, first: usize) {
        for (index, attribute) in self.all.iter().enumerate() {
            if attribute.value.is_none() {
                set_bit(out, bitmap, first + index);
            }
        }
    }

    /// Appends types and names.
    pub(super) fn put_types(&self, out: &mut Vec<u8>) {
        for attribute in &self.all {
            put_u16(out, attribute.kind);
            put_lenenc_bytes(out, self.bytes.get(attribute.name.clone()).unwrap_or_default());
        }
    }

    /// Appends the values that are not NULL.
    pub(super) fn put_values(&self, out: &mut Vec<u8>) {
        for range in self.all.iter().filter_map(|attribute| attribute.value.clone()) {
            out.extend_from_slice(self.bytes.get(range).unwrap_or_default());
        }
    }
}

/// Where the text of a COM_QUERY that has attributes begins in its payload.
pub fn text_start(payload: &[u8]) -> Result<usize, Malformed> {
    if payload.get(1..3) == Some(NO_ATTRIBUTES) {
        return Ok(3);
    }
    let mut cursor = Cursor::new(payload);
    walk(&mut cursor, |_, _, _| {})?;
    Ok(cursor.position())
}

/// Walks over a COM_QUERY's command byte and attributes.
fn walk<'a>(
    cursor: &mut Cursor<'a>,
    mut each: impl FnMut(&'a [u8], u16, Option<&'a [u8]>),
) -> Result<(), Malformed> {
    if cursor.u8()? != code::QUERY {
        return Err(Malformed::new("COM_QUERY", 0));
    }
    let count = read_count(cursor)?;
    if cursor.lenenc_int()? != 1 {
        return Err(cursor.malformed("one set of query attributes"));
    }
    if count == 0 {
        return Ok(());
    }
    let bitmap = cursor.bytes(count.div_ceil(8))?;
    if cursor.u8()? == 0 {
        return Err(cursor.malformed("the types of query attributes"));
    }
    let mut types = *cursor;
    for _ in 0..count {
        cursor.u16()?;
        cursor.lenenc_bytes()?;
    }
    for index in 0..count {
        let kind = types.u16()?;
        let name = types.lenenc_bytes()?;
        let value = if bit(bitmap, index) { None } else { Some(take_value(cursor, kind)?) };
        each(name, kind, value);
    }
    Ok(())
}

/// The number of parameters and attributes of a command.
pub(super) fn read_count(cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    let count = cursor.lenenc_int()?;
    if count > COUNT_MAX {
        return Err(cursor.malformed("fewer query attributes"));
    }
    Ok(count as usize)
}

/// The raw value of an attribute of this type. Unlike those of rows, values of MEDIUMINT and YEAR
/// have a length in front: MySQL knows no such parameters.
pub(super) fn take_value<'a>(cursor: &mut Cursor<'a>, kind: u16) -> Result<&'a [u8], Malformed> {
    /// In a type: an unsigned number.
    const UNSIGNED: u16 = 1 << 15;
    /// MYSQL_TYPE_BOOL, which no server takes yet.
    const BOOL: u16 = 244;
    let mut end = *cursor;
    match kind & !UNSIGNED {
        1 => end.bytes(1)?,
        2 => end.bytes(2)?,
        3 | 4 => end.bytes(4)?,
        5 | 8 => end.bytes(8)?,
        BOOL => return Err(cursor.malformed("a type that servers know")),
        _ => end.lenenc_bytes()?,
    };
    cursor.bytes(end.position() - cursor.position())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The attributes in front of `text`.
    fn query(attributes: &QueryAttributes, text: &[u8]) -> Vec<u8> {
        let mut payload = vec![code::QUERY];
        attributes.put_query(&mut payload);
        payload.extend_from_slice(text);
        payload
    }

    fn read(payload: &[u8]) -> Option<(QueryAttributes, &[u8])> {
        let mut attributes = QueryAttributes::default();
        let known = attributes.read_query(payload);
        let start = text_start(payload);
        assert_eq!(known.is_ok(), start.is_ok(), "both judge alike");
        start.ok().map(|start| (attributes, &payload[start..]))
    }

    /// What the mysql client sends for `query_attributes n1 v1 n2 v2` and `SELECT 1`.
    #[test]
    fn a_recorded_query_has_its_text_behind_the_attributes() {
        let payload = b"\x03\x02\x01\0\x01\xfe\0\x02n1\xfe\0\x02n2\x02v1\x02v2SELECT 1";
        let (attributes, text) = read(payload).expect("well-formed");
        assert_eq!((attributes.len(), text), (2, &b"SELECT 1"[..]));
        assert_eq!(query(&attributes, text), payload);
        assert_eq!(
            read(b"\x03\0\x01SELECT 1"),
            Some((QueryAttributes::default(), &b"SELECT 1"[..]))
        );
        assert_eq!(read(b"\x03\0\x01"), Some((QueryAttributes::default(), &b""[..])));
    }

    #[test]
    fn types_decide_how_long_a_value_is() {
        let mut attributes = QueryAttributes::default();
        attributes.push(b"tiny", 0x8001, Some(b"\xff"));
        attributes.push(b"null", 3, None);
        attributes.push(b"int24", 9, Some(b"\x03abc"));
        attributes.push(b"", 8, Some(&[7; 8]));
        let payload = query(&attributes, b"SELECT 2");
        assert_eq!(read(&payload), Some((attributes, &b"SELECT 2"[..])));
    }

    #[test]
    fn what_a_server_would_read_otherwise_is_malformed() {
        for payload in [
            &b"\x03"[..],
            b"\x03\0",
            b"\x03SELECT 1",
            b"\x03\0\0SELECT 1",
            b"\x03\0\x02SELECT 1",
            b"\x03\xfb\x01SELECT 1",
            b"\x03\xfd\0\0\x01\x01SELECT 1",
            b"\x03\xfe\0\0\0\0\x01\0\0\0\x01SELECT 1",
            b"\x03\x01\x01\0\0\xfe\0\0\x02v1SELECT 1",
            b"\x03\x01\x01\0\x01\xfe\0\0\x7fv1SELECT 1",
            b"\x03\x01\x01\0\x01\xfe\0\0\xfbv1SELECT 1",
            b"\x03\x01\x01\0\x01\xfe\0\x7fn\x02v1SELECT 1",
            b"\x03\x01\x01\0\x01\xf4\0\0\x01SELECT 1",
        ] {
            assert_eq!(read(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn a_buffer_that_grew_is_given_back() {
        let mut attributes = QueryAttributes::default();
        let long = [&b"\xfd\0\0\x02"[..], &vec![b'x'; 2 << 16]].concat();
        attributes.push(b"long", 0xfe, Some(&long));
        attributes.clear();
        assert!(attributes.is_empty() && attributes.bytes.capacity() == 0);
    }

    proptest! {
        #[test]
        fn any_attributes_come_back(
            all: Vec<(Vec<u8>, Option<Vec<u8>>)>, text: Vec<u8>, cut: prop::sample::Index,
        ) {
            let mut attributes = QueryAttributes::default();
            for (name, value) in &all {
                let raw = value.as_ref().map(|value| {
                    let mut raw = Vec::new();
                    put_lenenc_bytes(&mut raw, value);
                    raw
                });
                attributes.push(name, 0xfe, raw.as_deref());
            }
            let payload = query(&attributes, &text);
            prop_assert_eq!(read(&payload), Some((attributes, &text[..])));
            let front = payload.len() - text.len();
            prop_assert_eq!(read(&payload[..cut.index(front)]), None);
        }

        #[test]
        fn random_bytes_never_panic(mut payload: Vec<u8>) {
            payload.insert(0, code::QUERY);
            if let Some((attributes, text)) = read(&payload) {
                let again = query(&attributes, text);
                prop_assert_eq!(read(&again), Some((attributes, text)));
            }
        }
    }
}
