//! One pass over a statement for the hot path: kind, cache key, literal positions, features.
//!
//! The *skeleton* is the text with every literal, placeholder and plain comment replaced by a
//! two-byte marker (0 and the kind of literal); all else stays byte for byte. Texts with the same
//! skeleton have the same syntax tree, so a plan found under a skeleton fits each of them.
//! Four sorts of literal are no holes, because the tree depends on their value: whole numbers
//! that are elements of ORDER BY and GROUP BY (`ORDER BY 2` names a column), strings after AS
//! and COLLATE (names), and what stands in brackets (`ks[40-80].t` names shards).

use smallvec::SmallVec;

use super::compound::Compound;
use super::features::Features;
use super::keyword::{Keyword, function_feature};
use super::lexer::Lexer;
use super::mode::LexMode;
use super::statement_kind::StatementKind;
use super::token::{LexError, Token, TokenKind};

/// What one pass over a statement finds. Meant to be reused: it then allocates nothing for
/// statements no larger than those before.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    pub(super) skeleton: Vec<u8>,
    pub(super) holes: SmallVec<[Hole; 16]>,
    pub(super) comments: SmallVec<[Cut; 2]>,
    kind: StatementKind,
    features: Features,
    end: u32,
    is_program: bool,
    has_own_settings: bool,
}

/// A piece of text that is not in the skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// First byte in the text.
    pub start: u32,
    /// One past the last byte in the text.
    pub end: u32,
    /// Where its marker begins in the skeleton.
    pub(super) marker: u32,
}

/// A literal or placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What it is.
    pub kind: HoleKind,
    /// Where it is. A sign before a number and an introducer before a string do not belong to it.
    pub cut: Cut,
}

/// The kind of a [`Hole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HoleKind {
    /// Digits.
    Int = b'i',
    /// Digits with a point.
    Decimal = b'd',
    /// A number with an exponent.
    Float = b'f',
    /// A string.
    String = b's',
    /// `N'..'`.
    NationalString = b'n',
    /// A string, hexadecimal or bit literal after an introducer (`_latin1`), which is in the
    /// skeleton.
    Introduced = b'c',
    /// `x'..'`, `0x..`.
    Hex = b'x',
    /// `b'..'`, `0b..`.
    Bit = b'b',
    /// `?`.
    Placeholder = b'?',
}

/// The end of a statement that could not be read to its end; beyond every text.
const UNREAD: u32 = u32::MAX;

/// The length of a marker in the skeleton.
pub(super) const MARKER: u32 = 2;
const COMMENT_MARKER: u8 = b'-';

/// The tokens of a text, as far as it is made of them.
pub fn count_tokens(text: &[u8], mode: LexMode) -> usize {
    let mut lexer = Lexer::new(text, mode);
    let mut count = 0;
    while let Ok(token) = lexer.token()
        && token.kind != TokenKind::End
    {
        count += 1;
    }
    count
}

