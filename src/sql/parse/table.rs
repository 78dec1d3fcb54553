//! FROM: tables, derived tables, joins, index and vindex hints.

use super::{CHAIN_MAX, Gap, ParseError, Parsed, Parser};
use crate::sql::ast::{
    Ident, Join, JoinConstraint, JoinKind, ObjectName, Span, TableFactor, TableRef,
};
use crate::sql::token::TokenKind;

/// A join's kind as written.
#[derive(Clone, Copy)]
struct JoinWords {
    kind: JoinKind,
    natural: bool,
}

impl Parser<'_> {
    /// Table references separated by commas.
    pub(super) fn table_references(&mut self) -> Parsed<Vec<TableRef>> {
        let mut references = vec![self.table_reference()?];
        while self.cursor.eat_symbol(",") {
            references.push(self.table_reference()?);
        }
        Ok(references)
    }

    fn table_reference(&mut self) -> Parsed<TableRef> {
        self.chain(|parser| {
            let start = parser.cursor.start();
            let first = parser.table_factor()?;
            parser.joins(start, first)
        })
    }

    /// The joins that follow `left`, which begins at `start`.
    fn joins(&mut self, start: u32, mut left: TableRef) -> Parsed<TableRef> {
        for _ in 0..CHAIN_MAX {
            let Some(words) = self.eat_join_words()? else { return Ok(left) };
            self.link()?;
            let right_start = self.cursor.start();
            let mut right = self.table_factor()?;
            let outer = matches!(words.kind, JoinKind::Left | JoinKind::Right);
            if outer && !words.natural && !self.at_join_condition() {
                // a LEFT JOIN b JOIN c ON .. ON ..: the right side is itself a join.
                right = self.deeper(|parser| parser.joins_until_condition(right_start, right))?;
            }
            let constraint =
                if words.natural { JoinConstraint::Natural } else { self.join_condition()? };
            if outer && matches!(constraint, JoinConstraint::None) {
                return self.syntax("ON or USING");
            }
            let span = self.span_from(start);
            left =
                TableRef::Join(Box::new(Join { left, right, kind: words.kind, constraint, span }));
        }
        self.unsupported(&Gap("so many joins", "send them as several statements"))
    }

    /// Joins, each with its condition, up to a condition that belongs to the join around.
    fn joins_until_condition(&mut self, start: u32, mut left: TableRef) -> Parsed<TableRef> {
        for _ in 0..CHAIN_MAX {
            if self.at_join_condition() {
                return Ok(left);
            }
            let Some(words) = self.eat_join_words()? else { return self.syntax("ON or USING") };
            self.link()?;
            let right_start = self.cursor.start();
            let mut right = self.table_factor()?;
            if !words.natural && !self.at_join_condition() {
                right = self.deeper(|parser| parser.joins_until_condition(right_start, right))?;
            }
            let constraint =
                if words.natural { JoinConstraint::Natural } else { self.join_condition()? };
            let span = self.span_from(start);
            left =
                TableRef::Join(Box::new(Join { left, right, kind: words.kind, constraint, span }));
        }
        self.unsupported(&Gap("so many joins", "send them as several statements"))
    }

    fn eat_join_words(&mut self) -> Parsed<Option<JoinWords>> {
        let cursor = &mut self.cursor;
        let natural = cursor.eat_word("NATURAL");
        let kind = if cursor.eat_word("STRAIGHT_JOIN") {
            return Ok(Some(JoinWords { kind: JoinKind::Straight, natural }));
        } else if cursor.eat_word("LEFT") {
            cursor.eat_word("OUTER");
            JoinKind::Left
        } else if cursor.eat_word("RIGHT") {
            cursor.eat_word("OUTER");
            JoinKind::Right
        } else if cursor.eat_word("INNER") || cursor.eat_word("CROSS") || cursor.at_word("JOIN") {
            JoinKind::Inner
        } else if cursor.at_words(&["FULL", "OUTER"]) {
            return self.unsupported(&Gap(
                "FULL OUTER JOIN",
                "write LEFT JOIN .. UNION ALL .. RIGHT JOIN",
            ));
        } else if natural {
            return self.syntax("JOIN");
        } else {
            return Ok(None);
        };
        self.expect_word("JOIN")?;
        Ok(Some(JoinWords { kind, natural }))
    }

    /// ON or USING, but not the ON of ON DUPLICATE KEY UPDATE.
    fn at_join_condition(&self) -> bool {
        self.cursor.at_word("USING")
            || self.cursor.at_word("ON") && !self.cursor.at_words(&["ON", "DUPLICATE", "KEY"])
    }

    fn join_condition(&mut self) -> Parsed<JoinConstraint> {
        if !self.at_join_condition() {
            return Ok(JoinConstraint::None);
        }
        if self.cursor.eat_word("ON") {
            return Ok(JoinConstraint::On(self.expr()?));
        }
        self.cursor.advance();
        Ok(JoinConstraint::Using(self.ident_list()?))
    }

    fn table_factor(&mut self) -> Parsed<TableRef> {
        let lateral = self.cursor.eat_word("LATERAL");
        if self.cursor.at_symbol("(") {
            if self.parenthesis_is_query() {
                return self.derived(lateral);
            }
            return self.deeper(|parser| {
                parser.cursor.advance();
                let inner = parser.table_references()?;
                parser.expect_symbol(")")?;
                Ok(TableRef::Nested(inner))
            });
        }
        if lateral {
            return self.syntax("a subquery");
        }
        if self.cursor.at_symbol("{") {
            return self.unsupported(&Gap("{OJ ..}", "write the join without {OJ ..}"));
        }
        if self.at_ident() && self.cursor.symbol_at(1, "(") {
            return self.table_function();
        }
        Ok(TableRef::Table(Box::new(self.table()?)))
    }

    fn derived(&mut self, lateral: bool) -> Parsed<TableRef> {
        let query = Box::new(self.parenthesised_query()?);
        let alias = self.table_alias()?;
        let columns = if alias.is_some() && self.cursor.at_symbol("(") {
            self.ident_list()?
        } else {
            Vec::new()
        };
        Ok(TableRef::Derived { query, alias, columns, lateral })
    }

    /// JSON_TABLE(..) and table functions of MariaDB.
    fn table_function(&mut self) -> Parsed<TableRef> {
        let start = self.cursor.start();
        self.any_ident()?;
        self.skip_parentheses()?;
        let alias = self.table_alias()?;
        Ok(TableRef::Function { alias, span: self.span_from(start) })
    }

    /// A table with partitions, alias and hints.
    pub(super) fn table(&mut self) -> Parsed<TableFactor> {
        let start = self.cursor.start();
        let name = self.object_name()?;
        let partition = self.cursor.at_word("PARTITION") && self.cursor.symbol_at(1, "(");
        if partition {
            self.cursor.advance();
            self.ident_list()?;
        }
        if self.cursor.at_words(&["FOR", "SYSTEM_TIME"]) {
            return self.unsupported(&Gap("FOR SYSTEM_TIME", "read the rows of the present"));
        }
        let alias = self.table_alias()?;
        let mut table = TableFactor {
            name,
            partition,
            alias,
            use_vindex: Vec::new(),
            ignore_vindex: Vec::new(),
            vindex_hint_span: None,
            span: self.span_from(start),
        };
        self.hints(&mut table)?;
        table.span = self.span_from(start);
        Ok(table)
    }

    fn table_alias(&mut self) -> Parsed<Option<Ident>> {
        if self.cursor.eat_word("AS") {
            return Ok(Some(self.name_or_string()?));
        }
        if self.at_ident() { Ok(Some(self.any_ident()?)) } else { Ok(None) }
    }

    /// `t`, `ks.t`, and Vitess' `ks[-80].t`.
    pub(super) fn object_name(&mut self) -> Parsed<ObjectName> {
        let first = self.ident()?;
        let start = first.span.start;
        let first = if self.cursor.at_symbol("[") && self.cursor.start() == first.span.end {
            self.shard_qualifier(first)?
        } else {
            first
        };
        if self.cursor.peek().kind == TokenKind::UserVariable
            && self.cursor.start() == first.span.end
        {
            return self.unsupported(&Gap(
                "ks@role.table without quotes around the qualifier",
                "USE keyspace@replica chooses the servers",
            ));
        }
        let (keyspace, name) = if self.cursor.at_symbol(".") && !self.cursor.symbol_at(1, "*") {
            self.cursor.advance();
            (Some(first), self.any_ident()?)
        } else {
            (None, first)
        };
        if self.cursor.at_symbol(".") && !self.cursor.symbol_at(1, "*") {
            return self.unsupported(&Gap("a table name of three parts", "write keyspace.table"));
        }
        Ok(ObjectName { keyspace, name, span: self.span_from(start) })
    }

    /// The `[-80]` behind a keyspace becomes part of its name.
    fn shard_qualifier(&mut self, mut name: Ident) -> Parsed<Ident> {
        while !self.cursor.at_symbol("]") {
            if self.cursor.at_end() {
                return self.syntax("]");
            }
            self.cursor.advance();
        }
        self.cursor.advance();
        if !self.cursor.at_symbol(".") {
            return self.syntax("a dot and a table");
        }
        let end = self.cursor.previous_end();
        let brackets = &self.cursor.text[name.span.end as usize..end as usize];
        name.text.push_str(&String::from_utf8_lossy(brackets));
        name.span.end = end;
        Ok(name)
    }

    /// USE, FORCE, IGNORE of INDEX, KEY or VINDEX.
    fn hints(&mut self, table: &mut TableFactor) -> Parsed<()> {
        loop {
            let vindex = self.cursor.word_at(1, "VINDEX");
            let index = self.cursor.word_at(1, "INDEX") || self.cursor.word_at(1, "KEY");
            let start = self.cursor.start();
            let ignore = self.cursor.at_word("IGNORE");
            if !self.cursor.at_any_word(&["USE", "FORCE", "IGNORE"]) || !(vindex || index) {
                return Ok(());
            }
            self.cursor.advance();
            self.cursor.advance();
            if vindex {
                self.vindex_hint(table, start, ignore)?;
            } else {
                self.index_hint()?;
            }
        }
    }

    fn vindex_hint(&mut self, table: &mut TableFactor, start: u32, ignore: bool) -> Parsed<()> {
        let names = self.ident_list()?;
        let list = if ignore { &mut table.ignore_vindex } else { &mut table.use_vindex };
        list.extend(names);
        let span = self.span_from(start);
        table.vindex_hint_span = match table.vindex_hint_span {
            None => Some(span),
            // Two hints are cut as one; nothing else may stand between them.
            Some(before) => {
                let between = &self.cursor.text[before.end as usize..start as usize];
                if !between.trim_ascii().is_empty() {
                    return Err(ParseError::Unsupported {
                        gap: &Gap(
                            "vindex hints apart from each other",
                            "write them directly behind each other",
                        ),
                        offset: start,
                    });
                }
                Some(Span { start: before.start, end: span.end })
            }
        };
        Ok(())
    }

    fn index_hint(&mut self) -> Parsed<()> {
        if self.cursor.eat_word("FOR") {
            for words in [&["JOIN"][..], &["ORDER", "BY"], &["GROUP", "BY"]] {
                if self.cursor.eat_words(words) {
                    break;
                }
            }
        }
        self.ident_list()?;
        // More hints may follow behind a comma.
        if self.cursor.at_symbol(",")
            && ["USE", "FORCE", "IGNORE"].iter().any(|word| self.cursor.word_at(1, word))
        {
            self.cursor.advance();
        }
        Ok(())
    }
}
