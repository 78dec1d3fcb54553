//! The character sets of a session, read off its settings: how its text is lexed, what its literals
//! are, and in what the answers that are made here must be written.
//!
//! The servers convert what they are sent and what they answer. Here only names that the session
//! must understand, values that a row is found by, and own answers are converted.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::backend::Settings;
use crate::engine::plan::ClientCharset;
use crate::error::{SqlError, catalog};
use crate::sql::ast::Ident;
use crate::sql::charset::agrees_with_ascii;
use crate::sql::mode::CharsetClass;
use crate::wire::charset::{Charset, Collation, error_from_utf8, from_utf8, to_utf8};

/// utf8mb3_general_ci, in which servers hold names and their own texts.
const SYSTEM: u16 = 33;

/// The character sets of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CharacterSets {
    /// character_set_client, in lower case.
    client: String,
    /// What character_set_client and character_set_connection make of a literal.
    literals: ClientCharset,
    /// character_set_results, in lower case; `None` for NULL: no conversion.
    results: Option<String>,
    /// The number of the collation that was named with it.
    results_collation: Option<u16>,
}

impl CharacterSets {
    /// Those that the settings say.
    pub(super) fn of(settings: &Settings) -> Self {
        let names = settings.names().charset.to_ascii_lowercase();
        let variable = |name: &str| settings.get(name).map(unquoted);
        let client = variable("character_set_client").unwrap_or_else(|| names.clone());
        let collation = variable("collation_connection");
        let connection = match collation.map(|name| Charset::of_collation(name.as_bytes())) {
            Some(known) => known.map(|charset| charset.name.to_owned()),
            None => variable("character_set_connection").or_else(|| Some(names.clone())),
        };
        let alone = variable("character_set_results");
        let of_names = settings.names().collation.as_deref().filter(|_| alone.is_none());
        let of_names = of_names.and_then(|name| Collation::by_name(name.as_bytes()));
        let results = alone.unwrap_or(names);
        Self {
            results_collation: of_names.map(|collation| collation.id),
            literals: literals(&client, connection.as_deref().unwrap_or("")),
            client,
            results: (results != "null").then_some(results),
        }
    }

    /// How the client's text is split into tokens.
    pub(super) fn lex_class(&self) -> CharsetClass {
        CharsetClass::of_charset(self.client.as_bytes()).unwrap_or_default()
    }

    /// What is known of a literal's text.
    pub(super) fn literals(&self) -> ClientCharset {
        self.literals
    }

    /// character_set_client.
    pub(super) fn client(&self) -> &str {
        &self.client
    }

    /// Whether names in the client's text are UTF-8, as they are in the VSchema.
    pub(super) fn names_are_utf8(&self) -> bool {
        matches!(&*self.client, "utf8mb4" | "utf8mb3" | "utf8" | "binary")
    }

    /// A name as the client wrote it, in UTF-8.
    pub(super) fn name<'a>(&self, name: &'a [u8]) -> Option<Cow<'a, str>> {
        to_utf8(&self.client, name)
    }

    /// Reads the name of a savepoint, which servers compare in UTF-8, in the client's charset.
    pub(super) fn read_savepoint(&self, name: &mut Ident, text: &[u8]) -> Result<(), SqlError> {
        let written = text.get(name.span.start as usize..name.span.end as usize);
        let written = written.unwrap_or_default();
        if written.is_ascii() {
            return Ok(());
        }
        if let Some(read) = self.name(written) {
            name.text = match read.chars().next() {
                Some(quote @ ('`' | '"')) => {
                    let inner = &read[1..read.len() - 1];
                    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
                }
                _ => read.into_owned(),
            };
            return Ok(());
        }
        let what =
            format!("a savepoint's name that cannot be read in character set {}", self.client());
        Err(catalog::UNSUPPORTED.advising(&[&what], "write the name in ASCII"))
    }

    /// A string literal that is this text under every mode and character set of a client.
    pub(super) fn literal(&self, text: &str) -> Vec<u8> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'\'');
        if self.client != "swe7" && text.bytes().all(plain) {
            return format!("'{text}'").into_bytes();
        }
        let mut literal = "_utf8mb4 x'".to_owned();
        for byte in text.bytes() {
            let _ = write!(literal, "{byte:02x}");
        }
        literal.push('\'');
        literal.into_bytes()
    }

    /// Text as the client wants to read it.
    pub(super) fn answer<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        match &self.results {
            Some(charset) => from_utf8(charset, text),
            None => Cow::Borrowed(text.as_bytes()),
        }
    }

    /// The message of an error as the client wants to read it. What a server sent is so already.
    pub(super) fn message<'a>(&self, error: &'a SqlError) -> Cow<'a, [u8]> {
        match (&self.results, std::str::from_utf8(&error.message)) {
            (Some(charset), Ok(text)) if error.id.is_some() => error_from_utf8(charset, text),
            _ => Cow::Borrowed(&error.message),
        }
    }

    /// The collation that a server puts into the definition of a text column. The one that is
    /// utf8mb4's default is another one for each product.
    pub(super) fn answer_collation(&self, of_utf8mb4: u16) -> u16 {
        let charset = self.results.as_ref().map(|name| Charset::by_name(name.as_bytes()));
        match (self.results_collation, charset.flatten()) {
            (Some(named), _) => named,
            (None, None) => SYSTEM,
            (None, Some(charset)) if charset.name == "utf8mb4" => of_utf8mb4,
            (None, Some(charset)) => charset.default_collation.into(),
        }
    }

    /// The greatest number of bytes of a character in an answer.
    pub(super) fn answer_width(&self) -> u32 {
        let charset = self.results.as_ref().and_then(|name| Charset::by_name(name.as_bytes()));
        charset.map_or(3, |charset| charset.longest_character().into())
    }
}

