//! Functions that only the session can answer, written into a statement as values.
//!
//! On a pooled connection CONNECTION_ID(), FOUND_ROWS(), ROW_COUNT(), USER() and the counts of
//! warnings are the connection's and not the session's; a server's own socket leads around the
//! proxy. Each is replaced by its value wherever it
//! stands, and an element of a select list that has no name of its own gets the one that it would
//! have had: its text.

use super::ast::Span;
use super::control::set::{Scope, scope_and_name};
use super::cursor::Cursor;
use super::mode::LexMode;
use super::scan::Scan;
use super::splice::Splicer;
use super::statement_kind::StatementKind as Kind;
use super::token::TokenKind;

/// What can be written into a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// CONNECTION_ID().
    ConnectionId,
    /// FOUND_ROWS().
    FoundRows,
    /// ROW_COUNT().
    RowCount,
    /// USER(), SESSION_USER(), SYSTEM_USER().
    User,
    /// `@@warning_count`.
    WarningCount,
    /// `@@error_count`.
    ErrorCount,
    /// `@@last_insert_id`, `@@identity`.
    InsertId,
    /// `@@socket`: some drivers move to it as soon as they have read it.
    Socket,
    /// `@@resultset_metadata`.
    ResultsetMetadata,
}

/// Names longer than this are cut by servers.
const NAME_MAX: usize = 255;

/// The text with the values that `value` gives (`None`: the server answers); `None` if there is
/// nothing to fill in, or if the statement only defines something that runs later.
pub fn fill(
    text: &[u8],
    mode: LexMode,
    scan: &Scan,
    mut value: impl FnMut(Filled) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let runs_later =
        [Kind::Create, Kind::Alter, Kind::Drop, Kind::Prepare, Kind::Compound, Kind::Explain];
    if runs_later.contains(&scan.kind()) {
        return None;
    }
    let mut cursor = Cursor::new(text, mode, scan).ok()?;
    let mut edits: Vec<(Span, Vec<u8>)> = Vec::new();
    let mut lists = Lists::default();
    while !cursor.at_end() {
        let start = cursor.start();
        if let Some(what) = eat_filled(&mut cursor) {
            let span = Span { start, end: cursor.previous_end() };
            lists.begin(start);
            if let Some(value) = value(what) {
                edits.push((span, value));
                lists.touch();
            }
            lists.operand();
            continue;
        }
        lists.token(&mut cursor, &mut edits);
    }
    lists.end_all(&cursor, &mut edits);
    if edits.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut splicer = Splicer::new(text, &mut out);
    for (span, bytes) in &edits {
        splicer.replace(*span, bytes);
    }
    splicer.finish().ok()?;
    Some(out)
}

/// Moves over a call or variable that can be filled in.
fn eat_filled(cursor: &mut Cursor<'_>) -> Option<Filled> {
    let token = cursor.peek();
    if token.kind == TokenKind::SystemVariable {
        let (scope, name) = scope_and_name(cursor.bytes(token));
        let filled = match name.as_str() {
            "socket" => Filled::Socket,
            // There is no such global variable; the server says so.
            _ if scope == Scope::Global => return None,
            "warning_count" => Filled::WarningCount,
            "error_count" => Filled::ErrorCount,
            "identity" | "last_insert_id" => Filled::InsertId,
            "resultset_metadata" => Filled::ResultsetMetadata,
            _ => return None,
        };
        // An assignment sets it.
        if cursor.symbol_at(1, "=") || cursor.symbol_at(1, ":=") {
            return None;
        }
        cursor.advance();
        return Some(filled);
    }
    let is_call = token.kind == TokenKind::Word
        && cursor.symbol_at(1, "(")
        && cursor.symbol_at(2, ")")
        && !cursor.follows_dot();
    if !is_call {
        return None;
    }
    let filled = match cursor.bytes(token).to_ascii_lowercase().as_slice() {
        b"connection_id" => Filled::ConnectionId,
        b"found_rows" => Filled::FoundRows,
        b"row_count" => Filled::RowCount,
        b"user" | b"session_user" | b"system_user" => Filled::User,
        _ => return None,
    };
    for _ in 0..3 {
        cursor.advance();
    }
    Some(filled)
}

/// The select lists that are open, the innermost last.
#[derive(Default)]
struct Lists {
    open: Vec<List>,
    depth: u32,
    last: Last,
}

