//! Keyspace ids, key ranges and shard maps: where a row lives, in Vitess' terms.
//!
//! A vindex turns column values into a [`KeyspaceId`]; a [`ShardMap`] turns that into a shard. The
//! map can only be built from ranges that cover everything once, so routing by it is total.
//!
//! Nothing here knows tables, vindexes or servers.

mod destination;
mod keyspace_id;
mod range;
mod shard_map;

pub use destination::{Destination, DestinationError, ShardIndexes};
pub use keyspace_id::KeyspaceId;
pub use range::{KeyRange, KeyRangeError};
pub use shard_map::{ShardMap, ShardMapError};
