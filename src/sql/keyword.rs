//! The few words that the hot path must know, recognised by length and first letter.

use super::builtin::is_builtin;
use super::features::Features;

/// A word that changes how the scan reads what follows, or that is a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// BY.
    By,
    /// Words that cannot stand in an ORDER BY list, but after which `a, 1` may come.
    EndsBy,
    /// AS and COLLATE: a name follows.
    As,
    /// FOR.
    For,
    /// LOCK.
    Lock,
    /// INTO.
    Into,
    /// NEXT.
    Next,
    /// PREVIOUS.
    Previous,
    /// UPDATE, SHARE.
    UpdateOrShare,
    /// IN.
    In,
    /// OUTFILE, DUMPFILE.
    File,
    /// VALUE, VALUES.
    Value,
    /// SQL_CALC_FOUND_ROWS.
    CalcFoundRows,
    /// TEMPORARY.
    Temporary,
    /// CURRENT_USER and CURRENT_ROLE, which need no parentheses.
    CurrentUser,
    /// FROM.
    From,
    /// DATABASE, SCHEMA.
    Database,
    /// PROCEDURE, FUNCTION, TRIGGER, EVENT, PACKAGE.
    StoredProgram,
    /// VIEW.
    View,
}

impl Keyword {
    #[inline]
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let (name, keyword): (&[u8], Self) = match (word.len(), word[0] | 0x20) {
            (2, b'b') => (b"by", Self::By),
            (2, b'a') => (b"as", Self::As),
            (2, b'i') => (b"in", Self::In),
            (3, b'f') => (b"for", Self::For),
            (4, b'f') => (b"from", Self::From),
            (4, b'l') => (b"lock", Self::Lock),
            (4, b'i') => (b"into", Self::Into),
            (4, b'n') => (b"next", Self::Next),
            (4, b'r') => (b"rows", Self::EndsBy),
            (4, b'v') => (b"view", Self::View),
            (5, b'l') => (b"limit", Self::EndsBy),
            (5, b'r') => (b"range", Self::EndsBy),
            (5, b's') => (b"share", Self::UpdateOrShare),
            (5, b'v') => (b"value", Self::Value),
            (5, b'e') => (b"event", Self::StoredProgram),
            (6, b'u') => (b"update", Self::UpdateOrShare),
            (6, b's') if is(b"schema") => return Some(Self::Database),
            (6, b's') => (b"select", Self::EndsBy),
            (6, b'h') => (b"having", Self::EndsBy),
            (6, b'v') => (b"values", Self::Value),
            (7, b'c') => (b"collate", Self::As),
            (7, b'o') => (b"outfile", Self::File),
            (7, b't') => (b"trigger", Self::StoredProgram),
            (7, b'p') => (b"package", Self::StoredProgram),
            (8, b'p') => (b"previous", Self::Previous),
            (8, b'd') if is(b"database") => return Some(Self::Database),
            (8, b'd') => (b"dumpfile", Self::File),
            (8, b'f') => (b"function", Self::StoredProgram),
            (9, b't') => (b"temporary", Self::Temporary),
            (9, b'p') => (b"procedure", Self::StoredProgram),
            (12, b'c') if is(b"current_role") => return Some(Self::CurrentUser),
            (12, b'c') => (b"current_user", Self::CurrentUser),
            (19, b's') => (b"sql_calc_found_rows", Self::CalcFoundRows),
            _ => return None,
        };
        is(name).then_some(keyword)
    }
}

/// The feature that calling the function `name` is.
pub(super) fn function_feature(name: &[u8]) -> Features {
    let mut lower = [0u8; 20];
    if name.len() <= lower.len() {
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        let feature = match &lower[..name.len()] {
            b"last_insert_id" => Features::LAST_INSERT_ID,
            b"found_rows" => Features::FOUND_ROWS,
            b"row_count" => Features::ROW_COUNT,
            b"connection_id" => Features::CONNECTION_ID,
            b"database" | b"schema" => Features::DATABASE,
            b"user" | b"current_user" | b"session_user" | b"system_user" | b"current_role" => {
                Features::USER
            }
            b"get_lock" | b"release_lock" | b"release_all_locks" | b"is_free_lock"
            | b"is_used_lock" => Features::NAMED_LOCK,
            b"nextval" | b"setval" => Features::SEQUENCE,
            b"lastval" => Features::SEQUENCE.with(Features::LAST_VALUE),
            b"sleep" => Features::SLEEP,
            _ => Features::NONE,
        };
        if !feature.is_empty() {
            return feature;
        }
    }
    if is_builtin(name) { Features::NONE } else { Features::UNKNOWN_FUNCTION }
}
