//! Expressions without an operator between them: literals, columns, parentheses, prefix operators,
//! CASE, variables (simple_expr in MySQL's grammar).

use super::{Gap, NOT_UTF8, ParseError, Parsed, Parser, reserved};
use crate::sql::ast::{Expr, ExprKind, Ident};
use crate::sql::token::TokenKind;

impl Parser<'_> {
    /// simple_expr, with COLLATE behind it.
    pub(super) fn simple(&mut self) -> Parsed<Expr> {
        self.chain(|parser| {
            let start = parser.cursor.start();
            let mut expr = parser.prefixed()?;
            while parser.cursor.eat_word("COLLATE") {
                parser.link()?;
                let collation = parser.name_or_string()?;
                expr = parser.node(start, ExprKind::Collate { expr: Box::new(expr), collation });
            }
            Ok(expr)
        })
    }

    /// A name that may be written as a string: an alias after AS, a collation.
    pub(super) fn name_or_string(&mut self) -> Parsed<Ident> {
        let token = self.cursor.peek();
        if token.kind != TokenKind::String {
            return self.any_ident();
        }
        if self.cursor.peek_hole().is_some() {
            return self.unsupported(&Gap(
                "a string as a name without AS before it",
                "write AS before it",
            ));
        }
        self.cursor.advance();
        let bytes = crate::sql::literal::string(self.cursor.bytes(token), self.cursor.mode);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Ident { text: text.to_owned(), span: token.span() }),
            Err(_) => Err(ParseError::Unsupported { gap: &NOT_UTF8, offset: token.start }),
        }
    }

    fn prefixed(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        if self.cursor.eat_symbol("-") {
            let inner = self.deeper(Self::simple)?;
            return Ok(self.node(start, ExprKind::Negative(Box::new(inner))));
        }
        if self.cursor.eat_symbol("!") {
            let inner = self.deeper(Self::simple)?;
            return Ok(self.node(start, ExprKind::Not(Box::new(inner))));
        }
        if self.cursor.eat_symbol("+") || self.cursor.eat_symbol("~") {
            let inner = self.deeper(Self::simple)?;
            return Ok(self.node(start, ExprKind::Other(vec![inner])));
        }
        if self.cursor.at_word("BINARY") {
            self.cursor.advance();
            let inner = self.deeper(Self::simple)?;
            return Ok(self.node(start, ExprKind::Other(vec![inner])));
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.cursor.peek();
        if let Some(hole) = self.cursor.peek_hole() {
            self.cursor.advance();
            let first = self.node(token.start, ExprKind::Hole(hole));
            return Ok(self.concatenated(first, token.kind));
        }
        match token.kind {
            TokenKind::Word => self.word(),
            TokenKind::QuotedIdentifier => self.column_or_call(),
            TokenKind::Integer => self.ordinal(),
            TokenKind::UserVariable => self.user_variable(),
            TokenKind::SystemVariable => {
                self.cursor.advance();
                let text = String::from_utf8_lossy(self.cursor.bytes(token)).into_owned();
                Ok(self.node(token.start, ExprKind::SystemVariable(text)))
            }
            TokenKind::Introducer => self.introduced(),
            TokenKind::Symbol if self.cursor.at_symbol("(") => self.parenthesis(),
            TokenKind::Symbol if self.cursor.at_symbol("{") => self.odbc(),
            TokenKind::Symbol if self.cursor.at_symbol(".") => {
                self.unsupported(&Gap("a name that begins with a dot", "leave the dot out"))
            }
            _ => self.syntax("an expression"),
        }
    }

    /// Strings in a row are one string, but no single literal.
    fn concatenated(&mut self, first: Expr, kind: TokenKind) -> Expr {
        let string = matches!(kind, TokenKind::String | TokenKind::NationalString);
        let start = first.span.start;
        let mut parts = vec![first];
        while string
            && self.cursor.peek().kind == TokenKind::String
            && let Some(hole) = self.cursor.peek_hole()
        {
            let token = self.cursor.advance();
            parts.push(self.node(token.start, ExprKind::Hole(hole)));
        }
        if parts.len() == 1 {
            return parts.remove(0);
        }
        self.node(start, ExprKind::Other(parts))
    }

    fn introduced(&mut self) -> Parsed<Expr> {
        let token = self.cursor.advance();
        let kind = self.cursor.peek().kind;
        let literal = matches!(kind, TokenKind::String | TokenKind::Hex | TokenKind::Bit);
        match self.cursor.peek_hole() {
            Some(hole) if literal => {
                self.cursor.advance();
                let first = self.node(token.start, ExprKind::Hole(hole));
                Ok(self.concatenated(first, kind))
            }
            _ => self.syntax("a literal after its character set"),
        }
    }

    fn ordinal(&mut self) -> Parsed<Expr> {
        let token = self.cursor.advance();
        let digits = std::str::from_utf8(self.cursor.bytes(token)).unwrap_or_default();
        match digits.parse() {
            Ok(number) => Ok(self.node(token.start, ExprKind::Ordinal(number))),
            Err(_) => {
                Err(ParseError::Syntax { expected: "the number of a column", offset: token.start })
            }
        }
    }

    fn user_variable(&mut self) -> Parsed<Expr> {
        let token = self.cursor.advance();
        if self.cursor.eat_symbol(":=") {
            let value = self.expr()?;
            return Ok(self.node(token.start, ExprKind::AssignVariable(Box::new(value))));
        }
        let name = crate::sql::control::set::user_variable_name(self.cursor.bytes(token));
        Ok(self.node(token.start, ExprKind::UserVariable(name)))
    }

    /// A subquery, a parenthesised expression or a row.
    fn parenthesis(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        if self.parenthesis_is_query() {
            let query = self.parenthesised_query()?;
            return Ok(self.node(start, ExprKind::Subquery(Box::new(query))));
        }
        self.expect_symbol("(")?;
        let mut list = self.expr_list()?;
        self.expect_symbol(")")?;
        let kind = if list.len() == 1 {
            ExprKind::Nested(Box::new(list.remove(0)))
        } else {
            ExprKind::Tuple(list)
        };
        Ok(self.node(start, kind))
    }

    /// `{d '2020-01-01'}`
    fn odbc(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        self.expect_symbol("{")?;
        self.any_ident()?;
        let inner = self.expr()?;
        self.expect_symbol("}")?;
        Ok(self.node(start, ExprKind::Other(vec![inner])))
    }

    fn word(&mut self) -> Parsed<Expr> {
        let token = self.cursor.peek();
        let word = self.cursor.bytes(token);
        let called = self.cursor.symbol_at(1, "(");
        if called && reserved::is_function_word(word) {
            return self.special_call();
        }
        if !called && reserved::is_bare_function(word) {
            let name = self.any_ident()?;
            return Ok(super::function::bare_call(name));
        }
        let constant = match word.to_ascii_lowercase().as_slice() {
            b"null" => Some(ExprKind::Null),
            b"true" => Some(ExprKind::Bool(true)),
            b"false" => Some(ExprKind::Bool(false)),
            b"default" => Some(ExprKind::Default),
            b"case" => return self.case(),
            b"match" => return self.match_against(),
            b"date" | b"time" | b"timestamp"
                if self.cursor.peek_at(1).kind == TokenKind::String =>
            {
                self.cursor.advance();
                let literal = self.primary()?;
                return Ok(self.node(token.start, ExprKind::Other(vec![literal])));
            }
            _ => None,
        };
        if let Some(kind) = constant {
            self.cursor.advance();
            return Ok(self.node(token.start, kind));
        }
        if reserved::is_reserved(word) {
            return self.syntax("an expression");
        }
        self.column_or_call()
    }

    fn case(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        self.expect_word("CASE")?;
        let mut children = Vec::new();
        if !self.cursor.at_word("WHEN") {
            children.push(self.expr()?);
        }
        while self.cursor.eat_word("WHEN") {
            children.push(self.expr()?);
            self.expect_word("THEN")?;
            children.push(self.expr()?);
        }
        if self.cursor.eat_word("ELSE") {
            children.push(self.expr()?);
        }
        self.expect_word("END")?;
        Ok(self.node(start, ExprKind::Other(children)))
    }

    /// `c`, `t.c`, `ks.t.c`, `c->'$.path'`, or a function call.
    fn column_or_call(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        let first = self.any_ident()?;
        if self.cursor.at_symbol("(") {
            return self.call(None, first);
        }
        let mut names = vec![first];
        while names.len() < 3 && self.cursor.at_symbol(".") && !self.cursor.symbol_at(1, "*") {
            self.cursor.advance();
            names.push(self.any_ident()?);
            if names.len() == 2 && self.cursor.at_symbol("(") {
                let name = names.pop();
                if let (Some(qualifier), Some(name)) = (names.pop(), name) {
                    return self.call(Some(qualifier), name);
                }
            }
        }
        let mut names = names.into_iter().rev();
        let Some(name) = names.next() else { return self.syntax("a column") };
        let table = names.next();
        let keyspace = names.next();
        let column = self.node(start, ExprKind::Column { keyspace, table, name });
        if !self.cursor.at_symbol("->") && !self.cursor.at_symbol("->>") {
            return Ok(column);
        }
        self.cursor.advance();
        if self.cursor.peek().kind != TokenKind::String {
            return self.syntax("a JSON path");
        }
        let path = self.primary()?;
        Ok(self.node(start, ExprKind::Other(vec![column, path])))
    }
}
