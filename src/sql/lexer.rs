//! The tokeniser: bytes to tokens, as MySQL's own does (`sql/sql_lex.cc`), in any client charset.
//!
//! It allocates nothing, never assumes UTF-8, and knows no keywords: whether a word is a keyword
//! depends on where it stands, which is the reader's business.

use memchr::{memchr, memchr2, memmem};

use super::byte_class::{self, SPACE, WORD, WORD_START};
use super::charset::is_charset;
use super::mode::{Backslash, DoubleQuote, LexMode, VersionComment};
use super::steps::step;
use super::token::{LexError, LexProblem, Token, TokenKind};

/// Splits a statement text into tokens, comments included.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    mode: LexMode,
    class: &'static [u8; 256],
    at: usize,
    in_version_comment: bool,
    /// Where the next comment ends, as far as it was looked for: no other end is before it.
    next_close: usize,
    /// End of the last token if that was an identifier: `a.5` has a column `5`, `.5` is a number.
    identifier_end: usize,
    /// The next token is the name after a dot, so digits do not make a number.
    after_dot: bool,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a [u8], mode: LexMode) -> Self {
        Self::starting_at(text, mode, 0)
    }

    /// A lexer at byte `at` of `text`, which must be the start of a token or of space.
    pub fn starting_at(text: &'a [u8], mode: LexMode, at: u32) -> Self {
        Self {
            text,
            mode,
            class: byte_class::of(mode.charset),
            at: at as usize,
            in_version_comment: false,
            next_close: 0,
            identifier_end: usize::MAX,
            after_dot: false,
        }
    }

    /// The next token; [`TokenKind::End`] at the end, as often as it is asked.
    pub fn token(&mut self) -> Result<Token, LexError> {
        self.next_token()
    }

    /// The same, for the one loop that most texts go through.
    #[expect(clippy::inline_always, reason = "a call costs as much as most tokens")]
    #[inline(always)]
    pub(super) fn next_token(&mut self) -> Result<Token, LexError> {
        step();
        while let Some(byte) = self.text.get(self.at)
            && self.class[*byte as usize] & SPACE != 0
        {
            self.at += 1;
        }
        let start = self.at;
        let Some(&byte) = self.text.get(start) else {
            return self.end_of_text(start);
        };
        let kind = if self.class[byte as usize] & WORD_START != 0 {
            self.word(start)?
        } else {
            match byte {
                b'0'..=b'9' => self.number(start),
                b'\'' => self.string(start + 1, b'\'', start)?,
                b'"' if self.mode.double_quote == DoubleQuote::String => {
                    self.string(start + 1, b'"', start)?
                }
                b'`' | b'"' => self.quoted_identifier(start, byte)?,
                b'?' => self.emit(1, TokenKind::Placeholder),
                b'@' => self.variable(start)?,
                b'.' => self.dot(start),
                b'#' => self.line_comment(),
                b'-' if self.is_dash_comment(start) => self.line_comment(),
                b'/' if self.byte(start + 1) == b'*' => self.block_comment(start)?,
                b'*' if self.in_version_comment && self.byte(start + 1) == b'/' => {
                    self.in_version_comment = false;
                    self.emit(2, TokenKind::VersionClose)
                }
                0 if self.text[start..].iter().all(|b| *b == 0) => {
                    self.at = self.text.len();
                    return self.end_of_text(start);
                }
                _ => self.symbol(start, byte)?,
            }
        };
        if matches!(kind, TokenKind::Word | TokenKind::QuotedIdentifier) {
            self.identifier_end = self.at;
        }
        self.after_dot = kind == TokenKind::Symbol && byte == b'.';
        Ok(Token { kind, start: start as u32, end: self.at as u32 })
    }

    /// The byte at `at`, 0 beyond the end.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn emit(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.at += length;
        kind
    }

    fn end_of_text(&self, start: usize) -> Result<Token, LexError> {
        if self.in_version_comment {
            return Err(error(LexProblem::UnterminatedComment, start));
        }
        if self.text.len() > u32::MAX as usize {
            return Err(error(LexProblem::TooLong, 0));
        }
        Ok(Token { kind: TokenKind::End, start: start as u32, end: start as u32 })
    }

    /// The end of the run of word bytes that begins at `at`.
    #[inline]
    fn word_end(&self, at: usize) -> usize {
        if self.mode.charset.has_pairs() {
            return self.word_end_with_pairs(at);
        }
        let rest = self.text.get(at..).unwrap_or_default();
        let is_other = |byte: &u8| self.class[*byte as usize] & WORD == 0;
        at + rest.iter().position(is_other).unwrap_or(rest.len())
    }

    #[cold]
    fn word_end_with_pairs(&self, mut at: usize) -> usize {
        loop {
            let byte = self.byte(at);
            if self.class[byte as usize] & WORD == 0 {
                return at;
            }
            at += if self.mode.charset.is_pair(byte, self.byte(at + 1)) { 2 } else { 1 };
        }
    }

    #[inline]
    fn word(&mut self, start: usize) -> Result<TokenKind, LexError> {
        let end = self.word_end(start);
        self.at = end;
        let after = self.byte(end);
        if after == b'\'' && end == start + 1 && !self.after_dot {
            match self.text[start] {
                b'n' | b'N' => {
                    self.string(end + 1, b'\'', start)?;
                    return Ok(TokenKind::NationalString);
                }
                b'x' | b'X' => return self.quoted_digits(start, TokenKind::Hex),
                b'b' | b'B' => return self.quoted_digits(start, TokenKind::Bit),
                _ => {}
            }
        }
        if self.text[start] == b'_' && !self.after_dot && self.is_introducer(start + 1, end) {
            return Ok(TokenKind::Introducer);
        }
        Ok(TokenKind::Word)
    }

    fn is_introducer(&self, start: usize, end: usize) -> bool {
        end - start <= 8 && is_charset(&self.text[start..end].to_ascii_lowercase())
    }

    /// `x'..'` and `b'..'`; `start` is at the letter.
    fn quoted_digits(&mut self, start: usize, kind: TokenKind) -> Result<TokenKind, LexError> {
        let body = start + 2;
        let Some(length) = memchr(b'\'', &self.text[body..]) else {
            return Err(error(LexProblem::UnterminatedString, start));
        };
        let digits = &self.text[body..body + length];
        let fine = match kind {
            TokenKind::Hex => digits.iter().all(u8::is_ascii_hexdigit) && length.is_multiple_of(2),
            _ => digits.iter().all(|b| matches!(b, b'0' | b'1')),
        };
        if !fine {
            return Err(error(LexProblem::MalformedLiteral, start));
        }
        self.at = body + length + 1;
        Ok(kind)
    }

    /// A string whose first byte after the quote is at `at`; moves behind the closing quote.
    fn string(&mut self, at: usize, quote: u8, start: usize) -> Result<TokenKind, LexError> {
        let unterminated = error(LexProblem::UnterminatedString, start);
        if self.mode.charset.has_pairs() {
            return self.multibyte_string(at, quote).ok_or(unterminated);
        }
        let mut at = at;
        loop {
            let rest = self.text.get(at..).ok_or(unterminated)?;
            let found = match self.mode.backslash {
                Backslash::Escape => memchr2(quote, b'\\', rest),
                Backslash::Literal => memchr(quote, rest),
            };
            at += found.ok_or(unterminated)?;
            if self.text[at] == b'\\' || self.byte(at + 1) == quote {
                at += 2;
            } else {
                self.at = at + 1;
                return Ok(TokenKind::String);
            }
        }
    }

    fn multibyte_string(&mut self, mut at: usize, quote: u8) -> Option<TokenKind> {
        loop {
            let byte = *self.text.get(at)?;
            if self.mode.charset.is_pair(byte, self.byte(at + 1))
                || (byte == b'\\' && self.mode.backslash == Backslash::Escape)
                || (byte == quote && self.byte(at + 1) == quote)
            {
                at += 2;
            } else if byte == quote {
                self.at = at + 1;
                return Some(TokenKind::String);
            } else {
                at += 1;
            }
        }
    }

    fn quoted_identifier(&mut self, start: usize, quote: u8) -> Result<TokenKind, LexError> {
        let mut at = start + 1;
        loop {
            match self.text.get(at) {
                None => return Err(error(LexProblem::UnterminatedIdentifier, start)),
                Some(byte) if *byte == quote => {
                    if self.byte(at + 1) != quote {
                        break;
                    }
                    at += 2;
                }
                Some(byte) if self.mode.charset.is_pair(*byte, self.byte(at + 1)) => at += 2,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(TokenKind::QuotedIdentifier)
    }

    /// A number, or an identifier that begins with digits.
    fn number(&mut self, start: usize) -> TokenKind {
        let run = self.word_end(start);
        if self.after_dot {
            self.at = run;
            return TokenKind::Word;
        }
        let word = &self.text[start..run];
        if word.len() > 2 && word[0] == b'0' {
            let digits = &word[2..];
            if word[1] == b'x' && digits.iter().all(u8::is_ascii_hexdigit) {
                self.at = run;
                return TokenKind::Hex;
            }
            if word[1] == b'b' && digits.iter().all(|b| matches!(b, b'0' | b'1')) {
                self.at = run;
                return TokenKind::Bit;
            }
        }
        let digits = self.digits_end(start);
        if digits == run {
            if self.byte(run) == b'.' {
                return self.fraction(run + 1);
            }
            self.at = run;
            return TokenKind::Integer;
        }
        if let Some(end) = self.exponent_end(digits) {
            self.at = end;
            return TokenKind::Float;
        }
        self.at = run;
        TokenKind::Word
    }

    /// The part of a number after its point, which ends before `at`.
    fn fraction(&mut self, at: usize) -> TokenKind {
        let digits = self.digits_end(at);
        match self.exponent_end(digits) {
            Some(end) => {
                self.at = end;
                TokenKind::Float
            }
            None => {
                self.at = digits;
                TokenKind::Decimal
            }
        }
    }

    fn digits_end(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    /// The end of `e5`, `E+5` or `e-5` at `at`.
    fn exponent_end(&self, at: usize) -> Option<usize> {
        if !matches!(self.byte(at), b'e' | b'E') {
            return None;
        }
        let digits = at + if matches!(self.byte(at + 1), b'+' | b'-') { 2 } else { 1 };
        let end = self.digits_end(digits);
        (end > digits).then_some(end)
    }

    fn dot(&mut self, start: usize) -> TokenKind {
        let follows_name = self.identifier_end == start;
        if !follows_name && self.byte(start + 1).is_ascii_digit() {
            return self.fraction(start + 1);
        }
        self.after_dot = true;
        self.emit(1, TokenKind::Symbol)
    }

    /// `@name`, `@'name'`, `@@scope.name`.
    fn variable(&mut self, start: usize) -> Result<TokenKind, LexError> {
        let system = self.byte(start + 1) == b'@';
        let mut at = start + if system { 2 } else { 1 };
        loop {
            match self.byte(at) {
                b'`' => {
                    self.quoted_identifier(at, b'`')?;
                    at = self.at;
                }
                quote @ (b'\'' | b'"') if !system => {
                    self.string(at + 1, quote, start)?;
                    at = self.at;
                    break;
                }
                _ => at = self.word_end(at),
            }
            // A user variable's name may contain dots; a system variable's dots separate names.
            if self.byte(at) != b'.' {
                break;
            }
            at += 1;
        }
        self.at = at;
        Ok(if system { TokenKind::SystemVariable } else { TokenKind::UserVariable })
    }

    fn is_dash_comment(&self, start: usize) -> bool {
        self.byte(start + 1) == b'-'
            && self
                .text
                .get(start + 2)
                .is_none_or(|b| *b <= b' ' || *b == 0x7f || self.class[*b as usize] & SPACE != 0)
    }

    fn line_comment(&mut self) -> TokenKind {
        let rest = &self.text[self.at..];
        self.at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        TokenKind::Comment
    }

    fn block_comment(&mut self, start: usize) -> Result<TokenKind, LexError> {
        let body = &self.text[start + 2..];
        let for_mariadb = body.starts_with(b"M!") || body.starts_with(b"m!");
        if (for_mariadb || body.first() == Some(&b'!'))
            && let Some(opened) = self.version_comment(start, for_mariadb)
        {
            self.in_version_comment = true;
            return Ok(opened);
        }
        let Some(length) = memmem::find(body, b"*/") else {
            return Err(error(LexProblem::UnterminatedComment, start));
        };
        self.at = start + 2 + length + 2;
        Ok(match body {
            [b'+', ..] => TokenKind::OptimizerHint,
            [b'v', b't', b'+', ..] => TokenKind::Directive,
            _ => TokenKind::Comment,
        })
    }

    /// `/*!40101` or `/*M!100100` up to the code in it; `None` if it is a plain comment.
    fn version_comment(&mut self, start: usize, for_mariadb: bool) -> Option<TokenKind> {
        let at = start + if for_mariadb { 4 } else { 3 };
        let digits = (self.digits_end(at) - at).min(6);
        let digits = if digits < 5 { 0 } else { digits };
        let text = &self.text[at..at + digits];
        let number = text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        let versions = self.mode.versions;
        let comment = match for_mariadb {
            // No server has this version; dumps of MariaDB begin with it.
            _ if number == 999_999 => VersionComment::Comment,
            true => versions.of_mariadb_comment(number),
            false => versions.of_comment(number, digits),
        };
        // One with another comment in it ends where the inner one does on some servers only.
        if self.next_close < at {
            let rest = &self.text[at..];
            self.next_close = at + memmem::find(rest, b"*/").unwrap_or(rest.len());
        }
        let nests = memmem::find(&self.text[at..self.next_close], b"/*").is_some();
        self.at = at + digits;
        match comment {
            VersionComment::Code => Some(TokenKind::VersionOpen),
            VersionComment::Comment if !nests => None,
            _ => Some(TokenKind::ServerSpecificOpen),
        }
    }

    #[inline]
    fn symbol(&mut self, start: usize, byte: u8) -> Result<TokenKind, LexError> {
        let second = self.byte(start + 1);
        let length = match (byte, second) {
            (b'<', b'=') if self.byte(start + 2) == b'>' => 3,
            (b'-', b'>') if self.byte(start + 2) == b'>' => 3,
            (b'<' | b'>' | b'!' | b':', b'=')
            | (b'<', b'>' | b'<')
            | (b'>' | b'-', b'>')
            | (b'&', b'&')
            | (b'|', b'|') => 2,
            (b':', next) if self.class[next as usize] & WORD_START != 0 => {
                if self.identifier_end != start {
                    self.at = self.word_end(start + 1);
                    return Ok(TokenKind::Placeholder);
                }
                1
            }
            (b'!'..=b'/' | b':'..=b'@' | b'['..=b'^' | b'{'..=b'~', _) => 1,
            _ => return Err(error(LexProblem::IllegalByte, start)),
        };
        Ok(self.emit(length, TokenKind::Symbol))
    }
}

fn error(problem: LexProblem, at: usize) -> LexError {
    LexError { problem, offset: at as u32 }
}
