//! FROM: which tables a name means, and how joins bind them.

use crate::error::{SqlError, catalog};
use crate::key::{Destination, KeyRange, KeyspaceId};
use crate::sql::ast::{
    Expr, Ident, Join, JoinConstraint, JoinKind, ObjectName, Span, TableFactor, TableRef,
};
use crate::sql::control::use_target::{Target, TargetPlace};
use crate::vschema::{Resolved, name_key, same_name};

use super::super::unsupported::Refusal;
use super::query::QueryFacts;
use super::{
    Analysis, BlockId, Calling, CteKind, Equality, Home, Instance, Source, SourceKind, Strength,
    TableId,
};

/// An ON condition, kept until all names of the block are known.
pub(super) struct OnCondition<'a> {
    pub(super) expr: &'a Expr,
    pub(super) strength: Strength,
    /// The null-supplied tables of an outer join: only their rows are restricted.
    pub(super) right: Option<std::ops::Range<TableId>>,
}

impl<'a> Analysis<'a> {
    pub(super) fn from(
        &mut self,
        references: &'a [TableRef],
        block: BlockId,
        strength: Strength,
        conditions: &mut Vec<OnCondition<'a>>,
    ) -> Result<(), SqlError> {
        for reference in references {
            self.table_ref(reference, block, strength, conditions)?;
        }
        Ok(())
    }

    fn table_ref(
        &mut self,
        reference: &'a TableRef,
        block: BlockId,
        strength: Strength,
        conditions: &mut Vec<OnCondition<'a>>,
    ) -> Result<(), SqlError> {
        match reference {
            TableRef::Table(factor) => self.table_factor(factor, block, strength),
            TableRef::Nested(inner) => self.from(inner, block, strength, conditions),
            TableRef::Join(join) => self.join(join, block, strength, conditions),
            TableRef::Function { alias, .. } => {
                self.facts.table_function = true;
                let alias = alias.as_ref().map(|alias| alias.text.clone()).unwrap_or_default();
                self.blocks[block].sources.push(Source { alias, kind: SourceKind::Unknown });
                Ok(())
            }
            TableRef::Derived { query, alias, columns, lateral } => {
                self.facts.table_function |= lateral;
                let outer = if *lateral { Some(block) } else { self.blocks[block].outer };
                let facts = self.derived(query, outer, strength)?;
                let kind = source_kind(facts, columns);
                let alias = alias.as_ref().map(|alias| alias.text.clone()).unwrap_or_default();
                self.blocks[block].sources.push(Source { alias, kind });
                Ok(())
            }
        }
    }

    fn join(
        &mut self,
        join: &'a Join,
        block: BlockId,
        strength: Strength,
        conditions: &mut Vec<OnCondition<'a>>,
    ) -> Result<(), SqlError> {
        let (left, right) = match join.kind {
            JoinKind::Inner | JoinKind::Straight => (strength, strength),
            JoinKind::Left => (strength, Strength::Local),
            JoinKind::Right => (Strength::Local, strength),
        };
        let start = self.instances.len();
        let sources = self.blocks[block].sources.len();
        self.table_ref(&join.left, block, left, conditions)?;
        let (middle, middle_sources) = (self.instances.len(), self.blocks[block].sources.len());
        self.table_ref(&join.right, block, right, conditions)?;
        let end = self.instances.len();
        let supplied = match join.kind {
            JoinKind::Inner | JoinKind::Straight if strength == Strength::Result => None,
            // On the null-supplied side of a join around this one.
            JoinKind::Inner | JoinKind::Straight => Some(start..end),
            JoinKind::Left => Some(middle..end),
            JoinKind::Right => Some(start..middle),
        };
        match &join.constraint {
            JoinConstraint::None => {}
            JoinConstraint::On(expr) => {
                conditions.push(OnCondition { expr, strength, right: supplied });
            }
            JoinConstraint::Natural => self.facts.natural_join = true,
            JoinConstraint::Using(columns) => {
                for column in columns {
                    let left = self.using(block, sources..middle_sources, column);
                    let all = self.blocks[block].sources.len();
                    let right = self.using(block, middle_sources..all, column);
                    if let (Some(left), Some(right)) = (left, right) {
                        self.equalities.push(Equality { left, right });
                    }
                }
            }
        }
        Ok(())
    }

    /// The column that USING means on one side of a join.
    fn using(
        &self,
        block: BlockId,
        sources: std::ops::Range<usize>,
        column: &Ident,
    ) -> Option<super::ColumnOf> {
        let sources = &self.blocks[block].sources[sources];
        let name = name_key(&column.text);
        match sources {
            [only] => Self::column_in(only, &name),
            several => {
                let mut known = several.iter().filter(|source| self.is_known(source, &name));
                match (known.next(), known.next()) {
                    (Some(source), None) => Self::column_in(source, &name),
                    _ => None,
                }
            }
        }
    }

