//! What a statement leaves behind in the session at the server, as far as its text tells: user
//! variables, temporary tables, locks, handlers, distributed transactions, and the stored routines
//! that may do any of these.
//!
//! Found by words and not by grammar, for the few statements that [`may_leave`] something. Too
//! much may be found, but nothing is missed; what cannot be named is [`Effect::Unknown`].

mod routine;

use std::collections::HashSet;

use super::ast::Ident;
use super::builtin::is_builtin;
use super::control::set::{Scope, SetItem};
use super::cursor::Cursor;
use super::features::Features;
use super::mode::LexMode;
use super::scan::Scan;
use super::statement_kind::StatementKind as Kind;
use super::system_variable::modern_name;
use super::token::TokenKind;

pub use routine::{effects_of_body, effects_of_routine};

/// One thing that a statement may leave behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A user variable may have another value; its name in lower case, without `@`.
    UserVariable(String),
    /// A system variable may have another value.
    SystemVariable(String),
    /// A global variable may have another value, with which sessions begin.
    GlobalVariable,
    /// LAST_INSERT_ID() of the session is asked for; it leaves nothing behind.
    AsksInsertId,
    /// SET TRANSACTION for the next transaction.
    NextTransaction,
    /// A temporary table may be there.
    TemporaryTable(Name),
    /// A temporary table may be gone.
    LooksAtTables,
    /// GET_LOCK() of the name that this expression gives.
    NamedLock(Vec<u8>),
    /// GET_LOCK() of the name that this parameter has, counted from 0.
    NamedLockOfParameter(usize),
    /// GET_LOCK() of a name that only rows or a routine's variables tell.
    UnknownLocks,
    /// RELEASE_LOCK(): a lock may be gone.
    ReleasesLock,
    /// RELEASE_ALL_LOCKS().
    ReleasesAllLocks,
    /// LOCK TABLES.
    TableLocks,
    /// FLUSH TABLES WITH READ LOCK, or of some tables with locks.
    ReadLock,
    /// FLUSH STATUS.
    CountersZeroed,
    /// UNLOCK TABLES.
    UnlocksTables,
    /// HANDLER .. OPEN; the name it is read by, in lower case.
    HandlerOpened(String),
    /// HANDLER .. CLOSE.
    HandlerClosed(String),
    /// XA START and what belongs to it.
    Xa,
    /// XA COMMIT or XA ROLLBACK.
    XaEnded,
    /// A procedure was called.
    Procedure(Name),
    /// A function that is not built in was called.
    Function(Name),
    /// Something that cannot be followed; what it is.
    Unknown(&'static str),
}

/// A name that may have a database before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The database, if written.
    pub database: Option<String>,
    /// The name, quotes taken off.
    pub name: String,
}

/// Features that leave something behind.
const LEAVING: Features = Features::ASSIGNS_VARIABLE
    .with(Features::NAMED_LOCK)
    .with(Features::UNKNOWN_FUNCTION)
    .with(Features::TEMPORARY);

/// Whether a statement may leave anything behind, so that [`effects`] has to look at it.
#[inline]
pub fn may_leave(kind: Kind, features: Features) -> bool {
    features.intersects(LEAVING)
        || kind == Kind::Set && features.contains(Features::PLACEHOLDER)
        || matches!(
            kind,
            Kind::Call
                | Kind::Execute
                | Kind::LoadData
                | Kind::Drop
                | Kind::Alter
                | Kind::Rename
                | Kind::LockTables
                | Kind::UnlockTables
                | Kind::Flush
                | Kind::Handler
                | Kind::Xa
                | Kind::Compound
                | Kind::Diagnostics
                | Kind::Other
        )
}