/// A select list.
struct List {
    /// The parentheses around it.
    depth: u32,
    /// Where the present element begins, once it has.
    start: Option<u32>,
    /// Whether something in it was filled in.
    touched: bool,
    /// Whether it has a name.
    named: bool,
}

/// What the token before was.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// An operator or a keyword: a word now is a part of the expression.
    #[default]
    Open,
    /// The end of an operand: a word now is a name.
    Operand,
    /// AS.
    As,
}

impl Lists {
    fn touch(&mut self) {
        for list in &mut self.open {
            list.touched = true;
        }
    }

    fn operand(&mut self) {
        self.last = Last::Operand;
    }

    /// Takes the current token and moves over it.
    fn token(&mut self, cursor: &mut Cursor<'_>, edits: &mut Vec<(Span, Vec<u8>)>) {
        let token = cursor.peek();
        match token.kind {
            TokenKind::Symbol if cursor.at_symbol("(") => {
                self.begin(token.start);
                self.depth += 1;
                self.last = Last::Open;
            }
            TokenKind::Symbol if cursor.at_symbol(")") => {
                while self.open.last().is_some_and(|list| list.depth == self.depth) {
                    self.end(cursor, edits);
                }
                self.depth = self.depth.saturating_sub(1);
                self.last = Last::Operand;
            }
            TokenKind::Symbol if cursor.at_symbol(",") && self.is_here() => {
                self.end_element(cursor, edits);
                self.last = Last::Open;
            }
            TokenKind::Symbol => {
                self.begin(token.start);
                self.last = Last::Open;
            }
            TokenKind::Word if cursor.at_word("SELECT") && !cursor.follows_dot() => {
                self.open.push(List {
                    depth: self.depth,
                    start: None,
                    touched: false,
                    named: false,
                });
                cursor.advance();
                while cursor.at_any_word(MODIFIERS) {
                    cursor.advance();
                }
                self.last = Last::Open;
                return;
            }
            TokenKind::Word if self.is_here() && cursor.at_any_word(ENDS_LIST) => {
                self.end(cursor, edits);
                self.last = Last::Open;
            }
            TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::String => {
                self.begin(token.start);
                self.word(cursor, token.kind);
            }
            _ => {
                self.begin(token.start);
                self.last = Last::Operand;
            }
        }
        cursor.advance();
    }

    /// A word or string, which may be the element's name.
    fn word(&mut self, cursor: &Cursor<'_>, kind: TokenKind) {
        let is_word = kind == TokenKind::Word;
        let names = match self.last {
            Last::As => true,
            Last::Operand => !(is_word && cursor.at_any_word(OPERATORS)),
            Last::Open => false,
        };
        if names
            && self.is_here()
            && let Some(list) = self.open.last_mut()
        {
            list.named = true;
        }
        self.last = if is_word && cursor.at_word("AS") {
            if let Some(list) = self.open.last_mut() {
                list.named = false;
            }
            Last::As
        } else if is_word && cursor.at_any_word(OPERATORS) && !cursor.at_any_word(CONSTANTS) {
            Last::Open
        } else {
            Last::Operand
        };
    }

    /// Whether the innermost list is open at this depth.
    fn is_here(&self) -> bool {
        self.open.last().is_some_and(|list| list.depth == self.depth)
    }

    fn begin(&mut self, start: u32) {
        if self.is_here()
            && let Some(list) = self.open.last_mut()
        {
            list.start.get_or_insert(start);
        }
    }

    fn end_element(&mut self, cursor: &Cursor<'_>, edits: &mut Vec<(Span, Vec<u8>)>) {
        let Some(list) = self.open.last_mut() else { return };
        let named = std::mem::take(&mut list.named);
        let touched = std::mem::take(&mut list.touched);
        let Some(start) = list.start.take() else { return };
        let end = cursor.previous_end();
        let name = String::from_utf8_lossy(&cursor.text[start as usize..end as usize]);
        if touched && !named && name.chars().count() <= NAME_MAX {
            let alias = format!(" AS `{}`", name.replace('`', "``"));
            edits.push((Span { start: end, end }, alias.into_bytes()));
        }
    }

    fn end(&mut self, cursor: &Cursor<'_>, edits: &mut Vec<(Span, Vec<u8>)>) {
        self.end_element(cursor, edits);
        self.open.pop();
    }

