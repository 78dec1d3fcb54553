//! The tokens of MySQL's SQL, and why text cannot be split into them.

use super::ast::Span;

/// A token: what it is and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Token {
    /// Its bytes in `text`, the text it was read from.
    pub fn text<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// Its span.
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// What a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in backquotes, or in double quotes under ANSI_QUOTES.
    QuotedIdentifier,
    /// `_utf8mb4` and the like: the charset of the literal that follows.
    Introducer,
    /// `'..'` or `".."`.
    String,
    /// `N'..'`.
    NationalString,
    /// `x'..'` or `0x..`.
    Hex,
    /// `b'..'` or `0b..`.
    Bit,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// `?`, or `:name` as Vitess writes bind variables.
    Placeholder,
    /// `@name`.
    UserVariable,
    /// `@@name`, with its scope.
    SystemVariable,
    /// An operator or punctuation, one to three bytes.
    Symbol,
    /// A comment without meaning.
    Comment,
    /// `/*+ .. */`: for the server's optimiser.
    OptimizerHint,
    /// `/*vt+ .. */`: for the proxy.
    Directive,
    /// `/*!` or `/*!40101`: what follows is code on every server of our time.
    VersionOpen,
    /// `/*!80000`, `/*M!`: what follows is code on some servers and a comment on others.
    ServerSpecificOpen,
    /// `*/` after one of the two.
    VersionClose,
    /// The end of the text.
    End,
}

/// Text that is no sequence of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct LexError {
    /// What is wrong.
    pub problem: LexProblem,
    /// Where the token in question begins.
    pub offset: u32,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexProblem {
    /// No closing quote.
    #[error("unterminated string")]
    UnterminatedString,
    /// No closing backquote.
    #[error("unterminated quoted identifier")]
    UnterminatedIdentifier,
    /// No `*/`.
    #[error("unterminated comment")]
    UnterminatedComment,
    /// `x'1'` or `b'2'`.
    #[error("malformed hexadecimal or bit literal")]
    MalformedLiteral,
    /// A byte that begins no token.
    #[error("illegal byte")]
    IllegalByte,
    /// Text of 4 GiB or more.
    #[error("statement too long")]
    TooLong,
    /// Parentheses nested deeper than 60.
    #[error("parentheses nested too deeply")]
    TooDeep,
}
