//! From text to [`super::ast`]: recursive descent over our own tokens, along MySQL's grammar
//! (`sql/sql_yacc.yy`), for queries, writes and the frame of data definition.
//!
//! It reads what MySQL reads, with MySQL's precedences, or it says what it does not support; it
//! never guesses. It is used only when the plan cache has no answer.
//!
//! Why not `sqlparser`, whose MySQL dialect comes near: the planner needs the exact bytes of every
//! node, and its tree keeps line and column of some; it gives XOR, `||`, BINARY and LIKE other
//! precedences than MySQL; and it lacks forms that applications send. Its answers are compared
//! with ours in tests, as a second opinion.

mod ddl;
mod expr;
mod function;
mod primary;
mod query;
mod reserved;
mod table;
mod write;

use super::ast::{Ident, Span, Statement};
use super::cursor::Cursor;
use super::features::Features;
use super::mode::LexMode;
use super::scan::Scan;
use super::statement_kind::StatementKind as Kind;
use super::token::{LexError, TokenKind};

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not a sequence of tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// No MySQL statement, as far as this parser knows.
    #[error("expected {expected} at byte {offset}")]
    Syntax {
        /// What was expected.
        expected: &'static str,
        /// Where.
        offset: u32,
    },
    /// A statement or a part of one that the tree cannot hold.
    #[error("{} at byte {offset}", gap.0)]
    Unsupported {
        /// Which.
        gap: &'static Gap,
        /// Where.
        offset: u32,
    },
}

/// Something that the tree cannot hold, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap(pub &'static str, pub &'static str);

const NOT_UTF8: Gap =
    Gap("an identifier that is not UTF-8", "SET NAMES utf8mb4 and write it in UTF-8");

type Parsed<T> = Result<T, ParseError>;

/// Parses the first statement of `text`. The numbers of holes are those of `scan`, the scan of the
/// same text in the same mode; all positions are byte offsets of `text`.
pub fn parse(text: &[u8], mode: LexMode, scan: &Scan) -> Result<Statement, ParseError> {
    if scan.features().contains(Features::SERVER_SPECIFIC) {
        let gap = &Gap(
            "a version comment that not all servers read alike",
            "write the statement without that comment",
        );
        return Err(ParseError::Unsupported { gap, offset: 0 });
    }
    if scan.has_own_settings() {
        let gap = &Gap(
            "SET STATEMENT .. FOR over several servers",
            "SET the variables for the session, and back after the statement",
        );
        return Err(ParseError::Unsupported { gap, offset: 0 });
    }
    let mut parser = Parser { cursor: Cursor::new(text, mode, scan)?, depth: 0, height: 0 };
    let statement = parser.statement(scan.kind())?;
    if !parser.cursor.at_end() {
        return parser.syntax("the end of the statement");
    }
    Ok(statement)
}

/// The state of one parse.
struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: u32,
    /// How high the highest tree is that was read at this depth, see [`Parser::link`].
    height: u32,
}

/// Parentheses, subqueries and prefix operators may nest this deep, so that no text overflows the
/// stack.
const DEPTH_MAX: u32 = 64;

/// Left-deep chains (joins, unions) may be this long, for the same reason.
const CHAIN_MAX: usize = 256;

/// And chains inside of each other together, nesting counted in: whoever walks over a tree, or
/// drops it, goes as deep.
const HEIGHT_MAX: u32 = 320;