impl Scan {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let holes = self.holes.capacity() * size_of::<Hole>();
        self.skeleton.capacity() + holes + self.comments.capacity() * size_of::<Cut>()
    }

    /// A scan of no statement.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the first statement of `text`. After an error only the kind may be of use, and there
    /// is no [`Self::end`] within the text.
    pub fn run(&mut self, text: &[u8], mode: LexMode) -> Result<(), LexError> {
        self.skeleton.clear();
        self.holes.clear();
        self.comments.clear();
        self.kind = StatementKind::Empty;
        self.features = Features::NONE;
        self.has_own_settings = false;
        self.end = UNREAD;
        let mut lexer = Lexer::new(text, mode);
        let mut context = Context::default();
        let mut copied = 0;
        self.end = loop {
            let token = lexer.next_token()?;
            let hole = match token.kind {
                TokenKind::Word => {
                    self.word(&mut context, token, text, &lexer);
                    continue;
                }
                TokenKind::Symbol => {
                    let symbol = token.text(text);
                    if symbol == b";" && context.compound.as_mut().is_none_or(Compound::semicolon) {
                        break token.start;
                    }
                    self.symbol(&mut context, symbol, text);
                    continue;
                }
                TokenKind::End => break token.start,
                TokenKind::Comment => {
                    let marker = self.cut(text, &mut copied, token, COMMENT_MARKER);
                    self.comments.push(Cut { start: token.start, end: token.end, marker });
                    continue;
                }
                _ => match self.other(&mut context, token) {
                    Some(hole) => hole,
                    None => continue,
                },
            };
            let marker = self.cut(text, &mut copied, token, hole as u8);
            let cut = Cut { start: token.start, end: token.end, marker };
            self.holes.push(Hole { kind: hole, cut });
        };
        self.skeleton.extend_from_slice(&text[copied as usize..self.end as usize]);
        self.is_program = context.compound.is_some();
        Ok(())
    }

    /// The cache key: the text without literals and comments.
    pub fn skeleton(&self) -> &[u8] {
        &self.skeleton
    }

    /// The literals and placeholders in text order; their index is the number that
    /// [`super::ast::ExprKind::Hole`] holds.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The plain comments in text order.
    pub fn comments(&self) -> &[Cut] {
        &self.comments
    }

    /// Which statement it is.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// What it uses.
    pub fn features(&self) -> Features {
        self.features
    }

    /// One past the last byte of the statement: where its `;` stands, or the end of the text.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Whether it may hold other statements with their `;`.
    pub fn is_program(&self) -> bool {
        self.is_program
    }

    /// Whether it begins with SET STATEMENT, so that the kind is that of the statement after FOR.
    pub fn has_own_settings(&self) -> bool {
        self.has_own_settings
    }

    /// Copies the text before `token` and a marker for it; returns where the marker stands.
    #[inline]
    fn cut(&mut self, text: &[u8], copied: &mut u32, token: Token, kind: u8) -> u32 {
        self.skeleton.extend_from_slice(&text[*copied as usize..token.start as usize]);
        *copied = token.end;
        let marker = self.skeleton.len() as u32;
        self.skeleton.extend_from_slice(&[0, kind]);
        marker
    }

    #[inline]
    fn word(&mut self, context: &mut Context, token: Token, text: &[u8], lexer: &Lexer<'_>) {
        let word = token.text(text);
        if self.kind == StatementKind::Empty {
            self.kind = StatementKind::of_words(word, || next_token(lexer.clone(), text));
            if self.kind == StatementKind::Compound {
                context.compound.get_or_insert_with(Compound::bare);
            }
        }
        if let Some(compound) = &mut context.compound {
            compound.word(word, lexer, text);
        }
        let before = context.previous;
        context.qualified = before == Previous::Dot;
        context.after_into = before == Previous::Into || context.qualified && context.after_into;
        context.called = (!context.after_into).then_some((token.start, token.end));
        context.previous = Previous::Other;
        if context.qualified {
            return;
        }
        let Some(keyword) = Keyword::of(word) else { return };
        match keyword {
            Keyword::By => {
                context.previous = Previous::By;
                context.by |= context.depth_bit();
            }
            Keyword::EndsBy => context.by &= !context.clearable_bit(),
            Keyword::As => context.previous = Previous::Name,
            Keyword::For => {
                context.previous = Previous::For;
                if self.kind == StatementKind::SetStatement && context.depth == 0 {
                    // The statement that the settings are for decides what this is.
                    self.kind = StatementKind::Empty;
                    self.has_own_settings = true;
                }
            }
            Keyword::Lock => context.previous = Previous::Lock,
            Keyword::Into => {
                context.by &= !context.clearable_bit();
                context.previous = Previous::Into;
            }
            Keyword::Next => context.previous = Previous::Next,
            Keyword::Previous => context.previous = Previous::Prior,
            Keyword::UpdateOrShare if before == Previous::For => {
                self.features |= Features::LOCKING_READ;
            }
            Keyword::In if before == Previous::Lock => self.features |= Features::LOCKING_READ,
            Keyword::File if before == Previous::Into => self.features |= Features::INTO_FILE,
            Keyword::Value if before == Previous::Next => self.features |= Features::SEQUENCE,
            Keyword::Value if before == Previous::Prior => {
                self.features |= Features::SEQUENCE | Features::LAST_VALUE;
            }
            Keyword::UpdateOrShare | Keyword::In | Keyword::File | Keyword::Value => {}
            Keyword::CalcFoundRows => self.features |= Features::CALC_FOUND_ROWS,
            Keyword::From => self.features |= Features::FROM,
            Keyword::Temporary => self.features |= Features::TEMPORARY,
            Keyword::CurrentUser => self.features |= Features::USER,
            Keyword::Database => {
                use StatementKind::{Alter, Create, Drop};
                if matches!(self.kind, Create | Alter | Drop) {
                    self.features |= Features::DATABASE_DEFINITION;
                }
            }
            Keyword::StoredProgram => self.stored_program(context, word),
            Keyword::View => {
                self.defines_stored();
            }
        }
    }

    fn defines_stored(&mut self) -> bool {
        let defines = matches!(self.kind, StatementKind::Create | StatementKind::Alter);
        if defines {
            self.features |= Features::STORED_DEFINITION;
        }
        defines
    }

    fn stored_program(&mut self, context: &mut Context, word: &[u8]) {
        if self.defines_stored() {
            let is_package = word.eq_ignore_ascii_case(b"package");
            context.compound.get_or_insert_with(|| {
                if is_package { Compound::endless() } else { Compound::with_header() }
            });
        }
    }

    #[inline]
    fn symbol(&mut self, context: &mut Context, symbol: &[u8], text: &[u8]) {
        if self.kind == StatementKind::Empty {
            self.kind = match symbol {
                b"(" => StatementKind::ParenSelect,
                // A label under sql_mode=ORACLE.
                b"<<" => StatementKind::Compound,
                _ => StatementKind::Other,
            };
            if self.kind == StatementKind::Compound {
                context.compound = Some(Compound::bare());
            }
        }
        context.previous = Previous::Other;
        if symbol != b";"
            && let Some(compound) = &mut context.compound
        {
            compound.symbol(symbol);
        }
        match symbol {
            b"(" => {
                if let Some((start, end)) = context.called {
                    let name = &text[start as usize..end as usize];
                    self.features |= if context.qualified {
                        Features::UNKNOWN_FUNCTION
                    } else {
                        function_feature(name)
                    };
                }
                context.depth += 1;
                context.by &= !context.clearable_bit();
            }
            b")" => {
                context.by &= !context.clearable_bit();
                context.depth = context.depth.saturating_sub(1);
            }
            b"," => context.previous = Previous::Comma,
            b"." => context.previous = Previous::Dot,
            b"[" => context.in_brackets = true,
            b"]" => context.in_brackets = false,
            b":=" => self.features |= Features::ASSIGNS_VARIABLE,
            _ => {}
        }
        context.called = None;
    }

    /// A token that is neither word, symbol, comment nor end: the hole it is, if it is one.
    fn other(&mut self, context: &mut Context, token: Token) -> Option<HoleKind> {
        let feature = match token.kind {
            TokenKind::UserVariable if context.previous == Previous::Into => {
                Features::USER_VARIABLE | Features::ASSIGNS_VARIABLE
            }
            TokenKind::UserVariable => Features::USER_VARIABLE,
            TokenKind::SystemVariable => Features::SYSTEM_VARIABLE,
            TokenKind::Placeholder => Features::PLACEHOLDER,
            TokenKind::Directive => Features::DIRECTIVE,
            TokenKind::OptimizerHint => Features::OPTIMIZER_HINT,
            TokenKind::ServerSpecificOpen => Features::SERVER_SPECIFIC,
            _ => Features::NONE,
        };
        self.features |= feature;
        if matches!(
            token.kind,
            TokenKind::Directive
                | TokenKind::OptimizerHint
                | TokenKind::VersionOpen
                | TokenKind::ServerSpecificOpen
                | TokenKind::VersionClose
        ) {
            return None;
        }
        if self.kind == StatementKind::Empty {
            // Only a label is quoted.
            let is_label = token.kind == TokenKind::QuotedIdentifier;
            self.kind = if is_label { StatementKind::Compound } else { StatementKind::Other };
            if is_label {
                context.compound = Some(Compound::bare());
            }
        }
        if let Some(compound) = &mut context.compound {
            compound.other();
        }
        let before = std::mem::replace(&mut context.previous, Previous::Other);
        context.called = None;
        match token.kind {
            TokenKind::QuotedIdentifier => {
                context.after_into =
                    before == Previous::Into || before == Previous::Dot && context.after_into;
                context.called = (!context.after_into).then_some((token.start, token.end));
                context.qualified = true;
                None
            }
            TokenKind::Introducer => {
                context.previous = Previous::Introducer;
                None
            }
            _ if context.in_brackets => None,
            TokenKind::Integer if context.is_ordinal(before) => None,
            // NEXT 5 VALUES
            TokenKind::Integer | TokenKind::Placeholder if before == Previous::Next => {
                context.previous = Previous::Next;
                hole_kind(token.kind)
            }
            TokenKind::String if before == Previous::Name => None,
            TokenKind::String | TokenKind::Hex | TokenKind::Bit
                if before == Previous::Introducer =>
            {
                Some(HoleKind::Introduced)
            }
            kind => hole_kind(kind),
        }
    }
}

