//! CREATE, ALTER and DROP of databases.

use super::{ControlError, expected};
use crate::sql::ast::{Ident, Span};
use crate::sql::cursor::Cursor;

/// CREATE DATABASE, ALTER DATABASE or DROP DATABASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Which of them.
    pub verb: DatabaseVerb,
    /// OR REPLACE was written: the one that is there is dropped.
    pub replaces: bool,
    /// IF EXISTS or IF NOT EXISTS was written.
    pub conditional: bool,
    /// Its name; ALTER DATABASE may leave it out.
    pub name: Option<Ident>,
    /// The name's bytes, or where it would be written.
    pub place: Span,
}

/// What happens to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its word")]
pub enum DatabaseVerb {
    Create,
    Alter,
    Drop,
}

/// Reads it; the cursor is at the first word. `None` if it is about something else.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Database>, ControlError> {
    let mut replaces = false;
    let verb = if cursor.eat_word("CREATE") {
        replaces = cursor.eat_words(&["OR", "REPLACE"]);
        DatabaseVerb::Create
    } else if cursor.eat_word("DROP") {
        DatabaseVerb::Drop
    } else {
        cursor.eat_word("ALTER");
        DatabaseVerb::Alter
    };
    if !cursor.eat_word("DATABASE") && !cursor.eat_word("SCHEMA") {
        return Ok(None);
    }
    let conditional =
        cursor.eat_words(&["IF", "NOT", "EXISTS"]) || cursor.eat_words(&["IF", "EXISTS"]);
    let options = ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT", "ENCRYPTION", "READ"];
    let at = cursor.start();
    let unnamed = verb == DatabaseVerb::Alter && cursor.at_any_word(&options);
    let name = if unnamed { None } else { cursor.eat_ident() };
    if name.is_none() && !unnamed {
        return expected(cursor, "a database");
    }
    let place = name.as_ref().map_or(Span { start: at, end: at }, |name| name.span);
    Ok(Some(Database { verb, replaces, conditional, name, place }))
}
