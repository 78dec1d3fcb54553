//! Names that routing rules lead to other tables, where they cannot stand as aliases.
//!
//! A SELECT or UPDATE gets `t AS name`. An INSERT, and a DELETE from one table, take no alias on
//! every server: there the table's own name takes the place of each qualifier. A definition is made
//! under the table's own name only, so that none changes another table than the one that the rule
//! names.

use crate::engine::template::Replacement;
use crate::error::SqlError;
use crate::sql::ast::{Ident, ObjectName, Span};
use crate::sql::cursor::Cursor;
use crate::vschema::{RuleTarget, TableName};

use super::analysis::{Analysis, quoted};
use super::copies::contains;
use super::input::PlanInput;
use super::unsupported::Refusal;

/// The table to which a routing rule leads a name, if that is another one.
pub(super) fn elsewhere(
    name: &ObjectName,
    input: &PlanInput<'_>,
) -> Result<Option<TableName>, SqlError> {
    let keyspace = name.keyspace.as_ref().map(|keyspace| keyspace.text.as_str());
    let default = input.target.keyspace.as_deref();
    let vschema = input.vschema;
    Ok(vschema.routed_elsewhere(keyspace, default, &name.name.text, input.target.tablet_type)?)
}

/// Writes a table's own name where the statement qualifies columns with the name that it was
/// written by.
pub(super) fn rename_qualifiers(
    analysis: &mut Analysis<'_>,
    written: &Ident,
    table: &str,
) -> Result<(), SqlError> {
    if written.text == table {
        return Ok(());
    }
    let spans = qualifiers(&analysis.input, &written.text);
    // Inside of a query the name may be that of another table.
    if !spans.is_empty() && contains(&analysis.input, |cursor| cursor.at_word("SELECT")) {
        return Refusal::RoutedQualifier.refuse();
    }
    for span in spans {
        analysis.splices.push((span, Replacement::Text(quoted(table).into())));
    }
    Ok(())
}

/// Where `name` stands in front of a column.
fn qualifiers(input: &PlanInput<'_>, name: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let Ok(mut cursor) = Cursor::new(input.text, input.mode, input.scan) else { return found };
    while !cursor.at_end() {
        if cursor.symbol_at(1, ".")
            && let Some(ident) = cursor.ident_of(cursor.peek())
            && ident.text == name
        {
            found.push(ident.span);
        }
        cursor.advance();
    }
    found
}

/// Refuses a statement that the parser cannot read, if it may name a table by a name that routing
/// rules lead to another one.
pub(super) fn check_unparsed(input: &PlanInput<'_>) -> Result<(), SqlError> {
    let own = input.target.keyspace.as_deref();
    let leads_away: Vec<(Option<&str>, &str)> = input
        .vschema
        .names()
        .rules()
        .filter_map(|(from, target)| {
            let from = from.split_once('@').map_or(from, |(name, _)| name);
            let (keyspace, name) = match from.split_once('.') {
                Some((keyspace, name)) => (Some(keyspace), name),
                None => (None, from),
            };
            let stays = |table: &TableName| {
                table.name == name && Some(table.keyspace.as_str()) == keyspace.or(own)
            };
            let away = !matches!(target, RuleTarget::Table(table) if stays(table));
            away.then_some((keyspace, name))
        })
        .collect();
    if leads_away.is_empty() {
        return Ok(());
    }
    let names = |wanted: &str| {
        contains(input, |cursor| {
            cursor.ident_of(cursor.peek()).is_some_and(|ident| ident.text == wanted)
        })
    };
    // A name without a keyspace is the session's own table in front of any rule.
    let may_name = |(keyspace, name): &(Option<&str>, &str)| {
        keyspace.is_some_and(|keyspace| Some(keyspace) == own || names(keyspace)) && names(name)
    };
    if leads_away.iter().any(may_name) { Refusal::RoutedUnread.refuse() } else { Ok(()) }
}
