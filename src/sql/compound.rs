//! Where a stored program ends: which `;` in CREATE PROCEDURE, a trigger or an event is one of its
//! own, and which one ends the statement.
//!
//! A server's parser knows by its grammar. Here only the words are followed that open and close
//! blocks, so a body that is no SQL may end elsewhere; the server then gives its error of syntax.
//! Oracle's dialect (`AS x INT; BEGIN`, packages) is not followed.
//!
//! Source: MySQL manual, "Compound Statement Syntax"; MariaDB's BEGIN NOT ATOMIC and FOR.

use smallvec::SmallVec;

use super::lexer::Lexer;
use super::token::TokenKind;

/// A block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// BEGIN, IF, LOOP, WHILE, FOR: its END is where a statement could begin.
    Statements,
    /// CASE, statement or expression, and REPEAT behind its UNTIL: its END may follow anything.
    Expression,
    /// REPEAT.
    Repeat,
}

/// Follows the tokens of a statement that may have blocks.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
pub(super) struct Compound {
    open: SmallVec<[Block; 8]>,
    /// Before the body, where its first word may come after any other.
    in_header: bool,
    /// In so many parentheses, where no statement begins.
    depth: u32,
    /// A statement of the body can begin here.
    at_start: bool,
    /// The word before stood where a statement can begin, so it may be a label.
    may_be_label: bool,
    /// After DECLARE .. HANDLER: its statement may come after any condition.
    in_handler: bool,
    /// The word before was END, which may name what it ends.
    after_end: bool,
    /// No `;` ends it.
    is_endless: bool,
}

impl Compound {
    /// For a statement whose body comes later: CREATE PROCEDURE.
    pub(super) fn with_header() -> Self {
        Self {
            open: SmallVec::new(),
            in_header: true,
            depth: 0,
            at_start: false,
            may_be_label: false,
            in_handler: false,
            after_end: false,
            is_endless: false,
        }
    }

    /// For a statement whose blocks are not followed: CREATE PACKAGE.
    pub(super) fn endless() -> Self {
        Self { is_endless: true, ..Self::with_header() }
    }

    /// For a statement that is a body itself: BEGIN NOT ATOMIC.
    pub(super) fn bare() -> Self {
        Self { in_header: false, at_start: true, ..Self::with_header() }
    }

    /// A word; `rest` stands behind it in `text`.
    pub(super) fn word(&mut self, word: &[u8], rest: &Lexer<'_>, text: &[u8]) {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let after_end = std::mem::take(&mut self.after_end);
        let at_start = std::mem::take(&mut self.at_start);
        self.may_be_label = at_start;
        if after_end && BLOCK_NAMES.iter().any(|name| is(name)) {
            return;
        }
        let may_begin = at_start || self.in_handler || self.in_header && self.depth == 0;
        if is(b"begin") && may_begin {
            self.enter(Block::Statements, true);
        } else if is(b"end") {
            self.end(at_start);
        } else if is(b"case") {
            self.enter(Block::Expression, false);
        } else if is(b"while")
            || is(b"for") && (at_start || may_begin && is_loop(rest.clone(), text))
            || is(b"if") && self.depth == 0 && !is_function(rest.clone(), text)
        {
            self.enter(Block::Statements, false);
        } else if is(b"loop") {
            self.enter(Block::Statements, true);
        } else if is(b"repeat") && self.depth == 0 && !is_function(rest.clone(), text) {
            self.enter(Block::Repeat, true);
        } else if is(b"until") {
            if let Some(block @ Block::Repeat) = self.open.last_mut() {
                *block = Block::Expression;
            }
        } else if is(b"then") || is(b"else") || is(b"do") {
            self.at_start = true;
        } else if is(b"handler") {
            self.in_handler = true;
        } else if is(b"not") || is(b"atomic") {
            // BEGIN NOT ATOMIC
            self.at_start = at_start;
        }
    }

    fn enter(&mut self, block: Block, at_start: bool) {
        self.open.push(block);
        self.in_header = false;
        self.in_handler = false;
        self.at_start = at_start;
    }

    fn end(&mut self, at_start: bool) {
        if matches!(self.open.last(), Some(Block::Expression)) || at_start {
            self.open.pop();
            self.after_end = true;
        }
    }

