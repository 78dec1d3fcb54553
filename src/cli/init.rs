//! `geogate init`: a working configuration in front of one existing server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::escape::escaped;
use super::password;
use crate::config::{self, Address};
use crate::vschema::{can_be_in_folder, is_keyspace_name};

/// Arguments of `geogate init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate init --from mysql://root@127.0.0.1:3306 --out geogate\n\
    Every database becomes an unsharded keyspace; clients log in with the same account. Its\n\
    password is asked for, or taken from --password-file or MYSQL_PWD.")]
pub struct Args {
    /// The server: mysql://USER@HOST[:PORT]
    #[arg(long, value_name = "URL")]
    from: String,
    /// A file that holds the account's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The folder to write; it must not hold a configuration yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the proxy will listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:15306")]
    listen: SocketAddr,
    /// Where its HTTP API, metrics and console will be; default: on the loopback interface, 74
    /// ports above --listen
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
}

/// How far the port of the control API is above that of clients: 15380 and 15306.
const CONTROL_ABOVE: u16 = 74;
/// Where `geogate sessions` and its like ask.
const CONTROL_DEFAULT: &str = "127.0.0.1:15380";

impl Args {
    fn control(&self) -> SocketAddr {
        self.control.unwrap_or_else(|| {
            let port = match self.listen.port() {
                0 => 0,
                port => port.checked_add(CONTROL_ABOVE).unwrap_or(port - CONTROL_ABOVE),
            };
            SocketAddr::from(([127, 0, 0, 1], port))
        })
    }
}

/// Asks the server and writes the files.
pub fn run(args: &Args) -> ExitCode {
    let config = args.out.join("geogate.toml");
    if config.exists() {
        let error = format!("{} exists; choose another --out", config.display());
        return super::fail(super::PROBLEMS, &error);
    }
    let opts = match Opts::from_url(&args.from) {
        Ok(opts) => opts,
        Err(error) => {
            let error = format!("--from: {error}; write mysql://USER:PASSWORD@HOST:PORT");
            return super::fail(super::USAGE, &error);
        }
    };
    let opts = match with_password(args, opts) {
        Ok(opts) => opts,
        Err(error) => {
            return super::fail(super::USAGE, &format!("cannot read the password: {error}"));
        }
    };
    let found = match databases(&opts) {
        Ok(databases) => databases,
        Err(error) => {
            return super::fail(super::PROBLEMS, &format!("cannot ask the server: {error}"));
        }
    };
    let (databases, others): (Vec<String>, _) =
        found.into_iter().partition(|name| reason_against(name).is_none());
    for name in &others {
        let (reason, name) = (reason_against(name).unwrap_or_default(), escaped(name));
        complain!(
            "left out: database '{name}': {reason}; it can be a keyspace of another name, with \
             'database' beside its 'name'"
        );
    }
    if databases.is_empty() {
        let error = "the server has no database that can be a keyspace; create one first";
        return super::fail(super::PROBLEMS, &error);
    }
    if let Err(error) = write(args, &opts, &databases) {
        return super::fail(super::PROBLEMS, &format!("cannot write: {error}"));
    }
    report(args, &opts, &databases);
    match config::load(&config) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => super::fail(super::PROBLEMS, &error),
    }
}

/// Why a database cannot be a keyspace of the same name.
fn reason_against(name: &str) -> Option<String> {
    if !is_keyspace_name(name) {
        return Some("a keyspace's name has no spaces and none of . : / @ [ ] ` ' \"".to_owned());
    }
    let has_file = can_be_in_folder(name);
    (!has_file).then(|| format!("{name}.json means something else in a VSchema"))
}

/// With the password from elsewhere, if the URL has none.
fn with_password(args: &Args, opts: Opts) -> std::io::Result<Opts> {
    if opts.pass().is_some() {
        complain!(
            "note: every process of this machine can read a password on the command line; leave it \
             out and you are asked for it, or give --password-file or {}",
            password::VARIABLE
        );
        return Ok(opts);
    }
    let whose = format!("{}@{}", opts.user().unwrap_or("root"), opts.ip_or_hostname());
    let password = password::find(args.password_file.as_deref(), &escaped(&whose))?;
    Ok(OptsBuilder::from_opts(opts).pass(Some(password)).into())
}

