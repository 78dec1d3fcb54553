//! Texts that the vindexes of primary weights and the servers' Unicode collations weigh alike.
//!
//! The vindexes have the weights of Unicode 6.2, the collations those of 4.0 (`unicode_ci`), 5.2
//! (`unicode_520_ci`), 9.0 (`0900`) and 14.0 (`uca1400`). Where a server's table makes a letter
//! equal to another, or ignores it, rows of equal texts would have several shards. So only
//! characters count that are equal to the same others in both, each asked of MariaDB 10.11; spaces
//! beside U+0020 and controls are none of them, because a server takes `a` and one of them at its
//! end for `a`.

use super::literal::UnicodeTable;

/// Whether every text that the collation calls equal to this one has its weights.
pub(super) fn weighs_alike(text: &str, table: UnicodeTable) -> bool {
    let mut base = ' ';
    text.chars().all(|character| {
        // A mark is ignored. Behind letters of other scripts some tables have weights for both.
        if matches!(character, '\u{300}'..='\u{34e}') {
            return base.is_alphabetic() && u32::from(base) < 0x300;
        }
        base = character;
        let otherwise = match table {
            // It has one weight for all beyond U+FFFF.
            UnicodeTable::First => character > '\u{ffff}',
            UnicodeTable::Near => false,
            UnicodeTable::Later => is_in(CHANGED, character),
        };
        !otherwise && is_in(KNOWN, character)
    })
}

fn is_in(ranges: &[(char, char)], character: char) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= character);
    behind > 0 && character <= ranges[behind - 1].1
}

/// Cyrillic letters with marks that later tables no longer tell from those without.
const CHANGED: &[(char, char)] = &[
    ('\u{403}', '\u{403}'),
    ('\u{407}', '\u{407}'),
    ('\u{40c}', '\u{40c}'),
    ('\u{40e}', '\u{40e}'),
    ('\u{453}', '\u{453}'),
    ('\u{457}', '\u{457}'),
    ('\u{45c}', '\u{45c}'),
    ('\u{45e}', '\u{45e}'),
    ('\u{476}', '\u{477}'),
    ('\u{4d0}', '\u{4d3}'),
    ('\u{4d6}', '\u{4d7}'),
    ('\u{4da}', '\u{4df}'),
    ('\u{4e2}', '\u{4e7}'),
    ('\u{4ea}', '\u{4f9}'),
];

/// First and last of those that are equal to the same others.
const KNOWN: &[(char, char)] = &[
    (' ', '~'),
    // Latin.
    ('\u{a1}', '\u{ac}'),
    ('\u{ae}', '\u{13e}'),
    ('\u{141}', '\u{24f}'),
    // Greek.
    ('\u{384}', '\u{386}'),
    ('\u{388}', '\u{38a}'),
    ('\u{38c}', '\u{38c}'),
    ('\u{38e}', '\u{3a1}'),
    ('\u{3a3}', '\u{3ce}'),
    // Cyrillic.
    ('\u{400}', '\u{482}'),
    ('\u{48a}', '\u{4f9}'),
    // Armenian, Hebrew, Arabic.
    ('\u{531}', '\u{556}'),
    ('\u{561}', '\u{587}'),
    ('\u{5d0}', '\u{5ea}'),
    ('\u{621}', '\u{63a}'),
    ('\u{641}', '\u{64a}'),
    ('\u{671}', '\u{674}'),
    ('\u{679}', '\u{6d3}'),
    // More Latin and Greek.
    ('\u{1e00}', '\u{1e9b}'),
    ('\u{1ea0}', '\u{1ef9}'),
    // Punctuation, currencies, arrows, signs.
    ('\u{2010}', '\u{2027}'),
    ('\u{2030}', '\u{2052}'),
    ('\u{20a0}', '\u{20a7}'),
    ('\u{20a9}', '\u{20b1}'),
    ('\u{2116}', '\u{2116}'),
    ('\u{2122}', '\u{2122}'),
    ('\u{2190}', '\u{23cf}'),
    ('\u{2500}', '\u{2617}'),
    // Japanese, Korean and Chinese.
    ('\u{3001}', '\u{3003}'),
    ('\u{3005}', '\u{3006}'),
    ('\u{3008}', '\u{301f}'),
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30ff}'),
    ('\u{4e00}', '\u{9fa5}'),
    ('\u{ac00}', '\u{d7a3}'),
    ('\u{ff01}', '\u{ff5e}'),
    // Ideographs and pictures.
    ('\u{1f300}', '\u{1f64f}'),
    ('\u{1f680}', '\u{1f6c5}'),
    ('\u{20000}', '\u{2a6d6}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [UnicodeTable; 3] = [UnicodeTable::First, UnicodeTable::Near, UnicodeTable::Later];

    #[test]
    fn text_of_known_letters_is_weighed_alike() {
        for text in [
            "",
            "a",
            "Straße 5",
            "cafe\u{301}",
            "Ærø",
            "ΟΔΟΣ",
            "ёлка",
            "йод",
            "東京",
            "서울",
            "a ",
            "“a”…",
        ] {
            assert!(ALL.iter().all(|table| weighs_alike(text, *table)), "{text}");
        }
    }

    #[test]
    fn what_some_tables_ignore_or_take_for_others_is_not() {
        for text in [
            "a\u{a0}",
            "\u{a0}",
            "a\u{3000}",
            "a \u{301}",
            "\u{301}",
            "a\0",
            "a \u{1}",
            "a\t",
            "a\u{200b}",
            "so\u{ad}ft",
            "и\u{306}",
            "\u{a79a}",
            "\u{10d0}",
            "\u{1df2}",
            "\u{1cd3}",
            "\u{13f}",
        ] {
            assert!(
                !ALL.iter().any(|table| weighs_alike(text, *table)),
                "{}",
                text.escape_unicode()
            );
        }
    }

    #[test]
    fn tables_differ() {
        for (text, alike) in [("🐘", [false, true, true]), ("їжак", [true, true, false])] {
            assert_eq!(ALL.map(|table| weighs_alike(text, table)), alike, "{text}");
        }
        for ranges in [KNOWN, CHANGED] {
            assert!(ranges.is_sorted_by(|a, b| a.1 < b.0));
        }
    }
}
