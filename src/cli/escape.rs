//! Text from others, for a terminal or a line of a log.

/// The text without anything that ends a line, steers a terminal or turns the direction of
/// writing: these characters are written as Rust writes them in a literal.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            char if is_unsafe(char) => out.extend(char.escape_default()),
            char => out.push(char),
        }
    }
    out
}

fn is_unsafe(char: char) -> bool {
    let steers_direction = matches!(char, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}');
    char.is_control() || steers_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_no_steering() {
        let cases = [
            ("plain é 東京", "plain é 東京"),
            ("a\r\nb\tc\\n", "a\\r\\nb\\tc\\\\n"),
            ("\x1b]0;x\x07\u{9b}2J", "\\u{1b}]0;x\\u{7}\\u{9b}2J"),
            ("\u{202e}txt\u{2028}", "\\u{202e}txt\\u{2028}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
    }
}