/// What the statement that `scan` found in `text` may leave behind.
pub fn effects(text: &[u8], mode: LexMode, scan: &Scan) -> Vec<Effect> {
    let Ok(mut cursor) = Cursor::new(text, mode, scan) else {
        return vec![Effect::Unknown("a statement that cannot be read")];
    };
    let kind = scan.kind();
    if kind == Kind::Compound {
        return effects_of_body(text, mode);
    }
    if kind == Kind::Create && scan.is_program() {
        // It is defined, and nothing of it is run.
        return Vec::new();
    }
    let mut found = Found::default();
    let begin = cursor.mark();
    if scan.has_own_settings() {
        cursor.skip_own_settings();
    }
    match kind {
        Kind::Drop | Kind::Alter | Kind::Rename => found.push(Effect::LooksAtTables),
        Kind::LockTables if cursor.word_at(1, "INSTANCE") => {
            found.push(Effect::Unknown("LOCK INSTANCE"));
        }
        Kind::LockTables => found.push(Effect::TableLocks),
        Kind::UnlockTables => found.push(Effect::UnlocksTables),
        Kind::Flush => found.extend(cursor.look(flush)),
        Kind::Handler => found.extend(cursor.look(handler)),
        Kind::Xa => found.extend(cursor.look(xa)),
        Kind::Call => {
            let name = cursor.look(|call| {
                call.advance();
                eat_name(call)
            });
            found.push(name.map_or(UNREAD, Effect::Procedure));
        }
        Kind::Set if scan.features().contains(Features::PLACEHOLDER) => {
            found.extend(cursor.look(set_by_parameters));
        }
        Kind::Set if scan.has_own_settings() => found.extend(cursor.look(globals_set)),
        Kind::Other if cursor.at_any_word(HARMLESS) => {}
        Kind::Other => found.push(Effect::Unknown("a statement that is not known")),
        _ => {}
    }
    if kind == Kind::Create && scan.features().contains(Features::TEMPORARY) {
        found.push(cursor.look(created).map_or(UNREAD, Effect::TemporaryTable));
    }
    // The settings may call functions, too.
    cursor.reset(begin);
    let assigns = scan.features().contains(Features::ASSIGNS_VARIABLE)
        || matches!(
            kind,
            Kind::Call | Kind::Execute | Kind::LoadData | Kind::Diagnostics | Kind::Other
        );
    words(&mut cursor, kind, assigns, &mut found);
    found.list
}

/// The effects that were found, each once.
#[derive(Default)]
struct Found {
    list: Vec<Effect>,
    /// The same, as soon as they are many.
    seen: HashSet<Effect>,
    /// All variables before this token are in the list.
    read: usize,
}

impl Extend<Effect> for Found {
    fn extend<T: IntoIterator<Item = Effect>>(&mut self, effects: T) {
        for effect in effects {
            self.push(effect);
        }
    }
}

impl Found {
    fn push(&mut self, effect: Effect) {
        const MANY: usize = 16;
        if self.list.len() < MANY {
            if !self.list.contains(&effect) {
                self.list.push(effect);
            }
            return;
        }
        if self.seen.is_empty() {
            self.seen.extend(self.list.iter().cloned());
        }
        if self.seen.insert(effect.clone()) {
            self.list.push(effect);
        }
    }
}

/// Statements without a kind of their own that leave nothing but values of user variables.
const HARMLESS: &[&str] = &["ANALYZE", "GET", "HELP", "RESIGNAL", "SIGNAL"];

/// What a SET whose values are not known sets.
fn set_by_parameters(cursor: &mut Cursor<'_>) -> Vec<Effect> {
    let Ok(set) = super::control::set::parse(cursor) else { return vec![UNREAD] };
    let effect = |item: SetItem| match item {
        SetItem::User { name, .. } => Some(Effect::UserVariable(name)),
        SetItem::System { scope: Scope::Session, name, .. } => {
            Some(Effect::SystemVariable(modern_name(&name).to_owned()))
        }
        SetItem::System { scope: Scope::Unscoped, name, .. } => {
            let name = modern_name(&name).to_owned();
            let next = matches!(&*name, "transaction_isolation" | "transaction_read_only");
            Some(if next { Effect::NextTransaction } else { Effect::SystemVariable(name) })
        }
        SetItem::System { scope: Scope::Global, .. }
        | SetItem::Transaction { scope: Scope::Global, .. } => Some(Effect::GlobalVariable),
        SetItem::System { .. } | SetItem::Transaction { .. } => None,
        _ => Some(UNREAD),
    };
    set.items.into_iter().filter_map(effect).collect()
}

