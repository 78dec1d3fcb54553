//! Tests against real MariaDB servers, in one binary so that they share one cluster.
//!
//! `cluster` starts servers and the proxy, `client` is a MySQL client that shares no code with the
//! proxy, `compare` runs the same statements on the sharded proxy and on one plain server. Run one
//! test with `cargo test --test blackbox NAME`; `GEOGATE_KEEP=1` keeps data and logs.
//! `tests/run.sh` installs the server packages.

#![allow(dead_code, reason = "the cluster and the client are a library for tests to come")]

mod canary;
mod client;
mod cluster;
mod compare;
mod connect;
mod differential;
mod dump;
mod failover;
mod faults;
mod geo_reads;
mod harness;
mod hot_swap;
mod isolation;
mod kill;
mod odd_packets;
mod packet;
mod placement;
mod prepared;
mod protocol;
mod proxy;
mod schema_tracking;
mod scripted;
mod server;
mod sessions;
mod shop;
mod single;
mod statements;
