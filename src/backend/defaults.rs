//! What a server gives every new session that changes how statements are read or when they are
//! committed.
//!
//! A session begins with what a connection to the server was given last, and every connection
//! knows what it was given itself: so both agree at any time, whatever becomes of the server's
//! global variables meanwhile, as a session of a server keeps what it began with.

use super::server_kind::server_identity;
use super::settings::Settings;
use crate::topology::Identity;

/// Values of new sessions, as SQL literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    sql_mode: Vec<u8>,
    autocommit: Vec<u8>,
    completion_type: Vec<u8>,
}

impl Defaults {
    /// Asks for the values that a connection has; answered by [`read`](Self::read). The identity of
    /// the server stands behind them.
    pub const OF_SESSION: &str =
        "SELECT @@session.sql_mode, @@session.autocommit + 0, @@session.completion_type + 0";
    /// Asks for the values that new connections will have.
    pub const OF_SERVER: &[u8] =
        b"SELECT @@global.sql_mode, @@global.autocommit + 0, @@global.completion_type + 0";

    /// Reads an answer, in whatever character set it is: all values are letters of ASCII.
    pub fn read(rows: &[Vec<Option<Vec<u8>>>]) -> Option<Self> {
        let [Some(sql_mode), Some(autocommit), Some(completion_type), ..] = &rows.first()?[..]
        else {
            return None;
        };
        let ascii = |cell: &[u8]| cell.iter().copied().filter(|b| *b != 0).collect::<Vec<u8>>();
        let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"_,".contains(b);
        let (sql_mode, autocommit) = (ascii(sql_mode), ascii(autocommit));
        let completion_type = ascii(completion_type);
        if !sql_mode.iter().all(is_plain)
            || !matches!(&autocommit[..], b"0" | b"1")
            || !matches!(&completion_type[..], b"0" | b"1" | b"2")
        {
            return None;
        }
        let sql_mode = [b"'", &sql_mode[..], b"'"].concat();
        Some(Self { sql_mode, autocommit, completion_type })
    }

    /// Reads the server's identity behind the values.
    pub fn read_identity(rows: &[Vec<Option<Vec<u8>>>]) -> Option<Identity> {
        let [_, _, _, Some(first), second] = &rows.first()?[..] else { return None };
        let text = |cell: &Vec<u8>| String::from_utf8_lossy(cell).into_owned();
        server_identity(&text(first), second.as_ref().map(text).as_deref())
    }

    /// Puts them into the settings of a session that begins.
    pub fn enter(&self, settings: &mut Settings) {
        settings.set("sql_mode", self.sql_mode.clone());
        settings.set("autocommit", self.autocommit.clone());
        settings.set("completion_type", self.completion_type.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Names;
    use super::*;

    fn row(cells: [&[u8]; 3]) -> Vec<Vec<Option<Vec<u8>>>> {
        vec![cells.map(|cell| Some(cell.to_vec())).to_vec()]
    }

    #[test]
    fn answers_are_read_in_any_character_set() {
        let plain = Defaults::read(&row([b"ANSI_QUOTES,ORACLE", b"1", b"2"])).expect("an answer");
        let wide =
            row([b"\0A\0N\0S\0I\0_\0Q\0U\0O\0T\0E\0S\0,\0O\0R\0A\0C\0L\0E", b"\x001", b"\x002"]);
        assert_eq!(Defaults::read(&wide), Some(plain.clone()));
        let mut settings = Settings::new(Names::utf8mb4());
        plain.enter(&mut settings);
        assert_eq!(settings.get("sql_mode"), Some(&b"'ANSI_QUOTES,ORACLE'"[..]));
        assert_eq!(settings.get("autocommit"), Some(&b"1"[..]));
        assert_eq!(settings.get("completion_type"), Some(&b"2"[..]));
        assert_eq!(Defaults::read(&row([b"it's", b"1", b"0"])), None);
        assert_eq!(Defaults::read(&row([b"", b"2", b"0"])), None);
        assert_eq!(Defaults::read(&[]), None);
    }
}
