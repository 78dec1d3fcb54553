//! USE, and the target strings that it shares with the handshake's database and with qualifiers:
//! `keyspace[:shard | /shard | [from-to] | [id]][@primary|replica|rdonly]`
//! (Vitess `go/vt/topo/topoproto/destination.go`).

use super::{ControlError, expected};
use crate::sql::cursor::Cursor;
use crate::sql::mode::LexMode;
use crate::sql::scan::Scan;
use crate::sql::token::TokenKind;

/// Where statements go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The keyspace; `None` in `@replica`, which keeps the one in use.
    pub keyspace: Option<String>,
    /// The part of it.
    pub place: TargetPlace,
    /// Which servers; `None` if not written.
    pub role: Option<TargetRole>,
}

/// The part of a keyspace that a [`Target`] names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPlace {
    /// All of it: each statement is routed.
    Routed,
    /// One shard by name.
    Shard(String),
    /// All shards that a key range touches; an empty end is open.
    Range {
        /// First keyspace id.
        start: Vec<u8>,
        /// The first keyspace id beyond it.
        end: Vec<u8>,
    },
    /// The shard of one keyspace id.
    KeyspaceId(Vec<u8>),
}

/// The servers that a [`Target`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetRole {
    /// primary, master.
    Primary,
    /// replica.
    Replica,
    /// rdonly: replicas for slow reading.
    ReadOnly,
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The word after `@`.
    #[error("unknown role '{0}'; primary, replica and rdonly exist")]
    Role(String),
    /// The text in brackets.
    #[error("malformed key range '{0}'; write hexadecimal digits as in [40-80]")]
    Range(String),
    /// Nothing before `:` or in front of `[`.
    #[error("no keyspace before the shard")]
    NoKeyspace,
    /// Nothing after `:`.
    #[error("no shard after the keyspace")]
    NoShard,
}

impl std::str::FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (rest, role) = match text.rsplit_once('@') {
            None => (text, None),
            Some((rest, role)) => (rest, Some(parse_role(role)?)),
        };
        let (keyspace, place) = if let Some(inner) = rest.strip_suffix(']')
            && let Some((keyspace, range)) = inner.rsplit_once('[')
        {
            (keyspace, parse_range(range)?)
        } else if let Some((keyspace, shard)) = rest.rsplit_once([':', '/']) {
            if shard.is_empty() {
                return Err(TargetError::NoShard);
            }
            (keyspace, TargetPlace::Shard(shard.to_owned()))
        } else {
            (rest, TargetPlace::Routed)
        };
        if keyspace.is_empty() && place != TargetPlace::Routed {
            return Err(TargetError::NoKeyspace);
        }
        let keyspace = (!keyspace.is_empty()).then(|| keyspace.to_owned());
        Ok(Self { keyspace, place, role })
    }
}

fn parse_role(role: &str) -> Result<TargetRole, TargetError> {
    match role.to_ascii_lowercase().as_str() {
        "primary" | "master" => Ok(TargetRole::Primary),
        "replica" => Ok(TargetRole::Replica),
        "rdonly" => Ok(TargetRole::ReadOnly),
        _ => Err(TargetError::Role(role.to_owned())),
    }
}

fn parse_range(range: &str) -> Result<TargetPlace, TargetError> {
    let bytes = |digits: &str| hex(digits).ok_or_else(|| TargetError::Range(range.to_owned()));
    match range.split_once('-') {
        Some((start, end)) => Ok(TargetPlace::Range { start: bytes(start)?, end: bytes(end)? }),
        None if range.is_empty() => Err(TargetError::Range(String::new())),
        None => Ok(TargetPlace::KeyspaceId(bytes(range)?)),
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        digits.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reads USE; the cursor is at USE.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Target, ControlError> {
    cursor.advance();
    let offset = cursor.start();
    let text = if cursor.peek().kind == TokenKind::QuotedIdentifier && cursor.peek_is_last() {
        cursor.eat_ident().map(|ident| ident.text).unwrap_or_default()
    } else {
        // One word, of whatever signs: a second word is a mistake for servers to tell.
        while !cursor.at_end() {
            cursor.advance();
            if !cursor.at_end() && cursor.start() != cursor.previous_end() {
                return expected(cursor, "the end of the statement");
            }
        }
        let bytes = cursor.text.get(offset as usize..cursor.previous_end() as usize);
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    if text.is_empty() {
        return expected(cursor, "a database");
    }
    let error =
        ControlError::Expected { expected: "a target such as keyspace:shard@replica", offset };
    text.parse().map_err(|_: TargetError| error)
}

/// What a USE statement names, as it is written, without quotes and comments: in the client's
/// character set. `scan` is the scan of `text`.
pub fn argument(text: &[u8], mode: LexMode, scan: &Scan) -> Vec<u8> {
    let Ok(mut cursor) = Cursor::new(text, mode, scan) else { return Vec::new() };
    cursor.eat_word("USE");
    let (first, start) = (cursor.peek(), cursor.start() as usize);
    let mut tokens = 0;
    while !cursor.at_end() && !cursor.at_symbol(";") {
        cursor.advance();
        tokens += 1;
    }
    let end = if tokens == 0 { start } else { cursor.previous_end() as usize };
    match text.get(start..end).unwrap_or_default() {
        [quote @ (b'`' | b'"'), inner @ .., _]
            if tokens == 1 && first.kind == TokenKind::QuotedIdentifier =>
        {
            let mut name = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter().copied();
            while let Some(byte) = bytes.next() {
                name.push(byte);
                if byte == *quote {
                    bytes.next();
                }
            }
            name
        }
        plain => plain.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mode::DoubleQuote;

    #[test]
    fn arguments_are_read_without_quotes_and_comments() {
        let ansi = LexMode { double_quote: DoubleQuote::Identifier, ..LexMode::default() };
        for (text, mode, name) in [
            ("USE test", LexMode::default(), "test"),
            (" use\t`a``b` ; ", LexMode::default(), "a`b"),
            ("/* app */ USE/*a*/test -- x", LexMode::default(), "test"),
            ("USE \"te\"\"st\"", ansi, "te\"st"),
            ("USE shop:-80@replica", LexMode::default(), "shop:-80@replica"),
            ("USE", LexMode::default(), ""),
        ] {
            let mut scan = Scan::new();
            scan.run(text.as_bytes(), mode).expect("tokens");
            let read = argument(text.as_bytes(), mode, &scan);
            assert_eq!(String::from_utf8_lossy(&read), name, "{text}");
        }
    }
}
