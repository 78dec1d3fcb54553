//! What a server gives every new session that changes how statements are read, what they answer, or
//! when they are committed.
//!
//! A session begins with what a connection to the server was given last, and every connection
//! knows what it was given itself: so both agree at any time, whatever becomes of the server's
//! global variables meanwhile, as a session of a server keeps what it began with.

use std::sync::Arc;

use super::server_kind::{ServerKind, server_identity};
use super::settings::{Names, Settings};
use crate::topology::Identity;

/// Values of new sessions, as SQL literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// In the order of [`VARIABLES`].
    literals: [Vec<u8>; VARIABLES.len()],
}

/// How a variable is asked for, and its literal made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// A number, also where the server would show a word.
    Number,
}

/// Variables that every server has and everybody may set, whose value after login goes with the
/// session. What differs from server to server by purpose (`auto_increment_offset`) is not among
/// them, nor are the patience of a server and what decides whether a statement goes to several.
const VARIABLES: [(&str, Form); 13] = [
    ("sql_mode", Form::Text),
    ("autocommit", Form::Number),
    ("completion_type", Form::Number),
    ("default_week_format", Form::Number),
    ("div_precision_increment", Form::Number),
    ("foreign_key_checks", Form::Number),
    ("group_concat_max_len", Form::Number),
    ("lc_time_names", Form::Text),
    ("max_error_count", Form::Number),
    ("max_sort_length", Form::Number),
    ("time_zone", Form::Text),
    ("transaction_isolation", Form::Text),
    ("unique_checks", Form::Number),
];

/// Which value is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The one that this session has.
    Session,
    /// The one that new sessions will have.
    Global,
}

impl Defaults {
    /// Whether a session keeps what this variable was when it began.
    pub fn hold(name: &str) -> bool {
        VARIABLES.iter().any(|(held, _)| *held == name)
    }

    /// The columns that ask for the values; answered by [`read`](Self::read).
    pub(super) fn columns(asked: Asked, kind: &ServerKind) -> String {
        let scope = match asked {
            Asked::Session => "session",
            Asked::Global => "global",
        };
        let column = |(name, form): &(&str, Form)| {
            let number = if *form == Form::Number { " + 0" } else { "" };
            format!("@@{scope}.{}{number}", kind.variable_name(name))
        };
        VARIABLES.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// Reads an answer, in whatever character set it is: all values are characters of ASCII.
    pub(super) fn read(rows: &[Vec<Option<Vec<u8>>>]) -> Option<Self> {
        let cells = rows.first()?.get(..VARIABLES.len())?;
        let mut literals = <[Vec<u8>; VARIABLES.len()]>::default();
        for ((literal, cell), (_, form)) in literals.iter_mut().zip(cells).zip(VARIABLES) {
            let text: Vec<u8> = cell.as_ref()?.iter().copied().filter(|b| *b != 0).collect();
            *literal = match form {
                Form::Number if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => text,
                Form::Text if text.iter().copied().all(is_plain) => {
                    [b"'", &text[..], b"'"].concat()
                }
                _ => return None,
            };
        }
        Some(Self { literals })
    }

    /// Reads the server's identity behind the values.
    pub(super) fn read_identity(rows: &[Vec<Option<Vec<u8>>>]) -> Option<Identity> {
        let [Some(first), second] = rows.first()?.get(VARIABLES.len()..)? else { return None };
        let text = |cell: &Vec<u8>| String::from_utf8_lossy(cell).into_owned();
        server_identity(&text(first), second.as_ref().map(text).as_deref())
    }

    /// Puts them into the settings of a session that begins.
    pub fn enter(&self, settings: &mut Settings) {
        for ((name, _), literal) in VARIABLES.iter().zip(&self.literals) {
            settings.set(name, literal.clone());
        }
    }
}

/// What stands for itself in a string, whatever the sql_mode is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')
}

/// What a server gives new sessions, as it was seen last.
#[derive(Debug, Default)]
pub(super) struct SeenDefaults {
    /// Counts the times that its global variables were asked for.
    looks: u32,
    defaults: Option<Arc<Defaults>>,
    /// The settings with which sessions begin, by character set: sessions that set nothing share
    /// theirs, and so are known to be alike by a look.
    first: Vec<Arc<Settings>>,
}

/// So many are kept: clients log in with few character sets.
const FIRST_MAX: usize = 16;

