//! Compares rows as MySQL's ORDER BY does: NULL first, numbers by value, text by the weights that
//! the server computed, dates and times by what they mean.
//!
//! Text without weights is never compared: only the server knows its collation.

use std::cmp::Ordering;

use super::column::Class;
use super::decimal::Decimal;
use super::plan::{CompareKey, Direction, SortKey, Weight};
use super::row::{Cells, Layout, RowFormat};
use super::temporal;
use crate::error::{SqlError, catalog};

/// A comparable value of a row. Values of one column are always of one variant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum<'a> {
    Null,
    Integer(i128),
    Decimal(Decimal),
    Float(f64),
    /// Dates and times as a number that grows with them.
    Temporal(i64),
    Bytes(&'a [u8]),
    /// A weight string, and the weight of a space for PAD SPACE collations.
    Weight {
        string: &'a [u8],
        pad: &'a [u8],
    },
}

/// A key with its columns as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    column: usize,
    class: Class,
    weight: Option<(usize, usize)>,
}

impl Key {
    /// Refuses columns that cannot be compared here.
    pub(super) fn new(key: &CompareKey, layout: &Layout) -> Result<Self, SqlError> {
        let (width, hidden) = (layout.columns.len(), layout.hidden);
        let column = key.column.index(width, hidden);
        let class = layout
            .columns
            .get(column)
            .ok_or_else(|| catalog::INTERNAL.with(&[&"a plan names a column that is not there"]))?
            .class();
        let resolve = |w: Weight| (w.string.index(width, hidden), w.pad.index(width, hidden));
        let weight = key.weight.map(resolve);
        match class {
            Class::Text if weight.is_none() => {
                Err(refused("comparing text of several shards without its collation"))
            }
            Class::Enumerated => Err(refused("comparing ENUM or SET values of several shards")),
            Class::Opaque => Err(refused("comparing JSON or geometry values of several shards")),
            _ => Ok(Self { column, class, weight }),
        }
    }

    /// For keys whose equality decides: refuses FLOAT in text rows as well, which rounds it.
    pub(super) fn exact(key: &CompareKey, layout: &Layout) -> Result<Self, SqlError> {
        let key = Self::new(key, layout)?;
        if layout.format == RowFormat::Text && layout.columns[key.column].is_rounded_in_text() {
            return Err(refused("grouping FLOAT values of several shards"));
        }
        Ok(key)
    }

    /// Servers sort by the first `max_sort_length` bytes only, so equal values longer than that
    /// need not be neighbours.
    pub(super) fn check_length(
        &self,
        layout: &Layout,
        row: &[u8],
        cells: &Cells,
    ) -> Result<(), SqlError> {
        match self.datum(layout, row, cells)? {
            Datum::Weight { string: bytes, .. } | Datum::Bytes(bytes)
                if bytes.len() >= MAX_SORT_LENGTH =>
            {
                Err(refused("grouping values of several shards that are longer than a sort key"))
            }
            _ => Ok(()),
        }
    }

    /// The value of this key in a row.
    pub(super) fn datum<'a>(
        &self,
        layout: &Layout,
        row: &'a [u8],
        cells: &Cells,
    ) -> Result<Datum<'a>, SqlError> {
        let cell = |index: usize| cells[index].clone().map(|range| &row[range]);
        let Some(value) = cell(self.column) else { return Ok(Datum::Null) };
        if self.class == Class::Text {
            let (string, pad) = self.weight.unwrap_or_default();
            let string = cell(string).ok_or_else(|| {
                refused("comparing text whose weight string the server did not give")
            })?;
            let pad = cell(pad).unwrap_or_default();
            if pad.len() >= LEVELS_FROM {
                return Err(several_levels());
            }
            return Ok(Datum::Weight { string, pad });
        }
        let column = layout.columns[self.column];
        decode(value, self.class, column.is_unsigned(), layout.format)
            .ok_or_else(|| catalog::INTERNAL.with(&[&"a value from a server cannot be read"]))
    }
}

