//! The command line, one file a subcommand.

/// Prints a line; see [`printed`].
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::printed(&mut std::io::stdout(), format_args!($($text)*)) };
}

/// Prints a line to standard error; see [`printed`].
macro_rules! complain {
    ($($text:tt)*) => { $crate::cli::printed(&mut std::io::stderr(), format_args!($($text)*)) };
}

mod allocator;
pub mod canary;
pub mod check;
mod escape;
pub mod explain;
pub mod init;
mod log;
mod password;
mod remote;
pub mod serve;
pub mod servers;
pub mod sessions;
pub mod user;
pub mod vindex;
pub mod vschema;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// SQL routing proxy for sharded, multi-region MySQL and MariaDB.
#[derive(Debug, Parser)]
#[command(name = "geogate", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve(serve::Args),
    /// Write a configuration in front of an existing server.
    Init(init::Args),
    /// Give a candidate VSchema a share of the sessions.
    Canary(canary::Args),
    /// Show who is connected to a running proxy.
    Sessions(sessions::Args),
    /// Show the servers of a running proxy, or admit one.
    Servers(servers::Args),
    /// Accounts.
    #[command(subcommand)]
    User(user::Command),
    /// Validate configuration, topology and VSchema together.
    Check(check::Args),
    /// Plan statements offline.
    Explain(explain::Args),
    /// Map values through a vindex, or run test vectors.
    Vindex(vindex::Args),
    /// Offline work on VSchema files.
    Vschema(vschema::Args),
}

/// Exit code for problems that were found.
pub const PROBLEMS: u8 = 1;
/// Exit code for wrong usage or unreadable input.
pub const USAGE: u8 = 2;

/// Runs the command line.
pub fn main() -> ExitCode {
    remote::hide_token();
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Canary(args) => canary::run(&args),
        Command::Sessions(args) => sessions::run(&args),
        Command::Servers(args) => servers::run(&args),
        Command::User(command) => user::run(&command),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Vindex(args) => vindex::run(&args),
        Command::Vschema(args) => vschema::run(&args),
    }
}

/// Prints an error and gives the exit code for it.
fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    complain!("{error}");
    ExitCode::from(code)
}

/// Writes a line. Where nobody reads any more (`geogate ... | head`) there is nobody to be told,
/// and the exit code stays what it is; a full disk is another matter.
fn printed(to: &mut dyn std::io::Write, text: std::fmt::Arguments<'_>) {
    let written = to.write_fmt(text).and_then(|()| to.write_all(b"\n"));
    if written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe) {
        std::process::exit(i32::from(PROBLEMS));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_tells_what_a_command_needs() {
        let mut command = Cli::command();
        command.build();
        let cases =
            [("serve", "SIGHUP"), ("init", "MYSQL_PWD"), ("check", "Example: geogate check")];
        for (name, expected) in cases {
            let found = command.find_subcommand_mut(name).expect("it is a command");
            let help = found.render_long_help().to_string();
            assert!(help.contains(expected), "{help}");
        }
    }
}
