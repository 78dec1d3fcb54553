//! `geogate vschema`: offline work on VSchema files, and the VSchema of a running proxy.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::remote::{self, Remote};
use crate::vschema::{Problem, Severity, Sources, Strictness, render_json, render_text};

/// Arguments of `geogate vschema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Finds every problem of a VSchema: geogate vschema validate vschema/
    Validate(ValidateArgs),
    /// Puts a VSchema in service for everyone: geogate vschema apply vschema/ --if-version 3
    Apply(ApplyArgs),
    /// Lists the versions of a running proxy: geogate vschema history
    History {
        #[command(flatten)]
        remote: Remote,
    },
    /// Prints a version's files: geogate vschema show 3
    Show {
        /// The version; default: the active one
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Puts an earlier version back in service: geogate vschema rollback
    Rollback {
        /// The version; default: the one that served before
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Arguments of `geogate vschema apply`.
#[derive(Debug, clap::Args)]
struct ApplyArgs {
    /// A folder or one SrvVSchema or keyspace file
    path: PathBuf,
    /// Only find out what would happen
    #[arg(long)]
    dry_run: bool,
    /// Only if this version is active
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

/// Arguments of `geogate vschema validate`.
#[derive(Debug, clap::Args)]
struct ValidateArgs {
    /// A folder (KEYSPACE.json files and rules.json) or one SrvVSchema or keyspace file
    path: PathBuf,
    /// Accept what Vitess accepts: mistakes become warnings
    #[arg(long)]
    lenient: bool,
    /// How to print the problems
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Exit code 0: fine, 1: errors found, 2: unreadable.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Validate(args) => validate(args),
        Command::Apply(args) => print_answer(apply(args)),
        Command::History { remote } => print_answer(history(remote)),
        Command::Show { number, remote } => print_answer(show(*number, remote)),
        Command::Rollback { number, remote } => print_answer(rollback(*number, remote)),
    }
}

fn print_answer(answer: Result<String, ExitCode>) -> ExitCode {
    match answer {
        Ok(text) => {
            say!("{text}");
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn apply(args: &ApplyArgs) -> Result<String, ExitCode> {
    let body = remote::document(&args.path)?;
    let path = if args.dry_run { "/api/v1/vschema?dry_run=1" } else { "/api/v1/vschema" };
    let version = args.if_version.map(|version| format!("\"{version}\""));
    let condition = version.as_deref().map(|version| ("If-Match", version));
    let headers: Vec<_> = condition.into_iter().collect();
    let change = args.remote.request("PUT", path, &headers, Some(&body))?;
    Ok(remote::describe_change(&change))
}

fn history(remote: &Remote) -> Result<String, ExitCode> {
    let history = remote.request("GET", "/api/v1/vschema/history", &[], None)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |version: &Value| {
        let mark = if version["active"] == Value::Bool(true) { "active" } else { "" };
        vec![
            version["version"].to_string(),
            mark.to_owned(),
            text(&version["at"]),
            text(&version["by"]),
            text(&version["origin"]),
        ]
    };
    let draft = &history["draft"];
    let draft = draft.is_object().then(|| {
        let origin = format!("{}: {}", text(&draft["origin"]), text(&draft["reason"]));
        vec!["-".to_owned(), "draft".to_owned(), text(&draft["at"]), String::new(), origin]
    });
    let rows = history["versions"].as_array().into_iter().flatten().map(row);
    let rows: Vec<_> = draft.into_iter().chain(rows).collect();
    Ok(remote::table(&["version", "state", "at", "by", "origin"], &rows))
}

fn show(version: Option<u64>, remote: &Remote) -> Result<String, ExitCode> {
    let path = match version {
        Some(version) => format!("/api/v1/vschema?version={version}"),
        None => "/api/v1/vschema".to_owned(),
    };
    let answer = remote.request("GET", &path, &[], None)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![format!(
        "// version {} ({}), {} by {}",
        answer["version"],
        text(&answer["origin"]),
        text(&answer["at"]),
        text(&answer["by"])
    )];
    for (name, content) in answer["files"].as_object().into_iter().flatten() {
        lines.push(format!("// {name}\n{}", text(content).trim_end()));
    }
    if let Some(report) = answer["draft"]["report"].as_str() {
        let reason = text(&answer["draft"]["reason"]);
        let report = report.trim_end();
        lines.push(format!("// the files are a draft, which does not serve ({reason}):\n{report}"));
    }
    Ok(lines.join("\n"))
}

fn rollback(version: Option<u64>, remote: &Remote) -> Result<String, ExitCode> {
    let body = serde_json::json!({ "version": version });
    let change = remote.request("POST", "/api/v1/vschema/rollback", &[], Some(&body))?;
    Ok(remote::describe_change(&change))
}

fn validate(args: &ValidateArgs) -> ExitCode {
    let sources = match Sources::read(&args.path) {
        Ok(sources) => sources,
        Err(error) => {
            complain!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
    let problems = sources.validate(strictness).problems;
    match args.format {
        Format::Text => say!("{}", render_text(&problems).trim_end()),
        Format::Json => say!("{}", render_json(&problems).trim_end()),
    }
    let refused = problems.iter().any(|problem: &Problem| problem.severity == Severity::Error);
    if refused { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