impl SeenDefaults {
    /// The values; `None` before the server was reached.
    pub(super) fn defaults(&self) -> Option<Arc<Defaults>> {
        self.defaults.clone()
    }

    /// How often the server was looked at, for [`note`](Self::note).
    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    /// Notes what a new session was given, unless the server was looked at since `looks`: then this
    /// is the older of the two.
    pub(super) fn note(&mut self, defaults: Defaults, looks: u32) {
        if self.looks == looks {
            self.enter(defaults);
        }
    }

    /// Notes what the server says that it gives new sessions now.
    pub(super) fn note_look(&mut self, defaults: Defaults) {
        self.looks = self.looks.wrapping_add(1);
        self.enter(defaults);
    }

    fn enter(&mut self, defaults: Defaults) {
        if self.defaults.as_deref() != Some(&defaults) {
            self.defaults = Some(Arc::new(defaults));
            self.first.clear();
        }
    }

    /// The settings of a session that begins with a character set.
    pub(super) fn first_settings(&mut self, names: Names) -> Arc<Settings> {
        if let Some(settings) = self.first.iter().find(|settings| *settings.names() == names) {
            return Arc::clone(settings);
        }
        let mut settings = Settings::new(names);
        if let Some(defaults) = &self.defaults {
            defaults.enter(&mut settings);
        }
        let settings = Arc::new(settings);
        if self.first.len() == FIRST_MAX {
            self.first.remove(0);
        }
        self.first.push(Arc::clone(&settings));
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with one value of each variable, in a character set of so many bytes.
    fn answer(width: usize, change: (&str, &str)) -> Vec<Vec<Option<Vec<u8>>>> {
        let cell = |(name, form): (&str, Form)| {
            let value = if name == change.0 {
                change.1
            } else if form == Form::Number {
                "1"
            } else {
                "ANSI_QUOTES,ORACLE"
            };
            let wide = |byte: u8| [vec![0; width - 1], vec![byte]].concat();
            Some(value.bytes().flat_map(wide).collect())
        };
        vec![VARIABLES.map(cell).to_vec()]
    }

    #[test]
    fn answers_are_read_in_any_character_set() {
        let zone = ("time_zone", "+05:30");
        let plain = Defaults::read(&answer(1, zone)).expect("an answer");
        assert_eq!(Defaults::read(&answer(2, zone)), Some(plain.clone()));
        let mut settings = Settings::new(Names::utf8mb4());
        plain.enter(&mut settings);
        assert_eq!(settings.get("sql_mode"), Some(&b"'ANSI_QUOTES,ORACLE'"[..]));
        assert_eq!(settings.get("autocommit"), Some(&b"1"[..]));
        assert_eq!(settings.get("time_zone"), Some(&b"'+05:30'"[..]));
        assert_eq!(Defaults::read(&answer(1, ("sql_mode", "it's"))), None);
        assert_eq!(Defaults::read(&answer(1, ("autocommit", "ON"))), None);
        assert_eq!(Defaults::read(&[]), None);
    }

    #[test]
    fn servers_are_asked_by_their_names_of_variables() {
        let old = ServerKind::parse(b"10.11.6-MariaDB");
        let columns = Defaults::columns(Asked::Session, &old);
        assert!(columns.starts_with("@@session.sql_mode, @@session.autocommit + 0"), "{columns}");
        assert!(columns.contains("@@session.tx_isolation"), "{columns}");
    }

    #[test]
    fn sessions_that_begin_alike_share_their_settings() {
        let mut seen = SeenDefaults::default();
        let read = |zone| Defaults::read(&answer(1, ("time_zone", zone))).expect("an answer");
        seen.note(read("+01:00"), 0);
        let first = seen.first_settings(Names::utf8mb4());
        assert!(Arc::ptr_eq(&first, &seen.first_settings(Names::utf8mb4())));
        seen.note(read("+01:00"), 0);
        assert!(Arc::ptr_eq(&first, &seen.first_settings(Names::utf8mb4())));
        seen.note_look(read("+02:00"));
        let later = seen.first_settings(Names::utf8mb4());
        assert_eq!(later.get("time_zone"), Some(&b"'+02:00'"[..]));
        seen.note(read("+01:00"), 0);
        assert!(Arc::ptr_eq(&later, &seen.first_settings(Names::utf8mb4())));
    }
}
