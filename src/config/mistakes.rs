//! Reads the text of a configuration to its end, whatever is wrong in it.
//!
//! A text that is no TOML has one mistake, the first: behind it nothing is certain. Otherwise what
//! does not fit (an unknown key, a value of another kind) is told, taken out, and the rest is read
//! again.

use std::ops::Range;

use super::raw::RawConfig;

/// Somebody who has made more mistakes has enough to do.
const MISTAKES_MAX: usize = 50;

/// What could be read, and what could not.
pub(super) fn read(text: &str) -> (Option<RawConfig>, Vec<String>) {
    let told = |error: toml::de::Error| error.to_string().trim_end().to_owned();
    if let Err(error) = toml::from_str::<toml::Table>(text) {
        return (None, vec![told(error)]);
    }
    let (mut text, mut mistakes) = (text.to_owned(), Vec::new());
    while mistakes.len() < MISTAKES_MAX {
        let error = match toml::from_str(&text) {
            Ok(raw) => return (Some(raw), mistakes),
            Err(error) => error,
        };
        let span = toml::de::Error::span(&error);
        mistakes.push(told(error));
        let Some(rest) = span.and_then(|span| without(&text, span)) else { break };
        text = rest;
    }
    (None, mistakes)
}

/// The text without the lines of a span: a key with its value, or a table with all that is below
/// it. Lines keep their numbers. `None` if that takes nothing out.
fn without(text: &str, span: Range<usize>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut at, mut table) = (0, None);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let is_meant = at < span.end.max(span.start + 1) && span.start < end;
        if let Some(name) = header(line) {
            let is_below = |table: &str| {
                name.strip_prefix(table)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            table = if is_meant { Some(name) } else { table.filter(|table| is_below(table)) };
        }
        if is_meant || table.is_some() {
            out.extend(line.chars().filter(|char| *char == '\n'));
        } else {
            out.push_str(line);
        }
        at = end;
    }
    (out.len() < text.len()).then_some(out)
}

/// The name in `[name]` or `[[name]]`.
fn header(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix('[')?;
    let line = line.strip_prefix('[').unwrap_or(line);
    line.split_once(']').map(|(name, _)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> (bool, Vec<String>) {
        let (raw, mistakes) = read(text);
        let line = |mistake: &String| {
            let (place, what) = mistake.split_once('\n').unwrap_or((mistake, ""));
            format!("{place}: {}", what.lines().last().unwrap_or_default())
        };
        (raw.is_some(), mistakes.iter().map(line).collect())
    }

    #[test]
    fn every_mistake_has_its_line() {
        let text = "[proxy]\nworkers = \"two\"\nregoin = \"a\"\n[limit]\nfan_out_max = 1\n\
                    [limit.deeper]\nx = 1\n[tls]\nmode = \"sometimes\"\n[listen]\ncompression = [\n  \
                    \"gzip\",\n  \"zlib\",\n]\n[[user]]\nname = 5\nhash = { native = 1 }\n";
        let (read, found) = mistakes(text);
        let lines = |at: usize| found.iter().any(|m| m.contains(&format!("line {at},")));
        assert!(read, "{found:?}");
        assert_eq!(found.len(), 7, "{found:#?}");
        for line in [2, 3, 4, 9, 12, 16, 17] {
            assert!(lines(line), "line {line} of {found:#?}");
        }
    }

    #[test]
    fn what_is_no_toml_has_one_mistake() {
        let (read, found) = mistakes("[proxy\nworkers = \"two\"\n[limit]\n");
        assert!(!read);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
