//! Directives: `/*vt+ KEY=VALUE KEY */` comments, with which a statement talks to the proxy
//! (Vitess `sqlparser/comments.go`).

use crate::sql::lexer::Lexer;
use crate::sql::mode::LexMode;
use crate::sql::token::TokenKind;

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name in upper case.
    pub key: String,
    /// Its value, `true` if none was written; quotes taken off.
    pub value: String,
}

/// The directives of the first statement of `text`, in order. What cannot be read ends the list.
/// Call it only if the scan reports [`crate::sql::features::Features::DIRECTIVE`].
pub fn directives(text: &[u8], mode: LexMode) -> Vec<Directive> {
    let mut lexer = Lexer::new(text, mode);
    let mut found = Vec::new();
    while let Ok(token) = lexer.token() {
        match token.kind {
            TokenKind::End => break,
            TokenKind::Symbol if token.text(text) == b";" => break,
            TokenKind::Directive => {
                let bytes = token.text(text);
                let body = String::from_utf8_lossy(&bytes[5..bytes.len() - 2]).into_owned();
                found.extend(body.split_ascii_whitespace().filter_map(directive));
            }
            _ => {}
        }
    }
    found
}

fn directive(word: &str) -> Option<Directive> {
    let (key, value) = word.split_once('=').unwrap_or((word, "true"));
    let unquoted = ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote).and_then(|value| value.strip_suffix(*quote)));
    let value = unquoted.unwrap_or(value).to_owned();
    (!key.is_empty()).then(|| Directive { key: key.to_ascii_uppercase(), value })
}
