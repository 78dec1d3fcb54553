//! Rows of the text protocol.
//!
//! Protocol page: MySQL "Text Resultset Row"
//! (`page_protocol_com_query_response_text_resultset_row`), MariaDB "Result Set Packets: text row".

use smallvec::SmallVec;

use super::cursor::{Cursor, Malformed};
use super::encode::put_lenenc_cell;

/// The cells of a row, one after the other; ends after the first malformed one.
///
/// A row does not say how many cells it has: whoever reads it counts them.
#[derive(Clone, Debug)]
pub struct TextCells<'a>(Cursor<'a>);

impl<'a> TextCells<'a> {
    /// The cells of the row in `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self(Cursor::new(payload))
    }

    /// Byte offset of the next cell in the payload.
    pub const fn position(&self) -> usize {
        self.0.position()
    }
}

impl<'a> Iterator for TextCells<'a> {
    type Item = Result<Option<&'a [u8]>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let cell = self.0.lenenc_cell();
        if cell.is_err() {
            self.0.rest();
        }
        Some(cell)
    }
}

/// A row whose cells are all found, and are as many as there are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow<'a>(SmallVec<[Option<&'a [u8]>; 16]>);

impl<'a> TextRow<'a> {
    /// Finds the cells of the row in `payload`.
    pub fn parse(payload: &'a [u8], columns: usize) -> Result<Self, Malformed> {
        let cells: SmallVec<_> = TextCells::new(payload).collect::<Result<_, _>>()?;
        if cells.len() != columns {
            return Err(Malformed::new("as many cells as columns", payload.len()));
        }
        Ok(Self(cells))
    }

    /// The cell of a column, counted from 0; `None` for NULL. No such column is an error.
    pub fn cell(&self, column: usize) -> Result<Option<&'a [u8]>, Malformed> {
        self.0.get(column).copied().ok_or(Malformed::new("a cell for every column", column))
    }

    /// The cells in order, `None` for NULL.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        self.0.iter().copied()
    }
}

/// Appends a row's payload.
pub fn put_text_row<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = Option<&'a [u8]>>) {
    for cell in cells {
        put_lenenc_cell(out, cell);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(cells: Vec<Option<Vec<u8>>>) {
            let mut out = Vec::new();
            put_text_row(&mut out, cells.iter().map(Option::as_deref));
            let read: Result<Vec<_>, _> = TextCells::new(&out).collect();
            let expected: Vec<_> = cells.iter().map(Option::as_deref).collect();
            prop_assert_eq!(read.as_ref(), Ok(&expected));
            let row = TextRow::parse(&out, cells.len()).unwrap();
            prop_assert_eq!(row.iter().collect::<Vec<_>>(), expected);
            prop_assert!(row.cell(cells.len()).is_err());
            prop_assert!(TextRow::parse(&out, cells.len() + 1).is_err());
        }

        #[test]
        fn random_bytes_never_panic_and_end(bytes: Vec<u8>) {
            prop_assert!(TextCells::new(&bytes).count() <= bytes.len());
        }
    }
}
