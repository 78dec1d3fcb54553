//! `geogate sessions`: who is connected to a running proxy.

use std::process::ExitCode;

use serde_json::Value;

use super::escape::escaped;
use super::remote::Remote;

/// Arguments of `geogate sessions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate sessions --server http://127.0.0.1:15380\n\
    A row a session: its id (as CONNECTION_ID() and KILL have it), for how long it has been idle,\n\
    the server's own id of the connection that it has or keeps (of the last one, if there are\n\
    several), and why it keeps one to itself between statements, if it does.")]
pub struct Args {
    /// Print the answer of the control API, with all attributes of the clients
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Exit code 0: listed, 1: refused, 2: the proxy cannot be asked.
pub fn run(args: &Args) -> ExitCode {
    match args.remote.request("GET", "/api/v1/sessions", &[], None) {
        Ok(answer) if args.json => say!("{answer:#}"),
        Ok(answer) => say!("{}", table(&answer).trim_end()),
        Err(code) => return code,
    }
    ExitCode::SUCCESS
}

const HEADINGS: [&str; 8] =
    ["ID", "USER", "CLIENT", "DATABASE", "IDLE", "PROGRAM", "THREAD", "KEPT BY"];

/// One line a session, the columns aligned.
fn table(answer: &Value) -> String {
    let sessions = answer["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<[String; 8]> = sessions.iter().map(row).collect();
    rows.insert(0, HEADINGS.map(str::to_owned));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADINGS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn row(session: &Value) -> [String; 8] {
    // What clients say of themselves must not steer the terminal.
    let text = |value: &Value| escaped(value.as_str().unwrap_or("-"));
    let attributes = &session["attributes"];
    let idle = session["idle_seconds"].as_u64().map(|seconds| format!("{seconds}s"));
    [
        session["id"].to_string(),
        text(&session["user"]),
        text(&session["peer"]),
        escaped(session["database"].as_str().filter(|name| !name.is_empty()).unwrap_or("-")),
        idle.unwrap_or_else(|| "runs".to_owned()),
        text(attributes.get("program_name").unwrap_or(&attributes["_client_name"])),
        session["server_thread"].as_u64().map_or_else(|| "-".to_owned(), |id| id.to_string()),
        text(&session["kept_by"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_aligned() {
        let answer = json!({"sessions": [
            {"id": 7, "user": "app", "peer": "10.0.0.1:5", "database": "shop", "idle_seconds": 3,
             "server_thread": null, "kept_by": null, "attributes": {"program_name": "mysql", "_client_name": "libmysql"}},
            {"id": 12, "user": "reports", "peer": "10.0.0.2:6", "database": "",
             "idle_seconds": null, "server_thread": 57, "kept_by": "a temporary table",
             "attributes": {"_client_name": "go\n\u{1b}[2J"}},
        ]});
        let wanted = "\
ID  USER     CLIENT      DATABASE  IDLE  PROGRAM        THREAD  KEPT BY
7   app      10.0.0.1:5  shop      3s    mysql          -       -
12  reports  10.0.0.2:6  -         runs  go\\n\\u{1b}[2J  57      a temporary table
";
        assert_eq!(table(&answer), wanted);
    }
}