    /// A symbol other than `;`.
    pub(super) fn symbol(&mut self, symbol: &[u8]) {
        self.after_end = false;
        self.at_start = symbol == b":" && self.may_be_label;
        self.may_be_label = false;
        match symbol {
            b"(" => self.depth += 1,
            b")" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// Any other token.
    pub(super) fn other(&mut self) {
        self.may_be_label = std::mem::take(&mut self.at_start);
        self.after_end = false;
    }

    /// A `;`. Whether it ends the statement.
    pub(super) fn semicolon(&mut self) -> bool {
        self.at_start = true;
        self.in_handler = false;
        self.after_end = false;
        self.open.is_empty() && !self.is_endless
    }
}

/// What may stand behind END.
const BLOCK_NAMES: [&[u8]; 6] = [b"if", b"case", b"loop", b"while", b"repeat", b"for"];

/// Whether `name IN` follows FOR: it is no FOR EACH ROW and no FOR UPDATE.
fn is_loop(mut rest: Lexer<'_>, text: &[u8]) -> bool {
    let mut word = || rest.token().map_or(&b""[..], |token| token.text(text));
    word();
    word().eq_ignore_ascii_case(b"in")
}

/// Whether IF or REPEAT, behind which `rest` stands, is the function, which has several arguments,
/// or the IF of `IF EXISTS` and `IF NOT EXISTS`.
fn is_function(mut rest: Lexer<'_>, text: &[u8]) -> bool {
    let mut next = || loop {
        match rest.token() {
            Ok(token) if token.kind == TokenKind::Comment => {}
            Ok(token) if token.kind != TokenKind::End => return Some(token.text(text)),
            _ => return None,
        }
    };
    let Some(mut token) = next() else { return false };
    if token.eq_ignore_ascii_case(b"not") {
        token = next().unwrap_or_default();
    }
    if token.eq_ignore_ascii_case(b"exists") {
        return next() != Some(b"(");
    }
    if token != b"(" {
        return false;
    }
    let mut depth = 1;
    while let Some(token) = next() {
        match token {
            b"(" => depth += 1,
            b")" => depth -= 1,
            b"," if depth == 1 => return true,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::sql::mode::LexMode;
    use crate::sql::scan::Scan;

    /// The first statement of a text and where the next one begins.
    fn split(text: &str) -> (&str, &str) {
        let mut scan = Scan::new();
        scan.run(text.as_bytes(), LexMode::default()).expect("tokens");
        let end = scan.end() as usize;
        (&text[..end], text[end..].trim_start_matches(';').trim_start())
    }

    #[test]
    fn blocks_end_with_their_own_end() {
        for program in [
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE PROCEDURE p() BEGIN END",
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
            "CREATE DEFINER=`a`@`b` PROCEDURE IF NOT EXISTS p(begin INT) COMMENT 'x;' l: BEGIN \
             SELECT 1; END l",
            "CREATE PROCEDURE p() BEGIN IF a THEN SELECT 1; ELSEIF (b) THEN SELECT 2; ELSE BEGIN \
             SELECT 3; END; END IF; IF (a) AND (b) THEN SELECT IF(a, b, c); END IF; END",
            "CREATE PROCEDURE p() BEGIN DROP TABLE IF EXISTS t; CREATE TABLE IF NOT EXISTS t (a \
             INT); IF EXISTS (SELECT 1) THEN SELECT 1; END IF; IF NOT EXISTS (SELECT 1) THEN \
             SELECT 2; END IF; IF NOT a THEN SELECT 3; END IF; END",
            "CREATE PROCEDURE p() BEGIN CASE a WHEN 1 THEN SELECT CASE WHEN b THEN 1 ELSE 2 END; \
             ELSE SELECT 2; END CASE; SET a = CASE b WHEN 1 THEN 2 END; END",
            "CREATE PROCEDURE p() BEGIN l: LOOP LEAVE l; END LOOP l; WHILE a DO SET a = 1; END \
             WHILE; REPEAT SET a = 1; UNTIL a END REPEAT; SELECT REPEAT('x', 2); END",
            "CREATE PROCEDURE p() BEGIN FOR i IN 1 .. 2 DO SELECT i; END FOR; SELECT 1 FOR \
             UPDATE; END",
            "CREATE PROCEDURE p() BEGIN DECLARE c CURSOR FOR SELECT 1; DECLARE EXIT HANDLER FOR \
             SQLSTATE '42000', NOT FOUND BEGIN SELECT 1; END; DECLARE CONTINUE HANDLER FOR \
             SQLWARNING SET a = 1; SELECT 2; END",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN IF(a > 1, a, 1)",
            "CREATE FUNCTION f(a INT) RETURNS INT BEGIN RETURN (SELECT end FROM t); END",
            "CREATE TRIGGER t BEFORE INSERT ON s FOR EACH ROW BEGIN SET NEW.v = 1; END",
            "CREATE TRIGGER t BEFORE INSERT ON s FOR EACH ROW IF NEW.a THEN SET NEW.v = 1; END IF",
            "ALTER EVENT e DO BEGIN SELECT 1; SELECT 2; END",
            "CREATE TABLE event (a INT)",
            "CREATE VIEW v AS SELECT 1 AS function",
            "BEGIN NOT ATOMIC SELECT 1; IF a THEN SELECT 2; END IF; END",
            "BEGIN NOT ATOMIC BEGIN SELECT 1; END; END",
            "IF 1 THEN SELECT 1; END IF",
            "WHILE 0 DO SELECT 1; END WHILE",
            "BEGIN",
        ] {
            let text = format!("{program}; SELECT 'next; one'");
            assert_eq!(split(&text), (program, "SELECT 'next; one'"));
            assert_eq!(split(program), (program, ""));
        }
    }

    #[test]
    fn a_block_that_stays_open_takes_the_rest() {
        let text = "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2";
        assert_eq!(split(text), (text, ""));
    }
}
