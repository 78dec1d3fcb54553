//! Data definition: which objects a statement names. Columns, options and the rest are walked
//! over; the servers check them.

use super::{Gap, Parsed, Parser};
use crate::sql::ast::{Ddl, DdlKind, ObjectName, Query, Span};
use crate::sql::statement_kind::StatementKind as Kind;
use crate::sql::token::TokenKind;

/// What to do about a definition that each server has for itself.
const EACH: &str = "run it on each shard with USE keyspace:shard";

/// Objects that only one server can define, by the word that names their kind.
const OBJECTS: [(&str, Gap); 12] = [
    ("TRIGGER", Gap("definitions of triggers over several servers", EACH)),
    ("PROCEDURE", Gap("definitions of stored procedures over several servers", EACH)),
    ("FUNCTION", Gap("definitions of stored functions over several servers", EACH)),
    ("AGGREGATE", Gap("definitions of stored functions over several servers", EACH)),
    ("PACKAGE", Gap("definitions of packages over several servers", EACH)),
    ("EVENT", Gap("definitions of events over several servers", EACH)),
    ("SEQUENCE", Gap("definitions of sequences over several servers", EACH)),
    ("DATABASE", Gap("definitions of databases over several servers", EACH)),
    ("SCHEMA", Gap("definitions of databases over several servers", EACH)),
    ("USER", Gap("definitions of accounts over several servers", EACH)),
    ("ROLE", Gap("definitions of roles over several servers", EACH)),
    ("SERVER", Gap("definitions of servers over several servers", EACH)),
];

/// All others.
const OTHER_OBJECTS: Gap = Gap("definitions of this kind of object", EACH);

