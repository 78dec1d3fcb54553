//! The significant tokens of one statement, and a place in them: what parsers read from.

use std::cell::OnceCell;

use smallvec::SmallVec;

use super::ast::{HoleId, Ident, Span};
use super::lexer::Lexer;
use super::mode::LexMode;
use super::scan::{Hole, Scan};
use super::steps::step;
use super::token::{LexError, LexProblem, Token, TokenKind};

/// A statement as tokens without comments. The frames of version comments are left out too, so
/// that their content reads as code; a statement with a server-specific one must be refused first.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) mode: LexMode,
    tokens: SmallVec<[Significant; 24]>,
    holes: SmallVec<[Hole; 16]>,
    at: usize,
    /// For each token that opens a parenthesis, as soon as somebody asks.
    parentheses: OnceCell<Box<[Parenthesis]>>,
}

/// What an opening parenthesis stands before.
#[derive(Clone, Copy, Debug, Default)]
struct Parenthesis {
    /// The number of the token that closes it; 0 if none does.
    close: u32,
    /// The number of the first token in it that opens no other.
    inside: u32,
}

/// A token, and the number of the hole that it is.
#[derive(Clone, Copy, Debug)]
struct Significant {
    token: Token,
    hole: Option<HoleId>,
}

/// Whether a token is neither a comment nor the frame of one.
fn is_significant(kind: TokenKind) -> bool {
    !matches!(
        kind,
        TokenKind::Comment
            | TokenKind::OptimizerHint
            | TokenKind::Directive
            | TokenKind::VersionOpen
            | TokenKind::ServerSpecificOpen
            | TokenKind::VersionClose
    )
}

impl<'a> Cursor<'a> {
    /// At the first token of the statement that `scan` found in `text`.
    pub(crate) fn new(text: &'a [u8], mode: LexMode, scan: &Scan) -> Result<Self, LexError> {
        let Some(text) = text.get(..scan.end() as usize) else {
            // The scan failed, and so does this.
            return Err(Scan::new()
                .run(text, mode)
                .err()
                .unwrap_or(LexError { problem: LexProblem::IllegalByte, offset: 0 }));
        };
        let mut lexer = Lexer::new(text, mode);
        let mut tokens = SmallVec::new();
        let mut holes = scan.holes().iter().enumerate().peekable();
        loop {
            let token = lexer.token()?;
            if !is_significant(token.kind) {
                continue;
            }
            let hole = holes.next_if(|(_, hole)| hole.cut.start == token.start);
            let hole = hole.map(|(number, _)| number as HoleId);
            tokens.push(Significant { token, hole });
            if token.kind == TokenKind::End {
                let holes = scan.holes().iter().copied().collect();
                let parentheses = OnceCell::new();
                return Ok(Self { text, mode, tokens, holes, at: 0, parentheses });
            }
        }
    }

    /// At the first token of a text, whatever statements are in it, up to its first mistake.
    pub(crate) fn whole(text: &'a [u8], mode: LexMode) -> Self {
        let mut lexer = Lexer::new(text, mode);
        let mut tokens = SmallVec::new();
        let end = loop {
            match lexer.token() {
                Ok(token) if token.kind == TokenKind::End => break token,
                Ok(token) if is_significant(token.kind) => {
                    tokens.push(Significant { token, hole: None });
                }
                Ok(_) => {}
                Err(error) => {
                    let at = error.offset;
                    break Token { kind: TokenKind::End, start: at, end: at };
                }
            }
        };
        tokens.push(Significant { token: end, hole: None });
        let parentheses = OnceCell::new();
        Self { text, mode, tokens, holes: SmallVec::new(), at: 0, parentheses }
    }

    /// The current token.
    pub(crate) fn peek(&self) -> Token {
        step();
        self.tokens[self.at].token
    }

