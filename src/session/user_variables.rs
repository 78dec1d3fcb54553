//! User variables whose value only a server knows yet: asked back, and kept as literals of exactly
//! the same type.
//!
//! A statement that may have assigned a variable makes it *live*: its value is on that connection
//! only. Before the connection is given away, or another one is attached, the live variables are
//! read there; from then on the session replays them like settings.

use std::sync::Arc;

use crate::backend::{Answered, Settings};
use crate::wire::column_type::{ColumnFlags, ColumnType};

use super::connections::Connections;
use super::hold::{Hold, ascii};
use super::shard_connections::ConnectionId;

/// Variables that are asked for in one statement.
const ASKED_AT_ONCE: usize = 32;
/// So many may change before they are asked for.
const LIVE_MAX: usize = 1024;
/// Columns of the answer for each.
const COLUMNS: usize = 4;

impl Connections {
    /// Notes that a user variable may have another value on a connection.
    pub(super) fn user_variable_may_change(&mut self, index: ConnectionId, name: String) {
        let utf8 = self.mirror.settings.names().charset.starts_with("utf8");
        if !name.is_ascii() && !utf8 {
            // The proxy could not write its name as the client does.
            return self.hold(index, Hold::Lasting("a user variable with a name beyond ASCII"));
        }
        let live = &mut self.attached[index].live;
        if live.contains(&name) {
            return;
        }
        if live.len() == LIVE_MAX {
            return self.hold(index, Hold::Lasting("more user variables than are carried"));
        }
        live.push(name);
    }

    /// Reads the live variables of all connections.
    pub(super) async fn learn_all_user_variables(&mut self) {
        for index in self.attached.ids() {
            self.learn_user_variables(index).await;
        }
    }

    /// Reads the live variables of a connection. What cannot be read keeps the connection.
    pub(super) async fn learn_user_variables(&mut self, index: ConnectionId) {
        let live = std::mem::take(&mut self.attached[index].live);
        if live.is_empty() {
            return;
        }
        let mut values = Vec::with_capacity(live.len());
        for names in live.chunks(ASKED_AT_ONCE) {
            let answer = self.attached[index].lease.ask(&question(names)).await;
            let Some(found) = answer.ok().and_then(|answer| literals(names, &answer)) else {
                return self.hold(index, Hold::Lasting("user variables that cannot be read"));
            };
            values.extend(found);
        }
        let bytes: usize = values.iter().filter_map(|(_, v)| v.as_ref()).map(Vec::len).sum();
        let others = self.mirror.settings.user_variables();
        let others = others.filter(|(name, _)| !values.iter().any(|(new, _)| name[1..] == **new));
        if bytes + others.map(|(_, literal)| literal.len()).sum::<usize>()
            > self.limits.user_variables_bytes_max
        {
            return self.hold(index, Hold::Lasting("user variables that are too long to carry"));
        }
        let change = |settings: &Settings| {
            let mut changed = settings.clone();
            for (name, literal) in &values {
                match literal {
                    Some(literal) => changed.set(&format!("@{name}"), literal.clone()),
                    None => changed.unset(&format!("@{name}")),
                }
            }
            Arc::new(changed)
        };
        self.attached[index].lease.change_settings(change);
        self.mirror.settings = change(&self.mirror.settings);
    }
}

fn question(names: &[String]) -> Vec<u8> {
    let columns: Vec<String> = names
        .iter()
        .map(|name| {
            let name = format!("@`{}`", name.replace('`', "``"));
            format!("{name}, HEX({name}), CHARSET({name}), COLLATION({name})")
        })
        .collect();
    format!("SELECT {}", columns.join(", ")).into_bytes()
}

/// The literal of each variable, `None` for NULL.
fn literals(names: &[String], answer: &Answered) -> Option<Vec<(String, Option<Vec<u8>>)>> {
    let row = answer.rows.first()?;
    let cells = row.chunks(COLUMNS).zip(answer.columns.chunks(COLUMNS));
    let found = names.iter().zip(cells).map(|(name, (cells, columns))| {
        let (Some(column), [value, hex, charset, collation]) = (columns.first(), cells) else {
            return None;
        };
        let Some(value) = value else { return Some((name.clone(), None)) };
        let text = ascii(value);
        let literal = match column.kind {
            ColumnType::LongLong if column.flags.contains(ColumnFlags::UNSIGNED) => {
                format!("CAST({text} AS UNSIGNED)")
            }
            ColumnType::LongLong => match text.parse::<i64>() {
                Ok(i64::MIN) => "CAST('-9223372036854775808' AS SIGNED)".to_owned(),
                _ => text,
            },
            ColumnType::NewDecimal => {
                let scale = text.split_once('.').map_or(0, |(_, digits)| digits.len());
                format!("CAST('{text}' AS DECIMAL(65,{scale}))")
            }
            ColumnType::Double if text.contains('e') => text,
            ColumnType::Double => format!("{text}e0"),
            _ => {
                let (charset, collation) = (ascii(charset.as_ref()?), ascii(collation.as_ref()?));
                let hex = ascii(hex.as_ref()?);
                if charset == "binary" {
                    format!("_binary X'{hex}'")
                } else {
                    format!("_{charset} X'{hex}' COLLATE {collation}")
                }
            }
        };
        Some((name.clone(), Some(literal.into_bytes())))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::AnsweredColumn;

    fn literal(kind: ColumnType, flags: ColumnFlags, cells: [&str; 4]) -> String {
        let column = AnsweredColumn { kind, flags };
        let answer = Answered {
            columns: vec![column; 4],
            rows: vec![cells.map(|cell| Some(cell.as_bytes().to_vec())).into()],
        };
        let found = literals(&["a".to_owned()], &answer).expect("a row");
        String::from_utf8(found[0].1.clone().expect("a value")).expect("ASCII")
    }

    #[test]
    fn literals_have_the_type_of_the_variable() {
        let none = ColumnFlags::empty();
        let number = |kind, flags, text| literal(kind, flags, [text, "", "binary", "binary"]);
        assert_eq!(number(ColumnType::LongLong, none, "-5"), "-5");
        let unsigned = ColumnFlags::UNSIGNED;
        assert_eq!(number(ColumnType::LongLong, unsigned, "5"), "CAST(5 AS UNSIGNED)");
        assert_eq!(number(ColumnType::NewDecimal, none, "1.50"), "CAST('1.50' AS DECIMAL(65,2))");
        assert_eq!(number(ColumnType::Double, none, "0.1"), "0.1e0");
        assert_eq!(number(ColumnType::Double, none, "1e100"), "1e100");
        let text = ["é", "E9", "latin1", "latin1_bin"];
        assert_eq!(literal(ColumnType::LongBlob, none, text), "_latin1 X'E9' COLLATE latin1_bin");
        let bytes = ["\0", "00", "binary", "binary"];
        assert_eq!(literal(ColumnType::LongBlob, none, bytes), "_binary X'00'");
    }
}
