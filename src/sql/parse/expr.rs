//! Operators, from OR down to the arithmetic ones, in the levels of MySQL's grammar: expr,
//! bool_pri, predicate, bit_expr. What stands below is in `primary.rs`.

use super::{Gap, Parsed, Parser};
use crate::sql::ast::{Comparison, Expr, ExprKind, Span};

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(Self::or)
    }

    /// Expressions separated by commas.
    pub(super) fn expr_list(&mut self) -> Parsed<Vec<Expr>> {
        let mut list = vec![self.expr()?];
        while self.cursor.eat_symbol(",") {
            list.push(self.expr()?);
        }
        Ok(list)
    }

    fn or(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.xor()?];
        while self.cursor.eat_word("OR") || self.cursor.eat_symbol("||") {
            operands.push(self.xor()?);
        }
        Ok(balanced(operands, ExprKind::Or))
    }

    fn xor(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.and()?];
        while self.cursor.eat_word("XOR") {
            operands.push(self.and()?);
        }
        Ok(other_unless_single(operands))
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.not()?];
        while self.cursor.eat_word("AND") || self.cursor.eat_symbol("&&") {
            operands.push(self.not()?);
        }
        Ok(balanced(operands, ExprKind::And))
    }

    fn not(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        if !self.cursor.eat_word("NOT") {
            return self.comparison();
        }
        let inner = self.deeper(Self::not)?;
        let kind = match inner.kind {
            ExprKind::Exists { query, negated } => ExprKind::Exists { query, negated: !negated },
            kind => ExprKind::Not(Box::new(Expr { kind, span: inner.span })),
        };
        Ok(self.node(start, kind))
    }

    /// bool_pri, and IS TRUE around it.
    fn comparison(&mut self) -> Parsed<Expr> {
        self.chain(Self::comparisons)
    }

    fn comparisons(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        let mut left = self.predicate()?;
        loop {
            if self.cursor.eat_word("IS") {
                let negated = self.cursor.eat_word("NOT");
                if self.cursor.eat_word("NULL") {
                    self.link()?;
                    left = self.node(start, ExprKind::IsNull { expr: Box::new(left), negated });
                    continue;
                }
                if self.cursor.at_any_word(&["TRUE", "FALSE", "UNKNOWN"]) {
                    self.cursor.advance();
                    return Ok(self.node(start, ExprKind::Other(vec![left])));
                }
                return self.syntax("NULL, TRUE, FALSE or UNKNOWN");
            }
            let Some(operator) = self.eat_comparison() else { return Ok(left) };
            self.link()?;
            let quantified =
                self.cursor.at_any_word(&["ANY", "SOME", "ALL"]) && self.cursor.symbol_at(1, "(");
            let expr = Box::new(left);
            let kind = if quantified {
                self.cursor.advance();
                ExprKind::Quantified { expr, query: Box::new(self.parenthesised_query()?) }
            } else {
                let right = Box::new(self.predicate()?);
                ExprKind::Compare { operator, left: expr, right }
            };
            left = self.node(start, kind);
        }
    }

    fn eat_comparison(&mut self) -> Option<Comparison> {
        let operators = [
            ("=", Comparison::Equal),
            ("<=>", Comparison::NullSafeEqual),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<", Comparison::Less),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterOrEqual),
        ];
        let found = operators.into_iter().find(|(symbol, _)| self.cursor.at_symbol(symbol));
        found.map(|(_, operator)| {
            self.cursor.advance();
            operator
        })
    }

    fn predicate(&mut self) -> Parsed<Expr> {
        let start = self.cursor.start();
        let left = self.arithmetic()?;
        let negated = self.cursor.at_word("NOT")
            && ["IN", "BETWEEN", "LIKE", "REGEXP", "RLIKE"]
                .iter()
                .any(|word| self.cursor.word_at(1, word));
        if negated {
            self.cursor.advance();
        }
        let expr = Box::new(left);
        let kind = if self.cursor.eat_word("IN") {
            self.in_list(expr, negated)?
        } else if self.cursor.eat_word("BETWEEN") {
            let low = Box::new(self.arithmetic()?);
            self.expect_word("AND")?;
            let high = Box::new(self.deeper(Self::predicate)?);
            ExprKind::Between { expr, low, high, negated }
        } else if self.cursor.eat_word("LIKE") {
            let pattern = Box::new(self.simple()?);
            let escape = self.cursor.eat_word("ESCAPE");
            if escape {
                let character = self.simple()?;
                if !matches!(character.kind, ExprKind::Hole(_)) {
                    return self.unsupported(&Gap(
                        "ESCAPE with an expression",
                        "write the escape character as a literal",
                    ));
                }
            }
            ExprKind::Like { expr, pattern, negated, escape }
        } else if self.cursor.eat_word("REGEXP")
            || self.cursor.eat_word("RLIKE")
            || self.cursor.eat_words(&["SOUNDS", "LIKE"])
        {
            ExprKind::Other(vec![*expr, self.arithmetic()?])
        } else if self.cursor.at_words(&["MEMBER", "OF"]) && self.cursor.symbol_at(2, "(")
            || self.cursor.at_word("MEMBER") && self.cursor.symbol_at(1, "(")
        {
            self.cursor.advance();
            self.cursor.eat_word("OF");
            self.expect_symbol("(")?;
            let array = self.expr()?;
            self.expect_symbol(")")?;
            ExprKind::Other(vec![*expr, array])
        } else {
            return Ok(*expr);
        };
        Ok(self.node(start, kind))
    }

    /// What follows IN.
    fn in_list(&mut self, expr: Box<Expr>, negated: bool) -> Parsed<ExprKind> {
        if self.parenthesis_is_query() {
            let query = Box::new(self.parenthesised_query()?);
            return Ok(ExprKind::InSubquery { expr, query, negated });
        }
        let start = self.cursor.start();
        self.expect_symbol("(")?;
        let list = self.expr_list()?;
        self.expect_symbol(")")?;
        Ok(ExprKind::In { expr, list, negated, list_span: self.span_from(start) })
    }

    /// bit_expr. How its operators bind among each other is nothing that routing needs, so all
    /// operands become children of one node.
    pub(super) fn arithmetic(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.operand()?];
        while self.eat_arithmetic_operator() {
            operands.push(self.operand()?);
        }
        Ok(other_unless_single(operands))
    }

    fn eat_arithmetic_operator(&mut self) -> bool {
        const SYMBOLS: [&str; 10] = ["+", "-", "*", "/", "%", "|", "&", "<<", ">>", "^"];
        let found = SYMBOLS.iter().any(|symbol| self.cursor.at_symbol(symbol))
            || self.cursor.at_word("DIV")
            || self.cursor.at_word("MOD");
        if found {
            self.cursor.advance();
        }
        found
    }

    /// A simple expression, or INTERVAL n unit.
    fn operand(&mut self) -> Parsed<Expr> {
        if !self.cursor.at_word("INTERVAL") {
            return self.simple();
        }
        if self.is_interval_function() {
            return self.simple();
        }
        let start = self.cursor.start();
        self.cursor.advance();
        let count = self.expr()?;
        if !self.eat_interval_unit() {
            return self.syntax("the unit of an interval");
        }
        Ok(self.node(start, ExprKind::Other(vec![count])))
    }

    /// Whether INTERVAL begins the function INTERVAL(n, a, b): its parenthesis has a comma.
    fn is_interval_function(&self) -> bool {
        if !self.cursor.symbol_at(1, "(") {
            return false;
        }
        let Some(close) = self.cursor.closing(1) else { return false };
        let mut at = 2;
        while at < close {
            if self.cursor.symbol_at(at, ",") {
                return true;
            }
            at = self.cursor.closing(at).unwrap_or(at) + 1;
        }
        false
    }

    /// DAY, MINUTE_SECOND, ...
    pub(super) fn eat_interval_unit(&mut self) -> bool {
        const UNITS: [&str; 20] = [
            "MICROSECOND",
            "SECOND",
            "MINUTE",
            "HOUR",
            "DAY",
            "WEEK",
            "MONTH",
            "QUARTER",
            "YEAR",
            "SECOND_MICROSECOND",
            "MINUTE_MICROSECOND",
            "MINUTE_SECOND",
            "HOUR_MICROSECOND",
            "HOUR_SECOND",
            "HOUR_MINUTE",
            "DAY_MICROSECOND",
            "DAY_SECOND",
            "DAY_MINUTE",
            "DAY_HOUR",
            "YEAR_MONTH",
        ];
        let found = self.cursor.at_any_word(&UNITS);
        if found {
            self.cursor.advance();
        }
        found
    }

    /// A node from `start` to the token before the current one.
    pub(super) fn node(&self, start: u32, kind: ExprKind) -> Expr {
        Expr { kind, span: self.span_from(start) }
    }
}

/// The operands of an associative operator as a tree of little depth, however many there are.
fn balanced(mut operands: Vec<Expr>, join: fn(Box<Expr>, Box<Expr>) -> ExprKind) -> Expr {
    if operands.len() == 1 {
        return operands.remove(0);
    }
    let right = operands.split_off(operands.len().div_ceil(2));
    let left = balanced(operands, join);
    let right = balanced(right, join);
    let span = Span { start: left.span.start, end: right.span.end };
    Expr { kind: join(Box::new(left), Box::new(right)), span }
}

fn other_unless_single(mut operands: Vec<Expr>) -> Expr {
    if operands.len() == 1 {
        return operands.remove(0);
    }
    let start = operands[0].span.start;
    let end = operands[operands.len() - 1].span.end;
    Expr { kind: ExprKind::Other(operands), span: Span { start, end } }
}
