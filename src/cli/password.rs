//! A password that is not on the command line, where every process of the machine can read it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Where the mysql and mariadb programs look for it too.
pub(super) const VARIABLE: &str = "MYSQL_PWD";

/// From a file, the environment, or whoever sits at the terminal; empty if there is none of these.
pub(super) fn find(file: Option<&Path>, whose: &str) -> io::Result<String> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Ok(password) = std::env::var(VARIABLE) {
        return Ok(password);
    }
    if io::stdin().is_terminal() { ask(whose) } else { Ok(String::new()) }
}

/// Asks without showing what is typed.
pub(super) fn ask(whose: &str) -> io::Result<String> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    eprint!("password of {whose}: ");
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let mut line = String::new();
    let read = terminal.lock().read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Flush, &before)?;
    complain!("");
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
