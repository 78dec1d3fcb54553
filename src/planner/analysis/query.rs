//! Queries: SELECT, UNION, WITH, at the top and nested.

use crate::engine::template::Replacement;
use crate::error::SqlError;
use crate::sql::ast::{Expr, ExprKind, Query, Select, SelectItem, SetExpr, Span, TableRef, With};
use crate::vschema::{name_key, same_name};

use super::super::unsupported::Refusal;
use super::expr::is_aggregate;
use super::{Analysis, BlockId, CteEntry, CteKind, Need, Outputs, SourceKind, Strength, TableId};

/// What is known of a query after its walk.
pub(in super::super) struct QueryFacts {
    /// The block of its SELECT, if it is one.
    pub(in super::super) block: Option<BlockId>,
    /// Its columns, if it is one SELECT.
    pub(in super::super) outputs: Option<Outputs>,
    /// Why it is not right on each shard alone, if it is not.
    pub(in super::super) whole: Option<Refusal>,
    /// Whether a condition binds its rows to the row of the query around it.
    pub(in super::super) correlated: bool,
}

impl<'a> Analysis<'a> {
    /// A query in FROM or WITH.
    pub(super) fn derived(
        &mut self,
        query: &'a Query,
        outer: Option<BlockId>,
        strength: Strength,
    ) -> Result<QueryFacts, SqlError> {
        let start = self.instances.len();
        let facts = self.inside(|analysis| analysis.query(query, outer, strength))?;
        if let Some(refusal) = facts.whole {
            self.needs.push(Need { tables: start..self.instances.len(), refusal });
        }
        Ok(facts)
    }

    /// A query inside an expression.
    pub(super) fn subquery(
        &mut self,
        query: &'a Query,
        block: BlockId,
    ) -> Result<QueryFacts, SqlError> {
        self.facts.subquery = true;
        let start = self.instances.len();
        let equalities = self.equalities.len();
        let mut facts =
            self.inside(|analysis| analysis.query(query, Some(block), Strength::Local))?;
        facts.correlated = self.equalities[equalities..].iter().any(|equality| {
            let inside = |column: &super::ColumnOf| {
                column.table >= start && Some(self.instances[column.table].block) == facts.block
            };
            let around = |column: &super::ColumnOf| column.table < start;
            (inside(&equality.left) && around(&equality.right))
                || (around(&equality.left) && inside(&equality.right))
        });
        if let Some(refusal) = facts.whole
            && !facts.correlated
        {
            self.needs.push(Need { tables: start..self.instances.len(), refusal });
        }
        Ok(facts)
    }

    /// Walks a nested query and remembers which tables it holds.
    fn inside(
        &mut self,
        walk: impl FnOnce(&mut Self) -> Result<QueryFacts, SqlError>,
    ) -> Result<QueryFacts, SqlError> {
        let around = self.current_query;
        let start = self.instances.len();
        self.current_query = self.queries.len();
        self.queries.push(start..TableId::MAX);
        let own = self.current_query;
        let facts = walk(self);
        self.queries[own] = start..self.instances.len();
        self.current_query = around;
        facts
    }

