//! When two names mean the same column or alias.

/// Whether servers may take both names for the same one. They compare them without regard to case,
/// each release by its own table of letters: two names are the same here if any of these says so,
/// because a sharding column that is not known for one is changed without a look.
pub fn same_name(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().map(fold).eq(b.chars().map(fold))
}

/// The name in the one spelling that all names have which are the same to [`same_name`].
pub fn name_key(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.chars().map(fold).collect() }
}

/// A letter in upper case and then in lower case: `ς` is `σ` to some servers, and `ı` is `i`.
fn fold(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    let upper = match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => letter,
    };
    // Of one letter only the lower case is longer: `İ`, the first of which is `i`.
    upper.to_lowercase().next().unwrap_or(upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_count_in_any_script() {
        for (a, b) in [
            ("id", "ID"),
            ("clé", "CLÉ"),
            ("ключ", "КЛЮЧ"),
            ("οδος", "ΟΔΟΣ"),
            ("ος", "οσ"),
            ("\u{212a}ey", "key"),
            ("İd", "id"),
            ("ıd", "ID"),
            ("ǆ", "ǅ"),
            ("ß", "ẞ"),
        ] {
            assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
            assert_eq!(name_key(a), name_key(b));
        }
    }

    #[test]
    fn accents_count() {
        for (a, b) in [("clé", "cle"), ("id", "id "), ("ß", "ss"), ("a", "ａ")] {
            assert!(!same_name(a, b), "{a} {b}");
            assert_ne!(name_key(a), name_key(b));
        }
    }
}