    /// The token `ahead` tokens after the current one.
    pub(crate) fn peek_at(&self, ahead: usize) -> Token {
        step();
        self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].token
    }

    /// The number of the hole that the current token is.
    pub(crate) fn peek_hole(&self) -> Option<HoleId> {
        self.tokens[self.at].hole
    }

    /// The hole of that number.
    pub(crate) fn hole(&self, number: HoleId) -> &Hole {
        &self.holes[number as usize]
    }

    /// Returns the current token and moves on, but never beyond the end.
    pub(crate) fn advance(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    /// Looks ahead from here, and comes back.
    pub(crate) fn look<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.at;
        let found = look(self);
        self.at = mark;
        found
    }

    /// Where the cursor is, for [`Cursor::reset`].
    pub(crate) fn mark(&self) -> usize {
        self.at
    }

    /// Back to a place that [`Cursor::mark`] gave.
    pub(crate) fn reset(&mut self, mark: usize) {
        self.at = mark;
    }

    /// Whether all tokens are read.
    pub(crate) fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Where the current token begins.
    pub(crate) fn start(&self) -> u32 {
        self.peek().start
    }

    /// Where the token before the current one ends.
    pub(crate) fn previous_end(&self) -> u32 {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].token.end)
    }

    /// From `start` to the end of the token before the current one.
    pub(crate) fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.previous_end().max(start) }
    }

    /// The bytes of a token.
    pub(crate) fn bytes(&self, token: Token) -> &'a [u8] {
        token.text(self.text)
    }

    /// Whether the current token is the unquoted word `word`.
    pub(crate) fn at_word(&self, word: &str) -> bool {
        self.word_at(0, word)
    }

    /// Whether the token `ahead` tokens on is the unquoted word `word`.
    pub(crate) fn word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == TokenKind::Word && self.bytes(token).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether the current token is one of `words`.
    pub(crate) fn at_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.at_word(word))
    }

    /// Moves over `word` if it is the current token.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.at += 1;
        }
        found
    }

    /// Whether the next tokens are `words`.
    pub(crate) fn at_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word_at(ahead, word))
    }

    /// Whether the current token is the last one.
    pub(crate) fn peek_is_last(&self) -> bool {
        self.peek_at(1).kind == TokenKind::End
    }

    /// Moves over `words` if they are the next tokens.
    pub(crate) fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.at_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// Whether the token `ahead` tokens on is the symbol `symbol`.
    pub(crate) fn symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == TokenKind::Symbol && self.bytes(token) == symbol.as_bytes()
    }

    /// Whether the current token is the symbol `symbol`.
    pub(crate) fn at_symbol(&self, symbol: &str) -> bool {
        self.symbol_at(0, symbol)
    }

    /// Moves over `symbol` if it is the current token.
    pub(crate) fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    /// Whether the token before the current one is a dot.
    pub(crate) fn follows_dot(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.tokens[at].token);
        before.is_some_and(|token| self.bytes(token) == b".")
    }

    /// The identifier that a word or a quoted identifier is, keyword or not.
    pub(crate) fn ident_of(&self, token: Token) -> Option<Ident> {
        let bytes = self.bytes(token);
        let text = match token.kind {
            TokenKind::Word => String::from_utf8_lossy(bytes).into_owned(),
            TokenKind::QuotedIdentifier => unquote(bytes),
            _ => return None,
        };
        Some(Ident { text, span: token.span() })
    }

    /// Moves over an identifier, keyword or not.
    pub(crate) fn eat_ident(&mut self) -> Option<Ident> {
        let ident = self.ident_of(self.peek())?;
        self.at += 1;
        Some(ident)
    }

    /// How far ahead the `)` is that closes the `(` which is `ahead` tokens on.
    pub(crate) fn closing(&self, ahead: usize) -> Option<usize> {
        let close = self.parenthesis(ahead).close as usize;
        (close > 0).then(|| close - self.at)
    }

    /// How far ahead the first token is that is no `(`, if the current one is one.
    pub(crate) fn behind_openings(&self) -> usize {
        (self.parenthesis(0).inside as usize).saturating_sub(self.at)
    }

    fn parenthesis(&self, ahead: usize) -> Parenthesis {
        let all = self.parentheses.get_or_init(|| self.pair_parentheses());
        all.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn pair_parentheses(&self) -> Box<[Parenthesis]> {
        let mut all = vec![Parenthesis::default(); self.tokens.len()].into_boxed_slice();
        let mut open = Vec::new();
        for (at, significant) in self.tokens.iter().enumerate() {
            step();
            if significant.token.kind != TokenKind::Symbol {
                continue;
            }
            match self.bytes(significant.token) {
                b"(" => open.push(at),
                b")" => {
                    if let Some(opened) = open.pop() {
                        all[opened].close = at as u32;
                    }
                }
                _ => {}
            }
        }
        let mut inside = self.tokens.len();
        for (at, significant) in self.tokens.iter().enumerate().rev() {
            let opens = significant.token.kind == TokenKind::Symbol
                && self.bytes(significant.token) == b"(";
            if opens {
                all[at].inside = inside as u32;
            } else {
                inside = at;
            }
        }
        all
    }

    /// Moves behind SET STATEMENT variable = value, .. FOR, to the statement.
    pub(crate) fn skip_own_settings(&mut self) {
        while !self.at_end() && !self.eat_word("FOR") {
            if !self.skip_parentheses() {
                self.advance();
            }
        }
    }

    /// Moves to the end of a balanced pair of parentheses, whose opening one is the current token.
    /// `false` if the closing one is missing.
    pub(crate) fn skip_parentheses(&mut self) -> bool {
        self.skip_parentheses_within(usize::MAX)
    }

    /// The same; also `false` if more tokens than `limit` are in them.
    pub(crate) fn skip_parentheses_within(&mut self, limit: usize) -> bool {
        let (mut depth, end) = (0u32, self.at.saturating_add(limit));
        while !self.at_end() && self.at < end {
            if self.at_symbol("(") {
                depth += 1;
            } else if self.at_symbol(")") {
                depth = depth.saturating_sub(1);
            }
            self.at += 1;
            if depth == 0 {
                return true;
            }
        }
        false
    }
}

/// The name in quotes, doubled quotes resolved.
fn unquote(quoted: &[u8]) -> String {
    let quote = quoted[0] as char;
    let body = String::from_utf8_lossy(&quoted[1..quoted.len() - 1]);
    body.replace(&format!("{quote}{quote}"), &quote.to_string())
}