impl Parser<'_> {
    /// CREATE, ALTER, DROP, TRUNCATE, RENAME.
    pub(super) fn ddl(&mut self, kind: Kind) -> Parsed<Ddl> {
        let start = self.cursor.advance().start;
        let span = Span { start, end: start };
        let tables = Vec::new();
        let mut ddl = Ddl {
            kind: DdlKind::CreateTable,
            tables,
            temporary: false,
            conditional: false,
            query: None,
            span,
        };
        match kind {
            Kind::Create => self.create(&mut ddl)?,
            Kind::Alter => self.alter(&mut ddl)?,
            Kind::Drop => self.drop(&mut ddl)?,
            Kind::Truncate => {
                ddl.kind = DdlKind::TruncateTable;
                self.cursor.eat_word("TABLE");
                ddl.tables.push(self.object_name()?);
                self.walk(&mut ddl.tables)?;
            }
            _ => self.rename(&mut ddl)?,
        }
        ddl.span = self.span_from(start);
        Ok(ddl)
    }

    fn create(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        self.cursor.eat_words(&["OR", "REPLACE"]);
        ddl.temporary = self.cursor.eat_word("TEMPORARY");
        if self.cursor.eat_word("TABLE") {
            return self.create_table(ddl);
        }
        for word in ["UNIQUE", "FULLTEXT", "SPATIAL", "ONLINE", "OFFLINE"] {
            self.cursor.eat_word(word);
        }
        if self.cursor.eat_word("INDEX") {
            ddl.kind = DdlKind::CreateIndex;
            ddl.conditional = self.cursor.eat_words(&["IF", "NOT", "EXISTS"]);
            return self.index_on(ddl);
        }
        self.view_options()?;
        if self.cursor.eat_word("VIEW") {
            ddl.kind = DdlKind::CreateView;
            ddl.conditional = self.cursor.eat_words(&["IF", "NOT", "EXISTS"]);
            return self.view(ddl);
        }
        self.unsupported_object()
    }

    /// Refuses an object that is not defined over several servers, by its kind.
    fn unsupported_object<T>(&self) -> Parsed<T> {
        let known = |(word, _): &&(&str, Gap)| self.cursor.at_word(word);
        let found = OBJECTS.iter().find(known);
        self.unsupported(found.map_or(&OTHER_OBJECTS, |(_, gap)| gap))
    }

    fn create_table(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        ddl.kind = DdlKind::CreateTable;
        ddl.conditional = self.cursor.eat_words(&["IF", "NOT", "EXISTS"]);
        ddl.tables.push(self.object_name()?);
        let parenthesised = self.cursor.at_symbol("(") && self.cursor.word_at(1, "LIKE");
        if parenthesised {
            self.cursor.advance();
        }
        if self.cursor.eat_word("LIKE") {
            ddl.tables.push(self.object_name()?);
            if parenthesised {
                self.expect_symbol(")")?;
            }
            return Ok(());
        }
        ddl.query = self.walk(&mut ddl.tables)?.map(Box::new);
        Ok(())
    }

    /// Walks to the end, collecting the tables after REFERENCES; a query at the end is parsed.
    fn walk(&mut self, tables: &mut Vec<ObjectName>) -> Parsed<Option<Query>> {
        let mut depth = 0u32;
        while !self.cursor.at_end() {
            if depth == 0 && self.at_query() {
                return self.query().map(Some);
            }
            if self.cursor.at_word("SELECT") {
                return self.unsupported(&Gap("a subquery here", "write that part another way"));
            }
            if depth == 0 && self.cursor.at_any_word(&["TABLE", "VALUES"]) {
                return self.unsupported(&Gap("rows of TABLE or VALUES here", "write SELECT"));
            }
            if self.cursor.eat_word("REFERENCES") {
                tables.push(self.object_name()?);
                continue;
            }
            if self.cursor.at_symbol("(") {
                depth += 1;
            } else if self.cursor.at_symbol(")") {
                depth = depth.saturating_sub(1);
            }
            self.cursor.advance();
        }
        Ok(None)
    }

    fn at_query(&self) -> bool {
        self.cursor.at_word("SELECT")
            || self.cursor.at_word("WITH")
                && matches!(
                    self.cursor.peek_at(1).kind,
                    TokenKind::Word | TokenKind::QuotedIdentifier
                )
                && (self.cursor.word_at(2, "AS") || self.cursor.word_at(1, "RECURSIVE"))
            || self.cursor.at_symbol("(") && self.parenthesis_is_query()
    }

    fn alter(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        self.cursor.eat_word("ONLINE");
        self.cursor.eat_word("IGNORE");
        if self.cursor.eat_word("TABLE") {
            ddl.kind = DdlKind::AlterTable;
            ddl.conditional = self.cursor.eat_words(&["IF", "EXISTS"]);
            ddl.tables.push(self.object_name()?);
            return self.alterations(ddl);
        }
        self.view_options()?;
        if self.cursor.eat_word("VIEW") {
            ddl.kind = DdlKind::AlterView;
            return self.view(ddl);
        }
        self.unsupported_object()
    }

    /// The alterations of a table, of which RENAME and EXCHANGE PARTITION name another one.
    fn alterations(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        while !self.cursor.at_end() {
            if self.cursor.eat_word("REFERENCES") || self.cursor.eat_words(&["WITH", "TABLE"]) {
                ddl.tables.push(self.object_name()?);
            } else if self.cursor.eat_word("RENAME") {
                let part = self.cursor.at_any_word(&["COLUMN", "INDEX", "KEY"]);
                if part {
                    continue;
                }
                if !self.cursor.eat_word("TO") {
                    self.cursor.eat_word("AS");
                }
                ddl.tables.push(self.object_name()?);
            } else if self.cursor.at_word("SELECT") {
                return self.unsupported(&Gap("a subquery here", "write that part another way"));
            } else {
                self.cursor.advance();
            }
        }
        Ok(())
    }

    fn drop(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        ddl.temporary = self.cursor.eat_word("TEMPORARY");
        if self.cursor.eat_word("TABLE") || self.cursor.eat_word("TABLES") {
            ddl.kind = DdlKind::DropTable;
        } else if self.cursor.eat_word("VIEW") {
            ddl.kind = DdlKind::DropView;
        } else if self.cursor.eat_word("INDEX") {
            ddl.kind = DdlKind::DropIndex;
            ddl.conditional = self.cursor.eat_words(&["IF", "EXISTS"]);
            return self.index_on(ddl);
        } else {
            return self.unsupported_object();
        }
        ddl.conditional = self.cursor.eat_words(&["IF", "EXISTS"]);
        loop {
            ddl.tables.push(self.object_name()?);
            if !self.cursor.eat_symbol(",") {
                break;
            }
        }
        if !self.cursor.eat_word("RESTRICT") {
            self.cursor.eat_word("CASCADE");
        }
        Ok(())
    }

    /// `name [USING ..] ON table ..`
    fn index_on(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        self.any_ident()?;
        if self.cursor.eat_word("USING") || self.cursor.eat_word("TYPE") {
            self.any_ident()?;
        }
        self.expect_word("ON")?;
        ddl.tables.push(self.object_name()?);
        self.walk(&mut ddl.tables)?;
        Ok(())
    }

    /// ALGORITHM, DEFINER and SQL SECURITY before VIEW.
    fn view_options(&mut self) -> Parsed<()> {
        if self.cursor.eat_word("ALGORITHM") {
            self.expect_symbol("=")?;
            self.any_ident()?;
        }
        if self.cursor.eat_word("DEFINER") {
            self.expect_symbol("=")?;
            while !self.cursor.at_end() && !self.cursor.at_any_word(&["SQL", "VIEW"]) {
                self.cursor.advance();
            }
        }
        if self.cursor.eat_words(&["SQL", "SECURITY"]) {
            self.any_ident()?;
        }
        Ok(())
    }

    fn view(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        ddl.tables.push(self.object_name()?);
        if self.cursor.at_symbol("(") {
            self.ident_list()?;
        }
        self.expect_word("AS")?;
        ddl.query = Some(Box::new(self.query()?));
        if self.cursor.eat_word("WITH") {
            if !self.cursor.eat_word("CASCADED") {
                self.cursor.eat_word("LOCAL");
            }
            self.expect_word("CHECK")?;
            self.expect_word("OPTION")?;
        }
        Ok(())
    }

    /// RENAME TABLE a TO b, c TO d.
    fn rename(&mut self, ddl: &mut Ddl) -> Parsed<()> {
        ddl.kind = DdlKind::RenameTable;
        if !self.cursor.eat_word("TABLE") && !self.cursor.eat_word("TABLES") {
            return self.unsupported_object();
        }
        loop {
            ddl.tables.push(self.object_name()?);
            self.expect_word("TO")?;
            ddl.tables.push(self.object_name()?);
            if !self.cursor.eat_symbol(",") {
                return Ok(());
            }
        }
    }
}
