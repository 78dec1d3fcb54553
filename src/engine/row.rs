//! Rows as packet payloads: find the cells of one, write a new one.
//!
//! Works on text rows (COM_QUERY) and binary rows (COM_STMT_EXECUTE) alike. A cell is the bytes of
//! a value without its length prefix, in the encoding of its protocol; [`super::compare`] knows
//! what the bytes mean. Protocol pages: "Text Resultset Row", "Binary Protocol Resultset Row".

use std::ops::Range;

use super::column::{Column, Encoding};
use crate::error::{SqlError, catalog};

/// Which protocol the rows use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Answer to COM_QUERY: every value as text.
    Text,
    /// Answer to COM_STMT_EXECUTE: values by type.
    Binary,
}

/// The columns of the rows in a merge, hidden ones included, and how rows are encoded.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Which protocol.
    pub format: RowFormat,
    /// All columns.
    pub columns: Vec<Column>,
    /// How many of the last columns the client must not see.
    pub hidden: usize,
}

/// Where the cells of a row are in its payload; `None` is NULL.
pub type Cells = Vec<Option<Range<usize>>>;

const NULL: u8 = 0xfb;

impl Layout {
    /// Finds the cells of a row. `cells` is cleared first.
    pub fn split(&self, row: &[u8], cells: &mut Cells) -> Result<(), SqlError> {
        cells.clear();
        let end = match self.format {
            RowFormat::Text => self.split_text(row, cells),
            RowFormat::Binary => self.split_binary(row, cells),
        };
        if end == Some(row.len()) {
            return Ok(());
        }
        Err(catalog::INTERNAL.with(&[&"a row from a server does not match its columns"]))
    }

    fn split_text(&self, row: &[u8], cells: &mut Cells) -> Option<usize> {
        let mut at = 0;
        for _ in &self.columns {
            if *row.get(at)? == NULL {
                cells.push(None);
                at += 1;
                continue;
            }
            let cell = length_encoded(row, at)?;
            at = cell.end;
            cells.push(Some(cell));
        }
        Some(at)
    }

    fn split_binary(&self, row: &[u8], cells: &mut Cells) -> Option<usize> {
        let mut at = 1 + null_bitmap_length(self.columns.len());
        let bitmap = row.get(1..at)?;
        for (index, column) in self.columns.iter().enumerate() {
            if bitmap[(index + 2) / 8] & (1 << ((index + 2) % 8)) != 0 {
                cells.push(None);
                continue;
            }
            let cell = match column.encoding() {
                Encoding::Fixed(length) => at..at + length,
                Encoding::Temporal => at + 1..at + 1 + usize::from(*row.get(at)?),
                Encoding::Bytes => length_encoded(row, at)?,
            };
            if cell.end > row.len() {
                return None;
            }
            at = cell.end;
            cells.push(Some(cell));
        }
        Some(at)
    }

    /// Appends a row made of the first cells of `cells` to `out`.
    pub fn write(&self, cells: &[Option<&[u8]>], out: &mut Vec<u8>) {
        match self.format {
            RowFormat::Text => {
                for cell in cells {
                    match cell {
                        None => out.push(NULL),
                        Some(bytes) => write_length_encoded(bytes, out),
                    }
                }
            }
            RowFormat::Binary => self.write_binary(cells, out),
        }
    }

    fn write_binary(&self, cells: &[Option<&[u8]>], out: &mut Vec<u8>) {
        out.push(0);
        let bitmap = out.len();
        out.resize(bitmap + null_bitmap_length(cells.len()), 0);
        for (index, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
            let Some(bytes) = cell else {
                out[bitmap + (index + 2) / 8] |= 1 << ((index + 2) % 8);
                continue;
            };
            match column.encoding() {
                Encoding::Fixed(_) => out.extend_from_slice(bytes),
                Encoding::Temporal => {
                    out.push(bytes.len() as u8);
                    out.extend_from_slice(bytes);
                }
                Encoding::Bytes => write_length_encoded(bytes, out),
            }
        }
    }

    /// The number of columns that the client sees.
    pub fn visible(&self) -> usize {
        self.columns.len() - self.hidden
    }
}

fn null_bitmap_length(columns: usize) -> usize {
    (columns + 9) / 8
}

fn length_encoded(row: &[u8], at: usize) -> Option<Range<usize>> {
    let (width, start) = match *row.get(at)? {
        short @ 0..=0xfa => return checked(row, at + 1, u64::from(short)),
        0xfc => (2, at + 1),
        0xfd => (3, at + 1),
        0xfe => (8, at + 1),
        _ => return None,
    };
    let mut length = [0; 8];
    length[..width].copy_from_slice(row.get(start..start + width)?);
    checked(row, start + width, u64::from_le_bytes(length))
}

fn checked(row: &[u8], start: usize, length: u64) -> Option<Range<usize>> {
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= row.len()).then_some(start..end)
}

fn write_length_encoded(bytes: &[u8], out: &mut Vec<u8>) {
    let length = bytes.len() as u64;
    let le = length.to_le_bytes();
    match length {
        0..=0xfa => out.push(le[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&le[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&le[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&le);
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(format: RowFormat) -> Layout {
        let columns =
            vec![Column::new(8, 0, 63, 0), Column::new(253, 0, 45, 0), Column::new(12, 0, 63, 0)];
        Layout { format, columns, hidden: 1 }
    }

    #[test]
    fn what_is_written_is_found_again() {
        let long = vec![b'x'; 70_000];
        let number = 7u64.to_le_bytes();
        for format in [RowFormat::Text, RowFormat::Binary] {
            let layout = layout(format);
            let row: [Option<&[u8]>; 3] = [Some(&number), Some(&long), Some(&[0xe8, 0x07, 1, 2])];
            for row in [row, [None, Some(b""), None]] {
                let (mut out, mut cells) = (Vec::new(), Vec::new());
                layout.write(&row, &mut out);
                layout.split(&out, &mut cells).expect("well formed");
                let found: Vec<_> = cells.iter().map(|c| c.clone().map(|r| &out[r])).collect();
                assert_eq!(found, row);
            }
        }
    }

    #[test]
    fn truncated_rows_are_errors() {
        for format in [RowFormat::Text, RowFormat::Binary] {
            let layout = layout(format);
            let number = 7u64.to_le_bytes();
            let (mut out, mut cells) = (Vec::new(), Vec::new());
            layout.write(&[Some(&number), Some(b"abc"), Some(&[1, 2, 3, 4])], &mut out);
            for end in 0..out.len() {
                assert!(layout.split(&out[..end], &mut cells).is_err());
            }
            out.push(1);
            assert!(layout.split(&out, &mut cells).is_err(), "trailing bytes");
        }
    }
}
