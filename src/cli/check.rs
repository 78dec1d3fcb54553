//! `geogate check`: configuration, topology and VSchema together; with `--live` it also logs in to
//! every server. It does not look at what is on the servers.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::{self, StartError};
use crate::config::Config;
use crate::topology::Topology;
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
    /// Also log in to the servers, as the proxy does
    #[arg(long)]
    live: bool,
}

/// Prints all problems.
pub fn run(args: &Args) -> ExitCode {
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
                Some(_) => complain!("{text}"),
            }
            if let (Some(vschema), true) = (&validated.vschema, problems.is_empty()) {
                let misfits = canary::fit(vschema, &topology);
                problems.extend(misfits.iter().map(|problem| format!("error: {problem}")));
            }
        }
    }
    if args.live && problems.is_empty() {
        match live(&config, &topology) {
            Ok(found) => problems.extend(found),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if !problems.is_empty() {
        return super::fail(super::PROBLEMS, &problems.join("\n"));
    }
    let (servers, keyspaces) = (topology.servers().len(), topology.keyspaces().len());
    say!("{}: fine; {keyspaces} keyspaces on {servers} servers", args.config.display());
    ExitCode::SUCCESS
}

/// The servers that do not let Geogate in; prints what the others are.
fn live(config: &Config, topology: &Topology) -> Result<Vec<String>, StartError> {
    let mut problems = Vec::new();
    for ((_, server), greeted) in topology.servers().zip(app::greet_servers(config, topology)?) {
        match greeted {
            Ok(version) => say!("{}: {version}", server.address),
            Err(error) => {
                let advice = match error.account_trouble() {
                    Some((trouble, _)) => format!("\n   = help: {}", trouble.advice()),
                    None => String::new(),
                };
                problems.push(format!("error: server {error}{advice}"));
            }
        }
    }
    Ok(problems)
}