/// The value of a SQL literal or word, in lower case.
fn unquoted(literal: &[u8]) -> String {
    String::from_utf8_lossy(literal).trim().trim_matches(['\'', '"']).to_ascii_lowercase()
}

/// What is known of literals: a server converts them from the client's charset to the
/// connection's, where what the latter lacks is lost.
fn literals(client: &str, connection: &str) -> ClientCharset {
    let is_utf8mb3 = |name: &str| matches!(name, "utf8mb3" | "utf8");
    let agrees = |name: &str| name == "binary" || agrees_with_ascii(name.as_bytes());
    if !agrees(client) || !agrees(connection) {
        ClientCharset::Unknown
    } else if client == "binary" || connection == "binary" {
        ClientCharset::Binary
    } else if client == "utf8mb4" && connection == "utf8mb4" {
        ClientCharset::Utf8
    } else if (client == "utf8mb4" || is_utf8mb3(client))
        && (connection == "utf8mb4" || is_utf8mb3(connection))
    {
        ClientCharset::Utf8ThreeBytes
    } else {
        ClientCharset::Ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Names;

    fn of(names: &str, variables: &[(&str, &str)]) -> CharacterSets {
        let mut settings = Settings::new(Names { charset: names.into(), collation: None });
        for (name, literal) in variables {
            settings.set(name, literal.as_bytes().to_vec());
        }
        CharacterSets::of(&settings)
    }

    #[test]
    fn names_set_all_of_them() {
        let gbk = of("GBK", &[]);
        assert_eq!((gbk.client(), gbk.lex_class()), ("gbk", CharsetClass::Gbk));
        assert_eq!((gbk.literals(), gbk.answer_collation(45)), (ClientCharset::Ascii, 28));
        assert_eq!(*of("latin1", &[]).answer("ë"), *b"\xeb");
        assert_eq!(of("utf8", &[]).answer_width(), 3);
        assert_eq!(of("utf8mb4", &[]).answer_collation(255), 255);
    }

    #[test]
    fn a_literal_is_known_only_if_nothing_is_lost_on_its_way() {
        for (names, variables, expected) in [
            ("utf8mb4", &[][..], ClientCharset::Utf8),
            ("utf8mb4", &[("character_set_client", "'latin1'")], ClientCharset::Ascii),
            ("utf8mb4", &[("collation_connection", "'latin1_bin'")], ClientCharset::Ascii),
            ("utf8mb4", &[("collation_connection", "'utf8mb4_bin'")], ClientCharset::Utf8),
            ("utf8mb4", &[("collation_connection", "'new_ci'")], ClientCharset::Unknown),
            ("utf8mb4", &[("character_set_connection", "'ucs2'")], ClientCharset::Unknown),
            ("utf8mb3", &[], ClientCharset::Utf8ThreeBytes),
            ("swe7", &[], ClientCharset::Unknown),
            ("sjis", &[], ClientCharset::Unknown),
            ("gbk", &[], ClientCharset::Ascii),
            ("binary", &[], ClientCharset::Binary),
            ("utf8mb4", &[("character_set_client", "binary")], ClientCharset::Binary),
            ("utf8mb4", &[("character_set_connection", "'binary'")], ClientCharset::Binary),
            ("latin1", &[("collation_connection", "'binary'")], ClientCharset::Binary),
        ] {
            assert_eq!(of(names, variables).literals(), expected, "{names} {variables:?}");
        }
    }

    #[test]
    fn literals_mean_the_same_everywhere() {
        assert_eq!(of("latin1", &[]).literal("shop"), b"'shop'");
        assert_eq!(of("latin1", &[]).literal("\u{e9}'"), b"_utf8mb4 x'c3a927'");
        assert_eq!(of("gbk", &[]).literal("a\\"), b"_utf8mb4 x'615c'");
        assert_eq!(of("swe7", &[]).literal("a@b"), b"_utf8mb4 x'614062'");
    }

    #[test]
    fn no_conversion_of_results() {
        let sets = of("latin1", &[("character_set_results", "NULL")]);
        assert_eq!(*sets.answer("ë"), *"ë".as_bytes());
        assert_eq!((sets.answer_collation(45), sets.answer_width()), (SYSTEM, 3));
    }
}
