//! Running statements on connections: relay of one answer, merge of several, sequences,
//! interruption from outside.
//!
//! The executor never sees an SQL tree: it gets plans and bytes. It decides nothing about shards
//! or servers; whoever calls it holds the connections.

pub mod client;
pub mod deadline;
pub mod deliver;
pub mod interrupt;
mod local_file;
pub mod near;
pub mod registry;
pub mod relay;
pub mod scatter;
pub mod sequence;
pub mod stalled;
pub mod stream;
pub mod together;
pub mod watch;
