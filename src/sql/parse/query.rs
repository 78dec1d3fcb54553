//! Queries: WITH, SELECT, UNION, VALUES, ORDER BY, LIMIT, locking clauses, INTO.

use super::{CHAIN_MAX, Gap, Parsed, Parser};
use crate::sql::ast::{
    Cte, Expr, ExprKind, Limit, Lock, OrderItem, Query, Select, SelectItem, SetExpr, SetOperation,
    SetOperator, Span, With,
};
use crate::sql::scan::HoleKind;
use crate::sql::token::TokenKind;

impl Parser<'_> {
    /// A query in parentheses, which are left out of its span.
    pub(super) fn parenthesised_query(&mut self) -> Parsed<Query> {
        self.expect_symbol("(")?;
        let query = self.query()?;
        self.expect_symbol(")")?;
        Ok(query)
    }

    /// A query expression.
    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.deeper(Self::query_body)
    }

    fn query_body(&mut self) -> Parsed<Query> {
        let start = self.cursor.start();
        let with = if self.cursor.at_word("WITH") { Some(self.with()?) } else { None };
        let (body, mut into) = self.set_expr()?;
        let order_by_position = self.cursor.previous_end();
        let order_by =
            if self.cursor.at_words(&["ORDER", "BY"]) { self.order_by()? } else { Vec::new() };
        let limit_position = self.cursor.previous_end();
        let limit = self.limit()?;
        into |= self.parse_into()?;
        let lock = self.lock()?;
        into |= self.parse_into()?;
        let bare = with.is_none() && order_by.is_empty() && limit.is_none();
        if bare
            && lock == Lock::None
            && !into
            && let SetExpr::Query(inner) = body
        {
            return Ok(*inner);
        }
        Ok(Query {
            with,
            body,
            order_by,
            limit,
            lock,
            into,
            order_by_position,
            limit_position,
            span: self.span_from(start),
        })
    }

    /// WITH.
    pub(super) fn with(&mut self) -> Parsed<With> {
        self.expect_word("WITH")?;
        let recursive = self.cursor.eat_word("RECURSIVE");
        let mut ctes = Vec::new();
        loop {
            let name = self.ident()?;
            let columns = if self.cursor.at_symbol("(") { self.ident_list()? } else { Vec::new() };
            self.expect_word("AS")?;
            let query = self.parenthesised_query()?;
            ctes.push(Cte { name, columns, query });
            if !self.cursor.eat_symbol(",") {
                return Ok(With { recursive, ctes });
            }
        }
    }

    /// SELECTs combined by UNION and EXCEPT; the flag tells whether one has INTO.
    fn set_expr(&mut self) -> Parsed<(SetExpr, bool)> {
        self.chain(Self::set_operations)
    }

    fn set_operations(&mut self) -> Parsed<(SetExpr, bool)> {
        let start = self.cursor.start();
        let (mut left, mut into) = self.intersection()?;
        for _ in 0..CHAIN_MAX {
            let operator = if self.cursor.eat_word("UNION") {
                SetOperator::Union
            } else if self.cursor.eat_word("EXCEPT") {
                SetOperator::Except
            } else {
                return Ok((left, into));
            };
            self.link()?;
            let all = self.eat_all();
            let (right, right_into) = self.intersection()?;
            into |= right_into;
            left = self.set_operation(start, operator, all, left, right);
        }
        self.unsupported(&Gap("so many queries in one UNION", "send them as several statements"))
    }

    /// INTERSECT, which binds tighter.
    fn intersection(&mut self) -> Parsed<(SetExpr, bool)> {
        let start = self.cursor.start();
        let (mut left, mut into) = self.query_term()?;
        for _ in 0..CHAIN_MAX {
            if !self.cursor.eat_word("INTERSECT") {
                return Ok((left, into));
            }
            self.link()?;
            let all = self.eat_all();
            let (right, right_into) = self.query_term()?;
            into |= right_into;
            left = self.set_operation(start, SetOperator::Intersect, all, left, right);
        }
        self.unsupported(&Gap(
            "so many queries in one INTERSECT",
            "send them as several statements",
        ))
    }

    fn eat_all(&mut self) -> bool {
        let all = self.cursor.eat_word("ALL");
        if !all {
            self.cursor.eat_word("DISTINCT");
        }
        all
    }

    fn set_operation(
        &self,
        start: u32,
        operator: SetOperator,
        all: bool,
        left: SetExpr,
        right: SetExpr,
    ) -> SetExpr {
        let span = self.span_from(start);
        SetExpr::SetOperation(Box::new(SetOperation { operator, all, left, right, span }))
    }

    fn query_term(&mut self) -> Parsed<(SetExpr, bool)> {
        if self.cursor.at_symbol("(") {
            let query = self.parenthesised_query()?;
            return Ok((SetExpr::Query(Box::new(query)), false));
        }
        if self.cursor.at_word("SELECT") {
            let (select, into) = self.select()?;
            return Ok((SetExpr::Select(Box::new(select)), into));
        }
        if self.cursor.eat_word("VALUES") {
            return Ok((SetExpr::Values(self.row_values()?), false));
        }
        if self.cursor.at_word("TABLE") {
            return self.unsupported(&Gap("the TABLE statement", "write SELECT * FROM"));
        }
        self.syntax("SELECT")
    }

    fn row_values(&mut self) -> Parsed<Vec<Vec<Expr>>> {
        let mut rows = Vec::new();
        loop {
            self.cursor.eat_word("ROW");
            self.expect_symbol("(")?;
            rows.push(self.expr_list()?);
            self.expect_symbol(")")?;
            if !self.cursor.eat_symbol(",") {
                return Ok(rows);
            }
        }
    }

    fn select(&mut self) -> Parsed<(Select, bool)> {
        let start = self.cursor.start();
        self.expect_word("SELECT")?;
        let mut select = Select {
            distinct: false,
            calc_found_rows: false,
            straight_join: false,
            items: Vec::new(),
            from: Vec::new(),
            filter: None,
            group_by: Vec::new(),
            rollup: false,
            having: None,
            named_windows: false,
            window_clauses: Vec::new(),
            items_end: 0,
            filter_position: 0,
            span: Span { start, end: start },
        };
        self.select_options(&mut select);
        loop {
            select.items.push(self.select_item()?);
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        select.items_end = self.cursor.previous_end();
        let into = self.parse_into()?;
        if self.cursor.eat_word("FROM") && !self.cursor.eat_word("DUAL") {
            select.from = self.table_references()?;
        }
        select.filter_position = self.cursor.previous_end();
        if self.cursor.eat_word("WHERE") {
            select.filter = Some(self.expr()?);
        }
        self.group_by(&mut select)?;
        if self.cursor.eat_word("HAVING") {
            select.having = Some(self.expr()?);
        }
        if self.cursor.eat_word("WINDOW") {
            self.named_windows(&mut select)?;
        }
        if self.cursor.at_any_word(&["QUALIFY", "PROCEDURE"]) {
            return self.unsupported(&Gap("this clause", "leave it out"));
        }
        select.span = self.span_from(start);
        Ok((select, into))
    }

    fn select_options(&mut self, select: &mut Select) {
        loop {
            if self.cursor.eat_word("DISTINCT") || self.cursor.eat_word("DISTINCTROW") {
                select.distinct = true;
            } else if self.cursor.eat_word("SQL_CALC_FOUND_ROWS") {
                select.calc_found_rows = true;
            } else if self.cursor.eat_word("STRAIGHT_JOIN") {
                select.straight_join = true;
            } else if self.cursor.at_any_word(&["ALL", "HIGH_PRIORITY", "SQL_SMALL_RESULT"])
                || self.cursor.at_any_word(&["SQL_BIG_RESULT", "SQL_BUFFER_RESULT"])
                || self.cursor.at_any_word(&["SQL_NO_CACHE", "SQL_CACHE"])
            {
                self.cursor.advance();
            } else {
                return;
            }
        }
    }

    fn select_item(&mut self) -> Parsed<SelectItem> {
        let start = self.cursor.start();
        if self.cursor.eat_symbol("*") {
            return Ok(SelectItem::Wildcard(self.span_from(start)));
        }
        if let Some(item) = self.qualified_wildcard()? {
            return Ok(item);
        }
        let expr = match self.next_values()? {
            Some(expr) => expr,
            None => self.expr()?,
        };
        let alias = if self.cursor.eat_word("AS") {
            Some(self.name_or_string()?)
        } else if self.at_ident() {
            Some(self.any_ident()?)
        } else if self.cursor.peek().kind == TokenKind::String {
            Some(self.name_or_string()?)
        } else {
            None
        };
        Ok(SelectItem::Expr { expr, alias, span: self.span_from(start) })
    }

    /// `t.*`, `ks.t.*`
    fn qualified_wildcard(&mut self) -> Parsed<Option<SelectItem>> {
        let start = self.cursor.start();
        let dotted = |ahead| self.cursor.symbol_at(ahead, ".");
        let star = |ahead| self.cursor.symbol_at(ahead, "*");
        let names = if self.at_ident() && dotted(1) && star(2) {
            1
        } else if self.at_ident() && dotted(1) && dotted(3) && star(4) {
            2
        } else {
            return Ok(None);
        };
        let first = self.any_ident()?;
        self.cursor.advance();
        let (keyspace, table) = if names == 1 {
            (None, first)
        } else {
            let table = self.any_ident()?;
            self.cursor.advance();
            (Some(first), table)
        };
        self.cursor.advance();
        let span = self.span_from(start);
        Ok(Some(SelectItem::QualifiedWildcard { keyspace, table, span }))
    }

    /// NEXT VALUE, NEXT n VALUES, of a sequence.
    fn next_values(&mut self) -> Parsed<Option<Expr>> {
        let start = self.cursor.start();
        let one = self.cursor.word_at(1, "VALUE");
        let several = self.cursor.word_at(2, "VALUES");
        if !self.cursor.at_word("NEXT") || !(one || several) {
            return Ok(None);
        }
        self.cursor.advance();
        let count = if one { None } else { Some(Box::new(self.simple()?)) };
        self.cursor.advance();
        if self.cursor.at_word("FOR") {
            return self.unsupported(&Gap(
                "NEXT VALUE FOR",
                "SELECT NEXT VALUE FROM takes numbers from a sequence of the VSchema",
            ));
        }
        Ok(Some(self.node(start, ExprKind::NextValues(count))))
    }

    fn group_by(&mut self, select: &mut Select) -> Parsed<()> {
        if !self.cursor.eat_words(&["GROUP", "BY"]) {
            return Ok(());
        }
        loop {
            for word in ["ROLLUP", "CUBE", "GROUPING"] {
                if self.cursor.at_word(word) && !self.cursor.symbol_at(1, ".") {
                    return self.unsupported(&Gap(
                        "GROUP BY ROLLUP, CUBE or GROUPING SETS",
                        "group by plain columns",
                    ));
                }
            }
            let term = self.expr()?;
            self.refuse_hidden_ordinal(&term)?;
            select.group_by.push(term);
            if self.cursor.at_any_word(&["ASC", "DESC"]) {
                return self
                    .unsupported(&Gap("GROUP BY with a direction", "write ORDER BY with it"));
            }
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        select.rollup = self.cursor.eat_words(&["WITH", "ROLLUP"]);
        Ok(())
    }

    /// `ORDER BY (2)` names a column as well, but its number is a hole.
    fn refuse_hidden_ordinal(&self, term: &Expr) -> Parsed<()> {
        let mut inner = term;
        while let ExprKind::Nested(expr) = &inner.kind {
            inner = expr;
        }
        match inner.kind {
            ExprKind::Hole(hole) if self.cursor.hole(hole).kind == HoleKind::Int => self
                .unsupported(&Gap(
                    "a column position in parentheses",
                    "write it without parentheses",
                )),
            _ => Ok(()),
        }
    }

    fn named_windows(&mut self, select: &mut Select) -> Parsed<()> {
        select.named_windows = true;
        loop {
            self.any_ident()?;
            self.expect_word("AS")?;
            self.window(&mut select.window_clauses)?;
            if !self.cursor.eat_symbol(",") {
                return Ok(());
            }
        }
    }

    /// ORDER BY and its terms.
    pub(super) fn order_by(&mut self) -> Parsed<Vec<OrderItem>> {
        self.expect_word("ORDER")?;
        self.expect_word("BY")?;
        let mut items = Vec::new();
        loop {
            let start = self.cursor.start();
            let expr = self.expr()?;
            self.refuse_hidden_ordinal(&expr)?;
            let descending = self.cursor.eat_word("DESC");
            if !descending {
                self.cursor.eat_word("ASC");
            }
            items.push(OrderItem { expr, descending, span: self.span_from(start) });
            if !self.cursor.eat_symbol(",") {
                return Ok(items);
            }
        }
    }

    /// LIMIT n, LIMIT m, n, LIMIT n OFFSET m.
    pub(super) fn limit(&mut self) -> Parsed<Option<Limit>> {
        let start = self.cursor.start();
        if self.cursor.at_any_word(&["OFFSET", "FETCH"]) {
            return self.unsupported(&Gap("OFFSET and FETCH without LIMIT", "write LIMIT"));
        }
        if !self.cursor.eat_word("LIMIT") {
            return Ok(None);
        }
        let first = self.simple()?;
        let (count, offset) = if self.cursor.eat_symbol(",") {
            (self.simple()?, Some(first))
        } else if self.cursor.eat_word("OFFSET") {
            (first, Some(self.simple()?))
        } else {
            (first, None)
        };
        if self.cursor.at_words(&["ROWS", "EXAMINED"]) {
            return self.unsupported(&Gap("LIMIT ROWS EXAMINED", "leave ROWS EXAMINED out"));
        }
        Ok(Some(Limit { count, offset, span: self.span_from(start) }))
    }

    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE, with OF, NOWAIT and SKIP LOCKED.
    fn lock(&mut self) -> Parsed<Lock> {
        let mut lock = Lock::None;
        loop {
            if self.cursor.eat_words(&["LOCK", "IN", "SHARE", "MODE"])
                || self.cursor.eat_words(&["FOR", "SHARE"])
            {
                lock = stronger(lock, Lock::Share);
            } else if self.cursor.eat_words(&["FOR", "UPDATE"]) {
                lock = Lock::Update;
            } else {
                return Ok(lock);
            }
            if self.cursor.eat_word("OF") {
                self.any_ident()?;
                while self.cursor.eat_symbol(",") || self.cursor.eat_symbol(".") {
                    self.any_ident()?;
                }
            }
            if !self.cursor.eat_word("NOWAIT") && !self.cursor.eat_words(&["SKIP", "LOCKED"]) {
                // MariaDB: WAIT n
                if self.cursor.eat_word("WAIT") {
                    self.simple()?;
                }
            }
        }
    }

    /// INTO OUTFILE, DUMPFILE or variables.
    fn parse_into(&mut self) -> Parsed<bool> {
        if !self.cursor.at_word("INTO") {
            return Ok(false);
        }
        self.cursor.advance();
        if self.cursor.at_any_word(&["OUTFILE", "DUMPFILE"]) {
            self.outfile();
            return Ok(true);
        }
        loop {
            if self.cursor.peek().kind != TokenKind::UserVariable {
                return self.syntax("OUTFILE, DUMPFILE or a user variable");
            }
            self.cursor.advance();
            if !self.cursor.eat_symbol(",") {
                return Ok(true);
            }
        }
    }

    /// The file's name and format.
    fn outfile(&mut self) {
        self.cursor.advance();
        const FORMAT: [&str; 14] = [
            "CHARACTER",
            "SET",
            "CHARSET",
            "FIELDS",
            "COLUMNS",
            "LINES",
            "TERMINATED",
            "ENCLOSED",
            "ESCAPED",
            "OPTIONALLY",
            "STARTING",
            "BY",
            "UTF8MB4",
            "BINARY",
        ];
        while self.cursor.peek().kind == TokenKind::String || self.cursor.at_any_word(&FORMAT) {
            self.cursor.advance();
        }
    }
}

fn stronger(a: Lock, b: Lock) -> Lock {
    if a == Lock::Update { a } else { b }
}
