//! The types of the user variables that a statement names. MySQL keeps those that they had when the
//! statement was prepared, and reads later values as such (`Item_func_get_user_var`).

use super::settings::Settings;
use crate::sql::lexer::Lexer;
use crate::sql::mode::LexMode;
use crate::sql::token::TokenKind;

/// User variables by name, each with its type at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableKinds(Vec<(String, VariableKind)>);

/// The type of a user variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// It was never assigned, or NULL.
    Null,
    /// BIGINT.
    Signed,
    /// BIGINT UNSIGNED.
    Unsigned,
    /// DECIMAL.
    Decimal,
    /// DOUBLE.
    Double,
    /// A text or bytes, with its character set and collation as they were written.
    Text(Vec<u8>),
    /// Some other literal: no two of them are taken for the same.
    Other,
}

impl VariableKinds {
    /// The variables that a text names, as these settings have them; `None` if it names none.
    pub fn of_text(text: &[u8], mode: LexMode, settings: &Settings) -> Option<Self> {
        let mut names: Vec<String> = Vec::new();
        let mut lexer = Lexer::new(text, mode);
        while let Ok(token) = lexer.token()
            && token.kind != TokenKind::End
        {
            if token.kind == TokenKind::UserVariable {
                let name = variable_name(token.text(text));
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let kind = |name: String| {
            let kind = VariableKind::of(settings.get(&name));
            (name, kind)
        };
        let kinds: Vec<_> = names.into_iter().map(kind).collect();
        (!kinds.is_empty()).then_some(Self(kinds))
    }

    /// Whether these settings have the same variables with the same types.
    pub fn are_those_of(&self, settings: &Settings) -> bool {
        self.0.iter().all(|(name, kind)| {
            *kind != VariableKind::Other && *kind == VariableKind::of(settings.get(name))
        })
    }

    /// The names, with `@`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// The name as settings have it, with `@` and in lower case, of a variable as it was written.
fn variable_name(written: &[u8]) -> String {
    let name = String::from_utf8_lossy(written).to_lowercase();
    let name = name.trim_start_matches('@');
    format!("@{}", name.trim_matches(['`', '\'', '"']))
}

impl VariableKind {
    /// The type of a variable with this literal.
    pub fn of(literal: Option<&[u8]>) -> Self {
        let Some(literal) = literal else { return Self::Null };
        let literal = literal.trim_ascii();
        let upper = literal.to_ascii_uppercase();
        if upper == b"NULL" || upper == b"CAST(NULL AS BINARY)" {
            return Self::Null;
        }
        if let Some(cast) = upper.strip_prefix(b"CAST(") {
            let is = |target: &[u8]| cast.windows(target.len()).any(|part| part == target);
            return match () {
                () if is(b" AS UNSIGNED)") => Self::Unsigned,
                () if is(b" AS SIGNED)") => Self::Signed,
                () if is(b" AS DECIMAL(65,") => Self::Decimal,
                () => Self::Other,
            };
        }
        match literal.first() {
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => Self::of_number(literal),
            Some(b'\'') if is_one_string(literal) => Self::Text(Vec::new()),
            Some(b'_') => Self::of_introduced(literal),
            _ => Self::Other,
        }
    }

    fn of_number(literal: &[u8]) -> Self {
        let digits = literal.strip_prefix(b"-").or(literal.strip_prefix(b"+")).unwrap_or(literal);
        if digits.iter().all(u8::is_ascii_digit) {
            let text = std::str::from_utf8(literal).unwrap_or_default();
            return match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(_), _) => Self::Signed,
                (_, Ok(_)) => Self::Unsigned,
                _ => Self::Decimal,
            };
        }
        let in_decimal = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        if digits.iter().all(in_decimal) {
            return Self::Decimal;
        }
        let in_double = |byte: &u8| in_decimal(byte) || matches!(byte, b'e' | b'E' | b'-' | b'+');
        if digits.iter().all(in_double) { Self::Double } else { Self::Other }
    }

    /// `_utf8mb4 X'..' COLLATE utf8mb4_bin`: everything but the digits.
    fn of_introduced(literal: &[u8]) -> Self {
        let quote = |byte: &u8| *byte == b'\'';
        let (Some(from), Some(to)) =
            (literal.iter().position(quote), literal.iter().rposition(quote))
        else {
            return Self::Other;
        };
        Self::Text([&literal[..from], &literal[to..]].concat())
    }
}

/// Whether a literal is one string without anything that would have to be read.
fn is_one_string(literal: &[u8]) -> bool {
    let inside = literal.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'"));
    inside.is_some_and(|text| !text.iter().any(|byte| matches!(byte, b'\'' | b'\\')))
}

/// The content of a text variable's literal, if it can be read without the server.
pub(super) fn text_of(literal: &[u8]) -> Option<Vec<u8>> {
    if is_one_string(literal) {
        return Some(literal[1..literal.len() - 1].to_vec());
    }
    let from = literal.windows(2).position(|pair| pair.eq_ignore_ascii_case(b"X'"))? + 2;
    let digits: Vec<u8> = literal[from..].iter().copied().take_while(|b| *b != b'\'').collect();
    let value = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Names;

    #[test]
    fn literals_have_kinds() {
        use VariableKind as Kind;
        let text = |text: &str| Kind::Text(text.as_bytes().to_vec());
        let cases = [
            ("0", Kind::Signed),
            ("-5", Kind::Signed),
            ("18446744073709551615", Kind::Unsigned),
            ("CAST(5 AS UNSIGNED)", Kind::Unsigned),
            ("CAST('-9223372036854775808' AS SIGNED)", Kind::Signed),
            ("1.50", Kind::Decimal),
            ("99999999999999999999", Kind::Decimal),
            ("CAST('1.50' AS DECIMAL(65,2))", Kind::Decimal),
            ("1e0", Kind::Double),
            ("'zwei'", text("")),
            ("_utf8mb4 X'78' COLLATE utf8mb4_bin", text("_utf8mb4 X' COLLATE utf8mb4_bin")),
            ("_binary X'00'", text("_binary X'")),
            ("'it''s'", Kind::Other),
            ("TRUE", Kind::Other),
            ("NULL", Kind::Null),
            ("CAST(NULL AS BINARY)", Kind::Null),
        ];
        for (literal, kind) in cases {
            let found = VariableKind::of(Some(literal.as_bytes()));
            match (&kind, &found) {
                (Kind::Text(_), Kind::Text(_)) => {}
                _ => assert_eq!(found, kind, "{literal}"),
            }
        }
        assert_eq!(VariableKind::of(None), Kind::Null);
        let bin = VariableKind::of(Some(b"_utf8mb4 X'78' COLLATE utf8mb4_bin"));
        let general = VariableKind::of(Some(b"_utf8mb4 X'78' COLLATE utf8mb4_general_ci"));
        assert_ne!(bin, general);
        assert_eq!(bin, VariableKind::of(Some(b"_utf8mb4 X'' COLLATE utf8mb4_bin")));
    }

    #[test]
    fn another_type_is_noticed() {
        let mut settings = Settings::new(Names::utf8mb4());
        settings.set("@v", b"0".to_vec());
        let sql = b"DELETE FROM z WHERE a = @V AND b = @`w`";
        let kinds = VariableKinds::of_text(sql, LexMode::default(), &settings).unwrap();
        assert_eq!(kinds.names().collect::<Vec<_>>(), ["@v", "@w"]);
        settings.set("@v", b"7".to_vec());
        settings.set("@other", b"'x'".to_vec());
        assert!(kinds.are_those_of(&settings));
        settings.set("@v", b"'zwei'".to_vec());
        assert!(!kinds.are_those_of(&settings));
        assert_eq!(VariableKinds::of_text(b"SELECT 1", LexMode::default(), &settings), None);
    }
}