impl Parser<'_> {
    fn statement(&mut self, kind: Kind) -> Parsed<Statement> {
        match kind {
            Kind::Select | Kind::Values | Kind::ParenSelect => {
                Ok(Statement::Query(Box::new(self.query()?)))
            }
            Kind::With => self.with_statement(),
            Kind::Insert | Kind::Replace => Ok(Statement::Insert(Box::new(self.insert()?))),
            Kind::Update => Ok(Statement::Update(Box::new(self.update(None)?))),
            Kind::Delete => Ok(Statement::Delete(Box::new(self.delete(None)?))),
            Kind::Create | Kind::Alter | Kind::Drop | Kind::Truncate | Kind::Rename => {
                Ok(Statement::Ddl(Box::new(self.ddl(kind)?)))
            }
            Kind::Table => self.unsupported(&Gap("the TABLE statement", "write SELECT * FROM")),
            Kind::Call => self.unsupported(&Gap(
                "CALL",
                "CALL it in an unsharded keyspace; what a procedure writes cannot be routed",
            )),
            Kind::Do => self.unsupported(&Gap("DO", "SELECT the expression")),
            Kind::LoadData => {
                self.unsupported(&Gap("LOAD DATA", "insert the rows with INSERT .. VALUES"))
            }
            Kind::Handler => self.unsupported(&Gap("HANDLER", "read the table with SELECT")),
            Kind::Flush => self.unsupported(&Gap(
                "FLUSH, RESET and PURGE over several servers",
                "run it on each shard with USE keyspace:shard; LOCK TABLES locks tables on all",
            )),
            Kind::Maintain => self.unsupported(&Gap(
                "CHECK, ANALYZE, OPTIMIZE, REPAIR and CHECKSUM TABLE over several servers",
                "run it on each shard with USE keyspace:shard",
            )),
            Kind::Empty => self.syntax("a statement"),
            _ => self.unsupported(&Gap(
                "this kind of statement",
                "only an unsharded keyspace takes it as it is",
            )),
        }
    }

    fn with_statement(&mut self) -> Parsed<Statement> {
        let mark = self.cursor.mark();
        let with = self.with()?;
        if self.cursor.at_word("UPDATE") {
            return Ok(Statement::Update(Box::new(self.update(Some(with))?)));
        }
        if self.cursor.at_word("DELETE") {
            return Ok(Statement::Delete(Box::new(self.delete(Some(with))?)));
        }
        self.cursor.reset(mark);
        Ok(Statement::Query(Box::new(self.query()?)))
    }

    fn syntax<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(ParseError::Syntax { expected, offset: self.cursor.start() })
    }

    fn unsupported<T>(&self, gap: &'static Gap) -> Parsed<T> {
        Err(ParseError::Unsupported { gap, offset: self.cursor.start() })
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self
                .unsupported(&Gap("expressions nested this deeply", "nest them less deeply"));
        }
        self.depth += 1;
        let result = self.chain(inner);
        self.depth -= 1;
        result
    }

    /// Reads what may be a left-deep chain, each part of which calls [`Parser::link`].
    fn chain<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let beside = std::mem::take(&mut self.height);
        let result = inner(self);
        self.height = beside.max(self.height);
        result
    }

    /// Puts another node upon the tree that was read last.
    fn link(&mut self) -> Parsed<()> {
        self.height += 1;
        if self.height > HEIGHT_MAX {
            return self.unsupported(&Gap(
                "so many joins, UNIONs or comparisons in a row, or inside of each other",
                "send them as several statements",
            ));
        }
        Ok(())
    }

    fn expect_word(&mut self, word: &'static str) -> Parsed<()> {
        if self.cursor.eat_word(word) { Ok(()) } else { self.syntax(word) }
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Parsed<()> {
        if self.cursor.eat_symbol(symbol) { Ok(()) } else { self.syntax(symbol) }
    }

    /// An identifier; after a dot and in a few other places keywords are identifiers too.
    fn any_ident(&mut self) -> Parsed<Ident> {
        match self.cursor.eat_ident() {
            Some(ident) if ident.text.contains('\u{fffd}') => {
                Err(ParseError::Unsupported { gap: &NOT_UTF8, offset: ident.span.start })
            }
            Some(ident) => Ok(ident),
            None => self.syntax("an identifier"),
        }
    }

    /// An identifier that is no reserved word.
    fn ident(&mut self) -> Parsed<Ident> {
        if self.at_ident() { self.any_ident() } else { self.syntax("an identifier") }
    }

    /// Whether the current token is an identifier and no reserved word.
    fn at_ident(&self) -> bool {
        let token = self.cursor.peek();
        match token.kind {
            TokenKind::QuotedIdentifier => true,
            TokenKind::Word => !reserved::is_reserved(self.cursor.bytes(token)),
            _ => false,
        }
    }

    /// `(a, b)`, a list of names.
    fn ident_list(&mut self) -> Parsed<Vec<Ident>> {
        self.expect_symbol("(")?;
        let mut names = Vec::new();
        if self.cursor.eat_symbol(")") {
            return Ok(names);
        }
        loop {
            names.push(self.any_ident()?);
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// Moves over balanced parentheses that hold no expression. A subquery or a
    /// keyspace in there would go unseen, so they are refused.
    fn skip_parentheses(&mut self) -> Parsed<()> {
        if !self.cursor.at_symbol("(") {
            return self.syntax("(");
        }
        let mark = self.cursor.mark();
        if !self.cursor.skip_parentheses() {
            return self.syntax(")");
        }
        let end = self.cursor.mark();
        self.cursor.reset(mark);
        while self.cursor.mark() < end {
            if self.cursor.at_word("SELECT") {
                return self.unsupported(&Gap("a subquery here", "write that part another way"));
            }
            if self.cursor.symbol_at(1, ".") && self.cursor.symbol_at(3, ".") {
                return self.unsupported(&Gap("a keyspace here", "leave the keyspace out there"));
            }
            self.cursor.advance();
        }
        Ok(())
    }

    /// Moves to the `)` that closes the parentheses around the current token.
    fn skip_to_close(&mut self) -> Parsed<()> {
        while !self.cursor.at_symbol(")") {
            if self.cursor.at_symbol("(") {
                self.skip_parentheses()?;
            } else if self.cursor.at_end() || self.cursor.at_word("SELECT") {
                return self.syntax(")");
            } else {
                self.cursor.advance();
            }
        }
        Ok(())
    }

    /// Whether the parenthesis at the current token holds a query, and not an expression or
    /// table references that begin with one: `((SELECT 1) UNION ..)` does, `((SELECT 1) + 2)` and
    /// `((SELECT 1) AS t JOIN u)` do not.
    fn parenthesis_is_query(&self) -> bool {
        let cursor = &self.cursor;
        let level = cursor.behind_openings();
        let begins = cursor.word_at(level, "SELECT")
            || (cursor.word_at(level, "WITH") && !cursor.symbol_at(level + 1, "("))
            || (cursor.word_at(level, "VALUES") && cursor.word_at(level + 1, "ROW"));
        if !begins {
            return false;
        }
        // From the inside out: is what follows each `)` a part of a query?
        for opening in (0..level).rev() {
            let Some(close) = cursor.closing(opening) else { return false };
            if opening == 0 {
                return true;
            }
            const GOES_ON: [&str; 6] = ["UNION", "EXCEPT", "INTERSECT", "ORDER", "LIMIT", "FOR"];
            let goes_on = cursor.symbol_at(close + 1, ")")
                || GOES_ON.iter().any(|word| cursor.word_at(close + 1, word));
            if !goes_on {
                return false;
            }
        }
        false
    }

    fn span_from(&self, start: u32) -> Span {
        self.cursor.span_from(start)
    }
}

#[cfg(test)]
mod tests;
