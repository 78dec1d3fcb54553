//! From the text of `geogate.toml` to a [`Config`], with every mistake at once.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::listen::parse_mode;
use super::mistakes;
use super::raw::{
    OneOrMore, RawBackend, RawConfig, RawKeyspace, RawListen, RawRegion, RawTls, RawToken, RawUser,
};
use super::{
    Address, Backend, BackendTls, Cidr, Compression, Config, Credential, Keyspace, Listen,
    Networks, ReadyPolicy, Secret, Server, Shard, Tls, Token, UnixSocket, User,
};
use crate::region::Region;

/// What is wrong with a configuration: one line a mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The mistakes, each with the key it stands at and what to write instead.
    pub problems: Vec<String>,
    /// Where the VSchema is, if that could be read.
    pub vschema: Option<PathBuf>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "error: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks a configuration file. Relative paths in it are relative to its folder.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
        problems: vec![format!("cannot read {}: {error}", path.display())],
        vschema: None,
    })?;
    parse(&text, path.parent().unwrap_or(Path::new(".")))
}

/// Checks the text of a configuration whose relative paths start at `base`.
pub fn parse(text: &str, base: &Path) -> Result<Config, ConfigError> {
    let (raw, problems) = mistakes::read(text);
    let Some(raw) = raw else { return Err(ConfigError { problems, vschema: None }) };
    let is_whole = problems.is_empty();
    Checker { base, problems, is_whole }.check(raw)
}

/// Collects problems while the parts are checked.
struct Checker<'a> {
    base: &'a Path,
    problems: Vec<String>,
    /// Whether all of the text could be read: otherwise what is missing may be in the rest.
    is_whole: bool,
}

