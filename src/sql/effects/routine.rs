//! What a stored routine may leave behind, from the text that SHOW CREATE gives of it.

use super::{Effect, eat_called, eat_name, function, temporary_name};
use crate::sql::control::set::{self, Scope, SetItem};
use crate::sql::cursor::Cursor;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::system_variable;
use crate::sql::token::TokenKind;

/// What running the routine may leave behind. `text` is its CREATE statement.
pub fn effects_of_routine(text: &[u8], mode: LexMode) -> Vec<Effect> {
    let mut scan = Scan::new();
    if scan.run(text, mode).is_err() {
        return vec![Effect::Unknown("a stored routine that cannot be read")];
    }
    let Ok(mut cursor) = Cursor::new(text, mode, &scan) else {
        return vec![Effect::Unknown("a stored routine that cannot be read")];
    };
    let mut found = Vec::new();
    let mut begins = false;
    // Whether a SET can be the body by itself.
    let mut is_head = true;
    // The routine's own name and parameters.
    while !cursor.at_end() && !cursor.at_symbol("(") {
        cursor.advance();
    }
    let _ = cursor.skip_parentheses();
    while !cursor.at_end() {
        let token = cursor.peek();
        let at_start = std::mem::replace(&mut begins, false);
        match token.kind {
            TokenKind::UserVariable => {
                let name = set::user_variable_name(cursor.bytes(token));
                push(&mut found, Effect::UserVariable(name));
            }
            TokenKind::Symbol if cursor.at_symbol(";") || cursor.at_symbol(":") => begins = true,
            TokenKind::Word | TokenKind::QuotedIdentifier => {
                if let Some(name) = eat_called(&mut cursor) {
                    function(&cursor, name, 0, &mut found);
                    continue;
                }
                begins = cursor.at_any_word(&["BEGIN", "THEN", "ELSE", "DO", "LOOP", "REPEAT"]);
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
    for effect in &mut found {
        if matches!(effect, Effect::NamedLock(_) | Effect::NamedLockOfParameter(_)) {
            *effect = Effect::UnknownLocks;
        }
    }
    found
}

fn push(found: &mut Vec<Effect>, effect: Effect) {
    if !found.contains(&effect) {
        found.push(effect);
    }
}

/// A word of the body; moves over it.
fn word(cursor: &mut Cursor<'_>, found: &mut Vec<Effect>) {
    if cursor.eat_word("CALL") {
        let effect = eat_name(cursor).map_or(super::UNREAD, Effect::Procedure);
        push(found, effect);
    } else if cursor.eat_word("TEMPORARY") {
        // DROP TEMPORARY is found too, and does no harm: the table is looked for afterwards.
        if let Some(name) = temporary_name(cursor) {
            push(found, Effect::TemporaryTable(name));
        }
    } else if cursor.at_any_word(&["PREPARE", "EXECUTE"]) {
        push(found, Effect::Unknown("statements that a stored routine makes up"));
        cursor.advance();
    } else if cursor.at_any_word(&["XA", "HANDLER", "FLUSH"])
        && cursor.peek_at(1).kind == TokenKind::Word
    {
        // HANDLER FOR declares what is done after an error.
        if !cursor.word_at(1, "FOR") {
            push(found, Effect::Unknown("XA, HANDLER or FLUSH in a stored routine"));
        }
        cursor.advance();
    } else {
        cursor.advance();
    }
}

/// SET .. up to the semicolon.
fn assignments(cursor: &mut Cursor<'_>, mode: LexMode, found: &mut Vec<Effect>) {
    let start = cursor.start() as usize;
    while !cursor.at_end() && !cursor.at_symbol(";") {
        let token = cursor.peek();
        if token.kind == TokenKind::UserVariable {
            let name = set::user_variable_name(cursor.bytes(token));
            push(found, Effect::UserVariable(name));
        }
        match eat_called(cursor) {
            Some(name) => function(cursor, name, 0, found),
            None => {
                cursor.advance();
            }
        }
    }
    let text = &cursor.text[start..cursor.previous_end() as usize];
    let mut scan = Scan::new();
    let parsed = scan
        .run(text, mode)
        .ok()
        .and_then(|()| Cursor::new(text, mode, &scan).ok())
        .and_then(|mut inner| set::parse(&mut inner).ok());
    let Some(parsed) = parsed else { return push(found, UNREAD_SET) };
    for item in parsed.items {
        match item {
            SetItem::System { scope: Scope::Session | Scope::Unscoped, name, .. } => {
                let name = system_variable::modern_name(&name);
                if system_variable::keeping(name).is_some() {
                    push(found, Effect::SystemVariable(name.to_owned()));
                }
            }
            SetItem::System { .. } | SetItem::User { .. } => {}
            SetItem::Names { .. } | SetItem::CharacterSet(_) => {
                for name in CHARSETS {
                    push(found, Effect::SystemVariable((*name).to_owned()));
                }
            }
            SetItem::Transaction { .. } => {
                for name in ["transaction_isolation", "transaction_read_only"] {
                    push(found, Effect::SystemVariable(name.to_owned()));
                }
            }
            SetItem::CanaryPercent(_) | SetItem::Other(_) => push(found, UNREAD_SET),
        }
    }
}

const UNREAD_SET: Effect = Effect::Unknown("a SET in a stored routine");

/// What SET NAMES sets.
const CHARSETS: &[&str] =
    &["character_set_client", "character_set_results", "collation_connection"];