/// Global variables that a SET sets which is not read as one of the session's.
fn globals_set(cursor: &mut Cursor<'_>) -> Vec<Effect> {
    let Ok(set) = super::control::set::parse(cursor) else { return vec![UNREAD] };
    let is_global = |item: &SetItem| {
        matches!(
            item,
            SetItem::System { scope: Scope::Global, .. }
                | SetItem::Transaction { scope: Scope::Global, .. }
        )
    };
    set.items.iter().any(is_global).then_some(Effect::GlobalVariable).into_iter().collect()
}

const UNREAD: Effect = Effect::Unknown("a name that is not understood");

/// Walks over all words: variables and functions, wherever they stand.
fn words(cursor: &mut Cursor<'_>, kind: Kind, assigns: bool, found: &mut Found) {
    // The name after these is a table's, whose columns may stand in parentheses.
    let names_table = |cursor: &Cursor<'_>| cursor.at_any_word(&["INTO", "TABLE", "REFERENCES"]);
    let mut placeholders = 0;
    let mut called_procedure = kind == Kind::Call;
    while !cursor.at_end() {
        let token = cursor.peek();
        match token.kind {
            TokenKind::Placeholder => placeholders += 1,
            TokenKind::UserVariable if assigns => {
                let name = super::control::set::user_variable_name(cursor.bytes(token));
                found.push(Effect::UserVariable(name));
            }
            TokenKind::Word | TokenKind::QuotedIdentifier => {
                if std::mem::take(&mut called_procedure) {
                    cursor.advance();
                    let _ = eat_name(cursor);
                    continue;
                }
                if token.kind == TokenKind::Word && names_table(cursor) {
                    cursor.advance();
                    let _ = cursor.eat_word("TABLE");
                    let _ = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
                    let _ = eat_name(cursor);
                    continue;
                }
                if let Some(name) = eat_called(cursor) {
                    if kind == Kind::Set && !is_lock(&name.name) {
                        // Outside of queries a stored function may give values back (OUT).
                        routine::variables_in_parentheses(cursor, found);
                    }
                    function(cursor, name, placeholders, found);
                    continue;
                }
            }
            _ => {}
        }
        cursor.advance();
    }
}

/// Moves over `name` or `database.name` if a parenthesis follows, which it then stands at. The word
/// alone is left for the caller.
fn eat_called(cursor: &mut Cursor<'_>) -> Option<Name> {
    let mark = cursor.mark();
    let is_word = cursor.peek().kind == TokenKind::Word;
    let plain = is_word && cursor.symbol_at(1, "(");
    let name = eat_name(cursor).filter(|_| cursor.at_symbol("("));
    match name {
        Some(name) if !plain || !is_builtin(name.name.as_bytes()) || is_lock(&name.name) => {
            Some(name)
        }
        _ => {
            cursor.reset(mark);
            None
        }
    }
}

fn is_lock(name: &str) -> bool {
    ["get_lock", "release_lock", "release_all_locks"].iter().any(|l| name.eq_ignore_ascii_case(l))
}

/// A called function; the cursor is at its parenthesis.
fn function(cursor: &mut Cursor<'_>, name: Name, placeholders: usize, found: &mut Found) {
    let effect = match name.name.to_ascii_lowercase().as_str() {
        "get_lock" if name.database.is_none() => {
            let mark = cursor.mark();
            let effect = lock_name(cursor, placeholders);
            cursor.reset(mark);
            effect
        }
        "release_lock" if name.database.is_none() => Effect::ReleasesLock,
        "release_all_locks" if name.database.is_none() => Effect::ReleasesAllLocks,
        _ => Effect::Function(name),
    };
    found.push(effect);
}

/// The name of a lock that is computed by more tokens than this is not computed again.
const LOCK_NAME_MAX: usize = 256;

