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

/// The words of each keyword, from which both the search and its first glance are made.
macro_rules! keywords {
    ($($keyword:ident: $($word:literal)|+;)+) => {
        const WORDS: &[&[u8]] = &[$($($word),+),+];

        impl Keyword {
            #[inline]
            pub(super) fn of(word: &[u8]) -> Option<Self> {
                if !may_be_keyword(word) {
                    return None;
                }
                if word.len() > SHORT_MAX {
                    return Self::of_long(word);
                }
                let number = short(word);
                let is = |known: u64, word: &[u8]| word.len() <= SHORT_MAX && known == number;
                $(if $(is(const { short($word) }, $word))||+ {
                    return Some(Self::$keyword);
                })+
                None
            }

            fn of_long(word: &[u8]) -> Option<Self> {
                $(if $($word.len() > SHORT_MAX && word.eq_ignore_ascii_case($word))||+ {
                    return Some(Self::$keyword);
                })+
                None
            }
        }
    };
}

keywords! {
    By: b"by";
    As: b"as" | b"collate";
    In: b"in";
    For: b"for";
    From: b"from";
    Lock: b"lock";
    Into: b"into";
    Next: b"next";
    Previous: b"previous";
    EndsBy: b"rows" | b"limit" | b"range" | b"select" | b"having";
    UpdateOrShare: b"update" | b"share";
    Value: b"value" | b"values";
    File: b"outfile" | b"dumpfile";
    Database: b"schema" | b"database";
    View: b"view";
    StoredProgram: b"event" | b"trigger" | b"package" | b"function" | b"procedure";
    Temporary: b"temporary";
    CurrentUser: b"current_user" | b"current_role";
    CalcFoundRows: b"sql_calc_found_rows";
}

/// Whether a keyword is as long and begins with the same letter: few other words do.
#[inline]
fn may_be_keyword(word: &[u8]) -> bool {
    let letters = FIRST_LETTERS.get(word.len()).copied().unwrap_or(0);
    letters >> (word[0] & 31) & 1 != 0
}

/// For each length the first letters of keywords, bit 1 for `a`.
const FIRST_LETTERS: [u32; 20] = {
    let (mut letters, mut at) = ([0; 20], 0);
    while at < WORDS.len() {
        letters[WORDS[at].len()] |= 1 << (WORDS[at][0] & 31);
        at += 1;
    }
    letters
};

/// The longest word that [`short`] takes.
pub(super) const SHORT_MAX: usize = 8;

/// A word of at most eight bytes as a number, the same for letters of either case. Two words have
/// the same number only if they are the same but for case, as far as they consist of letters.
#[inline]
pub(super) const fn short(word: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < word.len() {
        number = number << 8 | (word[at] | 0x20) as u64;
        at += 1;
    }
    number
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_either_case() {
        for word in WORDS {
            let upper = word.to_ascii_uppercase();
            assert!(Keyword::of(word).is_some(), "{}", word.escape_ascii());
            assert_eq!(Keyword::of(&upper), Keyword::of(word), "{}", word.escape_ascii());
            for other in [[word, &b"s_"[..]].concat(), [b"_", &word[1..]].concat()] {
                assert_eq!(Keyword::of(&other), None, "{}", other.escape_ascii());
            }
        }
        assert_eq!(Keyword::of(b"sQl_CaLc_FoUnD_rOwS"), Some(Keyword::CalcFoundRows));
        assert_eq!(Keyword::of(b"b\xd9"), None);
    }
}
