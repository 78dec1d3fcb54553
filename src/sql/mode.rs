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

/// Which bytes of a client character set can be the second half of a character.
///
/// In three families the second byte can look like a backslash or a backquote, so a reader that
/// does not know the charset would end a string at the wrong place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CharsetClass {
    /// ASCII bytes always mean themselves: utf8mb4, latin1, binary and nearly all others.
    #[default]
    AsciiSafe,
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
            _ if super::charset::is_charset(&lower) => Some(Self::AsciiSafe),
            _ => None,
        }
    }

    /// Whether `lead` and `trail` together are one character of two bytes.
    pub(crate) fn is_pair(self, lead: u8, trail: u8) -> bool {
        match self {
            Self::AsciiSafe => false,
            Self::Big5 => matches!(lead, 0xa1..=0xf9) && matches!(trail, 0x40..=0x7e | 0xa1..=0xfe),
            Self::Gbk => matches!(lead, 0x81..=0xfe) && matches!(trail, 0x40..=0x7e | 0x80..=0xfe),
            Self::Sjis => {
                matches!(lead, 0x81..=0x9f | 0xe0..=0xfc)
                    && matches!(trail, 0x40..=0x7e | 0x80..=0xfc)
            }
        }
    }
}
