//! `geogate user hash`: password hashes for the configuration.

use std::io::BufRead;
use std::process::ExitCode;

use crate::wire::auth::{caching_sha2, native};

/// Accounts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the hashes of a password for `[[user]] hash`, so that the file has no clear text.
    ///
    /// Reads the password from standard input. Example: echo secret | geogate user hash
    Hash,
}

/// Runs a subcommand.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Hash => hash(),
    }
}

fn hash() -> ExitCode {
    let mut password = String::new();
    if let Err(error) = std::io::stdin().lock().read_line(&mut password) {
        return super::fail(super::USAGE, &format!("cannot read the password: {error}"));
    }
    let password = password.trim_end_matches(['\r', '\n']).as_bytes();
    let native = hex(&native::stored(password)).to_uppercase();
    let sha2 = hex(&caching_sha2::stored(password));
    say!("hash = {{ native = \"*{native}\", sha2 = \"{sha2}\" }}");
    ExitCode::SUCCESS
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
