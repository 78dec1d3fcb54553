//! Writes that would reach a table with copies without its copies: by views over it, by another
//! spelling of its name, and in statements that the parser cannot read.

use std::collections::HashSet;

use crate::error::SqlError;
use crate::sql::cursor::Cursor;
use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind as Kind;
use crate::sql::stored_programs::names;
use crate::vschema::{Strictness, TableName};

use super::super::input::PlanInput;
use super::super::shard_target::stores_no_rows;
use super::super::unsupported::Refusal;
use super::{alters_rows, contains, has_copies, replaces_table};

/// The tables that have copies, or are copies that Geogate writes.
fn copied(input: &PlanInput<'_>) -> Vec<TableName> {
    if input.strictness == Strictness::Lenient {
        return Vec::new();
    }
    let copied = input.vschema.tables().filter(|table| has_copies(input, table));
    copied.map(|table| table.qualified_name().clone()).collect()
}

/// Refuses a write to a name that means a table with copies on the servers alone.
pub(in super::super) fn check_name(
    input: &PlanInput<'_>,
    name: &TableName,
) -> Result<(), SqlError> {
    let keyspace = input.vschema.keyspace(&name.keyspace);
    let is_listed = keyspace.is_some_and(|keyspace| keyspace.table(&name.name).is_some());
    if is_listed && !input.columns.is_view(name) {
        return Ok(());
    }
    let copied = copied(input);
    // Some servers know a name in any case.
    let same = |other: &TableName| {
        other.keyspace == name.keyspace && other.name.eq_ignore_ascii_case(&name.name)
    };
    let spelt = copied.iter().any(|own| same(own) && own != name);
    if spelt || !copied.is_empty() && input.columns.views_over(&copied).iter().any(same) {
        return Refusal::CopiesView.refuse();
    }
    Ok(())
}

/// Refuses a statement that the parser cannot read, if it may write a table that has copies
/// elsewhere. Its server may have the databases of other keyspaces too. Under a shard target the
/// tables of its own keyspace are the client's to write.
pub(in super::super) fn check_unparsed(input: &PlanInput<'_>) -> Result<(), SqlError> {
    let kind = input.scan.kind();
    let writes = match kind {
        Kind::Delete | Kind::Truncate | Kind::Rename => true,
        Kind::Drop => contains(input, |cursor| cursor.at_any_word(&["TABLE", "TABLES"])),
        Kind::Alter => contains(input, alters_rows),
        Kind::Create => !stores_no_rows(input) || contains(input, replaces_table),
        _ => !stores_no_rows(input),
    };
    let is_database = |cursor: &Cursor<'_>| cursor.at_any_word(&["DATABASE", "SCHEMA"]);
    let drops = kind == Kind::Drop || kind == Kind::Create && contains(input, replaces_table);
    let drops = drops && contains(input, is_database);
    if !writes && !drops {
        return Ok(());
    }
    let mut copied = copied(input);
    if copied.is_empty() {
        return Ok(());
    }
    let target = input.target.keyspace.as_deref().filter(|_| input.target.destination.is_some());
    if let Some(target) = target {
        let own: HashSet<String> = copied
            .iter()
            .filter(|table| table.keyspace == target)
            .map(|table| table.name.clone())
            .collect();
        copied.retain(|table| !own.contains(&table.name));
    }
    if drops {
        return Refusal::CopiesDatabase.refuse();
    }
    copied.extend(input.columns.views_over(&copied));
    // What comments for some servers say, and texts that are made by the statement, is not read.
    let hides = target.is_none()
        && (input.scan.features().contains(Features::SERVER_SPECIFIC)
            || contains(input, |cursor| cursor.at_any_word(&["PREPARE", "EXECUTE"])));
    if hides || named(input, &copied) {
        return Refusal::CopiesUnread.refuse();
    }
    Ok(())
}

/// Whether a statement may name one of these tables.
fn named(input: &PlanInput<'_>, tables: &[TableName]) -> bool {
    if !input.text.is_ascii() {
        let text = input.text.to_ascii_lowercase();
        return tables.iter().any(|table| names(&text, table.name.to_lowercase().as_bytes()));
    }
    contains(input, |cursor| {
        let name = cursor.ident_of(cursor.peek());
        name.is_some_and(|name| tables.iter().any(|t| t.name.eq_ignore_ascii_case(&name.text)))
    })
}
