//! `geogate user hash`: password hashes for the configuration.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use super::password;
use crate::wire::auth::{caching_sha2, native};

/// Accounts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the hashes of a password for `[[user]] hash`, so that the file has no clear text.
    ///
    /// Asks for the password, or reads it from standard input if that is no terminal.
    /// Example: geogate user hash < password.txt
    Hash,
}

/// Runs a subcommand.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Hash => hash(),
    }
}

fn hash() -> ExitCode {
    let password = match password() {
        Ok(password) => password,
        Err(error) => {
            return super::fail(super::USAGE, &format!("cannot read the password: {error}"));
        }
    };
    let password = password.as_bytes();
    let native = hex(&native::stored(password)).to_uppercase();
    let sha2 = hex(&caching_sha2::stored(password));
    say!("hash = {{ native = \"*{native}\", sha2 = \"{sha2}\" }}");
    ExitCode::SUCCESS
}

fn password() -> io::Result<String> {
    if io::stdin().is_terminal() {
        return password::ask("the account");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