/// The first argument of GET_LOCK(), if it can be computed once more by itself.
fn lock_name(cursor: &mut Cursor<'_>, placeholders: usize) -> Effect {
    let unknown = Effect::UnknownLocks;
    cursor.advance();
    let (start, begin) = (cursor.start(), cursor.mark());
    if cursor.peek().kind == TokenKind::Placeholder && cursor.symbol_at(1, ",") {
        return Effect::NamedLockOfParameter(placeholders);
    }
    while !cursor.at_end() && !cursor.at_symbol(",") {
        if cursor.mark() > begin + LOCK_NAME_MAX {
            return unknown;
        }
        let token = cursor.peek();
        let fine = match token.kind {
            // A word may be a column, unless it is called.
            TokenKind::Word => {
                cursor.symbol_at(1, "(") && !cursor.at_any_word(&["SELECT", "UUID", "RAND"])
            }
            TokenKind::Symbol => !cursor.at_symbol(":="),
            TokenKind::String | TokenKind::Integer | TokenKind::UserVariable => true,
            _ => false,
        };
        if !fine {
            return unknown;
        }
        if cursor.at_symbol("(") {
            // Nested calls: their arguments are looked at too.
            if cursor.word_at(1, "SELECT") {
                return unknown;
            }
            if !arguments_are_plain(cursor) {
                return unknown;
            }
            continue;
        }
        cursor.advance();
    }
    let end = cursor.previous_end();
    Effect::NamedLock(cursor.text[start as usize..end as usize].to_vec())
}

/// Moves over parentheses; `false` if anything but literals, variables and calls is in them.
fn arguments_are_plain(cursor: &mut Cursor<'_>) -> bool {
    let begin = cursor.mark();
    if !cursor.skip_parentheses_within(LOCK_NAME_MAX) {
        return false;
    }
    let end = cursor.mark();
    cursor.reset(begin);
    let mut plain = true;
    while cursor.mark() < end {
        let token = cursor.peek();
        plain &= match token.kind {
            TokenKind::Word => {
                cursor.symbol_at(1, "(") && !cursor.at_any_word(&["SELECT", "UUID", "RAND"])
            }
            TokenKind::Symbol => !cursor.at_symbol(":="),
            TokenKind::String | TokenKind::Integer | TokenKind::UserVariable => true,
            _ => false,
        };
        cursor.advance();
    }
    plain
}

/// CREATE [OR REPLACE] TEMPORARY TABLE [IF NOT EXISTS] name; the cursor is at CREATE.
fn created(cursor: &mut Cursor<'_>) -> Option<Name> {
    while !cursor.at_end() && !cursor.eat_word("TEMPORARY") {
        cursor.advance();
    }
    temporary_name(cursor)
}

/// What follows CREATE TEMPORARY.
fn temporary_name(cursor: &mut Cursor<'_>) -> Option<Name> {
    if !cursor.eat_word("TABLE") && !cursor.eat_word("SEQUENCE") {
        return None;
    }
    let _ = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    eat_name(cursor)
}

/// `name` or `database.name`.
fn eat_name(cursor: &mut Cursor<'_>) -> Option<Name> {
    let Ident { text: first, .. } = cursor.eat_ident()?;
    if !cursor.at_symbol(".") {
        return Some(Name { database: None, name: first });
    }
    cursor.advance();
    let Ident { text: second, .. } = cursor.eat_ident()?;
    Some(Name { database: Some(first), name: second })
}

fn flush(cursor: &mut Cursor<'_>) -> Option<Effect> {
    while !cursor.at_end() {
        if cursor.at_word("STATUS") {
            // What SHOW STATUS counts from now on is what the client wants to see.
            return Some(Effect::CountersZeroed);
        }
        if cursor.at_words(&["READ", "LOCK"]) || cursor.at_words(&["FOR", "EXPORT"]) {
            return Some(Effect::ReadLock);
        }
        cursor.advance();
    }
    None
}

fn handler(cursor: &mut Cursor<'_>) -> Option<Effect> {
    cursor.advance();
    let Some(Name { name, .. }) = eat_name(cursor) else { return Some(UNREAD) };
    if cursor.eat_word("CLOSE") {
        return Some(Effect::HandlerClosed(name.to_lowercase()));
    }
    if !cursor.eat_word("OPEN") {
        return None;
    }
    let _ = cursor.eat_word("AS");
    let alias = cursor.eat_ident().map_or(name, |alias| alias.text);
    Some(Effect::HandlerOpened(alias.to_lowercase()))
}

fn xa(cursor: &mut Cursor<'_>) -> Option<Effect> {
    cursor.advance();
    if cursor.at_word("RECOVER") {
        return None;
    }
    let ended = cursor.at_any_word(&["COMMIT", "ROLLBACK"]);
    Some(if ended { Effect::XaEnded } else { Effect::Xa })
}

#[cfg(test)]
mod tests;
