//! Function calls, and the functions with a grammar of their own.

use super::{Gap, Parsed, Parser};
use crate::sql::ast::{Expr, ExprKind, Function, Ident};
use crate::sql::token::TokenKind;

impl Parser<'_> {
    /// A function named by a reserved word, which is the current token.
    pub(super) fn special_call(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        if self.cursor.eat_word("EXISTS") {
            let query = Box::new(self.parenthesised_query()?);
            return Ok(self.node(start, ExprKind::Exists { query, negated: false }));
        }
        if self.cursor.eat_word("ROW") {
            self.expect_symbol("(")?;
            let list = self.expr_list()?;
            self.expect_symbol(")")?;
            return Ok(self.node(start, ExprKind::Tuple(list)));
        }
        if self.cursor.at_word("MATCH") {
            return self.match_against();
        }
        let name = self.any_ident()?;
        self.call(None, name)
    }

    /// A call; the current token is its opening parenthesis.
    pub(super) fn call(&mut self, qualifier: Option<Ident>, name: Ident) -> Parsed<Expr> {
        let start = qualifier.as_ref().unwrap_or(&name).span.start;
        let lower = match qualifier {
            None => name.text.to_ascii_lowercase(),
            Some(_) => String::new(),
        };
        self.expect_symbol("(")?;
        let mut call = function(qualifier, name);
        let others = match lower.as_str() {
            "cast" => Some(self.cast()?),
            "convert" => Some(self.convert()?),
            "extract" => Some(self.extract()?),
            "trim" => self.trim(&mut call)?,
            "get_format" => Some(self.get_format()?),
            "timestampadd" | "timestampdiff" => Some(self.timestamp_arithmetic()?),
            "position" => {
                call.args.push(self.deeper(Self::arithmetic)?);
                self.expect_word("IN")?;
                call.args.push(self.expr()?);
                None
            }
            "substring" | "substr" | "mid" => {
                self.substring(&mut call)?;
                None
            }
            "char" | "weight_string" | "json_value" => {
                call.args = self.expr_list()?;
                if self.cursor.at_any_word(&["USING", "AS", "LEVEL", "RETURNING", "NULL", "ERROR"])
                    || self.cursor.at_word("DEFAULT")
                {
                    self.skip_to_close()?;
                }
                None
            }
            "values" => {
                call.args.push(self.expr()?);
                if !matches!(call.args[0].kind, ExprKind::Column { .. }) {
                    return self.unsupported(&Gap(
                        "VALUES as a list of rows here",
                        "write the rows as SELECT .. UNION ALL SELECT ..",
                    ));
                }
                None
            }
            _ => {
                self.arguments(&mut call)?;
                None
            }
        };
        self.expect_symbol(")")?;
        if let Some(children) = others {
            return Ok(self.node(start, ExprKind::Other(children)));
        }
        self.after_call(&mut call, &lower)?;
        Ok(self.node(start, ExprKind::Function(Box::new(call))))
    }

    /// `[DISTINCT] a, b [ORDER BY c] [SEPARATOR 'x']`
    fn arguments(&mut self, call: &mut Function) -> Parsed<()> {
        if self.cursor.at_symbol(")") {
            return Ok(());
        }
        call.distinct = self.cursor.eat_word("DISTINCT");
        if !call.distinct {
            self.cursor.eat_word("ALL");
        }
        loop {
            if self.cursor.at_symbol("*") && self.cursor.symbol_at(1, ")") {
                let start = self.cursor.advance().start;
                call.args.push(self.node(start, ExprKind::Wildcard));
            } else {
                call.args.push(self.expr()?);
            }
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        if self.cursor.at_words(&["ORDER", "BY"]) {
            call.order_by = true;
            self.order_clause(&mut call.clauses)?;
        }
        if self.cursor.at_word("LIMIT") {
            return self.unsupported(&Gap("LIMIT inside a function", "leave LIMIT out"));
        }
        if self.cursor.eat_word("SEPARATOR") {
            call.separator = true;
            if self.cursor.peek().kind != TokenKind::String {
                return self.syntax("a string");
            }
            self.cursor.advance();
        }
        Ok(())
    }

    /// ORDER BY, into a list of expressions.
    fn order_clause(&mut self, into: &mut Vec<Expr>) -> Parsed<()> {
        into.extend(self.order_by()?.into_iter().map(|item| item.expr));
        Ok(())
    }

    /// FROM FIRST, IGNORE NULLS, OVER.
    fn after_call(&mut self, call: &mut Function, name: &str) -> Parsed<()> {
        if name == "nth_value" && self.cursor.eat_word("FROM") && !self.cursor.eat_word("FIRST") {
            self.expect_word("LAST")?;
        }
        if self.cursor.word_at(1, "NULLS") && self.cursor.at_any_word(&["RESPECT", "IGNORE"]) {
            self.cursor.advance();
            self.cursor.advance();
        }
        if self.cursor.at_words(&["WITHIN", "GROUP"]) {
            return self
                .unsupported(&Gap("WITHIN GROUP", "select the rows and compute it from them"));
        }
        let over = self.cursor.at_word("OVER")
            && (self.cursor.symbol_at(1, "(")
                || matches!(
                    self.cursor.peek_at(1).kind,
                    TokenKind::Word | TokenKind::QuotedIdentifier
                ));
        if over {
            self.cursor.advance();
            call.over = true;
            if self.cursor.at_symbol("(") {
                self.window(&mut call.clauses)?;
            } else {
                self.any_ident()?;
            }
        }
        Ok(())
    }

    /// `([name] [PARTITION BY ..] [ORDER BY ..] [frame])`
    pub(super) fn window(&mut self, into: &mut Vec<Expr>) -> Parsed<()> {
        self.expect_symbol("(")?;
        if self.at_ident() && !self.cursor.at_any_word(&["ROWS", "GROUPS"]) {
            self.any_ident()?;
        }
        if self.cursor.eat_words(&["PARTITION", "BY"]) {
            into.extend(self.expr_list()?);
        }
        if self.cursor.at_words(&["ORDER", "BY"]) {
            self.order_clause(into)?;
        }
        self.skip_to_close()?;
        self.expect_symbol(")")
    }

    /// `e AS type`
    fn cast(&mut self) -> Parsed<Vec<Expr>> {
        let inner = self.expr()?;
        self.expect_word("AS")?;
        self.skip_to_close()?;
        Ok(vec![inner])
    }

    /// `e, type` or `e USING charset`
    fn convert(&mut self) -> Parsed<Vec<Expr>> {
        let inner = self.expr()?;
        if !self.cursor.eat_symbol(",") {
            self.expect_word("USING")?;
        }
        self.skip_to_close()?;
        Ok(vec![inner])
    }

    fn extract(&mut self) -> Parsed<Vec<Expr>> {
        if !self.eat_interval_unit() {
            return self.syntax("a unit of time");
        }
        self.expect_word("FROM")?;
        Ok(vec![self.expr()?])
    }

    /// `[BOTH|LEADING|TRAILING] [e] FROM e`, or a plain argument.
    fn trim(&mut self, call: &mut Function) -> Parsed<Option<Vec<Expr>>> {
        let sided = self.cursor.at_any_word(&["BOTH", "LEADING", "TRAILING"]);
        if sided {
            self.cursor.advance();
        }
        let mut children = Vec::new();
        if !self.cursor.at_word("FROM") {
            children.push(self.expr()?);
        }
        if self.cursor.eat_word("FROM") {
            children.push(self.expr()?);
            return Ok(Some(children));
        }
        if sided {
            return self.syntax("FROM");
        }
        call.args = children;
        Ok(None)
    }

    /// `DATE, 'EUR'`
    fn get_format(&mut self) -> Parsed<Vec<Expr>> {
        self.any_ident()?;
        self.expect_symbol(",")?;
        Ok(vec![self.expr()?])
    }

    /// `unit, e, e`
    fn timestamp_arithmetic(&mut self) -> Parsed<Vec<Expr>> {
        self.any_ident()?;
        self.expect_symbol(",")?;
        self.expr_list()
    }

    /// `e, n, n` or `e FROM n FOR n`
    fn substring(&mut self, call: &mut Function) -> Parsed<()> {
        call.args = self.expr_list()?;
        if self.cursor.eat_word("FROM") {
            call.args.push(self.expr()?);
            if self.cursor.eat_word("FOR") {
                call.args.push(self.expr()?);
            }
        }
        Ok(())
    }

    /// `MATCH (a, b) AGAINST (e [modifier])`; the parentheses around the columns may be missing.
    pub(super) fn match_against(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        self.expect_word("MATCH")?;
        let parenthesised = self.cursor.eat_symbol("(");
        let mut children = self.expr_list()?;
        if parenthesised {
            self.expect_symbol(")")?;
        }
        self.expect_word("AGAINST")?;
        self.expect_symbol("(")?;
        // Not a whole expression: IN would be taken for the operator.
        children.push(self.deeper(Self::arithmetic)?);
        self.skip_to_close()?;
        self.expect_symbol(")")?;
        Ok(self.node(start, ExprKind::Other(children)))
    }
}

/// A function that is called without parentheses.
pub(super) fn bare_call(name: Ident) -> Expr {
    let span = name.span;
    Expr { kind: ExprKind::Function(Box::new(function(None, name))), span }
}

/// A call without arguments.
fn function(qualifier: Option<Ident>, name: Ident) -> Function {
    Function {
        qualifier,
        name,
        distinct: false,
        args: Vec::new(),
        order_by: false,
        clauses: Vec::new(),
        separator: false,
        over: false,
    }
}
