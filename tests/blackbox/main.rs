//! Tests against real servers, in one binary so that they share one cluster: MariaDB, or Oracle
//! MySQL where `GEOGATE_TEST_MYSQL` says so (see `software`).
//!
//! `cluster` starts servers and the proxy, `client` is a MySQL client that shares no code with the
//! proxy, `compare` runs the same statements on the sharded proxy and on one plain server. Run one
//! test with `cargo test --test blackbox NAME`; `GEOGATE_KEEP=1` keeps data and logs.
//! `tests/run.sh` installs the server packages and runs all of it on both.

#![allow(dead_code, reason = "the cluster and the client are a library for tests to come")]
#![expect(clippy::disallowed_methods, reason = "real servers take real time, which tests measure")]
#![expect(clippy::print_stdout, reason = "tests tell their seeds, and what they leave out")]

mod account;
mod as_one_server;
mod attackers;
mod attributes;
mod canary;
mod charsets;
mod charsets_sharded;
mod client;
mod client_edges;
mod cluster;
mod commit_faults;
mod compare;
mod compressed_servers;
mod compression;
mod connect;
mod crowd;
mod cursors;
mod dead_shard;
mod defaults;
mod differential;
mod drivers;
mod dump;
mod dump_sharded;
mod failover;
mod faults;
mod full;
mod geo_reads;
mod handshake;
mod harness;
mod hot_swap;
mod hung_shard;
mod init;
mod insert_ids;
mod isolation;

mod kept_values;
mod kill;
mod last_values;
mod limits;
mod listen;
mod local_infile;
mod long_statements;
mod lost_reads;
mod memory;
mod moving_vschema;
mod multitude;
mod mysql;
mod next_transaction;
mod odd_packets;
mod operators;
mod packet;
mod placement;
mod prepared;
mod progress;
mod protocol;
mod proxy;
mod random_state;
mod recorded;
mod reference_tables;
mod result_metadata;
mod schema_tracking;
mod scripted;
mod server;
mod session_state;
mod session_state_shards;
mod sessions;
mod several_statements;
mod shard_targets;
mod shared_settings;
mod shared_statements;
mod shared_states;
mod shop;
mod single;
mod slow_clients;
mod software;
mod split_brain;
mod split_brain_schedule;
mod split_brain_ways;
mod state;
mod statement_timeout;
mod statements;
mod stored_programs;
mod strangers;
mod table_locks;
mod text_prepared;
mod transaction_ends;
mod transparency;