/// So long is the weight of a space only where it is one of several levels: accents, then case. The
/// padding belongs behind each of them, and where one ends the weights do not tell.
const LEVELS_FROM: usize = 4;

fn several_levels() -> SqlError {
    let what = "comparing text of several shards under a collation of several levels that pads \
                with spaces";
    let advice = "COLLATE it by one without padding, such as utf8mb4_uca1400_nopad_as_cs";
    catalog::UNSUPPORTED.advising(&[&what], advice)
}

/// MySQL's default of `max_sort_length`.
const MAX_SORT_LENGTH: usize = 1024;

fn refused(what: &str) -> SqlError {
    catalog::UNSUPPORTED.advising(&[&what], "order and group by columns with shorter values")
}

/// Reads a cell that is not text.
pub(super) fn decode(
    cell: &[u8],
    class: Class,
    unsigned: bool,
    format: RowFormat,
) -> Option<Datum<'_>> {
    Some(match (class, format) {
        (Class::Null, _) => Datum::Null,
        (Class::Integer, RowFormat::Text) => {
            Datum::Integer(std::str::from_utf8(cell).ok()?.parse().ok()?)
        }
        (Class::Integer, RowFormat::Binary) => Datum::Integer(integer(cell, unsigned)?),
        (Class::Decimal, _) => Datum::Decimal(Decimal::parse(cell)?),
        (Class::Float, RowFormat::Text) => {
            Datum::Float(std::str::from_utf8(cell).ok()?.parse().ok()?)
        }
        (Class::Float, RowFormat::Binary) => Datum::Float(match cell.len() {
            4 => f64::from(f32::from_le_bytes(cell.try_into().ok()?)),
            _ => f64::from_le_bytes(cell.try_into().ok()?),
        }),
        (Class::DateTime, RowFormat::Text) => Datum::Temporal(temporal::datetime_text(cell)?),
        (Class::DateTime, RowFormat::Binary) => Datum::Temporal(temporal::datetime_binary(cell)?),
        (Class::Time, RowFormat::Text) => Datum::Temporal(temporal::time_text(cell)?),
        (Class::Time, RowFormat::Binary) => Datum::Temporal(temporal::time_binary(cell)?),
        (Class::Binary | Class::Text | Class::Enumerated | Class::Opaque, _) => Datum::Bytes(cell),
    })
}

fn integer(cell: &[u8], unsigned: bool) -> Option<i128> {
    let mut bytes = [0; 8];
    bytes.get_mut(..cell.len())?.copy_from_slice(cell);
    let raw = u64::from_le_bytes(bytes);
    let spare = 64 - 8 * cell.len() as u32;
    Some(if unsigned || spare == 64 {
        i128::from(raw)
    } else {
        i128::from((raw << spare) as i64 >> spare)
    })
}

