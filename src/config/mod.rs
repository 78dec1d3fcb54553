//! The configuration: what was written ([`raw`]) and what it means ([`Config`]).
//!
//! A [`Config`] exists only if all of it makes sense by itself: addresses parse, names are known,
//! secrets could be read. Whether the shard ranges of a keyspace cover every row is decided where
//! ranges are known, in `topology`; whether keyspaces and VSchema fit together, in `app`.
//! All mistakes are reported at once, each with the key it stands at.

mod cidr;
mod limits;
mod listen;
mod load;
mod mistakes;
mod raw;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::region::Region;

pub use cidr::Cidr;
pub use limits::{Limits, Manner};
pub use listen::{Compression, Listen, Networks, UnixSocket};
pub use load::{ConfigError, load, parse};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region this proxy runs in, if regions are used.
    pub region: Option<Region>,
    /// Worker threads; default one a core.
    pub workers: usize,
    /// What START TRANSACTION WITH CONSISTENT SNAPSHOT does over several servers.
    pub consistent_snapshot: ConsistentSnapshot,
    /// Who keeps the copies of reference tables.
    pub reference_copies: ReferenceCopies,
    /// What happens to a shard with two writable servers.
    pub split_brain: SplitBrain,
    /// Without which primaries the proxy is not ready.
    pub unready_without: ReadyPolicy,
    /// The names of clients' connection attributes that servers are told.
    pub pass_attributes: Vec<String>,
    /// Where clients connect.
    pub listen: Listen,
    /// Where the control API listens.
    pub control: Option<SocketAddr>,
    /// The folder for what must survive a restart: VSchema versions and the canary.
    pub state: PathBuf,
    /// Who may use the control API.
    pub tokens: Vec<Token>,
    /// TLS towards clients.
    pub tls: Tls,
    /// VSchema folder or file.
    pub vschema: PathBuf,
    /// The account used on servers.
    pub backend: Backend,
    /// Who may log in.
    pub users: Vec<User>,
    /// The regions, in file order.
    pub regions: Vec<Region>,
    /// In which regions clients are, by their addresses.
    pub client_regions: Vec<(Cidr, Region)>,
    /// The keyspaces, in file order.
    pub keyspaces: Vec<Keyspace>,
    /// Every limit.
    pub limits: Limits,
}

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a clear text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The clear text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A bearer token of the control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// What it allows.
    pub role: Role,
}

/// What a control API token allows; each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read everything.
    Viewer,
    /// Run a canary.
    Operator,
    /// Change the VSchema.
    Admin,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether it is offered or demanded.
    pub mode: TlsMode,
    /// PEM files of certificate chain and key; `None`: a self-signed one is made at start.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Whether clients may, must or cannot use TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Not offered.
    Off,
    /// Offered.
    #[default]
    Preferred,
    /// A client without TLS is refused.
    Required,
}

/// The account used on servers, and how to reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Account name.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// TLS towards servers.
    pub tls: BackendTls,
    /// PEM file of the authorities that sign server certificates.
    pub ca: Option<PathBuf>,
    /// How packets to and from servers are compressed, unless a server has its own.
    pub compression: ServerCompression,
}

/// How packets to and from a server are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerCompression {
    /// Not at all.
    #[default]
    None,
    /// CLIENT_COMPRESS, which MariaDB and MySQL have.
    Zlib,
    /// CLIENT_ZSTD_COMPRESSION_ALGORITHM, which MySQL has since 8.0.18.
    Zstd,
}

/// TLS towards servers, in the words of MySQL's `--ssl-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendTls {
    /// Never.
    #[default]
    Disabled,
    /// Always, without checking the certificate.
    Required,
    /// Always; the certificate must be signed by `ca` and name the host.
    VerifyIdentity,
}

/// What START TRANSACTION WITH CONSISTENT SNAPSHOT does over several servers, whose snapshots
/// cannot be taken at one moment unless nobody writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistentSnapshot {
    /// It is refused.
    #[default]
    Refuse,
    /// All tables are locked for reading while the snapshots are taken: they are of one moment.
    Locked,
    /// Each server takes its snapshot at another moment; SHOW WARNINGS says so.
    PerServer,
}

impl ConsistentSnapshot {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Locked, Self::PerServer];

    /// Its name, as in the file and in `SET consistent_snapshot`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Locked => "locked",
            Self::PerServer => "per_server",
        }
    }
}

/// Who keeps the copies of reference tables that have a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceCopies {
    /// Geogate writes them together with their source.
    #[default]
    Kept,
    /// Something else copies the source, sooner or later.
    External,
}

/// What happens to a shard of which two servers are writable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBrain {
    /// Nothing is written until one of them is not writable any more.
    #[default]
    Refuse,
    /// The primary in service goes on.
    Keep,
}

/// Without which primaries `/readyz` says that clients should not be sent here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadyPolicy {
    /// When any shard is without.
    #[default]
    AnyShard,
    /// When all shards are without.
    AllShards,
    /// When a shard of one of these keyspaces is without.
    Keyspaces(Vec<String>),
}

/// Someone who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// What proves it.
    pub credential: Credential,
    /// The keyspace of a session that names none.
    pub keyspace: Option<String>,
    /// Refuse this user without TLS.
    pub require_tls: bool,
    /// May change the canary with SQL, and end other users' sessions.
    pub operator: bool,
    /// Where it may come from; everywhere if nothing is named.
    pub clients: Networks,
    /// Connections that it may have open at once.
    pub connections_max: Option<usize>,
    /// Milliseconds that its statements may take, and the most that its sessions may set; 0 for no
    /// limit, `None` for that of [`Limits`].
    pub statement_timeout_ms: Option<u32>,
}

/// What proves a user's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A password in clear text (from the file, another file or the environment).
    Password(Secret),
    /// Hashes as MySQL stores them.
    Hashes {
        /// `*` and 40 hex digits.
        native: Option<String>,
        /// 64 hex digits of SHA256(SHA256(password)), or `$A$005$..`.
        sha2: Option<String>,
    },
}

/// A keyspace: which servers hold which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name for clients.
    pub name: String,
    /// Its schema on the servers.
    pub database: String,
    /// Its shards.
    pub shards: Vec<Shard>,
}

/// A shard of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its range in Vitess' notation, such as `-80`.
    pub range: String,
    /// The servers that hold it.
    pub servers: Vec<Server>,
}

/// A server of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The region it stands in.
    pub region: Option<Region>,
    /// The role it is expected to have until a monitor has asked it.
    pub role: RoleHint,
    /// Connections to it that may be open at once; default `server_connections_max`.
    pub connections_max: Option<usize>,
    /// How packets to and from it are compressed; default that of [`Backend`].
    pub compression: Option<ServerCompression>,
}

/// The role a server is expected to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleHint {
    /// Takes writes.
    #[default]
    Primary,
    /// Follows a primary.
    Replica,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `host`, `host:port`, `[v6]:port` or `unix:/path`; the port defaults to 3306.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        if let Some(v6) = text.strip_prefix('[') {
            let (host, rest) = v6.split_once(']')?;
            let port = match rest.strip_prefix(':') {
                Some(port) => port.parse().ok()?,
                None if rest.is_empty() => 3306,
                None => return None,
            };
            return Some(Self::Tcp(host.to_owned(), port));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, 3306),
        };
        (!host.is_empty()).then(|| Self::Tcp(host.to_owned(), port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
