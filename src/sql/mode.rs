//! What the session has set that moves the boundaries of tokens.
//!
//! Only settings that change where a string ends or what `"` means stand here; settings that
//! change the meaning of operators (PIPES_AS_CONCAT) are refused when they are set.

/// How to split text into tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LexMode {
    /// What double quotes enclose.
    pub double_quote: DoubleQuote,
    /// What a backslash in a string means.
    pub backslash: Backslash,
    /// The family of `character_set_client`.
    pub charset: CharsetClass,
    /// Who reads version comments.
    pub versions: Versions,
}

impl LexMode {
    /// The same with what `sql_mode` (a list of names) decides.
    #[must_use]
    pub fn with_sql_mode(self, sql_mode: &[u8]) -> Self {
        let mode = sql_mode.to_ascii_uppercase();
        let has = |flag: &[u8]| mode.windows(flag.len()).any(|window| window == flag);
        let double_quote = if has(b"ANSI") { DoubleQuote::Identifier } else { DoubleQuote::String };
        let literal = has(b"NO_BACKSLASH_ESCAPES");
        let backslash = if literal { Backslash::Literal } else { Backslash::Escape };
        Self { double_quote, backslash, ..self }
    }
}

/// The servers that read version comments (`/*!80000 .. */`), as far as they are known to read them
/// alike. A version is five or six digits: 80406 is 8.4.6, 101119 is 10.11.19.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Versions {
    /// Not known, or of both products.
    #[default]
    Unknown,
    /// MariaDB from this version on.
    MariaDb(u32),
    /// MySQL from this version on.
    MySql(u32),
}

/// What a version comment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionComment {
    /// Every server runs it.
    Code,
    /// Every server skips it.
    Comment,
    /// Some may run it.
    ServerSpecific,
}

impl Versions {
    /// How two servers read them, as far as they do it alike.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::MariaDb(a), Self::MariaDb(b)) => Self::MariaDb(a.min(b)),
            (Self::MySql(a), Self::MySql(b)) => Self::MySql(a.min(b)),
            _ => Self::Unknown,
        }
    }

    /// What `/*!` with this number, of so many digits, is. Both products have always run what is
    /// below 5.7; from there on five digits are MySQL's alone, and MariaDB, which counts from
    /// 10.0 in six, skips them.
    pub(crate) fn of_comment(self, number: u32, digits: usize) -> VersionComment {
        match self {
            _ if digits < 5 || digits == 5 && number < 50_700 => VersionComment::Code,
            Self::MariaDb(_) if digits == 5 => VersionComment::Comment,
            Self::MariaDb(version) if number <= version => VersionComment::Code,
            Self::MySql(version) if number <= version => VersionComment::Code,
            Self::MySql(_) if number >= 100_000 => VersionComment::Comment,
            _ => VersionComment::ServerSpecific,
        }
    }

    /// What `/*M!` with this number is; 0 is none.
    pub(crate) fn of_mariadb_comment(self, number: u32) -> VersionComment {
        match self {
            Self::MySql(_) => VersionComment::Comment,
            Self::MariaDb(version) if number <= version => VersionComment::Code,
            _ => VersionComment::ServerSpecific,
        }
    }
}

/// What double quotes enclose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DoubleQuote {
    /// A string, as MySQL does by default.
    #[default]
    String,
    /// An identifier (sql_mode ANSI_QUOTES).
    Identifier,
}

/// What a backslash in a string means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backslash {
    /// It escapes the next character.
    #[default]
    Escape,
    /// It is an ordinary character (sql_mode NO_BACKSLASH_ESCAPES).
    Literal,
}

