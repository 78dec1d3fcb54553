//! The questions to one server, over a connection that is kept for them.
//!
//! `mysql_async` has no timeouts of its own: the caller puts one around each look, and hangs up
//! after a failure, because a connection whose future was dropped is of no use.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row, SslOpts, Value};

use super::verdict::{Answers, Channel, ChannelState, Replication, Unanswered, Writable};
use crate::backend::{
    AccountTrouble, Product, ServerKind, TOO_MANY, account_refused, server_identity,
};
use crate::clock;
use crate::config::{Address, Backend, BackendTls};
use crate::gtid::Gtids;
use crate::topology::{Identity, Position, Source};

/// Asks one server.
#[derive(Debug)]
pub(super) struct Probe {
    opts: Opts,
    connection: Option<Conn>,
    /// What the server is, as it said last.
    kind: Option<ServerKind>,
}

impl Probe {
    pub(super) fn new(address: &Address, backend: &Backend) -> Self {
        Self { opts: opts(address, backend), connection: None, kind: None }
    }

    /// Connects if need be, and asks everything once.
    pub(super) async fn look(&mut self) -> Result<Answers, Unanswered> {
        self.ask().await.map_err(|error| match error {
            Error::Server(refusal) if TOO_MANY.contains(&refusal.code) => Unanswered::Full,
            Error::Server(refusal) if AccountTrouble::of(refusal.code).is_some() => {
                Unanswered::Refused(account_refused(refusal.code))
            }
            error => Unanswered::Failed(reason(&error)),
        })
    }

