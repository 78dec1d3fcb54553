//! `geogate check`: configuration, topology and VSchema together; with `--live` it also logs in to
//! every server. It does not look at what is on the servers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::{self, StartError};
use crate::config::Config;
use crate::topology::Topology;
use crate::vschema::{Sources, Strictness, VSchema, render_text};
use crate::{canary, config, topology};

/// Arguments of `geogate check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate check --config geogate.toml")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also log in to the servers, as the proxy does
    #[arg(long)]
    live: bool,
}

/// Prints all problems, those first that others may come from.
pub fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            let mut problems = vec![error.to_string()];
            let validated = error.vschema.as_deref().map(vschema);
            problems.extend(validated.and_then(Result::err));
            return super::fail(super::PROBLEMS, &problems.join("\n"));
        }
    };
    let mut problems = app::problems(&config);
    let topology = topology::build(&config.keyspaces).unwrap_or_else(|found| {
        problems.extend(found.iter().map(|problem| format!("error: {problem}")));
        topology::Topology::default()
    });
    match vschema(&config.vschema) {
        Err(text) => problems.push(text),
        // Whether they fit together can be said only of a topology.
        Ok(vschema) if topology.keyspaces().len() > 0 => {
            let misfits = canary::fit(&vschema, &topology);
            problems.extend(misfits.iter().map(|problem| format!("error: {problem}")));
        }
        Ok(_) => {}
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

/// A VSchema, whose warnings are printed, or what is wrong with it.
fn vschema(path: &Path) -> Result<VSchema, String> {
    let sources = Sources::read(path).map_err(|error| format!("error: {error}"))?;
    let validated = sources.validate(Strictness::Strict);
    let text = || render_text(&validated.problems).trim_end().to_owned();
    let Some(vschema) = validated.vschema else { return Err(text()) };
    if !validated.problems.is_empty() {
        complain!("{}", text());
    }
    Ok(vschema)
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
