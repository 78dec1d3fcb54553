//! Geogate: a SQL routing proxy in front of stock MySQL and MariaDB servers.
//!
//! Read this file as the table of contents; the modules stand in the order a query meets them.
//! `src/ARCHITECTURE.md` follows a query from file to file and says where to add what.
//!
//! ```text
//! client -> frontend (listen, authenticate, TLS)
//!        -> session  (read a command, lex it, find or make its plan)
//!        -> planner  (parse and route; only when the plan cache has no answer)
//!        -> executor (one shard: relay bytes; several: merge rows through engine)
//!        -> backend  (pooled connections to the servers)
//! ```
//!
//! Deciding is pure, doing is thin: `planner`, `vschema`, `engine` and `geo` see no socket, no
//! clock and no file, and are tested as tables. Which module may import which is a numbered list
//! in `tests/tidy.rs`; the build fails when it is broken.

#![forbid(unsafe_code)]

pub mod app;
pub mod cli;

pub mod control;
pub mod frontend;

pub mod session;

pub mod canary;
pub mod executor;
pub mod monitor;

pub mod backend;
pub mod planner;

pub mod engine;
pub mod geo;
pub mod net;

pub mod topology;
pub mod vschema;

pub mod config;
pub mod memory;
pub mod observe;
pub mod sql;
pub mod wire;

pub mod clock;
pub mod error;
pub mod gtid;
pub mod key;
pub mod region;