    /// The privilege with which Geogate's account may write in spite of `read_only`, if it has one.
    pub(super) async fn writes_when_read_only(&mut self) -> Result<Option<&'static str>, Error> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let grants: Vec<String> = connection.query("SHOW GRANTS").await?;
        let global = grants.iter().filter(|grant| grant.contains(" ON *.* "));
        let mut names = global.filter_map(|grant| {
            WRITES_WHEN_READ_ONLY.iter().copied().find(|name| grant.contains(name))
        });
        Ok(names.next())
    }

    /// What the server is, as it said last.
    pub(super) fn kind(&self) -> Option<&ServerKind> {
        self.kind.as_ref()
    }

    /// Closes the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn ask(&mut self) -> Result<Answers, Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Conn::new(self.opts.clone()).await?),
        };
        let asked = clock::now();
        let first: Option<(String, Value)> =
            connection.query_first("SELECT @@version, @@global.read_only").await?;
        let round_trip = clock::now().saturating_duration_since(asked);
        let (version, read_only) = first.unwrap_or((String::new(), Value::NULL));
        let kind = ServerKind::parse(version.as_bytes());
        // After `read_only`: what was written while the server was writable is in the position.
        let mut identified = (None, None);
        // A server that does not tell its transactions may tell who it is. One that does not tell
        // that either can be no primary among several.
        for question in [kind.position_question().to_owned(), kind.identity_question()] {
            match connection.query_first::<Row, _>(question).await {
                Ok(row) => {
                    identified = row.as_ref().map_or((None, None), identity_and_position);
                    break;
                }
                Err(Error::Server(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let (identity, position) = identified;
        let status = connection.query::<Row, _>(replica_status(&kind)).await;
        self.kind = Some(kind);
        let replication = match status {
            Ok(rows) => Replication::Channels(rows.iter().map(channel).collect()),
            Err(Error::Server(error)) if NO_PRIVILEGE.contains(&error.code) => {
                Replication::NotPermitted
            }
            Err(error) => return Err(error),
        };
        let load: Option<(String, u32)> =
            connection.query_first("SHOW GLOBAL STATUS LIKE 'Threads_running'").await?;
        Ok(Answers {
            writable: writable(&read_only),
            replication,
            load: load.map(|(_, threads)| threads),
            round_trip,
            identity,
            position,
        })
    }
}

/// How `mysql_async` is to connect with Geogate's own account.
pub(super) fn opts(address: &Address, backend: &Backend) -> Opts {
    let builder = OptsBuilder::default()
        .user(Some(&backend.user))
        .pass(Some(backend.password.reveal()))
        .ssl_opts(tls(backend))
        // Otherwise a connection to this host is made anew over the server's socket file.
        .prefer_socket(false)
        // Otherwise the library asks for both.
        .max_allowed_packet(Some(1 << 24))
        .wait_timeout(Some(28_800));
    let builder = match address {
        Address::Tcp(host, port) => builder.ip_or_hostname(host).tcp_port(*port),
        Address::Unix(path) => builder.prefer_socket(true).socket(Some(path.to_string_lossy())),
    };
    builder.into()
}

fn tls(backend: &Backend) -> Option<SslOpts> {
    match backend.tls {
        BackendTls::Disabled => None,
        BackendTls::Required => Some(
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        BackendTls::VerifyIdentity => {
            let roots = backend.ca.iter().map(|ca| ca.clone().into()).collect();
            Some(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots))
        }
    }
}

/// The statement that tells all channels.
fn replica_status(kind: &ServerKind) -> &'static str {
    match kind.product {
        Product::MariaDb => "SHOW ALL SLAVES STATUS",
        Product::MySql if kind.version >= (8, 0, 22) => "SHOW REPLICA STATUS",
        Product::MySql => "SHOW SLAVE STATUS",
    }
}

/// Newer MariaDB has more than two values of `read_only`, all but OFF being read-only.
fn writable(read_only: &Value) -> Writable {
    match read_only {
        Value::Int(0) | Value::UInt(0) => Writable::Yes,
        Value::Bytes(text) if matches!(text.as_slice(), b"0" | b"OFF") => Writable::Yes,
        _ => Writable::No,
    }
}

/// Reads the answer to [`ServerKind::position_question`] or [`ServerKind::identity_question`].
fn identity_and_position(row: &Row) -> (Option<Identity>, Option<Position>) {
    let cell = |at: usize| match row.as_ref(at) {
        Some(Value::Bytes(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        Some(Value::Int(number)) => Some(number.to_string()),
        Some(Value::UInt(number)) => Some(number.to_string()),
        _ => None,
    };
    let identity = cell(0).and_then(|first| server_identity(&first, cell(1).as_deref()));
    let position = match identity {
        Some(Identity::MySql { .. }) => cell(2).and_then(|text| Gtids::mysql(&text)),
        Some(Identity::MariaDb { .. }) => cell(2).and_then(|text| Gtids::mariadb(&text)),
        None => None,
    };
    let position = position.map(|shown| {
        let more = [3, 4].into_iter().filter_map(|at| Gtids::mariadb(&cell(at)?));
        let has = more.fold(shown.clone(), |has, more| has.union(&more));
        // A replica that writes no log of what it applies has shown it all the same.
        let shown = if shown.is_empty() { has.clone() } else { shown };
        Position { shown, has }
    });
    (identity, position)
}

fn channel(row: &Row) -> Channel {
    let cell = |names: [&str; 2]| {
        let at = row.columns_ref().iter().position(|column| {
            let found = column.name_str();
            names.iter().any(|name| found.eq_ignore_ascii_case(name))
        });
        match row.as_ref(at?) {
            Some(Value::Bytes(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            Some(Value::Int(number)) => Some(number.to_string()),
            Some(Value::UInt(number)) => Some(number.to_string()),
            _ => None,
        }
    };
    let io = cell(["Replica_IO_Running", "Slave_IO_Running"]).unwrap_or("No".to_owned());
    let sql = cell(["Replica_SQL_Running", "Slave_SQL_Running"]).unwrap_or("No".to_owned());
    let behind = cell(["Seconds_Behind_Source", "Seconds_Behind_Master"]);
    let behind = behind.and_then(|seconds| seconds.parse().ok());
    Channel {
        state: if io == "No" && sql == "No" {
            ChannelState::Stopped
        } else {
            ChannelState::Started
        },
        behind: behind.map(std::time::Duration::from_secs),
        // One that only tries to connect follows nobody yet.
        source: source(&cell).filter(|_| io == "Yes" && sql == "Yes"),
    }
}

/// Whom a channel follows; `cell` finds a column under one of two names.
fn source(cell: &dyn Fn([&str; 2]) -> Option<String>) -> Option<Source> {
    if let Some(uuid) = cell(["Source_UUID", "Master_UUID"]) {
        return (!uuid.is_empty()).then_some(Source::MySql { uuid });
    }
    Some(Source::MariaDb {
        server: cell(["Master_Server_Id", "Source_Server_Id"])?.parse().ok()?,
        host: cell(["Master_Host", "Source_Host"])?,
        port: cell(["Master_Port", "Source_Port"])?.parse().ok()?,
    })
}

fn reason(error: &Error) -> String {
    match error {
        Error::Server(error) => account_refused(error.code),
        Error::Io(mysql_async::IoError::Io(error)) => error.to_string(),
        Error::Io(_) => "TLS failed".to_owned(),
        _ => "it closed the connection".to_owned(),
    }
}

/// Privileges to which `read_only` does not apply, as SHOW GRANTS writes them (MySQL manual,
/// "read_only"; MariaDB Knowledge Base, "READ_ONLY ADMIN").
const WRITES_WHEN_READ_ONLY: &[&str] =
    &["ALL PRIVILEGES", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN", "SUPER"];

/// Access denied for a command, a table, a needed privilege.
const NO_PRIVILEGE: &[u16] = &[1044, 1142, 1227];
