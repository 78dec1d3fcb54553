//! `geogate check`: configuration, topology and VSchema together, without asking a server.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::vschema::{Sources, Strictness, render_text};
use crate::{canary, config, topology};

/// Validate configuration, topology and VSchema together.
///
/// Example: geogate check --config geogate.toml
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also ask the servers.
    #[arg(long)]
    live: bool,
}

/// Prints all problems.
pub fn run(args: &Args) -> ExitCode {
    if args.live {
        let error = "error: --live is not there yet; without it nothing on the servers is checked";
        return super::fail(super::USAGE, &error);
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return super::fail(super::PROBLEMS, &error),
    };
    let mut problems = Vec::new();
    let topology = topology::build(&config.keyspaces).unwrap_or_else(|found| {
        problems.extend(found.iter().map(|problem| format!("error: {problem}")));
        topology::Topology::default()
    });
    match Sources::read(&config.vschema) {
        Err(error) => problems.push(format!("error: {error}")),
        Ok(sources) => {
            let validated = sources.validate(Strictness::Strict);
            let text = render_text(&validated.problems);
            match &validated.vschema {
                None => problems.push(text),
                Some(_) if validated.problems.is_empty() => {}
                Some(_) => eprintln!("{text}"),
            }
            if let (Some(vschema), true) = (&validated.vschema, problems.is_empty()) {
                let misfits = canary::fit(vschema, &topology);
                problems.extend(misfits.iter().map(|problem| format!("error: {problem}")));
            }
        }
    }
    if !problems.is_empty() {
        return super::fail(super::PROBLEMS, &problems.join("\n"));
    }
    let (servers, keyspaces) = (topology.servers().len(), topology.keyspaces().len());
    println!("{}: fine; {keyspaces} keyspaces on {servers} servers", args.config.display());
    ExitCode::SUCCESS
}