fn hole_kind(kind: TokenKind) -> Option<HoleKind> {
    Some(match kind {
        TokenKind::Integer => HoleKind::Int,
        TokenKind::Decimal => HoleKind::Decimal,
        TokenKind::Float => HoleKind::Float,
        TokenKind::String => HoleKind::String,
        TokenKind::NationalString => HoleKind::NationalString,
        TokenKind::Hex => HoleKind::Hex,
        TokenKind::Bit => HoleKind::Bit,
        TokenKind::Placeholder => HoleKind::Placeholder,
        _ => return None,
    })
}

/// What is remembered from token to token.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
struct Context {
    previous: Previous,
    depth: u32,
    /// Bit n: at parenthesis depth n an ORDER BY or GROUP BY list is open. The last bit stands for
    /// all greater depths and stays set, which only makes the skeleton more specific.
    by: u64,
    /// The word before, if a `(` now would call it.
    called: Option<(u32, u32)>,
    /// That word is quoted or qualified, so it is no built-in function.
    qualified: bool,
    /// It is the name of a table after INTO, whose columns may follow in parentheses.
    after_into: bool,
    /// Inside `ks[40-80]`, whose numbers are a name.
    in_brackets: bool,
    /// CREATE PROCEDURE and its kin, a compound statement: not every `;` ends it.
    compound: Option<Compound>,
}

