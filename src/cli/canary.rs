//! `geogate canary`: a candidate VSchema for a share of the sessions of a running proxy.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::remote::{Remote, document};
use crate::canary::{InvalidWeight, Weight};

/// Arguments of `geogate canary`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Gives a candidate a share of the sessions: geogate canary start vschema-new/ --percent 5
    Start {
        /// The candidate: a VSchema folder or file
        path: PathBuf,
        /// Its share, 0 to 100, with up to two decimals
        #[arg(long, default_value = "1", value_parser = percent)]
        percent: Weight,
    },
    /// Shows the canary that runs: geogate canary status
    Status,
    /// Changes its share: geogate canary set 12.5
    Set {
        /// The share, 0 to 100, with up to two decimals
        #[arg(value_parser = percent)]
        percent: Weight,
    },
    /// Ends it; everyone goes back to the stable VSchema: geogate canary abort
    Abort,
    /// Ends it; everyone gets the candidate: geogate canary promote
    Promote,
}

fn percent(text: &str) -> Result<Weight, InvalidWeight> {
    Weight::parse_percent(text)
}

/// Exit code 0: done, 1: refused, 2: the proxy cannot be asked.
pub fn run(args: &Args) -> ExitCode {
    match answer(args) {
        Ok(text) => {
            say!("{text}");
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn answer(args: &Args) -> Result<String, ExitCode> {
    const PATH: &str = "/api/v1/canary";
    let remote = &args.remote;
    Ok(match &args.command {
        Command::Start { path, percent } => {
            let mut body = document(path)?;
            body["percent"] = json!(percent.percent());
            let started = remote.request("POST", PATH, &[], Some(&body))?;
            for caution in started["cautions"].as_array().into_iter().flatten() {
                complain!("warning: {}", caution.as_str().unwrap_or_default());
            }
            let (version, previous) = (&started["version"], &started["previous"]);
            format!(
                "canary started: version {version} serves {percent} of the sessions, version \
                 {previous} the others"
            )
        }
        Command::Status => describe(&remote.request("GET", PATH, &[], None)?),
        Command::Set { percent } => {
            let body = json!({"percent": percent.percent()});
            let set = remote.request("PATCH", PATH, &[], Some(&body))?;
            format!("version {} serves {percent} of the sessions", set["version"])
        }
        Command::Abort => {
            let ended = remote.request("DELETE", PATH, &[], None)?;
            format!("canary aborted: version {} serves everyone", ended["version"])
        }
        Command::Promote => {
            let ended = remote.request("POST", &format!("{PATH}/promote"), &[], None)?;
            format!("canary promoted: version {} serves everyone", ended["version"])
        }
    })
}

/// The status as sentences.
fn describe(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let canary = &status["canary"];
    let mut lines = vec![if canary.is_null() {
        format!("no canary is running; version {} serves everyone", status["stable"])
    } else {
        format!(
            "canary: version {} serves {} % of the sessions, version {} the others\nstarted {} by {}",
            canary["candidate"],
            canary["percent"].as_f64().unwrap_or_default(),
            status["stable"],
            text(&canary["started_at"]),
            text(&canary["started_by"]),
        )
    }];
    for generation in status["generations"].as_array().into_iter().flatten() {
        let cache = &generation["plan_cache"];
        lines.push(format!(
            "version {}: {} plans, {} hits, {} misses",
            generation["version"], cache["entries"], cache["hits"], cache["misses"]
        ));
    }
    let last = &status["last_canary"];
    if !last.is_null() {
        lines.push(format!(
            "the last canary (version {}) was {} {} by {}",
            last["candidate"],
            text(&last["outcome"]),
            text(&last["at"]),
            text(&last["by"])
        ));
    }
    lines.join("\n")
}
