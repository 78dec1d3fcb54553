//! Clusters for tests: servers by keyspace, shard and region, and a proxy in front of them.
//!
//! A test describes what it wants with [`Layout`]; [`Cluster::start`] makes it. Most tests use the
//! one shared cluster in `shop.rs` with tables of their own; a test that kills servers starts its
//! own small cluster.

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::proxy::Proxy;
use crate::server::{RUN, Server};

/// What a cluster consists of.
#[derive(Clone, Default)]
pub(crate) struct Layout {
    name: String,
    regions: Vec<String>,
    keyspaces: Vec<KeyspaceLayout>,
    vschema: Vec<(String, String)>,
    proxy: String,
    extra: String,
}

#[derive(Clone)]
struct KeyspaceLayout {
    name: String,
    /// Per shard: its range, the primary's region, the regions of its replicas.
    shards: Vec<(String, String, Vec<String>)>,
}

impl Layout {
    /// A cluster in the given regions; the proxy runs in the first.
    pub(crate) fn new(name: &str, regions: &[&str]) -> Self {
        let regions = regions.iter().map(|region| (*region).to_owned()).collect();
        Self { name: name.into(), regions, ..Self::default() }
    }

    /// Adds a keyspace and its VSchema JSON; its database on the servers has the same name.
    pub(crate) fn keyspace(mut self, name: &str, vschema: &str) -> Self {
        self.keyspaces.push(KeyspaceLayout { name: name.into(), shards: Vec::new() });
        self.vschema.push((format!("{name}.json"), vschema.into()));
        self
    }

    /// Adds a shard to the last keyspace; `-` is the range of an unsharded one.
    pub(crate) fn shard(mut self, range: &str, primary: &str, replicas: &[&str]) -> Self {
        let replicas = replicas.iter().map(|region| (*region).to_owned()).collect();
        let keyspace = self.keyspaces.last_mut().expect("a keyspace comes before its shards");
        keyspace.shards.push((range.into(), primary.into(), replicas));
        self
    }

    /// Adds a file to the VSchema's folder.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.vschema.push((name.into(), text.into()));
        self
    }

    /// Adds lines to `[proxy]`.
    pub(crate) fn proxy(mut self, text: &str) -> Self {
        self.proxy.push_str(text);
        self.proxy.push('\n');
        self
    }

    /// Adds lines to `geogate.toml`, for example a `[limits]` table.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self.extra.push('\n');
        self
    }
}

/// One shard's servers.
pub(crate) struct Shard {
    /// Keyspace of the shard.
    pub(crate) keyspace: String,
    /// Its range, also its name.
    pub(crate) range: String,
    /// The server that takes writes.
    pub(crate) primary: Server,
    /// Its replicas.
    pub(crate) replicas: Vec<Server>,
    primary_region: String,
    replica_regions: Vec<String>,
}

/// Running servers, and the proxy in front of them (started when first asked for).
pub(crate) struct Cluster {
    /// All shards of all keyspaces.
    pub(crate) shards: Vec<Shard>,
    layout: Layout,
    pub(crate) folder: PathBuf,
    proxy: OnceLock<Proxy>,
}

impl Cluster {
    /// Starts all servers at once, then replication, then creates the databases.
    pub(crate) fn start(layout: Layout) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = RUN.path.join(format!("cluster-{number:02}-{}", layout.name));
        let mut shards = Vec::new();
        for keyspace in &layout.keyspaces {
            for (at, (range, region, replica_regions)) in keyspace.shards.iter().enumerate() {
                let name = format!("{}-{at}", keyspace.name);
                let replicas = (0..replica_regions.len())
                    .map(|number| Server::start(&format!("{name}-replica{number}")));
                shards.push(Shard {
                    keyspace: keyspace.name.clone(),
                    range: range.clone(),
                    replicas: replicas.collect(),
                    primary: Server::start(&name),
                    primary_region: region.clone(),
                    replica_regions: replica_regions.clone(),
                });
            }
        }
        thread::scope(|scope| {
            for shard in &shards {
                scope.spawn(|| shard.prepare());
            }
        });
        Self { shards, layout, folder, proxy: OnceLock::new() }
    }

    /// The proxy; the first call starts it.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy
            .get_or_init(|| Proxy::start(&self.folder, &self.configuration(), &self.layout.vschema))
    }

    /// A second proxy in front of the same servers, with its own configuration lines.
    pub(crate) fn another_proxy(&self, name: &str, extra: &str) -> Proxy {
        let config = format!("{}\n{extra}\n", self.configuration());
        Proxy::start(&self.folder.join(name), &config, &self.layout.vschema)
    }

    /// The shards of one keyspace, in the order of the layout.
    pub(crate) fn keyspace(&self, name: &str) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(move |shard| shard.keyspace == name)
    }

    /// Runs statements on the primaries of a keyspace, on every shard.
    pub(crate) fn on_primaries(&self, keyspace: &str, statements: &[String]) {
        thread::scope(|scope| {
            for shard in self.keyspace(keyspace) {
                scope.spawn(|| {
                    let mut client = shard.primary.client(keyspace);
                    for statement in statements {
                        client.query(statement).unwrap_or_else(|error| {
                            panic!("shard {}: {error}: {statement}", shard.range)
                        });
                    }
                });
            }
        });
    }

    fn configuration(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "[proxy]\nregion = \"{}\"", self.layout.regions[0]);
        text.push_str(&self.layout.proxy);
        for region in &self.layout.regions {
            let _ = writeln!(text, "[[region]]\nname = \"{region}\"");
        }
        for keyspace in &self.layout.keyspaces {
            let _ = writeln!(text, "[[keyspace]]\nname = \"{}\"", keyspace.name);
            for shard in self.keyspace(&keyspace.name) {
                shard.write_configuration(&mut text);
            }
        }
        text.push_str(&self.layout.extra);
        text
    }

    /// Prints the logs of proxy and servers if the test that holds the result fails.
    pub(crate) fn watched(&self) -> Watched<'_> {
        Watched(self)
    }
}

impl Shard {
    fn prepare(&self) {
        self.primary.wait_ready();
        for replica in &self.replicas {
            replica.wait_ready();
            replica.replicate_from(&self.primary);
        }
        self.primary.sql(&format!("CREATE DATABASE `{}`", self.keyspace));
        for replica in &self.replicas {
            replica.wait_for(&self.primary);
        }
    }

    fn write_configuration(&self, text: &mut String) {
        let _ = writeln!(text, "  [[keyspace.shard]]\n  range = \"{}\"", self.range);
        let mut server = |server: &Server, region: &str, role: &str| {
            let address = server.address();
            let _ = writeln!(
                text,
                "    [[keyspace.shard.server]]\n    address = \"{address}\"\n    \
                 region = \"{region}\"\n    role = \"{role}\""
            );
        };
        server(&self.primary, &self.primary_region, "primary");
        for (replica, region) in self.replicas.iter().zip(&self.replica_regions) {
            server(replica, region, "replica");
        }
    }
}

/// A cluster in a test; see [`Cluster::watched`].
pub(crate) struct Watched<'a>(&'a Cluster);

impl Deref for Watched<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        if let Some(proxy) = self.0.proxy.get() {
            eprintln!("--- proxy log ---\n{}", proxy.log_tail());
        }
        for shard in &self.0.shards {
            for server in std::iter::once(&shard.primary).chain(&shard.replicas) {
                let errors = server.logged_errors();
                if !errors.is_empty() {
                    eprintln!("--- errors of {} ---\n{errors}", server.name);
                }
            }
        }
    }
}
