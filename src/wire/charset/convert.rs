//! Text between UTF-8 and a client's character set, for names and for answers that are made here.
//!
//! Character sets of one byte are converted exactly. Of the Chinese, Japanese and Korean ones only
//! ASCII is known: what else they hold is not read ([`to_utf8`] gives `None`), and written as `?`,
//! as servers do with what a charset lacks.

use std::borrow::Cow;

use super::upper_half::upper_half;

/// How a character set relates to UTF-8.
#[derive(Clone, Copy)]
enum Form {
    /// It is UTF-8, with characters of at most so many bytes.
    Utf8 { longest: usize },
    /// One byte a character: ASCII, and these.
    OneByte(&'static [u16; 128]),
    /// Beyond ASCII it is not known here.
    AsciiOnly,
    /// Not even its ASCII bytes mean ASCII.
    Foreign,
}

impl Form {
    fn of(charset: &str) -> Self {
        match charset {
            // A server takes a name in bytes for one in UTF-8.
            "utf8mb4" | "binary" => Self::Utf8 { longest: 4 },
            "utf8mb3" | "utf8" => Self::Utf8 { longest: 3 },
            "swe7" | "ucs2" | "utf16" | "utf16le" | "utf32" => Self::Foreign,
            one_byte => upper_half(one_byte).map_or(Self::AsciiOnly, Self::OneByte),
        }
    }
}

/// Text of a character set (its name in lower case) in UTF-8. `None`: it is not valid, or the
/// charset is not known well enough.
pub fn to_utf8<'a>(charset: &str, text: &'a [u8]) -> Option<Cow<'a, str>> {
    let upper = match Form::of(charset) {
        Form::Foreign => return None,
        _ if text.is_ascii() => return std::str::from_utf8(text).ok().map(Cow::Borrowed),
        Form::Utf8 { .. } => return std::str::from_utf8(text).ok().map(Cow::Borrowed),
        Form::AsciiOnly => return None,
        Form::OneByte(upper) => upper,
    };
    let character = |byte: &u8| match byte {
        0..=0x7f => Some(char::from(*byte)),
        high => match upper.get(usize::from(*high - 0x80)) {
            None | Some(0) => None,
            Some(code) => char::from_u32(u32::from(*code)),
        },
    };
    text.iter().map(character).collect::<Option<String>>().map(Cow::Owned)
}

/// Text in a character set (its name in lower case), `?` for each character that it lacks or that
/// is not known here.
pub fn from_utf8<'a>(charset: &str, text: &'a str) -> Cow<'a, [u8]> {
    from_utf8_or(charset, text, |_, out| out.push(b'?'))
}

/// The same for the text of an error, where servers write what a charset lacks as `\00EB`
/// (`convert_error_message` in MariaDB's `sql/sql_error.cc`).
pub fn error_from_utf8<'a>(charset: &str, text: &'a str) -> Cow<'a, [u8]> {
    from_utf8_or(charset, text, |missing, out| {
        let code = u32::from(missing);
        let escape = if code > 0xffff { format!("\\+{code:06X}") } else { format!("\\{code:04X}") };
        out.extend_from_slice(escape.as_bytes());
    })
}

fn from_utf8_or<'a>(
    charset: &str,
    text: &'a str,
    missing: impl Fn(char, &mut Vec<u8>),
) -> Cow<'a, [u8]> {
    let form = Form::of(charset);
    let fits = match form {
        Form::Utf8 { longest } => text.chars().all(|c| c.len_utf8() <= longest),
        Form::Foreign => false,
        Form::OneByte(_) | Form::AsciiOnly => text.is_ascii(),
    };
    if fits {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        match form {
            Form::Utf8 { longest } if character.len_utf8() <= longest => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Form::OneByte(upper) if !character.is_ascii() => {
                match upper.iter().position(|code| u32::from(*code) == u32::from(character)) {
                    Some(at) => out.push(at as u8 + 0x80),
                    None => missing(character, &mut out),
                }
            }
            Form::OneByte(_) | Form::AsciiOnly if character.is_ascii() => out.push(character as u8),
            Form::Foreign if character.is_ascii_alphanumeric() || character == ' ' => {
                out.push(character as u8);
            }
            _ => missing(character, &mut out),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_charsets_both_ways() {
        for (charset, bytes, text) in [
            ("latin1", &b"t\xebst \x80"[..], "tëst €"),
            ("latin2", b"\xb1", "ą"),
            ("cp1251", b"\xef\xf0", "пр"),
            ("koi8r", b"\xd0\xd2", "пр"),
            ("utf8mb4", "tëst 😀".as_bytes(), "tëst 😀"),
            ("binary", "ë".as_bytes(), "ë"),
            ("gbk", b"plain", "plain"),
        ] {
            assert_eq!(to_utf8(charset, bytes).as_deref(), Some(text), "{charset}");
            assert_eq!(*from_utf8(charset, text), *bytes, "{charset}");
        }
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(to_utf8("gbk", b"\xbf\x5c"), None);
        assert_eq!(to_utf8("swe7", b"["), None);
        assert_eq!(to_utf8("utf8mb4", b"\xff"), None);
        assert_eq!(to_utf8("cp1257", b"\xa1"), None);
        assert_eq!(*from_utf8("gbk", "tëst"), *b"t?st");
        assert_eq!(*from_utf8("ascii", "tëst"), *b"t?st");
        assert_eq!(*from_utf8("latin1", "ą"), *b"?");
        assert_eq!(*from_utf8("utf8mb3", "a😀ë"), *"a?ë".as_bytes());
        assert_eq!(*error_from_utf8("ascii", "tëst 😀"), *br"t\00EBst \+01F600");
    }
}