    fn table_factor(
        &mut self,
        factor: &'a TableFactor,
        block: BlockId,
        strength: Strength,
    ) -> Result<(), SqlError> {
        if let Some(span) = factor.vindex_hint_span {
            self.delete(span);
        }
        let name = &factor.name;
        let alias = factor.alias.as_ref().unwrap_or(&name.name).text.clone();
        if name.keyspace.is_none() {
            if let Some(kind) = self.cte(&name.name.text, strength)? {
                self.blocks[block].sources.push(Source { alias, kind });
                return Ok(());
            }
            if name.name.text.eq_ignore_ascii_case("dual") {
                return Ok(());
            }
        }
        let calling = if factor.alias.is_some() { Calling::Alias } else { Calling::Name };
        let home = self.table_named(name, calling)?;
        let Some(home) = home else {
            self.facts.vindex_function = true;
            self.blocks[block].sources.push(Source { alias, kind: SourceKind::Unknown });
            return Ok(());
        };
        let names = |hints: &[Ident]| hints.iter().map(|hint| hint.text.clone()).collect();
        self.instances.push(Instance {
            home,
            block,
            strength,
            use_vindex: names(&factor.use_vindex),
            ignore_vindex: names(&factor.ignore_vindex),
            name: Some((name.name.clone(), calling)),
        });
        let kind = SourceKind::Base(self.instances.len() - 1);
        self.blocks[block].sources.push(Source { alias, kind });
        Ok(())
    }

    /// Finds a table and splices its name as the servers know it; `None` for a vindex.
    pub(in super::super) fn table_named(
        &mut self,
        name: &ObjectName,
        calling: Calling,
    ) -> Result<Option<Home>, SqlError> {
        let written = name.keyspace.as_ref().map(|keyspace| keyspace.text.as_str());
        let default = self.input.target.keyspace.as_deref();
        if is_system_schema(written.or(default).unwrap_or_default()) {
            return Ok(Some(Home::System));
        }
        let keyspace = match written {
            None => default.map(str::to_owned),
            Some(text) => Some(self.qualifier(text)?),
        };
        if name.keyspace.is_some() {
            self.delete(Span { start: name.span.start, end: name.name.span.start });
        }
        let found = self.input.vschema.find_table_or_vindex(
            keyspace.as_deref(),
            &name.name.text,
            self.input.target.tablet_type,
        );
        // As in Vitess, a name that the default keyspace does not have may be unique elsewhere.
        let found = match found {
            Err(_) if written.is_none() && keyspace.is_some() => self
                .input
                .vschema
                .find_table_or_vindex(None, &name.name.text, self.input.target.tablet_type)
                .or(found),
            found => found,
        };
        let table = match found? {
            Resolved::Table(table) => table,
            Resolved::Vindex { .. } => return Ok(None),
        };
        self.rename(&name.name, &table, calling);
        Ok(Some(Home::Table(table)))
    }

    /// The keyspace of a qualifier, which may also name shards.
    fn qualifier(&mut self, text: &str) -> Result<String, SqlError> {
        let unknown = || catalog::UNKNOWN_KEYSPACE.with(&[&text]);
        let target: Target = text.parse().map_err(|_| unknown())?;
        let keyspace = target.keyspace.ok_or_else(unknown)?;
        if target.role.is_some() {
            return Refusal::QualifierRole.refuse();
        }
        let destination = match target.place {
            TargetPlace::Routed => return Ok(keyspace),
            TargetPlace::Shard(name) => Destination::Shard(name),
            TargetPlace::KeyspaceId(id) => Destination::KeyspaceId(KeyspaceId::new(&id)),
            TargetPlace::Range { start, end } => {
                let bound = |bytes: &[u8]| Some(KeyspaceId::new(bytes));
                let range = KeyRange::new(bound(&start), bound(&end)).map_err(|_| unknown())?;
                Destination::KeyRange(range)
            }
        };
        match &self.destination {
            Some(other) if *other != destination => return Refusal::CrossShardTarget.refuse(),
            _ => self.destination = Some(destination),
        }
        Ok(keyspace)
    }

    /// A common table expression of this name.
    fn cte(&mut self, name: &str, strength: Strength) -> Result<Option<SourceKind>, SqlError> {
        let found = self.ctes.iter().rposition(|entry| same_name(&entry.name, name));
        let Some(index) = found else { return Ok(None) };
        let (cte, visible) = match self.ctes[index].kind {
            CteKind::Recursion => return Ok(Some(SourceKind::Unknown)),
            CteKind::Query(cte, visible) => (cte, visible),
        };
        // Inside, only what was defined before it is visible.
        let hidden = self.ctes.split_off(visible);
        let result = self.derived(&cte.query, None, strength);
        self.ctes.extend(hidden);
        Ok(Some(source_kind(result?, &cte.columns)))
    }
}

fn source_kind(facts: QueryFacts, names: &[Ident]) -> SourceKind {
    let Some(mut outputs) = facts.outputs else { return SourceKind::Unknown };
    if facts.whole.is_some() {
        // A condition on its columns holds after LIMIT or grouping: it does not tell which rows
        // that needs.
        if !outputs.wildcards.is_empty() {
            return SourceKind::Unknown;
        }
        outputs.columns.iter_mut().for_each(|(_, column)| *column = None);
    }
    if !names.is_empty() {
        if !outputs.wildcards.is_empty() || outputs.columns.len() != names.len() {
            return SourceKind::Unknown;
        }
        for (column, name) in outputs.columns.iter_mut().zip(names) {
            column.0 = name_key(&name.text);
        }
    }
    SourceKind::Derived(outputs)
}

/// A name in backquotes.
pub(in super::super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(in super::super) fn is_system_schema(name: &str) -> bool {
    ["information_schema", "performance_schema", "mysql", "sys"]
        .iter()
        .any(|system| system.eq_ignore_ascii_case(name))
}