/// The order of two values of one column.
pub(super) fn compare(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Less,
        (_, Datum::Null) => Ordering::Greater,
        (Datum::Integer(a), Datum::Integer(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Datum::Float(a), Datum::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Datum::Temporal(a), Datum::Temporal(b)) => a.cmp(b),
        (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
        (Datum::Weight { string: a, pad }, Datum::Weight { string: b, .. }) => {
            compare_padded(a, b, pad)
        }
        // Cannot happen: a column has one class in all rows.
        _ => Ordering::Equal,
    }
}

/// Compares weight strings as if the shorter one went on with spaces. Trimming would not do:
/// `'a\t'` sorts before `'a'` in a PAD SPACE collation.
fn compare_padded(a: &[u8], b: &[u8], pad: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    let order = a[..common].cmp(&b[..common]);
    if order != Ordering::Equal || a.len() == b.len() {
        return order;
    }
    if pad.is_empty() {
        return a.len().cmp(&b.len());
    }
    let (rest, sign) = if a.len() > common { (&a[common..], false) } else { (&b[common..], true) };
    let order = rest.iter().cmp(pad.iter().cycle().take(rest.len()));
    if sign { order.reverse() } else { order }
}

/// Appends bytes that are equal exactly for values that compare equal.
pub(super) fn write_identity(datum: &Datum<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    match datum {
        Datum::Null => {}
        Datum::Integer(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Decimal(value) => {
            value.write(out);
            let trimmed = trimmed_decimal(&out[start + 8..]);
            out.truncate(start + 8 + trimmed);
        }
        // Adding zero turns -0 into 0.
        Datum::Float(value) => out.extend_from_slice(&(value + 0.0).to_le_bytes()),
        Datum::Temporal(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Bytes(bytes) => out.extend_from_slice(bytes),
        Datum::Weight { string, pad } => {
            let mut string = *string;
            while !pad.is_empty() && string.ends_with(pad) {
                string = &string[..string.len() - pad.len()];
            }
            out.extend_from_slice(string);
        }
    }
    let length = match datum {
        Datum::Null => u64::MAX,
        _ => (out.len() - start - 8) as u64,
    };
    out[start..start + 8].copy_from_slice(&length.to_le_bytes());
}

fn trimmed_decimal(text: &[u8]) -> usize {
    if !text.contains(&b'.') {
        return text.len();
    }
    let zeros = text.iter().rev().take_while(|b| **b == b'0').count();
    let end = text.len() - zeros;
    end - usize::from(text[end - 1] == b'.')
}

/// A sort order over rows of one layout.
#[derive(Clone, Debug)]
pub(super) struct Order {
    keys: Vec<(Key, Direction)>,
}

impl Order {
    pub(super) fn new(keys: &[SortKey], layout: &Layout) -> Result<Self, SqlError> {
        let keys: Result<_, SqlError> =
            keys.iter().map(|k| Ok((Key::new(&k.key, layout)?, k.direction))).collect();
        Ok(Self { keys: keys? })
    }

    /// Compares two rows given with their cells.
    pub(super) fn compare(
        &self,
        layout: &Layout,
        a: (&[u8], &Cells),
        b: (&[u8], &Cells),
    ) -> Result<Ordering, SqlError> {
        for (key, direction) in &self.keys {
            let order = compare(&key.datum(layout, a.0, a.1)?, &key.datum(layout, b.0, b.1)?);
            if order != Ordering::Equal {
                return Ok(match direction {
                    Direction::Ascending => order,
                    Direction::Descending => order.reverse(),
                });
            }
        }
        Ok(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_virtual_spaces() {
        let space = b" ";
        assert_eq!(compare_padded(b"a", b"a  ", space), Ordering::Equal);
        assert_eq!(compare_padded(b"a\t", b"a", space), Ordering::Less);
        assert_eq!(compare_padded(b"a", b"a\t", space), Ordering::Greater);
        assert_eq!(compare_padded(b"ab", b"a", space), Ordering::Greater);
        assert_eq!(compare_padded(b"a ", b"a", b""), Ordering::Greater, "NO PAD");
    }

    #[test]
    fn binary_integers_keep_their_sign() {
        assert_eq!(integer(&[0xff], false), Some(-1));
        assert_eq!(integer(&[0xff], true), Some(255));
        assert_eq!(integer(&u64::MAX.to_le_bytes(), true), Some(i128::from(u64::MAX)));
        assert_eq!(integer(&[0; 9], true), None);
    }

    #[test]
    fn equal_values_have_equal_identities() {
        let identity = |datum: Datum<'_>| {
            let mut out = Vec::new();
            write_identity(&datum, &mut out);
            out
        };
        let decimal = |text: &[u8]| Datum::Decimal(Decimal::parse(text).expect("a number"));
        assert_eq!(identity(decimal(b"1.50")), identity(decimal(b"1.5")));
        assert_eq!(identity(decimal(b"10")), identity(decimal(b"10.0")));
        assert_ne!(identity(decimal(b"10")), identity(decimal(b"1")));
        assert_eq!(identity(Datum::Float(-0.0)), identity(Datum::Float(0.0)));
        assert_ne!(identity(Datum::Null), identity(Datum::Bytes(b"")));
        let weight = |string| Datum::Weight { string, pad: b"\0 " };
        assert_eq!(identity(weight(b"\0a\0 ")), identity(weight(b"\0a")));
    }
}
