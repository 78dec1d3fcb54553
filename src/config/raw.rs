//! The configuration as it is written in `geogate.toml`. Unknown keys are errors.
//!
//! Nothing here is checked beyond its shape, not even whether what is needed is there;
//! [`super::Config`] is what it means. Every key is shown and explained in
//! `deploy/geogate.example.toml`.

use std::path::PathBuf;

use serde::Deserialize;

use super::Limits;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(default)]
    pub(super) proxy: RawProxy,
    #[serde(default)]
    pub(super) listen: RawListen,
    #[serde(default)]
    pub(super) control: RawControl,
    #[serde(default)]
    pub(super) tls: RawTls,
    #[serde(default)]
    pub(super) vschema: RawVSchema,
    #[serde(default)]
    pub(super) backend: RawBackend,
    #[serde(default, rename = "user")]
    pub(super) users: Vec<RawUser>,
    #[serde(default, rename = "region")]
    pub(super) regions: Vec<RawRegion>,
    #[serde(default, rename = "keyspace")]
    pub(super) keyspaces: Vec<RawKeyspace>,
    #[serde(default)]
    pub(super) limits: Limits,
}

/// `[proxy]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProxy {
    pub(super) region: Option<String>,
    pub(super) workers: Option<usize>,
    #[serde(default)]
    pub(super) consistent_snapshot: super::ConsistentSnapshot,
    #[serde(default)]
    pub(super) reference_copies: super::ReferenceCopies,
    #[serde(default)]
    pub(super) split_brain: super::SplitBrain,
    #[serde(default)]
    pub(super) pass_attributes: Vec<String>,
}

/// `[listen]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    pub(super) mysql: Option<OneOrMore>,
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: Option<String>,
    #[serde(default)]
    pub(super) proxy_protocol: Vec<String>,
    pub(super) compression: Option<Vec<super::Compression>>,
    pub(super) server_version: Option<String>,
    pub(super) collation: Option<String>,
}

/// A text, or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// `[control]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    pub(super) address: Option<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) unready_without_primary: Option<OneOrMore>,
    #[serde(default, rename = "token")]
    pub(super) tokens: Vec<RawToken>,
}

/// `[[control.token]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    pub(super) token: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_env: Option<String>,
    pub(super) role: Option<super::Role>,
}

/// `[tls]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    #[serde(default)]
    pub(super) mode: super::TlsMode,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// `[vschema]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVSchema {
    #[serde(default)]
    pub(super) path: PathBuf,
}

/// `[backend]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBackend {
    #[serde(default)]
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_env: Option<String>,
    #[serde(default)]
    pub(super) tls: super::BackendTls,
    pub(super) ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) compression: super::ServerCompression,
}

/// `[[user]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    #[serde(default)]
    pub(super) name: String,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_env: Option<String>,
    pub(super) hash: Option<RawHash>,
    pub(super) keyspace: Option<String>,
    #[serde(default)]
    pub(super) require_tls: bool,
    #[serde(default)]
    pub(super) operator: bool,
    #[serde(default)]
    pub(super) clients: Vec<String>,
    pub(super) connections_max: Option<usize>,
    pub(super) statement_timeout_ms: Option<u32>,
}

/// `hash = { native = "*..", sha2 = ".." }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHash {
    pub(super) native: Option<String>,
    pub(super) sha2: Option<String>,
}

/// `[[region]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegion {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) clients: Vec<String>,
}

/// `[[keyspace]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeyspace {
    #[serde(default)]
    pub(super) name: String,
    pub(super) database: Option<String>,
    #[serde(default, rename = "shard")]
    pub(super) shards: Vec<RawShard>,
}

/// `[[keyspace.shard]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShard {
    #[serde(default = "whole_range")]
    pub(super) range: String,
    #[serde(default, rename = "server")]
    pub(super) servers: Vec<RawServer>,
}

/// `[[keyspace.shard.server]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    #[serde(default)]
    pub(super) address: String,
    pub(super) region: Option<String>,
    #[serde(default)]
    pub(super) role: super::RoleHint,
    pub(super) connections_max: Option<usize>,
    pub(super) compression: Option<super::ServerCompression>,
}

fn whole_range() -> String {
    "-".to_owned()
}