/// What the client's character set changes in how bytes are read.
///
/// In three families the second byte of a character can look like a backslash or a backquote, so a
/// reader that does not know the charset would end a string at the wrong place. In others a byte
/// beyond ASCII is a space, or a punctuation mark of ASCII is a letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CharsetClass {
    /// ASCII bytes always mean themselves, the others are letters: utf8mb4, binary and many more.
    #[default]
    AsciiSafe,
    /// The byte A0 is a space: latin1, latin2, greek and others.
    SpaceA0,
    /// The byte FF is a space: cp852, cp866, keybcs2.
    SpaceFf,
    /// Brackets, braces, `^` and `~` are letters: swe7.
    Swe7,
    /// big5.
    Big5,
    /// gbk and gb18030.
    Gbk,
    /// sjis and cp932.
    Sjis,
}

impl CharsetClass {
    /// The class of a MySQL charset name (any letter case), `None` for charsets that cannot be
    /// a client's (ucs2, utf16, utf16le, utf32) or are unknown.
    pub fn of_charset(name: &[u8]) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        match lower.as_slice() {
            b"big5" => Some(Self::Big5),
            b"gbk" | b"gb18030" => Some(Self::Gbk),
            b"sjis" | b"cp932" => Some(Self::Sjis),
            b"ucs2" | b"utf16" | b"utf16le" | b"utf32" => None,
            b"latin1" | b"dec8" | b"latin2" | b"latin5" | b"latin7" | b"hebrew" | b"greek"
            | b"cp1250" | b"armscii8" | b"geostd8" => Some(Self::SpaceA0),
            b"cp852" | b"cp866" | b"keybcs2" => Some(Self::SpaceFf),
            b"swe7" => Some(Self::Swe7),
            _ if super::charset::is_charset(&lower) => Some(Self::AsciiSafe),
            _ => None,
        }
    }

    /// Whether some characters have a second byte that could be taken for another character.
    #[inline]
    pub(crate) fn has_pairs(self) -> bool {
        matches!(self, Self::Big5 | Self::Gbk | Self::Sjis)
    }

    /// Whether `lead` and `trail` together are one character of two bytes.
    pub(crate) fn is_pair(self, lead: u8, trail: u8) -> bool {
        match self {
            Self::AsciiSafe | Self::SpaceA0 | Self::SpaceFf | Self::Swe7 => false,
            Self::Big5 => matches!(lead, 0xa1..=0xf9) && matches!(trail, 0x40..=0x7e | 0xa1..=0xfe),
            Self::Gbk => matches!(lead, 0x81..=0xfe) && matches!(trail, 0x40..=0x7e | 0x80..=0xfe),
            Self::Sjis => {
                matches!(lead, 0x81..=0x9f | 0xe0..=0xfc)
                    && matches!(trail, 0x40..=0x7e | 0x80..=0xfc)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VersionComment::{Code, Comment, ServerSpecific};

    #[test]
    fn version_comments_are_read_as_the_servers_do() {
        let maria = Versions::MariaDb(101_119);
        let mysql = Versions::MySql(80_406);
        for (number, digits, of_unknown, of_maria, of_mysql) in [
            (0, 0, Code, Code, Code),
            (40_101, 5, Code, Code, Code),
            (50_717, 5, ServerSpecific, Comment, Code),
            (80_000, 5, ServerSpecific, Comment, Code),
            (90_000, 5, ServerSpecific, Comment, ServerSpecific),
            (100_100, 6, ServerSpecific, Code, Comment),
            (110_400, 6, ServerSpecific, ServerSpecific, Comment),
        ] {
            assert_eq!(Versions::Unknown.of_comment(number, digits), of_unknown, "{number}");
            assert_eq!(maria.of_comment(number, digits), of_maria, "{number}");
            assert_eq!(mysql.of_comment(number, digits), of_mysql, "{number}");
        }
        assert_eq!(maria.of_mariadb_comment(0), Code);
        assert_eq!(maria.of_mariadb_comment(110_400), ServerSpecific);
        assert_eq!(mysql.of_mariadb_comment(100_100), Comment);
        assert_eq!(maria.and(Versions::MariaDb(100_600)), Versions::MariaDb(100_600));
        assert_eq!(maria.and(mysql), Versions::Unknown);
    }
}
