//! One MariaDB server with one unsharded keyspace and the proxy in front of it, shared by the tests
//! of the protocol, plus a small seeded random generator.

use std::sync::LazyLock;

use crate::cluster::{Cluster, Layout};

/// Databases `app` (the keyspace), `app_a` and `app_b` on one server. Tests make tables of their
/// own names.
pub(crate) static SINGLE: LazyLock<Cluster> = LazyLock::new(|| start("single", ""));

/// A cluster of one server like [`SINGLE`] with more configuration lines, for tests that harm it.
pub(crate) fn start(name: &str, extra: &str) -> Cluster {
    let layout = Layout::new(name, &["us-east"])
        .keyspace("app", r#"{"sharded": false}"#)
        .shard("-", "us-east", &[])
        .config(extra);
    let cluster = Cluster::start(layout);
    let server = &cluster.shards[0].primary;
    server.sql("SET GLOBAL max_allowed_packet = 256 << 20");
    for database in ["app_a", "app_b"] {
        server.sql(&format!("CREATE DATABASE {database}"));
    }
    cluster
}

/// A xorshift generator: the same seed gives the same numbers.
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose numbers depend on `seed` alone.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
