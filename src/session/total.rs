//! What the shards of a write answered, added up: one answer for the client.

use crate::engine::plan::{Plan, Primitive, TableUse};
use crate::sql::statement_kind::StatementKind;
use crate::vschema::TableKind;
use crate::wire::scanner::Outcome;

use super::answer::{Answer, Done, Leaves};
use super::connections::Connections;
use super::diagnostics::{WarningRow, Warnings};
use super::job::{InsertId, Job};
use super::state::State;

/// What the rows that several shards have written are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WrittenRows {
    /// Each shard has rows of its own.
    #[default]
    Distinct,
    /// Each shard has a copy of the same rows: those of a reference table.
    Copies,
}

/// What the shards of a write answered, added up.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) rows: WrittenRows,
    /// Affected rows and insert id of the first copy, and whether all others have the same.
    first: Option<(u64, u64)>,
    differs: bool,
    pub(super) affected_rows: u64,
    pub(super) warnings: u32,
    /// Rows of SHOW WARNINGS of the shards.
    notes: Vec<WarningRow>,
    pub(super) last_insert_id: u64,
    pub(super) info: Vec<u8>,
    /// It is an INSERT of several rows, of which servers tell how many there were; not where they
    /// have got one alone.
    counts_rows: bool,
}

/// Whether the shards have copies of the rows that a write meets.
pub(super) fn rows_of(state: &State, plan: &Plan, shards: usize) -> WrittenRows {
    if matches!(&plan.root, Primitive::Route(route) if !route.copies.keyspaces.is_empty()) {
        return WrittenRows::Copies;
    }
    let generation = state.generation.held().filter(|_| shards > 1);
    let Some(generation) = generation else { return WrittenRows::Distinct };
    let is_reference = |table: &TableUse| {
        let found = generation.vschema().find_unrouted(Some(&table.keyspace), &table.table);
        found.is_ok_and(|table| matches!(table.kind(), TableKind::Reference { .. }))
    };
    if !plan.tables.is_empty() && plan.tables.iter().all(is_reference) {
        WrittenRows::Copies
    } else {
        WrittenRows::Distinct
    }
}

impl Total {
    /// That of a job with so many pieces.
    pub(super) fn of(job: &Job<'_>, pieces: usize) -> Self {
        let inserts = matches!(job.statement.kind, StatementKind::Insert | StatementKind::Replace);
        Self { rows: job.rows, counts_rows: pieces > 1 && inserts, ..Self::default() }
    }

    /// That of a definition.
    pub(super) fn copies() -> Self {
        Self { rows: WrittenRows::Copies, ..Self::default() }
    }

    /// The answer for the client, whose warnings may be asked for afterwards.
    pub(super) fn answer(self, connections: &mut Connections) -> Answer {
        connections.diagnosed.clear();
        if !self.notes.is_empty() {
            connections.diagnosed.warnings = Warnings::Noted(self.notes);
        }
        Answer::Done(Box::new(Done {
            affected_rows: self.affected_rows,
            last_insert_id: self.last_insert_id,
            warnings: self.warnings.min(u32::from(u16::MAX)) as u16,
            info: self.info,
            leaves: Leaves::Warnings,
        }))
    }

    pub(super) fn add(&mut self, outcome: &Outcome, info: &[u8]) {
        match self.rows {
            WrittenRows::Distinct => self.affected_rows += outcome.affected_rows,
            WrittenRows::Copies => {
                let done = (outcome.affected_rows, outcome.last_insert_id);
                self.differs |= *self.first.get_or_insert(done) != done;
                self.affected_rows = outcome.affected_rows;
            }
        }
        let warnings = u32::from(outcome.warnings);
        match self.rows {
            WrittenRows::Distinct => self.warnings += warnings,
            WrittenRows::Copies => self.warnings = self.warnings.max(warnings),
        }
        if self.last_insert_id == 0 {
            self.last_insert_id = outcome.last_insert_id;
        }
        let one_row =
            if self.counts_rows && info.is_empty() { info_of_one(outcome) } else { String::new() };
        let info = if one_row.is_empty() { info } else { one_row.as_bytes() };
        self.info = if self.info.is_empty() { info.to_vec() } else { self.with_info(info) };
    }

    /// Whether the one row of an INSERT that asks for an insert id of its own was there already:
    /// the server tells what LAST_INSERT_ID(id) was given, and counts no new row.
    pub(super) fn has_updated(&self, job: &Job<'_>) -> bool {
        let alone = match job.primitive {
            Primitive::Route(route) => {
                route.generate.as_ref().is_some_and(|generate| generate.rows.len() == 1)
            }
            _ => false,
        };
        alone
            && job.statement.wants_insert_id()
            && self.last_insert_id != 0
            && (self.affected_rows != 1 || self.is_another_id(job.insert_id))
    }

    fn is_another_id(&self, insert_id: InsertId) -> bool {
        match insert_id {
            InsertId::Generated(id) | InsertId::Given(id) => self.last_insert_id != id,
            InsertId::Server => false,
        }
    }

    /// Takes the warnings of one more shard, up to so many; those of copies are the same again.
    pub(super) fn add_notes(&mut self, rows: Vec<WarningRow>, most: usize) {
        if self.rows == WrittenRows::Copies && rows.len() <= self.notes.len() {
            return;
        }
        if self.rows == WrittenRows::Copies {
            self.notes.clear();
        }
        self.notes.extend(rows);
        self.notes.truncate(most);
    }

    /// Whether a write did not do the same to every copy.
    pub(super) fn differs(&self) -> bool {
        self.differs
    }

    /// The texts of all shards so far and of one more.
    fn with_info(&self, info: &[u8]) -> Vec<u8> {
        match self.rows {
            WrittenRows::Distinct => add_info(&self.info, info),
            WrittenRows::Copies => self.info.clone(),
        }
    }
}

/// What a server would have told of one row among others.
fn info_of_one(outcome: &Outcome) -> String {
    let duplicates = match outcome.affected_rows {
        // Ignored, with a warning, or left as it was.
        0 => u8::from(outcome.warnings > 0),
        1 => 0,
        // Updated or replaced.
        _ => 1,
    };
    format!("Records: 1  Duplicates: {duplicates}  Warnings: {}", outcome.warnings)
}

/// Adds up the numbers of two texts like `Rows matched: 3  Changed: 1  Warnings: 0`.
fn add_info(a: &[u8], b: &[u8]) -> Vec<u8> {
    let numbers = |text: &[u8]| -> Vec<u64> {
        let digits = text.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty());
        digits.filter_map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect()
    };
    let mut sums = numbers(a).into_iter().zip(numbers(b)).map(|(a, b)| a + b);
    let mut out = Vec::with_capacity(a.len() + 4);
    let mut rest = a;
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        let digits = rest[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        out.extend_from_slice(&rest[..start]);
        match sums.next() {
            Some(sum) => out.extend_from_slice(sum.to_string().as_bytes()),
            None => out.extend_from_slice(&rest[start..start + digits]),
        }
        rest = &rest[start + digits..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_are_added_number_by_number() {
        let a = b"Rows matched: 3  Changed: 1  Warnings: 0";
        let b = b"Rows matched: 9  Changed: 9  Warnings: 2";
        assert_eq!(add_info(a, b), b"Rows matched: 12  Changed: 10  Warnings: 2");
    }
}
