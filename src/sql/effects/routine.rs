//! What a stored routine or a trigger may leave behind, from its text. Variables that it only reads
//! are left out, because many triggers ask one whether they are to do nothing.

use super::{Effect, Found, eat_called, eat_name, function, is_lock, temporary_name};
use crate::sql::control::set::{self, Scope, SetItem};
use crate::sql::cursor::Cursor;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::system_variable;
use crate::sql::token::TokenKind;

/// What running the routine may leave behind. `text` is its CREATE statement.
pub fn effects_of_routine(text: &[u8], mode: LexMode) -> Vec<Effect> {
    // The routine's own name and parameters come first.
    effects_behind(text, mode, |cursor| {
        while !cursor.at_end() && !cursor.at_symbol("(") {
            cursor.advance();
        }
        let _ = cursor.skip_parentheses();
    })
}

/// What running the body of a trigger or routine may leave behind.
pub fn effects_of_body(text: &[u8], mode: LexMode) -> Vec<Effect> {
    effects_behind(text, mode, |_| {})
}

/// The effects of what stands behind the head.
fn effects_behind(text: &[u8], mode: LexMode, skip_head: fn(&mut Cursor<'_>)) -> Vec<Effect> {
    let mut scan = Scan::new();
    if scan.run(text, mode).is_err() {
        return vec![UNREAD];
    }
    let Ok(mut cursor) = Cursor::new(text, mode, &scan) else { return vec![UNREAD] };
    skip_head(&mut cursor);
    let mut found = Found::default();
    let mut begins = false;
    // Whether a SET can be the body by itself.
    let mut is_head = true;
    while !cursor.at_end() {
        let token = cursor.peek();
        let at_start = std::mem::replace(&mut begins, false);
        match token.kind {
            TokenKind::UserVariable if cursor.symbol_at(1, ":=") => variable(&cursor, &mut found),
            TokenKind::Symbol if cursor.at_symbol(";") || cursor.at_symbol(":") => begins = true,
            TokenKind::Word | TokenKind::QuotedIdentifier => {
                if called(&mut cursor, &mut found) {
                    continue;
                }
                begins = cursor.at_any_word(STARTS);
                if cursor.at_words(&["CHARACTER", "SET"]) {
                    cursor.advance();
                } else if (at_start || is_head) && cursor.at_word("SET") {
                    assignments(&mut cursor, mode, &mut found);
                    begins = true;
                    continue;
                }
                is_head &= !cursor.at_any_word(&["INSERT", "REPLACE", "UPDATE", "BEGIN"]);
                word(&mut cursor, &mut found);
                continue;
            }
            _ => {}
        }
        cursor.advance();
    }
    // The names of locks depend on the routine's own variables.
    for effect in &mut found.list {
        if matches!(effect, Effect::NamedLock(_) | Effect::NamedLockOfParameter(_)) {
            *effect = Effect::UnknownLocks;
        }
    }
    found.list
}

/// The variable that the cursor is at.
fn variable(cursor: &Cursor<'_>, found: &mut Found) {
    let name = set::user_variable_name(cursor.bytes(cursor.peek()));
    found.push(Effect::UserVariable(name));
}

/// All variables up to the end of the parentheses that the cursor is at, which stays there.
pub(super) fn variables_in_parentheses(cursor: &mut Cursor<'_>, found: &mut Found) {
    let mark = cursor.mark();
    if mark < found.read {
        // They are in others, which have been read.
        return;
    }
    let mut depth = 0;
    while !cursor.at_end() && !cursor.at_symbol(";") {
        if cursor.at_symbol("(") {
            depth += 1;
        } else if cursor.at_symbol(")") {
            depth -= 1;
            if depth == 0 {
                break;
            }
        } else if cursor.peek().kind == TokenKind::UserVariable {
            variable(cursor, found);
        }
        cursor.advance();
    }
    found.read = cursor.mark();
    cursor.reset(mark);
}

/// All variables up to the end of the statement that the cursor is in, which stays where it is.
fn all_variables(cursor: &mut Cursor<'_>, found: &mut Found) {
    let mark = cursor.mark();
    if mark < found.read {
        cursor.reset(found.read);
    }
    while !cursor.at_end() && !cursor.at_symbol(";") {
        if cursor.peek().kind == TokenKind::UserVariable {
            variable(cursor, found);
        }
        cursor.advance();
    }
    found.read = cursor.mark();
    cursor.reset(mark);
}

/// Moves over the name of a function that is called; its arguments may be given back (OUT).
fn called(cursor: &mut Cursor<'_>, found: &mut Found) -> bool {
    let Some(name) = eat_called(cursor) else { return false };
    if !is_lock(&name.name) {
        variables_in_parentheses(cursor, found);
    }
    function(cursor, name, 0, found);
    true
}

/// A word of the body; moves over it.
fn word(cursor: &mut Cursor<'_>, found: &mut Found) {
    if cursor.eat_word("CALL") {
        let effect = eat_name(cursor).map_or(super::UNREAD, Effect::Procedure);
        found.push(effect);
        if cursor.at_symbol("(") {
            variables_in_parentheses(cursor, found);
        }
    } else if cursor.eat_word("INTO") {
        into(cursor, found);
    } else if cursor.at_word("GET") {
        all_variables(cursor, found);
        cursor.advance();
    } else if cursor.eat_word("SET") {
        // Not at the start of a statement that was recognised, or one of UPDATE's.
        if cursor.peek().kind == TokenKind::UserVariable {
            all_variables(cursor, found);
        }
    } else if cursor.eat_word("TEMPORARY") {
        // DROP TEMPORARY is found too, and does no harm: the table is looked for afterwards.
        if let Some(name) = temporary_name(cursor) {
            found.push(Effect::TemporaryTable(name));
        }
    } else if cursor.at_any_word(&["PREPARE", "EXECUTE"]) {
        found.push(Effect::Unknown("statements that a stored routine makes up"));
        cursor.advance();
    } else if cursor.at_any_word(&["XA", "HANDLER", "FLUSH"])
        && cursor.peek_at(1).kind == TokenKind::Word
    {
        // HANDLER FOR declares what is done after an error.
        if !cursor.word_at(1, "FOR") {
            found.push(Effect::Unknown("XA, HANDLER or FLUSH in a stored routine"));
        }
        cursor.advance();
    } else {
        cursor.advance();
    }
}

/// The targets of SELECT .. INTO and FETCH .. INTO, or a table's name.
fn into(cursor: &mut Cursor<'_>, found: &mut Found) {
    loop {
        if cursor.peek().kind == TokenKind::UserVariable {
            variable(cursor, found);
            cursor.advance();
        } else if eat_name(cursor).is_none() {
            return;
        }
        if !cursor.eat_symbol(",") {
            return;
        }
    }
}

/// SET .. up to the semicolon.
fn assignments(cursor: &mut Cursor<'_>, mode: LexMode, found: &mut Found) {
    let start = cursor.start() as usize;
    let mut begins = false;
    while !cursor.at_end() && !cursor.at_symbol(";") {
        let assigns = begins && cursor.symbol_at(1, "=") || cursor.symbol_at(1, ":=");
        if assigns && cursor.peek().kind == TokenKind::UserVariable {
            variable(cursor, found);
        }
        begins = cursor.at_word("SET") || cursor.at_symbol(",");
        if !called(cursor, found) {
            cursor.advance();
        }
    }
    let text = &cursor.text[start..cursor.previous_end() as usize];
    let mut scan = Scan::new();
    let parsed = scan
        .run(text, mode)
        .ok()
        .and_then(|()| Cursor::new(text, mode, &scan).ok())
        .and_then(|mut inner| set::parse(&mut inner).ok());
    let Some(parsed) = parsed else { return found.push(UNREAD_SET) };
    for item in parsed.items {
        match item {
            SetItem::System { scope: Scope::Unscoped, name, .. }
                if matches!(
                    system_variable::modern_name(&name),
                    "transaction_isolation" | "transaction_read_only"
                ) =>
            {
                found.push(Effect::NextTransaction);
            }
            SetItem::System { scope: Scope::Session | Scope::Unscoped, name, .. } => {
                let name = system_variable::modern_name(&name);
                if system_variable::keeping(name).is_some() {
                    found.push(Effect::SystemVariable(name.to_owned()));
                }
            }
            SetItem::System { scope: Scope::Global, .. }
            | SetItem::Transaction { scope: Scope::Global, .. } => {
                found.push(Effect::GlobalVariable);
            }
            SetItem::System { .. } | SetItem::User { .. } => {}
            SetItem::Names { .. } | SetItem::CharacterSet(_) => {
                for name in CHARSETS {
                    found.push(Effect::SystemVariable((*name).to_owned()));
                }
            }
            SetItem::Transaction { scope: Scope::Unscoped, .. } => {
                found.push(Effect::NextTransaction);
            }
            SetItem::Transaction { .. } => {
                for name in ["transaction_isolation", "transaction_read_only"] {
                    found.push(Effect::SystemVariable(name.to_owned()));
                }
            }
            SetItem::CanaryPercent(_) | SetItem::Other(_) => found.push(UNREAD_SET),
        }
    }
}

/// Words that a statement follows.
const STARTS: &[&str] = &["ATOMIC", "BEGIN", "DO", "ELSE", "LOOP", "REPEAT", "THEN"];

const UNREAD: Effect = Effect::Unknown("a stored program that cannot be read");

const UNREAD_SET: Effect = Effect::Unknown("a SET in a stored routine");

/// What SET NAMES sets.
const CHARSETS: &[&str] =
    &["character_set_client", "character_set_results", "collation_connection"];
