//! Entry point of the `geogate` binary; everything else is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    geogate::cli::main()
}
