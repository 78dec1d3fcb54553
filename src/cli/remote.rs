//! What subcommands share that talk to a running proxy: its address, the token, its answers.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::control::client::{Client, Response};
use crate::vschema::{Shape, Sources};

/// Which proxy, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct Remote {
    /// The proxy's control API
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "GEOGATE_SERVER",
        default_value = "http://127.0.0.1:15380"
    )]
    server: String,
    /// The token; better in a file or in GEOGATE_TOKEN
    #[arg(long, global = true, env = "GEOGATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Runs the command again with a token of the command line in the environment instead: the list of
/// processes shows everybody the one, and only the same user the other. If that fails, the token is
/// taken as it was given.
pub(super) fn hide_token() {
    let Some((token, rest)) = without_token(std::env::args_os().skip(1)) else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = std::process::Command::new(program);
    let name = std::env::args_os().next().unwrap_or_default();
    let _ = command.arg0(name).args(rest).env("GEOGATE_TOKEN", token).exec();
}

/// The token, and the arguments without it.
fn without_token(args: impl Iterator<Item = OsString>) -> Option<(OsString, Vec<OsString>)> {
    let (mut token, mut rest) = (None, Vec::new());
    let mut args = args;
    while let Some(arg) = args.next() {
        if arg == "--" {
            rest.push(arg);
            rest.extend(args);
            break;
        } else if arg == "--token" {
            token = Some(args.next()?);
        } else if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--token=")) {
            token = Some(value.into());
        } else {
            rest.push(arg);
        }
    }
    Some((token?, rest))
}

impl Remote {
    /// Sends a request; an answer that is an error is printed and gives the exit code.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ExitCode> {
        let usage = |error: String| super::fail(super::USAGE, &format!("error: {error}"));
        let token = match &self.token_file {
            Some(file) => {
                let unreadable = |e| usage(format!("cannot read {}: {e}", file.display()));
                Some(std::fs::read_to_string(file).map_err(unreadable)?.trim().to_owned())
            }
            None => self.token.clone(),
        };
        let client = Client::new(&self.server, token).map_err(|e| usage(e.to_string()))?;
        let response =
            client.request(method, path, headers, body).map_err(|e| usage(e.to_string()))?;
        match response {
            Response { status: 200..300, body } => Ok(body),
            Response { status, body } => Err(super::fail(super::PROBLEMS, &failure(status, &body))),
        }
    }
}

fn failure(status: u16, body: &Value) -> String {
    match body["error"]["message"].as_str() {
        Some(message) if status == 401 => {
            format!("error: {message}\n   = help: give --token, --token-file or GEOGATE_TOKEN")
        }
        Some(message) => format!("error: {}", message.trim_end()),
        None => format!("error: the server answered with status {status}"),
    }
}

/// A VSchema as the API takes it. Its texts are sent, because the proxy may be on another machine.
pub(super) fn document(path: &Path) -> Result<Value, ExitCode> {
    let sources = Sources::read(path)
        .map_err(|error| super::fail(super::USAGE, &format!("error: {error}")))?;
    let name = |name: &str| {
        let name = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_default()
    };
    let files: serde_json::Map<String, Value> =
        sources.files().map(|(file, text)| (name(file), json!(text))).collect();
    let mut document = match sources.shape() {
        Shape::Folder => json!({"files": files}),
        // The name tells the keyspace if the file is not a SrvVSchema.
        Shape::Document => json!({"file": files}),
    };
    let named: serde_json::Map<String, Value> =
        sources.named_files().map(|(path, text)| (path.to_owned(), json!(text))).collect();
    if !named.is_empty() {
        document["named_files"] = Value::Object(named);
    }
    Ok(document)
}

/// What a change did, for people.
pub(super) fn describe_change(change: &Value) -> String {
    let mut lines = Vec::new();
    for warning in change["warnings"].as_array().into_iter().flatten() {
        lines.push(format!("warning: {}", warning["what"].as_str().unwrap_or_default()));
    }
    for caution in change["cautions"].as_array().into_iter().flatten() {
        lines.push(format!("warning: {}", caution.as_str().unwrap_or_default()));
    }
    let differences = change["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for difference in differences {
        let text = |name: &str| difference[name].as_str().unwrap_or_default();
        lines.push(format!(
            "warning: {}: {}\n   = note: {}",
            text("subject"),
            text("what"),
            text("why")
        ));
    }
    let (version, previous) = (&change["version"], &change["previous"]);
    lines.push(if change["dry_run"] == json!(true) && version != previous {
        format!("version {version} would replace version {previous}; nothing was changed")
    } else if change["changed"] == json!(false) {
        format!("version {previous} is active already; nothing was changed")
    } else {
        format!("version {version} is active; before it was version {previous}")
    });
    lines.join("\n")
}

/// Rows under their heads, each column as wide as it needs to be.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count()));
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heads.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["1".to_owned(), "API".to_owned()], vec!["12".to_owned(), String::new()]];
        assert_eq!(table(&["version", "origin"], &rows), "version  origin\n1        API\n12");
    }

    #[test]
    fn changes_are_sentences() {
        let change = json!({"version": 3, "previous": 2, "changed": true, "dry_run": false});
        assert_eq!(describe_change(&change), "version 3 is active; before it was version 2");
        let change = json!({"version": 2, "previous": 2, "changed": false, "dry_run": true});
        assert_eq!(describe_change(&change), "version 2 is active already; nothing was changed");
    }

    #[test]
    fn a_token_is_taken_out_of_the_arguments() {
        let split = |args: &[&str]| {
            let found = without_token(args.iter().map(OsString::from));
            found.map(|(token, rest)| {
                let rest: Vec<String> = rest.iter().map(|a| a.to_string_lossy().into()).collect();
                (token.to_string_lossy().into_owned(), rest.join(" "))
            })
        };
        let found = |token: &str, rest: &str| Some((token.to_owned(), rest.to_owned()));
        assert_eq!(split(&["sessions", "--token", "a b"]), found("a b", "sessions"));
        assert_eq!(split(&["--token=x", "canary", "set", "5"]), found("x", "canary set 5"));
        assert_eq!(split(&["sessions", "--token-file", "f"]), None);
        assert_eq!(split(&["explain", "--", "--token", "x"]), None);
        // What is wrong is told by those who read arguments.
        assert_eq!(split(&["sessions", "--token"]), None);
    }
}
