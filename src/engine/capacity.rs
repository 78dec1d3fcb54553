//! What a column keeps of a value that is stored. Without a strict `sql_mode`, or with IGNORE,
//! servers cut off what is too long and put `?` or zeros for what a column cannot hold; the row
//! would then lie where its value before that belongs. So it would with AUTO_INCREMENT's number in
//! the place of 0.

use crate::engine::literal::Unroutable;
use crate::error::{SqlError, catalog};
use crate::sql::value::Value;

/// What fits into a column as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The longest value.
    pub length: Length,
    /// The characters that its character set has.
    pub characters: Characters,
    /// What becomes of 0.
    pub zero: Zero,
}

/// What a column stores for 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// 0.
    #[default]
    Kept,
    /// Its server's next number; for a session: a column that its server numbers, as `sql_mode` has
    /// no `NO_AUTO_VALUE_ON_ZERO`.
    Numbered,
}

/// The longest value of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// It has none, or that is not known.
    #[default]
    Any,
    /// So many characters.
    Characters(usize),
    /// So many bytes.
    Bytes(usize),
}

/// The characters of a column's character set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Characters {
    /// Unicode, or it has no character set.
    #[default]
    All,
    /// Unicode up to U+FFFF: utf8mb3, ucs2.
    ThreeBytes,
    /// latin1, without those that its servers put in the place of controls.
    Latin1,
    /// No others are sure.
    Ascii,
}

impl Capacity {
    /// Why a column would store something else than this value, in a session with this `zero`.
    pub fn refuse(self, value: &Value<'_>, zero: Zero) -> Option<SqlError> {
        let numbered = self.zero == Zero::Numbered && zero == Zero::Numbered;
        if numbered && matches!(value, Value::Int(0) | Value::UInt(0)) {
            return Some(catalog::NUMBERED_ELSEWHERE.error());
        }
        let (Value::Text(bytes) | Value::Bytes(bytes)) = value else { return None };
        let text = || std::str::from_utf8(bytes).unwrap_or_default().chars();
        let fits = match self.length {
            Length::Any => true,
            Length::Bytes(most) => bytes.len() <= most,
            Length::Characters(most) => bytes.len() <= most || text().count() <= most,
        };
        if !fits {
            return Some(Unroutable::TOO_LONG.error());
        }
        let has = |character: char| match self.characters {
            Characters::All => true,
            Characters::ThreeBytes => u32::from(character) <= 0xffff,
            Characters::Latin1 => matches!(character, '\0'..='\u{7f}' | '\u{a0}'..='\u{ff}'),
            Characters::Ascii => character.is_ascii(),
        };
        let kept = self.characters == Characters::All || bytes.is_ascii() || text().all(has);
        if kept {
            return None;
        }
        Some(Unroutable::CHARACTERS.error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(length: Length, characters: Characters, text: &str) -> bool {
        let value = Value::Text(text.as_bytes().into());
        Capacity { length, characters, zero: Zero::Kept }.refuse(&value, Zero::Numbered).is_none()
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        for (length, text, expected) in [
            (Length::Characters(5), "abcde", true),
            (Length::Characters(5), "abcdef", false),
            (Length::Characters(5), "ééééé", true),
            (Length::Characters(5), "éééééé", false),
            (Length::Bytes(5), "éé", true),
            (Length::Bytes(5), "ééé", false),
            (Length::Any, "a text of any length", true),
        ] {
            assert_eq!(kept(length, Characters::All, text), expected, "{length:?} {text}");
        }
    }

    #[test]
    fn zero_is_not_kept_where_servers_number_rows() {
        let numbered = Capacity { zero: Zero::Numbered, ..Capacity::default() };
        let refused = numbered.refuse(&Value::Int(0), Zero::Numbered).expect("it is refused");
        assert_eq!(refused.id, Some("GG09055"));
        assert!(numbered.refuse(&Value::Int(0), Zero::Kept).is_none());
        assert!(numbered.refuse(&Value::Int(1), Zero::Numbered).is_none());
        assert!(Capacity::default().refuse(&Value::Int(0), Zero::Numbered).is_none());
    }

    #[test]
    fn characters_that_a_column_does_not_have_are_not_kept() {
        use Characters::{All, Ascii, Latin1, ThreeBytes};
        for (text, has, has_not) in [
            ("a", &[All, ThreeBytes, Latin1, Ascii][..], &[][..]),
            ("é", &[All, ThreeBytes, Latin1], &[Ascii]),
            ("\u{80}", &[All, ThreeBytes], &[Latin1, Ascii]),
            ("語", &[All, ThreeBytes], &[Latin1, Ascii]),
            ("🐘", &[All], &[ThreeBytes, Latin1, Ascii]),
        ] {
            assert!(has.iter().all(|own| kept(Length::Any, *own, text)), "{text}");
            assert!(!has_not.iter().any(|own| kept(Length::Any, *own, text)), "{text}");
        }
    }
}