    fn end_all(&mut self, cursor: &Cursor<'_>, edits: &mut Vec<(Span, Vec<u8>)>) {
        while !self.open.is_empty() {
            self.end(cursor, edits);
        }
    }
}

/// Words between SELECT and its list.
const MODIFIERS: &[&str] = &[
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
    "SQL_NO_CACHE",
    "SQL_SMALL_RESULT",
];

/// Words after a select list.
const ENDS_LIST: &[&str] = &[
    "EXCEPT",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "INTERSECT",
    "INTO",
    "LIMIT",
    "LOCK",
    "ON",
    "ORDER",
    "PROCEDURE",
    "UNION",
    "WHERE",
    "WINDOW",
];

/// Words of expressions, after which the expression goes on.
const OPERATORS: &[&str] = &[
    "AND", "AS", "BETWEEN", "BINARY", "CASE", "COLLATE", "DIV", "ELSE", "END", "ESCAPE", "FALSE",
    "IN", "IS", "LIKE", "MEMBER", "MOD", "NOT", "NULL", "OF", "OR", "OVER", "REGEXP", "RLIKE",
    "SOUNDS", "THEN", "TRUE", "UNKNOWN", "WHEN", "XOR",
];

/// Those of them that end an operand.
const CONSTANTS: &[&str] = &["END", "FALSE", "NULL", "TRUE", "UNKNOWN"];

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sql: &str) -> String {
        let mut scan = Scan::new();
        scan.run(sql.as_bytes(), LexMode::default()).expect("tokens");
        let out = fill(sql.as_bytes(), LexMode::default(), &scan, |what| match what {
            Filled::ConnectionId => Some(b"7".to_vec()),
            Filled::User => Some(b"'u@h'".to_vec()),
            Filled::FoundRows => None,
            _ => Some(b"3".to_vec()),
        });
        out.map_or("-".to_owned(), |out| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn values_stand_where_the_calls_stood_and_names_stay() {
        let cases = [
            ("SELECT 1", "-"),
            ("SELECT FOUND_ROWS()", "-"),
            ("SELECT connection_id()+1", "SELECT 7+1 AS `connection_id()+1`"),
            ("SELECT DISTINCT ROW_COUNT() AS n, 5", "SELECT DISTINCT 3 AS n, 5"),
            ("SELECT row_count() n FROM t", "SELECT 3 n FROM t"),
            (
                "SELECT a, 2 * ROW_COUNT(), USER() FROM t WHERE id = CONNECTION_ID()",
                "SELECT a, 2 * 3 AS `2 * ROW_COUNT()`, 'u@h' AS `USER()` FROM t WHERE id = 7",
            ),
            (
                "SELECT CASE WHEN row_count() IS NULL THEN 1 END",
                "SELECT CASE WHEN 3 IS NULL THEN 1 END AS \
                 `CASE WHEN row_count() IS NULL THEN 1 END`",
            ),
            (
                "SELECT (SELECT row_count()), IF(@@warning_count > 0, 'a', \"b\") x",
                "SELECT (SELECT 3 AS `row_count()`) AS `(SELECT row_count())`, \
                 IF(3 > 0, 'a', \"b\") x",
            ),
            ("SELECT @@identity", "SELECT 3 AS `@@identity`"),
            ("SELECT @@port, @@global.socket", "SELECT @@port, 3 AS `@@global.socket`"),
            ("SET @@last_insert_id = 5", "-"),
            ("SELECT @@global.identity, @@global.warning_count", "-"),
            ("INSERT INTO t VALUES (connection_id(), ?)", "INSERT INTO t VALUES (7, ?)"),
            ("SET @a = ROW_COUNT()", "SET @a = 3"),
            ("SELECT x.row_count(), `user`()", "-"),
            ("CREATE VIEW v AS SELECT CONNECTION_ID()", "-"),
            ("SELECT user() UNION SELECT 1", "SELECT 'u@h' AS `user()` UNION SELECT 1"),
            (
                "SELECT connection_id() COLLATE utf8mb4_bin",
                "SELECT 7 COLLATE utf8mb4_bin AS `connection_id() COLLATE utf8mb4_bin`",
            ),
        ];
        for (sql, wanted) in cases {
            assert_eq!(filled(sql), wanted, "{sql}");
        }
    }
}
