//! INSERT, REPLACE, UPDATE, DELETE.

use super::{Gap, Parsed, Parser};
use crate::sql::ast::{
    Assignment, Delete, Expr, ExprKind, Ident, Insert, InsertRow, InsertSource, ObjectName,
    OrderItem, Query, TableRef, Update, With,
};
use crate::sql::visit::{Visitor, Walk, walk_expr};

/// Finds what a plan would have to change in an expression that the tree does not keep.
#[derive(Default)]
struct HiddenNames {
    found: bool,
}

impl Visitor for HiddenNames {
    fn expr(&mut self, expr: &Expr) -> Walk {
        self.found |= matches!(expr.kind, ExprKind::Column { keyspace: Some(_), .. });
        Walk::Inside
    }

    fn query(&mut self, _: &Query) -> Walk {
        self.found = true;
        Walk::Past
    }
}

impl Parser<'_> {
    /// INSERT or REPLACE.
    pub(super) fn insert(&mut self) -> Parsed<Insert> {
        let start = self.cursor.start();
        let replace = self.cursor.eat_word("REPLACE");
        if !replace {
            self.expect_word("INSERT")?;
        }
        if self.cursor.at_any_word(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"]) {
            self.cursor.advance();
        }
        let ignore = self.cursor.eat_word("IGNORE");
        self.cursor.eat_word("INTO");
        let table = self.object_name()?;
        let partition = self.cursor.eat_word("PARTITION");
        if partition {
            self.ident_list()?;
        }
        let mut insert = Insert {
            replace,
            ignore,
            table,
            partition,
            columns: None,
            columns_end: self.cursor.previous_end(),
            source: InsertSource::Values(Vec::new()),
            row_alias: None,
            row_columns: Vec::new(),
            on_duplicate: Vec::new(),
            returning: false,
            span: self.span_from(start),
        };
        self.insert_body(&mut insert)?;
        if self.cursor.eat_words(&["ON", "DUPLICATE", "KEY", "UPDATE"]) {
            insert.on_duplicate = self.assignments()?;
        }
        insert.returning = self.returning()?;
        insert.span = self.span_from(start);
        Ok(insert)
    }

    /// Columns and rows.
    fn insert_body(&mut self, insert: &mut Insert) -> Parsed<()> {
        if self.cursor.at_symbol("(") && !self.parenthesis_is_query() {
            insert.columns = Some(self.insert_columns()?);
            insert.columns_end = self.cursor.previous_end() - 1;
        }
        if insert.columns.is_none() && self.cursor.eat_word("SET") {
            let assignments = self.assignments()?;
            let (columns, values) =
                assignments.into_iter().map(|set| (set.column, set.value)).unzip();
            insert.columns = Some(columns);
            insert.source = InsertSource::Set(values);
            return self.row_alias(insert);
        }
        let values = self.cursor.at_any_word(&["VALUES", "VALUE"]);
        if values {
            self.cursor.advance();
            insert.source = InsertSource::Values(self.insert_rows()?);
            return self.row_alias(insert);
        }
        insert.source = InsertSource::Query(Box::new(self.query()?));
        Ok(())
    }

    /// `(a, t.b)`
    fn insert_columns(&mut self) -> Parsed<Vec<Ident>> {
        self.expect_symbol("(")?;
        let mut columns = Vec::new();
        if self.cursor.eat_symbol(")") {
            return Ok(columns);
        }
        loop {
            let mut name = self.any_ident()?;
            if self.cursor.eat_symbol(".") {
                name = self.any_ident()?;
            }
            if self.cursor.at_symbol(".") {
                return self.unsupported(&Gap(
                    "a column list with keyspaces",
                    "leave the keyspaces out of the column list",
                ));
            }
            columns.push(name);
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        Ok(columns)
    }

    fn insert_rows(&mut self) -> Parsed<Vec<InsertRow>> {
        let mut rows = Vec::new();
        loop {
            let start = self.cursor.start();
            self.cursor.eat_word("ROW");
            self.expect_symbol("(")?;
            let values = if self.cursor.at_symbol(")") { Vec::new() } else { self.expr_list()? };
            self.expect_symbol(")")?;
            rows.push(InsertRow { values, span: self.span_from(start) });
            if !self.cursor.eat_symbol(",") {
                return Ok(rows);
            }
        }
    }

    fn row_alias(&mut self, insert: &mut Insert) -> Parsed<()> {
        if !self.cursor.eat_word("AS") {
            return Ok(());
        }
        insert.row_alias = Some(self.any_ident()?);
        if self.cursor.at_symbol("(") {
            insert.row_columns = self.ident_list()?;
        }
        Ok(())
    }

    /// `a = 1, t.b = DEFAULT`
    fn assignments(&mut self) -> Parsed<Vec<Assignment>> {
        let mut list = Vec::new();
        loop {
            list.push(self.assignment()?);
            if !self.cursor.eat_symbol(",") {
                return Ok(list);
            }
        }
    }

    fn assignment(&mut self) -> Parsed<Assignment> {
        let (mut keyspace, mut table) = (None, None);
        let mut column = self.ident()?;
        while keyspace.is_none() && self.cursor.eat_symbol(".") {
            keyspace = table.take();
            table = Some(std::mem::replace(&mut column, self.any_ident()?));
        }
        if !self.cursor.eat_symbol("=") {
            self.expect_symbol(":=")?;
        }
        let value = self.expr()?;
        Ok(Assignment { keyspace, table, column, value })
    }

    fn returning(&mut self) -> Parsed<bool> {
        if !self.cursor.eat_word("RETURNING") {
            return Ok(false);
        }
        loop {
            if !self.cursor.eat_symbol("*") {
                let column = self.expr()?;
                let mut hidden = HiddenNames::default();
                walk_expr(&mut hidden, &column);
                if hidden.found {
                    return self.unsupported(&Gap(
                        "RETURNING with a subquery or a keyspace",
                        "select the rows in a statement of its own",
                    ));
                }
                if self.cursor.eat_word("AS") || self.at_ident() {
                    self.name_or_string()?;
                }
            }
            if !self.cursor.eat_symbol(",") {
                return Ok(true);
            }
        }
    }

    /// UPDATE.
    pub(super) fn update(&mut self, with: Option<With>) -> Parsed<Update> {
        let start = self.cursor.start();
        self.expect_word("UPDATE")?;
        self.cursor.eat_word("LOW_PRIORITY");
        let ignore = self.cursor.eat_word("IGNORE");
        let tables = self.table_references()?;
        self.expect_word("SET")?;
        let assignments = self.assignments()?;
        let filter = self.filter()?;
        let order_by = self.optional_order_by()?;
        let limit = self.limit()?;
        let span = self.span_from(start);
        Ok(Update { with, ignore, tables, assignments, filter, order_by, limit, span })
    }

    fn filter(&mut self) -> Parsed<Option<Expr>> {
        if self.cursor.eat_word("WHERE") { self.expr().map(Some) } else { Ok(None) }
    }

    fn optional_order_by(&mut self) -> Parsed<Vec<OrderItem>> {
        if self.cursor.at_words(&["ORDER", "BY"]) { self.order_by() } else { Ok(Vec::new()) }
    }

    /// DELETE.
    pub(super) fn delete(&mut self, with: Option<With>) -> Parsed<Delete> {
        let start = self.cursor.start();
        self.expect_word("DELETE")?;
        self.cursor.eat_word("LOW_PRIORITY");
        self.cursor.eat_word("QUICK");
        let ignore = self.cursor.eat_word("IGNORE");
        let (targets, from) = self.delete_tables()?;
        let filter = self.filter()?;
        let order_by = self.optional_order_by()?;
        let limit = self.limit()?;
        let returning = self.returning()?;
        let span = self.span_from(start);
        Ok(Delete { with, ignore, targets, from, filter, order_by, limit, returning, span })
    }

    /// `FROM t`, `t, u FROM ..`, `FROM t, u USING ..`
    fn delete_tables(&mut self) -> Parsed<(Vec<ObjectName>, Vec<TableRef>)> {
        if !self.cursor.at_word("FROM") {
            let targets = self.delete_targets()?;
            self.expect_word("FROM")?;
            return Ok((targets, self.table_references()?));
        }
        self.cursor.advance();
        let mark = self.cursor.mark();
        if let Ok(targets) = self.delete_targets()
            && self.cursor.eat_word("USING")
        {
            return Ok((targets, self.table_references()?));
        }
        self.cursor.reset(mark);
        Ok((Vec::new(), vec![TableRef::Table(Box::new(self.table()?))]))
    }

    /// `t, ks.u.*`
    fn delete_targets(&mut self) -> Parsed<Vec<ObjectName>> {
        let mut targets = Vec::new();
        loop {
            targets.push(self.object_name()?);
            if self.cursor.eat_symbol(".") {
                self.expect_symbol("*")?;
            }
            if !self.cursor.eat_symbol(",") {
                return Ok(targets);
            }
        }
    }
}