    /// A query anywhere.
    pub(in super::super) fn query(
        &mut self,
        query: &'a Query,
        outer: Option<BlockId>,
        strength: Strength,
    ) -> Result<QueryFacts, SqlError> {
        let ctes = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with, outer)?;
        }
        let mut facts = self.body(&query.body, outer, strength)?;
        let block = match facts.block {
            Some(block) => block,
            None => self.new_block(outer),
        };
        for item in &query.order_by {
            self.expr(&item.expr, block)?;
        }
        if query.limit.is_some() {
            facts.whole = Some(Refusal::DerivedAcrossShards);
        }
        self.ctes.truncate(ctes);
        Ok(facts)
    }

    pub(in super::super) fn with(
        &mut self,
        with: &'a With,
        outer: Option<BlockId>,
    ) -> Result<(), SqlError> {
        for cte in &with.ctes {
            let visible = self.ctes.len();
            if with.recursive {
                let name = cte.name.text.clone();
                self.ctes.push(CteEntry { name, kind: CteKind::Recursion });
                let start = self.instances.len();
                self.inside(|analysis| analysis.query(&cte.query, outer, Strength::Local))?;
                self.needs.push(Need {
                    tables: start..self.instances.len(),
                    refusal: Refusal::DerivedAcrossShards,
                });
                // Its rows were walked above; its name stands for them.
                continue;
            }
            let kind = CteKind::Query(cte, visible);
            self.ctes.push(CteEntry { name: cte.name.text.clone(), kind });
        }
        Ok(())
    }

    /// The tables of UPDATE and DELETE.
    pub(in super::super) fn tables_of(
        &mut self,
        tables: &'a [TableRef],
        block: BlockId,
    ) -> Result<(), SqlError> {
        let mut conditions = Vec::new();
        self.from(tables, block, Strength::Result, &mut conditions)?;
        for condition in conditions {
            self.condition(condition.expr, block, condition.strength, condition.right)?;
        }
        Ok(())
    }

    fn body(
        &mut self,
        body: &'a SetExpr,
        outer: Option<BlockId>,
        strength: Strength,
    ) -> Result<QueryFacts, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, outer, strength),
            SetExpr::Query(query) => self.query(query, outer, strength),
            SetExpr::Values(rows) => {
                let block = self.new_block(outer);
                for value in rows.iter().flatten() {
                    self.expr(value, block)?;
                }
                Ok(QueryFacts { block: None, outputs: None, whole: None, correlated: false })
            }
            SetExpr::SetOperation(operation) => {
                // A condition of one side says nothing of the rows of the other.
                for side in [&operation.left, &operation.right] {
                    self.inside(|analysis| analysis.body(side, outer, Strength::Local))?;
                }
                // Even UNION ALL: a side without sharded tables would come once from every shard.
                let whole = Some(Refusal::UnionAcrossShards);
                Ok(QueryFacts { block: None, outputs: None, whole, correlated: false })
            }
        }
    }

    fn select(
        &mut self,
        select: &'a Select,
        outer: Option<BlockId>,
        strength: Strength,
    ) -> Result<QueryFacts, SqlError> {
        let block = self.new_block(outer);
        let mut conditions = Vec::new();
        self.from(&select.from, block, strength, &mut conditions)?;
        for condition in conditions {
            self.condition(condition.expr, block, condition.strength, condition.right)?;
        }
        if let Some(filter) = &select.filter {
            self.condition(filter, block, strength, None)?;
        }
        for item in &select.items {
            self.select_item(item, block)?;
        }
        let rest = select.group_by.iter().chain(&select.having).chain(&select.window_clauses);
        for expr in rest {
            self.expr(expr, block)?;
        }
        let outputs = self.outputs(select, block);
        let whole = self.needs_all_rows(select, block, &outputs);
        Ok(QueryFacts { block: Some(block), outputs: Some(outputs), whole, correlated: false })
    }

    fn select_item(&mut self, item: &'a SelectItem, block: BlockId) -> Result<(), SqlError> {
        match item {
            SelectItem::Wildcard(_) => Ok(()),
            SelectItem::QualifiedWildcard { keyspace, table, span } => {
                if keyspace.is_some() {
                    self.delete(Span { start: span.start, end: table.span.start });
                }
                Ok(())
            }
            SelectItem::Expr { expr, alias, .. } => {
                let before = self.splices.len();
                self.expr(expr, block)?;
                let own = &self.splices[before..];
                if alias.is_none()
                    && own.iter().any(|(_, with)| matches!(with, Replacement::Session(_)))
                {
                    self.name_as_written(expr);
                }
                Ok(())
            }
        }
    }

    /// A column's name is its text; a value of the session in its place must not change the name.
    fn name_as_written(&mut self, expr: &Expr) {
        // With a literal in it the text is another one in the next statement of this shape.
        if super::expr::has_hole(expr) {
            if let Some(place) = self.input.place(expr.span) {
                let at = Span { start: expr.span.end, end: expr.span.end };
                self.splice(at, Replacement::NameOf(place));
            }
            return;
        }
        let name = String::from_utf8_lossy(self.input.text_of(expr.span)).into_owned();
        let at = Span { start: expr.span.end, end: expr.span.end };
        let text = format!(" AS {}", super::from::quoted(&name));
        self.splice(at, Replacement::Text(text.into()));
    }

    fn outputs(&self, select: &Select, block: BlockId) -> Outputs {
        let mut outputs = Outputs::default();
        for item in &select.items {
            match item {
                SelectItem::Wildcard(_) => {
                    for source in &self.blocks[block].sources {
                        self.pass_on(&source.kind, &mut outputs);
                    }
                }
                SelectItem::QualifiedWildcard { table, .. } => {
                    let sources = &self.blocks[block].sources;
                    let named = |s: &&super::Source| same_name(&s.alias, &table.text);
                    if let Some(source) = sources.iter().find(named) {
                        self.pass_on(&source.kind, &mut outputs);
                    }
                }
                SelectItem::Expr { expr, alias, .. } => {
                    let column = self.column_of(expr, block);
                    let name = match (alias, &expr.kind) {
                        (Some(alias), _) => name_key(&alias.text),
                        (None, ExprKind::Column { name, .. }) => name_key(&name.text),
                        (None, _) => String::new(),
                    };
                    outputs.columns.push((name, column));
                }
            }
        }
        outputs
    }

    fn pass_on(&self, kind: &SourceKind, outputs: &mut Outputs) {
        match kind {
            SourceKind::Unknown => {}
            SourceKind::Derived(inner) => {
                outputs.columns.extend(inner.columns.iter().cloned());
                outputs.wildcards.extend(&inner.wildcards);
            }
            SourceKind::Base(id) => match self.all_columns(*id) {
                None => outputs.wildcards.push(*id),
                Some(columns) => {
                    for column in columns.iter().filter(|column| !column.invisible) {
                        let name = name_key(&column.name);
                        let own = super::ColumnOf { table: *id, name: name.clone() };
                        outputs.columns.push((name, Some(own)));
                    }
                }
            },
        }
    }

    /// Why the shards' answers to a nested SELECT are not parts of the whole answer.
    fn needs_all_rows(
        &mut self,
        select: &Select,
        block: BlockId,
        outputs: &Outputs,
    ) -> Option<Refusal> {
        let items = || select.items.iter().filter_map(item_expr);
        let window = select.named_windows || items().any(has_window);
        if window {
            self.facts.window = true;
            return Some(Refusal::Window);
        }
        let aggregates = items().chain(&select.having).any(is_aggregate);
        if !select.group_by.is_empty() {
            let keys: Vec<_> =
                select.group_by.iter().filter_map(|key| self.column_of(key, block)).collect();
            if select.rollup || !self.cover_unique_vindex(&keys) {
                return Some(Refusal::DerivedAcrossShards);
            }
        } else if aggregates {
            return Some(Refusal::DerivedAcrossShards);
        }
        if select.distinct {
            let columns: Vec<_> =
                outputs.columns.iter().filter_map(|(_, column)| column.clone()).collect();
            if !self.cover_unique_vindex(&columns) {
                return Some(Refusal::DerivedAcrossShards);
            }
        }
        None
    }
}

pub(in super::super) fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        _ => None,
    }
}

fn has_window(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Function(function) if function.over);
    own || super::expr::children(expr).into_iter().any(has_window)
}