impl Checker<'_> {
    fn check(mut self, raw: RawConfig) -> Result<Config, ConfigError> {
        let region = raw.proxy.region.as_deref().and_then(|r| self.region("proxy.region", r));
        let regions: Vec<Region> =
            raw.regions.iter().filter_map(|r| self.region("[[region]] name", &r.name)).collect();
        let client_regions = self.client_regions(&raw.regions);
        let keyspaces = self.keyspaces(&raw.keyspaces);
        let listen = self.listen(raw.listen);
        let control =
            raw.control.address.as_deref().and_then(|text| self.socket("control.address", text));
        let tokens = raw.control.tokens.iter().filter_map(|token| self.token(token)).collect();
        let tls = self.tls(raw.tls);
        let backend = self.backend(raw.backend);
        self.pass_attributes(&raw.proxy.pass_attributes);
        let users = self.users(&raw.users);
        self.known_regions(region.as_ref(), &regions, &keyspaces);
        let unready_without = self.ready_policy(raw.control.unready_without_primary, &keyspaces);
        let workers = self.workers(raw.proxy.workers);
        let is_written = !raw.vschema.path.as_os_str().is_empty();
        self.needed(is_written, "vschema.path is missing: the folder of the VSchema");
        self.problems.extend(raw.limits.problems());
        if !self.problems.is_empty() {
            let vschema = is_written.then(|| self.base.join(&raw.vschema.path));
            return Err(ConfigError { problems: self.problems, vschema });
        }
        Ok(Config {
            region,
            workers,
            consistent_snapshot: raw.proxy.consistent_snapshot,
            reference_copies: raw.proxy.reference_copies,
            split_brain: raw.proxy.split_brain,
            unready_without,
            pass_attributes: raw.proxy.pass_attributes,
            listen,
            control,
            state: self.base.join(raw.control.state.unwrap_or_else(|| "state".into())),
            tokens,
            tls,
            vschema: self.base.join(raw.vschema.path),
            backend,
            users,
            regions,
            client_regions,
            keyspaces,
            limits: raw.limits,
        })
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// A key that must be there.
    fn needed(&mut self, is_there: bool, text: &str) {
        if !is_there && self.is_whole {
            self.problem(text);
        }
    }

    fn tls(&mut self, raw: RawTls) -> Tls {
        let identity = match (raw.certificate, raw.key) {
            (Some(certificate), Some(key)) => {
                Some((self.base.join(certificate), self.base.join(key)))
            }
            (None, None) => None,
            _ => {
                self.problem("tls: certificate and key go together; give both or neither");
                None
            }
        };
        Tls { mode: raw.mode, identity }
    }

    fn backend(&mut self, raw: RawBackend) -> Backend {
        let (file, env) = (raw.password_file.as_ref(), raw.password_env.as_ref());
        let password = self.secret("backend", raw.password.as_ref(), file, env);
        if raw.tls == BackendTls::VerifyIdentity && raw.ca.is_none() {
            self.problem("backend.tls = \"verify_identity\" needs backend.ca");
        }
        self.needed(!raw.user.is_empty(), "backend.user is missing: the account on servers");
        Backend {
            user: raw.user,
            password: password.unwrap_or(Secret::new("")),
            tls: raw.tls,
            ca: raw.ca.map(|ca| self.base.join(ca)),
            compression: raw.compression,
        }
    }

    fn workers(&mut self, raw: Option<usize>) -> usize {
        let one_a_core = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = raw.unwrap_or_else(one_a_core);
        if workers == 0 || workers > 256 {
            self.problem("proxy.workers must be 1 to 256");
        }
        workers
    }

    /// Refuses names that cannot be passed on.
    fn pass_attributes(&mut self, names: &[String]) {
        for name in names {
            let reason = match name.as_str() {
                "" => "a name is empty",
                "_pid" | "_thread" | "_connection_id" | "connection_id" => {
                    "every client has another value, and server connections are shared only among \
                     clients with the same ones"
                }
                "_client_name" | "_client_version" | "_os" | "_platform" => {
                    "it tells what speaks to the server, which is Geogate"
                }
                _ => continue,
            };
            self.problem(format!("proxy.pass_attributes: '{name}': {reason}"));
        }
    }

    fn region(&mut self, key: &str, name: &str) -> Option<Region> {
        Region::new(name).map_err(|error| self.problem(format!("{key}: {error}"))).ok()
    }

    fn client_regions(&mut self, raw: &[RawRegion]) -> Vec<(Cidr, Region)> {
        let mut found = Vec::new();
        for region in raw {
            for block in &region.clients {
                match (Cidr::parse(block), Region::new(&region.name)) {
                    (Some(cidr), Ok(region)) => found.push((cidr, region)),
                    (None, _) => self.problem(format!(
                        "[[region]] '{}' clients: '{block}' is not a block of addresses; write it \
                         as 10.1.0.0/16",
                        region.name
                    )),
                    (_, Err(_)) => {}
                }
            }
        }
        found
    }

    fn listen(&mut self, raw: RawListen) -> Listen {
        let addresses = match raw.mysql {
            None if raw.socket.is_some() => Vec::new(),
            None => vec!["127.0.0.1:15306".to_owned()],
            Some(OneOrMore::One(address)) => vec![address],
            Some(OneOrMore::More(addresses)) => addresses,
        };
        if addresses.is_empty() && raw.socket.is_none() {
            self.problem("listen: give an address in mysql, or a socket");
        }
        let mode = raw.socket_mode.as_deref().unwrap_or("0777");
        let mode = parse_mode(mode).unwrap_or_else(|| {
            self.problem(format!("listen.socket_mode: '{mode}' is no mode; write it as \"0660\""));
            0
        });
        let trusted_proxies = self.networks("listen.proxy_protocol", &raw.proxy_protocol);
        Listen {
            addresses: addresses.iter().filter_map(|a| self.socket("listen.mysql", a)).collect(),
            socket: raw.socket.map(|path| UnixSocket { path: self.base.join(path), mode }),
            trusted_proxies,
            compression: raw.compression.unwrap_or(vec![Compression::Zlib, Compression::Zstd]),
            server_version: raw.server_version,
            collation: raw.collation,
        }
    }

    fn networks(&mut self, key: &str, entries: &[String]) -> Networks {
        Networks::parse(entries).unwrap_or_else(|entry| {
            self.problem(format!(
                "{key}: '{entry}' is not a block of addresses; write it as 10.1.0.0/16, or unix"
            ));
            Networks::default()
        })
    }

    fn socket(&mut self, key: &str, text: &str) -> Option<std::net::SocketAddr> {
        let parsed = text.parse();
        if parsed.is_err() {
            self.problem(format!("{key}: '{text}' is not an address; write it as 127.0.0.1:15306"));
        }
        parsed.ok()
    }

    /// One secret from one of its three sources; none is an empty secret.
    fn secret(
        &mut self,
        key: &str,
        inline: Option<&String>,
        file: Option<&PathBuf>,
        env: Option<&String>,
    ) -> Option<Secret> {
        match (inline, file, env) {
            (Some(text), None, None) => Some(Secret::new(text.clone())),
            (None, Some(file), None) => match std::fs::read_to_string(self.base.join(file)) {
                Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Err(error) => {
                    self.problem(format!("{key}: cannot read {}: {error}", file.display()));
                    None
                }
            },
            (None, None, Some(name)) => match std::env::var(name) {
                Ok(text) => Some(Secret::new(text)),
                Err(_) => {
                    self.problem(format!("{key}: environment variable {name} is not set"));
                    None
                }
            },
            (None, None, None) => None,
            _ => {
                self.problem(format!("{key}: give the secret in one way: inline, _file or _env"));
                None
            }
        }
    }

    fn ready_policy(&mut self, raw: Option<OneOrMore>, known: &[Keyspace]) -> ReadyPolicy {
        let names = match raw {
            None => return ReadyPolicy::AnyShard,
            Some(OneOrMore::One(word)) if word == "any" => return ReadyPolicy::AnyShard,
            Some(OneOrMore::One(word)) if word == "all" => return ReadyPolicy::AllShards,
            Some(OneOrMore::One(name)) => vec![name],
            Some(OneOrMore::More(names)) => names,
        };
        for name in &names {
            if !known.iter().any(|keyspace| keyspace.name == *name) {
                self.problem(format!(
                    "control.unready_without_primary: '{name}' is no keyspace; write \"any\", \
                     \"all\" or a list of keyspaces"
                ));
            }
        }
        ReadyPolicy::Keyspaces(names)
    }

    fn token(&mut self, raw: &RawToken) -> Option<Token> {
        let secret = self.secret(
            "[[control.token]]",
            raw.token.as_ref(),
            raw.token_file.as_ref(),
            raw.token_env.as_ref(),
        );
        match secret {
            Some(secret) if !secret.reveal().is_empty() => {
                let what = "[[control.token]]: role is missing: viewer, operator or admin";
                self.needed(raw.role.is_some(), what);
                raw.role.map(|role| Token { secret, role })
            }
            _ => {
                self.problem("[[control.token]]: a token must not be empty");
                None
            }
        }
    }

    fn users(&mut self, raw: &[RawUser]) -> Vec<User> {
        let mut names = HashSet::new();
        let mut users = Vec::new();
        for user in raw {
            let key = format!("[[user]] '{}'", user.name);
            self.needed(!user.name.is_empty(), "[[user]]: name is missing");
            if !names.insert(&user.name) {
                self.problem(format!("{key} stands twice"));
            }
            let password = self.secret(
                &key,
                user.password.as_ref(),
                user.password_file.as_ref(),
                user.password_env.as_ref(),
            );
            let credential = match (password, &user.hash) {
                (Some(_), Some(_)) => {
                    self.problem(format!("{key}: give a password or its hashes, not both"));
                    continue;
                }
                (_, Some(hash)) => {
                    Credential::Hashes { native: hash.native.clone(), sha2: hash.sha2.clone() }
                }
                (password, None) => Credential::Password(password.unwrap_or(Secret::new(""))),
            };
            let clients = self.networks(&format!("{key} clients"), &user.clients);
            users.push(User {
                name: user.name.clone(),
                credential,
                keyspace: user.keyspace.clone(),
                require_tls: user.require_tls,
                operator: user.operator,
                clients,
                connections_max: user.connections_max,
                statement_timeout_ms: user.statement_timeout_ms,
            });
        }
        users
    }

    fn keyspaces(&mut self, raw: &[RawKeyspace]) -> Vec<Keyspace> {
        let mut names = HashSet::new();
        let mut keyspaces = Vec::new();
        self.needed(!raw.is_empty(), "there is no [[keyspace]]");
        for keyspace in raw {
            let key = format!("[[keyspace]] '{}'", keyspace.name);
            if keyspace.name.contains(['@', ':', '/', '[', ']']) {
                self.problem(format!("{key}: a keyspace name has none of @ : / [ ]"));
            }
            self.needed(!keyspace.name.is_empty(), "[[keyspace]]: name is missing");
            self.needed(!keyspace.shards.is_empty(), &format!("{key} has no [[keyspace.shard]]"));
            if !names.insert(&keyspace.name) {
                self.problem(format!("{key} stands twice"));
            }
            let mut shards = Vec::new();
            for shard in &keyspace.shards {
                let at = format!("{key} shard '{}'", shard.range);
                let mut servers = Vec::new();
                for server in &shard.servers {
                    let region = server.region.as_deref().and_then(|r| self.region(&at, r));
                    match Address::parse(&server.address) {
                        Some(address) => {
                            let connections_max = server.connections_max;
                            if connections_max == Some(0) {
                                self.problem(format!("{at}: connections_max must be 1 or more"));
                            }
                            let (role, compression) = (server.role, server.compression);
                            let server =
                                Server { address, region, role, connections_max, compression };
                            servers.push(server);
                        }
                        None if server.address.is_empty() => {
                            self.needed(false, &format!("{at}: a server's address is missing"));
                        }
                        None => self.problem(format!(
                            "{at}: '{}' is not an address; write host:port or unix:/path",
                            server.address
                        )),
                    }
                }
                let written = !shard.servers.is_empty();
                self.needed(written, &format!("{at} has no [[keyspace.shard.server]]"));
                shards.push(Shard { range: shard.range.clone(), servers });
            }
            keyspaces.push(Keyspace {
                name: keyspace.name.clone(),
                database: keyspace.database.clone().unwrap_or_else(|| keyspace.name.clone()),
                shards,
            });
        }
        keyspaces
    }

    /// With `[[region]]` entries, every region that is named must be one of them.
    fn known_regions(&mut self, local: Option<&Region>, known: &[Region], keyspaces: &[Keyspace]) {
        if known.is_empty() {
            return;
        }
        let list = known.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
        let servers = keyspaces.iter().flat_map(|k| &k.shards).flat_map(|s| &s.servers);
        let mut unknown: Vec<&Region> = servers.filter_map(|s| s.region.as_ref()).collect();
        unknown.extend(local);
        unknown.retain(|region| !known.contains(region));
        unknown.sort();
        unknown.dedup();
        for region in unknown {
            self.problem(format!("region '{region}' is not among the [[region]] entries: {list}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        [vschema]
        path = "vschema"
        [backend]
        user = "geogate"
        [[keyspace]]
        name = "app"
        [[keyspace.shard]]
        [[keyspace.shard.server]]
        address = "127.0.0.1:3307"
    "#;

    #[test]
    fn the_smallest_file_has_defaults() {
        let config = parse(SMALL, Path::new("/etc/geogate")).unwrap();
        assert_eq!(config.vschema, Path::new("/etc/geogate/vschema"));
        assert_eq!(config.keyspaces[0].database, "app");
        assert_eq!(config.keyspaces[0].shards[0].range, "-");
        assert_eq!(config.listen.addresses, ["127.0.0.1:15306".parse().unwrap()]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = format!(
            "{SMALL}\n role = \"replica\"\n region = \"Mars!\"\n [[user]]\nname = \"a\"\n\
             password = \"x\"\npassword_env = \"Y\"\n[tls]\nkey = \"k\"\n"
        );
        let error = parse(&text, Path::new(".")).unwrap_err();
        assert_eq!(error.problems.len(), 3, "{error}");
    }

    #[test]
    fn limits_with_which_nothing_works_are_refused() {
        let names = ["client_logins_max", "client_handshake_ms", "monitor_interval_ms"];
        let zero = |name: &&str| format!("{name} = 0\n");
        let limits: String = names.iter().map(zero).collect();
        let text = format!("[limits]\ntcp_keepalive_ms = 999\n{limits}{SMALL}");
        let error = parse(&text, Path::new(".")).unwrap_err();
        assert_eq!(error.problems.len(), 4, "{error}");
        for name in names {
            assert!(error.to_string().contains(&format!("limits.{name} must be 1")), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = parse(&format!("{SMALL}\n[limit]\n"), Path::new(".")).unwrap_err();
        assert!(error.to_string().contains("limit"), "{error}");
    }

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("db:1"), Some(Address::Tcp("db".into(), 1)));
        assert_eq!(Address::parse("[::1]:2").unwrap().to_string(), "[::1]:2");
        assert_eq!(Address::parse("unix:/s").unwrap(), Address::Unix("/s".into()));
        assert_eq!(Address::parse(":1"), None);
    }
}
