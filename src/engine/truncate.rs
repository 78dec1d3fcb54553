//! Cuts the hidden columns off a row.

use super::row::{Cells, Layout, RowFormat};

/// Appends to `out` the row without its hidden columns. `cells` are the row's cells.
pub(super) fn truncate(layout: &Layout, row: &[u8], cells: &Cells, out: &mut Vec<u8>) {
    let visible = layout.visible();
    if layout.format == RowFormat::Text {
        // Text cells stand one after the other, so the visible ones are a prefix of the payload.
        // A NULL is one byte; a value's cell ends where its bytes end.
        let last = cells[..visible].iter().rposition(Option::is_some);
        let end = last.map_or(visible, |index| {
            let end = cells[index].as_ref().map_or(0, |range| range.end);
            end + (visible - 1 - index)
        });
        out.extend_from_slice(&row[..end]);
        return;
    }
    let cells: Vec<_> =
        cells[..visible].iter().map(|cell| cell.clone().map(|range| &row[range])).collect();
    layout.write(&cells, out);
}

#[cfg(test)]
mod tests {
    use super::super::column::Column;
    use super::*;

    #[test]
    fn visible_columns_stay_as_they_are() {
        for format in [RowFormat::Text, RowFormat::Binary] {
            let wide = Layout { format, columns: vec![Column::new(253, 0, 45, 0); 8], hidden: 2 };
            let narrow = Layout { format, columns: vec![Column::new(253, 0, 45, 0); 6], hidden: 0 };
            let row =
                [Some(b"a".as_slice()), None, Some(b"bc"), None, None, None, Some(b"h"), None];
            let (mut payload, mut cells) = (Vec::new(), Vec::new());
            wide.write(&row, &mut payload);
            wide.split(&payload, &mut cells).expect("well formed");
            let (mut cut, mut expected) = (Vec::new(), Vec::new());
            truncate(&wide, &payload, &cells, &mut cut);
            narrow.write(&row[..6], &mut expected);
            assert_eq!(cut, expected);
        }
    }
}
