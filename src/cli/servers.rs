//! `geogate servers`: the servers of a running proxy, and what they may do for their shards.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::remote::{Remote, table};

/// Arguments of `geogate servers`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: geogate servers\n          geogate servers admit 10.0.0.5:3306\n\
    A row for each shard that a server holds: whether it is in service, or why it is held off.\n\
    'admit' lets a server in that is held off: it may be a replica or the next primary again,\n\
    whatever it lacks. It does not make it the primary while another one is in service."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the answer of the control API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Let a server in that is held off
    Admit {
        /// Its address as in the configuration
        address: String,
    },
}

/// Exit code 0: done, 1: refused, 2: the proxy cannot be asked.
pub fn run(args: &Args) -> ExitCode {
    let answer = match &args.command {
        None => args.remote.request("GET", "/api/v1/servers", &[], None),
        Some(Command::Admit { address }) => {
            let body = json!({ "server": address });
            args.remote.request("POST", "/api/v1/servers/admit", &[], Some(&body))
        }
    };
    match (answer, &args.command) {
        (Err(code), _) => return code,
        (Ok(answer), _) if args.json => say!("{answer:#}"),
        (Ok(answer), None) => say!("{}", list(&answer)),
        (Ok(answer), Some(_)) => say!("{}", admitted(&answer)),
    }
    ExitCode::SUCCESS
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn each(server: &Value) -> impl Iterator<Item = &Value> {
    server["service"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// One line for each shard of each server.
fn list(answer: &Value) -> String {
    let servers = answer["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |server: &Value, service: &Value| {
        let cells = [&server["address"], &service["shard"], &server["region"], &server["state"]];
        let more = [&service["epoch"], &service["why"]];
        cells.into_iter().chain(more).map(text).collect::<Vec<String>>()
    };
    let rows = servers.iter().flat_map(|server| each(server).map(move |s| row(server, s)));
    let heads = ["SERVER", "SHARD", "REGION", "STATE", "EPOCH", "SERVICE"];
    table(&heads, &rows.collect::<Vec<_>>())
}

fn admitted(server: &Value) -> String {
    let lines = each(server).map(|service| {
        let (address, shard, why) = (&server["address"], &service["shard"], &service["why"]);
        format!("{} is admitted to shard {}: {}", text(address), text(shard), text(why))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_listed_by_shard() {
        let service = json!({"shard": "app:-", "epoch": 2, "why": "in service"});
        let server = json!({"address": "a:1", "region": null, "state": "up", "service": [service]});
        assert_eq!(
            list(&json!({"servers": [server]})),
            "SERVER  SHARD  REGION  STATE  EPOCH  SERVICE\n\
             a:1     app:-  -       up     2      in service"
        );
        assert_eq!(admitted(&server), "a:1 is admitted to shard app:-: in service");
    }
}