/// The previous token, as far as it matters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    Dot,
    Comma,
    By,
    /// AS or COLLATE: a name follows.
    Name,
    For,
    Lock,
    Into,
    Next,
    /// PREVIOUS.
    Prior,
    Introducer,
}

impl Context {
    fn depth_bit(&self) -> u64 {
        1 << self.depth.min(63)
    }

    fn clearable_bit(&self) -> u64 {
        if self.depth < 63 { 1 << self.depth } else { 0 }
    }

    fn is_ordinal(&self, before: Previous) -> bool {
        before == Previous::By || (before == Previous::Comma && self.by & self.depth_bit() != 0)
    }
}

/// The token after the first one that is no comment, and no frame of one with code in it; empty at
/// the end.
fn next_token<'a>(mut lexer: Lexer<'_>, text: &'a [u8]) -> &'a [u8] {
    loop {
        match lexer.token() {
            Ok(token) => match token.kind {
                TokenKind::Comment
                | TokenKind::Directive
                | TokenKind::OptimizerHint
                | TokenKind::VersionOpen
                | TokenKind::ServerSpecificOpen
                | TokenKind::VersionClose => {}
                _ => return token.text(text),
            },
            Err(_) => return b"?",
        }
    }
}

#[cfg(test)]
mod tests;
