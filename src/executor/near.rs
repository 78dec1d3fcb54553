//! Errors of syntax in a statement that was taken out of a command of several.
//!
//! A server that gets the whole command quotes what follows the mistake up to the end of the
//! command (`ER_PARSE_ERROR`: `near 'FROM; SELECT 2' at line 1`); the server that was sent one
//! statement quotes to the end of that. Here the rest is added to the quotation. Only texts in
//! ASCII are: the message's character set is another one than the statement's.

use crate::backend::Product;
use crate::wire::err::ErrPacket;

/// ER_PARSE_ERROR.
const SYNTAX: u16 = 1064;
/// So many bytes of a text are quoted.
pub const QUOTED_MAX: usize = 80;

/// The message of an error that a server sent for a statement, as it would be with `rest` behind
/// the statement; `None` if it is the same.
pub(super) fn with_rest(error: &ErrPacket<'_>, rest: &[u8], product: Product) -> Option<Vec<u8>> {
    if error.errno != SYNTAX || rest.is_empty() || !rest.is_ascii() {
        return None;
    }
    let message = error.message;
    let (near, line) = (b"near '", b"' at line ");
    let end = message.windows(line.len()).rposition(|part| part == line)?;
    let start = message.windows(near.len()).position(|part| part == near)? + near.len();
    let quoted = message.get(start..end).filter(|quoted| quoted.is_ascii())?;
    if quoted.len() >= QUOTED_MAX {
        return None;
    }
    let mut whole = [quoted, rest].concat();
    if whole.len() > QUOTED_MAX {
        match product {
            Product::MariaDb => {
                whole.truncate(QUOTED_MAX - 3);
                whole.extend_from_slice(b"...");
            }
            Product::MySql => whole.truncate(QUOTED_MAX),
        }
    }
    Some([&message[..start], &whole, &message[end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str, rest: &str, product: Product) -> Option<String> {
        let error = ErrPacket { errno: SYNTAX, sqlstate: *b"42000", message: message.as_bytes() };
        let message = with_rest(&error, rest.as_bytes(), product)?;
        Some(String::from_utf8(message).expect("ASCII"))
    }

    /// As MariaDB 10.11 words them for the whole command.
    #[test]
    fn the_rest_of_the_command_is_quoted_too() {
        let maria = |message, rest| told(message, rest, Product::MariaDb);
        let message = "right syntax to use near 'FROM' at line 1";
        let whole = "right syntax to use near 'FROM  ;   SELECT 2' at line 1";
        assert_eq!(maria(message, "  ;   SELECT 2").as_deref(), Some(whole));
        assert_eq!(
            maria("near '' at line 3", ";SELECT 2").as_deref(),
            Some("near ';SELECT 2' at line 3")
        );
        let rest = format!("; SELECT {}", "1234567890".repeat(8));
        let cut = format!("near 'BAR; SELECT {}12345...' at line 1", "1234567890".repeat(6));
        assert_eq!(maria("near 'BAR' at line 1", &rest).as_deref(), Some(&*cut));
        let cut = format!("near 'BAR; SELECT {}12345678' at line 1", "1234567890".repeat(6));
        assert_eq!(told("near 'BAR' at line 1", &rest, Product::MySql).as_deref(), Some(&*cut));
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        assert_eq!(told("near 'FROM' at line 1", "", Product::MySql), None);
        assert_eq!(told("near 'FROM' at line 1", "; é", Product::MySql), None);
        assert_eq!(told("Query was empty", "; SELECT 2", Product::MySql), None);
        let full = format!("near '{}' at line 1", "x".repeat(80));
        assert_eq!(told(&full, "; SELECT 2", Product::MySql), None);
        let error = ErrPacket { errno: 1146, sqlstate: *b"42S02", message: b"near 'a' at line 1" };
        assert_eq!(with_rest(&error, b"; SELECT 2", Product::MySql), None);
    }
}