/// Says what was written, and what to do next.
fn report(args: &Args, opts: &Opts, databases: &[String]) {
    let config = args.out.join("geogate.toml");
    let names: Vec<String> = databases.iter().map(|name| escaped(name)).collect();
    say!("wrote {}", config.display());
    say!("wrote {}", args.out.join("vschema").display());
    say!("keyspaces: {}", names.join(", "));
    say!("run:     geogate serve --config {}", word(&config.display().to_string()));
    let (user, listen) = (word(opts.user().unwrap_or("root")), args.listen);
    let (host, port, first) = (listen.ip(), listen.port(), word(&databases[0]));
    say!("connect: mysql -h {host} -P {port} -u {user} -p {first}");
    match args.control().to_string() {
        control if control == CONTROL_DEFAULT => say!("watch:   geogate sessions"),
        control => say!("watch:   geogate sessions --server http://{control}"),
    }
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "_-./:@%+=,".contains(char);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", escaped(text).replace("\\\\", "\\").replace('\'', "'\\''"))
}

fn databases(opts: &Opts) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let opts = OptsBuilder::from_opts(opts.clone()).prefer_socket(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection =
            tokio::time::timeout(std::time::Duration::from_secs(10), Conn::new(opts)).await??;
        let names: Vec<String> = connection
            .query(
                "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN \
                 ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1",
            )
            .await?;
        connection.disconnect().await?;
        Ok(names)
    })
}

fn write(args: &Args, opts: &Opts, databases: &[String]) -> std::io::Result<()> {
    let vschema = args.out.join("vschema");
    std::fs::create_dir_all(&vschema)?;
    for database in databases {
        // A keyspace without "sharded" takes every table that its server has.
        write_new(&vschema.join(format!("{database}.json")), "{\n  \"sharded\": false\n}\n")?;
    }
    write_new(&args.out.join("geogate.toml"), &configuration(args, opts, databases))
}

/// Never overwrites: what stands there may be somebody's work. The configuration holds a password,
/// so only its owner may read it.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn configuration(args: &Args, opts: &Opts, databases: &[String]) -> String {
    let user = opts.user().unwrap_or("root");
    let password = opts.pass().unwrap_or("");
    let address = Address::Tcp(opts.ip_or_hostname().to_owned(), opts.tcp_port()).to_string();
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = String::new();
    let _ = write!(
        text,
        "# In front of one server: every database is an unsharded keyspace.\n\n\
         [listen]\nmysql = {}\n\n\
         # HTTP API, metrics and console. Whoever reaches it may read; changes need a token\n\
         # ([[control.token]]).\n\
         [control]\naddress = {}\n\n\
         [vschema]\npath = \"vschema\"\n\n\
         # The account that Geogate uses on the server.\n\
         [backend]\nuser = {user}\npassword = {password}\n\n\
         # Who may log in to Geogate.\n\
         [[user]]\nname = {user}\npassword = {password}\n",
        quote(&args.listen.to_string()),
        quote(&args.control().to_string()),
        user = quote(user),
        password = quote(password),
    );
    for database in databases {
        let _ = write!(
            text,
            "\n[[keyspace]]\nname = {}\n  [[keyspace.shard]]\n  range = \"-\"\n    \
             [[keyspace.shard.server]]\n    address = {}\n    role = \"primary\"\n",
            quote(database),
            quote(&address),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let cases = [
            ("app", "app"),
            ("a.b", "a.b"),
            ("東京", "東京"),
            ("my db", "'my db'"),
            ("a'b", "'a'\\''b'"),
            ("a`b\\c", "'a`b\\c'"),
            ("-x", "'-x'"),
            ("", "''"),
        ];
        for (text, expected) in cases {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn names_that_cannot_be_keyspaces() {
        for name in ["a@b", "a.b", "a b", "a'b", "a`b", "rules", "tables", "residency"] {
            assert!(reason_against(name).is_some(), "{name}");
        }
        for name in ["app", "東京", "-", "a\\b", "$a", "Rules"] {
            assert!(reason_against(name).is_none(), "{name}");
        }
    }
}
