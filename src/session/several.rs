//! Several statements in one command: each is run by itself, the answers are chained.
//!
//! They are taken apart as a server's parser does (`dispatch_command` in `sql/sql_parse.cc`):
//! spaces and `;` at the end of the text do not count, a `;` ends a statement, whatever follows it
//! is another one, if only a comment, and each is read under the settings that those before it
//! have made.

use crate::error::{SqlError, catalog};
use crate::executor::near::QUOTED_MAX;
use crate::net::Packet;
use crate::sql::scan::Scan;
use crate::sql::statement_kind::StatementKind;
use crate::wire::capability::Capabilities;

use super::Session;
use super::answer::{Answer, Ran};
use super::forward;
use super::mirror::Mirror;
use super::request::{self, Coming, Source, Understood};
use super::statement_timeout;
use super::tally;

/// What a text is, as far as its first statement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// One statement.
    Only,
    /// One statement and others.
    First {
        /// Where the `;` stands.
        end: usize,
    },
    /// Nothing before the first `;`, which is an error of syntax.
    Nothing,
}

/// Takes the first statement of a text; `scan` is its scan.
pub(super) fn split(text: &[u8], scan: &Scan) -> Split {
    let end = scan.end() as usize;
    if text.get(end) != Some(&b';') || trimmed(text).len() <= end {
        return Split::Only;
    }
    match scan.kind() {
        StatementKind::Empty => Split::Nothing,
        _ => Split::First { end },
    }
}

/// The error of a text that must be one statement, and is more.
pub(super) fn more_than_one(text: &[u8], scan: &Scan) -> SqlError {
    let near = text.get(scan.end() as usize..).unwrap_or_default();
    let what = format!("more than one statement near '{}'", String::from_utf8_lossy(near));
    catalog::SYNTAX.with(&[&what])
}

/// Whether a text is one statement, or an error if it is more.
pub(super) fn only_one(text: &[u8], scan: &Scan) -> Result<(), SqlError> {
    match split(text, scan) {
        Split::Only => Ok(()),
        Split::First { .. } | Split::Nothing => Err(more_than_one(text, scan)),
    }
}

/// The text without spaces and `;` at its end.
fn trimmed(text: &[u8]) -> &[u8] {
    let counts = |byte: &u8| !byte.is_ascii_whitespace() && !matches!(byte, b';' | 0x0b);
    let len = text.iter().rposition(counts).map_or(0, |last| last + 1);
    &text[..len]
}

impl Session {
    /// Runs a command of several statements.
    pub(super) async fn several_statements(&mut self, packet: Packet, split: Split) -> Ran {
        let source = Source::Packet(packet);
        let asked_for = self.client.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        let mirror = &self.connections.mirror;
        if let Split::First { end } = split
            && mirror.ends_in_comments(&source.text(&self.client)[end + 1..])
            && !asked_for
        {
            return self.statement(source, Understood::Yes).await;
        }
        if !asked_for || split == Split::Nothing || mirror.oracle_mode {
            return self.unsplit(source).await;
        }
        let text = trimmed(source.text(&self.client)).to_vec();
        self.client.drop_command();
        let mut rest = &text[..];
        loop {
            let scanned = self.state.scan.run(rest, self.connections.mirror.lex_mode);
            let understood = Understood::of(&scanned);
            let split = match understood {
                Understood::Yes => self::split(rest, &self.state.scan),
                Understood::No => Split::Only,
            };
            self.client.more_follows = matches!(split, Split::First { .. });
            self.client.failed = false;
            let (statement, next) = match split {
                Split::First { end } => (&rest[..end], Some(rest[end + 1..].trim_ascii_start())),
                Split::Only | Split::Nothing => (rest, None),
            };
            self.client.rest.clear();
            if next.is_some() {
                let rest = &rest[statement.trim_ascii_end().len()..];
                self.client.rest.extend_from_slice(&rest[..rest.len().min(QUOTED_MAX)]);
            }
            statement_timeout::begin_time(&mut self.connections, self.state.statement_timeout);
            let source = Source::query(statement);
            let ran = match split {
                Split::Nothing => self.unsplit(source).await,
                Split::Only | Split::First { .. } => self.statement(source, understood).await,
            };
            self.tell(ran).await?;
            match next {
                // An error ends the chain.
                Some(next) if !self.client.failed => rest = next,
                _ => break,
            }
        }
        self.client.more_follows = false;
        self.client.rest.clear();
        Ok(Answer::Sent)
    }

    /// A text that a server takes for one statement, or takes apart itself, or finds an error of
    /// syntax in that it words itself.
    async fn unsplit(&mut self, source: Source) -> Ran {
        let Self { client, connections, state, prepared, .. } = self;
        if connections.mode.is_several() {
            return Err(more_than_one(source.text(client), &state.scan).into());
        }
        tally::begin_tally(state, StatementKind::Other);
        let coming = Coming::Unread(&source);
        let ran = match request::admit(client, connections, state, prepared, coming).await {
            Ok(admitted) => {
                let request = admitted.with(source);
                forward::run_statement(client, connections, state, request).await
            }
            Err(stop) => Err(stop),
        };
        tally::end_tally(connections, state);
        ran
    }
}

impl Mirror {
    fn ends_in_comments(&self, rest: &[u8]) -> bool {
        let mut scan = Scan::new();
        scan.run(rest, self.lex_mode).is_ok()
            && scan.kind() == StatementKind::Empty
            && scan.end() as usize == rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mode::LexMode;

    #[test]
    fn texts_are_split_as_servers_do() {
        for (text, expected) in [
            ("SELECT 1", Split::Only),
            ("SELECT 1; ;; ", Split::Only),
            ("SELECT 1;SELECT 2", Split::First { end: 8 }),
            ("SELECT ';';-- c", Split::First { end: 10 }),
            ("SELECT 1;;SELECT 2", Split::First { end: 8 }),
            (";SELECT 1", Split::Nothing),
            ("/* a */;SELECT 1", Split::Nothing),
            (";", Split::Only),
            ("", Split::Only),
        ] {
            let mut scan = Scan::new();
            scan.run(text.as_bytes(), LexMode::default()).expect("tokens");
            assert_eq!(split(text.as_bytes(), &scan), expected, "{text}");
        }
    }
}
